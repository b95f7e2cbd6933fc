//! Whether what parts two traces is found, and said so that one need not look for it.

use std::time::Duration;

use super::align::{Then, compare};
use super::seen::Sent;
use super::trace::{Line, Trace, What};
use super::{KERNEL, OURS};

fn done(ms: u64, text: &str, result: Option<&str>) -> Line {
    let what = What::Done { text: text.to_owned(), result: result.map(str::to_owned) };
    Line { when: Duration::from_millis(ms), what }
}

fn sent(ms: u64, of: &str, flags: &str, seq: u32) -> Line {
    let fields = vec![("flags", flags.to_owned()), ("sequence number", seq.to_string())];
    let text = format!("> {flags} {seq}:{seq}(0)");
    let what = What::Sent(Sent { of: of.to_owned(), text, why: None, fields });
    Line { when: Duration::from_millis(ms), what }
}

const ONE: &str = "TCP 8080 to 40000";
const OTHER: &str = "TCP 8080 to 40001";

/// A call, a packet in, and what comes of it on two connections.
fn lines() -> Vec<Line> {
    vec![
        done(0, "0 listen(3, 1)", Some("0")),
        done(0, "+0 < S 0:0(0) win 1000", None),
        sent(0, ONE, "S.", 0),
        done(100, "+0.1 write(4, ..., 10)", Some("10")),
        sent(100, ONE, ".", 1),
        sent(100, OTHER, "F.", 7),
        sent(300, ONE, ".", 1),
        done(500, "+0.4 `true`", None),
    ]
}

fn trace(side: &'static str, lines: Vec<Line>) -> Trace {
    Trace { side, lines, end: Duration::from_millis(500), late: Duration::ZERO }
}

/// What is said when our lines are these.
fn said(change: impl FnOnce(&mut Vec<Line>)) -> Option<String> {
    let mut ours = lines();
    change(&mut ours);
    compare(&trace(KERNEL, lines()), &trace(OURS, ours), |_| None).map(|parting| parting.what)
}

/// The comparison itself.
pub(crate) fn partings() {
    let none: Option<String> = None;
    assert_eq!(said(|_| {}), none);
    assert_eq!(
        said(|lines| lines[0] = done(0, "0 listen(3, 1)", Some("-1 EINVAL"))).unwrap(),
        "`0 listen(3, 1)`: the kernel gave `0`, tunstack gave `-1 EINVAL`"
    );
    assert_eq!(
        said(|lines| drop(lines.remove(6))).unwrap(),
        "after `+0.1 write(4, ..., 10)`: the kernel sent `> . 1:1(0)` at 0.3000 s, tunstack sent nothing for 0.2000 s"
    );
    assert_eq!(
        said(|lines| lines.insert(7, sent(400, OTHER, "R", 9))).unwrap(),
        "after `+0.1 write(4, ..., 10)`: tunstack sent `> R 9:9(0)` at 0.4000 s, the kernel sent nothing for 0.1000 s"
    );
    assert_eq!(
        said(|lines| lines[4] = sent(100, ONE, "P.", 2)).unwrap(),
        "after `+0.1 write(4, ..., 10)`: the kernel sent `> . 1:1(0)`, tunstack sent `> P. 2:2(0)`: \
         flags `.` and `P.`; sequence number `1` and `2`"
    );
    // Times: a fifth of 200 ms, or 15 ms at the least.
    assert_eq!(said(|lines| lines[6] = sent(339, ONE, ".", 1)), none);
    assert_eq!(
        said(|lines| lines[6] = sent(341, ONE, ".", 1)).unwrap(),
        "after `+0.1 write(4, ..., 10)`: the kernel sent `> . 1:1(0)` at 0.3000 s, tunstack sent `> . 1:1(0)` at \
         0.3410 s: time"
    );
    assert_eq!(said(|lines| lines[2] = sent(15, ONE, "S.", 0)), none);
    assert!(said(|lines| lines[2] = sent(16, ONE, "S.", 0)).is_some());
    // Which of two connections is first says nothing.
    assert_eq!(said(|lines| lines.swap(4, 5)), none);
    // Of several partings the first in time is told.
    let first = said(|lines| {
        lines[6] = sent(300, ONE, "R", 1);
        lines[5] = sent(100, OTHER, "R", 7);
    });
    assert!(first.unwrap().ends_with("tunstack sent `> R 7:7(0)`: flags `F.` and `R`"));
    // And what came before it stands there, of both.
    let mut ours = lines();
    ours[4] = sent(100, ONE, "R", 1);
    let shown = compare(&trace(KERNEL, lines()), &trace(OURS, ours), |_| None).unwrap().to_string();
    for line in
        ["  the kernel:\n", "  tunstack:\n", "   0.0000 +0 < S 0:0(0) win 1000\n", "0.1000     > R 1:1(0)\n"]
    {
        assert!(shown.contains(line), "{line:?} in\n{shown}");
    }
    departed();
}

