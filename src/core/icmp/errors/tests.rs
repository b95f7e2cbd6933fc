extern crate std;

use alloc::vec;
use core::net::IpAddr;
use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::addr::Prefix;
use crate::wire::checksum::Trust;
use crate::wire::icmp;
use crate::wire::ip::{Fragment, parse};
use crate::wire::udp;

const US: [&str; 2] = ["10.7.0.2", "fd00::2"];
const THEM: [&str; 2] = ["10.7.0.1", "fd00::1"];

fn a(s: &str) -> Address {
    s.parse::<IpAddr>().unwrap().into()
}

fn routes() -> Routes {
    Routes::new(vec![Prefix::new(a(US[0]), 24), Prefix::new(a(US[1]), 64)])
}

fn header(src: &str, dst: &str, protocol: u8) -> Header {
    Header {
        src: a(src),
        dst: a(dst),
        protocol,
        hop_limit: 64,
        traffic_class: 0xb8,
        flow_label: 0,
        dont_fragment: !a(src).is_v4(),
        fragment: None,
    }
}

fn packet(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    header.emit(payload.len(), 7, &mut packet).unwrap();
    packet.extend_from_slice(payload);
    packet
}

fn datagram(src: &str, dst: &str, len: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    udp::emit(a(src), a(dst), udp::Header { src_port: 4000, dst_port: 53 }, &vec![9; len], &mut payload);
    packet(header(src, dst, protocol::UDP), &payload)
}

fn unreachable(packet: &[u8]) -> Option<(Header, Vec<u8>)> {
    build(ErrorKind::PortUnreachable, packet, &routes(), 64)
}

#[test]
fn port_unreachable() {
    for (family, code) in [3, 4].into_iter().enumerate() {
        let offending = datagram(THEM[family], US[family], 30);
        let (header, bytes) = unreachable(&offending).unwrap();
        assert_eq!((header.src, header.dst), (a(US[family]), a(THEM[family])));
        assert_eq!((header.hop_limit, header.traffic_class), (64, 0));
        let message = icmp::parse(&header, &bytes, Trust::Verify).unwrap();
        assert_eq!(message, Message::DestinationUnreachable { code, quoted: &offending });
    }
}

//= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
//= type=test
//= id=rfc4443-2.4-4
#[test]
fn quotes_as_much_as_every_path_takes() {
    for (family, most) in [576, 1280].into_iter().enumerate() {
        let offending = datagram(THEM[family], US[family], 1300);
        let (header, bytes) = unreachable(&offending).unwrap();
        assert_eq!(packet(header, &bytes).len(), most);
        assert_eq!(bytes[8..], offending[..bytes.len() - 8]);
    }
}

