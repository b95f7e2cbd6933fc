use std::collections::BTreeSet;
use std::fs;

use tunstack_core::config::{Config, SynCookies};
use tunstack_core::tcp::congestion::{Algorithm, Custom, Hystart, Settings};
use tunstack_core::time::Duration;

use super::*;

fn after(name: &str, value: &str) -> Config {
    let mut config = Config::default();
    assert_eq!(set(&mut config, name, value).unwrap(), Effect::Set, "{name}={value}");
    config
}

fn refused(name: &str, value: &str) -> String {
    let mut config = Config::default();
    let before = format!("{config:?}");
    let error = set(&mut config, name, value).unwrap_err().to_string();
    assert_eq!(format!("{config:?}"), before, "{name}={value}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn names_have_dots_or_slashes() {
    for name in [
        "net.ipv4.ip_default_ttl",
        "net/ipv4/ip_default_ttl",
        "/proc/sys/net/ipv4/ip_default_ttl",
        " net.ipv4.ip_default_ttl\n",
    ] {
        assert_eq!(after(name, "33").hop_limit, 33);
    }
    assert_eq!(refused("net.ipv4.tcp_nonsense", "1"), "no such sysctl here: net.ipv4.tcp_nonsense");
    for name in ["", "tcp_sack", "net.ipv4", "net..ipv4.tcp_sack", "/proc/sys/", "net\n.ipv4.tcp_sack"] {
        assert!(refused(name, "1").starts_with("no such sysctl here: "));
    }
}

#[test]
fn what_is_obeyed_sets_its_field() {
    let tcp = |name: &str, value: &str| after(&format!("net.ipv4.tcp_{name}"), value).tcp;
    assert_eq!(["0", "1", "2"].map(|value| tcp("timestamps", value).timestamps), [false, true, true]);
    assert!(!tcp("window_scaling", "0").window_scaling);
    assert!(!tcp("sack", "0").sack);
    let rmem = tcp("rmem", "4096 540000 15728640");
    assert_eq!(
        (rmem.receive_buffer_min, rmem.receive_buffer, rmem.receive_buffer_max),
        (2048, 270_000, 7_864_320)
    );
    assert_eq!(tcp("rmem", "4096").receive_buffer, Config::default().tcp.receive_buffer);
    let wmem = tcp("wmem", "4096\t50000\t4194304\n");
    assert_eq!((wmem.send_buffer_min, wmem.send_buffer, wmem.send_buffer_max), (4096, 50_000, 4 << 20));
    assert!(!tcp("moderate_rcvbuf", "0").moderate_receive_buffer);
    assert!(tcp("moderate_rcvbuf", "1").moderate_receive_buffer);
    assert_eq!(tcp("notsent_lowat", "4000").unsent_low_water, 4000);
    assert_eq!(tcp("notsent_lowat", "4294967295").unsent_low_water, 0);
    assert_eq!(tcp("syn_retries", "4").syn_retries, 4);
    assert_eq!(tcp("synack_retries", "0").syn_ack_retries, 0);
    assert_eq!(tcp("rto_min_us", "5000").min_rto, Duration::from_millis(5));
    assert_eq!(tcp("rto_max_ms", "60000").max_rto, Duration::from_secs(60));
    assert_eq!(tcp("reordering", "7").reordering, 7);
    assert_eq!(tcp("pacing_ss_ratio", "300").pacing_slow_start_ratio, 300);
    assert_eq!(tcp("pacing_ca_ratio", "100").pacing_avoidance_ratio, 100);
    assert!(!tcp("slow_start_after_idle", "0").slow_start_after_idle);
    assert_eq!(tcp("fin_timeout", "30").fin_wait_2_timeout, Duration::from_secs(30));
    assert_eq!(tcp("keepalive_time", "600").keepalive_time, Duration::from_secs(600));
    assert_eq!(tcp("keepalive_intvl", "5").keepalive_interval, Duration::from_secs(5));
    assert_eq!(tcp("keepalive_probes", "3").keepalive_probes, 3);
    assert_eq!(tcp("max_syn_backlog", "128").max_syn_backlog, 128);
    let cookies = ["0", "1", "2"].map(|value| tcp("syncookies", value).syn_cookies);
    assert_eq!(cookies, [SynCookies::Never, SynCookies::WhenFull, SynCookies::Always]);
    assert!(tcp("abort_on_overflow", "1").abort_on_overflow);
    assert_eq!(tcp("max_orphans", "17").max_orphans, 17);
    assert_eq!(tcp("max_tw_buckets", "18").max_time_wait, 18);
    let limit = tcp("invalid_ratelimit", "500");
    assert_eq!((limit.challenge_limit, limit.challenge_interval), (1, Duration::from_millis(500)));
    let limit = tcp("invalid_ratelimit", "0");
    assert_eq!((limit.challenge_limit, limit.challenge_interval), (u8::MAX, Duration::ZERO));
    assert_eq!(after("net.core.somaxconn", "5").tcp.max_backlog, 5);
    assert_eq!(after("net.ipv4.ip_local_port_range", "5000 6000").ephemeral_ports, (5000, 6000));
    assert!(!after("net.ipv4.ip_no_pmtu_disc", "1").path_mtu_discovery);
    assert_eq!(after("net.ipv4.route.mtu_expires", "300").path_mtu_lifetime, Duration::from_secs(300));
    assert_eq!(after("net.ipv4.icmp_msgs_per_sec", "1000").icmp_errors_per_second, 1000);
    assert_eq!(after("net.ipv4.ipfrag_high_thresh", "4194304").reassembly_memory, 4 << 20);
    assert_eq!(after("net.ipv4.ipfrag_time", "30").reassembly_timeout, Duration::from_secs(30));
    assert_eq!(after("net.core.rmem_default", "9000").udp_receive_buffer, 9000);
    assert_eq!(after("net.core.wmem_default", "9001").udp_send_buffer, 9001);
}

/// 15 take 924.6 s in Linux's own documentation, and that is the default here. RFC 9293 §3.8.3 wants 100 s, which is
/// 8 in the same place.
#[test]
fn retries_are_the_time_they_take() {
    let r2 = |n: &str| after("net.ipv4.tcp_retries2", n).tcp.r2;
    assert_eq!(r2("15"), Duration::from_millis(924_600));
    assert_eq!(r2("15"), Config::default().tcp.r2);
    assert_eq!(r2("8"), Duration::from_millis(102_200));
    assert_eq!(r2("0"), Duration::from_millis(200));
    assert_eq!(r2("10"), Duration::from_millis(204_600 + 120_000));
    assert!(r2("255") > Duration::from_secs(29_000));
}

/// What Linux has no name for is set elsewhere.
#[test]
fn congestion_control_by_name() {
    assert_eq!(after("net.ipv4.tcp_congestion_control", "reno\n").tcp.congestion, Algorithm::Reno);
    let detect = |bits: &str| {
        let file = "/sys/module/tcp_cubic/parameters/hystart_detect";
        after(file, bits).tcp.congestion_settings.hystart
    };
    let classic = |trains, delays| Hystart::Classic { trains, delays };
    assert_eq!(
        [0, 1, 2, 3, 4].map(|bits| detect(&bits.to_string())),
        [
            Hystart::Off,
            classic(true, false),
            classic(false, true),
            classic(true, true),
            Settings::default().hystart,
        ]
    );
    let convergence = after("module.tcp_cubic.parameters.fast_convergence", "0").tcp.congestion_settings;
    assert!(!convergence.fast_convergence && Settings::default().fast_convergence);

    static MINE: Custom = Custom::new("mine", |_| unreachable!("no connection begins"));
    let mut config = Config::default();
    config.tcp.congestion_available.push(Algorithm::Custom(&MINE));
    set(&mut config, "net.ipv4.tcp_congestion_control", "mine").unwrap();
    assert_eq!(config.tcp.congestion, Algorithm::Custom(&MINE));
}

#[test]
fn what_is_out_of_range_is_refused() {
    assert_eq!(refused("net.ipv4.tcp_sack", "2"), "net.ipv4.tcp_sack takes 0 or 1, not \"2\"");
    assert_eq!(
        refused("net.ipv4.tcp_wmem", "1 2 3 4"),
        "net.ipv4.tcp_wmem takes up to three numbers from 1 to 2147483647, not \"1 2 3 4\""
    );
    assert_eq!(
        refused("net.ipv4.tcp_congestion_control", "foo"),
        "net.ipv4.tcp_congestion_control takes the name of an algorithm that is there, not \"foo\""
    );
    assert_eq!(
        refused("net.ipv4.ip_local_port_range", "9 8"),
        "net.ipv4.ip_local_port_range takes two ports from 1 to 65535, the lower one first, not \"9 8\""
    );
    refused("net.ipv4.tcp_frto", "3");
    refused("net.ipv4.tcp_fastopen_key", "a\nb");
    for row in rows() {
        refused(row.name(), "");
        if let Values::Number(least, most) = row.values() {
            refused(row.name(), &(least - 1).to_string());
            refused(row.name(), &(most + 1).to_string());
            refused(row.name(), "many");
        }
    }
}

/// Each row that sets something does so at both ends of its range without harm, and no noted one sets anything.
#[test]
fn every_row_is_what_it_says() {
    let mut names = BTreeSet::new();
    for row in rows() {
        assert!(names.insert(row.name()), "{} twice", row.name());
        assert!(row.name().starts_with("net.") || row.name().starts_with("module."));
        assert!(!row.meaning().is_empty());
        let some = match row.values() {
            Values::Number(least, most) => vec![least.to_string(), most.to_string()],
            Values::Triple => vec!["1 1 1".to_owned(), "2147483647 2147483647 2147483647".to_owned()],
            Values::Ports => vec!["1 1".to_owned(), "65535 65535".to_owned()],
            Values::Word(words) => words.iter().map(ToString::to_string).collect(),
            Values::Algorithm => vec!["reno".to_owned(), "cubic".to_owned(), "bbr".to_owned()],
            Values::Text => vec!["a1-b2".to_owned()],
            Values::Secrets => vec!["1-2-3-4".to_owned(), "1-2-3-4,5-6-7-8".to_owned()],
        };
        let left: BTreeSet<String> = some
            .iter()
            .map(|value| {
                let mut config = Config::default();
                let effect = set(&mut config, row.name(), value).unwrap();
                assert_eq!(matches!(effect, Effect::Noted(_)), row.noted().is_some());
                format!("{config:?}")
            })
            .collect();
        if row.noted().is_some() {
            assert_eq!(left, BTreeSet::from([format!("{:?}", Config::default())]), "{}", row.name());
        } else {
            assert!(left.len() >= 2, "{}", row.name());
        }
    }
}

/// What the initial command of google's scripts sets.
#[test]
fn the_settings_of_public_scripts_are_known() {
    let mut config = Config::default();
    for (name, value) in [
        ("tcp_rmem", "4096 540000 15728640"),
        ("tcp_wmem", "4096 262144 4194304"),
        ("tcp_timestamps", "1"),
        ("tcp_syn_retries", "5"),
        ("tcp_synack_retries", "5"),
        ("tcp_frto", "2"),
        ("tcp_sack", "1"),
        ("tcp_dsack", "1"),
        ("tcp_fack", "0"),
        ("tcp_reordering", "3"),
        ("tcp_congestion_control", "cubic"),
        ("tcp_slow_start_after_idle", "0"),
        ("tcp_early_retrans", "4"),
        ("tcp_recovery", "1"),
        ("tcp_tso_win_divisor", "3"),
        ("tcp_ecn", "0"),
        ("tcp_ecn_option", "2"),
        ("tcp_pacing_ss_ratio", "200"),
        ("tcp_pacing_ca_ratio", "120"),
        ("tcp_notsent_lowat", "4294967295"),
        ("tcp_fastopen", "0x70403"),
        ("tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"),
        ("tcp_syncookies", "1"),
        ("tcp_min_tso_segs", "10"),
        ("tcp_mtu_probing", "2"),
        ("tcp_base_mss", "512"),
        ("tcp_fastopen_blackhole_timeout_sec", "0"),
        ("tcp_fastopen_cookies", "1"),
    ] {
        if let Err(error) = set(&mut config, &format!("net.ipv4.{name}"), value) {
            panic!("{error}");
        }
    }
}

#[test]
fn a_tree_is_taken_over_as_far_as_it_goes() {
    let root = std::env::temp_dir().join(format!("tunstack-sysctl-{}", std::process::id()));
    fs::create_dir_all(root.join("net/ipv4/route")).unwrap();
    fs::create_dir_all(root.join("net/core")).unwrap();
    fs::write(root.join("net/ipv4/tcp_rmem"), "4096\t131072\t6291456\n").unwrap();
    fs::write(root.join("net/ipv4/tcp_fack"), "not read\n").unwrap();
    fs::write(root.join("net/ipv4/route/mtu_expires"), "60\n").unwrap();
    fs::write(root.join("net/core/somaxconn"), "12\n").unwrap();
    let mut config = Config::default();
    assert_eq!(
        names(&read_from(&root, &mut config).unwrap()),
        ["net.ipv4.tcp_rmem", "net.core.somaxconn", "net.ipv4.route.mtu_expires"]
    );
    assert_eq!((config.tcp.receive_buffer, config.tcp.max_backlog), (65_536, 12));
    assert_eq!(config.path_mtu_lifetime, Duration::from_secs(60));
    fs::write(root.join("net/ipv4/tcp_congestion_control"), "vegas\n").unwrap();
    fs::create_dir_all(root.join("module/tcp_cubic/parameters")).unwrap();
    fs::write(root.join("module/tcp_cubic/parameters/hystart_detect"), "3\n").unwrap();
    let reading = read_from(&root, &mut config).unwrap();
    assert!(!names(&reading).contains(&"net.ipv4.tcp_congestion_control"), "it is not here: {reading:?}");
    assert!(reading.refused[0].to_string().ends_with("not \"vegas\""), "{reading:?}");
    let both = Hystart::Classic { trains: true, delays: true };
    assert_eq!((config.tcp.congestion, config.tcp.congestion_settings.hystart), (Algorithm::Cubic, both));
    fs::write(root.join("net/ipv4/tcp_congestion_control"), "reno\n").unwrap();
    read_from(&root, &mut config).unwrap();
    assert_eq!(config.tcp.congestion, Algorithm::Reno);
    fs::create_dir(root.join("net/ipv4/tcp_sack")).unwrap();
    let error = read_from(&root, &mut config).unwrap_err();
    assert!(matches!(&error, SysctlError::Unreadable(path, _) if path.ends_with("tcp_sack")), "{error}");
    fs::remove_dir_all(&root).unwrap();
    assert!(read_from(&root, &mut Config::default()).unwrap().taken.is_empty());
}

fn names(reading: &Reading) -> Vec<&'static str> {
    reading.taken.iter().map(|row| row.name()).collect()
}

