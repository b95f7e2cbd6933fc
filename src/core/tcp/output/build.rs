//! From a reason to a segment: header, options, and the run of text; and what its leaving changes.

use super::decide::Plan;
use crate::seq::{Seq, SeqRange};
use crate::tcp::buffer::send::Place;
use crate::tcp::congestion::CongestionEvent;
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::state::State;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::timers::Timer;
use crate::tcp::trace::Reason;
use crate::wire::flags::Flags;
use crate::wire::ip::Ecn;
use crate::wire::options::{MAX_OPTIONS_LEN, Options};
use crate::wire::tcp::Header;

/// A segment that leaves; its text lies in the send buffer.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The fixed header.
    pub header: Header,
    /// The options.
    pub options: Options,
    /// The ECN field of the packet that it leaves in.
    pub ecn: Ecn,
    /// Where its text begins in the send buffer, octets from the front.
    pub offset: usize,
    /// Where that is, if it was looked for.
    pub place: Option<Place>,
    /// Octets of text.
    pub len: usize,
    /// Not 0: it stands for several segments, each with so many octets of text but the last, which may have fewer.
    pub gso_size: u16,
    /// Why it leaves.
    pub reason: Reason,
}

/// Octets of sequence space of the last segment of `plan`, whose segments have `mss` octets of text.
const fn last_segment(plan: Plan, mss: u32) -> u32 {
    (if plan.len == 0 { 0 } else { (plan.len - 1) % mss + 1 }) + plan.fin as u32
}

impl Tcb {
    /// The next segment to send, until there is none.
    pub fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Option<Outgoing> {
        if self.can_send_nothing() {
            return self.nothing_leaves(cx);
        }
        self.restart_after_idle(cx);
        self.before_departure(cx.now);
        let text = self.poll_predicted_text(cx);
        if text.is_some() {
            return text;
        }
        self.tend_mtu_search(cx);
        let Some(mut plan) = self.decide() else { return self.nothing_leaves(cx) };
        let mss = self.effective_mss(self.options_len());
        self.join(&mut plan, mss, cx);
        // The send buffer may hold the text in more pieces than one packet is gathered from.
        let offset = plan.seq.saturating_since(self.data_start()) as usize;
        let whole = self.send_buffer.in_reach(offset, plan.len as usize) as u32;
        if whole < plan.len {
            plan.len = if whole > mss { whole - whole % mss } else { whole };
            plan.fin = false;
        }
        // A probe is one segment, for all its size.
        let segment = if plan.reason == Reason::MtuProbe { plan.len.max(mss) } else { mss };
        let pushes = self.pushes(plan, mss, cx);
        let mut outgoing = self.build(plan, pushes.0, cx);
        if plan.len > segment {
            outgoing.gso_size = u16::try_from(segment).unwrap_or(u16::MAX);
        }
        self.has_left(plan, segment, pushes, cx);
        Some(outgoing)
    }

    /// Whether nothing is to leave behind what has just left. What is done where nothing may leave is done then, as far as its
    /// departure has not done it.
    pub fn was_all(&mut self, cx: &Context<'_>) -> bool {
        let all = self.has_sent_all();
        if all {
            self.all_has_left();
            self.note_limit(cx.now);
            #[cfg(test)]
            self.check_nothing_remains(cx);
        }
        all
    }

    /// That what is done [where nothing may leave](Self::nothing_leaves) finds nothing to do.
    #[cfg(test)]
    fn check_nothing_remains(&mut self, cx: &Context<'_>) {
        let stands =
            |tcb: &Self| alloc::format!("{:?}", (&tcb.timers, tcb.progress, &tcb.rate, tcb.is, &tcb.limits));
        let before = stands(self);
        self.arm_retransmission(cx);
        self.check_app_limited();
        self.note_limit(cx.now);
        assert_eq!(before, stands(self), "its departure has done all that is done where nothing may leave");
    }

    /// Nothing may leave now; what waits nevertheless must not wait for ever.
    fn nothing_leaves(&mut self, cx: &mut Context<'_>) -> Option<Outgoing> {
        self.arm_retransmission(cx);
        self.check_app_limited();
        self.note_limit(cx.now);
        None
    }

