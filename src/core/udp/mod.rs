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

#[cfg(test)]
mod tests {
    use alloc::vec;
    use core::net::IpAddr;

    use super::*;
    use crate::wire::checksum::Trust;
    use crate::wire::ip::{self, protocol};

    fn end(s: &str, port: u16) -> Endpoint {
        Endpoint::new(s.parse::<IpAddr>().unwrap().into(), port)
    }

    #[test]
    fn what_is_built_is_read_again() {
        for (src, dst) in [("10.7.0.2", "10.7.0.1"), ("fd00::2", "fd00::1")] {
            let (src, dst) = (end(src, 4000), end(dst, 53));
            let header = ip::Header {
                src: src.address,
                dst: dst.address,
                protocol: protocol::UDP,
                hop_limit: 64,
                traffic_class: 0,
                flow_label: 0,
                dont_fragment: false,
                fragment: None,
            };
            for payload in [&b""[..], b"x", b"hello"] {
                let built = build(src, dst, payload).unwrap();
                let (ports, read) = udp::parse(&header, &built, Trust::Verify).unwrap();
                assert_eq!((ports.src_port, ports.dst_port, read), (4000, 53, payload));
            }
        }
    }

    #[test]
    fn limits() {
        for (src, dst, most) in [("10.7.0.2", "10.7.0.1", 65_507), ("fd00::2", "fd00::1", 65_527)] {
            let (src, dst) = (end(src, 1), end(dst, 2));
            assert_eq!(build(src, dst, &vec![0; most]).map(|d| d.len()), Ok(most + 8));
            assert_eq!(build(src, dst, &vec![0; most + 1]), Err(Error::MessageTooLong));
        }
        assert_eq!(build(end("10.7.0.2", 1), end("fd00::1", 2), b""), Err(Error::AddrFamily));
    }
}
