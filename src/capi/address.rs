//! `struct sockaddr` and back, and how results become `errno`.

use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use libc::{c_int, sa_family_t, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t, ssize_t};
use rust::bsd::{Errno, Result, Sockets};

/// The octets of a `struct sockaddr` that a program named, as many as it says, as they are taken over before they are
/// looked at.
pub(crate) struct Name {
    octets: [u8; size_of::<sockaddr_storage>()],
    len: usize,
}

/// What a socket is, as far as the addresses go that it takes.
#[derive(Clone, Copy)]
pub(crate) struct Taker {
    pub(crate) v6: bool,
    pub(crate) stream: bool,
}

impl Taker {
    /// That of a number.
    pub(crate) fn of(sys: &Sockets, fd: c_int) -> Result<Self> {
        Ok(Self {
            v6: sys.getsockopt_int(fd, libc::SOL_SOCKET, libc::SO_DOMAIN)? == libc::AF_INET6,
            stream: sys.getsockopt_int(fd, libc::SOL_SOCKET, libc::SO_TYPE)? == libc::SOCK_STREAM,
        })
    }

    /// Octets that an address of its family has at the least. The last field of IPv6's, the scope, came later than the
    /// structure: Linux takes it without (RFC 2133).
    const fn least(self) -> usize {
        if self.v6 { size_of::<sockaddr_in6>() - size_of::<u32>() } else { size_of::<sockaddr_in>() }
    }

    /// An address that a stream of its family does not take.
    pub(crate) const fn foreign(self) -> SocketAddr {
        if self.v6 {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1)
        } else {
            SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 1)
        }
    }
}

/// Whom `connect` is to reach.
pub(crate) enum Peer {
    /// `AF_UNSPEC`: nobody, which ends an association.
    Nobody,
    Address(SocketAddr),
    /// An address that the socket does not take, which is said after what its state forbids.
    Refused(Errno),
}

impl Name {
    /// Takes an address over.
    ///
    /// # Safety
    /// `address` is null or points to `len` octets.
    pub(crate) unsafe fn read(address: *const sockaddr, len: socklen_t) -> Result<Self> {
        let mut octets = [0; size_of::<sockaddr_storage>()];
        let len = len as usize;
        if len > octets.len() {
            return Err(Errno::INVAL);
        }
        if len > 0 && address.is_null() {
            return Err(Errno::FAULT);
        }
        if len > 0 {
            // SAFETY: `len` octets can be read, there is room for as many, and they do not overlap.
            unsafe { address.cast::<u8>().copy_to_nonoverlapping(octets.as_mut_ptr(), len) };
        }
        Ok(Self { octets, len })
    }

    fn field<const N: usize>(&self, offset: usize) -> [u8; N] {
        core::array::from_fn(|n| self.octets[offset + n])
    }

    fn family(&self) -> c_int {
        c_int::from(sa_family_t::from_ne_bytes(self.field(0)))
    }

    fn v4(&self) -> SocketAddr {
        let ip: [u8; 4] = self.field(offset_of!(sockaddr_in, sin_addr));
        let port = u16::from_be_bytes(self.field(offset_of!(sockaddr_in, sin_port)));
        (Ipv4Addr::from(ip), port).into()
    }

    fn v6(&self) -> SocketAddr {
        let ip: [u8; 16] = self.field(offset_of!(sockaddr_in6, sin6_addr));
        let port = u16::from_be_bytes(self.field(offset_of!(sockaddr_in6, sin6_port)));
        let flow = u32::from_ne_bytes(self.field(offset_of!(sockaddr_in6, sin6_flowinfo)));
        // 0 where the name ends before it.
        let scope = u32::from_ne_bytes(self.field(offset_of!(sockaddr_in6, sin6_scope_id)));
        SocketAddrV6::new(ip.into(), port, flow, scope).into()
    }

    /// The address, if it is of the socket's own family; the length comes first.
    fn own(&self, taker: Taker) -> Result<SocketAddr> {
        match self.family() {
            _ if self.len < taker.least() => Err(Errno::INVAL),
            libc::AF_INET6 if taker.v6 => Ok(self.v6()),
            libc::AF_INET if !taker.v6 => Ok(self.v4()),
            _ => Err(Errno::AFNOSUPPORT),
        }
    }

    /// What `bind` is asked for. To IPv4 no family and no address is any address, as old programs have it.
    pub(crate) fn to_bind(&self, taker: Taker) -> Result<SocketAddr> {
        let any = !taker.v6 && self.family() == libc::AF_UNSPEC && self.v4().ip().is_unspecified();
        if any && self.len >= taker.least() { Ok(self.v4()) } else { self.own(taker) }
    }

