//! Which sockets are bound to which port.

use alloc::collections::BTreeMap;

use smallvec::SmallVec;

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

/// How many hold a port.
#[derive(Debug, Default)]
pub(super) struct PortCount(BTreeMap<u16, u32>);

impl PortCount {
    /// Whether anyone does.
    pub(super) fn is_used(&self, port: u16) -> bool {
        self.0.contains_key(&port)
    }

    /// How many holds there are on all ports.
    #[cfg(test)]
    pub(super) fn total(&self) -> u32 {
        self.0.values().sum()
    }

    /// One more does.
    pub(super) fn add(&mut self, port: u16) {
        *self.0.entry(port).or_insert(0) += 1;
    }

    /// One fewer does.
    pub(super) fn remove(&mut self, port: u16) {
        if let Some(count) = self.0.get_mut(&port) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&port);
            }
        }
    }
}
