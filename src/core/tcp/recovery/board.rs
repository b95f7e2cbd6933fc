//! The [`Scoreboard`] of a connection, which has none before it has sent something: one that is idle from the beginning
//! holds no memory for it. Once made it is kept, so that a busy connection does not allocate it again and again.

use alloc::boxed::Box;
use core::ops::{Deref, DerefMut};

use super::scoreboard::{Record, Scoreboard};
use crate::seq::Seq;

static EMPTY: Scoreboard = Scoreboard::new(Seq::new(0));

/// A scoreboard, made when something is first written on it.
#[derive(Clone, Debug, Default)]
pub struct Board(Option<Box<Scoreboard>>);

impl Board {
    /// Nothing in flight.
    pub const fn new() -> Self {
        Self(None)
    }

    /// As [`Scoreboard::acknowledge`]; that of a handshake finds nothing on it.
    pub fn acknowledge(&mut self, una: Seq, seen: impl FnMut(&Record)) {
        if let Some(board) = &mut self.0 {
            board.acknowledge(una, seen);
        }
    }
}

impl Deref for Board {
    type Target = Scoreboard;

    fn deref(&self) -> &Scoreboard {
        self.0.as_deref().unwrap_or(&EMPTY)
    }
}

impl DerefMut for Board {
    fn deref_mut(&mut self) -> &mut Scoreboard {
        self.0.get_or_insert_with(|| Box::new(EMPTY.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::delivery_rate::Stamp;
    use crate::seq::SeqRange;
    use crate::time::Instant;

    /// Wherever the numbers begin, they are those of what was sent.
    #[test]
    fn it_is_made_with_what_is_sent_first_and_kept() {
        for iss in [0, 1 << 31, u32::MAX - 10] {
            let una = Seq::new(iss);
            let mut board = Board::new();
            board.acknowledge(una, |_| panic!("nothing was sent"));
            assert!(board.0.is_none() && board.front().is_none() && board.highest_sacked().is_none());
            for segment in [una, una.add(1000)] {
                let range = SeqRange::with_len(segment, 1000);
                board.on_send(range, 1000, Stamp::at(Instant::from_secs(1)));
            }
            board.sack(SeqRange::with_len(una.add(1000), 1000), |_| {});
            assert_eq!((board.sacked(), board.highest_sacked()), (1000, Some(una.add(2000))));
            board.mark_lost(|_| true);
            assert_eq!(board.next_lost(), Some(SeqRange::with_len(una, 1000)));
            board.acknowledge(una.add(2000), |_| {});
            assert!(board.0.is_some() && board.front().is_none());
        }
    }
}
