//! Every script below this folder, over IPv4, IPv4-mapped IPv6 and IPv6, in virtual time: a test each.
//!
//! A script whose head names an `--ip_version` is run with that alone. And the table of how each script was seen red,
//! `BREAKS.md`, is held to the scripts that there are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use tunstack::packetdrill::diff;
use tunstack::packetdrill::run::{Options, Verdict, run};

const VERSIONS: [&str; 3] = ["ipv4", "ipv4-mapped-ipv6", "ipv6"];

fn scripts(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            scripts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            found.push(path);
        }
    }
}

fn one(path: &Path, name: &str, version: Option<&str>) -> Result<(), Failed> {
    let text = fs::read_to_string(path)?;
    let mut settings = Vec::new();
    if let Some(version) = version {
        settings.push(("ip_version".to_owned(), Some(version.to_owned())));
    }
    let says = |option: &str| text.lines().any(|line| line.starts_with(option));
    if version == Some("ipv6") || says("--ip_version=ipv6") && !says("--mtu=") {
        // A full segment has as many octets as over IPv4.
        settings.push(("mtu".to_owned(), Some("1520".to_owned())));
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let outcome = run(name, &text, &Options { settings, captures: None, folder })
        .map_err(|error| error.render(name, &text))?;
    match outcome.verdict {
        Verdict::Passed => Ok(()),
        Verdict::Failed(failure) => Err(diff::render(name, &text, &failure).into()),
        Verdict::Skipped(why) => Err(format!("skipped: {why}").into()),
    }
}

/// The RFCs and sections that the head of a script cites, as the table has them.
fn cited(text: &str) -> String {
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("//= https://www.rfc-editor.org/rfc/rfc") else { continue };
        let clause = rest.replace("#section-", " ");
        if !found.contains(&clause) {
            found.push(clause);
        }
    }
    if found.is_empty() { "-".to_owned() } else { found.join(", ") }
}

/// The rows of the table against the scripts: one each, with the clauses of its head, a rule and what was said.
fn every_script_was_seen_red(root: &Path, found: &[PathBuf]) -> Result<(), Failed> {
    let table = fs::read_to_string(root.join("BREAKS.md"))?;
    let mut rows = BTreeMap::new();
    for line in table.lines().filter_map(|line| line.strip_prefix("| ")).skip(1) {
        let cells: Vec<&str> = line.splitn(4, " | ").map(str::trim).collect();
        let [name, clauses, rule, said] = cells[..] else {
            return Err(format!("not a row: {line}").into());
        };
        if rule.is_empty() || said.trim_end_matches('|').trim().is_empty() {
            return Err(format!("{name}: no rule that was turned off, or nothing said of it").into());
        }
        if rows.insert(name.to_owned(), clauses.to_owned()).is_some() {
            return Err(format!("{name} stands there twice").into());
        }
    }
    for path in found {
        let name = path.strip_prefix(root)?.with_extension("").display().to_string();
        let clauses = rows.remove(&name).ok_or(format!("{name} has no row"))?;
        let cited = cited(&fs::read_to_string(path)?);
        if clauses != cited {
            return Err(format!("{name} cites {cited}; its row has {clauses}").into());
        }
    }
    match rows.keys().next() {
        None => Ok(()),
        Some(name) => Err(format!("there is no script {name}").into()),
    }
}

fn main() {
    let args = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packetdrill");
    let mut found = Vec::new();
    scripts(&root, &mut found);
    assert!(!found.is_empty(), "there are scripts");
    let table = (root.clone(), found.clone());
    let mut trials = vec![Trial::test("BREAKS.md", move || every_script_was_seen_red(&table.0, &table.1))];
    for path in found {
        let name = path.strip_prefix(&root).expect("below the root").display().to_string();
        let text = fs::read_to_string(&path).expect("it can be read");
        let own = text.lines().any(|line| line.starts_with("--ip_version"));
        let versions = if own { vec![None] } else { VERSIONS.map(Some).to_vec() };
        for version in versions {
            let (path, name) = (path.clone(), name.clone());
            let title = version.map_or_else(|| name.clone(), |version| format!("{name} {version}"));
            trials.push(Trial::test(title, move || one(&path, &name, version)));
        }
    }
    libtest_mimic::run(&args, trials).exit();
}
