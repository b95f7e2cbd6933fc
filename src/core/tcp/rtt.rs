//! The retransmission timeout (RFC 6298).

use crate::time::{Duration, Instant, nanos};

/// G of RFC 6298 §2: the variance term is at least this.
const GRANULARITY: u32 = 1_000;

/// Fractions of a microsecond in which SRTT and RTTVAR are kept, as bits: averaging over many samples a round
/// trip (RFC 7323 Appendix G) would else be lost in rounding.
const FRACTION: u32 = 20;

/// The largest backoff that is counted.
const MAX_BACKOFFS: u8 = 32;

/// For how long the smallest round trip is believed, seconds.
const MIN_RTT_WINDOW: u32 = 300;

/// Round-trip time and retransmission timeout of one connection.
///
/// RTO is SRTT plus the variance term, and the floor applies to that term, as in Linux:
/// `RTO = SRTT + max(G, min_rto, 4·RTTVAR)`. RFC 6298 (2.3) and (2.4) have `max(SRTT + max(G, 4·RTTVAR), 1 s)`
/// instead. With a floor of 1 s the timeout here is never shorter than the RFC's, and the smaller floors that
/// are usual (200 ms) stay a margin above the round trip, where with the RFC's formula they would be no margin at
/// all on a path of that length: one delayed acknowledgment would then be a timeout.
#[derive(Clone, Copy, Debug)]
pub struct RttEstimator {
    /// SRTT in 2⁻²⁰ µs; 0 before the first sample.
    srtt: u64,
    /// RTTVAR in 2⁻²⁰ µs.
    rttvar: u64,
    /// RTO without the backoff, µs.
    rto: u32,
    /// The largest RTO, µs.
    max_rto: u32,
    /// The smallest sample, µs.
    min_rtt: u32,
    /// When it was seen, whole seconds of the stack's time.
    min_rtt_at: u32,
    /// The last sample, µs; 0 before the first.
    recent: u32,
    backoffs: u8,
}

impl RttEstimator {
    /// Before any sample, with this RTO (RFC 6298 (2.1): 1 s) and the largest of two minutes.
    pub fn new(initial: Duration) -> Self {
        Self::with_max(initial, Duration::from_secs(120))
    }

    /// As [`new`](Self::new), with another largest RTO; it holds until a sample brings its own.
    pub fn with_max(initial: Duration, max_rto: Duration) -> Self {
        let max_rto = micros(max_rto);
        Self {
            srtt: 0,
            rttvar: 0,
            rto: micros(initial).min(max_rto),
            max_rto,
            min_rtt: u32::MAX,
            min_rtt_at: 0,
            recent: 0,
            backoffs: 0,
        }
    }

    /// A round trip took `rtt`; it must be unambiguous which transmission was acknowledged (Karn's rule, RFC
    /// 6298 §3). Ends the backoff.
    ///
    /// `samples_per_rtt` is how many samples a window's worth of data yields, about FlightSize / (2·SMSS) when
    /// every acknowledgment gives one, and 1 when one a round trip is taken: the gains are divided by it, so
    /// that the memory is as long as with one (RFC 7323 Appendix G). 0 counts as 1.
    pub fn sample(&mut self, rtt: Duration, min_rto: Duration, max_rto: Duration, samples_per_rtt: u32) {
        self.sample_nanos(nanos(rtt), min_rto, max_rto, samples_per_rtt);
    }

