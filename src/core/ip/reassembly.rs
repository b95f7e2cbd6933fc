//! Fragments become datagrams again (RFC 791 §3.2, RFC 815, RFC 8200 §4.5, RFC 5722).
//!
//! Fragments come from anybody, so everything here is bounded: the memory of all datagrams together, the
//! fragments of a datagram, the datagrams of a source, the time. Where room is needed the oldest datagram
//! goes, because it is the one least likely to be completed. Fragments are kept as they came, each in an
//! allocation of its own size: eight octets at offset 65,000 cost eight octets, not a buffer of 65,000.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::addr::Address;
use crate::time::{Duration, Instant};
use crate::wire::ip::{Ecn, Fragment, Header, MAX_LEN, Parsed};

/// Which datagram a fragment belongs to. IPv6 has no protocol in it: only the first fragment's counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    src: Address,
    dst: Address,
    protocol: u8,
    id: u32,
}

/// Octets of one fragment. The first keeps its packet's headers before them: an ICMP error quotes them.
#[derive(Debug)]
struct Piece {
    bytes: Box<[u8]>,
    headers: usize,
}

impl Piece {
    fn payload(&self) -> &[u8] {
        self.bytes.get(self.headers..).unwrap_or_default()
    }
}

/// A datagram under reassembly.
#[derive(Debug)]
struct Partial {
    serial: u64,
    /// By offset, never empty, never overlapping.
    pieces: BTreeMap<u32, Piece>,
    /// Octets in `pieces`.
    received: u32,
    /// Known once the last fragment is there.
    total: Option<u32>,
    /// Of the fragment with offset 0.
    header: Option<Header>,
    /// Bit n: a fragment with ECN codepoint n came.
    ecn: u8,
    /// Memory it is charged with.
    charged: usize,
    /// Fragments overlapped: what else comes of it is thrown away (RFC 5722 §4).
    condemned: bool,
}

/// Why a fragment, or all that had come of its datagram, was thrown away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Cause {
    /// Overlaps with another, without being the same, or goes beyond the end of the datagram: the datagram
    /// is given up (RFC 5722 §4).
    #[error("fragments overlap")]
    Overlap,
    /// The same fragment again: it alone is dropped.
    #[error("duplicate fragment")]
    Duplicate,
    /// With a length or an offset that cannot be: it alone is dropped. `wire::ip::parse` lets none through.
    #[error("malformed fragment")]
    Malformed,
    /// Congestion marks that contradict each other (RFC 3168 §5.3): the datagram is given up.
    #[error("contradicting ECN fields")]
    Ecn,
    /// More fragments than any path needs: the datagram is given up.
    #[error("too many fragments")]
    TooMany,
    /// No memory for it: the datagram is given up.
    #[error("no memory for reassembly")]
    Memory,
    /// The datagram's time is over, and [`Reassembly::expire`] is about to say so.
    #[error("too late")]
    Late,
}

impl Cause {
    /// Whether a whole datagram was lost with it (`ip_reasm_fails`), and not the fragment alone.
    pub const fn ends_datagram(self) -> bool {
        matches!(self, Self::Overlap | Self::Ecn | Self::TooMany | Self::Memory)
    }
}

/// What came of a fragment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Kept; others are missing.
    Pending,
    /// The datagram is whole: its header, with `fragment` unset, and its payload. In IPv6 the payload may
    /// begin with extension headers, which `protocol` then names.
    Complete(Header, Vec<u8>),
    /// Thrown away.
    Dropped(Cause),
}

/// A datagram whose time is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expired {
    /// The packet of the fragment at offset 0, headers and all, if that came: what an ICMP time exceeded
    /// message quotes. Without it none is sent (RFC 1122 §3.3.2, RFC 8200 §4.5).
    pub first_fragment: Option<Vec<u8>>,
}

