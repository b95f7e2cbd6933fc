//! The kernel's socket calls, as scripts make them.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use tunstack::bsd::abi::MsgFlags;
use tunstack::bsd::{EpollEvent, Errno, PollFd, PollFlags, ReceivedMessage, Result};
use tunstack::packetdrill::call::SystemCalls;

use crate::kernel::Kernel;
use crate::sys::Sys;

fn to_write<'a>(bufs: &'a [IoSlice<'_>]) -> Vec<&'a [u8]> {
    bufs.iter().map(|buf| &**buf).collect()
}

fn to_read<'a>(bufs: &'a mut [IoSliceMut<'_>]) -> Vec<&'a mut [u8]> {
    bufs.iter_mut().map(|buf| &mut **buf).collect()
}

impl SystemCalls for Kernel {
    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<RawFd> {
        Sys::socket(self, domain, kind, protocol)
    }

    fn bind(&self, fd: RawFd, address: &SocketAddr) -> Result<()> {
        Sys::bind(self, fd, address)
    }

    fn listen(&self, fd: RawFd, backlog: i32) -> Result<()> {
        Sys::listen(self, fd, backlog)
    }

    fn accept4(&self, fd: RawFd, flags: i32) -> Result<(RawFd, SocketAddr)> {
        Sys::accept4(self, fd, flags)
    }

    fn connect(&self, fd: RawFd, address: &SocketAddr) -> Result<()> {
        Sys::connect(self, fd, address)
    }

    fn disconnect(&self, fd: RawFd) -> Result<()> {
        Sys::disconnect(self, fd)
    }

    fn getsockname(&self, fd: RawFd) -> Result<SocketAddr> {
        Sys::getsockname(self, fd)
    }

    fn getpeername(&self, fd: RawFd) -> Result<SocketAddr> {
        Sys::getpeername(self, fd)
    }

    fn shutdown(&self, fd: RawFd, how: i32) -> Result<()> {
        Sys::shutdown(self, fd, how)
    }

    fn close(&self, fd: RawFd) -> Result<()> {
        Sys::close(self, fd)
    }

    fn dup(&self, fd: RawFd) -> Result<RawFd> {
        Sys::dup(self, fd)
    }

    /// No scenario needs it.
    fn dup2(&self, _: RawFd, _: RawFd) -> Result<RawFd> {
        Err(Errno::NOSYS)
    }

    fn fcntl(&self, fd: RawFd, command: i32, argument: i32) -> Result<i32> {
        Sys::fcntl(self, fd, command, argument)
    }

    fn ioctl(&self, fd: RawFd, request: libc::Ioctl, value: &mut i32) -> Result<()> {
        *value = Sys::ioctl(self, fd, request)?;
        Ok(())
    }

    fn read(&self, fd: RawFd, buf: &mut [u8]) -> Result<usize> {
        Sys::read(self, fd, buf)
    }

    fn readv(&self, fd: RawFd, bufs: &mut [IoSliceMut<'_>]) -> Result<usize> {
        Sys::readv(self, fd, &mut to_read(bufs))
    }

    fn recv(&self, fd: RawFd, buf: &mut [u8], flags: MsgFlags) -> Result<usize> {
        Sys::recv(self, fd, buf, flags.bits())
    }

    fn recvfrom(&self, fd: RawFd, buf: &mut [u8], flags: MsgFlags) -> Result<(usize, Option<SocketAddr>)> {
        Sys::recvfrom(self, fd, buf, flags.bits())
    }

    fn recvmsg(&self, fd: RawFd, bufs: &mut [IoSliceMut<'_>], flags: MsgFlags) -> Result<ReceivedMessage> {
        let got = Sys::recvmsg(self, fd, &mut to_read(bufs), flags.bits())?;
        Ok(ReceivedMessage::new(got.n, got.from, MsgFlags::from_bits_retain(got.flags)))
    }

    fn write(&self, fd: RawFd, data: &[u8]) -> Result<usize> {
        Sys::send(self, fd, data, libc::MSG_NOSIGNAL)
    }

    fn writev(&self, fd: RawFd, bufs: &[IoSlice<'_>]) -> Result<usize> {
        Sys::sendmsg(self, fd, &to_write(bufs), libc::MSG_NOSIGNAL, None)
    }

    fn send(&self, fd: RawFd, data: &[u8], flags: MsgFlags) -> Result<usize> {
        Sys::send(self, fd, data, flags.bits() | libc::MSG_NOSIGNAL)
    }

    fn sendto(&self, fd: RawFd, data: &[u8], flags: MsgFlags, to: Option<&SocketAddr>) -> Result<usize> {
        SystemCalls::sendmsg(self, fd, to, &[IoSlice::new(data)], flags)
    }

    fn sendmsg(
        &self,
        fd: RawFd,
        to: Option<&SocketAddr>,
        bufs: &[IoSlice<'_>],
        flags: MsgFlags,
    ) -> Result<usize> {
        Sys::sendmsg(self, fd, &to_write(bufs), flags.bits() | libc::MSG_NOSIGNAL, to)
    }

    fn setsockopt(&self, fd: RawFd, level: i32, name: i32, value: &[u8]) -> Result<()> {
        Sys::setsockopt(self, fd, level, name, value)
    }

    fn getsockopt(&self, fd: RawFd, level: i32, name: i32, value: &mut [u8]) -> Result<usize> {
        Sys::getsockopt(self, fd, level, name, value)
    }

    /// One after the other: the calls of scenarios do not wait.
    fn poll(&self, fds: &mut [PollFd], timeout: i32) -> Result<usize> {
        if timeout != 0 {
            return Err(Errno::NOSYS);
        }
        for entry in &mut *fds {
            let revents = Sys::poll(self, entry.fd, entry.events.bits(), 0)?;
            entry.revents = PollFlags::from_bits_retain(revents);
        }
        Ok(fds.iter().filter(|entry| !entry.revents.is_empty()).count())
    }

    /// No scenario needs it.
    fn epoll_create1(&self, _: i32) -> Result<RawFd> {
        Err(Errno::NOSYS)
    }

    /// As above.
    fn epoll_ctl(&self, _: RawFd, _: i32, _: RawFd, _: Option<EpollEvent>) -> Result<()> {
        Err(Errno::NOSYS)
    }

    /// As above.
    fn epoll_wait(&self, _: RawFd, _: &mut [EpollEvent], _: i32) -> Result<usize> {
        Err(Errno::NOSYS)
    }
}
