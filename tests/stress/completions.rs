//! The driver that says what is to be done and hears when it is: the completion ring.

use tunstack::bsd::Sockets;
use tunstack::bsd::abi::MsgFlags;
use tunstack::ring::{Entry, Ring, opcode};

use crate::end::{End, Want};

/// What an end wants, as an entry; `None` when it is over.
fn entry(end: &End, index: usize, buffer: Vec<u8>) -> Option<Entry> {
    let entry = match end.want() {
        Want::Send(octets) => opcode::send(end.fd, octets.to_vec(), MsgFlags::empty()),
        Want::Receive => opcode::recv(end.fd, buffer, MsgFlags::empty()),
        Want::Nothing => return None,
    };
    Some(entry.user_data(index as u64))
}

pub(crate) fn ring(sys: &Sockets, ends: Vec<End>) {
    let mut ring = Ring::new(sys, 64).unwrap();
    let mut ends: Vec<Option<End>> = ends.into_iter().map(Some).collect();
    let mut next: Vec<Entry> =
        (0..).zip(&ends).filter_map(|(index, end)| entry(end.as_ref()?, index, vec![0; 8192])).collect();
    let mut left = next.len();
    while left > 0 {
        for entry in next.drain(..) {
            ring.submission().push(entry).unwrap();
        }
        ring.submit_and_wait(1).unwrap();
        let completions: Vec<_> = ring.completion().collect();
        for completion in completions {
            let index = completion.user_data as usize;
            let Some(end) = &mut ends[index] else { panic!("a completion of what is closed") };
            let n = completion.to_result().unwrap() as usize;
            let sent = matches!(end.want(), Want::Send(_));
            if sent {
                end.sent(n);
            } else {
                end.received(completion.data());
            }
            let buffer = if sent { vec![0; 8192] } else { completion.into_buffer() };
            match entry(end, index, buffer) {
                Some(entry) => next.push(entry),
                None => {
                    ends[index] = None;
                    left -= 1;
                }
            }
        }
    }
}
