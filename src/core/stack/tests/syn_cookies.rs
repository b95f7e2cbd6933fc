//! A flood of connection requests, and who gets through it by a SYN cookie (RFC 4987 §3.6).

use super::raw::Raw;
use super::*;
use crate::config::{SynCookies, TcpConfig};
use crate::seq::Seq;
use crate::tcp::tcb::Is;
use crate::wire::options::{Options, Timestamps};

fn host(syn_cookies: SynCookies) -> (Raw, SocketId) {
    let tcp = TcpConfig { syn_cookies, max_syn_backlog: 4, ..TcpConfig::default() };
    let mut r = Raw::new(Config { tcp, ..Config::default() });
    let listener = r.listen(100);
    (r, listener)
}

/// A SYN from each of so many ports; their ACKs never come.
fn flood(r: &mut Raw, requests: u16) {
    for port in 10_000..10_000 + requests {
        (r.ports.1, r.seq, r.ack) = (port, 1000, 0);
        r.send(Flags::SYN, b"");
        r.sent();
    }
    (r.ports.1, r.seq, r.ack) = (5000, 1000, 0);
}

fn everything() -> Options {
    Options { mss: Some(1432), window_scale: Some(7), sack_permitted: true, ..Options::default() }
}

fn echo(sent: &raw::Sent, value: u32) -> Options {
    let timestamps = sent.options.timestamps.map(|ts| Timestamps { value, echo: ts.value });
    Options { timestamps, ..Options::default() }
}

//= https://www.rfc-editor.org/rfc/rfc4987#section-3.6
//= type=test
//= id=rfc4987-3.6-s1, rfc4987-3.6-s3
//= https://www.rfc-editor.org/rfc/rfc4987#section-3.7
//= type=test
//= id=rfc4987-3.7-s1
//= https://www.rfc-editor.org/rfc/rfc4987#section-4
//= type=test
//= id=rfc4987-4-1, rfc4987-4-2
#[test]
fn a_client_gets_through_a_flood_with_its_options() {
    let (mut r, listener) = host(SynCookies::WhenFull);
    flood(&mut r, 4);
    let (slots, counters) = (r.host.slots(), r.host.counters().clone());
    assert_eq!((slots, counters.tcp_syncookies_sent, counters.tcp_passive_opens), (5, 0, 4));
    flood(&mut r, 2000);
    // Four of the ports had asked before.
    let counters = r.host.counters().clone();
    assert_eq!((r.host.slots(), counters.tcp_passive_opens), (slots, 4), "nothing is kept of them");
    assert_eq!((counters.tcp_syncookies_sent, counters.tcp_req_q_full_do_cookies), (1996, 1996));
    assert_eq!(counters.tcp_listen_drops, 0);

    (r.syn, r.clock) = (everything(), Some(70));
    r.send(Flags::SYN, b"");
    let answer = &r.sent()[0];
    assert!(answer.is(Flags::SYN | Flags::ACK) && answer.options.sack_permitted);
    assert!(answer.options.window_scale.is_some() && answer.options.mss.is_some());
    assert_eq!(r.host.slots(), slots);
    r.now += Duration::from_millis(30);
    let ack = answer.header.seq.get().wrapping_add(1);
    r.inject(1001, ack, Flags::ACK, b"", &echo(answer, 71));
    assert!(r.sent().is_empty());
    let id = r.host.try_accept(listener).unwrap();
    let tcb = r.tcb(id);
    assert_eq!(tcb.state(), State::Established);
    assert!(tcb.is.contains(Is::SACK | Is::SCALED | Is::PASSIVE) && tcb.timestamps.enabled());
    assert_eq!((tcb.snd.scale.shift(), tcb.snd.mss, tcb.snd.wnd), (7, 1400, 60_000 << 7));
    assert_eq!(tcb.rcv.scale.shift(), answer.options.window_scale.unwrap());
    assert_eq!((tcb.rtt.srtt(), tcb.is.contains(Is::SYN_TIMED_OUT)), (None, false), "no time was kept");
    assert_eq!((tcb.rcv.irs, tcb.snd.iss.get()), (Seq::new(1000), ack.wrapping_sub(1)));
    let counters = r.host.counters();
    assert_eq!((counters.tcp_syncookies_recv, counters.tcp_syncookies_failed), (1, 0));
    assert_eq!((counters.tcp_passive_opens, counters.tcp_curr_estab), (5, 1));
    r.write(id, b"hello");
    let out = r.sent();
    let shown = out[0].options.timestamps.unwrap();
    let stamp = answer.options.timestamps.unwrap();
    assert_eq!((out[0].text.as_slice(), shown.echo), (&b"hello"[..], 71));
    assert!((30..=94).contains(&shown.value.wrapping_sub(stamp.value)), "our clock runs on");
}

