//! An impaired link around any device, in real time: what the simulator does to packets, on a real path.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tunstack_core::packet::{Body, Checksum, Datagram, Inbound, Received, Sent, Trust};
use tunstack_core::time::Instant;

use super::{Capabilities, Device, Frames, segment};
use crate::sim::clock::Clock;
use crate::sim::link::{Link, LinkConfig, LinkStats};

/// How many packets a direction holds back at the most, so that a delay without a queue limit cannot take
/// all memory. What comes on top is lost.
pub const MAX_HELD: usize = 65_536;

/// How many batches one call takes from the device at the most.
const MAX_BATCHES: usize = 8;

/// A device with an impaired link before it, one configuration a direction.
///
/// It has no thread: packets that are held back leave when [`recv`](Device::recv) or
/// [`send`](Device::send) is called at or after their time, and [`deadline`](Device::deadline) says when
/// that is. Offloads are switched off on the way out, and what a device has joined is taken apart on the way
/// in, because a link loses packets and not bursts of them.
#[derive(Debug)]
pub struct Impair<D> {
    device: D,
    ways: Mutex<Ways>,
}

#[derive(Debug)]
struct Ways {
    out: Way<Outbound>,
    inward: Way<Arrived>,
    /// What the device gave last, before the link takes it.
    scratch: Frames,
    send_errors: u64,
}

/// One direction: the link, and what is under way on it.
#[derive(Debug)]
struct Way<M> {
    link: Link,
    held: Clock<Held<M>>,
    overflow: u64,
}

#[derive(Debug)]
struct Held<M> {
    packet: Vec<u8>,
    about: M,
}

/// What goes with a leaving packet.
#[derive(Clone, Copy, Debug)]
struct Outbound {
    event: Option<Sent>,
}

/// What goes with an arriving one.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    trust: Trust,
}

impl<M: Copy> Way<M> {
    fn new(config: LinkConfig, seed: u64) -> Self {
        Self { link: Link::with_seed(config, seed), held: Clock::new(), overflow: 0 }
    }

    /// Offers a packet to the link. `about` says what goes with it, given whether it was corrupted.
    fn offer(&mut self, now: Instant, packet: Vec<u8>, about: impl FnOnce(bool) -> M) {
        let fate = self.link.decide(now, packet.len(), None);
        let about = about(fate.flipped.is_some());
        for (at, packet) in fate.apply(packet) {
            if self.held.len() >= MAX_HELD {
                self.overflow += 1;
                continue;
            }
            self.held.schedule(at, Held { packet, about });
        }
    }
}

/// What an [`Impair`] did, both ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ImpairStats {
    /// From us to the device.
    pub out: LinkStats,
    /// From the device to us.
    pub inward: LinkStats,
    /// Lost beyond that: [`MAX_HELD`] packets were held already, or the caller's frames were too small.
    pub overflow: u64,
    /// Held packets that the device did not take when their time came.
    pub send_errors: u64,
}

impl<D: Device> Impair<D> {
    /// Puts a link before `device`: `out` for what we send, `inward` for what comes. The same seed and the
    /// same packets have the same fates; `inward` draws from the complement of `seed`.
    ///
    /// # Panics
    /// If a rate is 0.
    pub fn new(device: D, out: LinkConfig, inward: LinkConfig, seed: u64) -> Self {
        let capabilities = device.capabilities();
        let room = (capabilities.max_gso as usize).max(usize::from(u16::MAX));
        let ways = Ways {
            out: Way::new(out, seed),
            inward: Way::new(inward, !seed),
            scratch: Frames::new(16, room),
            send_errors: 0,
        };
        Self { device, ways: Mutex::new(ways) }
    }

    /// The device behind the link.
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// What the link did so far.
    pub fn stats(&self) -> ImpairStats {
        let ways = self.lock();
        ImpairStats {
            out: *ways.out.link.stats(),
            inward: *ways.inward.link.stats(),
            overflow: ways.out.overflow + ways.inward.overflow,
            send_errors: ways.send_errors,
        }
    }

