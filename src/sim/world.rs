//! A world: peers, the links between them and a seed that decides all chance.

use std::any::Any;
use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use tunstack_core::config::Config;
use tunstack_core::time::{Duration, Instant};

use super::app::App;
use super::host::{Host, Peer};
use super::link::{Fault, Link, LinkConfig};
use super::network::{Due, Network, Passing, Wire};
pub use super::record::{Note, PeerId, Record};

/// Peers, links between pairs of them, and virtual time.
///
/// The same seed and the same calls give the same packets at the same times:
/// [`trace_hash`](Self::trace_hash) stands for all of them. A world that is dropped by a panic leaves what
/// its peers saw as `target/failed-worlds/<name>-<seed>.pcapng` and says so.
pub struct World {
    name: String,
    seed: u64,
    rng: ChaCha12Rng,
    nodes: Vec<Node>,
    network: Network,
    /// Events since time last passed.
    events_now: u64,
}

struct Node {
    name: String,
    peer: Box<dyn Peer>,
    /// The wake that is scheduled and not overtaken by an earlier one.
    armed: Option<Instant>,
    /// How often it asked to be polled again at once, since time last passed.
    spins: u32,
}

impl World {
    /// Events that may happen at one time; more is a livelock.
    pub const MAX_EVENTS_AT_ONCE: u64 = 1_000_000;
    /// How often a peer may ask to be polled again at once.
    pub const MAX_SPINS: u32 = 1_000;

    /// An empty world, named after the test that runs.
    pub fn new(seed: u64) -> Self {
        let name = std::thread::current().name().unwrap_or("world").to_owned();
        Self::named(name, seed)
    }

    /// An empty world with a name.
    pub fn named(name: impl Into<String>, seed: u64) -> Self {
        Self {
            name: name.into(),
            seed,
            rng: ChaCha12Rng::seed_from_u64(seed),
            nodes: Vec::new(),
            network: Network::default(),
            events_now: 0,
        }
    }

    /// Adds a host with a stack of these settings; its seed comes from the world's.
    pub fn host(&mut self, name: &str, config: Config) -> PeerId {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        self.add(name, Host::new(config, seed))
    }

    /// Adds a peer of any kind. It is polled for the first time when the world runs.
    pub fn add(&mut self, name: &str, peer: impl Peer) -> PeerId {
        let id = PeerId(self.nodes.len());
        self.nodes.push(Node { name: name.to_owned(), peer: Box::new(peer), armed: None, spins: 0 });
        self.network.wires.push(None);
        self.wake_now(id);
        id
    }

    /// Random octets that the seed decides, for a peer that needs some.
    pub fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Lays a link between two peers, one configuration a direction. A peer has one link; a new one takes
    /// the place of the old.
    ///
    /// # Panics
    /// If a rate is 0.
    pub fn connect(&mut self, a: PeerId, b: PeerId, a_to_b: LinkConfig, b_to_a: LinkConfig) {
        for (from, to, config) in [(a, b, a_to_b), (b, a, b_to_a)] {
            let link = Link::new(config, ChaCha12Rng::from_rng(&mut self.rng));
            self.network.wires[from.0] = Some(Wire { link, to, scenario: None });
        }
    }

    /// Lays a link that is the same in both directions.
    ///
    /// # Panics
    /// If the rate is 0.
    pub fn connect_both(&mut self, a: PeerId, b: PeerId, config: LinkConfig) {
        self.connect(a, b, config, config);
    }

    /// Runs a program on a host.
    ///
    /// # Panics
    /// If that peer is no [`Host`].
    pub fn run(&mut self, host: PeerId, app: impl App) {
        self.peer_mut::<Host>(host).run(app);
    }

