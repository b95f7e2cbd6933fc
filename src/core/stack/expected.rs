//! The next packet of a burst: one that looks like the one before it is not taken apart anew.
//!
//! A sender's burst is a row of packets that differ in the sequence number, in what counts packets, in the checksums and in the
//! text. Where the one before was the [predicted](crate::tcp::input) one, and nothing has been done to any socket since, the next
//! needs no more than a look at what may differ.

use alloc::boxed::Box;
use core::ops::Range;

use super::{Inbound, Kind, Readiness, Socket, Stack, Trust};
use crate::addr::Address;
use crate::seq::Seq;
use crate::tcp::segment::Segment;
use crate::time::{Duration, Instant};
use crate::wire::checksum::{Sum, pseudo_header};
use crate::wire::flags::Flags;
use crate::wire::ip::{self, Ecn, protocol};
use crate::wire::options::Options;
use crate::wire::tcp;

/// Octets in which the head of a packet lies: IPv6, TCP and a timestamps option. A shorter packet is no part of a burst.
const HEAD: usize = 72;

/// A packet that was taken, as far as the next one looks the same.
#[derive(Debug)]
pub(super) struct Expected {
    /// Its head, and in what octets another must be the same: 0xff, or 0 where it may differ.
    head: [u8; HEAD],
    same: [u8; HEAD],
    /// Octets of the IP header, of both headers, and of the whole.
    ip_len: usize,
    head_len: usize,
    len: usize,
    /// What stands in the header of the segment, beside what may differ.
    ack: Seq,
    flags: Flags,
    window: u16,
    options: Options,
    joined: u16,
    ecn: Ecn,
    /// The slot of its connection.
    index: u32,
    /// When it came: what depends on the time holds for this moment.
    now: Instant,
    /// What the slab said then.
    changes: u64,
    /// The first of the deadlines of the connection, which the wheel knows.
    due: Option<Instant>,
}

impl Expected {
    /// Whether a packet looks so.
    #[inline]
    fn fits(&self, packet: &[u8]) -> bool {
        let Some(head) = packet.first_chunk::<HEAD>() else { return false };
        // All of it is looked at, several words at a time: mostly it is the same to the end.
        let pairs = words(head).zip(words(&self.head));
        pairs.zip(words(&self.same)).fold(0, |differs, ((a, b), same)| differs | (a ^ b) & same) == 0
    }

    /// Whether its checksums are right, as far as they are to be looked at.
    #[inline(always)]
    fn is_intact(&self, packet: &[u8], trust: Trust) -> bool {
        self.has_numbers_of(packet) && trust == Trust::Trusted || self.adds_up(packet, trust)
    }

    /// Whether all that may differ in the header of an IPv4 packet that fits is as it was: then its sum is right.
    #[inline(always)]
    fn has_numbers_of(&self, packet: &[u8]) -> bool {
        let numbers =
            |head: &[u8]| head.first_chunk().map(|&[_, _, _, _, a, b, _, _, _, _, c, d]| [a, b, c, d]);
        self.ip_len == ip::V4_HEADER_LEN && numbers(packet) == numbers(&self.head)
    }

    #[inline(never)]
    fn adds_up(&self, packet: &[u8], trust: Trust) -> bool {
        // IPv6 has none.
        if self.ip_len == ip::V4_HEADER_LEN {
            let Some(ip) = packet.first_chunk::<{ ip::V4_HEADER_LEN }>() else { return false };
            if Sum::of_words(ip.as_chunks().0).finish() != 0 {
                return false;
            }
        }
        if trust == Trust::Trusted {
            return true;
        }
        let (src, dst) = self.ends();
        let tcp = packet.get(self.ip_len..).unwrap_or_default();
        pseudo_header(src, dst, protocol::TCP, tcp.len() as u32).add(tcp).finish() == 0
    }

    fn ends(&self) -> (Address, Address) {
        let v4 = |at: usize| {
            self.head.get(at..).and_then(<[u8]>::first_chunk).map(|&a| Address::from_v4_octets(a))
        };
        let v6 =
            |at: usize| self.head.get(at..).and_then(<[u8]>::first_chunk).map(|&a| Address::from_octets(a));
        let ends = if self.ip_len == ip::V4_HEADER_LEN { (v4(12), v4(16)) } else { (v6(8), v6(24)) };
        (ends.0.unwrap_or(Address::UNSPECIFIED), ends.1.unwrap_or(Address::UNSPECIFIED))
    }
}

fn words(head: &[u8; HEAD]) -> impl Iterator<Item = u64> + '_ {
    head.as_chunks().0.iter().map(|&word| u64::from_ne_bytes(word))
}

