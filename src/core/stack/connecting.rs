//! How a TCP socket comes to a connection and away from it: connect, disconnect, shutdown. The order of what is
//! asked first, and what a call in an odd state gives, are those of Linux's `inet_stream_connect`, `tcp_disconnect`
//! and `inet_shutdown`.

use alloc::boxed::Box;

use super::settle::quad_of;
use super::{Idle, Kind, Own, Socket, SocketId, Stack};
use crate::addr::{Address, Endpoint, Family, Quad};
use crate::error::Error;
use crate::sockopt::{Shutdown, SocketOptions};
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::RstReason;
use crate::time::Instant;

impl Stack {
    pub(super) fn connect_tcp(&mut self, id: SocketId, remote: Endpoint, now: Instant) -> Result<(), Error> {
        let socket = self.held_mut(id)?;
        if socket.own.contains(Own::STUCK) {
            return Err(Error::Invalid);
        }
        match &mut socket.kind {
            Kind::Idle(_) => self.begin_connecting(id, remote, None, now).map(drop),
            // For the program it stands.
            Kind::Connection(tcb) if tcb.open_is_deferred() => Err(Error::IsConnected),
            Kind::Connection(tcb) if socket.own.contains(Own::CONNECTING) => match tcb.state() {
                State::SynSent | State::SynReceived => Err(Error::Already),
                State::Closed | State::TimeWait => {
                    // Told once; afterwards the socket may try again.
                    let error = tcb.error.take().unwrap_or(Error::Aborted);
                    self.disconnect_tcp(id, now)?;
                    Err(error)
                }
                _ => {
                    // Linux has a first call say that it went well.
                    socket.own.set_phase(Own::CONNECTED);
                    Ok(())
                }
            },
            _ => Err(Error::IsConnected),
        }
    }

