//! The stack's books of memory: what connections hold enters them after every change, and who had to wait for memory is
//! given a turn when there is some.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Kind, Slab, Socket, SocketId, Stack};
use crate::memory::Record;
use crate::tcp::tcb::{Is, Tcb};
use crate::time::Instant;

/// Entries that a queue may have of what is gone, beside as many as there are.
const DEAD: usize = 16;

/// Those that wait for memory, longest first. Each stands here once, by its flag; one that is gone is passed over, and taken
/// out before there are more of those than of others.
#[derive(Debug)]
struct Queue {
    flag: Is,
    ids: VecDeque<SocketId>,
    /// How many there are that bear the flag.
    live: usize,
}

/// Connections that were told a window of zero for want of memory, and those that could not write and have nothing on its way
/// whose acknowledgment would tell them that they can.
#[derive(Debug)]
pub(super) struct Starved {
    windows: Queue,
    writers: Queue,
}

impl Default for Starved {
    fn default() -> Self {
        Self { windows: Queue::new(Is::AWAITS_TO_RECEIVE), writers: Queue::new(Is::AWAITS_TO_SEND) }
    }
}

impl Starved {
    /// Whether anybody waits to write.
    pub(super) const fn writers_wait(&self) -> bool {
        self.writers.live > 0
    }
}

impl Queue {
    const fn new(flag: Is) -> Self {
        Self { flag, ids: VecDeque::new(), live: 0 }
    }

    /// Puts in a connection that does not bear the flag.
    fn push(&mut self, id: SocketId, slab: &mut Slab<Socket>) {
        if self.ids.len() >= 2 * self.live + DEAD {
            self.purge(slab);
        }
        if let Some(tcb) = connection(slab, id) {
            tcb.is.insert(self.flag);
            self.ids.push_back(id);
            self.live += 1;
        }
    }

    fn purge(&mut self, slab: &mut Slab<Socket>) {
        // A handle may stand here for a connection that its socket had before: only the first is kept.
        self.ids.retain(|id| {
            let is = connection(slab, *id).map(|tcb| &mut tcb.is);
            is.is_some_and(|is| {
                let bears = is.contains(self.flag);
                is.remove(self.flag);
                bears
            })
        });
        for id in &self.ids {
            if let Some(tcb) = connection(slab, *id) {
                tcb.is.insert(self.flag);
            }
        }
    }

    /// The first that bears the flag.
    fn first(&mut self, slab: &mut Slab<Socket>) -> Option<SocketId> {
        while let Some(&id) = self.ids.front() {
            if connection(slab, id).is_some_and(|tcb| tcb.is.contains(self.flag)) {
                return Some(id);
            }
            self.ids.pop_front();
        }
        None
    }

    /// Takes out the one that is first.
    fn pop(&mut self, tcb: &mut Tcb) {
        self.ids.pop_front();
        self.forget(tcb);
    }

    /// It waits no longer: its entry, if it has one, is dead.
    fn forget(&mut self, tcb: &mut Tcb) {
        if tcb.is.contains(self.flag) {
            tcb.is.remove(self.flag);
            self.live = self.live.saturating_sub(1);
        }
    }
}

fn connection(slab: &mut Slab<Socket>, id: SocketId) -> Option<&mut Tcb> {
    match slab.get_mut(id) {
        Some(Socket { kind: Kind::Connection(tcb), .. }) => Some(tcb),
        _ => None,
    }
}

impl Stack {
    /// Enters in the books what a connection holds now.
    pub(super) fn recharge(&mut self, index: u32) {
        if !self.memory.is_bounded() {
            return;
        }
        let Some(id) = self.slab.id_of(index) else { return };
        let Some(tcb) = connection(&mut self.slab, id) else { return };
        tcb.recharge(&mut self.memory, &mut self.counters);
        if tcb.is.contains(Is::CANNOT_WRITE) && !tcb.is.contains(Is::AWAITS_TO_SEND) {
            // What is acknowledged of its own tells it that it can write, but not for each octet.
            let fits = tcb.send_buffer.fits(self.memory.room_to_send(tcb.charge.send()));
            let nothing = tcb.send_buffer.is_empty();
            if !tcb.state().may_send() || fits >= tcb.smss() as usize || (nothing && fits > 0) {
                tcb.is.remove(Is::CANNOT_WRITE);
            } else if nothing {
                self.starved.writers.push(id, &mut self.slab);
            }
        }
        if let Some(tcb) = connection(&mut self.slab, id)
            && tcb.is.contains(Is::STARVED)
            && !tcb.is.contains(Is::AWAITS_TO_RECEIVE)
        {
            self.starved.windows.push(id, &mut self.slab);
        }
    }

