//! What a program may ask of any socket. No call here waits: it does what it can at once or says
//! [`Error::WouldBlock`].

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Range;

use super::settle::readiness;
use super::{Idle, Kind, Own, Readiness, Socket, SocketId, Stack};
use crate::addr::{Address, Endpoint, Family};
use crate::error::Error;
use crate::icmp::echo::PingSocket;
use crate::sockopt::{Shutdown, SocketOptions};
use crate::tcp::info::TcpInfo;
use crate::tcp::state::State;
use crate::time::Instant;
use crate::udp::socket::UdpSocket;

pub use crate::ip::queue::{Labels, ReceivedDatagram};

impl Stack {
    /// A TCP socket, neither bound nor connected. An IPv6 one speaks IPv4 too unless `v6_only` is set.
    pub fn tcp_socket(&mut self, family: Family) -> SocketId {
        let options = SocketOptions::tcp(&self.config);
        let local = any(family);
        let idle = Idle { local, options, error: None, shut_read: false, shut_write: false, secrets: None };
        self.slab.insert(Socket::new(Kind::Idle(Box::new(idle)), Own::of(family), true))
    }

    /// What connections ask for is the same for most of them, and kept once: it is given to each that asks for what the one
    /// before it did.
    pub(super) fn shared(&mut self, options: SocketOptions) -> Arc<SocketOptions> {
        if *self.last_options != options {
            self.last_options = Arc::new(options);
        }
        self.last_options.clone()
    }

    /// A UDP socket.
    pub fn udp_socket(&mut self, family: Family) -> SocketId {
        let socket = UdpSocket::new(family, SocketOptions::udp(&self.config));
        self.slab.insert(Socket::new(Kind::Udp(Box::new(socket)), Own::of(family), true))
    }

    /// A ping socket: what is sent are ICMP echo requests with the socket's identifier, what is received are the
    /// replies to them, each a message from its type octet on.
    pub fn ping_socket(&mut self, family: Family) -> SocketId {
        let socket = PingSocket::new(family, SocketOptions::udp(&self.config));
        self.slab.insert(Socket::new(Kind::Ping(Box::new(socket)), Own::of(family), true))
    }

    /// The socket of a handle that a program holds.
    pub(super) fn held(&self, id: SocketId) -> Result<&Socket, Error> {
        self.slab.get(id).filter(|s| s.held).ok_or(Error::BadSocket)
    }

    pub(super) fn held_mut(&mut self, id: SocketId) -> Result<&mut Socket, Error> {
        self.slab.get_mut(id).filter(|s| s.held).ok_or(Error::BadSocket)
    }

    /// Gives a socket its local address; port 0 chooses an ephemeral one.
    ///
    /// # Errors
    /// [`Error::AddrInUse`] (another socket has it, see `reuse_address` and `reuse_port`),
    /// [`Error::AddrNotAvailable`] (not an address of this stack, or no port is free),
    /// [`Error::AddrFamily`], [`Error::Invalid`] (bound already, or in use), [`Error::BadSocket`].
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.4.2
    //= id=rfc1122-3.3.4.2-2
    //# (2) An application MUST be able to explicitly specify the source address for initiating a connection
    //# or a request.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.5
    //= id=rfc1122-4.1.3.5-2
    //# An application program MUST be able to specify the IP source address to be used for sending a UDP
    //# datagram or to leave it unspecified (in which case the networking software will choose an appropriate
    //# source address).
    pub fn bind(&mut self, id: SocketId, local: Endpoint) -> Result<(), Error> {
        match &self.held(id)?.kind {
            Kind::Idle(_) | Kind::Connection(_) | Kind::Listener(_) => self.bind_tcp(id, local),
            Kind::Udp(_) => self.bind_udp(id, local),
            Kind::Ping(_) => self.bind_ping(id, local),
            _ => Err(Error::Invalid),
        }
    }

    /// Whether a socket of this family may bind to or connect to this address.
    pub(super) fn check_family(family: Family, v6_only: bool, address: Address) -> Result<(), Error> {
        match (family, address.is_v4()) {
            (Family::V4, false) => Err(Error::AddrFamily),
            (Family::V6, true) if v6_only => Err(Error::Invalid),
            _ => Ok(()),
        }
    }

