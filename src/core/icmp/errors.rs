//! ICMP errors: those we send, when and how often, and what those that come mean.

use alloc::vec::Vec;

use crate::addr::{Address, Family};
use crate::error::Error;
use crate::ip::route::Routes;
use crate::time::Instant;
use crate::wire::icmp::{HEADER_LEN, Message, Quoted};
use crate::wire::ip::{Header, V4_HEADER_LEN, V6_HEADER_LEN, protocol};

/// Octets of an IPv4 error with all its headers at the most: what every host takes (RFC 1122 §3.3.2, RFC 1812
/// §4.3.2.3).
const MAX_V4: usize = 576;
/// Octets of an IPv6 error with all its headers at the most: the smallest MTU (RFC 4443 §2.4 c).
pub(crate) const MAX_V6: usize = 1280;

/// How many errors may be sent: a token bucket (RFC 4443 §2.4 f), which lets bursts through as a traceroute
/// makes them and holds the average.
#[derive(Clone, Debug)]
pub struct RateLimit {
    per_second: u32,
    /// In billionths of a token, so that no fraction of a second is lost.
    credit: u64,
    refilled: Instant,
}

impl RateLimit {
    const TOKEN: u64 = 1_000_000_000;

    /// A full bucket of `per_second` tokens that fills at that rate. 0 never lets anything through.
    pub const fn new(per_second: u32) -> Self {
        Self { per_second, credit: per_second as u64 * Self::TOKEN, refilled: Instant::ZERO }
    }

    /// Takes a token if there is one.
    pub fn allow(&mut self, now: Instant) -> bool {
        let full = u64::from(self.per_second) * Self::TOKEN;
        let nanos = now.saturating_since(self.refilled).as_nanos().min(u64::MAX.into()) as u64;
        let gained = nanos.saturating_mul(self.per_second.into());
        self.credit = self.credit.saturating_add(gained).min(full);
        self.refilled = self.refilled.max(now);
        match self.credit.checked_sub(Self::TOKEN) {
            Some(rest) => {
                self.credit = rest;
                true
            }
            None => false,
        }
    }
}

/// What an error that we send says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// No socket at that port (v4 type 3 code 3, v6 type 1 code 4).
    PortUnreachable,
    /// A protocol that nobody speaks here (v4 type 3 code 2; v6 parameter problem code 1).
    ProtocolUnreachable {
        /// Offset of the octet that names the protocol; IPv4 does not say it.
        pointer: u16,
    },
    /// A header could not be processed (v4 type 12 code 0, v6 type 4).
    ParameterProblem {
        /// Offset of the offending octet in the packet.
        pointer: u16,
        /// What kind of problem (RFC 4443 §3.4). IPv4 has code 0 for all.
        code: u8,
        /// IPv6 option that wants an answer even where the packet was multicast (RFC 8200 §4.2).
        even_multicast: bool,
    },
    /// Fragments did not all arrive in time (v4 type 11 code 1, v6 type 3 code 1).
    ReassemblyTimeExceeded,
}

