//! What the devices on `/dev/net/tun` share: names, refusals, and what is put back in the end.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, retry_on_intr};
use tunstack_core::addr::Prefix;
use tunstack_core::packet::{Body, Datagram};

use super::error::DeviceError;
use super::gro;
use super::netlink::{self, Link};
use super::steer::Former;

/// `IFNAMSIZ` less the closing zero.
const NAME_MAX: usize = 15;

/// What was changed on a device that stays, put back when this is dropped.
#[derive(Debug)]
pub(super) struct Changes {
    name: String,
    undo: Vec<Undo>,
    kept: AtomicBool,
}

/// A thing that was changed.
#[derive(Debug)]
pub(super) enum Undo {
    /// Take an address away.
    Address(Prefix),
    /// Set the MTU.
    Mtu(u32),
    /// Bring it down.
    Down,
    /// Let go of what GRO has as before.
    Gro(gro::Former),
    /// Steer flows as before.
    Steering(Former),
}

impl Changes {
    /// Nothing changed yet on the device `name`.
    pub(super) const fn none(name: String) -> Self {
        Self { name, undo: Vec::new(), kept: AtomicBool::new(false) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn undo_when_dropped(&mut self, undo: Undo) {
        self.undo.push(undo);
    }

    /// Leaves the device as it is.
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// Whether the device is left as it is.
    #[cfg(feature = "offload")]
    pub(super) fn are_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        if *self.kept.get_mut() {
            return;
        }
        while let Some(undo) = self.undo.pop() {
            let undone = match undo {
                Undo::Address(p) => netlink::delete_address(&self.name, p.address.ip(), p.length),
                Undo::Mtu(mtu) => netlink::set_mtu(&self.name, mtu),
                Undo::Down => netlink::set_up(&self.name, false),
                Undo::Gro(former) => {
                    former.put_back().map_err(|source| DeviceError::NoGro { name: self.name.clone(), source })
                }
                Undo::Steering(former) => {
                    former.put_back().map_err(|why| DeviceError::Unsteered { name: self.name.clone(), why })
                }
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

/// The device that shall be attached to, if it is there already.
///
/// # Errors
/// The name is bad, or another kind of interface has it.
pub(super) fn find(name: Option<&str>) -> Result<Option<Link>, DeviceError> {
    let Some(name) = name else { return Ok(None) };
    check_name(name)?;
    let there = netlink::link(name)?;
    match there.as_ref().and_then(not_a_tun) {
        Some(kind) => Err(DeviceError::NotTun { name: name.to_owned(), kind }),
        None => Ok(there),
    }
}

/// What an interface is, if nothing that carries IP packets can attach to it.
fn not_a_tun(link: &Link) -> Option<String> {
    match (&link.kind, link.tun) {
        (_, Some(tun)) if tun.tap => Some("a TAP, which carries Ethernet".to_owned()),
        (_, Some(_)) => None,
        (Some(kind), None) if kind == "tun" => None,
        (Some(kind), None) => Some(format!("an interface of kind {kind}")),
        (None, None) => Some("another kind of interface".to_owned()),
    }
}

/// The largest packet of a device that was just attached to, octets.
pub(super) fn mtu(name: &str) -> Result<u16, DeviceError> {
    match netlink::link(name)? {
        Some(link) => Ok(u16::try_from(link.mtu).unwrap_or(u16::MAX)),
        None => Err(DeviceError::Gone { name: name.to_owned() }),
    }
}

/// What an error of opening `/dev/net/tun` or of `TUNSETIFF` means.
pub(super) fn explain(name: &str, there: Option<&Link>, e: io::Error) -> DeviceError {
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

/// Packets of up to so many octets are put together before they are written: the kernel takes longer to look at the pieces
/// of a vectored write than a copy of these takes.
const WHOLE: usize = 2048;

thread_local! {
    static PACKET: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes one packet, with `header` before it. A large one goes from the stack's buffers to the kernel without a copy
/// between.
pub(super) fn write(tun: BorrowedFd<'_>, header: &[u8], datagram: &Datagram<'_>) -> io::Result<()> {
    let len = header.len() + datagram.len();
    let whole = if len <= WHOLE { write_whole(tun, header, datagram) } else { None };
    let sent = whole.unwrap_or_else(|| write_pieces(tun, header, datagram))?;
    if sent < len {
        return Err(io::Error::new(
            io::ErrorKind::WriteZero,
            format!("the device took {sent} of {len} octets of a packet"),
        ));
    }
    Ok(())
}

/// Puts a packet together and writes it; `None` on a thread that is ending and has lost the room for that.
fn write_whole(
    tun: BorrowedFd<'_>,
    header: &[u8],
    datagram: &Datagram<'_>,
) -> Option<rustix::io::Result<usize>> {
    let write = |packet: &RefCell<Vec<u8>>| {
        let mut packet = packet.try_borrow_mut().ok()?;
        packet.clear();
        pieces(header, datagram).for_each(|piece| packet.extend_from_slice(piece));
        Some(retry_on_intr(|| rustix::io::write(tun, &packet)))
    };
    PACKET.try_with(write).ok()?
}

fn write_pieces(tun: BorrowedFd<'_>, header: &[u8], datagram: &Datagram<'_>) -> rustix::io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); 2 + Body::MAX_PIECES];
    let mut count = 0;
    for (slot, piece) in slices.iter_mut().zip(pieces(header, datagram)) {
        *slot = IoSlice::new(piece);
        count += 1;
    }
    retry_on_intr(|| rustix::io::writev(tun, &slices[..count]))
}

/// The octets of a packet with `header` before it.
fn pieces<'a>(header: &'a [u8], datagram: &Datagram<'a>) -> impl Iterator<Item = &'a [u8]> {
    let front = [header, datagram.head].into_iter().filter(|piece| !piece.is_empty());
    front.chain(datagram.body.pieces())
}

/// What an error of a read or write means.
pub(super) fn failed(name: &str, e: io::Error) -> io::Error {
    let owned = || name.to_owned();
    match e.raw_os_error().map(Errno::from_raw_os_error) {
        // The interface was deleted: the descriptor has lost its device.
        Some(Errno::BADFD) => DeviceError::Gone { name: owned() }.into(),
        Some(Errno::IO) => match netlink::link(name) {
            Ok(None) => DeviceError::Gone { name: owned() }.into(),
            Ok(Some(link)) if !link.up => DeviceError::Down { name: owned() }.into(),
            _ => e,
        },
        _ => e,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use tunstack_core::packet::Checksum;

    use super::*;

    /// What keeps packets apart, as a TUN does.
    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::NONBLOCK, None).unwrap()
    }

    fn arrived(end: &OwnedFd) -> Vec<u8> {
        let mut packet = vec![0; 9000];
        let len = rustix::io::read(end, &mut packet).unwrap();
        packet.truncate(len);
        packet
    }

    fn write_to(end: &OwnedFd, header: &[u8], head: &[u8], pieces: &[&[u8]]) {
        let mut body = Body::EMPTY;
        assert!(pieces.iter().all(|piece| body.push(piece)));
        let datagram = Datagram { head, body, gso_size: 0, checksum: Checksum::Complete, event: None };
        write(end.as_fd(), header, &datagram).unwrap();
    }

    #[test]
    fn a_packet_is_written_whole_whatever_its_size() {
        let (ours, theirs) = pair();
        for len in [0, 1, WHOLE - 8, WHOLE - 7, WHOLE + 100] {
            let text: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let (front, back) = text.split_at(len / 3);
            for header in [&b""[..], b"vn"] {
                write_to(&ours, header, b"the head", &[front, back]);
                assert_eq!(arrived(&theirs), [header, b"the head", &text].concat(), "{len}");
            }
        }
    }

    /// Streams that lie in a thread's own memory are closed when that goes, and what was put together lay there, too.
    #[test]
    fn a_thread_that_ends_writes_as_well() {
        struct Last(OwnedFd);
        impl Drop for Last {
            fn drop(&mut self) {
                assert!(PACKET.try_with(|_| ()).is_err(), "it is gone before this");
                write_to(&self.0, b"", b"head", &[b"last"]);
            }
        }
        thread_local! {
            static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
        }
        let (ours, theirs) = pair();
        let ended = std::thread::spawn(move || {
            // What was used last goes first.
            LAST.with_borrow_mut(|last| {
                let Last(end) = last.insert(Last(ours));
                write_to(end, b"", b"head", &[b"first"]);
            });
        });
        ended.join().unwrap();
        assert_eq!((arrived(&theirs), arrived(&theirs)), (b"headfirst".to_vec(), b"headlast".to_vec()));
    }

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
        assert!(matches!(find(Some("")), Err(DeviceError::Name { .. })));
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
        assert!(not_a_tun(&lo).is_some());
        assert!(matches!(find(Some("lo")), Err(DeviceError::NotTun { .. })));
        let tun = |tun| Link { kind: Some("tun".into()), tun: Some(tun), ..lo.clone() };
        assert_eq!(not_a_tun(&tun(netlink::TunLink::default())), None);
        assert!(not_a_tun(&tun(netlink::TunLink { tap: true, ..Default::default() })).is_some());
        assert!(not_a_tun(&Link { kind: Some("veth".into()), ..lo }).unwrap().contains("veth"));
    }
}
