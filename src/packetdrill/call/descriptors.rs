//! A script's numbers of descriptors, and the live ones that they stand for.

use std::collections::BTreeMap;
use std::mem;
use std::os::fd::RawFd;

#[derive(Debug, Default)]
pub(super) struct Descriptors {
    live: BTreeMap<i32, RawFd>,
    /// What was given to a script that has no number for it.
    unnamed: Vec<RawFd>,
}

impl Descriptors {
    pub(super) fn live(&self, fd: i32) -> Option<RawFd> {
        self.live.get(&fd).copied()
    }

    /// From now on `fd` stands for `live`; says whether it could be.
    pub(super) fn learn(&mut self, fd: Option<i32>, live: RawFd) -> bool {
        match fd {
            // What was put in the place of another: `dup2`.
            Some(fd) if self.live(fd) == Some(live) => true,
            Some(fd) if !self.live.contains_key(&fd) => {
                self.live.insert(fd, live);
                true
            }
            _ => {
                self.unnamed.push(live);
                false
            }
        }
    }

    /// `fd` stands for nothing any more; what it stood for stays open.
    pub(super) fn unname(&mut self, fd: i32) {
        self.unnamed.extend(self.live.remove(&fd));
    }

    pub(super) fn forget(&mut self, fd: i32) {
        self.live.remove(&fd);
    }

    #[cfg(test)]
    pub(super) fn unnamed(&self) -> &[RawFd] {
        &self.unnamed
    }

    /// All of them, no longer known.
    pub(super) fn take(&mut self) -> impl Iterator<Item = RawFd> + use<> {
        mem::take(&mut self.live).into_values().chain(mem::take(&mut self.unnamed))
    }
}
