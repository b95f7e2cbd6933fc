//! Several datagrams in one call: `UDP_SEGMENT`, `UDP_GRO`, `sendmmsg` and `recvmmsg`.

use libc::{
    FIONREAD, IPPROTO_UDP, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITFORONE, SHUT_RD, SHUT_WR, UDP_GRO,
    UDP_SEGMENT,
};

use super::lab::{Family, Lab, number};
use super::sys::{Fd, name};
use super::table::Table;

const FAMILIES: [(&str, Family); 3] = [("udp", Family::V4), ("udp6", Family::V6), ("mapped", Family::Mapped)];

/// Octets of a call, and of each datagram.
const CUTS: [(usize, i32); 20] = [
    (0, 0),
    (0, 100),
    (1, 100),
    (100, 100),
    (101, 100),
    (250, 100),
    (300, 100),
    (250, 0),
    (100, 65_535),
    (128, 1),
    (129, 1),
    (12_800, 100),
    (12_801, 100),
    (65_507, 100),
    (65_507, 1400),
    (65_508, 1400),
    (65_527, 1400),
    (65_528, 1400),
    (65_536, 1400),
    (65_536, 1),
];

/// A socket that sends to one that receives.
struct Two {
    from: Fd,
    to: Fd,
}

fn two(lab: &Lab, family: Family, joined: bool) -> Two {
    let (from, to) = (lab.udp(family), lab.udp(family));
    let addr = lab.bound(to, family);
    lab.sys().connect(from, &addr).unwrap();
    lab.set(to, IPPROTO_UDP, UDP_GRO, i32::from(joined));
    Two { from, to }
}

/// All that has come, datagrams alike told together: how much was to be read first, and then what each call gave.
fn came(lab: &Lab, fd: Fd, room: usize, flags: i32) -> String {
    lab.settled(&[fd]);
    let mut told: Vec<(String, usize)> = Vec::new();
    let first = number(lab.sys().ioctl(fd, FIONREAD));
    let mut buf = vec![0; room];
    loop {
        let call = match lab.sys().receive_sized(fd, &mut buf, flags | MSG_DONTWAIT) {
            Ok(got) => {
                let size = got.segment_size.map_or(String::new(), |size| format!(" by {size}"));
                format!("{}{size} flags {:#x}", got.n, got.flags)
            }
            Err(error) => {
                told.push((name(error), 1));
                break;
            }
        };
        match told.last_mut() {
            Some((same, times)) if *same == call => *times += 1,
            _ => told.push((call, 1)),
        }
        if flags & MSG_PEEK != 0 {
            break;
        }
    }
    let told: Vec<_> = told.into_iter().map(|(call, times)| format!("{times} x {call}")).collect();
    format!("{first} unread: {}", told.join(", "))
}

pub(crate) fn rows(table: &mut Table) {
    for (kind, family) in FAMILIES {
        for joined in [false, true] {
            let gro = if joined { ", joined" } else { "" };
            for (len, size) in CUTS {
                table.row(format!("{kind}{gro}: {len} octets, option {size}"), move |lab| {
                    let two = two(lab, family, joined);
                    lab.set(two.from, IPPROTO_UDP, UDP_SEGMENT, size);
                    let sent = number(lab.sys().send(two.from, &vec![b'x'; len], 0));
                    format!("{sent}, {}", came(lab, two.to, 70_000, 0))
                });
                table.row(format!("{kind}{gro}: {len} octets, control {size}"), move |lab| {
                    let two = two(lab, family, joined);
                    let sent = number(lab.sys().send_cut(two.from, &vec![b'x'; len], size as u16));
                    format!("{sent}, {}", came(lab, two.to, 70_000, 0))
                });
            }
            for (what, room, flags) in [
                ("room for less than one", 60, 0),
                ("room for less than one, MSG_TRUNC", 60, MSG_TRUNC),
                ("room for two", 200, 0),
                ("room for none", 0, 0),
                ("MSG_PEEK", 1000, MSG_PEEK),
                ("MSG_PEEK|MSG_TRUNC", 60, MSG_PEEK | MSG_TRUNC),
            ] {
                table.row(format!("{kind}{gro}: 250 by 100, {what}"), move |lab| {
                    let two = two(lab, family, joined);
                    let sent = number(lab.sys().send_cut(two.from, &[b'x'; 250], 100));
                    let first = came(lab, two.to, room, flags);
                    format!("{sent}, {first}, then {}", came(lab, two.to, 1000, 0))
                });
            }
            table.row(format!("{kind}{gro}: sent, then shut for reading"), move |lab| {
                let two = two(lab, family, joined);
                let own = lab.sys().getsockname(two.from).unwrap();
                lab.sys().connect(two.to, &own).unwrap();
                let sent = number(lab.sys().send_cut(two.from, &[b'x'; 250], 100));
                lab.sys().shutdown(two.to, SHUT_RD).unwrap();
                format!("{sent}, {}", came(lab, two.to, 1000, 0))
            });
        }
        table.row(format!("{kind}: the size of a call goes before the option"), move |lab| {
            let two = two(lab, family, false);
            lab.set(two.from, IPPROTO_UDP, UDP_SEGMENT, 100);
            let sent = [200, 0].map(|size| number(lab.sys().send_cut(two.from, &[b'x'; 250], size)));
            format!("{}, {}", sent.join(", "), came(lab, two.to, 1000, 0))
        });
        for (what, len, size) in [("good", 250, 100), ("of too many", 250, 1), ("too long", 65_528, 100)] {
            table.row(format!("{kind}: {what}, shut for writing"), move |lab| {
                let two = two(lab, family, false);
                lab.sys().shutdown(two.from, SHUT_WR).unwrap();
                number(lab.sys().send_cut(two.from, &vec![b'x'; len], size))
            });
            table.row(format!("{kind}: {what}, to nobody twice"), move |lab| {
                let fd = lab.udp(family);
                lab.sys().connect(fd, &lab.nobody(family)).unwrap();
                let send = || number(lab.sys().send_cut(fd, &vec![b'x'; len], size));
                let first = send();
                lab.settled(&[fd]);
                format!("{first}, {}, {}, {}", send(), lab.settled(&[fd])[0], lab.error(fd))
            });
            table.row(format!("{kind}: {what}, without an address"), move |lab| {
                let fd = lab.udp(family);
                number(lab.sys().send_cut(fd, &vec![b'x'; len], size))
            });
        }
        many(table, kind, family);
    }
}

