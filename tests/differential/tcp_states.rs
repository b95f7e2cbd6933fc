//! A TCP socket in each state that a program can see it in.

use libc::{IPPROTO_TCP, MSG_OOB, POLLIN, POLLOUT, POLLRDHUP, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_NONBLOCK};

use super::lab::{Family, Lab};
use super::scene::{Scene, State};

const V4: Family = Family::V4;

/// The states, each with its way there.
pub(crate) const STATES: [State; 40] = [
    ("fresh", |lab| Scene::alone(lab.tcp(V4))),
    ("bound", |lab| {
        let fd = lab.tcp(V4);
        lab.bound(fd, V4);
        Scene::alone(fd)
    }),
    ("listening", |lab| Scene::alone(lab.listener(V4, 8).0)),
    ("listening, one waits", |lab| {
        let (fd, addr) = lab.listener(V4, 8);
        let client = lab.tcp(V4);
        lab.begin(client, addr);
        lab.until(client, POLLOUT);
        lab.until(fd, POLLIN);
        Scene::with(fd, client)
    }),
    ("listening, one waits that was reset", |lab| {
        let (fd, addr) = lab.listener(V4, 8);
        let client = lab.tcp(V4);
        lab.begin(client, addr);
        lab.until(client, POLLOUT);
        lab.until(fd, POLLIN);
        lab.reset(client);
        Scene::alone(fd)
    }),
    ("listening, shut", |lab| {
        let (fd, _) = lab.listener(V4, 8);
        lab.sys().shutdown(fd, SHUT_RD).unwrap();
        Scene::alone(fd)
    }),
    ("listening, then disconnected", |lab| {
        let (fd, _) = lab.listener(V4, 8);
        lab.sys().disconnect(fd).unwrap();
        Scene::alone(fd)
    }),
    ("connecting", |lab| Scene::alone(connecting(lab))),
    ("connecting, shut", |lab| {
        let fd = connecting(lab);
        lab.sys().shutdown(fd, SHUT_RDWR).unwrap();
        Scene::alone(fd)
    }),
    ("refused", |lab| Scene::alone(refused(lab))),
    ("refused, error taken", |lab| {
        let fd = refused(lab);
        lab.error(fd);
        Scene::alone(fd)
    }),
    ("established", Scene::pair),
    ("established, accepted", |lab| Scene::pair(lab).turned()),
    ("established, unread", |lab| Scene::pair(lab).unread(lab)),
    ("established, two segments unread", |lab| {
        let scene = Scene::pair(lab).unread(lab);
        lab.send_all(scene.peer(), b"world");
        lab.until_unread(scene.fd, 10);
        scene
    }),
    ("established, urgent unread", |lab| {
        let scene = Scene::pair(lab).unread(lab);
        assert_eq!(lab.sys().send(scene.peer(), b"!", MSG_OOB), Ok(1));
        lab.until(scene.fd, libc::POLLPRI);
        scene
    }),
    ("established, send buffer full", full),
    ("established, peer's send buffer full", |lab| full(lab).turned()),
    ("peer shut", |lab| Scene::pair(lab).peer_shut(lab)),
    ("peer shut, unread", |lab| Scene::pair(lab).unread(lab).peer_shut(lab)),
    ("peer shut, end read", |lab| {
        let scene = Scene::pair(lab).peer_shut(lab);
        assert_eq!(lab.sys().recv(scene.fd, &mut [0; 9], 0), Ok(0));
        scene
    }),
    ("peer closed", |lab| {
        let mut scene = Scene::pair(lab);
        lab.close(scene.peer()).unwrap();
        scene.peer = None;
        lab.until(scene.fd, POLLRDHUP);
        scene
    }),
    ("peer closed, then written to", |lab| {
        let mut scene = Scene::pair(lab);
        lab.close(scene.peer()).unwrap();
        scene.peer = None;
        lab.until(scene.fd, POLLRDHUP);
        lab.send_all(scene.fd, b"late");
        lab.until_gone(scene.fd);
        scene
    }),
    ("shut WR", |lab| Scene::pair(lab).shut(lab, SHUT_WR)),
    ("shut WR, unread", |lab| Scene::pair(lab).unread(lab).shut(lab, SHUT_WR)),
    ("shut WR, data not taken", |lab| full(lab).shut(lab, SHUT_WR)),
    ("shut RD", |lab| Scene::pair(lab).shut(lab, SHUT_RD)),
    ("shut RD, unread before", |lab| Scene::pair(lab).unread(lab).shut(lab, SHUT_RD)),
    ("shut RD, data after", |lab| Scene::pair(lab).shut(lab, SHUT_RD).unread(lab)),
    ("shut RDWR", |lab| Scene::pair(lab).shut(lab, SHUT_RDWR)),
    ("shut WR, then peer shut", |lab| {
        let scene = Scene::pair(lab).shut(lab, SHUT_WR);
        lab.sys().shutdown(scene.peer(), SHUT_WR).unwrap();
        lab.until_gone(scene.fd);
        scene
    }),
    ("shut WR, then peer sent and shut", |lab| {
        let scene = Scene::pair(lab).shut(lab, SHUT_WR).unread(lab);
        lab.sys().shutdown(scene.peer(), SHUT_WR).unwrap();
        lab.until_gone(scene.fd);
        scene
    }),
    ("peer shut, then shut WR", |lab| {
        let scene = Scene::pair(lab).peer_shut(lab).shut(lab, SHUT_WR);
        lab.until_gone(scene.fd);
        scene
    }),
    ("peer shut, unread, then shut WR", |lab| {
        let scene = Scene::pair(lab).unread(lab).peer_shut(lab).shut(lab, SHUT_WR);
        lab.until_gone(scene.fd);
        scene
    }),
    ("reset", |lab| Scene::pair(lab).reset(lab)),
    ("reset, unread", |lab| Scene::pair(lab).unread(lab).reset(lab)),
    ("reset, error taken", |lab| {
        let scene = Scene::pair(lab).reset(lab);
        lab.error(scene.fd);
        scene
    }),
    ("reset after peer shut", |lab| Scene::pair(lab).peer_shut(lab).reset(lab)),
    ("reset after shut WR", |lab| {
        let scene = Scene::pair(lab).shut(lab, SHUT_WR);
        lab.until_so("the FIN's acknowledgment", || lab.sys().ioctl(scene.fd, libc::TIOCOUTQ) == Ok(0));
        scene.reset(lab)
    }),
    ("disconnected", |lab| {
        let scene = Scene::pair(lab);
        lab.sys().disconnect(scene.fd).unwrap();
        scene
    }),
];

/// On its way to where nobody answers.
fn connecting(lab: &Lab) -> i32 {
    let fd = lab.tcp(V4);
    lab.begin(fd, V4.silent());
    fd
}

fn refused(lab: &Lab) -> i32 {
    let fd = lab.tcp(V4);
    lab.begin(fd, lab.nobody(V4));
    lab.until_gone(fd);
    fd
}

/// Nothing more can be sent, since the peer does not read. With buffers as small as they get.
fn full(lab: &Lab) -> Scene {
    let (listener, addr) = lab.listener(V4, 8);
    lab.set(listener, libc::SOL_SOCKET, libc::SO_RCVBUF, 4096);
    let fd = lab.tcp(V4);
    lab.set(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, 8192);
    lab.set(fd, IPPROTO_TCP, libc::TCP_NODELAY, 1);
    lab.begin(fd, addr);
    lab.until(fd, POLLOUT);
    lab.until(listener, POLLIN);
    let (peer, _) = lab.accept4(listener, SOCK_NONBLOCK).unwrap();
    lab.fill(fd);
    Scene::with(fd, peer)
}
