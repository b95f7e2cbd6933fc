//! Whether an outbound packet is what the script says.

use std::net::IpAddr;

use super::build::flag_bits;
use super::{Carried, Mismatch, Seen, SeenIp, SeenTcp, icmp, print};
use crate::packetdrill::flow::{ACK, Flow, SYN};
use crate::packetdrill::net::WireVersion;
use crate::packetdrill::options;
use crate::packetdrill::script::{Direction, IpLabels, Packet, Payload, Tcp, TcpOption, Tos};

/// AE, CWR and ECE.
const ACE: u16 = 0x1c0;
/// The reserved bits below the data offset.
const RESERVED: u16 = 0xe00;

/// In what `seen` is not as `expected` says, in the order of the headers; empty: it is. `flow` is the connection
/// it belongs to.
///
/// What the script does not say is not compared: DSCP, TTL, flow label, window, ports. Options are compared
/// octet by octet in their order, padding and all; of timestamps only TSval, and only where `ts_slack` says how
/// many ticks it may be off. Data must be zeros: system calls of scripts have no other to send.
pub fn compare(expected: &Packet, seen: &Seen, flow: &Flow, ts_slack: Option<u32>) -> Vec<Mismatch> {
    let mut found = Found(Vec::new());
    found.same("IP headers around the packet", expected.outer.len(), seen.outer.len());
    for ((src, dst, labels), seen) in expected.outer.iter().zip(&seen.outer) {
        found.same("outer source", *src, seen.src);
        found.same("outer destination", *dst, seen.dst);
        labels_of(labels, seen, &mut found);
    }
    labels_of(&expected.ip, &seen.ip, &mut found);
    flow_label(&expected.ip, &seen.ip, flow, &mut found);
    match (&expected.payload, &seen.carried) {
        (Payload::Tcp(expected), Carried::Tcp(seen)) => {
            if let Some(ports) = expected.ports {
                found.same("source port", ports.source, seen.src_port);
                found.same("destination port", ports.destination, seen.dst_port);
            }
            segment(expected, seen, flow, &mut found);
            if let Some(options) = &expected.options {
                compare_options(options, seen, flow, ts_slack, &mut found);
            }
            found.zeros(seen.nonzero);
        }
        (Payload::Udp(expected), Carried::Udp(seen)) => {
            if let Some(ports) = expected.ports {
                found.same("source port", ports.source, seen.src_port);
                found.same("destination port", ports.destination, seen.dst_port);
            }
            found.same("length of the data", usize::from(expected.len), seen.len);
            found.zeros(seen.nonzero);
        }
        (Payload::Icmp(expected), Carried::Icmp(message)) => {
            let version = match seen.ip.src {
                IpAddr::V4(_) => WireVersion::V4,
                IpAddr::V6(_) => WireVersion::V6,
            };
            let actual = icmp::Head { kind: message.kind, code: message.code, word: message.word };
            match icmp::head(expected, version) {
                Err(error) => found.differ("ICMP message", error, icmp::name(actual, version)),
                Ok(head) if (head.kind, head.code) != (actual.kind, actual.code) => {
                    found.differ("ICMP message", icmp::name(head, version), icmp::name(actual, version));
                }
                Ok(head) => {
                    if expected.mtu.is_some() {
                        let bits = if version == WireVersion::V4 { 0xffff } else { u32::MAX };
                        found.same("MTU", head.word & bits, actual.word & bits);
                    }
                    if expected.id.is_some() {
                        found.same("identifier", head.word >> 16, actual.word >> 16);
                    }
                }
            }
        }
        (payload, carried) => found.differ("protocol", protocol_of(payload), print::protocol(carried)),
    }
    found.0
}

struct Found(Vec<Mismatch>);

impl Found {
    fn differ(&mut self, field: &'static str, expected: impl Into<String>, actual: impl Into<String>) {
        self.0.push(Mismatch { field, expected: expected.into(), actual: actual.into() });
    }

    fn same<T: PartialEq + std::fmt::Display>(&mut self, field: &'static str, expected: T, actual: T) {
        if expected != actual {
            self.differ(field, expected.to_string(), actual.to_string());
        }
    }

    fn zeros(&mut self, nonzero: Option<usize>) {
        if let Some(at) = nonzero {
            self.differ("data", "zeros", format!("something else at octet {at}"));
        }
    }
}

fn protocol_of(payload: &Payload) -> &'static str {
    match payload {
        Payload::Tcp(_) => "TCP",
        Payload::Udp(_) => "UDP",
        Payload::Icmp(_) => "ICMP",
    }
}

