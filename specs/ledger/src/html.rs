//! The report as one HTML page that needs nothing else.

use std::fmt::Write as _;

use crate::check::{Clause, Counts, Ledger, Standing};
use crate::citation::Citation;
use crate::results::{Outcome, Results};

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>tunstack: RFC clauses</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 1.6rem }
td, th { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #d8dee4 }
th { position: sticky; top: 0; background: #f6f8fa; font-size: 13px } .n { text-align: right } .none { color: #afb8c1 }
.clauses { table-layout: fixed } .clauses td { overflow-wrap: anywhere } .sum td { font-weight: 600 }
code { font-size: 12.5px } q { color: #3b4148 } .places { margin: 0; padding: 0; list-style: none }
.places li { margin-bottom: .15rem }
summary { font-size: 1.15rem; font-weight: 600; cursor: pointer; padding: .4rem 0 }
.bar { display: flex; height: .7rem; width: 9rem; margin-top: .4rem; border-radius: 3px; overflow: hidden; background: #eaeef2 }
.mark { white-space: nowrap; border-radius: 3px; padding: .05rem .4rem; color: #fff; font-size: 12.5px }
.key { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin-right: .25rem }
.shown { background: #1a7f37 } .untestable { background: #57606a } .not-applicable { background: #8c959f }
.superseded { background: #afb8c1; color: #1b1f24 } .not-done { background: #9a6700 }
.not-cited { background: #d8c8e8; color: #1b1f24 } .unaccounted { background: #cf222e }
:target { background: #fff8c5 }
</style>
<h1>RFC clauses: where each is obeyed, and which test shows it</h1>
"#;

fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Shown => "shown",
        Standing::Superseded => "superseded",
        Standing::NotApplicable => "not-applicable",
        Standing::Untestable => "untestable",
        Standing::NotDone => "not-done",
        Standing::NotCited => "not-cited",
        Standing::Unaccounted => "unaccounted",
    }
}

/// The report as a page: a summary, then every clause in full with its places, and with how its tests ended where
/// `results` has them.
#[must_use]
pub fn html(ledger: &Ledger, results: &Results) -> String {
    let mut out = String::from(HEAD);
    tests(ledger, results, &mut out);
    out.push_str("<table><tr><th>RFC<th>title<th class=n>clauses<th>");
    for standing in Standing::ALL {
        let _ = write!(out, "<th class=n><span class=\"key {}\"></span>{}", class(standing), standing.name());
    }
    for part in &ledger.rfcs {
        let name = format!("<tr><td><a href=\"#rfc{0}\">{0}</a><td>{1}", part.number, escaped(&part.title));
        row(&name, &part.counts(), &mut out);
    }
    row("<tr class=sum><td><td>together", &ledger.counts(), &mut out);
    out.push_str("</table>\n");
    for part in &ledger.rfcs {
        let _ = write!(
            out,
            "<details open id=\"rfc{0}\"><summary>RFC {0}: {1}</summary>\n\
             <table class=clauses><colgroup><col style=\"width:9.5rem\"><col style=\"width:6.5rem\"><col style=\"width:28%\">\
             <col style=\"width:24%\"><col></colgroup>\
             <tr><th>clause<th>level<th>what it says<th>in the code<th>test, or why not\n",
            part.number,
            escaped(&part.title)
        );
        for clause in &part.clauses {
            line(part.number, clause, results, &mut out);
        }
        out.push_str("</table></details>\n");
    }
    out.push_str("</html>\n");
    out
}

/// How the tests ended, and which clauses have one that did not pass.
fn tests(ledger: &Ledger, results: &Results, out: &mut String) {
    if results.is_empty() {
        return;
    }
    let (mut passed, mut others) = (0, String::new());
    for part in &ledger.rfcs {
        for clause in &part.clauses {
            match worst(clause, results) {
                None => {}
                Some(Outcome::Passed) => passed += 1,
                Some(outcome) => {
                    let id = escaped(&clause.requirement.id);
                    let _ = write!(
                        others,
                        "<li><a href=\"#{0}\">RFC {1}, {id}</a>: {2}",
                        place(part.number, clause),
                        part.number,
                        outcome.name()
                    );
                }
            }
        }
    }
    let _ = write!(out, "<p>All tests of {passed} clauses passed.");
    if !others.is_empty() {
        let _ = write!(out, " <strong>Not of these</strong>:<ul>{others}</ul>");
    }
}

/// How the tests of a clause ended, the worst of them. A test nobody ran shows nothing.
fn worst(clause: &Clause, results: &Results) -> Option<Outcome> {
    clause.tests.iter().map(|test| results.of(test).unwrap_or(Outcome::Ignored)).max()
}

/// Where on the page a clause stands.
fn place(rfc: u32, clause: &Clause) -> String {
    format!("rfc{rfc}-{}", clause.requirement.id.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
}

fn row(name: &str, counts: &Counts, out: &mut String) {
    let _ = write!(out, "\n{name}<td class=n>{}<td><div class=bar>", counts.total());
    for standing in Standing::ALL.into_iter().filter(|s| counts.of(*s) > 0) {
        let _ = write!(out, "<span class={} style=\"flex:{}\"></span>", class(standing), counts.of(standing));
    }
    out.push_str("</div>");
    for standing in Standing::ALL {
        let none = if counts.of(standing) == 0 { " none" } else { "" };
        let _ = write!(out, "<td class=\"n{none}\">{}", counts.of(standing));
    }
}

fn line(rfc: u32, clause: &Clause, results: &Results, out: &mut String) {
    let requirement = &clause.requirement;
    let section = requirement.section.split(", ").next().unwrap_or_default();
    let anchor = if section == "front" { String::new() } else { format!("#section-{section}") };
    let _ = write!(
        out,
        "<tr id=\"{}\"><td><a href=\"https://www.rfc-editor.org/rfc/rfc{rfc}{anchor}\">{}</a><td>{}<td>",
        place(rfc, clause),
        escaped(&requirement.id),
        requirement.level
    );
    if let Some(feature) = &requirement.feature {
        let _ = write!(out, "{}<br>", escaped(feature));
    }
    let _ = write!(out, "<q>{}</q><td>", escaped(&requirement.quote));
    places(&clause.code, None, out);
    out.push_str("<td>");
    // What is shown by a test that fails is not shown.
    let (class, word) = match worst(clause, results).filter(|_| !results.is_empty()) {
        Some(Outcome::Failed) => ("unaccounted", "a test of it failed"),
        Some(Outcome::Ignored) => ("not-done", "a test of it was not run"),
        Some(Outcome::Passed) | None => (class(clause.standing), clause.standing.name()),
    };
    let _ = write!(out, "<span class=\"mark {class}\">{word}</span> ");
    places(&clause.tests, Some(results).filter(|results| !results.is_empty()), out);
    if let Some(exception) = &clause.exception {
        out.push_str(&escaped(&exception.reason));
    } else if let Some(status) = &requirement.status {
        out.push_str(&escaped(status));
    }
    out.push('\n');
}

/// With how each ended, where there are `results`.
fn places(citations: &[Citation], results: Option<&Results>, out: &mut String) {
    if citations.is_empty() {
        return;
    }
    out.push_str("<ul class=places>");
    for c in citations {
        let ended = results.map(|results| results.of(c).unwrap_or(Outcome::Ignored));
        let (class, sign) = match ended {
            None => ("", ""),
            Some(Outcome::Passed) => ("shown", "✓"),
            Some(Outcome::Failed) => ("unaccounted", "failed"),
            Some(Outcome::Ignored) => ("not-done", "not run"),
        };
        out.push_str("<li>");
        if let Some(ended) = ended {
            let _ = write!(out, "<span class=\"mark {class}\" title=\"{}\">{sign}</span> ", ended.name());
        }
        // Names of tests are long, and broken between their words.
        let item = escaped(&c.item).replace('_', "_<wbr>");
        let _ = write!(out, "<code>{}:{}</code> {item}", escaped(&c.file), c.line);
    }
    out.push_str("</ul>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Part;
    use crate::citation::Role;
    use crate::spec::{Level, Requirement};

    fn clause(id: &str, test: &str) -> Clause {
        let requirement = Requirement {
            id: id.into(),
            section: "3.1".into(),
            level: Level::Must,
            feature: None,
            status: None,
            context: None,
            quote: "a < b".into(),
        };
        let test = Citation {
            rfc: 9293,
            section: None,
            ids: Vec::new(),
            quotation: String::new(),
            role: Role::Test,
            file: "src/a.rs".into(),
            line: 7,
            item: test.into(),
        };
        Clause {
            requirement,
            standing: Standing::Shown,
            code: Vec::new(),
            tests: vec![test],
            exception: None,
        }
    }

    #[test]
    fn a_clause_whose_test_fails_or_is_not_run_is_not_shown() {
        let clauses =
            vec![clause("MUST-1", "passes"), clause("MUST-2", "fails"), clause("MUST-3", "is_not_run")];
        let ledger = Ledger { rfcs: vec![Part { number: 9293, title: "TCP".into(), clauses }] };
        let marks = |page: &str, word: &str| page.matches(&format!("\">{word}</span>")).count();
        let plain = html(&ledger, &Results::default());
        assert_eq!((marks(&plain, "shown by a test"), plain.contains("<p>")), (3, false));
        assert!(
            plain.contains("<q>a &lt; b</q>") && plain.contains("src/a.rs:7</code> is_<wbr>not_<wbr>run")
        );
        let mut results = Results::default();
        results.add("test a::passes ... ok\ntest a::fails ... FAILED\n");
        let page = html(&ledger, &results);
        let words =
            ["shown by a test", "a test of it failed", "a test of it was not run", "✓", "failed", "not run"];
        assert_eq!(words.map(|word| marks(&page, word)), [1; 6]);
        assert!(page.contains("All tests of 1 clauses passed."), "{page}");
        for (id, how) in [("MUST-2", "failed"), ("MUST-3", "not run")] {
            let told = format!("<li><a href=\"#rfc9293-{id}\">RFC 9293, {id}</a>: {how}");
            assert!(page.contains(&told) && page.contains(&format!("<tr id=\"rfc9293-{id}\">")), "{told}");
        }
    }
}
