//! What limits a sender at this moment, for the account of it in `TCP_INFO`.

use alloc::boxed::Box;

use crate::tcp::limits::Limit;
use crate::tcp::tcb::{Is, Tcb};
use crate::time::Instant;

impl Tcb {
    /// Something has changed what may leave, or has left.
    pub(in crate::tcp) fn note_limit(&mut self, now: Instant) {
        if self.is.contains(Is::NO_SPACE) && self.has_space() {
            self.is.remove(Is::NO_SPACE);
        }
        let limit = self.limit();
        match &mut self.limits {
            Some(limits) if limits.now == limit => {}
            Some(limits) => limits.change(limit, now),
            None if limit == Limit::Idle => {}
            empty => empty.insert(Box::default()).change(limit, now),
        }
    }

    fn limit(&self) -> Limit {
        if self.send_buffer.is_empty() {
            return Limit::Idle;
        }
        let uncongested = self.cwnd().saturating_sub(self.in_flight());
        let next = self.data_end().saturating_since(self.snd.nxt).min(self.smss());
        if next > uncongested {
            Limit::Network
        } else if next > self.snd.usable() {
            Limit::Window
        } else if next == 0 && uncongested > 0 && self.is.contains(Is::NO_SPACE) {
            Limit::Buffer
        } else {
            Limit::Network
        }
    }
}
