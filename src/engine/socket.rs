//! What all kinds of sockets share: a handle to the stack's socket and how its calls wait.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tunstack_core::addr::Family;
use tunstack_core::error::Error;
use tunstack_core::sockopt::{Shutdown, SocketOptions};
use tunstack_core::stack::{Readiness, SocketId, Stack};
use tunstack_core::tcp::state::State;
use tunstack_core::time::Instant;

use super::shard::{Held, Shard};
use super::wait::{poll_op, wait_for, wait_until};
use super::waiters::{Observer, Place};
use super::{Engine, Interest};

/// A handle to a socket of the stack and what belongs to it on this side: whether and how long calls wait. Clones share that,
/// as descriptors made by `dup` share one open file; the stack's socket is closed with the last of them.
///
/// Most have no clone. All that there is of such a one lies in whatever holds it: an allocation for each of a million
/// connections would be one of those few octets that glibc's allocator joins all in one call, long after they were freed.
pub(crate) struct Socket {
    engine: Engine,
    id: SocketId,
    /// What holds while nothing is shared.
    nonblocking: AtomicBool,
    shared: OnceLock<Arc<Modes>>,
}

/// How calls wait, of sockets that have clones or a limit of time.
struct Modes {
    nonblocking: AtomicBool,
    /// Nanoseconds, 0: no limit.
    read_timeout: AtomicU64,
    write_timeout: AtomicU64,
}

/// Held while a socket's own mode is changed or becomes the one that is shared, so that no change is lost in between. There is
/// one for all, since that takes no time and sockets are many.
static CHANGES: Mutex<()> = Mutex::new(());

