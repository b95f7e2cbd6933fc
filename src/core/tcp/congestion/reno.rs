//! Slow start and congestion avoidance (RFC 5681 §3.1) with appropriate byte counting (RFC 3465).

use super::{AckSample, CongestionEvent, initial_window};

/// The algorithm's state: all sizes in octets.
#[derive(Clone, Debug)]
pub struct Reno {
    cwnd: u32,
    ssthresh: u32,
    mss: u32,
    /// Octets acknowledged since the window grew last in congestion avoidance (RFC 3465 §2.1).
    bytes_acked: u32,
    /// The window before the last reduction; 0 when there is nothing to give back.
    prior_cwnd: u32,
    prior_ssthresh: u32,
    initial_segments: u16,
}

impl Reno {
    /// A connection that has sent nothing yet. An `mss` of 0 counts as 1.
    pub fn new(mss: u32, initial_window_segments: u32) -> Self {
        let initial_segments = u16::try_from(initial_window_segments).unwrap_or(u16::MAX);
        let mss = mss.max(1);
        Self {
            cwnd: initial_window(mss, initial_segments.into()),
            //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
            //= id=rfc5681-3.1-8
            //# The initial value of ssthresh SHOULD be set arbitrarily high
            ssthresh: u32::MAX,
            mss,
            bytes_acked: 0,
            prior_cwnd: 0,
            prior_ssthresh: 0,
            initial_segments,
        }
    }

