//! What can be watched and what is: registrations of our sockets with their engines, of descriptors with the kernel.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use tunstack_core::stack::{Readiness, SocketId};

use super::interest::{Interest, Token};
use super::ready::{Handle, Ready};
use crate::engine::shard::Shard;
use crate::engine::socket::Socket;
use crate::engine::waiters::{Key, Observer};

/// Something that a [`Poll`](super::Poll) can watch. Programs call the [`Registry`]; what wraps sources of its
/// own hands these calls on to them.
pub trait Source {
    /// Begins to watch.
    ///
    /// # Errors
    /// `AlreadyExists` when it is watched already, and those of an engine that has ended.
    fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()>;

    /// Changes token and interest.
    ///
    /// # Errors
    /// `NotFound` when it is not watched.
    fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()>;

    /// Watches no more.
    ///
    /// # Errors
    /// `NotFound` when it is not watched.
    fn deregister(&mut self, registry: &Registry) -> io::Result<()>;
}

impl<T: Source + ?Sized> Source for Box<T> {
    fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        (**self).register(registry, token, interest)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        (**self).reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        (**self).deregister(registry)
    }
}

/// Says what a [`Poll`](super::Poll) watches. Any thread may do that, also while another polls.
pub struct Registry {
    pub(super) shared: Arc<Shared>,
}

impl Registry {
    pub(super) fn new() -> io::Result<Self> {
        let watched = Arc::new(Watched {
            ready: Ready::new(),
            nudge: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            sockets: Mutex::default(),
        });
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        // Edge-triggered, so that it need not be read: each write is an event.
        epoll::add(&epoll, &watched.nudge, watched.nudge_data(), EventFlags::IN | EventFlags::ET)?;
        Ok(Self { shared: Arc::new(Shared { epoll, watched, descriptors: AtomicBool::new(false) }) })
    }

    /// Watches `source`. If it is ready already, the next poll tells of it.
    ///
    /// # Errors
    /// `AlreadyExists` when it is watched already; what ended its engine; for a [`SourceFd`](super::SourceFd)
    /// those of `epoll_ctl`, such as `PermissionDenied` for a regular file.
    pub fn register<S: Source + ?Sized>(
        &self,
        source: &mut S,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        source.register(self, token, interest)
    }

    /// Replaces the token and the interest of what is watched already. If it is ready for that, the next poll
    /// tells of it, also where it was told before.
    ///
    /// # Errors
    /// `NotFound` when it is not watched.
    pub fn reregister<S: Source + ?Sized>(
        &self,
        source: &mut S,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        source.reregister(self, token, interest)
    }

    /// Watches `source` no more. No later poll tells of it. A socket that is closed need not be deregistered
    /// before.
    ///
    /// # Errors
    /// `NotFound` when it is not watched.
    pub fn deregister<S: Source + ?Sized>(&self, source: &mut S) -> io::Result<()> {
        source.deregister(self)
    }

    /// Another handle to the same registry, for another thread. What is registered stays so until the poll and
    /// all of these are dropped.
    ///
    /// # Errors
    /// None; the signature is mio's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { shared: Arc::clone(&self.shared) })
    }

    pub(super) fn add_socket(&self, socket: &Socket, token: Token, interest: Interest) -> io::Result<()> {
        let watched = &self.shared.watched;
        let (shard, id) = (socket.shard(), socket.id());
        let mut held = shard.lock_working()?;
        let name = Name::of(shard, id);
        let key = held.waiters.key();
        let handle = {
            let mut sockets = watched.sockets();
            (!sockets.registrations.contains_key(&name)).then(|| {
                let handle = watched.ready.insert(token, interest);
                sockets.insert(name, Registration { shard: Arc::downgrade(shard), key, handle });
                handle
            })
        };
        if let Some(handle) = handle {
            held.waiters.observe(id, key, Arc::new(Watch { watched: Arc::clone(watched), name, handle }));
            let level = held.stack.readiness(id);
            watched.changed(handle, level, level);
        }
        held.release();
        if handle.is_some() { Ok(()) } else { Err(Errno::EXIST.into()) }
    }

    pub(super) fn modify_socket(&self, socket: &Socket, token: Token, interest: Interest) -> io::Result<()> {
        let watched = &self.shared.watched;
        let (shard, id) = (socket.shard(), socket.id());
        // So that what it was last told is how the socket stands.
        let held = shard.lock();
        let handle =
            watched.sockets().registrations.get(&Name::of(shard, id)).map(|registration| registration.handle);
        if let Some(handle) = handle
            && watched.ready.modify(handle, token, interest)
        {
            watched.nudge();
        }
        held.release();
        if handle.is_some() { Ok(()) } else { Err(Errno::NOENT.into()) }
    }

    pub(super) fn remove_socket(&self, socket: &Socket) -> io::Result<()> {
        let (shard, id) = (socket.shard(), socket.id());
        let mut held = shard.lock();
        let key = self.shared.watched.sockets().registrations.get(&Name::of(shard, id)).map(|r| r.key);
        if let Some(key) = key {
            // The rest happens when the watch is dropped by that.
            held.waiters.unobserve(id, key);
        }
        held.release();
        if key.is_some() { Ok(()) } else { Err(Errno::NOENT.into()) }
    }

    pub(super) fn add_fd(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        self.shared.descriptors.store(true, Ordering::Release);
        Ok(epoll::add(&self.shared.epoll, fd, self.data(token)?, interest.flags())?)
    }

    pub(super) fn modify_fd(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.shared.epoll, fd, self.data(token)?, interest.flags())?)
    }

    pub(super) fn remove_fd(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.shared.epoll, fd)?)
    }

    /// A token as the kernel keeps it.
    fn data(&self, token: Token) -> io::Result<EventData> {
        let data = EventData::new_u64(token.0 as u64);
        // It is an address of ours, so no program has a reason to use it.
        if data == self.shared.watched.nudge_data() { Err(Errno::INVAL.into()) } else { Ok(data) }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("epoll", &self.shared.epoll).finish_non_exhaustive()
    }
}

