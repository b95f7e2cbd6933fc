//! A budget of memory that runs short: windows, records, what is thrown away.

use super::raw::Raw;
use super::*;
use crate::config::{SynCookies, TcpConfig};
use crate::memory::{LEAST, RECORD};
use crate::seq::Seq;
use crate::tcp::tcb::Is;
use crate::wire::options::Options;

fn bounded(tcp: TcpConfig) -> Raw {
    Raw::new(Config { memory: Some(LEAST), tcp, ..Config::default() })
}

/// Connections from ports 5000 on, accepted and read by nobody.
fn fill(r: &mut Raw, connections: u16, mut after_each: impl FnMut(&mut Raw)) -> Vec<SocketId> {
    let listener = r.listen(100);
    r.syn = Options { mss: Some(1000), window_scale: Some(4), sack_permitted: true, ..Options::default() };
    let mut ids = Vec::new();
    for port in 5000..5000 + connections {
        (r.ports.1, r.seq, r.ack) = (port, 1000, 0);
        r.handshake();
        ids.push(r.host.try_accept(listener).unwrap());
        after_each(r);
    }
    ids
}

/// The right edge that a segment tells of.
fn edge(s: &raw::Sent, shift: u8) -> Seq {
    s.header.ack.add(u32::from(s.header.window) << shift)
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
//= type=test
//= id=SHLD-14
#[test]
fn under_pressure_windows_grow_no_more_and_none_is_taken_back() {
    let mut r = bounded(TcpConfig { receive_buffer_max: 3 << 20, ..TcpConfig::default() });
    let mut narrow = 0;
    let ids = fill(&mut r, 11, |r| {
        let mut last: Option<Seq> = None;
        for _ in 0..60 {
            let pressed = r.host.memory().under_pressure();
            r.send(Flags::ACK | Flags::PSH, &[7; 1000]);
            for s in r.sent() {
                let here = edge(&s, 7);
                // Rounding down to what the field can tell aside (RFC 7323 §2.4).
                assert!(last.is_none_or(|last| here.add(127).at_or_after(last)), "{last:?} {here:?}");
                // What had been offered before is there still, and nothing beyond but what rounding gives.
                let grown = last.is_some_and(|last| here.saturating_since(last) >= 128);
                assert!(!(pressed && grown) || u32::from(s.header.window) << 7 <= 4 * 1000 + 128);
                narrow += u32::from(pressed && !grown);
                last = Some(here);
            }
        }
    });
    let scale = r.tcb(ids[0]).rcv.scale.shift();
    assert_eq!(scale, 7);
    let counters = r.host.counters();
    assert_eq!((counters.tcp_memory_pressures, counters.tcp_rcv_q_drop), (1, 0));
    assert!(narrow > 50, "{narrow}");
}

#[test]
fn at_the_limit_text_is_dropped_and_told_of_and_taken_again_when_there_is_memory() {
    let mut r = bounded(TcpConfig::default());
    let ids = fill(&mut r, 20, |r| {
        for _ in 0..50 {
            r.send(Flags::ACK | Flags::PSH, &[7; 1000]);
            r.sent();
        }
    });
    let memory = r.host.memory();
    assert!(memory.held() <= LEAST && memory.receive() > LEAST / 2, "{memory:?}");
    let counters = r.host.counters().clone();
    assert!(counters.tcp_rcv_q_drop > 0 && counters.tcp_rcv_pruned == counters.tcp_rcv_q_drop);
    // The last connection holds nothing; what it is sent within its window is thrown away, and told of so.
    let last = *ids.last().unwrap();
    let nxt = r.tcb(last).rcv.nxt;
    (r.seq, r.ack) = (nxt.get(), r.ack);
    r.send(Flags::ACK | Flags::PSH, &[7; 1000]);
    let out = r.sent();
    assert_eq!((out.len(), out[0].header.ack, out[0].header.window), (1, nxt, 0));
    assert!(r.tcb(last).rcv.wnd > 1000, "it was promised");
    // Somebody reads: the peer is told, and what it sends is taken.
    let mut buf = vec![0; 1 << 16];
    for &id in &ids {
        while matches!(r.host.try_read(id, &mut buf), Ok(1..)) {}
    }
    let told = r.sent();
    assert!(told.iter().any(|s| s.header.dst_port == 5019 && s.header.ack == nxt && s.header.window > 0));
    r.seq = nxt.get();
    r.send(Flags::ACK | Flags::PSH, &[7; 1000]);
    assert_eq!(r.host.try_read(last, &mut buf), Ok(1000));
    assert_eq!((r.host.memory().held(), r.host.memory().under_pressure()), (0, false));
    assert!(!r.tcb(last).is.intersects(Is::STARVED | Is::AWAITS_TO_RECEIVE));
}

/// As RFC 2018 §8 permits.
#[test]
fn what_came_out_of_order_goes_first() {
    let mut r = bounded(TcpConfig::default());
    let ids = fill(&mut r, 1, |_| {});
    // A gap of one segment, and ten behind it.
    let gap = r.seq;
    r.seq += 1000;
    for _ in 0..10 {
        r.send(Flags::ACK | Flags::PSH, &[8; 1000]);
    }
    r.sent();
    let held = r.host.memory().receive();
    assert!(held >= 10_000, "{held}");
    let first = ids[0];
    // Others fill the rest.
    let (syn, ack) = (r.syn.clone(), r.ack);
    for port in 6000..6020 {
        (r.ports.1, r.seq, r.ack) = (port, 1000, 0);
        r.handshake();
        for _ in 0..50 {
            r.send(Flags::ACK | Flags::PSH, &[7; 1000]);
            r.sent();
        }
    }
    (r.syn, r.ports.1, r.seq, r.ack) = (syn, 5000, gap, ack);
    let pruned = r.host.counters().tcp_ofo_pruned;
    r.send(Flags::ACK | Flags::PSH, &[8; 1000]);
    assert_eq!(r.host.counters().tcp_ofo_pruned, pruned + 1);
    assert!(r.tcb(first).reassembly.is_empty());
    assert_eq!(r.tcb(first).rcv.nxt.get(), gap + 1000, "what was in order is kept in their place");
}

#[test]
fn requests_beyond_their_part_are_answered_with_cookies_or_dropped() {
    for (syn_cookies, cookies) in [(SynCookies::WhenFull, true), (SynCookies::Never, false)] {
        let tcp = TcpConfig { syn_cookies, ..TcpConfig::default() };
        let mut r = bounded(tcp);
        r.listen(4096);
        for port in 10_000..11_000 {
            (r.ports.1, r.seq, r.ack) = (port, 1000, 0);
            r.send(Flags::SYN, b"");
            r.sent();
        }
        let room = (LEAST / 16 / RECORD) as u64;
        let counters = r.host.counters();
        assert_eq!(counters.tcp_syncookies_sent, if cookies { 1000 - room } else { 0 });
        assert_eq!(counters.tcp_req_q_full_drop, if cookies { 0 } else { 1000 - room });
        assert_eq!(r.host.memory().records(), room as usize * RECORD);
        // They are over when nobody answers.
        r.wait(Duration::from_secs(300));
        assert_eq!((r.host.memory().records(), r.host.slots()), (0, 1));
    }
}

#[test]
fn the_oldest_in_time_wait_makes_room_for_the_next() {
    let mut r = bounded(TcpConfig::default());
    let listener = r.listen(100);
    let room = (LEAST / 8 / RECORD) as u16;
    for port in 5000..5000 + room + 10 {
        (r.ports.1, r.seq, r.ack) = (port, 1000, 0);
        r.handshake();
        let id = r.host.try_accept(listener).unwrap();
        let now = r.now;
        r.host.close(id, now).unwrap();
        let fin = r.sent();
        r.acknowledge(&fin);
        r.send(Flags::ACK | Flags::FIN, b"");
        r.sent();
        r.now += Duration::from_millis(1);
    }
    let counters = r.host.counters();
    // The handshake of each needs a record, too.
    assert!((10..=11).contains(&counters.tcp_tw_overflow), "{}", counters.tcp_tw_overflow);
    assert!(r.host.memory().records() <= LEAST / 8);
    let known = |r: &Raw, port| {
        let quad = Quad { local: Endpoint::new(v4(1), 80), remote: Endpoint::new(v4(2), port) };
        r.host.table.find(&quad, settle::quad_of(&r.host.slab, &r.host.time_waits)).is_some()
    };
    assert!(!known(&r, 5000) && known(&r, 5000 + room + 9) && known(&r, 5000 + room / 2));
    r.wait(Duration::from_secs(70));
    assert_eq!((r.host.memory().held(), r.host.slots()), (0, 1));
}
