//! Closing in odd moments.

use super::raw::{Raw, Sent};
use super::*;
use crate::config::TcpConfig;

fn resets(sent: &[Sent]) -> usize {
    sent.iter().filter(|s| s.is(Flags::RST)).count()
}

/// The FIN is acknowledged although there is no room to remember the connection.
#[test]
fn a_fin_is_acknowledged_without_a_record_in_time_wait() {
    let mut r =
        Raw::new(Config { tcp: TcpConfig { max_time_wait: 0, ..TcpConfig::default() }, ..Config::default() });
    let id = r.accepted();
    let now = r.now;
    r.host.close(id, now).unwrap();
    let fin = r.sent();
    r.acknowledge(&fin);
    r.send(Flags::FIN | Flags::ACK, b"");
    let out = r.sent();
    assert!(out.len() == 1 && out[0].is(Flags::ACK), "{out:?}");
    assert_eq!(out[0].header.ack.get(), r.seq);
    assert_eq!(r.host.counters().tcp_tw_overflow, 1);
    assert_eq!((r.host.slots(), r.host.time_waits.len()), (1, 0));
}

/// What arrives after `shutdown(Read)` is acknowledged and thrown away; the window stays open.
#[test]
fn nothing_piles_up_after_shutdown_of_reading() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.send(Flags::ACK, b"before");
    let now = r.now;
    r.host.shutdown(id, Shutdown::Read, now).unwrap();
    r.sent();
    for _ in 0..3000 {
        r.send(Flags::ACK, &[7; 1000]);
        let out = r.wait(Duration::from_millis(50));
        assert_eq!(resets(&out), 0);
        let last = out.last().unwrap();
        assert_eq!(last.header.ack.get(), r.seq, "taken");
        assert!(last.header.window > 10_000);
    }
    let mut buf = [0; 100];
    assert_eq!(r.host.try_read(id, &mut buf), Ok(6), "what had come before");
    assert_eq!(r.host.try_read(id, &mut buf), Ok(0));
    let now = r.now;
    r.host.close(id, now).unwrap();
    assert_eq!(resets(&r.sent()), 0);
}

/// The end of file stays the end of file; the reset is told to who writes.
#[test]
fn a_reset_after_the_end_does_not_take_the_end_back() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.send(Flags::ACK | Flags::FIN, b"last");
    r.sent();
    let mut buf = [0; 10];
    assert_eq!(r.host.try_read(id, &mut buf), Ok(4));
    assert_eq!(r.host.try_read(id, &mut buf), Ok(0));
    r.send(Flags::RST, b"");
    assert_eq!(r.state(id), State::Closed);
    assert_eq!(r.host.try_read(id, &mut buf), Ok(0));
    let now = r.now;
    assert_eq!(r.host.try_write(id, b"x", now), Err(Error::BrokenPipe));
    assert_eq!(r.host.try_write(id, b"x", now), Err(Error::BrokenPipe));
    assert_eq!(r.host.try_read(id, &mut buf), Ok(0));
}

/// A FIN beyond a gap counts when the gap is filled, and not before; in each state that may see one.
#[test]
fn a_fin_beyond_a_gap_waits() {
    for closed in [false, true] {
        let mut r = Raw::new(Config::default());
        let id = r.accepted();
        let now = r.now;
        if closed {
            r.host.shutdown(id, Shutdown::Write, now).unwrap();
            let fin = r.sent();
            r.acknowledge(&fin);
        }
        let seq = r.seq;
        r.seq = seq + 3;
        r.send(Flags::FIN | Flags::ACK, b"def");
        assert_eq!(r.state(id), if closed { State::FinWait2 } else { State::Established });
        let out = r.sent();
        assert_eq!((out.len(), out[0].header.ack.get()), (1, seq));
        r.seq = seq;
        r.send(Flags::ACK, b"abc");
        assert_eq!(r.state(id), if closed { State::TimeWait } else { State::CloseWait });
        let out = r.sent();
        assert_eq!((out.len(), out[0].header.ack.get()), (1, seq + 7));
        let mut buf = [0; 10];
        assert_eq!(r.host.try_read(id, &mut buf), Ok(6));
        assert_eq!(r.host.try_read(id, &mut buf), Ok(0));
    }
}

/// A FIN without text beyond a gap is an out-of-order segment like others: it is answered at once, each time.
#[test]
fn a_bare_fin_beyond_a_gap_is_answered() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    let seq = r.seq;
    for _ in 0..2 {
        r.seq = seq + 3;
        r.send(Flags::FIN | Flags::ACK, b"");
        assert_eq!(r.state(id), State::Established);
        let out = r.sent();
        assert_eq!((out.len(), out[0].header.ack.get()), (1, seq));
    }
    r.seq = seq;
    r.send(Flags::ACK, b"abc");
    assert_eq!(r.state(id), State::CloseWait);
    let out = r.sent();
    assert_eq!((out.len(), out[0].header.ack.get()), (1, seq + 4));
}

