//! Real TUN devices and the kernel's own answers, each test in a network namespace of its own.

#[path = "common/namespace.rs"]
mod namespace;

use std::fs;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use tun_tap::{Iface, Mode};
use tunstack::core::addr::Prefix;
use tunstack::core::packet::{Body, Checksum, Datagram};
use tunstack::core::time::Instant;
use tunstack::device::error::DeviceError;
use tunstack::device::netlink::{self, LinkAddress};
use tunstack::device::setup::{Offload, TunConfig, bring_up, persist, remove};
use tunstack::device::tun::Tun;
use tunstack::device::{Capabilities, Device, Frames};

const NOW: Instant = Instant::ZERO;

fn main() -> ExitCode {
    namespace::main(&[
        ("a_device_comes_up_as_asked_and_goes", a_device_comes_up_as_asked_and_goes),
        ("packets_pass_both_ways", packets_pass_both_ways),
        ("a_route_leads_to_the_device", a_route_leads_to_the_device),
        ("the_kernel_picks_a_name", the_kernel_picks_a_name),
        ("a_held_device_is_busy", a_held_device_is_busy),
        ("other_interfaces_are_left_alone", other_interfaces_are_left_alone),
        ("a_range_in_use_is_refused", a_range_in_use_is_refused),
        ("a_device_that_is_down_says_so", a_device_that_is_down_says_so),
        ("a_deleted_device_is_noticed", a_deleted_device_is_noticed),
        ("a_device_made_by_root_serves_its_user", a_device_made_by_root_serves_its_user),
        ("a_device_that_stays_is_left_as_found", a_device_that_stays_is_left_as_found),
        ("without_rights_it_says_what_to_do", without_rights_it_says_what_to_do),
        ("ipv6_is_switched_on_for_the_device", ipv6_is_switched_on_for_the_device),
        ("the_kernels_refusals_are_passed_on", the_kernels_refusals_are_passed_on),
        #[cfg(feature = "uring")]
        ("no_io_uring_is_made_where_it_is_switched_off", no_io_uring_is_made_where_it_is_switched_off),
    ])
}

fn prefix(s: &str) -> Prefix {
    let (a, length) = s.split_once('/').unwrap();
    Prefix::new(a.parse::<IpAddr>().unwrap().into(), length.parse().unwrap())
}

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

/// Each packet as it would be on a wire.
fn plain() -> TunConfig {
    TunConfig { offload: Offload::Off, ..TunConfig::default() }
}

fn named(name: &str) -> TunConfig {
    TunConfig { name: Some(name.to_owned()), ..plain() }
}

fn has(addresses: &[LinkAddress], wanted: &str) -> bool {
    addresses.iter().any(|a| a.prefix == prefix(wanted))
}

