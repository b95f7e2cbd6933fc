//! An inbound packet of a script, as whole and valid octets.

use std::net::IpAddr;

use tunstack_core::addr::Address;
use tunstack_core::wire::checksum::{Sum, pseudo_header};
use tunstack_core::wire::ip::{Header, protocol};
use tunstack_core::wire::{tcp, udp};

use super::{encapsulation, icmp};
use crate::packetdrill::flow::{ACK, Flow, SYN};
use crate::packetdrill::net::{Net, WireVersion};
use crate::packetdrill::options;
use crate::packetdrill::script::{
    Direction, Flags, Icmp, IpLabels, Packet, Payload, Ports, Quoted, Tcp, TcpOption, Tos, Udp,
};

/// TTL of a packet that says none, as in the original.
const TTL: u8 = 255;
/// Octets behind the IP header that an error quotes (RFC 792).
const QUOTED_LEN: usize = 8;
/// Octets of a header of ICMP.
const ICMP_HEADER_LEN: usize = 8;

/// Builds an inbound packet: `flow` gives its ends and what its numbers are on the wire. Its data is zeros.
/// It may be larger than the MTU.
///
/// # Errors
///
/// One line that says what of the packet has no form on the wire.
pub fn build(packet: &Packet, flow: &Flow, net: &Net) -> Result<Vec<u8>, String> {
    check(packet, net)?;
    let (remote, local) = (flow.remote, flow.local);
    let ends = (Address::from(remote.ip()), Address::from(local.ip()));
    let (number, payload) = match &packet.payload {
        Payload::Tcp(tcp) => {
            let ports = tcp.ports.unwrap_or(Ports { source: remote.port(), destination: local.port() });
            (protocol::TCP, segment(tcp, ports, ends, flow)?)
        }
        Payload::Udp(udp) => {
            let ports = udp.ports.unwrap_or(Ports { source: remote.port(), destination: local.port() });
            (protocol::UDP, datagram(*udp, ports, ends)?)
        }
        Payload::Icmp(icmp) => {
            let number = match net.wire_version {
                WireVersion::V4 => protocol::ICMP,
                WireVersion::V6 => protocol::ICMPV6,
            };
            (number, message(icmp, ends, flow, net)?)
        }
    };
    let mut octets = with_header(ends, &packet.ip, number, &payload)?;
    for (src, dst, labels) in packet.outer.iter().rev() {
        let number = if octets.first().is_some_and(|first| first >> 4 == 6) {
            encapsulation::IPV6
        } else {
            encapsulation::IPV4
        };
        octets = with_header((Address::from(*src), Address::from(*dst)), labels, number, &octets)?;
    }
    Ok(octets)
}

/// Whether a packet of either direction can be at all in this network: whatever can be told before the script
/// is run.
///
/// # Errors
///
/// One line that says what cannot be.
pub fn check(packet: &Packet, net: &Net) -> Result<(), String> {
    let inbound = packet.direction == Direction::Inbound;
    let all = packet.outer.iter().map(|(_, _, labels)| labels).chain([&packet.ip]);
    for labels in all {
        if inbound && labels.tos == Tos::Ect01 {
            return Err("[ect01] is for outbound packets: an inbound one has one of the two".into());
        }
        if matches!(labels.tos, Tos::Ecn(4..)) || labels.flow_label.is_some_and(|label| label > 0xf_ffff) {
            return Err("ECN has two bits and a flow label has 20".into());
        }
    }
    if packet.ip.flow_label.is_some() && net.wire_version == WireVersion::V4 {
        return Err("IPv4 has no flow label".into());
    }
    if let Some((src, dst, _)) = packet.outer.iter().find(|(src, dst, _)| src.is_ipv4() != dst.is_ipv4()) {
        return Err(format!("{src} and {dst} are of different families"));
    }
    match &packet.payload {
        Payload::Tcp(tcp) => {
            if inbound && tcp.options.is_none() {
                return Err("<...> is for outbound packets: an inbound one has the options it names".into());
            }
            let len = options_len(tcp)?;
            if len % 4 != 0 {
                let more = 4 - len % 4;
                return Err(format!(
                    "TCP options take {len} octets, no multiple of 4: {more} nop are missing"
                ));
            }
            if len > options::MAX_LEN {
                return Err(format!("TCP options take {len} octets, more than the 40 of a header"));
            }
            let ip = ip_header_len(net.wire_version);
            if ip + tcp::HEADER_LEN + len + usize::from(tcp.len) > usize::from(u16::MAX) {
                return Err(format!("{} octets of data are too many for a packet", tcp.len));
            }
            Ok(())
        }
        Payload::Udp(_) => Ok(()),
        Payload::Icmp(icmp) => {
            icmp::head(icmp, net.wire_version)?;
            match icmp.quoted {
                Quoted::Raw { len } if usize::from(len) < ICMP_HEADER_LEN => {
                    Err(format!("raw ({len}): a message of ICMP has at least {ICMP_HEADER_LEN} octets"))
                }
                _ => Ok(()),
            }
        }
    }
}

