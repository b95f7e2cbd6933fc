//! Tail loss probes (RFC 8985 §7): where nothing follows that could show a loss, the last segment again, or a new one, does,
//! long before the retransmission timer.

use super::news::News;
use crate::seq::{Seq, SeqRange};
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::recovery::tlp::Tlp;
use crate::tcp::tcb::Tcb;
use crate::tcp::timers::Timer;
use crate::time::{Duration, Instant, nanos};

/// TLP.max_ack_delay: how long a receiver may keep the ACK of a single segment, nanoseconds as all of these.
const MAX_ACK_DELAY: u64 = nanos(Duration::from_millis(200));

/// Added to the wait, as Linux does: ACKs come when they do.
const TIMER_SLACK: u64 = nanos(Duration::from_millis(2));

/// The wait before there is an estimate.
const INITIAL_WAIT: u64 = nanos(Duration::from_secs(1));

impl Tcb {
    /// Arms the probe timer in place of the retransmission timer, where a probe makes sense.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.2
    //# The sender SHOULD start or restart a loss probe PTO timer after transmitting new data (that was not
    //# itself a loss probe) or upon receiving an ACK that cumulatively acknowledges new data unless it is
    //# already in fast recovery, RTO recovery, or segments have been SACKed (i.e., RACK.segs_sacked is not
    //# zero).
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.2
    //= id=rfc8985-7.2-4, rfc8985-7.2-s1, rfc8985-7.2-s2
    pub(in crate::tcp) fn schedule_probe(&mut self, cx: &Context<'_>) -> bool {
        let recovery = &self.recovery;
        let fits = recovery.sack
            && cx.config.tail_loss_probes
            && self.state().is_synchronized()
            && matches!(recovery.phase, Phase::Open | Phase::Cwr)
            && recovery.board.sacked() == 0
            && self.snd.wnd > 0
            && !self.timers.is_armed(Timer::Reordering);
        let Some(oldest) = recovery.board.front().filter(|_| fits).map(|oldest| oldest.sent()) else {
            return false;
        };
        let wait = match self.rtt.srtt_nanos() {
            Some(srtt) if self.snd.outstanding() <= self.smss() => 2 * srtt + MAX_ACK_DELAY,
            Some(srtt) => 2 * srtt + TIMER_SLACK,
            //= https://www.rfc-editor.org/rfc/rfc8985#section-7.2
            //# Second, when there is no SRTT estimate available, the PTO SHOULD be 1 second.
            None => INITIAL_WAIT,
        };
        let rto = oldest.plus_nanos(self.rtt.rto_nanos()).max(cx.now.plus_nanos(TIMER_SLACK));
        self.timers.cancel(Timer::Rto);
        self.timers.arm(Timer::Tlp, self.before_giving_up(cx.now.plus_nanos(wait).min(rto), cx));
        true
    }

    /// The probe timer ran out.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
    //= id=rfc8985-7.3-1, rfc8985-7.3-6
    pub(in crate::tcp) fn probe_timeout(&mut self, cx: &mut Context<'_>) {
        let waited = cx.now.saturating_since(self.progress);
        if self.user_timeout(cx.config).is_some_and(|limit| waited >= limit) {
            return self.retransmission_timeout(cx);
        }
        let tlp = &mut self.recovery.tlp;
        //= https://www.rfc-editor.org/rfc/rfc8985#section-7.3
        //# If either one of these two conditions is not met, then the sender MUST skip sending a loss probe and
        //# MUST proceed to re-arm the RTO timer, as specified at the end of this section.
        if tlp.end.is_none() && tlp.sampled && self.snd.una != self.snd.nxt {
            tlp.due = true;
            if self.decide_tail_probe().is_some() {
                cx.counters.tcp_loss_probes += 1;
            } else {
                self.recovery.tlp.due = false;
            }
        }
        self.timers.cancel(Timer::Rto);
        self.arm_retransmission(cx);
    }

    /// Whether a probe is to leave now.
    pub(in crate::tcp) const fn probe_is_due(&self) -> bool {
        self.recovery.tlp.due
    }

    /// The last segment: what a probe sends where there is nothing new.
    pub(in crate::tcp) fn last_segment(&self, mss: u32) -> Option<SeqRange> {
        let last = self.recovery.board.back()?;
        // Where segments have become smaller since, the end of it; a FIN goes with the text before it.
        let text_end = last.end.min(self.data_end());
        Some(SeqRange::new(last.last_segment_start().max(text_end.sub(mss)), last.end))
    }

    /// A probe has left.
    pub(in crate::tcp) fn probe_has_left(&mut self, again: bool) {
        self.recovery.tlp = Tlp { end: Some(self.snd.nxt), is_retrans: again, sampled: false, due: false };
    }

    /// A round trip was measured.
    pub(in crate::tcp) const fn probe_sampled(&mut self) {
        self.recovery.tlp.sampled = true;
    }

    /// What an ACK says of the probe (RFC 8985 §7.4): one that had to repair a loss hid it from congestion control.
    //= https://www.rfc-editor.org/rfc/rfc8985#section-7.4.2
    //= id=rfc8985-7.4.2-2, rfc8985-7.4.2-s1, rfc8985-7.4.2-s2, rfc8985-7.4.2-s3
    pub(in crate::tcp) fn take_probe_ack(&mut self, ack: Seq, news: &News, now: Instant) {
        let Some(end) = self.recovery.tlp.end.filter(|&end| ack.at_or_after(end)) else { return };
        let tlp = &mut self.recovery.tlp;
        if !tlp.is_retrans || news.dsack.is_some_and(|block| block.end == end) {
            tlp.end = None;
        } else if ack.after(end) || news.advanced > 0 {
            //= https://www.rfc-editor.org/rfc/rfc8985#section-7.4.2
            //# If the TLP sender does not receive such an indication, then it MUST assume that the original data
            //# segment, the TLP retransmission, or a corresponding ACK was lost for congestion control purposes.
            // The ACK that covers just the probe may be that of the original: the other's is to come.
            if ack.after(end) {
                tlp.end = None;
                self.congestion.on_repaired(news.in_flight, now);
                self.recovery.forget_undo();
                self.ecn.window_reduced();
            }
        } else if news.bare {
            // Both arrived, and nothing was lost: a duplicate, though nothing else need be outstanding.
            tlp.end = None;
        }
    }
}
