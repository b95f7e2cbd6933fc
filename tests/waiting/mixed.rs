//! Our sockets beside the kernel's own descriptors, in one call.

use std::io::pipe;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tunstack::bsd::abi::{AF_INET, EPOLL_CTL_ADD, MsgFlags, SOCK_DGRAM};
use tunstack::bsd::{EpollEvent, EpollFlags, Errno, FdSet, PollFd, PollFlags};

use crate::net::{NONE, connected, events, stack};

/// A timer that has run out or will in a moment.
fn timer() -> OwnedFd {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap();
    let soon = Itimerspec {
        it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: Timespec { tv_sec: 0, tv_nsec: 1 },
    };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &soon).unwrap();
    timer
}

pub(crate) fn poll() {
    let sys = stack();
    let (client, server) = connected(&sys);
    let (reader, writer) = pipe().unwrap();
    let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let timer = timer();
    let closed = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    sys.close(closed).unwrap();
    let asked = PollFlags::IN;
    let numbers = [server, reader.as_raw_fd(), event.as_raw_fd(), -1, closed];
    let mut fds = numbers.map(|fd| PollFd::new(fd, asked));
    let found = |fds: &[PollFd]| fds.iter().map(|fd| fd.revents).collect::<Vec<_>>();
    let none = PollFlags::empty();
    assert_eq!(sys.poll(&mut fds, -1), Ok(1));
    assert_eq!(found(&fds), [none, none, none, none, PollFlags::NVAL]);
    // Without what is always there: only time ends the wait.
    assert_eq!(sys.poll(&mut fds[..4], 1), Ok(0));
    assert_eq!(sys.ppoll(&mut fds[..4], Some(Duration::from_nanos(1))), Ok(0));
    assert_eq!(sys.ppoll(&mut fds[..4], Some(Duration::ZERO)), Ok(0));

    assert_eq!(sys.send(client, b"x", NONE), Ok(1));
    rustix::io::write(&writer, b"x").unwrap();
    rustix::io::write(&event, &1u64.to_ne_bytes()).unwrap();
    assert_eq!(sys.poll(&mut fds[..4], -1), Ok(3));
    assert_eq!(found(&fds[..4]), [PollFlags::IN, PollFlags::IN, PollFlags::IN, none]);
    drop(writer);
    fds[1].events = none;
    fds[0].events = PollFlags::OUT | PollFlags::WRNORM | PollFlags::RDNORM;
    assert_eq!(sys.ppoll(&mut fds[..2], Some(Duration::MAX)), Ok(2));
    assert_eq!(found(&fds[..2]), [fds[0].events, PollFlags::HUP]);

    let mut fds = [PollFd::new(timer.as_raw_fd(), asked), PollFd::new(client, asked)];
    assert_eq!(sys.poll(&mut fds, -1), Ok(1));
    assert_eq!(found(&fds), [PollFlags::IN, none]);
    assert_eq!(sys.poll(&mut [], 0), Ok(0));
}

pub(crate) fn select() {
    let sys = stack();
    let (client, server) = connected(&sys);
    let (reader, _writer) = pipe().unwrap();
    let (reader, timer) = (reader.as_raw_fd(), timer());
    let highest = [client, server, reader, timer.as_raw_fd()].into_iter().max().unwrap() + 1;
    let set = |fds: &[i32]| {
        let mut set = FdSet::new();
        fds.iter().for_each(|fd| set.insert(*fd).unwrap());
        set
    };
    // Time alone ends the wait, and all of it is gone.
    let (mut read, mut except) = (set(&[client, server, reader]), set(&[server]));
    let mut left = Duration::from_millis(1);
    assert_eq!(sys.select(highest, Some(&mut read), None, Some(&mut except), Some(&mut left)), Ok(0));
    assert!(read.is_empty() && except.is_empty());
    assert_eq!(left, Duration::ZERO);

    // Found at once: the time is left but for a moment.
    let (mut read, mut write) = (set(&[client, server, reader, timer.as_raw_fd()]), set(&[client, server]));
    let mut left = Duration::from_secs(1000);
    sys.send(client, b"x", NONE).unwrap();
    sys.poll(&mut [PollFd::new(timer.as_raw_fd(), PollFlags::IN)], -1).unwrap();
    assert_eq!(sys.select(highest, Some(&mut read), Some(&mut write), None, Some(&mut left)), Ok(4));
    assert_eq!(read, set(&[server, timer.as_raw_fd()]));
    assert_eq!(write, set(&[client, server]));
    assert!(!left.is_zero() && left <= Duration::from_secs(1000), "{left:?}");

    // Only numbers below nfds are looked at, and the others are gone from the sets.
    let (mut read, mut write) = (set(&[server]), set(&[server]));
    let mut none = Duration::ZERO;
    let asked = sys.select(server, Some(&mut read), Some(&mut write), None, Some(&mut none));
    assert_eq!(asked, Ok(0));

    // Urgent data.
    assert_eq!(sys.send(client, b"!", MsgFlags::OOB), Ok(1));
    let mut except = set(&[client, server]);
    assert_eq!(sys.select(highest, None, None, Some(&mut except), None), Ok(1));
    assert_eq!(except, set(&[server]));
}

