//! Scripts that pass, and one for each way to fail.

use super::*;
use crate::packetdrill::source::Place;

/// A server with a connection: the listener is 3, the connection 4.
const ACCEPTED: &str = "\
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+.1 < S 0:0(0) win 32792 <mss 1000,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <...>
+.1 < . 1:1(0) ack 1 win 257
+0 accept(3, ..., ...) = 4
";

fn with(settings: &[&str]) -> Options {
    let settings = settings.iter().map(|setting| match setting.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => ((*setting).to_owned(), None),
    });
    Options { settings: settings.collect(), ..Options::default() }
}

fn outcome(text: &str) -> Outcome {
    run("test.pkt", text, &Options::default()).unwrap()
}

/// Runs a server with a connection, and then `rest`.
fn accepted(rest: &str) -> Outcome {
    outcome(&format!("{ACCEPTED}{rest}"))
}

fn passes(rest: &str) {
    assert_eq!(accepted(rest).verdict, Verdict::Passed);
}

/// What went wrong in the line of `rest` that did.
fn failure(rest: &str) -> (usize, Failure) {
    let before = ACCEPTED.lines().count();
    match accepted(rest).verdict {
        Verdict::Failed(failure) => {
            (Place::of(&format!("{ACCEPTED}{rest}"), failure.span).line.saturating_sub(before), failure)
        }
        other => panic!("{other:?}"),
    }
}

