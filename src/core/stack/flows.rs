//! What segments from outside came for of late: mostly the next one is for one of these too, and it is what enters the
//! connection table, or leaves it. Found here it needs neither a hash with a secret nor a look into the table.

use alloc::boxed::Box;

use super::Key;
use crate::addr::Quad;

/// A power of two, and few enough to stay in the nearest cache. Peers choose where theirs are, and gain no more by that than
/// that others are looked for in the table.
const PLACES: usize = 64;

/// Where the segments of a quad belong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    pub(super) quad: Quad,
    pub(super) key: Key,
    /// Its slot, if it stands in the table.
    pub(super) index: Option<u32>,
}

/// The last one at each place.
#[derive(Debug)]
pub(super) struct Flows {
    places: Box<[Option<Flow>; PLACES]>,
    /// The place of the last of all.
    last: usize,
}

impl Default for Flows {
    fn default() -> Self {
        Self { places: Box::new([None; PLACES]), last: 0 }
    }
}

impl Flows {
    /// What is known of a quad.
    pub(super) fn get(&mut self, quad: &Quad) -> Option<&mut Flow> {
        known(&mut self.places, quad)
    }

    /// The same where a segment has come for it.
    pub(super) fn find(&mut self, quad: &Quad) -> Option<&mut Flow> {
        known(&mut self.places, quad).inspect(|_| self.last = place(quad))
    }

    /// A segment has come for this one.
    pub(super) fn put(&mut self, flow: Flow) {
        self.last = place(&flow.quad);
        self.places[self.last] = Some(flow);
    }

    /// What a segment came for last.
    pub(super) fn last(&self) -> Option<&Flow> {
        self.places[self.last].as_ref()
    }

    /// All that are known.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.places.iter().flatten()
    }
}

fn known<'a>(places: &'a mut [Option<Flow>; PLACES], quad: &Quad) -> Option<&'a mut Flow> {
    places[place(quad)].as_mut().filter(|flow| flow.quad == *quad)
}

const fn place(quad: &Quad) -> usize {
    (quad.local.port ^ quad.remote.port) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::addr::{Address, Endpoint};
    use crate::stack::table::Table;

    #[test]
    fn who_comes_takes_the_place_of_who_was_there() {
        let table = Table::new([0; 16]);
        let end = |port| Endpoint::new(Address::v4(Ipv4Addr::LOCALHOST), port);
        let quad = |remote| Quad { local: end(80), remote: end(remote) };
        let flow = |quad, index| Flow { quad, key: table.key(&quad), index };
        let (first, second, there) = (quad(1000), quad(1001), quad(1000 + PLACES as u16));
        let mut flows = Flows::default();
        assert!(flows.last().is_none() && flows.find(&first).is_none());
        flows.put(flow(first, Some(1)));
        flows.put(flow(second, None));
        assert_eq!(flows.find(&first).and_then(|flow| flow.index), Some(1));
        assert_eq!(flows.last().map(|flow| flow.quad), Some(first));
        assert!(flows.get(&second).is_some());
        assert_eq!(flows.last().map(|flow| flow.quad), Some(first), "nothing has come for the second");
        flows.put(flow(there, Some(3)));
        assert!(flows.find(&first).is_none());
        assert_eq!((flows.last().map(|flow| flow.index), flows.iter().count()), (Some(Some(3)), 2));
    }
}
