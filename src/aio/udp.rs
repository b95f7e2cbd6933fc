//! A UDP socket.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::stack::socket::ReceivedDatagram;
use tunstack_core::stack::{SocketId, Stack};
use tunstack_core::time::Instant;

use super::handle::Handle;
use super::lookup::lookup;
use super::{Interest, Ready, ToSocketAddrs};
use crate::engine::Engine;
use crate::net::{self, RecvMessage, SendMessage};

/// A UDP socket, as `tokio::net::UdpSocket` is one. Every call takes `&self`: in an `Arc` it serves as many tasks as
/// one likes, in each direction.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Handle,
}

impl UdpSocket {
    /// A socket with the first of the addresses that is free; port 0 chooses one.
    ///
    /// # Errors
    /// That of the last address tried: `AddrInUse`, `AddrNotAvailable`; the resolver's; `InvalidInput` without an
    /// address.
    pub async fn bind_on(engine: &Engine, addr: impl ToSocketAddrs) -> io::Result<Self> {
        net::UdpSocket::bind_on(engine, &lookup(addr).await?[..]).map(Self::from)
    }

    /// Sets the peer: `send` goes to it, and only what it sends is received. Nothing is sent.
    ///
    /// # Errors
    /// `NetworkUnreachable` without a route; that of the last address tried.
    pub async fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
        self.net().connect(&lookup(addr).await?[..])
    }

    /// Sends a datagram to the first of the addresses.
    ///
    /// # Errors
    /// `EMSGSIZE` when it is too long, `PermissionDenied` for a broadcast without leave, an error that an ICMP message
    /// told of.
    pub async fn send_to(&self, buf: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        let to = lookup(addr).await?.first().map(|addr| (*addr).into());
        self.socket.wait(Interest::WRITABLE, send(buf, to)).await
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    /// Without a peer `EDESTADDRREQ`; `ConnectionRefused` when an earlier one met with no socket; else those of
    /// [`send_to`](Self::send_to).
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.wait(Interest::WRITABLE, send(buf, None)).await
    }

    /// Waits for a datagram. What does not fit in `buf` is lost.
    ///
    /// # Errors
    /// An error that an ICMP message told of.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.wait(Interest::READABLE, receive(buf, false)).await.map(pair)
    }

    /// As [`recv_from`](Self::recv_from), but the datagram stays to be received again.
    ///
    /// # Errors
    /// Those of `recv_from`.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.wait(Interest::READABLE, receive(buf, true)).await.map(pair)
    }

    /// Waits for a datagram, from the peer where there is one, and else from anybody.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.socket.wait(Interest::READABLE, receive(buf, false)).await?.copied)
    }

    /// As [`recv`](Self::recv), but the datagram stays to be received again.
    ///
    /// # Errors
    /// Those of `recv`.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.socket.wait(Interest::READABLE, receive(buf, true)).await?.copied)
    }

    /// Waits for a datagram and tells all that is known of it: its full length and which of our addresses it came to.
    ///
    /// # Errors
    /// Those of [`recv_from`](Self::recv_from).
    pub async fn recv_datagram(&self, buf: &mut [u8]) -> io::Result<ReceivedDatagram> {
        self.socket.wait(Interest::READABLE, receive(buf, false)).await
    }

    /// Sends message after message, in as few holds of the lock and passes over the device as can be: see
    /// [`net::UdpSocket::send_messages`].
    ///
    /// # Errors
    /// What the first met with.
    pub async fn send_messages(&self, messages: &[SendMessage<'_>]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(part @ [_, ..]) = messages.get(done..) {
            let first = done == 0;
            let send = |stack: &mut Stack, id, now| net::send_part(stack, id, now, part, first);
            match self.socket.wait(Interest::WRITABLE, send).await {
                Ok(0) => break,
                Ok(sent) => done += sent,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Waits for a datagram, and takes all that are there then, as far as there are places for them: see
    /// [`net::UdpSocket::recv_messages`].
    ///
    /// # Errors
    /// An error that an ICMP message told of.
    pub async fn recv_messages(&self, messages: &mut [RecvMessage<'_>]) -> io::Result<usize> {
        self.socket.wait(Interest::READABLE, |stack, id, _| net::receive_batch(stack, id, messages)).await
    }

    /// A [`send_messages`](Self::send_messages) that never waits.
    ///
    /// # Errors
    /// `WouldBlock`, and those of `send_messages`.
    pub fn try_send_messages(&self, messages: &[SendMessage<'_>]) -> io::Result<usize> {
        self.net().try_send_messages(messages)
    }

    /// A [`recv_messages`](Self::recv_messages) that never waits.
    ///
    /// # Errors
    /// `WouldBlock`, and those of `recv_messages`.
    pub fn try_recv_messages(&self, messages: &mut [RecvMessage<'_>]) -> io::Result<usize> {
        self.socket.call(|stack, id, _| net::receive_batch(stack, id, messages))
    }

    /// A [`send_to`](Self::send_to) that never waits.
    ///
    /// # Errors
    /// `WouldBlock`, and those of `send_to`.
    pub fn try_send_to(&self, buf: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.socket.call(send(buf, Some(to.into())))
    }

    /// A [`send`](Self::send) that never waits.
    ///
    /// # Errors
    /// `WouldBlock`, and those of `send`.
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.call(send(buf, None))
    }

    /// A [`recv_from`](Self::recv_from) that never waits.
    ///
    /// # Errors
    /// `WouldBlock`, and those of `recv_from`.
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.call(receive(buf, false)).map(pair)
    }

    /// A [`recv`](Self::recv) that never waits.
    ///
    /// # Errors
    /// `WouldBlock`, and those of `recv`.
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.socket.call(receive(buf, false))?.copied)
    }

    /// A [`peek_from`](Self::peek_from) that never waits.
    ///
    /// # Errors
    /// `WouldBlock`, and those of `peek_from`.
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.call(receive(buf, true)).map(pair)
    }

    /// A [`send_to`](Self::send_to) by polling. Of several tasks that poll one socket in one direction, the last to
    /// ask is woken; so with all the `poll_…` calls.
    pub fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], to: SocketAddr) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, send(buf, Some(to.into())))
    }

    /// A [`send`](Self::send) by polling.
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, send(buf, None))
    }

    /// A [`recv_from`](Self::recv_from) by polling.
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.socket.poll_read(cx, receive(buf, false)).map_ok(pair)
    }

    /// A [`recv`](Self::recv) by polling.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Err(error) = self.peer_addr() {
            return Poll::Ready(Err(error));
        }
        self.socket.poll_read(cx, receive(buf, false)).map_ok(|received| received.copied)
    }

    /// A [`peek_from`](Self::peek_from) by polling.
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.socket.poll_read(cx, receive(buf, true)).map_ok(pair)
    }

    /// Pending until there is something to receive. Nothing is taken.
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_read_ready(cx)
    }

    /// Pending until something can be sent.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(cx)
    }

    /// Waits for any of what `interest` names, and says which it is. Somebody else may be quicker: come back when
    /// the `try_…` call that follows gives `WouldBlock`.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.socket.ready(interest).await
    }

    /// Waits for a datagram or an error without taking it.
    ///
    /// # Errors
    /// Those of [`ready`](Self::ready).
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until something can be sent.
    ///
    /// # Errors
    /// Those of [`ready`](Self::ready).
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Does `io` if the socket is ready for `interest`.
    ///
    /// # Errors
    /// `WouldBlock` if it is not; those of `io`.
    pub fn try_io<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.socket.try_io(interest, io)
    }

    /// Does `io` as soon as the socket is ready for `interest`, and again when it gives `WouldBlock`.
    ///
    /// # Errors
    /// Those of `io` except `WouldBlock`; those of an engine that has ended.
    pub async fn async_io<R>(&self, interest: Interest, io: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        self.socket.async_io(interest, io).await
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

    /// The error that waits for the next call, which is then forgotten (`SO_ERROR`).
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Whether it may send to broadcast addresses.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.net().set_broadcast(broadcast)
    }

    /// Whether it may send to broadcast addresses.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.net().broadcast()
    }

    /// Cuts all that is sent into datagrams of `size` octets: see [`net::UdpSocket::set_segment_size`].
    ///
    /// # Errors
    /// `InvalidInput` above 65,535; those of a socket that is gone.
    pub fn set_segment_size(&self, size: usize) -> io::Result<()> {
        self.net().set_segment_size(size)
    }

    /// The size of the datagrams that all that is sent is cut into, octets; 0: each call sends one.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn segment_size(&self) -> io::Result<usize> {
        self.net().segment_size()
    }

    /// Whether datagrams that the device has joined are received so: see [`net::UdpSocket::set_gro`].
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn set_gro(&self, joined: bool) -> io::Result<()> {
        self.net().set_gro(joined)
    }

    /// Whether datagrams that the device has joined are received so.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn gro(&self) -> io::Result<bool> {
        self.net().gro()
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

    /// How many wait for the socket, in whatever way.
    #[cfg(test)]
    pub(super) fn waiters(&self) -> usize {
        self.socket.waiters()
    }

    fn net(&self) -> net::UdpSocket {
        net::UdpSocket::from_socket(self.socket.share())
    }
}

fn send(
    buf: &[u8],
    to: Option<Endpoint>,
) -> impl FnMut(&mut Stack, SocketId, Instant) -> Result<usize, Error> + '_ {
    move |stack, id, now| stack.try_send_to(id, buf, to, now)
}

fn receive(
    buf: &mut [u8],
    peek: bool,
) -> impl FnMut(&mut Stack, SocketId, Instant) -> Result<ReceivedDatagram, Error> + '_ {
    move |stack, id, _| stack.try_receive_from(id, buf, peek)
}

fn pair(received: ReceivedDatagram) -> (usize, SocketAddr) {
    (received.copied, received.from.socket_addr())
}

/// The socket is non-blocking from then on, for all its clones.
impl From<net::UdpSocket> for UdpSocket {
    fn from(socket: net::UdpSocket) -> Self {
        Self { socket: Handle::new(socket.into_socket()) }
    }
}

/// The socket stays non-blocking, as it does with tokio.
impl From<UdpSocket> for net::UdpSocket {
    fn from(socket: UdpSocket) -> Self {
        Self::from_socket(socket.socket.share())
    }
}
