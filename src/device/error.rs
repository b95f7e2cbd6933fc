//! Why a device cannot be had, each in one line: what failed, why, and what to type next.

use std::error::Error;
use std::{fmt, io};

use tunstack_core::addr::Prefix;

#[cfg(any(feature = "tun-tap", feature = "offload"))]
use super::steer::Unsteered;

/// Why a device could not be opened, set up or used.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeviceError {
    /// The host has no TUN driver, or hides it.
    NoDriver,
    /// The rights of `/dev/net/tun` keep this user out; a device made beforehand does not help then.
    ClosedDriver,
    /// The process may not do this.
    NoRight {
        /// What it may not do.
        what: String,
    },
    /// The device is another user's.
    NotOwner {
        /// Its name.
        name: String,
        /// The user it was made for, if the kernel says.
        owner: Option<u32>,
    },
    /// Another program holds the device.
    Busy {
        /// Its name.
        name: String,
    },
    /// Not a name that an interface can have.
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The interface is not a TUN that can be attached to.
    NotTun {
        /// Its name.
        name: String,
        /// What it is instead.
        kind: String,
    },
    /// A descriptor that was handed over does not serve.
    Descriptor {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The TUN driver of this kernel is too old.
    Lacking {
        /// What it does not know.
        what: &'static str,
    },
    /// There is no such interface.
    Missing {
        /// Its name.
        name: String,
    },
    /// What was asked for makes no sense.
    Invalid {
        /// The field of the configuration, as its struct names it.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The addresses are in use on this host.
    InUse {
        /// What was asked for.
        wanted: Prefix,
        /// The other interface.
        interface: String,
        /// What that one has.
        theirs: Prefix,
    },
    /// IPv6 is switched off on this host.
    NoIpv6 {
        /// The device.
        name: String,
    },
    /// The device exists, is not as wanted, and the process may not change it.
    Unready {
        /// Its name.
        name: String,
        /// How it differs.
        why: String,
    },
    /// The interface is down: packets written to it are refused.
    Down {
        /// Its name.
        name: String,
    },
    /// The interface was deleted while it was in use.
    Gone {
        /// Its name.
        name: String,
    },
    /// The flows of the device cannot be steered.
    #[cfg(any(feature = "tun-tap", feature = "offload"))]
    Unsteered {
        /// Its name.
        name: String,
        /// Why not.
        why: Unsteered,
    },
    /// The device cannot have a time for which what may be joined waits.
    #[cfg(any(feature = "tun-tap", feature = "offload"))]
    NoGro {
        /// Its name.
        name: String,
        /// Why not; `Unsupported`: the kernel gives no process a sysfs of its own, as it does since Linux 5.2.
        source: io::Error,
    },
    /// Anything else that the kernel refused.
    Kernel {
        /// What was tried.
        what: String,
        /// Its answer.
        source: io::Error,
    },
}

impl DeviceError {
    /// The kernel's refusal of `what`; a missing right becomes [`NoRight`](Self::NoRight).
    #[cfg(any(feature = "tun-tap", feature = "offload", test))]
    pub(crate) fn kernel(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::NoRight { what },
            _ => Self::Kernel { what, source },
        }
    }

    /// The nearest of the standard library's kinds.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::NoDriver | Self::Missing { .. } => io::ErrorKind::NotFound,
            Self::ClosedDriver | Self::NoRight { .. } | Self::NotOwner { .. } | Self::Unready { .. } => {
                io::ErrorKind::PermissionDenied
            }
            Self::Busy { .. } => io::ErrorKind::ResourceBusy,
            Self::Name { .. } | Self::NotTun { .. } | Self::Descriptor { .. } | Self::Invalid { .. } => {
                io::ErrorKind::InvalidInput
            }
            Self::InUse { .. } => io::ErrorKind::AddrInUse,
            Self::NoIpv6 { .. } | Self::Lacking { .. } => io::ErrorKind::Unsupported,
            Self::Down { .. } => io::ErrorKind::NetworkDown,
            Self::Gone { .. } => io::ErrorKind::NotConnected,
            #[cfg(any(feature = "tun-tap", feature = "offload"))]
            Self::Unsteered { why, .. } => why.kind(),
            #[cfg(any(feature = "tun-tap", feature = "offload"))]
            Self::NoGro { source, .. } => source.kind(),
            Self::Kernel { source, .. } => source.kind(),
        }
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDriver => f.write_str(
                "no /dev/net/tun: load the driver with `modprobe tun`, or hand it to the container with \
                 `--device /dev/net/tun`",
            ),
            Self::ClosedDriver => f.write_str(
                "no right to open /dev/net/tun: run as root, or let root open it to all: chmod 666 /dev/net/tun",
            ),
            Self::NoRight { what } => write!(
                f,
                "no right to {what}: run as root, or let root make a device for you: tunstack up --user NAME"
            ),
            Self::NotOwner { name, owner: Some(uid) } => {
                write!(
                    f,
                    "{name} was made for user {uid}: run as that user or as root, or name another device"
                )
            }
            Self::NotOwner { name, owner: None } => {
                write!(f, "{name} was made for other users: run as root, or name another device")
            }
            Self::Busy { name } => {
                write!(f, "{name} is held by another program: end that program, or name another device")
            }
            Self::Name { name, why } => write!(f, "{name:?} cannot name a device: {why}"),
            Self::NotTun { name, kind } => {
                write!(f, "{name} is {kind}, not a plain TUN: name another device")
            }
            Self::Descriptor { why } => write!(
                f,
                "the descriptor {why}: hand over one of a TUN, attached with IFF_TUN and IFF_NO_PI"
            ),
            Self::Lacking { what } => write!(f, "the kernel's TUN driver has no {what}: go without"),
            Self::Missing { name } => {
                write!(f, "there is no interface {name}: `ip link` shows those that there are")
            }
            Self::Invalid { field, why } => write!(f, "{field}: {why}"),
            Self::InUse { wanted, interface, theirs } => {
                write!(f, "{wanted} overlaps {theirs} of {interface} on this host: choose other addresses")
            }
            Self::NoIpv6 { name } => write!(
                f,
                "IPv6 is off on this host and cannot be switched on for {name}: go without IPv6 addresses, or \
                 try `sysctl net.ipv6.conf.all.disable_ipv6=0`"
            ),
            Self::Unready { name, why } => write!(
                f,
                "{name} is not set up as wanted ({why}) and this user may not change it: run as root, or let \
                 root make it anew: tunstack up --user NAME"
            ),
            Self::Down { name } => write!(f, "{name} is down: bring it up with `ip link set {name} up`"),
            Self::Gone { name } => write!(f, "{name} was deleted while in use: start again"),
            #[cfg(any(feature = "tun-tap", feature = "offload"))]
            Self::Unsteered { name, why } => {
                write!(f, "cannot steer the flows of {name}: {why}")?;
                match why {
                    Unsteered::NoRight { .. } => {
                        f.write_str(", or let root make such a device: sudo tunstack up --steer --user NAME")
                    }
                    _ => Ok(()),
                }
            }
            #[cfg(any(feature = "tun-tap", feature = "offload"))]
            Self::NoGro { name, source } => match source.kind() {
                io::ErrorKind::PermissionDenied => write!(
                    f,
                    "no right to set gro_flush_timeout of {name}: run as root of the host, or let root make such a device: \
                     sudo tunstack up --gro --user NAME"
                ),
                io::ErrorKind::Unsupported => write!(
                    f,
                    "cannot set gro_flush_timeout of {name} without fsopen(2), which a filter forbids or a kernel before \
                     Linux 5.2 does not have: go without GRO"
                ),
                _ => write!(f, "cannot set gro_flush_timeout of {name}: {source}: go without GRO"),
            },
            Self::Kernel { what, source } => write!(f, "cannot {what}: {source}"),
        }
    }
}

