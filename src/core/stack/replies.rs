//! Acknowledgments that wait for the program's reply.
//!
//! A fresh connection's request is acknowledged at once, and so is a FIN. A program that is told of it mostly replies at once,
//! or closes, and that acknowledges as well: who knows that a program is about to be told may have the two leave as one. That
//! costs the peer no time as long as the program works. So it is for a driver that knows when the program waits again, and then
//! lets go what it has not replied to: a peer under Nagle's algorithm waits for that with the rest of what it has written.
//!
//! What would wait anyway, such as a delayed acknowledgment, is none of this; nor is what may be the beginning of more than a
//! request, or what a peer needs beside: every second full segment, gaps, duplicates, marks (RFC 9293 §3.8.6.3, RFC 5681 §4.2,
//! RFC 3168 §6.1.3).

use alloc::vec::Vec;

use super::{Kind, Socket, Stack};
use crate::time::Instant;

/// Of so many connections at the most: letting them go is a burst.
const MOST: usize = 64;

/// The acknowledgments that wait.
#[derive(Debug)]
pub(super) struct Replies {
    awaited: bool,
    /// When at the latest.
    until: Instant,
    slots: Vec<u32>,
    /// How many of them, the first, waited already for a program when [`Stack::release_older_acks`] was called last.
    older: usize,
    due: Instant,
}

impl Default for Replies {
    fn default() -> Self {
        let never = Instant::FAR_FUTURE;
        Self { awaited: false, until: never, slots: Vec::new(), older: 0, due: never }
    }
}

impl Replies {
    /// Whether what comes now may wait.
    pub(super) const fn are_awaited(&self) -> bool {
        self.awaited
    }

    /// When those that wait are let go.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.due < Instant::FAR_FUTURE).then_some(self.due)
    }

    /// Notes that one in a slot waits, until `latest` at the most. Says false where there are too many.
    pub(super) fn note(&mut self, slot: u32, latest: Instant) -> bool {
        if self.slots.contains(&slot) {
            return true;
        }
        if self.slots.len() >= MOST {
            return false;
        }
        self.slots.push(slot);
        self.due = self.due.min(self.until).min(latest);
        true
    }
}

impl Stack {
    /// Whoever is told of what comes from now on works on it at once: until [`release_acks`](Self::release_acks), or until this
    /// time, acknowledgments wait for what it sends that would leave at once only because a connection is young, or has been
    /// ended by the peer. `None`: what comes from now on is acknowledged as ever, and what waits goes on waiting.
    ///
    /// None waits longer than [`delayed_ack`](crate::config::TcpConfig::delayed_ack).
    pub const fn hold_acks(&mut self, until: Option<Instant>) {
        self.replies.awaited = until.is_some();
        if let Some(until) = until {
            self.replies.until = until;
        }
    }

    /// Whether any may wait for a reply.
    pub const fn holds_acks(&self) -> bool {
        !self.replies.slots.is_empty()
    }

    /// Lets those go that wait for a reply: they leave with what is transmitted next. Says whether there were any.
    #[inline]
    pub fn release_acks(&mut self) -> bool {
        if !self.holds_acks() {
            // They are all put down together with the time.
            return false;
        }
        self.replies.due = Instant::FAR_FUTURE;
        self.release_first_acks(self.replies.slots.len())
    }

    /// The same with those alone that waited already when this was called last: the program has come back for more since. Who
    /// has not been accepted yet is not among them: the program is told of the connection first, and of its request afterwards.
    #[inline]
    pub fn release_older_acks(&mut self) -> bool {
        self.holds_acks() && self.release_older_of_them()
    }

    fn release_older_of_them(&mut self) -> bool {
        let released = self.release_first_acks(self.replies.older);
        let slots = &mut self.replies.slots;
        if slots.is_empty() {
            self.replies.due = Instant::FAR_FUTURE;
        }
        let slab = &self.slab;
        let is_held = |index: &u32| slab.by_index(*index).is_some_and(|socket| socket.held);
        slots.sort_by_key(|index| !is_held(index));
        self.replies.older = slots.partition_point(is_held);
        released
    }

    fn release_first_acks(&mut self, count: usize) -> bool {
        let mut any = false;
        let mut slots = core::mem::take(&mut self.replies.slots);
        for index in slots.drain(..count) {
            // Mostly the reply has left with it.
            if let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index_mut(index)
                && tcb.acks.let_go()
            {
                any = true;
                self.queue_output(index);
            }
        }
        (self.replies.slots, self.replies.older) = (slots, 0);
        any
    }
}
