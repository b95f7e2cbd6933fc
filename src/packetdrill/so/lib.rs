//! `libtunstack_packetdrill.so`: what the original packetdrill loads with `--so_filename`, so that it judges this stack
//! instead of the kernel's.
//!
//! ```sh
//! LD_PRELOAD=$PWD/libtunstack_packetdrill.so packetdrill --so_filename=$PWD/libtunstack_packetdrill.so script.pkt
//! ```
//!
//! Preloading is for scripts with `%{ }%` blocks, for `sendfile` and for what commands do that no sysctl tells: these calls go to
//! the process, not to the interface.
//! The stack is made at the script's first call. Its addresses and its MTU are those of packetdrill's options, which are read
//! where packetdrill has them from: its command line and the script's head. Its settings are those of the sysctls of
//! the network namespace, and Linux's where there is none: segments without a timestamp are taken. Time is virtual: it goes on
//! when packetdrill sleeps or waits for a packet.
//!
//! # What the interface cannot express
//!
//! - Back-tick commands run on the host: sysctls that they change are obeyed from the next `socket`, `setsockopt`, `connect` or `sendto`
//!   on. Preloaded, the library also heeds `ip tcp_metrics flush` and, before the first `socket()`, `tc qdisc … root fq`, wherever
//!   they stand in a line of commands, or in a file that it calls, that ended with status 0. Nothing else that they do reaches
//!   the stack.
//! - A `splice` that has to wait: packetdrill itself holds its lock over that call, over the kernel's stack too, and would wait
//!   for ever. The process ends instead, and says so. `poll` waits; the `splice` comes after it, without an end time.
//! - `setsockopt` and the like on descriptors that packetdrill duplicates itself reach the kernel's socket behind ours.
//! - Messages of the error queue and time stamps of packets are not there, as everywhere in this stack.

/// Says something on standard error. Nobody need read it: a panic for that would end packetdrill.
macro_rules! complain {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "libtunstack_packetdrill: {}", format_args!($($what)*));
    }};
}

mod interface;

mod setup;

mod stack;

mod calls;

use std::ffi::{c_char, c_int, c_void};

use libc::{off_t, size_t, socklen_t, ssize_t};

use interface::Interface;

/// Fills packetdrill's table of calls.
///
/// # Safety
/// `interface` points to a `struct packetdrill_interface`; `_flags` is null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn packetdrill_interface_init(_flags: *const c_char, interface: *mut Interface) {
    // SAFETY: as the caller promises; it is the caller's to fill.
    unsafe { interface.write(calls::TABLE) };
}

/// `getsockopt(2)` of the process when this library is preloaded: of our sockets by us, of others by the kernel.
///
/// # Safety
/// `len` points to the length of what `value` has room for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    if stack::is_ours(fd) {
        // SAFETY: as the caller promises.
        return unsafe { calls::getsockopt(std::ptr::null_mut(), fd, level, name, value, len) };
    }
    // SAFETY: the kernel checks what it is given. Not by the function of the C library: it may be this one.
    unsafe { libc::syscall(libc::SYS_getsockopt, fd, level, name, value, len) as c_int }
}

/// `system(3)` of the process when this library is preloaded, by which packetdrill runs a script's commands, a line of them at
/// once. What they ask of the kernel's TCP that no sysctl tells, and that this stack has too, it does as well: it forgets its Fast
/// Open cookies with `ip tcp_metrics flush`, and paces where the device is given the queue `fq`.
///
/// A line whose status is not 0 is not heeded: packetdrill ends at it. The shell tells no more than the status of the line. Where
/// that is 0 all of it is heeded, even a command in its midst that failed because the namespace has no such device or its
/// kernel no such queue: the device of the script is the library itself.
///
/// # Safety
/// `command` is null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn system(command: *const c_char) -> c_int {
    type System = unsafe extern "C" fn(*const c_char) -> c_int;
    // SAFETY: the name is a C string, and the one behind this is the C library's, of that type.
    let next = unsafe {
        std::mem::transmute::<*mut c_void, Option<System>>(libc::dlsym(libc::RTLD_NEXT, c"system".as_ptr()))
    };
    let Some(next) = next else {
        complain!("no system(3)");
        return -1;
    };
    // SAFETY: as the caller promises.
    let status = unsafe { next(command) };
    if status == 0 && !command.is_null() {
        // SAFETY: as the caller promises.
        stack::obey_command(&unsafe { std::ffi::CStr::from_ptr(command) }.to_string_lossy());
    }
    status
}

/// `sendfile(2)` of the process when this library is preloaded: to our sockets by us, to others by the kernel.
///
/// # Safety
/// `offset` is null or points to a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sendfile(out: c_int, from: c_int, offset: *mut off_t, count: size_t) -> ssize_t {
    if stack::is_ours(out) {
        // SAFETY: as the caller promises.
        return unsafe { calls::sendfile(out, from, offset, count) };
    }
    // SAFETY: the kernel checks what it is given. Not by the function of the C library: it may be this one.
    unsafe { libc::syscall(libc::SYS_sendfile, out, from, offset, count) as ssize_t }
}
