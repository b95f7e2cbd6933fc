//! Programs that do anything in any order, over a wire that loses, repeats, reorders and forges: nothing panics, the
//! books stay right, and when all have let go nothing is left.

extern crate std;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::config::TcpConfig;
use crate::wire::checksum::Trust;

const WIRE: Duration = Duration::from_millis(7);

struct World {
    rng: ChaCha8Rng,
    now: Instant,
    hosts: [Stack; 2],
    wire: Vec<(Instant, usize, Vec<u8>)>,
    /// What a program on each host holds.
    held: [Vec<SocketId>; 2],
    forging: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let tcp = TcpConfig {
            receive_buffer: [3_000, 20_000, 1 << 20][rng.random_range(0..3)],
            receive_buffer_max: [0, 100_000, 3 << 20][rng.random_range(0..3)],
            send_buffer: [3_000, 20_000, 1 << 20][rng.random_range(0..3)],
            send_buffer_max: [0, 100_000, 4 << 20][rng.random_range(0..3)],
            timestamps: rng.random(),
            sack: rng.random(),
            window_scaling: rng.random(),
            max_time_wait: [0, 1, 1000][rng.random_range(0..3)],
            max_orphans: [0, 2, 1000][rng.random_range(0..3)],
            ..TcpConfig::default()
        };
        let mut host = |n: u8| {
            let config = Config {
                addresses: vec![Prefix::new(v4(n), 24)],
                // Few ports, so that connections meet their own past.
                ephemeral_ports: (7000, 7005),
                tcp: tcp.clone(),
                mtu: [576, 1500][rng.random_range(0..2)],
                memory: [None, Some(crate::memory::LEAST)][rng.random_range(0..2)],
                ..Config::default()
            };
            Stack::new(config, [n; 32])
        };
        let mut hosts = [host(1), host(2)];
        let forging = rng.random();
        let mut held = [Vec::new(), Vec::new()];
        for (host, held) in hosts.iter_mut().zip(&mut held) {
            let id = host.tcp_socket(Family::V4);
            host.bind(id, Endpoint::new(Address::UNSPECIFIED_V4, 7004)).unwrap();
            host.listen(id, rng.random_range(0..3)).unwrap();
            held.push(id);
        }
        Self { rng, now: Instant::from_secs(5), hosts, wire: Vec::new(), held, forging }
    }

    fn pump(&mut self, faults: bool) -> Option<Instant> {
        let mut next = None;
        for i in 0..2 {
            let (rng, wire, now, forging) = (&mut self.rng, &mut self.wire, self.now, self.forging);
            let mut left = 20_000;
            let deadline = drive(
                &mut self.hosts[i],
                now,
                |d| {
                    left -= 1;
                    assert!(left > 0, "sends for ever");
                    let mut packet = vec![0; d.len()];
                    d.copy_to(&mut packet).unwrap();
                    if !faults {
                        wire.push((now + WIRE, 1 - i, packet));
                        return;
                    }
                    if rng.random_ratio(1, 12) {
                        return;
                    }
                    for _ in 0..if rng.random_ratio(1, 20) { 2 } else { 1 } {
                        let jitter = if rng.random_ratio(1, 10) { WIRE * 3 } else { Duration::ZERO };
                        wire.push((now + WIRE + jitter, 1 - i, packet.clone()));
                    }
                    if forging && rng.random_ratio(1, 20) {
                        let at = rng.random_range(20..packet.len().min(60));
                        packet[at] =
                            packet[at].wrapping_add([1, 255, 16, rng.random()][rng.random_range(0..4)]);
                        wire.push((now + WIRE, 1 - i, packet));
                    }
                },
                |_| {},
            );
            self.hosts[i].check_invariants();
            next = [next, deadline].into_iter().flatten().min();
        }
        [next, self.wire.iter().map(|w| w.0).min()].into_iter().flatten().min()
    }

    fn advance(&mut self, faults: bool, limit: Instant) -> bool {
        let Some(next) = self.pump(faults).filter(|&t| t <= limit) else {
            self.now = limit;
            return false;
        };
        self.now = self.now.max(next);
        let (now, mut due) = (self.now, Vec::new());
        self.wire.retain_mut(|w| {
            let arrived = w.0 <= now;
            if arrived {
                due.push((w.1, core::mem::take(&mut w.2)));
            }
            !arrived
        });
        for (to, packet) in due {
            // A forged packet has a right checksum.
            let inbound = Inbound { trust: Trust::Trusted, ..Inbound::plain(&packet) };
            self.hosts[to].receive(now, inbound);
            self.hosts[to].check_invariants();
        }
        true
    }

    /// Both open towards each other (RFC 9293 §3.5, Figure 8).
    fn open_both(&mut self) {
        for i in 0..2 {
            let id = self.hosts[i].tcp_socket(Family::V4);
            let _ = self.hosts[i].bind(id, Endpoint::new(v4(i as u8 + 1), 7006));
            let _ = self.hosts[i].connect(id, Endpoint::new(v4(2 - i as u8), 7006), self.now);
            self.held[i].push(id);
        }
        let _ = self.advance(true, self.now + WIRE);
    }

    fn act(&mut self) {
        if self.rng.random_ratio(1, 30) {
            return self.open_both();
        }
        let (i, now) = (self.rng.random_range(0..2), self.now);
        let host = &mut self.hosts[i];
        let any = |rng: &mut ChaCha8Rng, held: &[SocketId]| {
            (!held.is_empty()).then(|| held[rng.random_range(0..held.len())])
        };
        let Some(id) = any(&mut self.rng, &self.held[i]).filter(|_| self.rng.random_ratio(9, 10)) else {
            if self.held[i].len() < 8 {
                let id = host.tcp_socket(Family::V4);
                let mut options = host.options(id).unwrap();
                options.reuse_address = true;
                host.set_options(id, options, now).unwrap();
                self.held[i].push(id);
            }
            return;
        };
        let n = self.rng.random_range(0..30_000);
        match self.rng.random_range(0..40) {
            0 => {
                let local = Endpoint::new(Address::UNSPECIFIED_V4, self.rng.random_range(7000..7004));
                let _ = host.bind(id, local);
            }
            1..3 => {
                let _ = host.listen(id, self.rng.random_range(0..4));
            }
            3..6 => {
                let port = self.rng.random_range(7000..7005);
                let port = if self.rng.random_ratio(1, 3) { port } else { 7004 };
                let _ = host.connect(id, Endpoint::new(v4(2 - i as u8), port), now);
            }
            6..9 => {
                if let Ok(new) = host.try_accept(id) {
                    self.held[i].push(new);
                }
            }
            9..11 | 22..31 => drop(host.try_write(id, &vec![1; n], now)),
            11..15 | 31..39 => drop(host.try_read(id, &mut vec![0; n])),
            15 => {
                let how = [Shutdown::Read, Shutdown::Write, Shutdown::Both][self.rng.random_range(0..3)];
                let _ = host.shutdown(id, how, now);
            }
            16 => drop(host.abort(id, now)),
            17 => {
                let mut options = host.options(id).unwrap();
                options.cork = self.rng.random();
                options.nodelay = self.rng.random();
                options.keepalive = self.rng.random();
                options.keepalive_time = Duration::from_secs(self.rng.random_range(0..10));
                options.receive_buffer = self.rng.random_range(1..1 << 21);
                options.user_timeout =
                    self.rng.random::<bool>().then(|| Duration::from_secs(n as u64 / 1000));
                options.linger = self.rng.random::<bool>().then_some(Duration::ZERO);
                let _ = host.set_options(id, options, now);
            }
            18 => drop(host.try_write_urgent(id, &[1; 10], now)),
            19 => drop(host.take_error(id)),
            20..22 if matches!(host.state(id), Some(State::Listen)) && self.rng.random_ratio(4, 5) => {}
            _ => {
                host.close(id, now).unwrap();
                self.held[i].retain(|&h| h != id);
            }
        }
        self.hosts[i].check_invariants();
    }
}

