//! What the program says: lines for people, JSON objects for programs, one line for each failure.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::Value;
use tracing_subscriber::filter::LevelFilter;

/// Why a command has failed, and so the program's exit code. The text is one line: what failed, why, what to
/// type next.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for makes no sense: 2.
    Usage(String),
    /// It could not be done: 1.
    Failed(String),
    /// It could not be done, and what the command printed says so already: 1.
    Told,
    /// A signal ended the command before it was done: 130, as from a shell.
    Interrupted,
}

impl Failure {
    /// Could not do `what`, for the reason that the operating system or the stack gives.
    pub(crate) fn of(what: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::Failed(format!("{what}: {}", why(error)))
    }
}

/// An error in words, without the number that the standard library appends.
pub(crate) fn why(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Prints a failure, if it has something to say, and gives the exit code.
pub(crate) fn exit_code(result: Result<(), Failure>) -> ExitCode {
    let (code, text) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => (2, Some(text)),
        Err(Failure::Failed(text)) => (1, Some(text)),
        Err(Failure::Told) => (1, None),
        Err(Failure::Interrupted) => (130, None),
    };
    if let Some(text) = text {
        complain(&text);
    }
    ExitCode::from(code)
}

/// One line on standard error.
pub(crate) fn complain(text: &str) {
    // With nobody to read it there is nobody to tell.
    let _ = write_line(&mut io::stderr().lock(), &format!("tunstack: {text}"));
}

/// Where a command's own words go. Those of a command whose standard output carries data go to standard
/// error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    to_stderr: bool,
}

impl Output {
    /// To standard output.
    pub(crate) const fn stdout(json: bool) -> Self {
        Self { json, to_stderr: false }
    }

    /// To standard error.
    pub(crate) const fn stderr(json: bool) -> Self {
        Self { json, to_stderr: true }
    }

    /// Whether programs read it.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// A line for people, or an object for programs. False when nobody reads any more.
    pub(crate) fn say(self, text: impl FnOnce() -> String, object: impl FnOnce() -> Value) -> bool {
        match self.write(text, object) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => false,
            Err(error) => {
                tracing::warn!("cannot write: {}", why(&error));
                false
            }
        }
    }

    /// As [`say`](Self::say), for what must not be lost in silence.
    pub(crate) fn write(
        self,
        text: impl FnOnce() -> String,
        object: impl FnOnce() -> Value,
    ) -> io::Result<()> {
        let line = if self.json { object().to_string() } else { text() };
        if self.to_stderr {
            write_line(&mut io::stderr().lock(), &line)
        } else {
            write_line(&mut io::stdout().lock(), &line)
        }
    }

    /// A line for people only.
    pub(crate) fn text(self, text: impl FnOnce() -> String) -> bool {
        self.json || self.say(text, || Value::Null)
    }

    /// An object for programs only.
    pub(crate) fn object(self, object: impl FnOnce() -> Value) -> bool {
        !self.json || self.say(String::new, object)
    }
}

fn write_line(to: &mut impl Write, line: &str) -> io::Result<()> {
    to.write_all(format!("{line}\n").as_bytes())?;
    to.flush()
}

/// Sends the log to standard error, in colour where that is a terminal and `NO_COLOR` is not set.
pub(crate) fn start_log(level: LevelFilter) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    tracing_subscriber::fmt().with_max_level(level).with_ansi(colour).with_writer(io::stderr).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_lose_their_number() {
        assert_eq!(why(&io::Error::from_raw_os_error(111)), "Connection refused");
        assert_eq!(why(&io::Error::other("tun0 is gone")), "tun0 is gone");
    }
}
