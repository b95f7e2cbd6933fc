//! A call's result, as the script has it and as it came.

use super::super::script::{Syscall, ValueKind};
use super::super::symbols;
use super::failure::{differs, of_script, plain};
use super::value::integer;
use super::{CallError, Errno, Result};

/// What the script says that a call gives.
pub(super) struct Expected {
    /// `None` for `...`.
    number: Option<i64>,
    errno: Option<i32>,
}

impl Expected {
    pub(super) fn of(call: &Syscall) -> Result<Self> {
        let number = match call.result.kind {
            ValueKind::Ellipsis => None,
            _ => Some(integer(&call.result)?),
        };
        let errno = call.errno.as_deref().map(symbols::errno).transpose();
        let errno = errno.map_err(|what| of_script(call.span, what))?;
        if errno.is_some() && number.is_some_and(|number| number >= 0) {
            let what = format!("{}: an error goes with the result -1", call.name);
            return Err(of_script(call.result.span, what));
        }
        Ok(Self { number, errno })
    }

    /// The number that a new descriptor gets.
    pub(super) fn as_descriptor(&self) -> Option<i32> {
        self.number.and_then(|number| i32::try_from(number).ok()).filter(|number| *number >= 0)
    }

    pub(super) fn is_any(&self) -> bool {
        self.number.is_none() && self.errno.is_none()
    }

    pub(super) fn compare(&self, call: &Syscall, actual: &std::result::Result<i64, Errno>) -> Result<()> {
        let same = match actual {
            Ok(number) => self.errno.is_none() && self.number.is_none_or(|expected| expected == *number),
            Err(errno) => {
                self.number.is_none_or(|expected| expected == -1)
                    && self.errno.is_none_or(|expected| expected == errno.raw_os_error())
            }
        };
        if same { Ok(()) } else { Err(self.differs(call, came(actual))) }
    }

    /// That `actual` came instead.
    pub(super) fn differs(&self, call: &Syscall, actual: String) -> CallError {
        let number = self.number.map_or("...".to_owned(), |number| number.to_string());
        let errno = self.errno.map(|errno| plain(Errno::from_raw_os_error(errno)));
        let expected = errno.map_or(number.clone(), |errno| format!("{number} {errno}"));
        differs(call, call.result.span, "result", expected, actual)
    }
}

fn came(actual: &std::result::Result<i64, Errno>) -> String {
    match actual {
        Ok(number) => number.to_string(),
        Err(Errno::DEADLK) => {
            "-1 EDEADLK (it would have to wait, which it may with an end: `+0...0.1`)".to_owned()
        }
        Err(errno) => format!("-1 {}", plain(*errno)),
    }
}
