//! Arguments and results.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::lexer::{Kind, Token};
use super::super::script::{Field, Span, Value, ValueKind};
use super::super::source::SyntaxError;
use super::cursor::Cursor;
use super::number;

type Result<T> = std::result::Result<T, SyntaxError>;

/// What may be called inside a value.
const CALLS: [&str; 6] = ["htons", "htonl", "ntohs", "ntohl", "inet_addr", "inet6_addr"];

/// `a, b` up to `close`, which is taken too. Nothing at all is an empty list.
pub(super) fn list(c: &mut Cursor<'_>, close: &str) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    if c.take_mark(close).is_some() {
        return Ok(values);
    }
    loop {
        values.push(value(c)?);
        if c.take_mark(close).is_some() {
            return Ok(values);
        }
        c.expect(",", &format!("`,` or `{close}`"))?;
    }
}

/// Any value: of `a|b` all of it.
pub(super) fn value(c: &mut Cursor<'_>) -> Result<Value> {
    let start = c.peek().span;
    let first = c.nested(single)?;
    if !c.peek().is("|") {
        return Ok(first);
    }
    let mut parts = vec![first];
    while c.take_mark("|").is_some() {
        parts.push(c.nested(single)?);
    }
    Ok(Value { kind: ValueKind::Or(parts), span: c.since(start) })
}

/// A value without `|` at its own level.
fn single(c: &mut Cursor<'_>) -> Result<Value> {
    let token = c.peek();
    let kind = match token.kind {
        Kind::Integer | Kind::Hex => ValueKind::Integer(number::integer(c)?),
        Kind::Ellipsis => {
            c.take();
            ValueKind::Ellipsis
        }
        Kind::Text => text(c)?,
        Kind::Word => word(c)?,
        Kind::Mark if token.is("[") => {
            c.take();
            ValueKind::List(list(c, "]")?)
        }
        Kind::Mark if token.is("{") => ValueKind::Struct(structure(c)?),
        _ => return Err(c.fail("a value")),
    };
    Ok(Value { kind, span: c.since(token.span) })
}

/// A name, `name = value`, or one of [`CALLS`].
fn word(c: &mut Cursor<'_>) -> Result<ValueKind> {
    let token = c.peek();
    if CALLS.contains(&token.text) && c.second().is("(") {
        return Ok(match call(c)? {
            ValueKind::Call(name, args) if name == "inet_addr" => as_in_memory(c, token.span, name, args)?,
            call => call,
        });
    }
    let name = c.take().text.to_owned();
    if c.take_mark("=").is_some() {
        return Ok(ValueKind::Named(name, Box::new(value(c)?)));
    }
    Ok(ValueKind::Word(name))
}

/// `htons(80)`, `inet_addr("192.0.2.1")`.
fn call(c: &mut Cursor<'_>) -> Result<ValueKind> {
    let name = c.take().text;
    c.mark("(")?;
    let argument = c.peek();
    let args = list(c, ")")?;
    let fits = match (name, args.as_slice()) {
        (_, [Value { kind: ValueKind::Ellipsis, .. }]) => true,
        ("inet_addr", [arg]) => {
            plain(arg).is_some_and(|ip| ip.parse::<Ipv4Addr>().is_ok() || ip.parse::<Ipv6Addr>().is_ok())
        }
        ("inet6_addr", [arg]) => plain(arg).is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
        ("htons" | "ntohs", [Value { kind: ValueKind::Integer(number), .. }]) => {
            (0..=i64::from(u16::MAX)).contains(number)
        }
        ("htonl" | "ntohl", [Value { kind: ValueKind::Integer(number), .. }]) => {
            (0..=i64::from(u32::MAX)).contains(number)
        }
        _ => false,
    };
    if !fits {
        let expected = match name {
            "inet_addr" => "an address in quotation marks",
            "inet6_addr" => "an IPv6 address in quotation marks",
            "htons" | "ntohs" => "a number from 0 to 65535",
            _ => "a number from 0 to 4294967295",
        };
        return Err(c.fail_at(argument, expected));
    }
    Ok(ValueKind::Call(name.to_owned(), args))
}

fn plain(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::Text(octets, false) => std::str::from_utf8(octets).ok(),
        _ => None,
    }
}

