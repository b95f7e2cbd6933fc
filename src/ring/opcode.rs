//! The operations, by their names in io_uring (liburing's `io_uring_prep_…`), each with the arguments of its system call.
//!
//! ```
//! use tunstack::bsd::abi::MsgFlags;
//! use tunstack::ring::{Flags, opcode};
//!
//! # let connection = 5;
//! let request = opcode::send(connection, &b"GET / HTTP/1.0\r\n\r\n"[..], MsgFlags::WAITALL)
//!     .user_data(1)
//!     .flags(Flags::IO_LINK);
//! let answer = opcode::recv(connection, vec![0; 4096], MsgFlags::empty()).user_data(2);
//! ```

use std::net::SocketAddr;
use std::os::fd::RawFd;

use bytes::Bytes;

use super::entry::{
    CancelBuilder, Entry, Operation, PollEvents, Receive, Send, Source, Target, TimeoutFlags, When,
};
use crate::bsd::abi::MsgFlags;

/// Does nothing, and succeeds.
pub const fn nop() -> Entry {
    Entry::new(Operation::Nop)
}

/// `accept4(2)`, with `SOCK_NONBLOCK` and `SOCK_CLOEXEC` for the connection. The result is the connection's descriptor,
/// the completion's `address` its peer.
pub const fn accept(fd: RawFd, flags: i32) -> Entry {
    Entry::new(Operation::Accept { fd, flags, multishot: false })
}

/// `accept4(2)` for every connection that comes, until it is cancelled, fails, or the completion queue is full: each
/// completion but the last has `MORE`.
pub const fn accept_multi(fd: RawFd, flags: i32) -> Entry {
    Entry::new(Operation::Accept { fd, flags, multishot: true })
}

/// `connect(2)`: completes when the connection stands or has failed. Where it is cancelled, the attempt goes on.
pub const fn connect(fd: RawFd, to: SocketAddr) -> Entry {
    Entry::new(Operation::Connect { fd, to })
}

/// `recv(2)` into a buffer, up to its length; the completion hands it back.
///
/// With `MSG_WAITALL` it completes when the buffer is full, the data ends, or it is cancelled (with what there is), and
/// less than all breaks a chain. With `MSG_DONTWAIT` it never waits (`EAGAIN`).
pub const fn recv(fd: RawFd, buffer: Vec<u8>, flags: MsgFlags) -> Entry {
    receive(fd, Target::One(buffer), flags, false)
}

/// `recv(2)` into a buffer of a group (`IOSQE_BUFFER_SELECT`), chosen when there is something to receive: the completion
/// brings the buffer and names it. `ENOBUFS` where the group has none.
pub const fn recv_select(fd: RawFd, group: u16, flags: MsgFlags) -> Entry {
    receive(fd, Target::Group(group), flags, false)
}

/// `recv(2)` of all that comes, each time into another buffer of a group.
///
/// Every completion but the last has `MORE`. The last one tells of the end of the data (0), an error, the end of the
/// group's buffers (`ENOBUFS`) or a cancel; or it has data and came when the completion queue was full. `MSG_WAITALL` is
/// `EINVAL`. A datagram's sender is the completion's `address`; an empty datagram ends it.
pub const fn recv_multi(fd: RawFd, group: u16, flags: MsgFlags) -> Entry {
    let into = Target::Group(group);
    Entry::new(Operation::Receive(Receive { fd, into, flags, multishot: true, file: false }))
}

/// `recvmsg(2)` into several buffers: the completion has them, the sender's `address` and the `message` flags.
pub const fn recvmsg(fd: RawFd, buffers: Vec<Vec<u8>>, flags: MsgFlags) -> Entry {
    receive(fd, Target::Parts(buffers), flags, false)
}

/// `read(2)` into a buffer, up to its length. Less than that breaks a chain.
pub const fn read(fd: RawFd, buffer: Vec<u8>) -> Entry {
    receive(fd, Target::One(buffer), MsgFlags::empty(), true)
}

const fn receive(fd: RawFd, into: Target, flags: MsgFlags, file: bool) -> Entry {
    Entry::new(Operation::Receive(Receive { fd, into, flags, multishot: false, file }))
}