    /// A slot is about to be freed or to hold something else: what it held is held no more.
    pub(super) fn discharge(&mut self, index: u32) {
        if !self.memory.is_bounded() {
            return;
        }
        match self.slab.by_index_mut(index).map(|socket| &mut socket.kind) {
            Some(Kind::Connection(tcb)) => {
                self.memory.charge(&mut tcb.charge, 0, 0, &mut self.counters);
                self.starved.windows.forget(tcb);
                self.starved.writers.forget(tcb);
                self.memory.use_grant(&mut tcb.grant);
            }
            Some(Kind::Request(_)) => self.memory.remove_record(Record::Request, &mut self.counters),
            Some(Kind::TimeWait(_)) => self.memory.remove_record(Record::TimeWait, &mut self.counters),
            _ => {}
        }
    }

    /// How it stands with memory, before a connection is asked what it takes.
    pub(super) fn look_at_memory(&mut self, id: SocketId) {
        if self.memory.is_bounded()
            && let Some(tcb) = connection(&mut self.slab, id)
        {
            tcb.look_at(&self.memory);
        }
    }

    /// How many of `wanted` octets a program may write as far as memory goes, where the connection takes `room`; by
    /// reference, where they are `shared`.
    pub(super) fn memory_to_write(
        &mut self,
        id: SocketId,
        room: usize,
        wanted: usize,
        shared: bool,
    ) -> usize {
        if !self.memory.is_bounded() || wanted == 0 {
            return room;
        }
        let Some(tcb) = connection(&mut self.slab, id) else { return room };
        self.memory.use_grant(&mut tcb.grant);
        let left = self.memory.room_to_send(tcb.charge.send());
        let fits = match shared {
            true => tcb.send_buffer.fits_bytes(left, wanted.min(room)),
            false => tcb.send_buffer.fits(left),
        };
        if fits == 0 && room > 0 {
            tcb.is.insert(Is::CANNOT_WRITE);
            self.recharge(id.index());
        } else {
            tcb.is.remove(Is::CANNOT_WRITE);
            self.starved.writers.forget(tcb);
        }
        room.min(fits)
    }

    /// Gives those that wait for memory their turn, as far as there is some. Each costs one step and is asked for when
    /// nothing else is to be sent; gives whether there may now be.
    pub(super) fn feed(&mut self, now: Instant) -> bool {
        if !self.memory.is_bounded() {
            return false;
        }
        self.free_departures();
        self.feed_writers(now);
        while let Some(id) = self.starved.windows.first(&mut self.slab) {
            let Some(tcb) = connection(&mut self.slab, id) else { break };
            let starved = tcb.is.contains(Is::STARVED);
            if starved && !self.memory.promise() {
                return false;
            }
            self.starved.windows.pop(tcb);
            if starved {
                tcb.fed();
                self.queue_output(id.index());
                return true;
            }
        }
        false
    }

    /// Tells as many as there is room for that they can write.
    fn feed_writers(&mut self, now: Instant) {
        self.memory.expire_grants(now);
        while let Some(id) = self.starved.writers.first(&mut self.slab) {
            let Some(tcb) = connection(&mut self.slab, id) else { break };
            let room = self.memory.room_to_send(tcb.charge.send());
            let waits = tcb.is.contains(Is::CANNOT_WRITE) && tcb.state().may_send();
            if waits && tcb.send_buffer.fits(room) == 0 {
                break;
            }
            self.starved.writers.pop(tcb);
            tcb.is.remove(Is::CANNOT_WRITE);
            if waits {
                self.memory.grant(&mut tcb.grant, room, now);
            }
            self.publish(id.index(), false);
        }
    }

