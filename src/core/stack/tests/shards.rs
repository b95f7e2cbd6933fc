//! Several stacks as one host, with another host as the peer of all.

extern crate std;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use std::sync::Mutex;

use super::super::shards::{Exclusive, Placement, Registry};
use super::*;
use crate::addr::Quad;
use crate::config::SynCookies;

/// What the stacks share. Which quads others know is told to it, as these stacks are all at hand.
#[derive(Debug, Default)]
struct Common {
    registry: Mutex<Registry>,
    known: Mutex<BTreeSet<(u16, Quad)>>,
}

impl Exclusive for Arc<Common> {
    fn with(&self, look: &mut dyn FnMut(&mut Registry)) {
        look(&mut self.registry.lock().unwrap());
    }

    fn is_connected(&self, shard: u16, quad: &Quad) -> bool {
        self.known.lock().unwrap().contains(&(shard, *quad))
    }
}

struct Host {
    now: Instant,
    stacks: Vec<Stack>,
    placement: Arc<Placement>,
    common: Arc<Common>,
    peer: Stack,
    /// Cuts what the peer sends in two pieces.
    fragments: bool,
}

const PEER: u8 = 1;
const US: u8 = 2;

impl Host {
    fn new(count: u16) -> Self {
        Self::with(count, |_| {})
    }

    fn with(count: u16, change: fn(&mut Config)) -> Self {
        let config = |n: u8| Config { addresses: vec![Prefix::new(v4(n), 24)], ..Config::default() };
        let mut ours = config(US);
        change(&mut ours);
        let common = Arc::new(Common::default());
        let placement = Arc::new(Placement::new([9; 32], count, common.clone()));
        let stack = |n| Stack::shard(ours.clone(), [9; 32], n, placement.clone());
        Self {
            now: Instant::from_secs(1),
            stacks: (0..count).map(stack).collect(),
            peer: Stack::new(config(PEER), [1; 32]),
            fragments: false,
            placement,
            common,
        }
    }

    /// Runs until nothing is to be done at this time.
    fn rest(&mut self) {
        let now = self.now;
        loop {
            let mut to_us = Vec::new();
            drive(&mut self.peer, now, |d| to_us.extend(segmentation::cut(&d)), |_| {});
            let mut busy = !to_us.is_empty();
            for packet in to_us {
                let pieces = if self.fragments { in_two(&packet) } else { vec![packet] };
                for piece in pieces {
                    let owner = self.placement.of_packet(&piece);
                    self.stacks[usize::from(owner)].receive(now, Inbound::plain(&piece));
                }
            }
            for at in 0..self.stacks.len() {
                let mut to_peer = Vec::new();
                drive(&mut self.stacks[at], now, |d| to_peer.extend(segmentation::cut(&d)), |_| {});
                busy |= !to_peer.is_empty();
                for packet in to_peer {
                    self.peer.receive(now, Inbound::plain(&packet));
                }
            }
            busy |= self.posts();
            if !busy {
                return;
            }
        }
    }

