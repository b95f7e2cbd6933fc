//! A submission and a completion queue, in io_uring's words, over the sockets of [`bsd`](crate::bsd).
//!
//! Instead of asking whether a call can be made, a program says what it wants done, and hears when it is:
//!
//! ```no_run
//! # use tunstack::{bsd::{Errno, Sockets, abi::MsgFlags}, engine::Engine, ring::{Flags, Ring, opcode}};
//! # fn one(engine: Engine, connection: i32) -> Result<(), Box<dyn std::error::Error>> {
//! let sockets = Sockets::new(&engine);
//! let mut ring = Ring::new(&sockets, 64)?;
//! # let connection = 7;
//! let ping = opcode::send(connection, &b"ping"[..], MsgFlags::WAITALL).user_data(1);
//! ring.submission().push(ping.flags(Flags::IO_LINK))?;
//! ring.submission().push(opcode::recv(connection, vec![0; 64], MsgFlags::empty()).user_data(2))?;
//! ring.submit_and_wait(2)?;
//! for completion in ring.completion() {
//!     let n = completion.to_result()?;
//!     println!("{} of {}: {:?}", n, completion.user_data, completion.data());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Who owns a buffer
//!
//! One at a time: the program, then the entry, then the completion, and so the program again. A receiving operation
//! takes `Vec<u8>`s and fills them from the beginning up to their length; a sending one takes [`Bytes`](bytes::Bytes),
//! which a `Vec<u8>` or a constant becomes without a copy. The completion brings all of it back, whether the operation
//! went well, failed or was cancelled. A buffer given to a group by [`provide`](Ring::provide) is the ring's
//! until a completion brings it, with its number. What is not read out of a completion is dropped with it.
//!
//! # Who does the work
//!
//! Whichever thread is in the ring: [`submit`](Ring::submit), [`wait`](Ring::wait) and [`completion`](Ring::completion)
//! do what can be done, and complete it (as with `IORING_SETUP_DEFER_TASKRUN`). In between nothing is copied and
//! nothing completes, but the ring hears that there is something to do: its descriptor ([`AsFd`]) is readable while
//! completions wait, operations can go on or a timeout is over, and so it may stand in a `poll` or an `epoll`, where it
//! must be followed by a call of [`completion`](Ring::completion), which takes all out. A ring has no thread of its own.
//!
//! # As io_uring, and not
//!
//! Results, links, drains, cancels and timeouts are those of Linux 6.18, where an operation waits whatever the
//! descriptor's `O_NONBLOCK` says (and no longer than `MSG_DONTWAIT` says). As there, entries are not done in
//! the order of submission unless they are linked, and several that send on one connection at a time may mix.
//!
//! A completion that finds the queue full is kept in a list behind it, and none is ever lost; a multishot entry ends
//! there. As long as there is such a list nothing is submitted (`EBUSY`, which Linux gave up to 5.18), so that
//! what a ring holds is bounded by the sizes that it was made with. Linux stops a submission at an entry that makes
//! no sense; we go on, as with `IORING_SETUP_SUBMIT_ALL`.

mod completion;

mod entry;

pub mod opcode;

mod buffers;

mod timers;

mod bell;

mod edges;

mod operate;

mod run;

mod queue;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use tunstack_core::time::Instant;

use crate::bsd::{Errno, Result, Sockets};
use crate::engine::clock::Clock;
use bell::Bell;
use buffers::Groups;
pub use completion::{Buffer, Completion, CompletionFlags};
pub use entry::{CancelBuilder, Entry, Flags, PollEvents, TimeoutFlags, When};
pub use queue::{CompletionQueue, PushError, SubmissionQueue};
use run::{Op, Task};
use timers::Timers;

#[cfg(test)]
mod tests;

/// The largest submission queue.
const MOST_ENTRIES: u32 = 32_768;

/// Operations in flight unless the builder says otherwise.
const IN_FLIGHT: usize = 65_536;

/// Names an operation in flight; later ones are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Key(u64);

