//! The TCP header (RFC 9293 §3.1): parse and emit.

use super::flags::Flags;
use super::options::Options;
use crate::tcp::seq::Seq;

/// The fixed part of a TCP header, in host order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: Seq,
    /// Acknowledgment number; without [`Flags::ACK`] it says nothing.
    pub ack: Seq,
    /// Control bits.
    pub flags: Flags,
    /// Window field, unscaled.
    pub window: u16,
    /// Urgent pointer; without [`Flags::URG`] it says nothing.
    pub urgent: u16,
}

/// A TCP segment as it stands in a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The fixed header.
    pub header: Header,
    /// The options.
    pub options: Options,
    /// The text.
    pub payload: &'a [u8],
}
