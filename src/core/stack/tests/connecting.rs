//! connect in every state, where to, and what the names of the ends are: as Linux answers.

use super::raw::Raw;
use super::rfc1122::a;
use super::*;
use Family::{V4, V6};

/// A host that knows no other network than its own two.
fn host() -> Stack {
    let addresses = vec![Prefix::new(v4(1), 24), Prefix::new(a("fd00::1"), 64)];
    Stack::new(Config { addresses, ..Config::default() }, [3; 32])
}

const NOW: Instant = Instant::from_secs(1);

/// Family, what it is bound to, where it connects to, what that gives, and the address it then has.
type Row = (Family, Option<&'static str>, &'static str, Error, &'static str);

const TARGETS: [Row; 20] = [
    (V4, None, "127.0.0.1", Error::InProgress, "127.0.0.1"),
    (V4, None, "10.7.0.2", Error::InProgress, "10.7.0.1"),
    (V4, None, "255.255.255.255", Error::NetUnreachable, "0.0.0.0"),
    (V4, None, "10.7.0.255", Error::NetUnreachable, "0.0.0.0"),
    (V4, None, "224.0.0.1", Error::NetUnreachable, "0.0.0.0"),
    (V4, None, "240.0.0.1", Error::NetUnreachable, "0.0.0.0"),
    (V4, None, "0.0.0.0", Error::InProgress, "127.0.0.1"),
    (V4, None, "fd00::2", Error::AddrFamily, "0.0.0.0"),
    (V4, Some("127.0.0.1"), "10.7.0.2", Error::Invalid, "127.0.0.1"),
    (V4, Some("10.7.0.1"), "127.0.0.1", Error::InProgress, "10.7.0.1"),
    (V4, Some("127.0.0.2"), "127.0.0.1", Error::InProgress, "127.0.0.2"),
    (V6, None, "::", Error::InProgress, "::1"),
    (V6, None, "ff02::1", Error::NetUnreachable, "::"),
    (V6, None, "127.0.0.1", Error::InProgress, "127.0.0.1"),
    (V6, Some("::1"), "127.0.0.1", Error::NetUnreachable, "::1"),
    (V6, Some("fd00::1"), "10.7.0.2", Error::NetUnreachable, "fd00::1"),
    (V6, Some("127.0.0.1"), "::1", Error::AddrFamily, "127.0.0.1"),
    (V6, Some("0.0.0.0"), "::1", Error::AddrFamily, "0.0.0.0"),
    (V6, Some("::"), "0.0.0.0", Error::InProgress, "127.0.0.1"),
    (V6, Some("fd00::1"), "::1", Error::InProgress, "fd00::1"),
];

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.1
//= type=test
//= id=MUST-46
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.1
//= type=test
//= id=MUST-43, MUST-44
#[test]
fn targets() {
    for (family, bound, to, want, name) in TARGETS {
        for tcp in [true, false] {
            let mut host = host();
            let id = if tcp { host.tcp_socket(family) } else { host.udp_socket(family) };
            if let Some(bound) = bound {
                host.bind(id, Endpoint::new(a(bound), 0)).unwrap();
            }
            let got = host.connect(id, Endpoint::new(a(to), 1), NOW);
            let want = match (tcp, want, to) {
                (true, _, _) => Err(want),
                (false, Error::InProgress, _) => Ok(()),
                // A datagram may go to a group, and with leave to all; the host has a way everywhere.
                (false, _, "224.0.0.1" | "240.0.0.1" | "ff02::1") => continue,
                (false, _, "255.255.255.255" | "10.7.0.255") => Err(Error::Access),
                (false, _, _) => Err(want),
            };
            assert_eq!(got, want, "{family:?} {bound:?} {to} {tcp}");
            let local = host.local_endpoint(id).unwrap();
            assert_eq!(local.address, a(name), "{family:?} {bound:?} {to} {tcp}");
            if tcp && bound.is_none() && want != Err(Error::InProgress) {
                assert_eq!(local.port, 0);
            }
        }
    }
    let mut host = host();
    for tcp in [true, false] {
        let id = if tcp { host.tcp_socket(V6) } else { host.udp_socket(V6) };
        let options = crate::sockopt::SocketOptions { v6_only: true, ..host.options(id).unwrap() };
        host.set_options(id, options, NOW).unwrap();
        assert_eq!(host.connect(id, Endpoint::new(v4(2), 1), NOW), Err(Error::NetUnreachable));
    }
}

/// Where both sides have no further word on a connection's peer.
#[test]
fn port_zero_is_no_peer() {
    let mut p = Pair::new();
    let (id, now) = (p.hosts[0].tcp_socket(V4), p.now);
    assert_eq!(p.hosts[0].connect(id, Endpoint::new(v4(2), 0), now), Err(Error::InProgress));
    p.run(|_| false);
    assert_eq!(p.hosts[0].take_error(id), Some(Error::Refused));
    let id = p.hosts[0].udp_socket(V4);
    assert_eq!(p.hosts[0].connect(id, Endpoint::new(v4(2), 0), now), Ok(()));
    assert_eq!(p.hosts[0].remote_endpoint(id), Err(Error::NotConnected));
}

#[test]
fn the_outcome_is_told_once() {
    let mut p = Pair::new();
    let (c, s) = p.connected();
    let (now, to) = (p.now, Endpoint::new(v4(2), 80));
    assert_eq!(p.hosts[0].remote_endpoint(c), Ok(to));
    assert_eq!(p.hosts[0].connect(c, to, now), Ok(()));
    assert_eq!(p.hosts[0].connect(c, to, now), Err(Error::IsConnected));
    assert_eq!(p.hosts[1].connect(s, to, now), Err(Error::IsConnected));
    assert_eq!(p.hosts[0].listen(c, 1), Err(Error::Invalid));
    assert_eq!(p.hosts[0].bind(c, Endpoint::new(v4(1), 0)), Err(Error::Invalid));
    // Even when it is over.
    p.hosts[1].abort(s, now).unwrap();
    p.run(|p| p.hosts[0].state(c) == Some(State::Closed));
    assert_eq!(p.hosts[0].connect(c, to, now), Err(Error::IsConnected));
    assert_eq!(p.hosts[0].remote_endpoint(c), Err(Error::NotConnected));
    assert_eq!(p.hosts[0].take_error(c), Some(Error::Reset));
    assert_eq!(p.hosts[0].bind(c, Endpoint::new(v4(1), 7000)), Ok(()));
    assert_eq!(p.hosts[0].local_endpoint(c), Ok(Endpoint::new(v4(1), 7000)));
    p.hosts[0].check_invariants();
    p.hosts[0].close(c, now).unwrap();
    p.hosts[0].check_invariants();
}

/// What a connection failed of is given to connect or to `SO_ERROR`, and the socket may try again. What was bound
/// stays.
#[test]
fn a_failed_attempt() {
    let bound = [None, Some(("10.7.0.1", 0)), Some(("10.7.0.1", 7000)), Some(("0.0.0.0", 7000))];
    for bound in bound {
        let mut p = Pair::new();
        let (id, to) = (p.hosts[0].tcp_socket(V4), Endpoint::new(v4(2), 1));
        if let Some((address, port)) = bound {
            p.hosts[0].bind(id, Endpoint::new(a(address), port)).unwrap();
        }
        let kept = bound.map_or(Address::UNSPECIFIED_V4, |(address, _)| a(address));
        let failed = |p: &mut Pair| {
            let now = p.now;
            assert_eq!(p.hosts[0].connect(id, to, now), Err(Error::InProgress));
            assert_eq!(p.hosts[0].connect(id, to, now), Err(Error::Already));
            assert_eq!(p.hosts[0].remote_endpoint(id), Err(Error::NotConnected));
            p.run(|_| false);
            assert_eq!(p.hosts[0].state(id), Some(State::Closed));
            assert_eq!(p.hosts[0].local_endpoint(id).unwrap().address, v4(1));
            p.hosts[0].check_invariants();
        };
        failed(&mut p);
        let now = p.now;
        let name = p.hosts[0].local_endpoint(id).unwrap();
        assert_eq!(p.hosts[0].connect(id, to, now), Err(Error::Refused));
        assert_eq!(p.hosts[0].readiness(id), Readiness::WRITABLE | Readiness::HANG_UP);
        assert_eq!(p.hosts[0].local_endpoint(id), Ok(Endpoint::new(kept, name.port)));
        failed(&mut p);
        assert_eq!(p.hosts[0].take_error(id), Some(Error::Refused));
        assert_eq!(p.hosts[0].connect(id, to, now), Err(Error::Aborted));
        failed(&mut p);
        if let Some((address, port @ 1..)) = bound {
            assert_eq!(p.hosts[0].local_endpoint(id).unwrap().port, port);
            let other = p.hosts[0].tcp_socket(V4);
            assert_eq!(p.hosts[0].bind(other, Endpoint::new(a(address), port)), Err(Error::AddrInUse));
        }
        // Shut down before anyone asked: good for nothing but to be disconnected.
        assert_eq!(p.hosts[0].shutdown(id, Shutdown::Both, now), Err(Error::NotConnected));
        assert_eq!(p.hosts[0].connect(id, to, now), Err(Error::Invalid));
        assert_eq!(p.hosts[0].listen(id, 1), Err(Error::Invalid));
        assert_eq!(p.hosts[0].take_error(id), Some(Error::Refused));
        p.hosts[0].disconnect(id, now).unwrap();
        failed(&mut p);
    }
}

#[test]
fn one_quad_is_one_connection() {
    let mut p = Pair::new();
    p.listen();
    let (now, to) = (p.now, Endpoint::new(v4(2), 80));
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = p.hosts[0].tcp_socket(V4);
        let options =
            crate::sockopt::SocketOptions { reuse_address: true, ..p.hosts[0].options(id).unwrap() };
        p.hosts[0].set_options(id, options, now).unwrap();
        p.hosts[0].bind(id, Endpoint::new(v4(1), 7000)).unwrap();
        ids.push(id);
    }
    assert_eq!(p.hosts[0].connect(ids[0], to, now), Err(Error::InProgress));
    assert_eq!(p.hosts[0].connect(ids[1], to, now), Err(Error::AddrNotAvailable));
    assert_eq!(p.hosts[0].connect(ids[1], Endpoint::new(v4(2), 81), now), Err(Error::InProgress));
    p.hosts[0].check_invariants();
}

