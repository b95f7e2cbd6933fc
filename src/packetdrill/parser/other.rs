//! UDP datagrams and ICMP messages.

use super::super::lexer::Kind;
use super::super::script::{Icmp, Quoted, Udp};
use super::super::source::SyntaxError;
use super::cursor::Cursor;
use super::{number, tcp};

type Result<T> = std::result::Result<T, SyntaxError>;

/// `udp [1234 > 53] (len)`.
pub(super) fn udp(c: &mut Cursor<'_>) -> Result<Udp> {
    c.take();
    let ports = tcp::ports(c)?;
    Ok(Udp { ports, len: length(c)? })
}

/// `(len)`.
fn length(c: &mut Cursor<'_>) -> Result<u16> {
    c.expect("(", "`(` and the length of the data")?;
    let len = number::u16(c, "a length")?;
    c.expect(")", "`)` behind the length")?;
    Ok(len)
}

/// `icmp type [code] [mtu n] [id n] [quoted]`. A code is a name: a number would be the next event's time.
pub(super) fn icmp(c: &mut Cursor<'_>) -> Result<Icmp> {
    c.take();
    let kind = c
        .take_if(|token| matches!(token.kind, Kind::Word | Kind::Integer))
        .ok_or_else(|| c.fail("the message's type"))?;
    let code = c.take_if(|token| token.kind == Kind::Word && !token.is("mtu") && !token.is("id"));
    let mtu = match c.take_mark("mtu") {
        Some(_) => Some(number::u32(c, "an MTU")?),
        None => None,
    };
    let id = match c.take_mark("id") {
        Some(_) => Some(number::u16(c, "an identifier")?),
        None => None,
    };
    let quoted = quoted(c)?;
    Ok(Icmp { kind: kind.text.to_owned(), code: code.map(|code| code.text.to_owned()), mtu, id, quoted })
}

/// `[1:1461(1460)]`, `[udp (100)]`, `[raw (100)]`, or nothing.
fn quoted(c: &mut Cursor<'_>) -> Result<Quoted> {
    if c.take_mark("[").is_none() {
        return Ok(Quoted::Unsaid);
    }
    let quoted = if c.take_mark("udp").is_some() {
        Quoted::Udp { len: length(c)? }
    } else if c.take_mark("raw").is_some() {
        Quoted::Raw { len: length(c)? }
    } else if c.peek().kind == Kind::Integer {
        let (seq, len) = tcp::sequence(c)?;
        Quoted::Tcp { seq, len }
    } else {
        return Err(c.fail("a sequence number, `udp` or `raw`"));
    };
    c.expect("]", "`]` behind the quoted packet")?;
    Ok(quoted)
}
