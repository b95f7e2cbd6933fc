//! Where our stack does another thing than the kernel, and why that is meant.

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Departure {
    /// The script; over IPv6 the same holds.
    pub(crate) script: &'static str,
    /// What stands in the words for it.
    pub(crate) what: &'static str,
    pub(crate) reason: &'static str,
}

const ABORT: &str = "data for who is gone are answered as an ABORT is (RFC 9293 §3.10.5): from SND.NXT, which the peer has \
                     to believe where our FIN has come (RFC 5961 §3.2), and with an ACK";
const OLD_PROBE: &str = "a probe of a closed window has an octet of new data (RFC 9293 §3.8.6.1)";

const PRECEDENCE: &str =
    "a host's ICMP errors have no precedence (RFC 1349 §5.1); that of routers is RFC 1812 §4.3.2.5";
const BYTE_COUNTING: &str =
    "an ACK of several segments opens the congestion window by one (RFC 5681 §3.1, (2))";
const SYN_ACK: &str = "what a SYN,ACK carries besides is processed (RFC 9293 §3.10.7.3)";

const SYN_AGAIN: &str =
    "a SYN is sent again when its time has come (RFC 6298 §5); the kernel hastens it after a wrong answer";

/// Script, words, reason.
const ALL: [[&str; 3]; 29] = [
    [
        "ack-on-data",
        "length `100` and `0`",
        "the first segments of a connection are acknowledged at once, also where answers might carry the ACK",
    ],
    ["data-after-close", "flags `R` and `R.`", ABORT],
    ["data-after-close-unacknowledged", "flags `R` and `R.`; sequence number `1` and `2`", ABORT],
    ["shutdown-both", "flags `R` and `R.`", ABORT],
    [
        "fin-with-data-in",
        "tunstack sent `> . 1:1(0) ack 502 win 65034` at 0.0100 s: time",
        "a FIN is acknowledged when it comes (RFC 9293 §3.10.7.4, the eighth step)",
    ],
    [
        "icmp-host-unreachable-syn",
        "the kernel gave `0 [113]`, tunstack gave `0 [0]`",
        "host unreachable must not end an attempt to connect (RFC 1122 §4.2.3.9)",
    ],
    [
        "simultaneous-open",
        "the kernel sent `> . 1:1(0) ack 1 win 65535`, tunstack sent `> P. 1:101(100)",
        "the SYN,ACK of a simultaneous open takes no ACK (RFC 9293 §3.5, figure 7)",
    ],
    [
        "syn-mss-zero",
        "length `100` and `64`",
        "an MSS that leaves no room for data is the least that is sent, and not what is meant where none is named",
    ],
    ["syn-sent-ack-of-another", "the kernel sent `> S 0:0(0)", SYN_AGAIN],
    ["syn-sent-reset-of-another", "the kernel sent `> S 0:0(0)", SYN_AGAIN],
    ["syn-sent-syn-ack-of-another", "the kernel sent `> S 0:0(0)", SYN_AGAIN],
    [
        "syn-with-fin",
        "tunstack sent `> S. 0:0(0) ack 1 win 65535",
        "what a listener's SYN carries besides is looked at later (RFC 9293 §3.10.7.2), not a reason to drop it",
    ],
    [
        "time-wait-old-syn",
        "the kernel sent `> . 2:2(0) ack 2",
        "in TIME-WAIT a SYN that begins nothing is silently dropped (RFC 6191 §2)",
    ],
    [
        "time-wait-reset",
        "the kernel sent `> R 2:2(0) win 0`",
        "a RST does not end TIME-WAIT (RFC 1337 §3, fix 1)",
    ],
    [
        "timestamps-missing",
        "the kernel sent `> . 1:1(0) ack 101",
        "a segment that lacks the option that was agreed on is dropped (RFC 7323 §3.2)",
    ],
    [
        "user-timeout",
        "tunstack sent nothing",
        "the user timeout counts from the transmission (RFC 9293 §3.8.3), in the kernel from the first retransmission",
    ],
    [
        "window-of-a-segment",
        "length `500` and `1000`",
        "a segment that is full and in the window is sent (RFC 9293 §3.8.6.2.1); the kernel sends half a small window",
    ],
    [
        "data-and-fin-retransmitted",
        "501:501(0) ack 1 win 65535` at 0.9300 s: time",
        "an ACK of a part of what was retransmitted starts the timer anew (RFC 6298 §5, (5.3))",
    ],
    [
        "duplicates-with-windows",
        "the kernel sent `> . 1:1001(1000) ack 1 win 65535`",
        "an ACK with another window, a smaller one too, is no duplicate (RFC 5681 §2, (e))",
    ],
    ["fin-behind-closed-window", "flags `.` and `F.`", OLD_PROBE],
    ["rto-partial-ack", "the kernel sent `> P. 4001:5001(1000)", BYTE_COUNTING],
    ["rto-slow-start", "6001:7001(1000)", BYTE_COUNTING],
    ["stretch-ack", "the kernel sent `> . 20001:21001(1000)", BYTE_COUNTING],
    ["syn-ack-with-data", "acknowledgment number `1` and `101`", SYN_ACK],
    ["syn-ack-with-fin", "acknowledgment number `1` and `2`", SYN_ACK],
    ["udp-other-sender", "DSCP and ECN `192` and `0`", PRECEDENCE],
    ["udp-closed-port", "DSCP and ECN `192` and `0`", PRECEDENCE],
    ["zero-window-closes", "length `0` and `1`", OLD_PROBE],
    ["zero-window-probe", "length `0` and `1`", OLD_PROBE],
];

fn all() -> impl Iterator<Item = Departure> {
    ALL.into_iter().map(|[script, what, reason]| Departure { script, what, reason })
}

/// The departure that a divergence is, if it is one.
pub(crate) fn find(name: &str, what: &str) -> Option<Departure> {
    let script = name.strip_suffix(super::OVER_IPV6).unwrap_or(name);
    all().find(|departure| departure.script == script && what.contains(departure.what))
}

/// Complaints about those that did not happen.
pub(crate) fn unneeded(happened: &[Departure]) -> Vec<String> {
    let gone = all().filter(|departure| !happened.contains(departure));
    gone.map(|departure| {
        let Departure { script, what, reason } = departure;
        format!("{script}: a departure that does not happen any more: {what} ({reason})")
    })
    .collect()
}
