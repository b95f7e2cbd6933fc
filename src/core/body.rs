//! The text of a packet: of a leaving one, borrowed from where it lies, and of an arriving one, parts of which may have come
//! by reference.

use alloc::vec::Vec;
use core::fmt::Debug;

use bytes::{Bytes, BytesMut};

/// Octets in up to [`Body::MAX_PIECES`] pieces, borrowed from where they lie; less than 4 GiB.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    pieces: [&'a [u8]; Body::MAX_PIECES],
    len: u32,
    /// Who has references to give to them, which lie there from that octet on.
    offset: u32,
    lender: Option<&'a dyn Lender>,
}

/// Who keeps octets in memory that can be held on to.
pub(crate) trait Lender: Debug + Send + Sync {
    /// References to `len` octets from `offset` on, behind what is in `into`.
    fn lend(&self, offset: usize, len: usize, into: &mut Vec<Lent>);
}

impl<'a> Body<'a> {
    /// How many pieces a body has at the most: what fits in one vectored write beside the headers without
    /// costing more than it saves.
    pub const MAX_PIECES: usize = 4;

    /// No octets.
    pub const EMPTY: Self = Self { pieces: [&[]; Body::MAX_PIECES], len: 0, offset: 0, lender: None };

    /// One piece.
    pub const fn from_slice(piece: &'a [u8]) -> Self {
        Self { pieces: [piece, &[], &[], &[]], len: piece.len() as u32, offset: 0, lender: None }
    }

    /// Adds a piece, if there is room for one more; says whether there was.
    pub fn push(&mut self, piece: &'a [u8]) -> bool {
        if piece.is_empty() {
            return true;
        }
        let Some(free) = self.pieces.iter_mut().find(|p| p.is_empty()) else { return false };
        *free = piece;
        self.len += piece.len() as u32;
        self.lender = None;
        true
    }

    /// How many octets.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces in order, none of them empty.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> {
        self.pieces.iter().copied().take_while(|p| !p.is_empty())
    }
}

impl<'a> Body<'a> {
    /// The same octets, which lie with `lender` from `offset` on.
    pub(crate) fn lent_by(self, lender: &'a dyn Lender, offset: usize) -> Self {
        Self { offset: offset as u32, lender: Some(lender), ..self }
    }

    /// Adds references to the octets, in order, where they can be held on to: says whether. A stack has such to give where its
    /// [configuration](crate::config::Config::lends) says so, of a long text; whoever takes none copies the
    /// [pieces](Self::pieces).
    pub fn lend(&self, into: &mut Vec<Lent>) -> bool {
        let Some(lender) = self.lender else { return false };
        lender.lend(self.offset as usize, self.len(), into);
        true
    }
}

/// Octets that came by reference: nobody writes to them as long as it is there.
#[derive(Clone, Debug)]
pub struct Lent {
    octets: Bytes,
    /// Octets of the allocation that it keeps alive.
    pinned: u32,
    /// Others lie before them in that allocation.
    inner: bool,
    /// Others lie behind them there, which are to be sent.
    more: bool,
}

impl Lent {
    /// Octets in an allocation of `pinned` octets, which they begin unless they are `inner` ones, and to which `more` belong
    /// that are to follow.
    pub(crate) const fn new(octets: Bytes, pinned: u32, inner: bool, more: bool) -> Self {
        Self { octets, pinned, inner, more }
    }

    /// The octets.
    pub const fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// Octets of the allocation that it keeps alive, as far as is known.
    pub const fn pinned(&self) -> usize {
        self.pinned as usize
    }

    /// Whether others lie before them in that allocation.
    pub(crate) const fn is_inner(&self) -> bool {
        self.inner
    }

    /// Whether others lie behind them there, which are to be sent: so whoever lends them keeps it alive as well.
    pub(crate) const fn has_more(&self) -> bool {
        self.more
    }
}

/// All there is to its allocation, as far as is known.
impl From<Bytes> for Lent {
    fn from(octets: Bytes) -> Self {
        let pinned = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        Self::new(octets, pinned, false, false)
    }
}

/// Octets that arrived: some in a packet's memory, and behind them others by reference.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text<'a> {
    octets: &'a [u8],
    /// What follows on them, up to `len` octets of both.
    lent: &'a [Lent],
    len: usize,
}

impl<'a> Text<'a> {
    /// `octets` and behind them `lent`.
    pub fn new(octets: &'a [u8], lent: &'a [Lent]) -> Self {
        Self { octets, lent, len: octets.len() + len_of(lent) }
    }

