//! A UDP socket in each state that a program can see it in.

use libc::{POLLERR, SHUT_RD, SHUT_RDWR, SHUT_WR};

use super::lab::{Family, Lab};
use super::scene::{Scene, State};
use super::sys::Errno;

const V4: Family = Family::V4;

/// The states, each with its way there.
pub(crate) const STATES: [State; 21] = [
    ("fresh", |lab| Scene::alone(lab.udp(V4))),
    ("bound", |lab| {
        let fd = lab.udp(V4);
        lab.bound(fd, V4);
        Scene::alone(fd)
    }),
    ("bound to 0.0.0.0", |lab| {
        let fd = lab.udp(V4);
        lab.sys().bind(fd, &"0.0.0.0:0".parse().unwrap()).unwrap();
        Scene::alone(fd)
    }),
    ("bound, one queued", |lab| queued(lab, &[b"hello"])),
    ("bound, two queued", |lab| queued(lab, &[b"hello", b"world!"])),
    ("bound, an empty one queued", |lab| queued(lab, &[b""])),
    ("bound, then shut", |lab| {
        let fd = lab.udp(V4);
        lab.bound(fd, V4);
        assert_eq!(lab.sys().shutdown(fd, SHUT_RDWR), Err(Errno::NOTCONN));
        Scene::alone(fd)
    }),
    ("connected", |lab| pair(lab, V4)),
    ("connected, one queued", |lab| pair(lab, V4).unread(lab)),
    ("connected, two queued", |lab| {
        let scene = pair(lab, V4).unread(lab);
        lab.send_all(scene.peer(), b"world!");
        lab.settled(&[scene.fd]);
        scene
    }),
    ("connected over IPv6", |lab| pair(lab, Family::V6)),
    ("connected to a mapped address", |lab| pair(lab, Family::Mapped)),
    ("refused", refused),
    ("refused, error taken", |lab| {
        let scene = refused(lab);
        lab.error(scene.fd);
        scene
    }),
    ("queued and refused", |lab| {
        let scene = pair(lab, V4).unread(lab);
        lab.close(scene.peer()).unwrap();
        lab.send_all(scene.fd, b"late");
        lab.until(scene.fd, POLLERR);
        Scene::alone(scene.fd)
    }),
    ("sent to nobody, unconnected", |lab| {
        let fd = lab.udp(V4);
        lab.sys().sendto(fd, b"x", 0, &lab.nobody(V4)).unwrap();
        Scene::alone(fd)
    }),
    ("connected, shut RD", |lab| pair(lab, V4).shut(lab, SHUT_RD)),
    ("connected, queued, shut RD", |lab| pair(lab, V4).unread(lab).shut(lab, SHUT_RD)),
    ("connected, shut WR", |lab| pair(lab, V4).shut(lab, SHUT_WR)),
    ("connected, shut RDWR", |lab| pair(lab, V4).shut(lab, SHUT_RDWR)),
    ("disconnected", |lab| {
        let scene = pair(lab, V4);
        lab.sys().disconnect(scene.fd).unwrap();
        scene
    }),
];

/// Two sockets connected to each other.
fn pair(lab: &Lab, family: Family) -> Scene {
    let (fd, peer) = (lab.udp(family), lab.udp(family));
    let (here, there) = (lab.bound(fd, family), lab.bound(peer, family));
    lab.sys().connect(fd, &there).unwrap();
    lab.sys().connect(peer, &here).unwrap();
    Scene::with(fd, peer)
}

fn queued(lab: &Lab, datagrams: &[&[u8]]) -> Scene {
    let fd = lab.udp(V4);
    let addr = lab.bound(fd, V4);
    let from = lab.udp(V4);
    for datagram in datagrams {
        lab.sys().sendto(from, datagram, 0, &addr).unwrap();
    }
    lab.until(fd, libc::POLLIN);
    Scene::with(fd, from)
}

fn refused(lab: &Lab) -> Scene {
    let fd = lab.udp(V4);
    lab.sys().connect(fd, &lab.nobody(V4)).unwrap();
    lab.send_all(fd, b"x");
    lab.until(fd, POLLERR);
    Scene::alone(fd)
}