    /// The same where it took so many nanoseconds.
    pub fn sample_nanos(&mut self, rtt: u64, min_rto: Duration, max_rto: Duration, samples_per_rtt: u32) {
        let rtt = whole_micros(rtt).max(1);
        let r = u64::from(rtt) << FRACTION;
        let n = u64::from(samples_per_rtt.max(1));
        if self.srtt == 0 {
            //= https://www.rfc-editor.org/rfc/rfc6298#section-2
            //= id=rfc6298-2-2
            //# When the first RTT measurement R is made, the host MUST set
            // (2.2)
            self.srtt = r;
            self.rttvar = r / 2;
        } else {
            //= https://www.rfc-editor.org/rfc/rfc6298#section-2
            //= id=rfc6298-2-3, rfc6298-2-4, rfc6298-2-5
            // (2.3) RTTVAR first: it wants SRTT as it was.
            self.rttvar = towards(self.rttvar, self.srtt.abs_diff(r), 4 * n);
            self.srtt = towards(self.srtt, r, 8 * n);
        }
        self.min_rtt = self.min_rtt.min(rtt.min(u32::MAX - 1));
        self.recent = rtt;
        self.backoffs = 0;
        self.max_rto = micros(max_rto);
        let variance =
            //= https://www.rfc-editor.org/rfc/rfc6298#section-2
            //= id=rfc6298-2-6
            //= https://www.rfc-editor.org/rfc/rfc6298#section-4
            //= id=rfc6298-4-1
            (4 * self.rttvar).div_ceil(1 << FRACTION).max(u64::from(GRANULARITY.max(micros(min_rto))));
        let rto = self.srtt.div_ceil(1 << FRACTION) + variance;
        self.rto = rto.min(u64::from(self.max_rto)) as u32;
    }

    /// A segment took `rtt` to be acknowledged, of which the smallest of late is remembered: of the last 300 s, as in
    /// Linux, so that a path which becomes longer is found out.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //# The sender SHOULD track a windowed min-filtered estimate of recent RTT measurements that can adapt
    //# when migrating to significantly longer paths rather than tracking a simple global minimum of all RTT
    //# measurements.
    pub fn observe(&mut self, rtt: Duration, now: Instant) {
        self.observe_nanos(nanos(rtt), now);
    }

    /// The same where it took so many nanoseconds.
    pub fn observe_nanos(&mut self, rtt: u64, now: Instant) {
        let (rtt, now) = (whole_micros(rtt).clamp(1, u32::MAX - 1), (now.as_millis() / 1000) as u32);
        self.recent = rtt;
        if rtt <= self.min_rtt || now.saturating_sub(self.min_rtt_at) > MIN_RTT_WINDOW {
            self.min_rtt = rtt;
            self.min_rtt_at = now;
        }
    }

    /// SRTT, when there was a sample.
    pub fn srtt(&self) -> Option<Duration> {
        (self.srtt > 0).then(|| Duration::from_micros(self.srtt >> FRACTION))
    }

    /// RTTVAR, when there was a sample.
    pub fn rttvar(&self) -> Option<Duration> {
        (self.srtt > 0).then(|| Duration::from_micros(self.rttvar >> FRACTION))
    }

    /// The smallest sample there was.
    pub fn min_rtt(&self) -> Option<Duration> {
        (self.min_rtt != u32::MAX).then(|| Duration::from_micros(u64::from(self.min_rtt)))
    }

    /// The last sample there was.
    pub fn recent(&self) -> Option<Duration> {
        (self.recent > 0).then(|| Duration::from_micros(u64::from(self.recent)))
    }

    /// The timeout as it stands: doubled once for each backoff, at most the largest RTO.
    pub fn rto(&self) -> Duration {
        Duration::from_nanos(self.rto_nanos())
    }

    /// The same in nanoseconds, for the deadlines of each segment.
    pub fn rto_nanos(&self) -> u64 {
        let backed_off = u64::from(self.rto) << self.backoffs.min(MAX_BACKOFFS);
        backed_off.min(u64::from(self.max_rto)) * 1_000
    }

    /// SRTT in nanoseconds, when there was a sample.
    pub fn srtt_nanos(&self) -> Option<u64> {
        (self.srtt > 0).then_some((self.srtt >> FRACTION) * 1_000)
    }

    /// The timer expired: the timeout doubles (RFC 6298 (5.5)) and stays so until a sample.
    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //= id=rfc6298-5-3
    //# The host MUST set RTO <- RTO * 2
    pub fn back_off(&mut self) {
        self.backoffs = (self.backoffs + 1).min(MAX_BACKOFFS);
    }

    /// Ends the backoff without a sample: where new data was acknowledged but the timeout proved spurious, and
    /// when the persist timer gives way to the retransmission timer.
    pub fn reset_back_off(&mut self) {
        self.backoffs = 0;
    }

