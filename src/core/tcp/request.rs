//! An embryonic connection: SYN-RECEIVED from a passive open, in 64 octets (RFC 9293 §3.10.7.2 and .4).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::IpAddr;

use super::congestion::Congestion;
use super::context::{Context, ControlSegment};
use super::ecn::{Ecn, negotiate::Promise};
use super::input::{closed, syn_sent::default_mss};
use super::rcv::Recv;
use super::segment::Segment;
use super::seq::{Seq, WindowScale};
use super::snd::LEAST_MSS;
use super::state::{Event, State};
use super::syn_cookie::{self, Told};
use super::tcb::{Is, Tcb};
use super::timestamps::Timestamps;
use crate::addr::Quad;
use crate::config::EcnFeedback;
use crate::sockopt::SocketOptions;
use crate::tcp::trace::{AckReason, Reason, RstReason, Variables, Verdict};
use crate::time::{Duration, Instant};
use crate::wire::fast_open::FastOpen;
use crate::wire::flags::Flags;
use crate::wire::options::{self, Options};

bitflags::bitflags! {
    /// What both SYNs agree on.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Agreed: u8 {
        const SCALE = 1 << 0;
        const SACK = 1 << 1;
        const TIMESTAMPS = 1 << 2;
        /// Our SYN,ACK has a SYN cookie.
        const COOKIE = 1 << 3;
        /// The four bits of a [`Promise`].
        const ECN = 0b1111 << 4;
    }
}

impl Agreed {
    const fn ecn(self) -> Promise {
        Promise::from_bits(self.bits() >> 4)
    }

    const fn with_ecn(self, promise: Promise) -> Self {
        Self::from_bits_retain(self.bits() & 15 | promise.bits() << 4)
    }
}

/// Our SYN is acknowledged, and the listener waits for more (`TCP_DEFER_ACCEPT`): the topmost bit of its slot.
const ACKNOWLEDGED: u32 = 1 << 31;

/// A connection request that waits for the ACK of our SYN.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The two ends.
    pub quad: Quad,
    /// Below [`ACKNOWLEDGED`].
    listener: u32,
    irs: Seq,
    iss: Seq,
    ts_recent: u32,
    /// When the SYN,ACK was first sent, microseconds of the stack's time, low 32 bits. Once it is acknowledged, by a peer
    /// that has to send more than that: how many microseconds that took, 28 bits, below how often it had been sent again.
    sent: u32,
    /// Our receive window as told on the SYN,ACK.
    rcv_wnd: u16,
    /// What the peer takes.
    peer_mss: u16,
    /// The peer's and our window scale, four bits each.
    scales: u8,
    agreed: Agreed,
    /// How often the SYN,ACK was sent again (low four bits), and how many segments that do not belong here were
    /// answered (high four bits).
    counts: u8,
    /// The low octet of the listener's generation: its slot may be another's by now.
    generation: u8,
}

/// What becomes of a request whose wait is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// The SYN,ACK is to be sent again.
    Resend,
    /// It goes on.
    More,
    /// The request is over.
    Over,
}

/// What a segment did to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The request stays.
    Stay(Verdict),
    /// The handshake is complete: a connection is to be made of it, and shown the segment.
    Establish,
    /// The request is over: back to LISTEN.
    Over(Verdict),
}

