//! Fourth, check the SYN bit (with RFC 5961 §4.2).

use core::ops::ControlFlow::{Break, Continue};

use super::Step;
use crate::tcp::context::Context;
use crate::tcp::segment::Segment;
use crate::tcp::tcb::Tcb;
use crate::tcp::trace::{AckReason, Verdict};

impl Tcb {
    /// A SYN inside the window of a synchronised connection is an attack or an old life of the peer: the
    /// challenge lets a peer that restarted answer with an exact reset.
    pub(super) fn fourth_check_syn(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        if !seg.syn() {
            return Continue(());
        }
        cx.counters.tcp_syn_challenge += 1;
        self.challenge(AckReason::Challenge, cx);
        Break(Verdict::SynChallenged)
    }
}
