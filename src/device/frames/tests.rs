use std::convert::Infallible;

use super::*;

fn put(frames: &mut Frames, packet: &[u8]) -> bool {
    let filled = frames.fill(|buffer| {
        buffer[..packet.len()].copy_from_slice(packet);
        Ok::<_, Infallible>(Some(packet.len()))
    });
    filled.unwrap()
}

#[test]
fn frames_hold_what_they_have_room_for() {
    let mut frames = Frames::new(2, 4);
    assert!(frames.is_empty() && !frames.is_full());
    assert!(put(&mut frames, b"one") && put(&mut frames, b"four"));
    assert!(frames.is_full());
    // Not even asked for: a packet read from a device would be lost.
    assert!(!frames.fill(|_| -> Result<_, Infallible> { panic!("no room") }).unwrap());
    let packets: Vec<_> = frames.iter().map(|f| f.packet).collect();
    assert_eq!(packets, [&b"one"[..], b"four"]);
    frames.clear();
    assert!(frames.is_empty());
    assert_eq!(frames.iter().count(), 0);
}

#[test]
fn small_packets_are_many_and_large_ones_few() {
    let mut frames = Frames::new(9, 4).within(8);
    (0..2).for_each(|_| assert!(put(&mut frames, b"four")));
    assert!(frames.is_full() && !put(&mut frames, b""));
    frames.clear();
    (0..8).for_each(|_| assert!(put(&mut frames, b"1")));
    assert!(frames.is_full() && !put(&mut frames, b"1"));
    frames.clear();
    (0..9).for_each(|_| assert!(put(&mut frames, b"")));
    assert!(!put(&mut frames, b""), "no slot");
}

/// A packet that is large enough to be lent, full of `octet`.
fn put_large(frames: &mut Frames, octet: u8) -> Bytes {
    frames.clear();
    assert!(put(frames, &[octet; LENT]));
    let bytes = frames.iter().find_map(|inbound| inbound.backing.cloned());
    bytes.unwrap()
}

#[test]
fn what_is_lent_is_left_alone_until_it_comes_back() {
    let mut frames = Frames::new(8, LENT);
    let first = put_large(&mut frames, 1);
    let at = first.as_ptr();
    let second = put_large(&mut frames, 2);
    assert_ne!(second.as_ptr(), at);
    assert_eq!((first, second.clone()), (vec![1; LENT].into(), vec![2; LENT].into()));
    assert_eq!(put_large(&mut frames, 3).as_ptr(), at);
    assert_eq!(put_large(&mut frames, 4).as_ptr(), at, "the slot's own, which nobody has");
    assert_eq!(frames.lent.len(), 1);
    assert_eq!((second, &frames.lent[0][..]), (vec![2; LENT].into(), &[2; LENT][..]));
}

#[test]
fn small_packets_are_not_lent() {
    let mut frames = Frames::new(1, LENT - 1);
    assert!(put(&mut frames, &[1; LENT - 1]));
    assert!(frames.iter().all(|inbound| inbound.backing.is_none()));
}

#[test]
fn the_whole_slot_is_told_of_however_short_the_packet() {
    let mut frames = Frames::new(1, LENT);
    assert!(put(&mut frames, b"short"));
    let told: Vec<_> = frames.iter().map(|i| (i.packet.len(), i.backing.map(Bytes::len))).collect();
    assert_eq!(told, [(5, Some(LENT))]);
}

#[test]
fn who_keeps_what_was_lent_hides_nothing_from_the_rest() {
    let mut frames = Frames::new(64, LENT);
    let kept: Vec<_> = (0..6).map(|n| put_large(&mut frames, n)).collect();
    // Each is out while the next two come.
    let mut out = VecDeque::new();
    for n in 0..100 {
        out.push_back(put_large(&mut frames, n));
        if out.len() > 2 {
            out.pop_front();
        }
    }
    let there = frames.lent.len();
    assert!(there <= 11, "{there} pieces of memory out: 6 are kept, and 3 go round");
    assert!(kept.iter().zip(0..).all(|(bytes, n)| bytes.iter().all(|&octet| octet == n)));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut frames = Frames::new(3, 2 * LENT);
    let mut kept: Vec<_> = (0..150).map(|n| put_large(&mut frames, n)).collect();
    frames.clear();
    assert_eq!(frames.lent.len() * 2 * LENT, REMEMBERED);
    assert!(kept.iter().zip(0..).all(|(bytes, n)| bytes[..LENT].iter().all(|&octet| octet == n)));
    let remembered = |kept: &Vec<Bytes>| kept.iter().filter(|bytes| !bytes.is_unique()).count();
    assert_eq!(remembered(&kept), REMEMBERED / (2 * LENT));
    drop(frames);
    assert_eq!(remembered(&kept), 0);
    kept.clear();
}

