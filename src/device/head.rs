//! Where the headers of a TCP or UDP packet lie: what cutting it up and finishing its sums need to know.

use tunstack_core::wire::checksum::Sum;
use tunstack_core::wire::ip::{V4_HEADER_LEN, V6_HEADER_LEN, protocol};
use tunstack_core::wire::{Flags, tcp, udp};

/// Extension headers with a length of their own that may stand before the transport header (RFC 8200 section
/// 4.1): hop-by-hop options, routing, destination options. A fragment has no whole transport packet in it.
const EXTENSIONS: [u8; 3] = [0, 43, 60];

/// What is above IP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// The headers of an unfragmented TCP or UDP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// IPv4, or else IPv6.
    pub(super) v4: bool,
    pub(super) transport: Transport,
    /// Octets before the transport header.
    pub(super) start: usize,
    /// Octets before the text.
    pub(super) len: usize,
    /// Octets of the whole packet, as the IP header tells.
    pub(super) packet_len: usize,
}

impl Head {
    /// Of a packet, of which no more than the headers need to be there. `None` for everything else than TCP
    /// and UDP, for a fragment, and for headers that are cut short or contradict themselves.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let v4 = match packet.first()? >> 4 {
            4 => true,
            6 => false,
            _ => return None,
        };
        let (number, start, packet_len) = if v4 { v4_payload(packet)? } else { v6_payload(packet)? };
        let (transport, own) = match number {
            protocol::TCP => {
                let own = usize::from(packet.get(start..start + tcp::HEADER_LEN)?[12] >> 4) * 4;
                (Transport::Tcp, (own >= tcp::HEADER_LEN).then_some(own)?)
            }
            protocol::UDP => (Transport::Udp, udp::HEADER_LEN),
            _ => return None,
        };
        let len = start + own;
        (len <= packet.len() && len <= packet_len).then_some(Self { v4, transport, start, len, packet_len })
    }

    /// The offset of the checksum in the transport header.
    pub(super) const fn checksum_offset(&self) -> usize {
        match self.transport {
            Transport::Tcp => 16,
            Transport::Udp => 6,
        }
    }

    /// The sum of the pseudo-header, for `len` octets of transport header and text.
    pub(super) fn pseudo_header(&self, packet: &[u8], len: usize) -> Sum {
        let number = match self.transport {
            Transport::Tcp => protocol::TCP,
            Transport::Udp => protocol::UDP,
        };
        // IPv4 has 16 bits of length and IPv6 32: the upper ones are 0 where a length fits.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let addresses = if self.v4 { 12..V4_HEADER_LEN } else { 8..V6_HEADER_LEN };
        let addresses = packet.get(addresses).unwrap_or_default();
        Sum::new().add(addresses).add(&len.to_be_bytes()).add(&[0, 0, 0, number])
    }

    /// Whether it is TCP and says that its sender has slowed down.
    pub(super) fn has_cwr(&self, packet: &[u8]) -> bool {
        self.transport == Transport::Tcp && octet(packet, self.start + 13) & Flags::CWR.bits() as u8 != 0
    }
}

fn octet(packet: &[u8], at: usize) -> u8 {
    packet.get(at).copied().unwrap_or_default()
}

/// What an IPv4 packet carries, where that begins, and where the packet ends.
fn v4_payload(packet: &[u8]) -> Option<(u8, usize, usize)> {
    let header = packet.get(..V4_HEADER_LEN)?;
    let start = usize::from(header[0] & 0xf) * 4;
    // MF, or an offset (RFC 791 section 3.1).
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    (start >= V4_HEADER_LEN && !fragment).then_some((header[9], start, len))
}

/// The same of an IPv6 packet.
fn v6_payload(packet: &[u8]) -> Option<(u8, usize, usize)> {
    let header = packet.get(..V6_HEADER_LEN)?;
    let len = V6_HEADER_LEN + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let (mut next, mut at) = (header[6], V6_HEADER_LEN);
    while EXTENSIONS.contains(&next) {
        let extension = packet.get(at..at + 8)?;
        next = extension[0];
        at += 8 + usize::from(extension[1]) * 8;
    }
    Some((next, at, len))
}
