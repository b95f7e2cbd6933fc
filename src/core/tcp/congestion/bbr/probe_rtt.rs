//! The round trip without a queue, and ProbeRTT, which drains the queue to see it (§5.3.4, §5.5.7).

use super::{AckPhase, Bbr, Is, Phase, RateSample};
use crate::time::Duration;

/// ProbeRTTInterval: how old a round trip may be before it is looked for. All flows must have the same (§5.3.4.2).
const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);

/// How long little is in flight then.
const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);

/// MinRTTFilterLen.
const MIN_RTT_FILTER: Duration = Duration::from_secs(10);

/// ProbeRTTCwndGain, per cent.
const PROBE_RTT_CWND_GAIN: u64 = 50;

impl Bbr {
    /// UpdateMinRTT() (§5.3.4.3).
    ///
    /// Not to its letter, nor to §5.3.4.1: these take a sample that is less than the least, and here one that is the same is
    /// taken, too, and renews the time of it. It shows the path without a queue as well as the first did, which is what the filter
    /// is to pick up (§5.3.4.2); in the first draft it was so (draft-cardwell-iccrg-bbr-congestion-control-00). Its price: a flow
    /// that has the path for itself does not pause with others who look for theirs. Where round trips have any noise two are
    /// hardly ever the same to the nanosecond, and the text's rule is left. By a clock that ticks in milliseconds they are often
    /// the same: then a queue that is shorter than a tick is never drained for this, and is a part of the least.
    ///
    /// Until it expires, the time of `min_rtt` is renewed by such a sample alone, as that of ProbeRTT is also set when one ends,
    /// with none; then both are taken from ProbeRTT's, as in the text.
    pub(super) fn update_min_rtt(&mut self, rs: &RateSample) {
        let expired = self.now > self.probe_rtt_min_stamp + PROBE_RTT_INTERVAL;
        self.is.set(Is::PROBE_RTT_EXPIRED, expired);
        if let Some(rtt) = rs.rtt
            && (expired || self.probe_rtt_min_delay.is_none_or(|least| rtt <= least))
        {
            self.probe_rtt_min_delay = Some(rtt);
            self.probe_rtt_min_stamp = self.now;
        }
        let min_rtt_expired = self.now > self.min_rtt_stamp + MIN_RTT_FILTER;
        let renews = |delay, least| delay < least || delay == least && rs.rtt == Some(delay);
        if let Some(delay) = self.probe_rtt_min_delay
            && (min_rtt_expired || self.min_rtt.is_none_or(|least| renews(delay, least)))
        {
            self.min_rtt = Some(delay);
            self.min_rtt_stamp = self.probe_rtt_min_stamp;
        }
    }

    /// CheckProbeRTT().
    pub(super) fn check_probe_rtt(&mut self, rs: &RateSample) {
        let expired = self.is.contains(Is::PROBE_RTT_EXPIRED);
        if self.phase != Phase::ProbeRtt && expired && !self.is.contains(Is::IDLE_RESTART) {
            // While the phase is still another one: the window is to be remembered as it is.
            self.save_cwnd();
            self.phase = Phase::ProbeRtt;
            self.probe_rtt_done_stamp = None;
            self.ack_phase = AckPhase::ProbeStopping;
            self.start_round();
        }
        if self.phase == Phase::ProbeRtt {
            self.handle_probe_rtt();
        }
        if rs.delivered > 0 {
            self.is.remove(Is::IDLE_RESTART);
        }
    }

    /// HandleProbeRTT(). That rates do not count meanwhile, [`ignores_rates`](Self::ignores_rates) says.
    fn handle_probe_rtt(&mut self) {
        if self.probe_rtt_done_stamp.is_none() {
            if self.in_flight <= self.probe_rtt_cwnd() {
                self.probe_rtt_done_stamp = Some(self.now + PROBE_RTT_DURATION);
                self.is.remove(Is::PROBE_RTT_ROUND_DONE);
                self.start_round();
            }
        } else {
            if self.round_start() {
                self.is.insert(Is::PROBE_RTT_ROUND_DONE);
            }
            if self.is.contains(Is::PROBE_RTT_ROUND_DONE) {
                self.check_probe_rtt_done();
            }
        }
    }

    /// CheckProbeRTTDone().
    pub(super) fn check_probe_rtt_done(&mut self) {
        if self.probe_rtt_done_stamp.is_some_and(|done| self.now > done) {
            self.probe_rtt_min_stamp = self.now;
            self.restore_cwnd();
            self.exit_probe_rtt();
        }
    }

    /// ExitProbeRTT() (§5.3.4.4): the next probe for bandwidth is not yet due.
    fn exit_probe_rtt(&mut self) {
        self.reset_short_term_model();
        if self.full_bw_reached() {
            self.start_probe_bw_down();
            self.start_probe_bw_cruise();
        } else {
            self.enter_startup();
        }
    }

    /// ProbeRTTCwnd() (§5.6.4.5).
    pub(super) fn probe_rtt_cwnd(&self) -> u32 {
        self.bdp_multiple(self.bw, PROBE_RTT_CWND_GAIN).max(self.min_pipe_cwnd())
    }
}
