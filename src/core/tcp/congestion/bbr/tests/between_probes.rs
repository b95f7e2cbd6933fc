//! Whether something is lost where no probe is the cause of it ([`Is::LOST_BEFORE`]).

use super::*;

/// Whether the probe that is next, or that has reached Refill, hears of what Refill loses.
fn refill_counts(mut flow: Flow) -> bool {
    flow.until(Phase::Refill);
    let refill = flow.delivered;
    flow.until(Phase::Up);
    flow.lose_of(refill, 50_000, 5000, 120_000, 5000);
    flow.bbr.phase == Phase::Down
}

/// Up ends as the rate grows no more, and Cruise begins.
fn after_a_probe() -> Flow {
    let mut flow = Flow::probing();
    flow.until(Phase::Cruise);
    flow
}

#[test]
fn what_a_probe_lost_is_not_of_the_rounds_after_it() {
    let mut flow = after_a_probe();
    let sent_in_up = flow.bbr.down_delivered - 1;
    flow.lose_of(sent_in_up, 0, 1000, 100_000, 1000);
    flow.round(900_000);
    assert!(flow.bbr.bw_shortterm.is_some(), "it is a loss of this round all the same (§5.5.10.3)");
    assert!(!refill_counts(flow));
    let mut flow = after_a_probe();
    flow.lose_of(flow.bbr.down_delivered, 0, 1000, 100_000, 1000);
    assert!(refill_counts(flow));
}

/// No ACK begins Down then, and by the count of what is delivered what left in between could be Down's.
#[test]
fn where_a_loss_or_a_mark_ends_up_what_left_since_the_last_ack_is_ups() {
    for marked in [false, true] {
        let ended = || {
            let mut flow = Flow::probing();
            let up = flow.delivered;
            flow.round(1_000_000);
            assert_eq!(flow.bbr.phase, Phase::Up);
            match marked {
                true => flow.event(CongestionEvent::Ecn),
                false => flow.lose_of(up, 0, 6000, 120_000, 6000),
            }
            assert_eq!(flow.bbr.phase, Phase::Down);
            flow
        };
        // A time-out deems all lost that was in flight.
        let mut flow = ended();
        flow.lose_of(flow.delivered, 6000, 1000, 121_000, 7000);
        flow.time_out(true, 0);
        assert!(!refill_counts(flow), "marked: {marked}");
        // What leaves after the next ACK is Down's.
        let mut flow = ended();
        flow.round(1_000_000);
        flow.lose_of(flow.delivered, 6000, 1000, 121_000, 7000);
        assert!(refill_counts(flow), "marked: {marked}");
    }
}

#[test]
fn a_loss_of_the_last_round_trip_before_refill_counts() {
    let mut flow = after_a_probe();
    flow.lose(0, 1000, 100_000, 1000);
    flow.bbr.bw_probe_wait = Duration::ZERO;
    // The round in which it was lost is not over yet.
    flow.ack(1_000_000, |s| rs(s).prior_delivered = 0);
    assert_eq!((flow.bbr.phase, flow.bbr.bw_shortterm), (Phase::Refill, None));
    assert!(refill_counts(flow));
}

#[test]
fn of_one_cycle_it_says_nothing_in_the_next() {
    let mut flow = after_a_probe();
    flow.lose(0, 1000, 100_000, 1000);
    flow.until(Phase::Up);
    flow.until(Phase::Down);
    assert!(!refill_counts(flow));
}

/// A cautious probe, before which something was lost.
fn cautious() -> Flow {
    let mut flow = Flow::probing();
    flow.lose(0, 6000, 120_000, 6000);
    flow.until(Phase::Cruise);
    flow.round(1_000_000);
    flow.lose(6000, 1000, 100_000, 1000);
    flow.until(Phase::Up);
    let bound = flow.bbr.inflight_longterm.unwrap();
    flow.ack(1_000_000, |s| rs(s).in_flight = bound);
    assert_eq!(flow.bbr.phase, Phase::Down);
    assert!(flow.bbr.is.contains(Is::PREV_PROBE_PRECAUTIONARY));
    flow
}

#[test]
fn a_probe_that_follows_a_cautious_one_at_once_is_as_that() {
    let mut flow = cautious();
    flow.round(1_000_000);
    assert_eq!((flow.bbr.phase, flow.bbr.bw_shortterm), (Phase::Refill, None));
    assert!(refill_counts(flow));
    // Where the cautious one was too much, too, another cycle begins.
    let mut flow = cautious();
    flow.lose_of(flow.bbr.down_delivered - 1, 7000, 6000, 120_000, 6000);
    flow.until(Phase::Cruise);
    assert!(!refill_counts(flow));
}

#[test]
fn an_undo_gives_back_what_was_known_before_the_loss() {
    // Of a loss in Cruise that was none.
    let mut flow = after_a_probe();
    flow.lose(0, 1000, 100_000, 1000);
    flow.event(CongestionEvent::Loss);
    flow.event(CongestionEvent::Undo);
    assert!(!refill_counts(flow));
    // Where there had been one before.
    let mut flow = after_a_probe();
    flow.lose(0, 1000, 100_000, 1000);
    flow.round(1_000_000);
    flow.lose(1000, 1000, 100_000, 1000);
    flow.event(CongestionEvent::Loss);
    flow.event(CongestionEvent::Undo);
    assert!(refill_counts(flow));
    // Of one that ended a probe: it goes on as it began.
    for lost_before in [false, true] {
        let mut flow = after_a_probe();
        if lost_before {
            flow.lose(0, 1000, 100_000, 1000);
        }
        flow.until(Phase::Up);
        flow.lose(1000, 6000, 120_000, 6000);
        assert_eq!(flow.bbr.phase, Phase::Down);
        flow.event(CongestionEvent::Loss);
        flow.event(CongestionEvent::Undo);
        assert_eq!(flow.bbr.phase, Phase::Refill);
        assert_eq!(refill_counts(flow), lost_before);
    }
}

/// When it was sent is not known of a mark, nor of what was repaired before it was seen: of Down for sure from when something is
/// acknowledged that it sent.
#[test]
fn a_mark_and_a_repaired_tail_count_from_the_second_round_on() {
    let tell = |flow: &mut Flow, marked: bool| match marked {
        true => flow.event(CongestionEvent::Ecn),
        false => flow.bbr.on_repaired(flow.now),
    };
    for marked in [true, false] {
        let mut flow = Flow::probing();
        flow.until(Phase::Down);
        flow.bbr.is.remove(Is::BW_PROBE_SAMPLE);
        tell(&mut flow, marked);
        assert!(!refill_counts(flow));
        let mut flow = after_a_probe();
        tell(&mut flow, marked);
        assert!(refill_counts(flow));
    }
}
