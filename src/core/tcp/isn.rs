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
    cookie: SipHasher24,
    table: [u8; 16],
}

impl Keys {
    /// Draws the secrets, 128 bits each (RFC 6528 §3).
    //= https://www.rfc-editor.org/rfc/rfc6528#section-4
    //= id=rfc6528-4-1
    //# they MUST be chosen in accordance with the recommendations given in [RFC4086].
    pub fn new(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut key = || {
            let mut key = [0; 16];
            rng.fill_bytes(&mut key);
            key
        };
        let isn = SipHasher24::new_with_key(&key());
        let timestamp = SipHasher24::new_with_key(&key());
        let port = SipHasher24::new_with_key(&key());
        // A secret of its own, derived: no quad has so few octets.
        let mut cookie = [0; 16];
        for (half, label) in cookie.chunks_exact_mut(8).zip([b"cookie 0", b"cookie 1"]) {
            half.copy_from_slice(&port.hash(label).to_be_bytes());
        }
        Self { isn, timestamp, port, cookie: SipHasher24::new_with_key(&cookie), table: key() }
    }

    /// The initial sequence number of a connection that opens now: `M + F(quad, key)`, where M ticks every
    /// 4 µs (RFC 6528 §3, RFC 9293 §3.4.1). Numbers of one quad grow with time, so that segments of an earlier
    /// connection lie behind; those of different quads have nothing to do with each other.
    pub fn isn(&self, quad: &Quad, now: Instant) -> Seq {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.4.1
        //# A TCP implementation MUST use the above type of "clock" for clock-driven selection of initial
        //# sequence numbers (MUST-8)
        //= https://www.rfc-editor.org/rfc/rfc6528#section-3
        //= id=rfc6528-3-1, rfc6528-3-2
        let m = (now.as_nanos() / 4_000) as u32;
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.4.1
        //= id=SHLD-1
        //# SHOULD generate its initial sequence numbers with the expression:
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.4.1
        //# F() MUST NOT be computable from the outside (MUST-9)
        Seq::new(m.wrapping_add(quad.with_octets(|octets| self.isn.hash(octets)) as u32))
    }

    /// What is added to the timestamp clock of a connection (RFC 7323 §5.4). The same for each connection of a
    /// quad, so that its timestamps grow from one to the next (RFC 6191 §2).
    //= https://www.rfc-editor.org/rfc/rfc7323#section-7
    //= id=rfc7323-7-1
    //# It is therefore RECOMMENDED to generate a random, per-connection offset to be used with the clock
    //# source when generating the Timestamps option value (see Section 5.4).
    pub fn timestamp_offset(&self, quad: &Quad) -> u32 {
        quad.with_octets(|octets| self.timestamp.hash(octets)) as u32
    }

    /// Where the search for an ephemeral port to this peer begins: F of RFC 6056 §3.3.3.
    pub fn port_offset(&self, local: Address, remote: Endpoint) -> u32 {
        let quad = Quad { local: Endpoint::new(local, 0), remote };
        quad.with_octets(|octets| self.port.hash(octets)) as u32
    }

    /// The flow label of a connection: 20 bits, not 0 (RFC 6437 §3); 0 for IPv4, which has none.
    //= https://www.rfc-editor.org/rfc/rfc4987#section-4
    //= id=rfc4987-4-3
    pub fn flow_label(&self, quad: &Quad) -> u32 {
        if quad.local.address.is_v4() {
            return 0;
        }
        ((quad.with_octets(|octets| self.port.hash(octets)) >> 32) as u32 & 0xf_ffff).max(1)
    }

    /// F1 of a SYN cookie ([`syn_cookie`](super::syn_cookie)).
    pub(super) fn cookie_base(&self, quad: &Quad, irs: Seq) -> u32 {
        (self.cookie.hash(&cookie_octets(quad, irs, 0)) >> 32) as u32
    }

