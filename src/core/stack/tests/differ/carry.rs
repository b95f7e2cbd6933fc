//! What becomes of the packets on their way.

use super::*;
use crate::wire::checksum::Sum;
use crate::wire::{self, ip};

/// A packet that left: when, from which end, as it was handed to the device, and the octets of each segment if that is to cut it.
pub(super) type Packet = (Instant, usize, Vec<u8>, u16);

/// A packet that arrives: to whom, and of what size the segments are that it was joined from, if it was.
pub(super) type Letter = (usize, Vec<u8>, u16);

const ROUTERS: [&str; 2] = ["10.7.0.9", "fd00::9"];
const NAMES: [[&str; 2]; 2] = [["10.7.0.1", "10.7.0.2"], ["fd00::1", "fd00::2"]];

/// The end of a host that one of the families has.
pub(super) fn end_of(six: bool, host: usize) -> Endpoint {
    Endpoint::new(a(NAMES[usize::from(six)][host]), [7000, 80][host])
}

/// For people: when, from whom, which octets, of what length as a segment, with which flags.
pub(super) fn described(packets: &[Packet]) -> Vec<String> {
    let line = |(at, from, packet, gso_size): &Packet| {
        let parsed = ip::parse(packet).unwrap();
        let tcp = wire::tcp::parse(&parsed.header, parsed.payload, Trust::Trusted).unwrap();
        let (h, len) = (tcp.header, tcp.payload.len());
        format!("{at:?} {from}: {}+{len}/{gso_size} {} ack {} win {}", h.seq, h.flags, h.ack, h.window)
    };
    packets.iter().map(line).collect()
}

impl World {
    /// Gives when there is something to do again. Where nothing may leave and nothing is due, that is asked of the whole way alone.
    pub(super) fn drive(&mut self, host: usize) -> Option<Instant> {
        let (now, most) = (self.now, self.rng.random_range(1..200));
        let stack = &mut self.hosts[host];
        let is_due = stack.poll_timeout().is_some_and(|due| due <= now);
        if short_cuts::are_closed() || is_due || stack.may_transmit() {
            stack.handle_timeout(now);
            for _ in 0..most {
                let Some(datagram) = self.hosts[host].poll_transmit(now) else { break };
                let mut whole = vec![0; datagram.len()];
                datagram.copy_to(&mut whole).unwrap();
                self.packets.push((now, host, whole.clone(), datagram.gso_size));
                let narrows = self.path.narrows.is_some();
                if datagram.gso_size > 0 && !narrows && self.rng.random() {
                    let gso_size = datagram.gso_size;
                    self.carry(host, whole, gso_size);
                    continue;
                }
                for packet in segmentation::cut(&datagram) {
                    self.carry(host, packet, 0);
                }
            }
        }
        while self.hosts[host].poll_event().is_some() {}
        self.hosts[host].poll_timeout()
    }

    fn carry(&mut self, host: usize, mut packet: Vec<u8>, gso_size: u16) {
        let (rng, path, now, six) = (&mut self.rng, &self.path, self.now, usize::from(self.six));
        self.carried += 1;
        let (n, tcp) = (self.carried, [ip::V4_HEADER_LEN, ip::V6_HEADER_LEN][six]);
        let short = packet.len() < tcp + 40;
        if one_in(rng, path.loses) || short && one_in(rng, path.loses_short) {
            return;
        }
        let narrow = path.narrows.filter(|&(from, mtu)| self.turn >= from && packet.len() > mtu);
        if let Some((_, mtu)) = narrow.filter(|_| self.six || packet[6] & 0x40 != 0) {
            let (mtu, quoted) = (mtu as u32, &packet[..tcp + 8]);
            let message = match self.six {
                false => Message::FragmentationNeeded { mtu, quoted },
                true => Message::PacketTooBig { mtu, quoted },
            };
            let complaint = icmp(ROUTERS[six], NAMES[six][host], &message);
            self.wire.insert((now + path.delay, 2 * n), (host, complaint, 0));
            return;
        }
        let ce = if self.six { 0x30 } else { 3 };
        if packet[1] & ce != 0 && one_in(rng, path.marks) {
            packet[1] |= ce;
            if !self.six {
                packet[10..12].fill(0);
                let sum = Sum::new().add(&packet[..tcp]).finish();
                packet[10..12].copy_from_slice(&sum.to_be_bytes());
            }
        }
        if one_in(rng, path.forges) {
            // Its number, acknowledgment, flags, window or clock.
            let at = rng.random_range(tcp + 4..packet.len().min(tcp + 32));
            packet[at] = packet[at].wrapping_add(pick(rng, [1, 255, 16]));
        }
        let late = if one_in(rng, path.delays) { path.delay * 2 } else { Duration::ZERO };
        let at = now + path.delay + late;
        if one_in(rng, path.repeats) {
            self.wire.insert((at, 2 * n + 1), (1 - host, packet.clone(), gso_size));
        }
        self.wire.insert((at, 2 * n), (1 - host, packet, gso_size));
    }
}
