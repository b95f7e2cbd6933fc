//! The congestion grid: one flow over every combination of rate, round trip, loss and queue, for each algorithm.
//!
//! How it fares stands in `tests/sim/congestion-grid.txt`. All of it takes minutes:
//!
//! ```text
//! UPDATE=1 cargo test --release --test sim -- congestion_grid      writes the table anew
//! FULL=1 cargo test --release --test sim -- congestion_grid        compares all of it
//! ```
//!
//! Without either a sample of the cells is run and compared to the last digit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant as Clock;

use tunstack::core::config::Config;
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::bottleneck::{Bottleneck, SENDERS, bandwidth_delay_product, set_algorithm};
use tunstack::sim::link::LinkConfig;

const TABLE: &str = "tests/sim/congestion-grid.txt";

pub(crate) const RATES: [u64; 4] = [1_000_000, 100_000_000, 1_000_000_000, 10_000_000_000];
pub(crate) const ROUND_TRIPS_MS: [u64; 4] = [1, 20, 100, 300];
/// Of ten thousand packets each way.
const LOSSES: [u64; 5] = [0, 1, 10, 100, 300];
/// Tenths of the bandwidth-delay product.
const QUEUES: [u64; 3] = [1, 10, 40];
const ALGORITHMS: [&str; 3] = ["reno", "cubic", "bbr"];

/// A cell ends when so many packets have been sent, or if that is more, so many times what fills the path: slow start, with
/// the repair of what it loses, is over in the first half …
const PACKETS: u64 = 20_000;
const ROUND_TRIPS: u64 = 10;
/// … or after this time: losses keep the window small.
const TIME: Duration = Duration::from_secs(300);
/// Packets are as small as lets no more of them fill the path.
const MTUS: [u16; 3] = [1500, 9000, 65_535];
const FILL: u64 = 4_500;

/// The sample is every cell of this many, of those that have no more packets than the least.
const SAMPLE: usize = 29;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Cell {
    algorithm: &'static str,
    rate: u64,
    round_trip_ms: u64,
    loss: u64,
    queue: u64,
}

impl Cell {
    fn all() -> Vec<Self> {
        let known = |name: &&&str| set_algorithm(&mut Config::default(), name).is_ok();
        let mut cells = Vec::new();
        for algorithm in ALGORITHMS.iter().filter(known) {
            for rate in RATES {
                for round_trip_ms in ROUND_TRIPS_MS {
                    for queue in QUEUES {
                        cells.extend(LOSSES.map(|loss| Self { algorithm, rate, round_trip_ms, loss, queue }));
                    }
                }
            }
        }
        cells
    }

    const fn round_trip(self) -> Duration {
        Duration::from_millis(self.round_trip_ms)
    }

    fn product(self) -> u64 {
        bandwidth_delay_product(self.rate, self.round_trip())
    }

    fn mtu(self) -> u16 {
        mtu_for(self.product())
    }

    fn packets(self) -> u64 {
        PACKETS.max(ROUND_TRIPS * self.product() / u64::from(self.mtu()))
    }

    fn name(self) -> String {
        let rate = match self.rate {
            r if r >= 1_000_000_000 => format!("{} Gbit/s", r / 1_000_000_000),
            r => format!("{} Mbit/s", r / 1_000_000),
        };
        let (loss, queue) = (self.loss as f64 / 100.0, self.queue as f64 / 10.0);
        format!(
            "{:<5} {rate:>10} {:>3} ms {queue:>4} BDP {loss:>5} % {:>6}",
            self.algorithm,
            self.round_trip_ms,
            self.mtu()
        )
    }

    /// One row of the table.
    fn run(self, seed: u64) -> String {
        let mtu = u64::from(self.mtu());
        let link = LinkConfig::PERFECT
            .with_rate(self.rate)
            .with_delay(self.round_trip() / 2)
            .with_loss(self.loss as f64 / 10_000.0)
            // Two packets wait in any queue.
            .with_queue_bytes((self.product() * self.queue / 10).max(2 * mtu));
        let setup = Bottleneck { mtu: self.mtu(), seed, ..Bottleneck::new(self.algorithm, link) };
        let mut race = setup.build().expect("the algorithm is known");
        let packets = self.packets();
        let sent = |world: &tunstack::sim::world::World| world.link(SENDERS).stats().offered;
        race.world.until(Instant::ZERO + TIME / 2, |world| sent(world) >= packets / 2);
        let (half, by_half) = (race.world.now(), race.received());
        race.world.until(Instant::ZERO + TIME, |world| sent(world) >= packets);
        race.check().unwrap_or_else(|e| panic!("{}: {e}", self.name()));
        let (end, arrived) = (race.world.now(), race.received());
        // Headers count: 52 octets of IPv4, TCP and timestamps.
        let used = |octets: u64, time: Duration| {
            let most = self.rate as f64 * time.as_secs_f64() / 8.0 * (mtu - 52) as f64 / mtu as f64;
            100.0 * octets as f64 / most.max(1.0)
        };
        let stats = race.world.link(SENDERS).stats();
        let waited = stats.waited.as_secs_f64() * 1e3 / (stats.offered - stats.queue_full).max(1) as f64;
        let counters = race.counters(0);
        format!(
            "{} {:>9} {:>7.2} {:>7.2} {:>7} {:>5} {:>9.3}",
            self.name(),
            stats.offered,
            used(arrived, end.saturating_since(Instant::ZERO)),
            used(arrived - by_half, end.saturating_since(half)),
            counters.tcp_retrans_segs,
            counters.tcp_timeouts,
            waited,
        )
    }
}

