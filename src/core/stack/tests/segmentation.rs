//! Runs of segments that leave as one packet, to be cut by the device.

use super::raw::Raw;
use super::*;
use crate::config::{Offload, TcpConfig};
use crate::wire::checksum::{Checksum, Sum};
use crate::wire::options::Options;
use crate::wire::{ip, tcp};

pub(super) const OFFLOAD: Offload = Offload { checksum: true, segmentation: 65_535 };

/// What a device makes of a packet, as `virtio_net_hdr` and the kernel's segmentation have it.
pub(super) fn cut(d: &Datagram<'_>) -> Vec<Vec<u8>> {
    let mut whole = vec![0; d.len()];
    d.copy_to(&mut whole).unwrap();
    let Checksum::Partial { start, offset } = d.checksum else {
        assert_eq!(d.gso_size, 0, "who cuts also sums");
        return vec![whole];
    };
    let (start, field) = (usize::from(start), usize::from(start + offset));
    let (head, text) = whole.split_at(d.head.len());
    assert!(d.gso_size == 0 || text.len() > usize::from(d.gso_size), "one segment needs no cutting");
    let size = if d.gso_size == 0 { text.len().max(1) } else { usize::from(d.gso_size) };
    let count = text.len().div_ceil(size).max(1);
    // The pseudo-header's sum is that of the whole: its length goes and each part's comes.
    let pseudo = u16::from_be_bytes([head[field], head[field + 1]]);
    let long = (whole.len() - start) as u16;
    let mut packets = Vec::new();
    for n in 0..count {
        let part = &text[n * size..((n + 1) * size).min(text.len())];
        let mut packet = [head, part].concat();
        let len = packet.len() as u16;
        if packet[0] >> 4 == 4 {
            packet[2..4].copy_from_slice(&len.to_be_bytes());
            packet[10..12].fill(0);
            let sum = Sum::new().add(&packet[..start]).finish();
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            packet[4..6].copy_from_slice(&(len - 40).to_be_bytes());
        }
        let seq = u32::from_be_bytes(packet[start + 4..start + 8].try_into().unwrap());
        packet[start + 4..start + 8].copy_from_slice(&seq.wrapping_add((n * size) as u32).to_be_bytes());
        if n + 1 < count {
            // FIN and PSH are the last one's.
            packet[start + 13] &= !0b1001;
        }
        if n > 0 {
            // CWR is the first one's.
            packet[start + 13] &= 0x7f;
        }
        packet[field..field + 2].fill(0);
        let sum = Sum::new().add(&pseudo.to_be_bytes()).add(&(!long).to_be_bytes());
        let sum = sum.add(&(len - start as u16).to_be_bytes()).add(&packet[start..]).finish();
        packet[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        packets.push(packet);
    }
    packets
}

/// A conversation: what went over the wire, and how many packets stood for several.
fn conversation(tcp: &TcpConfig, offload: Offload, pass: fn(usize, &[u8]) -> bool) -> (Vec<Vec<u8>>, usize) {
    let mut p = Pair::new();
    for host in &mut p.hosts {
        *host.config_mut() = Config { offload, tcp: tcp.clone(), ..host.config().clone() };
    }
    p.pass = pass;
    p.log = Some(Vec::new());
    let (c, s) = p.connected();
    p.transfer((0, c), (1, s), &pattern(700_001));
    p.transfer((1, s), (0, c), &pattern(300_000));
    let now = p.now;
    // Text and FIN together.
    p.hosts[0].try_write(c, &pattern(20_000), now).unwrap();
    p.hosts[0].shutdown(c, Shutdown::Write, now).unwrap();
    p.run(|p| p.hosts[1].readiness(s).contains(Readiness::READ_CLOSED));
    p.transfer((1, s), (0, c), &pattern(50_000));
    let now = p.now;
    p.hosts[1].close(s, now).unwrap();
    p.run(|p| p.hosts[0].state(c) == Some(State::TimeWait));
    for host in &p.hosts {
        host.check_invariants();
    }
    let log = p.log.take().unwrap();
    let line = |(at, from, packet): (Instant, usize, Vec<u8>)| {
        [&at.as_nanos().to_be_bytes(), &[from as u8][..], &packet].concat()
    };
    (log.into_iter().map(line).collect(), p.joined)
}

/// For people: when, from whom, what.
fn headers(packets: &[Vec<u8>]) -> Vec<alloc::string::String> {
    let line = |p: &Vec<u8>| {
        let (time, from, packet) = (u64::from_be_bytes(p[..8].try_into().unwrap()), p[8], &p[9..]);
        let parsed = crate::wire::ip::parse(packet).unwrap();
        let tcp = crate::wire::tcp::parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
        let h = tcp.header;
        alloc::format!(
            "{} us, host {from}: {} {}+{} ack {} win {}",
            time / 1000,
            h.flags,
            h.seq,
            tcp.payload.len(),
            h.ack,
            h.window
        )
    };
    packets.iter().map(line).collect()
}

/// The network sees no difference: not in order, time, flags, options or numbers.
#[test]
fn what_is_cut_is_what_would_have_left() {
    let passes: [fn(usize, &[u8]) -> bool; 3] = [|_, _| true, |n, _| n % 50 != 0, |n, _| n % 7 != 0];
    for pass in passes {
        let (one_by_one, none) = conversation(&TcpConfig::default(), Offload::NONE, pass);
        let (joined, some) = conversation(&TcpConfig::default(), OFFLOAD, pass);
        assert_eq!((none, some > 10), (0, true), "{some} packets were joined");
        for (n, (a, b)) in one_by_one.iter().zip(&joined).enumerate() {
            let before = n.saturating_sub(20);
            assert!(
                a == b,
                "packet {n}: {:#?}\n{:#?}",
                headers(&one_by_one[before..=n]),
                headers(&joined[before..=n])
            );
        }
        assert_eq!(one_by_one.len(), joined.len());
    }
}

/// A pacer's rate is reckoned anew with each packet, so the times differ a little; what leaves does not.
#[test]
fn pacing_sees_bursts_of_the_same_size() {
    let paced = TcpConfig { pacing: true, ..TcpConfig::default() };
    let text = |offload| {
        let (packets, joined) = conversation(&paced, offload, |_, _| true);
        let lines = headers(&packets).into_iter();
        let ours = lines.filter_map(|line| {
            let (_, line) = line.split_once("host 0: ")?;
            let (text, _) = line.split_once(" ack")?;
            (!text.ends_with("+0")).then(|| alloc::string::String::from(text))
        });
        (ours.collect::<Vec<_>>(), joined)
    };
    let ((one_by_one, none), (joined, some)) = (text(Offload::NONE), text(OFFLOAD));
    assert_eq!((none, some > 10), (0, true), "{some} packets were joined");
    assert_eq!(one_by_one, joined);
}

/// What leaves next and how it is to be cut: octets of text, of a segment, and whether it has PSH.
fn packets(r: &mut Raw) -> Vec<(usize, u16, bool)> {
    let mut all = Vec::new();
    let now = r.now;
    while let Some(d) = r.host.poll_transmit(now) {
        all.push((d.body.len(), d.gso_size, d.head[33] & 8 != 0));
    }
    r.host.check_invariants();
    all
}

fn accepted(offload: Offload) -> (Raw, SocketId) {
    let mut r = Raw::new(Config { offload, ..Config::default() });
    let id = r.accepted();
    (r, id)
}

#[test]
fn no_packet_is_longer_than_the_device_takes() {
    for (longest, wanted) in [
        (65_535, vec![(5000, 1000, true), (5000, 1000, true)]),
        // Two segments and the headers of IP and TCP; one octet less leaves room for one.
        (
            2040,
            vec![
                (2000, 1000, false),
                (2000, 1000, false),
                (1000, 0, true),
                (2000, 1000, false),
                (2000, 1000, false),
                (1000, 0, true),
            ],
        ),
        (2039, (0..10).map(|n| (1000, 0, n % 5 == 4)).collect()),
        (0, (0..10).map(|n| (1000, 0, n % 5 == 4)).collect()),
    ] {
        let (mut r, id) = accepted(Offload { segmentation: longest, ..OFFLOAD });
        let now = r.now;
        r.host.try_write(id, &pattern(30_000), now).unwrap();
        assert_eq!(packets(&mut r), wanted, "{longest}");
    }
}

/// A duplicate is reported in one D-SACK block (RFC 2883 §4), and what is cut from one packet has all its options.
#[test]
fn what_came_twice_is_told_in_one_segment() {
    let mut r = Raw::new(Config { offload: OFFLOAD, ..Config::default() });
    r.syn.sack_permitted = true;
    let id = r.accepted();
    r.write(id, &pattern(5000));
    r.send(Flags::ACK, b"text");
    r.seq -= 4;
    r.send(Flags::ACK, b"text");
    let now = r.now;
    let mut told = Vec::new();
    while let Some(d) = r.host.poll_transmit(now) {
        let mut packet = vec![0; d.len()];
        d.copy_to(&mut packet).unwrap();
        let parsed = ip::parse(&packet).unwrap();
        let segment = tcp::parse(&parsed.header, parsed.payload, Trust::Trusted).unwrap();
        told.push((d.gso_size, segment.options.sack.len()));
    }
    assert_eq!(told, [(0, 1), (1000, 0)]);
}

/// Counted are segments, as the network sees them.
#[test]
fn what_has_been_joined_counts_as_what_it_was_joined_from() {
    let (mut r, id) = accepted(OFFLOAD);
    let (before, now) = (r.host.counters().tcp_in_segs, r.now);
    let text = pattern(2500);
    let mut whole = r.packet(r.seq, r.ack, Flags::ACK, &text, &Options::default());
    r.host.receive(now, Inbound { gso_size: 1000, ..Inbound::plain(&whole) });
    r.seq += 2500;
    assert_eq!(r.host.counters().tcp_in_segs - before, 3);
    assert_eq!(r.tcb(id).tally.data_in, 3);
    // What is no TCP segment was joined from nothing.
    whole[40] ^= 1;
    r.host.receive(now, Inbound { gso_size: 1000, ..Inbound::plain(&whole) });
    assert_eq!(r.host.counters().tcp_in_segs - before, 4);
    assert_eq!(r.tcb(id).tally.data_in, 3);
}

/// The path of the peer's has become smaller, and with it what a full segment is: every second one is acknowledged still, or
/// a window of them would wait for the timer.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.3
//= type=test
//= id=SHLD-19
#[test]
fn smaller_segments_are_acknowledged_as_often() {
    // Text, whether it has PSH, and which segments are acknowledged at once.
    for (len, flags, wanted) in [
        (600, Flags::ACK, [false, true, false, true, false, true]),
        (600, Flags::ACK | Flags::PSH, [false, true, false, true, false, true]),
        (300, Flags::ACK, [false, true, false, true, false, true]),
        // Those may be all that was written.
        (300, Flags::ACK | Flags::PSH, [false, false, false, true, false, false]),
    ] {
        let (mut r, id) = accepted(OFFLOAD);
        let mut full = 0;
        while !(full > 40 && r.sent().is_empty()) {
            r.send(Flags::ACK, &pattern(1000));
            full += 1;
            let mut buffer = [0; 2000];
            assert_eq!(r.host.try_read(id, &mut buffer), Ok(1000));
        }
        r.wait(Duration::from_secs(1));
        let acknowledged = wanted.map(|_| {
            r.send(flags, &pattern(len));
            !r.sent().is_empty()
        });
        assert_eq!(acknowledged, wanted, "{len} {flags:?}");
    }
}

/// A datagram is what the program of the other end sent, however many of them came in one packet.
#[test]
fn datagrams_that_were_joined_arrive_apart() {
    let v6 = |last| Address::v6([0xfd07, 0, 0, 0, 0, 0, 0, last].into());
    for (peer, own) in [(v4(2), v4(1)), (v6(2), v6(1))] {
        let length = if own.is_v4() { 24 } else { 64 };
        let config = Config { addresses: vec![Prefix::new(own, length)], ..Config::default() };
        let mut host = Stack::new(config, [7; 32]);
        let to = host.udp_socket(own.family());
        host.bind(to, Endpoint::new(own, 53)).unwrap();
        let now = Instant::from_secs(1);
        let joined = |port, text: &[u8]| {
            let header = ip::Header {
                src: peer,
                dst: own,
                protocol: ip::protocol::UDP,
                hop_limit: 64,
                traffic_class: 0,
                flow_label: 0,
                dont_fragment: true,
                fragment: None,
            };
            let mut packet = Vec::new();
            header.emit(8 + text.len(), 0, &mut packet).unwrap();
            let ports = crate::wire::udp::Header { src_port: 9, dst_port: port };
            crate::wire::udp::emit(peer, own, ports, text, &mut packet);
            packet
        };
        let text = pattern(2500);
        let packet = joined(53, &text);
        let received = host.receive(now, Inbound { gso_size: 1000, ..Inbound::plain(&packet) });
        assert_eq!(received, Received::Udp("delivered"));
        assert_eq!(host.counters().udp_in_datagrams, 3);
        for wanted in text.chunks(1000) {
            let mut buffer = [0; 2000];
            let got = host.try_receive_from(to, &mut buffer, false).unwrap();
            assert_eq!((got.len, &buffer[..got.copied]), (wanted.len(), wanted));
        }
        assert_eq!(host.try_receive_from(to, &mut [0; 9], false), Err(Error::WouldBlock));
        // One that is no longer than that was not joined, and an empty one is one.
        for text in [&text[..1000], &[]] {
            let packet = joined(53, text);
            host.receive(now, Inbound { gso_size: 1000, ..Inbound::plain(&packet) });
            assert_eq!(host.try_receive_from(to, &mut [], false).unwrap().len, text.len());
        }
        // Three for nobody are answered once.
        let packet = joined(54, &text);
        host.receive(now, Inbound { gso_size: 1000, ..Inbound::plain(&packet) });
        assert_eq!((host.counters().udp_no_ports, host.counters().icmp_out_msgs), (3, 1));
    }
}

/// The urgent pointer is one of the packet, and would be wrong in all segments but the first.
#[test]
fn urgent_data_leaves_one_by_one() {
    let (mut r, id) = accepted(OFFLOAD);
    let now = r.now;
    r.host.try_write_urgent(id, &pattern(3500), now).unwrap();
    assert_eq!(packets(&mut r).iter().map(|p| p.1).max(), Some(0));
}

/// A path that carries less cuts smaller, what is sent again too.
#[test]
fn a_smaller_path_makes_smaller_segments() {
    let (mut r, id) = accepted(OFFLOAD);
    let now = r.now;
    r.host.try_write(id, &pattern(60_000), now).unwrap();
    let before = packets(&mut r);
    assert!(before.iter().all(|p| p.1 == 1000), "{before:?}");
    r.unreachable(r.ack, 4, 600);
    while r.tcb(id).has_unsent() {
        let after = packets(&mut r);
        assert!(
            !after.is_empty() && after.iter().all(|p| p.1 == 560 || (p.1, p.0 <= 560) == (0, true)),
            "{after:?}"
        );
        r.ack = r.tcb(id).snd.nxt.get();
        r.send(Flags::ACK, b"");
    }
}

/// What routers may cut has a number that tells its fragments from those of its neighbours (RFC 6864 §4.1): one each.
#[test]
fn what_routers_may_cut_leaves_one_by_one_and_numbered() {
    let (mut r, id) = accepted(OFFLOAD);
    let now = r.now;
    let mut options = r.host.options(id).unwrap();
    options.path_mtu_discovery = crate::sockopt::PathMtuDiscovery::Dont;
    r.host.set_options(id, options, now).unwrap();
    r.host.try_write(id, &pattern(5000), now).unwrap();
    let mut numbers = Vec::new();
    while let Some(d) = r.host.poll_transmit(now) {
        assert_eq!((d.gso_size, d.head[6] & 0x40), (0, 0));
        numbers.push(u16::from_be_bytes([d.head[4], d.head[5]]));
    }
    assert_eq!(numbers.len(), 5);
    numbers.dedup();
    assert_eq!(numbers.len(), 5, "{numbers:?}");
}
