//! A device that keeps what the stack sends, for who looks at every packet: nothing arrives by it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use tunstack_core::packet::{Datagram, Sent};
use tunstack_core::time::Instant;

use super::{Capabilities, Device, Frames, segment};

/// Packets that an outbox keeps. A stack that sends more before anybody looks is out of its mind, or nobody looks.
const MOST: usize = 65_536;

/// A packet that the stack sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// When.
    pub when: Instant,
    /// The whole IP packet.
    pub packet: Vec<u8>,
    /// Not 0: to be cut into segments with this many octets of data, and its checksum to be finished then.
    pub gso_size: u16,
    /// Why it was sent, when tracing is on.
    pub event: Option<Sent>,
}

/// The device, and by its clones the way to what it keeps.
#[derive(Clone, Debug)]
pub struct Outbox {
    letters: Arc<Mutex<VecDeque<Letter>>>,
    /// Never readable.
    silent: Arc<OwnedFd>,
    mtu: u16,
}

impl Outbox {
    /// An empty one that takes packets of up to `mtu` octets.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn new(mtu: u16) -> io::Result<Self> {
        let silent = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        Ok(Self { letters: Arc::default(), silent, mtu })
    }

    /// Takes the oldest packet.
    pub fn take(&self) -> Option<Letter> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Whether it keeps none.
    pub fn is_empty(&self) -> bool {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn keep(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        if letters.len() >= MOST {
            return Err(Errno::NOBUFS.into());
        }
        let mut packet = datagram.head.to_vec();
        datagram.body.pieces().for_each(|piece| packet.extend_from_slice(piece));
        let (gso_size, event) = (datagram.gso_size, datagram.event.copied());
        letters.push_back(Letter { when: now, packet, gso_size, event });
        Ok(())
    }
}

impl Device for Outbox {
    fn recv(&self, _now: Instant, _frames: &mut Frames) -> io::Result<usize> {
        Ok(0)
    }

    fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        // Whoever looks at large packets wants them as they were sent.
        let keep = |packet: &Datagram<'_>| self.keep(now, packet);
        if datagram.gso_size == 0 { segment::cut(datagram, keep) } else { keep(datagram) }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: self.mtu, checksum_offload: false, max_gso: 0 }
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.silent.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use tunstack_core::packet::{Body, Checksum};

    use super::*;

    #[test]
    fn sums_are_finished_and_large_packets_kept_whole() {
        let outbox = Outbox::new(1500).unwrap();
        let (checksum, body) = (Checksum::Partial { start: 0, offset: 4 }, Body::from_slice(&[0, 3]));
        let head = [0, 1, 0, 2, 0, 4];
        for (gso_size, sum) in [(0, [0xff, 0xf5]), (1, [0, 4])] {
            let datagram = Datagram { head: &head, body, gso_size, checksum, event: None };
            outbox.send(Instant::ZERO, &datagram).unwrap();
            let letter = outbox.take().unwrap();
            assert_eq!((letter.gso_size, &letter.packet[..4]), (gso_size, &head[..4]));
            assert_eq!(letter.packet[4..], [sum[0], sum[1], 0, 3]);
        }
        assert!(outbox.is_empty());
    }
}
