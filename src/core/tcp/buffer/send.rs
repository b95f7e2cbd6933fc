//! What the program wrote and the peer has not acknowledged: the octets from SND.UNA on (RFC 9293 §3.3.1).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::chunk::{Chunk, Is, MIN_CAPACITY, Piece, REFERENCE};
use super::records::Records;
use super::spares::{Spares, TO_SEND as CHUNK};
use crate::body::{Body, Lender, Lent};

/// Octets in the order they were written. Offset 0 is SND.UNA.
///
/// Copied octets lie in chunks of up to 64 KiB, the first of which begins small and grows. Nothing is
/// allocated while it is empty.
#[derive(Debug, Default)]
pub struct SendBuffer {
    /// In order of `start`, without gaps, none empty.
    pieces: VecDeque<Piece>,
    len: u32,
    /// The sum of [`Chunk::memory`] over all pieces.
    text_memory: u32,
    /// Where records end, counted as the starts of pieces are.
    records: Records,
}

/// Where an octet lies: the number of its piece, and how many octets of that lie before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    piece: usize,
    skip: usize,
}

impl Place {
    /// The place `len` octets further.
    #[must_use]
    pub const fn behind(self, len: usize) -> Self {
        Self { piece: self.piece, skip: self.skip.saturating_add(len) }
    }
}

impl Piece {
    /// Its `len` octets from `at` on, if it has them all.
    fn octets(&self, at: u64, len: usize) -> Option<&[u8]> {
        let begin = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.chunk.as_slice().get(begin..begin.checked_add(len)?)
    }
}

impl SendBuffer {
    /// Empty, without an allocation.
    pub const fn new() -> Self {
        Self { pieces: VecDeque::new(), len: 0, text_memory: 0, records: Records::new() }
    }

    /// How many octets there are.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a copy of all of `data`. How much may be held is the caller's to check; less than 4 GiB.
    pub fn write(&mut self, mut data: &[u8], spares: &mut Spares) {
        while !data.is_empty() {
            let taken = match self.pieces.back_mut() {
                Some(last) => last.chunk.append_growing(data, CHUNK, |own, need| {
                    let before = own.capacity();
                    spares.grow(own, need, CHUNK);
                    self.text_memory = self.text_memory.saturating_add((own.capacity() - before) as u32);
                }),
                None => 0,
            };
            self.len += taken as u32;
            data = data.get(taken..).unwrap_or_default();
            if data.is_empty() {
                return;
            }
            let room = if self.is_behind_whole() { CHUNK } else { data.len().min(CHUNK) };
            let mut chunk = Chunk::with_memory(spares.take(room));
            let taken = chunk.append_growing(data, CHUNK, |own, need| spares.grow(own, need, CHUNK));
            data = data.get(taken..).unwrap_or_default();
            self.push(chunk, spares);
        }
    }

    /// Appends all of `data`: by reference when it has at least 4096 octets, otherwise copied.
    pub fn write_bytes(&mut self, data: Bytes, spares: &mut Spares) {
        if data.len() < REFERENCE {
            self.write(&data, spares);
        } else {
            let pinned = data.len();
            self.push(Chunk::shared(data, pinned), spares);
        }
    }

    /// Where a whole chunk of copies filled up, the next one will too.
    fn is_behind_whole(&self) -> bool {
        self.pieces.back().is_some_and(|last| match &last.chunk {
            Chunk::Owned { .. } => true,
            Chunk::Shared { pinned, is, .. } => is.contains(Is::OURS) && *pinned as usize == CHUNK,
        })
    }

    fn push(&mut self, chunk: Chunk, spares: &mut Spares) {
        let start = self.end();
        self.len += chunk.len() as u32;
        self.text_memory = self.text_memory.saturating_add(chunk.memory() as u32);
        if self.pieces.capacity() == 0 {
            self.pieces = spares.take_send_queue();
        }
        self.pieces.push_back(Piece { start, chunk });
    }

    /// Where the next octet will lie, counted as the starts of pieces are.
    fn end(&self) -> u64 {
        self.pieces.back().map_or(0, |last| last.start + last.chunk.len() as u64)
    }

    /// What is written from here on belongs to another record (`MSG_EOR`): no segment has octets of both.
    pub fn end_record(&mut self) {
        if self.len > 0 {
            self.records.end_at(self.end());
        }
    }

    /// Octets from `offset` to the end of the record that the octet there belongs to, where its end is known.
    pub fn record_left(&self, offset: usize) -> Option<usize> {
        let at = self.pieces.front()?.start.saturating_add(offset as u64);
        self.records.next_after(at).map(|end| usize::try_from(end - at).unwrap_or(usize::MAX))
    }

    /// How many ends of records it remembers.
    pub fn records(&self) -> usize {
        self.records.len()
    }

