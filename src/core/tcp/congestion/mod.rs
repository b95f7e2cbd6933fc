//! Congestion control: how much may be underway (RFC 5681 and what came after it).
//!
//! An algorithm hears of acknowledgments and of events and answers with a congestion window. What is lost it is
//! told by recovery, and how the window is brought down during recovery is not its concern either.
//!
//! A window that is not used says nothing of the path. It does not grow (`output::usage`), and after a timeout's time, or a
//! silence as long, it decays: Linux's rule, which is RFC 2861's with the threshold of RFC 7661.

pub mod cubic;

pub mod custom;

mod hystart;

pub mod reno;

pub mod settings;

mod window;

use alloc::boxed::Box;

pub use cubic::Cubic;
pub use custom::{Algorithm, CongestionControl, Custom, Start};
pub use reno::Reno;
pub use settings::{Hystart, Settings};

use crate::config::TcpConfig;
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
}

#[cfg(test)]
impl AckSample {
    /// An acknowledgment of `acked` octets while the window was full, with nothing else to tell.
    pub(super) const fn of(acked: u32) -> Self {
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

/// The algorithm of one connection.
#[derive(Debug)]
pub enum Congestion {
    /// Slow start and congestion avoidance (RFC 5681).
    Reno(Reno),
    /// CUBIC (RFC 9438).
    Cubic(Box<Cubic>),
    /// One that is not part of the stack.
    Custom(&'static Custom, Box<dyn CongestionControl>),
}

impl Congestion {
    /// The algorithm of a fresh connection. `mss` is SMSS in octets; `initial_window_segments` is 10 by RFC 6928, and 1
    /// when the SYN or SYN,ACK was lost (RFC 5681 §3.1).
    pub fn new(algorithm: Algorithm, mss: u32, initial_window_segments: u32, config: &TcpConfig) -> Self {
        Self::begin(algorithm, &Start::new(mss, initial_window_segments, config.congestion_settings))
    }

    fn begin(algorithm: Algorithm, start: &Start) -> Self {
        match algorithm {
            Algorithm::Reno => Self::Reno(Reno::new(start)),
            Algorithm::Cubic => Self::Cubic(Box::new(Cubic::new(start))),
            Algorithm::Custom(custom) => Self::Custom(custom, custom.make(start)),
        }
    }

    /// Another algorithm takes over: the window and the threshold stay, the rest begins anew, as in Linux. `mss` is SMSS.
    pub fn change(&mut self, algorithm: Algorithm, mss: u32, config: &TcpConfig) {
        let fresh = Start::new(mss, config.initial_window, config.congestion_settings);
        *self = Self::begin(algorithm, &Start { cwnd: self.cwnd(), ssthresh: self.ssthresh(), ..fresh });
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reno(_) => Algorithm::Reno.name(),
            Self::Cubic(_) => Algorithm::Cubic.name(),
            Self::Custom(custom, _) => custom.name(),
        }
    }

    /// The congestion window, octets.
    pub fn cwnd(&self) -> u32 {
        match self {
            Self::Reno(a) => a.cwnd(),
            Self::Cubic(a) => a.cwnd(),
            Self::Custom(_, a) => a.cwnd(),
        }
    }

    /// The slow start threshold, octets; `u32::MAX` before the first loss.
    pub fn ssthresh(&self) -> u32 {
        match self {
            Self::Reno(a) => a.ssthresh(),
            Self::Cubic(a) => a.ssthresh(),
            Self::Custom(_, a) => a.ssthresh(),
        }
    }

    /// How fast to send, octets a second, where the algorithm has an opinion.
    pub fn pacing_rate(&self) -> Option<u64> {
        match self {
            Self::Reno(_) | Self::Cubic(_) => None,
            Self::Custom(_, a) => a.pacing_rate(),
        }
    }

    /// New data was acknowledged.
    pub fn on_ack(&mut self, sample: &AckSample) {
        match self {
            Self::Reno(a) => a.on_ack(sample),
            Self::Cubic(a) => a.on_ack(sample),
            Self::Custom(_, a) => a.on_ack(sample),
        }
    }

    /// Something happened while `in_flight` octets were underway (FlightSize).
    pub fn on_event(&mut self, event: CongestionEvent, in_flight: u32, now: Instant) {
        match self {
            Self::Reno(a) => a.on_event(event, in_flight),
            Self::Cubic(a) => a.on_event(event, in_flight),
            Self::Custom(_, a) => a.on_event(event, in_flight, now),
        }
    }

    /// The handshake told SMSS. Where nothing has happened yet the initial window is that of the new size;
    /// later it is as [`CongestionEvent::MssChanged`].
    pub fn set_mss(&mut self, mss: u32) {
        match self {
            Self::Reno(a) => a.set_mss(mss),
            Self::Cubic(a) => a.set_mss(mss),
            Self::Custom(_, a) => a.set_mss(mss),
        }
    }
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

    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= type=test
    //= id=rfc5681-3.1-8
    #[test]
    fn each_begins_with_the_initial_window_and_a_high_threshold() {
        let config = TcpConfig::default();
        for algorithm in Algorithm::ALL.into_iter().chain([Algorithm::Custom(&HALF)]) {
            let c = Congestion::new(algorithm, 1460, 10, &config);
            assert_eq!((c.name(), c.cwnd(), c.ssthresh()), (algorithm.name(), 14_600, u32::MAX));
        }
        assert!(size_of::<Congestion>() <= 64, "{}", size_of::<Congestion>());
    }

    static HALF: Custom = Custom::new("half", |start| Box::new(Half(*start)));

    /// Halves on whatever happens.
    #[derive(Debug)]
    struct Half(Start);

    impl CongestionControl for Half {
        fn cwnd(&self) -> u32 {
            self.0.cwnd
        }

        fn ssthresh(&self) -> u32 {
            self.0.ssthresh
        }

        fn pacing_rate(&self) -> Option<u64> {
            Some(9)
        }

        fn on_ack(&mut self, sample: &AckSample) {
            self.0.cwnd += sample.acked;
        }

        fn on_event(&mut self, _: CongestionEvent, _: u32, _: Instant) {
            self.0.cwnd /= 2;
        }

        fn set_mss(&mut self, mss: u32) {
            self.0.cwnd = mss;
        }
    }

    #[test]
    fn one_that_a_program_brings_along_hears_of_everything() {
        let mut c = Congestion::new(Algorithm::Custom(&HALF), 1000, 10, &TcpConfig::default());
        assert_eq!(c.pacing_rate(), Some(9));
        c.on_ack(&AckSample::of(500));
        assert_eq!(c.cwnd(), 10_500);
        c.on_event(CongestionEvent::Ecn, 0, Instant::ZERO);
        assert_eq!(c.cwnd(), 5250);
        c.set_mss(700);
        assert_eq!(c.cwnd(), 700);
    }

    #[test]
    fn a_change_takes_the_window_and_the_threshold_along() {
        let config = TcpConfig::default();
        let mut c = Congestion::new(Algorithm::Cubic, 1000, 10, &config);
        c.on_ack(&AckSample::of(10_000));
        c.on_event(CongestionEvent::Loss, 20_000, Instant::ZERO);
        for algorithm in [Algorithm::Reno, Algorithm::Custom(&HALF), Algorithm::Cubic] {
            c.change(algorithm, 1000, &config);
            assert_eq!((c.name(), c.cwnd(), c.ssthresh()), (algorithm.name(), 14_000, 14_000));
        }
        c.change(Algorithm::Reno, 1000, &config);
        c.on_ack(&AckSample::of(14_000));
        assert_eq!(c.cwnd(), 15_000, "it goes on by its own rules");
    }

    #[test]
    fn a_name_stands_for_one_algorithm() {
        static OTHER: Custom = Custom::new("half", |_| unreachable!());
        static THIRD: Custom = Custom::new("third", |start| Box::new(Half(*start)));
        assert_eq!(Algorithm::Custom(&HALF), Algorithm::Custom(&OTHER));
        assert_ne!(Algorithm::Custom(&HALF), Algorithm::Custom(&THIRD));
        assert_eq!(Algorithm::default().name(), "cubic");
    }
}
