//! The calls that send and receive.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::slice::{from_raw_parts, from_raw_parts_mut};

use libc::{c_int, c_void, iovec, msghdr, off_t, size_t, sockaddr, sockaddr_storage, socklen_t, ssize_t};
use rust::bsd::abi::MsgFlags;
use rust::bsd::{Errno, MessageOut, Result};

use crate::address::{Name, Taker, count, write};
use crate::ancillary::{put, segment_size};
use crate::host::sockets;

/// Octets that one call moves at the most (`MAX_RW_COUNT`).
const MOST: usize = 0x7fff_f000;

/// Buffers that one call takes at the most (`UIO_MAXIOV`).
const MOST_PARTS: usize = 1024;

/// The longest address (`sizeof (struct sockaddr_storage)`).
const LONGEST: socklen_t = size_of::<sockaddr_storage>() as socklen_t;

/// # Safety
/// `data` points to `len` octets that nobody changes during the call.
unsafe fn octets<'a>(data: *const c_void, len: size_t) -> Result<&'a [u8]> {
    match (data.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Errno::FAULT),
        // SAFETY: as the caller promises.
        _ => Ok(unsafe { from_raw_parts(data.cast(), len.min(MOST)) }),
    }
}

/// # Safety
/// `buf` points to `len` octets that nobody else uses during the call. They need not have been written before: octets
/// have no value that is invalid, and they are only written to.
unsafe fn octets_mut<'a>(buf: *mut c_void, len: size_t) -> Result<&'a mut [u8]> {
    match (buf.is_null(), len) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(Errno::FAULT),
        // SAFETY: as the caller promises.
        _ => Ok(unsafe { from_raw_parts_mut(buf.cast(), len.min(MOST)) }),
    }
}

/// # Safety
/// `parts` points to `n` buffers.
unsafe fn parts<'a>(parts: *const iovec, n: usize, too_many: Errno) -> Result<&'a [iovec]> {
    match (parts.is_null(), n) {
        (_, 0) => Ok(&[]),
        _ if n > MOST_PARTS => Err(too_many),
        (true, _) => Err(Errno::FAULT),
        // SAFETY: as the caller promises.
        _ => Ok(unsafe { from_raw_parts(parts, n) }),
    }
}

/// # Safety
/// Each part points to as many octets as it says.
unsafe fn gather<'a>(parts: &[iovec]) -> Result<Vec<IoSlice<'a>>> {
    // SAFETY: as the caller promises.
    parts.iter().map(|part| Ok(IoSlice::new(unsafe { octets(part.iov_base, part.iov_len) }?))).collect()
}

/// # Safety
/// Each part points to as many octets as it says, which nobody else uses during the call.
unsafe fn spread<'a>(parts: &[iovec]) -> Result<Vec<IoSliceMut<'a>>> {
    let part = |part: &iovec| {
        // SAFETY: as the caller promises.
        Ok(IoSliceMut::new(unsafe { octets_mut(part.iov_base, part.iov_len) }?))
    };
    parts.iter().map(part).collect()
}

/// `send(2)`. There is no `SIGPIPE`: `EPIPE` says all.
///
/// # Safety
/// `data` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_send(fd: c_int, data: *const c_void, len: size_t, flags: c_int) -> ssize_t {
    // SAFETY: as the caller promises.
    unsafe { tunstack_sendto(fd, data, len, flags, std::ptr::null(), 0) }
}

/// `sendto(2)`.
///
/// # Safety
/// `data` points to `len` octets; `address` is null or points to `address_len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_sendto(
    fd: c_int,
    data: *const c_void,
    len: size_t,
    flags: c_int,
    address: *const sockaddr,
    address_len: socklen_t,
) -> ssize_t {
    let send = || -> Result<usize> {
        let sys = sockets()?;
        let taker = Taker::of(&sys, fd)?;
        let flags = MsgFlags::from_bits_retain(flags);
        let to = if address.is_null() {
            None
        } else {
            // SAFETY: as the caller promises.
            unsafe { Name::read(address, address_len) }?.to_send(taker, flags.contains(MsgFlags::FASTOPEN))?
        };
        // SAFETY: as the caller promises.
        let data = unsafe { octets(data, len) }?;
        sys.sendto(fd, data, flags, to.as_ref())
    };
    count(send())
}

/// `recv(2)`.
///
/// # Safety
/// `buf` has room for `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_recv(fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
    // SAFETY: as the caller promises.
    unsafe { tunstack_recvfrom(fd, buf, len, flags, std::ptr::null_mut(), std::ptr::null_mut()) }
}

/// `recvfrom(2)`.
///
/// # Safety
/// `buf` has room for `len` octets; `address` is null, or `address_len` points to the number of octets that it has room
/// for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_recvfrom(
    fd: c_int,
    buf: *mut c_void,
    len: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_len: *mut socklen_t,
) -> ssize_t {
    let receive = || -> Result<usize> {
        let sys = sockets()?;
        Taker::of(&sys, fd)?;
        // SAFETY: as the caller promises.
        let buf = unsafe { octets_mut(buf, len) }?;
        let (n, from) = sys.recvfrom(fd, buf, MsgFlags::from_bits_retain(flags))?;
        // SAFETY: as the caller promises.
        unsafe { write(from, address, address_len) }?;
        Ok(n)
    };
    count(receive())
}

/// `read(2)`.
///
/// # Safety
/// `buf` has room for `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_read(fd: c_int, buf: *mut c_void, len: size_t) -> ssize_t {
    let read = || -> Result<usize> {
        let sys = sockets()?;
        Taker::of(&sys, fd)?;
        // SAFETY: as the caller promises.
        sys.read(fd, unsafe { octets_mut(buf, len) }?)
    };
    count(read())
}

