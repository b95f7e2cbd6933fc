//! Short cuts at random: whatever two programs do, over a path that loses, repeats, delays, marks, forges and narrows, with devices
//! that cut and join or do not, each packet leaves when and as it would by the whole way, and both ends stand the same.

extern crate std;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::hash::{Hash, Hasher};
use std::collections::hash_map::DefaultHasher;

use bytes::Bytes;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use self::carry::{Letter, Packet, described, end_of};
use self::setting::{Path, one_in, pick, tcp};
use super::rfc1122::{a, icmp};
use super::*;
use crate::addr::Quad;
use crate::sockopt::{PathMtuDiscovery, SocketOptions};
use crate::tcp::short_cuts;
use crate::wire::checksum::Trust;
use crate::wire::icmp::Message;

mod carry;
mod setting;

/// Conversations, and how many more where the environment asks for some from a number on.
const SEEDS: u64 = 40;
const MORE: u64 = 2000;

/// In these, seen once among many, a paced segment leaves alone before others that leave joined.
const RARE: [u64; 2] = [363, 618];

/// Turns of a conversation at the most.
const TURNS: usize = 1_000;

/// So many turns are between two looks at how the ends stand.
const LOOK: usize = 20;

/// Octets of text of a full segment with timestamps, and of the packet that it is with each family.
const FULL: usize = 1448;
const MTU: [u16; 2] = [1500, 1520];

/// Octets before the numbers of some wrap.
const WRAP: u32 = 30_000;

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
    closes: Closes,
}

/// When a program gives its socket up.
#[derive(Clone, Copy)]
enum Closes {
    Never,
    /// Its peer and it have ended.
    Late,
    /// It has ended, whatever is still to come.
    Early,
}

