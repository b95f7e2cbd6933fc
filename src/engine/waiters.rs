//! Who waits for what. A blocked thread and a task are a [`Waker`]; who must see *every* change, as a poller
//! with many sockets and a descriptor that shows a socket's readiness to the kernel do, is an [`Observer`].
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

/// Sees every change of one socket from when it is entered until it is taken back.
///
/// It is told under the engine's lock, so what it was told last is how the socket stands: it must be quick, never
/// wait, and never call into the engine.
pub(crate) trait Observer: Send + Sync {
    /// How the socket stands now. Told again without a difference when something arrived for a socket that was
    /// ready before: an edge.
    fn changed(&self, readiness: Readiness);
}

/// Names one waiter, to take it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(u64);

/// What is done for who waits.
enum Wait {
    /// Woken once, when it fits.
    Once(Interest, Waker),
    /// Told of every change.
    Always(Arc<dyn Observer>),
}

struct Entry {
    /// `None`: a task, which is told apart by its waker and is never taken back.
    key: Option<Key>,
    wait: Wait,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    entries: Vec<Entry>,
}

impl Slot {
    /// Everybody looks again; observers stay.
    fn wake_all(&mut self, readiness: Readiness, woken: &mut Vec<Waker>) {
        self.tell(readiness, true, woken);
    }

    fn tell(&mut self, readiness: Readiness, all: bool, woken: &mut Vec<Waker>) {
        let fits = |e: &mut Entry| match &e.wait {
            Wait::Once(interest, _) => all || readiness.intersects(interest.mask()),
            Wait::Always(observer) => {
                observer.changed(readiness);
                false
            }
        };
        woken.extend(self.entries.extract_if(.., fits).filter_map(|e| match e.wait {
            Wait::Once(_, waker) => Some(waker),
            Wait::Always(_) => None,
        }));
    }
}

/// How a socket stands that is no more: every call on it ends at once.
const GONE: Readiness = Readiness::READABLE
    .union(Readiness::WRITABLE)
    .union(Readiness::READ_CLOSED)
    .union(Readiness::HANG_UP)
    .union(Readiness::ERROR);