//= https://www.rfc-editor.org/rfc/rfc4987#section-3.6
//= type=test
//= id=rfc4987-3.6-s4
#[test]
fn without_timestamps_a_cookie_has_room_for_the_size_alone() {
    let (mut r, listener) = host(SynCookies::WhenFull);
    flood(&mut r, 5);
    r.syn = everything();
    r.send(Flags::SYN, b"");
    let answer = r.sent().remove(0);
    assert_eq!((answer.options.window_scale, answer.options.sack_permitted), (None, false));
    // The ACK was lost; what follows brings the cookie too.
    r.ack = answer.header.seq.get().wrapping_add(1);
    r.send(Flags::ACK, b"early");
    let id = r.host.try_accept(listener).unwrap();
    let tcb = r.tcb(id);
    assert!(!tcb.is.intersects(Is::SACK | Is::SCALED) && !tcb.timestamps.enabled());
    assert_eq!((tcb.snd.mss, tcb.snd.wnd), (1400, 60_000));
    let mut buf = [0; 9];
    assert_eq!(r.host.try_read(id, &mut buf), Ok(5));
}

#[test]
fn forged_acknowledgments_do_not_get_in() {
    let (mut r, listener) = host(SynCookies::WhenFull);
    let forge = |r: &mut Raw, ack: u32| {
        r.inject(1001, ack, Flags::ACK, b"", &Options::default());
        let out = r.sent();
        assert_eq!((out.len(), out[0].header.flags, out[0].header.seq.get()), (1, Flags::RST, ack));
    };
    forge(&mut r, 77);
    assert_eq!(r.host.counters().tcp_syncookies_failed, 0, "none was sent");
    flood(&mut r, 5);
    r.send(Flags::SYN, b"");
    let ack = r.sent()[0].header.seq.get().wrapping_add(1);
    for n in 1..5000u32 {
        forge(&mut r, ack.wrapping_add(n.wrapping_mul(0x9e37_79b9)));
    }
    r.ports.1 = 5001;
    forge(&mut r, ack);
    assert_eq!(r.host.counters().tcp_syncookies_failed, 5000);
    r.ports.1 = 5000;
    r.inject(1001, ack, Flags::ACK | Flags::SYN, b"", &Options::default());
    r.inject(1001, ack, Flags::ACK | Flags::RST, b"", &Options::default());
    r.wait(Duration::from_secs(120));
    forge(&mut r, ack);
    assert_eq!(
        r.host.counters().tcp_syncookies_failed,
        5000,
        "so long after the last no cookie is looked for"
    );
    assert_eq!(r.host.try_accept(listener), Err(Error::WouldBlock));
}

/// An old cookie is refused though others have left lately.
//= https://www.rfc-editor.org/rfc/rfc4987#section-3.6
//= type=test
//= id=rfc4987-3.6-s2
#[test]
fn a_cookie_grows_old() {
    let (mut r, listener) = host(SynCookies::Always);
    let mut acks = Vec::new();
    for port in [5000, 5001] {
        (r.ports.1, r.seq, r.ack) = (port, 1000, 0);
        r.send(Flags::SYN, b"");
        acks.push(r.sent()[0].header.seq.get().wrapping_add(1));
        r.now += Duration::from_secs(60);
    }
    (r.ports.1, r.seq, r.ack) = (5000, 1001, acks[0]);
    r.send(Flags::ACK, b"");
    assert!(r.sent()[0].is(Flags::RST));
    assert_eq!(r.host.counters().tcp_syncookies_failed, 1);
    (r.ports.1, r.seq, r.ack) = (5001, 1001, acks[1]);
    r.send(Flags::ACK, b"");
    assert!(r.sent().is_empty());
    assert!(r.host.try_accept(listener).is_ok());
}

