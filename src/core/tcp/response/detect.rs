//! What is lost, by time: the steps of RACK that look at the whole connection (RFC 8985 §6.2, steps 4 and 5).

use super::delivery::tell_lost;
use crate::seq::SeqRange;
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::recovery::scoreboard::{Lost, Mark, Record};
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::timers::Timer;
use crate::time::{Duration, Instant};

/// For how many recoveries a wider window is kept.
const PERSIST: u8 = 16;

/// Added to the reordering timer, as Linux does: what arrives in that time spares a retransmission.
const TIMER_SLACK: Duration = Duration::from_millis(2);

/// What is lost where slow start has filled a queue is more than this part of what was in flight: the window doubles in the
/// round trip in which the sender does not know. Single losses by noise are not.
const OVERFLOW_PART: u32 = 50;

/// The least of it, segments.
const OVERFLOW_SEGMENTS: u32 = 3;

impl Tcb {
    /// Something is lost, and nothing has been answered yet: whether it may be slow start that was too much.
    pub(super) fn suspect_overflow(&mut self, cx: &Context<'_>) {
        let slow_start = self.congestion.cwnd() < self.congestion.ssthresh();
        let suspected = cx.config.slow_start_pacing
            && !self.reduces_for_loss()
            && slow_start
            && self.uses_cwnd()
            && self.tells_of_queue();
        self.is.set(Is::SUSPECTS_OVERFLOW, suspected);
    }

    /// The last round trip was longer by a quarter than the shortest: something waits in a queue.
    fn tells_of_queue(&self) -> bool {
        let (recent, least) = (self.rtt.recent(), self.rtt.min_rtt());
        recent.zip(least).is_some_and(|(recent, least)| recent >= least + least / 4)
    }

    /// Much is lost of a flight that slow start made: that one answers by what the path bore before.
    pub(super) fn heed_overflow(&mut self) {
        if !self.is.contains(Is::SUSPECTS_OVERFLOW) {
            return;
        }
        let lost = self.recovery.board.blamed();
        let part = self.snd.outstanding() / OVERFLOW_PART;
        if lost > part && lost >= self.smss().saturating_mul(OVERFLOW_SEGMENTS) {
            self.is.remove(Is::SUSPECTS_OVERFLOW);
            self.congestion.on_overflow();
        }
    }

    /// A report of what came twice says that the window was too small: once a round trip it widens.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-3.3.2
    //= id=rfc8985-3.3.2-3
    //= https://www.rfc-editor.org/rfc/rfc8985#section-4
    //= id=rfc8985-4-3
    pub(in crate::tcp) fn rack_duplicate_reported(&mut self) {
        let nxt = self.snd.nxt;
        let rack = &mut self.recovery.rack;
        rack.end_round(self.snd.una);
        if rack.dsack_round.is_none() {
            rack.dsack_round = Some(nxt);
            rack.steps = rack.steps.saturating_add(1);
            rack.persist = PERSIST;
        }
    }

    /// RACK.reo_wnd: how much later than its successors a segment may come.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-3.3.2
    //# The reordering window SHOULD be set to zero if no reordering has been observed on the connection so
    //# far, and either (a) three segments have been SACKed since the last recovery or (b) the sender is
    //# already in fast or RTO recovery.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-3.3.2
    //# The RACK reordering window MUST be bounded, and this bound SHOULD be SRTT.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-3.3.2
    //= id=rfc8985-3.3.2-2
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= id=rfc8985-6.2-s7, rfc8985-6.2-s12
    fn reordering_window(&self) -> Duration {
        let recovery = &self.recovery;
        if recovery.rack.reorderings == 0 {
            let enough = || recovery.board.segments(Mark::SACKED) >= u32::from(recovery.dup_thresh);
            if recovery.phase >= Phase::Recovery || enough() {
                return Duration::ZERO;
            }
        }
        let min = self.rtt.min_rtt().unwrap_or_default();
        let window = min / 4 * u32::from(recovery.rack.steps);
        self.rtt.srtt().map_or(Duration::ZERO, |srtt| window.min(srtt))
    }

    /// Looks for what is lost, if anything has arrived since the last look.
    pub(in crate::tcp) fn rack_mark_lost(&mut self, cx: &mut Context<'_>) -> Lost {
        if !self.recovery.rack.advanced {
            return Lost::default();
        }
        self.recovery.rack.advanced = false;
        self.rack_detect(cx)
    }

    /// RACK_detect_loss() of RFC 8985 §6.2, step 5.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //# For timely loss detection, it is RECOMMENDED that the sender install a reordering timer.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    //= id=rfc8985-6.2-s9, rfc8985-6.2-s11
    //= https://www.rfc-editor.org/rfc/rfc8985#section-9.2
    //= id=rfc8985-9.2-1
    pub(in crate::tcp) fn rack_detect(&mut self, cx: &mut Context<'_>) -> Lost {
        if self.recovery.board.front().is_none() {
            // All has arrived.
            self.timers.cancel(Timer::Reordering);
            return Lost::default();
        }
        let rack = self.recovery.rack;
        if self.recovery.board.first_to_leave().is_some_and(|first| !rack.sent_after(first, cx.now)) {
            // Nothing has arrived that left later.
            self.timers.cancel(Timer::Reordering);
            return Lost::default();
        }
        let wait = Duration::from_micros(rack.rtt.into()) + self.reordering_window();
        let mut longest = None;
        let probe = self.mtu.as_ref().and_then(|search| search.probe());
        let (rate, congestion) = (&mut self.rate, &mut self.congestion);
        let lost = self.recovery.board.mark_lost(|record| {
            if !rack.sent_after(record, cx.now) {
                return false;
            }
            let due = record.sent() + wait;
            if due > cx.now {
                longest = longest.max(Some(due));
                return false;
            }
            // That a probe of the path's MTU is lost says nothing of congestion (RFC 4821 §7.6.2); what is lost beside it does.
            let range = record.range();
            let start = match probe {
                Some(probe) if probe.contains(range.start) => probe.end.min(range.end),
                _ => range.start,
            };
            tell_lost(rate, congestion, SeqRange::new(start, range.end), &record.stamp);
            true
        });
        if let Some(probe) = probe.filter(|_| lost.octets > 0) {
            self.recovery.board.excuse(probe);
        }
        if lost.resent > 0 {
            cx.counters.tcp_lost_retransmit += 1;
        }
        self.timers.cancel(Timer::Reordering);
        if let Some(due) = longest {
            //= https://www.rfc-editor.org/rfc/rfc8985#section-8
            //# When arming a RACK reordering timer or TLP PTO timer, the sender SHOULD cancel any other pending
            //# timers.
            self.timers.cancel(Timer::Rto);
            self.timers.cancel(Timer::Tlp);
            self.timers.arm(Timer::Reordering, due + TIMER_SLACK);
        }
        lost
    }

    /// Whether at a time-out this is to be deemed lost: what left only lately may still be on its way.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-6.3
    //= id=rfc8985-6.3-s1
    //# Upon RTO timer expiration, RACK marks the first outstanding segment as lost (since it was sent an RTO
    //# ago); for all the other segments, RACK only marks the segment as lost if the time elapsed since the
    //# segment was transmitted is at least the sum of the recent RTT and the reordering window.
    pub(in crate::tcp) fn rack_timed_out(&self, now: Instant) -> impl Fn(&Record) -> bool + use<> {
        let wait = Duration::from_micros(self.recovery.rack.rtt.into()) + self.reordering_window();
        let (una, sack) = (self.snd.una, self.recovery.sack);
        move |record| !sack || record.start == una || record.sent() + wait <= now
    }
}
