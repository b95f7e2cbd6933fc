//! Clauses of RFC 8201: path MTU discovery for IPv6.

use super::six::{PEER, ROUTER, Six, a, segment_of};
use super::*;
use crate::ip::pmtu::PathMtu;
use crate::sockopt::PathMtuDiscovery;
use crate::wire::icmp::Message;

fn six() -> Six {
    Six::new(Config::default())
}

fn too_big(mtu: u32, quoted: &[u8]) -> Message<'_> {
    Message::PacketTooBig { mtu, quoted }
}

/// The peer is on our own link, and the path may be narrower all the same.
//= https://www.rfc-editor.org/rfc/rfc8201#section-1
//= type=test
//= id=rfc8201-1-1
//= https://www.rfc-editor.org/rfc/rfc8201#section-3
//= type=test
//= id=rfc8201-3-2
//= https://www.rfc-editor.org/rfc/rfc8201#section-4
//= type=test
//= id=rfc8201-4-3, rfc8201-4-2, rfc8201-4-4, rfc8201-4-5, rfc8201-4-6, rfc8201-4-7, rfc8201-4-11
//= https://www.rfc-editor.org/rfc/rfc8201#section-5.2
//= type=test
//= id=rfc8201-5.2-2, rfc8201-5.2-6, rfc8201-5.2-11
//= https://www.rfc-editor.org/rfc/rfc8201#section-5.4
//= type=test
//= id=rfc8201-5.4-1, rfc8201-5.4-3
//= https://www.rfc-editor.org/rfc/rfc8201#section-6
//= type=test
//= id=rfc8201-6-1, rfc8201-6-2
#[test]
fn a_packet_too_big_lowers_the_estimate_and_what_is_sent_at_once() {
    let mut s = six();
    let id = s.connected(4000, 1440);
    let out = s.write(id, 5000);
    let (una, _) = segment_of(&out[0]);
    assert_eq!(out[0].len(), 1500);
    let cwnd = s.tcb(id).congestion.cwnd();
    s.complaint(&too_big(1300, &out[0]));
    assert_eq!(s.mtu(PEER), 1300);
    assert_eq!(s.mtu(ROUTER), 1500, "of other paths nothing is known");
    let again = s.sent();
    assert_eq!(segment_of(&again[0]), (una, 1240));
    assert!(again.len() > 1 && again.iter().all(|p| p.len() <= 1300));
    assert_eq!(s.tcb(id).congestion.ssthresh(), u32::MAX, "no sign of congestion");
    assert!(s.tcb(id).congestion.cwnd() / 1240 >= cwnd / 1440, "as many segments as before");
    // New connections begin with it.
    let other = s.connected(4001, 1440);
    assert!(s.write(other, 5000).iter().all(|p| p.len() <= 1300));
    // It cannot be raised by what a router says, and what is too little for IPv6 is no news.
    for mtu in [1400, 9000, 1279, 68, 0] {
        s.complaint(&too_big(mtu, &again[0]));
        assert_eq!((s.mtu(PEER), s.tcb(id).snd.mss), (1300, 1240), "{mtu}");
    }
}

/// Some routers and tools fit the length in the header that they quote to the quotation. What could have been too big is
/// what was sent (RFC 5927 §7.2).
#[test]
fn a_quotation_that_tells_only_its_own_length_is_believed() {
    let mut s = six();
    let id = s.connected(4000, 1440);
    let small = s.write(id, 100);
    let fitted = |packet: &[u8]| {
        let mut quoted = packet[..60].to_vec();
        quoted[4..6].copy_from_slice(&20u16.to_be_bytes());
        quoted
    };
    s.complaint(&too_big(1300, &fitted(&small[0])));
    assert_eq!(s.mtu(PEER), 1500, "nothing in flight was larger");
    let out = s.write(id, 5000);
    s.complaint(&too_big(1300, &fitted(&out[0])));
    assert_eq!(s.mtu(PEER), 1300);
}

/// What was small enough may have passed: it is not sent again.
#[test]
fn only_what_was_too_big_is_sent_again() {
    let mut s = six();
    let id = s.connected(4000, 1440);
    let small = s.write(id, 100);
    let large = s.write(id, 2 * 1440);
    assert_eq!((small.len(), large.len()), (1, 2));
    let (first, _) = segment_of(&large[0]);
    s.complaint(&too_big(1300, &large[0]));
    let again = s.sent();
    assert_eq!(segment_of(&again[0]), (first, 1240));
    assert_eq!(again.iter().map(|p| segment_of(p).1).sum::<usize>(), 2 * 1440);
}

//= https://www.rfc-editor.org/rfc/rfc8201#section-4
//= type=test
//= id=rfc8201-4-1
#[test]
fn what_quotes_nothing_of_ours_is_not_believed() {
    let mut s = six();
    let id = s.connected(4000, 1440);
    let out = s.write(id, 5000);
    let forged = |at: usize, value: u8| {
        let mut quoted = out[0].clone();
        quoted[at] ^= value;
        quoted
    };
    // Another of our addresses, another port of ours or of the peer's, a number far from what is in flight.
    for quoted in [forged(23, 9), forged(41, 1), forged(43, 1), forged(44, 0x40)] {
        s.complaint(&too_big(1300, &quoted));
        assert_eq!(s.mtu(PEER), 1500);
        assert!(s.sent().is_empty());
    }
    s.complaint(&too_big(1300, &out[0]));
    assert_eq!(s.mtu(PEER), 1300);
}

