//! The calls that send and receive: `read`, `write`, `send`, `recv` and their many forms.

use std::io::{IoSlice, IoSliceMut};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;

use rustix::io::Errno;
use tunstack_core::addr::Endpoint;

use super::abi::MsgFlags;
use super::ancillary::{Ancillary, beside};
use super::file::{File, Kind};
use super::transfer::{Received, receive, receive_enough, transmit};
use super::{Result, Sockets};
use crate::engine::Interest;

/// Parts that one call takes at the most (`UIO_MAXIOV`).
pub(crate) const MOST_PARTS: usize = 1024;

/// What `recvmsg` gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ReceivedMessage {
    /// Octets received; with `MSG_TRUNC` among the flags of the call, the true length of the datagram.
    pub len: usize,
    /// The sender of a datagram; TCP gives none.
    pub name: Option<SocketAddr>,
    /// `MSG_TRUNC` where a datagram did not fit and its rest is lost.
    pub flags: MsgFlags,
    /// What came beside the data.
    pub control: Option<Ancillary>,
}

impl ReceivedMessage {
    /// One that other sockets gave.
    pub const fn new(len: usize, name: Option<SocketAddr>, flags: MsgFlags) -> Self {
        Self { len, name, flags, control: None }
    }
}

impl Sockets {
    pub(super) fn receive(
        &self,
        file: &Arc<File>,
        parts: &mut [IoSliceMut<'_>],
        flags: MsgFlags,
    ) -> Result<Received> {
        let mut done = 0;
        // Datagrams know nothing of urgent data.
        let urgent = file.kind == Kind::Stream && flags.contains(MsgFlags::OOB);
        let never_waits = urgent || flags.contains(MsgFlags::ERRQUEUE);
        let wait = if never_waits { MsgFlags::DONTWAIT } else { flags };
        // With room for nothing, Linux waits once and gives 0, whatever came or did not.
        let nothing = file.kind == Kind::Stream && parts.iter().all(|part| part.is_empty());
        let waits = !file.nonblocking() && !wait.contains(MsgFlags::DONTWAIT);
        let mut looked = false;
        let received = file.wait(Interest::Readable, wait, |stack, id, _| {
            let again = mem::replace(&mut looked, true);
            if nothing && again && stack.readiness(id).intersects(Interest::Readable.mask()) {
                return Ok(Received::stream(0));
            }
            let receive = if waits { receive_enough } else { receive };
            receive(stack, id, file.kind, parts, flags, &mut done)
        });
        // What has come by the end of the wait is had, though SO_RCVLOWAT asked for more.
        let received = match received {
            Err(Errno::AGAIN) if waits && !nothing => {
                file.call(|stack, id, _| receive(stack, id, file.kind, parts, flags, &mut done))
            }
            other => other,
        };
        match received {
            Err(Errno::AGAIN) if nothing && waits => Ok(Received::stream(0)),
            // The end of file of a datagram socket that is shut down ends a wait, and is nothing to who does not wait.
            Ok(end) if file.kind == Kind::Datagram && end.from.is_none() && end.len == 0 && !waits => {
                Err(Errno::AGAIN)
            }
            // The wait for more is over; what has come is had.
            Err(_) if done > 0 => Ok(Received::stream(done)),
            Err(error) => {
                // A fresh socket shows no error any more.
                self.keep_fresh(file)?;
                Err(error)
            }
            ok => ok,
        }
    }

    pub(super) fn transmit(
        &self,
        file: &Arc<File>,
        parts: &[IoSlice<'_>],
        to: Option<&SocketAddr>,
        flags: MsgFlags,
    ) -> Result<usize> {
        self.transmit_cut(file, parts, (to, None), flags)
    }

    pub(super) fn transmit_cut(
        &self,
        file: &Arc<File>,
        parts: &[IoSlice<'_>],
        (to, segment_size): (Option<&SocketAddr>, Option<u16>),
        flags: MsgFlags,
    ) -> Result<usize> {
        let mut done = 0;
        // A connected TCP socket takes no notice of an address.
        let looks = file.kind == Kind::Datagram || flags.contains(MsgFlags::FASTOPEN);
        let to = to.filter(|_| looks).map(|to| file.remote(to)).transpose()?;
        let opened = self.open_with(file, parts, to, flags)?;
        if file.nonblocking() || flags.contains(MsgFlags::DONTWAIT) {
            match opened {
                Some(0) => return Err(Errno::INPROGRESS),
                Some(with_syn) => return Ok(with_syn),
                None => {}
            }
        } else if opened.is_some_and(|with_syn| with_syn < parts.iter().map(|part| part.len()).sum()) {
            file.call(|stack, id, _| {
                stack.rest_waits(id);
                Ok(())
            })?;
        }
        let sent = file.wait(Interest::Writable, flags, |stack, id, now| {
            if let Some(with_syn) = opened {
                // What ended the handshake is for this call, whatever went with the SYN.
                stack.try_write(id, &[], now)?;
                done = done.max(with_syn);
            }
            transmit(stack, id, file.kind, parts, (to, segment_size), flags, &mut done, now)
        });
        match sent {
            Err(_) if done > 0 => Ok(done),
            // SO_SNDTIMEO is over, and the handshake goes on.
            Err(Errno::AGAIN) if opened.is_some() => match opened {
                Some(with_syn @ 1..) => Ok(with_syn),
                _ => Err(Errno::INPROGRESS),
            },
            Err(error) => {
                self.keep_fresh(file)?;
                Err(error)
            }
            ok => ok,
        }
    }

    /// Begins the connection that is to be sent on, where that is what the call is for (`MSG_FASTOPEN`) or what a `connect`
    /// has left to it (`TCP_FASTOPEN_CONNECT`): gives how many octets went with the SYN. `None`: it is an ordinary call.
    pub(crate) fn open_with(
        &self,
        file: &Arc<File>,
        parts: &[IoSlice<'_>],
        to: Option<Endpoint>,
        flags: MsgFlags,
    ) -> Result<Option<usize>> {
        let deferred = file.take_deferred();
        if !deferred && !flags.contains(MsgFlags::FASTOPEN) {
            return Ok(None);
        }
        // Datagrams know nothing of it, and no address is one that names nobody.
        let to = to.filter(|_| file.kind == Kind::Stream);
        if to.is_none() && !deferred {
            return Err(Errno::OPNOTSUPP);
        }
        // No SYN takes more than the front of it.
        let octets = parts.iter().flat_map(|part| part.iter().copied());
        let front: Vec<u8> = octets.take(usize::from(u16::MAX)).collect();
        let waits = !file.nonblocking() && !flags.contains(MsgFlags::DONTWAIT);
        match self.begin_with_data(file, to, &front) {
            // A handshake that was under way is done, and this is the first call to be told.
            Ok(0) => Ok(None),
            Ok(with_syn) => Ok(Some(with_syn)),
            Err(Errno::INPROGRESS) => Ok(Some(0)),
            Err(Errno::ALREADY) if waits => Ok(Some(0)),
            Err(error) => {
                self.keep_fresh(file)?;
                Err(error)
            }
        }
    }

    /// `send(2)`. A TCP socket that blocks sends all of it.
    ///
    /// # Errors
    /// `EAGAIN`, `EPIPE` (never a signal), `ECONNRESET`, `EDESTADDRREQ`, `EMSGSIZE`, `EOPNOTSUPP`, `EBADF`, `ENOTSOCK`, and what
    /// ended the connection, once.
    pub fn send(&self, fd: RawFd, data: &[u8], flags: MsgFlags) -> Result<usize> {
        self.sendto(fd, data, flags, None)
    }

    /// `sendto(2)`. A connected TCP socket takes no notice of the address, as in Linux.
    ///
    /// # Errors
    /// Those of [`send`](Self::send); `EINVAL` for port 0, `EAFNOSUPPORT`, `EACCES` (broadcast), `ENETUNREACH`.
    pub fn sendto(&self, fd: RawFd, data: &[u8], flags: MsgFlags, to: Option<&SocketAddr>) -> Result<usize> {
        let file = self.file(fd)?;
        self.transmit(&file, &[IoSlice::new(data)], to, flags)
    }

    /// `sendmsg(2)`: from several buffers, as one datagram where it is one.
    ///
    /// # Errors
    /// Those of [`sendto`](Self::sendto); `EMSGSIZE` for more than 1024 buffers.
    pub fn sendmsg(
        &self,
        fd: RawFd,
        to: Option<&SocketAddr>,
        data: &[IoSlice<'_>],
        flags: MsgFlags,
    ) -> Result<usize> {
        let file = self.file(fd)?;
        if data.len() > MOST_PARTS {
            return Err(Errno::MSGSIZE);
        }
        self.transmit(&file, data, to, flags)
    }

    /// `recv(2)`. 0 is the end of the data (or an empty datagram). A TCP socket that blocks waits for as many octets as
    /// `SO_RCVLOWAT` says, or as there is room for.
    ///
    /// # Errors
    /// `EAGAIN`, `ENOTCONN`, `ECONNRESET`, `ECONNREFUSED`, `EINVAL` (`MSG_OOB` without urgent data), `EBADF`,
    /// `ENOTSOCK`, and what ended the
    /// connection, once.
    pub fn recv(&self, fd: RawFd, buf: &mut [u8], flags: MsgFlags) -> Result<usize> {
        self.recvfrom(fd, buf, flags).map(|(len, _)| len)
    }

    /// `recvfrom(2)`: and who sent it, where that is a datagram.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv).
    pub fn recvfrom(
        &self,
        fd: RawFd,
        buf: &mut [u8],
        flags: MsgFlags,
    ) -> Result<(usize, Option<SocketAddr>)> {
        let file = self.file(fd)?;
        let received = self.receive(&file, &mut [IoSliceMut::new(buf)], flags)?;
        Ok((received.len, received.from.map(|from| self.shown(&file, from))))
    }

    /// `recvmsg(2)`: into several buffers, and with what options ask for beside the data.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv); `EMSGSIZE` for more than 1024 buffers.
    pub fn recvmsg(
        &self,
        fd: RawFd,
        data: &mut [IoSliceMut<'_>],
        flags: MsgFlags,
    ) -> Result<ReceivedMessage> {
        let file = self.file(fd)?;
        if data.len() > MOST_PARTS {
            return Err(Errno::MSGSIZE);
        }
        let received = self.receive(&file, data, flags)?;
        Ok(self.told(&file, received, flags))
    }

    /// What came, as a program is told of it.
    pub(super) fn told(&self, file: &File, received: Received, flags: MsgFlags) -> ReceivedMessage {
        let name = received.from.map(|from| self.shown(file, from));
        let control = beside(file, &received, flags);
        ReceivedMessage { len: received.len, name, flags: received.flags, control }
    }

    /// `read(2)`. Reading nothing at all from a socket gives 0 in any state.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv).
    pub fn read(&self, fd: RawFd, buf: &mut [u8]) -> Result<usize> {
        self.readv(fd, &mut [IoSliceMut::new(buf)])
    }

    /// `readv(2)`.
    ///
    /// # Errors
    /// Those of [`recv`](Self::recv); `EINVAL` for more than 1024 buffers.
    pub fn readv(&self, fd: RawFd, bufs: &mut [IoSliceMut<'_>]) -> Result<usize> {
        let file = self.file(fd)?;
        if bufs.len() > MOST_PARTS {
            return Err(Errno::INVAL);
        }
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        Ok(self.receive(&file, bufs, MsgFlags::empty())?.len)
    }

    /// `write(2)`.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn write(&self, fd: RawFd, data: &[u8]) -> Result<usize> {
        let file = self.file(fd)?;
        self.transmit(&file, &[IoSlice::new(data)], None, MsgFlags::empty())
    }

    /// `writev(2)`. Where there is nothing to write it does nothing: no empty datagram is sent.
    ///
    /// # Errors
    /// Those of [`send`](Self::send); `EINVAL` for more than 1024 buffers.
    pub fn writev(&self, fd: RawFd, bufs: &[IoSlice<'_>]) -> Result<usize> {
        let file = self.file(fd)?;
        if bufs.len() > MOST_PARTS {
            return Err(Errno::INVAL);
        }
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        self.transmit(&file, bufs, None, MsgFlags::empty())
    }
}
