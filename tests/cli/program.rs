//! The program under test: started, waited for and stopped, never for longer than a limit.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
#[cfg(feature = "uring")]
use rustix::process::{WaitOptions, waitpid};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Longer than anything here takes to say something, even on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running program.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    other: Receiver<Vec<u8>>,
}

/// What a program left: its exit code, its last JSON objects, and its other stream.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<String>,
    pub(crate) other: Vec<u8>,
}

impl Ended {
    /// The object of this kind.
    pub(crate) fn event(&self, kind: &str) -> Value {
        let objects = self.lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found = objects.into_iter().find(|o| o["event"] == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {:?}", self.lines))
    }

    pub(crate) fn other(&self) -> String {
        String::from_utf8_lossy(&self.other).into_owned()
    }
}

/// A command line of the program.
pub(crate) fn command(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tunstack"));
    command.args(args.split_whitespace()).env_remove("SUDO_USER").env_remove("SUDO_UID").env("NO_COLOR", "1");
    command
}

impl Program {
    /// Starts it with `--json`, and waits until it says that it is ready. What it says is on standard
    /// output.
    pub(crate) fn start(args: &str) -> Self {
        Self::start_command(command(args).arg("--json"), false).0
    }

    /// As [`start`](Self::start) for a program that says it on standard error, and keeps standard output for
    /// data.
    pub(crate) fn start_with_data(args: &str) -> Self {
        Self::start_command(command(args).arg("--json"), true).0
    }

    /// Starts a command; `on_stderr` says which stream its lines come on. Waits for the line that says that
    /// it is ready.
    pub(crate) fn start_command(command: &mut Command, on_stderr: bool) -> (Self, Value) {
        let mut program = Self::spawn(command, on_stderr);
        loop {
            let line = program.line();
            if let Ok(object) = serde_json::from_str::<Value>(&line)
                && object["event"] == "ready"
            {
                return (program, object);
            }
        }
    }

    /// Starts a command without waiting for anything.
    pub(crate) fn spawn(command: &mut Command, on_stderr: bool) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (lines, other) = match on_stderr {
            true => (read_lines(err), read_all(out)),
            false => (read_lines(out), read_all(err)),
        };
        Self { child, lines, other }
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> String {
        self.lines.recv_timeout(LIMIT).unwrap_or_else(|_| {
            let _ = self.child.kill();
            let other = self.other.recv_timeout(LIMIT).unwrap_or_default();
            panic!("it says nothing, but {}", String::from_utf8_lossy(&other))
        })
    }

    /// Its standard input; dropped, it ends.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops it until it is told to continue.
    #[cfg(feature = "uring")]
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        let (_, status) =
            waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    /// How many descriptors of that it has open.
    #[cfg(feature = "uring")]
    pub(crate) fn open(&self, wanted: &str) -> usize {
        let all = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let links = all.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        links.filter(|link| link.as_os_str() == wanted).count()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(mut self) -> Ended {
        drop(self.child.stdin.take());
        // Both streams end with it.
        let other = self.other.recv_timeout(LIMIT).unwrap_or_else(|_| {
            let _ = self.child.kill();
            panic!("it does not end; it said {:?}", self.lines.try_iter().collect::<Vec<_>>())
        });
        let lines = self.lines.iter().collect();
        let code = self.child.wait().unwrap().code();
        Ended { code, lines, other }
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::INT);
        self.ended()
    }

    /// Ends it as Ctrl-C does, which must go well and in order.
    pub(crate) fn stop_well(self) -> Ended {
        let ended = self.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.other());
        assert_eq!(ended.event("summary")["ok"], true);
        assert!(!ended.other().contains("were reset"), "{}", ended.other());
        ended
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        let _ = self.child.kill();
    }
}

fn read_lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

fn read_all(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        let _ = sender.send(all);
    });
    receiver
}

/// The same, in pieces as they come.
fn read_pieces(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut piece = [0; 4096];
        loop {
            let n = from.read(&mut piece).unwrap();
            if n == 0 || sender.send(piece[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// All pieces, of which each comes within the limit.
fn gathered(pieces: &Receiver<Vec<u8>>) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        match pieces.recv_timeout(LIMIT) {
            Ok(piece) => all.extend(piece),
            Err(RecvTimeoutError::Disconnected) => return Some(all),
            Err(RecvTimeoutError::Timeout) => return None,
        }
    }
}

/// Runs a command to its end, with this as its standard input. How long it takes is the machine's affair, as long as it goes
/// on.
pub(crate) fn run_with(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut stdin = child.stdin.take().unwrap();
    let (out, err) = (read_pieces(child.stdout.take().unwrap()), read_all(child.stderr.take().unwrap()));
    let input = input.to_vec();
    // It may end without having read it.
    thread::spawn(move || drop(stdin.write_all(&input)));
    let (stdout, stderr) = match (gathered(&out), err.recv_timeout(LIMIT)) {
        (Some(stdout), Ok(stderr)) => (stdout, stderr),
        _ => {
            let _ = child.kill();
            panic!("{command:?} does not end")
        }
    };
    Output { status: child.wait().unwrap(), stdout, stderr }
}

/// Runs the program to its end.
pub(crate) fn run(args: &str) -> Output {
    run_with(&mut command(args), b"")
}

/// Runs a tool to its end, which must go well; gives what it printed.
pub(crate) fn tool(line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    let output = run_with(&mut command, b"");
    assert!(output.status.success(), "{line}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

pub(crate) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

pub(crate) fn assert_ok(output: &Output) {
    assert!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
}

pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

pub(crate) fn at(addr: &str) -> SocketAddr {
    addr.parse().unwrap()
}

pub(crate) fn hash(data: &[u8]) -> Vec<u8> {
    Sha256::digest(data).to_vec()
}

/// Octets that repeat late and in no power of two.
pub(crate) fn data(len: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_u32;
    let next = |_| {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        (x >> 24) as u8
    };
    (0..len).map(next).collect()
}

/// A directory for one test, gone with it.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("tunstack-test-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, data: &[u8]) -> String {
        fs::write(self.0.join(name), data).unwrap();
        self.path(name)
    }

    /// All names in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The interfaces of this namespace, but for the loopback.
pub(crate) fn interfaces() -> Vec<String> {
    let links = tunstack::device::netlink::links().unwrap();
    links.into_iter().map(|l| l.name).filter(|name| name != "lo").collect()
}
