//! The system calls of a script, made to our sockets or to others of the same family.
//!
//! A call goes three steps, so that one that waits can be made on a thread of its own while the script goes on:
//! [`Calls::prepare`] evaluates its arguments, [`Prepared::run`] makes it, [`Calls::check`] compares what came with what
//! the script says. What a packet means may depend on a call: [`Prepared::before`] and `check` give [`Effect`]s for that.
//!
//! Payload is zeros, and what is received is not compared.
//!
//! # What is not there
//!
//! [`CallError::Unsupported`] names it: `open`, `pipe`, `splice`, `sendfile`, `cap_set`, PSP; control messages to be sent;
//! options, flags and kinds of sockets that the stack refuses while the script expects that it takes them.

mod descriptors;

mod failure;

mod value;

mod address;

mod result;

mod system;

mod open;

mod transfer;

mod message;

mod tcp_info;

mod option_value;

mod options;

mod control;

mod poll;

mod epoll;

mod record;

mod effect;

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::RawFd;

use super::net::Net;
use super::outcome::Failure;
use super::script::Syscall;
use super::symbols;
use crate::bsd::abi::{AF_INET, AF_INET6};
use crate::bsd::{EpollEvent, Errno, PollFd, ReceivedMessage};
use descriptors::Descriptors;
use failure::{of_script, plain};
pub use record::Recorded;
pub use system::SystemCalls;
use value::Args;

/// What `...` stands for. Addresses are of the domain: over IPv4 an IPv6 socket has a mapped one.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    domain: i32,
    bind: SocketAddr,
    connect: SocketAddr,
}

/// Why a call is not as the script says.
#[derive(Clone, PartialEq, Debug)]
pub enum CallError {
    /// The script is wrong, or the stack is.
    Failure(Box<Failure>),
    /// The script needs what we do not have: what that is.
    Unsupported(String),
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        Self::Failure(Box::new(failure))
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => failure.fmt(f),
            Self::Unsupported(what) => write!(f, "{what} is not supported"),
        }
    }
}

type Result<T> = std::result::Result<T, CallError>;

/// What a call has to do with the connections of a script. Descriptors are the script's numbers; addresses are
/// those of packets, so that none is a mapped one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// A new socket.
    Opened {
        /// Its number.
        fd: i32,
        /// `AF_…`.
        domain: i32,
        /// `SOCK_…`, without flags.
        kind: i32,
        /// `IPPROTO_…`, or 0.
        protocol: i32,
    },
    /// It has a local address.
    Bound {
        /// Its number.
        fd: i32,
        /// The address, as the stack says it.
        to: SocketAddr,
    },
    /// It listens.
    Listening {
        /// Its number.
        fd: i32,
    },
    /// It is about to be connected, or to send to an address.
    Connecting {
        /// Its number.
        fd: i32,
        /// Where to, where the script says it.
        to: Option<SocketAddr>,
    },
    /// It was connected to `AF_UNSPEC`.
    Disconnected {
        /// Its number.
        fd: i32,
    },
    /// A listener gave it.
    Accepted {
        /// Its number.
        fd: i32,
        /// The other end.
        peer: SocketAddr,
    },
    /// Its number means nothing any more.
    Closed {
        /// Its number.
        fd: i32,
    },
}

type Run = Box<dyn FnOnce(&dyn SystemCalls) -> Done + Send>;

/// A call whose arguments are known. It can be made on any thread.
pub struct Prepared {
    before: Vec<Effect>,
    run: Run,
}

impl Prepared {
    fn new(run: impl FnOnce(&dyn SystemCalls) -> Done + Send + 'static) -> Self {
        Self { before: Vec::new(), run: Box::new(run) }
    }

    fn after(self, effect: Effect) -> Self {
        Self { before: vec![effect], ..self }
    }

    /// What has to be known before the first packet that the call sends.
    pub fn before(&self) -> &[Effect] {
        &self.before
    }

    /// Makes the call.
    pub fn run(self, sockets: &dyn SystemCalls) -> Done {
        (self.run)(sockets)
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("before", &self.before).finish_non_exhaustive()
    }
}

/// What a call gave.
#[derive(Debug)]
pub struct Done {
    result: std::result::Result<i64, Errno>,
    out: Out,
}

