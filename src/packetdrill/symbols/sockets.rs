//! Families, types and protocols of sockets; flags and control data of messages.

use super::{Table, of_libc};

pub(super) const FAMILIES: Table = of_libc! {
    AF_UNSPEC AF_UNIX AF_INET AF_INET6 AF_PACKET
    SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_SEQPACKET SOCK_NONBLOCK SOCK_CLOEXEC
    IPPROTO_IP IPPROTO_ICMP IPPROTO_TCP IPPROTO_UDP IPPROTO_IPV6 IPPROTO_ICMPV6 IPPROTO_RAW IPPROTO_MPTCP
    SHUT_RD SHUT_WR SHUT_RDWR
    SOMAXCONN
};

pub(super) const MESSAGES: Table = &[
    ("MSG_OOB", libc::MSG_OOB as i64),
    ("MSG_PEEK", libc::MSG_PEEK as i64),
    ("MSG_DONTROUTE", libc::MSG_DONTROUTE as i64),
    ("MSG_CTRUNC", libc::MSG_CTRUNC as i64),
    // `MSG_PROBE` of linux/socket.h has its number.
    ("MSG_PROXY", 0x10),
    ("MSG_TRUNC", libc::MSG_TRUNC as i64),
    ("MSG_DONTWAIT", libc::MSG_DONTWAIT as i64),
    ("MSG_EOR", libc::MSG_EOR as i64),
    ("MSG_WAITALL", libc::MSG_WAITALL as i64),
    ("MSG_FIN", libc::MSG_FIN as i64),
    ("MSG_SYN", libc::MSG_SYN as i64),
    ("MSG_CONFIRM", libc::MSG_CONFIRM as i64),
    ("MSG_RST", libc::MSG_RST as i64),
    ("MSG_ERRQUEUE", libc::MSG_ERRQUEUE as i64),
    ("MSG_NOSIGNAL", libc::MSG_NOSIGNAL as i64),
    ("MSG_MORE", libc::MSG_MORE as i64),
    ("MSG_ZEROCOPY", 0x400_0000),
    ("MSG_FASTOPEN", libc::MSG_FASTOPEN as i64),
    ("MSG_CMSG_CLOEXEC", libc::MSG_CMSG_CLOEXEC as i64),
];

/// Of control messages, errors in the queue (linux/errqueue.h) and timestamps (linux/net_tstamp.h).
pub(super) const ANCILLARY: Table = &[
    ("SCM_RIGHTS", libc::SCM_RIGHTS as i64),
    ("SCM_TIMESTAMP", libc::SO_TIMESTAMP as i64),
    ("SCM_TIMESTAMPNS", libc::SO_TIMESTAMPNS as i64),
    ("SCM_TIMESTAMPING", libc::SO_TIMESTAMPING as i64),
    ("SCM_TIMESTAMPING_OPT_STATS", 54),
    ("SCM_TSTAMP_SND", 0),
    ("SCM_TSTAMP_SCHED", 1),
    ("SCM_TSTAMP_ACK", 2),
    ("SO_EE_ORIGIN_NONE", 0),
    ("SO_EE_ORIGIN_LOCAL", 1),
    ("SO_EE_ORIGIN_ICMP", 2),
    ("SO_EE_ORIGIN_ICMP6", 3),
    ("SO_EE_ORIGIN_TXSTATUS", 4),
    ("SO_EE_ORIGIN_TIMESTAMPING", 4),
    ("SO_EE_ORIGIN_ZEROCOPY", 5),
    ("SO_EE_CODE_ZEROCOPY_COPIED", 1),
    ("SOF_TIMESTAMPING_TX_HARDWARE", 1),
    ("SOF_TIMESTAMPING_TX_SOFTWARE", 1 << 1),
    ("SOF_TIMESTAMPING_RX_HARDWARE", 1 << 2),
    ("SOF_TIMESTAMPING_RX_SOFTWARE", 1 << 3),
    ("SOF_TIMESTAMPING_SOFTWARE", 1 << 4),
    ("SOF_TIMESTAMPING_SYS_HARDWARE", 1 << 5),
    ("SOF_TIMESTAMPING_RAW_HARDWARE", 1 << 6),
    ("SOF_TIMESTAMPING_OPT_ID", 1 << 7),
    ("SOF_TIMESTAMPING_TX_SCHED", 1 << 8),
    ("SOF_TIMESTAMPING_TX_ACK", 1 << 9),
    ("SOF_TIMESTAMPING_OPT_CMSG", 1 << 10),
    ("SOF_TIMESTAMPING_OPT_TSONLY", 1 << 11),
    ("SOF_TIMESTAMPING_OPT_STATS", 1 << 12),
    ("SOF_TIMESTAMPING_OPT_PKTINFO", 1 << 13),
    ("SOF_TIMESTAMPING_OPT_TX_SWHW", 1 << 14),
    ("SOF_TIMESTAMPING_BIND_PHC", 1 << 15),
    ("SOF_TIMESTAMPING_OPT_ID_TCP", 1 << 16),
];
