//! Listeners: in which order connections are accepted, how many may wait, and what happens to those that do.

use std::net::SocketAddr;

use libc::{IPPROTO_TCP, POLLIN, POLLOUT, SHUT_WR, SOCK_NONBLOCK, TCP_DEFER_ACCEPT};

use super::lab::{Family, Lab, done, number, place, placed, text};
use super::sys::Fd;
use super::table::Table;

const FAMILIES: [(&str, Family); 3] =
    [("IPv4", Family::V4), ("IPv6", Family::V6), ("IPv4-mapped", Family::Mapped)];

/// So many clients that begin to connect, each of which is left to settle before the next.
fn clients(lab: &Lab, family: Family, addr: SocketAddr, n: usize) -> Vec<Fd> {
    let client = |_| {
        let fd = lab.tcp(family);
        lab.begin(fd, addr);
        lab.settled(&[fd]);
        fd
    };
    (0..n).map(client).collect()
}

/// Lets a listener wait for data, and gives how long it then says that it does.
fn defer(lab: &Lab, listener: Fd, seconds: i32) -> String {
    let set = lab.sys().setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds.to_ne_bytes());
    let mut told = [0; 4];
    let got = lab.sys().getsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &mut told);
    format!("{}, {}, {}", done(set), number(got), i32::from_ne_bytes(told))
}

