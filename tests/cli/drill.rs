//! `tunstack drill`: what is said of scripts that pass, fail, are skipped and are none.

use std::os::unix::fs::PermissionsExt;

use super::program::*;

const PASSES: &str = "\
// A listener answers.
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 1000 <mss 1000>
+0 > S. 0:0(0) ack 1 <...>
+3600 < R 1:1(0) win 0
";

fn drill(args: &[&str]) -> std::process::Output {
    run(&format!("drill {}", args.join(" ")))
}

pub(crate) fn scripts_are_run_and_reported() {
    let dir = Scratch::new();
    for topic in ["topic", "other"] {
        std::fs::create_dir(dir.path(topic)).unwrap();
    }
    let good = dir.write("topic/good.pkt", PASSES.as_bytes());
    let bad = dir.write("topic/bad.pkt", PASSES.replace("S. 0:0(0) ack 1", "S. 0:0(0) ack 2").as_bytes());
    let none = dir.write("other/none.pkt", b"0 socket(..., = 3\n");
    let skip = dir.write("other/skip.pkt", format!("`nstat -n`\n{PASSES}").as_bytes());

    // Alone, over each kind of address.
    let passed = drill(&["--ip-version", "all", &good]);
    assert_eq!(code(passed.status), 0, "{}", text(&passed.stderr));
    let out = text(&passed.stdout);
    for version in ["ipv4", "ipv4-mapped-ipv6", "ipv6"] {
        assert!(out.contains(&format!("[{version}]")), "{out}");
    }
    assert!(out.contains("of 3600 s") && out.contains("all 3 passed"), "{out}");
    assert!(!out.contains('\u{1b}'), "no colour where nobody sees it");

    // A failure shows the line, both packets and the capture.
    let captures = dir.path("captures");
    let failed = drill(&["--captures", &captures, &bad]);
    assert_eq!(code(failed.status), 1);
    let out = text(&failed.stdout);
    for part in
        ["bad.pkt:6:", "> S. 0:0(0) ack 2", "acknowledgment number", "expected", "actual", "1 of 1 failed"]
    {
        assert!(out.contains(part), "{part}: {out}");
    }
    let place = format!("{bad}:6:1: the packet is not as expected");
    assert!(out.contains(&format!("      {place}")), "its diff: {out}");
    assert!(out.contains(&format!("\nFAIL  {place}")), "and its place below the table: {out}");
    assert!(out.contains("why: answer to a connection request | SYN-RECEIVED | "), "{out}");
    let capture = std::fs::read_dir(&captures).unwrap().next().expect("a capture").unwrap().path();
    assert!(out.contains(capture.to_str().unwrap()), "{out}");
    let magic = std::fs::read(&capture).unwrap();
    assert_eq!(magic[..4], [0x0a, 0x0d, 0x0d, 0x0a], "a pcapng file");

    // What is no script is told as such, and what cannot be judged is not a failure.
    let broken = drill(&[&none]);
    assert_eq!(code(broken.status), 1);
    assert!(text(&broken.stdout).contains("none.pkt:1:") && text(&broken.stdout).contains('^'));
    let skipped = drill(&[&skip]);
    assert_eq!(code(skipped.status), 2, "nothing was judged");
    assert!(text(&skipped.stderr).contains("nothing was judged: skipped 1 of 1"));
    assert_eq!(code(drill(&[&skip, &good]).status), 0);
    assert!(text(&skipped.stdout).contains("nstat"), "{}", text(&skipped.stdout));
    assert!(text(&skipped.stdout).contains("0 of 1 passed, none failed"));

    // All of a folder: in order, by topic, for people, for programs and for build servers.
    let root = dir.path("");
    let all = drill(&[&root]);
    assert_eq!(code(all.status), 1);
    let out = text(&all.stdout);
    let places = ["other/none.pkt", "other/skip.pkt", "topic/bad.pkt", "topic/good.pkt", "topic  "];
    let places = places.map(|name| out.find(name).unwrap_or_else(|| panic!("{name}: {out}")));
    assert!(places.is_sorted(), "{out}");
    let junit = dir.path("report.xml");
    let json = drill(&["--json", "--junit", &junit, "-j", "1", &root]);
    let lines: Vec<serde_json::Value> =
        text(&json.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verdicts: Vec<_> = lines.iter().filter_map(|line| line["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["broken", "skipped", "failed", "passed"]);
    assert_eq!((lines[2]["line"].as_u64(), lines[2]["topic"].as_str()), (Some(6), Some("topic")));
    assert_eq!(lines[3]["virtual_seconds"].as_f64(), Some(3600.0));
    let summary = lines.last().unwrap();
    assert_eq!((summary["event"].as_str(), summary["failed"].as_u64()), (Some("summary"), Some(2)));
    let xml = std::fs::read_to_string(&junit).unwrap();
    for part in ["<testsuite name=\"topic\" tests=\"2\"", "failures=\"1\"", "good.pkt", "bad.pkt:6:"] {
        assert!(xml.contains(part), "{part}: {xml}");
    }

    // What was passed over stands under what passed.
    let wrong = format!("--non_fatal=syscall\n{PASSES}+0 listen(3, 1) = 7\n");
    let lenient = dir.write("lenient.pkt", wrong.as_bytes());
    let passed = drill(&[&lenient]);
    assert_eq!(code(passed.status), 0);
    assert!(
        text(&passed.stdout).contains("\n      note: --non_fatal=syscall: listen"),
        "{}",
        text(&passed.stdout)
    );

    // What is no file of a script is not read without end.
    let endless = drill(&["/dev/zero"]);
    assert_eq!(code(endless.status), 1);
    assert!(text(&endless.stdout).contains("cannot read /dev/zero: not a regular file"));

    // A script about one kind of addresses is run with these alone.
    let own = dir.write("own.pkt", format!("--ip_version=ipv6\n{PASSES}").as_bytes());
    assert!(text(&drill(&["--ip-version", "all", &own]).stdout).contains("all 1 passed"));

    // A part of them, and only their names.
    let listed = drill(&["--list", "--filter", "good", &root]);
    assert_eq!((code(listed.status), text(&listed.stdout).as_str()), (0, "topic/good.pkt\n"));

    // The command line has the last word.
    let defined = dir.write("defined.pkt", PASSES.replace("win 1000", "win WINDOW").as_bytes());
    assert_eq!(code(drill(&[&defined]).status), 1);
    assert_eq!(code(drill(&["-D", "WINDOW=1000", "--set", "tolerance_usecs=1000", &defined]).status), 0);
}

/// Symbols whose values depend on the addresses are there, whoever says what these are: nobody, the command line, the script.
pub(crate) fn symbols_of_the_addresses_are_defined() {
    let fast_open = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packetdrill/fast-open");
    let kind = "\
 0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3
+0 setsockopt(3, CMSG_LEVEL_IP, CMSG_TYPE_RECVERR, [1], 4) = 0
";
    let dir = Scratch::new();
    let ipv6 = dir.write("ipv6.pkt", format!("--ip_version=ipv6\n{kind}").as_bytes());
    let any = dir.write("any.pkt", kind.as_bytes());
    for version in [&[][..], &["--ip-version", "all"]] {
        let judged = drill(&[version, &[fast_open, &ipv6, &any]].concat());
        assert_eq!(code(judged.status), 0, "{version:?}: {}", text(&judged.stdout));
    }
    // The cookie is for the addresses that there are.
    let moved = drill(&["--set", "local_ip=192.168.7.7", "--set", "remote_ip=198.51.100.3", fast_open]);
    assert_eq!(code(moved.status), 0, "{}", text(&moved.stdout));
    let set = drill(&["--set", "ip_version=ipv4-mapped-ipv6", &ipv6_level(&dir)]);
    assert_eq!(code(set.status), 0, "{}", text(&set.stdout));

    // What the script itself defines is no other's to choose, but that of who runs it.
    let kind = kind.replace("CMSG_TYPE_RECVERR", "TFO_COOKIE");
    let own = dir.write("own.pkt", format!("--define=TFO_COOKIE=IP_TTL // not a cookie\n{kind}").as_bytes());
    for args in [&[][..], &["--ip-version", "ipv4"]] {
        let judged = drill(&[args, &[&own]].concat());
        assert_eq!(code(judged.status), 0, "{args:?}: {}", text(&judged.stdout));
    }
    assert_eq!(code(drill(&["-D", "CMSG_LEVEL_IP=NO_SUCH_LEVEL", &own]).status), 1);

    // What a head says goes before what a name says, with all else in it.
    let v6 = "--ip_version=ipv6\n--mtu=1500\n
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 65535 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss 1440>
";
    let mapped = SOL_IP.replace("IP_TTL", "IPV6_UNICAST_HOPS");
    let mapped = format!("--ip_version=ipv4-mapped-ipv6\n{mapped}");
    let named = [
        dir.write("small-ipv6.pkt", v6.as_bytes()),
        dir.write("small-ipv4.pkt", v6.as_bytes()),
        dir.write("small-ipv4-mapped-ipv6.pkt", mapped.as_bytes()),
    ];
    let judged = drill(&[&["--ip-version", "all"][..], &named.each_ref().map(String::as_str)].concat());
    assert!(text(&judged.stdout).contains("all 3 passed"), "{}", text(&judged.stdout));

    // The MTU of IPv6 is there whoever names the addresses, but not over one that the head names.
    let own = v6.replace("--mtu=1500\n", "");
    let small = dir.write("small.pkt", own.as_bytes());
    let full = dir.write("full.pkt", own.replace("mss 1440", "mss 1460").as_bytes());
    let runs = [
        &["--ip-version", "all", &full][..],
        &["--ip-version", "all", "--set", "mtu=1500", &small],
        &["--ip-version", "ipv6", &full],
        &["--ip-version", "ipv6", &named[0]],
        &[&small],
    ];
    for args in runs {
        let judged = drill(args);
        assert_eq!(code(judged.status), 0, "{args:?}: {}", text(&judged.stdout));
    }

    // A comment behind it says nothing of the version.
    let said = dir.write("said.pkt", format!("--ip_version=ipv4 // not mapped\n{SOL_IP}").as_bytes());
    let judged = drill(&[&said]);
    assert_eq!(code(judged.status), 0, "{}", text(&judged.stdout));
}

/// What holds of CMSG_LEVEL_IP where sockets are of IPv4.
const SOL_IP: &str = "\
 0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3
+0 setsockopt(3, CMSG_LEVEL_IP, IP_TTL, [1], 4) = 0
";

/// A script in which they are of IPv6.
fn ipv6_level(dir: &Scratch) -> String {
    let script = SOL_IP.replace("IP_TTL", "IPV6_UNICAST_HOPS");
    dir.write("level.pkt", script.as_bytes())
}

pub(crate) fn a_report_that_is_lost_is_told() {
    let dir = Scratch::new();
    let good = dir.write("good.pkt", PASSES.as_bytes());
    let to_full = |args: &str| {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ran = command(&format!("drill {args} {good}")).stdout(full).output().unwrap();
        (code(ran.status), text(&ran.stderr))
    };
    for args in ["", "--json", "--list", "--list --json"] {
        let lost = "tunstack: cannot write the report: No space left on device\n";
        assert_eq!(to_full(args), (1, lost.to_owned()), "{args}");
    }

    // The one for build servers too, though the other says that all passed.
    for (file, why) in
        [("/dev/full", "No space left on device"), ("/nonexistent/r.xml", "No such file or directory")]
    {
        let ran = drill(&["--junit", file, &good]);
        assert_eq!(text(&ran.stderr), format!("tunstack: cannot write {file}: {why}\n"));
        assert_eq!(code(ran.status), 1);
        assert!(text(&ran.stdout).contains("all 1 passed"));
    }

    // A reader that goes away needs no words, but it is no success either.
    let (nobody, out) = std::io::pipe().unwrap();
    drop(nobody);
    let ran = command(&format!("drill {good}")).stdout(out).output().unwrap();
    assert_eq!((code(ran.status), text(&ran.stderr)), (1, String::new()));
    the_file_for_build_servers_is_whole(&dir);
}

/// Whoever reads the other report goes away; there is a file already, and a link to it.
fn the_file_for_build_servers_is_whole(dir: &Scratch) {
    let folder = dir.path("scripts");
    std::fs::create_dir(&folder).unwrap();
    std::fs::create_dir(dir.path("reports")).unwrap();
    for n in 0..50 {
        dir.write(&format!("scripts/{n}.pkt"), PASSES.as_bytes());
    }
    let (file, link) = (dir.write("reports/report.xml", b"the one before"), dir.path("reports/link.xml"));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let before = std::fs::File::open(&file).unwrap();
    let (nobody, out) = std::io::pipe().unwrap();
    drop(nobody);
    let ran = command(&format!("drill -j 2 --junit {link} {folder}")).stdout(out).output().unwrap();
    assert_eq!((code(ran.status), text(&ran.stderr)), (1, String::new()));
    let xml = std::fs::read_to_string(&file).unwrap();
    assert!(xml.matches("<testcase ").count() == 50 && xml.trim_end().ends_with("</testsuites>"), "{xml}");
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    // Who had opened it has it whole too, and nothing else is left.
    assert_eq!(std::io::read_to_string(before).unwrap(), "the one before");
    assert_eq!(std::fs::read_dir(dir.path("reports")).unwrap().count(), 2);

    // A pipe is written to.
    let ran = drill(&["--json", "--junit", "/dev/stderr", &dir.path("scripts/0.pkt")]);
    assert_eq!(code(ran.status), 0);
    assert!(text(&ran.stderr).trim_end().ends_with("</testsuites>"), "{}", text(&ran.stderr));
}
