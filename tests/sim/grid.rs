//! The fault grid: 1 MiB each way over every combination of loss, delay, reordering, duplication and
//! corruption, 21 seeds for each. All of it arrives, whole and in order, and every connection ends in order.
//!
//! The virtual times that this takes stand in `tests/sim/grid.txt`. A change of the stack that moves them is
//! seen there: `UPDATE=1 cargo test --test sim grid` writes the table anew. `GRID_SEED=664 cargo test --test sim grid`
//! runs the one world with that seed, and leaves its capture with the reasons of all packets in `target/failed-worlds`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tunstack::core::addr::Endpoint;
use tunstack::core::config::Config;
use tunstack::core::counters::Counters;
use tunstack::core::time::{Duration, Instant};
use tunstack::sim::behaviour::Behaviour;
use tunstack::sim::client::Client;
use tunstack::sim::host::Host;
use tunstack::sim::link::LinkConfig;
use tunstack::sim::server::Server;
use tunstack::sim::world::World;

use crate::pair::{CLIENT, PORT, SERVER, V4, config};

/// Octets each way.
const LOAD: u64 = 1 << 20;
/// Worlds a cell. 96 cells make 2,016 of them.
const SEEDS: u64 = 21;
/// Every so many worlds one is run a second time, with its captures compared.
const TWICE: u64 = 10;
const TABLE: &str = "tests/sim/grid.txt";

const DELAYS: [u64; 3] = [1, 50, 300];
const LOSSES: [u32; 4] = [0, 1, 5, 20];

/// One combination of faults, the same in both directions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Cell {
    delay_ms: u64,
    loss_percent: u32,
    corrupt: bool,
    duplicate: bool,
    reorder: bool,
}

impl Cell {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for delay_ms in DELAYS {
            for loss_percent in LOSSES {
                for bits in 0..8 {
                    let [reorder, duplicate, corrupt] = [1, 2, 4].map(|bit| bits & bit != 0);
                    all.push(Self { delay_ms, loss_percent, corrupt, duplicate, reorder });
                }
            }
        }
        all
    }

    fn link(self) -> LinkConfig {
        let some = |on, probability| if on { probability } else { 0.0 };
        LinkConfig {
            delay: Duration::from_millis(self.delay_ms),
            loss: f64::from(self.loss_percent) / 100.0,
            reorder: some(self.reorder, 0.05),
            // Far enough for more than three later packets to overtake it.
            reorder_delay: Duration::from_millis(1 + self.delay_ms / 4),
            duplicate: some(self.duplicate, 0.05),
            corrupt: some(self.corrupt, 0.01),
            ..LinkConfig::PERFECT.with_rate(100_000_000)
        }
    }

    /// The kinds of fault beside loss, in a letter each.
    fn column(self) -> String {
        let letters = [(self.reorder, 'R'), (self.duplicate, 'D'), (self.corrupt, 'C')];
        let name: String = letters.iter().filter(|(on, _)| *on).map(|(_, c)| c).collect();
        if name.is_empty() { "-".to_owned() } else { name }
    }

    fn name(self) -> String {
        format!("grid-{}ms-{}pct-{}", self.delay_ms, self.loss_percent, self.column())
    }
}

/// What one world shows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    took: Duration,
    trace_hash: u64,
    /// Of both hosts.
    retransmitted: u64,
    checksum_errors: u64,
    dsacks: u64,
    out_of_order: u64,
    /// Of both links.
    corrupted: u64,
    duplicated: u64,
    reordered: u64,
    lost: u64,
}

fn host_config(address: &str, trace: bool) -> Config {
    let mut config = Config { trace, ..config(address) };
    // At 20 % loss it happens that the last FIN has to be sent again for minutes: with TIME-WAIT over, a reset
    // would answer. So TIME-WAIT lasts as long as the other side may try (R2).
    config.tcp.msl = config.tcp.r2 / 2;
    config
}

