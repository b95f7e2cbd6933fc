//! The transmission control block: the record of a connection (RFC 9293 §3.3.1), and the one writer of its
//! state.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::buffer::reassembly::Reassembly;
use super::buffer::receive::ReceiveBuffer;
use super::buffer::right_sizing::RightSizing;
use super::buffer::send::SendBuffer;
use super::congestion::Congestion;
use super::context::{Context, ControlSegment};
use super::ecn::Ecn;
use super::fast_open::Opening;
use super::limits::Limits;
use super::mishaps::Mishaps;
use super::mtu_search::Search;
use super::output::ack::Acks;
use super::pacer::Pacer;
use super::rcv::Recv;
use super::recovery::Recovery;
use super::rtt::RttEstimator;
use super::seq::{Seq, WindowScale};
use super::snd::Send;
use super::state::{Event, State};
use super::tally::Tally;
use super::timers::{Timer, TimerTable};
use super::timestamps::Timestamps;
use crate::addr::Quad;
use crate::congestion::delivery_rate::DeliveryRate;
use crate::error::Error;
use crate::memory::{Charge, Grant};
use crate::sockopt::SocketOptions;
use crate::tcp::trace::{Reason, RstReason, Variables};
use crate::time::Instant;
use crate::user_timeout::UserTimeout;

/// The record of one connection.
#[derive(Debug)]
pub struct Tcb {
    /// The two ends.
    pub quad: Quad,
    state: State,
    /// The send variables.
    pub snd: Send,
    /// The receive variables.
    pub rcv: Recv,
    /// The timestamps option.
    pub timestamps: Timestamps,
    /// The round trip estimator.
    pub rtt: RttEstimator,
    /// The segment being timed: the ACK that ends the measurement.
    pub timed: Option<Seq>,
    /// When it was sent.
    pub timed_since: Instant,
    /// When the retransmission timer last ran out.
    pub timed_out: Instant,
    /// How much may be in flight.
    pub congestion: Congestion,
    /// What is to be sent again.
    pub recovery: Recovery,
    /// Explicit congestion notification.
    pub ecn: Ecn,
    /// How fast the network delivers.
    pub rate: DeliveryRate,
    /// When bursts leave, once the connection is paced.
    pub(super) pacer: Option<Box<Pacer>>,
    /// The timers.
    pub timers: TimerTable,
    /// What the program has written and the peer has not acknowledged.
    pub send_buffer: SendBuffer,
    /// What has arrived in order and the program has not read.
    pub receive_buffer: ReceiveBuffer,
    /// How large the receive buffer has to be, once text has arrived.
    pub(super) right_sizing: Option<Box<RightSizing>>,
    /// What has arrived out of order.
    pub reassembly: Reassembly,
    /// What acknowledgments are owed.
    pub acks: Acks,
    /// What the program asked for; most connections of a program ask for the same.
    pub options: Arc<SocketOptions>,
    /// When SND.UNA last moved, or data began to be outstanding, or the peer last answered a probe: what
    /// R2 and the user timeout count from.
    pub progress: Instant,
    /// When the peer was last heard: what keep-alive counts from.
    pub heard: Instant,
    /// When data was last sent: what the restart after idle counts from.
    pub sent: Instant,
    /// When the congestion window was last full, or cut down because it was not.
    pub cwnd_used: Instant,
    /// Why the connection ended, until the program has been told.
    pub error: Option<Error>,
    /// The next segment that must leave although no rule of sending asks for it.
    pub probe: Option<Reason>,
    /// The MSS we tell the peer on our SYN.
    pub mss_offered: u16,
    /// REMOTE_UTO: what the peer last advertised (RFC 5482 §3.1).
    pub peer_user_timeout: Option<UserTimeout>,
    /// What ICMP reported softly, or that R1 was reached: the reason given if the connection times out (RFC 9293
    /// MUST-56).
    pub soft_error: Option<Error>,
    /// Keep-alive probes sent in a row without an answer.
    pub keepalives: u8,
    /// Window probes sent in a row.
    pub window_probes: u8,
    /// The urgent octet, once it is here.
    pub urgent_octet: u8,
    /// What it holds, as it is in the stack's books.
    pub(crate) charge: Charge,
    /// Memory that is kept for what the program may write, since it was told that it can.
    pub(crate) grant: Option<Grant>,
    /// Properties that are either so or not.
    pub is: Is,
    /// What it has counted.
    pub tally: Tally,
    /// What has limited it, once it had something to send.
    pub limits: Option<Box<Limits>>,
    /// What has gone wrong, if anything has.
    pub(super) mishaps: Option<Box<Mishaps>>,
    /// What Fast Open has to do with it, if it has (RFC 7413).
    pub(in crate::tcp) fast_open: Option<Box<Opening>>,
    /// The search for what the path carries, where there is one.
    pub mtu: Option<Box<Search>>,
}

