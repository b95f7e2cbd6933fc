use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn range(start: u32, end: u32) -> SeqRange {
    SeqRange::new(Seq::new(start), Seq::new(end))
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + core::time::Duration::from_millis(millis)
}

impl Scoreboard {
    /// Panics where it is not all that lies between `una` and `nxt`, or its sums and its hint are not those of its records.
    pub(crate) fn check(&self, una: Seq, nxt: Seq) {
        let mut at = una;
        for record in &self.records {
            assert!(record.start == at && record.end.after(at), "{record:?} does not begin at {at}");
            at = record.end;
            let other = Mark::LOST | Mark::RESENT | Mark::REPORTED;
            assert!(!(record.marks.contains(Mark::SACKED) && record.marks.intersects(other)), "{record:?}");
            assert!(record.marks.contains(Mark::TWICE) || !record.marks.contains(Mark::RESENT), "{record:?}");
        }
        assert_eq!(at, nxt, "something is missing, or too much");
        let in_order = self.records.iter().is_sorted_by_key(Record::sent);
        assert!(in_order || self.first_to_leave().is_none(), "something behind the oldest left earlier");
        for (mark, sum) in [(Mark::SACKED, self.sacked), (Mark::LOST, self.lost), (Mark::RESENT, self.resent)]
        {
            let real: u32 = self.records.iter().filter(|r| r.marks.contains(mark)).map(Record::len).sum();
            assert_eq!(sum, real, "{mark:?}");
        }
        let waits = |r: &&Record| r.marks.intersection(Mark::LOST | Mark::RESENT) == Mark::LOST;
        assert_eq!(self.next_lost(), self.records.iter().find(waits).map(Record::range));
    }
}

/// Ten segments of 100 octets from 1 on, sent at once.
fn ten() -> Scoreboard {
    let mut board = Scoreboard::new(Seq::new(0));
    for n in 0..10 {
        board.on_send(range(1 + 100 * n, 101 + 100 * n), 100, Stamp::at(at(0)));
    }
    board
}

fn sums(board: &Scoreboard) -> (u32, u32, u32) {
    (board.sacked(), board.lost(), board.resent())
}

#[test]
fn what_was_sent_again_may_have_left_behind_what_follows_it() {
    let mut board = ten();
    board.on_send(range(1001, 1101), 100, Stamp::at(at(1)));
    assert_eq!(board.first_to_leave().map(|r| r.start), Some(Seq::new(1)));
    board.on_resend(range(101, 201), Stamp::at(at(2)));
    assert_eq!(board.first_to_leave(), None);
    board.acknowledge(Seq::new(151), |_| {});
    assert_eq!(board.first_to_leave(), None, "some of it is in flight yet");
    board.acknowledge(Seq::new(201), |_| {});
    assert_eq!(board.first_to_leave().map(|r| r.start), Some(Seq::new(201)));
}

#[test]
fn what_left_at_once_is_one_record() {
    let mut board = ten();
    assert_eq!(board.iter().count(), 1);
    board.on_send(range(1001, 1051), 100, Stamp::at(at(0)));
    assert_eq!(board.iter().count(), 1, "the last may be short");
    board.on_send(range(1051, 1151), 100, Stamp::at(at(0)));
    assert_eq!(board.iter().count(), 2, "behind a short one the boundaries are others");
    board.on_send(range(1151, 1251), 100, Stamp::at(at(1)));
    assert_eq!(board.iter().count(), 3);
}

#[test]
fn pushes_stay_where_they_were() {
    let mut board = ten();
    board.end_burst(true);
    board.on_send(range(1001, 1101), 100, Stamp::at(at(0)));
    assert_eq!(board.iter().count(), 2, "what is pushed ends a run");
    let pushed = |board: &Scoreboard, start, end| board.pushed_within(Seq::new(start), Seq::new(end));
    assert!(pushed(&board, 901, 1001) && pushed(&board, 1, 1101));
    assert!(!pushed(&board, 1, 1000) && !pushed(&board, 1001, 1101));
    // Whatever becomes of what is around.
    board.sack(range(201, 301), |_| {});
    board.on_resend(range(801, 901), Stamp::at(at(1)));
    board.on_resend(range(901, 1001), Stamp::at(at(1)));
    board.acknowledge(Seq::new(101), |_| {});
    for start in (101..1001).step_by(100) {
        assert_eq!(pushed(&board, start, start + 100), start == 901, "{start}");
    }
    board.sack(range(801, 1001), |_| {});
    board.disbelieve_sacks();
    assert!(pushed(&board, 801, 1001), "of a run that the peer has the end stays");
}