    /// Whether an address may be bound: ours, or unspecified.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
    //= id=rfc1122-3.2.1.3-9
    //# When a host sends any datagram, the IP source address MUST be one of its own IP addresses (but not a
    //# broadcast or multicast address).
    pub(super) fn check_local(&self, address: Address) -> Result<(), Error> {
        if address.is_unspecified() || self.routes.is_local(address) {
            Ok(())
        } else {
            Err(Error::AddrNotAvailable)
        }
    }

    /// TCP: begins a connection, which has ended well when the socket is writable and
    /// [`take_error`](Self::take_error) gives nothing. UDP and ping: sets the peer, and an unspecified one
    /// with port 0 unsets it.
    ///
    /// # Errors
    /// [`Error::InProgress`] for TCP when it has begun, which is how it goes well; [`Error::Already`] while it is
    /// under way. The first call after it succeeded gives `Ok`, those after that [`Error::IsConnected`]; the first
    /// after it failed gives what it failed of ([`Error::Aborted`] where that has been told already), and the next
    /// begins anew.
    /// [`Error::AddrNotAvailable`] (the same connection exists, or no port is free), [`Error::NetUnreachable`],
    /// [`Error::AddrFamily`], [`Error::Access`] (UDP to a broadcast address without leave), [`Error::Invalid`],
    /// [`Error::BadSocket`].
    pub fn connect(&mut self, id: SocketId, remote: Endpoint, now: Instant) -> Result<(), Error> {
        match &self.held(id)?.kind {
            Kind::Idle(_) | Kind::Connection(_) => self.connect_tcp(id, remote, now),
            Kind::Udp(_) => self.connect_udp(id, remote),
            Kind::Ping(_) => self.connect_ping(id, remote),
            Kind::Listener(_) => Err(Error::IsConnected),
            Kind::Request(_) | Kind::TimeWait(_) => Err(Error::BadSocket),
        }
    }

    /// Closes one direction or both. On a listener, closing the reading side makes it a fresh socket; so does any
    /// shutdown of an attempt to connect. Where there is no connection the call fails, and is remembered:
    /// [`readiness`](Self::readiness) shows what has been shut down.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::BadSocket`].
    pub fn shutdown(&mut self, id: SocketId, how: Shutdown, now: Instant) -> Result<(), Error> {
        let index = id.index();
        let result = match &mut self.held_mut(id)?.kind {
            Kind::Idle(_) | Kind::Listener(_) | Kind::Connection(_) => {
                return self.shutdown_tcp(id, how, now);
            }
            Kind::Udp(socket) => socket.shutdown(how),
            Kind::Ping(socket) => socket.shutdown(how),
            Kind::Request(_) | Kind::TimeWait(_) => return Err(Error::BadSocket),
        };
        self.publish(index, false);
        result
    }

    /// Gives the socket up; the handle is dead afterwards. A TCP connection goes on in the background to deliver
    /// what was written, unless data is unread or `linger` is zero: then it is reset.
    ///
    /// # Errors
    /// [`Error::BadSocket`].
    pub fn close(&mut self, id: SocketId, now: Instant) -> Result<(), Error> {
        let index = id.index();
        match &self.held(id)?.kind {
            Kind::Connection(_) => self.close_connection(index, now),
            Kind::Listener(_) => self.close_listener(index, now),
            Kind::Idle(_) => {
                self.unbind_tcp(index);
                self.remove(index);
            }
            Kind::Udp(socket) => {
                self.udp_bound.remove(socket.local().port, index);
                self.remove(index);
            }
            Kind::Ping(socket) => {
                self.ping_bound.remove(socket.identifier(), index);
                self.remove(index);
            }
            Kind::Request(_) | Kind::TimeWait(_) => return Err(Error::BadSocket),
        }
        Ok(())
    }

    /// How it stands now; a dead handle is readable, writable and hung up.
    pub fn readiness(&self, id: SocketId) -> Readiness {
        match self.held(id) {
            Ok(socket) => readiness(&socket.kind),
            Err(_) => Readiness::READABLE | Readiness::WRITABLE | Readiness::HANG_UP,
        }
    }

    /// The pending error, which is then forgotten (`SO_ERROR`).
    pub fn take_error(&mut self, id: SocketId) -> Option<Error> {
        let error = match &mut self.held_mut(id).ok()?.kind {
            Kind::Connection(tcb) => tcb.error.take(),
            Kind::Idle(idle) => idle.error.take(),
            Kind::Udp(socket) => socket.take_error(),
            Kind::Ping(socket) => socket.take_error(),
            _ => None,
        };
        self.publish(id.index(), false);
        error
    }

