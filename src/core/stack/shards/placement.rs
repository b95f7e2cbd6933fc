//! Which shard a packet is for.

use alloc::boxed::Box;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use siphasher::sip::SipHasher13;

use super::registry::{Exclusive, Registry};
use crate::addr::{Endpoint, Quad};
use crate::body::Text;
use crate::icmp::errors;
use crate::packet::{Inbound, Trust};
use crate::wire::ip::{self, protocol};

/// The shard of everything that belongs to no connection.
const FIRST: u16 = 0;

/// Octets of both ports, with which TCP's header begins.
const PORTS: usize = 4;

/// Places connections in shards.
pub struct Placement {
    hasher: SipHasher13,
    count: u16,
    shared: Box<dyn Exclusive>,
    /// Connections that live elsewhere than the hash says. There are few: see [`owner`](Self::owner).
    strays: AtomicUsize,
}

impl Placement {
    /// For `count` stacks, at least one, that are made with this seed. `shared` is what they share, at first empty.
    pub fn new(seed: [u8; 32], count: u16, shared: impl Exclusive + 'static) -> Self {
        // Not a secret that a stack draws of the same seed.
        let mut key = [0; 16];
        ChaCha12Rng::from_seed(seed.map(|octet| octet ^ 0x5a)).fill_bytes(&mut key);
        Self {
            hasher: SipHasher13::new_with_key(&key),
            count: count.max(1),
            shared: Box::new(shared),
            strays: AtomicUsize::new(0),
        }
    }

    /// How many shards there are.
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// The shard of a connection. Both its ends, seen from either, give the same: one that we have with ourselves lives
    /// in one shard with both.
    pub(in crate::stack) fn by_hash(&self, quad: &Quad) -> u16 {
        let (low, high) = (quad.local.min(quad.remote), quad.local.max(quad.remote));
        let mut octets = [0; 36];
        let (first, second) = octets.split_at_mut(18);
        for (out, Endpoint { address, port }) in [(first, low), (second, high)] {
            let (a, p) = out.split_at_mut(16);
            a.copy_from_slice(address.octets());
            p.copy_from_slice(&port.to_be_bytes());
        }
        // Multiplied instead of divided: as even, and the upper half is as good as the lower.
        let hash = self.hasher.hash(&octets) >> 32;
        ((hash * u64::from(self.count)) >> 32) as u16
    }

    /// The shard where a connection with these ends lives or would live: by the hash, unless a program connected a
    /// socket from a port that it had chosen before it was known whither. That one stays where the socket is.
    pub fn owner(&self, quad: &Quad) -> u16 {
        if self.count == 1 {
            return FIRST;
        }
        self.stray(quad).unwrap_or_else(|| self.by_hash(quad))
    }

    /// The same for a connection that does not live where the hash says.
    pub(in crate::stack) fn stray(&self, quad: &Quad) -> Option<u16> {
        if self.strays.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.with(|registry| registry.stray(quad))
    }

    /// The shard that a packet is for. What cannot be told, as of a fragment, or is not understood is the first one's.
    pub fn of_packet(&self, inbound: &Inbound<'_>) -> u16 {
        if self.count == 1 {
            return FIRST;
        }
        self.flow_of(inbound).map_or(FIRST, |quad| self.owner(&quad))
    }

    /// The connection that a packet has to do with, from our side.
    fn flow_of(&self, inbound: &Inbound<'_>) -> Option<Quad> {
        let behind = inbound.lent.iter().map(|lent| lent.octets().len()).sum();
        // In the first shard nobody would know the connection, and a reset would end it.
        let whole = || self.flow_of(&Inbound::plain(&Text::new(inbound.packet, inbound.lent).joined()));
        let parsed = match ip::parse_head(inbound.packet, behind) {
            Ok(parsed) if parsed.header.fragment.is_none() => parsed,
            // A lender who does not keep to `Inbound::lent` may have cut it among the headers of IP.
            Err(_) if behind > 0 => return whole(),
            _ => return None,
        };
        let header = &parsed.header;
        let v4 = header.src.is_v4();
        match header.protocol {
            protocol::TCP if behind == 0 || parsed.payload.len() >= PORTS => {
                let &[a, b, c, d] = parsed.payload.first_chunk()?;
                let remote = Endpoint::new(header.src, u16::from_be_bytes([a, b]));
                let local = Endpoint::new(header.dst, u16::from_be_bytes([c, d]));
                Some(Quad { local, remote })
            }
            protocol::TCP | protocol::ICMP | protocol::ICMPV6 if behind > 0 => {
                // What it quotes lies among what came by reference; or its ports do, of such a lender.
                whole()
            }
            protocol::ICMP if v4 => self.flow_of_error(&parsed),
            protocol::ICMPV6 if !v4 => self.flow_of_error(&parsed),
            _ => None,
        }
    }

    /// The connection whose packet an error quotes. Whether it is to be believed is its shard's matter.
    fn flow_of_error(&self, parsed: &ip::Parsed<'_>) -> Option<Quad> {
        let message = crate::wire::icmp::parse(&parsed.header, parsed.payload, Trust::Trusted).ok()?;
        let quoted = errors::interpret(&message)?.quoted;
        let (local, remote) = quoted.ports().filter(|_| quoted.protocol == protocol::TCP)?;
        Some(Quad { local: Endpoint::new(quoted.src, local), remote: Endpoint::new(quoted.dst, remote) })
    }

    /// Looks at what all shards share, or changes it.
    pub(in crate::stack) fn with<T>(&self, look: impl FnOnce(&mut Registry) -> T) -> T {
        let (mut look, mut seen) = (Some(look), None);
        self.shared.with(&mut |registry| seen = look.take().map(|look| look(registry)));
        seen.expect("it was looked at")
    }

    /// A connection, or what is left of it, lives in `shard` though the hash says otherwise, or is to. Says whether none
    /// with these ends lives in a third one.
    pub(in crate::stack) fn strays(&self, quad: &Quad, shard: u16) -> bool {
        let there = self.with(|registry| registry.strays(*quad, shard));
        if there {
            self.strays.fetch_add(1, Ordering::Release);
        }
        there
    }

    /// One of those is no more.
    pub(in crate::stack) fn stray_ends(&self, quad: &Quad) {
        self.strays.fetch_sub(1, Ordering::Release);
        self.with(|registry| registry.stray_ends(quad));
    }
}

impl fmt::Debug for Placement {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placement").field("count", &self.count).finish_non_exhaustive()
    }
}
