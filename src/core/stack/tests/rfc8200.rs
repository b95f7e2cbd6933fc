//! Clauses of RFC 8200: what a host does with extension headers, fragments and sizes.

use super::rfc1122::{NOW, a, bound, give, header, host, icmp, message, out, packet, udp_payload};
use super::*;
use crate::ip::output;
use crate::wire::icmp::Message;
use crate::wire::ip::protocol;

const THEM: &str = "fd00::2";
const US: &str = "fd00::1";
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// A packet of these headers, each named by the one before it, with a UDP datagram to port 53 behind. A header is
/// what follows its first octet.
fn chain(dst: &str, headers: &[(u8, &[u8])]) -> Vec<u8> {
    let payload = behind(headers, protocol::UDP, &udp_payload(THEM, dst, b"text"));
    packet(header(THEM, dst, headers.first().map_or(protocol::UDP, |h| h.0)), &payload)
}

fn behind(headers: &[(u8, &[u8])], last: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, (_, body)) in headers.iter().enumerate() {
        bytes.push(headers.get(i + 1).map_or(last, |next| next.0));
        bytes.extend_from_slice(body);
    }
    bytes.extend_from_slice(rest);
    bytes
}

/// Options that are all padding.
const PADDED: &[u8] = &[0, 1, 4, 0, 0, 0, 0];
/// A routing header with nothing left of the route, and one with a node left.
const ROUTED: &[u8] = &[0, 77, 0, 0, 0, 0, 0];
const UNROUTED: &[u8] = &[0, 77, 1, 0, 0, 0, 0];
/// A fragment header of a packet that was not cut.
const ATOMIC: &[u8] = &[0, 0, 0, 0, 0, 0, 5];

/// Whether a UDP socket gets what the packet holds, and what is said to its sender.
fn outcome(packet: &[u8]) -> (bool, Vec<Vec<u8>>) {
    let mut h = host(Config::default());
    let id = bound(&mut h, Family::V6, 53);
    let (_, sent) = give(&mut h, packet);
    (h.try_receive_from(id, &mut [0; 9], false).is_ok_and(|got| got.len == 4), sent)
}

