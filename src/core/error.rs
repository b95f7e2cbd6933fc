//! What can go wrong with a call, and the one table from there to errno.

use thiserror::Error;

/// Why a call failed, in the words of a Linux program's errno.
///
/// One enum, because a connection remembers its error and hands it to whichever call comes next; each
/// call's documentation lists which it can give.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum Error {
    /// Nothing to read, no room to write, nothing to accept, or not connected yet: try again later.
    #[error("operation would block")]
    WouldBlock,
    /// The connection attempt has begun and is under way.
    #[error("operation now in progress")]
    InProgress,
    /// A connection attempt is already under way.
    #[error("operation already in progress")]
    Already,
    /// The handle names no socket, or one that has been closed.
    #[error("bad socket")]
    BadSocket,
    /// An argument, or the call in this state, makes no sense.
    #[error("invalid argument")]
    Invalid,
    /// The socket is of the wrong kind for this call.
    #[error("operation not supported by this socket")]
    NotSupported,
    /// No such option.
    #[error("protocol option not available")]
    NoSuchOption,
    /// The address and port are taken.
    #[error("address already in use")]
    AddrInUse,
    /// The address is not one of the stack's, or no ephemeral port is free.
    #[error("cannot assign requested address")]
    AddrNotAvailable,
    /// The address is of a family that the socket does not speak.
    #[error("address family not supported")]
    AddrFamily,
    /// Not connected.
    #[error("not connected")]
    NotConnected,
    /// Connected already.
    #[error("already connected")]
    IsConnected,
    /// A datagram socket without a destination.
    #[error("destination address required")]
    DestinationRequired,
    /// The peer refused: a reset answered our SYN, or a port was unreachable.
    #[error("connection refused")]
    Refused,
    /// The peer reset the connection.
    #[error("connection reset by peer")]
    Reset,
    /// Reset before it was accepted or by us.
    #[error("connection aborted")]
    Aborted,
    /// Nobody answered for too long.
    #[error("connection timed out")]
    TimedOut,
    /// We have shut down our sending side, or the connection is gone.
    #[error("broken pipe")]
    BrokenPipe,
    /// A router says: no such host, or no way to it.
    #[error("no route to host")]
    HostUnreachable,
    /// No route to that network.
    #[error("network is unreachable")]
    NetUnreachable,
    /// The other host has no such protocol.
    #[error("protocol not available")]
    ProtocolUnreachable,
    /// The datagram does not fit and may not be cut.
    #[error("message too long")]
    MessageTooLong,
    /// Not allowed: a broadcast without leave to.
    #[error("permission denied")]
    Access,
    /// A queue or the budget is full.
    #[error("no buffer space available")]
    NoBuffers,
    /// The peer broke the rules, or a router says it did not understand us (parameter problem).
    #[error("protocol error")]
    Protocol,
}

impl Error {
    /// The number a Linux program sees (the asm-generic numbers that x86-64, AArch64 and RISC-V share).
    pub const fn errno(self) -> i32 {
        match self {
            Self::WouldBlock => 11,
            Self::InProgress => 115,
            Self::Already => 114,
            Self::BadSocket => 9,
            Self::Invalid => 22,
            Self::NotSupported => 95,
            Self::NoSuchOption => 92,
            Self::AddrInUse => 98,
            Self::AddrNotAvailable => 99,
            Self::AddrFamily => 97,
            Self::NotConnected => 107,
            Self::IsConnected => 106,
            Self::DestinationRequired => 89,
            Self::Refused => 111,
            Self::Reset => 104,
            Self::Aborted => 103,
            Self::TimedOut => 110,
            Self::BrokenPipe => 32,
            Self::HostUnreachable => 113,
            Self::NetUnreachable => 101,
            Self::ProtocolUnreachable => 92,
            Self::MessageTooLong => 90,
            Self::Access => 13,
            Self::NoBuffers => 105,
            Self::Protocol => 71,
        }
    }
}
