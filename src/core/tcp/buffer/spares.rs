//! Memory of buffers that ran empty, for those that fill next.
//!
//! A connection that has nothing to read and nothing on its way holds no memory, and one that is read as fast as it
//! receives, or acknowledged as fast as it sends, gives memory up all the time. That goes here instead of to the
//! allocator, which may hand it to the system, to be cleared page by page when the next octets come.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::chunk::{Chunk, MIN_CAPACITY, Piece};

/// Pieces that are kept of each size of memory for octets: powers of two from [`MIN_CAPACITY`] on. Of those of 16 KiB the
/// 3 MiB that one flow has unread at the most, of those of 64 KiB the 4 MiB that one has on its way, unless it is told
/// otherwise; of the smaller ones 1 MiB in all.
const EACH: [usize; 9] = [64, 64, 64, 64, 64, 64, 192, 16, 64];

/// What a receive buffer has in one piece at the most.
pub(crate) const TO_RECEIVE: usize = MIN_CAPACITY << 6;

/// The same of a send buffer.
pub(crate) const TO_SEND: usize = MIN_CAPACITY << 8;

/// How many times the room that is needed may be taken where more will follow: of many buffers with little in each none has
/// all that one flow has left.
const AMPLE: usize = 8;

/// Octets of lent memory that are remembered until it comes back: as many as one flow has on its way, unless it is told
/// otherwise.
const REMEMBERED: usize = 4 << 20;

/// How many pieces that were lent are looked at for one that has come back. They come back mostly in order; those of a
/// program that does not read must not hide the rest.
const LOOKS: usize = 4;

/// Queues that are kept of each kind.
const QUEUES: usize = 64;

/// A queue with room for more pieces is not kept.
const LONGEST: usize = 256;

/// The spare memory of a stack.
#[derive(Debug, Default)]
pub struct Spares {
    /// Nothing is kept: all memory that a stack holds has to be in its books.
    none: bool,
    octets: [Vec<Vec<u8>>; EACH.len()],
    to_receive: Queues<Chunk>,
    to_send: Queues<Piece>,
    /// Memory that others still read, the longest lent first, how large each allocation is, and their sum.
    lent: VecDeque<(Bytes, u32)>,
    lent_octets: usize,
}

/// Empty queues of pieces.
#[derive(Debug)]
struct Queues<T>(Vec<VecDeque<T>>);

impl<T> Default for Queues<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Queues<T> {
    fn take(&mut self) -> VecDeque<T> {
        self.0.pop().unwrap_or_default()
    }

    fn give(&mut self, mut queue: VecDeque<T>) {
        if (1..=LONGEST).contains(&queue.capacity()) && self.0.len() < QUEUES {
            queue.clear();
            self.0.push(queue);
        }
    }

    fn memory(&self) -> usize {
        self.0.iter().map(VecDeque::capacity).sum::<usize>() * size_of::<T>()
    }
}

impl Spares {
    /// For a stack whose memory is bounded: what is given up is free.
    pub(crate) fn none() -> Self {
        Self { none: true, ..Self::default() }
    }

    /// Room for `n` octets: as much as the next power of two, but no more than the largest size where that suffices.
    pub(crate) fn take(&mut self, n: usize) -> Vec<u8> {
        let size = n.max(MIN_CAPACITY).next_power_of_two();
        // What came back last is taken first: its memory is warm.
        let spare = class(size).and_then(|class| self.octets.get_mut(class)?.pop());
        spare.unwrap_or_else(|| self.take_anew(size))
    }

    #[inline(never)]
    fn take_anew(&mut self, size: usize) -> Vec<u8> {
        self.take_back();
        let spare = class(size).and_then(|class| self.octets.get_mut(class)?.pop());
        spare.unwrap_or_else(|| Vec::with_capacity(size))
    }

