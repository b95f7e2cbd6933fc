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
    /// The present: whatever is due at this tick or before is in the list `DUE`, or in the one that cascades.
    present: u64,
    /// The list of the slot that the present reached last. What stands there yet has still to find its new place.
    cascading: usize,
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
            cascading: DUE,
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
        let entry = &self.entries[at];
        let armed = entry.list().is_some();
        // Mostly it comes up before, and the deadline has only moved on: known without a division.
        if armed && entry.tick().saturating_mul(TICK) <= deadline.as_nanos() {
            return;
        }
        // What is past is due at once.
        let tick = deadline.as_nanos().div_ceil(TICK).max(self.present);
        if armed {
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
    ///
    /// Each entry that comes up or cascades takes one of `steps`. Without any left there is none either, and
    /// [`next`](Self::next) says to come again at once: however many entries there are, nobody waits for all of them.
    pub fn expired(&mut self, now: Instant, steps: &mut u32) -> Option<u32> {
        let now = now.as_nanos() / TICK;
        loop {
            let (moves, due) = (self.lists[self.cascading].head, self.lists[DUE].head);
            if moves != NONE || due != NONE {
                *steps = steps.checked_sub(1)?;
            }
            if moves != NONE && self.cascading != DUE {
                let tick = self.entries[moves as usize].tick();
                self.unlink(moves);
                self.link(moves, tick);
                continue;
            }
            // As the present goes on, later deadlines may come to stand in that list.
            self.cascading = DUE;
            if due != NONE {
                self.unlink(due);
                return Some(due);
            }
            match self.next_slot() {
                Some((level, slot, tick)) if tick <= now => {
                    self.present = tick;
                    self.cascading = level * SLOTS + slot;
                }
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
        let at_once = self.lists[DUE].head != NONE || self.lists[self.cascading].head != NONE;
        let tick = if at_once { self.present } else { self.next_slot()?.2 };
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

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(tick: u64) -> Instant {
        Instant::from_nanos(tick.saturating_mul(TICK))
    }

    fn expired(w: &mut Wheel, now: Instant) -> Option<u32> {
        w.expired(now, &mut u32::MAX.clone())
    }

    fn fired(w: &mut Wheel, now: Instant) -> Vec<u32> {
        core::iter::from_fn(|| expired(w, now)).collect()
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 16);
    }

    #[test]
    fn never_early() {
        let mut w = Wheel::new();
        w.arm(3, Instant::from_nanos(10 * TICK + 1));
        assert_eq!(expired(&mut w, Instant::from_nanos(11 * TICK - 1)), None);
        assert_eq!(w.next(), Some(at(11)));
        assert_eq!(fired(&mut w, at(11)), [3]);
        assert_eq!((w.next(), w.is_empty()), (None, true));
    }

    #[test]
    fn only_an_earlier_deadline_moves_an_entry() {
        let mut w = Wheel::new();
        w.arm(0, at(100));
        w.arm(0, at(200));
        w.arm(0, Instant::FAR_FUTURE);
        w.arm(1, at(100_000));
        w.arm(1, at(90));
        assert_eq!(w.len(), 2);
        assert_eq!(fired(&mut w, at(99)), [1]);
        assert_eq!(fired(&mut w, at(100)), [0]);
        assert_eq!(fired(&mut w, at(1 << 40)), []);
        w.arm(1, Instant::FAR_FUTURE);
        assert!(w.is_empty());
    }

    #[test]
    fn what_is_past_is_due_at_once() {
        let mut w = Wheel::new();
        assert_eq!(expired(&mut w, at(5000)), None);
        w.arm(0, at(4000));
        w.arm(1, at(5000));
        assert!(w.next().unwrap() <= at(5000));
        assert_eq!(fired(&mut w, at(5000)), [0, 1]);
    }

    #[test]
    fn one_tick_keeps_the_order_of_arming() {
        let mut w = Wheel::new();
        for (i, when) in [(5, 0), (2, 1), (9, 5000), (1, 9990), (7, 9999)] {
            assert_eq!(expired(&mut w, at(when)), None);
            w.arm(i, at(10_000));
        }
        w.arm(3, at(9_999));
        assert_eq!(fired(&mut w, at(20_000)), [3, 5, 2, 9, 1, 7]);
    }

    /// A hundred thousand deadlines of one slot of a high level, which is the worst there can be: no call does more than
    /// it is let, whatever comes in between, and all come up in their order.
    #[test]
    fn no_call_cascades_more_than_it_is_let() {
        const MANY: u32 = 100_000;
        let mut w = Wheel::new();
        for i in 0..MANY {
            w.arm(i, at(1_000_000 + u64::from(i % 7)));
        }
        let (mut calls, mut came) = (0, Vec::new());
        let now = at(1_000_100);
        while w.next().is_some_and(|next| next <= now) {
            let mut steps = 1000;
            while let Some(i) = w.expired(now, &mut steps) {
                came.push((i % 7, i));
            }
            calls += 1;
            // One that has not cascaded yet, forgotten and armed again.
            if calls == 3 {
                w.disarm(MANY - 1);
                w.arm(MANY - 1, at(999_999));
            }
        }
        // Each cascades over five levels at the most, and comes up.
        assert!(calls > 100 && calls <= 6 * MANY / 1000 + 1, "{calls} calls");
        let early = came.iter().position(|&(_, i)| i == MANY - 1).unwrap();
        came.remove(early);
        assert_eq!(came.len() as u32, MANY - 1);
        assert!(came.is_sorted(), "in the order of ticks, and in that of arming");
        assert!(w.is_empty());
    }

    #[test]
    fn disarmed_is_forgotten() {
        let mut w = Wheel::new();
        for i in 0..3 {
            w.arm(i, at(77));
        }
        w.disarm(1);
        w.disarm(1);
        w.disarm(1000);
        assert_eq!(fired(&mut w, at(77)), [0, 2]);
        w.arm(4, at(78));
        w.disarm(4);
        assert_eq!(w.next(), None);
    }

    /// A deadline of many turns of the top level, and a jump there: as many steps as turns.
    #[test]
    fn far_deadlines_go_round() {
        let turn = 1u64 << (BITS * LEVELS as u32);
        let mut w = Wheel::new();
        w.arm(0, at(5 * turn + 12_345));
        w.arm(1, at(turn - 1));
        w.arm(2, Instant::from_nanos(u64::MAX - 1));
        assert_eq!(fired(&mut w, at(5 * turn + 12_344)), [1]);
        assert_eq!(fired(&mut w, at(5 * turn + 12_345)), [0]);
        assert_eq!(fired(&mut w, Instant::from_nanos(u64::MAX - TICK)), []);
        assert_eq!(w.len(), 1);
    }

    /// Sleeping until `next` gets there in few steps.
    #[test]
    fn sleeping_by_next_wakes_a_few_times() {
        for tick in [1, 63, 64, 4095, 4096, 123_456_789, (1 << 35) + 98_765, (1 << 36) - 1] {
            let mut w = Wheel::new();
            assert_eq!(expired(&mut w, at(1)), None);
            w.arm(0, at(1 + tick));
            let mut steps = 0;
            loop {
                steps += 1;
                let now = w.next().unwrap();
                assert!(now <= at(1 + tick));
                if expired(&mut w, now) == Some(0) {
                    assert_eq!(now, at(1 + tick));
                    break;
                }
            }
            assert!(steps <= LEVELS, "{steps} steps to {tick}");
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        /// An entry, and nanoseconds from now on.
        Arm(u32, u64),
        /// An entry, and nanoseconds that its deadline is past already.
        ArmPast(u32, u64),
        Disarm(u32),
        /// So many nanoseconds pass.
        Pass(u64),
        /// As many pass as `next` says.
        Sleep,
    }

    fn nanos() -> impl Strategy<Value = u64> {
        // Every magnitude from one nanosecond to two centuries.
        (0..63u32, any::<u64>()).prop_map(|(bits, n)| n >> (63 - bits) >> 1)
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let near = || prop_oneof![nanos(), 0..200 * TICK, (0..200u64).prop_map(|t| t * TICK)];
        let op = prop_oneof![
            6 => (0..20u32, near()).prop_map(|(i, n)| Op::Arm(i, n)),
            1 => (0..20u32, near()).prop_map(|(i, n)| Op::ArmPast(i, n)),
            1 => (0..20u32).prop_map(Op::Disarm),
            2 => near().prop_map(Op::Pass),
            2 => Just(Op::Sleep),
        ];
        proptest::collection::vec(op, 1..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn is_an_ordered_list_of_deadlines(ops in ops()) {
            let mut w = Wheel::new();
            // By tick and order of arming; and where each entry stands.
            let mut model = BTreeMap::<(u64, usize), u32>::new();
            let mut places = BTreeMap::<u32, (u64, usize)>::new();
            let mut now = Instant::ZERO;
            for (order, op) in ops.into_iter().enumerate() {
                let mut arm = |i: u32, deadline: Instant| {
                    w.arm(i, deadline);
                    let tick = deadline.as_nanos().div_ceil(TICK).max(now.as_nanos() / TICK);
                    if places.get(&i).is_some_and(|p| p.0 <= tick) || deadline == Instant::FAR_FUTURE {
                        return;
                    }
                    if let Some(p) = places.insert(i, (tick, order)) {
                        model.remove(&p);
                    }
                    model.insert((tick, order), i);
                };
                match op {
                    Op::Arm(i, n) => arm(i, Instant::from_nanos(now.as_nanos().saturating_add(n))),
                    Op::ArmPast(i, n) => arm(i, Instant::from_nanos(now.as_nanos().saturating_sub(n))),
                    Op::Disarm(i) => {
                        w.disarm(i);
                        if let Some(p) = places.remove(&i) {
                            model.remove(&p);
                        }
                    }
                    Op::Pass(n) => now = Instant::from_nanos(now.as_nanos().saturating_add(n)),
                    Op::Sleep => now = now.max(w.next().unwrap_or(now)),
                }
                if matches!(op, Op::Pass(_) | Op::Sleep) {
                    let mut due = model.split_off(&(now.as_nanos() / TICK + 1, 0));
                    core::mem::swap(&mut due, &mut model);
                    let due: Vec<u32> = due.into_values().collect();
                    for i in &due {
                        places.remove(i);
                    }
                    // Beyond a turn of the top level entries of one tick may change places.
                    prop_assert_eq!(fired(&mut w, now), due);
                }
                prop_assert_eq!(w.len(), model.len());
                match model.first_key_value() {
                    None => prop_assert_eq!(w.next(), None),
                    Some((&(tick, _), _)) => prop_assert!(w.next().unwrap() <= at(tick)),
                }
            }
        }
    }
}