impl Request {
    /// From an acceptable SYN (§3.10.7.2, third). `mss` is what the path carries; `iss_after` asks for an
    /// initial sequence number beyond that of an earlier connection (RFC 6191, MAY-2).
    pub fn new(
        quad: Quad,
        listener: (u32, u8),
        options: &SocketOptions,
        mss: u16,
        iss_after: Option<Seq>,
        seg: &Segment<'_>,
        cx: &mut Context<'_>,
    ) -> Self {
        let iss = cx.keys.isn(&quad, cx.now);
        let iss = match iss_after {
            // Beyond all the old one sent and could have had in flight.
            Some(last) if !iss.after(last) => last.add(0x1_0002),
            _ => iss,
        };
        let mut agreed = Agreed::empty();
        agreed.set(Agreed::SCALE, cx.config.window_scaling && seg.options.window_scale.is_some());
        agreed.set(Agreed::SACK, cx.config.sack && seg.options.sack_permitted);
        agreed.set(Agreed::TIMESTAMPS, cx.config.timestamps && seg.timestamps().is_some());
        let agreed = agreed.with_ecn(Promise::on_syn(cx.config.ecn_incoming, seg));
        let timestamps = if agreed.contains(Agreed::TIMESTAMPS) { 12 } else { 0 };
        let ours = options.window_scale(cx.config).shift();
        let theirs = WindowScale::new(seg.options.window_scale.unwrap_or(0)).shift();
        let peer_mss = seg.options.mss.map_or(default_mss(quad.remote.address), |mss| mss.max(LEAST_MSS));
        Self {
            quad,
            listener: listener.0,
            generation: listener.1,
            irs: seg.seq,
            iss,
            ts_recent: seg.timestamps().map_or(0, |ts| ts.value),
            sent: cx.now.as_micros() as u32,
            rcv_wnd: options.first_window(mss.saturating_sub(timestamps)),
            peer_mss,
            scales: theirs << 4 | ours,
            agreed,
            counts: 0,
        }
    }

    /// The same with a SYN cookie for a sequence number, so that it need not be kept.
    pub fn with_cookie(self, seg: &Segment<'_>, cx: &Context<'_>) -> Self {
        let (iss, peer_mss) = syn_cookie::make(cx.keys, &self.quad, self.irs, self.peer_mss, cx.now);
        let timestamps = self.agreed.contains(Agreed::TIMESTAMPS);
        // There is no room for what accurate feedback has to remember.
        let ecn = Promise::on_syn(cx.config.ecn_incoming.min(EcnFeedback::Classic), seg);
        //= https://www.rfc-editor.org/rfc/rfc4987#section-3.6
        //= id=rfc4987-3.6-s4
        let agreed = if timestamps { self.agreed.with_ecn(ecn) } else { Agreed::empty() };
        Self { iss, peer_mss, agreed: agreed | Agreed::COOKIE, ..self }
    }

    /// From the ACK that brings a SYN cookie back. `mss` is what the path carries.
    //= https://www.rfc-editor.org/rfc/rfc4987#section-3.6
    //= id=rfc4987-3.6-s1
    pub fn from_cookie(
        quad: Quad,
        listener: (u32, u8),
        options: &SocketOptions,
        mss: u16,
        seg: &Segment<'_>,
        cx: &Context<'_>,
    ) -> Option<Self> {
        let (irs, iss) = (seg.seq.sub(1), seg.ack.sub(1));
        let peer_mss = syn_cookie::check(cx.keys, &quad, irs, iss, cx.now)?;
        let stamp = seg.timestamps().filter(|_| cx.config.timestamps);
        let told = stamp.map_or(Told::default(), |ts| Told::read(ts.echo));
        // We offered none of it, so that is not our stamp.
        let no_ecn = cx.config.ecn_incoming == EcnFeedback::None;
        if (told.sack && !cx.config.sack)
            || (told.ecn && no_ecn)
            || (told.scale.is_some() && !cx.config.window_scaling)
        {
            return None;
        }
        let mut agreed = Agreed::COOKIE;
        agreed.set(Agreed::SCALE, told.scale.is_some());
        agreed.set(Agreed::SACK, told.sack);
        agreed.set(Agreed::TIMESTAMPS, stamp.is_some());
        let agreed = agreed.with_ecn(if told.ecn { Promise::CLASSIC } else { Promise::NONE });
        let timestamps = if stamp.is_some() { 12 } else { 0 };
        let ours = options.window_scale(cx.config).shift();
        Some(Self {
            quad,
            listener: listener.0,
            generation: listener.1,
            irs,
            iss,
            ts_recent: stamp.map_or(0, |ts| ts.value),
            sent: 0,
            rcv_wnd: options.first_window(mss.saturating_sub(timestamps)),
            peer_mss,
            scales: WindowScale::new(told.scale.unwrap_or(0)).shift() << 4 | ours,
            agreed,
            counts: 0,
        })
    }

