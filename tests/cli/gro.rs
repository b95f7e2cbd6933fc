//! `--gro`: how the device is attached, for how long it keeps what may be joined, and what is put back.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::bench::{marked, until};
use super::program::*;
use super::services::unprivileged;
use super::steer::{setting_of, with_sysfs};

const SET: &str = "10000000";
/// `IFF_TUN | IFF_NO_PI`, and with `IFF_NAPI`, from `<linux/if_tun.h>`.
const PLAIN: i64 = 0x1001;
const NAPI: i64 = 0x1011;

fn time_of(pid: u64) -> String {
    setting_of(pid, "gro_flush_timeout")
}

fn time() -> String {
    time_of(std::process::id().into())
}

/// How tun0 is attached, less what says that it stays.
fn attached_as(pid: u64) -> i64 {
    let flags = setting_of(pid, "tun_flags");
    i64::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or_default() & !0x0800
}

pub(crate) fn a_device_that_stays_has_gro_for_its_user() {
    let ping = |flags: &str| format!("ping -c 1 10.7.0.1 --offload off {flags}");
    let by_user = |flags: &str| run_with(&mut with_sysfs(&unprivileged(&ping(flags))), b"");
    assert_ok(&run("up --user root --gro"));
    assert_eq!(time(), SET);
    assert_ok(&by_user("--gro"));
    // Nor does a run without it mind, by which it stays as it is.
    assert_ok(&by_user(""));
    assert_eq!(time(), SET);
    assert_ok(&run("down"));

    // One that was made without is for root to set, and only as long as that runs.
    assert_ok(&run("up --user root"));
    let without = run_with(&mut unprivileged(&ping("--gro")), b"");
    for refused in [by_user("--gro"), without] {
        let told = text(&refused.stderr);
        assert_eq!((code(refused.status), told.lines().count()), (1, 1), "{told}");
        for part in ["no right to set gro_flush_timeout of tun0", "sudo tunstack up --gro --user NAME"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    for (flags, attached, while_it_runs) in [("--gro", NAPI, SET), ("", PLAIN, "0"), ("--gro", NAPI, SET)] {
        let echo = format!("echo --json --offload off {flags}");
        let (program, ready) = Program::start_command(&mut command(&echo), false);
        let pid = ready["pid"].as_u64().unwrap();
        assert_eq!((attached_as(pid), time().as_str()), (attached, while_it_runs), "{flags}");
        program.stop_well();
        assert_eq!(time(), "0");
    }
    // What has gone has nothing to be put back.
    let (program, _) = Program::start_command(&mut command("echo --json --offload off --gro"), false);
    tunstack::device::netlink::delete_link("tun0").unwrap();
    let ended = program.ended();
    assert_eq!(ended.other(), "tunstack: tun0 was deleted while in use: start again\n");
}

/// What is mounted at `/sys` shows another namespace's devices, one of them with the same name and number.
pub(crate) fn nothing_of_another_namespace_is_changed() {
    assert_ok(&run("up --user root"));
    let echo = command("echo --json --offload off --gro");
    let mut inner = Command::new("unshare");
    inner.arg("-n").arg(echo.get_program()).args(echo.get_args());
    let (program, ready) = Program::start_command(&mut with_sysfs(&inner), false);
    assert_eq!((time(), time_of(ready["pid"].as_u64().unwrap())), ("0".into(), SET.into()));
    program.stop_well();
    assert_ok(&run("down"));
}

/// In a namespace of its own.
pub(crate) fn a_benchmark_has_gro_on_its_device() {
    let dir = Scratch::new();
    let save = dir.path("bench.json");
    let done = run(&format!("bench --quick --only rr-1 --seconds 0.05 --offload off --gro --save {save}"));
    assert_ok(&done);
    assert!(text(&done.stdout).contains("offload off, GRO;"), "{}", text(&done.stdout));
    let saved: Value = serde_json::from_slice(&fs::read(&save).unwrap()).unwrap();
    assert_eq!((&saved["gro"], &saved["offload"]), (&true.into(), &"off".into()));
    assert_eq!(interfaces(), [""; 0]);
    let mark = format!("TUNSTACK_TEST_MARK={}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let mut command = command("bench --only rr-1 --seconds 50 --offload off --gro");
    let program = Program::spawn(command.env(name, value), false);
    // They are all in the namespace that has the device.
    until("three processes run", || marked(&mark).len() == 3);
    until("the server's device is there", || {
        let pid = marked(&mark).first().copied();
        pid.is_some_and(|pid| (attached_as(pid.into()), time_of(pid.into())) == (NAPI, SET.to_owned()))
    });
    program.signal(Signal::INT);
    assert_eq!(program.ended().code, Some(130));

    let again = run(&format!("bench --from {save}"));
    assert!(text(&again.stdout).contains("offload off, GRO;"), "{}", text(&again.stdout));
}
