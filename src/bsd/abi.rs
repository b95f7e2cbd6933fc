//! The numbers of Linux's ABI, under their names.

pub use libc::{AF_INET, AF_INET6, AF_UNSPEC};
pub use libc::{EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD};
pub use libc::{IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, IPPROTO_UDP, SOL_SOCKET};
pub use libc::{SHUT_RD, SHUT_RDWR, SHUT_WR};
pub use libc::{SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM};

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
        /// The end of a record (`MSG_EOR`).
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
        /// Send data with the SYN (`MSG_FASTOPEN`); not supported.
        const FASTOPEN = libc::MSG_FASTOPEN;
        /// Others are kept and judged by the call.
        const _ = !0;
    }
}
