//! The results as a table in Markdown.

use super::super::race::table::markdown;
use super::figures::{Outcome, Row};
use super::matrix::Results;
use super::plan::Plan;
use super::proc;

/// What a server failed at.
const FAILED: &str = "failed";

pub(super) fn text(results: &Results, plan: &Plan) -> String {
    let mut header = vec!["", "", results.names[0].as_str()];
    for name in &results.names[1..] {
        header.extend([name.as_str(), "ratio"]);
    }
    let rows: Vec<_> = results
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.rows.iter().filter(|row| row.figure.shown).map(|row| line(outcome, row)))
        .collect();
    let range = if plan.runs > 1 { " (least to most)" } else { "" };
    let number = if plan.runs == 1 { "1 run".to_owned() } else { format!("{} runs", plan.runs) };
    format!(
        "Medians{range} of {number} of each, in turn, {} s a run; MTU {}, offload {}; ratio to the kernel over veth.\n\
         {}, Linux {}\n\n{}{}",
        plan.seconds.as_secs_f64(),
        plan.mtu,
        plan.offload_text(),
        proc::machine(),
        proc::kernel(),
        markdown(&header, &rows),
        lost(results)
    )
}

/// Connections that were refused or broken, of which the figures know nothing.
fn lost(results: &Results) -> String {
    let mut lines = String::new();
    for outcome in &results.outcomes {
        for row in outcome.rows.iter().filter(|row| row.figure.name == "failed") {
            for (name, runs) in results.names.iter().zip(&row.runs) {
                let count: f64 = runs.iter().sum();
                if count > 0.0 {
                    let title = outcome.column.title();
                    lines += &format!("\n{title}, {name}: {count} connections failed in {} runs", runs.len());
                }
            }
        }
    }
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

fn line(outcome: &Outcome, row: &Row) -> Vec<String> {
    let mut cells = vec![title(outcome, row), row.figure.unit_text().to_owned(), cell(row, 0)];
    for lane in 1..row.runs.len() {
        cells.push(cell(row, lane));
        cells.push(match (row.ratio(lane), row.median(lane)) {
            (Some(ratio), _) => format!("{ratio:.2}"),
            (None, None) => FAILED.to_owned(),
            // To nothing there is no ratio.
            (None, Some(_)) => "-".to_owned(),
        });
    }
    cells
}

/// What a row is called.
pub(super) fn title(outcome: &Outcome, row: &Row) -> String {
    match (outcome.column.title(), row.figure.title) {
        (column, "") => column,
        (column, figure) => format!("{column}: {figure}"),
    }
}

fn cell(row: &Row, lane: usize) -> String {
    let Some(median) = row.median(lane) else { return FAILED.to_owned() };
    let runs = &row.runs[lane];
    let least = runs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match runs.len() {
        1 => row.figure.text(median),
        _ => format!("{} ({} to {})", row.figure.text(median), row.figure.text(least), row.figure.text(most)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Reading;
    use super::super::plan::Column;
    use super::*;

    #[test]
    fn what_failed_is_told() {
        let runs =
            |count: f64| vec![vec![Reading::new("connections", 1.0), Reading::new("failed", count)]; 2];
        let column = Column::Connections { request: false, in_flight: 4 };
        let outcome = |lost| Outcome::new(column, &[runs(0.0), runs(lost)]);
        let names = vec!["kernel".to_owned(), "other".to_owned()];
        let results =
            |lost| Results { names: names.clone(), outcomes: vec![outcome(lost)], failures: Vec::new() };
        assert_eq!(
            lost(&results(3.0)),
            "\n\nconnect, close, 4 in flight, other: 6 connections failed in 2 runs"
        );
        assert_eq!(lost(&results(0.0)), "");
    }

    #[test]
    fn rows_have_medians_ranges_and_ratios() {
        let runs = |values: &[f64]| -> Vec<_> {
            values.iter().map(|v| vec![Reading::new("p50", *v), Reading::new("trips", 1.0)]).collect()
        };
        let lanes = [runs(&[10e-6, 30e-6, 20e-6]), runs(&[5e-6]), vec![]];
        let outcome = Outcome::new(Column::Trips { octets: 1 }, &lanes);
        let shown: Vec<_> = outcome.rows.iter().filter(|r| r.figure.shown).collect();
        assert_eq!(shown.len(), 1);
        let cells = line(&outcome, shown[0]);
        let wanted =
            ["round trip of 1 octet: p50", "µs", "20.0 (10.0 to 30.0)", "5.0", "0.25", "failed", "failed"];
        assert_eq!(cells, wanted);
        let nothing = [vec![vec![Reading::new("p50", 0.0)]], vec![vec![Reading::new("p50", 1.0)]]];
        let outcome = Outcome::new(Column::Trips { octets: 1 }, &nothing);
        assert_eq!(line(&outcome, &outcome.rows[0])[4], "-");
    }
}
