//! What a program may ask of a UDP or a ping socket.

use super::packet::datagrams;
use super::receive::Delivered;
use super::socket::overlap;
use super::{Kind, Own, Socket, SocketId, Stack};
use crate::addr::{Address, Endpoint, Quad};
use crate::error::Error;
use crate::ip::input::Delivery;
use crate::ip::queue::{Labels, ReceivedDatagram};
use crate::wire::ip::Header;

impl Stack {
    pub(super) fn bind_udp(&mut self, id: SocketId, local: Endpoint) -> Result<(), Error> {
        let Kind::Udp(socket) = &self.held(id)?.kind else { return Err(Error::Invalid) };
        self.check_local_first(socket.family(), local.address)?;
        if socket.local().port != 0 {
            return Err(Error::Invalid);
        }
        let (family, options) = (socket.family(), socket.options);
        Self::check_family(family, options.v6_only, local.address)?;
        if !self.routes.is_broadcast(local.address) && !local.address.is_multicast() {
            self.check_local(local.address)?;
        }
        let in_the_way = |stack: &Self, port| {
            stack.udp_bound.at(port).iter().any(|&i| match stack.slab.by_index(i).map(|s| &s.kind) {
                Some(Kind::Udp(other)) => {
                    let theirs = other.options;
                    overlap((local.address, options.v6_only), (other.local().address, theirs.v6_only))
                        && !(options.reuse_address && theirs.reuse_address)
                        && !(options.reuse_port && theirs.reuse_port)
                }
                _ => false,
            })
        };
        let port = match local.port {
            0 => {
                let offset = self.keys.port_offset(local.address, Endpoint::UNSPECIFIED);
                let bound = &self.udp_bound;
                self.ephemeral.choose(offset, |p| !bound.at(p).is_empty()).ok_or(Error::AddrInUse)?
            }
            port if in_the_way(self, port) => return Err(Error::AddrInUse),
            port => port,
        };
        let socket = self.held_mut(id)?;
        socket.own.set(Own::PORT_CHOSEN, local.port != 0);
        socket.own.set(Own::ADDRESS_CHOSEN, !local.address.is_unspecified());
        if let Kind::Udp(socket) = &mut socket.kind {
            socket.set_local(Endpoint::new(local.address, port));
        }
        self.udp_bound.insert(port, id.index());
        Ok(())
    }

    pub(super) fn bind_ping(&mut self, id: SocketId, local: Endpoint) -> Result<(), Error> {
        let Kind::Ping(socket) = &self.held(id)?.kind else { return Err(Error::Invalid) };
        if socket.identifier() != 0 {
            return Err(Error::Invalid);
        }
        Self::check_family(socket.family(), true, local.address)?;
        self.check_local(local.address)?;
        let identifier = match local.port {
            0 => {
                let offset = self.keys.port_offset(local.address, Endpoint::UNSPECIFIED);
                let bound = &self.ping_bound;
                self.ephemeral.choose(offset, |p| !bound.at(p).is_empty()).ok_or(Error::AddrInUse)?
            }
            taken if !self.ping_bound.at(taken).is_empty() => return Err(Error::AddrInUse),
            identifier => identifier,
        };
        if let Kind::Ping(socket) = &mut self.held_mut(id)?.kind {
            socket.set_local(Endpoint::new(local.address, identifier));
        }
        self.ping_bound.insert(identifier, id.index());
        Ok(())
    }

