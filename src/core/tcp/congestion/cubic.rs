//! CUBIC (RFC 9438), with HyStart++ (RFC 9406) for the first slow start.

use super::hystart::Watch;
use super::window::{Factor, Window};
use super::{AckSample, CongestionEvent, Settings, Start};
use crate::time::Instant;

mod curve;

#[cfg(test)]
mod tests;

use curve::{Curve, Ticks};

//= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
//= id=rfc9438-4.6-2
//# The parameter β__cubic_ SHOULD be set to 0.7
const BETA: Factor = Factor(7, 10);

/// β_ecn of RFC 8511 §3.1 for CUBIC.
const BETA_ECN: Factor = Factor(17, 20);

/// (1 + β_cubic) / 2: what fast convergence leaves of W_max (§4.7).
const CONVERGENCE: Factor = Factor(17, 20);

/// α_cubic = 3·(1 − β_cubic)/(1 + β_cubic) (§4.3).
const ALPHA: (u64, u64) = (9, 17);

/// Bits of W_est behind the octets: what one acknowledgment adds may be less than an octet.
const FRACTION: u32 = 16;

/// The algorithm's state. All windows in octets: where the RFC counts segments, SMSS is brought in.
#[derive(Clone, Debug)]
pub struct Cubic {
    window: Window,
    path: Path,
    /// The state before the last reduction, to be given back if that was none (§4.9.2).
    undo: Option<(Window, Path)>,
    hystart: Watch,
    settings: Settings,
}

/// What CUBIC remembers of the path.
#[derive(Clone, Copy, Debug, Default)]
struct Path {
    /// W_max; `None` where the next stage begins with what there is (§4.8, §4.10).
    w_max: Option<u32>,
    /// cwnd_prior: the window when ssthresh was last set.
    cwnd_prior: u32,
    stage: Option<Stage>,
}

/// A congestion avoidance stage.
#[derive(Clone, Copy, Debug)]
struct Stage {
    curve: Curve,
    /// t_epoch: later than it was by what does not count (§4.2).
    epoch: Instant,
    /// The last acknowledgment.
    last: Instant,
    /// Nothing was underway after it.
    drained: bool,
    /// W_est with its fraction.
    w_est: u64,
    /// What is left of growth, octets·octets below cwnd.
    remainder: u64,
}

impl Cubic {
    pub(super) fn new(start: &Start) -> Self {
        Self {
            window: Window::new(start),
            path: Path::default(),
            undo: None,
            hystart: Watch::new(start.settings.hystart),
            settings: start.settings,
        }
    }

    pub(super) const fn cwnd(&self) -> u32 {
        self.window.cwnd
    }

    pub(super) const fn ssthresh(&self) -> u32 {
        self.window.ssthresh
    }

    pub(super) fn on_ack(&mut self, sample: &AckSample) {
        if sample.reducing {
            return;
        }
        let first = self.window.ssthresh == u32::MAX;
        if first && self.hystart.before_growth(sample, self.window.cwnd / self.window.mss) {
            self.end_slow_start();
        }
        if !sample.cwnd_limited {
            self.stand_still(sample);
        } else if self.window.in_slow_start() {
            //= https://www.rfc-editor.org/rfc/rfc9438#section-4.10
            //= id=rfc9438-4.10-1
            //# When _cwnd_ is no more than _ssthresh_, CUBIC MUST employ a slow start algorithm.
            //= https://www.rfc-editor.org/rfc/rfc9438#section-4.10
            //= id=rfc9438-4.10-2
            //= https://www.rfc-editor.org/rfc/rfc9406#section-4.3
            //= id=rfc9406-4.3-5
            //# An implementation SHOULD use HyStart++ only for the initial slow start
            let divisor = if first { self.hystart.divisor() } else { 1 };
            let rest = self.window.slow_start(sample.acked, sample.after_timeout, divisor);
            if rest > 0 {
                self.avoid(rest, sample);
            }
        } else {
            self.avoid(sample.acked, sample);
        }
        if first && self.window.in_slow_start() && self.hystart.after_growth(sample) {
            self.end_slow_start();
        }
    }

    /// Without a loss W_max is not known: K = 0, and the curve begins with the window there is (§4.10).
    //= https://www.rfc-editor.org/rfc/rfc9438#section-4.10
    //= id=rfc9438-4.10-s1
    //# In this special case, CUBIC sets _cwnd_prior = cwnd_ and switches to congestion avoidance.
    //= https://www.rfc-editor.org/rfc/rfc9406#section-4.2
    //= id=rfc9406-4.2-s5
    fn end_slow_start(&mut self) {
        self.window.ssthresh = self.window.cwnd;
        self.path.cwnd_prior = self.window.cwnd;
        self.path.w_max = None;
    }

