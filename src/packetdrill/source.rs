//! Where something stands in a text, and how to show it there.

use std::fmt;

use super::script::Span;

/// The widest part of a line that is shown, in characters.
const WIDEST: usize = 160;

/// A line and a column, both from 1; columns count characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl Place {
    /// Where `span` starts in `text`. A span that is not of this text gives a place in it all the same.
    ///
    /// ```
    /// use tunstack::packetdrill::{script::Span, source::Place};
    ///
    /// assert_eq!(Place::of("a\nbcd", Span { start: 3, end: 4 }).to_string(), "2:2");
    /// ```
    pub fn of(text: &str, span: Span) -> Self {
        let before = &text[..boundary(text, span.start)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: 1 + before.bytes().filter(|&octet| octet == b'\n').count(),
            column: 1 + before[line_start..].chars().count(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The nearest start of a character, not behind `at`.
fn boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// The line in which `span` starts, with its number, and carets under what `span` has of it. Two lines, each with its
/// end. Of a long line only what is around the span.
pub fn excerpt(text: &str, span: Span) -> String {
    let start = boundary(text, span.start);
    let end = boundary(text, span.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
    let before: Vec<char> = text[line_start..start].chars().collect();
    let shown = &before[before.len().saturating_sub(WIDEST / 2)..];
    let marked = text[start..end.min(line_end)].chars().count().clamp(1, WIDEST / 2);
    let rest = text[start..line_end].chars().take(WIDEST - shown.len());
    let line: String = shown.iter().copied().chain(rest).map(visible).collect();
    // A tab stays one under the line too: the caret stands right however wide tabs are.
    let indent: String = shown.iter().map(|&c| if c == '\t' { '\t' } else { ' ' }).collect();
    let number = Place::of(text, span).line.to_string();
    let margin = " ".repeat(number.len());
    format!("{number} | {}\n{margin} | {indent}{}\n", line.trim_end(), "^".repeat(marked))
}

fn visible(c: char) -> char {
    if c.is_control() && c != '\t' { ' ' } else { c }
}

/// What is wrong with a script's text.
///
/// [`Display`](fmt::Display) gives one line: ``12:8: expected a time, found `]` ``.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// Where it is.
    pub span: Span,
    /// The same as line and column.
    pub place: Place,
    /// What stands there.
    pub found: String,
    /// What had to stand there.
    pub expected: String,
}

impl SyntaxError {
    /// Its line behind `name`, that of the script, and the place in `text`, the script's, with a caret.
    pub fn render(&self, name: &str, text: &str) -> String {
        format!("{name}:{self}\n{}", excerpt(text, self.span))
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.place, self.expected, self.found)
    }
}

impl std::error::Error for SyntaxError {}

#[cfg(test)]
mod tests;
