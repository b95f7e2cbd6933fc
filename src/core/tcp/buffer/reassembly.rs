//! Text that came out of order and waits for what lies before it (RFC 9293 §3.10.7.4), and the SACK blocks that
//! tell the peer of it (RFC 2018).

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use arrayvec::ArrayVec;
use bytes::Bytes;

use super::chunk::{Chunk, share, worth_sharing};
use super::ranges::SeqRanges;
use crate::seq::{Seq, SeqRange};
use crate::wire::options::SackBlocks;

/// The largest allocation for copied text.
const CHUNK: usize = 64 << 10;

/// Shorter text is copied, so that many small segments become few runs.
const REFERENCE: usize = 4096;

/// A run up to this length is appended to the one before it when they meet.
const JOIN: usize = 4096;

/// What a run costs beside its text: its record, and its share of the queue's spare room.
const RUN_COST: usize = 64;

/// How many blocks are remembered in the order in which they were reported. One option tells of four; more are
/// remembered because blocks merge and are delivered.
const REMEMBERED: usize = 8;

/// What became of an out-of-order segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inserted {
    /// All of it was new and is kept.
    New,
    /// All of it was there already: what to report as a D-SACK (RFC 2883 §4.1).
    Duplicate(SeqRange),
    /// Some of it was there already and the rest is kept. The first run of octets that came twice: what to
    /// report as a D-SACK (RFC 2883 §4.2).
    Partial(SeqRange),
    /// It is not kept: there is no room for it.
    NoRoom,
}

/// A run of text whose turn has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    /// The text.
    pub octets: Bytes,
    /// How large the allocation is that it keeps alive, octets.
    pub pinned: usize,
}

/// The reassembly queue of a connection. Nothing is allocated while it is empty.
///
/// What is held was not acknowledged cumulatively, so it may be thrown away (RFC 2018 §8); what is held is never
/// overwritten by a later segment that claims the same sequence numbers.
#[derive(Debug, Default)]
pub struct Reassembly(Option<Box<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    /// In order of sequence number, none empty, none overlapping.
    runs: VecDeque<Run>,
    /// The same octets as blocks: runs that touch are one block.
    blocks: SeqRanges,
    /// A number out of each block that was reported as first, the last reported first.
    recent: ArrayVec<Seq, REMEMBERED>,
    /// The sum of [`Chunk::memory`] over all runs.
    text_memory: usize,
}

#[derive(Debug)]
struct Run {
    start: Seq,
    chunk: Chunk,
}

impl Run {
    fn end(&self) -> Seq {
        self.start.add(self.chunk.len() as u32)
    }
}

