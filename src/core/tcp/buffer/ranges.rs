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
