//! TCP sockets and their local ends: bind, listen, and who is in whose way.

use alloc::boxed::Box;

use super::settle::quad_of;
use super::shards::{Bound, Registry};
use super::socket::overlap;
use super::{Kind, Own, Socket, SocketId, Stack};
use crate::addr::{Address, Endpoint, Family, Quad};
use crate::error::Error;
use crate::sockopt::{Reuse, SocketOptions};
use crate::tcp::fast_open::Modes;
use crate::tcp::listener::Listener;
use crate::tcp::state::State;

impl Stack {
    pub(super) fn bind_tcp(&mut self, id: SocketId, local: Endpoint) -> Result<(), Error> {
        let socket = self.held(id)?;
        self.check_local_first(socket.own.family(), local.address)?;
        let options = match &socket.kind {
            Kind::Idle(idle) => &idle.options,
            // As in Linux, what is over may be bound anew, though it must be disconnected to be of use.
            Kind::Connection(tcb) if matches!(tcb.state(), State::Closed | State::TimeWait) => &tcb.options,
            _ => return Err(Error::Invalid),
        };
        let (own, options) = (socket.own, *options);
        if own.contains(Own::BOUND) {
            return Err(Error::Invalid);
        }
        Self::check_family(own.family(), options.v6_only, local.address)?;
        if local.address.is_multicast() && !local.address.is_v4() {
            return Err(Error::Invalid);
        }
        // Linux lets an IPv4 socket be bound to where nobody can connect to.
        if !local.address.is_multicast() && !self.routes.is_broadcast(local.address) {
            self.check_local(local.address)?;
        }
        let index = id.index();
        let port = match self.share.clone() {
            None => self.find_tcp_port(index, local, &options, None)?,
            // Found and taken in one, before another shard does.
            Some(share) => share.placement.with(|all| {
                let port = self.find_tcp_port(index, local, &options, Some(all))?;
                let (address, v6_only, reuse) = (local.address, options.v6_only, options.reuse());
                all.enter(port, Bound { id, address, v6_only, reuse, listens: false });
                Ok(port)
            })?,
        };
        let bound = Endpoint::new(local.address, port);
        let socket = self.held_mut(id)?;
        match &mut socket.kind {
            Kind::Idle(idle) => idle.local = bound,
            Kind::Connection(tcb) => tcb.quad.local = bound,
            _ => return Err(Error::Invalid),
        }
        socket.own.insert(Own::BOUND);
        socket.own.set(Own::PORT_CHOSEN, local.port != 0);
        socket.own.set(Own::ADDRESS_CHOSEN, !local.address.is_unspecified());
        self.tcp_bound.insert(port, index);
        Ok(())
    }

    /// The port asked for, if nobody is in the way, or one that is free. `all`: of several shards.
    fn find_tcp_port(
        &mut self,
        index: u32,
        local: Endpoint,
        options: &SocketOptions,
        all: Option<&Registry>,
    ) -> Result<u16, Error> {
        if local.port != 0 {
            self.check_tcp_port(index, local, options, all)?;
            return Ok(local.port);
        }
        let offset = self.keys.port_offset(local.address, Endpoint::UNSPECIFIED);
        let mut ephemeral = self.ephemeral.clone();
        let port = ephemeral.choose(offset, |port| {
            self.in_the_way(index, Endpoint::new(local.address, port), options, all, |_, _| false)
        });
        self.ephemeral = ephemeral;
        port.ok_or(Error::AddrInUse)
    }

    /// Of an IPv4 socket Linux asks whether the address is ours before whether it is bound already; of an IPv6 socket
    /// after.
    pub(super) fn check_local_first(&self, family: Family, address: Address) -> Result<(), Error> {
        let elsewhere = address.is_multicast() || self.routes.is_broadcast(address);
        if family == Family::V6 || elsewhere {
            return Ok(());
        }
        Self::check_family(family, false, address)?;
        self.check_local(address)
    }

    /// Whether another socket stands in the way of binding, or of listening, there.
    fn check_tcp_port(
        &self,
        index: u32,
        local: Endpoint,
        options: &SocketOptions,
        all: Option<&Registry>,
    ) -> Result<(), Error> {
        let ours = options.reuse();
        let shares = |theirs, listens| ours.shares(theirs, listens);
        if self.in_the_way(index, local, options, all, shares) { Err(Error::AddrInUse) } else { Ok(()) }
    }

    /// Whether anyone holds an overlapping end and does not share it: those bound there, connections, and records in
    /// TIME-WAIT. `shares` is asked of what another allows and whether it listens.
    fn in_the_way(
        &self,
        index: u32,
        local: Endpoint,
        options: &SocketOptions,
        all: Option<&Registry>,
        shares: impl Fn(Reuse, bool) -> bool,
    ) -> bool {
        let ours = (local.address, options.v6_only);
        let bound = self.tcp_bound.at(local.port).iter().filter(|&&i| i != index).any(|&other| {
            let (address, theirs, listens) = match self.slab.by_index(other).map(|s| &s.kind) {
                Some(Kind::Idle(idle)) => (idle.local.address, &idle.options, false),
                // What stands here for another shard's is counted there.
                Some(Kind::Listener(l)) if l.home().is_none() => (l.local.address, &*l.options, true),
                // One that keeps its port though it is over. Those that stand are counted below.
                Some(Kind::Connection(tcb)) => (tcb.quad.local.address, &*tcb.options, false),
                _ => return false,
            };
            overlap(ours, (address, theirs.v6_only)) && !shares(theirs.reuse(), listens)
        });
        let conflicts = |(address, theirs)| overlap(ours, (address, false)) && !shares(theirs, false);
        bound
            || match all {
                None => self.tcp_ports.at(local.port).any(conflicts),
                Some(all) => {
                    let elsewhere = |other: &&Bound| other.id.shard() != self.number();
                    all.held(local.port).any(conflicts)
                        || all.bound(local.port).iter().filter(elsewhere).any(|other| {
                            overlap(ours, (other.address, other.v6_only))
                                && !shares(other.reuse, other.listens)
                        })
                }
            }
    }

