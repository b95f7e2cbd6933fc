//! How much a program may write: the limits of the send buffer (`SO_SNDBUF`) and of what lies in it unsent
//! (`TCP_NOTSENT_LOWAT`).
//!
//! As in Linux text is taken in runs of whole segments, and the limits are asked at the begin of each: a buffer holds at
//! most one run more than its size, and at most twice its size. So large writes make full segments, and how much of a write is taken is what programs
//! that were measured against Linux expect.

use crate::tcp::tcb::Tcb;

/// The most octets of a run.
const MOST: u32 = 64 << 10;

impl Tcb {
    /// Octets that can be written now.
    pub fn send_room(&self) -> usize {
        let run = self.run();
        // What leaves at once fills no run: what has been written already goes first.
        let (written, leaves) = (self.data_end().saturating_since(self.snd.nxt), self.leaves_at_once());
        let (unsent, leaves) = (written.saturating_sub(leaves), leaves.saturating_sub(written));
        let whole = leaves - leaves % run;
        // Where a run begins, counted from the end of what has been written: at the first place from `least` on.
        let begin = |least: u32| {
            if unsent == 0 && least <= whole {
                return least.div_ceil(run).saturating_mul(run);
            }
            let first = if unsent == 0 { leaves } else { (run - unsent % run) % run };
            let further = least.saturating_sub(first).div_ceil(run);
            // Behind what leaves of a run the rest of it is filled.
            let further = if unsent == 0 && leaves > whole { further.max(1) } else { further };
            first.saturating_add(further.saturating_mul(run))
        };
        let queued = u32::try_from(self.queued()).unwrap_or(u32::MAX);
        let full = begin(self.options.send_buffer.saturating_sub(queued));
        let low = self
            .options
            .unsent_limit()
            .map_or(u32::MAX, |limit| begin(limit.saturating_add(leaves).saturating_sub(unsent)));
        // Whatever would fill a run: a small buffer stays small.
        let size = self.options.send_buffer;
        let bound = size.saturating_add(run.min(size)).saturating_sub(queued);
        full.min(low).min(bound) as usize
    }

    /// Whether a program that waits to write is told that it can: a third of the buffer is free, and half of what may
    /// lie unsent, so that it is not woken for every octet acknowledged.
    pub fn has_space(&self) -> bool {
        let size = self.options.send_buffer as usize;
        let room = size.saturating_sub(self.queued());
        let little_unsent = |limit: u32| self.unsent().saturating_mul(2) < limit as usize;
        room.saturating_mul(3) >= size && self.options.unsent_limit().is_none_or(little_unsent)
    }

    /// Octets of a run: whole segments, no more than half of the largest window that the peer offered, so that one run is
    /// acknowledged while the next is sent.
    pub(super) fn run(&self) -> u32 {
        let mss = self.smss();
        let most = (self.snd.max_wnd / 2).min(MOST).max(mss);
        most - most % mss
    }

    /// Octets of new text, in whole segments, that the two windows let go now.
    pub(super) fn leaves_at_once(&self) -> u32 {
        let free = self.cwnd().saturating_sub(self.in_flight()).min(self.snd.usable());
        free - free % self.smss()
    }
}
