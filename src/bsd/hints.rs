//! Options on which nothing in the stack depends, kept to be given back.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::abi::{SO_PRIORITY, SOL_SOCKET};

/// What a program has set, by level and name.
#[derive(Debug, Default)]
pub(super) struct Hints(Mutex<BTreeMap<(i32, i32), i32>>);

impl Hints {
    fn map(&self) -> MutexGuard<'_, BTreeMap<(i32, i32), i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, level: i32, name: i32) -> Option<i32> {
        self.map().get(&(level, name)).copied()
    }

    pub(super) fn set(&self, level: i32, name: i32, value: i32) {
        self.map().insert((level, name), value);
    }

    /// What a connection has from its listener: all but what Linux gives each connection anew.
    pub(super) fn inherit(&self, listener: &Self) {
        let mut inherited = listener.map().clone();
        inherited.remove(&(SOL_SOCKET, SO_PRIORITY));
        *self.map() = inherited;
    }
}
