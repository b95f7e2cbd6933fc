//! Windows that close, shrink and open.

use super::raw::{Raw, sack};
use super::*;
use crate::config::TcpConfig;
use crate::seq::Seq;
use crate::sockopt::SocketOptions;
use crate::tcp::congestion::Algorithm;
use crate::tcp::short_cuts;
use crate::wire::options::Options;

fn with_options(r: &mut Raw, id: SocketId, change: impl FnOnce(&mut SocketOptions)) {
    let mut options = r.host.options(id).unwrap();
    change(&mut options);
    let now = r.now;
    r.host.set_options(id, options, now).unwrap();
}

/// RFC 9293 §3.8.6.1: an ACK that follows a probe must be acceptable to a peer whose window is closed, or two ends
/// with closed windows would not hear each other.
#[test]
fn what_a_closed_window_hears_is_inside_it() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.window = 0;
    r.send(Flags::ACK, b"");
    r.write(id, b"waits");
    let probes = r.wait(Duration::from_secs(10));
    assert!(probes.len() >= 3 && probes.iter().all(|p| p.text == b"w"), "{probes:?}");
    let una = r.ack;
    r.send(Flags::ACK, b"data");
    let out = r.sent();
    assert_eq!((out.len(), out[0].header.seq.get()), (1, una), "{out:?}");
}

#[test]
fn two_closed_windows_open_at_once() {
    // Buffers that this text fills.
    let mut p = Pair::with(&TcpConfig { receive_buffer_max: 0, ..TcpConfig::default() });
    let (c, s) = p.connected();
    let data = pattern(3_000_000);
    let mut written = [0, 0];
    let began = p.now;
    p.run(|p| {
        let now = p.now;
        for (i, id) in [(0, c), (1, s)] {
            while let Ok(n) = p.hosts[i].try_write(id, &data[written[i]..], now) {
                written[i] += n;
            }
        }
        now.saturating_since(began) > Duration::from_secs(1000)
    });
    // One side reads.
    let began = p.now;
    let mut read = 0;
    p.run(|p| {
        let mut buf = [0; 65536];
        while let Ok(n) = p.hosts[1].try_read(s, &mut buf) {
            read += n;
        }
        read == written[0]
    });
    assert!(p.now.saturating_since(began) < Duration::from_secs(2), "{:?}", p.now.saturating_since(began));
}

/// MUST-37: while probes are answered the connection stays, whatever the user timeout; when they are not it ends.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
//= type=test
//= id=MUST-37
#[test]
fn an_answered_probe_starts_the_user_timeout_anew() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    with_options(&mut r, id, |o| o.user_timeout = Some(Duration::from_secs(5)));
    r.window = 0;
    r.send(Flags::ACK, b"");
    r.write(id, b"waits");
    let began = r.now;
    while r.now.saturating_since(began) < Duration::from_secs(600) {
        let probes = r.wait(Duration::from_millis(100));
        if !probes.is_empty() {
            r.send(Flags::ACK, b"");
        }
        assert_eq!(r.state(id), State::Established, "after {:?}", r.now.saturating_since(began));
    }
    let began = r.now;
    while r.state(id) != State::Closed {
        r.wait(Duration::from_millis(100));
        assert!(r.now.saturating_since(began) < Duration::from_secs(200));
    }
    assert_eq!(r.host.take_error(id), Some(Error::TimedOut));
}

/// A peer may take what probes bring though its window stays closed. Once it has all, nothing is probed, and what is written
/// later waits as long as if it had been the first.
#[test]
fn what_is_written_long_after_probes_brought_all_is_probed_anew() {
    for timeout in [None, Some(Duration::from_secs(5))] {
        let mut r = Raw::new(Config::default());
        let id = r.accepted();
        with_options(&mut r, id, |o| o.user_timeout = timeout);
        r.window = 0;
        r.send(Flags::ACK, b"");
        r.write(id, b"abc");
        let began = r.now;
        let mut probes = 0;
        while r.tcb(id).has_unsent() || r.ack != r.tcb(id).snd.nxt.get() {
            let out = r.wait(Duration::from_millis(100));
            probes += out.len();
            if !out.is_empty() {
                r.acknowledge(&out);
            }
            assert!(r.now.saturating_since(began) < Duration::from_secs(60));
        }
        assert_eq!(probes, 3);
        assert!(r.wait(Duration::from_secs(7200)).is_empty());
        r.write(id, b"later");
        let out = r.wait(Duration::from_secs(2));
        assert_eq!(r.state(id), State::Established, "{timeout:?}");
        assert_eq!(out.first().map(|p| &p.text[..]), Some(&b"l"[..]));
        r.acknowledge(&out);
        r.window = 60_000;
        r.send(Flags::ACK, b"");
        assert_eq!(r.sent()[0].text, b"ater");
    }
}

