//! Packets as a capture file that Wireshark reads: pcapng with nanoseconds, directions, and a comment on
//! each packet that says why it was sent or what became of it.
//!
//! The bytes depend on nothing but what is handed in, so that a simulated capture is the same each time.
//!
//! ```
//! use std::time::Duration;
//! use tunstack::pcapng::{CaptureWriter, Direction};
//!
//! let mut capture = CaptureWriter::new(Vec::new(), &["tun0"])?;
//! let packet = [0x45, 0, 0, 20];
//! capture.packet(0, Duration::from_secs(1), Direction::Inbound, &[&packet], Some("a stump of a packet"));
//! let file = capture.finish()?;
//! assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
//! # Ok::<(), std::io::Error>(())
//! ```

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapError};
use tunstack_core::packet::{Checksum, Datagram};
use tunstack_core::wire::checksum::Sum;

/// The most octets of a packet that are kept: more than any IP packet has.
const SNAPLEN: u32 = 262_144;
/// `if_tsresol`: times count nanoseconds, ten to the minus ninth.
const NANOSECONDS: u8 = 9;
/// Blocks are gathered up to this many octets before they are written.
const GATHERED_MAX: usize = 64 * 1024;
/// … or, where packets are few, for this long by their own times, so that a live file stays fresh.
const GATHERED_FOR: Duration = Duration::from_secs(1);
/// The longest option, which has a 16-bit length (draft-ietf-opsawg-pcapng section 3.5).
const OPTION_MAX: usize = u16::MAX as usize;
/// Offset of the checksum in a UDP header (RFC 768): tells UDP from TCP and ICMP.
const UDP_CHECKSUM: u16 = 6;

/// Which way a packet went, seen from the stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// To the stack.
    Inbound,
    /// From the stack.
    Outbound,
}

/// What the head of the file says about where it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// The machine, such as `x86_64`.
    pub hardware: Option<String>,
    /// The operating system and its version.
    pub os: Option<String>,
    /// The program.
    pub application: String,
}