    /// Treats later packets otherwise.
    ///
    /// # Panics
    /// If a rate is 0.
    pub fn set_links(&self, out: LinkConfig, inward: LinkConfig) {
        let mut ways = self.lock();
        ways.out.link.set_config(out);
        ways.inward.link.set_config(inward);
    }

    fn lock(&self) -> MutexGuard<'_, Ways> {
        // A panic elsewhere leaves packets and counters that are as good as before it.
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what is due. A packet that the device does not take is lost, as on any network.
    fn release(&self, ways: &mut Ways, now: Instant) {
        while let Some(held) = ways.out.held.pop(now) {
            let datagram = Datagram {
                head: &held.packet,
                body: Body::EMPTY,
                gso_size: 0,
                checksum: Checksum::Complete,
                event: held.about.event.as_ref(),
            };
            ways.send_errors += u64::from(self.device.send(now, &datagram).is_err());
        }
    }
}

fn in_one_piece(datagram: &Datagram<'_>) -> Vec<u8> {
    let mut packet = Vec::with_capacity(datagram.len());
    packet.extend_from_slice(datagram.head);
    datagram.body.pieces().for_each(|piece| packet.extend_from_slice(piece));
    packet
}

impl<D: Device> Device for Impair<D> {
    fn recv(&self, now: Instant, frames: &mut Frames) -> io::Result<usize> {
        let mut ways = self.lock();
        self.release(&mut ways, now);
        let Ways { inward, scratch, .. } = &mut *ways;
        // A flood must not keep the caller here: what is left shows as readable.
        for _ in 0..MAX_BATCHES {
            scratch.clear();
            let taken = self.device.recv(now, scratch)?;
            for arrived in scratch.iter() {
                segment::take_apart(&arrived, |packet| {
                    inward.offer(now, in_one_piece(packet), |corrupted| Arrived {
                        // What the device vouched for is no longer what arrives.
                        trust: if corrupted { Trust::Verify } else { arrived.trust },
                    });
                });
            }
            if taken == 0 {
                break;
            }
        }
        let mut count = 0;
        while !frames.is_full()
            && let Some(held) = inward.held.pop(now)
        {
            let added = frames.fill::<io::Error>(|room| {
                let len = held.packet.len();
                Ok(room.get_mut(..len).map(|slot| {
                    slot.copy_from_slice(&held.packet);
                    len
                }))
            })?;
            if added && let Some(frame) = frames.last_mut() {
                frame.trust = held.about.trust;
                count += 1;
            } else {
                inward.overflow += 1;
            }
        }
        Ok(count)
    }

