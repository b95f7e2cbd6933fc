//! Whether the congestion window is what limits a connection. One that was not used says nothing about the path, and
//! must not grow on its own account (RFC 7661 §1.1, RFC 9438 §4.6).

use crate::tcp::tcb::{Is, Tcb};

impl Tcb {
    /// Something has left. Once a round trip the window is judged anew; before that only by what is worse: that it is
    /// full, or that more is in flight than ever since.
    pub(super) fn judge_cwnd(&mut self) {
        let in_flight = self.in_flight();
        let full = in_flight.saturating_add(self.smss()) > self.cwnd();
        let (peak, judged) = self.snd.peak;
        let more = !self.is.contains(Is::CWND_LIMITED) && in_flight > peak;
        if full || more || self.snd.una.at_or_after(judged) {
            self.is.set(Is::CWND_LIMITED, full);
            self.snd.peak = (in_flight, self.snd.nxt);
        }
    }

    /// Whether the window may grow for what is acknowledged now: it was full, or is in slow start and less than twice
    /// what was used of it, so that a program which pauses is not kept from the next step.
    pub(in crate::tcp) fn uses_cwnd(&self) -> bool {
        let cwnd = self.cwnd();
        let slow_start = cwnd < self.congestion.ssthresh();
        self.is.contains(Is::CWND_LIMITED) || (slow_start && cwnd < self.snd.peak.0.saturating_mul(2))
    }
}
