//! The queue between two stacks: packets in memory that is used again.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tunstack_core::packet::{Datagram, Inbound, Lent, Trust};

/// How packets get through the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passage {
    /// Copied into it, and out of it.
    Copied,
    /// Copied into it; the receiver may keep the memory that a packet lies in.
    Kept,
    /// The headers are copied; of a long text the receiver gets references to where it lies with the sender.
    Lent,
}

/// Packets under way in one direction.
#[derive(Debug)]
pub struct Frames {
    /// Octets that a packet has at the most.
    size: usize,
    passage: Passage,
    /// Those that wait: each with the size of the segments that it stands for, or 0.
    waiting: VecDeque<(Vec<u8>, u16)>,
    /// The same where text is lent: with what of it is.
    waiting_lent: VecDeque<(Vec<u8>, Vec<Lent>, u16)>,
    /// The same where the receiver may keep them: with the memory that each lies in, empty but for it.
    waiting_kept: VecDeque<(Bytes, BytesMut, u16)>,
    /// Memory of packets that were received and are nobody's now.
    free: Vec<Vec<u8>>,
    free_lent: Vec<(Vec<u8>, Vec<Lent>)>,
    /// The same of packets parts of which the receiver may still hold; the oldest in front.
    kept: VecDeque<BytesMut>,
}

impl Frames {
    /// None yet, of up to `size` octets.
    pub const fn new(size: usize, passage: Passage) -> Self {
        Self {
            size,
            passage,
            waiting: VecDeque::new(),
            waiting_lent: VecDeque::new(),
            waiting_kept: VecDeque::new(),
            free: Vec::new(),
            free_lent: Vec::new(),
            kept: VecDeque::new(),
        }
    }

    /// How many wait to be received.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.waiting_lent.len() + self.waiting_kept.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn room(&mut self) -> BytesMut {
        // It is free once nobody holds a part of what lay in it. What came back last is warm.
        if self.kept.back_mut().is_some_and(|room| room.try_reclaim(self.size))
            && let Some(room) = self.kept.pop_back()
        {
            return room;
        }
        if self.kept.front_mut().is_some_and(|room| room.try_reclaim(self.size))
            && let Some(room) = self.kept.pop_front()
        {
            return room;
        }
        BytesMut::with_capacity(self.size)
    }

    /// A packet leaves: the copy that any device makes, or none.
    pub fn push(&mut self, datagram: &Datagram<'_>) {
        let gso_size = datagram.gso_size;
        if self.passage == Passage::Kept {
            let mut room = self.room();
            room.extend_from_slice(datagram.head);
            datagram.body.pieces().for_each(|piece| room.extend_from_slice(piece));
            return self.waiting_kept.push_back((room.split().freeze(), room, gso_size));
        }
        // It lies in the queue before it is filled: to move it is dear right behind the copy.
        if self.passage == Passage::Lent {
            let free = self.free_lent.pop();
            let (room, lent) = free.unwrap_or_else(|| (Vec::with_capacity(self.size), Vec::new()));
            let (room, lent, _) = self.waiting_lent.push_back_mut((room, lent, gso_size));
            room.extend_from_slice(datagram.head);
            if !datagram.body.lend(lent) {
                datagram.body.pieces().for_each(|piece| room.extend_from_slice(piece));
            }
            return;
        }
        let room = self.free.pop().unwrap_or_else(|| Vec::with_capacity(self.size));
        let (room, _) = self.waiting.push_back_mut((room, gso_size));
        room.extend_from_slice(datagram.head);
        datagram.body.pieces().for_each(|piece| room.extend_from_slice(piece));
    }

    /// The next packet arrives, if one waits; says whether.
    pub fn pop(&mut self, receive: impl FnOnce(Inbound<'_>)) -> bool {
        let trust = Trust::Trusted;
        if let Some((mut room, gso_size)) = self.waiting.pop_front() {
            receive(Inbound { packet: &room, lent: &[], backing: None, trust, gso_size });
            room.clear();
            self.free.push(room);
            return true;
        }
        if let Some((mut room, mut lent, gso_size)) = self.waiting_lent.pop_front() {
            receive(Inbound { packet: &room, lent: &lent, backing: None, trust, gso_size });
            room.clear();
            lent.clear();
            self.free_lent.push((room, lent));
            return true;
        }
        let Some((packet, room, gso_size)) = self.waiting_kept.pop_front() else { return false };
        receive(Inbound { packet: &packet, lent: &[], backing: Some(&packet), trust, gso_size });
        self.kept.push_back(room);
        true
    }
}
