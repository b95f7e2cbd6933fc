//! Small values by the million, in pages: each is freed where it lies, and a page when it is empty.
//!
//! An allocation for each would cost an allocator's head and its rounding up; and the one of glibc puts such small memory
//! aside when it is freed, to join a million pieces of it in one call later, of which a packet waits for 20 ms.
//!
//! A page stays for one value that is left in it. At worst that is all the memory that the values came to when there were
//! most of them, 64 octets each, and it is used for new ones first. What lives here are records of TIME-WAIT, which go by
//! themselves 2 MSL after they came: so long after a crowd has left at the latest no page of it is there. Only a peer that
//! sends its FIN again has a record begin anew, 64 times at the most. The books of [`memory`](crate::memory) know of each
//! record as long as it lives, and not of pages: what is kept for those that are gone is less than half of what they were
//! booked with.

use alloc::vec::Vec;

/// How many values a page has: a bit of a word for each.
const PAGE: usize = 64;

/// Values in pages.
#[derive(Debug)]
pub(super) struct Pages<T> {
    pages: Vec<Page<T>>,
    /// The pages with room. The last one is used first.
    open: Vec<u32>,
    len: u32,
}

#[derive(Debug)]
struct Page<T> {
    /// A bit for each place that has a value.
    used: u64,
    places: Vec<T>,
}

impl<T: Copy> Pages<T> {
    /// Empty, without an allocation.
    pub(super) const fn new() -> Self {
        Self { pages: Vec::new(), open: Vec::new(), len: 0 }
    }

    /// How many values there are.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// Keeps a value and says where.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let number = self.open.last().copied().unwrap_or_else(|| {
            let number = self.pages.len() as u32;
            self.pages.push(Page { used: 0, places: Vec::new() });
            self.open.push(number);
            number
        });
        let page = &mut self.pages[number as usize];
        let place = page.used.trailing_ones() as usize;
        match page.places.get_mut(place) {
            Some(old) => *old = value,
            None => page.places.push(value),
        }
        page.used |= 1 << place;
        if page.used == u64::MAX {
            self.open.pop();
        }
        self.len += 1;
        number * PAGE as u32 + place as u32
    }

    /// The value at a place.
    pub(super) fn get(&self, at: u32) -> Option<&T> {
        let (number, place) = split(at);
        let page = self.pages.get(number)?;
        if page.used & 1 << place == 0 { None } else { page.places.get(place) }
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        let (number, place) = split(at);
        let page = self.pages.get_mut(number)?;
        if page.used & 1 << place == 0 { None } else { page.places.get_mut(place) }
    }

    /// Takes out the value at a place.
    pub(super) fn remove(&mut self, at: u32) -> Option<T> {
        let value = *self.get(at)?;
        let (number, place) = split(at);
        let page = self.pages.get_mut(number)?;
        if page.used == u64::MAX {
            self.open.push(number as u32);
        }
        page.used &= !(1 << place);
        // The first page stays: where values come and go one at a time, nothing is allocated.
        if page.used == 0 && number > 0 {
            page.places = Vec::new();
        }
        self.len -= 1;
        Some(value)
    }
}

const fn split(at: u32) -> (usize, usize) {
    (at as usize / PAGE, at as usize % PAGE)
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn memory(pages: &Pages<u64>) -> usize {
        pages.pages.iter().map(|page| page.places.capacity()).sum()
    }

    #[test]
    fn a_page_that_is_empty_holds_no_memory() {
        let mut pages = Pages::new();
        let at: Vec<u32> = (0..1000).map(|n| pages.insert(n)).collect();
        assert_eq!((pages.len(), memory(&pages)), (1000, 1000usize.next_multiple_of(PAGE)));
        for (n, at) in at.iter().enumerate() {
            assert_eq!(pages.remove(*at), Some(n as u64));
            assert_eq!(pages.remove(*at), None);
        }
        assert_eq!((pages.len(), memory(&pages)), (0, PAGE));
    }

    /// No page is added while there is room, whichever values go.
    #[test]
    fn room_is_used_again() {
        let mut pages = Pages::new();
        let at: Vec<u32> = (0..1000).map(|n| pages.insert(n)).collect();
        let count = pages.pages.len();
        for round in 0..50 {
            at.iter().skip(round % 7).step_by(7).for_each(|at| assert!(pages.remove(*at).is_some()));
            while pages.len() < 1000 {
                pages.insert(0);
            }
            assert_eq!(pages.pages.len(), count);
        }
    }

    proptest! {
        #[test]
        fn it_has_what_was_put_there(ops in proptest::collection::vec((0..3u8, any::<u16>()), 0..2000)) {
            let mut pages = Pages::new();
            let mut model = BTreeMap::new();
            for (op, n) in ops {
                // Twice as often in as out, so that there are several pages.
                if op < 2 {
                    prop_assert_eq!(model.insert(pages.insert(n), n), None);
                } else if let Some((&at, _)) = model.range(u32::from(n) % 300..).next() {
                    *pages.get_mut(at).unwrap() = n;
                    prop_assert_eq!(pages.remove(at), Some(n));
                    model.remove(&at);
                }
                prop_assert_eq!(pages.len() as usize, model.len());
            }
            for at in 0..1500 {
                prop_assert_eq!(pages.get(at), model.get(&at));
            }
        }
    }
}
