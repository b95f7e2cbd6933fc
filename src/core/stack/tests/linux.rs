//! What a peer, and a script written for Linux, finds on the wire and on the clock.

use super::raw::{Raw, sack};
use super::*;
use crate::config::TcpConfig;
use crate::wire::options::{Options, Timestamps};
use crate::wire::{ip, tcp};

/// How late a timer may run out.
const TICK: Duration = Duration::from_micros(64);

/// As Linux ships: buffers of 128 KiB, half of it window, up to 6 MiB.
fn linux() -> TcpConfig {
    TcpConfig { receive_buffer: 65_536, receive_buffer_max: 3 << 20, ..TcpConfig::default() }
}

fn host(tcp: TcpConfig) -> Raw {
    Raw::new(Config { tcp, ..Config::default() })
}

/// What a Linux peer offers.
fn all_options(mss: u16) -> Options {
    Options { mss: Some(mss), window_scale: Some(7), sack_permitted: true, ..Options::default() }
}

/// The next packet that leaves: its window field, and its options as they stand on the wire.
fn octets(r: &mut Raw) -> (u16, Vec<u8>) {
    let mut all = Vec::new();
    drive(
        &mut r.host,
        r.now,
        |d| {
            let mut packet = vec![0; d.len()];
            d.copy_to(&mut packet).unwrap();
            let parsed = ip::parse(&packet).unwrap();
            let segment = tcp::parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
            let length = usize::from(parsed.payload[12] >> 4) * 4;
            all.push((segment.header.window, parsed.payload[20..length].to_vec()));
        },
        |_| {},
    );
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn begin_to_connect(r: &mut Raw) -> SocketId {
    let (id, now) = (r.host.tcp_socket(Family::V4), r.now);
    assert_eq!(r.host.connect(id, Endpoint::new(v4(2), 80), now), Err(Error::InProgress));
    id
}

/// mss 1460, sackOK, TS, nop, wscale 7; without timestamps mss, nop, nop, sackOK, nop, wscale. The window is 44 segments.
#[test]
fn the_syn() {
    let mut r = host(linux());
    begin_to_connect(&mut r);
    let (window, options) = octets(&mut r);
    assert_eq!(window, 64_240);
    assert_eq!(options[..8], [2, 4, 0x05, 0xb4, 4, 2, 8, 10]);
    assert_ne!(options[8..12], [0; 4], "TSval");
    assert_eq!(options[12..], [0, 0, 0, 0, 1, 3, 3, 7]);

    let mut r = host(TcpConfig { timestamps: false, ..linux() });
    begin_to_connect(&mut r);
    assert_eq!(octets(&mut r), (64_240, vec![2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7]));

    let mut r = host(TcpConfig { timestamps: false, sack: false, ..linux() });
    begin_to_connect(&mut r);
    assert_eq!(octets(&mut r).1, [2, 4, 0x05, 0xb4, 1, 3, 3, 7]);

    let mut r = host(TcpConfig { sack: false, window_scaling: false, ..linux() });
    begin_to_connect(&mut r);
    let (_, options) = octets(&mut r);
    assert_eq!((&options[..8], options.len()), (&[2, 4, 0x05, 0xb4, 1, 1, 8, 10][..], 16));
}

/// The SYN,ACK has what the SYN had, and its own scale and window: with timestamps 45 segments of 1448.
#[test]
fn the_syn_ack() {
    let answer = |tcp: TcpConfig, syn: Options, clock: Option<u32>| {
        let mut r = host(tcp);
        r.listen(8);
        (r.syn, r.clock) = (syn, clock);
        r.send(Flags::SYN, b"");
        octets(&mut r)
    };
    let (window, options) = answer(linux(), all_options(1460), Some(0x0102_0304));
    assert_eq!(window, 65_160);
    assert_eq!(options[..8], [2, 4, 0x05, 0xb4, 4, 2, 8, 10]);
    assert_eq!(options[12..], [1, 2, 3, 4, 1, 3, 3, 7]);
    let (window, options) = answer(linux(), all_options(1000), None);
    assert_eq!((window, options), (64_240, vec![2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7]));
    let bare = Options { mss: Some(1000), ..Options::default() };
    assert_eq!(answer(linux(), bare, None).1, [2, 4, 0x05, 0xb4]);
    // As public scripts set it: tcp_rmem 4096 540000 15728640.
    let scripts = TcpConfig { receive_buffer: 270_000, receive_buffer_max: 15 << 19, ..linux() };
    let (window, options) = answer(scripts, all_options(1000), None);
    assert_eq!((window, &options[8..]), (65_535, &[1, 3, 3, 8][..]));
}

/// nop, nop, TS on a segment; nop, nop, SACK behind it where something is missing.
#[test]
fn options_of_segments_are_padded_in_front() {
    let mut r = host(linux());
    let listener = r.listen(8);
    (r.syn, r.clock) = (all_options(1460), Some(100));
    r.handshake();
    let id = r.host.try_accept(listener).unwrap();
    r.write(id, b"data");
    let (_, options) = octets(&mut r);
    assert_eq!((&options[..4], options.len()), (&[1, 1, 8, 10][..], 12));
    let stamps = Some(Timestamps { value: 101, echo: 0 });
    let beyond = Options { timestamps: stamps, ..Options::default() };
    r.inject(r.seq + 10, r.ack, Flags::ACK, b"ab", &beyond);
    let (_, options) = octets(&mut r);
    assert_eq!(options.len(), 24);
    assert_eq!(options[12..], [1, 1, 5, 10, 0, 0, 0x03, 0xf3, 0, 0, 0x03, 0xf5], "1011 to 1013");
}

/// 1, 2, 4 … seconds between SYNs, and between SYN,ACKs.
#[test]
fn the_first_time_out_is_a_second() {
    let mut r = host(linux());
    begin_to_connect(&mut r);
    r.sent();
    let began = r.now;
    for due in [1, 3, 7, 15] {
        let wait = (began + Duration::from_secs(due)).saturating_since(r.now);
        assert!(r.wait(wait - TICK).is_empty(), "{due}");
        let out = r.wait(TICK * 2);
        assert_eq!((out.len(), out[0].header.flags), (1, Flags::SYN), "{due}");
    }

    let mut r = host(linux());
    r.listen(8);
    r.send(Flags::SYN, b"");
    r.sent();
    assert!(r.wait(Duration::from_millis(999)).is_empty());
    assert_eq!(r.wait(Duration::from_millis(1) + TICK).len(), 1);
    assert!(r.wait(Duration::from_millis(1999)).is_empty());
    assert_eq!(r.wait(Duration::from_millis(1) + TICK).len(), 1);
}

/// An accepted connection with a round trip of 20 ms and segments of 1000 octets.
fn accepted(tcp: TcpConfig) -> (Raw, SocketId) {
    let mut r = host(tcp);
    let listener = r.listen(8);
    r.syn = all_options(1000);
    r.window = 2000;
    r.send(Flags::SYN, b"");
    let out = r.sent();
    r.ack = out[0].header.seq.get().wrapping_add(1);
    r.now += Duration::from_millis(20);
    r.send(Flags::ACK, b"");
    let id = r.host.try_accept(listener).unwrap();
    (r, id)
}

/// Ten segments, the last of each burst pushed; the time-out is a round trip and 200 ms.
#[test]
fn ten_segments_leave_and_are_repeated_220_ms_later() {
    let (mut r, id) = accepted(TcpConfig { tail_loss_probes: false, ..linux() });
    r.write(id, &[0; 20_000]);
    let out = r.sent();
    assert_eq!(out.len(), 10);
    assert!(out.iter().all(|s| s.text.len() == 1000));
    r.acknowledge(&out);
    let out = r.sent();
    assert_eq!(out.len(), 10, "slow start could take more, but there is no more");
    let pushed: Vec<usize> = (0..10).filter(|n| out[*n].is(Flags::PSH)).collect();
    assert_eq!(pushed, [9], "half of a window of twenty at once: all of it");
    r.now += Duration::from_millis(20);
    r.acknowledge(&out);
    r.write(id, &[0; 1000]);
    assert_eq!(r.sent().len(), 1);
    assert!(r.wait(Duration::from_millis(200)).is_empty());
    let again = r.wait(Duration::from_millis(60));
    assert_eq!(again.len(), 1);
    assert!(r.tcb(id).rtt.rto() > Duration::from_millis(400), "doubled");
}

/// The first segments are acknowledged at once; later a lone one waits 40 ms, and one behind it ends the wait, full or not.
#[test]
fn acknowledgments_are_quick_at_first_and_then_wait_40_ms() {
    let (mut r, _) = accepted(linux());
    for n in 0..16 {
        r.send(Flags::ACK, &[0; 1000]);
        assert_eq!(r.sent().len(), 1, "{n}");
    }
    r.send(Flags::ACK, &[0; 1000]);
    assert!(r.sent().is_empty());
    assert!(r.wait(Duration::from_millis(39)).is_empty());
    assert_eq!(r.wait(Duration::from_millis(1) + TICK).len(), 1);
    for second in [1000, 1] {
        r.send(Flags::ACK, &[0; 1000]);
        assert!(r.sent().is_empty());
        r.send(Flags::ACK | Flags::PSH, &vec![0; second]);
        assert_eq!(r.sent().len(), 1, "{second}");
    }
}

/// Who replies soon acknowledges with replies: from the first on, none leaves at once because the connection is young.
#[test]
fn acknowledgments_go_with_replies() {
    let (mut r, id) = accepted(linux());
    r.send(Flags::ACK | Flags::PSH, b"asked");
    assert_eq!(r.sent().len(), 1, "nothing tells yet that a reply comes");
    for n in 0..3 {
        r.write(id, b"reply");
        let out = r.sent();
        assert_eq!(
            (out.len(), out[0].text.as_slice(), out[0].header.ack.get()),
            (1, &b"reply"[..], r.seq),
            "{n}"
        );
        r.ack = r.ack.wrapping_add(5);
        r.send(Flags::ACK | Flags::PSH, b"asked");
        assert!(r.sent().is_empty(), "{n}");
    }
    assert_eq!(r.wait(Duration::from_millis(40) + TICK).len(), 1, "no reply came");
}

/// A request and its reply leave a deadline in the wheel that has passed away. When it comes up the connection, which has long
/// been out of the processor's caches, is only looked at.
#[test]
fn a_deadline_that_is_no_more_gives_no_turn_to_send() {
    let (mut r, id) = accepted(linux());
    r.send(Flags::ACK | Flags::PSH, b"asked");
    r.write(id, b"reply");
    r.sent();
    r.ack = r.ack.wrapping_add(5);
    r.send(Flags::ACK, b"");
    assert!(r.sent().is_empty());
    assert_eq!(r.tcb(id).timers.earliest(), None);
    assert_eq!((r.host.wheel.len(), r.host.turns.len()), (1, 0));
    r.now = r.host.poll_timeout().unwrap() + Duration::from_secs(1);
    r.host.handle_timeout(r.now);
    assert_eq!((r.host.wheel.len(), r.host.turns.len()), (0, 0));
    // One that has moved on is awaited again.
    r.write(id, b"reply");
    r.sent();
    let due = r.tcb(id).timers.earliest().unwrap();
    r.host.wheel.arm(id.index(), r.now + Duration::from_millis(1));
    r.host.handle_timeout(r.now + Duration::from_millis(2));
    assert_eq!((r.host.wheel.len(), r.host.turns.len()), (1, 0));
    r.host.handle_timeout(due + TICK);
    assert_eq!(r.sent().len(), 1, "a probe, or the segment again");
}

/// What is no reply changes nothing: text before any of the peer's, and text long after it.
#[test]
fn a_stream_of_the_peer_has_quick_acknowledgments() {
    let (mut r, id) = accepted(linux());
    r.write(id, b"greeting");
    r.sent();
    r.ack = r.ack.wrapping_add(8);
    for n in 0..2 {
        r.send(Flags::ACK, &[0; 1000]);
        assert_eq!(r.sent().len(), 1, "{n}");
        r.wait(Duration::from_millis(40));
        r.write(id, b"late");
        r.sent();
        r.ack = r.ack.wrapping_add(4);
    }
    r.send(Flags::ACK, &[0; 1000]);
    assert_eq!(r.sent().len(), 1);
}

/// A write's last, short segment leaves with the full ones before it; another short one waits until that is acknowledged, or
/// until it is full.
#[test]
fn one_short_segment_may_be_outstanding() {
    let (mut r, id) = accepted(linux());
    r.write(id, &[0; 2500]);
    let out = r.sent();
    assert_eq!(out.iter().map(|s| s.text.len()).collect::<Vec<_>>(), [1000, 1000, 500]);
    r.write(id, &[0; 400]);
    assert!(r.sent().is_empty());
    r.acknowledge(&out[..2]);
    assert!(r.sent().is_empty(), "the short one is still outstanding");
    r.write(id, &[0; 700]);
    let full = r.sent();
    assert_eq!(full.iter().map(|s| s.text.len()).collect::<Vec<_>>(), [1000]);
    r.acknowledge(&out);
    assert_eq!(r.sent()[0].text.len(), 100);
    r.write(id, b"waits");
    assert!(r.sent().is_empty());
    let now = r.now;
    let options = crate::sockopt::SocketOptions { nodelay: true, ..r.host.options(id).unwrap() };
    r.host.set_options(id, options, now).unwrap();
    assert_eq!(r.sent()[0].text, b"waits");
}

/// A probe lies just below what was sent, without text; nine of them 75 s apart, then a reset.
#[test]
fn keep_alive_probes() {
    let (mut r, id) = accepted(linux());
    let now = r.now;
    let options = crate::sockopt::SocketOptions { keepalive: true, ..r.host.options(id).unwrap() };
    r.host.set_options(id, options, now).unwrap();
    assert!(r.wait(Duration::from_secs(7199)).is_empty());
    let probe = r.wait(Duration::from_secs(1) + TICK);
    assert_eq!(probe.len(), 1);
    assert_eq!((probe[0].header.seq.get(), probe[0].text.len()), (r.ack.wrapping_sub(1), 0));
    assert_eq!(probe[0].header.flags, Flags::ACK);
    assert_eq!(r.wait(Duration::from_secs(8 * 75) + TICK * 8).len(), 8);
    assert!(r.wait(Duration::from_secs(74)).is_empty());
    let out = r.wait(Duration::from_secs(1) + TICK);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].header.flags, Flags::RST | Flags::ACK);
    assert_eq!(out[0].header.seq.get(), r.ack);
}

