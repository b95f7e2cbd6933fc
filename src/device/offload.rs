//! A Linux TUN whose kernel sums and cuts: packets of up to 64 KiB in one read or write, for what one of 1500
//! octets costs. It may have several queues, each with a descriptor of its own.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tunstack_core::packet::Datagram;
use tunstack_core::time::Instant;

use super::attach::{self, Changes};
use super::error::DeviceError;
use super::vnet::{self, Arrived};
use super::{Capabilities, Device, Frames, segment, sys};

// From `<linux/if_tun.h>`, for TUNSETIFF.
const IFF_TUN: i16 = 0x0001;
const IFF_MULTI_QUEUE: i16 = 0x0100;
const IFF_NO_PI: i16 = 0x1000;
const IFF_VNET_HDR: i16 = 0x4000;

// From there, for TUNSETOFFLOAD.
const TUN_F_CSUM: u32 = 0x01;
const TUN_F_TSO4: u32 = 0x02;
const TUN_F_TSO6: u32 = 0x04;
const TUN_F_TSO_ECN: u32 = 0x08;
const TUN_F_USO4: u32 = 0x20;
const TUN_F_USO6: u32 = 0x40;
const USO: u32 = TUN_F_USO4 | TUN_F_USO6;

/// What is asked for, from the most to the least: USO is new in Linux 6.2.
const STEPS: [u32; 4] = [
    TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | USO,
    TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
    TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
    TUN_F_CSUM,
];

/// The largest packet that is handed over to be cut: the largest that IPv4 has.
const MAX_GSO: u32 = 65_535;

/// Queues that a device has at the most (`MAX_TAP_QUEUES`).
pub const MAX_QUEUES: u16 = 256;

/// How many packets in a row are refused before the caller has a turn.
const MAX_REFUSED: usize = 64;

/// One queue of a TUN, held by this process. The device vanishes with its last queue unless it was made
/// persistent.
#[derive(Debug)]
pub struct OffloadTun {
    // Shared with the other queues. Put back before the descriptor is closed, and the device with it.
    changes: Arc<Changes>,
    descriptor: OwnedFd,
    mtu: u16,
    /// A header is before each packet, and the kernel may leave to us what these bits of `TUN_F_*` say.
    features: Option<u32>,
    refused: AtomicU64,
    /// The descriptor was handed over: the device may be in another network namespace.
    handed_over: bool,
}

impl OffloadTun {
    /// Makes the TUN `name`, or attaches to it if it is there and free; without a name the kernel picks
    /// `tun0`, `tun1`, …. The device is as the kernel made it: see [`bring_up`](super::setup::bring_up) for
    /// one with addresses.
    ///
    /// # Errors
    /// The name is bad, the device is held by another program or is no TUN, the kernel cannot offload, or the
    /// process may not.
    pub fn open(name: Option<&str>) -> Result<Self, DeviceError> {
        match Self::open_queues(name, 1, true)?.pop() {
            Some(tun) => Ok(tun),
            None => Err(DeviceError::Gone { name: name.unwrap_or_default().to_owned() }),
        }
    }

    /// As [`open`](Self::open), with `queues` queues, 1 to [`MAX_QUEUES`]: what is sent by one of them comes
    /// back by it, as far as the kernel remembers. Without `offload` packets pass one by one and finished, as
    /// through [`Tun`](super::tun::Tun).
    ///
    /// A persistent device that was made for several queues can be attached to by one as well.
    ///
    /// # Errors
    /// Those of `open`; the number is out of its range, or the device that is there has one queue.
    pub fn open_queues(name: Option<&str>, queues: u16, offload: bool) -> Result<Vec<Self>, DeviceError> {
        if queues == 0 || queues > MAX_QUEUES {
            let why = format!("{queues} is not in 1 to {MAX_QUEUES}");
            return Err(DeviceError::Invalid { field: "queues", why });
        }
        let there = attach::find(name)?;
        let mut wanted = name.unwrap_or_default().to_owned();
        let several = match there.as_ref().and_then(|link| link.tun) {
            Some(tun) if !tun.multi_queue && queues > 1 => {
                return Err(DeviceError::NotTun { name: wanted, kind: "a TUN of one queue".to_owned() });
            }
            Some(tun) => tun.multi_queue,
            None => queues > 1,
        };
        let mut flags = IFF_TUN | IFF_NO_PI;
        flags |= if several { IFF_MULTI_QUEUE } else { 0 };
        flags |= if offload { IFF_VNET_HDR } else { 0 };
        let explain = |wanted: &str, e| attach::explain(wanted, there.as_ref(), e);
        let mut descriptors = Vec::new();
        for _ in 0..queues {
            let open = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let driver = rustix::fs::open("/dev/net/tun", open, Mode::empty())
                .map_err(|e| explain(&wanted, e.into()))?;
            check_driver(driver.as_fd(), flags)?;
            wanted = sys::attach(driver.as_fd(), &wanted, flags).map_err(|e| explain(&wanted, e))?;
            let features = prepare(driver.as_fd(), &wanted, offload)?;
            descriptors.push((driver, features));
        }
        let mtu = attach::mtu(&wanted)?;
        let changes = Arc::new(Changes::none(wanted));
        let queue = |(descriptor, features)| {
            Self::new(Arc::clone(&changes), descriptor, mtu, offload.then_some(features))
        };
        Ok(descriptors.into_iter().map(queue).collect())
    }