/// Waits until the device has something, five seconds at the most.
fn wait(tun: &dyn Device) -> PollFlags {
    let limit = Timespec::try_from(Duration::from_secs(5)).unwrap();
    let mut fds = [PollFd::from_borrowed_fd(tun.readable(), PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "nothing came in five seconds");
    fds[0].revents()
}

/// The text of the next UDP packet, with its destination: the kernel sends some packets of its own, too.
fn next_udp(tun: &dyn Device) -> (IpAddr, u16, Vec<u8>) {
    loop {
        wait(tun);
        let mut frames = Frames::new(1, 65_535);
        assert_eq!(tun.recv(NOW, &mut frames).unwrap(), 1);
        let inbound = frames.iter().next().unwrap();
        let packet = SlicedPacket::from_ip(inbound.packet).unwrap();
        let Some(TransportSlice::Udp(udp)) = packet.transport else { continue };
        let destination = match packet.net.unwrap() {
            NetSlice::Ipv4(h) => h.header().destination_addr().into(),
            NetSlice::Ipv6(h) => h.header().destination_addr().into(),
            NetSlice::Arp(_) => panic!("ARP on a TUN"),
        };
        return (destination, udp.destination_port(), udp.payload().to_vec());
    }
}

/// Gives up the right to administer the network, as a plain user has it not; `true` gives it back.
fn administer(may: bool) {
    let mut sets = capabilities(None).unwrap();
    sets.effective.set(CapabilitySet::NET_ADMIN, may);
    set_capabilities(None, sets).unwrap();
}

fn datagram<'a>(head: &'a [u8], text: &[&'a [u8]]) -> Datagram<'a> {
    let mut body = Body::EMPTY;
    assert!(text.iter().all(|piece| body.push(piece)));
    Datagram { head, body, gso_size: 0, checksum: Checksum::Complete, event: None }
}

fn a_device_comes_up_as_asked_and_goes() {
    let config = TunConfig { mtu: 9000, ..named("wire7") };
    let tun = bring_up(&config).unwrap();
    assert_eq!(tun.name(), "wire7");
    assert_eq!(tun.capabilities(), Capabilities { mtu: 9000, checksum_offload: false, max_gso: 0 });
    let link = netlink::link("wire7").unwrap().unwrap();
    assert!(link.up);
    assert_eq!((link.mtu, link.tx_queue_len, link.kind.as_deref()), (9000, 16_000, Some("tun")));
    let kind = link.tun.unwrap();
    assert_eq!((kind.tap, kind.persistent, kind.multi_queue, kind.owner), (false, false, false, None));
    let addresses = netlink::addresses("wire7").unwrap();
    assert!(has(&addresses, "10.7.0.1/24") && has(&addresses, "fd07::1/64"), "{addresses:?}");
    assert!(netlink::addresses("lo").unwrap().iter().all(|a| a.index != link.index));
    drop(tun);
    assert_eq!(netlink::link("wire7").unwrap(), None);
}

fn packets_pass_both_ways() {
    let tun = bring_up(&plain()).unwrap();
    for (host, stack) in [("10.7.0.1", "10.7.0.2"), ("fd07::1", "fd07::2")] {
        // The address serves at once: an IPv6 address that were still looked for elsewhere could not be bound.
        let socket = UdpSocket::bind((ip(host), 4000)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(b"to the stack", (ip(stack), 5000)).unwrap();
        assert_eq!(next_udp(&tun), (ip(stack), 5000, b"to the stack".to_vec()));

        let mut packet = Vec::new();
        let text = b"to the host, in pieces";
        match (ip(stack), ip(host)) {
            (IpAddr::V4(s), IpAddr::V4(d)) => {
                PacketBuilder::ipv4(s.octets(), d.octets(), 64).udp(5000, 4000).write(&mut packet, text)
            }
            (IpAddr::V6(s), IpAddr::V6(d)) => {
                PacketBuilder::ipv6(s.octets(), d.octets(), 64).udp(5000, 4000).write(&mut packet, text)
            }
            _ => unreachable!(),
        }
        .unwrap();
        let (head, text) = packet.split_at(packet.len() - text.len());
        tun.send(NOW, &datagram(head, &[&text[..3], &text[3..4], &text[4..]])).unwrap();
        let mut buffer = [0; 100];
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], from), (text, (ip(stack), 5000).into()));
    }
    // Several at a time, and none left: that is no error and does not wait.
    let socket = UdpSocket::bind("10.7.0.1:0").unwrap();
    (0..5).for_each(|n| _ = socket.send_to(&[n], "10.7.0.2:9").unwrap());
    let mut frames = Frames::new(64, 1500);
    while frames.len() < 5 {
        wait(&tun);
        tun.recv(NOW, &mut frames).unwrap();
    }
    frames.clear();
    while tun.recv(NOW, &mut frames).unwrap() > 0 {
        frames.clear();
    }
    assert!(frames.is_empty());
}

fn a_route_leads_to_the_device() {
    let tun = bring_up(&plain()).unwrap();
    for (route, to) in [("203.0.113.77/24", "203.0.113.200"), ("2001:db8:5::9/48", "2001:db8:5:6::7")] {
        let unbound = if ip(to).is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(unbound).unwrap();
        let before = socket.send_to(b"x", (ip(to), 9)).unwrap_err();
        assert_eq!(before.kind(), io::ErrorKind::NetworkUnreachable);
        netlink::add_route(tun.name(), prefix(route)).unwrap();
        socket.send_to(b"far", (ip(to), 9)).unwrap();
        assert_eq!(next_udp(&tun), (ip(to), 9, b"far".to_vec()));
        let again = netlink::add_route(tun.name(), prefix(route)).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists, "{again}");
    }
}

fn the_kernel_picks_a_name() {
    let (one, two) = (Tun::open(None).unwrap(), Tun::open(None).unwrap());
    assert_eq!((one.name(), two.name()), ("tun0", "tun1"));
    assert_eq!(one.capabilities().mtu, 1500);
    let config = TunConfig { name: None, ..plain() };
    assert_eq!(bring_up(&config).unwrap().name(), "tun2");
}

fn a_held_device_is_busy() {
    let tun = Tun::open(Some("tun7")).unwrap();
    for e in [Tun::open(Some("tun7")).unwrap_err(), remove("tun7").unwrap_err()] {
        assert!(matches!(&e, DeviceError::Busy { name } if name == "tun7"), "{e}");
    }
    drop(tun);
    Tun::open(Some("tun7")).unwrap();
}

