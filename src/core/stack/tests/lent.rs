//! Text that crosses by reference is what would have crossed as copies.

use alloc::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;

use super::raw::Raw;
use super::*;
use crate::body::Lent;
use crate::config::Offload;
use crate::udp;
use crate::wire::ip;
use crate::wire::options::Options;

/// A packet in a queue between two stacks of one process.
struct Crossing {
    head: Vec<u8>,
    lent: Vec<Lent>,
    gso_size: u16,
}

/// What was lent, and what it was then.
type Loans = Vec<(Bytes, Vec<u8>)>;

struct Joined {
    now: Instant,
    hosts: [Stack; 2],
    ends: [SocketId; 2],
    loans: Loans,
    /// Packets whose text was lent.
    lent: usize,
}

impl Joined {
    fn connected(change: impl Fn(&mut Config)) -> Self {
        Self::connected_over(Family::V4, change)
    }

    fn connected_over(family: Family, change: impl Fn(&mut Config)) -> Self {
        let address = |n: u8| match family {
            Family::V4 => v4(n),
            Family::V6 => six::a(if n == 1 { six::US } else { six::PEER }),
        };
        let host = |n: u8| {
            let mut config = Config {
                addresses: vec![Prefix::new(address(n), 24)],
                offload: Offload { checksum: true, segmentation: 65_535 },
                lends: true,
                ..Config::default()
            };
            change(&mut config);
            Stack::new(config, [n; 32])
        };
        let (now, mut hosts) = (Instant::from_secs(1), [host(1), host(2)]);
        let listener = hosts[1].tcp_socket(family);
        hosts[1].bind(listener, Endpoint::new(address(2), 80)).unwrap();
        hosts[1].listen(listener, 16).unwrap();
        let client = hosts[0].tcp_socket(family);
        assert_eq!(hosts[0].connect(client, Endpoint::new(address(2), 80), now), Err(Error::InProgress));
        let mut joined = Self { now, hosts, ends: [client, listener], loans: Vec::new(), lent: 0 };
        for host in [0, 1, 0] {
            while let Some(packet) = joined.poll(host) {
                joined.deliver(1 - host, &packet);
            }
        }
        joined.ends[1] = joined.hosts[1].try_accept(listener).unwrap();
        joined
    }

    fn poll(&mut self, host: usize) -> Option<Crossing> {
        self.hosts[host].handle_timeout(self.now);
        let datagram = self.hosts[host].poll_transmit(self.now)?;
        let (mut head, mut lent) = (datagram.head.to_vec(), Vec::new());
        let text: Vec<u8> = datagram.body.pieces().flatten().copied().collect();
        if datagram.body.lend(&mut lent) {
            self.lent += 1;
            assert!(lent.iter().flat_map(|lent| lent.octets()).eq(&text));
            self.loans.extend(lent.iter().map(|lent| (lent.octets().clone(), lent.octets().to_vec())));
        } else {
            head.extend(text);
        }
        let gso_size = datagram.gso_size;
        while self.hosts[host].poll_event().is_some() {}
        Some(Crossing { head, lent, gso_size })
    }

    fn deliver(&mut self, host: usize, crossing: &Crossing) {
        let Crossing { head, lent, gso_size } = crossing;
        let inbound = Inbound { lent, trust: Trust::Trusted, gso_size: *gso_size, ..Inbound::plain(head) };
        self.hosts[host].receive(self.now, inbound);
        while self.hosts[host].poll_event().is_some() {}
    }

    /// All that may be sent arrives, and is acknowledged.
    fn turn(&mut self) {
        for _ in 0..10 {
            let mut moves = true;
            while moves {
                moves = false;
                for host in [0, 1] {
                    while let Some(packet) = self.poll(host) {
                        self.deliver(1 - host, &packet);
                        moves = true;
                    }
                }
            }
            if self.hosts[0].unacknowledged(self.ends[0]) == Ok(0) {
                return;
            }
            // The receiver waits with its ACK.
            self.now += Duration::from_millis(50);
        }
    }

    fn received(&self) -> &crate::tcp::buffer::ReceiveBuffer {
        match self.hosts[1].slab.get(self.ends[1]).map(|s| &s.kind) {
            Some(Kind::Connection(tcb)) => &tcb.receive_buffer,
            other => panic!("{other:?}"),
        }
    }

