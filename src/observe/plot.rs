//! Plots of connections as SVG: windows, round trips and throughput over time, and time-sequence graphs.
//!
//! One column for each run, with the same axes, so that runs can be compared; panels from top to bottom.

mod bars;

mod legend;

mod panels;

mod sequence;

use std::fmt;

use plotters::prelude::*;

use super::Watched;
use super::timeseq::Window;
pub use bars::{BarRow, bars};

/// Colours that the colour-blind tell apart too (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// What fills a link that is neither lost nor ours.
const GREY: RGBColor = RGBColor(110, 110, 110);
const INK: RGBColor = RGBColor(30, 30, 30);
const LINE: RGBColor = RGBColor(225, 225, 225);

const FONT: &str = "sans-serif";
const WIDTH: u32 = 620;
const MARGIN: u32 = 12;
/// Room for the numbers and the title of a vertical axis.
const LEFT: u32 = 66;
const BELOW: u32 = 38;
const HEADING: u32 = 34;
const TITLE: u32 = 26;
const PANEL: u32 = 200;
const SEQUENCE: u32 = 430;

/// A plot could not be drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlotError(String);

impl fmt::Display for PlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot draw: {}", self.0)
    }
}

impl std::error::Error for PlotError {}

/// Any error of the drawing crate.
fn failed(error: impl fmt::Display) -> PlotError {
    PlotError(error.to_string())
}

/// A connection and what the legend calls it.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// Its name.
    pub name: String,
    /// What was seen of it.
    pub watched: &'a Watched,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Column<'a> {
    /// What stands above it.
    pub title: String,
    /// Its connections. The time-sequence graph is that of the first which has one.
    pub lines: Vec<Line<'a>>,
    /// The link's rate, bits a second, to draw as the limit.
    pub rate_bps: Option<u64>,
    /// How long the run took, seconds.
    pub seconds: f64,
    /// The width of a bin of throughput, seconds.
    pub bin: f64,
    /// The part that the time-sequence graph shows.
    pub window: Option<Window>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws the columns side by side, under a heading, as an SVG document.
///
/// # Errors
/// There is nothing to draw.
pub fn svg(heading: &str, columns: &[Column<'_>]) -> Result<String, PlotError> {
    if columns.is_empty() || columns.iter().any(|column| column.lines.is_empty()) {
        return Err(failed("a column without connections"));
    }
    let legends: Vec<_> = columns.iter().map(|column| legend::lines(column, WIDTH - LEFT)).collect();
    let keys: Vec<_> = columns.iter().map(|column| legend::sequence(column, WIDTH - LEFT)).collect();
    let highest = |all: &[legend::Legend]| all.iter().map(legend::Legend::height).max().unwrap_or(0);
    let (legend_height, key_height) = (highest(&legends), highest(&keys));
    let sequences = columns.iter().any(|column| column.window.is_some());
    let below = if sequences { key_height + SEQUENCE } else { 0 };
    let height = HEADING + TITLE + legend_height + 3 * PANEL + below + MARGIN;
    let width = columns.len() as u32 * WIDTH + 2 * MARGIN;
    let mut document = String::new();
    {
        let root = SVGBackend::with_string(&mut document, (width, height)).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        text(&root, heading, (MARGIN + 4, 20), 16, INK)?;
        let scales = panels::Scales::of(columns);
        for (n, column) in columns.iter().enumerate() {
            let left = MARGIN + n as u32 * WIDTH;
            let part = |top: u32, height: u32| {
                root.clone().shrink((left.cast_signed(), top.cast_signed()), (WIDTH, height))
            };
            let mut top = HEADING;
            text(&part(top, TITLE), &column.title, (LEFT, 14), 15, INK)?;
            top += TITLE;
            legends[n].draw(&part(top, legend_height), LEFT)?;
            top += legend_height;
            panels::windows(&part(top, PANEL), column, &scales)?;
            panels::round_trips(&part(top + PANEL, PANEL), column, &scales)?;
            panels::throughput(&part(top + 2 * PANEL, PANEL), column, &scales)?;
            top += 3 * PANEL;
            if let Some(window) = column.window {
                keys[n].draw(&part(top, key_height), LEFT)?;
                sequence::draw(&part(top + key_height, SEQUENCE), column, window)?;
            }
        }
        root.present().map_err(failed)?;
    }
    Ok(document)
}

fn text(area: &Area<'_>, what: &str, at: (u32, u32), size: u32, colour: RGBColor) -> Result<(), PlotError> {
    let style = (FONT, size).into_font().color(&colour);
    area.draw_text(what, &style, (at.0.cast_signed(), at.1.cast_signed() - 8)).map_err(failed)
}

/// A number of octets, with a unit that suits `most`.
fn octets(value: f64, most: f64) -> String {
    match most {
        m if m >= 4e6 => format!("{} MB", short(value / 1e6)),
        m if m >= 4e3 => format!("{} kB", short(value / 1e3)),
        _ => format!("{} B", short(value)),
    }
}

/// Up to two digits after the point, without zeros at the end.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
