//! Cancels, in each phase of what they are for, and the end of a ring.

use super::*;
use crate::ring::{CancelBuilder, Flags, opcode};

const CANCELED: i32 = error(Errno::CANCELED);
const NOENT: i32 = error(Errno::NOENT);

fn cancel(which: CancelBuilder) -> Entry {
    opcode::async_cancel(which).user_data(99)
}

#[test]
fn each_phase() {
    let mut host = Host::new(16);
    let (a, b) = host.pair();
    let recv = |n| opcode::recv(b, vec![0; 8], NONE).user_data(n);
    let one = |n| cancel(CancelBuilder::user_data(n));
    assert_eq!(host.submit([one(1), recv(1)]), [(99, NOENT, 0)], "not submitted yet");
    assert_eq!(
        host.submit([one(1), one(1)]),
        [(99, 0, 0), (1, CANCELED, 0), (99, NOENT, 0)],
        "in flight, and over"
    );
    assert_eq!(host.submit([recv(2)]), []);
    host.send(a, b"come");
    assert_eq!(host.submit([one(2)]), [(2, 4, 0), (99, NOENT, 0)], "data that came first is not lost");
    let chain = [recv(3).flags(Flags::IO_LINK), opcode::nop().user_data(4)];
    assert_eq!(host.submit(chain.into_iter().chain([one(4)])), [(99, NOENT, 0)], "behind a link");
    assert_eq!(host.submit([opcode::nop().user_data(5).flags(Flags::IO_DRAIN)]), []);
    assert_eq!(host.ring.cancel(CancelBuilder::user_data(5)), Err(Errno::NOENT), "behind a drain");
    assert_eq!(host.ring.cancel(CancelBuilder::user_data(3)), Ok(1));
    assert_eq!(host.seen(), [(3, CANCELED, 0), (4, CANCELED, 0), (5, 0, 0)]);
    host.send(a, b"here");
    assert_eq!(host.wait_for_data(b), 4, "a cancelled receive takes nothing");
}

#[test]
fn what_was_done_in_part_is_told() {
    let mut host = Host::new(16);
    let (a, b) = host.pair();
    host.group(1, 0..1);
    let all = opcode::recv(b, vec![0; 8], ALL).user_data(1).flags(Flags::IO_LINK);
    assert_eq!(host.submit([all, opcode::nop().user_data(2)]), []);
    host.send(a, b"abc");
    let seen = host.submit([cancel(CancelBuilder::user_data(1))]);
    assert_eq!(seen, [(99, 0, 0), (1, 3, 0), (2, CANCELED, 0)]);
    assert_eq!(host.submit([opcode::recv_select(b, 1, ALL).user_data(3)]), []);
    host.send(a, b"defg");
    assert_eq!(host.seen(), []);
    host.ring.cancel(CancelBuilder::fd(b)).unwrap();
    let part = host.completions().remove(0);
    assert_eq!((part.data(), part.buffer_id()), (&b"defg"[..], Some(0)));
    let much = opcode::send(a, vec![0; 32 << 20], ALL).user_data(4);
    assert_eq!(host.submit([much]), []);
    host.ring.cancel(CancelBuilder::user_data(4)).unwrap();
    let sent = host.completions().remove(0).result;
    assert!((1..32 << 20).contains(&sent), "{sent}");
}

