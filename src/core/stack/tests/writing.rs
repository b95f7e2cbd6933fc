//! Writes that announce more, and what a connection says of what it holds and has done.

use super::raw::Raw;
use super::*;

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.2
//= type=test
//= id=MAY-16
#[test]
fn more_to_come_waits_for_it() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    let now = r.now;
    assert_eq!(r.host.try_write_more(id, b"head", true, now), Ok(4));
    assert!(r.sent().is_empty());
    assert_eq!((r.host.unsent(id), r.host.unacknowledged(id)), (Ok(4), Ok(4)));
    assert_eq!(r.host.try_write_more(id, b" body", false, now), Ok(5));
    let out = r.sent();
    assert_eq!((out.len(), &out[0].text[..]), (1, &b"head body"[..]));
    assert_eq!((r.host.unsent(id), r.host.unacknowledged(id)), (Ok(0), Ok(9)));
    r.acknowledge(&out);
    assert_eq!(r.host.unacknowledged(id), Ok(0));
}

/// A full segment does not wait, and the rest not for ever.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.2
//= type=test
//= id=MUST-60
#[test]
fn more_that_never_comes() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    let now = r.now;
    assert_eq!(r.host.try_write_more(id, &[1; 1500], true, now), Ok(1500));
    let out = r.sent();
    assert_eq!((out.len(), out[0].text.len()), (1, 1000));
    assert!(r.wait(Duration::from_millis(40)).is_empty());
    r.acknowledge(&out);
    let out = r.sent();
    assert_eq!((out.len(), out[0].text.len()), (1, 500), "an ACK ends the wait");
    assert!(!out[0].is(Flags::PSH), "nothing was pushed");
    r.acknowledge(&out);
    let now = r.now;
    r.host.try_write_more(id, &[1; 300], true, now).unwrap();
    assert!(r.wait(Duration::from_millis(150)).is_empty());
    let out = r.wait(Duration::from_millis(100));
    assert_eq!((out.len(), out[0].text.len()), (1, 300));
    assert!(out[0].is(Flags::PSH), "the timer pushes");
    let now = r.now;
    r.acknowledge(&out);
    r.host.try_write_more(id, b"last", true, now).unwrap();
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    let out = r.sent();
    assert!(out.len() == 1 && out[0].is(Flags::FIN) && out[0].text == b"last", "an end needs no more");
}

/// In Linux a write of nothing gives 0 where a connection stands, with room or without.
#[test]
fn nothing_to_write() {
    let mut r = Raw::new(Config::default());
    r.window = 0;
    let id = r.accepted();
    let now = r.now;
    let all = vec![0; 1 << 23];
    assert!(r.host.try_write(id, &all, now).is_ok());
    assert_eq!(r.host.try_write(id, b"x", now), Err(Error::WouldBlock));
    assert_eq!(r.host.try_write(id, b"", now), Ok(0));
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    assert_eq!(r.host.try_write(id, b"", now), Err(Error::BrokenPipe));
    let (connecting, _) = r.connect();
    assert_eq!(r.host.try_write(connecting, b"", now), Err(Error::WouldBlock));
}

#[test]
fn queues_of_sockets_without_a_connection() {
    let mut r = Raw::new(Config::default());
    let (l, fresh) = (r.listen(1), r.host.tcp_socket(Family::V4));
    assert_eq!((r.host.unread(l), r.host.unsent(l)), (Err(Error::Invalid), Err(Error::Invalid)));
    assert_eq!(r.host.unacknowledged(l), Err(Error::Invalid));
    assert_eq!(
        (r.host.unread(fresh), r.host.unsent(fresh), r.host.unacknowledged(fresh)),
        (Ok(0), Ok(0), Ok(0))
    );
    let (connecting, _) = r.connect();
    assert_eq!((r.host.unsent(connecting), r.host.unacknowledged(connecting)), (Ok(0), Ok(0)));
}

#[test]
fn a_connection_counts() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    let before = r.host.tcp_info(id).unwrap();
    assert_eq!((before.tally.octets_acked, before.tally.octets_sent), (0, 0));
    r.write(id, &[1; 2500]);
    let now = r.now;
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    let mut out = r.sent();
    let info = r.host.tcp_info(id).unwrap();
    assert_eq!(info.unacked_segments, 3);
    // The first is lost.
    let again = r.wait(Duration::from_secs(2));
    assert!(!again.is_empty());
    let seen = r.host.tcp_info(id).unwrap();
    assert!(seen.backoffs > 0 && seen.timeouts > 0, "{seen:?}");
    out.extend(again.clone());
    r.acknowledge(&out);
    r.send(Flags::ACK, b"hello");
    r.now += Duration::from_millis(70);
    let info = r.host.tcp_info(id).unwrap();
    let t = info.tally;
    let resent: usize = again.iter().map(|s| s.text.len()).sum();
    assert_eq!((t.octets_acked, t.octets_received), (2500, 5));
    assert_eq!((t.octets_sent, t.octets_resent), ((2500 + resent) as u64, resent as u64));
    assert_eq!((t.data_in, t.resent as usize), (1, again.len()));
    assert_eq!(t.data_out as usize, 3 + again.iter().filter(|s| !s.text.is_empty()).count());
    assert_eq!(t.since_data_in(r.now), 70);
    assert_eq!((info.path_mtu, info.mss_offered, info.unsent), (1040, 1460, 0));
    assert_eq!(info.last_heard + Duration::from_millis(70), r.now);
}