    /// The window was not what limits: t does not go on.
    //= https://www.rfc-editor.org/rfc/rfc9438#section-4.2
    //= id=rfc9438-4.2-1
    //# The elapsed time _t_ in Figure 1 MUST NOT include periods during which _cwnd_ has not been updated
    //# due to application-limited behavior
    fn stand_still(&mut self, sample: &AckSample) {
        if let Some(stage) = &mut self.path.stage {
            stage.epoch += sample.now.saturating_since(stage.last);
            stage.seen(sample);
        }
    }

    /// Congestion avoidance: `acked` octets were acknowledged.
    ///
    /// The RFC adds (target − cwnd)/cwnd for each acknowledgment. It is added for each segment acknowledged, as in
    /// Linux, so that the
    /// target is reached in a round trip however many segments an acknowledgment covers.
    fn avoid(&mut self, acked: u32, sample: &AckSample) {
        let Self { window, path, .. } = self;
        let stage = path.stage.get_or_insert_with(|| {
            let w_max = path.w_max.unwrap_or(window.cwnd);
            Stage::new(Curve::new(window.cwnd, w_max, window.mss), window.cwnd, sample.now)
        });
        stage.skip_silence(sample);
        stage.seen(sample);
        let t = Ticks::of(sample.now.saturating_since(stage.epoch));
        let cwnd = u64::from(window.cwnd.max(1));
        let acked = u64::from(acked);

        // Figure 4, in octets.
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.3
        //= id=rfc9438-4.3-2
        let (part, whole) =
            if stage.w_est >> FRACTION >= u64::from(path.cwnd_prior) { (1, 1) } else { ALPHA };
        let gain = (acked * u64::from(window.mss)).saturating_mul(part) / whole;
        stage.w_est = stage.w_est.saturating_add(scaled(gain, cwnd));

        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.3
        //= id=rfc9438-4.3-1
        //# If so, CUBIC is in the Reno-friendly region and _cwnd_ SHOULD be set to _W_est_ at each reception
        //# of a new ACK.
        let w_est = u32::try_from(stage.w_est >> FRACTION).unwrap_or(u32::MAX);
        if stage.curve.at(t) < w_est {
            // Where the curve has led beyond it already, the window stays: it grows only.
            window.cwnd = window.cwnd.max(w_est);
            return;
        }
        // Both regions, concave and convex.
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.4
        //= id=rfc9438-4.4-1
        //# In this region, _cwnd_ MUST be incremented by
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.5
        //= id=rfc9438-4.5-1
        //# In this region, _cwnd_ MUST be incremented by
        let ahead = stage.curve.at(t.and(Ticks::of(sample.srtt.unwrap_or_default())));
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.2
        //= id=rfc9438-4.2-s1
        let target = u64::from(ahead).clamp(cwnd, cwnd + cwnd / 2);
        let growth = stage.remainder + (target - cwnd) * acked;
        stage.remainder = growth % cwnd;
        window.cwnd = window.cwnd.saturating_add(u32::try_from(growth / cwnd).unwrap_or(u32::MAX));
    }

    pub(super) fn on_event(&mut self, event: CongestionEvent, in_flight: u32) {
        match event {
            //= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
            //= id=rfc9438-4.6-1
            //# In the case of packet loss, the sender MUST reduce _cwnd_ and _ssthresh_ immediately upon
            //# entering loss recovery, similar to [RFC5681] (and [RFC6675]).
            CongestionEvent::Loss => {
                self.congested(BETA);
                self.window.cwnd = self.window.ssthresh;
            }
            //= https://www.rfc-editor.org/rfc/rfc9438#section-4.6
            //= id=rfc9438-4.6-5
            //# Note that CUBIC MUST continue to reduce _cwnd_ in response to congestion events detected by
            //# ECN-Echo ACKs until it reaches a value of 1 SMSS.
            CongestionEvent::Ecn => {
                let factor = if self.window.abe { BETA_ECN } else { BETA };
                let reduced = factor.of(self.window.cwnd).max(self.window.mss);
                self.congested(factor);
                self.window.cwnd = reduced;
            }
            CongestionEvent::Timeout { first } => {
                if first {
                    self.congested(BETA);
                }
                //= https://www.rfc-editor.org/rfc/rfc9438#section-4.8
                //= id=rfc9438-4.8-s1
                // The next stage begins with the window that it finds.
                self.path.w_max = None;
                self.path.stage = None;
                self.window.cwnd = self.window.mss;
            }
            CongestionEvent::Idle => {
                self.window.restart();
                self.path.stage = None;
            }
            CongestionEvent::Unused => {
                self.window.decay(in_flight);
                self.path.stage = None;
            }
            CongestionEvent::MssChanged(mss) => {
                let factor = self.window.change_mss(mss);
                self.path.scale(factor);
                self.undo = None;
            }
            CongestionEvent::Undo => self.undo(),
        }
    }

