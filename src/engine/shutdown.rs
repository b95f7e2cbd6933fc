//! Ending an engine in order.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tunstack_core::error::Error;
use tunstack_core::sockopt::Shutdown;
use tunstack_core::stack::SocketId;
use tunstack_core::tcp::state::State;

use super::error::{Failure, io_error};
use super::pieces;
use super::shard::{Held, Shard};
use super::wait::wait_for;

/// Closes listeners, then connections, waits for these up to `timeout` and resets the rest. The readers run
/// on: they are needed for that.
pub(super) fn in_order(shards: &[Arc<Shard>], timeout: Duration) -> io::Result<()> {
    let Some(first) = shards.first() else { return Ok(()) };
    let deadline = first.clock.deadline(Some(timeout));
    if let Some(failure) = &first.lock().failure {
        return if *failure == Failure::Stopped { Ok(()) } else { Err(failure.to_io()) };
    }
    // One that cannot be ended keeps no other from its end.
    let mut first_error = None;
    // What is accepted, or held by other shards for a listener, before that is closed, is ended behind it.
    let listens = |held: &Held, id| held.stack.state(id) == Some(State::Listen);
    for shard in shards {
        first_error = first_error.or(end(shard, listens));
    }
    for shard in shards {
        first_error = first_error.or(end(shard, |_, _| true));
    }

    for shard in shards {
        for slots in pieces(shard) {
            let is_over = |held: &mut Held| unfinished_in(held, slots.clone()).is_empty();
            if !wait_for(shard, deadline, is_over) {
                break;
            }
        }
        // Those that a program has let go of are not listed any more, but owe their peers as much.
        wait_for(shard, deadline, |held| held.stack.orphans() == 0);
    }

    let mut aborted = false;
    for shard in shards {
        for slots in pieces(shard) {
            let mut held = shard.lock();
            if let Some(failure @ (Failure::Device(..) | Failure::Poisoned)) = &held.failure {
                let error = failure.to_io();
                held.release();
                return Err(error);
            }
            let now = shard.clock.now();
            aborted |= held.stack.orphans() > 0;
            held.stack.abort_orphans_in(slots.clone(), now);
            for id in unfinished_in(&held, slots) {
                aborted = true;
                first_error = first_error.or(held.stack.abort(id, now).err());
            }
            shard.finish(held, now);
        }
    }
    match first_error {
        Some(error) => Err(io_error(error)),
        None if aborted => Err(io_error(Error::TimedOut)),
        None => Ok(()),
    }
}

/// Opens nothing new, and begins to end those that fit. Gives the first error of one that cannot be.
fn end(shard: &Shard, fits: impl Fn(&Held, SocketId) -> bool) -> Option<Error> {
    let mut held = shard.lock();
    held.closing = true;
    held.release();
    let mut first_error = None;
    for slots in pieces(shard) {
        let mut held = shard.lock();
        let now = shard.clock.now();
        let ids: Vec<_> = held.stack.sockets_in(slots).filter(|&id| fits(&held, id)).collect();
        for id in ids {
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
    }
    first_error
}

/// Those in these slots that are not at their end.
fn unfinished_in(held: &Held, slots: Range<u32>) -> Vec<SocketId> {
    let is_unfinished = |id: &SocketId| held.stack.state(*id).is_some_and(unfinished);
    held.stack.sockets_in(slots).filter(is_unfinished).collect()
}

/// Whether a connection still has something to do that the peer waits for.
const fn unfinished(state: State) -> bool {
    !matches!(state, State::Closed | State::Listen | State::TimeWait)
}
