use std::fs;

use super::*;

fn acts(line: &str) -> Vec<Act> {
    read(line, Path::new("/nowhere")).unwrap()
}

fn refused(line: &str) -> String {
    match read(line, Path::new("/nowhere")) {
        Err(Refused::Unknown(what)) => what,
        other => panic!("{line}: {other:?}"),
    }
}

fn set(name: &str, value: &str) -> Act {
    Act::Sysctl { name: name.to_owned(), value: value.to_owned(), needed: true }
}

#[test]
fn sysctls_by_all_their_ways() {
    assert_eq!(
        acts("sysctl -q net.ipv4.tcp_sack=0 net.ipv4.tcp_rmem=\"1 2 $((3*4))\""),
        [set("net.ipv4.tcp_sack", "0"), set("net.ipv4.tcp_rmem", "1 2 12"),]
    );
    assert_eq!(
        acts("sysctl -w a.b=1 && ../common/set_sysctls.py /proc/sys/c/d=2 /proc/sys/e=3"),
        [set("a.b", "1"), set("/proc/sys/c/d", "2"), set("/proc/sys/e", "3"),]
    );
    assert_eq!(acts("echo -n 5 6 > /proc/sys/a/b"), [set("/proc/sys/a/b", "5 6")]);
    let passed_over = Act::Sysctl { name: "x".into(), value: "1".into(), needed: false };
    assert_eq!(acts("sysctl -e -q x=1"), [passed_over]);
    assert_eq!(acts("sysctl net.ipv4.tcp_sack"), [], "it is only shown");
}

#[test]
fn what_has_no_effect() {
    let nothing = "true; : x; cat /proc/sys/a; echo hello; set -e;
        ip link set dev tun0 up; /tmp/sysctl_restore_${PPID}.sh; ethtool -K tun0 tso off gso off";
    assert_eq!(acts(nothing), []);
    let noted = acts("tc qdisc replace dev tun0 root fq_codel");
    let note = "no queueing discipline here: tc qdisc replace dev tun0 root fq_codel";
    assert_eq!(noted, [Act::Paced(false), Act::Note(note.into())]);
    assert_eq!(acts("ip tcp_metrics flush all > /dev/null 2>&1"), [Act::Forget]);
    let of_old = acts("sysctl -q net.ipv4.tcp_fastopen_cookies=0 || ip tcp_metrics flush all");
    assert_eq!(of_old, [set("net.ipv4.tcp_fastopen_cookies", "0"), Act::Forget]);
}

/// The last queue that a device is given is the one it has.
#[test]
fn of_all_queues_one_paces() {
    let paced = |line: &str| match acts(line)[..] {
        [Act::Paced(on)] => on,
        ref other => panic!("{line}: {other:?}"),
    };
    assert!(paced("tc qdisc replace dev tun0 root fq") && !paced("tc qdisc add dev tun0 root pfifo"));
    assert_eq!(acts("tc qdisc add dev tun0 root fq && tc qdisc replace dev tun0 root pfifo").len(), 2);
    assert_eq!(acts("tc qdisc del dev tun0 root")[0], Act::Paced(false));
    assert_eq!(acts("tc qdisc add dev tun0 root fq nopacing")[0], Act::Paced(false));
    assert_eq!(acts("tc qdisc replace dev tun0 root handle 1: fq")[0], Act::Paced(true));
    assert!(matches!(acts("tc qdisc show dev tun0 root")[..], [Act::Note(_)]));
}

