//! `setsockopt` and `getsockopt`: values, lengths, levels, names that are none, and what an accepted connection inherits.

use libc::{
    AF_INET, AF_INET6, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_NONBLOCK,
    SOCK_STREAM, SOL_SOCKET,
};

use super::lab::{Family, Lab, done};
use super::sys::{Fd, name};
use super::table::Table;

/// An option: its name, level and number, and whether its default is for each system to choose.
type Name = (&'static str, i32, i32, bool);

const SOCKETS: [(&str, i32, i32); 4] = [
    ("tcp", AF_INET, SOCK_STREAM),
    ("tcp6", AF_INET6, SOCK_STREAM),
    ("udp", AF_INET, SOCK_DGRAM),
    ("udp6", AF_INET6, SOCK_DGRAM),
];

/// Options whose value is an `int`.
const NUMBERS: [Name; 57] = [
    ("SO_REUSEADDR", SOL_SOCKET, libc::SO_REUSEADDR, false),
    ("SO_REUSEPORT", SOL_SOCKET, libc::SO_REUSEPORT, false),
    ("SO_KEEPALIVE", SOL_SOCKET, libc::SO_KEEPALIVE, false),
    ("SO_BROADCAST", SOL_SOCKET, libc::SO_BROADCAST, false),
    ("SO_OOBINLINE", SOL_SOCKET, libc::SO_OOBINLINE, false),
    ("SO_SNDBUF", SOL_SOCKET, libc::SO_SNDBUF, true),
    ("SO_RCVBUF", SOL_SOCKET, libc::SO_RCVBUF, true),
    ("SO_RCVLOWAT", SOL_SOCKET, libc::SO_RCVLOWAT, false),
    ("SO_SNDLOWAT", SOL_SOCKET, libc::SO_SNDLOWAT, false),
    ("SO_PRIORITY", SOL_SOCKET, libc::SO_PRIORITY, false),
    ("SO_DONTROUTE", SOL_SOCKET, libc::SO_DONTROUTE, false),
    ("SO_TIMESTAMP", SOL_SOCKET, libc::SO_TIMESTAMP, false),
    ("SO_TYPE", SOL_SOCKET, libc::SO_TYPE, false),
    ("SO_DOMAIN", SOL_SOCKET, libc::SO_DOMAIN, false),
    ("SO_PROTOCOL", SOL_SOCKET, libc::SO_PROTOCOL, false),
    ("SO_ERROR", SOL_SOCKET, libc::SO_ERROR, false),
    ("SO_ACCEPTCONN", SOL_SOCKET, libc::SO_ACCEPTCONN, false),
    ("SOL_SOCKET 9999", SOL_SOCKET, 9999, false),
    ("IP_TTL", IPPROTO_IP, libc::IP_TTL, false),
    ("IP_TOS", IPPROTO_IP, libc::IP_TOS, false),
    ("IP_PKTINFO", IPPROTO_IP, libc::IP_PKTINFO, false),
    ("IP_RECVTTL", IPPROTO_IP, libc::IP_RECVTTL, false),
    ("IP_RECVTOS", IPPROTO_IP, libc::IP_RECVTOS, false),
    ("IP_RECVERR", IPPROTO_IP, libc::IP_RECVERR, false),
    ("IP_MTU_DISCOVER", IPPROTO_IP, libc::IP_MTU_DISCOVER, false),
    ("IP_MTU", IPPROTO_IP, libc::IP_MTU, false),
    ("IP_MULTICAST_TTL", IPPROTO_IP, libc::IP_MULTICAST_TTL, false),
    ("IP_MULTICAST_LOOP", IPPROTO_IP, libc::IP_MULTICAST_LOOP, false),
    ("IP_FREEBIND", IPPROTO_IP, libc::IP_FREEBIND, false),
    ("IPPROTO_IP 9999", IPPROTO_IP, 9999, false),
    ("IPV6_V6ONLY", IPPROTO_IPV6, libc::IPV6_V6ONLY, false),
    ("IPV6_UNICAST_HOPS", IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, false),
    ("IPV6_TCLASS", IPPROTO_IPV6, libc::IPV6_TCLASS, false),
    ("IPV6_RECVPKTINFO", IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, false),
    ("IPV6_MULTICAST_HOPS", IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, false),
    ("IPV6_MULTICAST_LOOP", IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP, false),
    ("IPV6_MTU_DISCOVER", IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, false),
    ("IPPROTO_IPV6 9999", IPPROTO_IPV6, 9999, false),
    ("TCP_NODELAY", IPPROTO_TCP, libc::TCP_NODELAY, false),
    ("TCP_MAXSEG", IPPROTO_TCP, libc::TCP_MAXSEG, false),
    ("TCP_CORK", IPPROTO_TCP, libc::TCP_CORK, false),
    ("TCP_KEEPIDLE", IPPROTO_TCP, libc::TCP_KEEPIDLE, false),
    ("TCP_KEEPINTVL", IPPROTO_TCP, libc::TCP_KEEPINTVL, false),
    ("TCP_KEEPCNT", IPPROTO_TCP, libc::TCP_KEEPCNT, false),
    ("TCP_SYNCNT", IPPROTO_TCP, libc::TCP_SYNCNT, true),
    ("TCP_LINGER2", IPPROTO_TCP, libc::TCP_LINGER2, false),
    ("TCP_DEFER_ACCEPT", IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, false),
    ("TCP_WINDOW_CLAMP", IPPROTO_TCP, libc::TCP_WINDOW_CLAMP, false),
    ("TCP_QUICKACK", IPPROTO_TCP, libc::TCP_QUICKACK, false),
    ("TCP_USER_TIMEOUT", IPPROTO_TCP, libc::TCP_USER_TIMEOUT, false),
    ("TCP_NOTSENT_LOWAT", IPPROTO_TCP, TCP_NOTSENT_LOWAT, true),
    ("IPPROTO_TCP 9999", IPPROTO_TCP, 9999, false),
    ("UDP_CORK", IPPROTO_UDP, libc::UDP_CORK, false),
    ("UDP_SEGMENT", IPPROTO_UDP, libc::UDP_SEGMENT, false),
    ("UDP_GRO", IPPROTO_UDP, libc::UDP_GRO, false),
    ("IPPROTO_UDP 9999", IPPROTO_UDP, 9999, false),
    ("level 999", 999, 1, false),
];

/// `libc` has no name for it.
const TCP_NOTSENT_LOWAT: i32 = 25;

/// Options whose value is something else: with a value that is good, and what is cut.
const OTHERS: [(&str, i32, i32, &[u8]); 5] = [
    ("SO_LINGER", SOL_SOCKET, libc::SO_LINGER, &[1, 0, 0, 0, 5, 0, 0, 0]),
    ("SO_RCVTIMEO", SOL_SOCKET, libc::SO_RCVTIMEO, &[3, 0, 0, 0, 0, 0, 0, 0, 0x20, 0xa1, 7, 0, 0, 0, 0, 0]),
    ("SO_SNDTIMEO", SOL_SOCKET, libc::SO_SNDTIMEO, &[3, 0, 0, 0, 0, 0, 0, 0, 0x20, 0xa1, 7, 0, 0, 0, 0, 0]),
    ("SO_RCVTIMEO of 1 s and -1 us", SOL_SOCKET, libc::SO_RCVTIMEO, &NEGATIVE),
    ("TCP_CONGESTION", IPPROTO_TCP, libc::TCP_CONGESTION, b"reno"),
];

const NEGATIVE: [u8; 16] = [1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255];

const VALUES: [i32; 6] = [0, 1, -1, 64, 300, 100_000];

/// A row for each kind of socket, option and value or length.
pub(crate) fn rows(table: &mut Table) {
    for (kind, domain, protocol) in SOCKETS {
        let open = move |lab: &Lab| lab.socket(domain, protocol | SOCK_NONBLOCK, 0).unwrap();
        for (option, level, number, chosen) in NUMBERS {
            if !chosen {
                table.row(format!("{kind}: {option}"), move |lab| shown(lab, open(lab), level, number, 4));
                for length in [0, 1, 2, 3, 8] {
                    table.row(format!("{kind}: {option}, {length} octets of it"), move |lab| {
                        shown(lab, open(lab), level, number, length)
                    });
                }
            }
            for value in VALUES {
                // How low the water may stand at the most is for each to choose.
                if option == "SO_RCVLOWAT" && value == -1 {
                    continue;
                }
                // What is large enough for all is shown doubled.
                let buffer = value == 100_000 && option.ends_with("BUF");
                table.row(format!("{kind}: {option} = {value}"), move |lab| {
                    let fd = open(lab);
                    set(lab, fd, level, number, &value.to_ne_bytes(), 4, chosen && !buffer)
                });
            }
            for length in [0, 1, 2, 3, 8] {
                table.row(format!("{kind}: {option} = 1 in {length} octets"), move |lab| {
                    let value = [1, 0, 0, 0, 0, 0, 0, 0];
                    set(lab, open(lab), level, number, &value[..length], 4, chosen)
                });
            }
        }
        for (option, level, number, value) in OTHERS {
            for length in [0, 3, 4, 8, 16, 20] {
                table.row(format!("{kind}: {option}, {length} octets of it"), move |lab| {
                    let fd = open(lab);
                    set(lab, fd, level, number, value, length, false)
                });
            }
            table.row(format!("{kind}: {option}, a short value"), move |lab| {
                set(lab, open(lab), level, number, &value[..value.len() - 1], 16, level == IPPROTO_TCP)
            });
            table.row(format!("{kind}: {option}, of a fresh socket"), move |lab| {
                if level == IPPROTO_TCP {
                    return "for each to choose".to_owned();
                }
                shown(lab, open(lab), level, number, 16)
            });
        }
    }
    inherited(table);
    bound(table);
}

/// What `getsockopt` gives for a buffer of this length.
fn shown(lab: &Lab, fd: Fd, level: i32, option: i32, length: usize) -> String {
    let mut value = [0xee; 20];
    match lab.sys().getsockopt(fd, level, option, &mut value[..length]) {
        Err(error) => name(error),
        Ok(4) => format!("{} in 4", i32::from_ne_bytes(value[..4].try_into().unwrap())),
        Ok(n) => format!("{:?} in {n}", &value[..n]),
    }
}

/// What setting gives, and what is there then; `quiet`, if that is for each to choose.
fn set(lab: &Lab, fd: Fd, level: i32, option: i32, value: &[u8], length: usize, quiet: bool) -> String {
    let gave = done(lab.sys().setsockopt(fd, level, option, value));
    if quiet { gave } else { format!("{gave}, {}", shown(lab, fd, level, option, length)) }
}

/// Options with a value other than the default, set on a listener and looked at on what it accepts.
fn inherited(table: &mut Table) {
    for (option, level, number, _) in NUMBERS {
        let value = match option {
            "SO_SNDBUF" | "SO_RCVBUF" => 100_000,
            "IP_TOS" | "IPV6_TCLASS" => 16,
            "TCP_MAXSEG" => 1000,
            "IP_MTU" | "TCP_QUICKACK" | "TCP_NOTSENT_LOWAT" | "TCP_WINDOW_CLAMP" => continue,
            _ => 3,
        };
        for (kind, family) in [("tcp", Family::V4), ("tcp6", Family::V6)] {
            table.row(format!("{kind}: {option} of what a listener with it accepts"), move |lab| {
                let listener = lab.tcp(family);
                let gave = done(lab.sys().setsockopt(listener, level, number, &i32::to_ne_bytes(value)));
                let addr = lab.bound(listener, family);
                lab.sys().listen(listener, 8).unwrap();
                let client = lab.tcp(family);
                lab.begin(client, addr);
                lab.until(client, libc::POLLOUT);
                if option == "TCP_DEFER_ACCEPT" {
                    lab.send_all(client, b"x");
                }
                lab.until(listener, libc::POLLIN);
                let (fd, _) = lab.accept4(listener, 0).unwrap();
                format!("{gave}, {}", shown(lab, fd, level, number, 4))
            });
        }
    }
    for (option, level, number, value) in OTHERS {
        table.row(format!("tcp: {option} of what a listener with it accepts"), move |lab| {
            let (listener, addr) = lab.listener(Family::V4, 8);
            let gave = done(lab.sys().setsockopt(listener, level, number, value));
            let (_, fd) = lab.join(listener, addr, lab.tcp(Family::V4));
            format!("{gave}, {}", shown(lab, fd, level, number, 16))
        });
    }
}

/// Options that a socket in use takes or does not.
fn bound(table: &mut Table) {
    for (option, level, number, chosen) in NUMBERS {
        if chosen {
            continue;
        }
        table.row(format!("tcp6: {option} = 1 when connected"), move |lab| {
            let (fd, _) = lab.pair(Family::V6);
            if matches!(option, "TCP_MAXSEG" | "IP_MTU" | "TCP_WINDOW_CLAMP") {
                return done(lab.sys().setsockopt(fd, level, number, &1_i32.to_ne_bytes()));
            }
            set(lab, fd, level, number, &1_i32.to_ne_bytes(), 4, false)
        });
        table.row(format!("udp6: {option} = 1 when bound"), move |lab| {
            let fd = lab.udp(Family::V6);
            lab.bound(fd, Family::V6);
            set(lab, fd, level, number, &1_i32.to_ne_bytes(), 4, false)
        });
    }
}
