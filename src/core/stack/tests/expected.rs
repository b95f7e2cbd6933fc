//! A packet that looks like the one before it: what is taken for one, and what goes the whole way.

use super::*;
use crate::memory::LEAST;
use crate::seq::Seq;
use crate::wire::ip::{self, protocol};
use crate::wire::options::{Options, Timestamps};
use crate::wire::tcp;

const TEXT: usize = 100;

/// A segment of the peer's.
#[derive(Clone)]
struct Packet {
    ip: ip::Header,
    tcp: tcp::Header,
    options: Options,
    text: Vec<u8>,
    id: u16,
}

impl Packet {
    fn octets(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let text = core::iter::once(&self.text[..]);
        tcp::emit(&self.ip, &self.tcp, &self.options, text, self.text.len(), self.id, false, &mut out);
        out.extend_from_slice(&self.text);
        out
    }
}

/// A connection whose peer sends one segment after the other at the same time.
struct Burst {
    now: Instant,
    host: Stack,
    id: SocketId,
    /// The next.
    next: Packet,
}

/// The two ends.
fn ends(family: Family) -> [Address; 2] {
    match family {
        Family::V4 => [v4(1), v4(2)],
        Family::V6 => [six::a(six::US), six::a(six::PEER)],
    }
}

fn header(src: Address, dst: Address) -> ip::Header {
    ip::Header {
        src,
        dst,
        protocol: protocol::TCP,
        hop_limit: 64,
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: true,
        fragment: None,
    }
}

impl Burst {
    /// Two segments have come, and another is expected.
    fn new(family: Family, config: Config) -> Self {
        let [ours, peer] = ends(family);
        let now = Instant::from_secs(5);
        let mut host = Stack::new(Config { addresses: vec![Prefix::new(ours, 24)], ..config }, [7; 32]);
        let listener = host.tcp_socket(family);
        host.bind(listener, Endpoint::new(ours, 80)).unwrap();
        host.listen(listener, 5).unwrap();
        let ip = header(peer, ours);
        let tcp = tcp::Header {
            src_port: 5000,
            dst_port: 80,
            seq: Seq::new(u32::MAX - 250),
            ack: Seq::new(0),
            flags: Flags::SYN,
            window: 60_000,
            urgent: 0,
        };
        let timestamps = Some(Timestamps { value: 5, echo: 0 });
        let options = Options { timestamps, ..Options::default() };
        let mut next = Packet { ip, tcp, options, text: Vec::new(), id: 0 };
        host.receive(now, Inbound::plain(&next.octets()));
        let mut ack = None;
        drive(
            &mut host,
            now,
            |d| {
                let answer = ip::parse(d.head).unwrap();
                let answer = tcp::parse(&answer.header, answer.payload, Trust::Verify).unwrap();
                ack = Some(answer.header.seq.add(1));
            },
            |_| {},
        );
        (next.tcp.seq, next.tcp.ack, next.tcp.flags) = (next.tcp.seq.add(1), ack.unwrap(), Flags::ACK);
        host.receive(now, Inbound::plain(&next.octets()));
        let id = host.try_accept(listener).unwrap();
        drive(&mut host, now, |_| {}, |_| {});
        next.text = vec![7; TEXT];
        let mut burst = Self { now, host, id, next };
        // The first tells the program that there is something to read.
        (0..3).for_each(|_| _ = burst.comes());
        burst
    }

    /// The peer is a socket of the host itself, and nothing has come yet.
    fn from_ourselves(family: Family) -> Self {
        let (ours, now) = (ends(family)[0], Instant::from_secs(5));
        // Without options the window that an end announces is what its header says.
        let tcp = TcpConfig { timestamps: false, window_scaling: false, ..TcpConfig::default() };
        let config = Config { addresses: vec![Prefix::new(ours, 24)], tcp, ..Config::default() };
        let mut host = Stack::new(config, [7; 32]);
        let [listener, client] = [(); 2].map(|()| host.tcp_socket(family));
        host.bind(listener, Endpoint::new(ours, 80)).unwrap();
        host.listen(listener, 5).unwrap();
        assert_eq!(host.connect(client, Endpoint::new(ours, 80), now), Err(Error::InProgress));
        drive(&mut host, now, |_| {}, |_| {});
        let id = host.try_accept(listener).unwrap();
        drive(&mut host, now, |_| {}, |_| {});
        let Some(Kind::Connection(tcb)) = host.slab.get(id).map(|s| &s.kind) else { panic!("it is gone") };
        let (peer, at) = (tcb.quad.remote, tcb.variables());
        let tcp = tcp::Header {
            src_port: peer.port,
            dst_port: 80,
            seq: at.rcv_nxt,
            ack: at.snd_nxt,
            flags: Flags::ACK,
            window: at.snd_wnd as u16,
            urgent: 0,
        };
        let (ip, options, text) = (header(peer.address, ours), Options::default(), vec![7; TEXT]);
        Self { now, host, id, next: Packet { ip, tcp, options, text, id: 0 } }
    }

