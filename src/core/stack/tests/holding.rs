//! The rest of a large write, held back until the next.

use super::raw::Raw;
use super::segmentation::OFFLOAD;
use super::*;
use crate::config::TcpConfig;

/// A peer whose largest window is 50 000 octets, so that runs have 25 000.
fn ready() -> (Raw, SocketId) {
    let tcp = TcpConfig { initial_window: 200, ..TcpConfig::default() };
    let mut r = Raw::new(Config { offload: OFFLOAD, tcp, ..Config::default() });
    r.window = 50_000;
    let id = r.accepted();
    (r, id)
}

fn write(r: &mut Raw, id: SocketId, octets: usize) {
    let now = r.now;
    assert_eq!(r.host.try_write(id, &vec![2; octets], now), Ok(octets));
}

#[test]
fn what_does_not_fill_a_run_waits_until_it_is_let_go() {
    let (mut r, id) = ready();
    write(&mut r, id, 25_500);
    r.host.hold_remainder(id);
    let out = r.sent();
    assert_eq!(out.iter().map(|s| s.text.len()).sum::<usize>(), 25_000);
    assert!(r.sent().is_empty() && r.host.unsent(id) == Ok(500));
    r.acknowledge(&out);
    assert!(r.sent().is_empty(), "an acknowledgment lets nothing go");
    assert!(r.host.release_remainder() && !r.host.release_remainder());
    let out = r.sent();
    assert_eq!(out.iter().map(|s| s.text.len()).collect::<Vec<_>>(), [500]);
}

#[test]
fn the_next_write_fills_it_up() {
    let (mut r, id) = ready();
    write(&mut r, id, 25_500);
    r.host.hold_remainder(id);
    let first = r.sent();
    r.acknowledge(&first);
    assert_eq!(r.host.unsent(id), Ok(500));
    write(&mut r, id, 24_700);
    r.host.hold_remainder(id);
    let second = r.sent();
    assert_eq!([&first, &second].map(|out| out.iter().map(|s| s.text.len()).sum::<usize>()), [25_000; 2]);
    assert_eq!(r.host.unsent(id), Ok(200));
}

#[test]
fn small_writes_and_a_fin_are_not_held() {
    let (mut r, id) = ready();
    write(&mut r, id, 900);
    r.host.hold_remainder(id);
    assert_eq!(r.sent().iter().map(|s| s.text.len()).sum::<usize>(), 900);
    assert!(!r.host.release_remainder());
    write(&mut r, id, 25_300);
    r.host.hold_remainder(id);
    let now = r.now;
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    let out = r.sent();
    let last = out.last().unwrap();
    assert_eq!((last.text.len(), last.is(Flags::FIN)), (300, true));
}

/// Another connection's write lets it go, and a socket that is gone is not missed.
#[test]
fn it_is_one_connection_at_a_time() {
    one_at_a_time(false);
    one_at_a_time(true);
}

/// Where slow start is paced all that waits for its time waits beside what is held.
fn one_at_a_time(paced: bool) {
    let mut p = Pair::new();
    for host in &mut p.hosts {
        host.config_mut().offload = OFFLOAD;
        host.config_mut().tcp.slow_start_pacing = paced;
    }
    let (c, s) = p.connected();
    p.transfer((0, c), (1, s), &pattern(500_000));
    let other = p.hosts[0].tcp_socket(Family::V4);
    let now = p.now;
    let written = p.hosts[0].try_write(c, &pattern(150_000), now).unwrap();
    assert_eq!(written, 150_000);
    p.hosts[0].hold_remainder(c);
    p.pump();
    let unsent = p.hosts[0].unsent(c).unwrap();
    assert_eq!((1..1448 * 45).contains(&unsent), !paced, "{unsent}");
    assert!(unsent > 0);
    p.hosts[0].hold_remainder(other);
    p.run(|_| false);
    assert_eq!(p.hosts[0].unsent(c), Ok(0));
    assert!(!p.hosts[0].release_remainder());
    let now = p.now;
    p.hosts[0].try_write(c, &pattern(150_000), now).unwrap();
    p.hosts[0].hold_remainder(c);
    p.hosts[0].abort(c, now).unwrap();
    p.hosts[0].close(c, now).unwrap();
    assert!(p.hosts[0].release_remainder());
    p.run(|_| false);
}

/// Where whoever drives forgets it, the override timer does not (RFC 9293 §3.8.6.2.1).
#[test]
fn it_leaves_in_the_end() {
    let (mut r, id) = ready();
    write(&mut r, id, 25_500);
    r.host.hold_remainder(id);
    let out = r.sent();
    r.acknowledge(&out);
    assert!(r.wait(Duration::from_millis(199)).is_empty());
    assert_eq!(r.wait(Duration::from_millis(2)).iter().map(|s| s.text.len()).sum::<usize>(), 500);
}

/// Segments that leave one by one are no more for being held, and a window that is full lets nothing go anyway.
#[test]
fn it_is_for_wide_windows_and_devices_that_cut() {
    let (mut r, id) = ready();
    r.host.config_mut().offload = crate::config::Offload::NONE;
    write(&mut r, id, 25_500);
    r.host.hold_remainder(id);
    assert!(!r.host.release_remainder());
    assert_eq!(r.sent().iter().map(|s| s.text.len()).sum::<usize>(), 25_500);
    r.host.config_mut().offload = OFFLOAD;
    write(&mut r, id, 25_500);
    r.host.hold_remainder(id);
    assert!(!r.host.release_remainder(), "less than half of the window is free");
}

/// What waits for the program to write is not for want of windows: rates say less than they could (draft-ietf-ccwg-bbr §4.1.2.4).
#[test]
fn a_connection_that_holds_back_is_limited_by_its_program() {
    let (mut r, id) = ready();
    let options = r.host.options(id).unwrap();
    let options = crate::sockopt::SocketOptions { congestion: crate::congestion::Algorithm::Bbr, ..options };
    let now = r.now;
    r.host.set_options(id, options, now).unwrap();
    write(&mut r, id, 25_500);
    r.host.hold_remainder(id);
    assert!(!r.sent().is_empty());
    assert!(r.tcb(id).rate.is_app_limited());
}