    /// Carries what one stack has for another.
    fn posts(&mut self) -> bool {
        let mut busy = false;
        for at in 0..self.stacks.len() {
            while let Some((to, post)) = self.stacks[at].poll_post() {
                assert_ne!(usize::from(to), at);
                self.stacks[usize::from(to)].take_post(post, self.now);
                busy = true;
            }
        }
        busy
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.rest();
            let next = self.stacks.iter().chain([&self.peer]).filter_map(Stack::poll_timeout).min();
            self.now = next.unwrap_or(end).min(end).max(self.now + Duration::from_millis(1));
        }
        self.rest();
    }

    fn of(&mut self, id: SocketId) -> &mut Stack {
        &mut self.stacks[usize::from(id.shard())]
    }

    fn socket(&mut self, shard: usize, port: u16) -> Result<SocketId, Error> {
        let id = self.stacks[shard].tcp_socket(Family::V4);
        self.stacks[shard].bind(id, Endpoint::new(Address::UNSPECIFIED_V4, port)).map(|()| id)
    }

    fn listen(&mut self, shard: usize, port: u16, backlog: u32) -> SocketId {
        let id = self.socket(shard, port).unwrap();
        self.stacks[shard].listen(id, backlog).unwrap();
        self.posts();
        id
    }

    /// Allows others at its port.
    fn share(&mut self, id: SocketId) {
        let now = self.now;
        let options = self.of(id).options(id).unwrap();
        let options = SocketOptions { reuse_address: true, reuse_port: true, ..options };
        self.of(id).set_options(id, options, now).unwrap();
        self.posts();
    }

    /// The peer begins so many connections.
    fn called(&mut self, port: u16, count: usize) -> Vec<SocketId> {
        let to = Endpoint::new(v4(US), port);
        let begun: Vec<_> = (0..count)
            .map(|_| {
                let id = self.peer.tcp_socket(Family::V4);
                assert_eq!(self.peer.connect(id, to, self.now), Err(Error::InProgress));
                id
            })
            .collect();
        self.rest();
        begun
    }

    fn accept(&mut self, listener: SocketId) -> Result<(SocketId, Endpoint), Error> {
        self.of(listener).try_accept_from(listener)
    }

    /// How many of the peer's stand, and how many have ended.
    fn states(&self, ids: &[SocketId]) -> (usize, usize) {
        let count = |state| ids.iter().filter(|id| self.peer.state(**id) == Some(state)).count();
        (count(State::Established), count(State::Closed))
    }

    fn quad(&mut self, id: SocketId) -> Quad {
        let (local, remote) = (self.of(id).local_endpoint(id), self.of(id).remote_endpoint(id));
        Quad { local: local.unwrap(), remote: remote.unwrap() }
    }

    fn sum(&self) -> Counters {
        let mut sum = Counters::default();
        self.stacks.iter().for_each(|stack| sum.add(stack.counters()));
        sum
    }
}

/// A packet in two fragments, or as it is where it has too little.
fn in_two(packet: &[u8]) -> Vec<Vec<u8>> {
    let (head, text) = packet.split_at(20);
    if text.len() <= 8 {
        return vec![packet.to_vec()];
    }
    let piece = |text: &[u8], field: u16| {
        let mut piece = head.to_vec();
        piece[2..4].copy_from_slice(&(20 + text.len() as u16).to_be_bytes());
        piece[4..6].copy_from_slice(&7u16.to_be_bytes());
        piece[6..8].copy_from_slice(&field.to_be_bytes());
        piece[10..12].fill(0);
        let sum = piece.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum::<u32>();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        piece[10..12].copy_from_slice(&sum.to_be_bytes());
        piece.extend_from_slice(text);
        piece
    };
    vec![piece(&text[..8], 0x2000), piece(&text[8..], 1)]
}

#[test]
fn a_listener_stands_in_all_shards_and_has_one_queue() {
    let mut h = Host::new(4);
    let listener = h.listen(1, 80, 100);
    let clients = h.called(80, 64);
    assert_eq!(h.states(&clients), (64, 0));
    assert_eq!(h.of(listener).backlog(listener), Some((64, 100)));
    let mut used = BTreeMap::new();
    for _ in 0..64 {
        let (id, peer) = h.accept(listener).unwrap();
        let quad = h.quad(id);
        assert_eq!((h.placement.owner(&quad), quad.remote), (id.shard(), peer));
        *used.entry(id.shard()).or_insert(0) += 1;
        let now = h.now;
        h.of(id).try_write(id, b"hello", now).unwrap();
    }
    assert_eq!(h.accept(listener), Err(Error::WouldBlock));
    assert_eq!(used.len(), 4, "{used:?}");
    assert!(used.values().all(|n| *n > 4), "{used:?}");
    h.rest();
    for client in clients {
        assert_eq!(h.peer.try_read(client, &mut [0; 9]), Ok(5));
    }
    let sum = h.sum();
    assert_eq!((sum.tcp_passive_opens, sum.tcp_curr_estab), (64, 64));
    assert!(h.stacks.iter().all(|stack| stack.counters().tcp_passive_opens > 4));
}

