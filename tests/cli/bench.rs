//! `tunstack bench`: what it measures, says and leaves.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use super::program::*;

/// Each figure once, shortly, for real: the kernel over veth and this stack over a TUN.
pub(crate) fn a_benchmark_measures_both() {
    let dir = Scratch::new();
    let (save, svg) = (dir.path("bench.json"), dir.path("bench.svg"));
    let done = run(&format!(
        "bench --quick --seconds 0.1 --streams 2 --connections 50 --json --save {save} --svg {svg}"
    ));
    assert_ok(&done);
    let lines: Vec<Value> =
        text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let columns: Vec<_> = lines.iter().filter(|l| l["event"] == "run").collect();
    for server in ["kernel", "tunstack"] {
        let own = columns.iter().filter(|line| line["server"] == server);
        let own: Vec<_> = own.map(|line| line["column"].as_str().unwrap()).collect();
        let wanted = [
            "up-2",
            "down-2",
            "both-2",
            "rr-1",
            "rr-1024",
            "request-4",
            "connect-4",
            "http-4",
            "udp-up-64",
            "udp-up-1472",
            "udp-down-64",
            "udp-down-1472",
            "crowd",
        ];
        assert_eq!(own, wanted, "{server}");
    }
    let results: Vec<_> = lines.iter().filter(|l| l["event"] == "result").collect();
    // Processor time is counted in hundredths of a second, and memory in pages.
    let may_be_none = ["failed", "resident", "slab", "memory"];
    for result in &results {
        for server in ["kernel", "tunstack"] {
            let median = result["median"][server].as_f64().unwrap_or_else(|| panic!("{result}"));
            let figure = result["figure"].as_str().unwrap();
            let time = figure.starts_with("cpu") || figure.starts_with("cycles");
            let none = time || may_be_none.contains(&figure);
            assert!(none || median > 0.0, "{result}");
            if result["figure"] == "failed" {
                assert_eq!(median, 0.0, "{result}");
            }
        }
    }
    let p50 = results.iter().find(|r| r["column"] == "rr-1" && r["figure"] == "p50").unwrap();
    let [ours, kernel] = ["tunstack", "kernel"].map(|server| p50["median"][server].as_f64().unwrap());
    let ratio = p50["ratio"]["tunstack"].as_f64().unwrap();
    // What is read of a decimal may be off in its last digit.
    assert!((ratio - ours / kernel).abs() <= ratio * 1e-12, "{ratio} of {ours} and {kernel}");
    assert!(ours < 1.0, "seconds: {p50}");
    assert_eq!(lines.last().unwrap()["event"], "summary");

    let saved: Value = serde_json::from_slice(&fs::read(&save).unwrap()).unwrap();
    let told = ["servers", "mtu", "offload", "connections"].map(|name| saved[name].to_string());
    assert_eq!(told, [r#"["kernel","tunstack"]"#, "1500", r#""on""#, "50"]);
    assert_eq!(saved["results"].as_array().unwrap().len(), results.len());
    for figure in ["cpu_user", "cpu_system", "cpu_machine"] {
        let has = |column: &str| results.iter().any(|r| r["column"] == column && r["figure"] == figure);
        assert!(["up-2", "down-2", "both-2"].into_iter().all(has), "{figure}");
    }
    let drawing = fs::read_to_string(svg).unwrap();
    for part in ["<svg", "bulk up, 2 streams", "round trip of 1 octet: p50", "tunstack", "MTU 1500"] {
        assert!(drawing.contains(part), "{part}");
    }
    assert_eq!(interfaces(), [""; 0]);

    // What was kept is shown and drawn again as it was.
    let again = dir.path("again.svg");
    let done = run(&format!("bench --from {save} --svg {again}"));
    assert_ok(&done);
    let table = text(&done.stdout);
    for part in ["bulk up, 2 streams", "server's CPU in user mode", "50 connections at once", "offload on"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    assert!(fs::read_to_string(again).unwrap() == drawing);
    let done = run(&format!("bench --from {save} --json"));
    let shown = text(&done.stdout).lines().filter(|line| line.contains(r#""event":"result""#)).count();
    assert_eq!(shown, results.len());
}

/// With a few hundred instead of a million: this stack alone, the far end in a process of its own.
pub(crate) fn many_idle_connections_are_measured() {
    let dir = Scratch::new();
    let save = dir.path("million.json");
    let done = run(&format!("bench --only million --idle 300 --runs 2 --seconds 0.05 --json --save {save}"));
    assert_ok(&done);
    let lines: Vec<Value> =
        text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let runs: Vec<_> = lines.iter().filter(|l| l["event"] == "run").collect();
    let [run_of_own] = runs[..] else { panic!("{runs:?}") };
    assert_eq!((&run_of_own["column"], &run_of_own["server"]), (&"million".into(), &"tunstack".into()));
    let results: Vec<_> = lines.iter().filter(|l| l["event"] == "result").collect();
    for result in &results {
        assert!(result["median"]["kernel"].is_null(), "{result}");
        let median = result["median"]["tunstack"].as_f64().unwrap_or_else(|| panic!("{result}"));
        assert_eq!(median > 0.0, result["figure"] != "failed", "{result}");
    }
    let samples = |figure: &str| {
        let result = results.iter().find(|r| r["figure"] == figure).unwrap_or_else(|| panic!("{figure}"));
        result["runs"]["tunstack"].as_array().unwrap().len()
    };
    for sampled in ["opened", "connections_1", "connections_64", "p50", "p99", "longest"] {
        assert_eq!(["few", "all"].map(|with| samples(&format!("{sampled}_{with}"))), [2, 2], "{sampled}");
    }
    for once in ["came", "resident_few", "resident_all", "resident_each"] {
        assert_eq!(samples(once), 1, "{once}");
    }
    for closed in ["close", "close_each", "close_longest"] {
        assert_eq!(["part", "all"].map(|what| samples(&format!("{closed}_{what}"))), [1, 1], "{closed}");
    }
    assert_eq!(interfaces(), [""; 0]);

    let done = run(&format!("bench --from {save}"));
    assert_ok(&done);
    let table = text(&done.stdout);
    for part in
        ["300 idle connections", "| with ", "| closing ", "connect, close, 64 in flight", "for each of all"]
    {
        assert!(table.contains(part), "{part}: {table}");
    }
}

/// Processes that have this in their environment.
pub(crate) fn marked(mark: &str) -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc").unwrap().map_while(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // One that has ended meanwhile, or is another user's, is none of ours.
    let has = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|b| *b == 0).any(|one| one == mark.as_bytes())
    };
    pids.filter(has).collect()
}

pub(crate) fn until(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < LIMIT, "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A signal ends the servers before the program does; so does the program's sudden death.
pub(crate) fn a_benchmark_leaves_nothing_behind() {
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::TERM, Some(130)), (Signal::KILL, None)] {
        let mark = format!("TUNSTACK_TEST_MARK={}-{}", std::process::id(), signal.as_raw());
        let (name, value) = mark.split_once('=').unwrap();
        let mut command = command("bench --only up --streams 1 --seconds 50 --json");
        let program = Program::spawn(command.env(name, value), false);
        until("three processes run", || marked(&mark).len() == 3);
        program.signal(signal);
        let ended = program.ended();
        assert_eq!(ended.code, code, "{}", ended.other());
        if signal == Signal::KILL {
            until("the servers end", || marked(&mark).is_empty());
        }
        assert_eq!(marked(&mark), BTreeSet::new(), "{signal:?}");
    }
    assert_eq!(interfaces(), [""; 0]);
}

pub(crate) fn a_peer_of_a_benchmark_fails() {
    let cases = [
        ("echo failed no luck", "no luck"),
        ("echo steady", "\"steady\" instead of \"ready\""),
        ("sh -c 'exit 3'", "has ended: exit status: 3"),
    ];
    for (peer, says) in cases {
        let mut command = command("bench --quick --only rr --peer-command");
        let done = run_with(command.arg(peer), b"");
        assert_eq!(code(done.status), 1, "{peer}");
        let told = text(&done.stderr);
        assert!(told.contains(says) && told.trim_end().lines().count() == 1, "{peer}: {told}");
    }
    // One that ends in the middle.
    let mut short = command("bench --quick --only rr-1 --peer-command");
    let done = run_with(short.arg("sh -c 'echo ready short; exit 3'"), b"");
    assert_eq!(code(done.status), 1);
    let told = text(&done.stderr);
    assert!(told.contains("exit 3' has ended: exit status: 3)"), "{told}");
    assert!(text(&done.stdout).contains("| failed | failed |"), "{}", text(&done.stdout));
    // One that is there, but answers nothing at its ports: the others' figures stand.
    let dir = Scratch::new();
    let script = dir.write("peer.sh", b"echo ready mute; while read -r word; do echo count 0 0 0; done\n");
    let mut command = command("bench --quick --only rr-1 --peer-command");
    let done = run_with(command.arg(format!("sh {script}")), b"");
    assert_eq!(code(done.status), 1);
    let (out, told) = (text(&done.stdout), text(&done.stderr));
    let row = out.lines().find(|line| line.contains("round trip of 1 octet: p50")).unwrap();
    let cells: Vec<_> = row.split('|').map(str::trim).collect();
    assert_eq!((cells.len(), cells[6], cells[7]), (9, "failed", "failed"), "{out}");
    assert!(cells[4].parse::<f64>().unwrap() > 0.0, "{out}");
    assert!(told.contains("cannot connect to 10.9.0.2:5003"), "{told}");
}

/// A mount namespace in which the folder of the driver is empty.
pub(crate) fn a_benchmark_wants_a_driver() {
    let mut shell = Command::new("unshare");
    let script = "mount -t tmpfs none /dev/net && exec \"$0\" bench --quick";
    shell.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_tunstack")]);
    let done = run_with(&mut shell, b"");
    let told = text(&done.stderr);
    assert_eq!(code(done.status), 1, "{told}");
    assert!(told.contains("modprobe tun") && told.trim_end().lines().count() == 1, "{told}");
}
