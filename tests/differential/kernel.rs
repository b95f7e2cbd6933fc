//! The kernel's sockets, by their system calls.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::ptr;

use super::sys::{Errno, Fd, Joined, Received, Res, Sys};

/// The kernel.
#[derive(Debug)]
pub(crate) struct Kernel;

/// Room for a `sockaddr_in` or a `sockaddr_in6`.
const ROOM: usize = mem::size_of::<libc::sockaddr_in6>();

/// A socket address as the system calls have it. Aligned as they want it.
#[repr(C, align(8))]
struct Raw {
    octets: [u8; ROOM],
    length: libc::socklen_t,
}

impl Raw {
    const fn empty() -> Self {
        Self { octets: [0; ROOM], length: ROOM as libc::socklen_t }
    }

    fn new(addr: &SocketAddr) -> Self {
        let mut raw = Self::empty();
        raw.octets[2..4].copy_from_slice(&addr.port().to_be_bytes());
        let family = match addr {
            SocketAddr::V4(a) => {
                raw.octets[4..8].copy_from_slice(&a.ip().octets());
                raw.length = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
                libc::AF_INET
            }
            SocketAddr::V6(a) => {
                raw.octets[8..24].copy_from_slice(&a.ip().octets());
                raw.octets[24..28].copy_from_slice(&a.scope_id().to_ne_bytes());
                libc::AF_INET6
            }
        };
        raw.octets[0..2].copy_from_slice(&(family as u16).to_ne_bytes());
        raw
    }

    /// `None`: the call gave no address.
    fn get(&self) -> Option<SocketAddr> {
        if self.length == 0 {
            return None;
        }
        let field = |at: usize| [self.octets[at], self.octets[at + 1]];
        let port = u16::from_be_bytes(field(2));
        let ip: IpAddr = match i32::from(u16::from_ne_bytes(field(0))) {
            libc::AF_INET => <[u8; 4]>::try_from(&self.octets[4..8]).unwrap().into(),
            libc::AF_INET6 => <[u8; 16]>::try_from(&self.octets[8..24]).unwrap().into(),
            family => panic!("an address of family {family}"),
        };
        Some(SocketAddr::new(ip, port))
    }

    const fn as_ptr(&self) -> *const libc::sockaddr {
        ptr::from_ref(self).cast()
    }

    const fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        ptr::from_mut(self).cast()
    }
}

/// Puts the thread that calls it into a network namespace of its own, which is gone with it.
pub(crate) fn own_network() -> Res<()> {
    // SAFETY: no pointers. Only what this thread does from now on is in the new namespace; of memory and descriptors
    // nothing changes.
    done(unsafe { libc::unshare(libc::CLONE_NEWNET) })
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap()
}

fn number(n: i32) -> Res<i32> {
    if n < 0 { Err(last()) } else { Ok(n) }
}

fn done(n: i32) -> Res<()> {
    number(n).map(drop)
}

fn count(n: isize) -> Res<usize> {
    usize::try_from(n).map_err(|_| last())
}

fn to_write(parts: &[&[u8]]) -> Vec<libc::iovec> {
    let part = |p: &&[u8]| libc::iovec { iov_base: p.as_ptr().cast_mut().cast(), iov_len: p.len() };
    parts.iter().map(part).collect()
}

fn to_read(parts: &mut [&mut [u8]]) -> Vec<libc::iovec> {
    let part = |p: &mut &mut [u8]| libc::iovec { iov_base: p.as_mut_ptr().cast(), iov_len: p.len() };
    parts.iter_mut().map(part).collect()
}

const fn size<T: ?Sized>(value: &T) -> libc::socklen_t {
    mem::size_of_val(value) as libc::socklen_t
}

/// A `msghdr` without control data. The vectors and the address must outlive it.
fn header(vectors: &mut [libc::iovec], name: Option<&mut Raw>) -> libc::msghdr {
    // SAFETY: all zeroes are a valid `msghdr`: null pointers with lengths of 0.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = vectors.as_mut_ptr();
    header.msg_iovlen = vectors.len() as _;
    if let Some(raw) = name {
        header.msg_namelen = raw.length;
        header.msg_name = raw.as_mut_ptr().cast();
    }
    header
}