/// The timeout counts while data waits, not the quiet hours before.
#[test]
fn quiet_hours_are_no_part_of_the_user_timeout() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    with_options(&mut r, id, |o| o.cork = true);
    r.wait(Duration::from_secs(7200));
    r.write(id, b"corked");
    assert!(r.sent().is_empty());
    r.window = 0;
    r.send(Flags::ACK, b"");
    r.wait(Duration::from_secs(20));
    assert_eq!(r.state(id), State::Established);
}

/// SND.UP is never left behind: 2^31 octets on it would seem to lie ahead.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.5
//= type=test
//= id=MUST-62
#[test]
fn the_urgent_mark_follows_the_acknowledgments() {
    let mut r = Raw::new(Config::default());
    let (id, _) = r.connect();
    r.send(Flags::SYN | Flags::ACK, b"");
    r.sent();
    let now = r.now;
    assert_eq!(r.host.try_write_urgent(id, b"now", now), Ok(3));
    let out = r.sent();
    assert!(out[0].is(Flags::URG) && out[0].header.urgent == 3);
    r.acknowledge(&out);
    r.write(id, &[0; 5000]);
    let out = r.sent();
    assert!(out.iter().all(|s| !s.is(Flags::URG)));
    r.acknowledge(&out);
    let tcb = r.tcb(id);
    assert_eq!(tcb.snd.up, tcb.snd.una);
}

/// RFC 5681 §3.2 step 2: what limited transmit sent does not count in FlightSize.
//= https://www.rfc-editor.org/rfc/rfc5681#section-3.2
//= type=test
//= id=rfc5681-3.2-4, rfc5681-3.2-8
#[test]
fn limited_transmit_is_no_part_of_the_flight_size() {
    let tcp = TcpConfig { congestion: Algorithm::Reno, ..TcpConfig::default() };
    let mut r = Raw::new(Config { tcp, ..Config::default() });
    let id = r.accepted();
    r.write(id, &[0; 100_000]);
    let out = r.sent();
    assert_eq!(out.len(), 10);
    for _ in 0..2 {
        r.send(Flags::ACK, b"");
        assert_eq!(r.sent().len(), 1, "limited transmit");
    }
    r.send(Flags::ACK, b"");
    assert!(!r.sent().is_empty());
    assert_eq!(r.tcb(id).congestion.ssthresh(), 5000);
}

/// Retransmission stops at the edge of a window that shrank below what was sent, and goes on when it grows
/// (RFC 9293 SHLD-15 to -17).
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
//= type=test
//= id=MUST-34, SHLD-16, MUST-35
//= https://www.rfc-editor.org/rfc/rfc7323#section-2.4
//= type=test
//= id=rfc7323-2.4-1
#[test]
fn a_window_that_shrinks_is_obeyed() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.write(id, &[1; 8000]);
    let out = r.sent();
    assert_eq!(out.len(), 8);
    r.window = 1500;
    r.send(Flags::ACK, b"");
    let una = Seq::new(r.ack);
    let again = r.wait(Duration::from_secs(5));
    assert!(again.len() > 1);
    assert!(again.iter().all(|s| s.header.seq.add(s.text.len() as u32).at_or_before(una.add(1500))));
    r.window = 0;
    r.send(Flags::ACK, b"");
    assert!(r.wait(Duration::from_secs(20)).iter().all(|s| s.text.len() == 1));
    r.window = 60_000;
    r.send(Flags::ACK, b"");
    let mut all = Vec::new();
    for _ in 0..50 {
        let out = r.wait(Duration::from_millis(10));
        all.extend(out.iter().map(|s| s.header.seq.add(s.text.len() as u32).since(una)));
        r.acknowledge(&out);
    }
    assert_eq!(all.iter().max(), Some(&8000));
    assert_eq!(r.tcb(id).snd.una, una.add(8000));
}

