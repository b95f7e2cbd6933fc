//! Receive flow steering (RFS) on a TUN, as `Documentation/networking/scaling.rst` of Linux has it.
//!
//! What a stack writes to a TUN passes the host's whole receive path on the processor that writes it. With steering each
//! flow's part of that is done where the program that reads the flow ran last; flows that nobody has read yet stay where
//! they are. It takes two settings: a table for the machine ([`machine`]), and one for each queue of a device ([`device`]).

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

/// What `net.core.rps_sock_flow_entries` becomes where it is 0: scaling.rst's figure for a moderately loaded server.
const ENTRIES: u32 = 32_768;
/// The flows of all queues of a device.
const FLOWS: u32 = 4096;
const SYSFS: &str = "/sys";
const SYSCTL: &str = "/proc/sys/net/core/rps_sock_flow_entries";

/// Why flows cannot be steered.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unsteered {
    /// The kernel was built without it.
    Unknown,
    /// The network namespace has no `net.core.rps_sock_flow_entries`: only the host's own has.
    Hidden,
    /// The process may not change this.
    NoRight {
        /// The setting.
        file: PathBuf,
    },
    /// What holds the setting is mounted so that nobody can change it.
    ReadOnly {
        /// The setting.
        file: PathBuf,
    },
    /// The kernel gives no process a sysfs of its own, as it does since Linux 5.2.
    Old {
        /// The setting.
        file: PathBuf,
    },
    /// Anything else that the kernel refused.
    Kernel {
        /// The setting.
        file: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}

impl Unsteered {
    /// The nearest of the standard library's kinds.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Unknown | Self::Hidden | Self::Old { .. } => io::ErrorKind::Unsupported,
            Self::NoRight { .. } => io::ErrorKind::PermissionDenied,
            Self::ReadOnly { .. } => io::ErrorKind::ReadOnlyFilesystem,
            Self::Kernel { source, .. } => source.kind(),
        }
    }

    /// For want of a sysfs of one's own.
    fn refused(file: &Path, why: Errno) -> Self {
        match why {
            Errno::NOSYS | Errno::INVAL | Errno::NODEV => Self::Old { file: file.to_owned() },
            why => Self::of(file, why.into()),
        }
    }

    fn of(file: &Path, source: io::Error) -> Self {
        let file = file.to_owned();
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::ACCESS | Errno::PERM) => Self::NoRight { file },
            Some(Errno::ROFS) => Self::ReadOnly { file },
            _ => Self::Kernel { file, source },
        }
    }
}

impl fmt::Display for Unsteered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("this kernel was built without it (CONFIG_RPS): go without"),
            Self::Hidden => write!(
                f,
                "this network namespace does not show net.core.rps_sock_flow_entries, without which nothing is steered: \
                 type `sysctl -w net.core.rps_sock_flow_entries={ENTRIES}` in the host's own, unless it is set there"
            ),
            Self::NoRight { file } => {
                write!(f, "no right to change {}: run as root of the host", file.display())
            }
            Self::ReadOnly { file } => {
                let mount = if file.starts_with(SYSFS) { SYSFS } else { "/proc/sys" };
                write!(
                    f,
                    "the mount of {} is read-only: let root type `mount -o remount,rw {mount}`",
                    file.display()
                )
            }
            Self::Old { file } => write!(
                f,
                "cannot set {} of this network namespace without fsopen(2), which a filter forbids or a kernel before \
                 Linux 5.2 does not have: go without",
                file.display()
            ),
            Self::Kernel { file, source } => write!(f, "cannot set {}: {source}", file.display()),
        }
    }
}