    /// How many octets.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it, where none came by reference.
    #[inline]
    pub const fn as_slice(&self) -> Option<&'a [u8]> {
        if self.lent.is_empty() { Some(self.octets) } else { None }
    }

    /// The octets before those that came by reference, and these, each cut to what belongs to the text.
    pub fn parts(&self) -> (&'a [u8], impl Iterator<Item = (&'a Lent, usize)>) {
        let mut left = self.len - self.octets.len();
        let lent = self.lent.iter().filter_map(move |lent| {
            let len = lent.octets.len().min(left);
            left -= len;
            (len > 0).then_some((lent, len))
        });
        (self.octets, lent)
    }

    /// The octet at an offset.
    pub fn get(&self, mut offset: usize) -> Option<u8> {
        if offset >= self.len {
            return None;
        }
        if let Some(&octet) = self.octets.get(offset) {
            return Some(octet);
        }
        offset -= self.octets.len();
        for lent in self.lent {
            if let Some(&octet) = lent.octets.get(offset) {
                return Some(octet);
            }
            offset -= lent.octets.len();
        }
        None
    }

    /// Without the first `n` octets, or empty where it has no more.
    #[must_use]
    pub fn from(self, n: usize) -> Self {
        let Some(len) = self.len.checked_sub(n).filter(|&len| len > 0) else { return Self::default() };
        if let Some(octets) = self.octets.get(n..) {
            return Self { octets, len, ..self };
        }
        let (mut skip, mut lent) = (n - self.octets.len(), self.lent);
        while let Some((first, rest)) = lent.split_first() {
            lent = rest;
            if let Some(octets) = first.octets.get(skip..) {
                let octets = octets.get(..len).unwrap_or(octets);
                return Self { octets, lent, len };
            }
            skip -= first.octets.len();
        }
        Self::default()
    }

    /// Its first `n` octets, or all where it has no more.
    #[must_use]
    pub fn to(self, n: usize) -> Self {
        if n >= self.len {
            return self;
        }
        let lent = if n <= self.octets.len() { &[] } else { self.lent };
        Self { octets: self.octets.get(..n).unwrap_or(self.octets), lent, len: n }
    }

    /// A copy in one piece.
    pub fn joined(&self) -> Bytes {
        let mut joined = BytesMut::with_capacity(self.len);
        let (octets, lent) = self.parts();
        joined.extend_from_slice(octets);
        lent.for_each(|(lent, len)| joined.extend_from_slice(lent.octets.get(..len).unwrap_or_default()));
        joined.freeze()
    }
}

impl<'a> From<&'a [u8]> for Text<'a> {
    #[inline]
    fn from(octets: &'a [u8]) -> Self {
        Self { octets, lent: &[], len: octets.len() }
    }
}

/// Octets of all of these.
pub(crate) fn len_of(lent: &[Lent]) -> usize {
    lent.iter().map(|lent| lent.octets.len()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(text: &Text<'_>) -> Vec<u8> {
        let (octets, lent) = text.parts();
        let lent = lent.flat_map(|(lent, len)| lent.octets()[..len].to_vec());
        octets.iter().copied().chain(lent).collect()
    }

    proptest! {
        /// However it is cut, it is what a slice would be.
        #[test]
        fn is_a_slice_of_octets(
            octets in proptest::collection::vec(any::<u8>(), 0..6),
            lent in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..6), 0..5),
            cuts in proptest::collection::vec((any::<bool>(), 0..12usize), 0..6),
        ) {
            let all: Vec<Lent> = lent.iter().map(|lent| Bytes::from(lent.clone()).into()).collect();
            let mut text = Text::new(&octets, &all);
            let mut model = [octets.clone(), lent.concat()].concat();
            prop_assert_eq!(text.as_slice().is_some(), all.is_empty());
            for (front, n) in cuts {
                if front {
                    model.drain(..n.min(model.len()));
                    text = text.from(n);
                } else {
                    model.truncate(n);
                    text = text.to(n);
                }
                prop_assert_eq!((text.len(), text.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(&content(&text), &model);
                prop_assert_eq!(&text.joined()[..], &model[..]);
                prop_assert!((0..14).all(|n| text.get(n) == model.get(n).copied()));
                if let Some(octets) = text.as_slice() {
                    prop_assert_eq!(octets, &model[..]);
                }
            }
        }
    }
}
