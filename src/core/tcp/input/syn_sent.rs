//! §3.10.7.3: SYN-SENT. And what both kinds of handshake have in common: taking the options of a SYN.

use core::ops::ControlFlow::{Break, Continue};

use super::Step;
use super::closed;
use crate::addr::Address;
use crate::error::Error;
use crate::seq::WindowScale;
use crate::tcp::context::Context;
use crate::tcp::rcv::Recv;
use crate::tcp::segment::Segment;
use crate::tcp::snd::LEAST_MSS;
use crate::tcp::state::Event;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::{AckReason, Reason, RstReason, Verdict};

/// The MSS of a peer that names none (RFC 9293 §3.7.1, MUST-15): 536 over IPv4, 1220 over IPv6.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
//= id=MUST-15
//# TCP implementations MUST assume a default send MSS of 536 (576 - 40) for IPv4 or 1220 (1280 - 60) for
//# IPv6 (MUST-15).
pub const fn default_mss(peer: Address) -> u16 {
    if peer.is_v4() { 536 } else { 1220 }
}

impl Tcb {
    pub(super) fn in_syn_sent(&mut self, mut seg: Segment<'_>, cx: &mut Context<'_>) -> Step {
        // First, the ACK. A peer may acknowledge the SYN without what else was sent, so not only SND.NXT.
        let acceptable = seg.has_ack() && seg.ack.after(self.snd.iss) && seg.ack.at_or_before(self.snd.nxt);
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
        //= id=STEP-3.10.7.3-1
        //# If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set, if so drop the
        //# segment and return)
        if seg.has_ack() && !acceptable {
            if !seg.rst() {
                closed::refuse(self.quad, self.state(), &seg, RstReason::BadAck, cx);
            }
            return Break(Verdict::AckTooHigh);
        }
        // Second, the RST: only one that acknowledges our SYN is meant for it (RFC 5961 §3.2).
        if seg.rst() {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
            //= id=STEP-3.10.7.3-3
            //# Otherwise (no ACK), drop the segment and return.
            if !acceptable {
                //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
                //= id=rfc5961-3.2-6
                //# In all other cases the receiver MUST silently discard the segment.
                return Break(Verdict::ResetIgnored);
            }
            self.fail(Error::Refused, Event::Reset, cx);
            return Break(Verdict::Reset);
        }
        // Fourth, the SYN; fifth, without either there is nothing in it.
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
        //= id=STEP-3.10.7.3-8
        //# if neither of the SYN or RST bits is set, then drop the segment and return.
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-33
        //# Do not process the FIN if the state is CLOSED, LISTEN, or SYN-SENT
        if !seg.syn() {
            cx.counters.tcp_ignored += 1;
            return Break(Verdict::Ignored);
        }
        // What echoes a timestamp that this SYN, or it sent again, did not have answers another; as Linux, with a reset.
        let ours = |echo| echo == 0 || self.timestamps.has_shown_since(echo, self.progress, cx.now);
        if acceptable && cx.config.timestamps && seg.timestamps().is_some_and(|ts| !ours(ts.echo)) {
            cx.counters.tcp_paws_active += 1;
            closed::refuse(self.quad, self.state(), &seg, RstReason::BadAck, cx);
            return Break(Verdict::Paws);
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
        //= id=STEP-3.10.7.3-4
        //# RCV.NXT is set to SEG.SEQ+1, IRS is set to SEG.SEQ.
        self.rcv = Recv { scale: self.rcv.scale, ..Recv::new(seg.seq, self.rcv.wnd, self.rcv.mss) };
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
        //= id=rfc7323-2.2-3
        //# A Window Scale option in a segment without a SYN bit MUST be ignored.
        self.take_syn_options(&seg, cx);
        self.agree_on_ecn(&seg, cx);
        self.snd.wl1 = seg.seq;
        self.snd.wl2 = if acceptable { seg.ack } else { self.snd.iss };
        // RFC 7323 §2.2: the window of a SYN is never scaled.
        self.snd.wnd = u32::from(seg.window);
        self.snd.max_wnd = self.snd.wnd;
        seg.strip_syn();
        if !acceptable {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.5
            //# A TCP implementation MUST support simultaneous open attempts (MUST-10).
            // Simultaneous open: our SYN again, now with an ACK (§3.5, Figure 8).
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
            //= id=STEP-3.10.7.3-6
            //# Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>
            self.transition(Event::Syn, cx);
            self.probe = Some(Reason::SynAck);
            return Continue(());
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
        //= id=STEP-3.10.7.3-5
        //# If SND.UNA > ISS (our SYN has been ACKed), change the connection state to ESTABLISHED, form an
        //# ACK segment <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>
        self.transition(Event::SynAck, cx);
        self.syn_acknowledged(seg.ack, seg.timestamps(), cx);
        self.fast_open_answered(&seg, cx);
        //= https://www.rfc-editor.org/rfc/rfc7413#section-4.2.2
        //# Set acknowledgment number to RCV.NXT and include the data after SND.UNA if data is available.
        if self.rest_is_waiting() && seg.text.is_empty() && !seg.fin() {
            self.acknowledge_with_text(cx);
        } else {
            self.acks.now(AckReason::Handshake);
        }
        self.trim_to_window(&mut seg);
        self.sixth_check_urg(&seg, cx);
        self.seventh_process_text(&seg, cx)?;
        self.eighth_check_fin(&seg, cx)
    }

    /// What the two SYNs agree on: an option holds when both carried it.
    pub(in crate::tcp) fn take_syn_options(&mut self, seg: &Segment<'_>, cx: &Context<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
        //# TCP endpoints MUST implement both sending and receiving the MSS Option (MUST-14).
        let peer_mss = match seg.options.mss {
            Some(mss) => mss.max(LEAST_MSS),
            None => default_mss(self.quad.remote.address),
        };
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
        //# "effective send MSS", MUST be the smaller (MUST-16) of the send MSS
        //= https://www.rfc-editor.org/rfc/rfc8201#section-5.4
        //= id=rfc8201-5.4-2
        //# A TCP implementation must also store the Maximum Segment Size (MSS) value received from its peer,
        //# which represents the EMTU_R, the largest packet that can be reassembled by the receiver, and must
        //# not send any segment larger than this MSS, regardless of the PMTU.
        self.snd.mss = self.snd.mss.min(peer_mss);
        self.snd.peer_mss = peer_mss;
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
        //= id=rfc7323-2.2-2
        //# This option is an offer, not a promise; both sides MUST send Window Scale options in their <SYN>
        //# segments to enable window scaling in either direction.
        match seg.options.window_scale {
            Some(shift) if cx.config.window_scaling => {
                //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
                //= id=rfc7323-2.3-3
                //# Upon receiving a <SYN> segment with a Window Scale option containing shift.cnt = S, a TCP MUST
                //# set Snd.Wind.Shift to S and MUST set Rcv.Wind.Shift to R; otherwise, it MUST set both
                //# Snd.Wind.Shift and Rcv.Wind.Shift to zero.
                self.snd.scale = WindowScale::new(shift);
                self.is.insert(Is::SCALED);
            }
            _ => self.rcv.scale = WindowScale::ZERO,
        }
        if let (true, Some(ts)) = (cx.config.timestamps, seg.timestamps()) {
            self.timestamps.enable(ts.value, cx.now);
        }
        self.is.set(Is::SACK, cx.config.sack && seg.options.sack_permitted);
        self.take_user_timeout(seg.options, cx);
        let smss = self.smss();
        self.congestion.set_mss(smss);
        // Until data shows what the peer sends, take it to send what we do.
        self.rcv.mss = smss as u16;
    }
}
