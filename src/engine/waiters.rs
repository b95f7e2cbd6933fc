//! Who waits for what. [`Waker`] is the only wake-up there is: a blocked thread, a task and a poller are
//! each one of them.
//!
//! The stack says *which* sockets changed; this table says *who* cares. It lives under the stack's lock, so
//! "it would block" and "wake me" are one step and no wake-up can fall between them. Whoever waits is woken
//! by every change that fits, once, and looks again: wake-ups are hints, never grants, so nobody can take
//! somebody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use tunstack_core::stack::{Event, Readiness, SocketId};
use tunstack_core::time::Instant;

use super::clock::Clock;

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Interest {
    /// Something to read or accept, the end of the data, or an error.
    Readable,
    /// Room to write, the end of a connection attempt, or an error.
    Writable,
}

impl Interest {
    /// The readiness bits that end the wait.
    pub const fn mask(self) -> Readiness {
        let always = Readiness::HANG_UP.union(Readiness::ERROR);
        match self {
            Self::Readable => Readiness::READABLE.union(Readiness::READ_CLOSED).union(always),
            Self::Writable => Readiness::WRITABLE.union(always),
        }
    }
}

/// Names one waiter, to take it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(u64);

#[derive(Debug)]
struct Entry {
    /// `None`: a task, which is told apart by its waker and is never taken back.
    key: Option<Key>,
    interest: Interest,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    entries: Vec<Entry>,
}

/// The waiters of a stack.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    slots: Vec<Slot>,
    /// Woken whenever anything happens: they wait for what no readiness bit tells, such as the last
    /// acknowledgment of a lingering close. There are few and not for long.
    anything: Vec<(Key, Waker)>,
    woken: Vec<Waker>,
    last_key: u64,
}

impl Waiters {
    /// A name for a waiter.
    pub(crate) fn key(&mut self) -> Key {
        self.last_key += 1;
        Key(self.last_key)
    }

    /// From now on `waker` is woken, once, when the socket becomes ready for `interest`. Registered again
    /// under the same key (or, without one, as the same task) it takes the older one's place.
    pub(crate) fn register(&mut self, id: SocketId, interest: Interest, key: Option<Key>, waker: &Waker) {
        let slot = self.slot_mut(id);
        let same = |e: &&mut Entry| match key {
            Some(_) => e.key == key,
            None => e.key.is_none() && e.interest == interest && e.waker.will_wake(waker),
        };
        match slot.entries.iter_mut().find(same) {
            Some(entry) => {
                entry.interest = interest;
                entry.waker.clone_from(waker);
            }
            None => slot.entries.push(Entry { key, interest, waker: waker.clone() }),
        }
    }

    /// Takes a waiter back.
    pub(crate) fn deregister(&mut self, id: SocketId, key: Key) {
        if let Some(slot) = self.slots.get_mut(id.index() as usize)
            && slot.generation == id.generation()
        {
            slot.entries.retain(|e| e.key != Some(key));
        }
    }

    /// From now on `waker` is woken, once, when anything at all happens.
    pub(crate) fn register_anything(&mut self, key: Key, waker: &Waker) {
        match self.anything.iter_mut().find(|(k, _)| *k == key) {
            Some((_, w)) => w.clone_from(waker),
            None => self.anything.push((key, waker.clone())),
        }
    }

    /// Takes back a waiter for anything.
    pub(crate) fn deregister_anything(&mut self, key: Key) {
        self.anything.retain(|(k, _)| *k != key);
    }

    /// A socket's readiness changed.
    pub(crate) fn notify(&mut self, event: Event) {
        let Some(slot) = self.slots.get_mut(event.id.index() as usize) else { return };
        // Whoever waits for another use of the slot waits for a socket that is gone, or hears of one that
        // is: a needless look costs little, a missed one hangs.
        let stale = slot.generation != event.id.generation();
        let fits = |e: &mut Entry| stale || event.readiness.intersects(e.interest.mask());
        self.woken.extend(slot.entries.extract_if(.., fits).map(|e| e.waker));
    }

    /// Something happened.
    pub(crate) fn notify_anything(&mut self) {
        self.woken.extend(self.anything.drain(..).map(|(_, w)| w));
    }

    /// The socket is gone: all who wait for it look again and find that.
    pub(crate) fn forget(&mut self, id: SocketId) {
        self.notify(Event { id, readiness: Readiness::all() });
    }

    /// Everybody looks again.
    pub(crate) fn notify_all(&mut self) {
        for slot in &mut self.slots {
            self.woken.extend(slot.entries.drain(..).map(|e| e.waker));
        }
        self.notify_anything();
    }

    /// Those to be woken, after the lock is gone: a waker runs code that is not ours.
    pub(crate) fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    fn slot_mut(&mut self, id: SocketId) -> &mut Slot {
        let index = id.index() as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Slot::default);
        }
        let slot = &mut self.slots[index];
        if slot.generation != id.generation() {
            slot.generation = id.generation();
            self.woken.extend(slot.entries.drain(..).map(|e| e.waker));
        }
        slot
    }
}

/// A thread that waits, as a waker.
#[derive(Debug)]
pub(crate) struct Parker {
    thread: Thread,
    woken: AtomicBool,
}

thread_local! {
    static PARKER: Arc<Parker> = Arc::new(Parker::new());
}

impl Parker {
    fn new() -> Self {
        Self { thread: thread::current(), woken: AtomicBool::new(false) }
    }

    /// This thread's. A wake-up that comes late, from an earlier wait, is one needless look.
    pub(crate) fn current() -> Arc<Self> {
        PARKER.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Self::new()))
    }

    /// Waits for a wake-up; false when `deadline` came first. Whatever else unparks the thread is ignored.
    pub(crate) fn wait(&self, clock: &Clock, deadline: Option<Instant>) -> bool {
        loop {
            if self.woken.swap(false, Ordering::Acquire) {
                return true;
            }
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_since(clock.now());
            if left.is_zero() {
                return false;
            }
            thread::park_timeout(left);
        }
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
