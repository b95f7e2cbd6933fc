//! How full a link is kept that loses nothing and whose queue holds one bandwidth-delay product, after slow start: one flow
//! over every combination of rate and round trip of the congestion grid.
//!
//! Those that take a second are run each time; all of them, and each with what it came to, by
//!
//! ```text
//! FULL=1 cargo test --release --test sim -- utilisation --nocapture
//! ```

use tunstack::core::time::{Duration, Instant};
use tunstack::sim::bottleneck::{Bottleneck, bandwidth_delay_product};
use tunstack::sim::link::LinkConfig;

use crate::congestion_grid::{RATES, ROUND_TRIPS_MS, each, mtu_for};

/// Per cent of the link.
const LEAST: f64 = 95.0;

/// Slow start, and the repair of what it lost, take less.
const ROUND_TRIPS_BEFORE: u32 = 40;
/// Measured is a minute where that is a small matter, else so many round trips, and this time at the least: it is two of BBR's
/// ProbeRTTInterval, and some.
const ROUND_TRIPS: u32 = 100;
const TIME: Duration = Duration::from_secs(12);
const MINUTE: Duration = Duration::from_secs(60);
const SMALL: u64 = 10_000_000;
/// What takes no more packets than these is run each time.
const QUICK: u64 = 140_000;

#[derive(Clone, Copy, Debug)]
struct Cell {
    algorithm: &'static str,
    rate: u64,
    trip: Duration,
}

impl Cell {
    fn before(self) -> Duration {
        (self.trip * ROUND_TRIPS_BEFORE).max(Duration::from_secs(1))
    }

    fn measured(self) -> Duration {
        if self.rate < SMALL { MINUTE } else { (self.trip * ROUND_TRIPS).max(TIME) }
    }

    fn mtu(self) -> u16 {
        mtu_for(bandwidth_delay_product(self.rate, self.trip))
    }

    fn packets(self) -> u64 {
        bandwidth_delay_product(self.rate, self.before() + self.measured()) / u64::from(self.mtu())
    }

    /// The part of the link that is used, per cent, headers counted.
    fn used(self) -> f64 {
        let mtu = u64::from(self.mtu());
        // Two packets wait in any queue.
        let queue = bandwidth_delay_product(self.rate, self.trip).max(2 * mtu);
        let link = LinkConfig::PERFECT.with_rate(self.rate).with_delay(self.trip / 2).with_queue_bytes(queue);
        let setup = Bottleneck { mtu: self.mtu(), ..Bottleneck::new(self.algorithm, link) };
        let mut race = setup.build().expect("it is known");
        race.world.run_until(Instant::ZERO + self.before());
        let before = race.arrived();
        race.world.run_for(self.measured());
        race.check().expect("all goes well");
        let most = self.rate as f64 / 8.0 * self.measured().as_secs_f64() * (mtu - 52) as f64 / mtu as f64;
        100.0 * (race.arrived() - before) as f64 / most
    }
}

#[test]
fn utilisation_of_a_link_without_loss() {
    let full = std::env::var_os("FULL").is_some();
    let mut cells = Vec::new();
    for algorithm in ["cubic", "bbr"] {
        for rate in RATES {
            cells.extend(ROUND_TRIPS_MS.map(|trip| Cell {
                algorithm,
                rate,
                trip: Duration::from_millis(trip),
            }));
        }
    }
    assert_eq!(cells.len(), 32);
    cells.retain(|cell| full || cell.packets() <= QUICK);
    assert!(cells.len() >= 14, "{} cells", cells.len());
    let found = each(&cells, |cell| cell.used());
    let row = |(cell, used): (&Cell, &f64)| format!("{cell:?}: {used:.2} % of the link\n");
    let table: String = cells.iter().zip(&found).map(row).collect();
    println!("{table}");
    let enough = found.iter().all(|used| (LEAST..=100.5).contains(used));
    assert!(enough, "too little:\n{table}");
}
