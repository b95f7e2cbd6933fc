//! What it takes to run scripts, and what comes of one.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::script::Span;

/// How scripts are run, whatever they say themselves: the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--name=value` in packetdrill's names (`ip_version`, `mtu`, `tolerance_usecs`, `define` …). They override those in a
    /// script's head.
    pub settings: Vec<(String, Option<String>)>,
    /// Where a script that failed leaves its capture; `None`: nowhere.
    pub captures: Option<PathBuf>,
    /// Where a script's relative paths (`../common/defaults.sh`) begin: its own folder.
    pub folder: PathBuf,
}

/// What came of a script.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// How it ended.
    pub verdict: Verdict,
    /// Virtual time that went by.
    pub took: Duration,
    /// Settings, commands and checks that were noted but have no effect here, each with its reason.
    pub notes: Vec<String>,
    /// The capture that a failure left.
    pub capture: Option<PathBuf>,
}

/// How a script ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// Everything came as the script says.
    Passed,
    /// Something did not.
    Failed(Failure),
    /// It could not be judged: it needs what is not there, which is named.
    Skipped(String),
}

/// The first thing that was not as the script says.
#[derive(Clone, PartialEq, Debug)]
pub struct Failure {
    /// Which event, and in it what.
    pub span: Span,
    /// One line: what went wrong.
    pub what: String,
    /// What the script says, in its language.
    pub expected: Option<String>,
    /// What happened, in the same language.
    pub actual: Option<String>,
    /// Why the stack did that, in its own words, with the numbers of the connection; parts stand between ` | `.
    pub reason: Option<String>,
    /// Fields that differ: name, expected, actual.
    pub differences: Vec<(String, String, String)>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Failure {
    /// With nothing to show beside each other.
    pub(super) fn new(span: Span, what: impl Into<String>) -> Self {
        Self { span, what: what.into(), expected: None, actual: None, reason: None, differences: Vec::new() }
    }
}