/// Linux takes more: 2 and 3 for ip_no_pmtu_disc, for one. They stand in the table before others.
#[test]
fn a_value_that_is_not_taken_is_named_and_the_rest_is_read() {
    let root = std::env::temp_dir().join(format!("tunstack-sysctl-rest-{}", std::process::id()));
    fs::create_dir_all(root.join("net/ipv4")).unwrap();
    for (name, value) in [
        ("tcp_timestamps", "2\n"),
        ("tcp_sack", "maybe\n"),
        ("ip_no_pmtu_disc", "3\n"),
        ("ipfrag_time", "7\n"),
    ] {
        fs::write(root.join("net/ipv4").join(name), value).unwrap();
    }
    let mut config = Config::default();
    config.tcp.timestamps = false;
    let reading = read_from(&root, &mut config).unwrap();
    fs::remove_dir_all(&root).unwrap();
    assert_eq!(names(&reading), ["net.ipv4.tcp_timestamps", "net.ipv4.ipfrag_time"]);
    assert!(config.tcp.timestamps && config.tcp.sack && config.path_mtu_discovery);
    assert_eq!(config.reassembly_timeout, Duration::from_secs(7));
    let refused: Vec<String> = reading.refused.iter().map(ToString::to_string).collect();
    let expected =
        ["net.ipv4.tcp_sack takes 0 or 1, not \"maybe\"", "net.ipv4.ip_no_pmtu_disc takes 0 or 1, not \"3\""];
    assert_eq!(refused, expected);
}

/// The file is root's alone, and has zeros where nobody has asked for a cookie yet.
#[test]
fn secrets_that_are_not_told_are_not_taken_over() {
    let root = std::env::temp_dir().join(format!("tunstack-sysctl-secrets-{}", std::process::id()));
    let file = root.join("net/ipv4/tcp_fastopen_key");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut config = Config::default();
    fs::write(&file, "00000000-00000000-00000000-00000000\n").unwrap();
    let reading = read_from(&root, &mut config).unwrap();
    assert!(reading.taken.is_empty() && reading.refused.is_empty(), "{reading:?}");
    assert_eq!(config.tcp.fast_open_secrets, None);
    fs::write(&file, "00000000-00000000-00000000-00000001\n").unwrap();
    assert_eq!(read_from(&root, &mut config).unwrap().taken.len(), 1);
    assert!(config.tcp.fast_open_secrets.is_some());
    fs::remove_dir_all(&root).unwrap();

    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let passed: Vec<_> =
        rows().filter(|row| super::is_passed_over(row, &denied)).map(|row| row.name()).collect();
    assert_eq!(passed, ["net.ipv4.tcp_fastopen_key"]);
}
