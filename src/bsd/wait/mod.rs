//! Waiting for many descriptors at once: `poll`, `select` and `epoll`, over our sockets and whatever else the
//! kernel gives descriptors to (pipes, eventfds, timers, standard input).
//!
//! The descriptors are the kernel's and show how our sockets stand, so these are the kernel's own calls with all
//! that belongs to them: level, edge, one-shot and exclusive registrations, `epoll` in `epoll`, signals that
//! interrupt with `EINTR`.
//!
//! What differs from sockets of the kernel:
//! - on an engine's own thread, as in a waker, a call that would have to wait gives `EDEADLK`;
//! - urgent data alone shows `POLLIN` beside `POLLPRI`; a read finds nothing then, and passes it by;
//! - urgent data that comes after `shutdown(SHUT_RD)` does not show;
//! - the finer bits follow the coarser: `POLLRDNORM` is `POLLIN`, `POLLWRNORM` and `POLLWRBAND` are `POLLOUT`.

pub(super) mod registrations;

mod poll;

mod select;

mod epoll;

#[cfg(test)]
mod tests;

use std::time::Duration;

use rustix::io::Errno;

use crate::bsd::Result;
use crate::engine::Engine;
use crate::engine::shard::is_reader;
use crate::engine::wait::wait_for;

pub use epoll::{EpollEvent, EpollFlags};
pub use poll::{PollFd, PollFlags};
pub use select::{FD_SETSIZE, FdSet};

/// The kernel's wait, or, for an engine that is stepped, looks at what the kernel has after everything that happens,
/// until `timeout` of virtual time is over: the kernel knows nothing of that time. `EDEADLK` where nothing is there and
/// the thread is that of an engine, which would stand still meanwhile.
fn wait(
    engine: &Engine,
    timeout: Option<Duration>,
    mut kernel: impl FnMut(Option<Duration>) -> Result<usize>,
) -> Result<usize> {
    if timeout == Some(Duration::ZERO) {
        return kernel(timeout);
    }
    if is_reader() {
        let found = kernel(Some(Duration::ZERO))?;
        return if found == 0 { Err(Errno::DEADLK) } else { Ok(found) };
    }
    let clock = &engine.shard().clock;
    if clock.as_virtual().is_none() {
        return kernel(timeout);
    }
    let mut found = Ok(0);
    wait_for(engine.shard(), clock.deadline(timeout), |_| {
        found = kernel(Some(Duration::ZERO));
        found != Ok(0)
    });
    found
}