fn run(seed: u64) {
    let mut w = World::new(seed);
    for _ in 0..300 {
        w.act();
        let until = w.now + Duration::from_millis([0, 1, 20, 500, 5000][w.rng.random_range(0..5)]);
        for step in 0.. {
            assert!(step < 100_000, "does not come to rest");
            if !w.advance(true, until) {
                break;
            }
        }
    }
    for i in 0..2 {
        let now = w.now;
        for id in core::mem::take(&mut w.held[i]) {
            w.hosts[i].close(id, now).unwrap();
        }
    }
    let end = w.now + Duration::from_secs(6 * 3600);
    for step in 0.. {
        assert!(step < 300_000, "never ends");
        if !w.advance(false, end) {
            break;
        }
    }
    for host in &w.hosts {
        assert_eq!(host.slots(), 0, "left over: {:?}", host.slab.iter().next());
        assert_eq!((host.orphans, host.time_waits.len(), host.table.len()), (0, 0, 0));
        assert_eq!(host.wheel.next(), None);
        assert_eq!(host.counters.tcp_curr_estab, 0);
    }
}

#[test]
fn whatever_programs_and_wires_do() {
    let seeds = std::env::var("CHAOS_SEEDS").map_or(0..60, |n| n.parse().map_or(0..60, |n: u64| n..n + 2000));
    for seed in seeds {
        // Shown when it fails.
        std::println!("seed {seed}");
        run(seed);
    }
}
