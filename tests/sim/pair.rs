//! Two hosts with one connection between them, each with our stack or with smoltcp.

use std::net::IpAddr;

use tunstack::core::addr::{Endpoint, Prefix};
use tunstack::core::config::Config;
use tunstack::core::counters::Counters;
use tunstack::core::packet::{Received, Sent};
use tunstack::core::tcp::state::State;
use tunstack::core::time::Instant;
use tunstack::sim::behaviour::Behaviour;
use tunstack::sim::client::Client;
use tunstack::sim::connection::Outcome;
use tunstack::sim::host::Host;
use tunstack::sim::link::LinkConfig;
use tunstack::sim::record::{Note, PeerId};
use tunstack::sim::server::Server;
use tunstack::sim::world::World;

use crate::smol::{Smol, SmolConfig};

pub(crate) const CLIENT: PeerId = PeerId(0);
pub(crate) const SERVER: PeerId = PeerId(1);
pub(crate) const PORT: u16 = 80;

/// Whose stack a host has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Ours,
    Smol,
}

/// Every client with every server.
pub(crate) const KINDS: [(Kind, Kind); 4] =
    [(Kind::Smol, Kind::Smol), (Kind::Ours, Kind::Ours), (Kind::Ours, Kind::Smol), (Kind::Smol, Kind::Ours)];

pub(crate) fn secs(s: u64) -> Instant {
    Instant::from_secs(s)
}

/// The client's and the server's address.
pub(crate) const V4: (&str, &str) = ("10.0.0.1", "10.0.0.2");
pub(crate) const V6: (&str, &str) = ("fd00::1", "fd00::2");

/// Our settings for a host at this address.
pub(crate) fn config(address: &str) -> Config {
    let address: IpAddr = address.parse().unwrap();
    let length = if address.is_ipv4() { 24 } else { 64 };
    Config { addresses: vec![Prefix::new(address.into(), length)], trace: true, ..Config::default() }
}

/// Two hosts that run these scripts, the client from the start.
pub(crate) struct Pair {
    pub(crate) world: World,
    kinds: (Kind, Kind),
}

impl Pair {
    pub(crate) fn new(
        kinds: (Kind, Kind),
        seed: u64,
        link: &str,
        client: Behaviour,
        server: Behaviour,
    ) -> Self {
        Self::at(V4, kinds, seed, link, client, server)
    }

    pub(crate) fn at(
        (a, b): (&str, &str),
        kinds: (Kind, Kind),
        seed: u64,
        link: &str,
        client: Behaviour,
        server: Behaviour,
    ) -> Self {
        Self::make((a, b), kinds, seed, link, client, Some(server))
    }

    /// As `at`, but nobody listens on the server's host.
    pub(crate) fn without_server(
        addresses: (&str, &str),
        kinds: (Kind, Kind),
        link: &str,
        client: Behaviour,
    ) -> Self {
        Self::make(addresses, kinds, 1, link, client, None)
    }

    fn make(
        (a, b): (&str, &str),
        kinds: (Kind, Kind),
        seed: u64,
        link: &str,
        client: Behaviour,
        server: Option<Behaviour>,
    ) -> Self {
        let mut world = World::new(seed);
        let ip = |address: &str| address.parse::<IpAddr>().unwrap();
        let remote = Endpoint::new(ip(b).into(), PORT);
        let smol_seed = world.random();
        match kinds.0 {
            Kind::Ours => {
                world.host("client", config(a));
                world.run(CLIENT, Client::new(remote, client));
            }
            Kind::Smol => {
                let smol = Smol::new(SmolConfig::new(ip(a), smol_seed));
                world.add("client", smol.client(remote, client, Instant::ZERO));
            }
        }
        match kinds.1 {
            Kind::Ours => {
                world.host("server", config(b));
                if let Some(server) = server {
                    world.run(SERVER, Server::new(remote, server));
                }
            }
            Kind::Smol => {
                let smol = Smol::new(SmolConfig::new(ip(b), !smol_seed));
                world.add(
                    "server",
                    if let Some(server) = server { smol.server(PORT, server, 1) } else { smol },
                );
            }
        }
        world.connect_both(CLIENT, SERVER, link.parse::<LinkConfig>().unwrap());
        Self { world, kinds }
    }

    /// Runs to the end of both scripts.
    pub(crate) fn run(mut self) -> Self {
        self.world.run_to_end(secs(600));
        self
    }

    /// As `run`, where that takes longer.
    pub(crate) fn run_for_hours(mut self, hours: u64) -> Self {
        self.world.run_to_end(secs(3_600 * hours));
        self
    }

    pub(crate) fn is_ours(&self, host: PeerId) -> bool {
        Kind::Ours == if host == CLIENT { self.kinds.0 } else { self.kinds.1 }
    }

    /// What our stack at a host counted.
    pub(crate) fn counters(&self, host: PeerId) -> &Counters {
        self.world.peer::<Host>(host).stack().counters()
    }

    /// The state that the latest packet of our stack at a host told of; `None` where it is not ours.
    pub(crate) fn state(&self, host: PeerId) -> Option<State> {
        let ours = self.world.records().filter(|r| r.peer == host);
        let events = ours.filter_map(|r| match r.note {
            Note::Sent(Some(Sent::Tcp(event)), _) => Some(event),
            Note::Arrived(Some(Received::Tcp(event))) => event,
            Note::Sent(..) | Note::Arrived(_) => None,
        });
        events.last().map(|event| event.state)
    }

    pub(crate) fn client(&self) -> &Outcome {
        match self.kinds.0 {
            Kind::Ours => self.world.app::<Client>(CLIENT).outcomes().next(),
            Kind::Smol => self.world.peer::<Smol>(CLIENT).outcomes().next(),
        }
        .expect("a connection")
    }

    pub(crate) fn server(&self) -> &Outcome {
        match self.kinds.1 {
            Kind::Ours => self.world.app::<Server>(SERVER).outcomes().next(),
            Kind::Smol => self.world.peer::<Smol>(SERVER).outcomes().next(),
        }
        .expect("a connection")
    }

    /// Both came to their end, with so many octets up and down.
    #[track_caller]
    pub(crate) fn assert_complete(&self, up: u64, down: u64) {
        let (c, s) = (self.client(), self.server());
        assert!(c.is_complete(up, down), "{:?}: client {c:?}", self.kinds);
        assert!(s.is_complete(down, up), "{:?}: server {s:?}", self.kinds);
    }

    /// Lets both hosts finish what the scripts left to them, TIME-WAIT included, and checks that our stacks
    /// hold nothing afterwards.
    pub(crate) fn settle(mut self) {
        let limit = self.world.now() + tunstack::core::time::Duration::from_secs(300);
        self.world.run_until_idle(limit);
        for (kind, id) in [(self.kinds.0, CLIENT), (self.kinds.1, SERVER)] {
            if kind == Kind::Ours {
                let stack = self.world.peer::<Host>(id).stack();
                assert_eq!(stack.slots(), 0, "slots of connections that are over");
                assert_eq!(stack.counters().tcp_curr_estab, 0);
            }
        }
    }
}
