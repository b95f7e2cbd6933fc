//! Ping: answers to those of others (RFC 1122 §3.2.2.6, RFC 4443 §4), and sockets for our own.

use alloc::vec::Vec;

use crate::addr::{Address, Endpoint, Family};
use crate::error::Error;
use crate::ip::queue::{Full, Inbox, Labels, ReceivedDatagram};
use crate::ip::route::Routes;
use crate::sockopt::{Shutdown, SocketOptions};
use crate::wire::icmp::{HEADER_LEN, Message};
use crate::wire::ip::{Header, protocol};

/// The answer to an echo request that came with `header`: its IP header and its ICMP message, with the very
/// same data.
///
/// `None` for anything else, and for requests that are not answered: to an IPv4 broadcast or multicast
/// address, which would make a storm of it (RFC 1122 §3.2.2.6 leaves that open), and from `::`. An IPv6
/// multicast one is answered from an address of ours (RFC 4443 §4.2).
pub fn reply(
    message: &Message<'_>,
    header: &Header,
    routes: &Routes,
    hop_limit: u8,
) -> Option<(Header, Vec<u8>)> {
    let Message::EchoRequest { id, sequence, data } = *message else { return None };
    let to = header.src;
    if !to.is_unicast() {
        return None;
    }
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.6
    //= id=rfc1122-3.2.2.6-3
    //# The IP source address in an ICMP Echo Reply MUST be the same as the specific-destination address
    //# (defined in Section 3.2.1.3) of the corresponding ICMP Echo Request message.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.4.2
    //= id=rfc1122-3.3.4.2-1
    //# (1) If the datagram is sent in response to a received datagram, the source address for the response
    //# SHOULD be the specific-destination address of the request.
    //= https://www.rfc-editor.org/rfc/rfc792
    //= id=rfc792-front-11
    //# The replying IP module should send the reply with the addresses fully specified.

    //= https://www.rfc-editor.org/rfc/rfc4443#section-4.2
    //= id=rfc4443-4.2-1
    //# The source address of an Echo Reply sent in response to a unicast Echo Request message MUST be the
    //# same as the destination address of that Echo Request message.
    let src = if routes.is_local(header.dst) {
        header.dst
    } else if !header.dst.is_v4() && header.dst.is_multicast() {
        //= https://www.rfc-editor.org/rfc/rfc4443#section-4.2
        //= id=rfc4443-4.2-2
        //# An Echo Reply SHOULD be sent in response to an Echo Request message sent to an IPv6 multicast or
        //# anycast address.
        //= https://www.rfc-editor.org/rfc/rfc4443#section-4.2
        //= id=rfc4443-4.2-3
        //# In this case, the source address of the reply MUST be a unicast address belonging to the interface
        //# on which the Echo Request message was received.
        routes.source_for(to)?
    } else {
        return None;
    };
    let mut bytes = Vec::with_capacity(HEADER_LEN + data.len());
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.6
    //= id=rfc1122-3.2.2.6-4
    //# Data received in an ICMP Echo Request MUST be entirely included in the resulting Echo Reply.
    //= https://www.rfc-editor.org/rfc/rfc792
    //= id=rfc792-front-10
    //# The data received in the echo message must be returned in the echo reply message.

    //= https://www.rfc-editor.org/rfc/rfc4443#section-4.2
    //= id=rfc4443-4.2-4
    //# The data received in the ICMPv6 Echo Request message MUST be returned entirely and unmodified in the
    //# ICMPv6 Echo Reply message.
    Message::EchoReply { id, sequence, data }.emit(src, to, &mut bytes);
    let header = Header {
        src,
        dst: to,
        hop_limit,
        // The service asked for is the service given (RFC 1349 §5.1); congestion marks are not ours to copy.
        traffic_class: header.traffic_class & !3,
        flow_label: 0,
        dont_fragment: !to.is_v4(),
        fragment: None,
        ..*header
    };
    Some((header, bytes))
}

/// A ping socket: sends echo requests with an identifier of its own and gets the replies to them, and no
/// other ICMP. Messages are read and written from their type octet on, as on Linux' `IPPROTO_ICMP` datagram
/// sockets, where the identifier takes the place of the port.
//= https://www.rfc-editor.org/rfc/rfc4443#section-4.1
//= id=rfc4443-4.1-2
//# A node SHOULD also implement an application-layer interface for originating Echo Requests and
//# receiving Echo Replies, for diagnostic purposes.
#[derive(Clone, Debug)]
pub struct PingSocket {
    family: Family,
    local: Endpoint,
    remote: Option<Address>,
    /// What the program asked for.
    pub options: SocketOptions,
    inbox: Inbox,
}