/// The datagrams under reassembly.
#[derive(Debug)]
pub struct Reassembly {
    partials: BTreeMap<Key, Partial>,
    /// When each began and which it is, by serial number: the oldest stands first.
    by_age: BTreeMap<u64, (Instant, Key)>,
    next_serial: u64,
    used: usize,
    memory: usize,
    timeout: Duration,
    evicted: u64,
}

impl Reassembly {
    /// What a datagram is charged beside its fragments: its places in both maps, with the slack that a
    /// B-tree has, and the first node of its own map.
    pub const DATAGRAM_OVERHEAD: usize = 1024;
    /// What a fragment is charged beside its octets: its place in the map, and the allocator's share.
    pub const FRAGMENT_OVERHEAD: usize = 96;
    /// Fragments of one datagram: as many as the largest makes over a link of the smallest MTU, 68 octets.
    pub const MAX_FRAGMENTS: usize = 65_515_usize.div_ceil(48);
    /// Datagrams of one source. A sender with more than that under way at once, all incomplete, is not well.
    pub const MAX_PER_SOURCE: usize = 256;

    /// Keeps fragments in at most `memory` octets, overhead included, for `timeout`: 60 s (RFC 8200 §4.5,
    /// RFC 1122 §3.3.2).
    pub const fn new(memory: usize, timeout: Duration) -> Self {
        Self {
            partials: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next_serial: 0,
            used: 0,
            memory,
            timeout,
            evicted: 0,
        }
    }

    /// Takes a fragment. A packet that is none comes back complete at once, and so does an IPv6 atomic
    /// fragment, which has nothing to do with others of its identification (RFC 6946 §4).
    pub fn insert(&mut self, now: Instant, parsed: &Parsed<'_>) -> Outcome {
        let header = parsed.header;
        let payload = parsed.payload;
        let Some(fragment) = header.fragment else {
            return Outcome::Complete(header, payload.to_vec());
        };
        let v4 = header.src.is_v4();
        //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
        //= id=rfc8200-4.5-6, rfc8200-4.5-7
        if !v4 && fragment.is_atomic() {
            return Outcome::Complete(Header { fragment: None, ..header }, payload.to_vec());
        }
        if !is_sound(parsed, fragment) {
            return Outcome::Dropped(Cause::Malformed);
        }
        let (start, end) = (fragment.offset, fragment.offset + payload.len() as u32);

        let key = Key {
            src: header.src,
            dst: header.dst,
            protocol: if v4 { header.protocol } else { 0 },
            id: fragment.id,
        };
        let mut charge = 0;
        if let Some(partial) = self.partials.get(&key) {
            let began = self.by_age.get(&partial.serial).map_or(now, |&(began, _)| began);
            if now >= began + self.timeout {
                return Outcome::Dropped(Cause::Late);
            }
            if partial.condemned {
                return Outcome::Dropped(Cause::Overlap);
            }
            match partial.fit(start, end, fragment.more, payload) {
                Ok(()) => {}
                Err(Cause::Overlap) => {
                    self.condemn(&key, v4);
                    return Outcome::Dropped(Cause::Overlap);
                }
                Err(cause) => return Outcome::Dropped(cause),
            }
            if partial.pieces.len() >= Self::MAX_FRAGMENTS {
                self.remove(&key);
                return Outcome::Dropped(Cause::TooMany);
            }
        } else {
            self.limit_source(header.src);
            charge = Self::DATAGRAM_OVERHEAD;
        }

        let headers = if start == 0 { parsed.header_len } else { 0 };
        charge += headers + payload.len() + Self::FRAGMENT_OVERHEAD;
        if !self.make_room(&key, charge) {
            self.remove(&key);
            return Outcome::Dropped(Cause::Memory);
        }
        let bytes = if start == 0 {
            // Without what may follow the packet: it may have been padded.
            parsed.packet.get(..headers + payload.len()).unwrap_or_default()
        } else {
            payload
        };
        let piece = Piece { bytes: bytes.into(), headers };

        let partial = self.partials.entry(key).or_insert_with(|| {
            let serial = self.next_serial;
            self.next_serial += 1;
            self.by_age.insert(serial, (now, key));
            Partial::new(serial)
        });
        partial.pieces.insert(start, piece);
        partial.received += payload.len() as u32;
        partial.ecn |= 1 << (header.traffic_class & 3);
        partial.charged += charge;
        self.used += charge;
        if start == 0 {
            partial.header = Some(header);
        }
        if !fragment.more {
            partial.total = Some(end);
        }
        if partial.total == Some(partial.received) { self.complete(&key) } else { Outcome::Pending }
    }

