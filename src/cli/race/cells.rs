//! The links of a race with the kernel.

use std::time::Duration;

use tunstack::sim::link::LinkConfig;

use super::setup::Setup;

/// Rates in bits a second, round trips in milliseconds, losses: their products are the default cells.
const RATES: [u64; 2] = [10_000_000, 100_000_000];
const ROUND_TRIPS_MS: [u64; 2] = [20, 100];
const LOSSES: [f64; 3] = [0.001, 0.01, 0.03];

/// The least and the most that a run carries, octets.
const LEAST: f64 = 1e6;
const MOST: f64 = 400e6;

/// One link, each way, and how much is sent over it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) link: LinkConfig,
    pub(super) octets: u64,
}

/// The twelve cells with loss and delay, or the one link of the command line.
pub(super) fn cells(setup: &Setup, all: bool) -> Vec<Cell> {
    if !all {
        return vec![cell(setup.link, setup)];
    }
    let mut cells = Vec::new();
    for rate in RATES {
        for millis in ROUND_TRIPS_MS {
            for loss in LOSSES {
                let delay = Duration::from_millis(millis) / 2;
                let mut link = LinkConfig::PERFECT.with_rate(rate).with_delay(delay).with_loss(loss);
                link.queue = setup.queue.limit(&link, setup.mtu);
                cells.push(cell(link, setup));
            }
        }
    }
    cells
}

fn cell(link: LinkConfig, setup: &Setup) -> Cell {
    let octets = expected(&link, setup.mtu) * setup.seconds.as_secs_f64() / 8.0;
    Cell { link, octets: octets.clamp(LEAST, MOST) as u64 }
}

/// The rate to be expected, bits a second: the link's, or what Reno reaches at this loss (Mathis et al., 1997).
pub(super) fn expected(link: &LinkConfig, mtu: u16) -> f64 {
    let trip = (2 * link.delay).as_secs_f64().max(1e-3);
    let segment = f64::from(mtu.saturating_sub(52).max(1)) * 8.0;
    let by_loss = if link.loss > 0.0 { segment / trip * (1.5 / link.loss).sqrt() } else { f64::INFINITY };
    let by_rate = link.rate_bps.map_or(1e9, |rate| rate as f64);
    by_loss.min(by_rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_expect_of_a_link() {
        let link = |text: &str| text.parse::<LinkConfig>().unwrap();
        assert_eq!(expected(&link("10mbit,10ms"), 1500), 10e6);
        // 1448 octets, 20 ms, 1 %: 7.1 Mbit/s.
        let reno = expected(&link("100mbit,10ms,1%"), 1500);
        assert!((7.0e6..7.2e6).contains(&reno), "{reno}");
    }
}