pub(crate) fn select_errors() {
    let sys = stack();
    let socket = sys.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
    let mut read = FdSet::new();
    read.insert(socket).unwrap();
    let mut left = Duration::from_secs(7);
    assert_eq!(sys.select(-1, Some(&mut read), None, None, Some(&mut left)), Err(Errno::INVAL));
    // More than fit in a set, or in the process, are as many as fit.
    assert_eq!(sys.select(i32::MAX, None, Some(&mut read), None, Some(&mut left)), Ok(1));
    assert!(read.contains(socket));
    sys.close(socket).unwrap();
    assert_eq!(sys.select(socket + 1, Some(&mut read), None, None, None), Err(Errno::BADF));
    assert!(read.contains(socket), "the set is as it was");
    left = Duration::ZERO;
    assert_eq!(sys.select(0, None, None, None, Some(&mut left)), Ok(0));
}

pub(crate) fn epoll() {
    let sys = stack();
    let (client, server) = connected(&sys);
    let (reader, writer) = pipe().unwrap();
    let timer = timer();
    let epoll = sys.epoll_create1(0).unwrap();
    for (data, fd) in [server, reader.as_raw_fd(), timer.as_raw_fd()].into_iter().enumerate() {
        let event = EpollEvent::new(EpollFlags::IN, data as u64);
        sys.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, Some(event)).unwrap();
    }
    let mut found = [EpollEvent::default(); 200];
    assert_eq!(sys.epoll_wait(epoll, &mut found, -1), Ok(1));
    assert_eq!(found[0], EpollEvent::new(EpollFlags::IN, 2));
    rustix::io::read(&timer, &mut [0; 8]).unwrap();
    assert_eq!(sys.epoll_wait(epoll, &mut found, 1), Ok(0));
    assert_eq!(sys.epoll_pwait2(epoll, &mut found, Some(Duration::from_nanos(1))), Ok(0));
    sys.send(client, b"x", NONE).unwrap();
    rustix::io::write(&writer, b"x").unwrap();
    assert_eq!(sys.epoll_pwait2(epoll, &mut found, None), Ok(2));
    assert_eq!(events(&sys, epoll), [(EpollFlags::IN, 0), (EpollFlags::IN, 1)]);
    assert_eq!(sys.epoll_wait(epoll, &mut found[..1], 0), Ok(1), "as many as there is room for");
}

/// Somebody waits, without a limit, when it comes.
pub(crate) fn woken() {
    const ROUNDS: u8 = 200;
    let sys = stack();
    let (client, server) = connected(&sys);
    let epoll = sys.epoll_create1(0).unwrap();
    let event = EpollEvent::new(EpollFlags::IN | EpollFlags::ET, 0);
    sys.epoll_ctl(epoll, EPOLL_CTL_ADD, server, Some(event)).unwrap();
    let other = sys.clone();
    let echo = thread::spawn(move || {
        for round in 0..ROUNDS {
            match round % 3 {
                0 => assert_eq!(other.epoll_wait(epoll, &mut [EpollEvent::default()], -1), Ok(1)),
                1 => assert_eq!(other.poll(&mut [PollFd::new(server, PollFlags::IN)], -1), Ok(1)),
                _ => {
                    let mut read = FdSet::new();
                    read.insert(server).unwrap();
                    assert_eq!(other.select(server + 1, Some(&mut read), None, None, None), Ok(1));
                }
            }
            let mut octet = [0];
            assert_eq!(other.recv(server, &mut octet, NONE), Ok(1));
            assert_eq!(other.send(server, &octet, NONE), Ok(1));
        }
    });
    for round in 0..ROUNDS {
        let mut octet = [round];
        assert_eq!(sys.send(client, &octet, NONE), Ok(1));
        assert_eq!(sys.poll(&mut [PollFd::new(client, PollFlags::IN)], -1), Ok(1));
        assert_eq!(sys.recv(client, &mut octet, NONE), Ok(1));
        assert_eq!(octet, [round]);
    }
    echo.join().unwrap();
}
