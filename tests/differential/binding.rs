//! Two sockets that want the same port: which pairs of addresses, families and options get along.

use std::net::{IpAddr, SocketAddr};

use libc::{AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SO_REUSEADDR, SO_REUSEPORT, SOL_SOCKET};
use libc::{SOCK_DGRAM, SOCK_STREAM};

use super::lab::{Lab, done};
use super::sys::{Fd, Res};
use super::table::Table;

/// What is bound to: a name, the socket's domain, the address, whether the socket speaks IPv6 alone.
type Place = (&'static str, i32, &'static str, bool);

const PLACES: [Place; 7] = [
    ("127.0.0.1", AF_INET, "127.0.0.1", false),
    ("127.0.0.2", AF_INET, "127.0.0.2", false),
    ("0.0.0.0", AF_INET, "0.0.0.0", false),
    ("[::1]", AF_INET6, "::1", false),
    ("[::]", AF_INET6, "::", false),
    ("[::] V6ONLY", AF_INET6, "::", true),
    ("[::ffff:127.0.0.1]", AF_INET6, "::ffff:127.0.0.1", false),
];

/// Which options the first and the second socket have.
const OPTIONS: [(&str, &[i32], &[i32]); 8] = [
    ("", &[], &[]),
    (", both REUSEADDR", &[SO_REUSEADDR], &[SO_REUSEADDR]),
    (", first REUSEADDR", &[SO_REUSEADDR], &[]),
    (", second REUSEADDR", &[], &[SO_REUSEADDR]),
    (", both REUSEPORT", &[SO_REUSEPORT], &[SO_REUSEPORT]),
    (", first REUSEPORT", &[SO_REUSEPORT], &[]),
    (", second REUSEPORT", &[], &[SO_REUSEPORT]),
    (", REUSEADDR and REUSEPORT", &[SO_REUSEADDR], &[SO_REUSEPORT]),
];

#[derive(Clone, Copy)]
enum Kind {
    /// Both are bound, and then both listen.
    Bound,
    /// The first listens before the second is bound.
    Listening,
    /// The first is one end of a connection whose listener is closed.
    Connected,
    Udp,
}

const KINDS: [(&str, Kind); 4] = [
    ("bound", Kind::Bound),
    ("listening", Kind::Listening),
    ("connected", Kind::Connected),
    ("udp", Kind::Udp),
];

/// A row for each.
pub(crate) fn rows(table: &mut Table) {
    for (kind_name, kind) in KINDS {
        for first in PLACES {
            for second in PLACES {
                for (options_name, of_first, of_second) in OPTIONS {
                    let name = format!("{kind_name}: {} then {}{options_name}", first.0, second.0);
                    table.row(name, move |lab| {
                        let a = socket(lab, kind, first, of_first);
                        let b = socket(lab, kind, second, of_second);
                        conflict(lab, kind, (a, first), (b, second))
                    });
                }
            }
        }
    }
}

fn socket(lab: &Lab, kind: Kind, place: Place, options: &[i32]) -> Fd {
    let kind = if matches!(kind, Kind::Udp) { SOCK_DGRAM } else { SOCK_STREAM };
    let fd = lab.socket(place.1, kind | libc::SOCK_NONBLOCK, 0).unwrap();
    if place.3 {
        lab.set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    for &option in options {
        lab.set(fd, SOL_SOCKET, option, 1);
    }
    fd
}

fn bind(lab: &Lab, fd: Fd, place: Place, port: u16) -> Res<()> {
    let ip: IpAddr = place.2.parse().unwrap();
    lab.sys().bind(fd, &SocketAddr::new(ip, port))
}

fn conflict(lab: &Lab, kind: Kind, (a, first): (Fd, Place), (b, second): (Fd, Place)) -> String {
    bind(lab, a, first, 0).unwrap();
    let addr = lab.sys().getsockname(a).unwrap();
    match kind {
        Kind::Udp => done(bind(lab, b, second, addr.port())),
        Kind::Bound => {
            let bound = bind(lab, b, second, addr.port());
            let listens = done(lab.sys().listen(a, 1));
            match bound {
                Ok(()) => format!("ok, {listens}, {}", done(lab.sys().listen(b, 1))),
                Err(_) => done(bound),
            }
        }
        Kind::Listening => {
            lab.sys().listen(a, 1).unwrap();
            match bind(lab, b, second, addr.port()) {
                Ok(()) => format!("ok, {}", done(lab.sys().listen(b, 1))),
                refused => done(refused),
            }
        }
        Kind::Connected => {
            lab.sys().listen(a, 1).unwrap();
            // Its own address, or loopback where it has none in particular.
            let ip = match addr.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".parse().unwrap(),
                IpAddr::V6(ip) if ip.is_unspecified() => "::1".parse().unwrap(),
                ip => ip,
            };
            let client = lab.socket(first.1, SOCK_STREAM | libc::SOCK_NONBLOCK, 0).unwrap();
            let (_, accepted) = lab.join(a, SocketAddr::new(ip, addr.port()), client);
            lab.close(a).unwrap();
            let bound = bind(lab, b, second, addr.port());
            let listens = if bound.is_ok() { done(lab.sys().listen(b, 1)) } else { "-".to_owned() };
            let connection = lab.look(accepted);
            // Its end keeps no port: a row that comes by the same one would find it taken, at random.
            [client, accepted].into_iter().for_each(|end| lab.linger(end, 1, 0).unwrap());
            format!("{}, {listens}, connection {connection}", done(bound))
        }
    }
}
