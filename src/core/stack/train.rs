//! Trains of segments leave with one head, in which the sequence number alone is written anew.

use super::transmit::sent;
use super::{Body, Checksum, Datagram, Kind, Socket, Stack};
use crate::sockopt::PathMtuDiscovery;
use crate::tcp::buffer::send::SendBuffer;
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
    /// The piece of the send buffer that its last segment lay in.
    piece: usize,
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
    /// The piece of the send buffer that they lie in, if it is one.
    piece: Option<usize>,
}

impl Leaves {
    fn text<'a>(&self, buffer: &'a SendBuffer) -> Body<'a> {
        match self.piece.and_then(|piece| buffer.within(piece, self.offset, self.len)) {
            Some(text) => Body::from_slice(text),
            None => buffer.slice(self.offset, self.len),
        }
    }
}

impl Stack {
    /// A segment of a connection has left, by the head that stands: others may follow with it.
    pub(super) fn couple(&mut self, index: u32, first: &Outgoing, checksum: Checksum, now: Instant) {
        // Several connections have their turns, segment by segment.
        if self.output.len() > 1 || first.reason != Reason::Data || first.gso_size > 0 {
            return;
        }
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index(index) else { return };
        // Each packet that may be cut has a number of its own.
        if tcb.options.path_mtu_discovery == PathMtuDiscovery::Dont {
            return;
        }
        let changes = self.slab.changes();
        self.train = tcb.train_behind(first, now).map(|train| {
            let piece = tcb.send_buffer.piece_of(first.offset);
            Coupled { train, index, now, changes, checksum, piece }
        });
    }

    /// What leaves next, if it is the next segment of a train.
    pub(super) fn next_of_train(&mut self, now: Instant) -> Option<Leaves> {
        let coupled = self.train?;
        self.train = None;
        let Coupled { train, index, checksum, .. } = coupled;
        let undisturbed = coupled.now == now
            && coupled.changes == self.slab.changes()
            && self.control.is_empty()
            && self.departures.is_empty();
        if !undisturbed {
            return None;
        }
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index_mut(index) else {
            return None;
        };
        let (offset, len) = (tcb.snd.nxt.saturating_since(tcb.data_start()) as usize, train.mss as usize);
        let piece = tcb.send_buffer.lies_near(coupled.piece, offset, len);
        if piece.is_none() && tcb.send_buffer.in_reach(offset, len) < len {
            return None;
        }
        let seq = tcb.follow(train, &mut context!(self, now))?;
        let leaves = Leaves { checksum, index, offset, len, piece };
        let ends = (tcb.quad.local.address, tcb.quad.remote.address);
        let summed = checksum == Checksum::Complete;
        let text = if summed { leaves.text(&tcb.send_buffer) } else { Body::EMPTY };
        tcp::follow(&mut self.head, ends, seq, text.pieces(), checksum);
        let piece = piece.unwrap_or(coupled.piece);
        self.train = Some(Coupled { changes: self.slab.changes(), piece, ..coupled });
        Some(leaves)
    }

    /// The packet that leaves by the head that stands.
    pub(super) fn depart(&self, leaves: Leaves) -> Option<Datagram<'_>> {
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index(leaves.index) else {
            return None;
        };
        Some(Datagram {
            head: &self.head,
            body: leaves.text(&tcb.send_buffer),
            gso_size: 0,
            checksum: leaves.checksum,
            event: if self.config.trace { Some(sent(tcb, Reason::Data)) } else { None },
        })
    }
}