fn ip_header_len(version: WireVersion) -> usize {
    match version {
        WireVersion::V4 => 20,
        WireVersion::V6 => 40,
    }
}

fn options_len(tcp: &Tcp) -> Result<usize, String> {
    tcp.options.iter().flatten().map(|option| options::octets_of(option).map(|octets| octets.len())).sum()
}

fn with_header(
    (src, dst): (Address, Address),
    labels: &IpLabels,
    number: u8,
    payload: &[u8],
) -> Result<Vec<u8>, String> {
    let header = Header {
        src,
        dst,
        protocol: number,
        hop_limit: labels.ttl.unwrap_or(TTL),
        traffic_class: match labels.tos {
            Tos::Unsaid | Tos::Ect01 => 0,
            Tos::Ecn(ecn) => ecn & 3,
            Tos::Octet(octet) => octet,
        },
        flow_label: labels.flow_label.unwrap_or(0),
        dont_fragment: false,
        fragment: None,
    };
    let mut octets = Vec::new();
    header.emit(payload.len(), 0, &mut octets).map_err(|error| {
        format!("no IP packet from {src} to {dst} with {} octets: {error}", payload.len())
    })?;
    octets.extend_from_slice(payload);
    Ok(octets)
}

/// Offset and flags as they stand in a header with so many octets of options.
pub(super) fn flag_bits(flags: Flags) -> u16 {
    // RFC 9768 §3.1: ACE is AE, CWR and ECE, in this order of weight.
    let ace = flags.ace.map_or(0, |ace| u16::from(ace & 7) << 6);
    flags.bits & 0x1ff | ace
}

fn segment(tcp: &Tcp, ports: Ports, (src, dst): (Address, Address), flow: &Flow) -> Result<Vec<u8>, String> {
    let flags = flag_bits(tcp.flags);
    let (syn, ack) = (flags & SYN != 0, flags & ACK != 0);
    let mut options = Vec::new();
    for option in tcp.options.iter().flatten() {
        let live = match option {
            TcpOption::Sack(blocks) => {
                let live = |edge: u32| flow.live_local_seq(edge, syn);
                TcpOption::Sack(blocks.iter().map(|&(left, right)| (live(left), live(right))).collect())
            }
            // RFC 7323 §3.2: TSecr says something only with ACK.
            &TcpOption::Timestamps { val, ecr } if ack => {
                TcpOption::Timestamps { val, ecr: flow.live_ts_ecr(ecr)? }
            }
            other => other.clone(),
        };
        options.extend(options::octets_of(&live)?);
    }
    let offset = (tcp::HEADER_LEN + options.len()) / 4;
    let acknowledged = if ack { flow.live_local_seq(tcp.ack, syn) } else { tcp.ack };
    let mut octets = Vec::with_capacity(offset * 4 + usize::from(tcp.len));
    octets.extend(ports.source.to_be_bytes());
    octets.extend(ports.destination.to_be_bytes());
    octets.extend(flow.live_remote_seq(tcp.seq, syn).to_be_bytes());
    octets.extend(acknowledged.to_be_bytes());
    octets.extend(((offset as u16) << 12 | flags).to_be_bytes());
    octets.extend(tcp.window.unwrap_or(0).to_be_bytes());
    octets.extend([0, 0]);
    octets.extend(tcp.urgent.to_be_bytes());
    octets.extend(options);
    octets.resize(octets.len() + usize::from(tcp.len), 0);
    let sum = pseudo_header(src, dst, protocol::TCP, octets.len() as u32).add(&octets).finish();
    store(&mut octets, 16, sum);
    Ok(octets)
}