    /// Takes over a descriptor of `/dev/net/tun` that somebody has attached to a TUN, perhaps in another
    /// network namespace, whence the MTU has to be told, octets. It offloads if it was attached with
    /// `IFF_VNET_HDR`. That it was attached with `IFF_NO_PI`, so that nothing else is before a packet, is for
    /// the other to know: the kernel does not tell. Addresses and routes are the other's affair, too.
    ///
    /// # Errors
    /// [`DeviceError::Descriptor`] if it is none, or of a kind that does not serve; the kernel's refusal.
    pub fn from_fd(descriptor: OwnedFd, mtu: u16) -> Result<Self, DeviceError> {
        let fd = descriptor.as_fd();
        let wrong = |why| DeviceError::Descriptor { why };
        let (name, flags) =
            sys::attached(fd).map_err(|e| match e.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::BADFD) => wrong("is not attached to a device"),
                _ => wrong("is not one of /dev/net/tun"),
            })?;
        if flags & IFF_TUN == 0 {
            return Err(wrong("is that of a TAP, which carries Ethernet"));
        }
        let header = flags & IFF_VNET_HDR != 0;
        rustix::io::ioctl_fionbio(fd, true)
            .map_err(|e| DeviceError::kernel(format!("read without waiting from {name}"), e.into()))?;
        let features = prepare(fd, &name, header)?;
        let changes = Arc::new(Changes::none(name));
        let mut tun = Self::new(changes, descriptor, mtu, header.then_some(features));
        tun.handed_over = true;
        Ok(tun)
    }

    fn new(changes: Arc<Changes>, descriptor: OwnedFd, mtu: u16, features: Option<u32>) -> Self {
        Self { changes, descriptor, mtu, features, refused: AtomicU64::new(0), handed_over: false }
    }

    /// Gives the descriptor away, for [`from_fd`](Self::from_fd) in another process. What was set up on the
    /// device stays, also when its other queues go.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn into_fd(self) -> io::Result<OwnedFd> {
        let descriptor = self.descriptor.try_clone()?;
        self.changes.keep();
        Ok(descriptor)
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        self.changes.name()
    }

    /// How many arriving packets were dropped because their header asked for what was never offered.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// What an error of a read or write means.
    fn failed(&self, e: io::Error) -> io::Error {
        if self.handed_over && e.raw_os_error() == Some(Errno::IO.raw_os_error()) {
            return DeviceError::Down { name: self.name().to_owned() }.into();
        }
        attach::failed(self.name(), e)
    }

    /// Takes over what was changed on it, to be put back, and the MTU that it has now.
    pub(super) fn configured(&mut self, changes: Arc<Changes>, mtu: u16) {
        (self.changes, self.mtu) = (changes, mtu);
    }

    /// Reads a packet into `buffer`, and what its header says into `arrived`.
    fn read(&self, buffer: &mut [u8], arrived: &mut Arrived) -> io::Result<Option<usize>> {
        for _ in 0..MAX_REFUSED {
            let mut header = [0; vnet::LEN];
            let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(buffer)];
            let parts = if self.features.is_some() { &mut parts[..] } else { &mut parts[1..] };
            let len = match rustix::io::readv(&self.descriptor, parts) {
                Ok(len) => len,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
                Err(e) => return Err(e.into()),
            };
            if self.features.is_none() {
                return Ok(Some(len));
            }
            match (vnet::decode(&header), len.checked_sub(vnet::LEN)) {
                (Ok(known), Some(len)) => {
                    *arrived = known;
                    return Ok(Some(len));
                }
                (known, _) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(device = self.name(), len, ?known, "refused a packet by its header");
                }
            }
        }
        Ok(None)
    }
}

/// Whether the driver knows what is wanted of it: an older one would pass over the flags that it does not.
fn check_driver(driver: BorrowedFd<'_>, flags: i16) -> Result<(), DeviceError> {
    let features = sys::features(driver).map_err(|e| DeviceError::kernel("ask the TUN driver", e))?;
    let lacks = |flag| flags & flag != 0 && features & i32::from(flag) == 0;
    if lacks(IFF_VNET_HDR) {
        return Err(DeviceError::Lacking { what: "offloads" });
    }
    if lacks(IFF_MULTI_QUEUE) {
        return Err(DeviceError::Lacking { what: "devices of several queues" });
    }
    Ok(())
}

