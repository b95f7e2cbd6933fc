//! UDP (RFC 768), for contrast: a queue of datagrams and nothing more.

pub mod socket;

use alloc::vec::Vec;

use crate::addr::Endpoint;
use crate::error::Error;
use crate::wire::udp::{self, HEADER_LEN, Header};

/// The most that a UDP datagram carries over IPv4, octets: 65,535 less the two headers.
pub const MAX_PAYLOAD_V4: usize = 65_507;
/// The most that a UDP datagram carries over IPv6, octets: 65,535 less the UDP header.
pub const MAX_PAYLOAD_V6: usize = 65_527;

/// A UDP datagram from `src` to `dst`, header and checksum included: the payload of an IP packet.
///
/// Errors: [`Error::MessageTooLong`] where UDP's or IP's length field cannot say its length, and
/// [`Error::AddrFamily`] where the two ends are of different families.
pub fn build(src: Endpoint, dst: Endpoint, payload: &[u8]) -> Result<Vec<u8>, Error> {
    if src.address.is_v4() != dst.address.is_v4() {
        return Err(Error::AddrFamily);
    }
    let most = if dst.address.is_v4() { MAX_PAYLOAD_V4 } else { MAX_PAYLOAD_V6 };
    if payload.len() > most {
        return Err(Error::MessageTooLong);
    }
    let mut datagram = Vec::with_capacity(HEADER_LEN + payload.len());
    let header = Header { src_port: src.port, dst_port: dst.port };
    udp::emit(src.address, dst.address, header, payload, &mut datagram);
    Ok(datagram)
}