    /// Gives up one datagram whose time is over; to be called until there is none.
    //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
    //= id=rfc8200-4.5-8
    //# If insufficient fragments are received to complete reassembly of a packet within 60 seconds of the
    //# reception of the first-arriving fragment of that packet, reassembly of that packet must be abandoned
    //# and all the fragments that have been received for that packet must be discarded.
    pub fn expire(&mut self, now: Instant) -> Option<Expired> {
        while let Some((_, &(began, key))) = self.by_age.first_key_value() {
            if now < began + self.timeout {
                return None;
            }
            // A condemned one was given up, and counted, when its fragments overlapped.
            if let Some(mut partial) = self.remove(&key)
                && !partial.condemned
            {
                let first = partial.pieces.remove(&0);
                return Some(Expired { first_fragment: first.map(|piece| piece.bytes.into_vec()) });
            }
        }
        None
    }

    /// When [`expire`](Self::expire) is to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.by_age.first_key_value().map(|(_, &(began, _))| began + self.timeout)
    }

    /// Octets charged now, never more than the memory it was made with.
    pub const fn memory_used(&self) -> usize {
        self.used
    }

    /// How many datagrams are under reassembly.
    pub fn len(&self) -> usize {
        self.partials.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.partials.is_empty()
    }

    /// How many datagrams were given up for the room of others since this was asked last.
    pub const fn take_evicted(&mut self) -> u64 {
        let evicted = self.evicted;
        self.evicted = 0;
        evicted
    }

    /// Gives up the oldest datagrams until `charge` octets are free. False if that would take the one that
    /// they are for.
    fn make_room(&mut self, key: &Key, charge: usize) -> bool {
        while self.used.saturating_add(charge) > self.memory {
            match self.by_age.first_key_value() {
                Some((_, (_, oldest))) if oldest != key => {
                    let oldest = *oldest;
                    self.evict(&oldest);
                }
                _ => return false,
            }
        }
        true
    }

    /// Gives up the oldest datagram of a source that has as many as it may.
    fn limit_source(&mut self, src: Address) {
        let least = Key { src, dst: Address::from_octets([0; 16]), protocol: 0, id: 0 };
        let of_source = self.partials.range(least..).take_while(|(key, _)| key.src == src);
        let (mut count, mut oldest) = (0, None);
        for (key, partial) in of_source {
            count += 1;
            if oldest.is_none_or(|(serial, _)| partial.serial < serial) {
                oldest = Some((partial.serial, *key));
            }
        }
        if let Some((_, key)) = oldest
            && count >= Self::MAX_PER_SOURCE
        {
            self.evict(&key);
        }
    }

    fn evict(&mut self, key: &Key) {
        if self.remove(key).is_some_and(|partial| !partial.condemned) {
            self.evicted += 1;
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Partial> {
        let partial = self.partials.remove(key)?;
        self.by_age.remove(&partial.serial);
        self.used -= partial.charged;
        Some(partial)
    }

    /// Fragments overlapped. IPv6 also discards "those not yet received" (RFC 5722 §4): an empty record stays
    /// until the time is over. IPv4's 16 bits of identification come round too soon for that.
    //= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
    //= id=rfc8200-4.5-13
    //# If any of the fragments being reassembled overlap with any other fragments being reassembled for the
    //# same packet, reassembly of that packet must be abandoned and all the fragments that have been
    //# received for that packet must be discarded, and no ICMP error messages should be sent.
    fn condemn(&mut self, key: &Key, v4: bool) {
        if v4 {
            self.remove(key);
        } else if let Some(partial) = self.partials.get_mut(key) {
            self.used -= partial.charged;
            self.used += Self::DATAGRAM_OVERHEAD;
            let serial = partial.serial;
            *partial = Partial { charged: Self::DATAGRAM_OVERHEAD, condemned: true, ..Partial::new(serial) };
        }
    }

    fn complete(&mut self, key: &Key) -> Outcome {
        let Some(partial) = self.remove(key) else { return Outcome::Pending };
        // Octets without a gap from 0 on: the fragment at offset 0 is among them.
        let Some(mut header) = partial.header else { return Outcome::Dropped(Cause::Malformed) };
        let Some(ecn) = joined_ecn(partial.ecn, header.ecn()) else { return Outcome::Dropped(Cause::Ecn) };
        header.traffic_class = header.traffic_class & !3 | ecn as u8;
        header.fragment = None;
        let mut payload = Vec::with_capacity(partial.received as usize);
        for piece in partial.pieces.values() {
            payload.extend_from_slice(piece.payload());
        }
        Outcome::Complete(header, payload)
    }
}

impl Partial {
    const fn new(serial: u64) -> Self {
        Self {
            serial,
            pieces: BTreeMap::new(),
            received: 0,
            total: None,
            header: None,
            ecn: 0,
            charged: 0,
            condemned: false,
        }
    }

    /// Whether octets from `start` up to `end` fill a hole (RFC 815 §3), and if not, why not.
    fn fit(&self, start: u32, end: u32, more: bool, payload: &[u8]) -> Result<(), Cause> {
        let before = self.pieces.range(..=start).next_back();
        if let Some((&offset, piece)) = before {
            // RFC 8200 §4.5 allows to tell an exact duplicate from an overlap; exact is exact.
            let same_end = more != (self.total == Some(end));
            if offset == start && same_end && piece.payload() == payload {
                return Err(Cause::Duplicate);
            }
            if offset + piece.payload().len() as u32 > start {
                return Err(Cause::Overlap);
            }
        }
        let after = self.pieces.range(start..).next();
        if after.is_some_and(|(&offset, _)| offset < end) {
            return Err(Cause::Overlap);
        }
        // The end is where the last fragment ends, and nothing lies beyond it.
        let last_end = self.pieces.last_key_value().map_or(0, |(&o, p)| o + p.payload().len() as u32);
        let contradicts = match self.total {
            Some(total) => !more || end > total,
            None => !more && end < last_end,
        };
        if contradicts { Err(Cause::Overlap) } else { Ok(()) }
    }
}

/// What a fragment must be by itself. `wire::ip::parse` has refused, and answered for IPv6, what is not so:
/// this keeps the arithmetic here from depending on it.
fn is_sound(parsed: &Parsed<'_>, fragment: Fragment) -> bool {
    let len = parsed.payload.len();
    let end = fragment.offset as usize + len;
    len > 0
        && end <= MAX_LEN
        && fragment.offset.is_multiple_of(8)
        && (!fragment.more || len.is_multiple_of(8))
}

/// The ECN field of the whole (RFC 3168 §5.3): one that all agree on, or CE where any has it. Where some
/// fragments are ECN-capable and some are not, somebody on the way has lied: `None`.
//= https://www.rfc-editor.org/rfc/rfc3168#section-5.3
//= id=rfc3168-5.3-2, rfc3168-5.3-3, rfc3168-5.3-4, rfc3168-5.3-6
fn joined_ecn(seen: u8, first: Ecn) -> Option<Ecn> {
    let saw = |ecn: Ecn| seen & 1 << ecn as u8 != 0;
    let capable = seen & !(1 << Ecn::NotEct as u8) != 0;
    if saw(Ecn::NotEct) && capable {
        None
    } else if saw(Ecn::Ce) {
        Some(Ecn::Ce)
    } else {
        Some(first)
    }
}

#[cfg(test)]
mod tests;
