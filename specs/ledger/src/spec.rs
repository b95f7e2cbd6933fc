//! What the files under `specs/` hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The reason of an exception that only says that nobody has looked at the clause yet. Such clauses are
/// counted apart.
pub const NOT_CITED: &str = "not cited yet";

/// How binding a clause is, in the words of RFC 2119, or `STEP` for one without a keyword.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Level {
    /// An absolute requirement.
    #[serde(rename = "MUST")]
    Must,
    /// An absolute prohibition.
    #[serde(rename = "MUST NOT")]
    MustNot,
    /// A requirement that one may leave for a good reason.
    #[serde(rename = "SHOULD")]
    Should,
    /// A prohibition that one may leave for a good reason.
    #[serde(rename = "SHOULD NOT")]
    ShouldNot,
    /// A permission.
    #[serde(rename = "MAY")]
    May,
    /// A step of an algorithm that the RFC writes as a plain imperative.
    #[serde(rename = "STEP")]
    Step,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "MUST",
            Self::MustNot => "MUST NOT",
            Self::Should => "SHOULD",
            Self::ShouldNot => "SHOULD NOT",
            Self::May => "MAY",
            Self::Step => "STEP",
        })
    }
}

/// One clause of an RFC.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// `MUST-12` where the RFC numbers its clauses, `rfc7323-3.2-1` or `STEP-3.10.7.4-1` elsewhere.
    pub id: String,
    /// The section, or several separated by `, `; `front` in an RFC without numbered sections.
    pub section: String,
    /// How binding it is.
    pub level: Level,
    /// What RFC 9293's Appendix B calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// Which later RFC superseded or updated it, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What stands before it in the RFC, where the quotation alone does not say what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The sentence, word for word.
    pub quote: String,
}

impl Requirement {
    /// Whether a later RFC took this clause over, so that it is accounted for there.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.status.as_deref().is_some_and(|status| status.starts_with("superseded by"))
    }

    /// Whether the clause stands in this section. Without a section, any.
    #[must_use]
    pub fn is_in(&self, section: Option<&str>) -> bool {
        section.is_none_or(|wanted| self.section.split(", ").any(|section| section == wanted))
    }
}

/// Why a clause is not shown by a test.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It is about something that this stack does not have or is not.
    NotApplicable,
    /// It is not obeyed yet, or no test shows it yet.
    NotDone,
    /// It is obeyed, and no test can show that.
    Untestable,
    /// A later RFC took it over.
    Superseded,
}

impl Kind {
    /// As it stands in `exceptions.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotApplicable => "not-applicable",
            Self::NotDone => "not-done",
            Self::Untestable => "untestable",
            Self::Superseded => "superseded",
        }
    }
}

/// A clause that no test shows, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Of the clause.
    pub id: String,
    /// Which sort of reason.
    pub kind: Kind,
    /// The reason itself.
    pub reason: String,
}

/// One RFC with its clauses, in the order of the files.
#[derive(Clone, Debug)]
pub struct Rfc {
    /// Its number.
    pub number: u32,
    /// Its title.
    pub title: String,
    /// Its clauses, ours last.
    pub requirements: Vec<Requirement>,
    /// By the clause's id.
    pub exceptions: BTreeMap<String, Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequirementsFile {
    rfc: u32,
    title: String,
    requirement: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnFile {
    requirement: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExceptionsFile {
    #[serde(default)]
    exception: Vec<Exception>,
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

impl Rfc {
    /// Reads the folder of one RFC. `faults` gets what is wrong within files that can be read.
    fn read(folder: &Path, faults: &mut Vec<String>) -> Result<Self, String> {
        let file: RequirementsFile = parse(&folder.join("requirements.toml"))?;
        let mut requirements = file.requirement;
        let own = folder.join("own.toml");
        if own.exists() {
            requirements.extend(parse::<OwnFile>(&own)?.requirement);
        }
        let name = format!("specs/rfc{}", file.rfc);
        if !folder.ends_with(format!("rfc{}", file.rfc)) {
            faults.push(format!("{}: says that it is RFC {}", folder.display(), file.rfc));
        }
        let mut ids = BTreeSet::new();
        for requirement in &requirements {
            if !ids.insert(requirement.id.clone()) {
                faults.push(format!("{name}: {} stands there twice", requirement.id));
            }
            if requirement.quote.trim().is_empty() {
                faults.push(format!("{name}: {} quotes nothing", requirement.id));
            }
        }
        let mut exceptions = BTreeMap::new();
        let path = folder.join("exceptions.toml");
        let listed = if path.exists() { parse::<ExceptionsFile>(&path)?.exception } else { Vec::new() };
        for exception in listed {
            let id = exception.id.clone();
            if !ids.contains(&id) {
                faults.push(format!("{name}/exceptions.toml: no clause has the id {id}"));
            }
            if exception.reason.trim().is_empty() {
                faults.push(format!("{name}/exceptions.toml: {id} has no reason"));
            }
            if exceptions.insert(id.clone(), exception).is_some() {
                faults.push(format!("{name}/exceptions.toml: {id} stands there twice"));
            }
        }
        Ok(Self { number: file.rfc, title: file.title, requirements, exceptions })
    }

    /// Reads every `specs/rfc*` folder under `root`, by number. The faults are of files that can be read.
    ///
    /// # Errors
    ///
    /// A file that is missing or is not what it should be, with its path.
    pub fn read_all(root: &Path) -> Result<(Vec<Self>, Vec<String>), String> {
        let specs = root.join("specs");
        let failed = |e: std::io::Error| format!("{}: {e}", specs.display());
        let mut rfcs = Vec::new();
        let mut faults = Vec::new();
        for entry in fs::read_dir(&specs).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_string_lossy().starts_with("rfc") {
                rfcs.push(Self::read(&entry.path(), &mut faults)?);
            }
        }
        if rfcs.is_empty() {
            return Err(format!("{}: holds no folder rfcNNNN", specs.display()));
        }
        rfcs.sort_by_key(|rfc| rfc.number);
        Ok((rfcs, faults))
    }
}
