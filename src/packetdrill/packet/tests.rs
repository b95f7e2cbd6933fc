use super::testing::{
    ISN, Live, REMOTE_PORT, accepted, current, icmp as script_icmp, packet, tcp, udp, with, with_options,
};
use super::*;
use crate::packetdrill::flow::{Flow, Flows, Protocol};
use crate::packetdrill::net::{IpVersion, Net, WireVersion};
use crate::packetdrill::script::{
    AccEcn, Direction::*, Icmp, IpLabels, Packet, Payload, Ports, Quoted, TcpOption, Tos,
};

const VERSIONS: [IpVersion; 3] = [IpVersion::V4, IpVersion::V4Mapped, IpVersion::V6];

/// Every option, and its octets.
fn all_options() -> Vec<(TcpOption, Vec<u8>, &'static str)> {
    let ecn = |e1b_first, counters| TcpOption::AccEcn(AccEcn { e1b_first, counters });
    vec![
        (TcpOption::Nop, vec![1], "nop"),
        (TcpOption::Eol, vec![0], "eol"),
        (TcpOption::Mss(1460), vec![2, 4, 5, 0xb4], "mss 1460"),
        (TcpOption::WindowScale(7), vec![3, 3, 7], "wscale 7"),
        (TcpOption::SackPermitted, vec![4, 2], "sackOK"),
        (
            TcpOption::Sack(vec![(1, 2), (0x0102_0304, 5)]),
            vec![5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4, 0, 0, 0, 5],
            "sack 1:2 16909060:5",
        ),
        (TcpOption::Timestamps { val: 256, ecr: 3 }, vec![8, 10, 0, 0, 1, 0, 0, 0, 0, 3], "TS val 256 ecr 3"),
        (TcpOption::Md5(vec![0, 0xab]), vec![19, 4, 0, 0xab], "md5 00ab"),
        (TcpOption::Md5(vec![]), vec![19, 2], "md5"),
        (TcpOption::UserTimeout(0x8005), vec![28, 4, 0x80, 5], "UTO min 5"),
        (TcpOption::UserTimeout(0x7fff), vec![28, 4, 0x7f, 0xff], "UTO sec 32767"),
        (TcpOption::FastOpen(vec![1, 2]), vec![34, 4, 1, 2], "FO 0102"),
        (TcpOption::FastOpen(vec![]), vec![34, 2], "FO"),
        (TcpOption::FastOpenExperimental(vec![9]), vec![254, 5, 0xf9, 0x89, 9], "FOEXP 09"),
        (ecn(false, [None; 3]), vec![172, 2], "ECN"),
        (ecn(false, [Some(1), Some(0x01_0203), None]), vec![172, 8, 0, 0, 1, 1, 2, 3], "ECN e0b 1 ceb 66051"),
        (
            ecn(true, [Some(1), Some(2), Some(0xff_ffff)]),
            vec![174, 11, 0, 0, 1, 0, 0, 2, 255, 255, 255],
            "ECN e1b 1 ceb 2 e0b 16777215",
        ),
    ]
}

#[test]
fn every_option_to_octets_and_back() {
    for (option, octets, _) in all_options() {
        assert_eq!(octets_of(&option), Ok(octets.clone()), "{option:?}");
        assert_eq!(read(&octets), [SeenOption::Known(option)]);
    }
    let bad = |octets: &[u8]| read(octets);
    assert_eq!(bad(&[30, 4, 1, 2]), [SeenOption::Unknown { kind: 30, data: vec![1, 2] }]);
    assert_eq!(bad(&[2, 3, 1]), [SeenOption::Unknown { kind: 2, data: vec![1] }]);
    assert_eq!(bad(&[1, 5, 1, 9]), [SeenOption::Known(TcpOption::Nop), SeenOption::Malformed(vec![5, 1, 9])]);
    assert_eq!(bad(&[5, 9, 0]), [SeenOption::Malformed(vec![5, 9, 0])]);
    assert_eq!(bad(&[8]), [SeenOption::Malformed(vec![8])]);
    assert!(octets_of(&TcpOption::Md5(vec![0; 39])).is_err());
}

fn built(packet: &Packet, flow: &Flow, net: &Net) -> Seen {
    decode(&build(packet, flow, net).unwrap()).unwrap()
}

