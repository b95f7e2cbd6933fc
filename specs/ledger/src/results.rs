//! How the tests ended, from what `cargo test` printed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::citation::Citation;

/// Where scripts are, each of which is a test by its name below.
const SCRIPTS: &str = "tests/packetdrill/";

/// Tests by their names, as the test programs print them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results(BTreeMap<String, Outcome>);

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Well.
    Passed,
    /// It was not run.
    Ignored,
    /// Not well.
    Failed,
}

impl Outcome {
    /// In the words of the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Ignored => "not run",
            Self::Failed => "failed",
        }
    }
}

impl Results {
    /// Adds the lines of `text` that say how a test ended: `test name ... ok`. Of a test that ended twice the worse counts.
    pub fn add(&mut self, text: &str) {
        for line in text.lines() {
            let Some((name, end)) = line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... "))
            else {
                continue;
            };
            let outcome = match end.split([' ', ',']).next() {
                Some("ok") => Outcome::Passed,
                Some("FAILED") => Outcome::Failed,
                Some("ignored") => Outcome::Ignored,
                _ => continue,
            };
            let name = name.trim_end().trim_end_matches(" - should panic").to_owned();
            self.0.entry(name).and_modify(|had| *had = outcome.max(*had)).or_insert(outcome);
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How the test of a citation ended, in all of its variants; `None`: it is not among these.
    #[must_use]
    pub fn of(&self, test: &Citation) -> Option<Outcome> {
        if let Some(script) = test.file.strip_prefix(SCRIPTS).filter(|_| test.file.ends_with(".pkt")) {
            let of_script = |name: &str| {
                name.strip_prefix(script)
                    .is_some_and(|variant| variant.is_empty() || variant.starts_with(' '))
            };
            return self.worst(of_script);
        }
        let is_named = |name: &str| name.rsplit("::").next() == Some(test.item.as_str());
        // Two modules may have tests of one name: then it is the one whose path has the file's name.
        let stem = Path::new(&test.file).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_here = |name: &str| is_named(name) && name.split("::").any(|part| part == stem);
        self.worst(is_here).or_else(|| self.worst(is_named))
    }

    fn worst(&self, is_it: impl Fn(&str) -> bool) -> Option<Outcome> {
        self.0.iter().filter(|(name, _)| is_it(name)).map(|(_, outcome)| *outcome).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::citation::Role;

    fn citation(file: &str, item: &str) -> Citation {
        Citation {
            rfc: 9293,
            section: None,
            ids: Vec::new(),
            quotation: String::new(),
            role: Role::Test,
            file: file.into(),
            line: 1,
            item: item.into(),
        }
    }

    #[test]
    fn tests_are_found_by_name_file_and_variant() {
        let mut results = Results::default();
        results.add(
            "running 9 tests\n\
             test stack::tests::rfc1122::a_ping ... ok\n\
             test stack::tests::rfc792::a_ping ... FAILED\n\
             test slow ... ignored, by hand\n\
             test kernel_listens ... ok\n\
             test reset/exact.pkt ipv4                ... ok\n\
             test reset/exact.pkt ipv6                ... FAILED\n\
             test reset/exact.pkt-not ... ok\n\
             test close/one.pkt ... ok\n\
             test result: FAILED. 4 passed; 2 failed\n",
        );
        let of = |file, item| results.of(&citation(file, item));
        assert_eq!(of("src/core/stack/tests/rfc1122.rs", "a_ping"), Some(Outcome::Passed));
        assert_eq!(of("src/core/stack/tests/rfc792.rs", "a_ping"), Some(Outcome::Failed));
        assert_eq!(of("tests/kernel/main.rs", "kernel_listens"), Some(Outcome::Passed));
        assert_eq!(of("tests/slow.rs", "slow"), Some(Outcome::Ignored));
        assert_eq!(of("tests/packetdrill/reset/exact.pkt", ""), Some(Outcome::Failed));
        assert_eq!(of("tests/packetdrill/close/one.pkt", ""), Some(Outcome::Passed));
        assert_eq!(of("tests/packetdrill/close/two.pkt", ""), None);
        assert_eq!(of("src/core/x.rs", "nowhere"), None);
    }
}