#[test]
fn a_connection_of_ours_lives_where_it_was_opened() {
    let mut h = Host::new(3);
    let listener = h.peer.tcp_socket(Family::V4);
    h.peer.bind(listener, Endpoint::new(Address::UNSPECIFIED_V4, 80)).unwrap();
    h.peer.listen(listener, 100).unwrap();
    let mut ports = BTreeSet::new();
    for n in 0..60 {
        let (stack, now) = (&mut h.stacks[n % 3], h.now);
        let id = stack.tcp_socket(Family::V4);
        assert_eq!(stack.connect(id, Endpoint::new(v4(PEER), 80), now), Err(Error::InProgress));
        h.rest();
        assert_eq!(h.of(id).state(id), Some(State::Established));
        let quad = h.quad(id);
        assert_eq!(h.placement.owner(&quad), n as u16 % 3);
        assert_eq!(h.placement.owner(&quad.reversed()), n as u16 % 3, "whoever looks");
        assert!(ports.insert(quad.local.port));
    }
    assert!(
        h.common
            .registry
            .lock()
            .unwrap()
            .stray(&Quad { local: Endpoint::UNSPECIFIED, remote: Endpoint::UNSPECIFIED })
            .is_none()
    );
}

#[test]
fn a_backlog_is_that_of_all_shards_together() {
    let mut h = Host::new(4);
    let listener = h.listen(0, 80, 5);
    h.called(80, 40);
    let waiting = |h: &mut Host| {
        let shard = listener.shard();
        h.stacks[usize::from(shard)].backlog(listener).unwrap().0
    };
    assert_eq!(waiting(&mut h), 6, "one more than was asked for");
    assert_eq!(h.sum().tcp_curr_estab, 6);
    assert!(h.sum().tcp_listen_overflows > 0);
    // One place, one more connection, wherever it lives.
    h.accept(listener).unwrap();
    h.pass(Duration::from_secs(5));
    assert_eq!(waiting(&mut h), 6);
    assert_eq!(h.sum().tcp_curr_estab, 7);
    // The limit is changed for all.
    h.of(listener).listen(listener, 9).unwrap();
    h.pass(Duration::from_secs(10));
    assert_eq!(waiting(&mut h), 10);
    while h.accept(listener).is_ok() {}
    h.pass(Duration::from_secs(200));
    while h.accept(listener).is_ok() {}
    h.pass(Duration::from_secs(200));
    while h.accept(listener).is_ok() {}
    assert_eq!(h.sum().tcp_passive_opens, h.sum().tcp_curr_estab + h.sum().tcp_attempt_fails);
}

#[test]
fn a_listener_ends_in_all_shards() {
    let mut h = Host::new(4);
    let listener = h.listen(2, 80, 50);
    let clients = h.called(80, 40);
    let taken: Vec<_> = (0..4).map(|_| h.accept(listener).unwrap().0).collect();
    let now = h.now;
    h.of(listener).close(listener, now).unwrap();
    h.rest();
    assert_eq!(h.states(&clients), (4, 36));
    assert_eq!(h.sum().tcp_curr_estab, 4);
    assert_eq!(h.stacks.iter().map(Stack::slots).sum::<usize>(), 4, "nothing is left but the accepted ones");
    assert!(taken.iter().all(|id| h.stacks[usize::from(id.shard())].state(*id) == Some(State::Established)));
    // Nobody is there any more, in any shard.
    let late = h.called(80, 16);
    assert_eq!(h.states(&late), (0, 16));
}

