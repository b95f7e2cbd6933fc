//! A packet in the script's own language.

use std::fmt::Write;
use std::net::IpAddr;

use super::{Carried, Seen, SeenIp, SeenOption, SeenTcp, icmp, octets_of, read};
use crate::packetdrill::flow::{ACK, Flow, SYN};
use crate::packetdrill::net::WireVersion;
use crate::packetdrill::script::{AccEcn, Direction, TcpOption};

/// A packet as a script would write it, on one line.
///
/// With the connection it belongs to, numbers are those of the script, and an arrow says which way it goes.
/// Without, they are those of the packet, and its ports are shown. The window is always there; of IP what is
/// not as usual: ECN, DSCP, options, fragments. What a script cannot write is in words, in brackets.
pub fn print(seen: &Seen, flow: Option<&Flow>) -> String {
    let known = flow.and_then(|flow| Some((flow, flow.direction_of(seen)?)));
    let mut text = String::new();
    match known {
        Some((_, Direction::Inbound)) => text.push_str("< "),
        Some((_, Direction::Outbound)) => text.push_str("> "),
        None => _ = write!(text, "{} > {}: ", seen.ip.src, seen.ip.dst),
    }
    for outer in &seen.outer {
        let version = if outer.src.is_ipv4() { "ipv4" } else { "ipv6" };
        let labels = labels(outer);
        _ = write!(text, "{version} {labels}{} > {}: ", outer.src, outer.dst);
    }
    text.push_str(&labels(&seen.ip));
    match &seen.carried {
        Carried::Tcp(tcp) => {
            if known.is_none() {
                _ = write!(text, "{} > {} ", tcp.src_port, tcp.dst_port);
            }
            text.push_str(&segment(tcp, known));
        }
        Carried::Udp(udp) => {
            text.push_str("udp ");
            if known.is_none() {
                _ = write!(text, "{} > {} ", udp.src_port, udp.dst_port);
            }
            _ = write!(text, "({})", udp.len);
        }
        Carried::Icmp(message) => {
            let version = match seen.ip.src {
                IpAddr::V4(_) => WireVersion::V4,
                IpAddr::V6(_) => WireVersion::V6,
            };
            let head = icmp::Head { kind: message.kind, code: message.code, word: message.word };
            _ = write!(text, "icmp {}", icmp::name(head, version));
        }
        Carried::Other { protocol, len } => {
            _ = match seen.ip.fragment {
                Some(part) => {
                    let last = if part.more { "" } else { ", the last" };
                    write!(
                        text,
                        "[fragment at {} with {len} octets of protocol {protocol}{last}]",
                        part.offset
                    )
                }
                None => write!(text, "[{len} octets of protocol {protocol}]"),
            }
        }
    }
    text
}

fn labels(ip: &SeenIp) -> String {
    let mut text = match ip.tos {
        0 => String::new(),
        tos @ 1..=3 => format!("[{}] ", ecn(tos)),
        tos => format!("[tos {tos:#04x}] "),
    };
    if ip.extra != 0 {
        _ = write!(text, "[{} octets of IP options] ", ip.extra);
    }
    text
}

fn segment(tcp: &SeenTcp, known: Option<(&Flow, Direction)>) -> String {
    let syn = tcp.flags & SYN != 0;
    let (seq, ack) = match known {
        None => (tcp.seq, tcp.ack),
        Some((flow, Direction::Outbound)) => {
            (flow.script_local_seq(tcp.seq, syn), flow.script_remote_seq(tcp.ack, syn))
        }
        Some((flow, Direction::Inbound)) => {
            (flow.script_remote_seq(tcp.seq, syn), flow.script_local_seq(tcp.ack, syn))
        }
    };
    let end = seq.wrapping_add(tcp.len as u32);
    let mut text = format!("{} {seq}:{end}({})", flags(tcp.flags), tcp.len);
    if tcp.flags & ACK != 0 {
        _ = write!(text, " ack {ack}");
    }
    _ = write!(text, " win {}", tcp.window);
    if tcp.urgent != 0 {
        _ = write!(text, " urg {}", tcp.urgent);
    }
    if !tcp.options.is_empty() {
        let seen = match known {
            None => read(&tcp.options),
            Some((flow, direction)) => in_script(&tcp.options, flow, direction, syn),
        };
        _ = write!(text, " {}", options(&seen));
    }
    if let Some(at) = tcp.nonzero {
        _ = write!(text, " [data other than zeros from octet {at}]");
    }
    text
}

