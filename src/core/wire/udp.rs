//! The UDP header (RFC 768): parse and emit.

use alloc::vec::Vec;

use super::WireError;
use super::checksum::{Checksum, Sum, Trust, pseudo_header};
use super::ip::{self, protocol};
use crate::addr::Address;

/// Octets of the header.
pub const HEADER_LEN: usize = 8;
/// Offset of the checksum in the header.
const CHECKSUM_OFFSET: u16 = 6;
/// The longest payload whose length the header can tell. IPv4 carries 20 octets less.
pub const MAX_PAYLOAD_LEN: usize = 65_535 - HEADER_LEN;

/// The ports of a datagram, in host order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Source port; 0 where no answer is wanted.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
}

/// Takes a datagram apart: its header, and its payload cut to what the length field tells. `bytes` is the
/// whole payload of the packet whose IP header is `ip`.
///
/// # Errors
///
/// [`WireError::Truncated`] where it is shorter than its header or its length field, [`WireError::Length`]
/// where that is below 8. [`WireError::Checksum`] unless `trust` says not to look or an IPv4 sender computed
/// none; a checksum of 0 in IPv6 is an error in any case (RFC 8200 §8.1).
pub fn parse<'a>(ip: &ip::Header, bytes: &'a [u8], trust: Trust) -> Result<(Header, &'a [u8]), WireError> {
    let Some(&[s0, s1, d0, d1, l0, l1, c0, c1]) = bytes.first_chunk() else {
        return Err(WireError::Truncated);
    };
    let len = u16::from_be_bytes([l0, l1]);
    if usize::from(len) < HEADER_LEN {
        return Err(WireError::Length);
    }
    let datagram = bytes.get(..usize::from(len)).ok_or(WireError::Truncated)?;
    let without_checksum = [c0, c1] == [0, 0];
    //= https://www.rfc-editor.org/rfc/rfc8200#section-8.1
    //= id=rfc8200-8.1-3
    //# IPv6 receivers must discard UDP packets containing a zero checksum and should log the error.
    if without_checksum && !ip.src.is_v4() {
        return Err(WireError::Checksum);
    }
    //= https://www.rfc-editor.org/rfc/rfc768
    //= id=rfc768-front-2
    //# The UDP module must be able to determine the source and destination internet addresses and the
    //# protocol field from the internet header.
    if trust == Trust::Verify
        && !without_checksum
        && pseudo_header(ip.src, ip.dst, protocol::UDP, len.into()).add(datagram).finish() != 0
    {
        return Err(WireError::Checksum);
    }
    let header = Header { src_port: u16::from_be_bytes([s0, s1]), dst_port: u16::from_be_bytes([d0, d1]) };
    Ok((header, datagram.get(HEADER_LEN..).unwrap_or_default()))
}

