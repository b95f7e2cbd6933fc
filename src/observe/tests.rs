use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::sim::bottleneck::{Bottleneck, SENDERS};

/// A run of `seconds` over `link`, watched.
pub(super) fn watched(link: &str, octets: u64, seconds: u64) -> (Watched, u64) {
    let mut setup = Bottleneck::new("reno", link.parse().unwrap());
    setup.trace = true;
    setup.octets = octets;
    let mut race = setup.build().unwrap();
    let watch = Rc::new(RefCell::new(Watch::new(SENDERS, Duration::from_millis(10), 1)));
    let seen = Rc::clone(&watch);
    race.world.observe(move |record| seen.borrow_mut().see(record));
    race.world.run_until(Instant::from_secs(seconds));
    race.check().unwrap();
    let resent = u64::from(race.flows()[0].info.tally.resent);
    drop(race);
    let flows = Rc::into_inner(watch).unwrap().into_inner().into_flows();
    assert_eq!(flows.len(), 1);
    (flows.into_iter().next().unwrap(), resent)
}

#[test]
fn what_is_seen_is_what_was_done() {
    let (flow, resent) = watched("10mbit,10ms,1%,queue=100k", 5_000_000, 60);
    assert_eq!(flow.resent.values().sum::<u64>(), resent);
    assert!(resent > 10);
    let sequence = flow.sequence.as_ref().unwrap();
    // The SYN is octet 0.
    assert_eq!(flow.samples.last().unwrap().acked, 5_000_001);
    assert_eq!(sequence.acks.last().unwrap().una, 5_000_001);
    assert_eq!(sequence.segments.iter().map(|s| s.to).max(), Some(5_000_001));
    let again: u64 = sequence.segments.iter().filter(|s| s.again).count() as u64;
    assert_eq!(again, resent);
    assert!(sequence.segments.iter().filter(|s| s.lost).count() > 10);
    assert!(!sequence.sacked.is_empty());
    assert!(flow.samples.iter().any(|s| s.recovery.is_some() && s.ssthresh.is_some()));
    let first = sequence.first_retransmission().unwrap();
    assert!(sequence.segments.iter().filter(|s| s.at < first).all(|s| !s.again));
}

#[test]
fn throughput_adds_up() {
    // The queue holds all of it, so that nothing is lost and the link is never idle.
    let (flow, _) = watched("10mbit,10ms,queue=2000k", 1_000_000, 4);
    let bins = flow.throughput(Duration::from_millis(250), Instant::from_secs(4));
    assert_eq!(bins.len(), 16);
    assert_eq!(bins[0].0, 0.125);
    let sum: f64 = bins.iter().map(|(_, rate)| rate * 0.25).sum();
    assert!((990_000.0..=1_000_001.0).contains(&sum), "{sum}");
    assert!(bins[1].1 > 1_000_000.0 && bins[1].1 < 1_250_000.0, "{bins:?}");
    assert_eq!(bins[15].1, 0.0);
}

#[test]
fn mean_and_95th_of_waiting_times() {
    assert_eq!(queue_delay([]), None);
    let micros = Duration::from_micros;
    assert_eq!(queue_delay([7]), Some((micros(7), micros(7))));
    assert_eq!(queue_delay((0..=100).rev()), Some((micros(50), micros(95))));
    let (flow, _) = watched("10mbit,10ms,queue=25k", 5_000_000, 6);
    let (mean, p95) = flow.queue_delay().unwrap();
    // 25 kB at 10 Mbit/s.
    assert!(mean > micros(2_000) && mean < p95 && p95 <= micros(21_200), "{mean:?} {p95:?}");
}

#[test]
fn offsets_go_on_where_sequence_numbers_wrap() {
    let (flow, _) = watched("10mbit,10ms", 1_000, 1);
    assert_eq!(flow.unwrap(0x1_0000_0010, 0x20), 0x1_0000_0020);
    assert_eq!(flow.unwrap(0xffff_fff0, 0x20), 0x1_0000_0020);
    assert_eq!(flow.unwrap(0x1_0000_0020, 0xffff_fff0), 0xffff_fff0);
    assert_eq!(flow.unwrap(5, 3), 3);
}

#[test]
fn what_falls_on_one_pixel_is_one_sign() {
    let (flow, _) = watched("10mbit,10ms,1%,queue=100k", 1_000_000, 30);
    let sequence = flow.sequence.unwrap();
    let whole = timeseq::Window { start: Instant::ZERO, end: Instant::from_secs(30) };
    let joined = sequence.joined(whole, 1_000_000);
    assert!(
        joined.len() < sequence.segments.len() * 2 / 3,
        "{} of {}",
        joined.len(),
        sequence.segments.len()
    );
    let octets = |segments: &[timeseq::Segment]| segments.iter().map(|s| s.to - s.from).sum::<u64>();
    assert_eq!(octets(&joined), octets(&sequence.segments));
    assert_eq!(sequence.joined(whole, 0).iter().filter(|s| s.again).count(), {
        let again = sequence.segments.iter().filter(|s| s.again);
        again.count()
    });
    // A segment takes the link 1.2 ms, and each that comes after a loss is told at once (RFC 5681 §4.2).
    let sacks = sequence.joined_sacks(whole, 5_000_000);
    assert!(
        !sacks.is_empty() && sacks.len() <= sequence.sacked.len() / 2,
        "{} of {}",
        sacks.len(),
        sequence.sacked.len()
    );
    assert_eq!(sequence.joined_sacks(whole, 0).len(), sequence.sacked.len());
    let (low, high) = sequence.range(whole).unwrap();
    assert!(low <= 1 && high == 1_000_001);
}
