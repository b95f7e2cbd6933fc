//! Datagrams that leave together, arrive together, and are sent and received by batches.

use super::rfc1122::{a, icmp};
use super::*;
use crate::config::Offload;
use crate::packet::Checksum;
use crate::sockopt::{PathMtuDiscovery, SocketOptions};
use crate::stack::sending::{MAX_SEGMENTS, Message};
use crate::stack::socket::ReceivedDatagram;
use crate::wire::icmp::Message as Icmp;
use crate::wire::udp::{self, Header as Ports};
use crate::wire::{checksum, ip};

const NOW: Instant = Instant::from_secs(1);
const ENDS: [(&str, &str); 2] = [("10.7.0.2", "10.7.0.1"), ("fd00::2", "fd00::1")];

fn end(s: &str, port: u16) -> Endpoint {
    Endpoint::new(a(s), port)
}

fn host(offload: Offload) -> Stack {
    let addresses = vec![Prefix::new(a("10.7.0.2"), 24), Prefix::new(a("fd00::2"), 64)];
    Stack::new(Config { addresses, offload, udp_receive_buffer: 1 << 20, ..Config::default() }, [7; 32])
}

/// A socket of the host's at this address, port 4000.
fn socket(h: &mut Stack, address: &str) -> SocketId {
    let family = if a(address).is_v4() { Family::V4 } else { Family::V6 };
    let id = h.udp_socket(family);
    h.bind(id, end(address, 4000)).unwrap();
    id
}

fn set(h: &mut Stack, id: SocketId, change: impl Fn(&mut SocketOptions)) {
    let mut options = h.options(id).unwrap();
    change(&mut options);
    h.set_options(id, options, NOW).unwrap();
}

/// A packet that left.
struct Left {
    head: usize,
    packet: Vec<u8>,
    gso_size: u16,
    checksum: Checksum,
}

impl Left {
    /// What it holds, its checksum found right.
    fn text(&self) -> &[u8] {
        let parsed = ip::parse(&self.packet).unwrap();
        match self.checksum {
            Checksum::Complete => {
                udp::parse(&parsed.header, parsed.payload, checksum::Trust::Verify).unwrap().1
            }
            Checksum::Partial { start, offset } => {
                let h = parsed.header;
                let pseudo = checksum::pseudo_header(h.src, h.dst, 17, parsed.payload.len() as u32).partial();
                let at = usize::from(start + offset);
                assert_eq!(self.packet[at..at + 2], pseudo.to_be_bytes());
                assert_eq!(usize::from(start) + parsed.payload.len(), self.packet.len());
                &parsed.payload[8..]
            }
        }
    }

    fn id(&self) -> u16 {
        u16::from_be_bytes([self.packet[4], self.packet[5]])
    }
}

fn left(h: &mut Stack) -> Vec<Left> {
    let mut out = Vec::new();
    drive(
        h,
        NOW,
        |d| {
            let mut packet = vec![0; d.len()];
            d.copy_to(&mut packet).unwrap();
            out.push(Left { head: d.head.len(), packet, gso_size: d.gso_size, checksum: d.checksum });
        },
        |_| {},
    );
    out
}

/// What a device with offload makes of datagrams in a row: one packet from `src` to `dst`, with its sum left out.
fn arrival(src: Endpoint, dst: Endpoint, text: &[u8]) -> Vec<u8> {
    let header = ip::Header {
        src: src.address,
        dst: dst.address,
        protocol: 17,
        hop_limit: 9,
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: true,
        fragment: None,
    };
    let mut packet = Vec::new();
    let ports = Ports { src_port: src.port, dst_port: dst.port };
    udp::emit_packet(&header, ports, text, 7, true, &mut packet).unwrap();
    packet
}

fn arrive(h: &mut Stack, src: Endpoint, dst: Endpoint, text: &[u8], gso_size: u16) -> Received {
    let packet = arrival(src, dst, text);
    h.receive(NOW, Inbound { trust: Trust::Trusted, gso_size, ..Inbound::plain(&packet) })
}

