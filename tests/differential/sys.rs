//! The calls of the BSD family, with integer descriptors: what the kernel and our stack both do.

use std::net::SocketAddr;

pub(crate) use rustix::io::Errno;

/// A descriptor.
pub(crate) type Fd = i32;

/// What a call gives, or the number for why not.
pub(crate) type Res<T> = Result<T, Errno>;

/// What `recvmsg` gives.
#[derive(Debug)]
pub(crate) struct Received {
    /// Octets put into the buffers, or the true length where that was asked for.
    pub(crate) n: usize,
    pub(crate) from: Option<SocketAddr>,
    /// `msg_flags`.
    pub(crate) flags: i32,
}

/// What `recvmsg` gives of datagrams that may have come joined.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) n: usize,
    /// `msg_flags`.
    pub(crate) flags: i32,
    /// The control message `UDP_GRO`.
    pub(crate) segment_size: Option<i32>,
}

/// One implementation of sockets. Each method is the call of its name; numbers are those of Linux's ABI.
pub(crate) trait Sys: Send + Sync {
    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Res<Fd>;
    fn bind(&self, fd: Fd, addr: &SocketAddr) -> Res<()>;
    fn listen(&self, fd: Fd, backlog: i32) -> Res<()>;
    fn accept4(&self, fd: Fd, flags: i32) -> Res<(Fd, SocketAddr)>;
    fn connect(&self, fd: Fd, addr: &SocketAddr) -> Res<()>;
    /// `connect` to an address of the family `AF_UNSPEC`.
    fn disconnect(&self, fd: Fd) -> Res<()>;
    fn getsockname(&self, fd: Fd) -> Res<SocketAddr>;
    fn getpeername(&self, fd: Fd) -> Res<SocketAddr>;
    fn send(&self, fd: Fd, data: &[u8], flags: i32) -> Res<usize>;
    fn recv(&self, fd: Fd, buf: &mut [u8], flags: i32) -> Res<usize>;
    fn sendto(&self, fd: Fd, data: &[u8], flags: i32, to: &SocketAddr) -> Res<usize>;
    fn recvfrom(&self, fd: Fd, buf: &mut [u8], flags: i32) -> Res<(usize, Option<SocketAddr>)>;
    fn sendmsg(&self, fd: Fd, parts: &[&[u8]], flags: i32, to: Option<&SocketAddr>) -> Res<usize>;
    fn recvmsg(&self, fd: Fd, parts: &mut [&mut [u8]], flags: i32) -> Res<Received>;
    /// `sendmsg` with the control message `UDP_SEGMENT`.
    fn send_cut(&self, fd: Fd, data: &[u8], size: u16) -> Res<usize>;
    /// `recvmsg` with room for a control message.
    fn receive_sized(&self, fd: Fd, buf: &mut [u8], flags: i32) -> Res<Joined>;
    /// Gives each `msg_len`.
    fn sendmmsg(&self, fd: Fd, texts: &[&[u8]], flags: i32) -> Res<Vec<usize>>;
    /// Gives each `msg_len` and `msg_flags`.
    fn recvmmsg(&self, fd: Fd, rooms: &mut [[u8; 2]], flags: i32) -> Res<Vec<(usize, i32)>>;
    fn read(&self, fd: Fd, buf: &mut [u8]) -> Res<usize>;
    fn write(&self, fd: Fd, data: &[u8]) -> Res<usize>;
    fn readv(&self, fd: Fd, parts: &mut [&mut [u8]]) -> Res<usize>;
    fn writev(&self, fd: Fd, parts: &[&[u8]]) -> Res<usize>;
    fn shutdown(&self, fd: Fd, how: i32) -> Res<()>;
    fn close(&self, fd: Fd) -> Res<()>;
    fn dup(&self, fd: Fd) -> Res<Fd>;
    fn fcntl(&self, fd: Fd, command: i32, argument: i32) -> Res<i32>;
    /// An `ioctl` that gives a number.
    fn ioctl(&self, fd: Fd, request: u64) -> Res<i32>;
    fn setsockopt(&self, fd: Fd, level: i32, name: i32, value: &[u8]) -> Res<()>;
    /// Gives the length that came back.
    fn getsockopt(&self, fd: Fd, level: i32, name: i32, value: &mut [u8]) -> Res<usize>;
    /// `poll` of one descriptor: its `revents`.
    fn poll(&self, fd: Fd, events: i16, timeout_ms: i32) -> Res<i16>;
}

