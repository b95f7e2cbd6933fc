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
    waiting: VecDeque<Frame>,
    /// Memory of packets that were received and are nobody's now.
    free: Vec<Vec<u8>>,
    /// The same of packets parts of which the receiver may still hold; the oldest in front.
    lent: VecDeque<BytesMut>,
}

/// A packet under way.
#[derive(Debug)]
struct Frame {
    packet: Packet,
    gso_size: u16,
}

#[derive(Debug)]
enum Packet {
    Own(Vec<u8>),
    /// With the memory that it lies in, empty but for it.
    Lent(Bytes, BytesMut),
}

impl Frames {
    /// None yet, of up to `size` octets.
    pub const fn new(size: usize, lends: bool) -> Self {
        Self { size, lends, waiting: VecDeque::new(), free: Vec::new(), lent: VecDeque::new() }
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
        // It is free once nobody holds a part of what lay in it.
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
            let packet = Packet::Lent(room.split().freeze(), room);
            return self.waiting.push_back(Frame { packet, gso_size });
        }
        // It lies in the queue before it is filled: to move it is dear right behind the copy.
        let room = self.free.pop().unwrap_or_else(|| Vec::with_capacity(self.size));
        let frame = Frame { packet: Packet::Own(room), gso_size };
        if let Packet::Own(room) = &mut self.waiting.push_back_mut(frame).packet {
            room.extend_from_slice(datagram.head);
            datagram.body.pieces().for_each(|piece| room.extend_from_slice(piece));
        }
    }

    /// The next packet arrives, if one waits; says whether.
    pub fn pop(&mut self, receive: impl FnOnce(Inbound<'_>)) -> bool {
        let Some(Frame { packet, gso_size }) = self.waiting.pop_front() else { return false };
        match packet {
            Packet::Own(mut room) => {
                receive(Inbound { packet: &room, backing: None, trust: Trust::Trusted, gso_size });
                room.clear();
                self.free.push(room);
            }
            Packet::Lent(packet, room) => {
                receive(Inbound { packet: &packet, backing: Some(&packet), trust: Trust::Trusted, gso_size });
                self.lent.push_back(room);
            }
        }
        true
    }
}
