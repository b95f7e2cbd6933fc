//! A listener whose queue is full: who comes then waits, and never gets half a connection.

use super::raw::Raw;
use super::*;
use Family::V4;

/// One more than the backlog may wait; the SYN of the next is dropped until there is room, and it then gets through by
/// its own retransmission. First in, first out.
#[test]
fn one_more_than_the_backlog() {
    for backlog in 0..4 {
        let mut p = Pair::new();
        let l = p.hosts[1].tcp_socket(V4);
        p.hosts[1].bind(l, Endpoint::new(v4(2), 80)).unwrap();
        p.hosts[1].listen(l, backlog).unwrap();
        let mut clients = Vec::new();
        for _ in 0..backlog + 3 {
            let (id, now) = (p.hosts[0].tcp_socket(V4), p.now);
            assert_eq!(p.hosts[0].connect(id, Endpoint::new(v4(2), 80), now), Err(Error::InProgress));
            clients.push(id);
            let until = p.now + DELAY * 3;
            p.run(|p| p.now >= until);
        }
        let states: Vec<_> = clients.iter().map(|&c| p.hosts[0].state(c).unwrap()).collect();
        let (fit, wait) = states.split_at(backlog as usize + 1);
        assert!(fit.iter().all(|&s| s == State::Established), "{states:?}");
        assert!(wait.iter().all(|&s| s == State::SynSent), "{states:?}");
        assert_eq!(p.hosts[1].backlog(l), Some((backlog as usize + 1, backlog)));
        assert_eq!(p.hosts[1].counters().tcp_listen_overflows, 2);
        let mut peers = Vec::new();
        p.run(|p| {
            while let Ok(id) = p.hosts[1].try_accept(l) {
                assert_eq!(p.hosts[1].state(id), Some(State::Established));
                peers.push(p.hosts[1].remote_endpoint(id).unwrap());
            }
            peers.len() == clients.len()
        });
        let names: Vec<_> = clients.iter().map(|&c| p.hosts[0].local_endpoint(c).unwrap()).collect();
        assert_eq!(peers[..fit.len()], names[..fit.len()], "in the order they came");
        assert!(names.iter().all(|n| peers.contains(n)));
    }
}

/// Two handshakes race for one place: the one that comes late stays a request. What its peer sends meanwhile is not
/// taken, and the SYN,ACK goes again until there is room.
#[test]
fn a_handshake_that_ends_too_late() {
    let mut r = Raw::new(Config::default());
    let l = r.listen(0);
    r.send(Flags::SYN, b"");
    let first = r.sent();
    let (seq, ack) = (r.seq, first[0].header.seq.get().wrapping_add(1));
    r.ports.1 = 5001;
    r.seq = 1000;
    r.send(Flags::SYN, b"");
    let second = r.sent();
    assert!(second[0].is(Flags::SYN | Flags::ACK));

    r.ports.1 = 5000;
    r.inject(seq, ack, Flags::ACK, b"", &Default::default());
    r.ports.1 = 5001;
    r.ack = second[0].header.seq.get().wrapping_add(1);
    let late = r.seq;
    r.send(Flags::ACK, b"");
    r.send(Flags::ACK, b"early");
    assert!(r.sent().is_empty(), "neither refused nor acknowledged");
    assert_eq!(r.host.backlog(l), Some((1, 0)));
    let again = r.wait(Duration::from_secs(2));
    assert!(!again.is_empty() && again.iter().all(|s| s.is(Flags::SYN | Flags::ACK)), "{again:?}");
    assert!(again.iter().all(|s| s.header.dst_port == 5001));

    let accepted = r.host.try_accept(l).unwrap();
    assert_eq!(r.host.remote_endpoint(accepted).unwrap().port, 5000);
    assert_eq!(r.host.try_accept(l), Err(Error::WouldBlock));
    r.seq = late;
    r.send(Flags::ACK, b"early");
    let accepted = r.host.try_accept(l).unwrap();
    assert_eq!(r.state(accepted), State::Established);
    let mut buf = [0; 9];
    assert_eq!(r.host.try_read(accepted, &mut buf), Ok(5));
}

/// With `abort_on_overflow` the one that comes late is reset, and its peer need not wait.
#[test]
fn a_handshake_that_ends_too_late_is_reset_on_request() {
    let tcp = crate::config::TcpConfig { abort_on_overflow: true, ..Default::default() };
    let mut r = Raw::new(Config { tcp, ..Config::default() });
    let l = r.listen(0);
    let mut acks = Vec::new();
    for port in [5000, 5001] {
        (r.ports.1, r.seq, r.ack) = (port, 1000, 0);
        r.send(Flags::SYN, b"");
        acks.push((port, r.sent()[0].header.seq.get().wrapping_add(1)));
    }
    for &(port, ack) in &acks {
        r.ports.1 = port;
        r.inject(1001, ack, Flags::ACK, b"", &Default::default());
    }
    let out = r.sent();
    assert_eq!(out.len(), 1, "{out:?}");
    assert_eq!(out[0].header.flags, Flags::RST);
    assert_eq!((out[0].header.dst_port, out[0].header.seq.get()), acks[1]);
    assert_eq!(r.host.counters().tcp_listen_overflows, 1);
    assert!(r.host.try_accept(l).is_ok());
    assert!(r.wait(Duration::from_secs(200)).is_empty(), "no SYN,ACK again");
    assert_eq!(r.host.slots(), 2, "the listener and what it accepted");
}
