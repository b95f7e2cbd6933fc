//! Trains of segments leave with one head, in which the sequence number alone is written anew.

use super::{Body, Checksum, Datagram, Kind, Socket, Stack};
use crate::sockopt::PathMtuDiscovery;
use crate::tcp::buffer::send::{Place, SendBuffer};
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

/// A segment that leaves by the head that stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaves {
    checksum: Checksum,
    /// The slot of the connection.
    index: u32,
    /// Where its text begins in the send buffer, octets from the front.
    offset: usize,
    /// Octets of text.
    len: usize,
    /// Where they lie, if that is one piece.
    place: Option<Place>,
}

impl Leaves {
    #[inline]
    fn text<'a>(&self, buffer: &'a SendBuffer) -> Body<'a> {
        buffer.body(self.place, self.offset, self.len)
    }
}

impl Stack {
    /// A segment of a connection has left, by the head that stands: others may follow with it.
    pub(super) fn couple(&mut self, index: u32, first: &Outgoing, checksum: Checksum, now: Instant) {
        // Several connections have their turns, segment by segment; and who traces is told of each at length.
        if self.output.len() > 1 || first.reason != Reason::Data || first.gso_size > 0 || self.config.trace {
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

    /// What leaves next, if it is the next segment of a train.
    #[inline]
    pub(super) fn next_of_train(&mut self, now: Instant) -> Option<Leaves> {
        self.train.as_ref()?;
        let leaves = self.go_on(now);
        if leaves.is_none() {
            self.train = None;
        }
        leaves
    }

    #[inline]
    fn go_on(&mut self, now: Instant) -> Option<Leaves> {
        let coupled = self.train.as_mut()?;
        let undisturbed = coupled.now == now
            && coupled.changes == self.slab.changes()
            && self.control.is_empty()
            && self.departures.is_empty();
        if !undisturbed {
            return None;
        }
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index_mut(coupled.index) else {
            return None;
        };
        let (offset, len) = (coupled.offset, coupled.train.mss as usize);
        let whole = coupled.in_piece >= len;
        if !whole && tcb.send_buffer.in_reach(offset, len) < len {
            return None;
        }
        let (seq, push) = tcb.follow(&mut coupled.train, &mut context!(self, now))?;
        let place = whole.then_some(coupled.place);
        let leaves = Leaves { checksum: coupled.checksum, index: coupled.index, offset, len, place };
        coupled.offset += len;
        if whole {
            coupled.place = coupled.place.behind(len);
            coupled.in_piece -= len;
        } else {
            coupled.place = tcb.send_buffer.place_of(coupled.offset);
            coupled.in_piece = tcb.send_buffer.left_at(coupled.place);
        }
        tcp::follow(&mut self.head, (seq, push));
        if leaves.checksum == Checksum::Complete {
            let ends = (tcb.quad.local.address, tcb.quad.remote.address);
            tcp::sum_anew(&mut self.head, ends, leaves.text(&tcb.send_buffer).pieces());
        }
        coupled.changes = self.slab.changes();
        Some(leaves)
    }

    /// The packet that leaves by the head that stands.
    #[inline]
    pub(super) fn depart(&self, leaves: Leaves) -> Option<Datagram<'_>> {
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index(leaves.index) else {
            return None;
        };
        let body = leaves.text(&tcb.send_buffer);
        Some(Datagram { head: &self.head, body, gso_size: 0, checksum: leaves.checksum, event: None })
    }
}
