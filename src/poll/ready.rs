//! Which registrations have something to tell: the list between those who change sockets and the one who polls.
//!
//! A registration stands in the list once at the most, however often it changes before it is told: that bounds
//! the list and makes an event of how things stand when it is taken, as the kernel's edge-triggered epoll does.
//! First in, first out, so none starves.

use std::sync::PoisonError;

use tunstack_core::stack::Readiness;
use tunstack_core::stack::slab::{Slab, SocketId};

use super::events::Event;
use super::interest::{Interest, Token};
use crate::engine::sync::{AtomicBool, Mutex, MutexGuard, Ordering, thread_local};
use crate::engine::waiters::Name;

/// Names a registration; one that is gone is named by none.
pub(super) type Handle = Name;

#[derive(Debug)]
struct Entry {
    token: Token,
    mask: Readiness,
    /// How the source stood when it was last told of.
    level: Readiness,
    /// Who stands before and behind it in the list, while it stands there.
    place: Option<Place>,
    /// It is removed when it has been told.
    ends: bool,
    /// What it is of, if it is of a socket.
    socket: Option<Socket>,
}

/// A socket of all engines: where it lives, by address, and its handle there.
pub(super) type Socket = (usize, SocketId);

/// A place in a list: the slots of its neighbours.
#[derive(Clone, Copy, Debug)]
struct Place {
    before: u32,
    behind: u32,
}

thread_local! {
    static HERE: u8 = const { 0 };
}

/// A thread that lives, told apart by where its own memory lies: the library's handle of a thread is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct ThisThread(usize);

impl ThisThread {
    fn get() -> Self {
        Self(HERE.with(|here| std::ptr::from_ref(here).addr()))
    }
}

/// No neighbour.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct State {
    entries: Slab<Entry>,
    /// The ends of the list, which is in order of arrival. It runs through the entries, so that one who leaves is taken out
    /// without a search.
    first: u32,
    last: u32,
    /// The poller sleeps before the device, by this thread: what the thread itself changes it looks at. Tells nothing while it
    /// does not sleep.
    sits: Option<ThisThread>,
}

impl State {
    fn get_mut(&mut self, handle: Handle) -> Option<&mut Entry> {
        self.id_of(handle).and_then(|id| self.entries.get_mut(id))
    }

    fn remove(&mut self, handle: Handle) -> Option<Entry> {
        self.id_of(handle).and_then(|id| self.entries.remove(id))
    }

    fn id_of(&self, handle: Handle) -> Option<SocketId> {
        self.entries.id_of(handle.index).filter(|id| id.generation() == handle.generation)
    }

    /// Puts an entry at the end of the list unless it stands there.
    fn enlist(&mut self, handle: Handle) {
        let last = self.last;
        let Some(entry) = self.get_mut(handle).filter(|entry| entry.place.is_none()) else { return };
        entry.place = Some(Place { before: last, behind: NONE });
        let index = handle.index;
        self.link(last, NONE, index, index);
    }

    /// Takes out of the list who stood at `place`.
    fn strike(&mut self, place: Place) {
        self.link(place.before, place.behind, place.behind, place.before);
    }

    /// Whoever stands at `before`, or else the list's beginning, has `first` behind it; and `behind`, or its end, has `last`
    /// before it.
    fn link(&mut self, before: u32, behind: u32, first: u32, last: u32) {
        match self.entries.by_index_mut(before).and_then(|entry| entry.place.as_mut()) {
            Some(place) => place.behind = first,
            None => self.first = first,
        }
        match self.entries.by_index_mut(behind).and_then(|entry| entry.place.as_mut()) {
            Some(place) => place.before = last,
            None => self.last = last,
        }
    }
}

/// The registrations of one poller. Whatever says that the poller has to be woken is to be followed by that.
#[derive(Debug)]
pub(super) struct Ready {
    state: Mutex<State>,
    /// The poller found nothing, and sleeps or is about to. Changed with the lock alone.
    asleep: AtomicBool,
}

impl Ready {
    pub(super) const fn new() -> Self {
        let state = State { entries: Slab::new(), first: NONE, last: NONE, sits: None };
        Self { state: Mutex::new(state), asleep: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the poller has to be woken. Once for each sleep: one wake-up is enough.
    fn rouse(&self, state: &State) -> bool {
        if state.first == NONE || !self.is_asleep() {
            return false;
        }
        self.asleep.store(false, Ordering::Release);
        state.sits != Some(ThisThread::get())
    }

    fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Acquire)
    }

    /// A registration of something that is not ready.
    pub(super) fn insert(&self, token: Token, interest: Interest, socket: Option<Socket>) -> Handle {
        self.insert_at(Readiness::empty(), token, interest, socket).0
    }

