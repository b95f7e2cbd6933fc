//! Fifth, check the ACK field.

use core::ops::ControlFlow::{Break, Continue};

use super::Step;
use super::closed;
use crate::seq::Seq;
use crate::tcp::congestion::Congestion;
use crate::tcp::context::Context;
use crate::tcp::response::news::News;
use crate::tcp::segment::Segment;
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::timers::Timer;
use crate::tcp::trace::{AckReason, RstReason, Verdict};
use crate::time::{Duration, nanos};
use crate::wire::options::Timestamps;

/// The clock of timestamps ticks in milliseconds: so many nanoseconds.
const TICK: u64 = nanos(Duration::from_millis(1));

impl Tcb {
    pub(super) fn fifth_check_ack(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> Step {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-13
        //# if the ACK bit is off, drop the segment and return
        //= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
        //= id=rfc7323-3.2-4
        //# When the ACK bit is not set, the receiver MUST ignore the value of the TSecr field.
        if !seg.has_ack() {
            cx.counters.tcp_no_acks += 1;
            return Break(Verdict::NoAck);
        }
        // The first ACK duplicates none, though text is outstanding that left before it (RFC 7413).
        let first = self.state() == State::SynReceived;
        if first {
            if !(seg.ack.after(self.snd.una) && seg.ack.at_or_before(self.snd.nxt)) {
                cx.counters.tcp_bad_acks += 1;
                //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
                //= id=STEP-3.10.7.4-15
                //# If the segment acknowledgment is not acceptable, form a reset segment
                //# <SEQ=SEG.ACK><CTL=RST>
                closed::refuse(self.quad, self.state(), seg, RstReason::BadAck, cx);
                return Break(Verdict::AckTooHigh);
            }
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=STEP-3.10.7.4-14
            //# If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state and continue processing with
            //# the variables below set to:
            self.transition(Event::AckOfSyn, cx);
            self.syn_acknowledged(seg.ack, seg.timestamps(), cx);
            self.syn_text_answered(seg.ack, cx);
            self.snd.wnd = self.snd.scale.octets(seg.window);
            self.snd.max_wnd = self.snd.max_wnd.max(self.snd.wnd);
            self.snd.wl1 = seg.seq;
            self.snd.wl2 = seg.ack;
        }

        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-19
        //# If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the segment,
        //# and return.
        if seg.ack.after(self.snd.nxt) {
            cx.counters.tcp_bad_acks += 1;
            self.challenge(AckReason::Challenge, cx);
            return Break(Verdict::AckTooHigh);
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //# blind data injection attack, and mitigation that implementations MAY choose to include (MAY-12)
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=rfc9293-3.10.7.4-6
        //# TCP stacks that implement RFC 5961 MUST add an input check that the ACK value is acceptable only
        //# if it is in the range of ((SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT).
        // RFC 5961 §5.2: what lies further back than the largest window cannot be a late duplicate.
        //= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
        //= id=rfc5961-5.2-1
        //# TCP stacks that implement this mitigation MUST add an additional input check to any incoming
        //# segment.
        if self.snd.una.saturating_since(seg.ack) > self.snd.max_wnd {
            cx.counters.tcp_bad_acks += 1;
            self.challenge(AckReason::Challenge, cx);
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=rfc9293-3.10.7.4-7
            //# All incoming segments whose ACK value doesn't satisfy the above condition MUST be discarded
            //# and an ACK sent back.
            //= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
            //= id=rfc5961-5.2-2
            //# All incoming segments whose ACK value doesn't satisfy the above condition MUST be discarded and an
            //# ACK sent back.
            return Break(Verdict::AckTooOld);
        }

        let before = self.snd.wnd;
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
        //= id=rfc7323-2.3-4
        //# The window field (SEG.WND) in the header of every incoming segment, with the exception of <SYN>
        //# segments, MUST be left-shifted by Snd.Wind.Shift bits before updating SND.WND
        let window = self.snd.scale.octets(seg.window);
        let mut news = self.news(seg);
        news.duplicate = self.is_duplicate_ack(seg, window) && !(first && seg.options.sack.is_empty());
        self.take_sack_blocks(seg, &mut news, cx);
        if self.snd.una.at_or_before(seg.ack) {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=STEP-3.10.7.4-20
            //# If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated.
            // Which is newer is asked as in Linux, not by the letter: [`Send::is_fresh`](crate::tcp::snd::Send::is_fresh).
            self.snd.update_window(seg.seq, seg.ack, window);
        }
        if seg.ack.after(self.snd.una) {
            self.on_new_ack(seg.ack, seg.timestamps(), &mut news, cx);
        }
        self.take_ecn_feedback(seg, &news, cx);
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-18
        //# If the ACK is a duplicate (SEG.ACK =< SND.UNA), it can be ignored.
        // It moves nothing, but what it tells beside is taken.
        self.respond(seg.ack, &mut news, cx);
        self.tally.have_arrived(news.segments);
        self.count_repair(cx.now);
        if self.window_probes > 0 {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
            //# As long as the receiving TCP peer continues to send acknowledgments in response to the probe
            //# segments, the sending TCP peer MUST allow the connection to stay open (MUST-37).
            // Probes that are answered go on for ever (MUST-37).
            self.progress = cx.now;
        }
        if before == 0 && self.snd.wnd > 0 {
            self.window_probes = 0;
            self.timers.cancel(Timer::Persist);
            self.probe = None;
            self.lost_to_closed_window();
        } else if before > 0 && self.snd.wnd == 0 {
            // Probing begins: the wait that a silly window or a cork armed is over.
            self.timers.cancel(Timer::Persist);
        }
        self.ack_is_taken(cx);
        self.fin_may_be_acknowledged(cx);
        Continue(())
    }

    /// What an ACK has told is known: what follows for the timers, the send buffer and the account of limits.
    pub(super) fn ack_is_taken(&mut self, cx: &Context<'_>) {
        self.arm_retransmission(cx);
        self.grow_send_buffer(cx);
        self.note_limit(cx.now);
    }

    /// RFC 5681 §2, and with SACK RFC 6675 §2: the blocks themselves say that something new has arrived, so
    /// that a window which changes meanwhile does not hide it. While the window is closed, what is outstanding is
    /// a probe that was not taken: its answers say nothing about the network.
    fn is_duplicate_ack(&self, seg: &Segment<'_>, window: u32) -> bool {
        let outstanding = self.snd.una != self.snd.nxt && self.snd.wnd > 0;
        let bare = seg.is_empty() && seg.ack == self.snd.una;
        let sacked = self.is.contains(Is::SACK)
            && seg.options.sack.iter().any(|b| b.start.after(seg.ack) && b.end.at_or_before(self.snd.nxt));
        outstanding && bare && (sacked || (window == self.snd.wnd && seg.options.sack.is_empty()))
    }

    /// Our SYN has been acknowledged: the first round trip is known, and data may flow.
    pub(in crate::tcp) fn syn_acknowledged(
        &mut self,
        ack: Seq,
        timestamps: Option<Timestamps>,
        cx: &mut Context<'_>,
    ) {
        if self.recovery.timeouts() > 0 {
            self.is.insert(Is::SYN_TIMED_OUT);
        }
        if self.recovery.timeouts() > 1 {
            // RFC 5681 §3.1, relaxed by RFC 6928 §2 for a SYN that was lost once.
            self.congestion = Congestion::new(self.options.congestion, self.smss(), 1, cx.config);
        }
        self.timers.cancel(Timer::Rto);
        self.tally.established(cx.now);
        self.count_repair(cx.now);
        self.begin_user_timeout(self.recovery.timeouts());
        // A SYN,ACK that has not left yet is not needed any more.
        self.probe = None;
        self.measure(ack, timestamps, cx);
        if self.is.contains(Is::SYN_TIMED_OUT) && self.rtt.srtt().is_none() {
            self.rtt.set_rto_after_syn_timeout();
        }
        self.snd.una = self.snd.iss.add(1);
        //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
        //= id=rfc5681-3.1-4
        //# the SYN/ACK and the acknowledgment of the SYN/ACK MUST NOT increase the size of the congestion
        //# window.
        self.recovery.begin(self.snd.una, self.is.contains(Is::SACK));
        self.begin_mtu_search(cx);
        self.fit_send_buffer(cx);
        self.progress = cx.now;
        if self.options.keepalive {
            self.timers.arm(Timer::KeepAlive, cx.now + self.keepalive_time(cx.config));
        }
        if self.is.contains(Is::FIN_QUEUED) {
            // CLOSE was called in SYN-RECEIVED and waited for this (§3.10.4).
            self.transition(Event::Close, cx);
        }
    }

    /// SND.UNA < SEG.ACK =< SND.NXT.
    pub(super) fn on_new_ack(
        &mut self,
        ack: Seq,
        timestamps: Option<Timestamps>,
        news: &mut News,
        cx: &mut Context<'_>,
    ) {
        self.measure(ack, timestamps, cx);
        news.advanced = self.move_una(ack, cx);
        self.take_acknowledged(news, cx.now);
        self.recovery.board.give_back(cx.lists);
    }

    /// SND.UNA moves to `ack`; says how far, octets.
    pub(super) fn move_una(&mut self, ack: Seq, cx: &mut Context<'_>) -> u32 {
        let acked = ack.since(self.snd.una);
        let fin = self.fin_outstanding() && ack.after(self.data_end());
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-17
        //# Any segments on the retransmission queue that are thereby entirely acknowledged are removed.
        //= https://www.rfc-editor.org/rfc/rfc2018#section-8
        //= id=rfc2018-8-4
        //# Since the data receiver may later discard data reported in a SACK option, the sender MUST NOT
        //# discard data before it is acknowledged by the Acknowledgment Number field in the TCP header.
        //= https://www.rfc-editor.org/rfc/rfc6675#section-4
        //= id=rfc6675-4-2
        self.send_buffer.advance((acked - u32::from(fin)) as usize, cx.spares);
        self.tally.octets_acked += u64::from(acked - u32::from(fin));
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
        //= id=STEP-3.10.7.4-16
        //# If SND.UNA < SEG.ACK =< SND.NXT, then set SND.UNA <- SEG.ACK.
        self.snd.una = ack;
        // Left behind, it would seem to lie ahead after 2³¹ octets.
        self.snd.up = self.snd.up.max(ack);
        self.snd.short = self.snd.short.max(ack);
        self.snd.pushed = self.snd.pushed.max(ack);
        self.pass_runs(ack);
        self.snd.peak.1 = self.snd.peak.1.max(ack);
        if fin {
            self.is.insert(Is::FIN_ACKED);
        }
        // What a write with `MSG_MORE` left over has waited for company long enough.
        self.is.remove(Is::MORE);
        self.progress = cx.now;
        self.soft_error = None;
        // What a probe brings into room that the window did not tell of opens none: the next is as far off as it would
        // have been (RFC 9293 §3.8.6.1, SHLD-30). With the last octet probing ends: what is written later waits anew.
        if self.snd.wnd > 0 || ack == self.snd.nxt && !self.has_unsent() {
            self.window_probes = 0;
        }
        acked
    }

    /// Takes a round trip sample if there is an honest one: the timed segment where nothing was sent again
    /// since (Karn), the echoed timestamp otherwise (RFC 6298 §3, RFC 7323 §4.1).
    ///
    /// An echo from before the last time-out is not honest. Where the ACK was lost, not the data, many receivers
    /// answer what we send again with the echo of what came first, and our own waiting would count as round trip:
    /// the next time-out is longer for it, and the one after that.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.1
    //# The RTO MUST be computed according to the algorithm in [10], including Karn's algorithm for taking
    //# RTT samples (MUST-18).
    pub(super) fn measure(&mut self, ack: Seq, timestamps: Option<Timestamps>, cx: &Context<'_>) {
        //= https://www.rfc-editor.org/rfc/rfc6298#section-3
        //= id=rfc6298-3-1, rfc6298-3-2
        let (rtt, samples) = match self.timed {
            Some(end) if ack.at_or_after(end) => {
                self.timed = None;
                (cx.now.nanos_since(self.timed_since), 1)
            }
            // Without timestamps what is acknowledged tells, as far as it was sent once; again with a part of the weight.
            _ if !self.timestamps.enabled() && !self.syn_unacked() => {
                match self.recovery.board.round_trip(ack, cx.now) {
                    Some(rtt) => (nanos(rtt), self.in_flight().div_ceil(2 * self.smss())),
                    None => return,
                }
            }
            Some(_) => return,
            None => {
                let rtt = timestamps
                    .filter(|_| self.timestamps.enabled())
                    .and_then(|ts| self.timestamps.round_trip(ts.echo, cx.now))
                    .map(nanos)
                    .filter(|&rtt| rtt <= cx.now.nanos_since(self.timed_out).saturating_add(TICK));
                let Some(rtt) = rtt else { return };
                // Each ACK of what is in flight may give one: they share the weight of one (Appendix G).
                //= https://www.rfc-editor.org/rfc/rfc7323#section-4.2
                //= id=rfc7323-4.2-1
                //# When multiple RTTMs per RTT are available to update the RTT estimator, an implementation SHOULD
                //# try to adhere to the spirit of the history specified in [RFC6298].
                (rtt, self.in_flight().div_ceil(2 * self.smss()))
            }
        };
        self.rtt.sample_nanos(rtt, cx.config.min_rto, cx.config.max_rto, samples);
    }

    /// What the acknowledgment of our FIN means in each state.
    fn fin_may_be_acknowledged(&mut self, cx: &mut Context<'_>) {
        if !self.is.contains(Is::FIN_ACKED) {
            return;
        }
        match self.state() {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=STEP-3.10.7.4-21
            //# if the FIN segment is now acknowledged, then enter FIN-WAIT-2 and continue processing in
            //# that state.
            State::FinWait1 => {
                self.transition(Event::AckOfFin, cx);
                if self.is.contains(Is::ORPHAN) {
                    self.timers.arm(Timer::FinWait2, cx.now + self.options.fin_wait_2_timeout);
                }
            }
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=STEP-3.10.7.4-22
            //# if the ACK acknowledges our FIN, then enter the TIME-WAIT state; otherwise, ignore the
            //# segment.
            State::Closing => {
                self.transition(Event::AckOfFin, cx);
                self.timers.cancel_all();
            }
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
            //= id=STEP-3.10.7.4-23
            //# If our FIN is now acknowledged, delete the TCB, enter the CLOSED state, and return.
            State::LastAck => self.transition(Event::AckOfFin, cx),
            _ => {}
        }
    }
}