    /// Binds a socket that sends before it was bound.
    pub(super) fn bind_if_needed(&mut self, id: SocketId) -> Result<(), Error> {
        match &self.held(id)?.kind {
            Kind::Udp(socket) if socket.local().port == 0 => {
                let local = socket.local();
                self.bind_udp(id, local)
            }
            Kind::Ping(socket) if socket.identifier() == 0 => {
                let local = socket.local();
                self.bind_ping(id, local)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn connect_udp(&mut self, id: SocketId, remote: Endpoint) -> Result<(), Error> {
        if remote.address.is_unspecified() && remote.port == 0 {
            return self.disconnect_udp(id);
        }
        // As in Linux the port is chosen first, and stays when what follows fails.
        self.bind_if_needed(id)?;
        let Kind::Udp(socket) = &self.held(id)?.kind else { return Err(Error::Invalid) };
        let (local, options) = (socket.local(), socket.options);
        let remote = self.name_ourselves(remote, local.address);
        self.check_remote(socket.family(), &options, local.address, remote.address)?;
        if self.routes.is_broadcast(remote.address) && !options.broadcast {
            return Err(Error::Access);
        }
        if !self.routes.reachable(remote.address) {
            return Err(Error::NetUnreachable);
        }
        let source = self.routes.source_for(remote.address);
        let socket = self.slab.get_mut(id).filter(|s| s.held).ok_or(Error::BadSocket)?;
        if let Kind::Udp(socket) = &mut socket.kind {
            socket.set_remote(Some(remote));
            // It stays for a peer that comes after this one, as in Linux.
            if let (true, Some(source)) = (local.address.is_unspecified(), source) {
                //= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.5
                //= id=rfc1122-4.1.3.5-3
                //# There SHOULD be a way to communicate the chosen source address up to the application
                //# layer (e.g, so that the application can later receive a reply datagram only from the
                //# corresponding interface).
                socket.set_local(Endpoint::new(source, local.port));
            }
        }
        self.publish(id.index(), false);
        Ok(())
    }

    pub(super) fn disconnect_udp(&mut self, id: SocketId) -> Result<(), Error> {
        let Socket { kind: Kind::Udp(socket), own, .. } = self.held_mut(id)? else {
            return Err(Error::Invalid);
        };
        let (own, before) = (*own, socket.local());
        let mut local = Self::kept(own, before);
        if !own.contains(Own::PORT_CHOSEN) {
            local.port = 0;
        }
        socket.set_remote(None);
        socket.set_local(local);
        if local.port == 0 {
            self.udp_bound.remove(before.port, id.index());
        }
        self.publish(id.index(), false);
        Ok(())
    }

    pub(super) fn disconnect_ping(&mut self, id: SocketId) -> Result<(), Error> {
        let Kind::Ping(socket) = &mut self.held_mut(id)?.kind else { return Err(Error::Invalid) };
        socket.set_remote(None);
        self.publish(id.index(), false);
        Ok(())
    }

    pub(super) fn connect_ping(&mut self, id: SocketId, remote: Endpoint) -> Result<(), Error> {
        let unset = remote.address.is_unspecified();
        if !unset && !self.routes.reachable(remote.address) {
            return Err(Error::NetUnreachable);
        }
        self.bind_if_needed(id)?;
        let Kind::Ping(socket) = &mut self.held_mut(id)?.kind else { return Err(Error::Invalid) };
        Self::check_family(socket.family(), true, remote.address)?;
        socket.set_remote((!unset).then_some(remote.address));
        Ok(())
    }

    /// Takes a datagram; `peek` leaves it. What does not fit `buf` is lost.
    ///
    /// # Errors
    /// [`Error::WouldBlock`], [`Error::NotSupported`] (TCP), [`Error::BadSocket`], and what ICMP reported about an
    /// earlier datagram: [`Error::Refused`], …
    pub fn try_receive_from(
        &mut self,
        id: SocketId,
        buf: &mut [u8],
        peek: bool,
    ) -> Result<ReceivedDatagram, Error> {
        let result = match &mut self.held_mut(id)?.kind {
            Kind::Udp(socket) => socket.try_receive(buf, peek),
            Kind::Ping(socket) => socket.try_receive(buf, peek),
            _ => return Err(Error::NotSupported),
        };
        self.publish(id.index(), false);
        result
    }

    /// Takes one datagram after the other, each into the next of `bufs`, and says there what it is, until there is no
    /// more or no other place. Gives their number.
    ///
    /// # Errors
    /// Those of [`try_receive_from`](Self::try_receive_from), where there is not even one.
    pub fn try_receive_batch<'b>(
        &mut self,
        id: SocketId,
        bufs: impl IntoIterator<Item = (&'b mut [u8], &'b mut ReceivedDatagram)>,
    ) -> Result<usize, Error> {
        let Kind::Udp(socket) = &mut self.held_mut(id)?.kind else { return Err(Error::NotSupported) };
        let (mut done, mut error) = (0, None);
        for (buf, received) in bufs {
            // The end, which is found again and again, is for a call of its own.
            if done > 0 && !socket.has_datagram() {
                break;
            }
            match socket.try_receive(buf, false) {
                Ok(datagram) => *received = datagram,
                Err(e) => {
                    error = Some(e);
                    break;
                }
            }
            done += 1;
        }
        self.publish(id.index(), false);
        error.map_or(Ok(done), Err)
    }

    /// Hands a datagram, or those of `segment_size` octets each that came as one, to the socket it is for; a broadcast or
    /// multicast one to each. `None`: there is none.
    pub(super) fn deliver_udp(
        &mut self,
        (from, to): (Endpoint, Endpoint),
        labels: Labels,
        payload: &[u8],
        segment_size: u16,
        delivery: Delivery,
    ) -> Option<Delivered> {
        let mut matching: smallvec::SmallVec<[(u8, u32); 4]> = smallvec::SmallVec::new();
        for &index in self.udp_bound.at(to.port) {
            if let Some(Socket { kind: Kind::Udp(socket), .. }) = self.slab.by_index(index)
                && let Some(score) = socket.matches(to, from)
            {
                matching.push((score, index));
            }
        }
        if delivery == Delivery::Unicast {
            let best = matching.iter().map(|&(score, _)| score).max()?;
            matching.retain(|&mut (score, _)| score == best);
            // Those that fit alike share the load by a hash of the quad, or the last to be bound has it, as in Linux.
            let share = |&(_, index): &(u8, u32)| match self.slab.by_index(index).map(|s| &s.kind) {
                Some(Kind::Udp(socket)) => socket.options.reuse_port,
                _ => false,
            };
            let chosen = match matching.iter().all(share) {
                true => self.table.share(&Quad { local: to, remote: from }, matching.len()),
                false => matching.len() - 1,
            };
            matching.swap(0, chosen);
            matching.truncate(1);
        }
        let mut said = match (matching.is_empty(), delivery) {
            (true, Delivery::Unicast) => return None,
            (true, _) => Delivered::Nobody,
            (false, _) => Delivered::Queued,
        };
        for (_, index) in matching {
            let Some(Socket { kind: Kind::Udp(socket), .. }) = self.slab.by_index_mut(index) else {
                continue;
            };
            let taken = socket.deliver((from, to), labels, payload, segment_size);
            let lost = datagrams(payload, segment_size).saturating_sub(taken);
            self.counters.udp_in_datagrams += taken as u64;
            self.counters.udp_rcvbuf_errors += lost as u64;
            said = match (taken, lost) {
                (_, 0) => said,
                (0, _) => Delivered::Full,
                _ => Delivered::InPart,
            };
            self.publish(index, true);
        }
        Some(said)
    }

    /// Hands an echo reply to the ping socket it is for.
    pub(super) fn deliver_echo(&mut self, identifier: u16, header: &Header, message: &[u8]) -> bool {
        for &index in self.ping_bound.at(identifier) {
            if let Some(Socket { kind: Kind::Ping(socket), .. }) = self.slab.by_index_mut(index)
                && socket.matches(identifier, header.src, header.dst)
            {
                let delivered = socket.push((header.src, header.dst), Labels::of(header), message).is_ok();
                self.publish(index, true);
                return delivered;
            }
        }
        false
    }

    /// ICMP says that a datagram of ours came to grief. Says whether it can have been ours.
    pub(super) fn report_udp(&mut self, quad: Quad, error: Error, hard: bool) -> bool {
        let slots: smallvec::SmallVec<[u32; 4]> = self.udp_bound.at(quad.local.port).into();
        let mut ours = false;
        for index in slots {
            if let Some(Socket { kind: Kind::Udp(socket), .. }) = self.slab.by_index_mut(index)
                && socket.matches(quad.local, quad.remote).is_some()
            {
                ours = true;
                socket.report(error, hard);
                self.publish(index, true);
            }
        }
        ours
    }

    /// ICMP says that an echo request of ours came to grief.
    pub(super) fn report_echo(
        &mut self,
        identifier: u16,
        from: Address,
        to: Address,
        error: Error,
        hard: bool,
    ) -> bool {
        for &index in self.ping_bound.at(identifier) {
            if let Some(Socket { kind: Kind::Ping(socket), .. }) = self.slab.by_index_mut(index)
                && socket.matches(identifier, to, from)
            {
                socket.report(error, hard);
                self.publish(index, true);
                return true;
            }
        }
        false
    }
}
