//! Whose a packet is, and what does not live where the hash says.

use bytes::Bytes;

use super::*;
use crate::body::Lent;

/// From a port that the program has chosen, to where the hash names another shard than the socket's.
fn stray(h: &mut Host) -> (SocketId, SocketId, Quad) {
    let listener = h.peer.tcp_socket(Family::V4);
    let remote = Endpoint::new(v4(PEER), 80);
    h.peer.bind(listener, remote).unwrap();
    h.peer.listen(listener, 5).unwrap();
    let quad_of = |port| Quad { local: Endpoint::new(v4(US), port), remote };
    let port = (5000..).find(|port| h.placement.owner(&quad_of(*port)) == 0).unwrap();
    let id = h.socket(1, port).unwrap();
    assert_eq!(h.connect(id, remote), Err(Error::InProgress));
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
    let now = h.now;
    h.stacks[0].close(listener, now).unwrap();
    h.rest();
    let other = h.stacks[1].tcp_socket(Family::V4);
    h.share(other);
    h.stacks[1].bind(other, quad.local).unwrap();
    assert_eq!(h.connect(other, quad.remote), Err(Error::AddrNotAvailable));
    assert_eq!(h.placement.owner(&quad), 0);
    // Nor without having asked.
    assert_eq!(h.stacks[1].connect(other, quad.remote, now), Err(Error::AddrNotAvailable));
    assert_eq!(h.placement.owner(&quad), 0);
}

#[test]
fn what_is_ceded_is_begun_by_nobody_else() {
    let mut h = Host::new(3);
    let listener = h.listen(0, 80, 50);
    h.share(listener);
    let quad_of = |port| Quad { local: Endpoint::new(v4(US), 80), remote: Endpoint::new(v4(PEER), port) };
    let port = (5000..).find(|port| h.placement.owner(&quad_of(*port)) == 0).unwrap();
    let quad = quad_of(port);
    let client = h.peer.tcp_socket(Family::V4);
    h.peer.bind(client, quad.remote).unwrap();
    assert_eq!(h.peer.connect(client, quad.local, h.now), Err(Error::InProgress));
    let mut syn = Vec::new();
    drive(&mut h.peer, h.now, |d| syn.extend(segmentation::cut(&d)), |_| {});
    // Under way to the first shard, which cedes the connection meanwhile.
    let [first, second] = [1, 2].map(|shard| {
        let id = h.stacks[shard].tcp_socket(Family::V4);
        h.share(id);
        h.stacks[shard].bind(id, quad.local).unwrap();
        assert_eq!(h.stacks[shard].claims(id, quad.remote), Some((0, quad)));
        id
    });
    h.stacks[0].cede(&quad, 1).unwrap();
    assert_eq!(h.stacks[0].cede(&quad, 2), Err(Error::AddrNotAvailable));
    h.stacks[0].receive(h.now, Inbound::plain(&syn[0]));
    assert!(!h.stacks[0].knows(&quad));
    // Nobody else is in its way, and it is let go when neither has begun it.
    assert_eq!(h.connect(second, quad.remote), Err(Error::AddrNotAvailable));
    h.stacks[1].end_claim(&quad);
    assert_eq!(h.placement.owner(&quad), 0);
    assert_eq!(h.connect(first, quad.remote), Err(Error::InProgress));
    assert_eq!(h.placement.owner(&quad), 1);
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
        assert_eq!(h.connect(client, to), Err(Error::InProgress));
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

/// Nothing but the headers has to be there to tell whose a packet is.
#[test]
fn a_packet_whose_text_was_lent_goes_where_the_connection_lives() {
    let mut h = Host::new(3);
    let listener = h.listen(0, 80, 50);
    let clients = h.called(80, 12);
    let (now, mut shards) = (h.now, BTreeSet::new());
    for client in clients {
        h.peer.try_write(client, &[7; 1000], now).unwrap();
        let mut sent = Vec::new();
        drive(&mut h.peer, now, |d| sent.extend(segmentation::cut(&d)), |_| {});
        let owner = h.placement.of_packet(&Inbound::plain(&sent[0]));
        // Its headers should be there whole, but it is nobody else's where they are not: before and among IP's, behind them,
        // and among the ports.
        for at in [sent[0].len() - 1000, 0, 10, 20, 23] {
            assert_eq!(of_parts(&h, &sent[0], at), owner, "{at}");
        }
        shards.insert(owner);
    }
    assert_eq!(shards.len(), 3);
    assert!((0..12).all(|_| h.accept(listener).is_ok()));
}

/// The shard of a packet whose octets from there on were lent.
fn of_parts(h: &Host, packet: &[u8], at: usize) -> u16 {
    let (head, rest) = packet.split_at(at);
    let lent = [Lent::from(Bytes::copy_from_slice(rest))];
    h.placement.of_packet(&Inbound { lent: &lent, ..Inbound::plain(head) })
}

#[test]
fn a_packet_cut_at_its_extension_header_goes_where_the_connection_lives() {
    let h = Host::new(3);
    let address = |last| Address::from_octets([0xfd, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    let mut shards = BTreeSet::new();
    for port in 5000..5020_u16 {
        let header = crate::wire::ip::Header {
            src: address(PEER),
            dst: address(US),
            // Destination options (RFC 8200 §4.6): next is TCP, eight octets, and the rest is padding.
            protocol: 60,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
            dont_fragment: true,
            fragment: None,
        };
        let mut segment = vec![6, 0, 1, 4, 0, 0, 0, 0];
        segment.extend_from_slice(&port.to_be_bytes());
        segment.extend_from_slice(&[0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0]);
        let mut packet = Vec::new();
        header.emit(segment.len(), 0, &mut packet).unwrap();
        packet.extend_from_slice(&segment);
        let owner = h.placement.of_packet(&Inbound::plain(&packet));
        let [local, remote] = [(US, 80), (PEER, port)].map(|(last, port)| Endpoint::new(address(last), port));
        assert_eq!(owner, h.placement.owner(&Quad { local, remote }));
        for at in [0, 39, 40, 44, 48, 51, 52] {
            assert_eq!(of_parts(&h, &packet, at), owner, "{at}");
        }
        shards.insert(owner);
    }
    assert_eq!(shards.len(), 3);
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
    assert_eq!(h.placement.of_packet(&Inbound::plain(&[])), 0);
    assert_eq!(h.placement.of_packet(&Inbound::plain(&[0x45; 7])), 0);
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
        let next_hop = 1000 - id.shard();
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
        assert_eq!(h.placement.of_packet(&Inbound::plain(&packet)), id.shard());
        // A lender may cut it behind any of its headers.
        for at in [20, 28] {
            let lent = [Lent::from(Bytes::copy_from_slice(&packet[at..]))];
            let parts = Inbound { lent: &lent, ..Inbound::plain(&packet[..at]) };
            assert_eq!(h.placement.of_packet(&parts), id.shard(), "{at}");
        }
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