#[test]
fn by_descriptor_and_all() {
    let mut host = Host::new(16);
    let (a, b) = host.pair();
    let (listener, _) = host.listener();
    host.group(1, 0..1);
    let kinds = |host: &mut Host| {
        let all = [
            opcode::recv_multi(b, 1, NONE).user_data(1),
            opcode::poll_add_multi(b, PollEvents::IN).user_data(2),
            opcode::recv(a, vec![0; 1], NONE).user_data(3),
            opcode::accept_multi(listener, 0).user_data(4),
            opcode::timeout(LONG, 0, Default::default()).user_data(5),
        ];
        assert_eq!(host.submit(all), []);
    };
    kinds(&mut host);
    assert_eq!(host.submit([cancel(CancelBuilder::fd(b))]), [(99, 0, 0), (1, CANCELED, 0)]);
    assert_eq!(host.submit([cancel(CancelBuilder::fd(b).all())]), [(99, 1, 0), (2, CANCELED, 0)]);
    assert_eq!(host.submit([cancel(CancelBuilder::fd(b).all())]), [(99, 0, 0)]);
    assert_eq!(host.submit([cancel(CancelBuilder::fd(-1))]), [(99, error(Errno::BADF), 0)]);
    assert_eq!(host.submit([opcode::poll_remove(3).user_data(9)]), [(9, NOENT, 0)], "it is no poll");
    let rest = host.submit([cancel(CancelBuilder::any())]);
    assert_eq!(rest, [(99, 3, 0), (3, CANCELED, 0), (4, CANCELED, 0), (5, CANCELED, 0)]);
    kinds(&mut host);
    assert_eq!(host.ring.cancel(CancelBuilder::any()), Ok(5));
    assert_eq!((host.seen().len(), host.ring.buffers(1)), (5, 1));
    let again = [7, 7, 8].map(|n| opcode::recv(a, vec![0; 1], NONE).user_data(n));
    assert_eq!(host.submit(again), []);
    assert_eq!(host.ring.cancel(CancelBuilder::user_data(7).all()), Ok(2));
    assert_eq!(host.submit([cancel(CancelBuilder::any())]).len(), 4);
    assert_eq!([a, b, listener].map(|fd| host.waiters(fd)), [1; 3], "none but the descriptor's own");
}

#[test]
fn a_cancelled_connect_goes_on() {
    let mut host = Host::new(8);
    let client = host.sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    // Nobody answers at the other end of the pipe.
    let silence: SocketAddr = "192.0.2.1:7".parse().unwrap();
    let begun = host.submit([opcode::connect(client, silence).user_data(1)]);
    if begun.is_empty() {
        assert_eq!(host.ring.cancel(CancelBuilder::any()), Ok(1));
        assert_eq!(host.seen(), [(1, CANCELED, 0)]);
        assert_eq!(host.submit([opcode::connect(client, silence)]), [(0, error(Errno::ALREADY), 0)]);
    } else {
        assert_eq!(begun, [(1, error(Errno::NETUNREACH), 0)]);
    }
}

#[test]
fn a_ring_that_is_dropped_leaves_nobody_waiting() {
    let mut host = Host::new(64);
    let (a, b) = host.pair();
    let (listener, _) = host.listener();
    let before = [a, b, listener].map(|fd| host.waiters(fd));
    host.group(1, 0..4);
    let mut entries = vec![
        opcode::accept_multi(listener, 0),
        opcode::recv_multi(b, 1, NONE),
        opcode::send(a, vec![0; 32 << 20], ALL),
        opcode::recv(a, vec![0; 8], NONE).flags(Flags::IO_LINK),
        opcode::link_timeout(LONG),
        opcode::timeout(LONG, 7, Default::default()),
    ];
    entries.extend((0..20).map(|_| opcode::poll_add_multi(a, PollEvents::IN)));
    entries.push(opcode::recv(b, vec![0; 8], NONE).flags(Flags::IO_DRAIN));
    host.submit(entries);
    assert!(host.waiters(a) > before[0] && host.waiters(listener) > before[2]);
    let (sys, spare) = (host.sys.clone(), Ring::new(&host.sys, 1).unwrap());
    drop(std::mem::replace(&mut host.ring, spare));
    assert_eq!([a, b, listener].map(|fd| host.waiters(fd)), before);
    // Nothing holds the sockets any more: closed by their only number, the peer hears of it.
    sys.close(b).unwrap();
    host.ring.wait(0, None).unwrap();
    assert_eq!(host.one(opcode::recv(a, vec![0; 1], NONE)).to_result(), Err(Errno::CONNRESET));
}
