//! `tunstack bench`: this stack beside the host's kernel, measured in the same run, in turn.
//!
//! ```text
//!   namespace made for it                                        another one
//!   load generator, on the kernel's sockets ── veth ──────────── server on the kernel's sockets
//!                                        └──── TUN ── this stack, and the same server on its sockets
//! ```
//!
//! Each server is a process of its own, so that its processor time and memory are its own as well.

mod plan;

mod proc;

mod conditions;

mod figures;

mod child;

mod lanes;

mod serve;

mod load;

mod matrix;

mod table;

mod report;

mod chart;

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use serde_json::json;

use super::apart::{apart, is_apart};
use super::common::{Common, seconds};
use super::output::{Failure, Output};
use plan::Plan;

const EXAMPLES: &str = "\
Examples:
  sudo tunstack bench --quick
  sudo tunstack bench --svg bench.svg --save bench.json
  tunstack bench --from bench.json --svg bench.svg
  sudo tunstack bench --only up,down --streams 1,16 --seconds 5 --runs 9
  sudo tunstack bench --only up,down,rr --shards 2
  sudo tunstack bench --only million
  sudo tunstack bench --offload off --peer-command target/release/examples/peer_smoltcp

What is measured (--only takes these names, and those of single rows such as up-4):
  up, down, both   octets a second to the server, from it, and both at once, over --streams
                   connections; and the processor time of the server for each KiB, below in user
                   mode and in the kernel, and beside it that of the whole machine
  rr               round trips of 1 octet and of 1 KiB on one connection: median and 99th
                   percentile
  request          connections a second that carry one octet each way, 1, 4 and 64 at a time
  connect          the same without the octet: connect, then close, but for a few with one, so
                   that no more than some 2,000 wait to be accepted
  http             requests of 1,000 octets a second over 1 and 64 connections that stay
  udp-up, udp-down datagrams a second that arrive, of 64 octets and of the MTU's size
  crowd            10,000 connections at once: how fast they come, one after the other, how many
                   echoes of one octet a second over all, 32 at a time, and what memory each takes
                   at the server's end
  million          only when it is named, and of this stack alone: --idle connections in one stack,
                   beside which is measured what an active one gets, and that beside 1,000 (a tenth
                   of N at the most) of them

How:
  The client is always the host's kernel, with CUBIC, a blocking thread for each connection that
  is busy (crowd: one thread), and pieces of 128 KiB. The servers are one program, once on the
  kernel's sockets, over veth, and once on this stack's, over TUN: one thread serves all TCP
  connections, told by edges of a poll (the kernel's epoll, this stack's poll), and reads or
  writes up to 128 KiB of each in turn; two more threads serve UDP. They are measured in turn,
  each of --runs times, after up to 0.7 s of warm-up; a figure is the median of its runs (of an
  even number, the mean of the middle two), a ratio that of the medians to the kernel's: more is
  better but for times, processor time and memory. The kernel's veth passes segments of 64 KiB
  whole; so does a TUN, but with --offload off. With --steer the kernel steers the flows of this
  stack's TUN, and with --gro it joins what comes by it; neither is done with veth, with million's
  far end, or with a --peer-command's device. The memory of the kernel's end is what its slabs grow
  by, beyond what they grow by for the client alone. Close other programs, and repeat.

Many idle connections (million):
  Another process of this program has a stack with many addresses behind a TUN of its own, and the
  kernel forwards between it and the server: it has a socket for none of these connections, and
  each has had its handshake. 64 are opened or closed at a time, no more than the devices' queues
  hold. A server's process that is new has the first 1,000, then 100,000 (a tenth of N) beside
  them, which are closed, then all N, which are closed but for the first 1,000. The samples, as many
  as --runs, are taken with 1,000, half before and half after the others, and with all: 2,000 further
  connections from that stack, and the figures of connect and rr from the kernel's client, which
  here remembers no more than 4,096 connections that it has closed. While
  connections are closed, one from the kernel's client makes round trips as fast as it can; the
  longest is told. The far end closes first, as most clients do, so TIME-WAIT is its: a server that
  closes first keeps a record of 64 octets for a minute for each, of no more than 262,144. Server's
  memory is all that is resident of its process. For a million about 3 GiB have to be available,
  and it takes some minutes.

