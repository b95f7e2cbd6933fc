//! `--steer`: whose flows are steered, and what is put back. The machine's table does not show in a test's namespace, so
//! none of this changes it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use super::bench::{marked, until};
use super::program::*;
use super::services::unprivileged;

/// What these tests want beside tools.
pub(crate) const HOSTS_ROOT: &str =
    "root of the host, and a kernel that shows the machine's table to it alone";

const TABLE: &str = "/proc/sys/net/core/rps_sock_flow_entries";

/// Whether that is there: only a root of the host may set a device's queues.
pub(crate) fn is_hosts_root() -> bool {
    let users = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let hidden =
        Command::new("unshare").args(["-n", "test", "!", "-e", TABLE]).stderr(Stdio::null()).status();
    users.split_whitespace().eq(["0", "0", "4294967295"]) && hidden.is_ok_and(|status| status.success())
}

/// The machine's table is not theirs to change.
fn assert_apart() {
    assert!(!Path::new(TABLE).exists(), "{TABLE} would be changed");
}

/// The command with a `/sys` that shows the devices of this network namespace.
pub(crate) fn with_sysfs(command: &Command) -> Command {
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-c", "mount -t sysfs sysfs /sys && exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args()).env("NO_COLOR", "1").env_remove("SUDO_USER");
    shell
}

/// What sysfs shows of tun0 in the network namespace of process `pid`; nothing where there is none, or not yet.
pub(crate) fn setting_of(pid: u64, name: &str) -> String {
    let (pid, file) = (pid.to_string(), format!("/sys/class/net/tun0/{name}"));
    let mut cat = Command::new("nsenter");
    cat.args(["-t", &pid, "-n", "unshare", "-m", "sh", "-c", "mount -t sysfs sysfs /sys && cat $0", &file]);
    text(&run_with(&mut cat, b"").stdout).trim().to_owned()
}

fn flows_of(pid: u64, queue: usize) -> String {
    setting_of(pid, &format!("queues/rx-{queue}/rps_flow_cnt"))
}

fn flows() -> String {
    flows_of(std::process::id().into(), 0)
}

pub(crate) fn flows_are_steered_where_that_is_asked_for() {
    assert_apart();
    for (flags, each) in
        [("", ["0"].as_slice()), ("--steer", &["4096"]), ("--steer --shards 2", &["2048"; 2])]
    {
        let mut echo = command(&format!("echo --json --offload off {flags}"));
        let (program, ready) = Program::start_command(&mut echo, false);
        assert_eq!(ready["offload"], false, "{flags}");
        for (queue, flows) in each.iter().enumerate() {
            assert_eq!(flows_of(ready["pid"].as_u64().unwrap(), queue), *flows, "{flags}");
        }
        let said = program.stop_well().other();
        let warns = said.contains("type `sysctl -w net.core.rps_sock_flow_entries=32768`");
        assert_eq!(warns, flags.contains("--steer"), "{flags}: {said}");
    }
}

pub(crate) fn a_device_that_stays_is_steered_for_its_user() {
    assert_apart();
    let ping = |flags: &str| format!("ping -c 1 10.7.0.1 --offload off {flags}");
    assert_ok(&run("up --user root --steer"));
    assert_eq!(flows(), "4096");
    assert_ok(&run_with(&mut with_sysfs(&unprivileged(&ping("--steer"))), b""));
    assert_eq!(flows(), "4096");
    assert_ok(&run("down"));

    // One that was made without is for root to steer, and only as long as that runs.
    assert_ok(&run("up --user root"));
    let refused = run_with(&mut with_sysfs(&unprivileged(&ping("--steer"))), b"");
    let told = text(&refused.stderr);
    assert_eq!((code(refused.status), told.lines().count()), (1, 1), "{told}");
    for part in ["no right to change", "rx-0/rps_flow_cnt", "sudo tunstack up --steer --user NAME"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let (program, _) = Program::start_command(&mut command("echo --json --offload off --steer"), false);
    assert_eq!(flows(), "4096");
    program.stop_well();
    assert_eq!(flows(), "0");
    assert_ok(&run("down"));
    assert_eq!(interfaces(), [""; 0]);
}

/// What is mounted at `/sys` shows another namespace's devices, one of them with the same name and number.
pub(crate) fn nothing_of_another_namespace_is_steered() {
    assert_apart();
    assert_ok(&run("up --user root"));
    let echo = command("echo --json --offload off --steer");
    let mut inner = Command::new("unshare");
    inner.arg("-n").arg(echo.get_program()).args(echo.get_args());
    let (program, ready) = Program::start_command(&mut with_sysfs(&inner), false);
    assert_eq!((flows(), flows_of(ready["pid"].as_u64().unwrap(), 0)), ("0".into(), "4096".into()));
    program.stop_well();
    assert_ok(&run("down"));
}

/// In a namespace of its own.
pub(crate) fn a_benchmark_steers_its_device() {
    assert_apart();
    let dir = Scratch::new();
    let save = dir.path("bench.json");
    let done = run(&format!("bench --quick --only rr-1 --seconds 0.05 --offload off --steer --save {save}"));
    assert_ok(&done);
    assert!(text(&done.stdout).contains("offload off, flows steered;"), "{}", text(&done.stdout));
    assert!(text(&done.stderr).contains("net.core.rps_sock_flow_entries=32768"), "{}", text(&done.stderr));
    let saved: Value = serde_json::from_slice(&fs::read(&save).unwrap()).unwrap();
    assert_eq!((&saved["steer"], &saved["offload"]), (&true.into(), &"off".into()));
    assert_eq!(interfaces(), [""; 0]);
    let mark = format!("TUNSTACK_TEST_MARK={}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let mut command = command("bench --only rr-1 --seconds 50 --offload off --steer");
    let program = Program::spawn(command.env(name, value), false);
    // They are all in the namespace that has the device.
    until("three processes run", || marked(&mark).len() == 3);
    until("the flows are steered", || {
        marked(&mark).first().is_some_and(|pid| flows_of((*pid).into(), 0) == "4096")
    });
    program.signal(Signal::INT);
    assert_eq!(program.ended().code, Some(130));

    let again = run(&format!("bench --from {save}"));
    assert!(text(&again.stdout).contains("flows steered"), "{}", text(&again.stdout));
}
