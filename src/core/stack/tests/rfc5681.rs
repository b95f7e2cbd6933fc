//! Congestion control and loss recovery (RFC 5681, RFC 6582), on a connection of segments of 1000 octets.

use super::raw::{Raw, Sent};
use super::*;
use crate::config::TcpConfig;
use crate::tcp::congestion::Algorithm;

const MSS: u32 = 1000;

fn raw() -> Raw {
    let tcp = TcpConfig { congestion: Algorithm::Reno, ..TcpConfig::default() };
    Raw::new(Config { tcp, ..Config::default() })
}

/// A duplicate ACK, and what it makes leave.
fn duplicate(r: &mut Raw) -> Vec<Sent> {
    r.send(Flags::ACK, b"");
    r.sent()
}

fn cwnd(r: &mut Raw, id: SocketId) -> u32 {
    r.tcb(id).congestion.cwnd()
}

/// A connection with much to send, its initial window of ten segments in flight.
fn busy() -> (Raw, SocketId, Vec<Sent>) {
    let mut r = raw();
    let id = r.accepted();
    r.write(id, &[7; 400_000]);
    let out = r.sent();
    assert_eq!(out.len(), 10);
    (r, id, out)
}

//= https://www.rfc-editor.org/rfc/rfc5681#section-2
//= type=test
//= id=rfc5681-2-1
//= https://www.rfc-editor.org/rfc/rfc9406#section-3
//= type=test
//= id=rfc9406-3-1
#[test]
fn neither_window_is_passed() {
    for window in [2500, 60_000] {
        let mut r = raw();
        r.window = window;
        let id = r.accepted();
        let now = r.now;
        r.host.try_write(id, &[7; 400_000], now).unwrap();
        for round in 0..20 {
            let limit = cwnd(&mut r, id).min(window.into());
            let una = r.ack;
            let out = r.sent();
            let end = |s: &Sent| s.header.seq.get().wrapping_sub(una) + s.text.len() as u32;
            assert!(out.iter().all(|s| end(s) <= limit), "{round}: {limit}");
            r.acknowledge(&out);
        }
        assert!(window == 2500 || cwnd(&mut r, id) > 20 * MSS);
    }
}

//= https://www.rfc-editor.org/rfc/rfc5681#section-3.1
//= type=test
//= id=rfc5681-3.1-4
#[test]
fn the_handshake_opens_no_window() {
    let mut r = raw();
    let id = r.accepted();
    assert_eq!(cwnd(&mut r, id), 10 * MSS);
    let mut r = raw();
    let (id, _) = r.connect();
    r.send(Flags::SYN | Flags::ACK, b"");
    r.sent();
    assert_eq!(cwnd(&mut r, id), 10 * MSS);
}

