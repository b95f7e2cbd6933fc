//! A submission queue entry: what is to be done, for whom, and how it stands to its neighbours.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::io::Errno;

use super::completion::Buffer;
use crate::bsd::abi::MsgFlags;

bitflags::bitflags! {
    /// How an entry stands to its neighbours (`IOSQE_…`).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct Flags: u8 {
        /// Not before all that was submitted earlier has completed, and nothing later before this has.
        const IO_DRAIN = 1 << 1;
        /// The next entry of the same submission starts when this one has succeeded. If it fails, what is linked
        /// behind completes with `ECANCELED`.
        const IO_LINK = 1 << 2;
        /// The next entry starts when this one has completed, however it did.
        const IO_HARDLINK = 1 << 3;
        /// No completion if it succeeds; what it carried is dropped. If it fails, it alone completes: those that are
        /// linked behind are cancelled in silence. A multishot entry must not have it (`EINVAL`).
        const SKIP_SUCCESS = 1 << 6;
    }
}

impl Flags {
    /// Whether the next entry belongs to the same chain.
    pub(super) const fn links(self) -> bool {
        self.intersects(Self::IO_LINK.union(Self::IO_HARDLINK))
    }
}

/// An operation to be submitted; made by the builders in [`opcode`](super::opcode).
#[derive(Debug)]
#[must_use = "an entry does nothing until it is pushed and submitted"]
pub struct Entry {
    pub(super) operation: Operation,
    pub(super) user_data: u64,
    pub(super) flags: Flags,
}

impl Entry {
    pub(super) const fn new(operation: Operation) -> Self {
        Self { operation, user_data: 0, flags: Flags::empty() }
    }

    /// What its completions are known by; 0 if nothing else is said. Need not be unique.
    pub const fn user_data(mut self, user_data: u64) -> Self {
        self.user_data = user_data;
        self
    }

    /// How it stands to its neighbours.
    pub const fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }

    /// Why it must not be submitted behind `before` in its chain.
    pub(super) fn fault(&self, before: Option<&Self>) -> Option<Errno> {
        let silent = self.flags.contains(Flags::SKIP_SUCCESS);
        let wrong = match &self.operation {
            Operation::LinkTimeout { .. } => {
                before.is_none_or(|before| matches!(before.operation, Operation::LinkTimeout { .. }))
            }
            Operation::Receive(receive) if receive.multishot => {
                silent || receive.flags.contains(MsgFlags::WAITALL)
            }
            Operation::Accept { multishot: true, .. } | Operation::PollAdd { multishot: true, .. } => silent,
            // What is repeated has an interval.
            Operation::Timeout { when, flags, .. } if flags.contains(TimeoutFlags::MULTISHOT) => {
                silent || matches!(when, When::At(_))
            }
            _ => false,
        };
        wrong.then_some(Errno::INVAL)
    }
}

bitflags::bitflags! {
    /// What `poll_add` waits for and gives (`POLL…`).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct PollEvents: u32 {
        /// There is something to read or accept, or the end of it (`POLLIN`).
        const IN = libc::POLLIN as u32;
        /// There is urgent data (`POLLPRI`).
        const PRI = libc::POLLPRI as u32;
        /// There is room to write (`POLLOUT`).
        const OUT = libc::POLLOUT as u32;
        /// An error waits; always waited for (`POLLERR`).
        const ERR = libc::POLLERR as u32;
        /// Both directions are closed; always waited for (`POLLHUP`).
        const HUP = libc::POLLHUP as u32;
        /// The peer sends no more (`POLLRDHUP`).
        const RDHUP = libc::POLLRDHUP as u32;
    }
}

/// Where what is received goes.
#[derive(Debug)]
pub(super) enum Target {
    One(Vec<u8>),
    Parts(Vec<Vec<u8>>),
    /// A buffer of this group, chosen when there is something to receive.
    Group(u16),
}

/// What is sent.
#[derive(Debug)]
pub(super) enum Source {
    One(Bytes),
    Parts(Vec<Bytes>),
}

/// When a timeout expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// So long after it has started.
    After(Duration),
    /// At this time (`IORING_TIMEOUT_ABS`); at once if that is past.
    At(Instant),
}

impl From<Duration> for When {
    fn from(after: Duration) -> Self {
        Self::After(after)
    }
}

impl From<Instant> for When {
    fn from(at: Instant) -> Self {
        Self::At(at)
    }
}

bitflags::bitflags! {
    /// What a timeout is told beside its time (`IORING_TIMEOUT_…`).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct TimeoutFlags: u32 {
        /// To expire is to succeed: it does not break a chain.
        const ETIME_SUCCESS = 1 << 5;
        /// Expires again and again, `count` times, or for ever where that is 0.
        const MULTISHOT = 1 << 6;
    }
}

/// `recv`, `recvmsg` and `read`.
#[derive(Debug)]
pub(super) struct Receive {
    pub(super) fd: RawFd,
    pub(super) into: Target,
    pub(super) flags: MsgFlags,
    pub(super) multishot: bool,
    /// `read`: less than was asked for breaks a chain.
    pub(super) file: bool,
}

/// `send`, `sendmsg` and `write`.
#[derive(Debug)]
pub(super) struct Send {
    pub(super) fd: RawFd,
    pub(super) from: Source,
    pub(super) to: Option<SocketAddr>,
    pub(super) flags: MsgFlags,
    /// `write`: less than was asked for breaks a chain.
    pub(super) file: bool,
}

/// Which operations an [`async_cancel`](super::opcode::async_cancel) means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CancelBuilder {
    pub(super) which: Match,
    pub(super) all: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Match {
    UserData(u64),
    Fd(RawFd),
    Any,
}

impl CancelBuilder {
    /// Every operation there is.
    pub const fn any() -> Self {
        Self { which: Match::Any, all: true }
    }

    /// The oldest that was submitted with this.
    pub const fn user_data(user_data: u64) -> Self {
        Self { which: Match::UserData(user_data), all: false }
    }

    /// The oldest on the socket of this descriptor.
    pub const fn fd(fd: RawFd) -> Self {
        Self { which: Match::Fd(fd), all: false }
    }

    /// All of them instead of one (`IORING_ASYNC_CANCEL_ALL`).
    #[must_use]
    pub const fn all(mut self) -> Self {
        self.all = true;
        self
    }
}

#[derive(Debug)]
pub(super) enum Operation {
    Nop,
    Accept { fd: RawFd, flags: i32, multishot: bool },
    Connect { fd: RawFd, to: SocketAddr },
    Receive(Receive),
    Send(Send),
    Shutdown { fd: RawFd, how: i32 },
    Close { fd: RawFd },
    Timeout { when: When, count: u32, flags: TimeoutFlags },
    TimeoutRemove { target: u64 },
    TimeoutUpdate { target: u64, when: When },
    LinkTimeout { when: When },
    PollAdd { fd: RawFd, events: PollEvents, multishot: bool },
    PollRemove { target: u64 },
    AsyncCancel(CancelBuilder),
}

impl Operation {
    /// What it was given and hands back when it completes.
    pub(super) fn into_buffer(self) -> Buffer {
        match self {
            Self::Receive(Receive { into: Target::One(buffer), .. }) => Buffer::Received(buffer),
            Self::Receive(Receive { into: Target::Parts(parts), .. }) => Buffer::ReceivedParts(parts),
            Self::Send(Send { from: Source::One(data), .. }) => Buffer::Sent(data),
            Self::Send(Send { from: Source::Parts(parts), .. }) => Buffer::SentParts(parts),
            _ => Buffer::None,
        }
    }
}
