//! Slow start and congestion avoidance (RFC 5681 §3.1) with appropriate byte counting (RFC 3465), and ABE (RFC 8511).

use super::window::{Factor, Window};
use super::{AckSample, CongestionEvent, Start};

/// Half, of RFC 5681 equation (4).
const BETA: Factor = Factor(1, 2);

/// β_ecn of RFC 8511 §3.
const BETA_ECN: Factor = Factor(4, 5);

/// The algorithm's state: all sizes in octets.
#[derive(Clone, Debug)]
pub struct Reno {
    window: Window,
    /// Octets acknowledged since the window grew last in congestion avoidance (RFC 3465 §2.1).
    bytes_acked: u32,
    /// The window before the last reduction; 0 when there is nothing to give back.
    prior_cwnd: u32,
    prior_ssthresh: u32,
}

impl Reno {
    pub(super) fn new(start: &Start) -> Self {
        Self { window: Window::new(start), bytes_acked: 0, prior_cwnd: 0, prior_ssthresh: 0 }
    }

    /// The window comes down to so much, and two segments at the least: a mark is no loss that could be taken back.
    #[cfg(feature = "l4s")]
    pub(super) fn reduce_to(&mut self, window: u32) {
        self.window.ssthresh = window.max(self.window.mss.saturating_mul(2));
        self.window.cwnd = self.window.ssthresh;
        self.bytes_acked = 0;
        self.prior_cwnd = 0;
    }

    pub(super) const fn cwnd(&self) -> u32 {
        self.window.cwnd
    }

    pub(super) const fn ssthresh(&self) -> u32 {
        self.window.ssthresh
    }