#[test]
fn one_call_is_cut_into_datagrams() {
    let text = pattern(5001);
    for (us, peer) in ENDS {
        for (checksum, segmentation) in [(false, 0), (true, 0), (true, 65_535), (true, 2500)] {
            let mut h = host(Offload { checksum, segmentation });
            let id = socket(&mut h, us);
            let message = Message { data: &text, to: Some(end(peer, 53)), segment_size: Some(1000) };
            assert_eq!(h.try_send_message(id, &message, NOW), Ok(5001));
            assert_eq!(h.counters().udp_out_datagrams, 6);
            let out = left(&mut h);
            let lens: Vec<_> = out.iter().map(|p| (p.text().len(), p.gso_size)).collect();
            let expected = match segmentation {
                0 => vec![(1000, 0), (1000, 0), (1000, 0), (1000, 0), (1000, 0), (1, 0)],
                2500 => vec![(2000, 1000), (2000, 1000), (1001, 1000)],
                _ => vec![(5001, 1000)],
            };
            assert_eq!(lens, expected, "{us}, {segmentation}");
            let joined: Vec<u8> = out.iter().flat_map(|p| p.text().to_vec()).collect();
            assert!(joined == text);
            for p in &out {
                assert_eq!(p.checksum != Checksum::Complete, checksum);
                let head = p.packet.len() - p.text().len();
                assert_eq!(
                    p.head,
                    if p.gso_size > 0 { head } else { p.packet.len() },
                    "who cuts needs the head"
                );
            }
        }
    }
}

/// The option serves every call, and a size of the call's own goes before it.
#[test]
fn the_option_and_the_size_of_a_call() {
    let mut h = host(Offload::NONE);
    let id = socket(&mut h, "10.7.0.2");
    set(&mut h, id, |o| o.segment_size = 100);
    let to = Some(end("10.7.0.1", 53));
    let lens = |h: &mut Stack| left(h).iter().map(|p| p.text().len()).collect::<Vec<_>>();
    for (len, expected) in [(0, vec![0]), (100, vec![100]), (250, vec![100, 100, 50])] {
        assert_eq!(h.try_send_to(id, &vec![7; len], to, NOW), Ok(len));
        assert_eq!(lens(&mut h), expected);
    }
    for (size, expected) in [(0, vec![250]), (200, vec![200, 50]), (65_535, vec![250])] {
        let message = Message { data: &[7; 250], to, segment_size: Some(size) };
        assert_eq!(h.try_send_message(id, &message, NOW), Ok(250));
        assert_eq!(lens(&mut h), expected);
    }
}

/// The errors of Linux 6.18, over both families.
#[test]
fn what_cannot_be_cut() {
    for (us, peer) in ENDS {
        let mut h = host(Offload { checksum: true, segmentation: 65_535 });
        let id = socket(&mut h, us);
        let (most, fits) = if a(us).is_v4() { (65_507, 1472) } else { (65_527, 1452) };
        let text = vec![7; 65_528];
        let mut send = |len: usize, size: u16| {
            let message = Message { data: &text[..len], to: Some(end(peer, 53)), segment_size: Some(size) };
            let sent = h.try_send_message(id, &message, NOW);
            let count: usize = left(&mut h)
                .iter()
                .map(|p| {
                    p.text().len().div_ceil(p.gso_size.max(1).into()).min(if p.gso_size == 0 {
                        1
                    } else {
                        999
                    })
                })
                .sum();
            (sent, count)
        };
        assert_eq!(send(most, 1400), (Ok(most), 47));
        assert_eq!(send(most + 1, 1400), (Err(Error::MessageTooLong), 0));
        assert_eq!(send(MAX_SEGMENTS, 1), (Ok(MAX_SEGMENTS), MAX_SEGMENTS));
        assert_eq!(send(MAX_SEGMENTS + 1, 1), (Err(Error::Invalid), 0));
        assert_eq!(send(3000, fits), (Ok(3000), 3));
        assert_eq!(send(3000, fits + 1), (Err(Error::MessageTooLong), 0));
        // One that would be cut into fragments without a size is not with one.
        assert_eq!(send(usize::from(fits) + 1, 2000), (Err(Error::MessageTooLong), 0));
        assert_eq!(send(usize::from(fits), 2000), (Ok(fits.into()), 1));
        assert_eq!(h.counters().udp_out_datagrams, 47 + 128 + 3 + 1, "of those that left");
    }
}

/// An IPv6 socket at an address of IPv4 speaks that alone.
#[test]
fn the_two_ends_are_of_one_family() {
    let mut h = host(Offload::NONE);
    let id = h.udp_socket(Family::V6);
    h.connect(id, end("10.7.0.1", 53), NOW).unwrap();
    for segment_size in [None, Some(1)] {
        let message = Message { data: b"abc", to: Some(end("fd00::1", 53)), segment_size };
        assert_eq!(h.try_send_message(id, &message, NOW), Err(Error::AddrFamily));
    }
    assert_eq!(h.try_send_to(id, b"abc", None, NOW), Ok(3));
    assert_eq!(left(&mut h).len(), 1);
}