    /// Takes back memory that was lent once nobody reads it any more: an allocation of `pinned` octets, of which `bytes` may be
    /// the end alone.
    pub(crate) fn give_lent(&mut self, bytes: Bytes, pinned: u32) {
        if self.none {
            return;
        }
        match bytes.try_into_mut() {
            Ok(mut memory) => {
                // Nothing of it is to be moved to the front.
                memory.clear();
                self.give(memory.into());
            }
            Err(still) => {
                self.lent_octets += pinned as usize;
                self.lent.push_back((still, pinned));
                while self.lent_octets > REMEMBERED
                    && let Some((_, oldest)) = self.lent.pop_front()
                {
                    self.lent_octets -= oldest as usize;
                }
            }
        }
    }

    /// What of the memory that was lent has come back becomes spare again.
    fn take_back(&mut self) {
        for _ in 0..LOOKS.min(self.lent.len()) {
            let Some((bytes, pinned)) = self.lent.pop_front() else { return };
            self.lent_octets -= pinned as usize;
            self.give_lent(bytes, pinned);
        }
    }

    /// Room for `n` octets that more will follow: the largest that is at hand up to `most` octets and to some times what is
    /// needed, which saves moving them once more comes.
    pub(crate) fn take_ample(&mut self, n: usize, most: usize) -> Vec<u8> {
        let least = class(n.max(MIN_CAPACITY).next_power_of_two()).unwrap_or(EACH.len());
        let most = most.min(n.saturating_mul(AMPLE).next_power_of_two());
        let classes = class(most).and_then(|most| self.octets.get_mut(least..=most)).unwrap_or_default();
        classes.iter_mut().rev().find_map(Vec::pop).unwrap_or_else(|| self.take(n))
    }

    /// Takes memory back, or frees it where there is enough, or where it is of an odd size.
    pub(crate) fn give(&mut self, mut memory: Vec<u8>) {
        memory.clear();
        if let Some(class) = class(memory.capacity())
            && let (Some(spares), Some(most)) = (self.octets.get_mut(class), EACH.get(class))
            && spares.len() < *most
            && !self.none
        {
            spares.push(memory);
        }
    }

    /// Moves octets to memory with room for `n`, or what is at hand up to `most`, and keeps what they lay in.
    pub(crate) fn grow(&mut self, octets: &mut Vec<u8>, n: usize, most: usize) {
        let mut larger = self.take_ample(n, most);
        larger.extend_from_slice(octets);
        self.give(mem::replace(octets, larger));
    }

    /// Room for a queue of what was received.
    pub(crate) fn take_queue(&mut self) -> VecDeque<Chunk> {
        self.to_receive.take()
    }

    /// Takes such a queue back.
    pub(crate) fn give_queue(&mut self, queue: VecDeque<Chunk>) {
        if !self.none {
            self.to_receive.give(queue);
        }
    }

    /// Room for a queue of what is to be sent.
    pub(crate) fn take_send_queue(&mut self) -> VecDeque<Piece> {
        self.to_send.take()
    }

    /// Takes such a queue back.
    pub(crate) fn give_send_queue(&mut self, queue: VecDeque<Piece>) {
        if !self.none {
            self.to_send.give(queue);
        }
    }

    /// Octets of memory it holds.
    pub fn memory(&self) -> usize {
        let octets: usize = self.octets.iter().flatten().map(Vec::capacity).sum();
        octets + self.lent_octets + self.to_receive.memory() + self.to_send.memory()
    }
}

