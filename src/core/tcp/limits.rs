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
        // What is left of a microsecond where one time ends belongs to the next, so that none is lost.
        let passed = now.as_micros().saturating_sub(self.since.as_micros());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_microsecond_is_lost() {
        let at = |nanos| Instant::ZERO + Duration::from_nanos(nanos);
        let mut limits = Limits::new();
        limits.change(Limit::Network, at(300));
        for n in 1..=50 {
            limits.change(Limit::Buffer, at(600 * (2 * n - 1)));
            limits.change(Limit::Network, at(600 * 2 * n));
        }
        let busy = limits.busy(at(60_900));
        assert_eq!((busy.total, busy.window), (Duration::from_micros(60), Duration::ZERO));
        assert_eq!(busy.buffer, Duration::from_micros(30));
    }
}
