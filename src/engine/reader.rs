//! The thread that waits for packets, nudges and deadlines.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tunstack_core::time::Instant;

use super::error::Failure;
use super::shard::{BURST, Next, Shard};
use crate::device::Frames;

/// Runs until the shard is stopped or its device fails.
pub(crate) fn run(shard: &Arc<Shard>) {
    super::signals::block();
    shard.enter_reader();
    let _retire = Retire(shard);
    if let Err(error) = read(shard) {
        // Every call tells of it from now on, so this is for who looks closer.
        tracing::debug!(%error, "the device failed");
        shard.fail(Failure::device(&error));
    }
}

fn read(shard: &Shard) -> io::Result<()> {
    let capabilities = shard.device.capabilities();
    // A device that cuts segments also joins them, up to the largest packet there is.
    let size = if capabilities.max_gso > 0 { 0xffff } else { usize::from(capabilities.mtu) };
    let mut frames = Frames::new(BURST, size);
    let mut next = shard.arrived(&frames);
    let mut hang_ups = 0;
    while !shard.stopped() {
        let hung_up = match next {
            Next::End => break,
            Next::Sleep(until) if !frames.is_full() => wait(shard, until, hang_ups > 0)?,
            Next::Sleep(_) | Next::More => false,
        };
        frames.clear();
        let count = shard.device.recv(shard.clock.now(), &mut frames)?;
        hang_ups = if hung_up && count == 0 { hang_ups + 1 } else { 0 };
        if hang_ups > HANG_UPS {
            return Err(Errno::NODEV.into());
        }
        next = shard.arrived(&frames);
    }
    Ok(())
}

/// How often a device may hang up and have nothing to say before it counts as lost. One that is being
/// deleted polls as broken a while before it gives the error that tells why.
const HANG_UPS: u32 = 100;

/// The time between two looks at a device that hung up: it would end every poll at once.
const PAUSE: Duration = Duration::from_millis(10);

/// Sleeps until a packet, a nudge or the deadline; says whether the device hung up. After a pause where it
/// has `hung_up` before.
fn wait(shard: &Shard, until: Instant, hung_up: bool) -> io::Result<bool> {
    let (device, nudge) = (shard.device.readable(), shard.nudged());
    if hung_up {
        let mut nudged = [PollFd::from_borrowed_fd(nudge, PollFlags::IN)];
        sleep(&mut nudged, Some(PAUSE.min(until.saturating_since(shard.clock.now()))))?;
    }
    let mut fds = [device, nudge].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let timeout = (until < Instant::FAR_FUTURE).then(|| until.saturating_since(shard.clock.now()));
    sleep(&mut fds, timeout)?;
    let [device, nudged] = fds.map(|fd| fd.revents());
    if nudged.contains(PollFlags::IN) {
        match rustix::io::read(nudge, &mut [0; 8]) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(device.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL))
}

/// Sleeps until a descriptor is ready, the time is over or a signal comes.
fn sleep(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    // At most u64::MAX nanoseconds, so the seconds fit.
    let timeout = timeout.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: t.subsec_nanos().into() });
    match poll(fds, timeout.as_ref()) {
        Ok(_) => Ok(()),
        Err(Errno::INTR) => {
            fds.iter_mut().for_each(PollFd::clear_revents);
            Ok(())
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Tells everybody that the reader has ended, however it ended.
struct Retire<'a>(&'a Shard);

impl Drop for Retire<'_> {
    fn drop(&mut self) {
        self.0.fail(if std::thread::panicking() { Failure::Poisoned } else { Failure::Stopped });
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    use tunstack_core::packet::Datagram;

    use super::*;
    use crate::device::{Capabilities, Device};
    use crate::engine::Engine;
    use crate::engine::wait::wait_for;

    /// Polls as hung up, and never says why.
    struct Mute(OwnedFd);

    impl Device for Mute {
        fn recv(&self, _: Instant, _: &mut Frames) -> io::Result<usize> {
            Ok(0)
        }

        fn send(&self, _: Instant, _: &Datagram<'_>) -> io::Result<()> {
            Ok(())
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities { mtu: 1500, checksum_offload: false, max_gso: 0 }
        }

        fn readable(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    #[test]
    fn a_device_that_hung_up_is_given_up() {
        let (reading, writing) = rustix::pipe::pipe().unwrap();
        drop(writing);
        let engine = Engine::builder().device(Mute(reading)).start().unwrap();
        assert!(wait_for(engine.shard(), None, |_| false), "the failure ends the wait");
        assert_eq!(engine.check().unwrap_err().raw_os_error(), Some(Errno::NODEV.raw_os_error()));
    }
}
