//! The calls that a script may make, of whatever makes them: our sockets, or the kernel's beside them.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use crate::bsd::abi::MsgFlags;
use crate::bsd::{EpollEvent, PollFd, ReceivedMessage, Result, Sockets};

/// One implementation of sockets. Each method is the system call of its name, with Linux's numbers; those of
/// [`Sockets`] say what they do.
#[expect(missing_docs, reason = "each is the system call of its name")]
pub trait SystemCalls {
    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<RawFd>;
    fn bind(&self, fd: RawFd, address: &SocketAddr) -> Result<()>;
    fn listen(&self, fd: RawFd, backlog: i32) -> Result<()>;
    fn accept4(&self, fd: RawFd, flags: i32) -> Result<(RawFd, SocketAddr)>;
    fn connect(&self, fd: RawFd, address: &SocketAddr) -> Result<()>;
    /// `connect` to an address of the family `AF_UNSPEC`.
    fn disconnect(&self, fd: RawFd) -> Result<()>;
    fn getsockname(&self, fd: RawFd) -> Result<SocketAddr>;
    fn getpeername(&self, fd: RawFd) -> Result<SocketAddr>;
    fn shutdown(&self, fd: RawFd, how: i32) -> Result<()>;
    fn close(&self, fd: RawFd) -> Result<()>;
    fn dup(&self, fd: RawFd) -> Result<RawFd>;
    fn dup2(&self, fd: RawFd, to: RawFd) -> Result<RawFd>;
    fn fcntl(&self, fd: RawFd, command: i32, argument: i32) -> Result<i32>;
    /// A request that takes or gives one number.
    fn ioctl(&self, fd: RawFd, request: libc::Ioctl, value: &mut i32) -> Result<()>;
    fn read(&self, fd: RawFd, buf: &mut [u8]) -> Result<usize>;
    fn readv(&self, fd: RawFd, bufs: &mut [IoSliceMut<'_>]) -> Result<usize>;
    fn recv(&self, fd: RawFd, buf: &mut [u8], flags: MsgFlags) -> Result<usize>;
    fn recvfrom(&self, fd: RawFd, buf: &mut [u8], flags: MsgFlags) -> Result<(usize, Option<SocketAddr>)>;
    fn recvmsg(&self, fd: RawFd, bufs: &mut [IoSliceMut<'_>], flags: MsgFlags) -> Result<ReceivedMessage>;
    fn write(&self, fd: RawFd, data: &[u8]) -> Result<usize>;
    fn writev(&self, fd: RawFd, bufs: &[IoSlice<'_>]) -> Result<usize>;
    fn send(&self, fd: RawFd, data: &[u8], flags: MsgFlags) -> Result<usize>;
    fn sendto(&self, fd: RawFd, data: &[u8], flags: MsgFlags, to: Option<&SocketAddr>) -> Result<usize>;
    fn sendmsg(
        &self,
        fd: RawFd,
        to: Option<&SocketAddr>,
        bufs: &[IoSlice<'_>],
        flags: MsgFlags,
    ) -> Result<usize>;
    fn setsockopt(&self, fd: RawFd, level: i32, name: i32, value: &[u8]) -> Result<()>;
    /// Gives the length of the option's value.
    fn getsockopt(&self, fd: RawFd, level: i32, name: i32, value: &mut [u8]) -> Result<usize>;
    fn poll(&self, fds: &mut [PollFd], timeout: i32) -> Result<usize>;
    fn epoll_create1(&self, flags: i32) -> Result<RawFd>;
    fn epoll_ctl(&self, epfd: RawFd, op: i32, fd: RawFd, event: Option<EpollEvent>) -> Result<()>;
    fn epoll_wait(&self, epfd: RawFd, events: &mut [EpollEvent], timeout: i32) -> Result<usize>;
}

impl SystemCalls for Sockets {
    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<RawFd> {
        self.socket(domain, kind, protocol)
    }

    fn bind(&self, fd: RawFd, address: &SocketAddr) -> Result<()> {
        self.bind(fd, address)
    }

    fn listen(&self, fd: RawFd, backlog: i32) -> Result<()> {
        self.listen(fd, backlog)
    }

    fn accept4(&self, fd: RawFd, flags: i32) -> Result<(RawFd, SocketAddr)> {
        self.accept4(fd, flags)
    }

    fn connect(&self, fd: RawFd, address: &SocketAddr) -> Result<()> {
        self.connect(fd, address)
    }

    fn disconnect(&self, fd: RawFd) -> Result<()> {
        self.disconnect(fd)
    }

    fn getsockname(&self, fd: RawFd) -> Result<SocketAddr> {
        self.getsockname(fd)
    }

    fn getpeername(&self, fd: RawFd) -> Result<SocketAddr> {
        self.getpeername(fd)
    }

    fn shutdown(&self, fd: RawFd, how: i32) -> Result<()> {
        self.shutdown(fd, how)
    }

    fn close(&self, fd: RawFd) -> Result<()> {
        self.close(fd)
    }

    fn dup(&self, fd: RawFd) -> Result<RawFd> {
        self.dup(fd)
    }

    fn dup2(&self, fd: RawFd, to: RawFd) -> Result<RawFd> {
        self.dup2(fd, to)
    }

    fn fcntl(&self, fd: RawFd, command: i32, argument: i32) -> Result<i32> {
        self.fcntl(fd, command, argument)
    }

    fn ioctl(&self, fd: RawFd, request: libc::Ioctl, value: &mut i32) -> Result<()> {
        self.ioctl(fd, request, value)
    }

    fn read(&self, fd: RawFd, buf: &mut [u8]) -> Result<usize> {
        self.read(fd, buf)
    }

    fn readv(&self, fd: RawFd, bufs: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.readv(fd, bufs)
    }

    fn recv(&self, fd: RawFd, buf: &mut [u8], flags: MsgFlags) -> Result<usize> {
        self.recv(fd, buf, flags)
    }

    fn recvfrom(&self, fd: RawFd, buf: &mut [u8], flags: MsgFlags) -> Result<(usize, Option<SocketAddr>)> {
        self.recvfrom(fd, buf, flags)
    }

    fn recvmsg(&self, fd: RawFd, bufs: &mut [IoSliceMut<'_>], flags: MsgFlags) -> Result<ReceivedMessage> {
        self.recvmsg(fd, bufs, flags)
    }

    fn write(&self, fd: RawFd, data: &[u8]) -> Result<usize> {
        self.write(fd, data)
    }

    fn writev(&self, fd: RawFd, bufs: &[IoSlice<'_>]) -> Result<usize> {
        self.writev(fd, bufs)
    }

    fn send(&self, fd: RawFd, data: &[u8], flags: MsgFlags) -> Result<usize> {
        self.send(fd, data, flags)
    }

    fn sendto(&self, fd: RawFd, data: &[u8], flags: MsgFlags, to: Option<&SocketAddr>) -> Result<usize> {
        self.sendto(fd, data, flags, to)
    }

    fn sendmsg(
        &self,
        fd: RawFd,
        to: Option<&SocketAddr>,
        bufs: &[IoSlice<'_>],
        flags: MsgFlags,
    ) -> Result<usize> {
        self.sendmsg(fd, to, bufs, flags)
    }

    fn setsockopt(&self, fd: RawFd, level: i32, name: i32, value: &[u8]) -> Result<()> {
        self.setsockopt(fd, level, name, value)
    }

    fn getsockopt(&self, fd: RawFd, level: i32, name: i32, value: &mut [u8]) -> Result<usize> {
        self.getsockopt(fd, level, name, value)
    }

    fn poll(&self, fds: &mut [PollFd], timeout: i32) -> Result<usize> {
        self.poll(fds, timeout)
    }

    fn epoll_create1(&self, flags: i32) -> Result<RawFd> {
        self.epoll_create1(flags)
    }

    fn epoll_ctl(&self, epfd: RawFd, op: i32, fd: RawFd, event: Option<EpollEvent>) -> Result<()> {
        self.epoll_ctl(epfd, op, fd, event)
    }

    fn epoll_wait(&self, epfd: RawFd, events: &mut [EpollEvent], timeout: i32) -> Result<usize> {
        self.epoll_wait(epfd, events, timeout)
    }
}
