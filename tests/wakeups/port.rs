//! The device of a shard that is on shuttle's wire.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tunstack::device::Capabilities;
use tunstack_core::packet::Datagram;
use tunstack_core::time::Instant;

use crate::device::{Device, Frames};
use crate::engine::shard::Shard;
use crate::engine::sleep::Nudge;

/// What comes is on the wire of its shard, once it has one; what leaves is kept, where anything may leave.
#[derive(Clone, Default)]
pub(crate) struct Port {
    wire: Arc<OnceLock<Weak<Nudge>>>,
    sent: Option<Arc<Mutex<VecDeque<Vec<u8>>>>>,
}

impl Port {
    /// Of a host that talks to others, too.
    pub(crate) fn open() -> Self {
        Self { sent: Some(Arc::default()), ..Self::default() }
    }

    fn sent(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        let sent = self.sent.as_ref().expect("it talks to itself alone");
        sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_of(&self, shard: &Shard) {
        assert!(self.wire.set(Arc::downgrade(&shard.nudge)).is_ok());
    }

    /// Takes out what has left last.
    pub(crate) fn last_sent(&self) -> Option<Vec<u8>> {
        self.sent().pop_back()
    }
}

impl Device for Port {
    fn recv(&self, _: Instant, frames: &mut Frames) -> io::Result<usize> {
        let Some(wire) = self.wire.get().and_then(Weak::upgrade) else { return Ok(0) };
        let fill = |buffer: &mut [u8]| {
            let packet = wire.receive()?;
            let len = packet.map(|packet| {
                buffer[..packet.len()].copy_from_slice(&packet);
                packet.len()
            });
            io::Result::Ok(len)
        };
        Ok(usize::from(frames.fill(fill)?))
    }

    fn send(&self, _: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        self.sent().push_back(datagram.head.to_vec());
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: 1500, checksum_offload: false, max_gso: 0 }
    }

    fn readable(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}
