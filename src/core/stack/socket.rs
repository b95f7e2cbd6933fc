//! What a program may ask of the stack. No call here waits: it does what it can at once or says
//! [`Error::WouldBlock`].

use bytes::Bytes;

use super::{Readiness, SocketId, Stack};
use crate::addr::{Endpoint, Family};
use crate::error::Error;
use crate::sockopt::{Shutdown, SocketOptions};
use crate::tcp::state::State;
use crate::time::Instant;
pub use crate::udp::socket::ReceivedDatagram;

impl Stack {
    /// A TCP socket, neither bound nor connected. An IPv6 one speaks IPv4 too unless `v6_only` is set.
    pub fn tcp_socket(&mut self, family: Family) -> Result<SocketId, Error> {
        let _ = family;
        Err(Error::NotSupported)
    }

    /// A UDP socket.
    pub fn udp_socket(&mut self, family: Family) -> Result<SocketId, Error> {
        let _ = family;
        Err(Error::NotSupported)
    }

    /// A ping socket: what is sent are ICMP echo requests with the socket's identifier, what is received are the replies to them (message from its type octet on).
    pub fn ping_socket(&mut self, family: Family) -> Result<SocketId, Error> {
        let _ = family;
        Err(Error::NotSupported)
    }

    /// Gives a socket its local address; port 0 chooses an ephemeral one.
    pub fn bind(&mut self, id: SocketId, local: Endpoint) -> Result<(), Error> {
        let _ = (id, local);
        Err(Error::NotSupported)
    }

    /// Makes a TCP socket a listener; called again it changes the backlog.
    pub fn listen(&mut self, id: SocketId, backlog: u32) -> Result<(), Error> {
        let _ = (id, backlog);
        Err(Error::NotSupported)
    }

    /// TCP: begins a connection; it has ended well when the socket is writable and `take_error` gives nothing. UDP and ping: sets the peer. Gives `InProgress` for TCP when it has begun.
    pub fn connect(&mut self, id: SocketId, remote: Endpoint, now: Instant) -> Result<(), Error> {
        let _ = (id, remote, now);
        Err(Error::NotSupported)
    }

    /// The oldest connection that waits.
    pub fn try_accept(&mut self, id: SocketId) -> Result<SocketId, Error> {
        let _ = id;
        Err(Error::NotSupported)
    }

    /// Takes received octets. `Ok(0)` with a buffer that is not empty is the end of file.
    pub fn try_read(&mut self, id: SocketId, buf: &mut [u8]) -> Result<usize, Error> {
        let _ = (id, buf);
        Err(Error::NotSupported)
    }

    /// As `try_read`, but leaves them.
    pub fn try_peek(&mut self, id: SocketId, buf: &mut [u8]) -> Result<usize, Error> {
        let _ = (id, buf);
        Err(Error::NotSupported)
    }

    /// As `try_read`, without a copy; empty is the end of file.
    pub fn try_read_bytes(&mut self, id: SocketId, max: usize) -> Result<Bytes, Error> {
        let _ = (id, max);
        Err(Error::NotSupported)
    }

    /// Copies octets to the send buffer and says how many.
    pub fn try_write(&mut self, id: SocketId, data: &[u8], now: Instant) -> Result<usize, Error> {
        let _ = (id, data, now);
        Err(Error::NotSupported)
    }

    /// As `try_write`, without a copy: what is taken is split off `data`.
    pub fn try_write_bytes(&mut self, id: SocketId, data: &mut Bytes, now: Instant) -> Result<usize, Error> {
        let _ = (id, data, now);
        Err(Error::NotSupported)
    }

    /// Sends a datagram, to the connected peer when `to` is `None`.
    pub fn try_send_to(
        &mut self,
        id: SocketId,
        data: &[u8],
        to: Option<Endpoint>,
        now: Instant,
    ) -> Result<usize, Error> {
        let _ = (id, data, to, now);
        Err(Error::NotSupported)
    }

    /// Takes a datagram; `peek` leaves it.
    pub fn try_receive_from(
        &mut self,
        id: SocketId,
        buf: &mut [u8],
        peek: bool,
    ) -> Result<ReceivedDatagram, Error> {
        let _ = (id, buf, peek);
        Err(Error::NotSupported)
    }

    /// Closes one direction or both.
    pub fn shutdown(&mut self, id: SocketId, how: Shutdown, now: Instant) -> Result<(), Error> {
        let _ = (id, how, now);
        Err(Error::NotSupported)
    }

    /// Gives the socket up. TCP goes on in the background to deliver what was written, unless data is unread or `linger` is zero: then the connection is reset. The handle is dead afterwards.
    pub fn close(&mut self, id: SocketId, now: Instant) -> Result<(), Error> {
        let _ = (id, now);
        Err(Error::NotSupported)
    }

    /// Resets a TCP connection (RFC 9293 §3.10.5). The handle stays, to read the error from and to close.
    pub fn abort(&mut self, id: SocketId, now: Instant) -> Result<(), Error> {
        let _ = (id, now);
        Err(Error::NotSupported)
    }

    /// How it stands now; a dead handle is readable, writable and hung up.
    pub fn readiness(&self, id: SocketId) -> Readiness {
        let _ = id;
        Readiness::default()
    }

    /// The pending error, which is then forgotten (`SO_ERROR`).
    pub fn take_error(&mut self, id: SocketId) -> Option<Error> {
        let _ = id;
        None
    }

    /// What the program asked for.
    pub fn options(&self, id: SocketId) -> Result<SocketOptions, Error> {
        let _ = id;
        Err(Error::NotSupported)
    }

    /// Changes what the program asks for; takes effect at once.
    pub fn set_options(&mut self, id: SocketId, options: SocketOptions, now: Instant) -> Result<(), Error> {
        let _ = (id, options, now);
        Err(Error::NotSupported)
    }

    /// Our end; unspecified parts are not chosen yet.
    pub fn local_endpoint(&self, id: SocketId) -> Result<Endpoint, Error> {
        let _ = id;
        Err(Error::NotSupported)
    }

    /// The peer's end, or `NotConnected`.
    pub fn remote_endpoint(&self, id: SocketId) -> Result<Endpoint, Error> {
        let _ = id;
        Err(Error::NotSupported)
    }

    /// A TCP socket's state.
    pub fn state(&self, id: SocketId) -> Option<State> {
        let _ = id;
        None
    }

    /// Octets and FIN handed over but not yet acknowledged: what a lingering close waits for.
    pub fn unacknowledged(&self, id: SocketId) -> Result<usize, Error> {
        let _ = id;
        Err(Error::NotSupported)
    }

    /// Every socket that a program holds.
    pub fn sockets(&self) -> impl Iterator<Item = SocketId> + '_ {
        core::iter::empty()
    }
}
