//! Back to a fresh socket by disconnect and by shutdown, from every state, as Linux does it.

use super::raw::Raw;
use super::*;
use Family::V4;

const FRESH: Readiness = Readiness::WRITABLE.union(Readiness::HANG_UP);
const SHUT: Readiness = Readiness::READABLE.union(Readiness::READ_CLOSED);

fn resets(sent: &[super::raw::Sent]) -> usize {
    sent.iter().filter(|s| s.is(Flags::RST)).count()
}

/// A connection in a state that it can be in.
fn in_state(state: State) -> (Raw, SocketId) {
    let mut r = Raw::new(Config::default());
    if state == State::SynSent {
        let (id, _) = r.connect();
        return (r, id);
    }
    let id = r.accepted();
    let now = r.now;
    let shut = |r: &mut Raw| {
        r.host.shutdown(id, Shutdown::Write, now).unwrap();
        r.sent()
    };
    match state {
        State::Established => {}
        State::FinWait1 => drop(shut(&mut r)),
        State::FinWait2 | State::TimeWait => {
            let fin = shut(&mut r);
            r.acknowledge(&fin);
            if state == State::TimeWait {
                r.send(Flags::FIN | Flags::ACK, b"");
            }
        }
        State::Closing => {
            shut(&mut r);
            r.send(Flags::FIN | Flags::ACK, b"");
        }
        State::CloseWait => r.send(Flags::FIN | Flags::ACK, b""),
        State::LastAck => {
            r.send(Flags::FIN | Flags::ACK, b"");
            shut(&mut r);
        }
        State::Closed => r.send(Flags::RST, b""),
        State::Listen | State::SynSent | State::SynReceived => panic!("not here"),
    }
    r.sent();
    assert_eq!(r.state(id), state);
    (r, id)
}

#[test]
fn from_each_state() {
    for (state, reset, error) in [
        (State::SynSent, 0, Some(Error::Reset)),
        (State::Established, 1, Some(Error::Reset)),
        (State::FinWait1, 1, Some(Error::Reset)),
        (State::FinWait2, 1, Some(Error::Reset)),
        (State::CloseWait, 1, Some(Error::Reset)),
        (State::Closing, 0, None),
        (State::LastAck, 0, None),
        (State::TimeWait, 0, None),
        (State::Closed, 0, Some(Error::Reset)),
    ] {
        let (mut r, id) = in_state(state);
        let now = r.now;
        assert_eq!(r.host.disconnect(id, now), Ok(()), "{state}");
        assert_eq!(resets(&r.sent()), reset, "{state}");
        assert_eq!(r.state(id), State::Closed);
        let mut want = FRESH;
        want.set(Readiness::ERROR, error.is_some());
        assert_eq!(r.host.readiness(id), want, "{state}");
        assert_eq!(r.host.remote_endpoint(id), Err(Error::NotConnected));
        assert_eq!(r.host.take_error(id), error, "{state}");
        assert_eq!(r.host.readiness(id), FRESH);
        assert_eq!(r.host.try_read(id, &mut [0; 4]), Err(Error::NotConnected));
        assert_eq!(r.host.try_write(id, b"x", now), Err(Error::BrokenPipe));
        assert_eq!(r.host.tcp_info(id).map(|i| i.state), None);
        // Good for another connection, the other way round even.
        assert_eq!(r.host.listen(id, 3), Ok(()));
        r.host.close(id, now).unwrap();
        r.wait(Duration::from_secs(300));
        let listeners = usize::from(state != State::SynSent);
        assert_eq!((r.host.slots(), r.host.orphans), (listeners, 0), "{state}");
    }
}

/// What has never been sent is lost also where both sides have said their last word.
#[test]
fn unsent_octets_in_closing_are_worth_a_reset() {
    let mut r = Raw::new(Config::default());
    r.window = 0;
    let id = r.accepted();
    r.write(id, b"held back");
    let now = r.now;
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    r.send(Flags::FIN | Flags::ACK, b"");
    r.sent();
    assert_eq!(r.state(id), State::Closing);
    r.host.disconnect(id, now).unwrap();
    assert_eq!(resets(&r.sent()), 1);
    assert_eq!(r.host.take_error(id), Some(Error::Reset));
}

/// An error that waits goes to whichever call comes first, and a new attempt forgets it.
#[test]
fn the_error_of_a_connection_cut_short() {
    for call in 0..3 {
        let (mut r, id) = in_state(State::Established);
        r.send(Flags::ACK, b"unread");
        let now = r.now;
        r.host.disconnect(id, now).unwrap();
        r.sent();
        match call {
            0 => assert_eq!(r.host.try_read(id, &mut [0; 4]), Err(Error::Reset)),
            1 => assert_eq!(r.host.try_write(id, b"x", now), Err(Error::Reset)),
            _ => {
                let to = Endpoint::new(v4(2), 80);
                assert_eq!(r.host.connect(id, to, now), Err(Error::InProgress));
                assert_eq!(r.host.take_error(id), None);
                continue;
            }
        }
        assert_eq!(r.host.readiness(id), FRESH);
        assert_eq!(r.host.try_read(id, &mut [0; 4]), Err(Error::NotConnected));
    }
}

