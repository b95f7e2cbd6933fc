//! What a run writes down, judged by tshark.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use tunstack::device::capture::{CaptureWriter, Direction};

use crate::ends::Pattern;
use crate::host::{ADDRESSES, LONG, ip};
use crate::program::{Scratch, Tunstack, child, has, run};
use crate::tshark;

/// The small services, refusals, pings and fragments; each packet of it is whole and explained.
pub(crate) fn judged_by_tshark() {
    if !tshark::installed() || !has("ping") {
        return;
    }
    let dir = Scratch::new();
    let file = dir.path("run.pcapng");
    // With offload the kernel's datagrams have no sum yet when an ICMP error quotes them.
    let flags = ["echo", "--offload", "off", "--pcap"].map(AsRef::as_ref);
    let program = Tunstack::start(&[&flags[..], &[file.as_os_str()]].concat());
    for (host, stack) in ADDRESSES {
        services(host, stack);
        for size in ["56", "8000"] {
            run(child("ping").args(["-c", "5", "-i", "0.002", "-w", "30", "-s", size, stack]));
        }
    }
    program.end();

    // Each packet is well-formed, has the right checksums and says why it left or what became of it.
    let summary = tshark::judge(&file).unwrap();
    assert!(summary.packets > 1000, "{summary:?}");
    for protocol in ["ip", "ipv6", "tcp", "udp", "icmp", "icmpv6", "data"] {
        assert!(summary.protocols.contains_key(protocol), "{protocol}: {summary:?}");
    }
    // Nor is one missing: what was acknowledged is in the file.
    let missing = "tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment";
    assert!(tshark::shown_by(&file, missing).unwrap().is_empty());
}

/// The services of `tunstack echo` over the kernel's sockets.
fn services(host: &str, stack: &str) {
    let to = |port| SocketAddr::new(ip(stack), port);
    let mut echo = TcpStream::connect_timeout(&to(5003), LONG).unwrap();
    echo.set_read_timeout(Some(LONG)).unwrap();
    let data = Pattern(8).take(1_000_000);
    std::thread::scope(|scope| {
        let mut back = echo.try_clone().unwrap();
        let wanted = &data;
        scope.spawn(move || {
            let mut got = Vec::new();
            back.read_to_end(&mut got).unwrap();
            assert!(got == *wanted, "{} octets came back", got.len());
        });
        echo.write_all(&data).unwrap();
        echo.shutdown(Shutdown::Write).unwrap();
    });

    let udp = UdpSocket::bind((host, 0)).unwrap();
    udp.set_read_timeout(Some(LONG)).unwrap();
    udp.connect(to(5003)).unwrap();
    for size in [0, 1, 1000, 30_000] {
        udp.send(&data[..size]).unwrap();
        let mut buf = vec![0; 65_536];
        assert_eq!(udp.recv(&mut buf).unwrap(), size);
        assert!(buf[..size] == data[..size]);
    }

    let refused = TcpStream::connect_timeout(&to(9), LONG).unwrap_err();
    udp.connect(to(9)).unwrap();
    udp.send(b"anybody?").unwrap();
    let unreachable = udp.recv(&mut [0]).unwrap_err();
    assert_eq!([refused.kind(), unreachable.kind()], [ErrorKind::ConnectionRefused; 2]);
}

/// An ACK of Linux whose checksum is 0 and is written as ffff.
const MANGLED: [u8; 52] = [
    0x45, 0x00, 0x00, 0x34, 0x5a, 0x89, 0x40, 0x00, 0x40, 0x06, 0xcc, 0x2a, 0x0a, 0x07, 0x00, 0x01, //
    0x0a, 0x07, 0x00, 0x02, 0x81, 0xfa, 0x13, 0x8b, 0x29, 0x37, 0x5c, 0x0d, 0x8b, 0xf4, 0xc0, 0x0e, //
    0x80, 0x10, 0x00, 0x4c, 0xff, 0xff, 0x00, 0x00, 0x01, 0x01, 0x08, 0x0a, 0x65, 0x03, 0x07, 0xa9, //
    0x96, 0x26, 0xf8, 0xc0,
];

/// One packet of the kernel's in 65,536 looks bad to tshark. Ours must not.
pub(crate) fn only_the_kernel_may_write_ffff() {
    if !tshark::installed() {
        return;
    }
    let dir = Scratch::new();
    let mut broken = MANGLED;
    broken[36] = 0;
    for (n, (direction, packet, passes)) in [
        (Direction::Inbound, MANGLED, true),
        (Direction::Outbound, MANGLED, false),
        (Direction::Inbound, broken, false),
    ]
    .into_iter()
    .enumerate()
    {
        let file = dir.path(&n.to_string());
        let mut writer = CaptureWriter::new(File::create(&file).unwrap(), &["tun0"]).unwrap();
        writer.packet(0, Duration::from_secs(1_700_000_000), direction, &[&packet], Some("ACK"));
        writer.finish().unwrap();
        assert_eq!(tshark::judge(&file).is_ok(), passes, "{:?}", tshark::judge(&file));
    }
}
