//! A failure as people read it: the script's line, and what was expected beside what happened.

use super::outcome::Failure;
use super::script::Span;
use super::source::{Place, excerpt};

/// Columns that a page has.
const WIDTH: usize = 120;

/// Lines of the script that are shown before the one that failed.
const BEFORE: usize = 2;

/// The failure of the script `text`, whose file is `name`: several lines, each with its end. The first is
/// `name:line:column: what`.
pub fn render(name: &str, text: &str, failure: &Failure) -> String {
    let place = Place::of(text, failure.span);
    let mut out = format!("{name}:{place}: {}\n", failure.what);
    out += &lines_before(text, failure.span, place.line);
    out += &indented(&excerpt(text, failure.span), "  ");
    out += &table(failure);
    out += &reason(failure);
    out
}

/// The lines that lead up to a failure, with as much room for the number as the failing line's takes.
fn lines_before(text: &str, span: Span, line: usize) -> String {
    let width = line.to_string().len();
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let above = text[..start].lines().take(line - 1).collect::<Vec<_>>();
    let numbered = above.iter().enumerate().skip(above.len().saturating_sub(BEFORE));
    numbered.map(|(index, line)| format!("  {:>width$} | {}\n", index + 1, line.trim_end())).collect()
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}\n")).collect()
}

/// Expected beside actual: the whole first, then each field that differs. Below each other where a page is too narrow.
fn table(failure: &Failure) -> String {
    let none = || "nothing".to_owned();
    let mut rows = Vec::new();
    // Where the one field that differs is all there is, once is enough.
    let is_whole = |(_, expected, actual): &(String, String, String)| {
        (Some(expected), Some(actual)) == (failure.expected.as_ref(), failure.actual.as_ref())
    };
    let said_below = failure.differences.iter().any(is_whole);
    if !said_below && (failure.expected.is_some() || failure.actual.is_some()) {
        let whole = |side: &Option<String>| side.clone().unwrap_or_else(none);
        rows.push((String::new(), whole(&failure.expected), whole(&failure.actual)));
    }
    rows.extend(failure.differences.iter().cloned());
    if rows.is_empty() {
        return String::new();
    }
    let width = |of: fn(&(String, String, String)) -> &String, least: usize| {
        rows.iter()
            .map(|row| of(row).lines().map(|l| l.chars().count()).max().unwrap_or(0))
            .fold(least, usize::max)
    };
    let (names, left) = (width(|row| &row.0, 0), width(|row| &row.1, "expected".len()));
    let right = width(|row| &row.2, "actual".len());
    let mut out = String::new();
    if 4 + names + 2 + left + 2 + right <= WIDTH {
        out += &format!("    {:names$}  {:left$}  {}\n", "", "expected", "actual");
        for (name, expected, actual) in &rows {
            let (mut expected, mut actual) = (expected.lines(), actual.lines());
            let mut name = name.as_str();
            loop {
                let (one, other) = (expected.next(), actual.next());
                if one.is_none() && other.is_none() {
                    break;
                }
                let line = format!("    {name:names$}  {:left$}  {}", one.unwrap_or(""), other.unwrap_or(""));
                out += &format!("{}\n", line.trim_end());
                name = "";
            }
        }
        return out;
    }
    for (name, expected, actual) in &rows {
        for (side, value) in [("expected", expected), ("actual", actual)] {
            let head = if name.is_empty() { side.to_owned() } else { format!("{name}, {side}") };
            let hang = " ".repeat(4 + names + 2 + "expected".len() + 2);
            let value = value.lines().collect::<Vec<_>>().join(&format!("\n{hang}"));
            out += &format!("    {head:0$}  {value}\n", names + 2 + "expected".len());
        }
    }
    out
}

