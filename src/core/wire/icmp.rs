//! ICMP messages of both families that the stack understands (RFC 792, RFC 4443), and the packets they quote.

use alloc::vec::Vec;

use super::WireError;
use super::checksum::{Sum, Trust, pseudo_header};
use super::ip::{self, protocol};
use crate::addr::{Address, Family};

mod quoted;

pub use quoted::Quoted;

/// Octets before the data of an echo or the packet that an error quotes.
pub const HEADER_LEN: usize = 8;

/// ICMP for IPv4 (RFC 792).
mod v4 {
    pub(super) const ECHO_REPLY: u8 = 0;
    pub(super) const DESTINATION_UNREACHABLE: u8 = 3;
    pub(super) const FRAGMENTATION_NEEDED: u8 = 4; // a code of the above
    pub(super) const ECHO_REQUEST: u8 = 8;
    pub(super) const TIME_EXCEEDED: u8 = 11;
    pub(super) const PARAMETER_PROBLEM: u8 = 12;
}

/// ICMPv6 (RFC 4443).
mod v6 {
    pub(super) const DESTINATION_UNREACHABLE: u8 = 1;
    pub(super) const PACKET_TOO_BIG: u8 = 2;
    pub(super) const TIME_EXCEEDED: u8 = 3;
    pub(super) const PARAMETER_PROBLEM: u8 = 4;
    pub(super) const ECHO_REQUEST: u8 = 128;
    pub(super) const ECHO_REPLY: u8 = 129;
}

/// A message, of either family. Codes are those of the family; `quoted` is the start of the packet that the
/// error is about, from its IP header, for [`Quoted::parse`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// A ping.
    EchoRequest {
        /// Identifier.
        id: u16,
        /// Sequence number.
        sequence: u16,
        /// What is to be sent back.
        data: &'a [u8],
    },
    /// The answer to a ping.
    EchoReply {
        /// Identifier of the request.
        id: u16,
        /// Sequence number of the request.
        sequence: u16,
        /// Data of the request.
        data: &'a [u8],
    },
    /// The packet did not get there. For IPv4 any code but 4.
    DestinationUnreachable {
        /// Why.
        code: u8,
        /// The packet.
        quoted: &'a [u8],
    },
    /// IPv4, destination unreachable code 4: too large for a link, and DF was set (RFC 1191 §4).
    FragmentationNeeded {
        /// MTU of that link in octets, IP header included; 0 from a router that does not say.
        mtu: u32,
        /// The packet.
        quoted: &'a [u8],
    },
    /// IPv6: too large for a link (RFC 4443 §3.2).
    PacketTooBig {
        /// MTU of that link in octets, IP header included.
        mtu: u32,
        /// The packet.
        quoted: &'a [u8],
    },
    /// Hop limit (code 0) or reassembly time (code 1) exceeded.
    TimeExceeded {
        /// Which.
        code: u8,
        /// The packet.
        quoted: &'a [u8],
    },
    /// A header could not be processed.
    ParameterProblem {
        /// What kind of problem.
        code: u8,
        /// Offset of the octet in the packet; 8 bits in IPv4.
        pointer: u32,
        /// The packet.
        quoted: &'a [u8],
    },
    /// IPv6: an error of a type that nobody here knows, which is an error all the same: its type is below 128
    /// (RFC 4443 §2.1).
    UnknownError {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// The packet.
        quoted: &'a [u8],
    },
    /// Anything else. It is emitted without a body.
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
}

