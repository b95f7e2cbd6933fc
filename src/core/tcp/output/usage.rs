//! Whether the congestion window is what limits a connection. One that was not used says nothing about the path: it must
//! not grow on its own account, and it decays (congestion window validation, by Linux's rule; RFC 7661 §1.1, RFC 9438 §4.6).

use crate::tcp::congestion::CongestionEvent;
use crate::tcp::context::Context;
use crate::tcp::recovery::Phase;
use crate::tcp::tcb::{Is, Tcb};

impl Tcb {
    /// Something has left, and `in_flight` octets are in flight. Once a round trip the window is judged anew; before
    /// that only by what is worse: that it is
    /// full, or that more is in flight than ever since.
    //= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
    //= id=rfc9438-4.6-3
    //# Implementations that use _cwnd_ MUST use other measures to prevent _cwnd_ from growing when the volume
    //# of bytes in flight is smaller than _cwnd_.
    pub(super) fn judge_cwnd(&mut self, in_flight: u32, cx: &Context<'_>) {
        self.judge_cwnd_of(in_flight, self.cwnd(), self.smss(), cx);
    }

    /// The same of a window of `cwnd` octets, as it is, and segments of `smss`. Says whether it was cut down.
    #[inline]
    pub(super) fn judge_cwnd_of(&mut self, in_flight: u32, cwnd: u32, smss: u32, cx: &Context<'_>) -> bool {
        let full = in_flight.saturating_add(smss) > cwnd;
        let (peak, judged) = self.snd.peak;
        let more = !self.is.contains(Is::CWND_LIMITED) && in_flight > peak;
        if full || more || self.snd.una.at_or_after(judged) {
            self.is.set(Is::CWND_LIMITED, full);
            self.snd.peak = (in_flight, self.snd.nxt);
        }
        // What is paced is seldom full at a look: in slow start half of it is enough then, as in Linux.
        if self.is.contains(Is::CWND_LIMITED) || (cx.config.slow_start_pacing && self.half_fills(cwnd)) {
            self.cwnd_used = cx.now;
            false
        } else {
            cx.config.slow_start_after_idle && self.decay_cwnd(cx)
        }
    }

    /// Nothing but the program kept the window from being filled for the time of one RTO: what it might send at once now
    /// has not been tried for so long. Where the send buffer is what is small, the program could not have done more. Says
    /// whether the window came down.
    fn decay_cwnd(&mut self, cx: &Context<'_>) -> bool {
        // Probes of a closed window say nothing of it either.
        let calm = self.recovery.phase() == Phase::Open && self.snd.wnd > 0;
        if self.is.contains(Is::NO_SPACE)
            || !calm
            || cx.now.nanos_since(self.cwnd_used) < self.rtt.rto_nanos()
        {
            return false;
        }
        self.cwnd_used = cx.now;
        self.congestion.on_event(CongestionEvent::Unused, self.snd.peak.0, cx.now);
        true
    }

    /// Whether the window may grow for what is acknowledged now: it was full, or is in slow start and less than twice
    /// what was used of it, so that a program which pauses is not kept from the next step.
    pub(in crate::tcp) fn uses_cwnd(&self) -> bool {
        self.is.contains(Is::CWND_LIMITED) || self.half_fills(self.cwnd())
    }

    /// Whether more than half of this window was used, in slow start.
    #[inline]
    fn half_fills(&self, cwnd: u32) -> bool {
        cwnd < self.snd.peak.0.saturating_mul(2)
            && cwnd < self.congestion.ssthresh()
            && !self.congestion.sizes_own_window()
    }
}