    /// The same of something that stands at `level`. Says, too, whether the poller has to be woken.
    pub(super) fn insert_at(
        &self,
        level: Readiness,
        token: Token,
        interest: Interest,
        socket: Option<Socket>,
    ) -> (Handle, bool) {
        let mask = interest.mask();
        let entry = Entry { token, mask, level, place: None, ends: false, socket };
        let mut state = self.state();
        let id = state.entries.insert(entry);
        let handle = Name { index: id.index(), generation: id.generation() };
        if !level.intersects(mask) {
            return (handle, false);
        }
        state.enlist(handle);
        (handle, self.rouse(&state))
    }

    /// The sockets that are registered.
    pub(super) fn sockets(&self) -> Vec<Socket> {
        self.state().entries.iter().filter_map(|(_, entry)| entry.socket).collect()
    }

    /// The source stands at `level`, of which `edges` are new. Says whether the poller has to be woken.
    #[must_use]
    pub(super) fn changed(&self, handle: Handle, level: Readiness, edges: Readiness) -> bool {
        let mut state = self.state();
        let Some(entry) = state.get_mut(handle) else { return false };
        entry.level = level;
        if !edges.intersects(entry.mask) {
            return false;
        }
        state.enlist(handle);
        self.rouse(&state)
    }

    /// Another token and interest. What stands is told once more, as registering anew would. Says whether the
    /// poller has to be woken.
    #[must_use]
    pub(super) fn modify(&self, handle: Handle, token: Token, interest: Interest) -> bool {
        let mut state = self.state();
        let Some(entry) = state.get_mut(handle) else { return false };
        entry.token = token;
        entry.mask = interest.mask();
        if entry.level.intersects(entry.mask) {
            state.enlist(handle);
        }
        self.rouse(&state)
    }

    /// Ends a registration, and what it had to tell. Gives the socket that it was of.
    pub(super) fn remove(&self, handle: Handle) -> Option<Socket> {
        let mut state = self.state();
        let entry = state.remove(handle)?;
        if let Some(place) = entry.place {
            state.strike(place);
        }
        entry.socket
    }

    /// Ends a registration as soon as it has told what it has to tell.
    pub(super) fn end(&self, handle: Handle) {
        let mut state = self.state();
        let Some(entry) = state.get_mut(handle) else { return };
        entry.ends = true;
        if entry.place.is_none() {
            state.remove(handle);
        }
    }

    /// Takes what there is to tell, up to `room` events.
    pub(super) fn take(&self, told: &mut Vec<Event>, room: usize) {
        let mut state = self.state();
        let end = told.len() + room;
        while told.len() < end {
            let first = state.first;
            let Some(entry) = state.entries.by_index_mut(first) else { break };
            // It may have passed meanwhile: somebody has read what there was.
            told.extend(Event::of_socket(entry.token, entry.level, entry.mask));
            let (place, ends) = (entry.place.take(), entry.ends);
            state.first = place.map_or(NONE, |place| place.behind);
            if ends && let Some(handle) = state.entries.id_of(first) {
                state.entries.remove(handle);
            }
        }
        // Nobody stands before who is first now.
        let first = state.first;
        state.link(NONE, first, first, NONE);
    }

    /// Whether the poller may sleep. If so, who comes next says that it has to be woken.
    pub(super) fn sleep(&self) -> bool {
        let mut state = self.state();
        let asleep = state.first == NONE;
        self.asleep.store(asleep, Ordering::Release);
        state.sits = None;
        asleep
    }

    /// The same for a poller that sits before the device meanwhile: its thread need not wake itself.
    pub(super) fn sit(&self) -> bool {
        let mut state = self.state();
        let asleep = state.first == NONE;
        self.asleep.store(asleep, Ordering::Release);
        state.sits = Some(ThisThread::get());
        asleep
    }

    /// Whether something has come since the poller was allowed to sleep.
    pub(super) fn is_roused(&self) -> bool {
        // Without the lock: whoever changes it nudges afterwards, and that ends a sleep that begins by what was so before.
        !self.is_asleep()
    }

