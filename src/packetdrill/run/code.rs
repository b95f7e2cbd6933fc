//! `%{ … }%`: what was known of the connection when the script came by, and a Python program that judges it at the end.
//!
//! One program holds all of a script's code, so that what one piece defines the next may use. Before each piece stand the
//! variables `tcpi_…` as they were at its time, under the names of Linux's `struct tcp_info`, and names for their values.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::process::{Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::Failure;
use super::stop::Stop;
use crate::packetdrill::script::{Code, Span};

/// How long the program may run.
const LONGEST_RUN: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };
/// The most that is read of what it says.
const MOST_SAID: u64 = 64 << 10;

/// Before everything: an exception says which piece it is of.
const PREAMBLE: &str = "\
import sys
def _say(kind, error, trace):
    import traceback
    sys.stderr.write('piece %d: %s' % (_piece, ''.join(traceback.format_exception_only(kind, error))))
sys.excepthook = _say
";

/// Names for values of `tcpi_state`, `tcpi_ca_state` and `tcpi_options`.
const CONSTANTS: [(&str, u32); 24] = [
    ("TCP_ESTABLISHED", 1),
    ("TCP_SYN_SENT", 2),
    ("TCP_SYN_RECV", 3),
    ("TCP_FIN_WAIT1", 4),
    ("TCP_FIN_WAIT2", 5),
    ("TCP_TIME_WAIT", 6),
    ("TCP_CLOSE", 7),
    ("TCP_CLOSE_WAIT", 8),
    ("TCP_LAST_ACK", 9),
    ("TCP_LISTEN", 10),
    ("TCP_CLOSING", 11),
    ("TCP_CA_Open", 0),
    ("TCP_CA_Disorder", 1),
    ("TCP_CA_CWR", 2),
    ("TCP_CA_Recovery", 3),
    ("TCP_CA_Loss", 4),
    ("TCPI_OPT_TIMESTAMPS", 1),
    ("TCPI_OPT_SACK", 2),
    ("TCPI_OPT_WSCALE", 4),
    ("TCPI_OPT_ECN", 8),
    ("TCPI_OPT_ECN_SEEN", 16),
    ("TCPI_OPT_SYN_DATA", 32),
    ("TCPI_OPT_USEC_TS", 64),
    ("TCPI_OPT_TFO_CHILD", 128),
];

/// The code that a script has come by, with what was known then.
#[derive(Debug, Default)]
pub(super) struct Program {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    code: Code,
    variables: Vec<(&'static str, u64)>,
}

impl Program {
    /// Keeps a piece of code with what was known.
    pub(super) fn add(&mut self, code: &Code, variables: Vec<(&'static str, u64)>) {
        self.pieces.push(Piece { code: code.clone(), variables });
    }

    /// Runs it with `command`, a program and its arguments.
    ///
    /// # Errors
    /// An exception; the program is not there, which judges nothing.
    pub(super) fn run(&self, command: &str) -> Result<(), Stop> {
        if self.pieces.is_empty() {
            return Ok(());
        }
        let (text, lines) = self.text();
        match execute(command, &text, &LONGEST_RUN) {
            Ok(Ended::By(status, _)) if status.success() => Ok(()),
            Ok(Ended::By(status, said)) => Err(self.failure(&lines, status, &said).into()),
            Ok(Ended::Late) => {
                let what = format!("the code was still running after {} s and was ended", LONGEST_RUN.tv_sec);
                Err(Failure::new(self.span(0), what).into())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Stop::Skipped(format!(
                "the script's Python code was not run: there is no {command:?} here"
            ))),
            Err(error) => Err(Failure::new(self.span(0), format!("{command}: {error}")).into()),
        }
    }

    /// The program, and with which line each piece begins.
    fn text(&self) -> (String, Vec<usize>) {
        let mut text = PREAMBLE.to_owned();
        let constants = CONSTANTS.iter().map(|(name, value)| format!("{name} = {value}\n"));
        text.extend(constants);
        let mut lines = Vec::new();
        for (number, piece) in self.pieces.iter().enumerate() {
            lines.push(text.lines().count());
            // Writing to a string does not fail.
            let _ = writeln!(text, "_piece = {number}");
            for (name, value) in &piece.variables {
                let _ = writeln!(text, "{name} = {value}");
            }
            let _ = writeln!(text, "{}", piece.code.text);
        }
        (text, lines)
    }

    fn span(&self, piece: usize) -> Span {
        self.pieces.get(piece).map_or_else(Span::default, |piece| piece.code.span)
    }

    fn failure(&self, lines: &[usize], status: ExitStatus, said: &str) -> Failure {
        let marked = said.lines().rev().find_map(|line| {
            let (number, what) = line.strip_prefix("piece ")?.split_once(": ")?;
            Some((number.parse::<usize>().ok()?, what.to_owned()))
        });
        // What does not even compile has not set the hook.
        let (number, what) = marked.unwrap_or_else(|| {
            let line = said.split("line ").nth(1).map(|rest| rest.split(|c: char| !c.is_ascii_digit()));
            let line: usize = line.and_then(|mut digits| digits.next()?.parse().ok()).unwrap_or(0);
            let number = lines.iter().rposition(|first| *first < line).unwrap_or(0);
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            (number, last.map_or_else(|| status.to_string(), str::to_owned))
        });
        let mut failure = Failure::new(self.span(number), format!("the code failed: {what}"));
        if let Some(piece) = self.pieces.get(number) {
            failure.expected = Some(piece.code.text.clone());
            let named = |name: &str| {
                let letter = |c: char| c.is_alphanumeric() || c == '_';
                piece.code.text.split(|c| !letter(c)).any(|word| word == name)
            };
            let shown: Vec<String> = piece
                .variables
                .iter()
                .filter(|(name, _)| named(name))
                .map(|(name, value)| format!("{name} = {value}"))
                .collect();
            failure.actual = (!shown.is_empty()).then(|| shown.join(", "));
        }
        failure
    }
}

/// How the program ended.
enum Ended {
    By(ExitStatus, String),
    Late,
}

/// Gives `text` to `command` and waits for its end. Files in memory stand for its ends, so that nothing is left behind and
/// nobody waits for who does not read.
fn execute(command: &str, text: &str, limit: &Timespec) -> io::Result<Ended> {
    let file = |name: &str| memfd_create(name, MemfdFlags::CLOEXEC).map(File::from);
    let (mut program, mut said) = (file("packetdrill-code")?, file("packetdrill-said")?);
    program.write_all(text.as_bytes())?;
    program.rewind()?;
    let mut words = command.split_whitespace();
    let mut child = Command::new(words.next().unwrap_or_default())
        .args(words)
        .arg("-")
        .stdin(Stdio::from(program))
        .stdout(Stdio::null())
        .stderr(Stdio::from(said.try_clone()?))
        .spawn()?;
    let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).and_then(|end| {
        let mut end = [PollFd::new(&end, PollFlags::IN)];
        loop {
            match poll(&mut end, Some(limit)) {
                Err(Errno::INTR) => {}
                count => return count.map(|count| count > 0),
            }
        }
    });
    if !matches!(ended, Ok(true)) {
        child.kill()?;
        child.wait()?;
        return ended.map(|_| Ended::Late).map_err(io::Error::from);
    }
    let status = child.wait()?;
    said.rewind()?;
    let mut octets = Vec::new();
    said.take(MOST_SAID).read_to_end(&mut octets)?;
    Ok(Ended::By(status, String::from_utf8_lossy(&octets).into_owned()))
}

#[cfg(test)]
mod tests;
