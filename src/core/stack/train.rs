//! Trains of segments leave with one head, in which the sequence number alone is written anew.

use super::packet::Sent;
use super::transmit::{Next, Octets, sent};
use super::{Checksum, Kind, Socket, Stack};
use crate::sockopt::PathMtuDiscovery;
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
}

impl Stack {
    /// A segment of a connection has left, by the head that stands: others may follow with it.
    pub(super) fn couple(&mut self, index: u32, first: &Outgoing, checksum: Checksum, now: Instant) {
        // Several connections have their turns, segment by segment.
        if self.output.len() > 1 || first.gso_size > 0 {
            return;
        }
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index(index) else { return };
        // Each packet that may be cut has a number of its own.
        if tcb.options.path_mtu_discovery == PathMtuDiscovery::Dont {
            return;
        }
        let changes = self.slab.changes();
        self.train = tcb.train_behind(first, now).map(|train| Coupled { train, index, now, changes, checksum });
    }

    /// What leaves next, if it is the next segment of a train; `event` says why it does, when tracing is on.
    pub(super) fn next_of_train(&mut self, now: Instant, event: &mut Option<Sent>) -> Option<Next> {
        let coupled = self.train.take()?;
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
        let seq = tcb.follow(train, &mut context!(self, now))?;
        let (offset, len) = (seq.saturating_since(tcb.data_start()) as usize, train.mss as usize);
        let summed = if checksum == Checksum::Complete { len } else { 0 };
        let text = tcb.send_buffer.slice(offset, summed).pieces();
        let ends = (tcb.quad.local.address, tcb.quad.remote.address);
        tcp::follow(&mut self.head, ends, seq, text, len, checksum);
        if self.config.trace {
            *event = Some(sent(tcb, Reason::Data));
        }
        self.train = Some(Coupled { changes: self.slab.changes(), ..coupled });
        Some(Next { checksum, octets: Octets::Segment(index, offset, len), gso_size: 0 })
    }
}