    /// Whether no registration has something to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.state().first == NONE
    }

    /// Whether more than one registration has something to tell.
    pub(super) fn has_several(&self) -> bool {
        let state = self.state();
        state.first != state.last
    }

    /// The poller is awake and will look for itself.
    pub(super) fn awake(&self) {
        // Who roused it has said so already, and only the poller itself falls asleep.
        if self.is_asleep() {
            let _alone = self.state();
            self.asleep.store(false, Ordering::Release);
        }
    }

    /// How many registrations there are, and how many have something to tell.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        let state = self.state();
        let listed = state.entries.iter().filter(|(_, entry)| entry.place.is_some());
        (state.entries.len(), listed.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(ready: &Ready, room: usize) -> Vec<usize> {
        let mut told = Vec::new();
        ready.take(&mut told, room);
        told.iter().map(|event| event.token().0).collect()
    }

    const R: Readiness = Readiness::READABLE;
    const W: Readiness = Readiness::WRITABLE;

    #[test]
    fn the_list_holds_each_once_and_is_fair() {
        let ready = Ready::new();
        let handles: Vec<_> = (0..3).map(|n| ready.insert(Token(n), Interest::READABLE, None)).collect();
        for _ in 0..5 {
            for &handle in handles.iter().rev() {
                assert!(!ready.changed(handle, R, R), "nobody sleeps");
            }
        }
        assert_eq!(ready.len(), (3, 3));
        assert!(ready.has_several());
        assert_eq!(tokens(&ready, 1), [2]);
        assert!(!ready.changed(handles[2], R, R));
        assert_eq!(tokens(&ready, 1), [1]);
        assert_eq!(tokens(&ready, 1), [0], "whoever is told goes to the end");
        assert!(!ready.has_several(), "one is not several");
        assert_eq!(tokens(&ready, 9), [2]);
        assert!(!ready.has_several());
        assert!(tokens(&ready, 9).is_empty());
    }

    #[test]
    fn who_leaves_is_taken_out_from_anywhere() {
        for leaves in 0..4 {
            let ready = Ready::new();
            let handles: Vec<_> = (0..4).map(|n| ready.insert(Token(n), Interest::READABLE, None)).collect();
            for &handle in &handles {
                assert!(!ready.changed(handle, R, R));
            }
            ready.remove(handles[leaves]);
            // Its slot is used again at once, and what stands there now comes last.
            let next = ready.insert(Token(9), Interest::READABLE, None);
            assert_eq!(next.index, handles[leaves].index);
            assert!(!ready.changed(next, R, R));
            let mut expected: Vec<_> = (0..4).filter(|&n| n != leaves).collect();
            expected.push(9);
            assert_eq!((ready.len(), tokens(&ready, 2)), ((4, 4), expected[..2].to_vec()));
            assert_eq!((ready.len(), tokens(&ready, 9)), ((4, 2), expected[2..].to_vec()));
            assert_eq!(ready.len(), (4, 0));
        }
    }

    #[test]
    fn only_edges_that_concern_it_put_it_there() {
        let ready = Ready::new();
        let handle = ready.insert(Token(7), Interest::WRITABLE, None);
        assert!(!ready.changed(handle, R | W, R));
        assert!(tokens(&ready, 9).is_empty());
        assert!(!ready.modify(handle, Token(8), Interest::READABLE));
        assert_eq!(tokens(&ready, 9), [8], "it has been readable all the time");
        assert!(!ready.changed(handle, R, R));
        assert!(!ready.changed(handle, W, Readiness::empty()));
        assert!(tokens(&ready, 9).is_empty(), "it has passed");
        assert!(!ready.changed(handle, R, R));
        ready.remove(handle);
        assert_eq!(ready.len(), (0, 0));
        assert!(!ready.changed(handle, R, R), "late word of what is gone");
    }

    #[test]
    fn one_that_ends_is_told_first() {
        let ready = Ready::new();
        let handle = ready.insert(Token(1), Interest::READABLE, None);
        assert!(!ready.changed(handle, R, R));
        ready.end(handle);
        assert_eq!(ready.len(), (1, 1));
        assert_eq!(tokens(&ready, 9), [1]);
        assert_eq!(ready.len(), (0, 0));
        ready.end(ready.insert(Token(2), Interest::READABLE, None));
        assert_eq!(ready.len(), (0, 0));
    }

    #[test]
    fn what_is_ready_when_it_is_entered_is_told() {
        let ready = Ready::new();
        assert!(ready.sleep());
        assert!(!ready.insert_at(W, Token(3), Interest::READABLE, None).1, "not what is waited for");
        assert!(ready.insert_at(R | W, Token(4), Interest::READABLE, None).1);
        assert!(!ready.insert_at(R, Token(5), Interest::READABLE, None).1, "it is being woken");
        assert_eq!(tokens(&ready, 9), [4, 5]);
    }

    #[test]
    fn one_wake_up_a_sleep() {
        let ready = Ready::new();
        let handle = ready.insert(Token(0), Interest::READABLE, None);
        assert!(ready.sleep());
        assert!(!ready.changed(handle, W, W), "not what is waited for");
        assert!(ready.changed(handle, R, R));
        assert!(!ready.changed(handle, R, R), "it is being woken");
        assert!(!ready.sleep(), "there is something to tell");
        assert_eq!(tokens(&ready, 9), [0]);
        assert!(ready.sleep());
        ready.awake();
        assert!(!ready.changed(handle, R, R));
    }

    #[test]
    fn who_sits_need_not_wake_itself() {
        let ready = Ready::new();
        let handle = ready.insert(Token(0), Interest::READABLE, None);
        assert!(ready.sit() && !ready.is_roused());
        assert!(!ready.changed(handle, R, R), "by its own thread");
        assert!(ready.is_roused() && !ready.sit(), "there is something to tell");
        assert_eq!(tokens(&ready, 9), [0]);
        assert!(ready.sit());
        assert!(std::thread::scope(|scope| scope.spawn(|| ready.changed(handle, R, R)).join().unwrap()));
        assert_eq!(tokens(&ready, 9), [0]);
        ready.awake();
        assert!(ready.sleep());
        assert!(ready.changed(handle, R, R), "it sleeps elsewhere now");
    }
}
