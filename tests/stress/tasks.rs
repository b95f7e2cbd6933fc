//! The driver with a task for each socket: tokio watches the descriptors.

use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tunstack::bsd::Sockets;

use crate::end::{Blocked, End};

pub(crate) fn async_fd(_: &Sockets, ends: Vec<End>) {
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    let tasks = LocalSet::new();
    for end in ends {
        tasks.spawn_local(task(end));
    }
    runtime.block_on(tasks);
}

async fn task(mut end: End) {
    #[expect(
        deprecated,
        reason = "the way in that replaces it is `unsafe`; here a number outlives its watcher"
    )]
    let watched = AsyncFd::new(end.fd).unwrap();
    loop {
        match end.run() {
            // Cleared before the next look: what comes after that wakes again.
            Blocked::Read => watched.readable().await.unwrap().clear_ready(),
            Blocked::Write => watched.writable().await.unwrap().clear_ready(),
            Blocked::Over => return,
        }
    }
}
