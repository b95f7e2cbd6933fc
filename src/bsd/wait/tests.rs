//! What the kernel says of a descriptor, what the stack says of its socket, and what Linux says of a socket in that
//! state, through whole lives.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake};
use std::time::Duration;

use tunstack_core::stack::Readiness;

use crate::bsd::abi::{
    AF_INET, EPOLL_CTL_ADD, MsgFlags, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM,
};
use crate::bsd::testing::alone;
use crate::bsd::{EpollEvent, EpollFlags, Errno, FdSet, PollFd, PollFlags, Result, Sockets};
use crate::net::tests::pair;

const NONE: MsgFlags = MsgFlags::empty();

/// The kernel says these bits, and the stack the same.
#[track_caller]
fn shows(sys: &Sockets, fd: RawFd, linux: &str) {
    let all = PollFlags::IN | PollFlags::OUT | PollFlags::PRI | PollFlags::RDHUP;
    let mut fds = [PollFd::new(fd, all)];
    sys.poll(&mut fds, 0).unwrap();
    let names = [
        (PollFlags::IN, Readiness::READABLE, "in"),
        (PollFlags::PRI, Readiness::URGENT, "pri"),
        (PollFlags::OUT, Readiness::WRITABLE, "out"),
        (PollFlags::ERR, Readiness::ERROR, "err"),
        (PollFlags::HUP, Readiness::HANG_UP, "hup"),
        (PollFlags::RDHUP, Readiness::READ_CLOSED, "rdhup"),
    ];
    let stack = sys.file(fd).unwrap().socket.readiness().unwrap();
    let list = |has: &dyn Fn(PollFlags, Readiness) -> bool| {
        let names = names.iter().filter(|(flag, bit, _)| has(*flag, *bit)).map(|(_, _, name)| *name);
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list(&|flag, _| fds[0].revents.contains(flag)), linux, "the kernel");
    assert_eq!(list(&|_, bit| stack.contains(bit)), linux, "the stack");
}

fn socket(sys: &Sockets) -> RawFd {
    sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap()
}

/// A listener, and both ends of a connection through it.
fn connection(sys: &Sockets) -> (RawFd, RawFd, RawFd) {
    let listener = socket(sys);
    sys.bind(listener, &"127.0.0.1:0".parse().unwrap()).unwrap();
    shows(sys, listener, "out hup");
    sys.listen(listener, 8).unwrap();
    shows(sys, listener, "");
    let client = socket(sys);
    shows(sys, client, "out hup");
    let address = sys.getsockname(listener).unwrap();
    assert_eq!(sys.connect(client, &address), Err(Errno::INPROGRESS));
    shows(sys, client, "out");
    shows(sys, listener, "in");
    let (server, _) = sys.accept4(listener, SOCK_NONBLOCK).unwrap();
    shows(sys, listener, "");
    shows(sys, server, "out");
    (listener, client, server)
}

#[test]
fn a_connection_that_ends_in_order() {
    let (sys, _other) = alone();
    let (_, client, server) = connection(&sys);
    sys.send(client, b"data", NONE).unwrap();
    shows(&sys, server, "in out");
    sys.recv(server, &mut [0; 2], NONE).unwrap();
    shows(&sys, server, "in out");
    sys.recv(server, &mut [0; 2], NONE).unwrap();
    shows(&sys, server, "out");
    // Half closed: the reader sees the end, the writer nothing.
    sys.shutdown(client, SHUT_WR).unwrap();
    shows(&sys, server, "in out rdhup");
    shows(&sys, client, "out");
    sys.send(server, b"answer", NONE).unwrap();
    shows(&sys, client, "in out");
    sys.shutdown(server, SHUT_WR).unwrap();
    shows(&sys, server, "in out hup rdhup");
    shows(&sys, client, "in out hup rdhup");
    assert_eq!(sys.recv(client, &mut [0; 9], NONE), Ok(6));
    shows(&sys, client, "in out hup rdhup");
    assert_eq!(sys.recv(client, &mut [0; 9], NONE), Ok(0));
    shows(&sys, client, "in out hup rdhup");
}

