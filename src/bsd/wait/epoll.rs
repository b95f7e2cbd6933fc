//! `epoll_create1`, `epoll_ctl` and `epoll_wait`.

use std::os::fd::RawFd;
use std::time::Duration;

use rustix::io::Errno;

use super::wait;
use crate::bsd::{Result, Sockets, sys};

bitflags::bitflags! {
    /// What is asked of and said about a descriptor, and how, with Linux's values.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct EpollFlags: u32 {
        /// Something to read or accept, or the end of the data (`EPOLLIN`).
        const IN = libc::EPOLLIN as u32;
        /// Urgent data (`EPOLLPRI`).
        const PRI = libc::EPOLLPRI as u32;
        /// Room to write, or a connection attempt that has ended (`EPOLLOUT`).
        const OUT = libc::EPOLLOUT as u32;
        /// An error; told unasked (`EPOLLERR`).
        const ERR = libc::EPOLLERR as u32;
        /// Closed both ways, or never connected; told unasked (`EPOLLHUP`).
        const HUP = libc::EPOLLHUP as u32;
        /// As [`IN`](Self::IN) (`EPOLLRDNORM`).
        const RDNORM = libc::EPOLLRDNORM as u32;
        /// Not used by sockets (`EPOLLRDBAND`).
        const RDBAND = libc::EPOLLRDBAND as u32;
        /// As [`OUT`](Self::OUT) (`EPOLLWRNORM`).
        const WRNORM = libc::EPOLLWRNORM as u32;
        /// As [`OUT`](Self::OUT) (`EPOLLWRBAND`).
        const WRBAND = libc::EPOLLWRBAND as u32;
        /// The peer will send no more (`EPOLLRDHUP`).
        const RDHUP = libc::EPOLLRDHUP as u32;
        /// Of several that wait, not all are woken (`EPOLLEXCLUSIVE`).
        const EXCLUSIVE = libc::EPOLLEXCLUSIVE as u32;
        /// The system stays awake while the event is dealt with (`EPOLLWAKEUP`).
        const WAKEUP = libc::EPOLLWAKEUP as u32;
        /// Told once, then silent until modified (`EPOLLONESHOT`).
        const ONESHOT = libc::EPOLLONESHOT as u32;
        /// Told when something happens, not while it lasts (`EPOLLET`).
        const ET = libc::EPOLLET as u32;
        /// Others are handed to the kernel as they are.
        const _ = !0;
    }
}

/// What is asked of a descriptor, or found (`struct epoll_event`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct EpollEvent {
    /// What.
    pub events: EpollFlags,
    /// Comes back as it was given.
    pub data: u64,
}

impl EpollEvent {
    /// Asks for `events`; `data` comes back with them.
    pub const fn new(events: EpollFlags, data: u64) -> Self {
        Self { events, data }
    }
}

const NOTHING: libc::epoll_event = libc::epoll_event { events: 0, u64: 0 };

/// Events for which a wait needs no memory but the stack's.
const FEW: usize = 64;

