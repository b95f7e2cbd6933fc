//! A program that accepts connections.

use std::rc::Rc;

use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::sockopt::SocketOptions;
use tunstack_core::stack::{Event, SocketId, Stack};
use tunstack_core::time::Instant;

use super::app::{App, Connections, Setup, set_up};
use super::behaviour::Behaviour;
use super::connection::{Connection, Outcome, Role};

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
        let id = stack.tcp_socket(self.local.address.family());
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
