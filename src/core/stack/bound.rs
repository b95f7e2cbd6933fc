//! Which sockets are bound to which port, and which connections hold one.

use alloc::collections::BTreeMap;

use smallvec::SmallVec;

use crate::addr::{Address, Endpoint};
use crate::sockopt::Reuse;

/// Slots by port, in the order they were bound.
#[derive(Debug, Default)]
pub(super) struct PortMap(BTreeMap<u16, SmallVec<[u32; 2]>>);

impl PortMap {
    /// The slots bound to a port.
    pub(super) fn at(&self, port: u16) -> &[u32] {
        self.0.get(&port).map_or(&[], |slots| slots.as_slice())
    }

    /// Enters a slot.
    pub(super) fn insert(&mut self, port: u16, index: u32) {
        self.0.entry(port).or_default().push(index);
    }

    /// Takes a slot out, if it is there.
    pub(super) fn remove(&mut self, port: u16, index: u32) {
        if let Some(slots) = self.0.get_mut(&port) {
            slots.retain(|&mut i| i != index);
            if slots.is_empty() {
                self.0.remove(&port);
            }
        }
    }
}

/// Who holds a local endpoint by being a connection, or what is left of one.
///
/// Counted by what they allow, so that one look at a port tells whether any of them is in the way, however many
/// there are.
#[derive(Debug, Default)]
pub(super) struct Holders(BTreeMap<(u16, Address, Reuse), u32>);

impl Holders {
    /// Whether anyone holds the port, at whatever address.
    #[cfg(test)]
    pub(super) fn is_used(&self, port: u16) -> bool {
        self.at(port).next().is_some()
    }

    /// The addresses at which a port is held, and what their holders allow.
    pub(super) fn at(&self, port: u16) -> impl Iterator<Item = (Address, Reuse)> + '_ {
        let first = (port, Address::from_octets([0; 16]), Reuse::empty());
        let last = (port, Address::from_octets([0xff; 16]), Reuse::all());
        self.0.range(first..=last).map(|(&(_, address, reuse), _)| (address, reuse))
    }

    /// How many holds there are on all ports.
    #[cfg(test)]
    pub(super) fn total(&self) -> u32 {
        self.0.values().sum()
    }

    /// One more does.
    pub(super) fn add(&mut self, held: Endpoint, reuse: Reuse) {
        *self.0.entry((held.port, held.address, reuse)).or_insert(0) += 1;
    }

    /// One fewer does.
    pub(super) fn remove(&mut self, held: Endpoint, reuse: Reuse) {
        let key = (held.port, held.address, reuse);
        if let Some(count) = self.0.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&key);
            }
        }
    }
}
