//! The connection state machine on paper: `docs/state.txt` has a line for each state and event,
//! `docs/state.dot` and `docs/state.svg` are the drawing. Both are written from `State::on`, and this test
//! says when they are no longer true. `UPDATE=1 cargo test --test transitions` writes them anew; the drawing
//! needs Graphviz for that.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};
use tunstack::core::tcp::state::{Event, State, write_dot, write_table};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

fn update() -> bool {
    std::env::var_os("UPDATE").is_some_and(|v| v == "1")
}

/// Compares a committed file with what it should hold, or writes it.
fn committed(name: &str, expected: &str) {
    if update() {
        fs::write(path(name), expected).unwrap();
    }
    let is = fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("docs/{name}: {e}"));
    let first = is.lines().zip(expected.lines()).find(|(is, expected)| is != expected);
    assert!(
        is == expected,
        "docs/{name} is not what State::on says, first at {first:?}; \
         UPDATE=1 cargo test --test transitions writes it anew"
    );
}

fn table() -> String {
    let mut out = String::new();
    write_table(&mut out).unwrap();
    out
}

fn dot() -> String {
    let mut out = String::new();
    write_dot(&mut out).unwrap();
    out
}

/// The comment by which a drawing says what it was made from. Graphviz draws a little differently from one
/// release to the next, so the drawing itself cannot be compared.
fn mark(dot: &str) -> String {
    let mut digest = String::new();
    for octet in Sha256::digest(dot.as_bytes()) {
        write!(digest, "{octet:02x}").unwrap();
    }
    format!("<!-- drawn by Graphviz from state.dot, SHA-256 {digest} -->")
}

/// `dot -Tsvg`, with the mark at its end.
fn draw(dot: &str) -> String {
    let mut child = Command::new("dot")
        .arg("-Tsvg")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("UPDATE=1 needs Graphviz's dot (Debian: apt-get install graphviz)");
    child.stdin.take().unwrap().write_all(dot.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "dot -Tsvg: {}", output.status);
    format!("{}{}\n", String::from_utf8(output.stdout).unwrap(), mark(dot))
}

/// The arrows of a drawing, as Graphviz writes them into their titles: `LISTEN:ne->CLOSED:se`, here without
/// the sides of the boxes that they touch.
fn arrows(svg: &str) -> Vec<String> {
    let text = svg.replace("&#45;", "-").replace("&gt;", ">");
    let titles = text.split("<title>").skip(1).filter_map(|t| t.split_once("</title>"));
    let end = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
    let mut arrows: Vec<String> = titles
        .filter_map(|(title, _)| title.split_once("->"))
        .map(|(from, to)| format!("{}->{}", end(from), end(to)))
        .collect();
    arrows.sort();
    arrows
}

#[test]
fn the_table_is_the_committed_one() {
    let table = table();
    assert_eq!(table.lines().count(), State::ALL.len() * Event::ALL.len());
    committed("state.txt", &table);
}

#[test]
fn the_graph_is_the_committed_one() {
    committed("state.dot", &dot());
}

#[test]
fn the_drawing_is_of_the_committed_graph() {
    let dot = dot();
    if update() {
        fs::write(path("state.svg"), draw(&dot)).unwrap();
    }
    let svg = fs::read_to_string(path("state.svg")).unwrap();
    assert!(
        svg.trim_end().ends_with(&mark(&dot)),
        "docs/state.svg is not drawn from this graph; UPDATE=1 cargo test --test transitions draws it anew"
    );
    let mut expected: Vec<String> = dot
        .lines()
        .filter(|line| line.contains(" -> "))
        .map(|line| {
            let names: Vec<&str> = line.split('"').collect();
            format!("{}->{}", names[1], names[3])
        })
        .collect();
    expected.sort();
    assert_eq!(arrows(&svg), expected);
    for event in Event::ALL {
        let drawn = dot.contains(&format!(">{event}<"));
        let label = svg.contains(&format!(">{event}<"));
        assert_eq!(drawn, label, "{event}");
    }
}

/// Every arrow of Figure 5 is in the table, so a drawing made from the table cannot lack one. The figure's
/// FIN-WAIT-1 to TIME-WAIT is not in this edition of it, and its SYN-RECEIVED to LISTEN is the listener's.
#[test]
fn the_arrows_of_the_figure_are_in_the_table() {
    let figure = [
        ("CLOSED", "passive OPEN", "LISTEN"),
        ("CLOSED", "active OPEN", "SYN-SENT"),
        ("LISTEN", "CLOSE", "CLOSED"),
        ("LISTEN", "rcv SYN", "SYN-RECEIVED"),
        ("LISTEN", "active OPEN", "SYN-SENT"),
        ("SYN-SENT", "CLOSE", "CLOSED"),
        ("SYN-SENT", "rcv SYN", "SYN-RECEIVED"),
        ("SYN-SENT", "rcv SYN,ACK", "ESTABLISHED"),
        ("SYN-RECEIVED", "rcv ACK of SYN", "ESTABLISHED"),
        ("SYN-RECEIVED", "CLOSE", "FIN-WAIT-1"),
        ("ESTABLISHED", "CLOSE", "FIN-WAIT-1"),
        ("ESTABLISHED", "rcv FIN", "CLOSE-WAIT"),
        ("FIN-WAIT-1", "rcv ACK of FIN", "FIN-WAIT-2"),
        ("FIN-WAIT-1", "rcv FIN", "CLOSING"),
        ("FIN-WAIT-2", "rcv FIN", "TIME-WAIT"),
        ("CLOSING", "rcv ACK of FIN", "TIME-WAIT"),
        ("CLOSE-WAIT", "CLOSE", "LAST-ACK"),
        ("LAST-ACK", "rcv ACK of FIN", "CLOSED"),
        ("TIME-WAIT", "2 MSL", "CLOSED"),
    ];
    let table = table();
    for (from, event, to) in figure {
        let line = format!("{from:<13} {event:<15} {to}");
        assert!(table.lines().any(|l| l == line), "{line}");
    }
}
