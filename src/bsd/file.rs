//! An open socket as descriptors share it: the stack's socket, how its calls wait, and its shadow.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use tunstack_core::addr::Family;
use tunstack_core::error::Error;
use tunstack_core::stack::{SocketId, Stack};
use tunstack_core::time::Instant;

use super::Result;
use super::abi::MsgFlags;
use super::hints::Hints;
use super::shadow::Shadow;
use crate::engine::socket::Socket;
use crate::engine::{Engine, Interest};

/// `SOCK_STREAM` or `SOCK_DGRAM`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Stream,
    Datagram,
}

/// What the numbers made by `socket` and `dup` share; the socket is closed with the last of them.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) family: Family,
    pub(crate) kind: Kind,
    /// The stack's socket.
    pub(crate) socket: Socket,
    pub(super) shadow: Arc<Shadow>,
    nonblocking: AtomicBool,
    /// A `connect` has left the SYN to what is sent first (`TCP_FASTOPEN_CONNECT`).
    deferred: AtomicBool,
    /// Options that are only remembered.
    pub(super) hints: Hints,
}

/// An engine's error as the number for it.
pub(crate) fn errno(error: io::Error) -> Errno {
    match error.kind() {
        io::ErrorKind::Deadlock => Errno::DEADLK,
        _ => Errno::from_io_error(&error).unwrap_or(Errno::IO),
    }
}

impl File {
    /// Takes charge of a socket of the stack.
    pub(super) fn new(
        engine: &Engine,
        id: SocketId,
        family: Family,
        kind: Kind,
        shadow: Shadow,
        nonblocking: bool,
    ) -> Result<Arc<Self>> {
        let shadow = Arc::new(shadow);
        let socket = Socket::adopt(engine, id);
        socket.observe(Arc::<Shadow>::clone(&shadow)).map_err(errno)?;
        Ok(Arc::new(Self {
            family,
            kind,
            socket,
            shadow,
            nonblocking: AtomicBool::new(nonblocking),
            deferred: AtomicBool::new(false),
            hints: Hints::default(),
        }))
    }

    /// What a connection has from its listener beside the stack's options, which it has already.
    pub(super) fn inherit(&self, listener: &Self) {
        self.hints.inherit(&listener.hints);
        self.socket.inherit_timeouts(&listener.socket);
    }

    /// `O_NONBLOCK`.
    pub(crate) fn nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// The SYN is left to what is sent first.
    pub(super) fn defer(&self) {
        self.deferred.store(true, Ordering::Relaxed);
    }

    /// Whether the SYN was left to what is sent now.
    pub(super) fn take_deferred(&self) -> bool {
        self.deferred.load(Ordering::Relaxed) && self.deferred.swap(false, Ordering::Relaxed)
    }

    /// Does what never waits.
    pub(crate) fn call<T>(
        &self,
        op: impl FnOnce(&mut Stack, SocketId, Instant) -> core::result::Result<T, Error>,
    ) -> Result<T> {
        self.socket.call(op).map_err(errno)
    }

    /// Asks and changes nothing.
    pub(crate) fn query<T>(
        &self,
        ask: impl FnOnce(&Stack, SocketId) -> core::result::Result<T, Error>,
    ) -> Result<T> {
        self.socket.query(ask).map_err(errno)
    }

    /// Does what may have to wait, as long as the descriptor's mode, its timeouts and `MSG_DONTWAIT` allow.
    pub(crate) fn wait<T>(
        &self,
        interest: Interest,
        flags: MsgFlags,
        op: impl FnMut(&mut Stack, SocketId, Instant) -> core::result::Result<T, Error>,
    ) -> Result<T> {
        if self.nonblocking() || flags.contains(MsgFlags::DONTWAIT) {
            return self.call(op);
        }
        let timeout = self.timeout(interest);
        self.socket.wait_for(interest, timeout, op).map_err(errno)
    }

    /// `SO_RCVTIMEO` or `SO_SNDTIMEO`.
    pub(crate) fn timeout(&self, interest: Interest) -> Option<Duration> {
        match interest {
            Interest::Readable => self.socket.read_timeout(),
            Interest::Writable => self.socket.write_timeout(),
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // Before the close, which may linger: as on Linux, nobody watches a socket that is closed.
        self.shadow.retire();
    }
}
