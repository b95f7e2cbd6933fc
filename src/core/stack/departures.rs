//! IP packets that are ready to leave: what is not cut from a connection's send buffer.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::packet::OtherEvent;
use super::{Body, Checksum};

/// A packet among [`Departures`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    /// Octets before it, of all that were ever put in since the queue was last empty.
    start: usize,
    len: usize,
    /// Octets that are told apart as the head: all of it, unless the device is to cut it.
    head_len: usize,
    /// Not 0: datagrams of this size, for the device to cut apart.
    pub(super) gso_size: u16,
    /// How the checksum of the transport stands.
    pub(super) checksum: Checksum,
    /// Why it leaves.
    pub(super) event: OtherEvent,
}

/// Packets that are ready to leave, one behind the other in one allocation that is used again.
#[derive(Debug)]
pub(super) struct Departures {
    /// Octets that may wait.
    most: usize,
    /// Octets that an empty queue keeps room for.
    kept: usize,
    octets: Vec<u8>,
    /// Octets that were there before the first of `octets`.
    gone: usize,
    packets: VecDeque<Departure>,
}

impl Default for Departures {
    fn default() -> Self {
        let (octets, packets) = (Vec::new(), VecDeque::new());
        Self { most: Self::OCTETS, kept: Self::KEPT, octets, gone: 0, packets }
    }
}

impl Departures {
    /// For a stack that may hold `budget` octets.
    pub(super) fn within(budget: usize) -> Self {
        let most = Self::OCTETS.min(budget / 16);
        Self { most, kept: Self::KEPT.min(most / 4), ..Self::default() }
    }

    /// Packets that may wait: a flood of pings must not become a flood of memory.
    const PACKETS: usize = 4096;
    /// Octets that may wait, for the same reason.
    const OCTETS: usize = 8 << 20;
    /// Octets behind which a batch is sent before more of it is taken: what a cache near the processor holds.
    const BATCH: usize = 256 << 10;
    /// Octets that an empty queue keeps room for.
    const KEPT: usize = 2 * Self::BATCH;

    /// Whether one more is refused.
    pub(super) fn is_full(&self) -> bool {
        self.packets.len() >= Self::PACKETS || self.waiting() >= self.most
    }

    /// Whether there are enough of them to be sent before more are made.
    pub(super) fn is_batch(&self) -> bool {
        self.waiting() >= Self::BATCH.min(self.most / 2) || self.is_full()
    }

    /// Octets from the first that waits to the last.
    fn waiting(&self) -> usize {
        let first = self.packets.front().map_or(self.gone.saturating_add(self.octets.len()), |p| p.start);
        self.gone.saturating_add(self.octets.len()).saturating_sub(first)
    }

    /// Appends what `write` appends to the octets, as one packet; nothing where that fails, or is nothing.
    pub(super) fn push<E>(
        &mut self,
        event: OtherEvent,
        write: impl FnOnce(&mut Vec<u8>) -> Result<Checksum, E>,
    ) -> Result<(), E> {
        self.make_room();
        let start = self.octets.len();
        let checksum = write(&mut self.octets).inspect_err(|_| self.octets.truncate(start))?;
        let len = self.octets.len().saturating_sub(start);
        if len > 0 {
            let start = self.gone.saturating_add(start);
            self.packets.push_back(Departure { start, len, head_len: len, gso_size: 0, checksum, event });
        }
        Ok(())
    }

    /// The one put in last is to be cut behind its head into datagrams of this size.
    pub(super) fn cut_last(&mut self, head_len: usize, size: u16) {
        if let Some(last) = self.packets.back_mut() {
            (last.head_len, last.gso_size) = (head_len, size);
        }
    }

    /// The one put in last is the last of so many fragments of one packet.
    pub(super) fn end_fragments(&mut self, count: usize) {
        let fragments = u16::try_from(count).unwrap_or(u16::MAX);
        for packet in self.packets.iter_mut().rev().take(count) {
            packet.event.fragments = fragments;
        }
    }

    /// Takes out the oldest. Its octets stay until the next is put in.
    pub(super) fn pop(&mut self) -> Option<Departure> {
        self.packets.pop_front()
    }

