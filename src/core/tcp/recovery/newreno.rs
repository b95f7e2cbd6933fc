//! Recovery without SACK (RFC 5681 §3.2, RFC 6582): the third duplicate ACK means a loss, and each partial ACK the next.

use super::{Phase, Recovery};
use crate::tcp::snd::Send;
use crate::tcp::trace::Reason;

/// Its variables.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct NewReno {
    pub(in crate::tcp) dup_acks: u16,
    partial_seen: bool,
    /// What duplicate ACKs say has left the network, octets: in fast recovery, and after a time-out.
    pub(in crate::tcp) inflation: u32,
    /// Sent beyond the window by limited transmit, octets.
    limited: u32,
}

impl NewReno {
    pub(in crate::tcp) const fn new() -> Self {
        Self { dup_acks: 0, partial_seen: false, inflation: 0, limited: 0 }
    }

    pub(in crate::tcp) const fn reset(&mut self) {
        *self = Self::new();
    }
}

/// What an acknowledgment of new data meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// No recovery is under way, or one that is slow start: the window may grow.
    Normal,
    /// Fast recovery goes on; the window does not grow. Whether this was the first partial ACK.
    Partial {
        /// The first of this recovery: the retransmission timer restarts (RFC 6582 §3.2, step 3).
        first: bool,
    },
    /// Fast recovery has ended: the window is deflated to the slow start threshold.
    Ended,
}

impl Recovery {
    /// Limited transmit has sent `len` octets.
    pub const fn on_limited_transmit(&mut self, len: u32) {
        self.newreno.limited = self.newreno.limited.saturating_add(len);
    }

    /// What limited transmit has sent since SND.UNA last moved, octets: not to be counted when the slow start
    /// threshold is set (RFC 5681 §3.2, step 2).
    pub const fn limited(&self) -> u32 {
        self.newreno.limited
    }

    /// A duplicate ACK came. Gives true when it begins fast recovery: the caller then tells congestion
    /// control of a loss.
    #[must_use]
    pub(in crate::tcp) fn on_duplicate_ack(&mut self, snd: &Send, mss: u32) -> bool {
        self.newreno.dup_acks = self.newreno.dup_acks.saturating_add(1);
        match self.phase {
            //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
            //= id=rfc5681-3.2-10
            //# For each additional duplicate ACK received (after the third), cwnd MUST be incremented by SMSS.
            Phase::Recovery => {
                self.newreno.inflation = self.newreno.inflation.saturating_add(mss);
                false
            }
            //= https://www.rfc-editor.org/rfc/rfc6582#section-6
            //= id=rfc6582-6-2
            //# the sender should follow the guidance in Section 4.
            // RFC 6582 §3.2 step 2 and §4: what was outstanding at the last recovery or time-out does not
            // begin another. What a mark reduced was no recovery.
            Phase::Open | Phase::Disorder | Phase::Cwr
                if self.newreno.dup_acks == self.dup_thresh
                    && (self.phase == Phase::Cwr || snd.una.sub(1).at_or_after(self.recover)) =>
            {
                self.phase = Phase::Recovery;
                //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
                //= id=rfc5681-3.2-3, rfc5681-3.2-9
                self.newreno.partial_seen = false;
                self.recover = snd.nxt;
                self.newreno.inflation = mss.saturating_mul(u32::from(self.dup_thresh));
                self.pending = Some(Reason::FastRetransmit);
                true
            }
            Phase::Open => {
                self.phase = Phase::Disorder;
                false
            }
            // Of what was sent beyond what timed out something has arrived: see `Recovery::in_flight_beside_repairs`.
            Phase::Loss => {
                let new = snd.nxt.saturating_since(self.recover);
                self.newreno.inflation = self.newreno.inflation.saturating_add(mss).min(new);
                false
            }
            _ => false,
        }
    }