#[test]
fn what_comes_by_reference_counts_and_goes_with_its_packet() {
    let mut frames = Frames::new(4, 60).within(100).with_references();
    let text = Bytes::from(vec![7; 60]);
    for n in 0..2 {
        assert!(!frames.is_full() && put(&mut frames, b"head"));
        let mut lent = vec![Lent::from(text.clone())];
        frames.append(&mut lent);
        assert!(lent.is_empty());
        assert_eq!(frames.iter().last().map(|i| i.lent.len()), Some(1), "{n}");
    }
    assert!(frames.is_full());
    frames.clear();
    assert!(text.is_unique());
    assert!(put(&mut frames, b"whole"));
    assert!(frames.iter().all(|inbound| inbound.lent.is_empty()));
}

#[test]
fn what_is_appended_unasked_is_copied() {
    for size in [12, LENT] {
        let mut frames = Frames::new(2, size).within(2 * size);
        let text = Bytes::from(vec![7; size]);
        for (lent, len) in [(&text[..3], 7), (&text[..], size)] {
            assert!(put(&mut frames, b"head"));
            // As of who looks before it was appended.
            let looked = frames.iter().last().and_then(|i| i.backing.cloned());
            let mut lent =
                vec![Lent::from(text.slice_ref(&lent[..1])), Lent::from(text.slice_ref(&lent[1..]))];
            frames.append(&mut lent);
            let seen = frames.iter().last().unwrap();
            assert_eq!((seen.packet.len(), seen.lent.len(), lent.len()), (len, 0, 0));
            assert_eq!(seen.packet, [b"head", &text[..len - 4]].concat());
            assert!(looked.is_none_or(|looked| looked.len() == size && looked[4..].iter().all(|n| *n == 0)));
        }
        assert_eq!(frames.octets, 7 + size);
        assert!(text.is_unique());
    }
    Frames::new(1, 4).append(&mut vec![Lent::from(Bytes::from_static(b"of none"))]);
}

#[test]
fn nothing_and_errors_take_no_slot() {
    let mut frames = Frames::new(2, 4);
    assert!(!frames.fill(|_| Ok::<_, Infallible>(None)).unwrap());
    assert_eq!(frames.fill(|_| Err("broken")), Err("broken"));
    assert_eq!(frames.len(), 0);
    assert!(frames.last_mut().is_none());
}

#[test]
fn what_was_known_of_an_earlier_packet_is_forgotten() {
    let mut frames = Frames::new(1, 4);
    put(&mut frames, b"big");
    let frame = frames.last_mut().unwrap();
    (frame.trust, frame.gso_size) = (Trust::Trusted, 1400);
    let known = |frames: &Frames| frames.iter().map(|f| (f.trust, f.gso_size)).next();
    assert_eq!(known(&frames), Some((Trust::Trusted, 1400)));
    frames.clear();
    put(&mut frames, b"new");
    assert_eq!(known(&frames), Some((Trust::Verify, 0)));
}

#[test]
fn a_length_beyond_the_buffer_is_cut() {
    let mut frames = Frames::new(1, 4);
    frames.fill(|_| Ok::<_, Infallible>(Some(9))).unwrap();
    assert_eq!(frames.iter().map(|f| f.packet.len()).sum::<usize>(), 4);
}

#[cfg(feature = "uring")]
mod at_once {
    use std::io::ErrorKind::WouldBlock;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    use super::*;

