//! One look at an operation that may have to wait for its socket: done, or registered to be woken, in one hold of the
//! stack's lock.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rustix::io::Errno;
use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::stack::{Readiness, SocketId, Stack};
use tunstack_core::time::Instant;

use super::buffers::Groups;
use super::completion::CompletionFlags;
use super::edges::Edges;
use super::entry::{Operation, PollEvents, Receive, Send, Source, Target};
use crate::bsd::Sockets;
use crate::bsd::abi::{MsgFlags, SOCK_CLOEXEC, SOCK_NONBLOCK};
use crate::bsd::file::{File, Kind, errno};
use crate::bsd::message::MOST_PARTS;
use crate::bsd::open::{Seat, end_of_connect, nobody_waits, take_first};
use crate::bsd::transfer::{Received, receive, transmit};
use crate::engine::Interest;
use crate::engine::waiters::Place;

/// What an operation gives at one time.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) result: i32,
    /// It failed, or did less than a chain relies on.
    pub(super) broken: bool,
    pub(super) flags: CompletionFlags,
    pub(super) address: Option<SocketAddr>,
    pub(super) message: MsgFlags,
    /// A buffer of a group.
    pub(super) buffer: Option<Vec<u8>>,
}

impl Outcome {
    pub(super) fn ok(result: i32) -> Self {
        Self {
            result,
            broken: false,
            flags: CompletionFlags::empty(),
            address: None,
            message: MsgFlags::empty(),
            buffer: None,
        }
    }

    pub(super) fn count(n: usize) -> Self {
        Self::ok(i32::try_from(n).unwrap_or(i32::MAX))
    }

    fn bringing(mut self, (id, buffer): (u16, Vec<u8>)) -> Self {
        self.flags |= CompletionFlags::buffer(id);
        self.buffer = Some(buffer);
        self
    }
}

impl From<Errno> for Outcome {
    fn from(error: Errno) -> Self {
        Self { broken: true, ..Self::ok(-error.raw_os_error()) }
    }
}

impl From<Result<(), Errno>> for Outcome {
    fn from(result: Result<(), Errno>) -> Self {
        result.map_or_else(Self::from, |()| Self::ok(0))
    }
}

/// What a look found.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing yet; it is registered.
    Pending,
    /// One completion of several. `Again`: there may be another at once.
    Shot(Outcome),
    Again(Outcome),
    /// The last or only one.
    Done(Outcome),
}

impl<T: Into<Outcome>> From<T> for Look {
    fn from(outcome: T) -> Self {
        Self::Done(outcome.into())
    }
}

/// An operation on a socket, and how far it is.
#[derive(Debug)]
pub(super) struct Work {
    file: Arc<File>,
    place: Place,
    waker: Waker,
    /// It was looked at before.
    begun: bool,
    /// Octets that were sent or received.
    done: usize,
    /// The buffer of a group that is filled in part.
    held: Option<(u16, Vec<u8>)>,
    /// For a poll that tells each time.
    edges: Option<Edges>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.file.socket.leave(&self.place);
    }
}

impl Work {
    pub(super) fn new(file: Arc<File>, waker: Waker) -> Self {
        Self { file, place: Place::default(), waker, begun: false, done: 0, held: None, edges: None }
    }

    pub(super) fn is_on(&self, file: &Arc<File>) -> bool {
        Arc::ptr_eq(&self.file, file)
    }

    /// What has been done when it is cancelled.
    pub(super) fn cancelled(&mut self) -> Outcome {
        if self.done == 0 {
            return Errno::CANCELED.into();
        }
        let outcome = Outcome { broken: true, ..Outcome::count(self.done) };
        match self.held.take() {
            Some(held) => outcome.bringing(held),
            None => outcome,
        }
    }

