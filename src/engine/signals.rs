//! The engine's thread takes no signals: they are the program's.

use std::mem::MaybeUninit;

/// Blocks every signal for the calling thread. A signal for the process goes to any thread that does not block it, and a
/// program that waits for one (by `sigwait`, by a signalfd) blocks it in its own threads, not in one that it does not know of.
pub(super) fn block() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` writes the set that it is given, and `pthread_sigmask` reads it and changes the mask of the
    // calling thread alone. With these arguments neither can fail.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
    }
}
