//! How long who sits looks for packets again and again before it sleeps.
//!
//! A peer that answers at once answers before a thread that went to sleep would be awake again. Where nothing comes so soon,
//! looking is time lost to others: it is tried again, but more and more rarely.

use std::time::Duration;

/// How long is looked where nobody has said.
const USUAL: Duration = Duration::from_micros(50);

/// So many failures in a row change nothing: where answers come as fast as this, one is late now and then.
const FORGIVEN: u32 = 3;

/// After so many more the waits between two looks grow no longer: 2 to the power of it.
const FAILURES: u32 = 8;

/// How long to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Spin {
    /// A little, as long as that finds packets.
    #[default]
    WhereItPays,
    /// Always so long.
    For(Duration),
}

impl From<Duration> for Spin {
    fn from(time: Duration) -> Self {
        Self::For(time)
    }
}

/// What looking has brought.
#[derive(Debug, Default)]
pub(super) struct Luck {
    /// Looks in a row that found nothing.
    failures: u32,
    /// Waits before which it is not tried.
    left_out: u32,
}

impl Luck {
    /// How long to look before the sleep that is due now.
    pub(super) fn time(&mut self, spin: Spin) -> Duration {
        match spin {
            Spin::For(time) => time,
            Spin::WhereItPays if self.left_out == 0 => USUAL,
            Spin::WhereItPays => {
                self.left_out -= 1;
                Duration::ZERO
            }
        }
    }

    /// The look is over; `found`: packets. One that something else has ended says nothing.
    pub(super) fn looked(&mut self, found: bool) {
        self.failures = if found { 0 } else { (self.failures + 1).min(FORGIVEN + FAILURES) };
        self.left_out = (1 << self.failures.saturating_sub(FORGIVEN)) - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before which of so many waits is looked, where `finds` says of each whether that would find something.
    fn looks(waits: usize, finds: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut luck = Luck::default();
        let mut looks = Vec::new();
        for wait in 0..waits {
            if luck.time(Spin::WhereItPays) > Duration::ZERO {
                looks.push(wait);
                luck.looked(finds(wait));
            }
        }
        looks
    }

    #[test]
    fn what_pays_is_done_each_time() {
        assert_eq!(looks(100, |_| true).len(), 100);
    }

    #[test]
    fn what_fails_is_done_ever_more_rarely_and_never_given_up() {
        assert_eq!(looks(600, |_| false), [0, 1, 2, 3, 5, 9, 17, 33, 65, 129, 257, 513]);
        let long = looks(10_000, |_| false);
        assert!(long.windows(2).skip(10).all(|pair| pair[1] - pair[0] == 256), "{long:?}");
    }

    #[test]
    fn one_success_and_it_counts_again() {
        assert_eq!(looks(30, |wait| wait > 9), [[0, 1, 2, 3, 5, 9].to_vec(), (17..30).collect()].concat());
    }

    #[test]
    fn what_a_user_chose_is_done_always() {
        let mut luck = Luck::default();
        for time in [Duration::ZERO, Duration::from_millis(3)] {
            for _ in 0..5 {
                luck.looked(false);
                assert_eq!(luck.time(time.into()), time);
            }
        }
    }
}
