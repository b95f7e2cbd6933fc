//! Handshakes that go another way than usual.

use super::raw::Raw;
use super::*;

/// RFC 9293 §3.10.4, CLOSE in SYN-RECEIVED: a FIN follows when the handshake is done.
#[test]
fn closed_in_syn_received_a_fin_follows_the_handshake() {
    for shutdown in [true, false] {
        let mut r = Raw::new(Config::default());
        let (id, syn) = r.connect();
        r.ack = 0;
        r.send(Flags::SYN, b"");
        r.sent();
        assert_eq!(r.state(id), State::SynReceived);
        let now = r.now;
        if shutdown {
            r.host.shutdown(id, Shutdown::Write, now).unwrap();
        } else {
            r.host.close(id, now).unwrap();
        }
        assert!(r.sent().iter().all(|s| !s.is(Flags::FIN)), "not before the handshake is done");
        r.ack = syn.header.seq.get().wrapping_add(1);
        r.send(Flags::ACK, b"");
        let out = r.sent();
        assert_eq!(out.len(), 1, "{out:?}");
        assert!(out[0].is(Flags::FIN | Flags::ACK), "{out:?}");
        r.acknowledge(&out);
        if shutdown {
            assert_eq!(r.state(id), State::FinWait2);
        }
        r.send(Flags::FIN | Flags::ACK, b"");
        let last = r.sent();
        assert_eq!((last.len(), last[0].header.ack.get()), (1, r.seq));
    }
}

/// A peer that offered timestamps ends the handshake without one.
fn acknowledged_without_timestamps(config: Config) -> (Raw, SocketId) {
    let mut r = Raw::new(config);
    let listener = r.listen(8);
    r.clock = Some(5);
    r.send(Flags::SYN, b"");
    let out = r.sent();
    assert!(out[0].options.timestamps.is_some());
    r.ack = out[0].header.seq.get().wrapping_add(1);
    r.clock = None;
    r.send(Flags::ACK, b"");
    (r, listener)
}

/// RFC 7323 §3.2: once agreed upon, a segment without timestamps is dropped, also the one that ends the handshake.
#[test]
fn no_connection_is_made_of_an_ack_that_lacks_agreed_timestamps() {
    let (mut r, listener) = acknowledged_without_timestamps(Config::default());
    assert_eq!(r.host.try_accept(listener), Err(Error::WouldBlock));
    assert_eq!(r.host.counters().tcp_missing_timestamp, 1);
    r.clock = Some(6);
    r.send(Flags::ACK, b"");
    let id = r.host.try_accept(listener).unwrap();
    assert_eq!(r.state(id), State::Established);
}

/// As Linux takes them, where the setting says so: the ACK of the handshake and what comes after it.
#[test]
fn segments_that_lack_agreed_timestamps_may_be_tolerated() {
    let mut config = Config::default();
    config.tcp.tolerate_missing_timestamps = true;
    let (mut r, listener) = acknowledged_without_timestamps(config);
    let id = r.host.try_accept(listener).unwrap();
    r.send(Flags::ACK, b"text");
    assert_eq!((r.host.unread(id), r.host.counters().tcp_missing_timestamp), (Ok(4), 0));
}

/// SYN and the ACK of ours in one batch: nothing of the SYN,ACK that was due may leave afterwards.
#[test]
fn a_syn_ack_that_was_overtaken_does_not_leave() {
    let mut r = Raw::new(Config::default());
    let (id, syn) = r.connect();
    r.ack = 0;
    r.send(Flags::SYN, b"");
    r.ack = syn.header.seq.get().wrapping_add(1);
    r.send(Flags::ACK, b"");
    assert_eq!(r.state(id), State::Established);
    r.send(Flags::ACK | Flags::PSH, b"x");
    let out = r.sent();
    assert_eq!(out.len(), 1, "{out:?}");
    assert_eq!(out[0].header.seq, syn.header.seq.add(1), "where the peer expects it");
}

/// A request dies with its listener, also where another listener gets the same slot.
#[test]
fn a_request_is_not_handed_to_another_listener() {
    let mut r = Raw::new(Config::default());
    let first = r.listen(8);
    r.send(Flags::SYN, b"");
    let out = r.sent();
    r.ack = out[0].header.seq.get().wrapping_add(1);
    let now = r.now;
    r.host.close(first, now).unwrap();
    let second = r.listen(8);
    assert_eq!(second.index(), first.index());
    r.host.check_invariants();
    r.send(Flags::ACK, b"");
    assert_eq!(r.host.try_accept(second), Err(Error::WouldBlock));
    let out = r.sent();
    assert!(out.len() == 1 && out[0].is(Flags::RST), "{out:?}");
}

