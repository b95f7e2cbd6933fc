//! LISTEN: a queue of requests and a queue of connections to accept (RFC 9293 §3.10.7.2).

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

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
    /// How often other shards were told of it; of one that stands for another, what that was told last.
    pub version: u64,
    backlog: u32,
    requests: u32,
    /// When a request was last answered with a SYN cookie.
    cookie_left: Option<Instant>,
    queue: VecDeque<T>,
    /// What it counts together with those that stand for it in other shards.
    shared: Option<Arc<Shared>>,
    /// It stands here for one of another shard, which has the queue.
    home: Option<T>,
}

/// The counts of a listener that stands in several shards: the limits hold for all of them together.
#[derive(Debug, Default)]
pub struct Shared {
    backlog: AtomicU32,
    waiting: AtomicU32,
    requests: AtomicU32,
    closed: AtomicBool,
}

impl Shared {
    /// Nothing counted, and room for `backlog` connections.
    pub fn new(backlog: u32) -> Self {
        Self { backlog: AtomicU32::new(backlog), ..Self::default() }
    }

    /// The listener is no more, whoever still stands for it.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether it is no more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
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
            version: 0,
            backlog,
            requests: 0,
            cookie_left: None,
            queue: VecDeque::new(),
            shared: None,
            home: None,
        }
    }

    /// Counts from now on in what others count in too. Nothing may have been counted yet.
    pub fn share(&mut self, shared: Arc<Shared>) {
        self.shared = Some(shared);
    }

    /// What it counts together with others, if it does.
    pub const fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// From now on it stands for one that has the queue.
    pub fn stand_for(&mut self, home: T) {
        self.home = Some(home);
    }

    /// The one it stands for; `None`: itself.
    pub const fn home(&self) -> Option<&T> {
        self.home.as_ref()
    }

    /// Changes the backlog. What waits already stays.
    pub fn set_backlog(&mut self, backlog: u32, config: &TcpConfig) {
        self.backlog = backlog.min(config.max_backlog);
        if let Some(shared) = &self.shared {
            shared.backlog.store(self.backlog, Ordering::Relaxed);
        }
    }

    /// Whether no further connection can wait: a handshake that would complete now is not completed, and
    /// the peer's ACK is dropped, to be provoked again by our SYN,ACK.
    pub fn accept_queue_is_full(&self) -> bool {
        match &self.shared {
            Some(shared) => shared.waiting.load(Ordering::Relaxed) > shared.backlog.load(Ordering::Relaxed),
            None => self.queue.len() > self.backlog as usize,
        }
    }

    /// Takes a place in the queue for a connection that is to be pushed, here or at home, unless it is full.
    pub fn take_place(&self) -> bool {
        let Some(shared) = &self.shared else { return !self.accept_queue_is_full() };
        let backlog = shared.backlog.load(Ordering::Relaxed);
        let one_more = |waiting: u32| (waiting <= backlog).then(|| waiting.saturating_add(1));
        shared.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// As [`take_place`](Self::take_place), full or not.
    pub fn take_any_place(&self) {
        if let Some(shared) = &self.shared {
            shared.waiting.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether no further request can be taken: its SYN is dropped, to be sent again by the peer.
    pub fn syn_queue_is_full(&self, config: &TcpConfig) -> bool {
        let (requests, backlog) = match &self.shared {
            Some(shared) => (shared.requests.load(Ordering::Relaxed), shared.backlog.load(Ordering::Relaxed)),
            None => (self.requests, self.backlog),
        };
        requests >= config.max_syn_backlog.min(backlog.max(8).saturating_mul(2))
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
        if let Some(shared) = &self.shared {
            shared.requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request has become a connection, or is over.
    pub fn request_ended(&mut self) {
        let Some(fewer) = self.requests.checked_sub(1) else { return };
        self.requests = fewer;
        if let Some(shared) = &self.shared {
            shared.requests.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A request was answered with a SYN cookie.
    pub fn cookie_left(&mut self, now: Instant) {
        self.cookie_left = Some(now);
    }

    /// When one last was.
    pub const fn cookie_left_at(&self) -> Option<Instant> {
        self.cookie_left
    }

    /// A connection waits to be accepted, and has taken its place.
    pub fn push(&mut self, connection: T) {
        self.queue.push_back(connection);
    }

    /// The connection that has waited longest.
    pub fn pop(&mut self) -> Option<T> {
        let first = self.queue.pop_front()?;
        if let Some(shared) = &self.shared {
            shared.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        Some(first)
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
