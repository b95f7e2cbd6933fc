//! The report as JUnit's XML, which most build servers read.

use std::fs;
use std::path::Path;
use std::time::Duration;

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
        fs::write(path, text).map_err(|e| cannot(super::super::output::why(&e)))
    }
}
