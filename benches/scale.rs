//! What a stack costs with many connections: 1,000, 100,000 and 1,000,000 of them that stand idle, made by real
//! handshakes between two stacks in virtual time.
//!
//! For each number: the memory of a connection, before and after it has carried text; what one further connection costs
//! to make; a round trip of one octet on one of them; to close them all; to let the timers run that this leaves; and the
//! longest single call of all. Times are those of the processor in this thread, so that what else runs on the machine
//! does not show; of repeated measurements the median.
//!
//! `cargo bench --bench scale [-- [--json] [CONNECTIONS]…]`

use std::alloc::System;
use std::error::Error;
use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tunstack::core::addr::{Address, Endpoint, Family, Prefix};
use tunstack::core::config::Config;
use tunstack::core::error::Error as Refusal;
use tunstack::core::packet::{Inbound, Trust};
use tunstack::core::stack::{SocketId, Stack};
use tunstack::core::time::{Duration as Span, Instant};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Connections to one port of the server: fewer than there are ephemeral ports.
const A_PORT: usize = 20_000;
const FIRST_PORT: u16 = 1000;

/// Connections made, and round trips, a measurement.
const SAMPLE: usize = 1000;
const REPEATED: usize = 7;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|a| a == "--json");
    let mut numbers: Vec<usize> = arguments.iter().filter_map(|a| a.parse().ok()).collect();
    if numbers.is_empty() {
        numbers = vec![1000, 100_000, 1_000_000];
    }
    if !json {
        println!(
            "{:>11} {:>9} {:>9} {:>9} {:>9} {:>10} {:>10} {:>10} {:>10} {:>10}  longest call",
            "connections",
            "octets",
            "+text",
            "resident",
            "+text",
            "connect",
            "trip",
            "close",
            "timers",
            "listing"
        );
    }
    for number in numbers {
        let row = measure(number)?;
        println!("{}", if json { row.json() } else { row.text() });
    }
    Ok(())
}

/// What was measured with one number of connections.
struct Row {
    connections: usize,
    /// Octets allocated an end, fresh and after it has carried text.
    fresh: usize,
    used: usize,
    /// Resident memory an end, fresh and after text.
    resident: [usize; 2],
    connect: Duration,
    trip: Duration,
    /// Each connection of all.
    close: Duration,
    timers: Duration,
    listing: Duration,
    longest: (Duration, &'static str),
}

impl Row {
    fn text(&self) -> String {
        format!(
            "{:>11} {:>9} {:>9} {:>9} {:>9} {:>7.2} us {:>7.2} us {:>7.2} us {:>7.2} us {:>7.2} ns  {:.3} ms ({})",
            self.connections,
            self.fresh,
            self.used,
            self.resident[0],
            self.resident[1],
            micros(self.connect),
            micros(self.trip),
            micros(self.close),
            micros(self.timers),
            micros(self.listing) * 1e3,
            micros(self.longest.0) / 1e3,
            self.longest.1
        )
    }