#[test]
fn what_completes_while_the_listener_ends_is_reset() {
    let mut h = Host::new(4);
    let listener = h.listen(0, 80, 50);
    // The others' announcements are still to come when it is closed.
    let now = h.now;
    let to = Endpoint::new(v4(US), 80);
    let clients: Vec<_> = (0..40).map(|_| h.peer.tcp_socket(Family::V4)).collect();
    for id in &clients {
        assert_eq!(h.peer.connect(*id, to, now), Err(Error::InProgress));
    }
    for _ in 0..3 {
        let mut packets = Vec::new();
        drive(&mut h.peer, now, |d| packets.extend(segmentation::cut(&d)), |_| {});
        for packet in packets {
            let owner = usize::from(h.placement.of_packet(&packet));
            h.stacks[owner].receive(now, Inbound::plain(&packet));
        }
        for at in 0..4 {
            let mut packets = Vec::new();
            drive(&mut h.stacks[at], now, |d| packets.extend(segmentation::cut(&d)), |_| {});
            packets.iter().for_each(|packet| {
                h.peer.receive(now, Inbound::plain(packet));
            });
        }
    }
    assert_eq!(h.sum().tcp_curr_estab, 40);
    h.stacks[0].close(listener, now).unwrap();
    h.rest();
    assert_eq!(h.states(&clients), (0, 40));
    assert_eq!(h.stacks.iter().map(Stack::slots).sum::<usize>(), 0);
}

#[test]
fn a_socket_that_listens_anew_has_nothing_of_before() {
    let mut h = Host::new(3);
    let listener = h.listen(1, 80, 50);
    h.share(listener);
    let before = h.called(80, 20);
    let now = h.now;
    // In one go: word of the end and of the beginning cross no more than once.
    h.of(listener).disconnect(listener, now).unwrap();
    h.of(listener).listen(listener, 50).unwrap();
    h.rest();
    assert_eq!(h.states(&before), (0, 20));
    let after = h.called(80, 20);
    assert_eq!(h.states(&after), (20, 0));
    let waiting: BTreeSet<_> = core::iter::from_fn(|| h.accept(listener).ok()).map(|(id, _)| id).collect();
    assert_eq!(waiting.len(), 20);
    assert!(waiting.iter().any(|id| id.shard() != 1));
    assert_eq!(h.stacks.iter().map(|stack| stack.replicas.len()).collect::<Vec<_>>(), [1, 0, 1]);
}

#[test]
fn word_that_comes_late_brings_no_listener_back() {
    let mut h = Host::new(2);
    let listener = h.socket(0, 80).unwrap();
    let now = h.now;
    h.stacks[0].listen(listener, 5).unwrap();
    let begins = h.stacks[0].poll_post().unwrap();
    h.stacks[0].close(listener, now).unwrap();
    h.posts();
    h.stacks[1].take_post(begins.1, now);
    assert_eq!((h.stacks[1].slots(), h.stacks[1].replicas.len()), (0, 0));
    // It listens anew before word of its end has come, and that word then ends nothing.
    let listener = h.listen(0, 80, 5);
    h.stacks[0].disconnect(listener, now).unwrap();
    let ends = h.stacks[0].poll_post().unwrap();
    h.stacks[0].listen(listener, 5).unwrap();
    h.posts();
    h.stacks[1].take_post(ends.1, now);
    assert_eq!((h.stacks[1].slots(), h.stacks[1].replicas.len()), (1, 1));
    let clients = h.called(80, 12);
    assert_eq!(h.states(&clients).1, 12 - h.stacks[0].backlog(listener).unwrap().0);
}

#[test]
fn accepted_connections_have_what_the_listener_was_given_last() {
    let mut h = Host::new(3);
    let listener = h.listen(0, 80, 50);
    let now = h.now;
    let options = SocketOptions { hop_limit: 77, ..h.stacks[0].options(listener).unwrap() };
    h.stacks[0].set_options(listener, options, now).unwrap();
    h.rest();
    h.called(80, 20);
    let mut shards = BTreeSet::new();
    while let Ok((id, _)) = h.accept(listener) {
        assert_eq!(h.of(id).options(id).unwrap().hop_limit, 77);
        shards.insert(id.shard());
    }
    assert_eq!(shards.len(), 3);
}

#[test]
fn cookies_go_and_come_back_in_every_shard() {
    let mut h = Host::with(3, |config| config.tcp.syn_cookies = SynCookies::Always);
    let listener = h.listen(0, 80, 50);
    let clients = h.called(80, 20);
    assert_eq!(h.states(&clients), (20, 0));
    let accepted = core::iter::from_fn(|| h.accept(listener).ok()).count();
    assert_eq!((accepted, h.sum().tcp_syncookies_recv), (20, 20));
}

