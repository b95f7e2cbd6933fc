//! Which connection a segment belongs to.

use alloc::boxed::Box;
use core::fmt;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use crate::addr::Quad;

/// A power of two: how many parts a table has. When one of them grows, no more than a part of all is hashed anew, so that
/// the connection which makes a million one more does not wait for that million.
const PARTS: usize = 256;

/// Slots of the slab by quad.
///
/// Four octets a connection: the quad itself stands in the slab, and a closure reads it there. The peers choose
/// half of each quad, so the hash is keyed with a secret. Nothing here iterates, so no order shows.
pub struct Table {
    parts: Box<[HashTable<u32>; PARTS]>,
    len: usize,
    hasher: SipHasher13,
}

/// Where a quad has its place in a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(u64);

impl Table {
    /// Empty. `key` is to be a secret: see [`Keys::table_key`](crate::tcp::isn::Keys::table_key).
    pub fn new(key: [u8; 16]) -> Self {
        let parts = Box::new([const { HashTable::new() }; PARTS]);
        Self { parts, len: 0, hasher: SipHasher13::new_with_key(&key) }
    }

    /// How many connections it has.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where a quad has its place, for whoever asks more than once.
    pub fn key(&self, quad: &Quad) -> Key {
        Key(hash(&self.hasher, quad))
    }

    /// The slot of the connection with these ends. `quad_of` gives the quad of a slot that is in the table.
    pub fn find(&self, quad: &Quad, quad_of: impl Fn(u32) -> Quad) -> Option<u32> {
        self.find_at(self.key(quad), quad, quad_of)
    }

    /// The same where its key is known.
    pub fn find_at(&self, Key(hash): Key, quad: &Quad, quad_of: impl Fn(u32) -> Quad) -> Option<u32> {
        self.parts[part(hash)].find(hash, |&slot| quad_of(slot) == *quad).copied()
    }

    /// Which of `count` that share a load a quad belongs to: always the same one, and none that a peer can choose.
    pub fn share(&self, quad: &Quad, count: usize) -> usize {
        // Other bits than those that choose the place in the table.
        if count > 1 { (hash(&self.hasher, quad) >> 32) as usize % count } else { 0 }
    }

    /// Adds a connection, by the key of its quad, which must not be in the table. `quad_of` must know the slot already.
    pub fn insert(&mut self, key: Key, index: u32, quad_of: impl Fn(u32) -> Quad) {
        debug_assert_eq!(self.key(&quad_of(index)), key, "it will be looked for by its quad");
        debug_assert_eq!(self.find(&quad_of(index), &quad_of), None, "a quad names one connection");
        let hasher = &self.hasher;
        self.parts[part(key.0)].insert_unique(key.0, index, |&slot| hash(hasher, &quad_of(slot)));
        self.len += 1;
    }

    /// Takes out a slot, whose quad has this key if it stands there. Says whether it did.
    pub fn remove(&mut self, Key(hash): Key, index: u32) -> bool {
        let Ok(entry) = self.parts[part(hash)].find_entry(hash, |&slot| slot == index) else { return false };
        entry.remove();
        self.len -= 1;
        true
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The part for a hash, by other bits than those that choose the place in it.
const fn part(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}

/// In one call over the quad in a fixed form: twice as fast as `Hash`, which feeds it field by field.
fn hash(hasher: &SipHasher13, quad: &Quad) -> u64 {
    quad.with_octets(|octets| hasher.hash(octets))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::addr::{Address, Endpoint};

    fn quad(n: u32) -> Quad {
        let a = Address::v4(Ipv4Addr::from_bits(n / 7));
        let b = Address::from_octets([(n % 3) as u8; 16]);
        Quad { local: Endpoint::new(a, (n % 7) as u16), remote: Endpoint::new(b, n as u16) }
    }

    #[test]
    fn both_ends_and_their_order_matter() {
        let q = quad(1000);
        let mut t = Table::new([1; 16]);
        t.insert(t.key(&q), 0, |_| q);
        assert_eq!(t.find(&q, |_| q), Some(0));
        let mut others = [q.reversed(), q, q];
        others[1].local.port ^= 1;
        others[2].remote.port ^= 1;
        for o in others {
            assert_eq!(t.find(&o, |_| q), None, "{o}");
            assert!(!t.remove(t.key(&o), 0), "{o}");
        }
        let key = t.key(&q);
        assert!(!t.remove(key, 1) && t.remove(key, 0) && !t.remove(key, 0));
        assert!(t.is_empty());
    }

    #[test]
    fn the_key_decides_the_hash() {
        let h = |key| hash(&SipHasher13::new_with_key(&[key; 16]), &quad(1));
        assert_ne!(h(1), h(2));
        assert_eq!(h(1), h(1));
    }

    /// What is hashed anew when one more is added is a small part of what is there.
    #[test]
    fn no_insertion_hashes_all_anew() {
        let mut t = Table::new([7; 16]);
        let seen = core::cell::Cell::new(0);
        let mut most = 0;
        for n in 0..100_000u32 {
            let quad_of = |slot: u32| {
                seen.set(seen.get() + 1);
                Quad {
                    local: quad(0).local,
                    remote: Endpoint::new(Address::v4(Ipv4Addr::from_bits(slot)), 1),
                }
            };
            let q = quad_of(n);
            seen.set(0);
            t.insert(t.key(&q), n, quad_of);
            most = most.max(seen.get());
        }
        assert!(most < 1000, "{most} of 100,000");
    }

    proptest! {
        #[test]
        fn finds_what_is_in_and_nothing_else(
            key: [u8; 16],
            ops in proptest::collection::vec((any::<bool>(), 0..300u32), 0..400),
        ) {
            let mut t = Table::new(key);
            // Slot i has the quad quads[i]; slots are not used again here.
            let mut quads: Vec<Quad> = Vec::new();
            let mut slots = alloc::collections::BTreeMap::new();
            for (insert, n) in ops {
                if insert {
                    slots.entry(n).or_insert_with(|| {
                        let slot = quads.len() as u32;
                        quads.push(quad(n));
                        t.insert(t.key(&quad(n)), slot, |i| quads[i as usize]);
                        slot
                    });
                } else {
                    let slot = slots.remove(&n);
                    let key = t.key(&quad(n));
                    prop_assert_eq!(t.remove(key, slot.unwrap_or(u32::MAX)), slot.is_some());
                }
                prop_assert_eq!(t.len(), slots.len());
            }
            for n in 0..300 {
                let slot = slots.get(&n).copied();
                prop_assert_eq!(t.find(&quad(n), |i| quads[i as usize]), slot);
            }
        }
    }
}
