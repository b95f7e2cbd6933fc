//! When to leave the first slow start before a loss: HyStart++ (RFC 9406), and what it came from.

use super::{AckSample, Hystart};
use crate::seq::Seq;
use crate::time::Duration;

mod classic;

use classic::Classic;

/// RFC 9406 §4.3; times in microseconds.
const MIN_RTT_THRESH: u32 = 4_000;
const MAX_RTT_THRESH: u32 = 16_000;
const MIN_RTT_DIVISOR: u32 = 8;
//= https://www.rfc-editor.org/rfc/rfc9406#section-4.3
//= id=rfc9406-4.3-2
// Each acknowledgment of what was sent once gives a sample. Where the peer acknowledges less often there may be too few, and
// slow start goes on until a loss.
const N_RTT_SAMPLE: u8 = 8;
//= https://www.rfc-editor.org/rfc/rfc9406#section-4.3
//= id=rfc9406-4.3-3
//# The minimum value of CSS_GROWTH_DIVISOR MUST be at least 2.
const CSS_GROWTH_DIVISOR: u32 = 4;
const CSS_ROUNDS: u8 = 5;

const INFINITY: u32 = u32::MAX;

/// What watches over the first slow start.
#[derive(Clone, Copy, Debug)]
pub(super) enum Watch {
    Off,
    PlusPlus(PlusPlus),
    Classic(Classic),
}

impl Watch {
    pub(super) const fn new(which: Hystart) -> Self {
        match which {
            Hystart::Off => Self::Off,
            Hystart::PlusPlus => Self::PlusPlus(PlusPlus::new()),
            Hystart::Classic { trains, delays } => Self::Classic(Classic::new(trains, delays)),
        }
    }

    /// What growth is divided by.
    pub(super) const fn divisor(&self) -> u32 {
        match self {
            Self::PlusPlus(p) if p.conservative() => CSS_GROWTH_DIVISOR,
            _ => 1,
        }
    }

    /// What growth was divided by in all of the last round trip: by nothing, where it began to be in the midst of that.
    pub(super) const fn divisor_of_round(&self) -> u32 {
        match self {
            Self::PlusPlus(p) if p.rounds > 0 => CSS_GROWTH_DIVISOR,
            _ => 1,
        }
    }

    /// Takes an acknowledgment before the window grows by it. True where slow start is to end now.
    pub(super) fn before_growth(&mut self, sample: &AckSample, segments: u32) -> bool {
        if let Self::Classic(c) = self { c.on_ack(sample, segments) } else { false }
    }

    /// Takes it afterwards.
    pub(super) fn after_growth(&mut self, sample: &AckSample) -> bool {
        if let Self::PlusPlus(p) = self { p.on_ack(sample) } else { false }
    }
}

/// Microseconds, less than [`INFINITY`].
fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(INFINITY).min(INFINITY - 1)
}

/// HyStart++ (RFC 9406 §4.2): times in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlusPlus {
    /// windowEnd: when it is acknowledged, the round ends.
    window_end: Option<Seq>,
    last_round_min: u32,
    current_round_min: u32,
    /// cssBaselineMinRtt; infinity outside of Conservative Slow Start.
    baseline: u32,
    samples: u8,
    /// Rounds of Conservative Slow Start that are complete.
    rounds: u8,
}

impl PlusPlus {
    const fn new() -> Self {
        Self {
            window_end: None,
            last_round_min: INFINITY,
            current_round_min: INFINITY,
            baseline: INFINITY,
            samples: 0,
            rounds: 0,
        }
    }

    const fn conservative(&self) -> bool {
        self.baseline != INFINITY
    }

    fn on_ack(&mut self, sample: &AckSample) -> bool {
        let end = *self.window_end.get_or_insert(sample.nxt);
        if let Some(rtt) = sample.rtt {
            self.current_round_min = self.current_round_min.min(micros(rtt));
            self.samples = self.samples.saturating_add(1);
            self.judge();
        }
        if sample.una.before(end) {
            return false;
        }
        //= https://www.rfc-editor.org/rfc/rfc9406#section-4.2
        //= id=rfc9406-4.2-s1, rfc9406-4.2-s4
        self.window_end = Some(sample.nxt);
        self.last_round_min = self.current_round_min;
        self.current_round_min = INFINITY;
        self.samples = 0;
        if self.conservative() {
            self.rounds = self.rounds.saturating_add(1);
        }
        self.rounds >= CSS_ROUNDS
    }

