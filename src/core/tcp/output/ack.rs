//! When to acknowledge (RFC 9293 §3.8.6.3, RFC 5681 §4.2), and how often to contradict (RFC 5961 §7).

use crate::seq::{Seq, SeqRange};
use crate::tcp::context::Context;
use crate::tcp::state::State;
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::timers::Timer;
use crate::tcp::trace::AckReason;
use crate::time::Instant;

const NONE: SeqRange = SeqRange::new(Seq::new(0), Seq::new(0));

bitflags::bitflags! {
    /// What an acknowledgment that is owed waits for.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Waits: u8 {
        /// The timer, or more to acknowledge: none is due before.
        const DELAYED = 1 << 0;
        /// What the program sends: the one that is due is held so long.
        const HELD = 1 << 1;
    }
}

/// What acknowledgments a connection owes.
#[derive(Clone, Copy, Debug)]
pub struct Acks {
    due: Option<AckReason>,
    waits: Waits,
    /// Duplicate ACKs owed beside the one that is due: segments beyond a gap that came in one batch, each of which
    /// the sender counts (RFC 5681 §3.2).
    repeats: u8,
    /// How many more segments are acknowledged at once.
    quick: u8,
    /// Not because the connection is young, but because the program asked for it.
    asked: bool,
    challenges: u8,
    challenges_since: Instant,
    /// Octets that came twice and have not been told; none while it is empty.
    duplicate: SeqRange,
    /// The length of the segment that came last, if it was shorter than RMSS and may have been full; or else 0.
    pub(in crate::tcp) shorter: u16,
}

impl Acks {
    /// Nothing owed; `quick` segments will be acknowledged at once.
    pub const fn new(quick: u8) -> Self {
        Self {
            due: None,
            waits: Waits::empty(),
            repeats: 0,
            quick,
            asked: false,
            challenges: 0,
            challenges_since: Instant::ZERO,
            duplicate: NONE,
            shorter: 0,
        }
    }

    /// Whether what comes is acknowledged at once.
    pub const fn is_quick(&self) -> bool {
        self.quick > 0
    }

    /// Whether that is because the program asked for it.
    pub const fn is_asked(&self) -> bool {
        self.asked && self.quick > 0
    }

    /// The next `quick` segments are acknowledged at once; what waits to be is too, unless `quick` is 0.
    pub const fn set_quick(&mut self, quick: u8) {
        (self.quick, self.asked) = (quick, quick > 0);
        if quick > 0 && !self.waits.is_empty() {
            self.now(AckReason::Quick);
        }
    }

    /// An acknowledgment is due at once. The first reason stands.
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //# In general, the processing of received segments MUST be implemented to aggregate ACK segments
    //# whenever possible (MUST-58).
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //# For example, if the TCP endpoint is processing a series of queued segments, it MUST process them all
    //# before sending any ACK segments (MUST-59).
    pub const fn now(&mut self, reason: AckReason) {
        if self.let_go() || self.due.is_none() {
            self.due = Some(reason);
        }
    }

    /// An acknowledgment is due, and waits for what the program sends, or for [`let_go`](Self::let_go).
    const fn hold(&mut self, reason: AckReason) {
        if self.due.is_none() {
            self.due = Some(reason);
            self.waits = self.waits.union(Waits::HELD);
        }
    }

    /// Whether one waits so.
    pub const fn is_held(&self) -> bool {
        self.waits.contains(Waits::HELD)
    }

    /// It waits no more. Says whether one did.
    pub const fn let_go(&mut self) -> bool {
        let held = self.is_held();
        self.waits = self.waits.difference(Waits::HELD);
        held
    }

    /// A segment came beyond a gap: it is worth a duplicate ACK of its own.
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
    //= id=rfc5681-3.2-1
    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
    //= id=rfc5681-4.2-5, rfc5681-4.2-6
    pub const fn out_of_order(&mut self) {
        if matches!(self.due, Some(AckReason::OutOfOrder)) {
            self.repeats = self.repeats.saturating_add(1);
        }
        self.now(AckReason::OutOfOrder);
    }

    /// RCV.NXT moved: an acknowledgment that leaves now duplicates none.
    pub const fn advanced(&mut self) {
        self.repeats = 0;
    }

    /// Octets came that we had: told in the next acknowledgment, once (RFC 2883 §4).
    pub const fn duplicate(&mut self, range: SeqRange) {
        self.duplicate = range;
        self.now(AckReason::Duplicate);
    }

    /// Text is about to be written, with which an acknowledgment can go. Who sends that mostly waits for a reply then, and
    /// acknowledges that with more: as in Linux, none leaves at once any more.
    const fn wait_for_text(&mut self) {
        self.delay();
        self.quick = 0;
    }

    /// One may wait for the timer.
    const fn delay(&mut self) {
        self.waits = self.waits.union(Waits::DELAYED);
    }

    /// Why an acknowledgment must leave at once, if one must.
    pub const fn due(&self) -> Option<AckReason> {
        if self.is_held() { None } else { self.due }
    }

    /// Whether anything received is yet to be acknowledged.
    pub const fn owed(&self) -> bool {
        self.due.is_some() || !self.waits.is_empty()
    }

    /// Whether the acknowledgment that leaves next is all that is owed.
    pub const fn is_last(&self) -> bool {
        self.repeats == 0
    }

