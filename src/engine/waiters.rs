//! Who waits for what. A blocked thread and a task are a [`Waker`]; who must see *every* change, as a poller
//! with many sockets and a descriptor that shows a socket's readiness to the kernel do, is an [`Observer`].
//!
//! The stack says *which* sockets changed; this table says *who* cares. It lives under the stack's lock, so
//! "it would block" and "wake me" are one step and no wake-up can fall between them. Whoever waits is woken
//! by every change that fits, once, and looks again: wake-ups are hints, never grants, so nobody can take
//! somebody else's. Whoever stops waiting takes its entry back by its [`Key`].

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Wake, Waker};

use tunstack_core::stack::{Event, Readiness, SocketId};
use tunstack_core::time::Instant;

use super::clock::{Clock, Sleeper};
use super::sleep::Nudge;
use super::sync::thread::{self, Thread};
use super::sync::{AtomicBool, AtomicU64, Mutex, Ordering, thread_local};

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
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.9.1.8
    //# However, an application program that does not want to receive such ERROR_REPORT calls SHOULD be able to
    //# effectively disable these calls (SHLD-20).
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
    /// How the socket stands now, and which of that is new: it arose, or something arrived for it though it stood
    /// before. Gives a name of the thread that was woken by that, if one was.
    fn changed(&self, readiness: Readiness, edges: Readiness) -> Option<usize>;
}

/// Names one waiter or observer, to take it back. No two of a stack's are the same, and none is 0. It says whether
/// a thread's call waits: such a waker does nothing but wake it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(u64);

impl Key {
    const fn is_of_call(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Where one waiter keeps its key from when it must wait until it need not any more. A thread has one for a call, a
/// future for its life, a handle that tasks poll one for each direction. Whoever drops one has to
/// [`leave`](Waiters::leave) before.
#[derive(Debug, Default)]
pub(crate) struct Place(AtomicU64);

impl Place {
    /// Whether it holds no key: then there is nothing to leave.
    pub(crate) fn is_free(&self) -> bool {
        self.key().is_none()
    }

    // Written only under the stack's lock. Who reads it without has the place to itself.
    fn key(&self) -> Option<Key> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&key| key != 0).map(Key)
    }
}

/// How many tasks without a key may wait for one socket. Nothing takes back the entry of one that is dropped, so
/// that on a socket where nothing happens they would pile up. Beyond this the oldest is woken: if it lives it comes
/// back.
const KEYLESS: usize = 1024;

/// What is done for who waits.
enum Wait {
    /// Woken once, by any of these bits.
    Once(Readiness, Waker),
    /// Told of every change.
    Always(Arc<dyn Observer>),
}

struct Entry {
    /// `None`: a task that is told apart by its waker and never taken back.
    key: Option<Key>,
    wait: Wait,
}

impl Entry {
    fn into_waker(self) -> Option<Waker> {
        match self.wait {
            Wait::Once(_, waker) => Some(waker),
            Wait::Always(_) => None,
        }
    }
}

/// Those who are to be woken when the lock is gone.
#[derive(Default)]
struct ToWake {
    wakers: Vec<Waker>,
    /// How many of them are calls of threads: the first.
    calls: usize,
    /// Threads that observers have woken: how many, and the last.
    polls: (usize, Option<usize>),
}

impl ToWake {
    fn add(&mut self, key: Option<Key>, waker: Waker) {
        self.wakers.push(waker);
        if key.is_some_and(Key::is_of_call) {
            let last = self.wakers.len() - 1;
            self.wakers.swap(self.calls, last);
            self.calls += 1;
        }
    }

    fn extend(&mut self, entries: impl Iterator<Item = Entry>) {
        for entry in entries {
            let key = entry.key;
            if let Some(waker) = entry.into_waker() {
                self.add(key, waker);
            }
        }
    }
}

/// Who is to be woken, in short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct WokenNow {
    /// The one who asks is among them.
    pub(super) asker: bool,
    /// It is one, and a thread in a call or a poll: which.
    pub(super) alone: Option<usize>,
    /// There is somebody.
    pub(super) anybody: bool,
    /// Code that is not ours runs when they are woken.
    pub(super) others_code: bool,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    entries: Vec<Entry>,
}

impl Slot {
    /// Tells the observers, and wakes those whom it concerns.
    fn tell(&mut self, readiness: Readiness, edges: Readiness, woken: &mut ToWake) {
        let mut polls = (0, None);
        let fits = |e: &mut Entry| match &e.wait {
            Wait::Once(wanted, _) => readiness.intersects(*wanted),
            Wait::Always(observer) => {
                if let Some(thread) = observer.changed(readiness, edges) {
                    polls = (polls.0 + 1, Some(thread));
                }
                false
            }
        };
        woken.extend(self.entries.extract_if(.., fits));
        if polls.0 > 0 {
            woken.polls = (woken.polls.0 + polls.0, polls.1);
        }
    }

