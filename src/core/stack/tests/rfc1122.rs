//! Clauses of RFC 1122 about IP and UDP, with RFC 768: one host, and packets written octet by octet.

use core::net::IpAddr;

use super::*;
use crate::ip::output;
use crate::sockopt::SocketOptions;
use crate::wire::icmp::{self, Message};
use crate::wire::ip::{self, Fragment, protocol};
use crate::wire::udp;

pub(super) const NOW: Instant = Instant::from_secs(1);

pub(super) fn a(s: &str) -> Address {
    s.parse::<IpAddr>().unwrap().into()
}

/// A host with addresses in three networks and no gateway.
pub(super) fn host(config: Config) -> Stack {
    let addresses = [("10.7.0.1", 24), ("10.9.0.1", 16), ("fd00::1", 64)];
    let addresses = addresses.map(|(address, length)| Prefix::new(a(address), length)).to_vec();
    Stack::new(Config { addresses, ..config }, [7; 32])
}

pub(super) fn header(src: &str, dst: &str, protocol: u8) -> ip::Header {
    ip::Header {
        src: a(src),
        dst: a(dst),
        protocol,
        hop_limit: 64,
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: !a(src).is_v4(),
        fragment: None,
    }
}

pub(super) fn packet(header: ip::Header, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    header.emit(payload.len(), 7, &mut packet).unwrap();
    packet.extend_from_slice(payload);
    packet
}

/// An IPv4 packet with options, which are a multiple of four octets long.
pub(super) fn with_options(header: ip::Header, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    header.emit(options.len() + payload.len(), 7, &mut packet).unwrap();
    packet.extend_from_slice(options);
    packet[0] += (options.len() / 4) as u8;
    packet[10..12].fill(0);
    let sum = crate::wire::checksum::Sum::new().add(&packet).finish();
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// A UDP datagram from port 4000 to port 53.
pub(super) fn udp_payload(src: &str, dst: &str, text: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    udp::emit(a(src), a(dst), udp::Header { src_port: 4000, dst_port: 53 }, text, &mut payload);
    payload
}

pub(super) fn datagram(src: &str, dst: &str, text: &[u8]) -> Vec<u8> {
    packet(header(src, dst, protocol::UDP), &udp_payload(src, dst, text))
}

pub(super) fn icmp(src: &str, dst: &str, message: &Message<'_>) -> Vec<u8> {
    let mut payload = Vec::new();
    message.emit(a(src), a(dst), &mut payload);
    packet(header(src, dst, if a(src).is_v4() { protocol::ICMP } else { protocol::ICMPV6 }), &payload)
}

/// All that leaves the host at this time.
pub(super) fn out(host: &mut Stack, now: Instant) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    drive(
        host,
        now,
        |d| {
            let mut packet = vec![0; d.len()];
            d.copy_to(&mut packet).unwrap();
            all.push(packet);
        },
        |_| {},
    );
    all
}

/// What the host makes of a packet, and what leaves it then.
pub(super) fn give(host: &mut Stack, packet: &[u8]) -> (Received, Vec<Vec<u8>>) {
    let received = host.receive(NOW, Inbound::plain(packet));
    (received, out(host, NOW))
}

/// Takes an ICMP packet apart.
pub(super) fn message(packet: &[u8]) -> (ip::Header, Message<'_>) {
    let parsed = ip::parse(packet).unwrap();
    (parsed.header, icmp::parse(&parsed.header, parsed.payload, Trust::Verify).unwrap())
}

/// A UDP socket at a port, at every address.
pub(super) fn bound(host: &mut Stack, family: Family, port: u16) -> SocketId {
    let any = match family {
        Family::V4 => Address::UNSPECIFIED_V4,
        Family::V6 => Address::UNSPECIFIED,
    };
    let id = host.udp_socket(family);
    host.bind(id, Endpoint::new(any, port)).unwrap();
    id
}

fn set(host: &mut Stack, id: SocketId, change: impl FnOnce(&mut SocketOptions)) {
    let mut options = host.options(id).unwrap();
    change(&mut options);
    host.set_options(id, options, NOW).unwrap();
}

