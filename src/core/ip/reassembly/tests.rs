extern crate std;

use alloc::collections::BTreeMap;
use alloc::vec;
use core::mem::size_of;

use proptest::prelude::*;

use super::*;
use crate::ip::output;
use crate::ip::testing::{a, header};
use crate::wire::ip::{parse, protocol};

const TIMEOUT: Duration = Duration::from_secs(60);

fn at(secs: u64) -> Instant {
    Instant::from_secs(secs)
}

/// A fragment as it comes off the wire.
fn packet(header: Header, id: u32, offset: u32, more: bool, payload: &[u8]) -> Vec<u8> {
    let header = Header { fragment: Some(Fragment { id, offset, more }), ..header };
    let mut packet = Vec::new();
    header.emit(payload.len(), 0, &mut packet).unwrap();
    packet.extend_from_slice(payload);
    packet
}

fn insert(r: &mut Reassembly, now: Instant, packet: &[u8]) -> Outcome {
    r.insert(now, &parse(packet).unwrap())
}

fn roomy() -> Reassembly {
    Reassembly::new(1 << 20, TIMEOUT)
}

/// The sums behind `used`, found again from what is held.
fn check_books(r: &Reassembly) {
    let held = |p: &Partial| {
        let pieces = p.pieces.values().map(|p| p.bytes.len() + Reassembly::FRAGMENT_OVERHEAD).sum::<usize>();
        Reassembly::DATAGRAM_OVERHEAD + pieces
    };
    assert_eq!(r.used, r.partials.values().map(held).sum::<usize>());
    assert!(r.used <= r.memory, "{} of {}", r.used, r.memory);
    assert_eq!(r.by_age.len(), r.partials.len());
    for partial in r.partials.values() {
        assert!(r.by_age.contains_key(&partial.serial));
        assert!(partial.pieces.len() <= Reassembly::MAX_FRAGMENTS);
    }
}

#[test]
fn what_is_charged_covers_what_is_held() {
    // A B-tree's node has 11 places, of which as few as 5 may be taken.
    let slack = |entry: usize| entry * 11 / 5;
    let places = slack(size_of::<(Key, Partial)>()) + slack(size_of::<(u64, (Instant, Key))>());
    let first_node = 11 * size_of::<(u32, Piece)>() + 16;
    assert!(places + first_node <= Reassembly::DATAGRAM_OVERHEAD, "{places} + {first_node}");
    assert!(slack(size_of::<(u32, Piece)>()) + 16 <= Reassembly::FRAGMENT_OVERHEAD);
}

#[test]
fn in_any_order() {
    for v4 in [true, false] {
        let parts = [(0, true, [1u8; 16]), (16, true, [2; 16]), (32, false, [3; 16])];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut r = roomy();
            let mut last = Outcome::Pending;
            for i in order {
                assert_eq!(last, Outcome::Pending);
                let (offset, more, payload) = parts[i];
                last = insert(&mut r, at(0), &packet(header(v4), 7, offset, more, &payload));
            }
            let whole = [[1u8; 16], [2; 16], [3; 16]].concat();
            assert_eq!(last, Outcome::Complete(header(v4), whole));
            assert!(r.is_empty());
            assert_eq!(r.memory_used(), 0);
        }
    }
}

#[test]
fn what_is_no_fragment_passes() {
    let mut r = roomy();
    let mut whole = Vec::new();
    header(true).emit(3, 9, &mut whole).unwrap();
    whole.extend(b"abc");
    assert_eq!(insert(&mut r, at(0), &whole), Outcome::Complete(header(true), b"abc".to_vec()));
    assert!(r.is_empty());
}

//= https://www.rfc-editor.org/rfc/rfc8200#section-4.5
//= type=test
//= id=rfc8200-4.5-6, rfc8200-4.5-7
#[test]
fn an_atomic_fragment_keeps_to_itself() {
    let mut r = roomy();
    assert_eq!(insert(&mut r, at(0), &packet(header(false), 7, 0, true, &[1; 16])), Outcome::Pending);
    let atomic = insert(&mut r, at(0), &packet(header(false), 7, 0, false, b"abc"));
    assert_eq!(atomic, Outcome::Complete(header(false), b"abc".to_vec()));
    let rest = insert(&mut r, at(0), &packet(header(false), 7, 16, false, &[2; 3]));
    assert!(matches!(rest, Outcome::Complete(_, payload) if payload.len() == 19));
}

