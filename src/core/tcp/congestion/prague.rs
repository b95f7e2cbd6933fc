//! A scalable response to marks, as an experiment (feature `l4s`): the window comes down by the part of it that was marked, as
//! in DCTCP (RFC 8257) and in the Prague algorithm of L4S (RFC 9330, RFC 9331), so that a queue may mark early and often.
//!
//! It needs the counts of RFC 9768, and queues that isolate or couple it: with others beside it in a plain queue it takes more
//! than its share. What makes Prague fit for the Internet beside this (RFC 9331 §4.3: less dependence on the round trip, falling
//! back at a classic queue, reordering in time units) is not here, which is why it is an experiment. It is paced.

use super::{AckSample, CongestionEvent, Reno, Start};
use crate::seq::Seq;

/// One, where parts are counted.
const ONE: u32 = 1 << 20;

/// g = 1/16, as a shift (RFC 8257 §4.2).
const GAIN: u32 = 4;

/// The algorithm's state: Reno, but for what a mark takes.
#[derive(Clone, Debug)]
pub struct Prague {
    reno: Reno,
    /// DCTCP.Alpha: the part that is marked, averaged over round trips.
    alpha: u32,
    /// Octets acknowledged in this round trip, and those of them that were marked.
    acked: u64,
    marked: u64,
    /// Where the round trip ends.
    round_end: Option<Seq>,
}

impl Prague {
    /// Takes over from another algorithm. Until something is known each mark counts as a loss does: alpha is 1 (RFC 8257 §4.2).
    pub fn new(start: &Start) -> Self {
        Self { reno: Reno::new(start), alpha: ONE, acked: 0, marked: 0, round_end: None }
    }

    pub(super) const fn cwnd(&self) -> u32 {
        self.reno.cwnd()
    }

    pub(super) const fn ssthresh(&self) -> u32 {
        self.reno.ssthresh()
    }

    /// Segments leave one by one: two at once may be enough for a mark.
    pub(super) const fn send_quantum(&self) -> u32 {
        self.reno.mss()
    }

    pub(super) fn on_ack(&mut self, sample: &AckSample) {
        self.acked += u64::from(sample.acked);
        self.marked += u64::from(sample.marked.min(sample.acked));
        let end = *self.round_end.get_or_insert(sample.nxt);
        if sample.una.at_or_after(end) && self.acked > 0 {
            // M·2²⁰ fits: a round trip has fewer octets than 2³⁰ by the window.
            let part = (self.marked * u64::from(ONE) / self.acked) as u32;
            self.alpha = self.alpha - (self.alpha >> GAIN) + (part >> GAIN);
            (self.acked, self.marked) = (0, 0);
            self.round_end = Some(sample.nxt);
        }
        self.reno.on_ack(sample);
    }

    pub(super) fn on_event(&mut self, event: CongestionEvent, in_flight: u32) {
        if event != CongestionEvent::Ecn {
            return self.reno.on_event(event, in_flight);
        }
        // RFC 8257 §3.3: cwnd = cwnd * (1 - DCTCP.Alpha / 2).
        let cwnd = u64::from(self.cwnd());
        let less = (cwnd * u64::from(self.alpha) / u64::from(2 * ONE)) as u32;
        self.reno.reduce_to(self.cwnd() - less);
    }

    pub(super) fn on_overflow(&mut self) {
        self.reno.on_overflow();
    }

    pub(super) fn set_mss(&mut self, mss: u32) {
        self.reno.set_mss(mss);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::congestion::Settings;

    const MSS: u32 = 1000;

    fn prague(cwnd: u32, ssthresh: u32) -> Prague {
        Prague::new(&Start { cwnd, ssthresh, ..Start::new(MSS, 10, Settings::default()) })
    }

    /// One window acknowledged, with this part of it marked.
    fn round(p: &mut Prague, at: u32, per_mille: u32) {
        let window = p.cwnd();
        for i in 0..10 {
            let sample = AckSample {
                marked: window / 10 * per_mille / 1000,
                una: Seq::new(at + (i + 1) * 100),
                nxt: Seq::new(at + 2000 + (i + 1) * 100),
                cwnd_limited: false,
                ..AckSample::of(window / 10)
            };
            p.on_ack(&sample);
        }
    }

    #[test]
    fn it_begins_by_halving() {
        let mut p = prague(100_000, u32::MAX);
        p.on_event(CongestionEvent::Ecn, 3);
        assert_eq!((p.cwnd(), p.ssthresh()), (50_000, 50_000));
        p.on_event(CongestionEvent::Loss, 40_000);
        assert_eq!(p.cwnd(), 20_000, "a loss is one");
    }

    /// RFC 8257 §3.3: alpha goes to the part that is marked, and the window loses half of that.
    #[test]
    fn what_it_takes_follows_the_part_that_is_marked() {
        for (per_mille, less) in [(1000, 500), (200, 100), (0, 0)] {
            let mut p = prague(1_000_000, 1_000_000);
            for i in 0..600 {
                round(&mut p, i * 1000, per_mille);
            }
            p.on_event(CongestionEvent::Ecn, 0);
            let expected = 1_000_000 - less * 1000;
            assert!(p.cwnd().abs_diff(expected) <= 2_000, "{per_mille}: {} and not {expected}", p.cwnd());
        }
    }

    #[test]
    fn there_is_always_room_for_two_segments() {
        let mut p = prague(2000, 2000);
        p.on_event(CongestionEvent::Ecn, 0);
        assert_eq!(p.cwnd(), 2000);
    }
}
