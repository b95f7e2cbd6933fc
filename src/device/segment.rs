//! The edge that cuts: what a device cannot do of what was left to it is done here.
//!
//! A segment of TCP larger than the path takes, or several UDP datagrams in a row, become packets of their
//! own with finished checksums, as a network card makes them; sums that were left partial are finished.

use std::convert::Infallible;
use std::io;

use tunstack_core::packet::{Body, Checksum, Datagram, Inbound, Trust};
use tunstack_core::wire::Flags;
use tunstack_core::wire::checksum::Sum;
use tunstack_core::wire::ip::V6_HEADER_LEN;

use super::head::{Head, Transport};

/// Offset of the checksum in a UDP header (RFC 768): tells UDP from TCP and ICMP.
const UDP_CHECKSUM: u16 = 6;

/// Gives `each` the packets that a device without offload sends in place of `datagram`, in order: itself if
/// nothing was left to do.
///
/// Of TCP, sequence numbers go on from piece to piece, PSH and FIN are in the last one alone, and CWR in the
/// first one alone (RFC 3168 section 6.1.2). IPv4 identifications go on as well. The reason for which it was
/// sent goes with each piece.
///
/// # Errors
/// Those of `each`, which is not called again then. `InvalidInput` where the headers are not those of a TCP
/// or UDP packet that could be cut.
pub fn cut(datagram: &Datagram<'_>, mut each: impl FnMut(&Datagram<'_>) -> io::Result<()>) -> io::Result<()> {
    if datagram.gso_size == 0 && datagram.checksum == Checksum::Complete {
        return each(datagram);
    }
    if datagram.gso_size != 0 && datagram.body.len() > usize::from(datagram.gso_size) {
        let head = Head::read(datagram.head).filter(|head| head.len == datagram.head.len());
        return pieces(&head.ok_or_else(unfit)?, datagram, each);
    }
    let Checksum::Partial { start, offset } = datagram.checksum else {
        return each(&Datagram { gso_size: 0, ..*datagram });
    };
    let mut head = datagram.head.to_vec();
    finish(&mut head, datagram.body, start, offset).ok_or_else(unfit)?;
    each(&Datagram { head: &head, gso_size: 0, checksum: Checksum::Complete, ..*datagram })
}

fn unfit() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "what is left to the device cannot be done to this packet")
}

/// Gives `each` the packets that an arriving one was joined from, with their checksums in their places. One
/// that was not joined is given whole: with its checksum in its place where that may be partial, being
/// [`Trust::Trusted`], and else as it came. So is what is neither TCP nor UDP, contradicts itself, or was joined
/// and has a wrong checksum. What came by reference is copied behind the rest before.
pub fn take_apart(inbound: &Inbound<'_>, mut each: impl FnMut(&Datagram<'_>)) {
    if !inbound.lent.is_empty() {
        let mut packet = inbound.packet.to_vec();
        inbound.lent.iter().for_each(|lent| packet.extend_from_slice(lent.octets()));
        return take_apart_whole(
            &Inbound { packet: &packet, lent: &[], backing: None, ..*inbound },
            &mut each,
        );
    }
    take_apart_whole(inbound, &mut each);
}

fn take_apart_whole(inbound: &Inbound<'_>, each: &mut impl FnMut(&Datagram<'_>)) {
    let (checksum, event) = (Checksum::Complete, None);
    let as_it_came = Datagram { head: inbound.packet, body: Body::EMPTY, gso_size: 0, checksum, event };
    let head = Head::read(inbound.packet).filter(|head| head.packet_len <= inbound.packet.len());
    let Some(head) = head else { return each(&as_it_came) };
    let (headers, text) = inbound.packet[..head.packet_len].split_at(head.len);
    let body = Body::from_slice(text);
    let joined = inbound.gso_size != 0 && text.len() > usize::from(inbound.gso_size);
    let right = || has_no_checksum(&head, headers) || checksum_of(&head, headers, body) == 0;
    if joined && (inbound.trust == Trust::Trusted || right()) {
        let whole = Datagram { head: headers, body, gso_size: inbound.gso_size, checksum, event };
        let Ok(()) = pieces::<Infallible>(&head, &whole, |piece| {
            each(piece);
            Ok(())
        });
    } else if inbound.trust == Trust::Verify || has_no_checksum(&head, headers) {
        // A wrong sum must not become a right one in each piece.
        each(&as_it_came);
    } else {
        let mut finished = headers.to_vec();
        put_checksum(&head, &mut finished, body);
        each(&Datagram { head: &finished, body, gso_size: 0, checksum, event });
    }
}

