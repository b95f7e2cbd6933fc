//! The queue between two stacks: packets in memory that is used again.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tunstack_core::packet::{Datagram, Inbound, Trust};

/// Packets under way in one direction.
#[derive(Debug)]
pub struct Frames {
    /// Octets that a packet has at the most.
    size: usize,
    /// A receiver may keep what it is given: text is then taken by reference.
    lends: bool,
    waiting: VecDeque<(Bytes, u16)>,
    /// Packets that were received, parts of which the receiver may still hold; the oldest in front.
    lent: VecDeque<Bytes>,
}

impl Frames {
    /// None yet, of up to `size` octets.
    pub const fn new(size: usize, lends: bool) -> Self {
        Self { size, lends, waiting: VecDeque::new(), lent: VecDeque::new() }
    }

    /// How many wait to be received.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn room(&mut self) -> BytesMut {
        match self.lent.pop_front().map(Bytes::try_into_mut) {
            Some(Ok(room)) => return room,
            Some(Err(held)) => self.lent.push_front(held),
            None => {}
        }
        BytesMut::with_capacity(self.size)
    }

    /// A packet leaves: the copy that any device makes.
    pub fn push(&mut self, datagram: &Datagram<'_>) {
        let mut room = self.room();
        room.clear();
        room.extend_from_slice(datagram.head);
        for piece in datagram.body.pieces() {
            room.extend_from_slice(piece);
        }
        self.waiting.push_back((room.freeze(), datagram.gso_size));
    }

    /// The next packet arrives, if one waits; says whether.
    pub fn pop(&mut self, receive: impl FnOnce(Inbound<'_>)) -> bool {
        let Some((packet, gso_size)) = self.waiting.pop_front() else { return false };
        let backing = self.lends.then_some(&packet);
        receive(Inbound { packet: &packet, backing, trust: Trust::Trusted, gso_size });
        self.lent.push_back(packet);
        true
    }
}
