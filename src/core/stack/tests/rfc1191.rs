//! Clauses of RFC 1191: path MTU discovery for IPv4, and what TCP makes of it.

use super::raw::Raw;
use super::*;

//= https://www.rfc-editor.org/rfc/rfc1191#section-6.3
//= type=test
//= id=rfc1191-6.3-1
#[test]
fn an_increase_sends_nothing_again() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.write(id, &[7; 5000]);
    let out = r.sent();
    r.unreachable(r.ack, 4, 600);
    let again = r.sent();
    assert!(!again.is_empty());
    let now = r.now;
    r.tcb(id).path_mss(1460, now);
    r.host.queue_output(id.index());
    assert!(r.sent().is_empty());
    assert_eq!(r.tcb(id).snd.mss, 560);
    r.acknowledge(&out);
}

/// A burst of large segments has as many answers, and each octet is sent again once.
//= https://www.rfc-editor.org/rfc/rfc1191#section-6.4
//= type=test
//= id=rfc1191-6.4-1
#[test]
fn a_burst_of_complaints_is_one_retransmission() {
    let mut r = Raw::new(Config::default());
    let id = r.accepted();
    r.write(id, &[7; 9000]);
    let out = r.sent();
    assert_eq!(out.len(), 9);
    let mut again = Vec::new();
    for s in &out {
        r.unreachable(s.header.seq.get(), 4, 600);
        again.extend(r.sent());
    }
    let mut numbers: Vec<u32> = again.iter().map(|s| s.header.seq.get()).collect();
    let sent = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert!(sent > 1 && numbers.len() == sent, "{sent} segments, {} different", numbers.len());
    assert!(again.iter().all(|s| s.text.len() <= 560));
    assert_eq!(r.host.counters().tcp_fast_retrans, 0);
}

//= https://www.rfc-editor.org/rfc/rfc1191#section-3.1
//= type=test
//= id=rfc1191-3.1-1
#[test]
fn what_a_host_offers_does_not_follow_the_path() {
    let mut r = Raw::new(Config::default());
    let now = r.now;
    assert_eq!(r.host.path_mtu.update(v4(2), 600, 1500, now, 1500), Some(600));
    let (id, syn) = r.connect();
    assert_eq!(syn.options.mss, Some(1460));
    r.syn.mss = Some(1460);
    r.send(Flags::SYN | Flags::ACK, b"");
    r.write(id, &[7; 3000]);
    assert!(r.sent().iter().all(|s| s.text.len() <= 560), "but what it sends does");
}