    /// Lets `scenario` decide what happens to each packet that `from` sends, beside chance.
    ///
    /// # Panics
    /// If `from` has no link.
    pub fn scenario(&mut self, from: PeerId, scenario: impl FnMut(Passing<'_>) -> Option<Fault> + 'static) {
        self.wire_mut(from).scenario = Some(Box::new(scenario));
    }

    /// Shows each packet to `observer` as it is sent and as it arrives, also where none is kept
    /// ([`keep_octets`](Self::keep_octets)). A later observer takes the place of an earlier one.
    pub fn observe(&mut self, observer: impl FnMut(&Record) + 'static) {
        self.network.observer = Some(Box::new(observer));
    }

    /// Lets a packet out of nowhere arrive at `to`.
    pub fn inject(&mut self, to: PeerId, at: Instant, packet: Vec<u8>) {
        self.network.clock.schedule(at, Due::Deliver(to, packet.into()));
    }

    /// The virtual time.
    pub const fn now(&self) -> Instant {
        self.network.clock.now()
    }

    /// The seed it was made with.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// A number for all packets and their times so far.
    pub const fn trace_hash(&self) -> u64 {
        self.network.hash.value()
    }

    /// Packets sent so far, by all.
    pub const fn packets(&self) -> u64 {
        self.network.packets
    }

    /// The peers' numbers, in the order they were added.
    pub fn peers(&self) -> impl Iterator<Item = PeerId> + use<> {
        (0..self.nodes.len()).map(PeerId)
    }

    /// A peer.
    ///
    /// # Panics
    /// If it is of another type.
    pub fn peer<P: Peer>(&self, id: PeerId) -> &P {
        let peer = self.nodes[id.0].peer.as_ref() as &dyn Any;
        peer.downcast_ref().unwrap_or_else(|| panic!("peer {} is no {}", id.0, std::any::type_name::<P>()))
    }

    /// A peer, to do something to; it is polled when the world goes on.
    ///
    /// # Panics
    /// If it is of another type.
    pub fn peer_mut<P: Peer>(&mut self, id: PeerId) -> &mut P {
        self.wake_now(id);
        let peer = self.nodes[id.0].peer.as_mut() as &mut dyn Any;
        peer.downcast_mut().unwrap_or_else(|| panic!("peer {} is no {}", id.0, std::any::type_name::<P>()))
    }

    /// The first program of type `A` on a host.
    ///
    /// # Panics
    /// If there is none.
    pub fn app<A: App>(&self, host: PeerId) -> &A {
        self.peer::<Host>(host).app()
    }

    /// The link that `from` sends on.
    ///
    /// # Panics
    /// If it has none.
    pub fn link(&self, from: PeerId) -> &Link {
        &self.network.wires[from.0].as_ref().expect("this peer has no link").link
    }

    /// The link that `from` sends on, to change it.
    ///
    /// # Panics
    /// If it has none.
    pub fn link_mut(&mut self, from: PeerId) -> &mut Link {
        &mut self.wire_mut(from).link
    }

    fn wire_mut(&mut self, from: PeerId) -> &mut Wire {
        self.network.wires[from.0].as_mut().expect("this peer has no link")
    }

    /// Keeps the latest packets, so many octets of them; 0 keeps none. 64 MiB by default.
    pub fn keep_octets(&mut self, octets: usize) {
        self.network.recorder.set_limit(octets);
    }

    /// The latest packets, in order, as their senders and receivers saw them.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.network.recorder.iter()
    }

    /// The latest packets as a pcapng file, seen by these peers, each an interface. One viewpoint is what a
    /// reader wants: two show most packets twice.
    #[cfg(feature = "capture")]
    pub fn capture(&self, viewpoints: &[PeerId]) -> Vec<u8> {
        let named: Vec<_> = viewpoints.iter().map(|id| (*id, self.nodes[id.0].name.as_str())).collect();
        self.network.recorder.pcapng(&named)
    }

    /// Runs until `time`, which is then the time.
    pub fn run_until(&mut self, time: Instant) {
        while self.step(time) {}
        self.network.clock.advance(time);
    }

