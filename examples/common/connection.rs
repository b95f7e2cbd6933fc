//! One connection of an echo server that never waits in a call: what has come and has not been sent back yet.
//!
//! The servers on `select`, `poll` and `epoll` share it. They differ in how they learn which connection to go on with.
#![allow(dead_code)] // no example needs all of it

use std::os::fd::RawFd;

use tunstack::bsd::abi::{MsgFlags, SOCK_CLOEXEC, SOCK_NONBLOCK};
use tunstack::bsd::{Errno, Result, Sockets};

/// What a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Something to read.
    Read,
    /// Room to write.
    Write,
    /// Nothing: all that came was sent back, and the peer will send no more; or the connection has failed.
    Close,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) fd: RawFd,
    pub(crate) next: Next,
    /// There may be more to do at once: its turn was over before it would have waited.
    pub(crate) interrupted: bool,
    data: Vec<u8>,
    /// What of `data` has yet to be sent.
    unsent: std::ops::Range<usize>,
}

impl Connection {
    /// The connection that has waited longest; none waits: `None`. One that was reset before its turn is passed over.
    pub(crate) fn accept(sys: &Sockets, listener: RawFd) -> Result<Option<Self>> {
        loop {
            match sys.accept4(listener, SOCK_NONBLOCK | SOCK_CLOEXEC) {
                Ok((fd, _)) => {
                    return Ok(Some(Self {
                        fd,
                        next: Next::Read,
                        interrupted: false,
                        data: vec![0; 16 << 10],
                        unsent: 0..0,
                    }));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::CONNABORTED) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads and writes as far as that goes without waiting, and at the most so many times: others want their turn.
    pub(crate) fn go_on(&mut self, sys: &Sockets, rounds: usize) -> Next {
        self.interrupted = false;
        for _ in 0..rounds {
            let moved = if self.unsent.is_empty() {
                self.next = Next::Read;
                sys.recv(self.fd, &mut self.data, MsgFlags::empty()).map(|n| self.unsent = 0..n)
            } else {
                self.next = Next::Write;
                let sent = sys.send(self.fd, &self.data[self.unsent.clone()], MsgFlags::empty());
                sent.map(|n| self.unsent.start += n)
            };
            match moved {
                // A read that brought nothing is the end.
                Ok(()) if self.next == Next::Read && self.unsent.is_empty() => self.next = Next::Close,
                Ok(()) => continue,
                Err(Errno::AGAIN) => {}
                // Of this connection alone; nobody is left to be told of it.
                Err(_) => self.next = Next::Close,
            }
            return self.next;
        }
        self.interrupted = true;
        self.next = if self.unsent.is_empty() { Next::Read } else { Next::Write };
        self.next
    }
}
