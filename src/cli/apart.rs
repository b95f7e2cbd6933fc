//! A network namespace of this program's own: it starts itself again in one.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::output::{Failure, why};

/// Set for the process in the namespace, to the identity of the one that it must not be in.
const OUTSIDE: &str = "TUNSTACK_OUTSIDE";

/// What shows the devices of this network namespace at `/sys`.
const MOUNT: [&str; 5] = ["mount", "-t", "sysfs", "sysfs", "/sys"];

/// Which `/sys` is seen in the namespace: it shows the devices of the network namespace of whoever mounted it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sysfs {
    /// That of whoever started this program.
    Outer,
    /// One of the namespace, in a mount namespace of its own, too.
    Own,
}

/// Returns in a namespace that nobody else is in, where this process has become this program anew, with the same
/// arguments. `what` needs it. `outside` is done before, once it is known that there can be a namespace.
pub(crate) fn apart(
    what: &str,
    sysfs: Sysfs,
    outside: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    match std::env::var(OUTSIDE) {
        Err(_) => Err(again(what, sysfs, outside)?),
        Ok(other) if other == identity()? => {
            Err(Failure::Failed(format!("{what} must be in a namespace of its own: unset {OUTSIDE}")))
        }
        Ok(_) => Ok(()),
    }
}

/// That root's rights are missing.
pub(crate) fn needs_root(what: &str) -> Failure {
    Failure::Failed(format!("{what} needs a network namespace of its own, and that needs root: use sudo"))
}

/// The network namespace that this process is in.
fn identity() -> Result<String, Failure> {
    let path = "/proc/self/ns/net";
    let link = fs::read_link(path).map_err(|e| Failure::of(format!("cannot read {path}"), &e))?;
    Ok(link.to_string_lossy().into_owned())
}

/// Becomes this program in a namespace of its own; comes back only where that fails.
fn again(
    what: &str,
    sysfs: Sysfs,
    outside: impl FnOnce() -> Result<(), Failure>,
) -> Result<Failure, Failure> {
    let cannot =
        |e: &io::Error| Failure::Failed(format!("{what} needs a network namespace: unshare: {}", why(e)));
    let may = Command::new("unshare").args(["-n", "true"]).stderr(Stdio::null()).status();
    if !may.map_err(|e| cannot(&e))?.success() {
        return Err(needs_root(what));
    }
    let program = std::env::current_exe().map_err(|e| cannot(&e))?;
    let mut command = Command::new("unshare");
    match sysfs {
        Sysfs::Outer => command.args(["-n", "--"]),
        // What is mounted there is mounted nowhere else: `unshare` makes all mounts private.
        Sysfs::Own => {
            let mount = Command::new("unshare").args(["-n", "-m", "--"]).args(MOUNT).output();
            let mount = mount.map_err(|e| cannot(&e))?;
            if !mount.status.success() {
                let said = String::from_utf8_lossy(&mount.stderr);
                let said = said.lines().next().unwrap_or("mount failed");
                return Err(Failure::Failed(format!("{what} needs a /sys of its own for --steer: {said}")));
            }
            let script = format!("{} && exec \"$@\"", MOUNT.join(" "));
            command.args(["-n", "-m", "--", "sh", "-c", &script, "sh"])
        }
    };
    outside()?;
    command.arg(program).args(std::env::args_os().skip(1)).env(OUTSIDE, identity()?);
    Ok(cannot(&command.exec()))
}
