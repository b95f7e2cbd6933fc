//! Clauses of RFC 7323: the window scale option, the timestamps option, and PAWS.

use super::raw::{Raw, Sent};
use super::*;
use crate::seq::Seq;
use crate::wire::options::{Options, Timestamps};

fn raw() -> Raw {
    Raw::new(Config::default())
}

/// A peer that scales its windows so far.
fn scaling(shift: u8) -> Raw {
    let mut r = raw();
    r.syn.window_scale = Some(shift);
    r
}

/// A peer with timestamps, at this TSval.
fn stamping(value: u32) -> Raw {
    let mut r = raw();
    r.clock = Some(value);
    r
}

fn stamped(value: u32, echo: u32) -> Options {
    Options { timestamps: Some(Timestamps { value, echo }), ..Options::default() }
}

fn echo(sent: &Sent) -> u32 {
    sent.options.timestamps.unwrap().echo
}

fn read(r: &mut Raw, id: SocketId) -> Result<Vec<u8>, Error> {
    let mut buf = [0; 100];
    r.host.try_read(id, &mut buf).map(|n| buf[..n].to_vec())
}

fn with_buffer(receive_buffer: u32) -> Config {
    let config = Config::default();
    let tcp = crate::config::TcpConfig { receive_buffer, receive_buffer_max: 0, ..config.tcp };
    Config { tcp, ..config }
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
//= type=test
//= id=rfc7323-2.2-1
//= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
//= type=test
//= id=rfc7323-2.3-1, rfc7323-2.3-2
#[test]
fn the_scale_is_offered_even_where_it_is_nothing() {
    for (buffer, shift) in [(30_000, 0), (65_536, 1), (1 << 20, 5), (u32::MAX, 14)] {
        let mut r = Raw::new(with_buffer(buffer));
        let (_, syn) = r.connect();
        assert_eq!(syn.options.window_scale, Some(shift));
        let mut r = Raw::new(with_buffer(buffer));
        r.syn.window_scale = Some(3);
        r.listen(1);
        r.send(Flags::SYN, b"");
        assert_eq!(r.sent()[0].options.window_scale, Some(shift));
    }
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
//= type=test
//= id=rfc7323-2.2-2, rfc7323-2.2-4
//= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
//= type=test
//= id=rfc7323-2.3-3, rfc7323-2.3-4, rfc7323-2.3-5, rfc7323-2.3-6, rfc7323-2.3-7
#[test]
fn windows_are_scaled_when_both_syns_say_so_and_never_on_a_syn() {
    for theirs in [None, Some(0), Some(7), Some(14), Some(15), Some(255)] {
        for active in [true, false] {
            let mut r = Raw::new(with_buffer(1 << 20));
            r.syn.window_scale = theirs;
            let (id, syn) = if active {
                let (id, syn) = r.connect();
                r.send(Flags::SYN | Flags::ACK, b"");
                assert_eq!(r.tcb(id).snd.wnd, 60_000, "on a SYN as it stands");
                r.sent();
                (id, syn)
            } else {
                let listener = r.listen(1);
                r.send(Flags::SYN, b"");
                let syn = r.sent().remove(0);
                assert_eq!(syn.options.window_scale.is_some(), theirs.is_some());
                r.ack = syn.header.seq.get().wrapping_add(1);
                r.send(Flags::ACK, b"");
                (r.host.try_accept(listener).unwrap(), syn)
            };
            assert_eq!(syn.header.window, 0xffff, "ours is larger than a SYN can tell");
            r.send(Flags::ACK, b"data");
            let out = r.sent();
            let tcb = r.tcb(id);
            let (snd, rcv) = theirs.map_or((0, 0), |shift| (shift.min(14), 5));
            assert_eq!((tcb.snd.scale.shift(), tcb.rcv.scale.shift()), (snd, rcv), "{theirs:?}");
            assert_eq!(tcb.snd.wnd, 60_000 << snd, "{theirs:?}");
            assert_eq!(u32::from(out[0].header.window) << rcv, tcb.rcv.wnd & (u32::MAX << rcv));
            let bad = u64::from(theirs.is_some_and(|shift| shift > 14));
            assert_eq!(r.host.counters().tcp_in_bad_options, bad, "{theirs:?}");
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
//= type=test
//= id=rfc7323-2.2-3
#[test]
fn a_scale_after_the_syn_is_ignored() {
    let mut r = scaling(2);
    let id = r.accepted();
    let late = Options { window_scale: Some(9), ..Options::default() };
    r.inject(r.seq, r.ack, Flags::ACK, b"x", &late);
    assert_eq!((r.tcb(id).snd.scale.shift(), r.tcb(id).snd.wnd), (2, 240_000));
    let mut r = raw();
    let id = r.accepted();
    r.inject(r.seq, r.ack, Flags::ACK, b"x", &late);
    assert_eq!((r.tcb(id).snd.scale.shift(), r.tcb(id).rcv.scale.shift()), (0, 0));
}

/// What an odd amount of unread text rounds off the field is not taken from what was promised.
//= https://www.rfc-editor.org/rfc/rfc7323#section-2.4
//= type=test
//= id=rfc7323-2.4-2, rfc7323-2.4-3
#[test]
fn what_any_ack_offered_is_still_taken() {
    let mut r = Raw::new(with_buffer(1 << 20));
    r.syn.window_scale = Some(0);
    let id = r.accepted();
    let mut edge = Seq::new(r.seq);
    for n in 0..2000 {
        r.send(Flags::ACK, &vec![7; 333 + n % 2]);
        for s in r.sent() {
            let offered = s.header.ack.add(u32::from(s.header.window) << 5);
            edge = edge.max(offered);
        }
        assert!(r.tcb(id).rcv.edge().at_or_after(edge), "after {n}");
    }
    let held = r.host.counters().tcp_ofo_queue;
    r.inject(edge.get().wrapping_sub(1), r.ack, Flags::ACK, b"!", &Options::default());
    assert_eq!(r.host.counters().tcp_ofo_queue, held + 1, "the last octet ever offered");
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-2.4
//= type=test
//= id=rfc7323-2.4-4
#[test]
fn new_data_stays_inside_the_window_of_the_latest_ack() {
    let mut r = raw();
    let id = r.accepted();
    r.write(id, &[7; 30_000]);
    let first = r.sent();
    assert_eq!(first.len(), 10);
    // Acknowledged and shrunk: less may leave now than was offered before.
    r.window = 1500;
    r.acknowledge(&first);
    let edge = Seq::new(r.ack).add(1500);
    let out = r.wait(Duration::from_millis(900));
    assert!(!out.is_empty());
    assert!(out.iter().all(|s| s.header.seq.add(s.text.len() as u32).at_or_before(edge)), "{out:?}");
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
//= type=test
//= id=rfc7323-3.2-1, rfc7323-3.2-2, rfc7323-3.2-5, rfc7323-3.2-6
#[test]
fn a_syn_echoes_nothing_and_later_segments_what_came() {
    let mut r = stamping(77);
    let (id, syn) = r.connect();
    assert_eq!(echo(&syn), 0, "no ACK, nothing to echo");
    r.send(Flags::SYN | Flags::ACK, b"");
    let out = r.sent();
    assert_eq!(echo(&out[0]), 77);
    assert!(r.tcb(id).timestamps.enabled());
    r.clock = Some(80);
    r.send(Flags::ACK, b"data");
    r.write(id, &[7; 1500]);
    let now = r.now;
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    let out = r.wait(Duration::from_secs(5));
    assert!(out.len() > 3 && out.iter().any(|s| s.is(Flags::FIN)), "{out:?}");
    assert!(out.iter().all(|s| echo(s) == 80), "on each that leaves");
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
//= type=test
//= id=rfc7323-3.2-4
#[test]
fn without_an_ack_the_echo_says_nothing() {
    let mut r = stamping(5);
    let (id, syn) = r.connect();
    let ours = syn.options.timestamps.unwrap().value;
    r.now += Duration::from_millis(300);
    r.tcb(id).timed = None;
    let options = Options { timestamps: Some(Timestamps { value: 5, echo: ours }), ..r.syn.clone() };
    r.inject(1000, 0, Flags::SYN, b"", &options);
    assert_eq!((r.state(id), r.tcb(id).rtt.srtt()), (State::SynReceived, None));
    r.seq = 1001;
    r.inject(1001, 0, Flags::empty(), b"", &stamped(6, ours));
    assert_eq!(r.tcb(id).rtt.srtt(), None);
    // With an ACK it is a round trip.
    r.inject(1001, r.ack, Flags::ACK, b"", &stamped(6, ours));
    assert_eq!(r.tcb(id).rtt.srtt(), Some(Duration::from_millis(300)));
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
//= type=test
//= id=rfc7323-3.2-7, rfc7323-3.2-8
#[test]
fn what_lacks_agreed_timestamps_is_dropped_without_a_word() {
    let mut r = stamping(5);
    let id = r.accepted();
    let (seq, ack) = (r.seq, r.ack);
    for flags in [Flags::ACK, Flags::ACK | Flags::FIN, Flags::SYN] {
        r.inject(seq, ack, flags, b"text", &Options::default());
    }
    assert!(r.wait(Duration::from_secs(10)).is_empty());
    assert_eq!((r.state(id), read(&mut r, id)), (State::Established, Err(Error::WouldBlock)));
    r.send(Flags::ACK, b"text");
    assert_eq!(read(&mut r, id).unwrap(), b"text");
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
//= type=test
//= id=rfc7323-3.2-9
#[test]
fn timestamps_nobody_agreed_on_are_ignored() {
    let mut r = raw();
    let id = r.accepted();
    // The later ones would be older than the first, and than nothing.
    for (value, text) in [(1000, b"ab"), (1, b"cd"), (0x9000_0000, b"ef")] {
        r.clock = Some(value);
        r.send(Flags::ACK, text);
        let out = r.sent();
        assert!(out[0].options.timestamps.is_none() && out[0].header.ack.get() == r.seq);
    }
    assert_eq!(read(&mut r, id).unwrap(), b"abcdef");
    assert_eq!(r.host.counters().tcp_paws_drops, 0);
}

/// A tick a millisecond: 2^31 octets in one would be 2 TB a second, and half its range is 24 days.
//= https://www.rfc-editor.org/rfc/rfc7323#section-4.1
//= type=test
//= id=rfc7323-4.1-1
//= https://www.rfc-editor.org/rfc/rfc7323#section-5.4
//= type=test
//= id=rfc7323-5.4-1, rfc7323-5.4-2, rfc7323-5.4-3
#[test]
fn the_clock_follows_real_time() {
    let mut r = stamping(5);
    let id = r.accepted();
    let mut last = None;
    for millis in [0, 1, 1, 10, 1000, 60_000, 20 * 24 * 3600 * 1000] {
        r.now += Duration::from_millis(millis);
        let now = r.now;
        let shown = r.tcb(id).timestamps.option(now).value;
        if let Some(last) = last {
            assert_eq!(u64::from(shown.wrapping_sub(last)), millis);
            assert!((shown.wrapping_sub(last) as i32) > 0);
        }
        last = Some(shown);
    }
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-4.2
//= type=test
//= id=rfc7323-4.2-1
#[test]
fn the_acks_of_one_window_count_for_one_sample() {
    let mut r = stamping(5);
    let id = r.accepted();
    r.write(id, &[7; 9000]);
    let out = r.sent();
    assert!(out.len() >= 9);
    r.now += Duration::from_millis(40);
    r.acknowledge(&out[..1]);
    let srtt = r.tcb(id).rtt.srtt().unwrap();
    for s in &out[1..5] {
        r.now += Duration::from_millis(40);
        let ts = s.options.timestamps.unwrap();
        r.ack = s.header.seq.add(s.text.len() as u32).get();
        r.inject(r.seq, r.ack, Flags::ACK, b"", &stamped(6, ts.value));
        r.sent();
    }
    // The four took up to 200 ms and moved it no further than one of that length.
    let one = (Duration::from_millis(200) - srtt) / 8;
    let moved = r.tcb(id).rtt.srtt().unwrap() - srtt;
    assert!(moved > one / 4 && moved <= one, "{moved:?} of {one:?}");
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
//= type=test
//= id=rfc7323-3.2-3
//= https://www.rfc-editor.org/rfc/rfc7323#section-4.3
//= type=test
//= id=rfc7323-4.3-1, rfc7323-4.3-2, rfc7323-4.3-3
#[test]
fn which_timestamp_is_echoed() {
    let mut r = stamping(10);
    let id = r.accepted();
    while r.tcb(id).acks.is_quick() {
        r.send(Flags::ACK, &[7; 10]);
        r.sent();
    }
    r.wait(Duration::from_secs(1));
    // Delayed: the earliest of those that one ACK answers.
    r.clock = Some(11);
    r.send(Flags::ACK, b"first");
    r.clock = Some(12);
    r.send(Flags::ACK, b"second");
    let out = r.wait(Duration::from_millis(500));
    assert_eq!((out.len(), echo(&out[0])), (1, 11));
    // Beyond a gap: the last that moved RCV.NXT, not the one that comes now.
    let (seq, ack) = (r.seq, r.ack);
    r.clock = Some(13);
    r.send(Flags::ACK, b"third");
    r.wait(Duration::from_millis(500));
    for value in [15, 16] {
        r.inject(seq + 5 + value, ack, Flags::ACK, b"x", &stamped(value, 0));
        assert_eq!(echo(&r.sent()[0]), 13, "{value}");
    }
    // What fills the gap is echoed.
    r.inject(seq + 5, ack, Flags::ACK, b"0123456789abcde", &stamped(17, 0));
    let out = r.sent();
    assert_eq!((out[0].header.ack.get(), echo(&out[0])), (seq + 22, 17));
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.2
//= type=test
//= id=rfc7323-5.2-1
#[test]
fn ts_recent_never_goes_back() {
    let mut r = stamping(1000);
    let id = r.accepted();
    let mut last = 1000u32;
    for value in [1001, 900, 1005, 1004, 1005, 0x7fff_ffff, 5, u32::MAX - 5, 3] {
        r.clock = Some(value);
        let before = r.seq;
        r.send(Flags::ACK, b"x");
        r.sent();
        if r.tcb(id).rcv.nxt.get() == before {
            r.seq = before;
        }
        let recent = r.tcb(id).timestamps.recent();
        assert!(recent.wrapping_sub(last) as i32 >= 0, "{last} {recent}");
        last = recent;
    }
    assert_eq!(last, 3, "around the circle");
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.2
//= type=test
//= id=rfc7323-5.2-5
#[test]
fn a_reset_is_not_asked_for_its_timestamp() {
    let mut r = stamping(1000);
    let id = r.accepted();
    let (seq, ack) = (r.seq, r.ack);
    r.inject(seq + 1, ack, Flags::RST, b"", &stamped(2000, 0));
    assert_eq!(r.sent().len(), 1, "challenged");
    assert_eq!(r.tcb(id).timestamps.recent(), 1000);
    r.inject(seq, ack, Flags::RST, b"", &stamped(1, 0));
    assert_eq!(r.state(id), State::Closed);
    assert_eq!(r.host.counters().tcp_paws_drops, 0);
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.2
//= type=test
//= id=rfc7323-5.2-4
//= https://www.rfc-editor.org/rfc/rfc7323#section-3.2
//= type=test
//= id=rfc7323-3.2-5
#[test]
fn an_abort_carries_timestamps() {
    let mut r = stamping(1000);
    let id = r.accepted();
    let now = r.now;
    r.host.abort(id, now).unwrap();
    let out = r.sent();
    assert!(out.len() == 1 && out[0].is(Flags::RST));
    assert_eq!(echo(&out[0]), 1000);
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
//= type=test
//= id=rfc7323-5.3-1, rfc7323-5.3-2
#[test]
fn paws_looks_first_and_at_every_segment() {
    let mut r = stamping(1000);
    let id = r.accepted();
    let (seq, ack) = (r.seq, r.ack);
    let mut drops = 0;
    let mut old = |r: &mut Raw, seq: u32, flags: Flags, text: &[u8]| {
        r.inject(seq, ack, flags, text, &stamped(999, 0));
        let out = r.sent();
        assert_eq!(out.len(), 1, "{out:?}");
        assert_eq!((out[0].header.flags, out[0].header.ack.get()), (Flags::ACK, seq_expected(r, id)));
        drops += 1;
        assert_eq!(r.host.counters().tcp_paws_drops, drops);
    };
    old(&mut r, seq, Flags::ACK, b"text");
    old(&mut r, seq, Flags::ACK | Flags::FIN, b"");
    old(&mut r, seq, Flags::SYN, b"");
    old(&mut r, seq.wrapping_add(1 << 24), Flags::ACK, b"beyond the window");
    old(&mut r, seq - 100, Flags::ACK, b"before it");
    assert_eq!(r.host.counters().tcp_not_acceptable, 0, "the check of the sequence number comes later");
    assert_eq!((r.state(id), read(&mut r, id)), (State::Established, Err(Error::WouldBlock)));
    let now = r.now;
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    r.sent();
    r.inject(seq, ack + 1, Flags::ACK, b"", &stamped(999, 0));
    assert_eq!(r.state(id), State::FinWait1, "an ACK of our FIN too");
}

fn seq_expected(r: &mut Raw, id: SocketId) -> u32 {
    r.tcb(id).rcv.nxt.get()
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
//= type=test
//= id=rfc7323-5.3-3
#[test]
fn what_waits_for_a_gap_is_not_asked_again() {
    let mut r = stamping(1000);
    let id = r.accepted();
    let (seq, ack) = (r.seq, r.ack);
    r.inject(seq + 3, ack, Flags::ACK, b"def", &stamped(1001, 0));
    // Filled with a timestamp that the other would be too old for by now.
    r.inject(seq, ack, Flags::ACK, b"abc", &stamped(2000, 0));
    assert_eq!(r.tcb(id).timestamps.recent(), 2000);
    assert_eq!(read(&mut r, id).unwrap(), b"abcdef");
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-7
//= type=test
//= id=rfc7323-7-1
#[test]
fn two_connections_have_clocks_of_their_own() {
    let mut r = stamping(5);
    r.listen(50);
    let mut shown = Vec::new();
    for port in 5000..5050 {
        (r.ports.1, r.seq) = (port, 1000);
        r.send(Flags::SYN, b"");
        shown.push(r.sent()[0].options.timestamps.unwrap().value);
    }
    shown.sort_unstable();
    shown.dedup();
    assert_eq!(shown.len(), 50);
    assert!(shown[49] - shown[0] > 1 << 30, "they lie apart");
}

/// A round trip is told from one that waited for a timeout, at whatever time of the clock.
#[test]
fn a_round_trip_is_taken_at_the_end_of_time() {
    let mut r = stamping(1);
    r.now = Instant::from_nanos(u64::MAX - 500_000);
    let id = r.accepted();
    r.write(id, b"text");
    let out = r.sent();
    let (ack, value) = (r.ack.wrapping_add(4), out[0].options.timestamps.unwrap().value);
    r.tcb(id).timed = None;
    r.inject(r.seq, ack, Flags::ACK, b"", &stamped(1, value));
    assert_eq!(r.tcb(id).snd.outstanding(), 0);
}
