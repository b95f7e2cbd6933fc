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
