//! What a program may ask of a TCP socket.

use alloc::boxed::Box;

use bytes::Bytes;

use super::settle::quad_of;
use super::socket::overlap;
use super::{Idle, Kind, Socket, SocketId, Stack};
use crate::addr::{Address, Endpoint, Quad};
use crate::error::Error;
use crate::sockopt::{Shutdown, SocketOptions};
use crate::tcp::listener::Listener;
use crate::tcp::state::{Event, State};
use crate::tcp::tcb::{Is, Tcb};
use crate::tcp::trace::RstReason;
use crate::time::{Duration, Instant};

impl Stack {
    pub(super) fn bind_tcp(&mut self, id: SocketId, local: Endpoint) -> Result<(), Error> {
        let Socket { kind: Kind::Idle(idle), .. } = self.held(id)? else { return Err(Error::Invalid) };
        if idle.local.port != 0 {
            return Err(Error::Invalid);
        }
        let (family, options) = (idle.family, idle.options);
        Self::check_family(family, options.v6_only, local.address)?;
        self.check_local(local.address)?;
        let port = match local.port {
            0 => {
                let offset = self.keys.port_offset(local.address, Endpoint::UNSPECIFIED);
                let (bound, used) = (&self.tcp_bound, &self.tcp_ports);
                self.ephemeral
                    .choose(offset, |port| used.is_used(port) || !bound.at(port).is_empty())
                    .ok_or(Error::AddrInUse)?
            }
            port => {
                self.check_tcp_port(local.address, port, &options, false)?;
                port
            }
        };
        if let Kind::Idle(idle) = &mut self.held_mut(id)?.kind {
            idle.local = Endpoint::new(local.address, port);
        }
        self.tcp_bound.insert(port, id.index());
        Ok(())
    }

    /// Whether another socket stands in the way of binding, or of listening, there.
    fn check_tcp_port(
        &self,
        address: Address,
        port: u16,
        options: &SocketOptions,
        listening: bool,
    ) -> Result<(), Error> {
        for &index in self.tcp_bound.at(port) {
            let (other, theirs, listens) = match self.slab.by_index(index).map(|s| &s.kind) {
                Some(Kind::Idle(idle)) => (idle.local.address, idle.options, false),
                Some(Kind::Listener(l)) => (l.local.address, l.options, true),
                _ => continue,
            };
            if !overlap((address, options.v6_only), (other, theirs.v6_only)) {
                continue;
            }
            let shared_port = options.reuse_port && theirs.reuse_port;
            let shared_address = options.reuse_address && theirs.reuse_address && !listens;
            let in_the_way =
                if listening { listens && !shared_port } else { !shared_port && !shared_address };
            if in_the_way {
                return Err(Error::AddrInUse);
            }
        }
        if self.tcp_ports.is_used(port) && !options.reuse_address && !options.reuse_port && !listening {
            return Err(Error::AddrInUse);
        }
        Ok(())
    }

    /// Makes a TCP socket a listener with room for `backlog` connections that wait to be accepted; called
    /// again it changes the backlog. Not bound, it listens on an ephemeral port.
    ///
    /// # Errors
    /// [`Error::AddrInUse`] (another listens there), [`Error::Invalid`] (connected),
    /// [`Error::NotSupported`] (not TCP), [`Error::BadSocket`].
    pub fn listen(&mut self, id: SocketId, backlog: u32) -> Result<(), Error> {
        let config = &self.config.tcp;
        match &mut self.slab.get_mut(id).filter(|s| s.held).ok_or(Error::BadSocket)?.kind {
            Kind::Listener(listener) => {
                listener.set_backlog(backlog, config);
                return Ok(());
            }
            Kind::Idle(_) => {}
            Kind::Connection(_) => return Err(Error::Invalid),
            _ => return Err(Error::NotSupported),
        }
        let Socket { kind: Kind::Idle(idle), .. } = self.held(id)? else { return Err(Error::Invalid) };
        if idle.local.port == 0 {
            let local = idle.local;
            self.bind_tcp(id, local)?;
        }
        let Socket { kind: Kind::Idle(idle), .. } = self.held(id)? else { return Err(Error::Invalid) };
        let (local, family, options) = (idle.local, idle.family, idle.options);
        self.check_tcp_port(local.address, local.port, &options, true)?;
        let listener = Listener::new(local, family, options, backlog, &self.config.tcp);
        self.held_mut(id)?.kind = Kind::Listener(Box::new(listener));
        self.publish(id.index(), false);
        Ok(())
    }

