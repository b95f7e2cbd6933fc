//! What losses say of the path: bounds for now and for longer, and what is given back of them (§5.5.10, §5.5.11).

use super::{
    AckPhase, BETA, Bbr, Is, LOSS_THRESH, LostPacket, Phase, RateSample, Undo, max_bound, narrow, per_cent,
};

impl Bbr {
    /// UpdateLatestDeliverySignals() (§5.5.10.3).
    pub(super) fn update_latest_delivery_signals(&mut self, rs: &RateSample) {
        self.bw_latest = self.bw_latest.max(rs.delivery_rate);
        self.inflight_latest = self.inflight_latest.max(rs.delivered);
        let over = rs.prior_delivered >= self.loss_round_delivered;
        if over {
            self.loss_round_delivered = self.delivered;
        }
        self.is.set(Is::LOSS_ROUND_START, over);
    }

    /// AdvanceLatestDeliverySignals().
    pub(super) fn advance_latest_delivery_signals(&mut self, rs: &RateSample) {
        if self.is.contains(Is::LOSS_ROUND_START) {
            self.bw_latest = rs.delivery_rate;
            self.inflight_latest = rs.delivered;
        }
    }

    /// ResetCongestionSignals().
    pub(super) fn reset_congestion_signals(&mut self) {
        self.is.remove(Is::LOSS_IN_ROUND);
        self.bw_latest = 0;
        self.inflight_latest = 0;
    }

    /// UpdateCongestionSignals().
    pub(super) fn update_congestion_signals(&mut self, rs: &RateSample) {
        self.update_max_bw(rs);
        if self.is.contains(Is::LOSS_ROUND_START) {
            self.adapt_lower_bounds_from_congestion();
            self.is.remove(Is::LOSS_IN_ROUND);
        }
    }

    /// AdaptLowerBoundsFromCongestion(): once for each round with a loss, where it is no probe that caused it.
    fn adapt_lower_bounds_from_congestion(&mut self) {
        if self.phase.probes_bandwidth() || !self.is.contains(Is::LOSS_IN_ROUND) {
            return;
        }
        let bw = self.bw_shortterm.unwrap_or(self.max_bw.get());
        self.bw_shortterm = Some(self.bw_latest.max(per_cent(bw, BETA)));
        let inflight = self.inflight_shortterm.unwrap_or(self.cwnd);
        self.inflight_shortterm = Some(self.inflight_latest.max(narrow(per_cent(inflight.into(), BETA))));
    }

    /// ResetShortTermModel().
    pub(super) const fn reset_short_term_model(&mut self) {
        self.bw_shortterm = None;
        self.inflight_shortterm = None;
    }

    /// IsInflightTooHigh(): more was `lost` of what was in flight than is tolerated.
    pub(super) fn is_inflight_too_high(&self, lost: u32, tx_in_flight: u32) -> bool {
        u64::from(lost) * 100 > u64::from(tx_in_flight) * LOSS_THRESH
            || (lost > 0 && !self.is.contains(Is::SELECTIVE))
    }

    /// NoteLoss().
    pub(super) fn note_loss(&mut self) {
        if !self.is.contains(Is::LOSS_IN_ROUND) {
            self.loss_round_delivered = self.delivered;
            self.save_state_once();
        }
        self.is.insert(Is::LOSS_IN_ROUND);
    }

    /// HandleLostPacket() (§5.5.10.2).
    ///
    /// Not to its letter: there all that is deemed lost after Refill counts, and here only what was sent in the probe; and that is
    /// from Refill on where something was lost between probes before ([`Is::LOST_BEFORE`]), else from Up on. Refill begins with no
    /// more in flight than Cruise left. Where that lost nothing, a loss then mostly says that another's probe has filled the queue;
    /// to take it for what the path carries gives the other for good the headroom that it was only lent. Flows pause together
    /// (§5.3.4.2), so they probe within a second of each other; where round trips are long their probes overlap, and which was
    /// first decided of shares as much as all that brings them together.
    ///
    /// Its price: where Refill itself is too much, as it may be (§5.3.3.3), that shows a round trip later.
    pub(super) fn handle_lost_packet(&mut self, packet: &LostPacket) {
        self.note_loss();
        if self.is_between_probes() && packet.prior_delivered >= self.down_delivered {
            self.is.insert(Is::LOST_BEFORE);
        }
        if packet.prior_delivered < self.probe_delivered {
            return;
        }
        self.probe_lost = self.probe_lost.saturating_add(packet.octets);
        let lost = self.lost_of_probe(packet.lost, packet.prior_delivered);
        if self.is.contains(Is::BW_PROBE_SAMPLE) && self.is_inflight_too_high(lost, packet.tx_in_flight) {
            let inflight = inflight_at_loss(&LostPacket { lost, ..*packet });
            self.handle_inflight_too_high(inflight, packet.is_app_limited);
        }
    }

