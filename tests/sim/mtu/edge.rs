//! What lies between a host and its link: a card that cuts and joins, and a router whose next link takes less.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use tunstack::core::packet::{Datagram, Received, Trust};
use tunstack::core::seq::Seq;
use tunstack::core::time::{Duration, Instant};
use tunstack::core::wire::checksum::Sum;
use tunstack::core::wire::icmp::Message;
use tunstack::core::wire::ip::{self, protocol};
use tunstack::core::wire::{Flags, tcp};
use tunstack::device::segment;
use tunstack::sim::host::{Host, Outgoing, Peer};

/// How long a card waits for what it could join.
const WAIT: Duration = Duration::from_micros(100);

/// The longest packet that a card makes.
const LONGEST: usize = 0xffff;

/// A host, its card and the router before it.
pub(super) struct Edge {
    pub(super) host: Host,
    joins: bool,
    held: Option<Held>,
    /// How many packets it has joined to others.
    pub(super) joined: u64,
    /// How many it has cut.
    runs: Rc<Cell<u64>>,
    router: Option<Router>,
    pub(super) seen: Seen,
}

/// A router behind whose link packets have to be smaller from some time on.
pub(super) struct Router {
    /// Octets of text that it passes before.
    pub(super) after: u64,
    /// Octets of a packet that it passes then.
    pub(super) mtu: u16,
    passed: u64,
    complaints: VecDeque<Vec<u8>>,
}

/// What left the host, over the link: sizes of packets with text.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Seen {
    /// The path MTU that a router has told it.
    pub(super) told: Option<u16>,
    /// The longest before it was told.
    pub(super) longest_before: usize,
    /// The longest since.
    pub(super) longest_since: usize,
}

/// Packets of one flow, joined.
struct Held {
    packet: Vec<u8>,
    /// Octets of headers.
    head: usize,
    /// Octets of text of each of them.
    size: usize,
    count: usize,
    next: Seq,
    until: Instant,
}

impl Edge {
    /// Around `host`, whose card joins what arrives if it `joins`, and cuts what the stack leaves to it in any case.
    pub(super) fn new(host: Host, joins: bool) -> Self {
        let runs = Rc::new(Cell::new(0));
        let count = Rc::clone(&runs);
        let host = host.card(Box::new(move |datagram: &Datagram<'_>, send: &mut dyn FnMut(Outgoing)| {
            count.set(count.get() + u64::from(datagram.gso_size != 0));
            let cut = segment::cut(datagram, |packet| {
                send((*packet).into());
                Ok(())
            });
            cut.expect("a packet that can be cut");
        }));
        Self { host, joins, held: None, joined: 0, runs, router: None, seen: Seen::default() }
    }

    /// The router passes `after` octets of text before its next link takes no more than packets of `mtu` octets.
    pub(super) fn behind_router(mut self, after: u64, mtu: u16) -> Self {
        self.router = Some(Router { after, mtu, passed: 0, complaints: VecDeque::new() });
        self
    }

    /// How many packets its card has cut.
    pub(super) fn runs(&self) -> u64 {
        self.runs.get()
    }

    /// What is held goes up.
    fn flush(&mut self, now: Instant) -> Option<Received> {
        let held = self.held.take()?;
        let size = if held.count > 1 { held.size as u16 } else { 0 };
        Some(self.host.receive_joined(now, &held.packet, size))
    }

    fn join(&mut self, now: Instant, packet: &[u8]) -> Option<Received> {
        let Some(new) = Held::of(packet, now + WAIT) else {
            self.flush(now);
            return Some(self.host.receive_joined(now, packet, 0));
        };
        // PSH or a short segment is the end of what can be joined.
        let (text, pushed) = (new.packet.len() - new.head, new.flags().contains(Flags::PSH));
        let fits = self.held.as_ref().is_some_and(|held| held.takes(&new));
        let ends = match &mut self.held {
            Some(held) if fits => {
                held.append(&new);
                self.joined += 1;
                pushed || text < held.size
            }
            _ => {
                self.flush(now);
                self.held = Some(new);
                pushed
            }
        };
        if ends { self.flush(now) } else { None }
    }
}

