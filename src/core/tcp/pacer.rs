//! Departure times: bursts, spaced so that on average no more leaves than a rate allows (draft-ietf-ccwg-bbr §5.6.2).

use crate::time::{Duration, Instant};

/// A timer that fires so late is a timer's fault, and the time is made up for. Of a longer silence, which is the
/// program's or the network's, half a burst is.
const TIMERS_FAULT: u64 = 1_000_000;

/// The schedule of one connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Pacer {
    /// C.next_send_time: when all that has left would have left at the rate asked for.
    next: Instant,
    /// When the burst under way began.
    began: Instant,
    /// Octets of it that have not left.
    left: u32,
}

impl Pacer {
    pub(in crate::tcp) const fn new() -> Self {
        Self { next: Instant::ZERO, began: Instant::ZERO, left: 0 }
    }

    /// What leaves now begins a burst.
    fn begins_anew(&self, now: Instant) -> bool {
        self.left == 0 || (self.next <= now && self.began != now)
    }

    /// Octets that may leave now before a burst is over; a new one has `quantum`.
    pub(in crate::tcp) fn left(&self, quantum: u32, now: Instant) -> u32 {
        if self.begins_anew(now) { quantum } else { self.left }
    }

    /// `len` octets leave now, at `rate` octets a second in bursts of `quantum` octets. Says until when nothing more
    /// may leave, if the burst is over.
    pub(in crate::tcp) fn departed(
        &mut self,
        len: u32,
        rate: u64,
        quantum: u32,
        now: Instant,
    ) -> Option<Instant> {
        if self.begins_anew(now) {
            let lag = nanos(now.saturating_since(self.next));
            let credit = if lag <= TIMERS_FAULT { lag } else { lag.min(time(quantum, rate) / 2) };
            // What leaves in spite of the schedule is on top of it.
            self.next = self.next.max(now - Duration::from_nanos(credit));
            self.left = quantum;
            self.began = now;
        }
        self.next += Duration::from_nanos(time(len, rate));
        self.left = self.left.saturating_sub(len);
        (self.left == 0 && self.next > now).then_some(self.next)
    }
}

/// How long `octets` take, nanoseconds.
fn time(octets: u32, rate: u64) -> u64 {
    u64::from(octets) * 1_000_000_000 / rate.max(1)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn a_burst_leaves_at_once_and_the_next_after_its_time() {
        let mut p = Pacer { next: at(100), ..Pacer::new() };
        // 1 octet a microsecond, bursts of 3000.
        assert_eq!(p.departed(1000, 1_000_000, 3000, at(100)), None);
        assert_eq!(p.departed(1000, 1_000_000, 3000, at(100)), None);
        assert_eq!(p.departed(1000, 1_000_000, 3000, at(100)), Some(at(103)));
        assert_eq!(p.departed(3000, 1_000_000, 3000, at(103)), Some(at(106)));
    }

    #[test]
    fn a_late_timer_is_made_up_for_and_a_silence_by_half_a_burst() {
        let late = Instant::from_nanos(100 * MS + MS / 2);
        let mut p = Pacer { next: at(100), ..Pacer::new() };
        assert_eq!(p.departed(3000, 1_000_000, 3000, late), Some(at(103)));
        assert_eq!(p.departed(3000, 1_000_000, 3000, at(200)), Some(Instant::from_nanos(201 * MS + MS / 2)));
        // What did not fill a burst in its time leaves no debt.
        assert_eq!(p.departed(100, 1_000_000, 3000, at(300)), None);
        assert_eq!(p.departed(3000, 1_000_000, 3000, at(400)), Some(Instant::from_nanos(401 * MS + MS / 2)));
    }

    #[test]
    fn a_credit_does_not_lengthen_the_burst() {
        let mut p = Pacer::new();
        assert_eq!(p.departed(1000, 1_000_000, 2000, at(100)), None, "the schedule is just reached");
        assert_eq!(p.departed(1000, 1_000_000, 2000, at(100)), Some(at(101)));
        // What is urgent leaves nevertheless, and what is not the later.
        assert_eq!(p.departed(2000, 1_000_000, 2000, at(100)), Some(at(103)));
    }

    #[test]
    fn a_slow_rate_counts_what_trickles() {
        let mut p = Pacer::new();
        assert_eq!(p.departed(2000, 1_000_000, 2000, at(0)), Some(at(2)));
        for i in 0..10 {
            // One at a time, of a burst of ten: each has its millisecond.
            let gate = p.departed(1000, 1_000_000, 10_000, at(2));
            assert_eq!(gate, (i == 9).then_some(at(12)));
        }
    }

    proptest! {
        /// Over any time, no more leaves than the rate allows, and two bursts and a late timer.
        #[test]
        fn the_rate_is_kept(
            rate in 1u64..10_000_000_000,
            quantum in 1u32..100_000,
            steps in proptest::collection::vec((1u32..10_000, 0u64..5_000_000), 1..200),
        ) {
            let mut p = Pacer { next: at(1000), ..Pacer::new() };
            let (mut now, mut sent) = (at(1000), 0u64);
            let mut gate: Option<Instant> = None;
            for (len, wait) in steps {
                now += Duration::from_nanos(wait);
                now = now.max(gate.unwrap_or(now));
                sent += u64::from(len);
                gate = p.departed(len, rate, quantum, now);
                let elapsed = nanos(now.saturating_since(at(1000))) + TIMERS_FAULT;
                let allowed = u128::from(elapsed) * u128::from(rate) / 1_000_000_000;
                prop_assert!(u128::from(sent) <= allowed + u128::from(quantum) * 2 + u128::from(len) + 200);
            }
        }

        #[test]
        fn no_rate_and_no_length_panics(len: u32, rate: u64, quantum: u32, next: u64, now: u64) {
            let mut p = Pacer { next: Instant::from_nanos(next), ..Pacer::new() };
            let now = Instant::from_nanos(now);
            if let Some(gate) = p.departed(len, rate, quantum, now) {
                prop_assert!(gate > now);
            }
        }
    }
}
