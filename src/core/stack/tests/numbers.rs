//! Sequence numbers from places where they go round, and errors about some of them.

use super::raw::Raw;
use super::*;
use crate::addr::Quad;
use crate::config::TcpConfig;
use crate::wire::ip::{self, protocol};

/// Moves time so that the connection which `host` opens `later` has this initial sequence number.
fn aim(p: &mut Pair, host: usize, later: Duration, iss: u32) {
    let ends = [Endpoint::new(v4(1), 4000), Endpoint::new(v4(2), 80)];
    let quad = Quad { local: ends[host], remote: ends[1 - host] };
    let there = p.hosts[host].keys.isn(&quad, p.now + later).get();
    p.now += Duration::from_micros(4 * u64::from(iss.wrapping_sub(there)));
    assert_eq!(p.hosts[host].keys.isn(&quad, p.now + later).get(), iss);
}

#[test]
fn numbers_go_round_under_loss() {
    let losses: [fn(usize, &[u8]) -> bool; 3] =
        [|_, _| true, |n, _| n % 7 != 0, |n, _| n % 13 != 0 && n % 17 != 3];
    for iss in [u32::MAX, u32::MAX - 1, u32::MAX - 40_000, 0x7fff_ffff, 0x7fff_ffff - 40_000] {
        for (host, later) in [(0, Duration::ZERO), (1, DELAY)] {
            for pass in losses {
                let mut p = Pair::new();
                aim(&mut p, host, later, iss);
                let listener = p.listen();
                let c = p.hosts[0].tcp_socket(Family::V4);
                p.hosts[0].bind(c, Endpoint::new(v4(1), 4000)).unwrap();
                let now = p.now;
                let _ = p.hosts[0].connect(c, Endpoint::new(v4(2), 80), now);
                let mut s = None;
                p.run(|p| {
                    s = p.hosts[1].try_accept(listener).ok();
                    s.is_some()
                });
                let s = s.unwrap();
                p.pass = pass;
                p.transfer((0, c), (1, s), &pattern(200_000));
                p.transfer((1, s), (0, c), &pattern(200_000));
                let now = p.now;
                p.hosts[0].shutdown(c, Shutdown::Write, now).unwrap();
                p.transfer((1, s), (0, c), &pattern(50_000));
                let now = p.now;
                p.hosts[1].close(s, now).unwrap();
                p.run(|p| p.hosts[0].readiness(c).contains(Readiness::READ_CLOSED));
                let now = p.now;
                p.hosts[0].close(c, now).unwrap();
                p.run(|_| false);
                assert_eq!((p.hosts[0].slots(), p.hosts[1].slots()), (0, 1), "{iss:#x}");
            }
        }
    }
}

impl Raw {
    /// A router says that a segment of ours with this sequence number could not go on.
    pub(super) fn unreachable(&mut self, seq: u32, code: u8, mtu: u16) {
        self.router_says([3, code], mtu, seq);
    }

    /// An ICMP message of a router, type and code, about a segment of ours with this sequence number.
    pub(super) fn router_says(&mut self, kind_and_code: [u8; 2], mtu: u16, seq: u32) {
        let mut quoted = Vec::new();
        let ours = ip::Header {
            src: v4(1),
            dst: v4(2),
            protocol: protocol::TCP,
            hop_limit: 60,
            traffic_class: 0,
            flow_label: 0,
            dont_fragment: true,
            fragment: None,
        };
        ours.emit(1000, 1, &mut quoted).unwrap();
        quoted.extend_from_slice(&self.ports.0.to_be_bytes());
        quoted.extend_from_slice(&self.ports.1.to_be_bytes());
        quoted.extend_from_slice(&seq.to_be_bytes());
        let [kind, code] = kind_and_code;
        let mut message = vec![kind, code, 0, 0, 0, 0];
        message.extend_from_slice(&mtu.to_be_bytes());
        message.extend_from_slice(&quoted);
        let sum = crate::wire::checksum::Sum::default().add(&message).finish();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let router = ip::Header { src: v4(9), dst: v4(1), protocol: protocol::ICMP, ..ours };
        let mut packet = Vec::new();
        router.emit(message.len(), 2, &mut packet).unwrap();
        packet.extend_from_slice(&message);
        self.host.receive(self.now, Inbound::plain(&packet));
        self.host.check_invariants();
    }
}