#[test]
fn sizes_follow_the_path() {
    for (us, peer) in ENDS {
        let mut h = host(Offload { checksum: true, segmentation: 65_535 });
        let id = socket(&mut h, us);
        h.connect(id, end(peer, 53), NOW).unwrap();
        let (head, mtu) = if a(us).is_v4() { (28, 1000) } else { (48, 1300) };
        let send = |h: &mut Stack, size: usize| {
            let message = Message { data: &[7; 5000], to: None, segment_size: Some(size as u16) };
            h.try_send_message(id, &message, NOW)
        };
        assert_eq!(send(&mut h, 1500 - head), Ok(5000));
        // A router complains of the first of them, as long as the device has cut it.
        let mut first = left(&mut h).remove(0).packet;
        first.truncate(1500);
        let (at, len) = if a(us).is_v4() { (2, 1500_u16) } else { (4, 1460) };
        first[at..at + 2].copy_from_slice(&len.to_be_bytes());
        let complaint = match a(us).is_v4() {
            true => Icmp::FragmentationNeeded { mtu, quoted: &first[..48] },
            false => Icmp::PacketTooBig { mtu, quoted: &first[..1200] },
        };
        h.receive(NOW, Inbound::plain(&icmp(peer, us, &complaint)));
        assert_eq!(h.take_error(id), None, "that is no error of a connected socket's, but known");
        let now_fits = mtu as usize - head;
        assert_eq!(send(&mut h, now_fits + 1), Err(Error::MessageTooLong));
        assert_eq!(send(&mut h, now_fits), Ok(5000));
        assert!(left(&mut h).iter().all(|p| usize::from(p.gso_size) == now_fits));
        set(&mut h, id, |o| o.path_mtu_discovery = PathMtuDiscovery::Probe);
        assert_eq!(send(&mut h, now_fits + 1), Ok(5000));
        assert_eq!(send(&mut h, 1501 - head), Err(Error::MessageTooLong));
    }
}

/// Routers may cut what has no DF, and put together by its number what they have cut: each part has one of its own.
#[test]
fn each_datagram_has_its_own_identification() {
    for segmentation in [0, 3000] {
        let mut h = host(Offload { checksum: true, segmentation });
        let id = socket(&mut h, "10.7.0.2");
        set(&mut h, id, |o| (o.segment_size, o.path_mtu_discovery) = (1000, PathMtuDiscovery::Dont));
        h.try_send_to(id, &[7; 5000], Some(end("10.7.0.1", 53)), NOW).unwrap();
        h.try_send_to(id, &[7; 100], Some(end("10.7.0.1", 53)), NOW).unwrap();
        let out = left(&mut h);
        assert!(out.iter().all(|p| p.packet[6] == 0), "no DF, and no fragment");
        let mut next = out[0].id();
        for p in &out {
            assert_eq!(p.id(), next, "the device counts up from the first of each packet");
            next = next.wrapping_add(p.text().len().div_ceil(1000) as u16);
        }
    }
}

#[test]
fn what_came_joined_is_read_one_by_one_or_as_one() {
    for (us, peer) in ENDS {
        let mut h = host(Offload { checksum: true, segmentation: 65_535 });
        let id = socket(&mut h, us);
        let (from, to) = (end(peer, 53), end(us, 4000));
        let text = pattern(250);
        let mut buf = [0; 300];
        let mut read = |h: &mut Stack, room: usize, peek| {
            let got = h.try_receive_from(id, &mut buf[..room], peek)?;
            assert_eq!((got.from, got.to, got.labels.hop_limit), (from, to, 9));
            let whole = [&text[..], &text].concat();
            assert!(whole.windows(got.copied.max(1)).any(|part| part.starts_with(&buf[..got.copied])));
            Ok((got.copied, got.len, got.segment_size))
        };
        assert_eq!(arrive(&mut h, from, to, &text, 100), Received::Udp("delivered"));
        assert_eq!(h.counters().udp_in_datagrams, 3);
        assert_eq!(h.unread(id), Ok(100));
        assert_eq!(read(&mut h, 300, true), Ok((100, 100, 0)));
        assert_eq!(read(&mut h, 300, false), Ok((100, 100, 0)));
        // What does not fit is lost of the one datagram alone.
        assert_eq!(read(&mut h, 30, false), Ok((30, 100, 0)));
        assert!(h.readiness(id).contains(Readiness::READABLE));
        assert_eq!(h.unread(id), Ok(50));
        assert_eq!(read(&mut h, 300, false), Ok((50, 50, 0)));
        assert!(!h.readiness(id).contains(Readiness::READABLE));
        assert_eq!(read(&mut h, 300, false), Err(Error::WouldBlock));

        set(&mut h, id, |o| o.receive_joined = true);
        for _ in 0..2 {
            arrive(&mut h, from, to, &text, 100);
        }
        assert_eq!(h.unread(id), Ok(250));
        assert_eq!(read(&mut h, 300, true), Ok((250, 250, 100)));
        assert_eq!(read(&mut h, 120, false), Ok((120, 250, 100)));
        // Whoever can take them apart no more gets them so, and the other way round what is left of them.
        set(&mut h, id, |o| o.receive_joined = false);
        assert_eq!(read(&mut h, 300, false), Ok((100, 100, 0)));
        set(&mut h, id, |o| o.receive_joined = true);
        assert_eq!(read(&mut h, 300, false), Ok((150, 150, 100)));
        // One is one, however it is told.
        arrive(&mut h, from, to, &text[..100], 100);
        arrive(&mut h, from, to, &text[..99], 100);
        arrive(&mut h, from, to, b"", 100);
        assert_eq!(read(&mut h, 300, false), Ok((100, 100, 0)));
        assert_eq!(read(&mut h, 300, false), Ok((99, 99, 0)));
        assert_eq!(read(&mut h, 300, false), Ok((0, 0, 0)));
        assert_eq!(read(&mut h, 300, false), Err(Error::WouldBlock));
    }
}