    pub(super) const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    pub(super) const fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn initial_window(&self) -> u32 {
        initial_window(self.mss, self.initial_segments.into())
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.2
    //= id=MUST-19
    //# A TCP endpoint MUST implement the basic congestion control algorithms slow start, congestion
    //# avoidance, and exponential backoff of RTO
    pub(super) fn on_ack(&mut self, sample: &AckSample) {
        // A window that was not used says nothing about the path (RFC 7661 §1.1, RFC 9438 §4.6).
        if !sample.cwnd_limited || sample.reducing {
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //= id=rfc5681-3.1-1
        //# The slow start and congestion avoidance algorithms MUST be used by a TCP sender
        if self.cwnd < self.ssthresh {
            // RFC 3465 §2.2, with L = 2; §2.3 wants L = 1 after a timeout, where one acknowledgment may cover
            // what had arrived long before.
            let limit = if sample.after_timeout { 1 } else { 2 };
            let growth = sample.acked.min(self.mss.saturating_mul(limit));
            self.cwnd = self.cwnd.saturating_add(growth);
        } else {
            // RFC 3465 §2.1: one segment for each window of acknowledged octets, and one at the most for an
            // acknowledgment.
            //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
            //= id=rfc5681-3.1-9, rfc5681-3.1-10, rfc5681-3.1-11, rfc5681-3.1-12
            self.bytes_acked = self.bytes_acked.saturating_add(sample.acked);
            if self.bytes_acked >= self.cwnd {
                self.bytes_acked = (self.bytes_acked - self.cwnd).min(self.cwnd);
                self.cwnd = self.cwnd.saturating_add(self.mss);
            }
        }
    }

    pub(super) fn on_event(&mut self, event: CongestionEvent, in_flight: u32) {
        match event {
            CongestionEvent::Loss | CongestionEvent::Ecn => {
                self.reduce(in_flight);
                //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
                //= id=rfc5681-3.2-12
                //= https://www.rfc-editor.org/rfc/rfc5681#section-4.3
                //= id=rfc5681-4.3-2, rfc5681-4.3-3
                self.cwnd = self.ssthresh;
            }
            CongestionEvent::Timeout { first } => {
                //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
                //= id=rfc5681-3.1-14, rfc5681-3.1-15
                // Where the same segment timed out before, the threshold is held (RFC 5681 §3.1).
                if first {
                    self.reduce(in_flight);
                }
                self.cwnd = self.mss;
            }
            // RW = min(IW, cwnd), RFC 5681 §4.1.
            CongestionEvent::Idle => {
                self.cwnd = self.cwnd.min(self.initial_window());
                self.bytes_acked = 0;
            }
            CongestionEvent::MssChanged(mss) => self.change_mss(mss),
            CongestionEvent::Undo => {
                if self.prior_cwnd > 0 {
                    self.cwnd = self.cwnd.max(self.prior_cwnd);
                    self.ssthresh = self.ssthresh.max(self.prior_ssthresh);
                    self.prior_cwnd = 0;
                }
            }
        }
    }

    pub(super) fn set_mss(&mut self, mss: u32) {
        let untouched = self.ssthresh == u32::MAX && self.cwnd == self.initial_window();
        self.change_mss(mss);
        if untouched {
            self.cwnd = self.initial_window();
        }
    }

    /// The threshold after a loss: RFC 5681 equation (4), from FlightSize and not from cwnd.
    fn reduce(&mut self, in_flight: u32) {
        self.prior_cwnd = self.cwnd;
        self.prior_ssthresh = self.ssthresh;
        self.ssthresh = (in_flight / 2).max(self.mss.saturating_mul(2));
        self.bytes_acked = 0;
    }

    /// Smaller segments: the window shrinks in proportion, so that as many segments as before may be underway
    /// and no burst follows (RFC 5681 §3.1). Larger ones: it stays, but holds at least one.
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= id=rfc5681-3.1-6, rfc5681-3.1-7
    fn change_mss(&mut self, mss: u32) {
        let mss = mss.max(1);
        if mss < self.mss {
            let scaled = u64::from(self.cwnd) * u64::from(mss) / u64::from(self.mss);
            self.cwnd = scaled as u32;
        }
        self.mss = mss;
        self.cwnd = self.cwnd.max(mss);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::CongestionEvent::{Idle, Loss, MssChanged, Timeout, Undo};
    use super::*;

    const MSS: u32 = 1000;

    fn ack(acked: u32) -> AckSample {
        AckSample::of(acked)
    }

    fn acks(r: &mut Reno, n: u32, acked: u32) -> u32 {
        for _ in 0..n {
            r.on_ack(&ack(acked));
        }
        r.cwnd
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.2
    //= type=test
    //= id=MUST-19
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-1
    #[test]
    fn slow_start_doubles_each_round_trip_in_spite_of_delayed_acks() {
        let mut r = Reno::new(MSS, 10);
        assert_eq!(acks(&mut r, 5, 2 * MSS), 20 * MSS);
        assert_eq!(acks(&mut r, 10, 2 * MSS), 40 * MSS);
        assert_eq!(acks(&mut r, 1, 40 * MSS), 42 * MSS, "L = 2");
        assert_eq!(acks(&mut r, 1000, 1), 42 * MSS + 1000, "dividing acknowledgments gains nothing");
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-14, rfc5681-3.1-15
    #[test]
    fn slow_start_after_a_timeout_counts_one_segment() {
        let mut r = Reno::new(MSS, 10);
        r.on_event(Timeout { first: true }, 40 * MSS);
        assert_eq!((r.cwnd, r.ssthresh), (MSS, 20 * MSS));
        r.on_ack(&AckSample { after_timeout: true, ..ack(9 * MSS) });
        assert_eq!(r.cwnd, 2 * MSS);
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.2
    //= type=test
    //= id=MUST-19
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-1, rfc5681-3.1-9, rfc5681-3.1-10, rfc5681-3.1-11, rfc5681-3.1-12
    #[test]
    fn congestion_avoidance_adds_one_segment_a_window() {
        let mut r = Reno::new(MSS, 10);
        r.on_event(Loss, 20 * MSS);
        assert_eq!((r.cwnd, r.ssthresh), (10 * MSS, 10 * MSS));
        assert_eq!(acks(&mut r, 4, 2 * MSS), 10 * MSS);
        assert_eq!(acks(&mut r, 1, 2 * MSS), 11 * MSS);
        assert_eq!(acks(&mut r, 10, MSS), 11 * MSS);
        assert_eq!(acks(&mut r, 1, MSS), 12 * MSS);
        assert_eq!(acks(&mut r, 1, u32::MAX), 13 * MSS, "one segment for one acknowledgment");
        assert_eq!(acks(&mut r, 1, MSS), 14 * MSS);
        assert_eq!(acks(&mut r, 13, MSS), 14 * MSS, "and at most one window is carried over");
    }

    #[test]
    fn octets_beyond_a_window_count_for_the_next() {
        let mut r = Reno::new(MSS, 10);
        r.on_event(Loss, 8 * MSS);
        assert_eq!(acks(&mut r, 1, 6 * MSS), 5 * MSS);
        assert_eq!(acks(&mut r, 1, 3 * MSS), 6 * MSS, "2 were left of the first 6");
    }

    #[test]
    fn an_unused_window_does_not_grow() {
        let mut r = Reno::new(MSS, 10);
        r.on_ack(&AckSample { cwnd_limited: false, ..ack(2 * MSS) });
        assert_eq!(r.cwnd, 10 * MSS);
        r.on_event(Loss, 20 * MSS);
        r.on_ack(&AckSample { cwnd_limited: false, ..ack(20 * MSS) });
        assert_eq!((r.cwnd, r.bytes_acked), (10 * MSS, 0));
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-8
    #[test]
    fn the_threshold_comes_from_flight_size_and_is_at_least_two_segments() {
        let mut r = Reno::new(MSS, 100);
        r.on_event(Loss, 30 * MSS);
        assert_eq!((r.cwnd, r.ssthresh), (15 * MSS, 15 * MSS));
        r.on_event(Loss, MSS);
        assert_eq!((r.cwnd, r.ssthresh), (2 * MSS, 2 * MSS));
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-14, rfc5681-3.1-15
    #[test]
    fn a_segment_that_times_out_again_leaves_the_threshold() {
        let mut r = Reno::new(MSS, 10);
        r.on_event(Timeout { first: true }, 20 * MSS);
        r.on_event(Timeout { first: false }, MSS);
        assert_eq!((r.cwnd, r.ssthresh), (MSS, 10 * MSS));
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.1
    //= type=test
    //= id=rfc5681-4.1-1
    #[test]
    fn idle_restarts_with_the_initial_window_at_the_most() {
        let mut r = Reno::new(MSS, 10);
        acks(&mut r, 50, 2 * MSS);
        r.on_event(Idle, 0);
        assert_eq!((r.cwnd, r.ssthresh), (10 * MSS, u32::MAX));
        r.on_event(Timeout { first: true }, 8 * MSS);
        r.on_event(Idle, 0);
        assert_eq!((r.cwnd, r.ssthresh), (MSS, 4 * MSS));
    }

    #[test]
    fn undo_gives_back_what_was_taken_once() {
        let mut r = Reno::new(MSS, 10);
        r.on_event(Undo, 0);
        assert_eq!((r.cwnd, r.ssthresh), (10 * MSS, u32::MAX));
        r.on_event(Timeout { first: true }, 10 * MSS);
        r.on_event(Timeout { first: false }, 10 * MSS);
        r.on_event(Undo, MSS);
        assert_eq!((r.cwnd, r.ssthresh), (10 * MSS, u32::MAX));
        r.on_event(Loss, 10 * MSS);
        r.on_event(Undo, MSS);
        assert_eq!((r.cwnd, r.ssthresh), (10 * MSS, u32::MAX));
        r.cwnd = MSS;
        r.on_event(Undo, MSS);
        assert_eq!(r.cwnd, MSS);
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-6, rfc5681-3.1-7
    #[test]
    fn a_smaller_segment_size_keeps_the_number_of_segments() {
        let mut r = Reno::new(1460, 10);
        acks(&mut r, 5, 2920);
        r.on_event(MssChanged(730), 0);
        assert_eq!(r.cwnd, 20 * 730);
        r.on_event(MssChanged(1460), 0);
        assert_eq!(r.cwnd, 20 * 730, "larger ones do not add octets");
        r.on_event(Timeout { first: true }, 0);
        r.on_event(MssChanged(9000), 0);
        assert_eq!(r.cwnd, 9000);
    }

    #[test]
    fn the_handshake_sets_the_initial_window() {
        let mut r = Reno::new(536, 10);
        r.set_mss(1460);
        assert_eq!(r.cwnd, 14_600);
        r.set_mss(9000);
        assert_eq!(r.cwnd, 18_000);
        r.set_mss(1000);
        assert_eq!(r.cwnd, 10_000);
        acks(&mut r, 1, 1000);
        r.set_mss(500);
        assert_eq!(r.cwnd, 5_500, "now there is something to scale");
    }

    #[derive(Clone, Debug)]
    enum Op {
        Ack(u32, bool, bool),
        Event(CongestionEvent, u32),
        SetMss(u32),
    }

    fn op() -> impl Strategy<Value = Op> {
        let event = prop_oneof![
            Just(Loss),
            any::<bool>().prop_map(|first| Timeout { first }),
            Just(Idle),
            any::<u32>().prop_map(MssChanged),
            Just(Undo),
        ];
        prop_oneof![
            any::<(u32, bool, bool)>().prop_map(|(n, l, t)| Op::Ack(n, l, t)),
            (event, any::<u32>()).prop_map(|(e, n)| Op::Event(e, n)),
            any::<u32>().prop_map(Op::SetMss),
        ]
    }

    proptest! {
        #[test]
        fn there_is_always_room_for_a_segment(mss: u32, iw: u32, ops in proptest::collection::vec(op(), 0..50)) {
            let mut r = Reno::new(mss, iw);
            for op in ops {
                let before = r.cwnd;
                match op {
                    Op::Ack(acked, cwnd_limited, after_timeout) => {
                        r.on_ack(&AckSample { cwnd_limited, after_timeout, ..ack(acked) });
                        prop_assert!(r.cwnd - before <= r.mss.saturating_mul(2));
                    }
                    Op::Event(e, in_flight) => r.on_event(e, in_flight),
                    Op::SetMss(mss) => r.set_mss(mss),
                }
                prop_assert!(r.cwnd >= r.mss);
                prop_assert!(r.ssthresh >= 2);
            }
        }
    }
}
