//! Calls that send and receive, without structures.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use super::super::script::{Value, ValueKind};
use super::address::compare;
use super::open::{To, connecting, destination, length};
use super::value::{Args, buffers, int, is_null, unexpected};
use super::{CallError, Calls, Done, Effect, Out, Prepared, Result, SystemCalls};
use crate::bsd::abi::MsgFlags;

/// A call with a buffer; without one it is not made, since what has no place is refused first.
fn with_buffer(
    args: &Args<'_>,
    run: impl FnOnce(&dyn SystemCalls, Vec<u8>) -> Done + Send + 'static,
) -> Result<Prepared> {
    Ok(match args.buffer(1)? {
        Ok(buffer) => Prepared::new(move |sockets| run(sockets, buffer)),
        Err(errno) => Prepared::new(move |_| Done::failed(errno)),
    })
}

pub(super) fn flags(value: &Value) -> Result<MsgFlags> {
    Ok(MsgFlags::from_bits_retain(int(value)?))
}

pub(super) fn read(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(3..=3)?;
    let live = args.live(calls, 0)?;
    with_buffer(args, move |sockets, mut buffer| Done::number(sockets.read(live, &mut buffer)))
}

pub(super) fn recv(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(4..=4)?;
    let (live, flags) = (args.live(calls, 0)?, flags(args.get(3)?)?);
    with_buffer(args, move |sockets, mut buffer| Done::number(sockets.recv(live, &mut buffer, flags)))
}

pub(super) fn recvfrom(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(6..=6)?;
    let (live, flags) = (args.live(calls, 0)?, flags(args.get(3)?)?);
    with_buffer(args, move |sockets, mut buffer| match sockets.recvfrom(live, &mut buffer, flags) {
        Ok((len, from)) => Done::with(Ok(len), Out::Name(from)),
        Err(errno) => Done::failed(errno),
    })
}

pub(super) fn received_from(_: &mut Calls, args: &Args<'_>, done: &Done) -> Result<Vec<Effect>> {
    let place = args.get(4)?;
    match done.out {
        Out::Name(from) if !is_null(place) => compare(args.call, place, from)?,
        _ => {}
    }
    Ok(Vec::new())
}

pub(super) fn write(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(3..=3)?;
    let live = args.live(calls, 0)?;
    with_buffer(args, move |sockets, buffer| Done::number(sockets.write(live, &buffer)))
}

pub(super) fn send(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(4..=4)?;
    let (live, flags) = (args.live(calls, 0)?, flags(args.get(3)?)?);
    with_buffer(args, move |sockets, buffer| Done::number(sockets.send(live, &buffer, flags)))
}

pub(super) fn sendto(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    args.count(6..=6)?;
    let (fd, live, flags) = (args.int(0)?, args.live(calls, 0)?, flags(args.get(3)?)?);
    let place = args.get(4)?;
    if matches!(&place.kind, ValueKind::Word(name) if name == "NULL") {
        return sending(args, live, flags, None);
    }
    length(args, 5)?;
    match destination(calls, args, 4)? {
        To::Address(to, said) => Ok(sending(args, live, flags, Some(to))?.after(connecting(fd, to, said))),
        // `AF_UNSPEC` names nobody: as if no address were there.
        To::Nowhere => sending(args, live, flags, None),
        To::NoSuchFamily => {
            Err(CallError::Unsupported("sendto() to an address of an unknown family".to_owned()))
        }
    }
}

fn sending(args: &Args<'_>, live: RawFd, flags: MsgFlags, to: Option<SocketAddr>) -> Result<Prepared> {
    with_buffer(args, move |sockets, buffer| Done::number(sockets.sendto(live, &buffer, flags, to.as_ref())))
}

/// Buffers, and that there are as many as the call says.
fn parts(args: &Args<'_>) -> Result<Vec<Vec<u8>>> {
    args.count(3..=3)?;
    let buffers = buffers(args.get(1)?)?;
    let count = args.get(2)?;
    match usize::try_from(int(count)?) {
        Ok(number) if number == buffers.len() => Ok(buffers),
        _ => unexpected(count, &format!("{}, the number of buffers", buffers.len())),
    }
}

pub(super) fn readv(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    let (live, mut parts) = (args.live(calls, 0)?, parts(args)?);
    Ok(Prepared::new(move |sockets| Done::number(sockets.readv(live, &mut filled(&mut parts)))))
}

pub(super) fn writev(calls: &Calls, args: &Args<'_>) -> Result<Prepared> {
    let (live, parts) = (args.live(calls, 0)?, parts(args)?);
    Ok(Prepared::new(move |sockets| Done::number(sockets.writev(live, &emptied(&parts)))))
}

/// Buffers to be filled.
pub(super) fn filled(parts: &mut [Vec<u8>]) -> Vec<IoSliceMut<'_>> {
    parts.iter_mut().map(|part| IoSliceMut::new(part)).collect()
}

/// Buffers to be sent.
pub(super) fn emptied(parts: &[Vec<u8>]) -> Vec<IoSlice<'_>> {
    parts.iter().map(|part| IoSlice::new(part)).collect()
}