impl Held {
    /// A segment with nothing but text in it, to which others may be joined.
    fn of(packet: &[u8], until: Instant) -> Option<Self> {
        let parsed = ip::parse(packet).ok()?;
        if parsed.header.protocol != protocol::TCP {
            return None;
        }
        let segment = tcp::parse(&parsed.header, parsed.payload, Trust::Verify).ok()?;
        let header = segment.header;
        let plain = header.flags.difference(Flags::PSH) == Flags::ACK;
        let size = segment.payload.len();
        (plain && size > 0).then(|| Self {
            packet: packet.to_vec(),
            head: packet.len() - size,
            size,
            count: 1,
            next: header.seq.add(size as u32),
            until,
        })
    }

    fn start(&self) -> usize {
        if self.packet[0] >> 4 == 4 { 20 } else { 40 }
    }

    fn flags(&self) -> Flags {
        Flags::from_bits_truncate(self.packet[self.start() + 13].into())
    }

    /// All of the headers that has to be the same: not lengths, identifications, sequence numbers, PSH, the window and sums.
    fn alike(&self) -> Vec<u8> {
        let (mut head, start) = (self.packet[..self.head].to_vec(), self.start());
        let differ = if start == 20 { [2..6, 10..12] } else { [4..6, 6..6] };
        for range in differ.into_iter().chain([start + 4..start + 8, start + 14..start + 18]) {
            head[range].fill(0);
        }
        head[start + 13] &= !8;
        head
    }

    fn takes(&self, other: &Self) -> bool {
        let first = Seq::new(other.next.get().wrapping_sub(other.size as u32));
        first == self.next
            && other.size <= self.size
            && self.packet.len() + other.size <= LONGEST
            && self.alike() == other.alike()
    }