#[test]
fn a_port_is_bound_in_the_host_and_not_in_a_shard() {
    let mut h = Host::new(2);
    let first = h.socket(0, 80).unwrap();
    assert_eq!(h.socket(1, 80), Err(Error::AddrInUse));
    let now = h.now;
    h.stacks[0].close(first, now).unwrap();
    let second = h.socket(1, 80).unwrap();
    h.stacks[1].close(second, now).unwrap();
    // Both may be bound where both allow it, but one alone listens.
    let reusing = |h: &mut Host, shard: usize, port: bool| {
        let id = h.stacks[shard].tcp_socket(Family::V4);
        let options = h.stacks[shard].options(id).unwrap();
        let options = SocketOptions { reuse_address: true, reuse_port: port, ..options };
        h.stacks[shard].set_options(id, options, now).unwrap();
        h.stacks[shard].bind(id, Endpoint::new(v4(US), 81)).map(|()| id)
    };
    let (a, b) = (reusing(&mut h, 0, false).unwrap(), reusing(&mut h, 1, false).unwrap());
    h.stacks[0].listen(a, 5).unwrap();
    assert_eq!(h.stacks[1].listen(b, 5), Err(Error::AddrInUse));
    assert_eq!(reusing(&mut h, 1, false), Err(Error::AddrInUse), "to one that listens nobody binds");
    h.rest();
    // A connection holds the port when the listener is gone, in whatever shard.
    h.stacks[0].listen(a, 50).unwrap();
    h.called(81, 30);
    let held: Vec<_> = core::iter::from_fn(|| h.accept(a).ok()).map(|(id, _)| id.shard()).collect();
    assert_eq!((held.len(), BTreeSet::from_iter(held).len()), (30, 2));
    h.stacks[0].close(a, now).unwrap();
    h.stacks[1].close(b, now).unwrap();
    h.rest();
    assert_eq!([h.socket(0, 81), h.socket(1, 81)], [Err(Error::AddrInUse); 2]);
    assert!(reusing(&mut h, 1, false).is_ok());
}

#[test]
fn those_that_share_a_port_share_it_in_all_shards() {
    let mut h = Host::new(2);
    let now = h.now;
    let listeners = [0, 1].map(|shard| {
        let id = h.stacks[shard].tcp_socket(Family::V4);
        let options = SocketOptions { reuse_port: true, ..h.stacks[shard].options(id).unwrap() };
        h.stacks[shard].set_options(id, options, now).unwrap();
        h.stacks[shard].bind(id, Endpoint::new(v4(US), 80)).unwrap();
        h.stacks[shard].listen(id, 100).unwrap();
        id
    });
    h.rest();
    h.called(80, 80);
    for listener in listeners {
        let mut from = [0; 2];
        while let Ok((id, _)) = h.accept(listener) {
            from[usize::from(id.shard())] += 1;
        }
        assert!(from.iter().all(|n| *n > 8), "{from:?}");
    }
}

/// From a port that the program has chosen, to where the hash names another shard than the socket's.
fn stray(h: &mut Host) -> (SocketId, SocketId, Quad) {
    let listener = h.peer.tcp_socket(Family::V4);
    let remote = Endpoint::new(v4(PEER), 80);
    h.peer.bind(listener, remote).unwrap();
    h.peer.listen(listener, 5).unwrap();
    let quad_of = |port| Quad { local: Endpoint::new(v4(US), port), remote };
    let port = (5000..).find(|port| h.placement.owner(&quad_of(*port)) == 0).unwrap();
    let id = h.socket(1, port).unwrap();
    let now = h.now;
    assert_eq!(h.stacks[1].connect(id, remote, now), Err(Error::InProgress));
    h.rest();
    assert_eq!(h.stacks[1].state(id), Some(State::Established));
    let server = h.peer.try_accept(listener).unwrap();
    (id, server, quad_of(port))
}

