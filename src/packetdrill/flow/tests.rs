use std::net::IpAddr;

use super::*;
use crate::packetdrill::net::IpVersion;
use crate::packetdrill::packet::compare;
use crate::packetdrill::packet::testing::{
    ISN, Live, REMOTE_PORT, accepted, current, icmp, tcp, udp, with, with_options,
};
use crate::packetdrill::script::{Direction::*, Quoted};

const VERSIONS: [IpVersion; 3] = [IpVersion::V4, IpVersion::V4Mapped, IpVersion::V6];

#[test]
fn a_passive_connection_in_every_version() {
    for version in VERSIONS {
        let (net, mut flows) = accepted(version, 7);
        let flow = current(&flows);
        assert_eq!((flow.local.ip(), flow.remote.ip()), (net.local, net.remote));
        assert_eq!((flow.local.port(), flow.remote.port()), (8080, REMOTE_PORT));
        assert_eq!((flow.state, flow.remote_isn, flow.live_local_isn), (FlowState::SynAckSent, 7, ISN));

        flows.for_inbound(&tcp(Inbound, ".", 1, 0, 1)).unwrap();
        assert_eq!(current(&flows).state, FlowState::SynAckAcked);
        // The descriptor's peer is of the socket's family, packets are not.
        let peer = match version {
            IpVersion::V4Mapped => "[::ffff:192.0.2.1]:40000".parse().unwrap(),
            _ => SocketAddr::new(net.remote, REMOTE_PORT),
        };
        assert!(flows.accepted(4, SocketAddr::new(peer.ip(), 9)).is_err());
        assert_eq!(flows.accepted(4, peer), Ok(()));
        assert_eq!(flows.by_fd(4).map(|flow| flow.remote), Some(current(&flows).remote));
        assert!(flows.accepted(5, peer).is_err(), "it is accepted already");
    }
}

#[test]
fn numbers_are_absolute_with_syn_and_relative_without() {
    let (_, flows) = accepted(IpVersion::V4, u32::MAX);
    let flow = current(&flows);
    assert_eq!(flow.live_remote_seq(u32::MAX, true), u32::MAX);
    assert_eq!(flow.live_remote_seq(1, false), 0);
    assert_eq!(flow.live_local_seq(1, true), ISN + 1);
    assert_eq!(flow.live_local_seq(2000, false), 999);
    assert_eq!(flow.script_local_seq(999, false), 2000);
    assert_eq!(flow.script_local_seq(ISN, true), 0);
    assert_eq!(flow.script_remote_seq(0, true), 0);
    assert_eq!(flow.script_remote_seq(0, false), 1);
}

#[test]
fn the_scripts_own_number_of_the_stacks_syn_counts_in_segments_with_syn_only() {
    let net = Net::default();
    let mut flows = Flows::new(&net);
    flows.socket(3, Protocol::Tcp);
    flows.connecting(3, None).unwrap();
    let syn = tcp(Outbound, "S", 500, 0, 0);
    let seen = Live { ports: (50_123, 8080), ..Live::new(2, ISN, 0, 0) }.seen(&net);
    let flow = flows.for_outbound(&syn, &seen).unwrap().unwrap();
    assert_eq!((flow.local.port(), flow.state), (50_123, FlowState::SynSent));
    assert_eq!(compare(&syn, &seen, flow, None), []);
    assert_eq!(flow.live_local_seq(501, true), ISN + 1);
    assert_eq!(flow.live_local_seq(1, false), ISN + 1);

    flows.for_inbound(&tcp(Inbound, "S.", 9000, 0, 501)).unwrap();
    let flow = current(&flows);
    assert_eq!((flow.state, flow.remote_isn), (FlowState::SynAcked, 9000));
    assert_eq!(flows.by_fd(3).map(|flow| flow.state), Some(FlowState::SynAcked));
    // A second call finds it connected.
    flows.connecting(3, Some("9.9.9.9:9".parse().unwrap())).unwrap();
    assert_eq!(current(&flows).remote, net.connect_address());
    flows.disconnected(3);
    flows.connecting(3, Some("[::ffff:9.9.9.9]:9".parse().unwrap())).unwrap();
    assert_eq!(current(&flows).remote, "9.9.9.9:9".parse().unwrap());
}

