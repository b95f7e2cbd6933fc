//! Acknowledgments that wait for what the program sends for what it is told, while somebody says that it works on it.

use super::raw::Raw;
use super::*;
use crate::config::EcnFeedback;
use crate::tcp::state::State;
use crate::wire::options::Options;

const TIME: Duration = Duration::from_millis(1);

/// A connection whose program is about to be told of what comes.
fn awaited() -> (Raw, SocketId) {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.host.hold_acks(Some(r.now + TIME));
    (r, id)
}

/// Another one beside it.
fn another(r: &mut Raw) {
    r.ports.0 += 1;
    r.accepted();
    r.host.hold_acks(Some(r.now + TIME));
}

/// A request on a fresh connection, its reply, and the end of both: a segment each.
#[test]
fn request_and_end_are_acknowledged_with_the_reply_and_with_the_end() {
    let (mut r, id) = awaited();
    r.send(Flags::ACK | Flags::PSH, b"asked");
    assert!(r.sent().is_empty() && r.host.holds_acks());
    assert_eq!(r.host.try_read(id, &mut [0; 9]), Ok(5));
    r.write(id, b"reply");
    let reply = r.sent();
    assert_eq!((reply.len(), reply[0].header.ack.get()), (1, r.seq));
    r.acknowledge(&reply);
    r.send(Flags::ACK | Flags::FIN, b"");
    assert!(r.sent().is_empty());
    assert_eq!(r.state(id), State::CloseWait);
    let now = r.now;
    r.host.close(id, now).unwrap();
    let end = r.sent();
    assert_eq!((end.len(), end[0].header.ack.get()), (1, r.seq));
    assert!(end[0].is(Flags::FIN | Flags::ACK));
    assert!(!r.host.release_acks() && r.wait(TIME * 3).is_empty(), "nothing is owed any more");
}

/// Without a reply they leave as soon as the program waits again.
#[test]
fn they_leave_when_they_are_let_go() {
    for flags in [Flags::PSH, Flags::FIN] {
        let (mut r, _) = awaited();
        r.send(Flags::ACK | flags, b"x");
        r.host.hold_acks(None);
        assert!(r.sent().is_empty());
        assert!(r.host.release_acks());
        let out = r.sent();
        assert_eq!((out.len(), out[0].header.ack.get()), (1, r.seq), "{flags:?}");
        assert!(out[0].text.is_empty());
        assert!(!r.host.holds_acks() && !r.host.release_acks());
        assert!(r.wait(TIME * 100).is_empty());
    }
}

/// A peer that writes twice before it reads has its second write wait for the acknowledgment of the first (Nagle): that is as
/// soon as the program waits for the rest.
#[test]
fn what_is_let_go_does_not_take_what_comes_later_with_it() {
    let (mut r, id) = awaited();
    r.send(Flags::ACK | Flags::PSH, b"as");
    assert!(r.sent().is_empty() && r.host.release_acks());
    assert_eq!(r.sent().len(), 1);
    r.send(Flags::ACK | Flags::PSH, b"ked");
    r.write(id, b"reply");
    assert_eq!(r.sent().len(), 1);
    r.host.hold_acks(None);
    r.send(Flags::ACK | Flags::PSH, b"asked");
    assert!(!r.host.release_acks(), "who replies delays the others, as ever");
    assert!(r.wait(TIME * 39).is_empty());
}

/// Who comes back for more has worked on what it was told of before.
#[test]
fn older_ones_leave_before_later_ones() {
    let (mut r, _) = awaited();
    r.send(Flags::ACK | Flags::PSH, b"x");
    assert!(r.sent().is_empty() && !r.host.release_older_acks());
    another(&mut r);
    r.send(Flags::ACK | Flags::PSH, b"x");
    assert!(r.sent().is_empty() && r.host.release_older_acks());
    let out = r.sent();
    assert_eq!((out.len(), out[0].header.src_port), (1, r.ports.0 - 1));
    assert!(r.host.holds_acks() && r.host.release_older_acks());
    assert_eq!(r.sent().len(), 1);
    assert!(!r.host.holds_acks() && !r.host.release_older_acks());
    assert_eq!(r.host.poll_timeout().filter(|due| *due <= r.now + TIME), None);
}

