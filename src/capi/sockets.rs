//! The calls that make, name, connect and end sockets.

use libc::{c_int, sockaddr, socklen_t};
use rust::bsd::{Errno, Result};

use crate::address::{Name, Peer, Taker, done, number, write};
use crate::host::sockets;

/// `socket(2)`: `AF_INET` or `AF_INET6`; `SOCK_STREAM` or `SOCK_DGRAM`, with `SOCK_NONBLOCK` and `SOCK_CLOEXEC`; protocol 0,
/// `IPPROTO_TCP` or `IPPROTO_UDP`.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_socket(domain: c_int, r#type: c_int, protocol: c_int) -> c_int {
    number(sockets().and_then(|sys| sys.socket(domain, r#type, protocol)))
}

/// `bind(2)`.
///
/// # Safety
/// `address` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_bind(fd: c_int, address: *const sockaddr, len: socklen_t) -> c_int {
    let bind = || -> Result<()> {
        let sys = sockets()?;
        let taker = Taker::of(&sys, fd)?;
        // SAFETY: as the caller promises.
        let name = unsafe { Name::read(address, len) }?;
        sys.bind(fd, &name.to_bind(taker)?)
    };
    done(bind())
}

/// `listen(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_listen(fd: c_int, backlog: c_int) -> c_int {
    done(sockets().and_then(|sys| sys.listen(fd, backlog)))
}

/// `accept(2)`.
///
/// # Safety
/// `address` is null, or `len` points to the number of octets that it has room for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_accept(fd: c_int, address: *mut sockaddr, len: *mut socklen_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { tunstack_accept4(fd, address, len, 0) }
}

/// `accept4(2)`, with `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
///
/// # Safety
/// `address` is null, or `len` points to the number of octets that it has room for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_accept4(
    fd: c_int,
    address: *mut sockaddr,
    len: *mut socklen_t,
    flags: c_int,
) -> c_int {
    let accept = || -> Result<c_int> {
        let sys = sockets()?;
        let (connection, peer) = sys.accept4(fd, flags)?;
        // SAFETY: as the caller promises.
        if let Err(error) = unsafe { write(Some(peer), address, len) } {
            sys.close(connection)?;
            return Err(error);
        }
        Ok(connection)
    };
    number(accept())
}

/// `connect(2)`. An address of the family `AF_UNSPEC` ends the association.
///
/// # Safety
/// `address` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_connect(fd: c_int, address: *const sockaddr, len: socklen_t) -> c_int {
    let connect = || -> Result<()> {
        let sys = sockets()?;
        let taker = Taker::of(&sys, fd)?;
        // SAFETY: as the caller promises.
        let name = unsafe { Name::read(address, len) }?;
        match name.to_connect(taker)? {
            Peer::Nobody => sys.disconnect(fd),
            Peer::Address(address) => sys.connect(fd, &address),
            Peer::Refused(why) if !taker.stream => Err(why),
            // A fresh socket refuses an address of the other family, and one in use says that it is.
            Peer::Refused(why) => match sys.connect(fd, &taker.foreign()) {
                Err(Errno::AFNOSUPPORT | Errno::INVAL) => Err(why),
                other => other,
            },
        }
    };
    done(connect())
}

/// `getsockname(2)`.
///
/// # Safety
/// `len` points to the number of octets that `address` has room for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_getsockname(
    fd: c_int,
    address: *mut sockaddr,
    len: *mut socklen_t,
) -> c_int {
    let name = sockets().and_then(|sys| sys.getsockname(fd));
    // SAFETY: as the caller promises.
    done(name.and_then(|name| unsafe { write(Some(name), address, len) }))
}

/// `getpeername(2)`.
///
/// # Safety
/// `len` points to the number of octets that `address` has room for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_getpeername(
    fd: c_int,
    address: *mut sockaddr,
    len: *mut socklen_t,
) -> c_int {
    let name = sockets().and_then(|sys| sys.getpeername(fd));
    // SAFETY: as the caller promises.
    done(name.and_then(|name| unsafe { write(Some(name), address, len) }))
}

/// `shutdown(2)`: `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_shutdown(fd: c_int, how: c_int) -> c_int {
    done(sockets().and_then(|sys| sys.shutdown(fd, how)))
}

/// `close(2)`. Descriptors of this library are closed by this call, not by `close`.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_close(fd: c_int) -> c_int {
    done(sockets().and_then(|sys| sys.close(fd)))
}

/// `dup(2)`.
#[unsafe(no_mangle)]
pub extern "C" fn tunstack_dup(fd: c_int) -> c_int {
    number(sockets().and_then(|sys| sys.dup(fd)))
}
