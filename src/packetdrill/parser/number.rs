//! Numbers and their ranges.

use std::time::Duration;

use super::super::lexer::Kind;
use super::super::source::SyntaxError;
use super::cursor::Cursor;

type Result<T> = std::result::Result<T, SyntaxError>;

/// The decimal number at the cursor, 0 to `largest`. `what` it is, with its article.
fn up_to(c: &mut Cursor<'_>, largest: u32, what: &str) -> Result<u32> {
    let token = c.peek();
    if token.kind != Kind::Integer {
        return Err(c.fail(what));
    }
    match token.text.parse::<u32>() {
        Ok(number) if number <= largest => {
            c.take();
            Ok(number)
        }
        _ => Err(c.fail(format!("{what} from 0 to {largest}"))),
    }
}

pub(super) fn u8(c: &mut Cursor<'_>, what: &str) -> Result<u8> {
    up_to(c, u8::MAX.into(), what).map(|number| number as u8)
}

pub(super) fn u16(c: &mut Cursor<'_>, what: &str) -> Result<u16> {
    up_to(c, u16::MAX.into(), what).map(|number| number as u16)
}

pub(super) fn u15(c: &mut Cursor<'_>, what: &str) -> Result<u16> {
    up_to(c, 0x7fff, what).map(|number| number as u16)
}

pub(super) fn u24(c: &mut Cursor<'_>, what: &str) -> Result<u32> {
    up_to(c, 0xff_ffff, what)
}

pub(super) fn u32(c: &mut Cursor<'_>, what: &str) -> Result<u32> {
    up_to(c, u32::MAX, what)
}

/// A hexadecimal number, 0 to `largest`.
pub(super) fn hex(c: &mut Cursor<'_>, largest: u32, what: &str) -> Result<u32> {
    let token = c.peek();
    if token.kind != Kind::Hex {
        return Err(c.fail(format!("{what} in hexadecimal")));
    }
    match u32::from_str_radix(&token.text[2..], 16) {
        Ok(number) if number <= largest => {
            c.take();
            Ok(number)
        }
        _ => Err(c.fail(format!("{what} from 0x0 to {largest:#x}"))),
    }
}

/// A decimal or hexadecimal number. Hexadecimal ones may have all 64 bits, as masks do.
pub(super) fn integer(c: &mut Cursor<'_>) -> Result<i64> {
    let token = c.peek();
    let value = match token.kind {
        Kind::Hex => u64::from_str_radix(&token.text[2..], 16).ok().map(u64::cast_signed),
        _ => token.text.parse().ok(),
    };
    let value = value.ok_or_else(|| c.fail("a number of 64 bits"))?;
    c.take();
    Ok(value)
}

/// Seconds, with up to nine digits behind the point.
pub(super) fn time(c: &mut Cursor<'_>) -> Result<Duration> {
    let token = c.peek();
    if !matches!(token.kind, Kind::Integer | Kind::Float) {
        return Err(c.fail("a time"));
    }
    if token.text.starts_with('-') {
        return Err(c.fail("a time that is not negative"));
    }
    let (whole, fraction) = token.text.split_once('.').unwrap_or((token.text, ""));
    let seconds = if whole.is_empty() { Some(0) } else { whole.parse::<u32>().ok() };
    let nanos = if fraction.len() <= 9 { format!("{fraction:0<9}").parse::<u32>().ok() } else { None };
    match (seconds, nanos) {
        (Some(seconds), Some(nanos)) => {
            c.take();
            Ok(Duration::new(seconds.into(), nanos))
        }
        (None, _) => Err(c.fail(format!("a time of at most {} seconds", u32::MAX))),
        (_, None) => Err(c.fail("a time in nanoseconds at the finest")),
    }
}
