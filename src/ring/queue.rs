//! The two queues as the program sees them.

use std::fmt;

use super::Ring;
use super::completion::Completion;
use super::entry::Entry;

/// The entry found the submission queue full, and is given back: submit, then push it again.
#[derive(Debug)]
pub struct PushError(pub Entry);

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("submission queue is full")
    }
}

impl std::error::Error for PushError {}

/// Entries that are to be submitted.
#[derive(Debug)]
pub struct SubmissionQueue<'a> {
    ring: &'a mut Ring,
}

impl<'a> SubmissionQueue<'a> {
    pub(super) fn new(ring: &'a mut Ring) -> Self {
        Self { ring }
    }

    /// Adds an entry. Nothing is done before it is submitted.
    ///
    /// # Errors
    /// The queue is full.
    pub fn push(&mut self, entry: Entry) -> Result<(), PushError> {
        if self.is_full() {
            return Err(PushError(entry));
        }
        self.ring.sq.push_back(entry);
        Ok(())
    }

    /// Entries that wait to be submitted.
    pub fn len(&self) -> usize {
        self.ring.sq.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.ring.sq.is_empty()
    }

    /// Whether there is no room for another.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }

    /// How many there is room for.
    pub fn capacity(&self) -> usize {
        self.ring.sq_entries
    }
}

/// Takes completions out, the oldest first, those that found the queue full behind the others.
#[derive(Debug)]
pub struct CompletionQueue<'a> {
    ring: &'a mut Ring,
}

impl<'a> CompletionQueue<'a> {
    pub(super) fn new(ring: &'a mut Ring) -> Self {
        Self { ring }
    }

    /// How many are kept before there is an overflow.
    pub fn capacity(&self) -> usize {
        self.ring.cq.capacity()
    }

    /// Whether completions wait that found the queue full (`IORING_SQ_CQ_OVERFLOW`).
    pub fn overflows(&self) -> bool {
        self.ring.cq.overflows()
    }

    /// How many have found it full since the ring was made. None of them is lost.
    pub fn overflowed(&self) -> u64 {
        self.ring.cq.overflowed()
    }
}

impl Iterator for CompletionQueue<'_> {
    type Item = Completion;

    fn next(&mut self) -> Option<Completion> {
        self.ring.cq.pop()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.ring.cq.len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for CompletionQueue<'_> {}

impl Drop for CompletionQueue<'_> {
    fn drop(&mut self) {
        self.ring.show();
    }
}