/// Why the stack did it, part by part in as many lines as it takes.
fn reason(failure: &Failure) -> String {
    const HEAD: &str = "    why: ";
    let mut lines: Vec<String> = Vec::new();
    for part in failure.reason.iter().flat_map(|reason| reason.split(" | ")) {
        match lines.last_mut() {
            Some(line) if HEAD.len() + line.chars().count() + 3 + part.chars().count() <= WIDTH => {
                *line += &format!(" | {part}");
            }
            _ => lines.push(part.to_owned()),
        }
    }
    let margins = std::iter::once(HEAD).chain(std::iter::repeat("         "));
    margins.zip(lines).map(|(margin, line)| format!("{margin}{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str =
        "// Three lines.\n+0 < S 0:0(0) win 1000\n+0 > S. 0:0(0) ack 1\n+0 < . 1:1(0) ack 1\n";

    fn failure(expected: &str, actual: &str, differences: &[(&str, &str, &str)]) -> Failure {
        let start = SCRIPT.find("+0 > S.").unwrap();
        let owned = |(a, b, c): &(&str, &str, &str)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned());
        Failure {
            span: Span { start, end: start + 20 },
            what: "another segment".into(),
            expected: Some(expected.into()),
            actual: Some(actual.into()),
            reason: None,
            differences: differences.iter().map(owned).collect(),
        }
    }

    #[test]
    fn what_fits_stands_side_by_side() {
        let failure =
            failure("> S. 0:0(0) ack 1", "> R. 0:0(0) ack 1\nno listener", &[("flags", "S.", "R.")]);
        let expected = "\
hs.pkt:3:1: another segment
  1 | // Three lines.
  2 | +0 < S 0:0(0) win 1000
  3 | +0 > S. 0:0(0) ack 1
    | ^^^^^^^^^^^^^^^^^^^^
           expected           actual
           > S. 0:0(0) ack 1  > R. 0:0(0) ack 1
                              no listener
    flags  S.                 R.
";
        assert_eq!(render("hs.pkt", SCRIPT, &failure), expected);
    }

    #[test]
    fn what_does_not_fit_stands_below_each_other() {
        let long = format!("> . 1:1(0) ack 1 <{}>", "nop,".repeat(20));
        let failure = failure(&long, &format!("{long}\nbecause"), &[("ack", "1", "2")]);
        let text = render("hs.pkt", SCRIPT, &failure);
        let table: Vec<&str> = text.lines().skip(5).collect();
        assert_eq!(table[0], format!("    expected       {long}"));
        assert_eq!(table[1], format!("    actual         {long}"));
        assert_eq!(table[2].trim_start(), "because");
        assert_eq!(table[2].find("because"), table[1].find("> ."));
        assert_eq!(table[3], "    ack, expected  1");
        assert_eq!(table[4], "    ack, actual    2");
    }

    #[test]
    fn what_a_call_gave_stands_there_once() {
        let text = render("hs.pkt", SCRIPT, &failure("99", "100", &[("result", "99", "100")]));
        let table: Vec<&str> = text.lines().skip(5).collect();
        assert_eq!(table, ["            expected  actual", "    result  99        100"]);
    }

    #[test]
    fn why_stands_below_and_does_not_widen_the_page() {
        let mut failure = failure("> S. 0:0(0) ack 1", "> S. 0:0(0) ack 2", &[]);
        failure.reason = Some(format!("answer | SYN-RECEIVED | {} | rcv.nxt=1", "x".repeat(90)));
        let text = render("hs.pkt", SCRIPT, &failure);
        let below: Vec<&str> = text.lines().skip(5).collect();
        assert_eq!(
            below,
            [
                "      expected           actual",
                "      > S. 0:0(0) ack 1  > S. 0:0(0) ack 2",
                "    why: answer | SYN-RECEIVED",
                &format!("         {} | rcv.nxt=1", "x".repeat(90)),
            ]
        );
    }

    #[test]
    fn a_place_behind_the_end_is_no_reason_to_fail() {
        let mut failure = failure("", "", &[]);
        failure.span = Span { start: 10_000, end: 20_000 };
        (failure.expected, failure.actual) = (None, None);
        assert!(render("x", SCRIPT, &failure).starts_with("x:5:1: another segment\n"));
    }
}
