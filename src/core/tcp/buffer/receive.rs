//! What arrived in order and the program has not read: the octets before RCV.NXT (RFC 9293 §3.3.1).

use alloc::collections::VecDeque;
use core::mem;

use bytes::Bytes;

use super::chunk::{Chunk, share};
use super::spares::{Spares, TO_RECEIVE};

/// The largest allocation for copied octets. Smaller than the chunks of the send buffer, because two of them
/// may be nearly unused at once: the one being read and the one being filled.
const CHUNK: usize = TO_RECEIVE;

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
    pub fn push(&mut self, data: &[u8], backing: Option<&Bytes>, spares: &mut Spares) {
        match share(data, backing, REFERENCE) {
            Some(bytes) => self.push_chunk(Chunk::shared(bytes, backing.map_or(0, Bytes::len)), spares),
            None => self.copy(data, spares),
        }
    }

    /// Appends `data` by reference, or copied where it is short.
    pub fn push_bytes(&mut self, data: Bytes, spares: &mut Spares) {
        if data.len() < REFERENCE {
            self.copy(&data, spares);
        } else {
            let pinned = data.len();
            self.push_chunk(Chunk::shared(data, pinned), spares);
        }
    }

    fn copy(&mut self, mut data: &[u8], spares: &mut Spares) {
        if let Some(last) = self.chunks.back_mut() {
            let taken = last.append_growing(data, CHUNK, |own, need| spares.grow(own, need));
            self.len += taken;
            data = data.get(taken..).unwrap_or_default();
        }
        while !data.is_empty() {
            // At most as much as there is: a buffer that fills grows in few steps, and half of it is used.
            let room = data.len().max(self.len / 2).min(CHUNK);
            let mut chunk = Chunk::with_memory(spares.take(room));
            let taken = chunk.append(data, CHUNK, usize::MAX);
            data = data.get(taken..).unwrap_or_default();
            self.push_chunk(chunk, spares);
        }
    }

    fn push_chunk(&mut self, chunk: Chunk, spares: &mut Spares) {
        if self.chunks.capacity() == 0 {
            self.chunks = spares.take_queue();
        }
        self.len += chunk.len();
        self.chunks.push_back(chunk);
    }

    /// Moves octets to `buf` and says how many: as many as there are and fit.
    pub fn read(&mut self, buf: &mut [u8], spares: &mut Spares) -> usize {
        let n = self.peek(buf);
        self.discard(n, spares);
        n
    }

    /// As [`read`](Self::read), but they stay.
    pub fn peek(&self, buf: &mut [u8]) -> usize {
        self.peek_from(0, buf)
    }

    /// As [`peek`](Self::peek), from the octet at `skip` on.
    pub fn peek_from(&self, mut skip: usize, mut buf: &mut [u8]) -> usize {
        let mut copied = 0;
        for chunk in &self.chunks {
            let data = chunk.as_slice();
            let passed = skip.min(data.len());
            skip -= passed;
            let data = data.get(passed..).unwrap_or_default();
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
    pub fn read_bytes(&mut self, max: usize, spares: &mut Spares) -> Bytes {
        if max == 0 {
            return Bytes::new();
        }
        let Some(first) = self.chunks.front_mut() else { return Bytes::new() };
        let bytes = first.take(max);
        self.len -= bytes.len();
        if first.len() == 0 {
            self.drop_first(spares);
        }
        bytes
    }

    /// Drops the first `n` octets; more than there are means all.
    pub fn discard(&mut self, n: usize, spares: &mut Spares) {
        let mut n = n.min(self.len);
        self.len -= n;
        while n > 0 {
            let Some(first) = self.chunks.front_mut() else { break };
            let here = first.len().min(n);
            n -= here;
            if here == first.len() {
                self.drop_first(spares);
            } else {
                first.advance(here);
            }
        }
    }

    fn drop_first(&mut self, spares: &mut Spares) {
        if let Some(Chunk::Owned { data, .. }) = self.chunks.pop_front() {
            spares.give(data);
        }
        if self.chunks.is_empty() {
            spares.give_queue(mem::take(&mut self.chunks));
        }
    }

    /// The most that [`memory`](Self::memory) grows by when `len` octets are pushed that lie in `backing`.
    pub fn growth(&self, len: usize, backing: Option<&Bytes>) -> usize {
        let pieces = 1 + len.div_ceil(CHUNK);
        let grows = self.chunks.len() + pieces > self.chunks.capacity();
        let records = if grows { self.chunks.capacity().max(4) + pieces } else { 0 };
        // A chunk may come to be twice what it had and has to take.
        let own = self.chunks.back().filter(|last| last.is_owned()).map_or(0, Chunk::memory);
        let text = (2 * len + own + 256).max(backing.map_or(0, Bytes::len));
        text + records * size_of::<Chunk>()
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

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn idle_costs_its_record_alone() {
        assert!(size_of::<ReceiveBuffer>() <= 40);
        let (mut b, mut spares) = (ReceiveBuffer::new(), Spares::default());
        b.push(&[1; 100_000], None, &mut spares);
        b.discard(99_999, &mut spares);
        assert_eq!(b.read_bytes(5, &mut spares), [1][..]);
        assert_eq!((b.len(), b.memory()), (0, 0));
        assert_eq!(b.read(&mut [0; 4], &mut spares), 0);
        assert!(b.read_bytes(5, &mut spares).is_empty());
    }

    #[test]
    fn a_large_segment_is_not_copied_and_a_small_one_is() {
        let frame = Bytes::from(vec![4u8; 64_000]);
        let (mut b, mut spares) = (ReceiveBuffer::new(), Spares::default());
        b.push(&frame[40..], Some(&frame), &mut spares);
        assert_eq!(b.read_bytes(usize::MAX, &mut spares).as_ptr(), frame[40..].as_ptr());
        b.push(&frame[40..2000], Some(&frame), &mut spares);
        assert!(b.memory() < 5000);
        assert_ne!(b.read_bytes(usize::MAX, &mut spares).as_ptr(), frame[40..].as_ptr());
    }

    #[test]
    fn one_octet_segments_do_not_pin_their_frames() {
        let (mut b, mut spares) = (ReceiveBuffer::new(), Spares::default());
        for _ in 0..50_000 {
            let frame = Bytes::from(vec![4u8; 41]);
            b.push(&frame[40..], Some(&frame), &mut spares);
        }
        assert!(b.memory() <= 2 * b.len(), "{} for {}", b.memory(), b.len());
    }

    #[test]
    fn a_peek_leaves_what_it_shows() {
        let (mut b, mut spares) = (ReceiveBuffer::new(), Spares::default());
        b.push(b"hello ", None, &mut spares);
        b.push_bytes(Bytes::from_static(b"world"), &mut spares);
        let mut buf = [0; 8];
        assert_eq!(b.peek(&mut buf), 8);
        assert_eq!(b.read(&mut buf, &mut spares), 8);
        assert_eq!(&buf, b"hello wo");
        assert_eq!(b.read(&mut buf, &mut spares), 3);
        assert_eq!(&buf[..3], b"rld");
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push(usize),
        PushFrame { head: usize, text: usize, tail: usize },
        PushBytes(usize),
        Read(usize),
        Peek(usize),
        ReadBytes(usize),
        Discard(usize),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let len = || prop_oneof![0..20usize, 200..5000usize, 10_000..65_000usize];
        let op = prop_oneof![
            len().prop_map(Op::Push),
            (40..60usize, len(), prop_oneof![Just(0), len()])
                // A frame is an IP packet: 64 KiB at the most.
                .prop_map(|(head, text, tail)| Op::PushFrame {
                    head,
                    text,
                    tail: tail.min(65_535 - head - text)
                }),
            len().prop_map(Op::PushBytes),
            len().prop_map(Op::Read),
            len().prop_map(Op::Peek),
            len().prop_map(Op::ReadBytes),
            len().prop_map(Op::Discard),
        ];
        proptest::collection::vec(op, 1..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn is_a_queue_of_octets(ops in ops()) {
            let mut model = VecDeque::<u8>::new();
            let (mut b, mut spares) = (ReceiveBuffer::new(), Spares::default());
            let mut next = 0u8;
            let mut text = |n: usize| -> Vec<u8> {
                (0..n).map(|_| { next = next.wrapping_mul(5).wrapping_add(7); next }).collect()
            };
            for op in ops {
                match op {
                    Op::Push(n) => {
                        let t = text(n);
                        model.extend(&t);
                        b.push(&t, None, &mut spares);
                    }
                    Op::PushFrame { head, text: n, tail } => {
                        let frame = Bytes::from(text(head + n + tail));
                        let t = &frame[head..head + n];
                        model.extend(t);
                        b.push(t, Some(&frame), &mut spares);
                    }
                    Op::PushBytes(n) => {
                        let t = text(n);
                        model.extend(&t);
                        b.push_bytes(t.into(), &mut spares);
                    }
                    Op::Read(n) | Op::Peek(n) => {
                        let mut buf = vec![0; n];
                        let read = matches!(op, Op::Read(_));
                        let got = if read { b.read(&mut buf, &mut spares) } else { b.peek(&mut buf) };
                        prop_assert_eq!(got, n.min(model.len()));
                        prop_assert!(model.range(..got).eq(&buf[..got]));
                        if read {
                            model.drain(..got);
                        }
                    }
                    Op::ReadBytes(n) => {
                        let got = b.read_bytes(n, &mut spares);
                        prop_assert!(got.len() <= n);
                        prop_assert_eq!(got.is_empty(), n == 0 || model.is_empty());
                        prop_assert!(model.drain(..got.len()).eq(got));
                    }
                    Op::Discard(n) => {
                        model.drain(..n.min(model.len()));
                        b.discard(n, &mut spares);
                    }
                }
                prop_assert_eq!(b.len(), model.len());
                prop_assert_eq!(b.is_empty(), b.memory() == 0);
                // Twice what is there, one packet being read, one chunk being filled, and the records.
                let records = b.chunks.capacity() * size_of::<Chunk>();
                prop_assert!(b.memory() >= b.len());
                prop_assert!(b.memory() <= 2 * b.len() + (64 << 10) + (16 << 10) + records);
            }
        }
    }
}
