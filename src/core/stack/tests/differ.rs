//! Short cuts at random: whatever two programs do, over a path that loses, repeats, delays, marks, forges and narrows, each packet
//! leaves when and as it would by the whole way, and both ends stand the same.

extern crate std;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::hash::{Hash, Hasher};
use std::collections::hash_map::DefaultHasher;

use bytes::Bytes;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use self::setting::{Path, one_in, pick, tcp};
use super::rfc1122::icmp;
use super::*;
use crate::addr::Quad;
use crate::sockopt::{PathMtuDiscovery, SocketOptions};
use crate::tcp::short_cuts;
use crate::wire::checksum::Trust;
use crate::wire::icmp::Message;

mod setting;

/// Conversations, and how many more where the environment asks for some from a number on.
const SEEDS: u64 = 40;
const MORE: u64 = 2000;

/// Turns of a conversation at the most.
const TURNS: usize = 1_000;

/// So many turns are between two looks at how the ends stand.
const LOOK: usize = 20;

/// Octets of text of a full segment with timestamps.
const FULL: usize = 1448;

/// Octets before the numbers of some wrap.
const WRAP: u32 = 30_000;

const CLIENT: Endpoint = Endpoint::new(Address::from_v4_octets([10, 7, 0, 1]), 7000);
const SERVER: Endpoint = Endpoint::new(Address::from_v4_octets([10, 7, 0, 2]), 80);

/// A packet that left: when, from which end.
type Packet = (Instant, usize, Vec<u8>);

/// What a program is like.
struct Program {
    end: Option<SocketId>,
    /// Octets that it has still to write, and how many at once.
    left: usize,
    at_once: usize,
    /// It reads one time in so many.
    reads: u32,
    /// It does what few do.
    odd: bool,
    shut: bool,
}

