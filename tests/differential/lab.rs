//! What the rows are made with: sockets that are closed when the row is done, waiting with an end, and words for
//! what a call gave.

use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use libc::{AF_INET, AF_INET6, POLLHUP, POLLIN, POLLOUT, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM};

use super::sys::{EVENTS, Errno, Fd, Res, Sys, bits, name};

/// Nothing that a row waits for takes longer, milliseconds.
const LONG: i32 = 2000;

/// How long sockets are watched before they are said to have settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settle {
    /// Looks that have to be alike.
    pub(crate) looks: u32,
    /// Time between two of them.
    pub(crate) apart: Duration,
}

impl Settle {
    /// Enough for what happens in the call itself.
    pub(crate) const SHORT: Self = Self { looks: 3, apart: Duration::from_micros(300) };
    /// Enough for a delayed acknowledgment and for a busy machine.
    pub(crate) const LONG: Self = Self { looks: 8, apart: Duration::from_millis(10) };
}

/// An IP family, as a socket has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    V4,
    V6,
    /// An IPv6 socket that speaks IPv4.
    Mapped,
}

impl Family {
    pub(crate) const fn domain(self) -> i32 {
        match self {
            Self::V4 => AF_INET,
            Self::V6 | Self::Mapped => AF_INET6,
        }
    }

    /// The loopback address, without a port.
    pub(crate) fn loopback(self) -> SocketAddr {
        let ip: IpAddr = match self {
            Self::V4 => Ipv4Addr::LOCALHOST.into(),
            Self::V6 => Ipv6Addr::LOCALHOST.into(),
            Self::Mapped => Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
        };
        SocketAddr::new(ip, 0)
    }

    /// An address where nobody is: what is sent there is heard by nobody and answered by nobody.
    pub(crate) fn silent(self) -> SocketAddr {
        let v4 = Ipv4Addr::new(10, 7, 0, 9);
        let ip: IpAddr = match self {
            Self::V4 => v4.into(),
            Self::V6 => Ipv6Addr::new(0xfd07, 0, 0, 0, 0, 0, 0, 9).into(),
            Self::Mapped => v4.to_ipv6_mapped().into(),
        };
        SocketAddr::new(ip, 9)
    }
}

/// A row's sockets. All that it opened is closed with it.
pub(crate) struct Lab {
    sys: Arc<dyn Sys>,
    settle: Settle,
    open: RefCell<Vec<Fd>>,
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab").field("settle", &self.settle).field("open", &self.open).finish_non_exhaustive()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for fd in self.open.take() {
            if let Err(error) = self.sys.close(fd) {
                eprintln!("close of {fd}: {}", name(error));
            }
        }
    }
}

impl Lab {
    pub(crate) const fn new(sys: Arc<dyn Sys>, settle: Settle) -> Self {
        Self { sys, settle, open: RefCell::new(Vec::new()) }
    }

    /// The calls that neither open nor close a descriptor.
    pub(crate) fn sys(&self) -> &dyn Sys {
        &*self.sys
    }

    fn keep(&self, fd: Fd) -> Fd {
        self.open.borrow_mut().push(fd);
        fd
    }

    pub(crate) fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Res<Fd> {
        self.sys.socket(domain, kind, protocol).map(|fd| self.keep(fd))
    }

    pub(crate) fn accept4(&self, fd: Fd, flags: i32) -> Res<(Fd, SocketAddr)> {
        self.sys.accept4(fd, flags).map(|(fd, peer)| (self.keep(fd), peer))
    }

    pub(crate) fn dup(&self, fd: Fd) -> Res<Fd> {
        self.sys.dup(fd).map(|fd| self.keep(fd))
    }

    /// Closes a descriptor of this row; others are handed to the call as they are, which must refuse them.
    pub(crate) fn close(&self, fd: Fd) -> Res<()> {
        let mut open = self.open.borrow_mut();
        let Some(at) = open.iter().position(|&other| other == fd) else {
            assert!(self.sys.poll(fd, 0, 0).is_err() || fd < 0 || self.nval(fd), "{fd} is not ours to close");
            return self.sys.close(fd);
        };
        open.swap_remove(at);
        self.sys.close(fd)
    }

    fn nval(&self, fd: Fd) -> bool {
        self.sys.poll(fd, 0, 0) == Ok(libc::POLLNVAL)
    }

    /// A TCP socket whose calls do not wait.
    pub(crate) fn tcp(&self, family: Family) -> Fd {
        self.socket(family.domain(), SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap()
    }

    /// A UDP socket whose calls do not wait.
    pub(crate) fn udp(&self, family: Family) -> Fd {
        self.socket(family.domain(), SOCK_DGRAM | SOCK_NONBLOCK, 0).unwrap()
    }

    /// A socket bound to the loopback and where it is.
    pub(crate) fn bound(&self, fd: Fd, family: Family) -> SocketAddr {
        self.sys.bind(fd, &family.loopback()).unwrap();
        self.sys.getsockname(fd).unwrap()
    }

    pub(crate) fn listener(&self, family: Family, backlog: i32) -> (Fd, SocketAddr) {
        let fd = self.tcp(family);
        let addr = self.bound(fd, family);
        self.sys.listen(fd, backlog).unwrap();
        (fd, addr)
    }

    /// An address of the loopback where no TCP socket listens and no UDP socket is bound.
    pub(crate) fn nobody(&self, family: Family) -> SocketAddr {
        let (tcp, udp) = (self.tcp(family), self.udp(family));
        let addr = self.bound(tcp, family);
        self.sys.bind(udp, &addr).unwrap();
        self.close(tcp).unwrap();
        self.close(udp).unwrap();
        addr
    }

    /// A connection: our end, which connected, and the other, which was accepted.
    pub(crate) fn pair(&self, family: Family) -> (Fd, Fd) {
        let (listener, addr) = self.listener(family, 8);
        let pair = self.join(listener, addr, self.tcp(family));
        self.close(listener).unwrap();
        pair
    }

    /// Connects `fd` to a listener, and accepts.
    pub(crate) fn join(&self, listener: Fd, addr: SocketAddr, fd: Fd) -> (Fd, Fd) {
        self.begin(fd, addr);
        self.until(fd, POLLOUT);
        self.until(listener, POLLIN);
        let (peer, _) = self.accept4(listener, SOCK_NONBLOCK).unwrap();
        (fd, peer)
    }

    /// Begins to connect.
    pub(crate) fn begin(&self, fd: Fd, addr: SocketAddr) {
        match self.sys.connect(fd, &addr) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => panic!("connect: {}", name(error)),
        }
    }

