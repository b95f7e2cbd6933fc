//! The last acknowledgment of a connection that the peer ended first, where no program holds it any more.
//!
//! With the acknowledgment of our FIN the record is deleted (RFC 9293 §3.10.7.4, LAST-ACK): whatever else such a segment brings
//! would be learnt for nobody. One that brings anything unusual goes the whole way.

use core::ops::ControlFlow::Continue;

use super::Step;
use crate::config::EcnFeedback;
use crate::tcp::context::Context;
use crate::tcp::segment::Segment;
use crate::tcp::state::Event;
use crate::tcp::tcb::{Is, Tcb};
use crate::wire::flags::Flags;

impl Tcb {
    /// Takes a segment that [is](Self::is_last_ack) that acknowledgment.
    ///
    /// Who traces the connection sees the window that it offers. The round trip is not measured, the congestion window does not
    /// grow, and the peer's clock is not kept.
    pub(super) fn take_last_ack(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        #[cfg(test)]
        crate::tcp::short_cuts::taken();
        self.snd.update_window(seg.seq, seg.ack, self.snd.scale.octets(seg.window));
        self.move_una(seg.ack, cx);
        self.recovery.board.acknowledge(seg.ack, |_| {});
        self.recovery.board.give_back(cx.lists);
        self.transition(Event::AckOfFin, cx);
        Continue(())
    }

    /// Whether a segment is that acknowledgment: of all that was sent, in order and in time, with nothing beside.
    #[inline]
    pub(super) fn is_last_ack(&self, seg: &Segment<'_>, cx: &Context<'_>) -> bool {
        #[cfg(test)]
        if crate::tcp::short_cuts::are_closed() {
            return false;
        }
        self.is.contains(Is::ORPHAN)
            && seg.flags == Flags::ACK
            && seg.seq == self.rcv.nxt
            && seg.ack == self.snd.nxt
            && seg.text.is_empty()
            && seg.options.sack.is_empty()
            && self.fin_outstanding()
            && self.ecn.feedback() == EcnFeedback::None
            && self.is_calm()
            && self.is_in_time(seg, cx)
    }
}