/// The waiters of a stack.
#[derive(Default)]
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
        let same = |e: &&mut Entry| match (&e.wait, key) {
            (Wait::Once(..), Some(_)) => e.key == key,
            (Wait::Once(i, w), None) => e.key.is_none() && *i == interest && w.will_wake(waker),
            (Wait::Always(_), _) => false,
        };
        match slot.entries.iter_mut().find(same) {
            Some(Entry { wait: Wait::Once(i, w), .. }) => {
                *i = interest;
                w.clone_from(waker);
            }
            _ => slot.entries.push(Entry { key, wait: Wait::Once(interest, waker.clone()) }),
        }
    }

    /// From now on `observer` is told of every change of the socket. What stands when it is entered it has to
    /// learn from the stack, in the same hold of the lock.
    pub(crate) fn observe(&mut self, id: SocketId, key: Key, observer: Arc<dyn Observer>) {
        let entry = Entry { key: Some(key), wait: Wait::Always(observer) };
        self.slot_mut(id).entries.push(entry);
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
        if slot.generation == event.id.generation() {
            slot.tell(event.readiness, false, &mut self.woken);
        } else {
            slot.wake_all(GONE, &mut self.woken);
        }
    }

    /// Something happened.
    pub(crate) fn notify_anything(&mut self) {
        self.woken.extend(self.anything.drain(..).map(|(_, w)| w));
    }

    /// The socket is gone: all who wait for it look again and find that.
    pub(crate) fn forget(&mut self, id: SocketId) {
        self.notify(Event { id, readiness: GONE });
        if let Some(slot) = self.slots.get_mut(id.index() as usize) {
            slot.entries.clear();
        }
    }

    /// Everybody looks again.
    pub(crate) fn notify_all(&mut self) {
        for slot in &mut self.slots {
            slot.wake_all(GONE, &mut self.woken);
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
            slot.wake_all(GONE, &mut self.woken);
            slot.entries.clear();
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tunstack_core::addr::Family;
    use tunstack_core::config::Config;
    use tunstack_core::stack::Stack;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counter() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    fn wake(waiters: &mut Waiters) {
        waiters.take_woken().into_iter().for_each(Waker::wake);
    }

    fn notify(waiters: &mut Waiters, id: SocketId, readiness: Readiness) {
        waiters.notify(Event { id, readiness });
        wake(waiters);
    }

    fn times(count: &Count) -> usize {
        count.0.load(Ordering::Relaxed)
    }

    /// Two uses of one slot.
    fn ids() -> (SocketId, SocketId) {
        let mut stack = Stack::new(Config::default(), [0; 32]);
        let first = stack.udp_socket(Family::V4);
        stack.close(first, Instant::ZERO).unwrap();
        let second = stack.udp_socket(Family::V4);
        assert_eq!(first.index(), second.index());
        assert_ne!(first.generation(), second.generation());
        (first, second)
    }

    #[test]
    fn each_is_woken_once_by_what_fits() {
        let (id, _) = ids();
        let mut waiters = Waiters::default();
        let (reader, reads) = counter();
        let (writer, writes) = counter();
        waiters.register(id, Interest::Readable, None, &reads);
        waiters.register(id, Interest::Writable, None, &writes);
        notify(&mut waiters, id, Readiness::empty());
        assert_eq!((times(&reader), times(&writer)), (0, 0));
        notify(&mut waiters, id, Readiness::WRITABLE);
        assert_eq!((times(&reader), times(&writer)), (0, 1));
        notify(&mut waiters, id, Readiness::READABLE | Readiness::WRITABLE);
        assert_eq!((times(&reader), times(&writer)), (1, 1));
        for always in [Readiness::ERROR, Readiness::HANG_UP] {
            waiters.register(id, Interest::Readable, None, &reads);
            waiters.register(id, Interest::Writable, None, &writes);
            notify(&mut waiters, id, always);
        }
        assert_eq!((times(&reader), times(&writer)), (3, 3));
    }

    #[test]
    fn all_who_wait_are_woken_and_leaving_takes_nobody_along() {
        let (id, _) = ids();
        let mut waiters = Waiters::default();
        let (count, waker) = counter();
        // One waker under three names, as two threads of a pool and a task may be.
        let (a, b) = (waiters.key(), waiters.key());
        waiters.register(id, Interest::Readable, Some(a), &waker);
        waiters.register(id, Interest::Readable, Some(b), &waker);
        waiters.register(id, Interest::Readable, None, &waker);
        waiters.deregister(id, a);
        notify(&mut waiters, id, Readiness::READABLE);
        assert_eq!(times(&count), 2);
    }

    #[test]
    fn asking_again_is_not_waiting_twice() {
        let (id, _) = ids();
        let mut waiters = Waiters::default();
        let (count, waker) = counter();
        let key = waiters.key();
        for _ in 0..100 {
            waiters.register(id, Interest::Readable, None, &waker);
            waiters.register(id, Interest::Writable, Some(key), &waker);
        }
        notify(&mut waiters, id, Readiness::all());
        assert_eq!(times(&count), 2);
    }

    #[test]
    fn a_slot_used_again_leaves_nobody_behind() {
        let (old, new) = ids();
        let mut waiters = Waiters::default();
        let (stale, stale_waker) = counter();
        let (fresh, fresh_waker) = counter();
        let key = waiters.key();
        waiters.register(old, Interest::Readable, Some(key), &stale_waker);
        waiters.register(new, Interest::Readable, None, &fresh_waker);
        wake(&mut waiters);
        assert_eq!((times(&stale), times(&fresh)), (1, 0), "it looks again and finds its socket gone");
        waiters.deregister(old, key);
        notify(&mut waiters, new, Readiness::READABLE);
        assert_eq!((times(&stale), times(&fresh)), (1, 1));

        waiters.register(old, Interest::Readable, None, &stale_waker);
        notify(&mut waiters, new, Readiness::empty());
        assert_eq!(times(&stale), 2, "word of the new use ends the wait for the old");
    }

    #[test]
    fn the_end_is_told_to_all() {
        let (id, _) = ids();
        let mut waiters = Waiters::default();
        let (count, waker) = counter();
        let key = waiters.key();
        waiters.register(id, Interest::Writable, None, &waker);
        waiters.register_anything(key, &waker);
        waiters.notify_all();
        wake(&mut waiters);
        assert_eq!(times(&count), 2);
        waiters.register_anything(key, &waker);
        waiters.deregister_anything(key);
        waiters.notify_all();
        wake(&mut waiters);
        assert_eq!(times(&count), 2);
    }

    #[test]
    fn a_wake_up_before_the_wait_counts_and_an_unpark_does_not() {
        let clock = Clock::start();
        let parker = Parker::current();
        Waker::from(Arc::clone(&parker)).wake();
        assert!(parker.wait(&clock, None));
        thread::current().unpark();
        assert!(!parker.wait(&clock, Some(clock.now())));
    }
}
