//! A device whose packets are written down as they pass.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tunstack_core::packet::{Body, Datagram, Inbound, Received};
use tunstack_core::time::Instant;

use super::{Capabilities, Device, Frames, segment};
use crate::pcapng::same;
pub use crate::pcapng::{CaptureWriter, Direction, Interface, Metadata};

/// The interface that packets are written under: the only one.
const INTERFACE: u32 = 0;

/// `D`, and a capture of what passes through it: what leaves with the stack's reason, what comes with what
/// became of it.
///
/// Checksums that were left to the device are put in. What the device shall cut or has joined is written as the
/// one large packet that passed, or as packets of the link: see [`split`](Self::split).
///
/// A capture that cannot be written does not stop the device: ask [`error`](Self::error), and
/// [`finish`](Self::finish) at the end.
#[derive(Debug)]
pub struct Capture<D, W: Write> {
    device: D,
    writer: Mutex<Option<CaptureWriter<W>>>,
    epoch: Duration,
    split: bool,
}

impl<D: Device, W: Write + Send> Capture<D, W> {
    /// Captures what passes through `device`, on interface 0 of `writer`. `epoch` is the time since 1970 in
    /// UTC at which the stack's clock stood at [`Instant::ZERO`].
    pub fn new(device: D, writer: CaptureWriter<W>, epoch: Duration) -> Self {
        Self { device, writer: Mutex::new(Some(writer)), epoch, split: false }
    }

    /// Whether large packets are written cut into those that the link sees, each with the comment of the
    /// whole and which of them it is. Not, unless this is called.
    #[must_use]
    pub fn split(mut self, split: bool) -> Self {
        self.split = split;
        self
    }

    /// The device within.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// The error that ended the capture, if one did: the device goes on without it.
    pub fn error(&self) -> Option<io::Error> {
        self.lock().as_ref()?.error().map(same)
    }

    /// Writes all packets so far.
    ///
    /// # Errors
    /// That which ended the capture, now or earlier.
    pub fn flush(&self) -> io::Result<()> {
        self.lock().as_mut().map_or(Ok(()), CaptureWriter::flush)
    }

    /// Ends the capture and gives the writer back, `None` if that was done before. The device goes on.
    ///
    /// # Errors
    /// That which ended the capture, now or earlier: the file then lacks packets.
    pub fn finish(&self) -> io::Result<Option<W>> {
        let writer = self.lock().take();
        writer.map(CaptureWriter::finish).transpose()
    }

    fn lock(&self) -> MutexGuard<'_, Option<CaptureWriter<W>>> {
        // At worst a panic has cut a packet short before it was gathered.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_sent(
        &self,
        writer: &mut CaptureWriter<W>,
        at: Duration,
        datagram: &Datagram<'_>,
        note: Option<&dyn Display>,
    ) {
        let count = pieces(datagram.body.len(), datagram.gso_size);
        if !self.split || count < 2 {
            writer.sent(INTERFACE, at, datagram, note);
            return;
        }
        let mut n = 0;
        let cut = segment::cut(datagram, |packet| {
            n += 1;
            let which = Which { n, count, note };
            writer.sent(INTERFACE, at, packet, Some(&which));
            Ok(())
        });
        if cut.is_err() {
            // Nobody can cut it, so it passed whole, or not at all.
            writer.sent(INTERFACE, at, datagram, note);
        }
    }

    fn write_settled(
        &self,
        writer: &mut CaptureWriter<W>,
        at: Duration,
        inbound: &Inbound<'_>,
        comment: &str,
    ) {
        let mut write = |packet: &Datagram<'_>, comment: &str| {
            let mut pieces = [packet.head; 1 + Body::MAX_PIECES];
            let mut count = 1;
            for (slot, piece) in pieces[1..].iter_mut().zip(packet.body.pieces()) {
                *slot = piece;
                count += 1;
            }
            writer.packet(INTERFACE, at, Direction::Inbound, &pieces[..count], Some(comment));
        };
        let whole = Inbound { gso_size: 0, ..*inbound };
        if !self.split || inbound.gso_size == 0 {
            segment::take_apart(&whole, |packet| write(packet, comment));
            return;
        }
        let mut count = 0;
        segment::take_apart(inbound, |_| count += 1);
        let mut n = 0;
        segment::take_apart(inbound, |packet| {
            n += 1;
            let gap = if comment.is_empty() { "" } else { " | " };
            match count {
                1 => write(packet, comment),
                _ => write(packet, &format!("{comment}{gap}{}", Which { n, count, note: None })),
            }
        });
    }

    fn time(&self, now: Instant) -> Duration {
        self.epoch + now.saturating_since(Instant::ZERO)
    }
}

/// How many packets the text becomes.
fn pieces(text: usize, gso_size: u16) -> usize {
    if gso_size == 0 { 1 } else { text.div_ceil(gso_size.into()) }
}

