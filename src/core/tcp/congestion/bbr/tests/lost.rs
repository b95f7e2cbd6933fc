//! What a lost packet says of the path.

use super::*;

/// A loss of what was sent in Refill, where Cruise lost nothing, says that another's probe has filled the queue.
#[test]
fn what_was_sent_before_up_says_nothing_of_the_probe() {
    let mut flow = Flow::cruising();
    flow.until(Phase::Refill);
    let refill = flow.delivered;
    flow.until(Phase::Up);
    let up = flow.delivered;
    assert!(refill < up);
    for prior_delivered in [refill, up - 1] {
        flow.lose_of(prior_delivered, 0, 1000, 100_000, 9000);
        assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Up, None));
    }
    // Nor is it in the sum by which a loss of Up is judged: that is 1000 of its own here, and then 3400.
    flow.lose_of(up, 1000, 1000, 120_000, 10_000);
    assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Up, None));
    flow.lose_of(up, 2000, 2400, 120_000, 12_400);
    // 2 % of 117 600 is 2352, 1000 had been lost before, and (2352 − 1000) / 0.98 = 1379.
    assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Down, Some(118_979)));
}

/// Nor does it keep what Up had in flight from being the bound (AdaptLongTermModel()).
#[test]
fn what_was_sent_before_up_does_not_hold_the_bound_down() {
    for (of_up, bound) in [(0, 130_000), (2600, 130_000), (2601, 110_000)] {
        let mut flow = Flow::probing();
        flow.bbr.inflight_longterm = Some(110_000);
        flow.bbr.is.remove(Is::BW_PROBE_SAMPLE);
        let up = flow.delivered;
        flow.lose_of(up - 1, 0, 9000, 100_000, 9000);
        if of_up > 0 {
            flow.lose_of(up, 9000, of_up, 130_000, 9000 + of_up);
        }
        flow.ack(1_000_000, |s| {
            let rs = rs(s);
            (rs.tx_in_flight, rs.lost) = (130_000, 9000 + of_up);
        });
        assert_eq!(flow.bbr.inflight_longterm, Some(bound), "{of_up}");
    }
    // What was lost since something was sent before Up is judged as it is: nothing says that it was in Up that so much was in flight.
    let mut flow = Flow::probing();
    flow.bbr.inflight_longterm = Some(110_000);
    let up = flow.delivered;
    flow.ack(1_000_000, |s| {
        let rs = rs(s);
        (rs.prior_delivered, rs.tx_in_flight, rs.lost) = (up - 1, 130_000, 9000);
    });
    assert_eq!(flow.bbr.inflight_longterm, Some(110_000));
}

/// Where Cruise lost something the path loses without a probe: what was sent in Refill counts (§5.5.10.2), not what Cruise sent.
#[test]
fn what_was_sent_in_refill_counts_where_cruise_had_losses() {
    let mut flow = Flow::cruising();
    flow.lose(0, 1000, 100_000, 1000);
    flow.until(Phase::Refill);
    let refill = flow.delivered;
    flow.until(Phase::Up);
    flow.lose_of(refill - 1, 1000, 1000, 100_000, 9000);
    assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Up, None));
    flow.lose_of(refill, 2000, 3400, 120_000, 10_000);
    assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Down, Some(118_979)));
}

#[test]
fn what_a_loss_says_is_no_less_than_beta_of_what_was_wanted() {
    let mut flow = Flow::probing();
    flow.lose(0, 1000, 20_000, 3400);
    assert_eq!(flow.bbr.inflight_longterm, Some(70_000));
    // Of what the program limited it says nothing.
    let mut flow = Flow::probing();
    let packet = LostPacket {
        octets: 1000,
        tx_in_flight: 20_000,
        lost: 3400,
        prior_delivered: flow.delivered,
        is_app_limited: true,
        total_delivered: flow.delivered,
    };
    flow.bbr.on_lost(&packet, SeqRange::new(Seq::new(0), Seq::new(1000)));
    assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Down, None));
}

#[test]
fn the_prefix_of_a_burst_at_which_losses_are_too_many() {
    let at = |octets, tx_in_flight, lost| {
        bounds::inflight_at_loss(&LostPacket {
            octets,
            tx_in_flight,
            lost,
            prior_delivered: 0,
            is_app_limited: false,
            total_delivered: 0,
        })
    };
    // (0.02 · 98 000 − 0) / 0.98 = 2000.
    assert_eq!(at(10_000, 108_000, 10_000), 100_000);
    assert_eq!(at(10_000, 108_000, 10_980), 99_000);
    assert_eq!(at(10_000, 108_000, 30_000), 98_000);
    assert_eq!(at(10_000, 5000, 0), 0);
}

/// What is deemed lost now was in flight before, too: by so much less is in flight now, and a cautious probe ends all the same.
#[test]
fn a_cautious_probe_ends_by_what_was_in_flight_before_losses() {
    let mut flow = Flow::probing();
    flow.lose(0, 6000, 120_000, 6000);
    let bound = flow.bbr.inflight_longterm.unwrap();
    for (before, phase) in [(bound - MSS, Phase::Up), (bound - MSS + 1, Phase::Down)] {
        flow.until(Phase::Up);
        flow.ack(1_000_000, |s| {
            s.in_flight = before;
            rs(s).in_flight = bound - 9 * MSS;
        });
        assert_eq!(flow.bbr.phase, phase);
    }
}
