use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn content(body: Body<'_>) -> Vec<u8> {
    body.pieces().flatten().copied().collect()
}

#[test]
fn idle_costs_its_record_alone() {
    assert!(size_of::<SendBuffer>() <= 48);
    let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
    assert_eq!(b.memory(), 0);
    b.write(&[1; 100_000], &mut spares);
    b.write_bytes(Bytes::from_static(&[2; 5000]), &mut spares);
    b.advance(105_000, &mut spares);
    assert_eq!((b.len(), b.memory()), (0, 0));
}

#[test]
fn an_interactive_connection_stays_small() {
    let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
    b.write(b"first", &mut spares);
    for key in 0..100_000u32 {
        b.write(&key.to_be_bytes(), &mut spares);
        b.advance(if key == 0 { 5 } else { 4 }, &mut spares);
        assert!(b.memory() <= 1024, "{} octets for a key stroke", b.memory());
    }
    assert_eq!(content(b.slice(0, 10)), 99_999u32.to_be_bytes());
}

#[test]
fn a_stream_lies_in_whole_chunks() {
    let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
    for _ in 0..1000 {
        b.write(&[9; 1000], &mut spares);
    }
    assert_eq!(b.pieces.len(), 1_000_000usize.div_ceil(CHUNK));
    assert_eq!(content(b.slice(500_000, 70_000)).len(), 70_000);
}

#[test]
fn long_writes_are_not_copied() {
    let data = Bytes::from(alloc::vec![3u8; REFERENCE]);
    let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
    b.write(b"x", &mut spares);
    b.write_bytes(data.clone(), &mut spares);
    b.write_bytes(data.slice(1..), &mut spares);
    let pieces: Vec<_> = b.slice(1, usize::MAX).pieces().collect();
    assert_eq!(pieces[0].as_ptr(), data.as_ptr());
    assert_ne!(pieces[1].as_ptr(), data[1..].as_ptr());
}

#[test]
fn short_copies_between_references_stay_small() {
    let data = Bytes::from(alloc::vec![3u8; REFERENCE]);
    let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
    for _ in 0..100 {
        b.write_bytes(data.clone(), &mut spares);
        b.write(b"x", &mut spares);
    }
    assert!(b.memory() < 2 * b.len(), "{} for {}", b.memory(), b.len());
}

#[test]
fn a_slice_ends_where_a_body_is_full() {
    let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
    for i in 0..6u8 {
        b.write_bytes(Bytes::from(alloc::vec![i; REFERENCE]), &mut spares);
    }
    assert_eq!(b.slice(10, usize::MAX).len(), Body::MAX_PIECES * REFERENCE - 10);
    assert_eq!(b.slice(b.len(), 1).len(), 0);
    assert_eq!(b.slice(usize::MAX, usize::MAX).len(), 0);
    assert_eq!(b.slice(0, 0).len(), 0);
    b.advance(usize::MAX, &mut spares);
    assert!(b.is_empty());
}

#[test]
fn a_record_ends_where_it_was_said_to() {
    let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
    b.end_record();
    assert_eq!((b.records(), b.record_left(0)), (0, None), "nothing has no end");
    b.write(&[1; 10], &mut spares);
    b.end_record();
    b.end_record();
    b.write_bytes(Bytes::from_static(&[2; 5000]), &mut spares);
    b.end_record();
    b.write(b"open", &mut spares);
    assert_eq!(b.records(), 2);
    assert_eq!([b.record_left(0), b.record_left(9), b.record_left(10)], [Some(10), Some(1), Some(5000)]);
    assert_eq!(b.record_left(5010), None);
    b.advance(9, &mut spares);
    assert_eq!([b.record_left(0), b.record_left(1)], [Some(1), Some(5000)]);
    b.advance(1, &mut spares);
    assert_eq!((b.records(), b.record_left(0)), (1, Some(5000)));
    b.advance(5004, &mut spares);
    assert_eq!((b.records(), b.memory()), (0, 0));
    b.write(b"fresh", &mut spares);
    assert_eq!(b.record_left(0), None);
}

