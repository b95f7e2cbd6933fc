//! Packet trains: what was decided of one full segment holds for those behind it that leave at the same moment.
//!
//! In a burst of segments of MTU size each is like the one before it, but for its sequence number. So whether and why it
//! leaves is decided once, and for those that follow only what their leaving changes is noted. A train is no more than that
//! knowledge: nothing is planned ahead, each segment leaves when it is asked for, and after each the connection is as it would
//! be had it been decided on by itself. Whatever changes in between ends the train, and [`decide`](super::decide) is asked
//! again.
//!
//! A segment that differs is not part of one: one that is not full, a FIN, a repair, a probe. The last of a burst or of what the
//! program wrote differs in PSH alone: with it a train ends. And none is where each is judged by itself, as with accurate ECN or
//! while the path's MTU is searched.

use super::build::Outgoing;
use crate::seq::Seq;
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::Reason;
use crate::wire::flags::Flags;

/// Full segments that may follow the one that has just left, with its header but for the sequence number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Train {
    /// Text of each, octets.
    pub mss: u32,
    /// Octets that may follow; less than a segment is none.
    left: u32,
    /// The one that ends here has PSH set, and whether that is because what the program wrote ends with it.
    push: Option<(Seq, bool)>,
    /// Nothing else is in flight than what it begins with.
    lone: bool,
    /// The congestion window: nothing is acknowledged or lost in between.
    cwnd: u32,
    /// What leaves is counted by a pacer.
    paced: bool,
}

impl Train {
    /// Whether another segment may be part of it.
    #[inline]
    pub const fn goes_on(&self) -> bool {
        self.left >= self.mss
    }

    /// Whether each of them may have to wait for its time.
    #[inline]
    pub const fn is_paced(&self) -> bool {
        self.paced
    }
}

impl Tcb {
    /// The train that begins with `first`, which has just left.
    pub fn train_behind(&self, first: &Outgoing, cx: &Context<'_>) -> Option<Train> {
        #[cfg(test)]
        if crate::tcp::short_cuts::are_closed() {
            return None;
        }
        let mss = first.len as u32;
        let options = &first.options;
        let plain = first.reason == Reason::Data
            && first.header.flags == Flags::ACK
            && first.gso_size == 0
            && options.acc_ecn.is_none()
            && options.user_timeout.is_none()
            && options.sack.is_empty();
        if !plain || mss != self.smss() || !self.is_in_calm() {
            return None;
        }
        let nxt = self.snd.nxt;
        let pushed = if self.snd.pushed.after(nxt) { self.snd.pushed.since(nxt) } else { u32::MAX };
        let burst = if self.snd.burst.contains(nxt) { self.snd.burst.end.since(nxt) } else { 0 };
        // As far as the segment in which either of them lies.
        let push = pushed.min(burst).div_ceil(mss).saturating_mul(mss);
        let unsent = self.data_end().saturating_since(nxt);
        // A FIN goes with the last.
        let unsent = self.not_held(if self.fin_due() { unsent.saturating_sub(1) } else { unsent });
        let cwnd = self.cwnd();
        let uncongested = cwnd.saturating_sub(self.snd.outstanding());
        let octets = push.min(unsent).min(self.snd.usable()).min(uncongested);
        let octets = octets.min(self.recovery.board.room_in_last(nxt, mss, cx.now));
        (octets >= mss).then(|| Train {
            mss,
            left: octets,
            push: (octets == push).then(|| (nxt.add(push), pushed <= push)),
            lone: self.snd.outstanding() <= mss,
            cwnd,
            paced: self.is_paced(cx.config),
        })
    }

    /// Nothing is to be repaired, told or tried, so that new text alone is what may leave.
    fn is_in_calm(&self) -> bool {
        let (recovery, board) = (&self.recovery, &*self.recovery.board);
        let repaired = recovery.phase() == Phase::Open
            && recovery.pending().is_none()
            && recovery.cwnd().is_none()
            && recovery.dup_acks() == 0
            && (board.sacked(), board.lost(), board.resent()) == (0, 0, 0);
        let untold =
            !self.acks.owed() && self.ecn.accurate.is_none() && self.snd.up.at_or_before(self.snd.nxt);
        let untried = self.mtu.is_none() && self.fast_open.is_none() && !self.probe_is_due();
        repaired
            && untold
            && untried
            && self.state().is_synchronized()
            && self.timed.is_some()
            && self.send_buffer.records() == 0
            && self.options.unsent_limit().is_none()
            && self.paced_until().is_none()
            && !self.ecn.holds()
    }

    /// Whether the next segment of a train must not wait for its time.
    pub fn may_follow(&self, train: &Train) -> bool {
        !train.paced || self.paced_until().is_none()
    }

    /// The next segment of a train that [goes on](Train::goes_on) leaves, as it [may](Self::may_follow); gives its sequence
    /// number, and whether it has PSH set.
    #[inline(always)]
    pub fn follow(&mut self, train: &mut Train, cx: &mut Context<'_>) -> (Seq, bool) {
        let (seq, mss) = (self.snd.nxt, train.mss);
        let end = seq.add(mss);
        train.left = train.left.saturating_sub(mss);
        debug_assert_eq!(
            self.decide(),
            Some(super::decide::Plan { reason: Reason::Data, seq, len: mss, fin: false }),
            "a train is what would leave one by one"
        );
        #[cfg(test)]
        crate::tcp::short_cuts::taken();
        cx.counters.tcp_out_segs += 1;
        self.tally.sent(mss, 1, false);
        if train.paced {
            self.on_paced_departure(mss, cx);
        }
        self.recovery.board.extend_last(mss);
        self.snd.nxt = end;
        if train.lone {
            // The probe timer waits longer for a single segment (RFC 8985 §7.2).
            train.lone = false;
            self.schedule_probe(cx);
        }
        debug_assert_eq!((train.cwnd, mss), (self.cwnd(), self.smss()), "nothing has changed the window");
        // Nothing is deemed lost, nor told of beyond a gap.
        if self.judge_cwnd_of(self.snd.outstanding(), train.cwnd, mss, cx) {
            // It is another one now.
            train.left = 0;
        }
        self.is.remove(Is::OVERRIDE);
        let push = train.push.filter(|(at, _)| *at == end);
        if let Some((_, ends_text)) = push {
            self.recovery.on_burst_end(ends_text);
        }
        (seq, push.is_some())
    }
}
