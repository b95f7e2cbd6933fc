//! Generic receive offload (GRO) on a plain TUN: the host's kernel joins the segments that a stack writes, before its TCP sees
//! them.
//!
//! A descriptor attached with `IFF_NAPI` hands GRO what is written. Each write is a poll of its own there, at whose end the
//! kernel lets go of all that it has, unless the device has a time for it (`gro_flush_timeout`). With one it keeps full segments
//! of a flow that follow each other until one ends them: by PSH, by being short, or since 64 KiB are full. What ends
//! with none of these waits for the time, or until something comes after the next tick. Whatever else a flow's text is followed
//! by (an acknowledgment, FIN, RST, a gap) lets go of it first, so nothing overtakes it; a segment with IP options would, and is
//! never sent. Of datagrams those for a socket with `UDP_GRO` are kept, too, and nothing ends them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::steer::{has_gone, own_sysfs};

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const SETTING: &str = "gro_flush_timeout";
/// Nanoseconds: longer than the time between two ticks of most kernels, 4 ms. A timer that is due before the next tick has the
/// processor's clock set anew, for each packet; with 20 or 200 us a quarter of the octets leaves (docs/numbers.md).
const TIME: &str = "10000000";

/// What a device had before.
#[derive(Debug)]
pub(super) struct Former {
    /// Its folder.
    device: OwnedFd,
    time: String,
}

impl Former {
    /// Gives it back. A device that has gone meanwhile has nothing to be given back.
    ///
    /// # Errors
    /// The device does not take it.
    pub(super) fn put_back(&self) -> io::Result<()> {
        write(&self.device, &self.time).or_else(|e| if has_gone(&e) { Ok(()) } else { Err(e) })
    }
}

/// Has the TUN `name` of this network namespace keep what may be joined for 10 ms at the most. One that has a time already is
/// left, and needs no right.
///
/// # Errors
/// There is no such device, or the process may not.
pub(super) fn device(name: &str) -> io::Result<Option<Former>> {
    match own_sysfs() {
        Ok(sysfs) => device_at(&sysfs, name, None),
        // What is mounted may be another namespace's: it is read, and nothing is written there.
        Err(refused) => match openat(CWD, "/sys", FOLDER, Mode::empty()) {
            Ok(sysfs) => device_at(&sysfs, name, Some(refused)),
            Err(_) => Err(explain(refused)),
        },
    }
}

/// With why there is no sysfs to write to, if there is none.
fn device_at(sysfs: &OwnedFd, name: &str, refused: Option<Errno>) -> io::Result<Option<Former>> {
    let device = openat(sysfs, format!("class/net/{name}"), FOLDER, Mode::empty());
    // What is mounted need not show it, which says nothing of the device.
    let device = device.map_err(|e| refused.map_or(e.into(), explain))?;
    let mut time = String::new();
    let file = openat(&device, SETTING, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    File::from(file).read_to_string(&mut time)?;
    if time.trim() != "0" {
        return Ok(None);
    }
    if let Some(refused) = refused {
        return Err(explain(refused));
    }
    write(&device, TIME)?;
    Ok(Some(Former { device, time }))
}

/// For want of a sysfs of one's own.
fn explain(refused: Errno) -> io::Error {
    match refused {
        Errno::NOSYS | Errno::INVAL | Errno::NODEV => io::ErrorKind::Unsupported.into(),
        refused => refused.into(),
    }
}

fn write(device: &OwnedFd, time: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
    File::from(openat(device, SETTING, flags, Mode::empty())?).write_all(time.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_time_is_set_where_there_is_none_and_given_back() {
        let root = std::env::temp_dir().join(format!("tunstack-gro-{}", std::process::id()));
        let (folder, file) = (root.join("class/net/tun7"), root.join("class/net/tun7").join(SETTING));
        fs::create_dir_all(&folder).unwrap();
        let sysfs = || openat(CWD, &root, FOLDER, Mode::empty()).unwrap();
        let set = |refused: Option<Errno>| device_at(&sysfs(), "tun7", refused);
        let is = || fs::read_to_string(&file).unwrap();

        fs::write(&file, "0\n").unwrap();
        for (refused, kind) in
            [(Errno::PERM, io::ErrorKind::PermissionDenied), (Errno::NOSYS, io::ErrorKind::Unsupported)]
        {
            assert_eq!(set(Some(refused)).unwrap_err().kind(), kind);
            assert_eq!(is(), "0\n");
        }
        let former = set(None).unwrap().unwrap();
        assert_eq!(is(), TIME);
        assert!(set(None).unwrap().is_none(), "it is set");
        assert!(set(Some(Errno::PERM)).unwrap().is_none(), "nor is a right needed");
        former.put_back().unwrap();
        assert_eq!(is(), "0\n");
        fs::write(&file, "20000\n").unwrap();
        assert!(set(None).unwrap().is_none());
        assert_eq!(is(), "20000\n", "somebody has chosen that");
        // That it is not shown is no news where what is mounted may be another namespace's.
        let missing = |refused| device_at(&sysfs(), "tun8", refused).unwrap_err().kind();
        assert_eq!(missing(None), io::ErrorKind::NotFound);
        assert_eq!(missing(Some(Errno::PERM)), io::ErrorKind::PermissionDenied);
        fs::remove_dir_all(&folder).unwrap();
        former.put_back().unwrap();
        fs::remove_dir_all(&root).unwrap();
    }
}
