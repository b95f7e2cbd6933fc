//! A listener whose accept queue is full, towards clients of the kernel: ours and the kernel's own must do the same.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};
use tunstack::bsd::Sockets;
use tunstack::bsd::abi::{AF_INET, MsgFlags, SOCK_STREAM};

use crate::host::{LONG, ip, ready, start, tcp_ext, until};

/// Connections wait in a queue of this and one more.
const BACKLOG: i32 = 2;
const ROOM: usize = 3;

/// A server that listens with that backlog.
trait Server {
    /// The connection that has waited longest and its client. The server greets it and closes.
    fn accept_and_greet(&self) -> SocketAddr;

    /// How often the full queue has turned somebody away.
    fn overflows(&self) -> u64;
}

struct Ours(Sockets, RawFd);

impl Server for Ours {
    fn accept_and_greet(&self) -> SocketAddr {
        let (fd, peer) = self.0.accept(self.1).unwrap();
        assert_eq!(self.0.send(fd, b"welcome", MsgFlags::empty()), Ok(7));
        self.0.close(fd).unwrap();
        peer
    }

    fn overflows(&self) -> u64 {
        self.0.engine().counters().tcp_listen_overflows
    }
}

struct Kernels(TcpListener);

impl Server for Kernels {
    fn accept_and_greet(&self) -> SocketAddr {
        let (mut stream, peer) = self.0.accept().unwrap();
        stream.write_all(b"welcome").unwrap();
        peer
    }

    fn overflows(&self) -> u64 {
        tcp_ext("ListenOverflows")
    }
}

/// A client of the kernel's that does not wait.
struct Client(OwnedFd);

impl Client {
    fn begin(to: SocketAddr) -> Self {
        let fd = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
        assert_eq!(connect(&fd, &to), Err(Errno::INPROGRESS));
        Self(fd)
    }

    fn is_connected(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::OUT)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
        assert!(!fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP), "a client was refused");
        fds[0].revents().contains(PollFlags::OUT)
    }

    fn into_stream(self) -> TcpStream {
        let stream = TcpStream::from(self.0);
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }
}

fn one_after_the_other(server: &impl Server, to: SocketAddr) {
    let mut clients = Vec::new();
    for n in 0..ROOM {
        let client = Client::begin(to);
        until("a connection for which there is room", || client.is_connected());
        clients.push(client);
        assert_eq!(server.overflows(), 0, "client {n}");
    }
    let turned_away = Client::begin(to);
    until("a SYN that finds the queue full", || server.overflows() > 0);
    assert!(!turned_away.is_connected(), "no more than the queue holds");
    clients.push(turned_away);

    let mut accepted = vec![server.accept_and_greet()];
    // Its SYN comes again, and there is room.
    until("the connection that was turned away", || clients[ROOM].is_connected());
    accepted.extend((0..ROOM).map(|_| server.accept_and_greet()));
    for (client, accepted) in clients.into_iter().zip(accepted) {
        let mut stream = client.into_stream();
        assert_eq!(stream.local_addr().unwrap(), accepted, "first in, first out");
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, "welcome");
    }
}

/// Handshakes that begin while there is room and end when there is none: some clients believe they are connected, and none is
/// handed out before it is. (Linux forgets requests early when there are many beside a small backlog, so that such a client
/// of its own may wait in vain: there is no control by the kernel here.)
fn all_at_once(server: &impl Server, to: SocketAddr) {
    const CLIENTS: usize = 12;
    let clients: Vec<_> = (0..CLIENTS).map(|_| Client::begin(to)).collect();
    let greeted: Vec<_> = (0..CLIENTS).map(|_| server.accept_and_greet()).collect();
    let mut names = Vec::new();
    for client in clients {
        let mut stream = client.into_stream();
        names.push(stream.local_addr().unwrap());
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, "welcome");
    }
    let sorted = |mut names: Vec<SocketAddr>| {
        names.sort();
        names
    };
    assert_eq!(sorted(greeted), sorted(names), "each is handed out once");
}

fn ours() -> (Ours, SocketAddr) {
    let sys = Sockets::new(&start());
    let to = SocketAddr::new(ip("10.7.0.2"), 7);
    let fd = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    sys.bind(fd, &to).unwrap();
    sys.listen(fd, BACKLOG).unwrap();
    (Ours(sys, fd), to)
}

fn kernels() -> (Kernels, SocketAddr) {
    ready();
    let to = SocketAddr::new(ip("127.0.0.1"), 7);
    let fd = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::empty(), None).unwrap();
    bind(&fd, &to).unwrap();
    listen(&fd, BACKLOG).unwrap();
    (Kernels(TcpListener::from(fd)), to)
}

pub(crate) fn full_queue() {
    let (server, to) = ours();
    one_after_the_other(&server, to);
}

pub(crate) fn full_queue_of_the_kernel() {
    let (server, to) = kernels();
    one_after_the_other(&server, to);
}

pub(crate) fn burst() {
    let (server, to) = ours();
    all_at_once(&server, to);
}