    /// Those who are here asked for a socket that its owner gave up: who waits looks again, and observers are let
    /// go without a word, as epoll lets go of a descriptor that is closed.
    fn retire(&mut self, woken: &mut ToWake) {
        woken.extend(self.entries.drain(..));
    }

    /// Makes room for one more task without a key.
    fn bound_keyless(&mut self, woken: &mut ToWake) {
        let mut keyless = self.entries.iter().enumerate().filter(|(_, e)| e.key.is_none()).map(|(i, _)| i);
        if let Some(oldest) = keyless.next()
            && keyless.count() + 1 >= KEYLESS
        {
            woken.extend(std::iter::once(self.entries.remove(oldest)));
        }
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
    woken: ToWake,
    /// Wakers that nobody will wake: the last to drop one may drop a task, and that runs code that is not ours.
    gone: Vec<Waker>,
    last_key: u64,
}

impl Waiters {
    /// A name for a waiter or an observer.
    pub(crate) fn key(&mut self) -> Key {
        self.last_key += 2;
        Key(self.last_key)
    }

    /// A name for a thread's call.
    pub(crate) fn key_of_call(&mut self) -> Key {
        Key(self.key().0 | 1)
    }

    /// From now on `waker` is woken, once, when the socket's readiness has any of the bits in `wanted`. Registered
    /// again under the same key (or, without one, as the same task that wants the same) it takes the older one's
    /// place.
    pub(crate) fn register(&mut self, id: SocketId, wanted: Readiness, key: Option<Key>, waker: &Waker) {
        let index = self.slot_for(id);
        let slot = &mut self.slots[index];
        let same = |e: &&mut Entry| match (&e.wait, key) {
            (Wait::Once(..), Some(_)) => e.key == key,
            (Wait::Once(bits, w), None) => e.key.is_none() && *bits == wanted && w.will_wake(waker),
            (Wait::Always(_), _) => false,
        };
        if let Some(Entry { wait: Wait::Once(bits, w), .. }) = slot.entries.iter_mut().find(same) {
            *bits = wanted;
            if !w.will_wake(waker) {
                self.gone.push(std::mem::replace(w, waker.clone()));
            }
            return;
        }
        if key.is_none() {
            slot.bound_keyless(&mut self.woken);
        }
        slot.entries.push(Entry { key, wait: Wait::Once(wanted, waker.clone()) });
    }

    /// From now on `observer` is told of every change of the socket, until it is taken back or dropped because
    /// the socket is given up. What stands when it is entered it has to learn from the stack, in the same
    /// hold of the lock.
    pub(crate) fn observe(&mut self, id: SocketId, key: Key, observer: Arc<dyn Observer>) {
        let index = self.slot_for(id);
        self.slots[index].entries.push(Entry { key: Some(key), wait: Wait::Always(observer) });
    }

    /// Takes an observer back: when this returns it is told no more.
    pub(crate) fn unobserve(&mut self, id: SocketId, key: Key) {
        self.deregister(id, key);
    }

    /// As [`register`](Self::register) under the place's key.
    pub(crate) fn enter(&mut self, id: SocketId, wanted: Readiness, place: &Place, waker: &Waker) {
        let key = place.key().unwrap_or_else(|| self.key());
        self.enter_as(key, id, wanted, place, waker);
    }

    /// The same for a thread's call.
    pub(crate) fn enter_call(&mut self, id: SocketId, wanted: Readiness, place: &Place, waker: &Waker) {
        let key = place.key().unwrap_or_else(|| self.key_of_call());
        self.enter_as(key, id, wanted, place, waker);
    }

    fn enter_as(&mut self, key: Key, id: SocketId, wanted: Readiness, place: &Place, waker: &Waker) {
        place.0.store(key.0, Ordering::Relaxed);
        self.register(id, wanted, Some(key), waker);
    }

    /// Takes back who waits under the place's key, if anybody does.
    pub(crate) fn leave(&mut self, id: SocketId, place: &Place) {
        if let Some(key) = place.key() {
            self.deregister(id, key);
            place.0.store(0, Ordering::Relaxed);
        }
    }

    /// Takes a waiter back. One that was woken, or whose socket is gone, is not there any more, and that is fine.
    pub(crate) fn deregister(&mut self, id: SocketId, key: Key) {
        if let Some(slot) = self.slots.get_mut(id.index() as usize)
            && slot.generation == id.generation()
        {
            let theirs = slot.entries.extract_if(.., |e| e.key == Some(key));
            self.gone.extend(theirs.filter_map(Entry::into_waker));
        }
    }

