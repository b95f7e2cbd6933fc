//! A script's text as tokens: one at a time, the longest that starts where the one before ended.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::script::Span;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A letter, digit or `_`, and more of them, which are not a number.
    Word,
    /// Decimal digits, perhaps behind `-`.
    Integer,
    /// `0x` and hexadecimal digits.
    Hex,
    /// Decimal digits with a point before the last of them, perhaps behind `-`: `.5` too.
    Float,
    /// An address of either family.
    Address(IpAddr),
    /// `"…"`.
    Text,
    /// A command between back-ticks.
    Command,
    /// `%{ … }%`.
    Code,
    /// `--name`.
    Option,
    /// `...`.
    Ellipsis,
    /// Any other character.
    Mark,
    /// The rest of the text, in which something is not closed: what is missing.
    Unfinished(&'static str),
    /// The end of the text.
    End,
}

/// A token: what it is, how it is written, where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// With its quotation marks.
    pub(super) text: &'a str,
    pub(super) span: Span,
    /// The symbol that stands in the script, if `text` is its value.
    pub(super) symbol: Option<&'a str>,
}

impl Token<'_> {
    /// Whether it is the mark `text`, or the word.
    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Mark | Kind::Word) && self.text == text
    }

    /// What is between its quotation marks; of others, its text.
    pub(super) fn inner(&self) -> &str {
        match self.kind {
            Kind::Text | Kind::Command => &self.text[1..self.text.len() - 1],
            Kind::Code => self.text[2..self.text.len() - 2].trim_matches([' ', '\t']),
            Kind::Option => &self.text[2..],
            _ => self.text,
        }
    }
}

/// The longest text of an IPv6 address, with an IPv4 one in it.
const LONGEST_ADDRESS: usize = 45;

/// Reads tokens from a text. A copy reads ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

fn is_word(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'_'
}

/// How many octets at the start of `text` are `wanted`.
fn run(text: &str, wanted: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|&octet| wanted(octet)).count()
}

fn digits(text: &str) -> usize {
    run(text, |octet| octet.is_ascii_digit())
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token. Behind the last there is [`Kind::End`], however often.
    pub(super) fn token(&mut self) -> Token<'a> {
        let (kind, length) = match self.skip() {
            Ok(()) => classify(&self.text[self.at..]),
            Err(missing) => (Kind::Unfinished(missing), self.text.len() - self.at),
        };
        let span = Span { start: self.at, end: self.at + length };
        self.at = span.end;
        Token { kind, text: &self.text[span.range()], span, symbol: None }
    }

    /// Skips blanks and comments; stops before a comment without end.
    fn skip(&mut self) -> Result<(), &'static str> {
        loop {
            let rest = &self.text[self.at..];
            self.at += if rest.starts_with([' ', '\t', '\n', '\r']) {
                run(rest, |octet| octet.is_ascii_whitespace())
            } else if rest.starts_with('#') || rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if let Some(inside) = rest.strip_prefix("/*") {
                4 + inside.find("*/").ok_or("`*/` at the end of the comment that starts here")?
            } else {
                return Ok(());
            };
        }
    }
}

/// What `rest` starts with, and how long that is.
fn classify(rest: &str) -> (Kind, usize) {
    let Some(first) = rest.chars().next() else { return (Kind::End, 0) };
    match first {
        '"' => quoted(rest, Kind::Text, "`\"` at the end of the text that starts here"),
        '`' => quoted(rest, Kind::Command, "a back-tick at the end of the command that starts here"),
        '%' if rest.starts_with("%{") => match rest[2..].find("}%") {
            Some(length) => (Kind::Code, length + 4),
            None => (Kind::Unfinished("`}%` at the end of the code that starts here"), rest.len()),
        },
        '-' if rest.starts_with("--") && run(&rest[2..], is_word) > 0 => {
            (Kind::Option, 2 + run(&rest[2..], is_word))
        }
        '.' if rest.starts_with("...") => (Kind::Ellipsis, 3),
        _ => longest(rest).unwrap_or((Kind::Mark, first.len_utf8())),
    }
}

/// Up to the same mark as the first, unless a backslash stands before it.
fn quoted(rest: &str, kind: Kind, missing: &'static str) -> (Kind, usize) {
    let mark = rest.as_bytes()[0];
    let mut escaped = false;
    for (at, octet) in rest.bytes().enumerate().skip(1) {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if octet == mark => return (kind, at + 1),
            _ => {}
        }
    }
    (Kind::Unfinished(missing), rest.len())
}

/// The longest of what a number, an address or a word can be here; a number where a word is as long.
fn longest(rest: &str) -> Option<(Kind, usize)> {
    let word = run(rest, is_word);
    let candidates = [(Kind::Word, word), number(rest), address(rest)];
    candidates.into_iter().filter(|(_, length)| *length > 0).max_by_key(|(_, length)| *length)
}

fn number(rest: &str) -> (Kind, usize) {
    if let Some(hex) = rest.strip_prefix("0x") {
        let length = run(hex, |octet| octet.is_ascii_hexdigit());
        if length > 0 {
            return (Kind::Hex, 2 + length);
        }
    }
    let sign = usize::from(rest.starts_with('-'));
    let whole = digits(&rest[sign..]);
    let fraction = rest[sign + whole..].strip_prefix('.').map_or(0, digits);
    match (whole, fraction) {
        (0, 0) => (Kind::Integer, 0),
        (_, 0) => (Kind::Integer, sign + whole),
        _ => (Kind::Float, sign + whole + 1 + fraction),
    }
}

/// An address, which needs more than `1:1001` to be one: four numbers with points, or either `::` or seven colons.
fn address(rest: &str) -> (Kind, usize) {
    const NONE: (Kind, usize) = (Kind::Mark, 0);
    let fits = |octet: &u8| octet.is_ascii_hexdigit() || matches!(octet, b':' | b'.');
    let candidate = &rest[..rest.bytes().take(LONGEST_ADDRESS).take_while(fits).count()];
    if candidate.contains("::") || candidate.matches(':').count() >= 7 {
        let whole = |length: &usize| candidate[..*length].parse::<Ipv6Addr>().is_ok();
        if let Some(length) = (2..=candidate.len()).rev().find(whole) {
            return candidate[..length].parse().map_or(NONE, |ip| (Kind::Address(ip), length));
        }
    }
    let mut length = 0;
    for part in 0..4 {
        if part > 0 {
            if !rest[length..].starts_with('.') {
                return NONE;
            }
            length += 1;
        }
        length += digits(&rest[length..]);
    }
    rest[..length].parse::<Ipv4Addr>().map_or(NONE, |ip| (Kind::Address(ip.into()), length))
}

#[cfg(test)]
mod tests;
