//! Each call that can be made of a TCP socket, with each argument that makes a difference.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use libc::{
    F_GETFL, FIONREAD, IPPROTO_IPV6, IPPROTO_TCP, MSG_DONTWAIT, MSG_ERRQUEUE, MSG_MORE, MSG_NOSIGNAL,
    MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, O_NONBLOCK, SHUT_RD, SHUT_RDWR, SHUT_WR, SO_ACCEPTCONN,
    SOL_SOCKET, TIOCOUTQ,
};

use super::lab::{Family, Lab, done, number, placed, text};
use super::scene::{Call, Scene};
use super::sys::{Fd, Res, name};

/// Whether the reader stands at the urgent mark; `libc` does not name it on all targets.
pub(crate) const SIOCATMARK: u64 = 0x8905;

const V4: Family = Family::V4;

pub(crate) const CALLS: [Call; 66] = [
    ("poll", |_, _| "-".to_owned()),
    ("getsockname", |lab, s| placed(lab.sys().getsockname(s.fd))),
    ("getpeername", |lab, s| placed(lab.sys().getpeername(s.fd))),
    ("bind 127.0.0.1:0", |lab, s| done(lab.sys().bind(s.fd, &V4.loopback()))),
    ("bind [::1]:0", |lab, s| done(lab.sys().bind(s.fd, &Family::V6.loopback()))),
    ("bind 192.0.2.1:0", |lab, s| done(lab.sys().bind(s.fd, &SocketAddr::from(([192, 0, 2, 1], 0))))),
    ("listen 1", |lab, s| done(lab.sys().listen(s.fd, 1))),
    ("accept", accept),
    ("accept twice", |lab, s| format!("{}, {}", accept(lab, s), accept(lab, s))),
    ("connect to a listener", |lab, s| {
        let (_, addr) = lab.listener(V4, 8);
        done(lab.sys().connect(s.fd, &addr))
    }),
    ("connect to nobody", |lab, s| done(lab.sys().connect(s.fd, &lab.nobody(V4)))),
    ("connect twice", |lab, s| {
        let (_, addr) = lab.listener(V4, 8);
        let first = done(lab.sys().connect(s.fd, &addr));
        lab.settled(&[s.fd]);
        format!("{first}, {}", done(lab.sys().connect(s.fd, &addr)))
    }),
    ("connect to nobody twice", |lab, s| {
        let addr = lab.nobody(V4);
        let first = done(lab.sys().connect(s.fd, &addr));
        lab.settled(&[s.fd]);
        format!("{first}, {}", done(lab.sys().connect(s.fd, &addr)))
    }),
    ("connect to [::1]", |lab, s| {
        let (_, addr) = lab.listener(Family::V6, 8);
        done(lab.sys().connect(s.fd, &addr))
    }),
    ("connect AF_UNSPEC", |lab, s| done(lab.sys().disconnect(s.fd))),
    ("connect AF_UNSPEC, names", |lab, s| {
        let gave = done(lab.sys().disconnect(s.fd));
        format!("{gave}, {}, {}", placed(lab.sys().getsockname(s.fd)), placed(lab.sys().getpeername(s.fd)))
    }),
    ("connect AF_UNSPEC, connect to a listener", |lab, s| {
        let gave = done(lab.sys().disconnect(s.fd));
        let (_, addr) = lab.listener(V4, 8);
        format!("{gave}, {}", done(lab.sys().connect(s.fd, &addr)))
    }),
    ("send abc", |lab, s| number(lab.sys().send(s.fd, b"abc", 0))),
    ("send abc twice", |lab, s| {
        let first = number(lab.sys().send(s.fd, b"abc", 0));
        lab.settled(&[s.fd]);
        format!("{first}, {}", number(lab.sys().send(s.fd, b"abc", MSG_NOSIGNAL)))
    }),
    ("send nothing", |lab, s| number(lab.sys().send(s.fd, b"", 0))),
    ("send MSG_OOB", |lab, s| number(lab.sys().send(s.fd, b"abc", MSG_OOB))),
    ("send MSG_OOB nothing", |lab, s| number(lab.sys().send(s.fd, b"", MSG_OOB))),
    ("send MSG_MORE", |lab, s| number(lab.sys().send(s.fd, b"abc", MSG_MORE))),
    ("send MSG_DONTWAIT", |lab, s| number(lab.sys().send(s.fd, b"abc", MSG_DONTWAIT))),
    ("sendto elsewhere", |lab, s| {
        let addr = lab.nobody(V4);
        number(lab.sys().sendto(s.fd, b"abc", 0, &addr))
    }),
    ("sendto [::1]", |lab, s| {
        let addr = lab.nobody(Family::V6);
        number(lab.sys().sendto(s.fd, b"abc", 0, &addr))
    }),
    ("sendmsg of two parts", |lab, s| number(lab.sys().sendmsg(s.fd, &[b"ab", b"c"], 0, None))),
    ("sendmsg of no parts", |lab, s| number(lab.sys().sendmsg(s.fd, &[], 0, None))),
    ("write", |lab, s| number(lab.sys().write(s.fd, b"abc"))),
    ("write nothing", |lab, s| number(lab.sys().write(s.fd, b""))),
    ("writev", |lab, s| number(lab.sys().writev(s.fd, &[b"ab", b"", b"c"]))),
    ("recv 16", |lab, s| recv(lab, s, 16, 0)),
    ("recv 2", |lab, s| recv(lab, s, 2, 0)),
    ("recv 0", |lab, s| recv(lab, s, 0, 0)),
    ("recv 16 three times", |lab, s| {
        format!("{}, {}, {}", recv(lab, s, 16, 0), recv(lab, s, 16, 0), recv(lab, s, 16, 0))
    }),
    ("recv MSG_PEEK", |lab, s| recv(lab, s, 16, MSG_PEEK)),
    ("recv MSG_PEEK, recv", |lab, s| format!("{}, {}", recv(lab, s, 16, MSG_PEEK), recv(lab, s, 16, 0))),
    ("recv 0 MSG_PEEK", |lab, s| recv(lab, s, 0, MSG_PEEK)),
    ("recv MSG_OOB", |lab, s| recv(lab, s, 16, MSG_OOB)),
    ("recv MSG_OOB|MSG_PEEK", |lab, s| recv(lab, s, 16, MSG_OOB | MSG_PEEK)),
    ("recv MSG_WAITALL", |lab, s| recv(lab, s, 16, MSG_WAITALL)),
    ("recv MSG_DONTWAIT", |lab, s| recv(lab, s, 16, MSG_DONTWAIT)),
    ("recv MSG_TRUNC", |lab, s| recv(lab, s, 4, MSG_TRUNC)),
    ("recv MSG_ERRQUEUE", |lab, s| recv(lab, s, 16, MSG_ERRQUEUE)),
    ("recvfrom", |lab, s| {
        let mut buf = [b'.'; 16];
        match lab.sys().recvfrom(s.fd, &mut buf, 0) {
            Ok((n, from)) => {
                format!("{}, {}", text(Ok(n), &buf), from.map_or("nobody".into(), super::lab::place))
            }
            Err(error) => name(error),
        }
    }),
    ("recvmsg of two parts", recvmsg),
    ("read", |lab, s| {
        let mut buf = [b'.'; 16];
        text(lab.sys().read(s.fd, &mut buf), &buf)
    }),
    ("read 0", |lab, s| text(lab.sys().read(s.fd, &mut []), &[])),
    ("readv", |lab, s| {
        let (mut a, mut b) = ([b'.'; 2], [b'.'; 16]);
        let result = lab.sys().readv(s.fd, &mut [&mut a, &mut b]);
        text(result, &[&a[..], &b[..]].concat())
    }),
    ("shutdown SHUT_RD", |lab, s| done(lab.sys().shutdown(s.fd, SHUT_RD))),
    ("shutdown SHUT_WR", |lab, s| done(lab.sys().shutdown(s.fd, SHUT_WR))),
    ("shutdown SHUT_RDWR", |lab, s| done(lab.sys().shutdown(s.fd, SHUT_RDWR))),
    ("shutdown SHUT_RDWR twice", |lab, s| {
        let first = done(lab.sys().shutdown(s.fd, SHUT_RDWR));
        lab.settled(&[s.fd]);
        format!("{first}, {}", done(lab.sys().shutdown(s.fd, SHUT_RDWR)))
    }),
    ("shutdown SHUT_RDWR, recv, send", |lab, s| {
        let first = done(lab.sys().shutdown(s.fd, SHUT_RDWR));
        lab.settled(&[s.fd]);
        format!("{first}, {}, {}", recv(lab, s, 16, 0), number(lab.sys().send(s.fd, b"abc", 0)))
    }),
    ("shutdown 3", |lab, s| done(lab.sys().shutdown(s.fd, 3))),
    ("close", |lab, s| done(lab.close(s.fd))),
    ("close with SO_LINGER of 0", |lab, s| {
        format!("{}, {}", done(lab.linger(s.fd, 1, 0)), done(lab.close(s.fd)))
    }),
    ("close of a duplicate", |lab, s| {
        let duplicate = lab.dup(s.fd).unwrap();
        done(lab.close(duplicate))
    }),
    ("FIONREAD", |lab, s| many(lab.sys().ioctl(s.fd, FIONREAD))),
    ("SIOCOUTQ", |lab, s| many(acknowledged(lab, s.fd))),
    ("SIOCATMARK", |lab, s| number(lab.sys().ioctl(s.fd, SIOCATMARK))),
    ("F_GETFL", |lab, s| {
        let flags = lab.sys().fcntl(s.fd, F_GETFL, 0);
        flags.map_or_else(name, |f| if f & O_NONBLOCK != 0 { "O_NONBLOCK" } else { "blocking" }.to_owned())
    }),
    ("SO_ACCEPTCONN", |lab, s| number(lab.get(s.fd, SOL_SOCKET, SO_ACCEPTCONN))),
    ("TCP_INFO", |lab, s| {
        // A FIN may wait for its acknowledgment.
        number(acknowledged(lab, s.fd));
        state(lab, s.fd)
    }),
    ("TCP_NODELAY on", |lab, s| set(lab, s, IPPROTO_TCP, libc::TCP_NODELAY)),
    ("IPV6_V6ONLY on", |lab, s| set(lab, s, IPPROTO_IPV6, libc::IPV6_V6ONLY)),
];

