//! An engine on a real TUN, with the kernel's own TCP, UDP and ICMP at the other end, each test in a network
//! namespace of its own.

#[path = "common/namespace.rs"]
mod namespace;

#[path = "common/host.rs"]
mod host;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::thread;

use host::{ADDRESSES, LONG, config, exchange, ip, pattern};
use tunstack::device::netlink;
use tunstack::device::setup::{Offload, TunConfig, bring_up};
use tunstack::engine::Engine;
use tunstack::net::Ping;

/// What goes over a connection, each way.
const SIZE: usize = 2_000_000;

fn main() -> ExitCode {
    namespace::main(&[
        ("the_kernel_connects_to_us", the_kernel_connects_to_us),
        ("we_connect_to_the_kernel", we_connect_to_the_kernel),
        ("segments_are_joined_where_that_is_asked_for", segments_are_joined_where_that_is_asked_for),
        ("refusals_go_both_ways", refusals_go_both_ways),
        ("resets_go_both_ways", resets_go_both_ways),
        ("datagrams_go_both_ways", datagrams_go_both_ways),
        ("the_kernel_answers_our_pings", the_kernel_answers_our_pings),
        ("many_connections_at_once", many_connections_at_once),
        ("a_deleted_device_ends_the_engine", a_deleted_device_ends_the_engine),
    ])
}

fn start() -> Engine {
    let tun = bring_up(&TunConfig::default()).unwrap();
    Engine::builder().device(tun).config(config()).start().unwrap()
}

fn the_kernel_connects_to_us() {
    let engine = start();
    for (_, stack) in ADDRESSES {
        let listener = engine.listen((stack, 0)).unwrap();
        let to = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            std::io::copy(&mut &stream, &mut &stream).unwrap()
        });
        let client = TcpStream::connect(to).unwrap();
        exchange(SIZE, &client, &client, || client.shutdown(Shutdown::Write).unwrap());
        assert_eq!(server.join().unwrap(), SIZE as u64);
    }
    engine.shutdown(LONG).unwrap();
}

fn we_connect_to_the_kernel() {
    let engine = start();
    for (host, _) in ADDRESSES {
        let listener = TcpListener::bind((ip(host), 0)).unwrap();
        let to = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            std::io::copy(&mut &stream, &mut &stream).unwrap()
        });
        let client = engine.connect(to).unwrap();
        exchange(SIZE, &client, &client, || client.shutdown(Shutdown::Write).unwrap());
        assert_eq!(server.join().unwrap(), SIZE as u64);
    }
    engine.shutdown(LONG).unwrap();
}

/// Segments that the kernel's TCP has taken in this network namespace.
fn segments_in() -> u64 {
    let text = fs::read_to_string("/proc/self/net/snmp").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:")).map(str::split_whitespace);
    let (names, mut numbers) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.into_iter().position(|name| name == "InSegs").unwrap();
    numbers.nth(at).unwrap().parse().unwrap()
}

fn segments_are_joined_where_that_is_asked_for() {
    // Only that root has a sysfs in which to set it.
    let users = fs::read_to_string("/proc/self/uid_map").unwrap();
    if !users.split_whitespace().eq(["0", "0", "4294967295"]) {
        println!("skipped: not root of the host");
        return;
    }
    // A segment has 1,448 octets, or 1,428.
    let least = SIZE as u64 / 1448;
    for gro in [false, true] {
        let tun = bring_up(&TunConfig { offload: Offload::Off, gro, ..TunConfig::default() }).unwrap();
        let engine = Engine::builder().device(tun).config(config()).start().unwrap();
        for (host, _) in ADDRESSES {
            let listener = TcpListener::bind((ip(host), 0)).unwrap();
            let mut client = engine.connect(listener.local_addr().unwrap()).unwrap();
            let mut server = listener.accept().unwrap().0;
            let before = segments_in();
            let reader = thread::spawn(move || {
                let mut all = Vec::new();
                server.read_to_end(&mut all).map(|_| all).unwrap()
            });
            client.write_all(&pattern(SIZE)).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            assert!(reader.join().unwrap() == pattern(SIZE), "{host}");
            let taken = segments_in() - before;
            assert!(if gro { taken < least / 4 } else { taken >= least }, "{host}, GRO {gro}: {taken}");
        }
        engine.shutdown(LONG).unwrap();
    }
}

