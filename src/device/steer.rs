//! Receive flow steering (RFS) on a TUN, as `Documentation/networking/scaling.rst` of Linux has it.
//!
//! What a stack writes to a TUN passes the host's whole receive path on the processor that writes it. With steering each
//! flow's part of that is done where the program that reads the flow ran last; flows that nobody has read yet stay where
//! they are. It takes two settings: a table for the machine ([`machine`]), and one for each queue of a device ([`device`]).

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

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
    /// `/sys` shows another network namespace than this process is in, or is not mounted.
    OtherSysfs,
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
            Self::OtherSysfs | Self::Unknown | Self::Hidden => io::ErrorKind::Unsupported,
            Self::NoRight { .. } => io::ErrorKind::PermissionDenied,
            Self::ReadOnly { .. } => io::ErrorKind::ReadOnlyFilesystem,
            Self::Kernel { source, .. } => source.kind(),
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
            Self::OtherSysfs => f.write_str(
                "/sys is not that of this network namespace: go by `ip netns exec`, or type `mount -t sysfs sysfs /sys` \
                 in a mount namespace of its own (unshare -m)",
            ),
            Self::Unknown => f.write_str("this kernel was built without it (CONFIG_RPS): go without"),
            Self::Hidden => write!(
                f,
                "this network namespace does not show net.core.rps_sock_flow_entries, without which nothing is steered: \
                 type `sysctl -w net.core.rps_sock_flow_entries={ENTRIES}` in the host's own, unless it is set there"
            ),
            Self::NoRight { file } => write!(
                f,
                "no right to change {}: run as root, or let root make such a device for you: \
                 sudo tunstack up --steer --user NAME",
                file.display()
            ),
            Self::ReadOnly { file } => {
                let mount = if file.starts_with("/proc") { "/proc/sys" } else { SYSFS };
                write!(
                    f,
                    "{} is mounted read-only: let root type `mount -o remount,rw {mount}`",
                    file.display()
                )
            }
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
/// `sysctl -w net.core.rps_sock_flow_entries=0`. It costs 4 octets an entry, and a look at a hash of each packet of
/// devices with a table of their own.
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
#[derive(Debug, Default)]
pub struct Former(Vec<(PathBuf, String)>);

impl Former {
    /// Gives the queues back what they had. One that has gone meanwhile has nothing to be given back.
    ///
    /// # Errors
    /// The process may not.
    pub fn put_back(self) -> Result<(), Unsteered> {
        self.0.into_iter().try_for_each(|(file, flows)| match fs::write(&file, flows) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Unsteered::of(&file, e)),
            _ => Ok(()),
        })
    }
}

/// Sees to the tables of the queues, `queues` of them, of the TUN `name`, whose number as an interface is `index`: 4,096
/// flows over all. One that is as large already is left, and needs no right. They go with the device, those of any but its
/// first queue with the queue.
///
/// # Errors
/// `/sys` shows the devices of another network namespace, the kernel cannot steer, or the process may not set it.
pub fn device(name: &str, index: u32, queues: u16) -> Result<Former, Unsteered> {
    device_at(Path::new(SYSFS), name, index, queues)
}

fn device_at(sysfs: &Path, name: &str, index: u32, queues: u16) -> Result<Former, Unsteered> {
    let device = sysfs.join("class/net").join(name);
    // It is of the network namespace of whoever mounted it, where another device may have this name.
    let shown = fs::read_to_string(device.join("ifindex")).unwrap_or_default();
    if shown.trim() != index.to_string() || !device.join("tun_flags").exists() {
        return Err(Unsteered::OtherSysfs);
    }
    let each = (FLOWS / u32::from(queues.max(1))).max(1);
    let mut former = Former::default();
    match set(&device, queues, each, &mut former) {
        Ok(()) => Ok(former),
        Err(why) => {
            // The first failure says more than one of going back.
            let _ = former.put_back();
            Err(why)
        }
    }
}

