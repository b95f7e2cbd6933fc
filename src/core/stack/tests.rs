//! Two stacks joined by a wire with a delay, in virtual time.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::addr::Prefix;
use crate::config::TcpConfig;
use crate::error::Error;
use crate::sockopt::Shutdown;
use crate::tcp::state::State;
use crate::time::Duration;
use crate::wire::flags::Flags;

mod arrives;
mod backlog;
mod binding;
mod bursts;
mod chaos;
mod clauses;
mod closing;
mod connecting;
mod datagrams;
mod defer_accept;
mod differ;
mod disconnect;
mod ecn;
mod edges;
mod expected;
mod handshake;
mod holding;
mod invariants;
mod last_ack;
mod linux;
mod numbers;
mod overflow;
mod pacing;
mod path;
mod raw;
mod syn_cookies;

mod joined;
mod lent;
mod segmentation;

mod rfc1122;
mod rfc792;
mod rfc8200;

mod rfc1191;
mod rfc2018;
mod rfc4443;
mod rfc5961;
mod rfc7323;
mod rfc8201;
mod six;

mod recovery;
mod replies;
mod reports;
mod rfc4821;
mod rfc5482;
mod rfc5681;
mod rfc6298;
mod rfc8985;
mod rfc9293;
mod room;
mod scarcity;
mod shards;
mod short_cuts;
mod starving;
mod storm;
mod tuning;
mod turns;
mod urgent;
mod windows;
mod writing;

const DELAY: Duration = Duration::from_millis(10);

struct Pair {
    now: Instant,
    hosts: [Stack; 2],
    /// What is under way: when it arrives, to which host.
    wire: VecDeque<(Instant, usize, Vec<u8>)>,
    /// Gives false for a packet to lose: its number and its octets.
    pass: fn(usize, &[u8]) -> bool,
    sent: usize,
    /// All that was sent, lost or not: when, by which host.
    log: Option<Vec<(Instant, usize, Vec<u8>)>>,
    /// How many packets stood for several.
    joined: usize,
}

fn v4(last: u8) -> Address {
    Address::from_v4_octets([10, 7, 0, last])
}

impl Pair {
    fn new() -> Self {
        Self::with(&TcpConfig::default())
    }

    fn with(tcp: &TcpConfig) -> Self {
        let host = |n: u8| {
            let addresses = vec![Prefix::new(v4(n), 24)];
            let config = Config { addresses, tcp: tcp.clone(), ..Config::default() };
            Stack::new(config, [n; 32])
        };
        Self {
            now: Instant::from_secs(1),
            hosts: [host(1), host(2)],
            wire: VecDeque::new(),
            pass: |_, _| true,
            sent: 0,
            log: None,
            joined: 0,
        }
    }

    fn pump(&mut self) -> Option<Instant> {
        let mut next: Option<Instant> = self.wire.front().map(|w| w.0);
        for (i, host) in self.hosts.iter_mut().enumerate() {
            let (wire, sent, pass, now) = (&mut self.wire, &mut self.sent, self.pass, self.now);
            let (log, joined) = (&mut self.log, &mut self.joined);
            let deadline = drive(
                host,
                now,
                |d| {
                    *joined += usize::from(d.gso_size > 0);
                    for packet in segmentation::cut(&d) {
                        *sent += 1;
                        if let Some(log) = log {
                            log.push((now, i, packet.clone()));
                        }
                        if pass(*sent, &packet) {
                            wire.push_back((now + DELAY, 1 - i, packet));
                        }
                    }
                },
                |_| {},
            );
            next = [next, deadline, self.wire.front().map(|w| w.0)].into_iter().flatten().min();
        }
        next
    }

    /// Runs until nothing happens any more, or `until` is true.
    fn run(&mut self, mut until: impl FnMut(&mut Self) -> bool) {
        for _ in 0..1_000_000 {
            let next = self.pump();
            if until(self) {
                return;
            }
            let Some(next) = self.pump().or(next) else { return };
            self.now = self.now.max(next);
            while self.wire.front().is_some_and(|w| w.0 <= self.now) {
                let (_, to, packet) = self.wire.pop_front().unwrap();
                self.hosts[to].receive(self.now, Inbound::plain(&packet));
            }
        }
        panic!("does not come to rest");
    }

    fn listen(&mut self) -> SocketId {
        let id = self.hosts[1].tcp_socket(Family::V4);
        self.hosts[1].bind(id, Endpoint::new(Address::UNSPECIFIED_V4, 80)).unwrap();
        self.hosts[1].listen(id, 16).unwrap();
        id
    }

