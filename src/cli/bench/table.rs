//! The results as a table in Markdown.

use super::super::race::table::markdown;
use super::figures::{Outcome, Row, Shown};
use super::matrix::Results;
use super::plan::{Column, OWN, Steps};

/// What a server failed at.
const FAILED: &str = "failed";

pub(super) fn text(results: &Results) -> String {
    let of = &results.conditions;
    let range = if of.runs > 1 { " (least to most)" } else { "" };
    let number = if of.runs == 1 { "1 run".to_owned() } else { format!("{} runs", of.runs) };
    let spin = of.spin.map(|time| format!(", spin {} us", time * 1e6)).unwrap_or_default();
    format!(
        "Medians{range} of {number} of each, in turn, {} s a run; MTU {}, offload {}{}{}{}{spin}; ratio to the kernel over veth.\n\
         {}\n\n{}{}{}{}",
        of.seconds,
        of.mtu,
        of.offload,
        of.uring_text(),
        of.steer_text(),
        of.gro_text(),
        of.host(),
        table(results, Shown::Above).unwrap_or_default(),
        parts(results),
        many(results),
        lost(results)
    )
}

/// The rows that are shown there, if there are any.
fn table(results: &Results, shown: Shown) -> Option<String> {
    let mut header = vec!["", "", results.names[0].as_str()];
    for name in &results.names[1..] {
        header.extend([name.as_str(), "ratio"]);
    }
    let rows = results.outcomes.iter().flat_map(|o| o.rows.iter().map(move |row| (o, row)));
    let rows: Vec<_> =
        rows.filter(|(_, row)| row.figure.shown == shown).map(|(o, row)| line(o, row)).collect();
    (!rows.is_empty()).then(|| markdown(&header, &rows))
}

/// What processor time is made of, in a table of its own.
fn parts(results: &Results) -> String {
    let Some(table) = table(results, Shown::Parts) else { return String::new() };
    let cycles = match results.conditions.hertz {
        Some(hertz) => format!("; cycles are that time by {:.2} GHz, the nominal clock", hertz / 1e9),
        None => String::new(),
    };
    format!("\n\nProcessor time of it{cycles}.\n\n{table}")
}

/// Many idle connections beside few of them, and how they are closed.
fn many(results: &Results) -> String {
    let mut text = String::new();
    for outcome in &results.outcomes {
        let Column::Million { idle } = outcome.column else { continue };
        let Steps { few, part, rest } = Steps::of(idle);
        let own = results.names.get(OWN).map_or("", String::as_str);
        text += &format!("\n\n{}, {own}; those closed last stay to the end.\n", outcome.column.title());
        for (counts, ends) in [([few, idle], ["_few", "_all"]), ([part, rest], ["_part", "_all"])] {
            let [less, more] = counts.map(|count| count.to_string());
            let header = [if ends[0] == "_few" { "with" } else { "closing" }, "", &less, &more, "ratio"];
            let rows: Vec<_> = outcome.rows.iter().filter_map(|row| pair(outcome, row, ends)).collect();
            text += &format!("\n{}\n", markdown(&header, &rows));
        }
        for row in outcome.rows.iter().filter(|row| matches!(row.figure.name, "came" | "resident_each")) {
            let (title, unit) = (row.figure.title, row.figure.unit_text());
            text += &format!("\n{title}: {} {unit}", cell(row, OWN));
        }
    }
    text
}

