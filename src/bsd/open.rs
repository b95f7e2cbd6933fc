//! From `socket` to `close`: the calls that make, name, connect and end sockets.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::io::{DupFlags, Errno};
use tunstack_core::addr::{Endpoint, Family};
use tunstack_core::error::Error;
use tunstack_core::sockopt::{Shutdown, SocketOptions};
use tunstack_core::stack::{SocketId, Stack};
use tunstack_core::tcp::state::State;
use tunstack_core::time::Instant;

use super::abi::{
    AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, MsgFlags, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_CLOEXEC,
    SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM,
};
use super::file::{File, Kind, errno};
use super::shadow::{FRESH, Renewed, Shadow, Spare};
use super::wait::registrations;
use super::{Result, Sockets};
use crate::engine::Interest;

/// One more than the largest type of socket that Linux knows.
const SOCK_MAX: i32 = 11;

/// One more than the largest protocol that Linux knows (`IPPROTO_MPTCP`).
const IPPROTO_MAX: i32 = 263;

impl Sockets {
    /// `socket(2)`: a socket of a domain (`AF_INET`, `AF_INET6`), a type (`SOCK_STREAM`, `SOCK_DGRAM`, with
    /// `SOCK_NONBLOCK` and `SOCK_CLOEXEC`) and a protocol (0, `IPPROTO_TCP`, `IPPROTO_UDP`). Gives the lowest number
    /// that is free.
    ///
    /// # Errors
    /// `EAFNOSUPPORT`, `EINVAL` (unknown type or flags, no such protocol), `ESOCKTNOSUPPORT`, `EPROTONOSUPPORT`,
    /// `EMFILE`, `ENFILE`, `ENOBUFS`.
    pub fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<RawFd> {
        let flags = kind & !0xf;
        if flags & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 {
            return Err(Errno::INVAL);
        }
        let family = match domain {
            AF_INET => Family::V4,
            AF_INET6 => Family::V6,
            _ => return Err(Errno::AFNOSUPPORT),
        };
        if kind & 0xf >= SOCK_MAX || !(0..IPPROTO_MAX).contains(&protocol) {
            return Err(Errno::INVAL);
        }
        let kind = match (kind & 0xf, protocol) {
            (SOCK_STREAM, 0 | IPPROTO_TCP) => Kind::Stream,
            (SOCK_DGRAM, 0 | IPPROTO_UDP) => Kind::Datagram,
            (SOCK_STREAM | SOCK_DGRAM, _) => return Err(Errno::PROTONOSUPPORT),
            _ => return Err(Errno::SOCKTNOSUPPORT),
        };
        let cloexec = flags & SOCK_CLOEXEC != 0;
        let (fd, shadow) = match kind {
            Kind::Stream => Shadow::fresh(cloexec)?,
            Kind::Datagram => Shadow::datagram(cloexec)?,
        };
        let open = |stack: &mut Stack, now| {
            let id = match kind {
                Kind::Stream => stack.tcp_socket(family),
                Kind::Datagram => stack.udp_socket(family),
            };
            // Where Linux and the stack's own taste differ.
            let options =
                SocketOptions { oob_inline: false, keep_after_shutdown: true, ..stack.options(id)? };
            stack.set_options(id, options, now)?;
            Ok(id)
        };
        let engine = self.engine();
        let shard = match kind {
            Kind::Stream => engine.next_shard(),
            Kind::Datagram => engine.shard(),
        };
        let id = shard.open(open).map_err(errno)?;
        self.enter(fd, id, family, kind, shadow, flags & SOCK_NONBLOCK != 0)
    }

    fn enter(
        &self,
        fd: OwnedFd,
        id: SocketId,
        family: Family,
        kind: Kind,
        shadow: Shadow,
        nonblocking: bool,
    ) -> Result<RawFd> {
        let file = File::new(self.engine(), id, family, kind, shadow, nonblocking)?;
        Ok(self.insert(fd, file))
    }

    /// `bind(2)`. Port 0 chooses one.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EAFNOSUPPORT`, `EINVAL` (bound already), `EBADF`, `ENOTSOCK`.
    pub fn bind(&self, fd: RawFd, address: &SocketAddr) -> Result<()> {
        let file = self.file(fd)?;
        let local = file.local(address)?;
        file.call(|stack, id, now| {
            stack.bind(id, local)?;
            // At an address of its own an IPv6 socket speaks that alone, and Linux says so when it is asked.
            if !local.address.is_v4() && !local.address.is_unspecified() {
                let options = SocketOptions { v6_only: true, ..stack.options(id)? };
                stack.set_options(id, options, now)?;
            }
            Ok(())
        })
    }

