//! BBRv3 (draft-ietf-ccwg-bbr, the text after -06): a model of the path, its bandwidth and its round trip, and how
//! fast to send and how much to have in flight by it.
//!
//! ```text
//!        RateSample, losses                    pacing rate, burst, window
//!               │                                         ▲
//!     ┌─────────▼──────────┐   ┌──────────────────┐   ┌───┴─────┐
//!     │ model: max_bw,     ├──►│ state machine    ├──►│ control │
//!     │ min_rtt, rounds,   │   │ startup  probe_bw│   └─────────┘
//!     │ aggregation        │   │ probe_rtt        │
//!     │ bounds: by loss    │   └──────────────────┘
//!     └────────────────────┘
//! ```
//!
//! Names are the draft's, without their prefix `BBR.`; `None` is its Infinity. Gains are in per cent, volumes in
//! octets, rates in octets a second. Of ECN the draft says nothing but that marks are congestion (§3.7): the report
//! of one is taken as a loss of more than is tolerated.
//!
//! Its clauses with a keyword: the state machine of §5.1 to 5.6 is here whole (MUST, §5.1), but for three rules that are not
//! followed to the letter: when the least round trip is renewed, when a cautious probe ends, and of which losses a probe hears
//! (`update_min_rtt`; `is_time_to_go_down`; `handle_lost_packet`, and by `lost_of_probe` `adapt_long_term_model`);
//! ProbeRTTInterval is 5 s (MUST, §5.3.4.2); a mark is congestion (MUST, §3.7), of whatever was sent; C.SMSS is Eff.snd.MSS
//! (SHOULD, §2.2), C.delivered counts text alone (MUST NOT, §2.2); no round trip is taken of what was sent twice (MUST, §4.2); a
//! record of a burst has one [`Stamp`](crate::congestion::delivery_rate::Stamp) (RECOMMENDED, §4.1.3.1). ACKs cannot be asked for
//! more or less often here (SHOULD, §4.1.3.3).

mod bounds;
mod control;
mod filter;
mod model;
mod probe_bw;
mod probe_rtt;
mod startup;

use super::{AckSample, CongestionEvent, Start, initial_window};
use crate::congestion::delivery_rate::{LostPacket, RateSample};
use crate::seq::{Seq, SeqRange};
use crate::time::{Duration, Instant};
use filter::{MaxBandwidth, RoundsMax};

/// LossThresh: per cent of what is in flight that may be lost in a round trip.
const LOSS_THRESH: u64 = 2;
/// Beta, per cent.
const BETA: u64 = 70;
/// Headroom, per cent.
const HEADROOM: u64 = 15;
/// MinPipeCwnd, segments.
const MIN_PIPE_CWND: u32 = 4;

/// Where it is in its cycle (§5.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Doubles its rate each round trip.
    Startup,
    /// Drains the queue that this left.
    Drain,
    /// ProbeBW: slower than the network delivers.
    Down,
    /// ProbeBW: as fast.
    Cruise,
    /// ProbeBW: as fast, with what losses had taught forgotten.
    Refill,
    /// ProbeBW: faster.
    Up,
    /// Little in flight, to see the path without a queue.
    ProbeRtt,
}

impl Phase {
    /// IsInAProbeBWState().
    const fn is_probe_bw(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }

    /// IsProbingBW().
    const fn probes_bandwidth(self) -> bool {
        matches!(self, Self::Startup | Self::Refill | Self::Up)
    }
}

/// What the acknowledgments that come say of the last probe (§2.14).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AckPhase {
    Init,
    Refilling,
    ProbeStarting,
    ProbeFeedback,
    ProbeStopping,
}

