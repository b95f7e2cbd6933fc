//! Trains of segments leave with one head, in which the sequence number alone is written anew.

use super::{Body, Checksum, Datagram, Kind, Socket, Stack};
use crate::sockopt::PathMtuDiscovery;
use crate::tcp::buffer::send::Place;
use crate::tcp::output::Outgoing;
use crate::tcp::output::train::Train;
use crate::tcp::trace::Reason;
use crate::time::Instant;
use crate::wire::tcp;

/// A train, and what must still be so for it to go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coupled {
    train: Train,
    /// The slot of the connection.
    index: u32,
    /// When it leaves: what depends on the time holds for this moment.
    now: Instant,
    /// What the slab said when its last segment had left: nothing has been done to any socket since.
    changes: u64,
    checksum: Checksum,
    /// Where the text of the next segment begins in the send buffer: octets from the front, and in which piece.
    offset: usize,
    place: Place,
    /// Octets of that piece from there on.
    in_piece: usize,
}

impl Stack {
    /// A segment of a connection has left, by the head that stands: others may follow with it.
    pub(super) fn couple(&mut self, index: u32, first: &Outgoing, checksum: Checksum, now: Instant) {
        // Several connections have their turns; and who traces is told of each at length. What follows one
        // that left alone may leave joined, where the device cuts.
        let alone = self.turns.are_several() || self.config.offload.segmentation > 0;
        if alone || first.reason != Reason::Data || self.config.trace {
            return;
        }
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index(index) else { return };
        // Each packet that may be cut has a number of its own.
        if tcb.options.path_mtu_discovery == PathMtuDiscovery::Dont {
            return;
        }
        let changes = self.slab.changes();
        let offset = first.offset + first.len;
        let Some(train) = tcb.train_behind(first, &context!(self, now)) else { return };
        let place = match first.place {
            Some(place) => place.behind(first.len),
            None => tcb.send_buffer.place_of(offset),
        };
        let in_piece = tcb.send_buffer.left_at(place);
        self.train = Some(Coupled { train, index, now, changes, checksum, offset, place, in_piece });
    }

    /// Whether the next segment of a train is what leaves next.
    #[inline(always)]
    pub(super) fn train_goes_on(&self, now: Instant) -> bool {
        let Some(coupled) = &self.train else { return false };
        let plain = coupled.in_piece >= coupled.train.mss as usize && !coupled.train.is_paced();
        coupled.train.goes_on()
            && coupled.now == now
            && coupled.changes == self.slab.changes()
            && self.control.is_empty()
            && self.departures.is_empty()
            && (plain || self.is_ready(coupled))
    }

    /// Whether the next segment has its text in few enough pieces, and need not wait.
    #[inline(never)]
    fn is_ready(&self, coupled: &Coupled) -> bool {
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index(coupled.index) else {
            return false;
        };
        let len = coupled.train.mss as usize;
        tcb.may_follow(&coupled.train) && tcb.send_buffer.in_reach(coupled.offset, len) >= len
    }

    /// The next segment of a train that [goes on](Self::train_goes_on), by the head that stands.
    #[inline(always)]
    pub(super) fn next_of_train(&mut self, now: Instant) -> Option<Datagram<'_>> {
        let coupled = self.train.as_mut()?;
        let Some(Socket { kind: Kind::Connection(tcb), queued, .. }) = self.slab.by_index_mut(coupled.index)
        else {
            return None;
        };
        // That it was lent is no change but ours.
        coupled.changes += 1;
        let (seq, push) = tcb.follow(&mut coupled.train, &mut context!(self, now));
        tcp::follow(&mut self.head, (seq, push));
        // Who asks for no more this time leaves nothing undone.
        if !coupled.train.goes_on() && tcb.was_all(&context!(self, now)) {
            if let Some(deadline) = tcb.timers.earliest() {
                self.wheel.arm(coupled.index, deadline);
            }
            *queued = false;
            self.turns.end(coupled.index);
        }
        let (buffer, len) = (&tcb.send_buffer, coupled.train.mss as usize);
        let (ends, checksum) = ((tcb.quad.local.address, tcb.quad.remote.address), coupled.checksum);
        let summed = checksum == Checksum::Complete;
        // A body is made where it leaves: it is not moved once more.
        if coupled.in_piece >= len {
            let text = buffer.at(coupled.place, len).unwrap_or_default();
            debug_assert_eq!(text.len(), len, "a train has full segments");
            (coupled.place, coupled.in_piece) = (coupled.place.behind(len), coupled.in_piece - len);
            coupled.offset += len;
            if summed {
                tcp::sum_anew(&mut self.head, ends, core::iter::once(text));
            }
            let body = Body::from_slice(text);
            return Some(Datagram { head: &self.head, body, gso_size: 0, checksum, event: None });
        }
        let body = buffer.slice(coupled.offset, len);
        debug_assert_eq!(body.len(), len, "a train has full segments");
        coupled.offset += len;
        coupled.place = buffer.place_of(coupled.offset);
        coupled.in_piece = buffer.left_at(coupled.place);
        if summed {
            tcp::sum_anew(&mut self.head, ends, body.pieces());
        }
        Some(Datagram { head: &self.head, body, gso_size: 0, checksum, event: None })
    }
}