/// `inet_addr("192.0.2.1")` as the number that the call gives: the octets as they stand in memory.
fn as_in_memory(c: &Cursor<'_>, span: Span, name: String, args: Vec<Value>) -> Result<ValueKind> {
    let Some(argument) = args.first().and_then(plain) else { return Ok(ValueKind::Call(name, args)) };
    let Ok(ip) = argument.parse::<Ipv4Addr>() else {
        return Err(c.error(c.since(span), "an IPv4 address", format!("`{argument}`")));
    };
    Ok(ValueKind::Integer(u32::from_ne_bytes(ip.octets()).into()))
}

/// One or more texts, joined; or one with `...` behind it.
fn text(c: &mut Cursor<'_>) -> Result<ValueKind> {
    let mut octets = Vec::new();
    let mut pieces = 0;
    while let Some(token) = c.take_if(|token| token.kind == Kind::Text) {
        unescape(c, token, &mut octets)?;
        pieces += 1;
    }
    let more = pieces == 1 && c.take_if(|token| token.kind == Kind::Ellipsis).is_some();
    Ok(ValueKind::Text(octets, more))
}

/// Adds what is between the quotation marks, with C's escapes replaced.
fn unescape(c: &Cursor<'_>, token: Token<'_>, into: &mut Vec<u8>) -> Result<()> {
    let mut rest = token.inner();
    while let Some(at) = rest.find('\\') {
        into.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (octet, length) = match escape.as_bytes() {
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b't', ..] => (b'\t', 1),
            [b'v', ..] => (0x0b, 1),
            [b'f', ..] => (0x0c, 1),
            [b'a', ..] => (0x07, 1),
            [b'b', ..] => (0x08, 1),
            [mark @ (b'\\' | b'"' | b'\'' | b'?'), ..] => (*mark, 1),
            [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (digits(&escape[1..3], 16), 3)
            }
            [b'0'..=b'7', ..] => {
                let length = escape.bytes().take(3).take_while(|octet| (b'0'..=b'7').contains(octet)).count();
                // Three digits of which the first is above 3 do not fit an octet.
                let length = if length == 3 && escape.as_bytes()[0] > b'3' { 2 } else { length };
                (digits(&escape[..length], 8), length)
            }
            _ => {
                let found: String = escape.chars().take(1).collect();
                let message = "an escape of C: one of `abfnrtv\\\"'?`, `xHH` or octal digits";
                return Err(c.error(token.span, message, format!("`\\{}`", found.escape_debug())));
            }
        };
        into.push(octet);
        rest = &escape[length..];
    }
    into.extend_from_slice(rest.as_bytes());
    Ok(())
}

fn digits(text: &str, radix: u32) -> u8 {
    text.chars()
        .filter_map(|digit| digit.to_digit(radix))
        .fold(0, |value, digit| value * radix as u8 + digit as u8)
}

/// `{a, b}`, `{name=a, name(count)=b}`.
fn structure(c: &mut Cursor<'_>) -> Result<Vec<Field>> {
    c.mark("{")?;
    let mut fields = Vec::new();
    if c.take_mark("}").is_some() {
        return Ok(fields);
    }
    if c.peek().is("(") {
        return Err(c.unsupported("a stack of MPLS labels", "a field"));
    }
    let second = c.second();
    if (c.peek().is("flags") || c.peek().is("Flags")) && !second.is("=") && !second.is("(") {
        return Err(c.unsupported("a header of GRE", "a field"));
    }
    loop {
        fields.push(field(c)?);
        if c.take_mark("}").is_some() {
            return Ok(fields);
        }
        c.expect(",", "`,` or `}`")?;
    }
}

fn field(c: &mut Cursor<'_>) -> Result<Field> {
    let token = c.peek();
    let second = c.second();
    let counted = second.is("(") && !CALLS.contains(&token.text);
    if token.kind != Kind::Word || !(counted || second.is("=")) {
        return Ok(Field { name: None, count: None, value: value(c)? });
    }
    let name = Some(c.take().text.to_owned());
    let mut count = None;
    if counted {
        c.mark("(")?;
        count = Some(value(c)?);
        c.expect(")", "`)` behind the count")?;
    }
    c.expect("=", "`=` and the field's value")?;
    let value = if CALLS.contains(&c.peek().text) && c.second().is("(") {
        let start = c.peek().span;
        let kind = call(c)?;
        Value { kind, span: c.since(start) }
    } else {
        value(c)?
    };
    Ok(Field { name, count, value })
}
