//! Event loops that know nothing of us take our descriptors.

use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, RawFd};
use std::thread;

use rustix::event::epoll::{self, CreateFlags, EventFlags};
use tunstack::bsd::abi::{AF_INET, MsgFlags, SHUT_WR, SOCK_NONBLOCK, SOCK_STREAM};
use tunstack::bsd::{Errno, Sockets};

use crate::net::{NONE, listener, stack, watched};

const CLIENTS: usize = 20;
const OCTETS: usize = 200_000;

fn octet(client: usize, at: usize) -> u8 {
    (at.wrapping_mul(31) ^ (at >> 8) ^ client) as u8
}

/// A client that blocks: sends all and reads all back, each on a thread.
fn client(sys: &Sockets, address: &std::net::SocketAddr, number: usize) {
    let fd = sys.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    sys.connect(fd, address).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let all: Vec<u8> = (0..OCTETS).map(|at| octet(number, at)).collect();
            let mut rest = &all[..];
            while !rest.is_empty() {
                rest = &rest[sys.send(fd, rest, NONE).unwrap()..];
            }
            sys.shutdown(fd, SHUT_WR).unwrap();
        });
        let (mut buf, mut at) = (vec![0; 10_000], 0);
        loop {
            let n = sys.recv(fd, &mut buf, NONE).unwrap();
            if n == 0 {
                break;
            }
            for got in &buf[..n] {
                assert_eq!(*got, octet(number, at), "client {number} at {at}");
                at += 1;
            }
        }
        assert_eq!(at, OCTETS);
    });
    sys.close(fd).unwrap();
}

pub(crate) fn tokio() {
    let sys = stack();
    let (listener, address) = listener(&sys);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_io().build().unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let sys = sys.clone();
            thread::spawn(move || client(&sys, &address, number))
        })
        .collect();
    runtime.block_on(async {
        let listener = watched(listener);
        let mut tasks = Vec::new();
        while tasks.len() < CLIENTS {
            let mut ready = listener.readable().await.unwrap();
            // Nobody else accepts: once readable, it does not block.
            let (fd, _) = sys.accept4(*ready.get_inner(), SOCK_NONBLOCK).unwrap();
            tasks.push(tokio::spawn(echo(sys.clone(), fd)));
            // Whether there is one more, the level says.
            if crate::net::poll(&sys, *ready.get_inner()).is_empty() {
                ready.clear_ready();
                ready.retain_ready();
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    clients.into_iter().for_each(|client| client.join().unwrap());
}

async fn echo(sys: Sockets, fd: RawFd) {
    let watched = watched(fd);
    let mut buf = vec![0; 8192];
    loop {
        let n = loop {
            let mut ready = watched.readable().await.unwrap();
            let read = ready.try_io(|fd| Ok(sys.recv(*fd.get_ref(), &mut buf, MsgFlags::DONTWAIT)?));
            if let Ok(read) = read {
                break read.unwrap();
            }
        };
        if n == 0 {
            break;
        }
        let mut rest = &buf[..n];
        while !rest.is_empty() {
            let mut ready = watched.writable().await.unwrap();
            let written = ready.try_io(|fd| Ok(sys.send(*fd.get_ref(), rest, MsgFlags::DONTWAIT)?));
            if let Ok(written) = written {
                rest = &rest[written.unwrap()..];
            }
        }
    }
    drop(watched);
    sys.close(fd).unwrap();
}

/// A connection of the loop below.
struct Connection {
    fd: RawFd,
    unsent: Vec<u8>,
    ended: bool,
}

impl Connection {
    /// As far as it goes without waiting; says whether all is done.
    fn run(&mut self, sys: &Sockets) -> bool {
        let mut buf = [0; 8192];
        loop {
            while !self.unsent.is_empty() {
                match sys.send(self.fd, &self.unsent, MsgFlags::DONTWAIT) {
                    Ok(n) => drop(self.unsent.drain(..n)),
                    Err(error) => {
                        assert_eq!(error, Errno::AGAIN);
                        return false;
                    }
                }
            }
            if self.ended {
                return true;
            }
            match sys.recv(self.fd, &mut buf, MsgFlags::DONTWAIT) {
                Ok(0) => self.ended = true,
                Ok(n) => self.unsent.extend_from_slice(&buf[..n]),
                Err(error) => {
                    assert_eq!(error, Errno::AGAIN);
                    return false;
                }
            }
        }
    }
}

/// The kernel's calls made by another crate.
pub(crate) fn kernel_epoll() {
    let sys = stack();
    let (listener, address) = listener(&sys);
    let epoll = epoll::create(CreateFlags::CLOEXEC).unwrap();
    // As a program that has the number only; std's type for that is not to be had without `unsafe`.
    let watch = |fd: RawFd, flags: EventFlags, data: usize| {
        let flags = tunstack::bsd::EpollFlags::from_bits_retain(flags.bits());
        let event = tunstack::bsd::EpollEvent::new(flags, data as u64);
        let epoll = std::os::fd::AsRawFd::as_raw_fd(&epoll);
        sys.epoll_ctl(epoll, tunstack::bsd::abi::EPOLL_CTL_ADD, fd, Some(event)).unwrap();
    };
    watch(listener, EventFlags::IN, usize::MAX);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let sys = sys.clone();
            thread::spawn(move || client(&sys, &address, number))
        })
        .collect();
    let (mut connections, mut ended) = (Vec::new(), 0);
    while ended < CLIENTS {
        let mut events = [const { MaybeUninit::uninit() }; 8];
        let epoll: BorrowedFd<'_> = std::os::fd::AsFd::as_fd(&epoll);
        let (events, _) = epoll::wait(epoll, &mut events, None).unwrap();
        for event in events {
            let data = event.data.u64() as usize;
            if data == usize::MAX {
                let (fd, _) = sys.accept(listener).unwrap();
                let both = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                watch(fd, both, connections.len());
                connections.push(Connection { fd, unsent: Vec::new(), ended: false });
            } else if connections[data].run(&sys) {
                sys.close(connections[data].fd).unwrap();
                ended += 1;
            }
        }
    }
    clients.into_iter().for_each(|client| client.join().unwrap());
}
