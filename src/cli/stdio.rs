//! Standard input and output for tasks: a thread each, because files and terminals only block.

use std::io::{self, Read, Write};
use std::thread;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::output::Failure;

/// Octets read at a time; over UDP also the longest datagram, as in netcat.
const CHUNK: usize = 16 << 10;
/// Chunks on their way between a task and its thread.
const DEPTH: usize = 16;

/// Standard input in pieces. The end of the stream is its end; an error comes last.
///
/// # Errors
/// There is no thread to be had.
pub(crate) fn input() -> Result<mpsc::Receiver<io::Result<Bytes>>, Failure> {
    let (sender, receiver) = mpsc::channel(DEPTH);
    let read = move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            let piece = match io::stdin().lock().read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => Ok(Bytes::copy_from_slice(&buffer[..n])),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => Err(e),
            };
            let last = piece.is_err();
            if sender.blocking_send(piece).is_err() || last {
                return;
            }
        }
    };
    start("stdin", read)?;
    Ok(receiver)
}

/// Standard output, in pieces.
#[derive(Debug)]
pub(crate) struct StandardOutput {
    pieces: mpsc::Sender<Bytes>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl StandardOutput {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start() -> Result<Self, Failure> {
        let (pieces, mut receiver) = mpsc::channel::<Bytes>(DEPTH);
        let (end, ended) = oneshot::channel();
        let write = move || {
            let mut out = io::stdout().lock();
            let mut written = Ok(());
            while written.is_ok()
                && let Some(piece) = receiver.blocking_recv()
            {
                written = out.write_all(&piece);
                if written.is_ok() && receiver.is_empty() {
                    written = out.flush();
                }
            }
            // The task may have ended before.
            let _ = end.send(written);
        };
        start("stdout", write)?;
        Ok(Self { pieces, ended })
    }

    /// A place for pieces; it refuses them once nobody reads any more.
    pub(crate) fn pieces(&self) -> &mpsc::Sender<Bytes> {
        &self.pieces
    }

    /// Waits until all is written. A reader who has left is [`Failure::Told`]: he knows.
    ///
    /// # Errors
    /// Not all could be written.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        drop(self.pieces);
        match self.ended.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) if e.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Told),
            Ok(Err(e)) => Err(Failure::of("cannot write to standard output", &e)),
            Err(_) => Err(Failure::Failed("the thread that writes has panicked".to_owned())),
        }
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map(drop).map_err(|e| Failure::of("cannot start a thread", &e))
}
