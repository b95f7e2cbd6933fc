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
//! [`Trust::Trusted`]: tunstack_core::packet::Trust::Trusted

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use tunstack_core::packet::{Datagram, Inbound, Received};
use tunstack_core::time::Instant;

#[cfg(any(feature = "tun-tap", feature = "offload"))]
pub mod steer;

#[cfg(any(feature = "tun-tap", feature = "offload"))]
mod gro;

pub mod error;

#[cfg(feature = "uring")]
mod ring;

mod room;

mod frames;

pub use frames::{Frame, Frames};

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

    /// Whether what it sends stays in the process, so that it takes [references](Datagram#structfield.body) to long text in
    /// place of copies ([`Body::lend`]), and gives such to [`Frames`] that want them. A device that looks at the packets
    /// of another one says no, and sees them whole.
    ///
    /// [`Body::lend`]: tunstack_core::packet::Body::lend
    fn takes_references(&self) -> bool {
        false
    }

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

            fn takes_references(&self) -> bool {
                (**self).takes_references()
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
