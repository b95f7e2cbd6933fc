//! A device for which the kernel sums, cuts and joins.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use pcap_parser::pcapng::{Block, parse_block_le};
use tunstack::core::packet::{Datagram, Inbound, Received, Trust};
use tunstack::core::time::Instant;
use tunstack::core::wire::ip::{self, protocol};
use tunstack::core::wire::tcp;
use tunstack::device::capture::{Capture, CaptureWriter};
use tunstack::device::impair::Impair;
use tunstack::device::setup::{Offload, TunConfig};
use tunstack::device::{Capabilities, Device, Frames};
use tunstack::sim::link::LinkConfig;

use crate::bulk::exchange;
use crate::ends::Meeting;
use crate::forward::forward;
use crate::host::{LONG, start_on};

fn device() -> TunConfig {
    TunConfig { offload: Offload::On, ..TunConfig::default() }
}

/// How many of our segments the kernel has found to have a wrong checksum.
fn wrong_sums() -> u64 {
    let text = fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: ")).map(str::split_whitespace);
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let (_, value) = names.zip(values).find(|(name, _)| *name == "InCsumErrors").unwrap();
    value.parse().unwrap()
}

/// A device, and what came by it.
pub(crate) struct Watched {
    device: Box<dyn Device>,
    longest: AtomicUsize,
    joined: AtomicUsize,
    /// TCP segments with text that nobody vouched for. Those without do not count: resets, and the ACKs of
    /// a TIME-WAIT or a request, Linux sums itself over IPv4.
    unchecked: AtomicUsize,
    sent: AtomicUsize,
}

impl Watched {
    pub(crate) fn new(device: Box<dyn Device>) -> Arc<Self> {
        let none = AtomicUsize::default;
        Arc::new(Self { device, longest: none(), joined: none(), unchecked: none(), sent: none() })
    }

    /// How many packets it was given.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Relaxed)
    }
}

impl Device for Watched {
    forward!(device: recv deadline capabilities readable);

    fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        self.sent.fetch_add(1, Relaxed);
        self.device.send(now, datagram)
    }

    fn settled(&self, now: Instant, inbound: &Inbound<'_>, received: &Received) {
        self.longest.fetch_max(inbound.packet.len(), Relaxed);
        self.joined.fetch_add(usize::from(inbound.gso_size != 0), Relaxed);
        let text = ip::parse(inbound.packet).is_ok_and(|ip| {
            ip.header.protocol == protocol::TCP
                && tcp::parse(&ip.header, ip.payload, inbound.trust).is_ok_and(|tcp| !tcp.payload.is_empty())
        });
        self.unchecked.fetch_add(usize::from(text && inbound.trust == Trust::Verify), Relaxed);
        self.device.settled(now, inbound, received);
    }
}

pub(crate) fn both_ways_at_once() {
    const OCTETS: usize = 24_000_000;
    let mut watched = None;
    let engine = start_on(&device(), |_| {}, |tun| Box::new(Arc::clone(watched.insert(Watched::new(tun)))));
    let watched = watched.unwrap();
    for meeting in Meeting::all() {
        let (client, server) = meeting.connect(&engine);
        let began = std::time::Instant::now();
        exchange(&client, &server, OCTETS, 60_000);
        println!("{} MB/s each way", OCTETS as u128 / began.elapsed().as_micros().max(1));
    }
    engine.shutdown(LONG).unwrap();
    assert!(watched.joined.load(Relaxed) > 100, "{} were joined", watched.joined.load(Relaxed));
    assert!(watched.longest.load(Relaxed) > 30_000, "the longest has {}", watched.longest.load(Relaxed));
    assert_eq!(watched.unchecked.load(Relaxed), 0, "the kernel's sums are partial");
    assert_eq!((engine.counters().tcp_in_errs, wrong_sums()), (0, 0));
}

pub(crate) fn a_bad_link_before_it() {
    let link: LinkConfig = "1ms,loss=0.5%,corrupt=0.5%".parse().unwrap();
    let (mut impaired, mut watched) = (None, None);
    let engine = start_on(
        &device(),
        |_| {},
        |tun| {
            let link = Arc::clone(impaired.insert(Arc::new(Impair::new(tun, link, link, 7))));
            Box::new(Arc::clone(watched.insert(Watched::new(Box::new(link)))))
        },
    );
    let (impaired, watched) = (impaired.unwrap(), watched.unwrap());
    assert_eq!(watched.capabilities(), Capabilities { mtu: 1500, checksum_offload: false, max_gso: 0 });
    for meeting in Meeting::all() {
        let (client, server) = meeting.connect(&engine);
        exchange(&client, &server, 400_000, 60_000);
    }
    engine.shutdown(LONG).unwrap();
    // The link took packets and not bursts, and none was too large for the frames of a plain device.
    assert_eq!((watched.joined.load(Relaxed), watched.longest.load(Relaxed)), (0, 1500));
    assert_eq!(impaired.stats().overflow, 0);
    assert!(engine.counters().tcp_in_csum_errors > 0, "what was corrupted is found by its sum");
}

pub(crate) fn captured() {
    for split in [false, true] {
        let mut capture = None;
        let engine = start_on(
            &device(),
            |_| {},
            |tun| {
                let writer = CaptureWriter::new(Vec::new(), &["tun0"]).unwrap();
                let device = Capture::new(tun, writer, Duration::ZERO).split(split);
                Box::new(Arc::clone(capture.insert(Arc::new(device))))
            },
        );
        for meeting in Meeting::all() {
            let (client, server) = meeting.connect(&engine);
            exchange(&client, &server, 300_000, 60_000);
        }
        engine.shutdown(LONG).unwrap();
        drop(engine);
        let file = capture.unwrap().finish().unwrap().unwrap();
        let mut rest = file.as_slice();
        let (mut longest, mut count) = (0, 0);
        while !rest.is_empty() {
            let (behind, block) = parse_block_le(rest).unwrap();
            rest = behind;
            let Block::EnhancedPacket(block) = block else { continue };
            let parsed = ip::parse(&block.data[..block.caplen as usize]).unwrap();
            if parsed.header.protocol == protocol::TCP {
                tcp::parse(&parsed.header, parsed.payload, Trust::Verify).expect("it is whole and summed");
                longest = longest.max(parsed.packet.len());
                count += 1;
            }
        }
        // 1.2 MB and their ACKs, in packets of the link or in runs of them, both ways.
        assert!(if split { count > 1000 } else { (50..1000).contains(&count) }, "{count}");
        assert!(if split { longest == 1500 } else { longest > 10_000 }, "the longest has {longest}");
    }
}
