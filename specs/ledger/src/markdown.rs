//! `docs/rfc.md`.

use std::fmt::Write as _;

use crate::check::{Clause, Ledger, Part, Standing};
use crate::citation::Citation;

/// The most characters of a clause that a table shows.
const SHOWN: usize = 110;

/// The report as a file of the folder `docs/`. It names no lines, so that only what concerns a clause changes
/// it.
#[must_use]
pub fn markdown(ledger: &Ledger) -> String {
    let mut out = String::from(
        "# RFC clauses: where each is obeyed, and which test shows it\n\n\
         Written by `tunstack-ledger` from [specs/](../specs) and from the citations in the source; \
         `tests/rfc.rs` fails when it is out of date, and `UPDATE=1 cargo test --test rfc` writes it anew. \
         `cargo run -p tunstack-ledger -- --html rfc.html` makes a page of it with the full sentences.\n\n\
         STEP is a clause without a keyword: a step of an algorithm. *Not cited yet* counts clauses that nobody \
         has looked at for this list; the code may well obey them.\n\n",
    );
    summary(ledger, &mut out);
    for part in &ledger.rfcs {
        table(part, &mut out);
    }
    out
}

fn summary(ledger: &Ledger, out: &mut String) {
    let columns: Vec<Standing> = Standing::ALL.into_iter().filter(|s| *s != Standing::Unaccounted).collect();
    let names: Vec<&str> = columns.iter().map(|standing| standing.name()).collect();
    let _ = writeln!(out, "| RFC | clauses | {} |", names.join(" | "));
    let _ = writeln!(out, "|---|--:|{}", "--:|".repeat(columns.len()));
    for part in &ledger.rfcs {
        let counts = part.counts();
        let numbers: Vec<String> = columns.iter().map(|s| counts.of(*s).to_string()).collect();
        let name = format!("[{}](#rfc-{}), {}", part.number, part.number, escaped(&part.title));
        let _ = writeln!(out, "| {name} | {} | {} |", counts.total(), numbers.join(" | "));
    }
    let counts = ledger.counts();
    let numbers: Vec<String> = columns.iter().map(|s| counts.of(*s).to_string()).collect();
    let _ = writeln!(out, "| together | {} | {} |", counts.total(), numbers.join(" | "));
}

fn table(part: &Part, out: &mut String) {
    let _ = write!(out, "\n## RFC {}\n\n{}\n\n", part.number, escaped(&part.title));
    out.push_str("| clause | level | in the code | test, or why not |\n|---|---|---|---|\n");
    for clause in &part.clauses {
        let requirement = &clause.requirement;
        let section = requirement.section.split(", ").next().unwrap_or_default();
        let anchor = if section == "front" { String::new() } else { format!("#section-{section}") };
        let link = format!("https://www.rfc-editor.org/rfc/rfc{}{anchor}", part.number);
        let text = requirement.feature.as_deref().unwrap_or(&requirement.quote);
        let _ = writeln!(
            out,
            "| [{}]({link}) {} | {} | {} | {} |",
            requirement.id,
            escaped(&shortened(text)),
            requirement.level,
            places(&clause.code),
            right(clause)
        );
    }
}

fn right(clause: &Clause) -> String {
    let tests = places(&clause.tests);
    let why = match (&clause.exception, &clause.requirement.status) {
        (Some(exception), _) if clause.standing == Standing::NotCited => exception.reason.clone(),
        (Some(exception), _) => format!("*{}:* {}", clause.standing.name(), escaped(&exception.reason)),
        (None, Some(status)) if clause.standing == Standing::Superseded => status.clone(),
        _ => String::new(),
    };
    [tests, why].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn places(citations: &[Citation]) -> String {
    let mut places: Vec<String> = citations
        .iter()
        .map(|c| {
            let item = if c.item.is_empty() { String::new() } else { format!(" `{}`", c.item) };
            format!("[{}](../{}){item}", c.file, c.file)
        })
        .collect();
    places.sort();
    places.dedup();
    places.join(", ")
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let head: String = text.chars().take(SHOWN).collect();
    let end = head.rfind(' ').unwrap_or(head.len());
    format!("{} …", &head[..end])
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "|*_<>[]`\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_one_cell() {
        assert_eq!(escaped("a|b_c <x>"), "a\\|b\\_c \\<x\\>");
        let long = "word ".repeat(60);
        let short = shortened(&long);
        assert!(short.chars().count() <= SHOWN + 2 && short.ends_with("word …"), "{short}");
    }
}
