//! The sysctls that are taken and change nothing, each with why: what they would change is not there, or is always so.

use super::table::{ANY, Row, SWITCH, note};
use super::value::Values;

const NO_BURSTS: &str = "each segment is made when it may leave: none waits for others to leave with it";
const ALL_WINDOW: &str = "a buffer counts octets and nothing that surrounds them: all of it is window";
const NOT_SHARED: &str = "nothing is remembered of one connection for the next";
const BUDGET: &str = "Config::memory is the budget for all together: octets, told when the stack is made";

pub(super) const NOTED: &[Row] = &[
    note(
        "net.ipv4.tcp_available_congestion_control",
        Values::Text,
        "the algorithms there are",
        "it is only read, in Linux too: tcp.congestion_available has those of the stack and those that a program adds",
    ),
    note(
        "net.ipv4.tcp_allowed_congestion_control",
        Values::Text,
        "the algorithms that a program without rights may choose",
        "each program may choose any that is there",
    ),
    note(
        "net.ipv4.tcp_dsack",
        SWITCH,
        "tell what came twice (RFC 2883)",
        "where SACK is agreed upon it is always told",
    ),
    note(
        "net.ipv4.tcp_fack",
        SWITCH,
        "forward acknowledgment; without effect in Linux too",
        "there is none, as with 0",
    ),
    note(
        "net.ipv4.tcp_recovery",
        Values::Number(0, 7),
        "RACK (RFC 8985)",
        "where SACK is agreed upon RACK finds what is lost, as with 1",
    ),
    note("net.ipv4.tcp_max_reordering", ANY, "how far adaptation to reordering goes", "up to 300 segments"),
    note("net.ipv4.tcp_min_rtt_wlen", ANY, "seconds the smallest round trip counts", "300 s"),
    note("net.ipv4.tcp_tso_win_divisor", ANY, "the part of a window that leaves as one packet", NO_BURSTS),
    note("net.ipv4.tcp_tso_rtt_log", ANY, "how that part depends on the round trip", NO_BURSTS),
    note("net.ipv4.tcp_limit_output_bytes", ANY, "octets that wait in the device's queue", NO_BURSTS),
    note("net.ipv4.tcp_autocorking", SWITCH, "small writes wait for the device's queue", NO_BURSTS),
    note(
        "net.ipv4.tcp_adv_win_scale",
        Values::Number(-31, 31),
        "the part of a buffer that is window",
        ALL_WINDOW,
    ),
    note(
        "net.ipv4.tcp_app_win",
        Values::Number(0, 31),
        "the part of a window kept for the program",
        ALL_WINDOW,
    ),
    note(
        "net.core.rmem_max",
        ANY,
        "the most SO_RCVBUF takes, octets",
        "the limit is 4 MiB, and is not set here",
    ),
    note(
        "net.core.wmem_max",
        ANY,
        "the most SO_SNDBUF takes, octets",
        "the limit is 4 MiB, and is not set here",
    ),
    note("net.ipv4.tcp_no_metrics_save", SWITCH, "forget a connection's metrics", NOT_SHARED),
    note("net.ipv4.tcp_no_ssthresh_metrics_save", SWITCH, "forget its threshold", NOT_SHARED),
    note("net.ipv4.tcp_mem", Values::Triple, "memory of all connections, pages", BUDGET),
    note(
        "net.ipv4.tcp_syn_linear_timeouts",
        Values::Number(0, 127),
        "first retransmissions of a SYN without back-off",
        "each doubles the time-out (RFC 6298 §5.5), as with 0",
    ),
    note(
        "net.ipv4.tcp_retries1",
        Values::Number(0, 255),
        "retransmissions after which the route is doubted",
        "there is one way out, so there is no other to try",
    ),
    note(
        "net.ipv4.tcp_orphan_retries",
        Values::Number(0, 255),
        "retransmissions of a connection that no program holds",
        "tcp_retries2 holds for it too",
    ),
    note(
        "net.ipv4.tcp_challenge_ack_limit",
        ANY,
        "challenge ACKs of all connections a second",
        "each connection has a limit of its own (RFC 5961 §7): tcp_invalid_ratelimit",
    ),
    note(
        "net.ipv4.tcp_rfc1337",
        SWITCH,
        "a reset does not end TIME-WAIT (RFC 1337)",
        "it never does, as with 1",
    ),
    note(
        "net.ipv4.tcp_tw_reuse",
        Values::Number(0, 2),
        "an active open may take a connection out of TIME-WAIT",
        "only a SYN of the peer does (RFC 6191)",
    ),
    note(
        "net.ipv4.tcp_min_snd_mss",
        Values::Number(48, 65535),
        "the smallest MSS a peer may name, octets",
        "64 is the smallest, and is not set here",
    ),
    note(
        "net.ipv4.tcp_stdurg",
        SWITCH,
        "where the urgent pointer points",
        "to the last octet (RFC 9293), as with 1",
    ),
    note(
        "net.ipv4.tcp_retrans_collapse",
        SWITCH,
        "what is sent again may be joined",
        "it is cut anew out of the send buffer, as with 1",
    ),
    note(
        "net.ipv4.tcp_workaround_signed_windows",
        SWITCH,
        "windows below 32 KiB for peers without scaling",
        "windows are unsigned (RFC 9293 §3.1), as with 0",
    ),
    note(
        "net.ipv4.tcp_comp_sack_nr",
        Values::Number(0, 255),
        "how many duplicate ACKs are saved up",
        "each segment out of order is answered (RFC 5681 §4.2), as with 0",
    ),
    note(
        "net.ipv4.icmp_ratelimit",
        ANY,
        "milliseconds between ICMP errors to one host",
        "the limit is for all hosts together: icmp_msgs_per_sec",
    ),
    note(
        "net.ipv4.icmp_msgs_burst",
        ANY,
        "ICMP errors at once",
        "what icmp_msgs_per_sec allows in a second may leave at once",
    ),
];