/// An error about `packet`, which starts at its IP header and may be cut short: its IP header and its ICMP
/// message. `None` where none may be sent (RFC 1122 §3.2.2, RFC 4443 §2.4 e): about an ICMP error or anything
/// that might be one, about a packet to more than one host or from none, about an IPv4 fragment but the
/// first. Ask [`RateLimit::allow`] before it is sent.
pub fn build(kind: ErrorKind, packet: &[u8], routes: &Routes, hop_limit: u8) -> Option<(Header, Vec<u8>)> {
    let offending = Quoted::parse(packet)?;
    let v4 = offending.src.is_v4();
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
    //= id=rfc1122-3.2.2-4

    //= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
    //= id=rfc4443-2.4-5
    //# (e) An ICMPv6 error message MUST NOT be originated as a result of receiving the following:
    if !may_answer_source(kind, offending.src, routes) || may_be_error(&offending) {
        return None;
    }
    if v4 && is_v4_part(packet) {
        return None;
    }
    //= https://www.rfc-editor.org/rfc/rfc4443#section-2.2
    //= id=rfc4443-2.2-1
    //# If the node has more than one unicast address, it MUST choose the Source Address of the message as
    //# follows:
    //= https://www.rfc-editor.org/rfc/rfc4443#section-2.2
    //= id=rfc4443-2.2-2
    //# (a) If the message is a response to a message sent to one of the node's unicast addresses, the
    //# Source Address of the reply MUST be that same address.
    let src = if routes.is_local(offending.dst) {
        offending.dst
    } else {
        // To a group, which one kind of error may still be about; to a broadcast or a stranger, none.
        let excepted = matches!(kind, ErrorKind::ParameterProblem { code: 2, even_multicast: true, .. });
        if v4 || !offending.dst.is_multicast() || !excepted {
            return None;
        }
        //= https://www.rfc-editor.org/rfc/rfc4443#section-2.2
        //= id=rfc4443-2.2-3
        //# the Source Address of the ICMPv6 packet MUST be a unicast address belonging to the node.
        //= https://www.rfc-editor.org/rfc/rfc4443#section-2.2
        //= id=rfc4443-2.2-4
        //# The address SHOULD be chosen according to the rules that would be used to select the source address
        //# for any other packet originated by the node, given the destination address of the packet.
        routes.source_for(offending.src)?
    };

    //= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
    //= id=rfc4443-2.4-4
    //# (c) Every ICMPv6 error message (type < 128) MUST include as much of the IPv6 offending (invoking)
    //# packet (the packet that caused the error) as possible without making the error message packet exceed
    //# the minimum IPv6 MTU [IPv6].
    let room = if v4 { MAX_V4 - V4_HEADER_LEN } else { MAX_V6 - V6_HEADER_LEN } - HEADER_LEN;
    let quoted = packet.get(..room.min(packet.len()))?;
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.1
    //= id=rfc1122-3.2.2.1-1
    //# A host SHOULD generate Destination Unreachable messages with code:
    let message = match kind {
        ErrorKind::PortUnreachable => {
            Message::DestinationUnreachable { code: if v4 { 3 } else { 4 }, quoted }
        }
        ErrorKind::ProtocolUnreachable { .. } if v4 => Message::DestinationUnreachable { code: 2, quoted },
        ErrorKind::ProtocolUnreachable { pointer } => {
            Message::ParameterProblem { code: 1, pointer: pointer.into(), quoted }
        }
        ErrorKind::ParameterProblem { pointer, code, .. } => {
            Message::ParameterProblem { code: if v4 { 0 } else { code }, pointer: pointer.into(), quoted }
        }
        ErrorKind::ReassemblyTimeExceeded => Message::TimeExceeded { code: 1, quoted },
    };
    let mut bytes = Vec::with_capacity(HEADER_LEN + quoted.len());
    message.emit(src, offending.src, &mut bytes);
    let header = Header {
        src,
        dst: offending.src,
        protocol: if v4 { protocol::ICMP } else { protocol::ICMPV6 },
        hop_limit,
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2
        //= id=rfc1122-3.2.2-3
        //# An ICMP error message SHOULD be sent with normal (i.e., zero) TOS bits.
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: !v4,
        fragment: None,
    };
    Some((header, bytes))
}

/// The start of a packet that was put together from fragments, as far as [`build`] quotes it: there is no such
/// packet any more, so its header is written anew.
pub fn reassembled(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(MAX_V6);
    if header.emit(payload.len(), 0, &mut packet).is_ok() {
        packet.extend(payload.iter().take(MAX_V6.saturating_sub(packet.len())));
    }
    packet
}

/// Whether the source is one host that the packet can have come from.
fn may_answer_source(kind: ErrorKind, src: Address, routes: &Routes) -> bool {
    // A packet between our own addresses never left the host. It gets as far as a protocol; one whose header
    // could not even be read has not been past `ip::input`, and pretends.
    let reached_protocol = matches!(kind, ErrorKind::PortUnreachable | ErrorKind::ProtocolUnreachable { .. });
    routes.is_single_host(src) && (reached_protocol || !routes.is_local(src))
}

/// Whether it is an ICMP error, or can be one because its type is not there to be seen.
fn may_be_error(offending: &Quoted<'_>) -> bool {
    let kind = offending.transport.first();
    match offending.protocol {
        // Queries: echo, router discovery, timestamp, information, address mask.
        protocol::ICMP if offending.src.is_v4() => !matches!(kind, Some(0 | 8..=10 | 13..=18)),
        // RFC 4443 §2.1: errors are below 128; §2.4 e.2: a redirect (137) is not answered either.
        protocol::ICMPV6 if !offending.src.is_v4() => !matches!(kind, Some(128..=136 | 138..)),
        _ => false,
    }
}

/// Whether it is an IPv4 fragment with an offset. IPv6 wants an answer to a malformed one (RFC 8200 §4.5).
fn is_v4_part(packet: &[u8]) -> bool {
    let Some(&[_, _, _, _, _, _, high, low]) = packet.first_chunk() else { return true };
    u16::from_be_bytes([high, low]) & 0x1fff != 0
}

/// How final an error is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hardness {
    /// It will not get better: a connection attempt ends (RFC 9293 §3.9.2.2 SHLD-26); in a synchronised
    /// state it is better taken as soft (RFC 5927 §5.2).
    Hard,
    /// It may pass: a hint for the program, never the end of a connection (MUST-56).
    Soft,
}

/// What an error that came in says about a packet that we sent, if we did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report<'a> {
    /// The packet. Whether it is ours is for the transport to find out (RFC 5927 §4).
    pub quoted: Quoted<'a>,
    /// How a program is told.
    pub error: Error,
    /// How final it is.
    pub hardness: Hardness,
    /// The packet was too large for a link: its MTU in octets, 0 from an IPv4 router that did not say. An MTU
    /// above 65,535 is reported as that.
    pub packet_too_big: Option<u16>,
    /// Length in octets that the quoted IP header tells of the whole packet; 0 where it cannot be.
    pub quoted_len: u16,
}

