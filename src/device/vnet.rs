//! The header that a TUN with `IFF_VNET_HDR` puts before each packet: what is left to the other side to do
//! (struct `virtio_net_hdr`, VIRTIO 1.2 section 5.1.6, without the count of merged buffers).
//!
//! Its numbers are little-endian: older drivers have them in the byte order of the machine, so the device is
//! told so (`TUNSETVNETLE`).

use tunstack_core::packet::{Checksum, Datagram, Trust};

use super::head::{Head, Transport};

/// Octets of the header.
pub const LEN: usize = 10;

/// `flags`: the checksum is that of the pseudo-header, to be finished from `csum_start` on.
const NEEDS_CSUM: u8 = 1;
/// `flags`: somebody has found the checksum right.
const DATA_VALID: u8 = 2;

/// `gso_type`: one packet.
const GSO_NONE: u8 = 0;
/// `gso_type`: TCP over IPv4, joined.
const GSO_TCPV4: u8 = 1;
/// `gso_type`: TCP over IPv6, joined.
const GSO_TCPV6: u8 = 4;
/// `gso_type`: UDP datagrams, joined.
const GSO_UDP_L4: u8 = 5;
/// `gso_type`, beside one of TCP: CWR is set, for the first segment alone.
const GSO_ECN: u8 = 0x80;

/// What the header of an arriving packet says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrived {
    /// Whether the transport checksum needs checking.
    pub trust: Trust,
    /// Not 0: segments with this many octets of text were joined.
    pub gso_size: u16,
}

impl Arrived {
    /// A packet that nobody has said anything of.
    pub const PLAIN: Self = Self { trust: Trust::Verify, gso_size: 0 };
}

/// A header that asks for what was never offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unknown {
    /// How the packet was joined, by the header's number for it.
    pub gso_type: u8,
}

/// The header of a leaving packet: who sums, and who cuts. `udp`: whether the kernel cuts UDP.
///
/// `None` where the kernel cannot do what is left to do: only TCP and UDP are cut, and only with a partial
/// checksum, since none of one piece's octets says what another's sum is. [`cut`](super::segment::cut) does
/// it then.
pub fn encode(datagram: &Datagram<'_>, udp: bool) -> Option<[u8; LEN]> {
    let (flags, start, offset) = match datagram.checksum {
        Checksum::Complete => (0, 0, 0),
        Checksum::Partial { start, offset } => (NEEDS_CSUM, start, offset),
    };
    let (gso_type, gso_size, head_len) =
        if datagram.gso_size == 0 || datagram.body.len() <= usize::from(datagram.gso_size) {
            // The length of the headers is a hint for who keeps them apart from the text: it has none here.
            (GSO_NONE, 0, 0)
        } else {
            let head = Head::read(datagram.head).filter(|head| head.len == datagram.head.len())?;
            let gso_type = match (head.transport, head.v4) {
                (Transport::Tcp, true) => GSO_TCPV4,
                (Transport::Tcp, false) => GSO_TCPV6,
                (Transport::Udp, _) if udp => GSO_UDP_L4,
                (Transport::Udp, _) => return None,
            };
            let cwr = if head.has_cwr(datagram.head) { GSO_ECN } else { 0 };
            let partial = flags == NEEDS_CSUM
                && (usize::from(start), usize::from(offset)) == (head.start, head.checksum_offset());
            if !partial {
                return None;
            }
            (gso_type | cwr, datagram.gso_size, u16::try_from(head.len).ok()?)
        };
    let mut header = [flags, gso_type, 0, 0, 0, 0, 0, 0, 0, 0];
    for (field, value) in header[2..].as_chunks_mut().0.iter_mut().zip([head_len, gso_size, start, offset]) {
        *field = value.to_le_bytes();
    }
    Some(header)
}

/// Reads the header of an arriving packet. `hdr_len` is passed over: it may be anything.
///
/// # Errors
/// The packet was joined in a way that was not asked for, so that nobody here can take it apart.
pub fn decode(header: &[u8; LEN]) -> Result<Arrived, Unknown> {
    let [flags, gso_type, _, _, size_low, size_high, ..] = *header;
    let size = u16::from_le_bytes([size_low, size_high]);
    let gso_size = match gso_type & !GSO_ECN {
        GSO_NONE if gso_type == GSO_NONE => 0,
        GSO_TCPV4 | GSO_TCPV6 | GSO_UDP_L4 if size != 0 => size,
        _ => return Err(Unknown { gso_type }),
    };
    let trust = if flags & (NEEDS_CSUM | DATA_VALID) != 0 { Trust::Trusted } else { Trust::Verify };
    Ok(Arrived { trust, gso_size })
}

#[cfg(test)]
mod tests;
