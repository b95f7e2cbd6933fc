//! A UDP socket.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::task::{Context, Poll};
use std::time::Duration;

use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::stack::sending::Message;
pub use tunstack_core::stack::socket::ReceivedDatagram;
use tunstack_core::stack::{Readiness, SocketId, Stack};
use tunstack_core::time::Instant;

use super::addr::{each, family, first};
use crate::engine::socket::{Socket, invalid};
use crate::engine::{Engine, Interest};

/// What is sent by one of [`send_messages`](UdpSocket::send_messages): a datagram, or several of one size in a row.
///
/// ```no_run
/// # use std::io;
/// # use tunstack::net::{SendMessage, UdpSocket};
/// # fn f(socket: &UdpSocket, a: std::net::SocketAddr, frames: &[u8]) -> io::Result<()> {
/// // One datagram to a, and what `frames` holds to the peer, 1200 octets in each datagram.
/// let messages = [SendMessage::to(a, b"hello"), SendMessage::new(frames).cut(1200)];
/// assert_eq!(socket.send_messages(&messages)?, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendMessage<'a> {
    /// The text.
    pub data: &'a [u8],
    /// Where to; `None`: to the peer of a connected socket.
    pub to: Option<SocketAddr>,
    /// Octets of each datagram that the text is cut into, the last of them perhaps shorter; 0: it is one. `None`: as
    /// [`set_segment_size`](UdpSocket::set_segment_size) says.
    pub segment_size: Option<u16>,
}

impl<'a> SendMessage<'a> {
    /// To the peer.
    pub const fn new(data: &'a [u8]) -> Self {
        Self { data, to: None, segment_size: None }
    }

    /// To this address.
    pub const fn to(to: SocketAddr, data: &'a [u8]) -> Self {
        Self { data, to: Some(to), segment_size: None }
    }

    /// Cut into datagrams of `size` octets, as `UDP_SEGMENT` does: at most 128 of them, each as large as the path takes
    /// at the most, and 65,507 octets in all over IPv4 or 65,527 over IPv6.
    #[must_use]
    pub const fn cut(mut self, size: u16) -> Self {
        self.segment_size = Some(size);
        self
    }
}

impl<'a> From<&SendMessage<'a>> for Message<'a> {
    fn from(message: &SendMessage<'a>) -> Self {
        Self { data: message.data, to: message.to.map(Into::into), segment_size: message.segment_size }
    }
}

/// A place for one of those that [`recv_messages`](UdpSocket::recv_messages) receives.
#[derive(Debug)]
pub struct RecvMessage<'a> {
    /// Room for the text. What does not fit is lost.
    pub buf: &'a mut [u8],
    /// What came.
    pub datagram: ReceivedDatagram,
}

impl<'a> RecvMessage<'a> {
    /// A place with nothing in it.
    pub const fn new(buf: &'a mut [u8]) -> Self {
        Self { buf, datagram: ReceivedDatagram::NONE }
    }

    /// The text that came.
    pub fn data(&self) -> &[u8] {
        &self.buf[..self.datagram.copied.min(self.buf.len())]
    }

    /// The datagrams that came: more than one only where they are [received joined](UdpSocket::set_gro).
    pub fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let size = match self.datagram.segment_size {
            0 => usize::MAX,
            size => size.into(),
        };
        // An empty one is one, too.
        let empty = self.data().is_empty().then_some(&[][..]);
        empty.into_iter().chain(self.data().chunks(size))
    }
}

/// A UDP socket, as `std::net::UdpSocket` is one. It is closed with the last of its clones.
#[derive(Clone)]
pub struct UdpSocket {
    pub(crate) socket: Socket,
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
            Ok(Self { socket })
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