    /// The slot of the listener it came to, and the low octet of the slot's generation.
    pub const fn listener(&self) -> (u32, u8) {
        (self.listener & !ACKNOWLEDGED, self.generation)
    }

    const fn is_acknowledged(&self) -> bool {
        self.listener & ACKNOWLEDGED != 0
    }

    const fn timeouts(&self) -> u8 {
        self.counts & 15
    }

    /// How often the SYN,ACK had been sent again when it was acknowledged, or until now.
    const fn retransmits(&self) -> u8 {
        if self.is_acknowledged() { (self.sent >> 28) as u8 } else { self.timeouts() }
    }

    /// How long it took to be acknowledged, or has until now.
    fn round_trip(&self, now: Instant) -> Duration {
        let since = (now.as_micros() as u32).wrapping_sub(self.sent);
        let micros = if self.is_acknowledged() { self.sent & ((1 << 28) - 1) } else { since };
        Duration::from_micros(micros.into())
    }

    /// The handshake is done, but the listener waits for more.
    fn acknowledged(&mut self, now: Instant) {
        if !self.is_acknowledged() {
            let took = self.round_trip(now).as_micros().min((1 << 28) - 1) as u32;
            self.sent = u32::from(self.timeouts()) << 28 | took;
            self.listener |= ACKNOWLEDGED;
        }
    }

    /// Takes note of an answer, within a limit for the request's short life (RFC 5961 §7): neither a flood nor a
    /// confused peer makes us send without end.
    const fn may_answer(&mut self, cx: &mut Context<'_>) -> bool {
        let may = self.counts < 15 << 4;
        if may {
            self.counts += 1 << 4;
        } else {
            cx.counters.tcp_challenge_limited += 1;
        }
        may
    }

    /// What the SYN asked for of ECN, and we answer.
    pub const fn promise(&self) -> Promise {
        self.agreed.ecn()
    }

    /// The sequence number of our SYN,ACK.
    pub const fn iss(&self) -> Seq {
        self.iss
    }

    const fn our_scale(&self) -> WindowScale {
        WindowScale::new(self.scales & 15)
    }

    const fn their_scale(&self) -> WindowScale {
        WindowScale::new(self.scales >> 4)
    }

    /// The option for a segment leaving now, if it was agreed on.
    fn timestamps(&self, cx: &Context<'_>) -> Option<options::Timestamps> {
        let agreed = self.agreed.contains(Agreed::TIMESTAMPS);
        agreed.then(|| self.clock(cx.keys.timestamp_offset(&self.quad), cx.now).option(cx.now))
    }

    fn clock(&self, offset: u32, now: Instant) -> Timestamps {
        let mut clock = Timestamps::new(offset);
        clock.enable(self.ts_recent, now);
        clock
    }

    /// Whether a segment with this TSval is older than the SYN.
    fn is_old(&self, value: u32, now: Instant) -> bool {
        // Nothing of ours is shown: it is all the same how our clock is set.
        self.clock(0, now).is_old(value, now)
    }

    /// What a capture's comment says of it.
    pub fn variables(&self, cx: &Context<'_>) -> Variables {
        Variables {
            iss: self.iss,
            una: self.iss,
            snd_nxt: self.iss.add(1),
            irs: self.irs,
            rcv_nxt: self.irs.add(1),
            rcv_wnd: u32::from(self.rcv_wnd),
            ssthresh: u32::MAX,
            rto: self.wait(cx),
            in_flight: 1,
            ..Variables::default()
        }
    }

    fn segment(&self, seq: Seq, flags: Flags, reason: Reason, cx: &Context<'_>) -> ControlSegment {
        ControlSegment {
            seq,
            ack: self.irs.add(1),
            flags,
            window: self.rcv_wnd,
            variables: Some(self.variables(cx)),
            ..ControlSegment::new(self.quad, State::SynReceived, reason)
        }
    }

