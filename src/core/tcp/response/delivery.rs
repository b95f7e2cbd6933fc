//! What the delivery rate estimator is told of a connection (draft-ietf-ccwg-bbr §4.1), and through it the algorithms that
//! model the path.

use crate::congestion::delivery_rate::{AckEnd, DeliveryRate, RateSample, Stamp};
use crate::seq::SeqRange;
use crate::tcp::congestion::{AckSample, Congestion};
use crate::tcp::tcb::{Is, Tcb};
use crate::time::{Duration, Instant};

impl Tcb {
    /// `len` octets leave now, for the first time or again; they are not counted as in flight yet.
    pub(in crate::tcp) fn stamp(&mut self, len: u32, now: Instant) -> Stamp {
        let in_flight = self.in_flight();
        self.rate.stamp(now, in_flight.saturating_add(len), in_flight == 0)
    }

    /// Nothing more leaves now. If that is because the program has no more, rates say less than they could from here on
    /// (CheckIfApplicationLimited(), §4.1.2.4).
    ///
    /// The draft asks where sending may begin again: at a write, an ACK, a timer. It is the same to ask where it ends, as
    /// this is so until one of these.
    pub(in crate::tcp) fn check_app_limited(&mut self) {
        let unsent = self.data_end().saturating_since(self.snd.nxt);
        // What is held back waits for the program, too.
        if !self.has_unsent() || unsent > 0 && self.not_held(unsent) == 0 {
            self.all_has_left();
        }
    }

    /// The program has no more. Where the windows would let more go, that is what limits.
    pub(in crate::tcp) fn all_has_left(&mut self) {
        let in_flight = self.in_flight();
        if self.recovery.next_lost().is_none() && in_flight < self.cwnd() {
            self.rate.mark_app_limited(in_flight);
        }
    }

    /// Without SACK only the oldest segment is known to be lost.
    pub(in crate::tcp) fn oldest_is_lost(&mut self) {
        let smss = self.smss();
        if let Some(oldest) = self.recovery.board.front() {
            let first = oldest.up_to(oldest.start.add(smss));
            tell_lost(&mut self.rate, &mut self.congestion, first.range(), &first.stamp);
        }
    }

    /// What an ACK told of that is delivered makes a sample, where the algorithm looks at one; `rtt` is that of the youngest of
    /// it that was sent once.
    pub(in crate::tcp) fn rate_sample(&mut self, rtt: Option<Duration>, now: Instant) -> Option<RateSample> {
        if !self.congestion.takes_rates() {
            self.rate.on_ack_end_unasked(now, self.rtt.min_rtt());
            return None;
        }
        let end = AckEnd {
            in_flight: self.in_flight(),
            rtt,
            min_rtt: self.rtt.min_rtt(),
            selective: self.is.contains(Is::SACK),
        };
        self.rate.on_ack_end(now, end)
    }

    /// An algorithm that sizes its own window hears of all that is delivered, in recovery too.
    pub(in crate::tcp) fn model_ack(&mut self, sample: &AckSample) {
        if sample.rate.is_some() {
            self.congestion.on_ack(sample);
        }
        if self.congestion.ignores_rates() {
            let in_flight = self.in_flight();
            self.rate.mark_app_limited(in_flight);
        }
    }
}

/// `range` of what left with `stamp` is deemed lost, by congestion.
pub(in crate::tcp) fn tell_lost(
    rate: &mut DeliveryRate,
    congestion: &mut Congestion,
    range: SeqRange,
    stamp: &Stamp,
) {
    if !range.is_empty() {
        let packet = rate.lost(stamp, range.len());
        congestion.on_lost(&packet, range);
    }
}
