//! Sending datagrams: those of UDP, one or several in a call, and echo requests.

use super::packet::{OtherEvent, OtherReason, datagrams};
use super::{Kind, SocketId, Stack};
use crate::addr::{Address, Endpoint};
use crate::error::Error;
use crate::sockopt::{PathMtuDiscovery, SocketOptions};
use crate::time::Instant;
use crate::udp::{self, MAX_PAYLOAD_V4, MAX_PAYLOAD_V6};
use crate::wire::ip::{Header, protocol};
use crate::wire::udp::{HEADER_LEN, Header as Ports, emit_packet};

/// Datagrams that one call is cut into at the most, as in Linux since 6.9 (`UDP_MAX_SEGMENTS`).
pub const MAX_SEGMENTS: usize = 128;

/// What a call of a batch sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// The text.
    pub data: &'a [u8],
    /// Where to; `None`: to the peer of a connected socket.
    pub to: Option<Endpoint>,
    /// Octets of each datagram that the text is cut into, the last of them perhaps shorter; 0: it is one. `None`: as the
    /// socket's options say ([`segment_size`](SocketOptions::segment_size)).
    pub segment_size: Option<u16>,
}

impl Stack {
    /// Sends a datagram, to the connected peer when `to` is `None`, or several where the socket's options ask for that
    /// ([`segment_size`](SocketOptions::segment_size)). On a ping socket `data` is an echo request
    /// from its type octet on; identifier and checksum are filled in, and the port of `to` means nothing.
    ///
    /// # Errors
    /// Those of [`try_send_message`](Self::try_send_message).
    pub fn try_send_to(
        &mut self,
        id: SocketId,
        data: &[u8],
        to: Option<Endpoint>,
        now: Instant,
    ) -> Result<usize, Error> {
        self.try_send_message(id, &Message { data, to, segment_size: None }, now)
    }

    /// Whether so much waits to leave that the device should have a turn before a batch goes on.
    pub fn has_batch(&self) -> bool {
        self.departures.is_batch()
    }

