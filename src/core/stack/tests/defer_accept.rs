//! Listeners that wait for the first octets (`TCP_DEFER_ACCEPT`).

use super::raw::Raw;
use super::*;
use crate::sockopt::SocketOptions;

const SECOND: Duration = Duration::from_secs(1);

/// A listener that waits for `seconds`, and a peer that has ended the handshake 30 ms after the SYN,ACK.
fn deferred(seconds: u64, timestamps: bool) -> (Raw, SocketId) {
    let mut r = Raw::new(Config::default());
    r.clock = timestamps.then_some(5);
    let listener = r.listen(8);
    defer(&mut r, listener, seconds);
    r.send(Flags::SYN, b"");
    let out = r.sent();
    r.ack = out[0].header.seq.get().wrapping_add(1);
    r.now += Duration::from_millis(30);
    r.send(Flags::ACK, b"");
    assert!(r.sent().is_empty());
    (r, listener)
}

fn defer(r: &mut Raw, listener: SocketId, seconds: u64) {
    let mut options: SocketOptions = r.host.options(listener).unwrap();
    let tcp = r.host.config().tcp.clone();
    options.set_defer_accept(Duration::from_secs(seconds), &tcp);
    r.host.set_options(listener, options, r.now).unwrap();
}

fn accepted(r: &mut Raw, listener: SocketId) -> bool {
    r.host.try_accept(listener).is_ok()
}

#[test]
fn the_wait_is_rounded_to_timeouts_of_the_syn_ack() {
    let config = Config::default();
    let mut options = SocketOptions::tcp(&config);
    let expected = [(0, 0, 0), (1, 1, 1), (2, 2, 3), (3, 2, 3), (4, 3, 7), (120, 7, 127), (128, 8, 247)];
    for (asked, timeouts, told) in expected {
        options.set_defer_accept(Duration::from_secs(asked), &config.tcp);
        let time = options.defer_accept_time(&config.tcp);
        assert_eq!((options.defer_accept, time), (timeouts, Duration::from_secs(told)), "{asked}");
    }
    options.set_defer_accept(Duration::MAX, &config.tcp);
    assert_eq!(options.defer_accept, u8::MAX);
}

#[test]
fn the_first_octets_or_a_fin_end_the_handshake() {
    for (flags, text) in [(Flags::ACK, &b"hello"[..]), (Flags::ACK | Flags::FIN, b"")] {
        let (mut r, listener) = deferred(10, false);
        assert!(!accepted(&mut r, listener));
        assert_eq!(r.host.counters().tcp_defer_accept_drop, 1);
        r.send(Flags::ACK, b"");
        assert_eq!((accepted(&mut r, listener), r.host.counters().tcp_defer_accept_drop), (false, 2));
        r.send(flags, text);
        let id = r.host.try_accept(listener).unwrap();
        assert_eq!(r.host.unread(id), Ok(text.len()));
    }
    let mut r = Raw::new(Config::default());
    let listener = r.listen(8);
    r.handshake();
    assert!(accepted(&mut r, listener), "not deferred");
}

/// How long the peer had nothing to say is no round trip, whatever it echoes.
#[test]
fn the_round_trip_is_that_of_the_handshake() {
    for timestamps in [false, true] {
        let (mut r, listener) = deferred(10, timestamps);
        r.now += Duration::from_millis(700);
        r.send(Flags::ACK, b"hello");
        let id = r.host.try_accept(listener).unwrap();
        assert_eq!(r.tcb(id).rtt.srtt(), Some(Duration::from_millis(30)));
    }
}

/// The peer is left alone meanwhile; asked at the end, its ACK is enough.
#[test]
fn when_the_time_is_over_the_peer_is_asked_once_more() {
    let (mut r, listener) = deferred(3, false);
    assert!(r.wait(SECOND * 5 / 2).is_empty());
    r.send(Flags::ACK, b"");
    assert!(!accepted(&mut r, listener));
    let out = r.wait(SECOND);
    assert!(out.len() == 1 && out[0].is(Flags::SYN | Flags::ACK), "{out:?}");
    r.send(Flags::ACK, b"");
    let id = r.host.try_accept(listener).unwrap();
    assert!(r.tcb(id).cwnd() >= 10 * 1000, "nothing was lost");
}

/// Longer than SYN,ACK would be sent again otherwise; and no answer at all ends it.
#[test]
fn a_peer_that_says_nothing_more_is_given_up() {
    let (mut r, listener) = deferred(200, false);
    assert!(r.wait(SECOND * 126).is_empty(), "five retransmissions would be over after 63 s");
    assert_eq!(r.host.slots(), 2);
    let out = r.wait(SECOND * 900);
    assert_eq!(out.iter().filter(|s| s.is(Flags::SYN | Flags::ACK)).count(), 1, "{out:?}");
    assert_eq!((r.host.slots(), accepted(&mut r, listener)), (1, false));
}

/// What is not acknowledged is sent again as ever, and given up as ever.
#[test]
fn a_syn_ack_that_is_lost_is_sent_again() {
    let mut r = Raw::new(Config::default());
    let listener = r.listen(8);
    defer(&mut r, listener, 200);
    r.send(Flags::SYN, b"");
    let out = r.wait(SECOND * 100);
    assert_eq!((out.len(), r.host.slots()), (6, 1), "the first and five more");
}

/// The program takes it back while a peer waits.
#[test]
fn without_the_option_the_next_ack_is_enough() {
    let (mut r, listener) = deferred(10, false);
    defer(&mut r, listener, 0);
    r.send(Flags::ACK, b"");
    assert!(accepted(&mut r, listener));
}
