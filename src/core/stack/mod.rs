//! The stack: five calls to drive it, and the calls of a program.

pub mod ready;
pub mod slab;

pub use crate::packet::{Body, Checksum, Datagram, Inbound, Received, Trust};
pub use ready::{Event, Readiness};
pub use slab::SocketId;

pub mod socket;

use crate::config::Config;
use crate::counters::Counters;
use crate::time::Instant;

/// A host's TCP/IP as a value.
///
/// Its calls are of four kinds: those of the world (`receive`, `handle_timeout`), those of a program
/// (`connect`, `try_read`, …), those that give work back to the world (`poll_transmit`, `poll_event`,
/// `poll_timeout`), and getters. After any call of the first two kinds, call the third kind as [`drive`]
/// does. Spurious calls are harmless.
#[derive(Debug)]
pub struct Stack {
    config: Config,
    counters: Counters,
}

impl Stack {
    /// A stack with these settings. `seed` must be unpredictable on a real network: initial sequence
    /// numbers, ports and the connection table's hash keys are drawn from it. The same seed and the same
    /// calls give the same bytes.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let _ = seed;
        Self { config, counters: Counters::default() }
    }

    /// A packet arrived.
    pub fn receive(&mut self, now: Instant, inbound: Inbound<'_>) -> Received {
        let _ = (now, inbound);
        Received::Dropped("no protocol")
    }

    /// Runs the timers that are due. Harmless when none is.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// The next packet to send, until there is none.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Datagram<'_>> {
        let _ = now;
        None
    }

    /// The next socket whose readiness changed, until there is none.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next, if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// What has been counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The settings it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

/// The only loop there is: a test, the simulator and the engine all run this after whatever they did to the
/// stack. Returns when to come back.
pub fn drive(
    stack: &mut Stack,
    now: Instant,
    mut send: impl FnMut(Datagram<'_>),
    mut wake: impl FnMut(Event),
) -> Option<Instant> {
    stack.handle_timeout(now);
    while let Some(datagram) = stack.poll_transmit(now) {
        send(datagram);
    }
    while let Some(event) = stack.poll_event() {
        wake(event);
    }
    stack.poll_timeout()
}