    /// From now on `waker` is woken, once, when anything at all happens.
    pub(crate) fn register_anything(&mut self, key: Key, waker: &Waker) {
        match self.anything.iter_mut().find(|(k, _)| *k == key) {
            Some((_, w)) => self.gone.push(std::mem::replace(w, waker.clone())),
            None => self.anything.push((key, waker.clone())),
        }
    }

    /// Takes back a waiter for anything.
    pub(crate) fn deregister_anything(&mut self, key: Key) {
        self.gone.extend(self.anything.extract_if(.., |(k, _)| *k == key).map(|(_, w)| w));
    }

    /// A socket's readiness changed.
    pub(crate) fn notify(&mut self, event: Event) {
        let Some(slot) = self.slots.get_mut(event.id.index() as usize) else { return };
        match event.id.generation().wrapping_sub(slot.generation).cast_signed() {
            0 => slot.tell(event.readiness, event.edges, &mut self.woken),
            // Whoever waits for an earlier use of the slot waits for a socket that is gone.
            1.. => slot.retire(&mut self.woken),
            // Late word of an earlier use: it is no matter of who waits for the later one.
            _ => {}
        }
    }

    /// Something happened.
    pub(crate) fn notify_anything(&mut self) {
        self.anything.drain(..).for_each(|(key, waker)| self.woken.add(Some(key), waker));
    }

    /// The socket is gone though its owner holds it still: all who wait for it look again and find that. Observers
    /// stay until it is given up.
    pub(crate) fn gone(&mut self, id: SocketId) {
        self.notify(Event { id, readiness: GONE, edges: GONE });
    }

    /// The socket's owner gives it up: all who wait for it look again and find that. Who waits for a later use of its
    /// slot is not concerned.
    pub(crate) fn forget(&mut self, id: SocketId) {
        if let Some(slot) = self.slots.get_mut(id.index() as usize)
            && slot.generation == id.generation()
        {
            slot.retire(&mut self.woken);
        }
    }

    /// Every socket is gone, as with [`gone`](Self::gone): everybody looks again.
    pub(crate) fn notify_all(&mut self) {
        for slot in &mut self.slots {
            slot.tell(GONE, GONE, &mut self.woken);
        }
        self.notify_anything();
    }

    /// Who is to be woken as it stands, and whether that is `asker`, too.
    pub(super) fn woken_now(&self, asker: Option<&Waker>) -> WokenNow {
        let ToWake { wakers, calls, polls } = &self.woken;
        let only = match (&wakers[..], polls) {
            ([only], (0, _)) if *calls == 1 => Some(only.data().addr()),
            ([], (1, thread)) => *thread,
            _ => None,
        };
        WokenNow {
            asker: asker.is_some_and(|asker| wakers.iter().any(|w| w.will_wake(asker))),
            alone: only,
            anybody: !wakers.is_empty() || polls.0 > 0,
            others_code: wakers.len() > *calls || !self.gone.is_empty(),
        }
    }

    /// What is to be done after the lock is gone.
    pub(crate) fn take_woken(&mut self) -> Woken {
        (self.woken.calls, self.woken.polls) = (0, (0, None));
        let (woken, gone) = (self.woken.wakers.len(), self.gone.len());
        Woken { woken: Few::take(&mut self.woken.wakers, woken), _gone: Few::take(&mut self.gone, gone) }
    }

    /// The same of threads in calls alone: to wake these runs nobody's code.
    pub(super) fn take_woken_calls(&mut self) -> Woken {
        self.woken.polls = (0, None);
        let calls = std::mem::take(&mut self.woken.calls);
        Woken { woken: Few::take(&mut self.woken.wakers, calls), _gone: Few::take(&mut self.gone, 0) }
    }

    /// How many wait for a socket or observe it.
    #[cfg(test)]
    pub(crate) fn count(&self, id: SocketId) -> usize {
        let slot = self.slots.get(id.index() as usize).filter(|slot| slot.generation == id.generation());
        slot.map_or(0, |slot| slot.entries.len())
    }

    fn slot_for(&mut self, id: SocketId) -> usize {
        let index = id.index() as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Slot::default);
        }
        let slot = &mut self.slots[index];
        if slot.generation != id.generation() {
            slot.retire(&mut self.woken);
            slot.generation = id.generation();
        }
        index
    }
}

/// Wakers that were taken out of the table. A few need no room of their own, and the table keeps its.
struct Few {
    few: [Option<Waker>; Self::FEW],
    more: Vec<Waker>,
}

impl Few {
    const FEW: usize = 4;

