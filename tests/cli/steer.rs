//! `--steer`: whose flows are steered, and what is put back. The machine's table does not show in a test's namespace, so
//! none of this changes it.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::bench::{marked, until};
use super::program::*;
use super::services::unprivileged;

/// That a test cannot be done here, which it then says.
fn skipped() -> bool {
    // Only a root of the host may set a device's queues.
    let users = fs::read_to_string("/proc/self/uid_map").unwrap();
    let all = users.split_whitespace().eq(["0", "0", "4294967295"]);
    let shown = Path::new("/proc/sys/net/core/rps_sock_flow_entries").exists();
    if !all || shown {
        println!("skipped: root of the host: {all}, the machine's table shows: {shown}");
    }
    !all || shown
}

/// The command with a `/sys` that shows the devices of this network namespace.
fn with_sysfs(command: &Command) -> Command {
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-c", "mount -t sysfs sysfs /sys && exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args()).env("NO_COLOR", "1").env_remove("SUDO_USER");
    shell
}

fn steered(args: &str) -> Command {
    with_sysfs(&command(args))
}

/// `rps_flow_cnt` of tun0's first queue.
fn flows() -> String {
    let mut cat = Command::new("cat");
    let read = run_with(&mut with_sysfs(cat.arg("/sys/class/net/tun0/queues/rx-0/rps_flow_cnt")), b"");
    assert_ok(&read);
    text(&read.stdout).trim().to_owned()
}

pub(crate) fn flows_are_steered_where_that_is_asked_for() {
    if skipped() {
        return;
    }
    for (flags, each) in
        [("", ["0"].as_slice()), ("--steer", &["4096"]), ("--steer --shards 2", &["2048"; 2])]
    {
        let mut echo = steered(&format!("echo --json --offload off {flags}"));
        let (program, ready) = Program::start_command(&mut echo, false);
        assert_eq!(ready["offload"], false, "{flags}");
        for (queue, flows) in each.iter().enumerate() {
            let file =
                format!("/proc/{}/root/sys/class/net/tun0/queues/rx-{queue}/rps_flow_cnt", ready["pid"]);
            assert_eq!(fs::read_to_string(file).unwrap().trim(), *flows, "{flags}");
        }
        let said = program.stop_well().other();
        let warns = said.contains("type `sysctl -w net.core.rps_sock_flow_entries=32768`");
        assert_eq!(warns, flags.contains("--steer"), "{flags}: {said}");
    }
}

pub(crate) fn a_device_that_stays_is_steered_for_its_user() {
    if skipped() {
        return;
    }
    let ping = |flags: &str| format!("ping -c 1 10.7.0.1 --offload off {flags}");
    assert_ok(&run_with(&mut steered("up --user root --steer"), b""));
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
    let (program, _) = Program::start_command(&mut steered("echo --json --offload off --steer"), false);
    assert_eq!(flows(), "4096");
    program.stop_well();
    assert_eq!(flows(), "0");
    assert_ok(&run("down"));
    assert_eq!(interfaces(), [""; 0]);
}

/// It has a `/sys` of its namespace without anybody's doing, and nobody else sees that.
pub(crate) fn a_benchmark_steers_its_device() {
    if skipped() {
        return;
    }
    let dir = Scratch::new();
    let save = dir.path("bench.json");
    let before = fs::read_to_string("/proc/self/mounts").unwrap();
    let done = run(&format!("bench --quick --only rr-1 --seconds 0.05 --offload off --steer --save {save}"));
    assert_ok(&done);
    assert!(text(&done.stdout).contains("offload off, flows steered;"), "{}", text(&done.stdout));
    assert!(text(&done.stderr).contains("net.core.rps_sock_flow_entries=32768"), "{}", text(&done.stderr));
    let saved: Value = serde_json::from_slice(&fs::read(&save).unwrap()).unwrap();
    assert_eq!((&saved["steer"], &saved["offload"]), (&true.into(), &"off".into()));
    assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), before);
    assert_eq!(interfaces(), [""; 0]);
    let mark = format!("TUNSTACK_TEST_MARK={}", std::process::id());
    let (name, value) = mark.split_once('=').unwrap();
    let mut command = command("bench --only rr-1 --seconds 50 --offload off --steer");
    let program = Program::spawn(command.env(name, value), false);
    // One of them is this stack's server, whose device that is.
    until("three processes run", || marked(&mark).len() == 3);
    let of = |pid: &u32| {
        let file = format!("/proc/{pid}/root/sys/class/net/tun0/queues/rx-0/rps_flow_cnt");
        fs::read_to_string(file).is_ok_and(|flows| flows.trim() == "4096")
    };
    until("the flows are steered", || marked(&mark).iter().any(of));
    program.signal(Signal::INT);
    assert_eq!(program.ended().code, Some(130));

    let again = run(&format!("bench --from {save}"));
    assert!(text(&again.stdout).contains("flows steered"), "{}", text(&again.stdout));
}