    /// Looks.
    pub(super) fn look(&mut self, operation: &mut Operation, sockets: &Sockets, groups: &mut Groups) -> Look {
        let look = match operation {
            Operation::Accept { flags, multishot, .. } => self.accept(sockets, *flags, *multishot),
            Operation::Connect { to, .. } => self.connect(sockets, (*to).into()),
            Operation::Receive(receive) => self.receive(sockets, groups, receive),
            Operation::Send(send) => self.send(sockets, send),
            Operation::PollAdd { events, multishot, .. } => self.poll_add(*events, *multishot),
            _ => Errno::INVAL.into(),
        };
        self.begun = true;
        look
    }

    /// The operation, or its waker's entry among the socket's waiters.
    fn poll<T>(
        &self,
        wanted: Readiness,
        op: impl FnMut(&mut Stack, SocketId, Instant) -> Result<T, Error>,
    ) -> Poll<Result<T, Errno>> {
        let mut cx = Context::from_waker(&self.waker);
        self.file
            .socket
            .poll_at(&self.place, wanted, &mut cx, op)
            .map(|done: io::Result<T>| done.map_err(errno))
    }

    fn accept(&self, sockets: &Sockets, flags: i32, multishot: bool) -> Look {
        if self.file.kind != Kind::Stream {
            return Errno::OPNOTSUPP.into();
        }
        if flags & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 {
            return Errno::INVAL.into();
        }
        loop {
            let someone = |stack: &mut Stack, id, _| {
                if nobody_waits(stack, id) { Err(Error::WouldBlock) } else { Ok(()) }
            };
            match self.poll(Interest::Readable.mask(), someone) {
                Poll::Pending => return Look::Pending,
                Poll::Ready(Err(error)) => return error.into(),
                Poll::Ready(Ok(())) => {}
            }
            let seated = Seat::new(flags).and_then(|seat| {
                let found = self.file.call(|stack, id, _| take_first(stack, id))?;
                sockets.seat(&self.file, seat, found)
            });
            return match seated {
                // Another thread was quicker.
                Err(Errno::AGAIN) => continue,
                Err(error) => error.into(),
                Ok((fd, peer)) => {
                    let outcome = Outcome { address: Some(peer), ..Outcome::ok(fd) };
                    if multishot { Look::Again(outcome) } else { Look::Done(outcome) }
                }
            };
        }
    }

    fn connect(&self, sockets: &Sockets, to: Endpoint) -> Look {
        if !self.begun {
            match sockets.begin_connect(&self.file, to) {
                Err(Errno::INPROGRESS) => {}
                ended => return Outcome::from(ended).into(),
            }
        }
        match self.poll(Interest::Writable.mask(), |stack, id, now| end_of_connect(stack, id, to, now)) {
            Poll::Pending => Look::Pending,
            Poll::Ready(ended) => Outcome::from(sockets.keep_fresh(&self.file).and(ended)).into(),
        }
    }

