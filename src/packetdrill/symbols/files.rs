//! What is said of descriptors: flags and commands of `open`, `fcntl`, `ioctl`, `splice`; capabilities.

use super::{Table, of_libc};

pub(super) const FLAGS: Table = of_libc! {
    O_RDONLY O_WRONLY O_RDWR O_ACCMODE O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_NDELAY O_SYNC
    O_ASYNC O_DIRECT O_CLOEXEC
    F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_GETOWN F_SETOWN F_SETLEASE F_GETLEASE
    F_NOTIFY F_DUPFD_CLOEXEC F_RDLCK F_WRLCK F_UNLCK FD_CLOEXEC
    LOCK_SH LOCK_EX LOCK_NB LOCK_UN
    SEEK_SET SEEK_CUR SEEK_END
    SPLICE_F_MOVE SPLICE_F_NONBLOCK SPLICE_F_MORE SPLICE_F_GIFT
};

pub(super) const REQUESTS: Table = &[
    ("NULL", 0),
    ("F_SETSIG", 10),
    ("F_GETSIG", 11),
    ("F_EXLCK", 4),
    ("F_SHLCK", 8),
    ("FIONREAD", libc::FIONREAD as i64),
    ("SIOCINQ", libc::FIONREAD as i64),
    ("TIOCOUTQ", libc::TIOCOUTQ as i64),
    ("SIOCOUTQ", libc::TIOCOUTQ as i64),
    ("SIOCOUTQNSD", crate::bsd::abi::SIOCOUTQNSD as i64),
    ("SIOCATMARK", crate::bsd::abi::SIOCATMARK as i64),
    ("FIONBIO", libc::FIONBIO as i64),
    ("FIOCLEX", libc::FIOCLEX as i64),
    ("FIONCLEX", libc::FIONCLEX as i64),
    // linux/capability.h and sys/capability.h.
    ("CAP_EFFECTIVE", 0),
    ("CAP_PERMITTED", 1),
    ("CAP_INHERITABLE", 2),
    ("CAP_CLEAR", 0),
    ("CAP_SET", 1),
    ("CAP_NET_BIND_SERVICE", 10),
    ("CAP_NET_BROADCAST", 11),
    ("CAP_NET_ADMIN", 12),
    ("CAP_NET_RAW", 13),
    ("CAP_SYS_ADMIN", 21),
];