/// The options of a packet of this connection, with the numbers of the script. TSecr of an inbound packet
/// stays that of the wire: several TSvals of the script may stand for it.
pub(super) fn in_script(octets: &[u8], flow: &Flow, direction: Direction, syn: bool) -> Vec<SeenOption> {
    let edge = |edge: u32| match direction {
        Direction::Outbound => flow.script_remote_seq(edge, syn),
        Direction::Inbound => flow.script_local_seq(edge, syn),
    };
    let option = |option| match option {
        SeenOption::Known(TcpOption::Sack(blocks)) => {
            let blocks = blocks.iter().map(|&(left, right)| (edge(left), edge(right))).collect();
            SeenOption::Known(TcpOption::Sack(blocks))
        }
        SeenOption::Known(TcpOption::Timestamps { val, ecr }) if direction == Direction::Outbound => {
            let val = flow.script_ts_val(val).unwrap_or(val);
            SeenOption::Known(TcpOption::Timestamps { val, ecr })
        }
        other => other,
    };
    read(octets).into_iter().map(option).collect()
}

/// The flags in letters, `-` for none. Reserved bits are shown by number.
pub(super) fn flags(bits: u16) -> String {
    const LETTERS: [(u16, char); 9] = [
        (0x001, 'F'),
        (0x002, 'S'),
        (0x004, 'R'),
        (0x008, 'P'),
        (0x010, '.'),
        (0x020, 'U'),
        (0x040, 'E'),
        (0x080, 'W'),
        (0x100, 'A'),
    ];
    let mut text: String =
        LETTERS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, letter)| letter).collect();
    if bits & 0xe00 != 0 {
        _ = write!(text, "[reserved {:#x}]", (bits & 0xe00) >> 9);
    }
    if text.is_empty() { "-".into() } else { text }
}

/// The two bits as scripts name them.
pub(super) fn ecn(bits: u8) -> &'static str {
    match bits & 3 {
        0 => "noecn",
        1 => "ect1",
        2 => "ect0",
        _ => "ce",
    }
}

/// The protocol, for a packet that has another one than expected.
pub(super) fn protocol(carried: &Carried) -> String {
    match carried {
        Carried::Tcp(_) => "TCP".into(),
        Carried::Udp(_) => "UDP".into(),
        Carried::Icmp(_) => "ICMP".into(),
        Carried::Other { protocol, .. } => format!("a packet or fragment of protocol {protocol}"),
    }
}

/// `<mss 1460,nop>`.
pub(super) fn options(options: &[SeenOption]) -> String {
    let texts: Vec<String> = options.iter().map(option).collect();
    format!("<{}>", texts.join(","))
}

/// The octets of an option as it was read.
pub(super) fn octets(option: &SeenOption) -> Vec<u8> {
    match option {
        // What was read from a header has room in one.
        SeenOption::Known(option) => octets_of(option).unwrap_or_default(),
        SeenOption::Unknown { kind, data } => [&[*kind, data.len() as u8 + 2][..], data].concat(),
        SeenOption::Malformed(rest) => rest.clone(),
    }
}

/// The granularity bit of a user timeout (RFC 5482 §3.3).
const MINUTES: u16 = 1 << 15;

fn option(option: &SeenOption) -> String {
    let option = match option {
        SeenOption::Known(option) => option,
        SeenOption::Unknown { kind, data } => return format!("[kind {kind}{}]", hex(data)),
        SeenOption::Malformed(rest) => return format!("[malformed{}]", hex(rest)),
    };
    match option {
        TcpOption::Nop => "nop".into(),
        TcpOption::Eol => "eol".into(),
        TcpOption::Mss(mss) => format!("mss {mss}"),
        TcpOption::WindowScale(shift) => format!("wscale {shift}"),
        TcpOption::SackPermitted => "sackOK".into(),
        TcpOption::Sack(blocks) => {
            blocks.iter().fold("sack".into(), |text, (left, right)| format!("{text} {left}:{right}"))
        }
        TcpOption::Timestamps { val, ecr } => format!("TS val {val} ecr {ecr}"),
        TcpOption::Md5(digest) => format!("md5{}", hex(digest)),
        TcpOption::UserTimeout(field) => {
            let unit = if field & MINUTES == 0 { "sec" } else { "min" };
            format!("UTO {unit} {}", field & !MINUTES)
        }
        TcpOption::FastOpen(cookie) => format!("FO{}", hex(cookie)),
        TcpOption::FastOpenExperimental(cookie) => format!("FOEXP{}", hex(cookie)),
        TcpOption::AccEcn(AccEcn { e1b_first, counters }) => {
            let names = if *e1b_first { ["e1b", "ceb", "e0b"] } else { ["e0b", "ceb", "e1b"] };
            let said = names.iter().zip(counters).filter_map(|(name, counter)| Some((name, (*counter)?)));
            said.fold("ECN".into(), |text, (name, counter)| format!("{text} {name} {counter}"))
        }
    }
}

/// With a blank before it, nothing for nothing.
fn hex(data: &[u8]) -> String {
    let start = if data.is_empty() { "" } else { " " };
    data.iter().fold(start.into(), |text: String, octet| format!("{text}{octet:02x}"))
}
