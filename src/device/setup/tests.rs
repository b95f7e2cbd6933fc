use super::*;

fn address(s: &str) -> Address {
    s.parse::<IpAddr>().unwrap().into()
}

fn prefix(s: &str) -> Prefix {
    let (a, length) = s.split_once('/').unwrap();
    Prefix { address: address(a), length: length.parse().unwrap() }
}

fn link(index: u32, name: &str) -> Link {
    Link { index, name: name.into(), up: true, mtu: 1500, tx_queue_len: 500, kind: None, tun: None }
}

fn on(index: u32, of: &str) -> LinkAddress {
    LinkAddress { index, prefix: prefix(of), peer: None }
}

#[test]
fn the_default_makes_sense() {
    let config = TunConfig::default();
    config.validate().unwrap();
    assert_eq!(config.host(), Some(prefix("10.7.0.1/24")));
    assert_eq!(config.host6(), Some(prefix("fd07::1/64")));
}

#[test]
fn the_host_takes_the_first_address_left() {
    for (stack, host) in [
        ("10.7.0.1/24", "10.7.0.2"),
        ("10.7.0.77/24", "10.7.0.1"),
        ("10.7.0.4/31", "10.7.0.5"),
        ("10.7.0.5/31", "10.7.0.4"),
        ("10.7.0.5/30", "10.7.0.6"),
        ("fd07::1/64", "fd07::2"),
        ("fd07::8/127", "fd07::9"),
        ("fd07::9/127", "fd07::8"),
    ] {
        assert_eq!(first_other(prefix(stack)), address(host), "{stack}");
    }
}

#[test]
fn nonsense_is_said_in_one_line() {
    let bad = |change: fn(&mut TunConfig), says: &str| {
        let mut config = TunConfig::default();
        change(&mut config);
        let line = config.validate().expect_err(says).to_string();
        assert!(line.contains(says) && !line.contains('\n'), "{line} lacks {says}");
    };
    bad(|c| c.name = Some(String::new()), "empty");
    bad(|c| c.name = Some("a-name-that-is-far-too-long".into()), "15 octets");
    bad(|c| c.name = Some("../etc".into()), "slash");
    bad(|c| (c.addr, c.addr6) = (None, None), "no address");
    bad(|c| c.steer = true, "steer: a device with offload gets slower");
    bad(|c| (c.steer, c.offload) = (true, Offload::On), "go without offload");
    bad(|c| c.gro = true, "gro: a device with offload takes large packets");
    bad(|c| (c.gro, c.offload, c.queues) = (true, Offload::Off, 2), "go with one queue");
    bad(|c| c.addr = Some(prefix("0.0.0.0/24")), "addr: 0.0.0.0 is not the address of a single host");
    bad(|c| c.addr = Some(prefix("224.0.0.1/24")), "single host");
    bad(|c| c.addr = Some(prefix("255.255.255.255/24")), "single host");
    bad(|c| c.addr = Some(prefix("127.0.0.2/8")), "loopback");
    bad(|c| c.addr = Some(prefix("10.7.0.255/24")), "broadcast");
    bad(|c| c.addr = Some(prefix("10.7.0.0/24")), "the prefix itself");
    bad(|c| c.addr = Some(prefix("10.7.0.2/32")), "/31 at the longest");
    bad(|c| c.addr = Some(prefix("10.7.0.2/0")), "/1 at the shortest");
    bad(|c| c.addr = Some(prefix("fd07::2/64")), "addr: fd07::2 is not an IPv4 address");
    bad(|c| c.addr6 = Some(prefix("10.7.0.2/24")), "addr6: 10.7.0.2 is not an IPv6 address");
    bad(|c| c.addr6 = Some(prefix("ff02::1/64")), "single host");
    bad(|c| c.addr6 = Some(prefix("::1/64")), "loopback");
    bad(|c| c.addr6 = Some(prefix("fd07::/64")), "the prefix itself");
    bad(|c| c.addr6 = Some(prefix("fd07::2/128")), "/127 at the longest");
    bad(|c| c.peer = Some(address("10.7.1.1")), "peer: 10.7.1.1 is not in the stack's prefix 10.7.0.2/24");
    bad(|c| c.peer = Some(address("fd07::1")), "peer: fd07::1 is not in");
    bad(|c| c.peer = Some(address("10.7.0.2")), "stack's own");
    bad(|c| c.peer = Some(address("10.7.0.255")), "broadcast");
    bad(|c| c.peer = Some(address("10.7.0.0")), "the prefix itself");
    bad(|c| c.peer6 = Some(address("fd08::1")), "peer6: fd08::1 is not in");
    bad(|c| c.peer6 = Some(address("fd07::2")), "stack's own");
    bad(|c| (c.addr, c.peer) = (None, Some(address("10.7.0.1"))), "without an address");
    bad(|c| c.mtu = 1279, "1280");
    bad(|c| (c.mtu, c.addr6) = (67, None), "68");
    bad(|c| c.mtu = 65_536, "65535");
    bad(|c| c.queues = 0, "0 is not in 1 to 256");
    bad(|c| c.queues = 257, "257 is not in 1 to 256");
}

