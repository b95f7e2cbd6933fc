//! The calls that wait for many descriptors. They take descriptors of the kernel beside those of this library.

use std::slice::from_raw_parts_mut;

use libc::{c_int, epoll_event, fd_set, nfds_t, pollfd, timeval};
use rust::bsd::{EpollEvent, EpollFlags, Errno, FdSet, PollFd, PollFlags, Result};

use crate::address::{done, number};
use crate::host::sockets;

/// How many descriptors the process may have, which is also how many `poll` looks at.
fn most_descriptors() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is ours; with this resource and a place to write to the call cannot fail.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX).min(i32::MAX as usize)
}

/// `poll(2)`.
///
/// # Safety
/// `fds` points to `nfds` descriptors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_poll(fds: *mut pollfd, nfds: nfds_t, timeout: c_int) -> c_int {
    let poll = || -> Result<c_int> {
        let n = usize::try_from(nfds).ok().filter(|n| *n <= most_descriptors()).ok_or(Errno::INVAL)?;
        let fds = match (fds.is_null(), n) {
            (_, 0) => &mut [],
            (true, _) => return Err(Errno::FAULT),
            // SAFETY: as the caller promises.
            _ => unsafe { from_raw_parts_mut(fds, n) },
        };
        let mut asked: Vec<PollFd> = fds
            .iter()
            .map(|p| PollFd {
                fd: p.fd,
                events: PollFlags::from_bits_retain(p.events),
                revents: PollFlags::empty(),
            })
            .collect();
        let ready = sockets()?.poll(&mut asked, timeout)?;
        for (to, from) in fds.iter_mut().zip(&asked) {
            to.revents = from.revents.bits();
        }
        Ok(ready as c_int)
    };
    number(poll())
}

/// # Safety
/// `set` is null or a set.
unsafe fn read_set(set: *const fd_set, nfds: c_int) -> Result<Option<FdSet>> {
    if set.is_null() {
        return Ok(None);
    }
    let mut copy = FdSet::default();
    for fd in 0..nfds {
        // SAFETY: a set, as the caller promises, and a number that it has room for.
        if unsafe { libc::FD_ISSET(fd, set) } {
            copy.insert(fd)?;
        }
    }
    Ok(Some(copy))
}

/// # Safety
/// `to` is null or a set.
unsafe fn write_set(set: Option<&FdSet>, to: *mut fd_set) {
    let Some(set) = set else { return };
    // SAFETY: there is a copy of it, so it was not null; and the numbers in it are those that a set has room for.
    unsafe {
        libc::FD_ZERO(to);
        set.iter().for_each(|fd| libc::FD_SET(fd, to));
    }
}

/// `select(2)`. What is left of the time is written to `timeout`, as Linux does.
///
/// # Safety
/// Each set is null or a set, and `timeout` null or a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_select(
    nfds: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *mut timeval,
) -> c_int {
    let select = || -> Result<c_int> {
        let most = nfds.clamp(0, libc::FD_SETSIZE as c_int);
        // SAFETY: as the caller promises.
        let (mut r, mut w, mut e, time) = unsafe {
            (read_set(read, most)?, read_set(write, most)?, read_set(except, most)?, timeout.as_mut())
        };
        let mut left = time.as_deref().map(time_of).transpose()?;
        let ready = sockets()?.select(nfds, r.as_mut(), w.as_mut(), e.as_mut(), left.as_mut());
        // A call that a signal ends says what is left as well.
        if let (Some(time), Some(left)) = (time, left) {
            time.tv_sec = left.as_secs() as _;
            time.tv_usec = left.subsec_micros() as _;
        }
        let ready = ready?;
        // SAFETY: as the caller promises.
        unsafe {
            write_set(r.as_ref(), read);
            write_set(w.as_ref(), write);
            write_set(e.as_ref(), except);
        }
        Ok(ready as c_int)
    };
    number(select())
}

fn time_of(time: &timeval) -> Result<std::time::Duration> {
    let seconds = u64::try_from(time.tv_sec).map_err(|_| Errno::INVAL)?;
    let micros = u64::try_from(time.tv_usec).map_err(|_| Errno::INVAL)?;
    let micros = std::time::Duration::from_micros(micros);
    std::time::Duration::from_secs(seconds).checked_add(micros).ok_or(Errno::INVAL)
}

/// `epoll_create1(2)`. The descriptor is closed by `tunstack_close`.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_epoll_create1(flags: c_int) -> c_int {
    number(sockets().and_then(|sys| sys.epoll_create1(flags)))
}

/// `epoll_ctl(2)`. The kernel's own does as well.
///
/// # Safety
/// `event` is null or an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_epoll_ctl(
    epfd: c_int,
    op: c_int,
    fd: c_int,
    event: *const epoll_event,
) -> c_int {
    // SAFETY: null, or an event, as the caller promises; on some machines it is not aligned.
    let event = (!event.is_null()).then(|| unsafe { event.read_unaligned() });
    let event =
        event.map(|event| EpollEvent { events: EpollFlags::from_bits_retain(event.events), data: event.u64 });
    done(sockets().and_then(|sys| sys.epoll_ctl(epfd, op, fd, event)))
}

/// `epoll_wait(2)`.
///
/// # Safety
/// `events` has room for `most` events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_epoll_wait(
    epfd: c_int,
    events: *mut epoll_event,
    most: c_int,
    timeout: c_int,
) -> c_int {
    let wait = || -> Result<c_int> {
        let room = usize::try_from(most).ok().filter(|n| *n > 0).ok_or(Errno::INVAL)?;
        if events.is_null() {
            return Err(Errno::FAULT);
        }
        let mut ready = vec![EpollEvent { events: EpollFlags::empty(), data: 0 }; room.min(65_536)];
        let n = sockets()?.epoll_wait(epfd, &mut ready, timeout)?;
        for (i, event) in ready.iter().take(n).enumerate() {
            let event = epoll_event { events: event.events.bits(), u64: event.data };
            // SAFETY: `i` is below the number of events for which there is room, as the caller promises.
            unsafe { events.add(i).write_unaligned(event) };
        }
        Ok(n as c_int)
    };
    number(wait())
}