    /// Waits for one of these bits.
    pub(crate) fn until(&self, fd: Fd, events: i16) {
        let got = self.sys.poll(fd, events, LONG).unwrap();
        assert!(got & events != 0, "waited in vain for {}: {}", bits(events), self.look(fd));
    }

    /// Waits until something holds.
    pub(crate) fn until_so(&self, what: &str, mut so: impl FnMut() -> bool) {
        for _ in 0..LONG {
            if so() {
                return;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        panic!("waited in vain: {what}");
    }

    /// Waits until so many octets may be read.
    pub(crate) fn until_unread(&self, fd: Fd, n: i32) {
        self.until_so("octets to read", || self.sys.ioctl(fd, libc::FIONREAD) == Ok(n));
    }

    pub(crate) fn send_all(&self, fd: Fd, data: &[u8]) {
        assert_eq!(self.sys.send(fd, data, 0), Ok(data.len()));
    }

    pub(crate) fn set(&self, fd: Fd, level: i32, option: i32, value: i32) {
        self.sys.setsockopt(fd, level, option, &value.to_ne_bytes()).unwrap();
    }

    /// Closing it will reset the connection.
    pub(crate) fn linger(&self, fd: Fd, on: i32, seconds: i32) -> Res<()> {
        let value = [on.to_ne_bytes(), seconds.to_ne_bytes()].concat();
        self.sys.setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, &value)
    }

    /// The peer resets the connection.
    pub(crate) fn reset(&self, peer: Fd) {
        self.linger(peer, 1, 0).unwrap();
        self.close(peer).unwrap();
    }

    /// Waits until the connection of `fd` is gone.
    pub(crate) fn until_gone(&self, fd: Fd) {
        self.until(fd, POLLHUP);
    }

    /// Sends until nothing more is taken, and does not begin to be taken again.
    pub(crate) fn fill(&self, fd: Fd) {
        let data = [b'x'; 65536];
        let mut refused = 0;
        for _ in 0..10_000 {
            match self.sys.send(fd, &data, 0) {
                Ok(_) => refused = 0,
                Err(Errno::AGAIN) if refused == 3 => return,
                Err(Errno::AGAIN) => {
                    refused += 1;
                    thread::park_timeout(Duration::from_millis(2));
                }
                Err(error) => panic!("send: {}", name(error)),
            }
        }
        panic!("the send buffer is never full");
    }

    /// The readiness now.
    pub(crate) fn look(&self, fd: Fd) -> String {
        self.sys.poll(fd, EVENTS, 0).map_or_else(name, bits)
    }

    /// The readiness of each when none changes any more.
    pub(crate) fn settled(&self, fds: &[Fd]) -> Vec<String> {
        let looks = || fds.iter().map(|&fd| self.look(fd)).collect::<Vec<_>>();
        let mut last = looks();
        let mut alike = 1;
        for _ in 0..200 {
            if alike >= self.settle.looks {
                return last;
            }
            thread::park_timeout(self.settle.apart);
            let next = looks();
            alike = if next == last { alike + 1 } else { 1 };
            last = next;
        }
        panic!("never settled: {last:?}");
    }

    /// An option whose value is a number.
    pub(crate) fn get(&self, fd: Fd, level: i32, option: i32) -> Res<i32> {
        let mut value = [0; 4];
        match self.sys.getsockopt(fd, level, option, &mut value)? {
            4 => Ok(i32::from_ne_bytes(value)),
            1 => Ok(i32::from(value[0])),
            n => panic!("an option of {n} octets"),
        }
    }

    /// `SO_ERROR`, which is taken.
    pub(crate) fn error(&self, fd: Fd) -> String {
        match self.get(fd, libc::SOL_SOCKET, libc::SO_ERROR) {
            Ok(0) => "0".to_owned(),
            Ok(n) => name(Errno::from_raw_os_error(n)),
            Err(error) => format!("({})", name(error)),
        }
    }
}

/// What a call without a value gave.
pub(crate) fn done(result: Res<()>) -> String {
    result.map_or_else(name, |()| "ok".to_owned())
}

/// What a call that counts gave.
pub(crate) fn number(result: Res<impl fmt::Display>) -> String {
    result.map_or_else(name, |n| n.to_string())
}

/// What a call that reads gave: how many octets, and the first of them.
pub(crate) fn text(result: Res<usize>, buf: &[u8]) -> String {
    result.map_or_else(name, |n| format!("{n} \"{}\"", buf[..n.min(buf.len()).min(12)].escape_ascii()))
}

/// An address, without the number of its port, which is another each time.
pub(crate) fn place(addr: SocketAddr) -> String {
    let port = if addr.port() == 0 { "0" } else { "port" };
    match addr.ip() {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => format!("[{ip}]:{port}"),
    }
}

/// What a call that gives an address gave.
pub(crate) fn placed(result: Res<SocketAddr>) -> String {
    result.map_or_else(name, place)
}
