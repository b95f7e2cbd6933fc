//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers as one value, and the walk over extension headers.

use alloc::vec::Vec;

use etherparse::Ipv6HeaderSlice;

use super::WireError;
use super::checksum::Sum;
use crate::addr::Address;

mod v6;

pub use v6::walk_v6_payload;

/// Protocol numbers (IANA): what an IP packet carries.
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6: nothing follows.
    pub const NO_NEXT_HEADER: u8 = 59;
}

/// Octets of an IPv4 header without options.
pub const V4_HEADER_LEN: usize = 20;
/// Octets of an IPv6 header without extension headers.
pub const V6_HEADER_LEN: usize = 40;
/// Octets of an IPv6 fragment header.
pub const FRAGMENT_HEADER_LEN: usize = 8;
/// What both length fields can tell at the most: the whole packet in IPv4, what follows the header in IPv6.
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.2
//= id=rfc1122-3.3.2-2
//# EMTU_R MUST be greater than or equal to 576, SHOULD be either configurable or indefinite, and SHOULD be
//# greater than or equal to the MTU of the connected network(s).
//= https://www.rfc-editor.org/rfc/rfc8200#section-5
//= id=rfc8200-5-5
//# A node must be able to accept a fragmented packet that, after reassembly, is as large as 1500 octets.
pub const MAX_LEN: usize = 65_535;

/// The ECN field of IP (RFC 3168 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct = 0,
    /// ECN-capable, codepoint 01.
    Ect1 = 1,
    /// ECN-capable, codepoint 10.
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Ecn {
    /// From the lower two bits.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }
}

/// Where a fragment belongs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fragment {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Offset of its first octet in the whole payload, a multiple of 8.
    pub offset: u32,
    /// Whether more follow.
    pub more: bool,
}

impl Fragment {
    /// Whether it is a whole packet by itself (RFC 6946): an IPv6 fragment header with nothing cut off.
    pub const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }

    /// Flags and offset as IPv4 writes them: MF in bit 13, offset in units of 8 octets.
    const fn v4_field(&self) -> u16 {
        (self.offset >> 3) as u16 & 0x1fff | (self.more as u16) << 13
    }

    /// Offset and M flag as IPv6 writes them: the offset in octets, M in bit 0.
    const fn v6_field(&self) -> u16 {
        (self.offset as u16) & !7 | self.more as u16
    }
}

/// What both versions of IP say about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Sender.
    pub src: Address,
    /// Receiver; with a consumed routing header the final one.
    pub dst: Address,
    /// What the payload is: a number of [`protocol`]. In IPv6 what the last extension header walked names.
    pub protocol: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// DSCP in the upper six bits, ECN in the lower two.
    pub traffic_class: u8,
    /// IPv6 flow label, 20 bits; 0 for IPv4.
    pub flow_label: u32,
    /// IPv4 DF; always true for IPv6, which routers never fragment.
    pub dont_fragment: bool,
    /// Set when the packet is one fragment of a larger one. An IPv6 atomic fragment (offset 0, nothing more)
    /// has it set too.
    pub fragment: Option<Fragment>,
}

impl Header {
    /// The ECN field.
    pub const fn ecn(&self) -> Ecn {
        Ecn::from_bits(self.traffic_class)
    }

    /// Octets its emitted form takes: 20 for IPv4 (we send no options), 40 for IPv6, 48 with a fragment
    /// header.
    pub const fn emitted_len(&self) -> usize {
        match (self.src.is_v4(), self.fragment) {
            (true, _) => V4_HEADER_LEN,
            (false, None) => V6_HEADER_LEN,
            (false, Some(_)) => V6_HEADER_LEN + FRAGMENT_HEADER_LEN,
        }
    }

    /// Appends the header for a payload of `payload_len` octets: [`emitted_len`](Self::emitted_len) octets,
    /// with the checksum for IPv4. `id` is the IPv4 identification of a packet that is no fragment; a
    /// fragment has its own.
    ///
    /// # Errors
    ///
    /// [`WireError::Length`] where the packet would be longer than the length field can tell, or a fragment
    /// offset is not a multiple of 8 below 65,536; [`WireError::Version`] where the two addresses are of
    /// different families. Nothing is appended then.
    pub fn emit(&self, payload_len: usize, id: u16, out: &mut Vec<u8>) -> Result<(), WireError> {
        if self.src.is_v4() != self.dst.is_v4() {
            return Err(WireError::Version);
        }
        if self.fragment.is_some_and(|f| f.offset % 8 != 0 || f.offset > 0xffff) {
            return Err(WireError::Length);
        }
        if self.src.is_v4() { self.emit_v4(payload_len, id, out) } else { self.emit_v6(payload_len, out) }
    }

