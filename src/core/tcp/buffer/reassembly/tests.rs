use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const ANY: usize = usize::MAX;

fn seq(n: u32) -> Seq {
    Seq::new(n)
}

fn range(a: u32, b: u32) -> SeqRange {
    SeqRange::new(seq(a), seq(b))
}

/// Inserts as many octets as `a..b` has, with RCV.NXT at 0 and no limits.
fn put(q: &mut Reassembly, a: u32, b: u32) -> Inserted {
    q.insert(seq(0), seq(a), &vec![a as u8; (b - a) as usize], None, ANY, ANY)
}

fn sacks(q: &Reassembly, max: usize) -> Vec<(u32, u32)> {
    q.sack_blocks(max).iter().map(|b| (b.start.get(), b.end.get())).collect()
}

#[test]
fn idle_costs_a_pointer() {
    assert!(size_of::<Reassembly>() <= 16);
    assert!(size_of::<Run>() <= RUN_COST);
    let mut q = Reassembly::new();
    assert_eq!((q.memory(), q.len(), q.highest()), (0, 0, None));
    assert_eq!(put(&mut q, 10, 20), Inserted::New);
    assert_eq!((q.len(), q.highest(), q.is_empty()), (10, Some(seq(20)), false));
    assert_eq!(q.take(seq(9)), None);
    assert_eq!(q.take(seq(10)).unwrap().octets, [10; 10][..]);
    assert!(q.is_empty());
    assert_eq!(q.take(seq(20)), None);
}

#[test]
fn says_what_came_twice() {
    let mut q = Reassembly::new();
    put(&mut q, 10, 20);
    put(&mut q, 20, 30);
    put(&mut q, 40, 50);
    assert_eq!(put(&mut q, 15, 25), Inserted::Duplicate(range(15, 25)));
    assert_eq!(put(&mut q, 5, 60), Inserted::Partial(range(10, 30)));
    assert_eq!(q.len(), 55);
    assert_eq!(put(&mut q, 60, 60), Inserted::Duplicate(range(60, 60)));
}

#[test]
fn octets_are_never_overwritten() {
    let mut q = Reassembly::new();
    put(&mut q, 3, 5);
    put(&mut q, 7, 8);
    put(&mut q, 1, 9);
    let mut got = Vec::new();
    while let Some(t) = q.take(seq(1 + got.len() as u32)) {
        got.extend_from_slice(&t.octets);
    }
    assert_eq!(got, [1, 1, 3, 3, 1, 1, 7, 1]);
}

#[test]
fn what_lies_before_rcv_nxt_is_cut() {
    let mut q = Reassembly::new();
    put(&mut q, 10, 20);
    put(&mut q, 30, 40);
    assert_eq!(q.take(seq(35)).unwrap().octets.len(), 5);
    assert!(q.is_empty());
    put(&mut q, 10, 20);
    assert_eq!(q.take(seq(20)), None);
    assert!(q.is_empty());
}

/// The example of RFC 2018 §4, case 3 and after it case 4's last lines: of eight segments of 500 octets from
/// 5000 on, the second, fourth, sixth and eighth are lost.
//= https://www.rfc-editor.org/rfc/rfc2018#section-4
//= type=test
//= id=rfc2018-4-5, rfc2018-4-7
#[test]
fn sack_blocks_as_in_rfc_2018() {
    let mut q = Reassembly::new();
    let rcv_nxt = seq(5500);
    let mut segment = |at: u32| {
        q.insert(rcv_nxt, seq(at), &[0; 500], None, ANY, ANY);
        sacks(&q, 4)
    };
    assert_eq!(segment(6000), [(6000, 6500)]);
    assert_eq!(segment(7000), [(7000, 7500), (6000, 6500)]);
    assert_eq!(segment(8000), [(8000, 8500), (7000, 7500), (6000, 6500)]);
    // The fourth packet comes after all, and then the second.
    assert_eq!(segment(6500), [(6000, 7500), (8000, 8500)]);
    q.insert(rcv_nxt, seq(5500), &[0; 500], None, ANY, ANY);
    assert_eq!(q.take(rcv_nxt).map(|t| t.octets.len()), Some(2000));
    assert_eq!(sacks(&q, 4), [(8000, 8500)]);
}

#[test]
fn a_duplicate_is_reported_first_too() {
    let mut q = Reassembly::new();
    for at in [10, 30, 50, 70, 90] {
        put(&mut q, at, at + 10);
    }
    assert_eq!(sacks(&q, 3), [(90, 100), (70, 80), (50, 60)]);
    put(&mut q, 10, 12);
    assert_eq!(sacks(&q, 4), [(10, 20), (90, 100), (70, 80), (50, 60)]);
    assert_eq!(sacks(&q, 0), []);
}