pub(super) fn read(host: &mut Stack, id: SocketId) -> Result<Vec<u8>, Error> {
    let mut buf = vec![0; 65_536];
    host.try_receive_from(id, &mut buf, false).map(|got| buf[..got.copied].to_vec())
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.1
//= type=test
//= id=rfc1122-3.1-5
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
//= type=test
//= id=rfc1122-3.2.1.3-10
#[test]
fn what_is_for_another_host_goes_nowhere() {
    let mut h = host(Config::default());
    for dst in ["10.7.0.2", "10.9.0.2", "8.8.8.8"] {
        let (received, sent) = give(&mut h, &datagram("10.7.0.3", dst, b"text"));
        assert_eq!((received, sent.len()), (Received::Dropped("not for us"), 0), "{dst}");
    }
    assert_eq!(h.counters().ip_in_addr_errors, 3);
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.1
//= type=test
//= id=rfc1122-3.1-6
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.1
//= type=test
//= id=rfc1122-3.2.1.1-1
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.2
//= type=test
//= id=rfc1122-3.2.1.2-1
#[test]
fn a_header_that_is_wrong_is_dropped_in_silence_and_counted() {
    let good = datagram("10.7.0.2", "10.7.0.1", b"text");
    for (at, octet, why) in [(0, 0x55, "unknown IP version"), (10, good[10] ^ 1, "bad IP checksum")] {
        let mut h = host(Config::default());
        let mut bad = good.clone();
        bad[at] = octet;
        let (received, sent) = give(&mut h, &bad);
        assert_eq!((received, sent.len()), (Received::Dropped(why), 0));
        assert_eq!(h.counters().ip_in_hdr_errors, 1);
        assert_eq!(alloc::format!("{received}"), alloc::format!("dropped: {why}"), "for the capture");
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
//= type=test
//= id=rfc1122-3.2.1.3-11
#[test]
fn a_source_that_is_no_host_is_dropped_in_silence() {
    let mut h = host(Config::default());
    for src in
        ["0.0.0.0", "0.1.2.3", "255.255.255.255", "10.7.0.255", "10.9.255.255", "127.0.0.1", "224.0.0.1"]
    {
        let (received, sent) = give(&mut h, &datagram(src, "10.7.0.1", b"text"));
        assert_eq!((received, sent.len()), (Received::Dropped("martian address"), 0), "{src}");
    }
    assert_eq!(h.counters().ip_in_martian, 7);
}

/// A segment that came in answers for those with both its addresses alone, and for no other protocol.
#[test]
fn a_segment_that_was_let_in_lets_in_no_others() {
    let mut h = host(Config::default());
    let mut segment = [0; 20];
    segment[12] = 0x50;
    let mut fate = |header, payload: &[u8]| give(&mut h, &packet(header, payload)).0;
    // What passed IP is told apart by this.
    let (in_tcp, in_udp) = (Received::Dropped("bad TCP checksum"), Received::Dropped("malformed UDP header"));
    for (us, them, broadcast) in [("10.7.0.1", "10.7.0.2", Some("10.7.0.255")), ("fd00::1", "fd00::2", None)]
    {
        let tcp = |src, dst| header(src, dst, protocol::TCP);
        let loopback = if broadcast.is_some() { "127.0.0.1" } else { "::1" };
        let nobody = if broadcast.is_some() { "10.7.0.3" } else { "fd00::3" };
        for (src, dst, why) in
            [(us, us, "martian address"), (loopback, us, "martian address"), (them, nobody, "not for us")]
        {
            assert_eq!([fate(tcp(them, us), &segment), fate(tcp(them, us), &segment)], [in_tcp, in_tcp]);
            assert_eq!(fate(tcp(src, dst), &segment), Received::Dropped(why), "{src} {dst}");
        }
        assert_eq!(fate(tcp(them, us), &segment), in_tcp);
        assert_eq!(fate(header(them, us, protocol::UDP), &[0; 4]), in_udp);
        let fragment = Some(Fragment { id: 1, offset: 0, more: true });
        let part = ip::Header { fragment, ..tcp(them, us) };
        assert_eq!(fate(part, &[0; 24]), Received::Fragment);
        if let Some(broadcast) = broadcast {
            // What UDP may is nothing that TCP may.
            assert_eq!(fate(header(them, broadcast, protocol::UDP), &[0; 4]), in_udp);
            assert_eq!(fate(tcp(them, broadcast), &segment), Received::Dropped("not for us"));
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.4
//= type=test
//= id=rfc1122-4.1.3.4-1, rfc1122-4.1.3.4-2
//= https://www.rfc-editor.org/rfc/rfc768
//= type=test
//= id=rfc768-front-2
#[test]
fn a_udp_checksum_is_made_and_verified() {
    let mut h = host(Config::default());
    let id = bound(&mut h, Family::V4, 53);
    let mut bad = datagram("10.7.0.2", "10.7.0.1", b"text");
    *bad.last_mut().unwrap() ^= 1;
    let (received, sent) = give(&mut h, &bad);
    assert_eq!((received, sent.len()), (Received::Dropped("bad UDP checksum"), 0));
    assert_eq!((read(&mut h, id), h.counters().udp_in_csum_errors), (Err(Error::WouldBlock), 1));
    // The addresses are of it: what was written for another host is not taken.
    let stray =
        packet(header("10.7.0.2", "10.7.0.1", protocol::UDP), &udp_payload("10.7.0.2", "10.9.0.1", b"x"));
    assert_eq!(give(&mut h, &stray).0, Received::Dropped("bad UDP checksum"));

    h.try_send_to(id, b"text", Some(Endpoint::new(a("10.7.0.2"), 4000)), NOW).unwrap();
    let sent = out(&mut h, NOW);
    let parsed = ip::parse(&sent[0]).unwrap();
    assert_ne!(parsed.payload[6..8], [0, 0]);
    assert!(udp::parse(&parsed.header, parsed.payload, Trust::Verify).is_ok());
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
//= type=test
//= id=rfc1122-3.2.1.3-1, rfc1122-3.2.1.3-2, rfc1122-3.2.1.3-3, rfc1122-3.2.1.3-4, rfc1122-3.2.1.3-5, rfc1122-3.2.1.3-9
//= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.6
//= type=test
//= id=rfc1122-4.1.3.6-1
#[test]
fn an_address_that_no_host_has_is_not_spoken_from_nor_to() {
    let no_hosts =
        [("0.0.0.0", 0), ("0.1.2.3", 8), ("255.255.255.255", 32), ("10.7.0.255", 24), ("10.9.255.255", 16)];
    let given = no_hosts.iter().chain(&[("10.7.0.1", 24)]);
    let addresses = given.map(|&(address, length)| Prefix::new(a(address), length)).collect();
    let mut h = Stack::new(Config { addresses, ..Config::default() }, [7; 32]);
    for (address, _) in no_hosts {
        let id = h.udp_socket(Family::V4);
        // To be bound to a broadcast is to hear it, and no more.
        if h.bind(id, Endpoint::new(a(address), 53)).is_ok() {
            for to in ["10.7.0.2", "10.9.0.2", "8.8.8.8"] {
                h.try_send_to(id, b"text", Some(Endpoint::new(a(to), 53)), NOW).unwrap();
            }
            let sent = out(&mut h, NOW);
            assert!(sent.len() == 3 && sent.iter().all(|p| p[12..16] == [10, 7, 0, 1]), "{address}");
        }
        h.close(id, NOW).unwrap();
    }
    let (id, stream) = (h.udp_socket(Family::V4), h.tcp_socket(Family::V4));
    let to = Endpoint::new(a("0.1.2.3"), 53);
    assert_eq!(h.try_send_to(id, b"text", Some(to), NOW), Err(Error::NetUnreachable));
    assert_eq!(h.connect(stream, to, NOW), Err(Error::NetUnreachable));
    assert!(out(&mut h, NOW).is_empty());
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
//= type=test
//= id=rfc1122-3.2.1.3-7
#[test]
fn loopback_does_not_leave_the_host() {
    let mut h = host(Config::default());
    let id = h.udp_socket(Family::V4);
    h.bind(id, Endpoint::new(a("127.0.0.1"), 53)).unwrap();
    let stream = h.tcp_socket(Family::V4);
    h.bind(stream, Endpoint::new(a("127.0.0.1"), 53)).unwrap();
    let ping = h.ping_socket(Family::V4);
    h.bind(ping, Endpoint::new(a("127.0.0.1"), 5)).unwrap();
    let outside = Endpoint::new(a("10.7.0.2"), 53);
    assert_eq!(h.try_send_to(id, b"text", Some(outside), NOW), Err(Error::Invalid));
    assert_eq!(h.try_send_to(ping, &[8, 0, 0, 0, 0, 0, 0, 0], Some(outside), NOW), Err(Error::Invalid));
    assert_eq!(h.connect(stream, outside, NOW), Err(Error::Invalid));
    assert!(out(&mut h, NOW).is_empty());
    for to in ["127.0.0.1", "127.5.6.7", "10.7.0.1"] {
        h.try_send_to(id, b"text", Some(Endpoint::new(a(to), 53)), NOW).unwrap();
        assert!(out(&mut h, NOW).is_empty(), "{to}");
    }
    assert_eq!(read(&mut h, id), Ok(b"text".to_vec()));
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.6
//= type=test
//= id=rfc1122-3.2.1.6-1
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.7
//= type=test
//= id=rfc1122-3.2.1.7-1, rfc1122-3.2.1.7-3, rfc1122-3.2.1.7-4
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.4
//= type=test
//= id=rfc1122-3.4-2
//= https://www.rfc-editor.org/rfc/rfc792
//= type=test
//= id=rfc792-front-3
#[test]
fn type_of_service_and_time_to_live_are_the_programs_and_the_default_is_configured() {
    for (configured, default) in [(64, 64), (9, 9), (0, 1)] {
        let mut h = host(Config { hop_limit: configured, ..Config::default() });
        let (id, stream) = (h.udp_socket(Family::V4), h.tcp_socket(Family::V4));
        let to = Endpoint::new(a("10.7.0.2"), 53);
        let send = |h: &mut Stack| {
            h.try_send_to(id, b"text", Some(to), NOW).unwrap();
            let sent = out(h, NOW);
            (sent[0][1], sent[0][8])
        };
        assert_eq!(send(&mut h), (0, default));
        set(&mut h, id, |o| (o.traffic_class, o.hop_limit) = (0xb8, 33));
        assert_eq!(send(&mut h), (0xb8, 33));
        assert_eq!(h.connect(stream, to, NOW), Err(Error::InProgress));
        let syn = out(&mut h, NOW);
        assert_eq!((syn[0][1], syn[0][8]), (0, default));
        let ping = icmp("10.7.0.2", "10.7.0.1", &Message::EchoRequest { id: 1, sequence: 1, data: b"" });
        assert_eq!(give(&mut h, &ping).1[0][8], default);
    }
    assert_eq!(Config::default().hop_limit, 64);
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.7
//= type=test
//= id=rfc1122-3.2.1.7-2
#[test]
fn a_time_to_live_that_has_run_out_here_is_no_fault() {
    for ttl in [0, 1] {
        let mut h = host(Config::default());
        let id = bound(&mut h, Family::V4, 53);
        let ip = ip::Header { hop_limit: ttl, ..header("10.7.0.2", "10.7.0.1", protocol::UDP) };
        let (_, sent) = give(&mut h, &packet(ip, &udp_payload("10.7.0.2", "10.7.0.1", b"text")));
        assert!(sent.is_empty());
        assert_eq!(read(&mut h, id), Ok(b"text".to_vec()), "{ttl}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.8
//= type=test
//= id=rfc1122-3.2.1.8-3, rfc1122-3.2.1.8-4
#[test]
fn options_that_mean_nothing_here_are_passed_over() {
    // Stream identifier, record route, timestamp, router alert, nobody's.
    for option in [
        [136, 4, 1, 2].to_vec(),
        [7, 7, 4, 0, 0, 0, 0, 0].to_vec(),
        [68, 8, 5, 0, 0, 0, 0, 0].to_vec(),
        [148, 4, 0, 0].to_vec(),
        [0x9e, 4, 1, 2].to_vec(),
    ] {
        let mut h = host(Config::default());
        let id = bound(&mut h, Family::V4, 53);
        let ip = header("10.7.0.2", "10.7.0.1", protocol::UDP);
        let payload = udp_payload("10.7.0.2", "10.7.0.1", b"text");
        let (_, sent) = give(&mut h, &with_options(ip, &option, &payload));
        assert!(sent.is_empty());
        assert_eq!(read(&mut h, id), Ok(b"text".to_vec()), "{option:?}");
        h.try_send_to(id, b"answer", Some(Endpoint::new(a("10.7.0.2"), 4000)), NOW).unwrap();
        assert_eq!(out(&mut h, NOW)[0][0], 0x45, "and never sent");
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.2
//= type=test
//= id=rfc1122-3.3.2-1, rfc1122-3.3.2-2
#[test]
fn fragments_become_the_largest_datagram_there_is() {
    let mut h = host(Config::default());
    let id = bound(&mut h, Family::V4, 53);
    let text = pattern(65_507);
    let payload = udp_payload("10.7.0.2", "10.7.0.1", &text);
    let ip = header("10.7.0.2", "10.7.0.1", protocol::UDP);
    output::fragment(ip, &payload, 576, 5, |p| assert!(give(&mut h, &p).1.is_empty())).unwrap();
    assert_eq!(read(&mut h, id), Ok(text));
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.2
//= type=test
//= id=rfc1122-3.3.2-4, rfc1122-3.3.2-5, rfc1122-3.3.2-6
#[test]
fn fragments_that_stay_alone_are_given_up_and_their_sender_told_if_the_first_came() {
    for ttl in [5, 200] {
        let mut pieces = Vec::new();
        let ip = ip::Header { hop_limit: ttl, ..header("10.7.0.2", "10.7.0.1", protocol::UDP) };
        let payload = udp_payload("10.7.0.2", "10.7.0.1", &pattern(2000));
        output::fragment(ip, &payload, 1500, 5, |p| pieces.push(p)).unwrap();
        for (kept, told) in [(0, true), (1, false)] {
            let mut h = host(Config::default());
            bound(&mut h, Family::V4, 53);
            assert_eq!(give(&mut h, &pieces[kept]).0, Received::Fragment);
            let due = NOW + Duration::from_secs(60);
            assert_eq!(h.poll_timeout(), Some(due));
            assert!(out(&mut h, due - Duration::from_millis(1)).is_empty());
            let sent = out(&mut h, due);
            assert_eq!(sent.len(), usize::from(told));
            if told {
                let quoted = &pieces[0][..576 - 28];
                assert_eq!(message(&sent[0]).1, Message::TimeExceeded { code: 1, quoted });
            }
            assert_eq!(h.receive(due, Inbound::plain(&pieces[1 - kept])), Received::Fragment, "begun anew");
            assert_eq!(h.counters().ip_reasm_timeout, 1);
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.1.1
//= type=test
//= id=rfc1122-3.3.1.1-2
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.1.6
//= type=test
//= id=rfc1122-3.3.1.6-1, rfc1122-3.3.1.6-2
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.4.2
//= type=test
//= id=rfc1122-3.3.4.2-2, rfc1122-3.3.4.2-3
//= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.5
//= type=test
//= id=rfc1122-4.1.3.5-2, rfc1122-4.1.3.5-3
#[test]
fn the_source_is_the_programs_choice_or_fits_the_destination() {
    let mut h = host(Config::default());
    for (bound, to, expected) in [
        (None, "10.7.0.2", "10.7.0.1"),
        (None, "10.9.3.4", "10.9.0.1"),
        (None, "8.8.8.8", "10.7.0.1"),
        (Some("10.9.0.1"), "10.7.0.2", "10.9.0.1"),
    ] {
        let (id, stream) = (h.udp_socket(Family::V4), h.tcp_socket(Family::V4));
        let to = Endpoint::new(a(to), 80);
        for id in [id, stream] {
            if let Some(bound) = bound {
                h.bind(id, Endpoint::new(a(bound), 0)).unwrap();
            }
        }
        h.try_send_to(id, b"text", Some(to), NOW).unwrap();
        h.connect(id, to, NOW).unwrap();
        assert_eq!(h.connect(stream, to, NOW), Err(Error::InProgress));
        let sent = out(&mut h, NOW);
        assert_eq!(sent.len(), 2);
        assert!(sent.iter().all(|p| ip::parse(p).unwrap().header.src == a(expected)), "{bound:?} {to}");
        assert_eq!(h.local_endpoint(id).map(|e| e.address), Ok(a(expected)), "and the program learns it");
        h.close(id, NOW).unwrap();
        h.abort(stream, NOW).unwrap();
        out(&mut h, NOW);
    }
    let id = h.udp_socket(Family::V4);
    assert_eq!(h.bind(id, Endpoint::new(a("10.7.0.2"), 0)), Err(Error::AddrNotAvailable), "not ours");
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.4
//= type=test
//= id=rfc1122-3.4-3
//= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.5
//= type=test
//= id=rfc1122-4.1.3.5-1
//= https://www.rfc-editor.org/rfc/rfc768
//= type=test
//= id=rfc768-front-1
#[test]
fn a_datagram_says_where_it_comes_from_and_where_it_went() {
    let mut h = host(Config::default());
    let id = bound(&mut h, Family::V4, 53);
    for to in ["10.7.0.1", "10.9.0.1", "10.7.0.255", "255.255.255.255", "224.0.0.1"] {
        give(&mut h, &datagram("10.7.0.2", to, b"text"));
        let got = h.try_receive_from(id, &mut [0; 9], false).unwrap();
        assert_eq!(
            (got.len, got.from, got.to),
            (4, Endpoint::new(a("10.7.0.2"), 4000), Endpoint::new(a(to), 53))
        );
    }
    h.try_send_to(id, b"answer", Some(Endpoint::new(a("10.7.0.2"), 4000)), NOW).unwrap();
    let sent = out(&mut h, NOW);
    let parsed = ip::parse(&sent[0]).unwrap();
    let (ports, text) = udp::parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
    assert_eq!((parsed.header.src, parsed.header.dst), (a("10.7.0.1"), a("10.7.0.2")));
    assert_eq!((ports, text), (udp::Header { src_port: 53, dst_port: 4000 }, &b"answer"[..]));
}
