//! Echo on any number of connections in one thread, which waits for all of them.

use std::io;
use std::thread;
use std::time::Duration;

use super::sockets::Sockets;

const LISTENER: usize = 0;
/// Octets read at a time: a shorter read says that there is no more.
const CHUNK: usize = 4096;

/// Comes back only with an error.
pub(super) fn echo<S: Sockets>(mut listener: S::Listener) -> io::Result<()> {
    let mut poll = S::poll()?;
    S::watch_listener(&poll, &mut listener, LISTENER)?;
    // By token, less one.
    let mut streams: Vec<Option<S::Stream>> = Vec::new();
    let mut free = Vec::new();
    let mut tokens = Vec::new();
    let mut buffer = [0; CHUNK];
    loop {
        match S::wait(&mut poll, &mut tokens) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for token in tokens.drain(..) {
            let Some(slot) = token.checked_sub(1) else {
                accept::<S>(&poll, &listener, &mut streams, &mut free)?;
                continue;
            };
            let Some(Some(stream)) = streams.get(slot) else { continue };
            if !answer::<S>(stream, &mut buffer) {
                streams[slot] = None;
                free.push(slot);
            }
        }
    }
}

fn accept<S: Sockets>(
    poll: &S::Poll,
    listener: &S::Listener,
    streams: &mut Vec<Option<S::Stream>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    loop {
        match S::accept(listener) {
            Ok(mut stream) => {
                let slot = free.pop().unwrap_or(streams.len());
                S::watch(poll, &mut stream, slot + 1)?;
                match streams.get_mut(slot) {
                    Some(place) => *place = Some(stream),
                    None => streams.push(Some(stream)),
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            // That one was reset before its turn.
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(e) => {
                tracing::warn!("cannot accept: {e}");
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Sends back what has come, and says whether more may come.
fn answer<S: Sockets>(stream: &S::Stream, buffer: &mut [u8]) -> bool {
    loop {
        match S::read(stream, buffer) {
            Ok(0) => return false,
            // A client that asks more than its buffers hold without reading is none of ours.
            Ok(n) if S::write_all(stream, &buffer[..n]).is_err() => return false,
            Ok(n) if n < buffer.len() => return true,
            Ok(_) => {}
            Err(e) => return e.kind() == io::ErrorKind::WouldBlock,
        }
    }
}
