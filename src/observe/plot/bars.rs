//! A bar for each of several things in each row, and what stands for one time as good.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{COLOURS, FONT, INK, LINE, PlotError, failed};

const WIDTH: u32 = 900;
/// Room for what the rows are called, and for the numbers behind the bars.
const LEFT: u32 = 330;
const RIGHT: u32 = 60;
const HEADING: u32 = 66;
const BELOW: u32 = 30;
const BAR: u32 = 12;
const GAP: u32 = 7;
/// Bars that would be longer end here.
const MOST: f64 = 4.0;

/// Some bars under a name, one for each of the things compared; `None` is one that failed.
#[derive(Clone, PartialEq, Debug)]
pub struct BarRow {
    /// What stands before the bars.
    pub title: String,
    /// How many times as good as what they are compared with; drawn up to 4.
    pub ratios: Vec<Option<f64>>,
}

/// Draws ratios as bars, with a line at 1, under a title and a smaller heading, as an SVG document. `names` says of the
/// bars of each row what they stand for.
///
/// # Errors
/// There is nothing to draw.
pub fn bars(title: &str, heading: &str, names: &[String], rows: &[BarRow]) -> Result<String, PlotError> {
    if rows.is_empty() || names.is_empty() {
        return Err(failed("no rows"));
    }
    let group = names.len() as u32 * BAR + GAP;
    let height = HEADING + rows.len() as u32 * group + BELOW;
    let longest = rows.iter().flat_map(|row| &row.ratios).flatten().copied().fold(1.0, f64::max);
    let scale = f64::from(WIDTH - LEFT - RIGHT) / longest.min(MOST);
    let x = |ratio: f64| LEFT.cast_signed() + (ratio.min(MOST) * scale) as i32;
    let (top, bottom) = (HEADING.cast_signed(), (height - BELOW).cast_signed());
    let mut document = String::new();
    {
        let root = SVGBackend::with_string(&mut document, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let write = |what: &str, at: (i32, i32), size: u32, from: HPos| {
            let style = (FONT, size).into_text_style(&root).color(&INK).pos(Pos::new(from, VPos::Top));
            root.draw_text(what, &style, at).map_err(failed)
        };
        let text = |what: &str, at: (i32, i32), size: u32| write(what, at, size, HPos::Left);
        text(title, (16, 10), 16)?;
        text(heading, (16, 32), 12)?;
        let mut at = LEFT.cast_signed();
        for (name, colour) in names.iter().zip(COLOURS.iter().cycle()) {
            let key = Rectangle::new([(at, 52), (at + 10, 62)], colour.filled());
            root.draw(&key).map_err(failed)?;
            text(name, (at + 15, 51), 12)?;
            at += 35 + 8 * i32::try_from(name.chars().count()).unwrap_or(0);
        }
        let step = if longest > 2.0 { 0.5 } else { 0.25 };
        let mut tick = 0.0;
        while tick <= longest.min(MOST) + 1e-9 {
            let style = if tick == 1.0 { INK.stroke_width(2) } else { LINE.stroke_width(1) };
            let line = PathElement::new([(x(tick), top), (x(tick), bottom)], style);
            root.draw(&line).map_err(failed)?;
            write(&format!("{tick}"), (x(tick), bottom + 8), 12, HPos::Center)?;
            tick += step;
        }
        for (n, row) in rows.iter().enumerate() {
            let mut y = top + (n as u32 * group).cast_signed() + GAP.cast_signed() / 2;
            let middle = y + (group - GAP).cast_signed() / 2;
            write(&row.title, (LEFT.cast_signed() - 8, middle - 6), 12, HPos::Right)?;
            for (bar, colour) in row.ratios.iter().zip(COLOURS.iter().cycle()) {
                let below = y + BAR.cast_signed() - 1;
                let (end, label) = match bar {
                    Some(ratio) => (x(*ratio), format!("{ratio:.2}")),
                    None => (x(0.0), "failed".to_owned()),
                };
                let bar = Rectangle::new([(x(0.0), y), (end, below)], colour.filled());
                root.draw(&bar).map_err(failed)?;
                if end > x(1.0) {
                    // The line goes on through it.
                    let line = PathElement::new([(x(1.0), y), (x(1.0), below)], WHITE.stroke_width(2));
                    root.draw(&line).map_err(failed)?;
                }
                text(&label, (end + 5, y), 11)?;
                y += BAR.cast_signed();
            }
        }
        root.present().map_err(failed)?;
    }
    Ok(document)
}
