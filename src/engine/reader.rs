//! The thread that sits before the device while no caller does.

use std::io;
use std::sync::Arc;

use super::error::Failure;
use super::shard::Shard;
use super::sitting::Turn;

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
    while let Some(mut seated) = shard.stand_by()? {
        while !shard.stopped() && seated.turn(None)? == Turn::Stays {}
    }
    Ok(())
}

/// Tells everybody that the reader has ended, however it ended.
struct Retire<'a>(&'a Shard);

impl Drop for Retire<'_> {
    fn drop(&mut self) {
        self.0.fail(if std::thread::panicking() { Failure::Poisoned } else { Failure::Stopped });
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    use rustix::io::Errno;
    use tunstack_core::packet::Datagram;
    use tunstack_core::time::Instant;

    use super::*;
    use crate::device::{Capabilities, Device, Frames};
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