impl std::error::Error for Unsteered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Kernel { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Sees to the machine's table: sets `net.core.rps_sock_flow_entries` to 32,768 where it is 0, and leaves any other value.
/// It is for all network namespaces, and stays until the machine is started again, or somebody types
/// `sysctl -w net.core.rps_sock_flow_entries=0`. It costs 4 octets an entry, a look at each packet of all
/// devices, and a note at each read of a socket.
///
/// # Errors
/// This network namespace does not show it, or the process may not set it.
pub fn machine() -> Result<(), Unsteered> {
    machine_at(Path::new(SYSCTL))
}

fn machine_at(file: &Path) -> Result<(), Unsteered> {
    match fs::read_to_string(file) {
        Ok(entries) if entries.trim() != "0" => Ok(()),
        Ok(_) => fs::write(file, ENTRIES.to_string()).map_err(|e| Unsteered::of(file, e)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Unsteered::Hidden),
        Err(e) => Err(Unsteered::of(file, e)),
    }
}

/// What the queues of a device had before.
#[must_use]
#[derive(Debug)]
pub struct Former {
    /// The device's folder.
    device: OwnedFd,
    name: String,
    /// By queue.
    flows: Vec<(u16, String)>,
}

impl Former {
    /// Gives the queues back what they had. One that has gone meanwhile has nothing to be given back.
    ///
    /// # Errors
    /// That of the first queue which does not take it.
    pub fn put_back(self) -> Result<(), Unsteered> {
        let mut result = Ok(());
        for (queue, flows) in &self.flows {
            match write(&self.device, *queue, flows) {
                Err(e) if !has_gone(&e) => {
                    result = result.and(Err(Unsteered::of(&shown(&self.name, *queue), e)));
                }
                _ => {}
            }
        }
        result
    }
}

/// Sees to the tables of the queues, `queues` of them, of the TUN `name` of this network namespace: 4,096 flows over all. One
/// that is as large already is left, and needs no right: who may not have a sysfs of its own believes what is mounted at
/// `/sys`. They go with the device, those of any but its first queue with the queue.
///
/// # Errors
/// The kernel cannot steer, there is no such device, or the process may not set it.
pub fn device(name: &str, queues: u16) -> Result<Former, Unsteered> {
    if Path::new(name).file_name() != Some(name.as_ref()) {
        return Err(Unsteered::of(Path::new(name), Errno::NODEV.into()));
    }
    match own_sysfs() {
        Ok(sysfs) => device_at(&sysfs, name, queues, None),
        // What is mounted at /sys is of the network namespace of whoever mounted it, where another device may have this
        // name and number: it is read, and nothing is written there.
        Err(refused) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            match openat(CWD, SYSFS, flags, Mode::empty()) {
                Ok(sysfs) => device_at(&sysfs, name, queues, Some(refused)),
                Err(_) => Err(Unsteered::refused(&shown(name, 0), refused)),
            }
        }
    }
}

/// The devices of the network namespace that this process is in, mounted nowhere. Since Linux 5.2, for root of the host.
pub(super) fn own_sysfs() -> Result<OwnedFd, Errno> {
    let sysfs = fsopen("sysfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(sysfs.as_fd())?;
    fsmount(sysfs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// With why there is no sysfs to write to, if there is none.
fn device_at(sysfs: &OwnedFd, name: &str, queues: u16, refused: Option<Errno>) -> Result<Former, Unsteered> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let device = openat(sysfs, format!("class/net/{name}"), flags, Mode::empty());
    let device = device.map_err(|e| match refused {
        Some(refused) => Unsteered::refused(&shown(name, 0), refused),
        None => Unsteered::of(&Path::new(SYSFS).join("class/net").join(name), e.into()),
    })?;
    let each = (FLOWS / u32::from(queues.max(1))).max(1);
    let mut former = Former { device, name: name.to_owned(), flows: Vec::new() };
    match set(&mut former, queues, each, refused) {
        Ok(()) => Ok(former),
        Err(why) => {
            // The first failure says more than one of going back.
            let _ = former.put_back();
            Err(why)
        }
    }
}

fn set(former: &mut Former, queues: u16, each: u32, refused: Option<Errno>) -> Result<(), Unsteered> {
    for queue in 0..queues {
        let file = shown(&former.name, queue);
        let flows = read(&former.device, queue).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound if queue == 0 => Unsteered::Unknown,
            _ => Unsteered::of(&file, e),
        })?;
        if flows.trim().parse().is_ok_and(|flows: u32| flows >= each) {
            continue;
        }
        if let Some(refused) = refused {
            return Err(Unsteered::refused(&file, refused));
        }
        write(&former.device, queue, &each.to_string()).map_err(|e| Unsteered::of(&file, e))?;
        former.flows.push((queue, flows));
    }
    Ok(())
}

