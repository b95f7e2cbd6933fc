//! Those who wait for one socket: mostly nobody or one, who has his place in the table itself.
//!
//! Of a crowd each connection has an observer. An allocation for each would be one of so few octets that glibc's allocator puts
//! it aside when it is freed, to join all of these in one call later: a million of them keep a packet waiting for 50 ms. And
//! kept with its slot it would lie between other memory and keep that from being joined when it is freed.

use super::entry::Entry;

/// Entries in the order in which they came.
#[derive(Default)]
pub(super) enum Entries {
    #[default]
    None,
    One(Entry),
    /// There have been two at a time. They have room until all are let go: where two tasks wait for one socket one of them
    /// comes and goes with each octet.
    Several(Vec<Entry>),
}

impl Entries {
    pub(super) const fn as_slice(&self) -> &[Entry] {
        match self {
            Self::None => &[],
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Several(entries) => entries.as_slice(),
        }
    }

    pub(super) const fn as_mut_slice(&mut self) -> &mut [Entry] {
        match self {
            Self::None => &mut [],
            Self::One(entry) => std::slice::from_mut(entry),
            Self::Several(entries) => entries.as_mut_slice(),
        }
    }

    pub(super) fn push(&mut self, entry: Entry) {
        if let Self::Several(entries) = self {
            return entries.push(entry);
        }
        *self = match self.take_one() {
            None => Self::One(entry),
            Some(first) => {
                let mut entries = Vec::with_capacity(4);
                entries.extend([first, entry]);
                Self::Several(entries)
            }
        };
    }

    /// Takes out the one at a place.
    pub(super) fn remove(&mut self, at: usize) -> Option<Entry> {
        match self {
            Self::Several(entries) => (at < entries.len()).then(|| entries.remove(at)),
            Self::One(_) if at == 0 => self.take_one(),
            Self::None | Self::One(_) => None,
        }
    }

    /// Takes out all that are to be.
    pub(super) fn take_if(&mut self, mut which: impl FnMut(&Entry) -> bool, taken: impl FnMut(Entry)) {
        match self {
            Self::None => {}
            Self::One(entry) => {
                if which(entry) {
                    self.take_one().into_iter().for_each(taken);
                }
            }
            Self::Several(entries) => entries.extract_if(.., |entry| which(entry)).for_each(taken),
        }
    }

    /// Lets all go, and the room that they had.
    pub(super) fn take_all(&mut self, mut taken: impl FnMut(Entry)) {
        match std::mem::take(self) {
            Self::None => {}
            Self::One(entry) => taken(entry),
            Self::Several(entries) => entries.into_iter().for_each(taken),
        }
    }

    fn take_one(&mut self) -> Option<Entry> {
        match std::mem::take(self) {
            Self::One(entry) => Some(entry),
            Self::None | Self::Several(_) => None,
        }
    }
}
