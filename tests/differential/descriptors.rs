//! Descriptors: numbers that are none, duplicates, flags, and what `socket` takes.

use std::io::pipe;
use std::os::fd::AsRawFd;

use libc::{
    AF_INET, AF_INET6, F_GETFD, F_GETFL, F_SETFL, FIONREAD, O_NONBLOCK, SHUT_WR, SO_ERROR, SOCK_CLOEXEC,
    SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET,
};

use super::lab::{Family, Lab, done, number, place, text};
use super::sys::{Fd, name};
use super::table::Table;

/// A name and what is done with a number; it says what came of it.
type Call = (&'static str, fn(&Lab, Fd) -> String);

/// Calls with arguments that are good if the descriptor is.
const CALLS: [Call; 24] = [
    ("bind", |lab, fd| done(lab.sys().bind(fd, &Family::V4.loopback()))),
    ("listen", |lab, fd| done(lab.sys().listen(fd, 1))),
    ("accept4", |lab, fd| number(lab.accept4(fd, 0).map(|_| 0))),
    ("connect", |lab, fd| done(lab.sys().connect(fd, &Family::V4.loopback()))),
    ("connect AF_UNSPEC", |lab, fd| done(lab.sys().disconnect(fd))),
    ("getsockname", |lab, fd| lab.sys().getsockname(fd).map_or_else(name, place)),
    ("getpeername", |lab, fd| lab.sys().getpeername(fd).map_or_else(name, place)),
    ("send", |lab, fd| number(lab.sys().send(fd, b"abc", 0))),
    ("send nothing", |lab, fd| number(lab.sys().send(fd, b"", 0))),
    ("sendto", |lab, fd| number(lab.sys().sendto(fd, b"abc", 0, &Family::V4.loopback()))),
    ("sendmsg", |lab, fd| number(lab.sys().sendmsg(fd, &[b"abc"], 0, None))),
    ("recv", |lab, fd| number(lab.sys().recv(fd, &mut [0; 3], 0))),
    ("recv 0", |lab, fd| number(lab.sys().recv(fd, &mut [], 0))),
    ("recvfrom", |lab, fd| number(lab.sys().recvfrom(fd, &mut [0; 3], 0).map(|_| 0))),
    ("recvmsg", |lab, fd| number(lab.sys().recvmsg(fd, &mut [&mut [0; 3]], 0).map(|_| 0))),
    ("shutdown", |lab, fd| done(lab.sys().shutdown(fd, SHUT_WR))),
    ("shutdown 3", |lab, fd| done(lab.sys().shutdown(fd, 3))),
    ("setsockopt", |lab, fd| done(lab.sys().setsockopt(fd, SOL_SOCKET, libc::SO_KEEPALIVE, &[0; 4]))),
    ("getsockopt", |lab, fd| number(lab.get(fd, SOL_SOCKET, SO_ERROR))),
    ("close", |lab, fd| done(lab.close(fd))),
    ("dup", |lab, fd| number(lab.dup(fd).map(|_| 0))),
    ("fcntl F_GETFL", |lab, fd| number(lab.sys().fcntl(fd, F_GETFL, 0))),
    ("ioctl FIONREAD", |lab, fd| number(lab.sys().ioctl(fd, FIONREAD))),
    ("read, write", |lab, fd| {
        let read = number(lab.sys().read(fd, &mut [0; 3]));
        let readv = number(lab.sys().readv(fd, &mut [&mut [0; 3]]));
        let write = number(lab.sys().write(fd, b"abc"));
        format!("{read}, {readv}, {write}, {}", number(lab.sys().writev(fd, &[b"abc"])))
    }),
];

/// How many of [`CALLS`] are those of sockets alone.
const OF_SOCKETS: usize = 19;

/// Arguments of `socket`.
const SOCKETS: [(&str, i32, i32, i32); 24] = [
    ("AF_INET, SOCK_STREAM, 0", AF_INET, SOCK_STREAM, 0),
    ("AF_INET, SOCK_STREAM, 6", AF_INET, SOCK_STREAM, 6),
    ("AF_INET, SOCK_STREAM, 17", AF_INET, SOCK_STREAM, 17),
    ("AF_INET, SOCK_STREAM, 1", AF_INET, SOCK_STREAM, 1),
    ("AF_INET, SOCK_STREAM, 255", AF_INET, SOCK_STREAM, 255),
    ("AF_INET, SOCK_STREAM, 1000", AF_INET, SOCK_STREAM, 1000),
    ("AF_INET, SOCK_STREAM, -1", AF_INET, SOCK_STREAM, -1),
    ("AF_INET, SOCK_DGRAM, 0", AF_INET, SOCK_DGRAM, 0),
    ("AF_INET, SOCK_DGRAM, 17", AF_INET, SOCK_DGRAM, 17),
    ("AF_INET, SOCK_DGRAM, 6", AF_INET, SOCK_DGRAM, 6),
    ("AF_INET6, SOCK_STREAM, 0", AF_INET6, SOCK_STREAM, 0),
    ("AF_INET6, SOCK_STREAM, 6", AF_INET6, SOCK_STREAM, 6),
    ("AF_INET6, SOCK_DGRAM, 17", AF_INET6, SOCK_DGRAM, 17),
    ("AF_INET6, SOCK_DGRAM, 6", AF_INET6, SOCK_DGRAM, 6),
    ("AF_INET6, SOCK_DGRAM, -1", AF_INET6, SOCK_DGRAM, -1),
    ("AF_UNSPEC, SOCK_STREAM, 0", libc::AF_UNSPEC, SOCK_STREAM, 0),
    ("99, SOCK_STREAM, 0", 99, SOCK_STREAM, 0),
    ("-1, SOCK_STREAM, 0", -1, SOCK_STREAM, 0),
    ("AF_INET, 0, 0", AF_INET, 0, 0),
    ("AF_INET, SOCK_SEQPACKET, 0", AF_INET, libc::SOCK_SEQPACKET, 0),
    ("AF_INET, SOCK_RDM, 0", AF_INET, libc::SOCK_RDM, 0),
    ("AF_INET, 15, 0", AF_INET, 15, 0),
    ("AF_INET, -1, 0", AF_INET, -1, 0),
    ("AF_INET, SOCK_STREAM|0x1000, 0", AF_INET, SOCK_STREAM | 0x1000, 0),
];

pub(crate) fn rows(table: &mut Table) {
    for (call, make) in CALLS {
        table.row(format!("-1: {call}"), move |lab| make(lab, -1));
        table.row(format!("a number far too high: {call}"), move |lab| make(lab, 1 << 30));
        table.row(format!("a closed one: {call}"), move |lab| {
            let fd = lab.tcp(Family::V4);
            lab.close(fd).unwrap();
            make(lab, fd)
        });
    }
    for (call, make) in &CALLS[..OF_SOCKETS] {
        table.row(format!("a pipe: {call}"), move |lab| {
            let (reader, _writer) = pipe().unwrap();
            make(lab, reader.as_raw_fd())
        });
    }
    for (arguments, domain, kind, protocol) in SOCKETS {
        table.row(format!("socket {arguments}"), move |lab| match lab.socket(domain, kind, protocol) {
            Ok(fd) => {
                let get = |option| number(lab.get(fd, SOL_SOCKET, option));
                let flags = number(lab.sys().fcntl(fd, F_GETFD, 0));
                let kind = get(libc::SO_TYPE);
                format!("{}, {kind}, {}, {flags}", get(libc::SO_DOMAIN), get(libc::SO_PROTOCOL))
            }
            Err(error) => name(error),
        });
    }
    flags(table);
    duplicates(table);
}

fn flags(table: &mut Table) {
    for (given, flags) in [
        ("nothing", 0),
        ("SOCK_NONBLOCK", SOCK_NONBLOCK),
        ("SOCK_CLOEXEC", SOCK_CLOEXEC),
        ("both", SOCK_NONBLOCK | SOCK_CLOEXEC),
    ] {
        table.row(format!("socket with {given}"), move |lab| {
            shown(lab, lab.socket(AF_INET, SOCK_STREAM | flags, 0).unwrap())
        });
        for of_listener in [0, SOCK_NONBLOCK] {
            let kind = if of_listener == 0 { "blocking" } else { "non-blocking" };
            table.row(format!("accept4 with {given} of a {kind} listener"), move |lab| {
                let listener = lab.socket(AF_INET, SOCK_STREAM | of_listener, 0).unwrap();
                let addr = lab.bound(listener, Family::V4);
                lab.sys().listen(listener, 1).unwrap();
                lab.begin(lab.tcp(Family::V4), addr);
                lab.until(listener, libc::POLLIN);
                shown(lab, lab.accept4(listener, flags).unwrap().0)
            });
        }
    }
    table.row("accept4 with other flags", |lab| {
        let (listener, _) = lab.listener(Family::V4, 1);
        number(lab.accept4(listener, 1).map(|_| 0))
    });
    table.row("F_SETFL O_NONBLOCK and back", |lab| {
        let fd = lab.socket(AF_INET, SOCK_STREAM, 0).unwrap();
        let on = number(lab.sys().fcntl(fd, F_SETFL, O_NONBLOCK));
        let shown_on = shown(lab, fd);
        format!("{on}, {shown_on}, {}, {}", number(lab.sys().fcntl(fd, F_SETFL, 0)), shown(lab, fd))
    });
    table.row("fcntl with a command that is none", |lab| {
        number(lab.sys().fcntl(lab.tcp(Family::V4), 9999, 0))
    });
    table
        .row("ioctl with a request that is none", |lab| number(lab.sys().ioctl(lab.tcp(Family::V4), 0x1234)));
}

/// The flags of the open file and those of the number.
fn shown(lab: &Lab, fd: Fd) -> String {
    let of_file = lab.sys().fcntl(fd, F_GETFL, 0).map(|f| format!("{f:#x}"));
    format!("{} {}", of_file.unwrap_or_else(name), number(lab.sys().fcntl(fd, F_GETFD, 0)))
}

fn duplicates(table: &mut Table) {
    table.row("the lowest number free is taken", |lab| {
        let (a, b) = (lab.tcp(Family::V4), lab.tcp(Family::V4));
        lab.close(a).unwrap();
        let (c, d) = (lab.udp(Family::V4), lab.udp(Family::V4));
        format!("{} {} {}", c == a, b > a, d > b)
    });
    table.row("dup takes the lowest number free", |lab| {
        let (a, b) = (lab.tcp(Family::V4), lab.tcp(Family::V4));
        lab.close(a).unwrap();
        format!("{}", lab.dup(b) == Ok(a))
    });
    table.row("accept takes the lowest number free", |lab| {
        let (a, (listener, addr)) = (lab.tcp(Family::V4), lab.listener(Family::V4, 1));
        lab.begin(lab.tcp(Family::V4), addr);
        lab.until(listener, libc::POLLIN);
        lab.close(a).unwrap();
        format!("{}", lab.accept4(listener, 0).unwrap().0 == a)
    });
    table.row("a duplicate shares O_NONBLOCK", |lab| {
        let fd = lab.socket(AF_INET, SOCK_STREAM, 0).unwrap();
        let copy = lab.dup(fd).unwrap();
        lab.sys().fcntl(copy, F_SETFL, O_NONBLOCK).unwrap();
        shown(lab, fd)
    });
    table.row("a duplicate is not closed on exec", |lab| {
        let fd = lab.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0).unwrap();
        shown(lab, lab.dup(fd).unwrap())
    });
    table.row("a duplicate shares options and address", |lab| {
        let fd = lab.tcp(Family::V4);
        let copy = lab.dup(fd).unwrap();
        lab.set(copy, SOL_SOCKET, libc::SO_KEEPALIVE, 1);
        let addr = lab.bound(fd, Family::V4);
        let same = lab.sys().getsockname(copy) == Ok(addr);
        format!("{} {same}", number(lab.get(fd, SOL_SOCKET, libc::SO_KEEPALIVE)))
    });
    table.row("a duplicate outlives the first", |lab| {
        let (fd, peer) = lab.pair(Family::V4);
        let copy = lab.dup(fd).unwrap();
        lab.close(fd).unwrap();
        let ready = lab.settled(&[copy, peer]).join(" ");
        lab.send_all(copy, b"still");
        lab.until_unread(peer, 5);
        lab.close(copy).unwrap();
        lab.until(peer, libc::POLLRDHUP);
        let mut buf = [0; 9];
        let got = text(lab.sys().recv(peer, &mut buf, 0), &buf);
        format!("{ready}, {got}, {}", number(lab.sys().recv(peer, &mut buf, 0)))
    });
    table.row("a shutdown is seen by the duplicate", |lab| {
        let (fd, peer) = lab.pair(Family::V4);
        let copy = lab.dup(fd).unwrap();
        lab.sys().shutdown(copy, libc::SHUT_RDWR).unwrap();
        lab.settled(&[fd, copy, peer]).join(" ")
    });
    table.row("readiness is seen by the duplicate", |lab| {
        let (fd, peer) = lab.pair(Family::V4);
        let copy = lab.dup(fd).unwrap();
        lab.send_all(peer, b"abc");
        lab.until_unread(copy, 3);
        let before = lab.settled(&[fd, copy]).join(" ");
        lab.sys().recv(copy, &mut [0; 9], 0).unwrap();
        format!("{before}, {}", lab.settled(&[fd, copy]).join(" "))
    });
    table.row("a duplicate made before connecting", |lab| {
        let (listener, addr) = lab.listener(Family::V4, 1);
        let fd = lab.tcp(Family::V4);
        let copy = lab.dup(fd).unwrap();
        let (_, peer) = lab.join(listener, addr, fd);
        lab.send_all(peer, b"abc");
        lab.until_unread(copy, 3);
        lab.settled(&[fd, copy]).join(" ")
    });
}
