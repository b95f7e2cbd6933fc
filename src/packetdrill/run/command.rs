//! Commands between back-ticks: those that set up a stack's host are understood here. Under `drill` no shell runs them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod route;
mod words;

use super::stop::Stop;
use super::{Failure, file as text_file};
use crate::packetdrill::script::Span;
use words::Simple;

/// The longest file of commands that is read, octets.
const LONGEST_FILE: u64 = 64 << 10;
/// How deep files of commands may call each other.
const DEEPEST: usize = 4;
/// The most that one event may do, and the most commands that may be read for it.
const MOST_ACTS: usize = 1000;

/// What a command does to a kernel's TCP that no sysctl tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beside {
    /// What is remembered of other hosts is forgotten: `ip tcp_metrics flush`.
    Forget,
    /// Whether connections are paced: the device has the queue `fq` (`tc qdisc … root fq`), or another.
    Paced(bool),
}

/// What a command line does to a kernel's TCP that no sysctl tells, in order, where it is a shell that runs it. Commands of
/// other kinds are passed over, and so are those behind `||`; files of commands count with what is in them, and their
/// relative paths begin at `folder`. `overlooked` is told, in one line, of each that might have said something and cannot be
/// read, such as a file that is not there: the shell may have known better, so the others count.
///
/// # Errors
/// One line that says why the command line cannot be read: a quote without an end, arithmetic other than products, more than
/// 1000 commands.
pub fn beside_sysctls(
    line: &str,
    folder: &Path,
    mut overlooked: impl FnMut(&str),
) -> Result<Vec<Beside>, String> {
    let lenient: Overlooked<'_> = Some(&mut overlooked);
    let mut reading = Reading { folder, lenient, commands: 0, acts: Vec::new() };
    reading.lines(line, 0).map_err(|refused| refused.to_string())?;
    let beside = reading.acts.iter().filter_map(|act| match act {
        Act::Forget => Some(Beside::Forget),
        Act::Paced(on) => Some(Beside::Paced(*on)),
        _ => None,
    });
    Ok(beside.collect())
}

/// What a command asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// A sysctl gets a value. Where it is not `needed`, one that nobody knows is passed over.
    Sysctl {
        /// With dots or slashes.
        name: String,
        /// As Linux takes it.
        value: String,
        /// Whether it must be known.
        needed: bool,
    },
    /// The way to the other end gets an attribute.
    Route(Attribute),
    /// Whether connections are paced.
    Paced(bool),
    /// What is remembered of other hosts is forgotten.
    Forget,
    /// Time passes.
    Sleep(Duration),
    /// Nothing happens here, and why that is worth a note.
    Note(String),
}

/// An attribute of a route or a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Attribute {
    /// The MTU, octets.
    Mtu(u16),
    /// The MSS that is offered.
    AdvertisedMss(u16),
    /// The initial congestion window, segments.
    InitialWindow(u32),
    /// The smallest retransmission timeout.
    MinimumRto(Duration),
}

/// Why a command is not obeyed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// It is not known here, which judges nothing.
    Unknown(String),
    /// It can be obeyed nowhere: text that is no command, a file that is not there. To skip the script for that would hide
    /// a slip of its author.
    Faulty(String),
}

impl Refused {
    /// The end of a script whose command stands at `span`.
    pub(super) fn at(self, span: Span) -> Stop {
        match self {
            Self::Unknown(what) => Stop::Skipped(what),
            Self::Faulty(what) => Failure::new(span, what).into(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unknown(what) | Self::Faulty(what)) = self;
        f.write_str(what)
    }
}

/// What `line` asks for; relative paths begin at `folder`.
///
/// # Errors
/// The command that is not known, or that goes wrong, in one line.
pub(super) fn read(line: &str, folder: &Path) -> Result<Vec<Act>, Refused> {
    let mut reading = Reading::strict(folder);
    reading.lines(line, 0)?;
    Ok(reading.acts)
}

/// What a file of commands asks for, as `--init_scripts` names it.
///
/// # Errors
/// As [`read`].
pub(super) fn read_file(path: &str, folder: &Path) -> Result<Vec<Act>, Refused> {
    let mut reading = Reading::strict(folder);
    reading.file(path, 0)?;
    Ok(reading.acts)
}

/// Where commands that are refused are passed over, who is told of those that go wrong.
type Overlooked<'a> = Option<&'a mut dyn FnMut(&str)>;

/// Reading a line, and the files it calls.
struct Reading<'a> {
    folder: &'a Path,
    /// A command that is refused is passed over.
    lenient: Overlooked<'a>,
    commands: usize,
    acts: Vec<Act>,
}

impl<'a> Reading<'a> {
    const fn strict(folder: &'a Path) -> Self {
        Self { folder, lenient: None, commands: 0, acts: Vec::new() }
    }

