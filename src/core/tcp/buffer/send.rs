//! What the program wrote and the peer has not acknowledged: the octets from SND.UNA on (RFC 9293 §3.3.1).

use alloc::collections::VecDeque;

use bytes::Bytes;

use super::chunk::Chunk;
use crate::body::Body;

/// The largest allocation for copied octets.
const CHUNK: usize = 64 << 10;

/// From this length on a reference is cheaper to keep than a copy.
const REFERENCE: usize = 4096;

/// Octets in the order they were written. Offset 0 is SND.UNA.
///
/// Copied octets lie in chunks of up to 64 KiB, the first of which begins small and grows. Nothing is
/// allocated while it is empty.
#[derive(Debug, Default)]
pub struct SendBuffer {
    /// In order of `start`, without gaps, none empty.
    pieces: VecDeque<Piece>,
    len: usize,
}

#[derive(Debug)]
struct Piece {
    /// Where the chunk begins, counted in octets since the buffer was empty last. Differences stay right when
    /// octets leave, so nothing is renumbered.
    start: u64,
    chunk: Chunk,
}

impl SendBuffer {
    /// Empty, without an allocation.
    pub const fn new() -> Self {
        Self { pieces: VecDeque::new(), len: 0 }
    }

    /// How many octets there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a copy of all of `data`. How much may be held is the caller's to check.
    pub fn write(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let taken = match self.pieces.back_mut() {
                Some(last) => last.chunk.append(data, CHUNK, usize::MAX),
                None => 0,
            };
            self.len += taken;
            data = data.get(taken..).unwrap_or_default();
            if data.is_empty() {
                return;
            }
            // Where a whole chunk of copies filled up, the next one will too.
            let full = self.pieces.back().is_some_and(|p| p.chunk.is_owned());
            let mut chunk = if full { Chunk::with_capacity(CHUNK) } else { Chunk::new() };
            let taken = chunk.append(data, CHUNK, usize::MAX);
            data = data.get(taken..).unwrap_or_default();
            self.push(chunk);
        }
    }

    /// Appends all of `data`: by reference when it has at least 4096 octets, otherwise copied.
    pub fn write_bytes(&mut self, data: Bytes) {
        if data.len() < REFERENCE {
            self.write(&data);
        } else {
            let pinned = data.len();
            self.push(Chunk::shared(data, pinned));
        }
    }

    fn push(&mut self, chunk: Chunk) {
        let start = match self.pieces.back() {
            Some(last) => last.start + last.chunk.len() as u64,
            None => 0,
        };
        self.len += chunk.len();
        self.pieces.push_back(Piece { start, chunk });
    }

    /// The first `n` octets leave: they are acknowledged. More than there are means all.
    pub fn advance(&mut self, n: usize) {
        let mut n = n.min(self.len);
        self.len -= n;
        if self.len == 0 {
            self.pieces = VecDeque::new();
            return;
        }
        while n > 0 {
            let Some(first) = self.pieces.front_mut() else { return };
            let here = first.chunk.len().min(n);
            n -= here;
            if here == first.chunk.len() {
                self.pieces.pop_front();
            } else {
                first.chunk.advance(here);
                first.start += here as u64;
            }
        }
    }

    /// Up to `len` octets from `offset` on, where they lie. Fewer where there are fewer, or where they lie in
    /// more than [`Body::MAX_PIECES`] pieces; at least one where there is one.
    pub fn slice(&self, offset: usize, len: usize) -> Body<'_> {
        let mut body = Body::EMPTY;
        let Some(base) = self.pieces.front().map(|p| p.start) else { return body };
        let mut at = base.saturating_add(offset as u64);
        let mut left = len.min(self.len.saturating_sub(offset));
        let after = self.pieces.partition_point(|p| p.start <= at);
        for piece in self.pieces.range(after.saturating_sub(1)..) {
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

    /// Octets of memory it holds: those there are, those kept for growth, and those of a piece that left only
    /// in part. Time is linear in the number of pieces.
    pub fn memory(&self) -> usize {
        let pieces: usize = self.pieces.iter().map(|p| p.chunk.memory()).sum();
        pieces + self.pieces.capacity() * size_of::<Piece>()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}
