//! What has to do with numbers of descriptors rather than with descriptors: the face's only `unsafe`.

use std::os::fd::{BorrowedFd, RawFd};

/// The descriptor of a number that a program named, for the length of a call.
///
/// The number need not be open: the kernel says `EBADF` then, which is what the program is to hear.
pub(super) fn borrow<'a>(fd: RawFd) -> Option<BorrowedFd<'a>> {
    // SAFETY: the number is used for system calls that check it (never to close it), as C programs do. -1 is the
    // one value that a `BorrowedFd` must not have.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Whether the number is an open descriptor of the process.
pub(super) fn is_open(fd: RawFd) -> bool {
    borrow(fd).is_some_and(|fd| rustix::io::fcntl_getfd(fd).is_ok())
}
