//! `echo`, `ping`, `up` and `down`, captures and signals.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::thread;

use pcap_parser::pcapng::{Block, parse_block_le};
use rustix::process::Signal;

use super::program::*;

fn connect(addr: &str) -> TcpStream {
    let stream = TcpStream::connect_timeout(&at(addr), LIMIT).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

pub(crate) fn echo_serves_over_tcp() {
    let (program, ready) = Program::start_command(command("echo").arg("--json"), false);
    let ports: Vec<_> = ready["services"].as_array().unwrap().iter().map(|s| s["port"].clone()).collect();
    assert_eq!(ports, [5001, 5001, 5002, 5002, 5003, 5003]);
    for host in ["10.7.0.2", "[fd07::2]"] {
        let sent = data(3_000_000);
        // Echo: all of it, and an end for an end.
        let mut stream = connect(&format!("{host}:5003"));
        let (mut writer, input) = (stream.try_clone().unwrap(), sent.clone());
        let writer = thread::spawn(move || {
            writer.write_all(&input).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        writer.join().unwrap();
        assert!(hash(&got) == hash(&sent));
        // Discard: takes it and says nothing; its end comes after ours.
        let mut stream = connect(&format!("{host}:5001"));
        stream.write_all(&sent).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        assert!(got.is_empty());
        // Source: the pattern, without end, also to one who has said all.
        let mut stream = connect(&format!("{host}:5002"));
        stream.shutdown(Shutdown::Write).unwrap();
        let mut got = vec![0; 74 * 95 * 400];
        stream.read_exact(&mut got).unwrap();
        assert!(got.starts_with(b" !\"#$%&'()"), "{}", text(&got[..80]));
        assert!(got.chunks(74 * 95).all(|period| period == &got[..74 * 95]));
    }
    program.stop_well();
}

pub(crate) fn echo_serves_over_udp() {
    let program = Program::start("echo --discard-port 9 --source-port 19 --echo-port 7");
    for (own, host) in [("10.7.0.1:0", "10.7.0.2"), ("[fd07::1]:0", "[fd07::2]")] {
        let socket = UdpSocket::bind(own).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let to = |port: u16| at(&format!("{host}:{port}"));
        let mut buffer = vec![0; 65_536];
        socket.send_to(b"into the void", to(9)).unwrap();
        // The last one is fragmented, both ways.
        for len in [0, 1, 1400, 20_000] {
            let sent = data(len);
            socket.send_to(&sent, to(7)).unwrap();
            let (n, from) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!(from, to(7), "discard says nothing");
            assert!(buffer[..n] == sent, "{n} of {len}");
            socket.send_to(&sent, to(19)).unwrap();
            let (n, from) = socket.recv_from(&mut buffer).unwrap();
            assert_eq!((n, from), (len, to(19)));
        }
        // A port without a service refuses.
        socket.connect(to(10)).unwrap();
        socket.send(b"x").unwrap();
        let refused = socket.recv(&mut buffer).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    program.stop_well();
}

pub(crate) fn a_thousand_connections_at_once() {
    let program = Program::start("echo");
    let mut streams: Vec<_> = (0..1000).map(|_| connect("10.7.0.2:5003")).collect();
    for (n, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&n.to_be_bytes()).unwrap();
    }
    for (n, stream) in streams.iter_mut().enumerate() {
        let mut got = [0; 8];
        stream.read_exact(&mut got).unwrap();
        assert_eq!(got, n.to_be_bytes());
    }
    // All are still open, and all are closed in order.
    program.signal(Signal::INT);
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    drop(streams);
    let ended = program.ended();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.other().contains("were reset"), "{}", ended.other());
    assert_eq!(ended.event("summary")["counters"]["TcpPassiveOpens"], 1000);
}

pub(crate) fn the_stack_answers_ping() {
    let program = Program::start("echo");
    for line in
        ["ping -c 3 -i 0.2 10.7.0.2", "ping -c 2 -i 0.2 -s 4000 10.7.0.2", "ping -6 -c 3 -i 0.2 fd07::2"]
    {
        let said = tool(line);
        assert!(said.contains(" 0% packet loss"), "{said}");
    }
    program.stop_well();
}

pub(crate) fn ping_asks_the_host() {
    for (host, header) in [("10.7.0.1", "56(84) bytes of data."), ("fd07::1", "56 data bytes")] {
        let output = run(&format!("ping -c 3 -i 0.01 {host}"));
        assert_ok(&output);
        let said = text(&output.stdout);
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[0], format!("PING {host} ({host}) {header}"));
        for (n, line) in (1..=3).zip(&lines[1..]) {
            assert!(line.starts_with(&format!("64 bytes from {host}: icmp_seq={n} time=")), "{said}");
        }
        assert_eq!(lines[5], format!("--- {host} ping statistics ---"));
        assert!(lines[6].starts_with("3 packets transmitted, 3 received, 0% packet loss, time "), "{said}");
        assert!(lines[7].starts_with("rtt min/avg/max/mdev = "), "{said}");
    }
    let large = run("ping -c 1 -s 5000 10.7.0.1");
    assert!(text(&large.stdout).contains("5008 bytes from 10.7.0.1: icmp_seq=1"), "{}", text(&large.stdout));
    // Nobody is there: the kernel has no way but back into the device.
    let nobody = run("ping -c 2 -i 0.1 -W 0.3 10.7.0.99");
    assert_eq!(code(nobody.status), 1);
    assert!(text(&nobody.stdout).contains("2 packets transmitted, 0 received"), "{}", text(&nobody.stdout));
    assert!(nobody.stderr.is_empty(), "{}", text(&nobody.stderr));
    // Ctrl-C ends it with the statistics.
    let mut program = Program::spawn(&mut command("ping --json 10.7.0.1"), false);
    assert!(program.line().contains("\"reply\""));
    let ended = program.stop();
    assert_eq!((ended.code, ended.event("statistics")["loss_percent"].as_f64()), (Some(0), Some(0.0)));
}

pub(crate) fn an_impaired_link_is_late() {
    let program = Program::start("echo --link 100mbit,delay=30ms");
    let said = tool("ping -c 2 -i 0.2 10.7.0.2");
    let min = said.split("rtt min/avg/max/mdev = ").nth(1).unwrap().split('/').next().unwrap();
    let min: f64 = min.parse().unwrap();
    assert!((60.0..1000.0).contains(&min), "twice 30 ms, not {min}");
    let mut stream = connect("10.7.0.2:5003");
    stream.write_all(b"late").unwrap();
    let mut got = [0; 4];
    stream.read_exact(&mut got).unwrap();
    drop(stream);
    program.stop_well();
}

/// Runs the program as root without the right to administer the network, as the owner of a device is.
pub(crate) fn unprivileged(args: &str) -> Command {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", env!("CARGO_BIN_EXE_tunstack")]);
    setpriv.args(args.split_whitespace()).env_remove("SUDO_USER");
    setpriv
}

pub(crate) fn up_and_down() {
    let up = run("up --user root --json --dev mine --addr 10.9.0.2/24 --mtu 1400");
    assert_ok(&up);
    let said: serde_json::Value = serde_json::from_slice(&up.stdout).unwrap();
    assert_eq!((&said["device"], &said["uid"], &said["mtu"]), (&"mine".into(), &0.into(), &1400.into()));
    assert_eq!(interfaces(), ["mine"]);
    let flags = "--dev mine --addr 10.9.0.2/24 --mtu 1400";
    let ping = run_with(&mut unprivileged(&format!("ping -c 1 10.9.0.1 {flags}")), b"");
    assert_ok(&ping);
    // It stays, and other settings are another matter.
    assert_eq!(interfaces(), ["mine"]);
    let other = run_with(&mut unprivileged("ping -c 1 10.9.0.1 --dev mine --addr 10.9.0.2/24"), b"");
    assert_eq!(code(other.status), 1);
    assert!(text(&other.stderr).contains("its MTU is 1400, not 1500"), "{}", text(&other.stderr));
    assert_ok(&run("down --dev mine"));
    assert_eq!(interfaces(), [""; 0]);
    // A number serves as a user, too.
    assert_ok(&run("up --user 0"));
    assert_ok(&run("down"));
}

pub(crate) fn a_capture_is_whole() {
    let dir = Scratch::new();
    let file = dir.path("run.pcapng");
    let program = Program::start(&format!("echo --pcap {file}"));
    let mut stream = connect("10.7.0.2:5003");
    stream.write_all(b"to be seen").unwrap();
    let mut got = [0; 10];
    stream.read_exact(&mut got).unwrap();
    drop(stream);
    let summary = program.stop_well().event("summary");
    let (lengths, comments) = captured(&file);
    let packets = lengths.len() as u64;
    let counters = &summary["counters"];
    let counted = counters["IpInReceives"].as_u64().unwrap() + counters["IpOutRequests"].as_u64().unwrap();
    assert_eq!(packets, counted, "{counters}");
    assert!(comments.iter().any(|c| c.contains("cwnd")), "{comments:?}");
}

/// The lengths of the packets in a capture, and their comments.
fn captured(file: &str) -> (Vec<usize>, Vec<String>) {
    let bytes = std::fs::read(file).unwrap();
    let (mut rest, mut lengths, mut comments) = (&bytes[..], Vec::new(), Vec::new());
    while !rest.is_empty() {
        let (after, block) = parse_block_le(rest).unwrap();
        rest = after;
        if let Block::EnhancedPacket(b) = block {
            lengths.push(b.caplen as usize);
            let comment = b.options.iter().find(|o| o.code.0 == 1);
            comments.extend(comment.map(|o| text(&o.value[..o.len.into()])));
        }
    }
    (lengths, comments)
}

pub(crate) fn the_kernel_joins_where_it_is_told() {
    let dir = Scratch::new();
    let file = dir.path("run.pcapng");
    for (flags, offload, large) in [
        ("", true, true),
        ("--offload off --pcap-split", false, false),
        ("--offload auto --spin 50us", true, true),
        ("--offload on --pcap-split", true, false),
    ] {
        let mut echo = command(&format!("echo --json --pcap {file} {flags}"));
        let (program, ready) = Program::start_command(&mut echo, false);
        assert_eq!(ready["offload"], offload, "{flags}");
        let mut stream = connect("10.7.0.2:5001");
        stream.write_all(&data(300_000)).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        program.stop_well();
        let (lengths, comments) = captured(&file);
        let longest = lengths.into_iter().max().unwrap();
        assert_eq!(longest > 1500, large, "{flags}: the longest has {longest}");
        let pieces = comments.iter().any(|comment| comment.contains(" | piece 2 of "));
        assert_eq!(pieces, offload && !large, "{flags}");
    }
}

#[cfg(feature = "uring")]
pub(crate) fn no_io_uring_is_made_where_it_is_forbidden() {
    if let Err(e) = io_uring::IoUring::new(64) {
        return println!("skipped: this kernel gives no io_uring: {e}");
    }
    for (flag, made) in [("--no-uring", 0), ("", 1)] {
        let program = Program::start(&format!("echo --offload off {flag}"));
        let socket = UdpSocket::bind("10.7.0.1:0").unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        // What waits for one who does not run is a burst. There is one to compare before another is read the other way.
        for _ in 0..4 {
            program.pause();
            for n in 0..20 {
                socket.send_to(&[n], at("10.7.0.2:5003")).unwrap();
            }
            program.signal(Signal::CONT);
            for n in 0..20 {
                let mut got = [0];
                assert_eq!((socket.recv(&mut got).unwrap(), got), (1, [n]));
            }
        }
        assert_eq!(program.open("anon_inode:[io_uring]"), made, "{flag}");
        program.stop_well();
    }
}

pub(crate) fn a_second_signal_ends_at_once() {
    let program = Program::start("echo --log info");
    // A connection that the host does not end.
    let mut stream = connect("10.7.0.2:5003");
    stream.write_all(b"hello").unwrap();
    let mut got = [0; 5];
    stream.read_exact(&mut got).unwrap();
    program.signal(Signal::INT);
    // Its end has come, so the first signal was taken, and now it waits for ours.
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    program.signal(Signal::TERM);
    let ended = program.ended();
    assert_eq!(ended.code, Some(130));
    assert!(ended.other().contains("once more"), "{}", ended.other());
    assert_eq!(interfaces(), [""; 0]);
}

pub(crate) fn help_and_version() {
    let version = run("--version");
    assert_ok(&version);
    assert_eq!(text(&version.stdout), format!("tunstack {}\n", env!("CARGO_PKG_VERSION")));
    for command in ["", "demo", "serve", "echo", "nc", "get", "ping", "up", "down"] {
        let help = run(&format!("{command} --help"));
        assert_ok(&help);
        let said = text(&help.stdout);
        for flag in
            ["--dev", "--addr", "--peer6", "--no-ipv6", "--mtu", "--link", "--pcap", "--log", "--json"]
        {
            assert!(said.contains(flag), "{command}: {flag}");
        }
        assert!(said.contains("xample") || command == "demo", "{command}: {said}");
        assert!(said.lines().all(|line| line.chars().count() <= 120), "{said}");
    }
}

/// Somebody who reads the first lines and leaves.
pub(crate) fn a_closed_pipe_is_no_panic() {
    for (args, enough) in [("ping -i 0.01 10.7.0.1", 1), ("--help", 1)] {
        let mut child =
            command(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut vec![0; enough]).unwrap();
        drop(out);
        let output = child.wait_with_output().unwrap();
        assert!(output.stderr.is_empty(), "{args}: {}", text(&output.stderr));
        assert!(output.status.code().is_some_and(|c| c <= 1), "{args}: {}", output.status);
    }
    // Nobody reads from the beginning.
    let (nobody, out) = std::io::pipe().unwrap();
    drop(nobody);
    let output = command("ping -c 1 10.7.0.1").stdin(Stdio::null()).stdout(out).output().unwrap();
    assert_eq!((code(output.status), text(&output.stderr)), (0, String::new()));
}
