//! The packet that an ICMP error quotes: the start of one that we sent, or that somebody pretends we sent.

use crate::addr::Address;
use crate::seq::Seq;
use crate::wire::ip::{FRAGMENT_HEADER_LEN, V4_HEADER_LEN, V6_HEADER_LEN, protocol};

/// What can be known of a quoted packet. IPv4 quotes 8 octets of the transport header at the least
/// (RFC 792), IPv6 as much as fits (RFC 4443 §3); nothing in it is verified by a checksum, so whoever acts on
/// it compares it with what was really sent (RFC 5927 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quoted<'a> {
    /// Its sender: one of our addresses if the error is honest.
    pub src: Address,
    /// Where it went.
    pub dst: Address,
    /// What it carried: a number of [`protocol`]. In IPv6, where the quotation ends within the extension
    /// headers, the number of the one that is cut.
    pub protocol: u8,
    /// The start of its transport header. Empty if that is not there, as in any fragment but the first.
    pub transport: &'a [u8],
    /// It was a part of a packet that was cut, or has a header that says so.
    pub fragment: bool,
}

impl<'a> Quoted<'a> {
    /// Reads the start of a packet as far as it goes. Lenient where [`ip::parse`](super::ip::parse) is
    /// strict: the packet is cut short, routers have changed its header, and some did so wrongly; lengths
    /// beyond what is there are ignored, and IPv6 extension headers are passed over unread.
    ///
    /// `None` where not even the fixed IP header is there.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => None,
        }
    }

    fn parse_v4(bytes: &'a [u8]) -> Option<Self> {
        let &[first, _, l0, l1, _, _, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
            bytes.first_chunk::<V4_HEADER_LEN>()?;
        let header_len = usize::from(first & 0xf) * 4;
        if header_len < V4_HEADER_LEN {
            return None;
        }
        let fragment = u16::from_be_bytes([f0, f1]) & 0x3fff;
        let first_fragment = fragment & 0x1fff == 0;
        Some(Self {
            src: Address::from_v4_octets([s0, s1, s2, s3]),
            dst: Address::from_v4_octets([d0, d1, d2, d3]),
            protocol,
            transport: rest(bytes, header_len, usize::from(u16::from_be_bytes([l0, l1])), first_fragment),
            fragment: fragment != 0,
        })
    }

    fn parse_v6(bytes: &'a [u8]) -> Option<Self> {
        let (fixed, after) = bytes.split_first_chunk::<8>()?;
        let &[_, _, _, _, l0, l1, mut next, _] = fixed;
        let (&src, after) = after.split_first_chunk()?;
        let (&dst, _) = after.split_first_chunk()?;
        let (src, dst) = (Address::from_octets(src), Address::from_octets(dst));
        if src.is_v4() || dst.is_v4() {
            return None; // v4-mapped, which no packet of ours has on the wire
        }
        let end = V6_HEADER_LEN + usize::from(u16::from_be_bytes([l0, l1]));
        let mut at = V6_HEADER_LEN;
        let (mut first_fragment, mut fragment) = (true, false);
        // Each step goes on by 8 octets at least, and there is an end to what can be quoted.
        while first_fragment && let Some((after, len, first)) = extension(next, bytes.get(at..)?) {
            fragment |= next == FRAGMENT;
            (next, at, first_fragment) = (after, at + len, first);
        }
        let known = first_fragment && !is_extension(next);
        Some(Self { src, dst, protocol: next, transport: rest(bytes, at, end, known), fragment })
    }

    /// Source and destination port of a TCP segment or UDP datagram, in host order: ours and the peer's.
    pub fn ports(&self) -> Option<(u16, u16)> {
        if !matches!(self.protocol, protocol::TCP | protocol::UDP) {
            return None;
        }
        let &[a, b, c, d] = self.transport.first_chunk()?;
        Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }

    /// Sequence number of a TCP segment.
    pub fn tcp_seq(&self) -> Option<Seq> {
        if self.protocol != protocol::TCP {
            return None;
        }
        let &[_, _, _, _, a, b, c, d] = self.transport.first_chunk()?;
        Some(Seq::new(u32::from_be_bytes([a, b, c, d])))
    }

    /// Identifier of an echo request.
    pub fn echo_id(&self) -> Option<u16> {
        let request = match self.protocol {
            protocol::ICMP if self.src.is_v4() => super::v4::ECHO_REQUEST,
            protocol::ICMPV6 if !self.src.is_v4() => super::v6::ECHO_REQUEST,
            _ => return None,
        };
        let &[kind, _, _, _, a, b] = self.transport.first_chunk()?;
        (kind == request).then_some(u16::from_be_bytes([a, b]))
    }
}

