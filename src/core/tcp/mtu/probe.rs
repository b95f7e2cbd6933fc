//! When a probe leaves (RFC 4821 §7.4, §10.1): new text in a segment larger than the others, with enough behind it that its
//! loss would show at once.

use crate::seq::SeqRange;
use crate::tcp::context::Context;
use crate::tcp::mtu_search::headway;
use crate::tcp::output::decide::Plan;
use crate::tcp::recovery::Phase;
use crate::tcp::tcb::Tcb;
use crate::tcp::trace::Reason;

/// What a timed out probe waits longer than one that was lost alone (RFC 4821 §7.6.3).
const TIMED_OUT: u32 = 5;

impl Tcb {
    /// Whether the next new text is a probe (`Some(Some)`), or has to wait until there is room for one (`Some(None)`).
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.4
    //# For example, TCP Fast Retransmit is not robust unless there are sufficient segments following a probe;
    //# that is, the sender SHOULD have enough data queued and sufficient receiver window to send the probe
    //# plus at least Tcprexmtthresh [RFC2760] additional segments.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.4
    //= id=rfc4821-7.4-2
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.5
    //= id=rfc4821-7.5-1
    pub(in crate::tcp) fn decide_mtu_probe(&self) -> Option<Option<Plan>> {
        let size = self.mtu.as_ref()?.next()?;
        //= https://www.rfc-editor.org/rfc/rfc4821#section-5.1
        //# When conducting a probe, the Packetization Layer MUST determine the probe packet's final size
        //# including IP headers.
        let options = self.options_len();
        let (mss, len) = (self.effective_mss(options), u32::from(size).checked_sub(options as u32)?);
        let behind = (u32::from(self.recovery.dup_thresh) + 1).saturating_mul(mss);
        let needed = len.saturating_add(behind);
        if self.within_record(self.snd.nxt, len) < len {
            return None;
        }
        let unsent = self.data_end().saturating_since(self.snd.nxt);
        let calm =
            self.recovery.phase == Phase::Open && self.acks.dsack().is_none() && self.reassembly.is_empty();
        if !calm || len <= mss || unsent < needed || self.snd.wnd < needed || self.cwnd() < needed {
            return None;
        }
        let in_flight = self.in_flight();
        if self.snd.usable() < needed || self.cwnd().saturating_sub(in_flight) < len {
            // Returning ACKs make room: meanwhile nothing else takes it (RFC 4821 §7.4).
            return (in_flight > 0).then_some(None);
        }
        Some(Some(Plan { reason: Reason::MtuProbe, seq: self.snd.nxt, len, fin: false }))
    }

    /// A segment has left. A probe is awaited; one whose text leaves `again` has missed its verdict.
    pub(in crate::tcp) fn mtu_probe_has_left(&mut self, plan: Plan, again: bool, cx: &Context<'_>) {
        if self.mtu.is_none() {
            return;
        }
        let (options, wait) = (self.options_len() as u32, self.probe_headway());
        let timed_out = self.recovery.phase() == Phase::Loss;
        let Some(search) = &mut self.mtu else { return };
        let end = plan.seq.add(plan.len);
        if plan.reason == Reason::MtuProbe {
            // The next burst is one of segments of the usual size.
            self.snd.burst = SeqRange::new(end, end);
            search.sent(SeqRange::new(plan.seq, end), u16::try_from(plan.len + options).unwrap_or(u16::MAX));
        } else if again
            && search.probe().is_some_and(|probe| end.after(probe.start) && plan.seq.before(probe.end))
        {
            //= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.3
            //# A time interval that is five times the non-timeout failure case (Section 7.6.2) is RECOMMENDED.
            search.undecided(if timed_out { cx.now + wait * TIMED_OUT } else { cx.now });
        }
    }

    /// How long to wait after a probe failed.
    pub(super) fn probe_headway(&self) -> crate::time::Duration {
        headway(self.rtt.srtt().unwrap_or_default(), self.cwnd(), self.smss())
    }
}
