//! Where our stack does another thing than the kernel, and why that is meant.

use super::align::Then;

const OLD_PROBE: &str = "a probe of a closed window has an octet of new data (RFC 9293 §3.8.6.1)";

const PRECEDENCE: &str =
    "a host's ICMP errors have no precedence (RFC 1349 §5.1); that of routers is RFC 1812 §4.3.2.5";
const BYTE_COUNTING: &str = "while the loss behind a timeout is repaired, an ACK of several segments opens the congestion window by one (RFC 3465 §2.3)";
const SYN_ACK: &str = "what a SYN,ACK carries besides is processed (RFC 9293 §3.10.7.3)";

const SYN_AGAIN: &str =
    "a SYN is sent again when its time has come (RFC 6298 §5); the kernel hastens it after a wrong answer";

/// Script, event, how it goes on, reason. Each row stands for one divergence; the first side is the kernel.
const ALL: [(&str, &str, Then, &str); 34] = [
    (
        "fin-with-data-in",
        "the kernel sent `> . 1:1(0) ack 502`, tunstack sent `> . 1:1(0) ack 502`: time",
        Then::Both,
        "a FIN is acknowledged when it comes (RFC 9293 §3.10.7.4, the eighth step)",
    ),
    (
        "icmp-host-unreachable-syn",
        "`+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4])`: the kernel gave `0 [113]`, tunstack gave `0 [0]`",
        Then::Ends,
        "host unreachable must not end an attempt to connect (RFC 1122 §4.2.3.9); the kernel's attempt is over",
    ),
    (
        "simultaneous-open",
        "the kernel sent `> . 1:1(0) ack 1`, tunstack sent `> . 1:101(100) ack 1`: length `0` and `100`",
        Then::First,
        "the SYN,ACK of a simultaneous open takes no ACK (RFC 9293 §3.5, figure 7)",
    ),
    (
        "syn-mss-zero",
        "the kernel sent `> . 1:101(100) ack 1`, tunstack sent `> . 1:65(64) ack 1`: length `100` and `64`",
        Then::Second,
        "an MSS that leaves no room for data is the least that is sent, and not what is meant where none is named",
    ),
    (
        "syn-mss-zero",
        "the kernel sent `> . 1:101(100) ack 1`, tunstack sent `> . 65:101(36) ack 1`: sequence number `1` and `65`; length `100` and `36`",
        Then::Both,
        "an MSS that leaves no room for data is the least that is sent, and not what is meant where none is named",
    ),
    (
        "syn-sent-ack-of-another",
        "the kernel sent `> S 0:0(0)`, tunstack sent `> . 1:1(0) ack 1`: flags `S` and `.`; options `mss 1460` and ``; sequence number `none` and `1`; acknowledgment number `none` and `1`; time",
        Then::First,
        SYN_AGAIN,
    ),
    (
        "syn-sent-ack-of-another",
        "the kernel sent `> S 0:0(0)`, tunstack sent `> . 1:1(0) ack 1`: flags `S` and `.`; options `mss 1440` and ``; sequence number `none` and `1`; acknowledgment number `none` and `1`; time",
        Then::First,
        SYN_AGAIN,
    ),
    (
        "syn-sent-reset-of-another",
        "the kernel sent `> S 0:0(0)`, tunstack sent `> . 1:1(0) ack 1`: flags `S` and `.`; options `mss 1460` and ``; sequence number `none` and `1`; acknowledgment number `none` and `1`; time",
        Then::First,
        SYN_AGAIN,
    ),
    (
        "syn-sent-reset-of-another",
        "the kernel sent `> S 0:0(0)`, tunstack sent `> . 1:1(0) ack 1`: flags `S` and `.`; options `mss 1440` and ``; sequence number `none` and `1`; acknowledgment number `none` and `1`; time",
        Then::First,
        SYN_AGAIN,
    ),
    (
        "syn-sent-syn-ack-of-another",
        "the kernel sent `> S 0:0(0)`, tunstack sent `> . 1:1(0) ack 1`: flags `S` and `.`; options `mss 1460` and ``; sequence number `none` and `1`; acknowledgment number `none` and `1`; time",
        Then::First,
        SYN_AGAIN,
    ),
    (
        "syn-sent-syn-ack-of-another",
        "the kernel sent `> S 0:0(0)`, tunstack sent `> . 1:1(0) ack 1`: flags `S` and `.`; options `mss 1440` and ``; sequence number `none` and `1`; acknowledgment number `none` and `1`; time",
        Then::First,
        SYN_AGAIN,
    ),
    (
        "syn-with-fin",
        "tunstack sent `> S. 0:0(0) ack 1`, the kernel sent nothing",
        Then::Second,
        "what a listener's SYN carries besides is looked at later (RFC 9293 §3.10.7.2), not a reason to drop it",
    ),
    (
        "time-wait-old-syn",
        "the kernel sent `> . 2:2(0) ack 2`, tunstack sent nothing",
        Then::First,
        "in TIME-WAIT a SYN that begins nothing is silently dropped (RFC 6191 §2)",
    ),
    (
        "time-wait-reset",
        "the kernel sent `> R 2:2(0)`, tunstack sent nothing",
        Then::First,
        "a RST does not end TIME-WAIT (RFC 1337 §3, fix 1)",
    ),
    (
        "timestamps-missing",
        "the kernel sent `> . 1:1(0) ack 101`, tunstack sent nothing",
        Then::First,
        "a segment that lacks the option that was agreed on is dropped (RFC 7323 §3.2)",
    ),
    (
        "timestamps-missing",
        "`+0.06 read(4, ..., 1000)`: the kernel gave `100`, tunstack gave `-1 EAGAIN`",
        Then::Both,
        "a segment that lacks the option that was agreed on is dropped (RFC 7323 §3.2)",
    ),
    (
        "user-timeout",
        "the kernel sent `> . 1:501(500) ack 1`, tunstack sent nothing",
        Then::First,
        "the user timeout counts from the transmission (RFC 9293 §3.8.3), in the kernel from the first retransmission",
    ),
    (
        "window-of-a-segment",
        "the kernel sent `> . 1:501(500) ack 1`, tunstack sent `> . 1:1001(1000) ack 1`: length `500` and `1000`",
        Then::Both,
        "a segment that is full and in the window is sent (RFC 9293 §3.8.6.2.1); the kernel sends half a small window",
    ),
    (
        "window-of-a-segment",
        "the kernel sent `> . 501:1001(500) ack 1`, tunstack sent `> . 1001:1501(500) ack 1`: sequence number `501` and `1001`",
        Then::First,
        "a segment that is full and in the window is sent (RFC 9293 §3.8.6.2.1); the kernel sends half a small window",
    ),
    (
        "data-and-fin-retransmitted",
        "the kernel sent `> F. 501:501(0) ack 1`, tunstack sent `> F. 501:501(0) ack 1`: time",
        Then::Both,
        "an ACK of a part of what was retransmitted starts the timer anew (RFC 6298 §5, (5.3))",
    ),
    (
        "duplicates-with-windows",
        "the kernel sent `> . 1:1001(1000) ack 1`, tunstack sent nothing",
        Then::First,
        "an ACK with another window, a smaller one too, is no duplicate (RFC 5681 §2, (e))",
    ),
    (
        "fin-behind-closed-window",
        "the kernel sent `> . 0:0(0) ack 1`, tunstack sent `> F. 1:1(0) ack 1`: flags `.` and `F.`; sequence number `0` and `1`",
        Then::Both,
        OLD_PROBE,
    ),
    (
        "rto-partial-ack",
        "the kernel sent `> . 4001:5001(1000) ack 1`, tunstack sent nothing",
        Then::First,
        BYTE_COUNTING,
    ),
    (
        "syn-ack-with-data",
        "the kernel sent `> . 1:1(0) ack 1`, tunstack sent `> . 1:1(0) ack 101`: acknowledgment number `1` and `101`",
        Then::Both,
        SYN_ACK,
    ),
    (
        "syn-ack-with-data",
        "`+0.05 read(3, ..., 1000)`: the kernel gave `-1 EAGAIN`, tunstack gave `100`",
        Then::Both,
        SYN_ACK,
    ),
    (
        "syn-ack-with-fin",
        "the kernel sent `> . 1:1(0) ack 1`, tunstack sent `> . 1:1(0) ack 2`: acknowledgment number `1` and `2`",
        Then::Both,
        SYN_ACK,
    ),
    (
        "syn-ack-with-fin",
        "`+0.1 read(3, ..., 1000)`: the kernel gave `-1 EAGAIN`, tunstack gave `0`",
        Then::Both,
        SYN_ACK,
    ),
    (
        "udp-other-sender",
        "the kernel sent `> [tos 0xc0] icmp unreachable port_unreachable`, tunstack sent `> icmp unreachable port_unreachable`: DSCP and ECN `192` and `0`",
        Then::Both,
        PRECEDENCE,
    ),
    (
        "udp-closed-port",
        "the kernel sent `> [tos 0xc0] icmp unreachable port_unreachable`, tunstack sent `> icmp unreachable port_unreachable`: DSCP and ECN `192` and `0`",
        Then::Both,
        PRECEDENCE,
    ),
    (
        "udp-closed-port",
        "the kernel sent `> [tos 0xc0] icmp unreachable port_unreachable`, tunstack sent `> icmp unreachable port_unreachable`: DSCP and ECN `192` and `0`",
        Then::Both,
        PRECEDENCE,
    ),
    (
        "zero-window-closes",
        "the kernel sent `> . 1000:1000(0) ack 1`, tunstack sent `> . 1001:1002(1) ack 1`: sequence number `1000` and `1001`; length `0` and `1`",
        Then::Both,
        OLD_PROBE,
    ),
    (
        "zero-window-closes",
        "the kernel sent `> . 1000:1000(0) ack 1`, tunstack sent `> . 1001:1002(1) ack 1`: sequence number `1000` and `1001`; length `0` and `1`",
        Then::Both,
        OLD_PROBE,
    ),
    (
        "zero-window-probe",
        "the kernel sent `> . 0:0(0) ack 1`, tunstack sent `> . 1:2(1) ack 1`: sequence number `0` and `1`; length `0` and `1`",
        Then::Both,
        OLD_PROBE,
    ),
    (
        "zero-window-probe",
        "the kernel sent `> . 0:0(0) ack 1`, tunstack sent `> . 1:2(1) ack 1`: sequence number `0` and `1`; length `0` and `1`",
        Then::Both,
        OLD_PROBE,
    ),
];

/// The departures that are to be met in one script, each once.
#[derive(Debug)]
pub(crate) struct Meant {
    left: Vec<usize>,
    /// Those that were met: places in the table.
    pub(crate) happened: Vec<usize>,
}

impl Meant {
    pub(crate) fn of(name: &str) -> Self {
        let script = name.strip_suffix(super::OVER_IPV6).unwrap_or(name);
        let left = (0..ALL.len()).filter(|&row| ALL[row].0 == script).collect();
        Self { left, happened: Vec::new() }
    }

    /// How the comparison goes on, if this event is a departure.
    pub(crate) fn meet(&mut self, event: &str) -> Option<Then> {
        let at = self.left.iter().position(|&row| ALL[row].1 == event)?;
        let row = self.left.remove(at);
        self.happened.push(row);
        Some(ALL[row].2)
    }
}

/// Complaints about those that did not happen.
pub(crate) fn unneeded(happened: &[usize]) -> Vec<String> {
    let gone = ALL.iter().enumerate().filter(|(row, _)| !happened.contains(row));
    gone.map(|(_, (script, event, _, reason))| {
        format!("{script}: a departure that does not happen any more: {event} ({reason})")
    })
    .collect()
}