/// Every state in which there is a connection has a peer with a name.
#[test]
fn names_in_each_state() {
    let mut r = Raw::new(Config::default());
    let (id, _) = r.connect();
    let (us, them) = (Endpoint::new(v4(1), 4000), Endpoint::new(v4(2), 80));
    let names = |r: &Raw| (r.host.local_endpoint(id), r.host.remote_endpoint(id));
    assert_eq!(names(&r), (Ok(us), Err(Error::NotConnected)));
    r.send(Flags::SYN | Flags::ACK, b"");
    assert_eq!((r.state(id), names(&r)), (State::Established, (Ok(us), Ok(them))));
    let now = r.now;
    r.sent();
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    let fin = r.sent();
    assert_eq!((r.state(id), names(&r)), (State::FinWait1, (Ok(us), Ok(them))));
    r.acknowledge(&fin);
    assert_eq!((r.state(id), names(&r)), (State::FinWait2, (Ok(us), Ok(them))));
    r.send(Flags::FIN | Flags::ACK, b"");
    assert_eq!((r.state(id), names(&r)), (State::TimeWait, (Ok(us), Err(Error::NotConnected))));
    assert_eq!(r.host.shutdown(id, Shutdown::Both, now), Err(Error::NotConnected));
    let gone = Readiness::READABLE | Readiness::WRITABLE | Readiness::READ_CLOSED | Readiness::HANG_UP;
    assert_eq!(r.host.readiness(id), gone);
}