/// RFC 5927: a hard error ends an attempt, and no connection that stands; in any state only what is in flight is
/// believed.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
//= type=test
//= id=MUST-54, MUST-56
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.2.1
//= type=test
//= id=rfc1122-3.2.2.1-3

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.7
//= type=test
//= id=rfc7323-5.7-1
//= https://www.rfc-editor.org/rfc/rfc1191#section-3
//= type=test
//= id=rfc1191-3-1, rfc1191-3-2, rfc1191-3-4
#[test]
fn errors_about_segments_in_each_state() {
    let mut r = Raw::new(Config::default());
    let (id, syn) = r.connect();
    let iss = syn.header.seq.get();
    r.unreachable(iss.wrapping_sub(1), 3, 0);
    r.unreachable(iss.wrapping_add(1), 3, 0);
    assert_eq!(r.state(id), State::SynSent);
    r.unreachable(iss, 1, 0);
    assert_eq!(r.state(id), State::SynSent, "a soft one");
    r.unreachable(iss, 3, 0);
    assert_eq!(r.state(id), State::Closed);
    assert!(r.host.take_error(id).is_some());

    // A request that no program knows of yet is forgotten; our SYN,ACK's number has to be right.
    let mut r = Raw::new(Config::default());
    r.listen(8);
    r.send(Flags::SYN, b"");
    let iss = r.sent()[0].header.seq.get();
    let slots = r.host.slots();
    r.unreachable(iss.wrapping_add(1), 3, 0);
    r.unreachable(iss, 1, 0);
    assert_eq!(r.host.slots(), slots, "a soft one");
    r.unreachable(iss, 3, 0);
    assert_eq!(r.host.slots(), slots - 1);
    r.ack = iss.wrapping_add(1);
    r.send(Flags::ACK, b"");
    assert!(r.sent()[0].is(Flags::RST));

    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.unreachable(r.ack, 3, 0);
    r.write(id, &[0; 5000]);
    let out = r.sent();
    let una = r.ack;
    r.unreachable(una, 3, 0);
    assert_eq!(r.state(id), State::Established);
    // Path MTU: too big what was never that big is not believed, a real one makes smaller pieces at once.
    r.unreachable(una.wrapping_add(5000), 4, 600);
    assert!(r.sent().is_empty());
    let cwnd = r.tcb(id).congestion.cwnd();
    r.unreachable(una, 4, 600);
    let again = r.sent();
    assert!(!again.is_empty() && again.iter().all(|s| s.text.len() <= 560), "{again:?}");
    assert_eq!(again[0].header.seq.get(), una);
    assert!(r.tcb(id).congestion.cwnd() >= cwnd * 5 / 10, "no congestion");
    assert_eq!(r.tcb(id).congestion.ssthresh(), u32::MAX);
    r.acknowledge(&out);
    r.unreachable(una, 4, 300);
    assert_eq!(r.tcb(id).snd.mss, 560, "nothing in flight");
    let now = r.now;
    r.host.shutdown(id, Shutdown::Write, now).unwrap();
    let fin = r.sent();
    r.unreachable(fin[0].header.seq.get(), 3, 0);
    assert_eq!(r.state(id), State::FinWait1);
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.2.2
//= type=test
//= id=SHLD-26
#[test]
fn a_hard_error_ends_a_connection_where_that_was_decided() {
    let config = TcpConfig { abort_on_hard_icmp: true, ..TcpConfig::default() };
    let mut r = Raw::new(Config { tcp: config, ..Config::default() });
    let id = r.accepted();
    r.write(id, &[0; 100]);
    r.sent();
    r.unreachable(r.ack, 1, 0);
    assert_eq!(r.state(id), State::Established, "a soft one");
    r.unreachable(r.ack.wrapping_sub(1), 3, 0);
    assert_eq!(r.state(id), State::Established, "about nothing in flight");
    r.unreachable(r.ack, 3, 0);
    assert_eq!(r.state(id), State::Closed);
    assert_eq!(r.host.take_error(id), Some(Error::Refused));
}