#[test]
fn a_reader_that_closes_its_own_side() {
    let (sys, _other) = alone();
    let (_, client, server) = connection(&sys);
    sys.shutdown(server, SHUT_RD).unwrap();
    shows(&sys, server, "in out rdhup");
    shows(&sys, client, "out");
    sys.shutdown(server, SHUT_RDWR).unwrap();
    shows(&sys, server, "in out hup rdhup");
    shows(&sys, client, "in out rdhup");
}

#[test]
fn a_full_buffer_and_room_again() {
    let (sys, _other) = alone();
    let (_, client, server) = connection(&sys);
    let octets = vec![7; 1 << 16];
    let mut sent = 0;
    while let Ok(n) = sys.send(client, &octets, NONE) {
        sent += n;
    }
    shows(&sys, client, "");
    shows(&sys, server, "in out");
    let mut buf = vec![0; 1 << 16];
    while sent > 0 {
        sys.poll(&mut [PollFd::new(server, PollFlags::IN)], -1).unwrap();
        sent -= sys.recv(server, &mut buf, NONE).unwrap();
    }
    sys.poll(&mut [PollFd::new(client, PollFlags::OUT)], -1).unwrap();
    shows(&sys, server, "out");
}

#[test]
fn a_reset() {
    let (sys, _other) = alone();
    let (_, client, server) = connection(&sys);
    sys.send(client, b"unread", NONE).unwrap();
    sys.close(server).unwrap();
    shows(&sys, client, "in out err hup rdhup");
    assert_eq!(sys.recv(client, &mut [0; 9], NONE), Err(Errno::CONNRESET));
    shows(&sys, client, "in out hup rdhup");
    assert_eq!(sys.recv(client, &mut [0; 9], NONE), Ok(0));
    assert_eq!(sys.send(client, b"x", NONE), Err(Errno::PIPE));
    shows(&sys, client, "in out hup rdhup");
}

#[test]
fn a_refused_attempt_and_a_new_life_on_the_same_number() {
    let (sys, _other) = alone();
    let client = socket(&sys);
    let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
    assert_eq!(sys.connect(client, &nobody), Err(Errno::INPROGRESS));
    shows(&sys, client, "in out err hup rdhup");
    // The call that asks how it ended forgets the attempt, and the socket is as new.
    assert_eq!(sys.connect(client, &nobody), Err(Errno::CONNREFUSED));
    shows(&sys, client, "out hup");
    assert_eq!(sys.connect(client, &nobody), Err(Errno::INPROGRESS));
    shows(&sys, client, "in out err hup rdhup");
    let (listener, _, _) = connection(&sys);
    let address = sys.getsockname(listener).unwrap();
    assert_eq!(sys.connect(client, &address), Err(Errno::CONNREFUSED));
    assert_eq!(sys.connect(client, &address), Err(Errno::INPROGRESS));
    shows(&sys, client, "out");
    let (server, _) = sys.accept4(listener, SOCK_NONBLOCK).unwrap();
    sys.send(server, b"x", NONE).unwrap();
    shows(&sys, client, "in out");
}

#[test]
fn urgent_data() {
    let (sys, _other) = alone();
    let (_, client, server) = connection(&sys);
    sys.send(client, b"before!", MsgFlags::OOB).unwrap();
    shows(&sys, server, "in pri out");
    assert_eq!(sys.recv(server, &mut [0; 1], MsgFlags::OOB), Ok(1));
    shows(&sys, server, "in out");
    assert_eq!(sys.recv(server, &mut [0; 9], NONE), Ok(6));
    shows(&sys, server, "out");
    // Alone, it is shown as data too. A look for data finds none and passes it by, as on Linux.
    sys.send(client, b"!", MsgFlags::OOB).unwrap();
    let alone = |flags| {
        let mut fds = [PollFd::new(server, PollFlags::IN | PollFlags::PRI)];
        assert_eq!(sys.poll(&mut fds, 0), Ok(usize::from(!PollFlags::is_empty(&flags))));
        assert_eq!(fds[0].revents, flags);
    };
    alone(PollFlags::IN | PollFlags::PRI);
    assert_eq!(sys.recv(server, &mut [0; 9], NONE), Err(Errno::AGAIN));
    alone(PollFlags::empty());
    assert_eq!(sys.recv(server, &mut [0; 1], MsgFlags::OOB), Err(Errno::INVAL));
    sys.send(client, b"data", NONE).unwrap();
    shows(&sys, server, "in out");
}