    /// `<SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>`. `our_mss` is the MSS to tell the peer.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.2
    //= id=STEP-3.10.7.2-4
    //# ISS should be selected and a SYN segment sent of the form: <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>
    ///
    /// `fast_open` goes with the first alone.
    pub fn send_syn_ack(
        &self,
        reason: Reason,
        our_mss: u16,
        fast_open: Option<FastOpen>,
        socket: &SocketOptions,
        cx: &mut Context<'_>,
    ) {
        if matches!(reason, Reason::SynTimeout) {
            cx.counters.tcp_retrans_segs += 1;
        } else {
            cx.counters.tcp_out_segs += 1;
        }
        let ecn = self.agreed.ecn();
        let flags = Flags::SYN | Flags::ACK | ecn.syn_ack_flags(cx.config, self.retransmits());
        let mut segment = self.segment(self.iss, flags, reason, cx);
        let scaled = self.agreed.contains(Agreed::SCALE);
        segment.options = Options {
            mss: Some(our_mss),
            //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
            //= id=rfc7323-2.3-1
            //# If a TCP receives a <SYN> segment containing a Window Scale option, it SHOULD send its own Window
            //# Scale option in the <SYN,ACK> segment.
            window_scale: scaled.then(|| self.our_scale().shift()),
            sack_permitted: self.agreed.contains(Agreed::SACK),
            timestamps: self.timestamps(cx).map(|now| self.stamp(now)),
            acc_ecn: ecn.syn_ack_option(cx.config, self.counts == 0),
            fast_open,
            user_timeout: socket.user_timeout_on_syn(cx.config, self.retransmits()),
            ..Options::default()
        };
        segment.options.make_room();
        segment.hop_limit = socket.hop_limit;
        segment.traffic_class = socket.traffic_class;
        cx.send(segment);
    }

    /// The timestamps of a SYN,ACK: with a cookie, what was agreed on lies in them.
    fn stamp(&self, now: options::Timestamps) -> options::Timestamps {
        if !self.agreed.contains(Agreed::COOKIE) {
            return now;
        }
        let scale = self.agreed.contains(Agreed::SCALE).then(|| self.their_scale().shift());
        let sack = self.agreed.contains(Agreed::SACK);
        let told = Told { scale, sack, ecn: self.agreed.ecn() != Promise::NONE };
        options::Timestamps { value: told.stamp(now.value), ..now }
    }

    fn send_ack(&mut self, reason: AckReason, cx: &mut Context<'_>) {
        if !self.may_answer(cx) {
            return;
        }
        cx.counters.tcp_out_segs += 1;
        let flags = Flags::ACK | self.agreed.ecn().ack_flags();
        let mut segment = self.segment(self.iss.add(1), flags, Reason::Ack(reason), cx);
        segment.options.timestamps = self.timestamps(cx);
        cx.send(segment);
    }

    /// How long to wait for the ACK before the SYN,ACK is sent again.
    pub fn wait(&self, cx: &Context<'_>) -> Duration {
        cx.config.syn_ack_wait(self.timeouts())
    }

    /// The wait is over. As in Linux a peer that has acknowledged is left alone while the listener waits for more; then
    /// it is asked once again, so that it may answer.
    pub fn timed_out(&mut self, defer_accept: u8, cx: &Context<'_>) -> Wait {
        let (timeouts, defer) = (self.timeouts(), defer_accept.min(15));
        let deferred = self.is_acknowledged() && timeouts < defer;
        if timeouts >= cx.config.syn_ack_retries.min(15) && !deferred {
            return Wait::Over;
        }
        self.counts += 1;
        if deferred && timeouts + 1 < defer { Wait::More } else { Wait::Resend }
    }

