//! Races in virtual time, one thread for each.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;
use tunstack::core::time::Instant;
use tunstack::observe::{Watch, Watched, queue_delay};
use tunstack::sim::bottleneck::{Bottleneck, Race, SENDERS, jain};

use super::super::output::{Failure, Output};
use super::setup::Setup;

/// Steps that the progress bar takes for a race.
const STEPS: u32 = 200;
/// Samples of a connection that a plot shows.
const SAMPLES: u32 = 1500;

/// How one algorithm fared.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) algorithm: String,
    /// Goodput of each flow, bits a second.
    pub(super) goodputs: Vec<f64>,
    /// Goodput of all by the link's rate.
    pub(super) share: Option<f64>,
    pub(super) retransmits: u64,
    /// Data sent, octets, each as often as it was.
    pub(super) sent_octets: u64,
    pub(super) resent_octets: u64,
    pub(super) timeouts: u64,
    /// Tail-loss probes, where the stack has them.
    pub(super) probes: Option<u64>,
    pub(super) queue_delay: Option<(Duration, Duration)>,
    pub(super) fairness: f64,
    pub(super) reasons: Vec<(&'static str, u64)>,
}

/// One race that was run.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) rows: Vec<Row>,
    /// The algorithm of each flow and what was seen of it.
    pub(super) flows: Vec<(String, Watched)>,
}

/// Runs all, as many at a time as there are processors.
pub(super) fn run(setup: &Setup, out: Output) -> Result<Vec<Done>, Failure> {
    let bottlenecks = setup.bottlenecks();
    // Before any is run for a minute in vain.
    for bottleneck in &bottlenecks {
        bottleneck.build().map_err(|e| Failure::Usage(format!("--cc: {e}")))?;
    }
    let bar = super::progress(u64::from(STEPS) * bottlenecks.len() as u64, out);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(bottlenecks.len());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(bottleneck) = bottlenecks.get(index) else { return };
                    let result = one(bottleneck, setup, &bar);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result.map_err(Failure::Failed)).collect()
}

fn one(bottleneck: &Bottleneck, setup: &Setup, bar: &ProgressBar) -> Result<Done, String> {
    let mut race = bottleneck.build().map_err(|e| e.to_string())?;
    let watch = Watch::new(SENDERS, setup.seconds / SAMPLES, usize::from(setup.drawn));
    let watch = Rc::new(RefCell::new(watch));
    let seen = Rc::clone(&watch);
    race.world.observe(move |record| seen.borrow_mut().see(record));
    for step in 1..=STEPS {
        race.world.run_until(Instant::ZERO + setup.seconds * step / STEPS);
        race.check()?;
        bar.inc(1);
    }
    let standing = race.flows();
    let watched = watch.replace(Watch::new(SENDERS, setup.seconds, 0)).into_flows();
    let rows = (0..race.lanes().len()).map(|lane| row(&race, &standing, lane, &watched, setup)).collect();
    let flow = |watched: Watched| {
        let flow = standing.iter().find(|flow| flow.local == watched.quad.local)?;
        Some((race.lanes()[flow.lane].algorithm.clone(), watched))
    };
    let flows = watched.into_iter().filter_map(flow).collect();
    Ok(Done { rows, flows })
}

fn row(
    race: &Race,
    standing: &[tunstack::sim::bottleneck::Flow],
    lane: usize,
    watched: &[Watched],
    setup: &Setup,
) -> Row {
    let flows = || standing.iter().filter(move |flow| flow.lane == lane);
    let seen = || watched.iter().filter(|w| flows().any(|flow| flow.local == w.quad.local));
    let seconds = setup.seconds.as_secs_f64();
    let goodputs: Vec<_> = flows().map(|flow| flow.received as f64 * 8.0 / seconds).collect();
    let counters = race.counters(lane);
    let probes = counters.iter().find(|(name, _)| *name == "TcpExtTCPLossProbes").map(|(_, n)| n);
    let mut reasons = std::collections::BTreeMap::new();
    for (reason, n) in seen().flat_map(|w| &w.resent) {
        *reasons.entry(*reason).or_default() += n;
    }
    Row {
        algorithm: race.lanes()[lane].algorithm.clone(),
        share: setup.link.rate_bps.map(|rate| goodputs.iter().sum::<f64>() / rate as f64),
        fairness: jain(&goodputs),
        goodputs,
        retransmits: flows().map(|flow| u64::from(flow.info.tally.resent)).sum(),
        sent_octets: flows().map(|flow| flow.info.tally.octets_sent).sum(),
        resent_octets: flows().map(|flow| flow.info.tally.octets_resent).sum(),
        timeouts: counters.tcp_timeouts,
        probes,
        queue_delay: queue_delay(seen().flat_map(|w| &w.waits).copied()),
        reasons: reasons.into_iter().collect(),
    }
}
