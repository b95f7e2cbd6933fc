//! A TUN of either kind: plain or with offload, as was asked for.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use tunstack_core::packet::Datagram;
use tunstack_core::time::Instant;

use super::attach::Changes;
#[cfg(feature = "offload")]
use super::offload::OffloadTun;
#[cfg(feature = "tun-tap")]
use super::tun::Tun;
use super::{Capabilities, Device, Frames};

/// A TUN.
#[derive(Debug)]
pub enum TunDevice {
    /// One packet a read and a write, summed here.
    #[cfg(feature = "tun-tap")]
    Plain(Tun),
    /// One queue of a device whose kernel sums and cuts.
    #[cfg(feature = "offload")]
    Offload(OffloadTun),
}

/// The same on whichever it is.
macro_rules! whichever {
    ($device:expr, $tun:ident => $does:expr) => {
        match $device {
            #[cfg(feature = "tun-tap")]
            Self::Plain($tun) => $does,
            #[cfg(feature = "offload")]
            Self::Offload($tun) => $does,
        }
    };
}

impl TunDevice {
    /// The interface's name.
    pub fn name(&self) -> &str {
        whichever!(self, tun => tun.name())
    }

    /// Takes over what was changed on it, to be put back, and the MTU that it has now.
    pub(super) fn configured(&mut self, changes: Arc<Changes>, mtu: u16) {
        whichever!(self, tun => tun.configured(changes, mtu));
    }
}

impl Device for TunDevice {
    fn recv(&self, now: Instant, frames: &mut Frames) -> io::Result<usize> {
        whichever!(self, tun => tun.recv(now, frames))
    }

    fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        whichever!(self, tun => tun.send(now, datagram))
    }

    fn capabilities(&self) -> Capabilities {
        whichever!(self, tun => tun.capabilities())
    }

    fn readable(&self) -> BorrowedFd<'_> {
        whichever!(self, tun => tun.readable())
    }
}
