//! Where sockets live: slots that are used again, and handles that notice.

use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

/// A socket's handle. A handle kept after its socket is gone names nothing: the slot's generation differs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SocketId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
    pub(crate) shard: u16,
}

impl SocketId {
    /// The slot's number: dense from 0, used again after the socket is gone. A key for side tables.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Which use of the slot this is.
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// The shard it lives in, where there are several stacks to a host: two of them name no socket alike.
    pub const fn shard(self) -> u16 {
        self.shard
    }
}

/// No slot: the end of the list of free ones.
const NONE: u32 = u32::MAX;

/// Slots for values. The slot that was freed last is used first, so that the memory in use stays warm.
#[derive(Debug)]
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    /// The first free slot.
    free: u32,
    len: u32,
    /// What its handles say of where it is.
    shard: u16,
    /// How often something in it may have been changed.
    changes: u64,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    entry: Entry<T>,
}

#[derive(Debug)]
enum Entry<T> {
    Occupied(T),
    Vacant { next: u32 },
}

impl<T> Slab<T> {
    /// Empty, without an allocation.
    pub const fn new() -> Self {
        Self::in_shard(0)
    }

    /// Empty, of the shard with this number: the handles of another's values name nothing here.
    pub const fn in_shard(shard: u16) -> Self {
        Self { slots: Vec::new(), free: NONE, len: 0, shard, changes: 0 }
    }

    /// How many values there are.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A number that is another one once any value was lent to be changed, came or went.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Counts as a change of all values: what they depend on has changed.
    pub const fn touch(&mut self) {
        self.changes += 1;
    }

    /// Keeps a value and gives its handle.
    ///
    /// # Panics
    ///
    /// When there are 2³² - 1 values already.
    pub fn insert(&mut self, value: T) -> SocketId {
        self.changes += 1;
        let index = self.free;
        let id = if let Some(slot) = self.slots.get_mut(index as usize) {
            if let Entry::Vacant { next } = slot.entry {
                self.free = next;
            }
            slot.entry = Entry::Occupied(value);
            SocketId { index, generation: slot.generation, shard: self.shard }
        } else {
            let index = self.slots.len() as u32;
            assert!(self.slots.len() < NONE as usize, "a slab has fewer than 2^32 slots");
            self.slots.push(Slot { generation: 1, entry: Entry::Occupied(value) });
            SocketId { index, generation: 1, shard: self.shard }
        };
        self.len += 1;
        id
    }

    /// The value of a handle, unless it is gone.
    pub fn get(&self, id: SocketId) -> Option<&T> {
        self.slots
            .get(id.index as usize)
            .filter(|s| self.shard == id.shard && s.generation == id.generation)?
            .value()
    }

    /// The value of a handle, to change it.
    pub fn get_mut(&mut self, id: SocketId) -> Option<&mut T> {
        self.changes += 1;
        let ours = self.shard == id.shard;
        self.slots.get_mut(id.index as usize).filter(|s| ours && s.generation == id.generation)?.value_mut()
    }

    /// The value in a slot, whatever its generation.
    pub fn by_index(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.value()
    }

    /// The value in a slot, to change it.
    pub fn by_index_mut(&mut self, index: u32) -> Option<&mut T> {
        self.changes += 1;
        self.slots.get_mut(index as usize)?.value_mut()
    }

    /// The handle of what is in a slot now.
    pub fn id_of(&self, index: u32) -> Option<SocketId> {
        let slot = self.slots.get(index as usize)?;
        slot.value().map(|_| SocketId { index, generation: slot.generation, shard: self.shard })
    }