    /// Receives into these parts, and says besides whether there is more.
    fn receive_into(
        &self,
        parts: &mut [IoSliceMut<'_>],
        flags: MsgFlags,
        done: &mut usize,
    ) -> Poll<Result<(Received, bool), Errno>> {
        let kind = self.file.kind;
        let ready = {
            let done = &mut *done;
            let mut op = |stack: &mut Stack, id, _| {
                let received = receive(stack, id, kind, parts, flags, done)?;
                Ok((received, stack.readiness(id).contains(Readiness::READABLE)))
            };
            if flags.contains(MsgFlags::DONTWAIT) {
                Poll::Ready(self.file.call(&mut op))
            } else {
                self.poll(Interest::Readable.mask(), op)
            }
        };
        match ready {
            // What has come is had; the error is for who comes next.
            Poll::Ready(Err(_)) if *done > 0 => Poll::Ready(Ok((Received::stream(*done), false))),
            ready => ready,
        }
    }

    fn receive(&mut self, sockets: &Sockets, groups: &mut Groups, receive: &mut Receive) -> Look {
        let Receive { into, flags, multishot, file, .. } = receive;
        let mut done = self.done;
        let group = match into {
            Target::Group(group) => Some(*group).filter(|_| self.held.is_none()),
            _ => None,
        };
        let mut held = self.held.take();
        let (ready, total) = match (&mut *into, &mut held) {
            (Target::One(buffer), _) => {
                if *file && buffer.is_empty() {
                    return Outcome::ok(0).into();
                }
                let total = buffer.len();
                (self.receive_into(&mut [IoSliceMut::new(buffer)], *flags, &mut done), total)
            }
            (Target::Parts(buffers), _) if buffers.len() > MOST_PARTS => return Errno::MSGSIZE.into(),
            (Target::Parts(buffers), _) => {
                let mut parts: Vec<_> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
                let total = parts.iter().map(|part| part.len()).sum();
                (self.receive_into(&mut parts, *flags, &mut done), total)
            }
            (Target::Group(_), Some((_, buffer))) => {
                let total = buffer.len();
                (self.receive_into(&mut [IoSliceMut::new(buffer)], *flags, &mut done), total)
            }
            (Target::Group(group), None) => match groups.first(*group) {
                None => return self.no_buffers(),
                Some(buffer) => {
                    let total = buffer.len();
                    (self.receive_into(&mut [IoSliceMut::new(buffer)], *flags, &mut done), total)
                }
            },
        };
        // A buffer stays in its group until it has something in it.
        let filled = matches!(&ready, Poll::Ready(Ok((received, _))) if received.len > 0) || done > 0;
        if filled && let Some(group) = group {
            held = groups.take(group);
        }
        self.done = done;
        let (received, more) = match ready {
            Poll::Pending => {
                self.held = held;
                return Look::Pending;
            }
            Poll::Ready(Err(error)) => return error.into(),
            Poll::Ready(Ok(received)) => received,
        };
        self.done = 0;
        let mut outcome = Outcome::count(received.len);
        outcome.address = received.from.map(|from| sockets.shown(&self.file, from));
        outcome.message = received.flags;
        outcome.flags.set(CompletionFlags::SOCK_NONEMPTY, more);
        let short = received.len < total;
        outcome.broken = *file && short
            || flags.contains(MsgFlags::WAITALL) && (short || received.flags.contains(MsgFlags::TRUNC));
        let outcome = match held {
            Some(held) => outcome.bringing(held),
            None => outcome,
        };
        if *multishot && received.len > 0 { Look::Again(outcome) } else { Look::Done(outcome) }
    }

    /// The group has no buffer: an error when there is something to receive, or may be.
    fn no_buffers(&self) -> Look {
        if !self.begun || self.file.kind == Kind::Datagram {
            return Errno::NOBUFS.into();
        }
        let wanted = Interest::Readable.mask();
        let anything = |stack: &mut Stack, id, _| {
            if stack.readiness(id).intersects(wanted) { Ok(()) } else { Err(Error::WouldBlock) }
        };
        match self.poll(wanted, anything) {
            Poll::Pending => Look::Pending,
            Poll::Ready(Ok(())) => Errno::NOBUFS.into(),
            Poll::Ready(Err(error)) => error.into(),
        }
    }

    fn send(&mut self, sockets: &Sockets, send: &Send) -> Look {
        let Send { from, to, flags, file, .. } = send;
        let mut parts = Vec::new();
        match from {
            Source::One(data) => parts.push(IoSlice::new(data)),
            Source::Parts(data) if data.len() > MOST_PARTS => return Errno::MSGSIZE.into(),
            Source::Parts(data) => parts.extend(data.iter().map(|data| IoSlice::new(data))),
        }
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let kind = self.file.kind;
        // A connected stream takes no notice of the address.
        let looks = kind == Kind::Datagram || flags.contains(MsgFlags::FASTOPEN);
        let to = to.filter(|_| looks).map(|to| self.file.remote(&to)).transpose();
        let to = match to {
            Ok(to) => to,
            Err(error) => return error.into(),
        };
        if *file && kind == Kind::Stream && total == 0 {
            return Outcome::ok(0).into();
        }
        if !self.begun {
            match sockets.open_with(&self.file, &parts, to, *flags) {
                Ok(None) => {}
                Ok(Some(0)) => return Errno::INPROGRESS.into(),
                Ok(Some(with_syn)) => return Outcome::count(with_syn).into(),
                Err(error) => return error.into(),
            }
        }
        let mut done = self.done;
        let all = flags.contains(MsgFlags::WAITALL);
        let mut op = |stack: &mut Stack, id, now| match transmit(
            stack,
            id,
            kind,
            &parts,
            (to, None),
            *flags,
            &mut done,
            now,
        ) {
            // Some of it is enough.
            Err(Error::WouldBlock) if done > 0 && !all => Ok(done),
            other => other,
        };
        let ready = if flags.contains(MsgFlags::DONTWAIT) {
            Poll::Ready(self.file.call(&mut op))
        } else {
            self.poll(Interest::Writable.mask(), op)
        };
        self.done = done;
        let sent = match ready {
            Poll::Pending => return Look::Pending,
            Poll::Ready(Err(_)) if done > 0 => done,
            Poll::Ready(Err(error)) => return error.into(),
            Poll::Ready(Ok(sent)) => sent,
        };
        Outcome { broken: (all || *file) && sent < total, ..Outcome::count(sent) }.into()
    }

    fn poll_add(&mut self, events: PollEvents, multishot: bool) -> Look {
        let wanted = wanted(events);
        let told = events | PollEvents::ERR | PollEvents::HUP;
        let outcome = |seen| Outcome::ok((shown(seen) & told).bits() as i32);
        if multishot {
            return match self.news(wanted) {
                Ok(seen) if seen.is_empty() => Look::Pending,
                Ok(seen) => Look::Shot(outcome(seen)),
                Err(error) => error.into(),
            };
        }
        let ready = self.poll(wanted, |stack, id, _| {
            let now = stack.readiness(id);
            if now.intersects(wanted) { Ok(now) } else { Err(Error::WouldBlock) }
        });
        match ready {
            Poll::Pending => Look::Pending,
            Poll::Ready(Ok(seen)) => outcome(seen).into(),
            Poll::Ready(Err(error)) => error.into(),
        }
    }

    fn news(&mut self, wanted: Readiness) -> Result<Readiness, Errno> {
        // A socket that is gone tells of itself no more.
        self.file.query(|stack, id| stack.local_endpoint(id))?;
        let edges = match self.edges.take() {
            Some(edges) => edges,
            None => Edges::new(&self.file, wanted, &self.waker)?,
        };
        Ok(self.edges.insert(edges).take())
    }
}

/// What makes these events so.
fn wanted(events: PollEvents) -> Readiness {
    let mut wanted = Readiness::ERROR | Readiness::HANG_UP;
    wanted.set(Readiness::READABLE, events.contains(PollEvents::IN));
    wanted.set(Readiness::READ_CLOSED, events.intersects(PollEvents::IN | PollEvents::RDHUP));
    wanted.set(Readiness::WRITABLE, events.contains(PollEvents::OUT));
    wanted.set(Readiness::URGENT, events.contains(PollEvents::PRI));
    wanted
}

/// What `poll` says of a socket that stands so.
fn shown(readiness: Readiness) -> PollEvents {
    let mut events = PollEvents::empty();
    events.set(PollEvents::IN, readiness.intersects(Readiness::READABLE | Readiness::READ_CLOSED));
    events.set(PollEvents::RDHUP, readiness.contains(Readiness::READ_CLOSED));
    events.set(PollEvents::OUT, readiness.contains(Readiness::WRITABLE));
    events.set(PollEvents::PRI, readiness.contains(Readiness::URGENT));
    events.set(PollEvents::ERR, readiness.contains(Readiness::ERROR));
    events.set(PollEvents::HUP, readiness.contains(Readiness::HANG_UP));
    events
}
