//! An engine of several shards on a real TUN of several queues, with the kernel's own TCP, UDP and ICMP at the other end,
//! each test in a network namespace of its own.

#[path = "common/namespace.rs"]
mod namespace;

#[path = "common/host.rs"]
mod host;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use host::{ADDRESSES, LONG, config, exchange, ip, pattern};
use tunstack::device::setup::{Offload, TunConfig, bring_up_queues};
use tunstack::engine::Engine;
use tunstack::net::{self, Ping};

/// What goes over a connection, each way.
const SIZE: usize = 500_000;

fn main() -> ExitCode {
    namespace::main(&[
        ("the_kernel_connects_to_all_shards", the_kernel_connects_to_all_shards),
        ("all_shards_connect_to_the_kernel", all_shards_connect_to_the_kernel),
        ("a_request_and_its_answer_stay_at_their_queue", a_request_and_its_answer_stay_at_their_queue),
        ("what_is_no_connection_finds_its_socket", what_is_no_connection_finds_its_socket),
        ("a_closed_listener_refuses_at_every_queue", a_closed_listener_refuses_at_every_queue),
    ])
}

fn start(queues: u16, offload: Offload) -> Engine {
    let tuns = bring_up_queues(&TunConfig { queues, offload, ..TunConfig::default() }).unwrap();
    assert_eq!(tuns.len(), usize::from(queues));
    Engine::builder().queues(tuns).config(config()).start().unwrap()
}

fn echo(mut stream: impl Read + Write) {
    let mut buffer = vec![0; 65_536];
    loop {
        let n = stream.read(&mut buffer).unwrap();
        if n == 0 {
            return;
        }
        stream.write_all(&buffer[..n]).unwrap();
    }
}

fn the_kernel_connects_to_all_shards() {
    for offload in [Offload::On, Offload::Off] {
        let engine = start(2, offload);
        for (_, ours) in ADDRESSES {
            let listener = net::TcpListener::bind_on(&engine, (ip(ours), 7)).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut shards = BTreeSet::new();
                    for _ in 0..24 {
                        let (stream, _) = listener.accept().unwrap();
                        shards.insert(stream.id().shard());
                        scope.spawn(move || {
                            echo(&stream);
                            stream.shutdown(Shutdown::Write).unwrap();
                        });
                    }
                    assert_eq!(shards.len(), 2);
                });
                for _ in 0..24 {
                    scope.spawn(|| {
                        let stream = TcpStream::connect((ip(ours), 7)).unwrap();
                        stream.set_read_timeout(Some(LONG)).unwrap();
                        exchange(SIZE, &stream, &stream, || stream.shutdown(Shutdown::Write).unwrap());
                    });
                }
            });
        }
        let counted = engine.counters();
        assert_eq!((counted.tcp_passive_opens, counted.tcp_in_errs, counted.tcp_attempt_fails), (48, 0, 0));
        // The kernel has no queue for a flow before we have sent on it: of so many SYNs half come by the other one.
        assert!(engine.foreign_packets() > 0);
        engine.shutdown(LONG).unwrap();
    }
}

fn all_shards_connect_to_the_kernel() {
    let engine = start(3, Offload::On);
    for (host, _) in ADDRESSES {
        let listener = TcpListener::bind((ip(host), 0)).unwrap();
        let to = listener.local_addr().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..12 {
                    let (stream, _) = listener.accept().unwrap();
                    scope.spawn(move || {
                        echo(&stream);
                        stream.shutdown(Shutdown::Write).unwrap();
                    });
                }
            });
            let mut shards = BTreeSet::new();
            for _ in 0..12 {
                let stream = net::TcpStream::connect_on(&engine, to).unwrap();
                shards.insert(stream.id().shard());
                scope.spawn(move || {
                    exchange(SIZE, &stream, &stream, || stream.shutdown(Shutdown::Write).unwrap());
                });
            }
            assert_eq!(shards.len(), 3);
        });
    }
    engine.shutdown(LONG).unwrap();
}

/// The kernel learns a flow's queue from the one it was sent by last: what follows the handshake comes in there.
fn a_request_and_its_answer_stay_at_their_queue() {
    const FLOWS: u64 = 16;
    const ROUNDS: u64 = 200;
    let engine = start(2, Offload::Off);
    let listener = net::TcpListener::bind_on(&engine, "10.7.0.2:7").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..FLOWS {
                let (stream, _) = listener.accept().unwrap();
                scope.spawn(move || echo(&stream));
            }
        });
        for _ in 0..FLOWS {
            scope.spawn(|| {
                let mut stream = TcpStream::connect("10.7.0.2:7").unwrap();
                stream.set_nodelay(true).unwrap();
                for _ in 0..ROUNDS {
                    stream.write_all(b"x").unwrap();
                    stream.read_exact(&mut [0]).unwrap();
                }
            });
        }
    });
    let (foreign, all) = (engine.foreign_packets(), engine.counters().ip_in_receives);
    assert!(all >= FLOWS * ROUNDS);
    // The kernel's memory of flows has 1,024 places by another hash than ours; two may meet in one.
    assert!(foreign < all / 10, "{foreign} of {all} packets came in at another's queue");
}

fn what_is_no_connection_finds_its_socket() {
    let engine = start(3, Offload::On);
    for (host, ours) in ADDRESSES {
        let socket = net::UdpSocket::bind_on(&engine, (ip(ours), 9)).unwrap();
        // Of many, so that they come by all queues; large ones come in fragments.
        for n in 0..24 {
            let peer = UdpSocket::bind((ip(host), 0)).unwrap();
            peer.set_read_timeout(Some(LONG)).unwrap();
            let data = pattern(100 + n * 300);
            peer.send_to(&data, (ip(ours), 9)).unwrap();
            let mut buffer = [0; 10_000];
            let (len, from) = socket.recv_from(&mut buffer).unwrap();
            assert!(buffer[..len] == data);
            socket.send_to(&buffer[..len], from).unwrap();
            let len = peer.recv(&mut buffer).unwrap();
            assert!(buffer[..len] == data);
        }
        // Nobody is there: the error comes back, whatever queue it went by.
        let peer = UdpSocket::bind((ip(host), 0)).unwrap();
        peer.connect((ip(ours), 10)).unwrap();
        peer.set_read_timeout(Some(LONG)).unwrap();
        peer.send(b"x").unwrap();
        assert_eq!(peer.recv(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let ping = Ping::new_for(&engine, ip(host)).unwrap();
        ping.set_read_timeout(Some(LONG)).unwrap();
        for sequence in 0..8 {
            ping.send(ip(host), sequence, b"are you there?").unwrap();
            let reply = ping.recv(&mut [0; 100]).unwrap();
            assert_eq!(reply.sequence, sequence);
        }
    }
}

fn a_closed_listener_refuses_at_every_queue() {
    let engine = start(2, Offload::Off);
    let listener = net::TcpListener::bind_on(&engine, "10.7.0.2:7").unwrap();
    let mut waiting: Vec<_> = (0..12).map(|_| TcpStream::connect("10.7.0.2:7").unwrap()).collect();
    drop(listener);
    for stream in &mut waiting {
        stream.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    for _ in 0..12 {
        assert_eq!(TcpStream::connect("10.7.0.2:7").unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    let end = Instant::now() + LONG;
    while !engine.sockets().is_empty() {
        assert!(Instant::now() < end);
        thread::sleep(Duration::from_millis(2));
    }
}
