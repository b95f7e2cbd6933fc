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
    //= https://www.rfc-editor.org/rfc/rfc5961#section-1.1
    //= id=rfc5961-1.1-1
    //# The mitigations suggested in this document SHOULD be implemented in devices that regularly need to
    //# maintain TCP connections of the kind most vulnerable to the attacks described in this document.
    //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
    //= id=rfc5961-3.2-1
    //# Instead, implementations SHOULD implement the following steps in place of those specified in
    //# [RFC0793] (as listed above).
    pub(super) fn second_check_rst(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.5.3
        //= id=SHLD-2
        //# TCP implementations SHOULD allow a received RST segment to include data (SHLD-2).
        if !seg.rst() {
            return Continue(());
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=rfc9293-3.10.7.4-2
        //# 3) If the RST bit is set and the sequence number does not exactly match the next expected
        //# sequence value, yet is within the current receive window, TCP endpoints MUST send an
        //# acknowledgment (challenge ACK):
        // A blind attacker hits the window easily, but not the one number that counts.
        if seg.seq != self.rcv.nxt {
            self.fast_open_reset_astray(cx);
            //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
            //= id=rfc5961-3.2-3
            //# 3) If the RST bit is set and the sequence number does not exactly match the next expected sequence
            //# value, yet is within the current receive window (RCV.NXT < SEG.SEQ < RCV.NXT+RCV.WND), TCP MUST send
            //# an acknowledgment (challenge ACK): <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
            self.challenge(AckReason::Challenge, cx);
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=rfc9293-3.10.7.4-3
            //# After sending the challenge ACK, TCP endpoints MUST drop the unacceptable segment and stop
            //# processing the incoming packet further.
            //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
            //= id=rfc5961-3.2-4
            //# After sending the challenge ACK, TCP MUST drop the unacceptable segment and stop processing the
            //# incoming packet further.
            return Break(Verdict::ResetChallenged);
        }
        let error = match self.state() {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=STEP-3.10.7.4-8
            //# If this connection was initiated with an active OPEN (i.e., came from SYN-SENT state), then
            //# the connection was refused; signal the user "connection refused".
            State::SynReceived if !self.is_open_early() => Error::Refused,
            // The peer has had all of ours, and we all of theirs: as Linux, a broken pipe rather than a reset.
            State::CloseWait => Error::BrokenPipe,
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=STEP-3.10.7.4-9
            //# If the RST bit is set, then any outstanding RECEIVEs and SEND should receive "reset"
            //# responses.
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.6
            //# the local application MUST be informed whether it closed normally or was aborted (MUST-12)
            _ => Error::Reset,
        };
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=rfc9293-3.10.7.4-1
        //# 2) If the RST bit is set and the sequence number exactly matches the next expected sequence
        //# number (RCV.NXT), then TCP endpoints MUST reset the connection in the manner prescribed below
        //# according to the connection state.
        //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
        //= id=rfc5961-3.2-2
        //# 2) If the RST bit is set and the sequence number exactly matches the next expected sequence number
        //# (RCV.NXT), then TCP MUST reset the connection.
        self.fail(error, Event::Reset, cx);
        //= https://www.rfc-editor.org/rfc/rfc5961#section-4.2
        //= id=rfc5961-4.2-4
        //# Upon receipt of a valid RST, the local TCP endpoint MUST terminate its connection.
        Break(Verdict::Reset)
    }
}