/// Appends header and payload, the checksum always in place. There is no IP header. A payload of more than
/// [`MAX_PAYLOAD_LEN`] octets has no form on the wire: nothing is appended.
pub fn emit(src: Address, dst: Address, header: Header, payload: &[u8], out: &mut Vec<u8>) {
    let Some((fixed, pseudo)) = fixed(src, dst, header, payload.len()) else { return };
    out.reserve(HEADER_LEN + payload.len());
    out.extend_from_slice(&fixed);
    out.extend_from_slice(&checksum(pseudo.add(&fixed).add(payload)).to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends a whole packet of one datagram, or of several that a device cuts apart: IP header, UDP header, payload.
/// `id` is the IPv4 identification. `partial`: the checksum is left to the device. Nothing is appended where
/// the packet has no form on the wire.
///
/// # Errors
/// [`WireError::Length`] where a length field cannot tell its length, [`WireError::Version`] where the addresses are
/// of two families.
pub fn emit_packet(
    ip: &ip::Header,
    header: Header,
    payload: &[u8],
    id: u16,
    partial: bool,
    out: &mut Vec<u8>,
) -> Result<Checksum, WireError> {
    let (fixed, pseudo) = fixed(ip.src, ip.dst, header, payload.len()).ok_or(WireError::Length)?;
    out.reserve(ip.emitted_len() + HEADER_LEN + payload.len());
    let packet = out.len();
    ip.emit(HEADER_LEN + payload.len(), id, out)?;
    let start = out.len() - packet;
    let (field, checksum) = if partial {
        (pseudo.partial(), Checksum::Partial { start: start as u16, offset: CHECKSUM_OFFSET })
    } else {
        (checksum(pseudo.add(&fixed).add(payload)), Checksum::Complete)
    };
    out.extend_from_slice(&fixed);
    out.extend_from_slice(&field.to_be_bytes());
    out.extend_from_slice(payload);
    Ok(checksum)
}

/// The header without its checksum, and the sum of the pseudo-header.
fn fixed(src: Address, dst: Address, header: Header, payload: usize) -> Option<([u8; 6], Sum)> {
    let len = u16::try_from(HEADER_LEN.saturating_add(payload)).ok()?;
    let ([s0, s1], [d0, d1]) = (header.src_port.to_be_bytes(), header.dst_port.to_be_bytes());
    let [l0, l1] = len.to_be_bytes();
    Some(([s0, s1, d0, d1, l0, l1], pseudo_header(src, dst, protocol::UDP, len.into())))
}

/// What is put in the place of the checksum. RFC 768: 0 says that there is none, so a sum that comes to 0 is sent as
/// its equal.
//= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.4
//= id=rfc1122-4.1.3.4-1
//# A host MUST implement the facility to generate and validate UDP checksums.
fn checksum(sum: Sum) -> u16 {
    match sum.finish() {
        //= https://www.rfc-editor.org/rfc/rfc8200#section-8.1
        //= id=rfc8200-8.1-2
        //# That is, whenever originating a UDP packet, an IPv6 node must compute a UDP checksum over the
        //# packet and the pseudo-header, and, if that computation yields a result of zero, it must be
        //# changed to hex FFFF for placement in the UDP header.
        0 => 0xffff,
        sum => sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Family;
    use crate::wire::testing::{header, octets, plain};
    use alloc::vec;
    use etherparse::{PacketBuilder, UdpSlice};
    use proptest::prelude::*;

    const PORTS: Header = Header { src_port: 7, dst_port: 8 };

    proptest! {
        //= https://www.rfc-editor.org/rfc/rfc8200#section-8.1
        //= type=test
        //= id=rfc8200-8.1-1
        #[test]
        fn what_is_emitted_is_parsed_and_etherparse_agrees(
            ip in header(protocol::UDP), src_port: u16, dst_port: u16, payload in octets(60), padding in octets(5)
        ) {
            let ports = Header { src_port, dst_port };
            let mut out = vec![0xee];
            emit(ip.src, ip.dst, ports, &payload, &mut out);
            let mut bytes = out.split_off(1);
            let theirs = UdpSlice::from_slice(&bytes).unwrap().to_header();
            let sum = if ip.src.is_v4() {
                theirs.calc_checksum_ipv4_raw(ip.src.v4_octets(), ip.dst.v4_octets(), &payload)
            } else {
                theirs.calc_checksum_ipv6_raw(*ip.src.octets(), *ip.dst.octets(), &payload)
            };
            prop_assert_eq!(theirs.checksum, sum.unwrap());
            prop_assert_eq!((theirs.source_port, theirs.destination_port), (src_port, dst_port));
            prop_assert_eq!(usize::from(theirs.length), HEADER_LEN + payload.len());
            bytes.extend_from_slice(&padding);
            prop_assert_eq!(parse(&ip, &bytes, Trust::Verify), Ok((ports, &payload[..])));
        }

        #[test]
        fn etherparse_writes_what_is_parsed(src: [u8; 16], dst: [u8; 16], payload in octets(60)) {
            let mut bytes = Vec::new();
            PacketBuilder::ipv6(src, dst, 9).udp(7, 8).write(&mut bytes, &payload).unwrap();
            let ip = ip::parse(&bytes).unwrap();
            prop_assert_eq!(parse(&ip.header, ip.payload, Trust::Verify), Ok((PORTS, &payload[..])));
        }

        #[test]
        fn no_octets_panic(ip in header(protocol::UDP), bytes in octets(40)) {
            _ = parse(&ip, &bytes, Trust::Verify);
            _ = parse(&ip, &bytes, Trust::Trusted);
        }

        #[test]
        fn no_bit_flips_unseen(ip in header(protocol::UDP), payload in octets(20), bit in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            emit(ip.src, ip.dst, PORTS, &payload, &mut bytes);
            let sum = [bytes[6], bytes[7]];
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            // A sum whose last bit is lost reads as none in IPv4: RFC 768 has no remedy.
            prop_assume!(!(ip.src.is_v4() && [bytes[6], bytes[7]] == [0, 0] && sum != [0, 0]));
            prop_assert!(parse(&ip, &bytes, Trust::Verify).is_err());
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc8200#section-8.1
    //= type=test
    //= id=rfc8200-8.1-2
    #[test]
    fn a_sum_of_zero_is_sent_as_its_equal() {
        for family in [Family::V4, Family::V6] {
            let ip = plain(family, protocol::UDP);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            emit(ip.src, ip.dst, PORTS, &[0, 0], &mut first);
            // The checksum as payload makes the sum that of all ones.
            let payload = [first[6], first[7]];
            emit(ip.src, ip.dst, PORTS, &payload, &mut second);
            assert_eq!(second[6..8], [0xff, 0xff]);
            assert_eq!(parse(&ip, &second, Trust::Verify), Ok((PORTS, &payload[..])));
        }
    }

    #[test]
    fn a_checksum_of_zero_is_none_in_ipv4_and_wrong_in_ipv6() {
        let bytes = [0, 7, 0, 8, 0, 9, 0, 0, 42];
        assert_eq!(parse(&plain(Family::V4, protocol::UDP), &bytes, Trust::Verify), Ok((PORTS, &[42][..])));
        let v6 = plain(Family::V6, protocol::UDP);
        assert_eq!(parse(&v6, &bytes, Trust::Verify), Err(WireError::Checksum));
        assert_eq!(parse(&v6, &bytes, Trust::Trusted), Err(WireError::Checksum));
    }

    #[test]
    fn lengths_and_trust() {
        let ip = plain(Family::V4, protocol::UDP);
        let with = |len: u8, trust| {
            parse(&ip, &[0, 7, 0, 8, 0, len, 1, 1, 42, 43], trust).map(|(_, payload)| payload.len())
        };
        assert_eq!(with(7, Trust::Trusted), Err(WireError::Length));
        assert_eq!(with(0, Trust::Trusted), Err(WireError::Length));
        assert_eq!(with(8, Trust::Trusted), Ok(0));
        assert_eq!(with(9, Trust::Trusted), Ok(1));
        assert_eq!(with(10, Trust::Trusted), Ok(2));
        assert_eq!(with(11, Trust::Trusted), Err(WireError::Truncated));
        assert_eq!(with(10, Trust::Verify), Err(WireError::Checksum));
        assert_eq!(parse(&ip, &[0; 7], Trust::Verify), Err(WireError::Truncated));
    }

    #[test]
    fn what_has_no_form_is_not_emitted() {
        let (ip, mut out) = (plain(Family::V6, protocol::UDP), Vec::new());
        emit(ip.src, ip.dst, PORTS, &vec![0; MAX_PAYLOAD_LEN + 1], &mut out);
        assert!(out.is_empty());
        emit(ip.src, ip.dst, PORTS, &vec![0; MAX_PAYLOAD_LEN], &mut out);
        assert_eq!(out.len(), 65_535);
    }
}
