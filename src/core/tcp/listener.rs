//! LISTEN: a queue of requests and a queue of connections to accept (RFC 9293 §3.10.7.2).

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::fast_open::pending::Pending;
use crate::addr::{Endpoint, Family};
use crate::config::TcpConfig;
use crate::sockopt::SocketOptions;
use crate::time::Instant;

/// A socket that listens. It never leaves LISTEN: what it begets are records of their own.
///
/// `T` names a connection that waits to be accepted.
#[derive(Debug)]
pub struct Listener<T> {
    /// Where it listens.
    pub local: Endpoint,
    /// The family the socket was made for.
    pub family: Family,
    /// What each connection inherits.
    pub options: Arc<SocketOptions>,
    /// Its connections whose handshake is not done although the program has them.
    pub fast_open: Pending,
    backlog: u32,
    requests: u32,
    /// When a request was last answered with a SYN cookie.
    cookie_left: Option<Instant>,
    queue: VecDeque<T>,
}

impl<T> Listener<T> {
    /// Listens with room for `backlog` connections that wait to be accepted. As in Linux the queue takes
    /// one more than was asked for, so that a backlog of 0 still works.
    pub fn new(
        local: Endpoint,
        family: Family,
        options: Arc<SocketOptions>,
        backlog: u32,
        config: &TcpConfig,
    ) -> Self {
        let backlog = backlog.min(config.max_backlog);
        Self {
            local,
            family,
            options,
            fast_open: Pending::default(),
            backlog,
            requests: 0,
            cookie_left: None,
            queue: VecDeque::new(),
        }
    }

    /// Changes the backlog. What waits already stays.
    pub fn set_backlog(&mut self, backlog: u32, config: &TcpConfig) {
        self.backlog = backlog.min(config.max_backlog);
    }

    /// Whether no further connection can wait: a handshake that would complete now is not completed, and
    /// the peer's ACK is dropped, to be provoked again by our SYN,ACK.
    pub fn accept_queue_is_full(&self) -> bool {
        self.queue.len() > self.backlog as usize
    }

    /// Whether no further request can be taken: its SYN is dropped, to be sent again by the peer.
    pub fn syn_queue_is_full(&self, config: &TcpConfig) -> bool {
        self.requests >= config.max_syn_backlog.min(self.backlog.max(8).saturating_mul(2))
    }

    /// How many connections may wait.
    pub const fn backlog(&self) -> u32 {
        self.backlog
    }

    /// How many do.
    pub fn waiting_len(&self) -> usize {
        self.queue.len()
    }

    /// How many requests there are.
    pub const fn requests(&self) -> u32 {
        self.requests
    }

    /// A request was taken.
    pub fn request_began(&mut self) {
        self.requests += 1;
    }

    /// A request has become a connection, or is over.
    pub fn request_ended(&mut self) {
        self.requests = self.requests.saturating_sub(1);
    }

    /// A request was answered with a SYN cookie.
    pub fn cookie_left(&mut self, now: Instant) {
        self.cookie_left = Some(now);
    }

    /// When one last was.
    pub const fn cookie_left_at(&self) -> Option<Instant> {
        self.cookie_left
    }

    /// A connection waits to be accepted.
    pub fn push(&mut self, connection: T) {
        self.queue.push_back(connection);
    }

    /// The connection that has waited longest.
    pub fn pop(&mut self) -> Option<T> {
        self.queue.pop_front()
    }

    /// The connections that wait, the oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &T> {
        self.queue.iter()
    }

    /// Forgets a connection that ended while it waited.
    pub fn remove(&mut self, gone: impl Fn(&T) -> bool) {
        self.queue.retain(|c| !gone(c));
    }

    /// Whether a connection waits.
    pub fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }
}
