//! The ways in which `epoll` tells.

use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::channel;
use std::thread;

use tunstack::bsd::abi::{
    AF_INET, EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, MsgFlags, SHUT_RDWR, SHUT_WR,
    SOCK_DGRAM,
};
use tunstack::bsd::{EpollEvent, EpollFlags, Errno, PollFd, PollFlags, Sockets};

use crate::net::{NONE, connected, events, listener, stack};

fn watch(sys: &Sockets, epoll: RawFd, fd: RawFd, events: EpollFlags) {
    sys.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, Some(EpollEvent::new(events, fd as u64))).unwrap();
}

/// What is told of a descriptor that is watched under its own number.
fn told(sys: &Sockets, epoll: RawFd, fd: RawFd) -> EpollFlags {
    let told = events(sys, epoll);
    assert!(told.iter().all(|(_, data)| *data == fd as u64), "{told:?}");
    told.iter().fold(EpollFlags::empty(), |all, (flags, _)| all | *flags)
}

pub(crate) fn level_and_edge() {
    let sys = stack();
    let (client, server) = connected(&sys);
    let (level, edge) = (sys.epoll_create1(0).unwrap(), sys.epoll_create1(EPOLL_CLOEXEC).unwrap());
    watch(&sys, level, server, EpollFlags::IN);
    watch(&sys, edge, server, EpollFlags::IN | EpollFlags::ET);
    let both = || (told(&sys, level, server), told(&sys, edge, server));
    let (yes, no) = (EpollFlags::IN, EpollFlags::empty());
    assert_eq!(both(), (no, no));
    sys.send(client, b"one", NONE).unwrap();
    assert_eq!(both(), (yes, yes));
    assert_eq!(both(), (yes, no));
    sys.send(client, b"two", NONE).unwrap();
    assert_eq!(both(), (yes, yes), "more came");
    let mut buf = [0; 4];
    assert_eq!(sys.recv(server, &mut buf, NONE), Ok(4));
    assert_eq!(both(), (yes, no), "some was left");
    assert_eq!(sys.recv(server, &mut buf, NONE), Ok(2));
    assert_eq!(sys.recv(server, &mut buf, NONE), Err(Errno::AGAIN));
    assert_eq!(both(), (no, no));
    sys.send(client, b"three", NONE).unwrap();
    assert_eq!(both(), (yes, yes));

    // Connections, each an edge.
    let (listener, address) = listener(&sys);
    watch(&sys, edge, listener, EpollFlags::IN | EpollFlags::ET);
    for _ in 0..3 {
        let client = sys.socket(AF_INET, tunstack::bsd::abi::SOCK_STREAM, 0).unwrap();
        sys.connect(client, &address).unwrap();
        assert_eq!(told(&sys, edge, listener), yes);
        assert_eq!(told(&sys, edge, listener), no);
    }

    // Datagrams, each an edge.
    let (a, b) = (sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap(), sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap());
    sys.bind(b, &"127.0.0.1:53".parse().unwrap()).unwrap();
    sys.connect(a, &"127.0.0.1:53".parse().unwrap()).unwrap();
    watch(&sys, edge, b, EpollFlags::IN | EpollFlags::ET);
    for _ in 0..3 {
        sys.send(a, b"x", NONE).unwrap();
        assert_eq!(told(&sys, edge, b), yes);
        assert_eq!(told(&sys, edge, b), no);
    }
}

pub(crate) fn one_shot() {
    let sys = stack();
    let (client, server) = connected(&sys);
    let epoll = sys.epoll_create1(0).unwrap();
    let once = EpollFlags::IN | EpollFlags::ONESHOT;
    watch(&sys, epoll, server, once);
    for _ in 0..3 {
        sys.send(client, b"x", NONE).unwrap();
        assert_eq!(told(&sys, epoll, server), EpollFlags::IN);
        sys.send(client, b"y", NONE).unwrap();
        assert_eq!(told(&sys, epoll, server), EpollFlags::empty());
        sys.epoll_ctl(epoll, EPOLL_CTL_MOD, server, Some(EpollEvent::new(once, server as u64))).unwrap();
        assert_eq!(told(&sys, epoll, server), EpollFlags::IN, "armed again, and there is something");
        assert_eq!(sys.recv(server, &mut [0; 8], NONE), Ok(2));
        sys.epoll_ctl(epoll, EPOLL_CTL_MOD, server, Some(EpollEvent::new(once, server as u64))).unwrap();
        assert_eq!(told(&sys, epoll, server), EpollFlags::empty());
    }
}

