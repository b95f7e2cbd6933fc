//! How the algorithms fared, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::setup::Setup;
use super::simulated::Row;

/// A table with columns as wide as they must be; the first is flush left.
pub(super) fn aligned(header: &[&str], rows: &[Vec<String>]) -> String {
    let wide = |n: usize| {
        let cells = rows.iter().map(|row| row[n].chars().count());
        cells.chain([header[n].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..header.len()).map(wide).collect();
    let line = |cells: Vec<&str>| {
        let cell = |(n, text): (usize, &&str)| match n {
            0 => format!("{text:<width$}", width = widths[n]),
            _ => format!("{text:>width$}", width = widths[n]),
        };
        cells.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ")
    };
    let mut lines = vec![line(header.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// The same as Markdown.
pub(crate) fn markdown(header: &[&str], rows: &[Vec<String>]) -> String {
    let wide = |n: usize| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0);
    let rule: Vec<_> = header
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let dashes = "-".repeat(name.chars().count().max(wide(n)).max(4) - 1);
            if n == 0 { format!("{dashes}-") } else { format!("{dashes}:") }
        })
        .collect();
    let mut all = vec![rule];
    all.extend_from_slice(rows);
    let text = aligned(header, &all);
    let widths: Vec<_> = all[0].iter().map(|cell| cell.chars().count()).collect();
    let cut = |line: &str| {
        let mut left: Vec<char> = line.chars().rev().collect();
        let cells = widths.iter().map(|width| {
            let cell: String = (0..*width).filter_map(|_| left.pop()).collect();
            left.truncate(left.len().saturating_sub(2));
            format!(" {cell} |")
        });
        format!("|{}", cells.collect::<String>())
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

/// Bits a second, with three digits.
pub(super) fn rate(bps: f64) -> String {
    let (value, unit) = match bps {
        b if b >= 1e9 => (b / 1e9, "Gbit/s"),
        b if b >= 1e6 => (b / 1e6, "Mbit/s"),
        b => (b / 1e3, "kbit/s"),
    };
    match value {
        v if v >= 100.0 => format!("{v:.0} {unit}"),
        v if v >= 10.0 => format!("{v:.1} {unit}"),
        v => format!("{v:.2} {unit}"),
    }
}

pub(super) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis >= 100.0 { format!("{millis:.0} ms") } else { format!("{millis:.1} ms") }
}

/// The table, under a line that says what was run.
pub(super) fn text(rows: &[&Row], setup: &Setup) -> String {
    let header = [
        "algorithm",
        "goodput",
        "share",
        "sent again",
        "timeouts",
        "probes",
        "queue mean",
        "p95",
        "fairness",
    ];
    let none = || "-".to_owned();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let resent = 100.0 * row.resent_octets as f64 / (row.sent_octets.max(1)) as f64;
            vec![
                row.algorithm.clone(),
                rate(row.goodputs.iter().sum()),
                row.share.map_or_else(none, |share| format!("{:.1} %", 100.0 * share)),
                format!("{} ({resent:.2} %)", row.retransmits),
                row.timeouts.to_string(),
                row.probes.map_or_else(none, |n| n.to_string()),
                row.queue_delay.map_or_else(none, |(mean, _)| millis(mean)),
                row.queue_delay.map_or_else(none, |(_, p95)| millis(p95)),
                if row.goodputs.len() > 1 { format!("{:.3}", row.fairness) } else { none() },
            ]
        })
        .collect();
    let flows = if setup.flows == 1 { "1 flow".to_owned() } else { format!("{} flows", setup.flows) };
    let how = if setup.together { "all on one link" } else { "each on a link of its own" };
    format!(
        "{flows} an algorithm, {how}: {}; {} s, seed {}\n\n{}",
        setup.link_text(),
        setup.seconds.as_secs_f64(),
        setup.seed,
        aligned(&header, &cells)
    )
}

/// A row as an object.
pub(super) fn object(row: &Row, setup: &Setup) -> Value {
    let reasons: serde_json::Map<_, _> =
        row.reasons.iter().map(|(reason, n)| ((*reason).to_owned(), Value::from(*n))).collect();
    let seconds =
        |pick: fn(&(Duration, Duration)) -> Duration| row.queue_delay.as_ref().map(|d| pick(d).as_secs_f64());
    json!({
        "event": "result",
        "algorithm": row.algorithm,
        "slow_start_paced": setup.pace_slow_start,
        "goodput_bps": row.goodputs.iter().sum::<f64>(),
        "flows_bps": row.goodputs,
        "share": row.share,
        "retransmits": row.retransmits,
        "octets_sent": row.sent_octets,
        "octets_resent": row.resent_octets,
        "reasons": reasons,
        "timeouts": row.timeouts,
        "probes": row.probes,
        "queue_delay_mean": seconds(|d| d.0),
        "queue_delay_p95": seconds(|d| d.1),
        "fairness": row.fairness,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [vec!["a".to_owned(), "1000".to_owned()], vec!["bcd".to_owned(), "2".to_owned()]];
        assert_eq!(aligned(&["x", "n"], &rows), "x       n\na    1000\nbcd     2");
        let table = "| x    |    n |\n| ---- | ---: |\n| a    | 1000 |\n| bcd  |    2 |";
        assert_eq!(markdown(&["x", "n"], &rows), table);
    }

    #[test]
    fn rates_and_times() {
        let rates = [999.0, 12_345.0, 1e6, 45.67e6, 456.7e6, 9.5e9].map(rate);
        assert_eq!(
            rates,
            ["1.00 kbit/s", "12.3 kbit/s", "1.00 Mbit/s", "45.7 Mbit/s", "457 Mbit/s", "9.50 Gbit/s"]
        );
        assert_eq!(millis(Duration::from_micros(1_250)), "1.2 ms");
        assert_eq!(millis(Duration::from_millis(250)), "250 ms");
    }
}
