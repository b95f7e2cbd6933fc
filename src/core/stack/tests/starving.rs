//! A budget of memory that those hold who do not read: what is left to the others, and in what order they get it.

use super::raw::Raw;
use super::*;
use crate::ip::output;
use crate::memory::{LEAST, RECORD};
use crate::sockopt::SocketOptions;
use crate::tcp::tcb::Is;
use crate::tcp::timers::Timer;
use crate::wire::ip::{Header, protocol};

fn bounded() -> Raw {
    let mut r = Raw::new(Config { memory: Some(LEAST), ..Config::default() });
    r.listen(4096);
    r.ports.1 = 4999;
    r
}

/// The peer's end of one connection.
#[derive(Clone, Copy)]
struct End {
    id: SocketId,
    port: u16,
    seq: u32,
    ack: u32,
}

fn open(r: &mut Raw) -> End {
    let listener = r.host.tcp_bound.at(80)[0];
    let listener = r.host.slab.id_of(listener).unwrap();
    (r.ports.1, r.seq, r.ack) = (r.ports.1 + 1, 1000, 0);
    r.handshake();
    End { id: r.host.try_accept(listener).unwrap(), port: r.ports.1, seq: r.seq, ack: r.ack }
}

fn turn_to(r: &mut Raw, end: &End) {
    (r.ports.1, r.seq, r.ack) = (end.port, end.seq, end.ack);
}

fn try_write(r: &mut Raw, end: &End, len: usize) -> Result<usize, Error> {
    let now = r.now;
    let result = r.host.try_write(end.id, &vec![7; len], now);
    r.host.check_invariants();
    result
}

/// The peer acknowledges all that was written, when it has left.
fn acknowledge_all(r: &mut Raw, end: &mut End) {
    let last = r.ports.1;
    turn_to(r, end);
    loop {
        r.ack = r.tcb(end.id).snd.nxt.get();
        r.send(Flags::ACK, b"");
        if r.host.unacknowledged(end.id) == Ok(0) {
            break;
        }
        if r.sent().is_empty() {
            let pace = r.tcb(end.id).timers.deadline(Timer::Pacing);
            r.now = pace.expect("nothing else keeps it from leaving");
        }
    }
    (end.ack, r.ports.1) = (r.ack, last);
}

/// Connections whose peers acknowledge nothing and whose programs write all they can, until one can write nothing at all: it
/// is the last.
fn full_of_writes(r: &mut Raw) -> Vec<End> {
    let mut ends = Vec::new();
    loop {
        let end = open(r);
        ends.push(end);
        if try_write(r, &end, 1 << 20) == Err(Error::WouldBlock) {
            return ends;
        }
        while try_write(r, &end, 1 << 20).is_ok() {}
        r.sent();
        assert!(ends.len() < 1000);
    }
}

/// Who is told that it can write.
fn told(r: &mut Raw) -> Vec<SocketId> {
    let told = r.told().into_iter().filter(|event| event.edges.contains(Readiness::WRITABLE));
    told.map(|event| event.id).collect()
}

#[test]
fn few_that_are_not_read_do_not_hold_up_the_others() {
    let mut r = bounded();
    for _ in 0..20 {
        let end = open(&mut r);
        while try_write(&mut r, &end, 1 << 20).is_ok() {}
        r.sent();
    }
    assert!(r.host.memory().send() >= LEAST / 4 && r.host.memory().under_send_pressure());
    assert!(!r.host.memory().under_pressure());
    for _ in 0..20 {
        let end = open(&mut r);
        assert_eq!(try_write(&mut r, &end, 1 << 20), Ok(4000), "four segments");
        r.sent();
    }
}

