//! A bottleneck that marks in the place of dropping: with ECN, of either kind, nothing is lost and nothing sent again.

use tunstack::core::addr::Endpoint;
use tunstack::core::config::{Config, EcnFeedback};
use tunstack::core::time::Duration;
use tunstack::sim::behaviour::Behaviour;
use tunstack::sim::client::Client;
use tunstack::sim::host::Host;
use tunstack::sim::link::LinkStats;
use tunstack::sim::server::Server;
use tunstack::sim::world::World;

use crate::pair::{CLIENT, PORT, SERVER, V4, config, secs};

/// 24 MiB to the server: the start, in which alpha is one, is a small part of it.
const LOAD: u64 = 24 << 20;

/// What became of it.
struct Seen {
    bottleneck: LinkStats,
    resent: u64,
    took: Duration,
}

fn transfer(ecn: EcnFeedback, bottleneck: &str) -> Seen {
    transfer_with(ecn, bottleneck, |_| {})
}

fn transfer_with(ecn: EcnFeedback, bottleneck: &str, change: impl Fn(&mut Config)) -> Seen {
    let mut world = World::new(1);
    let settings = |address| {
        let mut config: Config = config(address);
        (config.tcp.ecn_incoming, config.tcp.ecn_outgoing) = (ecn, ecn);
        change(&mut config);
        config
    };
    world.host("client", settings(V4.0));
    world.host("server", settings(V4.1));
    let remote = Endpoint::new(V4.1.parse::<std::net::IpAddr>().unwrap().into(), PORT);
    world.run(CLIENT, Client::new(remote, Behaviour::exchange(LOAD, 0)));
    world.run(SERVER, Server::new(remote, Behaviour::half_close_last(0, LOAD)));
    world.connect(CLIENT, SERVER, bottleneck.parse().unwrap(), "10ms".parse().unwrap());
    world.run_until(secs(60));
    let outcome = world.app::<Server>(SERVER).outcomes().next().unwrap();
    assert_eq!(outcome.received, LOAD);
    let took = outcome.last_octet_at.unwrap().saturating_since(outcome.first_octet_at.unwrap());
    let resent = world.peer::<Host>(CLIENT).stack().counters().tcp_retrans_segs;
    Seen { bottleneck: *world.link(CLIENT).stats(), resent, took }
}

/// 20 Mbit/s and 20 ms make 34 packets. CoDel says nothing for 100 ms, in which slow start doubles five times: only the queue
/// behind it is long enough.
#[test]
fn a_marking_queue_loses_nothing() {
    let ideal = Duration::from_micros(LOAD * 8 * 1500 / 1448 / 20);
    for aqm in ["queue=200p,mark=10ms", "queue=1000p,codel=5ms/100ms"] {
        let link = format!("20mbit,10ms,{aqm}");
        for ecn in [EcnFeedback::Classic, EcnFeedback::Accurate] {
            let seen = transfer(ecn, &link);
            assert!(seen.bottleneck.marked > 0, "{aqm} {ecn:?}: the queue has grown");
            assert_eq!((seen.bottleneck.queue_full, seen.bottleneck.managed), (0, 0), "{aqm} {ecn:?}");
            assert_eq!(seen.resent, 0, "{aqm} {ecn:?}");
            assert!(
                seen.took < ideal * 12 / 10,
                "{aqm} {ecn:?}: {:?}, at the link's rate {ideal:?}",
                seen.took
            );
        }
    }
}

#[test]
fn without_ecn_the_same_queues_drop() {
    let codel = transfer(EcnFeedback::None, "20mbit,10ms,queue=200p,codel=5ms/100ms");
    assert!(codel.bottleneck.managed > 0 && codel.resent > 0);
    assert_eq!(codel.bottleneck.marked, 0);
    let full = transfer(EcnFeedback::None, "20mbit,10ms,queue=60p,mark=10ms");
    assert!(full.bottleneck.queue_full > 0 && full.resent > 0);
    assert_eq!(full.bottleneck.marked, 0);
}

/// A step at 1 ms, where halving at each mark would leave the link idle: the scalable response keeps it filled.
#[cfg(feature = "l4s")]
#[test]
fn a_scalable_response_fills_a_link_with_a_short_queue() {
    let link = "20mbit,10ms,queue=200p,mark=1ms";
    let ideal = Duration::from_micros(LOAD * 8 * 1500 / 1448 / 20);
    let halving = transfer(EcnFeedback::Accurate, link);
    let scalable = transfer_with(EcnFeedback::Accurate, link, |config| config.tcp.l4s = true);
    assert_eq!((scalable.bottleneck.queue_full, scalable.resent), (0, 0));
    let a_second = |seen: &Seen| seen.bottleneck.marked as f64 / seen.took.as_secs_f64();
    assert!(a_second(&scalable) > 2.0 * a_second(&halving), "it is marked often");
    assert!(scalable.took < halving.took, "{:?}, halving {:?}", scalable.took, halving.took);
    assert!(scalable.took < ideal * 11 / 10, "{:?}, at the link's rate {ideal:?}", scalable.took);
}
