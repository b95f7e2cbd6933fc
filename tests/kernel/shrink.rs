//! A path that becomes smaller in mid-transfer: the kernel's client sits in a namespace of its own behind the kernel as
//! router, whose routes take less from the middle of a transfer on. No packet of ours may be larger after the router has
//! said so, as the link sees it: where the device cuts, after cutting.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pcap_parser::pcapng::{Block, parse_block_le};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tunstack::core::packet::Trust;
use tunstack::core::wire::icmp::{self, Message};
use tunstack::core::wire::ip::{self as wire, protocol};
use tunstack::core::wire::tcp;
use tunstack::device::capture::{Capture, CaptureWriter};
use tunstack::device::netlink;
use tunstack::device::setup::{Offload, TunConfig};

use crate::ends::{End, Pattern};
use crate::host::{LONG, ip, start_on, sysctl, until};

/// Router, client and stack.
const FAMILIES: [[&str; 3]; 2] = [["10.8.0.1", "10.8.0.2", "10.7.0.2"], ["fd08::1", "fd08::2", "fd07::2"]];

/// Octets each way.
const OCTETS: usize = 6_000_000;

/// Another namespace, which lives as long as this.
struct Far(Child);

impl Far {
    /// With one link to this namespace, `far0` here and `far1` there, of `mtu` octets.
    fn new(mtu: u32) -> Self {
        let mut other = Command::new("unshare");
        other.args(["-n", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut other = other.spawn().unwrap();
        // It says back what it hears once it is there.
        other.stdin.as_mut().unwrap().write_all(b".").unwrap();
        other.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let far = Self(other);
        let pid = far.0.id();
        run(&format!("link add far0 mtu {mtu} type veth peer name far1 mtu {mtu} netns {pid}"));
        run("link set far0 up");
        far.inside(|| {
            run("link set lo up");
            run("link set far1 up");
        });
        for [router, client, _] in FAMILIES {
            let (length, nodad) = if router.contains(':') { (64, " nodad") } else { (24, "") };
            run(&format!("address add {router}/{length} dev far0{nodad}"));
            far.inside(|| {
                run(&format!("address add {client}/{length} dev far1{nodad}"));
                run(&format!("route add default via {router}"));
            });
            // From a work queue the kernel gives IPv6 addresses their routes.
            until("the router's address", || netlink::is_local(ip(router)).unwrap());
            far.inside(|| until("the client's address", || netlink::is_local(ip(client)).unwrap()));
        }
        far
    }

    /// What a thread there gives.
    fn inside<T: Send>(&self, does: impl FnOnce() -> T + Send) -> T {
        let there = File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                does()
            });
            thread.join().unwrap()
        })
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        // The kernel takes a namespace apart in its own time, and the next one makes a link of that name.
        if !thread::panicking() {
            run("link del far0");
        }
        // Told that nothing more will be said, it ends.
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// Runs `ip`.
fn run(arguments: &str) {
    let family = if arguments.contains(':') { "-6" } else { "-4" };
    let status = Command::new("ip").arg(family).args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {family} {arguments}: {status}");
}

/// Packets to `address` that leave by `device` may be no longer than `mtu` from now on.
fn shrink(address: &str, device: &str, mtu: u16) {
    let length = if address.contains(':') { 128 } else { 32 };
    run(&format!("route add {address}/{length} dev {device} mtu lock {mtu}"));
}

pub(crate) fn under_a_transfer() {
    if Command::new("ip").arg("-V").output().is_err() {
        eprintln!("skipped: there is no `ip` here");
        return;
    }
    for (offload, mtu, path) in [
        (Offload::On, 1500, 1300),
        (Offload::Off, 1500, 1300),
        (Offload::On, 9000, 1400),
        (Offload::Off, 9000, 1400),
    ] {
        cell(offload, mtu, path);
    }
}

