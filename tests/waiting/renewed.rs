//! A socket whose connection failed connects again: another descriptor takes its number, and whoever watched goes on
//! watching.

use std::net::SocketAddr;
use std::os::fd::RawFd;

use tunstack::bsd::abi::{
    AF_INET, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, SHUT_RDWR, SOCK_NONBLOCK, SOCK_STREAM,
};
use tunstack::bsd::{EpollEvent, EpollFlags, Errno, PollFlags, Sockets};

use crate::net::{NONE, events, listener, poll, stack, watched};

/// An attempt that is refused.
fn refused(sys: &Sockets, fd: RawFd, nobody: &SocketAddr) {
    assert_eq!(sys.connect(fd, nobody), Err(Errno::INPROGRESS));
    let ended = PollFlags::IN | PollFlags::OUT | PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    assert_eq!(poll(sys, fd), ended);
}

/// The call that asks how it ended makes the socket a fresh one.
fn asked(sys: &Sockets, fd: RawFd, nobody: &SocketAddr) {
    assert_eq!(sys.connect(fd, nobody), Err(Errno::CONNREFUSED));
    assert_eq!(poll(sys, fd), PollFlags::OUT | PollFlags::HUP);
}

pub(crate) fn watched_on() {
    let sys = stack();
    let (listener, address) = listener(&sys);
    let nobody = "127.0.0.1:1".parse().unwrap();
    let fd = sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
    let copy = sys.dup(fd).unwrap();
    let (level, edge, once) =
        (sys.epoll_create1(0).unwrap(), sys.epoll_create1(0).unwrap(), sys.epoll_create1(0).unwrap());
    let both = EpollFlags::IN | EpollFlags::OUT;
    let add = |epoll, fd, flags, data| {
        sys.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, Some(EpollEvent::new(flags, data))).unwrap();
    };
    add(level, fd, both, 1);
    add(level, copy, EpollFlags::OUT, u64::MAX);
    add(edge, fd, both | EpollFlags::ET, 2);
    add(once, fd, both | EpollFlags::ONESHOT, 3);
    refused(&sys, fd, &nobody);
    assert_eq!(events(&sys, edge).len(), 1);
    assert_eq!(events(&sys, once).len(), 1);

    asked(&sys, fd, &nobody);
    let fresh = EpollFlags::OUT | EpollFlags::HUP;
    assert_eq!(events(&sys, level), [(fresh, 1), (fresh, u64::MAX)]);
    assert_eq!(events(&sys, edge), [(fresh, 2)]);
    // It had told once, and tells of a hang-up nevertheless: the kernel adds that to what is registered anew.
    assert_eq!(events(&sys, once), [(EpollFlags::HUP, 3)]);

    assert_eq!(sys.connect(fd, &address), Err(Errno::INPROGRESS));
    let (server, _) = sys.accept(listener).unwrap();
    assert_eq!(events(&sys, level), [(EpollFlags::OUT, 1), (EpollFlags::OUT, u64::MAX)]);
    assert_eq!(events(&sys, edge), [(EpollFlags::OUT, 2)]);
    assert_eq!(events(&sys, edge), []);
    sys.send(server, b"x", NONE).unwrap();
    assert_eq!(events(&sys, edge), [(EpollFlags::OUT | EpollFlags::IN, 2)]);
    assert_eq!(events(&sys, once), []);
    sys.epoll_ctl(once, EPOLL_CTL_MOD, fd, Some(EpollEvent::new(EpollFlags::IN, 4))).unwrap();
    assert_eq!(events(&sys, once), [(EpollFlags::IN, 4)]);
    // Both numbers are the same socket as before.
    assert_eq!(sys.recv(copy, &mut [0; 4], NONE), Ok(1));
    assert_eq!(poll(&sys, fd), PollFlags::OUT);
    for (epoll, fd) in [(level, fd), (level, copy), (edge, fd), (once, fd)] {
        sys.epoll_ctl(epoll, EPOLL_CTL_DEL, fd, None).unwrap();
    }
    // Ended, it is watched by nobody; the next attempt carries nothing over.
    sys.shutdown(fd, SHUT_RDWR).unwrap();
    assert_eq!(events(&sys, level), []);
}

/// An event loop that called the kernel and not us.
pub(crate) fn by_tokio() {
    let sys = stack();
    let (listener, address) = listener(&sys);
    let nobody = "127.0.0.1:1".parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let fd = sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
        let watched = watched(fd);
        refused(&sys, fd, &nobody);
        asked(&sys, fd, &nobody);
        assert_eq!(sys.connect(fd, &address), Err(Errno::INPROGRESS));
        let (server, _) = sys.accept(listener).unwrap();
        let octet = async {
            loop {
                let mut ready = watched.readable().await.unwrap();
                let mut octet = [0];
                match ready.try_io(|fd| Ok(sys.recv(*fd.get_ref(), &mut octet, NONE)?)) {
                    Ok(read) => return read.map(|n| (n, octet)),
                    Err(_would_block) => {}
                }
            }
        };
        let send = async {
            // Not before the other has found nothing.
            tokio::task::yield_now().await;
            sys.send(server, b"x", NONE).unwrap();
        };
        let (read, ()) = tokio::join!(octet, send);
        assert_eq!(read.unwrap(), (1, *b"x"));
    });
}
