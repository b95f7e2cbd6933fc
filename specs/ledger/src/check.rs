//! Clauses and citations brought together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::citation::{self, Citation, Role, folded};
use crate::place::words;
use crate::spec::{Exception, Kind, NOT_CITED, Requirement, Rfc};

/// Fewer characters than these quote nothing.
const SHORTEST: usize = 12;

/// How a clause stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Code obeys it and a test shows it.
    Shown,
    /// A later RFC took it over.
    Superseded,
    /// It is not about a stack like this one.
    NotApplicable,
    /// It is obeyed, and no test can show that.
    Untestable,
    /// It is not obeyed, or no test shows it yet, and why is known.
    NotDone,
    /// Nobody has looked at it yet.
    NotCited,
    /// Nothing accounts for it: a fault.
    Unaccounted,
}

impl Standing {
    /// In the words of the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shown => "shown by a test",
            Self::Superseded => "superseded",
            Self::NotApplicable => "not applicable",
            Self::Untestable => "untestable",
            Self::NotDone => "not done",
            Self::NotCited => "not cited yet",
            Self::Unaccounted => "unaccounted",
        }
    }

    /// In the order of the report.
    pub const ALL: [Self; 7] = [
        Self::Shown,
        Self::Untestable,
        Self::NotApplicable,
        Self::Superseded,
        Self::NotDone,
        Self::NotCited,
        Self::Unaccounted,
    ];
}

/// A clause with all that is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct Clause {
    /// What the RFC says.
    #[serde(flatten)]
    pub requirement: Requirement,
    /// How it stands.
    pub standing: Standing,
    /// Where the code obeys it.
    pub code: Vec<Citation>,
    /// Which tests show it.
    pub tests: Vec<Citation>,
    /// Why no test shows it.
    pub exception: Option<Exception>,
}

/// How many clauses stand how.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Counts(BTreeMap<Standing, usize>);

impl Counts {
    /// The number of clauses that stand so.
    #[must_use]
    pub fn of(&self, standing: Standing) -> usize {
        self.0.get(&standing).copied().unwrap_or(0)
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }

    fn add(&mut self, standing: Standing) {
        *self.0.entry(standing).or_default() += 1;
    }
}

/// One RFC with its clauses.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// The number of the RFC.
    pub number: u32,
    /// Its title.
    pub title: String,
    /// In the order of the files.
    pub clauses: Vec<Clause>,
}

impl Part {
    /// How many of its clauses stand how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for clause in &self.clauses {
            counts.add(clause.standing);
        }
        counts
    }
}

/// Every RFC, by number.
#[derive(Clone, Debug, Serialize)]
pub struct Ledger {
    /// One for each folder of `specs/`.
    pub rfcs: Vec<Part>,
}

/// The ledger, and what is wrong in it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What could be read.
    pub ledger: Ledger,
    /// One line each; empty if every clause is accounted for and every citation fits.
    pub faults: Vec<String>,
}

impl Ledger {
    /// Reads `specs/`, `src/` and `tests/` of the repository at `root`.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is not TOML of the right shape, with its path. What is wrong in files
    /// that can be read is among the faults of the report.
    pub fn read(root: &Path) -> Result<Report, String> {
        let (rfcs, mut faults) = Rfc::read_all(root)?;
        let citations = citation::read_all(root, &mut faults)?;
        Ok(Self::join(rfcs, citations, faults))
    }

    fn join(rfcs: Vec<Rfc>, citations: Vec<Citation>, mut faults: Vec<String>) -> Report {
        let mut cited: BTreeMap<(u32, String), Vec<Citation>> = BTreeMap::new();
        for citation in citations {
            match resolve(&citation, &rfcs) {
                Ok(ids) => {
                    for id in ids {
                        cited.entry((citation.rfc, id)).or_default().push(citation.clone());
                    }
                }
                Err(why) => faults.push(format!("{}:{}: {why}", citation.file, citation.line)),
            }
        }
        let mut parts = Vec::new();
        for rfc in rfcs {
            let mut clauses = Vec::new();
            for requirement in &rfc.requirements {
                let found = cited.remove(&(rfc.number, requirement.id.clone())).unwrap_or_default();
                let exception = rfc.exceptions.get(&requirement.id).cloned();
                clauses.push(Clause::new(rfc.number, requirement.clone(), found, exception, &mut faults));
            }
            parts.push(Part { number: rfc.number, title: rfc.title, clauses });
        }
        Report { ledger: Self { rfcs: parts }, faults }
    }

    /// How many clauses of all RFCs stand how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for clause in self.rfcs.iter().flat_map(|rfc| &rfc.clauses) {
            counts.add(clause.standing);
        }
        counts
    }
}