bitflags::bitflags! {
    /// What is so or not.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Is: u32 {
        const ROUND_START = 1 << 0;
        const LOSS_ROUND_START = 1 << 1;
        const IDLE_RESTART = 1 << 2;
        const FULL_BW_REACHED = 1 << 3;
        const FULL_BW_NOW = 1 << 4;
        const BW_PROBE_SAMPLE = 1 << 5;
        const LOSS_IN_ROUND = 1 << 6;
        const PREV_PROBE_TOO_HIGH = 1 << 7;
        const PREV_PROBE_PRECAUTIONARY = 1 << 8;
        const PROBE_RTT_ROUND_DONE = 1 << 9;
        const PROBE_RTT_EXPIRED = 1 << 10;
        /// Fast recovery is under way.
        const RECOVERING = 1 << 11;
        /// What a time-out declared lost is being repaired.
        const TIMED_OUT = 1 << 12;
        /// The rate was set from a round trip.
        const SEEN_RTT = 1 << 13;
        /// The clocks run: something was acknowledged.
        const STARTED = 1 << 14;
        /// C.is_cwnd_limited.
        const CWND_LIMITED = 1 << 15;
        /// C.has_selective_acks.
        const SELECTIVE = 1 << 16;
        /// In Down or Cruise it was heard that something was lost that had been sent since Down began: the path loses without a
        /// probe. Kept for the probe that follows, for one that follows a cautious one at once, and for one that an undo resumes;
        /// ProbeRTT begins anew.
        const LOST_BEFORE = 1 << 17;
    }
}

/// What a loss that was none gives back (§5.5.11).
#[derive(Clone, Copy, Debug)]
struct Undo {
    /// The phase that the loss ended: Startup or Up.
    phase: Option<Phase>,
    bw_shortterm: Option<u64>,
    inflight_shortterm: Option<u32>,
    inflight_longterm: Option<u32>,
    /// The round in which this was saved.
    round: u64,
    /// [`Is::LOST_BEFORE`]. Where an episode begins in a later round than its loss came to be known, it is as the loss left it, and
    /// not given back: no more are the bounds of the short term.
    lost_before: bool,
    /// There is something to give back.
    saved: bool,
}

/// The algorithm's state.
#[derive(Clone, Debug)]
pub struct Bbr {
    phase: Phase,
    ack_phase: AckPhase,
    is: Is,
    /// C.SMSS.
    mss: u32,
    initial_segments: u16,
    /// bw_probe_up_rounds.
    bw_probe_up_rounds: u8,
    full_bw_count: u8,

    // What it decides.
    cwnd: u32,
    /// Another algorithm's, for one that takes over. It means nothing here.
    ssthresh: u32,
    prior_cwnd: u32,
    pacing_rate: u64,
    send_quantum: u32,

    // The connection as last told of.
    now: Instant,
    delivered: u64,
    in_flight: u32,

    // The model: rounds, bandwidth, round trip, aggregation.
    next_round_delivered: u64,
    round_count: u64,
    drain_start_round: u64,
    rounds_since_probe_up: u32,
    max_bw: MaxBandwidth,
    bw: u64,
    full_bw: u64,
    min_rtt: Option<Duration>,
    min_rtt_stamp: Instant,
    probe_rtt_min_delay: Option<Duration>,
    probe_rtt_min_stamp: Instant,
    probe_rtt_done_stamp: Option<Instant>,
    extra_acked: RoundsMax,
    extra_acked_interval_start: Instant,
    extra_acked_delivered: u64,

    // The model: what losses say.
    loss_round_delivered: u64,
    bw_latest: u64,
    inflight_latest: u32,
    bw_shortterm: Option<u64>,
    inflight_shortterm: Option<u32>,
    inflight_longterm: Option<u32>,
    /// Ranges lost in this round, and where the last of them ended.
    lost_ranges: u16,
    lost_end: Option<Seq>,
    undo: Undo,

    // The cycle of probes.
    cycle_stamp: Instant,
    bw_probe_wait: Duration,
    bw_probe_up_acked: u32,
    probe_up_acked_per_inc: Option<u32>,
    /// C.delivered when that began whose losses are a probe's: Refill, or Up without [`Is::LOST_BEFORE`].
    probe_delivered: u64,
    /// Octets lost of what was sent from there on.
    probe_lost: u32,
    /// C.delivered when Down began last.
    down_delivered: u64,
    /// What the waits are drawn from.
    seed: u64,
}

