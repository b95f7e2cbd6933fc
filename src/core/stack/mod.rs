//! The stack: five calls to drive it, and the calls of a program.
//!
//! `receive` brings packets in, `transmit` takes them out, `settle` keeps what depends on a socket (its place
//! in the table, its timer, its readiness) true after every change. What a program may call stands in
//! [`socket`] (all kinds), [`stream`], [`connecting`] and [`reading`] (TCP), [`datagram`] and [`sending`] (UDP and ping).

pub mod slab;

pub mod ready;

pub mod table;

pub mod wheel;

pub mod ports;

mod bound;

mod flows;

mod pages;

pub mod packet;

mod departures;

pub use packet::{Body, Checksum, Datagram, Inbound, Received, Sent, Trust};
pub use ready::{Event, Readiness};
pub use slab::SocketId;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};

use crate::addr::{Address, Endpoint, Family, Quad};
use crate::config::Config;
use crate::counters::Counters;
use crate::error::Error;
use crate::icmp::echo::PingSocket;
use crate::icmp::errors::RateLimit;
use crate::ip::output::Ids;
use crate::ip::pmtu::PathMtu;
use crate::ip::reassembly::Reassembly;
use crate::ip::route::Routes;
use crate::memory::Memory;
use crate::sockopt::{Reuse, SocketOptions};
use crate::tcp::buffer::spares::Spares;
use crate::tcp::context::ControlQueue;
use crate::tcp::fast_open::Host;
use crate::tcp::fast_open::secret::Secrets;
use crate::tcp::isn::Keys;
use crate::tcp::listener::Listener;
use crate::tcp::recovery::board::Lists;
use crate::tcp::request::Request;
use crate::tcp::tcb::Tcb;
use crate::tcp::time_wait::TimeWait;
use crate::time::Instant;
use crate::udp::socket::UdpSocket;
use bound::{Holders, PortMap};
use departures::Departures;
use flows::Flows;
use pages::Pages;
use ports::Ephemeral;
use replies::Replies;
use shards::{Post, Share};
use slab::Slab;
use table::{Key, Table};
use turns::Turns;
use wheel::Wheel;

/// Lends the stack's surroundings to a connection, field by field, so that the slab stays free to borrow.
macro_rules! context {
    ($stack:expr, $now:expr) => {
        $crate::tcp::context::Context {
            now: $now,
            config: &$stack.config.tcp,
            mtu: $stack.config.mtu,
            segmentation: $stack.config.offload.segmentation,
            holds_acks: $stack.replies.are_awaited(),
            counters: &mut $stack.counters,
            memory: &mut $stack.memory,
            keys: &$stack.keys,
            fast_open: &mut $stack.fast_open,
            control: &mut $stack.control,
            spares: &mut $stack.spares,
            lists: &mut $stack.lists,
        }
    };
}

mod holding;

mod replies;

mod memory;

pub mod shards;

mod settle;

mod expected;

mod lent;

mod receive;

pub mod fast_open;

mod tcp;

mod syn_cookies;

mod transmit;

mod train;

mod turns;

pub mod socket;

mod binding;

pub mod stream;

pub mod connecting;

pub mod reading;

pub mod datagram;

pub mod sending;
/// What packets under reassembly may take at least: the largest, in small fragments.
const REASSEMBLY: usize = 128 << 10;

/// Timers that one call runs at the most, or moves within the wheel: some milliseconds of work.
const TIMERS_A_CALL: u32 = 2048;

/// A TCP socket that is neither connected nor listening.
#[derive(Debug)]
struct Idle {
    /// What it is bound to, or was.
    local: Endpoint,
    options: SocketOptions,
    /// Why its connection ended, until the program has been told.
    error: Option<Error>,
    /// What has been shut down already; a connection to come is born so.
    shut_read: bool,
    shut_write: bool,
    /// The secrets of Fast Open for the listener it may become.
    secrets: Option<Box<Secrets>>,
}

