//! Who may bind and listen where, and who gets what comes: the table that Linux gives.

use super::rfc1122::a;
use super::*;
use crate::sockopt::SocketOptions;

fn host() -> Stack {
    let addresses = vec![Prefix::new(v4(1), 24), Prefix::new(a("fd00::1"), 64)];
    Stack::new(Config { addresses, ..Config::default() }, [3; 32])
}

fn set(host: &mut Stack, id: SocketId, change: impl Fn(&mut SocketOptions)) {
    let mut options = host.options(id).unwrap();
    change(&mut options);
    host.set_options(id, options, Instant::from_secs(1)).unwrap();
}

#[derive(Clone, Copy)]
struct End {
    family: Family,
    address: &'static str,
    v6_only: bool,
}

const fn end(family: Family, address: &'static str) -> End {
    End { family, address, v6_only: false }
}

const fn only(address: &'static str) -> End {
    End { family: Family::V6, address, v6_only: true }
}

/// Pairs of ends at one port, and whether they overlap.
const ENDS: [(End, End, bool); 13] = {
    use Family::{V4, V6};
    let mapped = end(V6, "10.7.0.1");
    [
        (end(V4, "10.7.0.1"), end(V4, "10.7.0.1"), true),
        (end(V4, "10.7.0.1"), end(V4, "127.0.0.1"), false),
        (end(V4, "0.0.0.0"), end(V4, "10.7.0.1"), true),
        (end(V4, "10.7.0.1"), end(V4, "0.0.0.0"), true),
        (end(V6, "::"), end(V4, "0.0.0.0"), true),
        (only("::"), end(V4, "0.0.0.0"), false),
        (end(V4, "0.0.0.0"), end(V6, "::"), true),
        (end(V4, "0.0.0.0"), only("::"), false),
        (end(V6, "::"), end(V4, "10.7.0.1"), true),
        (end(V6, "fd00::1"), end(V4, "10.7.0.1"), false),
        (end(V6, "::"), end(V6, "fd00::1"), true),
        (end(V4, "10.7.0.1"), mapped, true),
        (only("::"), only("::"), true),
    ]
};

fn bind(
    host: &mut Stack,
    tcp: bool,
    at: End,
    port: u16,
    reuse: (bool, bool),
) -> (SocketId, Result<(), Error>) {
    let id = if tcp { host.tcp_socket(at.family) } else { host.udp_socket(at.family) };
    set(host, id, |o| (o.reuse_address, o.reuse_port, o.v6_only) = (reuse.0, reuse.1, at.v6_only));
    let result = host.bind(id, Endpoint::new(a(at.address), port));
    (id, result)
}

/// Both options must allow it, and those that listen share by `SO_REUSEPORT` alone.
#[test]
fn two_sockets_at_one_port() {
    let kinds = [(false, false), (true, false), (false, true), (true, true)];
    for (tcp, listens) in [(true, false), (true, true), (false, false)] {
        for (first, second) in kinds.iter().flat_map(|&f| kinds.map(|s| (f, s))) {
            for (i, &(one, other, overlaps)) in ENDS.iter().enumerate() {
                let mut host = host();
                let (id, bound) = bind(&mut host, tcp, one, 80, first);
                assert_eq!(bound, Ok(()));
                if listens {
                    host.listen(id, 1).unwrap();
                }
                let (id, bound) = bind(&mut host, tcp, other, 80, second);
                let shared = (first.0 && second.0 && !listens) || (first.1 && second.1);
                let want = if overlaps && !shared { Err(Error::AddrInUse) } else { Ok(()) };
                assert_eq!(bound, want, "{tcp} {listens} {first:?} {second:?} {i}");
                if tcp && bound.is_ok() {
                    assert_eq!(host.listen(id, 1), Ok(()));
                }
                host.check_invariants();
            }
        }
    }
}

