//! The few calls on a device that no crate wraps safely. Those on descriptors are in `bsd`, the mask of signals in `engine`.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;
use std::os::fd::BorrowedFd;

#[cfg(feature = "offload")]
use rustix::ioctl::Setter;
use rustix::ioctl::{Getter, IntegerSetter, Opcode, Updater, ioctl, opcode};

// From `<linux/if_tun.h>`. The size in an opcode is that of an integer even where a structure is meant.

/// Attaches a descriptor to a device, made if it is not there.
const TUNSETIFF: Opcode = opcode::write::<c_int>(b'T', 202);
/// Whether the device outlives its descriptor.
const TUNSETPERSIST: Opcode = opcode::write::<c_int>(b'T', 203);
/// The user who may attach without privileges.
const TUNSETOWNER: Opcode = opcode::write::<c_int>(b'T', 204);
/// What the driver can do at all.
const TUNGETFEATURES: Opcode = opcode::read::<c_int>(b'T', 207);
/// What the kernel may leave to the reader.
const TUNSETOFFLOAD: Opcode = opcode::write::<c_int>(b'T', 208);
/// What a descriptor is attached to.
#[cfg(feature = "offload")]
const TUNGETIFF: Opcode = opcode::read::<c_int>(b'T', 210);
/// Octets of the header before each packet.
#[cfg(feature = "offload")]
const TUNSETVNETHDRSZ: Opcode = opcode::write::<c_int>(b'T', 216);
/// Whether that header is little-endian.
#[cfg(feature = "offload")]
const TUNSETVNETLE: Opcode = opcode::write::<c_int>(b'T', 220);

/// The numbers of `/dev/net/tun`: a miscellaneous device, `TUN_MINOR` of `<linux/miscdevice.h>`.
#[cfg(feature = "offload")]
const DRIVER: (u32, u32) = (10, 200);

/// `struct ifreq` as these calls use it.
#[repr(C)]
struct IfReq {
    name: [u8; libc::IFNAMSIZ],
    flags: i16,
    /// The rest of the union.
    _rest: [u8; 22],
}

const _: () = assert!(
    size_of::<IfReq>() == size_of::<libc::ifreq>() && align_of::<IfReq>() <= align_of::<libc::ifreq>()
);

/// The descriptor of a TUN, to wait on and to write to.
#[cfg(feature = "tun-tap")]
pub(crate) fn descriptor(iface: &tun_tap::Iface) -> BorrowedFd<'_> {
    // SAFETY: `Iface` owns the open file behind this number and closes it only when it is dropped, which the
    // borrow of `iface` rules out for as long as the result lives.
    unsafe { BorrowedFd::borrow_raw(std::os::fd::AsRawFd::as_raw_fd(iface)) }
}

/// Makes a TUN stay when its last descriptor is closed, or not.
pub(crate) fn set_persistent(tun: BorrowedFd<'_>, persistent: bool) -> io::Result<()> {
    // SAFETY: the opcode is the kernel's for TUNSETPERSIST, whose argument is an integer passed by value, 0 or
    // 1; the kernel touches no memory of ours.
    unsafe { ioctl(tun, IntegerSetter::<TUNSETPERSIST>::new_usize(usize::from(persistent)))? };
    Ok(())
}

/// Lets the user `uid` attach to a TUN without privileges.
pub(crate) fn set_owner(tun: BorrowedFd<'_>, uid: u32) -> io::Result<()> {
    // SAFETY: the opcode is the kernel's for TUNSETOWNER, whose argument is a user id passed by value; the
    // kernel touches no memory of ours.
    unsafe { ioctl(tun, IntegerSetter::<TUNSETOWNER>::new_usize(uid as usize))? };
    Ok(())
}

/// Says what the kernel may leave to the reader of a TUN: bits of `TUN_F_*`. They belong to the device, not
/// to the descriptor, and outlive it on a device that stays.
pub(crate) fn set_offload(tun: BorrowedFd<'_>, bits: u32) -> io::Result<()> {
    // SAFETY: the opcode is the kernel's for TUNSETOFFLOAD, whose argument is a set of bits passed by value;
    // the kernel touches no memory of ours.
    unsafe { ioctl(tun, IntegerSetter::<TUNSETOFFLOAD>::new_usize(bits as usize))? };
    Ok(())
}

/// What the driver behind `/dev/net/tun` can do: bits of `IFF_*`.
pub(crate) fn features(driver: BorrowedFd<'_>) -> io::Result<c_int> {
    // SAFETY: the opcode is the kernel's for TUNGETFEATURES, which writes one integer of 32 bits, as `c_int`
    // is on Linux.
    Ok(unsafe { ioctl(driver, Getter::<TUNGETFEATURES, c_int>::new())? })
}

/// Attaches a descriptor of `/dev/net/tun` to the device `name`, which is made if it is not there, and gives
/// its name: the kernel picks one where it is empty. Of a name that is too long the front is taken.
pub(crate) fn attach(driver: BorrowedFd<'_>, name: &str, flags: i16) -> io::Result<String> {
    let mut request = IfReq { name: [0; libc::IFNAMSIZ], flags, _rest: [0; 22] };
    // The last octet stays 0: the kernel wants an end to the name.
    let room = &mut request.name[..libc::IFNAMSIZ - 1];
    room.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    // SAFETY: the opcode is the kernel's for TUNSETIFF, which reads and writes a `struct ifreq`: `IfReq` has
    // its size, and its name and flags at their offsets. `request` lives until the call is over.
    unsafe { ioctl(driver, Updater::<TUNSETIFF, IfReq>::new(&mut request))? };
    Ok(name_in(&request))
}

/// The name and the flags of what a descriptor of `/dev/net/tun` is attached to. `EBADFD`: to nothing;
/// `ENOTTY`: it is a descriptor of something else.
#[cfg(feature = "offload")]
pub(crate) fn attached(tun: BorrowedFd<'_>) -> io::Result<(String, i16)> {
    use rustix::fs::{FileType, fstat, major, minor};
    let is = fstat(tun)?;
    let character = FileType::from_raw_mode(is.st_mode) == FileType::CharacterDevice;
    if !character || (major(is.st_rdev), minor(is.st_rdev)) != DRIVER {
        return Err(rustix::io::Errno::NOTTY.into());
    }
    let mut request = IfReq { name: [0; libc::IFNAMSIZ], flags: 0, _rest: [0; 22] };
    // SAFETY: the opcode is the kernel's for TUNGETIFF, which writes a `struct ifreq`: `IfReq` has its size,
    // and its name and flags at their offsets. `request` lives until the call is over. The driver behind the
    // descriptor is that of TUN, to which the number means this.
    unsafe { ioctl(tun, Updater::<TUNGETIFF, IfReq>::new(&mut request))? };
    Ok((name_in(&request), request.flags))
}

fn name_in(request: &IfReq) -> String {
    let name = request.name.split(|&octet| octet == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// Sets how long the header before each packet is, octets, and that it is little-endian.
#[cfg(feature = "offload")]
pub(crate) fn set_header(tun: BorrowedFd<'_>, len: usize) -> io::Result<()> {
    let len = c_int::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the opcodes are the kernel's for TUNSETVNETHDRSZ and TUNSETVNETLE, each of which reads one
    // integer through the pointer that `Setter` hands it.
    unsafe {
        ioctl(tun, Setter::<TUNSETVNETHDRSZ, c_int>::new(len))?;
        ioctl(tun, Setter::<TUNSETVNETLE, c_int>::new(1))?;
    }
    Ok(())
}
