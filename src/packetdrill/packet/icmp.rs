//! ICMP messages as scripts name them: types and codes by family.
//!
//! The names are packetdrill's. What has none is written as a number, `type_17` or `17`, `code_3` or `3`.

use crate::packetdrill::net::WireVersion;
use crate::packetdrill::script::Icmp;

/// Numbers and their names.
type Names = &'static [(u8, &'static str)];

/// RFC 792, RFC 950.
const V4_TYPES: Names = &[
    (0, "echo_reply"),
    (V4_UNREACHABLE, "unreachable"),
    (4, "source_quench"),
    (5, "redirect"),
    (8, "echo_request"),
    (11, "time_exceeded"),
    (12, "parameter_problem"),
    (13, "timestamp_request"),
    (14, "timestamp_reply"),
    (15, "information_request"),
    (16, "information_reply"),
    (17, "address_mask_request"),
    (18, "address_mask_reply"),
];
const V4_UNREACHABLE: u8 = 3;
const V4_FRAG_NEEDED: u8 = 4;
/// RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1.
const V4_UNREACHABLE_CODES: Names = &[
    (0, "net_unreachable"),
    (1, "host_unreachable"),
    (2, "protocol_unreachable"),
    (3, "port_unreachable"),
    (V4_FRAG_NEEDED, "frag_needed"),
    (5, "source_route_failed"),
    (6, "net_unknown"),
    (7, "host_unknown"),
    (8, "source_host_isolated"),
    (9, "net_prohibited"),
    (10, "host_prohibited"),
    (11, "net_unreachable_for_tos"),
    (12, "host_unreachable_for_tos"),
    (13, "packet_filtered"),
    (14, "precedence_violation"),
    (15, "precedence_cutoff"),
];

/// RFC 4443.
const V6_TYPES: Names = &[
    (1, "unreachable"),
    (V6_PACKET_TOO_BIG, "packet_too_big"),
    (3, "time_exceeded"),
    (4, "parameter_problem"),
    (128, "echo_request"),
    (129, "echo_reply"),
];
const V6_PACKET_TOO_BIG: u8 = 2;
const V6_UNREACHABLE_CODES: Names = &[
    (0, "no_route"),
    (0, "net_unreachable"),
    (1, "admin_prohibited"),
    (2, "not_neighbour"),
    (3, "address_unreachable"),
    (4, "port_unreachable"),
];
const V6_TIME_EXCEEDED_CODES: Names = &[(0, "exceeded_hop_limit"), (1, "exceeded_frag_time")];
const V6_PARAMETER_PROBLEM_CODES: Names =
    &[(0, "header_field"), (1, "unknown_next_header"), (2, "unknown_option")];

/// Type, code and the word behind the checksum of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Octets 4 to 7: an MTU in the lower 16 bits (RFC 1191 §4) or in all (RFC 4443 §3.2), an identifier in
    /// the upper 16.
    pub word: u32,
}

/// What a script's message is in the family.
///
/// # Errors
///
/// One line for a name that the family does not have, and for an MTU where the message has none.
pub fn head(icmp: &Icmp, version: WireVersion) -> Result<Head, String> {
    let (types, family) = match version {
        WireVersion::V4 => (V4_TYPES, "ICMP"),
        WireVersion::V6 => (V6_TYPES, "ICMPv6"),
    };
    let kind = number_of(&icmp.kind, "type_", types)
        .ok_or_else(|| format!("{family} has no type {}; {}", icmp.kind, choice(types)))?;
    let codes = codes(kind, version);
    let code = icmp.code.as_deref().map_or(Some(0), |code| number_of(code, "code_", codes));
    let code = code.ok_or_else(|| {
        let code = icmp.code.as_deref().unwrap_or_default();
        format!("{family} type {} has no code {code}; {}", icmp.kind, choice(codes))
    })?;
    let mut word = u32::from(icmp.id.unwrap_or(0)) << 16;
    if let Some(mtu) = icmp.mtu {
        let most = match (version, kind, code) {
            (WireVersion::V4, V4_UNREACHABLE, V4_FRAG_NEEDED) => u32::from(u16::MAX),
            (WireVersion::V6, V6_PACKET_TOO_BIG, 0) => u32::MAX,
            (WireVersion::V4, ..) => return Err("in ICMP only unreachable frag_needed has an mtu".into()),
            (WireVersion::V6, ..) => return Err("in ICMPv6 only packet_too_big has an mtu".into()),
        };
        if mtu > most {
            return Err(format!("mtu {mtu} does not fit into the message: expected up to {most}"));
        }
        word |= mtu;
    }
    Ok(Head { kind, code, word })
}

/// A message as a script would write it, without `icmp` and what it quotes.
pub fn name(head: Head, version: WireVersion) -> String {
    let types = match version {
        WireVersion::V4 => V4_TYPES,
        WireVersion::V6 => V6_TYPES,
    };
    let named = |names: Names, number: u8| names.iter().find(|(n, _)| *n == number).map(|(_, name)| *name);
    let mut text = named(types, head.kind).map_or_else(|| format!("type_{}", head.kind), str::to_owned);
    match (named(codes(head.kind, version), head.code), head.code) {
        (Some(code), _) => text = format!("{text} {code}"),
        (None, 0) => {}
        (None, code) => text = format!("{text} code_{code}"),
    }
    match (version, head.kind, head.code) {
        (WireVersion::V4, V4_UNREACHABLE, V4_FRAG_NEEDED) => format!("{text} mtu {}", head.word & 0xffff),
        (WireVersion::V6, V6_PACKET_TOO_BIG, _) => format!("{text} mtu {}", head.word),
        _ if is_echo(head.kind, version) => format!("{text} id {}", head.word >> 16),
        _ => text,
    }
}

/// Whether it is a ping or the answer to one.
pub fn is_echo(kind: u8, version: WireVersion) -> bool {
    matches!((version, kind), (WireVersion::V4, 0 | 8) | (WireVersion::V6, 128 | 129))
}

fn codes(kind: u8, version: WireVersion) -> Names {
    match (version, kind) {
        (WireVersion::V4, V4_UNREACHABLE) => V4_UNREACHABLE_CODES,
        (WireVersion::V6, 1) => V6_UNREACHABLE_CODES,
        (WireVersion::V6, 3) => V6_TIME_EXCEEDED_CODES,
        (WireVersion::V6, 4) => V6_PARAMETER_PROBLEM_CODES,
        _ => &[],
    }
}

fn number_of(text: &str, prefix: &str, names: Names) -> Option<u8> {
    let named = names.iter().find(|(_, name)| *name == text).map(|(number, _)| *number);
    named.or_else(|| text.strip_prefix(prefix).unwrap_or(text).parse().ok())
}

fn choice(names: Names) -> String {
    let names: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
    if names.is_empty() { "expected a number".into() } else { format!("expected {}", names.join(", ")) }
}