/// Also where there is next to nothing a connection gets on with what is acknowledged of its own.
#[test]
fn what_is_acknowledged_of_its_own_tells_a_writer() {
    let mut r = bounded();
    let mut ends = full_of_writes(&mut r);
    let (refused, now) = (ends.pop().unwrap(), r.now);
    r.host.close(refused.id, now).unwrap();
    r.sent();
    let mut little = ends.pop().unwrap();
    assert!(r.host.memory().send() > LEAST / 2);
    for _ in 0..10 {
        assert_eq!(try_write(&mut r, &little, 100), Err(Error::WouldBlock));
        assert!(!told(&mut r).contains(&little.id));
        acknowledge_all(&mut r, &mut little);
        assert!(told(&mut r).contains(&little.id));
        assert!(matches!(try_write(&mut r, &little, 1 << 20), Ok(256..=512)));
        while try_write(&mut r, &little, 1 << 20).is_ok() {}
        r.sent();
    }
    assert!(r.host.memory().send() > LEAST / 2);
}

#[test]
fn writers_are_woken_in_turn_as_many_as_there_is_room_for() {
    let mut r = bounded();
    let mut ends = full_of_writes(&mut r);
    let first = ends.pop().unwrap();
    let mut waiting: Vec<_> = (0..50).map(|_| open(&mut r)).collect();
    for end in &waiting {
        assert_eq!(try_write(&mut r, end, 100), Err(Error::WouldBlock));
        // Asking again is no second place in the queue.
        assert_eq!(try_write(&mut r, end, 100), Err(Error::WouldBlock));
    }
    waiting.insert(0, first);
    let ids: Vec<_> = waiting.iter().map(|end| end.id).collect();
    assert_eq!(told(&mut r), []);
    assert_eq!(r.host.starved.entries().1, 51);
    // Room for three of them, by one of those that have little.
    for _ in 0..3 {
        let mut end = ends.pop().unwrap();
        acknowledge_all(&mut r, &mut end);
    }
    let woken = told(&mut r);
    assert!(woken.len() <= 7 && woken.iter().filter(|id| ids.contains(id)).count() <= 4, "{woken:?}");
    let mut at = woken.iter().filter(|id| ids.contains(id)).count();
    assert!(at >= 2 && woken.iter().filter(|id| ids.contains(id)).eq(&ids[..at]));
    assert_eq!(told(&mut r), [], "they have not written yet");
    // They do not write at all: others have their turn, the longest waiting first.
    while at < 12 {
        r.now += Duration::from_millis(10);
        let woken = told(&mut r);
        assert!((1..=4).contains(&woken.len()), "{woken:?}");
        assert_eq!(woken, ids[at..at + woken.len()]);
        at += woken.len();
    }
    // All the rest, as peers read.
    for mut end in ends {
        acknowledge_all(&mut r, &mut end);
    }
    r.now += Duration::from_millis(10);
    told(&mut r);
    for end in &waiting {
        assert_eq!(try_write(&mut r, end, 1000), Ok(1000));
    }
    assert_eq!(r.host.memory().send(), 51 * (1024 + 4 * size_of::<crate::tcp::buffer::chunk::Piece>()));
}

/// One that was told and writes late finds what is left by those that were told after it.
#[test]
fn who_writes_late_takes_nothing_off_what_is_kept_for_others() {
    let mut r = bounded();
    let mut ends = full_of_writes(&mut r);
    let late = ends.pop().unwrap();
    let other = open(&mut r);
    assert_eq!(try_write(&mut r, &other, 100), Err(Error::WouldBlock));
    assert_eq!(told(&mut r), []);
    let mut woken = Vec::new();
    while !woken.contains(&late.id) {
        acknowledge_all(&mut r, &mut ends.pop().unwrap());
        woken = told(&mut r);
    }
    assert!(!woken.contains(&other.id), "there is room for one");
    r.now += Duration::from_millis(10);
    assert_eq!(told(&mut r), [other.id]);
    while try_write(&mut r, &late, 1 << 20).is_ok() {}
    assert_eq!(try_write(&mut r, &other, 100), Ok(100));
}

