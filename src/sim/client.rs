//! A program that connects.

use std::rc::Rc;

use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::sockopt::SocketOptions;
use tunstack_core::stack::{Event, Stack};
use tunstack_core::time::{Duration, Instant};

use super::app::{App, Connections, Setup, set_up};
use super::behaviour::Behaviour;
use super::connection::{Connection, Outcome, Role};

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
        let id = stack.tcp_socket(self.remote.address.family());
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