fn segment_of(seen: &Seen) -> &SeenTcp {
    let Carried::Tcp(tcp) = &seen.carried else { panic!("{seen:?}") };
    tcp
}

#[test]
fn segments_in_every_version_are_what_the_script_says() {
    for version in VERSIONS {
        let (net, flows) = accepted(version, 4_294_967_290);
        let flow = current(&flows);
        let script = with(tcp(Inbound, "FP.UEWA", 10, 3000, 2000), |tcp| {
            tcp.window = Some(257);
            tcp.urgent = 5;
            tcp.options = Some(vec![TcpOption::Sack(vec![(2001, 3001)]), TcpOption::Nop, TcpOption::Nop]);
        });
        let octets = build(&script, flow, &net).unwrap();
        let etherparse = etherparse::SlicedPacket::from_ip(&octets).unwrap();
        let Some(etherparse::TransportSlice::Tcp(slice)) = etherparse.transport else { panic!() };
        assert_eq!((slice.payload().len(), slice.options().len()), (3000, 12));
        let sum = match etherparse.net.unwrap() {
            etherparse::NetSlice::Ipv4(ip) => {
                slice.calc_checksum_ipv4(ip.header().source(), ip.header().destination())
            }
            etherparse::NetSlice::Ipv6(ip) => {
                slice.calc_checksum_ipv6(ip.header().source(), ip.header().destination())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(sum.unwrap(), slice.checksum());

        let seen = decode(&octets).unwrap();
        assert_eq!((seen.ip.src, seen.ip.dst, seen.ip.ttl, seen.ip.tos), (net.remote, net.local, 255, 0));
        let tcp = segment_of(&seen);
        assert_eq!((tcp.src_port, tcp.dst_port), (REMOTE_PORT, 8080));
        assert_eq!((tcp.seq, tcp.ack, tcp.flags), (4, 999, 0x1f9));
        assert_eq!((tcp.window, tcp.urgent, tcp.len, tcp.nonzero), (257, 5, 3000, None));
        let sack = SeenOption::Known(TcpOption::Sack(vec![(1000, 2000)]));
        assert_eq!(read(&tcp.options)[0], sack);
        assert_eq!(
            print(&seen, Some(flow)),
            "< FP.UEWA 10:3010(3000) ack 2000 win 257 urg 5 <sack 2001:3001,nop,nop>"
        );
    }
}

#[test]
fn what_is_absolute_in_segments_with_syn() {
    let (net, flows) = accepted(IpVersion::V4, 100);
    let script = with_options(tcp(Inbound, "S.", 100, 0, 1), &[TcpOption::Mss(1000)]);
    let seen = built(&script, current(&flows), &net);
    assert_eq!((segment_of(&seen).seq, segment_of(&seen).ack), (100, ISN + 1));
    // Without ACK the field is as written.
    let seen = built(&tcp(Inbound, "R", 1, 0, 17), current(&flows), &net);
    assert_eq!((segment_of(&seen).seq, segment_of(&seen).ack), (101, 17));
}

#[test]
fn the_ace_digit_is_three_flags() {
    let (net, flows) = accepted(IpVersion::V4, 0);
    let flow = current(&flows);
    let flags = |script: &str| segment_of(&built(&tcp(Inbound, script, 1, 0, 1), flow, &net)).flags;
    assert_eq!((flags(".5"), flags(".2"), flags("7"), flags("S0")), (0x150, 0x090, 0x1c0, 0x002));
}

#[test]
fn labels_and_outer_headers() {
    let (net, flows) = accepted(IpVersion::V6, 0);
    let flow = current(&flows);
    let mut script = tcp(Inbound, ".", 1, 10, 1);
    script.ip = IpLabels { tos: Tos::Octet(0xb9), ttl: Some(3), flow_label: Some(0xa_bcde) };
    let labels = IpLabels { tos: Tos::Ecn(3), ttl: Some(9), flow_label: None };
    let four = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), labels);
    let six = ("fd::1".parse().unwrap(), "fd::2".parse().unwrap(), IpLabels::default());
    script.outer = vec![six, four];
    let seen = built(&script, flow, &net);
    assert_eq!((seen.ip.tos, seen.ip.ttl, seen.ip.flow_label), (0xb9, 3, 0xa_bcde));
    assert_eq!((seen.outer[0].dst, seen.outer[0].ttl), (six.1, 255));
    assert_eq!((seen.outer[1].src, seen.outer[1].tos, seen.outer[1].ttl), (four.0, 3, 9));
    assert_eq!(segment_of(&seen).len, 10);
    assert_eq!(
        print(&seen, Some(flow)),
        "< ipv6 fd::1 > fd::2: ipv4 [ce] 10.0.0.1 > 10.0.0.2: [tos 0xb9] . 1:11(10) ack 1 win 0"
    );
    let mut outbound = script.clone();
    outbound.direction = Outbound;
    outbound.outer[1].2.ttl = Some(8);
    let differs = compare(&outbound, &seen, flow, None);
    assert_eq!(differs[0].to_string(), "TTL: expected 8, got 9");
}