    /// Octets of options that a segment of data carries now.
    #[inline]
    pub(in crate::tcp) fn options_len(&self) -> usize {
        // Each segment asks several times, and mostly there is nothing to tell but the time.
        let tells = !self.reassembly.is_empty()
            || self.acks.dsack().is_some()
            || self.ecn.accurate.is_some()
            || self.is.contains(Is::TELL_USER_TIMEOUT);
        if tells {
            self.all_options_len()
        } else if self.timestamps.enabled() {
            12
        } else {
            0
        }
    }

    fn all_options_len(&self) -> usize {
        let timestamps = if self.timestamps.enabled() { 12 } else { 0 };
        let blocks = self.sack_block_count();
        let others = timestamps + self.ecn_option_len() + self.user_timeout_len();
        others + if blocks == 0 { 0 } else { 4 + 8 * blocks }
    }

    /// SACK blocks that there is reason to send.
    #[inline]
    pub(in crate::tcp) fn sack_blocks_wanted(&self) -> usize {
        // Mostly nothing is missing: each segment asks several times.
        if !self.is.contains(Is::SACK) || (self.reassembly.is_empty() && self.acks.dsack().is_none()) {
            return 0;
        }
        let held = if self.reassembly.is_empty() { 0 } else { self.reassembly.sack_blocks(4).len() };
        held + usize::from(self.acks.dsack().is_some())
    }

    #[inline]
    fn sack_block_count(&self) -> usize {
        //= https://www.rfc-editor.org/rfc/rfc2018#section-4
        //= id=rfc2018-4-1
        //# If the data receiver generates SACK options under any circumstance, it SHOULD generate them under
        //# all permitted circumstances.
        //= https://www.rfc-editor.org/rfc/rfc2018#section-4
        //= id=rfc2018-4-2
        //# If the data receiver has not received a SACK-Permitted option for a given connection, it MUST NOT
        //# send SACK options on that connection.
        let wanted = self.sack_blocks_wanted();
        if wanted == 0 { 0 } else { self.sack_blocks_that_fit(wanted) }
    }

    fn sack_blocks_that_fit(&self, wanted: usize) -> usize {
        //= https://www.rfc-editor.org/rfc/rfc2018#section-4
        //= id=rfc2018-4-6
        //# The data receiver SHOULD include as many distinct SACK blocks as possible in the SACK option.
        let timestamps = if self.timestamps.enabled() { 12 } else { 0 };
        let others = timestamps + self.ecn_option_len() + self.user_timeout_len();
        // Over the smallest path that IPv4 knows, 68 octets, few blocks fit beside an octet of text.
        let most = MAX_OPTIONS_LEN.min(usize::from(self.snd.mss).saturating_sub(1));
        wanted.min(most.saturating_sub(others + 4) / 8)
    }

    fn build(&mut self, plan: Plan, pushes: bool, cx: &mut Context<'_>) -> Outgoing {
        let syn = matches!(self.state(), State::SynSent | State::SynReceived) && plan.seq == self.snd.iss;
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.2
        //# This field may be sent in the initial connection request (i.e., in segments with the SYN control
        //# bit set) and MUST NOT be sent in other segments (MUST-65).
        let options = if syn { self.syn_options(cx) } else { self.segment_options(cx) };
        let mut flags = Flags::empty();
        flags.set(Flags::SYN, syn);
        flags.set(Flags::ACK, self.state() != State::SynSent);
        flags.set(Flags::FIN, plan.fin);
        flags.set(Flags::PSH, !syn && pushes);
        let ecn = self.mark_departure(&mut flags, &options, plan, cx);
        let mut urgent = 0;
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.5
        //= id=MUST-31
        //# A TCP implementation MUST support a sequence of urgent data of any length (MUST-31)
        if self.snd.up.after(plan.seq) && self.snd.up.since(plan.seq) <= 0xffff && plan.len > 0 {
            flags.insert(Flags::URG);
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.5
            //= id=MUST-62
            //# The urgent pointer MUST point to the sequence number of the octet following the urgent data
            //# (MUST-62).
            urgent = self.snd.up.since(plan.seq) as u16;
        }
        let offer = if syn { self.syn_window_offer() } else { self.window_offer() };
        self.rcv.wnd = self.rcv.wnd.max(offer.octets);
        Outgoing {
            header: Header {
                //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.1
                //= id=MUST-45
                //# TCP implementations MUST use the same local address that was used in those previous
                //# segments (MUST-45).
                src_port: self.quad.local.port,
                dst_port: self.quad.remote.port,
                seq: plan.seq,
                ack: if flags.contains(Flags::ACK) { self.rcv.nxt } else { Seq::new(0) },
                flags,
                window: offer.field,
                urgent,
            },
            options,
            ecn,
            offset: plan.seq.saturating_since(self.data_start()) as usize,
            place: None,
            len: plan.len as usize,
            gso_size: 0,
            reason: plan.reason,
        }
    }