    /// Sends one message after the other, until the device should have a turn, or one is refused; at least the first. Gives
    /// the number of those that were sent: what the next met with, it meets with again.
    ///
    /// # Errors
    /// Those of [`try_send_message`](Self::try_send_message), of the first.
    pub fn try_send_batch<'m>(
        &mut self,
        id: SocketId,
        messages: impl IntoIterator<Item = Message<'m>>,
        now: Instant,
    ) -> Result<usize, Error> {
        let mut done = 0;
        for message in messages {
            if done > 0 && self.has_batch() {
                break;
            }
            match self.try_send_message(id, &message, now) {
                Ok(_) => done += 1,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Sends a message: as [`try_send_to`](Self::try_send_to), with a segment size of its own. Gives its octets.
    ///
    /// # Errors
    /// [`Error::DestinationRequired`], [`Error::MessageTooLong`] (also where the parts it is cut into are larger than the
    /// path takes), [`Error::NetUnreachable`],
    /// [`Error::Invalid`] (bound to a loopback address, and to somebody else; more than [`MAX_SEGMENTS`] parts),
    /// [`Error::Access`] (broadcast), [`Error::AddrFamily`], [`Error::NotSupported`] (TCP), [`Error::BadSocket`],
    /// and what ICMP reported about an earlier datagram: [`Error::Refused`], …
    //= https://www.rfc-editor.org/rfc/rfc768
    //= id=rfc768-front-1
    //# A user interface should allow
    pub fn try_send_message(
        &mut self,
        id: SocketId,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<usize, Error> {
        self.bind_if_needed(id)?;
        let Message { data, to, segment_size } = *message;
        let socket = self.slab.get_mut(id).filter(|s| s.held).ok_or(Error::BadSocket)?;
        match &mut socket.kind {
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
                if address.is_v4() != to.address.is_v4() {
                    return Err(Error::AddrFamily);
                }
                let most = if to.address.is_v4() { MAX_PAYLOAD_V4 } else { MAX_PAYLOAD_V6 };
                if data.len() > most {
                    return Err(Error::MessageTooLong);
                }
                if let Err(error) = socket.check_send() {
                    // It may have been a pending one, which is taken now.
                    self.publish(id.index(), false);
                    return Err(error);
                }
                let options = &socket.options;
                let size = segment_size.unwrap_or(options.segment_size);
                let header = datagram_header(address, to.address, protocol::UDP, options);
                let ports = Ports { src_port: local.port, dst_port: to.port };
                let discovery = options.path_mtu_discovery;
                self.send_udp(header, ports, (data, size), discovery, now)
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
                let mut header = datagram_header(from, to, socket.protocol(), &socket.options);
                let discovery = socket.options.path_mtu_discovery;
                self.counters.icmp_out_msgs += 1;
                if self.set_hop_limit(&mut header) {
                    let mtu = self.mtu_for(&mut header, payload.len(), discovery, now)?;
                    self.send_whole(header, &payload, mtu, OtherReason::EchoRequest)?;
                }
                Ok(data.len())
            }
            _ => Err(Error::NotSupported),
        }
    }

    /// Puts in the stack's own hop limit where the socket has none. False for what is for this host alone, where nobody can
    /// have joined a group.
    const fn set_hop_limit(&self, header: &mut Header) -> bool {
        if header.hop_limit == 0 {
            if header.dst.is_multicast() {
                return false;
            }
            header.hop_limit = self.config.hop_limit;
        }
        true
    }

    /// The MTU by which a packet with so many octets behind its header is cut, and whether it may be cut further on its way.
    fn mtu_for(
        &mut self,
        header: &mut Header,
        payload: usize,
        discovery: PathMtuDiscovery,
        now: Instant,
    ) -> Result<u16, Error> {
        let known = self.path_mtu.get(header.dst, now, self.config.mtu);
        let fits = |mtu| header.emitted_len() + payload <= usize::from(mtu);
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
        Ok(mtu)
    }

    /// Sends `data` as datagrams of `size` octets, or as one for 0, however large.
    fn send_udp(
        &mut self,
        mut header: Header,
        ports: Ports,
        (data, size): (&[u8], u16),
        discovery: PathMtuDiscovery,
        now: Instant,
    ) -> Result<usize, Error> {
        let count = datagrams(data, size);
        if self.set_hop_limit(&mut header) {
            let longest = if size == 0 { data.len() } else { data.len().min(size.into()) };
            let mtu = self.mtu_for(&mut header, HEADER_LEN + longest, discovery, now)?;
            if header.emitted_len() + HEADER_LEN + longest <= usize::from(mtu) {
                if count > MAX_SEGMENTS {
                    return Err(Error::Invalid);
                }
                self.send_datagrams(header, ports, data, size);
            } else if size != 0 {
                // No datagram of several is cut into fragments.
                return Err(Error::MessageTooLong);
            } else {
                let (from, to) =
                    (Endpoint::new(header.src, ports.src_port), Endpoint::new(header.dst, ports.dst_port));
                let whole = udp::build(from, to, data)?;
                self.send_whole(header, &whole, mtu, OtherReason::Datagram)?;
            }
        }
        self.counters.udp_out_datagrams += count as u64;
        Ok(data.len())
    }

    fn send_whole(
        &mut self,
        header: Header,
        payload: &[u8],
        mtu: u16,
        reason: OtherReason,
    ) -> Result<(), Error> {
        if self.send_ip_within(header, payload, mtu, reason) { Ok(()) } else { Err(Error::MessageTooLong) }
    }

    /// Queues datagrams that fit the path, those of a size in as few packets as the device can cut apart.
    fn send_datagrams(&mut self, header: Header, ports: Ports, data: &[u8], size: u16) {
        let head_len = header.emitted_len() + HEADER_LEN;
        let ours = self.routes.is_local(header.dst);
        // Nobody cuts what never leaves: it is as long as the length fields can tell.
        let longest = match (ours, header.src.is_v4()) {
            (true, true) => head_len + MAX_PAYLOAD_V4,
            (true, false) => head_len + MAX_PAYLOAD_V6,
            (false, _) => self.config.offload.segmentation.min(0xffff) as usize,
        };
        let partial = ours || self.config.offload.checksum;
        let run = match (longest.saturating_sub(head_len), usize::from(size)) {
            (_, 0) => data.len(),
            (room, size) if data.len() > room => (room - room % size).max(size),
            _ => data.len(),
        };
        let mut rest = data;
        loop {
            let (text, later) = rest.split_at_checked(run).unwrap_or((rest, &[]));
            let count = datagrams(text, size);
            // What no router cuts needs no number to be put together again by (RFC 6864 §4.1).
            let id = if header.dont_fragment {
                0
            } else {
                self.ids.next_run(header.src, header.dst, count as u32) as u16
            };
            if !self.has_room_to_depart(head_len + text.len(), 1) {
                self.counters.ip_out_discards += 1;
            } else {
                let event = OtherEvent { reason: OtherReason::Datagram, fragment: 1, fragments: 1 };
                let put = self.departures.push(event, |octets| {
                    // Who cuts also sums.
                    emit_packet(&header, ports, text, id, partial || count > 1, octets)
                });
                debug_assert!(put.is_ok(), "its length was looked at");
                if count > 1 {
                    self.departures.cut_last(head_len, size);
                }
            }
            rest = later;
            if rest.is_empty() {
                return;
            }
        }
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
