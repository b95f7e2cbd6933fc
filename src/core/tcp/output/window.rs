//! What window to offer (RFC 9293 §3.8.6.2.2, RFC 7323 §2).

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::seq::{Seq, WindowScale};
use crate::sockopt::BufferLock;
use crate::tcp::buffer::right_sizing::RightSizing;
use crate::tcp::context::Context;
use crate::tcp::segment::Segment;
use crate::tcp::tcb::{Is, Tcb};
use crate::time::Instant;

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
        self.options.receive_buffer.saturating_sub(unread).min(self.window_limit())
    }

    /// What no window is larger than: what the program says, and what the field can tell.
    fn window_limit(&self) -> u32 {
        self.options.window_clamp.min(self.rcv.scale.octets(u16::MAX))
    }

    /// How much of the room is offered: what a SYN can tell at first, and more with what arrives.
    pub(in crate::tcp) fn window_threshold(&self) -> u32 {
        let first = || self.rcv.wnd.max(self.options.first_window(self.mss_offered).into());
        self.right_sizing.as_ref().map_or_else(first, |sizing| sizing.threshold())
    }

    /// The text of a segment was taken, RCV.NXT having been `nxt` before it: more of the buffer may be offered.
    #[inline]
    pub(in crate::tcp) fn offer_more(&mut self, nxt: Seq, text: u32, now: Instant) -> &mut RightSizing {
        let size = self.options.receive_buffer;
        // No room is larger than the buffer.
        let whole = self.right_sizing.as_ref().is_some_and(|sizing| sizing.threshold() >= size);
        let room = if whole { 0 } else { self.room() };
        let (rcv, options, mss_offered) = (&self.rcv, &self.options, self.mss_offered);
        let sizing = self.right_sizing.get_or_insert_with(|| {
            let (edge, first) = (rcv.edge(), options.first_window(mss_offered).into());
            let threshold = rcv.wnd.max(first).max(edge.saturating_since(nxt));
            Box::new(RightSizing::new(threshold, rcv.mss.into(), nxt, edge, now))
        });
        if !whole {
            sizing.grow(text, room, size);
        }
        sizing
    }

    /// The same in order. Once a round trip the buffer is made as large as the program reads fast.
    #[inline]
    pub(in crate::tcp) fn right_size(&mut self, nxt: Seq, seg: &Segment<'_>, cx: &Context<'_>) {
        let (mss, text) = (u32::from(self.rcv.mss), seg.text.len() as u32);
        self.offer_more(nxt, text, cx.now);
        let Some(sizing) = self.right_sizing.as_deref_mut() else { return };
        if let Some(echo) = seg.timestamps().map(|ts| ts.echo)
            && !sizing.has_heard(echo)
            && text >= mss
            && self.timestamps.enabled()
            && let Some(round_trip) = self.timestamps.round_trip(echo, cx.now)
        {
            sizing.echoed(echo, round_trip);
        }
        sizing.arrived(self.rcv.nxt, self.rcv.edge(), cx.now);
        let unread = u32::try_from(self.receive_buffer.len()).unwrap_or(u32::MAX);
        let Some(wanted) = sizing.measure(self.rcv.nxt.sub(unread), mss, cx.now) else { return };
        if cx.memory.under_pressure() {
            return;
        }
        if cx.config.moderate_receive_buffer && !self.options.buffer_lock.contains(BufferLock::RECEIVE) {
            let wanted = wanted.min(self.window_limit()).min(cx.config.receive_buffer_max);
            if wanted > self.options.receive_buffer {
                Arc::make_mut(&mut self.options).receive_buffer = wanted;
            }
        }
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
        let offered = room.min(self.window_threshold()).min(self.memory_allows());
        // Who has not shown that it receives what we send is promised no more than the SYN,ACK did.
        let grows = self.may_grow_by(offered.saturating_sub(promised)) && !self.is_open_early();
        let wanted = if grows { offered } else { promised };
        let scale = self.rcv.scale;
        // A field can only tell multiples of the scale. Rounding up keeps the edge the peer knows; where there
        // is no room for that, rounding down shows it a little less than we still take (RFC 7323 §2.4).
        let rounded = scale.round_up(wanted);
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
        //= id=rfc7323-2.3-5
        //# The window field (SEG.WND) of every outgoing segment, with the exception of <SYN> segments, MUST be
        //# right-shifted by Rcv.Wind.Shift bits
        let field = if self.is.contains(Is::STARVED) {
            0
        } else if rounded <= room {
            scale.field(rounded)
        } else {
            scale.field(wanted)
        };
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
    ///
    /// Where less may be offered than the buffer has, and hardly more than a segment, the edge could lack a few octets of
    /// both for ever, and the peer wait with all it has: so all that it can ever move by is enough.
    fn may_grow_by(&self, octets: u32) -> bool {
        let enough = || {
            let threshold = self.window_threshold();
            let all = threshold.saturating_sub(self.rcv.wnd).max(threshold / 2);
            all.min(self.options.largest_window() / 2)
        };
        octets > 0 && (octets >= u32::from(self.rcv.mss) || octets >= enough())
    }

    /// Whether the program has read so much that the peer should hear of it though nothing else is to be said:
    /// the window could at least double, having fallen to half the buffer or less.
    pub(crate) fn window_update_due(&self) -> bool {
        if self.is.contains(Is::PEER_CLOSED) || !self.state().may_receive() {
            return false;
        }
        let offer = self.window_offer();
        offer.octets > self.rcv.wnd
            && offer.octets >= self.rcv.wnd.saturating_mul(2)
            && self.may_grow_by(offer.octets - self.rcv.wnd)
    }
}
