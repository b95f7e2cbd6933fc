//! Which numbers descriptors have, and that all are given back.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tunstack::bsd::abi::{AF_INET, EPOLL_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM};
use tunstack::bsd::{Errno, FD_SETSIZE, FdSet, PollFlags, Sockets};

use crate::net::{NONE, connected, listener, poll, stack};

fn open() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Everything that makes a descriptor, once.
fn cycle(sys: &Sockets) {
    let datagram = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let copy = sys.dup(datagram).unwrap();
    let (client, server) = connected(sys);
    sys.send(client, b"unread", NONE).unwrap();
    let again = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    for _ in 0..2 {
        // Refused: the descriptor is renewed by the next attempt.
        assert_eq!(sys.connect(again, &"127.0.0.1:1".parse().unwrap()), Err(Errno::CONNREFUSED));
    }
    let epoll = sys.epoll_create1(EPOLL_CLOEXEC).unwrap();
    for fd in [datagram, copy, server, client, again, epoll] {
        sys.close(fd).unwrap();
        assert_eq!(sys.close(fd), Err(Errno::BADF));
    }
}

pub(crate) fn are_given_back() {
    let before_all = open();
    let sys = stack();
    cycle(&sys);
    let before = open();
    for _ in 0..1000 {
        cycle(&sys);
    }
    assert_eq!(open(), before);
    // What is still open goes with the table, and the engine with that.
    let _open = (connected(&sys), sys.epoll_create1(0).unwrap());
    drop(sys);
    assert_eq!(open(), before_all);
}

/// The lowest numbers that are free.
fn free<const N: usize>() -> [RawFd; N] {
    let files = [(); N].map(|()| File::open("/dev/null").unwrap());
    files.each_ref().map(File::as_raw_fd)
}

pub(crate) fn are_the_lowest_free() {
    let sys = stack();
    let file = || File::open("/dev/null").unwrap();
    let tcp = || sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let (listener, address) = listener(&sys);
    let numbers = free::<6>();
    let first = file();
    let (a, b) = (tcp(), sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap());
    let c = file();
    let d = sys.epoll_create1(0).unwrap();
    assert_eq!([first.as_raw_fd(), a, b, c.as_raw_fd(), d], numbers[..5]);
    // Reused at once, lowest first, and not moved by connecting.
    drop(first);
    sys.close(b).unwrap();
    sys.connect(a, &address).unwrap();
    let (accepted, _) = sys.accept(listener).unwrap();
    assert_eq!(accepted, numbers[0]);
    assert_eq!(sys.dup(a), Ok(numbers[2]));
    let e = file();
    assert_eq!(e.as_raw_fd(), numbers[5]);
    sys.close(d).unwrap();
    assert_eq!(file().as_raw_fd(), numbers[4]);
}

fn limit(soft: u64) -> bool {
    let maximum = getrlimit(Resource::Nofile).maximum;
    if maximum.is_some_and(|maximum| maximum < soft) {
        eprintln!("skipped: no more than {maximum:?} descriptors are allowed");
        return false;
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum }).unwrap();
    true
}

/// Takes all numbers that are left but so many.
fn leave(free: usize) -> Vec<File> {
    let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    files.truncate(files.len() - free);
    files
}

pub(crate) fn run_out() {
    let sys = stack();
    assert!(limit(64));
    let (listener, address) = listener(&sys);
    let fresh = sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
    let to_listen = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    let before = open();
    for free in 0..3 {
        let _files = leave(free);
        for kind in [SOCK_STREAM, SOCK_DGRAM] {
            // A stream takes two, a datagram socket three.
            match sys.socket(AF_INET, kind, 0) {
                Ok(fd) => sys.close(fd).unwrap(),
                Err(error) => assert_eq!(error, Errno::MFILE, "{free} left"),
            }
        }
        assert_eq!(sys.socket(AF_INET, SOCK_DGRAM, 0), Err(Errno::MFILE), "{free} left");
        if free < 2 {
            assert_eq!(sys.connect(fresh, &address), Err(Errno::MFILE), "{free} left");
            assert_eq!(sys.listen(to_listen, 1), Err(Errno::MFILE), "{free} left");
        }
        // Nothing has happened.
        assert_eq!(poll(&sys, fresh), PollFlags::OUT | PollFlags::HUP);
        assert_eq!(poll(&sys, to_listen), PollFlags::OUT | PollFlags::HUP);
        assert_eq!(poll(&sys, listener), PollFlags::empty());
    }
    assert_eq!(open(), before);
    {
        let _files = leave(2);
        assert_eq!(sys.connect(fresh, &address), Err(Errno::INPROGRESS), "two are enough");
        assert_eq!(sys.accept(listener), Err(Errno::MFILE));
        assert_eq!(poll(&sys, listener), PollFlags::IN, "it still waits");
    }
    let (accepted, _) = sys.accept(listener).unwrap();
    sys.listen(to_listen, 1).unwrap();
    assert_eq!(sys.send(accepted, b"x", NONE), Ok(1));
    assert_eq!(sys.recv(fresh, &mut [0; 4], NONE), Ok(1));
    assert_eq!(sys.epoll_create1(0).map(drop), Ok(()));
    {
        let _files = leave(0);
        assert_eq!(sys.epoll_create1(0), Err(Errno::MFILE));
        assert_eq!(sys.dup(fresh), Err(Errno::MFILE));
        // What needs none goes on.
        assert_eq!(sys.send(fresh, b"y", NONE), Ok(1));
        assert_eq!(poll(&sys, accepted), PollFlags::IN | PollFlags::OUT);
    }
}

/// The two further descriptors of each socket have numbers that are out of the way.
pub(crate) fn a_thousand_for_select() {
    if !limit(4096) {
        return;
    }
    let sys = stack();
    let (listener, address): (RawFd, SocketAddr) = listener(&sys);
    let mut sockets = vec![listener];
    while sockets.len() < 1000 {
        let client = sys.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0).unwrap();
        assert_eq!(sys.connect(client, &address), Err(Errno::INPROGRESS));
        sockets.extend([client, sys.accept(listener).unwrap().0]);
        sockets.push(sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap());
    }
    let highest = *sockets.iter().max().unwrap();
    assert!(highest < FD_SETSIZE as RawFd, "{highest}");
    let mut write = FdSet::new();
    for socket in &sockets {
        write.insert(*socket).unwrap();
    }
    // All can be written to but the listener.
    assert_eq!(sys.select(highest + 1, None, Some(&mut write), None, None), Ok(sockets.len() - 1));
    assert!(!write.contains(listener));
}
