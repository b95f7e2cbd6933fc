//! TCP's options.

use super::super::lexer::Kind;
use super::super::script::{AccEcn, Direction, TcpOption};
use super::super::source::SyntaxError;
use super::cursor::Cursor;
use super::number;

type Result<T> = std::result::Result<T, SyntaxError>;

/// All that the header has room for, in octets (RFC 9293, 3.1).
const ROOM: usize = 40;

/// `<mss 1460, nop>`, `<...>`, or nothing, which is no options.
pub(super) fn options(c: &mut Cursor<'_>, direction: Direction) -> Result<Option<Vec<TcpOption>>> {
    let mut list = Vec::new();
    if c.take_mark("<").is_none() {
        return Ok(Some(list));
    }
    if c.peek().kind == Kind::Ellipsis {
        if direction == Direction::Inbound {
            return Err(c.fail("the options of an inbound packet"));
        }
        c.take();
        c.mark(">")?;
        return Ok(None);
    }
    let mut octets = 0;
    loop {
        let first = c.peek();
        let option = option(c)?;
        octets += length(&option);
        if octets > ROOM {
            return Err(c.fail_at(first, format!("at most {ROOM} octets of options")));
        }
        list.push(option);
        if let Some(end) = c.take_mark(">") {
            if octets % 4 != 0 {
                let message = format!("options of a multiple of 4 octets (these have {octets})");
                return Err(c.fail_at(end, message));
            }
            return Ok(Some(list));
        }
        c.expect(",", "`,` or `>`")?;
    }
}

/// The octets of an option, kind and length among them.
fn length(option: &TcpOption) -> usize {
    match option {
        TcpOption::Nop | TcpOption::Eol => 1,
        TcpOption::Mss(_) | TcpOption::UserTimeout(_) => 4,
        TcpOption::WindowScale(_) => 3,
        TcpOption::SackPermitted => 2,
        TcpOption::Sack(blocks) => 2 + 8 * blocks.len(),
        TcpOption::Timestamps { .. } => 10,
        TcpOption::Md5(octets) | TcpOption::FastOpen(octets) => 2 + octets.len(),
        TcpOption::FastOpenExperimental(cookie) => 4 + cookie.len(),
        TcpOption::AccEcn(option) => 2 + 3 * option.counters.iter().flatten().count(),
    }
}

fn option(c: &mut Cursor<'_>) -> Result<TcpOption> {
    let name = c.peek();
    if name.kind != Kind::Word {
        return Err(c.fail("a TCP option"));
    }
    let unknown = || {
        c.fail("`nop`, `eol`, `mss`, `wscale`, `sackOK`, `sack`, `TS`, `md5`, `UTO`, `FO`, `FOEXP` or `ECN`")
    };
    let read: fn(&mut Cursor<'_>) -> Result<TcpOption> = match name.text {
        "nop" => |_| Ok(TcpOption::Nop),
        "eol" => |_| Ok(TcpOption::Eol),
        "sackOK" => |_| Ok(TcpOption::SackPermitted),
        "mss" => |c| number::u16(c, "an MSS").map(TcpOption::Mss),
        "wscale" => |c| number::u8(c, "a window scale").map(TcpOption::WindowScale),
        "sack" => |c| sack(c).map(TcpOption::Sack),
        "TS" => timestamps,
        "md5" => |c| octets(c, "the digest").map(TcpOption::Md5),
        "UTO" => user_timeout,
        "FO" => |c| octets(c, "the cookie").map(TcpOption::FastOpen),
        "FOEXP" => |c| octets(c, "the cookie").map(TcpOption::FastOpenExperimental),
        "ECN" => |c| accecn(c).map(TcpOption::AccEcn),
        _ => return Err(unknown()),
    };
    c.take();
    read(c)
}

/// `1:1001 2001:3001`, at least one block.
fn sack(c: &mut Cursor<'_>) -> Result<Vec<(u32, u32)>> {
    let mut blocks = Vec::new();
    loop {
        let left = number::u32(c, "a block's left edge")?;
        c.expect(":", "`:` between a block's edges")?;
        blocks.push((left, number::u32(c, "a block's right edge")?));
        if c.peek().kind != Kind::Integer {
            return Ok(blocks);
        }
    }
}

fn timestamps(c: &mut Cursor<'_>) -> Result<TcpOption> {
    c.mark("val")?;
    let val = number::u32(c, "a timestamp")?;
    c.mark("ecr")?;
    let ecr = number::u32(c, "a timestamp")?;
    Ok(TcpOption::Timestamps { val, ecr })
}

/// `sec 100` or `min 5`, of 15 bits.
fn user_timeout(c: &mut Cursor<'_>) -> Result<TcpOption> {
    let unit = c.peek();
    let granularity = match unit.text {
        "sec" => 0,
        "min" => 1 << 15,
        _ => return Err(c.fail("`sec` or `min`")),
    };
    c.take();
    Ok(TcpOption::UserTimeout(granularity | number::u15(c, "a user timeout")?))
}

/// Octets in hexadecimal, which look like a word or a number; none, if neither comes.
fn octets(c: &mut Cursor<'_>, what: &str) -> Result<Vec<u8>> {
    let token = c.peek();
    if !matches!(token.kind, Kind::Word | Kind::Integer) {
        return Ok(Vec::new());
    }
    let digits: Option<Vec<u8>> =
        token.text.chars().map(|digit| digit.to_digit(16).and_then(|value| value.try_into().ok())).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            c.take();
            Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => Err(c.fail(format!("{what} in pairs of hexadecimal digits"))),
    }
}

/// `e0b 1 ceb 2 e1b 3` or `e1b 1 ceb 2 e0b 3`, or the first or two of either (RFC 9768, 3.2.3).
fn accecn(c: &mut Cursor<'_>) -> Result<AccEcn> {
    const COUNTER: &str = "a counter";
    let e1b_first = c.peek().is("e1b");
    if !e1b_first && !c.peek().is("e0b") {
        return Err(c.fail("`e0b` or `e1b`"));
    }
    c.take();
    let mut counters = [Some(number::u24(c, COUNTER)?), None, None];
    if c.take_mark("ceb").is_some() {
        counters[1] = Some(number::u24(c, COUNTER)?);
        if c.take_mark(if e1b_first { "e0b" } else { "e1b" }).is_some() {
            counters[2] = Some(number::u24(c, COUNTER)?);
        }
    }
    Ok(AccEcn { e1b_first, counters })
}