/// The names of the numbers that a row may give.
const NAMES: [(Errno, &str); 38] = [
    (Errno::ACCESS, "EACCES"),
    (Errno::ADDRINUSE, "EADDRINUSE"),
    (Errno::ADDRNOTAVAIL, "EADDRNOTAVAIL"),
    (Errno::AFNOSUPPORT, "EAFNOSUPPORT"),
    (Errno::AGAIN, "EAGAIN"),
    (Errno::ALREADY, "EALREADY"),
    (Errno::BADF, "EBADF"),
    (Errno::CONNABORTED, "ECONNABORTED"),
    (Errno::CONNREFUSED, "ECONNREFUSED"),
    (Errno::CONNRESET, "ECONNRESET"),
    (Errno::DESTADDRREQ, "EDESTADDRREQ"),
    (Errno::DOM, "EDOM"),
    (Errno::FAULT, "EFAULT"),
    (Errno::HOSTUNREACH, "EHOSTUNREACH"),
    (Errno::INPROGRESS, "EINPROGRESS"),
    (Errno::INTR, "EINTR"),
    (Errno::INVAL, "EINVAL"),
    (Errno::ISCONN, "EISCONN"),
    (Errno::MFILE, "EMFILE"),
    (Errno::MSGSIZE, "EMSGSIZE"),
    (Errno::NETUNREACH, "ENETUNREACH"),
    (Errno::NOBUFS, "ENOBUFS"),
    (Errno::NODEV, "ENODEV"),
    (Errno::NOENT, "ENOENT"),
    (Errno::NOPROTOOPT, "ENOPROTOOPT"),
    (Errno::NOSYS, "ENOSYS"),
    (Errno::NOTCONN, "ENOTCONN"),
    (Errno::NOTSOCK, "ENOTSOCK"),
    (Errno::NOTTY, "ENOTTY"),
    (Errno::NXIO, "ENXIO"),
    (Errno::OPNOTSUPP, "EOPNOTSUPP"),
    (Errno::PERM, "EPERM"),
    (Errno::PIPE, "EPIPE"),
    (Errno::PROTO, "EPROTO"),
    (Errno::PROTONOSUPPORT, "EPROTONOSUPPORT"),
    (Errno::PROTOTYPE, "EPROTOTYPE"),
    (Errno::SOCKTNOSUPPORT, "ESOCKTNOSUPPORT"),
    (Errno::TIMEDOUT, "ETIMEDOUT"),
];

/// An error as a row shows it.
pub(crate) fn name(error: Errno) -> String {
    let known = NAMES.iter().find(|(e, _)| *e == error);
    known.map_or_else(|| format!("errno {}", error.raw_os_error()), |(_, name)| (*name).to_owned())
}

/// What `poll` is asked for everywhere.
pub(crate) const EVENTS: i16 = libc::POLLIN | libc::POLLOUT | libc::POLLPRI | libc::POLLRDHUP;

/// Readiness as a row shows it.
pub(crate) fn bits(revents: i16) -> String {
    const BITS: [(i16, &str); 7] = [
        (libc::POLLIN, "IN"),
        (libc::POLLPRI, "PRI"),
        (libc::POLLOUT, "OUT"),
        (libc::POLLRDHUP, "RDHUP"),
        (libc::POLLHUP, "HUP"),
        (libc::POLLERR, "ERR"),
        (libc::POLLNVAL, "NVAL"),
    ];
    let names: Vec<&str> = BITS.iter().filter(|(bit, _)| revents & bit != 0).map(|(_, name)| *name).collect();
    if names.is_empty() { "-".to_owned() } else { names.join("|") }
}
