//! Captures judged by tshark, Wireshark's command line: an eye that is not ours.

// Each test file that takes this in uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;

/// What a capture that passed holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Summary {
    /// How many packets.
    pub(crate) packets: usize,
    /// How many of them each interface saw, by its name.
    pub(crate) interfaces: BTreeMap<String, usize>,
    /// In how many of them each protocol was found, by tshark's name for it.
    pub(crate) protocols: BTreeMap<String, usize>,
}

/// Nothing is left to the settings of whoever runs the test: no names looked up, all checksums checked.
const OPTIONS: [&str; 7] =
    ["-n", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"];

/// The checksums that tshark judges; 0 is its word for a bad one.
const CHECKSUMS: [&str; 5] = [
    "ip.checksum.status",
    "tcp.checksum.status",
    "udp.checksum.status",
    "icmp.checksum.status",
    "icmpv6.checksum.status",
];

/// Whether there is a tshark. Says so aloud where there is none, since the caller then skips.
pub(crate) fn installed() -> bool {
    match Command::new("tshark").arg("--version").output() {
        Ok(output) => output.status.success(),
        Err(_) => {
            eprintln!("skipped: tshark is not installed (Debian: apt-get install tshark)");
            false
        }
    }
}

/// Reads a capture: each packet must be well-formed, have right checksums and carry a comment.
///
/// # Errors
/// What is wrong with which packets, a line each; or why tshark could not be run.
pub(crate) fn judge(path: &Path) -> Result<Summary, String> {
    let mut fields =
        vec!["frame.number", "frame.interface_name", "frame.protocols", "frame.comment", "_ws.malformed"];
    fields.extend(CHECKSUMS);
    fields.extend(["frame.packet_flags_direction", "tcp.checksum", "tcp.checksum_calculated"]);
    let mut summary = Summary::default();
    let mut wrong = Vec::new();
    for line in print(path, None, &fields)?.lines() {
        let mut values = line.split('\t');
        let mut next = || values.next().unwrap_or_default();
        let (number, interface, protocols, comment, malformed) = (next(), next(), next(), next(), next());
        summary.packets += 1;
        *summary.interfaces.entry(interface.to_owned()).or_default() += 1;
        let mut names: Vec<&str> = protocols.split(':').collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            *summary.protocols.entry(name.to_owned()).or_default() += 1;
        }
        if comment.is_empty() {
            wrong.push(format!("packet {number} has no comment"));
        }
        if !malformed.is_empty() {
            wrong.push(format!("packet {number} is malformed: {malformed}"));
        }
        let statuses = CHECKSUMS.map(|checksum| (checksum, next()));
        // Linux writes ffff for 0 in TCP, where only UDP must. To a receiver both are right (RFC 1071), but
        // not to tshark. What we send has no such excuse.
        let inbound = u32::from_str_radix(next().trim_start_matches("0x"), 16) == Ok(1);
        let excused = inbound && [next(), next()] == ["0xffff", "0x0000"];
        for (checksum, status) in statuses {
            // A packet within a packet, as in an ICMP error, has its own.
            let bad = status.split(',').any(|status| status == "0");
            if bad && !(excused && checksum == "tcp.checksum.status") {
                wrong.push(format!("packet {number}: {checksum} is bad"));
            }
        }
    }
    if summary.packets == 0 {
        wrong.push("no packets".to_owned());
    }
    if wrong.is_empty() { Ok(summary) } else { Err(format!("{}:\n{}", path.display(), wrong.join("\n"))) }
}

/// The numbers of the packets that a display filter shows.
///
/// # Errors
/// The filter is none, or tshark could not be run.
pub(crate) fn shown_by(path: &Path, filter: &str) -> Result<Vec<u32>, String> {
    let numbers = print(path, Some(filter), &["frame.number"])?;
    numbers.lines().map(|n| n.parse().map_err(|e| format!("`{n}`: {e}"))).collect()
}

fn print(path: &Path, filter: Option<&str>, fields: &[&str]) -> Result<String, String> {
    let mut tshark = Command::new("tshark");
    tshark.args(OPTIONS).arg("-r").arg(path);
    tshark.args(["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=,"]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    if let Some(filter) = filter {
        tshark.args(["-Y", filter]);
    }
    let output = tshark.output().map_err(|e: io::Error| format!("tshark: {e}"))?;
    if !output.status.success() {
        return Err(format!("tshark on {}: {}", path.display(), String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
