//! First, check sequence number — and before it PAWS (RFC 7323 §5.3).

use core::ops::ControlFlow::{Break, Continue};

use super::Step;
use crate::body::Text;
use crate::seq::{Seq, SeqRange};
use crate::tcp::context::Context;
use crate::tcp::segment::Segment;
use crate::tcp::tcb::Tcb;
use crate::tcp::trace::{AckReason, Verdict};
use crate::wire::flags::Flags;

impl Tcb {
    pub(super) fn first_check_sequence(&mut self, seg: &mut Segment<'_>, cx: &mut Context<'_>) -> Step {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
        //= id=rfc7323-5.3-1
        //# If the PAWS algorithm is used, the following processing MUST be performed on all incoming segments
        //# for a synchronized connection.
        //= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
        //= id=rfc7323-5.3-2
        //# Also, PAWS processing MUST take precedence over the regular TCP acceptability check (Section 3.3 in
        //# [RFC0793]), which is performed after verification of the received Timestamps option:
        //= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
        //= id=rfc7323-5.3-3
        //# It is important to note that the timestamp MUST be checked only when a segment first arrives at the
        //# receiver, regardless of whether it is in sequence or it must be queued for later delivery.
        self.check_timestamps(seg, cx)?;

        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-3
        //# If the RCV.WND is zero, no segments will be acceptable, but special allowance should be made to
        //# accept valid ACKs, URGs, and RSTs.
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.4
        //# A TCP receiver MUST process the RST and URG fields of all incoming segments, even when the
        //# receive window is zero (MUST-66).
        // MUST-66: a closed window still lets ACK, URG and RST through, even on a segment with text.
        if self.rcv.wnd == 0 && seg.seq == self.rcv.nxt && !seg.is_empty() && !seg.rst() && !seg.syn() {
            seg.text = Text::default();
            seg.flags.remove(Flags::FIN);
            self.acks.now(AckReason::NotAcceptable);
            cx.counters.tcp_rcv_q_drop += 1;
        }

        // A reset may bring text (§3.5.3, SHLD-2), and a closed window keeps out the text alone.
        let len = if seg.rst() && seg.seq == self.rcv.nxt { 0 } else { seg.len() };
        if self.rcv.acceptable(seg.seq, len) {
            self.take_arrival(seg, cx);
            return Continue(());
        }
        if self.is_late_ack(seg) {
            self.challenge(AckReason::NotAcceptable, cx);
            self.take_arrival(seg, cx);
            return Continue(());
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-4
        //# If an incoming segment is not acceptable, an acknowledgment should be sent in reply (unless the
        //# RST bit is set, if so drop the segment and return):
        cx.counters.tcp_not_acceptable += 1;
        if seg.rst() {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=STEP-3.10.7.4-6
            //# If the RST bit is set and the sequence number is outside the current receive window,
            //# silently drop the segment.
            //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
            //= id=rfc5961-3.2-5
            //# In all other cases, where the SEQ-field does not match and is outside the window, the receiver MUST
            //# silently discard the segment.
            return Break(Verdict::ResetIgnored);
        }
        // A duplicate is answered at once, and told by D-SACK (RFC 2883): its sender may be waiting for a lost
        // ACK. What takes up no sequence space is answered within the limit of RFC 5961 §7, so that two
        // confused ends cannot keep each other busy.
        self.note_duplicate(seg);
        if !seg.is_empty() {
            self.echo_retransmission(seg, cx);
            self.note_heard(cx);
            self.acks.now(AckReason::NotAcceptable);
        } else {
            self.challenge(AckReason::NotAcceptable, cx);
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-5
        //# After sending the acknowledgment, drop the unacceptable segment and return.
        Break(Verdict::NotAcceptable)
    }

    /// An acceptable segment came: the peer lives, and tells the time.
    pub(super) fn take_arrival(&mut self, seg: &Segment<'_>, cx: &Context<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-5.2
        //= id=rfc7323-5.2-5
        //# When an <RST> segment is received, it MUST NOT be subjected to the PAWS check by verifying an
        //# acceptable value in SEG.TSval, and information from the Timestamps option MUST NOT be used to update
        //# connection state information.
        // A segment that the ACK check will throw away says nothing (RFC 7323 §4.3 takes what is acceptable).
        let counts = self.timestamps.enabled() && !seg.rst() && self.believes_ack(seg);
        if let (true, Some(ts)) = (counts, seg.timestamps()) {
            self.timestamps.update(ts.value, seg.seq, self.rcv.last_ack_sent, cx.now);
        }
        self.note_heard(cx);
    }

    fn check_timestamps(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
        //= id=rfc7323-3.2-9
        //# If a TSopt is received on a connection where TSopt was not negotiated in the initial three-way
        //# handshake, the TSopt MUST be ignored and the packet processed normally.
        if !self.timestamps.enabled() || seg.rst() {
            return Continue(());
        }
        match seg.timestamps() {
            None if cx.config.tolerate_missing_timestamps => Continue(()),
            None => {
                //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
                //= id=rfc7323-3.2-7
                //# If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop the segment.
                //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
                //= id=rfc7323-3.2-8
                //# A TCP MUST NOT abort a TCP connection because any segment lacks an expected TSopt.
                cx.counters.tcp_missing_timestamp += 1;
                Break(Verdict::MissingTimestamp)
            }
            Some(ts) if self.timestamps.is_old(ts.value, cx.now) => {
                cx.counters.tcp_paws_drops += 1;
                self.note_duplicate(seg);
                if seg.is_empty() {
                    self.challenge(AckReason::Paws, cx);
                } else {
                    self.acks.now(AckReason::Paws);
                }
                Break(Verdict::Paws)
            }
            Some(_) => Continue(()),
        }
    }

    /// What is sent again because our ACK of it was lost is acknowledged with its own timestamp (RFC 7323
    /// Appendix D and change (f)(1) of Appendix H): the echo of the first one would make the peer take its time-out
    /// for a round trip, the next time-out longer, and so on. R2 and R3 of §5.3 leave this out to keep blind
    /// segments from TS.Recent; so it must lie within a window before RCV.NXT and have an ACK that RFC 5961 §5.2
    /// believes.
    fn echo_retransmission(&mut self, seg: &Segment<'_>, cx: &Context<'_>) {
        let Some(ts) = seg.timestamps().filter(|_| self.timestamps.enabled()) else { return };
        if self.is_late(seg.seq) && self.believes_ack(seg) {
            self.timestamps.update(ts.value, seg.seq, self.rcv.last_ack_sent, cx.now);
        }
    }

    /// News in an ACK alone, from before RCV.NXT, while the peer's window is closed (RFC 9293 Appendix A.2). A window told as 0 may
    /// have had room for a probe, or for what was underway: where both ends filled each other's, neither knows that its octets were
    /// taken, and each sends its acknowledgments from before them, which by the letter nobody reads. So does a peer whose window
    /// opens after the acknowledgment of its last probe was lost. What tells nothing new is dropped as ever.
    fn is_late_ack(&self, seg: &Segment<'_>) -> bool {
        let snd = &self.snd;
        let opens = || seg.window > 0 && snd.is_fresh(seg.seq, seg.ack);
        snd.wnd == 0
            && self.state().is_synchronized()
            && seg.is_empty()
            && !seg.rst()
            && self.is_late(seg.seq)
            && seg.has_ack()
            && seg.ack.at_or_before(snd.nxt)
            && (seg.ack.after(snd.una) || seg.ack == snd.una && opens())
    }

    /// Whether it lies within a window before RCV.NXT.
    fn is_late(&self, seq: Seq) -> bool {
        let window = self.rcv.scale.octets(u16::MAX).max(self.options.receive_buffer);
        seq.before(self.rcv.nxt) && self.rcv.nxt.since(seq) <= window
    }

    /// Whether the ACK is one that the fifth step accepts: of what was sent, and not from before the largest window (RFC
    /// 5961 §5.2).
    pub(in crate::tcp) fn believes_ack(&self, seg: &Segment<'_>) -> bool {
        seg.has_ack()
            && seg.ack.at_or_before(self.snd.nxt)
            && self.snd.una.saturating_since(seg.ack) <= self.snd.max_wnd
    }

    /// Remembers for a D-SACK which octets came although we had them (RFC 2883 §4).
    fn note_duplicate(&mut self, seg: &Segment<'_>) {
        let text = seg.text_range();
        let had = SeqRange::new(text.start, text.end.min(self.rcv.nxt));
        if !had.is_empty() {
            self.acks.duplicate(had);
        }
    }

    /// The end of the first step: only what lies in the window is looked at further.
    pub(super) fn trim_to_window(&mut self, seg: &mut Segment<'_>) {
        if seg.seq.before(self.rcv.nxt) {
            self.note_duplicate(seg);
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-1
        //# If a segment's contents straddle the boundary between old and new, only the new parts are
        //# processed.
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-27
        //# Data from segments can be moved into buffers until either the buffer is full or the segment is
        //# empty.
        seg.trim(self.rcv.nxt, self.rcv.edge());
    }
}
