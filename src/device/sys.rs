//! The few calls on a device that no crate wraps safely. Those on descriptors are in `bsd`, the mask of signals in `engine`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::ioctl::{IntegerSetter, Opcode, ioctl, opcode};
use tun_tap::Iface;

/// `TUNSETPERSIST` of `<linux/if_tun.h>`: whether the device outlives its descriptor.
const TUNSETPERSIST: Opcode = opcode::write::<i32>(b'T', 203);
/// `TUNSETOWNER` of `<linux/if_tun.h>`: the user who may attach without privileges.
const TUNSETOWNER: Opcode = opcode::write::<i32>(b'T', 204);

/// The descriptor of a TUN, to wait on and to write to.
pub(crate) fn descriptor(iface: &Iface) -> BorrowedFd<'_> {
    // SAFETY: `Iface` owns the open file behind this number and closes it only when it is dropped, which the
    // borrow of `iface` rules out for as long as the result lives.
    unsafe { BorrowedFd::borrow_raw(iface.as_raw_fd()) }
}

/// Makes a TUN stay when its last descriptor is closed, or not.
pub(crate) fn set_persistent(iface: &Iface, persistent: bool) -> io::Result<()> {
    // SAFETY: the opcode is the kernel's for TUNSETPERSIST, whose argument is an integer passed by value, 0 or
    // 1; the kernel touches no memory of ours. The descriptor is that of an open TUN.
    unsafe {
        ioctl(descriptor(iface), IntegerSetter::<TUNSETPERSIST>::new_usize(usize::from(persistent)))?;
    }
    Ok(())
}

/// Lets the user `uid` attach to a TUN without privileges.
pub(crate) fn set_owner(iface: &Iface, uid: u32) -> io::Result<()> {
    // SAFETY: the opcode is the kernel's for TUNSETOWNER, whose argument is a user id passed by value; the
    // kernel touches no memory of ours. The descriptor is that of an open TUN.
    unsafe { ioctl(descriptor(iface), IntegerSetter::<TUNSETOWNER>::new_usize(uid as usize))? };
    Ok(())
}
