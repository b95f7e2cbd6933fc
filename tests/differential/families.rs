//! IPv4, IPv6, both at once, and IPv6 alone: which addresses a socket takes, and how it shows them.

use std::net::{IpAddr, SocketAddr};

use libc::{AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, POLLIN, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM};

use super::lab::{Family, Lab, done, number, place, placed, text};
use super::sys::{Errno, Fd, name};
use super::table::Table;

const KINDS: [(&str, i32); 2] = [("tcp", SOCK_STREAM), ("udp", SOCK_DGRAM)];

/// A socket's domain, and whether it speaks IPv6 alone.
const SOCKETS: [(&str, i32, bool); 3] =
    [("IPv4", AF_INET, false), ("IPv6", AF_INET6, false), ("IPv6 V6ONLY", AF_INET6, true)];

const ADDRESSES: [&str; 9] = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:0.0.0.0",
    "10.7.0.1",
    "fd07::1",
];

fn socket(lab: &Lab, kind: i32, domain: i32, v6_only: bool) -> Fd {
    let fd = lab.socket(domain, kind | SOCK_NONBLOCK, 0).unwrap();
    if v6_only {
        lab.set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    fd
}

pub(crate) fn rows(table: &mut Table) {
    for (kind_name, kind) in KINDS {
        for (name, domain, v6_only) in SOCKETS {
            for address in ADDRESSES {
                let ip: IpAddr = address.parse().unwrap();
                let row = move |call: &str| format!("{kind_name} {name}: {call} {address}");
                table.row(row("bind"), move |lab| {
                    let fd = socket(lab, kind, domain, v6_only);
                    let gave = done(lab.sys().bind(fd, &SocketAddr::new(ip, 0)));
                    format!("{gave}, {}", placed(lab.sys().getsockname(fd)))
                });
                table.row(row("connect"), move |lab| {
                    connect(lab, kind, socket(lab, kind, domain, v6_only), ip)
                });
                table.row(row("bind to loopback, connect"), move |lab| {
                    let fd = socket(lab, kind, domain, v6_only);
                    let own = if domain == AF_INET { Family::V4 } else { Family::V6 };
                    lab.bound(fd, own);
                    connect(lab, kind, fd, ip)
                });
                if kind == SOCK_DGRAM {
                    table.row(row("sendto"), move |lab| {
                        let fd = socket(lab, kind, domain, v6_only);
                        let (there, addr) = datagrams(lab, ip);
                        let gave = number(lab.sys().sendto(fd, b"abc", 0, &addr));
                        format!("{gave}, {}, {}", placed(lab.sys().getsockname(fd)), from(lab, there))
                    });
                }
            }
        }
    }
    both(table);
}

/// The address where a server of this kind is reached by `ip`, which may be unspecified.
fn listener(lab: &Lab, ip: IpAddr) -> SocketAddr {
    let fd = socket(lab, SOCK_STREAM, AF_INET6, false);
    lab.sys().bind(fd, &SocketAddr::new(IpAddr::from([0_u16; 8]), 0)).unwrap();
    lab.sys().listen(fd, 1).unwrap();
    SocketAddr::new(ip, lab.sys().getsockname(fd).unwrap().port())
}

fn datagrams(lab: &Lab, ip: IpAddr) -> (Fd, SocketAddr) {
    let fd = socket(lab, SOCK_DGRAM, AF_INET6, false);
    lab.sys().bind(fd, &SocketAddr::new(IpAddr::from([0_u16; 8]), 0)).unwrap();
    (fd, SocketAddr::new(ip, lab.sys().getsockname(fd).unwrap().port()))
}

fn connect(lab: &Lab, kind: i32, fd: Fd, ip: IpAddr) -> String {
    let addr = if kind == SOCK_STREAM { listener(lab, ip) } else { datagrams(lab, ip).1 };
    let gave = match lab.sys().connect(fd, &addr) {
        Err(Errno::INPROGRESS) => "EINPROGRESS".to_owned(),
        other => done(other),
    };
    let ready = lab.settled(&[fd]).remove(0);
    let names = format!("{}, {}", placed(lab.sys().getsockname(fd)), placed(lab.sys().getpeername(fd)));
    format!("{gave}, {names}, {ready}, {}", lab.error(fd))
}

/// From whom a datagram came.
fn from(lab: &Lab, fd: Fd) -> String {
    if !lab.settled(&[fd])[0].contains("IN") {
        return "nothing came".to_owned();
    }
    let mut buf = [0; 9];
    match lab.sys().recvfrom(fd, &mut buf, 0) {
        Ok((n, from)) => format!("{} from {}", text(Ok(n), &buf), from.map_or("nobody".into(), place)),
        Err(error) => name(error),
    }
}

/// Servers of both families, and clients of one.
fn both(table: &mut Table) {
    for (server, v6_only) in [("[::]", false), ("[::] V6ONLY", true)] {
        for (client, family) in [("IPv4", Family::V4), ("IPv6", Family::V6), ("IPv4-mapped", Family::Mapped)]
        {
            table.row(format!("tcp {server} accepts from {client}"), move |lab| {
                let listener = socket(lab, SOCK_STREAM, AF_INET6, v6_only);
                lab.sys().bind(listener, &SocketAddr::new(IpAddr::from([0_u16; 8]), 0)).unwrap();
                lab.sys().listen(listener, 1).unwrap();
                let port = lab.sys().getsockname(listener).unwrap().port();
                let fd = lab.tcp(family);
                lab.begin(fd, SocketAddr::new(family.loopback().ip(), port));
                let ready = lab.settled(&[fd, listener]).join(" ");
                match lab.accept4(listener, 0) {
                    Ok((fd, peer)) => {
                        format!("{ready}, {}, {}", place(peer), placed(lab.sys().getsockname(fd)))
                    }
                    Err(error) => format!("{ready}, {}, {}", name(error), lab.error(fd)),
                }
            });
            table.row(format!("udp {server} receives from {client}"), move |lab| {
                let server = socket(lab, SOCK_DGRAM, AF_INET6, v6_only);
                lab.sys().bind(server, &SocketAddr::new(IpAddr::from([0_u16; 8]), 0)).unwrap();
                let port = lab.sys().getsockname(server).unwrap().port();
                let fd = lab.udp(family);
                let to = SocketAddr::new(family.loopback().ip(), port);
                let sent = number(lab.sys().sendto(fd, b"abc", 0, &to));
                format!("{sent}, {}", from(lab, server))
            });
        }
    }
    table.row("of two UDP sockets the one with the address gets the datagram", |lab| {
        let (any, exact) = (lab.udp(Family::V4), lab.udp(Family::V4));
        for fd in [any, exact] {
            lab.set(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1);
        }
        let addr = lab.bound(exact, Family::V4);
        lab.sys().bind(any, &SocketAddr::new([0, 0, 0, 0].into(), addr.port())).unwrap();
        lab.sys().sendto(lab.udp(Family::V4), b"abc", 0, &addr).unwrap();
        lab.until(exact, POLLIN);
        lab.settled(&[any, exact]).join(" ")
    });
    table.row("of two UDP sockets the connected one gets its peer's datagrams", |lab| {
        let (open, connected, peer) = (lab.udp(Family::V4), lab.udp(Family::V4), lab.udp(Family::V4));
        for fd in [open, connected] {
            lab.set(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1);
        }
        let from = lab.bound(peer, Family::V4);
        let addr = lab.bound(open, Family::V4);
        lab.sys().bind(connected, &addr).unwrap();
        lab.sys().connect(connected, &from).unwrap();
        lab.sys().sendto(peer, b"abc", 0, &addr).unwrap();
        let first = lab.settled(&[open, connected]).join(" ");
        lab.sys().sendto(lab.udp(Family::V4), b"abc", 0, &addr).unwrap();
        format!("{first}, {}", lab.settled(&[open, connected]).join(" "))
    });
    table.row("a connected UDP socket hears its peer alone", |lab| {
        let (fd, peer) = (lab.udp(Family::V4), lab.udp(Family::V4));
        let addr = lab.bound(fd, Family::V4);
        let there = lab.bound(peer, Family::V4);
        lab.sys().connect(fd, &there).unwrap();
        lab.sys().sendto(lab.udp(Family::V4), b"abc", 0, &addr).unwrap();
        lab.settled(&[fd]).remove(0)
    });
}
