//! Many sockets and descriptors, one thread: readiness in the words of mio.
//!
//! A server's loop, whole; what it does with its clients is to be the program's:
//!
//! ```no_run
//! use std::collections::HashMap;
//! use std::io::{self, ErrorKind};
//! use tunstack::engine::Engine;
//! use tunstack::net::TcpStream;
//! use tunstack::poll::{Events, Interest, Poll, Token};
//!
//! # fn talk(stream: &TcpStream) -> io::Result<bool> { Ok(stream.try_read(&mut [0; 99])? > 0) }
//! fn serve(engine: &Engine) -> io::Result<()> {
//!     let mut listener = engine.listen("10.7.0.2:7")?;
//!     let mut poll = Poll::new()?;
//!     let mut events = Events::with_capacity(256);
//!     let mut clients = HashMap::new();
//!     poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
//!     loop {
//!         poll.poll(&mut events, None)?;
//!         for event in &events {
//!             if event.token() != Token(0) {
//!                 let Some(stream) = clients.get(&event.token()) else { continue };
//!                 // Reads and writes with `try_…` until one gives WouldBlock; says whether to go on.
//!                 if !talk(stream)? {
//!                     clients.remove(&event.token());
//!                 }
//!                 continue;
//!             }
//!             loop {
//!                 let (mut stream, _) = match listener.try_accept() {
//!                     Err(error) if error.kind() == ErrorKind::WouldBlock => break,
//!                     accepted => accepted?,
//!                 };
//!                 let token = Token(1 + stream.id().index() as usize);
//!                 poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
//!                 clients.insert(token, stream);
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! # Edges
//!
//! An event is given when readiness arises or when something new arrives, and then never again for the same:
//! whoever gets one goes on until `WouldBlock`, or remembers that there is more. An event says how the source
//! stands when it is given, all of it that the interest includes. A source that is ready when it is registered
//! or registered anew gives an event at once.
//!
//! An event may be late: a clone of the socket in another thread may have read what there was to read. A source
//! that has been deregistered, and a socket whose last clone has been dropped, gives none.
//!
//! # Replies
//!
//! Who is told of several sockets at once and replies on each has its replies leave together, so that the peer is not
//! woken for each: after 20 µs while calls go on, when it polls again, and after a millisecond if it does neither. A
//! process that exits in between takes them with it, as it does everything that is not acknowledged yet.
//!
//! A reply, or a close, also carries the acknowledgment of a fresh connection's request or of its end. What has neither when
//! the poll waits again, or comes back for the second time, is acknowledged then, and a millisecond after its last call at
//! the latest.
//!
//! # What differs from mio
//!
//! * The sockets are those of [`net`](crate::net), which may wait: use their `try_…` calls or
//!   `set_nonblocking(true)`, and [`TcpStream::start_connect`](crate::net::TcpStream::start_connect) to connect.
//! * [`SourceFd`] borrows what owns the descriptor, where mio takes the number.
//! * A poll may have more than one [`Waker`], and one that is dropped loses no wake.
//! * Our sockets are no descriptors, so a `Poll` is none that another poller could watch.

mod interest;

mod events;

mod ready;

mod registry;

pub mod event;

mod source;

mod waker;

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

pub use event::Events;
pub use interest::{Interest, Token};
pub use registry::Registry;
pub use source::SourceFd;
pub use waker::Waker;

use crate::engine::clock::Clock;
use crate::engine::passing::{Also, Poller, Sat};
use crate::engine::shard::is_reader;
use event::Event;
use ready::Ready;

/// The longest sleep in the kernel at a time; a longer wait is several. Its clock counts milliseconds in 31
/// bits.
const DAY: Duration = Duration::from_secs(86_400);

/// A poll before a device.
struct Before<'a> {
    ready: &'a Ready,
    epoll: BorrowedFd<'a>,
}

impl Poller for Before<'_> {
    fn is_roused(&self) -> bool {
        self.ready.is_roused()
    }

    fn has_several(&self) -> bool {
        self.ready.has_several()
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.epoll
    }
}

/// Waits for the events of sources that its [`Registry`] knows, of any number of engines and of the kernel.
#[derive(Debug)]
pub struct Poll {
    registry: Registry,
    clock: Clock,
    /// Whose turn it is to be told first, so that neither starves where events have little room.
    sockets_first: bool,
}

