//! What arrived in order and the program has not read: the octets before RCV.NXT (RFC 9293 §3.3.1).

use alloc::collections::VecDeque;
use core::mem;

use bytes::Bytes;

use super::chunk::{Chunk, Is, MIN_CAPACITY, share, worth_sharing};
use super::spares::{Spares, TO_RECEIVE};
use crate::body::Text;

/// The largest allocation for copied octets. Smaller than the chunks of the send buffer, because two of them
/// may be nearly unused at once: the one being read and the one being filled.
const CHUNK: usize = TO_RECEIVE;

/// Shorter text is copied always: a reference costs about as much as it.
const REFERENCE: usize = 1024;

/// Octets for the program, in order.
///
/// Text stays in the allocation it arrived in where it fills at least half of that, and is copied otherwise,
/// so [`memory`](Self::memory) is at most twice [`len`](Self::len) plus one packet being read and one chunk
/// being filled. Nothing is allocated while it is empty. It holds less than 4 GiB: no window is as large.
#[derive(Debug, Default)]
pub struct ReceiveBuffer {
    /// In order, none empty.
    chunks: VecDeque<Chunk>,
    len: u32,
    /// The sum of [`Chunk::memory`] over all chunks.
    text_memory: u32,
}

impl ReceiveBuffer {
    /// Empty, without an allocation.
    pub const fn new() -> Self {
        Self { chunks: VecDeque::new(), len: 0, text_memory: 0 }
    }

    /// How many octets there are.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends `data`. Where `backing` is the allocation it lies in and `data` fills at least half of it, a
    /// reference is kept (short text apart); otherwise it is copied.
    #[inline]
    pub fn push(&mut self, data: &[u8], backing: Option<&Bytes>, spares: &mut Spares) {
        match share(data, backing, REFERENCE) {
            Some(bytes) => self.push_chunk(Chunk::shared(bytes, backing.map_or(0, Bytes::len)), spares),
            None => self.copy(data, spares),
        }
    }

    /// Appends `data`, which keeps an allocation of `pinned` octets alive: by reference, or copied where it is short or
    /// less than half of that.
    pub fn push_bytes(&mut self, data: Bytes, pinned: usize, spares: &mut Spares) {
        if worth_sharing(data.len(), pinned, REFERENCE) {
            self.push_chunk(Chunk::shared(data, pinned), spares);
        } else {
            self.copy(&data, spares);
        }
    }

    /// Appends a text, the first octets of which lie in `backing`.
    #[inline]
    pub fn push_text(&mut self, text: &Text<'_>, backing: Option<&Bytes>, spares: &mut Spares) {
        match text.as_slice() {
            Some(octets) => self.push(octets, backing, spares),
            None => self.push_lent(text, spares),
        }
    }

    /// Appends a text that came by reference, and keeps it so but for the end of an allocation whose other octets have been
    /// read, where that is the smaller part of it. Of what more is to follow in the same allocation nothing is kept alive
    /// that is not so anyway.
    #[inline(never)]
    fn push_lent(&mut self, text: &Text<'_>, spares: &mut Spares) {
        let (octets, lent) = text.parts();
        // Mostly none: the headers are what lies there.
        self.copy(octets, spares);
        for (lent, len) in lent {
            let (short, more) = (len < REFERENCE, lent.has_more());
            if let Some(next) = self.chunks.back_mut().and_then(|last| last.continued_by(lent, len)) {
                self.push_chunk(next, spares);
            } else if more && !short || worth_sharing(len, lent.pinned(), REFERENCE) {
                self.push_chunk(Chunk::shared(lent.octets().slice(..len), lent.pinned()), spares);
            } else {
                self.copy(lent.octets().get(..len).unwrap_or_default(), spares);
            }
        }
    }

