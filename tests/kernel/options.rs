//! The kernel with other options, and links of other kinds between it and us.

use std::time::Duration;

use tunstack::device::impair::Impair;
use tunstack::sim::link::LinkConfig;

use crate::bulk::exchange;
use crate::ends::Meeting;
use crate::host::{LONG, start, start_plain, start_with, sysctl};

/// What TCP may negotiate, one at a time and together; the kernel's values of the namespace.
pub(crate) fn negotiated() {
    const DEFAULTS: [(&str, &str); 6] = [
        ("tcp_timestamps", "1"),
        ("tcp_sack", "1"),
        ("tcp_window_scaling", "1"),
        ("tcp_ecn", "2"),
        ("tcp_syncookies", "1"),
        ("tcp_fastopen", "1"),
    ];
    const OTHERS: [&[(&str, &str)]; 10] = [
        &[("tcp_timestamps", "0")],
        &[("tcp_timestamps", "2")],
        &[("tcp_sack", "0")],
        &[("tcp_window_scaling", "0")],
        &[("tcp_timestamps", "0"), ("tcp_sack", "0"), ("tcp_window_scaling", "0")],
        &[("tcp_ecn", "1")],
        // AccECN asked for, and answered (RFC 9768), where the kernel has it.
        &[("tcp_ecn", "3")],
        &[("tcp_syncookies", "2")],
        &[("tcp_syncookies", "2"), ("tcp_timestamps", "0")],
        &[("tcp_fastopen", "1027")],
    ];
    let engine = start();
    for others in OTHERS {
        println!("{others:?}");
        for (name, value) in others {
            if std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value).is_err() {
                println!("the kernel does not know {name} = {value}");
            }
        }
        for meeting in Meeting::all() {
            let (client, server) = meeting.connect(&engine);
            exchange(&client, &server, 1_000_000, 20_000);
        }
        for (name, value) in DEFAULTS {
            sysctl(&format!("ipv4/{name}"), value);
        }
    }
    engine.shutdown(LONG).unwrap();
}

/// A link that loses, swaps, repeats and breaks packets, both ways.
pub(crate) fn bad_link() {
    let link = LinkConfig {
        loss: 0.02,
        reorder: 0.02,
        reorder_delay: Duration::from_micros(500),
        duplicate: 0.02,
        corrupt: 0.01,
        ..LinkConfig::PERFECT.with_delay(Duration::from_micros(200))
    };
    for seed in 0..2 {
        let engine = start_with(|_| {}, |tun| Box::new(Impair::new(tun, link, link, seed)));
        for meeting in Meeting::all() {
            let (client, server) = meeting.connect(&engine);
            exchange(&client, &server, 1_000_000, 20_000);
        }
        let counters = engine.counters();
        assert!(counters.tcp_retrans_segs > 0 && counters.tcp_ofo_queue > 0);
        engine.shutdown(LONG).unwrap();
    }
}

/// The least MTU, a large one, and the largest.
pub(crate) fn sizes_of_packets() {
    for mtu in [1280, 1281, 9000, 65_535] {
        println!("an MTU of {mtu}");
        let engine = start_plain(mtu);
        for meeting in Meeting::all() {
            let (client, server) = meeting.connect(&engine);
            exchange(&client, &server, 10_000_000, 100_000);
        }
        engine.shutdown(LONG).unwrap();
    }
}