#[test]
fn what_has_no_form_is_refused_in_a_line() {
    let net = Net::default();
    let refused = |packet: Packet| check(&packet, &net).unwrap_err();
    let odd = with_options(tcp(Inbound, "S", 0, 0, 0), &[TcpOption::WindowScale(7)]);
    assert_eq!(refused(odd), "TCP options take 3 octets, no multiple of 4: 1 nop are missing");
    let many =
        with_options(tcp(Inbound, "S", 0, 0, 0), &[TcpOption::Sack(vec![(0, 0); 4]), TcpOption::Mss(1)]);
    let many = with(many, |tcp| tcp.options.as_mut().unwrap().extend(vec![TcpOption::Nop; 6]));
    assert!(refused(many).contains("44 octets"));
    let any = with(tcp(Inbound, "S", 0, 0, 0), |tcp| tcp.options = None);
    assert!(refused(any).starts_with("<...> is for outbound"));
    let long = tcp(Inbound, ".", 0, 65_500, 0);
    assert!(refused(long).contains("65500 octets"));
    let mut ecn = tcp(Inbound, ".", 0, 0, 0);
    ecn.ip.tos = Tos::Ect01;
    assert!(refused(ecn).starts_with("[ect01]"));
    let mut label = tcp(Outbound, ".", 0, 0, 0);
    label.ip.flow_label = Some(1);
    assert_eq!(refused(label), "IPv4 has no flow label");
    assert!(refused(script_icmp("unreachable", None, Some(9), Quoted::Unsaid)).contains("only"));
    assert!(refused(script_icmp("no_route", None, None, Quoted::Unsaid)).contains("no type no_route"));
    assert!(refused(script_icmp("echo_request", None, None, Quoted::Raw { len: 7 })).contains("raw (7)"));
    let (_, flows) = accepted(IpVersion::V4, 0);
    let flow = current(&flows);
    assert!(build(&udp(Inbound, 65_528), flow, &net).unwrap_err().contains("65528"));
    let ts = TcpOption::Timestamps { val: 1, ecr: 5 };
    let echo = with_options(tcp(Inbound, ".", 1, 0, 1), &[TcpOption::Nop, TcpOption::Nop, ts]);
    assert!(build(&echo, flow, &net).unwrap_err().starts_with("TS ecr 5"));
}