#[test]
fn nothing_to_write_waits_for_no_memory() {
    let mut r = bounded();
    full_of_writes(&mut r);
    let end = open(&mut r);
    told(&mut r);
    assert_eq!(try_write(&mut r, &end, 0), Ok(0));
    assert!(!r.tcb(end.id).is.contains(Is::CANNOT_WRITE));
    let now = r.now;
    assert_eq!(r.host.try_write_bytes(end.id, &mut bytes::Bytes::new(), now), Ok(0));
    assert!(!r.tcb(end.id).is.contains(Is::CANNOT_WRITE));
    assert_eq!(try_write(&mut r, &end, 1), Err(Error::WouldBlock));
    assert!(r.tcb(end.id).is.contains(Is::CANNOT_WRITE));
}

/// What programs wrote is no reason to keep windows closed for which there is room.
#[test]
fn windows_open_while_writers_wait() {
    let mut r = bounded();
    full_of_writes(&mut r);
    assert!(r.host.memory().under_pressure());
    let mut readers = Vec::new();
    while r.host.counters().tcp_rcv_q_drop == 0 {
        let mut end = open(&mut r);
        for _ in 0..50 {
            r.send(Flags::ACK | Flags::PSH, &[7; 1000]);
            r.sent();
        }
        end.seq = r.tcb(end.id).rcv.nxt.get();
        readers.push(end);
    }
    let last = readers.pop().unwrap();
    assert!(r.tcb(last.id).is.contains(Is::STARVED));
    let mut buf = vec![0; 1 << 16];
    for end in &readers {
        while matches!(r.host.try_read(end.id, &mut buf), Ok(1..)) {}
    }
    assert!(r.host.memory().under_pressure());
    let sent = r.sent();
    assert!(sent.iter().any(|s| s.header.dst_port == last.port && s.header.window > 0));
    assert!(!r.tcb(last.id).is.contains(Is::STARVED));
}

/// Fills what peers may send; the last connection was told a window of zero.
fn full_of_reads(r: &mut Raw) -> End {
    loop {
        let mut end = open(r);
        for _ in 0..50 {
            r.send(Flags::ACK | Flags::PSH, &[7; 1000]);
            r.sent();
        }
        end.seq = r.tcb(end.id).rcv.nxt.get();
        if r.tcb(end.id).is.contains(Is::STARVED) {
            return end;
        }
    }
}

#[test]
fn what_nobody_will_read_takes_no_memory() {
    let mut r = bounded();
    let last = full_of_reads(&mut r);
    let now = r.now;
    let options = SocketOptions { keep_after_shutdown: false, ..r.host.options(last.id).unwrap() };
    r.host.set_options(last.id, options, now).unwrap();
    r.host.shutdown(last.id, Shutdown::Read, now).unwrap();
    turn_to(&mut r, &last);
    r.send(Flags::ACK | Flags::PSH, &[7; 1000]);
    assert_eq!(r.tcb(last.id).rcv.nxt.get(), last.seq + 1000);
    assert!(!r.tcb(last.id).is.contains(Is::STARVED));
}

