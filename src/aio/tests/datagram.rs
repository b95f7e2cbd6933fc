//! Datagrams between tasks.

use std::io::ErrorKind;
use std::sync::Arc;

use super::*;
use crate::aio::{Interest, UdpSocket};
use crate::net::tests::addr;
use crate::net::{RecvMessage, SendMessage};

async fn sockets(pair: &Pair) -> (UdpSocket, UdpSocket) {
    let left = UdpSocket::bind_on(&pair.left, "10.7.0.1:0").await.unwrap();
    let right = UdpSocket::bind_on(&pair.right, "10.7.0.2:0").await.unwrap();
    (left, right)
}

#[test]
fn a_datagram_and_its_answer() {
    run(async |pair| {
        let (left, right) = sockets(&pair).await;
        let (here, there) = (left.local_addr().unwrap(), right.local_addr().unwrap());
        let mut buf = [0; 16];
        let (sent, got) = tokio::join!(left.send_to(b"ping", there), right.recv_from(&mut buf));
        assert_eq!((sent.unwrap(), got.unwrap()), (4, (4, here)));
        right.connect(here).await.unwrap();
        assert_eq!(right.peer_addr().unwrap(), here);
        right.writable().await.unwrap();
        right.send(b"pong").await.unwrap();
        assert_eq!(left.peek_from(&mut buf[..2]).await.unwrap(), (2, there));
        assert_eq!(left.recv_from(&mut buf).await.unwrap(), (4, there));
        assert_eq!(&buf[..4], b"pong");
        assert_eq!(left.try_recv_from(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);

        left.try_send_to(b"a", there).unwrap();
        assert_eq!(right.peek(&mut buf).await.unwrap(), 1);
        assert_eq!(right.recv(&mut buf).await.unwrap(), 1);
        // Nobody is its peer, and it hears everybody.
        for octet in *b"bcd" {
            right.send(&[octet]).await.unwrap();
        }
        assert_eq!(left.peek(&mut buf).await.unwrap(), 1);
        assert_eq!((left.recv(&mut buf).await.unwrap(), buf[0]), (1, b'b'));
        assert_eq!((left.recv(&mut buf).await.unwrap(), buf[0]), (1, b'c'));
        assert_eq!((left.recv(&mut buf).await.unwrap(), buf[0]), (1, b'd'));
        assert_eq!(left.try_recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        let too_long = left.send_to(&[0; 65_536], there).await.unwrap_err();
        assert_eq!(too_long.raw_os_error(), Some(90), "EMSGSIZE");
    });
}

#[test]
fn batches() {
    run(async |pair| {
        let (left, right) = sockets(&pair).await;
        let (here, there) = (left.local_addr().unwrap(), right.local_addr().unwrap());
        left.connect(there).await.unwrap();
        let mut bufs = [[0; 8]; 4];
        let mut places = bufs.each_mut().map(|buf| RecvMessage::new(buf));
        assert_eq!(right.try_recv_messages(&mut places).unwrap_err().kind(), ErrorKind::WouldBlock);
        let messages = [SendMessage::new(b"one"), SendMessage::to(there, b"two and three").cut(8)];
        let (sent, got) = tokio::join!(left.send_messages(&messages), right.recv_messages(&mut places));
        assert_eq!(sent.unwrap(), 2);
        let mut count = got.unwrap();
        while count < 3 {
            count += right.recv_messages(&mut places[count..]).await.unwrap();
        }
        let texts: Vec<_> = places[..count].iter().map(RecvMessage::data).collect();
        assert_eq!(texts, [&b"one"[..], b"two and ", b"three"]);
        assert!(places[..count].iter().all(|place| place.datagram.from.socket_addr() == here));
        // Long batches go by parts, and end at what is refused.
        let long = vec![SendMessage::new(&[7; 1000]); 700];
        assert_eq!(left.send_messages(&long).await.unwrap(), 700);
        let refused = [messages[0], SendMessage::new(&[7; 200]).cut(1), messages[0]];
        assert_eq!(left.try_send_messages(&refused).unwrap(), 1);
        assert_eq!(left.send_messages(&refused[1..]).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        for size in [1000, 0] {
            left.set_segment_size(size).unwrap();
            assert_eq!(left.segment_size().unwrap(), size);
        }
        assert_eq!(left.set_segment_size(65_536).unwrap_err().kind(), ErrorKind::InvalidInput);
        right.set_gro(true).unwrap();
        assert!(right.gro().unwrap());
    });
}

#[test]
fn polling_and_readiness() {
    run(async |pair| {
        let (left, right) = sockets(&pair).await;
        let there = right.local_addr().unwrap();
        left.connect(there).await.unwrap();
        right.connect(left.local_addr().unwrap()).await.unwrap();
        let mut buf = [0; 16];
        assert!(right.poll_recv_ready(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(right.try_recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        let cx = &mut Context::from_waker(Waker::noop());
        now(left.poll_send_ready(cx)).unwrap();
        assert_eq!(now(left.poll_send(cx, b"one")).unwrap(), 3);
        assert_eq!(now(left.poll_send_to(cx, b"three", there)).unwrap(), 5);
        assert_eq!(left.try_send(b"two").unwrap(), 3);
        assert!(right.ready(Interest::READABLE).await.unwrap().is_readable());
        let first = right.async_io(Interest::READABLE, || right.try_peek_from(&mut buf)).await.unwrap();
        assert_eq!(first.0, 3);
        assert_eq!(now(right.poll_peek_from(cx, &mut buf)).unwrap().0, 3);
        assert_eq!(now(right.poll_recv(cx, &mut buf)).unwrap(), 3);
        assert_eq!(std::future::poll_fn(|cx| right.poll_recv_from(cx, &mut buf)).await.unwrap().0, 5);
        let received = right.recv_datagram(&mut buf[..2]).await.unwrap();
        assert_eq!((received.copied, received.len), (2, 3));
        let none = right.try_io(Interest::READABLE, || right.try_recv(&mut [0]));
        assert_eq!(none.unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn an_error_that_icmp_tells_of_ends_the_wait() {
    run(async |pair| {
        let left = UdpSocket::bind_on(&pair.left, "10.7.0.1:0").await.unwrap();
        left.connect(addr("10.7.0.2:9")).await.unwrap();
        left.send(b"anybody?").await.unwrap();
        let error = left.recv(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        poll_and_drop(left.recv(&mut [0]));
    });
}

#[test]
fn each_datagram_reaches_one_of_the_tasks_that_wait() {
    const TASKS: u8 = 6;
    run(async |pair| {
        let (left, right) = sockets(&pair).await;
        let there = right.local_addr().unwrap();
        let right = Arc::new(right);
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let right = Arc::clone(&right);
                tokio::spawn(async move {
                    let mut octet = [0];
                    right.recv_from(&mut octet).await.unwrap();
                    octet[0]
                })
            })
            .collect();
        for n in 0..TASKS {
            left.send_to(&[n], there).await.unwrap();
        }
        let mut got = Vec::new();
        for task in tasks {
            got.push(task.await.unwrap());
        }
        got.sort_unstable();
        assert_eq!(got, (0..TASKS).collect::<Vec<_>>());
        assert_eq!(right.waiters(), 0);
    });
}

#[test]
fn options_and_the_way_back() {
    run(async |pair| {
        let (left, right) = sockets(&pair).await;
        assert!(!left.broadcast().unwrap());
        left.set_broadcast(true).unwrap();
        left.set_ttl(3).unwrap();
        assert!(left.take_error().unwrap().is_none());
        let left = crate::net::UdpSocket::from(left);
        assert_eq!((left.broadcast().unwrap(), left.ttl().unwrap()), (true, 3));
        left.send_to(b"x", right.local_addr().unwrap()).unwrap();
        let left = UdpSocket::from(left);
        assert_eq!(right.recv_from(&mut [0]).await.unwrap(), (1, left.local_addr().unwrap()));
    });
}