/// The pieces of a packet whose text is longer than its `gso_size`, which is not 0.
fn pieces<E>(
    head: &Head,
    datagram: &Datagram<'_>,
    mut each: impl FnMut(&Datagram<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let size = usize::from(datagram.gso_size);
    let mut headers = Vec::with_capacity(head.len);
    let starts = (0..datagram.body.len()).step_by(size);
    let count = starts.len();
    for (number, at) in starts.enumerate() {
        let body = slice(datagram.body, at, size);
        headers.clear();
        headers.extend_from_slice(datagram.head);
        let piece = Piece { at, number, last: number + 1 == count };
        piece.write(head, &mut headers, body);
        each(&Datagram { head: &headers, body, gso_size: 0, checksum: Checksum::Complete, ..*datagram })?;
    }
    Ok(())
}

/// Which piece of a packet it is.
struct Piece {
    /// Octets of text before it.
    at: usize,
    /// How many pieces are before it.
    number: usize,
    last: bool,
}

impl Piece {
    /// Makes of the headers of the whole those of this piece, whose text is `body`.
    fn write(&self, head: &Head, headers: &mut [u8], body: Body<'_>) {
        let len = head.len + body.len();
        if head.v4 {
            put(headers, 2, len);
            let id = u16::from_be_bytes([headers[4], headers[5]]).wrapping_add(self.number as u16);
            put(headers, 4, id.into());
            put(headers, 10, 0);
            let sum = Sum::new().add(&headers[..head.start]).finish();
            put(headers, 10, sum.into());
        } else {
            put(headers, 4, len - V6_HEADER_LEN);
        }
        let unsummed = has_no_checksum(head, headers);
        let transport = &mut headers[head.start..];
        match head.transport {
            Transport::Udp => put(transport, 4, len - head.start),
            Transport::Tcp => {
                let seq = [transport[4], transport[5], transport[6], transport[7]];
                let seq = u32::from_be_bytes(seq).wrapping_add(self.at as u32);
                transport[4..8].copy_from_slice(&seq.to_be_bytes());
                let flags = Flags::from_bits_truncate(transport[13].into());
                let last = if self.last { Flags::empty() } else { Flags::PSH | Flags::FIN };
                let first = if self.number == 0 { Flags::empty() } else { Flags::CWR };
                transport[13] = (flags - last - first).bits() as u8;
            }
        }
        if !unsummed {
            put_checksum(head, headers, body);
        }
    }
}

/// Puts in the transport checksum, whatever is in its place.
fn put_checksum(head: &Head, headers: &mut [u8], body: Body<'_>) {
    let at = head.start + head.checksum_offset();
    put(headers, at, 0);
    let sum = checksum_of(head, headers, body);
    put(headers, at, nonzero(sum, head.transport == Transport::Udp).into());
}

/// The checksum over all that it covers: 0 if the right one is in its place.
fn checksum_of(head: &Head, headers: &[u8], body: Body<'_>) -> u16 {
    let len = headers.len() - head.start + body.len();
    let sum = head.pseudo_header(headers, len).add(&headers[head.start..]);
    body.pieces().fold(sum, Sum::add).finish()
}

/// Finishes a checksum in whose place the sum of the pseudo-header is.
fn finish(head: &mut [u8], body: Body<'_>, start: u16, offset: u16) -> Option<()> {
    let transport = head.get_mut(usize::from(start)..)?;
    let sum = body.pieces().fold(Sum::new().add(transport), Sum::add).finish();
    let field = transport.get_mut(usize::from(offset)..)?.first_chunk_mut()?;
    *field = nonzero(sum, offset == UDP_CHECKSUM).to_be_bytes();
    Some(())
}

/// To UDP, 0 means that there is no checksum (RFC 768); the other zero says the same sum.
const fn nonzero(sum: u16, udp: bool) -> u16 {
    if udp && sum == 0 { u16::MAX } else { sum }
}

/// Whether it is a UDP datagram that does without a checksum, as it may over IPv4 (RFC 768).
fn has_no_checksum(head: &Head, headers: &[u8]) -> bool {
    let at = head.start + head.checksum_offset();
    head.v4 && head.transport == Transport::Udp && headers[at..].starts_with(&[0, 0])
}

/// Writes a field of 16 bits. All that is written here was found to fit.
fn put(headers: &mut [u8], at: usize, value: usize) {
    headers[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
}

/// The octets of `body` from `at` on, `len` at the most.
fn slice(body: Body<'_>, at: usize, len: usize) -> Body<'_> {
    let (mut skip, mut left, mut cut) = (at, len, Body::EMPTY);
    for piece in body.pieces() {
        let rest = piece.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(piece.len());
        let taken = &rest[..left.min(rest.len())];
        left -= taken.len();
        // A part of a body has no more pieces than the whole.
        cut.push(taken);
    }
    cut
}

#[cfg(test)]
mod tests;
