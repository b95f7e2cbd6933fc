//! TUN devices whose kernel sums, cuts and joins, and those with several queues, each test in a network
//! namespace of its own.

#[path = "common/namespace.rs"]
mod namespace;

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, capabilities, move_into_link_name_space, set_capabilities,
};
use tun_tap::{Iface, Mode};
use tunstack::core::addr::Prefix;
use tunstack::core::packet::{Body, Checksum, Datagram, Trust};
use tunstack::core::time::Instant;
use tunstack::core::wire::checksum::{Sum, pseudo_header};
use tunstack::core::wire::ip::{self, protocol};
use tunstack::core::wire::{Flags, tcp, udp};
use tunstack::device::either::TunDevice;
use tunstack::device::error::DeviceError;
use tunstack::device::netlink;
use tunstack::device::offload::OffloadTun;
use tunstack::device::setup::{Offload, TunConfig, bring_up, bring_up_queues, persist, remove};
use tunstack::device::tun::Tun;
use tunstack::device::{Capabilities, Device, Frames, segment};

const NOW: Instant = Instant::ZERO;

/// Host and stack in each family, as `TunConfig::default` has them.
const ADDRESSES: [(&str, &str); 2] = [("10.7.0.1", "10.7.0.2"), ("fd07::1", "fd07::2")];

fn main() -> ExitCode {
    namespace::main(&[
        ("large_segments_pass_both_ways", large_segments_pass_both_ways),
        ("datagrams_in_a_row_are_cut", datagrams_in_a_row_are_cut),
        ("the_edge_cuts_as_the_kernel_does", the_edge_cuts_as_the_kernel_does),
        ("what_is_joined_arrives_joined", what_is_joined_arrives_joined),
        ("what_is_sent_finished_stays_so", what_is_sent_finished_stays_so),
        ("a_plain_device_after_one_with_offload", a_plain_device_after_one_with_offload),
        ("offloads_are_not_left_behind", offloads_are_not_left_behind),
        ("a_device_that_stays_serves_both_ways", a_device_that_stays_serves_both_ways),
        ("each_queue_has_its_flows", each_queue_has_its_flows),
        ("queues_and_the_device_that_is_there", queues_and_the_device_that_is_there),
        ("a_descriptor_is_handed_over", a_descriptor_is_handed_over),
        ("a_queue_is_handed_over", a_queue_is_handed_over),
        ("a_descriptor_of_another_namespace", a_descriptor_of_another_namespace),
        ("descriptors_that_do_not_serve", descriptors_that_do_not_serve),
        ("refusals_are_those_of_the_plain_device", refusals_are_those_of_the_plain_device),
    ])
}

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

fn with(offload: Offload) -> TunConfig {
    TunConfig { offload, ..TunConfig::default() }
}

/// Gives up the right to administer the network, as a plain user has it not; `true` gives it back.
fn administer(may: bool) {
    let mut sets = capabilities(None).unwrap();
    sets.effective.set(CapabilitySet::NET_ADMIN, may);
    set_capabilities(None, sets).unwrap();
}