/// What lies between the headers and the end of the packet, or of the quotation if that comes first: behind
/// the packet an extension structure may follow (RFC 4884 §4).
fn rest(bytes: &[u8], start: usize, end: usize, known: bool) -> &[u8] {
    if !known {
        return &[];
    }
    // Some senders quote the length in their own byte order, or with offload none at all.
    let end = if end < start { bytes.len() } else { end.min(bytes.len()) };
    bytes.get(start..end).unwrap_or_default()
}

const FRAGMENT: u8 = 44;

const fn is_extension(next: u8) -> bool {
    matches!(next, 0 | 43 | FRAGMENT | 60)
}

/// The extension header at the start of `bytes`: what follows it, its length, and whether that is the start
/// of what the packet carries, which it is not in a fragment but the first. `None` where it is cut or none.
fn extension(next: u8, bytes: &[u8]) -> Option<(u8, usize, bool)> {
    if !is_extension(next) {
        return None;
    }
    let &[after, len, o0, o1, ..] = bytes.first_chunk::<8>()?;
    let (len, first) = if next == FRAGMENT {
        (FRAGMENT_HEADER_LEN, u16::from_be_bytes([o0, o1]) & !7 == 0)
    } else {
        ((usize::from(len) + 1) * 8, true)
    };
    (len <= bytes.len()).then_some((after, len, first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Family;
    use crate::wire::ip::{Fragment, Header};
    use crate::wire::testing::{octets, plain};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Ports 80 and 50,000, sequence number 0x01020304; as ICMP an echo reply.
    const TRANSPORT: [u8; 12] = [0, 80, 0xc3, 0x50, 1, 2, 3, 4, 5, 6, 7, 8];

    fn packet(header: Header, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        header.emit(payload.len(), 0, &mut out).unwrap();
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn what_the_least_quotation_holds() {
        for family in [Family::V4, Family::V6] {
            let header = plain(family, protocol::TCP);
            let bytes = packet(header, &TRANSPORT);
            let start = header.emitted_len();
            for len in 0..start {
                assert_eq!(Quoted::parse(&bytes[..len]), None);
            }
            let bare = Quoted::parse(&bytes[..start]).unwrap();
            assert_eq!((bare.src, bare.dst, bare.protocol), (header.src, header.dst, protocol::TCP));
            assert_eq!((bare.ports(), bare.tcp_seq()), (None, None));
            let ports = Quoted::parse(&bytes[..start + 4]).unwrap();
            assert_eq!((ports.ports(), ports.tcp_seq()), (Some((80, 50_000)), None));
            let eight = Quoted::parse(&bytes[..start + 8]).unwrap();
            assert_eq!((eight.ports(), eight.tcp_seq()), (Some((80, 50_000)), Some(Seq::new(0x0102_0304))));
            assert_eq!(eight.echo_id(), None);
        }
    }

    #[test]
    fn what_is_behind_the_packet_is_not_of_it() {
        for family in [Family::V4, Family::V6] {
            let mut bytes = packet(plain(family, protocol::UDP), &TRANSPORT);
            bytes.extend([0; 100]);
            assert_eq!(Quoted::parse(&bytes).unwrap().transport, TRANSPORT);
        }
        // A length that cannot be is not believed.
        let mut bytes = packet(plain(Family::V4, protocol::UDP), &TRANSPORT);
        bytes[2..4].fill(0);
        assert_eq!(Quoted::parse(&bytes).unwrap().transport, TRANSPORT);
    }

    #[test]
    fn ipv4_options_are_passed_over() {
        let mut bytes = packet(plain(Family::V4, protocol::UDP), &[&[1; 8], &TRANSPORT[..]].concat());
        bytes[0] = 0x47;
        assert_eq!(Quoted::parse(&bytes).unwrap().ports(), Some((80, 50_000)));
        assert_eq!(Quoted::parse(&bytes[..24]).unwrap().ports(), None);
        bytes[0] = 0x44;
        assert_eq!(Quoted::parse(&bytes), None);
    }

    #[test]
    fn ipv6_extension_headers_are_passed_over() {
        let chain =
            [&[43, 1][..], &[0xee; 14], &[44, 0, 2, 9, 0, 0, 0, 0], &[17, 0, 0, 1, 0, 0, 0, 7]].concat();
        let bytes = packet(plain(Family::V6, 0), &[&chain, &TRANSPORT[..]].concat());
        let quoted = Quoted::parse(&bytes).unwrap();
        assert_eq!((quoted.protocol, quoted.ports()), (protocol::UDP, Some((80, 50_000))));
        // Cut within the routing header: it is not known what would have come.
        let cut = Quoted::parse(&bytes[..40 + 16 + 7]).unwrap();
        assert_eq!((cut.protocol, cut.transport, cut.ports()), (43, &[][..], None));
        // And within the hop-by-hop options, whose length tells of more than there is.
        let cut = Quoted::parse(&bytes[..40 + 10]).unwrap();
        assert_eq!((cut.protocol, cut.transport), (0, &[][..]));
    }

    #[test]
    fn only_a_first_fragment_has_ports() {
        for family in [Family::V4, Family::V6] {
            for (offset, ports) in [(0, Some((80, 50_000))), (8, None)] {
                let fragment = Some(Fragment { id: 1, offset, more: true });
                let bytes = packet(Header { fragment, ..plain(family, protocol::UDP) }, &TRANSPORT);
                let quoted = Quoted::parse(&bytes).unwrap();
                assert_eq!((quoted.protocol, quoted.ports()), (protocol::UDP, ports));
            }
        }
    }

    #[test]
    fn pings_of_the_family_have_an_identifier() {
        let ping = |family, protocol, kind| {
            let bytes = packet(plain(family, protocol), &[kind, 0, 0, 0, 0x12, 0x34, 0, 1]);
            Quoted::parse(&bytes).unwrap().echo_id()
        };
        assert_eq!(ping(Family::V4, protocol::ICMP, 8), Some(0x1234));
        assert_eq!(ping(Family::V6, protocol::ICMPV6, 128), Some(0x1234));
        assert_eq!(ping(Family::V4, protocol::ICMP, 0), None);
        assert_eq!(ping(Family::V4, protocol::ICMPV6, 128), None);
        assert_eq!(ping(Family::V6, protocol::ICMP, 8), None);
    }

    #[test]
    fn v4_mapped_addresses_do_not_pass_for_ipv4() {
        for at in [8, 24] {
            let mut bytes = packet(plain(Family::V6, protocol::UDP), &TRANSPORT);
            bytes[at..at + 12].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
            assert_eq!(Quoted::parse(&bytes), None);
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic(
            v6: bool, next in prop::sample::select(&[0u8, 6, 17, 43, 44, 58, 60][..]), rest in octets(90), noise in octets(90)
        ) {
            let family = if v6 { Family::V6 } else { Family::V4 };
            for bytes in [packet(plain(family, next), &rest), noise] {
                if let Some(quoted) = Quoted::parse(&bytes) {
                    _ = (quoted.ports(), quoted.tcp_seq(), quoted.echo_id());
                    prop_assert!(bytes.ends_with(quoted.transport) || quoted.transport.len() < bytes.len());
                }
            }
        }
    }
}
