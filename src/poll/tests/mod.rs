//! One thread, two engines on a pipe, and descriptors of the kernel.

mod edges;
mod ends;
mod sources;

use std::io::ErrorKind;
use std::time::Duration;

use super::event::{Event, Source};
use super::{Events, Interest, Poll, Token};
pub(super) use crate::net::tests::{LONG, SHORT, addr, limited, pair, pattern};
use crate::net::{TcpListener, TcpStream};

const READ: Interest = Interest::READABLE;
const WRITE: Interest = Interest::WRITABLE;
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// A poll, and room for what it tells.
struct Watcher {
    poll: Poll,
    events: Events,
}

impl Watcher {
    fn new() -> Self {
        Self::with_room(64)
    }

    fn with_room(room: usize) -> Self {
        Self { poll: Poll::new().unwrap(), events: Events::with_capacity(room) }
    }

    fn add(&self, source: &mut (impl Source + ?Sized), token: usize, interest: Interest) {
        self.poll.registry().register(source, Token(token), interest).unwrap();
    }

    /// What the next poll tells, which has to be something.
    #[track_caller]
    fn told(&mut self) -> Vec<Event> {
        self.poll.poll(&mut self.events, Some(LONG)).unwrap();
        assert!(!self.events.is_empty(), "nothing comes");
        self.events.iter().cloned().collect()
    }

    /// The next event, which has to be alone and for `token`.
    #[track_caller]
    fn only(&mut self, token: usize) -> Event {
        let told = self.told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].token(), Token(token), "{told:?}");
        told[0].clone()
    }

    /// Polls until there is an event that fits, and gives that.
    #[track_caller]
    fn until(&mut self, token: usize, fits: impl Fn(&Event) -> bool) -> Event {
        for _ in 0..10_000 {
            if let Some(event) = self.told().into_iter().find(|e| e.token() == Token(token) && fits(e)) {
                return event;
            }
        }
        panic!("it does not come");
    }

    /// Nothing is there to be told.
    #[track_caller]
    fn quiet(&mut self) {
        self.poll.poll(&mut self.events, Some(Duration::ZERO)).unwrap();
        assert!(self.events.is_empty(), "{:?}", self.events);
    }

    /// How many sockets it watches, how many registrations it has, and how many of these have something to tell.
    fn len(&self) -> (usize, usize, usize) {
        let watched = &self.poll.registry().shared.watched;
        let (all, ready) = watched.ready.len();
        (watched.len(), all, ready)
    }
}

/// Reads until nothing is left, and says how much it was and whether that was the end.
fn drain(stream: &TcpStream) -> (usize, bool) {
    let (mut total, mut buf) = (0, [0; 4096]);
    loop {
        match stream.try_read(&mut buf) {
            Ok(0) => return (total, true),
            Ok(n) => total += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (total, false),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Writes until there is no room, and says how much it was.
fn fill(stream: &TcpStream) -> usize {
    let mut total = 0;
    loop {
        match stream.try_write(&[0; 4096]) {
            Ok(n) => total += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return total,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Nobody waits to be accepted.
#[track_caller]
fn nobody_waits(listener: &TcpListener) {
    assert_eq!(listener.try_accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}