fn lock_changes() -> MutexGuard<'static, ()> {
    // It guards no value that could be half changed.
    CHANGES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Socket {
    /// Opens a socket of the stack.
    pub(crate) fn open(engine: &Engine, make: impl FnOnce(&mut Stack) -> SocketId) -> io::Result<Self> {
        let id = engine.shard().open(|stack, _| Ok(make(stack)))?;
        Ok(Self::adopt(engine, id))
    }

    /// As [`open`](Self::open), for TCP: wherever its turn is.
    pub(crate) fn open_tcp(engine: &Engine, family: Family) -> io::Result<Self> {
        let id = engine.next_shard().open(|stack, _| Ok(stack.tcp_socket(family)))?;
        Ok(Self::adopt(engine, id))
    }

    /// Takes charge of a socket that the stack made, an accepted one.
    pub(crate) fn adopt(engine: &Engine, id: SocketId) -> Self {
        Self { engine: engine.clone(), id, nonblocking: AtomicBool::new(false), shared: OnceLock::new() }
    }

    /// What clones share, from now on.
    fn share(&self) -> &Arc<Modes> {
        if let Some(modes) = self.shared.get() {
            return modes;
        }
        let _alone = lock_changes();
        self.shared.get_or_init(|| {
            let nonblocking = AtomicBool::new(self.nonblocking.load(Ordering::Relaxed));
            Arc::new(Modes { nonblocking, read_timeout: AtomicU64::new(0), write_timeout: AtomicU64::new(0) })
        })
    }

    fn mode(&self) -> &AtomicBool {
        self.shared.get().map_or(&self.nonblocking, |modes| &modes.nonblocking)
    }

    fn is_nonblocking(&self) -> bool {
        self.mode().load(Ordering::Relaxed)
    }

    /// Where it lives.
    pub(crate) fn shard(&self) -> &Arc<Shard> {
        self.engine.shard_of(self.id)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn id(&self) -> SocketId {
        self.id
    }

    /// A call that never waits.
    pub(crate) fn call<T>(
        &self,
        op: impl FnOnce(&mut Stack, SocketId, Instant) -> Result<T, Error>,
    ) -> io::Result<T> {
        self.shard().call_of(self.id, |stack, now| op(stack, self.id, now))
    }

    /// A call that changes nothing.
    pub(crate) fn query<T>(&self, ask: impl FnOnce(&Stack, SocketId) -> Result<T, Error>) -> io::Result<T> {
        self.shard().query(|stack| ask(stack, self.id))
    }

    /// A call that waits until it can be done, as long as the socket's mode and timeout say.
    pub(crate) fn wait<T>(
        &self,
        interest: Interest,
        mut op: impl FnMut(&mut Stack, SocketId, Instant) -> Result<T, Error>,
    ) -> io::Result<T> {
        if self.is_nonblocking() {
            return self.call(op);
        }
        let timeout = match interest {
            Interest::Readable => self.read_timeout(),
            Interest::Writable => self.write_timeout(),
        };
        self.wait_for(interest, timeout, |stack, id, now| op(stack, id, now))
    }

    /// A call that waits until it can be done, or as long as `timeout` says.
    pub(crate) fn wait_for<T>(
        &self,
        interest: Interest,
        timeout: Option<Duration>,
        mut op: impl FnMut(&mut Stack, SocketId, Instant) -> Result<T, Error>,
    ) -> io::Result<T> {
        let shard = self.shard();
        let deadline = shard.clock.deadline(timeout);
        wait_until(shard, self.id, interest, deadline, |stack, now| op(stack, self.id, now))
    }

    /// A call of a task.
    pub(crate) fn poll<T>(
        &self,
        interest: Interest,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&mut Stack, SocketId, Instant) -> Result<T, Error>,
    ) -> Poll<io::Result<T>> {
        let wanted = interest.mask();
        poll_op(self.shard(), self.id, wanted, None, cx, |stack, now| op(stack, self.id, now))
    }

    /// A call of a task that has a place to wait at: see [`poll_op`].
    pub(crate) fn poll_at<T>(
        &self,
        place: &Place,
        wanted: Readiness,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&mut Stack, SocketId, Instant) -> Result<T, Error>,
    ) -> Poll<io::Result<T>> {
        poll_op(self.shard(), self.id, wanted, Some(place), cx, |stack, now| op(stack, self.id, now))
    }

    /// Who waits at the place waits no longer.
    pub(crate) fn leave(&self, place: &Place) {
        super::wait::leave(self.shard(), self.id, place);
    }

    /// Waits, as a task, until the socket is ready, without doing anything with it.
    pub(crate) fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(interest, cx, |stack, id, _| {
            let ready = stack.readiness(id).intersects(interest.mask());
            if ready { Ok(()) } else { Err(Error::WouldBlock) }
        })
    }

    /// From now on, until the socket is closed, `observer` is told how it stands: at once, and at every change.
    pub(crate) fn observe(&self, observer: Arc<dyn Observer>) -> io::Result<()> {
        let mut held = self.shard().lock_working()?;
        let key = held.waiters.key();
        let readiness = held.stack.readiness(self.id);
        observer.changed(readiness, readiness);
        held.waiters.observe(self.id, key, observer);
        held.release();
        Ok(())
    }

    pub(crate) fn readiness(&self) -> io::Result<Readiness> {
        self.query(|stack, id| Ok(stack.readiness(id)))
    }

    pub(crate) fn options(&self) -> io::Result<SocketOptions> {
        self.query(Stack::options)
    }

    pub(crate) fn change_options(&self, change: impl FnOnce(&mut SocketOptions)) -> io::Result<()> {
        self.call(|stack, id, now| {
            let mut options = stack.options(id)?;
            change(&mut options);
            stack.set_options(id, options, now)
        })
    }

    /// TTL or hop limit: what was set, or the stack's default.
    pub(crate) fn ttl(&self) -> io::Result<u32> {
        self.query(|stack, id| {
            let own = stack.options(id)?.hop_limit;
            Ok(u32::from(if own == 0 { stack.config().hop_limit } else { own }))
        })
    }

    pub(crate) fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        match u8::try_from(ttl) {
            Ok(ttl @ 1..) => self.change_options(|o| o.hop_limit = ttl),
            _ => Err(invalid("a TTL is from 1 to 255")),
        }
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.query(|stack, id| Ok(stack.local_endpoint(id)?.socket_addr()))
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.query(|stack, id| Ok(stack.remote_endpoint(id)?.socket_addr()))
    }

    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.call(|stack, id, _| Ok(stack.take_error(id).map(super::io_error)))
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        let _alone = lock_changes();
        self.mode().store(nonblocking, Ordering::Relaxed);
    }

    pub(crate) fn read_timeout(&self) -> Option<Duration> {
        self.shared.get().and_then(|modes| timeout_of(&modes.read_timeout))
    }

    pub(crate) fn write_timeout(&self) -> Option<Duration> {
        self.shared.get().and_then(|modes| timeout_of(&modes.write_timeout))
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.set_timeout(|modes| &modes.read_timeout, timeout)
    }

    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.set_timeout(|modes| &modes.write_timeout, timeout)
    }

    fn set_timeout(&self, which: fn(&Modes) -> &AtomicU64, timeout: Option<Duration>) -> io::Result<()> {
        let nanos = nanos_of(timeout)?;
        // To have no limit is how it stands where nothing is shared.
        if nanos > 0 || self.shared.get().is_some() {
            which(self.share()).store(nanos, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Takes over how long another socket's calls wait.
    pub(crate) fn inherit_timeouts(&self, other: &Self) {
        let Some(theirs) = other.shared.get() else { return };
        let all: [fn(&Modes) -> &AtomicU64; 2] = [|modes| &modes.read_timeout, |modes| &modes.write_timeout];
        for which in all {
            let nanos = which(theirs).load(Ordering::Relaxed);
            if nanos > 0 || self.shared.get().is_some() {
                which(self.share()).store(nanos, Ordering::Relaxed);
            }
        }
    }

    /// Until when closing waits for the peer to have everything: not at all unless linger says so, and never
    /// where waiting is not wanted or would be in vain because unread data makes the close a reset.
    fn begin_linger(&self) -> Option<Instant> {
        let shard = self.shard();
        if self.is_nonblocking() || shard.on_reader() || thread::panicking() {
            return None;
        }
        let asked = shard.query(|stack| {
            let synchronised =
                stack.state(self.id).is_some_and(|s| !matches!(s, State::Closed | State::Listen));
            Ok(stack.options(self.id)?.linger.filter(|_| synchronised))
        });
        let linger = asked.ok().flatten().filter(|linger| !linger.is_zero())?;
        let begun = self.call(|stack, id, now| match stack.try_peek(id, &mut [0]) {
            Ok(1..) => Ok(false),
            _ => stack.shutdown(id, Shutdown::Write, now).map(|()| true),
        });
        if matches!(begun, Ok(true)) { shard.clock.deadline(Some(linger)) } else { None }
    }

    fn linger_until(&self, deadline: Instant) {
        let all_acknowledged = |held: &mut Held| matches!(held.stack.unacknowledged(self.id), Ok(0) | Err(_));
        wait_for(self.shard(), Some(deadline), all_acknowledged);
    }
}

/// Waits for the peers of these as dropping each of them would, but for all at once; dropping them waits no more.
pub(crate) fn linger_together<'a>(sockets: impl Iterator<Item = &'a Socket>) {
    let begun: Vec<_> = sockets.filter_map(|socket| Some((socket, socket.begin_linger()?))).collect();
    for (socket, deadline) in begun {
        socket.linger_until(deadline);
        socket.set_nonblocking(true);
    }
}

impl Clone for Socket {
    fn clone(&self) -> Self {
        let modes = Arc::clone(self.share());
        Self {
            engine: self.engine.clone(),
            id: self.id,
            nonblocking: AtomicBool::new(false),
            shared: OnceLock::from(modes),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let nonblocking = self.is_nonblocking();
        if let Some(modes) = self.shared.take()
            && Arc::into_inner(modes).is_none()
        {
            // There are clones.
            return;
        }
        *self.nonblocking.get_mut() = nonblocking;
        if let Some(deadline) = self.begin_linger() {
            self.linger_until(deadline);
        }
        self.shard().close(self.id);
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Socket");
        if let Ok(addr) = self.local_addr() {
            out.field("addr", &addr);
        }
        if let Ok(peer) = self.peer_addr() {
            out.field("peer", &peer);
        }
        out.field("id", &self.id).finish()
    }
}

pub(crate) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn timeout_of(nanos: &AtomicU64) -> Option<Duration> {
    match nanos.load(Ordering::Relaxed) {
        0 => None,
        n => Some(Duration::from_nanos(n)),
    }
}

/// What cannot be counted in that is no limit that anybody lives to see.
fn nanos_of(timeout: Option<Duration>) -> io::Result<u64> {
    if timeout == Some(Duration::ZERO) {
        return Err(invalid("cannot set a 0 duration timeout"));
    }
    Ok(timeout.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(all(test, not(shuttle)))]
mod tests;
