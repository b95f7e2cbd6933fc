//! Paths that swallow what Fast Open sends (Linux's `tcp_fastopen_blackhole_timeout_sec`): after a sign of one, no client
//! of the stack uses it for a time.

use crate::time::{Duration, Instant};

/// The longest pause, in doublings of the first.
const MOST_DOUBLINGS: u32 = 6;

/// Whether clients pause.
#[derive(Clone, Copy, Debug, Default)]
pub struct BlackHole {
    since: Instant,
    times: u32,
}

/// What a client may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// Go on.
    Free,
    /// Go on; the last pause is over, and it is to be seen whether what made it is.
    Probation,
    /// Nothing of Fast Open.
    Paused,
}

impl BlackHole {
    /// What a client may do now, where the first pause lasts `first`; with zero there are none.
    pub fn leave(&self, now: Instant, first: Duration) -> Leave {
        if first.is_zero() || self.times == 0 {
            return Leave::Free;
        }
        let pause = first.saturating_mul(1 << (self.times - 1).min(MOST_DOUBLINGS));
        if now < self.since + pause { Leave::Paused } else { Leave::Probation }
    }

    /// There is a sign of one. Says whether that begins a pause.
    pub const fn seen(&mut self, now: Instant, first: Duration) -> bool {
        if first.is_zero() {
            return false;
        }
        self.since = now;
        self.times = self.times.saturating_add(1);
        true
    }

    /// A connection on probation did well.
    pub const fn passed(&mut self) {
        self.times = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_one_does_well() {
        let first = Duration::from_secs(10);
        let mut hole = BlackHole::default();
        let mut now = Instant::from_secs(5);
        assert_eq!(hole.leave(now, first), Leave::Free);
        for seconds in [10, 20, 40, 80, 160, 320, 640, 640, 640] {
            assert!(hole.seen(now, first));
            now = now + Duration::from_secs(seconds) - Duration::from_millis(1);
            assert_eq!(hole.leave(now, first), Leave::Paused, "{seconds}");
            now += Duration::from_millis(1);
            assert_eq!(hole.leave(now, first), Leave::Probation, "{seconds}");
        }
        hole.passed();
        assert_eq!(hole.leave(now, first), Leave::Free);
        assert!(hole.seen(now, first));
        assert_eq!(hole.leave(now + first, first), Leave::Probation);
    }

    #[test]
    fn without_a_time_there_are_none() {
        let mut hole = BlackHole::default();
        assert!(!hole.seen(Instant::from_secs(5), Duration::ZERO));
        assert_eq!(hole.leave(Instant::from_secs(5), Duration::from_secs(9)), Leave::Free);
    }
}
