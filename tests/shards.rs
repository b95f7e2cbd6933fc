//! An engine of several shards, on pipes: one to each queue, and all of them to a peer of one shard.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use tunstack::core::addr::Prefix;
use tunstack::core::config::Config;
use tunstack::core::counters::Counters;
use tunstack::core::packet::{Body, Checksum, Datagram};
use tunstack::core::tcp::state::State;
use tunstack::device::pipe::Pipe;
use tunstack::device::{Capabilities, Device, Frames};
use tunstack::engine::Engine;
use tunstack::net::{TcpListener, TcpSocket, TcpStream};

/// For what must come long before.
const LONG: Duration = Duration::from_secs(60);

/// Which queue a packet of the peer's takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// That which a packet of the same connection came by last, as the kernel does.
    Learns,
    /// By some hash of the connection, mostly not that of its shard.
    Elsewhere,
}

/// The other ends of all queues as one device.
struct Trunk {
    lanes: Vec<Pipe>,
    ready: OwnedFd,
    way: Way,
    learnt: Mutex<BTreeMap<Vec<u8>, usize>>,
    /// Packets of each lane, to us.
    taken: Vec<AtomicUsize>,
}

/// A connection, from the side of the one who sends. IPv4 without options.
fn flow(head: &[u8], reversed: bool) -> Vec<u8> {
    let (src, dst) = (&head[12..16], &head[16..20]);
    let (from, to) = (&head[20..22], &head[22..24]);
    if reversed { [dst, to, src, from].concat() } else { [src, from, dst, to].concat() }
}

impl Device for Trunk {
    fn recv(&self, now: tunstack::core::time::Instant, frames: &mut Frames) -> io::Result<usize> {
        let mut count = 0;
        for (n, lane) in self.lanes.iter().enumerate() {
            let before = frames.len();
            count += lane.recv(now, frames)?;
            let came: Vec<_> = frames.iter().skip(before).map(|i| flow(i.packet, true)).collect();
            self.taken[n].fetch_add(came.len(), Ordering::Relaxed);
            self.learnt.lock().unwrap().extend(came.into_iter().map(|flow| (flow, n)));
        }
        Ok(count)
    }

    fn send(&self, now: tunstack::core::time::Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        let mut packet = datagram.head.to_vec();
        datagram.body.pieces().for_each(|piece| packet.extend_from_slice(piece));
        let flow = flow(&packet, false);
        let mut hasher = DefaultHasher::new();
        flow.hash(&mut hasher);
        let hashed = hasher.finish() as usize % self.lanes.len();
        let lane = match self.way {
            Way::Elsewhere => hashed,
            Way::Learns => self.learnt.lock().unwrap().get(&flow).copied().unwrap_or(hashed),
        };
        self.lanes[lane].send(now, datagram)
    }

    fn capabilities(&self) -> Capabilities {
        self.lanes[0].capabilities()
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

/// Breaks at the first packet.
struct Frail {
    pipe: Pipe,
}

impl Device for Frail {
    fn recv(&self, now: tunstack::core::time::Instant, frames: &mut Frames) -> io::Result<usize> {
        match self.pipe.recv(now, frames)? {
            0 => Ok(0),
            _ => Err(io::Error::from_raw_os_error(19)),
        }
    }

    fn send(&self, now: tunstack::core::time::Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        self.pipe.send(now, datagram)
    }

    fn capabilities(&self) -> Capabilities {
        self.pipe.capabilities()
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.pipe.readable()
    }
}

fn host(n: u8) -> Config {
    Config {
        addresses: vec![Prefix::new(IpAddr::V4(Ipv4Addr::new(10, 7, 0, n)).into(), 24)],
        ..Config::default()
    }
}

/// An engine of so many shards, and its peer.
fn pair(shards: usize, way: Way) -> (Engine, Engine) {
    let ends: Vec<_> = (0..shards).map(|_| Pipe::pair(1500).unwrap()).collect();
    let (queues, lanes): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
    let ready = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    for lane in &lanes {
        epoll::add(&ready, lane.readable(), epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
    }
    let taken = lanes.iter().map(|_| AtomicUsize::new(0)).collect();
    let trunk = Trunk { lanes, ready, way, learnt: Mutex::default(), taken };
    let engine =
        Engine::builder().queues(queues).shards(shards).config(host(2)).seed([7; 32]).start().unwrap();
    let peer = Engine::builder().device(trunk).config(host(1)).seed([8; 32]).start().unwrap();
    (engine, peer)
}

/// Ends a test that hangs.
fn limited(work: impl FnOnce() + Send + 'static) {
    let (ends, ended) = mpsc::channel::<()>();
    let worker = thread::spawn(move || {
        let _ends = ends;
        work();
    });
    assert_eq!(ended.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected), "it hangs");
    if let Err(panic) = worker.join() {
        std::panic::resume_unwind(panic);
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Gives back what it reads, until the other side ends, and then ends too.
fn echo(mut stream: TcpStream) -> usize {
    let mut buffer = [0; 4096];
    let mut total = 0;
    loop {
        let n = stream.read(&mut buffer).unwrap();
        if n == 0 {
            stream.shutdown(Shutdown::Write).unwrap();
            return total;
        }
        stream.write_all(&buffer[..n]).unwrap();
        total += n;
    }
}

/// Writes, ends its side, and reads all of it back.
fn ask(mut stream: TcpStream, len: usize) {
    let data: Vec<u8> = (0..len).map(|i| (i * 31 + i / 251) as u8).collect();
    let reading = stream.try_clone().unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut back = Vec::new();
            (&reading).read_to_end(&mut back).unwrap();
            back
        });
        stream.write_all(&data).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(reader.join().unwrap() == data);
    });
}