#[test]
fn a_simultaneous_open_leaves_the_remote_number_to_the_syn_ack() {
    let net = Net::default();
    let mut flows = Flows::new(&net);
    flows.socket(3, Protocol::Tcp);
    flows.connecting(3, None).unwrap();
    let seen = Live { ports: (50_000, 8080), ..Live::new(2, ISN, 0, 0) }.seen(&net);
    flows.for_outbound(&tcp(Outbound, "S", 0, 0, 0), &seen).unwrap().unwrap();
    let flow = flows.for_inbound(&tcp(Inbound, "S", 77, 0, 0)).unwrap();
    assert_eq!((flow.state, flow.remote_isn), (FlowState::SynSent, 0));
    let flow = flows.for_inbound(&tcp(Inbound, "S.", 77, 0, 1)).unwrap();
    assert_eq!((flow.state, flow.remote_isn), (FlowState::SynAcked, 77));
}

#[test]
fn the_number_of_a_bound_sockets_syn_is_learnt_too() {
    let net = Net::default();
    let mut flows = Flows::new(&net);
    flows.socket(3, Protocol::Tcp);
    flows.bound(3, net.bind_address());
    flows.connecting(3, None).unwrap();
    let seen = Live { ports: (8080, 8080), ..Live::new(2, ISN, 0, 0) }.seen(&net);
    flows.for_outbound(&tcp(Outbound, "S", 0, 0, 0), &seen).unwrap().unwrap();
    assert_eq!(current(&flows).live_local_seq(1, true), ISN + 1);
}

#[test]
fn packets_of_others_are_passed_over() {
    let (net, mut flows) = accepted(IpVersion::V4, 0);
    let expected = tcp(Outbound, ".", 1, 0, 1);
    let mut taken = |live: Live| flows.for_outbound(&expected, &live.seen(&net)).unwrap().is_some();
    let live = Live::new(0x10, ISN + 1, 1, 0);
    assert!(taken(live.clone()));
    assert!(!taken(Live { ports: (8080, 40_001), ..live.clone() }));
    assert!(!taken(Live { ports: (8081, REMOTE_PORT), ..live.clone() }));
    assert!(!taken(Live { ports: (REMOTE_PORT, 8080), ..live }));
}

#[test]
fn ports_choose_a_connection_and_make_one() {
    let (net, mut flows) = accepted(IpVersion::V4, 0);
    let ports = |source, destination| Some(Ports { source, destination });
    let syn = with(tcp(Inbound, "S", 42, 0, 0), |tcp| tcp.ports = ports(1111, 8080));
    let flow = flows.for_inbound(&syn).unwrap();
    assert_eq!((flow.remote.port(), flow.remote_isn), (1111, 42));
    // The first one is found by its ports though the other is current.
    let first = with(tcp(Inbound, ".", 1, 0, 1), |tcp| tcp.ports = ports(REMOTE_PORT, 8080));
    assert_eq!(flows.for_inbound(&first).unwrap().live_local_isn, ISN);
    // And what has strayed has the numbers of the current one.
    let stray = with(tcp(Inbound, ".", 1, 0, 1), |tcp| tcp.ports = ports(2222, 8080));
    let flow = flows.for_inbound(&stray).unwrap();
    assert_eq!((flow.remote.port(), flow.remote_isn), (2222, 42));
    let reset = with(tcp(Outbound, "R", 1, 0, 0), |tcp| tcp.ports = ports(8080, 2222));
    let seen = Live { ports: (8080, 2222), ..Live::new(4, 1, 0, 0) }.seen(&net);
    assert!(flows.for_outbound(&reset, &seen).unwrap().is_some());
    assert_eq!(current(&flows).remote.port(), 1111);
}

#[test]
fn each_listening_socket_gets_another_remote_port() {
    let (_, mut flows) = accepted(IpVersion::V4, 0);
    flows.closed(3);
    flows.socket(3, Protocol::Tcp);
    flows.listening(3).unwrap();
    let flow = flows.for_inbound(&tcp(Inbound, "S", 5, 0, 0)).unwrap();
    assert_eq!((flow.remote.port(), flow.local.port()), (REMOTE_PORT + 1, 8080));
    // While a connection is current, a SYN belongs to it.
    let flow = flows.for_inbound(&tcp(Inbound, "S", 6, 0, 0)).unwrap();
    assert_eq!((flow.remote.port(), flow.remote_isn), (REMOTE_PORT + 1, 5));
    assert!(flows.listening(9).is_err());
    assert!(flows.connecting(9, None).is_err());
}

