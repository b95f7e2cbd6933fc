//! Acknowledgments that wait for what the program sends for what it is told, where it is given time for that.

use super::raw::Raw;
use super::*;
use crate::config::TcpConfig;
use crate::tcp::state::State;

const TIME: Duration = Duration::from_millis(1);
/// What a timer may be late.
const TICK: Duration = Duration::from_micros(64);

fn accepted(reply_time: Duration) -> (Raw, SocketId) {
    let tcp = TcpConfig { reply_time: Some(reply_time), ..TcpConfig::default() };
    let mut r = Raw::new(Config { tcp, ..Config::default() });
    let id = r.accepted();
    (r, id)
}

/// A request on a fresh connection, its reply, and the end of both: a segment each.
#[test]
fn request_and_end_are_acknowledged_with_the_reply_and_with_the_end() {
    let (mut r, id) = accepted(TIME);
    r.send(Flags::ACK | Flags::PSH, b"asked");
    assert!(r.sent().is_empty());
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
    assert!(r.wait(TIME * 3).is_empty(), "nothing is owed any more");
}

/// Who says nothing has acknowledged when the time is over, and not before.
#[test]
fn without_a_reply_they_leave_when_the_time_is_over() {
    for flags in [Flags::PSH, Flags::FIN] {
        let (mut r, _) = accepted(TIME);
        r.send(Flags::ACK | flags, b"x");
        assert!(r.sent().is_empty());
        assert!(r.wait(TIME - Duration::from_micros(1)).is_empty());
        let out = r.wait(Duration::from_micros(1) + TICK);
        assert_eq!((out.len(), out[0].header.ack.get()), (1, r.seq), "{flags:?}");
        assert!(out[0].text.is_empty());
        assert!(r.wait(TIME * 100).is_empty());
    }
}

/// A FIN behind what may wait 40 ms does not wait so long.
#[test]
fn the_shorter_time_counts() {
    let (mut r, id) = accepted(TIME);
    r.send(Flags::ACK | Flags::PSH, b"asked");
    r.write(id, b"reply");
    let reply = r.sent();
    r.acknowledge(&reply);
    r.send(Flags::ACK | Flags::PSH, b"asked");
    assert!(r.wait(TIME * 2).is_empty(), "it goes with replies");
    r.send(Flags::ACK | Flags::FIN, b"");
    assert_eq!(r.wait(TIME + TICK).len(), 1);
}

/// No longer than any other acknowledgment.
#[test]
fn no_longer_than_a_delayed_acknowledgment() {
    let (mut r, _) = accepted(Duration::from_secs(10));
    r.send(Flags::ACK | Flags::FIN, b"");
    assert_eq!(r.wait(Duration::from_millis(40) + TICK).len(), 1);
}

/// Every second full segment, what the program wants at once, what closes both directions, and what nobody will reply to.
#[test]
fn what_has_to_leave_at_once_does() {
    let (mut r, _) = accepted(TIME);
    r.send(Flags::ACK, &[0; 1000]);
    assert!(r.sent().is_empty());
    r.send(Flags::ACK, &[0; 1000]);
    assert_eq!(r.sent().len(), 1);

    for (flags, text) in [(Flags::PSH, &b"x"[..]), (Flags::FIN, b"")] {
        let (mut r, id) = accepted(TIME);
        let now = r.now;
        r.host.set_quick_acks(id, true, now).unwrap();
        r.send(Flags::ACK | flags, text);
        assert_eq!(r.sent().len(), 1, "{flags:?}");
    }

    for shut in [false, true] {
        let (mut r, id) = accepted(TIME);
        let now = r.now;
        if shut {
            r.host.shutdown(id, Shutdown::Write, now).unwrap();
        } else {
            r.host.close(id, now).unwrap();
        }
        let fin = r.sent();
        assert!(fin[0].is(Flags::FIN));
        r.acknowledge(&fin);
        r.send(Flags::ACK | Flags::FIN, b"");
        assert_eq!(r.sent().len(), 1);
    }

    let (mut r, _) = accepted(Duration::ZERO);
    r.send(Flags::ACK | Flags::FIN, b"x");
    assert_eq!(r.sent().len(), 1);
}
