//! Whole flows over a simulated bottleneck.

use alloc::vec::Vec;

use super::super::Phase;
use super::ms;
use super::sim::{MBIT, MSS, Sim};
use crate::time::{Duration, Instant};

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A link, with `per_cent` of its BDP as a queue; and its BDP.
fn link(mbit: u64, rtt: u64, per_cent: u64) -> (Sim, u64) {
    let bdp = mbit * MBIT * rtt / 1000;
    (Sim::new(mbit * MBIT, bdp * per_cent / 100), bdp)
}

#[test]
fn one_flow_fills_the_link_and_not_the_queue() {
    // Of 300 ms there are few in five seconds, and not always one without a queue among them: it pays for ProbeRTT twice.
    for (mbit, rtt, least) in [(100, 20, 98), (100, 40, 98), (100, 100, 98), (1000, 20, 98), (10, 300, 96)] {
        for queue in [100, 400] {
            let (mut sim, bdp) = link(mbit, rtt, queue);
            sim.flow(ms(rtt), Instant::ZERO);
            sim.run(Instant::from_secs(5));
            let (shares, mean) = sim.measure(secs(30));
            let told = (mbit, rtt, queue, shares[0], mean * 100 / bdp, sim.longest * 100 / bdp);
            assert!(shares[0] >= least, "{told:?}");
            assert!(mean * 100 <= bdp * 35, "{told:?}");
            assert!(sim.longest <= bdp + u64::from(12 * MSS), "{told:?}");
        }
    }
}

#[test]
fn startup_finds_the_rate_in_few_round_trips() {
    let (mut sim, _) = link(100, 40, 400);
    let start = Instant::from_millis(500);
    sim.flow(ms(40), start);
    sim.run(Instant::from_secs(3));
    let flow = &sim.flows[0];
    // 345 segments are a BDP: five doublings of ten segments, three rounds to see that it is the end, and the queue.
    let drained = flow.entered(Phase::Drain)[0].saturating_since(start);
    assert!(drained >= ms(9 * 40) && drained <= ms(15 * 40), "{drained:?}");
    let steady = flow.entered(Phase::Cruise)[0].saturating_since(start);
    assert!(steady <= drained + ms(4 * 40), "{steady:?}");
    assert_eq!(flow.lost, 0);
    let bw = flow.bbr().bandwidth() * 100 / (100 * MBIT);
    assert!((95..=101).contains(&bw), "{bw}");
}

/// §5.3.4.2.
#[test]
fn the_queue_is_drained_every_five_seconds() {
    let (mut sim, _) = link(100, 40, 100);
    sim.flow(ms(40), Instant::ZERO);
    // The path grows, by so little that nothing else comes of it: its least round trip is not seen again.
    for n in 1..=310 {
        sim.run(Instant::from_millis(100 * n));
        sim.flows[0].rtt += Duration::from_micros(1);
    }
    let entered = sim.flows[0].entered(Phase::ProbeRtt);
    assert!(entered.len() >= 5, "{entered:?}");
    for pair in entered.windows(2) {
        let gap = pair[1].saturating_since(pair[0]);
        assert!(gap >= secs(5) && gap <= ms(5600), "{entered:?}");
    }
    let phases = &sim.flows[0].phases;
    for pair in phases.windows(2).filter(|pair| pair[0].1 == Phase::ProbeRtt) {
        let lasted = pair[1].0.saturating_since(pair[0].0);
        assert!(lasted >= ms(200) && lasted <= ms(400), "{lasted:?}");
    }
}

/// Its own queue it drains after each probe for bandwidth, and often sees the path empty then (§5.3.4.2).
#[test]
fn one_that_has_the_link_alone_seldom_has_to_look_for_the_round_trip() {
    for (mbit, rtt, most) in [(100, 40, 0), (10, 300, 2)] {
        let (mut sim, _) = link(mbit, rtt, 100);
        sim.flow(ms(rtt), Instant::ZERO);
        sim.run(Instant::from_secs(31));
        let entered = sim.flows[0].entered(Phase::ProbeRtt);
        assert!(entered.len() <= most, "{entered:?}");
    }
}

#[test]
fn a_longer_path_is_found_within_fifteen_seconds_and_a_shorter_at_once() {
    let (mut sim, _) = link(100, 40, 400);
    sim.flow(ms(40), Instant::ZERO);
    sim.run(Instant::from_secs(7));
    let near = |sim: &Sim, rtt: Duration| {
        let found = sim.flows[0].bbr().min_rtt().unwrap();
        found >= rtt && found < rtt + ms(2)
    };
    assert!(near(&sim, ms(40)));
    sim.flows[0].rtt = ms(80);
    sim.run(Instant::from_secs(22));
    assert!(near(&sim, ms(80)), "{:?}", sim.flows[0].bbr().min_rtt());
    let (shares, _) = sim.measure(secs(10));
    assert!(shares[0] >= 93, "{shares:?}");
    sim.flows[0].rtt = ms(20);
    sim.run(sim.now + secs(6));
    assert!(near(&sim, ms(20)), "{:?}", sim.flows[0].bbr().min_rtt());
}