    /// How often in a row the timer expired.
    pub const fn backoffs(&self) -> u8 {
        self.backoffs
    }

    /// The handshake is done and its SYN timed out: where no sample says better, the timeout begins anew with
    /// at least 3 s (RFC 6298 (5.7)).
    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //= id=rfc6298-5-4
    //# the RTO MUST be re-initialized to 3 seconds when data transmission begins
    pub fn set_rto_after_syn_timeout(&mut self) {
        if self.srtt == 0 {
            self.backoffs = 0;
            self.rto = self.rto.max(3_000_000);
        }
    }
}

/// `old` moved the `divisor`th part of the way to `new`, rounded to the nearest.
fn towards(old: u64, new: u64, divisor: u64) -> u64 {
    let step = |distance: u64| distance.saturating_add(divisor / 2) / divisor;
    if new >= old { old + step(new - old) } else { old - step(old - new) }
}

/// Whole microseconds, rounded up, at most `u32::MAX` (71 minutes).
fn micros(d: Duration) -> u32 {
    whole_micros(nanos(d))
}

fn whole_micros(nanos: u64) -> u32 {
    u32::try_from(nanos.saturating_add(999) / 1_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(120);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn us(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    #[test]
    fn fits_its_budget() {
        assert!(size_of::<RttEstimator>() <= 40);
    }

    #[test]
    fn before_a_sample() {
        let e = RttEstimator::new(SECOND);
        assert_eq!((e.rto(), e.srtt(), e.rttvar(), e.min_rtt()), (SECOND, None, None, None));
    }

    /// By hand from RFC 6298 (2.2) and (2.3). R = 100: SRTT 100, RTTVAR 50. R' = 140:
    /// RTTVAR = 3/4·50 + 1/4·|100 - 140| = 47.5, SRTT = 7/8·100 + 1/8·140 = 105. R' = 65:
    /// RTTVAR = 3/4·47.5 + 1/4·40 = 45.625, SRTT = 7/8·105 + 1/8·65 = 100.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.1
    //= type=test
    //= id=MUST-18
    //= https://www.rfc-editor.org/rfc/rfc6298#section-2
    //= type=test
    //= id=rfc6298-2-2, rfc6298-2-3, rfc6298-2-4, rfc6298-2-5, rfc6298-2-6
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= type=test
    //= id=rfc8985-6.2-1
    #[test]
    fn the_smallest_is_that_of_the_last_five_minutes() {
        let mut e = RttEstimator::new(SECOND);
        let at = Instant::from_secs;
        for (rtt, when, smallest) in [(10, 0, 10), (50, 200, 10), (50, 300, 10), (50, 302, 50), (40, 303, 40)]
        {
            e.observe(Duration::from_millis(rtt), at(when));
            assert_eq!(e.min_rtt(), Some(Duration::from_millis(smallest)), "{rtt} ms at {when} s");
        }
    }

    #[test]
    fn vectors_by_hand() {
        let mut e = RttEstimator::new(SECOND);
        for (r, srtt, rttvar, rto) in [
            (100, ms(100), ms(50), ms(300)),
            (140, ms(105), us(47_500), ms(295)),
            (65, ms(100), us(45_625), us(282_500)),
        ] {
            e.sample(ms(r), Duration::ZERO, MAX, 1);
            assert_eq!((e.srtt(), e.rttvar(), e.rto()), (Some(srtt), Some(rttvar), rto));
        }
        assert_eq!(e.min_rtt(), Some(ms(65)));
    }

    /// RFC 7323 Appendix G with two samples a round trip: alpha' = 1/16, beta' = 1/8. After R = 160, R' = 320:
    /// RTTVAR = 7/8·80 + 1/8·160 = 90, SRTT = 15/16·160 + 1/16·320 = 170.
    #[test]
    fn many_samples_a_round_trip_count_less_each() {
        let mut e = RttEstimator::new(SECOND);
        e.sample(ms(160), Duration::ZERO, MAX, 2);
        e.sample(ms(320), Duration::ZERO, MAX, 2);
        assert_eq!((e.srtt(), e.rttvar()), (Some(ms(170)), Some(ms(90))));
    }

    #[test]
    fn many_samples_a_round_trip_still_arrive() {
        let mut e = RttEstimator::new(SECOND);
        e.sample(us(50), Duration::ZERO, MAX, 1);
        for _ in 0..100_000 {
            e.sample(us(60), Duration::ZERO, MAX, 1000);
        }
        assert!(e.srtt().unwrap() >= us(59), "{:?}", e.srtt());
        assert!(e.rttvar().unwrap() <= us(1), "{:?}", e.rttvar());
    }

    //= https://www.rfc-editor.org/rfc/rfc6298#section-4
    //= type=test
    //= id=rfc6298-4-1
    #[test]
    fn the_floor_is_on_the_variance_term() {
        let mut e = RttEstimator::new(SECOND);
        e.sample(ms(500), ms(200), MAX, 1);
        assert_eq!(e.rto(), ms(500 + 1000));
        for _ in 0..100 {
            e.sample(ms(500), ms(200), MAX, 1);
        }
        assert_eq!(e.rto(), ms(700));
        e.sample(ms(500), Duration::ZERO, MAX, 1);
        assert_eq!(e.rto(), ms(501), "G");
    }

    #[test]
    fn backs_off_to_the_largest_and_recovers_with_a_sample() {
        let mut e = RttEstimator::new(SECOND);
        e.sample(ms(100), ms(200), Duration::from_secs(2), 1);
        for rto in [300, 600, 1200, 2000, 2000] {
            assert_eq!(e.rto(), ms(rto));
            e.back_off();
        }
        assert_eq!(e.backoffs(), 5);
        for _ in 0..1000 {
            e.back_off();
        }
        assert_eq!(e.rto(), ms(2000));
        e.sample(ms(100), ms(200), MAX, 1);
        assert_eq!((e.backoffs(), e.rto()), (0, ms(300)));
        e.back_off();
        e.reset_back_off();
        assert_eq!(e.rto(), ms(300));
    }

    #[test]
    fn the_first_timeouts_have_a_largest_too() {
        let mut e = RttEstimator::with_max(SECOND, Duration::from_secs(3));
        e.back_off();
        e.back_off();
        assert_eq!(e.rto(), Duration::from_secs(3));
        assert_eq!(RttEstimator::with_max(SECOND * 9, SECOND).rto(), SECOND);
    }

    //= https://www.rfc-editor.org/rfc/rfc6298#section-5
    //= type=test
    //= id=rfc6298-5-4
    #[test]
    fn three_seconds_after_a_lost_syn() {
        let mut e = RttEstimator::new(SECOND);
        e.back_off();
        e.set_rto_after_syn_timeout();
        assert_eq!((e.rto(), e.backoffs()), (SECOND * 3, 0));
        e.sample(ms(100), ms(200), MAX, 1);
        e.set_rto_after_syn_timeout();
        assert_eq!(e.rto(), ms(300));
        let mut e = RttEstimator::new(SECOND * 5);
        e.set_rto_after_syn_timeout();
        assert_eq!(e.rto(), SECOND * 5);
    }

    proptest! {
        #[test]
        fn stays_among_its_samples(
            rtts in proptest::collection::vec(0..u64::MAX / 1000, 1..50),
            min in 0..2000u64, n: u32,
        ) {
            let mut e = RttEstimator::new(SECOND);
            for &r in &rtts {
                e.sample(us(r), ms(min), MAX, n);
            }
            let seen = || rtts.iter().map(|&r| us(r.clamp(1, u32::MAX.into())));
            prop_assert!(e.srtt().unwrap() >= seen().min().unwrap());
            prop_assert!(e.srtt().unwrap() <= seen().max().unwrap());
            prop_assert_eq!(e.min_rtt(), seen().min().map(|min| min.min(us(u64::from(u32::MAX) - 1))));
            prop_assert!(e.rto() <= MAX && e.rto() >= (e.srtt().unwrap() + ms(min)).min(MAX));
        }
    }
}
