//! Programs on a simulated host: a server and a client whose connections follow scripts.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;
use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::sockopt::{Shutdown, SocketOptions};
use tunstack_core::stack::{Event, Readiness, SocketId, Stack};
use tunstack_core::time::{Duration, Instant};

use super::behaviour::Behaviour;
use super::connection::{Connection, Outcome, Role, Socket};

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

fn set_up(stack: &mut Stack, id: SocketId, setup: Option<&Setup>, now: Instant) -> Result<(), Error> {
    let Some(setup) = setup else { return Ok(()) };
    let mut options = stack.options(id)?;
    setup(&mut options);
    stack.set_options(id, options, now)
}

/// The connections of one program, in the order they began.
#[derive(Default)]
struct Connections {
    all: Vec<Connection>,
    by_id: BTreeMap<SocketId, usize>,
    /// The pauses under way.
    wakes: BTreeSet<(Instant, SocketId)>,
    ended: usize,
    scratch: Vec<u8>,
}

impl Connections {
    /// Adds a connection and lets it run as far as it can at once.
    fn add(&mut self, stack: &mut Stack, id: SocketId, connection: Connection, now: Instant) {
        self.by_id.insert(id, self.all.len());
        self.all.push(connection);
        self.poll_one(stack, id, now);
    }

    /// Adds one that failed before it had a socket.
    fn add_failed(&mut self, mut connection: Connection, call: &'static str, error: Error, now: Instant) {
        connection.fail(call, error, now);
        self.all.push(connection);
        self.ended += 1;
    }

    fn poll(&mut self, stack: &mut Stack, now: Instant, events: &[Event]) -> bool {
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

    fn next_wake(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| *at)
    }

    fn describe(&self, what: fmt::Arguments<'_>) -> String {
        let mut text = format!("{what}: {} begun, {} ended", self.all.len(), self.ended);
        let open = self.all.iter().filter(|c| !c.ended()).map(|c| ("open", c));
        let failed = self.all.iter().filter(|c| c.outcome().error.is_some()).map(|c| ("failed", c));
        for (how, connection) in open.chain(failed).take(8) {
            text += &format!("\n    {how}: {connection:?}");
        }
        text
    }
}

/// Listens, accepts and lets each connection follow a script.
pub struct Server {
    local: Endpoint,
    backlog: u32,
    behaviours: Vec<Rc<Behaviour>>,
    setup: Option<Setup>,
    listen_at: Instant,
    accept_from: Instant,
    polled_at: Option<Instant>,
    expected: usize,
    keep_listening: bool,
    listener: Option<SocketId>,
    error: Option<(&'static str, Error)>,
    connections: Connections,
}

impl Server {
    /// A server at `local` that is done when one connection has ended.
    pub fn new(local: Endpoint, behaviour: Behaviour) -> Self {
        Self {
            local,
            backlog: 128,
            behaviours: vec![Rc::new(behaviour)],
            setup: None,
            listen_at: Instant::ZERO,
            accept_from: Instant::ZERO,
            polled_at: None,
            expected: 1,
            keep_listening: false,
            listener: None,
            error: None,
            connections: Connections::default(),
        }
    }

    /// Done when so many connections have ended; then the listener is closed.
    #[must_use]
    pub const fn expect(mut self, connections: usize) -> Self {
        self.expected = connections;
        self
    }

    /// Never closes the listener.
    #[must_use]
    pub const fn keep_listening(mut self) -> Self {
        self.keep_listening = true;
        self
    }

    /// The next connection follows this one, and so on in turn.
    #[must_use]
    pub fn then(mut self, behaviour: Behaviour) -> Self {
        self.behaviours.push(Rc::new(behaviour));
        self
    }

    /// How many connections may wait to be accepted.
    #[must_use]
    pub const fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Listens from `at` on.
    #[must_use]
    pub const fn listen_at(mut self, at: Instant) -> Self {
        self.listen_at = at;
        self
    }

    /// Accepts nothing before `at`.
    #[must_use]
    pub const fn accept_from(mut self, at: Instant) -> Self {
        self.accept_from = at;
        self
    }

    /// Changes the options of the listener, which its connections inherit.
    #[must_use]
    pub fn options(mut self, setup: impl Fn(&mut SocketOptions) + 'static) -> Self {
        self.setup = Some(Box::new(setup));
        self
    }

    /// How each connection went, in the order of their acceptance.
    pub fn outcomes(&self) -> impl ExactSizeIterator<Item = &Outcome> {
        self.connections.all.iter().map(Connection::outcome)
    }

    /// The listener, while there is one.
    pub const fn listener(&self) -> Option<SocketId> {
        self.listener
    }

    /// The call that kept it from listening or accepting.
    pub const fn error(&self) -> Option<(&'static str, Error)> {
        self.error
    }

    fn listen(&mut self, stack: &mut Stack, now: Instant) -> Result<SocketId, (&'static str, Error)> {
        let id = stack.tcp_socket(self.local.address.family()).map_err(|e| ("socket", e))?;
        let made = set_up(stack, id, self.setup.as_ref(), now)
            .map_err(|e| ("set_options", e))
            .and_then(|()| stack.bind(id, self.local).map_err(|e| ("bind", e)))
            .and_then(|()| stack.listen(id, self.backlog).map_err(|e| ("listen", e)));
        if made.is_err() {
            // The first error is the one to tell.
            let _ = stack.close(id, now);
        }
        made.map(|()| id)
    }

