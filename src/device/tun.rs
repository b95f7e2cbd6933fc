//! A Linux TUN: IP packets between this process and the host's kernel, one a read and one a write.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode as FileMode, OFlags};
use rustix::io::Errno;
use tun_tap::{Iface, Mode};
use tunstack_core::packet::Datagram;
use tunstack_core::time::Instant;

use super::attach::{self, Changes};
use super::error::DeviceError;
use super::netlink::Link;
use super::{Capabilities, Device, Frames, segment, sys};

// From `<linux/if_tun.h>`, for TUNSETIFF.
const IFF_TUN: i16 = 0x0001;
const IFF_NAPI: i16 = 0x0010;
const IFF_NO_PI: i16 = 0x1000;

/// What holds the device.
#[derive(Debug)]
enum Holder {
    Iface(Iface),
    /// Attached with `IFF_NAPI`, which the crate does not know.
    Napi(OwnedFd),
}

impl Holder {
    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Iface(iface) => sys::descriptor(iface),
            Self::Napi(descriptor) => descriptor.as_fd(),
        }
    }
}

/// A TUN, held by this process. It vanishes with it unless it was made persistent.
#[derive(Debug)]
pub struct Tun {
    // Put back before the descriptor is closed, and the device with it.
    changes: Arc<Changes>,
    holder: Holder,
    mtu: u16,
    /// Whether bursts may be read by an io_uring.
    #[cfg(feature = "uring")]
    uring: bool,
}

impl Tun {
    /// Makes the TUN `name`, or attaches to it if it is there and free; without a name the kernel picks
    /// `tun0`, `tun1`, …. The device is as the kernel made it: see [`bring_up`](super::setup::bring_up) for
    /// one with addresses.
    ///
    /// # Errors
    /// The name is bad, the device is held by another program or is no TUN, or the process may not.
    pub fn open(name: Option<&str>) -> Result<Self, DeviceError> {
        Self::open_by(name, |wanted, explain| {
            let iface = Iface::without_packet_info(wanted, Mode::Tun).map_err(explain)?;
            rustix::io::ioctl_fionbio(sys::descriptor(&iface), true).map_err(|e| {
                DeviceError::kernel(format!("read without waiting from {}", iface.name()), e.into())
            })?;
            Ok((iface.name().to_owned(), Holder::Iface(iface)))
        })
    }

    /// The same, but what is sent passes the kernel's generic receive offload (GRO). For it to join anything, the
    /// device has to let packets wait: [`bring_up`](super::setup::bring_up) sees to that
    /// ([`TunConfig::gro`](super::setup::TunConfig::gro)).
    ///
    /// # Errors
    /// Those of [`open`](Self::open), or the kernel is older than Linux 4.15.
    pub fn open_gro(name: Option<&str>) -> Result<Self, DeviceError> {
        Self::open_by(name, |wanted, explain| {
            let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let driver = rustix::fs::open("/dev/net/tun", flags, FileMode::empty());
            let driver = driver.map_err(|e| explain(e.into()))?;
            let features = sys::features(driver.as_fd());
            let features = features.map_err(|e| DeviceError::kernel("ask the TUN driver", e))?;
            // An older driver passes over a flag that it does not know.
            if features & i32::from(IFF_NAPI) == 0 {
                return Err(DeviceError::Lacking { what: "GRO on a TUN" });
            }
            let attached = sys::attach(driver.as_fd(), wanted, IFF_TUN | IFF_NO_PI | IFF_NAPI);
            Ok((attached.map_err(explain)?, Holder::Napi(driver)))
        })
    }

    /// `attach` gets the name that is wanted, and what says what a refusal means.
    fn open_by(
        name: Option<&str>,
        attach: impl FnOnce(&str, &dyn Fn(io::Error) -> DeviceError) -> Result<(String, Holder), DeviceError>,
    ) -> Result<Self, DeviceError> {
        let there = attach::find(name)?;
        let wanted = name.unwrap_or_default();
        if there.as_ref().is_some_and(takes_several) {
            let kind = "a TUN of several queues".to_owned();
            return Err(DeviceError::NotTun { name: wanted.to_owned(), kind });
        }
        let (name, holder) = attach(wanted, &|e| attach::explain(wanted, there.as_ref(), e))?;
        // A device that stays keeps the offloads of who had it before, without whom packets come that nobody
        // has finished.
        sys::set_offload(holder.descriptor(), 0)
            .map_err(|e| DeviceError::kernel(format!("switch off the offloads of {name}"), e))?;
        let mtu = attach::mtu(&name)?;
        Ok(Self {
            changes: Arc::new(Changes::none(name)),
            holder,
            mtu,
            #[cfg(feature = "uring")]
            uring: true,
        })
    }

    /// The same, but it never asks the kernel for an io_uring: each packet is a `read`. So it is anyway without the feature
    /// `uring`, where the kernel gives none, and to frames that nobody tells [what bursts took](Frames::took).
    #[must_use]
    pub fn without_uring(self) -> Self {
        Self {
            #[cfg(feature = "uring")]
            uring: false,
            ..self
        }
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        self.changes.name()
    }

    /// Takes over what was changed on it, to be put back, and the MTU that it has now.
    pub(super) fn configured(&mut self, changes: Arc<Changes>, mtu: u16) {
        (self.changes, self.mtu) = (changes, mtu);
    }
}

fn takes_several(link: &Link) -> bool {
    link.tun.is_some_and(|tun| tun.multi_queue)
}

impl Device for Tun {
    fn recv(&self, _now: Instant, frames: &mut Frames) -> io::Result<usize> {
        let mut count = 0;
        loop {
            #[cfg(feature = "uring")]
            if self.uring
                && let Some((asked, read)) = frames.read(self.readable())
            {
                count += read;
                if read < asked {
                    return Ok(count);
                }
                continue;
            }
            // Not by the crate: it calls the C library, whose `read` can be cancelled, at two atomic operations a packet.
            let filled = frames.fill(|buffer| match rustix::io::read(self.readable(), buffer) {
                Ok(len) => Ok(Some(len)),
                Err(Errno::AGAIN | Errno::INTR) => Ok(None),
                Err(e) => Err(e),
            });
            match filled {
                Ok(true) => count += 1,
                Ok(false) => return Ok(count),
                // What came before the error is not lost: the next call meets the error again.
                Err(_) if count > 0 => return Ok(count),
                Err(e) => return Err(attach::failed(self.name(), e.into())),
            }
        }
    }

    fn send(&self, _now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        let sent = segment::cut(datagram, |packet| attach::write(self.readable(), &[], packet));
        sent.map_err(|e| attach::failed(self.name(), e))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: self.mtu, checksum_offload: false, max_gso: 0 }
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.holder.descriptor()
    }
}