#[test]
fn keys() {
    let mut r = roomy();
    insert(&mut r, at(0), &packet(header(true), 7, 0, true, &[1; 8]));
    let others = [
        Header { src: a("10.7.0.3"), ..header(true) },
        Header { dst: a("10.7.0.3"), ..header(true) },
        Header { protocol: protocol::ICMP, ..header(true) },
    ];
    for other in others {
        assert_eq!(insert(&mut r, at(0), &packet(other, 7, 8, false, &[2; 8])), Outcome::Pending);
    }
    assert_eq!(insert(&mut r, at(0), &packet(header(true), 8, 8, false, &[2; 8])), Outcome::Pending);
    let last = insert(&mut r, at(0), &packet(header(true), 7, 8, false, &[2; 8]));
    assert!(matches!(last, Outcome::Complete(..)));

    // IPv6: the protocol is the first fragment's, whatever the others say (RFC 8200 §4.5).
    let lying = Header { protocol: protocol::TCP, ..header(false) };
    insert(&mut r, at(0), &packet(lying, 7, 8, false, &[2; 8]));
    let first = insert(&mut r, at(0), &packet(header(false), 7, 0, true, &[1; 8]));
    assert!(matches!(first, Outcome::Complete(h, _) if h.protocol == protocol::UDP));
}

#[test]
fn overlap_ends_the_datagram() {
    let part = |v4, offset, more, payload: &[u8]| packet(header(v4), 7, offset, more, payload);
    for v4 in [true, false] {
        let overlaps = [
            part(v4, 8, true, &[9; 8]),    // inside
            part(v4, 8, true, &[9; 24]),   // head inside
            part(v4, 0, true, &[9; 16]),   // tail inside
            part(v4, 0, true, &[9; 40]),   // around
            part(v4, 8, false, &[9; 24]),  // same octets as the second, but the last
            part(v4, 40, true, &[9; 8]),   // beyond the end
            part(v4, 24, true, &[9; 16]),  // ends at the end, but is not the last
            part(v4, 24, false, &[9; 8]),  // another end
            part(v4, 24, false, &[9; 24]), // another end
        ];
        for bad in overlaps {
            let mut r = roomy();
            insert(&mut r, at(0), &part(v4, 8, true, &[1; 16]));
            insert(&mut r, at(0), &part(v4, 32, false, &[2; 8]));
            assert_eq!(insert(&mut r, at(0), &bad), Outcome::Dropped(Cause::Overlap), "{bad:?}");
            check_books(&r);
            // IPv6 takes nothing more of it; IPv4 begins again.
            let next = insert(&mut r, at(1), &part(v4, 0, true, &[1; 8]));
            let expected = if v4 { Outcome::Pending } else { Outcome::Dropped(Cause::Overlap) };
            assert_eq!(next, expected);
            // A condemned one ends without a word.
            let expired = r.expire(at(100));
            assert_eq!(expired.is_some(), v4);
            assert!(r.is_empty());
        }
    }
    assert!(Cause::Overlap.ends_datagram());
}

#[test]
fn an_exact_duplicate_is_ignored() {
    for v4 in [true, false] {
        let mut r = roomy();
        let first = packet(header(v4), 7, 0, true, &[1; 16]);
        let last = packet(header(v4), 7, 24, false, &[3; 5]);
        insert(&mut r, at(0), &first);
        insert(&mut r, at(0), &last);
        assert_eq!(insert(&mut r, at(0), &first), Outcome::Dropped(Cause::Duplicate));
        assert_eq!(insert(&mut r, at(0), &last), Outcome::Dropped(Cause::Duplicate));
        assert!(!Cause::Duplicate.ends_datagram());
        let whole = insert(&mut r, at(0), &packet(header(v4), 7, 16, true, &[2; 8]));
        assert!(matches!(whole, Outcome::Complete(_, payload) if payload.len() == 29));
        // The same place with other octets is no duplicate.
        insert(&mut r, at(0), &first);
        let forged = packet(header(v4), 7, 0, true, &[9; 16]);
        assert_eq!(insert(&mut r, at(0), &forged), Outcome::Dropped(Cause::Overlap));
    }
}

