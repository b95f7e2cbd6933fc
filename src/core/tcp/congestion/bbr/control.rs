//! From the model to what is done: the pacing rate, the burst, the window (§5.6).

use super::{Bbr, Phase, RateSample, min_bound, narrow, per_cent, volume};
use crate::time::Duration;

/// 100 less PacingMarginPercent.
const PACING_MARGIN: u64 = 99;

/// The largest burst, octets.
const MAX_QUANTUM: u64 = 64 << 10;

impl Bbr {
    /// pacing_gain, per cent (§5.6.1).
    const fn pacing_gain(&self) -> u64 {
        match self.phase {
            // 4 · ln 2, which doubles the rate each round.
            Phase::Startup => 277,
            Phase::Drain => 50,
            Phase::Down => 90,
            Phase::Cruise | Phase::Refill | Phase::ProbeRtt => 100,
            Phase::Up => 125,
        }
    }

    /// cwnd_gain, per cent (§5.6.1).
    const fn cwnd_gain(&self) -> u64 {
        match self.phase {
            Phase::Startup | Phase::Drain | Phase::Down | Phase::Cruise | Phase::Refill => 200,
            Phase::Up => 225,
            Phase::ProbeRtt => 50,
        }
    }

    /// InitPacingRate() (§5.6.2): a window each round trip, of 1 ms where none is known.
    pub(super) fn init_pacing_rate(&mut self, rtt: Option<Duration>) {
        let rtt = rtt.filter(|rtt| !rtt.is_zero()).unwrap_or(Duration::from_millis(1));
        let nanos = u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX);
        let nominal = u64::from(self.initial_window()) * 1_000_000_000 / nanos;
        self.pacing_rate = per_cent(nominal, self.pacing_gain()).max(self.least_rate());
        self.set_send_quantum();
    }

    /// One segment a second: however little was delivered, something leaves that can bring a better sample.
    fn least_rate(&self) -> u64 {
        self.mss.into()
    }

    /// SetPacingRateWithGain(): before the pipe was full once, only upwards.
    pub(super) fn set_pacing_rate_with_gain(&mut self, gain: u64) {
        if self.bw == 0 {
            return;
        }
        let rate = per_cent(per_cent(self.bw, gain), PACING_MARGIN).max(self.least_rate());
        if self.full_bw_reached() || rate > self.pacing_rate {
            self.pacing_rate = rate;
        }
    }

    /// SetPacingRate().
    pub(super) fn set_pacing_rate(&mut self) {
        self.set_pacing_rate_with_gain(self.pacing_gain());
    }

    /// SetSendQuantum() (§5.6.3): what leaves in a millisecond.
    pub(super) fn set_send_quantum(&mut self) {
        let octets = volume(self.pacing_rate, Duration::from_millis(1)).min(MAX_QUANTUM);
        self.send_quantum = narrow(octets).max(self.mss.saturating_mul(2));
    }

    /// QuantizationBudget() (§5.6.4.2), with the offload budget of TCP (§5.5.8.1).
    pub(super) fn quantization_budget(&self, inflight: u32) -> u32 {
        let inflight = inflight.max(self.send_quantum.saturating_mul(3)).max(self.min_pipe_cwnd());
        match self.phase {
            Phase::Up => inflight.saturating_add(self.mss.saturating_mul(2)),
            _ => inflight,
        }
    }

    /// UpdateMaxInflight().
    fn max_inflight(&self) -> u32 {
        let bdp = self.bdp_multiple(self.bw, self.cwnd_gain());
        self.quantization_budget(bdp.saturating_add(self.extra_acked()))
    }

    /// SetCwnd() (§5.6.4.6).
    pub(super) fn set_cwnd(&mut self, rs: &RateSample) {
        let most = self.max_inflight();
        let grown = self.cwnd.saturating_add(rs.newly_acked);
        if self.full_bw_reached() {
            self.cwnd = grown.min(most);
        } else if self.cwnd < most || self.delivered < u64::from(self.initial_window()) {
            self.cwnd = grown;
        }
        self.cwnd = self.cwnd.max(self.min_pipe_cwnd());
        if self.phase == Phase::ProbeRtt {
            self.cwnd = self.cwnd.min(self.probe_rtt_cwnd());
        }
        self.bound_cwnd_for_model();
    }

    /// BoundCwndForModel() (§5.6.4.7).
    fn bound_cwnd_for_model(&mut self) {
        let cap = match self.phase {
            Phase::Down | Phase::Refill | Phase::Up => self.inflight_longterm,
            Phase::Cruise | Phase::ProbeRtt => self.inflight_with_headroom(),
            Phase::Startup | Phase::Drain => None,
        };
        let cap = min_bound(cap.unwrap_or(u32::MAX), self.inflight_shortterm).max(self.min_pipe_cwnd());
        self.cwnd = self.cwnd.min(cap);
    }

    /// SaveCwnd() (§5.6.4.4): the latest that neither recovery nor ProbeRTT had modulated.
    pub(super) fn save_cwnd(&mut self) {
        self.prior_cwnd = if !self.in_loss_recovery() && self.phase != Phase::ProbeRtt {
            self.cwnd
        } else {
            self.prior_cwnd.max(self.cwnd)
        };
    }

    /// RestoreCwnd().
    pub(super) fn restore_cwnd(&mut self) {
        self.cwnd = self.cwnd.max(self.prior_cwnd);
    }
}