    /// Makes a TCP socket a listener with room for `backlog` connections that wait to be accepted; called
    /// again it changes the backlog. Not bound, it listens on an ephemeral port.
    ///
    /// # Errors
    /// [`Error::AddrInUse`] (another listens there), [`Error::Invalid`] (connected),
    /// [`Error::NotSupported`] (not TCP), [`Error::BadSocket`].
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.1
    //= id=MUST-43
    pub fn listen(&mut self, id: SocketId, backlog: u32) -> Result<(), Error> {
        let config = &self.config.tcp;
        let socket = self.slab.get_mut(id).filter(|s| s.held).ok_or(Error::BadSocket)?;
        let local = match &mut socket.kind {
            Kind::Listener(listener) => {
                listener.set_backlog(backlog, config);
                self.spread_listener(id);
                return Ok(());
            }
            Kind::Idle(idle) => idle.local,
            Kind::Connection(_) => return Err(Error::Invalid),
            _ => return Err(Error::NotSupported),
        };
        if !socket.own.contains(Own::BOUND) {
            let chosen = socket.own;
            self.bind_tcp(id, Endpoint::new(local.address, 0))?;
            // It was not the program that chose.
            let address = chosen & Own::ADDRESS_CHOSEN;
            let own = &mut self.held_mut(id)?.own;
            own.remove(Own::ADDRESS_CHOSEN);
            own.insert(address);
        }
        let Socket { kind: Kind::Idle(idle), own, .. } = self.held(id)? else { return Err(Error::Invalid) };
        let (local, family, mut options) = (idle.local, own.family(), idle.options);
        let secrets = idle.secrets.clone();
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.1
        //= id=MUST-41, MUST-42
        match self.share.clone() {
            None => self.check_tcp_port(id.index(), local, &options, None)?,
            Some(share) => share.placement.with(|all| {
                self.check_tcp_port(id.index(), local, &options, Some(all))?;
                let (address, v6_only, reuse) = (local.address, options.v6_only, options.reuse());
                all.enter(local.port, Bound { id, address, v6_only, reuse, listens: true });
                Ok(())
            })?,
        }
        let mode = self.config.tcp.fast_open;
        if mode.contains(Modes::SERVER | Modes::ALL_LISTENERS) && options.fast_open_queue == 0 {
            options.fast_open_queue = backlog.min(self.config.tcp.max_backlog).try_into().unwrap_or(u16::MAX);
        }
        let mut listener = Listener::new(local, family, self.shared(options), backlog, &self.config.tcp);
        listener.fast_open.secrets = secrets;
        self.held_mut(id)?.kind = Kind::Listener(Box::new(listener));
        self.spread_listener(id);
        self.publish(id.index(), false);
        Ok(())
    }

    /// Of several shards, the others are to know how a bound socket stands now.
    pub(super) fn note_bound(&self, index: u32) {
        let Some(share) = &self.share else { return };
        let (Some(id), Some(socket)) = (self.slab.id_of(index), self.slab.by_index(index)) else { return };
        let (local, options, listens) = match &socket.kind {
            Kind::Idle(idle) => (idle.local, &idle.options, false),
            Kind::Listener(listener) if listener.home().is_none() => {
                (listener.local, &*listener.options, true)
            }
            Kind::Connection(tcb) => (tcb.quad.local, &*tcb.options, false),
            _ => return,
        };
        if socket.own.contains(Own::BOUND) {
            let (address, v6_only, reuse) = (local.address, options.v6_only, options.reuse());
            share.placement.with(|all| all.enter(local.port, Bound { id, address, v6_only, reuse, listens }));
        }
    }

    /// Whether it has a connection with these ends, or what is left of one.
    pub(super) fn knows(&self, quad: &Quad) -> bool {
        self.table.find(quad, quad_of(&self.slab, &self.time_waits)).is_some()
    }

    /// Takes a socket out of the map of bound ports, if it stands there.
    pub(super) fn unbind_tcp(&mut self, index: u32) {
        let Some(socket) = self.slab.by_index_mut(index) else { return };
        if !socket.own.contains(Own::BOUND) {
            return;
        }
        socket.own.remove(Own::BOUND | Own::PORT_CHOSEN);
        let port = match &socket.kind {
            Kind::Idle(idle) => idle.local.port,
            Kind::Listener(listener) => listener.local.port,
            Kind::Connection(tcb) => tcb.quad.local.port,
            _ => return,
        };
        self.tcp_bound.remove(port, index);
        if let (Some(share), Some(id)) = (&self.share, self.slab.id_of(index)) {
            share.placement.with(|all| all.leave(port, id));
        }
    }

    /// The end a socket keeps when it is a connection no more: the address where the program chose it. The port is
    /// shown on even where it is not held, as Linux does.
    pub(super) fn kept(own: Own, local: Endpoint) -> Endpoint {
        let any: Address = super::socket::any(own.family()).address;
        let address = if own.contains(Own::ADDRESS_CHOSEN) { local.address } else { any };
        Endpoint::new(address, local.port)
    }
}
