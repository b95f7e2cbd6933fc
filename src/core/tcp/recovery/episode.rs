//! What an episode of recovery remembers.

use super::Recovery;
use super::prr::Prr;
use super::scoreboard::Scoreboard;
use crate::seq::{Seq, SeqRange};
use crate::tcp::buffer::SeqRanges;
use crate::tcp::timestamps;

/// From the first sign of trouble to the next.
#[derive(Clone, Debug)]
pub struct Episode {
    /// The window on its way down.
    pub prr: Option<Prr>,
    /// Whether what was done may prove needless.
    pub undo: Undo,
    /// A time-out whose cause is in doubt.
    pub frto: Option<Frto>,
    /// What is sent again in one go: of what left at once, all that was lost.
    pub(in crate::tcp) burst: SeqRange,
}

impl Episode {
    /// One that begins.
    pub const fn new(prr: Option<Prr>, undo: Undo, frto: Option<Frto>) -> Self {
        let nowhere = Seq::new(0);
        Self { prr, undo, frto, burst: SeqRange::new(nowhere, nowhere) }
    }
}

/// What is remembered of an episode for it.
#[derive(Clone, Debug, Default)]
pub struct Undo {
    /// SND.UNA when the window was reduced; none when there is nothing to take back.
    pub(in crate::tcp) marker: Option<Seq>,
    /// Octets sent again since that the peer has not reported as having come twice.
    pub(in crate::tcp) unreported: u32,
    /// What was sent again: pieces of what was in flight, no more than the scoreboard has.
    pub(in crate::tcp) resent: SeqRanges,
    /// Our clock, in the units of the timestamps option, when something was first sent again: RetransmitTS of RFC 3522.
    pub(in crate::tcp) stamp: Option<u32>,
    /// SND.NXT when the episode had ended: once that is acknowledged no report of it is to come any more.
    pub(in crate::tcp) until: Option<Seq>,
}

impl Undo {
    /// The window has been reduced, with SND.UNA at `una` and `board` telling what is in flight for another time.
    pub fn begin(una: Seq, board: &Scoreboard) -> Self {
        let (unreported, resent) = (board.resent(), board.resent_ranges());
        Self { marker: Some(una), unreported, resent, stamp: None, until: None }
    }

    /// The peer reports `block` as having come twice. What the network itself doubled says nothing of what was sent again
    /// (RFC 3708 §2).
    pub(in crate::tcp) fn came_twice(&mut self, block: SeqRange) {
        let Some(marker) = self.marker.filter(|&marker| block.end.after(marker)) else { return };
        let since = SeqRange::new(block.start.max(marker), block.end);
        self.unreported = self.unreported.saturating_sub(self.resent.overlap(since));
    }

    //= https://www.rfc-editor.org/rfc/rfc3522#section-3.2
    //= id=rfc3522-3.2-s2
    pub(in crate::tcp) fn on_retransmit(&mut self, range: SeqRange, clock: u32) {
        if self.marker.is_none() {
            return;
        }
        self.unreported = self.unreported.saturating_add(range.len());
        self.resent.insert(range);
        if self.stamp.is_none() {
            self.stamp = Some(clock);
        }
    }
}

/// How far F-RTO has come (RFC 5682).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frto {
    /// Step 1 is done: the oldest segment is on its way again.
    Retransmitted,
    /// Step 2b: new data is to be sent, or has been, in place of what is deemed lost.
    NewData {
        /// Segments of it that may leave yet.
        left: u8,
    },
}

impl Recovery {
    fn undo(&self) -> Option<&Undo> {
        self.episode.as_ref().map(|e| &e.undo).filter(|undo| undo.marker.is_some())
    }

    /// All that was sent again came twice.
    pub(in crate::tcp) fn all_came_twice(&self) -> bool {
        self.undo().is_some_and(|undo| !undo.resent.is_empty() && undo.unreported == 0)
    }

    /// The ACK echoes a time before anything was sent again: what it acknowledges is the original.
    //= https://www.rfc-editor.org/rfc/rfc3522#section-3.2
    //= id=rfc3522-3.2-1, rfc3522-3.2-s4
    pub(in crate::tcp) fn original_was_late(&self, echo: Option<u32>) -> bool {
        let stamp = self.undo().and_then(|undo| undo.stamp);
        stamp.zip(echo).is_some_and(|(stamp, echo)| echo != 0 && timestamps::before(echo, stamp))
    }

    pub(in crate::tcp) fn may_undo(&self, echo: Option<u32>) -> bool {
        self.undo().is_some() && (self.all_came_twice() || self.original_was_late(echo))
    }

    /// All is well, with SND.UNA at `una`: what is remembered of the last episode is forgotten a round trip after it.
    pub(in crate::tcp) fn age_undo(&mut self, una: Seq, nxt: Seq) {
        let Some(undo) = self.episode.as_mut().map(|e| &mut e.undo) else { return };
        match undo.until {
            Some(until) if una.at_or_after(until) => *undo = Undo::default(),
            Some(_) => {}
            None => undo.until = Some(nxt),
        }
    }

    /// The window is reduced for another reason than the episode's: what is remembered of that says nothing of it.
    pub(in crate::tcp) fn forget_undo(&mut self) {
        if let Some(episode) = &mut self.episode {
            episode.undo = Undo::default();
        }
    }

    /// Nothing is remembered of times any more: what is sent again later has another.
    pub(in crate::tcp) fn forget_stamp(&mut self) {
        if let Some(episode) = &mut self.episode {
            episode.undo.stamp = None;
        }
    }
}