/// What a poll and its registries share.
pub(super) struct Shared {
    pub(super) epoll: OwnedFd,
    pub(super) watched: Arc<Watched>,
    /// Descriptors have been watched. The kernel does not say when one was closed and is watched no more.
    descriptors: AtomicBool,
}

impl Shared {
    /// Whether the kernel may have something to tell beside a nudge.
    pub(super) fn has_descriptors(&self) -> bool {
        self.descriptors.load(Ordering::Acquire)
    }
}

impl Drop for Shared {
    /// Leaves no watch behind: sockets may live for long yet.
    fn drop(&mut self) {
        let all: Vec<_> = self
            .watched
            .sockets()
            .registrations
            .iter()
            .map(|(name, r)| (r.shard.clone(), name.id, r.key))
            .collect();
        for (shard, id, key) in all {
            let Some(shard) = shard.upgrade() else { continue };
            let mut held = shard.lock();
            held.waiters.unobserve(id, key);
            held.release();
        }
    }
}

/// The same as the sockets' side sees it. Its locks are taken under the engines' and never the other way
/// round.
pub(super) struct Watched {
    pub(super) ready: Ready,
    /// Ends the poller's sleep in the kernel.
    nudge: OwnedFd,
    sockets: Mutex<Sockets>,
}

/// The sockets that are watched, and where they live.
#[derive(Default)]
struct Sockets {
    registrations: HashMap<Name, Registration>,
    /// By address, with how many there are.
    shards: HashMap<usize, (Weak<Shard>, usize)>,
}

impl Sockets {
    fn insert(&mut self, name: Name, registration: Registration) {
        self.shards.entry(name.shard).or_insert_with(|| (registration.shard.clone(), 0)).1 += 1;
        self.registrations.insert(name, registration);
    }

    fn remove(&mut self, name: &Name) {
        if self.registrations.remove(name).is_some()
            && let Entry::Occupied(mut shard) = self.shards.entry(name.shard)
        {
            shard.get_mut().1 -= 1;
            if shard.get().1 == 0 {
                shard.remove();
            }
        }
    }
}

impl Watched {
    /// Where all sockets live that are watched, if that is one place.
    pub(super) fn home(&self) -> Option<Arc<Shard>> {
        let sockets = self.sockets();
        let mut shards = sockets.shards.values();
        match (shards.next(), shards.next()) {
            (Some((shard, _)), None) => shard.upgrade(),
            _ => None,
        }
    }

    fn sockets(&self) -> MutexGuard<'_, Sockets> {
        // Nothing in here leaves it half changed.
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a name of the poller's if it was woken.
    pub(super) fn changed(&self, handle: Handle, level: Readiness, edges: Readiness) -> Option<usize> {
        let wakes = self.ready.changed(handle, level, edges);
        if wakes {
            self.nudge();
        }
        wakes.then(|| std::ptr::from_ref(self).addr())
    }

    /// Wakes the poller. The count cannot overflow in practice, and if it did the poller would have been woken.
    fn nudge(&self) {
        let written = rustix::io::write(&self.nudge, &1u64.to_ne_bytes());
        debug_assert!(matches!(written, Ok(8) | Err(Errno::AGAIN)), "{written:?}");
    }

    /// What tells the nudge's event from those of the program's descriptors.
    pub(super) fn nudge_data(&self) -> EventData {
        EventData::new_u64(std::ptr::from_ref(self).addr() as u64)
    }

    /// How many sockets are watched.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sockets().registrations.len()
    }
}

/// A socket of all engines. The address is used by no other as long as there is a [`Weak`] to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Name {
    shard: usize,
    id: SocketId,
}

impl Name {
    fn of(shard: &Arc<Shard>, id: SocketId) -> Self {
        Self { shard: Arc::as_ptr(shard).addr(), id }
    }
}

/// How a registration is taken back. It keeps no engine up.
struct Registration {
    shard: Weak<Shard>,
    key: Key,
    handle: Handle,
}

/// A registration's end in the engine. Who drops it, be it that the program deregisters or closes the socket or
/// that the engine goes, ends the registration.
struct Watch {
    watched: Arc<Watched>,
    name: Name,
    handle: Handle,
}

impl Observer for Watch {
    fn changed(&self, readiness: Readiness, edges: Readiness) -> Option<usize> {
        self.watched.changed(self.handle, readiness, edges)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watched.ready.remove(self.handle);
        self.watched.sockets().remove(&self.name);
    }
}
