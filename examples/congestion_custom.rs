//! Congestion control of one's own: an algorithm that a program brings along, chosen by its name and tried in the simulator
//! against those of the stack. Needs no rights. cargo run --example congestion_custom

use std::net::IpAddr;

use tunstack::core::addr::{Endpoint, Prefix};
use tunstack::core::config::Config;
use tunstack::core::tcp::congestion::{
    AckSample, Algorithm, CongestionControl, CongestionEvent, Custom, Start,
};
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::behaviour::Behaviour;
use tunstack::sim::client::Client;
use tunstack::sim::host::Host;
use tunstack::sim::link::LinkConfig;
use tunstack::sim::server::Server;
use tunstack::sim::world::World;
use tunstack::sysctl;

/// Gives way before a queue is full: a segment more in each round trip while round trips are as short as the shortest, and
/// less when they are longer by a quarter.
#[derive(Debug)]
struct Gentle {
    cwnd: u32,
    ssthresh: u32,
    mss: u32,
    shortest: Duration,
    /// No second step before what the last one concerned is acknowledged.
    next_step: Instant,
}

/// What gives it a name. In `Config::tcp.congestion_available` the sysctl finds it, and so does `TCP_CONGESTION`.
static GENTLE: Custom = Custom::new("gentle", |start: &Start| {
    Box::new(Gentle {
        cwnd: start.cwnd,
        ssthresh: start.ssthresh,
        mss: start.mss,
        shortest: Duration::MAX,
        next_step: Instant::ZERO,
    })
});

impl Gentle {
    fn give_way(&mut self, part: u32) {
        self.cwnd = (self.cwnd - self.cwnd / part).max(2 * self.mss);
        self.ssthresh = self.cwnd;
    }
}

impl CongestionControl for Gentle {
    fn cwnd(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_ack(&mut self, sample: &AckSample) {
        let Some(rtt) = sample.rtt else { return };
        self.shortest = self.shortest.min(rtt);
        let queued = rtt > self.shortest * 5 / 4;
        if sample.reducing || !sample.cwnd_limited {
            return;
        }
        if self.cwnd < self.ssthresh && !queued {
            self.cwnd = self.cwnd.saturating_add(sample.acked);
        } else if sample.now >= self.next_step {
            self.next_step = sample.now + rtt;
            if queued {
                self.give_way(8);
            } else {
                self.cwnd = self.cwnd.saturating_add(self.mss);
            }
        }
    }

    fn on_event(&mut self, event: CongestionEvent, _in_flight: u32, _now: Instant) {
        match event {
            CongestionEvent::Loss | CongestionEvent::Ecn => self.give_way(2),
            CongestionEvent::Timeout { .. } => {
                self.give_way(2);
                self.cwnd = self.mss;
            }
            CongestionEvent::MssChanged(mss) => self.mss = mss.max(1),
            _ => {}
        }
        self.cwnd = self.cwnd.max(self.mss);
    }

    fn set_mss(&mut self, mss: u32) {
        // The handshake: as many segments as before.
        self.cwnd = self.cwnd / self.mss.max(1) * mss.max(1);
        self.mss = mss.max(1);
    }
}

fn config(address: IpAddr, algorithm: &str) -> Result<Config, sysctl::SysctlError> {
    let mut config = Config { addresses: vec![Prefix::new(address.into(), 24)], ..Config::default() };
    config.tcp.receive_buffer = 8 << 20;
    config.tcp.send_buffer = 8 << 20;
    config.tcp.congestion_available.push(Algorithm::Custom(&GENTLE));
    sysctl::set(&mut config, "net.ipv4.tcp_congestion_control", algorithm)?;
    Ok(config)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const OCTETS: u64 = 32 << 20;
    let link: LinkConfig = "50mbit,20ms,queue=300p".parse()?;
    println!("32 MiB over 50 Mbit/s with 40 ms there and back, and a queue of 300 packets:\n");
    println!("{:10} {:>8} {:>10} {:>10} {:>14}", "algorithm", "seconds", "Mbit/s", "dropped", "round trip");
    for algorithm in ["reno", "cubic", "gentle"] {
        let (here, there): (IpAddr, IpAddr) = ("10.0.0.1".parse()?, "10.0.0.2".parse()?);
        let mut world = World::new(1);
        let (client, server) =
            (world.host("client", config(here, algorithm)?), world.host("server", config(there, algorithm)?));
        let remote = Endpoint::new(there.into(), 80);
        world.run(server, Server::new(remote, Behaviour::sink(OCTETS)));
        world.run(client, Client::new(remote, Behaviour::exchange(OCTETS, 0)));
        world.connect_both(client, server, link);
        // As the half of it is through, how long a round trip has become tells of the queue.
        world.run_until(Instant::from_secs(4));
        let stack = world.peer::<Host>(client).stack();
        let info = stack.sockets().find_map(|id| stack.tcp_info(id)).ok_or("the transfer is over already")?;
        assert_eq!(info.congestion, algorithm);
        let srtt = info.variables.srtt.unwrap_or_default();
        world.run_to_end(Instant::from_secs(600));

        let outcome = world.app::<Server>(server).outcomes().next().ok_or("no connection")?;
        let (Some(from), Some(to)) = (outcome.first_octet_at, outcome.last_octet_at) else {
            return Err("nothing arrived".into());
        };
        let seconds = to.saturating_since(from).as_secs_f64();
        let rate = OCTETS as f64 * 8.0 / seconds / 1e6;
        let lost = world.link(client).stats().queue_full;
        println!("{algorithm:10} {seconds:>8.2} {rate:>10.1} {lost:>10} {:>11} ms", srtt.as_millis());
    }
    Ok(())
}