bitflags::bitflags! {
    /// What is so of a connection.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Is: u32 {
        /// The program has closed its sending side: a FIN follows the data.
        const FIN_QUEUED = 1 << 0;
        /// The peer has acknowledged our FIN.
        const FIN_ACKED = 1 << 1;
        /// The program has shut down its receiving side.
        const SHUT_READ = 1 << 2;
        /// No program holds it any more.
        const ORPHAN = 1 << 3;
        /// Both sides sent SACK-permitted.
        const SACK = 1 << 4;
        /// It began with a passive open.
        const PASSIVE = 1 << 5;
        /// The peer's window fields are scaled, and so are ours.
        const SCALED = 1 << 6;
        /// The override timer ran out: what there is leaves, silly or not (§3.8.6.2.1).
        const OVERRIDE = 1 << 7;
        /// RCV.UP points behind urgent data that the reader has not passed.
        const URGENT = 1 << 8;
        /// The handshake took a retransmission of the SYN (RFC 6298 §5.7).
        const SYN_TIMED_OUT = 1 << 9;
        /// The peer's FIN has been taken, in order.
        const PEER_CLOSED = 1 << 10;
        /// The urgent octet has come and has not been taken.
        const URGENT_HERE = 1 << 11;
        /// The urgent octet has been taken apart from the stream.
        const URGENT_TAKEN = 1 << 12;
        /// The program had shut down the sending side before there was a connection: it may not write, but no FIN is
        /// due.
        const SHUT_WRITE = 1 << 13;
        /// The last write said that more is coming: what does not fill a segment waits for it.
        const MORE = 1 << 14;
        /// The congestion window was full when it was last judged.
        const CWND_LIMITED = 1 << 15;
        /// A program has more to write than there was room for.
        const NO_SPACE = 1 << 16;
        /// The program had it before the handshake was done (RFC 7413).
        const OPEN_EARLY = 1 << 17;
        /// The next segment that is no SYN tells the peer our user timeout (RFC 5482).
        const TELL_USER_TIMEOUT = 1 << 18;
        /// Memory was short when it was last looked at.
        const PRESSED = 1 << 19;
        /// Text of the peer's was thrown away for want of memory: it is told a window of zero until there is some.
        const STARVED = 1 << 20;
        /// The program could not write for want of memory.
        const CANNOT_WRITE = 1 << 21;
        /// It waits for memory to receive.
        const AWAITS_TO_RECEIVE = 1 << 22;
        /// It waits for memory to send.
        const AWAITS_TO_SEND = 1 << 23;
        /// Memory for what programs write was short when it was last looked at.
        const PRESSED_TO_SEND = 1 << 24;
        /// What does not fill a run is held back for a moment: more of the same is expected.
        const HOLDS = 1 << 25;
        /// Slow start ended with a loss while round trips were long: its queue may have run over.
        const SUSPECTS_OVERFLOW = 1 << 26;
        /// What is sent again was lost to no congestion: the window has not come down for it.
        const UNREDUCED = 1 << 27;
    }
}

impl Tcb {
    /// A connection about to be opened actively: SYN-SENT, with the SYN not sent yet (§3.10.1).
    /// `mss` is the largest segment the path carries, options included.
    pub fn connect(quad: Quad, options: Arc<SocketOptions>, mss: u16, cx: &mut Context<'_>) -> Self {
        let iss = cx.keys.isn(&quad, cx.now);
        let mut tcb = Self::new(quad, State::Closed, iss, options, mss, cx);
        cx.counters.tcp_active_opens += 1;
        tcb.rcv.scale = tcb.scale_to_offer(cx);
        tcb.transition(Event::ActiveOpen, cx);
        tcb
    }