/// What is said when this event is meant, and our lines are these.
fn said_behind(event: &str, then: Then, change: impl FnOnce(&mut Vec<Line>)) -> Option<String> {
    let mut ours = lines();
    change(&mut ours);
    let meant = |found: &super::Divergence| (found.event == event).then_some(then);
    compare(&trace(KERNEL, lines()), &trace(OURS, ours), meant).map(|parting| parting.event)
}

/// What stands behind a departure, what only one side has.
fn departed() {
    // A side with fewer calls, a field that only one side has.
    assert_eq!(
        said(|lines| drop(lines.pop())).unwrap(),
        "`+0.4 `true``: the kernel gave `nothing`, tunstack did not come to it"
    );
    let more = said(|lines| {
        if let What::Sent(sent) = &mut lines[4].what {
            sent.fields.push(("window", "5".to_owned()));
        }
    });
    assert!(more.unwrap().ends_with(": window `none` and `5`"));
    // One that our side lacks: what comes behind it is still compared.
    let lacks = "the kernel sent `> . 1:1(0)`, tunstack sent nothing";
    assert_eq!(said_behind(lacks, Then::First, |lines| drop(lines.remove(6))), None);
    let call = "`+0.4 `true``: the kernel gave `nothing`, tunstack gave `1`";
    let both = |lines: &mut Vec<Line>| {
        lines[7] = done(500, "+0.4 `true`", Some("1"));
        lines.remove(6);
    };
    assert_eq!(said_behind(lacks, Then::First, both).unwrap(), call);
    assert_eq!(said_behind(lacks, Then::Ends, both), None);
    // Part of the words is not the event; and what passes over nothing ends.
    assert_eq!(said_behind("tunstack sent nothing", Then::First, both).unwrap(), lacks);
    assert_eq!(said_behind(lacks, Then::Second, both).unwrap(), lacks);
    // One that both have otherwise, one that only ours has; PSH is no part of the event.
    let other = "the kernel sent `> . 1:1(0)`, tunstack sent `> . 2:2(0)`: flags `.` and `P.`; sequence number `1` and `2`";
    assert_eq!(said_behind(other, Then::Both, |lines| lines[4] = sent(100, ONE, "P.", 2)), None);
    let more = |lines: &mut Vec<Line>| lines.insert(4, sent(100, ONE, "P.", 2));
    assert_eq!(said_behind(other, Then::Second, more), None);
    // Behind these, too, it goes on.
    let called = |lines: &mut Vec<Line>| *lines.last_mut().unwrap() = done(500, "+0.4 `true`", Some("1"));
    let behind = |change: fn(&mut Vec<Line>), then| {
        said_behind(other, then, |lines| {
            change(lines);
            called(lines);
        })
    };
    assert_eq!(behind(|lines| lines[4] = sent(100, ONE, "P.", 2), Then::Both).unwrap(), call);
    assert_eq!(behind(more, Then::Second).unwrap(), call);
}
