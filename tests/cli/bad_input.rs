//! What cannot work, and the line that says why.

use std::os::unix::fs::PermissionsExt;

use super::program::*;
use super::services::unprivileged;

/// The exit code, and one line that has all of these words.
fn refused(output: &std::process::Output, exit: i32, words: &[&str]) {
    let line = text(&output.stderr);
    assert_eq!(code(output.status), exit, "{line}");
    assert!(line.starts_with("tunstack: ") && line.ends_with('\n'), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line}");
    }
    assert_eq!(text(&output.stdout), "");
}

pub(crate) fn bad_input_is_told_in_one_line() {
    let dir = Scratch::new();
    let file = dir.write("file", b"");
    for (args, exit, words) in [
        ("", 2, &["subcommand", "demo"][..]),
        ("frobnicate", 2, &["'frobnicate'"]),
        ("demo --adr 10.7.0.2/24", 2, &["'--adr'", "'--addr'"]),
        ("demo --addr ten", 2, &["--addr", "\"ten\" is no IP address"]),
        ("demo --addr 10.7.0.2", 2, &["--addr", "10.7.0.2/24"]),
        ("demo --addr 10.7.0.2/33", 2, &["--addr", "up to 32"]),
        ("demo --addr 10.7.0.0/24", 2, &["--addr", "the prefix itself"]),
        ("demo --addr 10.7.0.255/24", 2, &["--addr", "broadcast"]),
        ("demo --addr 224.0.0.1/24", 2, &["--addr", "single host"]),
        ("demo --addr 127.0.0.1/8", 2, &["--addr", "loopback"]),
        ("demo --addr fd07::9/64", 2, &["--addr", "not an IPv4 address"]),
        ("demo --addr6 10.7.0.2/24", 2, &["--addr6", "not an IPv6 address"]),
        ("demo --peer 10.8.0.1", 2, &["--peer", "not in the stack's prefix"]),
        ("demo --peer 10.7.0.2", 2, &["--peer", "the stack's own"]),
        ("demo --no-ipv6 --peer6 fd07::1", 2, &["--peer6", "--no-ipv6"]),
        ("demo --mtu 1000", 2, &["--mtu", "1280", "--no-ipv6"]),
        ("demo --mtu 60 --no-ipv6", 2, &["--mtu", "68"]),
        ("demo --mtu 70000", 2, &["--mtu", "65535"]),
        ("demo --mtu big", 2, &["--mtu"]),
        ("demo --dev a/b", 2, &["--dev", "slash"]),
        ("demo --dev a-name-that-is-too-long", 2, &["--dev", "15 octets"]),
        ("demo --dev lo", 1, &["lo is", "not a plain TUN", "--dev"]),
        ("demo --link fast", 2, &["--link", "100mbit"]),
        ("demo --offload perhaps", 2, &["--offload", "one of on, off, auto"]),
        ("demo --mem much", 2, &["--mem", "no size", "64M"]),
        ("demo --mem 9K", 2, &["--mem", "at least 1M"]),
        ("up --user root --mem 64M", 2, &["--mem", "up"]),
        ("demo --pcap-split", 2, &["--pcap-split", "without --pcap"]),
        ("demo --spin 20", 2, &["--spin", "20us"]),
        ("demo --spin 2s", 2, &["--spin", "up to a second"]),
        ("up --user root --offload on", 2, &["--offload", "up"]),
        ("up --user root --spin 20us", 2, &["--spin", "up"]),
        ("up --user root --no-uring", 2, &["--no-uring", "up"]),
        ("demo --steer", 2, &["--steer", "with offload", "--offload off"]),
        ("demo --offload on --steer", 2, &["--steer", "with offload", "--offload off"]),
        ("bench --quick --offload on --steer", 2, &["--steer", "with offload", "--offload off"]),
        ("up --user root --steer --shards 2", 2, &["--steer", "first queue", "--shards 1"]),
        ("down --steer", 2, &["--steer", "down"]),
        ("demo --gro", 2, &["--gro", "with offload", "--offload off"]),
        ("bench --quick --offload off --gro --shards 2", 2, &["--gro", "several queues", "--shards 1"]),
        ("down --gro", 2, &["--gro", "down"]),
        ("race --kernel --steer", 2, &["--steer", "makes its own"]),
        ("race --kernel --no-uring", 2, &["--no-uring", "race"]),
        ("demo --log loud", 2, &["--log", "debug"]),
        ("demo --port 70000", 2, &["--port"]),
        ("demo /nonexistent", 1, &["/nonexistent", "No such file"]),
        ("demo --pcap /nonexistent/x.pcapng", 1, &["/nonexistent/x.pcapng", "No such file", "--pcap"]),
        ("bench --from /nonexistent", 1, &["/nonexistent", "No such file"]),
        ("bench --from /dev/null", 1, &["/dev/null", "no JSON"]),
        ("drill", 2, &["<PATH>"]),
        ("drill /nonexistent", 1, &["/nonexistent", "No such file"]),
        (&format!("drill --filter other {file}"), 1, &["other", "--list"]),
        (&format!("drill --mtu 1400 {file}"), 2, &["--mtu", "--set mtu=1400"]),
        (&format!("drill --pcap x.pcapng {file}"), 2, &["--pcap", "--captures"]),
        (&format!("drill --define FIN {file}"), 2, &["--define", "value"]),
        (&format!("drill --jobs 0 {file}"), 2, &["--jobs"]),
        ("serve", 2, &["<DIR>"]),
        ("serve /nonexistent", 1, &["/nonexistent", "No such file"]),
        (&format!("serve {file}"), 1, &["Not a directory"]),
        ("get https://example.org/", 2, &["TLS"]),
        ("get gopher://x/", 2, &["only http://"]),
        ("get http://10.7.0.1:9/", 1, &["10.7.0.1:9", "Connection refused"]),
        ("get http://no.such.name.invalid/", 1, &["no.such.name.invalid"]),
        ("get http://[fd07::1]/ --no-ipv6", 1, &["family"]),
        ("nc 10.7.0.1", 2, &["port", "HOST PORT"]),
        ("nc 10.7.0.1 0", 2, &["\"0\" is no port"]),
        ("nc 10.7.0.1 http", 2, &["\"http\" is no port"]),
        ("nc -l -p 7 9000", 2, &["'--listen'"]),
        ("nc 10.7.0.1 9", 1, &["10.7.0.1:9", "Connection refused"]),
        ("nc -l 10.7.0.9 9000", 1, &["10.7.0.9 is not an address of the stack", "10.7.0.2"]),
        ("ping", 2, &["<HOST>"]),
        ("ping 10.7.0.1 -c 0", 2, &["--count"]),
        ("ping 10.7.0.1 -W -1", 2, &["-1"]),
        ("echo --discard-port 5002", 1, &["TCP port 5002", "in use", "--source-port"]),
        ("race --cc vegas", 2, &["--cc", "\"vegas\" is no congestion control algorithm"]),
        ("race --link 20ms", 2, &["--link has no rate", "100mbit"]),
        ("race --pcap x", 2, &["--pcap"]),
        ("bench --only sideways", 2, &["--only", "up, down, both"]),
        ("bench --only rr-7", 2, &["--only rr-7", "rr-1, rr-1024"]),
        ("bench --only million --idle 9", 2, &["--idle", "10..="]),
        ("bench --idle 100", 2, &["--idle", "--only million"]),
        ("bench --only million --svg x.svg", 2, &["--svg", "million"]),
        ("bench --mtu 500", 2, &["--mtu 500", "576 to 65535"]),
        ("bench --save /nowhere/x", 1, &["cannot write /nowhere/x", "No such file"]),
        ("bench --svg /nowhere/x", 1, &["cannot write /nowhere/x"]),
        ("bench --dev tun3", 2, &["--dev", "makes its own"]),
        ("up", 2, &["--user NAME"]),
        ("up --user no-such-user", 1, &["no-such-user", "--user"]),
        ("up --user root --pcap x", 2, &["--pcap", "up"]),
        ("down", 1, &["no device tun0", "--dev"]),
        ("down --dev lo", 1, &["lo is", "--dev"]),
    ] {
        refused(&run(args), exit, words);
        assert_eq!(interfaces(), [""; 0], "{args}");
    }
    assert_eq!(dir.names(), ["file"]);
}