    /// What the program asked for.
    ///
    /// # Errors
    /// [`Error::BadSocket`].
    pub fn options(&self, id: SocketId) -> Result<SocketOptions, Error> {
        match &self.held(id)?.kind {
            Kind::Idle(idle) => Ok(idle.options),
            Kind::Listener(listener) => Ok(*listener.options),
            Kind::Connection(tcb) => Ok(*tcb.options),
            Kind::Udp(socket) => Ok(socket.options),
            Kind::Ping(socket) => Ok(socket.options),
            Kind::Request(_) | Kind::TimeWait(_) => Err(Error::BadSocket),
        }
    }

    /// Changes what the program asks for; takes effect at once.
    ///
    /// # Errors
    /// [`Error::BadSocket`].
    pub fn set_options(&mut self, id: SocketId, options: SocketOptions, now: Instant) -> Result<(), Error> {
        let mut options = options.in_place_of(&self.options(id)?);
        if !matches!(self.held(id)?.kind, Kind::Udp(_) | Kind::Ping(_)) {
            options = options.with_room_to_wait(self.config.tcp.receive_buffer_max);
        }
        let slot = match &mut self.held_mut(id)?.kind {
            Kind::Connection(_) => {
                self.set_connection_options(id.index(), options, now);
                self.note_bound(id.index());
                return Ok(());
            }
            Kind::Idle(idle) => &mut idle.options,
            Kind::Listener(listener) => Arc::make_mut(&mut listener.options),
            Kind::Udp(socket) => &mut socket.options,
            Kind::Ping(socket) => &mut socket.options,
            Kind::Request(_) | Kind::TimeWait(_) => return Err(Error::BadSocket),
        };
        *slot = options;
        self.note_bound(id.index());
        self.spread_listener(id);
        Ok(())
    }

    /// Our end; unspecified parts are not chosen yet.
    ///
    /// # Errors
    /// [`Error::BadSocket`].
    pub fn local_endpoint(&self, id: SocketId) -> Result<Endpoint, Error> {
        match &self.held(id)?.kind {
            Kind::Idle(idle) => Ok(idle.local),
            Kind::Listener(listener) => Ok(listener.local),
            Kind::Connection(tcb) => Ok(tcb.quad.local),
            Kind::Udp(socket) => Ok(socket.local()),
            Kind::Ping(socket) => Ok(socket.local()),
            Kind::Request(_) | Kind::TimeWait(_) => Err(Error::BadSocket),
        }
    }

    /// The peer's end.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::BadSocket`].
    pub fn remote_endpoint(&self, id: SocketId) -> Result<Endpoint, Error> {
        match &self.held(id)?.kind {
            Kind::Connection(tcb) => match tcb.state() {
                // The peer's port 0 cannot be told from none, in Linux neither.
                State::Closed | State::TimeWait | State::SynSent => Err(Error::NotConnected),
                _ => Some(tcb.quad.remote).filter(|r| r.port != 0).ok_or(Error::NotConnected),
            },
            Kind::Udp(socket) => socket.remote().filter(|r| r.port != 0).ok_or(Error::NotConnected),
            Kind::Ping(socket) => socket.remote().map(|a| Endpoint::new(a, 0)).ok_or(Error::NotConnected),
            _ => Err(Error::NotConnected),
        }
    }

    /// Whom an accepted connection is with, though it may be over already.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::BadSocket`].
    pub fn accepted_from(&self, id: SocketId) -> Result<Endpoint, Error> {
        match &self.held(id)?.kind {
            Kind::Connection(tcb) => Ok(tcb.quad.remote),
            _ => Err(Error::NotConnected),
        }
    }

    /// A TCP socket's state; `None` for other kinds and dead handles.
    pub fn state(&self, id: SocketId) -> Option<State> {
        match &self.held(id).ok()?.kind {
            Kind::Idle(_) => Some(State::Closed),
            Kind::Listener(_) => Some(State::Listen),
            Kind::Connection(tcb) => Some(tcb.state()),
            _ => None,
        }
    }

    /// How a TCP connection stands; `None` for other kinds, listeners and dead handles.
    pub fn tcp_info(&self, id: SocketId) -> Option<TcpInfo> {
        match &self.held(id).ok()?.kind {
            Kind::Connection(tcb) => Some(tcb.info(&self.config.tcp)),
            _ => None,
        }
    }

