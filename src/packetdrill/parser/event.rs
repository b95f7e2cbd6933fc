//! Events: a time and what happens then.

use std::time::Duration;

use super::super::lexer::Kind;
use super::super::script::{Action, Code, Direction, Event, EventTime, Packet, Payload};
use super::super::source::SyntaxError;
use super::cursor::Cursor;
use super::{command, ip, number, other, syscall, tcp};

type Result<T> = std::result::Result<T, SyntaxError>;

/// A time and an action.
pub(super) fn event(c: &mut Cursor<'_>) -> Result<Event> {
    let time_at = c.peek().span;
    let time = event_time(c)?;
    let action_at = c.peek();
    let (start, behind) = match time {
        EventTime::Absolute(start) | EventTime::Relative(start) => (start, None),
        EventTime::AbsoluteRange(start, _) | EventTime::RelativeRange(start, _) => {
            (start, Some("behind a range of times"))
        }
        EventTime::Any => (Duration::ZERO, Some("behind `*`")),
    };
    if let Some(behind) = behind
        && !action_at.is(">")
    {
        return Err(c.fail(format!("an outbound packet {behind}")));
    }
    let action = match action_at.kind {
        Kind::Command => command(c).map(Action::Command),
        Kind::Code => Some(Action::Code(Code { text: c.take().inner().to_owned(), span: action_at.span })),
        Kind::Word | Kind::Ellipsis => Some(Action::Syscall(Box::new(syscall::syscall(c, start)?))),
        _ if action_at.is("<") => Some(Action::Packet(Box::new(packet(c, Direction::Inbound)?))),
        _ if action_at.is(">") => Some(Action::Packet(Box::new(packet(c, Direction::Outbound)?))),
        _ => None,
    };
    let action = action.ok_or_else(|| c.fail("a packet, a system call, a command or code"))?;
    Ok(Event { time, action, span: c.since(time_at) })
}

/// `+t`, `t`, `t~t`, `+t~+t`, `*`.
fn event_time(c: &mut Cursor<'_>) -> Result<EventTime> {
    if c.take_mark("*").is_some() {
        return Ok(EventTime::Any);
    }
    let relative = c.take_mark("+").is_some();
    if !relative && !matches!(c.peek().kind, Kind::Integer | Kind::Float) {
        return Err(c.fail("an event's time"));
    }
    let from = number::time(c)?;
    if c.take_mark("~").is_none() {
        return Ok(if relative { EventTime::Relative(from) } else { EventTime::Absolute(from) });
    }
    if relative {
        c.expect("+", "`+`, as at the range's start")?;
    }
    let end = c.peek();
    let to = number::time(c)?;
    if to < from {
        return Err(c.fail_at(end, "an end that is not before the range's start"));
    }
    Ok(if relative { EventTime::RelativeRange(from, to) } else { EventTime::AbsoluteRange(from, to) })
}

/// `<` or `>` and what is behind it.
fn packet(c: &mut Cursor<'_>, direction: Direction) -> Result<Packet> {
    c.take();
    let outer = ip::outer(c, direction)?;
    let labels = ip::labels(c, direction)?;
    let next = c.peek();
    let payload = if next.is("udp") {
        Payload::Udp(other::udp(c)?)
    } else if next.is("icmp") {
        Payload::Icmp(other::icmp(c)?)
    } else if next.is("encap") {
        return Err(c.unsupported("encapsulation in PSP", "a TCP segment"));
    } else {
        Payload::Tcp(tcp::segment(c, direction)?)
    };
    Ok(Packet { direction, outer, ip: labels, payload })
}