    /// The connection that has waited longest.
    ///
    /// # Errors
    /// [`Error::WouldBlock`], [`Error::Invalid`] (does not listen), [`Error::NotSupported`] (not TCP),
    /// [`Error::BadSocket`].
    pub fn try_accept(&mut self, id: SocketId) -> Result<SocketId, Error> {
        let listener = match &mut self.held_mut(id)?.kind {
            Kind::Listener(listener) => listener,
            Kind::Udp(_) | Kind::Ping(_) => return Err(Error::NotSupported),
            _ => return Err(Error::Invalid),
        };
        let connection = listener.pop().ok_or(Error::WouldBlock)?;
        if let Some(socket) = self.slab.get_mut(connection) {
            socket.held = true;
        }
        self.publish(id.index(), false);
        self.publish(connection.index(), true);
        Ok(connection)
    }

    pub(super) fn connect_tcp(&mut self, id: SocketId, remote: Endpoint, now: Instant) -> Result<(), Error> {
        self.renew_failed(id)?;
        let Socket { kind: Kind::Idle(idle), .. } = self.held(id)? else { return Err(Error::Invalid) };
        let (family, bound, options) = (idle.family, idle.local, idle.options);
        let remote = self.name_ourselves(remote);
        if remote.address.is_v4() && family == crate::addr::Family::V6 && options.v6_only {
            return Err(Error::NetUnreachable);
        }
        Self::check_family(family, options.v6_only, remote.address)?;
        // MUST-46: a host is one, and so is what it connects to.
        if !remote.address.is_unicast() || self.routes.is_broadcast(remote.address) {
            return Err(Error::NetUnreachable);
        }
        let address = if bound.address.is_unspecified() {
            self.routes.source_for(remote.address).ok_or(Error::NetUnreachable)?
        } else if bound.address.is_v4() == remote.address.is_v4() {
            bound.address
        } else {
            return Err(Error::Invalid);
        };
        let quad_from = |port| Quad { local: Endpoint::new(address, port), remote };
        let taken = |port| self.table.find(&quad_from(port), quad_of(&self.slab)).is_some();
        let port = match bound.port {
            0 => {
                let offset = self.keys.port_offset(address, remote);
                let bound = &self.tcp_bound;
                self.ephemeral
                    .choose(offset, |port| !bound.at(port).is_empty() || taken(port))
                    .ok_or(Error::AddrNotAvailable)?
            }
            // MUST-10 (RFC 9293 §3.4.1's quad is unique): a connection is named by its two ends.
            port if taken(port) => return Err(Error::AddrInUse),
            port => port,
        };
        let quad = quad_from(port);
        let mss = crate::tcp::request::limit_segment(self.path_mss(quad, now), &options);
        let mut tcb = Tcb::connect(quad, options, mss, &mut context!(self, now));
        tcb.mss_offered = crate::tcp::request::mss_to_offer(address.ip(), self.config.mtu, &options);
        let index = id.index();
        self.tcp_bound.remove(bound.port, index);
        self.held_mut(id)?.kind = Kind::Connection(Box::new(tcb));
        self.remember_quad(quad, index);
        self.settle(index, now, false);
        Err(Error::InProgress)
    }

    /// A connection that failed may be tried again; one that stands may not.
    fn renew_failed(&mut self, id: SocketId) -> Result<(), Error> {
        let Socket { kind: Kind::Connection(tcb), .. } = self.held_mut(id)? else { return Ok(()) };
        match tcb.state() {
            State::Closed => {}
            State::SynSent | State::SynReceived => return Err(Error::Already),
            _ => return Err(Error::IsConnected),
        }
        if let Some(error) = tcb.error.take() {
            return Err(error);
        }
        let family = tcb.quad.local.address.family();
        let idle = Idle { family, local: super::socket::any(family), options: tcb.options };
        self.held_mut(id)?.kind = Kind::Idle(Box::new(idle));
        Ok(())
    }