/// Requests of a closed listener do not wait out all their retransmissions.
#[test]
fn a_request_without_its_listener_ends_when_it_comes_up() {
    let mut r = Raw::new(Config::default());
    let listener = r.listen(8);
    r.send(Flags::SYN, b"");
    r.sent();
    let now = r.now;
    r.host.close(listener, now).unwrap();
    r.wait(Duration::from_secs(2));
    assert_eq!(r.host.slots(), 0);
}

/// `TCP_MAXSEG` limits what we send too.
#[test]
fn the_largest_segment_a_program_allows_holds_both_ways() {
    let mut r = Raw::new(Config::default());
    let listener = r.host.tcp_socket(Family::V4);
    let now = r.now;
    let options = r.host.options(listener).unwrap();
    let options = crate::sockopt::SocketOptions { max_segment: 500, ..options };
    r.host.set_options(listener, options, now).unwrap();
    r.host.bind(listener, Endpoint::new(Address::UNSPECIFIED_V4, 80)).unwrap();
    r.host.listen(listener, 8).unwrap();
    r.send(Flags::SYN, b"");
    let out = r.sent();
    assert_eq!(out[0].options.mss, Some(500));
    r.ack = out[0].header.seq.get().wrapping_add(1);
    r.send(Flags::ACK, b"");
    let id = r.host.try_accept(listener).unwrap();
    r.write(id, &[0; 3000]);
    assert!(r.sent().iter().all(|s| s.text.len() <= 500));

    let mut r = Raw::new(Config::default());
    r.ports = (4000, 80);
    let id = r.host.tcp_socket(Family::V4);
    r.host.set_options(id, options, now).unwrap();
    r.host.bind(id, Endpoint::new(v4(1), 4000)).unwrap();
    let _ = r.host.connect(id, Endpoint::new(v4(2), 80), now);
    let syn = r.sent();
    assert_eq!(syn[0].options.mss, Some(500));
    r.ack = syn[0].header.seq.get().wrapping_add(1);
    r.send(Flags::SYN | Flags::ACK, b"");
    r.write(id, &[0; 3000]);
    assert!(r.sent().iter().all(|s| s.text.len() <= 500));
}

/// RFC 9293 §3.6.1: a SYN that finds no room leaves TIME-WAIT as it was.
#[test]
fn time_wait_outlives_a_syn_that_finds_no_room() {
    let mut r = Raw::new(Config::default());
    let listener = r.listen(0);
    r.handshake();
    let id = r.host.try_accept(listener).unwrap();
    let now = r.now;
    r.host.close(id, now).unwrap();
    let fin = r.sent();
    r.acknowledge(&fin);
    r.send(Flags::FIN | Flags::ACK, b"");
    r.sent();
    assert_eq!(r.host.time_waits.len(), 1);
    // Others fill the queue.
    let (seq, ack) = (r.seq, r.ack);
    r.ports.1 = 5001;
    r.handshake();
    (r.ports.1, r.seq, r.ack) = (5000, seq + 100_000, 0);
    r.send(Flags::SYN, b"");
    assert!(r.sent().is_empty());
    assert_eq!(r.host.time_waits.len(), 1);
    assert_eq!(r.host.counters().tcp_tw_recycled, 0);
    assert!(r.host.try_accept(listener).is_ok());
    (r.seq, r.ack) = (seq + 100_000, 0);
    r.send(Flags::SYN, b"");
    let out = r.sent();
    assert!(out.len() == 1 && out[0].is(Flags::SYN | Flags::ACK));
    assert!(out[0].header.seq.after(crate::seq::Seq::new(ack)));
    assert_eq!((r.host.time_waits.len(), r.host.counters().tcp_tw_recycled), (0, 1));
}

/// RFC 5961 §7: neither a flood of segments that do not belong there, nor of copies of the SYN, is answered in full.
#[test]
fn a_request_answers_a_flood_a_bounded_number_of_times() {
    for flags in [Flags::ACK, Flags::SYN] {
        let mut r = Raw::new(Config::default());
        r.listen(8);
        r.send(Flags::SYN, b"");
        r.sent();
        let (seq, syn) = (if flags == Flags::SYN { 1000 } else { 5_000_000 }, r.syn.clone());
        for _ in 0..1000 {
            r.inject(seq, 1, flags, b"", &syn);
        }
        assert_eq!(r.sent().len(), 15);
        assert_eq!(r.host.counters().tcp_challenge_limited, 985);
    }
}
