//! Pacing: when what the windows allow may leave.
//!
//! A connection is paced where its algorithm has a rate or wants short queues (L4S), where a program set one
//! (`SO_MAX_PACING_RATE`), and where all are (`pacing`, as under Linux's queueing discipline `fq`); and in slow start
//! (`slow_start_pacing`), so that a window does not leave as one train, which a short queue does not hold and behind which what
//! another flow sends finds it full.
//!
//! It leaves in bursts. When one is over, [`Timer::Pacing`] is armed, and nothing with text that is not urgent leaves until
//! it has run out: what holds back is at the same time what lets go, so a paced connection cannot stall.

use alloc::boxed::Box;

use crate::config::TcpConfig;
use crate::tcp::context::Context;
use crate::tcp::pacer::Pacer;
use crate::tcp::recovery::Phase;
use crate::tcp::tcb::Tcb;
use crate::tcp::timers::Timer;
use crate::time::{Duration, Instant};

/// As many segments leave at once when a connection is young, as in Linux: an initial window (RFC 6928).
const UNPACED: u32 = 10;

/// In slow start a smaller window than so many segments is paced as one of that size would be: it leaves in a part of a round
/// trip, ten segments in a sixteenth, and whoever waits for its end waits little longer.
const PACED_WINDOW: u32 = 128;

/// A timer's tick is a large part of a shorter round trip, and its queues are those of one machine or of a few.
const PACED_ROUND_TRIP: Duration = Duration::from_millis(1);

/// Per cent of a window each round trip. As the rate follows the window, which grows by what was sent a round trip before, it
/// grows by a factor of 1.92 in one: a little less than it may.
const SLOW_START_RATIO: u16 = 125;

impl Tcb {
    /// Until when no text may leave save what is urgent: the answer to a loss or a time-out, a probe.
    pub fn paced_until(&self) -> Option<Instant> {
        self.timers.deadline(Timer::Pacing)
    }

    /// How fast it may send, octets a second: by its algorithm, or else a multiple of a window each round trip; and no
    /// faster than the program said. `None` before there is a round trip to go by.
    pub fn pacing_rate(&self, config: &TcpConfig) -> Option<u64> {
        let rate = self.congestion.pacing_rate().or_else(|| self.window_rate(config));
        let limit = self.options.pacing_limit();
        limit.map_or(rate, |limit| Some(rate.map_or(limit, |rate| rate.min(limit))))
    }

    /// As Linux has it: the rate is to be no obstacle to a window that grows, so it is twice what the window makes while
    /// that doubles; where slow start alone is paced it is less.
    fn window_rate(&self, config: &TcpConfig) -> Option<u64> {
        let srtt = self.rtt.srtt()?;
        let cwnd = self.congestion.cwnd();
        let window = cwnd.max(self.snd.outstanding());
        let (window, trip, ratio) = if !self.is_paced_always(config) && self.paces_slow_start(config) {
            // A handshake that took long is not to hold back what comes after it.
            let trip = self.rtt.recent().map_or(srtt, |recent| recent.min(srtt));
            (window.max(self.smss().saturating_mul(PACED_WINDOW)), trip, SLOW_START_RATIO)
        } else if cwnd < self.congestion.ssthresh() / 2 {
            (window, srtt, config.pacing_slow_start_ratio)
        } else {
            (window, srtt, config.pacing_avoidance_ratio)
        };
        let octets = u128::from(window) * u128::from(ratio) / 100;
        let rate = u64::try_from(octets * 1_000_000_000 / trip.as_nanos().max(1)).unwrap_or(u64::MAX);
        Some(rate.max(1))
    }

    pub(super) fn is_paced(&self, config: &TcpConfig) -> bool {
        self.is_paced_always(config) || self.paces_slow_start(config)
    }

    /// Slow start over a path that is more than a wire.
    fn paces_slow_start(&self, config: &TcpConfig) -> bool {
        config.slow_start_pacing
            && self.rtt.min_rtt().is_some_and(|rtt| rtt >= PACED_ROUND_TRIP)
            && self.congestion.cwnd() < self.congestion.ssthresh()
            && self.recovery.phase() < Phase::Cwr
    }

    pub(in crate::tcp) fn is_paced_always(&self, config: &TcpConfig) -> bool {
        config.pacing
            || self.congestion.is_scalable()
            || self.options.pacing_limit().is_some()
            || self.congestion.pacing_rate().is_some()
    }

    /// Something may be about to leave: the wait may be over although its timer has not been served yet, and an
    /// algorithm with a model of the path hears of a silence.
    pub(super) fn before_departure(&mut self, now: Instant) {
        if self.paced_until().is_some_and(|until| until <= now) {
            self.timers.cancel(Timer::Pacing);
        }
        if self.snd.una == self.snd.nxt && self.rate.is_app_limited() && self.has_unsent() {
            self.congestion.on_idle_restart(now);
        }
    }

    /// `len` octets of text have left.
    pub(super) fn on_paced_departure(&mut self, len: u32, cx: &Context<'_>) {
        if len == 0 || self.tally.data_out <= UNPACED || !self.is_paced(cx.config) {
            return;
        }
        let Some(rate) = self.pacing_rate(cx.config) else { return };
        let quantum = self.quantum(cx);
        let pacer = self.pacer.get_or_insert_with(|| Box::new(Pacer::new()));
        if let Some(until) = pacer.departed(len, rate, quantum, cx.now) {
            self.timers.arm(Timer::Pacing, until);
        }
    }

    /// Octets of text that may leave in one go as far as pacing goes.
    pub(super) fn paced_burst(&self, cx: &Context<'_>) -> u32 {
        if self.tally.data_out <= UNPACED || !self.is_paced(cx.config) {
            return u32::MAX;
        }
        let quantum = self.quantum(cx);
        self.pacer.as_ref().map_or(quantum, |pacer| pacer.left(quantum, cx.now))
    }

    /// Octets of a burst: the algorithm's, or what leaves in one go anyway.
    fn quantum(&self, cx: &Context<'_>) -> u32 {
        let mss = self.effective_mss(self.options_len());
        self.longest_burst(mss, cx).max(mss)
    }
}
