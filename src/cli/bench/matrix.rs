//! All columns over all servers, in turn.

use serde_json::{Value, json};

use super::super::output::{Failure, Output, complain};
use super::super::race::progress;
use super::conditions::Conditions;
use super::figures::{Outcome, Reading};
use super::lanes::{self, Lane};
use super::plan::{Column, Plan};
use super::{load, serve};

/// What was measured.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) conditions: Conditions,
    /// The servers' names: the kernel, this stack, and peers.
    pub(super) names: Vec<String>,
    pub(super) outcomes: Vec<Outcome>,
    /// What went wrong.
    pub(super) failures: Vec<String>,
}

pub(super) fn run(plan: &Plan, out: Output) -> Result<Results, Failure> {
    for column in &plan.columns {
        if let Column::Million { idle } = *column {
            load::million::enough_memory(idle)?;
        }
    }
    let conditions = Conditions::of(plan, lanes::prepare(plan)?);
    serve::raise_limit()?;
    let servers = lanes::count(plan);
    // They run until the end; those that do not come up now never will.
    let mut lanes = (0..servers).map(|n| lanes::start(n, plan).map(Some)).collect::<Result<Vec<_>, _>>()?;
    let names = distinct(lanes.iter().flatten().map(|lane| lane.name.clone()));
    let steps = |column: &Column| column.runs(plan) * (0..servers).filter(|n| column.is_over(*n)).count();
    let bar = progress(plan.columns.iter().map(steps).sum::<usize>() as u64, out);
    let (mut outcomes, mut failures) = (Vec::new(), Vec::new());
    for &column in &plan.columns {
        let mut readings: Vec<Vec<Vec<Reading>>> = vec![Vec::new(); servers];
        for run in 0..column.runs(plan) {
            // Another one first each time.
            for n in (0..servers).map(|n| (n + run) % servers).filter(|n| column.is_over(*n)) {
                let title = format!("{}, {}", column.title(), names[n]);
                bar.set_message(title.clone());
                let tell = |what: &str| bar.set_message(format!("{title}: {what}"));
                match once(column, n, &mut lanes[n], plan, &tell) {
                    Ok(reading) => {
                        out.object(|| event(column, &names[n], run, &reading));
                        readings[n].push(reading);
                    }
                    Err(Failure::Failed(why)) => {
                        bar.suspend(|| complain(&why));
                        out.object(|| {
                            json!({
                                "event": "failure", "column": column.to_string(), "server": names[n],
                                "run": run + 1, "why": why,
                            })
                        });
                        failures.push(why);
                        // A new one for the next column.
                        lanes[n] = None;
                    }
                    Err(other) => return Err(other),
                }
                bar.inc(1);
            }
        }
        outcomes.push(Outcome::new(column, &readings));
    }
    bar.finish_and_clear();
    Ok(Results { conditions, names, outcomes, failures })
}

fn once(
    column: Column,
    n: usize,
    lane: &mut Option<Lane>,
    plan: &Plan,
    tell: &dyn Fn(&str),
) -> Result<Vec<Reading>, Failure> {
    if column.wants_new_server() {
        *lane = None;
    }
    let lane = match lane {
        Some(lane) => lane,
        None => lane.insert(lanes::start(n, plan)?),
    };
    load::measure(column, lane, plan, tell).map_err(|failure| match failure {
        // What the client sees of it is a connection reset at the most.
        Failure::Failed(why) => match lane.end() {
            Some(end) if !why.contains(&end) => Failure::Failed(format!("{why} ({end})")),
            _ => Failure::Failed(why),
        },
        other => other,
    })
}

/// The names of servers, each another one: in JSON they are keys.
fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        let again = (2..).map(|n| format!("{name} {n}"));
        let free = [name.clone()].into_iter().chain(again).find(|name| !all.contains(name));
        all.extend(free);
    }
    all
}

fn event(column: Column, server: &str, run: usize, readings: &[Reading]) -> Value {
    let mut values = serde_json::Map::new();
    for reading in readings {
        let value = Value::from(reading.value);
        match values.get_mut(reading.name) {
            None => {
                values.insert(reading.name.to_owned(), value);
            }
            Some(Value::Array(several)) => several.push(value),
            // What gives all its samples in one run.
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    json!({
        "event": "run", "column": column.to_string(), "server": server, "run": run + 1, "readings": values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_run_are_a_list() {
        let readings = [("p50_few", 1.0), ("came", 9.0), ("p50_few", 2.0), ("p50_few", 3.0)];
        let readings = readings.map(|(name, value)| Reading::new(name, value));
        let told = event(Column::Million { idle: 10 }, "own", 0, &readings);
        assert_eq!(told["readings"], json!({ "p50_few": [1.0, 2.0, 3.0], "came": 9.0 }));
    }

    #[test]
    fn each_server_has_a_name_of_its_own() {
        let names = ["kernel", "a", "kernel", "a", "a 2"].map(ToOwned::to_owned);
        assert_eq!(distinct(names.into_iter()), ["kernel", "a", "kernel 2", "a 2", "a 2 2"]);
    }
}