impl Clause {
    fn new(
        rfc: u32,
        requirement: Requirement,
        found: Vec<Citation>,
        exception: Option<Exception>,
        faults: &mut Vec<String>,
    ) -> Self {
        let (tests, code): (Vec<_>, Vec<_>) = found.into_iter().partition(|c| c.role == Role::Test);
        let name = format!("RFC {rfc}, {}", requirement.id);
        let standing = match &exception {
            Some(exception) => {
                match exception.kind {
                    Kind::Superseded => {}
                    kind if !tests.is_empty() => faults.push(format!(
                        "{name}: specs/rfc{rfc}/exceptions.toml has it as {}, but {} shows it: one of the two has to go",
                        kind.name(),
                        place(&tests[0])
                    )),
                    Kind::NotDone if exception.reason == NOT_CITED && !code.is_empty() => faults.push(format!(
                        "{name}: specs/rfc{rfc}/exceptions.toml says `{NOT_CITED}`, but {} cites it: say what is missing",
                        place(&code[0])
                    )),
                    _ => {}
                }
                match exception.kind {
                    Kind::NotApplicable => Standing::NotApplicable,
                    Kind::NotDone if exception.reason == NOT_CITED => Standing::NotCited,
                    Kind::NotDone => Standing::NotDone,
                    Kind::Untestable => Standing::Untestable,
                    Kind::Superseded => Standing::Superseded,
                }
            }
            None if !code.is_empty() && !tests.is_empty() => Standing::Shown,
            None if requirement.is_superseded() => Standing::Superseded,
            None => {
                let missing = match (code.first(), tests.first()) {
                    (Some(code), _) => format!("{} obeys it, and no test shows it", place(code)),
                    (_, Some(test)) => {
                        format!("{} shows it, and no code is cited that obeys it", place(test))
                    }
                    _ => "no citation in code and test, and no exception".to_owned(),
                };
                faults.push(format!("{name}: {missing}"));
                Standing::Unaccounted
            }
        };
        Self { requirement, standing, code, tests, exception }
    }
}

fn place(citation: &Citation) -> String {
    format!("{}:{}", citation.file, citation.line)
}

/// The ids of the clauses that a citation is about.
fn resolve(citation: &Citation, rfcs: &[Rfc]) -> Result<Vec<String>, String> {
    let Some(rfc) = rfcs.iter().find(|rfc| rfc.number == citation.rfc) else {
        return Err(format!("specs/ has no RFC {}", citation.rfc));
    };
    let section = citation.section.as_deref();
    if !citation.ids.is_empty() {
        return by_id(citation, rfc).map(|()| citation.ids.clone());
    }
    if citation.quotation.len() < SHORTEST {
        return Err(format!("the quotation `{}` is too short to find a clause by", citation.quotation));
    }
    let fits = |r: &&Requirement| r.is_in(section) && quotes(&citation.quotation, r);
    let mut found: Vec<&Requirement> = rfc.requirements.iter().filter(fits).collect();
    narrow(&mut found, |r| citation.quotation.contains(&format!("({})", r.id)));
    narrow(&mut found, |r| citation.quotation == folded(&r.quote));
    match found[..] {
        [one] => Ok(vec![one.id.clone()]),
        [] => Err(format!(
            "no clause of RFC {}{} has these words; {}",
            rfc.number,
            said(section),
            nearest(citation, rfc)
        )),
        _ => {
            let ids: Vec<&str> = found.iter().map(|r| r.id.as_str()).collect();
            Err(format!("the quotation fits {}: say which, as in //= id={}", ids.join(" and "), ids[0]))
        }
    }
}

fn narrow(found: &mut Vec<&Requirement>, keep: impl Fn(&Requirement) -> bool) {
    if found.len() > 1 && found.iter().any(|r| keep(r)) {
        found.retain(|r| keep(r));
    }
}

fn by_id(citation: &Citation, rfc: &Rfc) -> Result<(), String> {
    let section = citation.section.as_deref();
    for id in &citation.ids {
        let Some(requirement) = rfc.requirements.iter().find(|r| r.id == *id) else {
            return Err(format!("RFC {} has no clause {id}; {}", rfc.number, nearest(citation, rfc)));
        };
        if !requirement.is_in(section) {
            return Err(format!("{id} stands in section {}, not{}", requirement.section, said(section)));
        }
        if !citation.quotation.is_empty() && !quotes(&citation.quotation, requirement) {
            return Err(format!("{id} has other words: \"{}\"", requirement.quote));
        }
    }
    Ok(())
}

fn said(section: Option<&str>) -> String {
    section.map(|section| format!(" section {section}")).unwrap_or_default()
}

fn quotes(quotation: &str, requirement: &Requirement) -> bool {
    let quote = folded(&requirement.quote);
    quote.contains(quotation) || quotation.contains(&quote)
}

/// The clause of the RFC that shares the greatest part of its words with the quotation.
fn nearest(citation: &Citation, rfc: &Rfc) -> String {
    let wanted: BTreeSet<String> = words(&citation.quotation).map(str::to_lowercase).collect();
    let alike = |r: &Requirement| {
        let has: BTreeSet<String> = words(&r.quote).map(str::to_lowercase).collect();
        let both = wanted.intersection(&has).count();
        // In thousandths, of the shorter of the two, since a part is a fair quotation.
        both * 1000 / wanted.len().min(has.len()).max(1) + usize::from(r.is_in(citation.section.as_deref()))
    };
    match rfc.requirements.iter().max_by_key(|r| alike(r)) {
        Some(r) => format!("nearest is {} (section {}): \"{}\"", r.id, r.section, r.quote),
        None => "it has no clauses at all".to_owned(),
    }
}

#[cfg(test)]
mod tests;
