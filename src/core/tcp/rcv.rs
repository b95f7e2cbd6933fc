//! The receive sequence space (RFC 9293 §3.3.1).
//!
//! ```text
//!              1          2          3
//!          ----------|----------|----------
//!                 RCV.NXT    RCV.NXT
//!                           +RCV.WND
//!
//! 1 - old sequence numbers that have been acknowledged
//! 2 - sequence numbers allowed for new reception
//! 3 - future sequence numbers that are not yet allowed
//! ```
//!
//! *RFC 9293 Figure 4.*

use super::seq::{Seq, WindowScale};

/// The receive variables of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Recv {
    /// RCV.NXT: next sequence number expected.
    pub nxt: Seq,
    /// RCV.WND: what we have promised to take from RCV.NXT on, octets. It shrinks as data fills it and grows
    /// when a segment that offers more leaves.
    pub wnd: u32,
    /// RCV.UP: the octet after urgent data; at or before what has been read when there is none.
    pub up: Seq,
    /// IRS: the peer's initial sequence number.
    pub irs: Seq,
    /// Last.ACK.sent (RFC 7323 §4.3).
    pub last_ack_sent: Seq,
    /// Where the peer's FIN lies when it came before the data in front of it.
    pub fin: Option<Seq>,
    /// How our window fields are scaled.
    pub scale: WindowScale,
    /// RMSS: the size of the peer's full segments, octets of text. Two of these are worth an ACK.
    pub mss: u16,
}

/// What every path of IPv4 carries at least, octets of text (RFC 9293 §3.7.1): longer segments are mostly full.
const DEFAULT_MSS: u16 = 536;

/// The shortest segment that can be full, octets of text, as in Linux.
pub(super) const LEAST_MSS: u16 = 88;

impl Recv {
    /// After the peer's SYN with this sequence number.
    pub const fn new(irs: Seq, wnd: u32, mss: u16) -> Self {
        let nxt = irs.add(1);
        Self { nxt, wnd, up: nxt, irs, last_ack_sent: nxt, fin: None, scale: WindowScale::ZERO, mss }
    }

    /// A segment with `len` octets of text came, with PSH if it was `pushed`. The path of the peer's may have become smaller
    /// (RFC 8201 §4): two of one length that are not the end of what was written are full ones. `shorter` is the length of
    /// the one before, if that was shorter than RMSS and may have been full, or else 0.
    pub(super) fn measure(&mut self, len: u16, pushed: bool, shorter: &mut u16) {
        if len >= self.mss {
            (self.mss, *shorter) = (len, 0);
            return;
        }
        let full = len >= DEFAULT_MSS || (len >= LEAST_MSS && !pushed);
        if full && len == *shorter {
            self.mss = len;
        }
        *shorter = if full { len } else { 0 };
    }

    /// The right edge of what we have promised.
    pub const fn edge(&self) -> Seq {
        self.nxt.add(self.wnd)
    }

    /// The acceptability test: RFC 9293 §3.10.7.4, Table 6. Its last row asks for the first or the last octet
    /// to lie in the window; a segment that begins before the window and ends behind it holds octets we want
    /// too, and is taken. So is an empty segment at the right edge, against the letter of the second row: a sender
    /// that has filled our window has no other number for its ACKs, and while one of its segments is lost, the
    /// data that we send depends on them.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= id=STEP-3.10.7.4-2
    //# There are four cases for the acceptability test for an incoming segment:
    pub const fn acceptable(&self, seq: Seq, len: u32) -> bool {
        match (len, self.wnd) {
            (0, _) => seq.since(self.nxt) <= self.wnd,
            (_, 0) => false,
            (_, _) => self.in_window(seq) || self.nxt.since(seq) < len,
        }
    }

    /// RCV.NXT =< `seq` < RCV.NXT + RCV.WND.
    pub const fn in_window(&self, seq: Seq) -> bool {
        seq.since(self.nxt) < self.wnd
    }

    /// Takes `n` sequence numbers that arrived in order.
    pub const fn advance(&mut self, n: u32) {
        self.nxt = self.nxt.add(n);
        self.wnd = self.wnd.saturating_sub(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= type=test
    //= id=STEP-3.10.7.4-2
    #[test]
    fn acceptability_is_table_6() {
        for base in [100, u32::MAX - 5, 0x8000_0000 - 5] {
            let at = |n: i32| Seq::new(base).add(n as u32);
            let mut rcv = Recv::new(at(-1), 0, 536);
            assert!(rcv.acceptable(at(0), 0));
            assert!(!rcv.acceptable(at(1), 0) && !rcv.acceptable(at(-1), 0));
            assert!(!rcv.acceptable(at(0), 1));
            rcv.wnd = 10;
            assert!(rcv.acceptable(at(0), 0) && rcv.acceptable(at(9), 0));
            assert!(rcv.acceptable(at(10), 0), "the number of a sender that has filled the window");
            assert!(!rcv.acceptable(at(-1), 0) && !rcv.acceptable(at(11), 0));
            assert!(rcv.acceptable(at(-1), 2), "its last octet is RCV.NXT");
            assert!(!rcv.acceptable(at(-2), 2));
            assert!(rcv.acceptable(at(-1), 100), "covers the window");
            assert!(rcv.acceptable(at(9), 100));
            assert!(!rcv.acceptable(at(10), 1));
        }
    }
}
