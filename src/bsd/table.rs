//! The table of descriptors: from a number to the open socket.

use std::fmt;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::io::Errno;

use super::Result;
use super::file::File;
use super::sys;
use crate::engine::Engine;
use crate::engine::socket::linger_together;

/// What a number stands for.
#[derive(Clone, Debug)]
enum Open {
    Socket(Arc<File>),
    /// A descriptor of the kernel that we made, and that is closed here as our sockets are.
    Kernel,
}

/// One number.
#[derive(Debug)]
struct Entry {
    fd: OwnedFd,
    open: Open,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    entries: RwLock<Vec<Option<Entry>>>,
}

/// The system calls, over an engine. Cheap to clone; clones share the table, as threads of a process do.
///
/// With the last clone the sockets are closed, in order, as they are when a process ends. Those with `SO_LINGER` are
/// waited for side by side, no longer than the longest of their times. (Linux does not wait there at all: its stack goes
/// on when a process has ended, and ours may not.)
#[derive(Clone)]
pub struct Sockets {
    inner: Arc<Inner>,
}

impl Sockets {
    /// The calls over this engine, with no descriptor open.
    pub fn new(engine: &Engine) -> Self {
        Self { inner: Arc::new(Inner { engine: engine.clone(), entries: RwLock::default() }) }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    fn entries(&self) -> RwLockReadGuard<'_, Vec<Option<Entry>>> {
        self.inner.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries_mut(&self) -> RwLockWriteGuard<'_, Vec<Option<Entry>>> {
        self.inner.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open socket of a number.
    pub(crate) fn file(&self, fd: RawFd) -> Result<Arc<File>> {
        match &entry(&self.entries(), fd)?.open {
            Open::Socket(file) => Ok(Arc::clone(file)),
            Open::Kernel => Err(Errno::NOTSOCK),
        }
    }

    /// Gives an open socket the number of `fd`.
    pub(super) fn insert(&self, fd: OwnedFd, file: Arc<File>) -> RawFd {
        self.enter_number(fd, Open::Socket(file))
    }

    /// Takes charge of a descriptor of the kernel that is none of a socket.
    pub(super) fn insert_kernel(&self, fd: OwnedFd) -> RawFd {
        self.enter_number(fd, Open::Kernel)
    }

    fn enter_number(&self, fd: OwnedFd, open: Open) -> RawFd {
        let raw = fd.as_raw_fd();
        let stale = put(&mut self.entries_mut(), fd, open);
        drop(stale);
        raw
    }

    /// Takes a number out of the table and closes it. Gives the open socket that it was of.
    pub(super) fn remove(&self, fd: RawFd) -> Result<Option<Arc<File>>> {
        let mut entries = self.entries_mut();
        let entry = usize::try_from(fd).ok().and_then(|n| entries.get_mut(n)).and_then(Option::take);
        // Closed under the lock: nobody may get the number before it is out of the table.
        match entry.ok_or(Errno::BADF)?.open {
            Open::Socket(file) => Ok(Some(file)),
            Open::Kernel => Ok(None),
        }
    }

    /// Another number for the same open socket.
    pub(super) fn duplicate(&self, fd: RawFd, least: RawFd, cloexec: bool) -> Result<RawFd> {
        let (number, stale) = {
            // In one hold of the lock: the descriptor may be renewed, and this number is to be renewed with the others.
            let mut entries = self.entries_mut();
            let Entry { fd, open } = entry(&entries, fd)?;
            let copy = if cloexec {
                rustix::io::fcntl_dupfd_cloexec(fd, least)?
            } else {
                let copy = rustix::io::fcntl_dupfd_cloexec(fd, least)?;
                rustix::io::fcntl_setfd(&copy, rustix::io::FdFlags::empty())?;
                copy
            };
            let (number, open) = (copy.as_raw_fd(), open.clone());
            (number, put(&mut entries, copy, open))
        };
        drop(stale);
        Ok(number)
    }

    /// The same for a number that is chosen; what had it is closed.
    pub(super) fn duplicate_onto(&self, fd: RawFd, to: RawFd, cloexec: bool) -> Result<RawFd> {
        let stale = {
            let mut entries = self.entries_mut();
            let Entry { fd, open } = entry(&entries, fd)?;
            let (copy, open) = (sys::duplicate_onto(fd, to, cloexec)?, open.clone());
            put(&mut entries, copy, open)
        };
        // A socket that ends with its number may linger: not under the table's lock.
        drop(stale);
        Ok(to)
    }

    /// Asks the kernel about a number of ours.
    pub(super) fn with_descriptor<T>(&self, fd: RawFd, ask: impl FnOnce(&OwnedFd) -> Result<T>) -> Result<T> {
        ask(&entry(&self.entries(), fd)?.fd)
    }

    /// Lets `change` look at or replace the descriptors of every number of an open socket.
    pub(super) fn each_number(
        &self,
        file: &Arc<File>,
        mut change: impl FnMut(&mut OwnedFd) -> Result<()>,
    ) -> Result<()> {
        let mut entries = self.entries_mut();
        for entry in entries.iter_mut().flatten() {
            if matches!(&entry.open, Open::Socket(other) if Arc::ptr_eq(other, file)) {
                change(&mut entry.fd)?;
            }
        }
        Ok(())
    }
}

/// What we know of a number.
fn entry(entries: &[Option<Entry>], fd: RawFd) -> Result<&Entry> {
    match usize::try_from(fd).ok().and_then(|n| entries.get(n)) {
        Some(Some(entry)) => Ok(entry),
        _ if sys::is_open(fd) => Err(Errno::NOTSOCK),
        _ => Err(Errno::BADF),
    }
}

/// Enters a number, and gives what had it before.
fn put(entries: &mut Vec<Option<Entry>>, fd: OwnedFd, open: Open) -> Option<Open> {
    let index = usize::try_from(fd.as_raw_fd()).unwrap_or_default();
    if entries.len() <= index {
        entries.resize_with(index + 1, || None);
    }
    let stale = entries[index].replace(Entry { fd, open })?;
    // The kernel has given the number anew, so it was closed behind our back or by `dup2`: it is not ours to close.
    let _: RawFd = stale.fd.into_raw_fd();
    Some(stale.open)
}

impl Drop for Inner {
    fn drop(&mut self) {
        let entries = self.entries.get_mut().unwrap_or_else(PoisonError::into_inner);
        let closed = entries.drain(..).flatten().filter_map(|entry| match entry.open {
            // One that somebody else holds too, such as an operation of a ring, is not closed yet.
            Open::Socket(file) => Arc::into_inner(file),
            Open::Kernel => None,
        });
        let last: Vec<File> = closed.collect();
        last.iter().for_each(|file| file.shadow.retire());
        linger_together(last.iter().map(|file| &file.socket));
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.entries().iter().flatten().count();
        f.debug_struct("Sockets").field("open", &open).finish_non_exhaustive()
    }
}
