//! Ephemeral ports (RFC 6056).

/// Chooses ephemeral ports by simple hash-based selection (RFC 6056 §3.3.3, Algorithm 3): to one peer they follow
/// one another, so that a port is used again as late as can be; to different peers they begin at unrelated places.
#[derive(Clone, Debug)]
pub struct Ephemeral {
    min: u16,
    count: u32,
    /// `next_ephemeral` of the RFC, below `count`.
    next: u32,
}

impl Ephemeral {
    /// Ports from the first to the last of `range`, both included, in either order. Port 0 is left out.
    pub fn new(range: (u16, u16)) -> Self {
        let min = range.0.min(range.1).max(1);
        let max = range.0.max(range.1).max(1);
        Self { min, count: u32::from(max - min) + 1, next: 0 }
    }

    /// Begins at a place of its own, to be drawn at random, so that nothing shows how many ports were chosen.
    #[must_use]
    pub fn starting_at(mut self, next: u32) -> Self {
        self.next = next % self.count;
        self
    }

    /// The next port that is not in use, or `None` when all are; each is asked for once. `offset` is F of the
    /// RFC: see [`Keys::port_offset`](crate::tcp::isn::Keys::port_offset).
    pub fn choose(&mut self, offset: u32, mut in_use: impl FnMut(u16) -> bool) -> Option<u16> {
        for _ in 0..self.count {
            let at = (self.next + offset % self.count) % self.count;
            self.next = (self.next + 1) % self.count;
            let port = self.min + at as u16;
            if !in_use(port) {
                return Some(port);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn ports_to_one_peer_follow_one_another() {
        let mut e = Ephemeral::new((1000, 1003)).starting_at(6);
        let ports: Vec<_> = (0..5).map(|_| e.choose(5, |_| false).unwrap()).collect();
        assert_eq!(ports, [1003, 1000, 1001, 1002, 1003]);
    }

    #[test]
    fn every_port_is_asked_for_once_and_the_free_one_found() {
        for offset in [0, 77, u32::MAX] {
            let mut e = Ephemeral::new((32_768, 60_999)).starting_at(u32::MAX);
            let mut asked = Vec::new();
            assert_eq!(
                e.choose(offset, |p| {
                    asked.push(p);
                    true
                }),
                None
            );
            asked.sort_unstable();
            assert!(asked.into_iter().eq(32_768..=60_999));
            assert_eq!(e.choose(offset, |p| p != 40_000), Some(40_000));
        }
    }

    #[test]
    fn odd_ranges() {
        assert_eq!(Ephemeral::new((0, 0)).choose(9, |_| false), Some(1));
        assert_eq!(Ephemeral::new((7, 7)).choose(9, |_| false), Some(7));
        let mut all = Ephemeral::new((65_535, 0));
        let mut ports: Vec<_> = (0..65_535).map(|_| all.choose(u32::MAX, |_| false).unwrap()).collect();
        ports.sort_unstable();
        assert!(ports.into_iter().eq(1..=65_535));
    }
}
