//! What congestion marks mean to a connection (RFC 3168 §6.1, RFC 9768 §3): which segments may be marked, what is told of
//! those that were, and what a report of them does.

use super::congestion::CongestionEvent;
use super::context::Context;
use super::ecn::negotiate::{self, Promise};
use super::output::decide::Plan;
use super::response::news::News;
use super::segment::Segment;
use super::seq::Seq;
use super::state::State;
use super::tcb::{Is as TcbIs, Tcb};
use crate::config::EcnFeedback;
use crate::tcp::ecn::{Ecn, Is};
use crate::tcp::trace::{AckReason, Reason};
use crate::wire::flags::Flags;
use crate::wire::ip;
use crate::wire::options::{AccEcn, MAX_OPTIONS_LEN, Options};

/// A SYN or SYN,ACK of a connection that was opened actively.
impl Tcb {
    /// The SYN or SYN,ACK that our SYN was answered with came, in SYN-SENT.
    pub(in crate::tcp) fn agree_on_ecn(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) {
        let config = cx.config;
        let plain = negotiate::is_plain(config, self.recovery.timeouts());
        if !seg.has_ack() {
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.2
            //# Host A MUST then enter the same feedback mode as it would have entered had it been a responding host and
            //# received the same SYN.
            let promise = Promise::on_syn(config.ecn_outgoing.min(config.ecn_incoming), seg);
            self.ecn = Ecn::from_promise(promise, 0, self.snd.iss, cx.config, cx.now);
            self.ecn.is.set(Is::NO_ECT, plain);
            self.ecn.recover = Seq::new(promise.bits().into());
            return;
        }
        let (feedback, came) = negotiate::on_syn_ack(config.ecn_outgoing, seg.flags);
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.1
        //# The TCP Client MUST NOT enter AccECN mode (or any feedback mode) before it has received the first SYN/ACK.
        self.ecn.agree(feedback, self.snd.iss, cx.now);
        match feedback {
            EcnFeedback::None => {}
            //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
            //# A host MUST NOT set ECT on data packets unless it has sent at least one ECN-setup SYN or ECN-setup SYN-ACK
            //# packet, and has received at least one ECN-setup SYN or ECN-setup SYN-ACK packet, and has sent no
            //# non-ECN-setup SYN or non-ECN-setup SYN-ACK packet.
            EcnFeedback::Classic => self.ecn.is.set(Is::NO_ECT, plain),
            EcnFeedback::Accurate => {
                //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.3
                //= id=rfc9768-3.2.2.3-1
                // Our SYN was not ECN-capable: anything else is made up on the way (RFC 9768 §3.2.2.3).
                self.ecn.is.set(Is::NO_ECT, came != Some(ip::Ecn::NotEct));
                self.begin_l4s(cx);
                if let Some(accurate) = &mut self.ecn.accurate {
                    accurate.test_option(config.ecn_options);
                    accurate.test_peers_option(seg.options.acc_ecn.as_ref());
                    accurate.on_syn_ack(seg.ecn);
                }
                //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.2
                //# If a TCP Client in AccECN mode receives CE feedback in the TCP flags of a SYN/ACK, it MUST NOT increment
                //# s.cep (it remains at its initial value of 5) so that it stays in step with r.cep on the Server.
                if came == Some(ip::Ecn::Ce) {
                    let cwnd = self.congestion.cwnd();
                    self.answer_mark(cwnd, 0, cx);
                }
            }
        }
    }

    /// The SYNs have agreed. With L4S the window answers marks in another way from now on.
    pub(in crate::tcp) fn begin_l4s(&mut self, cx: &Context<'_>) {
        #[cfg(feature = "l4s")]
        if cx.config.l4s && self.ecn.feedback == EcnFeedback::Accurate && !self.ecn.is.contains(Is::NO_ECT) {
            let mss = self.smss();
            self.congestion.make_scalable(mss, cx.config);
        }
        let _ = cx;
    }

    /// The bits of our SYN or SYN,ACK.
    fn syn_ecn_flags(&self, cx: &Context<'_>) -> Flags {
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.2
        //# Then host A MUST send the same SYN/ACK as it would have sent had it been a responding host.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.4.1
        //= id=rfc9768-3.1.4.1-3
        match self.state() {
            State::SynReceived => self.promised().syn_ack_flags(cx.config, self.recovery.timeouts()),
            _ => negotiate::syn_flags(cx.config, self.recovery.timeouts()),
        }
    }