    fn accept(&mut self, stack: &mut Stack, listener: SocketId, now: Instant) -> bool {
        let mut moved = false;
        loop {
            match stack.try_accept(listener) {
                Ok(id) => {
                    let turn = self.connections.all.len() % self.behaviours.len();
                    let behaviour = Rc::clone(&self.behaviours[turn]);
                    self.connections.add(stack, id, Connection::new(behaviour, Role::Server, now), now);
                    moved = true;
                }
                Err(Error::WouldBlock) => return moved,
                Err(error) => {
                    self.error = Some(("accept", error));
                    return moved;
                }
            }
        }
    }
}

impl App for Server {
    fn poll(&mut self, stack: &mut Stack, now: Instant, events: &[Event]) -> bool {
        let mut moved = false;
        self.polled_at = Some(now);
        if self.listener.is_none() && self.error.is_none() && now >= self.listen_at && !self.done() {
            match self.listen(stack, now) {
                Ok(id) => self.listener = Some(id),
                Err(error) => self.error = Some(error),
            }
            moved = true;
        }
        if let Some(listener) = self.listener
            && now >= self.accept_from
            && self.error.is_none()
        {
            moved |= self.accept(stack, listener, now);
        }
        moved |= self.connections.poll(stack, now, events);
        if self.done()
            && !self.keep_listening
            && let Some(listener) = self.listener.take()
        {
            if let Err(error) = stack.close(listener, now) {
                self.error = Some(("close", error));
            }
            moved = true;
        }
        moved
    }

    fn done(&self) -> bool {
        self.connections.ended >= self.expected && self.connections.ended == self.connections.all.len()
    }

    fn next_wake(&self) -> Option<Instant> {
        // Connections may have come before it was time to accept them, and their event is past.
        let fixed = [self.listen_at, self.accept_from].into_iter().filter(|at| Some(*at) > self.polled_at);
        fixed.chain(self.connections.next_wake()).min()
    }

    fn describe(&self) -> String {
        self.connections.describe(format_args!("server at {}, error {:?}", self.local, self.error))
    }
}

/// Connects, once or often, and lets each connection follow a script.
pub struct Client {
    remote: Endpoint,
    local: Option<Endpoint>,
    behaviour: Rc<Behaviour>,
    setup: Option<Setup>,
    start_at: Instant,
    count: usize,
    every: Duration,
    connections: Connections,
}

impl Client {
    /// A client that connects to `remote` once, at the start.
    pub fn new(remote: Endpoint, behaviour: Behaviour) -> Self {
        Self {
            remote,
            local: None,
            behaviour: Rc::new(behaviour),
            setup: None,
            start_at: Instant::ZERO,
            count: 1,
            every: Duration::ZERO,
            connections: Connections::default(),
        }
    }

    /// Binds its sockets first.
    #[must_use]
    pub const fn from(mut self, local: Endpoint) -> Self {
        self.local = Some(local);
        self
    }

    /// Connects at `at` for the first time.
    #[must_use]
    pub const fn start_at(mut self, at: Instant) -> Self {
        self.start_at = at;
        self
    }

    /// Connects so often, one each `every`.
    #[must_use]
    pub const fn count(mut self, count: usize, every: Duration) -> Self {
        self.count = count;
        self.every = every;
        self
    }

    /// Changes the options of its sockets.
    #[must_use]
    pub fn options(mut self, setup: impl Fn(&mut SocketOptions) + 'static) -> Self {
        self.setup = Some(Box::new(setup));
        self
    }

    /// How each connection went, in the order they were begun.
    pub fn outcomes(&self) -> impl ExactSizeIterator<Item = &Outcome> {
        self.connections.all.iter().map(Connection::outcome)
    }

    fn next_start(&self) -> Option<Instant> {
        let begun = self.connections.all.len();
        (begun < self.count).then(|| self.start_at + self.every * u32::try_from(begun).unwrap_or(u32::MAX))
    }

    fn begin(&mut self, stack: &mut Stack, now: Instant) {
        let connection = Connection::new(Rc::clone(&self.behaviour), Role::Client, now);
        let id = match stack.tcp_socket(self.remote.address.family()) {
            Ok(id) => id,
            Err(error) => return self.connections.add_failed(connection, "socket", error, now),
        };
        let made = set_up(stack, id, self.setup.as_ref(), now)
            .map_err(|e| ("set_options", e))
            .and_then(|()| self.local.map_or(Ok(()), |l| stack.bind(id, l)).map_err(|e| ("bind", e)))
            .and_then(|()| match stack.connect(id, self.remote, now) {
                Ok(()) | Err(Error::InProgress) => Ok(()),
                Err(e) => Err(("connect", e)),
            });
        match made {
            Ok(()) => self.connections.add(stack, id, connection, now),
            Err((call, error)) => {
                self.connections.add_failed(connection, call, error, now);
                // The first error is the one to tell.
                let _ = stack.close(id, now);
            }
        }
    }
}

impl App for Client {
    fn poll(&mut self, stack: &mut Stack, now: Instant, events: &[Event]) -> bool {
        let mut moved = false;
        while self.next_start().is_some_and(|at| at <= now) {
            self.begin(stack, now);
            moved = true;
        }
        self.connections.poll(stack, now, events) | moved
    }

    fn done(&self) -> bool {
        self.connections.ended >= self.count
    }

    fn next_wake(&self) -> Option<Instant> {
        self.next_start().into_iter().chain(self.connections.next_wake()).min()
    }

    fn describe(&self) -> String {
        self.connections.describe(format_args!("client of {}", self.remote))
    }
}
