//! A link that is against us.

use std::collections::BTreeMap;

use tunstack::core::addr::Endpoint;
use tunstack::core::time::{Duration, Instant};

use crate::case::{Fault, Garbage};
use crate::forge::{ACK, Forged, Seen, ip, see};

/// What is under way, and what happens to what follows.
pub(crate) struct Hostile {
    delay: Duration,
    faults: [std::vec::IntoIter<Fault>; 2],
    /// By time, and at the same time in order.
    under_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    number: u64,
    /// The latest segment of each host.
    seen: [Option<Seen>; 2],
    /// Packets offered.
    pub(crate) packets: u64,
}

impl Hostile {
    pub(crate) fn new(delay_ms: u16, [up, down]: [Vec<Fault>; 2]) -> Self {
        Self {
            delay: Duration::from_millis(delay_ms.into()),
            faults: [up.into_iter(), down.into_iter()],
            under_way: BTreeMap::new(),
            number: 0,
            seen: [None; 2],
            packets: 0,
        }
    }

    /// When the next packet arrives.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// A packet that has arrived by `now`, and the host it is for.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        self.under_way.first_entry().filter(|first| first.key().0 <= now).map(|first| first.remove())
    }

    fn arrive(&mut self, at: Instant, to: usize, packet: Vec<u8>) {
        self.number += 1;
        self.under_way.insert((at, self.number), (to, packet));
    }

    /// Host `from` sends.
    pub(crate) fn send(&mut self, now: Instant, from: usize, mut packet: Vec<u8>) {
        self.packets += 1;
        if let Some(seen) = see(&packet) {
            self.seen[from] = Some(seen);
        }
        let (at, to) = (now + self.delay, 1 - from);
        match self.faults[from].next().unwrap_or(Fault::None) {
            Fault::None => {}
            Fault::Drop => return,
            Fault::Duplicate => self.arrive(at, to, packet.clone()),
            Fault::Delay(ms) => return self.arrive(at + Duration::from_millis(ms.into()), to, packet),
            Fault::Truncate(len) => packet.truncate(len.into()),
            Fault::Flip(bit) => {
                let bit = usize::from(bit) % (packet.len() * 8);
                packet[bit / 8] ^= 0x80 >> (bit % 8);
            }
            Fault::Replay(secs) => self.arrive(at + Duration::from_secs(secs.into()), to, packet.clone()),
            Fault::Inject(garbage) => {
                let made = self.make(from, &garbage);
                self.arrive(at, to, made);
            }
        }
        self.arrive(at, to, packet);
    }

    /// Garbage that looks as if `from` had sent it. The one kind that could do harm by the RFC's own rules is
    /// not made: numbers that a connection would accept.
    fn make(&self, from: usize, garbage: &Garbage) -> Vec<u8> {
        let Some(seen) = self.seen[from] else { return Vec::new() };
        // What the other side expects next: what it acknowledged, and what it has sent.
        let peer = self.seen[1 - from];
        let expected = peer.filter(|p| p.bits & ACK != 0).map_or(seen.seq, |p| p.ack);
        let sent = peer.map_or(0, |p| p.seq);
        let far = |base: u32, off: u16| base.wrapping_add(0x8000_0000 - 0x8000).wrapping_add(off.into());
        match garbage {
            Garbage::Noise(octets) => octets.clone(),
            Garbage::Payload(protocol, octets) => ip(seen.from, seen.to, *protocol, octets),
            Garbage::Far { seq, ack, bits, options, text } => {
                let forged = Forged {
                    seq: far(expected, *seq),
                    ack: far(sent, *ack),
                    // Without an ACK it could be a SYN that a connection being opened must take.
                    bits: bits | ACK,
                    window: *seq,
                    urgent: *ack,
                    options: options.clone(),
                    text: text.clone(),
                };
                forged.packet(seen.from, seen.to)
            }
            Garbage::Stray { port, seq, ack, bits } => {
                let forged = Forged { seq: *seq, ack: *ack, bits: *bits, ..Forged::default() };
                let to = if *port == seen.to.port { port.wrapping_add(1) } else { *port };
                forged.packet(seen.from, Endpoint::new(seen.to.address, to))
            }
        }
    }
}
