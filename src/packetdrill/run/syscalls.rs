//! System calls: those that do not wait on the thread of the script, one that does beside it.

use std::time::Duration;

use super::Failure;
use super::events::Run;
use super::stop::{Stop, fail};
use super::time::{Due, seconds};
use super::under_way::UnderWay;
use super::worker::{Progress, Worker};
use crate::core::time::Instant;
use crate::packetdrill::call::{CallError, Done, Effect, Prepared};
use crate::packetdrill::script::{Event, Syscall};

/// How long a call that waits is waited for where the script needs its end.
const PATIENCE: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// A call that does not wait.
    pub(super) fn call(&mut self, call: &Syscall) -> Result<(), Stop> {
        let prepared = self.prepare(call)?;
        let done = prepared.run(&self.sockets);
        let checked = self.check(call, done);
        self.settled()?;
        checked
    }

    fn prepare(&mut self, call: &Syscall) -> Result<Prepared, Stop> {
        let prepared = self.calls.prepare(call)?;
        for effect in prepared.before() {
            self.learn(call, effect)?;
        }
        Ok(prepared)
    }

    fn check(&mut self, call: &Syscall, done: Done) -> Result<(), Stop> {
        match self.calls.check(call, done) {
            Ok(effects) => effects.iter().try_for_each(|effect| self.learn(call, effect)),
            Err(CallError::Failure(failure)) if self.net.non_fatal.syscall => {
                self.note(format!("--non_fatal=syscall: {failure}"));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a call means for the packets that follow.
    fn learn(&mut self, call: &Syscall, effect: &Effect) -> Result<(), Stop> {
        effect.learn(&mut self.flows).or_else(|what| fail(call.span, what))
    }

    /// A call that waits begins at its time.
    pub(super) fn begin_call(&mut self, event: &Event, call: &Syscall, due: Due) -> Result<(), Stop> {
        self.await_call()?;
        self.wait(event.span, due)?;
        let prepared = self.prepare(call)?;
        let end = due.base.saturating_add(call.end.unwrap_or_default());
        let ends = Due { start: end, end, any: false, base: due.base, since: Some(due.start) };
        let latest = end.saturating_add(self.net.tolerance_after(ends.gap()));
        let sockets = self.sockets.clone();
        let worker = Worker::begin(&self.stepper, move || prepared.run(&sockets));
        let worker = worker.or_else(|error| fail(event.span, format!("no thread for the call: {error}")))?;
        self.under_way = Some(UnderWay { worker, due: ends, latest, call: call.clone() });
        self.settled()
    }

    /// Waits for the end of the call that waits, if there is one.
    pub(super) fn await_call(&mut self) -> Result<(), Stop> {
        let limit = self.now().saturating_add(PATIENCE);
        while self.under_way.is_some() && self.now() < limit {
            self.advance(limit)?;
        }
        match &self.under_way {
            None => Ok(()),
            Some(call) => fail(
                call.call.span,
                format!("the call still waits, {} s after the event before", seconds(PATIENCE)),
            ),
        }
    }

    /// Whether the call that waits is done, and as it should be; or late.
    pub(super) fn look_at_call(&mut self) -> Result<(), Stop> {
        let Some(call) = self.under_way.take() else { return Ok(()) };
        match call.worker.progress() {
            Progress::Waits if self.now() > call.latest => {
                let mut failure = Failure::new(call.call.span, "the call still waits");
                let row = ("end".to_owned(), format!("{} s", seconds(call.due.start)), "later".to_owned());
                failure.differences.push(row);
                self.under_way = Some(call);
                Err(failure.into())
            }
            Progress::Waits => {
                self.under_way = Some(call);
                Ok(())
            }
            Progress::Panicked => fail(call.call.span, "the call panicked"),
            Progress::Done(done, when) => {
                call.worker.join();
                self.check(&call.call, done)?;
                let when = when.saturating_since(Instant::ZERO);
                call.due.check(when, &self.net).map_err(|(expected, actual)| {
                    let mut failure = Failure::new(call.call.span, "the call returned at the wrong time");
                    failure.differences.push(("end".to_owned(), expected, actual));
                    failure.into()
                })
            }
        }
    }
}
