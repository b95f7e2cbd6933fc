//! The program `tunstack` as a child, and the programs of others against it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::host::{ready, until, until_routed};

/// Whether the host has this program; says so if not.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !found {
        eprintln!("skipped what needs {program}: it is not installed");
    }
    found
}

/// A child that does not outlive this process.
pub(crate) fn child(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// Runs a program to its end, which must be a good one.
pub(crate) fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{command:?}: {status}\n{said}\n{}", String::from_utf8_lossy(&stderr));
    said
}

/// `tunstack`, with the namespace made ready and its device up.
pub(crate) struct Tunstack {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Tunstack {
    /// Starts a command that speaks JSON on standard output, and waits until it is ready.
    pub(crate) fn start<S: AsRef<OsStr>>(args: &[S]) -> Self {
        ready();
        let mut command = child(env!("CARGO_BIN_EXE_tunstack"));
        command.args(["--json", "--log", "warn"]).args(args).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(first["event"], "ready");
        until_routed();
        Self { child, lines }
    }

    /// Ctrl-C: it ends in order. Gives what it counted.
    pub(crate) fn end(mut self) -> Value {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let summary = self.lines.by_ref().map(Result::unwrap).last().unwrap();
        assert!(self.child.wait().unwrap().success());
        let summary: Value = serde_json::from_str(&summary).unwrap();
        assert_eq!((&summary["event"], &summary["ok"]), (&"summary".into(), &true.into()));
        summary["counters"].clone()
    }
}

impl Drop for Tunstack {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a child: its exit code.
pub(crate) fn code(child: &mut Child) -> Option<i32> {
    let mut status = None;
    until("a program to end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap().code()
}

/// A directory of this test's own. It goes when the test ends well, and stays to be looked at when it fails.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("kernel-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
