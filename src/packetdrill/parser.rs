//! From a script's text to its events.
//!
//! One function a construct, which reads what it needs and says what it missed. The grammar needs no more than two
//! tokens of foresight.

mod cursor;

mod number;

mod value;

mod syscall;

mod ip;

mod tcp_options;

mod tcp;

mod other;

mod event;

use super::lexer::Kind;
use super::script::{Command, OptionLine, Script, Span};
use super::source::{Place, SyntaxError};
use cursor::Cursor;

/// The longest script, in octets.
pub const LONGEST: usize = 1 << 18;

/// Reads a whole script. `defines` are pairs of a symbol and the value that stands for it, as in the script's own
/// `--define=SYMBOL=value` lines, and override those.
///
/// # Errors
///
/// The first thing that is not in the language, out of its range, or not supported: encapsulation in GRE, MPLS and PSP.
///
/// # Examples
///
/// ```
/// use tunstack::packetdrill::parser::parse;
///
/// let script = parse("0 socket(..., SOCK_STREAM, 0) = 3\n+0 > S 0:0(0) <...>", &[]).unwrap();
/// assert_eq!(script.events.len(), 2);
///
/// let error = parse("+0 close(3 = 0", &[]).unwrap_err();
/// assert_eq!(error.to_string(), "1:12: expected `,` or `)`, found `=`");
/// ```
pub fn parse(text: &str, defines: &[(String, String)]) -> Result<Script, SyntaxError> {
    if text.len() > LONGEST {
        let span = Span::default();
        return Err(SyntaxError {
            span,
            place: Place::of(text, span),
            found: format!("{} octets", text.len()),
            expected: format!("a script of at most {LONGEST} octets"),
        });
    }
    let mut c = Cursor::new(text);
    let mut options = Vec::new();
    while let Some(option) = next_option(&mut c) {
        options.push(option?);
    }
    for (symbol, value) in defines {
        c.symbols.define(symbol, value);
    }
    let mut script = Script { options, init: command(&mut c), ..Script::default() };
    loop {
        script.events.push(event::event(&mut c)?);
        match c.peek().kind {
            Kind::End => return Ok(script),
            Kind::Command => break,
            _ => {}
        }
    }
    script.cleanup = command(&mut c);
    match c.peek().kind {
        Kind::End => Ok(script),
        _ => Err(c.fail("the end of the script behind the clean-up command")),
    }
}

/// The options of a script's head, up to the first that cannot be read.
pub fn head(text: &str) -> Vec<OptionLine> {
    let mut c = Cursor::new(text);
    std::iter::from_fn(|| next_option(&mut c)?.ok()).collect()
}

fn next_option(c: &mut Cursor<'_>) -> Option<Result<OptionLine, SyntaxError>> {
    (c.peek().kind == Kind::Option).then(|| option(c))
}

/// A command, if there is one.
fn command(c: &mut Cursor<'_>) -> Option<Command> {
    let token = c.take_if(|token| token.kind == Kind::Command)?;
    Some(Command { line: token.inner().to_owned(), span: token.span })
}

/// `--name`, `--name=value`, `--define=SYMBOL=value`. Its words are not looked up.
fn option(c: &mut Cursor<'_>) -> Result<OptionLine, SyntaxError> {
    let flag = c.take();
    let name = flag.inner().to_owned();
    if name == "define" {
        c.expect("=", "`=SYMBOL=value` behind `--define`")?;
        if c.peek_raw().kind != Kind::Word {
            return Err(c.fail("a symbol"));
        }
        let symbol = c.take_raw();
        c.expect("=", "`=` and the symbol's value")?;
        let span = option_value(c)?;
        c.symbols.define(symbol.text, c.slice(span));
        let written = c.slice(symbol.span.to(span)).to_owned();
        return Ok(OptionLine { name, value: Some(written), span: flag.span.to(span) });
    }
    if c.take_mark("=").is_none() {
        return Ok(OptionLine { name, value: None, span: flag.span });
    }
    let quoted = c.peek_raw();
    let span = option_value(c)?;
    let value = match quoted.kind {
        Kind::Text if quoted.span == span => quoted.inner(),
        _ => c.slice(span),
    };
    Ok(OptionLine { name, value: Some(value.to_owned()), span: flag.span.to(span) })
}

/// A value and all that stands behind it without a blank.
fn option_value(c: &mut Cursor<'_>) -> Result<Span, SyntaxError> {
    let starts = |kind| {
        use Kind::*;
        matches!(kind, Word | Integer | Hex | Float | Address(_) | Text | Command)
    };
    if !starts(c.peek_raw().kind) {
        return Err(c.fail("a value"));
    }
    let mut span = c.take_raw().span;
    loop {
        let next = c.peek_raw();
        if next.span.start != span.end || matches!(next.kind, Kind::End | Kind::Unfinished(_)) {
            return Ok(span);
        }
        span = span.to(c.take_raw().span);
    }
}

#[cfg(test)]
mod tests;