/// Of a piece that leaves bit by bit the last bit keeps all of it alive.
#[test]
fn what_is_remembered_of_lent_memory_counts_whole() {
    let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
    let mut out = Vec::new();
    for _ in 0..200 {
        b.write(&[1; CHUNK], &mut spares);
        assert!(b.freeze(0, CHUNK) && b.to_lend(0, CHUNK).lend(&mut out));
        b.advance(CHUNK - 1, &mut spares);
        b.advance(1, &mut spares);
    }
    let remembered = out.iter().filter(|lent| !lent.octets().is_unique()).count();
    assert!(remembered > 0 && remembered * CHUNK <= 4 << 20, "{remembered} of 64 KiB");
    assert!(spares.memory() >= remembered * CHUNK, "{}", spares.memory());
}

/// What never leaves by reference is not made ready to.
#[test]
fn short_segments_leave_a_piece_as_it_is() {
    let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
    b.write(&[1; CHUNK / 2], &mut spares);
    assert!(!b.freeze(0, REFERENCE - 1) && !b.freeze(100, 0));
    assert!(b.pieces[0].chunk.is_owned());
}

#[test]
fn what_is_lent_is_not_copied_and_comes_back() {
    let (mut b, mut spares) = (SendBuffer::new(), Spares::default());
    b.write(&[1; CHUNK], &mut spares);
    b.write(&[2; CHUNK / 2 + 100], &mut spares);
    let memory = b.memory();
    // The second is filled by half, and so it is full from now on.
    assert!(b.freeze(100, 2 * CHUNK) && b.memory() == memory);
    let mut lent = Vec::new();
    assert!(b.to_lend(100, CHUNK).lend(&mut lent));
    let at = b.slice(0, usize::MAX).pieces().map(<[u8]>::as_ptr).collect::<Vec<_>>();
    assert_eq!(lent[0].octets().as_ptr() as usize, at[0] as usize + 100);
    assert_eq!(
        lent.iter().map(|l| (l.octets().len(), l.pinned(), l.is_inner())).collect::<Vec<_>>(),
        [(CHUNK - 100, CHUNK, true), (100, CHUNK, false)]
    );
    b.write(&[3; 10], &mut spares);
    assert_eq!((b.pieces.len(), content(b.slice(CHUNK + CHUNK / 2 + 100, 10))), (3, [3; 10].to_vec()));
    // Little in a large piece stays where more can follow on it.
    assert!(!b.freeze(b.len() - 10, 10) && b.pieces[2].chunk.is_owned());
    b.advance(2 * CHUNK, &mut spares);
    assert_eq!(spares.take(CHUNK).capacity(), CHUNK);
    assert_eq!(lent[0].octets()[..], [1; CHUNK - 100], "it is still out");
    drop(lent);
    let back = spares.take(CHUNK);
    assert!(at.contains(&back.as_ptr()) && back.is_empty());
}

