//! A signal that is handled ends a wait with `EINTR`, and no wait begins anew by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tunstack::bsd::abi::EPOLL_CTL_ADD;
use tunstack::bsd::{EpollEvent, EpollFlags, Errno, FdSet, PollFd, PollFlags};

use crate::net::{connected, stack};

/// Signals go to the first thread of a process, which is this one.
pub(crate) fn interrupt() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    // Its handler asks for calls to be restarted where the system does that.
    let _handler = signal(SignalKind::user_defined1()).unwrap();
    let sys = stack();
    let (_client, server) = connected(&sys);
    let epoll = sys.epoll_create1(0).unwrap();
    sys.epoll_ctl(epoll, EPOLL_CTL_ADD, server, Some(EpollEvent::new(EpollFlags::IN, 0))).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Again and again: the first may come before the wait begins.
            while !over.load(Ordering::Relaxed) {
                kill_process(getpid(), Signal::USR1).unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut found = [EpollEvent::default()];
        assert_eq!(sys.poll(&mut [PollFd::new(server, PollFlags::IN)], -1), Err(Errno::INTR));
        assert_eq!(sys.ppoll(&mut [PollFd::new(server, PollFlags::IN)], None), Err(Errno::INTR));
        assert_eq!(sys.epoll_wait(epoll, &mut found, -1), Err(Errno::INTR));
        assert_eq!(sys.epoll_pwait2(epoll, &mut found, None), Err(Errno::INTR));
        let mut read = FdSet::new();
        read.insert(server).unwrap();
        let mut left = Duration::from_secs(1000);
        assert_eq!(sys.select(server + 1, Some(&mut read), None, None, Some(&mut left)), Err(Errno::INTR));
        assert!(read.contains(server), "the set is as it was");
        assert!(left < Duration::from_secs(1000) && !left.is_zero(), "{left:?}");
        over.store(true, Ordering::Relaxed);
    });
}
