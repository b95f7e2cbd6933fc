use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::*;

#[test]
fn what_was_written_is_delivered_first() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let data = pattern(500_000);
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            server.read_to_end(&mut all).map(|_| all)
        });
        client.write_all(&data).unwrap();
        pair.left.shutdown(LONG).unwrap();
        assert!(reader.join().unwrap().unwrap() == data);
        assert_eq!(client.write(b"x").unwrap_err().raw_os_error(), ESHUTDOWN);
        assert_eq!(pair.left.check().unwrap_err().raw_os_error(), ESHUTDOWN);
        pair.left.shutdown(LONG).unwrap();
    });
}

#[test]
fn so_is_what_was_written_to_sockets_that_are_closed() {
    limited(|| {
        let pair = pair();
        let (mut client, mut server) = pair.connected();
        let data = pattern(500_000);
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            server.read_to_end(&mut all).map(|_| all)
        });
        client.write_all(&data).unwrap();
        drop(client);
        pair.left.shutdown(LONG).unwrap();
        assert!(reader.join().unwrap().unwrap() == data);
    });
}

#[test]
fn a_peer_that_does_not_close_is_reset() {
    limited(|| {
        let pair = pair();
        let (_client, mut server) = pair.connected();
        let error = pair.left.shutdown(SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // It sees our FIN, and then, at the latest when it answers, the reset.
        assert_eq!(server.read(&mut [0]).unwrap_or(0), 0);
        let error = loop {
            if let Err(error) = server.write_all(b"anybody?") {
                break error;
            }
        };
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    });
}

#[test]
fn whoever_waits_is_told() {
    limited(|| {
        let pair = pair();
        let (client, _server) = pair.connected();
        let listener = pair.left.listen("10.7.0.1:0").unwrap();
        let udp = pair.left.bind_udp("10.7.0.1:0").unwrap();
        thread::scope(|scope| {
            let accepting = scope.spawn(|| listener.accept().unwrap_err());
            let receiving = scope.spawn(|| udp.recv_from(&mut [0]).unwrap_err());
            let reading = scope.spawn(|| (&client).read(&mut [0]));
            let task = scope.spawn(|| block_on(poll_fn(|cx| udp.poll_recv_from(cx, &mut [0]))).unwrap_err());
            assert_eq!(pair.left.shutdown(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!(accepting.join().unwrap().raw_os_error(), ESHUTDOWN);
            assert_eq!(receiving.join().unwrap().raw_os_error(), ESHUTDOWN);
            assert_eq!(task.join().unwrap().raw_os_error(), ESHUTDOWN);
            assert!(reading.join().unwrap().is_err(), "aborted or shut down, as it comes");
        });
        assert_eq!(pair.left.connect("10.7.0.2:80").unwrap_err().raw_os_error(), ESHUTDOWN);
    });
}

#[test]
fn a_device_that_fails_ends_every_wait() {
    limited(|| {
        let (device, other_end) = Pipe::pair(1500).unwrap();
        let engine = Engine::builder().device(device).config(host(1)).start().unwrap();
        let listener = engine.listen("10.7.0.1:0").unwrap();
        let udp = engine.bind_udp("10.7.0.1:0").unwrap();
        thread::scope(|scope| {
            let waits = [
                scope.spawn(|| engine.connect("10.7.0.2:80").map(drop)),
                scope.spawn(|| listener.accept().map(drop)),
                scope.spawn(|| udp.recv_from(&mut [0]).map(drop)),
                scope.spawn(|| block_on(poll_fn(|cx| listener.poll_accept(cx))).map(drop)),
            ];
            drop(other_end);
            for wait in waits {
                let error = wait.join().unwrap().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BrokenPipe, "what the device said: {error}");
            }
        });
        assert_eq!(engine.check().unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(engine.shutdown(LONG).unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn the_last_handle_takes_the_thread_along() {
    limited(|| {
        let (device, _other) = Pipe::pair(1500).unwrap();
        let device = Arc::new(device);
        let engine = Engine::builder().device(Arc::clone(&device)).config(host(1)).start().unwrap();
        let listener = engine.listen("10.7.0.1:0").unwrap();
        drop(engine);
        assert_eq!(listener.try_accept().unwrap_err().kind(), ErrorKind::WouldBlock, "it lives on");
        drop(listener);
        // The thread held the device.
        assert_eq!(Arc::strong_count(&device), 1);
    });
}

#[test]
fn what_cannot_start_says_why() {
    let (device, _other) = Pipe::pair(1500).unwrap();
    assert_eq!(Engine::builder().start().unwrap_err().kind(), ErrorKind::InvalidInput);
    for shards in [0, 2] {
        let error = Engine::builder().shards(shards).start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    let config = Config { mtu: 9000, ..host(1) };
    let engine = Engine::builder().device(device).config(config).shards(1).start().unwrap();
    assert_eq!(engine.shard().lock().stack.config().mtu, 1500, "the device carries no more");
    assert_eq!(engine.addresses(), host(1).addresses);
}

#[test]
fn a_panic_inside_is_an_error_to_the_others() {
    limited(|| {
        let pair = pair();
        let udp = pair.left.bind_udp("10.7.0.1:0").unwrap();
        // It waits before the panic, and no timer comes to its help.
        let (parker, clock) = (Parker::current(), Clock::start());
        let waker = Waker::from(parker.clone());
        let cx = &mut Context::from_waker(&waker);
        assert!(udp.poll_recv_from(cx, &mut [0]).is_pending());
        let engine = pair.left.clone();
        let panics = thread::spawn(move || engine.shard().call::<()>(|_, _| panic!("on purpose")));
        assert!(panics.join().is_err());
        assert!(parker.wait(&clock, None));
        assert_eq!(udp.recv_from(&mut [0]).unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(udp.local_addr().unwrap_err().kind(), ErrorKind::Other);
        assert_eq!(pair.left.shutdown(Duration::ZERO).unwrap_err().kind(), ErrorKind::Other);
    });
}

/// More than are looked at in one hold of the lock: each is listed, and each is ended.
#[test]
fn very_many_are_ended_in_pieces() {
    limited(|| {
        let pair = pair();
        let first = pair.connected();
        let many: Vec<_> = (0..1200).map(|_| pair.left.bind_udp("10.7.0.1:0").unwrap()).collect();
        // Its connections take slots behind all the others, and are ended though it is closed before.
        let listener = pair.left.listen("10.7.0.1:0").unwrap();
        let last =
            (pair.right.connect(listener.local_addr().unwrap()).unwrap(), listener.accept().unwrap().0);
        let listed: Vec<_> = pair.left.sockets().iter().map(|socket| socket.id).collect();
        let own = [first.0.id()].into_iter().chain(many.iter().map(|udp| udp.id()));
        assert_eq!(listed, own.chain([listener.id(), last.1.id()]).collect::<Vec<_>>());
        let sizes: Vec<_> = crate::engine::pieces(pair.left.shard()).map(|slots| slots.len()).collect();
        assert_eq!(sizes, [512, 512, 179]);
        thread::scope(|scope| {
            for peer in [&first.1, &last.0] {
                scope.spawn(move || {
                    assert_eq!({ peer }.read(&mut [0]).unwrap(), 0, "its end is told");
                    peer.shutdown(Shutdown::Write).unwrap();
                });
            }
            pair.left.shutdown(LONG).unwrap();
        });
        assert_eq!(many[1199].local_addr().unwrap_err().raw_os_error(), ESHUTDOWN);
    });
}

/// Connections that are half-way to their end, or to their beginning, are no obstacle to the end of the engine.
#[test]
fn it_ends_from_every_state() {
    limited(|| {
        let pair = pair();
        let (half_closed, _a) = pair.connected();
        half_closed.shutdown(Shutdown::Write).unwrap();
        let (told, peer) = pair.connected();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&told).read(&mut [0]).unwrap(), 0);
        let (both, _b) = pair.connected();
        both.shutdown(Shutdown::Both).unwrap();
        let (reset, other) = pair.connected();
        other.abort().unwrap();
        assert!((&reset).read(&mut [0]).is_err());
        let connecting = TcpStream::start_connect(&pair.left, &addr("10.7.0.77:80")).unwrap();
        assert_eq!(pair.left.shutdown(SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!((&connecting).read(&mut [0]).is_err());
        assert_eq!(pair.left.shutdown(SHORT).ok(), Some(()), "again");
    });
}

/// One read by each of many threads on one socket, and each gets its octet; then the end of the data comes to all.
#[test]
fn all_who_read_one_socket_are_served() {
    limited(|| {
        let pair = pair();
        let (client, server) = pair.connected();
        thread::scope(|scope| {
            for round in 0..50 {
                let readers: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| (&client).read(&mut [0]).unwrap())).collect();
                let end = round == 49;
                match end {
                    false => (&server).write_all(b"four").unwrap(),
                    true => server.shutdown(Shutdown::Write).unwrap(),
                }
                for reader in readers {
                    assert_eq!(reader.join().unwrap(), usize::from(!end));
                }
            }
        });
    });
}

/// Shutting down wakes the thread that sleeps in a read or a write of the same socket.
#[test]
fn a_shutdown_ends_the_waits_of_others() {
    limited(|| {
        let pair = pair();
        let (client, _server) = pair.connected();
        thread::scope(|scope| {
            let reading = scope.spawn(|| (&client).read(&mut [0]).unwrap());
            let writing = scope.spawn(|| (&client).write_all(&vec![0; 64 << 20]).unwrap_err());
            thread::sleep(SHORT);
            client.shutdown(Shutdown::Both).unwrap();
            assert_eq!(reading.join().unwrap(), 0);
            assert_eq!(writing.join().unwrap().kind(), ErrorKind::BrokenPipe);
        });
    });
}
