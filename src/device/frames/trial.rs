//! Which of two ways to read a burst takes less time here.
//!
//! An io_uring copies to pinned memory, which is quicker, and does more beside that for each packet than a read of its own.
//! Which counts for more depends on the processor: on some a burst of large packets takes a sixth less time by a ring, on others
//! a fifth more. So it is measured, again and again: one burst the other way, between two as ever.

use std::time::Duration;

/// Fewer packets say nothing.
const MEASURED: usize = 16;

/// So many bursts more must have spoken for a way than against it.
const SURE: u8 = 4;

/// Bursts between two trials: until it is known which way is better, and then.
const SOON: u8 = 1;
const LATER: u8 = 60;

/// What the next burst that is measured is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// Nothing, so many times.
    Rest(u8),
    /// To be compared with what comes after it.
    Before,
    /// The other way. What the one before has cost.
    Other(u64),
    /// To be compared with these: the one before, and the other way.
    After(u64, u64),
}

/// The way that is used, and how sure that is.
#[derive(Debug)]
pub(super) struct Trial {
    at_once: bool,
    /// 0: as good as the other one.
    sure: u8,
    next: Next,
}

impl Default for Trial {
    fn default() -> Self {
        // Who is never told what anything takes does what is simple.
        Self { at_once: false, sure: 0, next: Next::Before }
    }
}

impl Trial {
    /// Whether the next burst is to be read at once.
    pub(super) const fn at_once(&self) -> bool {
        self.at_once != matches!(self.next, Next::Other(_))
    }

    /// A burst was read, in this time.
    pub(super) fn took(&mut self, time: Duration, packets: usize) {
        if packets < MEASURED {
            return;
        }
        // A comparison of fractions of nanoseconds would be none.
        let cost = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / packets as u64;
        self.next = match self.next {
            Next::Rest(0) => Next::Before,
            Next::Rest(left) => Next::Rest(left - 1),
            Next::Before => Next::Other(cost),
            Next::Other(before) => Next::After(before, cost),
            Next::After(before, other) => {
                self.compared(other.saturating_mul(2) < before.saturating_add(cost));
                Next::Rest(if self.sure == SURE { LATER } else { SOON })
            }
        };
    }

    fn compared(&mut self, other_is_better: bool) {
        if !other_is_better {
            self.sure = (self.sure + 1).min(SURE);
        } else if let Some(less) = self.sure.checked_sub(1) {
            self.sure = less;
        } else {
            self.at_once = !self.at_once;
        }
    }
}

#[cfg(test)]
impl Trial {
    /// One that has found out so far that this is the way.
    pub(super) fn of(at_once: bool) -> Self {
        Self { at_once, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads so many bursts, where a packet costs so many nanoseconds each way, and says how many were read at once.
    fn read(trial: &mut Trial, bursts: usize, at_once: u64, one_by_one: u64) -> usize {
        let mut count = 0;
        for _ in 0..bursts {
            let cost = if trial.at_once() { at_once } else { one_by_one };
            count += usize::from(trial.at_once());
            trial.took(Duration::from_nanos(64 * cost), 64);
        }
        count
    }

    #[test]
    fn the_better_way_is_found_and_kept() {
        let mut trial = Trial::default();
        assert!(read(&mut trial, 10, 700, 600) < 8);
        assert!(read(&mut trial, 50, 700, 600) < 20);
        assert_eq!(read(&mut trial, 6400, 700, 600), 100);
        let mut trial = Trial::default();
        assert!(read(&mut trial, 10, 600, 700) > 2);
        read(&mut trial, 50, 600, 700);
        assert_eq!(read(&mut trial, 6400, 600, 700), 6300);
    }

    #[test]
    fn what_changes_is_followed() {
        let mut trial = Trial::default();
        for _ in 0..3 {
            read(&mut trial, 1000, 600, 700);
            assert!(trial.at_once);
            read(&mut trial, 1000, 700, 600);
            assert!(!trial.at_once);
        }
    }

    /// Preempted, say.
    #[test]
    fn a_burst_that_took_long_by_chance_changes_nothing() {
        let mut trial = Trial::default();
        read(&mut trial, 1000, 600, 700);
        for n in 0..1000 {
            let cost = if trial.at_once() { 600 } else { 700 };
            // More often than it is tried, and never at the same place of a trial for long.
            let time = if n % 37 == 0 { Duration::from_millis(1) } else { Duration::from_nanos(64 * cost) };
            trial.took(time, 64);
            assert!(trial.at_once);
        }
    }

    #[test]
    fn a_burst_of_few_says_nothing() {
        let mut trial = Trial::default();
        for _ in 0..1000 {
            trial.took(Duration::from_millis(1), MEASURED - 1);
            assert!(!trial.at_once() && trial.next == Next::Before);
        }
    }
}