/// What was measured twice, by the first name: both, and how much the second is of the first.
fn pair(outcome: &Outcome, first: &Row, ends: [&str; 2]) -> Option<Vec<String>> {
    let name = first.figure.name.strip_suffix(ends[0])?;
    let second = outcome.rows.iter().find(|row| row.figure.name.strip_suffix(ends[1]) == Some(name))?;
    let ratio = match (first.median(OWN), second.median(OWN)) {
        (Some(first), Some(second)) if first > 0.0 => format!("{:.2}", second / first),
        _ => "-".to_owned(),
    };
    let (title, unit) = (first.figure.title.to_owned(), first.figure.unit_text().to_owned());
    Some(vec![title, unit, cell(first, OWN), cell(second, OWN), ratio])
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
    use super::super::plan::{Column, Way};
    use super::super::report::example;
    use super::*;

    #[test]
    fn processor_time_is_taken_apart_below() {
        let reading = |name, value| Reading::new(name, value);
        let run = |n: f64| {
            vec![vec![
                reading("throughput", n * 1e9),
                reading("cpu", n * 30.0),
                reading("cpu_user", n * 10.0),
                reading("cpu_system", n * 20.0),
                reading("cycles", n / 8.0),
            ]]
        };
        let bulk = |way| Outcome::new(Column::Bulk { way, streams: 1 }, &[run(2.0), run(1.0)]);
        let all = text(&example(vec![bulk(Way::Up), bulk(Way::Down)]));
        let (above, below) =
            all.split_once("Processor time of it; cycles are that time by 2.50 GHz").unwrap();
        let cells = |text: &str| -> Vec<Vec<String>> {
            let rows = text.lines().filter(|line| line.starts_with("| bulk up, 1 stream"));
            rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
        };
        assert_eq!(
            cells(above),
            [
                ["", "bulk up, 1 stream", "MB/s", "2,000", "1,000", "0.50", ""],
                ["", "bulk up, 1 stream: server's CPU", "ns/KiB", "60.0", "30.0", "0.50", ""],
            ]
        );
        let row = |title: &str, unit: &str, kernel: &str, own: &str| {
            let title = format!("bulk up, 1 stream: {title}");
            ["", &title, unit, kernel, own, "0.50", ""].map(ToOwned::to_owned).to_vec()
        };
        assert_eq!(
            cells(below),
            [
                row("server's CPU in user mode", "ns/KiB", "20.0", "10.0"),
                row("server's CPU in the kernel", "ns/KiB", "40.0", "20.0"),
                row("server's cycles", "cycles/octet", "0.250", "0.125"),
            ]
        );
        // Where nothing is carried in bulk there is nothing to take apart.
        let trips = Outcome::new(Column::Trips { octets: 1 }, &[vec![vec![reading("p50", 1.0)]], vec![]]);
        assert!(!text(&example(vec![trips])).contains("Processor time"));
    }

    #[test]
    fn what_failed_is_told() {
        let runs =
            |count: f64| vec![vec![Reading::new("connections", 1.0), Reading::new("failed", count)]; 2];
        let column = Column::Connections { request: false, in_flight: 4 };
        let outcome = |lost| Outcome::new(column, &[runs(0.0), runs(lost)]);
        let results = |lost| example(vec![outcome(lost)]);
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
        let shown: Vec<_> = outcome.rows.iter().filter(|r| r.figure.shown == Shown::Above).collect();
        assert_eq!(shown.len(), 1);
        let cells = line(&outcome, shown[0]);
        let wanted =
            ["round trip of 1 octet: p50", "µs", "20.0 (10.0 to 30.0)", "5.0", "0.25", "failed", "failed"];
        assert_eq!(cells, wanted);
        let nothing = [vec![vec![Reading::new("p50", 0.0)]], vec![vec![Reading::new("p50", 1.0)]]];
        let outcome = Outcome::new(Column::Trips { octets: 1 }, &nothing);
        assert_eq!(line(&outcome, &outcome.rows[0])[4], "-");
    }

    #[test]
    fn many_stand_beside_few() {
        let reading = |name, value| Reading::new(name, value);
        let samples = vec![vec![
            reading("p50_few", 20e-6),
            reading("p50_few", 10e-6),
            reading("p50_few", 30e-6),
            reading("p50_all", 22e-6),
            reading("p99_few", 1.0),
            reading("resident_all", 1024.0 * 1024.0 * 900.0),
            reading("resident_each", 944.0),
            reading("close_part", 0.5),
            reading("close_all", 5.5),
            reading("came", 40_000.0),
        ]];
        let all = text(&example(vec![Outcome::new(Column::Million { idle: 1_000_000 }, &[vec![], samples])]));
        let rows: Vec<Vec<_>> = all
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| --"))
            .map(|row| row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect();
        let wanted: [&[_]; 4] = [
            &["with", "1000", "1000000", "ratio"],
            &["round trip of 1 octet: p50", "µs", "20.0 (10.0 to 30.0)", "22.0", "1.10"],
            &["closing", "100000", "999000", "ratio"],
            &["all closed in", "ms", "500", "5,500", "11.00"],
        ];
        assert_eq!(rows, wanted, "{all}");
        for line in ["how fast all came: 40,000 /s", "server's memory for each of all: 944 octets"] {
            assert!(all.lines().any(|other| other == line), "{line}: {all}");
        }
        assert!(!all.contains(FAILED), "the kernel is not asked: {all}");
    }
}
