//! `setsockopt` and `getsockopt`, and what the stack refuses although Linux has it.

use super::super::script::ValueKind;
use super::failure::differs;
use super::option_value::{compare, octets, unsupported};
use super::value::{Args, boxed, is_null, size};
use super::{CallError, Calls, Done, Effect, Errno, Out, Prepared, Result};
use crate::bsd::abi::MsgFlags;

/// Room where a script does not say how much: for any option's value.
const ROOM: usize = 1024;

pub(super) fn setsockopt(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(5..=5)?;
    let (live, level, name) = (args.live(calls, 0)?, args.int(1)?, args.int(2)?);
    let (place, length) = (args.get(3)?, args.get(4)?);
    let mut value = if is_null(place) { Vec::new() } else { octets(place)? };
    if length.kind != ValueKind::Ellipsis {
        let said = size(length)?;
        if is_null(place) && said > 0 {
            return Ok(Prepared::new(|_| Done::failed(Errno::FAULT)));
        }
        // What is behind a value that is too short is nothing.
        value.resize(said, 0);
    }
    Ok(Prepared::new(move |sockets| Done::nothing(sockets.setsockopt(live, level, name, &value))))
}

pub(super) fn getsockopt(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(5..=5)?;
    let (live, level, name) = (args.live(calls, 0)?, args.int(1)?, args.int(2)?);
    let room = boxed(args.get(4)?)?.map_or(Ok(ROOM), size)?;
    Ok(Prepared::new(move |sockets| {
        let mut value = vec![0; room];
        match sockets.getsockopt(live, level, name, &mut value) {
            Ok(len) => {
                value.truncate(len);
                Done::with(Ok(0), Out::Octets(value))
            }
            Err(errno) => Done::failed(errno),
        }
    }))
}

pub(super) fn got(_: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    let Out::Octets(actual) = &done.out else { return Ok(Vec::new()) };
    let length = args.get(4)?;
    let expected = boxed(length)?.map(size).transpose()?;
    if let Some(expected) = expected.filter(|expected| *expected != actual.len()) {
        return Err(differs(
            args.call,
            length.span,
            "length",
            expected.to_string(),
            actual.len().to_string(),
        ));
    }
    compare(args.call, args.get(3)?, actual)?;
    Ok(Vec::new())
}

/// What to say of a result that is not as expected: where the stack says that it cannot do what was asked, and the script
/// needs that it can, nothing is wrong but that it is not there.
pub(super) fn refused(
    args: &Args<'_>,
    result: &std::result::Result<i64, Errno>,
    error: CallError,
) -> CallError {
    if args.call.errno.is_some() {
        return error;
    }
    let call = args.call;
    let flags = match call.name.as_str() {
        "send" | "recv" | "recvfrom" | "sendto" => args.int(3).ok(),
        "sendmsg" | "recvmsg" => args.int(2).ok(),
        _ => None,
    };
    let fast_open = flags.is_some_and(|flags| MsgFlags::from_bits_retain(flags).contains(MsgFlags::FASTOPEN));
    match (call.name.as_str(), result, call.args.as_slice()) {
        ("setsockopt" | "getsockopt", Err(Errno::NOPROTOOPT), [_, level, name, ..]) => {
            unsupported(call, &[level, name])
        }
        (
            "socket",
            Err(Errno::AFNOSUPPORT | Errno::SOCKTNOSUPPORT | Errno::PROTONOSUPPORT),
            [domain, kind, protocol],
        ) => unsupported(call, &[domain, kind, protocol]),
        (_, Err(Errno::OPNOTSUPP), _) if fast_open => CallError::Unsupported("MSG_FASTOPEN".to_owned()),
        _ => error,
    }
}
