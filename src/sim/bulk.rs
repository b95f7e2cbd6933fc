//! Programs that move much and check nothing: a source that always has more, and a drain that takes all.

use bytes::Bytes;
use tunstack_core::addr::Endpoint;
use tunstack_core::error::Error;
use tunstack_core::stack::{Event, SocketId, Stack};
use tunstack_core::time::Instant;

use super::app::App;

/// Octets handed over in one call.
const PIECE: usize = 1 << 18;

/// Connects once and keeps the send buffer full, up to a number of octets; then it leaves the connection open.
pub struct Source {
    remote: Endpoint,
    start: Instant,
    left: u64,
    piece: Bytes,
    socket: Option<SocketId>,
    error: Option<(&'static str, Error)>,
}

impl Source {
    /// A source that connects to `remote` at `start` and has `octets` to send.
    pub fn new(remote: Endpoint, start: Instant, octets: u64) -> Self {
        let piece = Bytes::from(vec![0; PIECE]);
        Self { remote, start, left: octets, piece, socket: None, error: None }
    }

    /// Its socket, once it has begun.
    pub const fn socket(&self) -> Option<SocketId> {
        self.socket
    }

    /// The call that failed. It does nothing more after that.
    pub const fn error(&self) -> Option<(&'static str, Error)> {
        self.error
    }

    /// Lets it have so many octets more; the world has to run on for them to be sent.
    pub const fn add(&mut self, octets: u64) {
        self.left = self.left.saturating_add(octets);
    }

    fn begin(&mut self, stack: &mut Stack, now: Instant) {
        let id = stack.tcp_socket(self.remote.address.family());
        self.socket = Some(id);
        match stack.connect(id, self.remote, now) {
            Ok(()) | Err(Error::InProgress) => {}
            Err(error) => self.error = Some(("connect", error)),
        }
    }

    fn fill(&mut self, stack: &mut Stack, id: SocketId, now: Instant) -> bool {
        let mut moved = false;
        while self.left > 0 {
            let most = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
            let mut piece = self.piece.slice(..most);
            match stack.try_write_bytes(id, &mut piece, now) {
                Ok(n) => {
                    self.left -= n as u64;
                    moved = true;
                }
                Err(Error::WouldBlock) => break,
                Err(error) => {
                    self.error = Some(("write", error));
                    break;
                }
            }
        }
        moved
    }
}

impl App for Source {
    fn poll(&mut self, stack: &mut Stack, now: Instant, _: &[Event]) -> bool {
        if self.error.is_some() || now < self.start {
            return false;
        }
        let Some(id) = self.socket else {
            self.begin(stack, now);
            return true;
        };
        self.fill(stack, id, now)
    }

    fn done(&self) -> bool {
        self.left == 0 || self.error.is_some()
    }

    fn next_wake(&self) -> Option<Instant> {
        self.socket.is_none().then_some(self.start)
    }

    fn describe(&self) -> String {
        format!("source to {}: {} octets left, error {:?}", self.remote, self.left, self.error)
    }
}

/// What a [`Drain`] has had of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drained {
    /// The other end.
    pub from: Endpoint,
    /// Octets.
    pub octets: u64,
    /// When the latest came.
    pub last: Instant,
    pub(super) id: SocketId,
}

/// Accepts whoever comes and reads all they send.
pub struct Drain {
    local: Endpoint,
    listener: Option<SocketId>,
    connections: Vec<Drained>,
    error: Option<(&'static str, Error)>,
}

impl Drain {
    /// A drain that listens at `local` from the start.
    pub const fn new(local: Endpoint) -> Self {
        Self { local, listener: None, connections: Vec::new(), error: None }
    }

    /// What it has had, in the order of acceptance.
    pub fn connections(&self) -> &[Drained] {
        &self.connections
    }

    /// The call that failed, other than by a peer's end.
    pub const fn error(&self) -> Option<(&'static str, Error)> {
        self.error
    }

    fn listen(&mut self, stack: &mut Stack) -> Result<SocketId, (&'static str, Error)> {
        let id = stack.tcp_socket(self.local.address.family());
        stack.bind(id, self.local).map_err(|e| ("bind", e))?;
        stack.listen(id, 1024).map_err(|e| ("listen", e))?;
        Ok(id)
    }

    fn accept(&mut self, stack: &mut Stack, listener: SocketId, now: Instant) -> Result<bool, Error> {
        let mut moved = false;
        loop {
            match stack.try_accept(listener) {
                Ok(id) => {
                    let from = stack.remote_endpoint(id)?;
                    self.connections.push(Drained { from, octets: 0, last: now, id });
                    moved = true;
                }
                Err(Error::WouldBlock) => return Ok(moved),
                Err(error) => return Err(error),
            }
        }
    }
}

impl App for Drain {
    fn poll(&mut self, stack: &mut Stack, now: Instant, _: &[Event]) -> bool {
        if self.error.is_some() {
            return false;
        }
        let Some(listener) = self.listener else {
            match self.listen(stack) {
                Ok(id) => self.listener = Some(id),
                Err(error) => self.error = Some(error),
            }
            return true;
        };
        let mut moved = match self.accept(stack, listener, now) {
            Ok(moved) => moved,
            Err(error) => {
                self.error = Some(("accept", error));
                return true;
            }
        };
        for connection in &mut self.connections {
            loop {
                match stack.try_read_bytes(connection.id, usize::MAX) {
                    Ok(bytes) if !bytes.is_empty() => {
                        connection.octets += bytes.len() as u64;
                        connection.last = now;
                        moved = true;
                    }
                    Ok(_) | Err(Error::WouldBlock) => break,
                    Err(error) => {
                        self.error = Some(("read", error));
                        return true;
                    }
                }
            }
        }
        moved
    }

    fn done(&self) -> bool {
        true
    }

    fn next_wake(&self) -> Option<Instant> {
        None
    }

    fn describe(&self) -> String {
        format!("drain at {}: {:?}, error {:?}", self.local, self.connections, self.error)
    }
}
