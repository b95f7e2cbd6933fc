//! What a packet costs that comes in at another queue than that of its shard: an engine of two shards, and connections
//! that each of them has, on queues that give the same segment again and again. It acknowledges what is acknowledged, so
//! nothing comes of it.
//!
//! A row each for how many packets are read at once, and whether packets come in at one queue or at both at the same time;
//! a packet at its shard's own queue, one at the other's, and the difference. Nanoseconds, medians.
//!
//! `cargo bench --bench foreign`

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time;

use rustix::event::{EventfdFlags, eventfd};
use tunstack::core::addr::{Address, Endpoint, Family, Prefix};
use tunstack::core::config::Config;
use tunstack::core::error::Error as Refusal;
use tunstack::core::packet::{Datagram, Inbound};
use tunstack::core::stack::Stack;
use tunstack::core::time::Instant;
use tunstack::device::{Capabilities, Device, Frames};
use tunstack::engine::Engine;
use tunstack::net::{TcpListener, TcpStream};

/// Packets of a measurement.
const PACKETS: usize = 200_000;
const REPEATED: usize = 9;
const PEER: [u8; 4] = [10, 7, 0, 1];
const US: [u8; 4] = [10, 7, 0, 2];
const PORT: u16 = 80;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What a queue has to give.
#[derive(Default)]
struct Feed {
    packet: Vec<u8>,
    left: usize,
    /// At once.
    batch: usize,
    begun: Option<time::Instant>,
}

/// A queue: gives what it is fed, as fast as it is read.
#[derive(Clone)]
struct Queue {
    feed: Arc<Mutex<Feed>>,
    ready: Arc<OwnedFd>,
    took: Sender<time::Duration>,
    sent: Arc<Mutex<VecDeque<Vec<u8>>>>,
}

impl Queue {
    fn feed(&self, packet: &[u8], left: usize, batch: usize) -> io::Result<()> {
        // Both at once: who looks without being told finds neither or both.
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        rustix::io::write(&self.ready, &1u64.to_ne_bytes())?;
        *feed = Feed { packet: packet.to_vec(), left, batch, begun: None };
        Ok(())
    }
}

impl Device for Queue {
    fn recv(&self, _: Instant, frames: &mut Frames) -> io::Result<usize> {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let Feed { packet, left, batch, begun } = &mut *feed;
        let mut count = 0;
        while *left > 0 && count < *batch && !frames.is_full() {
            begun.get_or_insert_with(time::Instant::now);
            let fill = |room: &mut [u8]| {
                room[..packet.len()].copy_from_slice(packet);
                io::Result::Ok(Some(packet.len()))
            };
            frames.fill(fill)?;
            *left -= 1;
            count += 1;
        }
        // Asked again it has done what there was.
        if count == 0
            && let Some(begun) = begun.take()
        {
            _ = rustix::io::read(&*self.ready, &mut [0; 8])?;
            self.took.send(begun.elapsed()).map_err(io::Error::other)?;
        }
        Ok(count)
    }

    fn send(&self, _: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        let mut packet = datagram.head.to_vec();
        datagram.body.pieces().for_each(|piece| packet.extend_from_slice(piece));
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push_back(packet);
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: 1500, checksum_offload: false, max_gso: 0 }
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

fn main() -> Outcome<()> {
    let (took, taken) = channel();
    let sent = Arc::new(Mutex::new(VecDeque::new()));
    let queue = || -> io::Result<Queue> {
        let ready = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok(Queue { feed: Arc::default(), ready, took: took.clone(), sent: Arc::clone(&sent) })
    };
    let queues = [queue()?, queue()?];
    let engine = Engine::builder().queues(queues.clone()).config(config(US)).start()?;
    let listener = TcpListener::bind_on(&engine, (Ipv4Addr::from(US), PORT))?;
    let mut connections = [None, None];
    let mut peer = Stack::new(config(PEER), [1; 32]);
    while connections.iter().any(Option::is_none) {
        let (stream, packet) = connect(&mut peer, &listener, &queues[0], &taken)?;
        let shard = usize::from(stream.id().shard());
        connections[shard] = Some((stream, packet));
    }
    let packets = connections.iter().flatten().map(|(_, packet)| &packet[..]).collect::<Vec<_>>();

    println!("{:>9} {:>7} {:>9} {:>9} {:>11}", "at once", "queues", "own", "foreign", "difference");
    for batch in [1, 64] {
        for both in [false, true] {
            let mut figures = [Vec::new(), Vec::new()];
            for _ in 0..REPEATED {
                for (foreign, figures) in figures.iter_mut().enumerate() {
                    let before = engine.foreign_packets();
                    let busy = &queues[..1 + usize::from(both)];
                    for (n, queue) in busy.iter().enumerate() {
                        queue.feed(packets[n ^ foreign], PACKETS, batch)?;
                    }
                    for _ in busy {
                        figures.push(taken.recv()?.as_nanos() as f64 / PACKETS as f64);
                    }
                    let passed = (engine.foreign_packets() - before) as usize;
                    assert_eq!(passed, foreign * busy.len() * PACKETS);
                }
            }
            let [own, foreign] = figures.map(median);
            let queues = 1 + usize::from(both);
            println!("{batch:>9} {queues:>7} {own:>9.0} {foreign:>9.0} {:>11.0}", foreign - own);
        }
    }
    let counted = engine.counters();
    assert_eq!((counted.tcp_in_errs, counted.ip_in_hdr_errors), (0, 0));
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn config(address: [u8; 4]) -> Config {
    Config { addresses: vec![Prefix::new(Ipv4Addr::from(address).into(), 24)], ..Config::default() }
}

/// A connection of the peer's, and the last segment of its handshake.
fn connect(
    peer: &mut Stack,
    listener: &TcpListener,
    queue: &Queue,
    taken: &Receiver<time::Duration>,
) -> Outcome<(TcpStream, Vec<u8>)> {
    let began = time::Instant::now();
    let now = || Instant::ZERO + began.elapsed();
    let socket = peer.tcp_socket(Family::V4);
    let to = Endpoint::new(Address::from_v4_octets(US), PORT);
    match peer.connect(socket, to, now()) {
        Err(Refusal::InProgress) => {}
        other => other?,
    }
    let mut last = Vec::new();
    // A SYN, and the acknowledgment of what answers it.
    for _ in 0..2 {
        if let Some(datagram) = peer.poll_transmit(now()) {
            last = datagram.head.to_vec();
        }
        queue.feed(&last, 1, 1)?;
        taken.recv()?;
        // A moment, where another shard answers.
        thread::sleep(time::Duration::from_millis(5));
        for packet in queue.sent.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            peer.receive(now(), Inbound::plain(&packet));
        }
    }
    Ok((listener.accept()?.0, last))
}
