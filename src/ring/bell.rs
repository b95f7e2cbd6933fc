//! How a ring hears of what its operations wait for: a list of those that are to be looked at, on which wakers put them,
//! and a descriptor that is readable while there is something to do.
//!
//! A waker does no work, for it runs wherever the stack happened to be driven: it enters its operation, and wakes the
//! thread that waits in the ring or raises the descriptor. That one is an `epoll` of an eventfd and a timerfd: the
//! eventfd is for what has happened, the timerfd for the next timeout.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::Duration;

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tunstack_core::time::Instant;

use super::Key;
use crate::bsd::Result;
use crate::engine::clock::Clock;

#[derive(Debug, Default)]
struct State {
    /// To be looked at, each once, in the order of events.
    woken: VecDeque<Key>,
    /// The program's thread waits in the ring.
    waits: bool,
    /// Somebody has asked for the descriptor: before that nobody can see it.
    watched: bool,
    /// The eventfd is readable.
    raised: bool,
    /// What the timerfd is set to.
    alarm: Option<Instant>,
}

/// What a ring shares with the wakers of its operations.
#[derive(Debug)]
pub(super) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
    event: OwnedFd,
    timer: OwnedFd,
    both: OwnedFd,
}

impl Bell {
    pub(super) fn new() -> Result<Arc<Self>> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let both = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for fd in [&event, &timer] {
            epoll::add(&both, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        Ok(Arc::new(Self { state: Mutex::default(), rung: Condvar::new(), event, timer, both }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, key: Key) {
        let mut state = self.state();
        state.woken.push_back(key);
        if state.waits {
            drop(state);
            self.rung.notify_one();
        } else {
            self.raise(&mut state);
        }
    }

    /// Those who were woken since, in order.
    pub(super) fn take(&self) -> VecDeque<Key> {
        std::mem::take(&mut self.state().woken)
    }

    /// Waits for a wake-up, `until` then at the longest.
    pub(super) fn wait(&self, clock: &Clock, until: Instant) {
        let mut state = self.state();
        state.waits = true;
        while state.woken.is_empty() {
            let left = until.saturating_since(clock.now());
            if left.is_zero() {
                break;
            }
            state = self.rung.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.waits = false;
    }

    /// Makes the descriptor show how things stand: whether completions wait, and when the next timeout is.
    pub(super) fn show(&self, completions: bool, alarm: Option<Instant>, clock: &Clock) {
        let mut state = self.state();
        if !state.watched {
            return;
        }
        if completions || !state.woken.is_empty() {
            self.raise(&mut state);
        } else if state.raised {
            state.raised = false;
            let taken = rustix::io::read(&self.event, &mut [0; 8]);
            debug_assert!(matches!(taken, Ok(8)), "{taken:?}");
        }
        if state.alarm != alarm {
            state.alarm = alarm;
            let left = alarm.map(|at| at.saturating_since(clock.now()));
            let set = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once(left));
            debug_assert!(set.is_ok(), "{set:?}");
        }
    }

    /// The descriptor; from now on it is kept as [`show`](Self::show) says.
    pub(super) fn watch(&self) -> BorrowedFd<'_> {
        self.state().watched = true;
        self.both.as_fd()
    }

    fn raise(&self, state: &mut State) {
        if !state.watched || state.raised {
            return;
        }
        state.raised = true;
        let written = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        debug_assert!(matches!(written, Ok(8) | Err(Errno::AGAIN)), "{written:?}");
    }
}

/// A timer that goes off once, or (`None`) never.
fn once(left: Option<Duration>) -> Itimerspec {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let value = left.map_or(zero, |left| {
        // Zero would be never.
        let left = left.max(Duration::from_nanos(1));
        Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        }
    });
    Itimerspec { it_interval: zero, it_value: value }
}

/// The waker of one operation.
#[derive(Debug)]
pub(super) struct Token {
    key: Key,
    woken: AtomicBool,
    bell: Arc<Bell>,
}

impl Token {
    pub(super) fn new(key: Key, bell: &Arc<Bell>) -> Arc<Self> {
        Arc::new(Self { key, woken: AtomicBool::new(false), bell: Arc::clone(bell) })
    }

    /// The operation is being looked at: what wakes it from now on asks for another look.
    pub(super) fn answer(&self) {
        self.woken.store(false, Ordering::Release);
    }
}

impl Wake for Token {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.bell.ring(self.key);
        }
    }
}
