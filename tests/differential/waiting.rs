//! Sockets that block: connecting, accepting, sending and receiving with and without a limit of time, `MSG_WAITALL`.

use std::thread;
use std::time::Duration;

use libc::{
    AF_INET, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, SHUT_RD, SHUT_WR, SO_RCVTIMEO, SO_SNDTIMEO,
    SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET,
};

use super::lab::{Family, Lab, done, number, text};
use super::sys::Fd;
use super::table::Table;

const V4: Family = Family::V4;

/// A limit that runs out, octets of a `timeval`: 20 ms.
const SHORT: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0x4e, 0, 0, 0, 0, 0, 0];

fn limit(lab: &Lab, fd: Fd) {
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
        lab.sys().setsockopt(fd, SOL_SOCKET, option, &SHORT).unwrap();
    }
}

/// A blocking socket with a limit.
fn tcp(lab: &Lab) -> Fd {
    let fd = lab.socket(AF_INET, SOCK_STREAM, 0).unwrap();
    limit(lab, fd);
    fd
}

/// A connection whose first end blocks, with a limit.
fn pair(lab: &Lab) -> (Fd, Fd) {
    let (listener, addr) = lab.listener(V4, 1);
    let fd = tcp(lab);
    lab.join(listener, addr, fd)
}

fn recv(lab: &Lab, fd: Fd, room: usize, flags: i32) -> String {
    let mut buf = [b'.'; 16];
    let result = lab.sys().recv(fd, &mut buf[..room], flags);
    text(result, &buf)
}

pub(crate) fn rows(table: &mut Table) {
    connecting(table);
    limits(table);
    whole(table);
    low_water(table);
    woken(table);
}

fn connecting(table: &mut Table) {
    table.row("connect to a listener, twice", |lab| {
        let (_, addr) = lab.listener(V4, 1);
        let fd = tcp(lab);
        format!("{}, {}", done(lab.sys().connect(fd, &addr)), done(lab.sys().connect(fd, &addr)))
    });
    table.row("connect to nobody, twice", |lab| {
        let (fd, addr) = (tcp(lab), lab.nobody(V4));
        let (first, bits) = (done(lab.sys().connect(fd, &addr)), lab.look(fd));
        format!("{first}, {bits}, {}, {}", lab.error(fd), done(lab.sys().connect(fd, &addr)))
    });
    table.row("connect to nobody, then to a listener", |lab| {
        let fd = tcp(lab);
        let first = done(lab.sys().connect(fd, &lab.nobody(V4)));
        let (_, addr) = lab.listener(V4, 1);
        format!("{first}, {}, {}", done(lab.sys().connect(fd, &addr)), lab.look(fd))
    });
    table.row("connect beyond SO_SNDTIMEO, twice", |lab| {
        let fd = tcp(lab);
        let addr = V4.silent();
        format!("{}, {}", done(lab.sys().connect(fd, &addr)), done(lab.sys().connect(fd, &addr)))
    });
    table.row("connect to 0.0.0.0", |lab| {
        let (_, addr) = lab.listener(V4, 1);
        let fd = tcp(lab);
        let unspecified = ([0, 0, 0, 0], addr.port()).into();
        let gave = done(lab.sys().connect(fd, &unspecified));
        format!("{gave}, {}", super::lab::placed(lab.sys().getpeername(fd)))
    });
    table.row("connect to a broadcast address", |lab| {
        done(lab.sys().connect(tcp(lab), &([255, 255, 255, 255], 9).into()))
    });
    table.row("connect to a multicast address", |lab| {
        done(lab.sys().connect(tcp(lab), &([224, 0, 0, 1], 9).into()))
    });
    table.row("connect to port 0", |lab| done(lab.sys().connect(tcp(lab), &V4.loopback())));
    table.row("connect to oneself", |lab| {
        let fd = tcp(lab);
        let addr = lab.bound(fd, V4);
        let gave = done(lab.sys().connect(fd, &addr));
        let sent = number(lab.sys().send(fd, b"me", 0));
        format!("{gave}, {sent}, {}, {}", recv(lab, fd, 16, 0), lab.settled(&[fd])[0])
    });
}