    /// §3.10.7.4 for SYN-RECEIVED. `our_mss` is the MSS to tell the peer again.
    pub fn on_segment(
        &mut self,
        seg: &Segment<'_>,
        our_mss: u16,
        socket: &SocketOptions,
        cx: &mut Context<'_>,
    ) -> Outcome {
        if self.agreed.contains(Agreed::TIMESTAMPS) && !seg.rst() {
            match seg.timestamps() {
                None if cx.config.tolerate_missing_timestamps => {}
                None => {
                    cx.counters.tcp_missing_timestamp += 1;
                    return Outcome::Stay(Verdict::MissingTimestamp);
                }
                Some(ts) if self.is_old(ts.value, cx.now) => {
                    cx.counters.tcp_paws_drops += 1;
                    self.send_ack(AckReason::Paws, cx);
                    return Outcome::Stay(Verdict::Paws);
                }
                Some(_) => {}
            }
        }
        let rcv = Recv::new(self.irs, u32::from(self.rcv_wnd), 0);
        if !rcv.acceptable(seg.seq, seg.len()) {
            if seg.rst() {
                return Outcome::Stay(Verdict::ResetIgnored);
            }
            cx.counters.tcp_not_acceptable += 1;
            // The SYN again: our SYN,ACK was lost, so that is the acknowledgment to send.
            if seg.syn() && !seg.has_ack() && seg.seq == self.irs {
                let Some(ecn) = self.agreed.ecn().on_syn_again(cx.config.ecn_incoming, seg) else {
                    cx.counters.tcp_attempt_fails += 1;
                    // Behind our SYN, so that it is exact whether the peer has had that or not.
                    let (seq, ack) = (self.iss.add(1), self.irs.add(1));
                    let state = State::SynReceived;
                    cx.send(ControlSegment::reset_ack(self.quad, state, seq, ack, RstReason::EcnMixed));
                    return Outcome::Over(Verdict::EcnMixed);
                };
                self.agreed = self.agreed.with_ecn(ecn);
                if self.may_answer(cx) {
                    self.send_syn_ack(Reason::SynAck, our_mss, None, socket, cx);
                }
                return Outcome::Stay(Verdict::Duplicate);
            }
            self.send_ack(AckReason::NotAcceptable, cx);
            return Outcome::Stay(Verdict::NotAcceptable);
        }
        if seg.rst() {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=STEP-3.10.7.4-7
            //# If this connection was initiated with a passive OPEN (i.e., came from the LISTEN state),
            //# then return this connection to LISTEN state and return.
            if seg.seq == rcv.nxt {
                cx.counters.tcp_attempt_fails += 1;
                return Outcome::Over(Verdict::Reset);
            }
            cx.counters.tcp_challenge_acks += 1;
            self.send_ack(AckReason::Challenge, cx);
            return Outcome::Stay(Verdict::ResetChallenged);
        }
        if seg.syn() {
            cx.counters.tcp_syn_challenge += 1;
            self.send_ack(AckReason::Challenge, cx);
            return Outcome::Stay(Verdict::SynChallenged);
        }
        if !seg.has_ack() {
            cx.counters.tcp_no_acks += 1;
            return Outcome::Stay(Verdict::NoAck);
        }
        if seg.ack != self.iss.add(1) {
            cx.counters.tcp_bad_acks += 1;
            closed::refuse(self.quad, State::SynReceived, seg, RstReason::BadAck, cx);
            return Outcome::Stay(Verdict::AckTooHigh);
        }
        if seg.is_empty() && seg.seq == rcv.nxt && self.timeouts() < socket.defer_accept.min(15) {
            self.acknowledged(cx.now);
            cx.counters.tcp_defer_accept_drop += 1;
            return Outcome::Stay(Verdict::AcceptDeferred);
        }
        Outcome::Establish
    }