bitflags::bitflags! {
    /// What is so of a socket whatever it is at the time: Linux's `sk_userlocks` and the states of its `struct socket`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Own: u8 {
        /// Made for IPv6.
        const V6 = 1 << 0;
        /// It stands in the map of bound ports.
        const BOUND = 1 << 1;
        /// The program chose the port: it stays over failures and disconnects.
        const PORT_CHOSEN = 1 << 2;
        /// The program chose the address.
        const ADDRESS_CHOSEN = 1 << 3;
        /// `connect` was called and its outcome not asked for.
        const CONNECTING = 1 << 4;
        /// Connected, or was.
        const CONNECTED = 1 << 5;
        /// Shut down before the outcome of `connect` was asked for: good for nothing until it is disconnected.
        const STUCK = 1 << 6;
        /// The three of which at most one holds.
        const PHASE = Self::CONNECTING.bits() | Self::CONNECTED.bits() | Self::STUCK.bits();
    }
}

impl Own {
    const fn family(self) -> Family {
        if self.contains(Self::V6) { Family::V6 } else { Family::V4 }
    }

    const fn of(family: Family) -> Self {
        match family {
            Family::V4 => Self::empty(),
            Family::V6 => Self::V6,
        }
    }

    fn set_phase(&mut self, phase: Self) {
        self.remove(Self::PHASE);
        self.insert(phase);
    }
}

/// A connection in a listener's queue. It may live in another shard.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    connection: SocketId,
    peer: Endpoint,
}

/// What a slot of the slab holds. Boxed, so that a slot costs the same whatever is in it and a connection that
/// is only a request or a memory costs little.
#[derive(Debug)]
enum Kind {
    Idle(Box<Idle>),
    Listener(Box<Listener<Waiting>>),
    Request(Box<Request>),
    Connection(Box<Tcb>),
    /// Where its record is.
    TimeWait(u32),
    Udp(Box<UdpSocket>),
    Ping(Box<PingSocket>),
}

#[derive(Debug)]
struct Socket {
    kind: Kind,
    /// What the program was last told.
    published: Readiness,
    /// What has arisen or arrived since.
    edges: Readiness,
    /// It stands in the queue of those that may have something to send.
    queued: bool,
    /// It stands in the queue of those whose readiness changed.
    changed: bool,
    /// A program holds a handle to it.
    held: bool,
    /// It stands in the connection table.
    tabled: bool,
    own: Own,
}

impl Socket {
    const fn new(kind: Kind, own: Own, held: bool) -> Self {
        let none = Readiness::empty();
        Self { kind, published: none, edges: none, queued: false, changed: false, held, tabled: false, own }
    }

    /// The end it holds by being a connection or what is left of one, and with whom it shares that. A request holds
    /// none: it is its listener's.
    fn holds(&self, records: &Pages<TimeWait>) -> Option<(Endpoint, Reuse)> {
        match &self.kind {
            Kind::Connection(tcb) => Some((tcb.quad.local, tcb.options.reuse())),
            Kind::TimeWait(at) => records.get(*at).map(|record| (record.quad.local, record.reuse())),
            _ => None,
        }
    }

    /// The two ends, of those that stand in the connection table.
    fn quad(&self, records: &Pages<TimeWait>) -> Option<Quad> {
        match &self.kind {
            Kind::Request(request) => Some(request.quad),
            Kind::Connection(tcb) => Some(tcb.quad),
            Kind::TimeWait(at) => records.get(*at).map(|record| record.quad),
            _ => None,
        }
    }
}