fn set(device: &Path, queues: u16, each: u32, former: &mut Former) -> Result<(), Unsteered> {
    for queue in 0..queues {
        let file = device.join(format!("queues/rx-{queue}/rps_flow_cnt"));
        let flows = fs::read_to_string(&file).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Unsteered::Unknown,
            _ => Unsteered::of(&file, e),
        })?;
        if flows.trim().parse().is_ok_and(|flows: u32| flows >= each) {
            continue;
        }
        fs::write(&file, each.to_string()).map_err(|e| Unsteered::of(&file, e))?;
        former.0.push((file, flows));
    }
    Ok(())
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
            for (queue, flows) in flows.iter().enumerate() {
                let queue = device.join(format!("queues/rx-{queue}"));
                fs::create_dir_all(&queue).unwrap();
                fs::write(queue.join("rps_flow_cnt"), flows).unwrap();
            }
            fs::write(device.join("ifindex"), "9\n").unwrap();
            fs::write(device.join("tun_flags"), "0x1001\n").unwrap();
            Self(root)
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
    fn queues_share_the_flows_and_get_back_what_they_had() {
        let sysfs = Sysfs::new("queues", &["0\n", "64\n", "8192\n", "0\n"]);
        let all = || [0, 1, 2, 3].map(|queue| sysfs.flows(queue));
        let former = device_at(&sysfs.0, "tun7", 9, 4).unwrap();
        assert_eq!(all(), ["1024", "1024", "8192\n", "1024"]);
        // It is as wanted, so nothing is written, and nothing to be put back.
        assert!(device_at(&sysfs.0, "tun7", 9, 4).unwrap().0.is_empty());
        fs::remove_dir_all(sysfs.file("queues/rx-3")).unwrap();
        former.put_back().unwrap();
        assert_eq!([0, 1, 2].map(|queue| sysfs.flows(queue)), ["0\n", "64\n", "8192\n"]);
        device_at(&sysfs.0, "tun7", 9, 1).unwrap();
        assert_eq!(sysfs.flows(0), "4096");
    }

    #[test]
    fn a_device_of_another_namespace_is_left_alone() {
        let sysfs = Sysfs::new("other", &["0\n"]);
        let refused = |name, index| {
            let e = device_at(&sysfs.0, name, index, 1).unwrap_err();
            assert!(matches!(e, Unsteered::OtherSysfs), "{e}");
            assert_eq!(sysfs.flows(0), "0\n");
        };
        refused("tun7", 10);
        refused("tun8", 9);
        fs::remove_file(sysfs.file("tun_flags")).unwrap();
        refused("tun7", 9);
        fs::write(sysfs.file("tun_flags"), "0x1001\n").unwrap();
        assert!(device_at(&sysfs.0, "tun7", 9, 1).is_ok());
    }

    #[test]
    fn a_kernel_that_cannot_is_told() {
        let sysfs = Sysfs::new("cannot", &["0\n"]);
        let e = device_at(&sysfs.0, "tun7", 9, 2).unwrap_err();
        assert!(matches!(e, Unsteered::Unknown), "{e}");
        assert_eq!(sysfs.flows(0), "0\n", "what was done before is undone");
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
            (Unsteered::OtherSysfs, "mount -t sysfs sysfs /sys"),
            (Unsteered::Unknown, "CONFIG_RPS"),
            (Unsteered::Hidden, "sysctl -w net.core.rps_sock_flow_entries=32768"),
            (of(Errno::PERM, "/sys/a"), "no right to change /sys/a: run as root"),
            (of(Errno::ACCESS, "/sys/a"), "sudo tunstack up --steer --user NAME"),
            (of(Errno::ROFS, "/sys/a"), "remount,rw /sys`"),
            (of(Errno::ROFS, SYSCTL), "remount,rw /proc/sys`"),
            (of(Errno::INVAL, "/sys/a"), "cannot set /sys/a: Invalid argument"),
        ] {
            let line = why.to_string();
            assert!(line.contains(says) && !line.contains('\n') && !line.contains("  "), "{line}");
        }
        assert_eq!(of(Errno::PERM, "x").kind(), io::ErrorKind::PermissionDenied);
    }
}
