//! A thread for each connection, kept for the next one: making a thread costs as much as a short connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::PIECE;
use super::sockets::Sockets;

/// Threads that wait for connections beyond these end.
const KEPT: usize = 64;

struct Pool<S: Sockets, F> {
    listener: S::Listener,
    serve: F,
    waiting: AtomicUsize,
}

/// Serves the connections of a listener, each to its end, with a buffer that is the thread's.
pub(super) fn start<S: Sockets>(
    listener: S::Listener,
    serve: impl Fn(&S::Stream, &mut [u8]) -> io::Result<()> + Send + Sync + 'static,
) {
    more(&Arc::new(Pool::<S, _> { listener, serve, waiting: AtomicUsize::new(0) }));
}

fn more<S: Sockets, F>(pool: &Arc<Pool<S, F>>)
where
    F: Fn(&S::Stream, &mut [u8]) -> io::Result<()> + Send + Sync + 'static,
{
    pool.waiting.fetch_add(1, SeqCst);
    let own = Arc::clone(pool);
    let thread = thread::Builder::new().stack_size(64 << 10).spawn(move || work(&own));
    if let Err(e) = thread {
        // Those that there are go on.
        pool.waiting.fetch_sub(1, SeqCst);
        tracing::warn!("no thread for another connection: {e}");
    }
}

fn work<S: Sockets, F>(pool: &Arc<Pool<S, F>>)
where
    F: Fn(&S::Stream, &mut [u8]) -> io::Result<()> + Send + Sync + 'static,
{
    let mut buffer = vec![0; PIECE];
    loop {
        match S::accept(&pool.listener) {
            Ok(stream) => {
                if pool.waiting.fetch_sub(1, SeqCst) == 1 {
                    more(pool);
                }
                if let Err(e) = (pool.serve)(&stream, &mut buffer) {
                    tracing::trace!("a connection has ended: {e}");
                }
                drop(stream);
                if pool.waiting.fetch_add(1, SeqCst) >= KEPT {
                    pool.waiting.fetch_sub(1, SeqCst);
                    return;
                }
            }
            // That connection was reset before its turn; or there is no descriptor for it now.
            Err(e) => {
                tracing::debug!("cannot accept: {e}");
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