    /// The next comes in, the whole way or not.
    fn comes(&mut self) -> Received {
        let packet = self.next.octets();
        let received = self.host.receive(self.now, Inbound::plain(&packet));
        self.advance();
        received
    }

    fn advance(&mut self) {
        self.next.tcp.seq = self.next.tcp.seq.add(self.next.text.len() as u32);
        self.next.id += 1;
    }

    /// Whether this is taken for the next.
    fn takes(&mut self, packet: &[u8]) -> bool {
        let taken = self.host.receive_expected(self.now, &Inbound::plain(packet));
        self.host.check_invariants();
        taken.is_some()
    }

    fn takes_next(&mut self) -> bool {
        self.takes(&self.next.octets())
    }
}

#[test]
fn a_burst_is_taken_across_the_end_of_the_numbers() {
    for family in [Family::V4, Family::V6] {
        let mut burst = Burst::new(family, Config::default());
        let before = burst.host.counters().clone();
        for n in 0..5 {
            burst.next.text.fill(n);
            assert!(burst.takes_next(), "{family:?}, {n}");
            burst.advance();
        }
        let after = burst.host.counters();
        assert_eq!(after.tcp_in_segs - before.tcp_in_segs, 5);
        assert_eq!(after.ip_in_delivers - before.ip_in_delivers, 5);
        let mut acks = Vec::new();
        let send = |d: Datagram<'_>| {
            let packet = ip::parse(d.head).unwrap();
            acks.push(tcp::parse(&packet.header, packet.payload, Trust::Verify).unwrap().header.ack);
        };
        drive(&mut burst.host, burst.now, send, |_| {});
        assert_eq!(acks, [burst.next.tcp.seq], "one for all");
        let mut read = [0; 9 * TEXT];
        assert_eq!(burst.host.try_read(burst.id, &mut read), Ok(8 * TEXT));
        let texts: Vec<_> = read[..8 * TEXT].chunks(TEXT).map(|text| (text[0], text[TEXT - 1])).collect();
        assert_eq!(texts[3..], [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]);
    }
}

/// PSH stands where a burst ends, and so amid what comes at once.
#[test]
fn a_push_may_differ() {
    for family in [Family::V4, Family::V6] {
        let mut burst = Burst::new(family, Config::default());
        for flags in [Flags::ACK | Flags::PSH, Flags::ACK, Flags::ACK | Flags::PSH] {
            burst.next.tcp.flags = flags;
            assert!(burst.takes_next(), "{family:?}, {flags:?}");
            burst.advance();
        }
        assert_eq!(burst.host.unread(burst.id), Ok(6 * TEXT));
    }
}

/// Who sends one mostly sends more; behind a short one there is seldom another.
#[test]
fn a_full_segment_is_expected_to_be_followed() {
    for (len, expected) in [(1180, true), (1179, false)] {
        let mut burst = Burst::new(Family::V4, Config::default());
        burst.now += Duration::from_millis(1);
        burst.next.text = vec![7; len];
        burst.comes();
        assert_eq!(burst.takes_next(), expected, "{len} octets");
    }
}

/// Each with its checksums right.
#[test]
fn what_differs_in_more_goes_the_whole_way() {
    type Change = fn(&mut Packet);
    let changes: &[(&str, Change)] = &[
        ("the hop limit", |p| p.ip.hop_limit -= 1),
        ("the class", |p| p.ip.traffic_class = 4),
        ("congestion experienced", |p| p.ip.traffic_class = 3),
        ("the sender", |p| p.ip.src = if p.ip.src.is_v4() { v4(3) } else { six::a(six::ROUTER) }),
        ("the receiver", |p| p.ip.dst = if p.ip.src.is_v4() { v4(3) } else { six::a(six::ROUTER) }),
        ("their port", |p| p.tcp.src_port += 1),
        ("our port", |p| p.tcp.dst_port += 1),
        ("what is acknowledged", |p| p.tcp.ack = p.tcp.ack.sub(1)),
        ("an end", |p| p.tcp.flags |= Flags::FIN),
        ("a reset", |p| p.tcp.flags |= Flags::RST),
        ("the window", |p| p.tcp.window += 1),
        ("the urgent pointer", |p| p.tcp.urgent = 1),
        ("the time", |p| p.options.timestamps = Some(Timestamps { value: 6, echo: 0 })),
        ("the echo", |p| p.options.timestamps = Some(Timestamps { value: 5, echo: 1 })),
        ("no options", |p| p.options.timestamps = None),
        ("more options", |p| p.options.mss = Some(1000)),
        ("less text", |p| p.text.truncate(TEXT - 1)),
        ("more text", |p| p.text.push(7)),
        ("no text", |p| p.text.clear()),
    ];
    for family in [Family::V4, Family::V6] {
        let mut burst = Burst::new(family, Config::default());
        let own: (&str, Change) = match family {
            Family::V4 => ("may be cut", |p| p.ip.dont_fragment = false),
            Family::V6 => ("the flow", |p| p.ip.flow_label = 1),
        };
        for (what, change) in changes.iter().chain([&own]) {
            let mut packet = burst.next.clone();
            change(&mut packet);
            assert!(!burst.takes(&packet.octets()), "{family:?}: {what}");
        }
        assert!(burst.takes_next(), "it is expected still");
        for elsewhere in [1, 0u32.wrapping_sub(TEXT as u32)] {
            let mut burst = Burst::new(family, Config::default());
            burst.next.tcp.seq = burst.next.tcp.seq.add(elsewhere);
            assert!(!burst.takes_next(), "{family:?}: {elsewhere}");
        }
    }
}

