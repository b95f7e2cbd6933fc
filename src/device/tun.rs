//! A Linux TUN: IP packets between this process and the host's kernel, one a read and one a write.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use tun_tap::{Iface, Mode};
use tunstack_core::packet::{Body, Datagram};
use tunstack_core::time::Instant;

use super::error::DeviceError;
use super::netlink::{self, Link};
use super::{Capabilities, Device, Frames, sys};

/// `IFNAMSIZ` less the closing zero.
const NAME_MAX: usize = 15;

/// A TUN, held by this process. It vanishes with it unless it was made persistent.
#[derive(Debug)]
pub struct Tun {
    iface: Iface,
    mtu: u16,
    undo: Vec<Undo>,
}

/// What was changed on a device that stays, to be put back when the process lets it go.
#[derive(Debug)]
pub(super) enum Undo {
    /// Take an address away.
    Address(tunstack_core::addr::Prefix),
    /// Set the MTU.
    Mtu(u32),
    /// Bring it down.
    Down,
}

impl Tun {
    /// Makes the TUN `name`, or attaches to it if it is there and free; without a name the kernel picks
    /// `tun0`, `tun1`, …. The device is as the kernel made it: see [`bring_up`](super::setup::bring_up) for
    /// one with addresses.
    ///
    /// # Errors
    /// The name is bad, the device is held by another program or is no TUN, or the process may not.
    pub fn open(name: Option<&str>) -> Result<Self, DeviceError> {
        let wanted = name.unwrap_or_default();
        if name.is_some() {
            check_name(wanted)?;
        }
        let there = if wanted.is_empty() { None } else { netlink::link(wanted)? };
        if let Some(other) = there.as_ref().and_then(not_a_plain_tun) {
            return Err(DeviceError::NotTun { name: wanted.to_owned(), kind: other });
        }
        let iface =
            Iface::without_packet_info(wanted, Mode::Tun).map_err(|e| explain(wanted, there.as_ref(), e))?;
        rustix::io::ioctl_fionbio(sys::descriptor(&iface), true)
            .map_err(|e| DeviceError::kernel(format!("read {} without waiting", iface.name()), e.into()))?;
        let Some(link) = netlink::link(iface.name())? else {
            return Err(DeviceError::Gone { name: iface.name().to_owned() });
        };
        let mtu = u16::try_from(link.mtu).unwrap_or(u16::MAX);
        Ok(Self { iface, mtu, undo: Vec::new() })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        self.iface.name()
    }

    pub(super) fn iface(&self) -> &Iface {
        &self.iface
    }

    pub(super) fn set_mtu(&mut self, mtu: u16) {
        self.mtu = mtu;
    }

    pub(super) fn undo_when_dropped(&mut self, undo: Undo) {
        self.undo.push(undo);
    }

    /// Leaves the device as it is when this is dropped.
    pub(super) fn keep(mut self) {
        self.undo.clear();
    }

    /// What an error of a read or write means.
    fn failed(&self, e: io::Error) -> io::Error {
        let name = || self.name().to_owned();
        match e.raw_os_error().map(Errno::from_raw_os_error) {
            // The interface was deleted: the descriptor has lost its device.
            Some(Errno::BADFD) => DeviceError::Gone { name: name() }.into(),
            Some(Errno::IO) => match netlink::link(self.name()) {
                Ok(None) => DeviceError::Gone { name: name() }.into(),
                Ok(Some(link)) if !link.up => DeviceError::Down { name: name() }.into(),
                _ => e,
            },
            _ => e,
        }
    }
}

impl Device for Tun {
    fn recv(&self, _now: Instant, frames: &mut Frames) -> io::Result<usize> {
        let mut count = 0;
        loop {
            let filled = frames.fill(|buffer| match self.iface.recv(buffer) {
                Ok(len) => Ok(Some(len)),
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                    Ok(None)
                }
                Err(e) => Err(e),
            });
            match filled {
                Ok(true) => count += 1,
                Ok(false) => return Ok(count),
                // What came before the error is not lost: the next call meets the error again.
                Err(_) if count > 0 => return Ok(count),
                Err(e) => return Err(self.failed(e)),
            }
        }
    }

    fn send(&self, _now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        // One vectored write: the text goes from the stack's buffers to the kernel without a copy between.
        let mut pieces = [IoSlice::new(&[]); 1 + Body::MAX_PIECES];
        let mut count = 0;
        for (slot, piece) in
            pieces.iter_mut().zip(std::iter::once(datagram.head).chain(datagram.body.pieces()))
        {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        let sent = loop {
            match rustix::io::writev(sys::descriptor(&self.iface), &pieces[..count]) {
                Err(Errno::INTR) => {}
                other => break other.map_err(|e| self.failed(e.into()))?,
            }
        };
        if sent < datagram.len() {
            return Err(io::Error::new(
                io::ErrorKind::WriteZero,
                format!("{} took {sent} of {} octets of a packet", self.name(), datagram.len()),
            ));
        }
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { mtu: self.mtu, checksum_offload: false, max_gso: 0 }
    }

    fn readable(&self) -> BorrowedFd<'_> {
        sys::descriptor(&self.iface)
    }
}

