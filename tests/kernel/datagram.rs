//! UDP and ICMP.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;

use tunstack::device::setup::{Offload, TunConfig};
use tunstack::net::{Ping, RecvMessage, SendMessage};

use crate::ends::Pattern;
use crate::host::{ADDRESSES, LONG, ip, start, start_on, until};
use crate::offload::Watched;
use crate::udp_options::set;

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

/// Octets of a call and of each datagram; the last as large as the path takes.
const CUTS: [(usize, usize); 5] = [(1700, 500), (128, 1), (65_000, 1000), (65_507, 1452), (3000, 3000)];

/// One call of the kernel's is one of ours and the other way round, whoever cuts and joins, and however it is read.
pub(crate) fn several_in_one_call() {
    for (offload, mtu) in [(Offload::On, 1500), (Offload::Off, 1500), (Offload::On, 9000)] {
        let device = TunConfig { offload, mtu, ..TunConfig::default() };
        let mut watched = None;
        let engine = start_on(&device, |_| {}, |tun| Box::new(Arc::clone(watched.insert(Watched::new(tun)))));
        let watched = watched.unwrap();
        for (host, stack) in ADDRESSES {
            let (theirs, ours) = (UdpSocket::bind((host, 0)).unwrap(), engine.bind_udp((stack, 0)).unwrap());
            theirs.set_read_timeout(Some(LONG)).unwrap();
            ours.set_read_timeout(Some(LONG)).unwrap();
            theirs.connect(ours.local_addr().unwrap()).unwrap();
            ours.connect(theirs.local_addr().unwrap()).unwrap();
            for ((len, size), joined) in CUTS.into_iter().flat_map(|cut| [(cut, false), (cut, true)]) {
                if size > 1452 && mtu == 1500 {
                    continue;
                }
                println!(
                    "{len} octets by {size} to and from {stack}, MTU {mtu}, {offload:?}, joined: {joined}"
                );
                let data = Pattern(len as u64).take(len);
                set(&theirs, libc::UDP_SEGMENT, size as i32);
                assert_eq!(theirs.send(&data).unwrap(), len);
                ours.set_gro(joined).unwrap();
                let (mut got, mut calls) = (Vec::new(), 0);
                let mut buf = vec![0; 70_000];
                while got.len() < len {
                    let mut messages = [RecvMessage::new(&mut buf)];
                    assert_eq!(ours.recv_messages(&mut messages).unwrap(), 1);
                    for datagram in messages[0].datagrams() {
                        assert!(datagram.len() == size || got.len() + datagram.len() == len);
                        got.extend_from_slice(datagram);
                    }
                    calls += 1;
                }
                assert!(got == data);
                let parts = len.div_ceil(size);
                // The kernel cuts what IPv4 has no length for, over IPv6 as well.
                let whole = len + if ip(host).is_ipv4() { 28 } else { 48 } <= 65_535;
                match (joined && whole, offload) {
                    (false, _) | (_, Offload::Off) => assert_eq!(calls, parts),
                    _ => assert!(calls <= parts.div_ceil(20), "{calls} calls for {parts} datagrams"),
                }

                set(&theirs, libc::UDP_SEGMENT, 0);
                set(&theirs, libc::UDP_GRO, i32::from(joined));
                let sent = watched.sent();
                assert_eq!(ours.send_messages(&[SendMessage::new(&data).cut(size as u16)]).unwrap(), 1);
                let packets = watched.sent() - sent;
                let joined_by_us = if whole { 1 } else { 2 };
                assert_eq!(packets, if offload == Offload::Off { parts } else { joined_by_us });
                got.clear();
                while got.len() < len {
                    let n = theirs.recv(&mut buf).unwrap();
                    assert!(joined || n == size || got.len() + n == len, "{n} octets after {}", got.len());
                    got.extend_from_slice(&buf[..n]);
                }
                assert!(got == data);
            }
        }
        // 1,024 of all sizes in one batch, and back in as many as come.
        let (host, stack) = ADDRESSES[0];
        let (theirs, ours) = (UdpSocket::bind((host, 0)).unwrap(), engine.bind_udp((stack, 0)).unwrap());
        ours.set_read_timeout(Some(LONG)).unwrap();
        theirs.set_read_timeout(Some(LONG)).unwrap();
        theirs.connect(ours.local_addr().unwrap()).unwrap();
        let to = theirs.local_addr().unwrap();
        let data = Pattern(7).take(1024);
        let mut told = 0;
        let mut rooms = vec![[0; 1500]; 64];
        while told < 1024 {
            let batch: Vec<_> = (told..told + 64).map(|n| SendMessage::to(to, &data[..n])).collect();
            assert_eq!(ours.send_messages(&batch).unwrap(), 64);
            let mut buf = [0; 1500];
            for n in told..told + 64 {
                assert_eq!(theirs.recv(&mut buf).unwrap(), n);
                assert!(buf[..n] == data[..n]);
                theirs.send(&buf[..n]).unwrap();
            }
            let (end, mut calls) = (told + 64, 0);
            while told < end {
                let mut places: Vec<_> = rooms.iter_mut().map(|room| RecvMessage::new(room)).collect();
                let came = ours.recv_messages(&mut places).unwrap();
                for place in &places[..came] {
                    assert!(place.data() == &data[..told] && place.datagram.from.socket_addr() == to);
                    told += 1;
                }
                calls += 1;
            }
            assert!(calls <= 64);
        }
        engine.shutdown(LONG).unwrap();
        let counters = engine.counters();
        assert_eq!((counters.udp_in_errors, counters.udp_no_ports, counters.udp_rcvbuf_errors), (0, 0, 0));
    }
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
