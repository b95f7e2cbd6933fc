//! The scripts and the world, with smoltcp at both ends: what fails here is no fault of our stack.

use std::net::IpAddr;

use tunstack::core::addr::Endpoint;
use tunstack::core::error::Error;
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::behaviour::{Behaviour, End};
use tunstack::sim::connection::Outcome;
use tunstack::sim::link::LinkConfig;
use tunstack::sim::record::PeerId;
use tunstack::sim::world::World;

use crate::smol::{Smol, SmolConfig};

const CLIENT: PeerId = PeerId(0);
const SERVER: PeerId = PeerId(1);

fn secs(s: u64) -> Instant {
    Instant::from_secs(s)
}

fn addresses() -> (IpAddr, IpAddr) {
    ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap())
}

/// A world of two smoltcp hosts with one connection between them.
fn world(seed: u64, link: &str, client: Behaviour, server: Behaviour) -> World {
    let (a, b) = addresses();
    let mut world = World::new(seed);
    let (s, t) = (world.random(), world.random());
    let remote = Endpoint::new(b.into(), 80);
    world.add("client", Smol::new(SmolConfig::new(a, s)).client(remote, client, Instant::ZERO));
    world.add("server", Smol::new(SmolConfig::new(b, t)).server(80, server, 1));
    world.connect_both(CLIENT, SERVER, link.parse::<LinkConfig>().unwrap());
    world
}

fn outcome(world: &World, id: PeerId) -> &Outcome {
    world.peer::<Smol>(id).outcomes().next().expect("a connection")
}

#[test]
fn both_send_and_check_every_octet() {
    let mut world =
        world(1, "10mbit,10ms", Behaviour::exchange(300_000, 100_000), Behaviour::exchange(100_000, 300_000));
    world.run_to_end(secs(60));
    let (c, s) = (outcome(&world, CLIENT), outcome(&world, SERVER));
    assert!(c.is_complete(300_000, 100_000), "{c:?}");
    assert!(s.is_complete(100_000, 300_000), "{s:?}");
    assert!(c.opened_at >= Some(Instant::from_millis(20)) && c.opened_at < Some(Instant::from_millis(21)));
    assert!(c.shut_at.is_some() && c.eof_at.is_some() && c.eof_at <= c.ended_at);
    assert_eq!(c.endpoints.map(|(l, r)| (r, l)), s.endpoints);
}

#[test]
fn losses_are_repaired_and_the_seed_decides_how() {
    let run = |seed| {
        let (client, server) = (Behaviour::exchange(50_000, 50_000), Behaviour::exchange(50_000, 50_000));
        let mut world = world(seed, "10mbit,10ms,2%,dup=1%,corrupt=1%,reorder=2%/5ms", client, server);
        world.run_to_end(secs(600));
        assert!(outcome(&world, CLIENT).is_complete(50_000, 50_000));
        assert!(outcome(&world, SERVER).is_complete(50_000, 50_000));
        world.trace_hash()
    };
    let hashes: Vec<_> = (0..5).map(run).collect();
    assert_eq!(hashes, (0..5).map(run).collect::<Vec<_>>());
    assert_ne!(hashes[0], hashes[1]);
}

#[test]
fn a_wrong_octet_is_noticed() {
    // Other octets than the receiver counts on.
    let mut world = world(1, "1ms", Behaviour::exchange(5000, 0).seed(2), Behaviour::exchange(0, 5000));
    world.run_to_end(secs(60));
    let s = outcome(&world, SERVER);
    assert!(s.wrong_at.is_some_and(|at| at < 8) && !s.is_complete(0, 5000), "{s:?}");
}

#[test]
fn the_server_half_closes_first() {
    let mut world = world(1, "5ms", Behaviour::half_close_last(70_000, 10), Behaviour::exchange(10, 70_000));
    world.run_to_end(secs(60));
    let (c, s) = (outcome(&world, CLIENT), outcome(&world, SERVER));
    assert!(c.is_complete(70_000, 10) && s.is_complete(10, 70_000));
    assert!(c.eof_at < c.written_at, "the client sends after the server's end of file");
    assert!(s.shut_at < c.shut_at);
}

#[test]
fn a_reader_that_pauses_stops_the_sender() {
    let pause = Duration::from_secs(5);
    let server = Behaviour::exchange(0, 500_000).pause_reading(100_000, pause);
    let mut world = world(1, "100mbit,1ms", Behaviour::exchange(500_000, 0), server);
    world.run_to_end(secs(60));
    let (c, s) = (outcome(&world, CLIENT), outcome(&world, SERVER));
    assert!(c.is_complete(500_000, 0) && s.is_complete(0, 500_000), "{c:?}\n{s:?}");
    assert!(c.written_at > Some(secs(5)), "{c:?}");
}

#[test]
fn resets_end_both_sides() {
    for how in [End::Abort, End::LingerZero] {
        let client = Behaviour::reset_after(1000, 0, how);
        let mut world = world(1, "5ms", client, Behaviour::exchange(0, 1_000_000));
        world.run_to_end(secs(60));
        let (c, s) = (outcome(&world, CLIENT), outcome(&world, SERVER));
        assert!(c.is_complete(1000, 0), "{c:?}");
        assert!(matches!(s.failure(), Some(Error::Reset | Error::BrokenPipe)), "{s:?}");
    }
    let client = Behaviour::close_unread(Duration::from_secs(1));
    let mut world = world(1, "5ms", client, Behaviour::exchange(1000, 1));
    world.run_to_end(secs(60));
    assert_eq!(outcome(&world, CLIENT).error, None);
    assert_eq!(outcome(&world, SERVER).failure(), Some(Error::Reset));
}

#[test]
fn both_close_at_the_same_time() {
    let at = secs(2);
    let (client, server) = (Behaviour::close_at(500, 700, at), Behaviour::close_at(700, 500, at));
    let mut world = world(1, "30ms", client, server);
    world.run_to_end(secs(60));
    let (c, s) = (outcome(&world, CLIENT), outcome(&world, SERVER));
    assert!(c.is_complete(500, 700) && s.is_complete(700, 500));
    assert_eq!((c.ended_at, s.ended_at), (Some(at), Some(at)));
}

#[test]
fn sizes_are_kept_to() {
    let client = Behaviour::exchange(10_000, 10_000).write_sizes([1, 700, 13]).read_sizes([5, 3000]);
    let server = Behaviour::exchange(10_000, 10_000).zero_copy();
    let mut world = world(1, "1ms", client, server);
    world.run_to_end(secs(60));
    assert!(outcome(&world, CLIENT).is_complete(10_000, 10_000));
    assert!(outcome(&world, SERVER).is_complete(10_000, 10_000));
}

#[test]
fn nobody_listens() {
    let (a, b) = addresses();
    let mut world = World::new(1);
    let remote = Endpoint::new(b.into(), 81);
    let client = Smol::new(SmolConfig::new(a, 1)).client(remote, Behaviour::exchange(1, 1), secs(1));
    world.add("client", client);
    world.add("server", Smol::new(SmolConfig::new(b, 2)));
    world.connect_both(CLIENT, SERVER, LinkConfig::PERFECT.with_delay(Duration::from_millis(7)));
    world.run_to_end(secs(60));
    let c = outcome(&world, CLIENT);
    assert_eq!(c.error, Some(("connect", Error::Refused, Instant::from_millis(1014))));
    assert_eq!(c.started_at, Some(secs(1)));
}