fn datagram(udp: Udp, ports: Ports, (src, dst): (Address, Address)) -> Result<Vec<u8>, String> {
    let header = udp::Header { src_port: ports.source, dst_port: ports.destination };
    let mut octets = Vec::new();
    udp::emit(src, dst, header, &vec![0; usize::from(udp.len)], &mut octets);
    if octets.is_empty() {
        return Err(format!("{} octets of data are too many for a datagram", udp.len));
    }
    Ok(octets)
}

fn message(icmp: &Icmp, (src, dst): (Address, Address), flow: &Flow, net: &Net) -> Result<Vec<u8>, String> {
    let version = net.wire_version;
    let icmp::Head { kind, code, word } = icmp::head(icmp, version)?;
    let mut octets = vec![kind, code, 0, 0];
    octets.extend(word.to_be_bytes());
    match icmp.quoted {
        Quoted::Raw { len } => octets.resize(usize::from(len), 0),
        Quoted::Unsaid if icmp::is_echo(kind, version) => {}
        Quoted::Unsaid => {
            // What was too big was as big as may be.
            let len = icmp.mtu.map_or(0, |_| net.mtu.saturating_sub(headers(version)));
            octets.extend(quoted(protocol::TCP, 0, len, flow)?);
        }
        Quoted::Tcp { seq, len } => octets.extend(quoted(protocol::TCP, seq, len, flow)?),
        Quoted::Udp { len } => octets.extend(quoted(protocol::UDP, 0, len, flow)?),
    }
    // RFC 4443 §2.3: ICMPv6 sums a pseudo-header, ICMP does not (RFC 792).
    let base = match version {
        WireVersion::V4 => Sum::new(),
        WireVersion::V6 => pseudo_header(src, dst, protocol::ICMPV6, octets.len() as u32),
    };
    let sum = base.add(&octets).finish();
    store(&mut octets, 2, sum);
    Ok(octets)
}

/// Octets of the headers of IP and TCP without options.
const fn headers(version: WireVersion) -> u16 {
    match version {
        WireVersion::V4 => 40,
        WireVersion::V6 => 60,
    }
}

/// The start of a packet as the stack has sent it: its IP header, whose length is that of the whole, and the
/// ports and the sequence number.
fn quoted(number: u8, seq: u32, len: u16, flow: &Flow) -> Result<Vec<u8>, String> {
    let (src, dst): (IpAddr, IpAddr) = (flow.local.ip(), flow.remote.ip());
    let header = Header {
        src: src.into(),
        dst: dst.into(),
        protocol: number,
        hop_limit: TTL,
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: true,
        fragment: None,
    };
    let transport = if number == protocol::TCP { tcp::HEADER_LEN } else { udp::HEADER_LEN };
    let mut octets = Vec::new();
    header
        .emit(transport + usize::from(len), 0, &mut octets)
        .map_err(|error| format!("no packet with {len} octets of data to quote: {error}"))?;
    let start = octets.len();
    octets.extend(flow.local.port().to_be_bytes());
    octets.extend(flow.remote.port().to_be_bytes());
    if number == protocol::TCP {
        octets.extend(flow.live_local_seq(seq, false).to_be_bytes());
    } else {
        let len = (transport as u16).saturating_add(len);
        octets.extend(len.to_be_bytes());
        octets.extend([0, 0]);
    }
    octets.truncate(start + QUOTED_LEN);
    Ok(octets)
}

fn store(octets: &mut [u8], at: usize, sum: u16) {
    if let Some(place) = octets.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = sum.to_be_bytes();
    }
}
