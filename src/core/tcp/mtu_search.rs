//! The range in which the path's size is looked for (RFC 4821 §7.1 to 7.3), and the probe under way.

use crate::config::TcpConfig;
use crate::seq::{Seq, SeqRange};
use crate::time::{Duration, Instant};

/// How often a size is tried whose probes are lost together with other segments or to a time-out, before it counts as
/// too large (MAX_PROBES of RFC 8899 §5.1.2).
const MAX_PROBES: u8 = 3;

/// In how many windows since it was raised a size may lose segments before it is taken back.
const MAX_LOSSES: u8 = 3;

/// What is known, sizes as of an MSS.
#[derive(Clone, Debug)]
pub struct Search {
    /// search_low: what the path is known or expected to carry.
    low: u16,
    /// search_high: the most that is worth a probe.
    high: u16,
    /// What device, peer and program allow.
    bound: u16,
    /// Whether search_high, or one more, has been tried and did not pass.
    failed: bool,
    /// Whether a probe has passed since the search began.
    passed: bool,
    /// The size of the next probe, if one may leave.
    next: Option<u16>,
    /// The probe under way; empty where none is.
    probe: SeqRange,
    /// Its size.
    size: u16,
    /// Probes of that size that ended without a verdict.
    attempts: u8,
    /// No probe before.
    not_before: Instant,
    /// Since when there is nothing left to find.
    converged: Option<Instant>,
    /// The size now in use, while it has to prove itself.
    trial: Option<Trial>,
}

/// A size that was raised lately (RFC 4821 §7.8).
#[derive(Clone, Copy, Debug)]
struct Trial {
    /// The size before.
    before: u16,
    /// SND.NXT when the window that is watched began.
    until: Seq,
    /// Windows in which something was lost.
    losses: u8,
    /// Nothing was lost in the window that is watched.
    clean: bool,
    /// What leaves in that window has the new size.
    begun: bool,
}

impl Search {
    /// Between `low` and `bound`.
    pub const fn new(low: u16, bound: u16) -> Self {
        Self {
            low: if low < bound { low } else { bound },
            high: bound,
            bound,
            failed: false,
            passed: false,
            next: None,
            probe: SeqRange::new(Seq::new(0), Seq::new(0)),
            size: 0,
            attempts: 0,
            not_before: Instant::ZERO,
            converged: None,
            trial: None,
        }
    }

    /// search_low.
    pub const fn low(&self) -> u16 {
        self.low
    }

    /// search_high.
    pub const fn high(&self) -> u16 {
        self.high
    }

    /// The size of the next probe, if one may leave.
    pub const fn next(&self) -> Option<u16> {
        self.next
    }

    /// The probe under way.
    pub fn probe(&self) -> Option<SeqRange> {
        (!self.probe.is_empty()).then_some(self.probe)
    }

