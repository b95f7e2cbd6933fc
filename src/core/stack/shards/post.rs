//! What one shard tells another.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::addr::{Endpoint, Family};
use crate::packet::Inbound;
use crate::sockopt::SocketOptions;
use crate::stack::{Own, SocketId, Stack, Waiting};
use crate::tcp::fast_open::secret::Secrets;
use crate::tcp::listener::Shared;

/// Something one stack has for another: to be taken there, soon, and at any time: what one says of another tells
/// whether it is late.
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

/// What another shard has to know to stand for a listener.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) home: SocketId,
    pub(super) local: Endpoint,
    pub(super) family: Family,
    pub(super) options: Arc<SocketOptions>,
    pub(super) secrets: Option<Box<Secrets>>,
    pub(super) own: Own,
    pub(super) shared: Arc<Shared>,
    pub(super) version: u64,
}

/// A connection for a listener's queue.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    pub(super) listener: SocketId,
    /// Of the listener: the same socket may listen anew.
    pub(super) shared: Arc<Shared>,
    pub(super) waiting: Waiting,
}

impl Stack {
    /// The next that it has for another stack, with the number of that, until there is none.
    pub fn poll_post(&mut self) -> Option<(u16, Post)> {
        self.posts.pop_front()
    }

    /// Whether there is one.
    pub fn has_post(&self) -> bool {
        !self.posts.is_empty()
    }

    /// Gives a packet to the shard it is for, if that is not this one: says whether.
    pub(in crate::stack) fn post_packet(&mut self, packet: &[u8], gso_size: u16, ours: bool) -> bool {
        let Some(share) = &self.share else { return false };
        let owner = share.placement.of_packet(&Inbound::plain(packet));
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
