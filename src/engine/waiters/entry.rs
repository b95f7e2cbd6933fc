//! One who waits, as the table has it.

use std::sync::Arc;
use std::task::Waker;

use tunstack_core::stack::Readiness;

use super::interest::{Observer, Overseen};
use super::key::Key;

/// What is done for who waits.
pub(super) enum Wait {
    /// Woken once, by any of these bits.
    Once(Readiness, Waker),
    /// Told of every change.
    Always(Arc<dyn Observer>),
    /// The same, by who sees many.
    Overseen(Overseen),
}

/// One who waits for a socket.
pub(super) struct Entry {
    /// `None`: a task that is told apart by its waker and never taken back.
    pub(super) key: Option<Key>,
    pub(super) wait: Wait,
}

impl Entry {
    pub(super) fn into_waker(self) -> Option<Waker> {
        match self.wait {
            Wait::Once(_, waker) => Some(waker),
            Wait::Always(_) | Wait::Overseen(_) => None,
        }
    }
}
