//! A TCP listener.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tunstack_core::stack::SocketId;

use super::handle::Handle;
use super::lookup::lookup;
use super::{Interest, TcpStream, ToSocketAddrs};
use crate::engine::Engine;
use crate::net::{self, Accepted, accept};

/// Listens for TCP connections, as `tokio::net::TcpListener` does. Any number of tasks may
/// [`accept`](Self::accept) from it at once, and connections are accepted in the order in which they were made.
/// Dropped, it stops listening, and connections that nobody accepted are reset.
#[derive(Debug)]
pub struct TcpListener {
    socket: Handle,
}

impl TcpListener {
    /// Listens on the first of the addresses that is free. The address may be one that old connections still hold in
    /// TIME-WAIT (`SO_REUSEADDR`), as with tokio. `[::]` takes IPv4 as well; port 0 chooses one. [`TcpSocket`] has
    /// the choice of the backlog and of all else.
    ///
    /// [`TcpSocket`]: super::TcpSocket
    ///
    /// # Errors
    /// That of the last address tried: `AddrInUse`, `AddrNotAvailable`; the resolver's; `InvalidInput` without an
    /// address.
    pub async fn bind_on(engine: &Engine, addr: impl ToSocketAddrs) -> io::Result<Self> {
        net::TcpListener::bind_on(engine, &lookup(addr).await?[..]).map(Self::from)
    }

    /// Waits for a connection and gives it with the peer's address.
    ///
    /// # Errors
    /// `ConnectionAborted` when the one that waited is gone, which concerns no other; `ESHUTDOWN` once the engine is
    /// shut down.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accepted(self.socket.wait(Interest::READABLE, |stack, id, _| accept(stack, id)).await?)
    }

    /// An [`accept`](Self::accept) by polling: of several tasks that poll one listener, the last to ask is woken.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        self.socket.poll_read(cx, |stack, id, _| accept(stack, id)).map(|taken| self.accepted(taken?))
    }

    /// An accept that never waits.
    ///
    /// # Errors
    /// `WouldBlock`, and those of [`accept`](Self::accept).
    pub fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accepted(self.socket.call(|stack, id, _| accept(stack, id))?)
    }

    fn accepted(&self, accepted: Accepted) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = net::TcpStream::accepted(self.engine(), accepted)?;
        Ok((stream.into(), peer))
    }

    /// Waits for a connection without accepting it. Somebody else may be quicker.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Interest::READABLE).await.map(drop)
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

    /// How many wait for a connection, in whatever way.
    #[cfg(test)]
    pub(super) fn waiters(&self) -> usize {
        self.socket.waiters()
    }
}

/// The socket is non-blocking from then on, for all its clones.
impl From<net::TcpListener> for TcpListener {
    fn from(listener: net::TcpListener) -> Self {
        Self { socket: Handle::new(listener.into_socket()) }
    }
}

/// The socket stays non-blocking, as it does with tokio.
impl From<TcpListener> for net::TcpListener {
    fn from(listener: TcpListener) -> Self {
        Self::from_socket(listener.socket.share())
    }
}
