//! The time-sequence graph: what was sent when, and what came back.

use plotters::prelude::*;
use tunstack_core::time::Instant;

use super::legend::{ACKED, LOST, NEW, SACKED, reasons};
use super::panels::axes;
use super::{Area, Column, LEFT, PlotError, WIDTH, failed, octets};
use crate::observe::timeseq::{Segment, Window};

pub(super) fn draw(area: &Area<'_>, column: &Column<'_>, window: Window) -> Result<(), PlotError> {
    let Some(sequence) = column.lines.iter().find_map(|line| line.watched.sequence.as_ref()) else {
        return Ok(());
    };
    let Some((low, high)) = sequence.range(window) else { return Ok(()) };
    let span = window.end.saturating_since(window.start).as_nanos() as u64;
    // What falls on one pixel is one sign.
    let grain = span / u64::from(WIDTH - LEFT);
    let time = |at: Instant| at.saturating_since(Instant::ZERO).as_secs_f64();
    let place = |octet: u64| octet.saturating_sub(low) as f64;
    let most = (high.saturating_sub(low)).max(1) as f64 * 1.04;
    let label = |value: &f64| octets(*value, most);
    let title = format!("sequence number, from octet {low} on");
    let mut chart = axes(area, (time(window.start), time(window.end)), (0.0, most), &title, &label)?;

    let blocks = sequence.joined_sacks(window, grain);
    let blocks = blocks.iter().filter(|block| block.to > low).map(|block| {
        let line = vec![(time(block.at), place(block.from)), (time(block.at), place(block.to).min(most))];
        PathElement::new(line, SACKED.mix(0.45).stroke_width(1))
    });
    chart.draw_series(blocks).map_err(failed)?;

    let colours = reasons(sequence);
    let segments = sequence.joined(window, grain);
    let colour = |segment: &Segment| {
        colours.iter().find(|(reason, _)| *reason == segment.reason).map(|(_, colour)| *colour)
    };
    let bars = segments.iter().map(|segment| {
        let line = vec![(time(segment.at), place(segment.from)), (time(segment.at), place(segment.to))];
        PathElement::new(line, colour(segment).unwrap_or(NEW).stroke_width(1))
    });
    chart.draw_series(bars).map_err(failed)?;

    let mut points = Vec::new();
    for ack in sequence.acks.iter().filter(|ack| ack.at >= window.start && ack.at <= window.end) {
        match points.last() {
            Some(&(_, before)) if before == place(ack.una) => {}
            Some(&(_, before)) => points.extend([(time(ack.at), before), (time(ack.at), place(ack.una))]),
            None => points.push((time(ack.at), place(ack.una))),
        }
    }
    if let Some(&(_, last)) = points.last() {
        points.push((time(window.end), last));
    }
    chart.draw_series(LineSeries::new(points, ACKED.stroke_width(1))).map_err(failed)?;

    let middle = |segment: &Segment| (place(segment.from) + place(segment.to)) / 2.0;
    // One segment may be less than a pixel high, and each that is sent again counts.
    let again = segments.iter().filter_map(|s| Some((s, colour(s)?)));
    let again = again.map(|(s, colour)| Circle::new((time(s.at), middle(s)), 3, colour.filled()));
    chart.draw_series(again).map_err(failed)?;
    let mut last: Option<Instant> = None;
    let lost = segments.iter().filter(|segment| segment.lost).filter(|segment| {
        // Crosses side by side cannot be told apart.
        let apart = last.is_none_or(|last| segment.at.saturating_since(last).as_nanos() as u64 >= 5 * grain);
        if apart {
            last = Some(segment.at);
        }
        apart
    });
    let crosses = lost.map(|s| Cross::new((time(s.at), middle(s)), 3, LOST.stroke_width(1)));
    chart.draw_series(crosses).map_err(failed)?;
    Ok(())
}
