//! A UDP socket.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::stack::socket::ReceivedDatagram;
use tunstack_core::stack::{Readiness, SocketId, Stack};
use tunstack_core::time::Instant;

use super::addr::{each, family, first};
use crate::engine::socket::Socket;
use crate::engine::{Engine, Interest};

/// A UDP socket, as `std::net::UdpSocket` is one. It is closed with the last of its clones.
#[derive(Clone)]
pub struct UdpSocket {
    pub(crate) socket: Arc<Socket>,
}

impl UdpSocket {
    /// A socket with the first of the addresses that is free; port 0 chooses one.
    ///
    /// # Errors
    /// That of the last address tried: `AddrInUse`, `AddrNotAvailable`; `InvalidInput` without an address.
    pub fn bind_on(engine: &Engine, addr: impl ToSocketAddrs) -> io::Result<Self> {
        each(addr, |addr| {
            let socket = Socket::open(engine, |stack| stack.udp_socket(family(&addr)))?;
            socket.call(|stack, id, _| stack.bind(id, addr.into()))?;
            Ok(Self { socket: Arc::new(socket) })
        })
    }

    /// Sets the peer: `send` goes to it, and only what it sends is received. Nothing is sent.
    ///
    /// # Errors
    /// `NetworkUnreachable` without a route; that of the last address tried.
    pub fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        each(addr, |addr| self.socket.call(|stack, id, now| stack.connect(id, addr.into(), now)))
    }

    /// Sends a datagram to the first of the addresses.
    ///
    /// # Errors
    /// `EMSGSIZE` when it is too long, `PermissionDenied` for a broadcast without leave, an error that an
    /// ICMP message told of.
    pub fn send_to(&self, buf: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        let to = first(addr)?;
        self.socket
            .wait(Interest::Writable, |stack, id, now| stack.try_send_to(id, buf, Some(to.into()), now))
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    /// Without a peer `EDESTADDRREQ`; `ConnectionRefused` when an earlier one met with no socket; else those
    /// of [`send_to`](Self::send_to).
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.wait(Interest::Writable, |stack, id, now| stack.try_send_to(id, buf, None, now))
    }

    /// Waits for a datagram. What does not fit in `buf` is lost.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is non-blocking or the timeout is over; an error that an ICMP message
    /// told of.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buf, false).map(pair)
    }

    /// As [`recv_from`](Self::recv_from), but the datagram stays to be received again.
    ///
    /// # Errors
    /// Those of `recv_from`.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buf, true).map(pair)
    }

    /// Waits for a datagram, from the peer where there is one, and else from anybody.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.receive(buf, false)?.copied)
    }

    /// As [`recv`](Self::recv), but the datagram stays to be received again.
    ///
    /// # Errors
    /// Those of `recv`.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.receive(buf, true)?.copied)
    }

    /// Waits for a datagram and tells all that is known of it: its full length and which of our addresses it
    /// came to.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub fn recv_datagram(&self, buf: &mut [u8]) -> io::Result<ReceivedDatagram> {
        self.receive(buf, false)
    }

    fn receive(&self, buf: &mut [u8], peek: bool) -> io::Result<ReceivedDatagram> {
        self.socket.wait(Interest::Readable, |stack, id, _| stack.try_receive_from(id, buf, peek))
    }

    /// A [`recv_from`](Self::recv_from) that never waits, whatever the socket's mode.
    ///
    /// # Errors
    /// `WouldBlock`, and those of `recv_from`.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.call(|stack, id, _| stack.try_receive_from(id, buf, false)).map(pair)
    }

    /// A [`send_to`](Self::send_to) that never waits, whatever the socket's mode.
    ///
    /// # Errors
    /// `WouldBlock`, and those of `send_to`.
    pub fn try_send_to(&self, buf: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.socket.call(|stack, id, now| stack.try_send_to(id, buf, Some(to.into()), now))
    }

    /// A `recv_from` by a task.
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let received =
            self.socket.poll(Interest::Readable, cx, |stack, id, _| stack.try_receive_from(id, buf, false));
        received.map_ok(pair)
    }

    /// A `send_to` by a task.
    pub fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], to: SocketAddr) -> Poll<io::Result<usize>> {
        self.poll_send_op(cx, buf, Some(to.into()))
    }

    /// A `send` by a task.
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send_op(cx, buf, None)
    }

    fn poll_send_op(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        to: Option<Endpoint>,
    ) -> Poll<io::Result<usize>> {
        let send = |stack: &mut Stack, id: SocketId, now: Instant| -> Result<usize, Error> {
            stack.try_send_to(id, buf, to, now)
        };
        self.socket.poll(Interest::Writable, cx, send)
    }

    /// Pending until the socket is ready for `interest`; nothing is taken.
    pub fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(interest, cx)
    }

    /// What could be done now without waiting.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn readiness(&self) -> io::Result<Readiness> {
        self.socket.readiness()
    }

    /// The socket, for another face.
    #[cfg(any(feature = "tokio", feature = "futures"))]
    pub(crate) fn into_socket(self) -> Arc<Socket> {
        self.socket
    }

    /// A socket of another face.
    #[cfg(any(feature = "tokio", feature = "futures"))]
    pub(crate) fn from_socket(socket: Arc<Socket>) -> Self {
        Self { socket }
    }

    /// The engine it belongs to.
    pub fn engine(&self) -> &Engine {
        self.socket.engine()
    }

    /// The stack's handle of the socket.
    pub fn id(&self) -> SocketId {
        self.socket.id()
    }

    /// The local address, with the port that was chosen.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The peer's address.
    ///
    /// # Errors
    /// `NotConnected` without a peer.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// Another handle to the same socket: timeouts and the blocking mode are shared.
    ///
    /// # Errors
    /// None; the signature is std's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }

    /// How long a receive waits at the most; `None`: without limit. Then it gives `WouldBlock`.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)
    }

    /// How long a receive waits at the most.
    ///
    /// # Errors
    /// None; the signature is std's.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.read_timeout())
    }

    /// How long a send waits for room at the most; `None`: without limit. Then it gives `WouldBlock`.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_write_timeout(timeout)
    }

    /// How long a send waits for room at the most.
    ///
    /// # Errors
    /// None; the signature is std's.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.write_timeout())
    }

    /// Whether calls give `WouldBlock` instead of waiting.
    ///
    /// # Errors
    /// None; the signature is std's.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking);
        Ok(())
    }

    /// Whether it may send to broadcast addresses.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.socket.change_options(|o| o.broadcast = broadcast)
    }

    /// Whether it may send to broadcast addresses.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn broadcast(&self) -> io::Result<bool> {
        Ok(self.socket.options()?.broadcast)
    }

    /// Time to live, or hop limit, of the packets sent, 1 to 255.
    ///
    /// # Errors
    /// `InvalidInput` when out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }

    /// Time to live, or hop limit, of the packets sent.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.ttl()
    }

    /// The error that waits for the next call, which is then forgotten (`SO_ERROR`).
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }
}

fn pair(received: ReceivedDatagram) -> (usize, SocketAddr) {
    (received.copied, received.from.socket_addr())
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UdpSocket").field(&self.socket).finish()
    }
}
