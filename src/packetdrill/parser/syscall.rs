//! System calls.

use super::super::lexer::Kind;
use super::super::script::Syscall;
use super::super::source::SyntaxError;
use super::cursor::Cursor;
use super::{number, value};

type Result<T> = std::result::Result<T, SyntaxError>;

/// `[...end] name(arguments) = result [ERRNO] [(note)]`.
pub(super) fn syscall(c: &mut Cursor<'_>) -> Result<Syscall> {
    let end = match c.take_if(|token| token.kind == Kind::Ellipsis) {
        Some(_) => Some(number::time(c)?),
        None => None,
    };
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

/// `(Connection refused)`, whatever it says.
fn note(c: &mut Cursor<'_>) -> Result<Option<String>> {
    let Some(open) = c.take_mark("(") else { return Ok(None) };
    let mut depth = 1;
    loop {
        let token = c.peek_raw();
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