#[test]
fn flows_that_begin_together_share() {
    for (mbit, rtt, queue) in [(100, 40, 50), (100, 40, 100), (100, 40, 200), (10, 100, 100)] {
        for (flows, off) in [(2, 25), (4, 35)] {
            let (mut sim, _) = link(mbit, rtt, queue);
            for i in 0..flows {
                sim.flow(ms(rtt), Instant::from_millis(i));
            }
            let (shares, _) = sim.measure(secs(60));
            let told = (mbit, rtt, queue, &shares);
            assert!(shares.iter().sum::<u64>() >= 94, "{told:?}");
            let fair = 100 / flows;
            assert!(shares.iter().all(|s| s.abs_diff(fair) * 100 <= fair * off), "{told:?}");
        }
    }
}

#[test]
fn one_that_comes_late_gets_its_share_in_time() {
    for (mbit, rtt, queue) in [(100, 40, 50), (100, 40, 100), (100, 40, 200)] {
        let (mut sim, _) = link(mbit, rtt, queue);
        sim.flow(ms(rtt), Instant::ZERO);
        sim.flow(ms(rtt), Instant::from_secs(5));
        sim.run(Instant::from_secs(45));
        let (shares, _) = sim.measure(secs(15));
        assert!(shares[1] >= 36 && shares[0] >= 36, "{queue}: {shares:?}");
    }
}

#[test]
fn more_bandwidth_is_found_soon() {
    for (before, after, seconds, least) in [(20, 100, 3, 95), (10, 100, 3, 95), (10, 1000, 4, 90)] {
        let mut sim = Sim::new(before * MBIT, after * MBIT / 25);
        sim.flow(ms(40), Instant::ZERO);
        sim.change_rate(Instant::from_secs(12), after * MBIT);
        sim.run(Instant::from_secs(12 + seconds));
        // Between two of ProbeRTT.
        let (shares, _) = sim.measure(secs(1));
        assert!(shares[0] >= least, "{before} to {after}: {shares:?}");
    }
}

#[test]
fn less_bandwidth_is_believed_within_two_cycles() {
    let mut sim = Sim::new(100 * MBIT, 100 * MBIT / 25);
    sim.flow(ms(40), Instant::ZERO);
    sim.change_rate(Instant::from_secs(12), 20 * MBIT);
    sim.run(Instant::from_secs(22));
    let (shares, mean) = sim.measure(secs(10));
    let bdp = 20 * MBIT / 25;
    assert!(shares[0] >= 95 && mean * 100 <= bdp * 35, "{shares:?} {mean}");
}

#[test]
fn losses_are_tolerated_up_to_a_ceiling() {
    let goodput = |per_mille: u64| {
        let (mut sim, _) = link(100, 40, 100);
        sim.loss = per_mille;
        sim.flow(ms(40), Instant::ZERO);
        sim.run(Instant::from_secs(10));
        sim.measure(secs(30)).0[0]
    };
    let found: Vec<u64> = [1, 10, 50].map(goodput).into();
    assert!(found[0] >= 80 && found[1] >= 75, "{found:?}");
    // Above 2 % each probe ends at once, and each round makes the rate less.
    assert!(found[2] <= 10, "{found:?}");
}

#[test]
fn a_short_queue_loses_little() {
    let (mut sim, _) = link(100, 40, 10);
    sim.flow(ms(40), Instant::ZERO);
    let (shares, _) = sim.measure(secs(30));
    let flow = &sim.flows[0];
    assert!(shares[0] >= 90, "{shares:?}");
    assert!(flow.lost > 0 && flow.lost * 100 <= flow.sent, "{} of {}", flow.lost, flow.sent);
    let bound = flow.bbr().inflight_longterm.unwrap();
    // The link and its queue hold 380 segments.
    assert!((300..=420).contains(&(bound / MSS)), "{bound}");
}

#[test]
fn a_flow_that_pauses_comes_back_at_its_rate() {
    let (mut sim, bdp) = link(100, 40, 100);
    let resumes = Instant::from_secs(20);
    sim.flow(ms(40), Instant::ZERO).idle = Some((Instant::from_secs(8), resumes));
    sim.run(resumes);
    let lost = sim.flows[0].lost;
    sim.longest = 0;
    sim.run(resumes + ms(75));
    assert!(sim.longest * 10 < bdp, "no burst: {}", sim.longest);
    let (shares, _) = sim.measure(ms(500));
    assert!(shares[0] >= 90, "{shares:?}");
    assert_eq!(sim.flows[0].lost, lost);
    let again = sim.flows[0].entered(Phase::ProbeRtt);
    assert!(again.iter().all(|t| *t < resumes), "silence is enough: {again:?}");
}
