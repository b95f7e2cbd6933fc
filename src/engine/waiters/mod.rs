//! Who waits for what. A blocked thread and a task are a [`Waker`]; who must see *every* change, as a poller
//! with many sockets and a descriptor that shows a socket's readiness to the kernel do, is an [`Observer`].
//!
//! The stack says *which* sockets changed; this table says *who* cares. It lives under the stack's lock, so
//! "it would block" and "wake me" are one step and no wake-up can fall between them. Whoever waits is woken
//! by every change that fits, once, and looks again: wake-ups are hints, never grants, so nobody can take
//! somebody else's. Whoever stops waiting takes its entry back by its [`Key`].

mod interest;

mod key;

mod entry;

mod entries;

mod woken;

mod slot;

mod parker;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::Waker;

use tunstack_core::stack::{Event, Readiness, SocketId};

use entry::{Entry, Wait};
pub use interest::Interest;
use interest::Overseen;
pub(crate) use interest::{Name, Observer, Overseer};
pub(crate) use key::{Key, Place};
pub(crate) use parker::Parker;
use slot::Slot;
pub(crate) use woken::Woken;
use woken::{Few, ToWake, WokenNow};

use super::sync::Ordering;

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
    /// All were told that all is gone, and nobody has come since.
    all_told: bool,
}

impl Waiters {
    /// A name for a waiter or an observer.
    pub(crate) fn key(&mut self) -> Key {
        self.last_key += 2;
        Key(NonZeroU64::MIN.saturating_add(self.last_key))
    }

    /// A name for a thread's call.
    pub(crate) fn key_of_call(&mut self) -> Key {
        Key(self.key().0.saturating_add(1))
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
            (Wait::Always(_) | Wait::Overseen(_), _) => false,
        };
        if let Some(Entry { wait: Wait::Once(bits, w), .. }) =
            slot.entries.as_mut_slice().iter_mut().find(same)
        {
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
        self.watch(id, key, Wait::Always(observer));
    }

    /// The same by who sees many sockets, and calls this one `name`.
    pub(crate) fn oversee(&mut self, id: SocketId, key: Key, by: Arc<dyn Overseer>, name: Name) {
        self.watch(id, key, Wait::Overseen(Overseen { by, name }));
    }

    fn watch(&mut self, id: SocketId, key: Key, wait: Wait) {
        let index = self.slot_for(id);
        self.slots[index].entries.push(Entry { key: Some(key), wait });
    }

    /// What the overseer at the address `by` calls a socket, if it is one of its.
    pub(crate) fn overseen(&self, id: SocketId, by: usize) -> Option<(Key, Name)> {
        let slot = self.slots.get(id.index() as usize).filter(|slot| slot.generation == id.generation())?;
        slot.entries.as_slice().iter().find_map(|entry| match &entry.wait {
            Wait::Overseen(own) if Arc::as_ptr(&own.by).addr() == by => Some((entry.key?, own.name)),
            Wait::Once(..) | Wait::Always(_) | Wait::Overseen(_) => None,
        })
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
        place.0.store(key.0.get(), Ordering::Relaxed);
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
            slot.entries.take_if(|e| e.key == Some(key), |e| self.gone.extend(e.into_waker()));
        }
    }

    /// From now on `waker` is woken, once, when anything at all happens.
    pub(crate) fn register_anything(&mut self, key: Key, waker: &Waker) {
        self.all_told = false;
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
    #[inline]
    pub(crate) fn notify_anything(&mut self) {
        if self.anything.is_empty() {
            return;
        }
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

    /// Every socket is gone, as with [`gone`](Self::gone): everybody looks again. This goes through all sockets, once: an
    /// engine ends only once, but where it ended in a panic each later hold of its lock says so.
    pub(crate) fn notify_all(&mut self) {
        if self.all_told {
            return;
        }
        for slot in &mut self.slots {
            slot.tell(GONE, GONE, &mut self.woken);
        }
        self.notify_anything();
        self.all_told = true;
    }

    /// Who is to be woken as it stands, and whether that is `asker`, too.
    pub(in crate::engine) fn woken_now(&self, asker: Option<&Waker>) -> WokenNow {
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

    /// What is to be done after the lock is gone: mostly nothing.
    #[inline]
    pub(crate) fn take_woken(&mut self) -> Option<Woken> {
        (self.woken.calls, self.woken.polls) = (0, (0, None));
        let anybody = !(self.woken.wakers.is_empty() && self.gone.is_empty());
        anybody.then(|| self.gather())
    }

    #[inline(never)]
    fn gather(&mut self) -> Woken {
        let (woken, gone) = (self.woken.wakers.len(), self.gone.len());
        Woken { woken: Few::take(&mut self.woken.wakers, woken), _gone: Few::take(&mut self.gone, gone) }
    }

    /// The same of threads in calls alone: to wake these runs nobody's code.
    pub(in crate::engine) fn take_woken_calls(&mut self) -> Woken {
        self.woken.polls = (0, None);
        let calls = std::mem::take(&mut self.woken.calls);
        Woken { woken: Few::take(&mut self.woken.wakers, calls), _gone: Few::take(&mut self.gone, 0) }
    }

    /// How many wait for a socket or observe it.
    #[cfg(test)]
    pub(crate) fn count(&self, id: SocketId) -> usize {
        let slot = self.slots.get(id.index() as usize).filter(|slot| slot.generation == id.generation());
        slot.map_or(0, |slot| slot.entries.as_slice().len())
    }

    fn slot_for(&mut self, id: SocketId) -> usize {
        self.all_told = false;
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

#[cfg(all(test, not(shuttle)))]
mod tests;
