use std::io::ErrorKind;
use std::net::IpAddr;

use super::*;
use crate::net::{Ping, UdpSocket};

#[test]
fn datagrams_go_and_come() {
    limited(|| {
        let pair = pair();
        for (here, there) in [("10.7.0.1:0", "10.7.0.2:0"), ("[fd00::1]:0", "[fd00::2]:0")] {
            let a = UdpSocket::bind_on(&pair.left, here).unwrap();
            let b = UdpSocket::bind_on(&pair.right, there).unwrap();
            let data = pattern(5000);
            assert_eq!(a.send_to(&data, b.local_addr().unwrap()).unwrap(), data.len(), "in fragments");
            let mut buf = vec![0; 6000];
            let (n, from) = b.peek_from(&mut buf[..10]).unwrap();
            assert_eq!((n, from), (10, a.local_addr().unwrap()));
            let received = b.recv_datagram(&mut buf).unwrap();
            assert_eq!((received.copied, received.len), (5000, 5000));
            assert_eq!(received.to.socket_addr(), b.local_addr().unwrap());
            assert!(buf[..5000] == data);
            b.connect(from).unwrap();
            b.send(b"back").unwrap();
            assert_eq!(a.recv_from(&mut buf).unwrap(), (4, b.local_addr().unwrap()));
        }
    });
}

#[test]
fn a_socket_without_a_peer_hears_everybody() {
    limited(|| {
        let pair = pair();
        let a = pair.left.bind_udp("10.7.0.1:0").unwrap();
        let b = pair.right.bind_udp("10.7.0.2:0").unwrap();
        b.send_to(b"hello", a.local_addr().unwrap()).unwrap();
        let mut buf = [0; 16];
        assert_eq!(a.peek(&mut buf).unwrap(), 5);
        assert_eq!(a.recv(&mut buf).unwrap(), 5);
        assert_eq!(&buf[..5], b"hello");
        assert_eq!(a.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    });
}

#[test]
fn a_connected_socket_hears_its_peer_alone() {
    limited(|| {
        let pair = pair();
        let a = pair.left.bind_udp("10.7.0.1:0").unwrap();
        let stranger = pair.right.bind_udp("10.7.0.2:0").unwrap();
        let peer = pair.right.bind_udp("10.7.0.2:0").unwrap();
        assert_eq!(a.send(b"x").unwrap_err().raw_os_error(), Some(89), "EDESTADDRREQ");
        a.connect(peer.local_addr().unwrap()).unwrap();
        stranger.send_to(b"stranger", a.local_addr().unwrap()).unwrap();
        peer.send_to(b"peer", a.local_addr().unwrap()).unwrap();
        let mut buf = [0; 16];
        assert_eq!(a.peek(&mut buf).unwrap(), 4);
        assert_eq!(a.recv(&mut buf).unwrap(), 4);
        assert_eq!(&buf[..4], b"peer");
    });
}

#[test]
fn a_port_without_a_socket_refuses() {
    limited(|| {
        let pair = pair();
        let a = pair.left.bind_udp("10.7.0.1:0").unwrap();
        a.connect("10.7.0.2:9").unwrap();
        a.send(b"anybody?").unwrap();
        assert_eq!(a.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert!(a.take_error().unwrap().is_none());
    });
}

#[test]
fn waiting_is_bounded_and_options_kept() {
    limited(|| {
        let pair = pair();
        let a = pair.left.bind_udp("10.7.0.1:0").unwrap();
        a.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(a.recv_from(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        a.set_read_timeout(None).unwrap();
        a.set_nonblocking(true).unwrap();
        assert_eq!(a.recv_from(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(a.try_recv_from(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        a.set_ttl(3).unwrap();
        assert_eq!(a.ttl().unwrap(), 3);
        let error = a.send_to(b"all", "10.7.0.255:9").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        a.set_broadcast(true).unwrap();
        assert!(a.broadcast().unwrap());
        assert_eq!(a.send_to(b"all", "10.7.0.255:9").unwrap(), 3);
        assert_eq!(a.send_to(&[0; 65_536], "10.7.0.2:9").unwrap_err().raw_os_error(), Some(90), "EMSGSIZE");
    });
}

#[test]
fn a_task_sends_and_receives() {
    limited(|| {
        let pair = pair();
        let a = pair.left.bind_udp("10.7.0.1:0").unwrap();
        let b = pair.right.bind_udp("10.7.0.2:0").unwrap();
        let to = b.local_addr().unwrap();
        block_on(async {
            poll_fn(|cx| a.poll_send_to(cx, b"ping", to)).await.unwrap();
            let mut buf = [0; 8];
            let (n, from) = poll_fn(|cx| b.poll_recv_from(cx, &mut buf)).await.unwrap();
            assert_eq!((&buf[..n], from), (&b"ping"[..], a.local_addr().unwrap()));
        });
    });
}

#[test]
fn pings_are_answered() {
    limited(|| {
        let pair = pair();
        for to in ["10.7.0.2", "fd00::2"] {
            let to: IpAddr = to.parse().unwrap();
            let ping = Ping::new_for(&pair.left, to).unwrap();
            let other = Ping::new_for(&pair.left, to).unwrap();
            let mut buf = [0; 64];
            for sequence in [1, 2, 0xffff] {
                ping.send(to, sequence, b"are you there?").unwrap();
                let reply = ping.recv(&mut buf).unwrap();
                assert_eq!((reply.from, reply.sequence), (to, sequence));
                assert_eq!(&buf[..reply.len], b"are you there?");
            }
            other.set_nonblocking(true);
            let error = other.recv(&mut buf).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "replies go to who asked");
        }
    });
}
