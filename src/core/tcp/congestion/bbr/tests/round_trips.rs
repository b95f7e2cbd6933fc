//! The least round trip and the time of it.

use super::*;

/// §5.3.4.2: "refreshes without requiring ProbeRTT".
#[test]
fn the_least_round_trip_seen_again_renews_its_time() {
    let mut flow = Flow::cruising();
    for _ in 0..120 {
        flow.round(1_000_000);
        assert_eq!((flow.bbr.min_rtt_stamp, flow.bbr.probe_rtt_min_stamp), (flow.now, flow.now));
        assert_ne!(flow.bbr.phase, Phase::ProbeRtt);
    }
    // One that is longer does not.
    let last = flow.now;
    flow.ack(1_000_000, |s| rs(s).rtt = Some(ms(100) + Duration::from_nanos(1)));
    assert_eq!((flow.bbr.min_rtt_stamp, flow.bbr.probe_rtt_min_stamp), (last, last));
}

/// What ends ProbeRTT is no sample: it says when the next one is due, and not how old the least round trip is (§5.3.4.3).
#[test]
fn the_end_of_a_probe_does_not_renew_the_least_round_trip() {
    let mut flow = Flow::cruising();
    let with = |rtt| {
        move |s: &mut AckSample| {
            let rs = rs(s);
            (rs.rtt, rs.in_flight) = (Some(ms(rtt)), 50_000);
        }
    };
    let until = |flow: &mut Flow, probes| {
        // Ten a second: twice as long as it takes until one is due.
        for _ in 0..100 {
            flow.ack(1_000_000, with(101));
            if (flow.bbr.phase == Phase::ProbeRtt) == probes {
                return flow.now;
            }
        }
        panic!("{:?} after ten seconds", flow.bbr.phase)
    };
    until(&mut flow, true);
    flow.ack(1_000_000, with(100));
    let seen = flow.now;
    let ended = until(&mut flow, false);
    flow.ack(1_000_000, with(101));
    assert!(ended > seen);
    assert_eq!((flow.bbr.min_rtt_stamp, flow.bbr.probe_rtt_min_stamp), (seen, ended));
}

/// By a clock that ticks in milliseconds. The text's rule would look every five seconds, and see no more by that clock.
#[test]
fn a_queue_shorter_than_a_tick_of_the_clock_is_not_looked_behind() {
    let mut flow = Flow::cruising();
    let mut after = |rounds: u64, least: u64| {
        for n in 0..rounds {
            let micros = least + n * 130 % 1000;
            flow.ack(1_000_000, |s| rs(s).rtt = Some(ms(micros / 1000)));
            if flow.bbr.phase == Phase::ProbeRtt {
                return Some(n);
            }
        }
        None
    };
    assert_eq!(after(600, 100_000), None, "in a minute");
    // As soon as it is a tick longer, the next look is five seconds away.
    assert_eq!(after(600, 101_000), Some(50));
}
