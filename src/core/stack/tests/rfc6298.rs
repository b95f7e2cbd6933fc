//! The retransmission timer (RFC 6298), on a connection.

use super::raw::{Raw, Sent};
use super::*;

fn raw() -> Raw {
    Raw::new(Config::default())
}

/// Lets time pass by the millisecond and notes when each segment left.
fn timed(r: &mut Raw, millis: u32) -> Vec<(Duration, Sent)> {
    let began = r.now;
    let mut all = Vec::new();
    for _ in 0..millis {
        for s in r.wait(Duration::from_millis(1)) {
            all.push((r.now.saturating_since(began), s));
        }
    }
    all
}

/// Not earlier than due, and later by a few ticks of `timed` at the most.
#[track_caller]
fn at(is: Duration, due: Duration) {
    assert!(is >= due && is <= due + Duration::from_millis(5), "{is:?}, due {due:?}");
}

//= https://www.rfc-editor.org/rfc/rfc6298#section-2
//= type=test
//= id=rfc6298-2-1
#[test]
fn a_syn_goes_again_after_one_second_then_two_then_four() {
    let mut r = raw();
    r.connect();
    let out = timed(&mut r, 8000);
    assert_eq!(out.len(), 3, "{out:?}");
    for ((is, syn), due) in out.iter().zip([1, 3, 7]) {
        assert!(syn.is(Flags::SYN));
        at(*is, Duration::from_secs(due));
    }
    let mut r = raw();
    r.listen(1);
    r.send(Flags::SYN, b"");
    r.sent();
    let out = timed(&mut r, 4000);
    assert_eq!(out.len(), 2, "{out:?}");
    at(out[0].0, Duration::from_secs(1));
    at(out[1].0, Duration::from_secs(3));
}

//= https://www.rfc-editor.org/rfc/rfc6298#section-5
//= type=test
//= id=rfc6298-5-2
#[test]
fn the_timer_runs_from_the_first_segment_and_starts_anew_with_each_new_acknowledgment() {
    let mut r = raw();
    let id = r.accepted();
    Arc::make_mut(&mut r.tcb(id).options).nodelay = true;
    r.write(id, b"first");
    let first = r.sent();
    let rto = r.tcb(id).rtt.rto();
    // (5.1): it runs already, so the second does not put it off.
    r.wait(rto / 2);
    r.write(id, b"second");
    let second = r.sent();
    assert!(timed(&mut r, rto.as_millis() as u32 / 2 - 2).is_empty());
    // (5.3): what acknowledges new data starts it anew.
    r.acknowledge(&first);
    let rto = r.tcb(id).rtt.rto();
    let again = timed(&mut r, rto.as_millis() as u32 + 5);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].1.text, b"second");
    at(again[0].0, rto);
    // (5.2): with all acknowledged it is off.
    r.acknowledge(&second);
    assert!(r.wait(Duration::from_secs(1000)).is_empty());
}

//= https://www.rfc-editor.org/rfc/rfc6298#section-5
//= type=test
//= id=rfc6298-5-1
#[test]
fn what_fast_retransmit_sent_again_has_a_whole_timeout() {
    let mut r = raw();
    let id = r.accepted();
    r.write(id, &[7; 4000]);
    r.sent();
    let rto = r.tcb(id).rtt.rto();
    assert!(r.wait(rto / 2).is_empty());
    for _ in 0..3 {
        r.send(Flags::ACK, b"");
    }
    assert_eq!(r.sent().len(), 1, "fast retransmit");
    let again = timed(&mut r, rto.as_millis() as u32 + 5);
    assert_eq!(again.len(), 1);
    at(again[0].0, rto);
}

//= https://www.rfc-editor.org/rfc/rfc6298#section-3
//= type=test
//= id=rfc6298-3-3
#[test]
fn each_round_trip_is_measured() {
    let mut r = raw();
    r.host.config_mut().tcp.slow_start_pacing = false;
    let id = r.accepted();
    for millis in [50, 400, 30, 900, 10] {
        let srtt = r.tcb(id).rtt.srtt();
        r.write(id, &[7; 3000]);
        let out = r.sent();
        assert!(out.len() >= 3);
        r.now += Duration::from_millis(millis);
        r.acknowledge(&out);
        assert_ne!(r.tcb(id).rtt.srtt(), srtt, "{millis} ms");
    }
}

/// Where no timestamp tells the round trip; where one does, it says better than a guess of three seconds.
//= https://www.rfc-editor.org/rfc/rfc6298#section-5
//= type=test
//= id=rfc6298-5-4
#[test]
fn a_connection_whose_syn_timed_out_begins_with_three_seconds() {
    let mut r = raw();
    let (id, _) = r.connect();
    assert_eq!(r.wait(Duration::from_millis(1500)).len(), 1);
    r.send(Flags::SYN | Flags::ACK, b"");
    r.sent();
    r.write(id, b"data");
    r.sent();
    let out = timed(&mut r, 3500);
    assert_eq!(out.len(), 1, "{out:?}");
    at(out[0].0, Duration::from_secs(3));

    let mut r = raw();
    let listener = r.listen(1);
    r.send(Flags::SYN, b"");
    r.sent();
    let again = r.wait(Duration::from_millis(1500));
    assert_eq!(again.len(), 1);
    r.ack = again[0].header.seq.get().wrapping_add(1);
    r.send(Flags::ACK, b"");
    let id = r.host.try_accept(listener).unwrap();
    r.write(id, b"data");
    r.sent();
    let out = timed(&mut r, 3500);
    assert_eq!(out.len(), 1, "{out:?}");
    at(out[0].0, Duration::from_secs(3));
}
