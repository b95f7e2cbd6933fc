use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::net::TcpSocket;

#[test]
fn a_port_is_taken_once() {
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:80").unwrap();
        let error = pair.right.listen("10.7.0.2:80").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(listener);
        pair.right.listen("10.7.0.2:80").unwrap();
        let error = pair.right.listen("10.7.0.3:80").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn a_non_blocking_accept_does_not_wait() {
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        listener.set_nonblocking(false).unwrap();
        let (_client, mut server) = pair.connect_to(&listener);
        server.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(server.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(listener.try_accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn what_a_listener_has_its_connections_inherit() {
    limited(|| {
        let pair = pair();
        let socket = TcpSocket::new_v4(&pair.right).unwrap();
        socket.set_ttl(9).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.bind(addr("10.7.0.2:0")).unwrap();
        let listener = socket.listen(5).unwrap();
        assert_eq!(listener.ttl().unwrap(), 9);
        let (_client, server) = pair.connect_to(&listener);
        assert_eq!(server.ttl().unwrap(), 9);
        assert!(server.nodelay().unwrap());
    });
}

#[test]
fn any_number_of_threads_accept_and_none_is_forgotten() {
    const CONNECTIONS: usize = 40;
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        let to = listener.local_addr().unwrap();
        let served = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for stream in listener.incoming() {
                        let Ok(mut stream) = stream else { return };
                        let mut octet = [0];
                        stream.read_exact(&mut octet).unwrap();
                        stream.write_all(&octet).unwrap();
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let clients: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        for n in 0..CONNECTIONS / 4 {
                            let mut stream = pair.left.connect(to).unwrap();
                            stream.write_all(&[n as u8]).unwrap();
                            let mut octet = [0];
                            stream.read_exact(&mut octet).unwrap();
                            assert_eq!(octet, [n as u8]);
                        }
                    })
                })
                .collect();
            clients.into_iter().for_each(|c| c.join().unwrap());
            // Ends the four that wait.
            pair.right.shutdown(LONG).unwrap();
        });
        assert_eq!(served.into_inner(), CONNECTIONS);
    });
}

#[test]
fn connections_that_nobody_accepted_are_reset() {
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        let mut client = pair.left.connect(listener.local_addr().unwrap()).unwrap();
        // It waits to be accepted, so the handshake is over on both sides.
        block_on(poll_fn(|cx| listener.poll_ready(cx))).unwrap();
        drop(listener);
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}
