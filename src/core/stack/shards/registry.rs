//! What all shards of a host must agree on: who has bound which port, which ends are held, and which connections do not
//! live where the hash says.

use alloc::collections::BTreeMap;
use core::fmt;

use smallvec::SmallVec;

use crate::addr::{Address, Endpoint, Quad};
use crate::sockopt::Reuse;
use crate::stack::bound::Holders;
use crate::stack::slab::SocketId;

/// Keeps what shards share from being looked at twice at a time. Stacks know neither threads nor locks: who drives
/// them on several threads gives them this.
pub trait Exclusive: Send + Sync + fmt::Debug {
    /// Calls `look`, exactly once, with nobody else at it. That never comes back here nor waits for a stack, so that a
    /// lock of which no other is taken does.
    fn with(&self, look: &mut dyn FnMut(&mut Registry));
}

/// A TCP socket that stands in the map of bound ports.
#[derive(Clone, Copy, Debug)]
pub(in crate::stack) struct Bound {
    pub(in crate::stack) id: SocketId,
    pub(in crate::stack) address: Address,
    pub(in crate::stack) v6_only: bool,
    pub(in crate::stack) reuse: Reuse,
    pub(in crate::stack) listens: bool,
}

/// What all shards share.
#[derive(Debug, Default)]
pub struct Registry {
    bound: BTreeMap<u16, SmallVec<[Bound; 1]>>,
    holders: Holders,
    /// Where they live, and how often that was said: a connection and what it leaves in TIME-WAIT both say it.
    strays: BTreeMap<Quad, (u16, u32)>,
}

impl Registry {
    /// Enters a bound socket, or how it stands now.
    pub(in crate::stack) fn enter(&mut self, port: u16, bound: Bound) {
        let there = self.bound.entry(port).or_default();
        match there.iter_mut().find(|other| other.id == bound.id) {
            Some(known) => *known = bound,
            None => there.push(bound),
        }
    }

    /// A socket is bound no more.
    pub(in crate::stack) fn leave(&mut self, port: u16, id: SocketId) {
        if let Some(there) = self.bound.get_mut(&port) {
            there.retain(|bound| bound.id != id);
            if there.is_empty() {
                self.bound.remove(&port);
            }
        }
    }

    /// Those bound to a port.
    pub(in crate::stack) fn bound(&self, port: u16) -> &[Bound] {
        self.bound.get(&port).map_or(&[], |there| there.as_slice())
    }

    /// The ends that connections hold at a port.
    pub(in crate::stack) fn held(&self, port: u16) -> impl Iterator<Item = (Address, Reuse)> + '_ {
        self.holders.at(port)
    }

    pub(in crate::stack) fn hold(&mut self, end: Endpoint, reuse: Reuse) {
        self.holders.add(end, reuse);
    }

    pub(in crate::stack) fn release(&mut self, end: Endpoint, reuse: Reuse) {
        self.holders.remove(end, reuse);
    }

    /// Where a connection lives, if that is not where the hash says.
    pub(in crate::stack) fn stray(&self, quad: &Quad) -> Option<u16> {
        self.strays.get(quad).map(|(shard, _)| *shard)
    }

    /// Once more; not where it lives elsewhere, which is said.
    pub(super) fn strays(&mut self, quad: Quad, shard: u16) -> bool {
        let (lives, times) = self.strays.entry(quad).or_insert((shard, 0));
        if *lives == shard {
            *times += 1;
        }
        *lives == shard
    }

    pub(super) fn stray_ends(&mut self, quad: &Quad) {
        if let Some((_, times)) = self.strays.get_mut(quad) {
            *times -= 1;
            if *times == 0 {
                self.strays.remove(quad);
            }
        }
    }
}