    /// Finds the next size, where segments are of `mss` octets now and no larger than `bound` can ever be.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.3
    //# Each Packetization Layer MUST determine when probing has converged, that is, when the probe size range
    //# is small enough that further probing is no longer worth its cost.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.4
    //= id=rfc4821-7.4-1
    pub fn tend(&mut self, mss: u16, bound: u16, config: &TcpConfig, now: Instant) {
        if bound > self.bound {
            self.reopen(bound);
        }
        self.bound = bound;
        self.high = self.high.min(bound);
        self.low = self.low.min(self.high);
        let mut size = self.candidate(mss);
        if size.is_none_or(|(_, range)| range < config.mtu_probe_threshold.max(1)) {
            //= https://www.rfc-editor.org/rfc/rfc4821#section-7.3
            //# When probing has converged, a timer SHOULD be set.
            let since = *self.converged.get_or_insert(now);
            size = None;
            if now >= since + config.mtu_probe_interval {
                self.reopen(bound);
                self.low = mss.min(bound);
                size = self.candidate(mss).filter(|(_, range)| *range >= config.mtu_probe_threshold.max(1));
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc4821#section-7.4
        //# It has no outstanding probes or losses.
        let may = self.probe.is_empty() && now >= self.not_before;
        self.next = size.filter(|_| may).map(|(size, _)| size);
    }

    /// The range is what it was at the beginning.
    fn reopen(&mut self, bound: u16) {
        self.high = bound;
        self.failed = false;
        self.passed = false;
        self.attempts = 0;
        self.converged = None;
    }

    /// A size that is worth a probe, and how wide the range is that it lies in.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.1
    //# When transmitting probes, the Packetization Layer MUST select a probe size that is larger than
    //# search_low and smaller than or equal to search_high.
    fn candidate(&self, mss: u16) -> Option<(u16, u16)> {
        let middle = |low: u16| low + (self.high.saturating_sub(low)) / 2;
        // What segments have already is no news.
        let low = if middle(self.low) > mss { self.low } else { self.low.max(mss) };
        // Half way has passed: mostly all of it will, and common sizes are worth the try (§7.3).
        let size = if self.passed && !self.failed { self.high } else { middle(low) };
        (size > low).then(|| (size, self.high - low))
    }

    /// A probe of `size` has left as `range`.
    pub fn sent(&mut self, range: SeqRange, size: u16) {
        if size != self.size {
            self.attempts = 0;
        }
        self.probe = range;
        self.size = size;
        self.next = None;
    }

    /// The probe arrived. Gives its size.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.1
    //= id=rfc4821-own-success
    //# Set search_low to the probe size. If the probe size is larger than the eff_pmtu, raise eff_pmtu to
    //# the probe size.
    pub fn succeed(&mut self) -> u16 {
        self.end_probe();
        self.passed = true;
        self.attempts = 0;
        self.low = self.size.min(self.high);
        self.size
    }

    /// The probe alone was lost; no other before `not_before`.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.2
    //= id=rfc4821-own-failure
    //# In the absence of other indications, set search_high to the probe size minus one.
    pub fn fail(&mut self, not_before: Instant) {
        self.end_probe();
        self.attempts = 0;
        self.not_before = not_before;
        self.give_up_on(self.size);
    }

    /// The probe was lost, and not alone, or to a time-out. Tried often enough in vain, the size counts as too large.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.4
    //# In this case, the state variables eff_pmtu, search_low, and search_high SHOULD NOT be updated, and
    //# the same-sized probe SHOULD be attempted again as soon as the probing preconditions are met (i.e.,
    //# once the packetization layer has no outstanding unrecovered losses).
    pub fn undecided(&mut self, not_before: Instant) {
        self.end_probe();
        self.not_before = not_before;
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts >= MAX_PROBES {
            self.attempts = 0;
            self.give_up_on(self.size);
        }
    }

    /// `size` does not pass.
    fn give_up_on(&mut self, size: u16) {
        self.high = self.high.min(size.saturating_sub(1)).max(self.low);
        self.failed = true;
    }

    fn end_probe(&mut self) {
        self.probe = SeqRange::new(self.probe.end, self.probe.end);
        self.next = None;
    }

    /// Full segments of `mss` octets have arrived: an implicit probe.
    pub fn implied(&mut self, mss: u16) {
        self.low = self.low.max(mss.min(self.high));
    }

    /// A router says that no more passes.
    pub fn bound(&mut self, mss: u16) {
        self.high = self.high.min(mss);
        self.low = self.low.min(mss);
        self.failed = true;
        self.next = None;
    }

    /// Segments are of `mss` octets since nothing larger arrived; no probe before `not_before`.
    pub fn fall(&mut self, mss: u16, not_before: Instant) {
        self.low = mss;
        self.high = self.high.max(mss);
        self.trial = None;
        self.not_before = not_before;
        self.next = None;
    }

    /// The size was raised from `before`; what leaves before `until` was smaller.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.8
    //# A RECOMMENDED strategy would be to save the value of eff_pmtu before raising it.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.8
    //= id=rfc4821-7.8-1, rfc4821-7.8-4
    pub fn raised(&mut self, before: u16, until: Seq) {
        self.trial = Some(Trial { before, until, losses: 0, clean: true, begun: false });
    }

    /// SND.UNA is `una` now, and SND.NXT `nxt`.
    pub fn advance(&mut self, una: Seq, nxt: Seq) {
        if let Some(trial) = self.trial.as_mut().filter(|trial| una.at_or_after(trial.until)) {
            if trial.begun && trial.clean {
                self.trial = None;
                return;
            }
            trial.begun = true;
            trial.clean = true;
            trial.until = nxt;
        }
    }

    /// Something was lost that was no probe. Where that happens in window after window since the size was raised, the
    /// size from before is given: the larger one does not pass always (RFC 4821 §7.8).
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.8
    //# The saved value of eff_pmtu SHOULD be restored, and search_high reduced in the same manner as in a
    //# probe failure.
    //= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.1
    //= id=rfc4821-7.6.1-1
    pub fn lost(&mut self, mss: u16) -> Option<u16> {
        let trial = self.trial.as_mut().filter(|trial| trial.begun && trial.clean)?;
        trial.clean = false;
        trial.losses = trial.losses.saturating_add(1);
        if trial.losses < MAX_LOSSES {
            return None;
        }
        let before = trial.before;
        self.trial = None;
        self.low = self.low.min(before);
        self.give_up_on(mss);
        Some(before)
    }
}

/// How long to wait after a failed probe: one round trip for each segment of the window, about the time until the next
/// loss under congestion control (RFC 4821 §7.6.2).
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.6.2
//# Specifically, after a probe failure event and suppressed congestion control, PLPMTUD MUST NOT probe
//# again until an interval that is larger than the expected interval between congestion control events.
pub(in crate::tcp) fn headway(srtt: Duration, cwnd: u32, mss: u32) -> Duration {
    srtt.saturating_mul(cwnd / mss.max(1) + 1)
}

#[cfg(test)]
mod tests;