    #[cfg(feature = "l4s")]
    pub(super) const fn mss(&self) -> u32 {
        self.window.mss
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.2
    //= id=MUST-19
    //# A TCP endpoint MUST implement the basic congestion control algorithms slow start, congestion
    //# avoidance, and exponential backoff of RTO
    pub(super) fn on_ack(&mut self, sample: &AckSample) {
        // A window that was not used says nothing about the path (RFC 7661 §1.1).
        if !sample.cwnd_limited || sample.reducing {
            return;
        }
        let mut acked = sample.acked;
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //= id=rfc5681-3.1-1
        //# The slow start and congestion avoidance algorithms MUST be used by a TCP sender
        if self.window.in_slow_start() {
            acked = self.window.slow_start(acked, sample.after_timeout, 1);
            if acked == 0 {
                return;
            }
        }
        // RFC 3465 §2.1: one segment for each window of acknowledged octets, and one at the most for an
        // acknowledgment.
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //= id=rfc5681-3.1-9, rfc5681-3.1-10, rfc5681-3.1-11, rfc5681-3.1-12
        let cwnd = self.window.cwnd;
        self.bytes_acked = self.bytes_acked.saturating_add(acked);
        if self.bytes_acked >= cwnd {
            self.bytes_acked = (self.bytes_acked - cwnd).min(cwnd);
            self.window.cwnd = cwnd.saturating_add(self.window.mss);
        }
    }

    pub(super) fn on_event(&mut self, event: CongestionEvent, in_flight: u32) {
        match event {
            CongestionEvent::Loss => {
                self.reduce(in_flight, BETA);
                //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
                //= id=rfc5681-3.2-12
                //= https://www.rfc-editor.org/rfc/rfc5681#section-4.3
                //= id=rfc5681-4.3-2, rfc5681-4.3-3
                self.window.cwnd = self.window.ssthresh;
            }
            //= https://www.rfc-editor.org/rfc/rfc8511#section-3
            //= id=rfc8511-3-1
            //# this document specifies a sender-side change to TCP where receipt of a packet with the ECN-Echo
            //# flag SHOULD trigger the TCP source to set the slow start threshold (ssthresh) to 0.8 times the
            //# FlightSize, with a lower bound of 2 * SMSS applied to the result
            CongestionEvent::Ecn => {
                self.reduce(in_flight, if self.window.abe { BETA_ECN } else { BETA });
                self.window.cwnd = self.window.ssthresh;
            }
            CongestionEvent::Timeout { first } => {
                //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
                //= id=rfc5681-3.1-14, rfc5681-3.1-15
                // Where the same segment timed out before, the threshold is held (RFC 5681 §3.1).
                if first {
                    self.reduce(in_flight, BETA);
                }
                self.window.cwnd = self.window.mss;
            }
            CongestionEvent::Idle => {
                self.window.restart();
                self.bytes_acked = 0;
            }
            CongestionEvent::Unused => {
                self.window.decay(in_flight);
                self.bytes_acked = 0;
            }
            CongestionEvent::MssChanged(mss) => {
                self.window.change_mss(mss);
                self.prior_cwnd = 0;
            }
            CongestionEvent::Undo => {
                if self.prior_cwnd > 0 {
                    self.window.cwnd = self.window.cwnd.max(self.prior_cwnd);
                    self.window.ssthresh = self.window.ssthresh.max(self.prior_ssthresh);
                    self.prior_cwnd = 0;
                }
            }
        }
    }

    /// As [`Congestion::on_overflow`](super::Congestion::on_overflow), after the loss was told.
    pub(super) fn on_overflow(&mut self) {
        if self.prior_cwnd == 0 {
            // The window of before is one of segments of another size.
            return;
        }
        let borne = self.window.borne(self.prior_cwnd, 1);
        self.window.ssthresh =
            self.window.ssthresh.min(BETA.of(borne).max(self.window.mss.saturating_mul(2)));
        self.window.cwnd = self.window.ssthresh;
    }

    pub(super) fn set_mss(&mut self, mss: u32) {
        self.window.set_mss(mss);
    }

    /// The threshold after congestion: RFC 5681 equation (4), from FlightSize and not from cwnd.
    fn reduce(&mut self, in_flight: u32, factor: Factor) {
        self.prior_cwnd = self.window.cwnd;
        self.prior_ssthresh = self.window.ssthresh;
        self.window.reduce(in_flight, factor);
        self.bytes_acked = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::CongestionEvent::{Ecn, Idle, Loss, MssChanged, Timeout, Undo, Unused};
    use super::*;
    use crate::tcp::congestion::Settings;

    const MSS: u32 = 1000;

    fn reno(mss: u32, initial_window_segments: u32) -> Reno {
        Reno::new(&Start::new(mss, initial_window_segments, Settings::default()))
    }

    fn ack(acked: u32) -> AckSample {
        AckSample::of(acked)
    }

    fn acks(r: &mut Reno, n: u32, acked: u32) -> u32 {
        for _ in 0..n {
            r.on_ack(&ack(acked));
        }
        r.window.cwnd
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.2
    //= type=test
    //= id=MUST-19
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-1
    #[test]
    fn slow_start_doubles_each_round_trip_in_spite_of_delayed_acks() {
        let mut r = reno(MSS, 10);
        assert_eq!(acks(&mut r, 5, 2 * MSS), 20 * MSS);
        assert_eq!(acks(&mut r, 10, 2 * MSS), 40 * MSS);
        assert_eq!(acks(&mut r, 1, 40 * MSS), 80 * MSS, "all that it covers");
        assert_eq!(acks(&mut r, 1000, 1), 80 * MSS + 1000, "dividing acknowledgments gains nothing");
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-14, rfc5681-3.1-15
    #[test]
    fn after_a_timeout_slow_start_leads_to_the_threshold() {
        let mut r = reno(MSS, 10);
        r.on_event(Timeout { first: true }, 40 * MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (MSS, 20 * MSS));
        r.on_ack(&AckSample { after_timeout: true, ..ack(9 * MSS) });
        assert_eq!(r.window.cwnd, 10 * MSS);
        // Ten reach it, and the thirteen beyond are counted in congestion avoidance, which takes twenty for a segment.
        r.on_ack(&AckSample { after_timeout: true, ..ack(23 * MSS) });
        assert_eq!((r.window.cwnd, r.bytes_acked), (20 * MSS, 13 * MSS));
        assert_eq!(acks(&mut r, 1, 7 * MSS), 21 * MSS);
    }

    #[test]
    fn a_limit_of_slow_start_is_one_segment_after_a_timeout() {
        let settings = Settings { slow_start_limit: 2, ..Settings::default() };
        let mut r = Reno::new(&Start::new(MSS, 10, settings));
        assert_eq!(acks(&mut r, 1, 40 * MSS), 12 * MSS);
        r.on_event(Timeout { first: true }, 40 * MSS);
        r.on_ack(&AckSample { after_timeout: true, ..ack(9 * MSS) });
        assert_eq!(r.window.cwnd, 2 * MSS);
    }

    //= https://www.rfc-editor.org/rfc/rfc8511#section-3
    //= type=test
    //= id=rfc8511-3-1
    #[test]
    fn a_mark_takes_a_fifth_of_what_was_in_flight() {
        let mut r = reno(MSS, 20);
        r.on_event(Ecn, 20 * MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (16 * MSS, 16 * MSS));
        r.on_event(Ecn, 2 * MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (2 * MSS, 2 * MSS), "the lower bound");
        let settings = Settings { abe: false, ..Settings::default() };
        let mut r = Reno::new(&Start::new(MSS, 20, settings));
        r.on_event(Ecn, 20 * MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (10 * MSS, 10 * MSS), "as a loss");
    }

    #[test]
    fn what_was_not_used_decays() {
        let mut r = reno(MSS, 10);
        acks(&mut r, 30, MSS);
        r.on_event(Loss, 80 * MSS);
        r.on_event(Unused, 20 * MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (30 * MSS, 40 * MSS));
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.2
    //= type=test
    //= id=MUST-19
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-1, rfc5681-3.1-9, rfc5681-3.1-10, rfc5681-3.1-11, rfc5681-3.1-12
    #[test]
    fn congestion_avoidance_adds_one_segment_a_window() {
        let mut r = reno(MSS, 10);
        r.on_event(Loss, 20 * MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (10 * MSS, 10 * MSS));
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
        let mut r = reno(MSS, 10);
        r.on_event(Loss, 8 * MSS);
        assert_eq!(acks(&mut r, 1, 6 * MSS), 5 * MSS);
        assert_eq!(acks(&mut r, 1, 3 * MSS), 6 * MSS, "2 were left of the first 6");
    }

    #[test]
    fn an_unused_window_does_not_grow() {
        let mut r = reno(MSS, 10);
        r.on_ack(&AckSample { cwnd_limited: false, ..ack(2 * MSS) });
        assert_eq!(r.window.cwnd, 10 * MSS);
        r.on_event(Loss, 20 * MSS);
        r.on_ack(&AckSample { cwnd_limited: false, ..ack(20 * MSS) });
        assert_eq!((r.window.cwnd, r.bytes_acked), (10 * MSS, 0));
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-8
    #[test]
    fn the_threshold_comes_from_flight_size_and_is_at_least_two_segments() {
        let mut r = reno(MSS, 100);
        r.on_event(Loss, 30 * MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (15 * MSS, 15 * MSS));
        r.on_event(Loss, MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (2 * MSS, 2 * MSS));
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-14, rfc5681-3.1-15
    #[test]
    fn a_segment_that_times_out_again_leaves_the_threshold() {
        let mut r = reno(MSS, 10);
        r.on_event(Timeout { first: true }, 20 * MSS);
        r.on_event(Timeout { first: false }, MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (MSS, 10 * MSS));
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.1
    //= type=test
    //= id=rfc5681-4.1-1
    #[test]
    fn idle_restarts_with_the_initial_window_at_the_most() {
        let mut r = reno(MSS, 10);
        acks(&mut r, 50, 2 * MSS);
        r.on_event(Idle, 0);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (10 * MSS, u32::MAX));
        r.on_event(Timeout { first: true }, 8 * MSS);
        r.on_event(Idle, 0);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (MSS, 4 * MSS));
    }

    #[test]
    fn undo_gives_back_what_was_taken_once() {
        let mut r = reno(MSS, 10);
        r.on_event(Undo, 0);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (10 * MSS, u32::MAX));
        r.on_event(Timeout { first: true }, 10 * MSS);
        r.on_event(Timeout { first: false }, 10 * MSS);
        r.on_event(Undo, MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (10 * MSS, u32::MAX));
        r.on_event(Loss, 10 * MSS);
        r.on_event(Undo, MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (10 * MSS, u32::MAX));
        r.window.cwnd = MSS;
        r.on_event(Undo, MSS);
        assert_eq!(r.window.cwnd, MSS);
    }

    #[test]
    fn an_overflow_is_one_of_the_window_that_was() {
        let mut r = reno(MSS, 1000);
        r.on_event(Loss, 1000 * MSS);
        r.on_overflow();
        assert_eq!((r.window.cwnd, r.window.ssthresh), (250 * MSS, 250 * MSS));
        r.on_event(Undo, MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (1000 * MSS, u32::MAX), "all is given back");
        let mut small = reno(MSS, 100);
        small.on_event(Loss, 100 * MSS);
        small.on_overflow();
        assert_eq!(small.window.cwnd, 32 * MSS, "of 64 segments at the least");
        let mut r = reno(MSS, 1000);
        r.on_event(Loss, 1000 * MSS);
        r.on_event(MssChanged(MSS - 100), 1000 * MSS);
        let before = r.window.cwnd;
        r.on_overflow();
        assert_eq!(r.window.cwnd, before, "nothing is known of it in these segments");
    }

    /// The window of before is one of larger segments: given back it would be a burst of small ones.
    #[test]
    fn nothing_is_given_back_in_segments_of_another_size() {
        let mut r = reno(MSS, 10);
        r.on_event(Loss, 10 * MSS);
        r.on_event(MssChanged(MSS / 2), 10 * MSS);
        r.on_event(Undo, MSS);
        assert_eq!((r.window.cwnd, r.window.ssthresh), (5 * MSS / 2, 5 * MSS));
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-6, rfc5681-3.1-7
    //= https://www.rfc-editor.org/rfc/rfc4821#section-4
    //= type=test
    //= id=rfc4821-4-11
    #[test]
    fn a_smaller_segment_size_keeps_the_number_of_segments() {
        let mut r = reno(1460, 10);
        acks(&mut r, 5, 2920);
        r.on_event(MssChanged(730), 0);
        assert_eq!(r.window.cwnd, 20 * 730);
        r.on_event(MssChanged(1460), 0);
        assert_eq!(r.window.cwnd, 20 * 730, "larger ones do not add octets");
        r.on_event(Timeout { first: true }, 0);
        r.on_event(MssChanged(9000), 0);
        assert_eq!(r.window.cwnd, 9000);
    }

    #[test]
    fn the_handshake_sets_the_initial_window() {
        let mut r = reno(536, 10);
        r.set_mss(1460);
        assert_eq!(r.window.cwnd, 14_600);
        r.set_mss(9000);
        assert_eq!(r.window.cwnd, 18_000);
        r.set_mss(1000);
        assert_eq!(r.window.cwnd, 10_000);
        acks(&mut r, 1, 1000);
        r.set_mss(500);
        assert_eq!(r.window.cwnd, 5_500, "now there is something to scale");
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
            Just(Ecn),
            Just(Unused),
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
            let mut r = reno(mss, iw);
            for op in ops {
                let before = r.window.cwnd;
                match op {
                    Op::Ack(acked, cwnd_limited, after_timeout) => {
                        r.on_ack(&AckSample { cwnd_limited, after_timeout, ..ack(acked) });
                        prop_assert!(u64::from(r.window.cwnd - before) <= u64::from(acked) + u64::from(r.window.mss));
                    }
                    Op::Event(e, in_flight) => r.on_event(e, in_flight),
                    Op::SetMss(mss) => r.set_mss(mss),
                }
                prop_assert!(r.window.cwnd >= r.window.mss);
                prop_assert!(r.window.ssthresh >= 2);
            }
        }
    }
}