/// Each shard that has a socket of this state.
fn shards_of(engine: &Engine, state: State) -> BTreeSet<u16> {
    engine.sockets().iter().filter(|s| s.state == Some(state)).map(|s| s.id.shard()).collect()
}

fn conserved(engine: &Counters, peer: &Counters) {
    assert_eq!(engine.tcp_passive_opens, peer.tcp_active_opens);
    assert_eq!(engine.tcp_active_opens, peer.tcp_passive_opens);
    assert_eq!(engine.ip_out_requests, peer.ip_in_receives + engine.ip_out_discards);
    assert_eq!((engine.tcp_in_errs, engine.ip_in_hdr_errors, engine.ip_in_addr_errors), (0, 0, 0));
    // What crosses the end of a connection is answered by a reset; but nothing that stood was cut short.
    for side in [engine, peer] {
        assert_eq!((side.tcp_estab_resets, side.tcp_attempt_fails, side.tcp_curr_estab), (0, 0, 0));
    }
}

/// Both open connections to each other, on many threads, from one listener each.
fn both_ways(shards: usize, way: Way) {
    const THREADS: usize = 4;
    const EACH: usize = 12;
    let (engine, peer) = pair(shards, way);
    let listeners = [(&engine, "10.7.0.2:80"), (&peer, "10.7.0.1:80")];
    let listeners = listeners.map(|(engine, at)| TcpListener::bind_on(engine, at).unwrap());
    let bytes = AtomicUsize::new(0);
    let used = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for listener in &listeners {
            // Several accept from one queue.
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let (stream, from) = listener.accept().unwrap();
                        assert_eq!(stream.peer_addr().unwrap(), from);
                        used.lock().unwrap().insert((stream.local_addr().unwrap().ip(), stream.id().shard()));
                        let bytes = &bytes;
                        scope.spawn(move || bytes.fetch_add(echo(stream), Ordering::Relaxed));
                    }
                });
            }
        }
        for (engine, to) in [(&engine, "10.7.0.1:80"), (&peer, "10.7.0.2:80")] {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    for n in 0..EACH {
                        ask(TcpStream::connect_on(engine, to).unwrap(), 1000 * (n + thread));
                    }
                });
            }
        }
    });
    let sum: usize = (0..THREADS).flat_map(|t| (0..EACH).map(move |n| 1000 * (n + t))).sum();
    assert_eq!(bytes.into_inner(), 2 * sum);
    let ours = IpAddr::V4(Ipv4Addr::new(10, 7, 0, 2));
    let used = used.into_inner().unwrap();
    assert_eq!(used.iter().filter(|(ip, _)| *ip == ours).count(), shards, "{used:?}");
    eventually("all has come to rest", || engine.sockets().len() + peer.sockets().len() == 2);
    eventually("no packet is under way", || {
        engine.counters().ip_out_requests
            == peer.counters().ip_in_receives + engine.counters().ip_out_discards
    });
    conserved(&engine.counters(), &peer.counters());
    let (foreign, all) = (engine.foreign_packets(), engine.counters().ip_in_receives);
    match way {
        _ if shards == 1 => assert_eq!(foreign, 0),
        // A SYN comes by any queue; what follows, and what answers ours, by the right one.
        Way::Learns => assert!(foreign <= (THREADS * EACH) as u64, "{foreign} of {all}"),
        Way::Elsewhere => assert!(foreign > all / 4, "{foreign} of {all}"),
    }
    drop(listeners);
    engine.shutdown(Duration::from_secs(10)).unwrap();
    peer.shutdown(Duration::from_secs(10)).unwrap();
}

