//! Lines, columns and carets.

use super::*;

fn span(start: usize, end: usize) -> Span {
    Span { start, end }
}

#[test]
fn columns_count_characters_and_lines_start_at_one() {
    let text = "ab\n\u{e9}\u{e9}x\n";
    let place = |start| Place::of(text, span(start, start));
    assert_eq!(place(0), Place { line: 1, column: 1 });
    assert_eq!(place(2), Place { line: 1, column: 3 }, "the newline is its line's last");
    assert_eq!(place(3), Place { line: 2, column: 1 });
    assert_eq!(place(7), Place { line: 2, column: 3 });
    assert_eq!(place(text.len()), Place { line: 3, column: 1 });
}

#[test]
fn a_span_of_another_text_stays_in_this_one() {
    assert_eq!(Place::of("ab", span(90, 91)), Place { line: 1, column: 3 });
    assert_eq!(Place::of("\u{e9}", span(1, 9)), Place { line: 1, column: 1 }, "in the middle of a character");
    assert_eq!(excerpt("ab", span(90, 80)), "1 | ab\n  |   ^\n");
}

#[test]
fn carets_stand_under_what_is_meant() {
    assert_eq!(excerpt("one\n\ttwo three\nfour", span(9, 14)), "2 | \ttwo three\n  | \t    ^^^^^\n");
    assert_eq!(excerpt("one\ntwo\n", span(2, 6)), "1 | one\n  |   ^\n", "only what is on the first line");
    assert_eq!(excerpt("a\r\nb", span(0, 1)), "1 | a\n  | ^\n");
}

#[test]
fn a_long_line_is_cut_on_both_sides() {
    let text = format!("{}here{}", "a".repeat(5000), "b".repeat(5000));
    let shown = excerpt(&text, span(5000, 5004));
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0].len(), "1 | ".len() + WIDEST);
    let caret = lines[1].find("^^^^").unwrap();
    assert_eq!(&lines[0][caret..caret + 4], "here");
    let wide = excerpt(&text, span(0, text.len()));
    assert!(wide.lines().all(|line| line.len() <= 4 + WIDEST), "{wide}");
}