    fn judge(&mut self) {
        if self.samples < N_RTT_SAMPLE || self.current_round_min == INFINITY {
            return;
        }
        if self.conservative() {
            if self.current_round_min < self.baseline {
                //= https://www.rfc-editor.org/rfc/rfc9406#section-4.2
                //= id=rfc9406-4.2-s3
                //# resume slow start including HyStart++
                self.baseline = INFINITY;
                self.rounds = 0;
            }
        } else if self.last_round_min != INFINITY {
            let threshold = (self.last_round_min / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
            if self.current_round_min >= self.last_round_min.saturating_add(threshold) {
                //= https://www.rfc-editor.org/rfc/rfc9406#section-4.2
                //= id=rfc9406-4.2-s2
                //# exit slow start and enter CSS
                self.baseline = self.current_round_min;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of ten octets.
    struct Flow {
        watch: Watch,
        end: u32,
    }

    impl Flow {
        fn new() -> Self {
            Self { watch: Watch::new(Hystart::PlusPlus), end: 0 }
        }

        /// A round of these round trips, in milliseconds. Whether slow start is over, and the divisor at the end.
        fn round(&mut self, rtts: &[u64]) -> (bool, u32) {
            let (begin, mut over) = (self.end, false);
            self.end += 10;
            for (rtt, n) in rtts.iter().zip(1..) {
                let last = n == rtts.len() as u32;
                over |= self.watch.after_growth(&AckSample {
                    rtt: Some(Duration::from_millis(*rtt)),
                    una: Seq::new(if last { self.end } else { begin + n }),
                    nxt: Seq::new(if last { self.end + 10 } else { self.end }),
                    ..AckSample::of(1000)
                });
            }
            (over, self.watch.divisor())
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc9406#section-4.3
    //= type=test
    //= id=rfc9406-4.3-2
    #[test]
    fn a_round_trip_longer_by_an_eighth_begins_conservative_slow_start() {
        // RttThresh = clamp(lastRoundMinRTT / 8, 4 ms, 16 ms).
        for (last, threshold) in [(10, 4), (32, 4), (64, 8), (100, 12), (128, 16), (1000, 16)] {
            let mut flow = Flow::new();
            assert_eq!(flow.round(&[last; 10]), (false, 1));
            assert_eq!(
                flow.round(&[last + threshold - 1; 10]),
                (false, 1),
                "{last}: less than the threshold"
            );
            let mut flow = Flow::new();
            flow.round(&[last; 10]);
            assert_eq!(flow.round(&[last + threshold + 1; 7]), (false, 1), "{last}: too few samples");
            let mut flow = Flow::new();
            flow.round(&[last; 10]);
            assert_eq!(flow.round(&[last + threshold + 1; 8]), (false, 4), "{last}: enough");
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc9406#section-4.3
    //= type=test
    //= id=rfc9406-4.3-3
    //= https://www.rfc-editor.org/rfc/rfc9406#section-4.2
    //= type=test
    //= id=rfc9406-4.2-s1, rfc9406-4.2-s4, rfc9406-4.2-s5
    #[test]
    fn five_rounds_of_it_end_slow_start_the_partial_one_counted() {
        let mut flow = Flow::new();
        flow.round(&[50; 10]);
        assert_eq!(flow.round(&[60; 10]), (false, 4), "first");
        for round in 2..5 {
            assert_eq!(flow.round(&[60; 10]), (false, 4), "{round}");
        }
        assert!(flow.round(&[60; 10]).0, "fifth");
    }

    //= https://www.rfc-editor.org/rfc/rfc9406#section-4.2
    //= type=test
    //= id=rfc9406-4.2-s2, rfc9406-4.2-s3
    #[test]
    fn a_round_trip_below_the_baseline_resumes_slow_start() {
        let mut flow = Flow::new();
        flow.round(&[50; 10]);
        flow.round(&[60; 10]);
        assert_eq!(flow.round(&[59, 60, 60, 60, 60, 60, 60]), (false, 4), "too few samples to tell");
        assert_eq!(flow.round(&[60; 10]), (false, 4), "not below");
        assert_eq!(flow.round(&[60, 60, 60, 60, 60, 60, 60, 60, 59]), (false, 1));
        // From there on it watches as before: 59 + 7.375.
        assert_eq!(flow.round(&[66; 10]), (false, 1));
        assert_eq!(flow.round(&[75; 10]), (false, 4));
        for _ in 0..3 {
            assert!(!flow.round(&[75; 10]).0, "the rounds are counted anew");
        }
        assert!(flow.round(&[75; 10]).0);
    }

    /// Conservative slow start that begins in the midst of a round has not slowed all of it.
    #[test]
    fn the_first_round_of_it_counts_as_one_of_slow_start() {
        let mut flow = Flow::new();
        flow.round(&[50; 10]);
        assert_eq!(flow.watch.divisor_of_round(), 1);
        let end = flow.end;
        for n in 1..9 {
            let (una, nxt) = (Seq::new(end + n), Seq::new(end + 10));
            let rtt = Some(Duration::from_millis(60));
            flow.watch.after_growth(&AckSample { rtt, una, nxt, ..AckSample::of(1000) });
        }
        assert_eq!((flow.watch.divisor(), flow.watch.divisor_of_round()), (4, 1));
        flow.round(&[60; 10]);
        assert_eq!((flow.watch.divisor(), flow.watch.divisor_of_round()), (4, 4));
    }

    #[test]
    fn a_round_without_samples_is_compared_with_none() {
        let mut flow = Flow::new();
        flow.round(&[50; 10]);
        for _ in 0..3 {
            flow.end += 10;
            let (una, nxt) = (Seq::new(flow.end), Seq::new(flow.end + 10));
            assert!(!flow.watch.after_growth(&AckSample { una, nxt, ..AckSample::of(1000) }));
        }
        assert_eq!(flow.round(&[500; 10]), (false, 1), "lastRoundMinRTT is infinity");
    }

    #[test]
    fn without_it_nothing_ends_slow_start() {
        let mut watch = Watch::new(Hystart::Off);
        for n in 1..100u32 {
            // Rounds of twenty, the first of them short.
            let (rtt, end) = (if n <= 20 { 1 } else { 5 }, n.div_ceil(20) * 20);
            let (una, nxt) = (Seq::new(n), Seq::new(if n == end { end + 20 } else { end }));
            let sample = AckSample { rtt: Some(Duration::from_secs(rtt)), una, nxt, ..AckSample::of(1000) };
            assert!(!watch.before_growth(&sample, 100) && !watch.after_growth(&sample));
            assert_eq!(watch.divisor(), 1);
        }
    }
}
