//! The UDP header (RFC 768): parse and emit.

use alloc::vec::Vec;

use super::WireError;
use super::checksum::{Trust, pseudo_header};
use super::ip::{self, protocol};
use crate::addr::Address;

/// Octets of the header.
pub const HEADER_LEN: usize = 8;
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
    if without_checksum && !ip.src.is_v4() {
        return Err(WireError::Checksum);
    }
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
    let Ok(len) = u16::try_from(HEADER_LEN.saturating_add(payload.len())) else { return };
    let ([s0, s1], [d0, d1]) = (header.src_port.to_be_bytes(), header.dst_port.to_be_bytes());
    let [l0, l1] = len.to_be_bytes();
    let fixed = [s0, s1, d0, d1, l0, l1];
    // RFC 768: 0 says that there is none, so a sum that comes to 0 is sent as its equal.
    let checksum = match pseudo_header(src, dst, protocol::UDP, len.into()).add(&fixed).add(payload).finish()
    {
        0 => 0xffff,
        sum => sum,
    };
    out.reserve(usize::from(len));
    out.extend_from_slice(&fixed);
    out.extend_from_slice(&checksum.to_be_bytes());
    out.extend_from_slice(payload);
}
