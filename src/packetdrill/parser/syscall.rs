//! System calls.

use std::time::Duration;

use super::super::lexer::Kind;
use super::super::script::Syscall;
use super::super::source::SyntaxError;
use super::cursor::Cursor;
use super::{number, value};

type Result<T> = std::result::Result<T, SyntaxError>;

/// `[...end] name(arguments) = result [ERRNO] [(note)]`, at `start`, which counts from the same instant as the end.
pub(super) fn syscall(c: &mut Cursor<'_>, start: Duration) -> Result<Syscall> {
    let mut end = None;
    if c.take_if(|token| token.kind == Kind::Ellipsis).is_some() {
        let at = c.peek();
        let time = number::time(c)?;
        if time < start {
            return Err(c.fail_at(at, "an end that is not before the call's start"));
        }
        end = Some(time);
    }
    let name =
        c.take_if(|token| token.kind == Kind::Word).ok_or_else(|| c.fail("the name of a system call"))?;
    c.expect("(", "`(` and the call's arguments")?;
    let args = value::list(c, ")")?;
    c.expect("=", "`=` and the call's result")?;
    let result = value::value(c)?;
    let errno = c.take_if(|token| token.kind == Kind::Word).map(|token| token.text.to_owned());
    let note = note(c)?;
    Ok(Syscall { end, name: name.text.to_owned(), args, result, errno, note, span: c.since(name.span) })
}

/// `(Connection refused)`, whatever it says on its line.
fn note(c: &mut Cursor<'_>) -> Result<Option<String>> {
    let Some(open) = c.take_mark("(") else { return Ok(None) };
    let mut depth = 1;
    loop {
        let token = c.peek_raw();
        if c.starts_line() {
            return Err(c.fail("`)` behind the note, on its line"));
        }
        match token.kind {
            Kind::End | Kind::Unfinished(_) => return Err(c.fail("`)` behind the note")),
            _ if token.is("(") => depth += 1,
            _ if token.is(")") => depth -= 1,
            _ => {}
        }
        c.take_raw();
        if depth == 0 {
            let inside = c.slice(c.since(open.span));
            return Ok(Some(inside[1..inside.len() - 1].trim().to_owned()));
        }
    }
}
