//! A piece of a buffer: octets of our own that can grow, or octets that somebody else allocated.

use alloc::vec::Vec;
use core::mem;

use bytes::{Buf, Bytes};

use crate::body::Lent;

/// The smallest allocation for copied octets.
pub(crate) const MIN_CAPACITY: usize = 256;

/// From this length on a reference to what is sent is cheaper than a copy.
pub(crate) const REFERENCE: usize = 4096;

/// Octets that leave at the front and, where they are ours, are added at the back; less than 4 GiB.
#[derive(Clone, Debug)]
pub(crate) enum Chunk {
    /// Copied: `data[start..]` is there still.
    Owned { data: Vec<u8>, start: usize },
    /// By reference.
    Shared {
        bytes: Bytes,
        /// How large the allocation is that `bytes` keeps alive, as far as we know; 0 where it is counted with the chunk
        /// before, which lies in the same.
        pinned: u32,
        is: Is,
    },
}

bitflags::bitflags! {
    /// What is so of an allocation that `bytes` keeps alive.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Is: u8 {
        /// Others lay, or lie, before `bytes` in it.
        const INNER = 1;
        /// It is the stack's: octets that were copied there, and may be lent.
        const OURS = 2;
        /// The next chunk lies in the same.
        const CONTINUED = 4;
    }
}

/// A chunk of a send buffer.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Where the chunk begins, counted in octets since the buffer was empty last. Differences stay right when
    /// octets leave, so nothing is renumbered.
    pub(crate) start: u64,
    pub(crate) chunk: Chunk,
}

impl Chunk {
    /// Nothing yet, to be appended to.
    pub(crate) const fn new() -> Self {
        Self::Owned { data: Vec::new(), start: 0 }
    }

    /// Nothing yet, in memory that has none.
    pub(crate) const fn with_memory(data: Vec<u8>) -> Self {
        Self::Owned { data, start: 0 }
    }

    /// By reference, in an allocation of `pinned` octets.
    pub(crate) fn shared(bytes: Bytes, pinned: usize) -> Self {
        let pinned = pinned.max(bytes.len()) as u32;
        Self::Shared { bytes, pinned, is: Is::empty() }
    }

    /// The chunk of the first `len` octets of `lent`, where they lie right behind this one in one allocation: that is counted
    /// with this one.
    pub(crate) fn continued_by(&mut self, lent: &Lent, len: usize) -> Option<Self> {
        let Self::Shared { bytes, is, .. } = self else { return None };
        // Where octets lie before them, the one at that address is of their allocation; and an octet that is there is of one
        // alone.
        if !lent.is_inner() || bytes.as_ptr_range().end != lent.octets().as_ptr() {
            return None;
        }
        is.insert(Is::CONTINUED);
        Some(Self::Shared { bytes: lent.octets().slice(..len), pinned: 0, is: Is::empty() })
    }

    /// Makes it one that can be lent, where it fills enough of its allocation: what is appended from then on needs
    /// another.
    pub(crate) fn freeze(&mut self) {
        if let Self::Owned { data, start } = self
            && worth_sharing(data.len(), data.capacity(), REFERENCE)
        {
            let pinned = data.capacity() as u32;
            let is = if *start > 0 { Is::OURS | Is::INNER } else { Is::OURS };
            let mut bytes = Bytes::from(mem::take(data));
            bytes.advance(*start);
            *self = Self::Shared { bytes, pinned, is };
        }
    }

    /// Its octets from `skip` on, up to `len` of them: by reference, or copied where they can be written to yet.
    pub(crate) fn lend(&self, skip: usize, len: usize) -> Lent {
        match self {
            Self::Shared { bytes, pinned, is } => {
                let end = bytes.len().min(skip.saturating_add(len));
                let octets = bytes.slice(skip.min(end)..end);
                Lent::new(octets, *pinned, is.contains(Is::INNER) || skip > 0, end < bytes.len())
            }
            Self::Owned { .. } => {
                let octets = self.as_slice().get(skip..).unwrap_or_default();
                Bytes::copy_from_slice(octets.get(..len).unwrap_or(octets)).into()
            }
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned { data, start } => data.get(*start..).unwrap_or_default(),
            Self::Shared { bytes, .. } => bytes,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Owned { data, start } => data.len().saturating_sub(*start),
            Self::Shared { bytes, .. } => bytes.len(),
        }
    }

    pub(crate) const fn is_owned(&self) -> bool {
        matches!(self, Self::Owned { .. })
    }

