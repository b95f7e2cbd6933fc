//! An example of `examples/` as a child: started, waited for until it serves, and ended by Ctrl-C.
//!
//! The namespace must be ready (`host::ready`), whose limit on the whole test also bounds every wait here.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A running example.
pub(crate) struct Example {
    child: Child,
    out: BufReader<ChildStdout>,
}

/// A command that runs an example. The child does not outlive this process.
pub(crate) fn command(name: &str) -> Command {
    // Cargo puts examples beside the folder of this test, and builds them with the tests.
    let path: PathBuf = env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join(name);
    assert!(path.exists(), "{} is not built: cargo build --all-features --examples", path.display());
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(path).stdin(Stdio::null());
    command
}

impl Example {
    /// Starts it and waits until it says that it is serving.
    pub(crate) fn start<S: AsRef<OsStr>>(name: &str, args: &[S]) -> Self {
        let mut child = command(name).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("serving ") {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "{name} ended: {:?}", child.wait());
        }
        Self { child, out }
    }

    /// Ctrl-C: it ends in order, with exit code 0. Gives what else it said.
    pub(crate) fn end(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let said = std::io::read_to_string(&mut self.out).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {said}");
        said
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