#[derive(Clone, Debug)]
enum Op {
    EndRecord,
    Write(usize),
    /// What fits in so much memory, and the end of a record.
    Fill {
        room: usize,
        len: usize,
        copied: bool,
    },
    WriteBytes(usize),
    Advance(usize),
    Slice(usize, usize),
    Lend(usize, usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let len = || prop_oneof![0..20usize, 200..5000usize, 60_000..140_000usize];
    let op = prop_oneof![
        len().prop_map(Op::Write),
        len().prop_map(Op::WriteBytes),
        (len(), len(), any::<bool>()).prop_map(|(room, len, copied)| Op::Fill { room, len, copied }),
        len().prop_map(Op::Advance),
        Just(Op::EndRecord),
        (len(), len()).prop_map(|(o, l)| Op::Slice(o, l)),
        (len(), len()).prop_map(|(o, l)| Op::Lend(o, l)),
    ];
    proptest::collection::vec(op, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn is_a_queue_of_octets(ops in ops()) {
        let mut model = VecDeque::<u8>::new();
        let mut ends = alloc::collections::BTreeSet::<usize>::new();
        let (mut b, mut spares) = (SendBuffer::new(), Spares::none());
        // What was lent stays what it was.
        let mut lent: Vec<(Vec<Lent>, Vec<u8>)> = Vec::new();
        let mut next = 0u8;
        let mut text = |n: usize| -> Vec<u8> {
            (0..n).map(|_| { next = next.wrapping_mul(5).wrapping_add(7); next }).collect()
        };
        for op in ops {
            match op {
                Op::Write(n) => {
                    let t = text(n);
                    model.extend(&t);
                    b.write(&t, &mut spares);
                }
                Op::Fill { room, len, copied } => {
                    let most = b.memory() + room;
                    let n = if copied { b.fits(room) } else { b.fits_bytes(room, len).min(len) };
                    let t = text(n);
                    model.extend(&t);
                    if copied {
                        b.write(&t, &mut spares);
                    } else {
                        b.write_bytes(t.into(), &mut spares);
                    }
                    ends.extend(Some(model.len()).filter(|&end| end > 0));
                    b.end_record();
                    if n > 0 {
                        prop_assert!(b.memory() <= most, "{} of {most}", b.memory());
                    }
                }
                Op::WriteBytes(n) => {
                    let t = text(n);
                    model.extend(&t);
                    b.write_bytes(t.into(), &mut spares);
                }
                Op::Advance(n) => {
                    let n = n.min(model.len());
                    model.drain(..n);
                    ends = ends.iter().filter(|&&end| end > n).map(|end| end - n).collect();
                    b.advance(n, &mut spares);
                }
                Op::EndRecord => {
                    ends.extend(Some(model.len()).filter(|&end| end > 0));
                    b.end_record();
                }
                Op::Slice(offset, len) => {
                    let want: Vec<u8> = model.iter().skip(offset).take(len).copied().collect();
                    let got = b.slice(offset, len);
                    prop_assert_eq!(b.in_reach(offset, len), got.len());
                    prop_assert_eq!(got.is_empty(), want.is_empty());
                    if got.pieces().count() < Body::MAX_PIECES {
                        prop_assert_eq!(got.len(), want.len());
                    }
                    prop_assert!(content(got) == want[..got.len()]);
                }
                Op::Lend(offset, len) => {
                    let len = b.in_reach(offset, len);
                    let worth = b.freeze(offset, len);
                    prop_assert!(!worth || len >= REFERENCE);
                    let (body, mut loan) = (b.to_lend(offset, len), Vec::new());
                    prop_assert!(body.lend(&mut loan));
                    let (whole, pinned): (Vec<_>, Vec<_>) =
                        loan.iter().map(|lent| (lent.octets().to_vec(), lent.pinned())).unzip();
                    prop_assert!(pinned.iter().zip(&whole).all(|(&pinned, octets)| pinned >= octets.len()));
                    prop_assert!(whole.concat() == content(body));
                    prop_assert!(model.iter().skip(offset).take(len).eq(&whole.concat()));
                    lent.push((loan, whole.concat()));
                }
            }
            prop_assert!(lent.iter().all(|(loan, was)| loan.iter().flat_map(Lent::octets).eq(was)));
            prop_assert_eq!(b.len(), model.len());
            prop_assert_eq!(b.records(), ends.len());
            for offset in [0, 7, 5000] {
                let left = ends.range(offset + 1..).next().map(|end| end - offset);
                prop_assert_eq!(b.record_left(offset), left);
            }
            prop_assert!(b.memory() >= b.len());
            prop_assert_eq!(b.memory(), b.summed_memory());
            prop_assert_eq!(b.is_empty(), b.memory() == 0);
        }
        let mut at = 0;
        while at < b.len() {
            let got = content(b.slice(at, usize::MAX));
            prop_assert!(model.range(at..at + got.len()).eq(&got));
            at += got.len();
        }
    }
}
