//! What congestion control is told and what may be chosen of it: the side that settings and programs see.
//! [`tcp::congestion`](crate::tcp::congestion) has the algorithms.

pub mod settings;

pub mod delivery_rate;

pub mod algorithm;

pub use algorithm::{Algorithm, CongestionControl, Custom, Start};
pub use delivery_rate::RateSample;
pub use settings::{Hystart, Settings};

use crate::seq::Seq;
use crate::time::{Duration, Instant};

/// What an acknowledgment of new data says to an algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AckSample {
    /// When it came.
    pub now: Instant,
    /// Octets that it acknowledged for the first time, cumulatively or selectively.
    pub acked: u32,
    /// The round-trip time it measured.
    pub rtt: Option<Duration>,
    /// Octets underway before it came.
    pub in_flight: u32,
    /// Whether the congestion window, and not the program or the peer's window, limited what was underway.
    pub cwnd_limited: bool,
    /// Whether what a timeout declared lost is still being sent again (RFC 3465 §2.3).
    pub after_timeout: bool,
    /// Whether fast recovery, or the response to an ECN mark, is under way: it sizes the window of an algorithm that reduces
    /// it by steps (RFC 9937), and such an algorithm does not grow meanwhile.
    pub reducing: bool,
    /// Octets deemed lost since the last sample.
    pub lost: u32,
    /// Octets that arrived with a congestion mark since the last sample, as far as the peer tells (RFC 9768).
    pub marked: u32,
    /// SND.UNA after it.
    pub una: Seq,
    /// SND.NXT.
    pub nxt: Seq,
    /// The smoothed round-trip time.
    pub srtt: Option<Duration>,
    /// What it says of the rate at which the network delivers.
    pub rate: Option<RateSample>,
}

#[cfg(test)]
impl AckSample {
    /// An acknowledgment of `acked` octets while the window was full, with nothing else to tell.
    pub(crate) const fn of(acked: u32) -> Self {
        Self {
            now: Instant::ZERO,
            acked,
            rtt: None,
            in_flight: 0,
            cwnd_limited: true,
            after_timeout: false,
            reducing: false,
            lost: 0,
            marked: 0,
            una: Seq::new(0),
            nxt: Seq::new(0),
            srtt: None,
            rate: None,
        }
    }
}

/// What happened to a connection that changes the congestion window at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CongestionEvent {
    /// A loss was detected other than by timeout: once for each episode of recovery.
    Loss,
    /// The retransmission timer expired.
    Timeout {
        /// Whether it is the first time for this segment.
        first: bool,
    },
    /// The connection is about to send after an idle time of more than one RTO (RFC 5681 §4.1).
    Idle,
    /// For the time of one RTO no more than `in_flight` octets of the window were used at once.
    Unused,
    /// The path takes another segment size: octets of text in a segment.
    MssChanged(u32),
    /// The peer reported a congestion mark (RFC 3168 §6.1.2, RFC 9768): once for each window of data.
    Ecn,
    /// The last loss or timeout was none: what it took is given back.
    Undo,
}

/// The initial window (RFC 6928 §2): `min(n·MSS, max(2·MSS, n·1460))`, where the RFC has n = 10.
pub fn initial_window(mss: u32, segments: u32) -> u32 {
    let segments = segments.max(1);
    let most = mss.saturating_mul(2).max(segments.saturating_mul(1460));
    mss.saturating_mul(segments).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_windows_of_rfc_6928() {
        assert_eq!(initial_window(1460, 10), 14_600);
        assert_eq!(initial_window(536, 10), 5_360);
        assert_eq!(initial_window(1448, 10), 14_480);
        assert_eq!(initial_window(4000, 10), 14_600);
        assert_eq!(initial_window(9000, 10), 18_000);
        assert_eq!(initial_window(1460, 1), 1460);
        assert_eq!(initial_window(1460, 0), 1460);
        assert_eq!(initial_window(u32::MAX, u32::MAX), u32::MAX);
    }
}
