//! `struct sockaddr` and back, and how results become `errno`.

use std::mem::{size_of, size_of_val};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use libc::{c_int, sa_family_t, sockaddr, sockaddr_in, sockaddr_in6, socklen_t, ssize_t};
use rust::bsd::{Errno, Result};

/// What a program named by a `struct sockaddr`.
pub(crate) enum Name {
    /// `AF_UNSPEC`: none at all, which ends an association.
    Nothing,
    /// An address and a port.
    Address(SocketAddr),
}

/// Reads an address.
///
/// # Safety
/// `address` is null or points to `len` octets.
pub(crate) unsafe fn read(address: *const sockaddr, len: socklen_t) -> Result<Name> {
    if address.is_null() {
        return Err(Errno::FAULT);
    }
    let len = len as usize;
    if len < size_of::<sa_family_t>() {
        return Err(Errno::INVAL);
    }
    // SAFETY: `len` octets can be read, and the family is the first of them; it need not be aligned.
    let family = c_int::from(unsafe { address.cast::<sa_family_t>().read_unaligned() });
    match family {
        libc::AF_UNSPEC => Ok(Name::Nothing),
        libc::AF_INET if len >= size_of::<sockaddr_in>() => {
            // SAFETY: that many octets can be read, and any octets are a `sockaddr_in`.
            let name = unsafe { address.cast::<sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Ok(Name::Address(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into()))
        }
        // The last field, the scope, came later than the structure: Linux takes it without (RFC 2133).
        libc::AF_INET6 if len >= size_of::<sockaddr_in6>() - size_of::<u32>() => {
            let mut name = [0; size_of::<sockaddr_in6>()];
            let had = len.min(size_of_val(&name));
            // SAFETY: `len` octets can be read, at most as many as `name` has are copied, and they do not overlap.
            unsafe { address.cast::<u8>().copy_to_nonoverlapping(name.as_mut_ptr(), had) };
            // SAFETY: as many octets as a `sockaddr_in6` has, and any octets are one.
            let name = unsafe { name.as_ptr().cast::<sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            Ok(Name::Address(SocketAddrV6::new(ip, port, name.sin6_flowinfo, name.sin6_scope_id).into()))
        }
        libc::AF_INET | libc::AF_INET6 => Err(Errno::INVAL),
        _ => Err(Errno::AFNOSUPPORT),
    }
}

/// Reads an address that may be left out.
///
/// # Safety
/// `address` is null or points to `len` octets.
pub(crate) unsafe fn read_optional(address: *const sockaddr, len: socklen_t) -> Result<Option<SocketAddr>> {
    if address.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    match unsafe { read(address, len) }? {
        Name::Nothing => Ok(None),
        Name::Address(address) => Ok(Some(address)),
    }
}

/// Writes an address as far as there is room, and its true length; a null `to` asks for nothing.
///
/// # Safety
/// `to` is null, or `len` points to the number of octets that may be written there.
pub(crate) unsafe fn write(name: Option<SocketAddr>, to: *mut sockaddr, len: *mut socklen_t) -> Result<()> {
    if to.is_null() {
        return Ok(());
    }
    if len.is_null() {
        return Err(Errno::FAULT);
    }
    // SAFETY: `len` is not null, and so points to a length.
    let room = unsafe { len.read_unaligned() };
    if socklen_t::MAX / 2 < room {
        return Err(Errno::INVAL);
    }
    let true_len = match name {
        None => 0,
        Some(SocketAddr::V4(v4)) => {
            let name = sockaddr_in {
                sin_family: libc::AF_INET as sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: at most `room` octets are written, as the caller allows.
            unsafe { copy_out(&name, to, room) }
        }
        Some(SocketAddr::V6(v6)) => {
            let name = sockaddr_in6 {
                sin6_family: libc::AF_INET6 as sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: at most `room` octets are written, as the caller allows.
            unsafe { copy_out(&name, to, room) }
        }
    };
    // SAFETY: `len` is not null, and so points to a length.
    unsafe { len.write_unaligned(true_len) };
    Ok(())
}

/// Copies a structure as far as `room` goes and gives its true length.
///
/// # Safety
/// `room` octets may be written at `to`; `T` has no padding.
unsafe fn copy_out<T>(value: &T, to: *mut sockaddr, room: socklen_t) -> socklen_t {
    let len = size_of::<T>();
    let octets = std::ptr::from_ref(value).cast::<u8>();
    // SAFETY: `value` has `len` octets, `to` has room for `room`, and they do not overlap.
    unsafe { octets.copy_to_nonoverlapping(to.cast(), len.min(room as usize)) };
    len as socklen_t
}

/// Sets `errno` and gives -1, as a system call that failed does.
pub(crate) fn fail(error: Errno) -> c_int {
    // SAFETY: the C library gives a pointer to the thread's own `errno`.
    unsafe { *libc::__errno_location() = error.raw_os_error() };
    -1
}

/// 0, or -1 with `errno`.
pub(crate) fn done(result: Result<()>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => fail(error),
    }
}

/// A descriptor or another small number, or -1 with `errno`.
pub(crate) fn number(result: Result<c_int>) -> c_int {
    result.unwrap_or_else(fail)
}

/// A count of octets, or -1 with `errno`.
pub(crate) fn count(result: Result<usize>) -> ssize_t {
    match result {
        Ok(n) => ssize_t::try_from(n).unwrap_or(ssize_t::MAX),
        Err(error) => fail(error) as ssize_t,
    }
}
