//! `fcntl`, `ioctl` and `dup`.

use super::super::script::ValueKind;
use super::failure::differs;
use super::value::{Args, boxed, int, integer};
use super::{Calls, Done, Effect, Out, Prepared, Result};
use crate::bsd::abi::{F_DUPFD, F_DUPFD_CLOEXEC, FIONBIO};

pub(super) fn fcntl(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(2..=3)?;
    let (live, command) = (args.live(calls, 0)?, args.int(1)?);
    let argument = if args.call.args.len() == 3 { args.int(2)? } else { 0 };
    Ok(Prepared::new(move |sockets| Done::number(sockets.fcntl(live, command, argument))))
}

/// Whether it is a call of `fcntl` that gives a new descriptor.
pub(super) fn duplicates(args: &Args<'_>) -> bool {
    args.call.name == "fcntl" && matches!(args.int(1), Ok(F_DUPFD | F_DUPFD_CLOEXEC))
}

/// The argument is a number that is given back; that of `FIONBIO` is given to the call.
pub(super) fn ioctl(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(2..=3)?;
    let live = args.live(calls, 0)?;
    let request = integer(args.get(1)?)? as libc::Ioctl;
    let mut number = match args.call.args.get(2) {
        Some(value) => match (boxed(value)?, request) {
            (Some(given), FIONBIO) => int(given)?,
            _ => 0,
        },
        None => 0,
    };
    Ok(Prepared::new(move |sockets| {
        let result = sockets.ioctl(live, request, &mut number);
        Done::with(result.map(|()| 0), Out::Number(number))
    }))
}

pub(super) fn answered(_: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    let (Out::Number(actual), Ok(_), Some(value)) = (&done.out, &done.result, args.call.args.get(2)) else {
        return Ok(Vec::new());
    };
    if integer(args.get(1)?)? as libc::Ioctl == FIONBIO {
        return Ok(Vec::new());
    }
    match boxed(value)?.map(integer).transpose()? {
        Some(expected) if expected != i64::from(*actual) => {
            Err(differs(args.call, value.span, "value", expected.to_string(), actual.to_string()))
        }
        _ => Ok(Vec::new()),
    }
}

pub(super) fn dup(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(1..=1)?;
    let live = args.live(calls, 0)?;
    Ok(Prepared::new(move |sockets| Done::number(sockets.dup(live))))
}

/// Onto a number that the script has open; another one is just a new one.
pub(super) fn dup2(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(2..=2)?;
    let (live, onto) = (args.live(calls, 0)?, calls.live(args.int(1)?));
    Ok(Prepared::new(move |sockets| {
        Done::number(onto.map_or_else(|| sockets.dup(live), |onto| sockets.dup2(live, onto)))
    }))
}

/// `dup2` gives the number that it was given.
pub(super) fn duplicated(_: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    let result = &args.call.result;
    if done.result.is_err() || result.kind == ValueKind::Ellipsis {
        return Ok(Vec::new());
    }
    let (expected, actual) = (int(result)?, args.int(1)?);
    if expected == actual {
        return Ok(Vec::new());
    }
    Err(differs(args.call, result.span, "result", expected.to_string(), actual.to_string()))
}