#[test]
fn icmp_quotes_the_connection() {
    use tunstack_core::wire::icmp::Quoted as CoreQuoted;
    for (version, script, head, text) in [
        (
            IpVersion::V4,
            ("unreachable", Some("frag_needed"), Some(800)),
            (3, 4, 800),
            "unreachable frag_needed mtu 800",
        ),
        (IpVersion::V4Mapped, ("time_exceeded", Some("code_1"), None), (11, 1, 0), "time_exceeded code_1"),
        (IpVersion::V4, ("unreachable", Some("13"), None), (3, 13, 0), "unreachable packet_filtered"),
        (IpVersion::V4, ("type_77", None, None), (77, 0, 0), "type_77"),
        (IpVersion::V6, ("packet_too_big", None, Some(70_000)), (2, 0, 70_000), "packet_too_big mtu 70000"),
        (
            IpVersion::V6,
            ("unreachable", Some("port_unreachable"), None),
            (1, 4, 0),
            "unreachable port_unreachable",
        ),
        (IpVersion::V6, ("unreachable", Some("net_unreachable"), None), (1, 0, 0), "unreachable no_route"),
        (
            IpVersion::V6,
            ("parameter_problem", Some("unknown_option"), None),
            (4, 2, 0),
            "parameter_problem unknown_option",
        ),
    ] {
        let (net, flows) = accepted(version, 0);
        let flow = current(&flows);
        let quoted = Quoted::Tcp { seq: 2000, len: 1440 };
        let script = script_icmp(script.0, script.1, script.2, quoted);
        let seen = built(&script, flow, &net);
        assert_eq!((seen.ip.src, seen.ip.dst), (net.remote, net.local));
        let Carried::Icmp(message) = &seen.carried else { panic!("{seen:?}") };
        assert_eq!((message.kind, message.code, message.word), head, "{text}");
        assert_eq!(print(&seen, Some(flow)), format!("< icmp {text}"));
        // It is a packet of the connection, from the stack, of that length.
        let quoted = CoreQuoted::parse(&message.body).expect("a quoted packet");
        let ends = (quoted.src.ip(), quoted.dst.ip());
        assert_eq!(ends, (net.local, net.remote));
        let ip = if net.wire_version == WireVersion::V4 { 20 } else { 40 };
        assert_eq!(message.body.len(), ip + 8);
        assert_eq!(message.body[ip..ip + 4], [0x1f, 0x90, 0x9c, 0x40]);
        assert_eq!(message.body[ip + 4..], 999u32.to_be_bytes());
        let at = if net.wire_version == WireVersion::V4 { 2 } else { 4 };
        let len = u16::from_be_bytes([message.body[at], message.body[at + 1]]);
        assert_eq!(usize::from(len), 20 + 1440 + if at == 2 { 20 } else { 0 });
    }
}

#[test]
fn codes_belong_to_a_family() {
    let head = |kind: &str, code: Option<&str>, version| {
        let Payload::Icmp(icmp) = script_icmp(kind, code, None, Quoted::Unsaid).payload else { panic!() };
        icmp::head(&icmp, version).map(|head| (head.kind, head.code))
    };
    assert_eq!(head("unreachable", Some("port_unreachable"), WireVersion::V4), Ok((3, 3)));
    assert_eq!(head("unreachable", Some("port_unreachable"), WireVersion::V6), Ok((1, 4)));
    assert!(head("unreachable", Some("frag_needed"), WireVersion::V6).is_err());
    assert!(head("packet_too_big", None, WireVersion::V4).is_err());
    assert!(head("source_quench", Some("anything"), WireVersion::V4).is_err());
    assert!(head("type_256", None, WireVersion::V4).is_err());
}

#[test]
fn pings_and_raw_messages() {
    for (version, request) in [(IpVersion::V4, 8), (IpVersion::V6, 128)] {
        let net = Net::new(version);
        let mut flows = Flows::new(&net);
        let icmp = Icmp {
            kind: "echo_request".into(),
            code: None,
            mtu: None,
            id: Some(7),
            quoted: Quoted::Raw { len: 100 },
        };
        let script = packet(Inbound, Payload::Icmp(icmp));
        let flow = flows.for_inbound(&script).unwrap();
        let seen = built(&script, flow, &net);
        let Carried::Icmp(message) = &seen.carried else { panic!("{seen:?}") };
        assert_eq!((message.kind, message.word, message.body.len()), (request, 7 << 16, 92));
        assert_eq!(print(&seen, Some(flow)), "< icmp echo_request id 7");

        // The answer, whose type and identifier are compared.
        let mut answer = seen.clone();
        (answer.ip.src, answer.ip.dst) = (net.local, net.remote);
        let expected = |kind: &str, id| {
            let icmp =
                Icmp { kind: kind.into(), code: None, mtu: None, id: Some(id), quoted: Quoted::Unsaid };
            packet(Outbound, Payload::Icmp(icmp))
        };
        let flow = flows.for_outbound(&expected("echo_request", 7), &answer).unwrap().unwrap();
        assert_eq!(compare(&expected("echo_request", 7), &answer, flow, None), []);
        let fields =
            |packet| compare(&packet, &answer, flow, None).iter().map(|m| m.field).collect::<Vec<_>>();
        assert_eq!(fields(expected("echo_request", 8)), ["identifier"]);
        assert_eq!(fields(expected("echo_reply", 7)), ["ICMP message"]);
        assert_eq!(fields(udp(Outbound, 0)), ["protocol"]);
    }
}

