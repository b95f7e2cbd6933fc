//! `epoll`. An event's data is what the script writes: of `fd` the script's number.

use super::super::script::{Value, ValueKind};
use super::super::symbols;
use super::failure::differs;
use super::value::{Args, field, fields, int, integer, is_null, only, unexpected};
use super::{Calls, Done, Effect, Errno, Out, Prepared, Result};
use crate::bsd::{EpollEvent, EpollFlags};

const WHAT: &str = "`{events=, fd=}`, or `ptr=`, `u32=` or `u64=` for its data";

/// The most events that a call gives; no script names so many.
const MOST: i32 = 4096;

/// The names of an event's data, and how much of it each is.
const DATA: [(&str, u64); 4] =
    [("fd", u32::MAX as u64), ("ptr", u64::MAX), ("u32", u32::MAX as u64), ("u64", u64::MAX)];

/// An event as the script has it: `None` for `...`.
struct Said {
    events: Option<EpollFlags>,
    data: Option<u64>,
    mask: u64,
}

fn said(value: &Value) -> Result<Said> {
    let fields = fields(value, WHAT)?;
    only(fields, &["events", "fd", "ptr", "u32", "u64"])?;
    let known = |value: &&Value| value.kind != ValueKind::Ellipsis;
    let data = DATA.iter().find_map(|(name, mask)| Some((field(fields, name)?, *mask)));
    let (Some(events), Some((data, mask))) = (field(fields, "events"), data) else {
        return unexpected(value, WHAT);
    };
    let events = Some(events).filter(known).map(int).transpose()?;
    let data = Some(data).filter(known).map(integer).transpose()?;
    Ok(Said {
        events: events.map(|bits| EpollFlags::from_bits_retain(bits.cast_unsigned())),
        data: data.map(|data| data.cast_unsigned() & mask),
        mask,
    })
}

pub(super) fn create(_: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(1..=1)?;
    // How many descriptors there will be, which says nothing since Linux 2.6.8 but must not be 0.
    let size = args.int(0)?;
    Ok(Prepared::new(move |sockets| match size {
        1.. => Done::number(sockets.epoll_create1(0)),
        _ => Done::failed(Errno::INVAL),
    }))
}

pub(super) fn create1(_: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(1..=1)?;
    let flags = args.int(0)?;
    Ok(Prepared::new(move |sockets| Done::number(sockets.epoll_create1(flags))))
}

pub(super) fn ctl(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(4..=4)?;
    let (epoll, operation, live) = (args.live(calls, 0)?, args.int(1)?, args.live(calls, 2)?);
    let place = args.get(3)?;
    let event = if is_null(place) {
        None
    } else {
        match said(place)? {
            Said { events: Some(events), data: Some(data), .. } => Some(EpollEvent::new(events, data)),
            _ => return unexpected(place, "an event without `...`"),
        }
    };
    Ok(Prepared::new(move |sockets| Done::nothing(sockets.epoll_ctl(epoll, operation, live, event))))
}

/// The events that are expected: one, or an array of them.
fn expected(value: &Value) -> Result<Vec<(&Value, Said)>> {
    let values = match &value.kind {
        ValueKind::Ellipsis => &[],
        ValueKind::List(values) => values.as_slice(),
        _ => std::slice::from_ref(value),
    };
    values.iter().map(|value| Ok((value, said(value)?))).collect()
}

pub(super) fn wait(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(4..=4)?;
    let (epoll, most, timeout) = (args.live(calls, 0)?, args.int(2)?, args.int(3)?);
    expected(args.get(1)?)?;
    if most > MOST {
        return unexpected(args.get(2)?, &format!("at most {MOST} events"));
    }
    Ok(Prepared::new(move |sockets| {
        // The kernel refuses room for none.
        let mut events = vec![EpollEvent::default(); usize::try_from(most).unwrap_or(0)];
        match sockets.epoll_wait(epoll, &mut events, timeout) {
            Ok(found) => {
                events.truncate(found);
                Done::with(Ok(found), Out::Events(events))
            }
            Err(errno) => Done::failed(errno),
        }
    }))
}

pub(super) fn found(_: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    let Out::Events(actual) = &done.out else { return Ok(Vec::new()) };
    for (index, (value, said)) in expected(args.get(1)?)?.into_iter().enumerate() {
        // Where nothing was found nothing is written: scripts have zeros there.
        let actual = actual.get(index).copied().unwrap_or_default();
        if let Some(events) = said.events.filter(|events| *events != actual.events) {
            let shown = |flags: EpollFlags| symbols::flags("EPOLL", flags.bits());
            return Err(differs(args.call, value.span, "events", shown(events), shown(actual.events)));
        }
        let came = actual.data & said.mask;
        if let Some(data) = said.data.filter(|data| *data != came) {
            return Err(differs(args.call, value.span, "data", data.to_string(), came.to_string()));
        }
    }
    Ok(Vec::new())
}