    fn emit_v4(&self, payload_len: usize, id: u16, out: &mut Vec<u8>) -> Result<(), WireError> {
        let [l0, l1] = length_field(V4_HEADER_LEN, payload_len)?;
        let (id, fragment) = self.fragment.map_or((id, 0), |f| (f.id as u16, f.v4_field()));
        let [i0, i1] = id.to_be_bytes();
        let [f0, f1] = (fragment | u16::from(self.dont_fragment) << 14).to_be_bytes();
        let (ttl, class, protocol) = (self.hop_limit, self.traffic_class, self.protocol);
        let words = |c0, c1| {
            let ends = (self.src.v4_octets(), self.dst.v4_octets());
            [[0x45, class, l0, l1], [i0, i1, f0, f1], [ttl, protocol, c0, c1], ends.0, ends.1]
        };
        let [c0, c1] = Sum::of_words(&words(0, 0)).finish().to_be_bytes();
        out.extend_from_slice(words(c0, c1).as_flattened());
        Ok(())
    }

    fn emit_v6(&self, payload_len: usize, out: &mut Vec<u8>) -> Result<(), WireError> {
        let [l0, l1] = length_field(self.emitted_len() - V6_HEADER_LEN, payload_len)?;
        let word = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0xf_ffff;
        let [w0, w1, w2, w3] = word.to_be_bytes();
        let next = if self.fragment.is_some() { v6::FRAGMENT } else { self.protocol };
        out.reserve(self.emitted_len());
        out.extend_from_slice(&[w0, w1, w2, w3, l0, l1, next, self.hop_limit]);
        out.extend_from_slice(self.src.octets());
        out.extend_from_slice(self.dst.octets());
        if let Some(fragment) = self.fragment {
            let [o0, o1] = fragment.v6_field().to_be_bytes();
            out.extend_from_slice(&[self.protocol, 0, o0, o1]);
            out.extend_from_slice(&fragment.id.to_be_bytes());
        }
        Ok(())
    }
}

fn length_field(header: usize, payload: usize) -> Result<[u8; 2], WireError> {
    let len = header.checked_add(payload).and_then(|len| u16::try_from(len).ok());
    len.map(u16::to_be_bytes).ok_or(WireError::Length)
}

/// An IP packet taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parsed<'a> {
    /// What its header says.
    pub header: Header,
    /// What it carries: octets of `header.protocol`. Of a fragment its part, in IPv6 what follows the
    /// fragment header. Empty after [`protocol::NO_NEXT_HEADER`] (RFC 8200 §4.7).
    pub payload: &'a [u8],
    /// Octets before the payload: the header with its options or extension headers. Of an IPv6 fragment the
    /// last 8 are the fragment header, and what is before them is the unfragmentable part (RFC 8200 §4.5).
    pub header_len: usize,
    /// Offset of the octet that names `header.protocol`: the pointer of a parameter problem about it
    /// (RFC 8200 §4, RFC 4443 §3.4).
    pub protocol_offset: u16,
    /// The packet, cut to the length that its IP header tells.
    pub packet: &'a [u8],
}

/// Takes an IP packet apart, of either version. `packet` starts at the IP header and may be longer than the
/// packet (padding of the link).
///
/// IPv4: the header checksum is verified, options are skipped, source routes are refused. IPv6: extension
/// headers are walked up to the payload, or to the fragment header of a fragment that is not atomic; what
/// follows that is for [`walk_v6_payload`] once it is reassembled.
///
/// # Errors
///
/// The [`WireError`] that says what is wrong. [`WireError::Unrecognised`] asks for an ICMP parameter problem.
pub fn parse(packet: &[u8]) -> Result<Parsed<'_>, WireError> {
    parse_head(packet, 0)
}

/// The same of a packet of which `packet` is the front, with all headers in it, and the last `behind` octets lie elsewhere. The
/// payload is what of it is here.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_head(packet: &[u8], behind: usize) -> Result<Parsed<'_>, WireError> {
    match packet.first().ok_or(WireError::Truncated)? >> 4 {
        4 => parse_v4(packet, behind),
        6 => parse_v6(packet, behind),
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.1
        //= id=rfc1122-3.2.1.1-1
        //# A datagram whose version number is not 4 MUST be silently discarded.
        _ => Err(WireError::Version),
    }
}

/// Where the packet that starts with these octets goes to, with nothing else looked at or verified: for
/// packets that the stack has built. `None` where they are no IP header.
pub fn destination(packet: &[u8]) -> Option<Address> {
    match packet.first()? >> 4 {
        4 => packet.get(16..)?.first_chunk().map(|&octets| Address::from_v4_octets(octets)),
        6 => packet.get(24..)?.first_chunk().map(|&octets| Address::from_octets(octets)),
        _ => None,
    }
}

/// The first `len` octets of a packet, as far as they do not lie among the last `behind`.
fn cut(packet: &[u8], len: usize, behind: usize) -> Result<&[u8], WireError> {
    match packet.get(..len) {
        Some(packet) => Ok(packet),
        None if len - packet.len() <= behind => Ok(packet),
        None => Err(WireError::Truncated),
    }
}

