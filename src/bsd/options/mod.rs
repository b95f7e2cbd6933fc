//! `setsockopt` and `getsockopt`: one table of what can be asked of a socket.
//!
//! Each option is of one of these kinds (`row::How`):
//!
//! - It has its effect in the stack, with Linux's limits, roundings and errors.
//! - It is a hint on which nothing here depends: `SO_PRIORITY`, `SO_MARK`, `SO_DEBUG`, `SO_DONTROUTE`,
//!   `SO_BUSY_POLL` and its kin, `SO_INCOMING_CPU`, `SO_SELECT_ERR_QUEUE`, `SO_TXREHASH`. It is remembered,
//!   inherited by accepted connections, and given back.
//! - It would change what a socket does, and the stack cannot do it. It reads as what holds (off, mostly); to
//!   write the same succeeds, to write anything else is `ENOPROTOOPT`.
//!
//! # Refused
//!
//! - Control messages of datagrams, of which calls give `UDP_GRO` alone yet: `SO_TIMESTAMP` and its kin, `SO_RXQ_OVFL`,
//!   `SO_RCVMARK`, `SO_WIFI_STATUS`; `IP_PKTINFO`, `IP_RECVTTL`, `IP_RECVTOS`, `IP_RECVOPTS`, `IP_RECVERR` and
//!   the others of their name, on both families (on TCP most of them say nothing, and are hints).
//! - `SO_NO_CHECK`, `SO_PEEK_OFF`, `SO_ZEROCOPY`, `SO_LOCK_FILTER`, `SO_BINDTOIFINDEX`;
//!   `SO_BINDTODEVICE` is `ENODEV` for every name, as there are no names.
//! - `IP_FREEBIND`, `IP_TRANSPARENT`, `IP_BIND_ADDRESS_NO_PORT`, `IP_MINTTL`, `IP_OPTIONS`, `IP_MULTICAST_LOOP`
//!   (nothing is looped back, so it reads as 0 where Linux has 1); membership in groups; the same of IPv6.
//! - `TCP_SAVE_SYN`, `TCP_REPAIR`, `TCP_THIN_LINEAR_TIMEOUTS`, `TCP_TX_DELAY`; `TCP_ULP` is `ENOENT`.
//! - `UDP_CORK`, `UDP_ENCAP`, `UDP_NO_CHECK6_TX`, `UDP_NO_CHECK6_RX`.
//! - What is not named in the table: `ENOPROTOOPT`, as Linux says it of names that it does not know.
//!
//! # Where it differs from Linux
//!
//! - A TCP socket has one TTL, one traffic class and one way with the path's MTU, whether it is called by the name of
//!   IPv4 or of IPv6. A hop limit of 0 is refused (`EINVAL`).
//! - Buffers of a fresh TCP socket are the stack's ([`TcpConfig`](tunstack_core::config::TcpConfig)); shown, as
//!   all, doubled. The most that may be asked for is 4 MiB, as on Linux 6.18.
//! - Timeouts are exact to a microsecond and not rounded to ticks.
//! - No privileges are asked for.
//! - `TCP_MAXSEG` on a connection is the MSS in use; `SO_COOKIE` is unique within one engine.

mod row;

mod socket;

mod ip;

mod ipv6;

mod tcp;

mod udp;

use std::os::fd::RawFd;

use rustix::io::Errno;
use tunstack_core::addr::Family;

use super::abi::{
    IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP, IPV6_DONTFRAG, IPV6_MULTICAST_HOPS,
    IPV6_MULTICAST_IF, IPV6_RECVFRAGSIZE, SO_ERROR, SOL_SOCKET,
};
use super::file::{File, Kind};
use super::{Result, Sockets};
use row::{How, Row, int};

/// The options of a level on this socket; `None` where it has no such level.
fn level_of(file: &File, level: i32) -> Option<&'static [Row]> {
    match (level, file.kind, file.family) {
        (SOL_SOCKET, ..) => Some(socket::ROWS),
        (IPPROTO_TCP, Kind::Stream, _) => Some(tcp::ROWS),
        (IPPROTO_UDP, Kind::Datagram, _) => Some(udp::ROWS),
        // IPv4's, since an IPv6 socket speaks that too.
        (IPPROTO_IP, ..) => Some(ip::ROWS),
        (IPPROTO_IPV6, _, Family::V6) => Some(ipv6::ROWS),
        _ => None,
    }
}

