//! Clauses of RFC 9293 outside SEGMENT ARRIVES, each as plainly as it can be shown.

use super::raw::{Raw, Sent};
use super::*;
use crate::sockopt::SocketOptions;
use crate::wire::options::Options;

fn raw() -> Raw {
    Raw::new(Config::default())
}

fn with_options(r: &mut Raw, id: SocketId, change: impl FnOnce(&mut SocketOptions)) {
    let mut options = r.host.options(id).unwrap();
    change(&mut options);
    let now = r.now;
    r.host.set_options(id, options, now).unwrap();
}

/// Lets time pass and notes when each segment left.
fn timed(r: &mut Raw, step: Duration, steps: u32) -> Vec<(Duration, Sent)> {
    let began = r.now;
    let mut all = Vec::new();
    for _ in 0..steps {
        for s in r.wait(step) {
            all.push((r.now.saturating_since(began), s));
        }
    }
    all
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.4
//= type=test
//= id=SHLD-7, MUST-17
#[test]
fn nagle_waits_until_it_is_told_not_to() {
    for nodelay in [false, true] {
        let mut r = raw();
        let id = r.accepted();
        with_options(&mut r, id, |o| o.nodelay = nodelay);
        r.write(id, b"first");
        assert_eq!(r.sent().len(), 1, "idle: at once");
        r.write(id, b"second");
        let out = r.sent();
        assert_eq!(out.len(), usize::from(nodelay), "{out:?}");
        r.write(id, &[7; 995]);
        assert!(!r.sent().is_empty(), "a full segment leaves");
    }
}

/// It asks for no turn, unless it lets something go or concerns a timer.
#[test]
fn an_option_that_says_nothing_of_what_leaves() {
    let mut r = raw();
    let id = r.accepted();
    r.sent();
    let turns = |r: &mut Raw, change: &dyn Fn(&mut SocketOptions)| {
        with_options(r, id, change);
        let asked = r.host.may_transmit();
        r.sent();
        asked
    };
    assert!(!turns(&mut r, &|o| o.nodelay = true));
    assert!(!turns(&mut r, &|o| o.linger = Some(Duration::from_secs(1))));
    assert!(r.host.options(id).unwrap().nodelay);
    assert!(turns(&mut r, &|o| o.keepalive = true));
    assert!(turns(&mut r, &|o| (o.nodelay, o.receive_buffer) = (false, 500_000)));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.3
//= type=test
//= id=SHLD-19, SHLD-18, MUST-40
//= https://www.rfc-editor.org/rfc/rfc5681#section-4.2
//= type=test
//= id=rfc5681-4.2-1, rfc5681-4.2-2, rfc5681-4.2-3, rfc5681-4.2-4
#[test]
fn every_second_full_segment_is_acknowledged_and_none_waits_half_a_second() {
    let mut r = raw();
    let id = r.accepted();
    while r.tcb(id).acks.is_quick() {
        r.send(Flags::ACK, &[7; 1000]);
        r.sent();
    }
    let mut acks = 0;
    for _ in 0..10 {
        r.send(Flags::ACK, &[7; 1000]);
        acks += r.sent().len();
    }
    assert_eq!(acks, 5);
    r.wait(Duration::from_secs(1));
    r.send(Flags::ACK, b"alone");
    assert!(r.sent().is_empty(), "delayed");
    let out = r.wait(Duration::from_millis(499));
    assert_eq!((out.len(), out[0].header.ack.get()), (1, r.seq));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
//= type=test
//= id=MUST-58, MUST-59
#[test]
fn segments_that_come_together_have_one_ack() {
    let mut r = raw();
    r.accepted();
    for _ in 0..7 {
        r.send(Flags::ACK, &[7; 1000]);
    }
    let out = r.sent();
    assert_eq!((out.len(), out[0].header.ack.get()), (1, r.seq));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
//= type=test
//= id=MUST-25, MUST-28
#[test]
fn keepalive_is_off_until_asked_for() {
    assert!(Config::default().tcp.keepalive_time >= Duration::from_secs(7200));
    let mut r = raw();
    let id = r.accepted();
    assert!(!r.host.options(id).unwrap().keepalive);
    assert!(r.wait(Duration::from_secs(100_000)).is_empty());
    assert_eq!(r.state(id), State::Established);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
//= type=test
//= id=MUST-24, MAY-5, MUST-26, MUST-27, MUST-29, SHLD-12
#[test]
fn keepalive_probes_an_idle_peer_and_only_a_row_of_silence_ends_it() {
    let mut r = raw();
    let id = r.accepted();
    with_options(&mut r, id, |o| {
        o.keepalive = true;
        o.keepalive_time = Duration::from_secs(100);
        o.keepalive_interval = Duration::from_secs(10);
        o.keepalive_probes = 3;
    });
    // What is heard puts it off.
    r.wait(Duration::from_secs(90));
    r.send(Flags::ACK, b"");
    assert!(r.wait(Duration::from_secs(99)).is_empty());
    let out = timed(&mut r, Duration::from_secs(1), 25);
    assert_eq!(out.len(), 3, "{out:?}");
    assert!(out.iter().all(|(_, s)| s.text.is_empty() && s.header.seq.get() == r.ack.wrapping_sub(1)));
    assert_eq!(r.state(id), State::Established, "two unanswered prove nothing");
    r.send(Flags::ACK, b"");
    assert!(r.wait(Duration::from_secs(99)).is_empty(), "an answer starts it anew");
    r.wait(Duration::from_secs(40));
    assert_eq!(r.state(id), State::Closed);
    assert_eq!(r.host.take_error(id), Some(Error::TimedOut));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
//= type=test
//= id=SHLD-29, SHLD-30, MUST-36
#[test]
fn the_first_probe_waits_one_rto_and_each_next_twice_as_long() {
    let mut r = raw();
    let id = r.accepted();
    r.window = 0;
    r.send(Flags::ACK, b"");
    let rto = r.tcb(id).rtt.rto();
    r.write(id, b"waits");
    assert!(r.sent().is_empty());
    let out = timed(&mut r, Duration::from_millis(1), 20_000);
    let mut due = Duration::ZERO;
    for (i, (at, probe)) in out.iter().take(4).enumerate() {
        due += rto.saturating_mul(1 << i);
        assert_eq!(probe.text, b"w");
        assert!(*at >= due && *at <= due + Duration::from_millis(2 + i as u64), "{i}: {at:?} {due:?}");
    }
    assert!(out.len() >= 4);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.2
//= type=test
//= id=MUST-65
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
//= type=test
//= id=MUST-14, SHLD-5, MAY-3, MUST-67, MUST-16
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.3.3
//= type=test
//= id=rfc1122-3.3.3-4
#[test]
fn the_mss_option_is_on_syns_alone_and_is_what_the_link_leaves() {
    for (mtu, mss) in [(1500, 1460), (576, 536), (9000, 8960)] {
        let mut r = Raw::new(Config { mtu, ..Config::default() });
        let (id, syn) = r.connect();
        assert_eq!(syn.options.mss, Some(mss));
        r.send(Flags::SYN | Flags::ACK, b"");
        r.write(id, &[7; 3000]);
        let out = r.sent();
        assert!(!out.is_empty() && out.iter().all(|s| s.options.mss.is_none()));
        assert!(out.iter().all(|s| s.text.len() <= usize::from(mss.min(1000))), "the smaller of both");
        let mut r = Raw::new(Config { mtu, ..Config::default() });
        r.listen(1);
        r.send(Flags::SYN, b"");
        assert_eq!(r.sent()[0].options.mss, Some(mss));
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
//= type=test
//= id=MUST-15
#[test]
fn a_peer_without_the_mss_option_gets_536() {
    let mut r = raw();
    r.syn = Options::default();
    let id = r.accepted();
    r.write(id, &[7; 3000]);
    let out = r.sent();
    assert!(out.len() > 1 && out.iter().all(|s| s.text.len() <= 536), "{out:?}");
    assert_eq!(out[0].text.len(), 536);
}

#[test]
fn options_leave_room_in_the_segment() {
    let mut r = raw();
    r.clock = Some(1);
    let id = r.accepted();
    r.write(id, &[7; 3000]);
    assert_eq!(r.sent()[0].text.len(), 1000 - 12, "timestamps take 12 octets of each segment");
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
//= type=test
//= id=MUST-1
#[test]
fn a_window_of_more_than_half_the_field_is_not_negative() {
    let mut r = raw();
    r.window = 65_535;
    let id = r.accepted();
    assert_eq!(r.tcb(id).snd.wnd, 65_535);
    for _ in 0..20 {
        let now = r.now;
        let _ = r.host.try_write(id, &[7; 60_000], now);
        let out = r.sent();
        r.acknowledge(&out);
    }
    let in_flight: usize = r.sent().iter().map(|s| s.text.len()).sum();
    assert!(in_flight <= 65_535);
    assert!(r.ack.wrapping_sub(r.tcb(id).snd.iss.get()) > 100_000);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.2
//= type=test
//= id=MUST-61
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.2
//= type=test
//= id=SHLD-28
#[test]
fn a_push_stands_on_the_last_of_what_is_buffered() {
    let mut r = raw();
    let id = r.accepted();
    r.write(id, &[7; 2500]);
    Arc::make_mut(&mut r.tcb(id).options).nodelay = true;
    let out = r.sent();
    assert_eq!(out.iter().map(|s| s.text.len()).collect::<Vec<_>>(), [1000, 1000, 500]);
    assert!(out[2].is(Flags::PSH), "{out:?}");
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.8
//= type=test
//= id=STEP-3.10.8-2
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
//= type=test
//= id=MUST-21, SHLD-11
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.8
//= type=test
//= id=STEP-3.10.8-1
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
//= type=test
//= id=MUST-20
#[test]
fn an_unanswered_segment_ends_the_connection_after_r2() {
    for limit in [None, Some(Duration::from_secs(7))] {
        let mut r = raw();
        let id = r.accepted();
        with_options(&mut r, id, |o| o.user_timeout = limit);
        r.write(id, b"lost");
        let began = r.now;
        let mut sent = Vec::new();
        while r.state(id) != State::Closed {
            sent.extend(r.wait(Duration::from_millis(100)));
            assert!(r.now.saturating_since(began) < Duration::from_secs(3000));
        }
        let waited = r.now.saturating_since(began);
        assert!(
            sent.len() > 2 && sent.iter().all(|s| s.text == b"lost"),
            "the front of the queue, each time"
        );
        match limit {
            None => assert!(waited >= Duration::from_secs(100), "{waited:?}"),
            Some(limit) => assert!(waited <= limit + Duration::from_millis(200), "{waited:?}"),
        }
        assert_eq!(r.host.take_error(id), Some(Error::TimedOut));
        assert_eq!(r.wait(Duration::from_secs(1000)).len(), 0);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.2
//= type=test
//= id=MUST-19
//= https://www.rfc-editor.org/rfc/rfc6298#section-5
//= type=test
//= id=rfc6298-5-1, rfc6298-5-3
//= https://www.rfc-editor.org/rfc/rfc6298#section-1
//= type=test
//= id=rfc6298-1-1
#[test]
fn retransmissions_are_spaced_twice_as_far_each_time() {
    let mut r = raw();
    let id = r.accepted();
    r.write(id, b"lost");
    r.sent();
    let rto = r.tcb(id).rtt.rto();
    let out = timed(&mut r, Duration::from_millis(1), 10_000);
    let mut due = Duration::ZERO;
    for (i, (at, _)) in out.iter().take(3).enumerate() {
        due += rto.saturating_mul(1 << i);
        assert!(*at >= due && *at <= due + Duration::from_millis(2 + i as u64), "{i}: {at:?} {due:?}");
    }
    assert!(out.len() >= 3);
}

/// Karn: the ACK of what was sent twice says nothing about the round trip.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.1
//= type=test
//= id=MUST-18
//= https://www.rfc-editor.org/rfc/rfc6298#section-3
//= type=test
//= id=rfc6298-3-1, rfc6298-3-2
#[test]
fn what_was_sent_twice_is_not_timed() {
    let mut r = raw();
    let id = r.accepted();
    let srtt = r.tcb(id).rtt.srtt();
    r.write(id, b"lost");
    r.sent();
    let again = r.wait(Duration::from_secs(1));
    assert!(!again.is_empty());
    r.acknowledge(&again);
    assert_eq!(r.tcb(id).rtt.srtt(), srtt);
    r.write(id, b"not lost");
    let out = r.sent();
    r.now += Duration::from_millis(300);
    r.acknowledge(&out);
    assert_ne!(r.tcb(id).rtt.srtt(), srtt);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.9
//= type=test
//= id=MUST-48, SHLD-21, SHLD-22
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2
//= type=test
//= id=MUST-49
#[test]
fn the_traffic_class_and_the_hop_limit_are_the_programs() {
    let mut r = raw();
    let id = r.accepted();
    let mut seen = Vec::new();
    for (class, hops) in [(0xb8, 7), (0x10, 99)] {
        with_options(&mut r, id, |o| {
            o.traffic_class = class;
            o.hop_limit = hops;
        });
        r.write(id, b"x");
        let now = r.now;
        drive(
            &mut r.host,
            now,
            |d| {
                let mut packet = vec![0; d.len()];
                d.copy_to(&mut packet).unwrap();
                seen.push((packet[1], packet[8]));
            },
            |_| {},
        );
        r.ack = r.ack.wrapping_add(1);
        r.send(Flags::ACK, b"");
    }
    assert_eq!(seen, [(0xb8, 7), (0x10, 99)]);
}
