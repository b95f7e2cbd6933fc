//! Clauses of RFC 4443: ICMPv6 at the edge of the stack.

use super::six::{PEER, Six, US, a, header, packet, segment_of};
use super::*;
use crate::wire::icmp::{self, Message};
use crate::wire::ip::{self, protocol};
use crate::wire::udp;

fn six() -> Six {
    Six::new(Config::default())
}

/// A datagram of the peer to this port of ours.
fn datagram(dst: &str, port: u16, len: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    let ports = udp::Header { src_port: 53, dst_port: port };
    udp::emit(a(PEER), a(dst), ports, &vec![9; len], &mut payload);
    packet(header(PEER, dst, protocol::UDP), &payload)
}

/// From whom, to whom, and what.
fn message(packet: &[u8]) -> (Address, Address, Message<'_>) {
    let parsed = ip::parse(packet).unwrap();
    assert_eq!(parsed.header.protocol, protocol::ICMPV6);
    let message = icmp::parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
    (parsed.header.src, parsed.header.dst, message)
}

//= https://www.rfc-editor.org/rfc/rfc4443#section-2.2
//= type=test
//= id=rfc4443-2.2-3, rfc4443-2.2-4
//= https://www.rfc-editor.org/rfc/rfc4443#section-4.1
//= type=test
//= id=rfc4443-4.1-1
//= https://www.rfc-editor.org/rfc/rfc4443#section-4.2
//= type=test
//= id=rfc4443-4.2-1, rfc4443-4.2-2, rfc4443-4.2-3, rfc4443-4.2-4
#[test]
fn echoes_come_from_where_they_were_asked() {
    let data = pattern(1400);
    let request = Message::EchoRequest { id: 7, sequence: 9, data: &data };
    // A group's are answered from the address that routing chooses for whoever asks.
    for (from, to, answered_from) in [
        (PEER, US, US),
        (PEER, "fd01::1", "fd01::1"),
        (PEER, "ff02::1", US),
        ("fd01::2", "ff02::1", "fd01::1"),
    ] {
        let mut s = six();
        s.icmp(from, to, &request);
        let out = s.sent();
        assert_eq!(out.len(), 1, "{to}");
        let reply = Message::EchoReply { id: 7, sequence: 9, data: &data };
        assert_eq!(message(&out[0]), (a(answered_from), a(from), reply), "{to}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc4443#section-4.1
//= type=test
//= id=rfc4443-4.1-2
//= https://www.rfc-editor.org/rfc/rfc4443#section-4.2
//= type=test
//= id=rfc4443-4.2-5
#[test]
fn replies_reach_the_program_that_asked() {
    let mut s = six();
    let id = s.host.ping_socket(Family::V6);
    let now = s.now;
    let to = Some(Endpoint::new(a(PEER), 0));
    s.host.try_send_to(id, &[128, 0, 0, 0, 0, 0, 0, 3, b'x'], to, now).unwrap();
    let out = s.sent();
    let (_, _, Message::EchoRequest { id: identifier, sequence: 3, data: b"x" }) = message(&out[0]) else {
        panic!("{out:?}");
    };
    let mut buf = [0; 20];
    s.icmp(PEER, US, &Message::EchoReply { id: identifier ^ 1, sequence: 3, data: b"y" });
    assert_eq!(s.host.try_receive_from(id, &mut buf, false).unwrap_err(), Error::WouldBlock);
    s.icmp(PEER, US, &Message::EchoReply { id: identifier, sequence: 3, data: b"x" });
    assert_eq!(s.host.try_receive_from(id, &mut buf, false).unwrap().len, 9);
    assert_eq!((buf[0], buf[8]), (129, b'x'));
}

//= https://www.rfc-editor.org/rfc/rfc4443#section-2.2
//= type=test
//= id=rfc4443-2.2-1, rfc4443-2.2-2
//= https://www.rfc-editor.org/rfc/rfc4443#section-3.1
//= type=test
//= id=rfc4443-3.1-4
#[test]
fn a_port_without_a_socket_is_unreachable() {
    for dst in [US, "fd01::1"] {
        let mut s = six();
        let offending = datagram(dst, 9, 100);
        s.receive(&offending);
        let out = s.sent();
        let error = Message::DestinationUnreachable { code: 4, quoted: &offending };
        assert_eq!(message(&out[0]), (a(dst), a(PEER), error));
    }
}

//= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
//= type=test
//= id=rfc4443-2.4-6, rfc4443-2.4-7
//= https://www.rfc-editor.org/rfc/rfc4443#section-3.1
//= type=test
//= id=rfc4443-3.1-5
#[test]
fn errors_are_limited_as_the_administrator_wants() {
    for limit in [0, 1, 5, 100] {
        let mut s = Six::new(Config { icmp_errors_per_second: limit, ..Config::default() });
        for _ in 0..2 {
            for _ in 0..300 {
                s.receive(&datagram(US, 9, 0));
            }
            assert_eq!(s.sent().len(), limit as usize);
            s.now += Duration::from_secs(1);
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc4443#section-3.1
//= type=test
//= id=rfc4443-3.1-2
#[test]
fn a_full_queue_drops_without_a_word() {
    let mut s = six();
    let id = s.udp(5000);
    let mut options = s.host.options(id).unwrap();
    options.receive_buffer = 2000;
    let now = s.now;
    s.host.set_options(id, options, now).unwrap();
    for _ in 0..100 {
        s.receive(&datagram(US, 5000, 500));
    }
    assert!(s.host.counters().udp_rcvbuf_errors > 90);
    assert!(s.sent().is_empty());
}

//= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
//= type=test
//= id=rfc4443-2.4-3
#[test]
fn informational_messages_of_unknown_type_are_discarded() {
    let mut s = six();
    for kind in [130, 133, 138, 200, 255] {
        s.icmp(PEER, US, &Message::Other { kind, code: 0 });
    }
    assert!(s.sent().is_empty());
}

/// Each kind of error finds the connection whose segment it quotes: an attempt, and one that stands.
//= https://www.rfc-editor.org/rfc/rfc4443#section-3.1
//= type=test
//= id=rfc4443-3.1-6
//= https://www.rfc-editor.org/rfc/rfc4443#section-3.2
//= type=test
//= id=rfc4443-3.2-2
//= https://www.rfc-editor.org/rfc/rfc4443#section-3.3
//= type=test
//= id=rfc4443-3.3-1
//= https://www.rfc-editor.org/rfc/rfc4443#section-3.4
//= type=test
//= id=rfc4443-3.4-2
//= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
//= type=test
//= id=rfc4443-2.4-2
#[test]
fn errors_reach_whoever_sent_what_they_quote() {
    for (what, told) in
        [(0, Error::NetUnreachable), (1, Error::HostUnreachable), (2, Error::Protocol), (3, Error::Protocol)]
    {
        let mut s = six();
        let id = s.connected(4000, 1440);
        let out = s.write(id, 100);
        let quoted = &out[0][..];
        let complaint = match what {
            0 => Message::DestinationUnreachable { code: 0, quoted },
            1 => Message::TimeExceeded { code: 0, quoted },
            2 => Message::ParameterProblem { code: 0, pointer: 4, quoted },
            _ => Message::UnknownError { kind: 100, code: 7, quoted },
        };
        s.complaint(&complaint);
        assert_eq!((s.tcb(id).soft_error, s.host.state(id)), (Some(told), Some(State::Established)));
    }
    let mut s = six();
    let id = s.udp(5000);
    let now = s.now;
    s.host.try_send_to(id, b"question", None, now).unwrap();
    let out = s.sent();
    s.complaint(&Message::DestinationUnreachable { code: 4, quoted: &out[0] });
    assert_eq!(s.host.take_error(id), Some(Error::Refused));
    // Too big: the connection sends smaller pieces.
    let mut s = six();
    let id = s.connected(4000, 1440);
    let out = s.write(id, 3000);
    s.complaint(&Message::PacketTooBig { mtu: 1280, quoted: &out[0] });
    assert_eq!(segment_of(&s.sent()[0]).1, 1220);
}

//= https://www.rfc-editor.org/rfc/rfc4443#section-3.4
//= type=test
//= id=rfc4443-3.4-1
#[test]
fn a_header_that_cannot_be_processed_is_told_with_its_place() {
    let mut s = six();
    let unknown = packet(header(PEER, US, 253), &[0; 16]);
    s.receive(&unknown);
    let out = s.sent();
    let problem = Message::ParameterProblem { code: 1, pointer: 6, quoted: &unknown };
    assert_eq!(message(&out[0]), (a(US), a(PEER), problem));
    // A destination option of unknown type 0x80: discard, and say so.
    let option = packet(header(PEER, US, 60), &[protocol::UDP, 0, 0x80, 0, 1, 2, 0, 0]);
    s.receive(&option);
    let out = s.sent();
    let problem = Message::ParameterProblem { code: 2, pointer: 42, quoted: &option };
    assert_eq!(message(&out[0]).2, problem);
    assert_eq!(s.host.counters().udp_in_datagrams, 0);
}