fn find(rows: &'static [Row], name: i32) -> Option<&'static How> {
    rows.iter().find(|row| row.0 == name).map(|row| &row.1)
}

/// The `int` of a value, as the level wants it.
fn number(level: i32, name: i32, value: &[u8]) -> Result<i32> {
    match (level, name) {
        (IPPROTO_IP, _) => ip::number(name, value),
        (IPPROTO_IPV6, IPV6_DONTFRAG | IPV6_RECVFRAGSIZE) => Ok(int(value).unwrap_or(0)),
        _ => int(value).ok_or(Errno::INVAL),
    }
}

fn set(file: &File, level: i32, name: i32, value: &[u8]) -> Result<()> {
    let rows = level_of(file, level).ok_or(Errno::NOPROTOOPT)?;
    let Some(how) = find(rows, name) else {
        // IP looks for the name first, the others at the length.
        let looked_at = matches!(level, IPPROTO_IP | IPPROTO_IPV6) || int(value).is_some();
        return Err(if looked_at { Errno::NOPROTOOPT } else { Errno::INVAL });
    };
    // A name that TCP only reads is looked for before the length is.
    let of_datagrams = matches!((level, name), (IPPROTO_IPV6, IPV6_MULTICAST_HOPS | IPV6_MULTICAST_IF));
    match how {
        _ if of_datagrams && file.kind == Kind::Stream => Err(Errno::NOPROTOOPT),
        How::Octets(_, set) => set(file, value),
        // To read and not to write, whatever the length.
        How::Read(_) if matches!(level, IPPROTO_IP) => Err(Errno::NOPROTOOPT),
        how => how.set(file, level, name, number(level, name, value)?).unwrap_or(Err(Errno::NOPROTOOPT)),
    }
}

fn get(file: &File, level: i32, name: i32, value: &mut [u8]) -> Result<usize> {
    let Some(rows) = level_of(file, level) else {
        return Err(if file.family == Family::V4 { Errno::OPNOTSUPP } else { Errno::NOPROTOOPT });
    };
    let how = find(rows, name).ok_or(Errno::NOPROTOOPT)?;
    let octets = match how {
        How::Octets(get, _) => get(file, value.len())?,
        how => {
            let number = how.get(file, level, name).unwrap_or(Err(Errno::NOPROTOOPT))?;
            match u8::try_from(number) {
                // An octet where there is no room for an `int`, and one is enough.
                Ok(octet) if level == IPPROTO_IP && value.len() < 4 => vec![octet],
                _ => number.to_ne_bytes().to_vec(),
            }
        }
    };
    let written = octets.len().min(value.len());
    value[..written].copy_from_slice(&octets[..written]);
    Ok(written)
}

impl Sockets {
    /// `setsockopt(2)`. `value` has the layout that Linux gives it: an `int` in the machine's byte order for most
    /// names; octets behind it are of no account.
    ///
    /// # Errors
    /// `ENOPROTOOPT` (no such option at this level, or one that is only read, or that the stack cannot do), `EINVAL`
    /// (too short, or out of range), `EDOM` (a time), `ENOENT` (a name), `ENODEV`, `EADDRNOTAVAIL`, `EPERM`,
    /// `EOPNOTSUPP`, `EBADF`, `ENOTSOCK`.
    ///
    /// ```no_run
    /// # use tunstack::bsd::{Sockets, Errno, abi::*};
    /// # fn f(sys: Sockets, fd: i32) -> Result<(), Errno> {
    /// sys.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &1_i32.to_ne_bytes())
    /// # }
    /// ```
    pub fn setsockopt(&self, fd: RawFd, level: i32, name: i32, value: &[u8]) -> Result<()> {
        set(&*self.file(fd)?, level, name, value)
    }

    /// `getsockopt(2)`. Gives the octets written to `value`: as many as the option has, or as there is room for.
    ///
    /// # Errors
    /// `ENOPROTOOPT` (no such option at this level), `EOPNOTSUPP` (no such level), `ENOTCONN`, `EINVAL` (no room
    /// for it), `EBADF`, `ENOTSOCK`.
    pub fn getsockopt(&self, fd: RawFd, level: i32, name: i32, value: &mut [u8]) -> Result<usize> {
        let file = self.file(fd)?;
        let written = get(&file, level, name, value)?;
        if (level, name) == (SOL_SOCKET, SO_ERROR) {
            // A fresh socket shows no error any more.
            self.keep_fresh(&file)?;
        }
        Ok(written)
    }

    /// `setsockopt` of an `int`.
    ///
    /// # Errors
    /// Those of [`setsockopt`](Self::setsockopt).
    pub fn setsockopt_int(&self, fd: RawFd, level: i32, name: i32, value: i32) -> Result<()> {
        self.setsockopt(fd, level, name, &value.to_ne_bytes())
    }

    /// `getsockopt` of an `int`.
    ///
    /// # Errors
    /// Those of [`getsockopt`](Self::getsockopt).
    pub fn getsockopt_int(&self, fd: RawFd, level: i32, name: i32) -> Result<i32> {
        let mut value = [0; 4];
        self.getsockopt(fd, level, name, &mut value)?;
        Ok(i32::from_ne_bytes(value))
    }
}

#[cfg(test)]
mod tests;