/// Waits until the device has something, five seconds at the most.
fn wait(tun: &dyn Device) -> PollFlags {
    let limit = Timespec::try_from(Duration::from_secs(5)).unwrap();
    let mut fds = [PollFd::from_borrowed_fd(tun.readable(), PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "nothing came in five seconds");
    fds[0].revents()
}

/// A packet that came.
struct Arrival {
    packet: Vec<u8>,
    trust: Trust,
    gso_size: u16,
}

/// The next packet of a protocol: the kernel sends some of its own, too.
fn next(tun: &dyn Device, wanted: u8) -> Arrival {
    loop {
        wait(tun);
        let mut frames = Frames::new(1, 65_535);
        tun.recv(NOW, &mut frames).unwrap();
        for inbound in frames.iter() {
            if ip::parse(inbound.packet).unwrap().header.protocol == wanted {
                let packet = inbound.packet.to_vec();
                return Arrival { packet, trust: inbound.trust, gso_size: inbound.gso_size };
            }
        }
    }
}

/// IP header and `transport` for `text` octets, from the stack to the host, with the sum of the pseudo-header
/// in the place at `offset`; and how the checksum stands then.
fn head(ends: (&str, &str), number: u8, transport: &[u8], offset: u16, text: usize) -> (Vec<u8>, Checksum) {
    let (host, stack) = ends;
    let header = ip::Header {
        src: ip(stack).into(),
        dst: ip(host).into(),
        protocol: number,
        hop_limit: 64,
        traffic_class: 0,
        flow_label: 0,
        dont_fragment: true,
        fragment: None,
    };
    let len = transport.len() + text;
    let mut head = Vec::new();
    header.emit(len, 7, &mut head).unwrap();
    let start = head.len();
    head.extend_from_slice(transport);
    let sum = pseudo_header(header.src, header.dst, number, len as u32).partial();
    head[start + usize::from(offset)..][..2].copy_from_slice(&sum.to_be_bytes());
    (head, Checksum::Partial { start: start as u16, offset })
}

fn udp_head(ends: (&str, &str), from: u16, to: u16, text: usize) -> (Vec<u8>, Checksum) {
    let header = [from.to_be_bytes(), to.to_be_bytes(), (8 + text as u16).to_be_bytes(), [0; 2]].concat();
    head(ends, protocol::UDP, &header, 6, text)
}

/// The other end of a connection of the kernel's, made by hand.
struct Server<'a> {
    tun: &'a dyn Device,
    ends: (&'a str, &'a str),
    port: u16,
    seq: u32,
    ack: u32,
}

impl Server<'_> {
    const PORT: u16 = 5000;

    fn accept<'a>(tun: &'a dyn Device, ends: (&'a str, &'a str)) -> Server<'a> {
        // What a connection before this one still sends is nobody's.
        let syn = loop {
            let arrival = next(tun, protocol::TCP);
            let ip = ip::parse(&arrival.packet).unwrap();
            let header = tcp::parse(&ip.header, ip.payload, arrival.trust).unwrap().header;
            if header.flags.contains(Flags::SYN) {
                break header;
            }
        };
        assert_eq!(syn.dst_port, Self::PORT);
        let mut server = Server {
            tun,
            ends,
            port: syn.src_port,
            seq: u32::MAX - 2000,
            ack: syn.seq.get().wrapping_add(1),
        };
        server.send(Flags::SYN | Flags::ACK, &[2, 4, 0x05, 0xb4], &[], 0);
        server.seq = server.seq.wrapping_add(1);
        server
    }

    fn send(&self, flags: Flags, options: &[u8], text: &[u8], gso_size: u16) {
        let mut header = [Self::PORT.to_be_bytes(), self.port.to_be_bytes()].concat();
        header.extend_from_slice(&self.seq.to_be_bytes());
        header.extend_from_slice(&self.ack.to_be_bytes());
        header.extend_from_slice(&[
            (20 + options.len() as u8) << 2,
            flags.bits() as u8,
            0xff,
            0xff,
            0,
            0,
            0,
            0,
        ]);
        header.extend_from_slice(options);
        let (head, checksum) = head(self.ends, protocol::TCP, &header, 16, text.len());
        let mut body = Body::EMPTY;
        let cut = text.len().div_ceil(Body::MAX_PIECES).max(1);
        assert!(text.chunks(cut).all(|piece| body.push(piece)));
        self.tun.send(NOW, &Datagram { head: &head, body, gso_size, checksum, event: None }).unwrap();
    }

    /// Takes so many octets in order, and says of the packets that brought them: which sizes they were joined
    /// from, how long the longest was, and whether each was vouched for.
    fn take(&mut self, len: usize) -> (Vec<u8>, Vec<u16>, usize, bool) {
        let (mut text, mut sizes, mut longest, mut trusted) = (Vec::new(), Vec::new(), 0, true);
        while text.len() < len {
            let arrival = next(self.tun, protocol::TCP);
            let ip = ip::parse(&arrival.packet).unwrap();
            let segment = tcp::parse(&ip.header, ip.payload, arrival.trust).unwrap();
            if segment.payload.is_empty() || segment.header.src_port != self.port {
                continue;
            }
            if segment.header.seq.get() == self.ack {
                text.extend_from_slice(segment.payload);
                self.ack = self.ack.wrapping_add(segment.payload.len() as u32);
                sizes.push(arrival.gso_size);
                longest = longest.max(arrival.packet.len());
                trusted &= arrival.trust == Trust::Trusted;
            }
            self.send(Flags::ACK, &[], &[], 0);
        }
        (text, sizes, longest, trusted)
    }
}

