//! The thread that waits for packets, nudges and deadlines.

use std::io;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tunstack_core::time::Instant;

use super::error::Failure;
use super::shard::{BURST, Next, Shard};
use crate::device::Frames;

/// Runs until the shard is stopped or its device fails.
pub(crate) fn run(shard: &Arc<Shard>) {
    shard.enter_reader();
    let _retire = Retire(shard);
    if let Err(error) = read(shard) {
        tracing::error!(%error, "the device failed");
        shard.fail(Failure::device(&error));
    }
}

fn read(shard: &Shard) -> io::Result<()> {
    let capabilities = shard.device.capabilities();
    // A device that cuts segments also joins them, up to the largest packet there is.
    let size = if capabilities.max_gso > 0 { 0xffff } else { usize::from(capabilities.mtu) };
    let mut frames = Frames::new(BURST, size);
    let mut next = shard.arrived(&frames, shard.clock.now());
    while !shard.stopped() {
        let hung_up = match next {
            Next::End => break,
            Next::Sleep(until) if !frames.is_full() => wait(shard, until)?,
            Next::Sleep(_) | Next::More => false,
        };
        let now = shard.clock.now();
        frames.clear();
        let count = shard.device.recv(now, &mut frames)?;
        if hung_up && count == 0 {
            // It would poll ready for ever and never have anything.
            return Err(Errno::NODEV.into());
        }
        next = shard.arrived(&frames, now);
    }
    Ok(())
}

/// Sleeps until a packet, a nudge or the deadline; says whether the device hung up.
fn wait(shard: &Shard, until: Instant) -> io::Result<bool> {
    let (device, nudge) = (shard.device.readable(), shard.nudged());
    let mut fds = [device, nudge].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let timeout = (until < Instant::FAR_FUTURE).then(|| {
        let left = until.saturating_since(shard.clock.now());
        // At most u64::MAX nanoseconds, so the seconds fit.
        Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
    });
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    }
    let [device, nudged] = fds.map(|fd| fd.revents());
    if nudged.contains(PollFlags::IN) {
        match rustix::io::read(nudge, &mut [0; 8]) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(device.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL))
}

/// Tells everybody that the reader has ended, however it ended.
struct Retire<'a>(&'a Shard);

impl Drop for Retire<'_> {
    fn drop(&mut self) {
        self.0.fail(if std::thread::panicking() { Failure::Poisoned } else { Failure::Stopped });
    }
}