fn limits(table: &mut Table) {
    table.row("accept beyond SO_RCVTIMEO", |lab| {
        let fd = tcp(lab);
        lab.bound(fd, V4);
        lab.sys().listen(fd, 1).unwrap();
        number(lab.accept4(fd, 0).map(|_| 0))
    });
    for (name, flags) in
        [("", 0), (" MSG_PEEK", MSG_PEEK), (" MSG_WAITALL", MSG_WAITALL), (" MSG_TRUNC", MSG_TRUNC)]
    {
        table.row(format!("recv{name} beyond SO_RCVTIMEO"), move |lab| recv(lab, pair(lab).0, 16, flags));
        table.row(format!("recv{name} 0 beyond SO_RCVTIMEO"), move |lab| recv(lab, pair(lab).0, 0, flags));
    }
    table.row("read and readv beyond SO_RCVTIMEO", |lab| {
        let (fd, _peer) = pair(lab);
        let read = number(lab.sys().read(fd, &mut [0; 4]));
        format!("{read}, {}", number(lab.sys().readv(fd, &mut [&mut [0; 2], &mut [0; 2]])))
    });
    table.row("recv of a datagram beyond SO_RCVTIMEO", |lab| {
        let fd = lab.socket(AF_INET, SOCK_DGRAM, 0).unwrap();
        limit(lab, fd);
        lab.bound(fd, V4);
        recv(lab, fd, 16, 0)
    });
    table.row("recv MSG_DONTWAIT", |lab| recv(lab, pair(lab).0, 16, MSG_DONTWAIT));
    table.row("send beyond SO_SNDTIMEO", |lab| {
        let (fd, _peer) = pair(lab);
        lab.set(fd, SOL_SOCKET, libc::SO_SNDBUF, 8192);
        while lab.sys().send(fd, &[0; 65536], MSG_DONTWAIT).is_ok() {}
        // Until what is under way has arrived.
        while lab.sys().send(fd, &[0; 65536], 0).is_ok() {}
        number(lab.sys().send(fd, &[0; 65536], 0))
    });
}