//= https://www.rfc-editor.org/rfc/rfc3168#section-5.3
//= type=test
//= id=rfc3168-5.3-2, rfc3168-5.3-3, rfc3168-5.3-4, rfc3168-5.3-6
#[test]
fn congestion_marks() {
    let join = |first: u8, second: u8| {
        let mut r = roomy();
        let class = |ecn| Header { traffic_class: 0xb8 | ecn, ..header(true) };
        insert(&mut r, at(0), &packet(class(second), 7, 8, false, &[2; 8]));
        match insert(&mut r, at(0), &packet(class(first), 7, 0, true, &[1; 8])) {
            Outcome::Complete(h, _) => Ok(h.traffic_class),
            Outcome::Dropped(cause) => Err(cause),
            Outcome::Pending => panic!(),
        }
    };
    for same in 0..4 {
        assert_eq!(join(same, same), Ok(0xb8 | same));
    }
    assert_eq!(join(1, 3), Ok(0xbb));
    assert_eq!(join(3, 2), Ok(0xbb));
    assert_eq!(join(1, 2), Ok(0xb9));
    for capable in 1..4 {
        assert_eq!(join(0, capable), Err(Cause::Ecn));
        assert_eq!(join(capable, 0), Err(Cause::Ecn));
    }
}

#[test]
fn time_runs_from_the_first_to_arrive() {
    for v4 in [true, false] {
        let mut r = roomy();
        assert_eq!(r.next_deadline(), None);
        let first = packet(header(v4), 7, 0, true, &[1; 8]);
        insert(&mut r, at(10), &packet(header(v4), 8, 16, false, &[3; 8]));
        insert(&mut r, at(20), &packet(header(v4), 7, 16, false, &[3; 8]));
        insert(&mut r, at(50), &first);
        assert_eq!(r.next_deadline(), Some(at(70)));
        assert_eq!(r.expire(at(69)), None);
        assert_eq!(r.expire(at(75)), Some(Expired { first_fragment: None }));
        assert_eq!(r.expire(at(75)), None);
        assert_eq!(r.next_deadline(), Some(at(80)));
        let late = insert(&mut r, at(80), &packet(header(v4), 7, 8, true, &[2; 8]));
        assert_eq!(late, Outcome::Dropped(Cause::Late));
        assert_eq!(r.expire(at(80)), Some(Expired { first_fragment: Some(first) }));
        assert_eq!(r.memory_used(), 0);
        assert_eq!(r.next_deadline(), None);
    }
}

#[test]
fn padding_is_not_quoted() {
    let mut r = roomy();
    let first = packet(header(true), 7, 0, true, &[1; 8]);
    let mut padded = first.clone();
    padded.extend([0; 18]);
    insert(&mut r, at(0), &padded);
    assert_eq!(r.expire(at(60)), Some(Expired { first_fragment: Some(first) }));
}

#[test]
fn the_oldest_makes_room() {
    let each = Reassembly::DATAGRAM_OVERHEAD + Reassembly::FRAGMENT_OVERHEAD + 8;
    let mut r = Reassembly::new(3 * each, TIMEOUT);
    for id in 0..4 {
        insert(&mut r, at(u64::from(id)), &packet(header(true), id, 8, true, &[1; 8]));
        check_books(&r);
    }
    assert_eq!(r.len(), 3);
    assert_eq!(r.take_evicted(), 1);
    assert_eq!(r.take_evicted(), 0);
    assert_eq!(r.next_deadline(), Some(at(61)));
    // The oldest itself grows: it cannot make room for itself.
    let more = insert(&mut r, at(5), &packet(header(true), 1, 16, true, &[1; 8]));
    assert_eq!(more, Outcome::Dropped(Cause::Memory));
    assert_eq!((r.len(), r.take_evicted()), (2, 0));
    // Nothing at all fits.
    let mut none = Reassembly::new(100, TIMEOUT);
    let refused = insert(&mut none, at(0), &packet(header(true), 1, 16, true, &[1; 8]));
    assert_eq!(refused, Outcome::Dropped(Cause::Memory));
    assert!(none.is_empty());
}

