//! Packets in and out.
//!
//! | Device | Packets |
//! |---|---|
//! | [`tun::Tun`](mod@tun) | to and from the host's kernel, one by one and finished (feature `tun-tap`) |
//! | [`offload::OffloadTun`](mod@offload) | the same, of up to 64 KiB, summed, cut and joined by the kernel (feature `offload`) |
//! | [`pipe::Pipe`] | between two stacks in one process |
//! | [`outbox::Outbox`] | kept for who looks at them |
//! | [`impair::Impair`] | through another device, over a bad link |
//! | [`capture::Capture`](mod@capture) | through another device, written down (feature `capture`) |
//!
//! [`setup::bring_up`](mod@setup) makes either TUN with its addresses.
//!
//! # What is left to a device
//!
//! A device says in [`Capabilities`] what it does of a stack's work. One that offloads takes packets whose
//! transport checksum is that of the pseudo-header alone ([`Checksum::Partial`]), and packets longer than its
//! MTU with a `gso_size`: the octets of text that each packet of the link shall carry. The pseudo-header of
//! these has the length of the whole. It gives such packets as well: [`Trust::Trusted`] where the sum is partial
//! or was found right, and a `gso_size` where packets were joined.
//!
//! Whatever a device cannot do is done at its edge, by [`segment`]: so any device takes any packet, and what it
//! says it can do is advice.
//!
//! [`Checksum::Partial`]: tunstack_core::packet::Checksum::Partial

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use tunstack_core::packet::{Datagram, Inbound, Received, Trust};
use tunstack_core::time::Instant;

pub mod error;

#[cfg(any(feature = "tun-tap", feature = "offload"))]
mod sys;

mod head;

pub mod segment;

pub mod vnet;

pub mod pipe;

pub mod outbox;

#[cfg(any(feature = "tun-tap", feature = "offload"))]
pub mod netlink;

#[cfg(any(feature = "tun-tap", feature = "offload"))]
mod attach;

#[cfg(feature = "tun-tap")]
pub mod tun;

#[cfg(feature = "offload")]
pub mod offload;

#[cfg(any(feature = "tun-tap", feature = "offload"))]
pub mod either;

#[cfg(any(feature = "tun-tap", feature = "offload"))]
pub mod setup;

#[cfg(feature = "capture")]
pub mod capture;

pub mod impair;

/// What IP packets come from and go to. Calls never wait. A device is shared between the thread that reads
/// and whichever thread transmits, so it takes `&self`; the engine never sends from two threads at once.
pub trait Device: Send + Sync {
    /// Takes packets that wait, as many as `frames` has room for, and says how many: 0 when none waits.
    ///
    /// # Errors
    /// The device is gone or broken. `WouldBlock` and `Interrupted` are not given: they are `Ok(0)`.
    fn recv(&self, now: Instant, frames: &mut Frames) -> io::Result<usize>;

    /// Sends one packet. Partial checksums and a `gso_size` come only where [`Capabilities`] allows them.
    ///
    /// # Errors
    /// The packet was not taken: to the stack it is lost, as on any network.
    fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()>;

    /// Told what became of each packet that [`recv`](Self::recv) gave; a capture writes it down.
    fn settled(&self, now: Instant, inbound: &Inbound<'_>, received: &Received) {
        let _ = (now, inbound, received);
    }

    /// When to call [`recv`](Self::recv) although the descriptor is silent: for a device that holds packets
    /// back. `None`: never.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// A descriptor that polls readable while packets wait.
    fn readable(&self) -> BorrowedFd<'_>;
}

/// A device that is shared or boxed is a device.
macro_rules! forward {
    ($pointer:ident) => {
        impl<D: Device + ?Sized> Device for $pointer<D> {
            fn recv(&self, now: Instant, frames: &mut Frames) -> io::Result<usize> {
                (**self).recv(now, frames)
            }

            fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
                (**self).send(now, datagram)
            }

            fn settled(&self, now: Instant, inbound: &Inbound<'_>, received: &Received) {
                (**self).settled(now, inbound, received);
            }

            fn deadline(&self) -> Option<Instant> {
                (**self).deadline()
            }

            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }

            fn readable(&self) -> BorrowedFd<'_> {
                (**self).readable()
            }
        }
    };
}

forward!(Arc);
forward!(Box);

/// What a device can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// The largest IP packet, octets.
    pub mtu: u16,
    /// Takes packets whose transport checksum is partial.
    pub checksum_offload: bool,
    /// Cuts TCP into segments, and UDP into datagrams: the largest packet it takes for that, octets; 0: it
    /// cannot. It also joins what arrives, up to 65,535 octets.
    pub max_gso: u32,
}