fn labels_of(expected: &IpLabels, seen: &SeenIp, found: &mut Found) {
    if seen.extra != 0 {
        found.differ(
            "IP header",
            "no options or extension headers",
            format!("{} octets of them", seen.extra),
        );
    }
    let ecn = seen.tos & 3;
    match expected.tos {
        Tos::Unsaid => {}
        Tos::Ecn(expected) if expected == ecn => {}
        Tos::Ecn(expected) => found.differ("ECN of IP", print::ecn(expected), print::ecn(ecn)),
        Tos::Ect01 if matches!(ecn, 1 | 2) => {}
        Tos::Ect01 => found.differ("ECN of IP", "ect01", print::ecn(ecn)),
        Tos::Octet(expected) if expected == seen.tos => {}
        Tos::Octet(expected) => {
            found.differ("tos", format!("{expected:#04x}"), format!("{:#04x}", seen.tos));
        }
    }
    if let Some(ttl) = expected.ttl {
        found.same("TTL", ttl, seen.ttl);
    }
}

/// A script cannot know the label that the stack draws. So a label stands for itself: the same one means the
/// one as before, and another means another.
fn flow_label(expected: &IpLabels, seen: &SeenIp, flow: &Flow, found: &mut Found) {
    let Some(script) = expected.flow_label.filter(|&label| label != 0) else { return };
    let (live, field) = (seen.flow_label, "flow label");
    match flow.flow_label() {
        _ if live == 0 => found.differ(field, format!("{script:#x}"), "none"),
        Some((last, before)) if last == script && before != live => {
            found.differ(field, format!("{before:#x} as before"), format!("{live:#x}"));
        }
        Some((last, before)) if last != script && before == live => {
            found.differ(field, format!("another than {before:#x}"), format!("{live:#x}"));
        }
        _ => {}
    }
}

fn segment(expected: &Tcp, seen: &SeenTcp, flow: &Flow, found: &mut Found) {
    let bits = flag_bits(expected.flags);
    // Where ACE is a number, its three bits are one field and not three flags.
    if let Some(ace) = expected.flags.ace {
        found.same("ACE", u16::from(ace & 7), (seen.flags & ACE) >> 6);
    }
    let flags = if expected.flags.ace.is_some() { !ACE } else { !0 } & !RESERVED;
    if (bits ^ seen.flags) & flags != 0 {
        found.differ("flags", print::flags(bits & flags), print::flags(seen.flags & flags));
    }
    found.same("reserved bits", 0, (seen.flags & RESERVED) >> 9);
    let syn = seen.flags & SYN != 0;
    found.same("sequence number", expected.seq, flow.script_local_seq(seen.seq, syn));
    let ack = if seen.flags & ACK == 0 { seen.ack } else { flow.script_remote_seq(seen.ack, syn) };
    found.same("acknowledgment number", expected.ack, ack);
    found.same("length of the data", usize::from(expected.len), seen.len);
    if let Some(window) = expected.window {
        found.same("window", window, seen.window);
    }
    found.same("urgent pointer", expected.urgent, seen.urgent);
}

fn compare_options(
    expected: &[TcpOption],
    seen: &SeenTcp,
    flow: &Flow,
    ts_slack: Option<u32>,
    found: &mut Found,
) {
    let syn = seen.flags & SYN != 0;
    let actual = print::in_script(&seen.options, flow, Direction::Outbound, syn);
    // The timestamps that the script leaves open are made those of the packet; then all octets are to be equal.
    let mut wanted = Vec::new();
    for (at, option) in expected.iter().enumerate() {
        let option = match (option, actual.get(at)) {
            (
                &TcpOption::Timestamps { val, .. },
                Some(options::SeenOption::Known(seen @ TcpOption::Timestamps { val: live, .. })),
            ) => {
                let off = live.wrapping_sub(val);
                let off = off.min(off.wrapping_neg());
                // Before the first there is nothing to measure from.
                let slack = ts_slack.filter(|_| flow.has_ts());
                if let Some(slack) = slack.filter(|&slack| off > slack) {
                    found.differ("TS val", format!("{val}, at most {slack} off"), live.to_string());
                }
                seen
            }
            (option, _) => option,
        };
        match options::octets_of(option) {
            Ok(octets) => wanted.extend(octets),
            Err(error) => return found.differ("options", error, print::options(&actual)),
        }
    }
    let in_script: Vec<u8> = actual.iter().flat_map(print::octets).collect();
    if wanted != in_script {
        let expected: Vec<_> = expected.iter().cloned().map(options::SeenOption::Known).collect();
        found.differ("options", print::options(&expected), print::options(&actual));
    }
}
