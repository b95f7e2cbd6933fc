//! The packets of a script that failed, as a file.

use std::io;
use std::path::{Path, PathBuf};
#[cfg(feature = "capture")]
use std::sync::Arc;
#[cfg(feature = "capture")]
use std::time::Duration;

use crate::device::Device;
#[cfg(feature = "capture")]
use crate::device::capture::Capture;
use crate::device::outbox::Outbox;
#[cfg(feature = "capture")]
use crate::pcapng::CaptureWriter;

/// Everything that passed, with what the stack said of it. Times count from 1970, where the script has its start.
#[cfg(feature = "capture")]
#[derive(Debug)]
pub(super) struct Kept(Arc<Capture<Outbox, Vec<u8>>>);

/// Nothing: captures are not built in.
#[cfg(not(feature = "capture"))]
#[derive(Debug)]
pub(super) enum Kept {}

/// `outbox` as a device, and what is kept of what passes if that is `wanted` and can be.
#[cfg(feature = "capture")]
pub(super) fn device(outbox: Outbox, wanted: bool) -> io::Result<(Box<dyn Device>, Option<Kept>)> {
    if !wanted {
        return Ok((Box::new(outbox), None));
    }
    let writer = CaptureWriter::new(Vec::new(), &["packetdrill"])?;
    let capture = Arc::new(Capture::new(outbox, writer, Duration::ZERO));
    Ok((Box::new(Arc::clone(&capture)), Some(Kept(capture))))
}

/// `outbox` as a device.
#[cfg(not(feature = "capture"))]
pub(super) fn device(outbox: Outbox, _wanted: bool) -> io::Result<(Box<dyn Device>, Option<Kept>)> {
    Ok((Box::new(outbox), None))
}

impl Kept {
    /// Writes it to a file of the script's name in `folder`, which is made if need be.
    #[cfg(feature = "capture")]
    pub(super) fn write(&self, folder: &Path, name: &str) -> io::Result<PathBuf> {
        let octets = self.0.finish()?.unwrap_or_default();
        std::fs::create_dir_all(folder)?;
        let path = folder.join(file_name(name));
        std::fs::write(&path, octets)?;
        Ok(path)
    }

    /// There is none to write.
    #[cfg(not(feature = "capture"))]
    pub(super) fn write(&self, _folder: &Path, _name: &str) -> io::Result<PathBuf> {
        match *self {}
    }
}

/// `tcp/close/fin.pkt` as `tcp-close-fin.pcapng`: scripts of one name in several folders do not meet.
#[cfg(feature = "capture")]
fn file_name(script: &str) -> String {
    let stem = script.strip_suffix(".pkt").unwrap_or(script);
    let parts = stem.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    let name: String = parts.collect::<Vec<_>>().join("-");
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("{}.pcapng", name.chars().map(plain).collect::<String>())
}