    fn read(&mut self) -> Option<Bytes> {
        self.hosts[1].try_read_bytes(self.ends[1], usize::MAX).ok()
    }

    /// Nobody has written to what was lent.
    fn loans_stand(&self) -> bool {
        self.loans.iter().all(|(octets, was)| octets == was)
    }
}

/// From one buffer to the other nothing is moved, and what has been read is written to again by the sender alone.
#[test]
fn a_flow_is_not_copied_on_its_way_and_goes_round_in_the_same_memory() {
    for by_bytes in [false, true] {
        let mut j = Joined::connected(|_| {});
        let from = j.ends[0];
        let mut text = Bytes::from(pattern(64 << 10));
        let (mut places, mut stay) = (BTreeSet::new(), 0);
        // What the allocator has back, it has for others.
        let mut others = Vec::new();
        for turn in 0..100 {
            let written = match by_bytes {
                true => j.hosts[0].try_write_bytes(from, &mut text.clone(), j.now).unwrap(),
                false => j.hosts[0].try_write(from, &text, j.now).unwrap(),
            };
            assert_eq!(written, text.len());
            let mut read = Vec::new();
            while read.len() < text.len() {
                j.turn();
                let lent = core::mem::take(&mut j.loans);
                while let Some(bytes) = j.read() {
                    let there = lent.iter().any(|(loan, _)| loan.as_ptr_range().contains(&bytes.as_ptr()));
                    stay += if there { bytes.len() } else { 0 };
                    if turn > 20 {
                        // Anywhere in it, it is the same memory.
                        places.insert(bytes.as_ptr() as usize >> 16);
                    }
                    read.extend_from_slice(&bytes);
                }
            }
            assert!(read == text);
            assert_eq!(j.received().memory(), 0);
            text = pattern(64 << 10).into_iter().map(|octet| octet ^ turn).collect();
            j.turn();
            others.extend([(); 4].map(|()| vec![turn; 64 << 10]));
        }
        assert!(stay > 95 * (64 << 10), "{stay} octets of 100 times 64 KiB were not copied");
        assert!(by_bytes || places.len() <= 6, "{} places", places.len());
    }
}

/// What the program holds on to is not written to, and what it holds of that is bounded.
#[test]
fn what_a_reader_keeps_stays_what_it_is() {
    let mut j = Joined::connected(|_| {});
    let from = j.ends[0];
    let mut kept = Vec::new();
    for turn in 0..200u8 {
        assert_eq!(j.hosts[0].try_write(from, &vec![turn; 64 << 10], j.now), Ok(64 << 10));
        let mut read = 0;
        while read < 64 << 10 {
            j.turn();
            while let Some(bytes) = j.read() {
                read += bytes.len();
                kept.push((bytes, turn));
            }
        }
        j.turn();
    }
    assert_eq!(kept.iter().map(|(bytes, _)| bytes.len()).sum::<usize>(), 200 * (64 << 10));
    assert!(kept.iter().all(|(bytes, turn)| bytes.iter().all(|octet| octet == turn)));
    assert!(j.loans_stand());
    assert!(j.hosts[0].spares.memory() <= (4 << 20) + (64 << 10), "{}", j.hosts[0].spares.memory());
    j.loans.clear();
    let held = kept.len();
    kept.clear();
    // All has come back, and is found.
    for _ in 0..held {
        j.hosts[0].try_write(from, &[7; 64 << 10], j.now).unwrap();
        j.turn();
        while j.read().is_some() {}
        j.loans.clear();
        j.turn();
    }
    assert!(j.hosts[0].spares.memory() <= (4 << 20) + (64 << 10), "{}", j.hosts[0].spares.memory());
}

