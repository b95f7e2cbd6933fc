//! Bulk flows of one or several congestion control algorithms over one bottleneck, and how they fared.
//!
//! ```text
//!   host of lane 0 ─┐                                         ┌─ drain
//!   host of lane 1 ─┼─ SENDERS ── link, with its queue ──► RECEIVER
//!   …               ┘          ◄── back ──────────────────────┘
//! ```

use std::fmt;
use std::net::Ipv4Addr;

use tunstack_core::addr::{Endpoint, Prefix};
use tunstack_core::config::Config;
use tunstack_core::counters::Counters;
use tunstack_core::tcp::info::TcpInfo;
use tunstack_core::time::{Duration, Instant};

use super::bulk::{Drain, Drained, Source};
use super::host::Host;
use super::link::LinkConfig;
use super::record::PeerId;
use super::site::Site;
use super::world::World;

/// The peer that all sources are behind.
pub const SENDERS: PeerId = PeerId(0);
/// The peer that all send to.
pub const RECEIVER: PeerId = PeerId(1);

const PORT: u16 = 5001;

/// Flows that share a host and an algorithm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lane {
    /// The algorithm's name, as `TCP_CONGESTION` has it.
    pub algorithm: String,
    /// How many flows.
    pub flows: usize,
}

/// A bottleneck and who sends over it.
#[derive(Clone, PartialEq, Debug)]
pub struct Bottleneck {
    /// The way of the data.
    pub link: LinkConfig,
    /// The way of the acknowledgments.
    pub back: LinkConfig,
    /// The largest packet, octets.
    pub mtu: u16,
    /// Send and receive buffer of each connection, octets: large enough not to be the limit.
    pub buffer: u32,
    /// The senders.
    pub lanes: Vec<Lane>,
    /// Each flow begins so much after the one before it.
    pub stagger: Duration,
    /// Whether they pace slow start; BBR paces all it sends.
    pub slow_start_pacing: bool,
    /// Octets that each flow sends; `u64::MAX`: without end.
    pub octets: u64,
    /// Whether events carry the variables of their connections; see [`Config::trace`].
    pub trace: bool,
    /// What decides all chance.
    pub seed: u64,
}

/// There is no such congestion control algorithm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownAlgorithm(pub String);

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no congestion control algorithm of this stack", self.0)
    }
}

impl std::error::Error for UnknownAlgorithm {}

/// Lets the connections of a stack use the algorithm of that name.
///
/// # Errors
/// There is none of that name.
pub fn set_algorithm(config: &mut Config, name: &str) -> Result<(), UnknownAlgorithm> {
    let found = config.tcp.congestion_by_name(name.as_bytes());
    config.tcp.congestion = found.ok_or_else(|| UnknownAlgorithm(name.to_owned()))?;
    Ok(())
}

/// Octets on a path that is full: rate times round trip.
pub fn bandwidth_delay_product(rate_bps: u64, round_trip: Duration) -> u64 {
    let octets = u128::from(rate_bps) * round_trip.as_nanos() / 8_000_000_000;
    u64::try_from(octets).unwrap_or(u64::MAX)
}

impl Bottleneck {
    /// One flow without end of `algorithm`, over a link that is the same both ways, with buffers for `link` with its
    /// queue.
    pub fn new(algorithm: &str, link: LinkConfig) -> Self {
        let bdp = link.rate_bps.map_or(8 << 20, |rate| bandwidth_delay_product(rate, link.delay * 2));
        let queue = link.queue.bytes.or_else(|| Some(u64::from(link.queue.packets?) * 1500)).unwrap_or(bdp);
        Self {
            link,
            back: LinkConfig { queue: Default::default(), ..link },
            mtu: 1500,
            // Twice what may be underway: during recovery what was sent again waits for a round trip more.
            buffer: u32::try_from((bdp + queue) * 3).unwrap_or(u32::MAX).clamp(1 << 20, 1 << 30),
            lanes: vec![Lane { algorithm: algorithm.to_owned(), flows: 1 }],
            stagger: Duration::ZERO,
            slow_start_pacing: true,
            octets: u64::MAX,
            trace: false,
            seed: 1,
        }
    }

    /// The same with these senders.
    #[must_use]
    pub fn with_lanes(mut self, lanes: Vec<Lane>) -> Self {
        self.lanes = lanes;
        self
    }

    fn config(&self, address: Ipv4Addr) -> Config {
        let mut config = Config {
            addresses: vec![Prefix::new(address.into(), 16)],
            mtu: self.mtu,
            trace: self.trace,
            ..Config::default()
        };
        config.tcp.slow_start_pacing = self.slow_start_pacing;
        config.tcp.send_buffer = self.buffer;
        config.tcp.receive_buffer = self.buffer;
        (config.tcp.send_buffer_max, config.tcp.receive_buffer_max) = (self.buffer, self.buffer);
        config
    }

