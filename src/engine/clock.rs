//! Real time, as the stack counts it.

use std::time::Duration;

use tunstack_core::time::Instant;

/// The only place that reads a clock. The stack's epoch is the moment this was made.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: std::time::Instant,
}

impl Clock {
    /// A clock that starts at zero.
    pub(crate) fn start() -> Self {
        Self { epoch: std::time::Instant::now() }
    }

    /// The time now. Monotonic: it does not move when somebody sets the host's clock.
    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }

    /// A time as the standard library has it; what was before the stack's epoch is that.
    pub(crate) fn at(&self, when: std::time::Instant) -> Instant {
        Instant::ZERO + when.saturating_duration_since(self.epoch)
    }

    /// When `timeout` from now is over; `None` (never) stays `None`.
    pub(crate) fn deadline(&self, timeout: Option<Duration>) -> Option<Instant> {
        timeout.map(|t| self.now() + t)
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
}
