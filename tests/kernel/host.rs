//! The engine on its TUN, and what the kernel says of itself.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::process;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tunstack::core::addr::Prefix;
use tunstack::core::config::Config;
use tunstack::device::Device;
use tunstack::device::capture::{Capture, CaptureWriter};
use tunstack::device::netlink;
use tunstack::device::setup::{Offload, TunConfig, bring_up};
use tunstack::engine::Engine;

/// For what must come long before: no wait of a test is longer.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// For a whole test: one that takes longer hangs.
const WHOLE: Duration = Duration::from_secs(240);

/// If set, packets are written to this file, with comments.
const CAPTURE: &str = "TUNSTACK_TEST_CAPTURE";

/// Host and stack in each family, as `TunConfig::default` has them.
pub(crate) const ADDRESSES: [(&str, &str); 2] = [("10.7.0.1", "10.7.0.2"), ("fd07::1", "fd07::2")];

pub(crate) fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

/// The namespace made ready and the engine on `tun0` in it.
pub(crate) fn start() -> Engine {
    start_with(|_| {}, |tun| tun)
}

/// A device without offload: each packet passes as on a wire.
pub(crate) fn plain() -> TunConfig {
    TunConfig { offload: Offload::Off, ..TunConfig::default() }
}

/// As [`start`], without offload.
pub(crate) fn start_plain(mtu: u32) -> Engine {
    start_on(&TunConfig { mtu, ..plain() }, |_| {}, |tun| tun)
}

/// As [`start`], with the stack's settings changed and a device around the TUN.
pub(crate) fn start_with(
    settings: impl FnOnce(&mut Config),
    around: impl FnOnce(Box<dyn Device>) -> Box<dyn Device>,
) -> Engine {
    start_on(&TunConfig::default(), settings, around)
}

/// As [`start_with`], on a device as described: with the usual addresses.
pub(crate) fn start_on(
    device: &TunConfig,
    settings: impl FnOnce(&mut Config),
    around: impl FnOnce(Box<dyn Device>) -> Box<dyn Device>,
) -> Engine {
    ready();
    let tun: Box<dyn Device> = Box::new(bring_up(device).unwrap());
    until_routed();
    let addresses = vec![Prefix::new(ip("10.7.0.2").into(), 24), Prefix::new(ip("fd07::2").into(), 64)];
    let mut config = Config { addresses, mtu: device.mtu as u16, ..Config::default() };
    settings(&mut config);
    let mut device = around(tun);
    if let Some(path) = std::env::var_os(CAPTURE) {
        config.trace = true;
        let writer = CaptureWriter::new(File::create(path).unwrap(), &["tun0"]).unwrap();
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        device = Box::new(Capture::new(device, writer, epoch));
    }
    Engine::builder().device(device).config(config).start().unwrap()
}

/// Waits until the kernel takes packets for fd07::1.
pub(crate) fn until_routed() {
    until_address_serves("fd07::1");
}

/// Waits until the kernel takes packets for an address of its own: it gives IPv6 addresses their routes from
/// a work queue.
pub(crate) fn until_address_serves(address: &str) {
    let IpAddr::V6(address) = ip(address) else { return };
    let route = format!("{:032x} 80 ", address.to_bits());
    until("the kernel's route to its address", || {
        let routes = fs::read_to_string("/proc/net/ipv6_route").unwrap();
        routes.lines().any(|line| line.starts_with(&route))
    });
}

/// What every namespace needs: a loopback, a congestion control that needs no pacing, and an end to waiting.
pub(crate) fn ready() {
    let began = Instant::now();
    thread::spawn(move || {
        while began.elapsed() < WHOLE {
            thread::park_timeout(WHOLE);
        }
        eprintln!("the test hangs");
        process::exit(1);
    });
    netlink::set_up("lo", true).unwrap();
    // A namespace may have CUBIC only where the host allows it to everybody.
    sysctl("ipv4/tcp_congestion_control", "reno");
}

/// Sets a value of the namespace.
pub(crate) fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/{name}");
    fs::write(&path, value).unwrap_or_else(|e| panic!("{path}: {e}"));
}

/// Waits for something that nobody tells us of.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < LONG, "waited in vain for {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// A counter of the kernel's TCP in this namespace (`TcpExt`).
pub(crate) fn tcp_ext(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/net/netstat").unwrap();
    let mut lines = text.lines().filter_map(|l| l.strip_prefix("TcpExt: ")).map(str::split_whitespace);
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let (_, value) = names.zip(values).find(|(n, _)| *n == name).unwrap();
    value.parse().unwrap()
}

/// States of the kernel's connections, as its tables number them.
pub(crate) mod state {
    pub(crate) const SYN_RECV: u8 = 3;
    pub(crate) const FIN_WAIT_1: u8 = 4;
    pub(crate) const TIME_WAIT: u8 = 6;
    pub(crate) const CLOSING: u8 = 11;
}

/// The state of the kernel's connection from `local` to `remote`.
pub(crate) fn kernel_state(local: SocketAddr, remote: SocketAddr) -> Option<u8> {
    let table = if local.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let port = |field: &str| u16::from_str_radix(field.rsplit(':').next()?, 16).ok();
    fs::read_to_string(table).unwrap().lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (from, to, state) = (fields.next()?, fields.next()?, fields.next()?);
        let ours = port(from) == Some(local.port()) && port(to) == Some(remote.port());
        ours.then(|| u8::from_str_radix(state, 16).unwrap())
    })
}
