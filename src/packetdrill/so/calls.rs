//! The table of calls: each is that of `tunstack.h`, of our sockets, or the kernel's, of what is none.

use std::ffi::{c_int, c_long, c_longlong, c_uint, c_ulong, c_void};
use std::ptr;
use std::time::Duration;

use libc::{
    epoll_event, iovec, loff_t, msghdr, nfds_t, off_t, pollfd, size_t, sockaddr, socklen_t, ssize_t, timeval,
};
use rust::bsd::Errno;
use tunstack::{options, sockets, transfer, wait};

use super::interface::{Interface, User};
use super::stack;

pub(crate) const TABLE: Interface = Interface {
    userdata: ptr::null_mut(),
    free,
    socket,
    bind,
    listen,
    accept,
    connect,
    read,
    readv,
    recv,
    recvfrom,
    recvmsg,
    write,
    writev,
    send,
    sendto,
    sendmsg,
    fcntl,
    ioctl,
    close,
    shutdown,
    getsockopt,
    setsockopt,
    poll,
    netdev_send,
    netdev_receive,
    usleep,
    gettimeofday,
    epoll_create,
    epoll_ctl,
    epoll_wait,
    pipe,
    splice,
};

/// -1, with `errno`.
fn fail<T: From<i8>>(errno: Errno) -> T {
    // SAFETY: a thread has its `errno` as long as it runs.
    unsafe { *libc::__errno_location() = errno.raw_os_error() };
    T::from(-1)
}

/// A call of our stack, on whichever thread it comes.
fn done<T: From<i8>>(call: impl FnOnce() -> T) -> T {
    stack::call(call).unwrap_or_else(fail)
}

/// Whether a call is the kernel's: of a pipe, say.
fn is_kernels(fd: c_int) -> bool {
    // SAFETY: a number that the kernel checks.
    !stack::is_ours(fd) && unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0
}

/// The stack stays as it is: the process ends now.
unsafe extern "C" fn free(_: User) {}

unsafe extern "C" fn socket(_: User, domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    stack::obey_sysctls();
    done(|| sockets::tunstack_socket(domain, kind, protocol))
}

// What holds for every function below that takes pointers: packetdrill hands them over as it does to the C library, and
// so do these.

unsafe extern "C" fn bind(_: User, fd: c_int, address: *const sockaddr, len: socklen_t) -> c_int {
    // SAFETY: as said above.
    done(|| unsafe { sockets::tunstack_bind(fd, address, len) })
}

unsafe extern "C" fn listen(_: User, fd: c_int, backlog: c_int) -> c_int {
    done(|| sockets::tunstack_listen(fd, backlog))
}

unsafe extern "C" fn accept(_: User, fd: c_int, address: *mut sockaddr, len: *mut socklen_t) -> c_int {
    // SAFETY: as said above.
    done(|| unsafe { sockets::tunstack_accept(fd, address, len) })
}

unsafe extern "C" fn connect(_: User, fd: c_int, address: *const sockaddr, len: socklen_t) -> c_int {
    stack::obey_sysctls();
    // SAFETY: as said above.
    done(|| unsafe { sockets::tunstack_connect(fd, address, len) })
}

unsafe extern "C" fn read(_: User, fd: c_int, buf: *mut c_void, len: size_t) -> ssize_t {
    if is_kernels(fd) {
        // SAFETY: as said above.
        return unsafe { libc::read(fd, buf, len) };
    }
    // SAFETY: as said above.
    done(|| unsafe { transfer::tunstack_read(fd, buf, len) })
}

unsafe extern "C" fn readv(_: User, fd: c_int, iov: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: as said above.
    done(|| unsafe { transfer::tunstack_readv(fd, iov, count) })
}

unsafe extern "C" fn recv(_: User, fd: c_int, buf: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
    // SAFETY: as said above.
    done(|| unsafe { transfer::tunstack_recv(fd, buf, len, flags) })
}

unsafe extern "C" fn recvfrom(
    _: User,
    fd: c_int,
    buf: *mut c_void,
    len: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_len: *mut socklen_t,
) -> ssize_t {
    // SAFETY: as said above.
    done(|| unsafe { transfer::tunstack_recvfrom(fd, buf, len, flags, address, address_len) })
}

unsafe extern "C" fn recvmsg(_: User, fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    // SAFETY: as said above.
    done(|| unsafe { transfer::tunstack_recvmsg(fd, message, flags) })
}