#[test]
fn one_source_cannot_take_all() {
    let mut r = Reassembly::new(64 << 20, TIMEOUT);
    let other = Header { src: a("10.7.0.3"), ..header(true) };
    insert(&mut r, at(0), &packet(other, 1, 8, true, &[1; 8]));
    let most = Reassembly::MAX_PER_SOURCE as u32;
    for id in 0..most + 10 {
        insert(&mut r, at(1), &packet(header(true), id, 8, true, &[1; 8]));
    }
    assert_eq!(r.len(), Reassembly::MAX_PER_SOURCE + 1);
    assert_eq!(r.take_evicted(), 10);
    // The oldest of that source went, not the oldest of all.
    let key = |src, id| Key { src, dst: header(true).dst, protocol: protocol::UDP, id };
    assert!(r.partials.contains_key(&key(other.src, 1)));
    assert!(!r.partials.contains_key(&key(header(true).src, 9)));
    assert!(r.partials.contains_key(&key(header(true).src, 10)));
}

#[test]
fn too_many_fragments() {
    let mut r = roomy();
    let most = Reassembly::MAX_FRAGMENTS as u32;
    for n in 0..most {
        let outcome = insert(&mut r, at(0), &packet(header(true), 7, n * 16, true, &[1; 8]));
        assert_eq!(outcome, Outcome::Pending);
    }
    let one_more = insert(&mut r, at(0), &packet(header(true), 7, most * 16, true, &[1; 8]));
    assert_eq!(one_more, Outcome::Dropped(Cause::TooMany));
    assert_eq!(r.memory_used(), 0);
}

#[test]
fn what_the_parser_refuses_is_refused_here_too() {
    let mut r = roomy();
    let good = packet(header(true), 7, 8, true, &[1; 8]);
    let parsed = parse(&good).unwrap();
    let with = |fragment, payload| Parsed {
        header: Header { fragment: Some(fragment), ..parsed.header },
        payload,
        ..parsed
    };
    let big = vec![0; 65_528];
    let bad = [
        with(Fragment { id: 7, offset: 8, more: true }, &[1; 7][..]),
        with(Fragment { id: 7, offset: 8, more: false }, &[]),
        with(Fragment { id: 7, offset: 4, more: false }, &[1; 8]),
        with(Fragment { id: 7, offset: 8, more: false }, &big),
        with(Fragment { id: 7, offset: 0xffff_fff8, more: false }, &[1; 8]),
    ];
    for parsed in bad {
        assert_eq!(r.insert(at(0), &parsed), Outcome::Dropped(Cause::Malformed));
    }
    assert!(r.is_empty());
}

/// What RFC 791, 8200 and 5722 say, octet by octet.
#[derive(Default)]
struct Model {
    octets: BTreeMap<u32, u8>,
    taken: Vec<(u32, bool, Vec<u8>)>,
    condemned: bool,
}

impl Model {
    fn insert(
        &mut self,
        v4: bool,
        offset: u32,
        more: bool,
        payload: &[u8],
    ) -> Result<Option<Vec<u8>>, Cause> {
        if self.condemned {
            return Err(Cause::Overlap);
        }
        if self.taken.iter().any(|t| (t.0, t.1, &t.2[..]) == (offset, more, payload)) {
            return Err(Cause::Duplicate);
        }
        let end = offset + payload.len() as u32;
        let covered = (offset..end).any(|at| self.octets.contains_key(&at));
        let total = self.taken.iter().find(|t| !t.1).map(|t| t.0 + t.2.len() as u32);
        let contradicts = match total {
            Some(total) => !more || end >= total,
            None => !more && self.octets.keys().any(|&at| at >= end),
        };
        if covered || contradicts {
            *self = Self { condemned: !v4, ..Self::default() };
            return Err(Cause::Overlap);
        }
        self.octets.extend((offset..).zip(payload.iter().copied()));
        self.taken.push((offset, more, payload.to_vec()));
        let total = if more { total } else { Some(end) };
        if total == Some(self.octets.len() as u32) {
            return Ok(Some(core::mem::take(self).octets.into_values().collect()));
        }
        Ok(None)
    }
}