#[test]
fn a_datagram_socket() {
    let (sys, _other) = alone();
    let socket = || sys.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0).unwrap();
    let (a, b) = (socket(), socket());
    shows(&sys, a, "out");
    sys.bind(b, &"127.0.0.1:0".parse().unwrap()).unwrap();
    let to_b = sys.getsockname(b).unwrap();
    sys.connect(a, &to_b).unwrap();
    sys.send(a, b"", NONE).unwrap();
    shows(&sys, b, "in out");
    sys.recv(b, &mut [0; 1], NONE).unwrap();
    shows(&sys, b, "out");
    sys.close(b).unwrap();
    sys.send(a, b"x", NONE).unwrap();
    shows(&sys, a, "out err");
    assert_eq!(sys.send(a, b"x", NONE), Err(Errno::CONNREFUSED));
    shows(&sys, a, "out");
    sys.shutdown(a, SHUT_RD).unwrap();
    shows(&sys, a, "in out rdhup");
    sys.shutdown(a, SHUT_WR).unwrap();
    shows(&sys, a, "in out hup rdhup");
}

/// A waker that waits, on the thread of an engine, for each socket in turn.
struct Waits {
    sys: Sockets,
    fds: [RawFd; 2],
    told: Mutex<mpsc::Sender<Result<usize>>>,
}

impl Wake for Waits {
    fn wake(self: Arc<Self>) {
        let (sys, told) = (&self.sys, self.told.lock().unwrap());
        let tell = |found| told.send(found).unwrap();
        for fd in self.fds {
            for timeout in [-1, 60_000, 0] {
                tell(sys.poll(&mut [PollFd::new(fd, PollFlags::IN)], timeout));
            }
            let epoll = sys.epoll_create1(0).unwrap();
            sys.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, Some(EpollEvent::new(EpollFlags::IN, 0))).unwrap();
            tell(sys.epoll_wait(epoll, &mut [EpollEvent::default()], -1));
            tell(sys.epoll_pwait2(epoll, &mut [EpollEvent::default()], None));
            let mut set = FdSet::new();
            set.insert(fd).unwrap();
            let mut time = Duration::from_secs(60);
            tell(sys.select(fd + 1, Some(&mut set), None, None, Some(&mut time)));
            // As they were, where it fails.
            assert!(set.contains(fd) && time > Duration::from_secs(59));
        }
    }
}

#[test]
fn the_thread_of_an_engine_does_not_wait() {
    let pair = pair();
    let sys = Sockets::new(&pair.left);
    let datagrams = || sys.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0).unwrap();
    let (empty, full) = (datagrams(), datagrams());
    sys.bind(full, &"127.0.0.1:0".parse().unwrap()).unwrap();
    sys.sendto(empty, b"x", NONE, Some(&sys.getsockname(full).unwrap())).unwrap();
    let (told, tells) = mpsc::channel();
    let waits = Waits { sys: sys.clone(), fds: [empty, full], told: Mutex::new(told) };
    // Woken by a packet of another host, so on the engine's thread.
    let udp = pair.left.bind_udp("10.7.0.1:7").unwrap();
    let waker = Arc::new(waits).into();
    assert!(udp.poll_recv_from(&mut Context::from_waker(&waker), &mut [0]).is_pending());
    pair.right.bind_udp("10.7.0.2:0").unwrap().send_to(b"x", "10.7.0.1:7").unwrap();
    let deadlock = Err(Errno::DEADLK);
    let of_empty = [deadlock, deadlock, Ok(0), deadlock, deadlock, deadlock];
    for expected in of_empty.into_iter().chain([Ok(1); 6]) {
        assert_eq!(tells.recv_timeout(Duration::from_secs(20)), Ok(expected));
    }
}