    fn json(&self) -> String {
        serde_json::json!({
            "connections": self.connections,
            "octets_fresh": self.fresh,
            "octets_after_text": self.used,
            "octets_resident_fresh": self.resident[0],
            "octets_resident_after_text": self.resident[1],
            "connect_us": micros(self.connect),
            "round_trip_us": micros(self.trip),
            "close_us": micros(self.close),
            "timers_us": micros(self.timers),
            "listing_us": micros(self.listing),
            "longest_call_ms": micros(self.longest.0) / 1e3,
            "longest_call": self.longest.1,
        })
        .to_string()
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Time of the processor in this thread.
fn processor() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// Octets allocated and not given back.
fn allocated() -> usize {
    let stats = MEMORY.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Octets of resident memory.
fn resident() -> Outcome<usize> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split_whitespace().nth(1).ok_or("statm has no second field")?.parse()?;
    Ok(pages * rustix::param::page_size())
}

fn measure(number: usize) -> Outcome<Row> {
    let mut world = World::new(number)?;
    // What is allocated once is not a cost of each.
    let mut standing = world.open(SAMPLE.min(number))?;
    let (before, resident_before, begun) = (allocated(), resident()?, standing.len());
    standing.extend(world.open(number - begun)?);
    let ends = 2 * (number - begun).max(1);
    let fresh = (allocated() - before) / ends;
    let resident_fresh = (resident()? - resident_before) / ends;
    world.watched = false;
    let mut connect = Vec::new();
    for _ in 0..REPEATED {
        let from = processor();
        let further = world.open(SAMPLE)?;
        connect.push((processor() - from) / SAMPLE as u32);
        for pair in further {
            world.close(pair)?;
        }
        world.pass(Span::from_secs(61));
    }
    world.watched = true;
    for &pair in &standing {
        world.exchange(pair, &[7; 1000])?;
    }
    world.pass(Span::from_secs(1));
    let used = (allocated() - before) / ends;
    let resident = [resident_fresh, (resident()? - resident_before) / ends];
    world.watched = false;
    let active = standing[number / 2];
    let mut trip = Vec::new();
    for _ in 0..REPEATED {
        let from = processor();
        for _ in 0..SAMPLE {
            world.exchange(active, b"x")?;
        }
        trip.push((processor() - from) / SAMPLE as u32);
    }
    let from = processor();
    let listed = world.hosts[1].sockets().count();
    let listing = (processor() - from) / number as u32;
    if listed < number {
        return Err(format!("{listed} of {number} are listed").into());
    }
    let from = processor();
    for pair in standing {
        world.close(pair)?;
    }
    let close = (processor() - from) / number as u32;
    world.watched = true;
    let from = processor();
    world.pass(Span::from_secs(61));
    let timers = (processor() - from) / number as u32;
    let left: usize = world.hosts.iter().map(Stack::slots).sum();
    if left != world.listeners.len() {
        return Err(format!("{left} slots are left").into());
    }
    let (connect, trip) = (median(connect), median(trip));
    Ok(Row {
        connections: number,
        fresh,
        used,
        resident,
        connect,
        trip,
        close,
        timers,
        listing,
        longest: world.longest,
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Both ends of a connection: the client's and the server's.
type Pair = [SocketId; 2];

/// Two stacks on a wire without delay.
struct World {
    now: Instant,
    hosts: [Stack; 2],
    listeners: Vec<SocketId>,
    opened: usize,
    packet: Vec<u8>,
    /// Whether each call is timed.
    watched: bool,
    longest: (Duration, &'static str),
}

impl World {
    fn new(number: usize) -> Outcome<Self> {
        let host = |last: u8| {
            let address = Address::from_v4_octets([10, 7, 0, last]);
            let mut config = Config { addresses: vec![Prefix::new(address, 24)], ..Config::default() };
            config.ephemeral_ports = (1024, 65_535);
            config.tcp.max_time_wait = u32::MAX;
            Stack::new(config, [last; 32])
        };
        let mut hosts = [host(1), host(2)];
        let mut listeners = Vec::new();
        for at in 0..=(number + SAMPLE) / A_PORT {
            let id = hosts[1].tcp_socket(Family::V4);
            hosts[1].bind(id, Endpoint::new(Address::UNSPECIFIED_V4, FIRST_PORT + at as u16))?;
            hosts[1].listen(id, 16)?;
            listeners.push(id);
        }
        let (now, packet) = (Instant::from_secs(1), Vec::with_capacity(2048));
        let longest = (Duration::ZERO, "none");
        Ok(Self { now, hosts, listeners, opened: 0, packet, watched: true, longest })
    }

    /// Does something with one host and notes how long that took.
    fn call<T>(&mut self, host: usize, what: &'static str, op: impl FnOnce(&mut Stack, Instant) -> T) -> T {
        if !self.watched {
            return op(&mut self.hosts[host], self.now);
        }
        let from = processor();
        let result = op(&mut self.hosts[host], self.now);
        self.longest = self.longest.max((processor() - from, what));
        result
    }

    /// Until nothing is on the wire and nobody has to be told anything.
    fn settle(&mut self) {
        let mut packet = std::mem::take(&mut self.packet);
        loop {
            let mut quiet = true;
            for host in 0..2 {
                loop {
                    let left = self.call(host, "poll_transmit", |stack, now| {
                        let Some(datagram) = stack.poll_transmit(now) else { return false };
                        packet.clear();
                        packet.extend_from_slice(datagram.head);
                        datagram.body.pieces().for_each(|piece| packet.extend_from_slice(piece));
                        true
                    });
                    if !left {
                        break;
                    }
                    quiet = false;
                    let inbound = Inbound { trust: Trust::Trusted, ..Inbound::plain(&packet) };
                    self.call(1 - host, "receive", |stack, now| stack.receive(now, inbound));
                }
                while self.call(host, "poll_event", |stack, _| stack.poll_event()).is_some() {}
            }
            if quiet {
                self.packet = packet;
                return;
            }
        }
    }

    /// Lets time pass, with the timers that are due in it.
    fn pass(&mut self, time: Span) {
        let end = self.now + time;
        loop {
            for host in 0..2 {
                self.call(host, "handle_timeout", |stack, now| stack.handle_timeout(now));
            }
            self.settle();
            let next = self.hosts.iter().filter_map(Stack::poll_timeout).min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
        }
        self.now = end;
    }

    fn open(&mut self, count: usize) -> Outcome<Vec<Pair>> {
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let at = self.opened / A_PORT % self.listeners.len();
            self.opened += 1;
            self.now += Span::from_micros(10);
            let to = Endpoint::new(Address::from_v4_octets([10, 7, 0, 2]), FIRST_PORT + at as u16);
            let client = self.call(0, "connect", |stack, now| {
                let id = stack.tcp_socket(Family::V4);
                match stack.connect(id, to, now) {
                    Err(Refusal::InProgress) => Ok(id),
                    Err(error) => Err(error),
                    Ok(()) => Err(Refusal::Invalid),
                }
            })?;
            self.settle();
            let listener = self.listeners[at];
            let server = self.call(1, "accept", |stack, _| stack.try_accept(listener))?;
            pairs.push([client, server]);
        }
        Ok(pairs)
    }

    /// `text` goes over and comes back.
    fn exchange(&mut self, pair: Pair, text: &[u8]) -> Outcome<()> {
        let mut read = [0; 2000];
        for from in 0..2 {
            self.now += Span::from_micros(10);
            let written = self.call(from, "write", |stack, now| stack.try_write(pair[from], text, now))?;
            self.settle();
            let n = self.call(1 - from, "read", |stack, _| stack.try_read(pair[1 - from], &mut read))?;
            if (written, read.get(..n)) != (text.len(), Some(text)) {
                return Err("what was read is not what was written".into());
            }
        }
        Ok(())
    }

    /// The client closes first and keeps the memory of it.
    fn close(&mut self, pair: Pair) -> Outcome<()> {
        for (host, id) in pair.into_iter().enumerate() {
            self.call(host, "close", |stack, now| stack.close(id, now))?;
            self.settle();
        }
        Ok(())
    }
}
