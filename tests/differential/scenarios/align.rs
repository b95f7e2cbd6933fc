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
    /// The same without what is measured or not compared: what a departure has to say word for word.
    pub(crate) event: String,
    /// The lines that part, of the one side and of the other.
    lines: [Option<usize>; 2],
    before: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what, self.before)
    }
}

/// How the comparison goes on behind a departure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    /// The lines of both sides are passed over.
    Both,
    /// Only that of the first side, which has one more.
    First,
    /// Only that of the second side.
    Second,
    /// The states differ from there: nothing is compared any more.
    Ends,
}

/// The first place where two traces of the same script part and `meant` does not know of it.
pub(crate) fn compare(
    one: &Trace,
    other: &Trace,
    mut meant: impl FnMut(&Divergence) -> Option<Then>,
) -> Option<Divergence> {
    let mut passed = [BTreeSet::new(), BTreeSet::new()];
    loop {
        let found = first(one, other, &passed)?;
        let over = match meant(&found) {
            None => return Some(found),
            Some(Then::Ends) => return None,
            Some(Then::Both) => found.lines,
            Some(Then::First) => [found.lines[0], None],
            Some(Then::Second) => [None, found.lines[1]],
        };
        // A departure that passes over nothing would be found for ever.
        if over == [None, None] {
            return Some(found);
        }
        for (passed, line) in passed.iter_mut().zip(over) {
            passed.extend(line);
        }
    }
}

type Passed = [BTreeSet<usize>; 2];

fn first(one: &Trace, other: &Trace, passed: &Passed) -> Option<Divergence> {
    let calls = first_call(one, other, passed).into_iter();
    let of: BTreeSet<&str> = [one, other].into_iter().flat_map(connections).collect();
    let packets = of.into_iter().filter_map(|of| first_packet(one, other, passed, of));
    let mut found = calls.chain(packets).min_by_key(|found| found.when)?;
    found.before = before(one, other, found.when);
    Some(found)
}

fn connections(trace: &Trace) -> impl Iterator<Item = &str> {
    trace.lines.iter().filter_map(|line| match &line.what {
        What::Sent(sent) => Some(sent.of.as_str()),
        What::Done { .. } => None,
    })
}

/// Those of a trace's lines that are of a kind, with their places, without those that are passed over.
fn lines_of<'a>(
    trace: &'a Trace,
    passed: &BTreeSet<usize>,
    is: impl Fn(&What) -> bool,
) -> Vec<(usize, &'a Line)> {
    let lines = trace.lines.iter().enumerate();
    lines.filter(|(index, line)| !passed.contains(index) && is(&line.what)).collect()
}

