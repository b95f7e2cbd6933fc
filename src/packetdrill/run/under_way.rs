//! The call that waits while the script goes on.

use std::time::Duration;

use super::time::Due;
use super::worker::Worker;
use crate::packetdrill::call::Done;
use crate::packetdrill::script::Syscall;

/// A call that waits.
pub(super) struct UnderWay {
    pub(super) worker: Worker<Done>,
    /// When it is to return.
    pub(super) due: Due,
    /// The last moment that is still in time.
    pub(super) latest: Duration,
    /// The call.
    pub(super) call: Syscall,
}

impl UnderWay {
    /// When it is too late, the first moment.
    pub(super) fn latest(&self) -> Duration {
        self.latest.saturating_add(Duration::from_nanos(1))
    }

    /// Waits for its thread, the stepper being gone.
    pub(super) fn end(self) {
        self.worker.join();
    }
}
