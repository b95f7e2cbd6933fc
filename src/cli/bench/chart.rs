//! The ratios as a plot: a bar for each server and figure, longer where it does better than the kernel.

use std::fmt::Display;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::figures::Row;
use super::matrix::Results;
use super::plan::Plan;
use super::{proc, table};

/// Colours that the colour-blind tell apart too (Okabe and Ito).
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
];
const INK: RGBColor = RGBColor(30, 30, 30);
const LINE: RGBColor = RGBColor(225, 225, 225);
const FONT: &str = "sans-serif";

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

/// How many times better than the kernel a server is.
fn times_better(row: &Row, lane: usize) -> Option<f64> {
    let ratio = row.ratio(lane)?;
    let better = if row.figure.less_is_better { 1.0 / ratio } else { ratio };
    better.is_finite().then_some(better)
}

/// An SVG document.
pub(super) fn draw(results: &Results, plan: &Plan) -> Result<String, String> {
    let servers = results.names.len() - 1;
    let rows: Vec<(String, Vec<Option<f64>>)> = results
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.rows.iter().filter(|row| row.figure.shown).map(move |row| (outcome, row)))
        .map(|(outcome, row)| {
            let bars = (1..=servers).map(|lane| times_better(row, lane)).collect();
            (table::title(outcome, row), bars)
        })
        .collect();
    let heading = format!(
        "MTU {}, offload {}; {}, Linux {}",
        plan.mtu,
        plan.offload_text(),
        proc::machine(),
        proc::kernel()
    );
    render(&heading, &results.names[1..], &rows).map_err(|e| format!("cannot draw: {e}"))
}

fn failed(error: impl Display) -> String {
    error.to_string()
}

fn render(heading: &str, names: &[String], rows: &[(String, Vec<Option<f64>>)]) -> Result<String, String> {
    if rows.is_empty() {
        return Err("nothing was measured".to_owned());
    }
    let group = names.len() as u32 * BAR + GAP;
    let height = HEADING + rows.len() as u32 * group + BELOW;
    let longest = rows.iter().flat_map(|(_, bars)| bars).flatten().copied().fold(1.0, f64::max);
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
        text("How many times as good as the kernel over veth", (16, 10), 16)?;
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
            let colour = if tick == 1.0 { INK } else { LINE };
            let line = PathElement::new([(x(tick), top), (x(tick), bottom)], colour);
            root.draw(&line).map_err(failed)?;
            write(&format!("{tick}"), (x(tick), bottom + 8), 12, HPos::Center)?;
            tick += step;
        }
        for (n, (title, bars)) in rows.iter().enumerate() {
            let mut y = top + (n as u32 * group).cast_signed() + GAP.cast_signed() / 2;
            let middle = y + (group - GAP).cast_signed() / 2;
            write(title, (LEFT.cast_signed() - 8, middle - 6), 12, HPos::Right)?;
            for (bar, colour) in bars.iter().zip(COLOURS.iter().cycle()) {
                let below = y + BAR.cast_signed() - 1;
                let (end, label) = match bar {
                    Some(ratio) => (x(*ratio), format!("{ratio:.2}")),
                    None => (x(0.0), "failed".to_owned()),
                };
                let bar = Rectangle::new([(x(0.0), y), (end, below)], colour.filled());
                root.draw(&bar).map_err(failed)?;
                text(&label, (end + 5, y), 11)?;
                y += BAR.cast_signed();
            }
        }
        root.present().map_err(failed)?;
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Outcome, Reading};
    use super::super::plan::Column;
    use super::*;

    #[test]
    fn better_is_longer() {
        let lanes = |name| [vec![vec![Reading::new(name, 4.0)]], vec![vec![Reading::new(name, 2.0)]], vec![]];
        let row = |name| Outcome::new(Column::Trips { octets: 1 }, &lanes(name)).rows.remove(0);
        assert_eq!(times_better(&row("trips"), 1), Some(0.5));
        assert_eq!(times_better(&row("p50"), 1), Some(2.0));
        assert_eq!(times_better(&row("p50"), 2), None);
    }

    #[test]
    fn a_plot_has_its_rows_and_names() {
        let names = ["one".to_owned(), "two".to_owned()];
        let rows =
            [("a row".to_owned(), vec![Some(0.5), None]), ("another".to_owned(), vec![Some(9.0), Some(1.0)])];
        let drawing = render("here", &names, &rows).unwrap();
        for part in ["<svg", "a row", "another", "one", "two", "0.50", "9.00", "failed", "here"] {
            assert!(drawing.contains(part), "{part}: {drawing}");
        }
        assert!(render("here", &names, &[]).is_err());
    }
}