    /// Octets of memory it holds, whether used or not.
    pub(crate) const fn memory(&self) -> usize {
        match self {
            Self::Owned { data, .. } => data.capacity(),
            Self::Shared { pinned, .. } => *pinned as usize,
        }
    }

    /// Copies from the front of `data` what fits when the allocation may grow to `limit` octets, and says
    /// how many octets that were: none for a shared chunk. The allocation doubles, but has at most `spare`
    /// octets more than it needs.
    pub(crate) fn append(&mut self, data: &[u8], limit: usize, spare: usize) -> usize {
        self.append_growing(data, limit, |own, need| {
            let target = need.next_power_of_two().max(MIN_CAPACITY).min(limit);
            let target = target.clamp(need, need.saturating_add(spare));
            own.reserve_exact(target - own.len());
        })
    }

    /// Copies all of `data` if it fits the allocation, and that is not longer than `limit`; says whether.
    #[inline]
    pub(crate) fn append_whole(&mut self, data: &[u8], limit: usize) -> bool {
        match self {
            Self::Owned { data: own, .. } if own.len() + data.len() <= own.capacity().min(limit) => {
                own.extend_from_slice(data);
                true
            }
            _ => false,
        }
    }

    /// As [`append`](Self::append), but where the allocation has to grow `grow` is told how large it must be at least.
    pub(crate) fn append_growing(
        &mut self,
        data: &[u8],
        limit: usize,
        grow: impl FnOnce(&mut Vec<u8>, usize),
    ) -> usize {
        let Self::Owned { data: own, start } = self else { return 0 };
        // What is left slides to the front where that costs little beside what it frees, so that a
        // connection which always has a few octets underway stays with one small allocation.
        let live = own.len() - *start;
        if own.len() + data.len() > own.capacity() && live <= own.capacity() / 4 {
            own.drain(..*start);
            *start = 0;
        }
        let take = data.len().min(limit.saturating_sub(own.len()));
        let Some(data) = data.get(..take) else { return 0 };
        let need = own.len() + take;
        if need > own.capacity() {
            grow(own, need);
        }
        own.extend_from_slice(data);
        take
    }

    /// Octets that those that are gone still take, with those that are there.
    pub(crate) const fn extent(&self) -> usize {
        match self {
            Self::Owned { data, .. } => data.len(),
            Self::Shared { bytes, .. } => bytes.len(),
        }
    }

    /// How many octets more can be appended without another allocation: none to a shared chunk.
    pub(crate) fn free(&self) -> usize {
        match self {
            // What slides to the front makes room as well.
            Self::Owned { data, start } if data.len() - start <= data.capacity() / 4 => {
                data.capacity() - (data.len() - start)
            }
            Self::Owned { data, .. } => data.capacity() - data.len(),
            Self::Shared { .. } => 0,
        }
    }

    /// `n` octets leave at the front.
    pub(crate) fn advance(&mut self, n: usize) {
        match self {
            Self::Owned { data, start } => *start = start.saturating_add(n).min(data.len()),
            Self::Shared { bytes, is, .. } => {
                bytes.advance(n.min(bytes.len()));
                is.insert(Is::INNER);
            }
        }
    }

    /// All octets, as [`take`](Self::take) gives them, and how large the allocation is that they keep alive.
    pub(crate) fn into_bytes(mut self) -> (Bytes, usize) {
        let memory = self.memory();
        let copied = self.is_owned() && self.len() < memory / 2;
        let bytes = self.take(usize::MAX);
        let pinned = if copied { bytes.len() } else { memory };
        (bytes, pinned)
    }

    /// Takes up to `n` octets off the front: by reference, unless that would keep alive an allocation of
    /// our own that is more than twice as large.
    pub(crate) fn take(&mut self, n: usize) -> Bytes {
        let n = n.min(self.len());
        match self {
            Self::Shared { bytes, .. } => bytes.split_to(n),
            Self::Owned { data, start } if n >= data.capacity() / 2 => {
                let pinned = data.capacity() as u32;
                let mut bytes = Bytes::from(mem::take(data));
                bytes.advance(*start);
                let taken = bytes.split_to(n);
                *self = if bytes.is_empty() {
                    Self::new()
                } else {
                    Self::Shared { bytes, pinned, is: Is::INNER }
                };
                taken
            }
            Self::Owned { .. } => {
                let taken = Bytes::copy_from_slice(self.as_slice().get(..n).unwrap_or_default());
                self.advance(n);
                taken
            }
        }
    }
}

