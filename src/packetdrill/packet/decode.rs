//! Octets of a whole packet, taken apart for [`compare`](super::compare).

use tunstack_core::wire::checksum::Trust;
use tunstack_core::wire::ip::{self, Parsed, protocol};
use tunstack_core::wire::{icmp, tcp, udp};

use super::{Carried, Seen, SeenIcmp, SeenIp, SeenTcp, SeenUdp, encapsulation};

/// IP headers that may enclose a packet.
const MAX_OUTER: usize = 8;

/// Takes a packet apart, from the first octet of its outermost IP header. Every checksum is verified.
///
/// # Errors
///
/// One line that says what is wrong with it.
pub fn decode(packet: &[u8]) -> Result<Seen, String> {
    taken_apart(packet, Trust::Verify, 0)
}

/// The same for a packet whose transport checksum, and its cutting into segments with `gso_size` octets of
/// data, were left to the device. `gso_size` 0: it is one packet.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_offloaded(packet: &[u8], gso_size: u16) -> Result<Seen, String> {
    taken_apart(packet, Trust::Trusted, gso_size)
}

fn taken_apart(packet: &[u8], trust: Trust, gso_size: u16) -> Result<Seen, String> {
    let mut outer = Vec::new();
    let mut parsed = parse(packet)?;
    while matches!(parsed.header.protocol, encapsulation::IPV4 | encapsulation::IPV6)
        && parsed.header.fragment.is_none()
    {
        if outer.len() == MAX_OUTER {
            return Err(format!("more than {MAX_OUTER} IP headers around a packet"));
        }
        outer.push(labels(&parsed));
        parsed = parse(parsed.payload)?;
    }
    Ok(Seen { outer, ip: labels(&parsed), carried: carried(&parsed, trust)?, gso_size })
}

fn parse(packet: &[u8]) -> Result<Parsed<'_>, String> {
    ip::parse(packet).map_err(|error| format!("IP: {error}"))
}

fn labels(parsed: &Parsed<'_>) -> SeenIp {
    let header = &parsed.header;
    let fixed = if header.src.is_v4() { ip::V4_HEADER_LEN } else { ip::V6_HEADER_LEN };
    SeenIp {
        src: header.src.ip(),
        dst: header.dst.ip(),
        tos: header.traffic_class,
        ttl: header.hop_limit,
        flow_label: header.flow_label,
        extra: parsed.header_len.saturating_sub(fixed),
        dont_fragment: header.dont_fragment,
        fragment: header.fragment,
    }
}

fn carried(parsed: &Parsed<'_>, trust: Trust) -> Result<Carried, String> {
    let (header, payload) = (&parsed.header, parsed.payload);
    let v4 = header.src.is_v4();
    if header.fragment.is_some_and(|fragment| !fragment.is_atomic()) {
        return Ok(Carried::Other { protocol: header.protocol, len: payload.len() });
    }
    match header.protocol {
        protocol::TCP => {
            let segment = tcp::parse(header, payload, trust).map_err(|error| format!("TCP: {error}"))?;
            // The reserved bits, which the parser leaves out, and the options as they stand there.
            let field =
                payload.get(12..14).and_then(|field| field.first_chunk().copied()).unwrap_or_default();
            let options = payload.get(tcp::HEADER_LEN..payload.len() - segment.payload.len());
            Ok(Carried::Tcp(SeenTcp {
                src_port: segment.header.src_port,
                dst_port: segment.header.dst_port,
                seq: segment.header.seq.get(),
                ack: segment.header.ack.get(),
                flags: u16::from_be_bytes(field) & 0xfff,
                window: segment.header.window,
                urgent: segment.header.urgent,
                options: options.unwrap_or_default().to_vec(),
                len: segment.payload.len(),
                nonzero: nonzero(segment.payload),
            }))
        }
        protocol::UDP => {
            let (ports, data) =
                udp::parse(header, payload, trust).map_err(|error| format!("UDP: {error}"))?;
            Ok(Carried::Udp(SeenUdp {
                src_port: ports.src_port,
                dst_port: ports.dst_port,
                len: data.len(),
                nonzero: nonzero(data),
            }))
        }
        protocol::ICMP if v4 => message(parsed, trust),
        protocol::ICMPV6 if !v4 => message(parsed, trust),
        other => Ok(Carried::Other { protocol: other, len: payload.len() }),
    }
}

fn message(parsed: &Parsed<'_>, trust: Trust) -> Result<Carried, String> {
    icmp::parse(&parsed.header, parsed.payload, trust).map_err(|error| format!("ICMP: {error}"))?;
    // The core knows the messages a host acts on; a script may name any.
    let &[kind, code, _, _, ref rest @ ..] = parsed.payload else { return Err("ICMP: truncated".into()) };
    let (word, body) =
        rest.split_first_chunk().map_or((0, rest), |(word, body)| (u32::from_be_bytes(*word), body));
    Ok(Carried::Icmp(SeenIcmp { kind, code, word, body: body.to_vec() }))
}

fn nonzero(data: &[u8]) -> Option<usize> {
    data.iter().position(|&octet| octet != 0)
}
