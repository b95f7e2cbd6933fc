//! A stack that talks to itself, and what the tests do with it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::os::fd::RawFd;

use tokio::io::unix::AsyncFd;
use tunstack::bsd::abi::{AF_INET, MsgFlags, SOCK_NONBLOCK, SOCK_STREAM};
use tunstack::bsd::{EpollEvent, EpollFlags, PollFd, PollFlags, Sockets};
use tunstack::device::pipe::Pipe;
use tunstack::engine::Engine;

pub(crate) const NONE: MsgFlags = MsgFlags::empty();

/// The calls over a stack with nobody at the other end of its device.
pub(crate) struct Net {
    sys: Sockets,
    _other: Pipe,
}

impl Deref for Net {
    type Target = Sockets;
    fn deref(&self) -> &Sockets {
        &self.sys
    }
}

pub(crate) fn stack() -> Net {
    let (device, other) = Pipe::pair(1500).unwrap();
    let engine = Engine::builder().device(device).start().unwrap();
    Net { sys: Sockets::new(&engine), _other: other }
}

/// A listener on a port of its own choice.
pub(crate) fn listener(sys: &Sockets) -> (RawFd, SocketAddr) {
    let listener = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    sys.bind(listener, &"127.0.0.1:0".parse().unwrap()).unwrap();
    sys.listen(listener, 4096).unwrap();
    (listener, sys.getsockname(listener).unwrap())
}

/// Both ends of a connection, which do not block.
pub(crate) fn connected(sys: &Sockets) -> (RawFd, RawFd) {
    let (listener, address) = listener(sys);
    let client = sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
    sys.connect(client, &address).unwrap_err();
    sys.poll(&mut [PollFd::new(client, PollFlags::OUT)], -1).unwrap();
    let (server, _) = sys.accept4(listener, SOCK_NONBLOCK).unwrap();
    sys.close(listener).unwrap();
    (client, server)
}

/// What `poll` finds at this moment.
pub(crate) fn poll(sys: &Sockets, fd: RawFd) -> PollFlags {
    let all = PollFlags::IN | PollFlags::OUT | PollFlags::PRI | PollFlags::RDHUP;
    let mut fds = [PollFd::new(fd, all)];
    sys.poll(&mut fds, 0).unwrap();
    fds[0].revents
}

/// What an epoll descriptor has to tell at this moment, in the order of the data.
pub(crate) fn events(sys: &Sockets, epoll: RawFd) -> Vec<(EpollFlags, u64)> {
    let mut events = [EpollEvent::default(); 16];
    let found = sys.epoll_wait(epoll, &mut events, 0).unwrap();
    let mut found: Vec<_> = events[..found].iter().map(|event| (event.events, event.data)).collect();
    found.sort_by_key(|(_, data)| *data);
    found
}

/// tokio watches a descriptor.
#[expect(deprecated, reason = "the way in that replaces it is `unsafe`; here a number outlives its watcher")]
pub(crate) fn watched(fd: RawFd) -> AsyncFd<RawFd> {
    AsyncFd::new(fd).unwrap()
}
