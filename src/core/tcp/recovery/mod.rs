//! Loss recovery: which sent data is to be sent again, and when (RFC 5681 §3.2, RFC 6582, RFC 6298 §5).
//!
//! The connection asks three things of it: what to retransmit now, how much is in flight, and how far the
//! congestion window is stretched by duplicate ACKs. It is told of every acknowledgment, duplicate and
//! time-out. How large the window is, is the business of [`congestion`](super::congestion).

use super::seq::Seq;
use super::snd::Send;
use crate::tcp::trace::Reason;

/// What recovery is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// No loss known.
    Open,
    /// Fast recovery: holes are filled one a round trip, new data goes on (RFC 6582).
    Recovery,
    /// A time-out: all that was outstanding is sent again by slow start.
    Loss,
}

impl Phase {
    /// In words; `None` where nothing is lost.
    pub const fn text(self) -> Option<&'static str> {
        match self {
            Self::Open => None,
            Self::Recovery => Some("fast recovery"),
            Self::Loss => Some("sending again"),
        }
    }
}

/// What an acknowledgment of new data meant for recovery.
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

/// The recovery variables of a connection without SACK (NewReno).
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    phase: Phase,
    partial_seen: bool,
    dup_acks: u16,
    /// How many duplicate ACKs mean a loss: 3 in RFC 5681 §3.2.
    dup_thresh: u16,
    /// RFC 6582 `recover`: SND.NXT when the last recovery began.
    recover: Seq,
    /// In [`Phase::Loss`]: what lies before this has been sent again.
    resent: Seq,
    /// What duplicate ACKs say has left the network, octets.
    inflation: u32,
    /// Sent beyond the window by limited transmit, octets.
    limited: u32,
    /// One segment from SND.UNA is to be sent now, whatever the window.
    pending: Option<Reason>,
    /// Consecutive time-outs without progress.
    timeouts: u8,
}

impl Recovery {
    /// Nothing lost. `dup_thresh` duplicate ACKs will mean a loss; 0 counts as 1.
    pub const fn new(iss: Seq, dup_thresh: u16) -> Self {
        Self {
            phase: Phase::Open,
            partial_seen: false,
            dup_acks: 0,
            dup_thresh: if dup_thresh == 0 { 1 } else { dup_thresh },
            recover: iss,
            resent: iss,
            inflation: 0,
            limited: 0,
            pending: None,
            timeouts: 0,
        }
    }

    /// What it is about now.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Consecutive time-outs without progress.
    pub const fn timeouts(&self) -> u8 {
        self.timeouts
    }

    /// Duplicate ACKs seen in a row.
    pub const fn dup_acks(&self) -> u16 {
        self.dup_acks
    }

    /// What must be sent again from SND.UNA at once, whatever the congestion window.
    pub const fn pending(&self) -> Option<Reason> {
        self.pending
    }

    /// Asks for one segment from SND.UNA.
    pub const fn request(&mut self, reason: Reason) {
        self.pending = Some(reason);
    }

    /// What is to be sent again as the congestion window allows: from this sequence number on, up to
    /// [`resend_end`](Self::resend_end).
    pub fn resend_from(&self, snd: &Send) -> Option<Seq> {
        let from = self.resent.max(snd.una);
        (self.phase == Phase::Loss && from.before(self.recover)).then_some(from)
    }

    /// Where what was lost in a time-out ends.
    pub const fn resend_end(&self) -> Seq {
        self.recover
    }

    /// Limited transmit has sent `len` octets.
    pub const fn on_limited_transmit(&mut self, len: u32) {
        self.limited = self.limited.saturating_add(len);
    }

    /// What limited transmit has sent since SND.UNA last moved, octets: not to be counted when the slow start
    /// threshold is set (RFC 5681 §3.2, step 2).
    pub const fn limited(&self) -> u32 {
        self.limited
    }

    /// A retransmission up to `end` has left.
    pub fn on_retransmit(&mut self, end: Seq) {
        self.pending = None;
        if self.phase == Phase::Loss {
            self.resent = self.resent.max(end);
        }
    }

    /// Octets in the network: sent, not acknowledged, and not deemed lost.
    pub fn in_flight(&self, snd: &Send) -> u32 {
        if self.phase == Phase::Loss {
            let resent = self.resent.saturating_since(snd.una);
            let new = snd.nxt.saturating_since(self.recover.max(snd.una));
            resent.saturating_add(new).min(snd.outstanding())
        } else {
            snd.outstanding()
        }
    }