    /// What both ends have agreed on that have opened at the same time. Nothing of ours is being answered yet, so that
    /// `recover` is free to hold it.
    fn promised(&self) -> Promise {
        self.early_promise().unwrap_or({
            let bits = self.ecn.recover.get();
            Promise::from_bits(bits as u8)
        })
    }

    /// The AccECN option of a SYN,ACK where both ends have opened.
    pub(in crate::tcp) fn syn_ecn_option(&self, cx: &Context<'_>) -> Option<AccEcn> {
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.1
        //# The TCP Client MUST NOT include an AccECN TCP Option on the SYN.
        let answers = self.state() == State::SynReceived;
        let first = self.recovery.timeouts() == 0 && !self.has_answered_again();
        answers.then(|| self.promised().syn_ack_option(cx.config, first))?
    }

    /// The SYN of a connection that is open early came again. Says whether what it asks for goes with what was agreed on; else
    /// the connection is to be reset.
    pub(in crate::tcp) fn ecn_asked_again(&mut self, seg: &Segment<'_>, cx: &Context<'_>) -> bool {
        let Some(before) = self.early_promise() else { return true };
        let Some(promise) = before.on_syn_again(cx.config.ecn_incoming, seg) else { return false };
        self.promise_early(promise);
        if promise.feedback() != before.feedback() {
            self.ecn = Ecn::from_promise(promise, self.recovery.timeouts(), self.snd.iss, cx.config, cx.now);
        }
        true
    }

    /// A SYN,ACK of ours leaves: what it does not say the peer may not know.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
    //= id=rfc9768-3.1.5-15
    fn syn_ack_leaves(&mut self, cx: &Context<'_>) {
        let (promise, timeouts) = (self.promised(), self.recovery.timeouts());
        if promise.forbids_ect(cx.config, timeouts) {
            self.ecn.is.insert(Is::NO_ECT);
        }
        if let Some(accurate) = &mut self.ecn.accurate
            && timeouts > 0
        {
            accurate.block_option(cx.config.ecn_options);
        }
    }
}

/// What comes.
impl Tcb {
    /// A segment came, and nothing of it has been looked at.
    pub(in crate::tcp) fn ecn_arrives(&mut self, seg: &Segment<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2
        //# A host MUST NOT interpret the three flags as a 3-bit ACE field on any segment with SYN=1 (whether ACK is 0 or 1),
        //# or if AccECN negotiation is incomplete or has not succeeded.
        self.ecn.is.set(Is::SYN, seg.syn());
        self.ecn.is.remove(Is::TELLS);
        if !seg.syn() {
            return;
        }
        let client = !self.is.contains(TcbIs::PASSIVE) && self.state() != State::SynReceived;
        let again = client && seg.has_ack() && seg.seq == self.rcv.irs && self.believes_ack(seg);
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
        //= id=rfc9768-3.1.5-2
        let confirms = negotiate::on_syn_ack(EcnFeedback::Accurate, seg.flags).0 == EcnFeedback::Accurate;
        if let Some(accurate) = &mut self.ecn.accurate
            && again
            && confirms
        {
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.1
            //# The TCP Client MUST also use the handshake encoding for the pure ACK of any retransmitted SYN/ACK that
            //# confirms that the TCP Server supports AccECN.
            accurate.on_syn_ack(seg.ecn);
        }
    }

    /// Takes the mark of an acceptable segment that came with `text` octets; it has not been cut to the window yet.
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.5
    //# This document specifies ECN-capable TCP implementations MUST NOT set either ECT codepoint (ECT(0) or ECT(1)) in the IP
    //# header for retransmitted data packets, and that the TCP data receiver SHOULD ignore the ECN field on arriving data
    //# packets that are outside of the receiver's current window.
    pub(in crate::tcp) fn take_mark(&mut self, seg: &Segment<'_>, text: usize, cx: &Context<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc9768#section-4
        //= id=rfc9768-4-1
        if self.ecn.feedback == EcnFeedback::None || !self.believes_ack(seg) {
            return;
        }
        self.ecn.is.set(Is::SEEN, self.ecn.is.contains(Is::SEEN) || text > 0 && seg.ecn != ip::Ecn::NotEct);
        if self.ecn.accurate.is_some() {
            self.count_mark(seg, text, cx);
        } else if text > 0 {
            self.echo_mark(seg);
        }
    }