/// Where it does not pay, or memory is bounded, a packet crosses or is taken as ever.
#[test]
fn short_text_is_copied_and_bounded_memory_keeps_nobody_elses() {
    let mut j = Joined::connected(|_| {});
    j.hosts[0].try_write(j.ends[0], &[1; 4095], j.now).unwrap();
    j.turn();
    assert_eq!((j.lent, j.read().map(|bytes| bytes.len())), (0, Some(4095)));
    // That of a packet counts, however much lies where it lies.
    let mut j = Joined::connected(|config| config.offload.segmentation = 0);
    let written = j.hosts[0].try_write_bytes(j.ends[0], &mut Bytes::from(pattern(60_000)), j.now);
    j.turn();
    assert_eq!((written, j.lent, j.received().len()), (Ok(60_000), 0, 60_000));

    let mut j = Joined::connected(|config| config.memory = Some(8 << 20));
    let text = pattern(60_000);
    assert_eq!(j.hosts[0].try_write(j.ends[0], &text, j.now), Ok(60_000));
    j.turn();
    assert!(j.lent > 0);
    let loans = core::mem::take(&mut j.loans);
    let mut read = Vec::new();
    while let Some(bytes) = j.read() {
        assert!(!loans.iter().any(|(loan, _)| loan.as_ptr_range().contains(&bytes.as_ptr())));
        read.extend_from_slice(&bytes);
    }
    assert!(read == text);
}

/// What has to be read, or is not for TCP, is put together.
#[test]
fn what_cannot_stay_where_it_is_arrives_whole() {
    let mut j = Joined::connected(|_| {});
    let (from, to) = (Endpoint::new(v4(1), 9), Endpoint::new(v4(2), 7));
    let socket = j.hosts[1].udp_socket(Family::V4);
    j.hosts[1].bind(socket, to).unwrap();
    let datagram = udp::build(from, to, &pattern(6000)).unwrap();
    let header = ip::Header {
        src: from.address,
        dst: to.address,
        protocol: ip::protocol::UDP,
        hop_limit: 64,
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: true,
        fragment: None,
    };
    let mut head = Vec::new();
    header.emit(datagram.len(), 0, &mut head).unwrap();
    head.extend_from_slice(&datagram[..8]);
    let lent = [&datagram[8..5000], &datagram[5000..]].map(|text| Lent::from(Bytes::copy_from_slice(text)));
    let inbound = Inbound { lent: &lent, ..Inbound::plain(&head) };
    assert_eq!(j.hosts[1].receive(j.now, inbound), Received::Udp("delivered"));
    let mut room = [0; 6001];
    let read = j.hosts[1].try_receive_from(socket, &mut room, false).unwrap();
    assert_eq!(room[..read.copied], pattern(6000));
    // Octets that the sum was not made of.
    let wrong = [lent[0].clone(), Lent::from(Bytes::from(vec![0; 1008]))];
    let inbound = Inbound { lent: &wrong, ..Inbound::plain(&head) };
    assert_eq!(j.hosts[1].receive(j.now, inbound), Received::Dropped("bad UDP checksum"));
    let inbound = Inbound { lent: &lent[..1], ..Inbound::plain(&head) };
    assert_eq!(j.hosts[1].receive(j.now, inbound), Received::Dropped("truncated"));
}

#[derive(Clone, Debug)]
enum Op {
    Write(usize),
    WriteBytes(usize),
    /// So many packets reach the receiver, but for the one of this number; the last two of them in the other order.
    Cross {
        count: usize,
        lost: usize,
        swapped: bool,
    },
    /// The same of what the receiver sends.
    Back {
        lost: bool,
    },
    Read(usize),
    Peek(usize),
    ReadBytes(usize),
    Wait,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let len = || prop_oneof![1..100usize, 3000..9000usize, 20_000..140_000usize];
    let op = prop_oneof![
        3 => len().prop_map(Op::Write),
        2 => len().prop_map(Op::WriteBytes),
        4 => (1..6usize, 0..12usize, any::<bool>())
            .prop_map(|(count, lost, swapped)| Op::Cross { count, lost, swapped }),
        3 => (0..8).prop_map(|n| Op::Back { lost: n == 0 }),
        2 => len().prop_map(Op::Read),
        1 => len().prop_map(Op::Peek),
        2 => len().prop_map(Op::ReadBytes),
        1 => Just(Op::Wait),
    ];
    proptest::collection::vec(op, 1..60)
}

