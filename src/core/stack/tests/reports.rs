//! What a program is told beside the outcome of its calls (RFC 9293 §3.9.1.8).

use super::raw::Raw;
use super::*;

fn raw() -> Raw {
    Raw::new(Config::default())
}

/// What is told of one socket now: how it stands, and what is new of it.
fn news(r: &mut Raw, id: SocketId) -> Option<(Readiness, Readiness)> {
    let mut of_it = r.told().into_iter().filter(|event| event.id == id);
    of_it.next_back().map(|event| (event.readiness, event.edges))
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.5
//= type=test
//= id=MUST-32
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=STEP-3.10.7.4-25
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.8
//= type=test
//= id=rfc9293-3.9.1.8-1
#[test]
fn an_urgent_pointer_is_told_when_it_comes_and_when_it_advances() {
    let ahead = Readiness::URGENT_AHEAD;
    let mut r = raw();
    let id = r.accepted();
    assert!(news(&mut r, id).is_none_or(|(is, _)| !is.contains(ahead)));
    let nxt = r.seq;
    // The octet itself is still to come.
    r.urgent = 10;
    r.send(Flags::ACK | Flags::URG, b"");
    let (is, edges) = news(&mut r, id).unwrap();
    assert!(is.contains(ahead) && edges == ahead, "{is:?} {edges:?}");
    assert_eq!(r.tcb(id).rcv.up.get(), nxt + 10);
    // The same again, and one further back.
    r.send(Flags::ACK | Flags::URG, b"");
    r.urgent = 5;
    r.send(Flags::ACK | Flags::URG, b"");
    assert_eq!(news(&mut r, id), None);
    assert_eq!(r.tcb(id).rcv.up.get(), nxt + 10);
    r.urgent = 20;
    r.send(Flags::ACK | Flags::URG, b"");
    let (is, edges) = news(&mut r, id).unwrap();
    assert!(is.contains(ahead) && edges == ahead, "{is:?} {edges:?}");
    assert_eq!(r.tcb(id).rcv.up.get(), nxt + 20);
    r.send(Flags::ACK, &[7; 25]);
    assert!(news(&mut r, id).unwrap().0.contains(ahead));
    assert_eq!(r.host.try_read(id, &mut [0; 100]), Ok(19));
    assert_eq!(r.host.try_read(id, &mut [0; 100]), Ok(6));
    assert!(!news(&mut r, id).unwrap().0.contains(ahead), "the reader is past it");
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.8
//= type=test
//= id=MUST-47, rfc9293-3.9.1.8-1
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
//= type=test
//= id=SHLD-25
#[test]
fn each_soft_error_is_told_and_ends_nothing() {
    let soft = Readiness::SOFT_ERROR;
    let mut r = raw();
    let id = r.accepted();
    r.write(id, b"data");
    let una = r.ack;
    assert!(news(&mut r, id).is_none_or(|(is, _)| !is.contains(soft)));
    for (code, error) in [(0, Error::NetUnreachable), (0, Error::NetUnreachable), (1, Error::HostUnreachable)]
    {
        r.router_says([3, code], 0, una);
        let (is, edges) = news(&mut r, id).unwrap();
        assert!(is.contains(soft) && edges == soft, "{is:?} {edges:?}");
        assert_eq!(r.host.tcp_info(id).unwrap().soft_error, Some(error));
        assert_eq!((r.state(id), r.host.take_error(id)), (State::Established, None));
    }
    r.ack = una.wrapping_add(4);
    r.send(Flags::ACK, b"");
    assert!(!news(&mut r, id).unwrap().0.contains(soft), "the peer has been reached");
    assert_eq!(r.host.tcp_info(id).unwrap().soft_error, None);
    // In an attempt to connect as well.
    let mut r = raw();
    let (id, syn) = r.connect();
    r.router_says([3, 1], 0, syn.header.seq.get());
    assert!(news(&mut r, id).unwrap().0.contains(soft));
    assert_eq!(r.state(id), State::SynSent);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
//= type=test
//= id=MUST-55
#[test]
fn a_source_quench_changes_nothing() {
    let mut r = raw();
    let id = r.accepted();
    r.write(id, &[7; 20_000]);
    let out = r.sent();
    let una = r.ack;
    let before = r.host.tcp_info(id).unwrap();
    r.router_says([4, 0], 0, una);
    assert!(r.sent().is_empty());
    let after = r.host.tcp_info(id).unwrap();
    assert_eq!(after.variables, before.variables);
    assert_eq!((after.soft_error, r.host.take_error(id)), (None, None));
    assert_eq!(out.len(), 10);
}

/// Three retransmissions without an answer are told, and nothing ends until R2. A SYN's too.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
//= type=test
//= id=SHLD-9, SHLD-10, MUST-20, MUST-22
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.8
//= type=test
//= id=rfc9293-3.9.1.8-1
#[test]
fn a_delivery_problem_is_told_at_r1_and_ends_the_connection_at_r2() {
    for connecting in [true, false] {
        let mut r = raw();
        let id = if connecting { r.connect().0 } else { r.accepted() };
        if !connecting {
            r.write(id, b"lost");
        }
        let mut told_at = None;
        let mut sent = 0;
        while r.state(id) != State::Closed {
            sent += r.sent().len();
            let info = r.host.tcp_info(id).unwrap();
            if info.soft_error.is_some() && told_at.is_none() {
                assert_eq!(info.soft_error, Some(Error::TimedOut));
                assert!(r.host.readiness(id).contains(Readiness::SOFT_ERROR));
                told_at = Some((sent, r.now));
            }
            r.now = r.host.poll_timeout().unwrap();
            let now = r.now;
            r.host.handle_timeout(now);
        }
        // The SYN itself left before.
        let (transmissions, at) = told_at.unwrap();
        assert!(transmissions + usize::from(connecting) > 3, "{transmissions}");
        assert!(transmissions <= 5, "{transmissions}");
        assert!(r.now.saturating_since(at) > Duration::from_secs(60), "R2 is far behind R1");
        assert_eq!(r.host.take_error(id), Some(Error::TimedOut));
        assert!(!r.host.readiness(id).contains(Readiness::SOFT_ERROR));
    }
}

/// Tracing may be turned off while connections stand.
#[test]
fn why_a_packet_left_is_told_only_while_somebody_traces() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    for trace in [false, true, false] {
        r.host.config_mut().trace = trace;
        r.write(id, b"text");
        let told = r.host.poll_transmit(r.now).map(|datagram| datagram.event.is_some());
        assert_eq!(told, Some(trace));
        r.ack += 4;
        r.send(Flags::ACK, b"");
    }
}