#[test]
fn both_ways_with_queues_that_are_learnt() {
    for shards in [1, 2, 4] {
        limited(move || both_ways(shards, Way::Learns));
    }
}

#[test]
fn both_ways_with_packets_at_any_queue() {
    for shards in [2, 3, 4] {
        limited(move || both_ways(shards, Way::Elsewhere));
    }
}

#[test]
fn a_port_is_bound_once_in_the_engine() {
    limited(|| {
        let (engine, _peer) = pair(3, Way::Learns);
        // Sockets are opened in each shard in turn.
        let first = TcpListener::bind_on(&engine, "10.7.0.2:80").unwrap();
        for _ in 0..4 {
            let error = TcpListener::bind_on(&engine, "10.7.0.2:80").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
        }
        drop(first);
        let again = TcpListener::bind_on(&engine, "10.7.0.2:80").unwrap();
        assert_eq!(again.local_addr().unwrap().port(), 80);
    });
}

#[test]
fn one_listener_alone_gets_it_of_many_that_try_at_once() {
    limited(|| {
        let (engine, _peer) = pair(4, Way::Learns);
        for port in 1000..1050 {
            let addr = SocketAddr::from(([10, 7, 0, 2], port));
            let got: Vec<_> = thread::scope(|scope| {
                let tries: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| TcpListener::bind_on(&engine, addr))).collect();
                tries.into_iter().filter_map(|t| t.join().unwrap().ok()).collect()
            });
            assert_eq!(got.len(), 1, "port {port}");
        }
    });
}

#[test]
fn one_alone_connects_from_a_port_that_several_share() {
    limited(|| {
        let (engine, peer) = pair(3, Way::Elsewhere);
        let listener = TcpListener::bind_on(&peer, "10.7.0.1:80").unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || echo(stream));
            }
        });
        let mut shards = BTreeSet::new();
        for port in 5000..5030 {
            // One in each shard; the hash names one of these, or none that tries first.
            let sockets = [(); 3].map(|()| {
                let socket = TcpSocket::new_v4(&engine).unwrap();
                socket.set_reuseport(true).unwrap();
                socket.bind(SocketAddr::from(([10, 7, 0, 2], port))).unwrap();
                socket
            });
            let to = SocketAddr::from(([10, 7, 0, 1], 80));
            let tried = thread::scope(|scope| {
                sockets.map(|socket| scope.spawn(move || socket.connect(to))).map(|t| t.join().unwrap())
            });
            let (connected, refused): (Vec<_>, Vec<_>) = tried.into_iter().partition(Result::is_ok);
            for error in refused.into_iter().filter_map(Result::err) {
                assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
            }
            assert_eq!(connected.len(), 1, "port {port}");
            let stream = connected.into_iter().next().unwrap().unwrap();
            shards.insert(stream.id().shard());
            ask(stream, 3000);
        }
        assert!(shards.len() > 1, "{shards:?}");
        eventually("nothing is left", || engine.sockets().is_empty());
        peer.shutdown(Duration::from_secs(20)).unwrap();
    });
}