fn accept(lab: &Lab, s: &Scene) -> String {
    match lab.accept4(s.fd, 0) {
        Ok((fd, peer)) => {
            let ready = lab.settled(&[fd]).remove(0);
            format!("{} {} {ready} {}", super::lab::place(peer), state(lab, fd), lab.error(fd))
        }
        Err(error) => name(error),
    }
}

/// How many octets. What lies in one peer's buffer, and so not in the other's, is for each to choose.
fn many(result: Res<i32>) -> String {
    match result {
        Ok(1000..) => "many".to_owned(),
        other => number(other),
    }
}

/// What is not acknowledged, when a delayed acknowledgment has had its time.
fn acknowledged(lab: &Lab, fd: Fd) -> Res<i32> {
    for _ in 0..60 {
        match lab.sys().ioctl(fd, TIOCOUTQ) {
            Ok(1..) => thread::park_timeout(Duration::from_millis(1)),
            other => return other,
        }
    }
    lab.sys().ioctl(fd, TIOCOUTQ)
}

fn recv(lab: &Lab, s: &Scene, room: usize, flags: i32) -> String {
    let mut buf = [b'.'; 16];
    let result = lab.sys().recv(s.fd, &mut buf[..room], flags);
    text(result, &buf)
}

fn recvmsg(lab: &Lab, s: &Scene) -> String {
    let (mut a, mut b) = ([b'.'; 2], [b'.'; 16]);
    match lab.sys().recvmsg(s.fd, &mut [&mut a, &mut b], 0) {
        Ok(got) => {
            let from = got.from.map_or("nobody".into(), super::lab::place);
            format!("{}, {from}, flags {:#x}", text(Ok(got.n), &[&a[..], &b[..]].concat()), got.flags)
        }
        Err(error) => name(error),
    }
}

fn set(lab: &Lab, s: &Scene, level: i32, option: i32) -> String {
    let result = lab.sys().setsockopt(s.fd, level, option, &1_i32.to_ne_bytes());
    format!("{}, {}", done(result), number(lab.get(s.fd, level, option)))
}

/// The state that `TCP_INFO` tells.
pub(crate) fn state(lab: &Lab, fd: i32) -> String {
    const NAMES: [&str; 13] = [
        "0",
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "TIME_WAIT",
        "CLOSE",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "CLOSING",
        "NEW_SYN_RECV",
    ];
    let mut info = [0; 104];
    let result: Res<usize> = lab.sys().getsockopt(fd, IPPROTO_TCP, libc::TCP_INFO, &mut info);
    result.map_or_else(name, |n| format!("{} of {n}", NAMES[usize::from(info[0])]))
}