impl Bbr {
    /// A connection that has sent nothing yet (§5.2.1), or one that another algorithm has led so far.
    pub fn new(start: &Start) -> Self {
        let initial_segments = u16::try_from(start.initial_window_segments).unwrap_or(u16::MAX);
        let mss = start.mss.max(1);
        let mut bbr = Self {
            phase: Phase::Startup,
            ack_phase: AckPhase::Init,
            is: Is::empty(),
            mss,
            initial_segments,
            bw_probe_up_rounds: 0,
            full_bw_count: 0,
            cwnd: start.cwnd.max(mss),
            ssthresh: start.ssthresh,
            prior_cwnd: 0,
            pacing_rate: 0,
            send_quantum: mss.saturating_mul(2),
            now: Instant::ZERO,
            delivered: 0,
            in_flight: 0,
            next_round_delivered: 0,
            round_count: 0,
            drain_start_round: 0,
            rounds_since_probe_up: 0,
            max_bw: MaxBandwidth::new(),
            bw: 0,
            full_bw: 0,
            min_rtt: None,
            min_rtt_stamp: Instant::ZERO,
            probe_rtt_min_delay: None,
            probe_rtt_min_stamp: Instant::ZERO,
            probe_rtt_done_stamp: None,
            extra_acked: RoundsMax::new(),
            extra_acked_interval_start: Instant::ZERO,
            extra_acked_delivered: 0,
            loss_round_delivered: 0,
            bw_latest: 0,
            inflight_latest: 0,
            bw_shortterm: None,
            inflight_shortterm: None,
            inflight_longterm: None,
            lost_ranges: 0,
            lost_end: None,
            undo: Undo {
                phase: None,
                bw_shortterm: None,
                inflight_shortterm: None,
                inflight_longterm: None,
                round: 0,
                lost_before: false,
                saved: false,
            },
            cycle_stamp: Instant::ZERO,
            bw_probe_wait: Duration::ZERO,
            bw_probe_up_acked: 0,
            probe_up_acked_per_inc: None,
            probe_delivered: 0,
            probe_lost: 0,
            down_delivered: 0,
            seed: 0,
        };
        bbr.init_pacing_rate(None);
        bbr
    }

    pub(super) const fn cwnd(&self) -> u32 {
        self.cwnd
    }

    pub(super) const fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    pub(super) const fn pacing_rate(&self) -> u64 {
        self.pacing_rate
    }

    pub(super) const fn send_quantum(&self) -> u32 {
        self.send_quantum
    }

    /// Where it is in its cycle.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// What it thinks the path carries, octets a second; 0 before there is a sample.
    pub const fn bandwidth(&self) -> u64 {
        self.bw
    }

    /// What it thinks the path takes without a queue.
    pub const fn min_rtt(&self) -> Option<Duration> {
        self.min_rtt
    }

    /// Whether what is sent now says nothing of the bandwidth: all of it counts as limited by the program (§5.3.4.3).
    pub(super) fn ignores_rates(&self) -> bool {
        self.phase == Phase::ProbeRtt
    }

    const fn min_pipe_cwnd(&self) -> u32 {
        self.mss.saturating_mul(MIN_PIPE_CWND)
    }

    fn initial_window(&self) -> u32 {
        initial_window(self.mss, self.initial_segments.into())
    }

    /// UpdateOnACK() (§5.2.3).
    pub(super) fn on_ack(&mut self, sample: &AckSample) {
        let Some(rs) = &sample.rate else { return };
        self.start(sample);
        self.now = sample.now;
        self.delivered = rs.total_delivered;
        self.in_flight = rs.in_flight;
        self.is.set(Is::CWND_LIMITED, sample.cwnd_limited);
        self.is.set(Is::SELECTIVE, rs.selective);
        let recovered = self.in_loss_recovery() && !sample.reducing && !sample.after_timeout;
        if recovered {
            self.restore_cwnd();
        }
        self.is.set(Is::RECOVERING, sample.reducing);
        self.is.set(Is::TIMED_OUT, sample.after_timeout);

        self.update_latest_delivery_signals(rs);
        self.update_congestion_signals(rs);
        self.update_ack_aggregation(rs);
        self.check_full_bw_reached(rs);
        self.check_startup_done(rs);
        self.check_drain_done();
        self.update_probe_bw_cycle_phase(rs, sample.in_flight);
        self.update_min_rtt(rs);
        self.check_probe_rtt(rs);
        self.advance_latest_delivery_signals(rs);
        self.bound_bw_for_model();

        self.set_pacing_rate();
        self.set_send_quantum();
        self.set_cwnd(rs);
    }

    /// The clocks begin with the first acknowledgment, and the rate is set anew with the first round trip.
    fn start(&mut self, sample: &AckSample) {
        if !self.is.contains(Is::STARTED) {
            self.is.insert(Is::STARTED);
            self.min_rtt_stamp = sample.now;
            self.probe_rtt_min_stamp = sample.now;
            self.extra_acked_interval_start = sample.now;
            // Initial sequence numbers are unpredictable (RFC 6528), and no two connections have the same.
            self.seed = u64::from(sample.una.get()) << 32 | u64::from(sample.now.as_nanos() as u32);
        }
        if let (false, Some(rtt)) = (self.is.contains(Is::SEEN_RTT), sample.srtt.or(sample.rtt)) {
            self.is.insert(Is::SEEN_RTT);
            self.init_pacing_rate(Some(rtt));
        }
    }

