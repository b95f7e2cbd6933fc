//! An example of `examples/` as a child: started, waited for until it serves, and ended by Ctrl-C.
//!
//! The namespace must be ready (`host::ready`), whose limit on the whole test also bounds every wait here.

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};

/// A running example.
pub(crate) struct Example {
    child: Child,
    out: BufReader<ChildStdout>,
    /// All that it says on standard error.
    complaints: Option<JoinHandle<String>>,
}

/// A command that runs an example. The child does not outlive this process.
pub(crate) fn command(name: &str) -> Command {
    // Cargo puts examples beside the folder of this test. It builds them with all tests, but not with a single one
    // (`--test NAME`): then they are as old as they are.
    let path = env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join(name);
    assert!(path.exists(), "{} is not built: cargo build --all-features --examples", path.display());
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(path).stdin(Stdio::null());
    command
}

impl Example {
    /// Starts it and waits until it says that it is serving.
    pub(crate) fn start<S: AsRef<OsStr>>(name: &str, args: &[S]) -> Self {
        let mut child =
            command(name).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut err = child.stderr.take().unwrap();
        let complaints = thread::spawn(move || io::read_to_string(&mut err).unwrap());
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut example = Self { child, out, complaints: Some(complaints) };
        let mut line = String::new();
        while !line.starts_with("serving ") {
            line.clear();
            assert!(example.out.read_line(&mut line).unwrap() > 0, "{name} {line} has ended");
        }
        example
    }

    /// Ctrl-C: it ends in order, with exit code 0. Gives what it said on standard error.
    pub(crate) fn end(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let said = io::read_to_string(&mut self.out).unwrap();
        let status = self.child.wait().unwrap();
        let complaints = self.complaints.take().unwrap().join().unwrap();
        assert!(status.success(), "{status}: {said}{complaints}");
        assert!(!complaints.contains("were reset"), "{complaints}");
        complaints
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(Ok(complaints)) = self.complaints.take().map(JoinHandle::join) {
            eprint!("{complaints}");
        }
    }
}
