//! Which connection a segment belongs to.

use core::fmt;

use hashbrown::HashTable;
use siphasher::sip::SipHasher13;

use crate::addr::{Endpoint, Quad};

/// Slots of the slab by quad.
///
/// Four octets a connection: the quad itself stands in the slab, and a closure reads it there. The peers choose
/// half of each quad, so the hash is keyed with a secret. Nothing here iterates, so no order shows.
pub struct Table {
    slots: HashTable<u32>,
    hasher: SipHasher13,
}

impl Table {
    /// Empty. `key` is to be a secret: see [`Keys::table_key`](crate::tcp::isn::Keys::table_key).
    pub fn new(key: [u8; 16]) -> Self {
        Self { slots: HashTable::new(), hasher: SipHasher13::new_with_key(&key) }
    }

    /// How many connections it has.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The slot of the connection with these ends. `quad_of` gives the quad of a slot that is in the table.
    pub fn find(&self, quad: &Quad, quad_of: impl Fn(u32) -> Quad) -> Option<u32> {
        self.slots.find(hash(&self.hasher, quad), |&slot| quad_of(slot) == *quad).copied()
    }

    /// Adds a connection, whose quad must not be in the table. `quad_of` must know the slot already.
    pub fn insert(&mut self, quad: &Quad, index: u32, quad_of: impl Fn(u32) -> Quad) {
        debug_assert_eq!(self.find(quad, &quad_of), None, "a quad names one connection");
        let hasher = &self.hasher;
        self.slots.insert_unique(hash(hasher, quad), index, |&slot| hash(hasher, &quad_of(slot)));
    }

    /// Takes a connection out and gives its slot. `quad_of` must still know it.
    pub fn remove(&mut self, quad: &Quad, quad_of: impl Fn(u32) -> Quad) -> Option<u32> {
        let entry = self.slots.find_entry(hash(&self.hasher, quad), |&slot| quad_of(slot) == *quad).ok()?;
        Some(entry.remove().0)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// In one call over the quad in a fixed form: twice as fast as `Hash`, which feeds it field by field.
fn hash(hasher: &SipHasher13, quad: &Quad) -> u64 {
    let mut octets = [0; 36];
    let (local, remote) = octets.split_at_mut(18);
    for (out, Endpoint { address, port }) in [(local, quad.local), (remote, quad.remote)] {
        let (a, p) = out.split_at_mut(16);
        a.copy_from_slice(address.octets());
        p.copy_from_slice(&port.to_be_bytes());
    }
    hasher.hash(&octets)
}