#[test]
fn never_and_always() {
    let (mut r, _) = host(SynCookies::Never);
    flood(&mut r, 10);
    r.send(Flags::SYN, b"");
    assert!(r.sent().is_empty());
    let counters = r.host.counters();
    assert_eq!((counters.tcp_req_q_full_drop, counters.tcp_syncookies_sent), (7, 0));

    let (mut r, listener) = host(SynCookies::Always);
    r.handshake();
    assert!(r.host.try_accept(listener).is_ok());
    let counters = r.host.counters();
    assert_eq!((counters.tcp_syncookies_sent, counters.tcp_syncookies_recv), (1, 1));
    assert_eq!((counters.tcp_req_q_full_do_cookies, counters.tcp_req_q_full_drop), (0, 0));
}

/// Whatever size a peer says, a cookie says one that is no larger; what it says below the least that we send anyway, as without
/// a cookie.
#[test]
fn no_size_is_too_small_for_a_cookie() {
    for (asked, sends) in [(535, 256), (256, 256), (255, 64), (64, 64), (63, 64), (0, 64)] {
        let (mut r, listener) = host(SynCookies::Always);
        r.syn.mss = Some(asked);
        r.handshake();
        let id = r.host.try_accept(listener).unwrap();
        assert_eq!(r.tcb(id).snd.mss, sends, "{asked}");
        let counters = r.host.counters();
        assert_eq!((counters.tcp_syncookies_sent, counters.tcp_syncookies_recv), (1, 1));
        assert_eq!((counters.tcp_req_q_full_drop, counters.tcp_listen_drops), (0, 0));
    }
}

/// Nobody can be accepted: the ACK is dropped, and what follows it gets in when there is room.
#[test]
fn a_cookie_waits_for_room() {
    let tcp = TcpConfig { syn_cookies: SynCookies::Always, ..TcpConfig::default() };
    let mut r = Raw::new(Config { tcp, ..Config::default() });
    let listener = r.listen(0);
    let mut acks = Vec::new();
    for port in [5000, 5001] {
        (r.ports.1, r.seq, r.ack) = (port, 1000, 0);
        r.send(Flags::SYN, b"");
        acks.push(r.sent()[0].header.seq.get().wrapping_add(1));
    }
    for (port, ack) in [5000, 5001].into_iter().zip(acks) {
        (r.ports.1, r.seq, r.ack) = (port, 1001, ack);
        r.send(Flags::ACK, b"");
        assert!(r.sent().is_empty());
    }
    assert_eq!((r.host.slots(), r.host.counters().tcp_listen_overflows), (2, 1));
    r.host.try_accept(listener).unwrap();
    r.send(Flags::ACK, b"data");
    let late = r.host.try_accept(listener).unwrap();
    assert_eq!(r.host.remote_endpoint(late).unwrap().port, 5001);
}

//= https://www.rfc-editor.org/rfc/rfc4987#section-4
//= type=test
//= id=rfc4987-4-3
#[test]
fn a_cookie_leaves_under_the_flow_label_of_the_connection() {
    use super::six::{Six, US, a, segment_of};
    let mut config = Config::default();
    config.tcp.syn_cookies = SynCookies::Always;
    let mut s = Six::new(config);
    let listener = s.host.tcp_socket(Family::V6);
    s.host.bind(listener, Endpoint::new(a(US), 4000)).unwrap();
    s.host.listen(listener, 5).unwrap();
    s.segment(4000, 1000, 0, Flags::SYN, &Options { mss: Some(1440), ..Options::default() });
    let label = |packet: &[u8]| crate::wire::ip::parse(packet).unwrap().header.flow_label;
    let answer = &s.sent()[0];
    assert_ne!(label(answer), 0);
    s.segment(4000, 1001, segment_of(answer).0.wrapping_add(1), Flags::ACK, &Options::default());
    let id = s.host.try_accept(listener).unwrap();
    assert_eq!(s.host.counters().tcp_syncookies_recv, 1);
    assert_eq!(label(&s.write(id, 100)[0]), label(answer));
}