impl Reassembly {
    /// Empty, without an allocation.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Whether there is no text.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many octets of text there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |q| q.blocks.numbers() as usize)
    }

    /// Octets of memory it holds, whether used or not, with 64 for each run.
    pub fn memory(&self) -> usize {
        self.0.as_ref().map_or(0, |q| q.memory())
    }

    /// The number after the last octet there is.
    pub fn highest(&self) -> Option<Seq> {
        self.0.as_ref()?.blocks.last().map(|b| b.end)
    }

    /// The blocks of text, lowest first.
    pub fn blocks(&self) -> impl Iterator<Item = SeqRange> + '_ {
        self.0.iter().flat_map(|q| q.blocks.iter())
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Keeps what is new of `data`, whose first octet has the number `seq`.
    ///
    /// What lies before RCV.NXT and beyond the window is the caller's to cut off first. `backing` is the
    /// allocation that `data` lies in, if it may be kept. It is kept whole or not at all: not, where
    /// [`memory`](Self::memory) would exceed `limit` or there would be more than `max_ranges` blocks.
    pub fn insert(
        &mut self,
        rcv_nxt: Seq,
        seq: Seq,
        data: &[u8],
        backing: Option<&Bytes>,
        limit: usize,
        max_ranges: usize,
    ) -> Inserted {
        let Ok(len) = u32::try_from(data.len()) else { return Inserted::NoRoom };
        let range = SeqRange::with_len(seq, len);
        if len == 0 {
            return Inserted::Duplicate(range);
        }
        // Farther from RCV.NXT there is no order among sequence numbers; no window reaches there.
        if seq.before(rcv_nxt) || range.end.since(rcv_nxt) > 1 << 31 {
            return Inserted::NoRoom;
        }
        let queue = self.0.get_or_insert_default();
        let outcome = queue.insert(range, data, backing, limit, max_ranges);
        if queue.runs.is_empty() {
            self.0 = None;
        }
        outcome
    }

    /// Takes the lowest run of text if it starts at or before `rcv_nxt`, without what lies before it. To be
    /// called until it gives `None`, with RCV.NXT advanced over each.
    pub fn take(&mut self, rcv_nxt: Seq) -> Option<Text> {
        let queue = self.0.as_mut()?;
        let taken = queue.take(rcv_nxt);
        if queue.runs.is_empty() {
            self.0 = None;
        }
        taken
    }

    /// The blocks to report in an acknowledgment, at most `max` and at most four: first the one with the
    /// segment that came last, then those that were first in earlier reports, the latest first, then others
    /// (RFC 2018 §4).
    pub fn sack_blocks(&self, max: usize) -> SackBlocks {
        let mut out = SackBlocks::new();
        let Some(queue) = &self.0 else { return out };
        //= https://www.rfc-editor.org/rfc/rfc2018#section-4
        //= id=rfc2018-4-7
        //# The SACK option SHOULD be filled out by repeating the most recently reported SACK blocks (based on
        //# first SACK blocks in previous SACK options) that are not subsets of a SACK block already included in
        //# the SACK option being constructed.
        //= https://www.rfc-editor.org/rfc/rfc2018#section-8
        //= id=rfc2018-8-3
        //# Except for the newest segment, all SACK blocks MUST NOT report any old data which is no longer
        //# actually held by the receiver.
        let remembered = queue.recent.iter().filter_map(|&seq| queue.blocks.run_of(seq));
        for block in remembered.chain(queue.blocks.iter()) {
            if out.len() >= max || out.is_full() {
                break;
            }
            if !out.contains(&block) {
                out.push(block);
            }
        }
        out
    }
}

impl Queue {
    fn memory(&self) -> usize {
        self.text_memory + self.runs.len() * RUN_COST
    }

    fn insert(
        &mut self,
        range: SeqRange,
        data: &[u8],
        backing: Option<&Bytes>,
        limit: usize,
        max_ranges: usize,
    ) -> Inserted {
        // First look: what is new, what came twice, and what the new parts cost at the most.
        let (mut cost, mut new) = (0, 0);
        let mut again: Option<SeqRange> = None;
        let mut at = range.start;
        let end = SeqRange::new(range.end, range.end);
        for gap in self.blocks.gaps(range).chain([end]) {
            if gap.start.after(at) && again.is_none() {
                again = Some(SeqRange::new(at, gap.start));
            }
            at = gap.end;
            let len = gap.len() as usize;
            new += len;
            cost += match backing {
                _ if len == 0 => 0,
                Some(b) if worth_sharing(len, b.len(), REFERENCE) => b.len() + RUN_COST,
                _ => len + RUN_COST,
            };
        }
        if new == 0 {
            self.remember(range.start);
            return Inserted::Duplicate(range);
        }
        let Some(mut spare) = limit.checked_sub(self.memory() + cost) else { return Inserted::NoRoom };
        if self.blocks.len() >= max_ranges && !self.blocks.touches(range) {
            return Inserted::NoRoom;
        }

        let mut at = range.start;
        while let Some(gap) = self.blocks.gaps(SeqRange::new(at, range.end)).next() {
            let from = gap.start.since(range.start) as usize;
            let text = data.get(from..from + gap.len() as usize).unwrap_or_default();
            self.insert_new(gap, text, backing, &mut spare);
            at = gap.end;
        }
        self.remember(range.start);
        again.map_or(Inserted::New, Inserted::Partial)
    }

