//! Tests that each run in a network namespace of their own.
//!
//! A test that makes devices, addresses and routes must not touch those of the host. So each one runs in a
//! process of its own under `unshare -n`: the test binary starts itself again, in a namespace that holds
//! nothing but a loopback that is down, and that vanishes with the process, whatever the test left behind.
//! Tests may run at the same time and use the same names and addresses.
//!
//! A test file that uses this needs `harness = false` in `Cargo.toml`, and then:
//!
//! ```ignore
//! #[path = "common/namespace.rs"]
//! mod namespace;
//!
//! fn main() -> std::process::ExitCode {
//!     namespace::main(&[("packets_pass", packets_pass)])
//! }
//!
//! /// Called in the namespace, as its root. It fails by panicking.
//! fn packets_pass() {
//!     let tun = tunstack::device::tun::Tun::open(None).unwrap();
//! }
//! ```
//!
//! Where no namespace can be had (no `unshare`, no rights, no `/dev/net/tun`), the tests are listed as
//! ignored and the reason is printed. As a plain user, namespaces of the user's own serve (`unshare -r -n`),
//! where the system allows them and everybody may open `/dev/net/tun`.

use std::env;
use std::fs::{self, OpenOptions};
use std::io;
use std::process::{Command, ExitCode, Stdio};
use std::thread::available_parallelism;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test: its name and what it does. It fails by panicking.
pub(crate) type Test = (&'static str, fn());

/// Set for a process in a namespace, to the identity of the namespace that it must not be in.
const OUTSIDE: &str = "TUNSTACK_TEST_OUTSIDE";

/// Runs the tests, each in a namespace of its own: to be called by `main` and for nothing else.
pub(crate) fn main(tests: &[Test]) -> ExitCode {
    let tests: Vec<_> = tests.iter().map(|&test| (test, &[][..])).collect();
    main_with(&tests)
}

/// As [`main`], for tests that for the most part wait: twice as many at a time.
#[allow(dead_code)] // others have a processor's work to do
pub(crate) fn main_waiting(tests: &[Test]) -> ExitCode {
    let tests: Vec<_> = tests.iter().map(|&test| (test, &[][..])).collect();
    main_at_once(&tests, available_parallelism().ok().map(|n| 2 * n.get()))
}

/// As [`main`], for tests each of which needs programs that not every host has. Without them it is ignored.
pub(crate) fn main_with(tests: &[(Test, &[&str])]) -> ExitCode {
    main_at_once(tests, None)
}

fn main_at_once(tests: &[(Test, &[&str])], at_once: Option<usize>) -> ExitCode {
    if let Ok(outside) = env::var(OUTSIDE) {
        let tests: Vec<_> = tests.iter().map(|&(test, _)| test).collect();
        return inside(&tests, &outside);
    }
    let mut args = Arguments::from_args();
    args.test_threads = args.test_threads.or(at_once);
    let unshare = unshare();
    if let Err(why) = &unshare
        && !args.list
    {
        eprintln!("skipped, for want of a network namespace: {why}");
    }
    let trials = tests.iter().map(|&((name, _), programs)| {
        let missing = programs.iter().find(|program| !installed(program));
        if let Some(program) = missing
            && !args.list
        {
            eprintln!("skipped {name}: {program} is not installed");
        }
        let ready = match missing {
            None => unshare.clone(),
            Some(program) => Err(format!("{program} is not installed")),
        };
        let ignored = ready.is_err();
        Trial::test(name, move || run(ready?, name)).with_ignored_flag(ignored)
    });
    libtest_mimic::run(&args, trials.collect()).exit_code()
}

fn installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Runs one test of this binary in a new namespace and gives its output if it fails.
fn run(unshare: &[&str], name: &str) -> Result<(), Failed> {
    let output = Command::new("unshare")
        .args(unshare)
        .arg(env::current_exe()?)
        .arg(name)
        .env(OUTSIDE, identity()?)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = |octets| String::from_utf8_lossy(octets).into_owned();
    Err(format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)).into())
}

/// The child's `main`: does the test, once it is sure to be apart from the host.
fn inside(tests: &[Test], outside: &str) -> ExitCode {
    match identity() {
        Ok(here) if here != outside => {}
        other => {
            eprintln!("not in a network namespace of its own: {other:?}");
            return ExitCode::FAILURE;
        }
    }
    let wanted = env::args().nth(1);
    let Some((_, test)) = tests.iter().find(|(name, _)| Some(*name) == wanted.as_deref()) else {
        eprintln!("no test is called {wanted:?}");
        return ExitCode::FAILURE;
    };
    test();
    ExitCode::SUCCESS
}

/// The network namespace that this process is in.
fn identity() -> io::Result<String> {
    Ok(fs::read_link("/proc/self/ns/net")?.to_string_lossy().into_owned())
}

/// The arguments with which `unshare` makes a namespace here.
fn unshare() -> Result<&'static [&'static str], String> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .map_err(|e| format!("/dev/net/tun: {e}"))?;
    let mut why = String::new();
    for args in [&["-n"][..], &["-r", "-n"]] {
        match Command::new("unshare").args(args).arg("true").output() {
            Ok(output) if output.status.success() => return Ok(args),
            Ok(output) => why = String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(e) => why = format!("unshare: {e}"),
        }
    }
    Err(why)
}