/// A host's TCP/IP as a value.
///
/// Its calls are of four kinds: those of the world ([`receive`](Self::receive),
/// [`handle_timeout`](Self::handle_timeout)), those of a program ([`connect`](Self::connect),
/// [`try_read`](Self::try_read), …), those that give work back to the world
/// ([`poll_transmit`](Self::poll_transmit), [`poll_event`](Self::poll_event),
/// [`poll_timeout`](Self::poll_timeout)), and getters. After any call of the first two kinds, make those of the
/// third as [`drive`] does. Spurious calls are harmless.
#[derive(Debug)]
pub struct Stack {
    config: Config,
    /// What the connection before asked for.
    last_options: Arc<SocketOptions>,
    counters: Counters,
    memory: Memory,
    /// Connections that wait for memory.
    starved: memory::Starved,
    /// Records in TIME-WAIT, the oldest first, where there is a budget of memory; some may be gone.
    aged: VecDeque<SocketId>,
    keys: Keys,
    routes: Routes,
    slab: Slab<Socket>,
    table: Table,
    flows: Flows,
    /// The source and the destination of the segment from outside that was let in last: others with these may come in too.
    let_in: Option<(Address, Address)>,
    /// The slot of the connection whose predicted segment came last, and when.
    predicted: Option<(u32, Instant)>,
    /// What the next packet looks like, if it is the next of a burst.
    expected: Option<Box<expected::Expected>>,
    wheel: Wheel,
    /// TCP sockets by the port they are bound to: idle ones and listeners, and connections that keep a chosen port.
    tcp_bound: PortMap,
    /// The local ends of connections and of records in TIME-WAIT.
    tcp_ports: Holders,
    udp_bound: PortMap,
    /// Ping sockets by their identifier.
    ping_bound: PortMap,
    ephemeral: Ephemeral,
    fast_open: Host,
    /// Segments of what is lighter than a connection.
    control: ControlQueue,
    /// IP packets that are ready to leave.
    departures: Departures,
    /// Packets from ourselves to ourselves, and the size of the segments that each stands for; 0: it is one.
    looped: VecDeque<(Vec<u8>, u16)>,
    /// Connections that may have something to send.
    turns: Turns,
    /// The connection that holds back the rest of a write.
    holds: Option<SocketId>,
    /// Connections whose acknowledgment waits for the program's reply.
    replies: Replies,
    /// Sockets whose readiness changed.
    changed: VecDeque<u32>,
    /// Memory of receive buffers that ran empty.
    spares: Spares,
    /// Memory of what was in flight.
    lists: Lists,
    reassembly: Reassembly,
    path_mtu: PathMtu,
    icmp_limit: RateLimit,
    ids: Ids,
    /// The head of the packet that leaves.
    head: Vec<u8>,
    /// Why the packet that left last did, when tracing is on.
    told: Option<Sent>,
    /// What may follow the segment that left last, with the head that it had.
    train: Option<train::Coupled>,
    orphans: u32,
    time_waits: Pages<TimeWait>,
    /// The stacks it is one of, if there are several to the host.
    share: Option<Share>,
    /// What it has for the others.
    posts: VecDeque<(u16, Post)>,
    /// What stands here for a listener of another shard.
    replicas: BTreeMap<SocketId, SocketId>,
}