impl Default for Metadata {
    /// The program and its version alone.
    fn default() -> Self {
        Self {
            hardware: None,
            os: None,
            application: concat!("tunstack ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl Metadata {
    /// With the machine's kind and its kernel's version, as far as they can be learned.
    pub fn of_this_host() -> Self {
        let kernel = |name: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok();
        let os = kernel("ostype").zip(kernel("osrelease"));
        Self {
            hardware: Some(std::env::consts::ARCH.to_owned()),
            os: os.map(|(kind, release)| format!("{} {}", kind.trim(), release.trim())),
            ..Self::default()
        }
    }
}

/// An interface that packets are captured on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interface<'a> {
    /// Its name, such as `tun0`.
    pub name: &'a str,
    /// What it is.
    pub description: &'a str,
}

/// Writes packets to `W` as pcapng.
///
/// Writing never fails the caller: the first error ends the capture and is kept for
/// [`error`](Self::error), [`flush`](Self::flush) and [`finish`](Self::finish). Blocks are gathered and
/// written in large pieces, so a full disk may show late: call `finish`, for a writer that is merely dropped
/// can but log its error.
pub struct CaptureWriter<W: Write> {
    /// None once finished.
    out: Option<W>,
    /// Whole blocks that are not written yet.
    gathered: PcapNgWriter<Vec<u8>>,
    /// The time of the first packet in `gathered`.
    gathered_since: Option<Duration>,
    /// A packet put together, and its comment; kept for their memory.
    packet: Vec<u8>,
    comment: String,
    error: Option<io::Error>,
}

impl<W: Write> CaptureWriter<W> {
    /// A capture of raw IP packets on `interfaces`, numbered from 0; its head is the same on every host.
    ///
    /// # Errors
    /// The head of the file cannot be written.
    pub fn new(out: W, interfaces: &[&str]) -> io::Result<Self> {
        let described = |&name| Interface { name, description: "raw IP packets" };
        let interfaces: Vec<_> = interfaces.iter().map(described).collect();
        Self::with_metadata(out, &Metadata::default(), &interfaces)
    }

    /// [`new`](Self::new) with more in the head of the file.
    ///
    /// # Errors
    /// The head of the file cannot be written.
    pub fn with_metadata(out: W, metadata: &Metadata, interfaces: &[Interface<'_>]) -> io::Result<Self> {
        let owned = |s: &str| Cow::Owned(fitting(s).to_owned());
        let mut options = Vec::new();
        options.extend(metadata.hardware.as_deref().map(|s| SectionHeaderOption::Hardware(owned(s))));
        options.extend(metadata.os.as_deref().map(|s| SectionHeaderOption::OS(owned(s))));
        options.push(SectionHeaderOption::UserApplication(owned(&metadata.application)));
        let section = SectionHeaderBlock { endianness: Endianness::Little, options, ..Default::default() };
        let mut gathered = PcapNgWriter::with_section_header(Vec::new(), section).map_err(io_error)?;
        for interface in interfaces {
            let mut block = InterfaceDescriptionBlock::new(DataLink::RAW, SNAPLEN);
            block.options = vec![
                InterfaceDescriptionOption::IfName(owned(interface.name)),
                InterfaceDescriptionOption::IfDescription(owned(interface.description)),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ];
            gathered.write_pcapng_block(block).map_err(io_error)?;
        }
        let mut writer = Self {
            out: Some(out),
            gathered,
            gathered_since: None,
            packet: Vec::new(),
            comment: String::new(),
            error: None,
        };
        writer.flush()?;
        Ok(writer)
    }

    /// Adds a packet, given in pieces: on which interface, when by the clock that counts from 1970 in UTC,
    /// which way, and what is to be said of it.
    pub fn packet(
        &mut self,
        interface: u32,
        at: Duration,
        direction: Direction,
        pieces: &[&[u8]],
        comment: Option<&str>,
    ) {
        self.start_packet();
        pieces.iter().for_each(|piece| self.packet.extend_from_slice(piece));
        self.comment.push_str(comment.unwrap_or_default());
        self.end_packet(interface, at, direction);
    }

    /// Adds a packet that left, with the reason that it carries. A checksum that was left to the device is
    /// put in, as the device would.
    pub fn datagram(&mut self, interface: u32, at: Duration, datagram: &Datagram<'_>) {
        self.sent(interface, at, datagram, None);
    }

    /// [`datagram`](Self::datagram), with `note` added to the comment.
    pub(crate) fn sent(
        &mut self,
        interface: u32,
        at: Duration,
        datagram: &Datagram<'_>,
        note: Option<&dyn fmt::Display>,
    ) {
        self.start_packet();
        self.packet.extend_from_slice(datagram.head);
        datagram.body.pieces().for_each(|piece| self.packet.extend_from_slice(piece));
        if let Checksum::Partial { start, offset } = datagram.checksum {
            complete(&mut self.packet, start, offset);
        }
        // Writing to a `String` cannot fail.
        if let Some(event) = datagram.event {
            let _ = write!(self.comment, "{event}");
        }
        if let Some(note) = note {
            let gap = if self.comment.is_empty() { "" } else { " | " };
            let _ = write!(self.comment, "{gap}{note}");
        }
        self.end_packet(interface, at, Direction::Outbound);
    }

    fn start_packet(&mut self) {
        self.packet.clear();
        self.comment.clear();
    }

    fn end_packet(&mut self, interface: u32, at: Duration, direction: Direction) {
        if self.error.is_some() {
            return;
        }
        // Bits 0 and 1 of the flags: the direction (draft-ietf-opsawg-pcapng section 4.3.1).
        let flags = match direction {
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        };
        let mut options = vec![EnhancedPacketOption::Flags(flags)];
        if !self.comment.is_empty() {
            options.push(EnhancedPacketOption::Comment(Cow::Borrowed(fitting(&self.comment))));
        }
        let kept = &self.packet[..self.packet.len().min(SNAPLEN as usize)];
        let block = EnhancedPacketBlock {
            interface_id: interface,
            // The field has 64 bits of nanoseconds: until the year 2554.
            timestamp: at.min(Duration::from_nanos(u64::MAX)),
            original_len: u32::try_from(self.packet.len()).unwrap_or(u32::MAX),
            data: Cow::Borrowed(kept),
            options,
        };
        if let Err(e) = self.gathered.write_pcapng_block(block) {
            self.error = Some(io_error(e));
            return;
        }
        let since = *self.gathered_since.get_or_insert(at);
        if self.gathered.get_ref().len() >= GATHERED_MAX || at.saturating_sub(since) >= GATHERED_FOR {
            self.write_out();
        }
    }

    /// Hands what was gathered to the writer, or remembers why not.
    fn write_out(&mut self) {
        if let (None, Some(out)) = (&self.error, &mut self.out) {
            self.error = out.write_all(self.gathered.get_ref()).err();
        }
        self.gathered.get_mut().clear();
        self.gathered_since = None;
    }

    /// The error that ended the capture, if one did.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    /// Writes all that was added so far.
    ///
    /// # Errors
    /// That which ended the capture, now or earlier.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write_out();
        if let (None, Some(out)) = (&self.error, &mut self.out) {
            self.error = out.flush().err();
        }
        self.error.as_ref().map_or(Ok(()), |e| Err(same(e)))
    }

    /// Writes all that was added and gives the writer back.
    ///
    /// # Errors
    /// That which ended the capture, now or earlier: the file then lacks packets.
    pub fn finish(mut self) -> io::Result<W> {
        let flushed = self.flush();
        let out = self.out.take();
        flushed?;
        out.ok_or_else(|| io::Error::other("the capture is finished"))
    }
}

impl<W: Write> fmt::Debug for CaptureWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gathered = self.gathered.get_ref().len();
        f.debug_struct("CaptureWriter")
            .field("gathered", &gathered)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<W: Write> Drop for CaptureWriter<W> {
    fn drop(&mut self) {
        if self.out.is_some()
            && let Err(e) = self.flush()
        {
            tracing::error!("the capture lacks packets: {e}");
        }
    }
}

/// Puts in the transport checksum of a packet whose field holds the sum of its pseudo-header.
fn complete(packet: &mut [u8], start: u16, offset: u16) {
    let Some(segment) = packet.get_mut(usize::from(start)..) else { return };
    let sum = match (Sum::new().add(segment).finish(), offset) {
        // To UDP, 0 means that there is no checksum (RFC 768); the other zero says the same sum.
        (0, UDP_CHECKSUM) => u16::MAX,
        (sum, _) => sum,
    };
    let field = usize::from(offset);
    if let Some(field) = segment.get_mut(field..field + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// As much of `text` as an option holds.
fn fitting(text: &str) -> &str {
    &text[..text.floor_char_boundary(OPTION_MAX)]
}

fn io_error(e: PcapError) -> io::Error {
    match e {
        PcapError::IoError(e) => e,
        other => io::Error::new(io::ErrorKind::InvalidInput, other.to_string()),
    }
}

/// The error again: `io::Error` is not `Clone`.
pub(crate) fn same(e: &io::Error) -> io::Error {
    match e.raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(e.kind(), e.to_string()),
    }
}

#[cfg(test)]
mod tests;
