//! An engine without a thread, in virtual time: somebody steps it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use tunstack_core::packet::{Inbound, Received};
use tunstack_core::time::Instant;

use super::clock::Virtual;
use super::error::Failure;
use super::shard::Shard;

/// What moves the time of an engine that [`Builder::start_stepped`](super::Builder::start_stepped) made, and hands it
/// packets. Nothing happens between its calls: timers run, packets leave and calls of other threads return while it
/// steps, and when it is done each of them has ended or waits again.
///
/// The thread that made it is the one that steps. Calls that would have to wait there give `EDEADLK` (a
/// lingering close does not linger); other threads wait in virtual time, between
/// [`Calls::begin`] and [`Calls::end`].
///
/// ```
/// # use std::time::Duration;
/// # use tunstack::{bsd::{Sockets, abi::*}, device::pipe::Pipe, engine::Engine};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (device, _peer) = Pipe::pair(1500)?;
/// let (engine, stepper) = Engine::builder().device(device).start_stepped()?;
/// let hour = stepper.now() + Duration::from_secs(3600);
/// while stepper.step(hour) {}
/// assert_eq!(stepper.now(), hour);
/// # Ok(())
/// # }
/// ```
pub struct Stepper {
    shard: Arc<Shard>,
    /// It stays on its thread.
    _here: PhantomData<*const ()>,
}

/// For the other threads of an engine that is stepped: says when a call begins and ends, so that time does not go on
/// while it works.
#[derive(Clone)]
pub struct Calls {
    shard: Arc<Shard>,
}

impl Stepper {
    pub(super) fn new(shard: Arc<Shard>) -> Self {
        shard.enter_reader();
        Self { shard, _here: PhantomData }
    }

    fn time(&self) -> &Virtual {
        time(&self.shard)
    }

    /// The time: 0 at the start, and where the last step has left it.
    pub fn now(&self) -> Instant {
        self.shard.clock.now()
    }

    /// For the other threads.
    pub fn calls(&self) -> Calls {
        Calls { shard: Arc::clone(&self.shard) }
    }

    /// A packet arrives, now.
    pub fn receive(&self, packet: &[u8]) -> Received {
        self.receive_joined(packet, 0)
    }

    /// A packet arrives that the device has joined from segments with `gso_size` octets of data; 0: it has not.
    pub fn receive_joined(&self, packet: &[u8], gso_size: u16) -> Received {
        let mut held = self.shard.lock();
        let now = self.now();
        let inbound = Inbound { gso_size, ..Inbound::plain(packet) };
        let received = held.stack.receive(now, inbound);
        self.shard.device.settled(now, &inbound, &received);
        self.shard.finish(held, now);
        self.settle();
        received
    }

    /// Waits until each call that was begun waits or has ended. To be called after another thread was given a call to do,
    /// or may have been woken by a call on this one, where what came of it is looked at before the next step.
    pub fn settle(&self) {
        self.time().settle();
    }

    /// When something is due: a timer of the stack, or the end of somebody's wait.
    pub fn next(&self) -> Option<Instant> {
        next(&self.shard)
    }

    /// Moves time to what is due next and does it, if that is not after `limit`: then it says true. Otherwise moves
    /// time to `limit` and says false.
    pub fn step(&self, limit: Instant) -> bool {
        step(&self.shard, limit)
    }
}

impl Drop for Stepper {
    /// Time stands still from here on: calls that wait give `ESHUTDOWN`, as later ones do.
    fn drop(&mut self) {
        self.shard.fail(Failure::Stopped);
    }
}

impl Calls {
    /// The time.
    pub fn now(&self) -> Instant {
        self.shard.clock.now()
    }

    /// A call begins on another thread than the stepper's: from now on time stands still unless the call waits.
    /// Whoever hands a call to a thread says this before.
    pub fn begin(&self) {
        time(&self.shard).begin();
    }

    /// The call has ended.
    pub fn end(&self) {
        time(&self.shard).end();
    }

    /// As [`Stepper::step`], for a thread on whose account time goes on before its call begins, while the stepper's
    /// thread does nothing but wait for that.
    pub fn step(&self, limit: Instant) -> bool {
        step(&self.shard, limit)
    }
}

fn next(shard: &Shard) -> Option<Instant> {
    let of_stack = {
        let held = shard.lock();
        let next = shard.deadline(&held);
        held.release();
        (next < Instant::FAR_FUTURE).then_some(next)
    };
    [of_stack, time(shard).next()].into_iter().flatten().min()
}

fn step(shard: &Shard, limit: Instant) -> bool {
    // A call on the stepper's thread may have woken another: that one works now, not later.
    time(shard).settle();
    let due = next(shard).map(|next| next.max(shard.clock.now())).filter(|next| *next <= limit);
    time(shard).advance(due.unwrap_or(limit));
    shard.finish(shard.lock(), shard.clock.now());
    time(shard).settle();
    due.is_some()
}

/// An engine that is stepped has virtual time: its builder made it so.
fn time(shard: &Shard) -> &Virtual {
    shard.clock.as_virtual().expect("a stepped engine has virtual time")
}

impl fmt::Debug for Stepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stepper").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("now", &self.now()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