/// Two may be bound with `SO_REUSEADDR`, but one may listen.
#[test]
fn the_second_to_listen_is_refused() {
    let mut host = host();
    let any = end(Family::V4, "0.0.0.0");
    let (first, _) = bind(&mut host, true, any, 80, (true, false));
    let (second, bound) = bind(&mut host, true, any, 80, (true, false));
    assert_eq!(bound, Ok(()));
    assert_eq!(host.listen(first, 1), Ok(()));
    assert_eq!(host.listen(second, 1), Err(Error::AddrInUse));
    host.shutdown(first, Shutdown::Read, Instant::from_secs(1)).unwrap();
    assert_eq!(host.listen(second, 1), Ok(()));
}

/// A connection and its TIME-WAIT hold the address they have, and no other; both sides must allow to share it.
#[test]
fn connections_in_the_way() {
    for (theirs, ours) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut p = Pair::new();
        let (c, s) = p.connected();
        let port = p.hosts[0].local_endpoint(c).unwrap().port;
        set(&mut p.hosts[0], c, |o| o.reuse_address = theirs);
        for time_wait in [false, true] {
            if time_wait {
                let now = p.now;
                p.hosts[0].close(c, now).unwrap();
                p.hosts[1].close(s, now).unwrap();
                p.run(|p| p.hosts[0].time_waits.len() == 1);
            }
            for (address, overlaps) in [("10.7.0.1", true), ("0.0.0.0", true), ("127.0.0.1", false)] {
                let host = &mut p.hosts[0];
                let (id, bound) = bind(host, true, end(Family::V4, address), port, (ours, false));
                let free = !overlaps || (ours && theirs);
                assert_eq!(bound.is_ok(), free, "{time_wait} {theirs} {ours} {address}");
                assert_eq!(bound.is_err(), bound == Err(Error::AddrInUse));
                if free {
                    assert_eq!(host.listen(id, 1), Ok(()));
                }
                host.close(id, Instant::from_secs(1)).unwrap();
                host.check_invariants();
            }
        }
        p.run(|_| false);
        assert!(!p.hosts[0].tcp_ports.is_used(port));
    }
}

/// Port 0 passes by each port whose end overlaps, whatever is allowed.
#[test]
fn an_ephemeral_port_is_nobodys() {
    let addresses = vec![Prefix::new(v4(1), 24)];
    let mut host =
        Stack::new(Config { addresses, ephemeral_ports: (5000, 5002), ..Config::default() }, [3; 32]);
    let at =
        |address, host: &mut Stack, port| bind(host, true, end(Family::V4, address), port, (true, true)).1;
    assert_eq!(at("10.7.0.1", &mut host, 5000), Ok(()));
    assert_eq!(at("10.7.0.1", &mut host, 0), Ok(()));
    assert_eq!(at("10.7.0.1", &mut host, 0), Ok(()));
    assert_eq!(at("10.7.0.1", &mut host, 0), Err(Error::AddrInUse));
    assert_eq!(at("0.0.0.0", &mut host, 0), Err(Error::AddrInUse));
    assert_eq!(at("127.0.0.1", &mut host, 0), Ok(()));
}

#[test]
fn addresses_that_are_refused() {
    let mut host = host();
    let at = |host: &mut Stack, tcp, end| bind(host, tcp, end, 0, (false, false)).1;
    for tcp in [true, false] {
        for address in ["255.255.255.255", "10.7.0.255", "224.0.0.1", "127.0.0.2", "0.0.0.0"] {
            assert_eq!(at(&mut host, tcp, end(Family::V4, address)), Ok(()), "{address}");
        }
        assert_eq!(at(&mut host, tcp, end(Family::V4, "10.7.0.9")), Err(Error::AddrNotAvailable));
        assert_eq!(at(&mut host, tcp, end(Family::V4, "240.0.0.1")), Err(Error::AddrNotAvailable));
        assert_eq!(at(&mut host, tcp, end(Family::V4, "::")), Err(Error::AddrFamily));
        assert_eq!(at(&mut host, tcp, end(Family::V6, "fd00::9")), Err(Error::AddrNotAvailable));
        assert_eq!(at(&mut host, tcp, only("10.7.0.1")), Err(Error::Invalid));
    }
    assert_eq!(at(&mut host, true, end(Family::V6, "ff0e::1")), Err(Error::Invalid));
    let id = host.tcp_socket(Family::V4);
    assert_eq!(host.bind(id, Endpoint::new(v4(9), 0)), Err(Error::AddrNotAvailable));
    assert_eq!(host.bind(id, Endpoint::new(v4(1), 0)), Ok(()));
    assert_eq!(host.bind(id, Endpoint::new(v4(1), 0)), Err(Error::Invalid));
}