fn whole(table: &mut Table) {
    type Way = (&'static str, fn(&Lab, Fd));
    const WAYS: [Way; 6] = [
        ("some", |_, _| {}),
        ("some and more", |lab, peer| lab.send_all(peer, b"world")),
        ("some and the end", |lab, peer| lab.sys().shutdown(peer, SHUT_WR).unwrap()),
        ("some and a reset", |lab, peer| lab.reset(peer)),
        ("some and urgent data", |lab, peer| {
            assert_eq!(lab.sys().send(peer, b"!", libc::MSG_OOB), Ok(1));
            lab.send_all(peer, b"w");
        }),
        ("all", |lab, peer| lab.send_all(peer, b"world and more")),
    ];
    for (name, way) in WAYS {
        for (flags_name, flags) in [
            ("MSG_WAITALL", MSG_WAITALL),
            ("MSG_WAITALL|MSG_PEEK", MSG_WAITALL | MSG_PEEK),
            ("MSG_WAITALL|MSG_DONTWAIT", MSG_WAITALL | MSG_DONTWAIT),
            ("MSG_WAITALL|MSG_TRUNC", MSG_WAITALL | MSG_TRUNC),
        ] {
            table.row(format!("recv 10 {flags_name} of {name}"), move |lab| {
                let (fd, peer) = pair(lab);
                lab.send_all(peer, b"hello");
                way(lab, peer);
                lab.settled(&[fd]);
                format!("{}, {}", recv(lab, fd, 10, flags), recv(lab, fd, 10, 0))
            });
        }
    }
}

/// `SO_RCVLOWAT`: what ends a wait for ten octets of which five are there.
fn low_water(table: &mut Table) {
    type Way = (&'static str, fn(&Lab, Fd));
    const WAYS: [Way; 6] = [
        ("the limit of time", |_, _| {}),
        ("five more", |lab, peer| lab.send_all(peer, b"world")),
        ("ten more", |lab, peer| lab.send_all(peer, b"worldagain")),
        ("the end", |lab, peer| lab.sys().shutdown(peer, SHUT_WR).unwrap()),
        ("a reset", |lab, peer| lab.reset(peer)),
        ("the peer's close", |lab, peer| lab.close(peer).unwrap()),
    ];
    for (name, way) in WAYS {
        for (flags_name, flags) in
            [("", 0), (" MSG_PEEK", MSG_PEEK), (" MSG_WAITALL", MSG_WAITALL), (" MSG_DONTWAIT", MSG_DONTWAIT)]
        {
            for room in [3, 8, 16] {
                table.row(format!("SO_RCVLOWAT 10, recv {room}{flags_name} ended by {name}"), move |lab| {
                    let (fd, peer) = pair(lab);
                    lab.set(fd, SOL_SOCKET, libc::SO_RCVLOWAT, 10);
                    // 100 ms: longer than it takes until something happens.
                    let limit = [0, 0, 0, 0, 0, 0, 0, 0, 0xa0, 0x86, 1, 0, 0, 0, 0, 0];
                    lab.sys().setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit).unwrap();
                    lab.send_all(peer, b"hello");
                    lab.settled(&[fd]);
                    let sys = lab.sys();
                    let first = thread::scope(|scope| {
                        let waiting = scope.spawn(move || {
                            let mut buf = [b'.'; 16];
                            let result = sys.recv(fd, &mut buf[..room], flags);
                            text(result, &buf)
                        });
                        thread::park_timeout(Duration::from_millis(20));
                        way(lab, peer);
                        waiting.join().unwrap()
                    });
                    format!("{first}, {}", recv(lab, fd, 16, MSG_DONTWAIT))
                });
            }
        }
    }
}

/// Calls that wait, and what ends the wait.
fn woken(table: &mut Table) {
    type Way = (&'static str, fn(&Lab, Fd, Fd));
    const WAYS: [Way; 6] = [
        ("data", |lab, _, peer| lab.send_all(peer, b"hello")),
        ("the end", |lab, _, peer| lab.sys().shutdown(peer, SHUT_WR).unwrap()),
        ("a reset", |lab, _, peer| lab.reset(peer)),
        ("the peer's close", |lab, _, peer| lab.close(peer).unwrap()),
        ("our shutdown SHUT_RD", |lab, fd, _| lab.sys().shutdown(fd, SHUT_RD).unwrap()),
        ("our shutdown SHUT_WR", |lab, fd, _| lab.sys().shutdown(fd, SHUT_WR).unwrap()),
    ];
    for (name, way) in WAYS {
        table.row(format!("recv ended by {name}"), move |lab| {
            let (listener, addr) = lab.listener(V4, 1);
            let fd = lab.socket(AF_INET, SOCK_STREAM, 0).unwrap();
            // Longer than the wait, so that nothing hangs.
            let second = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            lab.sys().setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second).unwrap();
            let (_, peer) = lab.join(listener, addr, fd);
            let sys = lab.sys();
            thread::scope(|scope| {
                let waiting = scope.spawn(move || {
                    let mut buf = [b'.'; 16];
                    let result = sys.recv(fd, &mut buf, 0);
                    text(result, &buf)
                });
                thread::park_timeout(Duration::from_millis(20));
                way(lab, fd, peer);
                waiting.join().unwrap()
            })
        });
    }
    table.row("accept ended by a connection", |lab| {
        let fd = lab.socket(AF_INET, SOCK_STREAM, 0).unwrap();
        let addr = lab.bound(fd, V4);
        lab.sys().listen(fd, 1).unwrap();
        let client = lab.tcp(V4);
        let sys = lab.sys();
        thread::scope(|scope| {
            let waiting = scope.spawn(move || sys.accept4(fd, 0));
            thread::park_timeout(Duration::from_millis(20));
            lab.begin(client, addr);
            let (accepted, _) = waiting.join().unwrap().unwrap();
            done(sys.close(accepted))
        })
    });
    table.row("accept ended by shutdown SHUT_RD", |lab| {
        let fd = lab.socket(AF_INET, SOCK_STREAM, 0).unwrap();
        lab.bound(fd, V4);
        lab.sys().listen(fd, 1).unwrap();
        let second = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        lab.sys().setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second).unwrap();
        let sys = lab.sys();
        thread::scope(|scope| {
            let waiting = scope.spawn(move || sys.accept4(fd, 0));
            thread::park_timeout(Duration::from_millis(20));
            sys.shutdown(fd, SHUT_RD).unwrap();
            number(waiting.join().unwrap().map(|_| 0))
        })
    });
    table.row("a send larger than all buffers, to who reads", |lab| {
        const SIZE: usize = 8 << 20;
        let (fd, peer) = lab.pair(V4);
        lab.sys().fcntl(fd, libc::F_SETFL, 0).unwrap();
        lab.sys().fcntl(peer, libc::F_SETFL, 0).unwrap();
        let sys = lab.sys();
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let (mut buf, mut sum) = (vec![0; 65536], 0);
                while sum < SIZE {
                    match sys.recv(peer, &mut buf, 0) {
                        Ok(n @ 1..) => sum += n,
                        other => return other,
                    }
                }
                Ok(sum)
            });
            let sent = number(sys.send(fd, &vec![0; SIZE], 0));
            format!("{sent}, {}", number(reader.join().unwrap()))
        })
    });
}