/// Sets what belongs to the device and not to the descriptor, whoever had it before: the header, and what the
/// kernel may leave to us. Gives what it took.
fn prepare(tun: BorrowedFd<'_>, name: &str, offload: bool) -> Result<u32, DeviceError> {
    if !offload {
        return sys::set_offload(tun, 0)
            .map(|()| 0)
            .map_err(|e| DeviceError::kernel(format!("switch off the offloads of {name}"), e));
    }
    sys::set_header(tun, vnet::LEN)
        .map_err(|e| DeviceError::kernel(format!("set the header of {name}"), e))?;
    most(|bits| sys::set_offload(tun, bits)).map_err(|e| match e.raw_os_error() {
        Some(errno) if errno == Errno::INVAL.raw_os_error() => DeviceError::Lacking { what: "offloads" },
        _ => DeviceError::kernel(format!("switch on the offloads of {name}"), e),
    })
}

/// The most of [`STEPS`] that the kernel takes: it refuses what it does not know as invalid.
fn most(mut set: impl FnMut(u32) -> io::Result<()>) -> io::Result<u32> {
    let mut refusal = Errno::INVAL.into();
    for bits in STEPS {
        match set(bits) {
            Ok(()) => return Ok(bits),
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => refusal = e,
            Err(e) => return Err(e),
        }
    }
    Err(refusal)
}

impl Device for OffloadTun {
    fn recv(&self, _now: Instant, frames: &mut Frames) -> io::Result<usize> {
        let mut count = 0;
        loop {
            let mut arrived = Arrived::PLAIN;
            match frames.fill(|buffer| self.read(buffer, &mut arrived)) {
                Ok(true) => count += 1,
                Ok(false) => return Ok(count),
                // What came before the error is not lost: the next call meets the error again.
                Err(_) if count > 0 => return Ok(count),
                Err(e) => return Err(self.failed(e)),
            }
            if let Some(frame) = frames.last_mut() {
                (frame.trust, frame.gso_size) = (arrived.trust, arrived.gso_size);
            }
        }
    }

    fn send(&self, _now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        let fd = self.descriptor.as_fd();
        let sent = match self.features.map(|bits| vnet::encode(datagram, bits & USO == USO)) {
            Some(Some(header)) => attach::write(fd, &header, datagram),
            Some(None) => segment::cut(datagram, |packet| attach::write(fd, &[0; vnet::LEN], packet)),
            None => segment::cut(datagram, |packet| attach::write(fd, &[], packet)),
        };
        sent.map_err(|e| self.failed(e))
    }

    fn capabilities(&self) -> Capabilities {
        let offload = self.features.is_some();
        let max_gso = if offload { MAX_GSO } else { 0 };
        Capabilities { mtu: self.mtu, checksum_offload: offload, max_gso }
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for OffloadTun {
    /// What the kernel may leave to the reader stays set on a device that stays, and the next reader may not
    /// expect it.
    fn drop(&mut self) {
        if self.changes.are_kept() || Arc::strong_count(&self.changes) > 1 {
            return;
        }
        match sys::set_offload(self.descriptor.as_fd(), 0) {
            Ok(()) => {}
            // It was deleted.
            Err(e) if e.raw_os_error() == Some(Errno::BADFD.raw_os_error()) => {}
            Err(e) => tracing::warn!("cannot switch off the offloads of {}: {e}", self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_refuses_is_done_without() {
        let asked = |knows: u32| {
            let mut asked = Vec::new();
            let got = most(|bits| {
                asked.push(bits);
                if bits & !knows == 0 { Ok(()) } else { Err(Errno::INVAL.into()) }
            });
            (got.map_err(|e| e.raw_os_error().unwrap()), asked.len())
        };
        assert_eq!(asked(0x7f), (Ok(0x6f), 1));
        assert_eq!(asked(0x1f), (Ok(0x0f), 2));
        assert_eq!(asked(0x07), (Ok(0x07), 3));
        assert_eq!(asked(0x03), (Ok(0x01), 4));
        assert_eq!(asked(0), (Err(22), 4));
        let e = most(|_| Err(Errno::BADFD.into())).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(Errno::BADFD.raw_os_error()), "another error is not asked about");
    }

    #[test]
    fn numbers_of_queues() {
        for queues in [0, MAX_QUEUES + 1] {
            let e = OffloadTun::open_queues(None, queues, true).unwrap_err();
            assert!(matches!(e, DeviceError::Invalid { field: "queues", .. }), "{e}");
        }
    }

    #[test]
    fn a_descriptor_of_something_else() {
        for path in ["/dev/null", "/"] {
            let fd = OwnedFd::from(std::fs::File::open(path).unwrap());
            let e = OffloadTun::from_fd(fd, 1500).unwrap_err();
            assert!(matches!(e, DeviceError::Descriptor { .. }), "{e}");
        }
    }
}
