//! The drivers that wait until a socket is ready: `select`, `poll`, and `epoll` in its two ways.

use std::os::fd::RawFd;

use tunstack::bsd::abi::{EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD};
use tunstack::bsd::{EpollEvent, EpollFlags, FdSet, PollFd, PollFlags, Sockets};

use crate::end::{Blocked, End};

/// Waits for some sockets of a thread.
trait Waiter {
    /// For as many sockets.
    fn new(sys: &Sockets, sockets: usize) -> Self;

    /// The socket `index` waits for this from now on.
    fn watch(&mut self, index: usize, fd: RawFd, blocked: Blocked);

    /// Waits, without a limit, until one is ready at least, and says which.
    fn wait(&mut self, ready: &mut Vec<usize>);
}

/// Drives ends until all are over.
fn drive<W: Waiter>(sys: &Sockets, ends: Vec<End>) {
    let mut waiter = W::new(sys, ends.len());
    let mut ready: Vec<usize> = (0..ends.len()).collect();
    let mut ends: Vec<Option<End>> = ends.into_iter().map(Some).collect();
    let mut left = ends.len();
    while left > 0 {
        for index in ready.drain(..) {
            let Some(end) = &mut ends[index] else { panic!("what is closed is ready") };
            let blocked = end.run();
            waiter.watch(index, end.fd, blocked);
            if blocked == Blocked::Over {
                ends[index] = None;
                left -= 1;
            }
        }
        if left > 0 {
            waiter.wait(&mut ready);
        }
    }
}

pub(crate) fn select(sys: &Sockets, ends: Vec<End>) {
    drive::<Select>(sys, ends);
}

pub(crate) fn poll(sys: &Sockets, ends: Vec<End>) {
    drive::<Poll>(sys, ends);
}

pub(crate) fn epoll_level(sys: &Sockets, ends: Vec<End>) {
    drive::<Epoll<false>>(sys, ends);
}

pub(crate) fn epoll_edge(sys: &Sockets, ends: Vec<End>) {
    drive::<Epoll<true>>(sys, ends);
}

struct Select {
    sys: Sockets,
    sockets: Vec<(RawFd, Blocked)>,
}

impl Waiter for Select {
    fn new(sys: &Sockets, sockets: usize) -> Self {
        Self { sys: sys.clone(), sockets: vec![(-1, Blocked::Over); sockets] }
    }

    fn watch(&mut self, index: usize, fd: RawFd, blocked: Blocked) {
        self.sockets[index] = (fd, blocked);
    }

    fn wait(&mut self, ready: &mut Vec<usize>) {
        let (mut read, mut write, mut nfds) = (FdSet::new(), FdSet::new(), 0);
        for (fd, blocked) in &self.sockets {
            match blocked {
                Blocked::Read => read.insert(*fd).unwrap(),
                Blocked::Write => write.insert(*fd).unwrap(),
                Blocked::Over => continue,
            }
            nfds = nfds.max(*fd + 1);
        }
        let found = self.sys.select(nfds, Some(&mut read), Some(&mut write), None, None).unwrap();
        let is_ready = |(fd, blocked): &(RawFd, Blocked)| {
            *blocked != Blocked::Over && (read.contains(*fd) || write.contains(*fd))
        };
        ready.extend((0..self.sockets.len()).filter(|index| is_ready(&self.sockets[*index])));
        assert_eq!(ready.len(), found);
    }
}

struct Poll {
    sys: Sockets,
    fds: Vec<PollFd>,
}

impl Waiter for Poll {
    fn new(sys: &Sockets, sockets: usize) -> Self {
        Self { sys: sys.clone(), fds: vec![PollFd::new(-1, PollFlags::empty()); sockets] }
    }

    fn watch(&mut self, index: usize, fd: RawFd, blocked: Blocked) {
        self.fds[index] = match blocked {
            Blocked::Read => PollFd::new(fd, PollFlags::IN),
            Blocked::Write => PollFd::new(fd, PollFlags::OUT),
            Blocked::Over => PollFd::new(-1, PollFlags::empty()),
        };
    }

    fn wait(&mut self, ready: &mut Vec<usize>) {
        let found = self.sys.poll(&mut self.fds, -1).unwrap();
        ready.extend((0..self.fds.len()).filter(|index| !self.fds[*index].revents.is_empty()));
        assert_eq!(ready.len(), found);
    }
}

struct Epoll<const EDGE: bool> {
    sys: Sockets,
    epoll: RawFd,
    watched: Vec<bool>,
}

impl<const EDGE: bool> Waiter for Epoll<EDGE> {
    fn new(sys: &Sockets, sockets: usize) -> Self {
        let epoll = sys.epoll_create1(EPOLL_CLOEXEC).unwrap();
        Self { sys: sys.clone(), epoll, watched: vec![false; sockets] }
    }

    fn watch(&mut self, index: usize, fd: RawFd, blocked: Blocked) {
        let events = match blocked {
            Blocked::Over => return,
            _ if EDGE && self.watched[index] => return,
            _ if EDGE => EpollFlags::IN | EpollFlags::OUT | EpollFlags::RDHUP | EpollFlags::ET,
            Blocked::Read => EpollFlags::IN,
            Blocked::Write => EpollFlags::OUT,
        };
        let op = if self.watched[index] { EPOLL_CTL_MOD } else { EPOLL_CTL_ADD };
        self.watched[index] = true;
        self.sys.epoll_ctl(self.epoll, op, fd, Some(EpollEvent::new(events, index as u64))).unwrap();
    }

    fn wait(&mut self, ready: &mut Vec<usize>) {
        let mut events = [EpollEvent::default(); 16];
        let found = self.sys.epoll_wait(self.epoll, &mut events, -1).unwrap();
        ready.extend(events[..found].iter().map(|event| event.data as usize));
    }
}

impl<const EDGE: bool> Drop for Epoll<EDGE> {
    fn drop(&mut self) {
        self.sys.close(self.epoll).unwrap();
    }
}