#[test]
fn a_closed_listener_is_closed_in_every_shard() {
    limited(|| {
        let (engine, peer) = pair(4, Way::Elsewhere);
        let listener = TcpListener::bind_on(&engine, "10.7.0.2:80").unwrap();
        let mut clients: Vec<_> =
            (0..24).map(|_| TcpStream::connect_on(&peer, "10.7.0.2:80").unwrap()).collect();
        let (kept, _) = listener.accept().unwrap();
        drop(listener);
        // All but the one that was accepted are reset.
        let kept_peer = kept.peer_addr().unwrap();
        clients.retain_mut(|client| {
            let kept = client.local_addr().unwrap() == kept_peer;
            if !kept {
                assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
            }
            kept
        });
        thread::spawn(move || echo(kept));
        ask(clients.pop().unwrap(), 5000);
        for _ in 0..12 {
            let error = TcpStream::connect_on(&peer, "10.7.0.2:80").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
        eventually("nothing is left", || engine.sockets().is_empty());
    });
}

#[test]
fn a_shutdown_ends_all_shards_in_order() {
    limited(|| {
        let (engine, peer) = pair(4, Way::Elsewhere);
        let listener = TcpListener::bind_on(&engine, "10.7.0.2:80").unwrap();
        let mut clients: Vec<_> =
            (0..24).map(|_| TcpStream::connect_on(&peer, "10.7.0.2:80").unwrap()).collect();
        let mut servers: Vec<_> = (0..20).map(|_| listener.accept().unwrap().0).collect();
        servers.iter_mut().for_each(|server| server.write_all(&[7; 10_000]).unwrap());
        assert_eq!(shards_of(&engine, State::Established).len(), 4);
        let waits = thread::spawn(move || {
            listener.accept().and_then(|_| listener.incoming().find_map(Result::err).map_or(Ok(()), Err))
        });
        let ends = thread::spawn(move || engine.shutdown(Duration::from_secs(20)).map(|()| engine));
        let (mut whole, mut reset) = (0, 0);
        for client in &mut clients {
            let mut all = Vec::new();
            match client.read_to_end(&mut all) {
                Ok(10_000) => whole += 1,
                // Not accepted in time.
                Ok(0) | Err(_) => reset += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((whole, reset), (20, 4));
        drop(clients);
        let engine = ends.join().unwrap().unwrap();
        assert_eq!(waits.join().unwrap().unwrap_err().raw_os_error(), Some(108), "ESHUTDOWN");
        assert_eq!(engine.check().unwrap_err().raw_os_error(), Some(108));
        assert_eq!(TcpListener::bind_on(&engine, "10.7.0.2:81").unwrap_err().raw_os_error(), Some(108));
        drop(servers);
    });
}

#[test]
fn a_queue_that_fails_ends_them_all() {
    limited(|| {
        let ends: Vec<_> = (0..3).map(|_| Pipe::pair(1500).unwrap()).collect();
        let (queues, others): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        let queues = queues.into_iter().map(|pipe| Frail { pipe });
        let engine = Engine::builder().queues(queues).config(host(2)).start().unwrap();
        let sockets: Vec<_> =
            (0..3).map(|n| TcpListener::bind_on(&engine, ("10.7.0.2", 80 + n)).unwrap()).collect();
        let shards: BTreeSet<_> = sockets.iter().map(|socket| socket.id().shard()).collect();
        assert_eq!(shards.len(), 3);
        let waits: Vec<_> =
            sockets.into_iter().map(|socket| thread::spawn(move || socket.accept().map(drop))).collect();
        let (body, checksum) = (Body::EMPTY, Checksum::Complete);
        let packet = Datagram { head: &[0], body, gso_size: 0, checksum, event: None };
        others[1].send(tunstack::core::time::Instant::ZERO, &packet).unwrap();
        for wait in waits {
            assert_eq!(wait.join().unwrap().unwrap_err().raw_os_error(), Some(19), "ENODEV");
        }
        assert_eq!(engine.check().unwrap_err().raw_os_error(), Some(19));
    });
}

#[test]
fn settings_hold_in_every_shard() {
    limited(|| {
        let (engine, peer) = pair(3, Way::Learns);
        engine.configure(|config| config.tcp.timestamps = false);
        let listener = TcpListener::bind_on(&engine, "10.7.0.2:80").unwrap();
        let mut shards = BTreeSet::new();
        for _ in 0..20 {
            let client = TcpStream::connect_on(&peer, "10.7.0.2:80").unwrap();
            let (server, _) = listener.accept().unwrap();
            assert!(!server.info().unwrap().timestamps);
            shards.insert(server.id().shard());
            drop(client);
        }
        assert_eq!(shards.len(), 3);
    });
}

#[test]
fn we_talk_to_ourselves() {
    limited(|| {
        let (engine, _peer) = pair(4, Way::Learns);
        let listener = TcpListener::bind_on(&engine, "127.0.0.1:80").unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..16 {
                    let (stream, _) = listener.accept().unwrap();
                    scope.spawn(move || echo(stream));
                }
            });
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..4 {
                        ask(TcpStream::connect_on(&engine, "127.0.0.1:80").unwrap(), 300_000 * n);
                    }
                });
            }
        });
        assert_eq!(engine.counters().tcp_retrans_segs, 0);
    });
}

#[test]
fn as_many_shards_as_queues() {
    let (queue, _other) = Pipe::pair(1500).unwrap();
    let error = Engine::builder().queues([queue]).shards(2).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let (one, _other) = Pipe::pair(1500).unwrap();
    let (two, _another) = Pipe::pair(1500).unwrap();
    let error = Engine::builder().queues([one, two]).start_stepped().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