/// Octets in which a swap, a loss or a repetition shows.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn large_segments_pass_both_ways() {
    for offload in [Offload::On, Offload::Off] {
        let tun = bring_up(&with(offload)).unwrap();
        let on = offload == Offload::On;
        let max_gso = if on { 65_535 } else { 0 };
        assert_eq!(tun.capabilities(), Capabilities { mtu: 1500, checksum_offload: on, max_gso });
        for ends in ADDRESSES {
            let (up, down) = (pattern(12_000), pattern(44 * 1400 + 3));
            let client = thread::scope(|scope| {
                let client = scope.spawn(|| {
                    let mut stream = TcpStream::connect((ip(ends.1), Server::PORT)).unwrap();
                    let mut text = Vec::new();
                    stream.read_to_end(&mut text).unwrap();
                    stream.write_all(&up).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                    text
                });
                let mut server = Server::accept(&tun, ends);
                server.send(Flags::ACK | Flags::PSH | Flags::FIN | Flags::CWR, &[], &down, 1400);
                server.seq = server.seq.wrapping_add(down.len() as u32 + 1);
                let (text, sizes, longest, trusted) = server.take(up.len());
                assert!(text == up, "{} octets came up", text.len());
                if on {
                    assert!(sizes.iter().any(|&size| (1000..=1460).contains(&size)), "joined of {sizes:?}");
                    assert!(longest > 1500, "{longest}");
                } else {
                    assert!(sizes.iter().all(|&size| size == 0), "joined of {sizes:?}");
                    assert!(longest <= 1500, "{longest}");
                }
                // The kernel sums nothing that a device with offload takes.
                assert_eq!(trusted, on);
                client.join().unwrap()
            });
            assert!(client == down, "{} octets went down", client.len());
        }
    }
}