/// The sizes of a ring that is to be made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builder {
    cq_entries: Option<u32>,
    in_flight: Option<usize>,
}

impl Builder {
    /// The size of the completion queue, twice that of the submission queue unless said: at least as large as that,
    /// at most 65536, rounded up to a power of two.
    #[must_use]
    pub const fn cq_entries(mut self, entries: u32) -> Self {
        self.cq_entries = Some(entries);
        self
    }

    /// How many operations may be submitted and not complete, 65536 unless said; at least as many as the submission
    /// queue has entries.
    #[must_use]
    pub const fn in_flight(mut self, operations: usize) -> Self {
        self.in_flight = Some(operations);
        self
    }

    /// Makes it, with a submission queue for so many entries: a power of two up to 32768.
    ///
    /// # Errors
    /// `EINVAL` for sizes that are not so, `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn build(self, sockets: &Sockets, entries: u32) -> Result<Ring> {
        let cq_entries = self.cq_entries.unwrap_or(entries.saturating_mul(2));
        let sensible = entries.is_power_of_two()
            && entries <= MOST_ENTRIES
            && (entries..=2 * MOST_ENTRIES).contains(&cq_entries);
        if !sensible {
            return Err(Errno::INVAL);
        }
        let cq_entries = cq_entries.next_power_of_two();
        Ok(Ring {
            sockets: sockets.clone(),
            sq: VecDeque::new(),
            sq_entries: entries as usize,
            cq: completion::Queue::new(cq_entries as usize),
            in_flight: self.in_flight.unwrap_or(IN_FLIGHT).max(entries as usize),
            ops: BTreeMap::new(),
            by_user_data: BTreeSet::new(),
            last_key: 0,
            tasks: VecDeque::new(),
            active: 0,
            deferred: VecDeque::new(),
            deferred_entries: 0,
            barrier: false,
            groups: Groups::default(),
            timers: Timers::default(),
            bell: Bell::new()?,
        })
    }
}

/// A submission queue, a completion queue, and what is in flight between them.
///
/// It is used by one thread at a time, and may be sent to another. Dropped, it cancels what is in flight.
///
/// To close a socket with `SO_LINGER` waits, as in Linux, whoever does it: the ring, too.
pub struct Ring {
    sockets: Sockets,
    sq: VecDeque<Entry>,
    sq_entries: usize,
    cq: completion::Queue,
    in_flight: usize,
    ops: BTreeMap<Key, Op>,
    by_user_data: BTreeSet<(u64, Key)>,
    last_key: u64,
    tasks: VecDeque<Task>,
    /// Entries that were let through and have not completed, those behind links among them.
    active: usize,
    /// Chains that are held up by a drain.
    deferred: VecDeque<VecDeque<Entry>>,
    deferred_entries: usize,
    /// A chain with a drain runs: nothing else begins.
    barrier: bool,
    groups: Groups,
    timers: Timers,
    bell: Arc<Bell>,
}

impl Ring {
    /// A ring over these sockets, with room for so many entries to be submitted at once (a power of two up to 32768)
    /// and for twice as many completions.
    ///
    /// # Errors
    /// Those of [`Builder::build`].
    pub fn new(sockets: &Sockets, entries: u32) -> Result<Self> {
        Builder::default().build(sockets, entries)
    }