#[test]
fn a_chosen_port_keeps_a_connection_where_its_socket_is() {
    let mut h = Host::new(2);
    let (id, server, quad) = stray(&mut h);
    assert_eq!(h.placement.owner(&quad), 1);
    let now = h.now;
    h.peer.try_write(server, b"hello", now).unwrap();
    h.rest();
    assert_eq!(h.stacks[1].try_read(id, &mut [0; 9]), Ok(5));
    // TIME-WAIT is found where the connection was, and after it all is as before.
    h.stacks[1].close(id, now).unwrap();
    h.rest();
    h.peer.close(server, now).unwrap();
    h.rest();
    assert_eq!((h.stacks[1].slots(), h.placement.owner(&quad)), (1, 1), "TIME-WAIT");
    let before = h.sum().tcp_out_rsts;
    h.pass(Duration::from_secs(300));
    assert_eq!((h.stacks[1].slots(), h.placement.owner(&quad)), (0, 0));
    assert_eq!(h.sum().tcp_out_rsts, before);
}

#[test]
fn a_connection_that_another_shard_has_is_not_begun_again() {
    let mut h = Host::new(2);
    let listener = h.listen(0, 80, 50);
    h.share(listener);
    h.called(80, 30);
    // One of its own connections, seen from here.
    let (id, _) = core::iter::from_fn(|| h.accept(listener).ok()).find(|(id, _)| id.shard() == 0).unwrap();
    let quad = h.quad(id);
    assert!(h.stacks[0].knows(&quad) && !h.stacks[1].knows(&quad));
    h.common.known.lock().unwrap().insert((0, quad));
    let now = h.now;
    h.stacks[0].close(listener, now).unwrap();
    h.rest();
    let other = h.stacks[1].tcp_socket(Family::V4);
    h.share(other);
    h.stacks[1].bind(other, quad.local).unwrap();
    assert_eq!(h.stacks[1].connect(other, quad.remote, now), Err(Error::AddrNotAvailable));
    assert_eq!(h.placement.owner(&quad), 0);
}

#[test]
fn we_can_speak_to_ourselves_across_shards() {
    let mut h = Host::new(3);
    let listener = h.listen(0, 80, 50);
    let to = Endpoint::new(v4(US), 80);
    for (shard, bound) in [(0, 0), (1, 0), (2, 0), (0, 7001), (1, 7002), (2, 7003), (0, 7004), (1, 7005)] {
        let now = h.now;
        let client = h.stacks[shard].tcp_socket(Family::V4);
        if bound > 0 {
            h.stacks[shard].bind(client, Endpoint::new(v4(US), bound)).unwrap();
        }
        assert_eq!(h.stacks[shard].connect(client, to, now), Err(Error::InProgress));
        h.pass(Duration::from_millis(100));
        let (server, _) = h.accept(listener).unwrap();
        assert!(bound > 0 || usize::from(server.shard()) == shard, "both ends in one");
        h.of(server).try_write(server, b"hello", now).unwrap();
        h.pass(Duration::from_millis(100));
        assert_eq!(h.stacks[shard].try_read(client, &mut [0; 9]), Ok(5));
    }
    let sum = h.sum();
    assert_eq!((sum.tcp_active_opens, sum.tcp_passive_opens, sum.tcp_retrans_segs), (8, 8, 0));
}

#[test]
fn fragments_become_whole_before_they_find_their_shard() {
    let mut h = Host::new(3);
    let listener = h.listen(0, 80, 50);
    h.fragments = true;
    let clients = h.called(80, 12);
    let mut shards = BTreeSet::new();
    for _ in 0..12 {
        shards.insert(h.accept(listener).unwrap().0.shard());
    }
    assert_eq!((shards.len(), clients.len()), (3, 12));
    let (first, all) = (h.stacks[0].counters().ip_reasm_oks, h.sum());
    assert_eq!((first, all.ip_reasm_oks), (24, 24), "each SYN and each ACK, in the first shard");
    assert_eq!((all.ip_in_receives, all.ip_in_delivers), (48, 24), "each counted once");
}