/// A window of 3000 octets that is told in units of 1024 ends before what filled it: the peer has that, and takes no ACK from
/// before it. One that has shrunk by more ends where it says.
#[test]
fn an_edge_that_was_rounded_down_does_not_hold_acknowledgments_back() {
    for (units, len, at) in [(2, 3000, 3000), (2, 3072, 2048), (1, 3000, 1024), (0, 900, 900), (0, 1024, 0)] {
        let mut r = Raw::new(Config::default());
        r.syn.window_scale = Some(10);
        let id = r.accepted();
        r.write(id, &vec![1; len]);
        r.sent();
        let una = r.tcb(id).snd.una;
        assert_eq!(r.tcb(id).snd.nxt, una.add(len as u32));
        r.window = units;
        r.send(Flags::ACK, b"text");
        let acks: Vec<_> = r.wait(Duration::from_millis(100)).iter().map(|s| s.header.seq).collect();
        assert_eq!(acks, [una.add(at)], "{units} units, {len} octets");
    }
}

/// RFC 9293 Appendix A.2: both programs write and do not read until both windows are full and have been probed, and each end
/// has taken the other's probe in what its window had left below a unit of its scale. Once they read all comes.
#[test]
fn two_full_windows_that_were_probed_open_again() {
    for chunk in [60_000, 1000, 333] {
        let mut p = Pair::new();
        let (c, s) = p.connected();
        let ids = [c, s];
        let data = pattern(3_000_000);
        let mut written = [0; 2];
        let mut write = move |p: &mut Pair| {
            for i in 0..2 {
                while let Some(part @ [_, ..]) = data[written[i]..].chunks(chunk).next() {
                    let Ok(n) = p.hosts[i].try_write(ids[i], part, p.now) else { break };
                    written[i] += n;
                }
            }
        };
        let began = p.now;
        p.run(|p| {
            write(p);
            p.now.saturating_since(began) > Duration::from_secs(100)
        });
        let mut read = [0; 2];
        let began = p.now;
        p.run(|p| {
            write(p);
            let mut buf = [0; 65536];
            for i in 0..2 {
                while let Ok(n @ 1..) = p.hosts[i].try_read(ids[i], &mut buf) {
                    read[i] += n;
                }
            }
            read == [3_000_000; 2] || p.now.saturating_since(began) > Duration::from_secs(1000)
        });
        assert_eq!(read, [3_000_000; 2], "written by {chunk}");
        assert!(p.now.saturating_since(began) < Duration::from_secs(1), "written by {chunk}");
        for host in &p.hosts {
            let counters = host.counters();
            assert_eq!(counters.tcp_abort_on_timeout, 0);
            assert!(counters.tcp_window_probes > 1, "{counters:?}");
        }
    }
}

/// Of an ACK from before RCV.NXT news is taken while the peer's window is closed, and it is answered: of what was sent, and of a
/// window. A reset there is ignored (RFC 5961 §3.2).
#[test]
fn news_in_a_late_acknowledgment_is_taken_behind_a_closed_window() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.send(Flags::ACK, b"before");
    r.write(id, &[1; 3000]);
    r.wait(Duration::from_millis(100));
    let (una, nxt) = (r.tcb(id).snd.una, r.tcb(id).snd.nxt);
    let (seq, open, far) = (r.seq, r.window, 1 << 20);
    for (behind, ack, flags, window, taken, answers) in [
        (1, una.add(100), Flags::ACK, open, (una, open), 1),
        (0, una, Flags::ACK, 0, (una, 0), 0),
        (1, nxt.add(1), Flags::ACK, 0, (una, 0), 1),
        (1, una, Flags::ACK, 0, (una, 0), 1),
        (1, una.add(100), Flags::ACK | Flags::RST, 0, (una, 0), 0),
        (1, una.add(100), Flags::empty(), 0, (una, 0), 1),
        (far, una.add(100), Flags::ACK, 0, (una, 0), 1),
        (1, una.add(100), Flags::ACK, 0, (una.add(100), 0), 1),
        (6, una.add(200), Flags::ACK, 0, (una.add(200), 0), 1),
        (7, una.add(200), Flags::ACK, 1000, (una.add(200), 0), 1),
        // Text answers.
        (6, una.add(200), Flags::ACK, 1000, (una.add(200), 1000), 0),
        (5, una.add(200), Flags::ACK, 2000, (una.add(200), 1000), 1),
    ] {
        (r.seq, r.ack, r.window) = (seq.wrapping_sub(behind), ack.get(), window);
        r.send(flags, b"");
        let what = (behind, ack.since(una), flags, window);
        assert_eq!((r.tcb(id).snd.una, r.tcb(id).snd.wnd), (taken.0, taken.1.into()), "{what:?}");
        assert_eq!(r.sent().iter().filter(|s| s.text.is_empty()).count(), answers, "{what:?}");
    }
}

