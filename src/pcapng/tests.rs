use std::fs::File;
use std::process::Command;
use std::sync::{Arc, Mutex};

use etherparse::PacketBuilder;
use pcap_parser::pcapng::{Block, PcapNGOption, parse_block_le};
use tunstack_core::addr::{Endpoint, Quad};
use tunstack_core::packet::Body;
use tunstack_core::tcp::state::State;
use tunstack_core::trace::{Reason, TcpEvent, What};

use super::*;

/// A packet as an independent reader sees it.
#[derive(Debug, PartialEq)]
struct Read {
    interface: u32,
    nanos: u64,
    data: Vec<u8>,
    flags: Option<Vec<u8>>,
    comment: Option<String>,
}

const COMMENT: u16 = 1;
const FLAGS: u16 = 2;

fn option(options: &[PcapNGOption<'_>], code: u16) -> Option<Vec<u8>> {
    let found = options.iter().find(|o| o.code.0 == code)?;
    Some(found.value[..usize::from(found.len)].to_vec())
}

fn text(options: &[PcapNGOption<'_>], code: u16) -> Option<String> {
    option(options, code).map(|o| String::from_utf8(o).unwrap())
}

/// All packets of a file, and its head: hardware, system, program, then each interface's name, description
/// and resolution.
fn read(mut file: &[u8]) -> (Vec<Option<String>>, Vec<Read>) {
    let (mut head, mut packets) = (Vec::new(), Vec::new());
    while !file.is_empty() {
        let (rest, block) = parse_block_le(file).expect("whole blocks");
        file = rest;
        match block {
            Block::SectionHeader(b) => {
                assert_eq!((b.major_version, b.minor_version, b.section_len), (1, 0, -1));
                head.extend([2, 3, 4].map(|code| text(&b.options, code)));
            }
            Block::InterfaceDescription(b) => {
                assert_eq!((b.linktype.0, b.snaplen, b.if_tsresol), (101, SNAPLEN, 9));
                head.extend([2, 3].map(|code| text(&b.options, code)));
            }
            Block::EnhancedPacket(b) => packets.push(Read {
                interface: b.if_id,
                nanos: u64::from(b.ts_high) << 32 | u64::from(b.ts_low),
                data: b.data[..b.caplen as usize].to_vec(),
                flags: option(&b.options, FLAGS),
                comment: text(&b.options, COMMENT),
            }),
            other => panic!("unexpected {other:?}"),
        }
    }
    (head, packets)
}

fn some(s: &str) -> Option<String> {
    Some(s.to_owned())
}

fn event() -> TcpEvent {
    let end = |last, port| Endpoint::new(std::net::Ipv4Addr::new(10, 7, 0, last).into(), port);
    let quad = Quad { local: end(2, 1000), remote: end(1, 80) };
    TcpEvent { quad, state: State::SynSent, change: None, what: What::Sent(Reason::Syn), variables: None }
}

/// A TCP segment with its checksum, and the offset of its TCP header.
fn segment(v6: bool, payload: &[u8]) -> (Vec<u8>, u16) {
    let (ip, start) = if v6 {
        let (mut a, mut b) = ([0; 16], [0; 16]);
        (a[0], a[15], b[0], b[15]) = (0xfd, 2, 0xfd, 1);
        (PacketBuilder::ipv6(a, b, 64), 40)
    } else {
        (PacketBuilder::ipv4([10, 7, 0, 2], [10, 7, 0, 1], 64), 20)
    };
    let mut packet = Vec::new();
    ip.tcp(1000, 80, 7, 1024).syn().write(&mut packet, payload).unwrap();
    (packet, start)
}

/// The sum of the pseudo-header alone (RFC 9293 section 3.1), as a device with checksum offload gets it.
fn leave_partial(packet: &mut [u8], start: u16, offset: u16) {
    let start = usize::from(start);
    let (addresses, protocol) = if start == 40 { (8..40, packet[6]) } else { (12..20, packet[9]) };
    let len = u16::try_from(packet.len() - start).unwrap();
    let words = packet[addresses].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
    let mut sum = words.sum::<u32>() + u32::from(protocol) + u32::from(len);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let field = start + usize::from(offset);
    packet[field..field + 2].copy_from_slice(&u16::try_from(sum).unwrap().to_be_bytes());
}

#[test]
fn what_was_written_is_read_back() {
    let metadata = Metadata { hardware: some("abacus"), os: some("Beads 1.0"), application: "test".into() };
    let interface = |name, description| Interface { name, description };
    let interfaces = [interface("tun0", "to the host"), interface("tun1", "to the moon")];
    let mut w = CaptureWriter::with_metadata(Vec::new(), &metadata, &interfaces).unwrap();
    let at = Duration::new(1_700_000_000, 123_456_789);
    w.packet(1, at, Direction::Inbound, &[b"ab", b"", b"cde"], None);
    w.packet(0, at + Duration::from_nanos(1), Direction::Outbound, &[b"f"], Some("why?"));
    let (head, packets) = read(&w.finish().unwrap());
    let described = ["abacus", "Beads 1.0", "test", "tun0", "to the host", "tun1", "to the moon"];
    assert_eq!(head, described.map(some));
    let nanos = 1_700_000_000_123_456_789;
    let inbound =
        Read { interface: 1, nanos, data: b"abcde".to_vec(), flags: Some(vec![1, 0, 0, 0]), comment: None };
    let outbound = Read {
        interface: 0,
        nanos: nanos + 1,
        data: b"f".to_vec(),
        flags: Some(vec![2, 0, 0, 0]),
        comment: some("why?"),
    };
    assert_eq!(packets, [inbound, outbound]);
}

#[test]
fn the_same_packets_make_the_same_bytes() {
    let capture = || {
        let mut w = CaptureWriter::new(Vec::new(), &["a"]).unwrap();
        w.packet(0, Duration::from_secs(7), Direction::Inbound, &[b"x"], Some("y"));
        w.finish().unwrap()
    };
    assert_eq!(capture(), capture());
    let (head, _) = read(&capture());
    let program = format!("tunstack {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(head, [None, None, Some(program), some("a"), some("raw IP packets")]);
}

#[test]
fn the_host_is_named_only_when_asked() {
    let host = Metadata::of_this_host();
    assert_eq!(host.hardware.as_deref(), Some(std::env::consts::ARCH));
    assert!(host.os.is_some_and(|os| os.starts_with("Linux ")));
}

#[test]
fn checksums_left_to_the_device_are_put_in() {
    for (v6, payload) in [(false, &b""[..]), (true, b""), (false, b"odd"), (true, b"evens!")] {
        let (whole, start) = segment(v6, payload);
        let mut partial = whole.clone();
        leave_partial(&mut partial, start, 16);
        assert_ne!(partial, whole);
        let (head, text) = partial.split_at(partial.len() - payload.len());
        let sent = event().into();
        let datagram = Datagram {
            head,
            body: Body::from_slice(text),
            gso_size: 0,
            checksum: Checksum::Partial { start, offset: 16 },
            event: Some(&sent),
        };
        let mut w = CaptureWriter::new(Vec::new(), &["a"]).unwrap();
        w.datagram(0, Duration::ZERO, &datagram);
        // One that is complete is left alone, right or wrong.
        w.datagram(0, Duration::ZERO, &Datagram { checksum: Checksum::Complete, event: None, ..datagram });
        let (_, packets) = read(&w.finish().unwrap());
        assert_eq!(packets[0].data, whole, "v6 {v6}, {payload:?}");
        assert_eq!(packets[0].comment, some("connection request | SYN-SENT"));
        assert_eq!(packets[0].flags, Some(vec![2, 0, 0, 0]));
        assert_eq!((&packets[1].data, &packets[1].comment), (&partial, &None));
    }
}

#[test]
fn udp_never_gets_the_sum_that_means_none() {
    // Chosen so that the sum over the segment is 0xffff, whose complement is 0.
    let mut packet = [0, 1, 0, 2, 0, 8, 0, 0];
    complete(&mut packet, 0, UDP_CHECKSUM);
    assert_eq!(packet[6..], (!11u16).to_be_bytes());
    let mut packet = [0xff, 0xf4, 0, 3, 0, 8, 0, 0];
    complete(&mut packet, 0, UDP_CHECKSUM);
    assert_eq!(packet[6..], [0xff, 0xff]);
}

#[test]
fn offsets_beyond_the_packet_are_ignored() {
    for (start, offset) in [(9, 0), (0, 7), (0, u16::MAX), (u16::MAX, u16::MAX)] {
        let mut packet = [7; 8];
        complete(&mut packet, start, offset);
        assert_eq!(packet, [7; 8], "{start} {offset}");
    }
}

#[test]
fn long_comments_are_cut_between_characters() {
    let comment = format!("x{}", "ü".repeat(40_000));
    let mut w = CaptureWriter::new(Vec::new(), &["a"]).unwrap();
    w.packet(0, Duration::ZERO, Direction::Inbound, &[b"p"], Some(&comment));
    w.packet(0, Duration::ZERO, Direction::Inbound, &[b"q"], None);
    let (_, packets) = read(&w.finish().unwrap());
    assert_eq!(packets[0].comment, some(&comment[..65_535]));
    assert_eq!(packets[1].data, b"q");
}

/// A file on a disk with little room, whose owner looks at it from outside.
#[derive(Clone, Default)]
struct Disk {
    file: Arc<Mutex<Vec<u8>>>,
    room: usize,
    broken: Arc<Mutex<u32>>,
}

impl Disk {
    fn with(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    fn len(&self) -> usize {
        self.file.lock().unwrap().len()
    }
}

impl Write for Disk {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap();
        let n = octets.len().min(self.room - file.len());
        if n == 0 && !octets.is_empty() {
            *self.broken.lock().unwrap() += 1;
            return Err(rustix::io::Errno::NOSPC.into());
        }
        file.extend_from_slice(&octets[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_capture_and_is_told() {
    let disk = Disk::with(100_000);
    let mut w = CaptureWriter::new(disk.clone(), &["a"]).unwrap();
    for _ in 0..200 {
        w.packet(0, Duration::ZERO, Direction::Inbound, &[&[0; 1000]], None);
    }
    assert_eq!(w.error().map(io::Error::kind), Some(io::ErrorKind::StorageFull));
    // It is told each time that one asks, and not tried again.
    assert_eq!(w.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
    let Err(e) = w.finish() else { panic!("the disk was full") };
    assert_eq!(e.raw_os_error(), Some(rustix::io::Errno::NOSPC.raw_os_error()));
    assert_eq!((disk.len(), *disk.broken.lock().unwrap()), (100_000, 1));
}

#[test]
fn a_disk_that_fills_at_the_very_end_is_told_too() {
    let disk = Disk::with(200);
    let mut w = CaptureWriter::new(disk, &["a"]).unwrap();
    w.packet(0, Duration::ZERO, Direction::Inbound, &[&[0; 1000]], None);
    assert!(w.error().is_none());
    let Err(e) = w.finish() else { panic!("the disk was full") };
    assert_eq!(e.kind(), io::ErrorKind::StorageFull);
    // The kernel's own full disk, before a single packet.
    let Err(e) = CaptureWriter::new(File::create("/dev/full").unwrap(), &["a"]) else {
        panic!("/dev/full took the head of the file")
    };
    assert_eq!(e.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_wrong_interface_is_an_error() {
    let mut w = CaptureWriter::new(Vec::new(), &["a"]).unwrap();
    w.packet(1, Duration::ZERO, Direction::Inbound, &[b"x"], None);
    assert_eq!(w.error().map(io::Error::kind), Some(io::ErrorKind::InvalidInput));
}

#[test]
fn packets_are_gathered_but_not_for_long() {
    let disk = Disk::with(1 << 20);
    let mut w = CaptureWriter::new(disk.clone(), &["a"]).unwrap();
    let head = disk.len();
    assert!(head > 0);
    let mut packet = |at: u64| w.packet(0, Duration::from_millis(at), Direction::Inbound, &[&[0; 60]], None);
    packet(5000);
    packet(5999);
    assert_eq!(disk.len(), head);
    packet(6000);
    let three = disk.len();
    assert!(three > head);
    packet(6001);
    assert_eq!(disk.len(), three);
    (0..1000).for_each(|_| packet(6001));
    assert!(disk.len() > three + GATHERED_MAX);
    drop(w);
    assert_eq!(read(&disk.file.lock().unwrap()).1.len(), 1004);
}

/// Wireshark's own reader, where it is installed.
#[test]
fn tshark_agrees() {
    let mut w = CaptureWriter::new(Vec::new(), &["tun0"]).unwrap();
    for v6 in [false, true] {
        let (mut packet, start) = segment(v6, b"hello");
        leave_partial(&mut packet, start, 16);
        let checksum = Checksum::Partial { start, offset: 16 };
        let sent = event().into();
        let datagram =
            Datagram { head: &packet, body: Body::EMPTY, gso_size: 0, checksum, event: Some(&sent) };
        w.datagram(0, Duration::new(1_700_000_000, 123_456_789), &datagram);
    }
    let path = std::env::temp_dir().join(format!("tunstack-pcapng-{}.pcapng", std::process::id()));
    std::fs::write(&path, w.finish().unwrap()).unwrap();
    let tshark = Command::new("tshark")
        .args(["-o", "tcp.check_checksum:TRUE", "-T", "fields", "-E", "separator=;", "-r"])
        .arg(&path)
        .args(["-e", "frame.time_epoch", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction"])
        .args(["-e", "tcp.checksum.status", "-e", "frame.comment", "-e", "_ws.malformed"])
        .output();
    std::fs::remove_file(&path).unwrap();
    let output = match tshark {
        Ok(output) => output,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return eprintln!("skipped: tshark is not installed");
        }
        Err(e) => panic!("tshark: {e}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = "1700000000.123456789;tun0;0x00000002;1;connection request | SYN-SENT;\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), line.repeat(2));
}
