use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

/// One lost wake-up among these and the test hangs: each octet is waited for before the next is sent.
#[test]
fn no_wake_up_is_lost_in_ping_pong() {
    const ROUNDS: usize = 1000;
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        let streams: Vec<_> = (0..4).map(|_| pair.connect_to(&listener)).collect();
        thread::scope(|scope| {
            for (mut client, mut server) in streams {
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                scope.spawn(move || {
                    let mut octet = [0];
                    for _ in 0..ROUNDS {
                        server.read_exact(&mut octet).unwrap();
                        server.write_all(&octet).unwrap();
                    }
                });
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let mut octet = [round as u8];
                        client.write_all(&octet).unwrap();
                        octet[0] ^= 0xff;
                        client.read_exact(&mut octet).unwrap();
                        assert_eq!(octet[0], round as u8);
                    }
                });
            }
        });
    });
}

/// Threads and tasks wait on one stream at once: together they get every octet, and all see the end.
#[test]
fn nobody_takes_the_wake_up_of_another() {
    const OCTETS: usize = 2000;
    limited(|| {
        let pair = pair();
        let (client, server) = pair.connected();
        client.set_nodelay(true).unwrap();
        let got = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut octet = [0];
                    while (&server).read(&mut octet).unwrap() > 0 {
                        got.fetch_add(1, Ordering::Relaxed);
                    }
                });
                scope.spawn(|| {
                    let all = block_on(read_to_end(&server)).unwrap();
                    got.fetch_add(all.len(), Ordering::Relaxed);
                });
            }
            for _ in 0..OCTETS {
                (&client).write_all(&[1]).unwrap();
            }
            client.shutdown(Shutdown::Write).unwrap();
        });
        assert_eq!(got.into_inner(), OCTETS);
    });
}

/// Small buffers make both sides wait for each other all the time, in both directions at once.
#[test]
fn writers_that_wait_for_room_are_woken() {
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        let (client, server) = pair.connect_to(&listener);
        for stream in [&client, &server] {
            stream.set_send_buffer_size(8 << 10).unwrap();
        }
        let data = pattern(400_000);
        thread::scope(|scope| {
            let data = &data;
            for mut stream in [&client, &server] {
                scope.spawn(move || {
                    stream.write_all(data).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                });
                scope.spawn(move || {
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).unwrap();
                    assert!(all == *data);
                });
            }
        });
    });
}

/// Many short connections at once, each with its own threads, all through one lock on each side.
#[test]
fn many_threads_share_an_engine() {
    limited(|| {
        let pair = pair();
        let listener = pair.right.listen("10.7.0.2:0").unwrap();
        let to = listener.local_addr().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..64 {
                    let (stream, _) = listener.accept().unwrap();
                    scope.spawn(move || std::io::copy(&mut &stream, &mut &stream).unwrap());
                }
            });
            for n in 0..8 {
                let engine = pair.left.clone();
                scope.spawn(move || {
                    for m in 0..8 {
                        let mut stream = engine.connect(to).unwrap();
                        let data = pattern(1000 * (n + 1) + m);
                        stream.write_all(&data).unwrap();
                        stream.shutdown(Shutdown::Write).unwrap();
                        let mut back = Vec::new();
                        stream.read_to_end(&mut back).unwrap();
                        assert!(back == data);
                    }
                });
            }
        });
    });
}
