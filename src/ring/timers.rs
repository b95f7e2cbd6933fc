//! The timeouts of a ring: those that wait for a time, and those that wait for a number of completions.

use std::collections::BTreeSet;

use tunstack_core::time::Instant;

use super::Key;

/// Which timeouts are due, and when the next one is.
#[derive(Debug, Default)]
pub(super) struct Timers {
    at: BTreeSet<(Instant, Key)>,
    counted: BTreeSet<(u64, Key)>,
}

impl Timers {
    pub(super) fn arm(&mut self, at: Instant, key: Key) {
        self.at.insert((at, key));
    }

    pub(super) fn disarm(&mut self, at: Instant, key: Key) {
        self.at.remove(&(at, key));
    }

    /// Due as soon as `posted` completions were posted.
    pub(super) fn count(&mut self, posted: u64, key: Key) {
        self.counted.insert((posted, key));
    }

    pub(super) fn uncount(&mut self, posted: u64, key: Key) {
        self.counted.remove(&(posted, key));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.at.first().map(|(at, _)| *at)
    }

    /// The next one whose time has come.
    pub(super) fn expired(&self, now: Instant) -> Option<(Instant, Key)> {
        self.at.first().copied().filter(|(at, _)| *at <= now)
    }

    /// The next one whose number is reached.
    pub(super) fn reached(&self, posted: u64) -> Option<Key> {
        self.counted.first().filter(|(target, _)| *target <= posted).map(|(_, key)| *key)
    }
}