    /// With `data` for the SYN, as much of it as goes there; gives how much that is.
    pub(super) fn begin_connecting(
        &mut self,
        id: SocketId,
        remote: Endpoint,
        data: Option<&[u8]>,
        now: Instant,
    ) -> Result<usize, Error> {
        let Socket { kind: Kind::Idle(idle), own, .. } = self.held(id)? else { return Err(Error::Invalid) };
        let (own, bound, options) = (*own, idle.local, idle.options);
        let (shut_read, shut_write) = (idle.shut_read, idle.shut_write);
        let remote = self.name_ourselves(remote, bound.address);
        self.check_remote(own.family(), &options, bound.address, remote.address)?;
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.1
        //# A TCP implementation MUST reject as an error a local OPEN call for an invalid remote IP address
        //# (e.g., a broadcast or multicast address) (MUST-46).
        // MUST-46: a host is one, and so is what it connects to.
        if !self.routes.is_single_host(remote.address) {
            return Err(Error::NetUnreachable);
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.1
        //= id=MUST-43, MUST-44
        let address = self.source_to(remote.address, bound.address).ok_or(Error::NetUnreachable)?;
        let quad_from = |port| Quad { local: Endpoint::new(address, port), remote };
        let taken = |port| self.table.find(&quad_from(port), quad_of(&self.slab, &self.time_waits)).is_some();
        let port = if own.contains(Own::BOUND) {
            // MUST-10 (RFC 9293 §3.4.1's quad is unique): a connection is named by its two ends.
            if taken(bound.port) || self.is_anothers(&quad_from(bound.port)) {
                return Err(Error::AddrNotAvailable);
            }
            bound.port
        } else {
            let offset = self.keys.port_offset(address, remote);
            let bound = &self.tcp_bound;
            let in_use = |port| !bound.at(port).is_empty() || taken(port);
            match &self.share {
                None => self.ephemeral.choose(offset, in_use),
                // One that has the connection live here, where its socket is.
                Some(share) => share.placement.with(|all| {
                    let away = |port| !share.owns(&quad_from(port)) || all.stray(&quad_from(port)).is_some();
                    self.ephemeral
                        .choose(offset, |port| in_use(port) || !all.bound(port).is_empty() || away(port))
                }),
            }
            .ok_or(Error::AddrNotAvailable)?
        };
        let quad = quad_from(port);
        let mss = crate::tcp::request::limit_segment(self.path_mss(quad, now), &options);
        let mut tcb = Tcb::connect(quad, self.shared(options), mss, &mut context!(self, now));
        tcb.mss_offered = crate::tcp::request::mss_to_offer(address.ip(), self.config.mtu, &options);
        tcb.is.set(Is::SHUT_READ, shut_read);
        tcb.is.set(Is::SHUT_WRITE, shut_write);
        let opened = Self::begin_fast_open(&mut tcb, data, &mut context!(self, now));
        let index = id.index();
        if !own.contains(Own::PORT_CHOSEN) {
            self.unbind_tcp(index);
        }
        let socket = self.held_mut(id)?;
        socket.kind = Kind::Connection(Box::new(tcb));
        socket.own.set_phase(Own::CONNECTING);
        self.note_bound(index);
        self.remember_quad(quad, index);
        self.settle(index, now, false);
        opened
    }

    /// The address that a connection from a socket bound to `bound` has.
    pub(super) fn source_to(&self, remote: Address, bound: Address) -> Option<Address> {
        if self.routes.is_local(bound) { Some(bound) } else { self.routes.source_for(remote) }
    }

    /// Whether a socket of this family, bound to `bound`, can speak to `remote` at all.
    pub(super) fn check_remote(
        &self,
        family: Family,
        options: &SocketOptions,
        bound: Address,
        remote: Address,
    ) -> Result<(), Error> {
        match (family, remote.is_v4()) {
            (Family::V4, false) => return Err(Error::AddrFamily),
            (Family::V6, true) if options.v6_only => return Err(Error::NetUnreachable),
            // Bound to an IPv6 address, or to an IPv4 one in IPv6's clothes, it speaks that family alone.
            (Family::V6, true) if !bound.is_v4() && !bound.is_unspecified() => {
                return Err(Error::NetUnreachable);
            }
            (Family::V6, false) if bound.is_v4() => return Err(Error::AddrFamily),
            _ => {}
        }
        self.routes.check_leaves(bound, remote)
    }

    /// BSD's custom: to connect to no address in particular is to connect to oneself.
    pub(super) fn name_ourselves(&self, remote: Endpoint, bound: Address) -> Endpoint {
        if !remote.address.is_unspecified() {
            return remote;
        }
        let loopback = if remote.address.is_v4() || bound.is_v4() {
            Address::from_v4_octets([127, 0, 0, 1])
        } else {
            Address::v6(core::net::Ipv6Addr::LOCALHOST)
        };
        Endpoint::new(loopback, remote.port)
    }

    /// Makes the socket a fresh one again (`connect` to `AF_UNSPEC`). A listener ends, an attempt to connect ends in
    /// silence, and a connection is reset; what had come is lost. An address or a port that the program chose by
    /// [`bind`](Self::bind) stays. Where a connection was cut short, [`Error::Reset`] is pending afterwards, as in
    /// Linux. UDP and ping: unsets the peer.
    ///
    /// # Errors
    /// [`Error::BadSocket`].
    pub fn disconnect(&mut self, id: SocketId, now: Instant) -> Result<(), Error> {
        match &self.held(id)?.kind {
            Kind::Udp(_) => self.disconnect_udp(id),
            Kind::Ping(_) => self.disconnect_ping(id),
            Kind::Idle(_) | Kind::Listener(_) | Kind::Connection(_) => self.disconnect_tcp(id, now),
            Kind::Request(_) | Kind::TimeWait(_) => Err(Error::BadSocket),
        }
    }

    fn disconnect_tcp(&mut self, id: SocketId, now: Instant) -> Result<(), Error> {
        let index = id.index();
        let socket = self.held_mut(id)?;
        socket.own.set_phase(Own::empty());
        match &mut socket.kind {
            Kind::Idle(idle) => (idle.shut_read, idle.shut_write) = (false, false),
            Kind::Listener(_) => self.unlisten(id, now)?,
            _ => self.leave_connection(id, now)?,
        }
        self.publish(index, true);
        Ok(())
    }

    fn leave_connection(&mut self, id: SocketId, now: Instant) -> Result<(), Error> {
        let index = id.index();
        let error = self.with_connection(index, now, |tcb, cx| {
            let cut_short = match tcb.state() {
                State::Closed | State::TimeWait => return tcb.error,
                // Both sides have said all there is, unless something of ours has never been sent.
                State::Closing | State::LastAck => tcb.has_unsent(),
                _ => true,
            };
            if cut_short {
                tcb.reset(Error::Reset, Event::Abort, RstReason::Abort, cx);
            } else {
                tcb.fail(Error::Reset, Event::Abort, cx);
            }
            cut_short.then_some(Error::Reset)
        });
        self.discharge(id.index());
        let socket = self.held_mut(id)?;
        let Kind::Connection(tcb) = &socket.kind else { return Ok(()) };
        let (local, options) = (Self::kept(socket.own, tcb.quad.local), *tcb.options);
        let error = error.flatten();
        let idle = Idle { local, options, error, shut_read: false, shut_write: false, secrets: None };
        socket.kind = Kind::Idle(Box::new(idle));
        self.note_bound(index);
        Ok(())
    }

    /// A listener becomes a fresh socket; who waits to be accepted is reset.
    fn unlisten(&mut self, id: SocketId, now: Instant) -> Result<(), Error> {
        let index = id.index();
        let waiting: alloc::vec::Vec<SocketId> = self.unaccepted(index).collect();
        self.gather_listener(id);
        if !self.held(id)?.own.contains(Own::PORT_CHOSEN) {
            self.unbind_tcp(index);
        }
        let socket = self.held_mut(id)?;
        let Kind::Listener(listener) = &socket.kind else { return Ok(()) };
        let (local, options) = (Self::kept(socket.own, listener.local), *listener.options);
        let secrets = listener.fast_open.secrets.clone();
        let idle = Idle { local, options, error: None, shut_read: false, shut_write: false, secrets };
        socket.kind = Kind::Idle(Box::new(idle));
        self.note_bound(index);
        self.reset_unaccepted(waiting, now);
        Ok(())
    }

    pub(super) fn shutdown_tcp(&mut self, id: SocketId, how: Shutdown, now: Instant) -> Result<(), Error> {
        let socket = self.held_mut(id)?;
        let tcb = match &mut socket.kind {
            Kind::Idle(idle) => {
                // Nothing to shut down, but it is remembered: who waits for a hang-up is to see one.
                idle.shut_read |= how.reads();
                idle.shut_write |= how.writes();
                self.publish(id.index(), true);
                return Err(Error::NotConnected);
            }
            Kind::Listener(_) if how.reads() => return self.disconnect_tcp(id, now),
            Kind::Connection(tcb) => tcb,
            _ => return Ok(()),
        };
        let state = tcb.state();
        let over = matches!(state, State::Closed | State::TimeWait);
        if socket.own.contains(Own::CONNECTING) {
            let undecided = over || matches!(state, State::SynSent | State::SynReceived);
            socket.own.set_phase(if undecided { Own::STUCK } else { Own::CONNECTED });
        }
        if over {
            return Err(Error::NotConnected);
        }
        if state == State::SynSent {
            return self.disconnect_tcp(id, now);
        }
        self.with_connection(id.index(), now, |tcb, cx| {
            if how.reads() {
                tcb.is.insert(Is::SHUT_READ);
            }
            if how.writes() {
                tcb.close_send(cx);
            }
        });
        Ok(())
    }
}
