//! The congestion window of algorithms that have slow start (RFC 5681 §3.1), and what befalls it between losses.

use super::{Start, initial_window};

/// Segments that a path is thought to bear, whatever a burst of them lost.
const SMALL: u32 = 64;

/// cwnd and ssthresh: all sizes in octets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) cwnd: u32,
    pub(super) ssthresh: u32,
    pub(super) mss: u32,
    initial_segments: u16,
    /// [`Settings::slow_start_limit`](super::Settings::slow_start_limit).
    limit: u8,
    /// [`Settings::abe`](super::Settings::abe).
    pub(super) abe: bool,
}

impl Window {
    pub(super) fn new(start: &Start) -> Self {
        let mss = start.mss.max(1);
        Self {
            cwnd: start.cwnd.max(mss),
            //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
            //= id=rfc5681-3.1-8
            //# The initial value of ssthresh SHOULD be set arbitrarily high
            ssthresh: start.ssthresh.max(mss.saturating_mul(2)),
            mss,
            initial_segments: u16::try_from(start.initial_window_segments).unwrap_or(u16::MAX),
            limit: start.settings.slow_start_limit,
            abe: start.settings.abe,
        }
    }

    pub(super) fn initial(&self) -> u32 {
        initial_window(self.mss, self.initial_segments.into())
    }

    pub(super) const fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// Grows by all that an acknowledgment covers, divided by `divisor`, as far as the threshold. Gives the octets beyond
    /// it, for congestion avoidance to count.
    //= https://www.rfc-editor.org/rfc/rfc9406#section-4.3
    //= id=rfc9406-4.3-4
    //# A paced TCP implementation SHOULD use L = infinity.
    pub(super) fn slow_start(&mut self, acked: u32, after_timeout: bool, divisor: u32) -> u32 {
        //= https://www.rfc-editor.org/rfc/rfc3465#section-2.2
        //= id=rfc3465-2.2-1
        //= https://www.rfc-editor.org/rfc/rfc3465#section-2.3
        //= id=rfc3465-2.3-1
        let counted = match self.limit {
            0 => acked,
            // One acknowledgment may cover what had arrived long before the timeout (RFC 3465 §2.3).
            _ if after_timeout => acked.min(self.mss),
            limit => acked.min(self.mss.saturating_mul(limit.into())),
        };
        let growth = (counted / divisor.max(1)).min(self.ssthresh.saturating_sub(self.cwnd));
        self.cwnd = self.cwnd.saturating_add(growth);
        if self.in_slow_start() { 0 } else { counted.saturating_sub(growth.saturating_mul(divisor.max(1))) }
    }

    /// The restart window RW = min(IW, cwnd) (RFC 5681 §4.1). The threshold remembers what the path bore (RFC 7661
    /// §4.4.3).
    pub(super) fn restart(&mut self) {
        self.remember();
        self.cwnd = self.cwnd.min(self.initial());
    }

    /// What was not used of it for a timeout is halved, down to what was used and the initial window, as in Linux (RFC 2861
    /// §3.2).
    pub(super) fn decay(&mut self, used: u32) {
        let used = used.max(self.initial());
        if used < self.cwnd {
            self.remember();
            self.cwnd -= (self.cwnd - used) / 2;
        }
    }

    fn remember(&mut self) {
        self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
    }

    /// The threshold after congestion at `size` octets, at least two segments.
    pub(super) fn reduce(&mut self, size: u32, factor: Factor) {
        self.ssthresh = factor.of(size).max(self.mss.saturating_mul(2));
    }

    /// What of a window of `cwnd` octets the path bore a round trip before, in a slow start that adds one part in `divisor` of what
    /// is acknowledged; no less than a small window, which may have been lost by leaving at once. Under a limit a window may have
    /// grown by less, as the peer acknowledges (with L = 1 and an ACK of each second segment by a half): it bore more than this.
    /// Who paces needs no limit (RFC 9406 §4.3).
    pub(super) fn borne(&self, cwnd: u32, divisor: u32) -> u32 {
        let divisor = divisor.max(1);
        let floor = self.mss.saturating_mul(SMALL).min(cwnd);
        Factor(divisor, divisor.saturating_add(1)).of(cwnd).max(floor)
    }