/// Connections that had to wait and are gone leave nothing behind that grows.
#[test]
fn queues_do_not_grow_with_what_is_gone() {
    let mut r = bounded();
    full_of_reads(&mut r);
    loop {
        let end = open(&mut r);
        r.send(Flags::ACK | Flags::PSH, &[7; 1000]);
        r.sent();
        if r.tcb(end.id).is.contains(Is::STARVED) {
            break;
        }
    }
    let before = r.host.starved.entries();
    for _ in 0..300 {
        let end = open(&mut r);
        r.send(Flags::ACK | Flags::PSH, &[7; 1000]);
        r.sent();
        assert!(r.tcb(end.id).is.contains(Is::AWAITS_TO_RECEIVE));
        r.seq = end.seq;
        r.send(Flags::RST, b"");
        let now = r.now;
        r.host.close(end.id, now).unwrap();
    }
    assert!(r.host.starved.entries().0 <= 2 * (before.0 + 1) + 17, "{:?}", r.host.starved.entries());
    // The same socket again and again.
    let mut r = bounded();
    full_of_writes(&mut r);
    let id = r.host.tcp_socket(Family::V4);
    for _ in 0..100 {
        let now = r.now;
        assert_eq!(r.host.connect(id, Endpoint::new(v4(2), 80), now), Err(Error::InProgress));
        let syn = r.sent().remove(0);
        (r.ports, r.seq, r.ack) = ((syn.header.src_port, 80), 1000, syn.header.seq.get() + 1);
        r.send(Flags::SYN | Flags::ACK, b"");
        r.sent();
        assert_eq!(r.host.try_write(id, b"x", now), Err(Error::WouldBlock));
        r.host.check_invariants();
        r.host.disconnect(id, now).unwrap();
        r.sent();
    }
    assert!(r.host.starved.entries().1 <= 2 * 2 + 17, "{:?}", r.host.starved.entries());
}

/// One whose peer sends its FIN again and again stays; those behind it go.
#[test]
fn the_queue_of_records_does_not_grow_with_what_is_gone() {
    let mut r = bounded();
    let end_of = |r: &mut Raw| {
        let end = open(r);
        let now = r.now;
        r.host.close(end.id, now).unwrap();
        let fin = r.sent();
        r.acknowledge(&fin);
        let last = End { seq: r.seq, ack: r.ack, ..end };
        r.send(Flags::ACK | Flags::FIN, b"");
        r.sent();
        last
    };
    let stays = end_of(&mut r);
    for _ in 0..40 {
        let last = r.ports.1;
        turn_to(&mut r, &stays);
        r.send(Flags::ACK | Flags::FIN, b"");
        r.ports.1 = last;
        r.wait(Duration::from_secs(50));
        end_of(&mut r);
        end_of(&mut r);
    }
    assert!(r.host.time_waits.len() <= 10);
    assert!(r.host.aged.len() <= 2 * 10 + 16 + 1, "{} for {}", r.host.aged.len(), r.host.time_waits.len());
}

#[test]
fn records_in_time_wait_make_room_for_requests_and_keep_their_half() {
    let mut r = bounded();
    while r.host.counters().tcp_tw_overflow == 0 {
        let end = open(&mut r);
        let now = r.now;
        r.host.close(end.id, now).unwrap();
        let fin = r.sent();
        r.acknowledge(&fin);
        r.send(Flags::ACK | Flags::FIN, b"");
        r.sent();
    }
    assert!(r.host.memory().records() > LEAST / 8 - 2 * RECORD);
    for port in 40_000..41_000 {
        (r.ports.1, r.seq, r.ack) = (port, 1000, 0);
        r.send(Flags::SYN, b"");
        r.sent();
    }
    let half = (LEAST / 16 / RECORD) as u64;
    assert_eq!(r.host.counters().tcp_syncookies_sent, 1000 - half);
    let kept = u64::from(r.host.time_waits.len());
    assert!((half - 1..=half + 1).contains(&kept), "{kept} of {half}");
}

/// A program that sends faster than the device takes.
#[test]
fn packets_that_wait_are_in_the_books() {
    let mut r = bounded();
    let id = r.host.udp_socket(Family::V4);
    let now = r.now;
    let to = Endpoint::new(v4(2), 9);
    for len in [1000, 60_000, 9] {
        for _ in 0..2000 {
            assert_eq!(r.host.try_send_to(id, &vec![7; len], Some(to), now), Ok(len));
            assert!(r.host.memory().packets() <= LEAST / 8);
        }
        r.host.check_invariants();
        assert!(r.host.memory().packets() >= LEAST / 32, "{len}");
        assert!(r.host.counters().ip_out_discards > 0);
        drive(&mut r.host, now, |_| {}, |_| {});
        r.host.check_invariants();
        assert_eq!(r.host.memory().held(), 0);
    }
}