    /// Sequence numbers (octets, and one for a FIN) handed over and not yet acknowledged: what a lingering close
    /// waits for (`SIOCOUTQ`).
    ///
    /// # Errors
    /// [`Error::Invalid`] (it listens), [`Error::BadSocket`].
    pub fn unacknowledged(&self, id: SocketId) -> Result<usize, Error> {
        match &self.held(id)?.kind {
            Kind::Connection(tcb) if tcb.state() == State::Closed => Ok(0),
            Kind::Connection(tcb) => Ok(tcb.send_buffer.len() + usize::from(tcb.fin_due())),
            Kind::Listener(_) => Err(Error::Invalid),
            _ => Ok(0),
        }
    }

    /// Sequence numbers (octets, and one for a FIN) handed over and never sent (`SIOCOUTQNSD`).
    ///
    /// # Errors
    /// [`Error::Invalid`] (it listens), [`Error::BadSocket`].
    pub fn unsent(&self, id: SocketId) -> Result<usize, Error> {
        match &self.held(id)?.kind {
            Kind::Connection(tcb) if matches!(tcb.state(), State::Closed | State::TimeWait) => Ok(0),
            Kind::Connection(tcb) => Ok(tcb.unsent()),
            Kind::Listener(_) => Err(Error::Invalid),
            _ => Ok(0),
        }
    }

    /// Octets that a connection's program has handed over and that were never sent; `None` for what is no connection.
    pub fn unsent_text(&self, id: SocketId) -> Option<usize> {
        match &self.held(id).ok()?.kind {
            Kind::Connection(tcb) => Some(tcb.unsent()),
            _ => None,
        }
    }

    /// How many connections wait to be accepted, and how many may; `None` for what does not listen.
    pub fn backlog(&self, id: SocketId) -> Option<(usize, u32)> {
        match &self.held(id).ok()?.kind {
            Kind::Listener(listener) => Some((listener.waiting_len(), listener.backlog())),
            _ => None,
        }
    }

    /// The largest packet that the path to the peer is known to take, octets with the IP header (`IP_MTU`).
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::BadSocket`].
    pub fn path_mtu(&mut self, id: SocketId, now: Instant) -> Result<u16, Error> {
        let peer = match &self.held(id)?.kind {
            Kind::Connection(tcb) if tcb.state() != State::Closed => tcb.quad.remote.address,
            Kind::Udp(socket) => socket.remote().ok_or(Error::NotConnected)?.address,
            _ => return Err(Error::NotConnected),
        };
        Ok(self.path_mtu.get(peer, now, self.config.mtu))
    }

    /// Every socket that a program holds.
    pub fn sockets(&self) -> impl Iterator<Item = SocketId> + '_ {
        self.sockets_in(0..self.slots_end())
    }

    /// Those of them in these slots, for who does not look at a million in one go.
    pub fn sockets_in(&self, slots: Range<u32>) -> impl Iterator<Item = SocketId> + '_ {
        self.slab.iter_in(slots).filter(|(_, socket)| socket.held).map(|(id, _)| id)
    }

    /// The number behind that of the last slot, taken or free.
    pub const fn slots_end(&self) -> u32 {
        self.slab.end()
    }

    /// How many TCP connections go on without an owner, to deliver what was written before it closed them.
    pub const fn orphans(&self) -> u32 {
        self.orphans
    }

    /// How many slots are taken: sockets, connection requests, connections without an owner and TIME-WAIT.
    pub const fn slots(&self) -> usize {
        self.slab.len()
    }
}

/// The unspecified endpoint of a family.
pub(super) const fn any(family: Family) -> Endpoint {
    match family {
        Family::V4 => Endpoint::new(Address::UNSPECIFIED_V4, 0),
        Family::V6 => Endpoint::new(Address::UNSPECIFIED, 0),
    }
}

/// Whether two bound addresses stand in each other's way.
pub(super) fn overlap(a: (Address, bool), b: (Address, bool)) -> bool {
    let covers = |(any, v6_only): (Address, bool), other: Address| {
        any == Address::UNSPECIFIED_V4 && other.is_v4()
            || any == Address::UNSPECIFIED && !(v6_only && other.is_v4())
    };
    a.0 == b.0 || covers(a, b.0) || covers(b, a.0)
}
