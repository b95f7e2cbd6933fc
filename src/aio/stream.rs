//! A TCP connection.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, Bytes};
use tunstack_core::error::Error;
use tunstack_core::sockopt;
use tunstack_core::stack::SocketId;
use tunstack_core::tcp::info::TcpInfo;

use super::handle::Handle;
use super::lookup::lookup;
use super::{Interest, Ready, ToSocketAddrs};
use crate::engine::Engine;
use crate::net;

/// A TCP connection, as `tokio::net::TcpStream` is one.
///
/// Reads and writes go through `AsyncRead` and `AsyncWrite` (tokio's with feature `tokio`, those of futures-io with
/// feature `futures`); [`split`](Self::split) and [`into_split`](Self::into_split) give the two directions to two
/// tasks. Shutting down its writing sends a FIN. Dropped, it is closed: what was written is still delivered in the
/// background, and a FIN follows; when data is unread the connection is reset instead (RFC 9293 §3.6.1).
#[derive(Debug)]
pub struct TcpStream {
    pub(super) socket: Handle,
}

impl TcpStream {
    /// Connects to the first of the addresses that answers.
    ///
    /// # Errors
    /// That of the last address tried: `ConnectionRefused`, `TimedOut`, `HostUnreachable`, `NetworkUnreachable`,
    /// `AddrNotAvailable` when no port is free; the resolver's; `InvalidInput` without an address.
    pub async fn connect_on(engine: &Engine, addr: impl ToSocketAddrs) -> io::Result<Self> {
        let mut result = Err(io::ErrorKind::InvalidInput.into());
        for addr in lookup(addr).await? {
            result = match net::TcpStream::start_connect(engine, &addr) {
                Ok(begun) => Self::connected(begun).await,
                Err(error) => Err(error),
            };
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Waits for the end of a connection attempt that has begun.
    pub(super) async fn connected(begun: net::TcpStream) -> io::Result<Self> {
        let stream = Self::from(begun);
        stream.socket.wait(Interest::WRITABLE, |stack, id, _| net::connect_ended(stack, id)).await?;
        Ok(stream)
    }

    /// The engine it belongs to.
    pub fn engine(&self) -> &Engine {
        self.socket.engine()
    }

    /// The stack's handle of the socket.
    pub fn id(&self) -> SocketId {
        self.socket.id()
    }

    /// The peer's address.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// Our own address.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The error that waits for the next call, which is then forgotten (`SO_ERROR`).
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// How the connection stands: its state, its variables, what was negotiated.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn info(&self) -> io::Result<TcpInfo> {
        self.socket.query(|stack, id| stack.tcp_info(id).ok_or(Error::NotConnected))
    }

    /// Makes closing a reset: what is under way either way is lost then.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// Resets the connection: what is under way either way is lost, and the peer is told.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn abort(&self) -> io::Result<()> {
        self.socket.call(|stack, id, now| stack.abort(id, now))
    }

