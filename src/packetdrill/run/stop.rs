//! Why a run ends before its script does.

use super::{Failure, Verdict};
use crate::packetdrill::call::CallError;
use crate::packetdrill::script::Span;

/// Why.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Stop {
    /// Something is not as the script says.
    Failed(Box<Failure>),
    /// It cannot be judged.
    Skipped(String),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

impl From<Box<Failure>> for Stop {
    fn from(failure: Box<Failure>) -> Self {
        Self::Failed(failure)
    }
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Failure(failure) => Self::Failed(failure),
            CallError::Unsupported(_) => Self::Skipped(error.to_string()),
        }
    }
}

impl From<Stop> for Verdict {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(failure) => Self::Failed(*failure),
            Stop::Skipped(why) => Self::Skipped(why),
        }
    }
}

/// A failure at `span`.
pub(super) fn fail<T>(span: Span, what: impl Into<String>) -> Result<T, Stop> {
    Err(Failure::new(span, what).into())
}