#[test]
fn the_oldest_that_is_acknowledged_tells_of_the_round_trip() {
    let rtt = |board: &Scoreboard, ack| board.round_trip(Seq::new(ack), at(10)).map(|rtt| rtt.as_millis());
    let mut board = ten();
    board.on_send(range(1001, 1101), 100, Stamp::at(at(4)));
    assert_eq!((rtt(&board, 1), rtt(&board, 101), rtt(&board, 1101)), (None, Some(10), Some(10)));
    board.acknowledge(Seq::new(1001), |_| {});
    assert_eq!(rtt(&board, 1101), Some(6));
    let mut told = ten();
    told.sack(range(201, 301), |_| {});
    assert_eq!((rtt(&told, 201), rtt(&told, 301)), (Some(10), None), "that was told of before");
    let mut again = ten();
    again.on_resend(range(101, 201), Stamp::at(at(5)));
    assert_eq!((rtt(&again, 101), rtt(&again, 201)), (Some(10), None), "Karn");
}

#[test]
fn only_whole_segments_count() {
    let mut board = ten();
    board.sack(range(150, 420), |_| {});
    assert_eq!((board.sacked(), board.highest_sacked()), (200, Some(Seq::new(401))));
    board.sack(range(910, 1001), |_| panic!("no whole segment"));
    board.on_send(range(1001, 1051), 100, Stamp::at(at(1)));
    board.sack(range(1001, 1051), |_| {});
    assert_eq!(board.sacked(), 250, "a short one is whole too");
}

#[test]
fn behind_a_short_segment_the_boundaries_are_others_though_its_fellows_are_acknowledged() {
    let mut board = ten();
    board.on_send(range(1001, 1051), 100, Stamp::at(at(0)));
    board.acknowledge(Seq::new(51), |_| {});
    board.on_send(range(1051, 1151), 100, Stamp::at(at(0)));
    board.sack(range(1051, 1151), |_| {});
    assert_eq!(board.sacked(), 100);
}

#[test]
fn the_oldest_parts_from_those_that_left_with_it() {
    let mut board = ten();
    board.part_oldest();
    assert_eq!(board.mark_lost(|r| r.start == Seq::new(1)).octets, 100);
    board.acknowledge(Seq::new(151), |_| {});
    board.part_oldest();
    assert_eq!(board.mark_lost(|r| r.start == Seq::new(151)).octets, 50);
    board.check(Seq::new(151), Seq::new(1001));
}

#[test]
fn holes_are_found_sent_again_and_lost_again() {
    let mut board = ten();
    board.sack(range(201, 401), |_| {});
    board.sack(range(601, 1001), |_| {});
    assert_eq!(board.pipe(1000), 400);
    assert_eq!(board.mark_lost(|r| r.start.before(Seq::new(600))), Lost { octets: 400, resent: 0 });
    assert_eq!((board.pipe(1000), board.next_lost()), (0, Some(range(1, 201))));
    board.on_resend(range(1, 101), Stamp::at(at(5)));
    assert_eq!((sums(&board), board.next_lost()), ((600, 400, 100), Some(range(101, 201))));
    board.on_resend(range(101, 201), Stamp::at(at(5)));
    assert_eq!(board.next_lost(), Some(range(401, 601)));
    assert_eq!(board.mark_lost(|r| r.start == Seq::new(1)), Lost { octets: 100, resent: 100 });
    assert_eq!((sums(&board), board.next_lost()), ((600, 400, 100), Some(range(1, 101))));
    board.acknowledge(Seq::new(401), |_| {});
    assert_eq!((sums(&board), board.next_lost()), ((400, 200, 0), Some(range(401, 601))));
    board.unmark_lost();
    assert_eq!((sums(&board), board.next_lost()), ((400, 0, 0), None));
}

#[test]
fn a_peer_that_reneged_is_found_out() {
    let mut board = ten();
    board.sack(range(101, 301), |_| {});
    board.acknowledge(Seq::new(101), |_| {});
    assert!(board.is_reneged());
    board.disbelieve_sacks();
    assert_eq!((sums(&board), board.is_reneged()), ((0, 200, 0), false));
    let mut seen = Mark::empty();
    board.sack(range(101, 301), |piece| seen = piece.marks);
    assert_eq!((sums(&board), seen), ((200, 0, 0), Mark::LOST | Mark::REPORTED));
}

/// The same, octet by octet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Octet {
    boundary: bool,
    pushed: bool,
    /// The peer has said that it has it: where runs of such are joined, only the last push is kept.
    told: bool,
    marks: Mark,
    sent: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Send(u32, bool),
    Sack(u32, u32),
    Acknowledge(u32),
    Lose(u64),
    Resend,
    Renege,
    Undo,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u32..350, any::<bool>()).prop_map(|(len, push)| Step::Send(len, push)),
        6 => (0u32..1200, 0u32..700).prop_map(|(a, b)| Step::Sack(a, b)),
        3 => (0u32..400).prop_map(Step::Acknowledge),
        2 => (0u64..60).prop_map(Step::Lose),
        3 => Just(Step::Resend),
        1 => Just(Step::Renege),
        1 => Just(Step::Undo),
    ]
}