prop_compose! {
    /// Fragments of a datagram of about ten units of 8 octets, many of them at odds with each other.
    fn part()(unit in 0u32..10, units in 1usize..5, tail in 0usize..8, more in any::<bool>(), fill in 0u8..4)
        -> (u32, bool, Vec<u8>)
    {
        let more = more || unit == 0;
        // Mostly one filling, so that exact duplicates are common and forged ones happen.
        let len = units * 8 - if more { 0 } else { tail };
        (unit * 8, more, vec![u8::from(fill == 0); len])
    }
}

proptest! {
    #[test]
    fn agrees_with_the_model(v4 in any::<bool>(), parts in prop::collection::vec(part(), 1..24)) {
        let (mut r, mut model) = (roomy(), Model::default());
        for (offset, more, payload) in parts {
            let outcome = insert(&mut r, at(0), &packet(header(v4), 7, offset, more, &payload));
            let expected = match model.insert(v4, offset, more, &payload) {
                Ok(Some(whole)) => Outcome::Complete(header(v4), whole),
                Ok(None) => Outcome::Pending,
                Err(cause) => Outcome::Dropped(cause),
            };
            prop_assert_eq!(outcome, expected);
            check_books(&r);
        }
    }

    #[test]
    fn memory_stays_within_its_bound(
        memory in 0usize..20_000,
        steps in prop::collection::vec((0u32..12, 0u8..3, any::<bool>(), part(), 0u64..8), 1..150),
    ) {
        let mut r = Reassembly::new(memory, TIMEOUT);
        let mut now = at(0);
        for (id, host, v4, (offset, more, payload), wait) in steps {
            now += Duration::from_secs(wait);
            let mut h = header(v4);
            let mut src = *h.src.octets();
            src[15] = 10 + host;
            h.src = Address::from_octets(src);
            insert(&mut r, now, &packet(h, id, offset, more, &payload));
            check_books(&r);
            while r.expire(now).is_some() {}
            prop_assert!(r.next_deadline().is_none_or(|deadline| deadline > now));
            check_books(&r);
        }
        while r.expire(now + TIMEOUT).is_some() {}
        prop_assert!(r.is_empty() && r.memory_used() == 0 && r.next_deadline().is_none());
    }

    #[test]
    fn undoes_fragmentation(
        v4 in any::<bool>(),
        mtu in 68usize..3000,
        len in prop_oneof![0usize..10_000, 65_000usize..65_516],
        order in any::<prop::sample::Index>(),
        class in any::<u8>(),
    ) {
        let mtu = if v4 { mtu } else { mtu.max(1280) };
        let payload: Vec<u8> = (0..len).map(|i| ((i * 31) >> 3) as u8).collect();
        let header = Header { traffic_class: class, ..header(v4) };
        let mut packets = Vec::new();
        output::fragment(header, &payload, mtu, 0x1234, |p| packets.push(p)).unwrap();
        prop_assert!(packets.iter().all(|p| p.len() <= mtu));
        // An order that is neither up nor down: rotated, then every other one from the back.
        let by = order.index(packets.len());
        packets.rotate_left(by);
        let (even, odd): (Vec<_>, Vec<_>) = packets.into_iter().enumerate().partition(|(i, _)| i % 2 == 0);
        let mut r = roomy();
        let mut last = Outcome::Pending;
        for (_, packet) in even.into_iter().chain(odd.into_iter().rev()) {
            prop_assert_eq!(last, Outcome::Pending);
            last = insert(&mut r, at(0), &packet);
        }
        prop_assert_eq!(last, Outcome::Complete(header, payload));
    }

    #[test]
    fn arbitrary_octets_do_no_harm(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
    ) {
        let mut r = Reassembly::new(8192, TIMEOUT);
        for mut octets in packets {
            // Of IPv6 and with a fragment header, else next to none would get here.
            for (at, value) in [(0, 0x60), (4, 0), (5, octets.len().saturating_sub(40) as u8), (6, 44)] {
                if let Some(octet) = octets.get_mut(at) {
                    *octet = value;
                }
            }
            if let Ok(parsed) = parse(&octets) {
                r.insert(at(0), &parsed);
            }
            check_books(&r);
        }
    }
}