    /// # Errors
    /// None for this packet: once it is on the link, nobody hears what becomes of it. Only what cannot be cut,
    /// and yet was to be, does not get there.
    fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
        let mut ways = self.lock();
        segment::cut(datagram, |packet| {
            ways.out.offer(now, in_one_piece(packet), |_| Outbound { event: datagram.event.copied() });
            Ok(())
        })?;
        self.release(&mut ways, now);
        Ok(())
    }

    fn settled(&self, now: Instant, inbound: &Inbound<'_>, received: &Received) {
        self.device.settled(now, inbound, received);
    }

    fn deadline(&self) -> Option<Instant> {
        let ways = self.lock();
        [ways.out.held.next_at(), ways.inward.held.next_at(), self.device.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { checksum_offload: false, max_gso: 0, ..self.device.capabilities() }
    }

    fn readable(&self) -> BorrowedFd<'_> {
        self.device.readable()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::fs::File;
    use std::os::fd::AsFd;

    use tunstack_core::wire::checksum::Sum;
    use tunstack_core::wire::{ip, udp};

    use super::*;

    /// A device whose packets lie in queues, with a descriptor that nobody polls here.
    struct Queues {
        sent: Mutex<Vec<(Instant, Vec<u8>)>>,
        waiting: Mutex<VecDeque<Vec<u8>>>,
        descriptor: File,
    }

    impl Queues {
        fn new(waiting: impl IntoIterator<Item = Vec<u8>>) -> Self {
            Self {
                sent: Mutex::default(),
                waiting: Mutex::new(waiting.into_iter().collect()),
                descriptor: File::open("/dev/null").unwrap(),
            }
        }
    }

    impl Device for Queues {
        fn recv(&self, _: Instant, frames: &mut Frames) -> io::Result<usize> {
            let mut count = 0;
            let mut waiting = self.waiting.lock().unwrap();
            while frames.fill::<io::Error>(|room| {
                Ok(waiting.pop_front().map(|p| {
                    room[..p.len()].copy_from_slice(&p);
                    p.len()
                }))
            })? {
                let frame = frames.last_mut().unwrap();
                (frame.trust, frame.gso_size) = (Trust::Trusted, 7);
                count += 1;
            }
            Ok(count)
        }

        fn send(&self, now: Instant, datagram: &Datagram<'_>) -> io::Result<()> {
            let mut packet = vec![0; datagram.len()];
            datagram.copy_to(&mut packet).unwrap();
            if packet == [0xee] {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            self.sent.lock().unwrap().push((now, packet));
            Ok(())
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities { mtu: 1500, checksum_offload: true, max_gso: 65_000 }
        }

        fn readable(&self) -> BorrowedFd<'_> {
            self.descriptor.as_fd()
        }
    }

    fn datagram<'a>(head: &'a [u8], body: &'a [u8]) -> Datagram<'a> {
        let body = Body::from_slice(body);
        Datagram { head, body, gso_size: 0, checksum: Checksum::Complete, event: None }
    }

    const MS: fn(u64) -> Instant = Instant::from_millis;

    #[test]
    fn what_is_sent_leaves_when_its_time_has_come() {
        let device = Impair::new(Queues::new([]), "10ms".parse().unwrap(), LinkConfig::PERFECT, 1);
        let mut frames = Frames::new(4, 100);
        assert_eq!(device.deadline(), None);
        device.send(MS(0), &datagram(&[1, 2], &[3])).unwrap();
        device.send(MS(4), &datagram(&[4], &[])).unwrap();
        assert_eq!(device.deadline(), Some(MS(10)));
        assert_eq!(device.recv(MS(9), &mut frames).unwrap(), 0);
        assert!(device.device().sent.lock().unwrap().is_empty());
        assert_eq!(device.recv(MS(11), &mut frames).unwrap(), 0);
        assert_eq!(*device.device().sent.lock().unwrap(), [(MS(11), vec![1, 2, 3])]);
        assert_eq!(device.deadline(), Some(MS(14)));
        device.send(MS(20), &datagram(&[5], &[])).unwrap();
        assert_eq!(device.device().sent.lock().unwrap()[1], (MS(20), vec![4]));
        assert_eq!(device.stats().out.delivered, 3);
    }

    #[test]
    fn what_comes_is_handed_over_when_its_time_has_come_and_as_there_is_room() {
        let packets = (0..5).map(|i| vec![i; 20]);
        let device = Impair::new(Queues::new(packets), LinkConfig::PERFECT, "10ms".parse().unwrap(), 1);
        let mut frames = Frames::new(3, 100);
        assert_eq!(device.recv(MS(0), &mut frames).unwrap(), 0);
        assert!(device.device().waiting.lock().unwrap().is_empty(), "the device is drained at once");
        assert_eq!(device.deadline(), Some(MS(10)));
        assert_eq!(device.recv(MS(10), &mut frames).unwrap(), 3);
        assert_eq!(frames.iter().map(|i| i.packet[0]).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(frames.iter().all(|i| i.trust == Trust::Trusted && i.gso_size == 0));
        frames.clear();
        assert_eq!(device.recv(MS(10), &mut frames).unwrap(), 2);
        assert_eq!(device.deadline(), None);
    }

    /// A UDP datagram over IPv6 with a partial checksum and this text.
    fn unfinished(text: &[u8]) -> Vec<u8> {
        let ends = [[0xfd; 16], [0xfe; 16]].concat();
        let len = (8 + text.len()) as u8;
        let sum = Sum::new().add(&ends).add(&[0, 0, 0, len, 0, 0, 0, 17]).partial().to_be_bytes();
        let ip = [&[0x60, 0, 0, 0, 0, len, 17, 64], &ends[..]].concat();
        [&ip[..], &[0, 1, 0, 2, 0, len, sum[0], sum[1]], text].concat()
    }

    #[test]
    fn what_the_device_joined_meets_the_link_in_pieces() {
        let joined = unfinished(b"one and two and three");
        let delayed = "10ms".parse().unwrap();
        let device = Impair::new(Queues::new([joined]), LinkConfig::PERFECT, delayed, 1);
        let mut frames = Frames::new(9, 100);
        assert_eq!(device.recv(MS(0), &mut frames).unwrap(), 0);
        assert_eq!(device.recv(MS(10), &mut frames).unwrap(), 3);
        assert_eq!(device.stats().inward.delivered, 3);
        for (inbound, text) in frames.iter().zip([b"one and", b" two an", b"d three"]) {
            let ip = ip::parse(inbound.packet).unwrap();
            let (_, carried) = udp::parse(&ip.header, ip.payload, Trust::Verify).unwrap();
            assert_eq!((carried, inbound.gso_size), (&text[..], 0));
        }
    }

    #[test]
    fn what_is_cut_on_the_way_out_meets_the_link_in_pieces() {
        let device = Impair::new(Queues::new([]), "1ms".parse().unwrap(), LinkConfig::PERFECT, 1);
        let whole = unfinished(b"four five");
        let (head, text) = whole.split_at(48);
        let checksum = Checksum::Partial { start: 40, offset: 6 };
        device.send(MS(0), &Datagram { gso_size: 5, checksum, ..datagram(head, text) }).unwrap();
        device.recv(MS(1), &mut Frames::new(1, 49)).unwrap();
        let sent = device.device().sent.lock().unwrap();
        assert_eq!(sent.len(), 2);
        for ((_, packet), text) in sent.iter().zip([&b"four "[..], b"five"]) {
            let ip = ip::parse(packet).unwrap();
            assert_eq!(udp::parse(&ip.header, ip.payload, Trust::Verify).unwrap().1, text);
        }
    }

    #[test]
    fn a_corrupted_packet_is_no_longer_trusted() {
        let device =
            Impair::new(Queues::new([vec![0; 20]]), LinkConfig::PERFECT, "corrupt=100%".parse().unwrap(), 1);
        let mut frames = Frames::new(3, 100);
        assert_eq!(device.recv(MS(0), &mut frames).unwrap(), 1);
        let inbound = frames.iter().next().unwrap();
        assert_eq!(inbound.trust, Trust::Verify);
        assert_eq!(inbound.packet.iter().map(|o| o.count_ones()).sum::<u32>(), 1);
    }

    #[test]
    fn no_offload_on_a_link_that_loses_packets() {
        let device = Impair::new(Queues::new([]), LinkConfig::PERFECT, LinkConfig::PERFECT, 1);
        let c = device.capabilities();
        assert_eq!((c.mtu, c.checksum_offload, c.max_gso), (1500, false, 0));
    }

    #[test]
    fn what_cannot_be_kept_or_sent_is_counted() {
        let config = "1ms,dup=100%".parse().unwrap();
        let device = Impair::new(Queues::new([vec![1; 50]]), config, LinkConfig::PERFECT, 1);
        assert_eq!(device.recv(MS(0), &mut Frames::new(1, 49)).unwrap(), 0);
        assert_eq!(device.stats().overflow, 1);
        device.send(MS(0), &datagram(&[0xee], &[])).unwrap();
        device.recv(MS(1), &mut Frames::new(1, 49)).unwrap();
        assert_eq!(device.stats().send_errors, 2);
        for _ in 0..=MAX_HELD / 2 {
            device.send(MS(1), &datagram(&[1], &[])).unwrap();
        }
        assert_eq!(device.stats().overflow, 3);
    }
}
