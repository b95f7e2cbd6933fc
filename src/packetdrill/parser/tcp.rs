//! TCP segments.

use super::super::lexer::Kind;
use super::super::script::{Direction, Flags, Ports, Tcp};
use super::super::source::SyntaxError;
use super::cursor::Cursor;
use super::{number, tcp_options};

type Result<T> = std::result::Result<T, SyntaxError>;

/// `[1234 > 80] flags a:b(len) [ack n] [win n] [urg n] [<options>]`.
pub(super) fn segment(c: &mut Cursor<'_>, direction: Direction) -> Result<Tcp> {
    let ports = ports(c)?;
    let flags = flags(c)?;
    let (seq, len) = sequence(c)?;
    let ack = if c.take_mark("ack").is_some() { number::u32(c, "an acknowledgment number")? } else { 0 };
    let window = match c.take_mark("win") {
        Some(_) => Some(number::u16(c, "a window")?),
        None => None,
    };
    let urgent = if c.take_mark("urg").is_some() { number::u16(c, "an urgent pointer")? } else { 0 };
    let options = tcp_options::options(c, direction)?;
    Ok(Tcp { ports, flags, seq, len, ack, window, urgent, options })
}

/// `1234 > 80`, if a number comes next.
pub(super) fn ports(c: &mut Cursor<'_>) -> Result<Option<Ports>> {
    if c.peek().kind != Kind::Integer || !c.second().is(">") {
        return Ok(None);
    }
    let source = number::u16(c, "a port")?;
    c.mark(">")?;
    let destination = number::u16(c, "a port")?;
    Ok(Some(Ports { source, destination }))
}

/// Letters, `.` and a digit in one piece, which may have been read as a word, a mark or a number; or `-` alone.
fn flags(c: &mut Cursor<'_>) -> Result<Flags> {
    const EXPECTED: &str = "a segment's flags";
    let first = c.peek();
    if c.take_mark("-").is_some() {
        return Ok(Flags::default());
    }
    let mut flags = Flags::default();
    let mut end = first.span.start;
    loop {
        let piece = c.peek();
        let fits = match piece.kind {
            Kind::Word | Kind::Float => true,
            Kind::Integer => end != first.span.start,
            _ => piece.is("."),
        };
        if !fits || piece.span.start != end {
            break;
        }
        for flag in piece.text.chars() {
            if !add(&mut flags, flag) {
                let message = format!("{EXPECTED}, each of `FSRPUEWCA.` once, or one digit for E, W and A");
                return Err(c.fail(message));
            }
        }
        end = piece.span.end;
        c.take();
    }
    if end == first.span.start { Err(c.fail(EXPECTED)) } else { Ok(flags) }
}

/// Sets `flag`; not one that is unknown, set already, or has its bit in the ACE counter.
fn add(flags: &mut Flags, flag: char) -> bool {
    let bit = match flag {
        'F' => 0x01,
        'S' => 0x02,
        'R' => 0x04,
        'P' => 0x08,
        '.' => 0x10,
        'U' => 0x20,
        'E' => 0x40,
        'W' | 'C' => 0x80,
        'A' => 0x100,
        '0'..='7' => {
            let free = flags.ace.is_none() && flags.bits & Flags::ACE == 0;
            flags.ace = Some(flag as u8 - b'0');
            return free;
        }
        _ => return false,
    };
    let free = flags.bits & bit == 0 && (flags.ace.is_none() || bit & Flags::ACE == 0);
    flags.bits |= bit;
    free
}

/// `a:b(len)`: where it starts and how long it is. Sequence numbers wrap (RFC 9293, 3.4).
pub(super) fn sequence(c: &mut Cursor<'_>) -> Result<(u32, u16)> {
    let start = number::u32(c, "a sequence number")?;
    c.expect(":", "`:` between sequence numbers")?;
    let at = c.peek();
    let end = number::u32(c, "a sequence number")?;
    c.expect("(", "`(` and the length of the data")?;
    let len = number::u16(c, "a length")?;
    c.expect(")", "`)` behind the length")?;
    let sum = start.wrapping_add(len.into());
    if sum != end {
        return Err(c.fail_at(at, format!("{sum}, which is {start} and {len} more")));
    }
    Ok((start, len))
}