#[test]
fn room_is_bounded_by_memory_and_by_blocks() {
    let mut q = Reassembly::new();
    assert_eq!(q.insert(seq(0), seq(10), &[0; 100], None, 163, 9), Inserted::NoRoom);
    assert!(q.is_empty());
    assert_eq!(q.insert(seq(0), seq(10), &[0; 100], None, 164, 9), Inserted::New);
    assert_eq!(q.memory(), 164);
    assert_eq!(q.insert(seq(0), seq(500), &[0; 100], None, ANY, 1), Inserted::NoRoom);
    assert_eq!(q.insert(seq(0), seq(110), &[0; 100], None, ANY, 1), Inserted::New);
    assert_eq!(q.insert(seq(0), seq(10), &[0; 100], None, 0, 0), Inserted::Duplicate(range(10, 110)));
    // Behind RCV.NXT, and farther ahead than any window.
    assert_eq!(q.insert(seq(300), seq(299), &[0; 9], None, ANY, 9), Inserted::NoRoom);
    assert_eq!(q.insert(seq(300), seq(300 + (1 << 31)), &[0; 9], None, ANY, 9), Inserted::NoRoom);
}

#[test]
fn a_large_frame_is_kept_by_reference() {
    let frame = Bytes::from(vec![7u8; 60_000]);
    let mut q = Reassembly::new();
    q.insert(seq(0), seq(100), &frame[40..], Some(&frame), ANY, ANY);
    assert_eq!(q.memory(), 60_000 + RUN_COST);
    let text = q.take(seq(100)).unwrap();
    assert_eq!((text.octets.as_ptr(), text.pinned), (frame[40..].as_ptr(), frame.len()));
    q.insert(seq(0), seq(100), &frame[..5000], Some(&frame), ANY, ANY);
    assert_eq!(q.memory(), 5000 + RUN_COST);
}

/// Many small segments that make one block are few runs, in whatever order they come.
#[test]
fn small_segments_become_few_runs() {
    let n = 100_000u32;
    let ascending: Vec<u32> = (0..n).collect();
    let descending: Vec<u32> = (0..n).rev().collect();
    let holes_first: Vec<u32> = (0..n / 32).map(|i| i * 32).chain((0..n).filter(|i| i % 32 != 0)).collect();
    for order in [ascending, descending, holes_first] {
        let mut q = Reassembly::new();
        for at in order {
            assert_eq!(q.insert(seq(0), seq(1 + at), &[at as u8], None, 1 << 20, 4000), Inserted::New);
        }
        let runs = q.0.as_ref().unwrap().runs.len();
        assert!(runs <= n as usize / JOIN * 2, "{runs} runs");
        let mut next = 0;
        while let Some(Text { octets: text, .. }) = q.take(seq(1 + next)) {
            assert!(text.iter().copied().eq((next..).map(|i| i as u8).take(text.len())));
            next += text.len() as u32;
        }
        assert_eq!(next, n);
    }
}

/// What RFC 2018 and RFC 2883 say, octet by octet. Numbers count from the sequence number `base`.
#[derive(Default)]
struct Model {
    rcv_nxt: u32,
    held: BTreeMap<u32, u8>,
    /// First numbers of the segments that came, the last first.
    arrived: Vec<u32>,
}

impl Model {
    fn blocks(&self) -> Vec<(u32, u32)> {
        let mut out: Vec<(u32, u32)> = Vec::new();
        for &n in self.held.keys() {
            match out.last_mut() {
                Some((_, end)) if *end == n => *end += 1,
                _ => out.push((n, n + 1)),
            }
        }
        out
    }

    fn insert(&mut self, at: u32, len: u32, octet: impl Fn(u32) -> u8) -> Inserted {
        let first = (at..at + len).find(|n| self.held.contains_key(n));
        let again =
            first.map(|a| (a, (a..at + len).find(|n| !self.held.contains_key(n)).unwrap_or(at + len)));
        for n in at..at + len {
            self.held.entry(n).or_insert_with(|| octet(n));
        }
        self.arrived.insert(0, at);
        match again {
            None => Inserted::New,
            Some((a, b)) if (a, b) == (at, at + len) => Inserted::Duplicate(range(a, b)),
            Some((a, b)) => Inserted::Partial(range(a, b)),
        }
    }

    /// RCV.NXT advances to `to`, and over what is held from there on.
    fn deliver(&mut self, to: u32) -> Vec<u8> {
        self.rcv_nxt = to;
        self.held = self.held.split_off(&to);
        let mut out = Vec::new();
        while let Some(octet) = self.held.remove(&self.rcv_nxt) {
            out.push(octet);
            self.rcv_nxt += 1;
        }
        out
    }