#[test]
fn a_segment_before_any_socket_makes_a_connection() {
    let net = Net::default();
    let mut flows = Flows::new(&net);
    let flow = flows.for_inbound(&tcp(Inbound, "S", 0, 0, 0)).unwrap();
    assert_eq!((flow.local.port(), flow.remote.port()), (8080, REMOTE_PORT));
    let reset = tcp(Outbound, "R.", 0, 0, 1);
    let seen = Live::new(0x14, 0, 1, 0).seen(&net);
    let flow = flows.for_outbound(&reset, &seen).unwrap().unwrap();
    assert_eq!(compare(&reset, &seen, flow, None), []);
    assert!(Flows::new(&net).for_outbound(&reset, &seen).is_err());
}

#[test]
fn timestamps_are_learnt_and_echoed() {
    let (net, mut flows) = accepted(IpVersion::V4, 0);
    let ts = |val, ecr| [TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { val, ecr }];
    let mut sent = |script: u32, live: u32, ecr: u32| {
        let expected = with_options(tcp(Outbound, ".", 1, 0, 1), &ts(script, ecr));
        let mut octets = vec![1, 1, 8, 10];
        octets.extend(live.to_be_bytes());
        octets.extend([0; 4]);
        let seen = Live { options: octets, ..Live::new(0x10, ISN + 1, 1, 0) }.seen(&net);
        let flow = flows.for_outbound(&expected, &seen).unwrap().unwrap();
        let exact = compare(&expected, &seen, flow, Some(1));
        assert_eq!(compare(&expected, &seen, flow, None), []);
        flow.learn(&expected, &seen);
        exact
    };
    assert_eq!(sent(100, u32::MAX - 9, 700), []);
    assert_eq!(sent(121, 10, 700), [], "20 later on the wire, which is one off");
    let off = sent(123, 10, 700);
    assert_eq!((off.len(), off[0].field, &*off[0].actual), (1, "TS val", "120"));
    let flow = current(&flows);
    assert_eq!(flow.live_ts_ecr(100), Ok(u32::MAX - 9));
    assert_eq!(flow.live_ts_ecr(123), Ok(10));
    assert!(flow.live_ts_ecr(105).unwrap_err().contains("TS ecr 105"));

    let mut scaled = flow.clone();
    scaled.ts_ecr_scaled = true;
    assert_eq!(scaled.live_ts_ecr(105), Ok(u32::MAX - 4));
    assert_eq!(scaled.live_ts_ecr(110), Ok(0));
}

#[test]
fn udp_of_a_client_and_of_a_server() {
    let net = Net::new(IpVersion::V6);
    let mut flows = Flows::new(&net);
    flows.socket(3, Protocol::Udp);
    flows.connecting(3, None).unwrap();
    let sent = |src: u16, dst: u16| {
        let (IpAddr::V6(a), IpAddr::V6(b)) = (net.local, net.remote) else { unreachable!() };
        let mut octets = Vec::new();
        let builder = etherparse::PacketBuilder::ipv6(a.octets(), b.octets(), 64).udp(src, dst);
        builder.write(&mut octets, &[0; 5]).unwrap();
        crate::packetdrill::packet::decode(&octets).unwrap()
    };
    assert!(flows.for_outbound(&udp(Outbound, 5), &sent(1234, 9)).unwrap().is_none());
    let flow = flows.for_outbound(&udp(Outbound, 5), &sent(1234, 8080)).unwrap().unwrap();
    assert_eq!(flow.local.port(), 1234);
    assert_eq!(compare(&udp(Outbound, 5), &sent(1234, 8080), flow, None), []);
    let wrong = compare(&udp(Outbound, 6), &sent(1234, 8080), flow, None);
    assert_eq!(wrong[0].to_string(), "length of the data: expected 6, got 5");

    let mut flows = Flows::new(&net);
    flows.socket(3, Protocol::Udp);
    flows.bound(3, "[::]:53".parse().unwrap());
    let flow = flows.for_inbound(&udp(Inbound, 5)).unwrap();
    assert_eq!((flow.local, flow.remote.port()), (SocketAddr::new(net.local, 53), 8080));
    assert!(flows.for_outbound(&udp(Outbound, 5), &sent(53, 8080)).unwrap().is_some());
}

#[test]
fn icmp_belongs_to_the_current_connection_whatever_it_speaks() {
    let (_, mut flows) = accepted(IpVersion::V4, 0);
    let error = icmp("unreachable", Some("host_unreachable"), None, Quoted::Unsaid);
    assert_eq!(flows.for_inbound(&error).unwrap().protocol, Protocol::Tcp);
    let mut flows = Flows::new(&Net::default());
    assert_eq!(flows.for_inbound(&error).unwrap().protocol, Protocol::Icmp);
}
