//! The stack's books of memory: what connections hold enters them after every change, and who had to wait for memory is
//! given a turn when there is some.

use alloc::collections::VecDeque;

use super::{Kind, Socket, SocketId, Stack};
use crate::tcp::tcb::Is;

/// Slots of those that wait for memory, longest first. Each stands here once, by its flag; one that is gone, or whose slot
/// is another's, is passed over.
#[derive(Debug, Default)]
pub(super) struct Starved {
    windows: VecDeque<u32>,
    writers: VecDeque<u32>,
}

impl Stack {
    /// Enters in the books what a connection holds now.
    pub(super) fn recharge(&mut self, index: u32) {
        if !self.memory.is_bounded() {
            return;
        }
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index_mut(index) else { return };
        tcb.recharge(&mut self.memory, &mut self.counters);
        // One that the program can write to as far as it is concerned itself, but for memory.
        if tcb.is.contains(Is::CANNOT_WRITE) && !tcb.state().may_send() {
            tcb.is.remove(Is::CANNOT_WRITE);
        }
        if tcb.is.contains(Is::STARVED) && !tcb.is.contains(Is::AWAITS_TO_RECEIVE) {
            tcb.is.insert(Is::AWAITS_TO_RECEIVE);
            self.starved.windows.push_back(index);
        }
        if tcb.is.contains(Is::CANNOT_WRITE) && !tcb.is.contains(Is::AWAITS_TO_SEND) {
            tcb.is.insert(Is::AWAITS_TO_SEND);
            self.starved.writers.push_back(index);
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
            }
            Some(Kind::Request(_) | Kind::TimeWait(_)) => self.memory.remove_record(&mut self.counters),
            _ => {}
        }
    }

    /// How many octets a program may write as far as memory goes, of those that the connection takes.
    pub(super) fn memory_to_write(&mut self, index: u32, room: usize) -> usize {
        if !self.memory.is_bounded() {
            return room;
        }
        let left = self.memory.room_to_send();
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index_mut(index) else {
            return room;
        };
        let fits = tcb.send_buffer.fits(left);
        if fits == 0 && room > 0 {
            tcb.is.insert(Is::CANNOT_WRITE);
            self.recharge(index);
        }
        room.min(fits)
    }

    /// Gives those that wait for memory their turn, as far as there is some. Each costs one step and is asked for when
    /// nothing else is to be sent; gives whether there may now be.
    pub(super) fn feed(&mut self) -> bool {
        while self.memory.has_room_to_write() {
            let Some(index) = self.starved.writers.pop_front() else { break };
            let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index_mut(index) else {
                continue;
            };
            tcb.is.remove(Is::CANNOT_WRITE | Is::AWAITS_TO_SEND);
            self.publish(index, false);
        }
        while let Some(&index) = self.starved.windows.front() {
            if let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index_mut(index) {
                if tcb.is.contains(Is::STARVED) && (self.memory.under_pressure() || !self.memory.promise()) {
                    return false;
                }
                self.starved.windows.pop_front();
                tcb.is.remove(Is::AWAITS_TO_RECEIVE);
                if tcb.is.contains(Is::STARVED) {
                    tcb.fed();
                    self.queue_output(index);
                    return true;
                }
            } else {
                self.starved.windows.pop_front();
            }
        }
        false
    }

    /// Makes room for a record in TIME-WAIT at the cost of the oldest; false where there is none.
    pub(super) fn make_room_for_time_wait(&mut self) -> bool {
        while !self.memory.has_room_for_record() {
            let Some(oldest) = self.aged.pop_front() else { return false };
            if self.is_time_wait(oldest) {
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
        self.memory.add_record(&mut self.counters);
        while self.aged.front().is_some_and(|&oldest| !self.is_time_wait(oldest)) {
            self.aged.pop_front();
        }
        self.aged.push_back(id);
    }

    fn is_time_wait(&self, id: SocketId) -> bool {
        matches!(self.slab.get(id), Some(Socket { kind: Kind::TimeWait(_), .. }))
    }
}