pub(crate) fn missing_rights_are_told() {
    let dir = Scratch::new();
    let closed = dir.path("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    for (args, words) in [
        ("demo", &["no right to make tun0", "root", "tunstack up --user NAME"][..]),
        ("ping 10.7.0.1", &["no right to make tun0"]),
        ("up --user root", &["no right to make tun0", "run as root", "sudo tunstack up"]),
        ("race --kernel", &["needs a network namespace", "needs root", "sudo"]),
        ("bench --quick", &["a benchmark needs a network namespace", "needs root", "sudo"]),
    ] {
        refused(&run_with(&mut unprivileged(args), b""), 1, words);
    }
    // A directory and a capture that may not be opened: root may, unless it gives that up.
    let mut setpriv = std::process::Command::new("setpriv");
    let none = "-dac_override,-dac_read_search";
    setpriv.args([format!("--bounding-set={none}"), format!("--inh-caps={none}")]);
    setpriv.arg(env!("CARGO_BIN_EXE_tunstack")).args(["serve", &closed]);
    refused(&run_with(&mut setpriv, b""), 1, &["closed", "Permission denied", "rights"]);
    let mut setpriv = std::process::Command::new("setpriv");
    setpriv.args([format!("--bounding-set={none}"), format!("--inh-caps={none}")]);
    setpriv.arg(env!("CARGO_BIN_EXE_tunstack")).args(["echo", "--pcap", &format!("{closed}/x")]);
    refused(&run_with(&mut setpriv, b""), 1, &["closed/x", "Permission denied", "--pcap"]);
    assert_eq!(interfaces(), [""; 0]);
}