    /// What duplicate ACKs add to the congestion window in fast recovery, octets.
    pub const fn inflation(&self) -> u32 {
        self.inflation
    }

    /// How much more than the congestion window may be in flight, octets: in fast recovery what duplicate
    /// ACKs showed to have left (RFC 5681 §3.2, steps 3 and 4), before it a segment for each of the first two
    /// (limited transmit, RFC 3042); of more, where the threshold is higher, for each below it.
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
    //= id=rfc5681-3.2-4, rfc5681-3.2-5, rfc5681-3.2-11
    pub fn allowance(&self, mss: u32) -> u32 {
        match self.phase {
            Phase::Recovery => self.inflation,
            Phase::Open => u32::from(self.dup_acks.min(self.dup_thresh - 1)).saturating_mul(mss),
            Phase::Loss => 0,
        }
    }

    /// A duplicate ACK came. Gives true when it begins fast recovery: the caller then tells congestion
    /// control of a loss.
    #[must_use]
    pub fn on_duplicate_ack(&mut self, snd: &Send, mss: u32) -> bool {
        self.dup_acks = self.dup_acks.saturating_add(1);
        match self.phase {
            //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
            //= id=rfc5681-3.2-10
            //# For each additional duplicate ACK received (after the third), cwnd MUST be incremented by SMSS.
            Phase::Recovery => {
                self.inflation = self.inflation.saturating_add(mss);
                false
            }
            //= https://www.rfc-editor.org/rfc/rfc6582#section-6
            //= id=rfc6582-6-2
            //# the sender should follow the guidance in Section 4.
            // RFC 6582 §3.2 step 2 and §4: what was outstanding at the last recovery or time-out does not
            // begin another.
            //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
            //= id=rfc5681-3.2-3, rfc5681-3.2-9
            Phase::Open if self.dup_acks == self.dup_thresh && snd.una.sub(1).at_or_after(self.recover) => {
                self.phase = Phase::Recovery;
                self.partial_seen = false;
                self.recover = snd.nxt;
                self.inflation = mss.saturating_mul(u32::from(self.dup_thresh));
                self.pending = Some(Reason::FastRetransmit);
                true
            }
            Phase::Open | Phase::Loss => false,
        }
    }

    /// SND.UNA has moved to its new place, `acked` octets on.
    #[must_use]
    pub fn on_ack(&mut self, snd: &Send, acked: u32, mss: u32) -> Progress {
        self.dup_acks = 0;
        self.limited = 0;
        self.timeouts = 0;
        let covered = snd.una.at_or_after(self.recover);
        match self.phase {
            Phase::Open => {
                // `recover` trails SND.UNA closely enough for comparisons to hold after a wrap.
                if covered {
                    self.recover = snd.una.sub(1);
                }
                self.pending = None;
                Progress::Normal
            }
            Phase::Recovery if covered => {
                self.phase = Phase::Open;
                self.inflation = 0;
                self.pending = None;
                Progress::Ended
            }
            Phase::Recovery => {
                let first = !self.partial_seen;
                self.partial_seen = true;
                self.inflation = self.inflation.saturating_sub(acked);
                if acked >= mss {
                    self.inflation = self.inflation.saturating_add(mss);
                }
                self.pending = Some(Reason::PartialAck);
                Progress::Partial { first }
            }
            Phase::Loss => {
                if covered {
                    self.phase = Phase::Open;
                }
                self.pending = None;
                Progress::Normal
            }
        }
    }

    /// The retransmission timer ran out. Gives true when it is the first time for this data: congestion
    /// control then sets its threshold anew (RFC 5681 §3.1).
    pub fn on_timeout(&mut self, snd: &Send) -> bool {
        let first = self.timeouts == 0;
        self.timeouts = self.timeouts.saturating_add(1);
        self.declare_lost(snd);
        self.pending = Some(Reason::RetransmissionTimeout);
        first
    }

    /// The path takes only smaller packets: what is outstanding will not arrive. This is no congestion
    /// (RFC 8201 §5.4).
    pub fn on_path_mtu(&mut self, snd: &Send) {
        if snd.una != snd.nxt {
            self.declare_lost(snd);
            self.pending = Some(Reason::PathMtu);
        }
    }