/// Which packet of several that were one.
struct Which<'a> {
    n: usize,
    count: usize,
    note: Option<&'a dyn Display>,
}

impl Display for Which<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n, count, note } = self;
        write!(f, "piece {n} of {count}")?;
        note.map_or(Ok(()), |note| write!(f, " | {note}"))
    }
}

impl<D: Device, W: Write + Send> Device for Capture<D, W> {
    fn recv(&self, now: Instant, frames: &mut Frames) -> io::Result<usize> {
        self.device.recv(now, frames)
    }

    fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        let sent = self.device.send(now, datagram);
        if let Some(writer) = &mut *self.lock() {
            let lost = sent.as_ref().err().map(|e| format!("not sent: {e}"));
            let note = lost.as_ref().map(|l| l as &dyn Display);
            self.write_sent(writer, self.time(now), datagram, note);
        }
        sent
    }

    fn settled(&self, now: Instant, inbound: &Inbound<'_>, received: &Received) {
        if let Some(writer) = &mut *self.lock() {
            self.write_settled(writer, self.time(now), inbound, &received.to_string());
        }
        self.device.settled(now, inbound, received);
    }

    fn deadline(&self) -> Option<Instant> {
        self.device.deadline()
    }

    fn capabilities(&self) -> Capabilities {
        self.device.capabilities()
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.device.readable()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use pcap_parser::pcapng::{Block, parse_block_le};
    use rustix::io::Errno;
    use tunstack_core::addr::{Endpoint, Quad};
    use tunstack_core::packet::{Checksum, Trust};
    use tunstack_core::tcp::state::State;
    use tunstack_core::trace::{TcpEvent, Verdict, What};
    use tunstack_core::wire::checksum::Sum;

    use super::super::pipe::Pipe;
    use super::*;

    const EPOCH: Duration = Duration::from_secs(1_700_000_000);

    fn captured() -> (Capture<Pipe, Vec<u8>>, Pipe) {
        let (a, b) = Pipe::pair(100).unwrap();
        (Capture::new(a, CaptureWriter::new(Vec::new(), &["pipe"]).unwrap(), EPOCH), b)
    }

    fn datagram(head: &[u8]) -> Datagram<'_> {
        Datagram { head, body: Body::EMPTY, gso_size: 0, checksum: Checksum::Complete, event: None }
    }

    /// Time in nanoseconds after the epoch, packet and comment.
    fn read(mut file: &[u8]) -> Vec<(u64, Vec<u8>, Option<String>)> {
        let mut packets = Vec::new();
        while !file.is_empty() {
            let (rest, block) = parse_block_le(file).unwrap();
            file = rest;
            if let Block::EnhancedPacket(b) = block {
                let nanos = u64::from(b.ts_high) << 32 | u64::from(b.ts_low);
                let comment = b.options.iter().find(|o| o.code.0 == 1);
                let comment = comment.map(|o| String::from_utf8(o.value[..o.len.into()].to_vec()).unwrap());
                packets.push((
                    nanos - 1_700_000_000_000_000_000,
                    b.data[..b.caplen as usize].to_vec(),
                    comment,
                ));
            }
        }
        packets
    }

    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.1
    //= type=test
    //= id=rfc1122-3.1-6
    #[test]
    fn both_ways_with_what_became_of_it() {
        let (capture, peer) = captured();
        capture.send(Instant::from_nanos(5), &datagram(b"out")).unwrap();
        let end = |port| Endpoint::new(Ipv4Addr::LOCALHOST.into(), port);
        let event = TcpEvent {
            quad: Quad { local: end(1), remote: end(2) },
            state: State::Listen,
            change: None,
            what: What::Received(Verdict::Request),
            variables: None,
        };
        let fates = [
            (Received::Tcp(Some(event)), Some("connection request taken | LISTEN")),
            (Received::Tcp(None), None),
            (Received::Dropped("too short"), Some("dropped: too short")),
            (Received::Fragment, Some("fragment: kept until the rest has come")),
            (Received::Icmp("echo request"), Some("ICMP echo request")),
            (Received::Udp("no socket"), Some("UDP datagram: no socket")),
        ];
        let mut frames = Frames::new(fates.len(), 100);
        for n in 0..fates.len() {
            peer.send(Instant::ZERO, &datagram(&[u8::try_from(n).unwrap()])).unwrap();
        }
        assert_eq!(capture.recv(Instant::from_nanos(7), &mut frames).unwrap(), fates.len());
        for (inbound, (received, _)) in frames.iter().zip(&fates) {
            capture.settled(Instant::from_nanos(7), &inbound, received);
        }
        let mut wanted = vec![(5, b"out".to_vec(), None)];
        for (n, (_, comment)) in (0..).zip(fates) {
            wanted.push((7, vec![n], comment.map(str::to_owned)));
        }
        let file = capture.finish().unwrap().unwrap();
        assert_eq!(read(&file), wanted);
        // The device goes on.
        assert_eq!(capture.finish().unwrap(), None);
        capture.send(Instant::ZERO, &datagram(b"more")).unwrap();
        assert_eq!(peer.recv(Instant::ZERO, &mut frames).unwrap(), 0, "the frames are full");
        frames.clear();
        assert_eq!(peer.recv(Instant::ZERO, &mut frames).unwrap(), 2);
    }

    /// IPv4 and UDP headers for 11 octets of text, with the sum of the pseudo-header.
    const HEAD: [u8; 28] =
        [0x45, 0, 0, 39, 0, 9, 0x40, 0, 64, 17, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0, 1, 0, 2, 0, 19, 6, 42];

    /// The texts of UDP datagrams whose checksums are right, and their comments.
    fn texts(file: &[u8]) -> Vec<(Vec<u8>, Option<String>)> {
        let text = |packet: &[u8]| {
            let len = u16::from_be_bytes([packet[24], packet[25]]);
            let sum = Sum::new().add(&packet[12..20]).add(&[0, 17]).add(&len.to_be_bytes());
            assert_eq!(sum.add(&packet[20..]).finish(), 0, "{packet:?}");
            packet[28..].to_vec()
        };
        read(file).into_iter().map(|(_, packet, comment)| (text(&packet), comment)).collect()
    }

    #[test]
    fn large_packets_are_whole_or_cut_and_always_summed() {
        for split in [false, true] {
            let (capture, _peer) = captured();
            let capture = capture.split(split);
            let checksum = Checksum::Partial { start: 20, offset: 6 };
            let body = Body::from_slice(b"hello world");
            let now = Instant::ZERO;
            capture.send(now, &Datagram { head: &HEAD, body, gso_size: 6, checksum, event: None }).unwrap();
            let arrived = [&HEAD[..], b"hello world"].concat();
            let inbound = Inbound { trust: Trust::Trusted, gso_size: 6, ..Inbound::plain(&arrived) };
            capture.settled(now, &inbound, &Received::Udp("delivered"));
            let single = Inbound { gso_size: 0, ..inbound };
            capture.settled(now, &single, &Received::Udp("delivered"));
            let all = || b"hello world".to_vec();
            let said = |what: &str| Some(what.to_owned());
            let wanted = if split {
                vec![
                    (b"hello ".to_vec(), said("piece 1 of 2")),
                    (b"world".to_vec(), said("piece 2 of 2")),
                    (b"hello ".to_vec(), said("UDP datagram: delivered | piece 1 of 2")),
                    (b"world".to_vec(), said("UDP datagram: delivered | piece 2 of 2")),
                    (all(), said("UDP datagram: delivered")),
                ]
            } else {
                let delivered = said("UDP datagram: delivered");
                vec![(all(), None), (all(), delivered.clone()), (all(), delivered)]
            };
            assert_eq!(texts(&capture.finish().unwrap().unwrap()), wanted);
        }
    }

    #[test]
    fn what_nobody_can_cut_is_written_as_it_is() {
        let (capture, _peer) = captured();
        let capture = capture.split(true);
        let body = Body::from_slice(b"hello world");
        let strange = Datagram { body, gso_size: 6, ..datagram(b"no header") };
        assert_eq!(capture.send(Instant::ZERO, &strange).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let packets = read(&capture.finish().unwrap().unwrap());
        assert_eq!(packets.len(), 1);
        assert_eq!(packets[0].1, b"no headerhello world");
        assert!(packets[0].2.as_ref().unwrap().starts_with("not sent: "), "{packets:?}");
    }

    #[test]
    fn a_packet_that_the_device_refused_says_so() {
        let (capture, _peer) = captured();
        let e = capture.send(Instant::ZERO, &datagram(&[0; 101])).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(Errno::MSGSIZE.raw_os_error()));
        let file = capture.finish().unwrap().unwrap();
        let comment = read(&file)[0].2.clone().unwrap();
        assert!(comment.starts_with("not sent: Message too long"), "{comment}");
    }

    /// Takes the head of a file, then nothing.
    struct Broken(bool);

    impl Write for Broken {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) { Err(Errno::NOSPC.into()) } else { Ok(octets.len()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_broken_capture_does_not_stop_the_device() {
        let (a, peer) = Pipe::pair(100).unwrap();
        let capture = Capture::new(a, CaptureWriter::new(Broken(false), &["pipe"]).unwrap(), EPOCH);
        assert!(capture.error().is_none());
        capture.send(Instant::ZERO, &datagram(b"one")).unwrap();
        assert_eq!(capture.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(capture.error().unwrap().kind(), io::ErrorKind::StorageFull);
        capture.send(Instant::ZERO, &datagram(b"two")).unwrap();
        assert_eq!(peer.recv(Instant::ZERO, &mut Frames::new(4, 100)).unwrap(), 2);
        let Err(e) = capture.finish() else { panic!("it is broken") };
        assert_eq!(e.kind(), io::ErrorKind::StorageFull);
    }
}
