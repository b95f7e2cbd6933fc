//! What several connections send leaves in turns.

use super::*;

/// Two connections over a path that takes so long each way, of the first host.
fn two(delay: Duration) -> (Pair, [SocketId; 2]) {
    let mut p = Pair::new();
    p.listen();
    let now = p.now;
    let clients = [(); 2].map(|()| {
        let id = p.hosts[0].tcp_socket(Family::V4);
        let connecting = p.hosts[0].connect(id, Endpoint::new(v4(2), 80), now);
        assert_eq!(connecting, Err(Error::InProgress));
        id
    });
    for from in [0, 1, 0] {
        p.now += delay;
        let mut sent = Vec::new();
        while let Some(datagram) = p.hosts[from].poll_transmit(p.now) {
            sent.extend(segmentation::cut(&datagram));
        }
        for packet in sent {
            p.hosts[1 - from].receive(p.now + delay, Inbound::plain(&packet));
        }
        p.now += delay;
    }
    (p, clients)
}

/// The port that the next segment is from.
fn next(p: &mut Pair) -> Option<u16> {
    let datagram = p.hosts[0].poll_transmit(p.now)?;
    Some(u16::from_be_bytes([datagram.head[20], datagram.head[21]]))
}

/// Which of two connections has sent each segment of what they have written.
fn order(delay: Duration) -> Vec<u16> {
    let (mut p, clients) = two(delay);
    for id in clients {
        assert!(p.hosts[0].try_write(id, &pattern(40_000), p.now).unwrap() > 20_000);
    }
    let ports: Vec<_> = core::iter::from_fn(|| next(&mut p)).collect();
    assert!(ports.len() >= 20, "two windows");
    ports
}

#[test]
fn a_near_peer_gets_several_segments_of_a_connection_together() {
    let ports = order(Duration::from_micros(20));
    assert!(ports[..10].iter().all(|port| *port == ports[0]), "{ports:?}");
    assert!(ports[10..20].iter().all(|port| *port != ports[0]), "{ports:?}");
}

#[test]
fn to_a_far_one_each_segment_is_of_another_connection() {
    let ports = order(Duration::from_millis(10));
    assert!(ports.windows(2).all(|two| two[0] != two[1]), "{ports:?}");
}

/// Also in the middle of segments that follow one another by a short cut.
#[test]
fn one_that_comes_to_send_beside_another_is_sent_too() {
    for before in 0..=10 {
        let (mut p, [first, second]) = two(Duration::from_millis(10));
        p.hosts[0].try_write(first, &pattern(10 * 1448), p.now).unwrap();
        let mut ports: Vec<_> = (0..before).map_while(|_| next(&mut p)).collect();
        p.hosts[0].try_write(second, &pattern(10 * 1448), p.now).unwrap();
        p.hosts[0].check_invariants();
        ports.extend(core::iter::from_fn(|| next(&mut p)));
        p.hosts[0].check_invariants();
        let of_first = ports.iter().filter(|port| **port == ports[0]).count();
        assert_eq!((of_first, ports.len()), (10, 20), "{before}: {ports:?}");
        // From then on by turns.
        let both = before.max(1)..20 - before.max(1);
        assert!(both.is_empty() || ports[both].windows(2).all(|two| two[0] != two[1]), "{before}: {ports:?}");
        assert!(p.hosts[0].turns.is_empty());
    }
}