/// To ourselves nothing is lost of it, and no more waits than may.
#[test]
fn packets_to_ourselves_are_in_the_books() {
    let mut r = bounded();
    let (id, from) = (r.host.udp_socket(Family::V4), r.host.udp_socket(Family::V4));
    r.host.bind(id, Endpoint::new(v4(1), 9)).unwrap();
    let now = r.now;
    let mut sent = 0;
    while r.host.counters().ip_out_discards == 0 {
        r.host.try_send_to(from, &[7; 100], Some(Endpoint::new(v4(1), 9)), now).unwrap();
        sent += 1;
    }
    // A stream to ourselves as well, faster than it is read.
    let server = open_to_ourselves(&mut r);
    let mut buf = vec![0; 1 << 16];
    let (mut written, mut read) = (0, 0);
    for _ in 0..500 {
        r.now += Duration::from_millis(10);
        let now = r.now;
        written += r.host.try_write(server.0, &[7; 50_000], now).unwrap_or(0);
        drive(&mut r.host, now, |_| {}, |_| {});
        r.host.check_invariants();
        read += r.host.try_read(server.1, &mut buf).unwrap_or(0);
    }
    assert!(sent > 500 && written > 1 << 20 && read + (1 << 20) > written, "{sent} {written} {read}");
    let counters = r.host.counters();
    assert_eq!((u64::from(counters.udp_in_datagrams > 0), counters.tcp_retrans_segs), (1, 0));
}

fn open_to_ourselves(r: &mut Raw) -> (SocketId, SocketId) {
    let listener = r.host.slab.id_of(r.host.tcp_bound.at(80)[0]).unwrap();
    let (client, now) = (r.host.tcp_socket(Family::V4), r.now);
    assert_eq!(r.host.connect(client, Endpoint::new(v4(1), 80), now), Err(Error::InProgress));
    drive(&mut r.host, now, |_| {}, |_| {});
    (client, r.host.try_accept(listener).unwrap())
}

/// The text of a SYN is written like any other.
#[test]
fn without_memory_a_syn_has_no_text() {
    let mut r = bounded();
    let opens = |r: &mut Raw| {
        let (id, now) = (r.host.tcp_socket(Family::V4), r.now);
        let options = SocketOptions { fast_open_no_cookie: true, ..r.host.options(id).unwrap() };
        r.host.set_options(id, options, now).unwrap();
        let opened = r.host.connect_with_data(id, Endpoint::new(v4(2), 80), &[7; 5000], now);
        let text = r.sent()[0].text.len();
        assert_eq!(text, opened.unwrap_or(0));
        text
    };
    assert!(opens(&mut r) > 400);
    full_of_writes(&mut r);
    assert_eq!(opens(&mut r), 0);
}

/// However small a part a shard has of a budget, what a host must put together it does (RFC 1122 §3.3.2).
#[test]
fn the_largest_packet_is_put_together() {
    let mut r = Raw::new(Config { memory: Some(LEAST / 8), ..Config::default() });
    let header = Header {
        src: v4(2),
        dst: v4(1),
        protocol: protocol::ICMP,
        hop_limit: 64,
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: false,
        fragment: None,
    };
    let mut echo = vec![7; 60_000];
    echo[..8].copy_from_slice(&[8, 0, 0, 0, 0, 1, 0, 1]);
    let sum = crate::wire::checksum::Sum::new().add(&echo).finish();
    echo[2..4].copy_from_slice(&sum.to_be_bytes());
    let (host, now) = (&mut r.host, r.now);
    output::fragment(header, &echo, 576, 1, |packet| {
        host.receive(now, Inbound::plain(&packet));
    })
    .unwrap();
    let mut answered = 0;
    drive(&mut r.host, now, |d| answered += d.head.len() + d.body.len() - 20, |_| {});
    assert_eq!(answered, 60_000);
}