fn parse_v4(packet: &[u8], behind: usize) -> Result<Parsed<'_>, WireError> {
    let Some(&fixed) = packet.first_chunk::<V4_HEADER_LEN>() else { return Err(WireError::Truncated) };
    let [first, class, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, src @ .., d0, d1, d2, d3] = fixed;
    let header_len = usize::from(first & 0xf) * 4;
    if header_len < V4_HEADER_LEN {
        return Err(WireError::Length);
    }
    let options = packet.get(V4_HEADER_LEN..header_len).ok_or(WireError::Truncated)?;
    let total_len = usize::from(u16::from_be_bytes([l0, l1]));
    if total_len < header_len {
        return Err(WireError::Length);
    }
    let packet = cut(packet, total_len, behind)?;
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.2
    //= id=rfc1122-3.2.1.2-1
    //# A host MUST verify the IP header checksum on every received datagram and silently discard every
    //# datagram that has a bad checksum.
    let sum = Sum::of_words(fixed.as_chunks().0);
    // Nearly none has options.
    if !options.is_empty() {
        if sum.add(options).finish() != 0 {
            return Err(WireError::Checksum);
        }
        check_v4_options(options)?;
    } else if sum.finish() != 0 {
        return Err(WireError::Checksum);
    }

    let payload = packet.get(header_len..).unwrap_or_default();
    // Flags and offset (RFC 791 §3.1): a reserved bit, DF, MF, and 13 bits that count eights of octets.
    let field = u16::from_be_bytes([f0, f1]);
    let (offset, more) = (u32::from(field & 0x1fff) * 8, field & 0x2000 != 0);
    let id = u32::from(u16::from_be_bytes([i0, i1]));
    let fragment = (more || offset != 0).then_some(Fragment { id, offset, more });
    if fragment.is_some() {
        // RFC 791 §3.2: all but the last are cut at a multiple of 8, and the whole has a length that fits.
        let end = header_len + offset as usize + payload.len();
        if payload.is_empty() || (more && payload.len() % 8 != 0) || end > MAX_LEN {
            return Err(WireError::Length);
        }
    }
    let header = Header {
        src: Address::from_v4_octets(src),
        dst: Address::from_v4_octets([d0, d1, d2, d3]),
        protocol,
        hop_limit: ttl,
        traffic_class: class,
        flow_label: 0,
        dont_fragment: field & 0x4000 != 0,
        fragment,
    };
    Ok(Parsed { header, payload, header_len, protocol_offset: 9, packet })
}

/// Options are skipped by their length (RFC 791 §3.1); a source route is refused, as hosts do now by default
/// (RFC 7126 §4.3, §4.4). An impossible length is a parameter problem (RFC 1122 §3.2.1.8, RFC 792).
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2
//= id=MUST-50
//# a TCP implementation MUST ignore options that it does not understand (MUST-50).
fn check_v4_options(mut options: &[u8]) -> Result<(), WireError> {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    const STRICT_SOURCE_ROUTE: u8 = 137;
    let whole = options.len();
    while let Some((&kind, rest)) = options.split_first() {
        options = match kind {
            END => break,
            NO_OPERATION => rest,
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => return Err(WireError::Discard),
            //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.8
            //= id=rfc1122-3.2.1.8-3, rfc1122-3.2.1.8-4
            _ => {
                let at = V4_HEADER_LEN + whole - options.len();
                let bad = WireError::Unrecognised { pointer: at as u16, code: 0, even_multicast: false };
                let len = usize::from(*rest.first().ok_or(bad)?);
                if len < 2 {
                    return Err(bad);
                }
                options.get(len..).ok_or(bad)?
            }
        };
    }
    Ok(())
}

fn parse_v6(packet: &[u8], behind: usize) -> Result<Parsed<'_>, WireError> {
    let slice = Ipv6HeaderSlice::from_slice(packet).map_err(|_| WireError::Truncated)?;
    let len = V6_HEADER_LEN + usize::from(slice.payload_length());
    let packet = cut(packet, len, behind)?;
    let (src, dst) = (Address::from_octets(slice.source()), Address::from_octets(slice.destination()));
    // They would pass for IPv4 from here on, and so past whatever is allowed by address: RFC 4291 §2.5.5.2
    // has them name IPv4 nodes to IPv6 programs, not stand on the wire.
    if src.is_v4() || dst.is_v4() {
        return Err(WireError::Discard);
    }
    let end = v6::walk_packet(packet, slice.next_header().0)?;
    let header = Header {
        src,
        dst,
        protocol: end.protocol,
        hop_limit: slice.hop_limit(),
        traffic_class: slice.traffic_class(),
        flow_label: slice.flow_label().value(),
        dont_fragment: true,
        fragment: end.fragment,
    };
    Ok(Parsed {
        header,
        payload: end.payload,
        header_len: end.header_len,
        protocol_offset: end.protocol_offset,
        packet,
    })
}

#[cfg(test)]
mod tests;