/// The device, or the queue. Of one that is on its way the files are there yet, and take no octet.
pub(super) fn has_gone(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::WriteZero
        || matches!(e.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::NOENT | Errno::NODEV))
}

fn setting(queue: u16) -> String {
    format!("queues/rx-{queue}/rps_flow_cnt")
}

/// Where a user finds it.
fn shown(name: &str, queue: u16) -> PathBuf {
    Path::new(SYSFS).join("class/net").join(name).join(setting(queue))
}

fn read(device: &OwnedFd, queue: u16) -> io::Result<String> {
    let file = openat(device, setting(queue), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut flows = String::new();
    File::from(file).read_to_string(&mut flows)?;
    Ok(flows)
}

fn write(device: &OwnedFd, queue: u16, flows: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
    File::from(openat(device, setting(queue), flags, Mode::empty())?).write_all(flows.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as `/sys` is, gone in the end.
    struct Sysfs(PathBuf);

    impl Sysfs {
        fn new(test: &str, flows: &[&str]) -> Self {
            let root = std::env::temp_dir().join(format!("tunstack-steer-{test}-{}", std::process::id()));
            let device = root.join("class/net/tun7");
            fs::create_dir_all(root.join("class/net")).unwrap();
            for (queue, flows) in flows.iter().enumerate() {
                let queue = device.join(format!("queues/rx-{queue}"));
                fs::create_dir_all(&queue).unwrap();
                fs::write(queue.join("rps_flow_cnt"), flows).unwrap();
            }
            Self(root)
        }

        fn steer(&self, queues: u16, refused: Option<Errno>) -> Result<Former, Unsteered> {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            device_at(&openat(CWD, &self.0, flags, Mode::empty()).unwrap(), "tun7", queues, refused)
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.join("class/net/tun7").join(name)
        }

        fn flows(&self, queue: u16) -> String {
            fs::read_to_string(self.file(&format!("queues/rx-{queue}/rps_flow_cnt"))).unwrap()
        }
    }

    impl Drop for Sysfs {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn what_has_gone_says_so_in_three_ways() {
        assert!([Errno::NOENT, Errno::NODEV].map(io::Error::from).iter().all(has_gone));
        // What `write_all` makes of a write of no octet.
        let none = (&mut [0_u8; 0][..]).write_all(b"0").unwrap_err();
        assert!(has_gone(&none));
        assert!(![Errno::PERM, Errno::INVAL].map(io::Error::from).iter().any(has_gone));
    }

    #[test]
    fn queues_share_the_flows_and_get_back_what_they_had() {
        let sysfs = Sysfs::new("queues", &["0\n", "64\n", "8192\n", "0\n"]);
        let all = || [0, 1, 2, 3].map(|queue| sysfs.flows(queue));
        let former = sysfs.steer(4, None).unwrap();
        assert_eq!(all(), ["1024", "1024", "8192\n", "1024"]);
        // It is as wanted, so nothing is written, and nothing to be put back.
        assert!(sysfs.steer(4, Some(Errno::PERM)).unwrap().flows.is_empty());
        fs::remove_dir_all(sysfs.file("queues/rx-3")).unwrap();
        former.put_back().unwrap();
        assert_eq!([0, 1, 2].map(|queue| sysfs.flows(queue)), ["0\n", "64\n", "8192\n"]);
        let _ = sysfs.steer(1, None).unwrap();
        assert_eq!(sysfs.flows(0), "4096");
    }

    /// That may be another namespace's.
    #[test]
    fn what_is_mounted_is_only_read() {
        let sysfs = Sysfs::new("mounted", &["0\n"]);
        let e = sysfs.steer(1, Some(Errno::PERM)).unwrap_err();
        assert!(
            matches!(&e, Unsteered::NoRight { file } if file.ends_with("tun7/queues/rx-0/rps_flow_cnt")),
            "{e}"
        );
        assert_eq!(sysfs.flows(0), "0\n");
        fs::remove_dir_all(sysfs.file("")).unwrap();
        assert!(matches!(sysfs.steer(1, Some(Errno::PERM)), Err(Unsteered::NoRight { .. })));
        let e = sysfs.steer(1, None).unwrap_err();
        assert!(e.to_string().contains("/sys/class/net/tun7: No such file"), "{e}");
    }

    #[test]
    fn what_is_no_name_is_no_device() {
        for name in ["", "..", "a/b"] {
            assert!(device(name, 1).unwrap_err().to_string().contains("No such device"), "{name}");
        }
    }

    #[test]
    fn a_kernel_that_cannot_is_told() {
        let sysfs = Sysfs::new("cannot", &[]);
        fs::create_dir_all(sysfs.file("queues/rx-0")).unwrap();
        let e = sysfs.steer(1, None).unwrap_err();
        assert!(matches!(e, Unsteered::Unknown), "{e}");
    }

    #[test]
    fn what_was_done_before_a_failure_is_undone() {
        let sysfs = Sysfs::new("undone", &["0\n"]);
        let e = sysfs.steer(2, None).unwrap_err();
        assert!(e.to_string().contains("rx-1/rps_flow_cnt: No such file"), "{e}");
        assert_eq!(sysfs.flows(0), "0\n");
    }

    #[test]
    fn the_machines_table_is_set_where_there_is_none() {
        let sysfs = Sysfs::new("machine", &["0\n"]);
        let file = sysfs.file("rps_sock_flow_entries");
        assert!(matches!(machine_at(&file), Err(Unsteered::Hidden)));
        for (before, after) in [("0\n", "32768"), ("512\n", "512\n"), ("32768\n", "32768\n")] {
            fs::write(&file, before).unwrap();
            machine_at(&file).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), after);
        }
        let folder = machine_at(&sysfs.0).unwrap_err();
        assert!(
            matches!(&folder, Unsteered::Kernel { source, .. } if source.kind() == folder.kind()),
            "{folder}"
        );
    }

    #[test]
    fn refusals_say_what_to_type() {
        let of = |errno: Errno, file: &str| Unsteered::of(Path::new(file), errno.into());
        for (why, says) in [
            (Unsteered::Unknown, "CONFIG_RPS"),
            (Unsteered::Hidden, "sysctl -w net.core.rps_sock_flow_entries=32768"),
            (of(Errno::PERM, "/sys/a"), "no right to change /sys/a: run as root"),
            (of(Errno::ACCESS, "/sys/a"), "run as root of the host"),
            (of(Errno::ROFS, "/sys/a"), "remount,rw /sys`"),
            (of(Errno::ROFS, SYSCTL), "remount,rw /proc/sys`"),
            (Unsteered::refused(Path::new("/sys/a"), Errno::NOSYS), "Linux 5.2"),
            (Unsteered::refused(Path::new("/sys/a"), Errno::PERM), "no right to change /sys/a"),
            (of(Errno::INVAL, "/sys/a"), "cannot set /sys/a: Invalid argument"),
        ] {
            let line = why.to_string();
            assert!(line.contains(says) && !line.contains('\n') && !line.contains("  "), "{line}");
        }
        assert_eq!(of(Errno::PERM, "x").kind(), io::ErrorKind::PermissionDenied);
    }
}