#[test]
fn a_connected_socket_takes_its_peers_alone() {
    let mut h = host(Offload::NONE);
    let id = socket(&mut h, "10.7.0.2");
    h.connect(id, end("10.7.0.1", 53), NOW).unwrap();
    arrive(&mut h, end("10.7.0.1", 54), end("10.7.0.2", 4000), &[7; 300], 100);
    arrive(&mut h, end("10.7.0.3", 53), end("10.7.0.2", 4000), &[7; 300], 100);
    assert_eq!((h.unread(id), h.counters().udp_no_ports), (Ok(0), 6));
    arrive(&mut h, end("10.7.0.1", 53), end("10.7.0.2", 4000), &[7; 300], 100);
    assert_eq!(h.unread(id), Ok(100));
}

/// Room is given to whole datagrams, those that came first, however they came.
#[test]
fn a_joined_arrival_keeps_within_the_receive_buffer() {
    let (from, to) = (end("10.7.0.1", 53), end("10.7.0.2", 4000));
    for (room, first, second) in
        [(10_000, 9, 0), (100, 1, 0), (65_063, 64, 0), (65_064, 65, 0), (80_000, 65, 14)]
    {
        for joined in [false, true] {
            let mut h = host(Offload::NONE);
            let id = socket(&mut h, "10.7.0.2");
            set(&mut h, id, |o| (o.receive_buffer, o.receive_joined) = (room, joined));
            arrive(&mut h, from, to, &[7; 65_000], 1000);
            let counted = |h: &Stack| (h.counters().udp_in_datagrams, h.counters().udp_rcvbuf_errors);
            assert_eq!(counted(&h), (first, 65 - first), "{room}");
            let said = arrive(&mut h, from, to, &[7; 65_000], 1000);
            assert_eq!(counted(&h), (first + second, 130 - first - second), "{room}");
            assert_eq!(
                said,
                Received::Udp(match second {
                    0 => "dropped: the socket's queue is full",
                    _ => "delivered, but for the last: the socket's queue is full",
                })
            );
            let (mut octets, mut calls) = (0, 0);
            while let Ok(got) = h.try_receive_from(id, &mut [], false) {
                (octets, calls) = (octets + got.len, calls + 1);
            }
            assert_eq!(octets as u64, (first + second) * 1000);
            let reads = if joined { 1 + u64::from(second > 0) } else { first + second };
            assert_eq!(calls, reads);
            // What was read has given its room back.
            arrive(&mut h, from, to, &[7; 65_000], 1000);
            assert_eq!(counted(&h).0, 2 * first + second);
        }
    }
}

