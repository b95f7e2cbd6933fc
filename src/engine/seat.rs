//! The seat before the device: who sits there reads it and drives the stack, one at a time.
//!
//! A call that would block sits down if the seat is free, and reads for itself and all others until it is woken:
//! request and answer pass through one thread, and none has to wake another. The reader, the engine's own thread, sits
//! while no call does.
//!
//! A caller that has what it waited for leaves the seat empty, for it is expected back: [`Pace`] says how soon
//! callers came back until now. An alarm is set instead of waking anybody; when it rings the reader looks whether the
//! seat is still empty. While somebody sits, or the reader does, no alarm is set: an idle engine sleeps.
//!
//! Whether somebody sits is guarded by the shard's lock, as is the table of waiters: that a call is entered there, and
//! that it sits, are one step.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tunstack_core::time::Instant;

use super::clock::Sleeper;
use super::pace::{Pace, SOON};
use super::sleep::PATIENCE;
use super::spin::Luck;
use super::waiters::Parker;
use crate::device::Frames;

/// How long the device goes without a look by calls that do not wait.
pub(super) const GLANCE: Duration = Duration::from_micros(20);

/// One that waits for any of many things.
pub(crate) trait Poller {
    /// Whether any of our sockets has something to tell.
    fn is_roused(&self) -> bool;

    /// Whether more than one of them has.
    fn has_several(&self) -> bool;

    /// What is readable when the kernel has something to tell, or when it was roused by another thread.
    fn readable(&self) -> BorrowedFd<'_>;
}

/// A caller that sits, and until when it waits.
pub(super) struct Caller<'a> {
    pub(super) who: Who<'a>,
    pub(super) deadline: Instant,
}

/// How a caller is woken.
pub(super) enum Who<'a> {
    /// One that waits for its socket.
    Call { parker: &'a Arc<Parker>, waker: &'a Waker },
    /// One that waits for any of many.
    Poller(&'a dyn Poller),
}

impl Caller<'_> {
    pub(super) fn is_woken(&self) -> bool {
        match self.who {
            Who::Call { parker, .. } => parker.is_woken(),
            Who::Poller(poller) => poller.is_roused(),
        }
    }

    pub(super) const fn waker(&self) -> Option<&Waker> {
        match self.who {
            Who::Call { waker, .. } => Some(waker),
            Who::Poller(_) => None,
        }
    }

    pub(super) const fn poller(&self) -> Option<&dyn Poller> {
        match self.who {
            Who::Call { .. } => None,
            Who::Poller(poller) => Some(poller),
        }
    }
}

/// What lies on the seat: what its holder works with.
pub(super) struct Tools {
    pub(super) frames: Frames,
    /// The shard of each packet that is there, where the engine has several.
    pub(super) owners: Vec<u16>,
    pub(super) hang_ups: u32,
    pub(super) luck: Luck,
}

/// The seat as the shard's lock guards it.
pub(crate) struct Seat {
    /// `None` while somebody sits, and where nobody may: before the reader runs, and where time is virtual.
    pub(super) tools: Option<Box<Tools>>,
    /// When the reader looks, if nothing is due before.
    pub(super) alarm: Instant,
    /// Since when it is empty.
    pub(super) left: Instant,
    pub(super) pace: Pace,
    /// When a call was done last that did not have to wait.
    pub(super) passed: Option<Instant>,
    /// A poller has left it with several sockets to look after, one after the other.
    pub(super) rush: bool,
    /// What calls have left to be sent since then may not have left.
    pub(super) unsent: bool,
    /// When the one who left it last was told of something, or has come back without waiting: while it works on that,
    /// acknowledgments wait for its replies.
    pub(super) told: Option<Instant>,
}

impl Seat {
    /// One that nobody can take.
    pub(super) fn closed() -> Self {
        Self {
            tools: None,
            alarm: Instant::FAR_FUTURE,
            left: Instant::ZERO,
            pace: Pace::default(),
            passed: None,
            rush: false,
            unsent: false,
            told: None,
        }
    }

    /// Whether nobody sits there who could.
    pub(super) fn is_empty(&self) -> bool {
        self.tools.is_some()
    }

    /// A call is done that did not have to wait.
    pub(super) fn pass(&mut self, now: Instant) {
        self.pace.went(now);
        self.passed = Some(now);
    }

    /// Whether calls that do not wait follow soon on each other.
    pub(super) fn is_passed(&self, now: Instant) -> bool {
        self.pace.is_quick() && self.passed.is_some_and(|passed| now <= passed + SOON)
    }

    /// Whether what a call leaves to be sent may wait a moment, to leave with what those after it leave: one who is told of
    /// many sockets and replies on each would otherwise have the peer woken for each reply. A glance at the device sends it
    /// if calls go on, the poller does when it waits again, and the reader if none of that happens.
    pub(super) fn is_in_rush(&self, now: Instant) -> bool {
        self.rush && self.is_empty() && self.pace.is_quick() && now < self.left + GLANCE
    }

    /// Until when the reader leaves it to the callers.
    pub(super) fn patience(&self) -> Instant {
        if self.pace.is_quick() { self.left + PATIENCE } else { self.left }
    }
}
