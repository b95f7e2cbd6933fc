//! Listeners and bound ports.

use super::*;

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
        assert_eq!(h.placement.stray(&quad), None);
        assert!(ports.insert(quad.local.port));
    }
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
            let owner = usize::from(h.placement.of_packet(&Inbound::plain(&packet)));
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
    assert_eq!((h.states(&clients).1, h.stacks[0].backlog(listener)), (0, Some((6, 5))), "nobody is refused");
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
fn what_is_said_of_a_listener_first_and_comes_last_is_not_heard() {
    let mut h = Host::new(2);
    let listener = h.listen(0, 80, 50);
    let now = h.now;
    let told = [77, 78].map(|hop_limit| {
        let options = SocketOptions { hop_limit, ..h.stacks[0].options(listener).unwrap() };
        h.stacks[0].set_options(listener, options, now).unwrap();
        h.stacks[0].poll_post().unwrap().1
    });
    told.into_iter().rev().for_each(|post| h.stacks[1].take_post(post, now));
    h.called(80, 20);
    let mut shards = BTreeSet::new();
    while let Ok((id, _)) = h.accept(listener) {
        assert_eq!(h.of(id).options(id).unwrap().hop_limit, 78);
        shards.insert(id.shard());
    }
    assert_eq!(shards.len(), 2);
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
