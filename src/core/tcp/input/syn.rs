//! Fourth, check the SYN bit (with RFC 5961 §4.2).

use core::ops::ControlFlow::{Break, Continue};

use super::Step;
use crate::seq::SeqRange;
use crate::tcp::context::Context;
use crate::tcp::segment::Segment;
use crate::tcp::state::State;
use crate::tcp::tcb::Tcb;
use crate::tcp::trace::{AckReason, Verdict};
use crate::wire::flags::Flags;

impl Tcb {
    /// Both ends opened, and this SYN,ACK carries the SYN that we know (Figure 7, lines 6 and 7). Its sequence
    /// number is below the window, but its ACK is what we wait for (Appendix A.2): the SYN is taken off.
    pub(super) fn take_off_known_syn(&mut self, seg: &mut Segment<'_>) {
        let crossed = self.state() == State::SynReceived && seg.syn() && seg.has_ack() && !seg.rst();
        if crossed && seg.seq == self.rcv.irs && seg.ack == self.snd.nxt {
            seg.flags.remove(Flags::SYN);
            seg.seq = seg.seq.add(1);
            if self.syn_text() > 0 {
                // It came twice, and is told so at once, as in Linux (RFC 2883): a peer whose SYN had text too, as ours
                // had, learns that it was not taken.
                self.acks.duplicate(SeqRange::new(self.rcv.irs, seg.seq));
            }
            // On a SYN it is not scaled (RFC 7323 §2.2).
            seg.window = self.snd.scale.field(u32::from(seg.window));
        }
    }

    /// A SYN inside the window of a synchronised connection is an attack or an old life of the peer: the
    /// challenge lets a peer that restarted answer with an exact reset.
    //= https://www.rfc-editor.org/rfc/rfc5961#section-4.2
    //= id=rfc5961-4.2-1
    //# Instead, the handling of the SYN in the synchronized state SHOULD be performed as follows:
    pub(super) fn fourth_check_syn(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        if !seg.syn() {
            return Continue(());
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=rfc9293-3.10.7.4-4
        //# RFC 5961 recommends that in these synchronized states, if the SYN bit is set, irrespective of
        //# the sequence number, TCP endpoints MUST send a "challenge ACK" to the remote peer:
        cx.counters.tcp_syn_challenge += 1;
        //= https://www.rfc-editor.org/rfc/rfc5961#section-4.2
        //= id=rfc5961-4.2-2
        //# 1) If the SYN bit is set, irrespective of the sequence number, TCP MUST send an ACK (also referred
        //# to as challenge ACK) to the remote peer: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
        self.challenge(AckReason::Challenge, cx);
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=rfc9293-3.10.7.4-5
        //# After sending the acknowledgment, TCP implementations MUST drop the unacceptable segment and
        //# stop processing further.
        //= https://www.rfc-editor.org/rfc/rfc5961#section-4.2
        //= id=rfc5961-4.2-3
        //# After sending the acknowledgment, TCP MUST drop the unacceptable segment and stop processing
        //# further.
        Break(Verdict::SynChallenged)
    }
}
