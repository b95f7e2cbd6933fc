//! Many connections between two hosts.

use tunstack::core::addr::Endpoint;
use tunstack::core::config::Config;
use tunstack::core::error::Error;
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::behaviour::Behaviour;
use tunstack::sim::client::Client;
use tunstack::sim::host::Host;
use tunstack::sim::link::{Fault, LinkConfig};
use tunstack::sim::record::Note;
use tunstack::sim::server::Server;
use tunstack::sim::world::World;

use crate::pair::{CLIENT, PORT, SERVER, V4, config, secs};

fn remote() -> Endpoint {
    Endpoint::new(V4.1.parse::<std::net::IpAddr>().unwrap().into(), PORT)
}

fn quiet(address: &str) -> Config {
    Config { trace: false, ..config(address) }
}

fn world(seed: u64, link: &str, client: Client, server: Server) -> World {
    let mut world = World::new(seed);
    world.host("client", quiet(V4.0));
    world.host("server", quiet(V4.1));
    world.connect_both(CLIENT, SERVER, link.parse::<LinkConfig>().unwrap());
    world.run(CLIENT, client);
    world.run(SERVER, server);
    world
}

#[test]
fn each_connection_has_its_own_octets() {
    let count = 300;
    let client =
        Client::new(remote(), Behaviour::exchange(20_000, 5_000)).count(count, Duration::from_millis(1));
    // Every third waits for the client's end before it answers.
    let server = Server::new(remote(), Behaviour::exchange(5_000, 20_000))
        .then(Behaviour::exchange(5_000, 20_000).zero_copy())
        .then(Behaviour::half_close_last(5_000, 20_000))
        .expect(count);
    let mut world = world(1, "100mbit,10ms,0.5%", client, server);
    world.run_to_end(secs(300));
    assert!(world.app::<Client>(CLIENT).outcomes().all(|o| o.is_complete(20_000, 5_000)));
    let server = world.app::<Server>(SERVER);
    assert_eq!(server.outcomes().len(), count);
    assert!(server.outcomes().all(|o| o.is_complete(5_000, 20_000)));
    assert_eq!((server.error(), server.listener()), (None, None));
}

#[test]
fn a_server_that_accepts_late_loses_nobody() {
    let count = 40;
    let client = Client::new(remote(), Behaviour::exchange(1_000, 1_000)).count(count, Duration::ZERO);
    let server = Server::new(remote(), Behaviour::exchange(1_000, 1_000))
        .expect(count)
        .backlog(8)
        .accept_from(secs(10));
    let mut world = world(1, "10ms", client, server);
    world.run_until(secs(9));
    assert_eq!(world.app::<Server>(SERVER).outcomes().len(), 0);
    world.run_to_end(secs(300));
    assert!(world.app::<Client>(CLIENT).outcomes().all(|o| o.is_complete(1_000, 1_000)));
    let first = world.app::<Server>(SERVER).outcomes().next().unwrap();
    assert_eq!(first.started_at, Some(secs(10)));
}

#[test]
fn a_server_that_listens_late_refuses_until_then() {
    let every = Duration::from_secs(1);
    let client = Client::new(remote(), Behaviour::exchange(10, 10)).count(4, every);
    let server =
        Server::new(remote(), Behaviour::exchange(10, 10)).expect(2).listen_at(Instant::from_millis(1500));
    let mut world = world(1, "10ms", client, server);
    world.run_to_end(secs(10));
    let outcomes: Vec<_> = world.app::<Client>(CLIENT).outcomes().collect();
    assert_eq!(outcomes[0].failure(), Some(Error::Refused));
    assert_eq!(outcomes[1].failure(), Some(Error::Refused));
    assert!(outcomes[2].is_complete(10, 10) && outcomes[3].is_complete(10, 10));
    assert_eq!(outcomes[3].started_at, Some(secs(3)));
}

#[test]
fn idle_connections_cost_no_events() {
    let count = 2_000;
    let client = Client::new(remote(), Behaviour::idle()).count(count, Duration::from_micros(100));
    let server = Server::new(remote(), Behaviour::idle()).expect(count).backlog(4096).keep_listening();
    let mut world = world(1, "1ms", client, server);
    world.run_to_end(secs(60));
    world.run_for(Duration::from_secs(60));
    let packets = world.packets();
    assert!(packets >= 3 * count as u64);
    world.run_for(Duration::from_secs(3600));
    assert_eq!(world.packets(), packets, "nothing to say, nothing said");
    assert_eq!(world.peer::<Host>(SERVER).stack().counters().tcp_curr_estab, count as u64);
}

#[test]
fn frames_may_be_kept_instead_of_copied() {
    let run = |keep: bool| {
        let mut world = World::new(1);
        let host = |name: &str, world: &mut World, address: &str| {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&world.random().to_le_bytes());
            let host = Host::new(config(address), seed);
            world.add(name, if keep { host.keep_frames() } else { host })
        };
        host("client", &mut world, V4.0);
        host("server", &mut world, V4.1);
        world.connect_both(CLIENT, SERVER, "50mbit,5ms,1%".parse().unwrap());
        world.run(CLIENT, Client::new(remote(), Behaviour::exchange(300_000, 300_000).zero_copy()));
        world.run(SERVER, Server::new(remote(), Behaviour::exchange(300_000, 300_000).zero_copy()));
        world.run_to_end(secs(60));
        assert!(world.app::<Client>(CLIENT).outcomes().all(|o| o.is_complete(300_000, 300_000)));
        assert!(world.app::<Server>(SERVER).outcomes().all(|o| o.is_complete(300_000, 300_000)));
        world.trace_hash()
    };
    assert_eq!(run(true), run(false), "how octets are stored does not show on the wire");
}

#[test]
fn a_lost_segment_and_its_repair_stand_in_the_record() {
    let client = Client::new(remote(), Behaviour::exchange(100_000, 0));
    let mut world = World::new(1);
    world.host("client", config(V4.0));
    world.host("server", config(V4.1));
    world.connect_both(CLIENT, SERVER, "10mbit,20ms".parse().unwrap());
    world.run(CLIENT, client);
    world.run(SERVER, Server::new(remote(), Behaviour::half_close_last(0, 100_000)));
    // SYN, ACK, then ten segments of text: the fifth of them.
    world.scenario(CLIENT, |p| (p.number == 6).then_some(Fault::Drop));
    world.run_to_end(secs(60));
    assert!(world.app::<Server>(SERVER).outcomes().all(|o| o.is_complete(0, 100_000)));
    let notes: Vec<_> = world
        .records()
        .filter(|r| r.peer == CLIENT && matches!(r.note, Note::Sent(..)))
        .map(|r| r.note.to_string())
        .collect();
    assert!(notes[6].starts_with("new data") && notes[6].ends_with("lost on the link, as the scenario says"));
    let repairs: Vec<_> = notes.iter().filter(|n| n.contains("retransmi")).collect();
    assert_eq!(repairs.len(), 1, "{repairs:?}");
    assert!(repairs[0].starts_with("fast retransmit"), "{repairs:?}");
}
