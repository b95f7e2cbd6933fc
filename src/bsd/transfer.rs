//! One look at a socket that sends or receives: what `send`, `recv` and their kin do in one hold of the lock.
//!
//! An attempt takes what it can and says so in `done`; [`Error::WouldBlock`] asks for another when the socket is
//! ready again. So the same code serves calls that wait, calls that do not, and the completion ring.

use std::io::{IoSlice, IoSliceMut};

use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::stack::sending::Message;
use tunstack_core::stack::{Readiness, SocketId, Stack};
use tunstack_core::tcp::state::State;
use tunstack_core::time::Instant;

use super::abi::MsgFlags;
use super::file::Kind;

/// What a receive brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Received {
    /// What the call gives: octets, or a datagram's true length with `MSG_TRUNC`.
    pub(crate) len: usize,
    /// The sender of a datagram.
    pub(crate) from: Option<Endpoint>,
    /// `MSG_TRUNC` where a datagram was cut.
    pub(crate) flags: MsgFlags,
    /// Not 0: datagrams of this size in a row (`UDP_GRO`).
    pub(crate) segment_size: u16,
}

impl Received {
    pub(crate) const fn stream(len: usize) -> Self {
        Self { len, from: None, flags: MsgFlags::empty(), segment_size: 0 }
    }
}

/// The part in which the octet at `offset` lies, and where in it.
fn locate(lengths: impl Iterator<Item = usize>, mut offset: usize) -> Option<(usize, usize)> {
    for (index, len) in lengths.enumerate() {
        if offset < len {
            return Some((index, offset));
        }
        offset -= len;
    }
    None
}

