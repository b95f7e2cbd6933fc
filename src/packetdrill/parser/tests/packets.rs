//! Packets of every kind.

use super::super::super::script::*;
use super::{event, refused};

fn packet(text: &str) -> Packet {
    match event(&format!("+0 {text}")).action {
        Action::Packet(packet) => *packet,
        other => panic!("{other:?}"),
    }
}

fn tcp(text: &str) -> Tcp {
    match packet(text).payload {
        Payload::Tcp(tcp) => tcp,
        other => panic!("{other:?}"),
    }
}

fn options(text: &str) -> Vec<TcpOption> {
    tcp(&format!("> . 1:1(0) ack 1 <{text}>")).options.unwrap()
}

fn icmp(text: &str) -> Icmp {
    match packet(text).payload {
        Payload::Icmp(icmp) => icmp,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_segment_has_all_its_fields() {
    let found = packet("< 1234 > 80 FP. 1:1461(1460) ack 4294967295 win 65535 urg 7 <nop, nop, sackOK>");
    assert_eq!(found.direction, Direction::Inbound);
    assert_eq!(found.outer, []);
    assert_eq!(found.ip, IpLabels::default());
    let expected = Tcp {
        ports: Some(Ports { source: 1234, destination: 80 }),
        flags: Flags { bits: 0x19, ace: None },
        seq: 1,
        len: 1460,
        ack: u32::MAX,
        window: Some(65535),
        urgent: 7,
        options: Some(vec![TcpOption::Nop, TcpOption::Nop, TcpOption::SackPermitted]),
    };
    assert_eq!(found.payload, Payload::Tcp(expected));
}

#[test]
fn what_a_segment_does_not_say() {
    let found = tcp("> . 0:0(0)");
    assert_eq!((found.ports, found.ack, found.window, found.urgent), (None, 0, None, 0));
    assert_eq!(found.options, Some(vec![]));
    assert_eq!(tcp("> . 0:0(0) <...>").options, None);
}

#[test]
fn flags() {
    let flags = |text: &str| tcp(&format!("> {text} 0:0(0)")).flags;
    for (text, bits) in [
        ("F", 0x1),
        ("S", 0x2),
        ("R", 0x4),
        ("P", 0x8),
        (".", 0x10),
        ("U", 0x20),
        ("E", 0x40),
        ("W", 0x80),
        ("C", 0x80),
        ("A", 0x100),
        ("-", 0),
        ("SEWA", 0x1c2),
        ("FSRPU.", 0x3f),
        ("P.F", 0x19),
    ] {
        assert_eq!(flags(text), Flags { bits, ace: None }, "{text}");
        assert_eq!(flags(text).in_header(), bits);
    }
    for (text, bits, ace, header) in
        [(".5", 0x10, 5, 0x150), ("S2.", 0x12, 2, 0x92), ("P.7", 0x18, 7, 0x1d8), (".0", 0x10, 0, 0x10)]
    {
        assert_eq!(flags(text), Flags { bits, ace: Some(ace) }, "{text}");
        assert_eq!(flags(text).in_header(), header);
    }
}

#[test]
fn sequence_numbers_wrap() {
    assert_eq!(tcp("> . 4294967290:4(10)").seq, 4_294_967_290);
    assert_eq!(tcp("> . 4294967295:4294967295(0)").len, 0);
    assert_eq!(tcp("> . 0:65535(65535)").len, 65535);
}

#[test]
fn each_option() {
    assert_eq!(
        options("mss 1460, nop, wscale 7"),
        [TcpOption::Mss(1460), TcpOption::Nop, TcpOption::WindowScale(7)]
    );
    assert_eq!(options("eol,eol,sackOK"), [TcpOption::Eol, TcpOption::Eol, TcpOption::SackPermitted]);
    assert_eq!(
        options("nop,nop,sack 1:2 4294967295:4"),
        [TcpOption::Nop, TcpOption::Nop, TcpOption::Sack(vec![(1, 2), (u32::MAX, 4)])]
    );
    assert_eq!(
        options("nop,nop,TS val 4294967295 ecr 0")[2],
        TcpOption::Timestamps { val: u32::MAX, ecr: 0 }
    );
    assert_eq!(
        options("nop,nop,md5 00112233445566778899aabbccddeeff")[2],
        TcpOption::Md5(vec![
            0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff
        ])
    );
    assert_eq!(options("md5,nop,nop")[0], TcpOption::Md5(vec![]));
    assert_eq!(options("UTO sec 100"), [TcpOption::UserTimeout(100)]);
    assert_eq!(options("UTO min 32767"), [TcpOption::UserTimeout(0xffff)]);
    assert_eq!(options("FO,nop,nop")[0], TcpOption::FastOpen(vec![]));
    assert_eq!(options("FO 00000000,nop,nop")[0], TcpOption::FastOpen(vec![0; 4]));
    assert_eq!(options("FO 1234aBcd,nop,nop")[0], TcpOption::FastOpen(vec![0x12, 0x34, 0xab, 0xcd]));
    assert_eq!(options("FOEXP 98765432109876543210,nop,nop")[0].clone(), {
        TcpOption::FastOpenExperimental(vec![0x98, 0x76, 0x54, 0x32, 0x10, 0x98, 0x76, 0x54, 0x32, 0x10])
    });
    let counters = |e1b_first, counters| TcpOption::AccEcn(AccEcn { e1b_first, counters });
    assert_eq!(options("ECN e0b 1,nop,nop,nop")[0], counters(false, [Some(1), None, None]));
    assert_eq!(options("ECN e1b 1 ceb 16777215")[0], counters(true, [Some(1), Some(0xff_ffff), None]));
    assert_eq!(options("ECN e0b 1 ceb 2 e1b 3,nop")[0], counters(false, [Some(1), Some(2), Some(3)]));
    assert_eq!(options("ECN e1b 1 ceb 2 e0b 3,nop")[0], counters(true, [Some(1), Some(2), Some(3)]));
}

#[test]
fn labels_of_ip_in_both_brackets() {
    let labels = |text: &str| packet(&format!("> {text} . 0:0(0)")).ip;
    let tos = |tos| IpLabels { tos, ..IpLabels::default() };
    for (name, value) in [("noecn", 0), ("ect1", 1), ("ect0", 2), ("ce", 3)] {
        assert_eq!(labels(&format!("[{name}]")), tos(Tos::Ecn(value)));
        assert_eq!(labels(&format!("({name})")), tos(Tos::Ecn(value)));
    }
    assert_eq!(labels("[ect01]"), tos(Tos::Ect01));
    assert_eq!(labels("[tos 0xb8]"), tos(Tos::Octet(0xb8)));
    let all = IpLabels { tos: Tos::Ecn(2), ttl: Some(255), flow_label: Some(0xf_ffff) };
    assert_eq!(labels("(ect0, flowlabel 0xfffff, ttl 255)"), all);
    assert_eq!(packet("< [ttl 64] udp (0)").ip.ttl, Some(64));
}

#[test]
fn headers_around_a_packet() {
    let found = packet("> ipv4 [ttl 3] 192.0.2.1 > 192.0.2.2: ipv6 fd::1 > fd::2: [ce] 1 > 2 . 0:0(0)");
    let labels = IpLabels { ttl: Some(3), ..IpLabels::default() };
    assert_eq!(
        found.outer,
        [
            ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap(), labels),
            ("fd::1".parse().unwrap(), "fd::2".parse().unwrap(), IpLabels::default()),
        ]
    );
    assert_eq!(found.ip.tos, Tos::Ecn(3));
}

#[test]
fn other_headers_are_refused_by_name() {
    for (text, at, name) in [
        ("gre: . 0:0(0)", "1:6", "`gre`: encapsulation in GRE is not supported"),
        ("GREv0 flags 0x0: . 0:0(0)", "1:6", "`GREv0`: encapsulation in GRE is not supported"),
        (
            "mpls (label 1, tc 0, [S], ttl 1): . 0:0(0)",
            "1:6",
            "`mpls`: encapsulation in MPLS is not supported",
        ),
        ("[ect0] encap psp spi 1 . 0:0(0)", "1:13", "`encap`: encapsulation in PSP is not supported"),
    ] {
        let error = refused(&format!("+0 > {text}"));
        assert!(error.starts_with(&format!("{at}: ")) && error.ends_with(name), "{error}");
    }
}

#[test]
fn datagrams() {
    assert_eq!(packet("> udp (1472)").payload, Payload::Udp(Udp { ports: None, len: 1472 }));
    let ports = Some(Ports { source: 53, destination: 65535 });
    assert_eq!(packet("< udp 53 > 65535 (0)").payload, Payload::Udp(Udp { ports, len: 0 }));
}

#[test]
fn messages_and_what_they_quote() {
    let found = icmp("< icmp unreachable frag_needed mtu 1200 [1:1461(1460)]");
    assert_eq!((found.kind.as_str(), found.code.as_deref()), ("unreachable", Some("frag_needed")));
    assert_eq!((found.mtu, found.id), (Some(1200), None));
    assert_eq!(found.quoted, Quoted::Tcp { seq: 1, len: 1460 });
    let found = icmp("< icmp echo_request id 65535");
    assert_eq!((found.code, found.mtu, found.id, found.quoted), (None, None, Some(65535), Quoted::Unsaid));
    assert_eq!(icmp("< icmp 3 port_unreachable [udp (100)]").quoted, Quoted::Udp { len: 100 });
    assert_eq!(icmp("< icmp packet_too_big mtu 4294967295 id 1 [raw (8)]").quoted, Quoted::Raw { len: 8 });
}

#[test]
fn the_next_event_is_no_part_of_a_message() {
    let script = super::read(
        "0 < icmp unreachable\n1 > . 0:0(0)\n* > . 0:0(0)\n2 > . 0:0(0) <nop,nop,sack 1:2>\n3 `x`",
    );
    assert_eq!(script.events.len(), 5);
}
