//! TIME-WAIT: what is left of a connection for 2 MSL, in 64 octets (RFC 9293 §3.6.1). Taken over by a new
//! connection where that is safe (RFC 6191), and not ended by stray resets (RFC 1337).

use super::context::{Context, ControlSegment};
use super::segment::Segment;
use super::seq::{Seq, WindowScale};
use super::state::State;
use super::tcb::Tcb;
use super::timestamps::Timestamps;
use crate::addr::Quad;
use crate::sockopt::Reuse;
use crate::tcp::trace::{AckReason, Reason, Variables, Verdict};
use crate::wire::flags::Flags;

/// How often one record answers. A peer that goes on after that is not closing a connection.
const ANSWERS: u8 = 64;

/// The record of a connection in TIME-WAIT.
#[derive(Clone, Copy, Debug)]
pub struct TimeWait {
    /// The two ends.
    pub quad: Quad,
    snd_nxt: Seq,
    rcv_nxt: Seq,
    timestamps: Timestamps,
    window: u16,
    answers: u8,
    /// With whom it shares its end, and ACE in the next three bits.
    shares: u8,
}

/// What a segment did to a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Nothing changes.
    Stay(Verdict),
    /// 2 MSL start again.
    Restart(Verdict),
    /// A new connection may take its place, with an initial sequence number after this one.
    Reuse {
        /// The last sequence number we used.
        iss_after: Seq,
    },
}

impl TimeWait {
    /// What is left of `tcb`. If it still owes an acknowledgment, that leaves now.
    pub fn new(tcb: &Tcb, cx: &mut Context<'_>) -> Self {
        let mut this = Self {
            quad: tcb.quad,
            snd_nxt: tcb.snd.nxt,
            rcv_nxt: tcb.rcv.nxt,
            timestamps: tcb.timestamps,
            window: WindowScale::field(tcb.rcv.scale, tcb.rcv.wnd),
            answers: ANSWERS,
            shares: tcb.options.reuse().bits() | tcb.ecn.flags().ace() << 2,
        };
        if tcb.acks.owed() {
            this.answer(AckReason::Fin, Some(tcb.variables()), cx);
        }
        this
    }

    /// With whom it shares its end.
    pub const fn reuse(&self) -> Reuse {
        Reuse::from_bits_truncate(self.shares)
    }

    fn answer(&mut self, reason: AckReason, variables: Option<Variables>, cx: &mut Context<'_>) {
        let Some(left) = self.answers.checked_sub(1) else {
            cx.counters.tcp_challenge_limited += 1;
            return;
        };
        self.answers = left;
        cx.counters.tcp_out_segs += 1;
        let mut segment = ControlSegment {
            seq: self.snd_nxt,
            ack: self.rcv_nxt,
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2
            //# On such a packet, a Data Receiver MUST encode the 3 least significant bits of its r.cep counter into the
            //# ACE field that it feeds back to the Data Sender.
            flags: Flags::ACK | Flags::from_ace(self.shares >> 2),
            window: self.window,
            variables,
            ..ControlSegment::new(self.quad, State::TimeWait, Reason::Ack(reason))
        };
        if self.timestamps.enabled() {
            segment.options.timestamps = Some(self.timestamps.option(cx.now));
        }
        cx.send(segment);
    }

    /// §3.10.7.4 for TIME-WAIT.
    pub fn on_segment(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Outcome {
        // RFC 1337 §3, fix 1: a reset must not end TIME-WAIT early.
        if seg.rst() {
            return Outcome::Stay(Verdict::ResetIgnored);
        }
        if seg.syn() && !seg.has_ack() {
            return if self.believes(seg) {
                Outcome::Reuse { iss_after: self.snd_nxt }
            } else {
                Outcome::Stay(Verdict::OldSyn)
            };
        }
        if let (true, Some(ts)) = (self.timestamps.enabled(), seg.timestamps())
            && self.timestamps.is_old(ts.value, cx.now)
        {
            cx.counters.tcp_paws_drops += 1;
            if !seg.is_empty() {
                self.answer(AckReason::Paws, None, cx);
            }
            return Outcome::Stay(Verdict::Paws);
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-24
        //# The only thing that can arrive in this state is a retransmission of the remote FIN. Acknowledge
        //# it, and restart the 2 MSL timeout.
        // The peer's FIN again, or text before it: our ACK of the FIN was lost, and the peer goes on asking.
        if !seg.is_empty() && !seg.syn() && seg.end().at_or_before(self.rcv_nxt) {
            self.answer(AckReason::Again, None, cx);
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=STEP-3.10.7.4-38
            //# Remain in the TIME-WAIT state. Restart the 2 MSL time-wait timeout.
            return Outcome::Restart(Verdict::TimeWait);
        }
        // §3.5.2, third group: an ACK of what was never sent is answered as well.
        let never_sent = seg.has_ack() && seg.ack.after(self.snd_nxt);
        if !seg.is_empty() || seg.seq != self.rcv_nxt || never_sent {
            self.answer(AckReason::Again, None, cx);
        }
        Outcome::Stay(Verdict::TimeWait)
    }

    /// RFC 6191 §2: whether a SYN begins a new connection rather than being a late duplicate of the old one.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
    //= id=SHLD-4
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //= id=STEP-3.10.7.4-12
    fn believes(&self, seg: &Segment<'_>) -> bool {
        let beyond = seg.seq.after(self.rcv_nxt);
        match (self.timestamps.enabled(), seg.timestamps()) {
            (true, Some(ts)) => {
                let newer = (ts.value.wrapping_sub(self.timestamps.recent()) as i32) > 0;
                newer || (ts.value == self.timestamps.recent() && beyond)
            }
            (false, Some(_)) => true,
            (_, None) => beyond,
        }
    }
}

const _: () = assert!(size_of::<TimeWait>() <= 64);
