//! How the engine sleeps: with its device, or until an alarm. `tests/wakeups` has its own in place of this.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags};
use rustix::time::{timerfd_create, timerfd_settime};

/// How long the device may go unread while those who read it are expected back.
pub(super) const PATIENCE: Duration = Duration::from_millis(1);

/// How a sleep with the device ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Ended {
    /// The device hung up.
    pub(super) hung_up: bool,
    /// What else was slept with is readable.
    pub(super) also: bool,
    /// A signal's handler ran.
    pub(super) interrupted: bool,
}

/// What ends the sleep of whoever sits, beside the device.
#[derive(Debug)]
pub(crate) struct Nudge(OwnedFd);

impl Nudge {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Ends a sleep, or the next. The eventfd's count cannot overflow in practice, and if it did it would be
    /// readable, which is all that is asked of it.
    pub(crate) fn nudge(&self) {
        let written = rustix::io::write(&self.0, &1u64.to_ne_bytes());
        debug_assert!(matches!(written, Ok(8) | Err(Errno::AGAIN)), "{written:?}");
    }

    /// Sleeps until the device is readable, or `also` is, a nudge, or the time is over. A signal may end it early.
    pub(super) fn sleep(
        &self,
        device: BorrowedFd<'_>,
        also: Option<BorrowedFd<'_>>,
        timeout: Option<Duration>,
    ) -> io::Result<Ended> {
        let all = [self.0.as_fd(), device, also.unwrap_or(device)];
        let mut fds = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let count = if also.is_some() { 3 } else { 2 };
        let interrupted = self.sleep_with(&mut fds[..count], timeout)?;
        let hung_up = fds[1].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
        Ok(Ended { hung_up, also: also.is_some() && !fds[2].revents().is_empty(), interrupted })
    }

    /// What would end a sleep without the device, if there is anything. Does not wait.
    pub(super) fn look(&self, also: Option<BorrowedFd<'_>>) -> io::Result<Option<Ended>> {
        let nudge = self.0.as_fd();
        let mut fds = [nudge, also.unwrap_or(nudge)].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let count = if also.is_some() { 2 } else { 1 };
        let interrupted = self.sleep_with(&mut fds[..count], Some(Duration::ZERO))?;
        let readable = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let also = also.is_some() && readable(&fds[1]);
        let anything = interrupted || also || readable(&fds[0]);
        Ok(anything.then_some(Ended { hung_up: false, also, interrupted }))
    }

    /// Sleeps until a nudge, or the time is over.
    pub(super) fn pause(&self, time: Duration) -> io::Result<()> {
        self.sleep_with(&mut [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)], Some(time))
            .map(|_| ())
    }

    /// Says whether a signal ended it.
    fn sleep_with(&self, fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<bool> {
        // At most u64::MAX nanoseconds, so the seconds fit.
        let timeout =
            timeout.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: t.subsec_nanos().into() });
        match poll(fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => {
                fds.iter_mut().for_each(PollFd::clear_revents);
                return Ok(true);
            }
            Err(errno) => return Err(errno.into()),
        }
        if fds[0].revents().contains(PollFlags::IN) {
            match rustix::io::read(&self.0, &mut [0; 8]) {
                Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
impl Nudge {
    /// Whether it was nudged; it is then as if who sits had seen that.
    pub(super) fn take(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }
}

/// What the reader sleeps with while callers read the device.
#[derive(Debug)]
pub(super) struct Alarm(OwnedFd);

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?))
    }

    /// Rings when that is over, and not when it was told before. Costs no wake-up of anybody until then.
    pub(super) fn set(&self, time: Duration) {
        // Zero would be never. A time that the kernel's clock cannot count is as good as never.
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let it_value = Timespec { tv_sec: seconds, tv_nsec: i64::from(time.subsec_nanos()).max(1) };
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let once = Itimerspec { it_interval: never, it_value };
        let set = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once);
        // It refuses only what is no time.
        debug_assert!(set.is_ok(), "{set:?}");
    }

    /// Sleeps until it rings.
    pub(super) fn wait(&self) -> io::Result<()> {
        match rustix::io::read(&self.0, &mut [0; 8]) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
