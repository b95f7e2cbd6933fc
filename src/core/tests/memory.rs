//! A stack with a budget of memory, between many who send and one who does not read: the budget is never exceeded, what
//! the books say is what is allocated, no connection is lost, and all finish once there is a reader.

use std::alloc::System;
use std::collections::VecDeque;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tunstack_core::addr::{Address, Endpoint, Family, Prefix};
use tunstack_core::config::Config;
use tunstack_core::error::Error;
use tunstack_core::packet::Inbound;
use tunstack_core::stack::{Event, Readiness, SocketId, Stack};
use tunstack_core::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const DELAY: Duration = Duration::from_millis(5);

/// What a connection takes beside its buffers once text has come: how large its receive buffer has to be, and its place in
/// queues of the stack.
const BESIDE: usize = 160;

fn allocated() -> isize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.cast_signed() - stats.bytes_deallocated.cast_signed()
}

/// Who sends, and who reads.
const SENDER: usize = 0;
const READER: usize = 1;

struct World {
    now: Instant,
    hosts: [Stack; 2],
    wire: VecDeque<(Instant, usize, Vec<u8>)>,
    packet: Vec<u8>,
    events: Vec<(usize, Event)>,
    /// Octets allocated by the reader's stack, all in all, and when the last connection stood.
    taken: isize,
    standing: isize,
    connections: usize,
    most: usize,
    listener: SocketId,
}

/// What one end has done.
#[derive(Clone, Default)]
struct Progress {
    done: usize,
    ended: bool,
}

impl World {
    fn new(connections: usize, budget: usize, sender: Option<usize>) -> Self {
        let host = |last: u8, memory| {
            let addresses = vec![Prefix::new(Address::from_v4_octets([10, 7, 0, last]), 24)];
            let mut config = Config { addresses, memory, ..Config::default() };
            config.ephemeral_ports = (1024, 65_535);
            Stack::new(config, [last; 32])
        };
        let before = allocated();
        let mut hosts = [host(1, sender), host(2, Some(budget))];
        let listener = hosts[READER].tcp_socket(Family::V4);
        hosts[READER].bind(listener, Endpoint::new(Address::UNSPECIFIED_V4, 80)).unwrap();
        hosts[READER].listen(listener, 4096).unwrap();
        Self {
            now: Instant::from_secs(1),
            hosts,
            wire: VecDeque::with_capacity(1 << 20),
            packet: Vec::with_capacity(2048),
            events: Vec::with_capacity(1 << 20),
            taken: allocated() - before,
            standing: 0,
            connections,
            most: 0,
            listener,
        }
    }

    /// A call of one host, whose allocations are counted. Fails where more is held than may be.
    fn call<T>(&mut self, host: usize, op: impl FnOnce(&mut Stack, &mut Vec<u8>, Instant) -> T) -> T {
        let before = allocated();
        let result = op(&mut self.hosts[host], &mut self.packet, self.now);
        if host == READER {
            self.taken += allocated() - before;
        }
        let memory = self.hosts[host].memory();
        let held = memory.held();
        if let Some(budget) = memory.budget() {
            assert!(held <= budget, "{held} of {budget} are held");
        }
        if host == READER && self.standing > 0 {
            self.most = self.most.max(held);
            let beside = self.connections * BESIDE + (256 << 10);
            let taken = (self.taken - self.standing).max(0).unsigned_abs();
            assert!(taken <= held + beside, "the books say {held}, and {taken} are taken");
            assert!(held <= taken + beside, "the books say {held}, but {taken} are taken");
        }
        result
    }

    /// Both hosts do what they have to; what they say waits in `events`.
    fn turn(&mut self) {
        for host in [SENDER, READER] {
            self.call(host, |stack, _, now| stack.handle_timeout(now));
            while self.call(host, |stack, packet, now| {
                let Some(datagram) = stack.poll_transmit(now) else { return false };
                packet.clear();
                packet.extend_from_slice(datagram.head);
                datagram.body.pieces().for_each(|piece| packet.extend_from_slice(piece));
                true
            }) {
                self.wire.push_back((self.now + DELAY, 1 - host, self.packet.clone()));
            }
            while let Some(event) = self.call(host, |stack, _, _| stack.poll_event()) {
                self.events.push((host, event));
            }
        }
    }

    /// To the next time at which something happens, if that is before `until`.
    fn step(&mut self, until: Instant) -> bool {
        let timers = self.hosts.iter().filter_map(Stack::poll_timeout);
        let Some(next) = timers.chain(self.wire.front().map(|w| w.0)).min() else { return false };
        if next > until {
            return false;
        }
        self.now = self.now.max(next);
        while self.wire.front().is_some_and(|w| w.0 <= self.now) {
            let (_, to, packet) = self.wire.pop_front().unwrap();
            self.call(to, |stack, _, now| stack.receive(now, Inbound::plain(&packet)));
        }
        true
    }

