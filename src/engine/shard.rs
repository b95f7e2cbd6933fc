//! One stack behind one lock, with its device and those who wait for it.
//!
//! Any thread may take the lock, do its call and let the stack transmit in the thread's own context: that
//! costs tens of nanoseconds, where a message to an owner thread and back costs ten thousand. There is one
//! lock and it is never held while code that is not ours runs.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock, PoisonError, TryLockError};

use tunstack_core::error::Error;
use tunstack_core::stack::shards::Post;
use tunstack_core::stack::{SocketId, Stack};
use tunstack_core::time::Instant;

use super::clock::Clock;
use super::error::{Failure, io_error};
use super::seat::Seat;
use super::sleep::Nudge;
use super::spin::Spin;
use super::sync::thread::{self, ThreadId};
use super::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, thread_local};
use super::waiters::{Waiters, Woken};
use super::watch::Watch;
use crate::device::{Device, Frames};

/// Datagrams that are sent in one hold of the lock at the most. A send is a system call, and the order of
/// sends asks for the lock to be held over it: without a bound a bulk sender would keep who reads from the
/// very acknowledgments it waits for.
pub(crate) const BURST: usize = 64;

/// The same in octets, for packets that are cut later.
const BURST_OCTETS: usize = 1 << 20;

/// What is not more than that is a reply that may wait for others. A device takes what is more as large packets, for which
/// the peer is woken seldom enough.
const REPLY: usize = 16 << 10;

thread_local! {
    static READER: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is the reader of any engine.
pub(crate) fn is_reader() -> bool {
    READER.try_with(Cell::get).unwrap_or(false)
}

/// What the lock guards.
pub(crate) struct Held {
    /// The protocols.
    pub(crate) stack: Stack,
    /// Who waits.
    pub(crate) waiters: Waiters,
    /// Set once the engine works no more.
    pub(crate) failure: Option<Failure>,
    /// A shutdown is under way: nothing new is opened.
    pub(crate) closing: bool,
    /// Packets that the device did not take.
    pub(crate) refused: u64,
    /// Who reads the device.
    pub(super) seat: Seat,
    /// When the one who sits wakes up by itself.
    pub(super) sleep_until: Instant,
    /// The last time that the stack was told of.
    pub(super) now: Instant,
}

impl Held {
    /// The error a call gives. A shutdown takes sockets away under their owners, and says so.
    pub(crate) fn error(&self, error: Error) -> io::Error {
        if self.closing && error == Error::BadSocket { Failure::Stopped.to_io() } else { io_error(error) }
    }
}

/// What is next to do for the one who sits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Wait for packets until then.
    Sleep(Instant),
    /// The same, but look for them before that, however little looking has brought.
    Look(Instant),
    /// Look for packets without waiting: there is more to send.
    More,
}

/// The other shards of an engine that has several.
pub(super) trait Neighbours: Send + Sync {
    /// Those that are still there.
    fn others(&self) -> Vec<Arc<Shard>>;

    /// Finds out whose the packets are that came in here, and gives those of others to them; says nothing where there is
    /// none. Called without a lock.
    fn pass_on(&self, here: &Shard, frames: &Frames, owners: &mut Vec<u16>);

    /// Carries what a stack has for others, and what comes of that as far as it is not too much. Called without a lock; runs
    /// nobody's code.
    fn carry(&self, posts: Vec<(u16, Post)>);

    /// How many packets were passed on.
    fn passed_on(&self) -> u64;
}

/// One stack and what drives it.
pub(crate) struct Shard {
    held: Mutex<Held>,
    pub(crate) device: Box<dyn Device>,
    pub(crate) clock: Arc<Clock>,
    /// Wakes the one who sits from its sleep.
    pub(crate) nudge: Arc<Nudge>,
    /// Wakes the reader where nobody sits.
    pub(super) watch: Watch,
    /// The device cuts large packets.
    cuts: bool,
    /// How long who sits looks for packets before it sleeps.
    pub(super) spin: Spin,
    stop: AtomicBool,
    /// How many ask for the lock as the one who sits does, or with packets from another queue. Whoever holds it leaves
    /// further sending to them.
    seated_waits: AtomicU64,
    reader: OnceLock<ThreadId>,
    /// The engine's other shards, if it has several.
    pub(super) neighbours: OnceLock<Box<dyn Neighbours>>,
}

