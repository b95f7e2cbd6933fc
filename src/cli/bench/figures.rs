//! What was measured, and the statistics of it.

use std::time::Duration;

use super::plan::Column;
use Shown::{Above, No, Pair, Parts};

/// One number out of one run, by the name that it has in JSON.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Reading {
    pub(super) name: &'static str,
    pub(super) value: f64,
}

impl Reading {
    pub(super) const fn new(name: &'static str, value: f64) -> Self {
        Self { name, value }
    }
}

/// In what a number is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    /// Octets a second.
    Throughput,
    /// Something a second.
    PerSecond,
    /// Seconds, written as microseconds.
    Time,
    /// Nanoseconds for a KiB.
    NanosPerKib,
    /// Cycles for an octet.
    CyclesPerOctet,
    Octets,
    /// Octets, written as MiB.
    Mebibytes,
    /// Seconds, written as milliseconds.
    Millis,
    /// Of a run.
    Number,
}

/// Where people see a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shown {
    /// In the table and in the plot.
    Above,
    /// In the table of what processor time is made of.
    Parts,
    /// In the table of many idle connections, beside the same with few of them.
    Pair,
    /// Nowhere: it is for programs.
    No,
}

/// What a reading means.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    /// What the table calls it, behind the column's title; empty where that says all.
    pub(super) title: &'static str,
    pub(super) unit: Unit,
    pub(super) less_is_better: bool,
    pub(super) shown: Shown,
}

const fn figure(name: &'static str, title: &'static str, unit: Unit, less: bool, shown: Shown) -> Figure {
    Figure { name, title, unit, less_is_better: less, shown }
}

const FIGURES: [Figure; 52] = [
    figure("throughput", "", Unit::Throughput, false, Above),
    figure("cpu", "server's CPU", Unit::NanosPerKib, true, Above),
    figure("cpu_user", "server's CPU in user mode", Unit::NanosPerKib, true, Parts),
    figure("cpu_system", "server's CPU in the kernel", Unit::NanosPerKib, true, Parts),
    figure("cpu_machine", "the whole machine's CPU", Unit::NanosPerKib, true, Parts),
    figure("cycles", "server's cycles", Unit::CyclesPerOctet, true, Parts),
    figure("cycles_user", "server's cycles in user mode", Unit::CyclesPerOctet, true, Parts),
    figure("cycles_system", "server's cycles in the kernel", Unit::CyclesPerOctet, true, Parts),
    figure("cpu_each", "server's CPU each", Unit::Time, true, No),
    figure("p50", "p50", Unit::Time, true, Above),
    figure("p99", "p99", Unit::Time, true, Above),
    figure("longest", "longest", Unit::Time, true, No),
    figure("trips", "a second", Unit::PerSecond, false, No),
    figure("connections", "", Unit::PerSecond, false, Above),
    figure("connection_p50", "p50", Unit::Time, true, No),
    figure("connection_p99", "p99", Unit::Time, true, No),
    figure("failed", "failed", Unit::Number, true, No),
    figure("requests", "", Unit::PerSecond, false, Above),
    figure("request_p50", "p50", Unit::Time, true, No),
    figure("request_p99", "p99", Unit::Time, true, No),
    figure("datagrams", "", Unit::PerSecond, false, Above),
    figure("datagram_throughput", "text", Unit::Throughput, false, No),
    figure("sent", "sent", Unit::PerSecond, false, No),
    figure("connects", "connects", Unit::PerSecond, false, Above),
    figure("echoes", "echoes of 1 octet over all", Unit::PerSecond, false, Above),
    figure("echo_p50", "p50", Unit::Time, true, No),
    figure("echo_p99", "p99", Unit::Time, true, No),
    figure("resident", "resident", Unit::Octets, true, No),
    figure("slab", "slabs, both ends", Unit::Octets, true, No),
    figure("memory", "server's memory each", Unit::Octets, true, Above),
    figure("came", "how fast all came", Unit::PerSecond, false, Pair),
    figure("opened_few", "further ones, from another stack", Unit::PerSecond, false, Pair),
    figure("opened_all", "further ones, from another stack", Unit::PerSecond, false, Pair),
    figure("connections_1_few", "connect, close, 1 in flight", Unit::PerSecond, false, Pair),
    figure("connections_1_all", "connect, close, 1 in flight", Unit::PerSecond, false, Pair),
    figure("connections_64_few", "connect, close, 64 in flight", Unit::PerSecond, false, Pair),
    figure("connections_64_all", "connect, close, 64 in flight", Unit::PerSecond, false, Pair),
    figure("p50_few", "round trip of 1 octet: p50", Unit::Time, true, Pair),
    figure("p50_all", "round trip of 1 octet: p50", Unit::Time, true, Pair),
    figure("p99_few", "round trip of 1 octet: p99", Unit::Time, true, Pair),
    figure("p99_all", "round trip of 1 octet: p99", Unit::Time, true, Pair),
    figure("longest_few", "round trip of 1 octet: longest", Unit::Time, true, Pair),
    figure("longest_all", "round trip of 1 octet: longest", Unit::Time, true, Pair),
    figure("resident_few", "server's memory", Unit::Mebibytes, true, Pair),
    figure("resident_all", "server's memory", Unit::Mebibytes, true, Pair),
    figure("resident_each", "server's memory for each of all", Unit::Octets, true, Pair),
    figure("close_part", "all closed in", Unit::Millis, true, Pair),
    figure("close_all", "all closed in", Unit::Millis, true, Pair),
    figure("close_each_part", "each closed in", Unit::Time, true, Pair),
    figure("close_each_all", "each closed in", Unit::Time, true, Pair),
    figure("close_longest_part", "longest round trip meanwhile", Unit::Time, true, Pair),
    figure("close_longest_all", "longest round trip meanwhile", Unit::Time, true, Pair),
];

