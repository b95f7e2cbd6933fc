//! Waiting for a socket: what every blocking call and every async face goes through.

use std::io;
use std::task::{Context, Poll, Waker};

use tunstack_core::error::Error;
use tunstack_core::stack::{SocketId, Stack};
use tunstack_core::time::Instant;

use super::shard::{Held, Shard};
use super::waiters::{Interest, Key, Parker};

/// Does `op` as soon as it does not give [`Error::WouldBlock`], waiting on this thread.
///
/// # Errors
/// Those of `op`; `WouldBlock` when `deadline` comes first; `Deadlock` on the engine's own thread, which
/// would wait for itself; whatever ended the engine.
pub(crate) fn wait_until<T>(
    shard: &Shard,
    id: SocketId,
    interest: Interest,
    deadline: Option<Instant>,
    mut op: impl FnMut(&mut Stack, Instant) -> Result<T, Error>,
) -> io::Result<T> {
    let parker = Parker::current();
    let waker = Waker::from(parker.clone());
    let mut who = Who::Thread(None);
    loop {
        if let Poll::Ready(result) = attempt(shard, id, interest, &mut who, &waker, &mut op) {
            return result;
        }
        let blocked = if shard.on_reader() {
            io::ErrorKind::Deadlock
        } else if parker.wait(&shard.clock, deadline) {
            continue;
        } else {
            io::ErrorKind::WouldBlock
        };
        let mut held = shard.lock();
        who.leave(&mut held, id);
        held.release();
        return Err(match blocked {
            io::ErrorKind::WouldBlock => super::error::io_error(Error::WouldBlock),
            kind => kind.into(),
        });
    }
}

/// As [`wait_until`] for a task: pending when `op` would block, and the task is woken when to try again.
///
/// # Errors
/// Those of `op`; whatever ended the engine.
pub(crate) fn poll_op<T>(
    shard: &Shard,
    id: SocketId,
    interest: Interest,
    cx: &mut Context<'_>,
    mut op: impl FnMut(&mut Stack, Instant) -> Result<T, Error>,
) -> Poll<io::Result<T>> {
    attempt(shard, id, interest, &mut Who::Task, cx.waker(), &mut op)
}

/// Waits until `done` says so or `deadline` comes, and says which. For what no readiness bit tells: `done`
/// is asked again after everything that happens.
pub(crate) fn wait_for(
    shard: &Shard,
    deadline: Option<Instant>,
    mut done: impl FnMut(&mut Held) -> bool,
) -> bool {
    let parker = Parker::current();
    let waker = Waker::from(parker.clone());
    let mut key = None;
    loop {
        let mut held = shard.lock();
        let key = *key.get_or_insert_with(|| held.waiters.key());
        if held.failure.is_some() || done(&mut held) {
            held.waiters.deregister_anything(key);
            held.release();
            return true;
        }
        held.waiters.register_anything(key, &waker);
        held.release();
        if shard.on_reader() || !parker.wait(&shard.clock, deadline) {
            shard.lock().waiters.deregister_anything(key);
            return false;
        }
    }
}

/// Who waits.
enum Who {
    /// A thread, which leaves the table when it stops waiting.
    Thread(Option<Key>),
    /// A task, which may be gone without a word: its waker stays until the next event.
    Task,
}

impl Who {
    fn enter(&mut self, held: &mut Held, id: SocketId, interest: Interest, waker: &Waker) {
        let key = match self {
            Self::Thread(key) => Some(*key.get_or_insert_with(|| held.waiters.key())),
            Self::Task => None,
        };
        held.waiters.register(id, interest, key, waker);
    }

    fn leave(&self, held: &mut Held, id: SocketId) {
        if let Self::Thread(Some(key)) = self {
            held.waiters.deregister(id, *key);
        }
    }
}

/// One look at the socket: `op`, and where it would block, the waiter's entry in the table, in the same
/// hold of the lock.
fn attempt<T>(
    shard: &Shard,
    id: SocketId,
    interest: Interest,
    who: &mut Who,
    waker: &Waker,
    op: &mut impl FnMut(&mut Stack, Instant) -> Result<T, Error>,
) -> Poll<io::Result<T>> {
    let mut held = match shard.lock_working() {
        Ok(held) => held,
        Err(error) => return Poll::Ready(Err(error)),
    };
    let now = shard.clock.now();
    let mut result = op(&mut held.stack, now);
    if matches!(result, Err(Error::WouldBlock)) {
        who.enter(&mut held, id, interest, waker);
        // Driving may make room (a queue that empties) that no event tells of, because the socket counted
        // as ready before: this operation wanted more room than that.
        shard.drive(&mut held, now);
        if held.stack.readiness(id).intersects(interest.mask()) {
            result = op(&mut held.stack, now);
        }
    }
    let result = match result {
        Err(Error::WouldBlock) => Poll::Pending,
        Ok(value) => Poll::Ready(Ok(value)),
        Err(error) => Poll::Ready(Err(held.error(error))),
    };
    if result.is_ready() {
        who.leave(&mut held, id);
    }
    shard.finish(held, now);
    result
}