/// Over IPv6 most of it stays where it lies as well.
#[test]
fn ipv6_lends_too() {
    let mut j = Joined::connected_over(Family::V6, |_| {});
    let text = pattern(60_000);
    assert_eq!(j.hosts[0].try_write(j.ends[0], &text, j.now), Ok(60_000));
    j.turn();
    let (mut read, mut stay) = (Vec::new(), 0);
    while let Some(bytes) = j.read() {
        let there = j.loans.iter().any(|(loan, _)| loan.as_ptr_range().contains(&bytes.as_ptr()));
        stay += if there { bytes.len() } else { 0 };
        read.extend_from_slice(&bytes);
    }
    assert!(read == text);
    assert!(stay > 30_000, "{stay} octets of 60,000 were not copied");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn is_the_stream_that_was_written(
        ops in ops(),
        v6 in any::<bool>(),
        large in any::<bool>(),
        lends in any::<bool>(),
    ) {
        let mut j = Joined::connected_over(if v6 { Family::V6 } else { Family::V4 }, |config| {
            config.lends = lends;
            if large {
                config.mtu = 65_535;
                config.offload.segmentation = 0;
            }
        });
        let [from, to] = j.ends;
        let (mut written, mut read, mut next) = (Vec::new(), Vec::new(), 0u32);
        let mut text = |n: usize| -> Vec<u8> {
            (0..n).map(|_| { next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223); (next >> 24) as u8 }).collect()
        };
        for op in ops {
            match op {
                Op::Write(n) => {
                    let t = text(n);
                    let n = j.hosts[0].try_write(from, &t, j.now).unwrap_or(0);
                    written.extend_from_slice(&t[..n]);
                }
                Op::WriteBytes(n) => {
                    let t = Bytes::from(text(n));
                    let n = j.hosts[0].try_write_bytes(from, &mut t.clone(), j.now).unwrap_or(0);
                    written.extend_from_slice(&t[..n]);
                }
                Op::Cross { count, lost, swapped } => {
                    let mut packets: Vec<_> = (0..count).map_while(|_| j.poll(0)).collect();
                    if swapped && let [.., a, b] = &mut packets[..] {
                        core::mem::swap(a, b);
                    }
                    for (n, packet) in packets.iter().enumerate() {
                        if n != lost {
                            j.deliver(1, packet);
                        }
                    }
                }
                Op::Back { lost } => {
                    while let Some(packet) = j.poll(1) {
                        if !lost {
                            j.deliver(0, &packet);
                        }
                    }
                }
                Op::Read(n) => {
                    let mut room = vec![0; n];
                    let n = j.hosts[1].try_read(to, &mut room).unwrap_or(0);
                    read.extend_from_slice(&room[..n]);
                }
                Op::Peek(n) => {
                    let mut room = vec![0; n];
                    let n = j.hosts[1].try_peek(to, &mut room).unwrap_or(0);
                    prop_assert!(room[..n] == written[read.len()..read.len() + n]);
                }
                Op::ReadBytes(n) => {
                    read.extend_from_slice(&j.hosts[1].try_read_bytes(to, n).unwrap_or_default());
                }
                Op::Wait => j.now += Duration::from_millis(300),
            }
            prop_assert!(read == written[..read.len()]);
            let received = j.received();
            prop_assert_eq!(received.memory(), received.summed_memory());
            prop_assert!(received.memory() >= received.len());
        }
        for _ in 0..2000 {
            if read.len() == written.len() {
                break;
            }
            j.turn();
            while let Some(bytes) = j.read() {
                read.extend_from_slice(&bytes);
            }
            j.now += Duration::from_millis(300);
        }
        prop_assert!(read == written, "{} of {}", read.len(), written.len());
        prop_assert!(j.loans_stand());
        prop_assert!(lends || j.lent == 0);
    }
}

/// A packet of a peer, and how it is cut.
#[derive(Clone, Debug)]
struct Odd {
    flags: Flags,
    /// Counted from what is expected next.
    seq: i32,
    urgent: u16,
    text: usize,
    /// Where what follows on the headers is cut.
    cuts: Vec<usize>,
    /// Octets behind its end.
    behind: usize,
    /// An octet of the headers, but of those that say where they end, that is another.
    wrong: Option<(usize, u8)>,
    trust: Trust,
    read: usize,
}

