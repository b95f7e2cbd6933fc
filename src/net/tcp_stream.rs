//! A TCP connection.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::task::{Context, Poll};
use std::time::Duration;

use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::sockopt;
use tunstack_core::stack::{Readiness, SocketId, Stack};
use tunstack_core::tcp::info::TcpInfo;
use tunstack_core::tcp::state::State;

use super::addr::{each, family};
use crate::engine::socket::{Socket, invalid};
use crate::engine::{Engine, Interest};

/// A connection that was accepted, and its peer, unless that is to be asked for elsewhere or is gone.
pub(crate) type Accepted = (SocketId, Option<Endpoint>);

/// A TCP connection, as `std::net::TcpStream` is one.
///
/// Reads and writes go through [`Read`](io::Read) and [`Write`](io::Write), on the stream or on a shared
/// reference to it. Dropped with the last of its clones, it is closed: what was written is still delivered,
/// in the background, and a FIN follows; when data is unread the connection is reset instead, so that the
/// peer learns of the loss (RFC 9293 §3.6.1).
#[derive(Clone)]
pub struct TcpStream {
    pub(crate) socket: Socket,
}

impl TcpStream {
    /// Connects to the first of the addresses that answers, waiting as long as the stack tries: minutes
    /// where nobody answers at all.
    ///
    /// # Errors
    /// That of the last address tried: `ConnectionRefused`, `TimedOut`, `HostUnreachable`,
    /// `NetworkUnreachable`, `AddrNotAvailable` when no port is free; `InvalidInput` without an address.
    pub fn connect_on(engine: &Engine, addr: impl ToSocketAddrs) -> io::Result<Self> {
        each(addr, |addr| {
            let stream = Self::start_connect(engine, &addr)?;
            stream.finish_connect(None)?;
            Ok(stream)
        })
    }

    /// Connects, giving up after `timeout`.
    ///
    /// # Errors
    /// `TimedOut` when the time is over, `InvalidInput` for a timeout of zero, else those of
    /// [`connect_on`](Self::connect_on).
    pub fn connect_timeout_on(engine: &Engine, addr: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        if timeout.is_zero() {
            return Err(invalid("cannot set a 0 duration timeout"));
        }
        let stream = Self::start_connect(engine, addr)?;
        stream.finish_connect(Some(timeout))?;
        Ok(stream)
    }

    /// Begins to connect and does not wait. [`poll_connect`](Self::poll_connect) tells how it ends, and so
    /// does the first read or write.
    ///
    /// # Errors
    /// What keeps the attempt from beginning: no route, no free port.
    pub fn start_connect(engine: &Engine, addr: &SocketAddr) -> io::Result<Self> {
        let socket = Socket::open_tcp(engine, family(addr))?;
        Self::begin(socket, addr)
    }

    pub(super) fn begin(socket: Socket, addr: &SocketAddr) -> io::Result<Self> {
        let claim = socket.engine().claim(socket.id(), (*addr).into())?;
        let begun = socket.call(|stack, id, now| match stack.connect(id, (*addr).into(), now) {
            Err(Error::InProgress) => Ok(()),
            other => other,
        });
        drop(claim);
        begun.map(|()| Self { socket })
    }

    pub(super) fn finish_connect(&self, timeout: Option<Duration>) -> io::Result<()> {
        let ended =
            self.socket.wait_for(Interest::Writable, timeout, |stack, id, _| connect_ended(stack, id));
        ended.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "connection timed out"),
            _ => error,
        })
    }

    /// Takes charge of what a listener gave, with the peer's address.
    ///
    /// # Errors
    /// `ConnectionAborted` when it is gone.
    pub(crate) fn accepted(engine: &Engine, (id, peer): Accepted) -> io::Result<(Self, SocketAddr)> {
        let stream = Self { socket: Socket::adopt(engine, id) };
        if let Some(peer) = peer {
            return Ok((stream, peer.socket_addr()));
        }
        match stream.peer_addr() {
            Ok(peer) => Ok((stream, peer)),
            // It was reset while it waited: there is no peer any more.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                Err(crate::engine::io_error(Error::Aborted))
            }
            Err(error) => Err(error),
        }
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

    /// Pending until the connection attempt has ended; then how it did.
    pub fn poll_connect(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll(Interest::Writable, cx, |stack, id, _| connect_ended(stack, id))
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

    /// Closes one direction or both, for all clones: `Write` sends a FIN after what was written, `Read`
    /// makes reads give the end of the data.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => sockopt::Shutdown::Read,
            Shutdown::Write => sockopt::Shutdown::Write,
            Shutdown::Both => sockopt::Shutdown::Both,
        };
        self.socket.call(|stack, id, now| stack.shutdown(id, how, now))
    }

    /// Another handle to the same connection: timeouts and the blocking mode are shared, as they are
    /// between descriptors made by `dup`.
    ///
    /// # Errors
    /// None; the signature is std's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }

    /// How long a read waits at the most; `None`: without limit. A read that has waited so long gives
    /// `WouldBlock`, as on Linux.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(timeout)
    }

    /// How long a read waits at the most.
    ///
    /// # Errors
    /// None; the signature is std's.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.read_timeout())
    }

    /// How long a write waits for room at the most; `None`: without limit. A write that has waited so long
    /// gives `WouldBlock`, as on Linux.
    ///
    /// # Errors
    /// `InvalidInput` for zero.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket.set_write_timeout(timeout)
    }

    /// How long a write waits for room at the most.
    ///
    /// # Errors
    /// None; the signature is std's.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.socket.write_timeout())
    }

    /// Whether reads and writes give `WouldBlock` instead of waiting.
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

    /// What could be done now without waiting.
    ///
    /// # Errors
    /// Those of an engine that has ended.
    pub fn readiness(&self) -> io::Result<Readiness> {
        self.socket.readiness()
    }

    /// How the connection stands: its state, its variables, what was negotiated.
    ///
    /// # Errors
    /// `NotConnected` when there is no connection any more.
    pub fn info(&self) -> io::Result<TcpInfo> {
        self.socket.query(|stack, id| stack.tcp_info(id).ok_or(Error::NotConnected))
    }

    /// Octets written, and the FIN, that the peer has not acknowledged yet.
    ///
    /// # Errors
    /// Those of a socket that is gone.
    pub fn unacknowledged(&self) -> io::Result<usize> {
        self.socket.query(Stack::unacknowledged)
    }

    /// Resets the connection: what is under way either way is lost, and the peer is told.
    ///
    /// # Errors
    /// `NotConnected`.
    pub fn abort(&self) -> io::Result<()> {
        self.socket.call(|stack, id, now| stack.abort(id, now))
    }
}

/// How a connection attempt has ended, or `WouldBlock`.
pub(crate) fn connect_ended(stack: &mut Stack, id: SocketId) -> Result<(), Error> {
    if let Some(error) = stack.take_error(id) {
        return Err(error);
    }
    if matches!(stack.state(id), None | Some(State::Closed)) {
        // Somebody else took the error, or the socket is gone.
        return Err(Error::NotConnected);
    }
    let readiness = stack.readiness(id);
    if readiness.contains(Readiness::WRITABLE) { Ok(()) } else { Err(Error::WouldBlock) }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TcpStream").field(&self.socket).finish()
    }
}
