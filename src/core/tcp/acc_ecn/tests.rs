use super::*;
use crate::body::Text;
use crate::seq::SeqRange;
use crate::wire::flags::Flags;
use crate::wire::options::{Options, Timestamps};
use proptest::prelude::*;

const MSS: u32 = 1000;
const NXT: Seq = Seq::new(1_000_000);

fn fresh() -> Accurate {
    Accurate::new(Seq::new(1), Instant::ZERO)
}

fn option(counters: &[u32]) -> Option<AccEcn> {
    Some(AccEcn { ect_1_first: false, counters: counters.iter().copied().collect() })
}

/// An ACK, fed to the sender's side; nothing is certain.
fn feed(a: &mut Accurate, ack: u32, ace: u8, options: &Options) -> Option<Told> {
    a.on_feedback(&segment(ack, ace, options), NXT, MSS, true, false)
}

fn segment(ack: u32, ace: u8, options: &Options) -> Segment<'_> {
    Segment {
        seq: Seq::new(1),
        ack: Seq::new(ack),
        flags: Flags::ACK | Flags::from_ace(ace),
        window: 0,
        urgent: 0,
        options,
        text: Text::default(),
        backing: None,
        joined: 0,
        ecn: Ecn::NotEct,
    }
}

/// What Appendix A.2.1 gives as examples, after ACKs of a segment each.
//= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.2.5.2
//= type=test
//= id=rfc9768-3.2.2.5.2-1, rfc9768-3.2.2.5.2-4
//= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.3
//= type=test
//= id=rfc9768-3.2.3.2.3-1
#[test]
fn without_options_the_counter_has_cycled_where_it_could_have() {
    let none = Options::default();
    for (packets, ace, marks) in [
        (9, 5 + 2, 2),
        (10, 5 + 2, 10),
        (1, 5 + 1, 1),
        (7, 5, 0),
        (8, 5, 8),
        (15, 5, 8),
        (16, 5, 16),
        // More than can be: packets without text were marked too.
        (1, 5 + 3, 3),
    ] {
        let mut a = fresh();
        let told = feed(&mut a, 1 + packets * MSS, ace & 7, &none).unwrap();
        assert_eq!((told.packets, a.sent.cep), (marks, 5 + marks), "{packets} packets, ACE {ace}");
        assert_eq!(told.octets, (marks * MSS).min(packets * MSS));
    }
}

#[test]
fn where_acks_are_rare_anyway_none_is_missed() {
    let (mut a, none) = (fresh(), Options::default());
    let mut ack = 1;
    let mut marks = 0;
    for _ in 0..20 {
        ack += 16 * MSS;
        let ace = a.sent.ace_of(0);
        marks = feed(&mut a, ack, ace, &none).unwrap().packets;
    }
    assert_eq!(marks, 0);
    let mut b = fresh();
    assert_eq!(feed(&mut b, 1 + 16 * MSS, 5, &none).unwrap().packets, 16, "the first is taken for the worst");
    let mut c = fresh();
    let none = c.on_feedback(&segment(1 + 16 * MSS, 5, &none), NXT, MSS, true, true).unwrap();
    assert_eq!(none.packets, 0, "nothing that left could be marked");
}

impl Counters {
    fn ace_of(&self, more: u32) -> u8 {
        (self.cep.wrapping_add(more) & 7) as u8
    }
}

/// The examples of Appendix A.2.2, with segments of 1460 octets.
#[test]
fn with_options_the_octets_decide() {
    for (least, safe, octets, marks) in [(0, 8, 1460, 8), (2, 10, 1460, 2), (7, 15, 10_200, 7)] {
        let mut a = fresh();
        let options = Options { acc_ecn: option(&[1, octets]), ..Options::default() };
        let told = a
            .on_feedback(&segment(1 + safe * 1460, (5 + least as u8) & 7, &options), NXT, 1460, true, false)
            .unwrap();
        assert_eq!((told.packets, told.octets), (marks, octets));
        assert!(!told.mangled);
    }
}

//= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.2.5
//= type=test
//= id=rfc9768-3.2.3.2.5-1
#[test]
fn the_two_are_reconciled() {
    let mut a = fresh();
    // A mark by ACE alone, then its octets in an option: that is no contradiction.
    assert_eq!(feed(&mut a, 1001, 6, &Options::default()).unwrap().packets, 1);
    let options = Options { acc_ecn: option(&[1, 1000]), ..Options::default() };
    let told = feed(&mut a, 2001, 6, &options).unwrap();
    assert_eq!((told.packets, told.octets, told.mangled), (0, 1000, false));
    let options = Options { acc_ecn: option(&[1, 2000]), ..Options::default() };
    assert!(feed(&mut a, 3001, 6, &options).unwrap().mangled);
}

