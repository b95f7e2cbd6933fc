//! The table: its rows are run against the kernel and against ours, and where they differ the difference is told, or
//! stands in the list of departures.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{env, fs, panic, thread};

use super::departures::{self, Departure};
use super::kernel::Kernel;
use super::lab::{Lab, Settle};
use super::ours::Ours;
use super::sys::Sys;

/// If set, the tables are written to this directory, one file each.
const DUMP: &str = "TUNSTACK_DIFFERENTIAL_DUMP";

/// A row that takes longer hangs.
const WHOLE: Duration = Duration::from_secs(10);

/// The thread in which a row runs.
const THREAD: &str = "row";

/// What a row does, and in words what came of it.
type Body = Arc<dyn Fn(&Lab) -> String + Send + Sync>;

/// A state, a call and its arguments.
struct Row {
    name: String,
    body: Body,
}

/// Rows about one thing.
pub(crate) struct Table {
    name: &'static str,
    rows: Vec<Row>,
}

impl Table {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(
        &mut self,
        name: impl Into<String>,
        body: impl Fn(&Lab) -> String + Send + Sync + 'static,
    ) {
        self.rows.push(Row { name: name.into(), body: Arc::new(body) });
    }

    /// Runs all rows. Panics if there are fewer than `least`, or if one differs and should not.
    pub(crate) fn run(self, least: usize) {
        let names: BTreeSet<&str> = self.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names.len(), self.rows.len(), "two rows have one name");
        assert!(names.len() >= least, "{} rows, {least} at the least", names.len());
        quiet();
        let kernel: Arc<dyn Sys> = Arc::new(Kernel);
        let ours: Arc<dyn Sys> = Arc::new(Ours::start());
        let departures = departures::all();
        let compare = |row: Row| row.compare(self.name, &departures, &kernel, &ours);
        let results: Vec<Outcome> = self.rows.into_iter().map(compare).collect();
        dump(self.name, &results);
        let complaints = judge(self.name, &results, &departures);
        assert!(
            complaints.is_empty(),
            "{}{} of {names} rows",
            complaints,
            differing(&results),
            names = results.len()
        );
    }
}

/// How many rows differ at all.
fn differing(results: &[Outcome]) -> usize {
    results.iter().filter(|o| o.kernel != o.ours).count()
}

impl Row {
    /// Both answers. One that differs and should not is asked for again with more patience.
    fn compare(
        self,
        table: &str,
        departures: &[Departure],
        kernel: &Arc<dyn Sys>,
        ours: &Arc<dyn Sys>,
    ) -> Outcome {
        let Self { name, body } = self;
        let mut both = (answer(&body, kernel, Settle::SHORT), answer(&body, ours, Settle::SHORT));
        if both.0 != both.1 && excuse(table, &name, &both.0, &both.1, departures).is_none() {
            both = (answer(&body, kernel, Settle::LONG), answer(&body, ours, Settle::LONG));
        }
        Outcome { name, kernel: both.0, ours: both.1 }
    }
}

/// A row and what came of it.
#[derive(Debug)]
struct Outcome {
    name: String,
    kernel: String,
    ours: String,
}

/// Runs a row in a thread of its own: it may hang or panic.
fn answer(body: &Body, sys: &Arc<dyn Sys>, settle: Settle) -> String {
    let (body, sys) = (Arc::clone(body), Arc::clone(sys));
    let (tell, told) = mpsc::channel();
    let row = thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
        let lab = Lab::new(sys, settle);
        let answer = body(&lab);
        // What the row opened is closed before the next row begins.
        drop(lab);
        tell.send(answer).unwrap();
    });
    let row = row.unwrap();
    match told.recv_timeout(WHOLE) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) => "HANGS".to_owned(),
        Err(RecvTimeoutError::Disconnected) => {
            let why = row.join().expect_err("it told nothing");
            format!("PANICS: {}", message(&*why))
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?").replace('\n', " ")
}

/// What a row panics with is its answer, and needs not be printed besides.
fn quiet() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() != Some(THREAD) {
            usual(info);
        }
    }));
}

