//! Between whom, and over what.

use rand::{Rng, RngExt};

use super::*;
use crate::config::{EcnFeedback, MtuProbing, TcpConfig};
use crate::tcp::congestion::Algorithm;
use crate::user_timeout::UserTimeoutOption;

/// What a path does to one packet in so many; to none where it says 0.
pub(super) struct Path {
    pub(super) delay: Duration,
    pub(super) loses: u32,
    /// Of those without text.
    pub(super) loses_short: u32,
    pub(super) delays: u32,
    pub(super) repeats: u32,
    pub(super) marks: u32,
    pub(super) forges: u32,
    /// The longest that it carries, from this turn on.
    pub(super) narrows: Option<(usize, usize)>,
}

impl Path {
    pub(super) fn any(six: bool, rng: &mut impl Rng) -> Self {
        let narrowest = if six { 1280 } else { 600 };
        Self {
            delay: Duration::from_micros(pick(rng, [30, 3_000, 40_000])),
            loses: pick(rng, [0, 0, 200, 60, 15]),
            loses_short: pick(rng, [0, 0, 3]),
            delays: pick(rng, [0, 0, 0, 50, 10]),
            repeats: pick(rng, [0, 0, 100]),
            marks: pick(rng, [0, 0, 80]),
            forges: pick(rng, [0, 0, 0, 200]),
            narrows: rng
                .random_ratio(1, 5)
                .then(|| (rng.random_range(0..300), rng.random_range(narrowest..1500))),
        }
    }
}

pub(super) fn pick<T: Copy, const N: usize>(rng: &mut impl Rng, of: [T; N]) -> T {
    of[rng.random_range(0..N)]
}

pub(super) fn one_in(rng: &mut impl Rng, n: u32) -> bool {
    n > 0 && rng.random_ratio(1, n)
}

pub(super) fn tcp(rng: &mut impl Rng) -> TcpConfig {
    use EcnFeedback::{Accurate, Classic, None};
    TcpConfig {
        receive_buffer: pick(rng, [3_000, 20_000, 1 << 20]),
        receive_buffer_max: pick(rng, [0, 100_000, 3 << 20]),
        send_buffer: pick(rng, [3_000, 20_000, 1 << 20]),
        send_buffer_max: pick(rng, [0, 100_000, 4 << 20]),
        timestamps: rng.random_ratio(3, 4),
        sack: !one_in(rng, 8),
        window_scaling: rng.random_ratio(3, 4),
        congestion: if one_in(rng, 8) {
            Algorithm::Bbr
        } else {
            pick(rng, [Algorithm::Cubic, Algorithm::Reno])
        },
        ecn_incoming: pick(rng, [None, Classic, Accurate]),
        ecn_outgoing: pick(rng, [None, None, None, None, Classic, Accurate]),
        pacing: rng.random_ratio(1, 4),
        tail_loss_probes: rng.random_ratio(3, 4),
        quick_acks: pick(rng, [0, 3, 16]),
        frto: rng.random_ratio(3, 4),
        slow_start_after_idle: rng.random(),
        mtu_probing: if one_in(rng, 10) { MtuProbing::Always } else { MtuProbing::Off },
        user_timeout_option: UserTimeoutOption {
            enabled: rng.random_ratio(1, 4),
            ..UserTimeoutOption::default()
        },
        ..TcpConfig::default()
    }
}
