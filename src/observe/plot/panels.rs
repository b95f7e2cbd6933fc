//! The panels over the whole time: windows, round trips, throughput.

use plotters::prelude::*;
use plotters::series::DashedLineSeries;
use tunstack_core::time::{Duration, Instant};

use super::legend::{RECOVERY, SLOW_START};
use super::{
    Area, BELOW, COLOURS, Column, FONT, GREY, INK, LEFT, LINE, MARGIN, PlotError, failed, octets, short,
};
use crate::observe::Sample;

/// The highest values of all columns, so that they have the same axes.
pub(super) struct Scales {
    cwnd: f64,
    srtt_ms: f64,
    mbits: f64,
}

impl Scales {
    pub(super) fn of(columns: &[Column<'_>]) -> Self {
        let samples = || columns.iter().flat_map(|c| &c.lines).flat_map(|line| &line.watched.samples);
        let cwnd = samples().map(|s| f64::from(s.cwnd)).fold(0.0, f64::max);
        let srtt_ms = samples().filter_map(|s| s.srtt).map(millis).fold(0.0, f64::max);
        let rate = columns.iter().filter_map(|c| c.rate_bps).max().unwrap_or(0) as f64 / 1e6;
        let reached = columns.iter().flat_map(rates).flatten().map(|(_, mbits)| mbits);
        let above = |most: f64| if most > 0.0 { most * 1.08 } else { 1.0 };
        Self { cwnd: above(cwnd), srtt_ms: above(srtt_ms), mbits: above(reached.fold(rate, f64::max)) }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn seconds(at: Instant) -> f64 {
    at.saturating_since(Instant::ZERO).as_secs_f64()
}

/// The throughput of each connection, Mbit/s.
fn rates(column: &Column<'_>) -> Vec<Vec<(f64, f64)>> {
    let until = Instant::ZERO + Duration::from_secs_f64(column.seconds);
    let bin = Duration::from_secs_f64(column.bin);
    let of_line = |line: &super::Line<'_>| {
        let mut rates = line.watched.throughput(bin, until);
        // What came after its last sample is not in the last bin.
        rates.pop();
        rates.into_iter().map(|(at, octets)| (at, octets * 8.0 / 1e6)).collect()
    };
    column.lines.iter().map(of_line).collect()
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

/// Axes from 0 to `seconds` and to `most`.
pub(super) fn axes<'b, 'a>(
    area: &'a Area<'b>,
    times: (f64, f64),
    values: (f64, f64),
    title: &str,
    label: &dyn Fn(&f64) -> String,
) -> Result<Chart<'a, 'b>, PlotError> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(6)
        .margin_right(MARGIN + 8)
        .x_label_area_size(BELOW)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(times.0..times.1, values.0..values.1)
        .map_err(failed)?;
    let style = (FONT, 11).into_font().color(&INK);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(LINE)
        .axis_style(GREY)
        .x_labels(7)
        .y_labels(5)
        .x_label_formatter(&|t| short(*t))
        .y_label_formatter(label)
        .label_style(style.clone())
        .axis_desc_style((FONT, 12).into_font().color(&INK))
        .x_desc("time, s")
        .y_desc(title)
        .draw()
        .map_err(failed)?;
    Ok(chart)
}

/// Congestion window and slow start threshold, with the phases of the first connection behind them.
pub(super) fn windows(area: &Area<'_>, column: &Column<'_>, scales: &Scales) -> Result<(), PlotError> {
    let most = scales.cwnd;
    let label = |value: &f64| octets(*value, most);
    let mut chart = axes(area, (0.0, column.seconds), (0.0, most), "cwnd", &label)?;
    if let Some(line) = column.lines.first() {
        let bands = phases(&line.watched.samples, column.seconds).into_iter().map(
            |(from, to, (colour, strength))| {
                Rectangle::new([(from, 0.0), (to, most)], colour.mix(strength).filled())
            },
        );
        chart.draw_series(bands).map_err(failed)?;
    }
    for (n, line) in column.lines.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let threshold = |s: &Sample| Some((seconds(s.at), f64::from(s.ssthresh?).min(most)));
        let thresholds = stairs(line.watched.samples.iter().filter_map(threshold), column.seconds, false);
        chart
            .draw_series(DashedLineSeries::new(thresholds, 4, 3, colour.mix(0.7).stroke_width(1)))
            .map_err(failed)?;
        let windows = stairs(
            line.watched.samples.iter().map(|s| (seconds(s.at), f64::from(s.cwnd))),
            column.seconds,
            true,
        );
        chart.draw_series(LineSeries::new(windows, colour.stroke_width(1))).map_err(failed)?;
    }
    Ok(())
}

/// A value holds until the next one comes; with `slopes` one that rises or falls a little does so by and by.
fn stairs(points: impl Iterator<Item = (f64, f64)>, until: f64, slopes: bool) -> Vec<(f64, f64)> {
    let mut stairs: Vec<(f64, f64)> = Vec::new();
    for (at, value) in points.filter(|(at, _)| *at <= until) {
        match stairs.last() {
            Some(&(_, before)) if !slopes && value != before || value < before * 0.9 => {
                stairs.extend([(at, before), (at, value)])
            }
            Some(&(_, before)) if value == before => {}
            _ => stairs.push((at, value)),
        }
    }
    if let Some(&(_, last)) = stairs.last() {
        stairs.push((until, last));
    }
    stairs
}

/// When a connection was in slow start or in recovery.
fn phases(samples: &[Sample], until: f64) -> Vec<(f64, f64, (RGBColor, f64))> {
    // Without any threshold the algorithm has no slow start of this kind.
    let thresholds = samples.iter().any(|s| s.ssthresh.is_some());
    let phase = |s: &Sample| match (s.recovery, s.ssthresh) {
        (Some(_), _) => Some(RECOVERY),
        (None, threshold) if thresholds && threshold.is_none_or(|t| s.cwnd < t) => Some(SLOW_START),
        _ => None,
    };
    let mut bands: Vec<(f64, f64, (RGBColor, f64))> = Vec::new();
    for (n, sample) in samples.iter().enumerate() {
        let Some(colour) = phase(sample) else { continue };
        let from = seconds(sample.at);
        let to = samples.get(n + 1).map_or(until, |next| seconds(next.at)).min(until);
        match bands.last_mut() {
            Some(last) if last.2 == colour && last.1 >= from => last.1 = to,
            _ if from < to => bands.push((from, to, colour)),
            _ => {}
        }
    }
    bands
}

/// Smoothed round trip times.
pub(super) fn round_trips(area: &Area<'_>, column: &Column<'_>, scales: &Scales) -> Result<(), PlotError> {
    let label = |value: &f64| format!("{} ms", short(*value));
    let mut chart = axes(area, (0.0, column.seconds), (0.0, scales.srtt_ms), "srtt", &label)?;
    for (n, line) in column.lines.iter().enumerate() {
        let point = |s: &Sample| Some((seconds(s.at), millis(s.srtt?)));
        let points = line.watched.samples.iter().filter_map(point).filter(|(at, _)| *at <= column.seconds);
        chart
            .draw_series(LineSeries::new(points, COLOURS[n % COLOURS.len()].stroke_width(1)))
            .map_err(failed)?;
    }
    Ok(())
}

/// What is acknowledged in each bin, under the link's rate.
pub(super) fn throughput(area: &Area<'_>, column: &Column<'_>, scales: &Scales) -> Result<(), PlotError> {
    let label = |value: &f64| short(*value);
    let mut chart = axes(area, (0.0, column.seconds), (0.0, scales.mbits), "throughput, Mbit/s", &label)?;
    if let Some(rate) = column.rate_bps {
        let rate = rate as f64 / 1e6;
        let ends = [(0.0, rate), (column.seconds, rate)];
        chart.draw_series(DashedLineSeries::new(ends, 2, 3, GREY.stroke_width(1))).map_err(failed)?;
    }
    for (n, points) in rates(column).into_iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        chart.draw_series(LineSeries::new(points, colour.stroke_width(1))).map_err(failed)?;
    }
    Ok(())
}