/// A program is told of a connection first, and when it comes back after that, of the request there.
#[test]
fn whose_connection_is_not_accepted_yet_is_not_older() {
    for replies in [true, false] {
        let mut r = Raw::new(Config::default());
        let listener = r.listen(8);
        r.handshake();
        r.host.hold_acks(Some(r.now + TIME));
        r.send(Flags::ACK | Flags::PSH, b"asked");
        for _ in 0..3 {
            assert!(r.sent().is_empty() && !r.host.release_older_acks());
        }
        let id = r.host.try_accept(listener).unwrap();
        assert!(!r.host.release_older_acks() && r.sent().is_empty(), "now it is told of the request");
        if replies {
            r.write(id, b"reply");
        }
        let mut out = r.sent();
        assert_eq!(r.host.release_older_acks(), !replies);
        out.extend(r.sent());
        assert_eq!((out.len(), out[0].header.ack.get(), out[0].text.is_empty()), (1, r.seq, !replies));
    }
    // Whatever the program does, it does not wait for long.
    let mut r = Raw::new(Config::default());
    r.listen(8);
    r.handshake();
    r.host.hold_acks(Some(r.now + TIME));
    r.send(Flags::ACK | Flags::PSH, b"asked");
    assert!(!r.host.release_older_acks() && !r.host.release_older_acks());
    assert_eq!((r.wait(TIME - Duration::from_nanos(1)).len(), r.wait(TIME).len()), (0, 1));
}

/// Whoever holds them may forget that.
#[test]
fn they_leave_when_the_time_is_over() {
    for flags in [Flags::PSH, Flags::FIN] {
        let (mut r, _) = awaited();
        r.send(Flags::ACK | flags, b"x");
        assert!(r.wait(TIME - Duration::from_nanos(1)).is_empty());
        let out = r.wait(Duration::from_nanos(1));
        assert_eq!((out.len(), out[0].header.ack.get()), (1, r.seq), "{flags:?}");
        assert!(r.wait(TIME * 100).is_empty());
    }
    // No longer than any other acknowledgment.
    let (mut r, _) = awaited();
    r.host.hold_acks(Some(r.now + TIME * 10_000));
    r.send(Flags::ACK | Flags::FIN, b"");
    assert_eq!(r.wait(TIME * 40).len(), 1);
}

/// The time is that of the first that waits.
#[test]
fn later_ones_do_not_put_off_earlier_ones() {
    let (mut r, _) = awaited();
    r.send(Flags::ACK | Flags::PSH, b"x");
    assert!(r.wait(TIME / 2).is_empty());
    another(&mut r);
    r.send(Flags::ACK | Flags::PSH, b"x");
    assert_eq!(r.wait(TIME / 2).len(), 2);
}

/// Full segments, every second one however short, what the program wants at once, what closes both directions, gaps and
/// duplicates.
#[test]
fn what_has_to_leave_at_once_does() {
    let at_once = |r: &mut Raw, flags, text: &[u8]| {
        r.send(Flags::ACK | flags, text);
        assert_eq!(r.sent().len(), 1, "{flags:?} {}", text.len());
    };
    let (mut r, _) = awaited();
    at_once(&mut r, Flags::empty(), &[0; 1000]);
    r.send(Flags::ACK, &[0; 999]);
    assert!(r.sent().is_empty());
    at_once(&mut r, Flags::empty(), &[0; 2]);

    for flags in [Flags::PSH, Flags::FIN] {
        let (mut r, id) = awaited();
        let now = r.now;
        r.host.set_quick_acks(id, true, now).unwrap();
        at_once(&mut r, flags, b"x");
        let (mut r, id) = awaited();
        r.send(Flags::ACK | flags, b"x");
        assert!(r.sent().is_empty());
        let now = r.now;
        r.host.set_quick_acks(id, true, now).unwrap();
        assert_eq!(r.sent().len(), 1, "{flags:?}");
    }

    for shut in [false, true] {
        let (mut r, id) = awaited();
        let now = r.now;
        if shut {
            r.host.shutdown(id, Shutdown::Write, now).unwrap();
        } else {
            r.host.close(id, now).unwrap();
        }
        let fin = r.sent();
        assert!(fin[0].is(Flags::FIN));
        r.acknowledge(&fin);
        at_once(&mut r, Flags::FIN, b"");
    }

    let (mut r, _) = awaited();
    r.send(Flags::ACK, b"x");
    r.seq += 1;
    at_once(&mut r, Flags::empty(), b"beyond a gap");
    let (mut r, _) = awaited();
    r.send(Flags::ACK, b"x");
    r.seq -= 1;
    at_once(&mut r, Flags::empty(), b"x");
}