    fn connected(&mut self) -> (SocketId, SocketId) {
        let listener = self.listen();
        let client = self.hosts[0].tcp_socket(Family::V4);
        let now = self.now;
        assert_eq!(self.hosts[0].connect(client, Endpoint::new(v4(2), 80), now), Err(Error::InProgress));
        let mut server = None;
        self.run(|p| {
            server = p.hosts[1].try_accept(listener).ok();
            server.is_some()
        });
        assert_eq!(self.hosts[0].state(client), Some(State::Established));
        (client, server.unwrap())
    }

    /// Writes `data` on one side as room allows and reads the other until all has come.
    fn transfer(&mut self, from: (usize, SocketId), to: (usize, SocketId), data: &[u8]) {
        let (mut written, mut read) = (0, Vec::new());
        self.run(|p| {
            let now = p.now;
            while written < data.len() {
                match p.hosts[from.0].try_write(from.1, &data[written..], now) {
                    Ok(n) => written += n,
                    Err(Error::WouldBlock) => break,
                    Err(e) => panic!("{e}"),
                }
            }
            let mut buf = [0; 4096];
            while let Ok(n) = p.hosts[to.0].try_read(to.1, &mut buf) {
                assert!(n > 0, "end of file after {}", read.len());
                read.extend_from_slice(&buf[..n]);
            }
            read.len() == data.len()
        });
        assert_eq!(read, data);
    }
}

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 + i / 251) as u8).collect()
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.6
//= type=test
//= id=MUST-12
#[test]
fn handshake_data_and_orderly_close() {
    let mut p = Pair::new();
    let (c, s) = p.connected();
    p.transfer((0, c), (1, s), &pattern(300_000));
    p.transfer((1, s), (0, c), &pattern(300_000));
    let now = p.now;
    p.hosts[0].shutdown(c, Shutdown::Write, now).unwrap();
    p.run(|p| p.hosts[1].readiness(s).contains(Readiness::READ_CLOSED));
    assert_eq!(p.hosts[1].try_read(s, &mut [0; 10]), Ok(0));
    assert_eq!(p.hosts[1].state(s), Some(State::CloseWait));
    p.run(|p| p.hosts[0].state(c) == Some(State::FinWait2));
    p.transfer((1, s), (0, c), &pattern(2_000_000));
    let now = p.now;
    p.hosts[1].close(s, now).unwrap();
    p.run(|p| p.hosts[0].state(c) == Some(State::TimeWait));
    assert_eq!(p.hosts[0].try_read(c, &mut [0; 10]), Ok(0));
    assert_eq!(p.hosts[0].try_write(c, b"x", now), Err(Error::BrokenPipe));
    p.hosts[0].close(c, now).unwrap();
    p.run(|_| false);
    assert_eq!(p.hosts[0].slots(), 0);
    assert_eq!(p.hosts[1].slots(), 1, "the listener");
}

