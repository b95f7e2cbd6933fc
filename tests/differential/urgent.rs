//! Urgent data: `MSG_OOB`, `SO_OOBINLINE`, `SIOCATMARK` and `POLLPRI`.

use libc::{FIONREAD, MSG_OOB, MSG_PEEK, SHUT_WR, SO_OOBINLINE, SOL_SOCKET};

use super::lab::{Family, Lab, number, text};
use super::sys::Fd;
use super::table::Table;
use super::tcp_calls::SIOCATMARK;

/// What is sent: `!` before text makes its last octet urgent, `.` is the end.
const SENT: [&[&str]; 9] = [
    &["!a"],
    &["ab", "!c"],
    &["ab", "!cd"],
    &["ab", "!c", "de"],
    &["!a", "bc"],
    &["!a", "!b"],
    &["ab", "!c", "!d", "ef"],
    &["ab", "!c", "."],
    &["!a", "."],
];

/// How it is read: r and 1 read 9 and one, o takes urgent data, O looks at it, p looks, m asks for the mark, n for the
/// number of octets that may be read.
const READ: [&str; 14] =
    ["", "rrr", "o", "or", "oo", "Oo", "ro", "rro", "m1m1m1m", "n1n1n1n", "prp", "1o1r", "rmom", "mrmrm"];

pub(crate) fn rows(table: &mut Table) {
    for inline in [false, true] {
        let place = if inline { "in line" } else { "out of band" };
        for sent in SENT {
            for how in READ {
                table.row(format!("{place}: {} read {how}", sent.join(" ")), move |lab| {
                    let (fd, peer) = lab.pair(Family::V4);
                    lab.set(fd, SOL_SOCKET, SO_OOBINLINE, i32::from(inline));
                    for part in sent {
                        send(lab, peer, part);
                        lab.settled(&[fd]);
                    }
                    let ready = lab.settled(&[fd]).remove(0);
                    let read: Vec<String> = how.chars().map(|way| read(lab, fd, way)).collect();
                    format!("{ready}, {}, {}", read.join(" "), lab.settled(&[fd])[0])
                });
            }
        }
        table.row(format!("{place}: not wanted, then peeked at by SO_OOBINLINE"), move |lab| {
            let (fd, peer) = lab.pair(Family::V4);
            lab.set(fd, SOL_SOCKET, SO_OOBINLINE, i32::from(inline));
            send(lab, peer, "!a");
            send(lab, peer, "b");
            lab.until_so("both", || lab.look(fd).contains("IN"));
            lab.set(fd, SOL_SOCKET, SO_OOBINLINE, i32::from(!inline));
            format!("{} {} {}", read(lab, fd, 'o'), read(lab, fd, 'r'), read(lab, fd, 'r'))
        });
    }
    table.row("in a second while the first is unread, then a third", |lab| {
        let (fd, peer) = lab.pair(Family::V4);
        for part in ["x", "!1", "y", "!2", "z", "!3"] {
            send(lab, peer, part);
            lab.settled(&[fd]);
        }
        "omrmrmrmr".chars().map(|way| read(lab, fd, way)).collect::<Vec<_>>().join(" ")
    });
}

fn send(lab: &Lab, fd: Fd, part: &str) {
    match part.strip_prefix('!') {
        Some(urgent) => assert_eq!(lab.sys().send(fd, urgent.as_bytes(), MSG_OOB), Ok(urgent.len())),
        None if part == "." => lab.sys().shutdown(fd, SHUT_WR).unwrap(),
        None => lab.send_all(fd, part.as_bytes()),
    }
}

fn read(lab: &Lab, fd: Fd, way: char) -> String {
    let recv = |room: usize, flags| {
        let mut buf = [b'.'; 9];
        let result = lab.sys().recv(fd, &mut buf[..room], flags);
        text(result, &buf)
    };
    match way {
        'r' => recv(9, 0),
        '1' => recv(1, 0),
        'p' => recv(9, MSG_PEEK),
        'o' => recv(9, MSG_OOB),
        'O' => recv(9, MSG_OOB | MSG_PEEK),
        'm' => format!("mark {}", number(lab.sys().ioctl(fd, SIOCATMARK))),
        'n' => format!("unread {}", number(lab.sys().ioctl(fd, FIONREAD))),
        other => panic!("no way to read is called {other}"),
    }
}
