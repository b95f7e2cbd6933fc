//! Two devices back to back: what one end sends, the other receives. No privileges, no kernel network.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use tunstack_core::packet::{Checksum, Datagram, Lent, Trust};
use tunstack_core::time::Instant;

use super::{Capabilities, Device, Frames, segment};

/// How many packets a pipe holds in one direction before it drops new ones.
const QUEUE: usize = 1024;

/// One end of a pipe.
#[derive(Debug)]
pub struct Pipe {
    incoming: Arc<Lane>,
    outgoing: Arc<Lane>,
    mtu: u16,
    /// What is left to the device stays left.
    offload: bool,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    queue: Mutex<Queue>,
    /// Its count is not 0 exactly while there is something to receive or to notice.
    ready: OwnedFd,
}

#[derive(Debug, Default)]
struct Queue {
    packets: VecDeque<Crossing>,
    /// Buffers of packets that were received, to be used again.
    spare: Vec<(Vec<u8>, Vec<Lent>)>,
    dropped: u64,
    closed: bool,
}

/// A packet, and what the other end is told of it.
#[derive(Debug)]
struct Crossing {
    packet: Vec<u8>,
    /// The rest of it, where that is long: by reference to where it lies with the sender.
    text: Vec<Lent>,
    trust: Trust,
    gso_size: u16,
}