#[test]
fn datagrams() {
    for version in VERSIONS {
        let net = Net::new(version);
        let mut flows = Flows::new(&net);
        flows.socket(3, Protocol::Udp);
        let flow = flows.for_inbound(&udp(Inbound, 1000)).unwrap();
        let seen = built(&udp(Inbound, 1000), flow, &net);
        let Carried::Udp(datagram) = seen.carried else { panic!("{seen:?}") };
        assert_eq!((datagram.src_port, datagram.dst_port, datagram.len), (8080, 8080, 1000));
        assert_eq!(print(&seen, Some(flow)), "< udp (1000)");
        let ends = format!("{} > {}", net.remote, net.local);
        assert_eq!(print(&seen, None), format!("{ends}: udp 8080 > 8080 (1000)"));
        let quoted = script_icmp("unreachable", None, None, Quoted::Udp { len: 1000 });
        let seen = built(&quoted, flow, &net);
        let Carried::Icmp(message) = seen.carried else { panic!() };
        assert!(message.body.ends_with(&[0x1f, 0x90, 0x1f, 0x90, 0x03, 0xf0, 0, 0]));
    }
}

#[test]
fn each_field_that_differs_is_named() {
    let (net, flows) = accepted(IpVersion::V4, 10);
    let flow = current(&flows);
    let live = Live::new(0x18, ISN.wrapping_add(2001), 21, 100);
    let same = tcp(Outbound, "P.", 2001, 100, 11);
    assert_eq!(compare(&same, &live.seen(&net), flow, None), []);
    let one = |expected: &Packet, live: &Live| {
        let differs = compare(expected, &live.seen(&net), flow, None);
        assert_eq!(differs.len(), 1, "{differs:?}");
        differs[0].to_string()
    };
    let check = |change: &dyn Fn(&mut Live), text: &str| {
        let mut live = live.clone();
        change(&mut live);
        assert_eq!(one(&same, &live), text);
    };
    check(&|live| live.flags = 0x10, "flags: expected P., got .");
    check(&|live| live.flags |= 0x100, "flags: expected P., got P.A");
    check(&|live| live.seq = ISN, "sequence number: expected 2001, got 0");
    check(&|live| live.ack = 9, "acknowledgment number: expected 11, got 4294967295");
    check(&|live| live.data.truncate(9), "length of the data: expected 100, got 9");
    check(&|live| live.urgent = 1, "urgent pointer: expected 0, got 1");
    check(&|live| live.options = vec![1, 1, 4, 2], "options: expected <>, got <nop,nop,sackOK>");
    check(&|live| live.data[7] = 1, "data: expected zeros, got something else at octet 7");

    let said = |change: &dyn Fn(&mut Packet), text: &str| {
        let mut packet = same.clone();
        change(&mut packet);
        assert_eq!(one(&packet, &live), text);
    };
    said(&|packet| packet.ip.ttl = Some(63), "TTL: expected 63, got 64");
    said(&|packet| packet.ip.tos = Tos::Ecn(2), "ECN of IP: expected ect0, got noecn");
    said(&|packet| packet.ip.tos = Tos::Ect01, "ECN of IP: expected ect01, got noecn");
    said(&|packet| packet.ip.tos = Tos::Octet(4), "tos: expected 0x04, got 0x00");
    let segment = |change: &dyn Fn(&mut crate::packetdrill::script::Tcp), text: &str| {
        assert_eq!(one(&with(same.clone(), |tcp| change(tcp)), &live), text);
    };
    segment(&|tcp| tcp.window = Some(999), "window: expected 999, got 1000");
    segment(&|tcp| tcp.flags.ace = Some(5), "ACE: expected 5, got 0");
    segment(
        &|tcp| tcp.ports = Some(Ports { source: 8080, destination: 1 }),
        "destination port: expected 1, got 40000",
    );
    assert_eq!(compare(&with(same.clone(), |tcp| tcp.window = Some(1000)), &live.seen(&net), flow, None), []);
    let open = with(same, |tcp| tcp.options = None);
    let any = Live { options: vec![30, 4, 0, 0], ..live };
    assert_eq!(compare(&open, &any.seen(&net), flow, None), []);
    assert_eq!(
        compare(&udp(Outbound, 1), &any.seen(&net), flow, None)[0].to_string(),
        "protocol: expected UDP, got TCP"
    );
}