/// Calls for several messages.
fn many(table: &mut Table, kind: &'static str, family: Family) {
    for lens in [&[][..], &[3], &[3, 0, 5], &[3, 70_000, 5], &[70_000, 3]] {
        table.row(format!("{kind}: sendmmsg of {lens:?}"), move |lab| {
            let two = two(lab, family, false);
            let texts: Vec<_> = lens.iter().map(|&len| vec![b'x'; len]).collect();
            let sent = lab.sys().sendmmsg(two.from, &texts.iter().map(Vec::as_slice).collect::<Vec<_>>(), 0);
            let sent = sent.map(|sent| format!("{sent:?}")).unwrap_or_else(name);
            format!("{sent}, {}", came(lab, two.to, 1000, 0))
        });
    }
    for sent in 0..5 {
        for (what, flags) in [
            ("", MSG_DONTWAIT),
            (" MSG_WAITFORONE", MSG_DONTWAIT | MSG_WAITFORONE),
            (" MSG_PEEK", MSG_DONTWAIT | MSG_PEEK),
            (" MSG_TRUNC", MSG_DONTWAIT | MSG_TRUNC),
        ] {
            table.row(format!("{kind}: recvmmsg of 3 places{what}, {sent} there"), move |lab| {
                let two = two(lab, family, false);
                (0..sent).for_each(|n| lab.send_all(two.from, &b"abcdef"[..=n]));
                lab.settled(&[two.to]);
                let got = lab.sys().recvmmsg(two.to, &mut [[0; 2]; 3], flags);
                let got = got.map(|got| format!("{got:x?}")).unwrap_or_else(name);
                format!("{got}, {}", came(lab, two.to, 1000, 0))
            });
        }
    }
    table.row(format!("{kind}: recvmmsg that blocks, MSG_WAITFORONE"), move |lab| {
        let two = two(lab, family, false);
        lab.sys().fcntl(two.to, libc::F_SETFL, 0).unwrap();
        lab.send_all(two.from, b"abc");
        let got = lab.sys().recvmmsg(two.to, &mut [[0; 2]; 3], MSG_WAITFORONE);
        got.map(|got| format!("{got:x?}")).unwrap_or_else(name)
    });
    table.row(format!("{kind}: sendmmsg to nobody twice"), move |lab| {
        let fd = lab.udp(family);
        lab.sys().connect(fd, &lab.nobody(family)).unwrap();
        let send = |count: usize| {
            let sent = lab.sys().sendmmsg(fd, &vec![&b"abc"[..]; count], 0);
            lab.settled(&[fd]);
            sent.map(|sent| format!("{sent:?}")).unwrap_or_else(name)
        };
        format!("{}, {}, {}", send(1), send(2), lab.error(fd))
    });
    table.row(format!("{kind}: recvmmsg of an error"), move |lab| {
        let two = two(lab, family, false);
        lab.sys().connect(two.to, &lab.nobody(family)).unwrap();
        lab.send_all(two.to, b"abc");
        lab.settled(&[two.to]);
        let receive = || {
            let got = lab.sys().recvmmsg(two.to, &mut [[0; 2]; 3], MSG_DONTWAIT);
            got.map(|got| format!("{got:x?}")).unwrap_or_else(name)
        };
        format!("{}, {}", receive(), receive())
    });
}
