//! The numbers of Linux's ABI, under their names.

pub use libc::{AF_INET, AF_INET6, AF_UNSPEC};
pub use libc::{EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD};
pub use libc::{IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP, SOL_SOCKET};
pub use libc::{SHUT_RD, SHUT_RDWR, SHUT_WR, SOMAXCONN};
pub use libc::{SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM};

pub use libc::{
    SO_ACCEPTCONN, SO_BINDTODEVICE, SO_BINDTOIFINDEX, SO_BROADCAST, SO_BSDCOMPAT, SO_BUSY_POLL,
    SO_BUSY_POLL_BUDGET, SO_COOKIE, SO_DEBUG, SO_DETACH_FILTER, SO_DOMAIN, SO_DONTROUTE, SO_ERROR,
    SO_INCOMING_CPU, SO_INCOMING_NAPI_ID, SO_KEEPALIVE, SO_LINGER, SO_LOCK_FILTER, SO_MARK,
    SO_MAX_PACING_RATE, SO_MEMINFO, SO_NO_CHECK, SO_OOBINLINE, SO_PASSCRED, SO_PASSSEC, SO_PEEK_OFF,
    SO_PEERCRED, SO_PREFER_BUSY_POLL, SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF, SO_RCVBUFFORCE, SO_RCVLOWAT,
    SO_RCVMARK, SO_RCVTIMEO, SO_RCVTIMEO_NEW, SO_REUSEADDR, SO_REUSEPORT, SO_RXQ_OVFL, SO_SELECT_ERR_QUEUE,
    SO_SNDBUF, SO_SNDBUFFORCE, SO_SNDLOWAT, SO_SNDTIMEO, SO_SNDTIMEO_NEW, SO_TIMESTAMP, SO_TIMESTAMP_NEW,
    SO_TIMESTAMPING, SO_TIMESTAMPING_NEW, SO_TIMESTAMPNS, SO_TIMESTAMPNS_NEW, SO_TXREHASH, SO_TYPE,
    SO_WIFI_STATUS, SO_ZEROCOPY,
};

pub use libc::{
    IP_BIND_ADDRESS_NO_PORT, IP_CHECKSUM, IP_FREEBIND, IP_HDRINCL, IP_MINTTL, IP_MTU, IP_MTU_DISCOVER,
    IP_MULTICAST_ALL, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_NODEFRAG, IP_OPTIONS,
    IP_PASSSEC, IP_PKTINFO, IP_RECVERR, IP_RECVFRAGSIZE, IP_RECVOPTS, IP_RECVORIGDSTADDR, IP_RECVTOS,
    IP_RECVTTL, IP_RETOPTS, IP_TOS, IP_TRANSPARENT, IP_TTL,
};
pub use libc::{
    IP_PMTUDISC_DO, IP_PMTUDISC_DONT, IP_PMTUDISC_INTERFACE, IP_PMTUDISC_OMIT, IP_PMTUDISC_PROBE,
    IP_PMTUDISC_WANT,
};

pub use libc::{
    IPV6_2292DSTOPTS, IPV6_2292HOPLIMIT, IPV6_2292HOPOPTS, IPV6_2292PKTINFO, IPV6_2292RTHDR, IPV6_DONTFRAG,
    IPV6_FLOWINFO, IPV6_FLOWINFO_SEND, IPV6_FREEBIND, IPV6_MINHOPCOUNT, IPV6_MTU, IPV6_MTU_DISCOVER,
    IPV6_MULTICAST_ALL, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_LOOP, IPV6_RECVDSTOPTS,
    IPV6_RECVERR, IPV6_RECVFRAGSIZE, IPV6_RECVHOPLIMIT, IPV6_RECVHOPOPTS, IPV6_RECVORIGDSTADDR,
    IPV6_RECVPATHMTU, IPV6_RECVPKTINFO, IPV6_RECVRTHDR, IPV6_RECVTCLASS, IPV6_ROUTER_ALERT, IPV6_TCLASS,
    IPV6_TRANSPARENT, IPV6_UNICAST_HOPS, IPV6_V6ONLY,
};

pub use libc::{
    TCP_CC_INFO, TCP_CONGESTION, TCP_CORK, TCP_DEFER_ACCEPT, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT,
    TCP_FASTOPEN_NO_COOKIE, TCP_INFO, TCP_INQ, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_LINGER2,
    TCP_MAXSEG, TCP_NODELAY, TCP_NOTSENT_LOWAT, TCP_QUICKACK, TCP_REPAIR, TCP_SAVE_SYN, TCP_SAVED_SYN,
    TCP_SYNCNT, TCP_THIN_DUPACK, TCP_THIN_LINEAR_TIMEOUTS, TCP_TIMESTAMP, TCP_ULP, TCP_USER_TIMEOUT,
    TCP_WINDOW_CLAMP,
};

/// Which buffers stay as they are set (`asm-generic/socket.h`).
pub const SO_BUF_LOCK: i32 = 72;