/// Runs one world to its end and past TIME-WAIT, and judges it.
fn run(cell: Cell, seed: u64, trace: bool) -> (World, Shown) {
    let mut world = World::named(cell.name(), seed);
    world.host("client", host_config(V4.0, trace));
    world.host("server", host_config(V4.1, trace));
    world.connect_both(CLIENT, SERVER, cell.link());
    let remote = Endpoint::new(V4.1.parse::<std::net::IpAddr>().expect("an address").into(), PORT);
    world.run(CLIENT, Client::new(remote, Behaviour::exchange(LOAD, LOAD)));
    world.run(SERVER, Server::new(remote, Behaviour::exchange(LOAD, LOAD).zero_copy()));
    world.run_to_end(Instant::from_secs(4 * 3600));
    let took = world.now().saturating_since(Instant::ZERO);
    let c = world.app::<Client>(CLIENT).outcomes().next().expect("a connection");
    let s = world.app::<Server>(SERVER).outcomes().next().expect("a connection");
    assert!(c.is_complete(LOAD, LOAD), "client: {c:?}");
    assert!(s.is_complete(LOAD, LOAD), "server: {s:?}");

    // The last FIN, its acknowledgment, and twice the MSL.
    let limit = world.now() + Duration::from_secs(3600);
    world.run_until_idle(limit);
    let mut shown = Shown {
        took,
        trace_hash: world.trace_hash(),
        retransmitted: 0,
        checksum_errors: 0,
        dsacks: 0,
        out_of_order: 0,
        corrupted: 0,
        duplicated: 0,
        reordered: 0,
        lost: 0,
    };
    let mut time_waits = 0;
    for id in [CLIENT, SERVER] {
        let stack = world.peer::<Host>(id).stack();
        let n: &Counters = stack.counters();
        assert_eq!(stack.slots(), 0, "slots left after 2 MSL");
        assert_eq!((n.tcp_out_rsts, n.tcp_estab_resets, n.tcp_attempt_fails), (0, 0, 0), "{id:?}");
        assert_eq!((n.tcp_curr_estab, n.tcp_abort_on_timeout, n.tcp_abort_on_data), (0, 0, 0), "{id:?}");
        time_waits += n.tcp_tw;
        shown.retransmitted += n.tcp_retrans_segs;
        // A 4 in front that became a 6 makes a packet for nobody of an IPv4 header.
        shown.checksum_errors += n.ip_in_hdr_errors + n.ip_in_truncated + n.ip_in_addr_errors + n.tcp_in_errs;
        shown.dsacks += n.tcp_dsack_sent;
        shown.out_of_order += n.tcp_ofo_queue;
        let link = world.link(id).stats();
        shown.corrupted += link.corrupted;
        shown.duplicated += link.duplicated;
        shown.reordered += link.reordered;
        shown.lost += link.lost;
    }
    assert!((1..=2).contains(&time_waits), "{time_waits} times TIME-WAIT");
    judge_faults(cell, &shown);
    (world, shown)
}

/// What the links did has been met by what it is there for.
fn judge_faults(cell: Cell, shown: &Shown) {
    // Every copy of a packet with a flipped bit falls to a checksum; one that was duplicated comes twice.
    let copies = shown.corrupted * if cell.duplicate { 2 } else { 1 };
    assert!((shown.corrupted..=copies).contains(&shown.checksum_errors), "{shown:?}");
    let faulty = cell.loss_percent > 0 || cell.corrupt || cell.reorder;
    assert!(faulty || shown.retransmitted == 0, "sent again although nothing was lost or late: {shown:?}");
    let met = [
        (cell.loss_percent > 0, shown.lost > 0 && shown.retransmitted > 0),
        (cell.corrupt, shown.corrupted > 0 && shown.retransmitted > 0),
        (cell.duplicate, shown.duplicated > 0 && shown.dsacks > 0),
        (cell.reorder, shown.reordered > 0 && shown.out_of_order > 0),
    ];
    assert!(met.iter().all(|(on, met)| *met || !*on), "a fault that nothing met: {shown:?}");
}

/// As `run`; every [`TWICE`]th world runs twice, and shows the same to the last bit.
fn run_and_compare(cell: Cell, seed: u64) -> Shown {
    if !seed.is_multiple_of(TWICE) {
        return run(cell, seed, false).1;
    }
    let [(one, first), (two, second)] = [run(cell, seed, true), run(cell, seed, true)];
    assert_eq!(first, second, "two runs of one seed");
    #[cfg(feature = "capture")]
    for id in [CLIENT, SERVER] {
        assert!(one.capture(&[id]) == two.capture(&[id]), "two captures of one seed differ");
    }
    drop((one, two));
    first
}