#[test]
fn the_ace_counter_is_one_field() {
    let (net, flows) = accepted(IpVersion::V4, 0);
    let flow = current(&flows);
    let seen = |flags| Live::new(flags, ISN + 1, 1, 0).seen(&net);
    let fields = |script: &str, flags| compare(&tcp(Outbound, script, 1, 0, 1), &seen(flags), flow, None);
    assert_eq!(fields(".5", 0x150), []);
    assert_eq!(fields(".5", 0x110)[0].to_string(), "ACE: expected 5, got 4");
    assert_eq!(fields(".EA", 0x150), []);
    assert_eq!(fields(".5", 0x158)[0].to_string(), "flags: expected ., got P.");
    assert_eq!(print(&seen(0x150), Some(flow)), "> .EA 1:1(0) ack 1 win 1000");
}

#[test]
fn reserved_bits_and_ip_options_are_seen() {
    let (net, flows) = accepted(IpVersion::V4, 0);
    let flow = current(&flows);
    let mut seen = Live::new(0x10, ISN + 1, 1, 0).seen(&net);
    let Carried::Tcp(tcp) = &mut seen.carried else { panic!() };
    tcp.flags |= 0x400;
    seen.ip.extra = 4;
    let fields: Vec<_> = compare(&testing::tcp(Outbound, ".", 1, 0, 1), &seen, flow, None);
    assert_eq!(fields.iter().map(|m| m.field).collect::<Vec<_>>(), ["IP header", "reserved bits"]);
    assert_eq!(print(&seen, Some(flow)), "> [4 octets of IP options] .[reserved 0x2] 1:1(0) ack 1 win 1000");

    // And read from octets: the bits stand there, and the sum is right again.
    let mut octets = Live::new(0x10, 1, 1, 0).octets(&net);
    octets[32] |= 0x04;
    let sum =
        u16::from_be_bytes([octets[36], octets[37]]).checked_sub(0x400).unwrap_or_else(|| panic!("carry"));
    octets[36..38].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(segment_of(&decode(&octets).unwrap()).flags, 0x410);
}

#[test]
fn options_are_compared_octet_by_octet() {
    let (net, flows) = accepted(IpVersion::V4, 50);
    let flow = current(&flows);
    for (option, mut octets, text) in all_options() {
        // Blocks of SACK are in the script's numbers.
        if let TcpOption::Sack(blocks) = &option {
            let live: Vec<_> = blocks.iter().map(|&(a, b)| (a.wrapping_add(50), b + 50)).collect();
            octets = octets_of(&TcpOption::Sack(live)).unwrap();
        }
        let mut script = vec![option];
        while octets.len() % 4 != 0 {
            octets.push(1);
            script.push(TcpOption::Nop);
        }
        let live = Live { options: octets.clone(), ..Live::new(0x10, ISN + 1, 51, 0) };
        let expected = with_options(tcp(Outbound, ".", 1, 0, 1), &script);
        assert_eq!(compare(&expected, &live.seen(&net), flow, None), [], "{text}");
        let nops = ",nop".repeat(script.len() - 1);
        let printed = format!("> . 1:1(0) ack 1 win 1000 <{text}{nops}>");
        assert_eq!(print(&live.seen(&net), Some(flow)), printed);
        // Another padding is another packet.
        *octets.last_mut().unwrap() ^= 1;
        let live = Live { options: octets, ..live };
        let differs = compare(&expected, &live.seen(&net), flow, None);
        let timestamps = matches!(script[0], TcpOption::Timestamps { .. });
        assert_eq!(differs.len(), 1, "{text} {timestamps}");
    }
    // Without one to measure from, timestamps are never off; TSecr is not compared.
    let script = [TcpOption::Timestamps { val: 9, ecr: 9 }, TcpOption::Nop, TcpOption::Nop];
    let expected = with_options(tcp(Outbound, ".", 1, 0, 1), &script);
    let live = Live { options: vec![8, 10, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1], ..Live::new(0x10, ISN + 1, 51, 0) };
    assert_eq!(compare(&expected, &live.seen(&net), flow, None), []);
    let order = Live { options: vec![1, 1, 8, 10, 1, 1, 1, 1, 2, 2, 2, 2], ..live };
    assert_eq!(compare(&expected, &order.seen(&net), flow, None).len(), 1);
}

