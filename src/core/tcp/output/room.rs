//! How much a program may write: the limits of the send buffer (`SO_SNDBUF`) and of what lies in it unsent
//! (`TCP_NOTSENT_LOWAT`).
//!
//! As in Linux text is taken in runs of whole segments, and the limits are asked at the begin of each: a buffer holds at
//! most one run more than its size. So large writes make full segments, and how much of a write is taken is what programs
//! that were measured against Linux expect.

use alloc::sync::Arc;

use crate::sockopt::BufferLock;
use crate::tcp::context::Context;
use crate::tcp::tcb::{Is, Tcb};

/// The most octets of a run.
const MOST: u32 = 64 << 10;

/// What surrounds a segment in Linux, octets: headers and a record of its pieces, memory for which comes in powers of two;
/// and what describes it.
const HEADERS: u32 = 640;
const DESCRIPTION: u32 = 256;

/// What a run costs beside its octets, as Linux counts it.
const OF_RUN: u32 = (HEADERS + DESCRIPTION).next_power_of_two() + DESCRIPTION;

/// Segments of an initial window (RFC 6928).
const LEAST_SEGMENTS: u32 = 10;

impl Tcb {
    /// Octets that can be written now, of which `wanted` are wanted: that there are more need not be told.
    pub fn room_for(&self, wanted: usize) -> usize {
        // Where it may hold anything, an empty buffer takes a segment, however small it is: enough for a request or a reply. What
        // lies before our SYN,ACK has left is counted with the SYN.
        let taken = self.send_buffer.is_empty()
            && !self.syn_unacked()
            && (1..=self.smss() as usize).contains(&wanted)
            && self.options.send_buffer > 0
            && self.options.unsent_limit().is_none();
        debug_assert!(!taken || self.send_room() >= wanted, "an empty buffer takes a segment");
        if taken { wanted } else { self.send_room() }
    }

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
            let further = if least > first { (least - first).div_ceil(run) } else { 0 };
            // Behind what leaves of a run the rest of it is filled.
            let further = if unsent == 0 && leaves > whole { further.max(1) } else { further };
            first.saturating_add(further.saturating_mul(run))
        };
        let queued = u32::try_from(self.queued()).unwrap_or(u32::MAX);
        let full = begin(self.fills_buffer(run).saturating_sub(queued));
        let low = self
            .options
            .unsent_limit()
            .map_or(u32::MAX, |limit| begin(limit.saturating_add(leaves).saturating_sub(unsent)));
        // Whatever would fill a run.
        let size = self.options.send_buffer;
        let bound = size.saturating_add(run).saturating_sub(queued);
        full.min(low).min(bound).min(self.memory_lets_write()) as usize
    }

    /// The fewest octets with which, and with what their runs cost, the send buffer is full.
    fn fills_buffer(&self, run: u32) -> u32 {
        let (size, cost) = (self.options.send_buffer, run.saturating_add(OF_RUN));
        let (runs, left) = (size / cost, size % cost);
        // Part of another run, where there is more left than it costs.
        let part = if left == 0 { 0 } else { left.saturating_sub(OF_RUN).max(1) };
        runs.saturating_mul(run).saturating_add(part)
    }

    /// Octets written and not acknowledged, and what their runs cost.
    fn charged(&self) -> usize {
        let queued = self.queued();
        queued.saturating_add(queued.div_ceil(self.run() as usize).saturating_mul(OF_RUN as usize))
    }

    /// What the congestion window lets go while it is not acknowledged, and as much again to follow: so much the send buffer
    /// holds at least, where the program has not set its size. A segment counts with what surrounds it in Linux, so that as
    /// much of a write is taken.
    pub(in crate::tcp) fn fit_send_buffer(&mut self, cx: &Context<'_>) {
        if !self.send_buffer_may_grow(cx) {
            return;
        }
        let mss = self.smss();
        let cost = mss.saturating_add(HEADERS).checked_next_power_of_two().unwrap_or(mss);
        let cost = cost.saturating_add(DESCRIPTION);
        let segments = (self.cwnd() / mss).max(LEAST_SEGMENTS).max(u32::from(self.recovery.reordering()) + 1);
        // Those that size their own window probe with more than it (BBRv3).
        let windows = if self.congestion.sizes_own_window() { 3 } else { 2 };
        let wanted = cost.saturating_mul(segments).saturating_mul(windows).min(cx.config.send_buffer_max);
        if wanted > self.options.send_buffer {
            Arc::make_mut(&mut self.options).send_buffer = wanted;
        }
    }

    fn send_buffer_may_grow(&self, cx: &Context<'_>) -> bool {
        let fixed = self.options.send_buffer >= cx.config.send_buffer_max
            || self.options.buffer_lock.contains(BufferLock::SEND);
        !fixed && !cx.memory.under_send_pressure()
    }

    /// Something was acknowledged: where the program has more than the buffer takes, and what there is will not fill the
    /// congestion window, the buffer is what is small.
    pub(in crate::tcp) fn grow_send_buffer(&mut self, cx: &Context<'_>) {
        if !self.is.contains(Is::NO_SPACE) || !self.send_buffer_may_grow(cx) {
            return;
        }
        let filled = |in_flight: u32| in_flight.saturating_add(self.smss()) > self.cwnd();
        let in_flight = self.in_flight();
        if filled(in_flight) {
            return;
        }
        let unsent = self.data_end().saturating_since(self.snd.nxt);
        let leaves = unsent.min(self.leaves_at_once());
        let leaves = leaves - self.deferred(leaves, unsent, cx);
        if !filled(in_flight.saturating_add(leaves)) {
            self.fit_send_buffer(cx);
        }
    }

    /// Octets of `leaves` that in Linux wait for more: the begin of a run, less than a third of the window, where an ACK is soon
    /// to come that lets more of it go. Here they leave, but that the window is not filled says the same.
    fn deferred(&self, leaves: u32, unsent: u32, cx: &Context<'_>) -> u32 {
        let to_end = self.to_end_of_run();
        let tail = if leaves < to_end { leaves } else { (leaves - to_end) % self.run() };
        let oldest = self.recovery.board.front().map(|first| first.sent());
        let soon = oldest.is_some_and(|sent| {
            self.rtt.srtt().is_some_and(|srtt| cx.now.saturating_since(sent) >= srtt / 2)
        });
        if leaves < unsent && soon && tail < self.cwnd().min(self.snd.wnd) / 3 { tail } else { 0 }
    }

    /// Whether a program that waits to write is told that it can: a third of the buffer is free, and half of what may
    /// lie unsent, so that it is not woken for every octet acknowledged.
    pub fn has_space(&self) -> bool {
        if self.is.contains(Is::CANNOT_WRITE) || self.memory_lets_write() == 0 {
            return false;
        }
        let size = self.options.send_buffer as usize;
        let a_third_beside = |taken: usize| size.saturating_sub(taken).saturating_mul(3) >= size;
        // This is asked at each segment, mostly of one that only receives, or of one whose octets alone are too many.
        let free =
            self.send_buffer.is_empty() || a_third_beside(self.queued()) && a_third_beside(self.charged());
        let little_unsent = |limit: u32| self.unsent().saturating_mul(2) < limit as usize;
        free && self.options.unsent_limit().is_none_or(little_unsent)
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
