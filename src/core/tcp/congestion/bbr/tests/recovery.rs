//! What an episode of recovery says of the path.

use super::*;

/// An episode that begins is no loss: those that it repairs may be of a probe that has ended (§5.6.4.4, §5.5.10.2).
#[test]
fn recovery_of_what_a_probe_lost_says_nothing_of_the_rounds_after_it() {
    let mut flow = Flow::probing();
    flow.lose(0, 3400, 120_000, 3400);
    assert_eq!(flow.bbr.phase, Phase::Down);
    flow.until(Phase::Cruise);
    flow.round(1_000_000);
    flow.event(CongestionEvent::Loss);
    for _ in 0..3 {
        flow.round(1_000_000);
        assert_eq!((flow.bbr.bw_shortterm, flow.bbr.inflight_shortterm), (None, None));
    }
    // One that was repaired before it was seen is told of by nothing else.
    let mut flow = Flow::cruising();
    flow.bbr.on_repaired(flow.now);
    flow.round(900_000);
    flow.round(900_000);
    assert_eq!(flow.bbr.bw_shortterm, Some(1_000_000));
}