fn odd() -> impl Strategy<Value = Odd> {
    let urgent = Flags::ACK | Flags::PSH | Flags::URG;
    (
        prop_oneof![
            4 => Just(Flags::ACK),
            3 => Just(urgent),
            1 => Just(urgent | Flags::FIN),
            1 => any::<u8>().prop_map(|n| Flags::from_bits_truncate(n.into())),
        ],
        prop_oneof![5 => Just(0), 1 => -3000..3000i32],
        prop_oneof![0..20u16, 0..20_000u16, any::<u16>()],
        prop_oneof![0..20usize, 500..3000usize, 4000..20_000usize],
        proptest::collection::vec(prop_oneof![0..20usize, 0..20_000usize], 0..4),
        prop_oneof![5 => Just(0), 1 => 1..50usize],
        prop_oneof![5 => Just(None), 1 => (1..32usize, any::<u8>()).prop_map(Some)],
        prop_oneof![5 => Just(Trust::Trusted), 1 => Just(Trust::Verify)],
        prop_oneof![Just(0), 0..30_000usize],
    )
        .prop_map(|(flags, seq, urgent, text, cuts, behind, wrong, trust, read)| {
            // One that ends all at once shows little.
            let flags = flags.difference(Flags::RST | Flags::SYN);
            Odd { flags, seq, urgent, text, cuts, behind, wrong, trust, read }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    /// However it is cut behind its headers, and whatever it says, a packet does what it does in one piece.
    #[test]
    fn a_packet_in_parts_does_what_it_does_whole(
        all in proptest::collection::vec(odd(), 1..12),
        little_room in any::<bool>(),
        oob_inline in any::<bool>(),
    ) {
        const HEAD: usize = 40;
        let mut config = Config::default();
        if little_room {
            // A packet may be more than the window.
            config.tcp.receive_buffer = 10_000;
        }
        let mut both = [(); 2].map(|()| {
            let mut r = Raw::new(config.clone());
            let id = r.accepted();
            let options = r.host.options(id).unwrap();
            r.host.set_options(id, SocketOptions { oob_inline, ..options }, r.now).unwrap();
            (r, id)
        });
        let mut next = both[0].0.seq;
        for (n, odd) in all.into_iter().enumerate() {
            let text: Vec<u8> = (0..odd.text).map(|at| (at + n) as u8).collect();
            let done = both.each_mut().map(|(r, _)| {
                r.urgent = odd.urgent;
                let seq = next.wrapping_add_signed(odd.seq);
                let mut packet = r.packet(seq, r.ack, odd.flags, &text, &Options::default());
                if let Some((at, octet)) = odd.wrong {
                    packet[at] = octet;
                }
                packet.resize(packet.len() + odd.behind, 9);
                packet
            });
            let [whole, parts] = done.map(Bytes::from);
            let mut cuts: Vec<_> = odd.cuts.iter().map(|cut| (HEAD + cut).min(parts.len())).collect();
            cuts.extend([HEAD, parts.len()]);
            cuts.sort_unstable();
            let lent: Vec<_> = cuts
                .windows(2)
                .map(|ends| {
                    let octets = parts.slice(ends[0]..ends[1]);
                    Lent::new(octets, parts.len() as u32, ends[0] > HEAD, ends[1] < parts.len())
                })
                .collect();
            let [whole, parts] = [(&whole[..], &[][..]), (&parts[..HEAD], &lent)];
            let mut results = Vec::new();
            for ((r, id), (packet, lent)) in both.iter_mut().zip([whole, parts]) {
                let received = r.host.receive(r.now, Inbound { lent, trust: odd.trust, ..Inbound::plain(packet) });
                let sent: Vec<_> = r.sent().into_iter().map(|s| (s.header, s.options, s.text)).collect();
                let mut room = vec![0; odd.read];
                let read = r.host.try_read(*id, &mut room).map(|n| room[..n].to_vec());
                let urgent = r.host.try_read_urgent(*id, false);
                results.push((alloc::format!("{received:?} {sent:?}"), read, urgent, r.host.state(*id)));
            }
            prop_assert_eq!(&results[0], &results[1]);
            if odd.seq == 0 && odd.wrong.is_none() {
                next = next.wrapping_add(odd.text as u32);
            }
        }
    }
}