/// Room for a batch of arriving packets, used again and again.
#[derive(Debug)]
pub struct Frames {
    slots: Vec<Frame>,
    filled: usize,
}

/// Room for one packet.
#[derive(Debug)]
pub struct Frame {
    buffer: Vec<u8>,
    len: usize,
    /// Whether its checksum needs checking.
    pub trust: Trust,
    /// Not 0: segments of this size were joined.
    pub gso_size: u16,
}

impl Frames {
    /// Room for `count` packets of `size` octets each.
    pub fn new(count: usize, size: usize) -> Self {
        let frame = || Frame { buffer: vec![0; size], len: 0, trust: Trust::Verify, gso_size: 0 };
        Self { slots: (0..count).map(|_| frame()).collect(), filled: 0 }
    }

    /// Forgets the packets.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Fills the next free slot: `fill` writes a packet to the front of the slot's buffer and gives its
    /// length, or `None` when there is none. Gives false when nothing was added: no packet, or no room.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn fill<E>(&mut self, fill: impl FnOnce(&mut [u8]) -> Result<Option<usize>, E>) -> Result<bool, E> {
        let Some(slot) = self.slots.get_mut(self.filled) else { return Ok(false) };
        let Some(len) = fill(&mut slot.buffer)? else { return Ok(false) };
        slot.len = len.min(slot.buffer.len());
        slot.trust = Trust::Verify;
        slot.gso_size = 0;
        self.filled += 1;
        Ok(true)
    }

    /// The slot filled last, to set what a device knows of its checksum and size.
    pub fn last_mut(&mut self) -> Option<&mut Frame> {
        self.slots[..self.filled].last_mut()
    }

    /// How many packets are in it.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Whether no slot is free.
    pub fn is_full(&self) -> bool {
        self.filled == self.slots.len()
    }

    /// The packets, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = Inbound<'_>> {
        self.slots[..self.filled].iter().map(|f| Inbound {
            packet: &f.buffer[..f.len],
            backing: None,
            trust: f.trust,
            gso_size: f.gso_size,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn put(frames: &mut Frames, packet: &[u8]) -> bool {
        let filled = frames.fill(|buffer| {
            buffer[..packet.len()].copy_from_slice(packet);
            Ok::<_, Infallible>(Some(packet.len()))
        });
        filled.unwrap()
    }

    #[test]
    fn frames_hold_what_they_have_room_for() {
        let mut frames = Frames::new(2, 4);
        assert!(frames.is_empty() && !frames.is_full());
        assert!(put(&mut frames, b"one") && put(&mut frames, b"four"));
        assert!(frames.is_full());
        // Not even asked for: a packet read from a device would be lost.
        assert!(!frames.fill(|_| -> Result<_, Infallible> { panic!("no room") }).unwrap());
        let packets: Vec<_> = frames.iter().map(|f| f.packet).collect();
        assert_eq!(packets, [&b"one"[..], b"four"]);
        frames.clear();
        assert!(frames.is_empty());
        assert_eq!(frames.iter().count(), 0);
    }

    #[test]
    fn nothing_and_errors_take_no_slot() {
        let mut frames = Frames::new(2, 4);
        assert!(!frames.fill(|_| Ok::<_, Infallible>(None)).unwrap());
        assert_eq!(frames.fill(|_| Err("broken")), Err("broken"));
        assert_eq!(frames.len(), 0);
        assert!(frames.last_mut().is_none());
    }

    #[test]
    fn what_was_known_of_an_earlier_packet_is_forgotten() {
        let mut frames = Frames::new(1, 4);
        put(&mut frames, b"big");
        let frame = frames.last_mut().unwrap();
        (frame.trust, frame.gso_size) = (Trust::Trusted, 1400);
        let known = |frames: &Frames| frames.iter().map(|f| (f.trust, f.gso_size)).next();
        assert_eq!(known(&frames), Some((Trust::Trusted, 1400)));
        frames.clear();
        put(&mut frames, b"new");
        assert_eq!(known(&frames), Some((Trust::Verify, 0)));
    }

    #[test]
    fn a_length_beyond_the_buffer_is_cut() {
        let mut frames = Frames::new(1, 4);
        frames.fill(|_| Ok::<_, Infallible>(Some(9))).unwrap();
        assert_eq!(frames.iter().map(|f| f.packet.len()).sum::<usize>(), 4);
    }
}