    /// Reads all that is there as a device does; `None` where this kernel does not read several at once. Says how many
    /// reads each call was asked for.
    fn read_all(frames: &mut Frames, near: &UnixDatagram) -> Option<Vec<usize>> {
        let mut calls = Vec::new();
        loop {
            if let Some((asked, read)) = frames.read(near.as_fd()) {
                calls.push(asked);
                if read < asked {
                    return Some(calls);
                }
            } else if !frames.fill(|to| alone(near, to)).unwrap() {
                return frames.room.as_ref().is_some_and(|room| room.reads_at_once()).then_some(calls);
            }
        }
    }

    fn alone(near: &UnixDatagram, to: &mut [u8]) -> std::io::Result<Option<usize>> {
        match near.recv(to) {
            Err(e) if e.kind() == WouldBlock => Ok(None),
            other => other.map(Some),
        }
    }

    fn pair() -> (UnixDatagram, UnixDatagram) {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        (near, far)
    }

    /// As large as those that a copy takes most of the time of.
    fn send(far: &UnixDatagram, numbers: std::ops::Range<u8>) {
        send_of(far, numbers, SMALL);
    }

    fn send_of(far: &UnixDatagram, numbers: std::ops::Range<u8>, least: usize) {
        for n in numbers {
            let len = least + usize::from(n);
            assert_eq!(far.send(&vec![n; len]).unwrap(), len);
        }
    }

    fn numbers(frames: &Frames) -> Vec<u8> {
        let whole = |p: &[u8]| p.len() % SMALL == usize::from(p[0]) && p.iter().all(|octet| *octet == p[0]);
        frames
            .iter()
            .inspect(|f| assert!(whole(f.packet) && f.backing.is_none()))
            .map(|f| f.packet[0])
            .collect()
    }

    /// Frames that read bursts at once.
    fn at_once(count: usize, size: usize) -> Frames {
        Frames { trials: Some([true; 2].map(Trial::of)), ..Frames::new(count, size) }
    }

    fn skipped() {
        println!("skipped: this kernel does not read several packets at once");
    }

    #[test]
    fn many_are_read_in_few_calls_and_in_order() {
        let (near, far) = pair();
        let mut frames = at_once(64, 1000);
        // What a socket queues is bounded: so the batches are small.
        send(&far, 0..9);
        let Some(calls) = read_all(&mut frames, &near) else { return skipped() };
        assert_eq!((calls, numbers(&frames)), (vec![8], (0..9).collect()));
        // As many as the last time, and two more: so that it is seen that there are no others.
        frames.clear();
        send(&far, 20..29);
        assert_eq!(read_all(&mut frames, &near), Some(vec![10]));
        assert_eq!(numbers(&frames), (20..29).collect::<Vec<_>>());
        assert!(!frames.is_full());
    }

    /// Which of many bursts were read at once by frames that are told what each took; `None` where this
    /// kernel does not read several at once.
    fn read_bursts(took: impl Fn(&mut Frames, bool)) -> Option<Vec<bool>> {
        let (near, far) = pair();
        let mut frames = Frames::new(64, 1000);
        let mut at_once = Vec::new();
        for _ in 0..40 {
            frames.clear();
            let mut calls = 0;
            for begin in [0, 8] {
                send(&far, begin..begin + 8);
                while let Some((_, 1..)) = frames.read(near.as_fd()).inspect(|_| calls += 1) {}
                while frames.fill(|to| alone(&near, to)).unwrap() {
                    while let Some((_, 1..)) = frames.read(near.as_fd()).inspect(|_| calls += 1) {}
                }
            }
            assert_eq!(numbers(&frames), (0..16).collect::<Vec<_>>());
            if frames.room.as_ref().is_some_and(|room| !room.may_read_at_once()) {
                return None;
            }
            at_once.push(calls > 0);
            took(&mut frames, calls > 0);
        }
        Some(at_once)
    }

    #[test]
    fn bursts_are_read_the_way_that_takes_less() {
        for (ring, is_better) in [(20_000, false), (10_000, true)] {
            let bursts = read_bursts(|frames, at_once| {
                frames.took(Duration::from_nanos(if at_once { ring } else { 15_000 }));
            });
            let Some(bursts) = bursts else { return skipped() };
            // Between the trials, which come seldom then.
            assert!(bursts[..3].contains(&true) && bursts[..3].contains(&false), "{bursts:?}");
            assert!(bursts[24..].iter().all(|at_once| *at_once == is_better), "{bursts:?}");
        }
    }

