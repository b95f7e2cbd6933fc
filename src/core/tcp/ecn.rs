//! Explicit Congestion Notification (RFC 3168, RFC 9768): which packets say that they may be marked, how a mark that came is
//! told, and what is done about one that went.
//!
//! ```text
//!   data, ECT(0) ──► a queue grows: CE ──► ECE on each ACK … ──► window reduced, CWR on new data ──► ECE no more
//! ```
//!
//! Who uses it is agreed on by [`negotiate`]; what RFC 9768 counts is in [`acc_ecn`](super::acc_ecn). Here both meet the
//! connection: the other files of TCP have a line each for what is to be done when a segment comes or goes.

pub mod negotiate;

use alloc::boxed::Box;

use self::negotiate::Promise;
use super::acc_ecn::{Accurate, Counters};
use super::congestion::CongestionEvent;
use super::context::Context;
use super::output::decide::Plan;
use super::recovery::Phase;
use super::response::news::News;
use super::segment::Segment;
use super::seq::Seq;
use super::state::State;
use super::tcb::{Is as TcbIs, Tcb};
use crate::config::EcnFeedback;
use crate::tcp::trace::{AckReason, Reason};
use crate::wire::flags::Flags;
use crate::wire::ip;
use crate::wire::options::{AccEcn, MAX_OPTIONS_LEN, Options};

bitflags::bitflags! {
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    struct Is: u16 {
        /// Nothing of ours is ECN-capable, although ECN was agreed on.
        const NO_ECT = 1 << 0;
        /// CE has come, and no CWR since (RFC 3168 §6.1.3).
        const ECHOING = 1 << 1;
        /// The next new data says that the window has been reduced (RFC 3168 §6.1.2).
        const CWR_DUE = 1 << 2;
        /// A mark has been answered, and what was sent before is not acknowledged yet.
        const REDUCING = 1 << 3;
        /// The segment in hand tells of a mark.
        const TELLS = 1 << 4;
        /// The segment in hand is or was a SYN.
        const SYN = 1 << 5;
        /// A packet has come that was ECN-capable.
        const SEEN = 1 << 6;
        /// A mark came at a window of one segment: nothing new leaves before the timer says so (RFC 3168 §6.1.2).
        const HOLDING = 1 << 7;
        /// Our SYN,ACK has not been acknowledged (RFC 9768 §3.2.2.1).
        const AWAITS_ACK = 1 << 8;
        /// What the peer tells is not believed (RFC 9768 §3.2.2.1 note 1, §3.2.2.3).
        const DEAF = 1 << 9;
    }
}

/// What a connection has to do with ECN.
#[derive(Clone, Debug)]
pub struct Ecn {
    /// While a mark is being answered: SND.NXT when that began.
    recover: Seq,
    is: Is,
    feedback: EcnFeedback,
    /// Packets of ours that the peer told to have come with CE.
    delivered_ce: u32,
    /// Octets that came there with CE, for the algorithm.
    marked: u32,
    accurate: Option<Box<Accurate>>,
}

/// ECN of a connection, for those who watch it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EcnInfo {
    /// What was agreed on.
    pub feedback: EcnFeedback,
    /// Whether our data is ECN-capable.
    pub capable: bool,
    /// Whether a packet has come that was.
    pub seen: bool,
    /// Packets of ours that came there with CE, as far as the peer tells.
    pub delivered_ce: u32,
    /// What came there, beyond what the counters begin with. 0 without RFC 9768.
    pub delivered: Counters,
    /// What came here, the same way.
    pub received: Counters,
    /// AccECN options have come, and were not zeroed.
    pub options_seen: bool,
    /// AccECN options are not sent because the path seems to drop them.
    pub options_blocked: bool,
    /// What the peer tells is not believed.
    pub deaf: bool,
}

impl Default for Ecn {
    fn default() -> Self {
        Self::new()
    }
}

impl Ecn {
    /// Nothing agreed on.
    pub const fn new() -> Self {
        Self {
            recover: Seq::new(0),
            is: Is::empty(),
            feedback: EcnFeedback::None,
            delivered_ce: 0,
            marked: 0,
            accurate: None,
        }
    }

    /// What was agreed on.
    pub const fn feedback(&self) -> EcnFeedback {
        self.feedback
    }

    /// The window has been reduced, whatever for: with RFC 3168 the peer is told.
    pub fn window_reduced(&mut self) {
        self.is.set(Is::CWR_DUE, self.feedback == EcnFeedback::Classic);
    }

    /// The retransmission timer ran out, or what stands for it while nothing is outstanding.
    pub fn timer_ran_out(&mut self) {
        self.is.remove(Is::HOLDING | Is::REDUCING);
    }

    /// Whether nothing new may leave: see RFC 3168 §6.1.2 on a window of one segment.
    //= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
    //= id=rfc9438-4.6-6
    pub const fn holds(&self) -> bool {
        self.is.contains(Is::HOLDING)
    }

    /// Takes the octets that came there with CE since it was asked last.
    pub fn take_marked(&mut self) -> u32 {
        core::mem::take(&mut self.marked)
    }

    /// The three bits of a segment without SYN that some other than the connection sends for it.
    pub fn flags(&self) -> Flags {
        match &self.accurate {
            Some(accurate) => Flags::from_ace(accurate.ace()),
            None if self.is.contains(Is::ECHOING) => Flags::ECE,
            None => Flags::empty(),
        }
    }