    fn lines(&mut self, text: &str, depth: usize) -> Result<(), Refused> {
        for simple in words::split(text)? {
            self.commands += 1;
            let done = self.one(&simple, depth);
            if self.commands.max(self.acts.len()) > MOST_ACTS {
                return Err(Refused::Faulty(format!("more than {MOST_ACTS} commands in one")));
            }
            match (done, &mut self.lenient) {
                (Err(Refused::Faulty(what)), Some(overlooked)) => overlooked(&what),
                (Err(Refused::Unknown(_)), Some(_)) => {}
                (done, _) => done?,
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, depth: usize) -> Result<(), Refused> {
        let path: PathBuf = self.folder.join(name);
        if depth >= DEEPEST {
            return Err(Refused::Faulty(format!("{name}: called from a file {DEEPEST} files deep")));
        }
        let unreadable = |error| Refused::Faulty(format!("cannot read {}: {error}", path.display()));
        let text = text_file::read(&path, LONGEST_FILE).map_err(unreadable)?;
        self.lines(&text, depth + 1)
    }

    fn one(&mut self, simple: &Simple, depth: usize) -> Result<(), Refused> {
        let Some((first, arguments)) = simple.words.split_first() else { return Ok(()) };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let unknown = || Err(Refused::Unknown(format!("command not known here: {}", simple.text())));
        match (Path::new(first).file_name().and_then(|name| name.to_str()).unwrap_or(first), &arguments[..]) {
            (":" | "true", _) | ("set", [..]) => {}
            ("echo" | "printf", words) => match &simple.to {
                Some(file) if file.starts_with("/proc/sys/") || file.starts_with("/sys/module/") => {
                    let words = words.iter().filter(|word| **word != "-n").copied().collect::<Vec<_>>();
                    self.acts.push(sysctl(file, &words.join(" "), true));
                }
                Some(file) if file != "/dev/null" => return unknown(),
                _ => {}
            },
            ("cat", files) if files.iter().all(|file| file.starts_with("/proc/sys/")) => {}
            ("sleep", words) => {
                let times: Option<Vec<f64>> = words.iter().map(|word| sleep_seconds(word)).collect();
                let time = times.filter(|times| !times.is_empty()).map(|times| times.iter().sum::<f64>());
                match time.and_then(|time| Duration::try_from_secs_f64(time).ok()) {
                    Some(time) => self.acts.push(Act::Sleep(time)),
                    None => return Err(Refused::Unknown(format!("{}: expected seconds", simple.text()))),
                }
            }
            ("sysctl", words) => {
                let (flags, settings): (Vec<&str>, Vec<&str>) =
                    words.iter().partition(|w| w.starts_with('-'));
                if flags.iter().any(|flag| flag.chars().skip(1).any(|c| !"wqenbN".contains(c))) {
                    return unknown();
                }
                let needed = !flags.iter().any(|flag| flag.contains('e'));
                let settings = settings.iter().filter_map(|setting| setting.split_once('='));
                for (name, value) in settings {
                    self.acts.push(sysctl(name, value, needed));
                    // Scripts of old, which set it to nothing and back, mean what `ip tcp_metrics flush` does.
                    if name.ends_with("tcp_fastopen_cookies") {
                        self.acts.push(Act::Forget);
                    }
                }
            }
            ("set_sysctls.py", settings) => {
                for setting in settings {
                    let Some((name, value)) = setting.split_once('=') else { return unknown() };
                    self.acts.push(sysctl(name, value, true));
                }
            }
            // What `set_sysctls.py` wrote to undo itself: each script has a stack of its own.
            (name, []) if name.starts_with("sysctl_restore_") => {}
            ("ip", words) => return route::ip(words, &mut self.acts).or_else(|()| unknown()),
            // Segments are never left to a device here.
            ("ethtool", ["-K", _device, features @ ..])
                if features.iter().skip(1).step_by(2).all(|on| *on == "off") => {}
            ("tc", words) => {
                self.acts.extend(pacing(words));
                match words {
                    // Without a limit it does nothing to packets, nor is there one here.
                    ["qdisc", _, "dev", _, "root", "fq" | "pfifo"] => {}
                    // A queue that loses packets, on the other hand, is what a script is about.
                    words if words.iter().any(|word| matches!(*word, "limit" | "netem" | "tbf")) => {
                        return unknown();
                    }
                    ["qdisc", ..] => {
                        self.acts.push(Act::Note(format!("no queueing discipline here: {}", simple.text())));
                    }
                    _ => return unknown(),
                }
            }
            ("sh" | "bash" | "source" | ".", [name]) => return self.file(name, depth),
            (name, []) if name.ends_with(".sh") => return self.file(first, depth),
            _ => return unknown(),
        }
        if simple.piped { unknown() } else { Ok(()) }
    }
}

/// Of the queues that a device can have, `fq` alone paces.
fn pacing(words: &[&str]) -> Option<Act> {
    match words {
        ["qdisc", "add" | "change" | "replace" | "link", "dev", _, "root", "handle", _, queue, how @ ..]
        | ["qdisc", "add" | "change" | "replace" | "link", "dev", _, "root", queue, how @ ..] => {
            Some(Act::Paced(*queue == "fq" && !how.contains(&"nopacing")))
        }
        ["qdisc", "del" | "delete", "dev", _, "root", ..] => Some(Act::Paced(false)),
        _ => None,
    }
}

fn sysctl(name: &str, value: &str, needed: bool) -> Act {
    Act::Sysctl { name: name.trim().to_owned(), value: value.trim().to_owned(), needed }
}

/// `1.5`, `2s`, `1m`.
fn sleep_seconds(word: &str) -> Option<f64> {
    let (number, unit) = match word.strip_suffix('s') {
        Some(number) => (number, 1.0),
        None => word.strip_suffix('m').map_or((word, 1.0), |number| (number, 60.0)),
    };
    number.parse::<f64>().ok().map(|number| number * unit)
}

#[cfg(test)]
mod tests;