impl PingSocket {
    /// A socket that has no identifier yet and is not connected. It speaks the one family.
    pub const fn new(family: Family, options: SocketOptions) -> Self {
        let any = match family {
            Family::V4 => Address::UNSPECIFIED_V4,
            Family::V6 => Address::UNSPECIFIED,
        };
        Self { family, local: Endpoint::new(any, 0), remote: None, options, inbox: Inbox::new() }
    }

    /// The family it was made for.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Our address, and the identifier as its port; 0 is "not chosen yet".
    pub const fn local(&self) -> Endpoint {
        self.local
    }

    /// Sets our address and identifier. The caller has checked that nobody else has it.
    pub const fn set_local(&mut self, local: Endpoint) {
        self.local = local;
    }

    /// The identifier of its requests; 0 is "not chosen yet".
    pub const fn identifier(&self) -> u16 {
        self.local.port
    }

    /// The peer of a connected socket.
    pub const fn remote(&self) -> Option<Address> {
        self.remote
    }

    /// Connects the socket: requests go to `remote` by default, and only its replies come. An error that
    /// waited is forgotten with the peer it was about.
    pub const fn set_remote(&mut self, remote: Option<Address>) {
        self.remote = remote;
        self.inbox.set_error(None);
    }

    /// Whether a reply with this identifier, from `from` to `to`, is for this socket.
    pub fn matches(&self, identifier: u16, from: Address, to: Address) -> bool {
        let any = self.local.address.is_unspecified();
        self.local.port != 0
            && self.local.port == identifier
            && from.family() == self.family
            && (any || self.local.address == to)
            && self.remote.is_none_or(|peer| peer == from)
    }

    /// Takes a reply that [`matches`](Self::matches), the whole ICMP message. `Full`: it was dropped, for the
    /// caller to count.
    pub fn push(
        &mut self,
        (from, to): (Address, Address),
        labels: Labels,
        message: &[u8],
    ) -> Result<(), Full> {
        let to = Endpoint::new(to, self.local.port);
        self.inbox.push((Endpoint::new(from, 0), to), labels, message, self.options.receive_buffer as usize)
    }

    /// An ICMP error came about a request of this socket. Only a connected one hears of it, and only of a hard
    /// one. Says whether it did.
    pub const fn report(&mut self, error: Error, hard: bool) -> bool {
        let heard = hard && self.remote.is_some();
        if heard {
            self.inbox.set_error(Some(error));
        }
        heard
    }

    /// Copies the oldest reply into `buf`, from its type octet on: see [`Inbox::try_receive`].
    pub fn try_receive(&mut self, buf: &mut [u8], peek: bool) -> Result<ReceivedDatagram, Error> {
        self.inbox.try_receive(buf, peek, false)
    }

    /// Where a request goes: to `to`, or to the peer without it.
    ///
    /// Errors, in this order: a pending one; [`Error::BrokenPipe`] after a shutdown for writing;
    /// [`Error::DestinationRequired`]; [`Error::AddrFamily`]; [`Error::Access`] for a broadcast without leave;
    /// [`Error::NetUnreachable`] where there is no way.
    pub fn destination(&mut self, to: Option<Address>, routes: &Routes) -> Result<Address, Error> {
        self.inbox.check_send()?;
        let to = to.or(self.remote).ok_or(Error::DestinationRequired)?;
        if to.family() != self.family {
            return Err(Error::AddrFamily);
        }
        if routes.is_broadcast(to) && !self.options.broadcast {
            return Err(Error::Access);
        }
        if !routes.reachable(to) {
            return Err(Error::NetUnreachable);
        }
        Ok(to)
    }

    /// The ICMP message for what a program wrote: an echo request from its type octet on, 8 octets at the
    /// least. Identifier and checksum are filled in here, so what stands there counts for nothing.
    ///
    /// Errors: [`Error::Invalid`] for anything else, [`Error::MessageTooLong`] above what IP can carry.
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.6
    //= id=rfc1122-3.2.2.6-2
    //# A host SHOULD also implement an application-layer interface for sending an Echo Request and receiving
    //# an Echo Reply, for diagnostic purposes.
    pub fn request(&self, src: Address, dst: Address, message: &[u8]) -> Result<Vec<u8>, Error> {
        let Some((&[kind, code, _, _, _, _, s0, s1], data)) = message.split_first_chunk::<HEADER_LEN>()
        else {
            return Err(Error::Invalid);
        };
        let (echo, most) = match self.family {
            Family::V4 => (8, 65_515),
            Family::V6 => (128, 65_535),
        };
        if (kind, code) != (echo, 0) || src.family() != self.family {
            return Err(Error::Invalid);
        }
        if message.len() > most {
            return Err(Error::MessageTooLong);
        }
        let mut bytes = Vec::with_capacity(message.len());
        let sequence = u16::from_be_bytes([s0, s1]);
        Message::EchoRequest { id: self.local.port, sequence, data }.emit(src, dst, &mut bytes);
        Ok(bytes)
    }

