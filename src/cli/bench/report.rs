//! The results for programs.

use serde_json::{Map, Value, json};

use super::figures::{Outcome, Row};
use super::matrix::Results;
use super::plan::Plan;
use super::proc;

/// An object for each figure of each column.
pub(super) fn results(results: &Results) -> Vec<Value> {
    let rows = results.outcomes.iter().flat_map(|o| o.rows.iter().map(move |row| (o, row)));
    rows.map(|(outcome, row)| result(outcome, row, &results.names)).collect()
}

/// A row. Throughput is in octets a second, times are in seconds, processor time in nanoseconds for a KiB.
fn result(outcome: &Outcome, row: &Row, names: &[String]) -> Value {
    let each = |of: &dyn Fn(usize) -> Value| -> Map<String, Value> {
        names.iter().enumerate().map(|(lane, name)| (name.clone(), of(lane))).collect()
    };
    json!({
        "event": "result",
        "column": outcome.column.to_string(),
        "figure": row.figure.name,
        "less_is_better": row.figure.less_is_better,
        "median": each(&|lane| row.median(lane).into()),
        "ratio": each(&|lane| row.ratio(lane).into()),
        "runs": each(&|lane| row.runs[lane].clone().into()),
    })
}

/// All of it, with what it was measured on.
pub(super) fn document(measured: &Results, plan: &Plan) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "machine": proc::machine(),
        "kernel": proc::kernel(),
        "mtu": plan.mtu,
        "offload": plan.offload_text(),
        "shards": plan.shards,
        "seconds": plan.seconds.as_secs_f64(),
        "runs": plan.runs,
        "servers": measured.names,
        "failures": measured.failures,
        "results": results(measured),
    })
}

#[cfg(test)]
mod tests {
    use super::super::figures::Reading;
    use super::super::plan::Column;
    use super::*;

    #[test]
    fn servers_have_their_names() {
        let lanes = [vec![vec![Reading::new("requests", 10.0)]], vec![]];
        let outcome = Outcome::new(Column::Http { connections: 4 }, &lanes);
        let measured = Results {
            names: vec!["kernel".into(), "other".into()],
            outcomes: vec![outcome],
            failures: vec![],
        };
        let [row] = &results(&measured)[..] else { panic!("one row") };
        assert_eq!((&row["column"], &row["figure"]), (&json!("http-4"), &json!("requests")));
        assert_eq!(row["median"], json!({ "kernel": 10.0, "other": null }));
        assert_eq!(row["runs"], json!({ "kernel": [10.0], "other": [] }));
    }
}
