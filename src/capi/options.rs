//! The calls that ask and change what a socket is: options, modes, queues.

use std::slice::{from_raw_parts, from_raw_parts_mut};

use libc::{c_int, c_ulong, c_void, socklen_t};
use rust::bsd::{Errno, Result};

use crate::address::{Taker, done, number};
use crate::host::sockets;

/// The largest option is a few hundred octets; a longer buffer is not looked at further.
const LONGEST: usize = 4096;

/// `setsockopt(2)`.
///
/// # Safety
/// `value` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    let set = || -> Result<()> {
        let sys = sockets()?;
        Taker::of(&sys, fd)?;
        // A length below 0, seen as the number without a sign that `socklen_t` is.
        let len = i32::try_from(len).map_err(|_| Errno::INVAL)?.unsigned_abs() as usize;
        let value = match (value.is_null(), len) {
            (_, 0) => &[],
            (true, _) => return Err(Errno::FAULT),
            // SAFETY: as the caller promises.
            _ => unsafe { from_raw_parts(value.cast(), len.min(LONGEST)) },
        };
        sys.setsockopt(fd, level, name, value)
    };
    done(set())
}

/// `getsockopt(2)`.
///
/// # Safety
/// `len` points to the number of octets that `value` has room for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    let get = || -> Result<()> {
        let sys = sockets()?;
        Taker::of(&sys, fd)?;
        // SAFETY: null, or a length, as the caller promises.
        let len = unsafe { len.as_mut() }.ok_or(Errno::FAULT)?;
        let room = i32::try_from(*len).map_err(|_| Errno::INVAL)?.unsigned_abs() as usize;
        let value = match (value.is_null(), room) {
            (_, 0) => &mut [],
            (true, _) => return Err(Errno::FAULT),
            // SAFETY: as the caller promises.
            _ => unsafe { from_raw_parts_mut(value.cast(), room.min(LONGEST)) },
        };
        *len = sys.getsockopt(fd, level, name, value)? as socklen_t;
        Ok(())
    };
    done(get())
}

/// `fcntl(2)` with an argument of type int: `F_GETFL`, `F_SETFL`, `F_GETFD`, `F_SETFD`, `F_DUPFD`, `F_DUPFD_CLOEXEC`. Where
/// the command takes no argument it is 0.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_fcntl(fd: c_int, command: c_int, argument: c_int) -> c_int {
    number(sockets().and_then(|sys| sys.fcntl(fd, command, argument)))
}

/// `ioctl(2)` with a pointer to an int: `FIONREAD`, `FIONBIO`, `SIOCATMARK`, `SIOCOUTQ`, `SIOCOUTQNSD`.
///
/// # Safety
/// `value` is null or points to an int.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_ioctl(fd: c_int, request: c_ulong, value: *mut c_int) -> c_int {
    let ask = || -> Result<()> {
        let sys = sockets()?;
        Taker::of(&sys, fd)?;
        // SAFETY: null, or an int that is the caller's alone, as it promises.
        let value = unsafe { value.as_mut() }.ok_or(Errno::FAULT)?;
        sys.ioctl(fd, request as libc::Ioctl, value)
    };
    done(ask())
}

/// `dup2(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_dup2(fd: c_int, to: c_int) -> c_int {
    number(sockets().and_then(|sys| sys.dup2(fd, to)))
}

/// `dup3(2)`, with `O_CLOEXEC`.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_dup3(fd: c_int, to: c_int, flags: c_int) -> c_int {
    number(sockets().and_then(|sys| sys.dup3(fd, to, flags)))
}