fn millis(d: Duration) -> u128 {
    d.as_nanos().div_ceil(1_000_000)
}

fn table(shown: &BTreeMap<(Cell, u64), Shown>) -> String {
    let mut out = format!(
        "1 MiB each way at 100 Mbit/s: virtual ms until both ends have all of it and the end of file,\n\
         median / worst of {SEEDS} seeds. One row a loss rate, one column a set of other faults:\n\
         R 5 % held back by a quarter of the delay and 1 ms, D 5 % duplicated, C 1 % with a flipped bit.\n"
    );
    // Writing to a `String` cannot fail.
    for delay in DELAYS {
        let _ = write!(out, "\ndelay {delay} ms\n  loss");
        let columns = Cell::all().into_iter().take(8);
        columns.for_each(|cell| out += &format!("{:>17}", cell.column()));
        for loss in LOSSES {
            let _ = write!(out, "\n{loss:>4} %");
            let cells = Cell::all().into_iter().filter(|c| (c.delay_ms, c.loss_percent) == (delay, loss));
            for cell in cells {
                let mut times: Vec<_> =
                    shown.range((cell, 0)..=(cell, u64::MAX)).map(|(_, s)| millis(s.took)).collect();
                times.sort_unstable();
                let both = match (times.get(times.len() / 2), times.last()) {
                    (Some(median), Some(worst)) => format!("{median} / {worst}"),
                    _ => "failed".to_owned(),
                };
                let _ = write!(out, "{both:>17}");
            }
        }
        out.push('\n');
    }
    out
}

/// One world for a closer look.
fn show_one(cell: Cell, seed: u64) {
    let (world, shown) = run(cell, seed, true);
    say(format_args!("{shown:?}"));
    #[cfg(feature = "capture")]
    {
        let path = world.failure_path();
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::write(&path, world.capture(&[CLIENT])))
            .expect("a capture can be written");
        say(format_args!("what the client saw is in {}", path.display()));
    }
    drop(world);
}

/// Past libtest, which keeps what a test prints to itself: a minute of silence looks like a hang.
fn say(what: std::fmt::Arguments<'_>) {
    // Whether anybody hears it does not matter to the test.
    let _ = writeln!(std::io::stderr().lock(), "{what}");
}

#[test]
fn a_mebibyte_each_way_survives_every_combination_of_faults() {
    let cells = Cell::all();
    // Neighbouring seeds go to different cells, so that the slow ones are spread.
    let cell_of = |seed: u64| cells[(seed % cells.len() as u64) as usize];
    let worlds = cells.len() as u64 * SEEDS;
    assert!(worlds >= 2_000);
    let start = std::time::Instant::now();
    let next = AtomicU64::new(0);
    let shown = Mutex::new(BTreeMap::new());
    let failed = Mutex::new(Vec::new());
    if let Some(seed) = std::env::var("GRID_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return show_one(cell_of(seed), seed);
    }
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= worlds || failed.lock().expect("no panic inside").len() >= 5 {
                return;
            }
            if seed.is_multiple_of(200) {
                say(format_args!("fault grid: {seed} of {worlds} worlds, {:?}", start.elapsed()));
            }
            let cell = cell_of(seed);
            match catch_unwind(AssertUnwindSafe(|| run_and_compare(cell, seed))) {
                Ok(one) => drop(shown.lock().expect("no panic inside").insert((cell, seed), one)),
                Err(_) => failed.lock().expect("no panic inside").push((cell.name(), seed)),
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    say(format_args!("fault grid: {worlds} worlds in {:?}", start.elapsed()));
    let failed = failed.into_inner().expect("no panic inside");
    assert!(failed.is_empty(), "worlds that failed, with their seeds: {failed:?}");
    compare(&table(&shown.into_inner().expect("no panic inside")));
}

fn compare(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, table).expect("the table can be written");
        return;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    if known == *table {
        return;
    }
    let mut differences = String::new();
    for (old, new) in known.lines().zip(table.lines()).filter(|(old, new)| old != new) {
        let _ = write!(differences, "\n- {old}\n+ {new}");
    }
    panic!("the times are not those of {TABLE}; if that is meant, run with UPDATE=1{differences}");
}
