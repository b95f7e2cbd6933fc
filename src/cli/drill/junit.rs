//! The report as JUnit's XML, which most build servers read.

use std::io::Write;
use std::path::Path;
use std::time::Duration;
use std::{fs, io, process};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::super::output::Failure;
use super::report::Done;

/// Gathers the runs, a suite a topic.
#[derive(Debug, Default)]
pub(crate) struct Junit {
    suites: Vec<TestSuite>,
}

impl Junit {
    /// One more.
    pub(crate) fn add(&mut self, done: &Done) {
        let status = match done.word() {
            "passed" => TestCaseStatus::success(),
            "skipped" => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(done.why().trim_end());
                status
            }
            word => {
                let kind = if word == "failed" { NonSuccessKind::Failure } else { NonSuccessKind::Error };
                let (mut status, why) = (TestCaseStatus::non_success(kind), done.why());
                status.set_message(why.lines().next().unwrap_or(word));
                status.set_description(why);
                status
            }
        };
        let mut case = TestCase::new(done.title(), status);
        case.set_classname(done.script.topic.as_str()).set_time(done.took);
        let topic = done.script.topic.as_str();
        let index = self.suites.iter().position(|suite| suite.name.as_str() == topic).unwrap_or_else(|| {
            self.suites.push(TestSuite::new(topic));
            self.suites.len() - 1
        });
        self.suites[index].add_test_case(case);
    }

    /// Writes it down. `took`: the whole run.
    pub(crate) fn write(self, path: &Path, took: Duration) -> Result<(), Failure> {
        let mut report = Report::new("tunstack drill");
        report.set_time(took).add_test_suites(self.suites);
        let cannot = |why: String| Failure::Failed(format!("cannot write {}: {why}", path.display()));
        let text = report.to_string().map_err(|e| cannot(e.to_string()))?;
        replace(path, &text).map_err(|e| cannot(super::super::output::why(&e)))
    }
}

/// Writes a file that others see whole or not at all: the one before stays until then. What is no file, a pipe say, is
/// written to, and so is a file in a folder that takes no other.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // What a link names is replaced, not the link.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = real.file_name().filter(|_| fs::metadata(&real).map_or(true, |to| to.is_file()));
    let Some(name) = name else { return fs::write(path, text) };
    let mut part = name.to_owned();
    part.push(format!(".{}", process::id()));
    let part = real.with_file_name(part);
    let begun = fs::OpenOptions::new().write(true).create_new(true).open(&part);
    let mut file = match begun {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return fs::write(path, text),
        begun => begun?,
    };
    // Who could read the one before can read this one, and nobody else.
    let alike = match fs::metadata(&real) {
        Ok(before) => file.set_permissions(before.permissions()),
        Err(_) => Ok(()),
    };
    let written =
        alike.and_then(|()| file.write_all(text.as_bytes())).and_then(|()| fs::rename(&part, &real));
    // What failed is what is told, not that it leaves something behind.
    written.inspect_err(|_| drop(fs::remove_file(&part)))
}
