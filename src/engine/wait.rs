//! Waiting for a socket: what every blocking call and every async face goes through.

use std::io;
use std::task::{Context, Poll, Waker};

use tunstack_core::error::Error;
use tunstack_core::stack::{Readiness, SocketId, Stack};
use tunstack_core::time::Instant;

use super::shard::{Held, Shard};
use super::waiters::{Interest, Parker, Place};

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
    let _call = parker.begin();
    let waker = Waker::from(parker.clone());
    let place = Place::default();
    loop {
        if let Poll::Ready(result) = attempt(shard, id, interest.mask(), Some(&place), &waker, &mut op) {
            return result;
        }
        let blocked = if shard.on_reader() {
            io::ErrorKind::Deadlock
        } else if parker.wait(&shard.clock, deadline) {
            continue;
        } else {
            io::ErrorKind::WouldBlock
        };
        leave(shard, id, &place);
        return Err(match blocked {
            io::ErrorKind::WouldBlock => super::error::io_error(Error::WouldBlock),
            kind => kind.into(),
        });
    }
}

/// As [`wait_until`] for a task: pending when `op` would block, and the task is woken when to try again, which is
/// when the socket's readiness has a bit of `wanted`.
///
/// With a place the task is the only one there: who waited there before is forgotten, and [`leave`] takes it back.
/// Without one any number may wait, each until the next change.
///
/// # Errors
/// Those of `op`; whatever ended the engine.
pub(crate) fn poll_op<T>(
    shard: &Shard,
    id: SocketId,
    wanted: Readiness,
    place: Option<&Place>,
    cx: &mut Context<'_>,
    mut op: impl FnMut(&mut Stack, Instant) -> Result<T, Error>,
) -> Poll<io::Result<T>> {
    attempt(shard, id, wanted, place, cx.waker(), &mut op)
}

/// Waits no longer. Costs nothing where nobody waits at the place, as after an operation that was done.
pub(crate) fn leave(shard: &Shard, id: SocketId, place: &Place) {
    if !place.is_free() {
        let mut held = shard.lock();
        held.waiters.leave(id, place);
        held.release();
    }
}

/// Waits until `done` says so or `deadline` comes, and says which. For what no readiness bit tells: `done`
/// is asked again after everything that happens.
pub(crate) fn wait_for(
    shard: &Shard,
    deadline: Option<Instant>,
    mut done: impl FnMut(&mut Held) -> bool,
) -> bool {
    let parker = Parker::current();
    let _call = parker.begin();
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
            let mut held = shard.lock();
            held.waiters.deregister_anything(key);
            held.release();
            return false;
        }
    }
}

/// One look at the socket: `op`, and where it would block, the waiter's entry in the table, in the same
/// hold of the lock.
fn attempt<T>(
    shard: &Shard,
    id: SocketId,
    wanted: Readiness,
    place: Option<&Place>,
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
        match place {
            Some(place) => held.waiters.enter(id, wanted, place, waker),
            None => held.waiters.register(id, wanted, None, waker),
        }
        // Driving may make room (a queue that empties) that no event tells of, because the socket counted
        // as ready before: this operation wanted more room than that.
        shard.drive(&mut held, now);
        if held.stack.readiness(id).intersects(wanted) {
            result = op(&mut held.stack, now);
        }
    }
    let result = match result {
        Err(Error::WouldBlock) => Poll::Pending,
        Ok(value) => Poll::Ready(Ok(value)),
        Err(error) => Poll::Ready(Err(held.error(error))),
    };
    if result.is_ready()
        && let Some(place) = place
    {
        held.waiters.leave(id, place);
    }
    shard.finish(held, now);
    result
}

#[cfg(all(test, not(shuttle)))]
mod tests;