fn datagrams_in_a_row_are_cut() {
    for offload in [Offload::On, Offload::Off] {
        let tun = bring_up(&with(offload)).unwrap();
        for ends in ADDRESSES {
            let socket = UdpSocket::bind((ip(ends.0), 4000)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let text = pattern(1700);
            let (head, checksum) = udp_head(ends, 5000, 4000, text.len());
            let body = Body::from_slice(&text);
            tun.send(NOW, &Datagram { head: &head, body, gso_size: 500, checksum, event: None }).unwrap();
            for wanted in text.chunks(500) {
                let mut buffer = [0; 2000];
                let len = socket.recv(&mut buffer).unwrap();
                assert!(buffer[..len] == *wanted, "{len} octets of {}", wanted.len());
            }
        }
    }
}

/// Sends large packets of both protocols and families by a device with offload, which the kernel forwards to
/// `other`; `check` is told of each, and which protocol it is.
fn forward_to(other: &dyn Device, name: &str, check: impl Fn(&Datagram<'_>, u8)) {
    let tun = bring_up(&with(Offload::On)).unwrap();
    netlink::set_up(name, true).unwrap();
    assert_eq!(other.capabilities().mtu, 1500);
    for (prefix, forwards) in [("10.8.0.0/24", "ipv4/ip_forward"), ("fd08::/64", "ipv6/conf/all/forwarding")]
    {
        let (address, length) = prefix.split_once('/').unwrap();
        netlink::add_route(name, Prefix::new(ip(address).into(), length.parse().unwrap())).unwrap();
        std::fs::write(format!("/proc/sys/net/{forwards}"), "1").unwrap();
    }
    let text = pattern(5003);
    let ports = [5000u16.to_be_bytes(), 4000u16.to_be_bytes()].concat();
    let flags = Flags::ACK | Flags::PSH | Flags::FIN | Flags::CWR | Flags::ECE;
    let sequence = [0xff, 0xff, 0xfe, 0, 1, 2, 3, 4, 0x80, flags.bits() as u8, 1, 2, 0, 0, 0, 0];
    let timestamps = [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8];
    let tcp = [&ports[..], &sequence, &timestamps].concat();
    let udp = [&ports[..], &(8 + text.len() as u16).to_be_bytes(), &[0; 2]].concat();
    for ends in [("10.8.0.2", "10.7.0.2"), ("fd08::2", "fd07::2")] {
        for (number, transport, offset) in [(protocol::TCP, &tcp, 16), (protocol::UDP, &udp, 6)] {
            let (head, checksum) = head(ends, number, transport, offset, text.len());
            let body = Body::from_slice(&text);
            let large = Datagram { head: &head, body, gso_size: 1000, checksum, event: None };
            tun.send(NOW, &large).unwrap();
            check(&large, number);
        }
    }
}

fn the_edge_cuts_as_the_kernel_does() {
    let plain = Tun::open(Some("tun1")).unwrap();
    forward_to(&plain, "tun1", |large, number| {
        let mut count = 0;
        segment::cut(large, |packet| {
            assert_eq!(forwarded(packet), next(&plain, number).packet);
            count += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(count, 6);
    });
}

fn what_is_joined_arrives_joined() {
    let tun = OffloadTun::open(Some("tun1")).unwrap();
    forward_to(&tun, "tun1", |large, number| {
        let Arrival { packet, trust, gso_size } = next(&tun, number);
        assert_eq!((packet, trust, gso_size), (forwarded(large), Trust::Trusted, 1000));
    });
    assert_eq!(tun.refused(), 0);
}

/// The packet behind a router.
fn forwarded(datagram: &Datagram<'_>) -> Vec<u8> {
    let mut packet = vec![0; datagram.len()];
    datagram.copy_to(&mut packet).unwrap();
    if packet[0] >> 4 == 4 {
        packet[8] -= 1;
        packet[10..12].fill(0);
        let sum = Sum::new().add(&packet[..20]).finish();
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        packet[7] -= 1;
    }
    packet
}

/// A packet that has its sum, or needs it finished without being large.
fn what_is_sent_finished_stays_so() {
    for offload in [Offload::On, Offload::Off] {
        let tun = bring_up(&with(offload)).unwrap();
        for ends in ADDRESSES {
            let socket = UdpSocket::bind((ip(ends.0), 4000)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let (mut head, partial) = udp_head(ends, 5000, 4000, 4);
            let Checksum::Partial { start, .. } = partial else { unreachable!() };
            let send = |head: &[u8], checksum| {
                let body = Body::from_slice(b"text");
                tun.send(NOW, &Datagram { head, body, gso_size: 0, checksum, event: None }).unwrap();
            };
            send(&head, partial);
            assert_eq!(socket.recv(&mut [0; 9]).unwrap(), 4);
            // With the sum of the pseudo-header alone it is a broken packet, if nobody says so.
            send(&head, Checksum::Complete);
            let start = usize::from(start);
            let sum = Sum::new().add(&head[start..]).add(b"text").finish();
            head[start + 6..start + 8].copy_from_slice(&sum.to_be_bytes());
            head[start..start + 2].copy_from_slice(&5000u16.to_be_bytes());
            send(&head, Checksum::Complete);
            assert_eq!(socket.recv(&mut [0; 9]).unwrap(), 4);
            socket.set_nonblocking(true).unwrap();
            let more = socket.recv(&mut [0; 9]).map_err(|e| e.kind());
            assert_eq!(more, Err(io::ErrorKind::WouldBlock), "the broken one was taken");
        }
    }
}

/// Whether the next UDP packet that the kernel sends has its sum.
fn comes_summed(tun: &dyn Device) -> bool {
    let socket = UdpSocket::bind("10.7.0.1:0").unwrap();
    socket.send_to(b"is it summed?", "10.7.0.2:9").unwrap();
    let arrival = next(tun, protocol::UDP);
    let ip = ip::parse(&arrival.packet).unwrap();
    udp::parse(&ip.header, ip.payload, Trust::Verify).is_ok()
}

fn a_plain_device_after_one_with_offload() {
    persist(&TunConfig::default(), 0).unwrap();
    let offload = OffloadTun::open(Some("tun0")).unwrap();
    assert!(!comes_summed(&offload));
    // As a program leaves it that ends suddenly.
    drop(offload.into_fd().unwrap());
    assert!(comes_summed(&Tun::open(Some("tun0")).unwrap()));
    drop(OffloadTun::open(Some("tun0")).unwrap().into_fd().unwrap());
    let plain = OffloadTun::open_queues(Some("tun0"), 1, false).unwrap().pop().unwrap();
    assert_eq!(plain.capabilities(), Capabilities { mtu: 1500, checksum_offload: false, max_gso: 0 });
    assert!(comes_summed(&plain));
}

/// For programs that do not look after it.
fn offloads_are_not_left_behind() {
    persist(&TunConfig::default(), 0).unwrap();
    let (one, two) = (OffloadTun::open(Some("tun0")), Iface::without_packet_info("tun0", Mode::Tun));
    assert!(one.is_ok() && two.is_err(), "one at a time");
    drop(one);
    let theirs = Iface::without_packet_info("tun0", Mode::Tun).unwrap();
    let fd = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let fd = pidfd_getfd(fd, theirs.as_raw_fd(), PidfdGetfdFlags::empty()).unwrap();
    let socket = UdpSocket::bind("10.7.0.1:0").unwrap();
    socket.send_to(b"is it summed?", "10.7.0.2:9").unwrap();
    loop {
        let mut buffer = [0; 1500];
        let len = rustix::io::read(&fd, &mut buffer).unwrap();
        let ip = ip::parse(&buffer[..len]).unwrap();
        if ip.header.protocol == protocol::UDP {
            udp::parse(&ip.header, ip.payload, Trust::Verify).unwrap();
            return;
        }
    }
}

fn a_device_that_stays_serves_both_ways() {
    let us = rustix::process::getuid().as_raw();
    assert_eq!(persist(&with(Offload::Auto), us).unwrap(), "tun0");
    administer(false);
    for (offload, on) in [(Offload::On, true), (Offload::Off, false), (Offload::Auto, true)] {
        let tun = bring_up(&with(offload)).unwrap();
        assert_eq!(tun.capabilities().checksum_offload, on);
        assert_eq!(comes_summed(&tun), !on);
    }
    // Nobody is there, but the device is.
    assert!(netlink::link("tun0").unwrap().unwrap().up);
    administer(true);
    remove("tun0").unwrap();
    assert_eq!(netlink::link("tun0").unwrap(), None);
}

fn each_queue_has_its_flows() {
    for offload in [Offload::On, Offload::Off] {
        let config = TunConfig { queues: 3, ..with(offload) };
        let mut queues = bring_up_queues(&config).unwrap();
        assert!(queues.iter().all(|tun| tun.name() == "tun0" && tun.capabilities().mtu == 1500));
        let link = netlink::link("tun0").unwrap().unwrap();
        assert!(link.up && link.tun.unwrap().multi_queue);
        let host = UdpSocket::bind("10.7.0.1:4000").unwrap();
        host.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        for round in 0..8 {
            for (n, tun) in queues.iter().enumerate() {
                let port = 5000 + round * 10 + n as u16;
                let (head, checksum) = udp_head(ADDRESSES[0], port, 4000, 4);
                let body = Body::from_slice(b"flow");
                tun.send(NOW, &Datagram { head: &head, body, gso_size: 0, checksum, event: None }).unwrap();
                let (_, from) = host.recv_from(&mut [0; 9]).unwrap();
                assert_eq!(from.port(), port);
                host.send_to(b"back", from).unwrap();
                let arrival = next(tun, protocol::UDP);
                let ip = ip::parse(&arrival.packet).unwrap();
                let (header, _) = udp::parse(&ip.header, ip.payload, arrival.trust).unwrap();
                assert_eq!(header.dst_port, port, "queue {n} has the answer to its own flow");
            }
        }
        // The device lives until its last queue goes.
        queues.truncate(1);
        assert_eq!(comes_summed(&queues[0]), offload == Offload::Off);
        queues.clear();
        assert_eq!(netlink::link("tun0").unwrap(), None);
    }
    let e = bring_up(&TunConfig { queues: 2, ..with(Offload::On) }).unwrap_err();
    assert_eq!(e.to_string(), "queues: 2 are 2 devices, not one");
    assert_eq!(netlink::link("tun0").unwrap(), None);
}

fn queues_and_the_device_that_is_there() {
    persist(&TunConfig { queues: 2, ..TunConfig::default() }, 0).unwrap();
    let e = Tun::open(Some("tun0")).unwrap_err();
    assert_eq!(e.to_string(), "tun0 is a TUN of several queues, not a plain TUN: name another device");
    // One queue of several is a device as well.
    let one = OffloadTun::open(Some("tun0")).unwrap();
    let more = OffloadTun::open_queues(Some("tun0"), 2, true).unwrap();
    drop((one, more));
    remove("tun0").unwrap();
    assert_eq!(netlink::link("tun0").unwrap(), None);

    persist(&TunConfig::default(), 0).unwrap();
    let e = OffloadTun::open_queues(Some("tun0"), 2, true).unwrap_err();
    assert_eq!(e.to_string(), "tun0 is a TUN of one queue, not a plain TUN: name another device");
    remove("tun0").unwrap();
}

fn a_descriptor_is_handed_over() {
    // Set up by one, used by another, who may do nothing.
    let tun = bring_up(&with(Offload::Off)).unwrap();
    let plain = tun.readable().try_clone_to_owned().unwrap();
    drop(tun);
    administer(false);
    let plain = OffloadTun::from_fd(plain, 1500).unwrap();
    assert_eq!((plain.name(), plain.capabilities().max_gso), ("tun0", 0));
    assert!(comes_summed(&plain));
    drop(plain);
    administer(true);
    assert_eq!(netlink::link("tun0").unwrap(), None);

    persist(&TunConfig { addr6: None, ..TunConfig::default() }, 0).unwrap();
    let tun = bring_up(&TunConfig { mtu: 1400, addr6: None, ..with(Offload::On) }).unwrap();
    let TunDevice::Offload(tun) = tun else { panic!("offload was asked for") };
    let given = tun.into_fd().unwrap();
    assert_eq!(netlink::link("tun0").unwrap().unwrap().mtu, 1400, "it stays as it was set up");
    let tun = OffloadTun::from_fd(given, 1400).unwrap();
    assert_eq!(tun.capabilities(), Capabilities { mtu: 1400, checksum_offload: true, max_gso: 65_535 });
    assert!(!comes_summed(&tun));
    netlink::set_up("tun0", false).unwrap();
    let sent = tun.send(NOW, &plain_datagram(&[0x45; 20]));
    assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::NetworkDown);
}

/// What one queue has set up the others do not put back while somebody else has one of them.
fn a_queue_is_handed_over() {
    let config = TunConfig { queues: 2, mtu: 1400, ..with(Offload::On) };
    persist(&TunConfig { mtu: 1500, ..config.clone() }, 0).unwrap();
    let mut queues = bring_up_queues(&config).unwrap();
    let Some(TunDevice::Offload(first)) = queues.pop() else { unreachable!() };
    let given = OffloadTun::from_fd(first.into_fd().unwrap(), 1400).unwrap();
    drop(queues);
    let mtu = netlink::link("tun0").unwrap().unwrap().mtu;
    assert_eq!((mtu, comes_summed(&given)), (1400, false));
}

fn plain_datagram(head: &[u8]) -> Datagram<'_> {
    Datagram { head, body: Body::EMPTY, gso_size: 0, checksum: Checksum::Complete, event: None }
}
/// Where its name means nothing.
fn a_descriptor_of_another_namespace() {
    // It says back what it hears once it is there, and ends when it hears no more, whatever becomes of this test.
    let mut other = Command::new("unshare");
    other.args(["-n", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut other = other.spawn().unwrap();
    other.stdin.as_mut().unwrap().write_all(b".").unwrap();
    other.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let theirs = format!("/proc/{}/ns/net", other.id());
    // A thread of its own, which takes the namespace with it.
    let made = thread::spawn(move || {
        let there = File::open(theirs).unwrap();
        move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        OffloadTun::open(Some("far")).unwrap().into_fd().unwrap()
    });
    let tun = OffloadTun::from_fd(made.join().unwrap(), 1500).unwrap();
    assert_eq!((tun.name(), netlink::link("far").unwrap()), ("far", None));
    let e = tun.send(NOW, &plain_datagram(&[0x45; 20])).unwrap_err();
    assert_eq!(e.to_string(), "far is down: bring it up with `ip link set far up`");
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
}

fn descriptors_that_do_not_serve() {
    let refused = |fd: OwnedFd| OffloadTun::from_fd(fd, 1500).unwrap_err().to_string();
    let (advice, unattached) =
        ("hand over one of a TUN, attached with IFF_TUN and IFF_NO_PI", File::open("/dev/net/tun").unwrap());
    assert_eq!(refused(unattached.into()), format!("the descriptor is not attached to a device: {advice}"));
    let null = File::open("/dev/null").unwrap();
    assert_eq!(refused(null.into()), format!("the descriptor is not one of /dev/net/tun: {advice}"));
    let ours = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let copy = |iface: &Iface| pidfd_getfd(&ours, iface.as_raw_fd(), PidfdGetfdFlags::empty()).unwrap();
    let tap = Iface::without_packet_info("tap7", Mode::Tap).unwrap();
    assert!(refused(copy(&tap)).starts_with("the descriptor is that of a TAP"));
}

fn refusals_are_those_of_the_plain_device() {
    let tun = bring_up(&with(Offload::On)).unwrap();
    let e = OffloadTun::open(Some("tun0")).unwrap_err();
    assert!(matches!(&e, DeviceError::Busy { name } if name == "tun0"), "{e}");
    netlink::set_up("tun0", false).unwrap();
    let e = tun.send(NOW, &plain_datagram(&[0x45; 20])).unwrap_err();
    assert!(e.to_string().contains("ip link set tun0 up"), "{e}");
    netlink::delete_link("tun0").unwrap();
    assert!(wait(&tun).contains(PollFlags::ERR));
    let received = tun.recv(NOW, &mut Frames::new(4, 1500)).unwrap_err();
    let sent = tun.send(NOW, &plain_datagram(&[0x45; 20])).unwrap_err();
    for e in [received, sent] {
        assert_eq!(e.to_string(), "tun0 was deleted while in use: start again");
    }
    drop(tun);

    let _tap = Iface::without_packet_info("tap7", Mode::Tap).unwrap();
    for name in ["tap7", "lo"] {
        let e = OffloadTun::open(Some(name)).unwrap_err();
        assert!(matches!(e, DeviceError::NotTun { .. }), "{e}");
    }
    let e = OffloadTun::open(Some("a/b")).unwrap_err();
    assert!(matches!(e, DeviceError::Name { .. }), "{e}");
    let theirs = rustix::process::getuid().as_raw() + 1000;
    let mapped = persist(&TunConfig { name: Some("theirs".to_owned()), ..TunConfig::default() }, theirs);
    administer(false);
    let e = OffloadTun::open(Some("new")).unwrap_err();
    assert_eq!(
        e.to_string(),
        "no right to make new: run as root, or let root make a device for you: tunstack up --user NAME"
    );
    // In a namespace of a plain user there is no other user to give a device to.
    if mapped.is_ok() {
        let e = OffloadTun::open(Some("theirs")).unwrap_err();
        assert!(matches!(e, DeviceError::NotOwner { owner, .. } if owner == Some(theirs)), "{e}");
    }
}