/// Where memory of that size is kept.
fn class(size: usize) -> Option<usize> {
    (size.is_power_of_two() && (MIN_CAPACITY..=TO_SEND).contains(&size))
        .then(|| (size / MIN_CAPACITY).ilog2() as usize)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn what_is_given_is_taken_again_the_last_first() {
        let mut s = Spares::default();
        let (one, other) = (s.take(1000), s.take(1024));
        assert_eq!((one.capacity(), other.capacity(), s.memory()), (1024, 1024, 0));
        let (first, last) = (one.as_ptr(), other.as_ptr());
        s.give(one);
        s.give(other);
        assert_eq!(s.memory(), 2048);
        let taken = [2048, 513, 1024].map(|n| s.take(n));
        let [other_size, second, third] = taken.each_ref().map(|memory| memory.as_ptr());
        assert!(other_size != last && other_size != first);
        assert_eq!((second, third), (last, first));
        assert_eq!(s.memory(), 0);
    }

    #[test]
    fn what_more_will_follow_to_gets_the_largest_at_hand() {
        let mut s = Spares::default();
        assert_eq!(s.take_ample(1000, 4096).capacity(), 1024, "nothing is at hand");
        for size in [512, 2048, 4096, 8192] {
            s.give(Vec::with_capacity(size));
        }
        let sizes = [(); 3].map(|()| s.take_ample(1000, 4096).capacity());
        assert_eq!((sizes, s.memory()), ([4096, 2048, 1024], 512 + 8192));
        s.give(Vec::with_capacity(2048));
        assert_eq!(s.take_ample(100, 4096).capacity(), 512, "little is needed");
        assert_eq!(s.take_ample(100, 4096).capacity(), MIN_CAPACITY, "2 KiB are too much");
        assert_eq!(s.take_ample(TO_SEND + 1, TO_SEND).capacity(), 2 * TO_SEND);
    }

    #[test]
    fn it_keeps_so_much_and_no_more() {
        let mut s = Spares::default();
        for n in 0..400 {
            for class in 0..EACH.len() {
                s.give(Vec::with_capacity(MIN_CAPACITY << class));
            }
            s.give(Vec::with_capacity(TO_SEND * 2));
            s.give(Vec::with_capacity(1000));
            s.give_queue(VecDeque::with_capacity(n));
            s.give_queue(VecDeque::with_capacity(LONGEST + 1));
            s.give_send_queue(VecDeque::with_capacity(n));
            s.give_send_queue(VecDeque::with_capacity(LONGEST + 1));
        }
        let queues: usize = (1..=QUEUES).sum();
        let octets = (1 << 20) - 64 * MIN_CAPACITY + 192 * TO_RECEIVE + (16 << 15) + 64 * TO_SEND;
        assert_eq!(s.memory(), octets + queues * (size_of::<Chunk>() + size_of::<Piece>()));
    }

    #[test]
    fn what_was_lent_comes_back_and_so_much_of_it_is_remembered() {
        let mut s = Spares::default();
        let lend = |s: &mut Spares, octet: u8| {
            let mut memory = s.take(TO_SEND);
            memory.resize(TO_SEND, octet);
            Bytes::from(memory)
        };
        let mut out: Vec<Bytes> = (0..100).map(|n| lend(&mut s, n)).collect();
        out.iter().for_each(|bytes| s.give_lent(bytes.clone(), TO_SEND as u32));
        assert_eq!(s.memory(), REMEMBERED);
        assert!((0..100).zip(&out).all(|(n, bytes)| bytes.iter().all(|&octet| octet == n)));
        // One that is read still hides none behind it.
        let first = out.swap_remove(36);
        let places: Vec<_> = out.iter().map(|bytes| bytes.as_ptr()).collect();
        drop(out);
        let taken: Vec<_> = (0..63).map(|_| s.take(TO_SEND)).collect();
        assert!(taken.iter().all(|memory| memory.is_empty() && places.contains(&memory.as_ptr())));
        assert_eq!((s.memory(), first[0]), (TO_SEND, 36));
        // Where new memory lies says nothing: some of what was forgotten has been freed.
        let another = s.take(TO_SEND);
        assert_ne!(another.as_ptr(), first.as_ptr());
        assert_eq!(s.memory(), TO_SEND, "what is read still has not come back");
    }

    #[test]
    fn where_memory_is_bounded_none_is_kept() {
        let mut s = Spares::none();
        s.give_lent(vec![7; TO_SEND].into(), TO_SEND as u32);
        s.give(Vec::with_capacity(TO_SEND));
        s.give_queue(VecDeque::with_capacity(4));
        s.give_send_queue(VecDeque::with_capacity(4));
        assert_eq!(s.memory(), 0);
    }

    #[test]
    fn what_grows_keeps_its_octets() {
        let mut s = Spares::default();
        let mut octets = s.take(1);
        octets.extend_from_slice(b"some");
        s.grow(&mut octets, 257, TO_SEND);
        assert_eq!((octets.as_slice(), octets.capacity()), (&b"some"[..], 512));
        assert_eq!(s.memory(), MIN_CAPACITY);
        s.give(vec![7; 256]);
        assert_eq!(s.take(1), b"");
    }
}
