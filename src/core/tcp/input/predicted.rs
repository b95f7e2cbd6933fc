//! Header prediction: the segment that nearly every one is, where one end alone sends (RFC 1323 §A.2 of old; Jacobson's).
//!
//! It carries text, the next in order; it acknowledges what was acknowledged; nothing of ours is outstanding, waits or is to
//! be repaired; nothing is missing, urgent or ended. For such a segment most steps of §3.10.7.4 have nothing to do. Those that
//! have are taken here, in their order. Whatever else may come goes the whole way.

use core::ops::ControlFlow;

use crate::config::EcnFeedback;
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::segment::Segment;
use crate::tcp::state::State;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::Verdict;
use crate::wire::flags::Flags;

impl Tcb {
    /// A segment arrived: takes it if it is the predicted one. Gives what became of it then, as
    /// [`on_segment`](Self::on_segment) would.
    pub fn on_predicted(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Option<Verdict> {
        if seg.text.is_empty() || self.state() != State::Established || !self.is_predicted(seg, cx) {
            return None;
        }
        #[cfg(test)]
        crate::tcp::short_cuts::taken();
        self.tally.received(seg, cx.now);
        self.ecn_arrives(seg);
        self.take_arrival(seg, cx);
        self.snd.update_window(seg.seq, seg.ack, self.snd.scale.octets(seg.window));
        self.count_repair(cx.now);
        self.note_limit(cx.now);
        Some(match self.seventh_process_text(seg, cx) {
            ControlFlow::Continue(()) => Verdict::Accepted,
            ControlFlow::Break(verdict) => verdict,
        })
    }

    /// The same for a segment that differs from the predicted one before it by its sequence number and its text alone, where
    /// nothing has happened to the connection since and no time has passed. What the one before has said, of the clock
    /// of the peer, of its being alive, this one need not say again.
    #[inline]
    pub fn on_repeated(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Option<()> {
        if seg.seq != self.rcv.nxt || seg.text.len() > self.rcv.wnd as usize {
            return None;
        }
        debug_assert!(
            !seg.text.is_empty() && self.is_predicted(seg, cx),
            "what repeats a predicted segment is one"
        );
        #[cfg(test)]
        crate::tcp::short_cuts::taken();
        debug_assert!(!cx.memory.is_bounded(), "where memory is bounded each is judged by itself");
        self.tally.received_more(seg);
        self.snd.update_window(seg.seq, seg.ack, self.snd.scale.octets(seg.window));
        self.process_repeated_text(seg, cx);
        Some(())
    }

    fn is_predicted(&self, seg: &Segment<'_>, cx: &Context<'_>) -> bool {
        #[cfg(test)]
        if crate::tcp::short_cuts::are_closed() {
            return false;
        }
        let una = self.snd.una;
        let follows = seg.flags.difference(Flags::PSH) == Flags::ACK
            && seg.seq == self.rcv.nxt
            && seg.ack == una
            && una == self.snd.nxt
            && seg.window > 0
            && seg.text.len() <= self.rcv.wnd as usize
            && seg.options.sack.is_empty()
            && seg.options.user_timeout.is_none();
        follows
            && self.reassembly.is_empty()
            && self.rcv.fin.is_none()
            && !self.is.intersects(Is::URGENT | Is::NO_SPACE)
            && self.send_buffer.is_empty()
            && self.snd.wnd > 0
            && self.window_probes == 0
            && !self.timers.watches_over_data()
            && self.recovery.rack.dsack_round.is_none()
            && self.has_nothing_to_respond()
            && self.is_in_time(seg, cx)
    }

    /// Whether a segment has the timestamp that it should have, and not an old one (RFC 7323 §5.3).
    pub(super) fn is_in_time(&self, seg: &Segment<'_>, cx: &Context<'_>) -> bool {
        !self.timestamps.enabled()
            || seg.timestamps().is_some_and(|ts| !self.timestamps.is_old(ts.value, cx.now))
    }

    /// Whether an ACK that tells nothing new finds nothing to do in recovery and congestion control.
    pub(in crate::tcp) fn has_nothing_to_respond(&self) -> bool {
        let recovery = &self.recovery;
        recovery.phase == Phase::Open
            && recovery.tlp.end.is_none()
            && !recovery.rack.advanced
            && !recovery.all_came_twice()
            && self.mtu.is_none()
            && self.ecn.feedback() == EcnFeedback::None
            && !self.congestion.sizes_own_window()
    }
}