    /// Makes room for a record at the cost of the oldest in TIME-WAIT; false where there is none.
    pub(super) fn make_room_for_record(&mut self) -> bool {
        while !self.memory.has_room_for_record() {
            let Some(oldest) = self.aged.pop_front() else { return false };
            if is_time_wait(&self.slab, oldest) {
                self.counters.tcp_tw_overflow += 1;
                self.remove(oldest.index());
            }
        }
        true
    }

    /// A record in TIME-WAIT was made.
    pub(super) fn aged(&mut self, id: SocketId) {
        if !self.memory.is_bounded() {
            return;
        }
        self.memory.add_record(Record::TimeWait, &mut self.counters);
        // Not all end in the order in which they began: one whose peer sends its FIN again stays longer.
        if self.aged.len() >= 2 * self.time_waits.len() as usize + DEAD {
            let slab = &self.slab;
            self.aged.retain(|&id| is_time_wait(slab, id));
        }
        self.aged.push_back(id);
    }

    /// Whether packets of `len` octets in all, so many of them, may wait to leave.
    pub(super) fn has_room_to_depart(&mut self, len: usize, count: usize) -> bool {
        if self.departures.is_full() {
            return false;
        }
        if !self.memory.is_bounded() {
            return true;
        }
        let before = self.departures.memory();
        let has_room = self.departures.prepare(len, count, self.memory.room_for_packets());
        self.memory.charge_packets(before, self.departures.memory(), &mut self.counters);
        has_room
    }

    fn free_departures(&mut self) {
        let before = self.departures.memory();
        if before > 0 && self.departures.is_empty() {
            self.departures.free();
            self.memory.charge_packets(before, 0, &mut self.counters);
        }
    }

    /// A packet leaves for ourselves. Where memory is bounded what waits is received before there is too much of it.
    pub(super) fn loop_back(&mut self, now: Instant, packet: Vec<u8>, gso_size: u16) {
        if self.memory.is_bounded() {
            let size = looped(&packet);
            while size > self.memory.room_for_packets() {
                if !self.receive_first_looped(now) {
                    return self.receive_looped(now, &packet, gso_size);
                }
            }
            self.memory.charge_packets(0, size, &mut self.counters);
        }
        self.looped.push_back((packet, gso_size));
    }

    /// Receives the first of the packets from ourselves; says whether there was one.
    pub(super) fn receive_first_looped(&mut self, now: Instant) -> bool {
        let Some((packet, gso_size)) = self.looped.pop_front() else { return false };
        self.memory.charge_packets(looped(&packet), 0, &mut self.counters);
        self.receive_looped(now, &packet, gso_size);
        true
    }
}

/// What a packet to ourselves takes while it waits.
pub(super) const fn looped(packet: &Vec<u8>) -> usize {
    packet.capacity() + 2 * size_of::<(Vec<u8>, u16)>()
}

fn is_time_wait(slab: &Slab<Socket>, id: SocketId) -> bool {
    matches!(slab.get(id), Some(Socket { kind: Kind::TimeWait(_), .. }))
}

#[cfg(test)]
impl Starved {
    /// How many entries there are.
    pub(super) fn entries(&self) -> (usize, usize) {
        (self.windows.ids.len(), self.writers.ids.len())
    }

    /// Panics where the queues and the flags of connections disagree.
    pub(super) fn check(&self, slab: &Slab<Socket>) {
        for queue in [&self.windows, &self.writers] {
            let bears = |socket: &Socket| match &socket.kind {
                Kind::Connection(tcb) => tcb.is.contains(queue.flag),
                _ => false,
            };
            let waiting = slab.iter().filter(|(_, socket)| bears(socket));
            let waiting: alloc::vec::Vec<_> = waiting.map(|(id, _)| id).collect();
            assert_eq!(queue.live, waiting.len(), "{:?}", queue.flag);
            assert!(waiting.iter().all(|id| queue.ids.contains(id)), "{:?}", queue.flag);
        }
    }
}
