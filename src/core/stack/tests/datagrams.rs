//! What a received datagram tells of itself, and which may be sent.

use super::*;
use crate::sockopt::{PathMtuDiscovery, SocketOptions};
use Family::V4;

fn set(host: &mut Stack, id: SocketId, change: impl Fn(&mut SocketOptions)) {
    let mut options = host.options(id).unwrap();
    change(&mut options);
    host.set_options(id, options, Instant::from_secs(1)).unwrap();
}

fn pair() -> (Pair, SocketId, SocketId) {
    let mut p = Pair::new();
    let (from, to) = (p.hosts[0].udp_socket(V4), p.hosts[1].udp_socket(V4));
    p.hosts[1].bind(to, Endpoint::new(Address::UNSPECIFIED_V4, 53)).unwrap();
    (p, from, to)
}

//= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.6
//= type=test
//= id=rfc1122-3.2.1.6-2
//= https://www.rfc-editor.org/rfc/rfc1122#section-3.4
//= type=test
//= id=rfc1122-3.4-3
//= https://www.rfc-editor.org/rfc/rfc1122#section-4.1.3.5
//= type=test
//= id=rfc1122-4.1.3.5-1
#[test]
fn where_to_and_how() {
    let (mut p, from, to) = pair();
    set(&mut p.hosts[0], from, |o| (o.hop_limit, o.traffic_class) = (7, 0xb8));
    set(&mut p.hosts[0], from, |o| o.broadcast = true);
    let now = p.now;
    for address in [v4(2), v4(255)] {
        p.hosts[0].try_send_to(from, b"hello", Some(Endpoint::new(address, 53)), now).unwrap();
    }
    p.run(|_| false);
    for address in [v4(2), v4(255)] {
        assert_eq!(p.hosts[1].unread(to), Ok(5));
        let got = p.hosts[1].try_receive_from(to, &mut [0; 3], false).unwrap();
        assert_eq!((got.copied, got.len, got.to), (3, 5, Endpoint::new(address, 53)));
        assert_eq!((got.labels.hop_limit, got.labels.traffic_class), (7, 0xb8));
    }
    assert_eq!(p.hosts[1].unread(to), Ok(0));
}

#[test]
fn empty_and_too_long() {
    let (mut p, from, to) = pair();
    let (now, peer) = (p.now, Some(Endpoint::new(v4(2), 53)));
    assert_eq!(p.hosts[0].try_send_to(from, &[0; 65_508], peer, now), Err(Error::MessageTooLong));
    assert_eq!(p.hosts[0].try_send_to(from, &[0; 65_507], peer, now), Ok(65_507));
    assert_eq!(p.hosts[0].try_send_to(from, b"", peer, now), Ok(0));
    p.run(|_| false);
    assert_eq!(p.hosts[1].try_receive_from(to, &mut [], false).unwrap().len, 65_507);
    assert!(p.hosts[1].readiness(to).contains(Readiness::READABLE));
    assert_eq!(p.hosts[1].unread(to), Ok(0));
    assert_eq!(p.hosts[1].try_receive_from(to, &mut [0; 9], false).unwrap().len, 0);
    assert_eq!(p.hosts[1].try_receive_from(to, &mut [0; 9], false), Err(Error::WouldBlock));
}

/// Never cut where that was asked for: the program is told instead.
#[test]
fn not_to_be_cut() {
    let (mut p, from, to) = pair();
    set(&mut p.hosts[0], from, |o| o.path_mtu_discovery = PathMtuDiscovery::Do);
    let (now, peer) = (p.now, Some(Endpoint::new(v4(2), 53)));
    let fits = usize::from(p.hosts[0].config().mtu) - 28;
    assert_eq!(p.hosts[0].try_send_to(from, &vec![0; fits + 1], peer, now), Err(Error::MessageTooLong));
    assert_eq!(p.hosts[0].try_send_to(from, &vec![0; fits], peer, now), Ok(fits));
    p.run(|_| false);
    assert_eq!(p.sent, 1);
    assert_eq!(p.hosts[1].unread(to), Ok(fits));
}