/// Takes a message apart, in the family of `ip`. `bytes` is the whole payload of that packet.
///
/// # Errors
///
/// [`WireError::Truncated`] where it is shorter than a message of its type, [`WireError::Checksum`] unless
/// `trust` says not to look. The checksum of ICMPv6 covers a pseudo-header too (RFC 4443 §2.3).
pub fn parse<'a>(ip: &ip::Header, bytes: &'a [u8], trust: Trust) -> Result<Message<'a>, WireError> {
    let &[kind, code, _, _, ..] = bytes else { return Err(WireError::Truncated) };
    let len = u32::try_from(bytes.len()).map_err(|_| WireError::Length)?;
    if trust == Trust::Verify && base(ip.src, ip.dst, len).add(bytes).finish() != 0 {
        return Err(WireError::Checksum);
    }
    let family = ip.src.family();
    let rest = bytes.split_first_chunk::<HEADER_LEN>();
    let Some((&[_, _, _, _, a, b, c, d], rest)) = rest else {
        // Every type known here has eight octets; RFC 4443 §2.1 gives four to one that is not.
        return match (family, kind) {
            (
                Family::V4,
                v4::ECHO_REPLY
                | v4::ECHO_REQUEST
                | v4::DESTINATION_UNREACHABLE
                | v4::TIME_EXCEEDED
                | v4::PARAMETER_PROBLEM,
            )
            | (
                Family::V6,
                v6::DESTINATION_UNREACHABLE..=v6::PARAMETER_PROBLEM | v6::ECHO_REQUEST | v6::ECHO_REPLY,
            ) => Err(WireError::Truncated),
            _ => Ok(Message::Other { kind, code }),
        };
    };
    let (id, sequence) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let word = u32::from_be_bytes([a, b, c, d]);
    Ok(match (family, kind) {
        (Family::V4, v4::ECHO_REQUEST) | (Family::V6, v6::ECHO_REQUEST) => {
            Message::EchoRequest { id, sequence, data: rest }
        }
        (Family::V4, v4::ECHO_REPLY) | (Family::V6, v6::ECHO_REPLY) => {
            Message::EchoReply { id, sequence, data: rest }
        }
        (Family::V4, v4::DESTINATION_UNREACHABLE) if code == v4::FRAGMENTATION_NEEDED => {
            Message::FragmentationNeeded { mtu: u32::from(sequence), quoted: rest }
        }
        (Family::V6, v6::PACKET_TOO_BIG) => Message::PacketTooBig { mtu: word, quoted: rest },
        (Family::V4, v4::DESTINATION_UNREACHABLE) | (Family::V6, v6::DESTINATION_UNREACHABLE) => {
            Message::DestinationUnreachable { code, quoted: rest }
        }
        (Family::V4, v4::TIME_EXCEEDED) | (Family::V6, v6::TIME_EXCEEDED) => {
            Message::TimeExceeded { code, quoted: rest }
        }
        (Family::V4, v4::PARAMETER_PROBLEM) => {
            Message::ParameterProblem { code, pointer: u32::from(a), quoted: rest }
        }
        (Family::V6, v6::PARAMETER_PROBLEM) => {
            Message::ParameterProblem { code, pointer: word, quoted: rest }
        }
        (Family::V6, 0..128) => Message::UnknownError { kind, code, quoted: rest },
        _ => Message::Other { kind, code },
    })
}

/// What the sum begins with: ICMPv4 covers no pseudo-header (RFC 792).
fn base(src: Address, dst: Address, len: u32) -> Sum {
    if src.is_v4() { Sum::new() } else { pseudo_header(src, dst, protocol::ICMPV6, len) }
}

impl Message<'_> {
    /// Appends the message for the family of `src`, with its checksum. There is no IP header.
    ///
    /// The two ways to say that a packet is too large become that of the family. An MTU above 65,535 is sent
    /// as that in IPv4, a pointer above 255 as 255.
    pub fn emit(&self, src: Address, dst: Address, out: &mut Vec<u8>) {
        let family = src.family();
        let of = |four: u8, six: u8| match family {
            Family::V4 => four,
            Family::V6 => six,
        };
        let echo = |id: u16, sequence: u16| u32::from(id) << 16 | u32::from(sequence);
        let (kind, code, word, rest) = match *self {
            Self::EchoRequest { id, sequence, data } => {
                (of(v4::ECHO_REQUEST, v6::ECHO_REQUEST), 0, echo(id, sequence), data)
            }
            Self::EchoReply { id, sequence, data } => {
                (of(v4::ECHO_REPLY, v6::ECHO_REPLY), 0, echo(id, sequence), data)
            }
            Self::DestinationUnreachable { code, quoted } => {
                //= https://www.rfc-editor.org/rfc/rfc792
                //= id=rfc792-front-2
                //# Any field labeled "unused" is reserved for later extensions and must be zero when sent,
                //# but receivers should not use these fields (except to include them in the checksum).
                (of(v4::DESTINATION_UNREACHABLE, v6::DESTINATION_UNREACHABLE), code, 0, quoted)
            }
            Self::FragmentationNeeded { mtu, quoted } | Self::PacketTooBig { mtu, quoted } => match family {
                Family::V4 => {
                    (v4::DESTINATION_UNREACHABLE, v4::FRAGMENTATION_NEEDED, mtu.min(0xffff), quoted)
                }
                Family::V6 => (v6::PACKET_TOO_BIG, 0, mtu, quoted),
            },
            Self::TimeExceeded { code, quoted } => {
                (of(v4::TIME_EXCEEDED, v6::TIME_EXCEEDED), code, 0, quoted)
            }
            Self::ParameterProblem { code, pointer, quoted } => match family {
                Family::V4 => (v4::PARAMETER_PROBLEM, code, pointer.min(0xff) << 24, quoted),
                Family::V6 => (v6::PARAMETER_PROBLEM, code, pointer, quoted),
            },
            Self::UnknownError { kind, code, quoted } => (kind, code, 0, quoted),
            Self::Other { kind, code } => (kind, code, 0, &[][..]),
        };
        let [a, b, c, d] = word.to_be_bytes();
        let len = HEADER_LEN + rest.len();
        //= https://www.rfc-editor.org/rfc/rfc792
        //= id=rfc792-front-4, rfc792-front-5
        let checksum = base(src, dst, len as u32).add(&[kind, code, 0, 0, a, b, c, d]).add(rest).finish();
        let [s0, s1] = checksum.to_be_bytes();
        out.reserve(len);
        out.extend_from_slice(&[kind, code, s0, s1, a, b, c, d]);
        out.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests;