Processor time:
  That of a server is its process's, in user mode and in the kernel, as Linux counts it: in
  hundredths of a second, and on many systems by what it finds at each tick, so it takes seconds.
  The kernel handles packets in the time of whoever the processor is with. What the client sends
  over veth passes the server's TCP in the client's time, mostly; over TUN it does so in the
  server's. What a server sends passes the client's TCP in the server's time, over both. So \"the
  whole machine's CPU\" is the fairer one: all processors, whatever they did meanwhile, client and
  other programs included. Cycles for an octet are processor time by the nominal frequency, not
  counted by the processor; where that is unknown (no constant time stamp counter) there are none.

JSON (--json: an object a line on standard output):
  {\"event\":\"run\",\"column\":NAME,\"server\":NAME,\"run\":N,\"readings\":{FIGURE:NUMBER,..}}
  {\"event\":\"failure\",\"column\":NAME,\"server\":NAME,\"run\":N,\"why\":TEXT}
  {\"event\":\"result\",\"column\":NAME,\"figure\":FIGURE,\"less_is_better\":BOOL,
   \"median\":{SERVER:NUMBER,..},\"ratio\":{SERVER:NUMBER,..},\"runs\":{SERVER:[NUMBER,..],..}}
  {\"event\":\"summary\",\"command\":\"bench\",\"ok\":BOOL,\"seconds\":NUMBER}
  --save writes one object: version, machine, hertz (the nominal frequency, or null), kernel, mtu,
  offload (on or off: what the device had), shards, uring (false: --no-uring), steer (true:
  --steer), gro (true: --gro), spin (seconds, or null: as this stack likes), seconds, runs,
  connections (of the crowd, or null), idle (of million, or null), servers (names, the kernel
  first), failures (texts) and results (as above). A median is null where all runs failed, a ratio also where the kernel's is 0.
  Figures, in octets and seconds unless said otherwise:
  up, down, both   throughput (a second), cpu, cpu_user, cpu_system, cpu_machine (nanoseconds a
                   KiB), cycles, cycles_user, cycles_system (an octet)
  rr               p50, p99, longest, trips (a second), cpu_each
  request, connect connections (a second), connection_p50, connection_p99, cpu_each, failed (in
                   the run)
  http             requests (a second), request_p50, request_p99, cpu_each
  udp-up, udp-down datagrams, datagram_throughput, sent (only up; all a second), cpu_each
  crowd            connects, echoes (a second), echo_p50, echo_p99, resident, slab, memory (for a
                   connection)
  million          came, opened_few, opened_all, connections_1_few, connections_1_all,
                   connections_64_few, connections_64_all (a second), p50_few, p50_all, p99_few,
                   p99_all, longest_few, longest_all, resident_few, resident_all, resident_each (for
                   a connection), close_part, close_all, close_each_part, close_each_all,
                   close_longest_part, close_longest_all, failed; where there is more than one sample of
                   a figure, its run has a list of them
  cpu_each is the server's processor time for a trip, connection, request or datagram.

Exit status: 0; 1 when something failed, with what was measured on standard output all the same; 2
when the command line makes no sense; 130 after a signal. Whatever the end, no process, namespace
or device stays; with --steer the sysctl net.core.rps_sock_flow_entries does.";

/// Flags that say something of a measurement.
const MEASURING: [&str; 15] = [
    "streams",
    "seconds",
    "runs",
    "only",
    "connections",
    "idle",
    "quick",
    "peer_command",
    "save",
    "mtu",
    "offload",
    "shards",
    "no_uring",
    "steer",
    "spin",
];

/// Arguments of `bench`.
#[derive(ClapArgs, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Numbers of connections that carry data at the same time [default: 1,4,16,64]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = plan::streams)]
    streams: Vec<usize>,
    /// How long each figure is measured, seconds [default: 2]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    seconds: Option<Duration>,
    /// How often each server is measured, in turn [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=99))]
    runs: Option<u16>,
    /// Measure only these: up, down, both, rr, request, connect, http, udp-up, udp-down, crowd,
    /// million
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = plan::name)]
    only: Vec<String>,
    /// The connections of a crowd [default: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=30_000))]
    connections: Option<u32>,
    /// The idle connections of million [default: 1000000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(plan::LEAST_IDLE as i64..=50_000_000))]
    idle: Option<u32>,
    /// A first look in less than ten seconds: each once and shortly, with few connections
    #[arg(long)]
    quick: bool,
    /// Measure another server beside these, as often as you like
    ///
    /// COMMAND is run by the shell. It makes the TUN device $TUNSTACK_BENCH_DEV with the MTU
    /// $TUNSTACK_BENCH_MTU, gives the kernel's end the address $TUNSTACK_BENCH_HOST and answers
    /// at $TUNSTACK_BENCH_ADDR (both as 10.9.0.2/24). TCP: 5001 takes all, 5002 sends without
    /// end, 5003, 5013, 5023, 5033 and 5005 send back what they get, 5004 answers each HTTP
    /// request with a page of 1,000 octets. UDP: 5001 takes all; at 5002 a datagram has a
    /// length (16 bits) and milliseconds (32 bits, both in network order), and is answered by
    /// datagrams of that length for so long. On standard output it says `ready NAME` when all
    /// is set up, and answers each line `count` on its standard input by `count` and three
    /// numbers: octets taken at TCP port 5001, and datagrams and their octets at UDP port 5001.
    /// When standard input ends, so does it.
    #[arg(long, value_name = "COMMAND", verbatim_doc_comment)]
    peer_command: Vec<String>,
    /// Write all runs, medians, ratios and what was measured on to FILE, as a JSON object
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Draw the ratios to FILE, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Measure nothing: show again, and draw with --svg, what --save wrote to FILE
    #[arg(long, value_name = "FILE", conflicts_with_all = MEASURING)]
    from: Option<PathBuf>,
    #[arg(long, value_name = "SIDE", hide = true)]
    serve: Option<serve::Side>,
    /// To be the far end of idle connections, of so many at the most.
    #[arg(long, value_name = "N", hide = true)]
    far: Option<usize>,
}

/// Runs `bench`.
pub(crate) fn main(common: &Common, args: BenchArgs) -> Result<(), Failure> {
    if let Some(side) = args.serve {
        return serve::main(side, common);
    }
    if let Some(most) = args.far {
        return serve::idle::main(common, most);
    }
    let begun = Instant::now();
    let out = Output::stdout(common.json);
    let cannot = |path: &PathBuf| {
        let what = format!("cannot write {}", path.display());
        move |e| Failure::of(what, &e)
    };
    let results = match &args.from {
        Some(path) => report::load(path)?,
        None => {
            let plan = Plan::new(common, &args)?;
            for path in [&args.save, &args.svg].into_iter().flatten() {
                // To be told now, and not after all is measured.
                OpenOptions::new().append(true).create(true).open(path).map_err(cannot(path))?;
            }
            if plan.steer && !is_apart() {
                lanes::steer_machine()?;
            }
            apart("a benchmark")?;
            child::end_all_on_signals()?;
            matrix::run(&plan, out)?
        }
    };
    out.text(|| table::text(&results));
    for object in report::results(&results) {
        out.object(|| object);
    }
    if let Some(path) = &args.save {
        let document = report::document(&results);
        fs::write(path, format!("{document:#}\n")).map_err(cannot(path))?;
        out.text(|| format!("\nsaved: {}", path.display()));
    }
    if let Some(path) = &args.svg {
        let drawing = chart::draw(&results).map_err(Failure::Failed)?;
        fs::write(path, drawing).map_err(cannot(path))?;
        out.text(|| format!("\nplot: {}", path.display()));
    }
    // What is shown again failed then.
    let ok = results.failures.is_empty() || args.from.is_some();
    let took = begun.elapsed().as_secs_f64();
    out.object(|| json!({ "event": "summary", "command": "bench", "ok": ok, "seconds": took }));
    // What failed was said when it did.
    if ok { Ok(()) } else { Err(Failure::Told) }
}
