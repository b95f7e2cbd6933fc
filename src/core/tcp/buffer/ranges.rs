//! A set of sequence numbers as few runs: what SACK blocks tell and what a reassembly queue holds.

use alloc::vec::Vec;

use crate::seq::{Seq, SeqRange};

/// Sequence numbers as ordered runs that neither overlap nor touch.
///
/// All numbers in the set and all that are asked for must lie within 2³¹ of each other, as those of one window
/// do: farther apart there is no order (see [`Seq::before`]). How many runs there may be is the caller's to
/// bound; an insertion moves up to that many.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SeqRanges {
    runs: Vec<SeqRange>,
    numbers: u32,
}

impl SeqRanges {
    /// Empty, without an allocation.
    pub const fn new() -> Self {
        Self { runs: Vec::new(), numbers: 0 }
    }

    /// How many runs there are.
    pub const fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many sequence numbers there are.
    pub const fn numbers(&self) -> u32 {
        self.numbers
    }

    /// The runs, lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = SeqRange> + ExactSizeIterator + '_ {
        self.runs.iter().copied()
    }

    /// The lowest run.
    pub fn first(&self) -> Option<SeqRange> {
        self.runs.first().copied()
    }

    /// The highest run.
    pub fn last(&self) -> Option<SeqRange> {
        self.runs.last().copied()
    }

    /// Adds `range` and says how many of its numbers are new.
    pub fn insert(&mut self, range: SeqRange) -> u32 {
        if range.is_empty() {
            return 0;
        }
        // The runs that overlap or touch `range` become one with it.
        let from = self.runs.partition_point(|r| r.end.before(range.start));
        let to = self.runs.partition_point(|r| r.start.at_or_before(range.end)).max(from);
        let mut merged = range;
        let mut had = 0;
        for run in self.runs.get(from..to).unwrap_or_default() {
            merged = SeqRange::new(merged.start.min(run.start), merged.end.max(run.end));
            had += run.len();
        }
        match self.runs.get_mut(from) {
            Some(first) if to > from => {
                *first = merged;
                self.runs.drain(from + 1..to);
            }
            _ => self.runs.insert(from, merged),
        }
        let new = merged.len() - had;
        self.numbers += new;
        new
    }

    /// Takes out all numbers before `seq` and says how many those were.
    pub fn remove_below(&mut self, seq: Seq) -> u32 {
        let gone = self.runs.partition_point(|r| r.end.at_or_before(seq));
        let mut removed: u32 = self.runs.drain(..gone).map(|r| r.len()).sum();
        if let Some(first) = self.runs.first_mut() {
            let cut = seq.saturating_since(first.start);
            first.start = first.start.add(cut);
            removed += cut;
        }
        self.numbers -= removed;
        if self.runs.is_empty() {
            self.runs = Vec::new();
        }
        removed
    }

    /// The run that `seq` is in.
    pub fn run_of(&self, seq: Seq) -> Option<SeqRange> {
        let at = self.runs.partition_point(|r| r.end.at_or_before(seq));
        self.runs.get(at).copied().filter(|r| r.contains(seq))
    }

    /// Whether `seq` is in the set.
    pub fn contains(&self, seq: Seq) -> bool {
        self.run_of(seq).is_some()
    }

    /// Whether every number of `range` is in the set.
    pub fn covers(&self, range: SeqRange) -> bool {
        range.is_empty() || self.run_of(range.start).is_some_and(|r| r.covers(&range))
    }

    /// How many numbers of `range` are in the set.
    pub fn overlap(&self, range: SeqRange) -> u32 {
        range.len() - self.gaps(range).map(|gap| gap.len()).sum::<u32>()
    }

    /// Whether a run overlaps `range` or meets it, so that inserting it makes no further run.
    pub fn touches(&self, range: SeqRange) -> bool {
        let at = self.runs.partition_point(|r| r.end.before(range.start));
        self.runs.get(at).is_some_and(|r| r.touches(&range))
    }

    /// The parts of `range` that are not in the set, lowest first.
    pub fn gaps(&self, range: SeqRange) -> Gaps<'_> {
        let at = self.runs.partition_point(|r| r.end.at_or_before(range.start));
        Gaps { runs: self.runs.get(at..).unwrap_or_default(), rest: range }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