#[test]
fn every_seventh_packet_lost() {
    let mut p = Pair::new();
    p.pass = |n, _| n % 7 != 0;
    let (c, s) = p.connected();
    p.transfer((0, c), (1, s), &pattern(500_000));
    p.transfer((1, s), (0, c), &pattern(500_000));
    let now = p.now;
    p.hosts[0].close(c, now).unwrap();
    p.hosts[1].close(s, now).unwrap();
    p.run(|_| false);
    assert_eq!((p.hosts[0].slots(), p.hosts[1].slots()), (0, 1));
    assert!(p.hosts[0].counters().tcp_fast_retrans > 0);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1
//= type=test
//= id=STEP-3.10.7.1-3
#[test]
fn nobody_listens() {
    let mut p = Pair::new();
    let c = p.hosts[0].tcp_socket(Family::V4);
    let now = p.now;
    assert_eq!(p.hosts[0].connect(c, Endpoint::new(v4(2), 81), now), Err(Error::InProgress));
    p.run(|p| p.hosts[0].state(c) == Some(State::Closed));
    assert_eq!(p.hosts[0].take_error(c), Some(Error::Refused));
    assert_eq!(p.hosts[1].counters().tcp_out_rsts, 1);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
//= type=test
//= id=MUST-23
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.3
//= type=test
//= id=MUST-22
#[test]
fn a_black_hole_times_out_after_at_least_three_minutes() {
    let mut p = Pair::new();
    p.pass = |_, _| false;
    let c = p.hosts[0].tcp_socket(Family::V4);
    let began = p.now;
    assert_eq!(p.hosts[0].connect(c, Endpoint::new(v4(2), 81), began), Err(Error::InProgress));
    p.run(|p| p.hosts[0].state(c) == Some(State::Closed));
    assert_eq!(p.hosts[0].take_error(c), Some(Error::TimedOut));
    assert!(p.now.saturating_since(began) >= Duration::from_secs(180));
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.6
//= type=test
//= id=MUST-12
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
//= type=test
//= id=SHLD-3
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
//= type=test
//= id=MAY-1
#[test]
fn close_with_unread_data_resets() {
    let mut p = Pair::new();
    let (c, s) = p.connected();
    let now = p.now;
    p.hosts[0].try_write(c, b"unread", now).unwrap();
    p.run(|p| p.hosts[1].readiness(s).contains(Readiness::READABLE));
    let now = p.now;
    p.hosts[1].close(s, now).unwrap();
    p.run(|p| p.hosts[0].state(c) == Some(State::Closed));
    assert_eq!(p.hosts[0].try_read(c, &mut [0; 10]), Err(Error::Reset));
    assert_eq!(p.hosts[0].try_read(c, &mut [0; 10]), Ok(0));
    assert_eq!(p.hosts[1].slots(), 1);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
//= type=test
//= id=MUST-36
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.1
//= type=test
//= id=MAY-8
#[test]
fn a_closed_window_is_probed_for_hours_and_opens() {
    let mut p = Pair::new();
    let (c, s) = p.connected();
    let data = pattern(3_000_000);
    let (mut written, began) = (0, p.now);
    p.run(|p| {
        let now = p.now;
        while let Ok(n) = p.hosts[0].try_write(c, &data[written..], now) {
            written += n;
        }
        now.saturating_since(began) > Duration::from_secs(5 * 3600)
    });
    assert!(p.hosts[0].counters().tcp_window_probes > 10);
    assert_eq!(p.hosts[0].state(c), Some(State::Established));
    let mut read = Vec::new();
    p.run(|p| {
        let mut buf = [0; 65536];
        while let Ok(n) = p.hosts[1].try_read(s, &mut buf) {
            read.extend_from_slice(&buf[..n]);
        }
        read.len() == written
    });
    assert_eq!(read, data[..written]);
}

#[test]
fn both_close_at_once() {
    let mut p = Pair::new();
    let (c, s) = p.connected();
    let now = p.now;
    p.hosts[0].shutdown(c, Shutdown::Write, now).unwrap();
    p.hosts[1].shutdown(s, Shutdown::Write, now).unwrap();
    let mut closing = false;
    p.run(|p| {
        closing |= p.hosts[0].state(c) == Some(State::Closing);
        p.hosts[0].state(c) == Some(State::TimeWait) && p.hosts[1].state(s) == Some(State::TimeWait)
    });
    assert!(closing);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.5
//= type=test
//= id=MUST-10
#[test]
fn both_open_at_once() {
    let mut p = Pair::new();
    let now = p.now;
    let mut ids = Vec::new();
    for (i, other) in [(0, 2), (1, 1)] {
        let id = p.hosts[i].tcp_socket(Family::V4);
        p.hosts[i].bind(id, Endpoint::new(v4(i as u8 + 1), 7000)).unwrap();
        assert_eq!(p.hosts[i].connect(id, Endpoint::new(v4(other), 7000), now), Err(Error::InProgress));
        ids.push(id);
    }
    let mut received = false;
    p.run(|p| {
        received |= p.hosts[0].state(ids[0]) == Some(State::SynReceived);
        (0..2).all(|i| p.hosts[i].state(ids[i]) == Some(State::Established))
    });
    assert!(received);
    p.transfer((0, ids[0]), (1, ids[1]), &pattern(100_000));
    p.transfer((1, ids[1]), (0, ids[0]), &pattern(100_000));
}

#[test]
fn two_idle_ends_fall_silent() {
    let mut p = Pair::new();
    let (c, s) = p.connected();
    p.transfer((0, c), (1, s), &pattern(10_000));
    p.run(|_| false);
    let sent = p.sent;
    p.now += Duration::from_secs(3600);
    p.run(|_| false);
    assert_eq!(p.sent, sent);
}

#[test]
fn a_connection_to_oneself() {
    let mut p = Pair::new();
    let listener = p.listen();
    let client = p.hosts[1].tcp_socket(Family::V4);
    let to = Endpoint::new(Address::from_v4_octets([127, 0, 0, 1]), 80);
    let now = p.now;
    assert_eq!(p.hosts[1].connect(client, to, now), Err(Error::InProgress));
    let mut server = None;
    p.run(|p| {
        server = p.hosts[1].try_accept(listener).ok();
        server.is_some()
    });
    p.transfer((1, client), (1, server.unwrap()), &pattern(100_000));
    assert_eq!(p.sent, 0, "nothing leaves the host");
}

#[test]
fn no_syn_is_answered_without_a_listener_by_anything_but_a_reset() {
    let mut p = Pair::new();
    p.pass = |n, packet| n != 1 || Flags::from_bits_truncate(u16::from(packet[33])).contains(Flags::SYN);
    let c = p.hosts[0].tcp_socket(Family::V4);
    let now = p.now;
    let _ = p.hosts[0].connect(c, Endpoint::new(v4(2), 9), now);
    p.run(|_| false);
    assert_eq!(p.sent, 2);
}