impl Stack {
    /// The predicted segment of the connection in a slot came in `packet`: more of the kind are expected.
    pub(super) fn expect_another(&mut self, index: u32, packet: &[u8], segment: &Segment<'_>, now: Instant) {
        let Some(socket) = self.slab.by_index(index) else { return };
        let Kind::Connection(tcb) = &socket.kind else { return };
        let due = tcb.timers.earliest();
        // What a further segment could change of how the socket stands: nothing, if these are so.
        let told = !socket.held || socket.changed && socket.published.contains(Readiness::READABLE);
        if !told || !socket.queued || self.config.trace || self.memory.is_bounded() {
            return;
        }
        let (Some(&head), Some(len)) = (packet.first_chunk::<HEAD>(), whole_len(packet)) else { return };
        let Some(head_len) = len.checked_sub(segment.text.len()).filter(|&n| n <= HEAD) else { return };
        let ip_len = if head[0] >> 4 == 4 { ip::V4_HEADER_LEN } else { ip::V6_HEADER_LEN };
        let mut same = [0xff; HEAD];
        let numbers: [Range<usize>; 2] = if ip_len == ip::V4_HEADER_LEN {
            // Identification and checksum of the header.
            [4..6, 10..12]
        } else {
            [0..0, 0..0]
        };
        let seq = ip_len + tcp::SEQUENCE_OFFSET;
        let checksum = ip_len + usize::from(tcp::CHECKSUM_OFFSET);
        for differs in numbers.into_iter().chain([seq..seq + 4, checksum..checksum + 2, head_len..HEAD]) {
            if let Some(octets) = same.get_mut(differs) {
                octets.fill(0);
            }
        }
        if let Some(octet) = same.get_mut(ip_len + tcp::FLAGS_OFFSET) {
            // PSH ends a burst, and is told apart where it counts.
            *octet &= !(Flags::PSH.bits() as u8);
        }
        let &Segment { ack, flags, window, joined, ecn, .. } = segment;
        let (options, changes) = (segment.options.clone(), self.slab.changes());
        #[rustfmt::skip]
        let expected = Expected {
            head, same, ip_len, head_len, len, ack, flags, window, options, joined, ecn, index, now, changes, due,
        };
        match &mut self.expected {
            Some(before) => **before = expected,
            none => *none = Some(Box::new(expected)),
        }
    }

    /// A packet arrived: takes it if it is the expected one.
    #[inline]
    pub(super) fn receive_expected(&mut self, now: Instant, inbound: &Inbound<'_>) -> Option<()> {
        let expected = self.expected.as_deref_mut()?;
        let holds = expected.changes == self.slab.changes() && expected.now == now;
        if !holds || inbound.gso_size != expected.joined || !expected.fits(inbound.packet) {
            return None;
        }
        let packet = inbound.packet.get(..expected.len)?;
        if !expected.is_intact(packet, inbound.trust) {
            return None;
        }
        let at = packet.get(expected.ip_len + tcp::SEQUENCE_OFFSET..)?.first_chunk()?;
        let pushed = Flags::from_bits_truncate((*packet.get(expected.ip_len + tcp::FLAGS_OFFSET)?).into());
        let segment = Segment {
            seq: Seq::new(u32::from_be_bytes(*at)),
            ack: expected.ack,
            flags: expected.flags.difference(Flags::PSH) | pushed.intersection(Flags::PSH),
            window: expected.window,
            // Without URG it says nothing.
            urgent: 0,
            options: &expected.options,
            text: packet.get(expected.head_len..)?.into(),
            backing: inbound.backing,
            joined: expected.joined,
            ecn: expected.ecn,
        };
        let index = expected.index;
        let Some(Socket { kind: Kind::Connection(tcb), .. }) = self.slab.by_index_mut(index) else {
            return None;
        };
        tcb.on_repeated(&segment, &mut context!(self, now))?;
        self.counters.ip_in_delivers += 1;
        self.counters.tcp_in_segs += u64::from(segment.segments());
        let due = tcb.timers.earliest();
        if due != expected.due {
            expected.due = due;
            if let Some(deadline) = due {
                self.wheel.arm(index, deadline.max(now + Duration::from_nanos(1)));
            }
        }
        expected.changes = self.slab.changes();
        Some(())
    }
}

/// Octets of a packet with the shortest IP header, which TCP follows; `None` for another.
pub(super) fn whole_len(packet: &[u8]) -> Option<usize> {
    match *packet {
        [0x45, _, l0, l1, ..] => Some(usize::from(u16::from_be_bytes([l0, l1]))),
        [first, _, _, _, l0, l1, protocol::TCP, ..] if first >> 4 == 6 => {
            Some(ip::V6_HEADER_LEN + usize::from(u16::from_be_bytes([l0, l1])))
        }
        _ => None,
    }
}