    /// RFC 3168 §6.1.3. What changes is told at once: the sender's window may be very small.
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.6
    //# Therefore, if a window probe arrives with the CE codepoint set, then the receiver SHOULD respond to the ECN
    //# indications.
    fn echo_mark(&mut self, seg: &Segment<'_>) {
        let is = &mut self.ecn.is;
        if seg.flags.contains(Flags::CWR) {
            is.remove(Is::ECHOING);
            self.acks.now(AckReason::Mark);
        }
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
        //# If a host has sent at least one ECN-setup SYN or ECN-setup SYN-ACK packet, and has received no non-ECN-setup SYN or
        //# non-ECN-setup SYN-ACK packet, then if that host receives TCP data packets with ECT and CE codepoints set in the
        //# IP header, then that host MUST process these packets as specified for an ECN-capable connection.
        if seg.ecn == ip::Ecn::Ce {
            if !is.contains(Is::ECHOING) {
                self.acks.now(AckReason::Mark);
            }
            is.insert(Is::ECHOING);
        }
    }

    fn count_mark(&mut self, seg: &Segment<'_>, text: usize, cx: &Context<'_>) {
        let packets = match seg.joined {
            0 => 1,
            size => text.div_ceil(size.into()).max(1) as u32,
        };
        let unacknowledged =
            text > 0 || self.rcv.nxt != self.rcv.last_ack_sent || !self.reassembly.is_empty();
        let srtt = self.rtt.srtt();
        let Some(accurate) = &mut self.ecn.accurate else { return };
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
        //= id=rfc9768-3.1.5-17
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.5.1
        //= id=rfc9768-3.2.2.5.1-8
        if accurate.on_packets(seg.ecn, packets, text as u32, unacknowledged) {
            self.acks.now(AckReason::Mark);
        }
        let since = cx.now.saturating_since(accurate.option_sent());
        let beacons = u32::from(cx.config.ecn_option_beacon);
        let beacon = beacons > 0 && srtt.is_some_and(|srtt| since.saturating_mul(beacons) >= srtt);
        accurate.ask_option(cx.config.ecn_options, beacon);
    }

    /// Takes what an acceptable ACK tells of marks.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.2
    //= id=SHLD-8
    pub(in crate::tcp) fn take_ecn_feedback(&mut self, seg: &Segment<'_>, news: &News, cx: &mut Context<'_>) {
        self.ecn.pass(seg.ack);
        let old = seg.ack.before(news.una);
        if self.ecn.feedback == EcnFeedback::None || old {
            return;
        }
        let awaited = self.ecn.is.contains(Is::AWAITS_ACK);
        self.ecn.is.remove(Is::AWAITS_ACK);
        if self.ecn.is.contains(Is::SYN) {
            return;
        }
        if self.ecn.accurate.is_some() {
            self.read_counters(seg, awaited, news, cx);
        } else if seg.flags.contains(Flags::ECE) {
            let delivered = news.delivered.max(news.advanced);
            self.ecn.delivered_ce = self.ecn.delivered_ce.wrapping_add(delivered.div_ceil(self.smss()));
            if news.in_flight > 0 {
                self.answer_mark(news.in_flight, delivered, cx);
            }
        }
    }

