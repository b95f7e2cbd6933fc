//! ProbeBW: slower, as fast, and faster than the network delivers, in turn (§5.3.3).

use super::{AckPhase, Bbr, HEADROOM, Is, Phase, RateSample, narrow, per_cent};
use crate::time::Duration;

/// The shortest wall-clock time between probes; up to a second more is drawn (§5.3.3.8).
const PROBE_WAIT: Duration = Duration::from_secs(2);

/// Round trips after which a flow of Reno would have grown as much, at the most.
const RENO_ROUNDS: u32 = 63;

impl Bbr {
    /// StartProbeBW_DOWN().
    pub(super) fn start_probe_bw_down(&mut self) {
        if !self.is.contains(Is::PREV_PROBE_PRECAUTIONARY) {
            self.is.remove(Is::LOST_BEFORE);
        }
        self.down_delivered = self.delivered;
        self.reset_congestion_signals();
        self.probe_up_acked_per_inc = None;
        self.pick_probe_wait();
        self.cycle_stamp = self.now;
        self.ack_phase = AckPhase::ProbeStopping;
        self.start_round();
        self.phase = Phase::Down;
    }

    /// StartProbeBW_CRUISE().
    pub(super) const fn start_probe_bw_cruise(&mut self) {
        self.phase = Phase::Cruise;
    }

    /// StartProbeBW_REFILL().
    pub(super) fn start_probe_bw_refill(&mut self) {
        self.start_probe_losses();
        self.reset_short_term_model();
        self.bw_probe_up_rounds = 0;
        self.bw_probe_up_acked = 0;
        self.is.remove(Is::PREV_PROBE_PRECAUTIONARY);
        self.ack_phase = AckPhase::Refilling;
        self.start_round();
        self.phase = Phase::Refill;
    }

    /// StartProbeBW_UP().
    fn start_probe_bw_up(&mut self, rs: &RateSample) {
        self.ack_phase = AckPhase::ProbeStarting;
        self.start_round();
        self.reset_full_bw();
        self.full_bw = rs.delivery_rate;
        if !self.is.contains(Is::LOST_BEFORE) {
            self.start_probe_losses();
        }
        self.phase = Phase::Up;
        self.raise_inflight_longterm_slope();
    }

    /// What is sent from here on is the probe's, and so is what is lost of it.
    const fn start_probe_losses(&mut self) {
        self.probe_delivered = self.delivered;
        self.probe_lost = 0;
    }

    /// UpdateProbeBWCyclePhase() (§5.3.3.9). So much was in flight before the acknowledgment.
    pub(super) fn update_probe_bw_cycle_phase(&mut self, rs: &RateSample, before: u32) {
        if !self.full_bw_reached() || self.adapt_long_term_model(rs) {
            return;
        }
        match self.phase {
            Phase::Down => {
                if !self.is_time_to_probe_bw() && self.is_time_to_cruise() {
                    self.start_probe_bw_cruise();
                }
            }
            Phase::Cruise => {
                self.is_time_to_probe_bw();
            }
            Phase::Refill => {
                if self.round_start() {
                    self.is.insert(Is::BW_PROBE_SAMPLE);
                    self.start_probe_bw_up(rs);
                }
            }
            Phase::Up => {
                if self.is_time_to_go_down(rs, before) {
                    self.is.remove(Is::PREV_PROBE_TOO_HIGH);
                    self.start_probe_bw_down();
                }
            }
            Phase::Startup | Phase::Drain | Phase::ProbeRtt => {}
        }
    }

    /// IsTimeToProbeBW().
    fn is_time_to_probe_bw(&mut self) -> bool {
        let elapsed = self.now > self.cycle_stamp + self.bw_probe_wait;
        let due = elapsed || self.is_reno_coexistence_probe_time();
        if due {
            self.start_probe_bw_refill();
        }
        due
    }

    /// PickProbeWait().
    pub(super) fn pick_probe_wait(&mut self) {
        let drawn = self.draw();
        self.rounds_since_probe_up = (drawn & 1) as u32;
        self.bw_probe_wait = PROBE_WAIT + Duration::from_nanos((drawn >> 1) % 1_000_000_000);
    }

    /// IsRenoCoexistenceProbeTime().
    fn is_reno_coexistence_probe_time(&self) -> bool {
        let rounds = (self.target_inflight() / self.mss).min(RENO_ROUNDS);
        self.rounds_since_probe_up >= rounds
    }

