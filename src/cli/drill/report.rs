//! What is said of the scripts: a line for each, the diff of a failure, a table by topic.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use tunstack::packetdrill::diff;
use tunstack::packetdrill::run::{Outcome, Verdict};
use tunstack::packetdrill::source::{Place, SyntaxError};

use super::super::output::Output;
use super::scripts::Script;

/// What came of one run of a script.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) script: Script,
    /// The address variant, where more than one is run.
    pub(crate) variant: Option<&'static str>,
    /// The script as it was read.
    pub(crate) text: String,
    pub(crate) result: Ended,
    /// By the machine's clock.
    pub(crate) took: Duration,
}

/// How a run of a script ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It was run, or found to need what is not there.
    Run(Outcome),
    /// It is no script.
    NoScript(SyntaxError),
    /// Its file could not be read, or running it went wrong.
    Broken(String),
}

impl Done {
    /// Its name, with its variant.
    pub(crate) fn title(&self) -> String {
        match self.variant {
            Some(variant) => format!("{} [{variant}]", self.script.name),
            None => self.script.name.clone(),
        }
    }

    /// One word for how it ended.
    pub(crate) fn word(&self) -> &'static str {
        match &self.result {
            Ended::Run(Outcome { verdict: Verdict::Passed, .. }) => "passed",
            Ended::Run(Outcome { verdict: Verdict::Skipped(_), .. }) => "skipped",
            Ended::Run(Outcome { verdict: Verdict::Failed(_), .. }) => "failed",
            Ended::NoScript(_) | Ended::Broken(_) => "broken",
        }
    }

    /// Why it did not pass, in full; nothing where it did.
    pub(crate) fn why(&self) -> String {
        let name = self.script.path.display().to_string();
        match &self.result {
            Ended::Run(outcome) => match &outcome.verdict {
                Verdict::Passed => String::new(),
                Verdict::Skipped(why) => format!("{why}\n"),
                Verdict::Failed(failure) => {
                    let mut text = diff::render(&name, &self.text, failure);
                    if let Some(capture) = &outcome.capture {
                        let _ = writeln!(text, "    packets: {}", capture.display());
                    }
                    text
                }
            },
            Ended::NoScript(error) => error.render(&name, &self.text),
            Ended::Broken(why) => format!("{why}\n"),
        }
    }

    /// As programs read it.
    pub(crate) fn object(&self) -> Value {
        let mut object = json!({
            "event": "script",
            "name": self.script.name,
            "file": self.script.path.display().to_string(),
            "topic": self.script.topic,
            "ip_version": self.variant,
            "verdict": self.word(),
            "seconds": self.took.as_secs_f64(),
        });
        match &self.result {
            Ended::Run(outcome) => {
                object["virtual_seconds"] = outcome.took.as_secs_f64().into();
                object["notes"] = json!(outcome.notes);
                object["capture"] = json!(outcome.capture.as_ref().map(|path| path.display().to_string()));
                match &outcome.verdict {
                    Verdict::Passed => {}
                    Verdict::Skipped(why) => object["why"] = json!(why),
                    Verdict::Failed(failure) => {
                        let place = Place::of(&self.text, failure.span);
                        let differs = failure.differences.iter().map(|(field, expected, actual)| {
                            json!({ "field": field, "expected": expected, "actual": actual })
                        });
                        object["why"] = json!(failure.what);
                        object["line"] = place.line.into();
                        object["column"] = place.column.into();
                        object["expected"] = json!(failure.expected);
                        object["actual"] = json!(failure.actual);
                        object["reason"] = json!(failure.reason);
                        object["differences"] = differs.collect();
                    }
                }
            }
            Ended::NoScript(error) => {
                object["why"] = json!(format!("expected {}, found {}", error.expected, error.found));
                object["line"] = error.place.line.into();
                object["column"] = error.place.column.into();
            }
            Ended::Broken(why) => object["why"] = json!(why),
        }
        object
    }
}

/// Runs that ended one way or another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    fn add(&mut self, word: &str) {
        match word {
            "passed" => self.passed += 1,
            "skipped" => self.skipped += 1,
            _ => self.failed += 1,
        }
    }
}

/// What is said as the runs end, and at the end.
#[derive(Debug)]
pub(crate) struct Report {
    out: Output,
    colour: bool,
    /// Room for a title.
    width: usize,
    topics: BTreeMap<String, Tally>,
    pub(crate) total: Tally,
    skipped: BTreeMap<String, usize>,
    /// Titles of those that failed, with where.
    failed: Vec<String>,
}

