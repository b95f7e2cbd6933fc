//! The text of a leaving packet, borrowed from where it lies.

/// Octets in up to [`Body::MAX_PIECES`] pieces, borrowed from where they lie.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    pieces: [&'a [u8]; Body::MAX_PIECES],
    len: usize,
}

impl<'a> Body<'a> {
    /// How many pieces a body has at the most: what fits in one vectored write beside the headers without
    /// costing more than it saves.
    pub const MAX_PIECES: usize = 4;

    /// No octets.
    pub const EMPTY: Self = Self { pieces: [&[]; Body::MAX_PIECES], len: 0 };

    /// One piece.
    pub const fn from_slice(piece: &'a [u8]) -> Self {
        Self { pieces: [piece, &[], &[], &[]], len: piece.len() }
    }

    /// Adds a piece, if there is room for one more; says whether there was.
    pub fn push(&mut self, piece: &'a [u8]) -> bool {
        if piece.is_empty() {
            return true;
        }
        let Some(free) = self.pieces.iter_mut().find(|p| p.is_empty()) else { return false };
        *free = piece;
        self.len += piece.len();
        true
    }

    /// How many octets.
    pub const fn len(&self) -> usize {
        self.len
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