    /// F2 of a SYN cookie, in the low 24 bits.
    pub(super) fn cookie(&self, quad: &Quad, irs: Seq, minute: u32) -> u32 {
        self.cookie.hash(&cookie_octets(quad, irs, minute)) as u32
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

fn cookie_octets(quad: &Quad, irs: Seq, minute: u32) -> [u8; 44] {
    let mut out = [0; 44];
    out[..36].copy_from_slice(&quad.octets());
    out[36..40].copy_from_slice(&irs.get().to_be_bytes());
    out[40..].copy_from_slice(&minute.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use rand::SeedableRng;
    use rand::rngs::ChaCha12Rng;

    use super::*;
    use crate::time::Duration;

    fn keys(seed: u64) -> Keys {
        Keys::new(&mut ChaCha12Rng::seed_from_u64(seed))
    }

    fn quad(local_port: u16, remote_port: u16) -> Quad {
        Quad {
            local: Endpoint::new(Address::v4(Ipv4Addr::new(10, 0, 0, 1)), local_port),
            remote: Endpoint::new(Address::v6(Ipv6Addr::LOCALHOST), remote_port),
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.4.1
    //= type=test
    //= id=MUST-8
    //= https://www.rfc-editor.org/rfc/rfc6528#section-3
    //= type=test
    //= id=rfc6528-3-1
    #[test]
    fn a_number_of_one_quad_ticks_every_four_microseconds() {
        let (k, q) = (keys(1), quad(1000, 80));
        let at = |micros| k.isn(&q, Instant::from_micros(micros));
        assert_eq!(at(3), at(0));
        assert_eq!(at(4).since(at(0)), 1);
        assert_eq!(at(1_000_000).since(at(0)), 250_000);
        // It goes round in 4.77 hours (RFC 9293 §3.4.1 says "approximately 4.55").
        assert_eq!(at((1 << 32) * 4), at(0));
        let late = Instant::from_secs(1_000_000_000);
        assert_eq!(k.isn(&q, late + Duration::from_millis(1)).since(k.isn(&q, late)), 250);
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.4.1
    //= type=test
    //= id=SHLD-1, MUST-9
    //= https://www.rfc-editor.org/rfc/rfc6528#section-3
    //= type=test
    //= id=rfc6528-3-1, rfc6528-3-2
    #[test]
    fn every_part_of_a_quad_and_the_key_matter() {
        let q = quad(1000, 80);
        let mut others = [q, q, q, q.reversed(), quad(80, 1000)];
        others[0].local.port += 1;
        others[1].remote.port += 1;
        others[2].local.address = Address::v4(Ipv4Addr::new(10, 0, 0, 2));
        for o in others {
            assert_ne!(keys(1).isn(&q, Instant::ZERO), keys(1).isn(&o, Instant::ZERO), "{o}");
            assert_ne!(keys(1).timestamp_offset(&q), keys(1).timestamp_offset(&o), "{o}");
        }
        assert_ne!(keys(1).isn(&q, Instant::ZERO), keys(2).isn(&q, Instant::ZERO));
        assert_eq!(keys(1).isn(&q, Instant::ZERO), keys(1).isn(&q, Instant::ZERO));
    }

    /// Between two hosts of IPv4 the octets are fewer, and each of them counts.
    #[test]
    fn every_octet_of_a_quad_of_ipv4_matters() {
        let quad = |octets: [u8; 12]| {
            let [a, b, c, d, e, f, g, h, ports @ ..] = octets;
            let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
            Quad {
                local: Endpoint::new(Address::v4([a, b, c, d].into()), port(0)),
                remote: Endpoint::new(Address::v4([e, f, g, h].into()), port(2)),
            }
        };
        let octets = [10, 0, 0, 1, 10, 0, 0, 2, 3, 232, 0, 80];
        let q = quad(octets);
        let others = (0..12).map(|at| {
            let mut octets = octets;
            octets[at] ^= 1;
            quad(octets)
        });
        let k = keys(1);
        for o in others.chain([q.reversed()]) {
            assert_ne!(k.isn(&q, Instant::ZERO), k.isn(&o, Instant::ZERO), "{o}");
            assert_ne!(k.timestamp_offset(&q), k.timestamp_offset(&o), "{o}");
        }
    }

    #[test]
    fn secrets_differ_and_do_not_show() {
        let (k, q) = (keys(1), quad(0, 80));
        assert_ne!(k.isn(&q, Instant::ZERO).get(), k.timestamp_offset(&q));
        assert_ne!(k.timestamp_offset(&q), k.port_offset(q.local.address, q.remote));
        assert_ne!(k.table_key(), k.isn.key());
        assert_eq!(alloc::format!("{k:?}"), "Keys(..)");
    }

    #[test]
    fn a_flow_label_names_an_ipv6_connection() {
        let (k, v4) = (keys(1), quad(1000, 80));
        let v6 = |port| Quad { local: Endpoint::new(v4.remote.address, port), remote: v4.remote };
        assert_eq!(k.flow_label(&v4), 0);
        let labels: alloc::collections::BTreeSet<u32> = (0..100).map(|p| k.flow_label(&v6(p))).collect();
        assert!(labels.len() > 90 && labels.iter().all(|l| (1..1 << 20).contains(l)));
        assert_eq!(k.flow_label(&v6(7)), k.flow_label(&v6(7)));
    }

    #[test]
    fn the_port_search_depends_on_the_peer_alone() {
        let (k, q) = (keys(1), quad(1000, 80));
        let offset = k.port_offset(q.local.address, q.remote);
        assert_ne!(offset, k.port_offset(q.local.address, quad(0, 81).remote));
        assert_ne!(offset, k.port_offset(q.remote.address, q.remote));
    }
}
