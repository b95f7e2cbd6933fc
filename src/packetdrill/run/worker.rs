//! The call that waits: on a thread of its own, in virtual time.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::{self, JoinHandle};

use crate::core::time::Instant;
use crate::engine::{Calls, Stepper};

/// A call under way.
#[derive(Debug)]
pub(super) struct Worker<T> {
    result: Receiver<(T, Instant)>,
    thread: JoinHandle<()>,
}

/// What has become of it.
#[derive(Debug)]
pub(super) enum Progress<T> {
    /// It waits.
    Waits,
    /// It is done: what it gave, and when.
    Done(T, Instant),
    /// Its thread panicked.
    Panicked,
}

/// Lets time go on, however the call ends.
struct Ends(Calls);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T: Send + 'static> Worker<T> {
    /// Begins the call, and comes back when it waits or is done.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(super) fn begin(
        stepper: &Stepper,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        let calls = stepper.calls();
        let (done, result) = channel();
        calls.begin();
        let ends = Ends(calls.clone());
        let thread = thread::Builder::new().name("packetdrill-call".into()).spawn(move || {
            let _ends = ends;
            // Dropped before time goes on, so that a panic shows as soon as it does.
            let done = done;
            let value = call();
            // Nobody asks any more after a script that failed.
            drop(done.send((value, calls.now())));
        })?;
        stepper.settle();
        Ok(Self { result, thread })
    }

    /// Looks at it.
    pub(super) fn progress(&self) -> Progress<T> {
        match self.result.try_recv() {
            Ok((value, when)) => Progress::Done(value, when),
            Err(TryRecvError::Empty) => Progress::Waits,
            Err(TryRecvError::Disconnected) => Progress::Panicked,
        }
    }

    /// Waits for its thread. The call must be done, or the stepper dropped, which ends it.
    pub(super) fn join(self) {
        // A panic has been seen by `progress`, or concerns nobody any more.
        drop(self.thread.join());
    }
}

#[cfg(test)]
mod tests;
