//! What another shard has for this one arrives.

use super::post::{Post, What};
use crate::ip::input::Delivery;
use crate::packet::{Inbound, Trust};
use crate::stack::Stack;
use crate::time::Instant;
use crate::wire::ip;

impl Stack {
    /// Another stack had this for us. As after a call of a program there may be something to send, and more posts.
    pub fn take_post(&mut self, post: Post, now: Instant) {
        match post.0 {
            What::Listen(replica) => self.stand_for(replica, now),
            What::Unlisten(home, shared) => self.stand_no_more(home, &shared, now),
            What::Announce(announced) => self.on_announced(announced),
            What::Abandon(connection) => self.on_abandoned(connection, now),
            What::Packet { packet, gso_size, ours } => {
                let trust = if ours { Trust::Trusted } else { Trust::Verify };
                self.receive_posted(now, Inbound { trust, gso_size, ..Inbound::plain(&packet) }, ours);
            }
        }
    }

    /// A packet that another shard has seen first: the whole of what came there in pieces, and is counted, or what we sent
    /// to ourselves.
    fn receive_posted(&mut self, now: Instant, inbound: Inbound<'_>, ours: bool) {
        if ours {
            self.receive_from_ourselves(now, inbound);
        } else if let Ok(parsed) = ip::parse(inbound.packet) {
            self.on_ip(now, parsed, inbound, Delivery::Unicast);
        }
    }

    /// A packet that never left the host: its source is ours, and its checksums are right.
    pub(in crate::stack) fn receive_from_ourselves(&mut self, now: Instant, inbound: Inbound<'_>) {
        self.counters.ip_in_receives += 1;
        if let Ok(parsed) = ip::parse(inbound.packet) {
            self.on_ip(now, parsed, inbound, Delivery::Unicast);
        } else {
            self.counters.ip_in_hdr_errors += 1;
        }
    }
}
