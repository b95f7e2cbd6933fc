//! A race with the host's kernel, in real time: both send over the same impaired device, in turn.
//!
//! ```text
//!   kernel's socket ── TUN ── impaired link, each way ── this stack
//! ```
//!
//! All of it is in a network namespace that this program makes for itself: it starts itself again under `unshare`. The
//! device has no offloads, so that each packet is one of the MTU's size at the most, whoever sends it.

mod lane;

use std::fs;

use serde_json::json;
use tunstack::core::config::Config;
use tunstack::device::netlink;
use tunstack::sim::bottleneck::set_algorithm;
use tunstack::sim::link::{LinkConfig, QueueLimit};

use super::super::apart::{apart, needs_root};
use super::super::output::{Failure, Output};
use super::RaceArgs;
use super::cells::{Cell, cells};
use super::setup::Setup;
use super::table::{markdown, rate};
use lane::{Sender, Sent};

/// What needs rights.
const RACE: &str = "a race with the kernel";

/// The namespace's settings: room for any window, and nothing remembered from one run to the next.
const SETTINGS: [(&str, &str); 4] = [
    ("tcp_wmem", "4096 16777216 67108864"),
    ("tcp_rmem", "4096 16777216 67108864"),
    ("tcp_no_metrics_save", "1"),
    ("tcp_slow_start_after_idle", "1"),
];

/// How both did on one link with one algorithm.
struct Outcome {
    algorithm: String,
    cell: Cell,
    kernel: Vec<Sent>,
    ours: Vec<Sent>,
}

pub(super) fn main(setup: &Setup, args: &RaceArgs, out: Output) -> Result<(), Failure> {
    for name in &setup.algorithms {
        set_algorithm(&mut Config::default(), name).map_err(|e| Failure::Usage(format!("--cc: {e}")))?;
        if !kernel_has(name)? {
            let text = format!("--cc {name}: the kernel has no such algorithm (try: modprobe tcp_{name})");
            return Err(Failure::Failed(text));
        }
    }
    apart(RACE)?;
    inside(setup, args, out)
}

/// Whether the kernel can use the algorithm of that name.
fn kernel_has(name: &str) -> Result<bool, Failure> {
    let path = "/proc/sys/net/ipv4/tcp_available_congestion_control";
    let text = fs::read_to_string(path).map_err(|e| Failure::of(format!("cannot read {path}"), &e))?;
    Ok(text.split_whitespace().any(|known| known == name))
}

fn inside(setup: &Setup, args: &RaceArgs, out: Output) -> Result<(), Failure> {
    // Whoever may make a namespace need not be its root.
    netlink::set_up("lo", true).map_err(|_| needs_root(RACE))?;
    for (name, value) in SETTINGS {
        let path = format!("/proc/sys/net/ipv4/{name}");
        fs::write(&path, value).map_err(|e| Failure::of(format!("cannot set {path}"), &e))?;
    }
    let cells = cells(setup, args.cells.is_some());
    let runs = u64::from(args.runs);
    let bar = super::progress(2 * runs * (cells.len() * setup.algorithms.len()) as u64, out);
    let mut outcomes = Vec::new();
    for algorithm in &setup.algorithms {
        for cell in &cells {
            let (mut kernel, mut ours) = (Vec::new(), Vec::new());
            for run in 0..runs {
                // In turn, and the other one first each time.
                let order = [Sender::Kernel, Sender::Ours];
                let order = if run % 2 == 0 { order } else { [order[1], order[0]] };
                for sender in order {
                    bar.set_message(format!("{algorithm} over {}, {}", cell.link, sender.name()));
                    let sent = lane::run(sender, algorithm, cell, setup, setup.seed + run)?;
                    out.object(|| object(algorithm, cell, sender, &sent));
                    match sender {
                        Sender::Kernel => kernel.push(sent),
                        Sender::Ours => ours.push(sent),
                    }
                    bar.inc(1);
                }
            }
            outcomes.push(Outcome { algorithm: algorithm.clone(), cell: *cell, kernel, ours });
        }
    }
    bar.finish_and_clear();
    out.text(|| table(&outcomes, setup, args.runs));
    for outcome in &outcomes {
        out.object(|| {
            let (kernel, ours) = (median(&outcome.kernel), median(&outcome.ours));
            json!({
                "event": "result",
                "algorithm": outcome.algorithm,
                "link": outcome.cell.link.to_string(),
                "kernel_bps": kernel,
                "ours_bps": ours,
                "ratio": ours / kernel,
            })
        });
    }
    out.object(|| json!({ "event": "summary", "command": "race", "ok": true }));
    Ok(())
}

fn goodputs(runs: &[Sent]) -> Vec<f64> {
    let mut goodputs: Vec<_> = runs.iter().map(Sent::goodput).collect();
    goodputs.sort_by(f64::total_cmp);
    goodputs
}

fn median(runs: &[Sent]) -> f64 {
    let sorted = goodputs(runs);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// A table in Markdown.
fn table(outcomes: &[Outcome], setup: &Setup, runs: u16) -> String {
    let header = [
        "algorithm",
        "link each way",
        "MB",
        "kernel",
        "tunstack",
        "tunstack / kernel",
        "sent again",
        "timeouts",
    ];
    let cells: Vec<Vec<String>> = outcomes
        .iter()
        .map(|outcome| {
            let with_range = |runs: &[Sent]| {
                let sorted = goodputs(runs);
                let (low, high) = (sorted[0] / 1e6, sorted[sorted.len() - 1] / 1e6);
                format!("{} ({low:.2} to {high:.2})", rate(median(runs)))
            };
            let mean =
                |runs: &[Sent], of: fn(&Sent) -> u64| runs.iter().map(of).sum::<u64>() / runs.len() as u64;
            let (kernel, ours) = (&outcome.kernel, &outcome.ours);
            let plain = LinkConfig { queue: QueueLimit::default(), ..outcome.cell.link };
            vec![
                outcome.algorithm.clone(),
                plain.to_string(),
                format!("{:.1}", outcome.cell.octets as f64 / 1e6),
                with_range(kernel),
                with_range(ours),
                format!("{:.2}", median(ours) / median(kernel)),
                format!("{} / {}", mean(kernel, |s| s.retransmits), mean(ours, |s| s.retransmits)),
                format!("{} / {}", mean(kernel, |s| s.timeouts), mean(ours, |s| s.timeouts)),
            ]
        })
        .collect();
    let unpaced = if setup.pace_slow_start { "" } else { " tunstack does not pace slow start." };
    format!(
        "Goodput of one flow: median (least to most, Mbit/s) of {runs} runs of each sender, in turn; queue {} each way;\n\
         segments sent again and timeouts: means, kernel / tunstack.{unpaced}\n\n{}",
        setup.queue.text(),
        markdown(&header, &cells)
    )
}

fn object(algorithm: &str, cell: &Cell, sender: Sender, sent: &Sent) -> serde_json::Value {
    json!({
        "event": "run",
        "algorithm": algorithm,
        "link": cell.link.to_string(),
        "sender": sender.name(),
        "octets": sent.octets,
        "seconds": sent.took.as_secs_f64(),
        "goodput_bps": sent.goodput(),
        "retransmits": sent.retransmits,
        "timeouts": sent.timeouts,
        "probes": sent.probes,
    })
}
