//! The real world's driver: locks, threads, the clock and a device around a stack.
//!
//! ```text
//!   program's threads and tasks           who sits: a call that waits,
//!                                         or else the engine's thread
//!    call, drive, unlock, wake          ppoll(device, nudge, deadline)
//!              │                          receive, drive, unlock, wake
//!              ▼                                     ▼
//!         ┌─────────── Mutex<Stack, Waiters, Seat> ───────────┐
//!         └────────────────────── Device ─────────────────────┘
//! ```
//!
//! One thread at a time reads the device: that right is a seat. A call that has to wait reads for itself and for
//! all others, so that a request and its answer need no other thread. The engine's thread sits while no call does.

pub(crate) mod clock;

mod error;

pub(crate) mod sync;

mod sleep;

pub(crate) mod spin;

pub(crate) mod waiters;

mod pace;

mod seat;

mod watch;

pub(crate) mod shard;

mod several;

mod claim;

mod idling;

mod sitting;

pub(crate) mod passing;

pub(crate) mod wait;

mod signals;

mod reader;

mod stepped;

mod builder;

mod shutdown;

pub(crate) mod socket;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tunstack_core::addr::{Endpoint, Prefix};
use tunstack_core::config::Config;
use tunstack_core::counters::Counters;
#[cfg(doc)]
use tunstack_core::stack::Stack;
use tunstack_core::stack::{Readiness, SocketId};
use tunstack_core::tcp::state::State;

pub use builder::Builder;
pub use error::io_error;
use shard::Shard;
pub use stepped::{Calls, Stepper};
pub use waiters::Interest;

/// A running stack: a handle that is cheap to clone. Sockets hold one too; when the last is dropped the
/// engine's thread ends, and with it whatever has not been delivered yet. [`shutdown`](Self::shutdown)
/// waits for that.
#[derive(Clone, Debug)]
pub struct Engine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// At least one. What belongs to no connection is the first one's.
    shards: Vec<Arc<Shard>>,
    readers: Mutex<Vec<JoinHandle<()>>>,
    /// Where the next TCP socket is opened.
    next: AtomicUsize,
    /// One change of settings at a time, so that all shards have the same.
    configuring: Mutex<()>,
}

/// A socket as it stood at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketInfo {
    /// Its handle.
    pub id: SocketId,
    /// The connection's state; `None` for what is not TCP.
    pub state: Option<State>,
    /// Our end; unspecified parts are not chosen yet.
    pub local: Option<Endpoint>,
    /// The peer's end, where there is one.
    pub remote: Option<Endpoint>,
    /// What a program could do without waiting.
    pub readiness: Readiness,
    /// Octets handed over but not yet acknowledged.
    pub unacknowledged: usize,
}

/// The slots of a shard's sockets, as many at a time as may be looked at in one hold of the lock.
pub(crate) fn pieces(shard: &Shard) -> impl Iterator<Item = Range<u32>> + '_ {
    const SLOTS: u32 = 512;
    (0..).step_by(SLOTS as usize).map_while(|first: u32| {
        let end = shard.lock().stack.slots_end();
        (first < end).then(|| first..first.saturating_add(SLOTS).min(end))
    })
}

