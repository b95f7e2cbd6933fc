//! Waking a poll from another thread.

use std::fmt;
use std::io;
use std::sync::Arc;

use tunstack_core::stack::Readiness;

use super::interest::{Interest, Token};
use super::ready::Handle;
use super::registry::{Registry, Watched};

/// Ends a poll's wait from any thread. A poll may have several.
///
/// ```
/// use tunstack::poll::{Events, Poll, Token, Waker};
///
/// # fn main() -> std::io::Result<()> {
/// let mut poll = Poll::new()?;
/// let waker = Waker::new(poll.registry(), Token(9))?;
/// let other = std::thread::spawn(move || waker.wake());
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// assert_eq!(events.iter().next().unwrap().token(), Token(9));
/// # other.join().unwrap()
/// # }
/// ```
pub struct Waker {
    watched: Arc<Watched>,
    handle: Handle,
}

impl Waker {
    /// A waker whose event has this token and is readable.
    ///
    /// # Errors
    /// None; the signature is mio's.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let watched = Arc::clone(&registry.shared.watched);
        let handle = watched.ready.insert(token, Interest::READABLE, None);
        Ok(Self { watched, handle })
    }

    /// Makes the poll that waits, or the next one, give an event. Wakes before that are one event together.
    /// What the thread did before the wake is seen by whoever gets the event.
    ///
    /// # Errors
    /// None; the signature is mio's.
    pub fn wake(&self) -> io::Result<()> {
        self.watched.changed(self.handle, Readiness::READABLE, Readiness::READABLE);
        Ok(())
    }
}

impl Drop for Waker {
    /// A wake that was not told yet is told still.
    fn drop(&mut self) {
        self.watched.ready.end(self.handle);
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("handle", &self.handle).finish_non_exhaustive()
    }
}