impl Sockets {
    /// `epoll_create1(2)`, with `EPOLL_CLOEXEC` or 0: a descriptor that is given back by [`close`](Self::close).
    ///
    /// # Errors
    /// `EINVAL` (other flags), `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn epoll_create1(&self, flags: i32) -> Result<RawFd> {
        Ok(self.insert_kernel(sys::epoll_create1(flags)?))
    }

    /// `epoll_ctl(2)`: with `EPOLL_CTL_ADD`, `EPOLL_CTL_MOD` or `EPOLL_CTL_DEL` begins, changes or ends to watch
    /// `fd`, a socket of ours or any other descriptor that can be waited for.
    ///
    /// ```
    /// # use tunstack::{bsd::{EpollEvent, EpollFlags, Sockets, abi::*}, device::pipe::Pipe, engine::Engine};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (device, _peer) = Pipe::pair(1500)?;
    /// let sys = Sockets::new(&Engine::builder().device(device).start()?);
    /// let socket = sys.socket(AF_INET, SOCK_DGRAM, 0)?;
    /// let epoll = sys.epoll_create1(EPOLL_CLOEXEC)?;
    /// let event = EpollEvent::new(EpollFlags::IN | EpollFlags::OUT, 7);
    /// sys.epoll_ctl(epoll, EPOLL_CTL_ADD, socket, Some(event))?;
    /// let mut events = [EpollEvent::default(); 8];
    /// assert_eq!(sys.epoll_wait(epoll, &mut events, -1)?, 1);
    /// assert_eq!(events[0], EpollEvent::new(EpollFlags::OUT, 7));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `EBADF`, `EEXIST`, `ENOENT`, `EFAULT` (no event where one is needed), `EINVAL`, `EPERM` (cannot be waited for),
    /// `ELOOP`, `ENOMEM`, `ENOSPC`.
    pub fn epoll_ctl(&self, epfd: RawFd, op: i32, fd: RawFd, event: Option<EpollEvent>) -> Result<()> {
        let mut event = event.map(|event| libc::epoll_event { events: event.events.bits(), u64: event.data });
        sys::epoll_ctl(epfd, op, fd, event.as_mut())
    }

    /// `epoll_wait(2)`: waits until something is found, at most `timeout` milliseconds (0 looks and does not wait, less
    /// waits for ever), and says how many of `events` it filled.
    ///
    /// # Errors
    /// `EBADF`, `EINTR` (a signal; never restarted), `EINVAL` (not an epoll descriptor, or no room for an event), `EDEADLK`
    /// (it would have to wait on an engine's own thread).
    pub fn epoll_wait(&self, epfd: RawFd, events: &mut [EpollEvent], timeout: i32) -> Result<usize> {
        filled(events, |events| {
            wait(self.engine(), u64::try_from(timeout).ok().map(Duration::from_millis), |timeout| {
                sys::epoll_wait(epfd, events, millis(timeout))
            })
        })
    }

    /// `epoll_pwait2(2)` without a signal mask: as [`epoll_wait`](Self::epoll_wait), to the nanosecond; `None` waits
    /// for ever. To the millisecond above where the kernel lacks the call (it came with Linux 5.11).
    ///
    /// # Errors
    /// Those of [`epoll_wait`](Self::epoll_wait).
    pub fn epoll_pwait2(
        &self,
        epfd: RawFd,
        events: &mut [EpollEvent],
        timeout: Option<Duration>,
    ) -> Result<usize> {
        filled(events, |events| {
            wait(self.engine(), timeout, |timeout| match sys::epoll_pwait2(epfd, events, timeout) {
                // A filter of system calls that is older than the call says EPERM.
                Err(Errno::NOSYS | Errno::PERM) => sys::epoll_wait(epfd, events, millis(timeout)),
                other => other,
            })
        })
    }
}

fn filled(
    events: &mut [EpollEvent],
    wait: impl FnOnce(&mut [libc::epoll_event]) -> Result<usize>,
) -> Result<usize> {
    let (mut few, mut many);
    let kernel = if events.len() <= FEW {
        few = [NOTHING; FEW];
        &mut few[..events.len()]
    } else {
        many = vec![NOTHING; events.len()];
        &mut many[..]
    };
    let found = wait(kernel)?;
    for (event, kernel) in events.iter_mut().zip(&*kernel).take(found) {
        *event = EpollEvent { events: EpollFlags::from_bits_retain(kernel.events), data: kernel.u64 };
    }
    Ok(found)
}

fn millis(timeout: Option<Duration>) -> i32 {
    timeout.map_or(-1, |timeout| timeout.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_in_milliseconds_is_never_shorter() {
        assert_eq!(millis(None), -1);
        assert_eq!(millis(Some(Duration::ZERO)), 0);
        assert_eq!(millis(Some(Duration::from_nanos(1))), 1);
        assert_eq!(millis(Some(Duration::from_millis(5))), 5);
        assert_eq!(millis(Some(Duration::MAX)), i32::MAX);
    }
}
