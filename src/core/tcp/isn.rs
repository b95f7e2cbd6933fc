//! Numbers an outsider cannot guess: initial sequence numbers (RFC 6528) and what else hangs on a secret.

use core::fmt;

use rand::CryptoRng;
use siphasher::sip::SipHasher24;

use crate::addr::{Address, Endpoint, Quad};
use crate::seq::Seq;
use crate::time::Instant;

/// A stack's secrets, one for each use so that none gives another away.
#[derive(Clone)]
pub struct Keys {
    isn: SipHasher24,
    timestamp: SipHasher24,
    port: SipHasher24,
    table: [u8; 16],
}

impl Keys {
    /// Draws the secrets, 128 bits each (RFC 6528 §3).
    pub fn new(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = || {
            let mut key = [0; 16];
            rng.fill_bytes(&mut key);
            key
        };
        Self {
            isn: SipHasher24::new_with_key(&key()),
            timestamp: SipHasher24::new_with_key(&key()),
            port: SipHasher24::new_with_key(&key()),
            table: key(),
        }
    }

    /// The initial sequence number of a connection that opens now: `M + F(quad, key)`, where M ticks every
    /// 4 µs (RFC 6528 §3, RFC 9293 §3.4.1). Numbers of one quad grow with time, so that segments of an earlier
    /// connection lie behind; those of different quads have nothing to do with each other.
    pub fn isn(&self, quad: &Quad, now: Instant) -> Seq {
        let m = (now.as_nanos() / 4_000) as u32;
        Seq::new(m.wrapping_add(self.isn.hash(&quad_octets(quad)) as u32))
    }

    /// What is added to the timestamp clock of a connection (RFC 7323 §5.4). The same for each connection of a
    /// quad, so that its timestamps grow from one to the next (RFC 6191 §2).
    pub fn timestamp_offset(&self, quad: &Quad) -> u32 {
        self.timestamp.hash(&quad_octets(quad)) as u32
    }

    /// Where the search for an ephemeral port to this peer begins: F of RFC 6056 §3.3.3.
    pub fn port_offset(&self, local: Address, remote: Endpoint) -> u32 {
        let quad = Quad { local: Endpoint::new(local, 0), remote };
        self.port.hash(&quad_octets(&quad)) as u32
    }

    /// The IPv6 flow label of a connection, 20 bits, not 0 (RFC 6437 §3).
    pub fn flow_label(&self, quad: &Quad) -> u32 {
        if quad.local.address.is_v4() {
            return 0;
        }
        ((self.port.hash(&quad_octets(quad)) >> 32) as u32 & 0xf_ffff).max(1)
    }

    /// The key for the connection table's hash.
    pub const fn table_key(&self) -> [u8; 16] {
        self.table
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// The quad in a fixed form, ports in network order.
fn quad_octets(quad: &Quad) -> [u8; 36] {
    let mut out = [0; 36];
    let parts = [
        (&quad.local.address.octets()[..], quad.local.port.to_be_bytes()),
        (&quad.remote.address.octets()[..], quad.remote.port.to_be_bytes()),
    ];
    for (half, (address, port)) in out.chunks_exact_mut(18).zip(parts) {
        let (a, p) = half.split_at_mut(16);
        a.copy_from_slice(address);
        p.copy_from_slice(&port);
    }
    out
}