impl Poll {
    /// A poll that watches nothing yet.
    ///
    /// # Errors
    /// Those of `epoll_create1` and `eventfd`: no more descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self { registry: Registry::new()?, clock: Clock::start(), sockets_first: false })
    }

    /// Where sources are registered.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Waits until there is something to tell or `timeout` is over (`None`: without limit), and fills `events`
    /// with that; after a timeout they are empty. A timeout of zero looks and does not wait. Waits are rounded
    /// up to milliseconds. What there is no room for is told by the next call.
    ///
    /// # Errors
    /// `Interrupted` when a signal's handler ran while it slept. One that ran while it looked for packets, before a sleep
    /// ([`Builder::spin`](crate::engine::Builder::spin)), mostly goes unnoticed as one does that ran just before the call:
    /// who waits for signals watches a signalfd, or a pipe that the handler writes to.
    /// `InvalidInput` when `events` has no capacity; `Deadlock` where it would have to wait on the thread of an engine, as in a
    /// waker: that engine would stand still.
    pub fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        if events.capacity() == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no room for an event"));
        }
        let waits = timeout != Some(Duration::ZERO);
        // Who does not wait need not ask what time it is.
        let deadline = self.clock.deadline(timeout.filter(|_| waits));
        let on_reader = is_reader();
        let mut left = if on_reader { Some(Duration::ZERO) } else { timeout };
        loop {
            // Where there is nothing else to be told of, nobody has to wait for a turn.
            self.sockets_first = !self.sockets_first && self.registry.shared.has_descriptors();
            if self.sockets_first {
                self.take_sockets(events);
            }
            let had_their_turn = !events.is_empty();
            self.take_kernel(events, left)?;
            // Once a call, or a socket that changes meanwhile would be told twice.
            if !had_their_turn {
                self.take_sockets(events);
            }
            if on_reader && events.is_empty() && waits {
                return Err(io::ErrorKind::Deadlock.into());
            }
            if !events.is_empty() || !waits {
                return Ok(());
            }
            left = deadline.map(|deadline| deadline.saturating_since(self.clock.now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
        }
    }

    fn take_sockets(&self, events: &mut Events) {
        let room = events.room();
        self.registry.shared.watched.ready.take(&mut events.told, room);
    }

    /// Waits before the device of the engine whose sockets are watched, where nobody does: what arrives passes through no
    /// other thread. Gives how long there is to wait still; nothing where the kernel need not be asked, either.
    fn sit(&self, left: Option<Duration>) -> io::Result<Option<Option<Duration>>> {
        let watched = &self.registry.shared.watched;
        let Some(shard) = watched.home() else {
            let asks = watched.ready.is_empty() || self.registry.shared.has_descriptors();
            return Ok(asks.then_some(left));
        };
        if !watched.ready.sit() {
            shard.send_unsent();
            return Ok(self.registry.shared.has_descriptors().then_some(left));
        }
        let poller = Before { ready: &watched.ready, epoll: self.registry.shared.epoll.as_fd() };
        let deadline = shard.clock.deadline(left);
        let sat = shard.sit_for(&poller, deadline);
        watched.ready.awake();
        match sat {
            Sat::Through(Also::Nothing) => Ok(None),
            Sat::Through(Also::Unasked) if !self.registry.shared.has_descriptors() => Ok(None),
            // Whatever it was is there now.
            Sat::Through(_) => Ok(Some(Some(Duration::ZERO))),
            Sat::Elsewhere => Ok(Some(deadline.map(|deadline| deadline.saturating_since(shard.clock.now())))),
            Sat::Interrupted => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    /// Replies that wait for those behind them leave where this poll does not wait: it may be long until the next.
    fn send_unsent(&self) {
        if let Some(shard) = self.registry.shared.watched.home().filter(|_| !is_reader()) {
            shard.send_unsent();
        }
    }

    /// What the kernel has to tell. Sleeps until there is something, unless there is already.
    fn take_kernel(&self, events: &mut Events, left: Option<Duration>) -> io::Result<()> {
        let watched = &self.registry.shared.watched;
        let waits = events.told.is_empty() && left != Some(Duration::ZERO);
        let left = if waits {
            let Some(left) = self.sit(left)? else { return Ok(()) };
            left
        } else {
            self.send_unsent();
            left
        };
        // To ask the kernel is a system call, and beside what ends a sleep it has nothing of ours to tell.
        if events.room() == 0 || !waits && !self.registry.shared.has_descriptors() {
            return Ok(());
        }
        let sleeps = events.told.is_empty() && left != Some(Duration::ZERO) && watched.ready.sleep();
        let more = self.wait(events, if sleeps { left } else { Some(Duration::ZERO) });
        if sleeps {
            watched.ready.awake();
        }
        // The nudge may have taken the room of an event.
        if more? && events.room() > 0 {
            self.wait(events, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Says whether there may be more.
    fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<bool> {
        let room = events.room();
        let buffer = &mut events.kernel[..room];
        let timeout = timeout.map(|t| t.min(DAY));
        let timeout =
            timeout.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: t.subsec_nanos().into() });
        let count = epoll::wait(&self.registry.shared.epoll, &mut *buffer, timeout.as_ref())?;
        let nudge = self.registry.shared.watched.nudge_data();
        let told = buffer.iter().take(count).filter(|event| { event.data } != nudge);
        // A token was made of a usize.
        events.told.extend(told.map(|event| Event::new(Token({ event.data }.u64() as usize), event.flags)));
        Ok(count == room)
    }
}