#[test]
fn what_a_shell_has_done_besides_sysctls() {
    use Beside::{Forget, Paced};
    let folder = std::env::temp_dir().join(format!("tunstack-beside-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let defaults =
        "ip tcp_metrics flush all > /dev/null 2>&1\nnstat\nsysctl -q a=1\ntc qdisc add dev tun0 root pfifo\n";
    fs::write(folder.join("defaults.sh"), defaults).unwrap();
    fs::write(folder.join("round.sh"), "./round.sh\n".repeat(40)).unwrap();
    fs::write(folder.join("open.sh"), "echo 'x").unwrap();
    let mut overlooked = Vec::new();
    let mut beside = |line: &str| beside_sysctls(line, &folder, |why| overlooked.push(why.to_owned()));
    let found = [
        (
            "./defaults.sh\nrm x; tc qdisc replace dev tun0 root fq\nsysctl -e -q c=3",
            &[Forget, Paced(false), Paced(true)][..],
        ),
        ("sleep 1 && /sbin/ip -4 tcp_metrics flush all &> /dev/null", &[Forget]),
        (
            "tc qdisc del dev tun0 root 2>/dev/null ; tc qdisc add dev tun0 root pfifo limit 0",
            &[Paced(false); 2],
        ),
        ("true || tc qdisc replace dev tun0 root fq", &[]),
        ("echo ip tcp_metrics flush; ./none.sh; 'tc qdisc replace dev tun0 root fq'", &[]),
    ]
    .map(|(line, expected)| (beside(line), Ok(expected.to_vec())));
    let refused = ["echo 'x", "echo $((1+1))", "./round.sh"].map(|line| beside(line).unwrap_err());
    assert_eq!(beside("./open.sh; ip tcp_metrics flush"), Ok(vec![Forget]));
    fs::remove_dir_all(&folder).unwrap();
    for (found, expected) in found {
        assert_eq!(found, expected);
    }
    assert_eq!(refused[0], "a command's ' has no end");
    assert_eq!(refused[1], "a command's $((1+1)) is no product of numbers");
    assert_eq!(refused[2], "more than 1000 commands in one");
    let missing = format!("cannot read {}: ", folder.join("./none.sh").display());
    assert!(overlooked[0].starts_with(&missing), "{}", overlooked[0]);
    assert_eq!(overlooked.last().unwrap(), "a command's ' has no end");
}

#[test]
fn sleeps() {
    assert_eq!(
        acts("sleep 1.5; sleep 2s 1m"),
        [Act::Sleep(Duration::from_millis(1500)), Act::Sleep(Duration::from_secs(62)),]
    );
    for wrong in ["sleep", "sleep x", "sleep -1", "sleep 1e400"] {
        assert_eq!(refused(wrong), format!("{wrong}: expected seconds"));
    }
}

#[test]
fn routes() {
    let route = "ip -6 route change 2001:DB8::1 via fd::1 dev tun0 advmss 1480 mtu lock 1520 initcwnd 4 rto_min 300ms";
    assert_eq!(
        acts(route),
        [
            Act::Route(Attribute::Mtu(1520)),
            Act::Route(Attribute::InitialWindow(4)),
            Act::Route(Attribute::MinimumRto(Duration::from_millis(300))),
            Act::Route(Attribute::AdvertisedMss(1480)),
        ]
    );
    assert_eq!(acts("ip link set dev tun0 mtu 1400"), [Act::Route(Attribute::Mtu(1400))]);
    for unknown in
        ["ip route add 1.2.3.4 quickack 1", "ip route add 1.2.3.4 mtu", "ip route del 1.2.3.4", "ip addr"]
    {
        assert_eq!(refused(unknown), format!("command not known here: {unknown}"));
    }
}

#[test]
fn what_looks_into_a_kernel_or_does_something_else_is_refused_by_name() {
    for unknown in [
        "nstat > /dev/null",
        "tc qdisc add dev tun0 root pfifo limit 0",
        "ethtool -S tun0",
        "ethtool -K tun0 gso on",
        "rm -f /tmp/x",
        "echo 1 > /tmp/x",
    ] {
        assert_eq!(refused(unknown), format!("command not known here: {unknown}"));
    }
    assert_eq!(refused("true; echo x | grep x"), "command not known here: echo x");
    assert_eq!(refused("cat /etc/passwd"), "command not known here: cat /etc/passwd");
}

#[test]
fn files_of_commands_are_read_where_the_script_stands() {
    let folder = std::env::temp_dir().join(format!("tunstack-commands-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("defaults.sh"), "#!/bin/bash\n# Settings.\nsysctl -q a=1\n./more.sh\n").unwrap();
    fs::write(folder.join("more.sh"), "sysctl -q b=2").unwrap();
    fs::write(folder.join("round.sh"), "./round.sh").unwrap();
    fs::write(folder.join("long.sh"), " ".repeat(70_000)).unwrap();
    let found =
        ["./defaults.sh; sysctl -q c=3", "sh defaults.sh", ". ./defaults.sh"].map(|line| read(line, &folder));
    let by_name = read_file("defaults.sh", &folder);
    let faulty = ["./round.sh", "./long.sh", "./none.sh", "source /dev/zero"].map(|line| read(line, &folder));
    let faulty = faulty.map(|result| match result {
        Err(Refused::Faulty(what)) => what,
        other => panic!("{other:?}"),
    });
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(found[0], Ok(vec![set("a", "1"), set("b", "2"), set("c", "3")]));
    for others in [&found[1], &found[2], &by_name] {
        assert_eq!(*others, Ok(vec![set("a", "1"), set("b", "2")]));
    }
    assert_eq!(faulty[0], "./round.sh: called from a file 4 files deep");
    assert!(faulty[1].ends_with("long.sh: longer than 65536 octets"), "{}", faulty[1]);
    assert!(faulty[2].contains("none.sh: No such file"), "{}", faulty[2]);
    assert_eq!(faulty[3], "cannot read /dev/zero: not a regular file");
}