    #[test]
    fn who_does_not_look_at_the_clock_reads_one_by_one() {
        let Some(bursts) = read_bursts(|_, _| {}) else { return skipped() };
        assert_eq!(bursts, [false; 40]);
    }

    #[test]
    fn a_burst_is_expected_after_one_that_was_read_from_a_descriptor() {
        let (near, far) = pair();
        let [mut read, mut filled] = [(); 2].map(|()| Frames::new(64, 1000));
        for round in 0..3 {
            read.clear();
            filled.clear();
            assert_eq!((read.expects_burst(), filled.expects_burst()), (round > 0, false));
            for begin in [0, 8] {
                send(&far, begin..begin + 8);
                read_all(&mut read, &near);
            }
            for _ in 0..16 {
                filled.fill(|_| Ok::<_, Infallible>(Some(700))).unwrap();
            }
        }
    }

    #[test]
    fn few_are_read_one_by_one() {
        let (near, far) = pair();
        let mut frames = at_once(64, 1000);
        for _ in 0..3 {
            frames.clear();
            send(&far, 0..3);
            assert_eq!(read_all(&mut frames, &near), None);
            assert_eq!(numbers(&frames), [0, 1, 2]);
        }
    }

    #[test]
    fn more_of_small_ones_are_few() {
        let (near, far) = pair();
        let mut frames = at_once(64, 1000);
        send_of(&far, 1..10, 0);
        assert_eq!(read_all(&mut frames, &near), None);
        frames.clear();
        // After a burst of as many as pay.
        frames.burst = FEW_SMALL;
        send_of(&far, 1..10, 0);
        let Some(calls) = read_all(&mut frames, &near) else { return skipped() };
        assert_eq!((calls, numbers(&frames)), (vec![FEW_SMALL + 1], (1..10).collect()));
        // One that is large among them does not make them large.
        frames.clear();
        send_of(&far, 1..9, 0);
        send(&far, 9..10);
        assert_eq!(read_all(&mut frames, &near), Some(vec![]));
    }

    /// A packet that came between two reads of a call lies behind a place that was asked for in vain.
    #[test]
    fn no_place_is_used_twice() {
        let (near, far) = pair();
        let mut frames = at_once(4, 1000);
        send(&far, 0..2);
        while frames.fill(|to| alone(&near, to)).unwrap() {}
        frames.room.as_mut().unwrap().place_mut(2)[..=SMALL].fill(1);
        frames.slots[1].place = 2;
        send(&far, 2..4);
        while frames.fill(|to| alone(&near, to)).unwrap() {}
        assert_eq!(numbers(&frames), [0, 1, 2]);
        assert!(frames.is_full());
    }

    #[test]
    fn what_comes_later_takes_the_places_behind() {
        let (near, far) = pair();
        let mut frames = at_once(12, 1000);
        send(&far, 0..6);
        let Some(calls) = read_all(&mut frames, &near) else { return skipped() };
        assert_eq!(calls, [8]);
        send(&far, 6..10);
        assert_eq!(read_all(&mut frames, &near), Some(vec![6]));
        assert_eq!(numbers(&frames), (0..10).collect::<Vec<_>>());
        assert!(!frames.is_full());
        send(&far, 10..13);
        // There is room for two.
        while frames.fill(|to| alone(&near, to)).unwrap() {}
        assert_eq!(numbers(&frames), (0..12).collect::<Vec<_>>());
        assert!(frames.is_full() && frames.read(near.as_fd()).is_none());
    }

    /// A kernel that does not read from this descriptor without waiting says so, and nothing is lost by that.
    #[test]
    fn where_it_cannot_be_they_are_read_one_by_one() {
        let (near, far) = pair();
        let directory = std::fs::File::open("/").unwrap();
        let mut frames = at_once(64, 1000);
        send(&far, 0..6);
        while frames.len() < 5 && frames.fill(|to| alone(&near, to)).unwrap() {}
        assert_eq!(frames.read(directory.as_fd()), None);
        assert_eq!(numbers(&frames), [0, 1, 2, 3, 4]);
        assert_eq!(read_all(&mut frames, &near), None);
        assert_eq!(numbers(&frames), [0, 1, 2, 3, 4, 5]);
    }
}
