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
        /// The urgent pointer lies ahead of the reader, whether the octet is here or still to come
        /// ([`before_mark`](super::Stack::before_mark)); news whenever it advances (RFC 9293 §3.8.5).
        const URGENT_AHEAD = 1 << 6;
        /// The network or the peer's silence stands in the way of what is sent, and that is no end yet:
        /// [`soft_error`](crate::tcp::info::TcpInfo::soft_error) says what. News with every report
        /// (RFC 9293 §3.9.1.8). Who does not wait for it hears nothing of it.
        const SOFT_ERROR = 1 << 7;
    }
}

impl Readiness {
    /// What may be told again though it stands already, because more has arrived. Room to write never is:
    /// it arises when it was gone.
    pub(super) const ARRIVALS: Self =
        Self::READABLE.union(Self::READ_CLOSED).union(Self::ERROR).union(Self::URGENT);
}

/// A socket's readiness changed, or something arrived for one that was ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Which socket.
    pub id: SocketId,
    /// How it stands now.
    pub readiness: Readiness,
    /// What an edge-triggered poller tells: bits that were not set at some moment since the last event, or
    /// for which something new arrived.
    pub edges: Readiness,
}
