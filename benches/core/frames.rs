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
    /// Those that wait: each with the size of the segments that it stands for, or 0.
    waiting: VecDeque<(Vec<u8>, u16)>,
    /// The same where the receiver may keep them: with the memory that each lies in, empty but for it.
    waiting_lent: VecDeque<(Bytes, BytesMut, u16)>,
    /// Memory of packets that were received and are nobody's now.
    free: Vec<Vec<u8>>,
    /// The same of packets parts of which the receiver may still hold; the oldest in front.
    lent: VecDeque<BytesMut>,
}

impl Frames {
    /// None yet, of up to `size` octets.
    pub const fn new(size: usize, lends: bool) -> Self {
        Self {
            size,
            lends,
            waiting: VecDeque::new(),
            waiting_lent: VecDeque::new(),
            free: Vec::new(),
            lent: VecDeque::new(),
        }
    }

    /// How many wait to be received.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.waiting_lent.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn room(&mut self) -> BytesMut {
        // It is free once nobody holds a part of what lay in it. What came back last is warm.
        if self.lent.back_mut().is_some_and(|room| room.try_reclaim(self.size))
            && let Some(room) = self.lent.pop_back()
        {
            return room;
        }
        if self.lent.front_mut().is_some_and(|room| room.try_reclaim(self.size))
            && let Some(room) = self.lent.pop_front()
        {
            return room;
        }
        BytesMut::with_capacity(self.size)
    }

    /// A packet leaves: the copy that any device makes.
    pub fn push(&mut self, datagram: &Datagram<'_>) {
        let gso_size = datagram.gso_size;
        if self.lends {
            let mut room = self.room();
            room.extend_from_slice(datagram.head);
            datagram.body.pieces().for_each(|piece| room.extend_from_slice(piece));
            return self.waiting_lent.push_back((room.split().freeze(), room, gso_size));
        }
        // It lies in the queue before it is filled: to move it is dear right behind the copy.
        let room = self.free.pop().unwrap_or_else(|| Vec::with_capacity(self.size));
        let (room, _) = self.waiting.push_back_mut((room, gso_size));
        room.extend_from_slice(datagram.head);
        datagram.body.pieces().for_each(|piece| room.extend_from_slice(piece));
    }

    /// The next packet arrives, if one waits; says whether.
    pub fn pop(&mut self, receive: impl FnOnce(Inbound<'_>)) -> bool {
        let trust = Trust::Trusted;
        if let Some((mut room, gso_size)) = self.waiting.pop_front() {
            receive(Inbound { packet: &room, backing: None, trust, gso_size });
            room.clear();
            self.free.push(room);
            return true;
        }
        let Some((packet, room, gso_size)) = self.waiting_lent.pop_front() else { return false };
        receive(Inbound { packet: &packet, backing: Some(&packet), trust, gso_size });
        self.lent.push_back(room);
        true
    }
}
