//! Scripts whose calls and packets happen to the kernel and to our stack: what each does then is written down and laid
//! beside the other.

mod align;

mod align_tests;

mod calls;

mod departures;

mod host;

mod seen;

mod side;

mod stack;

mod trace;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use align::Divergence;
pub(crate) use align_tests::partings;
use departures::Meant;
use host::Host;
use stack::Stack;
use trace::{Stimuli, Trace};

/// What the kernel is called.
const KERNEL: &str = "the kernel";

/// What we are called.
const OURS: &str = "tunstack";

/// Behind the name of a script that is run over IPv6.
const OVER_IPV6: &str = " over IPv6";

/// What both sides are set to before each script: what one of them has not is off in the other, and what would make the
/// one slower or faster than the RFCs have it.
const SETTINGS: [(&str, &str); 21] = [
    ("net.ipv4.tcp_congestion_control", "reno"),
    ("net.ipv4.tcp_no_metrics_save", "1"),
    ("net.ipv4.tcp_ecn", "0"),
    ("net.ipv4.tcp_fastopen", "0"),
    ("net.ipv4.tcp_syn_linear_timeouts", "0"),
    ("net.ipv4.tcp_early_retrans", "0"),
    ("net.ipv4.tcp_recovery", "0"),
    ("net.ipv4.tcp_frto", "0"),
    ("net.ipv4.tcp_dsack", "0"),
    ("net.ipv4.tcp_autocorking", "0"),
    ("net.ipv4.tcp_moderate_rcvbuf", "0"),
    ("net.ipv4.tcp_rmem", "4096 262144 262144"),
    ("net.ipv4.tcp_wmem", "4096 262144 262144"),
    ("net.ipv4.tcp_invalid_ratelimit", "0"),
    ("net.ipv4.tcp_comp_sack_nr", "0"),
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv4.tcp_syncookies", "0"),
    ("net.ipv4.tcp_timestamps", "0"),
    ("net.ipv4.tcp_sack", "0"),
    ("net.ipv4.tcp_window_scaling", "0"),
    ("net.ipv4.tcp_tw_reuse", "0"),
];

/// As many at a time. They wait most of their time.
const AT_ONCE: usize = 10;

/// A divergence that does not come again was the machine's.
const LOOKS: usize = 3;

/// A look in which the script was so late does not count: the kernel has measured that, too.
const TOO_LATE: Duration = Duration::from_millis(5);

/// Looks in all.
const MOST_LOOKS: usize = 15;

/// Held by who looks again.
static AGAIN: Mutex<()> = Mutex::new(());

/// A set of at least so many scripts is asked for.
const LEAST: usize = 60;

/// The scripts and what became of them.
pub(crate) fn run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/scenarios/scripts");
    let wanted = std::env::var("TUNSTACK_SCENARIOS").unwrap_or_default();
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= LEAST, "{} scripts, {LEAST} at the least", paths.len());
    let ipv6 = Path::new("/proc/net/if_inet6").exists();
    if !ipv6 {
        eprintln!("skipped over IPv6: this kernel has none");
    }
    let mut work = Vec::new();
    for path in &paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap();
        let both = !text.contains("--ip_version");
        if !name.contains(&wanted) || text.contains("--ip_version=ipv6") && !ipv6 {
            continue;
        }
        work.push((name.clone(), text.clone(), false));
        if both && ipv6 {
            work.push((format!("{name}{OVER_IPV6}"), text, true));
        }
    }
    let (next, complaints) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let happened = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(work.len()) {
            scope.spawn(|| {
                while let Some((name, text, v6)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match judge(name, text, *v6) {
                        Ok(departures) => happened.lock().unwrap().extend(departures),
                        Err(what) => complaints.lock().unwrap().push(format!("{name}: {what}")),
                    }
                }
            });
        }
    });
    let mut complaints = complaints.into_inner().unwrap();
    if wanted.is_empty() {
        complaints.extend(departures::unneeded(&happened.into_inner().unwrap()));
    }
    complaints.sort();
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), work.len(), complaints.join("\n"));
}

/// Compares both sides; gives the departures that stand for what differs: places in their table.
fn judge(name: &str, text: &str, v6: bool) -> Result<Vec<usize>, String> {
    let mut stimuli = Stimuli::read(name, text)?;
    if v6 {
        stimuli.over_ipv6()?;
    }
    let ours = stimuli.run(&mut Stack::start(&stimuli.net)?)?;
    let mut last: Option<Divergence> = None;
    let (mut looks, mut all) = (0, 0);
    while looks < LOOKS && all < MOST_LOOKS {
        // Whoever has to look again does so when no other does.
        let _alone = (all > 0).then(|| AGAIN.lock().unwrap_or_else(PoisonError::into_inner));
        let kernel = on_kernel(&stimuli)?;
        if std::env::var_os("TUNSTACK_SCENARIOS_SHOW").is_some() {
            show(&kernel);
            show(&ours);
        }
        let mut meant = Meant::of(name);
        let found = align::compare(&kernel, &ours, |divergence| meant.meet(&divergence.event));
        let Some(divergence) = found else { return Ok(meant.happened) };
        all += 1;
        looks += usize::from(kernel.late < TOO_LATE);
        last = Some(divergence);
    }
    last.map_or_else(|| Ok(Vec::new()), |divergence| Err(divergence.to_string()))
}

fn show(trace: &Trace) {
    eprintln!("{}", trace.side);
    trace.lines.iter().for_each(|line| eprintln!("  {line}"));
}

/// On a thread of its own, whose network is gone with it.
fn on_kernel(stimuli: &Stimuli) -> Result<Trace, String> {
    thread::scope(|scope| {
        let kernel = scope.spawn(|| stimuli.run(&mut Host::start(&stimuli.net)?));
        kernel.join().unwrap_or_else(|_| Err("the kernel's side panicked".to_owned()))
    })
}
