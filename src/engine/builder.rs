//! Making an engine.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use tunstack_core::config::{Config, Offload};
use tunstack_core::stack::Stack;

use super::clock::Clock;
use super::shard::Shard;
use super::{Engine, Shared, Stepper, reader};
use crate::device::Device;

/// Describes an engine; [`start`](Self::start) makes it.
#[must_use]
pub struct Builder {
    device: Option<Box<dyn Device>>,
    config: Config,
    seed: Option<[u8; 32]>,
    shards: usize,
    spin: Duration,
}

impl Default for Builder {
    fn default() -> Self {
        Self { device: None, config: Config::default(), seed: None, shards: 1, spin: Duration::ZERO }
    }
}

impl Builder {
    /// What packets come from and go to. There must be one.
    pub fn device(mut self, device: impl Device + 'static) -> Self {
        self.device = Some(Box::new(device));
        self
    }

    /// The stack's settings. Its MTU is lowered to the device's.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// What initial sequence numbers, ports and hash keys are drawn from. Without it the operating system's
    /// randomness is asked. A seed that somebody can guess makes connections easy to hijack (RFC 6528).
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Into how many stacks, each with a lock of its own, connections are spread. Only 1 is possible now.
    pub fn shards(mut self, count: usize) -> Self {
        self.shards = count;
        self
    }

    /// How long who waits for packets looks for them again and again before it sleeps; zero, as it is without this:
    /// not at all. A few microseconds save a peer that answers at once the time that a wake-up takes, and cost
    /// that much of a processor at each wait. With zero an engine that has nothing to do uses none.
    pub fn spin(mut self, time: Duration) -> Self {
        self.spin = time;
        self
    }

    /// Makes the stack and starts the thread that serves it.
    ///
    /// # Errors
    /// `InvalidInput` without a device; `Unsupported` for any number of shards but 1; what the operating
    /// system says when it gives no randomness, no descriptor or no thread.
    pub fn start(self) -> io::Result<Engine> {
        let shard = self.shard(Clock::start())?;
        shard.open_seat();
        let reader = thread::Builder::new().name("tunstack-reader".into()).spawn({
            let shard = Arc::clone(&shard);
            move || reader::run(&shard)
        })?;
        Ok(Engine { shared: Arc::new(Shared { shard, reader: Mutex::new(Some(reader)) }) })
    }

    /// Makes the stack, starts no thread and lets no time pass: the [`Stepper`] does that. For tests and for running
    /// conformance scripts: the sockets of [`net`](crate::net) and [`bsd`](crate::bsd) wait in virtual time then, to
    /// the same end each time; those that wait on descriptors of the kernel by other means
    /// ([`poll`](crate::poll), [`ring`](crate::ring), tasks with timers of their own) wait in the machine's.
    ///
    /// What the device has to read is not read: packets are handed over by [`Stepper::receive`].
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub fn start_stepped(self) -> io::Result<(Engine, Stepper)> {
        let shard = self.shard(Clock::start_virtual())?;
        let stepper = Stepper::new(Arc::clone(&shard));
        Ok((Engine { shared: Arc::new(Shared { shard, reader: Mutex::new(None) }) }, stepper))
    }

    fn shard(self, clock: Clock) -> io::Result<Arc<Shard>> {
        if self.shards != 1 {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("{} shards: an engine has exactly one", self.shards),
            ));
        }
        let Some(device) = self.device else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an engine needs a device"));
        };
        let seed = self.seed.map_or_else(random_seed, Ok)?;
        let mut config = self.config;
        let able = device.capabilities();
        config.mtu = config.mtu.min(able.mtu);
        config.offload = Offload { checksum: able.checksum_offload, segmentation: able.max_gso };
        Ok(Arc::new(Shard::new(Stack::new(config, seed), device, clock, self.spin)?))
    }
}

fn random_seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

impl std::fmt::Debug for Builder {
    /// Without the seed, which is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("shards", &self.shards)
            .field("spin", &self.spin)
            .finish_non_exhaustive()
    }
}