/// `data` as a part of `backing`, where it is one, has at least `min` octets and fills at least half of it: a
/// short text must not keep a large allocation alive.
pub(crate) fn share(data: &[u8], backing: Option<&Bytes>, min: usize) -> Option<Bytes> {
    let backing = backing?;
    if !worth_sharing(data.len(), backing.len(), min) {
        return None;
    }
    let at = (data.as_ptr() as usize).checked_sub(backing.as_ptr() as usize)?;
    let end = at.checked_add(data.len())?;
    (end <= backing.len()).then(|| backing.slice(at..end))
}

/// Whether [`share`] takes `len` octets of an allocation of `backing` octets by reference.
pub(crate) const fn worth_sharing(len: usize, backing: usize, min: usize) -> bool {
    len > 0 && len >= min && len >= backing.div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_by_doubling_up_to_its_limit() {
        let mut c = Chunk::new();
        assert_eq!(c.memory(), 0);
        assert_eq!(c.append(&[1; 10], 1000, usize::MAX), 10);
        assert_eq!(c.memory(), 256);
        assert_eq!(c.append(&[2; 300], 1000, usize::MAX), 300);
        assert_eq!(c.memory(), 512);
        assert_eq!(c.append(&[3; 900], 1000, usize::MAX), 690);
        assert_eq!((c.memory(), c.len()), (1000, 1000));
        assert_eq!(c.append(&[4], 1000, usize::MAX), 0);
    }

    #[test]
    fn spare_room_is_kept_to_what_is_allowed() {
        let mut c = Chunk::new();
        c.append(&[1; 300], 1000, 7);
        assert_eq!(c.memory(), 307);
    }

    #[test]
    fn what_is_left_slides_instead_of_growing() {
        let mut c = Chunk::new();
        for i in 0..10_000u32 {
            assert_eq!(c.append(&i.to_be_bytes(), 1 << 16, usize::MAX), 4);
            if i >= 5 {
                assert_eq!(c.as_slice().get(..4), Some(&(i - 5).to_be_bytes()[..]));
                c.advance(4);
            }
        }
        assert_eq!(c.memory(), 256);
    }

    #[test]
    fn takes_by_reference_only_what_fills_half() {
        let mut c = Chunk::new();
        c.append(&[7; 1024], 1024, usize::MAX);
        let at = c.as_slice().as_ptr();
        let copied = c.take(100);
        assert_ne!(copied.as_ptr(), at);
        assert_eq!(c.len(), 924);
        let kept = c.take(600);
        assert_eq!(kept.as_ptr() as usize, at as usize + 100);
        assert_eq!((c.len(), c.memory()), (324, 1024));
        assert_eq!(c.take(usize::MAX).len(), 324);
        assert_eq!(c.len(), 0);
    }

    #[test]
    fn what_is_frozen_lies_where_it_lay_and_takes_no_more() {
        let mut c = Chunk::new();
        c.append(&[7; REFERENCE - 1], 2 * REFERENCE, usize::MAX);
        c.freeze();
        assert!(c.is_owned(), "it is short");
        c.append(&[8; 11], 2 * REFERENCE, usize::MAX);
        c.advance(10);
        let (at, memory) = (c.as_slice().as_ptr(), c.memory());
        c.freeze();
        assert_eq!((c.as_slice().as_ptr(), c.len(), c.memory()), (at, REFERENCE, memory));
        assert_eq!((c.append(&[9], 2 * REFERENCE, usize::MAX), c.free()), (0, 0));
        let lent = c.lend(5, 7);
        assert_eq!((lent.octets().as_ptr() as usize, lent.octets().len()), (at as usize + 5, 7));
        assert_eq!((lent.pinned(), lent.is_inner(), c.lend(0, 1).is_inner()), (memory, true, true));
        assert_eq!((lent.has_more(), c.lend(5, usize::MAX).has_more()), (true, false));
    }

    #[test]
    fn shares_what_is_inside_and_fills_half() {
        let backing = Bytes::from(alloc::vec![5u8; 2000]);
        assert!(share(&backing[1000..], Some(&backing), 64).is_some());
        assert!(share(&backing[1001..], Some(&backing), 64).is_none());
        assert!(share(&backing[..], Some(&backing), 2001).is_none());
        assert!(share(&[5; 1500], Some(&backing), 64).is_none());
        assert!(share(&backing[..], None, 64).is_none());
    }
}
