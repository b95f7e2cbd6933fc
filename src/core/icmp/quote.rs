//! The packet that an error quotes, as it was sent.
//!
//! Between programs of one machine nobody sums a packet or cuts it: its checksum is partial, and several datagrams come as
//! one. An error quotes the octets of the one that was sent (RFC 792, RFC 1122 §3.2.2, RFC 4443 §3), or whoever compares
//! them with what it has sent would not know it again.

use alloc::vec::Vec;

use crate::wire::checksum::{Sum, pseudo_header};
use crate::wire::icmp::Quoted;
use crate::wire::ip::{V4_HEADER_LEN, V6_HEADER_LEN, protocol};
use crate::wire::udp;

/// The start of a packet with its checksum in its place, as much as any error quotes (`most` octets); of several UDP
/// datagrams with `gso_size` octets of data each, that of the first. `packet` starts at the IP header. A sum that was
/// complete and right comes out the same. `None` where there is nothing to finish: there is no TCP or UDP in it, no
/// checksum, or not all that was summed, as in a fragment.
pub fn as_sent(packet: &[u8], gso_size: u16, most: usize) -> Option<Vec<u8>> {
    let v4 = packet.first()? >> 4 == 4;
    let (len_at, headers) = if v4 { (2, 0) } else { (4, V6_HEADER_LEN) };
    // What a link has added is no part of it, nor are headers that go on behind its end.
    let packet = packet.get(..usize::from(word(packet, len_at)?) + headers)?;
    let quoted = Quoted::parse(packet)?;
    if quoted.fragment || quoted.transport.is_empty() {
        return None;
    }
    let start = packet.len() - quoted.transport.len();
    let field = match quoted.protocol {
        protocol::TCP => 16,
        protocol::UDP => 6,
        _ => return None,
    };
    if quoted.protocol == protocol::UDP && word(quoted.transport, field)? == 0 {
        return None;
    }

    let one = udp::HEADER_LEN + usize::from(gso_size);
    let several = quoted.protocol == protocol::UDP && gso_size != 0 && quoted.transport.len() > one;
    let mut sent = packet[..most.min(if several { start + one } else { packet.len() })].to_vec();
    let transport = match quoted.protocol {
        _ if several => quoted.transport.get(..one)?,
        // It may be shorter than what IP carries (RFC 1122 §4.1.1).
        protocol::UDP => quoted.transport.get(..usize::from(word(quoted.transport, 4)?))?,
        _ => quoted.transport,
    };
    let mut head = transport.get(..field + 2)?.to_vec();
    put(&mut head, field, 0);
    if several {
        put(&mut head, 4, one as u16);
        put(&mut sent, start + 4, one as u16);
        put(&mut sent, len_at, (start + one - headers) as u16);
        if v4 {
            put(&mut sent, V4_CHECKSUM, 0);
            let sum = Sum::new().add(sent.get(..start)?).finish();
            put(&mut sent, V4_CHECKSUM, sum);
        }
    }
    let pseudo = pseudo_header(quoted.src, quoted.dst, quoted.protocol, transport.len() as u32);
    let sum = pseudo.add(&head).add(transport.get(field + 2..)?).finish();
    // RFC 768: one that comes to 0 is told as all ones.
    let sum = if sum == 0 && quoted.protocol == protocol::UDP { u16::MAX } else { sum };
    put(&mut sent, start + field, sum);
    Some(sent)
}

/// Offset of the header checksum of IPv4.
const V4_CHECKSUM: usize = 10;

const _: () = assert!(V4_CHECKSUM < V4_HEADER_LEN);

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