    /// Makes the world in which this happens; no time has gone by.
    ///
    /// # Errors
    /// A lane's algorithm is unknown.
    ///
    /// # Panics
    /// If a rate is 0, or there are more than 200 lanes.
    pub fn build(&self) -> Result<Race, UnknownAlgorithm> {
        assert!(self.lanes.len() <= 200, "{} lanes", self.lanes.len());
        let mut world = World::named(format!("bottleneck-{}", self.lanes[0].algorithm), self.seed);
        let to = Ipv4Addr::new(10, 0, 1, 1);
        let remote = Endpoint::new(to.into(), PORT);
        let mut hosts = Vec::new();
        let mut flows = Vec::new();
        for (n, lane) in self.lanes.iter().enumerate() {
            let address = Ipv4Addr::new(10, 0, 0, n as u8 + 1);
            let mut config = self.config(address);
            set_algorithm(&mut config, &lane.algorithm)?;
            let mut host = Host::new(config, seed(&mut world));
            for _ in 0..lane.flows {
                let after = self.stagger * u32::try_from(flows.len()).unwrap_or(u32::MAX);
                host.run(Source::new(remote, Instant::ZERO + after, self.octets));
                flows.push(n);
            }
            hosts.push(host);
        }
        world.add("senders", Site::new(hosts));
        let receiver = Host::new(self.config(to), seed(&mut world)).keep_frames().with(Drain::new(remote));
        world.add("receiver", receiver);
        world.connect(SENDERS, RECEIVER, self.link, self.back);
        world.keep_octets(0);
        Ok(Race { world, lanes: self.lanes.clone() })
    }
}

fn seed(world: &mut World) -> [u8; 32] {
    let mut seed = [0; 32];
    seed.as_chunks_mut::<8>().0.iter_mut().for_each(|part| *part = world.random().to_le_bytes());
    seed
}

/// A bottleneck at work.
pub struct Race {
    /// The world it happens in.
    pub world: World,
    lanes: Vec<Lane>,
}

/// How one flow stands.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its lane.
    pub lane: usize,
    /// Its own end.
    pub local: Endpoint,
    /// Octets that the receiving program has had.
    pub received: u64,
    /// When it had the latest of them.
    pub last: Instant,
    /// The sender's side of the connection.
    pub info: TcpInfo,
}

impl Race {
    /// The lanes.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    fn senders(&self) -> &[Host] {
        self.world.peer::<Site>(SENDERS).hosts()
    }

    /// The flows that stand, by lane and in the order they began.
    pub fn flows(&self) -> Vec<Flow> {
        let drained = self.world.peer::<Host>(RECEIVER).app::<Drain>().connections();
        let of_lane = |(lane, host): (usize, &Host)| {
            let flow = |source: &Source| {
                let id = source.socket()?;
                let local = host.stack().local_endpoint(id).ok()?;
                let info = host.stack().tcp_info(id)?;
                let drained = drained.iter().find(|d| d.from == local)?;
                Some(Flow { lane, local, received: drained.octets, last: drained.last, info })
            };
            host.apps::<Source>().filter_map(flow).collect::<Vec<_>>()
        };
        self.senders().iter().enumerate().flat_map(of_lane).collect()
    }

    /// Octets that the receiving program has had, of all flows.
    pub fn received(&self) -> u64 {
        let drain = self.world.peer::<Host>(RECEIVER).app::<Drain>();
        drain.connections().iter().map(|connection| connection.octets).sum()
    }

    /// Octets that have arrived at the receiver, of all flows, each counted once: those too that its program cannot have
    /// yet, because something before them is missing. A repair does not show in it as a halt and a leap.
    pub fn arrived(&self) -> u64 {
        let receiver = self.world.peer::<Host>(RECEIVER);
        let waiting = |drained: &Drained| {
            let info = receiver.stack().tcp_info(drained.id);
            info.map_or(0, |info| (info.receive_queue + info.out_of_order) as u64)
        };
        receiver.app::<Drain>().connections().iter().map(|drained| drained.octets + waiting(drained)).sum()
    }

    /// What the stack of a lane has counted.
    ///
    /// # Panics
    /// If there is no such lane.
    pub fn counters(&self, lane: usize) -> &Counters {
        self.senders()[lane].stack().counters()
    }

    /// Lets every flow have so many octets more to send.
    pub fn add(&mut self, octets: u64) {
        for host in self.world.peer_mut::<Site>(SENDERS).hosts_mut() {
            host.apps_mut::<Source>().for_each(|source| source.add(octets));
        }
    }

    /// Whether all goes as it should: no call has failed, and each flow uses the algorithm of its lane.
    ///
    /// # Errors
    /// What does not, in words.
    pub fn check(&self) -> Result<(), String> {
        for (lane, host) in self.lanes.iter().zip(self.senders()) {
            for source in host.apps::<Source>() {
                if let Some((call, error)) = source.error() {
                    return Err(format!("{}: {call} failed: {error}", lane.algorithm));
                }
            }
        }
        if let Some((call, error)) = self.world.peer::<Host>(RECEIVER).app::<Drain>().error() {
            return Err(format!("the receiver's {call} failed: {error}"));
        }
        for flow in self.flows() {
            let wanted = &self.lanes[flow.lane].algorithm;
            if flow.info.congestion != wanted {
                return Err(format!("a flow of {wanted} uses {}", flow.info.congestion));
            }
        }
        Ok(())
    }
}

/// How evenly shares are: 1 when all are equal, 1/n when one has all (Jain's fairness index).
pub fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    if squares == 0.0 { 1.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

#[cfg(test)]
mod tests;