const MSS: u32 = 100;

/// The model: what lies between `una` and `una + octets.len()`.
struct Model {
    una: u32,
    octets: Vec<Octet>,
}

impl Model {
    /// The segments as index ranges.
    fn segments(&self) -> Vec<(usize, usize)> {
        let mut starts: Vec<usize> =
            (0..self.octets.len()).filter(|&n| n == 0 || self.octets[n].boundary).collect();
        starts.push(self.octets.len());
        starts.windows(2).map(|w| (w[0], w[1])).collect()
    }

    fn sum(&self, mark: Mark) -> u32 {
        self.octets.iter().filter(|o| o.marks.contains(mark)).count() as u32
    }
}

fn check(steps: &[Step], iss: u32) {
    let mut board = Scoreboard::new(Seq::new(iss));
    let mut model = Model { una: iss, octets: Vec::new() };
    for (now, step) in steps.iter().enumerate() {
        // Some follow one another within one tick of the clock.
        let now = now as u64 / 3;
        match *step {
            Step::Send(len, push) => {
                let mut left = len;
                while left > 0 {
                    let n = left.min(MSS);
                    let start = Seq::new(model.una).add(model.octets.len() as u32);
                    board.on_send(SeqRange::with_len(start, n), MSS, Stamp::at(at(now)));
                    for k in 0..n {
                        model.octets.push(Octet { boundary: k == 0, sent: now, ..Octet::default() });
                    }
                    left -= n;
                }
                if push {
                    board.end_burst(true);
                    model.octets.last_mut().expect("some were sent").pushed = true;
                }
            }
            Step::Sack(start, len) => {
                let end = (start + len).min(model.octets.len() as u32);
                let mut fresh = 0;
                if start < end {
                    let una = Seq::new(model.una);
                    board.sack(SeqRange::new(una.add(start), una.add(end)), |r| fresh += r.len());
                }
                let mut expected = 0;
                for (a, b) in model.segments() {
                    if start as usize <= a && b <= end as usize {
                        for octet in &mut model.octets[a..b] {
                            expected += u32::from(!octet.marks.contains(Mark::SACKED));
                            octet.marks.remove(Mark::LOST | Mark::RESENT | Mark::REPORTED);
                            octet.marks.insert(Mark::SACKED);
                            octet.told = true;
                        }
                    }
                }
                assert_eq!(fresh, expected);
            }
            Step::Acknowledge(n) => {
                let n = n.min(model.octets.len() as u32);
                let mut fresh = 0;
                board.acknowledge(Seq::new(model.una).add(n), |r| {
                    fresh += if r.marks.contains(Mark::SACKED) { 0 } else { r.len() };
                });
                let gone: Vec<Octet> = model.octets.drain(..n as usize).collect();
                assert_eq!(fresh as usize, gone.iter().filter(|o| !o.marks.contains(Mark::SACKED)).count());
                model.una = Seq::new(model.una).add(n).get();
            }
            Step::Lose(age) => {
                let old = |sent: u64| sent + age <= now;
                board.mark_lost(|r| old(r.sent().as_millis()));
                for octet in &mut model.octets {
                    if !octet.marks.contains(Mark::SACKED) && old(octet.sent) {
                        let waits = octet.marks.contains(Mark::LOST) && !octet.marks.contains(Mark::RESENT);
                        if !waits {
                            octet.marks.remove(Mark::RESENT);
                            octet.marks.insert(Mark::LOST);
                        }
                    }
                }
            }
            Step::Resend => {
                let first = model
                    .octets
                    .iter()
                    .position(|o| o.marks.contains(Mark::LOST) && !o.marks.contains(Mark::RESENT));
                let next = board.next_lost();
                assert_eq!(next.map(|r| r.start.since(Seq::new(model.una)) as usize), first);
                if let (Some(range), Some(first)) = (next, first) {
                    let len = range.len().min(MSS);
                    board.on_resend(SeqRange::with_len(range.start, len), Stamp::at(at(now)));
                    board.pass(SeqRange::with_len(range.start, len));
                    for octet in &mut model.octets[first..first + len as usize] {
                        octet.marks.remove(Mark::REPORTED);
                        octet.marks.insert(Mark::RESENT | Mark::TWICE);
                        octet.sent = now;
                    }
                    // What is sent again is a segment of its own from then on.
                    model.octets[first].boundary = true;
                    if let Some(next) = model.octets.get_mut(first + len as usize) {
                        next.boundary = true;
                    }
                }
            }
            Step::Renege => {
                board.disbelieve_sacks();
                for octet in model.octets.iter_mut().filter(|o| o.marks.contains(Mark::SACKED)) {
                    octet.marks.remove(Mark::SACKED);
                    octet.marks.insert(Mark::LOST | Mark::REPORTED);
                }
            }
            Step::Undo => {
                board.unmark_lost();
                model.octets.iter_mut().for_each(|o| o.marks.remove(Mark::LOST));
            }
        }
        let expected = (model.sum(Mark::SACKED), model.sum(Mark::LOST), model.sum(Mark::RESENT));
        assert_eq!(sums(&board), expected, "after {step:?}");
        let len: u32 = board.iter().map(Record::len).sum();
        assert_eq!(len as usize, model.octets.len());
        let highest = model.octets.iter().rposition(|o| o.marks.contains(Mark::SACKED));
        if let (Some(n), Some(end)) = (highest, board.highest_sacked()) {
            assert!(end.since(Seq::new(model.una)) as usize > n);
        }
        let mut n = 0;
        for record in board.iter() {
            for _ in 0..record.len() {
                let kept = record.marks.difference(Mark::TWICE | Mark::BURST | Mark::PUSHED);
                assert_eq!(kept, model.octets[n].marks.difference(Mark::TWICE), "octet {n} after {step:?}");
                n += 1;
            }
            let (pushed, Octet { pushed: was, told, .. }) =
                (record.marks.contains(Mark::PUSHED), model.octets[n - 1]);
            assert!(pushed == was || (was && told), "before {n} after {step:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn as_an_octet_by_octet_model_has_it(
        steps in proptest::collection::vec(step(), 1..80),
        iss in prop_oneof![Just(0u32), Just(u32::MAX - 500), any::<u32>()],
    ) {
        check(&steps, iss);
    }
}

/// Runs of 1000 octets with a short segment at their end, of which the first has been acknowledged in part: what is larger
/// than the path takes now is lost, the rest is not.
#[test]
fn what_is_larger_than_the_path_takes_is_lost() {
    let mut board = Scoreboard::new(Seq::new(0));
    for (start, end) in [(0, 1000), (1000, 2000), (2000, 2300)] {
        board.on_send(range(start, end), 1000, Stamp::at(at(0)));
    }
    board.end_burst(true);
    board.on_send(range(2300, 2500), 1000, Stamp::at(at(1)));
    board.on_send(range(2500, 3500), 1000, Stamp::at(at(2)));
    board.on_send(range(3500, 3501), 1000, Stamp::at(at(2)));
    board.acknowledge(Seq::new(700), |_| {});
    assert_eq!(board.mark_larger_lost(1000), Lost::default());
    let lost = board.mark_larger_lost(500);
    assert_eq!((lost.octets, board.lost()), (2000, 2000));
    let runs: Vec<_> =
        board.iter().filter(|r| r.marks.contains(Mark::LOST)).map(|r| (r.start.get(), r.end.get())).collect();
    assert_eq!(runs, [(1000, 2000), (2500, 3500)]);
    board.check(Seq::new(700), Seq::new(3501));
    assert_eq!(board.mark_larger_lost(199).octets, 800, "the others now too, but for the FIN");
    board.check(Seq::new(700), Seq::new(3501));
}

/// A probe of the end leaves while what is before it waits to be sent again.
#[test]
fn what_is_sent_again_out_of_order_hides_nothing_before_it() {
    let mut board = ten();
    board.mark_lost(|_| true);
    let lost = board.next_lost().unwrap();
    let last = SeqRange::new(lost.end.sub(MSS), lost.end);
    board.on_resend(last, Stamp::at(at(1)));
    board.pass(last);
    assert_eq!(board.next_lost(), Some(SeqRange::new(lost.start, last.start)));
}

#[test]
fn what_no_congestion_took_is_not_blamed_on_it() {
    let mut board = ten();
    board.split(Seq::new(501));
    board.mark_lost(|r| r.start.before(Seq::new(501)));
    board.excuse(range(1, 301));
    assert_eq!((sums(&board), board.blamed()), ((0, 500, 0), 200));
    board.on_resend(range(1, 201), Stamp::at(at(1)));
    assert_eq!(board.blamed(), 200, "it is excused yet");
    board.split(Seq::new(101));
    board.mark_lost(|r| r.start == Seq::new(1));
    assert_eq!(board.blamed(), 300, "what took it this time may have been");
    board.acknowledge(Seq::new(101), |_| {});
    board.sack(range(201, 301), |_| {});
    assert_eq!((sums(&board), board.blamed()), ((100, 300, 100), 200));
    board.disbelieve_sacks();
    assert_eq!(board.blamed(), 300);
    board.excuse(range(401, 501));
    assert_eq!(board.blamed(), 200);
    board.unmark_lost();
    board.mark_lost(|_| true);
    assert_eq!(board.blamed(), 900, "nothing of before is remembered");
}
