//! The results for programs: told, kept in a file, and read from it again.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::output::Failure;
use super::conditions::Conditions;
use super::figures::{Figure, Outcome, Row};
use super::matrix::Results;
use super::plan::{Column, LEAST_IDLE};

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
pub(super) fn document(measured: &Results) -> Value {
    let crowd = measured.outcomes.iter().find_map(|outcome| match outcome.column {
        Column::Crowd { connections } => Some(connections),
        _ => None,
    });
    let idle = measured.outcomes.iter().find_map(|outcome| match outcome.column {
        Column::Million { idle } => Some(idle),
        _ => None,
    });
    let mut all = measured.conditions.to_json();
    all.insert("connections".to_owned(), json!(crowd));
    all.insert("idle".to_owned(), json!(idle));
    all.insert("servers".to_owned(), json!(measured.names));
    all.insert("failures".to_owned(), json!(measured.failures));
    all.insert("results".to_owned(), results(measured).into());
    all.into()
}

/// What [`document`] wrote to a file.
pub(super) fn load(path: &Path) -> Result<Results, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|e| Failure::of(format!("cannot read {shown}"), &e))?;
    let document: Value =
        serde_json::from_str(&text).map_err(|e| Failure::Failed(format!("{shown} is no JSON: {e}")))?;
    parse(&document)
        .ok_or_else(|| Failure::Failed(format!("{shown} is not what tunstack bench --save writes")))
}

/// Medians and ratios are reckoned again from the runs.
fn parse(document: &Value) -> Option<Results> {
    let texts = |name: &str| -> Option<Vec<String>> {
        document[name].as_array()?.iter().map(|text| Some(text.as_str()?.to_owned())).collect()
    };
    let names = texts("servers")?;
    let number = |name: &str| document[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let (crowd, idle) = (number("connections"), number("idle"));
    let mut outcomes: Vec<Outcome> = Vec::new();
    for result in document["results"].as_array()? {
        let column = Column::named(result["column"].as_str()?, crowd, idle)?;
        if matches!(column, Column::Million { idle } if idle < LEAST_IDLE) {
            return None;
        }
        let runs = |name: &String| -> Option<Vec<f64>> {
            result["runs"][name].as_array()?.iter().map(Value::as_f64).collect()
        };
        let row = Row {
            figure: Figure::of(result["figure"].as_str()?)?,
            runs: names.iter().map(runs).collect::<Option<_>>()?,
        };
        match outcomes.iter_mut().find(|outcome| outcome.column == column) {
            Some(outcome) => outcome.rows.push(row),
            None => outcomes.push(Outcome { column, rows: vec![row] }),
        }
    }
    let conditions = Conditions::from_json(document)?;
    let there = !names.is_empty() && !outcomes.is_empty();
    there.then_some(Results { conditions, names, outcomes, failures: texts("failures")? })
}

/// Results of two servers, measured nowhere.
#[cfg(test)]
pub(super) fn example(outcomes: Vec<Outcome>) -> Results {
    let conditions = Conditions {
        version: "0.0.1".to_owned(),
        machine: "2 x Abacus".to_owned(),
        hertz: Some(2.5e9),
        kernel: "6.99".to_owned(),
        mtu: 1500,
        offload: "on".to_owned(),
        shards: 1,
        uring: true,
        steer: false,
        gro: false,
        spin: None,
        seconds: 0.5,
        runs: 1,
    };
    let names = ["kernel", "other"].map(ToOwned::to_owned).to_vec();
    Results { conditions, names, outcomes, failures: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Reading;
    use super::super::table;
    use super::*;

    #[test]
    fn servers_have_their_names() {
        let lanes = [vec![vec![Reading::new("requests", 10.0)]], vec![]];
        let measured = example(vec![Outcome::new(Column::Http { connections: 4 }, &lanes)]);
        let [row] = &results(&measured)[..] else { panic!("one row") };
        assert_eq!((&row["column"], &row["figure"]), (&json!("http-4"), &json!("requests")));
        assert_eq!(row["median"], json!({ "kernel": 10.0, "other": null }));
        assert_eq!(row["runs"], json!({ "kernel": [10.0], "other": [] }));
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let runs = |name, values: &[f64]| values.iter().map(|v| vec![Reading::new(name, *v)]).collect();
        let http = [runs("requests", &[10.5, 11.0, 9.0]), vec![]];
        let crowd = [runs("connects", &[1.0]), runs("connects", &[0.25])];
        let sample = |value| Reading::new("p50_few", value);
        let million = [vec![], vec![vec![sample(2.5e-5), sample(3e-5), Reading::new("p50_all", 4e-5)]]];
        let mut measured = example(vec![
            Outcome::new(Column::Http { connections: 4 }, &http),
            Outcome::new(Column::Crowd { connections: 77 }, &crowd),
            Outcome::new(Column::Million { idle: 500 }, &million),
        ]);
        for hertz in [Some(2.5e9), None] {
            measured.conditions.hertz = hertz;
            measured.failures.push("something".to_owned());
            let document = document(&measured);
            let text = format!("{document:#}");
            let again = parse(&serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!((&again.conditions, &again.failures), (&measured.conditions, &measured.failures));
            assert_eq!(table::text(&again), table::text(&measured));
            assert_eq!(super::document(&again), document);
            assert!(table::text(&again).contains("77 connections at once"));
            assert!(table::text(&again).contains("500 idle connections"));
        }
    }

    #[test]
    fn another_file_is_refused() {
        let lanes = [vec![vec![Reading::new("requests", 10.0)]], vec![]];
        let good = document(&example(vec![Outcome::new(Column::Http { connections: 4 }, &lanes)]));
        assert!(parse(&good).is_some());
        let changes: [(&str, Value); 5] = [
            ("/results/0/column", json!("sideways-4")),
            ("/results/0/figure", json!("luck")),
            ("/results/0/runs/other", json!(null)),
            ("/results", json!([])),
            ("/mtu", json!("large")),
        ];
        let few = Column::Million { idle: LEAST_IDLE - 1 };
        let lanes = [vec![], vec![vec![Reading::new("came", 1.0)]]];
        assert!(parse(&document(&example(vec![Outcome::new(few, &lanes)]))).is_none());
        for (at, value) in changes {
            let mut bad = good.clone();
            *bad.pointer_mut(at).unwrap() = value;
            assert!(parse(&bad).is_none(), "{at}");
        }
        assert!(parse(&json!([1])).is_none() && parse(&json!({})).is_none());
    }
}
