//! `fcntl`, `ioctl` and `dup` onto a chosen number.

use std::os::fd::RawFd;

use rustix::io::{Errno, FdFlags};
use tunstack_core::tcp::state::State;

use super::abi::{
    F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, FIOCLEX, FIONBIO, FIONCLEX,
    O_CLOEXEC, O_NONBLOCK, O_RDWR, SIOCATMARK, SIOCINQ, SIOCOUTQ, SIOCOUTQNSD,
};
use super::file::{File, Kind};
use super::{Result, Sockets};

impl Sockets {
    /// `fcntl(2)`: `F_GETFL` and `F_SETFL` (of the flags that can be changed `O_NONBLOCK` alone means something
    /// here; the others are passed over), `F_GETFD` and `F_SETFD` (`FD_CLOEXEC`, of the real descriptor),
    /// `F_DUPFD` and `F_DUPFD_CLOEXEC` (the lowest free number from `argument` on). 0 where there is nothing else
    /// to give. What is about numbers and not about sockets works on those of `epoll_create` too.
    ///
    /// # Errors
    /// `EINVAL` (no such command; for `F_DUPFD` a number that cannot be), `EMFILE`, `EBADF`, `ENOTSOCK`.
    pub fn fcntl(&self, fd: RawFd, command: i32, argument: i32) -> Result<i32> {
        match command {
            F_GETFL => {
                let nonblocking = self.file(fd)?.nonblocking();
                Ok(if nonblocking { O_RDWR | O_NONBLOCK } else { O_RDWR })
            }
            F_SETFL => {
                self.file(fd)?.set_nonblocking(argument & O_NONBLOCK != 0);
                Ok(0)
            }
            F_GETFD => {
                let flags = self.with_descriptor(fd, |fd| rustix::io::fcntl_getfd(fd))?;
                Ok(if flags.contains(FdFlags::CLOEXEC) { FD_CLOEXEC } else { 0 })
            }
            F_SETFD => self.set_close_on_exec(fd, argument & FD_CLOEXEC != 0).map(|()| 0),
            F_DUPFD | F_DUPFD_CLOEXEC if argument < 0 => self.with_descriptor(fd, |_| Err(Errno::INVAL)),
            F_DUPFD => self.duplicate(fd, argument, false),
            F_DUPFD_CLOEXEC => self.duplicate(fd, argument, true),
            _ => self.with_descriptor(fd, |_| Err(Errno::INVAL)),
        }
    }

    fn set_close_on_exec(&self, fd: RawFd, close: bool) -> Result<()> {
        let flags = if close { FdFlags::CLOEXEC } else { FdFlags::empty() };
        self.with_descriptor(fd, |fd| rustix::io::fcntl_setfd(fd, flags))
    }

    /// `dup2(2)`: gives the open socket the number `to` as well, which is closed first, a descriptor of the
    /// kernel's as one of ours.
    ///
    /// # Errors
    /// `EBADF` (also for a number that cannot be), `ENOTSOCK`.
    pub fn dup2(&self, fd: RawFd, to: RawFd) -> Result<RawFd> {
        if fd == to {
            return self.with_descriptor(fd, |_| Ok(fd));
        }
        self.duplicate_onto(fd, to, false)
    }

    /// `dup3(2)`: as [`dup2`](Self::dup2), with `O_CLOEXEC` or 0.
    ///
    /// # Errors
    /// Those of [`dup2`](Self::dup2); `EINVAL` for other flags and for `fd` itself.
    pub fn dup3(&self, fd: RawFd, to: RawFd, flags: i32) -> Result<RawFd> {
        if flags & !O_CLOEXEC != 0 || fd == to {
            return Err(Errno::INVAL);
        }
        self.duplicate_onto(fd, to, flags & O_CLOEXEC != 0)
    }

    /// `ioctl(2)`. Gives a number by `value`: `FIONREAD` or `SIOCINQ` (octets to read: of UDP those of the next
    /// datagram), `SIOCOUTQ` or `TIOCOUTQ` (octets not acknowledged; of UDP 0, as nothing waits), `SIOCOUTQNSD`
    /// (of these, octets never sent), `SIOCATMARK` (whether urgent data is what is read next). Takes one:
    /// `FIONBIO`. Takes none: `FIOCLEX`, `FIONCLEX`.
    ///
    /// # Errors
    /// `EINVAL` (a listener has no data), `ENOTTY` (no such request), `EBADF`, `ENOTSOCK`.
    pub fn ioctl(&self, fd: RawFd, request: libc::Ioctl, value: &mut i32) -> Result<()> {
        let file = self.file(fd)?;
        match request {
            FIONBIO => file.set_nonblocking(*value != 0),
            FIOCLEX => self.set_close_on_exec(fd, true)?,
            FIONCLEX => self.set_close_on_exec(fd, false)?,
            _ => *value = queried(&file, request)?,
        }
        Ok(())
    }
}

fn queried(file: &File, request: libc::Ioctl) -> Result<i32> {
    let octets = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let stream = file.kind == Kind::Stream;
    match request {
        SIOCINQ => file.query(|stack, id| stack.unread(id).map(octets)),
        SIOCOUTQ | SIOCOUTQNSD if stream => file.query(|stack, id| match stack.state(id) {
            Some(State::SynSent | State::SynReceived) => Ok(0),
            _ if request == SIOCOUTQ => stack.unacknowledged(id).map(octets),
            _ => stack.unsent(id).map(octets),
        }),
        SIOCOUTQ => Ok(0),
        SIOCATMARK if stream => file.query(|stack, id| stack.at_mark(id).map(i32::from)),
        _ => Err(Errno::NOTTY),
    }
}

#[cfg(test)]
mod tests;