    /// `listen(2)`: `backlog` connections may wait to be accepted, and one more as on Linux; less than 0 is as
    /// much as the stack allows.
    ///
    /// # Errors
    /// `EADDRINUSE`, `EINVAL` (connected), `EOPNOTSUPP` (not TCP), `EBADF`, `ENOTSOCK`.
    pub fn listen(&self, fd: RawFd, backlog: i32) -> Result<()> {
        let file = self.file(fd)?;
        let backlog = u32::try_from(backlog).unwrap_or(u32::MAX);
        let spare = file.shadow.prepare()?;
        let mut shown = Ok(None);
        file.call(|stack, id, _| {
            stack.listen(id, backlog)?;
            shown = self.engage(&file, spare);
            Ok(())
        })?;
        carry_over(shown?);
        Ok(())
    }

    /// `accept(2)`: the connection that has waited longest, and its peer.
    ///
    /// # Errors
    /// `EAGAIN`, `EINVAL` (does not listen), `EOPNOTSUPP` (not TCP), `EMFILE`, `EBADF`, `ENOTSOCK`.
    pub fn accept(&self, fd: RawFd) -> Result<(RawFd, SocketAddr)> {
        self.accept4(fd, 0)
    }

    /// `accept4(2)`, with `SOCK_NONBLOCK` and `SOCK_CLOEXEC` for the connection.
    ///
    /// # Errors
    /// Those of [`accept`](Self::accept); `EINVAL` for other flags.
    pub fn accept4(&self, fd: RawFd, flags: i32) -> Result<(RawFd, SocketAddr)> {
        let file = self.file(fd);
        // Whether the number is that of a socket comes after the flags, as on Linux.
        if flags & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 && !matches!(file, Err(Errno::BADF)) {
            return Err(Errno::INVAL);
        }
        let file = file?;
        if file.kind != Kind::Stream {
            return Err(Errno::OPNOTSUPP);
        }
        // Nothing is made for a look that finds nobody.
        if file.nonblocking() && file.query(|stack, id| Ok(nobody_waits(stack, id)))? {
            return Err(Errno::AGAIN);
        }
        let seat = Seat::new(flags)?;
        let found = file.wait(Interest::Readable, MsgFlags::empty(), |stack, id, _| take_first(stack, id))?;
        self.seat(&file, seat, found)
    }

    /// Gives an accepted connection its number.
    pub(crate) fn seat(
        &self,
        file: &File,
        seat: Seat,
        (id, peer): (SocketId, Endpoint),
    ) -> Result<(RawFd, SocketAddr)> {
        let accepted =
            self.enter(seat.number, id, file.family, Kind::Stream, seat.shadow, seat.nonblocking)?;
        self.file(accepted)?.inherit(file);
        Ok((accepted, self.shown(file, peer)))
    }