    /// Waits for any of what `interest` names, and says which it is. Somebody else may be quicker: come back when
    /// the `try_…` call that follows gives `WouldBlock`.
    ///
    /// # Errors
    /// Those of an engine that has ended. What became of the connection is readiness, not an error.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.socket.ready(interest).await
    }

    /// Waits for something to read: data, the end of the data or an error.
    ///
    /// # Errors
    /// Those of [`ready`](Self::ready).
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits for room to write, or an error.
    ///
    /// # Errors
    /// Those of [`ready`](Self::ready).
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.ready(Interest::WRITABLE).await.map(drop)
    }

    /// Pending until there is something to read. It shares its place with the other `poll_…` calls that read.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_read_ready(cx)
    }

    /// Pending until there is room to write. It shares its place with the other `poll_…` calls that write.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(cx)
    }

    /// Reads what is there. `Ok(0)` is the end of the data, unless `buf` is empty.
    ///
    /// ```no_run
    /// # async fn read(stream: tunstack::aio::TcpStream) -> std::io::Result<usize> {
    /// let mut buf = [0; 1500];
    /// loop {
    ///     stream.readable().await?;
    ///     match stream.try_read(&mut buf) {
    ///         Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
    ///         result => return result,
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// `WouldBlock`; `ConnectionReset`, `TimedOut` and whatever else ended the connection.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.call(|stack, id, _| stack.try_read(id, buf))
    }

    /// Reads what is there into several buffers, in order.
    ///
    /// # Errors
    /// Those of [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.call(|stack, id, _| net::read_all_of(stack, id, bufs))
    }

    /// Reads what is there to the end of a buffer, as much as its next chunk has room for.
    ///
    /// # Errors
    /// Those of [`try_read`](Self::try_read).
    pub fn try_read_buf(&self, buf: &mut impl BufMut) -> io::Result<usize> {
        let room = buf.chunk_mut().len();
        let data = self.socket.call(|stack, id, _| stack.try_read_bytes(id, room))?;
        buf.put_slice(&data);
        Ok(data.len())
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    /// `WouldBlock`; `BrokenPipe` when our side is shut down; whatever ended the connection.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.call(|stack, id, now| stack.try_write(id, buf, now))
    }

    /// Writes what there is room for of several buffers, in order.
    ///
    /// # Errors
    /// Those of [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.call(|stack, id, now| net::write_all_of(stack, id, bufs, now))
    }

    /// Does `io` if the stream is ready for `interest`.
    ///
    /// # Errors
    /// `WouldBlock` if it is not; those of `io`.
    pub fn try_io<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.socket.try_io(interest, io)
    }

    /// Does `io` as soon as the stream is ready for `interest`, and again when it gives `WouldBlock`.
    ///
    /// # Errors
    /// Those of `io` except `WouldBlock`; those of an engine that has ended.
    pub async fn async_io<R>(&self, interest: Interest, io: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        self.socket.async_io(interest, io).await
    }

    /// As a read, but what was read stays to be read again.
    ///
    /// # Errors
    /// Those of a read.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.wait(Interest::READABLE, |stack, id, _| stack.try_peek(id, buf)).await
    }

    /// A [`peek`](Self::peek) by polling.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_read(cx, |stack, id, _| stack.try_peek(id, buf))
    }

    /// Up to `max` octets without a copy where they arrived in one piece; empty is the end of the data.
    ///
    /// # Errors
    /// Those of a read.
    pub async fn read_bytes(&self, max: usize) -> io::Result<Bytes> {
        self.socket.wait(Interest::READABLE, |stack, id, _| stack.try_read_bytes(id, max)).await
    }

    /// Hands octets over without a copy: what is taken, at least one octet, is split off `data`.
    ///
    /// # Errors
    /// Those of a write.
    pub async fn write_bytes(&self, data: &mut Bytes) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        self.socket.wait(Interest::WRITABLE, |stack, id, now| stack.try_write_bytes(id, data, now)).await
    }

    pub(super) fn poll_read_into(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.socket.poll_read(cx, |stack, id, _| stack.try_read(id, buf))
    }

    #[cfg(feature = "futures")]
    pub(super) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.socket.poll_read(cx, |stack, id, _| net::read_all_of(stack, id, bufs))
    }

    pub(super) fn poll_write_from(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, |stack, id, now| stack.try_write(id, buf, now))
    }

    pub(super) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_write(cx, |stack, id, now| net::write_all_of(stack, id, bufs, now))
    }

    /// Ends the sending side. A connection that is gone already is fine: there is nothing left to end.
    pub(super) fn end(&self) -> io::Result<()> {
        match self.socket.call(|stack, id, now| stack.shutdown(id, sockopt::Shutdown::Write, now)) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }
}

net::tcp_options!(TcpStream);

/// The socket is non-blocking from then on, for all its clones.
impl From<net::TcpStream> for TcpStream {
    fn from(stream: net::TcpStream) -> Self {
        Self { socket: Handle::new(stream.into_socket()) }
    }
}

/// The socket stays non-blocking, as it does with tokio: see
/// [`set_nonblocking`](net::TcpStream::set_nonblocking).
impl From<TcpStream> for net::TcpStream {
    fn from(stream: TcpStream) -> Self {
        Self::from_socket(stream.socket.share())
    }
}
