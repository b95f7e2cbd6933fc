//! The life of a socket: from `socket` to `close`, and its names.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::script::ValueKind;
use super::address::{compare, given, of_packets};
use super::value::{Args, int, is_null, unexpected};
use super::{Calls, Done, Effect, Errno, Out, Prepared, Result, SystemCalls};
use crate::bsd::abi::{AF_INET, AF_INET6, AF_UNSPEC};

/// The bits of a socket's type that are not flags.
const KIND: i32 = 0xf;

fn domain(calls: &Calls, args: &Args<'_>) -> Result<i32> {
    let value = args.get(0)?;
    if value.kind == ValueKind::Ellipsis { Ok(calls.addresses.domain) } else { int(value) }
}

pub(super) fn socket(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(3..=3)?;
    let (domain, kind, protocol) = (domain(calls, args)?, args.int(1)?, args.int(2)?);
    Ok(Prepared::new(move |sockets| Done::number(sockets.socket(domain, kind, protocol))))
}

pub(super) fn opened(calls: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    if done.result.is_err() || args.call.result.kind == ValueKind::Ellipsis {
        return Ok(Vec::new());
    }
    let fd = int(&args.call.result)?;
    let (domain, kind, protocol) = (domain(calls, args)?, args.int(1)? & KIND, args.int(2)?);
    Ok(vec![Effect::Opened { fd, domain, kind, protocol }])
}

pub(super) fn bind(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(3..=3)?;
    let live = args.live(calls, 0)?;
    let address = given(calls, args.get(1)?, calls.addresses.bind)?;
    length(args, 2)?;
    Ok(Prepared::new(move |sockets| {
        let result = sockets.bind(live, &address);
        let name = if result.is_ok() { sockets.getsockname(live).ok() } else { None };
        Done::with(result.map(|()| 0), Out::Name(name))
    }))
}

/// The length of an address: the one it has.
pub(super) fn length(args: &Args<'_>, index: usize) -> Result<()> {
    let value = args.get(index)?;
    match value.kind {
        ValueKind::Ellipsis => Ok(()),
        _ => unexpected(value, "`...` for the address's length"),
    }
}

pub(super) fn bound(_: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    let fd = args.int(0)?;
    Ok(match done.out {
        Out::Name(Some(name)) => vec![Effect::Bound { fd, to: of_packets(name) }],
        _ => Vec::new(),
    })
}

pub(super) fn listen(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(2..=2)?;
    let (live, backlog) = (args.live(calls, 0)?, args.int(1)?);
    Ok(Prepared::new(move |sockets| Done::nothing(sockets.listen(live, backlog))))
}

pub(super) fn listening(_: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    let fd = args.int(0)?;
    Ok(if done.result.is_ok() { vec![Effect::Listening { fd }] } else { Vec::new() })
}

pub(super) fn accept(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    let takes = if args.call.name == "accept4" { 4 } else { 3 };
    args.count(takes..=takes)?;
    let live = args.live(calls, 0)?;
    let flags = if takes == 4 { args.int(3)? } else { 0 };
    Ok(Prepared::new(move |sockets| match sockets.accept4(live, flags) {
        Ok((fd, peer)) => Done::with(Ok(fd), Out::Name(Some(peer))),
        Err(errno) => Done::failed(errno),
    }))
}

pub(super) fn accepted(_: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    let Out::Name(Some(peer)) = done.out else { return Ok(Vec::new()) };
    let place = args.get(1)?;
    if !is_null(place) {
        compare(args.call, place, Some(peer))?;
    }
    if args.call.result.kind == ValueKind::Ellipsis {
        return Ok(Vec::new());
    }
    Ok(vec![Effect::Accepted { fd: int(&args.call.result)?, peer: of_packets(peer) }])
}

/// Where a call goes.
pub(super) enum To {
    /// To an address, and whether the script says which.
    Address(SocketAddr, bool),
    /// `AF_UNSPEC`.
    Nowhere,
    /// A family without an address of it.
    NoSuchFamily,
}

/// `...`, an address, or a family, of which the address is the unspecified one.
pub(super) fn destination(calls: &Calls, args: &Args<'_>, index: usize) -> Result<To> {
    let value = args.get(index)?;
    Ok(match value.kind {
        ValueKind::Ellipsis => To::Address(calls.addresses.connect, false),
        ValueKind::Struct(_) => To::Address(given(calls, value, calls.addresses.connect)?, true),
        _ => match int(value)? {
            AF_UNSPEC => To::Nowhere,
            AF_INET => To::Address((Ipv4Addr::UNSPECIFIED, 0).into(), true),
            AF_INET6 => To::Address((Ipv6Addr::UNSPECIFIED, 0).into(), true),
            _ => To::NoSuchFamily,
        },
    })
}

pub(super) fn connecting(fd: i32, to: SocketAddr, said: bool) -> Effect {
    Effect::Connecting { fd, to: said.then(|| of_packets(to)) }
}

pub(super) fn connect(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(3..=3)?;
    let (fd, live) = (args.int(0)?, args.live(calls, 0)?);
    length(args, 2)?;
    Ok(match destination(calls, args, 1)? {
        To::Address(to, said) => Prepared::new(move |sockets| Done::nothing(sockets.connect(live, &to)))
            .after(connecting(fd, to, said)),
        To::Nowhere => Prepared::new(move |sockets| Done::nothing(sockets.disconnect(live)))
            .after(Effect::Disconnected { fd }),
        To::NoSuchFamily => Prepared::new(|_| Done::failed(Errno::AFNOSUPPORT)),
    })
}

pub(super) fn close(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(1..=1)?;
    let live = args.live(calls, 0)?;
    Ok(Prepared::new(move |sockets| Done::nothing(sockets.close(live))))
}

pub(super) fn closed(calls: &mut Calls, args: &Args<'_>, _: &Done) -> Result<Vec<Effect>> {
    let fd = args.int(0)?;
    calls.descriptors.forget(fd);
    Ok(vec![Effect::Closed { fd }])
}

pub(super) fn shutdown(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(2..=2)?;
    let (live, how) = (args.live(calls, 0)?, args.int(1)?);
    Ok(Prepared::new(move |sockets| Done::nothing(sockets.shutdown(live, how))))
}

type Name = fn(&dyn SystemCalls, i32) -> crate::bsd::Result<SocketAddr>;

fn name(calls: &Calls, args: &Args<'_>, name: Name) -> Result<Prepared> {
    args.count(3..=3)?;
    let live = args.live(calls, 0)?;
    Ok(Prepared::new(move |sockets| match name(sockets, live) {
        Ok(name) => Done::with(Ok(0), Out::Name(Some(name))),
        Err(errno) => Done::failed(errno),
    }))
}

pub(super) fn getsockname(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    name(calls, args, |sockets, live| sockets.getsockname(live))
}

pub(super) fn getpeername(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    name(calls, args, |sockets, live| sockets.getpeername(live))
}

pub(super) fn named(_: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    if let Out::Name(name) = done.out {
        compare(args.call, args.get(1)?, name)?;
    }
    Ok(Vec::new())
}
