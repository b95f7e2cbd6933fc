//! What a program may ask of a UDP or a ping socket.

use super::packet::OtherReason;
use super::receive::Delivered;
use super::socket::overlap;
use super::{Kind, Own, Socket, SocketId, Stack};
use crate::addr::{Address, Endpoint, Quad};
use crate::error::Error;
use crate::ip::input::Delivery;
use crate::ip::queue::{Labels, ReceivedDatagram};
use crate::sockopt::{PathMtuDiscovery, SocketOptions};
use crate::time::Instant;
use crate::udp;
use crate::wire::ip::{Header, protocol};

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
    fn bind_if_needed(&mut self, id: SocketId) -> Result<(), Error> {
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

    /// Sends a datagram, to the connected peer when `to` is `None`. On a ping socket `data` is an echo request
    /// from its type octet on; identifier and checksum are filled in, and the port of `to` means nothing.
    ///
    /// # Errors
    /// [`Error::DestinationRequired`], [`Error::MessageTooLong`], [`Error::NetUnreachable`],
    /// [`Error::Invalid`] (bound to a loopback address, and to somebody else), [`Error::Access`] (broadcast), [`Error::AddrFamily`], [`Error::NotSupported`] (TCP), [`Error::BadSocket`],
    /// and what ICMP reported about an earlier datagram: [`Error::Refused`], …
    //= https://www.rfc-editor.org/rfc/rfc768
    //= id=rfc768-front-1
    //# A user interface should allow
    pub fn try_send_to(
        &mut self,
        id: SocketId,
        data: &[u8],
        to: Option<Endpoint>,
        now: Instant,
    ) -> Result<usize, Error> {
        self.bind_if_needed(id)?;
        let socket = self.slab.get_mut(id).filter(|s| s.held).ok_or(Error::BadSocket)?;
        let sent = match &mut socket.kind {
            Kind::Udp(socket) => {
                let to = socket.destination(to, &self.routes)?;
                let local = socket.local();
                //= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.6
                //= id=rfc1122-4.1.3.6-1
                //# When a host sends a UDP datagram, the source address MUST be (one of) the IP address(es)
                //# of the host.
                let address = if local.address.is_unspecified()
                    || local.address.is_multicast()
                    || self.routes.is_broadcast(local.address)
                {
                    self.routes.source_for(to.address).ok_or(Error::NetUnreachable)?
                } else {
                    local.address
                };
                self.routes.check_leaves(address, to.address)?;
                let from = Endpoint::new(address, local.port);
                let payload = udp::build(from, to, data)?;
                if let Err(error) = socket.check_send() {
                    // It may have been a pending one, which is taken now.
                    self.publish(id.index(), false);
                    return Err(error);
                }
                let header = datagram_header(from.address, to.address, protocol::UDP, &socket.options);
                (header, payload, socket.options.path_mtu_discovery)
            }
            Kind::Ping(socket) => {
                let to = match socket.destination(to.map(|e| e.address), &self.routes) {
                    Ok(to) => to,
                    Err(error) => {
                        // It may have been a pending one, which is taken now.
                        self.publish(id.index(), false);
                        return Err(error);
                    }
                };
                let local = socket.local().address;
                let from = if local.is_unspecified() {
                    self.routes.source_for(to).ok_or(Error::NetUnreachable)?
                } else {
                    local
                };
                self.routes.check_leaves(from, to)?;
                let payload = socket.request(from, to, data)?;
                let header = datagram_header(from, to, socket.protocol(), &socket.options);
                (header, payload, socket.options.path_mtu_discovery)
            }
            _ => return Err(Error::NotSupported),
        };
        let (mut header, payload, discovery) = sent;
        let reason = match header.protocol {
            protocol::UDP => {
                self.counters.udp_out_datagrams += 1;
                OtherReason::Datagram
            }
            _ => {
                self.counters.icmp_out_msgs += 1;
                OtherReason::EchoRequest
            }
        };
        if header.hop_limit == 0 {
            if header.dst.is_multicast() {
                // For this host alone, where nobody can have joined a group.
                return Ok(data.len());
            }
            header.hop_limit = self.config.hop_limit;
        }
        let known = self.path_mtu.get(header.dst, now, self.config.mtu);
        let fits = |mtu| header.emitted_len() + payload.len() <= usize::from(mtu);
        let mtu = match discovery {
            PathMtuDiscovery::Dont | PathMtuDiscovery::Want => known,
            PathMtuDiscovery::Do if fits(known) => known,
            PathMtuDiscovery::Probe if fits(self.config.mtu) => self.config.mtu,
            //= https://www.rfc-editor.org/rfc/rfc8201#section-5.2
            //= id=rfc8201-5.2-10
            //# In this approach, when an attempt is made to SEND a packet that is larger than the PMTU estimate,
            //# the SEND function should fail and return a suitable error indication.
            PathMtuDiscovery::Do | PathMtuDiscovery::Probe => return Err(Error::MessageTooLong),
        };
        header.dont_fragment = !header.src.is_v4() || (fits(mtu) && discovery != PathMtuDiscovery::Dont);
        if self.send_ip_within(header, &payload, mtu, reason) {
            Ok(data.len())
        } else {
            Err(Error::MessageTooLong)
        }
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

    /// Hands a datagram to the socket it is for; a broadcast or multicast one to each. `None`: there is none.
    pub(super) fn deliver_udp(
        &mut self,
        from: Endpoint,
        to: Endpoint,
        labels: Labels,
        payload: &[u8],
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
            match socket.deliver((from, to), labels, payload) {
                Ok(()) => self.counters.udp_in_datagrams += 1,
                Err(_) => {
                    self.counters.udp_rcvbuf_errors += 1;
                    said = Delivered::Full;
                }
            }
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

/// The IP header of a datagram; a hop limit of 0 stands for the stack's default.
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.6
//= id=rfc1122-3.2.1.6-1
//# The IP layer MUST provide a means for the transport layer to set the TOS field of every datagram that is
//# sent; the default is all zero bits.
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.7
//= id=rfc1122-3.2.1.7-3
//# The IP layer MUST provide a means for the transport layer to set the TTL field of every datagram that is
//# sent.
fn datagram_header(src: Address, dst: Address, protocol: u8, options: &SocketOptions) -> Header {
    Header {
        src,
        dst,
        protocol,
        hop_limit: if dst.is_multicast() { options.multicast_hops } else { options.hop_limit },
        traffic_class: options.traffic_class,
        flow_label: 0,
        dont_fragment: !src.is_v4(),
        fragment: None,
    }
}