/// Old text is dropped with its ACK there, as everywhere (RFC 9293 §3.10.7.4).
#[test]
fn news_with_old_text_is_not_taken_behind_a_closed_window() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.send(Flags::ACK, b"before");
    r.write(id, &[1; 3000]);
    r.wait(Duration::from_millis(100));
    r.window = 0;
    r.send(Flags::ACK, b"");
    let una = r.tcb(id).snd.una;
    assert_eq!(r.tcb(id).snd.wnd, 0);
    r.inject(r.seq.wrapping_sub(6), una.add(100).get(), Flags::ACK, b"before", &Options::default());
    assert_eq!(r.tcb(id).snd.una, una);
}

/// It is answered within the limit of RFC 5961 §7, and taken beyond it.
#[test]
fn late_news_is_answered_no_more_often_than_what_is_not_acceptable() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.send(Flags::ACK, b"before");
    r.write(id, &[1; 3000]);
    r.sent();
    r.window = 0;
    r.send(Flags::ACK, b"");
    let una = r.tcb(id).snd.una;
    let limit = u32::from(TcpConfig::default().challenge_limit);
    for n in 1..=limit + 5 {
        r.inject(r.seq.wrapping_sub(1), una.add(n).get(), Flags::ACK, b"", &Options::default());
        assert_eq!(r.tcb(id).snd.una, una.add(n));
        assert_eq!(r.sent().len(), usize::from(n <= limit), "{n}");
    }
    assert_eq!(r.host.counters().tcp_challenge_limited, 5);
}

/// A handshake it does not end: what was not there before cannot be late.
#[test]
fn late_news_ends_no_handshake() {
    let mut r = Raw::new(Config::default());
    let (id, syn) = r.connect();
    (r.ack, r.window) = (0, 0);
    r.send(Flags::SYN, b"");
    assert_eq!((r.state(id), r.tcb(id).snd.wnd), (State::SynReceived, 0));
    let ack = syn.header.seq.get().wrapping_add(1);
    let late = r.tcb(id).rcv.nxt.sub(1).get();
    r.inject(late, ack, Flags::ACK, b"", &Options::default());
    assert_eq!(r.state(id), State::SynReceived);
}

/// The acknowledgment of the last probe is lost before the program reads: what tells of the window comes from before the octet
/// that was taken, and says nothing else.
#[test]
fn a_window_opens_from_before_an_octet_that_was_taken() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.window = 0;
    r.send(Flags::ACK, b"p");
    r.write(id, b"waits");
    assert!(!r.wait(Duration::from_secs(100)).is_empty());
    (r.seq, r.window) = (r.seq.wrapping_sub(1), 60_000);
    r.send(Flags::ACK, b"");
    assert!(r.sent().iter().any(|s| s.text == b"waits"));
}

/// A soft error is told only where it may be the cause: not after the peer has been heard since.
#[test]
fn an_old_soft_error_is_forgotten() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.write(id, b"a");
    let out = r.sent();
    r.tcb(id).soft_error = Some(Error::HostUnreachable);
    r.acknowledge(&out);
    r.write(id, b"b");
    r.wait(Duration::from_secs(3000));
    assert_eq!(r.host.take_error(id), Some(Error::TimedOut));
}

/// Keep-alive times below a second do not make a storm.
#[test]
fn a_keepalive_time_of_nothing_is_a_second() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    with_options(&mut r, id, |o| {
        o.keepalive = true;
        o.keepalive_time = Duration::ZERO;
        o.keepalive_interval = Duration::ZERO;
    });
    let mut probes = 0;
    for _ in 0..100 {
        let out = r.wait(Duration::from_millis(100));
        probes += out.len();
        if !out.is_empty() {
            r.send(Flags::ACK, b"");
        }
    }
    assert!((5..=11).contains(&probes), "{probes}");
    assert_eq!(r.state(id), State::Established);
}