/// What a call gave beside its result.
#[derive(Debug)]
enum Out {
    Nothing,
    /// A socket's address, or a peer's.
    Name(Option<SocketAddr>),
    Message(ReceivedMessage),
    /// An option's.
    Octets(Vec<u8>),
    /// A request's.
    Number(i32),
    Polled(Vec<PollFd>),
    Events(Vec<EpollEvent>),
}

impl Done {
    fn number<T: TryInto<i64>>(result: std::result::Result<T, Errno>) -> Self {
        Self::with(result, Out::Nothing)
    }

    fn with<T: TryInto<i64>>(result: std::result::Result<T, Errno>, out: Out) -> Self {
        // No count of octets or events is larger.
        Self { result: result.map(|number| number.try_into().unwrap_or(i64::MAX)), out }
    }

    fn nothing(result: std::result::Result<(), Errno>) -> Self {
        Self::number(result.map(|()| 0))
    }

    fn failed(errno: Errno) -> Self {
        Self { result: Err(errno), out: Out::Nothing }
    }
}

/// What a call's result is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gives {
    /// A number, which is compared.
    Number,
    /// A new descriptor, for which the script's number stands from then on.
    Descriptor,
}

/// A call that there is.
struct Row {
    name: &'static str,
    gives: Gives,
    prepare: fn(&Calls, &Args<'_>) -> Result<Prepared>,
    check: fn(&mut Calls, &Args<'_>, &Done) -> Result<Vec<Effect>>,
}

fn no_more(_: &mut Calls, _: &Args<'_>, _: &Done) -> Result<Vec<Effect>> {
    Ok(Vec::new())
}

const fn row(
    name: &'static str,
    gives: Gives,
    prepare: fn(&Calls, &Args<'_>) -> Result<Prepared>,
    check: fn(&mut Calls, &Args<'_>, &Done) -> Result<Vec<Effect>>,
) -> Row {
    Row { name, gives, prepare, check }
}

const ROWS: &[Row] = &[
    row("socket", Gives::Descriptor, open::socket, open::opened),
    row("bind", Gives::Number, open::bind, open::bound),
    row("listen", Gives::Number, open::listen, open::listening),
    row("accept", Gives::Descriptor, open::accept, open::accepted),
    row("accept4", Gives::Descriptor, open::accept, open::accepted),
    row("connect", Gives::Number, open::connect, no_more),
    row("close", Gives::Number, open::close, open::closed),
    row("shutdown", Gives::Number, open::shutdown, no_more),
    row("getsockname", Gives::Number, open::getsockname, open::named),
    row("getpeername", Gives::Number, open::getpeername, open::named),
    row("read", Gives::Number, transfer::read, no_more),
    row("readv", Gives::Number, transfer::readv, no_more),
    row("recv", Gives::Number, transfer::recv, no_more),
    row("recvfrom", Gives::Number, transfer::recvfrom, transfer::received_from),
    row("recvmsg", Gives::Number, message::recvmsg, message::received),
    row("write", Gives::Number, transfer::write, no_more),
    row("writev", Gives::Number, transfer::writev, no_more),
    row("send", Gives::Number, transfer::send, no_more),
    row("sendto", Gives::Number, transfer::sendto, no_more),
    row("sendmsg", Gives::Number, message::sendmsg, no_more),
    row("getsockopt", Gives::Number, options::getsockopt, options::got),
    row("setsockopt", Gives::Number, options::setsockopt, no_more),
    row("fcntl", Gives::Number, control::fcntl, no_more),
    row("ioctl", Gives::Number, control::ioctl, control::answered),
    row("dup", Gives::Descriptor, control::dup, no_more),
    row("dup2", Gives::Descriptor, control::dup2, control::duplicated),
    row("poll", Gives::Number, poll::poll, poll::polled),
    row("epoll_create", Gives::Descriptor, epoll::create, no_more),
    row("epoll_create1", Gives::Descriptor, epoll::create1, no_more),
    row("epoll_ctl", Gives::Number, epoll::ctl, no_more),
    row("epoll_wait", Gives::Number, epoll::wait, epoll::found),
];

/// What the language has and we do not.
const UNSUPPORTED: [&str; 8] =
    ["open", "pipe", "splice", "sendfile", "cap_set", "psp_rx_assoc", "psp_tx_assoc", "select"];

fn find(call: &Syscall) -> Result<&'static Row> {
    if let Some(row) = ROWS.iter().find(|row| row.name == call.name) {
        return Ok(row);
    }
    if UNSUPPORTED.contains(&call.name.as_str()) {
        return Err(CallError::Unsupported(format!("{}()", call.name)));
    }
    let hint = symbols::nearest(&call.name, ROWS.iter().map(|row| row.name));
    let hint = hint.map_or(String::new(), |near| format!(": is `{near}` meant?"));
    Err(of_script(call.span, format!("unknown system call `{}`{hint}", call.name)))
}

/// The descriptors that a script has open, by the numbers it writes.
#[derive(Debug)]
pub struct Calls {
    addresses: Addresses,
    descriptors: Descriptors,
}

impl Calls {
    /// With none open. In this network `...` is an address.
    pub fn new(net: &Net) -> Self {
        let domain = if net.has_v6_sockets() { AF_INET6 } else { AF_INET };
        let addresses = Addresses { domain, bind: net.bind_address(), connect: net.connect_address() };
        Self { addresses, descriptors: Descriptors::default() }
    }

    /// The live descriptor that the script's number stands for.
    pub fn live(&self, fd: i32) -> Option<RawFd> {
        self.descriptors.live(fd)
    }

    /// Evaluates a call's arguments.
    ///
    /// # Errors
    ///
    /// An argument is not of the call, a name is unknown, or the script has no such descriptor open.
    pub fn prepare(&mut self, call: &Syscall) -> Result<Prepared> {
        let row = find(call)?;
        // What could not be compared is said before anything happens.
        result::Expected::of(call)?;
        (row.prepare)(self, &Args { call })
    }

    /// Compares what `call` gave with what the script says, and learns what a new descriptor is called.
    ///
    /// # Errors
    ///
    /// The first thing that differs. A descriptor that the script does not expect is given back by
    /// [`finish`](Self::finish) all the same.
    pub fn check(&mut self, call: &Syscall, done: Done) -> Result<Vec<Effect>> {
        let row = find(call)?;
        let expected = result::Expected::of(call)?;
        let args = Args { call };
        let made = row.gives == Gives::Descriptor || control::duplicates(&args);
        let judged = match (made, &done.result) {
            (true, Ok(live)) => {
                let live = *live as RawFd;
                let named = expected.as_descriptor();
                let known = self.learn(call, named, live);
                if named.is_some() && !known {
                    let what = format!("{}: the script has that descriptor open already", call.name);
                    return Err(of_script(call.result.span, what));
                }
                if named.is_some() || expected.is_any() {
                    Ok(())
                } else {
                    Err(expected.differs(call, "a new descriptor".to_owned()))
                }
            }
            _ => expected.compare(call, &done.result),
        };
        if let Err(error) = judged {
            return Err(options::refused(&args, &done.result, error));
        }
        (row.check)(self, &args, &done)
    }

    /// What `call` gave is `named` from now on; says whether it could be. As in packetdrill a script may give the number of
    /// a socket to one that it accepts: the first stays open then, without a number.
    fn learn(&mut self, call: &Syscall, named: Option<i32>, live: RawFd) -> bool {
        if let (Some(fd), "accept" | "accept4") = (named, call.name.as_str()) {
            self.descriptors.unname(fd);
        }
        self.descriptors.learn(named, live)
    }

    /// Closes all that the script left open, in the order of its numbers.
    pub fn finish(&mut self, sockets: &dyn SystemCalls) {
        for live in self.descriptors.take() {
            // Whatever is wrong with one, the others are closed too.
            sockets.close(live).ok();
        }
    }

    /// All fields of `TCP_INFO` of the script's descriptor, by their names in `linux/tcp.h`; those that our structure
    /// is too short for are 0, as they are on a kernel that does not have them.
    ///
    /// # Errors
    ///
    /// One line: there is no such descriptor, or it is not a TCP socket.
    pub fn tcp_info(
        &self,
        sockets: &dyn SystemCalls,
        fd: i32,
    ) -> std::result::Result<Vec<(&'static str, u64)>, String> {
        let live = self.live(fd).ok_or_else(|| format!("the script has no descriptor {fd} open"))?;
        tcp_info::of(sockets, live).map_err(|errno| format!("TCP_INFO of descriptor {fd}: {}", plain(errno)))
    }
}

#[cfg(test)]
mod tests;
