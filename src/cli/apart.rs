//! A network namespace of this program's own: it starts itself again in one.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::output::{Failure, why};

/// Set for the process in the namespace, to the identity of the one that it must not be in.
const OUTSIDE: &str = "TUNSTACK_OUTSIDE";

/// Returns in a namespace that nobody else is in, where this process has become this program anew, with the same
/// arguments. `what` needs it.
pub(crate) fn apart(what: &str) -> Result<(), Failure> {
    match std::env::var(OUTSIDE) {
        Err(_) => Err(again(what)?),
        Ok(outside) if outside == identity()? => {
            Err(Failure::Failed(format!("{what} must be in a namespace of its own: unset {OUTSIDE}")))
        }
        Ok(_) => Ok(()),
    }
}

/// That root's rights are missing.
pub(crate) fn needs_root(what: &str) -> Failure {
    Failure::Failed(format!("{what} needs a network namespace of its own, and that needs root: use sudo"))
}

/// Whether this process has become this program anew, in a namespace that nobody else is in.
pub(crate) fn is_apart() -> bool {
    std::env::var_os(OUTSIDE).is_some()
}

/// The network namespace that this process is in.
fn identity() -> Result<String, Failure> {
    let path = "/proc/self/ns/net";
    let link = fs::read_link(path).map_err(|e| Failure::of(format!("cannot read {path}"), &e))?;
    Ok(link.to_string_lossy().into_owned())
}

/// Becomes this program in a namespace of its own; comes back only where that fails.
fn again(what: &str) -> Result<Failure, Failure> {
    let cannot =
        |e: &io::Error| Failure::Failed(format!("{what} needs a network namespace: unshare: {}", why(e)));
    let may = Command::new("unshare").args(["-n", "true"]).stderr(Stdio::null()).status();
    if !may.map_err(|e| cannot(&e))?.success() {
        return Err(needs_root(what));
    }
    let program = std::env::current_exe().map_err(|e| cannot(&e))?;
    let mut command = Command::new("unshare");
    command.args(["-n", "--"]).arg(program).args(std::env::args_os().skip(1)).env(OUTSIDE, identity()?);
    Ok(cannot(&command.exec()))
}