/// A bare SACK option from a peer that never agreed to it, or blocks beyond what was sent, count for nothing.
#[test]
fn blocks_of_nonsense_are_no_duplicates() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.write(id, &[0; 5000]);
    r.sent();
    for _ in 0..10 {
        let (seq, ack) = (r.seq, r.ack);
        r.inject(seq, ack, Flags::ACK, b"", &sack(&[(ack + 1_000_000, ack + 1_001_000)]));
    }
    assert!(r.sent().is_empty());
    assert_eq!(r.host.counters().tcp_fast_retrans, 0);
}

/// A reset is heard through a closed window that has been probed (RFC 5961 §3.2 wants it exact).
#[test]
fn an_abort_while_probing_is_heard() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.window = 0;
    r.send(Flags::ACK, b"");
    r.write(id, b"waits");
    assert!(!r.wait(Duration::from_secs(3)).is_empty());
    let now = r.now;
    r.host.abort(id, now).unwrap();
    let out = r.sent();
    assert!(out.len() == 1 && out[0].is(Flags::RST));
    assert_eq!(out[0].header.seq.get(), r.ack);
}

/// The timer of a probe and the window's opening in the same instant: no probe leaves any more.
#[test]
fn a_probe_that_was_overtaken_does_not_leave() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.window = 0;
    r.send(Flags::ACK, b"");
    r.write(id, b"waits");
    r.sent();
    r.now = r.host.poll_timeout().unwrap() + Duration::from_secs(1);
    let now = r.now;
    r.host.handle_timeout(now);
    assert!(r.tcb(id).probe.is_some());
    r.window = 60_000;
    r.send(Flags::ACK, b"");
    let out = r.sent();
    assert_eq!(out.iter().map(|s| &s.text[..]).collect::<Vec<_>>(), [b"waits"]);
}

/// The text of a SYN fills the receive buffer. When the program has read it the peer, which may send nothing, hears of the
/// room.
#[test]
fn what_a_syn_filled_is_told_of_when_it_is_read() {
    use crate::fast_open::Modes;
    let early = Modes::SERVER | Modes::SERVER_NO_COOKIE | Modes::ALL_LISTENERS;
    let tcp =
        TcpConfig { fast_open: early, receive_buffer: 1000, receive_buffer_max: 0, ..TcpConfig::default() };
    let mut r = Raw::new(Config { tcp, ..Config::default() });
    let listener = r.listen(8);
    r.send(Flags::SYN, &[7; 900]);
    let out = r.sent();
    assert_eq!((out.len(), out[0].header.ack.get(), out[0].header.window), (1, 1901, 100));
    let id = r.host.try_accept(listener).unwrap();
    r.ack = out[0].header.seq.get().wrapping_add(1);
    r.send(Flags::ACK, b"");
    assert!(r.sent().is_empty());
    assert_eq!(r.host.try_read(id, &mut [0; 2000]), Ok(900));
    let out = r.sent();
    assert_eq!((out.len(), out.first().map(|s| s.header.window)), (1, Some(1000)));
}

/// The window a SYN,ACK tells is narrow, as it has no scale; that it could be wider is nothing to hear of before more has
/// come.
#[test]
fn what_a_syn_brought_widens_no_window() {
    use crate::fast_open::Modes;
    let early = Modes::SERVER | Modes::SERVER_NO_COOKIE | Modes::ALL_LISTENERS;
    let tcp = TcpConfig { fast_open: early, receive_buffer: 1 << 20, ..TcpConfig::default() };
    let mut r = Raw::new(Config { tcp, ..Config::default() });
    r.syn.window_scale = Some(7);
    let listener = r.listen(8);
    r.send(Flags::SYN, &[7; 900]);
    let out = r.sent();
    let id = r.host.try_accept(listener).unwrap();
    r.ack = out[0].header.seq.get().wrapping_add(1);
    r.send(Flags::ACK, b"");
    assert_eq!(r.host.try_read(id, &mut [0; 2000]), Ok(900));
    assert!(r.sent().is_empty());
}

