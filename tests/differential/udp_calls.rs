//! Each call that can be made of a UDP socket, with each argument that makes a difference.

use std::net::SocketAddr;

use libc::{
    FIONREAD, IPPROTO_TCP, MSG_DONTWAIT, MSG_ERRQUEUE, MSG_MORE, MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_WAITALL,
    SHUT_RD, SHUT_RDWR, SHUT_WR, SO_ACCEPTCONN, SOL_SOCKET, TIOCOUTQ,
};

use super::lab::{Family, Lab, done, number, place, placed, text};
use super::scene::{Call, Scene};
use super::sys::name;
use super::tcp_calls::SIOCATMARK;

const V4: Family = Family::V4;

/// The largest datagram of IPv4 (RFC 768, RFC 791).
const LARGEST: usize = 65_507;

pub(crate) const CALLS: [Call; 50] = [
    ("poll", |_, _| "-".to_owned()),
    ("getsockname", |lab, s| placed(lab.sys().getsockname(s.fd))),
    ("getpeername", |lab, s| placed(lab.sys().getpeername(s.fd))),
    ("bind 127.0.0.1:0", |lab, s| done(lab.sys().bind(s.fd, &V4.loopback()))),
    ("bind 192.0.2.1:0", |lab, s| done(lab.sys().bind(s.fd, &SocketAddr::from(([192, 0, 2, 1], 0))))),
    ("listen", |lab, s| done(lab.sys().listen(s.fd, 1))),
    ("accept", |lab, s| number(lab.accept4(s.fd, 0).map(|_| 0))),
    ("connect, names", |lab, s| {
        let to = lab.udp(V4);
        let addr = lab.bound(to, V4);
        let gave = done(lab.sys().connect(s.fd, &addr));
        format!("{gave}, {}, {}", placed(lab.sys().getsockname(s.fd)), placed(lab.sys().getpeername(s.fd)))
    }),
    ("connect to 0.0.0.0", |lab, s| {
        let to = lab.udp(V4);
        let port = lab.bound(to, V4).port();
        let gave = done(lab.sys().connect(s.fd, &SocketAddr::from(([0, 0, 0, 0], port))));
        format!("{gave}, {}", placed(lab.sys().getpeername(s.fd)))
    }),
    ("connect to port 0", |lab, s| done(lab.sys().connect(s.fd, &V4.loopback()))),
    ("connect to [::1]", |lab, s| {
        let to = lab.udp(Family::V6);
        let addr = lab.bound(to, Family::V6);
        done(lab.sys().connect(s.fd, &addr))
    }),
    ("connect AF_UNSPEC, names", |lab, s| {
        let gave = done(lab.sys().disconnect(s.fd));
        format!("{gave}, {}, {}", placed(lab.sys().getsockname(s.fd)), placed(lab.sys().getpeername(s.fd)))
    }),
    ("send abc", |lab, s| number(lab.sys().send(s.fd, b"abc", 0))),
    ("send abc twice", |lab, s| {
        let first = number(lab.sys().send(s.fd, b"abc", 0));
        lab.settled(&[s.fd]);
        format!("{first}, {}", number(lab.sys().send(s.fd, b"abc", 0)))
    }),
    ("send nothing", |lab, s| number(lab.sys().send(s.fd, b"", 0))),
    ("send the largest", |lab, s| number(lab.sys().send(s.fd, &[b'x'; LARGEST], 0))),
    ("send one too large", |lab, s| number(lab.sys().send(s.fd, &[b'x'; LARGEST + 21], 0))),
    ("send MSG_OOB", |lab, s| number(lab.sys().send(s.fd, b"abc", MSG_OOB))),
    ("send MSG_MORE, send", |lab, s| {
        let first = number(lab.sys().send(s.fd, b"ab", MSG_MORE));
        format!("{first}, {}, peer {}", number(lab.sys().send(s.fd, b"c", 0)), at_peer(lab, s))
    }),
    ("sendto", |lab, s| {
        let to = lab.udp(V4);
        let addr = lab.bound(to, V4);
        let gave = number(lab.sys().sendto(s.fd, b"abc", 0, &addr));
        format!("{gave}, there {}", lab.settled(&[to])[0])
    }),
    ("sendto nobody twice", |lab, s| {
        let addr = lab.nobody(V4);
        let first = number(lab.sys().sendto(s.fd, b"abc", 0, &addr));
        lab.settled(&[s.fd]);
        format!("{first}, {}", number(lab.sys().sendto(s.fd, b"abc", 0, &addr)))
    }),
    ("sendto port 0", |lab, s| number(lab.sys().sendto(s.fd, b"abc", 0, &V4.loopback()))),
    ("sendto [::1]", |lab, s| {
        let to = lab.udp(Family::V6);
        let addr = lab.bound(to, Family::V6);
        number(lab.sys().sendto(s.fd, b"abc", 0, &addr))
    }),
    ("sendto 255.255.255.255", |lab, s| {
        number(lab.sys().sendto(s.fd, b"abc", 0, &SocketAddr::from(([255; 4], 9))))
    }),
    ("sendmsg of two parts", |lab, s| {
        let gave = number(lab.sys().sendmsg(s.fd, &[b"ab", b"c"], 0, None));
        format!("{gave}, peer {}", at_peer(lab, s))
    }),
    ("sendmsg of no parts", |lab, s| number(lab.sys().sendmsg(s.fd, &[], 0, None))),
    ("write", |lab, s| number(lab.sys().write(s.fd, b"abc"))),
    ("write nothing", |lab, s| number(lab.sys().write(s.fd, b""))),
    ("writev", |lab, s| number(lab.sys().writev(s.fd, &[b"ab", b"c"]))),
    ("recv 16", |lab, s| recv(lab, s, 16, 0)),
    ("recv 2", |lab, s| recv(lab, s, 2, 0)),
    ("recv 0", |lab, s| recv(lab, s, 0, 0)),
    ("recv 16 three times", |lab, s| {
        format!("{}, {}, {}", recv(lab, s, 16, 0), recv(lab, s, 16, 0), recv(lab, s, 16, 0))
    }),
    ("recv MSG_PEEK, recv", |lab, s| format!("{}, {}", recv(lab, s, 16, MSG_PEEK), recv(lab, s, 16, 0))),
    ("recv 2 MSG_TRUNC", |lab, s| recv(lab, s, 2, MSG_TRUNC)),
    ("recv 2 MSG_PEEK|MSG_TRUNC", |lab, s| recv(lab, s, 2, MSG_PEEK | MSG_TRUNC)),
    ("recv MSG_OOB", |lab, s| recv(lab, s, 16, MSG_OOB)),
    ("recv MSG_WAITALL", |lab, s| recv(lab, s, 16, MSG_WAITALL | MSG_DONTWAIT)),
    ("recv MSG_ERRQUEUE", |lab, s| recv(lab, s, 16, MSG_ERRQUEUE)),
    ("recvfrom", |lab, s| {
        let mut buf = [b'.'; 16];
        match lab.sys().recvfrom(s.fd, &mut buf, 0) {
            Ok((n, from)) => format!("{}, {}", text(Ok(n), &buf), from.map_or("nobody".into(), place)),
            Err(error) => name(error),
        }
    }),
    ("recvmsg of 1 and 1", |lab, s| recvmsg(lab, s, 1, 0)),
    ("recvmsg of 1 and 1 MSG_TRUNC", |lab, s| recvmsg(lab, s, 1, MSG_TRUNC)),
    ("recvmsg of 2 and 16", |lab, s| recvmsg(lab, s, 16, 0)),
    ("readv", |lab, s| {
        let (mut a, mut b) = ([b'.'; 2], [b'.'; 16]);
        let result = lab.sys().readv(s.fd, &mut [&mut a, &mut b]);
        text(result, &[&a[..], &b[..]].concat())
    }),
    ("shutdown SHUT_RD", |lab, s| done(lab.sys().shutdown(s.fd, SHUT_RD))),
    ("shutdown SHUT_WR", |lab, s| done(lab.sys().shutdown(s.fd, SHUT_WR))),
    ("shutdown SHUT_RDWR, recv, send", |lab, s| {
        let first = done(lab.sys().shutdown(s.fd, SHUT_RDWR));
        format!("{first}, {}, {}", recv(lab, s, 16, 0), number(lab.sys().send(s.fd, b"abc", 0)))
    }),
    ("shutdown 3", |lab, s| done(lab.sys().shutdown(s.fd, 3))),
    ("close", |lab, s| done(lab.close(s.fd))),
    ("ioctl, options", |lab, s| {
        let ioctl = |request: u64| number(lab.sys().ioctl(s.fd, request));
        let accepts = number(lab.get(s.fd, SOL_SOCKET, SO_ACCEPTCONN));
        let nodelay = number(lab.get(s.fd, IPPROTO_TCP, libc::TCP_NODELAY));
        let (unread, unsent) = (ioctl(FIONREAD), ioctl(TIOCOUTQ));
        format!("{unread}, {unsent}, {}, {accepts}, {nodelay}", ioctl(SIOCATMARK))
    }),
];

fn recv(lab: &Lab, s: &Scene, room: usize, flags: i32) -> String {
    let mut buf = [b'.'; 16];
    let result = lab.sys().recv(s.fd, &mut buf[..room], flags);
    text(result, &buf)
}

/// With room for `first` and `second` octets at the most.
fn recvmsg(lab: &Lab, s: &Scene, second: usize, flags: i32) -> String {
    let (mut a, mut b) = ([b'.'; 1], [b'.'; 16]);
    match lab.sys().recvmsg(s.fd, &mut [&mut a, &mut b[..second]], flags) {
        Ok(got) => {
            let from = got.from.map_or("nobody".into(), place);
            format!("{}, {from}, flags {:#x}", text(Ok(got.n), &[&a[..], &b[..]].concat()), got.flags)
        }
        Err(error) => name(error),
    }
}

/// What the peer has got.
fn at_peer(lab: &Lab, s: &Scene) -> String {
    let Some(peer) = s.peer else { return "-".to_owned() };
    lab.settled(&[peer]);
    let mut buf = [b'.'; 16];
    let result = lab.sys().recv(peer, &mut buf, MSG_DONTWAIT);
    text(result, &buf)
}
