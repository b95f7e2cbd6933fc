//! A socket in the hands of tasks: what all kinds here share.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::Deref;
use std::task::{Context, Poll};

use tunstack_core::error::Error;
use tunstack_core::stack::{Readiness, SocketId, Stack};
use tunstack_core::time::Instant;

use super::budget;
use super::{Interest, Ready};
use crate::engine::socket::Socket;
use crate::engine::waiters::Place;

/// A socket, and the two places at which the task waits that polls it.
pub(super) struct Handle {
    socket: Socket,
    reads: Place,
    writes: Place,
}

impl Handle {
    /// Takes the socket into the hands of tasks: it must not wait, not even when it is closed.
    pub(super) fn new(socket: Socket) -> Self {
        socket.set_nonblocking(true);
        Self { socket, reads: Place::default(), writes: Place::default() }
    }

    /// The socket, for another face.
    pub(super) fn share(&self) -> Socket {
        self.socket.clone()
    }

    /// Does `op` for the task that reads.
    pub(super) fn poll_read<T>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&mut Stack, SocketId, Instant) -> Result<T, Error>,
    ) -> Poll<io::Result<T>> {
        poll(&self.socket, &self.reads, Interest::READABLE.mask(), cx, op)
    }

    /// Does `op` for the task that writes.
    pub(super) fn poll_write<T>(
        &self,
        cx: &mut Context<'_>,
        op: impl FnMut(&mut Stack, SocketId, Instant) -> Result<T, Error>,
    ) -> Poll<io::Result<T>> {
        poll(&self.socket, &self.writes, Interest::WRITABLE.mask(), cx, op)
    }

    /// Pending, for the task that reads, until there is something to read. Nothing is taken.
    pub(super) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read(cx, found(Interest::READABLE)).map_ok(drop)
    }

    /// Pending, for the task that writes, until there is room. Nothing is taken.
    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write(cx, found(Interest::WRITABLE)).map_ok(drop)
    }

    /// The task that read has gone.
    pub(super) fn leave_reading(&self) {
        self.socket.leave(&self.reads);
    }

    /// The task that wrote has gone.
    pub(super) fn leave_writing(&self) {
        self.socket.leave(&self.writes);
    }

    /// Does `op` as soon as it does not give `WouldBlock`, waiting at a place of its own.
    pub(super) async fn wait<T>(
        &self,
        interest: Interest,
        mut op: impl FnMut(&mut Stack, SocketId, Instant) -> Result<T, Error>,
    ) -> io::Result<T> {
        let waiting = Waiting { socket: &self.socket, place: Place::default() };
        poll_fn(|cx| poll(waiting.socket, &waiting.place, interest.mask(), cx, &mut op)).await
    }

    /// Waits for any of what `interest` names, and says which it is.
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.wait(interest, found(interest)).await
    }

    /// Does what may block, unless it would for what is known.
    pub(super) fn try_io<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        let ready = self.socket.readiness()?.intersects(interest.mask());
        if ready { io() } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    /// Does what may block as often as it is ready and blocks none the less.
    pub(super) async fn async_io<R>(
        &self,
        interest: Interest,
        mut io: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.ready(interest).await?;
            match io() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// How many wait for the socket, in whatever way.
    #[cfg(test)]
    pub(super) fn waiters(&self) -> usize {
        self.socket.shard().lock().waiters.count(self.socket.id())
    }
}

impl Deref for Handle {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.leave_reading();
        self.leave_writing();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

/// A future that waits for a socket.
struct Waiting<'a> {
    socket: &'a Socket,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.socket.leave(&self.place);
    }
}

fn poll<T>(
    socket: &Socket,
    place: &Place,
    wanted: Readiness,
    cx: &mut Context<'_>,
    op: impl FnMut(&mut Stack, SocketId, Instant) -> Result<T, Error>,
) -> Poll<io::Result<T>> {
    budget::spend(cx, |cx| socket.poll_at(place, wanted, cx, op))
}

/// What of `interest` there is, or `WouldBlock`.
fn found(interest: Interest) -> impl FnMut(&mut Stack, SocketId, Instant) -> Result<Ready, Error> {
    move |stack, id, _| {
        let found = stack.readiness(id).intersection(interest.mask());
        if found.is_empty() { Err(Error::WouldBlock) } else { Ok(Ready::from(found)) }
    }
}