impl Stack {
    /// A stack with these settings. `seed` must be unpredictable on a real network: initial sequence
    /// numbers, ports and the connection table's hash keys are drawn from it. The same seed and the same
    /// calls give the same bytes.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self::numbered(config, seed, 0, None)
    }

    fn numbered(config: Config, seed: [u8; 32], number: u16, share: Option<Share>) -> Self {
        //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.7
        //= id=rfc1122-3.2.1.7-1
        //# A host MUST NOT send a datagram with a Time-to-Live (TTL) value of zero.
        let config = Config { hop_limit: config.hop_limit.max(1), ..config };
        let mut rng = ChaCha12Rng::from_seed(seed);
        let keys = Keys::new(&mut rng);
        let mut ids = [0; 32];
        rng.fill_bytes(&mut ids);
        // The one thing that shards must not have in common: two packets would have the same number.
        for (octet, own) in ids.iter_mut().zip(number.to_be_bytes().repeat(16)) {
            *octet ^= own;
        }
        let memory = Memory::new(config.memory);
        Self {
            routes: Routes::new(config.addresses.clone()),
            last_options: Arc::new(SocketOptions::tcp(&config)),
            slab: Slab::in_shard(number),
            table: Table::new(keys.table_key()),
            flows: Flows::default(),
            let_in: None,
            predicted: None,
            expected: None,
            wheel: Wheel::new(),
            tcp_bound: PortMap::default(),
            tcp_ports: Holders::default(),
            udp_bound: PortMap::default(),
            ping_bound: PortMap::default(),
            ephemeral: Ephemeral::new(config.ephemeral_ports).starting_at(rng.next_u32()),
            fast_open: Host::new(&mut rng),
            control: ControlQueue::default(),
            departures: memory.budget().map_or_else(Departures::default, Departures::within),
            looped: VecDeque::new(),
            turns: Turns::new(),
            holds: None,
            replies: Replies::default(),
            changed: VecDeque::new(),
            lists: if config.memory.is_some() { Lists::none() } else { Lists::default() },
            spares: if config.memory.is_some() { Spares::none() } else { Spares::default() },
            reassembly: Reassembly::new(
                memory.budget().map_or(config.reassembly_memory, |m| {
                    config.reassembly_memory.min((m / 16).max(REASSEMBLY))
                }),
                config.reassembly_timeout,
            ),
            path_mtu: PathMtu::new(config.path_mtu_entries, config.path_mtu_lifetime),
            icmp_limit: RateLimit::new(config.icmp_errors_per_second),
            ids: Ids::new(ids),
            head: Vec::with_capacity(128),
            told: None,
            train: None,
            orphans: 0,
            time_waits: Pages::new(),
            share,
            posts: VecDeque::new(),
            replicas: BTreeMap::new(),
            counters: Counters::default(),
            memory,
            starved: memory::Starved::default(),
            aged: VecDeque::new(),
            keys,
            config,
        }
    }

    /// Runs the timers that are due. Harmless when none is. Where more than some thousand are due at once the rest of them
    /// is left, and [`poll_timeout`](Self::poll_timeout) says to come again at once: in between others have their turn.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut steps = TIMERS_A_CALL;
        while let Some(index) = self.wheel.expired(now, &mut steps) {
            self.socket_timeout(index, now);
        }
        if !self.reassembly.is_empty() {
            self.expire_reassembly(now);
        }
        if self.replies.due().is_some_and(|due| due <= now) {
            self.release_acks();
        }
    }

    /// The next socket whose readiness changed, until there is none.
    pub fn poll_event(&mut self) -> Option<Event> {
        while let Some(index) = self.changed.pop_front() {
            let Some(id) = self.slab.id_of(index) else { continue };
            let Some(socket) = self.slab.by_index_mut(index) else { continue };
            if core::mem::take(&mut socket.changed) && socket.held {
                let edges = core::mem::take(&mut socket.edges);
                return Some(Event { id, readiness: socket.published, edges });
            }
        }
        None
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next, if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        // Asked many times for each packet, and mostly the wheel alone has any.
        let never = Instant::FAR_FUTURE;
        let mut first = self.wheel.next().unwrap_or(never);
        for other in [self.reassembly.next_deadline(), self.replies.due()] {
            first = first.min(other.unwrap_or(never));
        }
        if self.starved.writers_wait() {
            first = first.min(self.memory.grants_expire().unwrap_or(never));
        }
        (first < never).then_some(first)
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) may give anything. If not, nothing that was done since it gave `None`
    /// has to be told to any peer.
    pub fn may_transmit(&self) -> bool {
        !self.turns.is_empty()
            || self.holds.is_some()
            || !self.control.is_empty()
            || !self.departures.is_empty()
            || !self.looped.is_empty()
            // What one gives back another may wait for.
            || self.memory.is_bounded()
    }

    /// What has been counted.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What it holds of memory, where it has a budget.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The settings it works by.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// To change them. What comes later obeys: new sockets, new connections, and whatever is looked up at each use. What the
    /// stack has made of them is not made again: addresses, the range of ephemeral ports, and the memory and limits of
    /// reassembly, of path MTUs and of ICMP errors.
    pub const fn config_mut(&mut self) -> &mut Config {
        // What was concluded from them for the next packet does not hold any more.
        self.slab.touch();
        &mut self.config
    }

    /// Whether an address is one of the stack's own.
    pub fn is_local(&self, address: Address) -> bool {
        self.routes.is_local(address)
    }
}

#[cfg(test)]
mod tests;

/// The only loop there is: a test, the simulator and the engine all run this after whatever they did to the
/// stack. Returns when to come back.
pub fn drive(
    stack: &mut Stack,
    now: Instant,
    mut send: impl FnMut(Datagram<'_>),
    mut wake: impl FnMut(Event),
) -> Option<Instant> {
    stack.handle_timeout(now);
    while let Some(datagram) = stack.poll_transmit(now) {
        send(datagram);
    }
    while let Some(event) = stack.poll_event() {
        wake(event);
    }
    stack.poll_timeout()
}