/// Two connections on a path: the second hears that its packet was dropped though the estimate stands already.
//= https://www.rfc-editor.org/rfc/rfc8201#section-5.2
//= type=test
//= id=rfc8201-5.2-9
#[test]
fn whose_packet_was_dropped_is_told_though_the_estimate_stays() {
    let mut s = six();
    let (one, two) = (s.connected(4000, 1440), s.connected(4001, 1440));
    let (first, second) = (s.write(one, 3000), s.write(two, 3000));
    s.complaint(&too_big(1300, &first[0]));
    s.sent();
    let (una, _) = segment_of(&second[0]);
    s.complaint(&too_big(1300, &second[0]));
    let again = s.sent();
    assert_eq!(segment_of(&again[0]), (una, 1240));
}

//= https://www.rfc-editor.org/rfc/rfc8201#section-5.2
//= type=test
//= id=rfc8201-5.2-10
#[test]
fn a_datagram_larger_than_the_path_is_refused_where_it_must_not_be_cut() {
    let mut s = six();
    let id = s.udp(5000);
    let mut options = s.host.options(id).unwrap();
    options.path_mtu_discovery = PathMtuDiscovery::Do;
    let now = s.now;
    s.host.set_options(id, options, now).unwrap();
    let send = |s: &mut Six, len: usize| s.host.try_send_to(id, &vec![7; len], None, now);
    assert_eq!(send(&mut s, 1400), Ok(1400));
    let out = s.sent();
    s.complaint(&too_big(1300, &out[0]));
    assert_eq!(send(&mut s, 1400), Err(Error::MessageTooLong));
    assert_eq!(send(&mut s, 1252), Ok(1252));
    assert_eq!(s.sent()[0].len(), 1300);
}

//= https://www.rfc-editor.org/rfc/rfc8201#section-3
//= type=test
//= id=rfc8201-3-1
//= https://www.rfc-editor.org/rfc/rfc8201#section-4
//= type=test
//= id=rfc8201-4-8, rfc8201-4-9, rfc8201-4-10
//= https://www.rfc-editor.org/rfc/rfc8201#section-5.3
//= type=test
//= id=rfc8201-5.3-1, rfc8201-5.3-2, rfc8201-5.3-3
//= https://www.rfc-editor.org/rfc/rfc8201#section-5.6
//= type=test
//= id=rfc8201-5.6-1
#[test]
fn an_estimate_ages_as_long_as_the_administrator_wants() {
    let forever = Duration::from_secs(u64::MAX);
    assert_eq!(Config::default().path_mtu_lifetime, Duration::from_secs(600));
    for lifetime in [Duration::from_secs(300), Duration::from_secs(600), forever] {
        let mut s = Six::new(Config { path_mtu_lifetime: lifetime, ..Config::default() });
        let id = s.udp(5000);
        let now = s.now;
        s.host.try_send_to(id, &[7; 1400], None, now).unwrap();
        let out = s.sent();
        s.complaint(&too_big(1300, &out[0]));
        s.now += lifetime.min(Duration::from_secs(1 << 30)) - Duration::from_secs(1);
        assert_eq!(s.mtu(PEER), 1300, "not sooner");
        s.now += Duration::from_secs(1);
        assert_eq!(s.mtu(PEER), if lifetime == forever { 1300 } else { 1500 });
    }
}

/// One estimate stands for all the paths that lead to a group.
//= https://www.rfc-editor.org/rfc/rfc8201#section-5.2
//= type=test
//= id=rfc8201-5.2-4
#[test]
fn a_group_is_one_path() {
    let mut table = PathMtu::new(4, Duration::from_secs(600));
    let group = a("ff0e::1234");
    let now = Instant::from_secs(1);
    assert_eq!(table.update(group, 1400, 1500, now, 1500), Some(1400));
    assert_eq!(table.update(group, 1350, 1500, now, 1500), Some(1350));
    assert_eq!(table.update(group, 1380, 1500, now, 1500), None, "the narrowest counts");
    assert_eq!((table.get(group, now, 1500), table.len()), (1350, 1));
}

//= https://www.rfc-editor.org/rfc/rfc8201#section-5.4
//= type=test
//= id=rfc8201-5.4-2
#[test]
fn no_segment_is_larger_than_the_peers_mss_whatever_the_path_takes() {
    for (mss, text) in [(1000, 1000), (1440, 1440), (9000, 1440)] {
        let mut s = six();
        let id = s.connected(4000, mss);
        let out = s.write(id, 5000);
        assert_eq!(segment_of(&out[0]).1, text);
        assert!(out.iter().all(|p| segment_of(p).1 <= text));
    }
}
