//! What went wrong once, each as the smallest scenario that shows it.

use tunstack::core::addr::Endpoint;
use tunstack::core::packet::{Sent, Trust};
use tunstack::core::time::Duration;
use tunstack::core::wire::options::Timestamps;
use tunstack::core::wire::{ip, tcp};
use tunstack::sim::behaviour::Behaviour;
use tunstack::sim::client::Client;
use tunstack::sim::host::Host;
use tunstack::sim::link::Fault;
use tunstack::sim::record::{Note, Record};
use tunstack::sim::server::Server;
use tunstack::sim::world::World;

use crate::pair::{CLIENT, Kind, PORT, Pair, SERVER, V4, config, secs};

const OURS: (Kind, Kind) = (Kind::Ours, Kind::Ours);

/// The largest smoothed round trip that a host's packets tell of.
fn longest_srtt(pair: &Pair) -> Option<Duration> {
    let sent = pair.world.records().filter_map(|record| match record.note {
        Note::Sent(Some(Sent::Tcp(event)), _) if record.peer == CLIENT => Some(event),
        _ => None,
    });
    sent.filter_map(|event| event.variables?.srtt).max()
}

fn timestamps(record: &Record) -> Option<Timestamps> {
    let packet = ip::parse(&record.packet).ok()?;
    tcp::parse(&packet.header, packet.payload, Trust::Verify).ok()?.options.timestamps
}

/// The SYN,ACK that answers a SYN sent again may echo the first one: the second between them is no round trip.
#[test]
fn a_lost_syn_ack_does_not_count_as_round_trip() {
    let (client, server) = (Behaviour::exchange(50_000, 1_000), Behaviour::exchange(1_000, 50_000));
    let mut pair = Pair::new(OURS, 1, "5ms", client, server);
    pair.world.scenario(SERVER, |p| (p.number == 0).then_some(Fault::Drop));
    let pair = pair.run();
    pair.assert_complete(50_000, 1_000);
    let srtt = longest_srtt(&pair).expect("round trips were measured");
    assert!(srtt < Duration::from_millis(60), "a delayed ACK and 10 ms, not {srtt:?}");
}

/// All ACKs are lost for a while, and no data. The time-outs grow; the first ACK that arrives ends that.
#[test]
fn lost_acks_do_not_count_as_round_trip() {
    let (client, server) = (Behaviour::exchange(50_000, 0), Behaviour::half_close_last(0, 50_000));
    let mut pair = Pair::new(OURS, 1, "5ms", client, server);
    let span = Duration::from_millis(25)..Duration::from_secs(10);
    pair.world
        .scenario(SERVER, move |p| span.contains(&p.at.saturating_since(secs(0))).then_some(Fault::Drop));
    let pair = pair.run();
    pair.assert_complete(50_000, 0);
    assert!(pair.counters(CLIENT).tcp_timeouts >= 4);
    let srtt = longest_srtt(&pair).expect("round trips were measured");
    assert!(srtt < Duration::from_millis(60), "a delayed ACK and 10 ms, not {srtt:?}");
}

/// RFC 7323 Appendix H (f)(1): a segment that is sent again because its ACK was lost is echoed itself.
#[test]
fn a_segment_whose_ack_was_lost_is_echoed() {
    let (client, server) = (Behaviour::exchange(1_000, 0), Behaviour::half_close_last(0, 1_000));
    let mut pair = Pair::new(OURS, 1, "5ms", client, server);
    // The SYN,ACK arrives, the first ACK of the text does not.
    pair.world.scenario(SERVER, |p| {
        (p.at < secs(0) + Duration::from_millis(100) && p.number > 0).then_some(Fault::Drop)
    });
    let pair = pair.run();
    pair.assert_complete(1_000, 0);
    let of = |peer, what: &str| {
        let mut records = pair.world.records();
        let found = records.find(|r| r.peer == peer && r.note.to_string().starts_with(what));
        timestamps(found.unwrap_or_else(|| panic!("no packet: {what}"))).expect("timestamps are agreed on")
    };
    let (again, answer) = (of(CLIENT, "tail loss probe"), of(SERVER, "ACK: data came twice"));
    assert_eq!(answer.echo, again.value);
}

/// IPv4 works from 68 octets on: with timestamps only one SACK block fits into 28 octets beside some text.
#[test]
fn the_smallest_path_of_ipv4_carries_everything() {
    let mut world = World::new(1);
    for (name, address) in [("client", V4.0), ("server", V4.1)] {
        let mut config = config(address);
        config.mtu = 68;
        world.host(name, config);
    }
    let remote = Endpoint::new(V4.1.parse::<std::net::IpAddr>().expect("an address").into(), PORT);
    world.run(CLIENT, Client::new(remote, Behaviour::exchange(20_000, 20_000)));
    world.run(SERVER, Server::new(remote, Behaviour::exchange(20_000, 20_000)));
    world.connect_both(CLIENT, SERVER, "1mbit,5ms,5%,mtu=68".parse().expect("a link"));
    world.run_to_end(secs(3_600));
    assert!(world.app::<Client>(CLIENT).outcomes().all(|o| o.is_complete(20_000, 20_000)));
    assert!(world.app::<Server>(SERVER).outcomes().all(|o| o.is_complete(20_000, 20_000)));
    for id in [CLIENT, SERVER] {
        assert_eq!(world.link(id).stats().too_big, 0);
        assert!(world.link(id).stats().lost > 0);
    }
}

/// Our window is full and one segment in it is lost again and again: the peer's ACKs carry the number of the right
/// edge meanwhile, and what we send needs them.
#[test]
fn acks_at_the_right_edge_are_taken() {
    let mut world = World::new(1);
    world.host("client", config(V4.0));
    let mut small = config(V4.1);
    // Full segments fill it to the last octet.
    small.tcp.receive_buffer = 14 * 1448;
    small.tcp.receive_buffer_max = 0;
    world.host("server", small);
    let remote = Endpoint::new(V4.1.parse::<std::net::IpAddr>().expect("an address").into(), PORT);
    let (up, down) = (500_000, 2_000_000);
    world.run(CLIENT, Client::new(remote, Behaviour::exchange(up, down)));
    world.run(SERVER, Server::new(remote, Behaviour::exchange(down, up)));
    world.connect_both(CLIENT, SERVER, "20mbit,20ms".parse().expect("a link"));
    let (mut victim, mut left) = (None, 4);
    world.scenario(CLIENT, move |passing| {
        let packet = ip::parse(passing.packet).ok()?;
        let segment = tcp::parse(&packet.header, packet.payload, Trust::Verify).ok()?;
        if segment.payload.is_empty() || passing.number < 60 || left == 0 {
            return None;
        }
        let seq = *victim.get_or_insert(segment.header.seq);
        (seq == segment.header.seq).then(|| {
            left -= 1;
            Fault::Drop
        })
    });
    world.run_to_end(secs(60));
    assert!(world.app::<Client>(CLIENT).outcomes().all(|o| o.is_complete(up, down)));
    assert!(world.app::<Server>(SERVER).outcomes().all(|o| o.is_complete(down, up)));
    let counters = |id| world.peer::<Host>(id).stack().counters();
    assert!(counters(CLIENT).tcp_timeouts >= 2, "the same segment is lost four times");
    let server = counters(SERVER);
    assert_eq!((server.tcp_timeouts, server.tcp_retrans_segs - server.tcp_loss_probes), (0, 0));
    assert_eq!(counters(SERVER).tcp_not_acceptable, 0);
}
