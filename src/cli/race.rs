//! `tunstack race`: congestion control algorithms over an impaired link, in a table and as a plot.

mod setup;

mod simulated;

pub(crate) mod table;

mod figure;

mod cells;

mod kernel;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::common::{Common, seconds};
use super::output::{Failure, Output};
use setup::{Queue, Setup, Zoom};

const EXAMPLES: &str = "\
Examples:
  tunstack race --cc reno --link 100mbit,20ms --seconds 30 --svg reno.svg
  tunstack race --cc reno,cubic,bbr --link 100mbit,40ms,1% --flows 2 --seconds 60
  tunstack race --cc cubic,bbr --together --link 20mbit,25ms --queue 4bdp
  tunstack race --cc cubic --link 100mbit,50ms --flows 2 --seconds 60 --no-slow-start-pacing
  sudo tunstack race --kernel --cc cubic --cells default

Time is virtual: the links and the hosts are simulated, a minute of them goes by in a second or so, and the
same seed gives the same run. With --kernel time is real: the host's kernel and this stack send in turn over
the same impaired device, in a network namespace that is made for it and goes with it.

Share is goodput by the link's rate; headers take 3.5 % of packets of 1500 octets. Queue delays are those of
packets with data that were not dropped. Fairness is Jain's index: 1 when all flows get the same.";

/// Arguments of `race`.
#[derive(ClapArgs, Debug, Clone)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RaceArgs {
    /// The algorithms, each with a link of its own
    #[arg(long, value_name = "NAME,…", default_value = "cubic", value_delimiter = ',')]
    cc: Vec<String>,
    /// Let all algorithms share one link
    #[arg(long, conflicts_with = "kernel")]
    together: bool,
    /// Flows of each algorithm
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    #[arg(conflicts_with = "kernel")]
    flows: u16,
    /// How long to send; with --kernel about how long each run should take at the rate that is expected
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    seconds: Duration,
    /// What the link's queue holds, each way: 1bdp, 64k, 100p
    ///
    /// A multiple of the bandwidth-delay product (rate times both delays), octets (k, m: powers of 1024), or packets.
    #[arg(long, value_name = "SIZE", default_value = "1bdp", value_parser = setup::queue)]
    queue: Queue,
    /// Let each flow begin so many seconds after the one before it
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "kernel")]
    stagger: Option<Duration>,
    /// Let windows leave at once in slow start, as Linux does where the queueing discipline is not fq
    ///
    /// Without this 1.25 windows leave in a round trip of slow start, of a window less than 128 segments as many as of 128:
    /// flows that begin together over a long path share it more evenly so, and short queues run over less. BBR paces all it
    /// sends in any case.
    #[arg(long)]
    no_slow_start_pacing: bool,
    /// What decides all chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write a plot to FILE, as SVG: windows, round trips, throughput, and a time-sequence graph
    #[arg(long, value_name = "FILE", conflicts_with = "kernel")]
    svg: Option<PathBuf>,
    /// The part that the time-sequence graph shows, in seconds [default: around the first retransmission]
    #[arg(long, value_name = "FROM..TO", value_parser = setup::zoom, requires = "svg")]
    zoom: Option<Zoom>,
    /// Race this stack against the host's kernel, in real time: needs root
    #[arg(long)]
    kernel: bool,
    /// The links of a race with the kernel: `default` for twelve with loss and delay, instead of --link
    #[arg(long, value_name = "NAME", value_parser = ["default"], requires = "kernel")]
    cells: Option<String>,
    /// How often each of both sends, in turn
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=99))]
    #[arg(requires = "kernel")]
    runs: u16,
}

/// Runs `race`.
pub(crate) fn main(common: &Common, args: RaceArgs) -> Result<(), Failure> {
    let out = Output::stdout(common.json);
    let setup = Setup::new(common, &args)?;
    if args.kernel {
        return kernel::main(&setup, &args, out);
    }
    let begun = Instant::now();
    let races = simulated::run(&setup, out)?;
    let rows: Vec<_> = races.iter().flat_map(|race| race.rows.iter()).collect();
    for row in &rows {
        out.object(|| table::object(row, &setup));
    }
    out.text(|| table::text(&rows, &setup));
    if let Some(path) = &args.svg {
        let drawing = figure::draw(&races, &setup, args.zoom).map_err(|e| Failure::Failed(e.to_string()))?;
        let cannot = |e| Failure::of(format!("cannot write {}", path.display()), &e);
        std::fs::write(path, drawing).map_err(cannot)?;
        out.text(|| format!("\nplot: {}", path.display()));
    }
    let took = begun.elapsed().as_secs_f64();
    out.object(|| json!({ "event": "summary", "command": "race", "ok": true, "seconds": took }));
    Ok(())
}

pub(crate) fn progress(steps: u64, out: Output) -> ProgressBar {
    if out.is_json() || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {percent} % {wide_msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
