//! What keeps a sender from being faster, for `TCP_INFO`: how long there was something to send, and how much of that
//! time the peer's window or our own send buffer was in the way.

use crate::time::{Duration, Instant};

/// What limits a connection that has something to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limit {
    /// There is nothing to send.
    Idle,
    /// The network, by the congestion window or by its pace.
    Network,
    /// The peer's window.
    Window,
    /// The send buffer: all it holds is in flight, and the program has more.
    Buffer,
}

/// The times of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub(super) now: Limit,
    since: Instant,
    /// Microseconds limited by the network, the peer's window and the buffer.
    micros: [u64; 3],
}

/// How long a connection had something to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Busy {
    /// In all.
    pub total: Duration,
    /// Of that, limited by the peer's window.
    pub window: Duration,
    /// Of that, limited by the send buffer.
    pub buffer: Duration,
}

impl Limits {
    /// Nothing to send yet.
    pub const fn new() -> Self {
        Self { now: Limit::Idle, since: Instant::ZERO, micros: [0; 3] }
    }

    pub(super) const fn change(&mut self, to: Limit, now: Instant) {
        self.micros = self.until(now);
        self.now = to;
        self.since = now;
    }

    const fn until(&self, now: Instant) -> [u64; 3] {
        let [mut network, mut window, mut buffer] = self.micros;
        let passed = now.saturating_since(self.since).as_micros() as u64;
        match self.now {
            Limit::Idle => {}
            Limit::Network => network += passed,
            Limit::Window => window += passed,
            Limit::Buffer => buffer += passed,
        }
        [network, window, buffer]
    }

    /// The times up to `now`.
    pub const fn busy(&self, now: Instant) -> Busy {
        let [network, window, buffer] = self.until(now);
        Busy {
            total: Duration::from_micros(network + window + buffer),
            window: Duration::from_micros(window),
            buffer: Duration::from_micros(buffer),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
