//! What window to offer (RFC 9293 §3.8.6.2.2, RFC 7323 §2).

use crate::seq::WindowScale;
use crate::tcp::tcb::{Is, Tcb};

/// A window to offer: the field of the header, and what it promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::tcp) struct Offer {
    pub(in crate::tcp) field: u16,
    /// RCV.WND after this segment, octets: never less than what was promised before.
    pub(in crate::tcp) octets: u32,
}

impl Tcb {
    /// What the receive buffer has room for.
    fn room(&self) -> u32 {
        let unread = u32::try_from(self.receive_buffer.len()).unwrap_or(u32::MAX);
        let most = self.options.window_clamp.min(self.rcv.scale.octets(u16::MAX));
        self.options.receive_buffer.saturating_sub(unread).min(most)
    }

    /// The offer a segment leaving now carries. The right edge stays until it can move by a full segment
    /// or half the buffer (silly window avoidance), and never moves left.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= id=STEP-3.10.7.4-30
    //# The total of RCV.NXT and RCV.WND should not be reduced.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
    //# A TCP receiver SHOULD NOT shrink the window, i.e., move the right window edge to the left (SHLD-14).
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
    //= id=MAY-8
    //# A TCP implementation MAY keep its offered receive window closed indefinitely (MAY-8).
    pub(in crate::tcp) fn window_offer(&self) -> Offer {
        let promised = self.rcv.wnd;
        let room = self.room();
        // Who has not shown that it receives what we send is promised no more than the SYN,ACK did.
        let grows = self.may_grow_by(room.saturating_sub(promised)) && !self.is_open_early();
        let wanted = if grows { room } else { promised };
        let scale = self.rcv.scale;
        // A field can only tell multiples of the scale. Rounding up keeps the edge the peer knows; where there
        // is no room for that, rounding down shows it a little less than we still take (RFC 7323 §2.4).
        let rounded = scale.round_up(wanted);
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
        //= id=rfc7323-2.3-5
        //# The window field (SEG.WND) of every outgoing segment, with the exception of <SYN> segments, MUST be
        //# right-shifted by Rcv.Wind.Shift bits
        let field = if rounded <= room { scale.field(rounded) } else { scale.field(wanted) };
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.4
        //= id=rfc7323-2.4-2
        //# 1) The receiver MUST honor, as in window, any segment that would have been in window for any <ACK>
        //# sent by the receiver.
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.4
        //= id=rfc7323-2.4-3
        //# 2) When window scaling is in effect, the receiver SHOULD track the actual maximum window sequence
        //# number (which is likely to be greater than the window announced by the most recent <ACK>, if more
        //# than one segment has arrived since the application consumed any data in the receive buffer).
        Offer { field, octets: scale.octets(field).max(promised) }
    }

    /// The offer on a SYN, which is never scaled (RFC 7323 §2.2).
    pub(in crate::tcp) fn syn_window_offer(&self) -> Offer {
        let octets = self.rcv.wnd.min(0xffff);
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
        //= id=rfc7323-2.2-4
        //# The window field in a segment where the SYN bit is set (i.e., a <SYN> or <SYN,ACK>) MUST NOT be
        //# scaled.
        Offer { field: WindowScale::ZERO.field(octets), octets }
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.2
    //= id=MUST-39
    //# A TCP implementation MUST include a SWS avoidance algorithm in the receiver (MUST-39).
    fn may_grow_by(&self, octets: u32) -> bool {
        octets > 0 && octets >= u32::from(self.rcv.mss).min(self.options.largest_window() / 2)
    }

    /// Whether the program has read so much that the peer should hear of it though nothing else is to be said:
    /// the window could at least double, having fallen to half the buffer or less.
    pub(crate) fn window_update_due(&self) -> bool {
        if self.is.contains(Is::PEER_CLOSED) || !self.state().may_receive() || self.has_syn_text_alone() {
            return false;
        }
        let offer = self.window_offer();
        offer.octets > self.rcv.wnd
            && offer.octets >= self.rcv.wnd.saturating_mul(2)
            && self.may_grow_by(offer.octets - self.rcv.wnd)
    }
}