    /// Takes a value out. Its handle is dead then, also when the slot is used again.
    pub fn remove(&mut self, id: SocketId) -> Option<T> {
        self.changes += 1;
        let ours = self.shard == id.shard;
        let slot = self.slots.get_mut(id.index as usize).filter(|s| ours && s.generation == id.generation)?;
        slot.value()?;
        let Entry::Occupied(value) = mem::replace(&mut slot.entry, Entry::Vacant { next: self.free }) else {
            return None;
        };
        slot.generation = slot.generation.checked_add(1).unwrap_or(1);
        self.free = id.index;
        self.len -= 1;
        Some(value)
    }

    /// All values with their handles, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (SocketId, &T)> + '_ {
        self.iter_in(0..NONE)
    }

    /// The values in these slots with their handles, in the order of their slots.
    pub fn iter_in(&self, slots: Range<u32>) -> impl Iterator<Item = (SocketId, &T)> + '_ {
        let end = slots.end.min(self.end());
        let lent = self.slots.get(slots.start as usize..end as usize).unwrap_or_default();
        (slots.start..).zip(lent).filter_map(|(index, slot)| {
            Some((SocketId { index, generation: slot.generation, shard: self.shard }, slot.value()?))
        })
    }

    /// The number behind that of the last slot, be they taken or free.
    pub const fn end(&self) -> u32 {
        self.slots.len() as u32
    }

    /// All values with their handles, in the order of their slots, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (SocketId, &mut T)> + '_ {
        self.changes += 1;
        let shard = self.shard;
        (0..).zip(&mut self.slots).filter_map(move |(index, slot)| {
            let id = SocketId { index, generation: slot.generation, shard };
            Some((id, slot.value_mut()?))
        })
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slot<T> {
    const fn value(&self) -> Option<&T> {
        match &self.entry {
            Entry::Occupied(value) => Some(value),
            Entry::Vacant { .. } => None,
        }
    }

    const fn value_mut(&mut self) -> Option<&mut T> {
        match &mut self.entry {
            Entry::Occupied(value) => Some(value),
            Entry::Vacant { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_handle_is_dead_after_its_value() {
        let mut s = Slab::new();
        let a = s.insert('a');
        assert_eq!((a.index(), a.generation()), (0, 1));
        assert_eq!(s.remove(a), Some('a'));
        let b = s.insert('b');
        assert_eq!((b.index(), b.generation()), (0, 2));
        assert_eq!(s.get(a), None);
        assert_eq!(s.get_mut(a), None);
        assert_eq!(s.remove(a), None);
        assert_eq!((s.get(b), s.by_index(0), s.id_of(0)), (Some(&'b'), Some(&'b'), Some(b)));
        assert_eq!(s.len(), 1);
    }

    #[test]
    fn the_slot_freed_last_is_used_first() {
        let mut s = Slab::new();
        let ids: Vec<_> = (0..4).map(|n| s.insert(n)).collect();
        s.remove(ids[2]);
        s.remove(ids[0]);
        assert_eq!((s.by_index(0), s.id_of(0)), (None, None));
        assert_eq!(s.by_index_mut(9), None);
        let again: Vec<_> = (0..3).map(|n| s.insert(n).index()).collect();
        assert_eq!(again, [0, 2, 4]);
    }

    #[test]
    fn the_values_in_some_slots() {
        let mut s = Slab::new();
        let ids: Vec<_> = (0..5).map(|n| s.insert(n)).collect();
        s.remove(ids[1]);
        s.remove(ids[4]);
        let listed = |slots: Range<u32>| s.iter_in(slots).map(|(id, n)| (id, *n)).collect::<Vec<_>>();
        assert_eq!(s.end(), 5, "free ones count");
        assert_eq!(listed(0..3), [(ids[0], 0), (ids[2], 2)]);
        assert_eq!(listed(3..9), [(ids[3], 3)]);
        assert_eq!((listed(5..9), listed(4..5)), (Vec::new(), Vec::new()));
        assert_eq!(listed(0..u32::MAX).len(), s.iter().count());
    }

    #[test]
    fn an_empty_slot_cannot_be_emptied() {
        let mut s = Slab::new();
        let ids = [s.insert(0), s.insert(1)];
        s.remove(ids[0]);
        s.remove(ids[1]);
        let next_use = SocketId { index: 0, generation: 2, shard: 0 };
        assert_eq!(s.remove(next_use), None);
        assert_eq!([s.insert(2).index(), s.insert(3).index(), s.insert(4).index()], [1, 0, 2]);
    }

    #[test]
    fn a_handle_of_another_shard_names_nothing() {
        let (mut one, mut other) = (Slab::in_shard(1), Slab::in_shard(2));
        let (a, b) = (one.insert('a'), other.insert('b'));
        assert_eq!((a.index(), a.generation(), a.shard(), b.shard()), (0, 1, 1, 2));
        assert_eq!(one.get(b), None);
        assert_eq!(one.get_mut(b), None);
        assert_eq!(one.remove(b), None);
        assert_eq!((one.get(a), one.id_of(0), one.iter().next()), (Some(&'a'), Some(a), Some((a, &'a'))));
        assert_eq!(one.iter_mut().map(|(id, value)| (id, *value)).next(), Some((a, 'a')));
        assert_eq!(one.remove(a), Some('a'));
        assert_eq!(one.insert('c').shard(), 1, "a slot used again");
    }

    /// Who remembers the number finds out by it that what it knows may hold no more.
    #[test]
    fn whatever_may_change_a_value_is_a_change() {
        type Deed = fn(&mut Slab<char>, SocketId);
        let deeds: [(&str, Deed); 7] = [
            ("get_mut", |s, id| _ = s.get_mut(id)),
            ("by_index_mut", |s, id| _ = s.by_index_mut(id.index())),
            ("iter_mut", |s, _| _ = s.iter_mut()),
            ("touch", |s, _| s.touch()),
            ("insert in a new slot", |s, _| _ = s.insert('b')),
            ("remove", |s, id| _ = s.remove(id)),
            ("insert in a slot used again", |s, _| _ = s.insert('c')),
        ];
        let mut s = Slab::new();
        let id = s.insert('a');
        let mut seen = alloc::vec![s.changes()];
        for (what, deed) in deeds {
            deed(&mut s, id);
            assert!(!seen.contains(&s.changes()), "{what}");
            seen.push(s.changes());
        }
        let before = s.changes();
        _ = (s.get(id), s.by_index(0), s.id_of(0), s.iter().count(), s.len(), s.is_empty());
        assert_eq!(s.changes(), before, "a look is none");
    }

    #[test]
    fn a_generation_is_never_zero() {
        let mut s = Slab::new();
        s.insert(());
        s.slots[0].generation = u32::MAX;
        s.remove(s.id_of(0).unwrap());
        assert_eq!(s.insert(()).generation(), 1);
    }

    proptest! {
        #[test]
        fn is_a_map_from_handles(ops in proptest::collection::vec((any::<bool>(), 0..20usize), 0..200)) {
            let mut s = Slab::new();
            let mut model = BTreeMap::new();
            let mut given = Vec::new();
            for (n, (insert, pick)) in ops.into_iter().enumerate() {
                if insert {
                    let id = s.insert(n);
                    prop_assert!(!given.contains(&id));
                    given.push(id);
                    model.insert(id, n);
                } else if let Some(id) = given.get(pick) {
                    prop_assert_eq!(s.remove(*id), model.remove(id));
                }
                prop_assert_eq!(s.len(), model.len());
                prop_assert_eq!(s.is_empty(), model.is_empty());
                prop_assert!(s.iter().map(|(id, v)| (id, *v)).eq(model.iter().map(|(id, v)| (*id, *v))));
                prop_assert!(s.iter_mut().map(|(id, v)| (id, *v)).eq(model.iter().map(|(id, v)| (*id, *v))));
                for id in &given {
                    prop_assert_eq!(s.get(*id), model.get(id));
                }
            }
        }
    }
}
