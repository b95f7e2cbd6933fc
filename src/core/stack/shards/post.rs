//! What one shard tells another.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::listening::{Announced, Replica};
use crate::packet::{Inbound, Trust};
use crate::stack::{SocketId, Stack};
use crate::tcp::listener::Shared;
use crate::time::Instant;

/// Something one stack has for another: to be taken there, soon, and between two of them in order where that can be.
#[derive(Debug)]
pub struct Post(pub(super) What);

#[derive(Debug)]
pub(super) enum What {
    /// A listener is to stand there too, or has changed.
    Listen(Replica),
    /// It is to stand there no more.
    Unlisten(SocketId, Arc<Shared>),
    /// A connection waits to be accepted.
    Announce(Announced),
    /// Nobody will accept that one.
    Abandon(SocketId),
    /// A packet that was whole, or turned out to be for another shard, only here.
    Packet { packet: Vec<u8>, gso_size: u16, ours: bool },
}

impl Stack {
    /// The next that it has for another stack, with the number of that, until there is none.
    pub fn poll_post(&mut self) -> Option<(u16, Post)> {
        self.posts.pop_front()
    }

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

    /// Gives a packet to the shard it is for, if that is not this one: says whether.
    pub(in crate::stack) fn post_packet(&mut self, packet: &[u8], gso_size: u16, ours: bool) -> bool {
        let Some(share) = &self.share else { return false };
        let owner = share.placement.of_packet(packet);
        let elsewhere = owner != share.number;
        if elsewhere {
            let what = What::Packet { packet: packet.to_vec(), gso_size, ours };
            self.posts.push_back((owner, Post(what)));
        }
        elsewhere
    }

    /// The numbers of the other shards.
    pub(super) fn others(&self) -> impl Iterator<Item = u16> + use<> {
        let number = self.number();
        let count = self.share.as_ref().map_or(1, |share| share.placement.count());
        (0..count).filter(move |other| *other != number)
    }
}
