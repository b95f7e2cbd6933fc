//! Those who are to be woken: gathered under the lock, woken when it is gone.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

use super::entry::Entry;
use super::key::Key;
use crate::engine::sync::thread;

/// Those who are to be woken when the lock is gone.
#[derive(Default)]
pub(super) struct ToWake {
    pub(super) wakers: Vec<Waker>,
    /// How many of them are calls of threads: the first.
    pub(super) calls: usize,
    /// Threads that observers have woken: how many, and the last.
    pub(super) polls: (usize, Option<usize>),
}

impl ToWake {
    pub(super) fn add(&mut self, key: Option<Key>, waker: Waker) {
        self.wakers.push(waker);
        if key.is_some_and(Key::is_of_call) {
            let last = self.wakers.len() - 1;
            self.wakers.swap(self.calls, last);
            self.calls += 1;
        }
    }

    /// An observer is only let go.
    pub(super) fn add_entry(&mut self, entry: Entry) {
        let key = entry.key;
        if let Some(waker) = entry.into_waker() {
            self.add(key, waker);
        }
    }
}

/// Who is to be woken, in short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::engine) struct WokenNow {
    /// The one who asks is among them.
    pub(in crate::engine) asker: bool,
    /// It is one, and a thread in a call or a poll: which.
    pub(in crate::engine) alone: Option<usize>,
    /// There is somebody.
    pub(in crate::engine) anybody: bool,
    /// Code that is not ours runs when they are woken.
    pub(in crate::engine) others_code: bool,
}

/// Wakers that were taken out of the table. A few need no room of their own, and the table keeps its.
pub(super) struct Few {
    few: [Option<Waker>; Self::FEW],
    more: Vec<Waker>,
}

impl Few {
    const FEW: usize = 4;

    /// The first `count`.
    pub(super) fn take(wakers: &mut Vec<Waker>, count: usize) -> Self {
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
    pub(super) woken: Few,
    pub(super) _gone: Few,
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