    /// The first `n` octets leave: they are acknowledged. More than there are means all.
    pub fn advance(&mut self, n: usize, spares: &mut Spares) {
        let mut n = n.min(self.len());
        self.len -= n as u32;
        while n > 0 {
            let Some(first) = self.pieces.front_mut() else { break };
            let here = first.chunk.len().min(n);
            n -= here;
            if here == first.chunk.len() {
                let Some(Piece { chunk, .. }) = self.pieces.pop_front() else { break };
                self.text_memory = self.text_memory.saturating_sub(chunk.memory() as u32);
                match chunk {
                    Chunk::Owned { data, .. } => spares.give(data),
                    Chunk::Shared { bytes, pinned, is } if is.contains(Is::OURS) => {
                        spares.give_lent(bytes, pinned)
                    }
                    Chunk::Shared { .. } => {}
                }
            } else {
                first.chunk.advance(here);
                first.start += here as u64;
            }
        }
        if self.len == 0 {
            spares.give_send_queue(mem::take(&mut self.pieces));
            self.clear();
            return;
        }
        if let Some(first) = self.pieces.front() {
            self.records.forget_to(first.start);
        }
    }

    /// Up to `len` octets from `offset` on, where they lie. Fewer where there are fewer, or where they lie in
    /// more than [`Body::MAX_PIECES`] pieces; at least one where there is one.
    pub fn slice(&self, offset: usize, len: usize) -> Body<'_> {
        let mut body = Body::EMPTY;
        if len == 0 {
            return body;
        }
        let Some(base) = self.pieces.front().map(|p| p.start) else { return body };
        let mut at = base.saturating_add(offset as u64);
        let mut left = len.min(self.len().saturating_sub(offset));
        let first = self.piece_at(at);
        if let Some(piece) = self.pieces.get(first)
            && let Some(whole) = piece.octets(at, left)
        {
            return Body::from_slice(whole);
        }
        for piece in self.pieces.range(first..) {
            if left == 0 {
                break;
            }
            let skip = at.saturating_sub(piece.start) as usize;
            let here = piece.chunk.as_slice().get(skip..).unwrap_or_default();
            let here = here.get(..left).unwrap_or(here);
            if !body.push(here) {
                break;
            }
            at += here.len() as u64;
            left -= here.len();
        }
        body
    }

    /// Where the octet at `offset` lies, or is to lie.
    pub fn place_of(&self, offset: usize) -> Place {
        let Some(first) = self.pieces.front() else { return Place { piece: 0, skip: 0 } };
        let at = first.start.saturating_add(offset as u64);
        let piece = self.piece_at(at);
        let begin = self.pieces.get(piece).map_or(0, |p| p.start);
        Place { piece, skip: usize::try_from(at.saturating_sub(begin)).unwrap_or(usize::MAX) }
    }

    /// `len` octets from `place` on, if they lie in its piece. Nothing may have been acknowledged since it was found.
    #[inline]
    pub fn at(&self, place: Place, len: usize) -> Option<&[u8]> {
        let octets = self.pieces.get(place.piece)?.chunk.as_slice();
        octets.get(place.skip..place.skip.checked_add(len)?)
    }

    /// Octets of the piece of `place` from there on.
    pub fn left_at(&self, place: Place) -> usize {
        self.pieces.get(place.piece).map_or(0, |piece| piece.chunk.len().saturating_sub(place.skip))
    }

    /// As [`slice`](Self::slice), where `place` may be known to be that of `offset`.
    #[inline]
    pub fn body(&self, place: Option<Place>, offset: usize, len: usize) -> Body<'_> {
        match place.and_then(|place| self.at(place, len)) {
            Some(text) => Body::from_slice(text),
            None => self.slice(offset, len),
        }
    }

    /// Makes ready to be lent what lies at `len` octets from `offset` on: says whether that is worth while.
    pub fn freeze(&mut self, offset: usize, len: usize) -> bool {
        if len < REFERENCE {
            return false;
        }
        let Some(base) = self.pieces.front().map(|p| p.start) else { return false };
        let begin = base.saturating_add(offset as u64);
        let end = begin.saturating_add(len as u64);
        let mut to_copy = 0;
        for piece in self.pieces.range_mut(self.piece_at(begin)..) {
            if piece.start >= end {
                break;
            }
            piece.chunk.freeze();
            if piece.chunk.is_owned() {
                let last = end.min(piece.start + piece.chunk.len() as u64);
                to_copy += last.saturating_sub(begin.max(piece.start)) as usize;
            }
        }
        to_copy <= len / 2
    }

    /// As [`slice`](Self::slice), to be lent.
    pub fn to_lend(&self, offset: usize, len: usize) -> Body<'_> {
        self.slice(offset, len).lent_by(self, offset)
    }

    /// How many octets [`slice`](Self::slice) would give.
    pub fn in_reach(&self, offset: usize, len: usize) -> usize {
        let there = len.min(self.len().saturating_sub(offset));
        if self.pieces.len() <= Body::MAX_PIECES || there == 0 {
            return there;
        }
        let Some(base) = self.pieces.front().map(|p| p.start) else { return 0 };
        let at = base.saturating_add(offset as u64);
        // Where the first piece begins that is not in reach.
        let end = self.pieces.get(self.piece_at(at) + Body::MAX_PIECES).map(|p| p.start);
        end.map_or(there, |end| there.min((end - at) as usize))
    }

    /// Which piece has the octet `at`, counted as the starts of pieces are.
    fn piece_at(&self, at: u64) -> usize {
        // What leaves for the first time is mostly in the last.
        match self.pieces.back() {
            Some(last) if last.start <= at => self.pieces.len() - 1,
            _ => self.pieces.partition_point(|p| p.start <= at).saturating_sub(1),
        }
    }

    /// The most octets that can be written, and then ended as a record, without [`memory`](Self::memory) growing by more than
    /// `room`.
    pub fn fits(&self, room: usize) -> usize {
        let last = self.pieces.back().map(|last| &last.chunk).filter(|last| last.is_owned());
        let free = last.map_or(0, Chunk::free);
        let Some(room) = room.checked_sub(self.records.growth()) else { return 0 };
        // In the last chunk, which may come to be larger: what it is now is given up for that.
        let (in_last, room) = match last {
            Some(last) if last.memory() < CHUNK => {
                let largest = power_of_two_within(last.memory() + room).min(CHUNK);
                let grown = largest.saturating_sub(last.memory());
                // Only a chunk that has room for all of it does not slide.
                let more = if grown > 0 { free.max(largest.saturating_sub(last.extent())) } else { free };
                if largest < CHUNK {
                    return more;
                }
                (more, room - grown)
            }
            _ => (free, room),
        };
        let records = |pieces: usize| {
            let needed = self.pieces.len() + pieces;
            let grows = needed > self.pieces.capacity();
            // It doubles.
            if grows { (2 * needed).max(4) * size_of::<Piece>() } else { 0 }
        };
        let chunks = room.saturating_sub(records(1 + room / CHUNK)) / CHUNK;
        if chunks > 0 {
            return in_last + chunks * CHUNK;
        }
        // Behind one that is full there is a whole one or none.
        match room.saturating_sub(records(1)) {
            room if !self.is_behind_whole() && room >= MIN_CAPACITY => power_of_two_within(room),
            _ => in_last,
        }
    }

    /// The same of `len` octets that are handed over by reference where they are many.
    pub fn fits_bytes(&self, room: usize, len: usize) -> usize {
        if len < REFERENCE {
            return self.fits(room);
        }
        let needed = self.pieces.len() + 1;
        let grows = needed > self.pieces.capacity();
        let piece = if grows { (2 * needed).max(4) * size_of::<Piece>() } else { 0 };
        match room.saturating_sub(piece + self.records.growth()) {
            shared @ REFERENCE.. => shared,
            _ => self.fits(room).min(REFERENCE - 1),
        }
    }

    /// Octets of memory it holds: those there are, those kept for growth, and those of a piece that left only
    /// in part.
    pub fn memory(&self) -> usize {
        self.text_memory as usize + self.pieces.capacity() * size_of::<Piece>() + self.records.memory()
    }

    /// The same as a sum over all pieces.
    #[cfg(test)]
    pub(crate) fn summed_memory(&self) -> usize {
        let pieces: usize = self.pieces.iter().map(|p| p.chunk.memory()).sum();
        pieces + self.pieces.capacity() * size_of::<Piece>() + self.records.memory()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

impl Lender for SendBuffer {
    fn lend(&self, offset: usize, len: usize, into: &mut Vec<Lent>) {
        let Some(base) = self.pieces.front().map(|p| p.start) else { return };
        let mut at = base.saturating_add(offset as u64);
        let mut left = len.min(self.len().saturating_sub(offset));
        for piece in self.pieces.range(self.piece_at(at)..) {
            if left == 0 {
                break;
            }
            let lent = piece.chunk.lend(at.saturating_sub(piece.start) as usize, left);
            at += lent.octets().len() as u64;
            left -= lent.octets().len();
            into.push(lent);
        }
    }
}

/// The largest power of two that is not larger; 0 where there is none.
const fn power_of_two_within(n: usize) -> usize {
    match n.checked_ilog2() {
        Some(exponent) => 1 << exponent,
        None => 0,
    }
}

#[cfg(test)]
mod tests;
