//! The requirements ledger: every clause of the RFCs in `specs/` is obeyed by code that cites it and shown by a
//! test that cites it, or `specs/rfcNNNN/exceptions.toml` says why not.
//!
//! `UPDATE=1 cargo test --test rfc` writes `docs/rfc.md` anew and raises `specs/ratchet.toml`, whose counts
//! never fall.

use std::fs;
use std::path::{Path, PathBuf};

use tunstack_ledger::{Ledger, Report, lower, markdown, raised};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read() -> Report {
    Ledger::read(root()).unwrap_or_else(|why| panic!("{why}"))
}

fn update() -> bool {
    std::env::var_os("UPDATE").is_some_and(|v| v == "1")
}

/// Compares a committed file with what it should hold, or writes it.
fn committed(path: &str, expected: &str) {
    let absolute: PathBuf = root().join(path);
    if update() {
        fs::write(&absolute, expected).unwrap();
    }
    let is = fs::read_to_string(&absolute).unwrap_or_else(|e| panic!("{path}: {e}"));
    let first = is.lines().zip(expected.lines()).find(|(is, expected)| is != expected);
    assert!(
        is == expected,
        "{path} is out of date, first at {first:?}; UPDATE=1 cargo test --test rfc writes it anew"
    );
}

#[test]
fn every_clause_is_accounted_for_and_every_citation_fits() {
    let faults = read().faults;
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The RFCs that the stack claims, none left out, and the numbers of RFC 9293's Appendix B without a gap.
#[test]
fn the_clauses_are_all_there() {
    let ledger = read().ledger;
    let numbers: Vec<u32> = ledger.rfcs.iter().map(|rfc| rfc.number).collect();
    for claimed in [
        768, 792, 1122, 1191, 2018, 2883, 3042, 3168, 3465, 3522, 4015, 4443, 4821, 4987, 5482, 5681, 5682,
        5961, 6298, 6528, 6582, 6675, 7323, 7413, 8200, 8201, 8511, 8985, 9293, 9406, 9438, 9768, 9937,
    ] {
        assert!(numbers.contains(&claimed), "RFC {claimed} is not in specs/");
    }
    let tcp = ledger.rfcs.iter().find(|rfc| rfc.number == 9293).unwrap();
    for (prefix, last) in [("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1)] {
        for number in 1..=last {
            let id = format!("{prefix}-{number}");
            assert!(tcp.clauses.iter().any(|clause| clause.requirement.id == id), "{id} is missing");
        }
    }
}

#[test]
fn the_report_is_the_committed_one() {
    committed("docs/rfc.md", &markdown(&read().ledger));
}

#[test]
fn what_is_shown_never_becomes_fewer() {
    let ledger = read().ledger;
    let path = root().join("specs/ratchet.toml");
    let text = fs::read_to_string(path).unwrap();
    let fewer = lower(&ledger, &text).unwrap();
    assert!(fewer.is_empty(), "\n{}\n", fewer.join("\n"));
    committed("specs/ratchet.toml", &raised(&ledger, &text).unwrap());
}