    pub(super) fn new(
        quad: Quad,
        state: State,
        iss: Seq,
        options: Arc<SocketOptions>,
        mss: u16,
        cx: &Context<'_>,
    ) -> Self {
        let now = cx.now;
        Self {
            quad,
            state,
            snd: Send::new(iss, mss),
            rcv: Recv::new(Seq::new(0).sub(1), options.first_window(mss).into(), 536),
            timestamps: Timestamps::new(cx.keys.timestamp_offset(&quad)),
            rtt: RttEstimator::with_max(cx.config.initial_rto, cx.config.max_rto),
            timed: None,
            timed_since: Instant::ZERO,
            timed_out: Instant::ZERO,
            congestion: Congestion::new(
                options.congestion,
                u32::from(mss),
                cx.config.initial_window,
                cx.config,
            ),
            recovery: Recovery::new(iss, cx.config.reordering),
            ecn: Ecn::new(),
            rate: DeliveryRate::new(),
            pacer: None,
            timers: TimerTable::new(),
            send_buffer: SendBuffer::new(),
            receive_buffer: ReceiveBuffer::new(),
            right_sizing: None,
            reassembly: Reassembly::new(),
            acks: Acks::new(cx.config.quick_acks),
            options,
            progress: now,
            heard: now,
            sent: now,
            cwnd_used: now,
            error: None,
            probe: None,
            mss_offered: mss,
            peer_user_timeout: None,
            soft_error: None,
            keepalives: 0,
            window_probes: 0,
            urgent_octet: 0,
            charge: Charge::default(),
            grant: None,
            is: Is::empty(),
            tally: Tally::new(now),
            limits: None,
            mishaps: None,
            fast_open: None,
            mtu: None,
        }
    }

    /// The window scale we offer on a SYN.
    pub(super) fn scale_to_offer(&self, cx: &Context<'_>) -> WindowScale {
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
        //= id=rfc7323-2.3-2
        //# The Window Scale option MUST be sent with shift.cnt = R, where R is the value that the TCP would
        //# like to use for its receive window.
        if cx.config.window_scaling { self.options.window_scale(cx.config) } else { WindowScale::ZERO }
    }

    /// Its state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Moves along an arrow of Figure 5. There is no other way to change the state.
    ///
    /// An event that has no arrow from here is a mistake of ours, not of the peer's: it panics in debug
    /// builds and changes nothing in others.
    pub fn transition(&mut self, event: Event, cx: &mut Context<'_>) {
        let Some(to) = self.state.on(event) else {
            debug_assert!(false, "no arrow from {} on {event}", self.state);
            return;
        };
        let counted = |s: State| matches!(s, State::Established | State::CloseWait);
        match (counted(self.state), counted(to)) {
            (false, true) => cx.counters.tcp_curr_estab += 1,
            (true, false) => cx.counters.tcp_curr_estab = cx.counters.tcp_curr_estab.saturating_sub(1),
            _ => {}
        }
        if to == State::Closed {
            match self.state {
                State::SynSent | State::SynReceived => cx.counters.tcp_attempt_fails += 1,
                State::Established | State::CloseWait => cx.counters.tcp_estab_resets += 1,
                _ => {}
            }
            self.timers.cancel_all();
        }
        if matches!(to, State::Closed | State::TimeWait) {
            self.fast_open_over(event, cx);
        }
        self.state = to;
    }

    /// Ends the connection without a word to the peer, for a reason the program will be told.
    pub fn fail(&mut self, error: Error, event: Event, cx: &mut Context<'_>) {
        self.error = Some(error);
        self.transition(event, cx);
        self.send_buffer.clear();
        self.reassembly.clear();
        self.probe = None;
        if self.is.contains(Is::ORPHAN) {
            self.receive_buffer.clear();
        }
    }

    /// Ends the connection with a reset to the peer (§3.10.5 and where else a reset is due).
    pub fn reset(&mut self, error: Error, event: Event, reason: RstReason, cx: &mut Context<'_>) {
        if self.state.is_synchronized() || self.state == State::SynReceived {
            let (at, ack) = (self.acceptable_seq(), self.rcv.nxt);
            let segment = ControlSegment::reset_ack(self.quad, self.state, at, ack, reason);
            self.send_reset(segment, event, cx);
        }
        self.fail(error, event, cx);
    }