    /// Sends message after message in one hold of the lock and one pass over the device (`sendmmsg`). Gives how many were
    /// sent: fewer than all where one was refused, whose error the next call that begins with it meets with.
    ///
    /// # Errors
    /// What the first met with: those of [`send_to`](Self::send_to) and [`send`](Self::send); `InvalidInput` where one is to be
    /// cut into more than 128.
    pub fn send_messages(&self, messages: &[SendMessage<'_>]) -> io::Result<usize> {
        in_parts(messages, |part, first| {
            self.socket.wait(Interest::Writable, |stack, id, now| send_part(stack, id, now, part, first))
        })
    }

    /// A [`send_messages`](Self::send_messages) that never waits, whatever the socket's mode.
    ///
    /// # Errors
    /// `WouldBlock`, and those of `send_messages`.
    pub fn try_send_messages(&self, messages: &[SendMessage<'_>]) -> io::Result<usize> {
        in_parts(messages, |part, first| {
            self.socket.call(|stack, id, now| send_part(stack, id, now, part, first))
        })
    }

    /// Waits for a datagram, and takes all that are there then, as far as there are places for them, in one hold of the
    /// lock (`recvmmsg` with `MSG_WAITFORONE`). Gives how many came, each to its place, the first to the first.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub fn recv_messages(&self, messages: &mut [RecvMessage<'_>]) -> io::Result<usize> {
        self.socket.wait(Interest::Readable, |stack, id, _| receive_batch(stack, id, messages))
    }

    /// A [`recv_messages`](Self::recv_messages) that never waits, whatever the socket's mode.
    ///
    /// # Errors
    /// `WouldBlock`, and those of `recv_messages`.
    pub fn try_recv_messages(&self, messages: &mut [RecvMessage<'_>]) -> io::Result<usize> {
        self.socket.call(|stack, id, _| receive_batch(stack, id, messages))
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
    pub(crate) fn into_socket(self) -> Socket {
        self.socket
    }

    /// A socket of another face.
    #[cfg(any(feature = "tokio", feature = "futures"))]
    pub(crate) fn from_socket(socket: Socket) -> Self {
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

    /// Cuts all that is sent into datagrams of `size` octets, the last of them perhaps shorter; 0: each call sends one. See
    /// [`SendMessage::cut`] for the limits.
    ///
    /// # Errors
    /// `InvalidInput` above 65,535; those of a socket that is gone.
    pub fn set_segment_size(&self, size: usize) -> io::Result<()> {
        let size = u16::try_from(size).map_err(|_| invalid("a segment has at most 65,535 octets"))?;
        self.socket.change_options(|o| o.segment_size = size)
    }

    /// The size of the datagrams that all that is sent is cut into, octets; 0: each call sends one.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn segment_size(&self) -> io::Result<usize> {
        Ok(self.socket.options()?.segment_size.into())
    }

    /// Whether datagrams of one sender that the device has joined are received so, with
    /// [`segment_size`](ReceivedDatagram::segment_size) beside them (`UDP_GRO`). Room for 65,527 octets is room for any.
    /// Otherwise they are received one by one.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn set_gro(&self, joined: bool) -> io::Result<()> {
        self.socket.change_options(|o| o.receive_joined = joined)
    }

    /// Whether datagrams that the device has joined are received so.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn gro(&self) -> io::Result<bool> {
        Ok(self.socket.options()?.receive_joined)
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

/// Sends a long batch by parts: what the device has not had yet is not to fill the memory.
fn in_parts<'m, 'd>(
    messages: &'m [SendMessage<'d>],
    mut send: impl FnMut(&'m [SendMessage<'d>], bool) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut done = 0;
    while let Some(part @ [_, ..]) = messages.get(done..) {
        match send(part, done == 0) {
            Ok(0) => break,
            Ok(sent) => done += sent,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Sends the front of what is left of a batch. An error that came meanwhile waits for the next call.
pub(crate) fn send_part(
    stack: &mut Stack,
    id: SocketId,
    now: Instant,
    part: &[SendMessage<'_>],
    first: bool,
) -> Result<usize, Error> {
    if !first && stack.readiness(id).contains(Readiness::ERROR) {
        return Ok(0);
    }
    stack.try_send_batch(id, part.iter().map(Into::into), now)
}

/// One look at the socket for [`RecvMessage`]s.
pub(crate) fn receive_batch(
    stack: &mut Stack,
    id: SocketId,
    messages: &mut [RecvMessage<'_>],
) -> Result<usize, Error> {
    stack.try_receive_batch(id, messages.iter_mut().map(|m| (&mut *m.buf, &mut m.datagram)))
}

fn pair(received: ReceivedDatagram) -> (usize, SocketAddr) {
    (received.copied, received.from.socket_addr())
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UdpSocket").field(&self.socket).finish()
    }
}
