//! A TCP socket that is neither connected nor listens yet, to set its options.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tunstack_core::addr::Family;

use super::{TcpListener, TcpStream};
use crate::engine::Engine;
use crate::engine::socket::{Socket, invalid};

/// A TCP socket before it becomes a [`TcpStream`] or a [`TcpListener`], with tokio's names. Connecting and
/// listening consume it. A listener's options are those its connections begin with.
#[derive(Debug)]
pub struct TcpSocket {
    pub(super) socket: Socket,
}

impl TcpSocket {
    /// An IPv4 socket.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn new_v4(engine: &Engine) -> io::Result<Self> {
        Self::new(engine, Family::V4)
    }

    /// An IPv6 socket. It speaks IPv4 too unless [`set_only_v6`](Self::set_only_v6) forbids it.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn new_v6(engine: &Engine) -> io::Result<Self> {
        Self::new(engine, Family::V6)
    }

    fn new(engine: &Engine, family: Family) -> io::Result<Self> {
        Ok(Self { socket: Socket::open_tcp(engine, family)? })
    }

    /// Whether the address may be one that old connections still hold in TIME-WAIT (`SO_REUSEADDR`).
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn set_reuseaddr(&self, reuse: bool) -> io::Result<()> {
        self.socket.change_options(|o| o.reuse_address = reuse)
    }

    /// Whether the address may be one that old connections still hold in TIME-WAIT.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        Ok(self.socket.options()?.reuse_address)
    }

    /// Whether several sockets may have the address, if all of them say so (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn set_reuseport(&self, reuse: bool) -> io::Result<()> {
        self.socket.change_options(|o| o.reuse_port = reuse)
    }

    /// Whether several sockets may have the address.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn reuseport(&self) -> io::Result<bool> {
        Ok(self.socket.options()?.reuse_port)
    }

    /// Whether the first that is written goes with the connection request, where the server was found to allow that (TCP Fast
    /// Open, RFC 7413; `TCP_FASTOPEN_CONNECT`). The connection is then there at once, and whether the server is only shows
    /// with the first read. What is written so may reach the server twice.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn set_fast_open(&self, on: bool) -> io::Result<()> {
        self.socket.change_options(|o| o.fast_open_connect = on)
    }

    /// From how many clients at a time a listener takes data that comes with their connection request (`TCP_FASTOPEN`); 0:
    /// from none. It obeys where the stack's [`Modes`](tunstack_core::tcp::fast_open::Modes) let servers.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn set_fast_open_queue(&self, clients: u16) -> io::Result<()> {
        self.socket.change_options(|o| o.fast_open_queue = clients)
    }

    /// How long a listener waits for the first octets of a connection before it hands it out (`TCP_DEFER_ACCEPT`), rounded up
    /// to a time at which SYN,ACK would be sent again: 1 s, 3 s, 7 s, …; zero: it hands it out when the handshake is done.
    /// It waits for no more than 15 of them, about 20 minutes. A connection that began with a SYN cookie is handed out at
    /// once.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn set_defer_accept(&self, wait: Duration) -> io::Result<()> {
        self.socket.call(|stack, id, now| {
            let mut options = stack.options(id)?;
            options.set_defer_accept(wait, &stack.config().tcp);
            stack.set_options(id, options, now)
        })
    }

    /// Whether an IPv6 socket speaks no IPv4 (`IPV6_V6ONLY`).
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn set_only_v6(&self, only: bool) -> io::Result<()> {
        self.socket.change_options(|o| o.v6_only = only)
    }

    /// Upper limit of the segments' size, both ways, octets; 0: none (`TCP_MAXSEG`).
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn set_tcp_mss(&self, mss: u16) -> io::Result<()> {
        self.socket.change_options(|o| o.max_segment = mss)
    }

    /// Takes a local address; port 0 chooses one.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`, `InvalidInput` when it has one already.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.socket.call(|stack, id, _| stack.bind(id, addr.into()))
    }

    /// The local address.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Connects, waiting for the outcome.
    ///
    /// # Errors
    /// Those of [`TcpStream::connect_on`].
    pub fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let stream = self.start_connect(addr)?;
        stream.finish_connect(None)?;
        Ok(stream)
    }

    /// Connects, giving up after `timeout`.
    ///
    /// # Errors
    /// Those of [`TcpStream::connect_timeout_on`].
    pub fn connect_timeout(self, addr: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            return Err(invalid("cannot set a 0 duration timeout"));
        }
        let stream = self.start_connect(addr)?;
        stream.finish_connect(Some(timeout))?;
        Ok(stream)
    }

    /// Begins to connect and does not wait: see [`TcpStream::start_connect`].
    ///
    /// # Errors
    /// What keeps the attempt from beginning.
    pub fn start_connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::begin(self.socket, &addr)
    }

    /// Listens; up to `backlog` connections wait for an accept.
    ///
    /// # Errors
    /// `AddrInUse`.
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        TcpListener::begin(self.socket, backlog)
    }
}
