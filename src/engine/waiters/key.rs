//! Names of those who wait, by which they are taken back.

use std::num::NonZeroU64;

use crate::engine::sync::{AtomicU64, Ordering};

/// Names one waiter or observer, to take it back. No two of a stack's are the same. It says whether
/// a thread's call waits: such a waker does nothing but wake it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(pub(super) NonZeroU64);

impl Key {
    pub(super) const fn is_of_call(self) -> bool {
        self.0.get() & 1 == 0
    }
}

/// Where one waiter keeps its key from when it must wait until it need not any more. A thread has one for a call, a
/// future for its life, a handle that tasks poll one for each direction. Whoever drops one has to
/// [`leave`](super::Waiters::leave) before.
#[derive(Debug, Default)]
pub(crate) struct Place(pub(super) AtomicU64);

impl Place {
    /// Whether it holds no key: then there is nothing to leave.
    pub(crate) fn is_free(&self) -> bool {
        self.key().is_none()
    }

    // Written only under the stack's lock. Who reads it without has the place to itself.
    pub(super) fn key(&self) -> Option<Key> {
        NonZeroU64::new(self.0.load(Ordering::Relaxed)).map(Key)
    }
}