    /// IsTimeToCruise().
    fn is_time_to_cruise(&self) -> bool {
        self.inflight_with_headroom().is_none_or(|most| self.in_flight <= most)
            && self.in_flight <= self.inflight(self.max_bw.get(), 100)
    }

    /// IsTimeToGoDown() (§5.3.3.7).
    fn is_time_to_go_down(&mut self, rs: &RateSample, before: u32) -> bool {
        let reached = |n: u32| self.inflight_longterm.is_some_and(|bound| n >= bound);
        // Not to the letter of §5.3.3.9, which has what is in flight now: a cautious probe ends as soon as so much is (§5.3.3.6).
        // The window is no larger, and what is in flight now has just come down by what is acknowledged or deemed lost: it is
        // what was in flight before that reaches the bound, or comes as close to it as whole segments can.
        let next = before.saturating_add(self.mss - 1);
        if self.is.contains(Is::PREV_PROBE_TOO_HIGH) && reached(next) {
            self.is.insert(Is::PREV_PROBE_PRECAUTIONARY);
            return true;
        }
        if self.is.contains(Is::CWND_LIMITED) && reached(self.cwnd) {
            self.reset_full_bw();
            self.full_bw = rs.delivery_rate;
            return false;
        }
        self.is.contains(Is::FULL_BW_NOW)
    }

    /// InflightWithHeadroom(): leaves some of what others could use.
    pub(super) fn inflight_with_headroom(&self) -> Option<u32> {
        let bound = self.inflight_longterm?;
        let headroom = narrow(per_cent(bound.into(), HEADROOM)).max(self.mss);
        Some(bound.saturating_sub(headroom).max(self.min_pipe_cwnd()))
    }

    /// RaiseInflightLongtermSlope(): in each round of a probe twice as much as in the one before.
    fn raise_inflight_longterm_slope(&mut self) {
        let growth = 1 << self.bw_probe_up_rounds;
        self.bw_probe_up_rounds = (self.bw_probe_up_rounds + 1).min(30);
        self.probe_up_acked_per_inc = Some((self.cwnd / growth).max(self.mss));
    }

    /// ProbeInflightLongtermUpward().
    fn probe_inflight_longterm_upward(&mut self, bound: u32, rs: &RateSample) {
        if !self.is.contains(Is::CWND_LIMITED) || self.cwnd < bound {
            return;
        }
        self.bw_probe_up_acked = self.bw_probe_up_acked.saturating_add(rs.newly_acked);
        if let Some(each) = self.probe_up_acked_per_inc.filter(|&each| self.bw_probe_up_acked >= each) {
            let delta = self.bw_probe_up_acked / each;
            self.bw_probe_up_acked %= each;
            self.inflight_longterm = Some(bound.saturating_add(delta.saturating_mul(self.mss)));
        }
        if self.round_start() {
            self.raise_inflight_longterm_slope();
        }
    }

    /// AdaptLongTermModel(): whether it decided where to go.
    fn adapt_long_term_model(&mut self, rs: &RateSample) -> bool {
        if self.ack_phase == AckPhase::ProbeStarting && self.round_start() {
            self.ack_phase = AckPhase::ProbeFeedback;
        }
        if self.ack_phase == AckPhase::ProbeStopping && self.round_start() {
            self.is.remove(Is::BW_PROBE_SAMPLE);
            self.ack_phase = AckPhase::Init;
            if self.phase.is_probe_bw() {
                if !rs.is_app_limited {
                    self.max_bw.advance();
                }
                let precautionary = self.is.contains(Is::PREV_PROBE_PRECAUTIONARY);
                if precautionary && !self.is.contains(Is::PREV_PROBE_TOO_HIGH) {
                    self.start_probe_bw_refill();
                    return true;
                }
                // None follows at once: what was lost before the last one is no more than that. A loss of Down's own
                // that the ACK which ends its first round tells of is forgotten with it: a window of one ACK.
                if precautionary {
                    self.is.remove(Is::LOST_BEFORE);
                }
            }
        }
        let lost = self.lost_of_probe(rs.lost, rs.prior_delivered);
        if !self.is_inflight_too_high(lost, rs.tx_in_flight)
            && let Some(bound) = self.inflight_longterm
        {
            let bound = bound.max(rs.tx_in_flight);
            self.inflight_longterm = Some(bound);
            if self.phase == Phase::Up {
                self.probe_inflight_longterm_upward(bound, rs);
            }
        }
        false
    }
}