#[test]
fn kinds() {
    let body = |kind, family: usize| {
        let (h, bytes) = build(kind, &datagram(THEM[family], US[family], 0), &routes(), 64).unwrap();
        let message = icmp::parse(&h, &bytes, Trust::Verify).unwrap();
        match message {
            Message::DestinationUnreachable { code, .. } => (3, code, 0),
            Message::TimeExceeded { code, .. } => (11, code, 0),
            Message::ParameterProblem { code, pointer, .. } => (12, code, pointer),
            other => panic!("{other:?}"),
        }
    };
    let protocol = ErrorKind::ProtocolUnreachable { pointer: 6 };
    assert_eq!((body(protocol, 0), body(protocol, 1)), ((3, 2, 0), (12, 1, 6)));
    let time = ErrorKind::ReassemblyTimeExceeded;
    assert_eq!((body(time, 0), body(time, 1)), ((11, 1, 0), (11, 1, 0)));
    let problem = ErrorKind::ParameterProblem { pointer: 42, code: 2, even_multicast: false };
    assert_eq!((body(problem, 0), body(problem, 1)), ((12, 0, 42), (12, 2, 42)));
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
//= type=test
//= id=rfc1122-3.2.2-4

//= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
//= type=test
//= id=rfc4443-2.4-5
#[test]
fn never_about_packets_to_many_or_from_nobody() {
    for dst in ["10.7.0.255", "255.255.255.255", "224.0.0.1", "10.7.0.3"] {
        assert_eq!(unreachable(&datagram(THEM[0], dst, 8)), None, "{dst}");
    }
    for dst in ["ff02::1", "fd00::3"] {
        assert_eq!(unreachable(&datagram(THEM[1], dst, 8)), None, "{dst}");
    }
    for src in ["0.0.0.0", "0.1.2.3", "10.7.0.255", "255.255.255.255", "224.0.0.1", "240.0.0.1"] {
        assert_eq!(unreachable(&datagram(src, US[0], 8)), None, "{src}");
    }
    for src in ["::", "ff02::1"] {
        assert_eq!(unreachable(&datagram(src, US[1], 8)), None, "{src}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc4443#section-2.2
//= type=test
//= id=rfc4443-2.2-3, rfc4443-2.2-4
#[test]
fn ipv6_options_may_ask_for_an_answer_to_multicast() {
    let problem = |code, even_multicast| {
        let kind = ErrorKind::ParameterProblem { pointer: 42, code, even_multicast };
        build(kind, &datagram("fd00::1", "ff02::1", 8), &routes(), 64)
    };
    assert_eq!(problem(2, true).map(|(h, _)| h.src), Some(a(US[1])));
    assert_eq!(problem(2, false), None);
    assert_eq!(problem(0, true), None);
    let kind = ErrorKind::ParameterProblem { pointer: 20, code: 2, even_multicast: true };
    assert_eq!(build(kind, &datagram(THEM[0], "224.0.0.1", 8), &routes(), 64), None);
}

#[test]
fn between_our_own_addresses() {
    for (src, dst) in [("127.0.0.1", "127.0.0.1"), (US[0], "127.0.0.1"), (US[0], US[0]), ("::1", "::1")] {
        let offending = datagram(src, dst, 8);
        assert!(unreachable(&offending).is_some(), "{src} {dst}");
        // What the parser refused did not come that way, whatever it says.
        let kind = ErrorKind::ParameterProblem { pointer: 0, code: 0, even_multicast: false };
        assert_eq!(build(kind, &offending, &routes(), 64), None);
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
//= type=test
//= id=rfc1122-3.2.2-4

//= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
//= type=test
//= id=rfc4443-2.4-5
#[test]
fn never_about_errors() {
    let about = |family: usize, protocol, payload: &[u8]| {
        let kind = ErrorKind::ProtocolUnreachable { pointer: 6 };
        build(kind, &packet(header(THEM[family], US[family], protocol), payload), &routes(), 64).is_some()
    };
    for error in [3, 4, 5, 11, 12, 250] {
        assert!(!about(0, protocol::ICMP, &[error, 0, 0, 0, 0, 0, 0, 0]), "{error}");
    }
    for error in [0, 1, 2, 3, 4, 127, 137] {
        assert!(!about(1, protocol::ICMPV6, &[error, 0, 0, 0, 0, 0, 0, 0]), "{error}");
    }
    assert!(about(0, protocol::ICMP, &[8, 0, 0, 0]));
    assert!(about(1, protocol::ICMPV6, &[128, 0, 0, 0]));
    // Not there to be seen.
    assert!(!about(0, protocol::ICMP, &[]));
    assert!(!about(1, protocol::ICMPV6, &[]));
    assert!(about(0, 132, &[3, 0, 0, 0]));
    // An answer to our own answer: the loop that this is about.
    let (h, bytes) = unreachable(&datagram(THEM[0], US[0], 8)).unwrap();
    let back = packet(Header { src: h.dst, dst: h.src, ..h }, &bytes);
    assert_eq!(unreachable(&back), None);
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
//= type=test
//= id=rfc1122-3.2.2-4
#[test]
fn never_about_a_later_fragment() {
    let part = |offset| {
        let fragment = Some(Fragment { id: 7, offset, more: true });
        packet(Header { fragment, ..header(THEM[0], US[0], protocol::UDP) }, &[1; 16])
    };
    assert!(build(ErrorKind::ReassemblyTimeExceeded, &part(0), &routes(), 64).is_some());
    assert_eq!(build(ErrorKind::ReassemblyTimeExceeded, &part(16), &routes(), 64), None);
}

#[test]
fn about_what_was_put_together() {
    for family in [0, 1] {
        let whole = datagram(THEM[family], US[family], 3000);
        let parsed = parse(&whole).unwrap();
        let again = reassembled(&parsed.header, parsed.payload);
        assert_eq!(again.len(), 1280);
        let (_, bytes) = unreachable(&again).unwrap();
        assert_eq!(Quoted::parse(&bytes[8..]).unwrap().ports(), Some((4000, 53)));
    }
}

#[test]
fn buckets() {
    let mut limit = RateLimit::new(10);
    let spent = |limit: &mut RateLimit, now| (0..100).filter(|_| limit.allow(now)).count();
    assert_eq!(spent(&mut limit, Instant::ZERO), 10);
    assert_eq!(spent(&mut limit, Instant::from_millis(99)), 0);
    assert_eq!(spent(&mut limit, Instant::from_millis(100)), 1);
    assert_eq!(spent(&mut limit, Instant::from_millis(350)), 2);
    assert_eq!(spent(&mut limit, Instant::from_millis(400)), 1);
    assert_eq!(spent(&mut limit, Instant::from_secs(1000)), 10);
    // A clock that steps back gives nothing.
    assert_eq!(spent(&mut limit, Instant::from_secs(999)), 0);
    assert_eq!(spent(&mut limit, Instant::from_secs(1000)), 0);
    assert_eq!(spent(&mut RateLimit::new(0), Instant::FAR_FUTURE), 0);
    assert!(RateLimit::new(u32::MAX).allow(Instant::FAR_FUTURE));
}

fn read(family: usize, message: &Message<'_>) -> Option<(Error, Hardness)> {
    let mut bytes = Vec::new();
    message.emit(a(THEM[family]), a(US[family]), &mut bytes);
    let h = header(THEM[family], US[family], 0);
    interpret(&icmp::parse(&h, &bytes, Trust::Verify).unwrap()).map(|r| (r.error, r.hardness))
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
//= type=test
//= id=MUST-55
#[test]
fn hard_and_soft() {
    use Error::*;
    use Hardness::{Hard, Soft};
    let v4 = [
        Some((NetUnreachable, Soft)),
        Some((HostUnreachable, Soft)),
        Some((ProtocolUnreachable, Hard)),
        Some((Refused, Hard)),
        Some((MessageTooLong, Soft)),
        Some((NotSupported, Soft)),
        Some((NetUnreachable, Hard)),
        Some((HostUnreachable, Hard)),
        Some((HostUnreachable, Hard)),
        Some((NetUnreachable, Hard)),
        Some((HostUnreachable, Hard)),
        Some((NetUnreachable, Soft)),
        Some((HostUnreachable, Soft)),
        Some((HostUnreachable, Hard)),
        Some((HostUnreachable, Hard)),
        Some((HostUnreachable, Hard)),
        None,
    ];
    let v6 = [
        Some((NetUnreachable, Soft)),
        Some((Access, Hard)),
        Some((HostUnreachable, Soft)),
        Some((HostUnreachable, Soft)),
        Some((Refused, Hard)),
        Some((Access, Hard)),
        Some((Access, Hard)),
        None,
    ];
    for (family, codes) in [&v4[..], &v6[..]].into_iter().enumerate() {
        let quoted = &datagram(US[family], THEM[family], 8)[..];
        for (code, expected) in codes.iter().enumerate() {
            let code = code as u8;
            assert_eq!(read(family, &Message::DestinationUnreachable { code, quoted }), *expected, "{code}");
        }
        for code in [0, 1] {
            let time = Message::TimeExceeded { code, quoted };
            assert_eq!(read(family, &time), Some((HostUnreachable, Soft)));
        }
        for code in [0, 1, 2] {
            let problem = Message::ParameterProblem { code, pointer: 0, quoted };
            assert_eq!(read(family, &problem), Some((Protocol, Soft)));
        }
        assert_eq!(read(family, &Message::EchoReply { id: 1, sequence: 1, data: quoted }), None);
    }
    // Source quench and redirect.
    assert_eq!(read(0, &Message::Other { kind: 4, code: 0 }), None);
    assert_eq!(read(0, &Message::Other { kind: 5, code: 1 }), None);
}

#[test]
fn too_big() {
    let report = |family: usize, mtu| {
        let offending = datagram(US[family], THEM[family], 1400);
        let quoted = &offending[..64];
        let message = Message::PacketTooBig { mtu, quoted };
        let r = interpret(&message).unwrap();
        assert_eq!(usize::from(r.quoted_len), offending.len());
        assert_eq!((r.quoted.dst, r.quoted.ports()), (a(THEM[family]), Some((4000, 53))));
        r.packet_too_big
    };
    assert_eq!(report(0, 1400), Some(1400));
    assert_eq!(report(0, 0), Some(0));
    assert_eq!(report(1, 1280), Some(1280));
    assert_eq!(report(1, 70_000), Some(65_535));
}

#[test]
fn too_little_quoted() {
    let offending = datagram(US[0], THEM[0], 8);
    assert_eq!(interpret(&Message::TimeExceeded { code: 0, quoted: &offending[..19] }), None);
    assert_eq!(interpret(&Message::TimeExceeded { code: 0, quoted: &[] }), None);
}

proptest! {
    #[test]
    fn the_long_run_average_holds(rate in 1u32..2000, steps in prop::collection::vec(0u64..50_000, 1..200)) {
        let mut limit = RateLimit::new(rate);
        let (mut now, mut sent) = (Instant::ZERO, 0u128);
        for step in steps {
            now += Duration::from_micros(step);
            sent += u128::from(limit.allow(now));
            let most = u128::from(rate) + u128::from(now.as_nanos()) * u128::from(rate) / 1_000_000_000;
            prop_assert!(sent <= most);
        }
    }

    #[test]
    fn arbitrary_octets_do_no_harm(mut octets in prop::collection::vec(any::<u8>(), 0..700), v4 in any::<bool>()) {
        if let Some(first) = octets.first_mut() {
            *first = if v4 { 0x45 } else { 0x60 };
        }
        for family in [0, 1] {
            // As if it were for us, so that it gets past the addresses.
            let at = [16, 24][family];
            let us = a(US[family]);
            let address: &[u8] = if family == 0 { &us.v4_octets() } else { us.octets() };
            if let Some(dst) = octets.get_mut(at..at + address.len()) {
                dst.copy_from_slice(address);
            }
            if let Some((h, bytes)) = unreachable(&octets) {
                prop_assert!(h.emitted_len() + bytes.len() <= 1280);
                prop_assert!(icmp::parse(&h, &bytes, Trust::Verify).is_ok());
            }
            interpret(&Message::PacketTooBig { mtu: 0, quoted: &octets });
            interpret(&Message::DestinationUnreachable { code: 3, quoted: &octets });
        }
    }
}
