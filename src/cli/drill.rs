//! `tunstack drill`: conformance scripts in packetdrill's language, in virtual time.

mod scripts;

mod version;

mod report;

mod junit;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Instant;

use clap::Args as ClapArgs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tunstack::packetdrill::run::{self, Options};

use super::common::Common;
use super::output::{Failure, Output, why};
use junit::Junit;
use report::{Done, Ended, Report, Tally};
use scripts::Script;
use version::{Version, runs};

const EXAMPLES: &str = "\
Examples:
  tunstack drill tests/packetdrill
  tunstack drill --ip-version all --filter keepalive tests/packetdrill
  tunstack drill --define FIN=1 --set tolerance_usecs=10000 script.pkt
  tunstack drill --junit report.xml --captures failures tests/packetdrill

A script names packets that go to the stack, system calls that a program makes, and packets that the
stack is to send, each with its time. Time is virtual: an hour of it goes by in milliseconds, and a
script ends the same way each time. No right is needed: packets stay inside, and a command in back-ticks
that sets a sysctl or a route sets the stack's own; another one is refused. Only %{ … }% touches this
machine: it is Python, which runs with your rights, so read the scripts of strangers before you run them.

Exit code 0 when no script failed (skipped ones are named), 1 when one did, there is none to run or a report
cannot be written, 2 when all were skipped, so that nothing was judged, or when the command line makes no
sense.";

/// Arguments of `drill`.
#[derive(ClapArgs, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct DrillArgs {
    /// Scripts, and folders with scripts (*.pkt) in and below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Run only those with TEXT in their name; may be given more than once
    #[arg(short, long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Name the scripts and run none
    #[arg(short, long)]
    list: bool,
    /// The addresses that scripts run with [default: what the script says, or ipv4]
    ///
    /// With ipv6 the MTU is 1520, so that a full segment has as many octets as over IPv4, where the script does not name
    /// one. The symbols CODE (IPv4), CMSG_LEVEL_IP and CMSG_TYPE_RECVERR are defined, with values that depend on it, and
    /// TFO_COOKIE, the cookie for the addresses and the tcp_fastopen_key that there are, where the script does not define
    /// them. With all, a script whose head names a version, or else whose name ends in -v4, -ipv4, -v6 or -ipv6, runs
    /// with such addresses alone.
    #[arg(long, value_name = "VERSION", value_enum)]
    ip_version: Option<Version>,
    /// Run so many scripts at once [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Define a symbol of the scripts; overrides one that a script defines
    #[arg(short = 'D', long = "define", value_name = "SYMBOL=VALUE", value_parser = symbol)]
    defines: Vec<String>,
    /// Set an option of packetdrill, as `--NAME=VALUE` in a script's head does, and override it there
    #[arg(long = "set", value_name = "NAME[=VALUE]")]
    settings: Vec<String>,
    /// Leave a capture (pcapng) of each script that failed in DIR, which is made
    #[arg(long, value_name = "DIR")]
    captures: Option<PathBuf>,
    /// Write the report to FILE as JUnit's XML, when all have been run
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

fn define(text: &str) -> (String, Option<String>) {
    ("define".to_owned(), Some(text.to_owned()))
}

fn symbol(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("a name, = and a value".to_owned()),
    }
}

/// A run that is to be done.
struct Job {
    script: Script,
    variant: Option<&'static str>,
    settings: Vec<(String, Option<String>)>,
}

/// Runs `drill`.
pub(crate) fn main(common: &Common, args: DrillArgs) -> Result<(), Failure> {
    let out = Output::stdout(common.json);
    let scripts = scripts::find(&args.paths, &args.filter)?;
    if args.list {
        for script in scripts {
            let object = || json!({ "event": "script", "name": script.name, "topic": script.topic });
            out.write(|| script.name.clone(), object).map_err(|e| unwritten(&e))?;
        }
        return Ok(());
    }
    if let Some(folder) = &args.captures {
        fs::create_dir_all(folder)
            .map_err(|e| Failure::of(format!("cannot make {}", folder.display()), &e))?;
    }
    let jobs = jobs(scripts, &args);
    let report = run_all(&jobs, &args, out)?;
    match report.total {
        Tally { failed: 1.., .. } => Err(Failure::Told),
        Tally { passed: 0, skipped: all @ 1.., .. } => {
            Err(Failure::Usage(format!("nothing was judged: skipped {all} of {all}, the report says why")))
        }
        _ => Ok(()),
    }
}

/// The report did not go where it should. Who stops reading it, as `head` does, knows that.
fn unwritten(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Told,
        _ => Failure::of("cannot write the report", error),
    }
}