    /// Begins to describe a ring.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The sockets on which it operates.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// The entries that are to be submitted.
    pub fn submission(&mut self) -> SubmissionQueue<'_> {
        SubmissionQueue::new(self)
    }

    /// The completions that wait. First does what can be done.
    pub fn completion(&mut self) -> CompletionQueue<'_> {
        self.run();
        CompletionQueue::new(self)
    }

    /// Begins what is in the submission queue and does what can be done at once. Gives the number of entries taken: all,
    /// unless there are too many operations in flight.
    ///
    /// # Errors
    /// `EBUSY` when completions wait that found their queue full, `EAGAIN` when no more operations may be in flight; in
    /// both cases the entries stay where they are until completions have been taken out.
    pub fn submit(&mut self) -> Result<usize> {
        let submitted = self.take_submissions();
        self.show();
        submitted
    }

    /// [`submit`](Self::submit), then [`wait`](Self::wait).
    ///
    /// # Errors
    /// Those of both. After one of `wait` the entries are submitted nevertheless.
    pub fn submit_and_wait(&mut self, n: usize) -> Result<usize> {
        let submitted = self.take_submissions()?;
        self.wait(n, None)?;
        Ok(submitted)
    }

    /// Waits until at least `n` completions wait to be taken out (no more than the completion queue holds), or as
    /// long as `timeout` says.
    ///
    /// # Errors
    /// `ETIME` when the time is over, `EDEADLK` where nothing is in flight that could complete, and on the engine's own
    /// thread.
    pub fn wait(&mut self, n: usize, timeout: Option<Duration>) -> Result<()> {
        let waited = self.wait_for(n.min(self.cq.capacity()), timeout);
        self.show();
        waited
    }

    fn wait_for(&mut self, n: usize, timeout: Option<Duration>) -> Result<()> {
        let deadline = self.clock().deadline(timeout).unwrap_or(Instant::FAR_FUTURE);
        loop {
            self.run();
            if self.cq.len() >= n {
                return Ok(());
            }
            if self.outstanding() == 0 || self.sockets.engine().shard().on_reader() {
                return Err(Errno::DEADLK);
            }
            if deadline <= self.clock().now() {
                return Err(Errno::TIME);
            }
            let until = self.timers.next().map_or(deadline, |next| next.min(deadline));
            self.bell.wait(self.clock(), until);
        }
    }

    /// Cancels operations that wait, without an entry for it (`IORING_REGISTER_SYNC_CANCEL`), and gives how many there
    /// were. Their completions tell of it. It goes ahead of what is held up by a drain.
    ///
    /// # Errors
    /// `ENOENT` where there is none, unless all were meant; `EBADF`, `ENOTSOCK`.
    pub fn cancel(&mut self, which: CancelBuilder) -> Result<usize> {
        self.run();
        let found = self.matching(which, None)?;
        let count = found.len();
        for key in found {
            self.end(key);
        }
        self.run();
        self.show();
        Ok(count)
    }

    /// Operations that were submitted and have not completed.
    pub fn outstanding(&self) -> usize {
        self.active + self.deferred_entries
    }

    /// Makes a group of provided buffers, for up to so many (a power of two up to 32768).
    ///
    /// # Errors
    /// `EINVAL`, `EEXIST`.
    pub fn register_buffers(&mut self, group: u16, entries: u16) -> Result<()> {
        self.groups.register(group, entries)
    }

    /// Ends a group, and gives back the buffers that nobody took, with their numbers.
    ///
    /// # Errors
    /// `EINVAL` where there is none.
    pub fn unregister_buffers(&mut self, group: u16) -> Result<Vec<(u16, Vec<u8>)>> {
        self.groups.unregister(group)
    }

    /// Adds a buffer to a group, under a number of the program's choice; it is used as long as it is. The oldest is used
    /// first.
    ///
    /// # Errors
    /// `ENOENT` (no such group), `EINVAL` (empty), `ENOBUFS` (the group is full); the buffer is dropped.
    pub fn provide(&mut self, group: u16, id: u16, buffer: Vec<u8>) -> Result<()> {
        self.groups.provide(group, id, buffer)
    }

    /// The buffers of a group that wait to be used; 0 where there is none.
    pub fn buffers(&self, group: u16) -> usize {
        self.groups.available(group)
    }

    fn clock(&self) -> &Clock {
        &self.sockets.engine().shard().clock
    }

    /// Makes the descriptor show what there is.
    fn show(&self) {
        self.bell.show(self.cq.len() > 0, self.timers.next(), self.clock());
    }
}

/// Readable while there are completions, or something to do that brings them.
impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let fd = self.bell.watch();
        self.show();
        fd
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("submissions", &self.sq.len())
            .field("outstanding", &self.outstanding())
            .field("completions", &self.cq.len())
            .finish_non_exhaustive()
    }
}