#[test]
fn the_edges_are_allowed() {
    let good = |change: fn(&mut TunConfig)| {
        let mut config = TunConfig::default();
        change(&mut config);
        config.validate().unwrap();
    };
    good(|c| c.name = None);
    good(|c| c.mtu = 1280);
    good(|c| c.mtu = 65_535);
    good(|c| c.queues = 256);
    good(|c| (c.mtu, c.addr6) = (68, None));
    good(|c| c.addr = None);
    // A /31 has neither a network nor a broadcast address (RFC 3021).
    good(|c| (c.addr, c.peer) = (Some(prefix("10.7.0.0/31")), Some(address("10.7.0.1"))));
    good(|c| (c.addr, c.peer) = (Some(prefix("10.7.0.1/31")), None));
    good(|c| c.addr6 = Some(prefix("fd07::8/127")));
}

#[test]
fn addresses_of_other_interfaces_are_respected() {
    let links = [link(1, "lo"), link(2, "eth0"), link(3, "tun0")];
    let config = TunConfig::default();
    let with = |a: LinkAddress| {
        overlap(&config, &[on(1, "127.0.0.1/8"), on(1, "::1/128"), a], &links)
            .map(|(_, theirs, link)| (link.name.clone(), theirs))
    };
    let eth0 = |p| Some(("eth0".to_owned(), prefix(p)));
    assert_eq!(with(on(2, "192.0.2.1/24")), None);
    assert_eq!(with(on(2, "10.7.1.1/24")), None);
    assert_eq!(with(on(2, "10.7.0.9/24")), eth0("10.7.0.9/24"));
    // Theirs holds ours, and ours holds theirs.
    assert_eq!(with(on(2, "10.1.2.3/8")), eth0("10.1.2.3/8"));
    assert_eq!(with(on(2, "10.7.0.200/32")), eth0("10.7.0.200/32"));
    assert_eq!(with(on(2, "fd07::9/64")), eth0("fd07::9/64"));
    let local = TunConfig { addr6: Some(prefix("fe80::2/64")), ..config.clone() };
    assert_eq!(overlap(&local, &[on(2, "fe80::1/64")], &links), None);
    // The device itself may have them already.
    assert_eq!(with(on(3, "10.7.0.1/24")), None);
}

#[test]
fn a_device_as_wanted_needs_nothing() {
    let config = TunConfig::default();
    let tun0 = link(3, "tun0");
    let all = [on(3, "10.7.0.1/24"), on(3, "fd07::1/64"), on(3, "fe80::1/64")];
    assert_eq!(differences(&config, &tun0, &all), []);
    let down = Link { up: false, mtu: 9000, ..tun0.clone() };
    let found = differences(&config, &down, &all[1..]);
    assert_eq!(
        found,
        [
            Difference::Mtu { is: 9000, wanted: 1500 },
            Difference::Down,
            Difference::Address(prefix("10.7.0.1/24")),
        ]
    );
    // The same address with another length is another link.
    let other = [on(3, "10.7.0.1/16"), on(3, "fd07::1/64")];
    assert_eq!(differences(&config, &tun0, &other), [Difference::Address(prefix("10.7.0.1/24"))]);
}
