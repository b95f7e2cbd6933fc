//! Windowed maxima: over two cycles of probes, and over some round trips.

/// max_bw_filter (§5.5.3): the largest rate of this cycle and of the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaxBandwidth([u64; 2]);

impl MaxBandwidth {
    pub(super) const fn new() -> Self {
        Self([0; 2])
    }

    pub(super) fn get(&self) -> u64 {
        self.0[0].max(self.0[1])
    }

    pub(super) fn update(&mut self, rate: u64) {
        self.0[1] = self.0[1].max(rate);
    }

    /// AdvanceMaxBwFilter() (§5.5.6). A cycle without a sample is none: it would leave a filter with nothing.
    pub(super) const fn advance(&mut self) {
        if self.0[1] > 0 {
            self.0 = [self.0[1], 0];
        }
    }
}

/// ExtraAckedFilterLen, round trips.
pub(super) const ROUNDS: u64 = 10;

/// extra_acked_filter (§5.5.9): the maximum of each of the last round trips.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundsMax {
    each: [u32; ROUNDS as usize],
    round: u64,
}

impl RoundsMax {
    pub(super) const fn new() -> Self {
        Self { each: [0; ROUNDS as usize], round: 0 }
    }

    const fn slot(round: u64) -> usize {
        (round % ROUNDS) as usize
    }

    pub(super) fn update(&mut self, round: u64, value: u32) {
        let passed = round.saturating_sub(self.round).min(ROUNDS);
        for ago in 0..passed {
            self.each[Self::slot(round.saturating_sub(ago))] = 0;
        }
        self.round = round;
        let now = &mut self.each[Self::slot(round)];
        *now = value.max(*now);
    }

    /// The largest of the last `rounds`, this one included; at most [`ROUNDS`].
    pub(super) fn get(&self, rounds: u64) -> u32 {
        let first = (self.round + 1).saturating_sub(rounds.min(ROUNDS));
        (first..=self.round).map(|round| self.each[Self::slot(round)]).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidth_is_remembered_for_two_cycles() {
        let mut f = MaxBandwidth::new();
        f.update(50);
        f.update(40);
        assert_eq!(f.get(), 50);
        f.advance();
        assert_eq!(f.get(), 50);
        f.advance();
        assert_eq!(f.get(), 50, "nothing was measured");
        f.update(30);
        f.advance();
        assert_eq!(f.get(), 30);
    }

    #[test]
    fn aggregation_is_remembered_for_as_many_rounds() {
        let mut f = RoundsMax::new();
        for (round, value) in [(0, 9), (1, 5), (1, 3), (5, 2)] {
            f.update(round, value);
        }
        assert_eq!([1, 4, 5, 6, 10, 99].map(|n| f.get(n)), [2, 2, 5, 9, 9, 9]);
        f.update(9, 1);
        assert_eq!(f.get(10), 9);
        f.update(10, 1);
        assert_eq!(f.get(10), 5, "the first has gone");
        f.update(40, 0);
        assert_eq!(f.get(10), 0);
    }
}
