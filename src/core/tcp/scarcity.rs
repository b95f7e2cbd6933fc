//! A connection where memory runs short: what [`memory`](crate::memory) says of buffers and windows.

use super::buffer::spares::TO_RECEIVE;
use super::context::Context;
use super::segment::Segment;
use super::tcb::{Is, Tcb};
use crate::counters::Counters;
use crate::memory::Memory;
use crate::tcp::trace::AckReason;

/// Segments that a window is offered for, and that may be written, under pressure (as in Linux).
const SEGMENTS: u32 = 4;

/// What a reassembly queue takes beside its runs.
const QUEUE: usize = 512;

impl Tcb {
    /// Enters in the books what it holds.
    pub(crate) fn recharge(&mut self, memory: &mut Memory, counters: &mut Counters) {
        let send = self.send_buffer.memory();
        let receive = self.receive_buffer.memory() + self.out_of_order_memory();
        memory.charge(&mut self.charge, send, receive, counters);
        self.look_at(memory);
    }

    /// Whether memory is short.
    pub(crate) fn look_at(&mut self, memory: &Memory) {
        self.is.set(Is::PRESSED, memory.under_pressure());
        self.is.set(Is::PRESSED_TO_SEND, memory.under_send_pressure());
    }

    fn out_of_order_memory(&self) -> usize {
        match self.reassembly.memory() {
            0 => 0,
            text => text + QUEUE,
        }
    }

    /// Octets of a SYN's text that there is memory for.
    pub(super) fn memory_for_syn_text(&self, memory: &Memory) -> usize {
        match memory.is_bounded() {
            true => self.send_buffer.fits(memory.room_to_send(self.charge.send())),
            false => usize::MAX,
        }
    }

    /// The largest window to offer beyond what stands.
    pub(super) fn memory_allows(&self) -> u32 {
        let few = u32::from(self.rcv.mss).saturating_mul(SEGMENTS);
        if self.is.contains(Is::PRESSED) { few } else { u32::MAX }
    }

    /// What may be written to the send buffer.
    pub(super) fn memory_lets_write(&self) -> u32 {
        if !self.is.contains(Is::PRESSED_TO_SEND) {
            return u32::MAX;
        }
        let written = u32::try_from(self.send_buffer.len()).unwrap_or(u32::MAX);
        self.smss().saturating_mul(SEGMENTS).saturating_sub(written)
    }

    /// What its reassembly queue may hold.
    pub(super) fn may_keep_out_of_order(&self, memory: &Memory) -> usize {
        match memory.is_bounded() {
            // What a segment costs is told beforehand; a run may come to be twice what it was.
            true => (memory.room_out_of_order() / 2)
                .saturating_sub(QUEUE)
                .saturating_add(self.reassembly.memory()),
            false => usize::MAX,
        }
    }

    /// Whether the text of a segment in order can be kept, where need be in place of what came out of order. If not, the
    /// peer is told a window of zero. What it had been promised is taken nevertheless, once there is memory.
    ///
    /// Otherwise it would send the same again and again, ever more slowly, and give up in the end; with a window of zero it
    /// asks, as long as it takes.
    pub(super) fn has_memory_for(&mut self, seg: &Segment<'_>, cx: &mut Context<'_>) -> bool {
        if !self.wants_text() {
            // What nobody will read takes none.
            self.is.remove(Is::STARVED);
            return true;
        }
        let growth = self.receive_buffer.growth(seg.text.len(), seg.backing);
        // What follows on it moves from one buffer to the other, and some of it is copied.
        let moves = match self.reassembly.memory() {
            0 => 0,
            text => text + TO_RECEIVE,
        };
        if growth + moves <= cx.memory.room_to_receive() {
            self.is.remove(Is::STARVED);
            return true;
        }
        cx.counters.tcp_prune_called += 1;
        if moves > 0 {
            // What was reported selectively may be thrown away as long as it is not acknowledged (RFC 2018 §8).
            self.reassembly.clear();
            cx.counters.tcp_ofo_pruned += 1;
            self.recharge(cx.memory, cx.counters);
            if growth <= cx.memory.room_to_receive() {
                self.is.remove(Is::STARVED);
                return true;
            }
        }
        cx.counters.tcp_rcv_pruned += 1;
        cx.counters.tcp_rcv_q_drop += 1;
        self.is.insert(Is::STARVED);
        self.acks.now(AckReason::NoMemory);
        false
    }

    /// There is memory again: the peer is told of the window.
    pub(crate) fn fed(&mut self) {
        if self.is.contains(Is::STARVED) {
            self.is.remove(Is::STARVED);
            self.acks.now(AckReason::WindowUpdate);
        }
    }
}
