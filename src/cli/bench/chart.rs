//! The ratios as a plot: a bar for each server and figure, longer where it does better than the kernel.

use tunstack::observe::plot::{BarRow, bars};

use super::conditions::Conditions;
use super::figures::{Row, Shown};
use super::matrix::Results;
use super::table;

/// How many times better than the kernel a server is.
fn times_better(row: &Row, lane: usize) -> Option<f64> {
    let ratio = row.ratio(lane)?;
    let better = if row.figure.less_is_better { 1.0 / ratio } else { ratio };
    better.is_finite().then_some(better)
}

/// An SVG document.
pub(super) fn draw(results: &Results) -> Result<String, String> {
    let servers = results.names.len() - 1;
    let rows: Vec<_> = results
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.rows.iter().map(move |row| (outcome, row)))
        .filter(|(_, row)| row.figure.shown == Shown::Above)
        .map(|(outcome, row)| BarRow {
            title: table::title(outcome, row),
            ratios: (1..=servers).map(|lane| times_better(row, lane)).collect(),
        })
        .collect();
    let of = &results.conditions;
    let title = "How many times as good as the kernel over veth";
    bars(title, &heading(of), &results.names[1..], &rows).map_err(|e| e.to_string())
}

fn heading(of: &Conditions) -> String {
    let how = [of.uring_text(), of.steer_text(), of.gro_text()].concat();
    format!("MTU {}, offload {}{how}; {}", of.mtu, of.offload, of.host())
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Outcome, Reading};
    use super::super::plan::Column;
    use super::super::report::example;
    use super::*;

    #[test]
    fn the_heading_says_how_the_device_was_read_and_steered() {
        let mut of = example(vec![]).conditions;
        of.offload = "off".to_owned();
        assert_eq!(heading(&of), "MTU 1500, offload off; 2 x Abacus, 2.50 GHz nominal, Linux 6.99");
        of.uring = false;
        assert_eq!(
            heading(&of),
            "MTU 1500, offload off, no io_uring; 2 x Abacus, 2.50 GHz nominal, Linux 6.99"
        );
        (of.steer, of.gro) = (true, true);
        assert!(heading(&of).starts_with("MTU 1500, offload off, no io_uring, flows steered, GRO; 2 x"));
    }

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
        let row = |title: &str, ratios| BarRow { title: title.to_owned(), ratios };
        let names = ["one".to_owned(), "two".to_owned()];
        let rows = [row("a row", vec![Some(0.5), None]), row("another", vec![Some(9.0), Some(1.0)])];
        let drawing = bars("what", "here", &names, &rows).unwrap();
        for part in ["<svg", "a row", "another", "one", "two", "0.50", "9.00", "failed", "what", "here"] {
            assert!(drawing.contains(part), "{part}: {drawing}");
        }
        assert!(bars("what", "here", &names, &[]).is_err());
        assert!(bars("what", "here", &[], &rows).is_err());
    }
}