impl Shard {
    /// A stack on a device; nothing runs yet.
    pub(crate) fn new(
        stack: Stack,
        device: Box<dyn Device>,
        clock: impl Into<Arc<Clock>>,
        spin: impl Into<Spin>,
    ) -> io::Result<Self> {
        let held = Held {
            stack,
            waiters: Waiters::default(),
            failure: None,
            closing: false,
            refused: 0,
            seat: Seat::closed(),
            sleep_until: Instant::FAR_FUTURE,
            now: Instant::ZERO,
        };
        Ok(Self {
            held: Mutex::new(held),
            cuts: device.capabilities().max_gso > 0,
            device,
            clock: clock.into(),
            nudge: Arc::new(Nudge::new()?),
            watch: Watch::new()?,
            spin: spin.into(),
            stop: AtomicBool::new(false),
            seated_waits: AtomicU64::new(0),
            reader: OnceLock::new(),
            neighbours: OnceLock::new(),
        })
    }

    /// Takes the lock. After a panic in an earlier hold the stack is not to be trusted: that is noted as the
    /// engine's failure, so that the others get an error instead of a panic of their own.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_> {
        let unwinding = thread::panicking();
        let held = self.held.lock().unwrap_or_else(despite_poison);
        Guard { held, shard: self, unwinding }
    }

    /// The same if nobody has it.
    pub(super) fn lock_if_free(&self) -> Option<Guard<'_>> {
        let unwinding = thread::panicking();
        let held = match self.held.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(poison)) => despite_poison(poison),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Guard { held, shard: self, unwinding })
    }

    /// Takes the lock of an engine that works, or gives what ended it.
    #[inline]
    pub(crate) fn lock_working(&self) -> io::Result<Guard<'_>> {
        let held = self.lock();
        if held.failure.is_none() { Ok(held) } else { Err(held.release_failed()) }
    }

    /// A program's call that does not wait: does it, sends what comes of it, wakes whom it concerns.
    pub(crate) fn call<T>(&self, op: impl FnOnce(&mut Stack, Instant) -> Result<T, Error>) -> io::Result<T> {
        let mut held = self.lock_working()?;
        let now = self.clock.now();
        let result = op(&mut held.stack, now).map_err(|e| held.error(e));
        self.finish(held, now);
        result
    }

    /// The same of a socket that a program reads or writes: see [`conclude_looking`](Self::conclude_looking).
    pub(crate) fn call_of<T>(
        &self,
        id: SocketId,
        op: impl FnOnce(&mut Stack, Instant) -> Result<T, Error>,
    ) -> io::Result<T> {
        if is_reader() {
            return self.call(op);
        }
        let mut held = self.lock_working()?;
        let now = self.clock.now();
        let result = op(&mut held.stack, now).map_err(|e| held.error(e));
        if !self.has_to_drive(&held, now) {
            Self::tell(&mut held);
            self.conclude_quietly(held, id, now);
            return result;
        }
        let is_reply = || held.stack.unsent_text(id).is_some_and(|unsent| unsent <= REPLY);
        if held.seat.is_in_rush(now) && is_reply() {
            held.seat.pace.came(now);
            held.seat.pass(now);
            held.seat.unsent = true;
            Self::tell(&mut held);
            held.release();
            return result;
        }
        let more = self.drive_passing(&mut held, id, now);
        self.conclude_looking(held, id, now, more);
        result
    }

    /// As [`call`](Self::call), for calls that make sockets: refused while the engine shuts down.
    pub(crate) fn open<T>(&self, op: impl FnOnce(&mut Stack, Instant) -> Result<T, Error>) -> io::Result<T> {
        let mut held = self.lock_working()?;
        if held.closing {
            return Err(Failure::Stopped.to_io());
        }
        let now = self.clock.now();
        let result = op(&mut held.stack, now).map_err(|e| held.error(e));
        self.finish(held, now);
        result
    }

    /// Asks the stack without changing it.
    pub(crate) fn query<T>(&self, ask: impl FnOnce(&Stack) -> Result<T, Error>) -> io::Result<T> {
        let held = self.lock_working()?;
        ask(&held.stack).map_err(|e| held.error(e))
    }

    /// Sends what calls have left, for one that comes back without waiting, and what waits for its replies since before it came
    /// back last: it has worked on that. What it is told of now it can still reply to.
    pub(crate) fn send_unsent(&self) {
        let mut held = self.lock();
        let late = held.stack.release_older_acks();
        held.seat.told = held.seat.told.map(|told| told.max(held.now));
        if held.failure.is_some() || !(held.seat.unsent || late) {
            held.release();
            return;
        }
        let now = self.clock.now();
        self.finish(held, now);
    }

    /// Gives a socket up. A socket that is gone already, since the engine was shut down, is fine.
    pub(crate) fn close(&self, id: SocketId) {
        let mut held = self.lock();
        if held.failure.is_some() {
            held.waiters.forget(id);
            held.release();
            return;
        }
        let now = self.clock.now();
        let gone = held.stack.close(id, now);
        debug_assert!(matches!(gone, Ok(()) | Err(Error::BadSocket)), "{gone:?}");
        held.waiters.forget(id);
        self.finish(held, now);
    }

    /// The one function where lock, clock, stack and device meet. Sends one burst at the most and says
    /// whether there may be more.
    pub(crate) fn drive(&self, held: &mut Held, now: Instant) -> bool {
        held.stack.release_remainder();
        self.drive_on(held, now)
    }

    /// The same for a call that comes back soon, as it seems: what is left of a large write behind full packets waits for the
    /// next call of anybody, or for the reader's look. Where nobody would look in time, or the device has no large packets,
    /// it leaves.
    pub(super) fn drive_passing(&self, held: &mut Held, id: SocketId, now: Instant) -> bool {
        if !(self.cuts && held.seat.is_empty() && held.seat.pace.is_quick()) {
            return self.drive(held, now);
        }
        held.stack.hold_remainder(id);
        self.drive_on(held, now)
    }

    /// The same, but what is held back stays so.
    pub(super) fn drive_on(&self, held: &mut Held, now: Instant) -> bool {
        if held.failure.is_some() {
            return false;
        }
        held.now = held.now.max(now);
        held.seat.unsent = false;
        if !self.has_to_drive(held, now) {
            Self::tell(held);
            return false;
        }
        held.stack.handle_timeout(now);
        let mut more = true;
        let mut octets = 0;
        for _ in 0..BURST {
            if octets >= BURST_OCTETS {
                break;
            }
            // It is looked at where it was put: to move it right behind that is dear.
            let next = held.stack.poll_transmit(now);
            let Some(datagram) = &next else {
                more = false;
                break;
            };
            octets += datagram.len();
            if self.device.send(now, datagram).is_err() {
                held.refused += 1;
            }
        }
        Self::tell(held);
        more
    }

    /// Takes packets that wait, in place of those before.
    pub(super) fn take(&self, now: Instant, frames: &mut Frames) -> io::Result<usize> {
        frames.clear();
        let begun = frames.expects_burst().then(|| self.clock.now());
        let count = self.device.recv(now, frames)?;
        if let Some(begun) = begun {
            frames.took(self.clock.now().saturating_since(begun));
        }
        Ok(count)
    }

    /// Somebody is about to wait: acknowledgments that waited for what programs send while they work leave. Says, as
    /// [`drive`](Self::drive) does, whether there may be more to send.
    pub(super) fn release_acks(&self, held: &mut Held, now: Instant) -> bool {
        held.stack.release_acks() && self.drive_on(held, now)
    }

    /// Whether driving would do anything beside telling those who wait: a packet may be there to leave, or something is due.
    /// Most calls that read, accept or change an option leave neither.
    pub(super) fn has_to_drive(&self, held: &Held, now: Instant) -> bool {
        held.stack.may_transmit() || held.stack.poll_timeout().is_some_and(|due| due <= now)
    }

    /// Tells those who wait of what has changed.
    pub(super) fn tell(held: &mut Held) {
        while let Some(event) = held.stack.poll_event() {
            held.waiters.notify(event);
        }
        held.waiters.notify_anything();
    }

    /// When there is something to do even if nothing comes: for the stack, or for a device that holds
    /// packets back.
    pub(super) fn deadline(&self, held: &Held) -> Instant {
        let stack = held.stack.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        self.device.deadline().map_or(stack, |device| device.min(stack))
    }

    /// Ends a program's hold of the lock: drives, unlocks, wakes, as often as there is more to send.
    pub(crate) fn finish<'a>(&'a self, mut held: Guard<'a>, now: Instant) {
        let more = self.drive(&mut held, now);
        self.conclude(held, now, more);
    }

    /// The same where it was driven already, and there may be `more` to send.
    pub(super) fn conclude<'a>(&'a self, held: Guard<'a>, now: Instant, mut more: bool) {
        self.give_back(held, now);
        // One who sits and is at the door drives on when it is through; between it and a loop like this one, the lock
        // would go to the loop.
        while more && self.seated_waits.load(Ordering::Acquire) == 0 {
            let mut held = self.lock();
            let now = self.clock.now();
            more = self.drive(&mut held, now);
            self.give_back(held, now);
        }
    }

    fn give_back<'a>(&'a self, mut held: Guard<'a>, now: Instant) {
        let late = self.keep_time(&mut held, now);
        held.release();
        if late {
            self.nudge.nudge();
        }
    }

    /// The same for who has another device to read, or more to carry: what is left to send is for the one who sits here,
    /// and so are the wakers of tasks, which may do anything and take their time. Gives what there is for other shards, `most`
    /// at the most: the rest is for the one who sits here, too.
    pub(super) fn conclude_for_another<'a>(
        &'a self,
        mut held: Guard<'a>,
        now: Instant,
        more: bool,
        most: usize,
    ) -> Vec<(u16, Post)> {
        let posts = held.posts(most);
        let more = more || held.stack.has_post();
        let empty = held.seat.is_empty();
        // They stay in the table: whoever gives the lock back next wakes them.
        let others_code = held.waiters.woken_now(None).others_code;
        if more || others_code && empty {
            held.seat.alarm = now;
        }
        let late = self.keep_time(&mut held, now);
        let woken = held.waiters.take_woken_calls();
        drop(held);
        woken.wake();
        if late || more || others_code && !empty {
            self.nudge.nudge();
        }
        posts
    }

    /// Sees to it that whatever is due is done in time. Says whether the one who sits is to be nudged for that, when
    /// the lock is gone.
    fn keep_time(&self, held: &mut Held, now: Instant) -> bool {
        if held.seat.is_empty() {
            self.ring(held, now);
            return false;
        }
        let deadline = self.deadline(held);
        let late = deadline < held.sleep_until;
        if late {
            held.sleep_until = deadline;
        }
        late
    }

    /// The lock, for the one who sits, and for who brings packets from another queue.
    pub(super) fn lock_seated(&self) -> Guard<'_> {
        self.seated_waits.fetch_add(1, Ordering::AcqRel);
        let held = self.lock();
        self.seated_waits.fetch_sub(1, Ordering::AcqRel);
        held
    }

    /// The engine works no more: notes why, unless it is known, and wakes everybody.
    pub(crate) fn fail(&self, failure: Failure) {
        let mut held = self.lock();
        held.failure.get_or_insert(failure);
        held.waiters.notify_all();
        self.watch.call();
        let failure = held.failure.clone();
        held.release();
        // Who sits for a poll may watch nothing that tells it.
        self.nudge.nudge();
        // What ends one shard ends them all.
        for other in self.others() {
            let mut held = other.lock();
            let news = held.failure.is_none();
            if news {
                held.failure.clone_from(&failure);
                held.waiters.notify_all();
                other.watch.call();
            }
            held.release();
            if news {
                other.nudge.nudge();
            }
        }
    }

    /// A hold of the lock ends in a panic: who sits, or the reader, finds it poisoned and wakes all who would wait for ever.
    #[cold]
    fn broken(&self) {
        self.watch.call();
        self.nudge.nudge();
    }

    /// Tells the reader to end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        let held = self.lock();
        self.watch.call();
        held.release();
        self.nudge.nudge();
    }

    /// Whether the reader was told to end.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Notes that this thread is the reader.
    pub(crate) fn enter_reader(&self) {
        self.reader.get_or_init(|| thread::current().id());
        READER.with(|reader| reader.set(true));
    }

    /// Whether this thread is the reader, or that of another shard of the engine, which must not wait for themselves.
    pub(crate) fn on_reader(&self) -> bool {
        let this = thread::current().id();
        let is_it = |shard: &Self| shard.reader.get() == Some(&this);
        is_it(self) || is_reader() && self.others().iter().any(|other| is_it(other))
    }

    fn others(&self) -> Vec<Arc<Self>> {
        self.neighbours.get().map(|neighbours| neighbours.others()).unwrap_or_default()
    }

    /// Finds out whose the packets are, and gives those of other shards to them. Called without the lock.
    pub(super) fn pass_on(&self, frames: &Frames, owners: &mut Vec<u16>) {
        owners.clear();
        if let Some(neighbours) = self.neighbours.get() {
            neighbours.pass_on(self, frames, owners);
        }
    }
}

