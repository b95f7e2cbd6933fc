//! SEGMENT ARRIVES (RFC 9293 §3.10.7): the walk in its order, a file a step.
//!
//! The RFC's "… and return" is `?` on a [`ControlFlow`]: a step breaks with what became of the segment, or
//! lets the next one look at it.

pub mod closed;

pub mod sequence;

pub mod reset;

pub mod syn;

pub mod ack;

pub mod urgent;

pub mod text;

pub mod fin;

pub mod syn_sent;

mod predicted;

mod predicted_ack;

mod last_ack;

use core::ops::ControlFlow;

use super::context::Context;
use super::segment::Segment;
use super::state::State;
use super::tcb::Tcb;
use super::timers::Timer;
use crate::tcp::trace::Verdict;

/// Go on with the next step, or stop with a verdict.
pub type Step = ControlFlow<Verdict>;

impl Tcb {
    /// A segment arrived for this connection. Gives what became of it; what it made due (acknowledgments,
    /// data, a changed deadline) is found by output and timers.
    pub fn on_segment(&mut self, segment: &Segment<'_>, cx: &mut Context<'_>) -> Verdict {
        self.tally.received(segment, cx.now);
        let walk = match self.state() {
            State::Closed | State::Listen | State::TimeWait => ControlFlow::Break(Verdict::Ignored),
            State::SynSent => self.in_syn_sent(*segment, cx),
            State::LastAck if self.is_last_ack(segment, cx) => self.take_last_ack(segment, cx),
            _ if self.is_predicted_ack(segment, cx) => self.take_predicted_ack(segment, cx),
            _ => self.in_synchronized(*segment, cx),
        };
        match walk {
            ControlFlow::Continue(()) => Verdict::Accepted,
            ControlFlow::Break(verdict) => verdict,
        }
    }

    /// §3.10.7.4, one line a step. (The third, security, has no mechanism on the Internet.)
    fn in_synchronized(&mut self, mut segment: Segment<'_>, cx: &mut Context<'_>) -> Step {
        let seg = &mut segment;
        let text = seg.text.len();
        self.ecn_arrives(seg);
        self.answer_known_syn(seg, cx)?;
        self.take_off_known_syn(seg);
        self.first_check_sequence(seg, cx)?;
        self.second_check_rst(seg, cx)?;
        self.fourth_check_syn(seg, cx)?;
        self.take_mark(seg, text, cx);
        self.trim_to_window(seg);
        self.fifth_check_ack(seg, cx)?;
        self.take_user_timeout(seg.options, cx);
        self.sixth_check_urg(seg, cx);
        self.seventh_process_text(seg, cx)?;
        self.eighth_check_fin(seg, cx)
    }

    /// The peer lives: keep-alive starts counting anew (§3.8.4).
    fn note_heard(&mut self, cx: &Context<'_>) {
        self.heard = cx.now;
        self.keepalives = 0;
        if self.timers.is_armed(Timer::KeepAlive) {
            self.timers.arm(Timer::KeepAlive, cx.now + self.keepalive_time(cx.config));
        }
    }
}