    /// Figure 5, and §4.7 before it.
    ///
    /// It is the window that is reduced, not what was in flight, as §4.6 allows where a window that is not used does not grow
    /// (`output::usage`): what a program happens to have underway says little of what the path bears.
    //= https://www.rfc-editor.org/rfc/rfc9406#section-4.2
    //= id=rfc9406-4.2-s6
    fn congested(&mut self, factor: Factor) {
        self.undo = Some((self.window, self.path));
        let cwnd = self.window.cwnd;
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.7
        //= id=rfc9438-4.7-1
        //# To speed up this bandwidth release by existing flows, the following fast convergence mechanism
        //# SHOULD be implemented.
        let converging = self.settings.fast_convergence && self.path.w_max.is_some_and(|w_max| cwnd < w_max);
        self.path.w_max = Some(if converging { CONVERGENCE.of(cwnd) } else { cwnd });
        self.path.cwnd_prior = cwnd;
        self.path.stage = None;
        self.window.reduce(cwnd, factor);
    }

    /// As [`Congestion::on_overflow`](super::Congestion::on_overflow), after the loss was told.
    pub(super) fn on_overflow(&mut self) {
        let Some((before, _)) = &self.undo else { return };
        let first = before.ssthresh == u32::MAX;
        let borne = before.borne(before.cwnd, if first { self.hystart.divisor_of_round() } else { 1 });
        self.path.w_max = Some(borne);
        self.path.cwnd_prior = borne;
        self.path.stage = None;
        self.window.reduce(borne, BETA);
        self.window.cwnd = self.window.ssthresh;
    }

    //= https://www.rfc-editor.org/rfc/rfc9438#section-4.9.2
    //= id=rfc9438-4.9.2-s1
    //# CUBIC MAY restore the original values of the above-mentioned variables as follows if the current
    //# _cwnd_ is lower than _cwnd_prior_.
    fn undo(&mut self) {
        let Some((window, path)) = self.undo.take() else { return };
        //= https://www.rfc-editor.org/rfc/rfc9438#section-4.9.2
        //= id=rfc9438-4.9.2-1
        //# In rare cases, when the detection happens long after a spurious fast retransmit event and the
        //# current _cwnd_ is already higher than _cwnd_prior_, CUBIC SHOULD continue to use the current and
        //# the most recent values of these variables.
        // The window that is kept is cwnd_prior, but for an overflow, where that is less.
        if self.window.cwnd < window.cwnd {
            (self.window, self.path) = (window, path);
        }
    }

    pub(super) fn set_mss(&mut self, mss: u32) {
        let factor = self.window.set_mss(mss);
        self.path.scale(factor);
    }
}

impl Path {
    /// Segments became smaller: as many as before.
    fn scale(&mut self, factor: Factor) {
        self.w_max = self.w_max.map(|w_max| factor.of(w_max));
        self.cwnd_prior = factor.of(self.cwnd_prior);
        self.stage = None;
    }
}

impl Stage {
    //= https://www.rfc-editor.org/rfc/rfc9438#section-4.8
    //= id=rfc9438-4.8-1
    //# In addition, for the Reno-friendly region, _W_est_ SHOULD be set to the congestion window size at the
    //# beginning of the current congestion avoidance stage.
    const fn new(curve: Curve, cwnd: u32, now: Instant) -> Self {
        Self { curve, epoch: now, last: now, drained: false, w_est: (cwnd as u64) << FRACTION, remainder: 0 }
    }

    const fn seen(&mut self, sample: &AckSample) {
        self.last = sample.now;
        self.drained = sample.una.get() == sample.nxt.get();
    }

    /// Where nothing was underway, what passed beyond the round trip was silence, in which nothing could grow (§5.8).
    fn skip_silence(&mut self, sample: &AckSample) {
        if let (true, Some(rtt)) = (self.drained, sample.rtt.or(sample.srtt)) {
            self.epoch += sample.now.saturating_since(self.last).saturating_sub(rtt);
        }
    }
}

/// `gain` / `cwnd` with the fraction of W_est. Where it is so large that there is no room for one, it needs none.
fn scaled(gain: u64, cwnd: u64) -> u64 {
    match gain.checked_mul(1 << FRACTION) {
        Some(product) => product / cwnd,
        None => (gain / cwnd).saturating_mul(1 << FRACTION),
    }
}