fn despite_poison(poison: PoisonError<MutexGuard<'_, Held>>) -> MutexGuard<'_, Held> {
    let mut held = poison.into_inner();
    held.failure.get_or_insert(Failure::Poisoned);
    held.waiters.notify_all();
    held
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").field("capabilities", &self.device.capabilities()).finish_non_exhaustive()
    }
}

/// The lock, held.
pub(crate) struct Guard<'a> {
    held: MutexGuard<'a, Held>,
    shard: &'a Shard,
    /// The thread was in a panic before it took the lock, which is its own affair.
    unwinding: bool,
}

impl Guard<'_> {
    /// Unlocks, then carries what there is for other shards, then wakes: a waker may run code that takes the lock.
    #[inline]
    pub(crate) fn release(mut self) {
        let woken = self.held.waiters.take_woken();
        if woken.is_none() && self.shard.neighbours.get().is_none() {
            return;
        }
        self.release_for(woken);
    }

    /// The same of an engine that works no more: gives what ended it.
    #[cold]
    fn release_failed(self) -> io::Error {
        let error = self.held.failure.as_ref().unwrap_or(&Failure::Stopped).to_io();
        self.release();
        error
    }

    #[inline(never)]
    fn release_for(mut self, woken: Option<Woken>) {
        let (shard, posts) = (self.shard, self.posts(usize::MAX));
        drop(self);
        if let Some(neighbours) = shard.neighbours.get().filter(|_| !posts.is_empty()) {
            neighbours.carry(posts);
        }
        if let Some(woken) = woken {
            woken.wake();
        }
    }

    /// Takes out what there is for other shards, `most` at the most.
    fn posts(&mut self, most: usize) -> Vec<(u16, Post)> {
        match self.shard.neighbours.get() {
            Some(_) => std::iter::from_fn(|| self.held.stack.poll_post()).take(most).collect(),
            None => Vec::new(),
        }
    }
}

impl Deref for Guard<'_> {
    type Target = Held;
    fn deref(&self) -> &Held {
        &self.held
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut Held {
        &mut self.held
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        if thread::panicking() && !self.unwinding {
            self.shard.broken();
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
