//! One who polls, and others who change what it watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::sync::{Condvar, Mutex};
use shuttle::thread::spawn;
use tunstack_core::stack::Readiness;

use super::interest::{Interest, Token};
use super::ready::{Handle, Ready};

const R: Readiness = Readiness::READABLE;

/// In place of the eventfd that ends the sleep in the kernel.
#[derive(Default)]
struct Nudge {
    written: Mutex<bool>,
    change: Condvar,
}

impl Nudge {
    fn write(&self) {
        *self.written.lock().expect("no thread panics with it") = true;
        self.change.notify_one();
    }

    fn wait(&self) {
        let mut written = self.written.lock().expect("no thread panics with it");
        while !std::mem::take(&mut *written) {
            written = self.change.wait(written).expect("no thread panics with it");
        }
    }
}

struct Watched {
    ready: Ready,
    nudge: Nudge,
    /// What there is to read of each source. No matter of scheduling: who is told of a change sees it.
    produced: [AtomicUsize; 2],
}

impl Watched {
    fn new() -> Arc<Self> {
        Arc::new(Self { ready: Ready::new(), nudge: Nudge::default(), produced: Default::default() })
    }

    fn change(&self, handle: Handle, source: usize) {
        self.produced[source].fetch_add(1, Ordering::Relaxed);
        if self.ready.changed(handle, R, R) {
            self.nudge.write();
        }
    }

    /// As `Poll::poll` does it, with room for one event. `careless`: it does not ask whether it may sleep.
    fn poll(&self, careless: bool) -> Token {
        let mut told = Vec::new();
        loop {
            self.ready.take(&mut told, 1);
            if let Some(event) = told.first() {
                return event.token();
            }
            if self.ready.sleep() || careless {
                self.nudge.wait();
                self.ready.awake();
            }
        }
    }
}

fn two_change_while_one_polls(careless: bool) {
    const CHANGES: usize = 3;
    let watched = Watched::new();
    let changing = [0, 1].map(|source| {
        let watched = Arc::clone(&watched);
        let handle = watched.ready.insert(Token(source), Interest::READABLE, None);
        spawn(move || (0..CHANGES).for_each(|_| watched.change(handle, source)))
    });
    // Told of a source it reads all that is there, so the last change of each has to be told.
    let mut seen = [0; 2];
    while seen != [CHANGES; 2] {
        let source = watched.poll(careless).0;
        seen[source] = watched.produced[source].load(Ordering::Relaxed);
    }
    for thread in changing {
        thread.join().expect("a panic has ended the schedule before");
    }
}

/// Two sources change while one polls: whatever the last change of each is, it is told.
pub fn changes_while_one_polls() {
    two_change_while_one_polls(false);
}

/// The same by one who sleeps without asking whether something came meanwhile.
pub fn broken_sleep() {
    two_change_while_one_polls(true);
}

/// Registered anew by another thread while it changes, a source is told under its new name, and the poller wakes.
pub fn modified_while_one_polls() {
    let watched = Watched::new();
    let handle = watched.ready.insert(Token(0), Interest::WRITABLE, None);
    let changing = spawn({
        let watched = Arc::clone(&watched);
        move || watched.change(handle, 0)
    });
    let modifying = spawn({
        let watched = Arc::clone(&watched);
        move || {
            if watched.ready.modify(handle, Token(1), Interest::READABLE) {
                watched.nudge.write();
            }
        }
    });
    assert_eq!(watched.poll(false), Token(1));
    for thread in [changing, modifying] {
        thread.join().expect("a panic has ended the schedule before");
    }
}

/// A registration that has ended is told no more, and takes no other's event with it.
pub fn removed_while_one_polls() {
    let watched = Watched::new();
    let [leaves, stays] = [0, 1].map(|n| watched.ready.insert(Token(n), Interest::READABLE, None));
    let leaving = spawn({
        let watched = Arc::clone(&watched);
        move || {
            watched.change(leaves, 0);
            watched.ready.remove(leaves);
            watched.change(leaves, 0);
            let mut told = Vec::new();
            // As many as there can be: the poller is served again below.
            watched.ready.take(&mut told, 2);
            assert!(told.iter().all(|event| event.token() == Token(1)), "{told:?}");
            if !told.is_empty() {
                watched.change(stays, 1);
            }
        }
    });
    let changing = spawn({
        let watched = Arc::clone(&watched);
        move || watched.change(stays, 1)
    });
    while watched.poll(false) != Token(1) {}
    for thread in [leaving, changing] {
        thread.join().expect("a panic has ended the schedule before");
    }
}

/// A waker that wakes and is dropped at once has woken.
pub fn a_waker_is_dropped_after_the_wake() {
    let watched = Watched::new();
    let waking = spawn({
        let watched = Arc::clone(&watched);
        move || {
            let handle = watched.ready.insert(Token(0), Interest::READABLE, None);
            watched.change(handle, 0);
            watched.ready.end(handle);
        }
    });
    assert_eq!(watched.poll(false), Token(0));
    waking.join().expect("a panic has ended the schedule before");
}
