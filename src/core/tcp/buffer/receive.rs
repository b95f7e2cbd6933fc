//! What arrived in order and the program has not read: the octets before RCV.NXT (RFC 9293 §3.3.1).

use alloc::collections::VecDeque;

use bytes::Bytes;

use super::chunk::{Chunk, share};

/// The largest allocation for copied octets. Smaller than the chunks of the send buffer, because two of them
/// may be nearly unused at once: the one being read and the one being filled.
const CHUNK: usize = 16 << 10;

/// Shorter text is copied always: a reference costs about as much as it.
const REFERENCE: usize = 1024;

/// Octets for the program, in order.
///
/// Text stays in the allocation it arrived in where it fills at least half of that, and is copied otherwise,
/// so [`memory`](Self::memory) is at most twice [`len`](Self::len) plus one packet being read and one chunk
/// being filled. Nothing is allocated while it is empty.
#[derive(Debug, Default)]
pub struct ReceiveBuffer {
    /// In order, none empty.
    chunks: VecDeque<Chunk>,
    len: usize,
}

impl ReceiveBuffer {
    /// Empty, without an allocation.
    pub const fn new() -> Self {
        Self { chunks: VecDeque::new(), len: 0 }
    }

    /// How many octets there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends `data`. Where `backing` is the allocation it lies in and `data` fills at least half of it, a
    /// reference is kept (short text apart); otherwise it is copied.
    pub fn push(&mut self, data: &[u8], backing: Option<&Bytes>) {
        match share(data, backing, REFERENCE) {
            Some(bytes) => self.push_chunk(Chunk::shared(bytes, backing.map_or(0, Bytes::len))),
            None => self.copy(data),
        }
    }

    /// Appends `data` by reference, or copied where it is short.
    pub fn push_bytes(&mut self, data: Bytes) {
        if data.len() < REFERENCE {
            self.copy(&data);
        } else {
            let pinned = data.len();
            self.push_chunk(Chunk::shared(data, pinned));
        }
    }

    fn copy(&mut self, mut data: &[u8]) {
        if let Some(last) = self.chunks.back_mut() {
            let taken = last.append(data, CHUNK, usize::MAX);
            self.len += taken;
            data = data.get(taken..).unwrap_or_default();
        }
        while !data.is_empty() {
            let mut chunk = Chunk::new();
            let taken = chunk.append(data, CHUNK, usize::MAX);
            data = data.get(taken..).unwrap_or_default();
            self.push_chunk(chunk);
        }
    }

    fn push_chunk(&mut self, chunk: Chunk) {
        self.len += chunk.len();
        self.chunks.push_back(chunk);
    }

    /// Moves octets to `buf` and says how many: as many as there are and fit.
    pub fn read(&mut self, buf: &mut [u8]) -> usize {
        let n = self.peek(buf);
        self.discard(n);
        n
    }

    /// As [`read`](Self::read), but they stay.
    pub fn peek(&self, mut buf: &mut [u8]) -> usize {
        let mut copied = 0;
        for chunk in &self.chunks {
            let data = chunk.as_slice();
            let n = data.len().min(buf.len());
            let (Some(from), Some((to, rest))) = (data.get(..n), buf.split_at_mut_checked(n)) else { break };
            to.copy_from_slice(from);
            copied += n;
            buf = rest;
            if buf.is_empty() {
                break;
            }
        }
        copied
    }

    /// Takes up to `max` octets without a copy where that wastes little. At least one when there is one and
    /// `max` is not 0; fewer than `max` where they do not lie in one piece.
    pub fn read_bytes(&mut self, max: usize) -> Bytes {
        if max == 0 {
            return Bytes::new();
        }
        let Some(first) = self.chunks.front_mut() else { return Bytes::new() };
        let bytes = first.take(max);
        self.len -= bytes.len();
        if first.len() == 0 {
            self.chunks.pop_front();
        }
        self.free_if_drained();
        bytes
    }

    /// Drops the first `n` octets; more than there are means all.
    pub fn discard(&mut self, n: usize) {
        let mut n = n.min(self.len);
        self.len -= n;
        while n > 0 {
            let Some(first) = self.chunks.front_mut() else { break };
            let here = first.len().min(n);
            n -= here;
            if here == first.len() {
                self.chunks.pop_front();
            } else {
                first.advance(here);
            }
        }
        self.free_if_drained();
    }

    fn free_if_drained(&mut self) {
        if self.len == 0 {
            self.chunks = VecDeque::new();
        }
    }

    /// Octets of memory it holds, whether used or not. Time is linear in the number of pieces.
    pub fn memory(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Chunk::memory).sum();
        chunks + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}