#[test]
fn what_is_no_connection_is_the_first_shards() {
    let mut h = Host::new(3);
    let udp = h.stacks[0].udp_socket(Family::V4);
    h.stacks[0].bind(udp, Endpoint::new(v4(US), 53)).unwrap();
    let (asks, now) = (h.peer.udp_socket(Family::V4), h.now);
    for n in 0..20 {
        h.peer.try_send_to(asks, &[n], Some(Endpoint::new(v4(US), 53)), now).unwrap();
    }
    h.rest();
    assert_eq!(h.stacks[0].counters().udp_in_datagrams, 20);
    assert_eq!(h.placement.of_packet(&[]), 0);
    assert_eq!(h.placement.of_packet(&[0x45; 7]), 0);
    // What nobody listens to is refused by the shard it belongs to: the error goes to where it came from.
    h.peer.try_send_to(asks, b"x", Some(Endpoint::new(v4(US), 54)), now).unwrap();
    h.rest();
    assert_eq!(h.stacks[0].counters().udp_no_ports, 1);
}

/// An error finds the shard by what it quotes, and a smaller path is believed there.
#[test]
fn an_error_goes_where_the_connection_lives() {
    let mut h = Host::new(3);
    let listener = h.listen(0, 80, 50);
    h.called(80, 12);
    let now = h.now;
    let mut shards = BTreeSet::new();
    for _ in 0..12 {
        let (id, _) = h.accept(listener).unwrap();
        shards.insert(id.shard());
        let before = h.of(id).path_mtu(id, now).unwrap();
        h.of(id).try_write(id, &[7; 1000], now).unwrap();
        let mut sent = Vec::new();
        drive(h.of(id), now, |d| sent.extend(segmentation::cut(&d)), |_| {});
        let quoted = &sent[0][..48];
        let next_hop = 1000 - u16::from(id.shard());
        let mut icmp = vec![3, 4, 0, 0, 0, 0];
        icmp.extend_from_slice(&next_hop.to_be_bytes());
        icmp.extend_from_slice(quoted);
        let sum = icmp.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum::<u32>();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        icmp[2..4].copy_from_slice(&sum.to_be_bytes());
        let header = crate::wire::ip::Header {
            src: v4(9),
            dst: v4(US),
            protocol: crate::wire::ip::protocol::ICMP,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
            dont_fragment: false,
            fragment: None,
        };
        let mut packet = Vec::new();
        header.emit(icmp.len(), 0, &mut packet).unwrap();
        packet.extend_from_slice(&icmp);
        assert_eq!(h.placement.of_packet(&packet), id.shard());
        h.of(id).receive(now, Inbound::plain(&packet));
        assert!(h.of(id).path_mtu(id, now).unwrap() <= before.min(1000));
        h.peer.receive(now, Inbound::plain(&sent[0]));
        h.rest();
    }
    assert_eq!((shards.len(), h.sum().icmp_in_unproven), (3, 0));
}

#[test]
fn no_two_shards_number_their_packets_alike() {
    let mut h = Host::new(3);
    let numbers: BTreeSet<_> = h.stacks.iter_mut().map(|stack| stack.ids.next(v4(1), v4(2))).collect();
    assert_eq!(numbers.len(), 3);
    // What one signs another may have to recognise.
    let quad = Quad { local: Endpoint::new(v4(US), 80), remote: Endpoint::new(v4(PEER), 9) };
    let isns: BTreeSet<_> = h.stacks.iter().map(|stack| stack.keys.isn(&quad, h.now).get()).collect();
    assert_eq!(isns.len(), 1);
}

#[test]
fn a_handle_names_a_socket_of_one_shard() {
    let mut h = Host::new(2);
    let (a, b) = (h.stacks[0].tcp_socket(Family::V4), h.stacks[1].tcp_socket(Family::V4));
    assert_eq!((a.index(), a.generation()), (b.index(), b.generation()));
    assert_ne!(a, b);
    let now = h.now;
    assert_eq!(h.stacks[0].close(b, now), Err(Error::BadSocket));
    assert_eq!([h.stacks[0].number(), h.stacks[1].number()], [0, 1]);
}