    fn sack_blocks(&self, blocks: &[(u32, u32)], max: usize) -> Vec<(u32, u32)> {
        let block_of = |at: &u32| blocks.iter().find(|b| (b.0..b.1).contains(at));
        let mut out = Vec::new();
        for b in self.arrived.iter().filter_map(block_of).chain(blocks) {
            if !out.contains(b) && out.len() < max {
                out.push(*b);
            }
        }
        out
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// A segment that begins so far after RCV.NXT, of this length; whether its frame may be kept.
    Segment(u32, u32, bool),
    /// The next octets come in order.
    InOrder(u32),
}

fn ops(span: u32, len: u32) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (1..span, 1..len, any::<bool>()).prop_map(|(at, len, keep)| Op::Segment(at, len, keep)),
        1 => (1..len).prop_map(Op::InOrder),
    ];
    proptest::collection::vec(op, 1..60)
}

fn run(base: u32, unit: u32, limit: usize, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let at = |n: u32| seq(base).add(n);
    let relative = |r: SeqRange| range(r.start.since(seq(base)), r.end.since(seq(base)));
    let mut model = Model::default();
    let mut q = Reassembly::new();
    let mut most_blocks = 0;
    for (salt, op) in (0u32..).zip(ops) {
        // Each segment has text of its own, so that it shows whose octets were kept.
        let octet = |n: u32| (n.wrapping_mul(31) ^ salt.wrapping_mul(0x9e37_79b9) >> 7) as u8;
        match op {
            Op::Segment(from, len, keep) => {
                let (from, len) = (model.rcv_nxt + from * unit, len * unit);
                let frame: Bytes = [0; 40].into_iter().chain((from..from + len).map(octet)).collect();
                let backing = keep.then_some(&frame);
                let memory = q.memory();
                let before = q.blocks().count();
                let got = q.insert(at(model.rcv_nxt), at(from), &frame[40..], backing, limit, ANY);
                if got == Inserted::NoRoom {
                    // Only where there might really have been none.
                    // One part may hold the frame, and the others are copied beside it.
                    let most = 2 * len as usize + 40 + RUN_COST * (before + 1);
                    prop_assert!(memory + most > limit);
                    prop_assert_eq!(q.memory(), memory);
                    continue;
                }
                let got = match got {
                    Inserted::Duplicate(r) => Inserted::Duplicate(relative(r)),
                    Inserted::Partial(r) => Inserted::Partial(relative(r)),
                    other => other,
                };
                prop_assert_eq!(got, model.insert(from, len, octet));
            }
            Op::InOrder(len) => {
                let want = model.deliver(model.rcv_nxt + len * unit);
                let mut nxt = model.rcv_nxt - want.len() as u32;
                let mut got = Vec::new();
                while let Some(Text { octets: text, .. }) = q.take(at(nxt)) {
                    prop_assert!(!text.is_empty());
                    nxt += text.len() as u32;
                    got.extend_from_slice(&text);
                }
                prop_assert!(got == want);
            }
        }
        let blocks = model.blocks();
        most_blocks = most_blocks.max(blocks.len());
        let mine: Vec<_> = q.blocks().map(relative).map(|b| (b.start.get(), b.end.get())).collect();
        prop_assert_eq!(&mine, &blocks);
        prop_assert_eq!(q.len(), model.held.len());
        prop_assert_eq!(q.is_empty(), model.held.is_empty());
        prop_assert_eq!(q.highest(), blocks.last().map(|b| at(b.1)));
        prop_assert!(q.memory() >= q.len() && q.memory() <= limit);
        for max in 0..5 {
            let got: Vec<_> = q
                .sack_blocks(max)
                .iter()
                .map(|b| relative(*b))
                .map(|b| (b.start.get(), b.end.get()))
                .collect();
            let want = model.sack_blocks(&blocks, max);
            if most_blocks <= REMEMBERED {
                prop_assert_eq!(got, want);
            } else {
                // Older ones may come in another order; the first is sure, each is whole, none comes twice.
                prop_assert_eq!(got.len(), want.len());
                prop_assert_eq!(got.first(), want.first());
                prop_assert!(got.iter().all(|b| blocks.contains(b)));
                prop_assert!((1..got.len()).all(|i| !got[..i].contains(&got[i])));
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn is_the_text_that_came(base: u32, ops in ops(300, 50)) {
        run(base, 1, ANY, ops)?;
    }

    #[test]
    fn many_blocks(base: u32, ops in ops(300, 4)) {
        run(base, 1, ANY, ops)?;
    }

    #[test]
    fn short_of_memory(base: u32, limit in 0..2000usize, ops in ops(300, 50)) {
        run(base, 1, limit, ops)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn large_segments(base: u32, limit in prop_oneof![Just(ANY), 10_000..200_000usize], ops in ops(40, 20)) {
        run(base, 1500, limit, ops)?;
    }
}