/// The packets that are used where so many octets fill the path.
pub(crate) fn mtu_for(product: u64) -> u16 {
    let fits = |mtu: &&u16| product / u64::from(**mtu) <= FILL;
    *MTUS.iter().find(fits).unwrap_or(&MTUS[MTUS.len() - 1])
}

/// What `f` makes of each, on all processors.
pub(crate) fn each<T: Sync, R: Send>(all: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = all.get(n) else { return };
                    let result = f(one);
                    done.lock().expect("no panic inside").insert(n, result);
                }
            });
        }
    });
    done.into_inner().expect("no panic inside").into_values().collect()
}

/// What stands above the rows.
fn heading() -> String {
    format!(
        "One flow of each algorithm over every combination of rate, round trip, queue and loss (each way), until\n\
         {PACKETS} packets have been sent (ten times what fills the path where that is more), for {} s at the most.\n\
         Packets are of 1500, 9000 or 65535 octets: the smallest of which {FILL} fill the path. A queue holds two packets\n\
         at the least; no window is over 1 GiB. used: of the link, by what the receiving program has had, headers counted, in %;\n\
         late: the same in the second half of the run. A gap holds back what has arrived behind it: a repair that ends there is\n\
         more than the link carries (over 100 %), and one that is under way at the end shows as little.\n\
         again: segments sent again; RTOs: timeouts; queue: the mean time in it, ms.\n\n\
         algorithm   rate    trip    queue    loss    MTU   packets    used    late   again  RTOs     queue\n",
        TIME.as_secs()
    )
}

/// Runs the cells on all processors. The seed of each is its place in the grid.
fn run(cells: &[(usize, Cell)]) -> BTreeMap<usize, String> {
    let begun = Clock::now();
    let rows = each(cells, |&(place, cell)| {
        let started = Clock::now();
        let row = cell.run(place as u64 + 1);
        if std::env::var_os("TIMES").is_some() {
            say(format_args!("{row}   {:?}", started.elapsed()));
        }
        (place, row)
    });
    say(format_args!("congestion grid: {} cells in {:?}", cells.len(), begun.elapsed()));
    rows.into_iter().collect()
}

/// Past libtest, which keeps what a test prints to itself: minutes of silence look like a hang.
fn say(what: std::fmt::Arguments<'_>) {
    // Whether anybody hears it does not matter to the test.
    let _ = writeln!(std::io::stderr().lock(), "{what}");
}

#[test]
fn congestion_grid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    let all: Vec<_> = Cell::all().into_iter().enumerate().collect();
    assert_eq!(all.len(), 720);
    if std::env::var_os("UPDATE").is_some() {
        let rows = run(&all);
        let table = rows.values().fold(heading(), |table, row| table + row + "\n");
        return std::fs::write(&path, table).expect("the table can be written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let (mut differences, mut rows) = (String::new(), known.lines().skip(heading().lines().count()));
    if !known.starts_with(&heading()) || rows.by_ref().count() != all.len() {
        differences += "\nnot the heading, or not as many rows";
    }
    let full = std::env::var_os("FULL").is_some();
    let chosen = |(place, cell): &&(usize, Cell)| full || (place % SAMPLE == 0 && cell.packets() == PACKETS);
    let cells: Vec<_> = all.iter().filter(chosen).copied().collect();
    for (place, row) in run(&cells) {
        let old = known.lines().nth(heading().lines().count() + place).unwrap_or_default();
        if old != row {
            let _ = write!(differences, "\n- {old}\n+ {row}");
        }
    }
    assert!(
        differences.is_empty(),
        "the rows are not those of {TABLE}; if that is meant, run with UPDATE=1 and --release{differences}"
    );
}