    pub(in crate::tcp) fn syn_options(&self, cx: &Context<'_>) -> Options {
        let answering = self.state() == State::SynReceived;
        let mut options = Options {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
            //# TCP implementations SHOULD send an MSS Option in every SYN segment when its receive MSS
            //# differs from the default 536 for IPv4 or 1220 for IPv6 (SHLD-5)
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
            //# and MAY send it always (MAY-3)
            mss: Some(self.mss_offered),
            //= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
            //= id=rfc7323-2.2-1
            //# Thus, a TCP that is prepared to scale windows SHOULD send the option, even if its own scale factor
            //# is 1 and the exponent 0.
            window_scale: (cx.config.window_scaling && (!answering || self.is.contains(Is::SCALED)))
                .then_some(self.rcv.scale.shift()),
            sack_permitted: cx.config.sack && (!answering || self.is.contains(Is::SACK)),
            timestamps: (cx.config.timestamps && (!answering || self.timestamps.enabled()))
                .then(|| self.timestamps.option(cx.now)),
            acc_ecn: self.syn_ecn_option(cx),
            fast_open: self.fast_open_option(),
            user_timeout: self.options.user_timeout_on_syn(cx.config, self.recovery.timeouts()),
            ..Options::default()
        };
        options.make_room();
        options
    }

    fn segment_options(&self, cx: &Context<'_>) -> Options {
        //= https://www.rfc-editor.org/rfc/rfc2018#section-2
        //= id=rfc2018-2-1
        //# It MUST NOT be sent on non-SYN segments.
        let user_timeout = self.user_timeout_field(cx.config);
        let mut options = Options { acc_ecn: self.ecn_option(), user_timeout, ..Options::default() };
        if self.timestamps.enabled() {
            //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
            //= id=rfc7323-3.2-5
            //# Once TSopt has been successfully negotiated, that is both <SYN> and <SYN,ACK> contain TSopt, the
            //# TSopt MUST be sent in every non-<RST> segment for the duration of the connection, and SHOULD be sent
            //# in an <RST> segment (see Section 5.2 for details).
            options.timestamps = Some(self.timestamps.option(cx.now));
        }
        let blocks = self.sack_block_count();
        if blocks > 0 {
            // RFC 2883 §4: what came twice is told first, once.
            let first: Option<SeqRange> = self.acks.dsack();
            let held = self.reassembly.sack_blocks(4);
            //= https://www.rfc-editor.org/rfc/rfc2018#section-4
            //= id=rfc2018-4-3
            //# If sent at all, SACK options SHOULD be included in all ACKs which do not ACK the highest sequence
            //# number in the data receiver's queue.
            options.sack = first.into_iter().chain(held).take(blocks).collect();
        }
        options
    }