/// Octets of the head of a control message.
const HEADER: usize = mem::size_of::<libc::cmsghdr>();

/// A control message of UDP with a number, as it lies in memory.
#[repr(C, align(8))]
struct Control {
    octets: [u8; HEADER + 16],
}

impl Control {
    /// `UDP_SEGMENT` with so many octets of data.
    fn new(data: usize) -> Self {
        let mut octets = [0; HEADER + 16];
        let length = (HEADER + data).to_ne_bytes();
        octets[..length.len()].copy_from_slice(&length);
        octets[HEADER - 8..HEADER - 4].copy_from_slice(&libc::IPPROTO_UDP.to_ne_bytes());
        octets[HEADER - 4..HEADER].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
        Self { octets }
    }

    /// The number of `UDP_GRO`.
    fn number(&self) -> i32 {
        let int = |at: usize| i32::from_ne_bytes(self.octets[at..at + 4].try_into().unwrap());
        assert_eq!((int(HEADER - 8), int(HEADER - 4)), (libc::IPPROTO_UDP, libc::UDP_GRO));
        int(HEADER)
    }
}

impl Sys for Kernel {
    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Res<Fd> {
        // SAFETY: no pointers.
        number(unsafe { libc::socket(domain, kind, protocol) })
    }

    fn bind(&self, fd: Fd, addr: &SocketAddr) -> Res<()> {
        let raw = Raw::new(addr);
        // SAFETY: the address and its length are those of `raw`.
        done(unsafe { libc::bind(fd, raw.as_ptr(), raw.length) })
    }

    fn listen(&self, fd: Fd, backlog: i32) -> Res<()> {
        // SAFETY: no pointers.
        done(unsafe { libc::listen(fd, backlog) })
    }

    fn accept4(&self, fd: Fd, flags: i32) -> Res<(Fd, SocketAddr)> {
        let mut raw = Raw::empty();
        let mut length = raw.length;
        // SAFETY: the room for the address is as long as `length` says.
        let accepted = number(unsafe { libc::accept4(fd, raw.as_mut_ptr(), &raw mut length, flags) })?;
        raw.length = length;
        Ok((accepted, raw.get().expect("the peer's address")))
    }

    fn connect(&self, fd: Fd, addr: &SocketAddr) -> Res<()> {
        let raw = Raw::new(addr);
        // SAFETY: the address and its length are those of `raw`.
        done(unsafe { libc::connect(fd, raw.as_ptr(), raw.length) })
    }

    fn disconnect(&self, fd: Fd) -> Res<()> {
        let mut raw = Raw::empty();
        raw.octets[0..2].copy_from_slice(&(libc::AF_UNSPEC as u16).to_ne_bytes());
        // SAFETY: the address and its length are those of `raw`.
        done(unsafe { libc::connect(fd, raw.as_ptr(), raw.length) })
    }

    fn getsockname(&self, fd: Fd) -> Res<SocketAddr> {
        let mut raw = Raw::empty();
        let mut length = raw.length;
        // SAFETY: the room for the address is as long as `length` says.
        done(unsafe { libc::getsockname(fd, raw.as_mut_ptr(), &raw mut length) })?;
        raw.length = length;
        Ok(raw.get().expect("an address of ours"))
    }

    fn getpeername(&self, fd: Fd) -> Res<SocketAddr> {
        let mut raw = Raw::empty();
        let mut length = raw.length;
        // SAFETY: the room for the address is as long as `length` says.
        done(unsafe { libc::getpeername(fd, raw.as_mut_ptr(), &raw mut length) })?;
        raw.length = length;
        Ok(raw.get().expect("the peer's address"))
    }

    fn send(&self, fd: Fd, data: &[u8], flags: i32) -> Res<usize> {
        // SAFETY: pointer and length are those of `data`, which is only read.
        count(unsafe { libc::send(fd, data.as_ptr().cast(), data.len(), flags) })
    }

    fn recv(&self, fd: Fd, buf: &mut [u8], flags: i32) -> Res<usize> {
        // SAFETY: pointer and length are those of `buf`.
        count(unsafe { libc::recv(fd, buf.as_mut_ptr().cast(), buf.len(), flags) })
    }