    /// The first `count`.
    fn take(wakers: &mut Vec<Waker>, count: usize) -> Self {
        let mut few = [const { None }; Self::FEW];
        if count <= Self::FEW {
            few.iter_mut().zip(wakers.drain(..count)).for_each(|(place, waker)| *place = Some(waker));
            return Self { few, more: Vec::new() };
        }
        // The next batch may be as large.
        let mut room = Vec::with_capacity(wakers.len());
        room.extend(wakers.drain(count..));
        Self { few, more: std::mem::replace(wakers, room) }
    }
}

/// Wakers to be woken, or only dropped, once the lock is gone: a waker runs code that is not ours. Those that are to be
/// woken are, whatever happens: nobody else knows of them any more.
#[must_use]
pub(crate) struct Woken {
    woken: Few,
    _gone: Few,
}

impl Woken {
    /// Wakes them. Where one panics, that goes on when all others are woken.
    pub(crate) fn wake(self) {
        drop(self);
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        let few = self.woken.few.iter_mut().filter_map(Option::take);
        let mut panicked = None;
        for waker in few.chain(self.woken.more.drain(..)) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                panicked.get_or_insert(panic);
            }
        }
        if let Some(panic) = panicked
            && !thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

/// A thread that waits, as a waker.
#[derive(Debug)]
pub(crate) struct Parker {
    thread: Thread,
    woken: AtomicBool,
    /// A call waits.
    waits: AtomicBool,
    /// It sleeps with a device, where it has to be nudged.
    polls: AtomicBool,
    /// By this.
    nudge: Mutex<Weak<Nudge>>,
}

thread_local! {
    static PARKER: Arc<Parker> = Arc::new(Parker::new());
}

impl Parker {
    fn new() -> Self {
        Self {
            thread: thread::current(),
            woken: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            polls: AtomicBool::new(false),
            nudge: Mutex::new(Weak::new()),
        }
    }

    /// This thread's. A wake-up that comes late, from an earlier wait, is one needless look.
    pub(crate) fn current() -> Arc<Self> {
        PARKER.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Self::new()))
    }

    /// Begins a call that may wait, which ends with what this gives. A waker that is woken in such a call may make
    /// another one on the same thread.
    pub(crate) fn begin(&self) -> Call<'_> {
        Call { parker: self, nested: self.waits.swap(true, Ordering::Relaxed) }
    }

    /// Waits for a wake-up; false when `deadline` came first. Whatever else unparks the thread is ignored.
    pub(crate) fn wait(self: &Arc<Self>, clock: &Clock, deadline: Option<Instant>) -> bool {
        loop {
            if self.take() {
                return true;
            }
            if deadline.is_some_and(|deadline| deadline <= clock.now()) {
                return false;
            }
            clock.sleep(deadline, self);
        }
    }

    /// Whether it was woken since it was asked last.
    pub(super) fn take(&self) -> bool {
        self.woken.swap(false, Ordering::Acquire)
    }

    /// Where it sleeps from now on when it [`polls`](Self::poll).
    pub(super) fn nudged_by(&self, nudge: &Arc<Nudge>) {
        let mut own = self.nudge.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::ptr::eq(own.as_ptr(), Arc::as_ptr(nudge)) {
            *own = Arc::downgrade(nudge);
        }
    }

    /// Until what this gives is dropped a wake-up nudges. `None` if it was woken already.
    pub(super) fn poll(&self) -> Option<Polls<'_>> {
        // One total order of this and of what wakes: one of the two sees the other.
        self.polls.store(true, Ordering::SeqCst);
        let polls = Polls(self);
        (!self.woken.load(Ordering::SeqCst)).then_some(polls)
    }
}

/// A thread that sleeps with a device.
#[must_use]
pub(super) struct Polls<'a>(&'a Parker);

impl Drop for Polls<'_> {
    fn drop(&mut self) {
        self.0.polls.store(false, Ordering::SeqCst);
    }
}

impl Sleeper for Parker {
    fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    fn unpark(&self) {
        self.thread.unpark();
    }
}

/// A call that may wait.
#[must_use]
pub(crate) struct Call<'a> {
    parker: &'a Parker,
    nested: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.nested {
            // It may have taken the wake-up of the call around it, which looks again.
            self.parker.woken.store(true, Ordering::Relaxed);
        } else {
            self.parker.waits.store(false, Ordering::Relaxed);
        }
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if !self.polls.load(Ordering::SeqCst) {
            self.thread.unpark();
            return;
        }
        // One that is gone has taken its shard with it, and nobody sleeps there.
        let nudge = self.nudge.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let Some(nudge) = nudge {
            nudge.nudge();
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