/// A peer without memory of the connection resets it exactly, also from SYN-SENT against an old life.
#[test]
fn a_half_open_connection_is_found() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    // The peer restarts and connects from the same port.
    let old = r.seq;
    (r.seq, r.ack) = (777_777_777, 0);
    r.send(Flags::SYN, b"");
    let out = r.sent();
    assert_eq!((out.len(), out[0].header.ack.get()), (1, old), "a challenge");
    r.inject(old, 0, Flags::RST, b"", &Default::default());
    assert_eq!(r.state(id), State::Closed);
    assert_eq!(r.host.try_read(id, &mut [0; 4]), Err(Error::Reset));
}

/// An orphan that the peer never lets finish is given up when nothing answers any more.
#[test]
fn an_orphan_ends() {
    for acknowledged in [false, true] {
        let mut r = Raw::new(Config::default());
        let id = r.accepted();
        r.write(id, b"bye");
        let now = r.now;
        r.host.close(id, now).unwrap();
        let out = r.sent();
        if acknowledged {
            r.acknowledge(&out);
            r.wait(Duration::from_secs(61));
        } else {
            r.wait(Duration::from_secs(2000));
        }
        assert_eq!((r.host.slots(), r.host.orphans), (1, 0));
        assert_eq!(r.host.poll_timeout(), None);
    }
}

/// ABORT in CLOSING and LAST-ACK: "Respond with "ok" and delete the TCB" (RFC 9293 §3.10.5).
#[test]
fn abort_says_nothing_where_both_have_closed() {
    for peer_first in [true, false] {
        let mut r = Raw::new(Config::default());
        let id = r.accepted();
        let now = r.now;
        if !peer_first {
            r.host.shutdown(id, Shutdown::Write, now).unwrap();
            r.sent();
        }
        r.send(Flags::FIN | Flags::ACK, b"");
        r.sent();
        if peer_first {
            r.host.shutdown(id, Shutdown::Write, now).unwrap();
            r.sent();
        }
        assert_eq!(r.state(id), if peer_first { State::LastAck } else { State::Closing });
        r.host.abort(id, now).unwrap();
        assert!(r.sent().is_empty());
        assert_eq!(r.state(id), State::Closed);
        assert_eq!(r.host.take_error(id), Some(Error::Aborted));
    }
}

/// "any unacceptable segment (out-of-window sequence number or unacceptable acknowledgment number) must be responded to
/// with an empty acknowledgment segment", in TIME-WAIT as in any synchronised state (RFC 9293 §3.5.2).
#[test]
fn time_wait_answers_an_ack_of_what_was_never_sent() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    let now = r.now;
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    let fin = r.sent();
    r.acknowledge(&fin);
    r.send(Flags::FIN | Flags::ACK, b"");
    r.sent();
    assert_eq!(r.state(id), State::TimeWait);
    r.send(Flags::ACK, b"");
    assert!(r.sent().is_empty());
    r.ack += 1;
    r.send(Flags::ACK, b"");
    let out = r.sent();
    assert_eq!((out.len(), out[0].header.ack.get(), out[0].header.seq.get()), (1, r.seq, r.ack - 1));
}

/// A reset may bring text (RFC 9293 SHLD-2). A closed window does not keep it out: "special allowance should be made to
/// accept valid […] RSTs" (§3.10.7.4).
#[test]
fn a_reset_with_text_ends_a_connection_whose_window_is_closed() {
    let mut config = Config::default();
    config.tcp.receive_buffer = 3_000;
    let mut r = Raw::new(config);
    let id = r.accepted();
    while r.tcb(id).rcv.wnd > 0 {
        let room = r.tcb(id).rcv.wnd.min(1000) as usize;
        r.send(Flags::ACK, &vec![7; room]);
        r.sent();
    }
    r.send(Flags::RST | Flags::ACK, b"why");
    assert!(r.sent().is_empty());
    assert_eq!(r.state(id), State::Closed);
}

/// MAX.SND.WND is "the largest window that the local sender has ever received from its peer" (RFC 5961 §5.2), that of a SYN
/// included.
#[test]
fn the_window_of_a_syn_counts_for_how_old_an_ack_may_be() {
    let mut r = Raw::new(Config::default());
    let (id, syn) = r.connect();
    r.send(Flags::SYN, b"");
    r.sent();
    r.window = 0;
    r.acknowledge(&[syn]);
    assert_eq!(r.state(id), State::Established);
    let acked = r.ack;
    r.ack = acked.wrapping_sub(60_000);
    r.send(Flags::ACK, b"taken");
    r.wait(Duration::from_secs(1));
    assert_eq!(r.host.unread(id), Ok(5));
}
