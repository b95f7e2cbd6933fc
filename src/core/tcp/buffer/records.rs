//! Where records end that a program writes (`MSG_EOR`).

use alloc::boxed::Box;
use alloc::collections::VecDeque;

/// Places in a stream, in order. Nothing is allocated while there are none.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a word in each connection, where few have any")]
pub(super) struct Records(Option<Box<VecDeque<u64>>>);

impl Records {
    /// No record has ended.
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// A record ends before the octet `at`. How many may is the caller's to check.
    pub(super) fn end_at(&mut self, at: u64) {
        let ends = self.0.get_or_insert_default();
        if ends.back() != Some(&at) {
            ends.push_back(at);
        }
    }

    /// The first end behind `at`.
    pub(super) fn next_after(&self, at: u64) -> Option<u64> {
        let ends = self.0.as_ref()?;
        ends.get(ends.partition_point(|&end| end <= at)).copied()
    }

    /// What lies before `at` is over.
    pub(super) fn forget_to(&mut self, at: u64) {
        let Some(ends) = &mut self.0 else { return };
        while ends.pop_front_if(|end| *end <= at).is_some() {}
        if ends.is_empty() {
            self.0 = None;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |ends| ends.len())
    }

    /// The most octets of memory that one end more takes.
    pub(super) fn growth(&self) -> usize {
        match self.0.as_deref() {
            None => size_of::<VecDeque<u64>>() + 4 * size_of::<u64>(),
            Some(ends) if ends.len() < ends.capacity() => 0,
            Some(ends) => ends.capacity().max(4) * size_of::<u64>(),
        }
    }

    /// Octets of memory.
    pub(super) fn memory(&self) -> usize {
        self.0.as_ref().map_or(0, |ends| size_of_val(&**ends) + ends.capacity() * size_of::<u64>())
    }
}
