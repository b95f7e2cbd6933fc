//! The walk over IPv6 extension headers (RFC 8200 §4), by a host that is the packet's destination.

use super::{FRAGMENT_HEADER_LEN, Fragment, Header, MAX_LEN, V6_HEADER_LEN, protocol};
use crate::wire::WireError;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
pub(super) const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// A host may limit how many it is willing to process (RFC 8504 §5.3). RFC 8200 §4.1 recommends an order with
/// at most seven.
const MAX_HEADERS: usize = 8;
/// Options other than padding in one header (RFC 8504 §5.3: 8 by default).
const MAX_OPTIONS: usize = 8;

/// ICMPv6 parameter problem codes (RFC 4443 §3.4, RFC 7112 §5 for the last).
mod code {
    pub(super) const ERRONEOUS_FIELD: u8 = 0;
    pub(super) const NEXT_HEADER: u8 = 1;
    pub(super) const OPTION: u8 = 2;
    pub(super) const INCOMPLETE_CHAIN: u8 = 3;
}

/// Where a walk came to.
pub(super) struct End<'a> {
    pub(super) protocol: u8,
    pub(super) protocol_offset: u16,
    pub(super) fragment: Option<Fragment>,
    pub(super) header_len: usize,
    pub(super) payload: &'a [u8],
}

/// Walks from the IPv6 header of `packet`, which says that `next` follows it.
pub(super) fn walk_packet(packet: &[u8], next: u8) -> Result<End<'_>, WireError> {
    const NEXT_HEADER: usize = 6;
    Walk { bytes: packet, at: V6_HEADER_LEN, next, named_at: NEXT_HEADER, whole: false, fragment: None }.run()
}

/// Walks on in a reassembled IPv6 packet: `bytes` is what the fragments hold after their fragment headers,
/// joined, and `next_header` what the first fragment's header says it begins with. Returns `header` with the
/// protocol found and without a fragment, and the octets of that protocol.
///
/// # Errors
///
/// As [`parse`](super::parse); the pointer of [`WireError::Unrecognised`] counts from the start of `bytes`,
/// so the length of the unfragmentable part is to be added. A fragment header within is refused as a next
/// header that is out of place.
pub fn walk_v6_payload(next_header: u8, header: Header, bytes: &[u8]) -> Result<(Header, &[u8]), WireError> {
    let end = Walk { bytes, at: 0, next: next_header, named_at: 0, whole: true, fragment: None }.run()?;
    Ok((Header { protocol: end.protocol, fragment: None, ..header }, end.payload))
}

struct Walk<'a> {
    bytes: &'a [u8],
    /// Offset of the header that comes next.
    at: usize,
    /// What it is.
    next: u8,
    /// Offset of the octet that said so.
    named_at: usize,
    /// Whether the packet was reassembled: neither hop-by-hop options nor a fragment may follow.
    whole: bool,
    /// The fragment header that was passed.
    fragment: Option<Fragment>,
}