#[test]
fn no_bit_flips_unseen_unless_the_device_has_looked() {
    for family in [Family::V4, Family::V6] {
        let mut burst = Burst::new(family, Config::default());
        let good = burst.next.octets();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!burst.takes(&bad), "{family:?}: bit {bit}");
        }
        assert!(!burst.takes(&good[..good.len() - 1]), "cut short");
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        let trusted = Inbound { trust: Trust::Trusted, ..Inbound::plain(&bad) };
        assert!(burst.host.receive_expected(burst.now, &trusted).is_some());
        burst.advance();
        // What lies behind the end of the packet is none of it.
        let padded = [&burst.next.octets()[..], b"xyz"].concat();
        assert!(burst.takes(&padded));
        assert_eq!(burst.host.unread(burst.id), Ok(5 * TEXT));
    }
}

#[test]
fn one_that_is_joined_is_not_like_one_that_is_not() {
    let mut burst = Burst::new(Family::V4, Config::default());
    let packet = burst.next.octets();
    let joined = Inbound { gso_size: 50, ..Inbound::plain(&packet) };
    assert_eq!(burst.host.receive_expected(burst.now, &joined), None);
    assert!(burst.takes_next());
}

/// Whatever is done to a socket, or what sockets depend on, may be of matter.
#[test]
fn nothing_is_expected_once_anything_was_done() {
    type Deed = fn(&mut Burst);
    let deeds: &[(&str, Deed)] = &[
        ("time passes", |b| b.now += Duration::from_nanos(1)),
        ("the program reads", |b| assert_eq!(b.host.try_read(b.id, &mut [0]), Ok(1))),
        ("the program writes", |b| assert_eq!(b.host.try_write(b.id, b"x", b.now), Ok(1))),
        ("another socket is opened", |b| _ = b.host.tcp_socket(Family::V4)),
        ("settings change", |b| b.host.config_mut().tcp.delayed_ack = Duration::ZERO),
        ("options change", |b| {
            let options = b.host.options(b.id).unwrap();
            b.host
                .set_options(b.id, crate::sockopt::SocketOptions { nodelay: true, ..options }, b.now)
                .unwrap();
        }),
        ("what has to leave has left", |b| _ = drive(&mut b.host, b.now, |_| {}, |_| {})),
    ];
    for (what, deed) in deeds {
        let mut burst = Burst::new(Family::V4, Config::default());
        deed(&mut burst);
        assert!(!burst.takes_next(), "{what}");
    }
}

/// Another shard hands it over, and nothing leaves in between. A packet from outside with our address as its source is a martian.
#[test]
fn what_comes_from_ourselves_lets_in_nothing_from_outside() {
    for family in [Family::V4, Family::V6] {
        let mut burst = Burst::from_ourselves(family);
        for n in 1..=3 {
            let packet = burst.next.octets();
            burst.host.receive_from_ourselves(burst.now, Inbound::plain(&packet));
            burst.advance();
            assert!(
                burst.host.predicted.is_some(),
                "{family:?}: from elsewhere it would be expected to be followed"
            );
            assert_eq!(burst.host.unread(burst.id), Ok(n * TEXT));
        }
        assert!(!burst.takes_next(), "{family:?}");
        assert_eq!(burst.comes(), Received::Dropped("martian address"), "{family:?}");
        assert_eq!(burst.host.unread(burst.id), Ok(3 * TEXT));
    }
}

/// Each must be told of, or entered in the books.
#[test]
fn nothing_is_expected_where_each_packet_counts() {
    for config in
        [Config { trace: true, ..Config::default() }, Config { memory: Some(LEAST), ..Config::default() }]
    {
        assert!(!Burst::new(Family::V4, config).takes_next());
    }
}

/// Another connection begins in between, and the burst goes on.
#[test]
fn what_comes_in_between_is_followed_by_the_whole_way_once_more() {
    let mut burst = Burst::new(Family::V4, Config::default());
    let mut other = burst.next.clone();
    (other.tcp.src_port, other.tcp.flags, other.text) = (5001, Flags::SYN, Vec::new());
    burst.host.receive(burst.now, Inbound::plain(&other.octets()));
    assert!(!burst.takes_next());
    // One is predicted, one like it is expected to be followed.
    (0..2).for_each(|_| _ = burst.comes());
    assert!(burst.takes_next());
}