impl Drop for Tun {
    fn drop(&mut self) {
        while let Some(undo) = self.undo.pop() {
            let undone = match &undo {
                Undo::Address(p) => netlink::delete_address(self.name(), p.address.ip(), p.length),
                Undo::Mtu(mtu) => netlink::set_mtu(self.name(), *mtu),
                Undo::Down => netlink::set_up(self.name(), false),
            };
            match undone {
                // Somebody has deleted it, and with it what was to be undone.
                Ok(()) | Err(DeviceError::Missing { .. }) => {}
                Err(e) => tracing::warn!("{e}"),
            }
        }
    }
}

/// What Linux allows for the name of an interface (`dev_valid_name`), less `%`, which it would replace.
pub(super) fn check_name(name: &str) -> Result<(), DeviceError> {
    let bad = |c: char| c.is_whitespace() || c.is_control();
    let why = match name {
        "" => "it is empty",
        "." | ".." => "it means a folder",
        _ if name.len() > NAME_MAX => "it is longer than 15 octets",
        _ if name.contains('/') => "it has a slash",
        _ if name.contains(':') => "it has a colon",
        _ if name.contains('%') => "it has a percent sign",
        _ if name.contains(bad) => "it has a space or control character",
        _ => return Ok(()),
    };
    Err(DeviceError::Name { name: name.to_owned(), why })
}

/// What an interface is, if a TUN of one queue cannot attach to it.
fn not_a_plain_tun(link: &Link) -> Option<String> {
    match (&link.kind, link.tun) {
        (_, Some(tun)) if tun.tap => Some("a TAP, which carries Ethernet".to_owned()),
        (_, Some(tun)) if tun.multi_queue => Some("a TUN of several queues".to_owned()),
        (_, Some(_)) => None,
        (Some(kind), None) if kind == "tun" => None,
        (Some(kind), None) => Some(format!("an interface of kind {kind}")),
        (None, None) => Some("another kind of interface".to_owned()),
    }
}

/// What an error of opening `/dev/net/tun` or of `TUNSETIFF` means.
fn explain(name: &str, there: Option<&Link>, e: io::Error) -> DeviceError {
    let shown = if name.is_empty() { "a TUN" } else { name };
    match e.raw_os_error().map(Errno::from_raw_os_error) {
        // No file, or a file with no driver behind it.
        Some(Errno::NOENT | Errno::NXIO | Errno::NODEV) => DeviceError::NoDriver,
        Some(Errno::ACCESS) => DeviceError::ClosedDriver,
        Some(Errno::PERM) => match there {
            Some(link) => {
                DeviceError::NotOwner { name: name.to_owned(), owner: link.tun.and_then(|t| t.owner) }
            }
            None => DeviceError::NoRight { what: format!("make {shown}") },
        },
        Some(Errno::BUSY) => DeviceError::Busy { name: name.to_owned() },
        _ => DeviceError::kernel(format!("open {shown}"), e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["tun0", "a", "tunstack-12.34_", "fünf"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in
            ["", ".", "..", "abcdefghijklmnop", "a/b", "a:b", "tun%d", "a b", "a\tb", "a\0", "ääääääää"]
        {
            assert!(matches!(check_name(bad), Err(DeviceError::Name { .. })), "{bad:?}");
        }
        assert!(matches!(Tun::open(Some("")), Err(DeviceError::Name { .. })));
    }

    #[test]
    fn refusals_are_told_apart() {
        let link = |tun| Link {
            index: 9,
            name: "tun7".into(),
            up: true,
            mtu: 1500,
            tx_queue_len: 500,
            kind: Some("tun".into()),
            tun: Some(tun),
        };
        let owned = link(netlink::TunLink { owner: Some(1000), ..Default::default() });
        let error = |errno: Errno, there| explain("tun7", there, errno.into());
        assert!(matches!(error(Errno::NOENT, None), DeviceError::NoDriver));
        assert!(matches!(error(Errno::ACCESS, None), DeviceError::ClosedDriver));
        assert!(matches!(error(Errno::PERM, None), DeviceError::NoRight { .. }));
        let other = error(Errno::PERM, Some(&owned));
        assert!(matches!(other, DeviceError::NotOwner { owner: Some(1000), .. }), "{other}");
        assert!(matches!(error(Errno::BUSY, Some(&owned)), DeviceError::Busy { .. }));
        assert!(matches!(error(Errno::NOMEM, None), DeviceError::Kernel { .. }));
    }

    #[test]
    fn what_is_no_tun() {
        let lo = netlink::link("lo").unwrap().unwrap();
        assert!(not_a_plain_tun(&lo).is_some());
        assert!(matches!(Tun::open(Some("lo")), Err(DeviceError::NotTun { .. })));
        let tun = |tun| Link { kind: Some("tun".into()), tun: Some(tun), ..lo.clone() };
        assert_eq!(not_a_plain_tun(&tun(netlink::TunLink::default())), None);
        assert!(not_a_plain_tun(&tun(netlink::TunLink { tap: true, ..Default::default() })).is_some());
        assert!(
            not_a_plain_tun(&tun(netlink::TunLink { multi_queue: true, ..Default::default() })).is_some()
        );
        assert!(not_a_plain_tun(&Link { kind: Some("veth".into()), ..lo }).unwrap().contains("veth"));
    }
}
