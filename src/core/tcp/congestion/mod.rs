//! Congestion control: how much may be underway (RFC 5681 and what came after it).
//!
//! An algorithm hears of acknowledgments and of events and answers with a congestion window. What is lost it is
//! told by recovery, and how the window is brought down during recovery is not its concern either.
//!
//! A window that is not used says nothing of the path. It does not grow (`output::usage`), and after a timeout's time, or a
//! silence as long, it decays: Linux's rule, which is RFC 2861's with the threshold of RFC 7661.

mod hystart;

mod window;

pub mod reno;

pub mod cubic;

pub mod bbr;

#[cfg(feature = "l4s")]
pub mod prague;

use alloc::boxed::Box;

pub use bbr::Bbr;
pub use cubic::Cubic;
#[cfg(feature = "l4s")]
pub use prague::Prague;
pub use reno::Reno;

use self::window::Window;
use crate::config::TcpConfig;
pub use crate::congestion::delivery_rate::{LostPacket, RateSample};
pub use crate::congestion::{
    AckSample, Algorithm, CongestionControl, CongestionEvent, Custom, Hystart, Settings, Start,
    initial_window,
};
use crate::seq::SeqRange;
use crate::time::Instant;

/// The algorithm of one connection.
#[derive(Debug)]
pub enum Congestion {
    /// Slow start and congestion avoidance (RFC 5681).
    Reno(Reno),
    /// CUBIC (RFC 9438) before there was anything to learn: an idle connection holds none of its memory.
    FreshCubic(Start),
    /// CUBIC.
    Cubic(Box<Cubic>),
    /// BBRv3 (draft-ietf-ccwg-bbr).
    Bbr(Box<Bbr>),
    /// One that is not part of the stack.
    Custom(&'static Custom, Box<dyn CongestionControl>),
    /// A scalable response to marks, as an experiment.
    #[cfg(feature = "l4s")]
    Prague(Box<Prague>),
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
            Algorithm::Cubic => Self::FreshCubic(*start),
            Algorithm::Bbr => Self::Bbr(Box::new(Bbr::new(start))),
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
            Self::FreshCubic(_) | Self::Cubic(_) => Algorithm::Cubic.name(),
            Self::Bbr(_) => Algorithm::Bbr.name(),
            Self::Custom(custom, _) => custom.name(),
            #[cfg(feature = "l4s")]
            Self::Prague(_) => "prague",
        }
    }

    /// Whether it answers each mark by its part of a window, so that its packets may be marked early and often (ECT(1), RFC
    /// 9331).
    pub const fn is_scalable(&self) -> bool {
        #[cfg(feature = "l4s")]
        return matches!(self, Self::Prague(_));
        #[cfg(not(feature = "l4s"))]
        false
    }

    /// The same window with a scalable response to marks from now on; `mss` is SMSS.
    #[cfg(feature = "l4s")]
    pub fn make_scalable(&mut self, mss: u32, config: &TcpConfig) {
        let fresh = Start::new(mss, config.initial_window, config.congestion_settings);
        *self = Self::Prague(Box::new(Prague::new(&Start {
            cwnd: self.cwnd(),
            ssthresh: self.ssthresh(),
            ..fresh
        })));
    }

    /// The congestion window, octets.
    pub fn cwnd(&self) -> u32 {
        match self {
            Self::Reno(a) => a.cwnd(),
            Self::FreshCubic(start) => Window::new(start).cwnd,
            Self::Cubic(a) => a.cwnd(),
            Self::Bbr(a) => a.cwnd(),
            Self::Custom(_, a) => a.cwnd(),
            #[cfg(feature = "l4s")]
            Self::Prague(a) => a.cwnd(),
        }
    }

    /// The slow start threshold, octets; `u32::MAX` before the first loss.
    pub fn ssthresh(&self) -> u32 {
        match self {
            Self::Reno(a) => a.ssthresh(),
            Self::FreshCubic(start) => Window::new(start).ssthresh,
            Self::Cubic(a) => a.ssthresh(),
            Self::Bbr(a) => a.ssthresh(),
            Self::Custom(_, a) => a.ssthresh(),
            #[cfg(feature = "l4s")]
            Self::Prague(a) => a.ssthresh(),
        }
    }

    /// How fast to send, octets a second, where the algorithm has an opinion.
    pub fn pacing_rate(&self) -> Option<u64> {
        match self {
            Self::Reno(_) | Self::FreshCubic(_) | Self::Cubic(_) => None,
            Self::Bbr(a) => Some(a.pacing_rate()),
            Self::Custom(_, a) => a.pacing_rate(),
            #[cfg(feature = "l4s")]
            Self::Prague(_) => None,
        }
    }

    /// How many octets may leave in one burst at that rate, where the algorithm has an opinion.
    pub fn send_quantum(&self) -> Option<u32> {
        match self {
            Self::Bbr(a) => Some(a.send_quantum()),
            #[cfg(feature = "l4s")]
            Self::Prague(a) => Some(a.send_quantum()),
            _ => None,
        }
    }

    /// Whether it sizes its window in recovery too: nothing else (RFC 9937) does then.
    pub const fn sizes_own_window(&self) -> bool {
        matches!(self, Self::Bbr(_))
    }

    /// Whether it looks at what an acknowledgment says of the path's rate.
    pub const fn takes_rates(&self) -> bool {
        matches!(self, Self::Bbr(_) | Self::Custom(..))
    }

    /// Whether what leaves now says nothing of the path's rate: it counts as limited by the program.
    pub fn ignores_rates(&self) -> bool {
        matches!(self, Self::Bbr(a) if a.ignores_rates())
    }

    /// New data was acknowledged.
    pub fn on_ack(&mut self, sample: &AckSample) {
        match self {
            Self::Reno(a) => a.on_ack(sample),
            Self::FreshCubic(start) => {
                let mut cubic = Box::new(Cubic::new(start));
                cubic.on_ack(sample);
                *self = Self::Cubic(cubic);
            }
            Self::Cubic(a) => a.on_ack(sample),
            Self::Bbr(a) => a.on_ack(sample),
            Self::Custom(_, a) => a.on_ack(sample),
            #[cfg(feature = "l4s")]
            Self::Prague(a) => a.on_ack(sample),
        }
    }

    /// `range` of what was sent is deemed lost; told of each such range, in ascending order, before the sample and the
    /// event that the same acknowledgment or time-out gives.
    pub fn on_lost(&mut self, packet: &LostPacket, range: SeqRange) {
        if let Self::Bbr(a) = self {
            a.on_lost(packet, range);
        }
    }

    /// A probe repaired what had not been deemed lost (RFC 8985 §7.4.2), while `in_flight` octets were underway.
    pub fn on_repaired(&mut self, in_flight: u32, now: Instant) {
        if let Self::Bbr(a) = self {
            a.on_repaired(now);
        }
        self.on_event(CongestionEvent::Loss, in_flight, now);
    }

    /// Something is about to leave, with nothing in flight, after the program had nothing to send.
    pub fn on_idle_restart(&mut self, now: Instant) {
        if let Self::Bbr(a) = self {
            a.on_idle_restart(now);
        }
    }

    /// Something happened while `in_flight` octets were underway (FlightSize).
    pub fn on_event(&mut self, event: CongestionEvent, in_flight: u32, now: Instant) {
        match self {
            Self::Reno(a) => a.on_event(event, in_flight),
            Self::FreshCubic(start) => {
                let mut cubic = Box::new(Cubic::new(start));
                cubic.on_event(event, in_flight);
                *self = Self::Cubic(cubic);
            }
            Self::Cubic(a) => a.on_event(event, in_flight),
            Self::Bbr(a) => a.on_event(event, in_flight, now),
            Self::Custom(_, a) => a.on_event(event, in_flight, now),
            #[cfg(feature = "l4s")]
            Self::Prague(a) => a.on_event(event, in_flight),
        }
    }

    /// What the loss just told of was the end of a slow start which had filled a queue: the answer goes by what the path bore a
    /// round trip before. In the one that it took to hear of it the window grew on, and half or 0.7 of that would be too much
    /// again, the more the later a flow hears. RFC 5681 (4) says at the most how much is left; CUBIC's W_max is what was borne,
    /// and not the window just before it was reduced (RFC 9438 §4.6).
    pub fn on_overflow(&mut self) {
        match self {
            Self::Reno(a) => a.on_overflow(),
            Self::Cubic(a) => a.on_overflow(),
            #[cfg(feature = "l4s")]
            Self::Prague(a) => a.on_overflow(),
            Self::FreshCubic(_) | Self::Bbr(_) | Self::Custom(..) => {}
        }
    }

    /// The handshake told SMSS. Where nothing has happened yet the initial window is that of the new size;
    /// later it is as [`CongestionEvent::MssChanged`].
    pub fn set_mss(&mut self, mss: u32) {
        match self {
            Self::Reno(a) => a.set_mss(mss),
            Self::FreshCubic(start) => {
                let mut window = Window::new(start);
                window.set_mss(mss);
                *start = Start { mss: window.mss, cwnd: window.cwnd, ..*start };
            }
            Self::Cubic(a) => a.set_mss(mss),
            Self::Bbr(a) => a.set_mss(mss),
            Self::Custom(_, a) => a.set_mss(mss),
            #[cfg(feature = "l4s")]
            Self::Prague(a) => a.set_mss(mss),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CUBIC that is made with the first ACK has the window of one made at once.
    #[test]
    fn a_fresh_cubic_is_as_one_that_was_made() {
        let config = TcpConfig::default();
        let mut fresh = Congestion::new(Algorithm::Cubic, 1460, 10, &config);
        let mut made = fresh_cubic(&config);
        for mss in [1448, 536, 1200] {
            fresh.set_mss(mss);
            made.set_mss(mss);
            assert!(matches!(fresh, Congestion::FreshCubic(_)), "nothing to learn yet");
            assert_eq!((fresh.cwnd(), fresh.ssthresh()), (made.cwnd(), made.ssthresh()));
        }
        assert_eq!(fresh.cwnd(), 12_000);
        for congestion in [&mut fresh, &mut made] {
            congestion.on_event(CongestionEvent::Loss, 12_000, Instant::ZERO);
        }
        assert!(matches!(fresh, Congestion::Cubic(_)));
        assert_eq!((fresh.cwnd(), fresh.ssthresh()), (made.cwnd(), made.ssthresh()));
        assert!(fresh.ssthresh() < 12_000);
    }

    fn fresh_cubic(config: &TcpConfig) -> Congestion {
        let start = Start::new(1460, 10, config.congestion_settings);
        Congestion::Cubic(Box::new(Cubic::new(&start)))
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
        assert!(size_of::<Congestion>() <= 32, "{}", size_of::<Congestion>());
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
