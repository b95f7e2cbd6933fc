//! The only place that says whether a segment leaves, and why.

use super::nagle::Candidate;
use crate::seq::Seq;
use crate::tcp::recovery::Phase;
use crate::tcp::state::State;
use crate::tcp::tcb::Tcb;
use crate::tcp::trace::Reason;

/// A segment to build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Why it leaves.
    pub reason: Reason,
    /// Its sequence number.
    pub seq: Seq,
    /// Octets of text.
    pub len: u32,
    /// It carries our FIN.
    pub fin: bool,
}

impl Plan {
    const fn empty(reason: Reason, seq: Seq) -> Self {
        Self { reason, seq, len: 0, fin: false }
    }
}

impl Tcb {
    /// The next segment to leave, if one should. Pure: asking changes nothing.
    pub fn decide(&self) -> Option<Plan> {
        match self.state() {
            // The record of TIME-WAIT speaks for itself.
            State::Closed | State::Listen | State::TimeWait => None,
            State::SynSent | State::SynReceived => self.decide_handshake(),
            _ if self.owes_handshake_ack() => self.decide_acknowledgment(),
            _ => self
                .decide_retransmission()
                .or_else(|| self.decide_new())
                .or_else(|| self.decide_probe())
                //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
                //= id=STEP-3.10.7.4-31
                //# This acknowledgment should be piggybacked on a segment being transmitted if possible
                .or_else(|| self.decide_acknowledgment()),
        }
    }

    fn decide_handshake(&self) -> Option<Plan> {
        let reason = if self.open_is_deferred() {
            return None;
        } else if let Some(reason) = self.recovery.pending() {
            reason
        } else if let Some(reason) = self.probe {
            reason
        } else if self.state() == State::SynSent && self.snd.nxt == self.snd.iss {
            return Some(Plan { len: self.syn_text(), ..Plan::empty(Reason::Syn, self.snd.iss) });
        } else {
            return self.decide_early().or_else(|| self.decide_acknowledgment());
        };
        Some(Plan::empty(reason, self.snd.iss))
    }

    fn decide_retransmission(&self) -> Option<Plan> {
        if self.snd.una == self.snd.nxt {
            return None;
        }
        let mss = self.effective_mss(self.options_len());
        if let Some(reason) = self.recovery.pending() {
            // What a closed window kept out is mostly the octet of a probe: it goes with what follows, so that
            // segments stay full (RFC 9293 §3.8.6.2.1).
            let end = match reason {
                Reason::WindowOpened => self.snd.nxt.max(self.data_end()),
                _ => self.snd.nxt,
            };
            return self.resend(reason, self.snd.una, end, mss);
        }
        if self.probe_is_due() {
            return self.decide_tail_probe();
        }
        if self.paced_until().is_some() {
            return None;
        }
        if self.sends_new_data_first()
            && (self.snd.nxt.after(self.recovery.recover) || self.decide_new().is_some())
        {
            return None;
        }
        let lost = self.recovery.next_lost()?;
        //= https://www.rfc-editor.org/rfc/rfc8985#section-9.3
        //# A segment marked as lost by RACK-TLP MUST NOT be retransmitted until congestion control deems this
        //# appropriate.
        // With nothing in flight no ACK would come to open a window that has become smaller than a segment.
        let in_flight = self.recovery.in_flight_beside_repairs(&self.snd);
        if in_flight > 0 && self.cwnd().saturating_sub(in_flight) < mss.min(lost.len()) {
            return None;
        }
        self.resend(self.recovery.resend_reason(), lost.start, lost.end, mss)
    }

    /// A tail loss probe: something new, or the last segment again (RFC 8985 §7.3). It does not wait for the congestion
    /// window, nor for Nagle's rule.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
    //# If both conditions are met, then the sender SHOULD transmit a previously unsent data segment, if one
    //# exists and the receive window allows, and increment the FlightSize accordingly.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
    //# If such an unsent segment is not available, then the sender SHOULD retransmit the highest-sequence
    //# segment sent so far and set TLP.is_retrans to true.
    pub(in crate::tcp) fn decide_tail_probe(&self) -> Option<Plan> {
        let reason = Reason::TailLossProbe;
        let mss = self.effective_mss(self.options_len());
        let unsent = self.data_end().saturating_since(self.snd.nxt);
        let len = self.within_record(self.snd.nxt, unsent.min(self.snd.usable()).min(mss));
        let fin = len == unsent && self.fin_due() && !self.fin_outstanding() && self.snd.usable() > len;
        if len > 0 || fin {
            return Some(Plan { reason, seq: self.snd.nxt, len, fin });
        }
        let last = self.last_segment(mss)?;
        self.resend(reason, last.start, last.end, mss)
    }