pub(crate) fn what_is_in_use_is_told() {
    let program = Program::start("echo");
    refused(&run("demo"), 1, &["tun0 is held by another program", "--dev"]);
    refused(&run("down"), 1, &["tun0 is held by another program"]);
    refused(&run("demo --dev tun1"), 1, &["10.7.0.2/24 overlaps 10.7.0.1/24 of tun0", "--addr"]);
    refused(&run("demo --dev tun1 --addr 10.8.0.2/24"), 1, &["fd07::2/64 overlaps", "--addr6"]);
    // Beside it, with addresses of its own, another one works.
    assert_ok(&run("ping -c 1 10.8.0.1 --dev tun1 --addr 10.8.0.2/24 --no-ipv6"));
    assert_eq!(interfaces(), ["tun0"]);
    program.stop_well();
}

pub(crate) fn a_full_disk_is_told_at_the_end() {
    let program = Program::start("echo --pcap /dev/full --log warn");
    // The run goes on.
    assert_ok(&run("--version"));
    let mut stream = std::net::TcpStream::connect_timeout(&at("10.7.0.2:5003"), LIMIT).unwrap();
    std::io::Write::write_all(&mut stream, b"still there").unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut got = [0; 11];
    std::io::Read::read_exact(&mut stream, &mut got).unwrap();
    drop(stream);
    let ended = program.stop();
    assert_eq!(ended.code, Some(1), "{}", ended.other());
    assert_eq!(ended.event("summary")["ok"], false);
    let said = ended.other();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].contains("WARN") && lines[0].contains("No space left on device"), "{said}");
    assert!(lines[1].starts_with("tunstack: the capture /dev/full lacks packets: No space left"), "{said}");
}

pub(crate) fn a_device_that_vanishes_is_told() {
    let program = Program::start("echo");
    tunstack::device::netlink::delete_link("tun0").unwrap();
    let ended = program.ended();
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.other(), "tunstack: tun0 was deleted while in use: start again\n");
    assert_eq!(ended.event("summary")["ok"], false);
}
