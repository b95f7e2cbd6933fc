//! The plot of races: a column for each.

use std::time::Duration;

use tunstack::core::time::Instant;
use tunstack::observe::Watched;
use tunstack::observe::plot::{Column, Line, PlotError, svg};
use tunstack::observe::timeseq::Window;

use super::setup::{Setup, Zoom};
use super::simulated::Done;
use super::table::rate;

pub(super) fn draw(races: &[Done], setup: &Setup, zoom: Option<Zoom>) -> Result<String, PlotError> {
    let seconds = setup.seconds.as_secs_f64();
    // Some hundred bins, and none shorter than a round trip on an empty link.
    let bin = (seconds / 150.0).max(2.0 * setup.link.delay.as_secs_f64()).max(1e-4);
    let columns: Vec<_> = races
        .iter()
        .map(|race| Column {
            title: title(race),
            lines: lines(race),
            rate_bps: setup.link.rate_bps,
            seconds,
            bin,
            window: window(race, setup, zoom),
        })
        .collect();
    let flows =
        if setup.flows == 1 { "1 flow each".to_owned() } else { format!("{} flows each", setup.flows) };
    svg(&format!("{}, {flows}", setup.link_text()), &columns)
}

fn title(race: &Done) -> String {
    let row = |row: &super::simulated::Row| format!("{}: {}", row.algorithm, rate(row.goodputs.iter().sum()));
    race.rows.iter().map(row).collect::<Vec<_>>().join(", ")
}

fn lines(race: &Done) -> Vec<Line<'_>> {
    let mut counts = std::collections::BTreeMap::new();
    let several = |algorithm: &str| race.flows.iter().filter(|(other, _)| other == algorithm).count() > 1;
    race.flows
        .iter()
        .map(|(algorithm, watched)| {
            let n = counts.entry(algorithm).or_insert(0);
            *n += 1;
            let name = if several(algorithm) { format!("{algorithm} {n}") } else { algorithm.clone() };
            Line { name, watched }
        })
        .collect()
}

/// The part asked for, or a round trip before the first retransmission and a few after it.
fn window(race: &Done, setup: &Setup, zoom: Option<Zoom>) -> Option<Window> {
    let at = |seconds: f64| Instant::ZERO + Duration::from_secs_f64(seconds);
    if let Some(Zoom(from, to)) = zoom {
        return Some(Window { start: at(from), end: at(to.min(setup.seconds.as_secs_f64())) });
    }
    let watched: &Watched = race.flows.iter().map(|(_, watched)| watched).find(|w| w.sequence.is_some())?;
    let first = watched.sequence.as_ref()?.first_retransmission().unwrap_or(Instant::ZERO);
    let sample = watched.samples.iter().rev().find(|s| s.at <= first && s.srtt.is_some());
    let trip = sample.and_then(|s| s.srtt).unwrap_or(setup.link.delay * 2).max(Duration::from_micros(100));
    let start = first - trip * 3 / 2;
    let end = (start + trip * 6).min(Instant::ZERO + setup.seconds);
    (start < end).then_some(Window { start, end })
}
