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
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn content(body: Body<'_>) -> Vec<u8> {
        body.pieces().flatten().copied().collect()
    }

    #[test]
    fn idle_costs_its_record_alone() {
        assert!(size_of::<SendBuffer>() <= 48);
        let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
        assert_eq!(b.memory(), 0);
        b.write(&[1; 100_000], &mut spares);
        b.write_bytes(Bytes::from_static(&[2; 5000]), &mut spares);
        b.advance(105_000, &mut spares);
        assert_eq!((b.len(), b.memory()), (0, 0));
    }

    #[test]
    fn an_interactive_connection_stays_small() {
        let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
        b.write(b"first", &mut spares);
        for key in 0..100_000u32 {
            b.write(&key.to_be_bytes(), &mut spares);
            b.advance(if key == 0 { 5 } else { 4 }, &mut spares);
            assert!(b.memory() <= 1024, "{} octets for a key stroke", b.memory());
        }
        assert_eq!(content(b.slice(0, 10)), 99_999u32.to_be_bytes());
    }

    #[test]
    fn a_stream_lies_in_whole_chunks() {
        let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
        for _ in 0..1000 {
            b.write(&[9; 1000], &mut spares);
        }
        assert_eq!(b.pieces.len(), 1_000_000usize.div_ceil(CHUNK));
        assert_eq!(content(b.slice(500_000, 70_000)).len(), 70_000);
    }

    #[test]
    fn long_writes_are_not_copied() {
        let data = Bytes::from(alloc::vec![3u8; REFERENCE]);
        let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
        b.write(b"x", &mut spares);
        b.write_bytes(data.clone(), &mut spares);
        b.write_bytes(data.slice(1..), &mut spares);
        let pieces: Vec<_> = b.slice(1, usize::MAX).pieces().collect();
        assert_eq!(pieces[0].as_ptr(), data.as_ptr());
        assert_ne!(pieces[1].as_ptr(), data[1..].as_ptr());
    }

    #[test]
    fn short_copies_between_references_stay_small() {
        let data = Bytes::from(alloc::vec![3u8; REFERENCE]);
        let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
        for _ in 0..100 {
            b.write_bytes(data.clone(), &mut spares);
            b.write(b"x", &mut spares);
        }
        assert!(b.memory() < 2 * b.len(), "{} for {}", b.memory(), b.len());
    }

    #[test]
    fn a_slice_ends_where_a_body_is_full() {
        let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
        for i in 0..6u8 {
            b.write_bytes(Bytes::from(alloc::vec![i; REFERENCE]), &mut spares);
        }
        assert_eq!(b.slice(10, usize::MAX).len(), Body::MAX_PIECES * REFERENCE - 10);
        assert_eq!(b.slice(b.len(), 1).len(), 0);
        assert_eq!(b.slice(usize::MAX, usize::MAX).len(), 0);
        assert_eq!(b.slice(0, 0).len(), 0);
        b.advance(usize::MAX, &mut spares);
        assert!(b.is_empty());
    }

    #[test]
    fn a_record_ends_where_it_was_said_to() {
        let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
        b.end_record();
        assert_eq!((b.records(), b.record_left(0)), (0, None), "nothing has no end");
        b.write(&[1; 10], &mut spares);
        b.end_record();
        b.end_record();
        b.write_bytes(Bytes::from_static(&[2; 5000]), &mut spares);
        b.end_record();
        b.write(b"open", &mut spares);
        assert_eq!(b.records(), 2);
        assert_eq!([b.record_left(0), b.record_left(9), b.record_left(10)], [Some(10), Some(1), Some(5000)]);
        assert_eq!(b.record_left(5010), None);
        b.advance(9, &mut spares);
        assert_eq!([b.record_left(0), b.record_left(1)], [Some(1), Some(5000)]);
        b.advance(1, &mut spares);
        assert_eq!((b.records(), b.record_left(0)), (1, Some(5000)));
        b.advance(5004, &mut spares);
        assert_eq!((b.records(), b.memory()), (0, 0));
        b.write(b"fresh", &mut spares);
        assert_eq!(b.record_left(0), None);
    }

    /// Of a piece that leaves bit by bit the last bit keeps all of it alive.
    #[test]
    fn what_is_remembered_of_lent_memory_counts_whole() {
        let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
        let mut out = Vec::new();
        for _ in 0..200 {
            b.write(&[1; CHUNK], &mut spares);
            assert!(b.freeze(0, CHUNK) && b.to_lend(0, CHUNK).lend(&mut out));
            b.advance(CHUNK - 1, &mut spares);
            b.advance(1, &mut spares);
        }
        let remembered = out.iter().filter(|lent| !lent.octets().is_unique()).count();
        assert!(remembered > 0 && remembered * CHUNK <= 4 << 20, "{remembered} of 64 KiB");
        assert!(spares.memory() >= remembered * CHUNK, "{}", spares.memory());
    }

    /// What never leaves by reference is not made ready to.
    #[test]
    fn short_segments_leave_a_piece_as_it_is() {
        let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
        b.write(&[1; CHUNK / 2], &mut spares);
        assert!(!b.freeze(0, REFERENCE - 1) && !b.freeze(100, 0));
        assert!(b.pieces[0].chunk.is_owned());
    }

    #[test]
    fn what_is_lent_is_not_copied_and_comes_back() {
        let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
        b.write(&[1; CHUNK], &mut spares);
        b.write(&[2; CHUNK / 2 + 100], &mut spares);
        let memory = b.memory();
        // The second is filled by half, and so it is full from now on.
        assert!(b.freeze(100, 2 * CHUNK) && b.memory() == memory);
        let mut lent = Vec::new();
        assert!(b.to_lend(100, CHUNK).lend(&mut lent));
        let at = b.slice(0, usize::MAX).pieces().map(<[u8]>::as_ptr).collect::<Vec<_>>();
        assert_eq!(lent[0].octets().as_ptr() as usize, at[0] as usize + 100);
        assert_eq!(
            lent.iter().map(|l| (l.octets().len(), l.pinned(), l.is_inner())).collect::<Vec<_>>(),
            [(CHUNK - 100, CHUNK, true), (100, CHUNK, false)]
        );
        b.write(&[3; 10], &mut spares);
        assert_eq!((b.pieces.len(), content(b.slice(CHUNK + CHUNK / 2 + 100, 10))), (3, [3; 10].to_vec()));
        // Little in a large piece stays where more can follow on it.
        assert!(!b.freeze(b.len() - 10, 10) && b.pieces[2].chunk.is_owned());
        b.advance(2 * CHUNK, &mut spares);
        assert_eq!(spares.take(CHUNK).capacity(), CHUNK);
        assert_eq!(lent[0].octets()[..], [1; CHUNK - 100], "it is still out");
        drop(lent);
        let back = spares.take(CHUNK);
        assert!(at.contains(&back.as_ptr()) && back.is_empty());
    }

    #[derive(Clone, Debug)]
    enum Op {
        EndRecord,
        Write(usize),
        /// What fits in so much memory, and the end of a record.
        Fill {
            room: usize,
            len: usize,
            copied: bool,
        },
        WriteBytes(usize),
        Advance(usize),
        Slice(usize, usize),
        Lend(usize, usize),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let len = || prop_oneof![0..20usize, 200..5000usize, 60_000..140_000usize];
        let op = prop_oneof![
            len().prop_map(Op::Write),
            len().prop_map(Op::WriteBytes),
            (len(), len(), any::<bool>()).prop_map(|(room, len, copied)| Op::Fill { room, len, copied }),
            len().prop_map(Op::Advance),
            Just(Op::EndRecord),
            (len(), len()).prop_map(|(o, l)| Op::Slice(o, l)),
            (len(), len()).prop_map(|(o, l)| Op::Lend(o, l)),
        ];
        proptest::collection::vec(op, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn is_a_queue_of_octets(ops in ops()) {
            let mut model = VecDeque::<u8>::new();
            let mut ends = alloc::collections::BTreeSet::<usize>::new();
            let (mut b, mut spares) = (SendBuffer::new(), Spares::none());
            // What was lent stays what it was.
            let mut lent: Vec<(Vec<Lent>, Vec<u8>)> = Vec::new();
            let mut next = 0u8;
            let mut text = |n: usize| -> Vec<u8> {
                (0..n).map(|_| { next = next.wrapping_mul(5).wrapping_add(7); next }).collect()
            };
            for op in ops {
                match op {
                    Op::Write(n) => {
                        let t = text(n);
                        model.extend(&t);
                        b.write(&t, &mut spares);
                    }
                    Op::Fill { room, len, copied } => {
                        let most = b.memory() + room;
                        let n = if copied { b.fits(room) } else { b.fits_bytes(room, len).min(len) };
                        let t = text(n);
                        model.extend(&t);
                        if copied {
                            b.write(&t, &mut spares);
                        } else {
                            b.write_bytes(t.into(), &mut spares);
                        }
                        ends.extend(Some(model.len()).filter(|&end| end > 0));
                        b.end_record();
                        if n > 0 {
                            prop_assert!(b.memory() <= most, "{} of {most}", b.memory());
                        }
                    }
                    Op::WriteBytes(n) => {
                        let t = text(n);
                        model.extend(&t);
                        b.write_bytes(t.into(), &mut spares);
                    }
                    Op::Advance(n) => {
                        let n = n.min(model.len());
                        model.drain(..n);
                        ends = ends.iter().filter(|&&end| end > n).map(|end| end - n).collect();
                        b.advance(n, &mut spares);
                    }
                    Op::EndRecord => {
                        ends.extend(Some(model.len()).filter(|&end| end > 0));
                        b.end_record();
                    }
                    Op::Slice(offset, len) => {
                        let want: Vec<u8> = model.iter().skip(offset).take(len).copied().collect();
                        let got = b.slice(offset, len);
                        prop_assert_eq!(b.in_reach(offset, len), got.len());
                        prop_assert_eq!(got.is_empty(), want.is_empty());
                        if got.pieces().count() < Body::MAX_PIECES {
                            prop_assert_eq!(got.len(), want.len());
                        }
                        prop_assert!(content(got) == want[..got.len()]);
                    }
                    Op::Lend(offset, len) => {
                        let len = b.in_reach(offset, len);
                        let worth = b.freeze(offset, len);
                        prop_assert!(!worth || len >= REFERENCE);
                        let (body, mut loan) = (b.to_lend(offset, len), Vec::new());
                        prop_assert!(body.lend(&mut loan));
                        let (whole, pinned): (Vec<_>, Vec<_>) =
                            loan.iter().map(|lent| (lent.octets().to_vec(), lent.pinned())).unzip();
                        prop_assert!(pinned.iter().zip(&whole).all(|(&pinned, octets)| pinned >= octets.len()));
                        prop_assert!(whole.concat() == content(body));
                        prop_assert!(model.iter().skip(offset).take(len).eq(&whole.concat()));
                        lent.push((loan, whole.concat()));
                    }
                }
                prop_assert!(lent.iter().all(|(loan, was)| loan.iter().flat_map(Lent::octets).eq(was)));
                prop_assert_eq!(b.len(), model.len());
                prop_assert_eq!(b.records(), ends.len());
                for offset in [0, 7, 5000] {
                    let left = ends.range(offset + 1..).next().map(|end| end - offset);
                    prop_assert_eq!(b.record_left(offset), left);
                }
                prop_assert!(b.memory() >= b.len());
                prop_assert_eq!(b.memory(), b.summed_memory());
                prop_assert_eq!(b.is_empty(), b.memory() == 0);
            }
            let mut at = 0;
            while at < b.len() {
                let got = content(b.slice(at, usize::MAX));
                prop_assert!(model.range(at..at + got.len()).eq(&got));
                at += got.len();
            }
        }
    }
}