fn other_interfaces_are_left_alone() {
    let _tap = Iface::without_packet_info("tap7", Mode::Tap).unwrap();
    for name in ["tap7", "lo"] {
        for e in [Tun::open(Some(name)).unwrap_err(), remove(name).unwrap_err()] {
            assert!(matches!(e, DeviceError::NotTun { .. }), "{e}");
        }
        assert!(netlink::link(name).unwrap().is_some());
    }
    let e = remove("tun7").unwrap_err();
    assert!(matches!(e, DeviceError::Missing { .. }), "{e}");
    // Looking for it has not made it.
    assert_eq!(netlink::link("tun7").unwrap(), None);
}

fn a_range_in_use_is_refused() {
    let _first = bring_up(&plain()).unwrap();
    let second = TunConfig { addr: None, ..named("tun1") };
    let refused = bring_up(&second).unwrap_err();
    let DeviceError::InUse { wanted, interface, theirs } = refused else { panic!("{refused}") };
    assert_eq!((wanted, interface.as_str(), theirs), (prefix("fd07::2/64"), "tun0", prefix("fd07::1/64")));
    assert_eq!(netlink::link("tun1").unwrap(), None);
    bring_up(&TunConfig { addr: Some(prefix("10.8.0.2/24")), addr6: None, ..named("tun1") }).unwrap();
}

fn a_device_that_is_down_says_so() {
    let tun = bring_up(&plain()).unwrap();
    let mut packet = Vec::new();
    PacketBuilder::ipv4([10, 7, 0, 2], [10, 7, 0, 1], 64).udp(1, 2).write(&mut packet, b"").unwrap();
    netlink::set_up(tun.name(), false).unwrap();
    let e = tun.send(NOW, &datagram(&packet, &[])).unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::NetworkDown, "{e}");
    assert!(e.to_string().contains("ip link set tun0 up"), "{e}");
    netlink::set_up(tun.name(), true).unwrap();
    tun.send(NOW, &datagram(&packet, &[])).unwrap();
}

fn a_deleted_device_is_noticed() {
    let tun = bring_up(&plain()).unwrap();
    netlink::delete_link(tun.name()).unwrap();
    // Whoever waits for packets wakes up.
    assert!(wait(&tun).contains(PollFlags::ERR));
    let mut frames = Frames::new(4, 1500);
    let received = tun.recv(NOW, &mut frames).unwrap_err();
    let sent = tun.send(NOW, &datagram(&[0x45; 20], &[])).unwrap_err();
    for e in [received, sent] {
        assert_eq!(e.kind(), io::ErrorKind::NotConnected, "{e}");
        assert_eq!(e.to_string(), "tun0 was deleted while in use: start again");
    }
}

fn a_device_made_by_root_serves_its_user() {
    let us = rustix::process::getuid().as_raw();
    let config = named("mine");
    assert_eq!(persist(&config, us).unwrap(), "mine");
    let link = netlink::link("mine").unwrap().expect("it stays");
    assert!(link.up && link.tun.is_some_and(|t| t.persistent && t.owner == Some(us)), "{link:?}");
    assert!(has(&netlink::addresses("mine").unwrap(), "10.7.0.1/24"));

    administer(false);
    let tun = bring_up(&config).unwrap();
    let socket = UdpSocket::bind("10.7.0.1:0").unwrap();
    socket.send_to(b"hello", "10.7.0.2:7").unwrap();
    assert_eq!(next_udp(&tun), (ip("10.7.0.2"), 7, b"hello".to_vec()));
    drop(tun);
    let other = TunConfig { mtu: 1400, addr: Some(prefix("10.9.0.2/24")), ..config.clone() };
    let e = bring_up(&other).unwrap_err();
    assert!(matches!(e, DeviceError::Unready { .. }), "{e}");
    let says = "its MTU is 1500, not 1400, it lacks the address 10.9.0.1/24";
    assert!(e.to_string().contains(says), "{e}");
    administer(true);

    assert!(netlink::link("mine").unwrap().is_some());
    assert!(has(&netlink::addresses("mine").unwrap(), "10.7.0.1/24"));
    remove("mine").unwrap();
    assert_eq!(netlink::link("mine").unwrap(), None);
}