pub(crate) fn rows(table: &mut Table) {
    for (name, family) in FAMILIES {
        table.row(format!("{name}: five are accepted in their order"), move |lab| {
            let (listener, addr) = lab.listener(family, 8);
            let clients = clients(lab, family, addr, 5);
            let order = clients.iter().map(|&client| {
                lab.until(listener, POLLIN);
                let (_, peer) = lab.accept4(listener, SOCK_NONBLOCK).unwrap();
                u8::from(lab.sys().getsockname(client) == Ok(peer)).to_string()
            });
            let order: Vec<String> = order.collect();
            format!("{}, then {}", order.join(" "), number(lab.accept4(listener, 0).map(|_| 0)))
        });
        for backlog in [0, 1, 2, 4, -1] {
            table.row(format!("{name}: six clients of a backlog of {backlog}"), move |lab| {
                let (listener, addr) = lab.listener(family, backlog);
                let clients = clients(lab, family, addr, 6);
                let connected = lab.settled(&clients).join(" ");
                let mut accepted = 0;
                while lab.accept4(listener, 0).is_ok() {
                    accepted += 1;
                }
                format!("{connected}, {accepted} accepted")
            });
        }
        table.row(format!("{name}: room is made by accept"), move |lab| {
            let (listener, addr) = lab.listener(family, 0);
            let first = clients(lab, family, addr, 1);
            lab.until(listener, POLLIN);
            lab.accept4(listener, 0).unwrap();
            let second = clients(lab, family, addr, 1);
            lab.settled(&[first[0], second[0], listener]).join(" ")
        });
        table.row(format!("{name}: the names of both ends"), move |lab| {
            let (listener, addr) = lab.listener(family, 1);
            let (fd, peer) = lab.join(listener, addr, lab.tcp(family));
            let crossed = lab.sys().getsockname(fd) == lab.sys().getpeername(peer)
                && lab.sys().getpeername(fd) == lab.sys().getsockname(peer);
            format!("{crossed}, {}", placed(lab.sys().getpeername(peer)))
        });
        table.row(format!("{name}: what was sent before accept is there"), move |lab| {
            let (listener, addr) = lab.listener(family, 1);
            let client = clients(lab, family, addr, 1)[0];
            lab.send_all(client, b"early");
            lab.sys().shutdown(client, SHUT_WR).unwrap();
            lab.until(listener, POLLIN);
            let (fd, _) = lab.accept4(listener, 0).unwrap();
            let ready = lab.settled(&[fd]).remove(0);
            let mut buf = [0; 9];
            format!("{ready}, {}", text(lab.sys().recv(fd, &mut buf, 0), &buf))
        });
        table.row(format!("{name}: a listener's close resets who waits"), move |lab| {
            let (listener, addr) = lab.listener(family, 4);
            let clients = clients(lab, family, addr, 2);
            lab.close(listener).unwrap();
            lab.settled(&clients).join(" ")
        });
        table.row(format!("{name}: a listener's close leaves who was accepted"), move |lab| {
            let (listener, addr) = lab.listener(family, 4);
            let (fd, peer) = lab.join(listener, addr, lab.tcp(family));
            lab.close(listener).unwrap();
            let again = lab.tcp(family);
            lab.begin(again, addr);
            lab.until(again, POLLOUT);
            lab.settled(&[fd, peer, again]).join(" ")
        });
    }
    for (name, family) in FAMILIES {
        table.row(format!("{name}: a listener waits for data, or for a FIN"), move |lab| {
            let (listener, addr) = lab.listener(family, 4);
            defer(lab, listener, 30);
            let clients = clients(lab, family, addr, 2);
            let mut all = lab.settled(&[clients[0], clients[1], listener]);
            lab.send_all(clients[0], b"early");
            lab.until(listener, POLLIN);
            let (first, _) = lab.accept4(listener, 0).unwrap();
            all.extend(lab.settled(&[first, listener]));
            lab.sys().shutdown(clients[1], SHUT_WR).unwrap();
            lab.until(listener, POLLIN);
            let (second, _) = lab.accept4(listener, 0).unwrap();
            all.extend(lab.settled(&[second, listener]));
            all.join(" ")
        });
        table.row(format!("{name}: a listener waits for data no longer than it was told"), move |lab| {
            let (listener, addr) = lab.listener(family, 4);
            defer(lab, listener, 1);
            let client = clients(lab, family, addr, 1)[0];
            let before = lab.settled(&[client, listener]);
            lab.until(listener, POLLIN);
            let (fd, _) = lab.accept4(listener, 0).unwrap();
            format!("{}, {}", before.join(" "), lab.settled(&[client, fd]).join(" "))
        });
    }
    table.row("how long a listener waits for data is rounded", |lab| {
        let (listener, _) = lab.listener(Family::V4, 4);
        let told = |seconds| format!("{seconds}: {}", defer(lab, listener, seconds));
        [i32::MIN, -1, 0, 1, 2, 3, 4, 100, 127, 128, 5000, i32::MAX].map(told).join(", ")
    });
    table.row("a backlog that grows and shrinks", |lab| {
        let (listener, addr) = lab.listener(Family::V4, 0);
        let mut all = clients(lab, Family::V4, addr, 1);
        lab.sys().listen(listener, 2).unwrap();
        all.extend(clients(lab, Family::V4, addr, 2));
        lab.sys().listen(listener, 0).unwrap();
        all.extend(clients(lab, Family::V4, addr, 1));
        lab.settled(&all).join(" ")
    });
    table.row("listen twice", |lab| {
        let fd = lab.listener(Family::V4, 1).0;
        done(lab.sys().listen(fd, 5))
    });
    table.row("listen unbound", |lab| {
        let fd = lab.tcp(Family::V4);
        let gave = done(lab.sys().listen(fd, 5));
        let addr = lab.sys().getsockname(fd).unwrap();
        let local = SocketAddr::new(Family::V4.loopback().ip(), addr.port());
        let (_, peer) = lab.join(fd, local, lab.tcp(Family::V4));
        format!("{gave}, {}, {}", place(addr), placed(lab.sys().getsockname(peer)))
    });
    table.row("listen again after shutdown", |lab| {
        let (fd, addr) = lab.listener(Family::V4, 1);
        lab.sys().shutdown(fd, libc::SHUT_RD).unwrap();
        let gave = done(lab.sys().listen(fd, 1));
        let same = lab.sys().getsockname(fd) == Ok(addr);
        let (_, peer) = lab.join(fd, lab.sys().getsockname(fd).unwrap(), lab.tcp(Family::V4));
        format!("{gave}, {same}, {}", lab.settled(&[peer])[0])
    });
    table.row("connect after listening and shutdown", |lab| {
        let (fd, _) = lab.listener(Family::V4, 1);
        lab.sys().shutdown(fd, libc::SHUT_RD).unwrap();
        let (other, addr) = lab.listener(Family::V4, 1);
        let (_, peer) = lab.join(other, addr, fd);
        lab.settled(&[fd, peer]).join(" ")
    });
    table.row("accept of one that was reset, then another", |lab| {
        let (listener, addr) = lab.listener(Family::V4, 4);
        let clients = clients(lab, Family::V4, addr, 2);
        let second = lab.sys().getsockname(clients[1]).unwrap();
        lab.reset(clients[0]);
        lab.settled(&[listener]);
        let (first, _) = lab.accept4(listener, SOCK_NONBLOCK).unwrap();
        let gave = number(lab.sys().recv(first, &mut [0; 4], 0));
        let name = placed(lab.sys().getpeername(first));
        let (_, peer) = lab.accept4(listener, 0).unwrap();
        format!("{gave}, {name}, {}", peer == second)
    });
}