fn skipped(outcome: Outcome) -> String {
    match outcome.verdict {
        Verdict::Skipped(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_is_made_used_and_closed_over_each_version() {
    let rest = "+0 < P. 1:1001(1000) ack 1 win 257
        +0 > . 1:1(0) ack 1001
        +0 read(4, ..., 2000) = 1000
        +0 write(4, ..., 2000) = 2000
        +0 > P. 1:2001(2000) ack 1001
        +.1 < . 1001:1001(0) ack 2001 win 257
        +0 close(4) = 0
        +0 > F. 2001:2001(0) ack 1001
        +.1 < F. 1001:1001(0) ack 2002 win 257
        +0 > . 2002:2002(0) ack 1002";
    for version in ["ipv4", "ipv4-mapped-ipv6", "ipv6"] {
        let options = with(&[&format!("ip_version={version}"), "mtu=1520"]);
        let outcome = run("test.pkt", &format!("{ACCEPTED}{rest}"), &options).unwrap();
        assert_eq!(outcome.verdict, Verdict::Passed, "{version}");
        assert_eq!(outcome.took, Duration::from_millis(400));
        assert_eq!(outcome.notes, Vec::<String>::new());
    }
}

#[test]
fn a_client_connects_while_the_script_goes_on() {
    let script = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0...0.100 connect(3, ..., ...) = 0
        +0 > S 0:0(0) <...>
        +.1 < S. 0:0(0) ack 1 win 5792 <mss 1000>
        +0 > . 1:1(0) ack 1
        +0 write(3, ..., 10) = 10
        +0 > P. 1:11(10) ack 1";
    assert_eq!(outcome(script).verdict, Verdict::Passed);
}

#[test]
fn datagrams() {
    let script = "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3
        +0 connect(3, ..., ...) = 0
        +0 write(3, ..., 100) = 100
        +0 > udp (100)
        +.1 < udp (50)
        +0 read(3, ..., 100) = 50";
    assert_eq!(outcome(script).verdict, Verdict::Passed);
}

#[test]
fn a_packet_that_is_otherwise_is_shown_beside_the_expected_one() {
    let (line, failure) = failure("+0 write(4, ..., 100) = 100\n+0 > P. 1:102(101) ack 1");
    assert_eq!((line, &failure.what[..]), (2, "the stack sent something else than the rest of the packet"));
    assert!(failure.reason.unwrap().contains("retransmission"));
    let connecting = "0 socket(..., SOCK_DGRAM, 0) = 3\n+0 connect(3, ..., ...) = 0\n+0 > udp (1)";
    let Verdict::Failed(nothing) = outcome(connecting).verdict else { panic!("nothing was sent") };
    assert_eq!((&nothing.what[..], nothing.actual), ("no packet came in 2 s", None));
    let (line, failure) = self::failure("+0 write(4, ..., 100) = 100\n+0 >  F. 1:101(100)  ack 2 // Not so.");
    assert_eq!(line, 2);
    assert_eq!(failure.what, "the packet is not as expected: flags, acknowledgment number");
    assert_eq!(failure.expected.as_deref(), Some("> F. 1:101(100) ack 2"));
    let actual = failure.actual.unwrap();
    assert!(actual.starts_with("> P. 1:101(100) ack 1 win "), "{actual}");
    let reason = failure.reason.unwrap();
    assert!(reason.starts_with("new data | ESTABLISHED"), "{reason}");
    let rows: Vec<_> = failure.differences.iter().map(|(n, e, a)| (&n[..], &e[..], &a[..])).collect();
    assert_eq!(rows, [("flags", "F.", "P."), ("acknowledgment number", "2", "1")]);
}

#[test]
fn a_packet_that_does_not_come() {
    let (line, failure) = failure("+0 < . 1:1(0) ack 1 win 300\n+3 > . 1:1(0) ack 1");
    assert_eq!((line, failure.what.as_str()), (2, "no packet came in 5 s"));
    assert_eq!(failure.expected.as_deref(), Some("> . 1:1(0) ack 1"));
    let actual = failure.actual.unwrap();
    assert!(actual.starts_with("nothing; the last packet in: "), "{actual}");
    // At any time: a day is enough.
    let never = accepted("* > . 1:1(0) ack 1");
    assert!(matches!(never.verdict, Verdict::Failed(_)));
    assert_eq!(never.took, Duration::from_millis(24 * 3600 * 1000 + 200));
}

#[test]
fn a_packet_at_the_wrong_time() {
    let write = "+0 write(4, ..., 100) = 100\n";
    let (line, failure) = failure(&format!("{write}+.5 > P. 1:101(100) ack 1"));
    assert_eq!((line, failure.what.as_str()), (2, "the packet came at the wrong time"));
    let row = ("time".to_owned(), "0.7 s, give or take 0.0625 s".to_owned(), "0.2 s".to_owned());
    assert_eq!(failure.differences, [row]);
    passes(&format!("{write}+.004 > P. 1:101(100) ack 1"));
    passes(&format!("{write}* > P. 1:101(100) ack 1"));
    passes(&format!("{write}+0~+.5 > P. 1:101(100) ack 1"));
    // The retransmission, after the first timeout, which the acknowledgment of the SYN has made 300 ms.
    let (_, failure) = self::failure(&format!("{write}+0 > P. 1:101(100) ack 1\n+0 > P. 1:101(100) ack 1"));
    assert!(failure.differences[0].2.starts_with("0.50"), "{failure:?}");
    passes(&format!("{write}+0 > P. 1:101(100) ack 1\n+.3 > P. 1:101(100) ack 1"));
}

#[test]
fn an_event_that_comes_too_late_for_its_time() {
    let (line, failure) = failure(".2 `sleep 1`\n.3 `true`");
    assert_eq!((line, failure.what.as_str()), (2, "the event was due earlier"));
    assert_eq!(failure.differences[0].1, "0.3 s, give or take 0.0125 s");
    assert_eq!(failure.differences[0].2, "1.2 s");
}

#[test]
fn what_nobody_expects_is_noticed_by_the_next_expectation_and_not_at_the_end() {
    passes("+0 write(4, ..., 100) = 100");
    let (line, failure) = failure("+0 write(4, ..., 100) = 100\n+0 close(4) = 0\n+0 > F. 101:101(0) ack 1");
    assert_eq!((line, failure.what.starts_with("the packet is not as expected")), (3, true), "{failure}");
}

#[test]
fn a_packet_of_another_connection() {
    let (line, failure) = failure(
        "+0 < 5000 > 8080 S 0:0(0) win 1000
        +0 write(4, ..., 10) = 10
        +0 > 8080 > 5001 P. 1:11(10) ack 1",
    );
    assert_eq!((line, failure.what.as_str()), (3, "a packet of another connection came first"));
}

#[test]
fn segments_are_joined_unless_they_must_not_be() {
    let rest = "+0 write(4, ..., 3000) = 3000\n+0 > P. 1:3001(3000) ack 1";
    passes(rest);
    let strict = run("test.pkt", &format!("{ACCEPTED}{rest}"), &with(&["strict_segments"])).unwrap();
    assert!(matches!(strict.verdict, Verdict::Failed(_)));
}

#[test]
fn calls_and_their_results() {
    let (line, failure) = failure("+0 write(4, ..., 100) = 99");
    assert_eq!((line, failure.what.as_str()), (1, "write: expected 99, got 100"));
    let (_, failure) = self::failure("+0 read(4, ..., 100) = 100");
    assert!(failure.what.contains("EDEADLK (it would have to wait"), "{failure}");
    let why = skipped(accepted("+0 sendfile(4, 3, [0], 10) = 10"));
    assert_eq!(why, "sendfile() is not supported");
    let fatal = accepted("+0 write(4, ..., 100) = 99");
    assert!(matches!(fatal.verdict, Verdict::Failed(_)));
}

#[test]
fn a_number_may_be_given_to_another_accepted_socket() {
    let once = ACCEPTED.replace("+0 bind", "+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0\n+0 bind");
    let again = once.strip_prefix('0').unwrap();
    let twice = format!("{once}+0 close(3) = 0\n+0{again}+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1");
    assert_eq!(outcome(&twice).verdict, Verdict::Passed);
    // One that was not accepted has a number of its own.
    let (line, failure) = failure("+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4");
    assert_eq!((line, &*failure.what), (1, "socket: the script has that descriptor open already"));
}

#[test]
fn failures_that_end_nothing() {
    let rest = "+0 write(4, ..., 100) = 99\n+0 > P. 1:101(100) ack 7\n+.1 < . 1:1(0) ack 101 win 257\n+0 write(4, ..., 1) = 1\n+0 > P. 101:102(1) ack 1";
    let outcome =
        run("test.pkt", &format!("{ACCEPTED}{rest}"), &with(&["non_fatal=packet,syscall"])).unwrap();
    assert_eq!(outcome.verdict, Verdict::Passed);
    assert_eq!(
        outcome.notes,
        [
            "--non_fatal=syscall: write: expected 99, got 100",
            "--non_fatal=packet: the packet is not as expected: acknowledgment number",
        ]
    );
}

#[test]
fn a_call_that_waits_ends_at_its_time_and_no_other() {
    let data = "+.1 < P. 1:101(100) ack 1 win 257";
    passes(&format!("+0...0.1 read(4, ..., 1000) = 100\n{data}"));
    let (line, late) = failure(&format!("+0...0.05 read(4, ..., 1000) = 100\n{data}"));
    assert_eq!((line, late.what.as_str()), (1, "the call still waits"));
    let (line, early) = failure(&format!("+0...0.5 read(4, ..., 1000) = 100\n{data}\n+1 `true`"));
    assert_eq!((line, early.what.as_str()), (1, "the call returned at the wrong time"));
    let row = ("end".to_owned(), "0.7 s, give or take 0.0625 s".to_owned(), "0.3 s".to_owned());
    assert_eq!(early.differences, [row]);
    let (line, other) = failure(&format!("+0...0.1 read(4, ..., 1000) = 99\n{data}"));
    assert_eq!((line, other.what.as_str()), (1, "read: expected 99, got 100"));
    // It is as good as done when it need not wait.
    passes("+0 < P. 1:101(100) ack 1 win 257\n+0...0 read(4, ..., 1000) = 100");
}

#[test]
fn a_call_that_waits_too_long_for_another_or_for_the_end() {
    let waits = "the call still waits, 1 s after the event before";
    let (line, failure) = failure("+0...9 read(4, ..., 1) = 1");
    assert_eq!((line, failure.what.as_str()), (1, waits));
    let (line, failure) = self::failure("+0...9 read(4, ..., 1) = 1\n+0...9 accept(3, ..., ...) = 5");
    assert_eq!((line, failure.what.as_str()), (1, waits));
    // One after the other is fine.
    passes(
        "+0...0.1 poll([{fd=4, events=POLLIN, revents=0}], 1, 100) = 0\n+.1...0.3 poll([{fd=4, events=POLLIN, revents=0}], 1, 200) = 0",
    );
}

#[test]
fn settings_before_the_start_and_while_it_runs() {
    let syn = "< S 0:0(0) win 1000 <mss 1000,sackOK,TS val 1 ecr 0>";
    let listens =
        "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 5) = 0\n";
    let with_ts = "> S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 1 ecr 1>";
    let without = "> S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK>";
    assert_eq!(outcome(&format!("{listens}+0 {syn}\n+0 {with_ts}")).verdict, Verdict::Passed);
    let off = "`sysctl -q net.ipv4.tcp_timestamps=0`";
    assert_eq!(outcome(&format!("{off}\n{listens}+0 {syn}\n+0 {without}")).verdict, Verdict::Passed);
    assert_eq!(outcome(&format!("{listens}+0 {off}\n+0 {syn}\n+0 {without}")).verdict, Verdict::Passed);
    let route = "`ip route change 192.0.2.1 dev tun0 mtu lock 1000`";
    let smaller = with_ts.replace("1460", "960");
    assert_eq!(outcome(&format!("{route}\n{listens}+0 {syn}\n+0 {smaller}")).verdict, Verdict::Passed);
}

#[test]
fn commands_that_are_not_known_judge_nothing() {
    assert_eq!(skipped(accepted("+0 `nstat -n`")), "command not known here: nstat -n");
    assert_eq!(skipped(outcome("`ss -t`\n0 `true`")), "command not known here: ss -t");
    assert_eq!(skipped(accepted("+0 `sysctl -q net.none=1`")), "no such sysctl here: net.none");
    passes("+0 `sysctl -e -q net.none=1`");
    let (line, failure) = failure("+0 `sysctl -q net.ipv4.tcp_sack=9`");
    assert_eq!(line, 1);
    assert!(failure.what.starts_with("net.ipv4.tcp_sack takes "), "{failure}");
    let cleaned = accepted("+0 `tc qdisc replace dev tun0 root fq_codel`\n`ss -t`");
    assert_eq!(cleaned.verdict, Verdict::Passed);
    assert_eq!(
        cleaned.notes,
        [
            "no queueing discipline here: tc qdisc replace dev tun0 root fq_codel",
            "clean-up: command not known here: ss -t",
        ]
    );
    assert_eq!(
        skipped(run("test.pkt", "0 `true`", &with(&["is_anyip"])).unwrap()),
        "--is_anyip: the stack has the one address that a script gives it"
    );
}

#[test]
fn commands_that_can_be_obeyed_nowhere_are_failures() {
    let (line, failure) = failure("+0 `true`\n+0 `../common/defalts.sh`");
    assert_eq!(line, 2);
    assert!(failure.what.starts_with("cannot read ../common/defalts.sh: No such file"), "{failure}");
    let in_head = ["--init_scripts=none.sh\n0 `true`", "`./none.sh`\n0 `true`", "`echo 'a`\n0 `true`"];
    for script in in_head {
        assert!(matches!(outcome(script).verdict, Verdict::Failed(_)), "{script}");
    }
    let endless = run("test.pkt", "0 `true`", &with(&["init_scripts=/dev/zero"])).unwrap();
    let Verdict::Failed(failure) = endless.verdict else { panic!("it is no file of commands") };
    assert_eq!(failure.what, "cannot read /dev/zero: not a regular file");
}

#[test]
fn code_judges_what_was_at_its_time() {
    passes(
        "+0 %{ assert tcpi_state == TCP_ESTABLISHED and tcpi_unacked == 0 }%
        +0 write(4, ..., 100) = 100
        +0 %{ assert tcpi_unacked == 1, tcpi_unacked }%
        +.1 < . 1:1(0) ack 101 win 257
        +0 %{ assert tcpi_unacked == 0, tcpi_unacked }%",
    );
    let (line, failure) = failure("+0 %{ True }%\n+0 %{ assert tcpi_unacked == 9, 'no' }%");
    assert_eq!((line, failure.what.as_str()), (2, "the code failed: AssertionError: no"));
    assert_eq!(failure.actual.as_deref(), Some("tcpi_unacked = 0"));
    let (_, failure) = self::failure("+0 %{ assert False }%");
    assert_eq!((failure.expected, failure.actual), (None, None), "no value is told of as missing");
    // A `signal.py` in the folder where drill is called is nobody's code.
    passes("+0 %{ import sys; assert sys.flags.isolated and '' not in sys.path, sys.path }%");
    let Verdict::Failed(failure) = outcome("0 %{ True }%").verdict else { panic!("there is no socket") };
    assert_eq!(failure.what, "the code asks for TCP_INFO, but the connection has no descriptor");
    let text = format!("{ACCEPTED}+0 %{{ True }}%");
    let outcome = run("test.pkt", &text, &with(&["code_command=no-such-python"])).unwrap();
    assert!(skipped(outcome).contains("was not run"));
}

#[test]
fn no_time_is_too_long() {
    passes("+0 `sleep 1000000000`\n+1000000000 `true`");
    let waits = accepted("+0...1000000000 read(4, ..., 1) = 1\n+999999999.5 < P. 1:2(1) ack 1 win 9");
    assert_eq!(waits.verdict, Verdict::Passed);
    // Nor any that no clock has.
    assert!(accepted("+0 `sleep 1e18`").took > Duration::from_secs(1 << 33));
    assert_eq!(skipped(accepted("+0 `sleep 1e30`")), "sleep 1e30: expected seconds");
}

#[test]
fn a_run_is_the_same_each_time() {
    let text = format!("{ACCEPTED}+0 write(4, ..., 100) = 100\n+0 > . 5:6(1) ack 9");
    let run = || run("test.pkt", &text, &Options::default()).unwrap();
    assert_eq!(run(), run());
}

#[test]
fn what_is_no_script_and_what_cannot_be_in_one() {
    let error = run("test.pkt", "0 close(3 = 0", &Options::default()).unwrap_err();
    assert_eq!(error.place.to_string(), "1:11");
    let Verdict::Failed(failure) = outcome("--none\n0 `true`").verdict else {
        panic!("there is no such option")
    };
    assert_eq!(failure.what, "no such option: --none");
    let Verdict::Failed(failure) = outcome("0 `ss`\n+0 < icmp unreachable none").verdict else {
        panic!("there is no such code")
    };
    assert!(failure.what.starts_with("ICMP type unreachable has no code none"), "{failure}");
    let dry = run("test.pkt", "0 `ss`", &with(&["dry_run"])).unwrap();
    assert_eq!(skipped(dry), "--dry_run: read and not run");
    assert_eq!(skipped(outcome("--dry_run\n0 `ss`")), "--dry_run: read and not run");
}

#[cfg(feature = "capture")]
#[test]
fn a_failure_leaves_its_packets() {
    let folder = std::env::temp_dir().join(format!("tunstack-run-{}", std::process::id()));
    let options = Options { captures: Some(folder.clone()), ..Options::default() };
    let failed = run("tcp/a/b.pkt", &format!("{ACCEPTED}+0 > . 1:1(0) ack 1"), &options).unwrap();
    let passed = run("tcp/a/c.pkt", ACCEPTED, &options).unwrap();
    let file = std::fs::read(folder.join("tcp-a-b.pcapng"));
    let files = std::fs::read_dir(&folder).unwrap().count();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(failed.capture, Some(folder.join("tcp-a-b.pcapng")));
    assert_eq!((passed.verdict, passed.capture, files), (Verdict::Passed, None, 1));
    let file = file.unwrap();
    assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    let comment = b"answer to a connection request";
    assert!(file.windows(comment.len()).any(|window| window == comment));
}

/// A server that gives a cookie, with what is set at the script's beginning.
fn asks_for_a_cookie(settings: &str, cookie: &str) -> String {
    format!(
        "`sysctl -q net.ipv4.tcp_fastopen=3 {settings}`
        0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
        +0 bind(3, ..., ...) = 0
        +0 listen(3, 1) = 0
        +0 setsockopt(3, SOL_TCP, TCP_FASTOPEN, [1], 4) = 0
        +0 < S 0:0(0) win 1000 <mss 1000,FO,nop,nop>
        +0 > S. 0:0(0) ack 1 <mss 1460,FO {cookie},nop,nop>"
    )
}

/// Two are those that google's scripts have for their addresses.
#[test]
fn the_cookie_is_that_of_the_addresses_and_the_secret() {
    const GOOGLES: &str = "net.ipv4.tcp_fastopen_key=a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4";
    let v6 = ["ip_version=ipv6", "mtu=1520", "local_ip=fd3d:0a0b:17d6::1", "remote_ip=fd3d:fa7b:d17d::1"];
    let moved = ["local_ip=192.168.7.7", "remote_ip=198.51.100.3"];
    let other = "net.ipv4.tcp_fastopen_key=1-2-3-4";
    let verdict = |settings: &[&str], key: &str, cookie: &str| {
        run("test.pkt", &asks_for_a_cookie(key, cookie), &with(settings)).unwrap().verdict
    };
    for (settings, known) in [(&[][..], "3021b9d889017eeb"), (&v6, "c1d1e9742a47a9bc")] {
        for cookie in [known, "TFO_COOKIE"] {
            assert_eq!(verdict(settings, GOOGLES, cookie), Verdict::Passed, "{settings:?} {cookie}");
        }
    }
    for (settings, key) in [(&moved[..], GOOGLES), (&[], other), (&moved, other), (&v6, other)] {
        assert_eq!(verdict(settings, key, "TFO_COOKIE"), Verdict::Passed, "{settings:?} {key}");
        let usual = verdict(settings, key, "3021b9d889017eeb");
        assert!(matches!(usual, Verdict::Failed(_)), "{settings:?} {key}: {usual:?}");
    }
    // Who defines it means what he says.
    let defined = ["define=TFO_COOKIE=3021b9d889017eeb"];
    assert_eq!(verdict(&defined, GOOGLES, "TFO_COOKIE"), Verdict::Passed);
    assert!(matches!(verdict(&defined, other, "TFO_COOKIE"), Verdict::Failed(_)));
    let in_head = format!("--define=TFO_COOKIE=3021b9d889017eeb\n{}", asks_for_a_cookie(other, "TFO_COOKIE"));
    assert!(matches!(outcome(&in_head).verdict, Verdict::Failed(_)));
    // What is wrong elsewhere is told as ever.
    assert_eq!(skipped(outcome(&asks_for_a_cookie("a.b=1", "TFO_COOKIE"))), "no such sysctl here: a.b");
}