/// `send(2)`: completes as soon as some of it is taken, which may be less than all. The completion hands the data back.
///
/// With `MSG_WAITALL` it completes when all is taken, and less than that breaks a chain. With `MSG_DONTWAIT` it never
/// waits (`EAGAIN`).
pub fn send(fd: RawFd, data: impl Into<Bytes>, flags: MsgFlags) -> Entry {
    transmit(fd, Source::One(data.into()), flags, None, false)
}

/// `sendto(2)`: a datagram to this address.
pub fn sendto(fd: RawFd, data: impl Into<Bytes>, flags: MsgFlags, to: SocketAddr) -> Entry {
    transmit(fd, Source::One(data.into()), flags, Some(to), false)
}

/// `sendmsg(2)`: from several buffers, as one datagram where it is one.
pub const fn sendmsg(fd: RawFd, data: Vec<Bytes>, flags: MsgFlags, to: Option<SocketAddr>) -> Entry {
    transmit(fd, Source::Parts(data), flags, to, false)
}

/// `write(2)`. Less than all breaks a chain.
pub fn write(fd: RawFd, data: impl Into<Bytes>) -> Entry {
    transmit(fd, Source::One(data.into()), MsgFlags::empty(), None, true)
}

const fn transmit(fd: RawFd, from: Source, flags: MsgFlags, to: Option<SocketAddr>, file: bool) -> Entry {
    Entry::new(Operation::Send(Send { fd, from, to, flags, file }))
}

/// `shutdown(2)`: `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`.
pub const fn shutdown(fd: RawFd, how: i32) -> Entry {
    Entry::new(Operation::Shutdown { fd, how })
}

/// `close(2)`. Operations in flight keep the socket open until they have completed.
pub const fn close(fd: RawFd) -> Entry {
    Entry::new(Operation::Close { fd })
}

/// Completes with `ETIME` when the time has come, with 0 when `count` completions (0: any number) that are no timeouts'
/// were posted before that, with `ECANCELED` when it was removed.
pub fn timeout(when: impl Into<When>, count: u32, flags: TimeoutFlags) -> Entry {
    Entry::new(Operation::Timeout { when: when.into(), count, flags })
}

/// Removes the timeout of this user data: 0, or `ENOENT`.
pub const fn timeout_remove(user_data: u64) -> Entry {
    Entry::new(Operation::TimeoutRemove { target: user_data })
}

/// Gives the timeout or link timeout of this user data another time: 0, or `ENOENT`.
///
/// The time is the interval of one that repeats, too; with a moment in its place the timeout expires then, for the last
/// time. As in Linux, the timeout has no `count` any more: completions do not outrun it, and one that repeats does so
/// for ever.
pub fn timeout_update(user_data: u64, when: impl Into<When>) -> Entry {
    Entry::new(Operation::TimeoutUpdate { target: user_data, when: when.into() })
}

/// Limits the time of the entry that is linked before it. When the time has come that one is cancelled, and this
/// completes with `ETIME`; with `ECANCELED` when that one completed in time.
pub fn link_timeout(when: impl Into<When>) -> Entry {
    Entry::new(Operation::LinkTimeout { when: when.into() })
}

/// Waits until one of these is so and gives [`PollEvents`] as its result.
pub const fn poll_add(fd: RawFd, events: PollEvents) -> Entry {
    Entry::new(Operation::PollAdd { fd, events, multishot: false })
}

/// The same each time that something happens, with `MORE`: as edge-triggered `epoll`.
pub const fn poll_add_multi(fd: RawFd, events: PollEvents) -> Entry {
    Entry::new(Operation::PollAdd { fd, events, multishot: true })
}

/// Removes the poll of this user data: 0, or `ENOENT`.
pub const fn poll_remove(user_data: u64) -> Entry {
    Entry::new(Operation::PollRemove { target: user_data })
}

/// Cancels operations that wait: they complete with `ECANCELED`, or with the count of what they had done before.
///
/// Gives 0, or `ENOENT` where there is none; for [`all`](CancelBuilder::all) and [`any`](CancelBuilder::any) how many
/// there were. What is linked behind another operation or held up by a drain has not begun, and is not found.
pub const fn async_cancel(which: CancelBuilder) -> Entry {
    Entry::new(Operation::AsyncCancel(which))
}