    /// The same in answer to a segment that acknowledges `ack`: `<SEQ=SEG.ACK><CTL=RST>`, as where there is no connection
    /// (§3.10.7.1).
    pub fn reset_at(
        &mut self,
        ack: Seq,
        error: Error,
        event: Event,
        reason: RstReason,
        cx: &mut Context<'_>,
    ) {
        let segment = ControlSegment::reset(self.quad, self.state, ack, reason);
        self.send_reset(segment, event, cx);
        self.fail(error, event, cx);
    }

    /// The sequence number of a segment without text: SND.NXT, or the edge of a window that has been probed
    /// or has shrunk. Beyond it the peer's first check (§3.10.7.4) throws the segment away, and with it the ACK.
    ///
    /// A scaled window is told rounded down, so its edge may go back by less than a unit behind what the peer has taken
    /// (RFC 7323 §2.4): from there on it knows the octets already, and would throw the ACK away as well. Where both ends do,
    /// neither hears of the other's window any more. The price: a peer that has dropped what is beyond its edge, by less than a
    /// unit, takes none of our ACKs before that is sent again, or a probe is.
    pub(super) fn acceptable_seq(&self) -> Seq {
        let beyond = self.snd.nxt.saturating_since(self.snd.edge());
        // Of a closed window that was probed nobody knows here whether the octet was taken.
        let probed = self.snd.wnd == 0 && self.window_probes > 0;
        let rounded = !probed && beyond < self.snd.scale.octets(1);
        if self.syn_unacked() || beyond == 0 || rounded { self.snd.nxt } else { self.snd.edge() }
    }

    fn send_reset(&self, mut segment: ControlSegment, event: Event, cx: &mut Context<'_>) {
        if self.timestamps.enabled() {
            //= https://www.rfc-editor.org/rfc/rfc7323#section-5.2
            //= id=rfc7323-5.2-4
            //# If an <RST> is being generated because of a user abort, and Snd.TS.OK is set, then a Timestamps
            //# option SHOULD be included in the <RST>.
            segment.options.timestamps = Some(self.timestamps.option(cx.now));
        }
        segment.flags |= self.ecn.flags();
        segment.variables = Some(self.variables());
        segment.hop_limit = self.options.hop_limit;
        segment.traffic_class = self.options.traffic_class;
        segment.state = self.state.on(event).unwrap_or(self.state);
        cx.send(segment);
    }

    /// The sequence number of the first octet in the send buffer.
    pub const fn data_start(&self) -> Seq {
        if self.syn_unacked() { self.snd.iss.add(1) } else { self.snd.una }
    }

    /// The sequence number after the last octet in the send buffer: that of our FIN.
    pub fn data_end(&self) -> Seq {
        self.data_start().add(self.send_buffer.len() as u32)
    }

    /// Our SYN is not acknowledged yet.
    pub const fn syn_unacked(&self) -> bool {
        matches!(self.state, State::SynSent | State::SynReceived)
    }

    /// A FIN is due or on its way, and not acknowledged.
    pub const fn fin_due(&self) -> bool {
        self.is.contains(Is::FIN_QUEUED) && !self.is.contains(Is::FIN_ACKED)
    }

    /// Our FIN has been sent and is not acknowledged.
    pub fn fin_outstanding(&self) -> bool {
        self.fin_due() && self.snd.nxt.after(self.data_end())
    }

    /// There is data or a FIN that has never been sent.
    pub fn has_unsent(&self) -> bool {
        let end = self.data_end();
        self.snd.nxt.before(end) || (self.fin_due() && self.snd.nxt == end)
    }

    /// Sequence numbers that have been handed over and never sent: octets, and one for a FIN.
    pub fn unsent(&self) -> usize {
        let text = self.data_end().saturating_since(self.snd.nxt);
        text as usize + usize::from(self.fin_due() && !self.fin_outstanding())
    }

