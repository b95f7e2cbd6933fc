//! Virtual time: one ordered heap of (time, sequence number, event).

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use tunstack_core::time::Instant;

/// A clock that jumps from event to event. Events of the same time come in the order they were scheduled
/// in, so that a run depends on nothing but its input.
#[derive(Debug)]
pub struct Clock<E> {
    now: Instant,
    sequence: u64,
    heap: BinaryHeap<Reverse<Entry<E>>>,
}

#[derive(Debug)]
struct Entry<E> {
    at: Instant,
    sequence: u64,
    event: E,
}

impl<E> Entry<E> {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.sequence)
    }
}

// The event takes no part in the order: the sequence number is unique.
impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<E> Default for Clock<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Clock<E> {
    /// A clock at the epoch with nothing ahead.
    pub const fn new() -> Self {
        Self { now: Instant::ZERO, sequence: 0, heap: BinaryHeap::new() }
    }

    /// The virtual time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Lets `event` happen at `at`, or now if that is past.
    pub fn schedule(&mut self, at: Instant, event: E) {
        let entry = Entry { at: at.max(self.now), sequence: self.sequence, event };
        self.sequence += 1;
        self.heap.push(Reverse(entry));
    }

    /// When the next event is, if there is one.
    pub fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes the next event that is due at or before `limit`, and moves the time to it.
    pub fn pop(&mut self, limit: Instant) -> Option<E> {
        if self.next_at()? > limit {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        self.now = entry.at;
        Some(entry.event)
    }

    /// Moves the time to `to`, never back and never past the next event.
    pub fn advance(&mut self, to: Instant) {
        let bound = self.next_at().map_or(to, |next| to.min(next));
        self.now = self.now.max(bound);
    }

    /// How many events lie ahead.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing lies ahead.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(clock: &mut Clock<u32>, limit: Instant) -> Vec<(u64, u32)> {
        std::iter::from_fn(|| clock.pop(limit).map(|e| (clock.now().as_millis(), e))).collect()
    }

    #[test]
    fn events_come_by_time_and_equal_times_in_the_order_scheduled() {
        let mut clock = Clock::new();
        for (at, event) in [(5, 0), (3, 1), (5, 2), (3, 3), (4, 4), (5, 5)] {
            clock.schedule(Instant::from_millis(at), event);
        }
        let got = drain(&mut clock, Instant::FAR_FUTURE);
        assert_eq!(got, [(3, 1), (3, 3), (4, 4), (5, 0), (5, 2), (5, 5)]);
    }

    #[test]
    fn time_stops_at_the_limit_and_never_goes_back() {
        let mut clock = Clock::new();
        clock.schedule(Instant::from_millis(10), 1);
        assert_eq!(clock.pop(Instant::from_millis(9)), None);
        clock.advance(Instant::from_millis(30));
        assert_eq!(clock.now(), Instant::from_millis(10), "an event is not jumped over");
        assert_eq!(clock.pop(Instant::from_millis(10)), Some(1));
        clock.advance(Instant::from_millis(30));
        clock.schedule(Instant::from_millis(20), 2);
        assert_eq!(drain(&mut clock, Instant::FAR_FUTURE), [(30, 2)]);
        clock.advance(Instant::from_millis(1));
        assert_eq!(clock.now(), Instant::from_millis(30));
    }
}