    /// The peer's window, closed before, has opened: what was sent against it, a probe at least, was not
    /// taken, and waiting for the timer would stall the connection.
    pub fn on_window_opened(&mut self, snd: &Send) {
        if snd.una != snd.nxt {
            self.declare_lost(snd);
            self.pending = Some(Reason::WindowOpened);
        }
    }

    fn declare_lost(&mut self, snd: &Send) {
        self.phase = Phase::Loss;
        self.dup_acks = 0;
        self.limited = 0;
        self.inflation = 0;
        self.recover = snd.nxt;
        self.resent = snd.una;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    fn sent(una: u32, nxt: u32) -> Send {
        let mut snd = Send::new(Seq::new(0), MSS as u16);
        snd.una = Seq::new(una);
        snd.nxt = Seq::new(nxt);
        snd
    }

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
    //= type=test
    //= id=rfc5681-3.2-10
    #[test]
    fn third_duplicate_begins_recovery_and_further_ones_stretch_the_window() {
        let (mut r, snd) = (Recovery::new(Seq::new(0), 3), sent(1, 10_001));
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
            let mut r = Recovery::new(Seq::new(0), thresh);
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
        let (mut r, snd) = (Recovery::new(Seq::new(0), 3), sent(1, 10_001));
        let _ = r.on_duplicate_ack(&snd, MSS);
        r.on_limited_transmit(MSS);
        r.on_limited_transmit(500);
        let _ = (r.on_duplicate_ack(&snd, MSS), r.on_duplicate_ack(&snd, MSS));
        assert_eq!(r.limited(), 1500);
        let _ = r.on_ack(&sent(1001, 10_001), 1000, MSS);
        assert_eq!(r.limited(), 0);
        r.on_limited_transmit(MSS);
        let _ = r.on_timeout(&snd);
        assert_eq!(r.limited(), 0);
    }

    #[test]
    fn a_partial_ack_sends_the_next_hole_and_a_full_one_ends() {
        let (mut r, snd) = (Recovery::new(Seq::new(0), 3), sent(1, 10_001));
        for _ in 0..3 {
            let _ = r.on_duplicate_ack(&snd, MSS);
        }
        r.on_retransmit(Seq::new(1001));
        assert_eq!(r.pending(), None);
        let part = sent(3001, 10_001);
        assert_eq!(r.on_ack(&part, 3000, MSS), Progress::Partial { first: true });
        assert_eq!(r.pending(), Some(Reason::PartialAck));
        assert_eq!(r.allowance(MSS), 1000);
        assert_eq!(r.on_ack(&sent(4001, 10_001), 1000, MSS), Progress::Partial { first: false });
        assert_eq!(r.on_ack(&sent(10_001, 12_001), 6000, MSS), Progress::Ended);
        assert_eq!(r.phase(), Phase::Open);
    }

    //= https://www.rfc-editor.org/rfc/rfc6582#section-6
    //= type=test
    //= id=rfc6582-6-2
    #[test]
    fn what_timed_out_does_not_begin_fast_recovery() {
        let (mut r, snd) = (Recovery::new(Seq::new(0), 3), sent(1, 5001));
        assert!(r.on_timeout(&snd));
        assert_eq!(r.in_flight(&snd), 0);
        r.on_retransmit(Seq::new(1001));
        assert_eq!((r.in_flight(&snd), r.resend_from(&snd)), (1000, Some(Seq::new(1001))));
        assert!(!r.on_timeout(&snd), "the second time is not the first");
        r.on_retransmit(Seq::new(1001));
        assert_eq!(r.on_ack(&sent(5001, 5001), 5000, MSS), Progress::Normal);
        assert_eq!(r.phase(), Phase::Open);
        // RFC 6582 §4: duplicates that the resent data provokes right after.
        let later = sent(5001, 9001);
        for _ in 0..3 {
            assert!(!r.on_duplicate_ack(&later, MSS));
        }
        let beyond = sent(6001, 9001);
        assert_eq!(r.on_ack(&beyond, 1000, MSS), Progress::Normal);
        assert!(!r.on_duplicate_ack(&beyond, MSS) && !r.on_duplicate_ack(&beyond, MSS));
        assert!(r.on_duplicate_ack(&beyond, MSS), "data sent since then may");
    }
}