    /// The head and the text of a packet that was just taken out.
    pub(super) fn octets_of(&self, packet: &Departure) -> (&[u8], Body<'_>) {
        let start = packet.start.saturating_sub(self.gone);
        let octets = self.octets.get(start..start.saturating_add(packet.len)).unwrap_or_default();
        let (head, text) = octets.split_at_checked(packet.head_len).unwrap_or((octets, &[]));
        (head, Body::from_slice(text))
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Octets of memory it holds.
    pub(super) fn memory(&self) -> usize {
        self.octets.capacity() + self.packets.capacity() * size_of::<Departure>()
    }

    /// Gives up all memory of an empty queue.
    pub(super) fn free(&mut self) {
        self.octets = Vec::new();
        self.packets = VecDeque::new();
        self.gone = 0;
    }

    /// Makes a place for so many packets of `len` octets in all, where that takes no more than `room` octets of memory; says
    /// whether it did.
    pub(super) fn prepare(&mut self, len: usize, count: usize, room: usize) -> bool {
        self.make_room();
        let needed = self.octets.len().saturating_add(len);
        let places = self.packets.len().saturating_add(count);
        let places = if places > self.packets.capacity() { places.next_power_of_two().max(4) } else { 0 };
        let more = places.saturating_sub(self.packets.capacity());
        let Some(room) = room.checked_sub(more.saturating_mul(size_of::<Departure>())) else { return false };
        let most = self.octets.capacity().saturating_add(room);
        // Twice as much as there is, if there is so much.
        let octets = if needed > self.octets.capacity() { needed.next_power_of_two().min(most) } else { 0 };
        if needed > most {
            return false;
        }
        self.octets.reserve_exact(octets.saturating_sub(self.octets.len()));
        self.packets.reserve_exact(places.saturating_sub(self.packets.len()));
        true
    }

    /// Gives up the place of those that are gone.
    fn make_room(&mut self) {
        match self.packets.front() {
            // What was made ready for the next.
            None if self.octets.is_empty() => self.gone = 0,
            None if self.octets.capacity() > self.kept => self.free(),
            None => {
                self.octets.clear();
                self.gone = 0;
            }
            // Moving what waits costs no more than what is gone has cost, so not more often than that.
            Some(first) => {
                let gone = first.start.saturating_sub(self.gone);
                if gone > self.kept && gone > self.octets.len() / 2 {
                    self.octets.drain(..gone);
                    self.gone = first.start;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::packet::OtherReason;

    const EVENT: OtherEvent = OtherEvent { reason: OtherReason::Datagram, fragment: 1, fragments: 1 };

    fn push(queue: &mut Departures, octets: &[u8]) {
        let done: Result<(), ()> = queue.push(EVENT, |out| {
            out.extend_from_slice(octets);
            Ok(Checksum::Complete)
        });
        done.unwrap();
    }

    fn pop(queue: &mut Departures) -> Option<(Vec<u8>, Vec<u8>)> {
        let packet = queue.pop()?;
        let (head, body) = queue.octets_of(&packet);
        Some((head.to_vec(), body.pieces().flatten().copied().collect()))
    }

    #[test]
    fn in_their_order_and_whole() {
        let mut queue = Departures::default();
        push(&mut queue, b"one");
        push(&mut queue, b"headtext");
        queue.cut_last(4, 2);
        assert_eq!(queue.packets.back().map(|p| p.gso_size), Some(2));
        push(&mut queue, b"");
        let failed = queue.push(EVENT, |out| {
            out.push(7);
            Err("no form on the wire")
        });
        assert_eq!(failed, Err("no form on the wire"));
        push(&mut queue, b"three");
        queue.end_fragments(2);
        assert_eq!(queue.packets.iter().map(|p| p.event.fragments).collect::<Vec<_>>(), [1, 2, 2]);
        assert_eq!(pop(&mut queue), Some((b"one".to_vec(), Vec::new())));
        assert_eq!(pop(&mut queue), Some((b"head".to_vec(), b"text".to_vec())));
        assert_eq!(pop(&mut queue), Some((b"three".to_vec(), Vec::new())));
        assert_eq!(pop(&mut queue), None);
    }

    /// A queue that is never empty does not grow, and what waits stays what it is.
    #[test]
    fn a_queue_that_is_never_empty() {
        let mut queue = Departures::default();
        let packet = |n: u32| [&n.to_be_bytes()[..], &[n as u8; 60_000]].concat();
        for n in 0..1000 {
            push(&mut queue, &packet(n));
            if n >= 3 {
                assert!(pop(&mut queue) == Some((packet(n - 3), Vec::new())), "{n}");
            }
        }
        assert!(queue.octets.capacity() < 4 << 20, "{}", queue.octets.capacity());
        assert_eq!(queue.waiting(), 3 * 60_004);
    }

    #[test]
    fn a_burst_gives_its_room_back() {
        let mut queue = Departures::default();
        let mut count = 0;
        while !queue.is_full() {
            push(&mut queue, &[7; 60_000]);
            count += 1;
        }
        assert_eq!(count, (8 << 20) / 60_000 + 1);
        while queue.pop().is_some() {}
        push(&mut queue, b"next");
        assert!(queue.octets.capacity() <= Departures::KEPT);
        assert_eq!(pop(&mut queue), Some((b"next".to_vec(), Vec::new())));
        let room = queue.octets.capacity();
        push(&mut queue, b"next");
        assert_eq!(queue.octets.capacity(), room, "which is used again");
    }
}