    /// What came twice and has not been told.
    pub const fn dsack(&self) -> Option<SeqRange> {
        if self.duplicate.is_empty() { None } else { Some(self.duplicate) }
    }

    /// An acknowledgment has left.
    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
    //= id=rfc5681-4.2-8
    //# A TCP receiver MUST NOT generate more than one ACK for every incoming segment
    pub const fn sent(&mut self) {
        self.waits = Waits::empty();
        self.duplicate = NONE;
        match self.repeats.checked_sub(1) {
            Some(left) => self.repeats = left,
            None => self.due = None,
        }
    }
}

impl Tcb {
    /// Text came in order, with no gap known: every second full segment is acknowledged (SHLD-19), and what came behind a
    /// full one although it is short, as in Linux: with it a burst mostly ends. The first few of a connection are
    /// acknowledged each, and the rest when the timer says (MUST-40).
    //= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
    //= id=rfc5681-4.2-1, rfc5681-4.2-2, rfc5681-4.2-3, rfc5681-4.2-4
    pub(in crate::tcp) fn acknowledge_text(&mut self, cx: &mut Context<'_>) {
        let unacknowledged = self.rcv.nxt.since(self.rcv.last_ack_sent);
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.3
        //= id=SHLD-19
        //# An ACK SHOULD be generated for at least every second full-sized segment or 2*RMSS bytes of new
        //# data
        if unacknowledged > u32::from(self.rcv.mss) {
            self.acks.now(AckReason::EverySecond);
        } else if self.acks.quick > 0 {
            let asked = self.acks.is_asked();
            self.acks.quick -= 1;
            // A full segment may be the first of many, and so may a second one be. What the program asked for counts this one.
            if unacknowledged < u32::from(self.rcv.mss) && !self.acks.is_held() && !asked {
                self.acknowledge_with_reply(AckReason::Quick, cx);
            } else {
                self.acks.now(AckReason::Quick);
            }
        } else {
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.3
            //# A TCP endpoint SHOULD implement a delayed ACK (SHLD-18)
            self.acks.delay();
            //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.3
            //# the delay MUST be less than 0.5 seconds (MUST-40)
            self.timers.arm_if_idle(Timer::DelayedAck, cx.now + cx.config.delayed_ack);
        }
    }

    /// Acknowledges at once, unless the program is about to be told and what it sends then is waited for: a reply, or its own
    /// end. Not where the program wants it at once or has ended its side, nor where the acknowledgment tells of marks.
    pub(in crate::tcp) fn acknowledge_with_reply(&mut self, reason: AckReason, cx: &Context<'_>) {
        let may_reply = self.state() == State::Established && !self.is.contains(Is::ORPHAN);
        if cx.holds_acks && may_reply && !self.acks.is_asked() && !self.ecn.echoes() {
            self.acks.hold(reason);
        } else {
            self.acks.now(reason);
        }
    }

    /// The handshake's end is acknowledged with what the program is about to write, or when the timer says.
    pub(in crate::tcp) fn acknowledge_with_text(&mut self, cx: &Context<'_>) {
        self.acks.wait_for_text();
        self.timers.arm_if_idle(Timer::DelayedAck, cx.now + cx.config.delayed_ack);
    }

    /// New text has left. If it came so soon after the peer's that an acknowledgment might have waited for it, it is taken
    /// for the reply: acknowledgments go with replies then, and as in Linux none leaves at once any more because the
    /// connection is young.
    pub(in crate::tcp) fn has_replied(&mut self, cx: &Context<'_>) {
        // Text of the SYN counts from the handshake on, whenever it came.
        let with_syn = u32::from(self.is.contains(Is::OPEN_EARLY));
        let asked = self.tally.data_in > with_syn
            && u128::from(self.tally.since_data_in(cx.now)) < cx.config.delayed_ack.as_millis();
        if asked {
            self.acks.quick = 0;
        }
    }

    /// The delayed-ACK timer ran out.
    pub(in crate::tcp) fn delayed_ack_due(&mut self, cx: &mut Context<'_>) {
        if self.acks.waits.contains(Waits::DELAYED) {
            cx.counters.tcp_delayed_acks += 1;
            self.acks.now(AckReason::Delayed);
        }
    }

    /// An acknowledgment that contradicts its cause, within the limit of this connection: an attacker, or
    /// two ends that disagree, must not make us send without end.
    pub(in crate::tcp) fn challenge(&mut self, reason: AckReason, cx: &mut Context<'_>) {
        let acks = &mut self.acks;
        if cx.now.saturating_since(acks.challenges_since) >= cx.config.challenge_interval
            || acks.challenges_since == Instant::ZERO
        {
            acks.challenges_since = cx.now.max(Instant::from_nanos(1));
            acks.challenges = 0;
        }
        //= https://www.rfc-editor.org/rfc/rfc5961#section-7
        //= id=rfc5961-7-2
        //# An implementation SHOULD include an ACK throttling mechanism to be conservative.
        if acks.challenges >= cx.config.challenge_limit {
            cx.counters.tcp_challenge_limited += 1;
            return;
        }
        acks.challenges += 1;
        acks.now(reason);
        if matches!(reason, AckReason::Challenge) {
            cx.counters.tcp_challenge_acks += 1;
        }
    }
}
