//! The TCP header (RFC 9293 §3.1): parse and emit.

use alloc::vec::Vec;

use etherparse::{TcpHeaderSlice, err};

use super::WireError;
use super::checksum::{Checksum, Trust, pseudo_header};
use super::flags::Flags;
use super::ip::{self, protocol};
use super::options::Options;
use crate::tcp::seq::Seq;

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;
/// Where the checksum stands in the header.
const CHECKSUM_OFFSET: u16 = 16;

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

/// Takes a segment apart. `bytes` is the whole payload of the packet whose IP header is `ip`.
///
/// # Errors
///
/// [`WireError::Truncated`] where it is shorter than its header, [`WireError::Length`] where the data offset
/// is below 5, [`WireError::Checksum`] unless `trust` says not to look.
pub fn parse<'a>(ip: &ip::Header, bytes: &'a [u8], trust: Trust) -> Result<Packet<'a>, WireError> {
    let slice = TcpHeaderSlice::from_slice(bytes).map_err(|e| match e {
        err::tcp::HeaderSliceError::Len(_) => WireError::Truncated,
        err::tcp::HeaderSliceError::Content(_) => WireError::Length,
    })?;
    if trust == Trust::Verify {
        let len = u32::try_from(bytes.len()).map_err(|_| WireError::Length)?;
        if pseudo_header(ip.src, ip.dst, protocol::TCP, len).add(bytes).finish() != 0 {
            return Err(WireError::Checksum);
        }
    }
    let (fixed, payload) = bytes.split_at_checked(slice.slice().len()).ok_or(WireError::Truncated)?;
    // Data offset, reserved bits and control bits; only nine of these are known.
    let &[_, _, _, _, _, _, _, _, _, _, _, _, f0, f1, ..] = fixed else { return Err(WireError::Truncated) };
    let header = Header {
        src_port: slice.source_port(),
        dst_port: slice.destination_port(),
        seq: Seq::new(slice.sequence_number()),
        ack: Seq::new(slice.acknowledgment_number()),
        flags: Flags::from_bits_truncate(u16::from_be_bytes([f0, f1])),
        window: slice.window_size(),
        urgent: slice.urgent_pointer(),
    };
    Ok(Packet { header, options: Options::parse(slice.options()), payload })
}

/// Writes IP header, TCP header and options into `out`, which is cleared first, for a text of `body_len`
/// octets in the pieces of `body`. The text itself is not copied; it is read once for the checksum, or not at
/// all when `partial` leaves the checksum to the device. `id` is the IPv4 identification.
///
/// Where no such packet can exist, because it would exceed the IP length field or its ends are of different
/// families, `out` is left empty and nothing may be sent.
#[expect(clippy::too_many_arguments, reason = "one call builds a whole packet without an intermediate value")]
pub fn emit<'a>(
    ip: &ip::Header,
    tcp: &Header,
    options: &Options,
    body: impl Iterator<Item = &'a [u8]>,
    body_len: usize,
    id: u16,
    partial: bool,
    out: &mut Vec<u8>,
) -> Checksum {
    out.clear();
    let header_len = HEADER_LEN + options.emitted_len();
    let len = header_len.saturating_add(body_len);
    if ip.emit(len, id, out).is_err() {
        return Checksum::Complete;
    }
    let start = out.len();
    out.reserve(header_len);
    let pseudo = pseudo_header(ip.src, ip.dst, protocol::TCP, len as u32);

    out.extend_from_slice(&tcp.src_port.to_be_bytes());
    out.extend_from_slice(&tcp.dst_port.to_be_bytes());
    out.extend_from_slice(&tcp.seq.get().to_be_bytes());
    out.extend_from_slice(&tcp.ack.get().to_be_bytes());
    // The data offset counts words and stands in the upper four bits.
    out.extend_from_slice(&(((header_len / 4) as u16) << 12 | tcp.flags.bits()).to_be_bytes());
    out.extend_from_slice(&tcp.window.to_be_bytes());
    let before_checksum = out.len();
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&tcp.urgent.to_be_bytes());
    options.emit(out);

    let (field, checksum) = if partial {
        (pseudo.partial(), Checksum::Partial { start: start as u16, offset: CHECKSUM_OFFSET })
    } else {
        let head = pseudo.add(out.get(start..).unwrap_or_default());
        (body.fold(head, |sum, piece| sum.add(piece)).finish(), Checksum::Complete)
    };
    if let Some(place) = out.get_mut(before_checksum..).and_then(|rest| rest.first_chunk_mut()) {
        *place = field.to_be_bytes();
    }
    checksum
}
