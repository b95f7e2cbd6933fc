//! Waiting for a socket: what every blocking call and every async face goes through.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tunstack_core::error::Error;
use tunstack_core::stack::{Readiness, SocketId, Stack};
use tunstack_core::time::Instant;

use super::shard::{Held, Shard};
use super::sitting::Seated;
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
        let seated = match attempt(shard, id, interest.mask(), Who::Call(&place), &waker, &mut op) {
            Attempt::Done(result) => return result,
            Attempt::Waits(seated) => seated,
        };
        let blocked = if shard.on_reader() {
            io::ErrorKind::Deadlock
        } else if sleep(shard, seated, &parker, &waker, deadline) {
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
    match attempt(shard, id, wanted, Who::Task(place), cx.waker(), &mut op) {
        Attempt::Done(result) => Poll::Ready(result),
        Attempt::Waits(_) => Poll::Pending,
    }
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
        let now = shard.clock.now();
        let has_waited = key.is_some();
        let key = *key.get_or_insert_with(|| held.waiters.key_of_call());
        if held.failure.is_some() || done(&mut held) {
            if has_waited {
                held.seat.pace.went(now);
            }
            held.waiters.deregister_anything(key);
            held.release();
            return true;
        }
        held.seat.pace.came(now);
        held.waiters.register_anything(key, &waker);
        let more = shard.release_acks(&mut held, now);
        let on_reader = shard.on_reader();
        let seated = if on_reader { None } else { shard.sit(&mut held, now, true) };
        match seated {
            None if more => shard.conclude(held, now, more),
            _ => held.release(),
        }
        if on_reader || !sleep(shard, seated, &parker, &waker, deadline) {
            let mut held = shard.lock();
            held.waiters.deregister_anything(key);
            held.release();
            return false;
        }
    }
}

/// Waits for a wake-up, before the device where there is a seat for that; false when `deadline` came first.
fn sleep(
    shard: &Shard,
    seated: Option<Seated<'_>>,
    parker: &Arc<Parker>,
    waker: &Waker,
    deadline: Option<Instant>,
) -> bool {
    match seated {
        Some(seated) => seated.serve(parker, waker, deadline),
        None => parker.wait(&shard.clock, deadline),
    }
}

/// Who makes an attempt, and where it waits.
#[derive(Clone, Copy)]
enum Who<'a> {
    /// A thread, which may read the device meanwhile.
    Call(&'a Place),
    Task(Option<&'a Place>),
}

enum Attempt<'a, T> {
    Done(io::Result<T>),
    /// Entered in the table, and sits if that is how it waits.
    Waits(Option<Seated<'a>>),
}

/// One look at the socket: `op`, and where it would block, the waiter's entry in the table, in the same
/// hold of the lock.
fn attempt<'a, T>(
    shard: &'a Shard,
    id: SocketId,
    wanted: Readiness,
    who: Who<'_>,
    waker: &Waker,
    op: &mut impl FnMut(&mut Stack, Instant) -> Result<T, Error>,
) -> Attempt<'a, T> {
    let mut held = match shard.lock_working() {
        Ok(held) => held,
        Err(error) => return Attempt::Done(Err(error)),
    };
    let now = shard.clock.now();
    let mut result = op(&mut held.stack, now);
    let mut more = None;
    if matches!(result, Err(Error::WouldBlock)) {
        match who {
            Who::Call(place) => held.waiters.enter_call(id, wanted, place, waker),
            Who::Task(Some(place)) => held.waiters.enter(id, wanted, place, waker),
            Who::Task(None) => held.waiters.register(id, wanted, None, waker),
        }
        held.stack.release_acks();
        // Driving may make room (a queue that empties) that no event tells of, because the socket counted
        // as ready before: this operation wanted more room than that.
        more = Some(shard.drive(&mut held, now));
        if held.stack.readiness(id).intersects(wanted) {
            result = op(&mut held.stack, now);
            // It may have changed something.
            more = None;
        }
    }
    // A call that did not have to wait.
    let passes = |place: &Place| result.is_ok() && place.is_free() && !shard.on_reader();
    let passes = matches!(who, Who::Call(place) if passes(place));
    let quiet = more.is_none() && !shard.has_to_drive(&held, now);
    let more = more.unwrap_or_else(|| match passes {
        _ if quiet => {
            Shard::tell(&mut held);
            false
        }
        true => shard.drive_passing(&mut held, id, now),
        false => shard.drive(&mut held, now),
    });
    let result = match result {
        Err(Error::WouldBlock) => {
            let seated = match who {
                Who::Call(_) if !shard.on_reader() => {
                    held.seat.pace.came(now);
                    shard.conclude_seated(held, now, more)
                }
                _ => {
                    shard.conclude(held, now, more);
                    None
                }
            };
            return Attempt::Waits(seated);
        }
        Ok(value) => Ok(value),
        Err(error) => Err(held.error(error)),
    };
    match who {
        Who::Call(place) | Who::Task(Some(place)) => {
            if matches!(who, Who::Call(_)) && !place.is_free() {
                held.seat.pace.went(now);
            }
            held.waiters.leave(id, place);
        }
        Who::Task(None) => {}
    }
    match passes {
        true if quiet => shard.conclude_quietly(held, id, now),
        true => shard.conclude_looking(held, id, now, more),
        false => shard.conclude(held, now, more),
    }
    Attempt::Done(result)
}

#[cfg(all(test, not(shuttle)))]
mod tests;
