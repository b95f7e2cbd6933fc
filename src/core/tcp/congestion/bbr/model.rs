//! The model of the path: rounds, bandwidth, the degree of aggregation (§5.5.1 to 5.5.9).

use super::{Bbr, Is, RateSample, filter, narrow, per_cent, volume};

impl Bbr {
    /// UpdateRound() (§5.5.1).
    fn update_round(&mut self, rs: &RateSample) {
        let over = rs.prior_delivered >= self.next_round_delivered;
        if over {
            self.start_round();
            self.round_count = self.round_count.saturating_add(1);
            self.rounds_since_probe_up = self.rounds_since_probe_up.saturating_add(1);
        }
        self.is.set(Is::ROUND_START, over);
    }

    /// StartRound().
    pub(super) const fn start_round(&mut self) {
        self.next_round_delivered = self.delivered;
    }

    pub(super) fn round_start(&self) -> bool {
        self.is.contains(Is::ROUND_START)
    }

    /// UpdateMaxBw() (§5.5.5). A rate that the program limited counts where it is higher all the same.
    pub(super) fn update_max_bw(&mut self, rs: &RateSample) {
        self.update_round(rs);
        if rs.delivery_rate > 0 && (rs.delivery_rate >= self.max_bw.get() || !rs.is_app_limited) {
            self.max_bw.update(rs.delivery_rate);
        }
    }

    /// BoundBWForModel().
    pub(super) fn bound_bw_for_model(&mut self) {
        self.bw = self.max_bw.get().min(self.bw_shortterm.unwrap_or(u64::MAX));
    }

    /// UpdateACKAggregation() (§5.5.9).
    pub(super) fn update_ack_aggregation(&mut self, rs: &RateSample) {
        let interval = self.now.saturating_since(self.extra_acked_interval_start);
        let mut expected = volume(self.bw, interval);
        if self.extra_acked_delivered <= expected {
            self.extra_acked_delivered = 0;
            self.extra_acked_interval_start = self.now;
            expected = 0;
        }
        self.extra_acked_delivered = self.extra_acked_delivered.saturating_add(rs.newly_acked.into());
        let extra = self.extra_acked_delivered.saturating_sub(expected).min(self.cwnd.into());
        self.extra_acked.update(self.round_count, narrow(extra));
    }

    /// extra_acked: over one round trip in Startup, over ten later.
    pub(super) fn extra_acked(&self) -> u32 {
        self.extra_acked.get(if self.full_bw_reached() { filter::ROUNDS } else { 1 })
    }

    /// BDPMultiple() for a bandwidth (§5.6.4.2).
    pub(super) fn bdp_multiple(&self, bw: u64, gain: u64) -> u32 {
        match self.min_rtt {
            None => self.initial_window(),
            Some(rtt) => narrow(per_cent(volume(bw, rtt), gain)),
        }
    }

    /// Inflight() for a bandwidth (§5.6.4.2).
    pub(super) fn inflight(&self, bw: u64, gain: u64) -> u32 {
        self.quantization_budget(self.bdp_multiple(bw, gain))
    }

    /// TargetInflight() (§5.3.3.8): the estimated BDP, unless congestion cut the window.
    pub(super) fn target_inflight(&self) -> u32 {
        self.bdp_multiple(self.bw, 100).min(self.cwnd)
    }
}