/// Copies `from` to the parts.
fn scatter(parts: &mut [IoSliceMut<'_>], mut from: &[u8]) {
    for part in parts {
        let (now, rest) = from.split_at(part.len().min(from.len()));
        part[..now.len()].copy_from_slice(now);
        from = rest;
    }
}

/// Receives into `parts` what is there; `done` octets have been received before.
pub(crate) fn receive(
    stack: &mut Stack,
    id: SocketId,
    kind: Kind,
    parts: &mut [IoSliceMut<'_>],
    flags: MsgFlags,
    done: &mut usize,
) -> Result<Received, Error> {
    receive_least(stack, id, kind, parts, flags, 1, done)
}

/// As [`receive`], where as many octets are to come as `SO_RCVLOWAT` says or as there is room for.
pub(crate) fn receive_enough(
    stack: &mut Stack,
    id: SocketId,
    kind: Kind,
    parts: &mut [IoSliceMut<'_>],
    flags: MsgFlags,
    done: &mut usize,
) -> Result<Received, Error> {
    let least = stack.options(id)?.receive_low_water as usize;
    receive_least(stack, id, kind, parts, flags, least, done)
}

fn receive_least(
    stack: &mut Stack,
    id: SocketId,
    kind: Kind,
    parts: &mut [IoSliceMut<'_>],
    flags: MsgFlags,
    least: usize,
    done: &mut usize,
) -> Result<Received, Error> {
    if flags.contains(MsgFlags::ERRQUEUE) {
        // No error is ever queued; this never waits.
        return Err(Error::WouldBlock);
    }
    let wanted = |parts: &[IoSliceMut<'_>]| {
        let total = parts.iter().map(|part| part.len()).sum();
        if flags.contains(MsgFlags::WAITALL) { total } else { least.min(total) }
    };
    match kind {
        Kind::Datagram => receive_datagram(stack, id, parts, flags),
        Kind::Stream if flags.contains(MsgFlags::OOB) => receive_urgent(stack, id, parts, flags),
        Kind::Stream if flags.contains(MsgFlags::PEEK) => peek(stack, id, parts, wanted(parts), done),
        Kind::Stream => receive_stream(stack, id, parts, flags, wanted(parts), done).map(Received::stream),
    }
}

fn receive_stream(
    stack: &mut Stack,
    id: SocketId,
    parts: &mut [IoSliceMut<'_>],
    flags: MsgFlags,
    wanted: usize,
    done: &mut usize,
) -> Result<usize, Error> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    if total == 0 {
        return stack.try_read(id, &mut []);
    }
    while let Some((index, start)) = locate(parts.iter().map(|part| part.len()), *done) {
        // What lies behind the urgent mark is for the next call.
        if *done > 0 && stack.at_mark(id)? {
            return Ok(*done);
        }
        // What ended the connection is for the call that finds nothing else.
        if *done > 0 && !has_octets(stack, id) {
            break;
        }
        let n = if flags.contains(MsgFlags::TRUNC) {
            stack.try_read_bytes(id, total - *done)?.len()
        } else {
            stack.try_read(id, &mut parts[index][start..])?
        };
        if n == 0 {
            return Ok(*done);
        }
        *done += n;
    }
    let ended = stack.readiness(id).intersects(Readiness::READ_CLOSED | Readiness::ERROR);
    if *done < wanted && !ended { Err(Error::WouldBlock) } else { Ok(*done) }
}

/// Whether octets wait to be read, whatever else does.
fn has_octets(stack: &Stack, id: SocketId) -> bool {
    stack.unread(id).is_ok_and(|n| n > 0)
}

/// The one urgent octet. It says `MSG_TRUNC` where there is no room for it, as Linux does.
fn receive_urgent(
    stack: &mut Stack,
    id: SocketId,
    parts: &mut [IoSliceMut<'_>],
    flags: MsgFlags,
) -> Result<Received, Error> {
    let Some(octet) = stack.try_read_urgent(id, flags.contains(MsgFlags::PEEK))? else {
        return Ok(Received::stream(0));
    };
    match parts.iter_mut().find_map(|part| part.first_mut()) {
        Some(place) => {
            *place = octet;
            Ok(Received { flags: MsgFlags::OOB, ..Received::stream(1) })
        }
        None => Ok(Received { flags: MsgFlags::TRUNC, ..Received::stream(0) }),
    }
}

fn peek(
    stack: &mut Stack,
    id: SocketId,
    parts: &mut [IoSliceMut<'_>],
    wanted: usize,
    done: &mut usize,
) -> Result<Received, Error> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let n = match parts {
        [part] => stack.try_peek(id, part)?,
        parts => {
            let here = stack.unread(id)?;
            let mut octets = vec![0; total.min(here)];
            let n = stack.try_peek(id, &mut octets)?;
            scatter(parts, &octets[..n]);
            n
        }
    };
    // What is seen when the wait for more is over.
    *done = n;
    let ended = stack.readiness(id).intersects(Readiness::READ_CLOSED | Readiness::ERROR);
    let marked = n > 0 && stack.before_mark(id)? == Some(n);
    if n < wanted && !ended && !marked {
        return Err(Error::WouldBlock);
    }
    Ok(Received::stream(n))
}

fn receive_datagram(
    stack: &mut Stack,
    id: SocketId,
    parts: &mut [IoSliceMut<'_>],
    flags: MsgFlags,
) -> Result<Received, Error> {
    let look = flags.contains(MsgFlags::PEEK);
    let datagram = match parts {
        [part] => stack.try_receive_from(id, part, look)?,
        parts => {
            let total: usize = parts.iter().map(|part| part.len()).sum();
            let mut octets = vec![0; total.min(usize::from(u16::MAX))];
            let datagram = stack.try_receive_from(id, &mut octets, look)?;
            scatter(parts, &octets[..datagram.copied]);
            datagram
        }
    };
    let cut = datagram.copied < datagram.len;
    Ok(Received {
        len: if flags.contains(MsgFlags::TRUNC) { datagram.len } else { datagram.copied },
        from: Some(datagram.from).filter(|from| from.port != 0),
        flags: if cut { MsgFlags::TRUNC } else { MsgFlags::empty() },
        segment_size: datagram.segment_size,
    })
}

/// Sends what is in `parts`, all of it; `done` octets have been sent before. A datagram has a destination, and may have a
/// size of the datagrams it is cut into.
#[expect(clippy::too_many_arguments, reason = "those of the call and those of the stack")]
pub(crate) fn transmit(
    stack: &mut Stack,
    id: SocketId,
    kind: Kind,
    parts: &[IoSlice<'_>],
    (to, segment_size): (Option<Endpoint>, Option<u16>),
    flags: MsgFlags,
    done: &mut usize,
    now: Instant,
) -> Result<usize, Error> {
    match kind {
        Kind::Stream => transmit_stream(stack, id, parts, flags, done, now),
        Kind::Datagram => {
            // Looked at before anything else, and before it is copied.
            if parts.iter().map(|part| part.len()).sum::<usize>() > usize::from(u16::MAX) {
                return Err(Error::MessageTooLong);
            }
            // A datagram in the making (UDP_CORK) is not kept. Linux minds MSG_OOB over IPv4 alone.
            let oob = flags.contains(MsgFlags::OOB) && speaks_ipv4(stack, id, to)?;
            if oob || flags.contains(MsgFlags::MORE) {
                return Err(Error::NotSupported);
            }
            // Seen before whether there is a way to it.
            let nowhere = |to: Endpoint| to.port == 0 && to.address.is_v4();
            if to.is_some_and(nowhere) && !stack.options(id)?.v6_only {
                return Err(Error::Invalid);
            }
            let mut send = |data: &[u8]| stack.try_send_message(id, &Message { data, to, segment_size }, now);
            match parts {
                [part] => send(part),
                parts => send(&parts.concat_octets()),
            }
        }
    }
}

/// Whether a datagram goes over IPv4.
fn speaks_ipv4(stack: &Stack, id: SocketId, to: Option<Endpoint>) -> Result<bool, Error> {
    let to = to.or_else(|| stack.remote_endpoint(id).ok());
    Ok(to.map_or(stack.local_endpoint(id)?.address.is_v4(), |to| to.address.is_v4()))
}

pub(crate) trait Concat {
    fn concat_octets(&self) -> Vec<u8>;
}

impl Concat for [IoSlice<'_>] {
    fn concat_octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(self.iter().map(|part| part.len()).sum());
        self.iter().for_each(|part| octets.extend_from_slice(part));
        octets
    }
}

fn transmit_stream(
    stack: &mut Stack,
    id: SocketId,
    parts: &[IoSlice<'_>],
    flags: MsgFlags,
    done: &mut usize,
    now: Instant,
) -> Result<usize, Error> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    if total == 0 {
        return match stack.try_write(id, &[], now) {
            Err(Error::WouldBlock) if stack.state(id).is_some_and(is_synchronised) => Ok(0),
            other => never_connected(stack, id, other),
        };
    }
    while let Some((index, start)) = locate(parts.iter().map(|part| part.len()), *done) {
        // The error is for the call that sends nothing.
        if *done > 0 && stack.readiness(id).contains(Readiness::ERROR) {
            return Ok(*done);
        }
        let part = &parts[index][start..];
        let last = *done + part.len() == total;
        let sent = if last && flags.contains(MsgFlags::OOB) {
            stack.try_write_urgent(id, part, now)
        } else {
            stack.try_write_more(id, part, !last || flags.contains(MsgFlags::MORE), now)
        };
        match never_connected(stack, id, sent) {
            Ok(n) => {
                *done += n;
                if *done == total && flags.contains(MsgFlags::EOR) {
                    stack.end_record(id)?;
                }
            }
            Err(Error::BrokenPipe) if *done > 0 => return Ok(*done),
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

/// Whether a connection stands, and takes data.
fn is_synchronised(state: State) -> bool {
    matches!(state, State::Established | State::CloseWait)
}

/// Linux knows no "not connected" for sending: what has no connection has a broken pipe.
fn never_connected(stack: &Stack, id: SocketId, result: Result<usize, Error>) -> Result<usize, Error> {
    match result {
        Err(Error::NotConnected) if stack.state(id).is_some() => Err(Error::BrokenPipe),
        other => other,
    }
}
