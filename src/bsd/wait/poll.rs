//! `poll` and `ppoll`.

use std::os::fd::RawFd;
use std::time::Duration;

use super::wait;
use crate::bsd::{Result, Sockets, sys};

bitflags::bitflags! {
    /// What is asked of and said about a descriptor, with Linux's values.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct PollFlags: i16 {
        /// Something to read or accept, or the end of the data (`POLLIN`).
        const IN = libc::POLLIN;
        /// Urgent data (`POLLPRI`).
        const PRI = libc::POLLPRI;
        /// Room to write, or a connection attempt that has ended (`POLLOUT`).
        const OUT = libc::POLLOUT;
        /// An error; told unasked (`POLLERR`).
        const ERR = libc::POLLERR;
        /// Closed both ways, or never connected; told unasked (`POLLHUP`).
        const HUP = libc::POLLHUP;
        /// No open descriptor; told unasked (`POLLNVAL`).
        const NVAL = libc::POLLNVAL;
        /// As [`IN`](Self::IN) (`POLLRDNORM`).
        const RDNORM = libc::POLLRDNORM;
        /// Not used by sockets (`POLLRDBAND`).
        const RDBAND = libc::POLLRDBAND;
        /// As [`OUT`](Self::OUT) (`POLLWRNORM`).
        const WRNORM = libc::POLLWRNORM;
        /// As [`OUT`](Self::OUT) (`POLLWRBAND`).
        const WRBAND = libc::POLLWRBAND;
        /// The peer will send no more (`POLLRDHUP`).
        const RDHUP = libc::POLLRDHUP;
        /// Others are handed to the kernel as they are.
        const _ = !0;
    }
}

/// One descriptor and what is asked about it (`struct pollfd`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PollFd {
    /// The descriptor; one below 0 is passed over.
    pub fd: RawFd,
    /// What is asked.
    pub events: PollFlags,
    /// What was found.
    pub revents: PollFlags,
}

impl PollFd {
    /// Asks for `events` of `fd`.
    pub const fn new(fd: RawFd, events: PollFlags) -> Self {
        Self { fd, events, revents: PollFlags::empty() }
    }
}

impl Sockets {
    /// `poll(2)`: waits until something is found of a descriptor, and says of how many; `revents` says what. At most
    /// `timeout` milliseconds; 0 looks and does not wait, less waits for ever.
    ///
    /// ```
    /// # use tunstack::{bsd::{Sockets, PollFd, PollFlags, abi::*}, device::pipe::Pipe, engine::Engine};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (device, _peer) = Pipe::pair(1500)?;
    /// let sys = Sockets::new(&Engine::builder().device(device).start()?);
    /// let socket = sys.socket(AF_INET, SOCK_STREAM, 0)?;
    /// // Ours beside the kernel's own.
    /// let mut fds = [PollFd::new(socket, PollFlags::OUT), PollFd::new(0, PollFlags::empty())];
    /// assert!(sys.poll(&mut fds, -1)? >= 1);
    /// assert_eq!(fds[0].revents, PollFlags::OUT | PollFlags::HUP);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `EINTR` (a signal; never restarted), `EINVAL` (more descriptors than `RLIMIT_NOFILE`), `ENOMEM`, `EDEADLK` (it would
    /// have to wait on an engine's own thread).
    pub fn poll(&self, fds: &mut [PollFd], timeout: i32) -> Result<usize> {
        self.ppoll(fds, u64::try_from(timeout).ok().map(Duration::from_millis))
    }

    /// `ppoll(2)` without a signal mask: as [`poll`](Self::poll), to the nanosecond; `None` waits for ever.
    ///
    /// # Errors
    /// Those of [`poll`](Self::poll).
    pub fn ppoll(&self, fds: &mut [PollFd], timeout: Option<Duration>) -> Result<usize> {
        let asked = |fd: &PollFd| libc::pollfd { fd: fd.fd, events: fd.events.bits(), revents: 0 };
        let mut kernel: Vec<libc::pollfd> = fds.iter().map(asked).collect();
        let found = wait(self.engine(), timeout, |timeout| sys::ppoll(&mut kernel, timeout))?;
        for (fd, kernel) in fds.iter_mut().zip(&kernel) {
            fd.revents = PollFlags::from_bits_retain(kernel.revents);
        }
        Ok(found)
    }
}