    /// One segment of what lies between `from` and `end`, all of it sent before.
    fn resend(&self, reason: Reason, from: Seq, end: Seq, mss: u32) -> Option<Plan> {
        let text_end = end.min(self.data_end());
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
        //# SHOULD retransmit normally the old unacknowledged data between SND.UNA and SND.UNA+SND.WND
        //# (SHLD-16)
        // Within the peer's window, or a window shrunk below it would make us send what it must drop (SHLD-16);
        // a closed one is probed, not retransmitted into.
        let window = self.snd.edge().saturating_since(from);
        if window == 0 {
            return None;
        }
        let len = self.within_record(from, text_end.saturating_since(from).min(mss).min(window));
        let fin = self.fin_outstanding()
            && from.add(len) == self.data_end()
            && end.after(self.data_end())
            && window > len;
        (len > 0 || fin).then_some(Plan { reason, seq: from, len, fin })
    }

    pub(in crate::tcp) fn decide_new(&self) -> Option<Plan> {
        // What a time-out declared lost goes first.
        if self.ecn.holds() {
            return None;
        }
        if self.left_of_new_data_first() == Some(0) {
            return None;
        }
        if !self.has_unsent() || (self.recovery.next_lost().is_some() && !self.sends_new_data_first()) {
            return None;
        }
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.4
        //= id=rfc7323-2.4-4
        //# 3) The initial transmission MUST be within the window announced by the most recent <ACK>.
        //= https://www.rfc-editor.org/rfc/rfc9937#section-3
        //= id=rfc9937-3-1
        let usable = self.snd.usable();
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
        //= id=SHLD-15
        //# If this happens, the sender SHOULD NOT send new data (SHLD-15)
        if usable == 0 {
            return None;
        }
        let unsent = self.data_end().saturating_since(self.snd.nxt);
        if unsent == 0 {
            return Some(Plan { fin: true, ..Plan::empty(Reason::Fin, self.snd.nxt) });
        }
        let ready = self.not_held(unsent);
        if self.paced_until().is_some() || ready == 0 {
            return None;
        }
        if let Some(verdict) = self.decide_mtu_probe() {
            return verdict;
        }
        let mss = self.effective_mss(self.options_len());
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.2
        //= id=SHLD-27, SHLD-28
        let len = self.within_record(self.snd.nxt, ready.min(usable).min(mss));
        let last = len == unsent;
        let fin = last && self.fin_due() && usable > len;
        let in_flight = self.in_flight();
        let cwnd = self.cwnd();
        let allowance = self.recovery.allowance(self.smss());
        // At least one segment may always be in flight, or a window below the segment size would be the end.
        //= https://www.rfc-editor.org/rfc/rfc9406#section-3
        //= id=rfc9406-3-1
        //= https://www.rfc-editor.org/rfc/rfc5681#section-2
        //= id=rfc5681-2-1
        //# a TCP MUST NOT send data with a sequence number higher than the sum of the highest acknowledged
        //# sequence number and the minimum of cwnd and rwnd.
        //= https://www.rfc-editor.org/rfc/rfc9937#section-3
        //= id=rfc9937-3-2
        if in_flight > 0 && cwnd.saturating_add(allowance).saturating_sub(in_flight) < len {
            return None;
        }
        let whole = !last && self.ends_record(self.snd.nxt.add(len));
        if !whole && !self.new_data_is_urgent() && !self.may_leave(Candidate { len, mss, last, fin }) {
            return None;
        }
        let stretched =
            self.recovery.phase() <= Phase::Disorder && cwnd.saturating_sub(self.snd.outstanding()) < len;
        let reason = if stretched && in_flight > 0 { Reason::LimitedTransmit } else { Reason::Data };
        Some(Plan { reason, seq: self.snd.nxt, len, fin })
    }

    fn decide_probe(&self) -> Option<Plan> {
        let reason = self.probe?;
        match reason {
            // One octet, or our FIN, at the window's closed edge: RFC 9293 §3.8.6.1.
            Reason::WindowProbe => {
                let len = self.data_end().saturating_since(self.snd.una).min(1);
                let fin = len == 0 && self.fin_due();
                Some(Plan { reason, seq: self.snd.una, len, fin })
            }
            // Below the window, so that it must be answered (§3.8.4).
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
            //# An implementation SHOULD send a keep-alive segment with no data (SHLD-12)
            _ => Some(Plan::empty(reason, self.snd.nxt.sub(1))),
        }
    }

    fn decide_acknowledgment(&self) -> Option<Plan> {
        let reason = self.acks.due()?;
        Some(Plan::empty(Reason::Ack(reason), self.acceptable_seq()))
    }
}