    /// What is planned has left, in segments of `mss` octets of text.
    fn has_left(&mut self, plan: Plan, mss: u32, pushes: (bool, bool), cx: &mut Context<'_>) {
        let syn = self.syn_unacked() && plan.seq == self.snd.iss;
        let end = plan.seq.add(plan.len + u32::from(plan.fin) + u32::from(syn));
        let again = plan.seq.before(self.snd.nxt) && end.after(plan.seq);
        let segments = plan.len.div_ceil(mss).max(1);
        self.count(plan, segments, again, cx);
        self.tally.sent(plan.len, segments, again);
        self.on_paced_departure(plan.len, cx);
        self.mtu_probe_has_left(plan, again, cx);

        if again {
            self.timed = None;
            if syn {
                self.recovery.begin_again();
            } else {
                let range = SeqRange::new(plan.seq, end.min(self.snd.nxt));
                let stamp = self.stamp(range.len(), cx.now);
                self.recovery.on_retransmit(range, self.timestamps.clock(cx.now), stamp);
                let sack = self.is.contains(Is::SACK);
                if sack && self.recovery.phase() == Phase::Recovery {
                    //= https://www.rfc-editor.org/rfc/rfc6675#section-6
                    //# Therefore, we give implementers the latitude to use the standard [RFC6298]-style RTO management
                    //# or, optionally, a more careful variant that re-arms the RTO timer on each retransmission that
                    //# is sent during recovery MAY be used.
                    // The repair of a slow start that has doubled the queue takes longer than a timeout that was reckoned
                    // with the round trips before.
                    self.timers.cancel(Timer::Rto);
                }
            }
        }
        if end.after(self.snd.nxt) {
            self.new_data_first_has_left(segments);
            // What goes with a SYN is as long as it may be, and its ACK is under way in any case.
            if !syn && !plan.len.is_multiple_of(mss) {
                self.snd.short = plan.seq.add(plan.len);
            }
            if self.snd.una == self.snd.nxt {
                self.progress = cx.now;
            }
            //= https://www.rfc-editor.org/rfc/rfc6298#section-3
            //= id=rfc6298-3-3
            //# A TCP implementation MUST take at least one RTT measurement per RTT
            if self.timed.is_none() && !again {
                // Text of a SYN may come to nothing; the SYN alone says how long the round trip was.
                self.timed = Some(if syn { plan.seq.add(1) } else { end });
                self.timed_since = cx.now;
            }
            if !syn {
                if self.acks.is_quick() && plan.len > 0 {
                    self.has_replied(cx);
                }
                let stamp = self.stamp(end.since(self.snd.nxt), cx.now);
                self.recovery.board.lend(cx.lists);
                let last = end.sub(last_segment(plan, mss)).max(self.snd.nxt);
                for range in [SeqRange::new(self.snd.nxt, last), SeqRange::new(last, end)] {
                    if !range.is_empty() {
                        self.recovery.on_send(range, mss, stamp);
                    }
                }
                if pushes.0 {
                    self.recovery.on_burst_end(pushes.1);
                }
            }
        }
        if plan.reason == Reason::TailLossProbe {
            let new = end.after(self.snd.nxt);
            self.snd.nxt = self.snd.nxt.max(end);
            self.probe_has_left(!new);
        }
        if plan.reason == Reason::LimitedTransmit {
            self.recovery.on_limited_transmit(plan.len);
        }
        if end.after(plan.seq) {
            self.snd.nxt = self.snd.nxt.max(end);
            self.judge_cwnd(self.in_flight(), cx);
            self.sent = cx.now;
            self.is.remove(Is::OVERRIDE);
        }
        if matches!(plan.reason, Reason::WindowProbe | Reason::KeepAlive | Reason::SynAck) {
            self.probe = None;
        }
        if !syn {
            self.is.remove(Is::TELL_USER_TIMEOUT);
        }
        if self.state() != State::SynSent {
            self.rcv.last_ack_sent = self.rcv.nxt;
            if self.acks.dsack().is_some() && self.is.contains(Is::SACK) {
                cx.counters.tcp_dsack_sent += 1;
            }
            self.acks.sent();
            self.timers.cancel(Timer::DelayedAck);
        }
        if end.after(plan.seq) && !again && plan.reason != Reason::TailLossProbe {
            self.schedule_probe(cx);
        }
        self.arm_retransmission(cx);
    }

    fn count(&self, plan: Plan, segments: u32, again: bool, cx: &mut Context<'_>) {
        let counters = &mut *cx.counters;
        if again && plan.reason != Reason::WindowProbe {
            counters.tcp_retrans_segs += u64::from(segments);
        } else {
            counters.tcp_out_segs += u64::from(segments);
        }
        match plan.reason {
            Reason::LimitedTransmit => counters.tcp_limited_transmit += 1,
            Reason::WindowProbe => counters.tcp_window_probes += 1,
            Reason::MtuProbe => counters.tcp_mtu_probes += 1,
            Reason::KeepAlive => counters.tcp_keepalives += 1,
            _ => {}
        }
    }

    /// A window that was earned before a long silence says nothing of the path now (RFC 5681 §4.1).
    fn restart_after_idle(&mut self, cx: &mut Context<'_>) {
        let idle = self.snd.una == self.snd.nxt && self.has_unsent() && self.state().is_synchronized();
        if idle && cx.config.slow_start_after_idle && cx.now.nanos_since(self.sent) > self.rtt.rto_nanos() {
            //= https://www.rfc-editor.org/rfc/rfc5681#section-4.1
            //= id=rfc5681-4.1-1
            //# a TCP SHOULD set cwnd to no more than RW before beginning transmission
            self.congestion.on_event(CongestionEvent::Idle, 0, cx.now);
            (self.sent, self.cwnd_used) = (cx.now, cx.now);
        }
    }
}
