//! Servers as processes: started, spoken to line by line, and never left behind.
//!
//! A server ends when its standard input does, so also when this process is killed. A signal to this process, which
//! a terminal sends to none of them, ends each of them at once.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child as Process, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::super::output::Failure;

/// Longer than any answer takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// All that run: each leads a group of its own.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// What a server has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Count {
    /// Octets that the program has taken at the discard port.
    pub(super) octets: u64,
    /// Datagrams that it has taken.
    pub(super) datagrams: u64,
    pub(super) datagram_octets: u64,
}

/// A server's process.
pub(super) struct Child {
    name: String,
    process: Process,
    group: Pid,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Child {
    /// Starts it. `name` is what messages call it.
    pub(super) fn start(name: &str, command: &mut Command) -> Result<Self, Failure> {
        let cannot = |e| Failure::of(format!("cannot start {name}"), &e);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        // With the lock held, so that a signal cannot come between.
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut process = command.spawn().map_err(cannot)?;
        let group = Pid::from_child(&process);
        running.push(group);
        drop(running);
        let (sender, lines) = channel();
        if let Some(output) = process.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let input = process.stdin.take();
        Ok(Self { name: name.to_owned(), process, group, input, lines })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn say(&mut self, line: &str) -> Result<(), Failure> {
        let told = self.input.as_mut().map(|input| input.write_all(format!("{line}\n").as_bytes()));
        match told {
            Some(Ok(())) => Ok(()),
            _ => Err(self.ended()),
        }
    }

    /// The rest of the next line, which must begin with `word`.
    pub(super) fn hear(&mut self, word: &str) -> Result<String, Failure> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => match line.split_once(' ').unwrap_or((&line, "")) {
                (first, rest) if first == word => Ok(rest.to_owned()),
                // A failure in its own words.
                ("failed", why) => Err(Failure::Failed(why.to_owned())),
                _ => Err(Failure::Failed(format!("{} said {line:?} instead of {word:?}", self.name))),
            },
            Err(RecvTimeoutError::Timeout) => Err(Failure::Failed(format!(
                "{} did not say {word:?} in {} s",
                self.name,
                PATIENCE.as_secs()
            ))),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    pub(super) fn count(&mut self) -> Result<Count, Failure> {
        self.say("count")?;
        let said = self.hear("count")?;
        let numbers: Vec<u64> = said.split_whitespace().map_while(|n| n.parse().ok()).collect();
        match numbers[..] {
            [octets, datagrams, datagram_octets] => Ok(Count { octets, datagrams, datagram_octets }),
            _ => Err(Failure::Failed(format!("{} counts {said:?}, not three numbers", self.name))),
        }
    }

    fn ended(&mut self) -> Failure {
        Failure::Failed(self.end().unwrap_or_else(|| format!("{} says no more", self.name)))
    }

    /// How it has ended, in words, if it has.
    pub(super) fn end(&mut self) -> Option<String> {
        // Its streams and connections end a moment before it does.
        let status = (0..100).find_map(|_| {
            let status = self.process.try_wait().ok().flatten();
            if status.is_none() {
                thread::sleep(Duration::from_millis(5));
            }
            status
        })?;
        Some(format!("{} has ended: {status}", self.name))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.input.take());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        // It has a namespace and a device to give back, which is quicker done than its own way to the end; a group
        // that has ended already is as good.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.process.wait();
        running.retain(|group| *group != self.group);
    }
}

/// From here on a signal ends the servers, and then this process, with the exit code of an interrupted command.
pub(super) fn end_all_on_signals() -> Result<(), Failure> {
    let cannot = |e| Failure::of("cannot listen for signals", &e);
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let inside = runtime.enter();
    let of = |kind| signal(kind).map_err(cannot);
    let mut signals = [of(SignalKind::interrupt())?, of(SignalKind::terminate())?, of(SignalKind::hangup())?];
    drop(inside);
    thread::spawn(move || {
        let [interrupt, terminate, hang_up] = &mut signals;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        });
        // Held until the end, so that none is started any more.
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        for group in &*running {
            let _ = kill_process_group(*group, Signal::KILL);
        }
        std::process::exit(130);
    });
    Ok(())
}
