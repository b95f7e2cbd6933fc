//! What paced slow start costs and gains a single transfer that soon ends: its time, with and without.
//!
//! How it is stands in `tests/sim/transfers.txt`, which this writes anew:
//!
//! ```text
//! UPDATE=1 cargo test --release --test sim -- transfers
//! ```

use std::path::Path;

use tunstack::core::time::{Duration, Instant};
use tunstack::sim::bottleneck::{Bottleneck, bandwidth_delay_product};
use tunstack::sim::link::LinkConfig;

use crate::congestion_grid::each;

const TABLE: &str = "tests/sim/transfers.txt";

const MBITS: [u64; 3] = [10, 100, 1000];
const ROUND_TRIPS_MS: [u64; 3] = [5, 20, 100];
/// Per cent of a bandwidth-delay product, where that is more than [`SHORTEST`].
const QUEUES: [u64; 3] = [10, 25, 100];
const OCTETS: [u64; 7] = [15_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 5_000_000];

/// A queue holds an initial window at the least.
const SHORTEST: u64 = 15_000;
/// Of which a time is the median.
const SEEDS: u64 = 15;
/// So much longer it may take paced, on average over all paths.
const WORST_MEAN: f64 = 1.05;
/// It is over long before: 5 MB over 10 Mbit/s take four seconds, and as much again is lost at the most.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
struct Cell {
    mbits: u64,
    trip_ms: u64,
    /// Octets.
    queue: u64,
    octets: u64,
}

impl Cell {
    fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for mbits in MBITS {
            for trip_ms in ROUND_TRIPS_MS {
                let product = bandwidth_delay_product(mbits * 1_000_000, Duration::from_millis(trip_ms));
                let mut queues = QUEUES.map(|part| (product * part / 100).max(SHORTEST)).to_vec();
                queues.dedup();
                for queue in queues {
                    cells.extend(OCTETS.map(|octets| Self { mbits, trip_ms, queue, octets }));
                }
            }
        }
        cells
    }

    /// How long it takes from the first SYN until the program has the last octet.
    ///
    /// Packets come up to the time of one of them late, in their order, as in [`sharing`](crate::sharing).
    fn time(self, slow_start_pacing: bool, seed: u64) -> Duration {
        let (rate, trip) = (self.mbits * 1_000_000, Duration::from_millis(self.trip_ms));
        let mut link = LinkConfig::PERFECT.with_rate(rate).with_delay(trip / 2).with_queue_bytes(self.queue);
        link.jitter = Duration::from_nanos(1500 * 8 * 1_000_000_000 / rate);
        let octets = self.octets;
        let setup = Bottleneck { slow_start_pacing, octets, seed, ..Bottleneck::new("cubic", link) };
        let mut race = setup.build().expect("it is known");
        let end = Instant::ZERO + PATIENCE;
        while race.received() < octets {
            assert!(
                race.world.now() < end,
                "{self:?}: {} of {octets} octets in {PATIENCE:?}",
                race.received()
            );
            race.world.run_for(trip);
        }
        race.check().expect("all goes well");
        assert_eq!(race.received(), octets, "{self:?}");
        race.flows()[0].last.saturating_since(Instant::ZERO)
    }

    fn median(self, slow_start_pacing: bool) -> f64 {
        let mut times: Vec<_> = (1..=SEEDS).map(|seed| self.time(slow_start_pacing, seed)).collect();
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1000.0
    }

    /// One row of the table, and the paced time as a part of the other.
    fn run(self) -> (String, f64) {
        let (plain, paced) = (self.median(false), self.median(true));
        let row = format!(
            "{:>4} Mbit/s {:>4} ms {:>6} kB {:>6} kB {plain:>9.1} {paced:>9.1} {:>6.2}",
            self.mbits,
            self.trip_ms,
            self.queue / 1000,
            self.octets / 1000,
            paced / plain
        );
        (row, paced / plain)
    }
}

fn heading() -> String {
    format!(
        "One transfer of CUBIC over a link whose queue holds 0.1, 0.25 and 1 of a bandwidth-delay product, {} kB at the least: how\n\
         long it takes from the SYN on, in ms, without and with slow start paced, the median of {SEEDS} runs each, and the second as\n\
         a part of the first. Below the means of that, and those of the rows where it is another.\n\n\
         rate          trip     queue      size   at once     paced   part\n",
        SHORTEST / 1000
    )
}

/// Paced slow start costs little on average, whatever the size; the table tells of each.
#[test]
fn transfers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    let cells = Cell::all();
    let rows = each(&cells, |cell| cell.run());
    let mut lines: Vec<_> = rows.iter().map(|(row, _)| row.clone()).collect();
    for octets in OCTETS {
        let of_size = cells.iter().zip(&rows).filter(|(cell, _)| cell.octets == octets);
        let parts: Vec<_> = of_size.map(|(_, (_, part))| *part).collect();
        let others: Vec<_> = parts.iter().copied().filter(|part| *part != 1.0).collect();
        let mean = |parts: &[f64]| parts.iter().sum::<f64>() / parts.len().max(1) as f64;
        let of_others = if others.is_empty() { "-".to_owned() } else { format!("{:.2}", mean(&others)) };
        assert!(mean(&parts) < WORST_MEAN, "{octets} octets: {}", mean(&parts));
        let (all, kilobytes) = (mean(&parts), octets / 1000);
        lines.push(format!("{:<29} {kilobytes:>6} kB {all:>26.2} {of_others:>6}", "mean"));
    }
    if std::env::var_os("UPDATE").is_some() {
        let table = lines.iter().fold(heading(), |table, line| table + line + "\n");
        return std::fs::write(&path, table).expect("the table can be written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let old: Vec<_> = known.strip_prefix(&heading()).unwrap_or_default().lines().collect();
    assert_eq!(old.len(), lines.len(), "not the heading, or not as many rows, in {TABLE}");
    let wrong: Vec<_> = lines.iter().zip(old).filter(|(line, old)| line != old).collect();
    assert!(
        wrong.is_empty(),
        "not in {TABLE}; if that is meant, run with UPDATE=1 and --release: {wrong:#?}"
    );
}
