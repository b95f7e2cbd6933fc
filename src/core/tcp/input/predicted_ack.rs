//! The acknowledgment that nearly every one is, where we send and nothing goes wrong.
//!
//! It tells one thing: more has arrived, in order. Nothing that is outstanding is deemed lost, was sent again or told of beyond a
//! gap, nothing is tried or doubted. It may bring text, the next in order, as a request does that acknowledges the reply before it,
//! or the FIN of a peer that has its reply.
//! For such an acknowledgment most steps of §3.10.7.4, and most of recovery, have nothing to do. Those that have are taken here, in
//! their order; the rules themselves stand where they are for any other.

use super::Step;
use crate::config::EcnFeedback;
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::segment::Segment;
use crate::tcp::state::State;
use crate::tcp::tcb::{Is, Tcb};
use crate::wire::flags::Flags;

impl Tcb {
    /// Takes a segment that [is](Self::is_predicted_ack) that acknowledgment, and is counted already.
    pub(super) fn take_predicted_ack(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        #[cfg(test)]
        crate::tcp::short_cuts::taken();
        self.ecn_arrives(seg);
        self.take_arrival(seg, cx);
        let in_flight = self.snd.outstanding();
        self.snd.update_window(seg.seq, seg.ack, self.snd.scale.octets(seg.window));
        self.measure(seg.ack, seg.timestamps(), cx);
        let acked = self.move_una(seg.ack, cx);
        let (segments, sent) = self.take_plain(cx.now);
        self.recovery.board.give_back(cx.lists);
        self.ecn.pass(seg.ack);
        self.respond_in_calm(acked, in_flight, sent, cx);
        self.tally.have_arrived(segments);
        self.count_repair(cx.now);
        self.ack_is_taken(cx);
        self.seventh_process_text(seg, cx)?;
        self.eighth_check_fin(seg, cx)
    }

    /// Whether a segment is that acknowledgment.
    #[inline]
    pub(super) fn is_predicted_ack(&self, seg: &Segment<'_>, cx: &Context<'_>) -> bool {
        #[cfg(test)]
        if crate::tcp::short_cuts::are_closed() {
            return false;
        }
        // At RCV.NXT what takes no sequence number is acceptable whatever the window (RFC 9293 §3.10.7.4, Table 6), and what
        // it acknowledges RFC 5961 §5.2 believes. A window that is closed or opens has probes to end or to begin (RFC 9293
        // §3.8.6.1).
        let advances = seg.flags.difference(Flags::PSH | Flags::FIN) == Flags::ACK
            && seg.seq == self.rcv.nxt
            && seg.ack.after(self.snd.una)
            && seg.ack.at_or_before(self.snd.nxt)
            && seg.window > 0
            && self.snd.wnd > 0
            && seg.options.sack.is_empty()
            && seg.options.user_timeout.is_none();
        // A FIN of ours that is acknowledged moves the state on.
        advances
            && matches!(self.state(), State::Established | State::CloseWait)
            && !self.is.contains(Is::FIN_QUEUED)
            && self.ecn.feedback() == EcnFeedback::None
            && self.is_calm()
            && self.recovery.board.is_plain_to(seg.ack)
            && self.is_in_time(seg, cx)
            && (seg.is_empty() || self.is_next(seg))
    }

    /// Whether its text and the FIN behind it fit the window, with nothing missing, urgent or ended, so that no other step has to
    /// do with them.
    fn is_next(&self, seg: &Segment<'_>) -> bool {
        self.state() == State::Established
            && seg.len() <= self.rcv.wnd
            && self.reassembly.is_empty()
            && self.rcv.fin.is_none()
            && !self.is.contains(Is::URGENT)
    }

    /// Nothing that is outstanding is to be repaired or doubted, nothing is tried with it; and with SACK the window is
    /// sized by what is acknowledged alone.
    pub(super) fn is_calm(&self) -> bool {
        let (recovery, board) = (&self.recovery, &*self.recovery.board);
        recovery.sack
            && recovery.phase == Phase::Open
            && (board.sacked(), board.lost(), board.resent()) == (0, 0, 0)
            && recovery.tlp.end.is_none()
            && recovery.cwnd().is_none()
            && !recovery.all_came_twice()
            && self.mtu.is_none()
            && !self.congestion.sizes_own_window()
    }
}