/// Eight marks, of which an ACK without an option said nothing because ACE had gone round: the octets are no contradiction,
/// although the ACK that brings them covers less than could go round.
#[test]
fn a_counter_that_went_round_between_options_is_caught_up() {
    let (mut a, none) = (fresh(), Options::default());
    let with = |octets| Options { acc_ecn: option(&[1, octets]), ..Options::default() };
    let mut ack = 1;
    for _ in 0..20 {
        ack += 16 * MSS;
        let ace = a.sent.ace_of(0);
        feed(&mut a, ack, ace, &none).unwrap();
    }
    let (cep, ace) = (a.sent.cep, a.sent.ace_of(0));
    feed(&mut a, ack + MSS, ace, &with(0)).unwrap();
    assert_eq!(feed(&mut a, ack + 9 * MSS, ace, &none).unwrap().packets, 0);
    let told = feed(&mut a, ack + 10 * MSS, ace, &with(8 * MSS)).unwrap();
    assert_eq!((told.packets, told.octets, told.mangled), (8, 8 * MSS, false));
    assert_eq!(a.sent.cep, cep + 8);
    assert!(feed(&mut a, ack + 11 * MSS, ace, &with(9 * MSS)).unwrap().mangled, "counted anew");
}

#[test]
fn what_is_superseded_says_nothing() {
    let (mut a, none) = (fresh(), Options::default());
    assert!(feed(&mut a, 2001, 6, &none).is_some());
    assert_eq!(feed(&mut a, 1001, 5, &none), None, "an older ACK");
    assert_eq!(feed(&mut a, 2001, 7, &none), None, "no way to know");
    let stamped = |value| Options { timestamps: Some(Timestamps { value, echo: 0 }), ..Options::default() };
    assert_eq!(feed(&mut a, 2001, 7, &stamped(5)).unwrap().packets, 1, "a newer timestamp");
    assert_eq!(feed(&mut a, 2001, 6, &stamped(5)), None);
    let sack = |start: u32, end: u32| {
        let block = SeqRange::new(Seq::new(start), Seq::new(end));
        Options { sack: [block].into_iter().collect(), ..Options::default() }
    };
    assert_eq!(feed(&mut a, 2001, 0, &sack(3001, 4001)).unwrap().packets, 1, "something new is SACKed");
    assert_eq!(feed(&mut a, 2001, 1, &sack(3001, 4001)), None);
    assert_eq!(feed(&mut a, 2001, 1, &sack(1, 1001)), None, "a D-SACK is nothing new");
    assert_eq!(
        feed(&mut a, 2001, 1, &sack(2_000_000, 2_100_000)),
        None,
        "what was never sent is not believed"
    );
}

#[test]
fn nothing_but_marks_for_four_rounds_is_not_believed() {
    let none = Options::default();
    let run = |marked_rounds: u32| {
        let mut a = fresh();
        (0..8).position(|round| {
            let ack = 1 + (round + 1) * MSS;
            let ace = a.sent.ace_of(u32::from(round < marked_rounds));
            // Each round a segment: SND.NXT is where the ACK is.
            let options = &none;
            a.on_feedback(&segment(ack, ace, options), Seq::new(ack), MSS, false, false).unwrap().continuous
        })
    };
    assert_eq!(run(8), Some(3));
    assert_eq!(run(4), Some(3));
    assert_eq!(run(3), None);
}

//= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
//= type=test
//= id=rfc9768-3.2.3.3-11
#[test]
fn told_after_a_mebioctet_at_the_latest() {
    let mut a = fresh();
    for _ in 0..2 {
        a.on_packets(Ecn::Ect0, 1, 1000, true);
        a.ask_option(AccEcnOptions::Sparing, false);
        let due = a.option(40, false).is_some();
        assert!(due);
        a.leaves(true, due, false, Instant::ZERO);
    }
    let mut octets = 0;
    loop {
        a.on_packets(Ecn::Ect0, 1, 1000, true);
        octets += 1000;
        a.ask_option(AccEcnOptions::Sparing, false);
        if a.option(40, false).is_some() {
            break;
        }
        a.leaves(true, false, false, Instant::ZERO);
    }
    assert!((1 << 20..1 << 22).contains(&octets), "{octets}");
}

