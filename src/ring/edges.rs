//! What is new on a socket, for a poll that tells of it each time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

use tunstack_core::stack::Readiness;

use crate::bsd::Result;
use crate::bsd::file::{File, errno};
use crate::engine::waiters::{self, Observer};

/// Watches one socket from when it is made until it is dropped.
pub(super) struct Edges {
    file: Arc<File>,
    key: waiters::Key,
    news: Arc<News>,
}

struct News {
    wanted: Readiness,
    /// The wanted bits that stood when the last news came; none: it has been told.
    seen: AtomicU8,
    waker: Waker,
}

impl Observer for News {
    fn changed(&self, readiness: Readiness, edges: Readiness) -> Option<usize> {
        if edges.intersects(self.wanted) {
            self.seen.fetch_or((readiness & self.wanted).bits(), Ordering::AcqRel);
            // It enters the operation on a list, and does no more.
            self.waker.wake_by_ref();
        }
        None
    }
}

impl Edges {
    /// What stands already is news.
    pub(super) fn new(file: &Arc<File>, wanted: Readiness, waker: &Waker) -> Result<Self> {
        let id = file.socket.id();
        let mut held = file.socket.shard().lock_working().map_err(errno)?;
        let seen = held.stack.readiness(id) & wanted;
        let news = Arc::new(News { wanted, seen: AtomicU8::new(seen.bits()), waker: waker.clone() });
        let key = held.waiters.key();
        held.waiters.observe(id, key, Arc::<News>::clone(&news));
        held.release();
        Ok(Self { file: Arc::clone(file), key, news })
    }

    /// What is new since this was asked last.
    pub(super) fn take(&self) -> Readiness {
        Readiness::from_bits_retain(self.news.seen.swap(0, Ordering::AcqRel))
    }
}

impl Drop for Edges {
    fn drop(&mut self) {
        let mut held = self.file.socket.shard().lock();
        held.waiters.unobserve(self.file.socket.id(), self.key);
        held.release();
    }
}

impl fmt::Debug for Edges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edges").field("wanted", &self.news.wanted).finish_non_exhaustive()
    }
}