impl Lane {
    fn new() -> io::Result<Self> {
        let ready = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { queue: Mutex::default(), ready })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A queue is whole between any two statements, so a panic elsewhere does not spoil it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self) -> io::Result<()> {
        loop {
            match rustix::io::write(&self.ready, &1u64.to_ne_bytes()) {
                // The count is full: it is readable as it is.
                Ok(_) | Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn quiet(&self) -> io::Result<()> {
        loop {
            match rustix::io::read(&self.ready, &mut [0u8; 8]) {
                Ok(_) | Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Pipe {
    /// Two ends of one pipe that carries packets of up to `mtu` octets.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn pair(mtu: u16) -> io::Result<(Self, Self)> {
        Self::with(mtu, false)
    }

    /// [`pair`](Self::pair) as between devices with offload, where no packet is on a wire: partial checksums
    /// and packets of up to 65,535 octets to be cut cross as they are, so that nobody sums or cuts them, and of
    /// long text nothing crosses but references to where it lies with the sender. What
    /// they would be cut into is of `mtu` octets at the most, or the packet is refused.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn offloading(mtu: u16) -> io::Result<(Self, Self)> {
        Self::with(mtu, true)
    }

    fn with(mtu: u16, offload: bool) -> io::Result<(Self, Self)> {
        let (there, back) = (Arc::new(Lane::new()?), Arc::new(Lane::new()?));
        let one = Self { incoming: Arc::clone(&back), outgoing: Arc::clone(&there), mtu, offload };
        let other = Self { incoming: there, outgoing: back, mtu, offload };
        Ok((one, other))
    }

    /// How many packets this end sent that were dropped because the other end did not keep up.
    pub fn dropped(&self) -> u64 {
        self.outgoing.lock().dropped
    }

    /// Sends a packet as it is.
    fn put(&self, datagram: &Datagram<'_>) -> io::Result<()> {
        let size = usize::from(datagram.gso_size);
        let large = size != 0 && datagram.body.len() > size;
        let on_the_link = if large { datagram.head.len() + size } else { datagram.len() };
        if on_the_link > usize::from(self.mtu) || datagram.len() > usize::from(u16::MAX) {
            return Err(Errno::MSGSIZE.into());
        }
        let trust = match datagram.checksum {
            Checksum::Complete => Trust::Verify,
            Checksum::Partial { .. } => Trust::Trusted,
        };
        let gso_size = if large { datagram.gso_size } else { 0 };
        let mut queue = self.outgoing.lock();
        if queue.closed {
            return Err(gone());
        }
        if queue.packets.len() >= QUEUE {
            queue.dropped += 1;
            return Err(Errno::NOBUFS.into());
        }
        let (mut packet, mut text) = queue.spare.pop().unwrap_or_default();
        packet.extend_from_slice(datagram.head);
        // What is to be verified is read, and so may as well be copied.
        if trust == Trust::Verify || !datagram.body.lend(&mut text) {
            datagram.body.pieces().for_each(|piece| packet.extend_from_slice(piece));
        }
        let was_empty = queue.packets.is_empty();
        queue.packets.push_back(Crossing { packet, text, trust, gso_size });
        if was_empty { self.outgoing.signal() } else { Ok(()) }
    }
}

impl Device for Pipe {
    fn recv(&self, _now: Instant, frames: &mut Frames) -> io::Result<usize> {
        let mut queue = self.incoming.lock();
        let mut count = 0;
        while !queue.packets.is_empty() {
            let mut about = (Trust::Verify, 0);
            let mut text = Vec::new();
            let filled = frames.fill(|buffer| {
                let Some(came) = queue.packets.pop_front() else { return Ok::<_, io::Error>(None) };
                let Crossing { mut packet, text: lent, trust, gso_size } = came;
                (about, text) = ((trust, gso_size), lent);
                let len = packet.len().min(buffer.len());
                buffer[..len].copy_from_slice(&packet[..len]);
                packet.clear();
                queue.spare.push((packet, Vec::new()));
                Ok(Some(len))
            })?;
            if !filled {
                return Ok(count);
            }
            if let Some(frame) = frames.last_mut() {
                (frame.trust, frame.gso_size) = about;
            }
            frames.append(&mut text);
            if let Some((_, spare)) = queue.spare.last_mut() {
                *spare = text;
            }
            count += 1;
        }
        if queue.closed {
            // It stays readable: whoever waits comes here, however often it looks.
            return if count > 0 { Ok(count) } else { Err(gone()) };
        }
        self.incoming.quiet()?;
        Ok(count)
    }

    fn send(&self, _now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        if self.offload { self.put(datagram) } else { segment::cut(datagram, |packet| self.put(packet)) }
    }

    fn capabilities(&self) -> Capabilities {
        let max_gso = if self.offload { u32::from(u16::MAX) } else { 0 };
        Capabilities { mtu: self.mtu, checksum_offload: self.offload, max_gso }
    }

    fn takes_references(&self) -> bool {
        self.offload
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.incoming.ready.as_fd()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for lane in [&self.incoming, &self.outgoing] {
            lane.lock().closed = true;
        }
        if let Err(e) = self.outgoing.signal() {
            tracing::warn!("cannot wake the other end of a pipe: {e}");
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the other end of the pipe is gone")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::net::Ipv4Addr;

    use tunstack_core::addr::{Endpoint, Family, Prefix};
    use tunstack_core::config::{Config, Offload};
    use tunstack_core::error::Error;
    use tunstack_core::packet::Body;
    use tunstack_core::stack::Stack;

    use super::*;

    const NOW: Instant = Instant::ZERO;

    fn datagram<'a>(head: &'a [u8], text: &[&'a [u8]]) -> Datagram<'a> {
        let mut body = Body::EMPTY;
        assert!(text.iter().all(|piece| body.push(piece)));
        Datagram { head, body, gso_size: 0, checksum: Checksum::Complete, event: None }
    }

    fn is_readable(pipe: &Pipe) -> bool {
        let zero = Timespec::try_from(Duration::ZERO).unwrap();
        poll(&mut [PollFd::from_borrowed_fd(pipe.readable(), PollFlags::IN)], Some(&zero)).unwrap() == 1
    }

    fn received(pipe: &Pipe, room: usize) -> Vec<Vec<u8>> {
        let mut frames = Frames::new(room, 2000);
        let count = pipe.recv(NOW, &mut frames).unwrap();
        assert_eq!(count, frames.len());
        frames.iter().map(|f| f.packet.to_vec()).collect()
    }

    #[test]
    fn packets_cross_in_order_and_whole() {
        let (a, b) = Pipe::pair(1500).unwrap();
        assert!(!is_readable(&a) && !is_readable(&b));
        a.send(NOW, &datagram(b"one", &[])).unwrap();
        a.send(NOW, &datagram(b"t", &[b"w", b"o"])).unwrap();
        assert!(is_readable(&b) && !is_readable(&a));
        assert_eq!(received(&b, 8), [b"one".to_vec(), b"two".to_vec()]);
        assert!(!is_readable(&b));
        assert_eq!(received(&b, 8), Vec::<Vec<u8>>::new());
        b.send(NOW, &datagram(b"back", &[])).unwrap();
        assert_eq!(received(&a, 8), [b"back".to_vec()]);
    }

    #[test]
    fn it_stays_readable_while_packets_wait() {
        let (a, b) = Pipe::pair(1500).unwrap();
        (0..3).for_each(|n| a.send(NOW, &datagram(&[n], &[])).unwrap());
        assert_eq!(received(&b, 2), [[0], [1]]);
        assert!(is_readable(&b));
        assert_eq!(received(&b, 2), [[2]]);
        assert!(!is_readable(&b));
    }

    #[test]
    fn what_it_cannot_do_is_done_before() {
        let (a, b) = Pipe::pair(50).unwrap();
        // IPv4 and UDP headers, with no checksum.
        let head =
            [0x45, 0, 0, 36, 0, 9, 0x40, 0, 64, 17, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0, 1, 0, 2, 0, 16, 0, 0];
        let joined = Datagram { gso_size: 5, ..datagram(&head, &[b"eight", b"ball"]) };
        a.send(NOW, &joined).unwrap();
        let texts: Vec<_> = received(&b, 8).iter().map(|packet| packet[28..].to_vec()).collect();
        assert_eq!(texts, [&b"eight"[..], b"ball"]);
    }

    #[test]
    fn with_offload_what_is_left_to_do_stays_so() {
        let (a, b) = Pipe::offloading(30).unwrap();
        assert_eq!(a.capabilities(), Capabilities { mtu: 30, checksum_offload: true, max_gso: 65_535 });
        let text = [7; 50];
        let partial = Checksum::Partial { start: 20, offset: 6 };
        let send = |gso_size, checksum, text: &[u8]| {
            let sent = a.send(NOW, &Datagram { gso_size, checksum, ..datagram(&[1; 20], &[text]) });
            sent.map_err(|e| e.raw_os_error())
        };
        send(10, partial, &text).unwrap();
        send(10, partial, &text[..10]).unwrap();
        send(0, Checksum::Complete, &text[..10]).unwrap();
        let mut frames = Frames::new(9, 100);
        assert_eq!(b.recv(NOW, &mut frames).unwrap(), 3);
        let seen: Vec<_> = frames.iter().map(|i| (i.packet.len(), i.trust, i.gso_size)).collect();
        assert_eq!(seen, [(70, Trust::Trusted, 10), (30, Trust::Trusted, 0), (30, Trust::Verify, 0)]);
        // A piece that is larger than the link takes, and a whole that no header can tell.
        let refused = Err(Some(Errno::MSGSIZE.raw_os_error()));
        assert_eq!(send(11, partial, &text), refused);
        assert_eq!(send(0, partial, &text), refused);
        assert_eq!(send(10, partial, &[0; 65_516]), refused);
        assert_eq!(send(10, partial, &[0; 65_515]), Ok(()));
    }

    /// Two stacks, and what one writes to the other: how long each packet was in its slot, and what of it came by reference.
    fn crossed(written: &[u8], frames: impl Fn() -> Frames) -> Vec<(usize, usize)> {
        let (near, far) = Pipe::offloading(1500).unwrap();
        let host = |n: u8, lends| {
            let addresses = vec![Prefix::new(Ipv4Addr::new(10, 7, 0, n).into(), 24)];
            let offload = Offload { checksum: true, segmentation: 65_535 };
            Stack::new(Config { addresses, offload, lends, ..Config::default() }, [n; 32])
        };
        let (mut client, mut server) = (host(1, near.takes_references()), host(2, true));
        let (listener, socket) = (server.tcp_socket(Family::V4), client.tcp_socket(Family::V4));
        let at = Endpoint::new(Ipv4Addr::new(10, 7, 0, 2).into(), 80);
        server.bind(listener, at).unwrap();
        server.listen(listener, 1).unwrap();
        assert_eq!(client.connect(socket, at, NOW), Err(Error::InProgress));
        let (mut seen, mut text, mut sent) = (Vec::new(), Vec::new(), 0);
        let (mut accepted, mut now) = (None, NOW);
        while text.len() < written.len() {
            now += tunstack_core::time::Duration::from_millis(1);
            sent += client.try_write(socket, &written[sent..], now).unwrap_or(0);
            for (from, to, stack) in [(&near, &far, 0), (&far, &near, 1)] {
                let (sender, receiver) =
                    if stack == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
                sender.handle_timeout(now);
                while let Some(datagram) = sender.poll_transmit(now) {
                    from.send(now, &datagram).unwrap();
                }
                let mut frames = frames();
                while to.recv(now, &mut frames).unwrap() > 0 {
                    for inbound in frames.iter() {
                        let lent = inbound.lent.iter().map(|lent| lent.octets().len()).sum();
                        seen.push((inbound.packet.len(), lent));
                        receiver.receive(now, inbound);
                    }
                    frames.clear();
                }
            }
            accepted = accepted.or_else(|| server.try_accept(listener).ok());
            while let Some(bytes) = accepted.and_then(|id| server.try_read_bytes(id, usize::MAX).ok()) {
                text.extend_from_slice(&bytes);
            }
        }
        assert!(text == written);
        seen
    }

    #[test]
    fn long_text_crosses_by_reference_for_who_takes_it_so() {
        let written: Vec<u8> = (0..500_000u32).map(|n| (n ^ n >> 8) as u8).collect();
        let seen = crossed(&written, || Frames::new(8, 0xffff).with_references());
        let lent: usize = seen.iter().map(|(_, lent)| lent).sum();
        assert!(lent > 450_000, "{lent}");
        assert!(seen.iter().all(|&(len, lent)| lent == 0 || len < 100), "{seen:?}");
        let whole = crossed(&written, || Frames::new(8, 0xffff));
        assert!(whole.iter().all(|(_, lent)| *lent == 0), "{whole:?}");
        assert_eq!(seen.iter().map(|(len, lent)| len + lent).collect::<Vec<_>>(), {
            whole.iter().map(|(len, _)| *len).collect::<Vec<_>>()
        });
        let (one, _) = Pipe::pair(1500).unwrap();
        assert!(!one.takes_references(), "what is to be verified is copied");
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (a, b) = Pipe::pair(1500).unwrap();
        (0..QUEUE).for_each(|_| a.send(NOW, &datagram(b"x", &[])).unwrap());
        let e = a.send(NOW, &datagram(b"y", &[])).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(Errno::NOBUFS.raw_os_error()));
        assert_eq!((a.dropped(), b.dropped()), (1, 0));
        assert_eq!(received(&b, QUEUE + 1).len(), QUEUE);
        a.send(NOW, &datagram(b"z", &[])).unwrap();
        assert_eq!(received(&b, 8), [b"z"]);
    }

    #[test]
    fn too_large_is_refused() {
        let (a, b) = Pipe::pair(100).unwrap();
        let e = a.send(NOW, &datagram(&[0; 60], &[&[0; 41]])).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(Errno::MSGSIZE.raw_os_error()));
        a.send(NOW, &datagram(&[0; 60], &[&[0; 40]])).unwrap();
        assert_eq!(received(&b, 8).len(), 1);
    }

    #[test]
    fn a_lost_end_is_noticed_after_what_it_sent() {
        let (a, b) = Pipe::pair(1500).unwrap();
        a.send(NOW, &datagram(b"last words", &[])).unwrap();
        drop(a);
        assert_eq!(received(&b, 8), [b"last words"]);
        assert!(is_readable(&b));
        let e = b.recv(NOW, &mut Frames::new(1, 100)).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(b.send(NOW, &datagram(b"x", &[])).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