/// The one answer to a packet that is not delivered: a parameter problem's code and pointer.
fn problem(packet: &[u8]) -> Option<(u8, u32)> {
    let (delivered, sent) = outcome(packet);
    assert!(!delivered && sent.len() < 2);
    let (ip, said) = message(sent.first()?);
    assert_eq!(ip.dst, a(THEM));
    match said {
        Message::ParameterProblem { code, pointer, quoted } => {
            assert_eq!(quoted, packet);
            Some((code, pointer))
        }
        other => panic!("{other:?}"),
    }
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-1
//= type=test
//= id=rfc8200-1-1
//= https://www.rfc-editor.org/rfc/rfc8200#section-3
//= type=test
//= id=rfc8200-3-1
#[test]
fn a_ping_is_answered_whatever_its_hop_limit() {
    for hop_limit in [64, 1, 0] {
        let mut h = host(Config::default());
        let mut ping = icmp(THEM, US, &Message::EchoRequest { id: 7, sequence: 9, data: b"data" });
        ping[7] = hop_limit;
        let (_, sent) = give(&mut h, &ping);
        let (ip, reply) = message(&sent[0]);
        assert_eq!((ip.src, ip.dst), (a(US), a(THEM)));
        assert_eq!(reply, Message::EchoReply { id: 7, sequence: 9, data: b"data" });
    }
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-4
//= type=test
//= id=rfc8200-4-1, rfc8200-4-3, rfc8200-4-4
#[test]
fn a_next_header_that_nobody_knows_is_pointed_at() {
    let unknown = |headers: &[(u8, &[u8])]| {
        let payload = behind(headers, 253, b"text");
        problem(&packet(header(THEM, US, headers.first().map_or(253, |h| h.0)), &payload))
    };
    assert_eq!(unknown(&[]), Some((1, 6)));
    assert_eq!(unknown(&[(DESTINATION, PADDED)]), Some((1, 40)));
    assert_eq!(unknown(&[(HOP_BY_HOP, PADDED), (ROUTING, ROUTED)]), Some((1, 48)));
    // Hop-by-hop options anywhere but first are not known either.
    assert_eq!(problem(&chain(US, &[(DESTINATION, PADDED), (HOP_BY_HOP, PADDED)])), Some((1, 40)));
    assert_eq!(problem(&chain(US, &[(HOP_BY_HOP, PADDED), (HOP_BY_HOP, PADDED)])), Some((1, 40)));
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-4
//= type=test
//= id=rfc8200-4-2
//= https://www.rfc-editor.org/rfc/rfc8200#section-4.2
//= type=test
//= id=rfc8200-4.2-1
#[test]
fn headers_and_options_are_taken_in_their_order() {
    const ASKS: &[u8] = &[0, 0x80, 0, 1, 2, 0, 0];
    const SILENT: &[u8] = &[0, 0x40, 0, 1, 2, 0, 0];
    assert_eq!(problem(&chain(US, &[(DESTINATION, ASKS), (ROUTING, UNROUTED)])), Some((2, 42)));
    assert_eq!(problem(&chain(US, &[(ROUTING, UNROUTED), (DESTINATION, ASKS)])), Some((0, 42)));
    assert_eq!(problem(&chain(US, &[(DESTINATION, SILENT), (ROUTING, UNROUTED)])), None);
    const SILENT_FIRST: &[u8] = &[0, 0x40, 0, 0x80, 0, 1, 0];
    const ASKS_FIRST: &[u8] = &[0, 0x80, 0, 0x40, 0, 1, 0];
    assert_eq!(problem(&chain(US, &[(DESTINATION, SILENT_FIRST)])), None);
    assert_eq!(problem(&chain(US, &[(DESTINATION, ASKS_FIRST)])), Some((2, 42)));
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-4.1
//= type=test
//= id=rfc8200-4.1-3
#[test]
fn headers_come_in_any_order_and_number() {
    let (d, r, f) = ((DESTINATION, PADDED), (ROUTING, ROUTED), (FRAGMENT, ATOMIC));
    for headers in [
        &[(HOP_BY_HOP, PADDED), d, r, f, d][..],
        &[f, r, d],
        &[d, f, d, r, d],
        &[r, r, r],
        &[d, d, d, d, d, d, d],
        &[(HOP_BY_HOP, PADDED), r, d, r, d, f],
    ] {
        assert_eq!(outcome(&chain(US, headers)), (true, vec![]), "{headers:?}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-4.2
//= type=test
//= id=rfc8200-4.2-2, rfc8200-4.2-5
#[test]
fn an_option_that_nobody_knows_says_what_is_to_be_done() {
    for (dst, kind, delivered, answered) in [
        (US, 0x1e, true, false),
        (US, 0x5e, false, false),
        (US, 0x9e, false, true),
        (US, 0xde, false, true),
        ("ff02::1", 0x1e, true, false),
        ("ff02::1", 0x5e, false, false),
        ("ff02::1", 0x9e, false, true),
        ("ff02::1", 0xde, false, false),
    ] {
        for carrier in [HOP_BY_HOP, DESTINATION] {
            let bytes = chain(dst, &[(carrier, &[0, 0, kind, 3, 9, 9, 9])]);
            assert_eq!(outcome(&bytes).0, delivered, "{dst} {kind:#x}");
            if !delivered {
                assert_eq!(problem(&bytes), answered.then_some((2, 43)), "{dst} {kind:#x}");
            }
        }
    }
    // Padding is known, of one octet and of more.
    for padding in [&[0, 0, 0, 0, 0, 0, 0][..], &[0, 1, 4, 9, 9, 9, 9], &[0, 0, 1, 0, 1, 1, 9]] {
        for carrier in [HOP_BY_HOP, DESTINATION] {
            assert_eq!(outcome(&chain(US, &[(carrier, padding)])), (true, vec![]));
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-4.4
//= type=test
//= id=rfc8200-4.4-1, rfc8200-4.4-2
#[test]
fn a_route_that_has_ended_is_ignored_and_one_that_goes_on_refused() {
    assert_eq!(outcome(&chain(US, &[(ROUTING, ROUTED)])), (true, vec![]));
    assert_eq!(problem(&chain(US, &[(ROUTING, UNROUTED)])), Some((0, 42)));
    assert_eq!(problem(&chain(US, &[(DESTINATION, PADDED), (ROUTING, UNROUTED)])), Some((0, 50)));
}

/// A fragment: the field with offset and M flag, and what it holds.
fn fragment(field: u16, part: &[u8]) -> Vec<u8> {
    let [o0, o1] = field.to_be_bytes();
    let bytes = behind(&[(FRAGMENT, &[0, o0, o1, 0, 0, 0, 5])], protocol::UDP, part);
    packet(header(THEM, US, FRAGMENT), &bytes)
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
//= type=test
//= id=rfc8200-4.5-10, rfc8200-4.5-11, rfc8200-4.5-12
#[test]
fn fragments_that_cannot_be_are_pointed_at() {
    assert_eq!(problem(&fragment(1, &[0; 23])), Some((0, 4)), "no multiple of 8, and more follow");
    assert_eq!(problem(&fragment(0xfff8, &[0; 8])), Some((0, 42)), "longer than a packet can be");
    let headless = behind(&[(FRAGMENT, &[0, 0, 1, 0, 0, 0, 5])], DESTINATION, &[17, 1, 1, 4, 0, 0, 0, 0]);
    assert_eq!(problem(&packet(header(THEM, US, FRAGMENT), &headless)), Some((3, 0)), "not all its headers");
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
//= type=test
//= id=rfc8200-4.5-8, rfc8200-4.5-9
#[test]
fn fragments_have_a_minute_and_their_sender_is_told_if_the_first_came() {
    let payload = udp_payload(THEM, US, &[7; 72]);
    for (first, told) in [(true, true), (false, false)] {
        let mut h = host(Config::default());
        bound(&mut h, Family::V6, 53);
        let (one, two) = (fragment(1, &payload[..40]), fragment(40, &payload[40..]));
        let (kept, late) = if first { (&one, &two) } else { (&two, &one) };
        assert_eq!(give(&mut h, kept).0, Received::Fragment);
        let due = NOW + Duration::from_secs(60);
        assert!(out(&mut h, due - Duration::from_millis(1)).is_empty());
        let sent = out(&mut h, due);
        assert_eq!(sent.len(), usize::from(told));
        if told {
            assert_eq!(message(&sent[0]).1, Message::TimeExceeded { code: 1, quoted: kept });
        }
        assert_eq!(h.receive(due, Inbound::plain(late)), Received::Fragment, "the other was thrown away");
    }
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
//= type=test
//= id=rfc8200-4.5-13
#[test]
fn fragments_that_overlap_end_in_silence() {
    let mut h = host(Config::default());
    let id = bound(&mut h, Family::V6, 53);
    let payload = udp_payload(THEM, US, &[7; 72]);
    for (field, part) in [(1, &payload[..40]), (33, &payload[32..56]), (40, &payload[40..])] {
        assert!(give(&mut h, &fragment(field, part)).1.is_empty());
    }
    assert!(out(&mut h, NOW + Duration::from_secs(300)).is_empty());
    assert_eq!(h.try_receive_from(id, &mut [0; 9], false), Err(Error::WouldBlock));
    assert_eq!(h.counters().ip_reasm_overlaps, 2);
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-5
//= type=test
//= id=rfc8200-5-3, rfc8200-5-5
#[test]
fn packets_of_the_links_size_and_larger_ones_in_fragments_are_taken() {
    for (mtu, len) in [(1280, 1280), (1500, 1500), (9000, 9000), (1280, 1500), (1500, 65_535)] {
        let mut h = host(Config { mtu, ..Config::default() });
        let id = bound(&mut h, Family::V6, 53);
        let text = pattern(len - 48);
        let mut sent = 0;
        let ip = header(THEM, US, protocol::UDP);
        output::fragment(ip, &udp_payload(THEM, US, &text), mtu.into(), 5, |p| {
            sent += 1;
            give(&mut h, &p);
        })
        .unwrap();
        assert_eq!(sent == 1, len <= usize::from(mtu));
        let mut buf = vec![0; len];
        assert_eq!(h.try_receive_from(id, &mut buf, false).unwrap().len, text.len());
        assert_eq!(buf[..text.len()], text);
    }
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-4.7
//= type=test
//= id=rfc8200-4.7-1
#[test]
fn nothing_follows_no_next_header() {
    let bytes = behind(&[(DESTINATION, PADDED)], protocol::NO_NEXT_HEADER, b"octets past the end");
    assert_eq!(outcome(&packet(header(THEM, US, DESTINATION), &bytes)), (false, vec![]));
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
//= type=test
//= id=rfc8200-4.5-1
//= https://www.rfc-editor.org/rfc/rfc8200#section-5
//= type=test
//= id=rfc8200-5-4
#[test]
fn what_the_path_takes_is_learned_from_packet_too_big() {
    let mut h = host(Config::default());
    let id = bound(&mut h, Family::V6, 53);
    let to = Endpoint::new(a("2001:db8::9"), 80);
    let lens = |h: &mut Stack| {
        h.try_send_to(id, &[7; 1452], Some(to), NOW).unwrap();
        out(h, NOW)
    };
    let whole = lens(&mut h);
    assert_eq!(whole.iter().map(Vec::len).collect::<Vec<_>>(), [1500]);
    give(&mut h, &icmp("2001:db8::1", US, &Message::PacketTooBig { mtu: 1300, quoted: &whole[0][..1200] }));
    let cut = lens(&mut h);
    assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [40 + 8 + 1248, 40 + 8 + 212]);
    assert_ne!(cut[0][44..48], lens(&mut h)[0][44..48], "another identification for the next");
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-8.3
//= type=test
//= id=rfc8200-8.3-1, rfc8200-8.3-2
#[test]
fn the_mss_leaves_room_for_the_larger_header() {
    for (mtu, mss) in [(1280, 1220u16), (1500, 1440), (9000, 8940)] {
        let mut h = host(Config { mtu, ..Config::default() });
        let id = h.tcp_socket(Family::V6);
        assert_eq!(h.connect(id, Endpoint::new(a(THEM), 80), NOW), Err(Error::InProgress));
        let syn = out(&mut h, NOW);
        assert_eq!(syn[0][60..64], [[2, 4], mss.to_be_bytes()].concat());
    }
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-8.1
//= type=test
//= id=rfc8200-8.1-3
#[test]
fn a_udp_datagram_without_a_checksum_is_dropped_and_counted() {
    let mut h = host(Config::default());
    let id = bound(&mut h, Family::V6, 53);
    let mut payload = udp_payload(THEM, US, b"text");
    payload[6..8].fill(0);
    let (received, sent) = give(&mut h, &packet(header(THEM, US, protocol::UDP), &payload));
    assert_eq!((received, sent.len()), (Received::Dropped("bad UDP checksum"), 0));
    assert_eq!(h.try_receive_from(id, &mut [0; 9], false), Err(Error::WouldBlock));
    assert_eq!(h.counters().udp_in_csum_errors, 1);
}
