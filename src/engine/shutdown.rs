//! Ending an engine in order.

use std::io;
use std::time::Duration;

use tunstack_core::error::Error;
use tunstack_core::sockopt::Shutdown;
use tunstack_core::stack::SocketId;
use tunstack_core::tcp::state::State;

use super::error::{Failure, io_error};
use super::shard::{Held, Shard};
use super::wait::wait_for;

/// Closes listeners, then connections, waits for these up to `timeout` and resets the rest. The reader runs
/// on: it is needed for that.
pub(super) fn in_order(shard: &Shard, timeout: Duration) -> io::Result<()> {
    let deadline = shard.clock.deadline(Some(timeout));
    let mut held = shard.lock();
    if let Some(failure) = &held.failure {
        let ended = if *failure == Failure::Stopped { Ok(()) } else { Err(failure.to_io()) };
        held.release();
        return ended;
    }
    held.closing = true;
    let now = shard.clock.now();
    // One that cannot be ended keeps no other from its end.
    let mut first_error = None;
    for id in ids(&held) {
        let ended = match held.stack.state(id) {
            Some(State::Listen) => {
                let closed = held.stack.close(id, now);
                held.waiters.gone(id);
                closed
            }
            Some(state) if unfinished(state) => match held.stack.shutdown(id, Shutdown::Write, now) {
                // Not synchronised yet: nothing was agreed on that could be ended in order.
                Err(Error::NotConnected) => held.stack.abort(id, now),
                other => other,
            },
            _ => Ok(()),
        };
        first_error = first_error.or(ended.err());
    }
    shard.finish(held, now);

    // Those that a program has let go of are not listed any more, but owe their peers as much.
    wait_for(shard, deadline, |held| {
        held.stack.orphans() == 0 && !ids(held).iter().any(|&id| is_unfinished(held, id))
    });

    let mut held = shard.lock();
    if let Some(failure @ (Failure::Device(..) | Failure::Poisoned)) = &held.failure {
        let error = failure.to_io();
        held.release();
        return Err(error);
    }
    let now = shard.clock.now();
    let mut aborted = held.stack.orphans() > 0;
    held.stack.abort_orphans(now);
    for id in ids(&held) {
        if is_unfinished(&held, id) {
            aborted = true;
            first_error = first_error.or(held.stack.abort(id, now).err());
        }
    }
    shard.finish(held, now);
    match first_error {
        Some(error) => Err(io_error(error)),
        None if aborted => Err(io_error(Error::TimedOut)),
        None => Ok(()),
    }
}

fn ids(held: &Held) -> Vec<SocketId> {
    held.stack.sockets().collect()
}

fn is_unfinished(held: &Held, id: SocketId) -> bool {
    held.stack.state(id).is_some_and(unfinished)
}

/// Whether a connection still has something to do that the peer waits for.
const fn unfinished(state: State) -> bool {
    !matches!(state, State::Closed | State::Listen | State::TimeWait)
}