pub(crate) fn exclusive() {
    const WAITERS: usize = 8;
    let sys = stack();
    let (client, server) = connected(&sys);
    let (told, tell) = channel();
    let (mut epolls, mut threads) = (Vec::new(), Vec::new());
    for _ in 0..WAITERS {
        let epoll = sys.epoll_create1(0).unwrap();
        watch(&sys, epoll, server, EpollFlags::IN | EpollFlags::EXCLUSIVE);
        let event = EpollEvent::new(EpollFlags::IN | EpollFlags::EXCLUSIVE, 0);
        assert_eq!(
            sys.epoll_ctl(epoll, EPOLL_CTL_MOD, server, Some(event)),
            Err(Errno::INVAL),
            "as Linux has it"
        );
        epolls.push(epoll);
        let (sys, told) = (sys.clone(), told.clone());
        threads.push(thread::spawn(move || {
            loop {
                let mut found = [EpollEvent::default()];
                assert_eq!(sys.epoll_wait(epoll, &mut found, -1), Ok(1));
                let mut octet = [0];
                match sys.recv(server, &mut octet, NONE) {
                    Ok(0) => return,
                    // Another was quicker.
                    Err(Errno::AGAIN) => {}
                    other => told.send((other, octet)).unwrap(),
                }
            }
        }));
    }
    // One of them at least is woken each time.
    for round in 0..100 {
        sys.send(client, &[round], NONE).unwrap();
        assert_eq!(tell.recv().unwrap(), (Ok(1), [round]));
    }
    sys.shutdown(client, SHUT_WR).unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

pub(crate) fn nested() {
    let sys = stack();
    let (client, server) = connected(&sys);
    let (inner, outer) = (sys.epoll_create1(0).unwrap(), sys.epoll_create1(0).unwrap());
    watch(&sys, inner, server, EpollFlags::IN | EpollFlags::ET);
    watch(&sys, outer, inner, EpollFlags::IN);
    assert_eq!(sys.epoll_ctl(inner, EPOLL_CTL_ADD, outer, Some(EpollEvent::default())), Err(Errno::LOOP));
    assert_eq!(told(&sys, outer, inner), EpollFlags::empty());
    sys.send(client, b"x", NONE).unwrap();
    assert_eq!(sys.poll(&mut [PollFd::new(outer, PollFlags::IN)], -1), Ok(1));
    assert_eq!(told(&sys, outer, inner), EpollFlags::IN);
    assert_eq!(told(&sys, inner, server), EpollFlags::IN);
    assert_eq!(told(&sys, outer, inner), EpollFlags::empty());
}

pub(crate) fn half_close_and_urgent() {
    let sys = stack();
    let (client, server) = connected(&sys);
    let epoll = sys.epoll_create1(0).unwrap();
    watch(&sys, epoll, server, EpollFlags::PRI | EpollFlags::RDHUP);
    assert_eq!(told(&sys, epoll, server), EpollFlags::empty());
    sys.send(client, b"data", NONE).unwrap();
    assert_eq!(told(&sys, epoll, server), EpollFlags::empty());
    sys.send(client, b"!", MsgFlags::OOB).unwrap();
    assert_eq!(told(&sys, epoll, server), EpollFlags::PRI);
    assert_eq!(sys.recv(server, &mut [0; 8], NONE).map(|n| n >= 4), Ok(true));
    while sys.recv(server, &mut [0; 8], NONE).is_ok() {}
    sys.shutdown(client, SHUT_WR).unwrap();
    assert_eq!(told(&sys, epoll, server) & EpollFlags::RDHUP, EpollFlags::RDHUP);
    sys.shutdown(server, SHUT_RDWR).unwrap();
    let hung_up = EpollFlags::RDHUP | EpollFlags::HUP;
    assert_eq!(told(&sys, epoll, server) & hung_up, hung_up);
}

pub(crate) fn errors() {
    let sys = stack();
    let socket = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let epoll = sys.epoll_create1(0).unwrap();
    let file = File::open("/proc/self/exe").unwrap();
    let event = Some(EpollEvent::new(EpollFlags::IN, 0));
    let closed = sys.dup(socket).unwrap();
    sys.close(closed).unwrap();
    let ctl = |epfd, op, fd, event| sys.epoll_ctl(epfd, op, fd, event);
    assert_eq!(sys.epoll_create1(1), Err(Errno::INVAL));
    assert_eq!(ctl(epoll, EPOLL_CTL_MOD, socket, event), Err(Errno::NOENT));
    assert_eq!(ctl(epoll, EPOLL_CTL_DEL, socket, None), Err(Errno::NOENT));
    assert_eq!(ctl(epoll, EPOLL_CTL_ADD, socket, event), Ok(()));
    assert_eq!(ctl(epoll, EPOLL_CTL_ADD, socket, event), Err(Errno::EXIST));
    assert_eq!(ctl(epoll, EPOLL_CTL_ADD, closed, event), Err(Errno::BADF));
    assert_eq!(ctl(closed, EPOLL_CTL_ADD, socket, event), Err(Errno::BADF));
    assert_eq!(ctl(-1, EPOLL_CTL_ADD, socket, event), Err(Errno::BADF));
    assert_eq!(ctl(epoll, EPOLL_CTL_ADD, file.as_raw_fd(), event), Err(Errno::PERM));
    assert_eq!(ctl(epoll, EPOLL_CTL_ADD, epoll, event), Err(Errno::INVAL));
    assert_eq!(ctl(socket, EPOLL_CTL_ADD, epoll, event), Err(Errno::INVAL));
    assert_eq!(ctl(epoll, 9, socket, event), Err(Errno::INVAL));
    assert_eq!(ctl(epoll, EPOLL_CTL_MOD, socket, None), Err(Errno::FAULT));
    let mut found = [EpollEvent::default(); 2];
    assert_eq!(sys.epoll_wait(epoll, &mut [], 0), Err(Errno::INVAL));
    assert_eq!(sys.epoll_wait(socket, &mut found, 0), Err(Errno::INVAL));
    assert_eq!(sys.epoll_wait(closed, &mut found, 0), Err(Errno::BADF));
    assert_eq!(sys.epoll_pwait2(closed, &mut found, None), Err(Errno::BADF));
    assert_eq!(ctl(epoll, EPOLL_CTL_DEL, socket, None), Ok(()));
    // No socket, though it is in the table.
    assert_eq!(sys.listen(epoll, 1), Err(Errno::NOTSOCK));
    let copy = sys.dup(epoll).unwrap();
    sys.close(epoll).unwrap();
    assert_eq!(sys.epoll_wait(epoll, &mut found, 0), Err(Errno::BADF));
    assert_eq!(sys.epoll_wait(copy, &mut found, 0), Ok(0));
    sys.close(copy).unwrap();
}

pub(crate) fn closed() {
    let sys = stack();
    let (client, server) = connected(&sys);
    let epoll = sys.epoll_create1(0).unwrap();
    watch(&sys, epoll, server, EpollFlags::IN);
    watch(&sys, epoll, client, EpollFlags::RDHUP);
    sys.send(client, b"x", NONE).unwrap();
    sys.close(server).unwrap();
    let reset = EpollFlags::RDHUP | EpollFlags::HUP | EpollFlags::ERR;
    assert_eq!(told(&sys, epoll, client), reset);
    // The number begins anew.
    let again = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    assert_eq!(again, server);
    watch(&sys, epoll, again, EpollFlags::OUT);
    sys.close(client).unwrap();
    assert_eq!(told(&sys, epoll, again), EpollFlags::OUT);
}
