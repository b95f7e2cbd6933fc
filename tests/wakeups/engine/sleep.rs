//! In place of the engine's: a wire instead of a descriptor, and an alarm that rings at any time from now on, if it is set to
//! a time that comes in a schedule.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::clock::LOOK;
use super::sync::{Condvar, Mutex, MutexGuard, thread};

/// Some looks at the clock.
pub(super) const PATIENCE: Duration = LOOK.saturating_mul(8);

/// What is as far off as this does not come: no schedule has so many looks at the clock.
pub(crate) const FAR: Duration = LOOK.saturating_mul(100_000);

/// What is broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Who leaves the seat sets no alarm.
    NoAlarm,
    /// Who sits is not nudged.
    NoNudge,
    /// A poller is not roused.
    NoRousing,
}

thread_local! {
    // All of shuttle's threads are one.
    static FAULT: Cell<Fault> = const { Cell::new(Fault::None) };
}

/// Breaks this from now on.
pub(crate) fn break_it(fault: Fault) {
    FAULT.set(fault);
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics with it")
}

/// As the engine has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Ended {
    pub(super) hung_up: bool,
    pub(super) also: bool,
    pub(super) interrupted: bool,
}

/// As the engine has it, with the device's end of the wire.
#[derive(Debug)]
pub(crate) struct Nudge {
    line: Mutex<Line>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    nudged: bool,
    /// What a poller sleeps with is readable.
    roused: bool,
    packets: VecDeque<Vec<u8>>,
    cut: bool,
}

impl Nudge {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { line: Mutex::default(), changed: Condvar::new() })
    }

    pub(crate) fn nudge(&self) {
        if FAULT.get() != Fault::NoNudge {
            locked(&self.line).nudged = true;
            self.changed.notify_all();
        }
    }

    /// Makes what a poller sleeps with readable, which it is until that is read.
    pub(crate) fn rouse(&self) {
        if FAULT.get() != Fault::NoRousing {
            locked(&self.line).roused = true;
            self.changed.notify_all();
        }
    }

    /// Reads that.
    pub(crate) fn calm(&self) {
        locked(&self.line).roused = false;
    }

    /// The same once it is readable.
    pub(crate) fn wait_roused(&self) {
        let mut line = locked(&self.line);
        while !std::mem::take(&mut line.roused) {
            line = self.changed.wait(line).expect("no thread panics with it");
        }
    }

    /// Puts a packet on the wire.
    pub(crate) fn transmit(&self, packet: Vec<u8>) {
        locked(&self.line).packets.push_back(packet);
        self.changed.notify_all();
    }

    /// Cuts the wire.
    pub(crate) fn cut(&self) {
        locked(&self.line).cut = true;
        self.changed.notify_all();
    }

    /// Takes a packet from the wire, if there is one.
    pub(crate) fn receive(&self) -> io::Result<Option<Vec<u8>>> {
        let mut line = locked(&self.line);
        match line.packets.pop_front() {
            None if line.cut => Err(io::ErrorKind::NetworkDown.into()),
            packet => Ok(packet),
        }
    }

    pub(super) fn sleep(
        &self,
        _: BorrowedFd<'_>,
        also: Option<BorrowedFd<'_>>,
        timeout: Option<Duration>,
    ) -> io::Result<Ended> {
        let mut line = locked(&self.line);
        loop {
            if also.is_some() && line.roused {
                line.nudged = false;
                return Ok(Ended { also: true, ..Ended::default() });
            }
            if std::mem::take(&mut line.nudged) || line.cut || !line.packets.is_empty() {
                return Ok(Ended::default());
            }
            if timeout.is_some_and(|time| time < FAR) {
                drop(line);
                // The time may be over at once.
                thread::yield_now();
                return Ok(Ended::default());
            }
            line = self.changed.wait(line).expect("no thread panics with it");
        }
    }

    pub(super) fn look(&self, also: Option<BorrowedFd<'_>>) -> io::Result<Option<Ended>> {
        let mut line = locked(&self.line);
        let (nudged, also) = (std::mem::take(&mut line.nudged), also.is_some() && line.roused);
        Ok((nudged || also).then_some(Ended { also, ..Ended::default() }))
    }

    pub(super) fn pause(&self, _: Duration) -> io::Result<()> {
        unreachable!("the wire does not hang up")
    }
}

#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// It will ring.
    set: Mutex<bool>,
    changed: Condvar,
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self::default())
    }

    pub(super) fn set(&self, time: Duration) {
        if FAULT.get() != Fault::NoAlarm || time.is_zero() {
            // As with a timer of the kernel's, what it was set to before is forgotten.
            *locked(&self.set) = time < FAR;
            self.changed.notify_all();
        }
    }

    pub(super) fn wait(&self) -> io::Result<()> {
        let mut set = locked(&self.set);
        while !std::mem::take(&mut *set) {
            set = self.changed.wait(set).expect("no thread panics with it");
        }
        drop(set);
        thread::yield_now();
        Ok(())
    }
}
