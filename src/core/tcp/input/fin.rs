//! Eighth, check the FIN bit.

use core::ops::ControlFlow::{Break, Continue};

use super::Step;
use crate::tcp::context::Context;
use crate::tcp::segment::Segment;
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::{AckReason, Verdict};

impl Tcb {
    pub(super) fn eighth_check_fin(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        if seg.fin() && !self.is.contains(Is::PEER_CLOSED) {
            // It counts when everything in front of it has come; until then its place is remembered.
            self.rcv.fin = Some(seg.text_range().end);
        }
        if self.rcv.fin == Some(self.rcv.nxt) {
            self.take_fin(cx);
        }
        if !self.reassembly.is_empty() && seg.seq.after(self.rcv.nxt) && !seg.text.is_empty() {
            return Break(Verdict::OutOfOrder);
        }
        Continue(())
    }

    fn take_fin(&mut self, cx: &mut Context<'_>) {
        self.rcv.fin = None;
        self.rcv.advance(1);
        self.is.insert(Is::PEER_CLOSED);
        // What lies behind the FIN cannot be the peer's data.
        self.reassembly.clear();
        self.acks.now(AckReason::Fin);
        self.transition(Event::Fin, cx);
        if self.state() == State::TimeWait {
            self.timers.cancel_all();
        }
    }
}
