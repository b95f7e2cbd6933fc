//! Making an engine.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use tunstack_core::config::{Config, Offload};
use tunstack_core::stack::Stack;
use tunstack_core::stack::shards::Placement;

use super::clock::Clock;
use super::several::{Common, Members, Several, TAKEN_ALONG};
use super::shard::Shard;
use super::spin::Spin;
use super::{Engine, Stepper, reader};
use crate::device::Device;

/// Describes an engine; [`start`](Self::start) makes it.
#[derive(Default)]
#[must_use]
pub struct Builder {
    devices: Vec<Box<dyn Device>>,
    config: Config,
    seed: Option<[u8; 32]>,
    shards: Option<usize>,
    spin: Spin,
}

impl Builder {
    /// What packets come from and go to. There must be one.
    pub fn device(mut self, device: impl Device + 'static) -> Self {
        self.devices = vec![Box::new(device)];
        self
    }

    /// The queues of one device, in place of [`device`](Self::device): each gets a stack and a reader of its own, and
    /// connections are spread over them by a hash of their ends. It does not matter at which queue a packet comes in,
    /// but costs less where it is the one that the connection was last sent from.
    pub fn queues<D: Device + 'static>(mut self, queues: impl IntoIterator<Item = D>) -> Self {
        self.devices = queues.into_iter().map(|queue| Box::new(queue) as Box<dyn Device>).collect();
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

    /// Into how many stacks, each with a lock of its own, connections are spread: as many as the device has queues, which
    /// is how many there are without this.
    pub fn shards(mut self, count: usize) -> Self {
        self.shards = Some(count);
        self
    }

    /// How long who waits for packets looks for them again and again before it sleeps, at each wait; zero: not at all.
    /// A few microseconds save a peer that answers at once the time that a wake-up takes, and cost that much of a
    /// processor. Without this it is 50 µs where that finds packets, and where it does not it is tried more and more
    /// rarely, at one wait in 256 at last. Timers, wake-ups and descriptors of a poll end a look as they end a sleep; a
    /// signal's handler that runs meanwhile mostly goes unnoticed.
    pub fn spin(mut self, time: Duration) -> Self {
        self.spin = time.into();
        self
    }

    /// Makes the stack and starts the thread that serves it, or as many as there are queues.
    ///
    /// # Errors
    /// `InvalidInput` without a device; `Unsupported` for another number of shards than there are queues; what the
    /// operating system says when it gives no randomness, no descriptor or no thread.
    pub fn start(self) -> io::Result<Engine> {
        let shards = self.make(Clock::start())?;
        let engine = Engine::of(shards);
        for shard in engine.shards() {
            shard.open_seat();
            let reader = thread::Builder::new().name("tunstack-reader".into()).spawn({
                let shard = Arc::clone(shard);
                move || reader::run(&shard)
            })?;
            engine.has_reader(reader);
        }
        Ok(engine)
    }

    /// Makes the stack, starts no thread and lets no time pass: the [`Stepper`] does that. For tests and for running
    /// conformance scripts: the sockets of [`net`](crate::net) and [`bsd`](crate::bsd) wait in virtual time then, to
    /// the same end each time; those that wait on descriptors of the kernel by other means
    /// ([`poll`](crate::poll), [`ring`](crate::ring), tasks with timers of their own) wait in the machine's.
    ///
    /// What the device has to read is not read: packets are handed over by [`Stepper::receive`].
    ///
    /// # Errors
    /// Those of [`start`](Self::start); `Unsupported` for several queues.
    pub fn start_stepped(self) -> io::Result<(Engine, Stepper)> {
        if self.devices.len() > 1 {
            return Err(unsupported("several shards are not stepped".to_owned()));
        }
        let shards = self.make(Clock::start_virtual())?;
        let engine = Engine::of(shards);
        let stepper = Stepper::new(Arc::clone(engine.shard()));
        Ok((engine, stepper))
    }

    pub(super) fn make(self, clock: Clock) -> io::Result<Vec<Arc<Shard>>> {
        let queues = self.devices.len();
        if let Some(count) = self.shards.filter(|count| *count == 0 || *count != queues.max(1)) {
            return Err(unsupported(format!("{count} shards over {queues} queues: there is one to each")));
        }
        if self.devices.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an engine needs a device"));
        }
        let count = u16::try_from(queues).map_err(|_| unsupported(format!("{queues} queues")))?;
        let seed = self.seed.map_or_else(random_seed, Ok)?;
        let mut config = self.config;
        let able: Vec<_> = self.devices.iter().map(|device| device.capabilities()).collect();
        config.mtu = able.iter().map(|able| able.mtu).fold(config.mtu, u16::min);
        config.offload = Offload {
            checksum: able.iter().all(|able| able.checksum_offload),
            segmentation: able.iter().map(|able| able.max_gso).min().unwrap_or(0),
        };
        config.lends = self.devices.iter().all(|device| device.takes_references());
        // Of the host's, each shard has a part: what is in the books of one is in no other's.
        config.memory = config.memory.map(|octets| octets / queues);
        let clock = Arc::new(clock);
        let members = Arc::new(Members::default());
        let placement = Arc::new(Placement::new(seed, count, Common(Arc::clone(&members))));
        let mut shards = Vec::with_capacity(queues);
        for (number, device) in (0..count).zip(self.devices) {
            let stack = Stack::shard(config.clone(), seed, number, Arc::clone(&placement));
            let shard = Shard::new(stack, device, Arc::clone(&clock), self.spin)?;
            if count > 1 {
                let (placement, members) = (Arc::clone(&placement), Arc::clone(&members));
                shard
                    .neighbours
                    .get_or_init(|| Box::new(Several::new(number, placement, members, TAKEN_ALONG)));
            }
            shards.push(Arc::new(shard));
        }
        members.are(&shards);
        Ok(shards)
    }
}

fn unsupported(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
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
