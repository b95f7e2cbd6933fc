//! Hybrid slow start with the constants and the order of Linux, for who wants the same window as there.

use super::{INFINITY, MAX_RTT_THRESH, MIN_RTT_DIVISOR, MIN_RTT_THRESH, N_RTT_SAMPLE, micros};
use crate::seq::Seq;
use crate::tcp::congestion::AckSample;
use crate::time::{Duration, Instant};

/// Below this window, in segments, it does not look.
const LEAST: u32 = 16;

/// Acknowledgments no further apart belong to one train.
const SPACING: Duration = Duration::from_millis(2);

/// Times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp::congestion) struct Classic {
    trains: bool,
    delays: bool,
    /// The round ends when more than this is acknowledged.
    end: Option<Seq>,
    began: Instant,
    last: Instant,
    shortest: u32,
    current: u32,
    samples: u8,
}

impl Classic {
    pub(super) const fn new(trains: bool, delays: bool) -> Self {
        Self {
            trains,
            delays,
            end: None,
            began: Instant::ZERO,
            last: Instant::ZERO,
            shortest: INFINITY,
            current: INFINITY,
            samples: 0,
        }
    }

    pub(super) fn on_ack(&mut self, sample: &AckSample, segments: u32) -> bool {
        let Some(rtt) = sample.rtt.map(micros) else { return false };
        self.shortest = self.shortest.min(rtt);
        if segments < LEAST {
            return false;
        }
        if self.end.is_none_or(|end| sample.una.after(end)) {
            self.end = Some(sample.nxt);
            (self.began, self.last) = (sample.now, sample.now);
            (self.current, self.samples) = (INFINITY, 0);
        }
        if self.trains && sample.now.saturating_since(self.last) <= SPACING {
            self.last = sample.now;
            if micros(sample.now.saturating_since(self.began)) > self.shortest / 2 {
                return true;
            }
        }
        self.current = self.current.min(rtt);
        if self.samples < N_RTT_SAMPLE {
            self.samples += 1;
            return false;
        }
        let threshold = (self.shortest / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
        self.delays && self.current > self.shortest.saturating_add(threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives which of the acknowledgments, each so many milliseconds after the one before and with such a round trip,
    /// ends slow start.
    fn ends(trains: bool, delays: bool, acks: &[(u64, u64)]) -> Option<usize> {
        let mut classic = Classic::new(trains, delays);
        let mut now = Instant::from_secs(1);
        acks.iter().zip(0..).position(|((gap, rtt), n)| {
            now += Duration::from_millis(*gap);
            let sample = AckSample {
                now,
                rtt: Some(Duration::from_millis(*rtt)),
                una: Seq::new(n + 1),
                nxt: Seq::new(1000),
                ..AckSample::of(1)
            };
            classic.on_ack(&sample, if n == 0 { LEAST - 1 } else { LEAST })
        })
    }

    #[test]
    fn the_ninth_sample_of_a_round_tells_of_delay() {
        let long = |rtt| [&[(0, 200)][..], &[(10, rtt); 20]].concat();
        assert_eq!(ends(false, true, &long(217)), Some(9));
        assert_eq!(ends(false, true, &long(216)), None, "200 + 16 is not passed");
        assert_eq!(ends(true, false, &long(300)), None);
        let mut once = long(300);
        once[5].1 = 201;
        assert_eq!(ends(false, true, &once), None, "the shortest of the round counts");
        once[5].1 = 20;
        assert_eq!(ends(false, true, &once), None, "and of the connection too");
    }

    #[test]
    fn a_train_of_half_a_round_trip_ends_it() {
        let train = |gap| [&[(0, 20)][..], &[(gap, 20); 20]].concat();
        // Begun by the first one that is looked at, 11 ms later.
        assert_eq!(ends(true, false, &train(1)), Some(12));
        assert_eq!(ends(true, false, &train(3)), None, "too far apart");
        assert_eq!(ends(false, true, &train(1)), None);
    }

    #[test]
    fn small_windows_and_acknowledgments_without_a_round_trip_say_nothing() {
        let mut classic = Classic::new(true, true);
        let mut now = Instant::ZERO;
        for rtt in [10, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500, 500] {
            now += Duration::from_millis(1);
            let sample = AckSample { now, rtt: Some(Duration::from_millis(rtt)), ..AckSample::of(1) };
            assert!(!classic.on_ack(&sample, LEAST - 1));
            assert!(!classic.on_ack(&AckSample { rtt: None, ..sample }, 100));
        }
    }
}
