//! Second, check the RST bit (with RFC 5961 §3.2).

use core::ops::ControlFlow::{Break, Continue};

use super::Step;
use crate::error::Error;
use crate::tcp::context::Context;
use crate::tcp::segment::Segment;
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::Tcb;
use crate::tcp::trace::{AckReason, Verdict};

impl Tcb {
    pub(super) fn second_check_rst(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        if !seg.rst() {
            return Continue(());
        }
        // A blind attacker hits the window easily, but not the one number that counts.
        if seg.seq != self.rcv.nxt {
            self.challenge(AckReason::Challenge, cx);
            return Break(Verdict::ResetChallenged);
        }
        let error = match self.state() {
            State::SynReceived => Error::Refused,
            // The peer has had all of ours, and we all of theirs: as Linux, a broken pipe rather than a reset.
            State::CloseWait => Error::BrokenPipe,
            _ => Error::Reset,
        };
        self.fail(error, Event::Reset, cx);
        Break(Verdict::Reset)
    }
}
