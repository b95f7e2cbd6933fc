//! What can be watched and what is: registrations of our sockets with their engines, of descriptors with the kernel.

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
use crate::engine::waiters::Overseer;

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
            homes: Mutex::default(),
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
        let is_new = held.waiters.overseen(id, watched.number()).is_none();
        if is_new {
            let home = watched.enter(shard);
            let level = held.stack.readiness(id);
            let (handle, wakes) = watched.ready.insert_at(level, token, interest, Some((home, id)));
            let key = held.waiters.key();
            held.waiters.oversee(id, key, Arc::<Watched>::clone(watched), handle);
            if wakes {
                watched.nudge();
            }
        }
        held.release();
        if is_new { Ok(()) } else { Err(Errno::EXIST.into()) }
    }

    pub(super) fn modify_socket(&self, socket: &Socket, token: Token, interest: Interest) -> io::Result<()> {
        let watched = &self.shared.watched;
        // So that what it was last told is how the socket stands.
        let held = socket.shard().lock();
        let known = held.waiters.overseen(socket.id(), watched.number());
        if let Some((_, handle)) = known
            && watched.ready.modify(handle, token, interest)
        {
            watched.nudge();
        }
        held.release();
        if known.is_some() { Ok(()) } else { Err(Errno::NOENT.into()) }
    }

    pub(super) fn remove_socket(&self, socket: &Socket) -> io::Result<()> {
        let removed = self.shared.watched.remove(socket.shard(), socket.id());
        if removed { Ok(()) } else { Err(Errno::NOENT.into()) }
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
        for (home, id) in self.watched.ready.sockets() {
            if let Some(shard) = self.watched.shard(home) {
                self.watched.remove(&shard, id);
            }
        }
    }
}

/// The same as the sockets' side sees it. Its locks are taken under the engines' and never the other way
/// round.
pub(super) struct Watched {
    pub(super) ready: Ready,
    /// Ends the poller's sleep in the kernel.
    nudge: OwnedFd,
    homes: Mutex<Vec<Home>>,
}

/// Where sockets live that are watched: there are few such places. Its address is used by no other as long as there is a
/// [`Weak`] to it.
struct Home {
    shard: Weak<Shard>,
    /// How many of them.
    sockets: usize,
}

impl Home {
    fn address(&self) -> usize {
        self.shard.as_ptr().addr()
    }
}

impl Watched {
    /// Where all sockets live that are watched, if that is one place.
    pub(super) fn home(&self) -> Option<Arc<Shard>> {
        match &self.homes()[..] {
            [only] => only.shard.upgrade(),
            _ => None,
        }
    }

    fn homes(&self) -> MutexGuard<'_, Vec<Home>> {
        // Nothing in here leaves it half changed.
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That with an address.
    fn shard(&self, address: usize) -> Option<Arc<Shard>> {
        self.homes().iter().find(|home| home.address() == address)?.shard.upgrade()
    }

    /// One more socket lives there: gives its address.
    fn enter(&self, shard: &Arc<Shard>) -> usize {
        let address = Arc::as_ptr(shard).addr();
        let mut homes = self.homes();
        match homes.iter_mut().find(|home| home.address() == address) {
            Some(home) => home.sockets += 1,
            None => homes.push(Home { shard: Arc::downgrade(shard), sockets: 1 }),
        }
        address
    }

    /// One less.
    fn leave(&self, address: usize) {
        let mut homes = self.homes();
        let Some(at) = homes.iter().position(|home| home.address() == address) else { return };
        homes[at].sockets -= 1;
        if homes[at].sockets == 0 {
            homes.swap_remove(at);
        }
    }

    /// Watches a socket no more; says whether it did.
    fn remove(&self, shard: &Shard, id: SocketId) -> bool {
        let mut held = shard.lock();
        let known = held.waiters.overseen(id, self.number());
        if let Some((key, _)) = known {
            // The rest happens when it is let go by that.
            held.waiters.unobserve(id, key);
        }
        held.release();
        known.is_some()
    }

    /// What it is told apart by.
    fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Gives a name of the poller's if it was woken.
    pub(super) fn changed(&self, handle: Handle, level: Readiness, edges: Readiness) -> Option<usize> {
        let wakes = self.ready.changed(handle, level, edges);
        if wakes {
            self.nudge();
        }
        wakes.then(|| self.number())
    }

    /// Wakes the poller. The count cannot overflow in practice, and if it did the poller would have been woken.
    fn nudge(&self) {
        let written = rustix::io::write(&self.nudge, &1u64.to_ne_bytes());
        debug_assert!(matches!(written, Ok(8) | Err(Errno::AGAIN)), "{written:?}");
    }

    /// What tells the nudge's event from those of the program's descriptors.
    pub(super) fn nudge_data(&self) -> EventData {
        EventData::new_u64(self.number() as u64)
    }

    /// How many sockets are watched.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ready.sockets().len()
    }
}

/// Whether the program deregisters or closes a socket or the engine goes: that ends its registration.
impl Overseer for Watched {
    fn changed(&self, handle: Handle, readiness: Readiness, edges: Readiness) -> Option<usize> {
        Self::changed(self, handle, readiness, edges)
    }

    fn let_go(&self, handle: Handle) {
        if let Some((home, _)) = self.ready.remove(handle) {
            self.leave(home);
        }
    }
}