struct World {
    rng: ChaCha8Rng,
    now: Instant,
    turn: usize,
    hosts: [Stack; 2],
    listener: SocketId,
    programs: [Program; 2],
    path: Path,
    wire: BTreeMap<(Instant, usize), (usize, Vec<u8>)>,
    packets: Vec<Packet>,
    /// How the ends stood, turn by turn.
    stood: Vec<(usize, u64)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut hosts = [1, 2].map(|n| {
            let mut config =
                Config { addresses: vec![Prefix::new(v4(n), 24)], tcp: tcp(&mut rng), ..Config::default() };
            config.offload.checksum = rng.random();
            if config.offload.checksum && rng.random_ratio(1, 4) {
                config.offload.segmentation = 20_000;
            }
            Stack::new(config, [n; 32])
        });
        let mut now = Instant::from_secs(1);
        if rng.random_ratio(1, 2) {
            // The numbers of one end wrap on the way.
            let (host, local, remote) = pick(&mut rng, [(0, CLIENT, SERVER), (1, SERVER, CLIENT)]);
            let isn = hosts[host].keys.isn(&Quad { local, remote }, now);
            now += Duration::from_micros(4 * u64::from(0u32.wrapping_sub(WRAP).wrapping_sub(isn.get())));
        }
        let listener = hosts[1].tcp_socket(Family::V4);
        hosts[1].bind(listener, SERVER).unwrap();
        hosts[1].listen(listener, 16).unwrap();
        let client = hosts[0].tcp_socket(Family::V4);
        hosts[0].bind(client, CLIENT).unwrap();
        assert_eq!(hosts[0].connect(client, SERVER, now), Err(Error::InProgress));
        let path = Path::any(&mut rng);
        let at_once = pick(&mut rng, [200, 12 * FULL, 12 * FULL, 60_000, 60_000]);
        let odd = rng.random_ratio(1, 3);
        let programs = [(Some(client), 700_000), (None, 300_000)].map(|(end, most)| Program {
            end,
            // A FIN goes with a full segment, too.
            left: rng.random_range(0..most / FULL) * FULL,
            at_once,
            reads: pick(&mut rng, [1, 1, 2, 40]),
            odd,
            shut: false,
        });
        let (wire, packets, stood) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { rng, now, turn: 0, hosts, listener, programs, path, wire, packets, stood }
    }

    fn act(&mut self, host: usize) {
        let (rng, now, program) = (&mut self.rng, self.now, &mut self.programs[host]);
        let (stack, Some(id)) = (&mut self.hosts[host], program.end) else { return };
        if one_in(rng, program.reads) {
            let mut buf = [0; 8192];
            for _ in 0..rng.random_range(1..20) {
                if !matches!(stack.try_read(id, &mut buf), Ok(1..)) {
                    break;
                }
            }
        }
        let len = rng.random_range(1..=program.at_once).min(program.left);
        let len =
            if program.at_once == 12 * FULL { len.next_multiple_of(FULL).min(program.left) } else { len };
        if len > 0 && (program.at_once > 200 || rng.random()) {
            let text = pattern(len);
            let written = match rng.random_range(0..if program.odd { 12 } else { 4 }) {
                0 => stack.try_write_bytes(id, &mut Bytes::from(text), now),
                4 => stack.try_write_more(id, &text, true, now),
                5 => stack.try_write_urgent(id, &text, now),
                6 => text.chunks(100).try_fold(0, |sum, piece| {
                    let n = stack.try_write_bytes(id, &mut Bytes::copy_from_slice(piece), now);
                    n.map(|n| sum + n)
                }),
                _ => stack.try_write(id, &text, now),
            };
            program.left = program.left.saturating_sub(written.unwrap_or(0));
            if program.odd && one_in(rng, 20) {
                _ = stack.end_record(id);
            }
        }
        if program.left == 0 && !program.shut && one_in(rng, 3) {
            program.shut = stack.shutdown(id, Shutdown::Write, now).is_ok();
        }
        if one_in(rng, 60)
            && let Ok(before) = stack.options(id)
        {
            let mut options = SocketOptions {
                nodelay: rng.random(),
                cork: one_in(rng, 6),
                keepalive: rng.random(),
                keepalive_time: Duration::from_secs(rng.random_range(1..9)),
                ..before
            };
            if program.odd {
                options.receive_buffer = rng.random_range(2_000..200_000);
                options.unsent_low_water = pick(rng, [u32::MAX, 10_000]);
                options.max_pacing_rate = pick(rng, [u64::MAX, u64::MAX, 1_000_000]);
                options.path_mtu_discovery = pick(rng, [PathMtuDiscovery::Want, PathMtuDiscovery::Dont]);
                options.set_user_timeout(pick(rng, [None, Some(Duration::from_secs(40))]));
            }
            _ = stack.set_options(id, options, now);
        }
        if program.odd && one_in(rng, 10) {
            stack.hold_remainder(id);
        }
    }

    /// Something left `host`.
    fn carry(&mut self, host: usize, mut packet: Vec<u8>) {
        let (rng, path, now) = (&mut self.rng, &self.path, self.now);
        self.packets.push((now, host, packet.clone()));
        let (n, short) = (self.packets.len(), packet.len() < 60);
        if one_in(rng, path.loses) || short && one_in(rng, path.loses_short) {
            return;
        }
        let narrow = path.narrows.filter(|&(from, mtu)| self.turn >= from && packet.len() > mtu);
        if let Some((_, mtu)) = narrow.filter(|_| packet[6] & 0x40 != 0) {
            let message = Message::FragmentationNeeded { mtu: mtu as u32, quoted: &packet[..28] };
            let complaint = icmp("10.7.0.9", ["10.7.0.1", "10.7.0.2"][host], &message);
            self.wire.insert((now + path.delay, 2 * n), (host, complaint));
            return;
        }
        if packet[1] & 3 != 0 && one_in(rng, path.marks) {
            packet[1] |= 3;
        }
        if one_in(rng, path.forges) {
            // Its number, acknowledgment, flags, window or clock.
            let at = rng.random_range(24..packet.len().min(52));
            packet[at] = packet[at].wrapping_add(pick(rng, [1, 255, 16]));
        }
        let late = if one_in(rng, path.delays) { path.delay * 2 } else { Duration::ZERO };
        let at = now + path.delay + late;
        if one_in(rng, path.repeats) {
            self.wire.insert((at, 2 * n + 1), (1 - host, packet.clone()));
        }
        self.wire.insert((at, 2 * n), (1 - host, packet));
    }

    /// Gives when there is something to do again.
    fn drive(&mut self, host: usize) -> Option<Instant> {
        self.hosts[host].handle_timeout(self.now);
        for _ in 0..self.rng.random_range(1..200) {
            let Some(datagram) = self.hosts[host].poll_transmit(self.now) else { break };
            for packet in segmentation::cut(&datagram) {
                self.carry(host, packet);
            }
        }
        while self.hosts[host].poll_event().is_some() {}
        self.hosts[host].poll_timeout()
    }

    /// How the ends stand.
    fn stand(&self) -> Vec<String> {
        let mut out = Vec::new();
        for (stack, program) in self.hosts.iter().zip(&self.programs) {
            out.push(format!("{:?}", stack.counters()));
            if let Some(Socket { kind: Kind::Connection(tcb), .. }) =
                program.end.and_then(|id| stack.slab.get(id))
            {
                out.push(format!("{tcb:?}"));
            }
        }
        out
    }

    /// Gives false when nothing is to come any more.
    fn take_turn(&mut self) -> bool {
        if self.programs[1].end.is_none() {
            self.programs[1].end = self.hosts[1].try_accept(self.listener).ok();
        }
        (0..2).for_each(|host| self.act(host));
        let next = [self.drive(0), self.drive(1)].into_iter().flatten().min();
        self.turn += 1;
        if self.turn.is_multiple_of(LOOK) {
            let mut hasher = DefaultHasher::new();
            self.stand().hash(&mut hasher);
            self.stood.push((self.packets.len(), hasher.finish()));
        }
        let first = self.wire.first_key_value().map(|(&(at, _), _)| at);
        let Some(next) = [next, first].into_iter().flatten().min() else { return false };
        let delay = self.path.delay;
        let tick = pick(
            &mut self.rng,
            [Duration::ZERO, Duration::from_micros(1), Duration::from_micros(20), delay / 7],
        );
        self.now = self.now.max(next) + tick;
        for _ in 0..self.rng.random_range(1..40) {
            let Some(packet) = self.wire.first_entry().filter(|w| w.key().0 <= self.now) else { break };
            let (to, packet) = packet.remove();
            // One that was changed on the way has the checksum that it had.
            let inbound = Inbound { trust: Trust::Trusted, ..Inbound::plain(&packet) };
            self.hosts[to].receive(self.now, inbound);
        }
        !(self.wire.is_empty() && self.programs.iter().all(|p| p.shut))
    }

    fn run(seed: u64) -> Self {
        let mut world = Self::new(seed);
        while world.turn < TURNS && world.take_turn() {}
        world
    }
}

#[test]
fn no_short_cut_leads_elsewhere() {
    let more = std::env::var("DIFFER_SEEDS").ok().and_then(|n| n.parse().ok());
    let (mut left, mut taken) = (0, 0);
    for seed in more.map_or(0..SEEDS, |n: u64| n..n + MORE) {
        // Shown when it fails.
        std::println!("seed {seed}");
        let before = short_cuts::count();
        let short = World::run(seed);
        taken += short_cuts::count() - before;
        left += short.packets.len();
        short_cuts::close(true);
        let whole = World::run(seed);
        short_cuts::close(false);
        let differs = short.packets.iter().zip(&whole.packets).position(|(a, b)| a != b);
        if let Some(at) = differs {
            panic!("packet {at}: {:?}, by the whole way {:?}", short.packets[at], whole.packets[at]);
        }
        assert_eq!(short.packets.len(), whole.packets.len());
        assert_eq!(short.stand(), whole.stand());
        assert_eq!(short.stood, whole.stood, "after so many packets");
    }
    assert!(taken > left / 6, "{taken} short cuts, {left} packets");
}
