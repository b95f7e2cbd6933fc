//! `recvmsg` and `sendmsg`.

use super::super::script::{Field, Span, Syscall, Value, ValueKind};
use super::super::symbols;
use super::failure::{differs, of_script};
use super::open::connecting;
use super::transfer::{emptied, filled, flags};
use super::value::{Args, array, buffers, field, fields, int, integer, only, shown, unexpected};
use super::{CallError, Calls, Done, Effect, Out, Prepared, Result};
use crate::bsd::Ancillary;

const WHAT: &str = "`{msg_name(...)=..., msg_iov(1)=[{..., size}], msg_flags=0}`";

/// `struct msghdr`.
struct Message<'a> {
    /// Whether there is a place for an address, which is `...`.
    name: bool,
    parts: Vec<Vec<u8>>,
    flags: Option<&'a Value>,
    control: &'a [Value],
}

fn message(value: &Value) -> Result<Message<'_>> {
    let fields = fields(value, WHAT)?;
    only(fields, &["msg_name", "msg_iov", "msg_flags", "msg_control"])?;
    let name = field(fields, "msg_name").is_some_and(|name| name.kind == ValueKind::Ellipsis);
    let parts = match fields.iter().find(|field| field.name.as_deref() == Some("msg_iov")) {
        Some(field) => parts(field)?,
        None => return unexpected(value, WHAT),
    };
    let control = field(fields, "msg_control").map_or(Ok(&[][..]), |list| array(list, "an array of cmsg"))?;
    control.iter().try_for_each(check_control)?;
    Ok(Message { name, parts, flags: field(fields, "msg_flags"), control })
}

fn parts(field: &Field) -> Result<Vec<Vec<u8>>> {
    let parts = buffers(&field.value)?;
    if let Some(count) = &field.count {
        let number = usize::try_from(int(count)?).ok();
        if number != Some(parts.len()) {
            return unexpected(count, &format!("{}, the number of buffers", parts.len()));
        }
    }
    Ok(parts)
}

/// That it is a control message with names that mean something.
fn check_control(value: &Value) -> Result<()> {
    let of = fields(value, "`{cmsg_level=, cmsg_type=, cmsg_data=}`")?;
    only(of, &["cmsg_level", "cmsg_type", "cmsg_data"])?;
    for name in ["cmsg_level", "cmsg_type"] {
        match field(of, name) {
            Some(number) => int(number).map(drop)?,
            None => return unexpected(value, &format!("a control message with its {name}")),
        }
    }
    match field(of, "cmsg_data") {
        None => unexpected(value, "a control message with its cmsg_data"),
        Some(Value { kind: ValueKind::Ellipsis | ValueKind::Text(..), .. }) => Ok(()),
        Some(Value { kind: ValueKind::Struct(data), .. }) => data.iter().try_for_each(check_field),
        Some(Value { kind: ValueKind::List(parts), .. }) => parts.iter().try_for_each(check_statistic),
        Some(data) => integer(data).map(drop),
    }
}

/// A field of `sock_extended_err` or `scm_timestamping`.
fn check_field(field: &Field) -> Result<()> {
    check_statistic(&field.value)
}

/// A number, or a named one of the statistics that come with a timestamp.
fn check_statistic(value: &Value) -> Result<()> {
    match &value.kind {
        ValueKind::Ellipsis => Ok(()),
        ValueKind::Named(name, number) => {
            symbols::value(name).map_err(|what| of_script(value.span, what))?;
            integer(number).map(drop)
        }
        _ => integer(value).map(drop),
    }
}

pub(super) fn recvmsg(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(3..=3)?;
    let (live, flags) = (args.live(calls, 0)?, flags(args.get(2)?)?);
    let Message { mut parts, flags: expected, .. } = message(args.get(1)?)?;
    expected.filter(|value| value.kind != ValueKind::Ellipsis).map(int).transpose()?;
    Ok(Prepared::new(move |sockets| match sockets.recvmsg(live, &mut filled(&mut parts), flags) {
        Ok(message) => Done::with(Ok(message.len), Out::Message(message)),
        Err(errno) => Done::failed(errno),
    }))
}

pub(super) fn received(_: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    let Out::Message(actual) = &done.out else { return Ok(Vec::new()) };
    let said = args.get(1)?;
    let expected = message(said)?;
    if let Some(value) = expected.flags.filter(|value| value.kind != ValueKind::Ellipsis) {
        let (wanted, came) = (int(value)?, actual.flags.bits());
        if wanted != came {
            let shown = |flags: i32| symbols::flags("MSG_", flags.cast_unsigned());
            return Err(differs(args.call, value.span, "msg_flags", shown(wanted), shown(came)));
        }
    }
    compare_control(args.call, said.span, expected.control, actual.control.as_slice())?;
    Ok(Vec::new())
}

fn compare_control(call: &Syscall, message: Span, expected: &[Value], actual: &[Ancillary]) -> Result<()> {
    let differs = |span, expected, actual| Err(differs(call, span, "control message", expected, actual));
    for (wanted, came) in expected.iter().zip(actual) {
        if !matches(wanted, came)? {
            return differs(wanted.span, shown(wanted), told(came));
        }
    }
    match (expected.get(actual.len()), actual.get(expected.len())) {
        (Some(missing), _) => differs(missing.span, shown(missing), "none".to_owned()),
        (None, Some(further)) => differs(message, "none".to_owned(), told(further)),
        (None, None) => Ok(()),
    }
}

fn matches(expected: &Value, actual: &Ancillary) -> Result<bool> {
    let of = fields(expected, "a control message")?;
    let number = |name| field(of, name).map(int).transpose();
    if number("cmsg_level")? != Some(actual.level()) || number("cmsg_type")? != Some(actual.kind()) {
        return Ok(false);
    }
    match (field(of, "cmsg_data"), actual) {
        (None | Some(Value { kind: ValueKind::Ellipsis, .. }), _) => Ok(true),
        (Some(Value { kind: ValueKind::Struct(_) | ValueKind::List(_) | ValueKind::Text(..), .. }), _) => {
            Ok(false)
        }
        (Some(data), Ancillary::Unread(octets) | Ancillary::SegmentSize(octets)) => Ok(int(data)? == *octets),
    }
}

/// As a script would have it.
fn told(control: &Ancillary) -> String {
    match control {
        Ancillary::Unread(octets) => {
            format!("{{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data={octets}}}")
        }
        Ancillary::SegmentSize(octets) => {
            format!("{{cmsg_level=SOL_UDP, cmsg_type=UDP_GRO, cmsg_data={octets}}}")
        }
    }
}

pub(super) fn sendmsg(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(3..=3)?;
    let (fd, live, flags) = (args.int(0)?, args.live(calls, 0)?, flags(args.get(2)?)?);
    let message = message(args.get(1)?)?;
    if let Some(value) = message.flags.filter(|value| value.kind != ValueKind::Ellipsis)
        && int(value)? != 0
    {
        return unexpected(value, "0: sendmsg looks at no msg_flags");
    }
    if !message.control.is_empty() {
        return Err(CallError::Unsupported("sendmsg() of control messages".to_owned()));
    }
    let parts = message.parts;
    let to = calls.addresses.connect;
    let named = message.name.then_some(to);
    let prepared = Prepared::new(move |sockets| {
        Done::number(sockets.sendmsg(live, named.as_ref(), &emptied(&parts), flags))
    });
    Ok(if message.name { prepared.after(connecting(fd, to, false)) } else { prepared })
}