impl Error for DeviceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Kernel { source, .. } => Some(source),
            #[cfg(any(feature = "tun-tap", feature = "offload"))]
            Self::NoGro { source, .. } => Some(source),
            #[cfg(any(feature = "tun-tap", feature = "offload"))]
            Self::Unsteered { why, .. } => Some(why),
            _ => None,
        }
    }
}

impl From<DeviceError> for io::Error {
    fn from(e: DeviceError) -> Self {
        Self::new(e.kind(), e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_one_line_that_says_what_to_do() {
        let name = || "tun7".to_owned();
        #[cfg(any(feature = "tun-tap", feature = "offload"))]
        let no_gro = |kind: io::ErrorKind| DeviceError::NoGro { name: name(), source: kind.into() };
        let prefix = Prefix::new(std::net::Ipv4Addr::new(10, 7, 0, 2).into(), 24);
        let all = [
            (DeviceError::NoDriver, "modprobe tun"),
            (DeviceError::ClosedDriver, "chmod 666 /dev/net/tun"),
            (DeviceError::NoRight { what: "make tun7".into() }, "tunstack up --user NAME"),
            (DeviceError::NotOwner { name: name(), owner: Some(1000) }, "user 1000"),
            (DeviceError::NotOwner { name: name(), owner: None }, "as root"),
            (DeviceError::Busy { name: name() }, "another program"),
            (DeviceError::Name { name: "a/b".into(), why: "it has a slash" }, "slash"),
            (DeviceError::NotTun { name: name(), kind: "a veth".into() }, "veth"),
            (DeviceError::Descriptor { why: "is that of a TAP" }, "descriptor is that of a TAP: hand over"),
            (DeviceError::Lacking { what: "offloads" }, "no offloads: go without"),
            (DeviceError::Missing { name: name() }, "no interface tun7"),
            (DeviceError::Invalid { field: "mtu", why: "67 is under 68".into() }, "mtu: 67"),
            (DeviceError::InUse { wanted: prefix, interface: name(), theirs: prefix }, "overlaps"),
            (DeviceError::NoIpv6 { name: name() }, "net.ipv6.conf.all.disable_ipv6=0"),
            (DeviceError::Unready { name: name(), why: "it is down".into() }, "(it is down)"),
            (DeviceError::Down { name: name() }, "ip link set tun7 up"),
            (DeviceError::Gone { name: name() }, "deleted"),
            #[cfg(any(feature = "tun-tap", feature = "offload"))]
            (DeviceError::Unsteered { name: name(), why: Unsteered::Unknown }, "flows of tun7: this kernel"),
            #[cfg(any(feature = "tun-tap", feature = "offload"))]
            (
                no_gro(io::ErrorKind::PermissionDenied),
                "root of the host, or let root make such a device: sudo tunstack up --gro",
            ),
            #[cfg(any(feature = "tun-tap", feature = "offload"))]
            (no_gro(io::ErrorKind::Unsupported), "before Linux 5.2 does not have: go without GRO"),
            #[cfg(any(feature = "tun-tap", feature = "offload"))]
            (no_gro(io::ErrorKind::NotFound), "gro_flush_timeout of tun7: entity not found: go without"),
            (
                DeviceError::kernel("set the MTU of tun7", io::Error::from_raw_os_error(22)),
                "Invalid argument",
            ),
        ];
        for (error, says) in all {
            let line = error.to_string();
            assert!(line.contains(says), "{line}");
            assert!(!line.contains('\n') && !line.contains("  "), "{line}");
            let kind = error.kind();
            let io = io::Error::from(error);
            assert_eq!((io.kind(), io.to_string()), (kind, line));
        }
    }

    #[test]
    fn a_missing_right_is_told_from_other_refusals() {
        let eperm = DeviceError::kernel("make tun7", io::Error::from_raw_os_error(1));
        assert!(matches!(eperm, DeviceError::NoRight { .. }));
        let enomem = DeviceError::kernel("make tun7", io::Error::from_raw_os_error(12));
        assert!(enomem.source().is_some());
    }
}