    /// The congestion window as it stands, octets: what the algorithm says, or recovery where it brings it down.
    pub fn cwnd(&self) -> u32 {
        self.recovery.cwnd().unwrap_or_else(|| self.congestion.cwnd())
    }

    /// Octets in flight.
    pub fn in_flight(&self) -> u32 {
        self.recovery.in_flight(&self.snd).saturating_sub(self.early_syn())
    }

    /// The largest text that fits a segment beside `options_len` octets of options: Eff.snd.MSS (§3.7.1).
    pub const fn effective_mss(&self, options_len: usize) -> u32 {
        //= https://www.rfc-editor.org/rfc/rfc8201#section-5.4
        //= id=rfc8201-5.4-1
        //# A packetization layer (e.g., TCP) must use the PMTU for the path(s) in use by a connection; it
        //# should not send segments that would result in packets larger than the PMTU, except to probe during
        //# PMTU Discovery (this probe packet must not be fragmented to the PMTU).
        //= https://www.rfc-editor.org/rfc/rfc4821#section-7.1
        //= id=rfc4821-7.1-1
        //= https://www.rfc-editor.org/rfc/rfc4821#section-8
        //= id=rfc4821-8-1
        let mss = (self.snd.mss as u32).saturating_sub(options_len as u32);
        if mss == 0 { 1 } else { mss }
    }

    /// Eff.snd.MSS with the options that every segment carries: SMSS.
    pub const fn smss(&self) -> u32 {
        self.effective_mss(if self.timestamps.enabled() { 12 } else { 0 })
    }

    /// The variables as they stand.
    pub fn variables(&self) -> Variables {
        Variables {
            iss: self.snd.iss,
            una: self.snd.una,
            snd_nxt: self.snd.nxt,
            snd_wnd: self.snd.wnd,
            irs: self.rcv.irs,
            rcv_nxt: self.rcv.nxt,
            rcv_wnd: self.rcv.wnd,
            cwnd: self.cwnd().saturating_add(self.recovery.inflation()),
            ssthresh: self.congestion.ssthresh(),
            srtt: self.rtt.srtt(),
            rto: self.rtt.rto(),
            in_flight: self.in_flight(),
            dup_acks: self.recovery.dup_acks(),
            recovery: self.recovery.phase().text(),
        }
    }

    /// CLOSE (§3.10.4) of the sending side: a FIN follows what has been written. In SYN-SENT and CLOSED
    /// there is nothing to end in order, and the record is deleted.
    pub fn close_send(&mut self, cx: &mut Context<'_>) {
        if self.is.contains(Is::FIN_QUEUED) || self.state.on(Event::Close).is_none() {
            return;
        }
        if self.state == State::SynSent {
            self.transition(Event::Close, cx);
            self.send_buffer.clear();
            return;
        }
        self.is.insert(Is::FIN_QUEUED);
        // CLOSE pushes what was written (§3.9.1.4).
        self.push();
        // In SYN-RECEIVED it is queued until the handshake is done: before, nothing of ours may follow the SYN.
        if self.state != State::SynReceived {
            self.transition(Event::Close, cx);
        }
    }

    /// No program holds the connection any more. It lives on to deliver what was written, but a FIN-WAIT-2
    /// that nobody reads must end (sysctl `tcp_fin_timeout`).
    pub fn orphan(&mut self, cx: &mut Context<'_>) {
        self.is.insert(Is::ORPHAN | Is::SHUT_READ);
        self.receive_buffer.clear();
        if self.state == State::FinWait2 {
            self.timers.arm(Timer::FinWait2, cx.now + self.options.fin_wait_2_timeout);
        }
    }

    /// Whether these options differ from those it has only in what says nothing of how what there is leaves: what closing does,
    /// and Nagle's rule while nothing waits to be sent.
    pub fn is_quiet_change(&self, options: &SocketOptions) -> bool {
        let SocketOptions { nodelay, linger, .. } = *options;
        !self.has_unsent() && SocketOptions { nodelay, linger, ..*self.options } == *options
    }

