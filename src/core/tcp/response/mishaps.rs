//! What goes wrong is counted as it is noticed.

use alloc::boxed::Box;

use crate::seq::SeqRange;
use crate::tcp::mishaps::Mishaps;
use crate::tcp::recovery::Phase;
use crate::tcp::tcb::Tcb;
use crate::time::{Duration, Instant};

impl Tcb {
    fn mishaps_mut(&mut self) -> &mut Mishaps {
        self.mishaps.get_or_insert_default()
    }

    /// The retransmission timer ran out.
    pub(in crate::tcp) fn count_timeout(&mut self, now: Instant) {
        let first = self.recovery.timeouts() == 0;
        self.mishaps_mut().timed_out(first, now);
    }

    /// Our SYN,ACK was sent again so often, for the first time `ago`, before there was this record.
    pub(in crate::tcp) fn count_timeouts_before(&mut self, timeouts: u8, ago: Duration) {
        if timeouts > 0 {
            self.mishaps = Some(Box::new(Mishaps::of_handshake(timeouts, ago)));
        }
    }

    /// An ACK has been taken: a repair that a time-out began may be done.
    pub(in crate::tcp) fn count_repair(&mut self, now: Instant) {
        if self.recovery.phase() != Phase::Loss
            && let Some(mishaps) = &mut self.mishaps
        {
            mishaps.repaired(now);
        }
    }

    /// A segment came out of order.
    pub(in crate::tcp) fn count_out_of_order(&mut self) {
        let mishaps = self.mishaps_mut();
        mishaps.out_of_order = mishaps.out_of_order.saturating_add(1);
    }

    /// The peer reported that this came twice.
    pub(in crate::tcp) fn count_came_twice(&mut self, block: SeqRange) {
        // No more than may have been in flight, whatever a peer makes up.
        let octets = block.end.saturating_since(block.start).min(self.snd.max_wnd);
        let segments = octets.div_ceil(self.smss()).max(1);
        let mishaps = self.mishaps_mut();
        mishaps.came_twice = mishaps.came_twice.saturating_add(segments);
    }
}