/// The parts of a range that are not in a set: see [`SeqRanges::gaps`].
#[derive(Clone, Debug)]
pub struct Gaps<'a> {
    /// The runs that end after `rest` begins.
    runs: &'a [SeqRange],
    /// What was not looked at yet.
    rest: SeqRange,
}

impl Iterator for Gaps<'_> {
    type Item = SeqRange;

    fn next(&mut self) -> Option<SeqRange> {
        while !self.rest.is_empty() {
            let Some((run, later)) = self.runs.split_first() else {
                let gap = self.rest;
                self.rest.start = gap.end;
                return Some(gap);
            };
            let gap = SeqRange::new(self.rest.start, run.start.min(self.rest.end));
            self.runs = later;
            self.rest.start = self.rest.start.max(run.end);
            if !gap.is_empty() {
                return Some(gap);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range(base: u32, from: u32, len: u32) -> SeqRange {
        SeqRange::with_len(Seq::new(base).add(from), len)
    }

    #[test]
    fn runs_that_meet_are_one() {
        let mut s = SeqRanges::new();
        assert_eq!(s.insert(range(u32::MAX - 5, 0, 3)), 3);
        assert_eq!(s.insert(range(u32::MAX - 5, 10, 3)), 3);
        assert_eq!(s.len(), 2);
        assert_eq!(s.insert(range(u32::MAX - 5, 3, 7)), 7);
        assert_eq!(s.iter().collect::<Vec<_>>(), [range(u32::MAX - 5, 0, 13)]);
        assert_eq!((s.first(), s.last()), (s.iter().next(), s.iter().next()));
        assert_eq!(s.insert(range(u32::MAX - 5, 4, 0)), 0);
        assert_eq!(s.remove_below(Seq::new(7)), 13);
        assert!(s.is_empty() && s.runs.capacity() == 0);
    }

    #[test]
    fn nonsense_farther_than_half_the_space_does_no_harm() {
        let mut s = SeqRanges::new();
        for i in 0..64u32 {
            s.insert(SeqRange::with_len(Seq::new(i.wrapping_mul(0x9e37_79b9)), 1 << (i % 31)));
            s.gaps(SeqRange::with_len(Seq::new(i), 1 << 31)).for_each(drop);
        }
        s.clear();
    }

    proptest! {
        #[test]
        fn is_the_set_of_its_numbers(
            base: u32,
            ops in proptest::collection::vec((0..4u8, 0..300u32, 0..40u32), 1..60),
        ) {
            let mut s = SeqRanges::new();
            let mut model = BTreeSet::<u32>::new();
            for (what, at, len) in ops {
                let r = range(base, at, len);
                if what < 3 {
                    let before = model.len();
                    model.extend(at..at + len);
                    prop_assert_eq!(s.insert(r) as usize, model.len() - before);
                } else {
                    let before = model.len();
                    model = model.split_off(&at);
                    prop_assert_eq!(s.remove_below(r.start) as usize, before - model.len());
                }
                prop_assert_eq!(s.numbers() as usize, model.len());
                for (a, b) in s.iter().zip(s.iter().skip(1)) {
                    prop_assert!(a.end.before(b.start), "{:?} and {:?}", a, b);
                }
                prop_assert!(s.iter().all(|r| !r.is_empty()));
                for n in 0..345 {
                    prop_assert_eq!(s.contains(Seq::new(base).add(n)), model.contains(&n));
                }
                let had = model.range(at..at + len).count();
                prop_assert_eq!(s.covers(r), had == len as usize);
                prop_assert_eq!(s.overlap(r) as usize, had);
                let gaps: Vec<u32> =
                    s.gaps(r).flat_map(|g| (0..g.len()).map(move |i| g.start.add(i).since(Seq::new(base)))).collect();
                let want: Vec<u32> = (at..at + len).filter(|n| !model.contains(n)).collect();
                prop_assert_eq!(gaps, want);
                if len > 0 {
                    let meets = (at.saturating_sub(1)..=at + len).any(|n| model.contains(&n));
                    prop_assert_eq!(s.touches(r), meets);
                }
            }
        }
    }
}