    /// The protocol of its packets.
    pub const fn protocol(&self) -> u8 {
        match self.family {
            Family::V4 => protocol::ICMP,
            Family::V6 => protocol::ICMPV6,
        }
    }

    /// The pending error, which is then forgotten (`SO_ERROR`).
    pub const fn take_error(&mut self) -> Option<Error> {
        self.inbox.take_error()
    }

    /// Whether an error is pending.
    pub const fn has_error(&self) -> bool {
        self.inbox.has_error()
    }

    /// Octets of the next message to read, 0 without one.
    pub fn next_len(&self) -> usize {
        self.inbox.next_len(false)
    }

    /// Whether reading gives a message or the end.
    pub fn is_readable(&self) -> bool {
        self.inbox.is_readable()
    }

    /// Whether it was shut down for reading, and for writing.
    pub const fn closed(&self) -> (bool, bool) {
        (self.inbox.is_read_closed(), self.inbox.is_write_closed())
    }

    /// Octets that wait to be read, charged with their overhead.
    pub const fn queued(&self) -> usize {
        self.inbox.charged()
    }

    /// Shuts one direction or both. Without a peer that is [`Error::NotConnected`], but done nevertheless, as in
    /// Linux.
    pub const fn shutdown(&mut self, how: Shutdown) -> Result<(), Error> {
        self.inbox.shutdown(how);
        if self.remote.is_none() { Err(Error::NotConnected) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::net::IpAddr;

    use super::*;
    use crate::addr::Prefix;
    use crate::config::Config;
    use crate::wire::checksum::Trust;
    use crate::wire::icmp;

    fn a(s: &str) -> Address {
        s.parse::<IpAddr>().unwrap().into()
    }

    fn routes() -> Routes {
        Routes::new(vec![Prefix::new(a("10.7.0.2"), 24), Prefix::new(a("fd00::2"), 64)])
    }

    fn header(src: &str, dst: &str) -> Header {
        Header {
            src: a(src),
            dst: a(dst),
            protocol: if a(src).is_v4() { protocol::ICMP } else { protocol::ICMPV6 },
            hop_limit: 3,
            traffic_class: 0xbb,
            flow_label: 5,
            dont_fragment: true,
            fragment: None,
        }
    }

    fn socket(family: Family, local: &str, id: u16) -> PingSocket {
        let mut socket = PingSocket::new(family, SocketOptions::udp(&Config::default()));
        socket.set_local(Endpoint::new(a(local), id));
        socket
    }

    #[test]
    fn answers_with_the_very_same_data() {
        let request = Message::EchoRequest { id: 7, sequence: 9, data: b"hello" };
        for (src, dst) in [("10.7.0.1", "10.7.0.2"), ("fd00::1", "fd00::2"), ("127.0.0.1", "127.0.0.1")] {
            let (h, bytes) = reply(&request, &header(src, dst), &routes(), 64).unwrap();
            assert_eq!((h.src, h.dst, h.hop_limit), (a(dst), a(src), 64));
            assert_eq!((h.traffic_class, h.flow_label), (0xb8, 0));
            let message = icmp::parse(&h, &bytes, Trust::Verify).unwrap();
            assert_eq!(message, Message::EchoReply { id: 7, sequence: 9, data: b"hello" });
        }
    }

    #[test]
    fn does_not_answer_everything() {
        let request = Message::EchoRequest { id: 7, sequence: 9, data: b"" };
        let answer = |message, src, dst| reply(message, &header(src, dst), &routes(), 64).map(|(h, _)| h.src);
        assert_eq!(answer(&request, "10.7.0.1", "10.7.0.255"), None);
        assert_eq!(answer(&request, "10.7.0.1", "224.0.0.1"), None);
        assert_eq!(answer(&request, "::", "ff02::1"), None);
        assert_eq!(answer(&request, "fd00::1", "ff02::1"), Some(a("fd00::2")));
        let other = Message::EchoReply { id: 7, sequence: 9, data: b"" };
        assert_eq!(answer(&other, "10.7.0.1", "10.7.0.2"), None);
    }

    #[test]
    fn requests_carry_the_identifier() {
        let s = socket(Family::V4, "0.0.0.0", 0x1234);
        let (src, dst) = (a("10.7.0.2"), a("10.7.0.1"));
        let bytes = s.request(src, dst, &[8, 0, 0xff, 0xff, 0xff, 0xff, 0, 5, b'x']).unwrap();
        let message = icmp::parse(&header("10.7.0.2", "10.7.0.1"), &bytes, Trust::Verify).unwrap();
        assert_eq!(message, Message::EchoRequest { id: 0x1234, sequence: 5, data: b"x" });

        assert_eq!(s.request(src, dst, &[8, 0, 0, 0, 0, 0, 0]), Err(Error::Invalid));
        assert_eq!(s.request(src, dst, &[0; 8]), Err(Error::Invalid));
        assert_eq!(s.request(src, dst, &[8, 1, 0, 0, 0, 0, 0, 0]), Err(Error::Invalid));
        let mut large = vec![0; 65_516];
        large[0] = 8;
        assert_eq!(s.request(src, dst, &large), Err(Error::MessageTooLong));
        assert!(s.request(src, dst, &large[..65_515]).is_ok());

        let s6 = socket(Family::V6, "::", 1);
        assert!(s6.request(a("fd00::2"), a("fd00::1"), &[128, 0, 0, 0, 0, 0, 0, 0]).is_ok());
        assert_eq!(s6.request(a("fd00::2"), a("fd00::1"), &[8, 0, 0, 0, 0, 0, 0, 0]), Err(Error::Invalid));
        assert_eq!((s.protocol(), s6.protocol()), (1, 58));
    }

    #[test]
    fn replies_find_their_socket() {
        let (us, them) = (a("10.7.0.2"), a("10.7.0.1"));
        let mut s = socket(Family::V4, "0.0.0.0", 7);
        assert!(s.matches(7, them, us));
        assert!(!s.matches(8, them, us));
        assert!(!s.matches(7, a("fd00::1"), a("fd00::2")));
        s.set_remote(Some(a("10.7.0.9")));
        assert!(!s.matches(7, them, us));
        s.set_remote(Some(them));
        assert!(s.matches(7, them, us));
        assert!(!socket(Family::V4, "10.7.0.3", 7).matches(7, them, us));
        assert!(!socket(Family::V4, "0.0.0.0", 0).matches(0, them, us));

        assert_eq!(s.try_receive(&mut [0; 4], false), Err(Error::WouldBlock));
        s.push((them, us), Labels::default(), &[0, 0, 1, 2, 0, 7, 0, 1, 5]).unwrap();
        assert!(s.is_readable());
        let mut buf = [0; 32];
        let got = s.try_receive(&mut buf, false).unwrap();
        assert_eq!((got.len, got.from.address, got.to), (9, them, Endpoint::new(us, 7)));
        assert_eq!(buf[..9], [0, 0, 1, 2, 0, 7, 0, 1, 5]);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut s = socket(Family::V4, "0.0.0.0", 7);
        s.options.receive_buffer = 150;
        let (us, them) = (a("10.7.0.2"), a("10.7.0.1"));
        assert_eq!(s.push((them, us), Labels::default(), &[0; 8]), Ok(()));
        assert_eq!(s.push((them, us), Labels::default(), &[0; 8]), Ok(()));
        assert_eq!(s.push((them, us), Labels::default(), &[0; 8]), Err(Full));
    }

    #[test]
    fn destinations_and_errors() {
        let mut s = socket(Family::V4, "0.0.0.0", 7);
        let r = routes();
        assert_eq!(s.destination(None, &r), Err(Error::DestinationRequired));
        assert_eq!(s.destination(Some(a("8.8.8.8")), &r), Ok(a("8.8.8.8")));
        assert_eq!(s.destination(Some(a("fd00::1")), &r), Err(Error::AddrFamily));
        assert_eq!(s.destination(Some(a("10.7.0.255")), &r), Err(Error::Access));
        assert_eq!(s.destination(Some(a("0.0.0.0")), &r), Err(Error::NetUnreachable));
        let mut unconnected = s.clone();
        assert_eq!(unconnected.shutdown(Shutdown::Both), Err(Error::NotConnected));
        assert_eq!(unconnected.closed(), (true, true));
        assert!(!s.report(Error::HostUnreachable, true));
        s.set_remote(Some(a("10.7.0.1")));
        assert!(!s.report(Error::HostUnreachable, false));
        assert!(s.report(Error::HostUnreachable, true));
        assert_eq!(s.destination(None, &r), Err(Error::HostUnreachable));
        assert_eq!(s.destination(None, &r), Ok(a("10.7.0.1")));
        s.report(Error::HostUnreachable, true);
        assert_eq!(s.take_error(), Some(Error::HostUnreachable));
        assert_eq!(s.take_error(), None);
        s.shutdown(Shutdown::Write).unwrap();
        assert_eq!(s.destination(None, &r), Err(Error::BrokenPipe));
        assert_eq!(s.closed(), (false, true));
    }
}