    /// Smaller segments: the window shrinks in proportion, so that as many segments as before may be underway
    /// and no burst follows (RFC 5681 §3.1). Larger ones: it stays, but holds at least one. Gives the proportion.
    //= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
    //= id=rfc5681-3.1-6, rfc5681-3.1-7
    pub(super) fn change_mss(&mut self, mss: u32) -> Factor {
        let mss = mss.max(1);
        let factor = Factor(mss.min(self.mss), self.mss);
        self.cwnd = factor.of(self.cwnd).max(mss);
        self.mss = mss;
        factor
    }

    /// As [`Congestion::set_mss`](super::Congestion::set_mss). Gives the proportion.
    pub(super) fn set_mss(&mut self, mss: u32) -> Factor {
        let untouched = self.ssthresh == u32::MAX && self.cwnd == self.initial();
        let factor = self.change_mss(mss);
        if untouched {
            self.cwnd = self.initial();
        }
        factor
    }
}

/// A fraction, at most 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Factor(pub(super) u32, pub(super) u32);

impl Factor {
    pub(super) fn of(self, n: u32) -> u32 {
        let Self(part, whole) = self;
        u32::try_from(u64::from(n) * u64::from(part) / u64::from(whole.max(1))).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::congestion::Settings;

    const MSS: u32 = 1000;

    fn window(limit: u8) -> Window {
        let settings = Settings { slow_start_limit: limit, ..Settings::default() };
        Window::new(&Start::new(MSS, 10, settings))
    }

    //= https://www.rfc-editor.org/rfc/rfc9406#section-4.3
    //= type=test
    //= id=rfc9406-4.3-4
    #[test]
    fn without_a_limit_all_that_an_acknowledgment_covers_counts() {
        let mut w = window(0);
        assert_eq!((w.slow_start(40 * MSS, false, 1), w.cwnd), (0, 50 * MSS));
        assert_eq!((w.slow_start(40 * MSS, true, 1), w.cwnd), (0, 90 * MSS), "after a timeout too");
        assert_eq!((w.slow_start(40 * MSS, false, 4), w.cwnd), (0, 100 * MSS));
        w.ssthresh = 101 * MSS;
        assert_eq!((w.slow_start(3 * MSS, false, 1), w.cwnd), (2 * MSS, 101 * MSS), "the rest is left");
    }

    //= https://www.rfc-editor.org/rfc/rfc3465#section-2.2
    //= type=test
    //= id=rfc3465-2.2-1
    //= https://www.rfc-editor.org/rfc/rfc3465#section-2.3
    //= type=test
    //= id=rfc3465-2.3-1
    #[test]
    fn a_limit_is_that_of_rfc_3465() {
        let mut w = window(2);
        assert_eq!((w.slow_start(40 * MSS, false, 1), w.cwnd), (0, 12 * MSS));
        assert_eq!((w.slow_start(40 * MSS, true, 1), w.cwnd), (0, 13 * MSS), "L = 1 after a timeout");
        assert_eq!((w.slow_start(500, false, 1), w.cwnd), (0, 13_500));
        w.ssthresh = 14 * MSS;
        assert_eq!(
            (w.slow_start(40 * MSS, false, 1), w.cwnd),
            (1500, 14 * MSS),
            "no more than the limit is left"
        );
    }

    #[test]
    fn what_was_not_used_decays_by_halves() {
        let mut w = window(0);
        w.slow_start(70 * MSS, false, 1);
        w.ssthresh = 20 * MSS;
        w.decay(40 * MSS);
        assert_eq!((w.cwnd, w.ssthresh), (60 * MSS, 60 * MSS));
        w.decay(0);
        assert_eq!((w.cwnd, w.ssthresh), (35 * MSS, 60 * MSS), "down to the initial window");
        w.decay(35 * MSS);
        assert_eq!((w.cwnd, w.ssthresh), (35 * MSS, 60 * MSS));
        w.restart();
        assert_eq!((w.cwnd, w.ssthresh), (10 * MSS, 60 * MSS));
        w.ssthresh = 2 * MSS;
        w.cwnd = 3 * MSS;
        w.restart();
        assert_eq!((w.cwnd, w.ssthresh), (3 * MSS, 2250));
    }

    #[test]
    fn fractions_are_exact_and_at_most_one() {
        assert_eq!(Factor(7, 10).of(u32::MAX), 3_006_477_106);
        assert_eq!((Factor(1, 1).of(u32::MAX), Factor(1, 0).of(5), Factor(0, 3).of(9)), (u32::MAX, 5, 0));
    }
}