impl<'a> Walk<'a> {
    //= https://www.rfc-editor.org/rfc/rfc8200#section-4.1
    //= id=rfc8200-4.1-3
    //# IPv6 nodes must accept and attempt to process extension headers in any order and occurring any number
    //# of times in the same packet, except for the Hop-by-Hop Options header, which is restricted to appear
    //# immediately after an IPv6 header only.
    // Up to `MAX_HEADERS` of them (RFC 8504 §5.3), of which one is a fragment header.
    fn run(mut self) -> Result<End<'a>, WireError> {
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4
        //= id=rfc8200-4-2
        //# Therefore, extension headers must be processed strictly in the order they appear in the packet; a
        //# receiver must not, for example, scan through a packet looking for a particular kind of extension
        //# header and process that header prior to processing all preceding ones.
        for _ in 0..=MAX_HEADERS {
            match self.next {
                // RFC 8200 §4.1: only immediately after the IPv6 header; elsewhere as an unknown next header.
                HOP_BY_HOP if self.at == V6_HEADER_LEN && !self.whole => self.options()?,
                //= https://www.rfc-editor.org/rfc/rfc8200#section-4
                //= id=rfc8200-4-1, rfc8200-4-4
                HOP_BY_HOP => return Err(problem(self.named_at, code::NEXT_HEADER)),
                DESTINATION_OPTIONS => self.options()?,
                ROUTING => self.routing()?,
                FRAGMENT if self.whole || self.fragment.is_some() => {
                    return Err(problem(self.named_at, code::NEXT_HEADER));
                }
                FRAGMENT => {
                    if self.fragment()? {
                        return Ok(self.end());
                    }
                }
                _ => return Ok(self.end()),
            }
        }
        Err(WireError::Discard)
    }

    fn end(self) -> End<'a> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let fragmented = self.fragment.is_some_and(|f| !f.is_atomic());
        End {
            protocol: self.next,
            protocol_offset: self.named_at as u16,
            fragment: self.fragment,
            header_len: self.at,
            // RFC 8200 §4.7: octets past it are ignored. Of a fragment they may be needed to fill its place.
            //= https://www.rfc-editor.org/rfc/rfc8200#section-4.7
            //= id=rfc8200-4.7-1
            //# If the Payload Length field of the IPv6 header indicates the presence of octets past the end
            //# of a header whose Next Header field contains 59, those octets must be ignored and passed on
            //# unchanged if the packet is forwarded.
            payload: if self.next == protocol::NO_NEXT_HEADER && !fragmented { &[] } else { rest },
        }
    }

    /// The header at hand if it is of the common form, next header and length in the first two octets.
    fn header(&self) -> Result<&'a [u8], WireError> {
        let rest = self.bytes.get(self.at..).ok_or(WireError::Truncated)?;
        let &[_, len, ..] = rest else { return Err(WireError::Truncated) };
        rest.get(..(usize::from(len) + 1) * 8).ok_or(WireError::Truncated)
    }

    /// Steps over a header of `len` octets, which says that `next` follows it.
    fn step(&mut self, next: u8, len: usize) {
        (self.next, self.named_at) = (next, self.at);
        self.at += len;
    }

    /// Hop-by-hop and destination options (RFC 8200 §4.2).
    fn options(&mut self) -> Result<(), WireError> {
        const PAD1: u8 = 0;
        const PADN: u8 = 1;
        let header = self.header()?;
        let &[next, _, ref area @ ..] = header else { return Err(WireError::Truncated) };
        let mut options = area;
        let mut count = 0;
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4.2
        //= id=rfc8200-4.2-1
        //# The sequence of options within a header must be processed strictly in the order they appear in
        //# the header; a receiver must not, for example, scan through the header looking for a particular
        //# kind of option and process that option prior to processing all preceding ones.
        while let Some((&kind, rest)) = options.split_first() {
            //= https://www.rfc-editor.org/rfc/rfc8200#section-4.2
            //= id=rfc8200-4.2-5
            //# These padding options must be recognized by all IPv6 implementations:
            if kind == PAD1 {
                options = rest;
                continue;
            }
            let at = self.at + header.len() - options.len();
            let (&len, data) = rest.split_first().ok_or(WireError::Length)?;
            if kind != PADN {
                count += 1;
                if count > MAX_OPTIONS {
                    return Err(WireError::Discard);
                }
                // None but the padding means anything to this host.
                //= https://www.rfc-editor.org/rfc/rfc8200#section-4.2
                //= id=rfc8200-4.2-2
                match kind >> 6 {
                    0b00 => {}
                    0b01 => return Err(WireError::Discard),
                    action => {
                        return Err(WireError::Unrecognised {
                            pointer: at as u16,
                            code: code::OPTION,
                            even_multicast: action == 0b10,
                        });
                    }
                }
            }
            options = data.get(usize::from(len)..).ok_or(WireError::Length)?;
        }
        self.step(next, header.len());
        Ok(())
    }

    /// No routing type is processed here, type 0 neither (RFC 5095 §3): passed over when nothing is left of
    /// the route, a problem otherwise (RFC 8200 §4.4).
    fn routing(&mut self) -> Result<(), WireError> {
        const ROUTING_TYPE: usize = 2;
        let header = self.header()?;
        let &[next, _, _, segments_left, ..] = header else { return Err(WireError::Truncated) };
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4.4
        //= id=rfc8200-4.4-1, rfc8200-4.4-2
        if segments_left != 0 {
            return Err(problem(self.at + ROUTING_TYPE, code::ERRONEOUS_FIELD));
        }
        self.step(next, header.len());
        Ok(())
    }

    /// Takes the fragment header (RFC 8200 §4.5) and says whether the walk ends with it, because what
    /// follows is only a part.
    fn fragment(&mut self) -> Result<bool, WireError> {
        const PAYLOAD_LENGTH: usize = 4;
        const FRAGMENT_OFFSET: usize = 2;
        let rest = self.bytes.get(self.at..).ok_or(WireError::Truncated)?;
        let Some((&[next, _, o0, o1, i0, i1, i2, i3], part)) = rest.split_first_chunk() else {
            return Err(WireError::Truncated);
        };
        let field = u16::from_be_bytes([o0, o1]);
        let fragment = Fragment {
            id: u32::from_be_bytes([i0, i1, i2, i3]),
            offset: u32::from(field & !7),
            more: field & 1 != 0,
        };
        let here = self.at;
        self.fragment = Some(fragment);
        self.step(next, FRAGMENT_HEADER_LEN);
        if fragment.is_atomic() {
            return Ok(false);
        }
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
        //= id=rfc8200-4.5-10
        if fragment.more && part.len() % 8 != 0 {
            return Err(problem(PAYLOAD_LENGTH, code::ERRONEOUS_FIELD));
        }
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
        //= id=rfc8200-4.5-11
        if here - V6_HEADER_LEN + fragment.offset as usize + part.len() > MAX_LEN {
            return Err(problem(here + FRAGMENT_OFFSET, code::ERRONEOUS_FIELD));
        }
        if part.is_empty() {
            return Err(WireError::Length);
        }
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
        //= id=rfc8200-4.5-12
        //# If the first fragment does not include all headers through an Upper-Layer header, then that
        //# fragment should be discarded and an ICMP Parameter Problem, Code 3, message should be sent to the
        //# source of the fragment, with the Pointer field set to zero.
        if fragment.offset == 0 && !chain_is_complete(next, part) {
            return Err(problem(0, code::INCOMPLETE_CHAIN));
        }
        Ok(true)
    }
}

/// A pointer fits in 16 bits: eight headers of at most 2,048 octets come before it.
fn problem(pointer: usize, code: u8) -> WireError {
    WireError::Unrecognised { pointer: pointer as u16, code, even_multicast: false }
}

/// Whether a first fragment holds every header up to that of the upper layer (RFC 8200 §4.5, RFC 7112 §5).
/// What the headers say is looked at when the packet is whole.
fn chain_is_complete(mut next: u8, mut bytes: &[u8]) -> bool {
    for _ in 0..=MAX_HEADERS {
        let needed = match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => match *bytes {
                [_, len, ..] => (usize::from(len) + 1) * 8,
                _ => return false,
            },
            protocol::TCP => return bytes.len() >= 20,
            protocol::UDP => return bytes.len() >= 8,
            protocol::ICMPV6 => return bytes.len() >= 4,
            _ => return true,
        };
        let Some((header, rest)) = bytes.split_at_checked(needed) else { return false };
        next = header.first().copied().unwrap_or(protocol::NO_NEXT_HEADER);
        bytes = rest;
    }
    true
}
