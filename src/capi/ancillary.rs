//! Control messages as `recvmsg` lays them out.

use std::ptr;

use libc::{cmsghdr, msghdr, size_t};
use rust::bsd::Ancillary;
use rust::bsd::abi::MsgFlags;

/// Puts a control message where the caller has room for one, and says how much that takes. What there is no room for is cut
/// off, which `MSG_CTRUNC` tells.
///
/// # Safety
/// `msg_control` is null or points to `msg_controllen` octets that nobody else uses meanwhile.
pub(crate) unsafe fn put(control: Option<Ancillary>, message: &mut msghdr) -> MsgFlags {
    const HEADER: size_t = size_of::<cmsghdr>();
    let room = if message.msg_control.is_null() { 0 } else { message.msg_controllen };
    message.msg_controllen = 0;
    let Some(control) = control else { return MsgFlags::empty() };
    if room < HEADER {
        return MsgFlags::CTRUNC;
    }
    let data = control.data();
    let fits = data.len().min(room - HEADER);
    // SAFETY: there is room for the header and for as much of the data, as looked at above; the header may lie anywhere.
    unsafe {
        let header = message.msg_control.cast::<cmsghdr>();
        let mut filled: cmsghdr = std::mem::zeroed();
        filled.cmsg_len = HEADER + fits;
        filled.cmsg_level = control.level();
        filled.cmsg_type = control.kind();
        header.write_unaligned(filled);
        ptr::copy_nonoverlapping(data.as_ptr(), header.add(1).cast(), fits);
    }
    // With the octets to the boundary where the next one would begin.
    message.msg_controllen = (HEADER + fits).next_multiple_of(size_of::<size_t>()).min(room);
    if fits < data.len() { MsgFlags::CTRUNC } else { MsgFlags::empty() }
}