    /// BSD's custom: to connect to no address in particular is to connect to oneself.
    fn name_ourselves(&self, remote: Endpoint) -> Endpoint {
        if !remote.address.is_unspecified() {
            return remote;
        }
        let loopback = if remote.address.is_v4() {
            Address::from_v4_octets([127, 0, 0, 1])
        } else {
            Address::v6(core::net::Ipv6Addr::LOCALHOST)
        };
        Endpoint::new(loopback, remote.port)
    }

    pub(super) fn stream_mut(&mut self, id: SocketId) -> Result<&mut Tcb, Error> {
        match &mut self.held_mut(id)?.kind {
            Kind::Connection(tcb) => Ok(tcb),
            Kind::Idle(_) | Kind::Listener(_) => Err(Error::NotConnected),
            _ => Err(Error::NotSupported),
        }
    }

    /// Whether a write can be taken, and how many octets of it at the most.
    fn check_write(tcb: &mut Tcb) -> Result<usize, Error> {
        if let Some(error) = tcb.error.take() {
            return Err(error);
        }
        if tcb.state() == State::SynSent || tcb.state() == State::SynReceived {
            return Err(Error::WouldBlock);
        }
        if tcb.is.contains(Is::FIN_QUEUED) || !tcb.state().may_send() {
            return Err(Error::BrokenPipe);
        }
        match tcb.send_room() {
            0 => Err(Error::WouldBlock),
            room => Ok(room),
        }
    }

    /// Copies octets to the send buffer and says how many.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] (no room, or not connected yet), [`Error::BrokenPipe`] (our side is shut down, or the
    /// connection is gone), [`Error::NotConnected`], [`Error::BadSocket`], and what ended the connection,
    /// once.
    pub fn try_write(&mut self, id: SocketId, data: &[u8], now: Instant) -> Result<usize, Error> {
        let tcb = self.stream_mut(id)?;
        let result = Self::check_write(tcb).map(|room| {
            let data = data.get(..room).unwrap_or(data);
            tcb.send_buffer.write(data);
            data.len()
        });
        self.has_written(id, now);
        result
    }

    /// As [`try_write`](Self::try_write), without a copy: what is taken is split off `data`.
    ///
    /// # Errors
    /// Those of [`try_write`](Self::try_write).
    pub fn try_write_bytes(&mut self, id: SocketId, data: &mut Bytes, now: Instant) -> Result<usize, Error> {
        let tcb = self.stream_mut(id)?;
        let result = Self::check_write(tcb).map(|room| {
            let taken = data.split_to(room.min(data.len()));
            let n = taken.len();
            tcb.send_buffer.write_bytes(taken);
            n
        });
        self.has_written(id, now);
        result
    }

    /// As [`try_write`](Self::try_write); the last octet is urgent (`MSG_OOB`, RFC 9293 §3.8.5).
    ///
    /// # Errors
    /// Those of [`try_write`](Self::try_write).
    pub fn try_write_urgent(&mut self, id: SocketId, data: &[u8], now: Instant) -> Result<usize, Error> {
        let n = self.try_write(id, data, now)?;
        let tcb = self.stream_mut(id)?;
        if n == data.len() && n > 0 {
            tcb.snd.up = tcb.data_end();
        }
        Ok(n)
    }

    fn has_written(&mut self, id: SocketId, now: Instant) {
        self.settle(id.index(), now, false);
    }

    pub(super) fn shutdown_tcp(&mut self, id: SocketId, how: Shutdown, now: Instant) -> Result<(), Error> {
        let tcb = self.stream_mut(id)?;
        if tcb.state() == State::Closed {
            return Err(Error::NotConnected);
        }
        self.with_connection(id.index(), now, |tcb, cx| {
            if matches!(how, Shutdown::Read | Shutdown::Both) {
                tcb.is.insert(Is::SHUT_READ);
            }
            if matches!(how, Shutdown::Write | Shutdown::Both) {
                tcb.close_send(cx);
            }
        });
        Ok(())
    }

