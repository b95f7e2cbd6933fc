//! Readiness: what a program could do with a socket now without waiting.

use super::slab::SocketId;

bitflags::bitflags! {
    /// Level-triggered: each bit says how things stand, not that they changed.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct Readiness: u8 {
        /// A read gives data, end of file or an error; an accept gives a connection.
        const READABLE = 1 << 0;
        /// A write takes data or gives an error; a connect has ended.
        const WRITABLE = 1 << 1;
        /// The peer will send no more (its FIN came, in order), or we shut down our reading side.
        const READ_CLOSED = 1 << 2;
        /// Both sides are closed, or the connection is gone.
        const HANG_UP = 1 << 3;
        /// An error waits to be taken.
        const ERROR = 1 << 4;
        /// An urgent octet is here that the program has neither taken nor read past.
        const URGENT = 1 << 5;
    }
}

/// A socket's readiness changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Which socket.
    pub id: SocketId,
    /// How it stands now.
    pub readiness: Readiness,
}