#[test]
fn flow_labels_stand_for_themselves() {
    let (net, mut flows) = accepted(IpVersion::V6, 0);
    let mut step = |script: u32, live: u32| {
        let mut expected = tcp(Outbound, ".", 1, 0, 1);
        expected.ip.flow_label = Some(script);
        let mut seen = Live::new(0x10, ISN + 1, 1, 0).seen(&net);
        seen.ip.flow_label = live;
        let flow = flows.for_outbound(&expected, &seen).unwrap().unwrap();
        let differs = compare(&expected, &seen, flow, None);
        if differs.is_empty() {
            flow.learn(&expected, &seen);
        }
        differs.iter().map(|m| format!("{} {}", m.expected, m.actual)).collect::<String>()
    };
    assert_eq!(step(1, 0), "0x1 none");
    assert_eq!(step(1, 77), "");
    assert_eq!(step(1, 77), "");
    assert_eq!(step(1, 78), "0x4d as before 0x4e");
    assert_eq!(step(2, 77), "another than 0x4d 0x4d");
    assert_eq!(step(2, 99), "");
}

fn pieces(net: &Net, lens: &[usize]) -> Vec<Seen> {
    let mut seq = ISN.wrapping_add(1);
    let mut pieces = Vec::new();
    for (at, &len) in lens.iter().enumerate() {
        let last = at + 1 == lens.len();
        let flags = 0x10 | if last { 0x09 } else { 0 } | if at == 0 { 0x80 } else { 0 };
        pieces.push(Live::new(flags, seq, 1, len).seen(net));
        seq = seq.wrapping_add(len as u32);
    }
    pieces
}

#[test]
fn segments_are_joined_to_the_one_expected() {
    let (net, flows) = accepted(IpVersion::V4, 0);
    let expected = tcp(Outbound, "FP.W", 1, 3000, 1);
    let mut join = Join::new(&expected, false);
    let [a, b, c] = &pieces(&net, &[1460, 1460, 80])[..] else { panic!() };
    assert_eq!(join.push(a.clone()), Ok(Joined::More));
    assert_eq!(join.push(b.clone()), Ok(Joined::More));
    assert_eq!(join.so_far().map(Seen::data_len), Some(2920));
    let Ok(Joined::Whole(whole)) = join.push(c.clone()) else { panic!() };
    assert_eq!(compare(&expected, &whole, current(&flows), None), []);
    assert_eq!(print(&whole, Some(current(&flows))), "> FP.W 1:3001(3000) ack 1 win 1000");

    let mut strict = Join::new(&expected, true);
    let Ok(Joined::Whole(first)) = strict.push(a.clone()) else { panic!() };
    assert_eq!(&*first, a);
    // One that is longer than expected is whole as well, and compared as such.
    let Ok(Joined::Whole(long)) = Join::new(&tcp(Outbound, ".", 1, 9, 1), false).push(a.clone()) else {
        panic!()
    };
    assert_eq!(long.data_len(), 1460);
}

#[test]
fn what_does_not_continue_is_not_joined() {
    let (net, _) = accepted(IpVersion::V4, 0);
    let expected = tcp(Outbound, "P.", 1, 3000, 1);
    let refused = |change: &dyn Fn(&mut SeenTcp)| {
        let mut join = Join::new(&expected, false);
        let mut pieces = pieces(&net, &[1000, 1000, 1000]);
        assert_eq!(join.push(pieces.remove(0)), Ok(Joined::More));
        let mut next = pieces.remove(0);
        let Carried::Tcp(tcp) = &mut next.carried else { panic!() };
        change(tcp);
        let before = join.so_far().cloned();
        let fields = join.push(next).map_err(|all| all.iter().map(|m| m.field).collect::<Vec<_>>());
        assert!(fields.is_ok() || join.so_far().cloned() == before);
        fields.err().unwrap_or_default()
    };
    assert_eq!(refused(&|_| {}), [""; 0]);
    assert_eq!(refused(&|tcp| tcp.flags |= 0x89), [""; 0], "FIN, PSH and CWR may differ");
    assert_eq!(refused(&|tcp| tcp.flags |= 0x40), ["flags of a segment to join"]);
    assert_eq!(refused(&|tcp| tcp.seq += 1), ["sequence number of a segment to join (absolute)"]);
    assert_eq!(refused(&|tcp| tcp.ack += 1), ["acknowledgment number of a segment to join (absolute)"]);
    assert_eq!(refused(&|tcp| tcp.window += 1), ["window of a segment to join"]);
    assert_eq!(refused(&|tcp| tcp.options = vec![1; 4]), ["options of a segment to join"]);
    assert_eq!(refused(&|tcp| tcp.len = 999), ["length of a segment to join"]);
    assert_eq!(refused(&|tcp| tcp.src_port = 1), ["ports of a segment to join"]);

    let mut join = Join::new(&expected, false);
    join.push(pieces(&net, &[1000, 1]).remove(0)).unwrap();
    let mut other = pieces(&net, &[1]).remove(0);
    other.carried = Carried::Other { protocol: 9, len: 1 };
    assert_eq!(join.push(other).unwrap_err()[0].field, "packet to join");
}

