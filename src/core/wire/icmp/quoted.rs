//! The packet that an ICMP error quotes: the start of one that we sent, or that somebody pretends we sent.

use crate::addr::Address;
use crate::tcp::seq::Seq;
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
        let first_fragment = u16::from_be_bytes([f0, f1]) & 0x1fff == 0;
        Some(Self {
            src: Address::from_v4_octets([s0, s1, s2, s3]),
            dst: Address::from_v4_octets([d0, d1, d2, d3]),
            protocol,
            transport: rest(bytes, header_len, usize::from(u16::from_be_bytes([l0, l1])), first_fragment),
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
        let mut first_fragment = true;
        // Each step goes on by 8 octets at least, and there is an end to what can be quoted.
        while first_fragment && let Some((after, len, first)) = extension(next, bytes.get(at..)?) {
            (next, at, first_fragment) = (after, at + len, first);
        }
        let known = first_fragment && !is_extension(next);
        Some(Self { src, dst, protocol: next, transport: rest(bytes, at, end, known) })
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