/// What a message says about a packet of ours, `None` if nothing: it is no error, an unknown one of IPv4, a source
/// quench (ignored: RFC 9293 MUST-55, RFC 6633 §3) or a redirect (there is one way only), or it quotes too
/// little. The quoted packet's family is that of the message's.
///
/// Hard and soft are those of RFC 9293 §3.9.2.2; what that leaves open, and the errors, are as in Linux.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
//= id=MUST-55
//# TCP implementations MUST silently discard any received ICMP Source Quench messages (MUST-55).
pub fn interpret<'a>(message: &Message<'a>) -> Option<Report<'a>> {
    use Hardness::{Hard, Soft};
    let (Message::DestinationUnreachable { quoted: bytes, .. }
    | Message::FragmentationNeeded { quoted: bytes, .. }
    | Message::PacketTooBig { quoted: bytes, .. }
    | Message::TimeExceeded { quoted: bytes, .. }
    | Message::ParameterProblem { quoted: bytes, .. }
    | Message::UnknownError { quoted: bytes, .. }) = *message
    else {
        return None;
    };
    let quoted = Quoted::parse(bytes)?;
    let mut packet_too_big = None;
    let (error, hardness) = match *message {
        Message::DestinationUnreachable { code, .. } => match quoted.src.family() {
            Family::V4 => unreachable_v4(code)?,
            Family::V6 => unreachable_v6(code)?,
        },
        Message::FragmentationNeeded { mtu, .. } | Message::PacketTooBig { mtu, .. } => {
            packet_too_big = Some(u16::try_from(mtu).unwrap_or(u16::MAX));
            (Error::MessageTooLong, Soft)
        }
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.4
        //= id=rfc1122-3.2.2.4-1
        //# An incoming Time Exceeded message MUST be passed to the transport layer.
        Message::TimeExceeded { .. } => (Error::HostUnreachable, Soft),
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.5
        //= id=rfc1122-3.2.2.5-2
        //# An incoming Parameter Problem message MUST be passed to the transport layer, and it MAY be
        //# reported to the user.

        //= https://www.rfc-editor.org/rfc/rfc4443#section-2.4
        //= id=rfc4443-2.4-2
        //# (a) If an ICMPv6 error message of unknown type is received at its destination, it MUST be passed
        //# to the upper-layer process that originated the packet that caused the error, where this can be
        //# identified
        _ => (Error::Protocol, Soft),
    };
    debug_assert!(packet_too_big.is_none() || hardness != Hard);
    Some(Report { quoted, error, hardness, packet_too_big, quoted_len: quoted_len(bytes) })
}

/// RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1.
const fn unreachable_v4(code: u8) -> Option<(Error, Hardness)> {
    use Hardness::{Hard, Soft};
    Some(match code {
        // Network; for this type of service.
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.1
        //= id=rfc1122-3.2.2.1-5
        //# A Destination Unreachable message that is received with code 0 (Net), 1 (Host), or 5 (Bad Source
        //# Route) may result from a routing transient and MUST therefore be interpreted as only a hint, not
        //# proof, that the specified destination is unreachable [IP:11].
        0 | 11 => (Error::NetUnreachable, Soft),
        // Host; for this type of service.
        1 | 12 => (Error::HostUnreachable, Soft),
        2 => (Error::ProtocolUnreachable, Hard),
        3 => (Error::Refused, Hard),
        // Source route failed.
        5 => (Error::NotSupported, Soft),
        // Network unknown; prohibited.
        6 | 9 => (Error::NetUnreachable, Hard),
        // Host unknown (Linux: EHOSTDOWN), isolated (ENONET); host prohibited, filtered, precedence.
        7 | 8 | 10 | 13..=15 => (Error::HostUnreachable, Hard),
        // 4 is another message; what is above 15 nobody has defined.
        _ => return None,
    })
}

/// RFC 4443 §3.1.
const fn unreachable_v6(code: u8) -> Option<(Error, Hardness)> {
    use Hardness::{Hard, Soft};
    Some(match code {
        0 => (Error::NetUnreachable, Soft),
        // Prohibited; refused by a policy about the source; by a reject route.
        1 | 5 | 6 => (Error::Access, Hard),
        // Beyond the scope of the source; address.
        2 | 3 => (Error::HostUnreachable, Soft),
        4 => (Error::Refused, Hard),
        _ => return None,
    })
}

fn quoted_len(bytes: &[u8]) -> u16 {
    let field = |high: Option<&u8>, low: Option<&u8>| match (high, low) {
        (Some(&high), Some(&low)) => u16::from_be_bytes([high, low]),
        _ => 0,
    };
    match bytes.first().map_or(0, |first| first >> 4) {
        4 => field(bytes.get(2), bytes.get(3)),
        _ => field(bytes.get(4), bytes.get(5)).checked_add(V6_HEADER_LEN as u16).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests;
