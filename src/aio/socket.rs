//! A TCP socket that is neither connected nor listens yet, to set its options.

use std::io;
use std::net::SocketAddr;
use std::ops::Deref;

use super::{TcpListener, TcpStream};
use crate::engine::Engine;
use crate::net;

/// A TCP socket before it becomes a [`TcpStream`] or a [`TcpListener`], as `tokio::net::TcpSocket` is one. Connecting
/// and listening consume it. Its options, and `bind`, are those of [`net::TcpSocket`], none of which waits.
///
/// ```no_run
/// # async fn listen(engine: tunstack::engine::Engine) -> std::io::Result<()> {
/// use tunstack::aio::TcpSocket;
///
/// let socket = TcpSocket::new_v4(&engine)?;
/// socket.set_reuseaddr(true)?;
/// socket.bind(([10, 7, 0, 2], 80).into())?;
/// let listener = socket.listen(1024)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpSocket(net::TcpSocket);

impl TcpSocket {
    /// An IPv4 socket.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn new_v4(engine: &Engine) -> io::Result<Self> {
        net::TcpSocket::new_v4(engine).map(Self)
    }

    /// An IPv6 socket. It speaks IPv4 too unless `set_only_v6` forbids it.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn new_v6(engine: &Engine) -> io::Result<Self> {
        net::TcpSocket::new_v6(engine).map(Self)
    }

    /// Connects.
    ///
    /// # Errors
    /// Those of [`TcpStream::connect_on`].
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connected(self.0.start_connect(addr)?).await
    }

    /// Listens; up to `backlog` connections wait for an accept.
    ///
    /// # Errors
    /// `AddrInUse`.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.0.listen(backlog).map(TcpListener::from)
    }
}

impl Deref for TcpSocket {
    type Target = net::TcpSocket;

    fn deref(&self) -> &net::TcpSocket {
        &self.0
    }
}

impl From<net::TcpSocket> for TcpSocket {
    fn from(socket: net::TcpSocket) -> Self {
        Self(socket)
    }
}

impl From<TcpSocket> for net::TcpSocket {
    fn from(socket: TcpSocket) -> Self {
        socket.0
    }
}