struct World {
    rng: ChaCha8Rng,
    now: Instant,
    turn: usize,
    hosts: [Stack; 2],
    listener: SocketId,
    programs: [Program; 2],
    path: Path,
    /// They speak IPv6.
    six: bool,
    wire: BTreeMap<(Instant, usize), Letter>,
    /// What left, and how much was carried of that.
    packets: Vec<Packet>,
    carried: usize,
    /// How the ends stood, turn by turn.
    stood: Vec<(usize, u64)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let six = rng.random();
        let ends = [0, 1].map(|host| end_of(six, host));
        let mut hosts = ends.map(|end| {
            let addresses = vec![Prefix::new(end.address, if six { 64 } else { 24 })];
            let mtu = MTU[usize::from(six)];
            let mut config = Config { addresses, mtu, tcp: tcp(&mut rng), ..Config::default() };
            config.tcp.slow_start_pacing = seed % 4 != 1;
            config.offload.segmentation = pick(&mut rng, [0, 0, 65_535]);
            config.offload.checksum = config.offload.segmentation > 0 || rng.random();
            Stack::new(config, [end.port as u8; 32])
        });
        let mut now = Instant::from_secs(1);
        if rng.random_ratio(1, 2) {
            // The numbers of one end wrap on the way.
            let host = rng.random_range(0..2);
            let isn = hosts[host].keys.isn(&Quad { local: ends[host], remote: ends[1 - host] }, now);
            now += Duration::from_micros(4 * u64::from(0u32.wrapping_sub(WRAP).wrapping_sub(isn.get())));
        }
        let family = if six { Family::V6 } else { Family::V4 };
        let [client, listener] = [0, 1].map(|host| {
            let id = hosts[host].tcp_socket(family);
            hosts[host].bind(id, ends[host]).unwrap();
            id
        });
        hosts[1].listen(listener, 16).unwrap();
        assert_eq!(hosts[0].connect(client, ends[1], now), Err(Error::InProgress));
        let path = Path::any(six, &mut rng);
        let at_once = pick(&mut rng, [20, 200, 1_400, 5_000, 12 * FULL, 60_000]);
        let odd = rng.random_ratio(1, 3);
        // By the number, so that the same is drawn as where nobody closes.
        let closes = [
            [Closes::Never, Closes::Late, Closes::Late, Closes::Early][seed as usize % 4],
            [Closes::Late, Closes::Never, Closes::Late, Closes::Late, Closes::Early][seed as usize % 5],
        ];
        let ends = [(Some(client), 700_000, closes[0]), (None, 300_000, closes[1])];
        let programs = ends.map(|(end, most, closes)| Program {
            end,
            // A FIN goes with a full segment, too.
            left: rng.random_range(0..most / FULL) * FULL,
            at_once,
            reads: pick(&mut rng, [1, 1, 2, 40]),
            odd,
            shut: false,
            closes,
        });
        let (wire, packets, stood) = (BTreeMap::new(), Vec::new(), Vec::new());
        let (turn, carried) = (0, 0);
        Self { rng, now, turn, hosts, listener, programs, path, six, wire, packets, carried, stood }
    }

    fn act(&mut self, host: usize) {
        let (rng, now, program) = (&mut self.rng, self.now, &mut self.programs[host]);
        let (stack, Some(id)) = (&mut self.hosts[host], program.end) else { return };
        let mut over = false;
        if one_in(rng, program.reads) {
            let mut buf = [0; 8192];
            for _ in 0..rng.random_range(1..20) {
                let read = stack.try_read(id, &mut buf);
                if !matches!(read, Ok(1..)) {
                    over = read == Ok(0);
                    break;
                }
            }
        }
        let len = rng.random_range(1..=program.at_once).min(program.left);
        let len =
            if program.at_once == 12 * FULL { len.next_multiple_of(FULL).min(program.left) } else { len };
        if len > 0 && (program.at_once > 2000 || rng.random()) {
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
        let closes = match program.closes {
            Closes::Never => false,
            Closes::Late => program.shut && over,
            Closes::Early => program.shut,
        };
        if closes {
            stack.close(id, now).unwrap();
            program.end = None;
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
        if program.odd && one_in(rng, 30) {
            let quick = rng.random();
            _ = stack.set_quick_acks(id, quick, now);
        }
        if program.odd && one_in(rng, 10) {
            stack.hold_remainder(id);
        }
        if one_in(rng, 3) {
            stack.release_acks();
        }
    }

    /// How the ends stand.
    fn stand(&self) -> Vec<String> {
        let mut out = Vec::new();
        for stack in &self.hosts {
            out.push(format!("{:?}", stack.counters()));
            for (_, socket) in stack.slab.iter() {
                if let Kind::Connection(tcb) = &socket.kind {
                    out.push(format!("{tcb:?}"));
                }
            }
        }
        out
    }

    /// Gives false when nothing is to come any more.
    fn take_turn(&mut self) -> bool {
        let was_over = self.is_over();
        if self.programs[1].end.is_none() && !self.programs[1].shut {
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
        for host in &mut self.hosts {
            let times = [Duration::ZERO, Duration::from_micros(200), Duration::from_millis(1), delay];
            let held = one_in(&mut self.rng, 2).then(|| self.now + pick(&mut self.rng, times));
            host.hold_acks(held);
        }
        for _ in 0..self.rng.random_range(1..40) {
            let Some(packet) = self.wire.first_entry().filter(|w| w.key().0 <= self.now) else { break };
            let (to, packet, gso_size) = packet.remove();
            // One that was changed on the way has the checksum that it had.
            let inbound = Inbound { trust: Trust::Trusted, gso_size, ..Inbound::plain(&packet) };
            self.hosts[to].receive(self.now, inbound);
        }
        !(was_over && self.is_over())
    }

    /// Both have ended, and nothing is under way, but for what is said to the last that arrived.
    fn is_over(&self) -> bool {
        self.wire.is_empty() && self.programs.iter().all(|p| p.shut)
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
    for seed in more.map_or(0..SEEDS, |n: u64| n..n + MORE).chain(RARE) {
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
            let [a, b] = [&short, &whole].map(|world| described(&world.packets[at.saturating_sub(9)..=at]));
            panic!("packet {at}: {a:#?}, by the whole way {b:#?}");
        }
        assert_eq!(short.packets.len(), whole.packets.len());
        assert_eq!(short.stand(), whole.stand());
        assert_eq!(short.stood, whole.stood, "after so many packets");
    }
    assert!(taken > left / 6, "{taken} short cuts, {left} packets");
}