/// What we send to ourselves is not cut at all where the reader can take it apart.
#[test]
fn to_ourselves() {
    for (us, _) in ENDS {
        for joined in [false, true] {
            let mut h = host(Offload::NONE);
            let (id, other) =
                (socket(&mut h, us), h.udp_socket(if a(us).is_v4() { Family::V4 } else { Family::V6 }));
            set(&mut h, id, |o| o.receive_joined = joined);
            let most = if a(us).is_v4() { 65_507 } else { 65_527 };
            let text = pattern(most);
            let message = Message { data: &text, to: Some(end(us, 4000)), segment_size: Some(1400) };
            assert_eq!(h.try_send_message(other, &message, NOW), Ok(most));
            assert!(left(&mut h).is_empty());
            let (mut got, mut buf, mut calls) = (Vec::new(), vec![0; 70_000], 0);
            while let Ok(read) = h.try_receive_from(id, &mut buf, false) {
                assert_eq!((read.copied, read.segment_size > 0), (read.len, joined));
                got.extend_from_slice(&buf[..read.len]);
                calls += 1;
            }
            assert!(got == text);
            assert_eq!(calls, if joined { 1 } else { 47 });
            // To nobody: that is told, once for all of them.
            h.connect(other, end(us, 4001), NOW).unwrap();
            h.try_send_message(other, &Message { to: None, ..message }, NOW).unwrap();
            assert!(left(&mut h).is_empty());
            assert_eq!(h.try_send_message(other, &Message { to: None, ..message }, NOW), Err(Error::Refused));
            assert_eq!(h.counters().udp_no_ports, 47);
        }
    }
}

#[test]
fn batches() {
    let mut h = host(Offload::NONE);
    let (id, other) = (socket(&mut h, "10.7.0.2"), h.udp_socket(Family::V4));
    let to = Some(end("10.7.0.2", 4000));
    let texts: [&[u8]; 4] = [b"one", b"", b"three and a half", b"last"];
    let messages = texts.map(|data| Message { data, to, segment_size: (data.len() == 16).then_some(5) });
    assert_eq!(h.try_send_batch(other, messages, NOW), Ok(4));
    left(&mut h);
    let mut bufs = [[0; 6]; 5];
    let mut receive = |h: &mut Stack, n: usize| {
        let mut told = [ReceivedDatagram::NONE; 5];
        let places = bufs[..n].iter_mut().map(|b| &mut b[..]).zip(&mut told);
        let count = h.try_receive_batch(id, places)?;
        let text = |(buf, told): (&[u8; 6], &ReceivedDatagram)| buf[..told.copied].to_vec();
        Ok(bufs.iter().zip(&told).take(count).map(text).collect::<Vec<_>>())
    };
    assert_eq!(receive(&mut h, 0), Ok(vec![]));
    let expected: Vec<Vec<u8>> = [&b"one"[..], b"", b"three", b" and ", b"a hal"].map(<[u8]>::to_vec).into();
    assert_eq!(receive(&mut h, 5), Ok(expected));
    assert_eq!(receive(&mut h, 5), Ok(vec![b"f".to_vec(), b"last".to_vec()]));
    assert_eq!(receive(&mut h, 5), Err(Error::WouldBlock));
    assert!(!h.readiness(id).contains(Readiness::READABLE));
    // The end is told alone, and each time.
    h.connect(id, end("10.7.0.2", 9), NOW).unwrap();
    h.shutdown(id, Shutdown::Read, NOW).unwrap();
    for _ in 0..2 {
        assert_eq!(receive(&mut h, 5), Ok(vec![vec![]]));
    }
    // An error comes first, and alone.
    let id = other;
    h.connect(id, end("10.7.0.2", 9), NOW).unwrap();
    h.try_send_to(id, b"x", None, NOW).unwrap();
    left(&mut h);
    assert_eq!(h.try_send_batch(id, messages.map(|m| Message { to: None, ..m }), NOW), Err(Error::Refused));
    assert_eq!(h.try_send_batch(id, [], NOW), Ok(0));
}

/// What is refused ends a batch, whatever was sent of it; and a batch makes way for the device.
#[test]
fn batches_end_early() {
    let mut h = host(Offload { checksum: true, segmentation: 65_535 });
    let id = socket(&mut h, "10.7.0.2");
    let to = Some(end("10.7.0.1", 53));
    let text = [7; 65_000];
    let good = Message { data: &text[..10], to, segment_size: None };
    let bad = Message { segment_size: Some(1), data: &text[..200], ..good };
    assert_eq!(h.try_send_batch(id, [good, good, bad, good], NOW), Ok(2));
    assert_eq!(h.try_send_batch(id, [bad, good], NOW), Err(Error::Invalid));
    assert_eq!(left(&mut h).len(), 2);
    let large = Message { data: &text, segment_size: Some(1000), ..good };
    assert_eq!(h.try_send_batch(id, [large; 20], NOW), Ok(5), "256 KiB are enough");
    assert_eq!(h.try_send_batch(id, [large; 20], NOW), Ok(1), "one in any case");
    assert_eq!(left(&mut h).len(), 6);
    assert_eq!(h.try_send_batch(id, [good; 5000], NOW), Ok(4096));
    assert_eq!(h.counters().ip_out_discards, 0);
    assert_eq!(left(&mut h).len(), 4096);
}
