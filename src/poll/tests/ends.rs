//! Connections that begin, end and break, and engines that do.

use std::io::Write;
use std::net::Shutdown;
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake};
use std::thread;

use super::*;
use crate::net::tests::ESHUTDOWN;
use crate::poll::Waker;

#[test]
fn a_connection_attempt_ends_in_an_event() {
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        let mut watcher = Watcher::new();
        let mut stream = TcpStream::start_connect(&pair.left, &listener.local_addr().unwrap()).unwrap();
        watcher.add(&mut stream, 1, BOTH);
        let event = watcher.only(1);
        assert!(event.is_writable() && !event.is_error() && !event.is_write_closed());
        assert!(stream.take_error().unwrap().is_none() && stream.peer_addr().is_ok());

        let mut refused = TcpStream::start_connect(&pair.left, &addr("10.7.0.2:9")).unwrap();
        watcher.add(&mut refused, 2, WRITE);
        let event = watcher.only(2);
        assert!(event.is_writable() && event.is_error() && event.is_write_closed());
        assert_eq!(refused.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionRefused);
        watcher.quiet();
    });
}

#[test]
fn the_end_of_the_data_is_half_an_end() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let mut watcher = Watcher::new();
        watcher.add(&mut client, 1, BOTH);
        watcher.only(1);
        server.write_all(b"last words").unwrap();
        watcher.only(1);
        server.shutdown(Shutdown::Write).unwrap();
        let event = watcher.only(1);
        assert!(event.is_readable() && event.is_read_closed());
        assert!(event.is_writable() && !event.is_write_closed() && !event.is_error());
        assert_eq!(drain(&client), (10, true));
        watcher.quiet();
        client.shutdown(Shutdown::Write).unwrap();
        let event = watcher.only(1);
        assert!(event.is_read_closed() && event.is_write_closed() && !event.is_error());
    });
}

#[test]
fn a_reset_is_told_whatever_is_asked_for() {
    limited(|| {
        for interest in [READ, WRITE, Interest::PRIORITY] {
            let pair = pair();
            let (mut client, server) = pair.connected();
            let mut watcher = Watcher::new();
            watcher.add(&mut client, 1, interest);
            if interest == WRITE {
                watcher.only(1);
            }
            watcher.quiet();
            server.abort().unwrap();
            let event = watcher.only(1);
            assert!(event.is_error() && event.is_read_closed() && event.is_write_closed(), "{event:?}");
            assert_eq!(event.is_readable(), interest == READ);
            assert_eq!(event.is_writable(), interest == WRITE);
            assert_eq!(client.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionReset);
            watcher.quiet();
        }
    });
}

#[test]
fn what_is_closed_is_told_no_more() {
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        let mut watcher = Watcher::new();
        for _ in 0..5 {
            let (mut client, mut server) = pair.connect_to(&listener);
            watcher.add(&mut client, 1, BOTH);
            let clone = client.clone();
            drop(client);
            assert!(watcher.only(1).is_writable(), "a clone keeps it open");
            server.write_all(b"never read").unwrap();
            clone.peek(&mut [0; 10]).unwrap();
            assert_eq!(watcher.len(), (1, 1, 1));
            drop(clone);
            assert_eq!(watcher.len(), (0, 0, 0));
            watcher.quiet();
        }
    });
}

#[test]
fn a_token_used_again_is_the_new_ones() {
    limited(|| {
        let pair = pair();
        let (mut first, _other) = pair.connected();
        let (mut second, mut peer) = pair.connected();
        let mut watcher = Watcher::new();
        watcher.add(&mut first, 1, BOTH);
        drop(first);
        watcher.add(&mut second, 1, READ);
        watcher.quiet();
        peer.write_all(b"x").unwrap();
        assert!(!watcher.only(1).is_writable());
    });
}

#[test]
fn shutting_an_engine_down_ends_the_wait() {
    limited(|| {
        let pair = pair();
        let mut listener = pair.right.listen("10.7.0.2:0").unwrap();
        let mut udp = pair.right.bind_udp("10.7.0.2:0").unwrap();
        let mut watcher = Watcher::new();
        watcher.add(&mut listener, 1, READ);
        watcher.add(&mut udp, 2, READ);
        thread::scope(|scope| {
            let shutdown = scope.spawn(|| pair.right.shutdown(LONG));
            let event = watcher.until(1, Event::is_read_closed);
            assert!(event.is_readable() && event.is_error());
            shutdown.join().unwrap().unwrap();
        });
        assert_eq!(listener.try_accept().unwrap_err().raw_os_error(), ESHUTDOWN);
        assert_eq!(watcher.len().0, 2, "they are open still");
        let error = watcher.poll.registry().register(&mut udp, Token(3), READ).unwrap_err();
        assert_eq!(error.raw_os_error(), ESHUTDOWN);
        drop((listener, udp));
        assert_eq!(watcher.len(), (0, 0, 0));
        watcher.quiet();
    });
}

#[test]
fn a_poll_leaves_nothing_with_its_sockets() {
    limited(|| {
        let pair = pair();
        let (mut client, _server) = pair.connected();
        let watchers = |stream: &TcpStream| stream.engine().shard().lock().waiters.count(stream.id());
        for _ in 0..3 {
            let watcher = Watcher::new();
            watcher.add(&mut client, 1, BOTH);
            assert_eq!(watchers(&client), 1);
            let registry = watcher.poll.registry().try_clone().unwrap();
            drop(watcher);
            assert_eq!(watchers(&client), 1);
            drop(registry);
            assert_eq!(watchers(&client), 0);
        }
    });
}

#[test]
fn a_poll_keeps_no_engine() {
    limited(|| {
        let mut watcher = Watcher::new();
        let pair = pair();
        let mut listener = pair.right.listen("10.7.0.2:0").unwrap();
        watcher.add(&mut listener, 1, READ);
        drop((pair, listener));
        assert_eq!(watcher.len(), (0, 0, 0));
        watcher.quiet();
    });
}

/// A waker that polls, on the thread of an engine, without something to tell and then with it.
struct Polls(mpsc::Sender<Option<ErrorKind>>);

impl Wake for Polls {
    fn wake(self: Arc<Self>) {
        let mut watcher = Watcher::new();
        let waker = Waker::new(watcher.poll.registry(), Token(1)).unwrap();
        for (timeout, count) in [(Some(SHORT), 0), (None, 0), (Some(Duration::ZERO), 0), (None, 1)] {
            if count > 0 {
                waker.wake().unwrap();
            }
            let polled = watcher.poll.poll(&mut watcher.events, timeout);
            assert_eq!(watcher.events.iter().count(), count);
            self.0.send(polled.err().map(|error| error.kind())).unwrap();
        }
    }
}

#[test]
fn the_thread_of_an_engine_does_not_wait() {
    limited(|| {
        let pair = pair();
        let (told, tells) = mpsc::channel();
        let polls = std::task::Waker::from(Arc::new(Polls(told)));
        let udp = pair.left.bind_udp("10.7.0.1:7").unwrap();
        assert!(udp.poll_recv_from(&mut Context::from_waker(&polls), &mut [0]).is_pending());
        let other = pair.right.bind_udp("10.7.0.2:0").unwrap();
        other.send_to(b"x", "10.7.0.1:7").unwrap();
        let deadlock = Some(ErrorKind::Deadlock);
        for expected in [deadlock, deadlock, None, None] {
            assert_eq!(tells.recv_timeout(LONG), Ok(expected));
        }
    });
}