    /// The connection this request has become, still in SYN-RECEIVED: the segment that completes the handshake
    /// is to be shown to it next. `mss` is what the path carries.
    pub fn establish(&self, options: Arc<SocketOptions>, mss: u16, cx: &mut Context<'_>) -> Box<Tcb> {
        let mss = mss.min(self.peer_mss);
        // It is large, and is not moved from here on.
        let mut tcb = Box::new(Tcb::new(self.quad, State::Listen, self.iss, options, mss, cx));
        tcb.snd.peer_mss = self.peer_mss;
        tcb.transition(Event::Syn, cx);
        tcb.rcv = Recv::new(self.irs, u32::from(self.rcv_wnd), mss);
        tcb.is.insert(Is::PASSIVE);
        tcb.is.set(Is::SACK, self.agreed.contains(Agreed::SACK));
        if self.agreed.contains(Agreed::SCALE) {
            tcb.is.insert(Is::SCALED);
            tcb.snd.scale = self.their_scale();
            tcb.rcv.scale = self.our_scale();
        }
        if self.agreed.contains(Agreed::TIMESTAMPS) {
            tcb.timestamps.enable(self.ts_recent, cx.now);
        }
        tcb.ecn = Ecn::from_promise(self.agreed.ecn(), self.retransmits(), self.iss, cx.config, cx.now);
        let smss = tcb.smss();
        if self.retransmits() > 1 {
            // RFC 5681 §3.1, relaxed by RFC 6928 §2 for a SYN,ACK that was lost once.
            tcb.congestion = Congestion::new(tcb.options.congestion, smss, 1, cx.config);
        } else {
            tcb.congestion.set_mss(smss);
        }
        tcb.begin_l4s(cx);
        tcb.rcv.mss = smss as u16;
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.2
        //= id=STEP-3.10.7.2-5
        //# SND.NXT is set to ISS+1 and SND.UNA to ISS.
        tcb.snd.nxt = self.iss.add(1);
        tcb.snd.up = tcb.snd.nxt;
        let ago = self.round_trip(cx.now);
        if self.is_acknowledged() {
            // What comes now echoes our SYN,ACK, as nothing else was sent: that says how long the peer had nothing to say.
            tcb.timed_out = cx.now;
        }
        if self.agreed.contains(Agreed::COOKIE) {
            // When it was sent, and how often, was not kept.
        } else if self.retransmits() == 0 {
            // Karn: only a SYN,ACK sent once can be timed.
            tcb.timed = Some(tcb.snd.nxt);
            tcb.timed_since = cx.now - ago;
        } else {
            tcb.is.insert(Is::SYN_TIMED_OUT);
            tcb.count_timeouts_before(self.retransmits(), ago.saturating_sub(cx.config.initial_rto));
        }
        tcb
    }
}

/// What the path carries, or what the program limits segments to (`TCP_MAXSEG`).
pub fn limit_segment(mss: u16, options: &SocketOptions) -> u16 {
    match options.max_segment {
        0 => mss,
        limit => mss.min(limit),
    }
}

/// The MSS to tell a peer: what the device's MTU leaves for text and options (RFC 9293 §3.7.1, RFC 6691), or
/// what the program limits it to.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
//# The MSS value to be sent in an MSS Option must be less than or equal to: MMS_R - 20 where MMS_R is the
//# maximum size for a transport-layer message that can be received (and reassembled at the IP layer)
//# (MUST-67).
pub fn mss_to_offer(local: IpAddr, mtu: u16, options: &SocketOptions) -> u16 {
    //= https://www.rfc-editor.org/rfc/rfc8200#section-8.3
    //= id=rfc8200-8.3-2
    //# When using TCP over IPv6, the MSS must be computed as the maximum packet size minus 60 octets,
    //# because the minimum-length IPv6 header (i.e., an IPv6 header with no extension headers) is 20 octets
    //# longer than a minimum-length IPv4 header.
    let headers = if local.is_ipv4() { 40 } else { 60 };
    //= https://www.rfc-editor.org/rfc/rfc1191#section-3.1
    //= id=rfc1191-3.1-1
    //# Moreover, doing this prevents PMTU Discovery from discovering PMTUs larger than 576, so hosts SHOULD
    //# no longer lower the value they send
    limit_segment(mtu.saturating_sub(headers).max(1), options)
}

const _: () = assert!(size_of::<Request>() <= 64);