    /// CLOSE (§3.10.4) of both directions by a program that lets go of the handle.
    pub(super) fn close_connection(&mut self, index: u32, now: Instant) {
        let Some(socket) = self.slab.by_index_mut(index) else { return };
        socket.held = false;
        let Kind::Connection(tcb) = &mut socket.kind else { return };
        let in_table = !matches!(tcb.state(), State::Closed | State::TimeWait);
        if !in_table {
            self.remove(index);
            return;
        }
        self.orphans += 1;
        let too_many = self.orphans > self.config.tcp.max_orphans;
        self.with_connection(index, now, |tcb, cx| {
            let unread = !tcb.receive_buffer.is_empty();
            tcb.is.insert(Is::ORPHAN);
            if unread && tcb.state() != State::SynSent {
                // §3.6.1, RFC 2525 §2.17: the peer must learn that its data was not read.
                cx.counters.tcp_abort_on_close += 1;
                tcb.reset(Error::Reset, Event::Abort, RstReason::UnreadData, cx);
            } else if tcb.options.linger == Some(Duration::ZERO) {
                tcb.reset(Error::Reset, Event::Abort, RstReason::Abort, cx);
            } else if too_many {
                cx.counters.tcp_abort_on_memory += 1;
                tcb.reset(Error::Reset, Event::Abort, RstReason::Limit, cx);
            } else {
                tcb.close_send(cx);
                tcb.orphan(cx);
            }
        });
    }

    /// A listener ends: who waits to be accepted is reset; requests are forgotten when they come up.
    pub(super) fn close_listener(&mut self, index: u32, now: Instant) {
        let waiting: alloc::vec::Vec<SocketId> = self.unaccepted(index).collect();
        if let Some(Socket { kind: Kind::Listener(listener), .. }) = self.slab.by_index(index) {
            self.tcp_bound.remove(listener.local.port, index);
        }
        self.remove(index);
        for id in waiting {
            if self.slab.get(id).is_none() {
                continue;
            }
            self.orphans += 1;
            self.with_connection(id.index(), now, |tcb, cx| {
                tcb.is.insert(Is::ORPHAN);
                if tcb.state() != State::Closed {
                    tcb.reset(Error::Reset, Event::Abort, RstReason::ListenerClosed, cx);
                }
            });
            // One that had ended before is in no table any more, and has still to go.
            if self.slab.get(id).is_some() {
                self.orphans = self.orphans.saturating_sub(1);
                self.remove(id.index());
            }
        }
    }

    /// Whether what a connection receives is acknowledged at once (`TCP_QUICKACK`). It does not last: after a number of
    /// segments acknowledgments are delayed again.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::NotSupported`] (not TCP), [`Error::BadSocket`].
    pub fn set_quick_acks(&mut self, id: SocketId, quick: bool, now: Instant) -> Result<(), Error> {
        let segments = if quick { self.config.tcp.quick_acks.max(1) } else { 0 };
        self.stream_mut(id)?.acks.set_quick(segments);
        self.settle(id.index(), now, false);
        Ok(())
    }

    /// Resets a TCP connection (ABORT, RFC 9293 §3.10.5). The handle stays, to read the error from and to
    /// close.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::NotSupported`] (not TCP), [`Error::BadSocket`].
    pub fn abort(&mut self, id: SocketId, now: Instant) -> Result<(), Error> {
        let tcb = self.stream_mut(id)?;
        if matches!(tcb.state(), State::Closed | State::TimeWait) {
            return Err(Error::NotConnected);
        }
        self.with_connection(id.index(), now, |tcb, cx| {
            tcb.receive_buffer.clear();
            tcb.reset(Error::Aborted, Event::Abort, RstReason::Abort, cx);
        });
        Ok(())
    }

    /// Resets every TCP connection that goes on without an owner: the host ends and waits no longer.
    pub fn abort_orphans(&mut self, now: Instant) {
        let is_orphan = |s: &Socket| match &s.kind {
            Kind::Connection(tcb) => !s.held && tcb.is.contains(Is::ORPHAN),
            _ => false,
        };
        let orphans: alloc::vec::Vec<u32> =
            self.slab.iter().filter(|(_, s)| is_orphan(s)).map(|(id, _)| id.index()).collect();
        for index in orphans {
            self.with_connection(index, now, |tcb, cx| {
                tcb.reset(Error::Aborted, Event::Abort, RstReason::Abort, cx);
            });
        }
    }
}