    /// Whom `connect` is asked for. UDP over IPv6 takes IPv4's addresses too.
    pub(crate) fn to_connect(&self, taker: Taker) -> Result<Peer> {
        if self.len < size_of::<sa_family_t>() {
            return Err(Errno::INVAL);
        }
        if self.family() == libc::AF_UNSPEC {
            return Ok(Peer::Nobody);
        }
        Ok(self.of_either(taker).map_or_else(Peer::Refused, Peer::Address))
    }

    fn of_either(&self, taker: Taker) -> Result<SocketAddr> {
        let v4 = taker.v6 && !taker.stream && self.family() == libc::AF_INET;
        if v4 && self.len >= size_of::<sockaddr_in>() { Ok(self.v4()) } else { self.own(taker) }
    }

    /// Whom a datagram is for; `None`: the socket's peer. TCP does not look at it, unless the call `opens` a connection
    /// (`MSG_FASTOPEN`). No family is IPv4 to a socket of IPv4
    /// and nobody to one of IPv6, which has `EINVAL` for every other.
    pub(crate) fn to_send(&self, taker: Taker, opens: bool) -> Result<Option<SocketAddr>> {
        match self.family() {
            _ if taker.stream && opens => match self.to_connect(taker)? {
                Peer::Nobody => Ok(None),
                Peer::Address(address) => Ok(Some(address)),
                Peer::Refused(why) => Err(why),
            },
            _ if taker.stream => Ok(None),
            _ if self.len < size_of::<sa_family_t>() => Err(Errno::INVAL),
            libc::AF_UNSPEC if taker.v6 => Ok(None),
            libc::AF_UNSPEC if self.len >= taker.least() => Ok(Some(self.v4())),
            family if taker.v6 && family != libc::AF_INET6 && family != libc::AF_INET => Err(Errno::INVAL),
            _ => self.of_either(taker).map(Some),
        }
    }
}

/// Writes an address as far as there is room, and its true length; a null `to` asks for nothing.
///
/// # Safety
/// `to` is null, or `len` points to the number of octets that may be written there.
pub(crate) unsafe fn write(name: Option<SocketAddr>, to: *mut sockaddr, len: *mut socklen_t) -> Result<()> {
    if to.is_null() {
        return Ok(());
    }
    if len.is_null() {
        return Err(Errno::FAULT);
    }
    // SAFETY: `len` is not null, and so points to a length.
    let room = unsafe { len.read_unaligned() };
    if socklen_t::MAX / 2 < room {
        return Err(Errno::INVAL);
    }
    let true_len = match name {
        None => 0,
        Some(SocketAddr::V4(v4)) => {
            let name = sockaddr_in {
                sin_family: libc::AF_INET as sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: at most `room` octets are written, as the caller allows.
            unsafe { copy_out(&name, to, room) }
        }
        Some(SocketAddr::V6(v6)) => {
            let name = sockaddr_in6 {
                sin6_family: libc::AF_INET6 as sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: at most `room` octets are written, as the caller allows.
            unsafe { copy_out(&name, to, room) }
        }
    };
    // SAFETY: `len` is not null, and so points to a length.
    unsafe { len.write_unaligned(true_len) };
    Ok(())
}

/// Copies a structure as far as `room` goes and gives its true length.
///
/// # Safety
/// `room` octets may be written at `to`; `T` has no padding.
unsafe fn copy_out<T>(value: &T, to: *mut sockaddr, room: socklen_t) -> socklen_t {
    let len = size_of::<T>();
    let octets = std::ptr::from_ref(value).cast::<u8>();
    // SAFETY: `value` has `len` octets, `to` has room for `room`, and they do not overlap.
    unsafe { octets.copy_to_nonoverlapping(to.cast(), len.min(room as usize)) };
    len as socklen_t
}

/// Sets `errno` and gives -1, as a system call that failed does.
pub(crate) fn fail(error: Errno) -> c_int {
    // SAFETY: the C library gives a pointer to the thread's own `errno`.
    unsafe { *libc::__errno_location() = error.raw_os_error() };
    -1
}

/// 0, or -1 with `errno`.
pub(crate) fn done(result: Result<()>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => fail(error),
    }
}

/// A descriptor or another small number, or -1 with `errno`.
pub(crate) fn number(result: Result<c_int>) -> c_int {
    result.unwrap_or_else(fail)
}

/// A count of octets, or -1 with `errno`.
pub(crate) fn count(result: Result<usize>) -> ssize_t {
    match result {
        Ok(n) => ssize_t::try_from(n).unwrap_or(ssize_t::MAX),
        Err(error) => fail(error) as ssize_t,
    }
}
