//! What the tests of packets and connections share: packets of scripts in few words, and the stack's packets
//! made by another hand.

use std::net::IpAddr;

use etherparse::PacketBuilder;

use super::{Seen, decode};
use crate::packetdrill::flow::{Flow, Flows, Protocol};
use crate::packetdrill::net::{IpVersion, Net};
use crate::packetdrill::script::{
    Direction, Flags, Icmp, IpLabels, Packet, Payload, Quoted, Tcp, TcpOption, Udp,
};

/// The port that the first remote end gets.
pub(in crate::packetdrill) const REMOTE_PORT: u16 = 40_000;
/// The stack's initial sequence number; numbers behind it wrap soon.
pub(in crate::packetdrill) const ISN: u32 = u32::MAX - 1000;

/// A segment of a script.
pub(in crate::packetdrill) fn tcp(direction: Direction, flags: &str, seq: u32, len: u16, ack: u32) -> Packet {
    packet(direction, Payload::Tcp(segment(flags, seq, len, ack)))
}

pub(in crate::packetdrill) fn segment(flags: &str, seq: u32, len: u16, ack: u32) -> Tcp {
    let bit = |letter: char| "FSRP.UEWA".find(letter).map_or(0, |at| 1 << at);
    let bits = flags.chars().map(bit).fold(0, |bits, bit| bits | bit);
    let ace = flags.chars().find_map(|letter| letter.to_digit(8)).map(|ace| ace as u8);
    Tcp {
        ports: None,
        flags: Flags { bits, ace },
        seq,
        len,
        ack,
        window: None,
        urgent: 0,
        options: Some(Vec::new()),
    }
}

pub(in crate::packetdrill) fn packet(direction: Direction, payload: Payload) -> Packet {
    Packet { direction, outer: Vec::new(), ip: IpLabels::default(), payload }
}

pub(in crate::packetdrill) fn udp(direction: Direction, len: u16) -> Packet {
    packet(direction, Payload::Udp(Udp { ports: None, len }))
}

pub(in crate::packetdrill) fn icmp(
    kind: &str,
    code: Option<&str>,
    mtu: Option<u32>,
    quoted: Quoted,
) -> Packet {
    let icmp = Icmp { kind: kind.into(), code: code.map(str::to_owned), mtu, id: None, quoted };
    packet(Direction::Inbound, Payload::Icmp(icmp))
}

/// With a change to its segment.
pub(in crate::packetdrill) fn with(mut packet: Packet, change: impl FnOnce(&mut Tcp)) -> Packet {
    if let Payload::Tcp(tcp) = &mut packet.payload {
        change(tcp);
    }
    packet
}

pub(in crate::packetdrill) fn with_options(packet: Packet, options: &[TcpOption]) -> Packet {
    with(packet, |tcp| tcp.options = Some(options.to_vec()))
}

/// A segment as it stands in a packet.
#[derive(Clone, Debug)]
pub(in crate::packetdrill) struct Live {
    pub(in crate::packetdrill) flags: u16,
    pub(in crate::packetdrill) seq: u32,
    pub(in crate::packetdrill) ack: u32,
    pub(in crate::packetdrill) options: Vec<u8>,
    pub(in crate::packetdrill) data: Vec<u8>,
    pub(in crate::packetdrill) ttl: u8,
    pub(in crate::packetdrill) ports: (u16, u16),
    pub(in crate::packetdrill) urgent: u16,
}

impl Live {
    pub(in crate::packetdrill) fn new(flags: u16, seq: u32, ack: u32, len: usize) -> Self {
        let (options, data) = (Vec::new(), vec![0; len]);
        Self { flags, seq, ack, options, data, ttl: 64, ports: (8080, REMOTE_PORT), urgent: 0 }
    }

    /// From the stack of this network to the other end, by etherparse.
    pub(in crate::packetdrill) fn octets(&self, net: &Net) -> Vec<u8> {
        let ip = match (net.local, net.remote) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => PacketBuilder::ipv4(src.octets(), dst.octets(), self.ttl),
            (IpAddr::V6(src), IpAddr::V6(dst)) => PacketBuilder::ipv6(src.octets(), dst.octets(), self.ttl),
            _ => unreachable!("a network has one version"),
        };
        let mut header = etherparse::TcpHeader::new(self.ports.0, self.ports.1, self.seq, 1000);
        header.acknowledgment_number = self.ack;
        header.urgent_pointer = self.urgent;
        header.fin = self.flags & 1 != 0;
        header.syn = self.flags & 2 != 0;
        header.rst = self.flags & 4 != 0;
        header.psh = self.flags & 8 != 0;
        header.ack = self.flags & 16 != 0;
        header.urg = self.flags & 32 != 0;
        header.ece = self.flags & 64 != 0;
        header.cwr = self.flags & 128 != 0;
        header.ns = self.flags & 256 != 0;
        header.set_options_raw(&self.options).unwrap();
        let builder = ip.tcp_header(header);
        let mut octets = Vec::new();
        builder.write(&mut octets, &self.data).unwrap();
        octets
    }

    pub(in crate::packetdrill) fn seen(&self, net: &Net) -> Seen {
        decode(&self.octets(net)).unwrap()
    }
}

/// A connection that a script's SYN with number `isn` has made and the stack has answered.
pub(in crate::packetdrill) fn accepted(version: IpVersion, isn: u32) -> (Net, Flows) {
    let net = Net::new(version);
    let mut flows = Flows::new(&net);
    flows.socket(3, Protocol::Tcp);
    flows.bound(3, net.bind_address());
    flows.listening(3).unwrap();
    flows.for_inbound(&tcp(Direction::Inbound, "S", isn, 0, 0)).unwrap();
    let synack = tcp(Direction::Outbound, "S.", 0, 0, isn.wrapping_add(1));
    let seen = Live::new(0x12, ISN, isn.wrapping_add(1), 0).seen(&net);
    assert!(flows.for_outbound(&synack, &seen).unwrap().is_some());
    (net, flows)
}

pub(in crate::packetdrill) fn current(flows: &Flows) -> &Flow {
    flows.current().unwrap()
}
