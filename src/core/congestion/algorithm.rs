//! Algorithms by name: those that are here, and those that a program brings along.

use alloc::boxed::Box;
use core::fmt;

use super::settings::Settings;
use super::{AckSample, CongestionEvent, initial_window};
use crate::time::Instant;

/// Which algorithm new connections use, or one is to use (`TCP_CONGESTION`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Algorithm {
    /// Slow start and congestion avoidance (RFC 5681): `reno`.
    Reno,
    /// CUBIC (RFC 9438) with HyStart++ (RFC 9406): `cubic`.
    #[default]
    Cubic,
    /// BBRv3 (draft-ietf-ccwg-bbr): `bbr`.
    Bbr,
    /// One that is not part of the stack.
    Custom(&'static Custom),
}

impl Algorithm {
    /// Those that are part of the stack.
    pub const ALL: [Self; 3] = [Self::Reno, Self::Cubic, Self::Bbr];

    /// Its name, as `TCP_CONGESTION` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reno => "reno",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
            Self::Custom(custom) => custom.name,
        }
    }
}

/// An algorithm that a program brings along. To be found by its name it is to be among
/// [`TcpConfig::congestion_available`](crate::config::TcpConfig::congestion_available).
///
/// ```
/// # use tunstack_core::tcp::congestion::{AckSample, CongestionControl, CongestionEvent, Custom, Start};
/// # use tunstack_core::time::Instant;
/// #[derive(Debug)]
/// struct Fixed(u32);
///
/// impl CongestionControl for Fixed {
///     fn cwnd(&self) -> u32 { self.0 }
///     fn ssthresh(&self) -> u32 { 0 }
///     fn on_ack(&mut self, _: &AckSample) {}
///     fn on_event(&mut self, _: CongestionEvent, _: u32, _: Instant) {}
///     fn set_mss(&mut self, mss: u32) { self.0 = 20 * mss; }
/// }
///
/// static FIXED: Custom = Custom::new("fixed", |start| Box::new(Fixed(20 * start.mss)));
/// ```
pub struct Custom {
    name: &'static str,
    make: fn(&Start) -> Box<dyn CongestionControl>,
}

impl Custom {
    /// An algorithm of that name, of at most 15 octets (`TCP_CA_NAME_MAX`). `make` is called for each connection that
    /// begins with it or takes it over.
    pub const fn new(name: &'static str, make: fn(&Start) -> Box<dyn CongestionControl>) -> Self {
        Self { name, make }
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn make(&self, start: &Start) -> Box<dyn CongestionControl> {
        (self.make)(start)
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Custom").field(&self.name).finish()
    }
}

/// A name stands for one algorithm.
impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Custom {}

/// What an algorithm begins with: a fresh connection, or what another algorithm has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start {
    /// SMSS, octets, at least 1.
    pub mss: u32,
    /// Segments of the initial window: 10 by RFC 6928.
    pub initial_window_segments: u32,
    /// The congestion window, octets.
    pub cwnd: u32,
    /// The slow start threshold, octets; `u32::MAX` before the first loss.
    pub ssthresh: u32,
    /// The settings.
    pub settings: Settings,
}

impl Start {
    /// That of a fresh connection.
    pub fn new(mss: u32, initial_window_segments: u32, settings: Settings) -> Self {
        let mss = mss.max(1);
        let cwnd = initial_window(mss, initial_window_segments);
        Self { mss, initial_window_segments, cwnd, ssthresh: u32::MAX, settings }
    }
}

/// A congestion control algorithm.
///
/// Which segments leave, and which are sent again, it does not decide: it says how much may be underway, and perhaps how fast.
/// At least one segment may always be underway, however small the window. Numbers come from the peer's acknowledgments: they
/// may be of any size, and arithmetic should saturate.
pub trait CongestionControl: fmt::Debug + Send + Sync {
    /// The congestion window, octets.
    fn cwnd(&self) -> u32;

    /// The slow start threshold, octets. In fast recovery the window comes down to it by and by (RFC 9937).
    fn ssthresh(&self) -> u32;

    /// How fast to send, octets a second, where it has an opinion.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }

    /// New data was acknowledged.
    fn on_ack(&mut self, sample: &AckSample);

    /// Something happened while `in_flight` octets were underway (FlightSize).
    fn on_event(&mut self, event: CongestionEvent, in_flight: u32, now: Instant);

    /// The handshake told SMSS, octets: where nothing has happened yet the initial window may be that of the new size.
    fn set_mss(&mut self, mss: u32);
}
