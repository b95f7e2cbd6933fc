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
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; width: 100%; margin: .6rem 0 1.6rem }
td, th { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #d8dee4 }
th { position: sticky; top: 0; background: #f6f8fa } td.n { text-align: right }
code { font-size: 13px } q { color: #3b4148 } summary { font-size: 1.15rem; font-weight: 600; cursor: pointer; padding: .4rem 0 }
.bar { display: flex; height: .7rem; width: 14rem; border-radius: 3px; overflow: hidden; background: #eaeef2 }
.mark { white-space: nowrap; border-radius: 3px; padding: .05rem .4rem; color: #fff; font-size: 13px }
.shown { background: #1a7f37 } .untestable { background: #57606a } .not-applicable { background: #8c959f }
.superseded { background: #afb8c1 } .not-done { background: #bf8700 } .not-cited { background: #d8c8e8; color: #1b1f24 }
.unaccounted { background: #cf222e }
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
    out.push_str("<table><tr><th>RFC<th>title<th>clauses<th>");
    for standing in Standing::ALL {
        let _ = write!(out, "<th>{}", standing.name());
    }
    for part in &ledger.rfcs {
        let name = format!("<a href=\"#rfc{0}\">{0}</a><td>{1}", part.number, escaped(&part.title));
        row(&name, &part.counts(), &mut out);
    }
    row("<td>together", &ledger.counts(), &mut out);
    out.push_str("</table>\n");
    for part in &ledger.rfcs {
        let _ = write!(
            out,
            "<details open id=\"rfc{0}\"><summary>RFC {0}: {1}</summary>\n\
             <table><tr><th>clause<th>level<th>what it says<th>in the code<th>test, or why not\n",
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

fn row(name: &str, counts: &Counts, out: &mut String) {
    let _ = write!(out, "\n<tr><td>{name}<td class=n>{}<td><div class=bar>", counts.total());
    for standing in Standing::ALL.into_iter().filter(|s| counts.of(*s) > 0) {
        let _ = write!(out, "<span class={} style=\"flex:{}\"></span>", class(standing), counts.of(standing));
    }
    out.push_str("</div>");
    for standing in Standing::ALL {
        let _ = write!(out, "<td class=n>{}", counts.of(standing));
    }
}

fn line(rfc: u32, clause: &Clause, results: &Results, out: &mut String) {
    let requirement = &clause.requirement;
    let section = requirement.section.split(", ").next().unwrap_or_default();
    let anchor = if section == "front" { String::new() } else { format!("#section-{section}") };
    let _ = write!(
        out,
        "<tr><td><a href=\"https://www.rfc-editor.org/rfc/rfc{rfc}{anchor}\">{}</a><td>{}<td>",
        escaped(&requirement.id),
        requirement.level
    );
    if let Some(feature) = &requirement.feature {
        let _ = write!(out, "{}<br>", escaped(feature));
    }
    let _ = write!(out, "<q>{}</q><td>", escaped(&requirement.quote));
    places(&clause.code, &Results::default(), out);
    let _ =
        write!(out, "<td><span class=\"mark {}\">{}</span> ", class(clause.standing), clause.standing.name());
    places(&clause.tests, results, out);
    if let Some(exception) = &clause.exception {
        out.push_str(&escaped(&exception.reason));
    } else if let Some(status) = &requirement.status {
        out.push_str(&escaped(status));
    }
    out.push('\n');
}

fn places(citations: &[Citation], results: &Results, out: &mut String) {
    for c in citations {
        let _ = write!(out, "<code>{}:{}</code> {}", escaped(&c.file), c.line, escaped(&c.item));
        if !results.is_empty() {
            let (class, word) = match results.of(c) {
                Some(Outcome::Passed) => ("shown", Outcome::Passed.name()),
                Some(Outcome::Failed) => ("unaccounted", Outcome::Failed.name()),
                Some(Outcome::Ignored) | None => ("not-done", Outcome::Ignored.name()),
            };
            let _ = write!(out, " <span class=\"mark {class}\">{word}</span>");
        }
        out.push_str("<br>");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