    /// SND.UNA has moved to its new place, `acked` octets on.
    #[must_use]
    pub(in crate::tcp) fn on_ack(&mut self, snd: &Send, acked: u32, mss: u32) -> Progress {
        self.newreno.dup_acks = 0;
        self.newreno.limited = 0;
        self.timeouts = 0;
        let covered = snd.una.at_or_after(self.recover);
        match self.phase {
            Phase::Recovery if covered => {
                self.phase = Phase::Open;
                self.end_episode();
                self.pending = None;
                Progress::Ended
            }
            Phase::Recovery => {
                let first = !self.newreno.partial_seen;
                self.newreno.partial_seen = true;
                let inflation = &mut self.newreno.inflation;
                *inflation = inflation.saturating_sub(acked);
                if acked >= mss {
                    *inflation = inflation.saturating_add(mss);
                }
                self.pending = Some(Reason::PartialAck);
                Progress::Partial { first }
            }
            Phase::Open | Phase::Disorder | Phase::Cwr | Phase::Loss => {
                if self.phase == Phase::Disorder {
                    self.phase = Phase::Open;
                }
                self.pending = None;
                Progress::Normal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::Seq;

    const MSS: u32 = 1000;

    fn sent(una: u32, nxt: u32) -> Send {
        let mut snd = Send::new(Seq::new(0), MSS as u16);
        snd.una = Seq::new(una);
        snd.nxt = Seq::new(nxt);
        snd
    }

    fn recovery(thresh: u16) -> Recovery {
        let mut r = Recovery::new(Seq::new(0), thresh);
        r.begin(Seq::new(1), false);
        r
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
    //= type=test
    //= id=rfc5681-3.2-10
    #[test]
    fn third_duplicate_begins_recovery_and_further_ones_stretch_the_window() {
        let (mut r, snd) = (recovery(3), sent(1, 10_001));
        assert!(!r.on_duplicate_ack(&snd, MSS));
        assert_eq!((r.allowance(MSS), r.pending()), (1000, None));
        assert!(!r.on_duplicate_ack(&snd, MSS));
        assert_eq!(r.allowance(MSS), 2000);
        assert!(r.on_duplicate_ack(&snd, MSS));
        assert_eq!((r.allowance(MSS), r.pending()), (3000, Some(Reason::FastRetransmit)));
        assert!(!r.on_duplicate_ack(&snd, MSS));
        assert_eq!(r.allowance(MSS), 4000);
    }

    #[test]
    fn the_threshold_is_a_setting() {
        let snd = sent(1, 10_001);
        for thresh in [0, 1, 2, 5, 300] {
            let mut r = recovery(thresh);
            for n in 1..thresh.max(1) {
                assert!(!r.on_duplicate_ack(&snd, MSS), "{n} of {thresh}");
                assert_eq!(r.allowance(MSS), u32::from(n) * MSS, "limited transmit");
            }
            assert!(r.on_duplicate_ack(&snd, MSS), "{thresh}");
            assert_eq!(r.allowance(MSS), u32::from(thresh.max(1)) * MSS);
        }
    }

    #[test]
    fn limited_transmit_is_remembered_until_an_ack_moves() {
        let (mut r, snd) = (recovery(3), sent(1, 10_001));
        let _ = r.on_duplicate_ack(&snd, MSS);
        r.on_limited_transmit(MSS);
        r.on_limited_transmit(500);
        let _ = (r.on_duplicate_ack(&snd, MSS), r.on_duplicate_ack(&snd, MSS));
        assert_eq!(r.limited(), 1500);
        let _ = r.on_ack(&sent(1001, 10_001), 1000, MSS);
        assert_eq!(r.limited(), 0);
    }

    #[test]
    fn a_partial_ack_sends_the_next_hole_and_a_full_one_ends() {
        let (mut r, snd) = (recovery(3), sent(1, 10_001));
        for _ in 0..3 {
            let _ = r.on_duplicate_ack(&snd, MSS);
        }
        r.on_retransmit(
            crate::seq::SeqRange::new(Seq::new(1), Seq::new(1001)),
            0,
            crate::congestion::delivery_rate::Stamp::at(crate::time::Instant::ZERO),
        );
        assert_eq!(r.pending(), None);
        let part = sent(3001, 10_001);
        assert_eq!(r.on_ack(&part, 3000, MSS), Progress::Partial { first: true });
        assert_eq!(r.pending(), Some(Reason::PartialAck));
        assert_eq!(r.allowance(MSS), 1000);
        assert_eq!(r.on_ack(&sent(4001, 10_001), 1000, MSS), Progress::Partial { first: false });
        assert_eq!(r.on_ack(&sent(10_001, 12_001), 6000, MSS), Progress::Ended);
        assert_eq!(r.phase(), Phase::Open);
    }
}