/// Secrets of the cookies of Fast Open, one or two of 16 octets (`linux/tcp.h`).
pub const TCP_FASTOPEN_KEY: i32 = 33;
/// Whether the option of RFC 5482 is sent and heeded. Linux has none of the four that follow, so they have numbers far
/// from its own.
pub const TCP_UTO: i32 = 5482;
/// What it tells the peer, seconds; 0: `TCP_USER_TIMEOUT`, or the stack's R2 without one.
pub const TCP_UTO_ADVERTISED: i32 = 5483;
/// Whether a peer's changes how long data may stay unacknowledged; setting `TCP_USER_TIMEOUT` ends that.
pub const TCP_UTO_CHANGEABLE: i32 = 5484;
/// What the peer last told, seconds; 0: nothing yet. Only read.
pub const TCP_UTO_RECEIVED: i32 = 5485;
/// Hold each segment back (`linux/tcp.h`).
pub const TCP_TX_DELAY: i32 = 37;

pub use libc::{UDP_GRO, UDP_SEGMENT};
/// Put datagrams together until told otherwise (`linux/udp.h`).
pub const UDP_CORK: i32 = 1;
/// Datagrams hold other packets (`linux/udp.h`).
pub const UDP_ENCAP: i32 = 100;
/// Send IPv6 datagrams without a checksum (`linux/udp.h`).
pub const UDP_NO_CHECK6_TX: i32 = 101;
/// Take IPv6 datagrams without a checksum (`linux/udp.h`).
pub const UDP_NO_CHECK6_RX: i32 = 102;

/// Errors that ICMP extends (`linux/in.h`).
pub const IP_RECVERR_RFC4884: i32 = 26;
/// Errors that ICMPv6 extends (`linux/in6.h`).
pub const IPV6_RECVERR_RFC4884: i32 = 31;

pub use libc::{F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC};
pub use libc::{O_CLOEXEC, O_NONBLOCK, O_RDWR};

pub use libc::{FIOCLEX, FIONBIO, FIONCLEX, FIONREAD, TIOCOUTQ};
/// Octets that wait to be read (`linux/sockios.h`: the number of `FIONREAD`).
pub const SIOCINQ: libc::Ioctl = FIONREAD;
/// Octets sent or to be sent and not acknowledged (`linux/sockios.h`: the number of `TIOCOUTQ`).
pub const SIOCOUTQ: libc::Ioctl = TIOCOUTQ;
/// Whether the reader is at the urgent mark (`asm-generic/sockios.h`).
pub const SIOCATMARK: libc::Ioctl = 0x8905;
/// Octets never sent yet (`linux/sockios.h`).
pub const SIOCOUTQNSD: libc::Ioctl = 0x894b;

bitflags::bitflags! {
    /// What a send or a receive is asked beside its data (`MSG_…`).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct MsgFlags: i32 {
        /// Urgent data (`MSG_OOB`).
        const OOB = libc::MSG_OOB;
        /// Look, and leave the data where it is (`MSG_PEEK`).
        const PEEK = libc::MSG_PEEK;
        /// Send to hosts of the own network only (`MSG_DONTROUTE`).
        const DONTROUTE = libc::MSG_DONTROUTE;
        /// Given back by `recvmsg`: control data was cut (`MSG_CTRUNC`).
        const CTRUNC = libc::MSG_CTRUNC;
        /// Give the datagram's true length; TCP: throw the data away (`MSG_TRUNC`).
        const TRUNC = libc::MSG_TRUNC;
        /// Never wait (`MSG_DONTWAIT`).
        const DONTWAIT = libc::MSG_DONTWAIT;
        /// The end of a record (`MSG_EOR`): no segment has octets of it and of what is written later.
        const EOR = libc::MSG_EOR;
        /// Wait until all of the buffer is filled (`MSG_WAITALL`).
        const WAITALL = libc::MSG_WAITALL;
        /// `sendto` on a fresh socket confirms the neighbour (`MSG_CONFIRM`); of no effect.
        const CONFIRM = libc::MSG_CONFIRM;
        /// Take from the error queue (`MSG_ERRQUEUE`).
        const ERRQUEUE = libc::MSG_ERRQUEUE;
        /// No `SIGPIPE` (`MSG_NOSIGNAL`). We never raise it: `EPIPE` says all.
        const NOSIGNAL = libc::MSG_NOSIGNAL;
        /// More data follows: do not send a segment that is not full (`MSG_MORE`).
        const MORE = libc::MSG_MORE;
        /// `recvmmsg` waits for the first message alone (`MSG_WAITFORONE`).
        const WAITFORONE = libc::MSG_WAITFORONE;
        /// Connect, and send the data with the SYN where the server's cookie is known (`MSG_FASTOPEN`, RFC 7413).
        const FASTOPEN = libc::MSG_FASTOPEN;
        /// Others are kept and judged by the call.
        const _ = !0;
    }
}