impl Report {
    /// Of runs whose longest title has `width` characters.
    pub(crate) fn new(out: Output, width: usize) -> Self {
        let colour = io::stdout().is_terminal()
            && !out.is_json()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            out,
            colour,
            width: width.min(80),
            topics: BTreeMap::new(),
            total: Tally::default(),
            skipped: BTreeMap::new(),
            failed: Vec::new(),
        }
    }

    fn paint(&self, text: &str, colour: AnsiColor) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{style}{text}{style:#}")
    }

    /// Says how one ended, and counts it.
    pub(crate) fn one(&mut self, done: &Done) -> io::Result<()> {
        let word = done.word();
        self.topics.entry(done.script.topic.clone()).or_default().add(word);
        self.total.add(word);
        if let Ended::Run(Outcome { verdict: Verdict::Skipped(why), .. }) = &done.result {
            *self.skipped.entry(why.clone()).or_default() += 1;
        }
        if matches!(word, "failed" | "broken") {
            // The first line of why has the file, the place and what is wrong.
            let why = done.why();
            let variant = done.variant.map_or_else(String::new, |variant| format!(" [{variant}]"));
            self.failed.push(format!("{}{variant}", why.lines().next().unwrap_or_default()));
        }
        self.out.write(|| self.line(done), || done.object())
    }

    fn line(&self, done: &Done) -> String {
        let (word, colour) = match done.word() {
            "passed" => ("ok  ", AnsiColor::Green),
            "skipped" => ("skip", AnsiColor::Yellow),
            _ => ("FAIL", AnsiColor::Red),
        };
        let head = format!("{}  {:width$}", self.paint(word, colour), done.title(), width = self.width);
        let notes: String = match &done.result {
            Ended::Run(outcome) => outcome.notes.iter().map(|note| format!("\n      note: {note}")).collect(),
            _ => String::new(),
        };
        let line = match &done.result {
            Ended::Run(outcome) if outcome.verdict == Verdict::Passed => {
                let times = format!("{:>8}  of {}", real(done.took), seconds(outcome.took));
                format!("{head}  {times}")
            }
            Ended::Run(Outcome { verdict: Verdict::Skipped(why), .. }) => format!("{head}  {why}"),
            _ => {
                let why = done.why();
                let body: String = why.lines().map(|line| format!("\n      {line}")).collect();
                format!("{}{body}", head.trim_end())
            }
        };
        line + &notes
    }

    /// The table by topic, and the sum. `took`: the whole run, by the machine's clock.
    pub(crate) fn end(&self, took: Duration) -> io::Result<()> {
        let rows = self.topics.iter();
        self.out.write(
            || {
                let width = self.topics.keys().map(|t| t.chars().count()).fold("topic".len(), usize::max);
                let mut text = format!("\n{:width$}  passed  failed  skipped\n", "topic");
                let row = |name: &str, t: &Tally| {
                    let failed = format!("{:>6}", t.failed);
                    let failed = if t.failed > 0 { self.paint(&failed, AnsiColor::Red) } else { failed };
                    format!("{name:width$}  {:>6}  {failed}  {:>7}\n", t.passed, t.skipped)
                };
                rows.clone().for_each(|(topic, tally)| text += &row(topic, tally));
                if self.topics.len() > 1 {
                    text += &row("all", &self.total);
                }
                // Their diffs are far above where there are many scripts.
                for failed in &self.failed {
                    let _ = writeln!(text, "{}  {failed}", self.paint("FAIL", AnsiColor::Red));
                }
                for (why, count) in &self.skipped {
                    let _ = writeln!(text, "skipped {count}: {why}");
                }
                let _ = write!(text, "{} in {}", of_scripts(&self.total), real(took));
                text
            },
            || {
                let topic = |t: &Tally| json!({ "passed": t.passed, "failed": t.failed, "skipped": t.skipped });
                json!({
                    "event": "summary",
                    "topics": rows.clone().map(|(name, t)| (name.clone(), topic(t))).collect::<serde_json::Map<_, _>>(),
                    "passed": self.total.passed,
                    "failed": self.total.failed,
                    "skipped": self.total.skipped,
                    "seconds": took.as_secs_f64(),
                })
            },
        )
    }
}

fn of_scripts(total: &Tally) -> String {
    let all = total.passed + total.failed + total.skipped;
    match total {
        Tally { failed: 0, skipped: 0, .. } => format!("all {all} passed"),
        Tally { failed: 0, .. } => format!("{} of {all} passed, none failed", total.passed),
        _ => format!("{} of {all} failed", total.failed),
    }
}

/// Time by the machine's clock.
fn real(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

/// Time by the script's clock.
fn seconds(time: Duration) -> String {
    format!("{} s", (time.as_secs_f64() * 1e3).round() / 1e3)
}