    fn sendto(&self, fd: Fd, data: &[u8], flags: i32, to: &SocketAddr) -> Res<usize> {
        let raw = Raw::new(to);
        let data = (data.as_ptr().cast(), data.len());
        // SAFETY: pointers and lengths are those of `data` and of `raw`, which are only read.
        count(unsafe { libc::sendto(fd, data.0, data.1, flags, raw.as_ptr(), raw.length) })
    }

    fn recvfrom(&self, fd: Fd, buf: &mut [u8], flags: i32) -> Res<(usize, Option<SocketAddr>)> {
        let mut raw = Raw::empty();
        let mut length = raw.length;
        let (data, room) = (buf.as_mut_ptr().cast(), buf.len());
        // SAFETY: pointers and lengths are those of `buf` and of the room for the address.
        let n = count(unsafe { libc::recvfrom(fd, data, room, flags, raw.as_mut_ptr(), &raw mut length) })?;
        raw.length = length;
        Ok((n, raw.get()))
    }

    fn sendmsg(&self, fd: Fd, parts: &[&[u8]], flags: i32, to: Option<&SocketAddr>) -> Res<usize> {
        let (mut vectors, mut raw) = (to_write(parts), to.map(Raw::new));
        let header = header(&mut vectors, raw.as_mut());
        // SAFETY: `header` names the vectors of `parts` and the address, all alive and only read.
        count(unsafe { libc::sendmsg(fd, &raw const header, flags) })
    }

    fn recvmsg(&self, fd: Fd, parts: &mut [&mut [u8]], flags: i32) -> Res<Received> {
        let (mut vectors, mut raw) = (to_read(parts), Raw::empty());
        let mut header = header(&mut vectors, Some(&mut raw));
        // SAFETY: `header` names the vectors of `parts` and the room for an address, alive and ours alone.
        let n = count(unsafe { libc::recvmsg(fd, &raw mut header, flags) })?;
        let (length, flags) = (header.msg_namelen, header.msg_flags);
        raw.length = length;
        Ok(Received { n, from: raw.get(), flags })
    }

    fn send_cut(&self, fd: Fd, data: &[u8], size: u16) -> Res<usize> {
        let mut vectors = to_write(&[data]);
        let mut header = header(&mut vectors, None);
        let mut control = Control::new(mem::size_of_val(&size));
        control.octets[HEADER..HEADER + 2].copy_from_slice(&size.to_ne_bytes());
        header.msg_control = (&raw mut control).cast();
        header.msg_controllen = (HEADER + 8) as _;
        // SAFETY: `header` names the vector of `data` and the control message, all alive and only read.
        count(unsafe { libc::sendmsg(fd, &raw const header, 0) })
    }

    fn receive_sized(&self, fd: Fd, buf: &mut [u8], flags: i32) -> Res<Joined> {
        let mut parts = [buf];
        let mut vectors = to_read(&mut parts);
        let mut header = header(&mut vectors, None);
        let mut control = Control::new(0);
        header.msg_control = (&raw mut control).cast();
        header.msg_controllen = mem::size_of::<Control>() as _;
        // SAFETY: `header` names the vector of `buf` and room for control messages, alive and ours alone.
        let n = count(unsafe { libc::recvmsg(fd, &raw mut header, flags) })?;
        let sized = header.msg_controllen >= (HEADER + 4) as _;
        Ok(Joined { n, flags: header.msg_flags, segment_size: sized.then(|| control.number()) })
    }

    fn sendmmsg(&self, fd: Fd, texts: &[&[u8]], flags: i32) -> Res<Vec<usize>> {
        let mut vectors = to_write(texts);
        let message =
            |vector| libc::mmsghdr { msg_hdr: header(std::slice::from_mut(vector), None), msg_len: 0 };
        let mut messages: Vec<_> = vectors.iter_mut().map(message).collect();
        let (first, length) = (messages.as_mut_ptr(), messages.len() as u32);
        // SAFETY: each header names one vector of `texts`, all alive and only read.
        let sent = number(unsafe { libc::sendmmsg(fd, first, length, flags as _) })?;
        Ok(messages[..sent as usize].iter().map(|message| message.msg_len as usize).collect())
    }

