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
            if seg.text.is_empty() && seg.seq.after(self.rcv.nxt) {
                // RFC 5681 §4.2: with text it would have been answered as such; the sender learns of the gap.
                self.acks.out_of_order();
            }
        }
        if self.rcv.fin == Some(self.rcv.nxt) {
            self.take_fin(cx);
        }
        let kept = !self.reassembly.is_empty() && !seg.text.is_empty() || seg.fin() && self.rcv.fin.is_some();
        if kept && seg.seq.after(self.rcv.nxt) {
            return Break(Verdict::OutOfOrder);
        }
        Continue(())
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= id=STEP-3.10.7.4-34
    //# If the FIN bit is set, signal the user "connection closing" and return any pending RECEIVEs with
    //# same message, advance RCV.NXT over the FIN, and send an acknowledgment for the FIN.
    fn take_fin(&mut self, cx: &mut Context<'_>) {
        self.rcv.fin = None;
        self.rcv.advance(1);
        self.is.insert(Is::PEER_CLOSED);
        // What lies behind the FIN cannot be the peer's data.
        self.reassembly.clear();
        self.acknowledge_with_reply(AckReason::Fin, cx);
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-35
        //# Enter the CLOSE-WAIT state.
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-36
        //# If our FIN has been ACKed (perhaps in this segment), then enter TIME-WAIT, start the time-wait
        //# timer, turn off the other timers; otherwise, enter the CLOSING state.
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-37
        //# Enter the TIME-WAIT state. Start the time-wait timer, turn off the other timers.
        self.transition(Event::Fin, cx);
        if self.state() == State::TimeWait {
            self.timers.cancel_all();
        }
    }
}