/// Stores a word, if it is there still.
fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(word) = bytes.get_mut(at..at + 2) {
        word.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;
    use crate::addr::Address;
    use crate::wire::ip::Header;

    const ALL: usize = 1 << 16;

    fn header(src: &str, dst: &str) -> Header {
        let address = |text: &str| Address::from(text.parse::<IpAddr>().unwrap());
        Header {
            src: address(src),
            dst: address(dst),
            protocol: protocol::UDP,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
            dont_fragment: true,
            fragment: None,
        }
    }

    fn headers() -> [Header; 2] {
        [header("10.7.0.2", "10.7.0.1"), header("fd00::2", "fd00::1")]
    }

    fn datagram(ip: &Header, data: &[u8], partial: bool) -> Vec<u8> {
        let mut packet = Vec::new();
        let ports = udp::Header { src_port: 4000, dst_port: 53 };
        udp::emit_packet(ip, ports, data, 7, partial, &mut packet).unwrap();
        packet
    }

    #[test]
    fn a_partial_checksum_is_finished_and_a_complete_one_stays() {
        for ip in headers() {
            for len in [0, 1, 2, 999, 1300] {
                let data: Vec<u8> = (0..len).map(|n| n as u8).collect();
                let [complete, partial] = [false, true].map(|partial| datagram(&ip, &data, partial));
                assert_ne!(complete, partial);
                for came in [&complete, &partial] {
                    assert_eq!(as_sent(came, 0, ALL).as_ref(), Some(&complete));
                    assert_eq!(as_sent(came, 0, 60).unwrap(), complete[..complete.len().min(60)]);
                    // What a link has added is no part of it.
                    let padded = [came, &[9; 7][..]].concat();
                    assert_eq!(as_sent(&padded, 0, ALL).as_ref(), Some(&complete));
                    assert_eq!(as_sent(&came[..came.len() - 1], 0, ALL), None, "not all is there");
                }
            }
        }
    }

    #[test]
    fn of_several_it_is_the_first() {
        for ip in headers() {
            let data: Vec<u8> = (0..1000).map(|n| n as u8).collect();
            let joined = datagram(&ip, &data, true);
            assert_eq!(as_sent(&joined, 300, ALL), Some(datagram(&ip, &data[..300], false)));
            assert_eq!(as_sent(&joined, 1000, ALL), Some(datagram(&ip, &data, false)), "it is one");
        }
    }

    /// RFC 768: all ones stand for a sum of 0, and 0 for none.
    #[test]
    fn none_is_made_and_zero_is_told_as_ones() {
        let [v4, _] = headers();
        let mut packet = datagram(&v4, &[0, 0], true);
        let pseudo = word(&packet, 26).unwrap();
        let rest = [4000, 53, 10].iter().fold(u32::from(pseudo), |sum, word| sum + word);
        let missing = !((rest & 0xffff) + (rest >> 16)) as u16;
        packet[28..30].copy_from_slice(&missing.to_be_bytes());
        assert_eq!(word(&as_sent(&packet, 0, ALL).unwrap(), 26), Some(u16::MAX));
        packet[26..28].fill(0);
        assert_eq!(as_sent(&packet, 0, ALL), None);
    }

    #[test]
    fn what_has_no_checksum_that_is_known_stays() {
        let [v4, _] = headers();
        let mut packet = datagram(&v4, &[0, 0], true);
        packet[9] = 132;
        assert_eq!(as_sent(&packet, 0, ALL), None);
        assert_eq!(as_sent(&[], 0, ALL), None);
        assert_eq!(as_sent(&[0x45; 20], 0, ALL), None);
    }

    /// Headers that go on behind the length of the packet are not read.
    #[test]
    fn extension_headers_behind_the_end() {
        let [_, v6] = headers();
        let mut packet = datagram(&v6, &[], true);
        packet.truncate(40);
        // Hop-by-hop options of 8 octets, then destination options of 16, of which the length tells none.
        packet.extend([60, 0, 0x80, 4, 0, 0, 0, 0]);
        packet.extend([protocol::UDP, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        packet[4..6].copy_from_slice(&8u16.to_be_bytes());
        packet[6] = 0;
        for behind in [0, 20, 100] {
            let longer = [&packet, &[1; 100][..behind]].concat();
            assert_eq!(as_sent(&longer, 0, 1280), None, "{behind}");
        }
    }

    /// A complete sum stays where the datagram is shorter than what IP carries.
    #[test]
    fn surplus_behind_the_datagram() {
        for ip in headers() {
            let mut packet = datagram(&ip, &[1, 2, 3, 4], false);
            packet.extend([7; 6]);
            let at = if ip.src.is_v4() { 2 } else { 4 };
            let len = word(&packet, at).unwrap() + 6;
            put(&mut packet, at, len);
            assert_eq!(as_sent(&packet, 0, ALL), Some(packet));
        }
    }

    /// The sum of a whole stays in its first fragment.
    #[test]
    fn first_fragment() {
        let [v4, v6] = headers();
        let data: Vec<u8> = (0..1000).map(|n| n as u8).collect();
        let mut packet = datagram(&v4, &data, false);
        packet.truncate(20 + 64);
        put(&mut packet, 2, 84);
        put(&mut packet, 6, 0x2000);
        assert_eq!(as_sent(&packet, 0, ALL), None, "v4");
        let mut packet = datagram(&v6, &data, false);
        packet.truncate(40 + 64);
        let behind = packet.split_off(40);
        packet.extend([protocol::UDP, 0, 0, 1, 0, 0, 0, 9]);
        packet.extend(behind);
        put(&mut packet, 4, 72);
        packet[6] = 44;
        assert_eq!(as_sent(&packet, 0, ALL), None, "v6");
    }
}