    /// Keeps `text`, none of which is there yet. At most `spare` octets of memory are set aside for growth.
    fn insert_new(&mut self, range: SeqRange, text: &[u8], backing: Option<&Bytes>, spare: &mut usize) {
        let at = self.runs.partition_point(|r| r.start.before(range.start));
        self.blocks.insert(range);
        let chunk = match share(text, backing, REFERENCE) {
            Some(bytes) => Chunk::shared(bytes, backing.map_or(0, Bytes::len)),
            None => {
                let before = at.checked_sub(1);
                if let Some(before) = before.and_then(|i| self.runs.get_mut(i))
                    && before.end() == range.start
                    && before.chunk.is_owned()
                    && before.chunk.len() + text.len() <= CHUNK
                {
                    append(&mut before.chunk, text, spare, &mut self.text_memory);
                    self.join(at, spare);
                    return;
                }
                let mut chunk = Chunk::new();
                chunk.append(text, text.len(), 0);
                chunk
            }
        };
        self.text_memory += chunk.memory();
        self.runs.insert(at, Run { start: range.start, chunk });
        self.join(at + 1, spare);
    }

    /// Appends the run `at` to the one before it if they meet, are copies, and the later one is short: so the
    /// number of runs is bounded by the number of blocks and the memory, in whatever order segments come.
    fn join(&mut self, at: usize, spare: &mut usize) {
        let Some(before) = at.checked_sub(1).and_then(|i| self.runs.get(i)) else { return };
        let Some(run) = self.runs.get(at) else { return };
        let joins = before.end() == run.start
            && before.chunk.is_owned()
            && run.chunk.is_owned()
            && run.chunk.len() <= JOIN
            && before.chunk.len() + run.chunk.len() <= CHUNK;
        if !joins {
            return;
        }
        let Some(run) = self.runs.remove(at) else { return };
        self.text_memory -= run.chunk.memory();
        if let Some(before) = at.checked_sub(1).and_then(|i| self.runs.get_mut(i)) {
            append(&mut before.chunk, run.chunk.as_slice(), spare, &mut self.text_memory);
        }
    }

    /// The block with `seq` is the one to report first.
    fn remember(&mut self, seq: Seq) {
        let Some(block) = self.blocks.run_of(seq) else { return };
        self.recent.retain(|s| !block.contains(*s));
        if self.recent.is_full() {
            self.recent.pop();
        }
        //= https://www.rfc-editor.org/rfc/rfc2018#section-4
        //= id=rfc2018-4-5
        //# The first SACK block (i.e., the one immediately following the kind and length fields in the option)
        //# MUST specify the contiguous block of data containing the segment which triggered this ACK, unless
        //# that segment advanced the Acknowledgment Number field in the header.
        //= https://www.rfc-editor.org/rfc/rfc2018#section-8
        //= id=rfc2018-8-1
        //# The first SACK block MUST reflect the newest segment.
        self.recent.insert(0, seq);
    }

    fn take(&mut self, rcv_nxt: Seq) -> Option<Text> {
        loop {
            if self.runs.front()?.start.after(rcv_nxt) {
                return None;
            }
            let Run { start, mut chunk } = self.runs.pop_front()?;
            self.text_memory -= chunk.memory();
            let end = start.add(chunk.len() as u32);
            self.blocks.remove_below(end);
            self.recent.retain(|s| s.at_or_after(end));
            chunk.advance(rcv_nxt.since(start) as usize);
            if chunk.len() > 0 {
                let (octets, pinned) = chunk.into_bytes();
                return Some(Text { octets, pinned });
            }
        }
    }
}

/// Appends all of `text`, for which there is room, and keeps the books.
fn append(chunk: &mut Chunk, text: &[u8], spare: &mut usize, memory: &mut usize) {
    let before = chunk.memory();
    chunk.append(text, CHUNK, *spare);
    let grown = chunk.memory() - before;
    *memory += grown;
    *spare = spare.saturating_sub(grown.saturating_sub(text.len()));
}

#[cfg(test)]
mod tests;