    /// Something that was sent is deemed lost: `range` of it (HandleLostPacket(), §5.2.4).
    pub(super) fn on_lost(&mut self, packet: &LostPacket, range: SeqRange) {
        self.delivered = packet.total_delivered;
        if self.lost_end != Some(range.start) {
            self.lost_ranges = self.lost_ranges.saturating_add(1);
        }
        self.lost_end = Some(range.end);
        self.handle_lost_packet(packet);
    }

    /// A probe repaired a loss of which nothing else told (RFC 8985 §7.4.2): it counts as one of this round (§5.5.10.2).
    pub(super) fn on_repaired(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.note_loss();
        self.note_stampless_loss();
    }

    pub(super) fn on_event(&mut self, event: CongestionEvent, in_flight: u32, now: Instant) {
        self.now = self.now.max(now);
        match event {
            CongestionEvent::Loss => {
                // OnEnterFastRecovery() (§5.6.4.4). Of what is lost HandleLostPacket() has told, maybe long ago: what
                // left after an episode began is repaired in the next one.
                self.save_state_once();
                self.is.insert(Is::RECOVERING);
            }
            CongestionEvent::Timeout { .. } => {
                // OnEnterRTO(): beside what is not deemed lost one segment may leave (§5.6.4.4).
                self.save_state_once();
                self.save_cwnd();
                self.is.insert(Is::TIMED_OUT);
                self.cwnd = in_flight.saturating_add(self.mss);
            }
            // The window stays, and what leaves is paced (§5.4.1).
            CongestionEvent::Idle | CongestionEvent::Unused => {}
            CongestionEvent::MssChanged(mss) => self.change_mss(mss),
            CongestionEvent::Ecn => self.handle_mark(in_flight),
            CongestionEvent::Undo => self.handle_spurious_loss_detection(),
        }
    }

    /// Something is about to leave with nothing in flight, after the program had nothing to send
    /// (HandleRestartFromIdle(), §5.4.1).
    pub(super) fn on_idle_restart(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.is.insert(Is::IDLE_RESTART);
        self.extra_acked_interval_start = self.now;
        if self.phase.is_probe_bw() {
            self.set_pacing_rate_with_gain(100);
        } else if self.phase == Phase::ProbeRtt {
            self.check_probe_rtt_done();
        }
    }

    pub(super) fn set_mss(&mut self, mss: u32) {
        let untouched = !self.is.contains(Is::STARTED) && self.cwnd == self.initial_window();
        self.change_mss(mss);
        if untouched {
            self.cwnd = self.initial_window();
            self.init_pacing_rate(None);
        }
    }

    fn change_mss(&mut self, mss: u32) {
        self.mss = mss.max(1);
        self.cwnd = self.cwnd.max(self.mss);
        self.set_send_quantum();
    }

    fn in_loss_recovery(&self) -> bool {
        self.is.intersects(Is::RECOVERING | Is::TIMED_OUT)
    }

    /// The next of a row of numbers that no one else can foretell, and no two connections share: enough to keep flows
    /// from probing together (§5.3.3.8.2).
    const fn draw(&mut self) -> u64 {
        // The finalizer of splitmix64 (Steele, Lea, Flood 2014).
        let z = self.seed ^ 0x9e37_79b9_7f4a_7c15;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.seed = z ^ (z >> 31);
        self.seed
    }
}

/// What a rate makes in a time, octets.
fn volume(rate: u64, time: Duration) -> u64 {
    let octets = u128::from(rate) * time.as_nanos() / 1_000_000_000;
    u64::try_from(octets).unwrap_or(u64::MAX)
}

fn per_cent(n: u64, gain: u64) -> u64 {
    n.saturating_mul(gain) / 100
}

fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The smaller; `None` is Infinity.
fn min_bound(n: u32, bound: Option<u32>) -> u32 {
    bound.map_or(n, |b| n.min(b))
}

/// The larger; `None` is Infinity.
fn max_bound<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    a.zip(b).map(|(a, b)| a.max(b))
}

#[cfg(test)]
mod tests;
