//! When there is an event and when there is none.

use std::io::{Read, Write, pipe};
use std::net::Shutdown;

use super::*;
use crate::net::{Ping, UdpSocket};
use crate::poll::{SourceFd, Waker};

#[test]
fn what_is_ready_is_told_at_once_and_once() {
    limited(|| {
        let pair = pair();
        let (mut client, _server) = pair.connected();
        let mut watcher = Watcher::new();
        watcher.quiet();
        watcher.add(&mut client, 5, BOTH);
        let event = watcher.only(5);
        assert!(event.is_writable() && !event.is_readable() && !event.is_error());
        assert!(!event.is_read_closed() && !event.is_write_closed() && !event.is_priority());
        watcher.quiet();
        watcher.quiet();
    });
}

/// Whichever it looks at first, the sockets or the kernel, and however little room there is.
#[test]
fn a_poll_that_has_something_to_tell_sends_replies_that_wait() {
    limited(|| {
        let pair = pair();
        let (mut client, _server) = pair.connected();
        let (reader, _writer) = pipe().unwrap();
        for (room, descriptor) in [(1, false), (64, false), (1, true), (64, true)] {
            let mut watcher = Watcher::with_room(room);
            watcher.add(&mut client, 1, WRITE);
            // Without one it need not take turns, and never looks at the sockets first.
            if descriptor {
                watcher.add(&mut SourceFd(&reader), 2, READ);
            }
            let shard = watcher.poll.registry().shared.watched.home().unwrap();
            for _ in 0..4 {
                watcher.poll.registry().reregister(&mut client, Token(1), WRITE).unwrap();
                shard.leave_unsent();
                assert!(watcher.only(1).is_writable());
                assert!(!shard.has_unsent(), "{room} {descriptor}");
            }
            watcher.poll.registry().deregister(&mut client).unwrap();
        }
    });
}

/// What is there to be told is no reason for a system call, whether it is of wakers or of two engines' sockets.
#[test]
fn a_poll_without_one_home_asks_the_kernel_to_wait_or_for_descriptors() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let (reader, _writer) = pipe().unwrap();
        let asks = |watcher: &Watcher| watcher.poll.sit(Some(LONG)).unwrap() == Some(Some(LONG));
        let mut watcher = Watcher::new();
        let waker = Waker::new(watcher.poll.registry(), Token(1)).unwrap();
        assert!(asks(&watcher));
        waker.wake().unwrap();
        assert!(!asks(&watcher));
        watcher.only(1);
        watcher.add(&mut client, 2, WRITE);
        watcher.add(&mut server, 3, WRITE);
        assert!(watcher.poll.registry().shared.watched.home().is_none());
        assert!(!asks(&watcher));
        assert_eq!(watcher.told().len(), 2);
        assert!(asks(&watcher));
        watcher.add(&mut SourceFd(&reader), 4, READ);
        waker.wake().unwrap();
        assert!(asks(&watcher), "its turn may be now");
        watcher.only(1);
    });
}

#[test]
fn after_a_partial_read_only_new_data_is_an_edge() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let mut watcher = Watcher::new();
        watcher.add(&mut client, 1, READ);
        watcher.quiet();
        server.write_all(b"0123456789").unwrap();
        assert!(watcher.only(1).is_readable());
        let mut buf = [0; 4];
        assert_eq!(client.try_read(&mut buf).unwrap(), 4);
        watcher.quiet();
        server.write_all(b"more").unwrap();
        assert!(watcher.only(1).is_readable());
        let mut all = [0; 10];
        client.read_exact(&mut all).unwrap();
        assert_eq!(&all, b"456789more");
        assert_eq!(drain(&client), (0, false));
        watcher.quiet();
        server.write_all(b"x").unwrap();
        assert!(watcher.only(1).is_readable());
    });
}

#[test]
fn whoever_waits_for_room_hears_of_no_data() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let mut watcher = Watcher::new();
        watcher.add(&mut client, 1, WRITE);
        assert!(watcher.only(1).is_writable());
        for _ in 0..3 {
            server.write_all(b"data").unwrap();
            client.peek(&mut [0; 4]).unwrap();
            watcher.quiet();
            client.read_exact(&mut [0; 4]).unwrap();
        }
        watcher.quiet();
    });
}

#[test]
fn room_in_a_buffer_that_was_full_is_an_edge() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let mut watcher = Watcher::new();
        watcher.add(&mut client, 1, WRITE);
        assert!(watcher.only(1).is_writable());
        for _ in 0..3 {
            let written = fill(&client);
            let mut data = vec![0; written];
            server.read_exact(&mut data).unwrap();
            let event = watcher.until(1, Event::is_writable);
            assert!(!event.is_readable());
        }
    });
}

#[test]
fn on_one_host_room_may_come_back_within_the_call() {
    limited(|| {
        let pair = pair();
        let host = &pair.left;
        let listener = host.listen("10.7.0.1:0").unwrap();
        let mut client = host.connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut watcher = Watcher::new();
        watcher.add(&mut client, 1, BOTH);
        watcher.add(&mut server, 2, BOTH);
        let data = pattern(3_000_000);
        let (mut written, mut read) = (0, Vec::new());
        while read.len() < data.len() {
            for event in watcher.told() {
                if event.token() == Token(1) && event.is_writable() {
                    while written < data.len() {
                        match client.try_write(&data[written..]) {
                            Ok(n) => written += n,
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                                break;
                            }
                        }
                    }
                }
                if event.token() == Token(2) && event.is_readable() {
                    let mut buf = [0; 8192];
                    while let Ok(n) = server.try_read(&mut buf) {
                        read.extend_from_slice(&buf[..n]);
                    }
                }
            }
        }
        assert!(read == data);
    });
}