    fn copy(&mut self, mut data: &[u8], spares: &mut Spares) {
        if let Some(last) = self.chunks.back_mut() {
            if last.append_whole(data, CHUNK) {
                self.len += data.len() as u32;
                return;
            }
            let taken = last.append_growing(data, CHUNK, |own, need| {
                let before = own.capacity();
                spares.grow(own, need, CHUNK);
                self.text_memory = self.text_memory.saturating_add((own.capacity() - before) as u32);
            });
            self.len += taken as u32;
            data = data.get(taken..).unwrap_or_default();
        }
        while !data.is_empty() {
            // At most as much as there is: a buffer that fills grows in few steps, and half of it is used. Between references
            // little may come.
            let fills = self.chunks.back().is_some_and(Chunk::is_owned);
            let room = data.len().max(if fills { self.len() / 2 } else { 0 }).min(CHUNK);
            // Behind a full segment there are mostly others, but not between references.
            let much = data.len() >= REFERENCE && self.chunks.back().is_none_or(Chunk::is_owned);
            let memory = if much { spares.take_ample(room, CHUNK) } else { spares.take(room) };
            // It has its place before it is filled: to move it right behind the octets is dear.
            self.push_chunk(Chunk::with_memory(memory), spares);
            let taken = self.chunks.back_mut().map_or(0, |chunk| chunk.append(data, CHUNK, usize::MAX));
            if taken == 0 {
                debug_assert!(false, "there is a chunk with room");
                return;
            }
            self.len += taken as u32;
            data = data.get(taken..).unwrap_or_default();
        }
    }

    fn push_chunk(&mut self, chunk: Chunk, spares: &mut Spares) {
        if self.chunks.capacity() == 0 {
            self.chunks = spares.take_queue();
        }
        self.len += chunk.len() as u32;
        self.text_memory = self.text_memory.saturating_add(chunk.memory() as u32);
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
        let before = first.memory();
        let bytes = first.take(max);
        self.len -= bytes.len() as u32;
        self.text_memory = self.text_memory.saturating_sub((before - first.memory()) as u32);
        if first.len() == 0 {
            self.drop_first(spares);
        }
        bytes
    }

    /// Drops the first `n` octets; more than there are means all.
    pub fn discard(&mut self, n: usize, spares: &mut Spares) {
        let mut n = n.min(self.len());
        self.len -= n as u32;
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
        if self.chunks.len() > 1 {
            let first = self.chunks.pop_front();
            return self.let_go(first, spares);
        }
        // The queue goes with the last. To move it is dear right behind a change.
        let mut queue = mem::take(&mut self.chunks);
        self.let_go(queue.pop_front(), spares);
        spares.give_queue(queue);
    }

    #[inline]
    fn let_go(&mut self, chunk: Option<Chunk>, spares: &mut Spares) {
        match chunk {
            Some(Chunk::Owned { data, .. }) => {
                self.text_memory = self.text_memory.saturating_sub(data.capacity() as u32);
                spares.give(data);
            }
            Some(Chunk::Shared { pinned, is, .. }) => {
                if is.contains(Is::CONTINUED)
                    && let Some(Chunk::Shared { pinned: next, .. }) = self.chunks.front_mut()
                {
                    *next = pinned;
                } else {
                    self.text_memory = self.text_memory.saturating_sub(pinned);
                }
            }
            None => {}
        }
    }

    /// The most that [`memory`](Self::memory) grows by when `len` octets are pushed that lie in `backing`.
    pub fn growth(&self, len: usize, backing: Option<&Bytes>) -> usize {
        let pieces = 1 + len.div_ceil(CHUNK);
        let grows = self.chunks.len() + pieces > self.chunks.capacity();
        // It doubles.
        let records = if grows { (2 * (self.chunks.len() + pieces)).max(4) } else { 0 };
        let copied = match self.chunks.back() {
            Some(last) if last.free() >= len => 0,
            // A chunk may come to be twice what it had and has to take, and the next is as large as half of what there is.
            Some(last) if last.is_owned() => {
                let next = (self.len().saturating_add(len) / 2).min(CHUNK).next_power_of_two();
                2 * len + MIN_CAPACITY + last.memory().max(next)
            }
            // Behind a whole chunk there may be another that is nearly empty.
            _ if len > CHUNK => 2 * len + CHUNK,
            _ => len.max(MIN_CAPACITY).next_power_of_two(),
        };
        let shared = backing.filter(|b| worth_sharing(len, b.len(), REFERENCE)).map_or(0, Bytes::len);
        copied.max(shared) + records * size_of::<Chunk>()
    }

