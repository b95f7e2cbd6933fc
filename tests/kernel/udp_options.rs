//! Options of the kernel's UDP that no crate has a name for.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Sets an option of `IPPROTO_UDP` that is a number.
pub(crate) fn set(socket: &UdpSocket, name: i32, value: i32) {
    let (level, size) = (libc::IPPROTO_UDP, size_of_val(&value) as libc::socklen_t);
    // SAFETY: pointer and length are those of `value`, which is only read.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    assert_eq!(done, 0, "{}", io::Error::last_os_error());
}
