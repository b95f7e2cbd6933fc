//! How much a write takes, what leaves with PSH, when the window grows, and what limited a connection.

use super::raw::Raw;
use super::*;
use crate::config::TcpConfig;

/// A connection to a peer whose largest window is 32 000 octets.
fn accepted(tcp: TcpConfig) -> (Raw, SocketId) {
    let tcp = TcpConfig { send_buffer_max: 0, ..tcp };
    let mut r = Raw::new(Config { tcp, ..Config::default() });
    r.window = 32_000;
    let id = r.accepted();
    (r, id)
}

/// Ten segments leave; behind them runs of half the window, as long as the limit is not reached where one begins.
#[test]
fn a_write_is_taken_in_runs() {
    for (send_buffer, unsent, taken) in [
        (50_000, 0, 58_000),
        // Three runs, each with 1280 octets beside its own, fill the first and not the second.
        (45_840, 0, 42_000),
        (45_841, 0, 58_000),
        (13_000, 0, 26_000),
        (1 << 20, 4000, 26_000),
        (1 << 20, 16_001, 42_000),
        (50_000, u32::MAX, 58_000),
    ] {
        let (mut r, id) = accepted(TcpConfig { send_buffer, ..TcpConfig::default() });
        Arc::make_mut(&mut r.tcb(id).options).unsent_low_water = unsent;
        let now = r.now;
        assert_eq!(r.host.try_write(id, &[0; 70_000], now), Ok(taken), "{send_buffer} {unsent}");
        assert_eq!(r.host.try_write(id, b"x", now), Err(Error::WouldBlock));
        let out = r.sent();
        assert_eq!(out.len(), 10);
        assert_eq!(r.host.try_write(id, b"x", now), Err(Error::WouldBlock), "leaving makes no room");
        if taken == 58_000 && unsent == 0 {
            r.acknowledge(&out);
            assert!(!r.host.readiness(id).contains(Readiness::WRITABLE), "a third is not free");
        }
    }
}

/// Where there is room for an octet there is room for a run, as in Linux; and for no more.
#[test]
fn a_small_buffer_takes_one_run_more() {
    for (send_buffer, taken) in [(1, 16_001), (1000, 17_000), (12_000, 26_000)] {
        let (mut r, id) = accepted(TcpConfig { send_buffer, ..TcpConfig::default() });
        let now = r.now;
        assert_eq!(r.host.try_write(id, &[0; 70_000], now), Ok(taken), "{send_buffer}");
        assert_eq!(r.host.try_write(id, b"x", now), Err(Error::WouldBlock));
    }
}

/// Slow paths get pairs, near ones half of the window; and a lone segment is no burst.
#[test]
fn a_burst_ends_with_a_push() {
    for (millis, first, pushed) in [(100, 20_000, vec![1, 3, 5, 7, 9]), (0, 20_000, vec![4, 9])] {
        let mut r = Raw::new(Config::default());
        let listener = r.listen(8);
        r.send(Flags::SYN, b"");
        let out = r.sent();
        r.ack = out[0].header.seq.get().wrapping_add(1);
        r.now += Duration::from_millis(millis);
        r.send(Flags::ACK, b"");
        let id = r.host.try_accept(listener).unwrap();
        r.write(id, &vec![0; first]);
        let out = r.sent();
        let found: Vec<usize> = (0..out.len()).filter(|n| out[*n].is(Flags::PSH)).collect();
        assert_eq!(found, pushed, "{millis} ms");
        r.acknowledge(&out[..1]);
        assert!(r.sent().iter().zip([false, true]).all(|(s, push)| s.is(Flags::PSH) == push));
    }
}

/// Nine segments of a window of ten count as twice nine, and no more; the ACKs of all tell it only once.
#[test]
fn a_window_used_by_half_may_double() {
    let (mut r, id) = accepted(TcpConfig::default());
    r.now += Duration::from_millis(100);
    r.write(id, &[0; 9000]);
    let out = r.sent();
    assert_eq!(out.len(), 9);
    let windows = [2, 4, 6, 8, 9].map(|n| {
        r.acknowledge(&out[..n]);
        r.tcb(id).congestion.cwnd()
    });
    assert_eq!(windows, [12_000, 14_000, 16_000, 18_000, 18_000]);
}

/// What duplicate ACKs have told, and limited transmit has answered, does not let the window grow a second time.
#[test]
fn reordering_grows_the_window_by_what_is_new() {
    let (mut r, id) = accepted(TcpConfig::default());
    r.write(id, &[0; 15_000]);
    let out = r.sent();
    for _ in 0..2 {
        r.send(Flags::ACK, b"");
        assert_eq!(r.sent().len(), 1, "limited transmit");
    }
    r.acknowledge(&out[..3]);
    assert_eq!(r.tcb(id).congestion.cwnd(), 11_000);
}

/// A segment whose ACK is of nothing that was sent does not set TS.Recent: PAWS would drop all that is genuine.
#[test]
fn a_bad_ack_sets_no_timestamp() {
    let mut r = Raw::new(Config::default());
    r.clock = Some(100);
    let id = r.accepted();
    let good = r.ack;
    r.clock = Some(200_000);
    r.ack = good.wrapping_add(9998);
    r.send(Flags::ACK | Flags::FIN, b"");
    assert_eq!(r.tcb(id).timestamps.recent(), 100);
    r.seq = r.seq.wrapping_sub(1);
    (r.ack, r.clock) = (good, Some(201));
    r.send(Flags::ACK, b"text");
    let tcb = r.tcb(id);
    assert_eq!((tcb.timestamps.recent(), tcb.receive_buffer.len()), (201, 4));
}

/// Idle, then held by the peer's window, then by the network: each time counts once.
#[test]
fn times_of_what_limits() {
    let (mut r, id) = accepted(TcpConfig::default());
    let step = Duration::from_millis(10);
    r.now += step;
    r.window = 0;
    r.send(Flags::ACK, b"");
    r.write(id, &[0; 1000]);
    assert!(r.wait(step).is_empty());
    r.window = 32_000;
    r.send(Flags::ACK, b"");
    let out = r.sent();
    assert_eq!(out.len(), 1);
    r.now += step;
    r.acknowledge(&out);
    assert!(r.sent().is_empty());
    r.now += step;
    let now = r.now;
    let busy = r.tcb(id).limits.as_deref().copied().unwrap_or_default().busy(now);
    assert_eq!((busy.window, busy.buffer, busy.total), (step, Duration::ZERO, 2 * step));
}

/// All that was written is in flight, the window has room, and the program was refused: the buffer is too small.
#[test]
fn time_of_a_small_buffer() {
    let (mut r, id) = accepted(TcpConfig { send_buffer: 1500, ..TcpConfig::default() });
    let now = r.now;
    let step = Duration::from_millis(10);
    assert_eq!(r.host.try_write(id, &[0; 3000], now), Ok(3000));
    assert_eq!(r.sent().len(), 3);
    assert_eq!(r.host.try_write(id, &[0; 3000], now), Err(Error::WouldBlock));
    r.now += step;
    r.send(Flags::ACK, b"");
    r.now += step;
    r.ack = r.ack.wrapping_add(3000);
    r.send(Flags::ACK, b"");
    let now = r.now;
    let busy = r.tcb(id).limits.as_deref().copied().unwrap_or_default().busy(now);
    assert_eq!((busy.window, busy.buffer, busy.total), (Duration::ZERO, step, 2 * step));
}