    /// Octets of memory it holds, whether used or not.
    pub fn memory(&self) -> usize {
        self.text_memory as usize + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// The same as a sum over all pieces.
    #[cfg(test)]
    pub(crate) fn summed_memory(&self) -> usize {
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
    use crate::body::Lent;

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

    /// However much memory is at hand.
    #[test]
    fn copied_text_between_references_takes_no_more_than_it_needs() {
        let (mut b, mut spares) = (ReceiveBuffer::new(), Spares::default());
        (0..100).for_each(|_| spares.give(Vec::with_capacity(CHUNK)));
        for _ in 0..100 {
            let (full, joined) = (Bytes::from(vec![4u8; 1500]), Bytes::from(vec![4u8; 4000]));
            b.push(&full[52..], Some(&full), &mut spares);
            b.push(&joined[52..1252], Some(&joined), &mut spares);
        }
        assert!(b.memory() <= 2 * b.len() + CHUNK, "{} for {}", b.memory(), b.len());
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
    fn short_copies_between_references_stay_small() {
        let (mut b, mut spares) = (ReceiveBuffer::new(), Spares::none());
        for _ in 0..100 {
            let frame = Bytes::from(vec![4u8; 2000]);
            b.push(&frame[40..], Some(&frame), &mut spares);
            let most = b.memory() + b.growth(1, None);
            b.push(b"x", None, &mut spares);
            assert!(b.memory() <= most);
        }
        assert!(b.memory() < 2 * b.len(), "{} for {}", b.memory(), b.len());
    }

    #[test]
    fn a_peek_leaves_what_it_shows() {
        let (mut b, mut spares) = (ReceiveBuffer::new(), Spares::default());
        b.push(b"hello ", None, &mut spares);
        b.push_bytes(Bytes::from_static(b"world"), 5, &mut spares);
        let mut buf = [0; 8];
        assert_eq!(b.peek(&mut buf), 8);
        assert_eq!(b.read(&mut buf, &mut spares), 8);
        assert_eq!(&buf, b"hello wo");
        assert_eq!(b.read(&mut buf, &mut spares), 3);
        assert_eq!(&buf[..3], b"rld");
    }

    /// What an allocation pins counts whole also where the text came out of order, and what fills too little of one is copied.
    #[test]
    fn what_is_pinned_counts() {
        let (mut b, mut spares) = (ReceiveBuffer::new(), Spares::none());
        let frame = Bytes::from(vec![4u8; 8000]);
        b.push_bytes(frame.slice(..5000), 8000, &mut spares);
        assert_eq!(b.memory(), 8000 + 4 * size_of::<Chunk>());
        b.push_bytes(frame.slice(..3000), 8000, &mut spares);
        assert_eq!(b.memory(), 8000 + 4096 + 4 * size_of::<Chunk>());
        assert_eq!(b.read_bytes(8000, &mut spares).len(), 5000);
        assert_eq!(b.read_bytes(8000, &mut spares).len(), 3000);
        assert_eq!(b.memory(), 0);
    }

    /// One allocation counts once, however many parts of it wait, and as long as any of them does.
    #[test]
    fn what_many_share_counts_once() {
        let (mut b, mut spares) = (ReceiveBuffer::new(), Spares::none());
        let all = Bytes::from(vec![4u8; 60_000]);
        let lent = |from: usize, to: usize| Lent::new(all.slice(from..to), 65_536, from > 0, to < 60_000);
        let text = |b: &ReceiveBuffer| b.memory() - b.chunks.capacity() * size_of::<Chunk>();
        // It is kept although it is short: the rest is to come.
        b.push_text(&Text::new(&[], &[lent(0, 5000)]), None, &mut spares);
        assert_eq!(text(&b), 65_536);
        b.push_text(&Text::new(&[], &[lent(5000, 5100), lent(5100, 60_000)]), None, &mut spares);
        assert_eq!((text(&b), b.chunks.len()), (65_536, 3));
        b.discard(5050, &mut spares);
        assert_eq!(text(&b), 65_536);
        assert_eq!(b.read_bytes(50, &mut spares).as_ptr(), all[5050..].as_ptr());
        assert_eq!((text(&b), b.chunks.len()), (65_536, 1));
        b.discard(50_000, &mut spares);
        assert_eq!(text(&b), 65_536);
        // The end of another, the rest of which nobody waits for, is copied, and short.
        b.push_text(&Text::new(b"head", &[lent(50_000, 60_000)]), None, &mut spares);
        assert!(text(&b) <= 65_536 + 2 * CHUNK && b.chunks.iter().skip(1).all(Chunk::is_owned));
        b.discard(usize::MAX, &mut spares);
        assert_eq!((b.memory(), b.summed_memory()), (0, 0));
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push(usize),
        PushFrame {
            head: usize,
            text: usize,
            tail: usize,
        },
        PushBytes(usize),
        /// An allocation of so many octets and room for more, in parts, some octets being read between them.
        PushLent {
            len: usize,
            cuts: Vec<usize>,
            read: usize,
        },
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
            (4096..65_536usize, proptest::collection::vec(0..65_536usize, 0..5), len())
                .prop_map(|(len, cuts, read)| Op::PushLent { len, cuts, read }),
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
            // Where memory is bounded there are no spares, and what it grows by is foretold.
            let (mut b, mut spares) = (ReceiveBuffer::new(), Spares::none());
            let mut next = 0u8;
            let mut text = |n: usize| -> Vec<u8> {
                (0..n).map(|_| { next = next.wrapping_mul(5).wrapping_add(7); next }).collect()
            };
            for op in ops {
                match op {
                    Op::Push(n) => {
                        let t = text(n);
                        model.extend(&t);
                        let most = b.memory() + b.growth(n, None);
                        b.push(&t, None, &mut spares);
                        prop_assert!(b.memory() <= most, "{} of {most}", b.memory());
                    }
                    Op::PushFrame { head, text: n, tail } => {
                        let frame = Bytes::from(text(head + n + tail));
                        let t = &frame[head..head + n];
                        model.extend(t);
                        let most = b.memory() + b.growth(n, Some(&frame));
                        b.push(t, Some(&frame), &mut spares);
                        prop_assert!(b.memory() <= most, "{} of {most}", b.memory());
                    }
                    Op::PushBytes(n) => {
                        let t = text(n);
                        model.extend(&t);
                        b.push_bytes(t.into(), n, &mut spares);
                    }
                    Op::PushLent { len, mut cuts, read } => {
                        let (t, pinned) = (Bytes::from(text(len)), len.next_power_of_two());
                        cuts.extend([0, len]);
                        cuts.retain(|&cut| cut <= len);
                        cuts.sort_unstable();
                        for ends in cuts.windows(2) {
                            let part = t.slice(ends[0]..ends[1]);
                            model.extend(&part);
                            let lent = [Lent::new(part, pinned as u32, ends[0] > 0, ends[1] < len)];
                            let before = b.memory();
                            b.push_text(&Text::new(&[], &lent), None, &mut spares);
                            let records = 2 * b.chunks.capacity() * size_of::<Chunk>();
                            prop_assert!(b.memory() <= before + pinned.max(2 * CHUNK) + records);
                            let mut buf = vec![0; read];
                            let got = b.read(&mut buf, &mut spares);
                            prop_assert!(model.drain(..got).eq(buf[..got].iter().copied()));
                        }
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
                prop_assert_eq!(b.memory(), b.summed_memory());
                // Twice what is there, one packet being read, one chunk being filled, and the records.
                let records = b.chunks.capacity() * size_of::<Chunk>();
                prop_assert!(b.memory() >= b.len());
                prop_assert!(b.memory() <= 2 * b.len() + (64 << 10) + (16 << 10) + records);
            }
        }
    }
}
