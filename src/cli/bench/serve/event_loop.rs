//! One thread for all connections: each that a poll tells of has a turn, and whoever has more to do then has another one
//! after the others.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, NotConnected, WouldBlock};
use std::sync::Arc;
use std::time::Duration;

use super::connection::{Connection, Service, Turn};
use super::sockets::{Change, Sockets};
use super::{Counted, PIECE};

/// Until a listener is tried again for whose connections there is no descriptor or no memory.
const PAUSE: Duration = Duration::from_millis(1);

/// Connections that one turn accepts of a listener: where a million come at once, others have their turn in between.
const ACCEPTS: usize = 64;

/// A server of TCP. Listeners have the first tokens, and connections the others: those of slots that are used again.
pub(super) struct EventLoop<S: Sockets> {
    poll: S::Poll,
    listeners: Vec<(S::Listener, Service)>,
    connections: Vec<Option<Place<S>>>,
    free: Vec<usize>,
    /// Whose turn it is, each once.
    ready: VecDeque<usize>,
    /// Listeners that have a turn, each once: they were told of, or had more than one turn takes. No event tells of that again.
    due: VecDeque<usize>,
    /// Listeners that wait for a descriptor.
    later: Vec<usize>,
    counted: Arc<Counted>,
}

struct Place<S: Sockets> {
    connection: Connection<S::Stream>,
    is_ready: bool,
}

impl<S: Sockets> EventLoop<S> {
    pub(super) fn new(mut listeners: Vec<(S::Listener, Service)>, counted: Arc<Counted>) -> io::Result<Self> {
        let poll = S::poll()?;
        for (token, (listener, _)) in listeners.iter_mut().enumerate() {
            S::watch_listener(&poll, listener, token)?;
        }
        let (connections, free, ready) = (Vec::new(), Vec::new(), VecDeque::new());
        let (due, later) = (VecDeque::new(), Vec::new());
        Ok(Self { poll, listeners, connections, free, ready, due, later, counted })
    }

    /// Comes back only when the poll fails.
    pub(super) fn run(mut self) -> io::Result<Infallible> {
        let mut changes = Vec::new();
        let mut buffer = vec![b'x'; PIECE];
        loop {
            let timeout = match (self.ready.is_empty() && self.due.is_empty(), self.later.is_empty()) {
                (false, _) => Some(Duration::ZERO),
                (true, false) => Some(PAUSE),
                (true, true) => None,
            };
            match S::wait(&mut self.poll, &mut changes, timeout) {
                Err(e) if e.kind() == Interrupted => continue,
                other => other?,
            }
            for listener in std::mem::take(&mut self.later) {
                self.has_turn(listener);
            }
            for change in changes.drain(..) {
                self.changed(change);
            }
            for _ in 0..self.due.len() {
                let Some(listener) = self.due.pop_front() else { break };
                self.accept(listener);
            }
            // Those that are ready now: what comes meanwhile is seen before they have their next turn.
            for _ in 0..self.ready.len() {
                let Some(slot) = self.ready.pop_front() else { break };
                self.turn(slot, &mut buffer);
            }
        }
    }

    fn changed(&mut self, change: Change) {
        let Some(slot) = change.token.checked_sub(self.listeners.len()) else {
            return self.has_turn(change.token);
        };
        // One that ended a moment ago may have been told of, and even another one have its slot: its turn finds nothing.
        let Some(Some(place)) = self.connections.get_mut(slot) else { return };
        if change.last {
            place.connection.nothing_more_comes();
        }
        if !place.is_ready && place.connection.has_to_do(change.comes) {
            place.is_ready = true;
            self.ready.push_back(slot);
        }
    }

    fn has_turn(&mut self, listener: usize) {
        if !self.due.contains(&listener) {
            self.due.push_back(listener);
        }
    }

    /// Those that wait, as far as one turn goes.
    fn accept(&mut self, listener: usize) {
        let Some((own, service)) = self.listeners.get(listener) else { return };
        for _ in 0..ACCEPTS {
            let accepted = S::accept(own).and_then(|mut stream| {
                let slot = self.free.pop().unwrap_or(self.connections.len());
                if slot == self.connections.len() {
                    self.connections.push(None);
                }
                let watched =
                    S::watch(&self.poll, &mut stream, self.listeners.len() + slot, service.interest());
                match watched {
                    Ok(()) => {
                        let connection = Connection::new(stream, *service);
                        self.connections[slot] = Some(Place { connection, is_ready: false });
                    }
                    Err(_) => self.free.push(slot),
                }
                watched
            });
            match accepted {
                Ok(()) => {}
                Err(e) if e.kind() == WouldBlock => return,
                // That one was reset before its turn.
                Err(e) if matches!(e.kind(), ConnectionAborted | ConnectionReset | NotConnected) => {}
                Err(e) => {
                    tracing::debug!("cannot accept: {e}");
                    self.later.push(listener);
                    return;
                }
            }
        }
        self.due.push_back(listener);
    }

    fn turn(&mut self, slot: usize, buffer: &mut [u8]) {
        let Some(Some(place)) = self.connections.get_mut(slot) else { return };
        match place.connection.turn(buffer, &self.counted) {
            Ok(Turn::More) => self.ready.push_back(slot),
            Ok(Turn::Wait) => place.is_ready = false,
            over => {
                if let Err(e) = over {
                    tracing::trace!("a connection has ended: {e}");
                }
                self.connections[slot] = None;
                self.free.push(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests;
