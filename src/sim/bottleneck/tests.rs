use tunstack_core::addr::Address;

use super::*;

fn link(text: &str) -> LinkConfig {
    text.parse().unwrap()
}

#[test]
fn a_flow_fills_the_link_and_everything_is_counted() {
    let mut race = Bottleneck::new("reno", link("10mbit,10ms,queue=25k")).build().unwrap();
    race.world.run_until(Instant::from_secs(5));
    race.check().unwrap();
    let flows = race.flows();
    assert_eq!(flows.len(), 1);
    let octets = 5 * 10_000_000 / 8;
    assert!((octets * 4 / 5..octets).contains(&flows[0].received), "{}", flows[0].received);
    assert_eq!(flows[0].received, race.received());
    assert_eq!(flows[0].info.congestion, "reno");
    let stats = race.world.link(SENDERS).stats();
    assert!(stats.queue_full > 0, "Reno fills any queue");
    assert_eq!(race.counters(0).tcp_retrans_segs, u64::from(flows[0].info.tally.resent));
    assert!(race.counters(0).tcp_retrans_segs >= stats.queue_full);
    // 25 kB at 10 Mbit/s.
    let mean = stats.waited / u32::try_from(stats.offered - stats.queue_full).unwrap();
    assert!(mean > Duration::from_millis(2) && mean < Duration::from_millis(21), "{mean:?}");
}

#[test]
fn lanes_share_the_link() {
    let mut setup = Bottleneck::new("reno", link("10mbit,10ms,queue=25k"));
    setup.lanes = vec![
        Lane { algorithm: "reno".to_owned(), flows: 2 },
        Lane { algorithm: "reno".to_owned(), flows: 1 },
    ];
    setup.stagger = Duration::from_millis(100);
    let mut race = setup.build().unwrap();
    race.world.run_until(Instant::from_secs(10));
    race.check().unwrap();
    let flows = race.flows();
    assert_eq!(flows.iter().map(|f| f.lane).collect::<Vec<_>>(), [0, 0, 1]);
    let of_lane = |lane| flows.iter().filter(move |f| f.lane == lane);
    assert!(of_lane(0).all(|f| f.local.address == Address::v4(Ipv4Addr::new(10, 0, 0, 1))));
    assert!(of_lane(1).all(|f| f.local.address == Address::v4(Ipv4Addr::new(10, 0, 0, 2))));
    assert!(flows.iter().all(|f| f.received > 1_000_000), "{flows:?}");
    assert!(race.received() < 10 * 10_000_000 / 8);
}

#[test]
fn so_much_and_then_more() {
    let mut setup = Bottleneck::new("reno", link("10mbit,10ms"));
    setup.octets = 100_000;
    let mut race = setup.build().unwrap();
    race.world.run_until(Instant::from_secs(2));
    assert_eq!(race.received(), 100_000);
    assert!(race.flows()[0].last < Instant::from_secs(1));
    race.add(50_000);
    race.world.run_until(Instant::from_secs(4));
    assert_eq!(race.received(), 150_000);
}

/// One packet is lost: the program waits for it, and what follows has arrived nevertheless.
#[test]
fn what_waits_behind_a_gap_has_arrived() {
    let mut setup = Bottleneck::new("reno", link("10mbit,50ms"));
    setup.octets = 8 * 1448;
    let mut race = setup.build().unwrap();
    // The SYN and the third step of the handshake come before it.
    race.world.scenario(SENDERS, |passing| (passing.number == 4).then_some(super::super::link::Fault::Drop));
    race.world.run_until(Instant::from_millis(165));
    assert_eq!((race.received(), race.arrived()), (2 * 1448, 7 * 1448));
    race.world.run_until(Instant::from_secs(2));
    assert_eq!((race.received(), race.arrived()), (8 * 1448, 8 * 1448));
}

#[test]
fn an_algorithm_that_there_is_not_is_refused() {
    let error = Bottleneck::new("vegas", link("10mbit")).build().err().unwrap();
    assert_eq!(error.to_string(), "\"vegas\" is no congestion control algorithm of this stack");
}

#[test]
fn fairness_of_jain() {
    assert_eq!(jain(&[3.0, 3.0, 3.0]), 1.0);
    assert_eq!(jain(&[1.0, 0.0]), 0.5);
    assert_eq!(jain(&[]), 1.0);
    assert_eq!(jain(&[0.0, 0.0]), 1.0);
    assert!((jain(&[1.0, 2.0, 3.0]) - 36.0 / 42.0).abs() < 1e-12);
}