    /// The program changed what it asks for.
    pub fn set_options(&mut self, options: Arc<SocketOptions>, cx: &mut Context<'_>) {
        let gave_up = self.give_up_after(cx.config);
        let before = core::mem::replace(&mut self.options, options);
        let options = &self.options;
        if before.congestion != options.congestion {
            self.congestion.change(options.congestion, self.smss(), cx.config);
        }
        // Taking away the cork, or Nagle's rule, lets go what they held.
        let released = (before.cork && !options.cork) || (!before.nodelay && options.nodelay);
        if released && self.has_unsent() {
            self.is.insert(Is::OVERRIDE);
        }
        self.user_timeout_set(&before, gave_up, cx);
        self.keepalive_changed(cx);
    }

    /// ICMP says that a segment in flight came to grief. Hard, it ends an attempt to connect; a connection
    /// that stands bears it (RFC 5927 §5.2), unless it was decided otherwise, and names it if it times out.
    pub fn on_network_error(&mut self, error: Error, hard: bool, cx: &mut Context<'_>) {
        if hard && (self.syn_unacked() || cx.config.abort_on_hard_icmp) {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
            //= id=SHLD-26
            //# SHOULD abort the connection (SHLD-26).
            self.syn_text_unreachable(cx);
            self.fail(error, Event::Abort, cx);
        } else {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
            //# Since these Unreachable messages indicate soft error conditions, a TCP implementation MUST
            //# NOT abort the connection (MUST-56)
            self.soft_error = Some(error);
        }
    }

    /// The path now carries segments of `mss` octets, options included. Lowered, what is outstanding is sent
    /// again in smaller pieces (RFC 1191 §6.5).
    //= https://www.rfc-editor.org/rfc/rfc7323#section-5.7
    //= id=rfc7323-5.7-1
    //# Setting the DF bit implies the use of Path MTU Discovery as described in [RFC1191], [RFC1981], and
    //# [RFC4821]; thus, any TCP implementation that implements PAWS MUST also implement Path MTU Discovery.
    pub fn path_mss(&mut self, mss: u16, now: Instant) {
        //= https://www.rfc-editor.org/rfc/rfc1191#section-6.3
        //= id=rfc1191-6.3-1
        //# An upper layer MUST not retransmit datagrams in response to an increase in the PMTU estimate, since
        //# this increase never comes in response to an indication of a dropped datagram.
        //= https://www.rfc-editor.org/rfc/rfc1191#section-6.4
        //= id=rfc1191-6.4-1
        //# Note: One MUST not retransmit in response to every Datagram Too Big message, since a burst of
        //# several oversized segments will give rise to several such messages and hence several retransmissions
        //# of the same data.
        self.bound_mtu_search(mss);
        if mss >= self.snd.mss {
            return;
        }
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //= id=rfc8201-4-5
        //# After receiving a Packet Too Big message, a node must attempt to avoid eliciting more such messages
        //# in the near future.
        //= https://www.rfc-editor.org/rfc/rfc8201#section-4
        //= id=rfc8201-4-6
        //# The node must reduce the size of the packets it is sending along the path.
        //= https://www.rfc-editor.org/rfc/rfc8201#section-5.4
        //= id=rfc8201-5.4-3
        //# The packet size used in the retransmission should be no larger than the new PMTU.
        //= https://www.rfc-editor.org/rfc/rfc1191#section-3
        //= id=rfc1191-3-2
        //# We do require that after receiving a Datagram Too Big message, a host MUST attempt to avoid
        //# eliciting more such messages in the near future.
        self.change_mss(mss, now);
        self.syn_text_too_big();
        if self.state.is_synchronized() {
            //= https://www.rfc-editor.org/rfc/rfc8201#section-5.2
            //= id=rfc8201-5.2-9
            //# Also, the instance that sent the packet that elicited the Packet Too Big message should be notified
            //# that its packet has been dropped, even if the PMTU estimate has not changed, so that it may
            //# retransmit the dropped data.
            //= https://www.rfc-editor.org/rfc/rfc8201#section-5.2
            //= id=rfc8201-5.2-11
            //# The latter should be done as soon as practical (i.e., asynchronously from the point of view of the
            //# packetization layer instance), while the former may be delayed until a packetization layer instance
            //# wants to create a packet.
            self.lost_to_path_mtu();
            self.timed = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_budget() {
        assert!(size_of::<Tcb>() <= 712, "Tcb is {} octets", size_of::<Tcb>());
    }
}