fn dump(table: &str, results: &[Outcome]) {
    let Some(directory) = env::var_os(DUMP) else { return };
    let mut text = String::new();
    for Outcome { name, kernel, ours } in results {
        writeln!(text, "{name} -> {kernel}").unwrap();
        if ours != kernel {
            writeln!(text, "{:width$} ours: {ours}", "", width = name.len()).unwrap();
        }
    }
    let file = PathBuf::from(directory).join(table).with_extension("txt");
    fs::write(&file, text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
}

/// What is wrong with a table, one complaint a paragraph.
fn judge(table: &str, results: &[Outcome], departures: &[Departure]) -> String {
    let mut complaints = String::new();
    let mut needed = BTreeSet::new();
    for Outcome { name, kernel, ours } in results {
        if kernel.starts_with("PANICS") || kernel.starts_with("HANGS") {
            writeln!(complaints, "{name}\n    Linux: {kernel}: the row itself is wrong").unwrap();
        } else if kernel != ours {
            match excuse(table, name, kernel, ours, departures) {
                Some(used) => drop(needed.insert(used)),
                None => writeln!(complaints, "{name}\n    Linux: {kernel}\n    ours:  {ours}").unwrap(),
            }
        }
    }
    for (at, departure) in departures.iter().enumerate() {
        if departure.table == table && !needed.contains(&at) {
            writeln!(complaints, "a departure that is none any more: {departure:?}").unwrap();
        }
    }
    complaints
}

/// The first departure that turns Linux's answer into ours.
fn excuse(table: &str, row: &str, kernel: &str, ours: &str, departures: &[Departure]) -> Option<usize> {
    departures.iter().position(|departure| {
        departure.table == table
            && fits(departure.rows, row, &mut |_| true)
            && fits(departure.linux, kernel, &mut |same| {
                let mut same = same.iter();
                let part = |part: &str| part.to_owned() + same.next().copied().unwrap_or_default();
                // Ours has the same where its pattern has `*`.
                let parts: Vec<String> = departure.ours.split('*').map(part).collect();
                fits(&parts.concat(), ours, &mut |_| true)
            })
    })
}

/// Whether a text fits a pattern in which `*` and `?` stand for anything. `so` judges what the `*` stand for.
fn fits(pattern: &str, text: &str, so: &mut dyn FnMut(&[&str]) -> bool) -> bool {
    fn from<'a>(
        pattern: &str,
        text: &'a str,
        same: &mut Vec<&'a str>,
        so: &mut dyn FnMut(&[&str]) -> bool,
    ) -> bool {
        let Some(at) = pattern.find(['*', '?']) else { return pattern == text && so(same) };
        let Some(tail) = text.strip_prefix(&pattern[..at]) else { return false };
        let (rest, kept) = (&pattern[at + 1..], pattern[at..].starts_with('*'));
        tail.char_indices().map(|(end, _)| end).chain([tail.len()]).any(|end| {
            if kept {
                same.push(&tail[..end]);
            }
            let fit = from(rest, &tail[end..], same, so);
            if kept {
                same.pop();
            }
            fit
        })
    }
    from(pattern, text, &mut Vec::new(), so)
}

/// The judge judged: called by the test that needs no socket.
pub(crate) fn judges() {
    let outcome = |name: &str, kernel: &str, ours: &str| Outcome {
        name: name.to_owned(),
        kernel: kernel.to_owned(),
        ours: ours.to_owned(),
    };
    let departure = |rows| Departure { table: "t", rows, linux: "EPIPE*", ours: "ECONNRESET*", reason: "so" };
    let results = [outcome("a, send", "EPIPE; IN", "ECONNRESET; IN"), outcome("a, recv", "0", "0")];
    assert!(judge("t", &results, &[]).contains("a, send\n    Linux: EPIPE"));
    assert_eq!(judge("t", &results, &[departure("a, s*")]), "");
    assert_eq!(judge("t", &results, &[departure("*, s*d")]), "");
    // A departure excuses what it says and nothing else.
    let worse = [outcome("a, send", "EPIPE; IN", "ECONNRESET; -")];
    assert!(judge("t", &worse, &[departure("a, s*")]).contains("a, send"));
    let other = [outcome("a, send", "EAGAIN; IN", "ECONNRESET; IN")];
    assert!(judge("t", &other, &[departure("a, s*")]).contains("a, send"));
    // One that is not needed is one too many.
    assert!(judge("t", &results, &[departure("a, s*"), departure("a, r*")]).contains("none any more"));
    assert!(judge("t", &[], &[departure("a, s*")]).contains("none any more"));
    assert_eq!(judge("u", &[], &[departure("a, s*")]), "");
    assert!(judge("t", &[outcome("a, send", "HANGS", "HANGS")], &[]).contains("wrong"));
    let all = &mut |_: &[&str]| true;
    assert!(!fits("a*c", "abd", all) && fits("a*c", "abc", all) && !fits("a", "ab", all));
    assert!(
        fits("?b*", "abbc", &mut |same| same == ["c"]) && !fits("?b*", "abbc", &mut |same| same == ["d"])
    );
}
