//! The tokens of a script, with symbols replaced, and what to say where one does not fit.

use super::super::define::Symbols;
use super::super::lexer::{Kind, Lexer, Token};
use super::super::script::Span;
use super::super::source::{Place, SyntaxError};

/// The deepest that values nest.
const DEEPEST: usize = 32;

/// The longest part of a token that an error repeats, in characters.
const LONGEST_FOUND: usize = 40;

/// Stands before a token.
pub(super) struct Cursor<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    next: Token<'a>,
    last: Span,
    depth: usize,
    pub(super) symbols: Symbols<'a>,
}

/// `text` in back-ticks, which a command has anyway; if it is a long one shortened, and on one line.
fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(LONGEST_FOUND).flat_map(char::escape_debug).collect();
    let start = start.replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\");
    let (open, close) = if start.starts_with('`') { ("", "") } else { ("`", "`") };
    if chars.next().is_some() { format!("{open}{start}…`") } else { format!("{open}{start}{close}") }
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let next = lexer.token();
        Self { text, lexer, next, last: Span::default(), depth: 0, symbols: Symbols::default() }
    }

    /// What the script has at `span`.
    pub(super) fn slice(&self, span: Span) -> &'a str {
        &self.text[span.range()]
    }

    /// The next token as it was written.
    pub(super) fn peek_raw(&self) -> Token<'a> {
        self.next
    }

    /// The next token.
    pub(super) fn peek(&self) -> Token<'a> {
        self.symbols.resolve(self.next)
    }

    /// The token behind the next.
    pub(super) fn second(&self) -> Token<'a> {
        let mut ahead = self.lexer;
        self.symbols.resolve(ahead.token())
    }

    /// Takes the next token as it was written.
    pub(super) fn take_raw(&mut self) -> Token<'a> {
        self.last = self.next.span;
        std::mem::replace(&mut self.next, self.lexer.token())
    }

    /// Takes the next token.
    pub(super) fn take(&mut self) -> Token<'a> {
        let token = self.take_raw();
        self.symbols.resolve(token)
    }

    /// Takes the next token if it is `wanted`.
    pub(super) fn take_if(&mut self, wanted: impl Fn(&Token<'a>) -> bool) -> Option<Token<'a>> {
        wanted(&self.peek()).then(|| self.take())
    }

    /// Takes the mark or word `text`, if it is next.
    pub(super) fn take_mark(&mut self, text: &str) -> Option<Token<'a>> {
        self.take_if(|token| token.is(text))
    }

    /// Takes the mark or word `text`, or fails for want of `what`.
    pub(super) fn expect(&mut self, text: &str, what: &str) -> Result<Token<'a>, SyntaxError> {
        self.take_mark(text).ok_or_else(|| self.fail(what))
    }

    /// Takes the mark `text`.
    pub(super) fn mark(&mut self, text: &str) -> Result<Token<'a>, SyntaxError> {
        self.expect(text, &format!("`{text}`"))
    }

    /// Whether a line has ended between the last token that was taken and the next.
    pub(super) fn starts_line(&self) -> bool {
        self.text[self.last.end..self.next.span.start].contains('\n')
    }

    /// From `start` to the end of the last token that was taken.
    pub(super) fn since(&self, start: Span) -> Span {
        start.to(self.last)
    }

    /// That `expected` had to come next.
    pub(super) fn fail(&self, expected: impl Into<String>) -> SyntaxError {
        self.fail_at(self.peek(), expected)
    }

    /// That `expected` had to stand where `token` does.
    pub(super) fn fail_at(&self, token: Token<'a>, expected: impl Into<String>) -> SyntaxError {
        let (expected, found) = match (token.kind, token.symbol) {
            (Kind::Unfinished(missing), _) => (missing.to_owned(), "the end of the script".to_owned()),
            (Kind::End, _) => (expected.into(), "the end of the script".to_owned()),
            (_, Some(symbol)) => {
                (expected.into(), format!("{}, which {} stands for", shown(token.text), shown(symbol)))
            }
            _ => (expected.into(), shown(token.text)),
        };
        self.error(token.span, expected, found)
    }

    /// That `expected` had to stand where `found` does.
    pub(super) fn error(&self, span: Span, expected: impl Into<String>, found: String) -> SyntaxError {
        SyntaxError { span, place: Place::of(self.text, span), found, expected: expected.into() }
    }

    /// That the next token starts `what`, which the language has and we do not.
    pub(super) fn unsupported(&self, what: &str, expected: &str) -> SyntaxError {
        let token = self.peek();
        self.error(token.span, expected, format!("{}: {what} is not supported", shown(token.text)))
    }

    /// Runs `inner` one level deeper.
    pub(super) fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        if self.depth == DEEPEST {
            return Err(self.fail(format!("values that nest at most {DEEPEST} deep")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }
}