impl Engine {
    /// Begins to describe an engine.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What has been counted so far. Packets that the device did not take count as `IpOutDiscards`.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for shard in self.shards() {
            let held = shard.lock();
            counters.add(held.stack.counters());
            counters.ip_out_discards += held.refused;
        }
        counters
    }

    /// How many packets came in at another queue than that of the shard they were for, and were carried there.
    pub fn foreign_packets(&self) -> u64 {
        let neighbours = self.shards().iter().filter_map(|shard| shard.neighbours.get());
        neighbours.map(|neighbours| neighbours.passed_on()).sum()
    }

    /// The stack's own addresses, each with its prefix.
    pub fn addresses(&self) -> Vec<Prefix> {
        self.shard().lock().stack.config().addresses.clone()
    }

    /// Changes settings of a stack that runs, as a sysctl does: `change` is called once, and should be quick, for everything
    /// else waits. What comes later obeys, such as new sockets and new connections; [`Stack::config_mut`] says what does not.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let (device, _peer) = tunstack::device::pipe::Pipe::pair(1500)?;
    /// # let engine = tunstack::engine::Engine::builder().device(device).start()?;
    /// engine.configure(|config| config.tcp.timestamps = false);
    /// # Ok(())
    /// # }
    /// ```
    pub fn configure<T>(&self, change: impl FnOnce(&mut Config) -> T) -> T {
        let _alone = self.shared.configuring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = self.shard().lock();
        let result = change(first.stack.config_mut());
        let others = self.shards().get(1..).unwrap_or_default();
        let config = (!others.is_empty()).then(|| first.stack.config().clone());
        drop(first);
        for (other, config) in others.iter().zip(std::iter::repeat(config).flatten()) {
            *other.lock().stack.config_mut() = config;
        }
        result
    }

    /// Forgets what servers gave for Fast Open (RFC 7413 §4.1.3), and where it came to grief.
    pub fn forget_fast_open(&self) {
        self.shards().iter().for_each(|shard| shard.lock().stack.forget_fast_open());
    }

    /// Every socket that the program holds, each as it stood when it was looked at: of very many not all at one moment, for
    /// nobody is to wait so long. What comes or goes meanwhile may be among them or not.
    pub fn sockets(&self) -> Vec<SocketInfo> {
        let mut sockets = Vec::new();
        for shard in self.shards() {
            for slots in pieces(shard) {
                let held = shard.lock();
                let stack = &held.stack;
                sockets.extend(stack.sockets_in(slots).map(|id| SocketInfo {
                    id,
                    state: stack.state(id),
                    local: stack.local_endpoint(id).ok(),
                    remote: stack.remote_endpoint(id).ok(),
                    readiness: stack.readiness(id),
                    unacknowledged: stack.unacknowledged(id).unwrap_or(0),
                }));
            }
        }
        sockets
    }

    /// What ended the engine, if it has ended: it was shut down, or its device failed.
    ///
    /// # Errors
    /// That.
    pub fn check(&self) -> io::Result<()> {
        self.shard().lock_working().map(drop)
    }

    /// Ends the engine in order: nothing new is opened, listeners are closed, each connection sends what was
    /// written and a FIN, and when all have ended, or after `timeout`, the rest is reset and the engine's
    /// thread is joined. Calls that wait on any socket then give an error (`ESHUTDOWN`), as later ones do.
    ///
    /// # Errors
    /// `TimedOut` when connections had to be reset; the device's error when that ended the engine before.
    pub fn shutdown(&self, timeout: Duration) -> io::Result<()> {
        let result = shutdown::in_order(self.shards(), timeout);
        self.shared.join();
        result
    }

    fn of(shards: Vec<Arc<Shard>>) -> Self {
        let (readers, configuring) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { shards, readers, next: AtomicUsize::new(0), configuring }) }
    }

    fn has_reader(&self, reader: JoinHandle<()>) {
        self.shared.readers().push(reader);
    }

    pub(crate) fn shards(&self) -> &[Arc<Shard>] {
        &self.shared.shards
    }

    /// The first, where everything lives that is no TCP.
    pub(crate) fn shard(&self) -> &Arc<Shard> {
        &self.shared.shards[0]
    }

    /// The one where a socket lives.
    pub(crate) fn shard_of(&self, id: SocketId) -> &Arc<Shard> {
        &self.shared.shards[usize::from(id.shard())]
    }

    /// The one where the next TCP socket is to live: each in turn.
    pub(crate) fn next_shard(&self) -> &Arc<Shard> {
        let shards = self.shards();
        match shards {
            [only] => only,
            _ => &shards[self.shared.next.fetch_add(1, Ordering::Relaxed) % shards.len()],
        }
    }
}

impl Shared {
    fn readers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the readers and waits for them, except for the one that this may be: the last handle may go in a waker.
    fn join(&self) {
        self.shards.iter().for_each(|shard| shard.stop());
        let readers = std::mem::take(&mut *self.readers());
        let this = thread::current().id();
        for reader in readers.into_iter().filter(|reader| reader.thread().id() != this) {
            if reader.join().is_err() {
                tracing::error!("the engine's thread panicked");
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.join();
    }
}