/// Both families, one after the other, on a device of `mtu` octets, over paths that have `path` in the end.
fn cell(offload: Offload, mtu: u32, path: u16) {
    let mut capture = None;
    let device = TunConfig { offload, mtu, ..TunConfig::default() };
    let engine = start_on(
        &device,
        |_| {},
        |tun| {
            let writer = CaptureWriter::new(Vec::new(), &["tun0"]).unwrap();
            let device = Capture::new(tun, writer, Duration::ZERO).split(true);
            Box::new(Arc::clone(capture.insert(Arc::new(device))))
        },
    );
    let far = Far::new(mtu);
    sysctl("ipv4/ip_forward", "1");
    sysctl("ipv6/conf/all/forwarding", "1");
    for [_, client, stack] in FAMILIES {
        let listener = engine.listen((stack, 0)).unwrap();
        let to: SocketAddr = listener.local_addr().unwrap();
        let theirs = far.inside(|| net::TcpStream::connect_timeout(&to, LONG)).unwrap();
        let ours = listener.accept().unwrap().0;
        theirs.set_read_timeout(Some(LONG)).unwrap();
        theirs.set_write_timeout(Some(LONG)).unwrap();
        ours.set_read_timeout(Some(LONG)).unwrap();
        ours.set_write_timeout(Some(LONG)).unwrap();
        let ends = [(End::Ours(ours), client, "far0"), (End::Kernels(theirs), stack, "tun0")];
        let began = std::time::Instant::now();
        thread::scope(|scope| {
            for (n, (end, peer, link)) in ends.iter().enumerate() {
                let (mine, other) = (Pattern(n as u64), Pattern(1 - n as u64));
                scope.spawn(move || {
                    mine.write(end, 0, OCTETS / 2, 60_000);
                    shrink(peer, link, path);
                    mine.write(end, OCTETS as u64 / 2, OCTETS / 2, 60_000);
                    end.shutdown(Shutdown::Write).unwrap();
                });
                scope.spawn(move || other.read_to_end(end, 0, OCTETS));
            }
        });
        println!(
            "{offload:?} {mtu} {stack}: {} MB/s each way",
            OCTETS as u128 / began.elapsed().as_micros().max(1)
        );
    }
    engine.shutdown(LONG).unwrap();
    drop(engine);
    let file = capture.unwrap().finish().unwrap().unwrap();
    for [_, _, stack] in FAMILIES {
        let sizes = sizes(&file, stack);
        let name =
            format!("{offload:?} {mtu} {stack}: {} before, {} since", sizes.before.len(), sizes.since.len());
        let most = |sizes: &[usize]| sizes.iter().copied().max();
        println!("{name}");
        assert!(sizes.before.len() > 100, "{name}: it is in mid-transfer");
        assert_eq!(most(&sizes.before), Some(mtu as usize), "{name}");
        assert_eq!(most(&sizes.since), Some(path.into()), "{name}");
        // The kernel's own, of which only the router knows when it was told: at the end it has been.
        let (first, last) = sizes.theirs.split_at(sizes.theirs.len() * 3 / 4);
        assert_eq!((most(first), most(last)), (Some(mtu as usize), Some(path.into())), "{name}");
    }
}

/// Lengths of the packets with TCP in a capture.
#[derive(Default)]
struct Sizes {
    /// Of ours, before a router said that they are too large.
    before: Vec<usize>,
    /// And since.
    since: Vec<usize>,
    /// Of the peer's that have text.
    theirs: Vec<usize>,
}

fn sizes(file: &[u8], stack: &str) -> Sizes {
    let (mut sizes, mut told, mut rest) = (Sizes::default(), false, file);
    while !rest.is_empty() {
        let (behind, block) = parse_block_le(rest).unwrap();
        rest = behind;
        let Block::EnhancedPacket(block) = block else { continue };
        let parsed = wire::parse(&block.data[..block.caplen as usize]).unwrap();
        let (ours, len) = (parsed.header.src.ip() == ip(stack), parsed.packet.len());
        if !ours && parsed.header.dst.ip() != ip(stack) {
            continue;
        }
        match parsed.header.protocol {
            protocol::TCP if !ours => {
                let segment = tcp::parse(&parsed.header, parsed.payload, Trust::Verify).unwrap();
                sizes.theirs.extend((!segment.payload.is_empty()).then_some(len));
            }
            protocol::TCP if told => sizes.since.push(len),
            protocol::TCP => sizes.before.push(len),
            protocol::ICMP | protocol::ICMPV6 => {
                let message = icmp::parse(&parsed.header, parsed.payload, Trust::Verify);
                told |=
                    matches!(message, Ok(Message::FragmentationNeeded { .. } | Message::PacketTooBig { .. }));
            }
            _ => {}
        }
    }
    sizes
}
