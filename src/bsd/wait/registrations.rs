//! What watches a descriptor by `epoll`, and how it is carried over when another file takes the number.
//!
//! The kernel's registrations belong to an open file and go with it. So those of the old file are read where the
//! kernel lists them, in `/proc/self/fdinfo`, and made again for the new one: those made through
//! [`Sockets::epoll_ctl`](crate::bsd::Sockets::epoll_ctl) as well as those of an event loop that knows nothing of us.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use crate::bsd::sys;

/// A line of an epoll descriptor's `fdinfo`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Registration {
    fd: RawFd,
    events: u32,
    data: u64,
    inode: u64,
}

/// `tfd:        5 events:       19 data:                7  pos:0 ino:4d sdev:9`; all but the first in hexadecimal.
fn parse(line: &str) -> Option<Registration> {
    let field = |name: &str| line.split_once(name)?.1.split_whitespace().next();
    Some(Registration {
        fd: field("tfd:")?.parse().ok()?,
        events: u32::from_str_radix(field("events:")?, 16).ok()?,
        data: u64::from_str_radix(field("data:")?, 16).ok()?,
        inode: u64::from_str_radix(field("ino:")?, 16).ok()?,
    })
}

/// The epoll descriptors of the process.
fn epoll_descriptors() -> io::Result<Vec<RawFd>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        // Others open and close meanwhile: a link that cannot be read is gone.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        if target.as_os_str() == "anon_inode:[eventpoll]" {
            found.extend(entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()));
        }
    }
    Ok(found)
}

/// Whoever watches the file `old` under one of `numbers` watches from now on the file that has the number.
///
/// A one-shot registration that has fired stays silent until it is modified, but for errors and hang-ups, which the
/// kernel adds to every registration that is made.
pub(in crate::bsd) fn carry_over(old: &OwnedFd, numbers: &[RawFd]) {
    if let Err(error) = try_carry_over(old, numbers) {
        tracing::warn!(%error, "a descriptor was renewed, and who watches it by epoll cannot be found");
    }
}

fn try_carry_over(old: &OwnedFd, numbers: &[RawFd]) -> io::Result<()> {
    let inode = rustix::fs::fstat(old)?.st_ino;
    for epoll in epoll_descriptors()? {
        let Ok(info) = fs::read_to_string(format!("/proc/self/fdinfo/{epoll}")) else { continue };
        let watches = |r: &Registration| r.inode == inode && numbers.contains(&r.fd);
        for registration in info.lines().filter_map(parse).filter(watches) {
            let mut event = libc::epoll_event { events: registration.events, u64: registration.data };
            match sys::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, registration.fd, Some(&mut event)) {
                // It has two descriptors itself; or it, or the socket, was closed meanwhile.
                Ok(()) | Err(Errno::EXIST | Errno::BADF | Errno::INVAL | Errno::PERM) => {}
                Err(error) => {
                    let (epoll, fd) = (epoll.as_raw_fd(), registration.fd);
                    tracing::warn!(%error, epoll, fd, "a registration is lost with a renewed descriptor");
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::event::epoll;
    use rustix::event::{EventfdFlags, eventfd};

    use super::*;

    #[test]
    fn a_line_of_fdinfo() {
        let line = "tfd:       12 events: 8000201f data:         deadbeef  pos:0 ino:1a2b sdev:9";
        let read = Registration { fd: 12, events: 0x8000_201f, data: 0xdead_beef, inode: 0x1a2b };
        assert_eq!(parse(line), Some(read));
        for other in ["pos:\t0", "flags:\t02", "tfd: x events: 1 data: 1 ino:1", "tfd: 1 events: 1", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    /// The lines are really the kernel's.
    #[test]
    fn a_registration_moves_with_the_number() {
        let (socket, other) = rustix::net::socketpair(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let outer = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&outer, &socket, epoll::EventData::new_u64(u64::MAX), flags).unwrap();
        let old = rustix::io::fcntl_dupfd_cloexec(&socket, 0).unwrap();
        let number = socket.as_raw_fd();
        let mut socket = socket;
        let new = eventfd(1, EventfdFlags::CLOEXEC).unwrap();
        rustix::io::dup3(&new, &mut socket, rustix::io::DupFlags::CLOEXEC).unwrap();
        carry_over(&old, &[number]);
        drop((old, other));

        let mut events = [const { std::mem::MaybeUninit::uninit() }; 4];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let (found, _) = epoll::wait(outer.as_fd(), &mut events, Some(&now)).unwrap();
        let found: Vec<_> = found.iter().map(|event| (event.flags, event.data.u64())).collect();
        assert_eq!(found, [(epoll::EventFlags::IN, u64::MAX)]);
    }
}