/// What stands in for a device's flag.
pub(crate) fn instead(flag: &str, value: &str) -> String {
    let instead = match flag {
        "addr" | "addr6" => ": try --set local_ip=A",
        "peer" | "peer6" => ": try --set remote_ip=A",
        "no-ipv6" => ": try --ip-version ipv4",
        "mtu" => return format!(": try --set mtu={value}"),
        "pcap" => ": try --captures DIR",
        "link" => ": they say themselves what is lost",
        _ => "",
    };
    instead.to_owned()
}

fn jobs(scripts: Vec<Script>, args: &DrillArgs) -> Vec<Job> {
    let own = args.settings.iter().map(|text| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.clone(), None),
    });
    let own: Vec<_> = own.chain(args.defines.iter().map(|text| define(text))).collect();
    let mut jobs = Vec::new();
    for script in scripts {
        for (variant, mut settings) in runs(&script, args.ip_version, &own) {
            settings.extend(own.iter().cloned());
            jobs.push(Job { script: script.clone(), variant, settings });
        }
    }
    jobs
}

/// Runs them on several threads, and reports in their order.
fn run_all(jobs: &[Job], args: &DrillArgs, out: Output) -> Result<Report, Failure> {
    let title = |job: &Job| job.script.name.chars().count() + job.variant.map_or(0, |v| v.len() + 3);
    let mut report = Report::new(out, jobs.iter().map(title).max().unwrap_or(0));
    let mut junit = args.junit.as_ref().map(|path| (Junit::default(), path));
    let begun = Instant::now();
    let bar = progress(jobs.len(), out);
    let threads = args.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut written = Ok(());
    thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..threads.min(jobs.len()) {
            let sender = sender.clone();
            let (next, stopped, captures) = (&next, &stopped, args.captures.as_deref());
            scope.spawn(move || work(jobs, next, stopped, captures, &sender));
        }
        drop(sender);
        // Said in order, whichever is done first.
        let mut early = BTreeMap::new();
        let mut due = 0;
        for (index, done) in results {
            early.insert(index, done);
            bar.inc(1);
            while let Some(done) = early.remove(&due) {
                due += 1;
                bar.set_message(done.script.name.clone());
                if let Some((junit, _)) = &mut junit {
                    junit.add(&done);
                }
                if written.is_ok() {
                    written = bar.suspend(|| report.one(&done));
                    // Nobody reads on, but the file is to tell of all.
                    stopped.store(written.is_err() && junit.is_none(), Ordering::Relaxed);
                }
            }
        }
    });
    bar.finish_and_clear();
    let took = begun.elapsed();
    let told = written.and_then(|()| report.end(took)).map_err(|e| unwritten(&e));
    if let Some((junit, path)) = junit {
        junit.write(path, took)?;
    }
    told.map(|()| report)
}

fn progress(count: usize, out: Output) -> ProgressBar {
    if out.is_json() || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn work(
    jobs: &[Job],
    next: &AtomicUsize,
    stopped: &AtomicBool,
    captures: Option<&Path>,
    sender: &Sender<(usize, Done)>,
) {
    while !stopped.load(Ordering::Relaxed) {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(job) = jobs.get(index) else { return };
        // Nobody listens once the report has ended, which it does not before its senders have.
        let _ = sender.send((index, one(job, captures)));
    }
}

fn one(job: &Job, captures: Option<&Path>) -> Done {
    let begun = Instant::now();
    let (text, result) = match run::read_script(&job.script.path) {
        Err(error) => {
            let text = format!("cannot read {}: {}", job.script.path.display(), why(&error));
            (String::new(), Ended::Broken(text))
        }
        Ok(text) => {
            let options = Options {
                settings: job.settings.clone(),
                captures: captures.map(Path::to_owned),
                folder: job.script.path.parent().unwrap_or(Path::new("")).to_owned(),
            };
            let name = match job.variant {
                Some(variant) => format!("{} {variant}", job.script.name),
                None => job.script.name.clone(),
            };
            // One that brings the stack down is a failure, and no reason to keep the others' results.
            let ran = catch_unwind(AssertUnwindSafe(|| run::run(&name, &text, &options)));
            let result = match ran {
                Ok(Ok(outcome)) => Ended::Run(outcome),
                Ok(Err(error)) => Ended::NoScript(error),
                Err(_) => {
                    Ended::Broken("running it ended in a panic, which is a fault of tunstack".to_owned())
                }
            };
            (text, result)
        }
    };
    Done { script: job.script.clone(), variant: job.variant, text, result, took: begun.elapsed() }
}
