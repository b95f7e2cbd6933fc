//! The reader's watch: told of one time after another, it looks at the last of them and not at one that does not come.

use std::sync::Arc;

use shuttle::thread::{JoinHandle, spawn};

use super::clock::{Clock, LOOK};
use super::sleep::{FAR, Fault, break_it};
use super::watch::Watch;

/// A watch, and the reader that waits for it.
struct Reader {
    watch: Arc<Watch>,
    clock: Arc<Clock>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn new(waits: usize) -> Self {
        break_it(Fault::None);
        let watch = Arc::new(Watch::new().expect("there is nothing to fail"));
        let clock = Arc::new(Clock::start());
        let thread = spawn({
            let (watch, clock) = (Arc::clone(&watch), Arc::clone(&clock));
            move || {
                for wait in 0..waits {
                    let woken = if wait == 0 { watch.wait(&clock) } else { watch.wait_again(&clock) };
                    woken.expect("nothing breaks");
                }
            }
        });
        Self { watch, clock, thread }
    }

    /// It is to look so many looks at the clock from now.
    fn expect(&self, looks: u32) {
        let now = self.clock.now();
        self.watch.expect(now + LOOK * looks, now);
    }

    /// Never, as far as this schedule goes.
    fn put_off(&self) {
        let now = self.clock.now();
        self.watch.expect(now + FAR * 2, now);
    }

    fn looks(self) {
        self.thread.join().expect("a panic has ended the schedule before");
    }
}

/// A time that is sooner than the alarm is set to.
pub fn brought_forward() {
    let reader = Reader::new(1);
    reader.put_off();
    reader.expect(4);
    reader.looks();
}

/// An alarm that rings too soon is set anew by the reader, to what it knows then; and again if that is not the last.
pub fn put_off_and_brought_forward() {
    let reader = Reader::new(1);
    reader.expect(2);
    reader.put_off();
    reader.expect(4);
    reader.looks();
}

/// Somebody has sat meanwhile. Both set the alarm, and what it was set to last is what they take it for.
pub fn brought_forward_after_a_rest() {
    for _ in 0..10 {
        let reader = Reader::new(1);
        reader.expect(2);
        reader.watch.rest();
        reader.put_off();
        reader.watch.rest();
        reader.expect(1);
        reader.looks();
    }
}

/// The reader looks a second time where it could not the first.
pub fn brought_forward_for_who_looks_again() {
    let reader = Reader::new(2);
    reader.expect(0);
    reader.put_off();
    reader.expect(2);
    reader.expect(2);
    reader.looks();
}

/// A call is heard whatever was expected.
pub fn called() {
    let reader = Reader::new(2);
    reader.expect(2);
    reader.put_off();
    reader.watch.call();
    reader.put_off();
    reader.looks();
}