/// The name that remains: the address if the program chose it; the port is shown even where it is nobody's.
#[test]
fn what_was_bound_stays() {
    for (address, port, keeps_port) in
        [(v4(1), 0, false), (v4(1), 7000, true), (Address::UNSPECIFIED_V4, 7000, true)]
    {
        let mut p = Pair::new();
        let listener = p.listen();
        let (id, to) = (p.hosts[0].tcp_socket(V4), Endpoint::new(v4(2), 80));
        p.hosts[0].bind(id, Endpoint::new(address, port)).unwrap();
        let now = p.now;
        assert_eq!(p.hosts[0].connect(id, to, now), Err(Error::InProgress));
        p.run(|p| p.hosts[1].try_accept(listener).is_ok());
        let name = p.hosts[0].local_endpoint(id).unwrap();
        assert_eq!(name.address, v4(1));
        let now = p.now;
        p.hosts[0].disconnect(id, now).unwrap();
        assert_eq!(p.hosts[0].local_endpoint(id), Ok(Endpoint::new(address, name.port)));
        let other = p.hosts[0].tcp_socket(V4);
        assert_eq!(p.hosts[0].bind(other, Endpoint::new(v4(1), name.port)).is_err(), keeps_port);
        assert_eq!(p.hosts[0].bind(id, Endpoint::new(v4(1), 0)).is_err(), keeps_port);
        p.hosts[0].check_invariants();
        p.run(|p| p.wire.is_empty());
        assert_eq!(p.hosts[0].connect(id, to, now), Err(Error::InProgress));
        p.run(|p| p.hosts[1].try_accept(listener).is_ok());
        assert_eq!(p.hosts[0].state(id), Some(State::Established));
    }
}

#[test]
fn a_listener_that_stops() {
    for how in [Some(Shutdown::Read), Some(Shutdown::Both), None] {
        for port in [80, 0] {
            let mut p = Pair::new();
            let l = p.hosts[1].tcp_socket(V4);
            p.hosts[1].bind(l, Endpoint::new(v4(2), port)).unwrap();
            p.hosts[1].listen(l, 4).unwrap();
            let at = p.hosts[1].local_endpoint(l).unwrap();
            let (c, now) = (p.hosts[0].tcp_socket(V4), p.now);
            assert_eq!(p.hosts[0].connect(c, at, now), Err(Error::InProgress));
            p.run(|p| p.hosts[1].readiness(l).contains(Readiness::READABLE));
            let now = p.now;
            assert_eq!(p.hosts[1].shutdown(l, Shutdown::Write, now), Ok(()));
            assert_eq!(p.hosts[1].readiness(l), Readiness::READABLE);
            match how {
                Some(how) => p.hosts[1].shutdown(l, how, now).unwrap(),
                None => p.hosts[1].disconnect(l, now).unwrap(),
            }
            assert_eq!(p.hosts[1].readiness(l), FRESH);
            assert_eq!(p.hosts[1].try_accept(l), Err(Error::Invalid));
            assert_eq!(p.hosts[1].local_endpoint(l), Ok(at));
            p.hosts[1].check_invariants();
            p.run(|p| p.hosts[0].state(c) == Some(State::Closed));
            assert_eq!(p.hosts[0].take_error(c), Some(Error::Reset));
            assert_eq!(p.hosts[1].listen(l, 1), Ok(()));
            assert_eq!(p.hosts[1].local_endpoint(l).unwrap().port == at.port, port != 0);
            let now = p.now;
            p.hosts[1].close(l, now).unwrap();
            p.run(|_| false);
            assert_eq!(p.hosts[1].slots(), 0);
        }
    }
}

/// A request that comes up after its listener has stopped finds nobody.
#[test]
fn a_listener_that_stops_forgets_its_requests() {
    let mut r = Raw::new(Config::default());
    let l = r.listen(4);
    r.send(Flags::SYN, b"");
    let answer = r.sent();
    let now = r.now;
    r.host.shutdown(l, Shutdown::Read, now).unwrap();
    r.acknowledge(&answer);
    assert_eq!(resets(&r.sent()), 1);
    assert_eq!(r.host.slots(), 1);
}

