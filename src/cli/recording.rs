//! The capture file of a run.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tunstack::device::Device;
use tunstack::device::capture::{Capture, CaptureWriter, Interface, Metadata};

use super::output::{Failure, why};

/// How long the file may lag behind on a quiet line.
const FLUSH: Duration = Duration::from_secs(1);

/// A capture file being written.
pub(crate) struct Recording {
    path: PathBuf,
    capture: Arc<Capture<Box<dyn Device>, Lenient>>,
    error: Arc<OnceLock<io::Error>>,
    /// Dropped, it ends the thread that keeps the file fresh.
    _alive: Sender<()>,
}

impl Recording {
    /// Makes the file, in place of one that was there. With `split`, large packets are written in pieces.
    pub(crate) fn start(
        path: PathBuf,
        device: &str,
        tun: Box<dyn Device>,
        split: bool,
    ) -> Result<Self, Failure> {
        let failed = |e: io::Error| {
            Failure::Failed(format!(
                "cannot write the capture {}: {}: name another file with --pcap",
                path.display(),
                why(&e)
            ))
        };
        let error = Arc::new(OnceLock::new());
        let file = Lenient {
            file: File::create(&path).map_err(failed)?,
            path: path.clone(),
            error: Arc::clone(&error),
        };
        let interface = Interface { name: device, description: "tunstack's side of a TUN device" };
        let writer = CaptureWriter::with_metadata(file, &Metadata::of_this_host(), &[interface]);
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let capture = Arc::new(Capture::new(tun, writer.map_err(failed)?, epoch).split(split));
        let alive = Self::keep_fresh(Arc::downgrade(&capture)).map_err(failed)?;
        Ok(Self { path, capture, error, _alive: alive })
    }

    /// The device to hand to the engine.
    pub(crate) fn capture(&self) -> Arc<impl Device + use<>> {
        Arc::clone(&self.capture)
    }

    /// Writes now and then what has gathered, for whoever watches the file grow.
    fn keep_fresh(capture: Weak<Capture<Box<dyn Device>, Lenient>>) -> io::Result<Sender<()>> {
        let (alive, end) = channel();
        thread::Builder::new().name("capture".to_owned()).spawn(move || {
            while end.recv_timeout(FLUSH) == Err(RecvTimeoutError::Timeout) {
                let Some(capture) = capture.upgrade() else { return };
                if capture.flush().is_err() {
                    // It is kept, and told at the end.
                    return;
                }
            }
        })?;
        Ok(alive)
    }

    /// Ends the capture.
    ///
    /// # Errors
    /// Packets are missing in the file.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let finished = self.capture.finish().map(drop);
        let error = match (self.error.get(), &finished) {
            (Some(e), _) | (None, Err(e)) => e,
            (None, Ok(())) => return Ok(()),
        };
        Err(Failure::Failed(format!(
            "the capture {} lacks packets: {}: make room, or name another file with --pcap",
            self.path.display(),
            why(error)
        )))
    }
}

/// A file that takes everything: its first error is kept and told, and what comes after it is dropped, so
/// that the run goes on.
struct Lenient {
    file: File,
    path: PathBuf,
    error: Arc<OnceLock<io::Error>>,
}

impl Write for Lenient {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.error.get().is_some() {
            return Ok(data.len());
        }
        match self.file.write(data) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                let path = self.path.display();
                tracing::warn!("the capture {path} ends here, the run goes on: {}", why(&e));
                let _ = self.error.set(e);
                Ok(data.len())
            }
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
