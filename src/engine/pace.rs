//! How soon callers come back: whether the device may go unread until they do.

use std::time::Duration;

use tunstack_core::time::Instant;

/// The longest that counts as soon, from the end of one call to the beginning of the next.
pub(super) const SOON: Duration = Duration::from_micros(200);

/// How many in a row have to come back soon before that is relied on, at the least and at the most.
const NEEDED: (u32, u32) = (4, 64);

/// One who comes late leaves so much less of those in a row, if that is enough: who came soon for long, and is held up by the
/// scheduler for once, is still expected.
const FORGIVEN: u32 = 4;

/// After so many in a row, earlier disappointments are forgotten.
const FORGOTTEN: u32 = 512;

/// Counts how soon callers came back.
///
/// Between getting what it waited for and the next call that has to wait a program works, and nobody reads. Where that
/// takes long it costs others their answers, so it is done only where it did not until now; and each time it was a
/// mistake, it takes longer until it is done again.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Since when somebody is expected back.
    away: Option<Instant>,
    /// How many came back soon, one after another.
    quick: u32,
    needed: u32,
    /// Who was woken alone, and last.
    alone: Option<usize>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { away: None, quick: 0, needed: NEEDED.0, alone: None }
    }
}

impl Pace {
    /// Whether callers come back soon.
    pub(super) fn is_quick(&self) -> bool {
        self.quick >= self.needed
    }

    /// A thread has what it waited for.
    pub(super) fn went(&mut self, now: Instant) {
        self.away.get_or_insert(now);
    }

    /// As [`went`](Self::went), of one who was there until now.
    pub(super) fn left(&mut self, now: Instant) {
        self.away = Some(now);
    }

    /// A thread has to wait.
    pub(super) fn came(&mut self, now: Instant) {
        let Some(away) = self.away.take() else { return };
        if now > away + SOON {
            let forgiven = self.quick >= self.needed.saturating_mul(FORGIVEN);
            self.quick = if forgiven { self.quick / FORGIVEN } else { 0 };
            return;
        }
        self.quick = (self.quick + 1).min(FORGOTTEN);
        if self.quick == FORGOTTEN {
            self.needed = NEEDED.0;
        }
    }

    /// Nobody came back while that was relied on.
    pub(super) fn failed(&mut self) {
        if self.is_quick() {
            self.needed = (self.needed * 2).min(NEEDED.1);
        }
        self.quick = 0;
        self.away = None;
    }

    /// A batch woke one thread and nobody else, or several. Says whether the one does better to sit itself: it has
    /// been woken alone before, and those who come back do so soon.
    pub(super) fn woke(&mut self, thread: Option<usize>) -> bool {
        let again = thread.is_some() && thread == self.alone;
        self.alone = thread;
        again && self.is_quick()
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    const fn at(micros: u64) -> Instant {
        Instant::from_nanos(micros * 1000)
    }

    /// Somebody is away for so many microseconds.
    fn away(pace: &mut Pace, micros: u64) {
        pace.went(at(0));
        pace.came(at(micros));
    }

    #[test]
    fn some_in_a_row_have_to_come_back_soon() {
        let mut pace = Pace::default();
        for _ in 0..3 {
            away(&mut pace, 200);
            assert!(!pace.is_quick());
        }
        away(&mut pace, 201);
        (0..3).for_each(|_| away(&mut pace, 0));
        assert!(!pace.is_quick());
        away(&mut pace, 0);
        assert!(pace.is_quick());
        away(&mut pace, 201);
        assert!(!pace.is_quick());
    }

    #[test]
    fn each_disappointment_asks_for_more_until_it_is_forgotten() {
        let mut pace = Pace::default();
        for needed in [4, 8, 16, 32, 64, 64] {
            (1..needed).for_each(|_| away(&mut pace, 1));
            assert!(!pace.is_quick(), "{needed}");
            away(&mut pace, 1);
            assert!(pace.is_quick(), "{needed}");
            pace.failed();
            assert!(!pace.is_quick());
        }
        pace.failed();
        (0..512).for_each(|_| away(&mut pace, 1));
        away(&mut pace, 300);
        (0..4).for_each(|_| away(&mut pace, 1));
        assert!(pace.is_quick());
    }

    /// What held up one who came soon for long was not its own doing.
    #[test]
    fn one_who_came_soon_for_long_may_be_late_for_once() {
        let mut pace = Pace::default();
        (0..1000).for_each(|_| away(&mut pace, 1));
        for _ in 0..3 {
            away(&mut pace, 300);
            assert!(pace.is_quick());
        }
        away(&mut pace, 300);
        assert!(!pace.is_quick());
    }

    #[test]
    fn one_who_is_late_every_fourth_time_is_not_relied_on() {
        let mut pace = Pace::default();
        (0..4).for_each(|_| away(&mut pace, 1));
        away(&mut pace, 300);
        for _ in 0..100 {
            (0..3).for_each(|_| away(&mut pace, 1));
            assert!(!pace.is_quick());
            away(&mut pace, 300);
        }
    }

    #[test]
    fn the_first_who_went_counts_and_who_never_went_does_not() {
        let mut pace = Pace::default();
        (0..9).for_each(|n| pace.came(at(n)));
        assert!(!pace.is_quick());
        (0..4).for_each(|_| away(&mut pace, 1));
        assert!(pace.is_quick());
        pace.went(at(0));
        pace.went(at(210));
        pace.came(at(211));
        assert!(!pace.is_quick());
    }

    #[test]
    fn one_who_is_woken_alone_twice_does_better_to_sit() {
        let mut pace = Pace::default();
        assert!(!pace.woke(Some(1)) && !pace.woke(Some(1)), "it may not come back soon");
        (0..4).for_each(|_| away(&mut pace, 1));
        assert!(pace.woke(Some(1)));
        assert!(!pace.woke(Some(2)) && !pace.woke(Some(1)) && !pace.woke(None) && !pace.woke(None));
        assert!(!pace.woke(Some(1)) && pace.woke(Some(1)));
    }
}
