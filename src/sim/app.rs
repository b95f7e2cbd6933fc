//! Programs on a simulated host, and what they have in common: many connections that follow scripts.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::sockopt::{Shutdown, SocketOptions};
use tunstack_core::stack::{Event, Readiness, SocketId, Stack};
use tunstack_core::time::{Duration, Instant};

use super::connection::{Connection, Socket};

/// A program on a host: a state machine that goes on when a socket is ready or a time has come.
pub trait App: Any {
    /// Goes as far as it can and says whether that was anywhere. `events` is what changed since the last
    /// call, sockets of other programs included; it may be empty.
    fn poll(&mut self, stack: &mut Stack, now: Instant, events: &[Event]) -> bool;

    /// Whether it has nothing left to do.
    fn done(&self) -> bool;

    /// When it wants to be polled next, whatever the sockets do. Never a time that is past.
    fn next_wake(&self) -> Option<Instant>;

    /// How it stands, for the message of a test that failed.
    fn describe(&self) -> String;
}

/// A socket of a stack, as a script sees it.
struct StackSocket<'a> {
    stack: &'a mut Stack,
    id: SocketId,
    now: Instant,
}

impl Socket for StackSocket<'_> {
    fn opened(&mut self) -> Result<bool, Error> {
        if let Some(error) = self.stack.take_error(self.id) {
            return Err(error);
        }
        Ok(self.stack.readiness(self.id).contains(Readiness::WRITABLE))
    }

    fn endpoints(&self) -> Option<(Endpoint, Endpoint)> {
        Some((self.stack.local_endpoint(self.id).ok()?, self.stack.remote_endpoint(self.id).ok()?))
    }

    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        self.stack.try_read(self.id, buf)
    }

    fn read_bytes(&mut self, max: usize) -> Result<Bytes, Error> {
        self.stack.try_read_bytes(self.id, max)
    }

    fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        self.stack.try_write(self.id, data, self.now)
    }

    fn write_bytes(&mut self, data: &mut Bytes) -> Result<usize, Error> {
        self.stack.try_write_bytes(self.id, data, self.now)
    }

    fn shutdown_write(&mut self) -> Result<(), Error> {
        self.stack.shutdown(self.id, Shutdown::Write, self.now)
    }

    fn close(&mut self) -> Result<(), Error> {
        self.stack.close(self.id, self.now)
    }

    fn close_with_reset(&mut self) -> Result<(), Error> {
        let mut options = self.stack.options(self.id)?;
        options.linger = Some(Duration::ZERO);
        self.stack.set_options(self.id, options, self.now)?;
        self.close()
    }

    fn abort(&mut self) -> Result<(), Error> {
        self.stack.abort(self.id, self.now)
    }
}

/// Changes the options of a program's sockets.
pub type Setup = Box<dyn Fn(&mut SocketOptions)>;

pub(super) fn set_up(
    stack: &mut Stack,
    id: SocketId,
    setup: Option<&Setup>,
    now: Instant,
) -> Result<(), Error> {
    let Some(setup) = setup else { return Ok(()) };
    let mut options = stack.options(id)?;
    setup(&mut options);
    stack.set_options(id, options, now)
}

/// The connections of one program, in the order they began.
#[derive(Default)]
pub(super) struct Connections {
    pub(super) all: Vec<Connection>,
    by_id: BTreeMap<SocketId, usize>,
    /// The pauses under way.
    wakes: BTreeSet<(Instant, SocketId)>,
    pub(super) ended: usize,
    scratch: Vec<u8>,
}

impl Connections {
    /// Adds a connection and lets it run as far as it can at once.
    pub(super) fn add(&mut self, stack: &mut Stack, id: SocketId, connection: Connection, now: Instant) {
        self.by_id.insert(id, self.all.len());
        self.all.push(connection);
        self.poll_one(stack, id, now);
    }

    /// Adds one that failed before it had a socket.
    pub(super) fn add_failed(
        &mut self,
        mut connection: Connection,
        call: &'static str,
        error: Error,
        now: Instant,
    ) {
        connection.fail(call, error, now);
        self.all.push(connection);
        self.ended += 1;
    }

    pub(super) fn poll(&mut self, stack: &mut Stack, now: Instant, events: &[Event]) -> bool {
        let mut moved = false;
        for event in events {
            moved |= self.poll_one(stack, event.id, now);
        }
        while let Some(&(at, id)) = self.wakes.first()
            && at <= now
        {
            self.wakes.pop_first();
            moved |= self.poll_one(stack, id, now);
        }
        moved
    }

    fn poll_one(&mut self, stack: &mut Stack, id: SocketId, now: Instant) -> bool {
        let Some(connection) = self.by_id.get(&id).and_then(|i| self.all.get_mut(*i)) else { return false };
        if let Some(wake) = connection.next_wake() {
            self.wakes.remove(&(wake, id));
        }
        let moved = connection.poll(&mut StackSocket { stack, id, now }, now, &mut self.scratch);
        if connection.ended() {
            self.by_id.remove(&id);
            self.ended += 1;
        } else if let Some(wake) = connection.next_wake() {
            self.wakes.insert((wake, id));
        }
        moved
    }

    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| *at)
    }

    pub(super) fn describe(&self, what: fmt::Arguments<'_>) -> String {
        let mut text = format!("{what}: {} begun, {} ended", self.all.len(), self.ended);
        let open = self.all.iter().filter(|c| !c.ended()).map(|c| ("open", c));
        let failed = self.all.iter().filter(|c| c.outcome().error.is_some()).map(|c| ("failed", c));
        for (how, connection) in open.chain(failed).take(8) {
            text += &format!("\n    {how}: {connection:?}");
        }
        text
    }
}