//= https://www.rfc-editor.org/rfc/rfc9768#section-3.2.3.3
//= type=test
//= id=rfc9768-3.2.3.3-6
#[test]
fn what_has_moved_is_told_or_nothing_is() {
    let mut a = fresh();
    a.on_packets(Ecn::Ect0, 1, 10, true);
    a.on_packets(Ecn::Ect1, 1, 20, true);
    a.ask_option(AccEcnOptions::Changes, false);
    assert_eq!(a.option(12, false), option(&[11, 0, 21]));
    assert_eq!(a.option(11, false), None, "both have moved");
    a.leaves(true, true, false, Instant::ZERO);
    assert_eq!(a.option(40, false), None, "nothing has since");
    a.on_packets(Ecn::Ect1, 1, 20, true);
    a.ask_option(AccEcnOptions::Changes, false);
    assert_eq!(a.option(12, false), option(&[11, 0, 41]));
    let short = AccEcn { ect_1_first: true, counters: [41].into_iter().collect() };
    assert_eq!(a.option(8, false), Some(short), "the one that moved stands first in the other order");
    assert_eq!(a.option(7, false), None);
    a.on_packets(Ecn::Ce, 3, 30, true);
    assert_eq!(
        a.option(8, false),
        Some(AccEcn { ect_1_first: true, counters: [41, 30].into_iter().collect() })
    );
}

#[test]
fn an_option_that_tests_the_path_is_as_long_as_fits() {
    let mut a = fresh();
    a.test_option(AccEcnOptions::Changes);
    for (room, counters) in [(40, 3), (12, 3), (11, 2), (8, 2), (7, 0), (4, 0)] {
        assert_eq!(a.option(room, false).unwrap().counters.len(), counters, "{room}");
    }
    assert_eq!(a.option(3, false), None);
}

proptest! {
    /// Both ends over a path that loses any ACK, with an option on each that comes: the sender knows what came.
    #[test]
    fn the_sender_learns_what_the_receiver_counted(
        packets in proptest::collection::vec((0u8..4, 1u32..3000, any::<bool>()), 1..300)
    ) {
        let (mut here, mut there) = (fresh(), fresh());
        let mut ack = 1;
        for (i, &(mark, octets, arrives)) in packets.iter().enumerate() {
            there.on_packets(Ecn::from_bits(mark), 1, octets, true);
            there.ask_option(AccEcnOptions::Changes, false);
            ack += octets;
            if arrives || i + 1 == packets.len() {
                let counters = [there.received.e0b, there.received.ceb, there.received.e1b];
                let options = Options { acc_ecn: option(&counters), ..Options::default() };
                let seg = segment(ack, there.ace(), &options);
                let told = here.on_feedback(&seg, NXT, 3000, false, false).unwrap();
                prop_assert!(!told.mangled || there.received.cep.wrapping_sub(here.sent.cep) & 7 == 0);
            }
        }
        let (h, t) = (here.sent.counted(), there.received.counted());
        prop_assert_eq!((h.e0b, h.e1b, h.ceb), (t.e0b, t.e1b, t.ceb));
        prop_assert_eq!(h.cep & 7, t.cep & 7);
    }

    /// Whatever comes from the wire.
    #[test]
    fn no_feedback_panics(
        acks in proptest::collection::vec((any::<u32>(), any::<u8>(), proptest::option::of(any::<[u32; 3]>()), any::<[u32; 4]>()), 1..60),
        mss: u32, nxt: u32,
    ) {
        let mut a = Accurate::new(Seq::new(nxt), Instant::ZERO);
        for (ack, ace, counters, [s, e, t, u]) in acks {
            let sack = [(s, e), (t, u)].map(|(s, e)| SeqRange::new(Seq::new(s), Seq::new(e)));
            let options = Options {
                acc_ecn: counters.map(|c| AccEcn { ect_1_first: ace & 8 != 0, counters: c.map(|c| c & 0xff_ffff).into() }),
                sack: sack.into_iter().collect(),
                timestamps: Some(Timestamps { value: s, echo: 0 }),
                ..Options::default()
            };
            _ = a.on_feedback(&segment(ack, ace, &options), Seq::new(nxt), mss, ace & 16 != 0, false);
        }
    }
}
