//! A TCP listener.

use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::net::{SocketAddr, ToSocketAddrs};
use std::task::{Context, Poll};

use tunstack_core::error::Error;
use tunstack_core::stack::{SocketId, Stack};

use super::TcpStream;
use super::addr::{each, family};
use super::tcp_stream::Accepted;
use crate::engine::socket::Socket;
use crate::engine::{Engine, Interest};

/// Listens for TCP connections, as `std::net::TcpListener` does. Any number of threads and tasks may
/// accept from it at once. Dropped with its last clone it stops listening, and connections that nobody
/// accepted are reset.
#[derive(Clone)]
pub struct TcpListener {
    pub(crate) socket: Socket,
}

impl TcpListener {
    /// How many connections may wait for an accept unless [`TcpSocket`](super::TcpSocket) says otherwise.
    pub const BACKLOG: u32 = 4096;

    /// Listens on the first of the addresses that is free. The address may be one that old connections
    /// still hold in TIME-WAIT (`SO_REUSEADDR`), as with std. `[::]` takes IPv4 as well; port 0 chooses one.
    ///
    /// # Errors
    /// That of the last address tried: `AddrInUse`, `AddrNotAvailable`; `InvalidInput` without an address.
    pub fn bind_on(engine: &Engine, addr: impl ToSocketAddrs) -> io::Result<Self> {
        each(addr, |addr| {
            let socket = Socket::open_tcp(engine, family(&addr))?;
            socket.change_options(|o| o.reuse_address = true)?;
            socket.call(|stack, id, _| stack.bind(id, addr.into()))?;
            Self::begin(socket, Self::BACKLOG)
        })
    }

    pub(super) fn begin(socket: Socket, backlog: u32) -> io::Result<Self> {
        socket.call(|stack, id, _| stack.listen(id, backlog))?;
        Ok(Self { socket })
    }

    /// Waits for a connection and gives it with the peer's address.
    ///
    /// # Errors
    /// `WouldBlock` when the listener is non-blocking and none waits; `ConnectionAborted` when the one that
    /// waited is gone; `ESHUTDOWN` once the engine is shut down.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accepted = self.socket.wait(Interest::Readable, |stack, id, _| accept(stack, id))?;
        TcpStream::accepted(self.engine(), accepted)
    }

    /// An accept that never waits, whatever the listener's mode.
    ///
    /// # Errors
    /// `WouldBlock`, and those of [`accept`](Self::accept).
    pub fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpStream::accepted(self.engine(), self.socket.call(|stack, id, _| accept(stack, id))?)
    }

    /// An accept by a task.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.socket
            .poll(Interest::Readable, cx, |stack, id, _| accept(stack, id))
            .map(|accepted| TcpStream::accepted(self.engine(), accepted?))
    }

    /// Pending until there is something to accept. Nothing is taken, so somebody else may be quicker.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_ready(Interest::Readable, cx)
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

    /// The connections as they come, without end.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Changes how many connections may wait for an accept.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn set_backlog(&self, backlog: u32) -> io::Result<()> {
        self.socket.call(|stack, id, _| stack.listen(id, backlog))
    }

    /// The engine it belongs to.
    pub fn engine(&self) -> &Engine {
        self.socket.engine()
    }

    /// The stack's handle of the socket.
    pub fn id(&self) -> SocketId {
        self.socket.id()
    }

    /// The address it listens on, with the port that was chosen.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Another handle to the same listener.
    ///
    /// # Errors
    /// None; the signature is std's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }

    /// Whether an accept gives `WouldBlock` instead of waiting. Accepted streams are always blocking.
    ///
    /// # Errors
    /// None; the signature is std's.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking);
        Ok(())
    }

    /// The error that waits for the next call, which is then forgotten (`SO_ERROR`).
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Time to live, or hop limit, that accepted connections begin with, 1 to 255.
    ///
    /// # Errors
    /// `InvalidInput` when out of range.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }

    /// Time to live, or hop limit, that accepted connections begin with.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.ttl()
    }

    /// Whether an IPv6 listener takes no IPv4.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn only_v6(&self) -> io::Result<bool> {
        Ok(self.socket.query(Stack::options)?.v6_only)
    }
}

/// Both in one hold of the lock.
pub(crate) fn accept(stack: &mut Stack, listener: SocketId) -> Result<Accepted, Error> {
    let (id, _) = stack.try_accept_from(listener)?;
    Ok((id, stack.remote_endpoint(id).ok()))
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TcpListener").field(&self.socket).finish()
    }
}

/// The connections of a listener, as [`TcpListener::incoming`] gives them. It never ends: after an error it
/// may be asked again, though that of an engine that has ended comes for ever.
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}