/// RFC 6928 §2: a SYN that was lost twice leaves one segment.
#[test]
fn a_handshake_under_loss_begins_with_one_segment() {
    for (lost, segments) in [(1, 10), (2, 1)] {
        let mut r = raw();
        let (id, _) = r.connect();
        for _ in 0..lost {
            while r.sent().is_empty() {
                r.now += Duration::from_millis(100);
            }
        }
        r.send(Flags::SYN | Flags::ACK, b"");
        r.sent();
        assert_eq!(cwnd(&mut r, id), segments * MSS, "{lost}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
//= type=test
//= id=rfc5681-3.2-3, rfc5681-3.2-4, rfc5681-3.2-5, rfc5681-3.2-7, rfc5681-3.2-8, rfc5681-3.2-9, rfc5681-3.2-10
//= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
//= type=test
//= id=rfc5681-3.2-11, rfc5681-3.2-12
//= https://www.rfc-editor.org/rfc/rfc5681#section-4.3
//= type=test
//= id=rfc5681-4.3-1, rfc5681-4.3-2, rfc5681-4.3-3
//= https://www.rfc-editor.org/rfc/rfc6582#section-6
//= type=test
//= id=rfc6582-6-3
#[test]
fn fast_retransmit_and_fast_recovery_step_by_step() {
    let (mut r, id, out) = busy();
    let una = r.ack;
    // Step 1: limited transmit, one new segment for each of the first two.
    for n in 0..2 {
        let new = duplicate(&mut r);
        assert_eq!(new.len(), 1);
        assert_eq!(new[0].header.seq.get(), una.wrapping_add((10 + n) * MSS));
        assert_eq!(cwnd(&mut r, id), 10 * MSS);
    }
    // Steps 2 and 3: half of the ten, not of the twelve; the lost segment, whatever the window.
    let again = duplicate(&mut r);
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!((again[0].header.seq.get(), again[0].text.len()), (una, 1000));
    let tcb = r.tcb(id);
    assert_eq!((tcb.congestion.ssthresh(), tcb.variables().cwnd), (5 * MSS, 8 * MSS));
    // Steps 4 and 5: each further one is a segment that has left; new data as soon as the window has room.
    let mut new = 0;
    for n in 1..=8 {
        let out = duplicate(&mut r);
        assert!(out.iter().all(|s| s.header.seq.get() == una.wrapping_add((12 + new) * MSS)), "{out:?}");
        new += out.len() as u32;
        assert_eq!(r.tcb(id).variables().cwnd, (8 + n) * MSS);
        assert_eq!(new, n.saturating_sub(4), "in flight 12, allowed {}", 8 + n);
    }
    assert!(new < 10 / 2, "no more in this round trip than half of what was outstanding");
    // Step 6: the ACK of all that was outstanding; it opens the window no further.
    r.ack = una.wrapping_add(12 * MSS);
    r.send(Flags::ACK, b"");
    assert_eq!((cwnd(&mut r, id), r.tcb(id).variables().cwnd), (5 * MSS, 5 * MSS));
    let out2 = r.sent();
    assert_eq!(cwnd(&mut r, id), 5 * MSS);
    // Congestion avoidance goes on from there: a window is worth one segment.
    let flight = out2.len() as u32 + new;
    assert_eq!(flight, 5);
    for n in 1..=5 {
        r.ack = una.wrapping_add((12 + n) * MSS);
        r.send(Flags::ACK, b"");
        assert_eq!(cwnd(&mut r, id), if n < 5 { 5 * MSS } else { 6 * MSS }, "{n}");
        r.sent();
    }
    assert_eq!(out.len(), 10);
}

/// The retransmission is lost too: a second sign of congestion, though what duplicates let out has made more
/// outstanding than there was room for. So it is where the timer finds it (§4.3); what RACK finds in fast recovery lowers
/// nothing more, see the exceptions.
#[test]
fn a_lost_retransmission_lowers_the_windows_again() {
    let (mut r, id, _) = busy();
    for _ in 0..11 {
        duplicate(&mut r);
    }
    let before = r.tcb(id).congestion.ssthresh();
    assert_eq!((before, cwnd(&mut r, id)), (5 * MSS, 5 * MSS));
    let mut again = Vec::new();
    while again.is_empty() {
        again = r.wait(Duration::from_millis(10));
    }
    assert_eq!(again[0].header.seq.get(), r.ack);
    let tcb = r.tcb(id);
    assert_eq!(tcb.congestion.cwnd(), MSS);
    assert!(tcb.congestion.ssthresh() < before, "{}", tcb.congestion.ssthresh());
}

/// Two windows in a row with a loss in each (§4.3).
#[test]
fn losses_in_two_windows_halve_twice() {
    let (mut r, id, _) = busy();
    let una = r.ack;
    for _ in 0..11 {
        duplicate(&mut r);
    }
    r.ack = una.wrapping_add(12 * MSS);
    r.send(Flags::ACK, b"");
    r.sent();
    assert_eq!(cwnd(&mut r, id), 5 * MSS);
    r.ack = r.ack.wrapping_add(MSS);
    r.send(Flags::ACK, b"");
    r.sent();
    for _ in 0..3 {
        duplicate(&mut r);
    }
    let tcb = r.tcb(id);
    assert_eq!((tcb.congestion.cwnd(), tcb.congestion.ssthresh()), (2500, 2500));
}

//= https://www.rfc-editor.org/rfc/rfc5681#section-4.1
//= type=test
//= id=rfc5681-4.1-1
#[test]
fn after_a_silence_the_window_is_the_initial_one() {
    let mut r = raw();
    let id = r.accepted();
    for _ in 0..5 {
        r.write(id, &[7; 20_000]);
        for _ in 0..20 {
            let out = r.sent();
            r.acknowledge(&out);
        }
    }
    assert!(cwnd(&mut r, id) > 10 * MSS);
    r.wait(Duration::from_secs(10));
    r.write(id, &[7; 40_000]);
    assert_eq!(r.sent().len(), 10);
}

//= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
//= type=test
//= id=rfc5681-4.2-8
#[test]
fn one_segment_is_worth_one_ack_at_the_most() {
    let mut r = raw();
    r.accepted();
    let (seq, ack) = (r.seq, r.ack);
    let mut acks = 0;
    // In order, beyond a gap, twice, old, filling the gap.
    for at in [0u32, 1, 2, 2, 4, 5, 6, 6, 4, 0, 3, 1, 9, 7, 8, 8, 10, 11, 12] {
        r.inject(seq + at * MSS, ack, Flags::ACK, &[7; 1000], &Default::default());
        let out = r.sent();
        assert!(out.len() <= 1, "{at}: {out:?}");
        acks += out.len();
    }
    acks += r.wait(Duration::from_secs(1)).len();
    assert!(acks <= 19);
}