/// The program is given what it asked for to the last: each of so many is acknowledged at once.
#[test]
fn all_that_the_program_wants_at_once_leaves_at_once() {
    let (mut r, id) = awaited();
    let now = r.now;
    r.host.set_quick_acks(id, true, now).unwrap();
    let asked = Config::default().tcp.quick_acks;
    for n in 0..asked {
        r.send(Flags::ACK | Flags::PSH, b"x");
        assert_eq!(r.sent().len(), 1, "{n} of {asked}");
    }
}

/// Who has sent its FIN replies to nothing any more.
#[test]
fn no_reply_is_waited_for_behind_our_fin() {
    let (mut r, id) = awaited();
    let now = r.now;
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    let fin = r.sent();
    r.send(Flags::ACK | Flags::PSH, b"x");
    assert_eq!((r.state(id), r.sent().len()), (State::FinWait1, 1));
    r.acknowledge(&fin);
    r.send(Flags::ACK | Flags::PSH, b"x");
    assert_eq!((r.state(id), r.sent().len()), (State::FinWait2, 1));
}

/// A mark that is echoed is told with each, and an accurate count too.
#[test]
fn what_tells_of_marks_does() {
    for (feedback, syn, held) in [(EcnFeedback::Classic, 0b011, true), (EcnFeedback::Accurate, 0b111, false)]
    {
        let mut config = Config::default();
        config.tcp.ecn_incoming = feedback;
        let mut r = Raw::new(config);
        let listener = r.listen(8);
        r.send(Flags::SYN | Flags::from_ace(syn), b"");
        let out = r.sent();
        assert_ne!(out[0].header.flags.ace(), 0);
        r.ack = out[0].header.seq.get().wrapping_add(1);
        r.send(Flags::ACK | Flags::from_ace(if held { 0 } else { 0b010 }), b"");
        r.host.try_accept(listener).unwrap();
        r.sent();
        r.host.hold_acks(Some(r.now + TIME));
        r.send(Flags::ACK, b"not marked");
        assert_eq!(r.sent().is_empty(), held, "{feedback:?}");
        r.host.release_acks();
        r.sent();
        let mut marked = r.packet(r.seq, r.ack, Flags::ACK, b"x", &Options::default());
        marked[1] |= 3;
        let sum = u16::from_be_bytes([marked[10], marked[11]]) - 3;
        marked[10..12].copy_from_slice(&sum.to_be_bytes());
        r.host.receive(r.now, Inbound::plain(&marked));
        r.seq += 1;
        assert_eq!(r.sent().len(), 1, "{feedback:?}");
        r.send(Flags::ACK, b"no more");
        let out = r.sent();
        assert!(out.len() == 1 && out[0].is(Flags::ECE) == held, "{feedback:?} {out:?}");
    }
}

/// No more wait than leave at once when they are let go.
#[test]
fn of_very_many_the_rest_leaves_at_once() {
    let (mut r, _) = awaited();
    let mut sent = 0;
    for _ in 0..100 {
        r.send(Flags::ACK | Flags::PSH, b"x");
        sent += r.sent().len();
        another(&mut r);
    }
    assert_eq!(sent, 36);
    assert!(r.host.release_acks());
    assert_eq!(r.sent().len(), 64);
}

#[test]
fn what_is_gone_is_not_acknowledged() {
    let (mut r, id) = awaited();
    r.send(Flags::ACK | Flags::PSH, b"x");
    assert!(r.sent().is_empty());
    let now = r.now;
    r.host.abort(id, now).unwrap();
    assert!(r.sent()[0].is(Flags::RST));
    r.host.release_acks();
    assert!(r.sent().is_empty());
}