#[test]
fn bulk_data_both_ways_through_one_poll() {
    limited(|| {
        const CONNECTIONS: usize = 8;
        const SIZE: usize = 1_000_000;
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        let mut ends: Vec<TcpStream> = Vec::new();
        for _ in 0..CONNECTIONS {
            let (client, server) = pair.connect_to(&listener);
            ends.extend([client, server]);
        }
        let mut watcher = Watcher::with_room(3);
        for (n, end) in ends.iter_mut().enumerate() {
            watcher.add(end, n, BOTH);
        }
        let data = pattern(SIZE);
        let mut written = vec![0; ends.len()];
        let mut read = vec![Vec::new(); ends.len()];
        let mut open = ends.len();
        let mut buf = [0; 4096];
        while open > 0 {
            for event in watcher.told() {
                let n = event.token().0;
                while event.is_writable() && written[n] < SIZE {
                    match ends[n].try_write(&data[written[n]..]) {
                        Ok(count) => written[n] += count,
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::WouldBlock);
                            break;
                        }
                    }
                    if written[n] == SIZE {
                        ends[n].shutdown(Shutdown::Write).unwrap();
                    }
                }
                while event.is_readable() {
                    match ends[n].try_read(&mut buf) {
                        Ok(0) => {
                            assert!(read[n] == data);
                            read[n] = Vec::new();
                            watcher.poll.registry().reregister(&mut ends[n], Token(n), WRITE).unwrap();
                            open -= 1;
                            break;
                        }
                        Ok(count) => read[n].extend_from_slice(&buf[..count]),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::WouldBlock);
                            break;
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn each_who_comes_to_a_listener_is_an_edge() {
    limited(|| {
        let pair = pair();
        let mut listener = pair.right.listen("10.7.0.2:0").unwrap();
        let to = listener.local_addr().unwrap();
        let mut watcher = Watcher::new();
        watcher.add(&mut listener, 9, READ);
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let client = pair.left.connect(to).unwrap();
                let event = watcher.only(9);
                assert!(event.is_readable() && !event.is_writable());
                client
            })
            .collect();
        listener.try_accept().unwrap();
        watcher.quiet();
        for _ in &clients[1..] {
            listener.try_accept().unwrap();
        }
        nobody_waits(&listener);
        watcher.quiet();
        // All who waited before it was watched are one event.
        let mut late = Watcher::new();
        for _ in 0..2 {
            pair.left.connect(to).unwrap();
            watcher.only(9);
        }
        late.add(&mut listener, 9, READ);
        late.only(9);
        late.quiet();
        listener.try_accept().unwrap();
        listener.try_accept().unwrap();
        nobody_waits(&listener);
    });
}

#[test]
fn datagrams_are_edges_each() {
    limited(|| {
        let pair = pair();
        let mut to = pair.right.bind_udp("10.7.0.2:0").unwrap();
        let from = UdpSocket::bind_on(&pair.left, "10.7.0.1:0").unwrap();
        from.connect(to.local_addr().unwrap()).unwrap();
        let mut watcher = Watcher::new();
        watcher.add(&mut to, 1, BOTH);
        assert!(watcher.only(1).is_writable());
        let mut buf = [0; 16];
        to.set_nonblocking(true).unwrap();
        for _ in 0..2 {
            from.send(b"datagram").unwrap();
            let event = watcher.only(1);
            assert!(event.is_readable() && event.is_writable());
        }
        assert_eq!(to.recv_from(&mut buf).unwrap().0, 8);
        watcher.quiet();
        assert_eq!(to.recv_from(&mut buf).unwrap().0, 8);
        assert_eq!(to.recv_from(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        watcher.quiet();
    });
}

#[test]
fn an_unreachable_port_is_told_to_who_sent_there() {
    limited(|| {
        let pair = pair();
        let mut socket = pair.left.bind_udp("10.7.0.1:0").unwrap();
        socket.connect("10.7.0.2:9").unwrap();
        let mut watcher = Watcher::new();
        watcher.add(&mut socket, 1, READ);
        socket.send(b"anybody there?").unwrap();
        assert!(watcher.only(1).is_error());
        let error = socket.take_error().unwrap().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        watcher.quiet();
    });
}

#[test]
fn a_ping_is_answered() {
    limited(|| {
        let pair = pair();
        let mut ping = Ping::new_v4(&pair.left).unwrap();
        let mut watcher = Watcher::new();
        watcher.add(&mut ping, 1, READ);
        ping.send([10, 7, 0, 2].into(), 1, b"ping").unwrap();
        assert!(watcher.only(1).is_readable());
        assert_eq!(ping.recv(&mut [0; 9]).unwrap().sequence, 1);
        watcher.quiet();
    });
}

#[test]
fn urgent_data_is_told_to_who_asks_for_it() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let mut watcher = Watcher::new();
        watcher.add(&mut client, 1, Interest::PRIORITY);
        server.write_all(b"ordinary").unwrap();
        client.peek(&mut [0; 8]).unwrap();
        watcher.quiet();
        server.socket.call(|stack, id, now| stack.try_write_urgent(id, b"!", now)).unwrap();
        let event = watcher.only(1);
        assert!(event.is_priority() && event.is_readable() && !event.is_read_closed());
        watcher.quiet();
    });
}
