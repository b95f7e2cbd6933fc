//! `tunstack up` and `tunstack down`: a device that stays.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use clap::Args as ClapArgs;
use serde_json::json;
use tunstack::device::error::DeviceError;
use tunstack::device::setup::{Offload, TunConfig, persist, remove};

use super::common::Common;
use super::output::{Failure, Output};
use super::run::{own_device_failure, tun_config};

const EXAMPLES: &str = "\
Examples:
  sudo tunstack up --user alice
  sudo tunstack up                     for the user who called sudo
  sudo tunstack up --steer             whose flows are steered until it goes: for runs with
                                       --offload off
  sudo tunstack down

The device has the addresses and the MTU of the common flags: give the same to later runs. The
user must be able to open /dev/net/tun, which everybody is on most systems.";

/// Arguments of `up`.
#[derive(ClapArgs, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct UpArgs {
    /// Whose it shall be: a name or a number [default: the user who called sudo]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

/// Runs `up`.
pub(crate) fn up(common: &Common, args: UpArgs) -> Result<(), Failure> {
    refuse_run_flags(common, "up")?;
    let (user, uid) = match args.user {
        Some(user) => {
            let uid = uid_of(&user)?;
            (user, uid)
        }
        None => caller()?,
    };
    let config = tun_config(common);
    // Whoever attaches says whether there is offload; flows are steered, and GRO is done, without.
    let offload = if common.steer || common.gro { Offload::Off } else { config.offload };
    let config = TunConfig { offload, ..config };
    let device = persist(&config, uid).map_err(|e| not_root(e, "up"))?;
    // A right that only root has now would be found missing by the first run without root.
    let mode = fs::metadata("/dev/net/tun").map_or(0o666, |m| m.permissions().mode());
    if uid != 0 && mode & 0o006 != 0o006 {
        tracing::warn!("only root may open /dev/net/tun: type: sudo chmod 666 /dev/net/tun");
    }
    Output::stdout(common.json).say(
        || format!("{device} is up and belongs to {user} until `tunstack down --dev {device}`"),
        || json!({ "event": "up", "device": device, "user": user, "uid": uid, "mtu": config.mtu }),
    );
    Ok(())
}

/// Runs `down`.
pub(crate) fn down(common: &Common) -> Result<(), Failure> {
    refuse_run_flags(common, "down")?;
    for (given, flag) in [(common.steer, "--steer"), (common.gro, "--gro")] {
        if given {
            return Err(Failure::Usage(format!("{flag} makes no sense with down: the device goes")));
        }
    }
    remove(&common.dev).map_err(|e| match e {
        DeviceError::Missing { name } => Failure::Failed(format!(
            "there is no device {name}: `ip link` shows those that there are (--dev)"
        )),
        e => not_root(e, "down"),
    })?;
    let device = &common.dev;
    Output::stdout(common.json)
        .say(|| format!("{device} is removed"), || json!({ "event": "down", "device": device }));
    Ok(())
}

/// These have no packets of their own.
fn refuse_run_flags(common: &Common, command: &str) -> Result<(), Failure> {
    let flag = match common {
        Common { pcap: Some(_), .. } => "--pcap",
        Common { link: Some(_), .. } => "--link",
        Common { mem: Some(_), .. } => "--mem",
        // Whoever attaches says whether the kernel shall do it.
        Common { offload: Offload::On | Offload::Off, .. } => "--offload",
        Common { no_uring: true, .. } => "--no-uring",
        Common { spin: Some(_), .. } => "--spin",
        _ => return Ok(()),
    };
    Err(Failure::Usage(format!("{flag} makes no sense with {command}: no packets pass")))
}

/// A missing right here means that root must do it; the device's own advice leads back here.
fn not_root(e: DeviceError, command: &str) -> Failure {
    match e {
        DeviceError::NoRight { what } => {
            Failure::Failed(format!("no right to {what}: run as root: sudo tunstack {command}"))
        }
        DeviceError::ClosedDriver => {
            Failure::Failed(format!("no right to open /dev/net/tun: run as root: sudo tunstack {command}"))
        }
        DeviceError::NotOwner { .. } | DeviceError::Unready { .. } => {
            Failure::Failed(format!("{e}: sudo tunstack {command}"))
        }
        e => own_device_failure(e),
    }
}

/// The user who called sudo.
fn caller() -> Result<(String, u32), Failure> {
    let var = |name| std::env::var(name).ok();
    match (var("SUDO_USER"), var("SUDO_UID").and_then(|uid| uid.parse().ok())) {
        (Some(user), Some(uid)) => Ok((user, uid)),
        _ => Err(Failure::Usage("whose shall it be? tunstack up --user NAME".to_owned())),
    }
}

/// The number of a user, who may be given by it.
fn uid_of(user: &str) -> Result<u32, Failure> {
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    let passwd = fs::read_to_string("/etc/passwd").map_err(|e| Failure::of("cannot read /etc/passwd", &e))?;
    find(&passwd, user).ok_or_else(|| {
        Failure::Failed(format!(
            "there is no user {user} in /etc/passwd: give the number that `id -u {user}` prints (--user)"
        ))
    })
}

/// `passwd(5)`: name, password, number, …
fn find(passwd: &str, user: &str) -> Option<u32> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(user)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n# note\nann:x:1000:1000::/home/ann:/bin/sh\nbad:x:y:\n";
        assert_eq!(find(passwd, "ann"), Some(1000));
        assert_eq!(find(passwd, "root"), Some(0));
        for nobody in ["an", "bad", "x", ""] {
            assert_eq!(find(passwd, nobody), None, "{nobody}");
        }
    }
}