impl Figure {
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        FIGURES.iter().find(|figure| figure.name == name)
    }

    /// A number, in the unit of [`unit_text`](Self::unit_text).
    pub(super) fn text(&self, value: f64) -> String {
        match self.unit {
            Unit::Throughput => thousands(value / 1e6),
            Unit::Time => format!("{:.1}", value * 1e6),
            Unit::Millis => thousands(value * 1e3),
            Unit::Mebibytes => thousands(value / f64::from(1 << 20)),
            Unit::CyclesPerOctet => format!("{value:.3}"),
            Unit::PerSecond | Unit::NanosPerKib | Unit::Octets | Unit::Number => thousands(value),
        }
    }

    pub(super) const fn unit_text(&self) -> &'static str {
        match self.unit {
            Unit::Throughput => "MB/s",
            Unit::Time => "µs",
            Unit::PerSecond => "/s",
            Unit::NanosPerKib => "ns/KiB",
            Unit::CyclesPerOctet => "cycles/octet",
            Unit::Octets => "octets",
            Unit::Mebibytes => "MiB",
            Unit::Millis => "ms",
            Unit::Number => "",
        }
    }
}

/// A whole number with commas, or one digit after the point where it is small.
fn thousands(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let grouped: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    format!("{}{}", if value < 0.0 { "-" } else { "" }, grouped.join(","))
}

/// One figure of one column: of each server, in the order of the lanes, what its runs gave.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) figure: &'static Figure,
    pub(super) runs: Vec<Vec<f64>>,
}

impl Row {
    /// Of a server, unless all its runs failed.
    pub(super) fn median(&self, lane: usize) -> Option<f64> {
        median(self.runs.get(lane)?)
    }

    /// A server's median by that of the kernel.
    pub(super) fn ratio(&self, lane: usize) -> Option<f64> {
        let kernel = self.median(0).filter(|kernel| *kernel != 0.0)?;
        Some(self.median(lane)? / kernel)
    }
}

/// All that came of one column.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) column: Column,
    pub(super) rows: Vec<Row>,
}

impl Outcome {
    /// From the readings of each run of each server.
    pub(super) fn new(column: Column, lanes: &[Vec<Vec<Reading>>]) -> Self {
        let values = |name: &str| -> Vec<Vec<f64>> {
            let of = |runs: &Vec<Vec<Reading>>| {
                runs.iter().flatten().filter(|r| r.name == name).map(|r| r.value).collect()
            };
            lanes.iter().map(of).collect()
        };
        let there = |figure: &&Figure| values(figure.name).iter().any(|runs| !runs.is_empty());
        let mut rows: Vec<_> =
            FIGURES.iter().filter(there).map(|figure| Row { figure, runs: values(figure.name) }).collect();
        if let Some(figure) = Figure::of("memory").filter(|_| !rows.is_empty()) {
            let (resident, slab) = (values("resident"), values("slab"));
            if resident.iter().any(|runs| !runs.is_empty()) {
                rows.push(Row { figure, runs: memory(&resident, &slab) });
            }
        }
        Self { column, rows }
    }
}