/// Listeners that share a port share the load, each connection staying with one.
#[test]
fn listeners_share_the_load() {
    let mut p = Pair::new();
    let any = end(Family::V4, "0.0.0.0");
    let listeners: Vec<_> = (0..4)
        .map(|_| {
            let (id, bound) = bind(&mut p.hosts[1], true, any, 80, (false, true));
            bound.unwrap();
            p.hosts[1].listen(id, 200).unwrap();
            id
        })
        .collect();
    let specific = bind(&mut p.hosts[1], true, end(Family::V4, "10.7.0.2"), 80, (false, true)).0;
    let now = p.now;
    for _ in 0..200 {
        let id = p.hosts[0].tcp_socket(Family::V4);
        assert_eq!(p.hosts[0].connect(id, Endpoint::new(v4(2), 80), now), Err(Error::InProgress));
    }
    let until = now + Duration::from_secs(5);
    p.run(|p| p.now >= until);
    let counts: Vec<_> =
        listeners.iter().map(|&l| (0..).take_while(|_| p.hosts[1].try_accept(l).is_ok()).count()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 200);
    assert!(counts.iter().all(|&n| n > 20), "{counts:?}");
    // One that listens at the very address has all.
    p.hosts[1].listen(specific, 16).unwrap();
    let now = p.now;
    for _ in 0..16 {
        let id = p.hosts[0].tcp_socket(Family::V4);
        assert_eq!(p.hosts[0].connect(id, Endpoint::new(v4(2), 80), now), Err(Error::InProgress));
    }
    let until = now + Duration::from_secs(5);
    p.run(|p| p.now >= until);
    assert_eq!((0..).take_while(|_| p.hosts[1].try_accept(specific).is_ok()).count(), 16);
}

#[test]
fn udp_sockets_share_the_load_or_the_last_has_it() {
    for reuse_port in [false, true] {
        let mut p = Pair::new();
        let any = end(Family::V4, "0.0.0.0");
        let sockets: Vec<_> =
            (0..3).map(|_| bind(&mut p.hosts[1], false, any, 53, (true, reuse_port)).0).collect();
        let now = p.now;
        for _ in 0..100 {
            let id = p.hosts[0].udp_socket(Family::V4);
            for _ in 0..2 {
                p.hosts[0].try_send_to(id, b"x", Some(Endpoint::new(v4(2), 53)), now).unwrap();
            }
        }
        p.run(|_| false);
        let counts: Vec<_> = sockets
            .iter()
            .map(|&s| {
                (0..).take_while(|_| p.hosts[1].try_receive_from(s, &mut [0; 9], false).is_ok()).count()
            })
            .collect();
        if reuse_port {
            assert!(counts.iter().all(|&n| n > 20 && n % 2 == 0), "{counts:?}");
            assert_eq!(counts.iter().sum::<usize>(), 200);
        } else {
            assert_eq!(counts, [0, 0, 200]);
        }
    }
}

/// Linux asks whether an IPv4 address is ours before whether the socket is bound already, and of IPv6 after.
#[test]
fn what_is_asked_first_of_a_bound_socket() {
    let mut host = host();
    let ends = [
        (Family::V4, "10.7.0.1", "192.0.2.1", Error::AddrNotAvailable),
        (Family::V6, "fd00::1", "2001:db8::1", Error::Invalid),
    ];
    for (family, own, elsewhere, error) in ends {
        for id in [host.tcp_socket(family), host.udp_socket(family)] {
            host.bind(id, Endpoint::new(a(own), 0)).unwrap();
            assert_eq!(host.bind(id, Endpoint::new(a(elsewhere), 0)), Err(error));
            assert_eq!(host.bind(id, Endpoint::new(a(own), 0)), Err(Error::Invalid));
        }
    }
}
