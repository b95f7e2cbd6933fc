//! When the reader looks whether others read: an alarm that it puts off without the shard's lock.
//!
//! Who leaves the seat, or has something done in time, says when the reader is to look. While programs call again and
//! again that is always a little later, and a reader that took the lock to find out would have them queue for it.

use std::io;
use std::time::Duration;

use tunstack_core::time::Instant;

use super::clock::Clock;
use super::sleep::Alarm;
use super::sync::{AtomicBool, AtomicU64, Ordering, thread};

/// The reader's watch.
///
/// Those who set it do so under the shard's lock, so that there is one of them at a time beside the reader. Each of the
/// two writes its own word before it reads the other's: whoever comes second sees that the alarm has to be set anew.
#[derive(Debug)]
pub(super) struct Watch {
    alarm: Alarm,
    /// When the reader is to look, in nanoseconds.
    due: AtomicU64,
    /// When the alarm rings.
    set: AtomicU64,
    /// Somebody wants the reader now and for good.
    called: AtomicBool,
}

/// How long the reader leaves a lock alone that others have: about what one of them takes to send a burst.
const AGAIN: Duration = Duration::from_micros(100);

/// No time.
const NEVER: u64 = Instant::FAR_FUTURE.as_nanos();

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        let never = || AtomicU64::new(NEVER);
        Ok(Self { alarm: Alarm::new()?, due: never(), set: never(), called: AtomicBool::new(false) })
    }

    /// The reader is to look at `due`. Costs no wake-up of anybody until then.
    pub(super) fn expect(&self, due: Instant, now: Instant) {
        // Mostly nothing has changed. The reader that is about to look reads this word after it has written its own: where
        // that still stands, it will see the same.
        let known = self.due.load(Ordering::SeqCst) == due.as_nanos();
        if known && self.set.load(Ordering::SeqCst) <= due.as_nanos() {
            return;
        }
        self.due.store(due.as_nanos(), Ordering::SeqCst);
        let set = Instant::from_nanos(self.set.load(Ordering::SeqCst));
        let time = due.saturating_since(now);
        // It would ring for nothing, and a thread that wakes for nothing drives others off its processor. To set it anew
        // costs less, now and then.
        let soon = due < Instant::FAR_FUTURE && set.saturating_since(now) < time / 2;
        if due < set || soon && !self.called.load(Ordering::SeqCst) {
            // The reader may set it in between the two steps of this: then it rings by this, and is taken to ring by that.
            loop {
                self.set(due.as_nanos(), time);
                if self.set.load(Ordering::SeqCst) == due.as_nanos() {
                    break;
                }
            }
        }
    }

    /// It need not: somebody sits.
    pub(super) fn rest(&self) {
        self.due.store(NEVER, Ordering::SeqCst);
    }

    /// It is to look at once, and whenever it waits from now on.
    pub(super) fn call(&self) {
        self.called.store(true, Ordering::SeqCst);
        self.set(0, Duration::ZERO);
    }

    /// The reader's wait until it is to look.
    pub(super) fn wait(&self, clock: &Clock) -> io::Result<()> {
        while !self.called.load(Ordering::SeqCst) {
            self.alarm.wait()?;
            if self.is_due(clock) {
                break;
            }
        }
        Ok(())
    }

    /// The same a little later, where it could not look when it was to: it may have been told another time until then.
    pub(super) fn wait_again(&self, clock: &Clock) -> io::Result<()> {
        // Not by the alarm: that is for those with the lock to set.
        thread::sleep(AGAIN);
        if self.called.load(Ordering::SeqCst) || self.is_due(clock) { Ok(()) } else { self.wait(clock) }
    }

    /// Whether it is to look now. If not, the alarm is set.
    fn is_due(&self, clock: &Clock) -> bool {
        loop {
            // Whatever the alarm was set to: who says when from now on sets it.
            self.set.store(NEVER, Ordering::SeqCst);
            let due = self.due.load(Ordering::SeqCst);
            let now = clock.now();
            if due <= now.as_nanos() {
                return true;
            }
            if due == NEVER {
                return false;
            }
            self.set(due, Instant::from_nanos(due).saturating_since(now));
            // Somebody may have set it meanwhile, and this have come after.
            if self.due.load(Ordering::SeqCst) >= due && self.set.load(Ordering::SeqCst) == due {
                return false;
            }
        }
    }

    /// Whether it was called.
    #[cfg(all(test, not(shuttle)))]
    pub(super) fn is_called(&self) -> bool {
        self.called.load(Ordering::SeqCst)
    }

    /// When the reader is to look.
    #[cfg(test)]
    pub(super) fn due(&self) -> Instant {
        Instant::from_nanos(self.due.load(Ordering::SeqCst))
    }

    fn set(&self, at: u64, time: Duration) {
        self.set.store(at, Ordering::SeqCst);
        self.alarm.set(time);
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_is_put_off_is_waited_for() {
        let (watch, clock) = (Watch::new().unwrap(), Clock::start());
        let now = clock.now();
        watch.expect(now + MS, now);
        watch.expect(now + 5 * MS, now);
        watch.wait(&clock).unwrap();
        assert!(clock.now() >= now + 5 * MS);
        assert_eq!(watch.set.load(Ordering::SeqCst), NEVER, "nothing rings any more");
    }

    /// Who comes back again and again never lets it ring, and seldom sets it.
    #[test]
    fn what_is_put_off_for_long_is_set_anew_before_it_rings() {
        let (watch, clock) = (Watch::new().unwrap(), Clock::start());
        let (begin, hour) = (clock.now(), 3600 * 1000 * MS);
        let mut set = Vec::new();
        for n in 0..20 {
            let now = begin + n * hour / 4;
            watch.expect(now + hour, now);
            set.push((watch.set.load(Ordering::SeqCst) - begin.as_nanos()) / (hour / 4).as_nanos() as u64);
        }
        assert_eq!(set[..9], [4, 4, 4, 7, 7, 7, 10, 10, 10]);
        assert_eq!(set.last(), Some(&22));
        watch.expect(Instant::FAR_FUTURE, begin + 5 * hour);
        assert_eq!(
            watch.set.load(Ordering::SeqCst),
            (begin + 22 * (hour / 4)).as_nanos(),
            "for nobody it may ring"
        );
    }

    #[test]
    fn what_is_to_be_sooner_sets_the_alarm_anew() {
        let (watch, clock) = (Watch::new().unwrap(), Clock::start());
        let now = clock.now();
        watch.expect(now + 3600 * 1000 * MS, now);
        watch.expect(now + MS, now);
        watch.wait(&clock).unwrap();
        assert!(clock.now() >= now + MS);
    }

    /// It looks again by itself, but not before a time that it is told meanwhile.
    #[test]
    fn who_looks_again_hears_of_another_time() {
        let (watch, clock) = (Watch::new().unwrap(), Clock::start());
        let now = clock.now();
        watch.expect(now, now);
        watch.wait(&clock).unwrap();
        watch.wait_again(&clock).unwrap();
        assert!(clock.now() >= now + AGAIN);
        watch.expect(now + 5 * MS, clock.now());
        watch.wait_again(&clock).unwrap();
        assert!(clock.now() >= now + 5 * MS);
        watch.call();
        watch.rest();
        watch.wait_again(&clock).unwrap();
    }

    /// Who sits needs no reader, and who leaves says when.
    #[test]
    fn at_rest_it_waits_for_who_leaves() {
        let (watch, clock) = (Watch::new().unwrap(), Clock::start());
        watch.expect(clock.now() + MS, clock.now());
        watch.rest();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| watch.wait(&clock));
            // The alarm of before has rung.
            while watch.set.load(Ordering::SeqCst) != NEVER {
                std::thread::yield_now();
            }
            assert!(!reader.is_finished());
            watch.expect(clock.now(), clock.now());
            reader.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_call_is_for_good() {
        let (watch, clock) = (Watch::new().unwrap(), Clock::start());
        watch.call();
        watch.rest();
        (0..3).for_each(|_| watch.wait(&clock).unwrap());
    }
}