/// What a connection takes at the server's end. The slabs hold both ends of the kernel's own connections, but of the
/// others the client's alone: what is beyond these is the kernel's server.
fn memory(resident: &[Vec<f64>], slab: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let client = slab.get(1).and_then(|runs| median(runs));
    let of = |(lane, runs): (usize, &Vec<f64>)| match (lane, client) {
        (0, None) => Vec::new(),
        (0, Some(client)) => {
            let slabs = slab.first().into_iter().flatten();
            runs.iter().zip(slabs).map(|(own, slab)| own + (slab - client).max(0.0)).collect()
        }
        _ => runs.clone(),
    };
    resident.iter().enumerate().map(of).collect()
}

pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// How long each of many took, in nanoseconds; what took four seconds or more counts as that.
#[derive(Clone, Default, Debug)]
pub(super) struct Times(Vec<u32>);

impl Times {
    pub(super) fn push(&mut self, time: Duration) {
        self.0.push(u32::try_from(time.as_nanos()).unwrap_or(u32::MAX));
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(super) const fn count(&self) -> usize {
        self.0.len()
    }

    /// The time, in seconds, that so many of a hundred do not exceed; 0 when there is none.
    pub(super) fn percentile(&mut self, percent: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return 0.0 };
        let rank = (self.0.len() as f64 * percent / 100.0).ceil() as usize;
        let (_, time, _) = self.0.select_nth_unstable(rank.saturating_sub(1).min(last));
        f64::from(*time) / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    /// Nearest rank: 99 of 100 do not exceed the 99th.
    #[test]
    fn percentiles() {
        let mut times = Times::default();
        assert_eq!(times.percentile(50.0), 0.0);
        (1..=100).rev().for_each(|n| times.push(Duration::from_nanos(n)));
        assert_eq!([1.0, 50.0, 99.0, 100.0].map(|p| times.percentile(p)), [1e-9, 5e-8, 9.9e-8, 1e-7]);
        let mut few = Times::default();
        few.push(Duration::from_secs(100));
        few.append(Times(vec![1, 2]));
        assert_eq!((few.count(), few.percentile(50.0)), (3, 2e-9));
        assert_eq!(few.percentile(99.0), f64::from(u32::MAX) / 1e9);
    }

    #[test]
    fn ratios_are_those_of_medians() {
        let reading = |value| vec![Reading::new("p50", value)];
        let lanes =
            [vec![reading(2.0), reading(4.0), reading(9.0)], vec![reading(1.0), reading(3.0)], vec![]];
        let outcome = Outcome::new(Column::Trips { octets: 1 }, &lanes);
        let [row] = &outcome.rows[..] else { panic!("{outcome:?}") };
        assert_eq!([0, 1, 2].map(|lane| row.median(lane)), [Some(4.0), Some(2.0), None]);
        assert_eq!([0, 1, 2].map(|lane| row.ratio(lane)), [Some(1.0), Some(0.5), None]);
    }

    #[test]
    fn memory_of_the_kernel_is_without_the_client() {
        let run = |resident, slab| vec![Reading::new("resident", resident), Reading::new("slab", slab)];
        let lanes = [vec![run(10.0, 5000.0)], vec![run(900.0, 3000.0), run(800.0, 3000.0)]];
        let outcome = Outcome::new(Column::Crowd { connections: 2 }, &lanes);
        let memory = outcome.rows.iter().find(|row| row.figure.name == "memory").unwrap();
        assert_eq!([memory.median(0), memory.median(1)], [Some(2010.0), Some(850.0)]);
    }

    #[test]
    fn numbers_for_people() {
        let names = ["throughput", "p50", "requests"].map(|name| Figure::of(name).unwrap());
        assert_eq!(names[0].text(1_234.5e6), "1,234");
        assert_eq!(names[1].text(12.34e-6), "12.3");
        assert_eq!(
            [7.0, 99.94, 1e6, 123_456.7].map(|v| names[2].text(v)),
            ["7.0", "99.9", "1,000,000", "123,457"]
        );
        assert_eq!(thousands(-1234.0), "-1,234");
        let [resident, close] = ["resident_all", "close_all"].map(|name| Figure::of(name).unwrap());
        assert_eq!([resident.text(1.5e9), close.text(12.3456)], ["1,431", "12,346"]);
    }
}
