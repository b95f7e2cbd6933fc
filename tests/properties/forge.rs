//! Packets that no stack of ours made.

use tunstack::core::addr::Endpoint;
use tunstack::core::wire::checksum::pseudo_header;
use tunstack::core::wire::ip::{Header, parse, protocol};

/// A TCP segment, its options as raw octets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forged {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    /// The control bits, AE to FIN.
    pub(crate) bits: u16,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    /// At most 40 octets; filled up with end-of-list.
    pub(crate) options: Vec<u8>,
    pub(crate) text: Vec<u8>,
}

pub(crate) const FIN: u16 = 1;
pub(crate) const SYN: u16 = 2;
pub(crate) const RST: u16 = 4;
pub(crate) const ACK: u16 = 16;

/// An IP packet with any payload.
pub(crate) fn ip(from: Endpoint, to: Endpoint, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        src: from.address,
        dst: to.address,
        protocol,
        hop_limit: 64,
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: true,
        fragment: None,
    };
    let mut packet = Vec::new();
    header.emit(payload.len(), 7, &mut packet).expect("a small packet of one family");
    packet.extend_from_slice(payload);
    packet
}

impl Forged {
    /// The whole packet, its checksums right.
    pub(crate) fn packet(&self, from: Endpoint, to: Endpoint) -> Vec<u8> {
        let mut options = self.options.clone();
        options.truncate(40);
        options.resize(options.len().next_multiple_of(4), 0);
        let words = (20 + options.len() as u16) / 4;
        let mut tcp = Vec::new();
        tcp.extend_from_slice(&from.port.to_be_bytes());
        tcp.extend_from_slice(&to.port.to_be_bytes());
        tcp.extend_from_slice(&self.seq.to_be_bytes());
        tcp.extend_from_slice(&self.ack.to_be_bytes());
        tcp.extend_from_slice(&(words << 12 | self.bits & 0x1ff).to_be_bytes());
        tcp.extend_from_slice(&self.window.to_be_bytes());
        tcp.extend_from_slice(&[0, 0]);
        tcp.extend_from_slice(&self.urgent.to_be_bytes());
        tcp.extend_from_slice(&options);
        tcp.extend_from_slice(&self.text);
        let sum = pseudo_header(from.address, to.address, protocol::TCP, tcp.len() as u32).add(&tcp);
        tcp[16..18].copy_from_slice(&sum.finish().to_be_bytes());
        ip(from, to, protocol::TCP, &tcp)
    }
}

/// What a bystander reads off a TCP packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) from: Endpoint,
    pub(crate) to: Endpoint,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) bits: u16,
    /// Octets of text.
    pub(crate) len: u32,
}

/// Reads a packet, if it is TCP.
pub(crate) fn see(packet: &[u8]) -> Option<Seen> {
    let parsed = parse(packet).ok()?;
    let tcp = parsed.payload;
    if parsed.header.protocol != protocol::TCP || tcp.len() < 20 {
        return None;
    }
    let half = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    let word = |at: usize| u32::from(half(at)) << 16 | u32::from(half(at + 2));
    let header_len = usize::from(tcp[12] >> 4) * 4;
    Some(Seen {
        from: Endpoint::new(parsed.header.src, half(0)),
        to: Endpoint::new(parsed.header.dst, half(2)),
        seq: word(4),
        ack: word(8),
        bits: half(12) & 0x1ff,
        len: tcp.len().saturating_sub(header_len) as u32,
    })
}
