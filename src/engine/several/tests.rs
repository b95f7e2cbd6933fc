//! What is carried between two shards that nobody reads for.

use std::net::{IpAddr, Ipv4Addr};

use tunstack_core::addr::{Endpoint, Family, Prefix};
use tunstack_core::config::Config;
use tunstack_core::error::Error;
use tunstack_core::stack::SocketId;
use tunstack_core::time::Instant;

use super::*;
use crate::device::pipe::Pipe;
use crate::engine::Engine;
use crate::engine::clock::Clock;

/// More than is carried by one call, in segments of [`MSS`].
const OCTETS: usize = 600 << 10;

const MSS: usize = 560;

fn local(port: u16) -> Endpoint {
    Endpoint::new(IpAddr::V4(Ipv4Addr::new(10, 7, 0, 1)).into(), port)
}

/// Two shards, and a connection from the first to the second.
fn connected() -> (Vec<Arc<Shard>>, SocketId, SocketId) {
    let mut config = Config { addresses: vec![Prefix::new(local(0).address, 24)], ..Config::default() };
    config.mtu = 600;
    (config.tcp.send_buffer, config.tcp.receive_buffer) = (1 << 20, 1 << 20);
    let queues = [(); 2].map(|()| Pipe::pair(1500).unwrap().0);
    let builder = Engine::builder().queues(queues).config(config).seed([3; 32]);
    let shards = builder.make(Clock::start_virtual()).unwrap();
    let listener = shards[0].call(|stack, _| {
        let id = stack.tcp_socket(Family::V4);
        stack.bind(id, local(80)).and_then(|()| stack.listen(id, 9)).map(|()| id)
    });
    let listener = listener.unwrap();
    // By the hash both ends live in one shard; from a port that was chosen the client's lives where its socket is.
    let open = |port| {
        let claim = shards[0].call(|stack, _| {
            let id = stack.tcp_socket(Family::V4);
            stack.bind(id, local(port)).map(|()| Some((id, stack.claims(id, local(80))?.1)))
        });
        claim.unwrap()
    };
    let (client, quad) = (5000..).find_map(open).unwrap();
    shards[1].call(|stack, _| stack.cede(&quad, 0)).unwrap();
    let begun = shards[0].call(|stack, now| {
        assert_eq!(stack.connect(client, local(80), now), Err(Error::InProgress));
        stack.end_claim(&quad);
        Ok(())
    });
    begun.unwrap();
    // The whole handshake is less than a call carries.
    let server = shards[0].call(|stack, _| stack.try_accept(listener)).unwrap();
    assert_eq!((client.shard(), server.shard()), (0, 1));
    (shards, client, server)
}

fn write(shards: &[Arc<Shard>], client: SocketId) {
    let written = shards[0].call(|stack, now| stack.try_write(client, &[7; OCTETS], now));
    assert_eq!(written.unwrap(), OCTETS);
}

fn has_post(shard: &Shard) -> bool {
    let held = shard.lock();
    let has_post = held.stack.has_post();
    drop(held);
    has_post
}

/// What has come, without a turn for anybody.
fn received(shards: &[Arc<Shard>], server: SocketId) -> usize {
    shards[1].lock().stack.unread(server).unwrap()
}

/// Does as who sits or the reader does that was told, until nothing is left. Gives how often somebody was.
fn carry_the_rest(shards: &[Arc<Shard>], mut is_told: impl FnMut(&Shard) -> bool) -> usize {
    let mut turns = 0;
    while let Some(shard) = shards.iter().find(|shard| has_post(shard)) {
        assert!(is_told(shard), "what is left is left to nobody");
        let mut held = shard.lock();
        shard.drive(&mut held, Instant::ZERO);
        held.release();
        turns += 1;
    }
    turns
}

#[test]
fn a_call_carries_so_much_and_who_sits_is_told_of_the_rest() {
    let (shards, client, server) = connected();
    shards.iter().for_each(|shard| while shard.nudge.take() {});
    write(&shards, client);
    let first = received(&shards, server);
    assert!((1..=(TAKEN_ALONG + 64) * MSS).contains(&first), "{first}");
    assert!(carry_the_rest(&shards, |shard| shard.nudge.take()) > 1);
    assert_eq!(received(&shards, server), OCTETS);
}

#[test]
fn where_nobody_sits_the_reader_is_told() {
    let (shards, client, server) = connected();
    for shard in &shards {
        shard.open_seat();
        shard.lock().seat.alarm = Instant::FAR_FUTURE;
    }
    let rung =
        |shard: &Shard| std::mem::replace(&mut shard.lock().seat.alarm, Instant::FAR_FUTURE) == Instant::ZERO;
    write(&shards, client);
    assert!(received(&shards, server) < OCTETS);
    assert!(carry_the_rest(&shards, rung) > 1);
    assert_eq!(received(&shards, server), OCTETS);
}