/// `write(2)`.
///
/// # Safety
/// `data` points to `len` octets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_write(fd: c_int, data: *const c_void, len: size_t) -> ssize_t {
    let write = || -> Result<usize> {
        let sys = sockets()?;
        Taker::of(&sys, fd)?;
        // SAFETY: as the caller promises.
        sys.write(fd, unsafe { octets(data, len) }?)
    };
    count(write())
}

/// `readv(2)`.
///
/// # Safety
/// `iov` points to `iovcnt` buffers, each with as many octets as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_readv(fd: c_int, iov: *const iovec, iovcnt: c_int) -> ssize_t {
    let read = || -> Result<usize> {
        let sys = sockets()?;
        Taker::of(&sys, fd)?;
        let n = usize::try_from(iovcnt).map_err(|_| Errno::INVAL)?;
        // SAFETY: as the caller promises.
        let mut bufs = unsafe { spread(parts(iov, n, Errno::INVAL)?) }?;
        sys.readv(fd, &mut bufs)
    };
    count(read())
}

/// `writev(2)`.
///
/// # Safety
/// `iov` points to `iovcnt` buffers, each with as many octets as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_writev(fd: c_int, iov: *const iovec, iovcnt: c_int) -> ssize_t {
    let write = || -> Result<usize> {
        let sys = sockets()?;
        Taker::of(&sys, fd)?;
        let n = usize::try_from(iovcnt).map_err(|_| Errno::INVAL)?;
        // SAFETY: as the caller promises.
        let bufs = unsafe { gather(parts(iov, n, Errno::INVAL)?) }?;
        sys.writev(fd, &bufs)
    };
    count(write())
}

/// `sendmsg(2)`. Of control messages `UDP_SEGMENT` is there; others are refused (`EINVAL`).
///
/// # Safety
/// `message` points to a message whose pointers are each null or point to as many octets as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    let send = || -> Result<usize> {
        let sys = sockets()?;
        let taker = Taker::of(&sys, fd)?;
        // SAFETY: null, or a message, as the caller promises.
        let message = unsafe { message.as_ref() }.ok_or(Errno::FAULT)?;
        let named = if message.msg_name.is_null() { 0 } else { message.msg_namelen };
        // What lies behind the longest address is not looked at; a length below 0 is none.
        let len = u32::try_from(i32::try_from(named).map_err(|_| Errno::INVAL)?).unwrap_or(0).min(LONGEST);
        if message.msg_iovlen > MOST_PARTS {
            return Err(Errno::MSGSIZE);
        }
        // SAFETY: as the caller promises.
        let name = unsafe { Name::read(message.msg_name.cast(), len) }?;
        // SAFETY: as the caller promises.
        let segment_size = unsafe { segment_size(message) }?;
        let flags = MsgFlags::from_bits_retain(flags);
        let to = if len == 0 { None } else { name.to_send(taker, flags.contains(MsgFlags::FASTOPEN))? };
        // SAFETY: as the caller promises.
        let data = unsafe { gather(parts(message.msg_iov, message.msg_iovlen, Errno::MSGSIZE)?) }?;
        sys.sendmsg_with(fd, &MessageOut { name: to, segment_size, ..MessageOut::new(&data) }, flags)
    };
    count(send())
}

/// `sendfile(2)`, from a file of the kernel's to a socket. The octets are copied.
///
/// # Safety
/// `offset` is null or points to a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_sendfile(
    out_fd: c_int,
    in_fd: c_int,
    offset: *mut off_t,
    count: size_t,
) -> ssize_t {
    let send = || -> Result<usize> {
        let sys = sockets()?;
        Taker::of(&sys, out_fd)?;
        if in_fd < 0 {
            return Err(Errno::BADF);
        }
        // SAFETY: the kernel checks the number at each call, and none of them closes it.
        let file = unsafe { BorrowedFd::borrow_raw(in_fd) };
        // SAFETY: as the caller promises.
        let Some(place) = (unsafe { offset.as_mut() }) else {
            return sys.sendfile(out_fd, file, None, count.min(MOST));
        };
        let mut at = u64::try_from(*place).map_err(|_| Errno::INVAL)?;
        let sent = sys.sendfile(out_fd, file, Some(&mut at), count.min(MOST))?;
        *place = off_t::try_from(at).unwrap_or(off_t::MAX);
        Ok(sent)
    };
    self::count(send())
}

/// `recvmsg(2)`. Sets `msg_namelen`, `msg_controllen` and `msg_flags`. With `TCP_INQ` there is a control message
/// `TCP_CM_INQ`, and with `UDP_GRO` one of that name.
///
/// # Safety
/// `message` points to a message whose pointers are each null or point to as many octets as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tunstack_recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    let receive = || -> Result<usize> {
        let sys = sockets()?;
        Taker::of(&sys, fd)?;
        // SAFETY: null, or a message that is the caller's alone, as it promises.
        let message = unsafe { message.as_mut() }.ok_or(Errno::FAULT)?;
        // SAFETY: as the caller promises.
        let mut data = unsafe { spread(parts(message.msg_iov, message.msg_iovlen, Errno::MSGSIZE)?) }?;
        let received = sys.recvmsg(fd, &mut data, MsgFlags::from_bits_retain(flags))?;
        // SAFETY: as the caller promises.
        unsafe { write(received.name, message.msg_name.cast(), &raw mut message.msg_namelen) }?;
        // SAFETY: as the caller promises.
        let cut = unsafe { put(received.control, message) };
        message.msg_flags = (received.flags | cut).bits();
        Ok(received.len)
    };
    count(receive())
}
