//! Deadlines by the million: a hierarchical timing wheel (Varghese and Lauck 1987, scheme 7).
//!
//! ```text
//! tick, 64 µs:  … | level 5 | level 4 | level 3 | level 2 | level 1 | level 0 |
//!                   6 bits each: the slot of that level that a deadline lies in
//! ```
//!
//! A deadline stands in the level of the highest group of bits in which it differs from the wheel's present tick.
//! When the present reaches a slot of a higher level, what stands there cascades to lower ones; what is in a slot
//! of level 0 is due at one tick. An entry cascades at most five times, and empty slots are stepped over by their
//! bitmap, so a jump far ahead costs what is in between and not the time in between.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::time::Instant;

/// Nanoseconds a tick.
const TICK: u64 = 64_000;

const LEVELS: usize = 6;
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;

/// The list of entries that are due, after the lists of all slots.
const DUE: usize = LEVELS * SLOTS;

/// No entry.
const NONE: u32 = u32::MAX;

/// In place of a list's number: in no list.
const UNARMED: u64 = 0xfff;
const LIST_BITS: u32 = 12;

/// One deadline for each slot of a slab. 64 µs a tick; 16 octets an entry.
///
/// It is lazy: to move a deadline to later, do nothing, and arm it again when the old one comes up.
#[derive(Debug)]
pub struct Wheel {
    entries: Vec<Entry>,
    lists: Box<[List; DUE + 1]>,
    /// Which slots of a level have entries.
    occupied: [u64; LEVELS],
    /// The present: whatever is due at this tick or before is in the list `DUE`.
    present: u64,
    armed: u32,
}

/// A node of a doubly linked list, with the tick above and the number of its list in the low 12 bits of `place`:
/// 2⁶⁴ ns are fewer than 2⁴⁹ ticks.
#[derive(Clone, Copy, Debug)]
struct Entry {
    prev: u32,
    next: u32,
    place: u64,
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

impl List {
    const EMPTY: Self = Self { head: NONE, tail: NONE };
}

impl Entry {
    const UNARMED: Self = Self { prev: NONE, next: NONE, place: UNARMED };

    const fn tick(&self) -> u64 {
        self.place >> LIST_BITS
    }

