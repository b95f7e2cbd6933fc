//! The [`Scoreboard`] of a connection, which has none before it has sent something: one that is idle from the beginning
//! holds no memory for it. Once made it is kept, so that a busy connection does not allocate it again and again.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
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

    /// Something is about to leave: it is kept in memory that another board gave back, if there is some.
    pub(in crate::tcp) fn lend(&mut self, lists: &mut Lists) {
        if !lists.kept.is_empty() {
            self.use_list(|| lists.kept.pop().unwrap_or_default());
        }
    }

    /// Gives its memory back if nothing is in flight.
    pub(in crate::tcp) fn give_back(&mut self, lists: &mut Lists) {
        if let Some(mut list) = self.0.as_mut().and_then(|board| board.take_list())
            && list.capacity() <= LONGEST
            && lists.kept.len() < lists.most
        {
            list.clear();
            lists.kept.push(list);
        }
    }
}

/// Lists that are kept, and the most records of one that is.
const LISTS: usize = 64;
const LONGEST: usize = 64;

/// The memory of boards that ran empty, for those that fill next: one whose flight drains with each round trip does not ask
/// the allocator each time.
#[derive(Debug)]
pub struct Lists {
    kept: Vec<VecDeque<Record>>,
    most: usize,
}

impl Default for Lists {
    fn default() -> Self {
        Self { kept: Vec::new(), most: LISTS }
    }
}

impl Lists {
    /// For a stack whose memory is bounded: what is given up is free.
    pub(crate) const fn none() -> Self {
        Self { kept: Vec::new(), most: 0 }
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

    fn send(board: &mut Board, lists: &mut Lists) -> *const Record {
        board.lend(lists);
        board.on_send(SeqRange::with_len(Seq::new(1), 1000), 1000, Stamp::at(Instant::from_secs(1)));
        board.front().map_or(core::ptr::null(), core::ptr::from_ref)
    }

    #[test]
    fn memory_goes_from_one_that_runs_empty_to_one_that_fills() {
        let (mut one, mut other, mut lists) = (Board::new(), Board::new(), Lists::default());
        let at = send(&mut one, &mut lists);
        one.give_back(&mut lists);
        assert!(lists.kept.is_empty(), "something is in flight");
        one.acknowledge(Seq::new(1001), |_| {});
        one.give_back(&mut lists);
        assert_eq!(lists.kept.len(), 1);
        assert_eq!(send(&mut other, &mut lists), at);
        assert!(lists.kept.is_empty());
    }

    #[test]
    fn what_is_kept_of_it_is_bounded() {
        let mut lists = Lists::default();
        let mut boards: Vec<_> = (0..=LISTS).map(|_| Board::new()).collect();
        for board in &mut boards {
            send(board, &mut lists);
        }
        for board in &mut boards {
            board.acknowledge(Seq::new(1001), |_| {});
            board.give_back(&mut lists);
        }
        assert_eq!(lists.kept.len(), LISTS);
        let mut long = Board::new();
        for n in 0..=LONGEST as u32 {
            let range = SeqRange::with_len(Seq::new(1 + n * 1000), 1000);
            long.on_send(range, 1000, Stamp::at(Instant::from_secs(n.into())));
        }
        lists.kept.clear();
        long.acknowledge(Seq::new(1_000_000), |_| {});
        long.give_back(&mut lists);
        assert!(lists.kept.is_empty());
    }
}
