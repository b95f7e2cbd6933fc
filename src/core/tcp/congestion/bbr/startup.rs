//! Startup and Drain (§5.3.1, §5.3.2).

use super::{Bbr, Is, Phase, RateSample};

/// Ranges lost in a round trip that end Startup (StartupFullLossCnt).
const FULL_LOSS_COUNT: u16 = 6;

/// Rounds without growth that mean a full pipe.
const FULL_BW_COUNT: u8 = 3;

impl Bbr {
    /// EnterStartup().
    pub(super) const fn enter_startup(&mut self) {
        self.phase = Phase::Startup;
    }

    pub(super) fn full_bw_reached(&self) -> bool {
        self.is.contains(Is::FULL_BW_REACHED)
    }

    /// ResetFullBW().
    pub(super) fn reset_full_bw(&mut self) {
        self.full_bw = 0;
        self.full_bw_count = 0;
        self.is.remove(Is::FULL_BW_NOW);
    }

    /// CheckFullBWReached() (§5.3.1.2): three rounds in which the rate grew by less than a quarter.
    pub(super) fn check_full_bw_reached(&mut self, rs: &RateSample) {
        if self.is.contains(Is::FULL_BW_NOW) || !self.round_start() || rs.is_app_limited {
            return;
        }
        if rs.delivery_rate.saturating_mul(4) >= self.full_bw.saturating_mul(5) {
            self.reset_full_bw();
            self.full_bw = rs.delivery_rate;
            return;
        }
        self.full_bw_count += 1;
        if self.full_bw_count >= FULL_BW_COUNT {
            self.is.insert(Is::FULL_BW_NOW | Is::FULL_BW_REACHED);
        }
    }

    /// CheckStartupDone().
    pub(super) fn check_startup_done(&mut self, rs: &RateSample) {
        self.check_startup_high_loss(rs);
        if self.phase == Phase::Startup && self.full_bw_reached() {
            self.enter_drain();
        }
    }

    /// CheckStartupHighLoss() (§5.3.1.3): at the end of a round of recovery in which too much was lost, in many places.
    fn check_startup_high_loss(&mut self, rs: &RateSample) {
        let round_over = self.is.contains(Is::LOSS_ROUND_START);
        if self.phase == Phase::Startup && !self.full_bw_reached() && self.is.contains(Is::RECOVERING) {
            let sustained = round_over
                && self.lost_ranges >= FULL_LOSS_COUNT
                && self.is_inflight_too_high(rs.lost, rs.tx_in_flight);
            let blind = !rs.selective && (rs.newly_lost > 0 || self.lost_ranges > 0);
            if sustained || blind {
                self.leave_startup_by_loss();
            }
        }
        if round_over {
            self.lost_ranges = 0;
        }
    }

    pub(super) fn leave_startup_by_loss(&mut self) {
        self.undo.phase = Some(Phase::Startup);
        self.is.insert(Is::FULL_BW_REACHED);
        self.inflight_longterm = Some(self.bdp_multiple(self.bw, 100).max(self.inflight_latest));
    }

    /// EnterDrain().
    const fn enter_drain(&mut self) {
        self.phase = Phase::Drain;
        self.drain_start_round = self.round_count;
    }

    /// CheckDrainDone().
    pub(super) fn check_drain_done(&mut self) {
        let rounds = self.round_count.saturating_sub(self.drain_start_round);
        if self.phase == Phase::Drain && (self.in_flight <= self.inflight(self.bw, 100) || rounds > 3) {
            self.start_probe_bw_down();
        }
    }
}
