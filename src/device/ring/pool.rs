//! The rings of this process, which are not closed: who has done with one leaves it to the next.
//!
//! For a ring that is closed the kernel gives each thread that has used it a last piece of work, and ends the sleep that the
//! thread is in for that. Some calls are begun anew then, as where a signal has no handler, but `epoll_wait` gives `EINTR`.
//! Those threads are the program's own, since who waits for a socket reads the device itself, and what they sleep for then
//! need not have to do with us.
//!
//! # Children
//!
//! What a forked child asks of its parent's rings the kernel writes to the parent's memory. So a process uses those alone that
//! it made, and knows that by its id. In a PID namespace of its own a child mostly has another id as well; but they are counted
//! anew there, and the child of one that is the first in its own (as in a container) may be the first again. It takes the
//! parent's rings for its own then, those of its parent's devices and the idle ones, which it gives to devices of its own. Their
//! queues are no part of its memory for that: where it reads a burst by one it mostly dies of it (`SIGSEGV`), unless something
//! else has been mapped there since, and its parent's memory and queues stay as they are. Where it drops a device of its
//! parent's, its parent reads packet by packet from then on.

use std::io;
use std::mem;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use io_uring::IoUring;

use super::MOST;

/// There are no more rings in a process, and so no more descriptors of theirs. Devices beyond that are read packet by packet.
const RINGS: usize = 64;

/// Rings that nobody uses, and how many were made.
pub(super) struct Pool(Mutex<Rings>);

struct Rings {
    /// Who made them. A child that was forked must not touch them: it shares their memory with its parent, or has none.
    process: u32,
    made: usize,
    idle: Vec<IoUring>,
}

/// A ring in use.
pub(super) struct Used {
    pub(super) uring: IoUring,
    process: u32,
}

impl Pool {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Rings { process: 0, made: 0, idle: Vec::new() }))
    }

    /// One that nobody uses, or else a new one.
    ///
    /// # Errors
    /// There are as many as there may be; or the kernel gives none.
    pub(super) fn take(&self) -> io::Result<Used> {
        let mut rings = self.lock();
        let uring = match rings.idle.pop() {
            Some(uring) => uring,
            None if rings.made == RINGS => {
                return Err(io::Error::other(format!("{RINGS} are there already")));
            }
            None => {
                let uring = IoUring::builder().dontfork().build(MOST as u32)?;
                rings.made += 1;
                uring
            }
        };
        Ok(Used { uring, process: rings.process })
    }

    /// Takes back a ring that has no memory and no read under way.
    pub(super) fn give_back(&self, used: Used) {
        let mut rings = self.lock();
        if used.process == rings.process {
            rings.idle.push(used.uring);
        } else {
            used.abandon();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rings> {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let process = process::id();
        if rings.process != process {
            let parents = mem::replace(&mut *rings, Rings { process, made: 0, idle: Vec::new() });
            parents.idle.into_iter().for_each(mem::forget);
        }
        rings
    }
}

impl Used {
    /// Whether this process made it.
    pub(super) fn is_own(&self) -> bool {
        self.process == process::id()
    }

    /// Leaves it open, for nobody: it is another process's, or something is wrong with it.
    pub(super) fn abandon(self) {
        mem::forget(self.uring);
    }
}

#[cfg(test)]
impl Pool {
    /// How many were made.
    pub(super) fn made(&self) -> usize {
        self.lock().made
    }
}

#[cfg(test)]
impl Used {
    /// As it looks from a child: another than it made it.
    pub(super) fn be_a_parents(&mut self) {
        self.process -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn who_has_done_with_one_leaves_it_to_the_next() {
        let pool = Pool::new();
        let Ok(first) = pool.take() else { return println!("skipped: this kernel gives no io_uring") };
        let second = pool.take().unwrap();
        let numbers = [&first, &second].map(|used| used.uring.as_raw_fd());
        pool.give_back(first);
        pool.give_back(second);
        let again = [pool.take().unwrap(), pool.take().unwrap()];
        let mut found = again.each_ref().map(|used| used.uring.as_raw_fd());
        found.reverse();
        assert_eq!(found, numbers);
        assert_eq!(pool.made(), 2);
    }

    #[test]
    fn there_are_no_more_than_that() {
        let pool = Pool::new();
        let taken: io::Result<Vec<_>> = (0..RINGS).map(|_| pool.take()).collect();
        let Ok(mut taken) = taken else { return println!("skipped: this kernel gives no io_uring") };
        assert!(pool.take().is_err());
        taken.drain(..).for_each(|used| pool.give_back(used));
        assert_eq!(pool.lock().idle.len(), RINGS);
        assert!(pool.take().is_ok());
    }

    /// Whatever a child takes for its own, it cannot write to its parent's queues.
    #[test]
    fn a_child_has_no_queues_of_its_parents() {
        let pool = Pool::new();
        let Ok(used) = pool.take() else { return println!("skipped: this kernel gives no io_uring") };
        let left_out = || {
            let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let all = maps.split("VmFlags:").zip(maps.split("VmFlags:").skip(1));
            let of_rings = all.filter(|(map, _)| map.contains("anon_inode:[io_uring]"));
            let flags: Vec<_> = of_rings.filter_map(|(_, flags)| flags.lines().next()).collect();
            assert!(!flags.is_empty());
            flags.iter().all(|flags| flags.split(' ').any(|flag| flag == "dc"))
        };
        // Another thread may be making one.
        assert!((0..1000).any(|_| left_out()));
        pool.give_back(used);
    }

    #[test]
    fn a_child_leaves_its_parents_alone() {
        let pool = Pool::new();
        let taken = pool.take().and_then(|one| Ok((one, pool.take()?)));
        let Ok((idle, mut used)) = taken else { return println!("skipped: this kernel gives no io_uring") };
        let numbers = [&idle, &used].map(|used| used.uring.as_raw_fd());
        pool.give_back(idle);
        // As it looks from a child: others than it made them.
        pool.lock().process -= 1;
        used.be_a_parents();
        assert!(!used.is_own());
        pool.give_back(used);
        let own = pool.take().unwrap().uring;
        assert!(!numbers.contains(&own.as_raw_fd()), "left open");
        let rings = pool.lock();
        assert_eq!((rings.made, rings.idle.len()), (1, 0));
    }
}
