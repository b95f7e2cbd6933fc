//! Legends: in rows above a panel, where they cover nothing.

use plotters::prelude::*;
use tunstack_core::tcp::trace::Reason;

use super::{Area, COLOURS, Column, GREY, INK, PlotError, failed, text};
use crate::observe::timeseq::TimeSequence;

const ROW: u32 = 18;
const SIZE: u32 = 12;
/// A drawn sign and the gaps around it.
const SIGN: u32 = 34;

/// How an entry's sign is drawn.
#[derive(Clone, Copy)]
enum Sign {
    Line,
    Dashed,
    Block(f64),
    Cross,
    Bar,
    Dot,
}

/// Entries with their places.
pub(super) struct Legend {
    entries: Vec<(Sign, RGBColor, String, (u32, u32))>,
    rows: u32,
}

/// Blue for slow start and red for recovery, faint.
pub(super) const SLOW_START: (RGBColor, f64) = (RGBColor(86, 180, 233), 0.16);
pub(super) const RECOVERY: (RGBColor, f64) = (RGBColor(213, 60, 60), 0.16);
pub(super) const ACKED: RGBColor = RGBColor(0, 158, 115);
pub(super) const SACKED: RGBColor = RGBColor(140, 90, 200);
pub(super) const NEW: RGBColor = RGBColor(40, 40, 40);
pub(super) const LOST: RGBColor = RGBColor(200, 0, 0);

/// The colours of data that is sent again, by the order in which their reasons come up.
const AGAIN: [RGBColor; 6] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(204, 50, 150),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 70, 20),
];

/// The reasons for which data is sent again in `sequence`, and their colours.
pub(super) fn reasons(sequence: &TimeSequence) -> Vec<(Reason, RGBColor)> {
    let mut reasons: Vec<(Reason, RGBColor)> = Vec::new();
    let special = |reason: Reason| !matches!(reason, Reason::Data | Reason::Fin);
    for segment in sequence.segments.iter().filter(|s| s.again || special(s.reason)) {
        if !reasons.iter().any(|(reason, _)| *reason == segment.reason) {
            reasons.push((segment.reason, AGAIN[reasons.len() % AGAIN.len()]));
        }
    }
    reasons
}

/// What the upper panels show.
pub(super) fn lines(column: &Column<'_>, width: u32) -> Legend {
    let mut entries: Vec<_> = column
        .lines
        .iter()
        .enumerate()
        .map(|(n, line)| (Sign::Line, COLOURS[n % COLOURS.len()], line.name.clone()))
        .collect();
    // As with the bands: without any threshold the algorithm has no slow start of this kind.
    if column.lines.iter().any(|line| line.watched.samples.iter().any(|s| s.ssthresh.is_some())) {
        entries.push((Sign::Dashed, GREY, "ssthresh".to_owned()));
        entries.push((Sign::Block(0.3), SLOW_START.0, "slow start".to_owned()));
    }
    entries.push((Sign::Block(0.3), RECOVERY.0, "recovery".to_owned()));
    Legend::new(entries, width)
}

/// What the time-sequence graph shows.
pub(super) fn sequence(column: &Column<'_>, width: u32) -> Legend {
    let Some(sequence) = column.lines.iter().find_map(|line| line.watched.sequence.as_ref()) else {
        return Legend::new(Vec::new(), width);
    };
    let mut entries = vec![
        (Sign::Bar, NEW, Reason::Data.text().to_owned()),
        (Sign::Line, ACKED, "acknowledged (SND.UNA)".to_owned()),
        (Sign::Block(0.45), SACKED, "SACK block".to_owned()),
        (Sign::Cross, LOST, "lost on the link".to_owned()),
    ];
    let reasons = reasons(sequence);
    entries.extend(reasons.iter().map(|(reason, colour)| (Sign::Dot, *colour, reason.text().to_owned())));
    Legend::new(entries, width)
}

impl Legend {
    fn new(entries: Vec<(Sign, RGBColor, String)>, width: u32) -> Self {
        let (mut x, mut row) = (0, 0);
        let mut placed = Vec::new();
        for (sign, colour, name) in entries {
            // No font is at hand to measure with: small letters are about half of their size wide.
            let wide = SIGN + name.chars().count() as u32 * (SIZE * 50) / 100 + 14;
            if x > 0 && x + wide > width {
                (x, row) = (0, row + 1);
            }
            placed.push((sign, colour, name, (x, row * ROW)));
            x += wide;
        }
        let rows = if placed.is_empty() { 0 } else { row + 1 };
        Self { entries: placed, rows }
    }

    pub(super) fn height(&self) -> u32 {
        self.rows * ROW + 10
    }

    pub(super) fn draw(&self, area: &Area<'_>, left: u32) -> Result<(), PlotError> {
        for (sign, colour, name, (x, y)) in &self.entries {
            let (x, y) = ((left + x).cast_signed(), y.cast_signed() + 13);
            let drawn = match sign {
                Sign::Line => area.draw(&PathElement::new(vec![(x, y), (x + 22, y)], colour.stroke_width(2))),
                Sign::Dashed => [0, 8, 16].into_iter().try_for_each(|from| {
                    area.draw(&PathElement::new(
                        vec![(x + from, y), (x + from + 5, y)],
                        colour.stroke_width(1),
                    ))
                }),
                Sign::Block(strength) => area
                    .draw(&Rectangle::new([(x + 2, y - 5), (x + 20, y + 5)], colour.mix(*strength).filled())),
                Sign::Dot => area.draw(&Circle::new((x + 11, y), 4, colour.filled())),
                Sign::Cross => area.draw(&Cross::new((x + 11, y), 4, colour.stroke_width(2))),
                Sign::Bar => area
                    .draw(&PathElement::new(vec![(x + 11, y - 6), (x + 11, y + 6)], colour.stroke_width(3))),
            };
            drawn.map_err(failed)?;
            text(area, name, ((x + 28).cast_unsigned(), (y + 3).cast_unsigned()), SIZE, INK)?;
        }
        Ok(())
    }
}