    /// `connect(2)`. TCP: waits until the connection stands, unless the descriptor does not block (`EINPROGRESS`); UDP:
    /// sets the peer.
    ///
    /// # Errors
    /// `EINPROGRESS`, `EALREADY`, `EISCONN`, `ECONNREFUSED`, `ETIMEDOUT`, `EHOSTUNREACH`, `ENETUNREACH`,
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EAFNOSUPPORT`, `EINVAL`, `EBADF`, `ENOTSOCK`.
    pub fn connect(&self, fd: RawFd, address: &SocketAddr) -> Result<()> {
        let file = self.file(fd)?;
        let remote = file.remote(address)?;
        match self.begin_connect(&file, remote) {
            Err(Errno::NETUNREACH) if file.refuses_ipv4(address)? => Err(Errno::AFNOSUPPORT),
            Err(begun @ (Errno::INPROGRESS | Errno::ALREADY)) if !file.nonblocking() => {
                let timeout = file.timeout(Interest::Writable);
                let ended = file.socket.wait_for(Interest::Writable, timeout, |stack, id, now| {
                    end_of_connect(stack, id, remote, now)
                });
                self.keep_fresh(&file)?;
                match ended.map_err(errno) {
                    // SO_SNDTIMEO is over, and the attempt goes on.
                    Err(Errno::AGAIN) => Err(begun),
                    other => other,
                }
            }
            other => other,
        }
    }

    /// What `connect` does without waiting: `EINPROGRESS` where there is something to wait for.
    pub(crate) fn begin_connect(&self, file: &Arc<File>, remote: Endpoint) -> Result<()> {
        if file.kind == Kind::Datagram {
            return file.call(|stack, id, now| stack.connect(id, remote, now));
        }
        let spare = file.shadow.prepare()?;
        let mut shown = Ok(None);
        let claim = file.socket.engine().claim(file.socket.id(), remote).map_err(errno)?;
        let begun = file.call(|stack, id, now| {
            let result = stack.connect(id, remote, now);
            // The SYN may wait for what is to go with it (TCP_FASTOPEN_CONNECT).
            let deferred = result.is_ok() && stack.open_is_deferred(id);
            if deferred || result == Err(Error::InProgress) {
                shown = self.engage(file, spare);
            }
            if deferred {
                file.defer();
            }
            result
        });
        drop(claim);
        carry_over(shown?);
        self.keep_fresh(file)?;
        begun
    }

    /// As [`begin_connect`](Self::begin_connect), with data for the SYN; without `to` where a `connect` has left the SYN to
    /// what is sent. Gives how much of it went there, and 0 where the socket turns out to be connected.
    pub(super) fn begin_with_data(
        &self,
        file: &Arc<File>,
        to: Option<Endpoint>,
        front: &[u8],
    ) -> Result<usize> {
        let spare = file.shadow.prepare()?;
        let mut shown = Ok(None);
        let claim =
            to.map(|to| file.socket.engine().claim(file.socket.id(), to)).transpose().map_err(errno)?;
        let begun = file.call(|stack, id, now| {
            if stack.open_is_deferred(id) {
                return stack.open_deferred(id, front, now);
            }
            // Where the `connect` was undone meanwhile, it is an ordinary call.
            let Some(to) = to else { return Ok(0) };
            let result = stack.connect_with_data(id, to, front, now);
            if matches!(result, Ok(1..) | Err(Error::InProgress)) {
                shown = self.engage(file, spare);
            }
            result
        });
        drop(claim);
        carry_over(shown?);
        begun
    }

    /// A socket connects or listens from now on, and so its descriptor shows.
    fn engage(&self, file: &Arc<File>, spare: Spare) -> Result<Option<Old>> {
        file.shadow.engage(spare)?.map(|renewed| self.renumber(file, renewed)).transpose()
    }

    /// Where the stack's socket is fresh again and its descriptor is not, gives it one that is.
    pub(crate) fn keep_fresh(&self, file: &Arc<File>) -> Result<()> {
        if file.kind == Kind::Datagram || file.shadow.is_fresh() {
            return Ok(());
        }
        let old = file.call(|stack, id, _| {
            let fresh = stack.state(id) == Some(State::Closed) && stack.readiness(id) == FRESH;
            let renew = || file.shadow.renew().and_then(|renewed| self.renumber(file, renewed));
            Ok(fresh.then(renew).transpose())
        })?;
        carry_over(old?);
        Ok(())
    }

    /// Each number of a socket stands for another file from now on.
    fn renumber(&self, file: &Arc<File>, renewed: Renewed) -> Result<Old> {
        let mut numbers = Vec::new();
        self.each_number(file, |number| {
            let flags = rustix::io::fcntl_getfd(&*number)?;
            let cloexec = flags.contains(rustix::io::FdFlags::CLOEXEC);
            let flags = if cloexec { DupFlags::CLOEXEC } else { DupFlags::empty() };
            rustix::io::dup3(&renewed.fd, number, flags)?;
            numbers.push(number.as_raw_fd());
            Ok(())
        })?;
        Ok(Old { renewed, numbers })
    }

    /// `connect(2)` to an address of the family `AF_UNSPEC`: ends the association. A TCP connection is reset, a listener
    /// listens no more, and either may connect or listen again.
    ///
    /// # Errors
    /// `EBADF`, `ENOTSOCK`.
    pub fn disconnect(&self, fd: RawFd) -> Result<()> {
        let file = self.file(fd)?;
        let result = file.call(|stack, id, now| stack.disconnect(id, now));
        self.keep_fresh(&file)?;
        result
    }

    /// `getsockname(2)`.
    ///
    /// # Errors
    /// `EBADF`, `ENOTSOCK`.
    pub fn getsockname(&self, fd: RawFd) -> Result<SocketAddr> {
        let file = self.file(fd)?;
        let local = file.query(Stack::local_endpoint)?;
        Ok(self.shown(&file, local))
    }

    /// `getpeername(2)`.
    ///
    /// # Errors
    /// `ENOTCONN`, `EBADF`, `ENOTSOCK`.
    pub fn getpeername(&self, fd: RawFd) -> Result<SocketAddr> {
        let file = self.file(fd)?;
        let remote = file.query(Stack::remote_endpoint)?;
        Ok(self.shown(&file, remote))
    }

    /// An endpoint in the family of the socket: an IPv6 socket sees IPv4 as mapped addresses.
    pub(crate) fn shown(&self, file: &File, endpoint: Endpoint) -> SocketAddr {
        let address = endpoint.socket_addr();
        match (file.family, address) {
            (Family::V6, SocketAddr::V4(v4)) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            _ => address,
        }
    }

    /// `shutdown(2)`: `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`.
    ///
    /// # Errors
    /// `ENOTCONN`, `EINVAL`, `EBADF`, `ENOTSOCK`.
    pub fn shutdown(&self, fd: RawFd, how: i32) -> Result<()> {
        let file = self.file(fd)?;
        let how = match how {
            SHUT_RD => Shutdown::Read,
            SHUT_WR => Shutdown::Write,
            SHUT_RDWR => Shutdown::Both,
            _ => return Err(Errno::INVAL),
        };
        let result = file.call(|stack, id, now| stack.shutdown(id, how, now));
        self.keep_fresh(&file)?;
        result
    }

    /// `close(2)`. With the last number of a socket it is closed: a TCP connection still delivers what was written, in
    /// the background or, with `SO_LINGER`, while this call waits; with data unread it is reset.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn close(&self, fd: RawFd) -> Result<()> {
        // The file may linger: not under the table's lock.
        let file = self.remove(fd)?;
        drop(file);
        Ok(())
    }

    /// `dup(2)`: another number for the same open socket, the lowest that is free.
    ///
    /// # Errors
    /// `EBADF`, `ENOTSOCK`, `EMFILE`.
    pub fn dup(&self, fd: RawFd) -> Result<RawFd> {
        self.duplicate(fd, 0, false)
    }
}

/// What numbers stood for until a moment ago.
struct Old {
    renewed: Renewed,
    numbers: Vec<RawFd>,
}

/// Whoever watches a renewed descriptor watches the new one. Not under the engine's lock: it takes time.
fn carry_over(old: Option<Old>) {
    if let Some(Old { renewed, numbers }) = old {
        registrations::carry_over(&renewed.old, &numbers);
    }
}

/// The number and the shadow of a connection that is to be accepted. Made before: where none is left, the connection
/// stays in the queue.
pub(crate) struct Seat {
    number: OwnedFd,
    shadow: Shadow,
    nonblocking: bool,
}

impl Seat {
    /// `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
    pub(crate) fn new(flags: i32) -> Result<Self> {
        let (number, shadow) = Shadow::connected(flags & SOCK_CLOEXEC != 0)?;
        Ok(Self { number, shadow, nonblocking: flags & SOCK_NONBLOCK != 0 })
    }
}

/// The connection that has waited longest, and its peer.
pub(crate) fn take_first(
    stack: &mut Stack,
    id: SocketId,
) -> core::result::Result<(SocketId, Endpoint), Error> {
    stack.try_accept_from(id)
}

/// How an attempt to connect ended, as the call tells that asks again.
pub(crate) fn end_of_connect(
    stack: &mut Stack,
    id: SocketId,
    remote: Endpoint,
    now: Instant,
) -> core::result::Result<(), Error> {
    if !stack.readiness(id).intersects(Interest::Writable.mask()) {
        return Err(Error::WouldBlock);
    }
    // Another call has ended the attempt, or heard how it ended: it is not begun anew.
    if stack.state(id) == Some(State::Closed) && stack.tcp_info(id).is_none() {
        return Err(stack.take_error(id).unwrap_or(Error::BrokenPipe));
    }
    match stack.connect(id, remote, now) {
        Err(Error::IsConnected) => Ok(()),
        other => other,
    }
}

pub(crate) fn nobody_waits(stack: &Stack, id: SocketId) -> bool {
    stack.state(id) == Some(State::Listen) && stack.readiness(id).is_empty()
}