    /// Of `lost` octets deemed lost since something was sent those that the probe sent, where it sent that, too.
    ///
    /// Losses come to be known in about the order of sending: when that was sent, either nothing of the probe was deemed lost yet,
    /// or all that was sent before the probe and lost was.
    pub(super) fn lost_of_probe(&self, lost: u32, prior_delivered: u64) -> u32 {
        if prior_delivered >= self.probe_delivered { lost.min(self.probe_lost) } else { lost }
    }

    const fn is_between_probes(&self) -> bool {
        matches!(self.phase, Phase::Down | Phase::Cruise)
    }

    /// A loss or a mark of something of which is not known when it was sent. Once something that Down sent has been acknowledged it
    /// was since then: a mark is of what arrived later, and a tail is what was sent last.
    pub(super) fn note_stampless_loss(&mut self) {
        if self.is_between_probes() && self.ack_phase == AckPhase::Init {
            self.is.insert(Is::LOST_BEFORE);
        }
    }

    /// The peer reports a mark: it is taken as a loss of more than is tolerated (§3.7).
    ///
    /// Of whatever was sent, in Refill or before, too: it cannot be told apart. The echo of RFC 3168 does not say which packet was
    /// marked, nor do the counters of RFC 9768; and only the first of a window of data is told of here, so to wait for one that
    /// is a probe's for sure might be to answer none.
    pub(super) fn handle_mark(&mut self, in_flight: u32) {
        self.note_loss();
        self.note_stampless_loss();
        if self.phase == Phase::Startup {
            self.leave_startup_by_loss();
        } else if self.is.contains(Is::BW_PROBE_SAMPLE) {
            self.handle_inflight_too_high(in_flight, false);
        }
    }

    /// HandleInflightTooHigh(): once for each probe.
    fn handle_inflight_too_high(&mut self, inflight: u32, is_app_limited: bool) {
        self.is.insert(Is::PREV_PROBE_TOO_HIGH);
        self.is.remove(Is::BW_PROBE_SAMPLE);
        if !is_app_limited {
            let least = narrow(per_cent(self.target_inflight().into(), BETA));
            self.inflight_longterm = Some(inflight.max(least));
        }
        if self.phase == Phase::Up {
            self.undo.phase = Some(Phase::Up);
            self.start_probe_bw_down();
            // No ACK began it: what left since the last one is Up's.
            self.down_delivered += 1;
        }
    }

    /// SaveStateUponLoss(), once a round: a probe that this loss ended must not be forgotten when recovery begins.
    pub(super) fn save_state_once(&mut self) {
        if self.undo.round == self.round_count && self.undo.saved {
            return;
        }
        self.save_cwnd();
        self.undo = Undo {
            phase: None,
            bw_shortterm: self.bw_shortterm,
            inflight_shortterm: self.inflight_shortterm,
            inflight_longterm: self.inflight_longterm,
            round: self.round_count,
            lost_before: self.is.contains(Is::LOST_BEFORE),
            saved: true,
        };
    }

    /// HandleSpuriousLossDetection() (§5.5.11.2).
    pub(super) fn handle_spurious_loss_detection(&mut self) {
        if !self.undo.saved {
            return;
        }
        self.restore_cwnd();
        self.is.remove(Is::LOSS_IN_ROUND);
        self.reset_full_bw();
        self.bw_shortterm = max_bound(self.bw_shortterm, self.undo.bw_shortterm);
        self.inflight_shortterm = max_bound(self.inflight_shortterm, self.undo.inflight_shortterm);
        self.inflight_longterm = max_bound(self.inflight_longterm, self.undo.inflight_longterm);
        if !self.undo.lost_before {
            self.is.remove(Is::LOST_BEFORE);
        }
        match self.undo.phase {
            Some(Phase::Startup) if self.phase != Phase::Startup => {
                self.is.remove(Is::FULL_BW_REACHED);
                if self.phase != Phase::ProbeRtt {
                    self.enter_startup();
                }
            }
            Some(Phase::Up) if !matches!(self.phase, Phase::Up | Phase::ProbeRtt) => {
                // The probe that goes on began with it.
                self.is.set(Is::LOST_BEFORE, self.undo.lost_before);
                self.start_probe_bw_refill();
            }
            _ => {}
        }
        self.undo.phase = None;
        self.undo.saved = false;
    }
}

/// InflightAtLoss(): at what prefix of the burst losses came to be too many.
pub(super) fn inflight_at_loss(packet: &LostPacket) -> u32 {
    let before = u64::from(packet.tx_in_flight.saturating_sub(packet.octets));
    let lost_before = u64::from(packet.lost.saturating_sub(packet.octets));
    let prefix = (LOSS_THRESH * before).saturating_sub(100 * lost_before) / (100 - LOSS_THRESH);
    narrow(before + prefix)
}