unsafe extern "C" fn write(_: User, fd: c_int, data: *const c_void, len: size_t) -> ssize_t {
    if is_kernels(fd) {
        // SAFETY: as said above.
        return unsafe { libc::write(fd, data, len) };
    }
    // SAFETY: as said above.
    done(|| unsafe { transfer::tunstack_write(fd, data, len) })
}

unsafe extern "C" fn writev(_: User, fd: c_int, iov: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: as said above.
    done(|| unsafe { transfer::tunstack_writev(fd, iov, count) })
}

unsafe extern "C" fn send(_: User, fd: c_int, data: *const c_void, len: size_t, flags: c_int) -> ssize_t {
    // SAFETY: as said above.
    done(|| unsafe { transfer::tunstack_send(fd, data, len, flags) })
}

unsafe extern "C" fn sendto(
    _: User,
    fd: c_int,
    data: *const c_void,
    len: size_t,
    flags: c_int,
    address: *const sockaddr,
    address_len: socklen_t,
) -> ssize_t {
    stack::obey_sysctls();
    // SAFETY: as said above.
    done(|| unsafe { transfer::tunstack_sendto(fd, data, len, flags, address, address_len) })
}

unsafe extern "C" fn sendmsg(_: User, fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    // SAFETY: as said above.
    done(|| unsafe { transfer::tunstack_sendmsg(fd, message, flags) })
}

unsafe extern "C" fn fcntl(_: User, fd: c_int, command: c_int, argument: c_long) -> c_int {
    if is_kernels(fd) {
        // SAFETY: as said above.
        return unsafe { libc::fcntl(fd, command, argument) };
    }
    done(|| options::tunstack_fcntl(fd, command, argument as c_int))
}

unsafe extern "C" fn ioctl(_: User, fd: c_int, request: c_ulong, value: *mut c_int) -> c_int {
    if is_kernels(fd) {
        // SAFETY: as said above.
        return unsafe { libc::ioctl(fd, request as _, value) };
    }
    // SAFETY: as said above.
    done(|| unsafe { options::tunstack_ioctl(fd, request, value) })
}

unsafe extern "C" fn close(_: User, fd: c_int) -> c_int {
    let closed = done(|| sockets::tunstack_close(fd));
    // SAFETY: the thread's own `errno`.
    if closed == -1 && unsafe { *libc::__errno_location() } == libc::ENOTSOCK {
        // SAFETY: the program's own descriptor, of a pipe say.
        return unsafe { libc::close(fd) };
    }
    closed
}

unsafe extern "C" fn shutdown(_: User, fd: c_int, how: c_int) -> c_int {
    done(|| sockets::tunstack_shutdown(fd, how))
}

pub(crate) unsafe extern "C" fn getsockopt(
    _: User,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    // SAFETY: as said above.
    done(|| unsafe { options::tunstack_getsockopt(fd, level, name, value, len) })
}

unsafe extern "C" fn setsockopt(
    _: User,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    stack::obey_sysctls();
    // SAFETY: as said above.
    done(|| unsafe { options::tunstack_setsockopt(fd, level, name, value, len) })
}

unsafe extern "C" fn poll(_: User, fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    // SAFETY: as said above.
    done(|| unsafe { wait::tunstack_poll(fds, count, timeout) })
}

unsafe extern "C" fn netdev_send(_: User, packet: *const c_void, len: size_t) -> c_int {
    // SAFETY: `len` octets, as said above.
    let packet = unsafe { std::slice::from_raw_parts(packet.cast::<u8>(), len) };
    stack::arrive(packet).map_or_else(fail, |()| 0)
}

unsafe extern "C" fn netdev_receive(
    _: User,
    buf: *mut c_void,
    len: *mut size_t,
    time: *mut c_longlong,
) -> c_int {
    let (packet, when) = match stack::next_packet() {
        Ok(Some((letter, when))) => (letter.packet, when),
        // None will ever come: nothing was received, which ends packetdrill's wait.
        Ok(None) => (Vec::new(), Duration::ZERO),
        // -1 would be asked again and again.
        Err(errno) => {
            complain!("no packet: {errno}");
            (Vec::new(), Duration::ZERO)
        }
    };
    // SAFETY: `len` says how much room `buf` has and takes how much was written, and `time` takes the time.
    unsafe {
        let room = (*len).min(packet.len());
        ptr::copy_nonoverlapping(packet.as_ptr(), buf.cast(), room);
        *len = room;
        *time = when.as_micros() as c_longlong;
    }
    0
}