    /// Runs for a time.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now() + time);
    }

    /// Runs until `met` holds; whether it did before `limit`. It is asked after each event.
    pub fn until(&mut self, limit: Instant, mut met: impl FnMut(&Self) -> bool) -> bool {
        while !met(self) {
            if !self.step(limit) {
                return false;
            }
        }
        true
    }

    /// Runs until nothing lies ahead.
    ///
    /// # Panics
    /// If something still does at `limit`.
    pub fn run_until_idle(&mut self, limit: Instant) {
        while self.step(limit) {}
        if !self.network.clock.is_empty() {
            self.fail(format_args!("not idle at {limit:?}"));
        }
    }

    /// Runs until all programs are done.
    ///
    /// # Panics
    /// If they are not at `limit`, or when nothing lies ahead any more.
    pub fn run_to_end(&mut self, limit: Instant) {
        loop {
            if self.nodes.iter().all(|node| node.peer.done()) {
                return;
            }
            // To be done takes a poll, and a poll takes an event.
            if !self.step(limit) {
                let why = if self.network.clock.is_empty() { "nothing lies ahead" } else { "the time is up" };
                self.fail(format_args!("not done at {:?}: {why}", self.now()));
            }
        }
    }

    /// Does what is next, if it is due at or before `limit`; whether there was anything.
    fn step(&mut self, limit: Instant) -> bool {
        let before = self.now();
        let Some(due) = self.network.clock.pop(limit) else { return false };
        let now = self.now();
        if now > before {
            self.events_now = 0;
        }
        self.events_now += 1;
        if self.events_now > Self::MAX_EVENTS_AT_ONCE {
            self.fail(format_args!("livelock: {} events at {now:?}", self.events_now));
        }
        match due {
            Due::Deliver(to, packet) => self.deliver(to, packet),
            Due::Wake(id) => {
                let node = &mut self.nodes[id.0];
                // Another than the armed one was overtaken by an earlier wake.
                if node.armed == Some(now) {
                    node.armed = None;
                    self.poll(id);
                }
            }
        }
        true
    }

    fn deliver(&mut self, to: PeerId, packet: Bytes) {
        let received = self.nodes[to.0].peer.receive(self.network.clock.now(), packet.clone());
        self.network.arrived(to, packet, received);
        self.poll(to);
    }

    fn poll(&mut self, id: PeerId) {
        let Self { nodes, network, .. } = self;
        let node = &mut nodes[id.0];
        let now = network.clock.now();
        node.peer.poll(now, &mut |outgoing| network.send(id, outgoing));
        let Some(wake) = node.peer.next_wake() else { return };
        node.spins = if wake > now { 0 } else { node.spins + 1 };
        if node.spins > Self::MAX_SPINS {
            self.fail(format_args!("livelock: peer {} wants to be polled again and again at {now:?}", id.0));
        }
        if node.armed.is_none_or(|armed| wake < armed) {
            node.armed = Some(wake.max(now));
            network.clock.schedule(wake, Due::Wake(id));
        }
    }

    fn wake_now(&mut self, id: PeerId) {
        let now = self.now();
        self.nodes[id.0].armed = Some(now);
        self.network.clock.schedule(now, Due::Wake(id));
    }

    fn fail(&self, what: std::fmt::Arguments<'_>) -> ! {
        let mut text = format!("world {} with seed {}: {what}", self.name, self.seed);
        for node in &self.nodes {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n{}: {}", node.name, node.peer.describe());
        }
        panic!("{text}")
    }

    /// Where a world that failed leaves what its peers saw.
    pub fn failure_path(&self) -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        let name: String = self.name.replace("::", "-").chars().map(plain).collect();
        target.join("failed-worlds").join(format!("{name}-{}.pcapng", self.seed))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        eprintln!("world {} failed at {:?}; its seed is {}", self.name, self.now(), self.seed);
        #[cfg(feature = "capture")]
        {
            let path = self.failure_path();
            let file = self.capture(&self.peers().collect::<Vec<_>>());
            let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            match made.and_then(|()| std::fs::write(&path, file)) {
                Ok(()) => eprintln!("what its peers saw is in {}", path.display()),
                Err(e) => eprintln!("what its peers saw could not be written to {}: {e}", path.display()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