/// Both sides' lines in order, as long as either has one.
fn side_by_side<'a>(
    one: &'a Trace,
    other: &'a Trace,
    passed: &Passed,
    is: impl Fn(&What) -> bool,
) -> impl Iterator<Item = [Option<(usize, &'a Line)>; 2]> {
    let (first, second) = (lines_of(one, &passed[0], &is), lines_of(other, &passed[1], &is));
    let most = first.len().max(second.len());
    (0..most).map(move |index| [first.get(index).copied(), second.get(index).copied()])
}

fn first_call(one: &Trace, other: &Trace, passed: &Passed) -> Option<Divergence> {
    let is = |what: &What| matches!(what, What::Done { .. });
    side_by_side(one, other, passed, is).find_map(|lines| {
        let said = lines.map(|line| match line {
            Some((_, Line { what: What::Done { text, result }, .. })) => Some((text, result)),
            _ => None,
        });
        let (text, _) = said[0].or(said[1])?;
        if said[0] == said[1] {
            return None;
        }
        let gave = said.map(|said| match said {
            None => "did not come to it".to_owned(),
            Some((own, result)) => {
                let gave = format!("gave `{}`", result.as_deref().unwrap_or("nothing"));
                if own == text { gave } else { format!("did `{own}`, which {gave}") }
            }
        });
        let event = format!("`{text}`: {} {}, {} {}", one.side, gave[0], other.side, gave[1]);
        Some(divergence(lines, event.clone(), event))
    })
}

fn divergence(lines: [Option<(usize, &Line)>; 2], what: String, event: String) -> Divergence {
    let when = lines.iter().flatten().map(|(_, line)| line.when).min().unwrap_or_default();
    Divergence { when, what, event, lines: lines.map(|line| line.map(|(at, _)| at)), before: String::new() }
}

/// The `n`th packet of a connection beside the `n`th of the other side.
fn first_packet(one: &Trace, other: &Trace, passed: &Passed, of: &str) -> Option<Divergence> {
    let is = |what: &What| matches!(what, What::Sent(sent) if sent.of == of);
    side_by_side(one, other, passed, is).find_map(|lines| {
        let (what, event) = match lines {
            [Some((_, a)), Some((_, b))] => pair((one, a), (other, b))?,
            [Some((_, a)), None] => alone((one, a), other),
            [None, Some((_, b))] => alone((other, b), one),
            [None, None] => return None,
        };
        Some(divergence(lines, what, event))
    })
}

/// A packet's text without PSH, which is not compared, and without windows and options, which are fields.
fn event_text(text: &str) -> String {
    let text = text.split(" win ").next().unwrap_or_default();
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    if let Some(flags) = words.get_mut(1)
        && flags.chars().all(|letter| "FSRP.UEWA".contains(letter))
    {
        flags.retain(|letter| letter != 'P');
    }
    words.join(" ")
}

fn pair((one, a): (&Trace, &Line), (other, b): (&Trace, &Line)) -> Option<(String, String)> {
    let (What::Sent(first), What::Sent(second)) = (&a.what, &b.what) else { return None };
    let (earlier, line) = if a.when <= b.when { (one, a) } else { (other, b) };
    let (cause, done) = cause(earlier, line);
    let tolerance = LEAST_TOLERANCE.max(a.when.min(b.when).saturating_sub(done).mul_f64(TOLERANCE));
    let late = a.when.abs_diff(b.when) > tolerance;
    let mut names: Vec<&str> = first.fields.iter().map(|(name, _)| *name).collect();
    let more = second.fields.iter().map(|(name, _)| *name);
    names.extend(more.filter(|name| first.fields.iter().all(|(other, _)| other != name)));
    let mut differ: Vec<String> = names
        .into_iter()
        .filter_map(|name| {
            let [ours, theirs] = [first, second].map(|sent| {
                let field = sent.fields.iter().find(|(other, _)| *other == name);
                field.map_or("none", |(_, value)| value.as_str())
            });
            (ours != theirs).then(|| format!("{name} {} and {}", shown(ours), shown(theirs)))
        })
        .collect();
    if late {
        differ.push("time".to_owned());
    }
    if differ.is_empty() {
        return None;
    }
    let differ = differ.join("; ");
    let at = |when: Duration| if late { format!(" at {} s", seconds(when)) } else { String::new() };
    let what = format!(
        "after {cause}: {} sent `{}`{}, {} sent `{}`{}: {differ}",
        one.side,
        first.text,
        at(a.when),
        other.side,
        second.text,
        at(b.when),
    );
    let (text, theirs) = (event_text(&first.text), event_text(&second.text));
    Some((what, format!("{} sent `{text}`, {} sent `{theirs}`: {differ}", one.side, other.side)))
}

fn shown(value: &str) -> String {
    format!("`{value}`")
}

fn alone((one, line): (&Trace, &Line), other: &Trace) -> (String, String) {
    let (cause, _) = cause(one, line);
    let text = if let What::Sent(sent) = &line.what { sent.text.as_str() } else { "" };
    let rest = other.end.saturating_sub(line.when);
    let what = format!(
        "after {cause}: {} sent `{text}` at {} s, {} sent nothing for {} s",
        one.side,
        seconds(line.when),
        other.side,
        seconds(rest)
    );
    (what, format!("{} sent `{}`, {} sent nothing", one.side, event_text(text), other.side))
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