    fn recvmmsg(&self, fd: Fd, rooms: &mut [[u8; 2]], flags: i32) -> Res<Vec<(usize, i32)>> {
        let mut parts: Vec<_> = rooms.iter_mut().map(|room| &mut room[..]).collect();
        let mut vectors = to_read(&mut parts);
        let message =
            |vector| libc::mmsghdr { msg_hdr: header(std::slice::from_mut(vector), None), msg_len: 0 };
        let mut messages: Vec<_> = vectors.iter_mut().map(message).collect();
        let (first, length) = (messages.as_mut_ptr(), messages.len() as u32);
        // SAFETY: each header names one vector of `rooms`, all alive and ours alone.
        let came = number(unsafe { libc::recvmmsg(fd, first, length, flags as _, ptr::null_mut()) })?;
        let told = |message: &libc::mmsghdr| (message.msg_len as usize, message.msg_hdr.msg_flags);
        Ok(messages[..came as usize].iter().map(told).collect())
    }

    fn read(&self, fd: Fd, buf: &mut [u8]) -> Res<usize> {
        // SAFETY: pointer and length are those of `buf`.
        count(unsafe { libc::read(fd, buf.as_mut_ptr().cast(), buf.len()) })
    }

    fn write(&self, fd: Fd, data: &[u8]) -> Res<usize> {
        // SAFETY: pointer and length are those of `data`, which is only read.
        count(unsafe { libc::write(fd, data.as_ptr().cast(), data.len()) })
    }

    fn readv(&self, fd: Fd, parts: &mut [&mut [u8]]) -> Res<usize> {
        let vectors = to_read(parts);
        // SAFETY: the vectors are those of `parts`, as many as are named.
        count(unsafe { libc::readv(fd, vectors.as_ptr(), vectors.len() as i32) })
    }

    fn writev(&self, fd: Fd, parts: &[&[u8]]) -> Res<usize> {
        let vectors = to_write(parts);
        // SAFETY: the vectors are those of `parts`, as many as are named, and only read.
        count(unsafe { libc::writev(fd, vectors.as_ptr(), vectors.len() as i32) })
    }

    fn shutdown(&self, fd: Fd, how: i32) -> Res<()> {
        // SAFETY: no pointers.
        done(unsafe { libc::shutdown(fd, how) })
    }

    fn close(&self, fd: Fd) -> Res<()> {
        // SAFETY: no pointers; the table closes only numbers that it opened, each once.
        done(unsafe { libc::close(fd) })
    }

    fn dup(&self, fd: Fd) -> Res<Fd> {
        // SAFETY: no pointers.
        number(unsafe { libc::dup(fd) })
    }

    fn fcntl(&self, fd: Fd, command: i32, argument: i32) -> Res<i32> {
        // SAFETY: the commands of the table take a number, not a pointer.
        number(unsafe { libc::fcntl(fd, command, argument) })
    }

    fn ioctl(&self, fd: Fd, request: u64) -> Res<i32> {
        let mut value = 0;
        // SAFETY: the requests of the table write one `int`, which is what is pointed to.
        number(unsafe { libc::ioctl(fd, request as _, &raw mut value) })?;
        Ok(value)
    }

    fn setsockopt(&self, fd: Fd, level: i32, name: i32, value: &[u8]) -> Res<()> {
        // SAFETY: pointer and length are those of `value`, which is only read.
        done(unsafe { libc::setsockopt(fd, level, name, value.as_ptr().cast(), size(value)) })
    }

    fn getsockopt(&self, fd: Fd, level: i32, name: i32, value: &mut [u8]) -> Res<usize> {
        let mut length = size(value);
        // SAFETY: the room is as long as `length` says.
        let result = unsafe { libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut length) };
        done(result).map(|()| length as usize)
    }

    fn poll(&self, fd: Fd, events: i16, timeout_ms: i32) -> Res<i16> {
        let mut entry = libc::pollfd { fd, events, revents: 0 };
        // SAFETY: one entry is there, as is said.
        number(unsafe { libc::poll(&raw mut entry, 1, timeout_ms) })?;
        Ok(entry.revents)
    }
}