/// A buffer of two segments, of which as much is offered as there was room for when one had come: hardly more than a
/// segment. The few octets by which the window then trails must not keep the reader from offering it anew.
#[test]
fn a_buffer_of_two_segments_does_not_stall() {
    let mut p = Pair::new();
    for host in &mut p.hosts {
        let config = host.config_mut();
        config.mtu = 65_535;
        let tcp = &mut config.tcp;
        (tcp.send_buffer, tcp.send_buffer_max) = (128 << 10, 128 << 10);
        (tcp.receive_buffer, tcp.receive_buffer_max) = (128 << 10, 128 << 10);
    }
    let (c, s) = p.connected();
    let began = p.now;
    p.transfer((0, c), (1, s), &pattern(4_000_000));
    // A round trip for each segment, and for a few of them a delayed acknowledgment.
    let took = p.now.saturating_since(began);
    assert!(took < 80 * 2 * DELAY, "{took:?}");
}

/// A program that waits for as much as the buffer takes is told when no more can come: the window field counts in units, of
/// 1,024 octets where the buffer may become large, and what is less than one is room that the peer never hears of.
#[test]
fn who_waits_for_a_full_buffer_is_told_when_no_more_can_come() {
    let mut late = Vec::new();
    for mss in [100, 536, 1000, 1460, 2000] {
        for (size, step) in [2_500, 5_000, 20_000, 65_535, 65_536, 100_000, 219_999]
            .into_iter()
            .flat_map(|size| [(size, 220_000), (size, 1_000), (size, 33_333)])
        {
            let tcp = TcpConfig { receive_buffer: 220_000, ..TcpConfig::default() };
            let mut p = Pair::with(&tcp);
            p.hosts.iter_mut().for_each(|host| host.config_mut().mtu = mss + 40);
            let (c, s) = p.connected();
            let options = p.hosts[1].options(s).unwrap();
            let (began, mut written) = (p.now, 0);
            let mut shrinks = options.receive_buffer;
            let data = pattern(600_000);
            p.run(|p| {
                let now = p.now;
                if shrinks > size {
                    shrinks = shrinks.saturating_sub(step).max(size);
                    let options =
                        SocketOptions { receive_buffer: shrinks, receive_low_water: u32::MAX, ..options };
                    p.hosts[1].set_options(s, options, now).unwrap();
                }
                while let Ok(n @ 1..) = p.hosts[0].try_write(c, &data[written..], now) {
                    written += n;
                }
                let told = p.hosts[1].readiness(s).contains(Readiness::READABLE);
                told || now.saturating_since(began) > Duration::from_secs(60)
            });
            let took = p.now.saturating_since(began);
            if took > Duration::from_secs(1) {
                late.push((mss, size, step, took));
            }
        }
    }
    assert_eq!(late, []);
}

/// A FIN is in the window as an octet is (RFC 9293 §3.4): where the text before it fills the window, it is still to come, also
/// where the segment is the predicted one but for that.
#[test]
fn a_fin_counts_in_the_window() {
    for whole in [false, true] {
        for beyond in [0, 1] {
            let tcp = TcpConfig { receive_buffer: 900, receive_buffer_max: 0, ..TcpConfig::default() };
            let mut r = Raw::new(Config { tcp, ..Config::default() });
            r.syn.sack_permitted = true;
            let id = r.accepted();
            r.write(id, b"reply");
            let out = r.sent();
            r.ack = r.ack.wrapping_add(out[0].text.len() as u32);
            let (nxt, room) = (r.tcb(id).rcv.nxt, r.tcb(id).rcv.wnd);
            let before = short_cuts::count();
            short_cuts::close(whole);
            r.send(Flags::ACK | Flags::FIN, &vec![7; (room - 1 + beyond) as usize]);
            short_cuts::close(false);
            let taken = short_cuts::count() - before;
            assert_eq!(taken, usize::from(!whole && beyond == 0), "{beyond} beyond");
            assert_eq!(r.tcb(id).rcv.nxt.since(nxt), room, "{beyond} beyond");
            assert_eq!(r.tcb(id).snd.outstanding(), 0);
            let state = if beyond == 0 { State::CloseWait } else { State::Established };
            assert_eq!(r.state(id), state, "{beyond} beyond");
        }
    }
}
