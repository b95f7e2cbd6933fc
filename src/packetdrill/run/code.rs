//! `%{ … }%`: what was known of the connection when the script came by, and a Python program that judges it at the end.
//!
//! One program holds all of a script's code, so that what one piece defines the next may use. Before each piece stand the
//! variables `tcpi_…` as they were at its time, under the names of Linux's `struct tcp_info`, and names for their values.

use std::fmt::Write as _;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, PipeReader, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::Failure;
use super::stop::Stop;
use crate::packetdrill::script::{Code, Span};
use crate::packetdrill::symbols;

/// How long the program may run.
const LONGEST_RUN: Duration = Duration::from_secs(20);
/// The most that is kept of what it says: its end, where an exception stands.
const MOST_SAID: usize = 64 << 10;
/// The most that a pipe holds, as `/proc/sys/fs/pipe-max-size` has it.
const MOST_HELD: usize = 1 << 20;

/// Before everything: an exception says which piece it is of, and the program ends even where nobody is left to end it.
const PREAMBLE: &str = "\
import signal, sys
signal.alarm(30)
def _say(kind, error, trace):
    import traceback
    sys.stderr.write('piece %d: %s' % (_piece, ''.join(traceback.format_exception_only(kind, error))))
sys.excepthook = _say
";

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
        let (mut text, lines) = self.text();
        // An `exit` before the end leaves assertions behind it unjudged, and no trace of that in the status.
        let proof = format!("end {:016x}", RandomState::new().hash_one(&text));
        let _ = writeln!(text, "sys.stderr.flush()\n__import__('os').write(2, b'\\n{proof}\\n')");
        match execute(command, &text, LONGEST_RUN) {
            Ok(Ended::By(status, said)) if status.success() => {
                if said.lines().any(|line| line == proof) {
                    return Ok(());
                }
                let last = self.span(self.pieces.len() - 1);
                Err(Failure::new(last, "the code ended before its last assertion").into())
            }
            Ok(Ended::By(status, said)) => Err(self.failure(&lines, status, &said).into()),
            Ok(Ended::Late) => {
                let what =
                    format!("the code was still running after {} s and was ended", LONGEST_RUN.as_secs());
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
        let constants = symbols::TCP_INFO.iter().map(|(name, value)| format!("{name} = {value}\n"));
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
            // Code that names none of them stands above already.
            if !shown.is_empty() {
                failure.expected = Some(piece.code.text.clone());
                failure.actual = Some(shown.join(", "));
            }
        }
        failure
    }
}

/// How the program ended.
enum Ended {
    By(ExitStatus, String),
    Late,
}

/// Gives `text` to `command` and waits for its end, and that of what it started. A file in memory stands for its input, so
/// that nothing is left behind; what it says is taken as it comes, so that it never waits for a reader.
fn execute(command: &str, text: &str, limit: Duration) -> io::Result<Ended> {
    let mut program = memfd_create("packetdrill-code", MemfdFlags::CLOEXEC).map(File::from)?;
    program.write_all(text.as_bytes())?;
    program.rewind()?;
    let (reader, writer) = io::pipe()?;
    let mut words = command.split_whitespace();
    let mut child = Command::new(words.next().unwrap_or_default())
        .args(words)
        .arg("-")
        // It takes assertions out.
        .env_remove("PYTHONOPTIMIZE")
        .stdin(Stdio::from(program))
        .stdout(Stdio::null())
        .stderr(Stdio::from(writer))
        .process_group(0)
        .spawn()?;
    let pid = Pid::from_child(&child);
    let mut said = Said { pipe: Some(reader), octets: Vec::new() };
    let ended = listen(pid, &mut said, limit);
    // Before it is waited for, while its number is nobody else's. None of the group may be left, which is an error here.
    let _ = kill_process_group(pid, Signal::KILL);
    let status = child.wait()?;
    if !ended? {
        return Ok(Ended::Late);
    }
    said.rest()?;
    Ok(Ended::By(status, String::from_utf8_lossy(&said.octets).into_owned()))
}

/// Takes in what a program says until its end; false: it had none within `limit`.
fn listen(pid: Pid, said: &mut Said, limit: Duration) -> io::Result<bool> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
    let it_value = Timespec::try_from(limit).map_err(io::Error::other)?;
    let once = Itimerspec { it_interval: Timespec::default(), it_value };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
    loop {
        let mut fds = vec![PollFd::new(&process, PollFlags::IN), PollFd::new(&timer, PollFlags::IN)];
        fds.extend(said.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            count => count?,
        };
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let (ended, late, speaks) = (ready(0), ready(1), ready(2));
        if ended {
            return Ok(true);
        }
        if late {
            return Ok(false);
        }
        if speaks {
            said.more()?;
        }
    }
}

/// What a program says.
struct Said {
    /// Until its end.
    pipe: Option<PipeReader>,
    octets: Vec<u8>,
}

impl Said {
    /// Takes in what is there, and waits where there is nothing; gives how much it was.
    fn more(&mut self) -> io::Result<usize> {
        let Some(pipe) = &mut self.pipe else { return Ok(0) };
        let mut part = [0; 8 << 10];
        let length = pipe.read(&mut part)?;
        if length == 0 {
            self.pipe = None;
        }
        self.octets.extend_from_slice(&part[..length]);
        let surplus = self.octets.len().saturating_sub(MOST_SAID);
        self.octets.drain(..surplus);
        Ok(length)
    }

    /// Takes in what an ended program has left in the pipe. One that has fled the group may still hold the other end.
    fn rest(&mut self) -> io::Result<()> {
        let mut taken = 0;
        while taken < MOST_HELD
            && let Some(pipe) = &self.pipe
            && poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&Timespec::default()))? > 0
        {
            taken += self.more()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