    fn read_counters(&mut self, seg: &Segment<'_>, awaited: bool, news: &News, cx: &mut Context<'_>) {
        let (nxt, mss, stamped) = (self.snd.nxt, self.smss(), self.timestamps.enabled());
        let Some(accurate) = &mut self.ecn.accurate else { return };
        let is = &mut self.ecn.is;
        if awaited {
            accurate.test_peers_option(seg.options.acc_ecn.as_ref());
            if seg.is_empty() && seg.options.sack.is_empty() {
                let ace = seg.flags.ace();
                accurate.on_ack_of_syn_ack(ace);
                match ace {
                    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.1
                    //# Note 1: If the Server is in AccECN mode and in SYN-RCVD state, and if it receives a value of zero on a
                    //# pure ACK with SYN=0 and no SACK blocks, for the rest of the connection the Server MUST NOT set ECT
                    //# on outgoing packets and MUST NOT respond to AccECN feedback.
                    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.1
                    //= id=rfc9768-3.2.2.1-7
                    0 => is.insert(Is::NO_ECT | Is::DEAF),
                    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.3
                    //= id=rfc9768-3.2.2.3-2
                    // Our SYN,ACK was not ECN-capable (§3.2.2.3).
                    0b011 | 0b100 | 0b110 => is.insert(Is::NO_ECT),
                    _ => {}
                }
                if ace == 0b110 {
                    self.ecn.delivered_ce = self.ecn.delivered_ce.wrapping_add(1);
                    let cwnd = self.congestion.cwnd();
                    self.answer_mark(cwnd, 0, cx);
                }
                return;
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2
        //= id=rfc9768-3.2.2-1
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.4
        //= id=rfc9768-3.2.2.4-1, rfc9768-3.2.2.4-2
        let Some(told) = accurate.on_feedback(seg, nxt, mss, stamped, is.contains(Is::NO_ECT)) else {
            return;
        };
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.5
        //# If either endpoint detects that the s.ceb counter has increased but the s.cep has not (and by testing ACK
        //# coverage it is certain how much the ACE field has wrapped), and if there is no explanation other than an invalid
        //# protocol transition due to some form of feedback mangling, the Data Sender MUST disable sending ECN-capable
        //# packets for the remainder of the half-connection by setting the IP-ECN field in all subsequent packets to
        //# Not-ECT.
        is.set(Is::NO_ECT, is.contains(Is::NO_ECT) || told.mangled || told.continuous);
        // Each and every packet marked is no congestion, but somebody on the way (§3.2.2.3).
        is.set(Is::DEAF, is.contains(Is::DEAF) || told.continuous);
        if is.contains(Is::DEAF) || told.packets == 0 {
            return;
        }
        self.ecn.delivered_ce = self.ecn.delivered_ce.wrapping_add(told.packets);
        self.ecn.marked = self.ecn.marked.saturating_add(told.octets);
        self.answer_mark(news.in_flight, news.delivered.max(news.advanced), cx);
    }

    /// The peer told of a mark, of one of `in_flight` octets, by an ACK of `delivered`. It is answered once for each window of
    /// data.
    fn answer_mark(&mut self, in_flight: u32, delivered: u32, cx: &mut Context<'_>) {
        self.ecn.is.insert(Is::TELLS);
        if self.ecn.is.contains(Is::REDUCING) || self.reduces_for_loss() {
            return;
        }
        self.ecn.is.insert(Is::REDUCING);
        self.ecn.recover = self.snd.nxt;
        self.ecn.window_reduced();
        if self.congestion.cwnd() > self.smss() {
            //= https://www.rfc-editor.org/rfc/rfc3168#section-5
            //# Upon the receipt by an ECN-Capable transport of a single CE packet, the congestion control algorithms followed
            //# at the end-systems MUST be essentially the same as the congestion control response to a *single* dropped
            //# packet.
            if !self.enter_cwr(delivered, cx) {
                // All has been acknowledged: there is no window to bring down ACK by ACK.
                self.congestion.on_event(CongestionEvent::Ecn, in_flight, cx.now);
                self.recovery.forget_undo();
            }
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
        //# Therefore, the sending TCP MUST reset the retransmit timer on receiving the ECN-Echo packet when the congestion
        //# window is one.
        self.ecn.is.insert(Is::HOLDING);
        self.timers.cancel(super::timers::Timer::Rto);
    }

    /// Whether the window must not grow for the ACK in hand.
    //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
    //# The sending TCP SHOULD NOT increase the congestion window in response to the receipt of an ECN-Echo ACK packet.
    pub(in crate::tcp) const fn ecn_forbids_growth(&self) -> bool {
        self.ecn.is.intersects(Is::REDUCING.union(Is::TELLS))
    }
}

/// What goes.
impl Tcb {
    /// An ACK that has to leave without text first, because it tells of the mark of a SYN,ACK.
    //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.1
    //# If an AccECN TCP Client intends to acknowledge the SYN/ACK with a packet that does not satisfy these conditions (e.g.,
    //# it has data to include on the ACK), it SHOULD first send a pure ACK that does satisfy these conditions (see Section
    //# 5.2), so that it can feed back which of the four values of the IP-ECN field arrived on the SYN/ ACK.
    pub(in crate::tcp) fn owes_handshake_ack(&self) -> bool {
        self.ecn.accurate.as_ref().is_some_and(|accurate| accurate.owes_handshake())
    }

    /// The AccECN option that the next segment without SYN carries.
    #[inline]
    pub(in crate::tcp) fn ecn_option(&self) -> Option<AccEcn> {
        self.ecn.accurate.as_deref().and_then(|accurate| self.acc_ecn_option(accurate))
    }

    fn acc_ecn_option(&self, accurate: &super::acc_ecn::Accurate) -> Option<AccEcn> {
        let timestamps = if self.timestamps.enabled() { 12 } else { 0 };
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
        //# If SACK has been negotiated [RFC2018], and the smallest recommended AccECN Option would leave insufficient space for
        //# two SACK blocks on a particular ACK, the Data Receiver MUST give precedence to the SACK option (total 18 octets),
        //# because loss feedback is more critical.
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.1
        //= id=rfc9768-3.1.1-7, rfc9768-3.1.1-8
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
        //= id=rfc9768-3.2.3.3-1
        let blocks = match self.sack_blocks_wanted().min(2) {
            0 => 0,
            n => 4 + 8 * n,
        };
        let most = MAX_OPTIONS_LEN.min(usize::from(self.snd.mss).saturating_sub(1));
        let first_data = self.snd.nxt == self.snd.iss.add(1);
        let others = timestamps + self.user_timeout_len();
        accurate.option(most.saturating_sub(others + blocks), first_data && self.has_unsent())
    }

    /// Octets that it takes up.
    pub(in crate::tcp) fn ecn_option_len(&self) -> usize {
        self.ecn_option().map_or(0, |option| AccEcn::emitted_len(option.counters.len()))
    }

    /// A segment is about to leave: sets its bits, and gives the mark that it leaves with.
    pub(in crate::tcp) fn mark_departure(
        &mut self,
        flags: &mut Flags,
        options: &Options,
        plan: Plan,
        cx: &Context<'_>,
    ) -> ip::Ecn {
        if flags.contains(Flags::SYN) {
            flags.insert(self.syn_ecn_flags(cx));
            if self.state() == State::SynReceived {
                self.syn_ack_leaves(cx);
            }
            //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
            //# A host MUST NOT set ECT on SYN or SYN-ACK packets.
            return ip::Ecn::NotEct;
        }
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.6
        //# Therefore, the TCP data sender MUST NOT set either an ECT codepoint or the CWR bit on window probe packets.
        let again = plan.seq.before(self.snd.nxt);
        let fresh = plan.len > 0 && !again && plan.reason != Reason::WindowProbe;
        let first = self.snd.iss.add(1);
        match &mut self.ecn.accurate {
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
            //# MUST NOT set CWR to indicate that it has received and responded to indications of congestion.
            Some(accurate) => {
                if again && plan.seq == first && plan.len > 0 {
                    accurate.first_data_lost(cx.config.ecn_options);
                }
                let pure = plan.len == 0 && !plan.fin && options.sack.is_empty();
                let ace = accurate.leaves(pure, options.acc_ecn.is_some(), fresh, cx.now);
                flags.insert(Flags::from_ace(ace));
            }
            None => {
                flags.set(Flags::ECE, self.ecn.is.contains(Is::ECHOING));
                //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
                //# When the TCP data sender is ready to set the CWR bit after reducing the congestion window, it SHOULD set
                //# the CWR bit only on the first new data packet that it transmits.
                //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
                //# Thus, the CWR bit in the TCP header SHOULD NOT be set on retransmitted packets.
                //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.1
                //= id=rfc3168-6.1.1-5
                if fresh && self.ecn.is.contains(Is::CWR_DUE) {
                    flags.insert(Flags::CWR);
                    self.ecn.is.remove(Is::CWR_DUE);
                }
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc3168#section-5.2
        //# We believe that this aspect is still the subject of research, so this document specifies that at this time, "pure"
        //# ACK packets MUST NOT indicate ECN-Capability.
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.5
        //# To prevent such a denial-of-service attack, we specify that a legitimate TCP data sender MUST NOT set an ECT
        //# codepoint on retransmitted data packets, and that the TCP data receiver SHOULD ignore the CE codepoint on
        //# out-of-window packets.
        //= https://www.rfc-editor.org/rfc/rfc3168#section-5.2
        //= id=rfc3168-5.2-1
        //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.4
        //= id=rfc3168-6.1.4-1
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.5
        //= id=rfc9768-3.1.5-12, rfc9768-3.1.5-13, rfc9768-3.1.5-18
        let capable = fresh && self.ecn.feedback != EcnFeedback::None && !self.ecn.is.contains(Is::NO_ECT);
        match (capable, self.ecn.accurate.is_some() && self.congestion.is_scalable()) {
            (false, _) => ip::Ecn::NotEct,
            //= https://www.rfc-editor.org/rfc/rfc3168#section-6.1.2
            //# When only one ECT codepoint is needed by a sender for all packets sent on a TCP connection, ECT(0) SHOULD be
            //# used.
            //= https://www.rfc-editor.org/rfc/rfc3168#section-5
            //= id=rfc3168-5-1
            (true, false) => ip::Ecn::Ect0,
            (true, true) => ip::Ecn::Ect1,
        }
    }
}