fn a_device_that_stays_is_left_as_found() {
    let config = TunConfig { addr6: None, ..named("stays") };
    persist(&config, 0).unwrap();
    netlink::set_up("stays", false).unwrap();
    let state = || {
        let link = netlink::link("stays").unwrap().unwrap();
        let addresses = netlink::addresses("stays").unwrap();
        let kept = ["10.7.0.1/24", "10.9.0.1/24"].map(|a| has(&addresses, a));
        (link.up, link.mtu, kept)
    };
    assert_eq!(state(), (false, 1500, [true, false]));
    let other = TunConfig { mtu: 1400, addr: Some(prefix("10.9.0.2/24")), ..config };
    let tun = bring_up(&other).unwrap();
    assert_eq!(state(), (true, 1400, [true, true]));
    drop(tun);
    assert_eq!(state(), (false, 1500, [true, false]));
}

fn without_rights_it_says_what_to_do() {
    let theirs = rustix::process::getuid().as_raw() + 1000;
    let mapped = persist(&named("theirs"), theirs);
    administer(false);
    let e = Tun::open(Some("new")).unwrap_err();
    assert!(matches!(e, DeviceError::NoRight { .. }), "{e}");
    assert!(e.to_string().ends_with("tunstack up --user NAME"), "{e}");
    let e = netlink::set_up("lo", true).unwrap_err();
    assert_eq!(
        e.to_string().split(':').next(),
        Some("no right to bring lo up"),
        "the kernel's answer names what was tried"
    );
    // In a namespace of a plain user there is no other user to give a device to.
    if mapped.is_ok() {
        let e = Tun::open(Some("theirs")).unwrap_err();
        assert!(matches!(e, DeviceError::NotOwner { owner, .. } if owner == Some(theirs)), "{e}");
    }
}

fn ipv6_is_switched_on_for_the_device() {
    fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
    let tun = bring_up(&plain()).unwrap();
    assert!(has(&netlink::addresses(tun.name()).unwrap(), "fd07::1/64"));
    assert_eq!(fs::read_to_string("/proc/sys/net/ipv6/conf/default/disable_ipv6").unwrap(), "1\n");
}

fn the_kernels_refusals_are_passed_on() {
    let tun = Tun::open(Some("tun7")).unwrap();
    let e = netlink::set_mtu("tun7", 10).unwrap_err();
    assert_eq!((e.kind(), e.to_string()), {
        let line = "cannot set the MTU of tun7 to 10: Invalid argument (os error 22)";
        (io::ErrorKind::InvalidInput, line.to_owned())
    });
    netlink::add_address("tun7", ip("10.1.0.1"), 24, None).unwrap();
    let e = netlink::add_address("tun7", ip("10.1.0.1"), 24, None).unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::AlreadyExists, "{e}");
    netlink::delete_address("tun7", ip("10.1.0.1"), 24).unwrap();
    let e = netlink::delete_address("tun7", ip("10.1.0.1"), 24).unwrap_err();
    assert_eq!(e.kind(), io::ErrorKind::AddrNotAvailable, "{e}");
    // Each end of a point-to-point link names the other.
    for (own, peer, length) in [("10.1.0.1", "10.2.0.1", 32), ("fd01::1", "fd02::1", 128)] {
        netlink::add_address("tun7", ip(own), length, Some(ip(peer))).unwrap();
        let addresses = netlink::addresses("tun7").unwrap();
        let found = addresses.iter().find(|a| a.prefix.address == ip(own).into()).unwrap();
        assert_eq!((found.peer, found.prefix.length), (Some(ip(peer).into()), length));
    }
    drop(tun);
}

#[cfg(feature = "uring")]
fn no_io_uring_is_made_where_it_is_switched_off() {
    if let Err(e) = io_uring::IoUring::new(64) {
        return println!("skipped: this kernel gives no io_uring: {e}");
    }
    let rings = || {
        let open = fs::read_dir("/proc/self/fd").unwrap();
        let is_ring = |path| fs::read_link(path).is_ok_and(|of| of.as_os_str() == "anon_inode:[io_uring]");
        open.filter(|fd| is_ring(fd.as_ref().unwrap().path())).count()
    };
    for (uring, made) in [(false, 0), (true, 1)] {
        let tun = bring_up(&TunConfig { uring, ..plain() }).unwrap();
        let socket = UdpSocket::bind("10.7.0.1:0").unwrap();
        let mut frames = Frames::new(64, 1500);
        // As many as are read by one: that they are so many is known after the first, what they take one by one after the next.
        for _ in 0..3 {
            frames.clear();
            let expects = frames.expects_burst();
            (0..20).for_each(|n| _ = socket.send_to(&[n], "10.7.0.2:9").unwrap());
            while frames.len() < 20 {
                wait(&tun);
                tun.recv(NOW, &mut frames).unwrap();
            }
            if expects {
                frames.took(Duration::from_micros(20));
            }
        }
        assert_eq!(rings(), made, "allowed: {uring}");
    }
}
