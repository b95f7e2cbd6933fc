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
    flow.lose_of(up, 1000, 1000, 120_000, 10_000);
    assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Down, Some(119_000)));
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
    flow.lose_of(refill, 2000, 1000, 120_000, 10_000);
    assert_eq!((flow.bbr.phase, flow.bbr.inflight_longterm), (Phase::Down, Some(119_000)));
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
