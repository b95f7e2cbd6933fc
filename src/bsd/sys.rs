//! What has to do with numbers of descriptors rather than with descriptors: the face's only `unsafe`.

use std::mem::ManuallyDrop;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use rustix::io::{DupFlags, Errno};

use super::Result;

/// The descriptor of a number that a program named, for the length of a call.
///
/// The number need not be open: the kernel says `EBADF` then, which is what the program is to hear.
pub(super) fn borrow<'a>(fd: RawFd) -> Option<BorrowedFd<'a>> {
    // SAFETY: the number is used for system calls that check it (never to close it), as C programs do. -1 is the
    // one value that a `BorrowedFd` must not have.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Whether the number is an open descriptor of the process.
pub(super) fn is_open(fd: RawFd) -> bool {
    borrow(fd).is_some_and(|fd| rustix::io::fcntl_getfd(fd).is_ok())
}

/// Gives a descriptor the number `to` as well; what has that number is closed.
pub(super) fn duplicate_onto(fd: &OwnedFd, to: RawFd, cloexec: bool) -> Result<OwnedFd> {
    if to < 0 {
        return Err(Errno::BADF);
    }
    let flags = if cloexec { DupFlags::CLOEXEC } else { DupFlags::empty() };
    // SAFETY: the number is not -1. It is the program's to give away, which it does by its call of `dup2`; here it is
    // handed to the one system call that checks and replaces it, and on failure nothing has become of it.
    let mut number = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(to) });
    rustix::io::dup3(fd, &mut number, flags)?;
    Ok(ManuallyDrop::into_inner(number))
}

/// What a call of the C library gave: a number, or -1 and `errno`.
fn outcome(result: i32) -> Result<usize> {
    usize::try_from(result).map_err(|_| {
        let error = std::io::Error::last_os_error();
        Errno::from_io_error(&error).unwrap_or(Errno::IO)
    })
}

/// `ppoll(2)` without a signal mask; `None` waits for ever.
pub(super) fn ppoll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> Result<usize> {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        // Below 10⁹, which every type of the field holds.
        tv_nsec: timeout.subsec_nanos() as _,
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the array and the time are ours for the length of the call, and the length is the array's.
    outcome(unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout, ptr::null()) })
}

/// Words of a set of descriptors as `select(2)` takes it.
pub(super) type SetWord = libc::c_ulong;

/// Descriptors that a set has room for.
pub(super) const SET_SIZE: usize = libc::FD_SETSIZE;

/// A set of descriptors, a bit for each number.
pub(super) type SetWords = [SetWord; SET_SIZE / SetWord::BITS as usize];

const _: () = assert!(size_of::<SetWords>() == size_of::<libc::fd_set>());
const _: () = assert!(align_of::<SetWords>() == align_of::<libc::fd_set>());

/// `select(2)`; `timeout` is what is left of it afterwards.
pub(super) fn select(
    nfds: i32,
    sets: [Option<&mut SetWords>; 3],
    timeout: Option<&mut libc::timeval>,
) -> Result<usize> {
    let nfds = nfds.min(libc::FD_SETSIZE as i32);
    let [read, write, except] =
        sets.map(|set| set.map_or(ptr::null_mut(), ptr::from_mut).cast::<libc::fd_set>());
    let timeout = timeout.map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: each set is null or has room for as many numbers as are asked for, the time is null or a time, and
    // all are ours alone for the length of the call. Numbers in the sets are looked up, never closed.
    outcome(unsafe { libc::select(nfds, read, write, except, timeout) })
}

/// `epoll_create1(2)`.
pub(super) fn epoll_create1(flags: i32) -> Result<OwnedFd> {
    // SAFETY: it takes a number.
    let fd = outcome(unsafe { libc::epoll_create1(flags) })?;
    // SAFETY: the kernel has just made it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `epoll_ctl(2)`.
pub(super) fn epoll_ctl(
    epfd: RawFd,
    op: i32,
    fd: RawFd,
    event: Option<&mut libc::epoll_event>,
) -> Result<()> {
    let event = event.map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: numbers that the kernel checks, and an event or null, for which it gives `EFAULT`.
    outcome(unsafe { libc::epoll_ctl(epfd, op, fd, event) }).map(drop)
}

/// `epoll_wait(2)`: milliseconds, and below 0 for ever.
pub(super) fn epoll_wait(epfd: RawFd, events: &mut [libc::epoll_event], timeout: i32) -> Result<usize> {
    let most = i32::try_from(events.len()).unwrap_or(i32::MAX);
    // SAFETY: the array is ours for the length of the call and has room for at least as many events.
    outcome(unsafe { libc::epoll_wait(epfd, events.as_mut_ptr(), most, timeout) })
}

/// `epoll_pwait2(2)` without a signal mask; `ENOSYS` before Linux 5.11.
pub(super) fn epoll_pwait2(
    epfd: RawFd,
    events: &mut [libc::epoll_event],
    timeout: Option<Duration>,
) -> Result<usize> {
    /// The kernel's own, of 64 bits everywhere.
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanoseconds: i64,
    }
    let most = i32::try_from(events.len()).unwrap_or(i32::MAX);
    let timeout = timeout.map(|timeout| Timespec {
        seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    let no_mask = ptr::null::<libc::sigset_t>();
    // SAFETY: the array and the time are ours for the length of the call, and the array has room for at least as
    // many events. Without a mask its size is not looked at.
    let result = unsafe {
        libc::syscall(libc::SYS_epoll_pwait2, epfd, events.as_mut_ptr(), most, timeout, no_mask, 0usize)
    };
    // A count of events, or -1.
    outcome(result as i32)
}