    /// How it stands.
    pub fn info(&self) -> EcnInfo {
        let zero = Counters { cep: 0, ceb: 0, e0b: 0, e1b: 0 };
        let accurate = self.accurate.as_deref();
        let (seen, zeroed) = accurate.map_or((false, false), Accurate::peers_option);
        EcnInfo {
            feedback: self.feedback,
            capable: self.feedback != EcnFeedback::None && !self.is.contains(Is::NO_ECT),
            seen: self.is.contains(Is::SEEN),
            delivered_ce: self.delivered_ce,
            delivered: accurate.map_or(zero, |a| a.sent.counted()),
            received: accurate.map_or(zero, |a| a.received.counted()),
            options_seen: seen && !zeroed,
            options_blocked: accurate.is_some_and(Accurate::option_is_blocked),
            deaf: self.is.contains(Is::DEAF),
        }
    }

    fn agree(&mut self, feedback: EcnFeedback, iss: Seq, cx: &Context<'_>) {
        self.feedback = feedback;
        if feedback == EcnFeedback::Accurate {
            self.accurate = Some(Box::new(Accurate::new(iss.add(1), cx.now)));
        }
    }

    /// The connection comes of a request whose SYN,ACK has been sent `timeouts` times more.
    pub fn from_promise(promise: Promise, timeouts: u8, iss: Seq, cx: &Context<'_>) -> Self {
        let mut ecn = Self::new();
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.2
        //= id=rfc9768-3.2.2.2-2
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.1
        //= id=rfc9768-3.2.3.2.1-2
        ecn.agree(promise.feedback(), iss, cx);
        ecn.is.set(Is::NO_ECT, promise.forbids_ect(cx.config, timeouts));
        ecn.is.insert(Is::AWAITS_ACK);
        if let Some(accurate) = &mut ecn.accurate
            && timeouts > 0
        {
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.2
            //# The TCP Server MAY try to send another packet with an AccECN Option at a later point during the
            //# connection but it ought to monitor if that packet got lost as well, in which case it SHOULD disable the
            //# sending of AccECN Options for this half-connection.
            accurate.block_option(cx.config.ecn_options);
        }
        ecn
    }
}

/// A SYN or SYN,ACK of a connection that was opened actively.
impl Tcb {
    /// The SYN or SYN,ACK that our SYN was answered with came, in SYN-SENT.
    pub(super) fn agree_on_ecn(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) {
        let config = cx.config;
        let plain = negotiate::is_plain(config, self.recovery.timeouts());
        if !seg.has_ack() {
            //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.2
            //# Host A MUST then enter the same feedback mode as it would have entered had it been a responding host and
            //# received the same SYN.
            let promise = Promise::on_syn(config.ecn_outgoing.min(config.ecn_incoming), seg);
            self.ecn = Ecn::from_promise(promise, 0, self.snd.iss, cx);
            self.ecn.is.set(Is::NO_ECT, plain);
            self.ecn.recover = Seq::new(promise.bits().into());
            return;
        }
        let (feedback, came) = negotiate::on_syn_ack(config.ecn_outgoing, seg.flags);
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.1.1
        //# The TCP Client MUST NOT enter AccECN mode (or any feedback mode) before it has received the first SYN/ACK.
        self.ecn.agree(feedback, self.snd.iss, cx);
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
    pub(super) fn begin_l4s(&mut self, cx: &Context<'_>) {
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
        self.early_promise().unwrap_or(Promise::from_bits(self.ecn.recover.get() as u8))
    }

    /// The AccECN option of a SYN,ACK where both ends have opened.
    pub(super) fn syn_ecn_option(&self, cx: &Context<'_>) -> Option<AccEcn> {
        //= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.1
        //# The TCP Client MUST NOT include an AccECN TCP Option on the SYN.
        let answers = self.state() == State::SynReceived;
        answers.then(|| self.promised().syn_ack_option(cx.config, self.recovery.timeouts() == 0))?
    }
}

/// What comes.
impl Tcb {
    /// A segment came, and nothing of it has been looked at.
    pub(super) fn ecn_arrives(&mut self, seg: &Segment<'_>) {
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
    pub(super) fn take_mark(&mut self, seg: &Segment<'_>, text: usize, cx: &Context<'_>) {
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
    pub(super) fn take_ecn_feedback(&mut self, seg: &Segment<'_>, news: &News, cx: &mut Context<'_>) {
        if self.ecn.is.contains(Is::REDUCING) && seg.ack.after(self.ecn.recover) {
            self.ecn.is.remove(Is::REDUCING);
        }
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
        if self.ecn.is.contains(Is::REDUCING) || self.recovery.phase() >= Phase::Cwr {
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
    pub(super) const fn ecn_forbids_growth(&self) -> bool {
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
    pub(super) fn owes_handshake_ack(&self) -> bool {
        self.ecn.accurate.as_ref().is_some_and(|accurate| accurate.owes_handshake())
    }

    /// The AccECN option that the next segment without SYN carries.
    pub(super) fn ecn_option(&self) -> Option<AccEcn> {
        let accurate = self.ecn.accurate.as_ref()?;
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
        accurate.option(most.saturating_sub(timestamps + blocks), first_data && self.has_unsent())
    }

    /// Octets that it takes up.
    pub(super) fn ecn_option_len(&self) -> usize {
        self.ecn_option().map_or(0, |option| AccEcn::emitted_len(option.counters.len()))
    }

    /// A segment is about to leave: sets its bits, and gives the mark that it leaves with.
    pub(super) fn mark_departure(
        &mut self,
        flags: &mut Flags,
        options: &Options,
        plan: Plan,
        cx: &Context<'_>,
    ) -> ip::Ecn {
        if flags.contains(Flags::SYN) {
            flags.insert(self.syn_ecn_flags(cx));
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