fn refusals_go_both_ways() {
    let engine = start();
    for (host, stack) in ADDRESSES {
        assert_eq!(engine.connect((host, 9)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(TcpStream::connect((stack, 9)).unwrap_err().kind(), ErrorKind::ConnectionRefused);

        let ours = engine.bind_udp((stack, 0)).unwrap();
        ours.connect((host, 9)).unwrap();
        ours.send(b"anybody?").unwrap();
        assert_eq!(ours.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let theirs = UdpSocket::bind((host, 0)).unwrap();
        theirs.connect((stack, 9)).unwrap();
        theirs.send(b"anybody?").unwrap();
        assert_eq!(theirs.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}

fn resets_go_both_ways() {
    let engine = start();
    let listener = engine.listen("10.7.0.2:0").unwrap();
    let to = listener.local_addr().unwrap();

    let mut theirs = TcpStream::connect(to).unwrap();
    listener.accept().unwrap().0.abort().unwrap();
    assert_eq!(theirs.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);

    let mut theirs = TcpStream::connect(to).unwrap();
    let (mut ours, _) = listener.accept().unwrap();
    ours.write_all(b"never read").unwrap();
    theirs.peek(&mut [0]).unwrap();
    theirs.write_all(b"x").unwrap();
    ours.read_exact(&mut [0]).unwrap();
    drop(theirs);
    assert_eq!(ours.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

fn datagrams_go_both_ways() {
    let engine = start();
    for (host, stack) in ADDRESSES {
        let theirs = UdpSocket::bind((host, 0)).unwrap();
        theirs.set_read_timeout(Some(LONG)).unwrap();
        let ours = engine.bind_udp((stack, 0)).unwrap();
        // Below and above what one packet takes.
        for data in [pattern(100), pattern(9000)] {
            let mut buf = vec![0; 10_000];
            theirs.send_to(&data, ours.local_addr().unwrap()).unwrap();
            assert_eq!(ours.recv_from(&mut buf).unwrap(), (data.len(), theirs.local_addr().unwrap()));
            assert!(buf[..data.len()] == data);
            ours.send_to(&data, theirs.local_addr().unwrap()).unwrap();
            assert_eq!(theirs.recv_from(&mut buf).unwrap(), (data.len(), ours.local_addr().unwrap()));
            assert!(buf[..data.len()] == data);
        }
    }
}

fn the_kernel_answers_our_pings() {
    let engine = start();
    for (host, _) in ADDRESSES {
        let ping = Ping::new_for(&engine, ip(host)).unwrap();
        ping.set_read_timeout(Some(LONG)).unwrap();
        for sequence in 1..4 {
            ping.send(ip(host), sequence, b"are you there?").unwrap();
            let mut buf = [0; 64];
            let reply = ping.recv(&mut buf).unwrap();
            assert_eq!((reply.from, reply.sequence), (ip(host), sequence));
            assert_eq!(&buf[..reply.len], b"are you there?");
        }
    }
}

fn many_connections_at_once() {
    let engine = start();
    let listener = engine.listen("[::]:7").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..64 {
                let (stream, _) = listener.accept().unwrap();
                scope.spawn(move || std::io::copy(&mut &stream, &mut &stream).unwrap());
            }
        });
        for (_, stack) in ADDRESSES {
            for n in 0..8 {
                let to = SocketAddr::new(ip(stack), 7);
                scope.spawn(move || {
                    for m in 0..4 {
                        let mut stream = TcpStream::connect(to).unwrap();
                        let data = pattern(5000 * n + m + 1);
                        stream.write_all(&data).unwrap();
                        stream.shutdown(Shutdown::Write).unwrap();
                        let mut back = Vec::new();
                        stream.read_to_end(&mut back).unwrap();
                        assert!(back == data);
                    }
                });
            }
        }
    });
    engine.shutdown(LONG).unwrap();
}

fn a_deleted_device_ends_the_engine() {
    let engine = start();
    let listener = engine.listen("10.7.0.2:0").unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| listener.accept().unwrap_err());
        netlink::delete_link("tun0").unwrap();
        let error = waits.join().unwrap();
        assert!(error.to_string().contains("tun0 was deleted"), "{error}");
        assert_eq!(engine.check().unwrap_err().to_string(), error.to_string());
    });
}
