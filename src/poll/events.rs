//! What is told.

use std::fmt;
use std::slice;

use rustix::event::epoll::{self, EventData, EventFlags};
use tunstack_core::stack::Readiness;

use super::interest::Token;

/// One source's event: how it stands, as far as its interest goes. Whichever bit gave rise to the event, all
/// that are set are told.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    token: Token,
    /// The kernel's words, which our sockets' readiness is put into.
    flags: EventFlags,
}

impl Event {
    pub(super) const fn new(token: Token, flags: EventFlags) -> Self {
        Self { token, flags }
    }

    /// A socket's event, if anything that concerns `mask` is to be told.
    pub(super) fn of_socket(token: Token, level: Readiness, mask: Readiness) -> Option<Self> {
        const WORDS: [(Readiness, EventFlags); 6] = [
            (Readiness::READABLE, EventFlags::IN),
            (Readiness::WRITABLE, EventFlags::OUT),
            (Readiness::READ_CLOSED, EventFlags::RDHUP),
            (Readiness::HANG_UP, EventFlags::HUP),
            (Readiness::ERROR, EventFlags::ERR),
            (Readiness::URGENT, EventFlags::PRI),
        ];
        let told = level & mask;
        let mut flags = EventFlags::empty();
        for (bit, flag) in WORDS {
            flags.set(flag, told.contains(bit));
        }
        (!told.is_empty()).then_some(Self { token, flags })
    }

    /// What the source was registered as.
    pub const fn token(&self) -> Token {
        self.token
    }

    /// There is something to read or accept, or the end of it: read until `WouldBlock`.
    pub const fn is_readable(&self) -> bool {
        self.flags.intersects(EventFlags::IN.union(EventFlags::PRI))
    }

    /// There is room to write, or a connection attempt has ended: write until `WouldBlock`.
    pub const fn is_writable(&self) -> bool {
        self.flags.contains(EventFlags::OUT)
    }

    /// An error waits to be taken (`take_error`, or any call).
    pub const fn is_error(&self) -> bool {
        self.flags.contains(EventFlags::ERR)
    }

    /// The peer will send no more, or our reading side is shut down. What came before may still wait to be read.
    pub const fn is_read_closed(&self) -> bool {
        self.flags.contains(EventFlags::HUP) || self.flags.contains(EventFlags::IN.union(EventFlags::RDHUP))
    }

    /// Writing is over: both sides are closed, or the connection failed, or (of a pipe) nobody reads it.
    pub fn is_write_closed(&self) -> bool {
        self.flags.contains(EventFlags::HUP)
            || self.flags.contains(EventFlags::OUT.union(EventFlags::ERR))
            || self.flags == EventFlags::ERR
    }

    /// Urgent data lies ahead.
    pub const fn is_priority(&self) -> bool {
        self.flags.contains(EventFlags::PRI)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("token", &self.token)
            .field("readable", &self.is_readable())
            .field("writable", &self.is_writable())
            .field("error", &self.is_error())
            .field("read_closed", &self.is_read_closed())
            .field("write_closed", &self.is_write_closed())
            .field("priority", &self.is_priority())
            .finish()
    }
}

/// Room for a number of events, to be used for one [`poll`](super::Poll::poll) after another. What finds no
/// room is told by the next poll.
pub struct Events {
    pub(super) told: Vec<Event>,
    /// What the kernel writes to.
    pub(super) kernel: Vec<epoll::Event>,
}

impl Events {
    /// Room for so many events.
    pub fn with_capacity(capacity: usize) -> Self {
        let none = epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        Self { told: Vec::with_capacity(capacity), kernel: vec![none; capacity] }
    }

    /// How many events there is room for.
    pub fn capacity(&self) -> usize {
        self.kernel.len()
    }

    /// Whether the last poll told nothing: its time was over.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// What the last poll told.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.told.iter())
    }

    /// Forgets what the last poll told. The next one does so by itself.
    pub fn clear(&mut self) {
        self.told.clear();
    }

    pub(super) fn room(&self) -> usize {
        self.capacity() - self.told.len()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.told).finish()
    }
}

/// Goes through the events of a poll.
#[derive(Clone, Debug)]
pub struct Iter<'a>(slice::Iter<'a, Event>);

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Event;

    fn next(&mut self) -> Option<&'a Event> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a Event;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::super::interest::Interest;
    use super::*;

    fn event(level: Readiness, interest: Interest) -> Event {
        Event::of_socket(Token(1), level, interest.mask()).unwrap()
    }

    #[test]
    fn a_socket_tells_what_is_asked_for_and_what_went_wrong() {
        let all = Readiness::all();
        let read = event(all, Interest::READABLE);
        assert!(read.is_readable() && !read.is_writable() && !read.is_priority());
        assert!(read.is_error() && read.is_read_closed() && read.is_write_closed());
        let write = event(Readiness::WRITABLE | Readiness::READABLE, Interest::WRITABLE);
        assert!(!write.is_readable() && write.is_writable() && !write.is_error() && !write.is_write_closed());
        let urgent = event(Readiness::URGENT, Interest::PRIORITY);
        assert!(urgent.is_priority() && urgent.is_readable() && !urgent.is_read_closed());
        assert_eq!(Event::of_socket(Token(1), Readiness::READABLE, Interest::WRITABLE.mask()), None);
    }

    #[test]
    fn half_closed_is_not_closed() {
        let fin = event(
            Readiness::READABLE | Readiness::WRITABLE | Readiness::READ_CLOSED,
            Interest::READABLE | Interest::WRITABLE,
        );
        assert!(fin.is_read_closed() && !fin.is_write_closed());
        let pipe = Event::new(Token(2), EventFlags::ERR);
        assert!(pipe.is_write_closed() && !pipe.is_read_closed(), "a pipe that nobody reads");
    }
}
