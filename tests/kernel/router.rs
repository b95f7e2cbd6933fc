//! The kernel as a router between two stacks of ours: path MTU discovery with its ICMP messages.

use std::net::IpAddr;
use std::thread;

use tunstack::core::addr::Prefix;
use tunstack::core::config::Config;
use tunstack::device::netlink;
use tunstack::device::setup::{TunConfig, bring_up};
use tunstack::engine::Engine;

use crate::bulk::exchange;
use crate::ends::{End, Pattern};
use crate::host::{LONG, ip, ready, sysctl, until_address_serves};

/// Name, and stack and host on it in each family.
const LINKS: [(&str, [&str; 2], [&str; 2]); 2] = [
    ("tun0", ["10.7.0.2", "fd07::2"], ["10.7.0.1", "fd07::1"]),
    ("tun1", ["10.8.0.2", "fd08::2"], ["10.8.0.1", "fd08::1"]),
];

fn prefix(a: &str) -> Prefix {
    let a: IpAddr = ip(a);
    Prefix::new(a.into(), if a.is_ipv4() { 24 } else { 64 })
}

fn stack(link: usize) -> Engine {
    let (name, own, hosts) = LINKS[link];
    let config = TunConfig {
        name: Some(name.to_owned()),
        addr: Some(prefix(own[0])),
        addr6: Some(prefix(own[1])),
        ..TunConfig::default()
    };
    let tun = bring_up(&config).unwrap();
    hosts.iter().for_each(|host| until_address_serves(host));
    let addresses = own.iter().map(|a| prefix(a)).collect();
    Engine::builder().device(tun).config(Config { addresses, ..Config::default() }).start().unwrap()
}

/// Both links tell their stacks of 1500 octets, and the router then finds that less fits: 1400 one way, 1300
/// the other.
pub(crate) fn path_mtu() {
    ready();
    let engines = [stack(0), stack(1)];
    sysctl("ipv4/ip_forward", "1");
    sysctl("ipv6/conf/all/forwarding", "1");
    netlink::set_mtu("tun0", 1400).unwrap();
    netlink::set_mtu("tun1", 1300).unwrap();
    for family in 0..2 {
        let listener = engines[1].listen((LINKS[1].1[family], 0)).unwrap();
        let to = listener.local_addr().unwrap();
        let client = engines[0].connect_timeout(&to, LONG).unwrap();
        let server = listener.accept().unwrap().0;
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(LONG)).unwrap();
            stream.set_write_timeout(Some(LONG)).unwrap();
        }
        let (client, server) = (End::Ours(client), End::Ours(server));
        exchange(&client, &server, 2_000_000, 50_000);

        // Datagrams larger than the path takes are cut by who sends them, once he knows.
        let [a, b] = [0, 1].map(|n| engines[n].bind_udp((LINKS[n].1[family], 0)).unwrap());
        a.set_read_timeout(Some(LONG)).unwrap();
        b.set_read_timeout(Some(LONG)).unwrap();
        let data = Pattern(9).take(5000);
        let mut buf = vec![0; 6000];
        assert_eq!(a.send_to(&data, b.local_addr().unwrap()).unwrap(), data.len());
        assert_eq!(b.recv_from(&mut buf).unwrap(), (data.len(), a.local_addr().unwrap()));
        assert!(buf[..data.len()] == data);
    }
    for engine in &engines {
        let counters = engine.counters();
        assert!(counters.icmp_in_msgs > 0, "the router has told it");
        assert_eq!(counters.tcp_timeouts, 0, "no timeout was needed to learn it");
    }
    thread::scope(|scope| {
        for engine in &engines {
            scope.spawn(|| engine.shutdown(LONG).unwrap());
        }
    });
}
