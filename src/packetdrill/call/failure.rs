//! Words for what is not as the script says.

use super::super::outcome::Failure;
use super::super::script::{Span, Syscall};
use super::super::symbols;
use super::CallError;
use crate::bsd::Errno;

/// The script is wrong: it says what cannot be.
pub(super) fn of_script(span: Span, what: String) -> CallError {
    Failure::new(span, what).into()
}

/// What the stack gave is not what the script says; `field` names what of the call is meant.
pub(super) fn differs(
    call: &Syscall,
    span: Span,
    field: &str,
    expected: impl Into<String>,
    actual: impl Into<String>,
) -> CallError {
    let (expected, actual) = (expected.into(), actual.into());
    let of = if field == "result" { String::new() } else { format!(" {field}") };
    CallError::from(Failure {
        expected: Some(expected.clone()),
        actual: Some(actual.clone()),
        differences: vec![(field.to_owned(), expected.clone(), actual.clone())],
        ..Failure::new(span, format!("{}{of}: expected {expected}, got {actual}", call.name))
    })
}

/// An error by its name.
pub(super) fn plain(errno: Errno) -> String {
    let number = errno.raw_os_error();
    symbols::errno_name(number).map_or_else(|| format!("error {number}"), str::to_owned)
}
