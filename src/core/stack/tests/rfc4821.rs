//! Packetization layer path MTU discovery: what a connection does with its search.

use super::raw::Raw;
use super::*;
use crate::config::MtuProbing;
use crate::wire::options::Options;

fn raw(change: impl FnOnce(&mut Config)) -> Raw {
    let mut config = Config::default();
    config.tcp.mtu_probing = MtuProbing::Always;
    change(&mut config);
    let mut r = Raw::new(config);
    r.syn = Options { mss: Some(1460), ..Options::default() };
    r
}

/// search_low and search_high.
fn range(r: &mut Raw, id: SocketId) -> (u16, u16) {
    let search = r.tcb(id).mtu.as_ref().unwrap();
    (search.low(), search.high())
}

//= https://www.rfc-editor.org/rfc/rfc4821#section-7.2
//= type=test
//= id=rfc4821-7.2-1, rfc4821-7.2-3, rfc4821-7.2-4
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.1
//= type=test
//= id=rfc4821-7.1-3
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.3
//= type=test
//= id=rfc4821-7.3-3
#[test]
fn a_search_begins_between_what_is_safe_and_what_is_possible() {
    assert_eq!((Config::default().tcp.base_mss, Config::default().mtu), (1024, 1500));
    assert!(Config::default().tcp.mtu_probe_interval >= Duration::from_secs(600));
    let mut r = raw(|_| {});
    let id = r.accepted();
    assert_eq!(range(&mut r, id), (1024, 1460), "of the device");
    let mut r = raw(|config| (config.tcp.base_mss, config.mtu) = (800, 9000));
    r.syn.mss = Some(4000);
    let id = r.accepted();
    assert_eq!(range(&mut r, id), (800, 4000), "of the peer");
}

/// Full segments that arrive are as good as probes; lost, they say nothing of the size.
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.1
//= type=test
//= id=rfc4821-7.1-1, rfc4821-7.1-4, rfc4821-7.1-5
#[test]
fn segments_of_full_size_are_probes_that_cannot_fail() {
    let mut r = raw(|_| {});
    let id = r.accepted();
    r.write(id, &[7; 2 * 1360]);
    let sent = r.sent();
    assert_eq!(sent.iter().map(|s| s.text.len()).collect::<Vec<_>>(), [1360, 1360]);
    assert_eq!(range(&mut r, id), (1024, 1460));
    r.acknowledge(&sent);
    assert_eq!(range(&mut r, id), (1360, 1460));
    r.write(id, &[7; 2 * 1360]);
    assert_eq!(r.wait(Duration::from_millis(900)).iter().filter(|s| !s.text.is_empty()).count(), 4);
    assert_eq!(range(&mut r, id), (1360, 1460), "lost to time-outs");
}

/// Octets of two records are in no segment together, a probe neither.
#[test]
fn a_probe_waits_for_a_record_that_is_long_enough() {
    let mut r = raw(|_| {});
    let id = r.accepted();
    let now = r.now;
    assert_eq!(r.host.try_write(id, &[7; 1000], now), Ok(1000));
    r.host.end_record(id).unwrap();
    assert_eq!(r.host.try_write(id, &[8; 9000], now), Ok(9000));
    let sent = r.sent();
    assert!(sent.iter().all(|s| s.text.iter().all(|octet| *octet == s.text[0])));
    let len: Vec<usize> = sent.iter().map(|s| s.text.len()).collect();
    assert_eq!(len[..2], [1000, 1410], "{len:?}");
}

/// A probe is as large as it says with all its headers, and while it is under way there is no other.
//= https://www.rfc-editor.org/rfc/rfc4821#section-5.1
//= type=test
//= id=rfc4821-5.1-1
//= https://www.rfc-editor.org/rfc/rfc4821#section-7.4
//= type=test
//= id=rfc4821-7.4-1
#[test]
fn one_probe_of_a_size_that_counts_the_headers() {
    let mut r = raw(|_| {});
    r.clock = Some(1);
    let id = r.accepted();
    r.write(id, &[7; 9000]);
    let sent = r.sent();
    let size = |s: &super::raw::Sent| s.text.len() + s.options.emitted_len();
    assert_eq!(size(&sent[0]), 1410);
    assert!(sent[1..].iter().all(|s| size(s) <= 1360));
    r.write(id, &[7; 9000]);
    assert!(r.wait(Duration::from_millis(100)).iter().all(|s| size(s) <= 1360));
}

/// A probe takes its turn as all that leaves: when a burst is over it waits.
#[test]
fn a_probe_is_paced() {
    let mut r = raw(|config| config.tcp.pacing = true);
    let id = r.accepted();
    let until = r.now + Duration::from_millis(10);
    r.tcb(id).timers.arm(crate::tcp::timers::Timer::Pacing, until);
    r.write(id, &[7; 9000]);
    assert_eq!(r.wait(Duration::from_millis(9)).len(), 0);
    let sent = r.wait(Duration::from_millis(5));
    assert_eq!(sent.first().map(|s| s.text.len()), Some(1410));
}

/// A model of the path does not hear of a probe that was too large; of what is lost beside it it does.
#[test]
fn a_lost_probe_is_no_loss_to_a_model() {
    use super::raw::sack;
    use crate::tcp::congestion::Algorithm;
    for (beside, lost) in [(0, 0), (1, 1360)] {
        let mut r = raw(|config| config.tcp.congestion = Algorithm::Bbr);
        r.syn.sack_permitted = true;
        let id = r.accepted();
        r.now += Duration::from_millis(50);
        r.write(id, &[7; 9000]);
        let sent = r.sent();
        assert_eq!(sent[0].text.len(), 1410);
        r.now += Duration::from_millis(50);
        let from = sent[1 + beside].header.seq.get();
        let end = sent[sent.len() - 1].header.seq.get() + sent[sent.len() - 1].text.len() as u32;
        let una = sent[0].header.seq.get();
        r.inject(r.seq, una, Flags::ACK, b"", &sack(&[(from, end)]));
        let failures = r.host.counters().tcp_mtu_probe_failures;
        assert_eq!((failures, r.tcb(id).rate.total_lost()), (1 - beside as u64, lost));
    }
}