#[test]
fn what_the_device_would_cut_is_cut() {
    let net = Net::default();
    let whole =
        Live { data: [vec![0; 2500], vec![1; 500]].concat(), ..Live::new(0x99, u32::MAX - 999, 1, 0) };
    let mut octets = whole.octets(&net);
    octets[36] ^= 0x55;
    assert!(decode(&octets).unwrap_err().contains("checksum"));
    let seen = decode_offloaded(&octets, 1460).unwrap();
    let cut = split(seen.clone());
    let parts: Vec<_> =
        cut.iter().map(segment_of).map(|tcp| (tcp.seq, tcp.flags, tcp.len, tcp.nonzero)).collect();
    assert_eq!(
        parts,
        [(u32::MAX - 999, 0x90, 1460, None), (460, 0x10, 1460, Some(1040)), (1920, 0x19, 80, Some(0))]
    );
    assert!(cut.iter().all(|piece| piece.gso_size == 0));
    assert_eq!(split(Seen { gso_size: 0, ..seen.clone() }).len(), 1);
    assert_eq!(split(Seen { gso_size: 3000, ..seen.clone() }), [Seen { gso_size: 0, ..seen }]);
}

#[test]
fn fragments_and_strange_packets_are_shown() {
    let net = Net::default();
    let mut octets = Live::new(0x10, 1, 1, 12).octets(&net);
    // MF, and the header's sum again.
    (octets[6], octets[7]) = (0x20, 0x01);
    let refit = |octets: &mut [u8]| {
        (octets[10], octets[11]) = (0, 0);
        let sum = tunstack_core::wire::checksum::Sum::new().add(&octets[..20]).finish();
        octets[10..12].copy_from_slice(&sum.to_be_bytes());
    };
    refit(&mut octets);
    let seen = decode(&octets).unwrap();
    let ends = "192.168.0.1 > 192.0.2.1";
    assert_eq!(print(&seen, None), format!("{ends}: [fragment at 8 with 32 octets of protocol 6]"));
    (octets[6], octets[7], octets[9]) = (0, 0, 99);
    refit(&mut octets);
    assert_eq!(print(&decode(&octets).unwrap(), None), format!("{ends}: [32 octets of protocol 99]"));
    assert!(decode(&[]).is_err());
    assert!(decode(&octets[..19]).is_err());
    let nothing = SeenOption::Malformed(vec![5, 1]);
    let unknown = SeenOption::Unknown { kind: 30, data: vec![0xab] };
    assert_eq!(print::options(&[unknown, nothing]), "<[kind 30 ab],[malformed 0501]>");
}

#[test]
fn a_length_that_no_header_has_room_for_is_malformed() {
    let mut octets = vec![0; 56];
    octets[..2].copy_from_slice(&[34, 41]);
    assert_eq!(read(&octets), [SeenOption::Malformed(octets)]);
}

proptest::proptest! {
    #[test]
    fn any_octets_are_taken_apart_or_refused(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..120)) {
        _ = decode(&octets);
        _ = decode_offloaded(&octets, 7).map(|seen| (print(&seen, None), split(seen)));
        let again: Vec<u8> = read(&octets).iter().flat_map(print::octets).collect();
        proptest::prop_assert_eq!(again, octets);
    }
}
