//! UDP and ICMP.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::Command;

use tunstack::net::Ping;

use crate::ends::Pattern;
use crate::host::{ADDRESSES, LONG, ip, start, until};

/// Sizes of text: empty, small, the largest of one packet of either family, fragments, and all that a
/// datagram of either family holds.
const SIZES: [usize; 8] = [0, 1, 100, 1452, 1472, 1473, 9001, 65_507];

pub(crate) fn both_ways() {
    let engine = start();
    for (host, stack) in ADDRESSES {
        let theirs = UdpSocket::bind((host, 0)).unwrap();
        theirs.set_read_timeout(Some(LONG)).unwrap();
        let ours = engine.bind_udp((stack, 0)).unwrap();
        ours.set_read_timeout(Some(LONG)).unwrap();
        let (here, there) = (ours.local_addr().unwrap(), theirs.local_addr().unwrap());
        let mut buf = vec![0; 70_000];
        for size in SIZES {
            println!("{size} octets to and from {stack}");
            let data = Pattern(size as u64).take(size);
            assert_eq!(theirs.send_to(&data, here).unwrap(), size);
            assert_eq!(ours.recv_from(&mut buf).unwrap(), (size, there));
            assert!(buf[..size] == data);
            assert_eq!(ours.send_to(&data, there).unwrap(), size);
            assert_eq!(theirs.recv_from(&mut buf).unwrap(), (size, here));
            assert!(buf[..size] == data);
        }
        // One octet more than IPv4 or IPv6 without a jumbogram can say is refused by both.
        let most = if ip(host).is_ipv4() { 65_507 } else { 65_527 };
        let data = vec![0; most + 1];
        assert!(theirs.send_to(&data, here).is_err() && ours.send_to(&data, there).is_err());
        assert_eq!(ours.send_to(&data[1..], there).unwrap(), most);
        assert_eq!(theirs.recv_from(&mut buf).unwrap(), (most, here));
        assert_eq!(theirs.send_to(&data[1..], here).unwrap(), most);
        assert_eq!(ours.recv_from(&mut buf).unwrap(), (most, there));
    }
    engine.shutdown(LONG).unwrap();
}

pub(crate) fn refused() {
    let engine = start();
    for (host, stack) in ADDRESSES {
        // The second time as well: an error is no end.
        let ours = engine.bind_udp((stack, 0)).unwrap();
        ours.set_read_timeout(Some(LONG)).unwrap();
        ours.connect((host, 9)).unwrap();
        let theirs = UdpSocket::bind((host, 0)).unwrap();
        theirs.set_read_timeout(Some(LONG)).unwrap();
        theirs.connect((stack, 9)).unwrap();
        for _ in 0..2 {
            ours.send(b"anybody?").unwrap();
            assert_eq!(ours.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            theirs.send(b"anybody?").unwrap();
            assert_eq!(theirs.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
    }
}

pub(crate) fn pings() {
    let engine = start();
    let counted = || {
        let counters = engine.counters();
        (counters.icmp_in_echos, counters.icmp_out_msgs)
    };
    for (host, stack) in ADDRESSES {
        let ping = Ping::new_for(&engine, ip(host)).unwrap();
        ping.set_read_timeout(Some(LONG)).unwrap();
        for (sequence, size) in (1..).zip([0, 56, 1400, 8000, 60_000]) {
            println!("{size} octets to {host}");
            let data = Pattern(size as u64).take(size);
            ping.send(ip(host), sequence, &data).unwrap();
            let mut buf = vec![0; size];
            let reply = ping.recv(&mut buf).unwrap();
            assert_eq!((reply.from, reply.sequence, reply.len), (ip(host), sequence, size));
            assert!(buf == data);
        }
        let (asked, answered) = counted();
        for size in ["0", "56", "8000", "60000"] {
            // With a deadline it goes on until so many replies have come: without, it waits for the last one
            // no longer than for two of the others, which is nothing.
            let args = ["-c", "3", "-i", "0.002", "-w", "30", "-s", size, stack];
            let output = match Command::new("ping").args(args).output() {
                Ok(output) => output,
                Err(e) => {
                    eprintln!("skipped the pings of the host: {e}");
                    break;
                }
            };
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}");
            assert!(!said.contains("DUP") && !said.contains("wrong"), "{said}");
        }
        until("an answer to each", || {
            let now = counted();
            now.0 - asked == now.1 - answered
        });
    }
    engine.shutdown(LONG).unwrap();
}
