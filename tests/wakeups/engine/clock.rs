//! Time that goes on by being looked at: a deadline comes after some looks, whatever the scheduler does between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tunstack_core::time::Instant;

use super::sync::thread;

/// As the engine has it.
pub(crate) trait Sleeper: Send + Sync {
    fn is_woken(&self) -> bool;
    fn unpark(&self);
}

/// In place of the engine's. Its own counter is no matter of scheduling.
#[derive(Debug)]
pub(crate) struct Clock(AtomicU64);

/// How far a look moves it.
pub(crate) const LOOK: Duration = Duration::from_micros(1);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn now(&self) -> Instant {
        let looks = self.0.fetch_add(1, Ordering::Relaxed);
        Instant::ZERO + LOOK * u32::try_from(looks).expect("a schedule is not that long")
    }

    pub(crate) fn sleep<S: Sleeper + 'static>(&self, deadline: Option<Instant>, _: &Arc<S>) {
        match deadline {
            None => thread::park(),
            Some(deadline) => thread::park_timeout(deadline.saturating_since(self.now())),
        }
    }

    pub(crate) fn deadline(&self, timeout: Option<Duration>) -> Option<Instant> {
        timeout.map(|t| self.now() + t)
    }
}
