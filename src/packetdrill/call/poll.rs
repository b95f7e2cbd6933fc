//! `poll`.

use super::super::script::{Value, ValueKind};
use super::super::symbols;
use super::failure::differs;
use super::value::{Args, array, field, fields, int, live, only, unexpected};
use super::{Calls, Done, Effect, Out, Prepared, Result};
use crate::bsd::{PollFd, PollFlags};

const WHAT: &str = "`{fd=, events=, revents=}`";

/// The 16 bits of events; of others there are none.
fn flags(value: &Value) -> Result<PollFlags> {
    let bits = u16::try_from(int(value)?).map(u16::cast_signed);
    bits.map_or_else(|_| unexpected(value, "events of 16 bits"), |bits| Ok(PollFlags::from_bits_retain(bits)))
}

pub(super) fn poll(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(3..=3)?;
    let mut fds = Vec::new();
    for entry in array(args.get(0)?, "an array of pollfd")? {
        let of = fields(entry, WHAT)?;
        only(of, &["fd", "events", "revents"])?;
        let (Some(fd), Some(events)) = (field(of, "fd"), field(of, "events")) else {
            return unexpected(entry, WHAT);
        };
        // One below 0 is passed over.
        let number = if int(fd)? < 0 { -1 } else { live(calls, fd)? };
        if let Some(revents) = field(of, "revents").filter(|value| value.kind != ValueKind::Ellipsis) {
            flags(revents)?;
        }
        fds.push(PollFd::new(number, flags(events)?));
    }
    let count = args.get(1)?;
    if usize::try_from(int(count)?) != Ok(fds.len()) {
        return unexpected(count, &format!("{}, the number of descriptors", fds.len()));
    }
    let timeout = args.int(2)?;
    Ok(Prepared::new(move |sockets| {
        let result = sockets.poll(&mut fds, timeout);
        Done::with(result, Out::Polled(fds))
    }))
}

pub(super) fn polled(_: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    let (Out::Polled(actual), Ok(_)) = (&done.out, &done.result) else { return Ok(Vec::new()) };
    for (entry, actual) in array(args.get(0)?, "an array of pollfd")?.iter().zip(actual) {
        let of = fields(entry, WHAT)?;
        let place = field(of, "revents").unwrap_or(entry);
        let expected = match field(of, "revents") {
            Some(Value { kind: ValueKind::Ellipsis, .. }) => continue,
            Some(value) => flags(value)?,
            None => PollFlags::empty(),
        };
        if expected != actual.revents {
            let shown = |flags: PollFlags| symbols::flags("POLL", flags.bits().cast_unsigned().into());
            let fd = field(of, "fd").map(int).transpose()?.unwrap_or(-1);
            let what = format!("revents of {fd}");
            return Err(differs(args.call, place.span, &what, shown(expected), shown(actual.revents)));
        }
    }
    Ok(Vec::new())
}
