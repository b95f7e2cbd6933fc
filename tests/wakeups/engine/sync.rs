//! In place of the engine's: shuttle's.

pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
pub(crate) use shuttle::thread_local;

pub(crate) mod thread {
    use std::time::Duration;

    pub(crate) use shuttle::thread::{Thread, ThreadId, current, panicking, park, yield_now};

    /// Shuttle's would never end by itself. This one ends at once, as a wait may; whoever waits looks at the clock
    /// and, before its time is over, waits again.
    pub(crate) fn park_timeout(_: Duration) {
        shuttle::thread::yield_now();
    }

    /// As above.
    pub(crate) fn sleep(_: Duration) {
        shuttle::thread::yield_now();
    }
}
