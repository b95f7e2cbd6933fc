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
