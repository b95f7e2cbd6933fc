//! A thread that waits.

use std::sync::{Arc, PoisonError, Weak};
use std::task::Wake;

use tunstack_core::time::Instant;

use crate::engine::clock::{Clock, Sleeper};
use crate::engine::sleep::Nudge;
use crate::engine::sync::thread::{self, Thread};
use crate::engine::sync::{AtomicBool, Mutex, Ordering, thread_local};

/// A thread that waits, as a waker.
#[derive(Debug)]
pub(crate) struct Parker {
    thread: Thread,
    woken: AtomicBool,
    /// A call waits.
    waits: AtomicBool,
    /// It sleeps with a device, where it has to be nudged.
    polls: AtomicBool,
    /// By this.
    nudge: Mutex<Weak<Nudge>>,
}

thread_local! {
    static PARKER: Arc<Parker> = Arc::new(Parker::new());
}

impl Parker {
    fn new() -> Self {
        Self {
            thread: thread::current(),
            woken: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            polls: AtomicBool::new(false),
            nudge: Mutex::new(Weak::new()),
        }
    }

    /// This thread's. A wake-up that comes late, from an earlier wait, is one needless look.
    pub(crate) fn current() -> Arc<Self> {
        PARKER.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Self::new()))
    }

    /// Begins a call that may wait, which ends with what this gives. A waker that is woken in such a call may make
    /// another one on the same thread.
    pub(crate) fn begin(&self) -> Call<'_> {
        Call { parker: self, nested: self.waits.swap(true, Ordering::Relaxed) }
    }

    /// Waits for a wake-up; false when `deadline` came first. Whatever else unparks the thread is ignored.
    pub(crate) fn wait(self: &Arc<Self>, clock: &Clock, deadline: Option<Instant>) -> bool {
        loop {
            if self.take() {
                return true;
            }
            if deadline.is_some_and(|deadline| deadline <= clock.now()) {
                return false;
            }
            clock.sleep(deadline, self);
        }
    }

    /// Whether it was woken since it was asked last.
    pub(in crate::engine) fn take(&self) -> bool {
        self.woken.swap(false, Ordering::Acquire)
    }

    /// Where it sleeps from now on when it [`polls`](Self::poll).
    pub(in crate::engine) fn nudged_by(&self, nudge: &Arc<Nudge>) {
        let mut own = self.nudge.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::ptr::eq(own.as_ptr(), Arc::as_ptr(nudge)) {
            *own = Arc::downgrade(nudge);
        }
    }

    /// Until what this gives is dropped a wake-up nudges. `None` if it was woken already.
    pub(in crate::engine) fn poll(&self) -> Option<Polls<'_>> {
        // One total order of this and of what wakes: one of the two sees the other.
        self.polls.store(true, Ordering::SeqCst);
        let polls = Polls(self);
        (!self.woken.load(Ordering::SeqCst)).then_some(polls)
    }
}

/// A thread that sleeps with a device.
#[must_use]
pub(in crate::engine) struct Polls<'a>(&'a Parker);

impl Drop for Polls<'_> {
    fn drop(&mut self) {
        self.0.polls.store(false, Ordering::SeqCst);
    }
}

impl Sleeper for Parker {
    fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    fn unpark(&self) {
        self.thread.unpark();
    }
}

/// A call that may wait.
#[must_use]
pub(crate) struct Call<'a> {
    parker: &'a Parker,
    nested: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.nested {
            // It may have taken the wake-up of the call around it, which looks again.
            self.parker.woken.store(true, Ordering::Relaxed);
        } else {
            self.parker.waits.store(false, Ordering::Relaxed);
        }
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.polls.load(Ordering::SeqCst) {
            self.thread.unpark();
            return;
        }
        // One that is gone has taken its shard with it, and nobody sleeps there.
        let nudge = self.nudge.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let Some(nudge) = nudge {
            nudge.nudge();
        }
    }
}
