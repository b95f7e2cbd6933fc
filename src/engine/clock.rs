//! Time, as the stack counts it: the machine's, or one that a [`Stepper`](super::Stepper) moves.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tunstack_core::time::Instant;

/// A thread that waits for a wake-up.
pub(crate) trait Sleeper: Send + Sync {
    /// Whether it was woken and has not noticed yet.
    fn is_woken(&self) -> bool;

    /// Lets it look again.
    fn unpark(&self);
}

/// The only place that reads a clock. The stack's epoch is the moment this was made.
#[derive(Debug)]
pub(crate) enum Clock {
    /// `start` is the epoch as the kernel's monotonic clock counts it, in nanoseconds.
    Real {
        start: u64,
    },
    Virtual(Virtual),
}

impl Clock {
    /// The machine's, which starts at zero.
    pub(crate) fn start() -> Self {
        Self::Real { start: monotonic() }
    }

    /// One that stands at zero until it is moved.
    pub(crate) fn start_virtual() -> Self {
        Self::Virtual(Virtual::default())
    }

    /// The time now. Monotonic: it does not move when somebody sets the host's clock.
    pub(crate) fn now(&self) -> Instant {
        match self {
            // Each call asks what time it is. By way of std's seconds and nanoseconds that takes twice as long.
            Self::Real { start } => Instant::from_nanos(monotonic().saturating_sub(*start)),
            Self::Virtual(time) => time.now(),
        }
    }

    /// A time as the standard library has it: as far from now as it is by the machine's clock. What is past is now.
    pub(crate) fn at(&self, when: std::time::Instant) -> Instant {
        // Its clock first: what passes between the two makes the time later, never too early.
        let left = when.saturating_duration_since(std::time::Instant::now());
        self.now() + left
    }

    /// When `timeout` from now is over; `None` (never) stays `None`.
    pub(crate) fn deadline(&self, timeout: Option<Duration>) -> Option<Instant> {
        timeout.map(|t| self.now() + t)
    }

    /// Virtual time, if it is.
    pub(crate) fn as_virtual(&self) -> Option<&Virtual> {
        match self {
            Self::Real { .. } => None,
            Self::Virtual(time) => Some(time),
        }
    }

    /// Waits on this thread, which is `sleeper`, until it is unparked or, if `deadline` says so, about then. May end
    /// early.
    pub(crate) fn sleep<S: Sleeper + 'static>(&self, deadline: Option<Instant>, sleeper: &Arc<S>) {
        match self {
            Self::Virtual(time) => time.sleep(deadline, Arc::<S>::clone(sleeper)),
            Self::Real { .. } => match deadline {
                None => thread::park(),
                Some(deadline) => thread::park_timeout(deadline.saturating_since(self.now())),
            },
        }
    }
}

/// The kernel's monotonic clock, in nanoseconds since it began.
fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // Never negative, and 584 years fit.
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// Time that stands still while anybody works, and the threads that wait for it to go on.
#[derive(Default)]
pub(crate) struct Virtual {
    nanos: AtomicU64,
    calls: Mutex<Calls>,
    /// A call began to wait, or ended.
    changed: Condvar,
}

#[derive(Default)]
struct Calls {
    /// Begun and not ended, whether they wait or not.
    running: usize,
    asleep: Vec<(Option<Instant>, Arc<dyn Sleeper>)>,
}

impl Virtual {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.nanos.load(Ordering::Acquire))
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        // Whole between any two statements.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves time, and lets those look again whose time has come. It does not run backwards.
    pub(super) fn advance(&self, to: Instant) {
        self.nanos.fetch_max(to.as_nanos(), Ordering::AcqRel);
        let now = self.now();
        let calls = self.calls();
        calls.asleep.iter().filter(|(deadline, _)| is_due(*deadline, now)).for_each(|(_, s)| s.unpark());
    }

    /// A call begins that may wait: time stands still until it does.
    pub(super) fn begin(&self) {
        self.calls().running += 1;
    }

    /// A call has ended.
    pub(super) fn end(&self) {
        let mut calls = self.calls();
        calls.running = calls.running.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Waits until every call that was begun waits itself or has ended.
    pub(super) fn settle(&self) {
        let mut calls = self.calls();
        loop {
            let now = self.now();
            let waits = |(deadline, s): &&(Option<Instant>, Arc<dyn Sleeper>)| {
                !s.is_woken() && !is_due(*deadline, now)
            };
            if calls.running <= calls.asleep.iter().filter(waits).count() {
                return;
            }
            calls = self.changed.wait(calls).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// When the first of those who wait has waited long enough.
    pub(super) fn next(&self) -> Option<Instant> {
        self.calls().asleep.iter().filter_map(|(deadline, _)| *deadline).min()
    }

    fn sleep(&self, deadline: Option<Instant>, sleeper: Arc<dyn Sleeper>) {
        let entered = Arc::clone(&sleeper);
        self.calls().asleep.push((deadline, entered));
        self.changed.notify_all();
        while !sleeper.is_woken() && !is_due(deadline, self.now()) {
            thread::park();
        }
        self.calls().asleep.retain(|(_, other)| !Arc::ptr_eq(other, &sleeper));
    }
}

fn is_due(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

impl fmt::Debug for Virtual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Virtual").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_run_backwards() {
        let clock = Clock::start();
        let (a, b) = (clock.now(), clock.now());
        assert!(a <= b);
        assert_eq!(clock.deadline(None), None);
        assert!(clock.deadline(Some(Duration::from_secs(5))) >= Some(b + Duration::from_secs(5)));
        assert_eq!(clock.deadline(Some(Duration::MAX)), Some(Instant::FAR_FUTURE), "no overflow");
    }

    #[test]
    fn time_passes_as_it_does_by_the_clock_of_the_standard_library() {
        let clock = Clock::start();
        let outer = clock.now();
        let begin = std::time::Instant::now();
        let inner = clock.now();
        while begin.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        let inner = clock.now().saturating_since(inner);
        let elapsed = begin.elapsed();
        let outer = clock.now().saturating_since(outer);
        assert!(inner <= elapsed && elapsed <= outer, "{inner:?} {elapsed:?} {outer:?}");
    }

    #[test]
    fn times_of_the_standard_library_are_as_far_from_now() {
        let hour = Duration::from_secs(3600);
        for clock in [Clock::start(), Clock::start_virtual()] {
            let (before, begin) = (clock.now(), std::time::Instant::now());
            let (past, future) = (clock.at(begin), clock.at(begin + hour));
            let (after, elapsed) = (clock.now(), begin.elapsed());
            assert!(before <= past && past <= after, "{before:?} {past:?} {after:?}");
            assert!(future <= after + hour, "{future:?} {after:?}");
            assert!(future + elapsed >= before + hour, "{future:?} {elapsed:?} {before:?}");
        }
    }

    #[test]
    fn virtual_time_is_moved_and_never_back() {
        let clock = Clock::start_virtual();
        let time = clock.as_virtual().unwrap();
        assert_eq!(clock.now(), Instant::ZERO);
        let hour = Instant::ZERO + Duration::from_secs(3600);
        time.advance(hour);
        time.advance(Instant::ZERO);
        assert_eq!(clock.now(), hour);
        assert_eq!(clock.deadline(Some(Duration::from_secs(1))), Some(hour + Duration::from_secs(1)));
    }
}
