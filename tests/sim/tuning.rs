//! Buffers of ordinary size on a path that holds much more, and readers that do not read.

use tunstack::core::addr::Endpoint;
use tunstack::core::config::Config;
use tunstack::core::stack::{Event, SocketId, Stack};
use tunstack::core::tcp::info::TcpInfo;
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::app::App;
use tunstack::sim::bulk::{Drain, Source};
use tunstack::sim::host::Host;
use tunstack::sim::link::LinkConfig;
use tunstack::sim::world::World;

use crate::pair::{CLIENT, PORT, SERVER, V4, config, secs};

fn remote() -> Endpoint {
    Endpoint::new(V4.1.parse::<std::net::IpAddr>().expect("an address").into(), PORT)
}

/// A source and whoever reads, with these settings at both ends.
fn world(link: &str, reader: impl App, change: impl Fn(&mut Config)) -> World {
    let mut world = World::new(1);
    for (name, address) in [("client", V4.0), ("server", V4.1)] {
        let mut config = Config { trace: false, ..config(address) };
        linux(&mut config);
        change(&mut config);
        world.host(name, config);
    }
    world.run(CLIENT, Source::new(remote(), Instant::ZERO, u64::MAX));
    world.run(SERVER, reader);
    let link: LinkConfig = link.parse().expect("a link");
    world.connect_both(CLIENT, SERVER, link);
    world.keep_octets(0);
    world
}

/// As Linux ships.
fn linux(config: &mut Config) {
    (config.tcp.send_buffer, config.tcp.send_buffer_max) = (16 << 10, 4 << 20);
    (config.tcp.receive_buffer, config.tcp.receive_buffer_max) = (64 << 10, 3 << 20);
}

/// The part of 100 Mbit/s that is used from the fifth second to the tenth.
fn utilisation(link: &str, change: impl Fn(&mut Config)) -> f64 {
    let mut world = world(link, Drain::new(remote()), change);
    let received = |world: &World| world.app::<Drain>(SERVER).connections()[0].octets;
    world.run_until(secs(5));
    let before = received(&world);
    world.run_until(secs(10));
    // 52 of 1500 octets are headers.
    (received(&world) - before) as f64 * 8.0 * 1500.0 / 1448.0 / 5.0 / 100e6
}

#[test]
fn a_long_path_is_filled_by_buffers_that_tune_themselves() {
    for link in ["100mbit,50ms", "100mbit,100ms"] {
        let tuned = utilisation(link, |_| {});
        assert!(tuned >= 0.9, "{link}: {tuned}");
        let receiver_fixed = utilisation(link, |config| config.tcp.moderate_receive_buffer = false);
        assert!(receiver_fixed < 0.5, "{link}: {receiver_fixed}");
        let sender_fixed = utilisation(link, |config| config.tcp.send_buffer_max = 0);
        assert!(sender_fixed < 0.5, "{link}: {sender_fixed}");
    }
}

/// Accepts one connection and reads of it so many octets, so often.
struct SlowReader {
    octets: usize,
    every: Duration,
    listener: Option<SocketId>,
    connection: Option<SocketId>,
    next: Instant,
    largest: usize,
}

impl SlowReader {
    fn new(octets: usize, every: Duration) -> Self {
        Self { octets, every, listener: None, connection: None, next: secs(0), largest: 0 }
    }

    fn info(&self, stack: &Stack) -> Option<TcpInfo> {
        stack.tcp_info(self.connection?)
    }
}

impl App for SlowReader {
    fn poll(&mut self, stack: &mut Stack, now: Instant, _: &[Event]) -> bool {
        let Some(listener) = self.listener else {
            let id = stack.tcp_socket(remote().address.family());
            stack.bind(id, remote()).expect("it is free");
            stack.listen(id, 1).expect("it is bound");
            self.listener = Some(id);
            return true;
        };
        let Some(id) = self.connection else {
            self.connection = stack.try_accept(listener).ok();
            return self.connection.is_some();
        };
        self.largest = self.largest.max(stack.tcp_info(id).map_or(0, |info| info.memory));
        if now < self.next || self.octets == 0 {
            return false;
        }
        self.next = now + self.every;
        stack.try_read(id, &mut vec![0; self.octets]).is_ok()
    }

    fn done(&self) -> bool {
        false
    }

    fn next_wake(&self) -> Option<Instant> {
        (self.octets > 0 && self.connection.is_some()).then_some(self.next)
    }

    fn describe(&self) -> String {
        format!("a slow reader: {:?}", self.connection)
    }
}

/// What a reader holds up is bounded: by the first size where it never reads, by the limit where it reads now and then.
/// Memory is at most twice the octets, one packet and one chunk being filled.
#[test]
fn a_slow_reader_holds_up_no_more_than_the_limit() {
    let (least, limit) = (64 << 10, 256 << 10);
    let overhead = (64 << 10) + (16 << 10) + (8 << 10);
    for (octets, millis, most) in [(0, 0, least), (1 << 20, 2000, limit), (3000, 10, limit)] {
        let reader = SlowReader::new(octets, Duration::from_millis(millis));
        let mut world = world("100mbit,20ms,0.1%", reader, |config| {
            config.tcp.receive_buffer_max = limit as u32;
        });
        world.run_until(secs(60));
        let app = world.app::<SlowReader>(SERVER);
        let info = app.info(world.peer::<Host>(SERVER).stack()).expect("it stands");
        assert!(info.receive_queue + info.out_of_order <= most, "{info:?}");
        assert!(app.largest <= 2 * most + overhead, "{}: {info:?}", app.largest);
        assert!(info.receive_queue > most / 2, "the source fills it");
    }
}