#[test]
fn shutdown_of_an_attempt() {
    for how in [Shutdown::Read, Shutdown::Write, Shutdown::Both] {
        let (mut r, id) = in_state(State::SynSent);
        assert_eq!(r.host.readiness(id), Readiness::empty());
        let now = r.now;
        assert_eq!(r.host.shutdown(id, how, now), Ok(()));
        assert!(r.sent().is_empty());
        assert_eq!(r.host.readiness(id), FRESH | Readiness::ERROR);
        assert_eq!(r.host.try_read(id, &mut [0; 4]), Err(Error::Reset));
        assert_eq!(r.host.try_read(id, &mut [0; 4]), Err(Error::NotConnected));
        assert_eq!(r.host.connect(id, Endpoint::new(v4(2), 80), now), Err(Error::InProgress));
    }
}

#[test]
fn shutdown_without_a_connection_is_remembered() {
    for (how, seen) in
        [(Shutdown::Read, FRESH | SHUT), (Shutdown::Write, FRESH), (Shutdown::Both, FRESH | SHUT)]
    {
        let mut p = Pair::new();
        let l = p.listen();
        let (id, now) = (p.hosts[0].tcp_socket(V4), p.now);
        for _ in 0..2 {
            assert_eq!(p.hosts[0].shutdown(id, how, now), Err(Error::NotConnected));
            assert_eq!(p.hosts[0].readiness(id), seen);
        }
        let end = if how.reads() { Ok(0) } else { Err(Error::NotConnected) };
        assert_eq!(p.hosts[0].try_read(id, &mut [0; 4]), end);
        assert_eq!(p.hosts[0].try_peek(id, &mut [0; 4]), end);
        // A connection is born that way.
        assert_eq!(p.hosts[0].connect(id, Endpoint::new(v4(2), 80), now), Err(Error::InProgress));
        let mut s = None;
        p.run(|p| {
            s = p.hosts[1].try_accept(l).ok();
            s.is_some()
        });
        let (s, now) = (s.unwrap(), p.now);
        let mut want = Readiness::WRITABLE;
        want.set(SHUT, how.reads());
        want.set(Readiness::HANG_UP, how == Shutdown::Both);
        assert_eq!(p.hosts[0].readiness(id), want);
        let written = p.hosts[0].try_write(id, b"x", now);
        assert_eq!(written, if how.writes() { Err(Error::BrokenPipe) } else { Ok(1) });
        p.hosts[1].try_write(s, b"hi", now).unwrap();
        assert_eq!(p.hosts[0].shutdown(id, how, now), Ok(()));
        p.run(|p| p.wire.is_empty());
        let closed = p.hosts[1].readiness(s).contains(Readiness::READ_CLOSED);
        assert_eq!(closed, how.writes(), "the second time it says so to the peer");
        let now = p.now;
        p.hosts[0].disconnect(id, now).unwrap();
        assert_eq!(p.hosts[0].readiness(id), FRESH | Readiness::ERROR);
    }
}

#[test]
fn datagram_sockets() {
    let mut p = Pair::new();
    let (now, to) = (p.now, Endpoint::new(v4(2), 53));
    let host = &mut p.hosts[0];
    let id = host.udp_socket(V4);
    for (how, seen) in [
        (Shutdown::Read, SHUT | Readiness::WRITABLE),
        (Shutdown::Write, SHUT | FRESH),
        (Shutdown::Both, SHUT | FRESH),
    ] {
        assert_eq!(host.shutdown(id, how, now), Err(Error::NotConnected));
        assert_eq!(host.readiness(id), seen);
    }
    assert_eq!(host.try_send_to(id, b"x", Some(to), now), Err(Error::BrokenPipe));
    for (bound, after) in [
        (None, (Address::UNSPECIFIED_V4, 0)),
        (Some((v4(1), 0)), (v4(1), 0)),
        (Some((v4(1), 8800)), (v4(1), 8800)),
        (Some((Address::UNSPECIFIED_V4, 8801)), (Address::UNSPECIFIED_V4, 8801)),
    ] {
        let id = host.udp_socket(V4);
        if let Some((address, port)) = bound {
            host.bind(id, Endpoint::new(address, port)).unwrap();
        }
        host.connect(id, to, now).unwrap();
        assert_eq!(host.shutdown(id, Shutdown::Write, now), Ok(()));
        assert_eq!(host.local_endpoint(id).unwrap().address, v4(1));
        host.disconnect(id, now).unwrap();
        assert_eq!(host.local_endpoint(id), Ok(Endpoint::new(after.0, after.1)));
        assert_eq!(host.remote_endpoint(id), Err(Error::NotConnected));
        assert_eq!(host.bind(id, Endpoint::new(v4(1), 0)).is_ok(), after.1 == 0);
    }
    // The address chosen for the first peer stays for the next.
    let id = host.udp_socket(V4);
    host.connect(id, Endpoint::new(Address::from_v4_octets([127, 0, 0, 1]), 9), now).unwrap();
    assert_eq!(host.connect(id, to, now), Err(Error::Invalid));
    host.disconnect(id, now).unwrap();
    assert_eq!(host.connect(id, to, now), Ok(()));
}