unsafe extern "C" fn usleep(_: User, micros: c_uint) -> c_int {
    stack::sleep(Duration::from_micros(micros.into())).map_or_else(fail, |()| 0)
}

unsafe extern "C" fn gettimeofday(_: User, to: *mut timeval, _zone: *mut c_void) -> c_int {
    match stack::time() {
        Ok(time) => {
            // SAFETY: `to` takes a time, as said above.
            unsafe {
                (*to).tv_sec = time.as_secs() as libc::time_t;
                (*to).tv_usec = time.subsec_micros() as libc::suseconds_t;
            }
            0
        }
        Err(errno) => fail(errno),
    }
}

unsafe extern "C" fn epoll_create(_: User, size: c_int) -> c_int {
    // Since Linux 2.6.8 the size only has to be one.
    if size <= 0 { fail(Errno::INVAL) } else { done(|| wait::tunstack_epoll_create1(0)) }
}

unsafe extern "C" fn epoll_ctl(
    _: User,
    epoll: c_int,
    op: c_int,
    fd: c_int,
    event: *mut epoll_event,
) -> c_int {
    // SAFETY: as said above.
    done(|| unsafe { wait::tunstack_epoll_ctl(epoll, op, fd, event) })
}

unsafe extern "C" fn epoll_wait(
    _: User,
    epoll: c_int,
    events: *mut epoll_event,
    most: c_int,
    timeout: c_int,
) -> c_int {
    // SAFETY: as said above.
    done(|| unsafe { wait::tunstack_epoll_wait(epoll, events, most, timeout) })
}

unsafe extern "C" fn pipe(_: User, fds: *mut c_int) -> c_int {
    // SAFETY: room for two numbers, as said above.
    unsafe { libc::pipe(fds) }
}

pub(crate) unsafe fn sendfile(out: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t {
    // SAFETY: as said above.
    done(|| unsafe { transfer::tunstack_sendfile(out, from, offset, count) })
}

/// Octets that go over in one piece.
const PIECE: usize = 1 << 16;

/// From a socket of ours to a pipe, in one piece: the octets are copied. The other way is refused: what the socket did not
/// take would be lost. Offsets, which only files have, are refused as `splice` refuses them for both.
unsafe extern "C" fn splice(
    _: User,
    from: c_int,
    from_offset: *mut loff_t,
    to: c_int,
    to_offset: *mut loff_t,
    len: size_t,
    flags: c_uint,
) -> ssize_t {
    // packetdrill has no way to write a null pointer: it points to 0.
    // SAFETY: null or a number, as said above.
    let has_offset = |offset: *mut loff_t| !offset.is_null() && unsafe { *offset } != 0;
    if has_offset(from_offset) || has_offset(to_offset) {
        return fail(Errno::SPIPE);
    }
    if !stack::is_ours(from) {
        return fail(Errno::INVAL);
    }
    if let Err(errno) = stack::splice_begins() {
        return fail(errno);
    }
    let nonblocking = flags & libc::SPLICE_F_NONBLOCK != 0;
    let wait = if nonblocking { libc::MSG_DONTWAIT } else { 0 };
    let mut piece = vec![0u8; len.min(PIECE)];
    let mut receive = |len: usize, flags| {
        // SAFETY: the piece is ours, and no more is asked for than it has room for.
        done(|| unsafe { transfer::tunstack_recv(from, piece.as_mut_ptr().cast(), len, flags) })
    };
    // Taken from the socket only as far as the pipe has it.
    let seen = receive(len.min(PIECE), libc::MSG_PEEK | wait);
    let Ok(seen) = usize::try_from(seen) else { return seen };
    // SAFETY: `receive` has written as many octets, and nobody else has the piece.
    let written = unsafe { libc::write(to, piece.as_ptr().cast(), seen) };
    match usize::try_from(written) {
        Ok(written) if written > 0 => {
            let mut rest = vec![0u8; written];
            // SAFETY: the buffer is ours and as long as is said.
            done(|| unsafe {
                transfer::tunstack_recv(from, rest.as_mut_ptr().cast(), written, libc::MSG_DONTWAIT)
            })
        }
        _ => written,
    }
}
