//! The send sequence space (RFC 9293 §3.3.1).
//!
//! ```text
//!            1         2          3          4
//!       ----------|----------|----------|----------
//!              SND.UNA    SND.NXT    SND.UNA
//!                                   +SND.WND
//!
//! 1 - old sequence numbers that have been acknowledged
//! 2 - sequence numbers of unacknowledged data
//! 3 - sequence numbers allowed for new data transmission
//! 4 - future sequence numbers that are not yet allowed
//! ```
//!
//! *RFC 9293 Figure 3.* SND.NXT never goes back here: what has to be sent again is the business of
//! [`recovery`](super::recovery).

use super::seq::{Seq, SeqRange, WindowScale};

/// The least MSS of a peer that counts: one that says less than any host must take would only make us send headers.
pub const LEAST_MSS: u16 = 64;

/// The send variables of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Send {
    /// SND.UNA: oldest unacknowledged sequence number.
    pub una: Seq,
    /// SND.NXT: next sequence number to be sent.
    pub nxt: Seq,
    /// SND.WND: the window the peer offers from SND.UNA on, octets.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //= id=REC-1
    //# do all window computations with 32 bits (REC-1).
    pub wnd: u32,
    /// SND.UP: the octet after urgent data; at or before SND.UNA when there is none.
    pub up: Seq,
    /// The end of the last segment sent that was not full; at or before SND.UNA when none is outstanding.
    pub short: Seq,
    /// The end of what was written last and is to be pushed; at or before SND.UNA when all that was is acknowledged.
    pub pushed: Seq,
    /// The most that was in flight since the window was last judged, octets, and SND.NXT at that moment.
    pub peak: (u32, Seq),
    /// New text that leaves in one go.
    pub burst: SeqRange,
    /// Where a run of text begins, as far as it has not left: runs are what is written as one piece at most.
    pub run: Seq,
    /// SND.WL1: sequence number of the segment that gave SND.WND.
    pub wl1: Seq,
    /// SND.WL2: acknowledgment number of the segment that gave SND.WND.
    pub wl2: Seq,
    /// ISS: our initial sequence number.
    pub iss: Seq,
    /// MAX.SND.WND: the largest window the peer ever offered (RFC 5961 §5.2), octets.
    pub max_wnd: u32,
    /// How the peer's window fields are scaled.
    pub scale: WindowScale,
    /// The largest segment the peer takes and the path carries, options included (RFC 9293 §3.7.1), octets.
    pub mss: u16,
    /// The largest segment the peer takes, options included: what it said on its SYN (RFC 9293 §3.7.1), octets.
    pub peer_mss: u16,
}

impl Send {
    /// Before the SYN is sent.
    pub const fn new(iss: Seq, mss: u16) -> Self {
        Self {
            una: iss,
            nxt: iss,
            wnd: 0,
            up: iss,
            short: iss,
            pushed: iss,
            peak: (0, iss),
            burst: SeqRange::new(iss, iss),
            run: iss,
            wl1: iss,
            wl2: iss,
            iss,
            max_wnd: 0,
            scale: WindowScale::ZERO,
            mss,
            peer_mss: mss,
        }
    }

    /// The right edge of the peer's window.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //= id=MUST-1
    //# The window size MUST be treated as an unsigned number
    pub const fn edge(&self) -> Seq {
        self.una.add(self.wnd)
    }

    /// The usable window: SND.UNA + SND.WND - SND.NXT, 0 when the peer has shrunk it below what is sent.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
    //# However, a sending TCP peer MUST be robust against window shrinking, which may cause the "usable
    //# window" (see Section 3.8.6.2.1) to become negative (MUST-34).
    //= https://www.rfc-editor.org/rfc/rfc7323#section-2.4
    //= id=rfc7323-2.4-1
    //# Implementations MUST ensure that they handle a shrinking window, as specified in Section 4.2.2.16 of
    //# [RFC1122].
    pub const fn usable(&self) -> u32 {
        self.edge().saturating_since(self.nxt)
    }

    /// Sequence numbers sent and not acknowledged.
    pub const fn outstanding(&self) -> u32 {
        self.nxt.since(self.una)
    }

    /// Takes a window from a segment (§3.10.7.4, fifth), if it is not older than the one we have.
    /// `octets` is the window after scaling. Says whether it was taken.
    pub const fn update_window(&mut self, seq: Seq, ack: Seq, octets: u32) -> bool {
        let fresh = self.is_fresh(seq, ack);
        if fresh {
            self.wnd = octets;
            self.wl1 = seq;
            self.wl2 = ack;
            if octets > self.max_wnd {
                self.max_wnd = octets;
            }
        }
        fresh
    }

    /// Whether a segment is not older than the one that the window is from.
    ///
    /// Against the letter of §3.10.7.4, which asks SND.WL1 alone first: what acknowledges more than any before it, as in Linux,
    /// left after them all, whatever its sequence number. That goes back where our window closes over what the peer has sent,
    /// and its ACKs come from the edge.
    pub const fn is_fresh(&self, seq: Seq, ack: Seq) -> bool {
        self.una.before(ack)
            || self.wl1.before(seq)
            || (self.wl1.get() == seq.get() && self.wl2.at_or_before(ack))
    }
}