    fn append(&mut self, other: &Self) {
        self.packet.extend_from_slice(&other.packet[other.head..]);
        (self.next, self.count) = (other.next, self.count + 1);
        let (len, start) = (self.packet.len(), self.start());
        self.packet[start + 13] |= other.packet[start + 13] & 8;
        if start == 20 {
            self.packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            self.packet[10..12].fill(0);
            let sum = Sum::new().add(&self.packet[..20]).finish();
            self.packet[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            self.packet[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
        }
    }
}

impl Router {
    /// Whether a packet passes; one that does not is told of.
    fn passes(&mut self, packet: &[u8]) -> bool {
        if self.passed >= self.after && packet.len() > usize::from(self.mtu) {
            self.complaints.push_back(self.complaint(packet));
            return false;
        }
        self.passed += text(packet).map_or(0, |(_, len)| len as u64);
        true
    }

    fn complaint(&self, packet: &[u8]) -> Vec<u8> {
        let told = ip::parse(packet).expect("it came from a stack").header;
        let (mtu, quoted) = (self.mtu.into(), &packet[..packet.len().min(500)]);
        let v4 = told.src.is_v4();
        let message = match v4 {
            true => Message::FragmentationNeeded { mtu, quoted },
            false => Message::PacketTooBig { mtu, quoted },
        };
        let mut body = Vec::new();
        message.emit(told.dst, told.src, &mut body);
        let header = ip::Header {
            src: told.dst,
            dst: told.src,
            protocol: if v4 { protocol::ICMP } else { protocol::ICMPV6 },
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
            dont_fragment: false,
            fragment: None,
        };
        let mut packet = Vec::new();
        header.emit(body.len(), 0, &mut packet).expect("it is short");
        packet.extend_from_slice(&body);
        packet
    }
}

/// Sequence number and octets of the text of a segment that has some.
pub(super) fn text(packet: &[u8]) -> Option<(Seq, usize)> {
    let parsed = ip::parse(packet).ok()?;
    let tcp = parsed.header.protocol == protocol::TCP;
    let segment = tcp.then(|| tcp::parse(&parsed.header, parsed.payload, Trust::Trusted).ok())??;
    let len = segment.payload.len();
    (len > 0).then_some((segment.header.seq, len))
}

/// The path MTU that a router tells of.
fn told(packet: &[u8]) -> Option<u16> {
    let parsed = ip::parse(packet).ok()?;
    if !matches!(parsed.header.protocol, protocol::ICMP | protocol::ICMPV6) {
        return None;
    }
    match tunstack::core::wire::icmp::parse(&parsed.header, parsed.payload, Trust::Verify).ok()? {
        Message::FragmentationNeeded { mtu, .. } | Message::PacketTooBig { mtu, .. } => mtu.try_into().ok(),
        _ => None,
    }
}

impl Peer for Edge {
    fn receive(&mut self, now: Instant, packet: Bytes) -> Option<Received> {
        if !self.router.as_mut().is_none_or(|router| router.passes(&packet)) {
            return Some(Received::Dropped("the next link takes less"));
        }
        self.seen.told = told(&packet).or(self.seen.told);
        if self.joins { self.join(now, &packet) } else { self.host.receive(now, packet) }
    }

    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(Outgoing)) {
        if self.held.as_ref().is_some_and(|held| held.until <= now) {
            self.flush(now);
        }
        for complaint in self.router.iter_mut().flat_map(|router| router.complaints.drain(..)) {
            send(complaint.into());
        }
        let seen = &mut self.seen;
        self.host.poll(now, &mut |outgoing| {
            if text(&outgoing.packet).is_some() {
                let longest = match seen.told {
                    Some(_) => &mut seen.longest_since,
                    None => &mut seen.longest_before,
                };
                *longest = outgoing.packet.len().max(*longest);
            }
            send(outgoing);
        });
    }

    fn next_wake(&self) -> Option<Instant> {
        self.host.next_wake().into_iter().chain(self.held.as_ref().map(|held| held.until)).min()
    }

    fn done(&self) -> bool {
        self.host.done()
    }

    fn describe(&self) -> String {
        format!("{:?}, {} joined\n{}", self.seen, self.joined, self.host.describe())
    }
}

/// Loss that is the same however the stream is cut into packets: by place. Of each hundred segments of `size` octets one
/// place is lost that a segment has, and may be lost again when it is sent again.
pub(super) struct Places {
    first: Option<Seq>,
    /// How often each will be lost yet.
    left: BTreeMap<u64, u32>,
}

impl Places {
    /// Up to `octets`: `sizes` of segments in the first and in the second half.
    pub(super) fn new(octets: u64, sizes: [u64; 2], draw: impl Fn(u64) -> u64) -> Self {
        let mut left = BTreeMap::new();
        let half = octets / 2;
        let mut number = 0;
        for (from, to, size) in [(0, half, sizes[0]), (half, octets, sizes[1])] {
            for place in (from..to).step_by(size as usize) {
                let mut times = 0;
                while draw(number).is_multiple_of(100) {
                    times += 1;
                    number += 1;
                }
                number += 1;
                if times > 0 {
                    left.insert(place, times);
                }
            }
        }
        Self { first: None, left }
    }

    /// How many are yet to be lost.
    pub(super) fn len(&self) -> usize {
        self.left.values().map(|&times| times as usize).sum()
    }

    /// Whether this packet is lost.
    pub(super) fn takes(&mut self, packet: &[u8]) -> bool {
        let Some((seq, len)) = text(packet) else { return false };
        // The first text that is seen is the first there is: nothing is lost before.
        let from = u64::from(seq.since(*self.first.get_or_insert(seq)));
        let mut places = self.left.range_mut(from..from + len as u64);
        let Some((_, times)) = places.find(|(_, times)| **times > 0) else { return false };
        *times -= 1;
        true
    }
}
