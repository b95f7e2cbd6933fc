//! The calls of the BSD family, as Linux has them: descriptors, flags, errno.
//!
//! ```no_run
//! # use tunstack::{bsd::{Sockets, abi::*}, engine::Engine};
//! # fn one(engine: Engine) -> Result<(), tunstack::bsd::Errno> {
//! let sys = Sockets::new(&engine);
//! let listener = sys.socket(AF_INET, SOCK_STREAM, 0)?;
//! sys.bind(listener, &"10.7.0.2:7".parse().unwrap())?;
//! sys.listen(listener, 128)?;
//! let (connection, _peer) = sys.accept(listener)?;
//! let mut buf = [0; 4096];
//! while let n @ 1.. = sys.read(connection, &mut buf)? {
//!     sys.write(connection, &buf[..n])?;
//! }
//! sys.close(connection)
//! # }
//! ```
//!
//! # Descriptors are real
//!
//! Each number is a descriptor of the kernel, the lowest that is free, whose *readiness* is steered to be that of our
//! socket. So the kernel's own `select`, `poll` and `epoll` wait for it beside pipes, timers and standard
//! input, and whatever is built on them (an event loop, tokio's `AsyncFd`) takes it. Only readiness goes this way:
//! data goes through the calls of
//! [`Sockets`], and a number is given back by [`Sockets::close`], not by the kernel's `close`.
//! A socket takes two more descriptors of the process, with high numbers: a program with thousands of sockets raises
//! `RLIMIT_NOFILE`.
//!
//! Errors are [`Errno`], those that Linux gives.

pub mod abi;

mod sys;

mod hints;

mod shadow;

pub(crate) mod file;

mod address;

mod table;

pub mod wait;

pub(crate) mod open;

mod tcp_info;

mod options;

mod control;

pub(crate) mod transfer;

mod ancillary;

pub(crate) mod message;

mod batch;

mod sendfile;

pub use ancillary::Ancillary;
pub use batch::{MessageIn, MessageOut};
pub use message::ReceivedMessage;
pub use rustix::io::Errno;
pub use table::Sockets;
pub use wait::{EpollEvent, EpollFlags, FD_SETSIZE, FdSet, PollFd, PollFlags};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

/// What a call gives, or Linux's number for why not.
pub type Result<T> = core::result::Result<T, Errno>;
