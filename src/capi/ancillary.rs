//! Control messages as `recvmsg` and `sendmsg` lay them out.

use std::{ptr, slice};

use libc::{IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP, SOL_SOCKET, UDP_SEGMENT, cmsghdr, msghdr, size_t};
use rust::bsd::abi::MsgFlags;
use rust::bsd::{Ancillary, Errno, Result};

/// Octets of the head of a control message.
const HEADER: size_t = size_of::<cmsghdr>();

/// What the last control message `UDP_SEGMENT` says. Those of levels that Linux's datagrams do not know are passed over.
///
/// # Safety
/// `msg_control` is null or points to `msg_controllen` octets that nobody changes meanwhile.
pub(crate) unsafe fn segment_size(message: &msghdr) -> Result<Option<u16>> {
    let len = message.msg_controllen;
    if len < HEADER {
        return Ok(None);
    }
    if message.msg_control.is_null() {
        return Err(Errno::FAULT);
    }
    // SAFETY: as the caller promises.
    let mut rest = unsafe { slice::from_raw_parts(message.msg_control.cast::<u8>(), len) };
    let mut size = None;
    while rest.len() >= HEADER {
        // SAFETY: there are the octets of a head, which is made of numbers; it may lie anywhere.
        let head = unsafe { rest.as_ptr().cast::<cmsghdr>().read_unaligned() };
        let data = rest.get(HEADER..head.cmsg_len).ok_or(Errno::INVAL)?;
        match (head.cmsg_level, head.cmsg_type) {
            (IPPROTO_UDP, UDP_SEGMENT) => {
                let octets = <[u8; 2]>::try_from(data).map_err(|_| Errno::INVAL)?;
                size = Some(u16::from_ne_bytes(octets));
            }
            (IPPROTO_UDP | SOL_SOCKET | IPPROTO_IP | IPPROTO_IPV6, _) => return Err(Errno::INVAL),
            _ => {}
        }
        rest = rest.get(head.cmsg_len.next_multiple_of(size_of::<size_t>())..).unwrap_or_default();
    }
    Ok(size)
}

/// Puts a control message where the caller has room for one, and says how much that takes. What there is no room for is cut
/// off, which `MSG_CTRUNC` tells.
///
/// # Safety
/// `msg_control` is null or points to `msg_controllen` octets that nobody else uses meanwhile.
pub(crate) unsafe fn put(control: Option<Ancillary>, message: &mut msghdr) -> MsgFlags {
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
