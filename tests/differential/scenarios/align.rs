//! Two traces of one script beside each other, and the first place where they part.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::time::Duration;

use super::trace::{Line, Trace, What};

/// What is measured in real time is never exact.
const LEAST_TOLERANCE: Duration = Duration::from_millis(15);

/// The same as a part of the time since the script did something.
const TOLERANCE: f64 = 0.2;

/// So many lines of each side stand before the place where they part.
const BEFORE: usize = 8;

/// Where two traces part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Divergence {
    when: Duration,
    /// In words.
    pub(crate) what: String,
    before: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what, self.before)
    }
}

/// The first place where two traces of the same script part.
pub(crate) fn compare(one: &Trace, other: &Trace) -> Option<Divergence> {
    let calls = first_call(one, other).into_iter();
    let of: BTreeSet<&str> = [one, other].into_iter().flat_map(connections).collect();
    let packets = of.into_iter().filter_map(|of| first_packet(one, other, of));
    let (when, what) = calls.chain(packets).min_by_key(|(when, _)| *when)?;
    Some(Divergence { when, what, before: before(one, other, when) })
}

fn connections(trace: &Trace) -> impl Iterator<Item = &str> {
    trace.lines.iter().filter_map(|line| match &line.what {
        What::Sent(sent) => Some(sent.of.as_str()),
        What::Done { .. } => None,
    })
}

type Found = Option<(Duration, String)>;

fn first_call(one: &Trace, other: &Trace) -> Found {
    let done = |trace: &'_ Trace| {
        let lines = trace.lines.iter().filter(|line| matches!(line.what, What::Done { .. }));
        lines.cloned().collect::<Vec<_>>()
    };
    for (a, b) in done(one).into_iter().zip(done(other)) {
        let (What::Done { text, result: first }, What::Done { result: second, .. }) = (a.what, b.what) else {
            continue;
        };
        if first != second {
            let gave = |result: Option<String>| result.unwrap_or_else(|| "nothing".to_owned());
            let what = format!(
                "`{text}`: {} gave `{}`, {} gave `{}`",
                one.side,
                gave(first),
                other.side,
                gave(second)
            );
            return Some((a.when.min(b.when), what));
        }
    }
    None
}

/// The `n`th packet of a connection.
fn packets<'a>(trace: &'a Trace, of: &str) -> Vec<&'a Line> {
    let is = |line: &&Line| matches!(&line.what, What::Sent(sent) if sent.of == of);
    trace.lines.iter().filter(is).collect()
}

fn first_packet(one: &Trace, other: &Trace, of: &str) -> Found {
    let (first, second) = (packets(one, of), packets(other, of));
    for index in 0..first.len().max(second.len()) {
        let found = match (first.get(index), second.get(index)) {
            (Some(a), Some(b)) => pair((one, a), (other, b)),
            (Some(a), None) => Some(alone((one, a), other)),
            (None, Some(b)) => Some(alone((other, b), one)),
            (None, None) => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn pair((one, a): (&Trace, &Line), (other, b): (&Trace, &Line)) -> Found {
    let (What::Sent(first), What::Sent(second)) = (&a.what, &b.what) else { return None };
    let (earlier, line) = if a.when <= b.when { (one, a) } else { (other, b) };
    let (cause, done) = cause(earlier, line);
    let tolerance = LEAST_TOLERANCE.max(a.when.min(b.when).saturating_sub(done).mul_f64(TOLERANCE));
    let late = a.when.abs_diff(b.when) > tolerance;
    let differ: Vec<String> = first
        .fields
        .iter()
        .filter_map(|(name, value)| {
            let theirs = second.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value);
            let theirs = theirs.map_or("none", String::as_str);
            (theirs != value).then(|| format!("{name} {} and {}", shown(value), shown(theirs)))
        })
        .collect();
    if !late && differ.is_empty() {
        return None;
    }
    let (times, differ) = if late {
        let at = |when: Duration| format!(" at {} s", seconds(when));
        ([at(a.when), at(b.when)], if differ.is_empty() { vec!["time".to_owned()] } else { differ })
    } else {
        ([String::new(), String::new()], differ)
    };
    let what = format!(
        "after {cause}: {} sent `{}`{}, {} sent `{}`{}: {}",
        one.side,
        first.text,
        times[0],
        other.side,
        second.text,
        times[1],
        differ.join("; ")
    );
    Some((a.when.min(b.when), what))
}

fn shown(value: &str) -> String {
    format!("`{value}`")
}

fn alone((one, line): (&Trace, &Line), other: &Trace) -> (Duration, String) {
    let (cause, _) = cause(one, line);
    let What::Sent(sent) = &line.what else { return (line.when, String::new()) };
    let rest = other.end.saturating_sub(line.when);
    let what = format!(
        "after {cause}: {} sent `{}` at {} s, {} sent nothing for {} s",
        one.side,
        sent.text,
        seconds(line.when),
        other.side,
        seconds(rest)
    );
    (line.when, what)
}

/// The last thing that the script did before this line, and its time.
fn cause(trace: &Trace, line: &Line) -> (String, Duration) {
    let before = trace.lines.iter().take_while(|other| !std::ptr::eq(*other, line));
    let done = before.filter(|other| matches!(other.what, What::Done { .. })).last();
    match done {
        Some(Line { when, what: What::Done { text, .. } }) => (format!("`{text}`"), *when),
        _ => ("the start".to_owned(), Duration::ZERO),
    }
}

/// The lines of both sides up to `when`.
fn before(one: &Trace, other: &Trace, when: Duration) -> String {
    let mut text = String::new();
    for trace in [one, other] {
        // Writing to a string does not fail.
        _ = writeln!(text, "  {}:", trace.side);
        let last = trace.lines.iter().rposition(|line| line.when <= when + LEAST_TOLERANCE);
        let end = last.map_or(0, |last| last + 1);
        for line in &trace.lines[end.saturating_sub(BEFORE)..end] {
            _ = writeln!(text, "    {line}");
        }
    }
    text
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9} ", seconds(self.when))?;
        match &self.what {
            What::Done { text, result: None } => write!(f, "{text}"),
            What::Done { text, result: Some(result) } => write!(f, "{text} = {result}"),
            What::Sent(sent) => match &sent.why {
                None => write!(f, "    {}", sent.text),
                Some(why) => write!(f, "    {}  // {why}", sent.text),
            },
        }
    }
}

/// To the tenth of a millisecond.
fn seconds(time: Duration) -> String {
    format!("{:.4}", time.as_secs_f64())
}
