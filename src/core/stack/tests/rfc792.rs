//! Clauses of RFC 792, and of RFC 1122 about ICMP.

use super::rfc1122::{
    NOW, a, bound, datagram, give, header, host, icmp, message, out, packet, read, udp_payload, with_options,
};
use super::*;
use crate::ip::output;
use crate::ip::reassembly::{Outcome, Reassembly};
use crate::wire::icmp::{self as wire, Message};
use crate::wire::ip::{self, protocol};
use crate::wire::udp;

/// The pieces of a packet put together again.
fn joined(packets: &[Vec<u8>]) -> (ip::Header, Vec<u8>) {
    let mut reassembly = Reassembly::new(1 << 20, Duration::from_secs(60));
    for packet in packets {
        if let Outcome::Complete(header, payload) = reassembly.insert(NOW, &ip::parse(packet).unwrap()) {
            return (header, payload);
        }
    }
    panic!("a piece is missing");
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.1
//= type=test
//= id=rfc1122-3.1-1
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.6
//= type=test
//= id=rfc1122-3.2.2.6-1, rfc1122-3.2.2.6-3, rfc1122-3.2.2.6-4
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.4.2
//= type=test
//= id=rfc1122-3.3.4.2-1
//= https://www.rfc-editor.org/rfc/rfc792
//= type=test
//= id=rfc792-front-1, rfc792-front-10, rfc792-front-11
#[test]
fn a_ping_of_any_length_is_answered_from_where_it_went() {
    let mut h = host(Config::default());
    for (to, len) in [("10.7.0.1", 56), ("10.9.0.1", 56), ("10.7.0.1", 60_000)] {
        let data = pattern(len);
        let mut ping = Vec::new();
        Message::EchoRequest { id: 7, sequence: 9, data: &data }.emit(a("8.8.8.8"), a(to), &mut ping);
        let mut answer = Vec::new();
        output::fragment(header("8.8.8.8", to, protocol::ICMP), &ping, 1500, 5, |p| {
            answer.extend(give(&mut h, &p).1);
        })
        .unwrap();
        let (ip, payload) = joined(&answer);
        assert_eq!((ip.src, ip.dst), (a(to), a("8.8.8.8")));
        let reply = wire::parse(&ip, &payload, Trust::Verify).unwrap();
        assert_eq!(reply, Message::EchoReply { id: 7, sequence: 9, data: &data });
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
//= type=test
//= id=rfc1122-3.2.2-1
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.7
//= type=test
//= id=rfc1122-3.2.2.7-1
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.2
//= type=test
//= id=rfc1122-3.2.2.2-4
#[test]
fn icmp_that_means_nothing_here_is_dropped_in_silence() {
    let mut h = host(Config::default());
    // Nobody's; source quench, redirect, router discovery, timestamp, information, address mask.
    for kind in [1, 2, 7, 19, 42, 255, 4, 5, 9, 10, 13, 14, 15, 16, 17, 18] {
        let mut bytes = vec![kind, 0, 0, 0, 10, 7, 0, 9];
        bytes.extend(datagram("10.7.0.1", "10.7.0.2", b"text"));
        let sum = crate::wire::checksum::Sum::new().add(&bytes).finish();
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        let ip = header("10.7.0.2", "10.7.0.1", protocol::ICMP);
        let (received, sent) = give(&mut h, &packet(ip, &bytes));
        assert_eq!((received, sent.len()), (Received::Icmp("ignored"), 0), "{kind}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.5
//= type=test
//= id=rfc1122-3.2.2.5-1
//= https://www.rfc-editor.org/rfc/rfc792
//= type=test
//= id=rfc792-front-8
#[test]
fn a_header_that_makes_no_sense_is_answered_with_where_it_goes_wrong() {
    let mut h = host(Config::default());
    let id = bound(&mut h, Family::V4, 53);
    let ip = header("10.7.0.2", "10.7.0.1", protocol::UDP);
    let bad = with_options(ip, &[1, 68, 1, 0], &udp_payload("10.7.0.2", "10.7.0.1", b"text"));
    let (_, sent) = give(&mut h, &bad);
    let (ip, problem) = message(&sent[0]);
    assert_eq!((ip.src, ip.dst), (a("10.7.0.1"), a("10.7.0.2")));
    assert_eq!(problem, Message::ParameterProblem { code: 0, pointer: 21, quoted: &bad });
    assert_eq!(read(&mut h, id), Err(Error::WouldBlock));
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
//= type=test
//= id=rfc1122-3.2.2-3
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.1
//= type=test
//= id=rfc1122-3.2.2.1-1
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.4.2
//= type=test
//= id=rfc1122-3.3.4.2-1
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.8
//= type=test
//= id=rfc1122-3.3.8-1
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.4
//= type=test
//= id=rfc1122-3.4-5
//= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.1
//= type=test
//= id=rfc1122-4.1.3.1-1
//= https://www.rfc-editor.org/rfc/rfc792
//= type=test
//= id=rfc792-front-2
#[test]
fn what_nobody_takes_is_unreachable() {
    let mut h = host(Config::default());
    let ip = header("10.7.0.2", "10.9.0.1", 200);
    let ip = ip::Header { traffic_class: 0xb8, ..ip };
    for (offending, expected) in [(datagram("10.7.0.2", "10.9.0.1", b"text"), 3), (packet(ip, b"text"), 2)] {
        let (_, sent) = give(&mut h, &offending);
        assert_eq!(sent.len(), 1);
        let (ip, unreachable) = message(&sent[0]);
        assert_eq!((ip.src, ip.dst, ip.traffic_class), (a("10.9.0.1"), a("10.7.0.2"), 0));
        assert_eq!(unreachable, Message::DestinationUnreachable { code: expected, quoted: &offending });
        assert_eq!(sent[0][24..28], [0; 4], "unused");
    }
}

/// A packet of ours from port 4000 to port 80 of 10.7.0.2, as a router quotes it.
fn quoted(protocol: u8, seq: u32) -> Vec<u8> {
    let mut transport = vec![0x0f, 0xa0, 0, 80];
    transport.extend(seq.to_be_bytes());
    packet(header("10.7.0.1", "10.7.0.2", protocol), &transport)
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
//= type=test
//= id=rfc1122-3.2.2-2
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.1
//= type=test
//= id=rfc1122-3.2.2.1-2, rfc1122-3.2.2.1-4
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.4
//= type=test
//= id=rfc1122-3.4-6
#[test]
fn an_error_goes_to_the_protocol_whose_packet_it_quotes() {
    for about in [protocol::UDP, protocol::TCP] {
        let mut h = host(Config::default());
        let (id, stream) = (h.udp_socket(Family::V4), h.tcp_socket(Family::V4));
        let (from, to) = (Endpoint::new(a("10.7.0.1"), 4000), Endpoint::new(a("10.7.0.2"), 80));
        h.bind(id, from).unwrap();
        h.bind(stream, from).unwrap();
        h.connect(id, to, NOW).unwrap();
        assert_eq!(h.connect(stream, to, NOW), Err(Error::InProgress));
        let syn = out(&mut h, NOW);
        let iss = u32::from_be_bytes(syn[0][24..28].try_into().unwrap());
        let unreachable = Message::DestinationUnreachable { code: 3, quoted: &quoted(about, iss) };
        let (received, sent) = give(&mut h, &icmp("10.7.0.2", "10.7.0.1", &unreachable));
        assert_eq!((received, sent.len()), (Received::Icmp("error: told to its socket"), 0));
        let told = [id, stream].map(|id| h.take_error(id));
        let refused = Some(Error::Refused);
        assert_eq!(told, if about == protocol::UDP { [refused, None] } else { [None, refused] });
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.1
//= type=test
//= id=rfc1122-3.2.2.1-5
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.4
//= type=test
//= id=rfc1122-3.2.2.4-1
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.5
//= type=test
//= id=rfc1122-3.2.2.5-2
#[test]
fn what_may_pass_is_told_to_tcp_and_ends_nothing() {
    let unreachable = |code| (3, code);
    for (kind, code) in [unreachable(0), unreachable(1), unreachable(5), (11, 0), (11, 1), (12, 0)] {
        let mut h = host(Config::default());
        let stream = h.tcp_socket(Family::V4);
        h.bind(stream, Endpoint::new(a("10.7.0.1"), 4000)).unwrap();
        assert_eq!(h.connect(stream, Endpoint::new(a("10.7.0.2"), 80), NOW), Err(Error::InProgress));
        let iss = u32::from_be_bytes(out(&mut h, NOW)[0][24..28].try_into().unwrap());
        let quoted = quoted(protocol::TCP, iss);
        let (message, expected) = match kind {
            3 => {
                let error = [Error::NetUnreachable, Error::HostUnreachable][usize::from(code == 1)];
                let error = if code == 5 { Error::NotSupported } else { error };
                (Message::DestinationUnreachable { code, quoted: &quoted }, error)
            }
            11 => (Message::TimeExceeded { code, quoted: &quoted }, Error::HostUnreachable),
            _ => (Message::ParameterProblem { code, pointer: 0, quoted: &quoted }, Error::Protocol),
        };
        let (received, _) = give(&mut h, &icmp("10.7.0.9", "10.7.0.1", &message));
        assert_eq!(received, Received::Icmp("error: told to its socket"));
        assert_eq!(h.state(stream), Some(State::SynSent));
        let Kind::Connection(tcb) = &h.slab.get(stream).unwrap().kind else { panic!("no connection") };
        assert_eq!(tcb.soft_error, Some(expected), "{kind} {code}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.6
//= type=test
//= id=rfc1122-3.2.2.6-2, rfc1122-3.2.2.6-6
#[test]
fn a_program_pings_and_hears_the_answer() {
    let mut h = host(Config::default());
    let id = h.ping_socket(Family::V4);
    h.bind(id, Endpoint::new(Address::UNSPECIFIED_V4, 5)).unwrap();
    let to = Endpoint::new(a("10.7.0.2"), 0);
    h.try_send_to(id, &[8, 0, 0, 0, 0, 0, 0, 9, b'x'], Some(to), NOW).unwrap();
    let sent = out(&mut h, NOW);
    assert_eq!(message(&sent[0]).1, Message::EchoRequest { id: 5, sequence: 9, data: b"x" });
    let reply = icmp("10.7.0.2", "10.7.0.1", &Message::EchoReply { id: 5, sequence: 9, data: b"x" });
    give(&mut h, &reply);
    assert_eq!(read(&mut h, id).unwrap(), reply[20..]);
}

/// Between programs of one machine checksums are partial and datagrams come joined: an error quotes what was sent.
#[test]
fn an_error_quotes_what_was_sent() {
    let ports = udp::Header { src_port: 4000, dst_port: 53 };
    for (from, to) in [("10.7.0.2", "10.7.0.1"), ("fd00::2", "fd00::1")] {
        let datagram = |data: &[u8], partial| {
            let mut packet = Vec::new();
            udp::emit_packet(&header(from, to, protocol::UDP), ports, data, 7, partial, &mut packet).unwrap();
            packet
        };
        let data = pattern(900);
        let (whole, first) = (datagram(&data, false), datagram(&data[..300], false));
        for (partial, trust, gso_size, sent) in [
            (false, Trust::Verify, 0, &whole),
            (false, Trust::Trusted, 0, &whole),
            (true, Trust::Trusted, 0, &whole),
            (true, Trust::Trusted, 300, &first),
            (false, Trust::Verify, 300, &first),
        ] {
            let mut h = host(Config::default());
            h.receive(NOW, Inbound { trust, gso_size, ..Inbound::plain(&datagram(&data, partial)) });
            let error = out(&mut h, NOW);
            assert_eq!(error.len(), 1);
            let Message::DestinationUnreachable { quoted, .. } = message(&error[0]).1 else {
                panic!("{error:?}")
            };
            assert_eq!(quoted, &sent[..quoted.len()]);
            assert!(quoted.len() >= sent.len().min(548), "{}", quoted.len());
        }
    }
}

/// Headers that go on behind the length that the packet tells are not read for its sum.
#[test]
fn an_error_about_headers_behind_the_end() {
    let mut packet = Vec::new();
    header("fd00::2", "fd00::1", 0).emit(8, 7, &mut packet).unwrap();
    // An option that asks for an error; behind the end of the packet, more headers.
    packet.extend([60, 0, 0x80, 4, 0, 0, 0, 0]);
    packet.extend([protocol::UDP, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    packet.extend([1; 100]);
    let mut h = host(Config::default());
    h.receive(NOW, Inbound { trust: Trust::Trusted, ..Inbound::plain(&packet) });
    assert_eq!(out(&mut h, NOW).len(), 1);
}
