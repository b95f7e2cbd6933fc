use super::*;

fn with(options: &[(&str, Option<&str>)]) -> Net {
    let mut net = Net::default();
    for (name, value) in options {
        assert_eq!(net.apply(name, *value), Ok(true), "{name}");
    }
    net
}

#[test]
fn defaults_of_each_version() {
    let net = Net::new(IpVersion::V4);
    assert_eq!(net.bind_address().to_string(), "192.168.0.1:8080");
    assert_eq!(net.connect_address().to_string(), "192.0.2.1:8080");
    assert_eq!((net.prefix, net.remote_prefix, net.mtu), (16, 24, 1500));
    assert!(!net.has_v6_sockets());

    let net = Net::new(IpVersion::V4Mapped);
    assert_eq!(net.bind_address().to_string(), "[::ffff:192.168.0.1]:8080");
    assert_eq!(net.connect_address().to_string(), "[::ffff:192.0.2.1]:8080");
    assert_eq!((net.local, net.wire_version), (V4_LOCAL.into(), WireVersion::V4));
    assert!(net.has_v6_sockets());

    let net = Net::new(IpVersion::V6);
    assert_eq!(net.bind_address().to_string(), "[fd3d:fa7b:d17d::1]:8080");
    assert_eq!(net.connect_address().to_string(), "[2001:db8::1]:8080");
    assert_eq!(net.gateway.to_string(), "fd3d:fa7b:d17d:8888::");
    assert_eq!((net.prefix, net.remote_prefix, net.mtu), (48, 32, 1500));
}

#[test]
fn addresses_before_the_version() {
    let net = with(&[
        ("local_ip", Some("fd::1")),
        ("remote_ip", Some("fd00:1::9/64")),
        ("ip_version", Some("ipv6")),
        ("mtu", Some("1520")),
        ("bind_port", Some("80")),
        ("connect_port", Some("81")),
    ]);
    assert_eq!(net.check(), Ok(()));
    assert_eq!(net.bind_address().to_string(), "[fd::1]:80");
    assert_eq!(net.connect_address().to_string(), "[fd00:1::9]:81");
    assert_eq!((net.remote_prefix, net.mtu), (64, 1520));

    let net = with(&[("remote_ip", Some("10.248.0.3")), ("netmask_ip", Some("255.255.255.0"))]);
    assert_eq!((net.prefix, net.remote_prefix), (24, 32));
}

#[test]
fn addresses_of_another_version_are_refused() {
    let net = with(&[("local_ip", Some("fd::1"))]);
    assert_eq!(net.check(), Err("--local_ip=fd::1: not an address of --ip_version=ipv4".into()));
    assert_eq!(net.local, IpAddr::from(V4_LOCAL));
    let net = with(&[("netmask_ip", Some("255.255.0.0")), ("ip_version", Some("ipv6"))]);
    assert_eq!(net.check(), Err("--netmask_ip: IPv6 has none".into()));
}

#[test]
fn tolerances() {
    let mut net = Net::default();
    let ms = Duration::from_millis;
    assert_eq!(net.tolerance_after(ms(10)), ms(4));
    assert_eq!(net.tolerance_after(ms(80)), ms(10));
    assert_eq!(net.ts_slack(ms(80)), None);
    assert_eq!(net.apply("tcp_ts_tick_usecs", Some("1000")), Ok(true));
    assert_eq!((net.ts_slack(ms(0)), net.ts_slack(ms(80))), (Some(4), Some(10)));
    assert_eq!(net.apply("tolerance_usecs", Some("20000")), Ok(true));
    assert_eq!(net.apply("tolerance_percent", Some("0")), Ok(true));
    assert_eq!(net.tolerance_after(ms(1000)), ms(20));
}

#[test]
fn flags_and_words() {
    let net = with(&[
        ("strict_segments", None),
        ("tcp_ts_ecr_scaled", None),
        ("is_anyip", None),
        ("non_fatal", Some("packet, syscall")),
        ("mss", Some("1000")),
    ]);
    assert!(net.strict_segments && net.ts_ecr_scaled && net.anyip);
    assert_eq!((net.non_fatal, net.mss), (NonFatal { packet: true, syscall: true }, Some(1000)));
}

#[test]
fn what_is_wrong_is_said_and_what_is_not_ours_is_left() {
    let refused = |name, value| Net::default().apply(name, value).unwrap_err();
    assert_eq!(refused("ip_version", Some("5")), "--ip_version=5: expected ipv4, ipv4-mapped-ipv6 or ipv6");
    assert_eq!(refused("mtu", Some("67")), "--mtu=67: expected a number from 68 to 65535");
    assert_eq!(refused("bind_port", Some("0")), "--bind_port=0: expected a number from 1 to 65535");
    assert_eq!(refused("local_ip", Some("here")), "--local_ip=here: expected an IP address");
    assert_eq!(refused("local_ip", None), "--local_ip: expected a value");
    assert_eq!(refused("strict_segments", Some("1")), "--strict_segments=1: takes no value");
    assert_eq!(
        refused("netmask_ip", Some("255.0.255.0")),
        "--netmask_ip=255.0.255.0: expected a mask as 255.255.0.0"
    );
    assert_eq!(refused("remote_ip", Some("1.2.3.4/33")), "--remote_ip=33: expected a number from 0 to 32");
    assert_eq!(refused("non_fatal", Some("time")), "--non_fatal=time: expected packet or syscall");
    assert_eq!(
        refused("tolerance_percent", Some("NaN")),
        "--tolerance_percent=NaN: expected a number from 0 to 100"
    );
    assert_eq!(Net::default().apply("define", Some("A=B")), Ok(false));
}
