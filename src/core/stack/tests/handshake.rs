//! Handshakes that go another way than usual.

use super::raw::Raw;
use super::*;

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
