//! The rest of a large write, held back until the next one.
//!
//! A program that writes large pieces, one after another, would have each of them end in a short segment. Whoever drives
//! the stack may hold that one back for a moment: the next piece fills it up. That is for a driver that knows that the
//! program calls again and again, and that somebody looks soon if it does not: the stack's own bound is the override timer
//! (RFC 9293 §3.8.6.2.1).

use super::{Kind, Socket, SocketId, Stack};
use crate::tcp::tcb::Is;

impl Stack {
    /// Holds back what the program's last write leaves behind full packets, until
    /// [`release_remainder`](Self::release_remainder). It is one connection at the most whose text is held. Where the device
    /// does not cut large packets nothing is.
    pub fn hold_remainder(&mut self, id: SocketId) {
        self.release_remainder();
        if self.config.offload.segmentation == 0 {
            return;
        }
        if let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.get_mut(id)
            && tcb.hold_remainder()
        {
            self.holds = Some(id);
            // It may reach into what is held.
            self.train = None;
        }
    }

    /// Lets go what was held back: it leaves with what is transmitted next. Says whether there was any.
    pub fn release_remainder(&mut self) -> bool {
        let Some(id) = self.holds.take() else { return false };
        if let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.get_mut(id) {
            tcb.is.remove(Is::HOLDS);
            self.queue_output(id.index());
        }
        true
    }
}
