//! The segment that nearly every one is, where we send and nothing goes wrong: new text, a full segment of it, or a run of them
//! where the device cuts; or all that there is, where that is less, as of a request or a reply.
//!
//! Nothing of ours is lost or doubted, nothing is tried, and there is nothing to tell beside but what every segment tells. So most
//! of what [`decide`](super::decide) weighs is settled, and of what a departure changes most stays as it is. What is left is asked
//! once and done here, in the order of [`poll_transmit`](Tcb::poll_transmit); the rules themselves stand where they are for any
//! other.

use super::build::Outgoing;
use super::decide::Plan;
use super::nagle::Candidate;
use crate::seq::SeqRange;
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::state::State;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::timers::Timer;
use crate::tcp::trace::Reason;
use crate::wire::flags::Flags;
use crate::wire::options::Options;
use crate::wire::tcp::Header;

/// What gives an end more to say than its text.
const UNUSUAL: Is = Is::FIN_QUEUED.union(Is::TELL_USER_TIMEOUT);

impl Tcb {
    /// What leaves next, if it is that segment. What a silence before it changes has been changed.
    pub(super) fn poll_predicted_text(&mut self, cx: &mut Context<'_>) -> Option<Outgoing> {
        let seq = self.snd.nxt;
        let unsent = self.data_end().saturating_since(seq);
        if unsent == 0 {
            return None;
        }
        let (mss, cwnd, in_flight) = (self.smss(), self.cwnd(), self.snd.outstanding());
        let ready = self.not_held(unsent).min(self.snd.usable());
        let first = ready.min(mss);
        // With nothing in flight a segment leaves whatever the congestion window is; that is for `decide` to weigh.
        if first == 0 || cwnd.saturating_sub(in_flight) < first || !self.has_but_text() {
            return None;
        }
        let last = first == unsent;
        if first < mss && !(last && self.may_leave(Candidate { len: first, mss, last, fin: false })) {
            return None;
        }
        let first = Plan { reason: Reason::Data, seq, len: first, fin: false };
        debug_assert_eq!(self.decide(), Some(first), "what is predicted is what would be decided");
        let mut plan = first;
        self.join(&mut plan, mss, cx);
        if plan.fin || plan.len > mss && !plan.len.is_multiple_of(mss) {
            return None;
        }
        let offset = seq.saturating_since(self.data_start()) as usize;
        let (place, len) = (self.send_buffer.place_of(offset), plan.len as usize);
        if self.send_buffer.at(place, len).is_none() && self.send_buffer.in_reach(offset, len) < len {
            return None;
        }
        #[cfg(test)]
        crate::tcp::short_cuts::taken();
        let pushes = self.pushes(plan, mss, cx);
        let timestamps = self.timestamps.enabled().then(|| self.timestamps.option(cx.now));
        let options = Options { timestamps, ..Options::default() };
        let mut flags = Flags::ACK;
        flags.set(Flags::PSH, pushes.0);
        let ecn = self.mark_departure(&mut flags, &options, plan, cx);
        let offer = self.window_offer();
        self.rcv.wnd = self.rcv.wnd.max(offer.octets);
        let header = Header {
            src_port: self.quad.local.port,
            dst_port: self.quad.remote.port,
            seq,
            ack: self.rcv.nxt,
            flags,
            window: offer.field,
            urgent: 0,
        };
        self.text_has_left(plan.len, mss, cwnd, pushes, cx);
        let (place, reason) = (Some(place), plan.reason);
        let gso_size = if plan.len > mss { u16::try_from(mss).unwrap_or(u16::MAX) } else { 0 };
        Some(Outgoing { header, options, ecn, offset, place, len, gso_size, reason })
    }

    /// New text of `len` octets has left in full segments of `mss`, or in one that is shorter, as
    /// [`poll_predicted_text`](Self::poll_predicted_text) has it.
    #[inline]
    fn text_has_left(&mut self, len: u32, mss: u32, cwnd: u32, pushes: (bool, bool), cx: &mut Context<'_>) {
        let (seq, end) = (self.snd.nxt, self.snd.nxt.add(len));
        let segments = if len > mss { len / mss } else { 1 };
        cx.counters.tcp_out_segs += u64::from(segments);
        self.tally.sent(len, segments, false);
        self.on_paced_departure(len, cx);
        if len < mss {
            self.snd.short = end;
        }
        if self.snd.una == seq {
            self.progress = cx.now;
        }
        if self.timed.is_none() {
            self.timed = Some(end);
            self.timed_since = cx.now;
        }
        if self.acks.is_quick() {
            self.has_replied(cx);
        }
        let stamp = self.stamp(len, cx.now);
        self.recovery.board.lend(cx.lists);
        let last = end.sub(mss.min(len));
        if last.after(seq) {
            self.recovery.on_send(SeqRange::new(seq, last), mss, stamp);
        }
        self.recovery.on_send(SeqRange::new(last, end), mss, stamp);
        if pushes.0 {
            self.recovery.on_burst_end(pushes.1);
        }
        self.snd.nxt = end;
        self.judge_cwnd_of(self.snd.outstanding(), cwnd, mss, cx);
        self.sent = cx.now;
        self.is.remove(Is::OVERRIDE);
        self.rcv.last_ack_sent = self.rcv.nxt;
        self.acks.sent();
        self.timers.cancel(Timer::DelayedAck);
        self.schedule_probe(cx);
        self.arm_retransmission(cx);
    }

    /// Whether [nothing can leave](Self::has_sent_all), asked before anything is weighed.
    pub(super) fn can_send_nothing(&self) -> bool {
        #[cfg(test)]
        if crate::tcp::short_cuts::are_closed() {
            return false;
        }
        self.has_sent_all()
    }

    /// Whether all that was written has left, with our FIN if it is due, and nothing is to be repaired, tried or told: nothing can
    /// leave.
    pub(super) fn has_sent_all(&self) -> bool {
        let recovery = &self.recovery;
        let all = self.snd.nxt == self.data_end().add(u32::from(self.fin_due()))
            && self.state().is_synchronized()
            && self.state() != State::TimeWait
            && self.acks.due().is_none()
            && self.probe.is_none()
            && self.mtu.is_none()
            && self.ecn.accurate.is_none()
            && recovery.pending().is_none()
            && recovery.board.lost() == 0
            && !self.probe_is_due()
            && self.paced_until().is_none();
        debug_assert!(!all || self.decide().is_none(), "nothing is what would be decided");
        all
    }

    /// Nothing but text could leave, with nothing to tell beside.
    #[inline]
    fn has_but_text(&self) -> bool {
        #[cfg(test)]
        if crate::tcp::short_cuts::are_closed() {
            return false;
        }
        let (recovery, board) = (&self.recovery, &*self.recovery.board);
        let settled = recovery.phase() == Phase::Open
            && recovery.pending().is_none()
            && recovery.dup_acks() == 0
            && recovery.cwnd().is_none()
            && !self.sends_new_data_first()
            && !self.probe_is_due()
            && (board.sacked(), board.lost(), board.resent()) == (0, 0, 0);
        let untried = self.mtu.is_none() && self.fast_open.is_none() && self.paced_until().is_none();
        let untold = self.reassembly.is_empty()
            && self.acks.dsack().is_none()
            && self.ecn.accurate.is_none()
            && !self.ecn.holds()
            && self.snd.up.at_or_before(self.snd.nxt);
        matches!(self.state(), State::Established | State::CloseWait)
            && !self.is.intersects(UNUSUAL)
            && self.send_buffer.records() == 0
            && settled
            && untried
            && untold
    }
}