    fn connect(&mut self) -> Vec<[SocketId; 2]> {
        let to = Endpoint::new(Address::from_v4_octets([10, 7, 0, 2]), 80);
        let mut pairs = Vec::new();
        while pairs.len() < self.connections {
            let mut clients = VecDeque::new();
            for _ in 0..(self.connections - pairs.len()).min(500) {
                clients.push_back(self.call(SENDER, |stack, _, now| {
                    let id = stack.tcp_socket(Family::V4);
                    assert_eq!(stack.connect(id, to, now), Err(Error::InProgress));
                    id
                }));
            }
            while !clients.is_empty() {
                self.turn();
                let until = self.now + Duration::from_secs(100);
                assert!(self.step(until), "{} wait", clients.len());
                let listener = self.listener;
                while let Ok(server) = self.call(READER, |stack, _, _| stack.try_accept(listener)) {
                    pairs.push([clients.pop_front().unwrap(), server]);
                }
            }
        }
        self.standing = self.taken;
        pairs
    }
}

/// Each of so many connections sends `text` to a reader that reads nothing for a minute, and then all.
fn overload(connections: usize, budget: usize, sender: Option<usize>, text: usize) {
    let data: Vec<u8> = (0..text).map(|i| (i * 31 + i / 251) as u8).collect();
    let mut world = World::new(connections, budget, sender);
    let pairs = world.connect();
    // By slot: where each stands.
    let mut sent = vec![Progress::default(); 2 * connections + 8];
    let mut read = sent.clone();
    let mut finished = 0;
    let begun = world.now;
    let reads_from = begun + Duration::from_secs(60);
    for pair in &pairs {
        write(&mut world, pair[SENDER], &mut sent, &data);
    }
    let mut reading = false;
    loop {
        world.turn();
        for (host, event) in std::mem::take(&mut world.events) {
            if host == SENDER && event.readiness.contains(Readiness::WRITABLE) {
                write(&mut world, event.id, &mut sent, &data);
            } else if host == READER && reading && event.readiness.contains(Readiness::READABLE) {
                finished += take(&mut world, event.id, &mut read, &data);
            }
        }
        if finished == connections {
            break;
        }
        let until = if reading { Instant::FAR_FUTURE } else { reads_from };
        if !world.step(until) {
            assert!(!reading, "{finished} of {connections} finished, and nothing goes on");
            world.now = reads_from;
            reading = true;
            let counters = world.hosts[READER].counters();
            assert!(counters.tcp_memory_pressures > 0 && counters.tcp_rcv_q_drop > 0, "it was enough");
            assert!(world.most > budget / 2, "{} of {budget}", world.most);
            for pair in &pairs {
                finished += take(&mut world, pair[READER], &mut read, &data);
            }
        }
        assert!(world.now < begun + Duration::from_secs(3600), "{finished} of {connections} after an hour");
    }
    for host in &world.hosts {
        let counters = host.counters();
        assert_eq!(
            (counters.tcp_out_rsts, counters.tcp_abort_on_timeout, counters.tcp_estab_resets),
            (0, 0, 0)
        );
    }
    let memory = world.hosts[READER].memory();
    assert_eq!((memory.send(), memory.receive()), (0, 0), "all has been read");
    let counters = world.hosts[READER].counters();
    println!(
        "{connections} connections, {text} octets each, budget {budget}: {} held at the most, read within {:?}; {} \
         segments dropped, {} times pressure",
        world.most,
        world.now.saturating_since(reads_from),
        counters.tcp_rcv_q_drop,
        counters.tcp_memory_pressures
    );
}

fn write(world: &mut World, id: SocketId, sent: &mut [Progress], data: &[u8]) {
    let progress = &mut sent[id.index() as usize];
    while let Some(rest) = data.get(progress.done..).filter(|rest| !rest.is_empty()) {
        match world.call(SENDER, |stack, _, now| stack.try_write(id, rest, now)) {
            Ok(n) => progress.done += n,
            Err(Error::WouldBlock) => return,
            Err(error) => panic!("{error}"),
        }
    }
    if !std::mem::replace(&mut progress.ended, true) {
        let how = tunstack_core::sockopt::Shutdown::Write;
        world.call(SENDER, |stack, _, now| stack.shutdown(id, how, now)).unwrap();
    }
}

/// Gives 1 when it has come to the end.
fn take(world: &mut World, id: SocketId, read: &mut [Progress], data: &[u8]) -> usize {
    let progress = &mut read[id.index() as usize];
    let mut buf = [0; 4096];
    loop {
        match world.call(READER, |stack, _, _| stack.try_read(id, &mut buf)) {
            Ok(0) => {
                assert_eq!(progress.done, data.len());
                return usize::from(!std::mem::replace(&mut progress.ended, true));
            }
            Ok(n) => {
                assert_eq!(data.get(progress.done..progress.done + n), buf.get(..n));
                progress.done += n;
            }
            Err(Error::WouldBlock) => return 0,
            Err(error) => panic!("{error}"),
        }
    }
}

/// One after the other: what is counted is of the whole process.
#[test]
fn who_does_not_read_costs_no_more_than_the_budget() {
    overload(2000, 4 << 20, None, 30_000);
    overload(1000, 2 << 20, Some(2 << 20), 20_000);
}

#[test]
#[cfg(not(debug_assertions))]
#[ignore = "minutes; cargo test --release -p tunstack-core --test memory -- --ignored --nocapture"]
fn fifty_thousand_within_64_mib() {
    overload(50_000, 64 << 20, None, 20_000);
}