/// 60 s, in which a FIN that comes again is answered.
#[test]
fn time_wait_is_a_minute() {
    let (mut r, id) = accepted(linux());
    let now = r.now;
    r.host.close(id, now).unwrap();
    let fin = r.sent();
    assert_eq!(fin[0].header.flags, Flags::FIN | Flags::ACK);
    r.acknowledge(&fin);
    r.send(Flags::FIN | Flags::ACK, b"");
    assert_eq!(r.sent().len(), 1);
    assert_eq!(r.host.slots(), 2);
    r.wait(Duration::from_millis(59_999));
    assert_eq!(r.host.slots(), 2);
    r.wait(Duration::from_millis(1) + TICK);
    assert_eq!(r.host.slots(), 1, "the listener");
}

/// RST without ACK where what it answers had one, at the place it named; RST,ACK of all it held where it had none. What we
/// abort ourselves ends with RST,ACK.
#[test]
fn forms_of_resets() {
    let mut r = host(linux());
    r.ack = 100_101;
    r.send(Flags::ACK, b"nobody");
    let out = r.sent();
    assert_eq!((out[0].header.flags, out[0].header.seq.get()), (Flags::RST, 100_101));
    assert_eq!((out[0].header.ack.get(), out[0].header.window), (0, 0));
    assert!(out[0].options.timestamps.is_none());
    r.seq = 5000;
    r.send(Flags::SYN, b"");
    let out = r.sent();
    assert_eq!((out[0].header.flags, out[0].header.seq.get()), (Flags::RST | Flags::ACK, 0));
    assert_eq!((out[0].header.ack.get(), out[0].header.window), (5001, 0));

    let (mut r, id) = accepted(linux());
    r.send(Flags::ACK | Flags::PSH, b"unread");
    r.sent();
    let now = r.now;
    r.host.close(id, now).unwrap();
    let out = r.sent();
    assert_eq!((out.len(), out[0].header.flags), (1, Flags::RST | Flags::ACK));
    assert_eq!((out[0].header.seq.get(), out[0].header.ack.get()), (r.ack, r.seq));
}

/// The third duplicate ACK makes the segment leave again, with `reordering` set otherwise that many.
#[test]
fn so_many_duplicates_are_a_loss() {
    for thresh in [2u16, 3, 5] {
        let (mut r, id) = accepted(TcpConfig { reordering: thresh, ..linux() });
        r.write(id, &[0; 10_000]);
        let out = r.sent();
        let una = r.ack;
        let at = |n: u32| una.wrapping_add(n * 1000);
        for n in 1..=u32::from(thresh) {
            assert!(r.sent().is_empty(), "{n} of {thresh}");
            r.inject(r.seq, una, Flags::ACK, b"", &sack(&[(at(1), at(1 + n))]));
        }
        let again = r.sent();
        assert_eq!((again.len(), again[0].header.seq), (1, out[0].header.seq));
    }
}