    /// The list it is in.
    fn list(&self) -> Option<usize> {
        let list = self.place & UNARMED;
        (list != UNARMED).then_some(list as usize)
    }
}

impl Wheel {
    /// No deadline, at the stack's epoch.
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            lists: Box::new([List::EMPTY; DUE + 1]),
            occupied: [0; LEVELS],
            present: 0,
            armed: 0,
        }
    }

    /// How many deadlines there are.
    pub const fn len(&self) -> usize {
        self.armed as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.armed == 0
    }

    /// Sees to it that `index` comes up no later than the first tick at or after `deadline`. If it is armed for
    /// that tick or an earlier one, nothing changes. [`Instant::FAR_FUTURE`] is no deadline.
    pub fn arm(&mut self, index: u32, deadline: Instant) {
        if deadline == Instant::FAR_FUTURE {
            return;
        }
        let at = index as usize;
        if at >= self.entries.len() {
            self.entries.resize(at + 1, Entry::UNARMED);
        }
        // What is past is due at once.
        let tick = deadline.as_nanos().div_ceil(TICK).max(self.present);
        let entry = &self.entries[at];
        if entry.list().is_some() {
            if entry.tick() <= tick {
                return;
            }
            self.unlink(index);
        }
        self.link(index, tick);
    }

    /// Forgets the deadline of `index`, if it has one.
    pub fn disarm(&mut self, index: u32) {
        if self.entries.get(index as usize).is_some_and(|e| e.list().is_some()) {
            self.unlink(index);
        }
    }

    /// Takes the next entry whose deadline has come, until there is none. In the order of ticks, and within one
    /// in the order of arming.
    pub fn expired(&mut self, now: Instant) -> Option<u32> {
        let now = now.as_nanos() / TICK;
        loop {
            let due = self.lists[DUE].head;
            if due != NONE {
                self.unlink(due);
                return Some(due);
            }
            match self.next_slot() {
                Some((level, slot, tick)) if tick <= now => self.enter(level, slot, tick),
                _ => {
                    // No slot begins before `now`, so no digit of an entry that differed comes to agree.
                    self.present = self.present.max(now);
                    return None;
                }
            }
        }
    }

    /// When to call [`expired`](Self::expired) next: never later than the tick of the earliest deadline, but
    /// maybe earlier, when entries must cascade.
    pub fn next(&self) -> Option<Instant> {
        let tick = if self.lists[DUE].head != NONE { self.present } else { self.next_slot()?.2 };
        Some(Instant::from_nanos(tick.saturating_mul(TICK)))
    }

    /// The first slot with entries after the present: level, slot, and the tick at which it begins. The lowest
    /// level that has any has the earliest.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|&o| o != 0)?;
        let shift = level as u32 * BITS;
        let here = self.present >> shift;
        // Below the top level, slots before the present one are empty. The top level goes round.
        let digit = here as u32 % SLOTS as u32;
        let ahead = u64::from(self.occupied[level].rotate_right(digit).trailing_zeros());
        let at = here + ahead;
        Some((level, at as usize % SLOTS, at << shift))
    }

    /// The present moves to the beginning of a slot, and what is there finds its new place.
    fn enter(&mut self, level: usize, slot: usize, tick: u64) {
        self.present = tick;
        self.occupied[level] &= !(1 << slot);
        let list = core::mem::replace(&mut self.lists[level * SLOTS + slot], List::EMPTY);
        let mut at = list.head;
        while at != NONE {
            let entry = self.entries[at as usize];
            self.armed -= 1;
            self.link(at, entry.tick());
            at = entry.next;
        }
    }

    /// The list for a tick, as seen from the present.
    fn list_for(&self, tick: u64) -> usize {
        if tick <= self.present {
            return DUE;
        }
        let level = ((tick ^ self.present).ilog2() / BITS) as usize;
        let top = LEVELS - 1;
        if level < top {
            return level * SLOTS + (tick >> (level as u32 * BITS)) as usize % SLOTS;
        }
        // Beyond a whole turn of the top level an entry waits in the slot before the present one, and cascades
        // to the same level again.
        let shift = top as u32 * BITS;
        let here = self.present >> shift;
        let at = (tick >> shift).min(here + SLOTS as u64 - 1);
        top * SLOTS + at as usize % SLOTS
    }

    /// Appends an entry that is in no list.
    fn link(&mut self, index: u32, tick: u64) {
        let list = self.list_for(tick);
        if let Some(level) = self.occupied.get_mut(list / SLOTS) {
            *level |= 1 << (list % SLOTS);
        }
        let tail = core::mem::replace(&mut self.lists[list].tail, index);
        match self.entries.get_mut(tail as usize) {
            Some(last) => last.next = index,
            None => self.lists[list].head = index,
        }
        self.entries[index as usize] =
            Entry { prev: tail, next: NONE, place: tick << LIST_BITS | list as u64 };
        self.armed += 1;
    }

    /// Takes an entry out of the list it is in.
    fn unlink(&mut self, index: u32) {
        let entry = core::mem::replace(&mut self.entries[index as usize], Entry::UNARMED);
        let Some(list) = entry.list() else { return };
        match self.entries.get_mut(entry.prev as usize) {
            Some(prev) => prev.next = entry.next,
            None => self.lists[list].head = entry.next,
        }
        match self.entries.get_mut(entry.next as usize) {
            Some(next) => next.prev = entry.prev,
            None => self.lists[list].tail = entry.prev,
        }
        if self.lists[list].head == NONE
            && let Some(level) = self.occupied.get_mut(list / SLOTS)
        {
            *level &= !(1 << (list % SLOTS));
        }
        self.armed -= 1;
    }
}

impl Default for Wheel {
    fn default() -> Self {
        Self::new()
    }
}
